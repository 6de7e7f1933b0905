#ifndef POLICYD_CTL_RESTRICTIONS_H
#define POLICYD_CTL_RESTRICTIONS_H

/*
 * A list of access restrictions of Postfix's SMTP server, such as
 * smtpd_recipient_restrictions: the steps in their order, those of restriction
 * classes in their place. What Postfix would do with it is not judged here,
 * only read.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct arena;
struct postconf;
struct postconf_service;

enum restriction_kind {
	RESTRICTION_OTHER,
	RESTRICTION_POLICY, /* check_policy_service */
	RESTRICTION_PERMIT, /* ends the list for some clients */
	RESTRICTION_END,    /* ends it for all: permit, reject, defer */
};

struct restriction {
	struct slice text;  /* with its argument */
	struct slice word;  /* "check_policy_service" */
	struct slice value; /* its argument, "" for none */
	enum restriction_kind kind;
	bool is_only_warned; /* behind warn_if_reject */
	/* Of the step in the list itself that this is, or is within. */
	size_t top;
};

#define RESTRICTIONS_MAX 256

struct restrictions {
	struct restriction *steps; /* classes opened */
	size_t n;
	struct slice *tops; /* the list as it was written */
	size_t n_tops;
};

/*
 * Reads a list; classes are looked up for the service (NULL: in main.cf).
 * What is more than RESTRICTIONS_MAX steps is left out.
 */
struct restrictions restrictions_parse(struct arena *arena, struct slice list,
	const struct postconf *postconf,
	const struct postconf_service *service);

/*
 * The server that check_policy_service asks: "inet:127.0.0.1:7777" of
 * "{ inet:127.0.0.1:7777, timeout=10s }".
 */
struct slice restriction_server(const struct restriction *restriction);
/* One of its attributes, "timeout"; false when it has none of that name. */
bool restriction_attribute(const struct restriction *restriction,
	const char *name, struct slice *out);

/*
 * Takes the next word of *rest: blanks and commas separate, except within
 * braces. False at the end.
 */
bool restrictions_next_word(struct slice *rest, struct slice *word);

#endif
