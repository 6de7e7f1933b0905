#ifndef POLICYD_CTL_DNS_CHECK_H
#define POLICYD_CTL_DNS_CHECK_H

/*
 * What "spf check" and "dmarc check" share: an evaluation on a loop of its
 * own, by a resolver that may be named, and how its result and its questions
 * are shown. They need no daemon, no database and no configuration.
 */

#include <stdbool.h>

#include "common/io/dns_session.h"
#include "common/mail/dns_answer.h"

struct command;

struct dns_check {
	struct command *command;
	bool is_json;
	struct loop *loop;
	struct dns *dns;
	struct dns_session_config config;
};

/*
 * Heeds --resolver and --timeout. False: the command was ended, and there is
 * nothing to close.
 */
bool dns_check_open(struct dns_check *check, struct command *command);
/* Runs until dns_check_stop(), then ends the command. */
void dns_check_run(struct dns_check *check);
void dns_check_stop(struct dns_check *check);
void dns_check_close(struct dns_check *check);

/*
 * The result is the first line; with --json the first of some fields. Those
 * that are told follow, but for empty ones, until the end.
 */
void dns_check_begin(struct dns_check *check, const char *result);
void dns_check_tell(struct dns_check *check, const char *key,
	struct slice value);
void dns_check_end(struct dns_check *check);

/* A question for the table that --explain shows. */
struct dns_check_question {
	struct slice name;
	enum dns_type type;
	uint32_t ttl;
	bool is_answered;
	enum dns_status status;
	struct slice reason;  /* of a failure */
	struct slice records; /* for people */
};

#define DNS_CHECK_RECORDS_MAX 300u

void dns_check_begin_questions(struct dns_check *check);
void dns_check_tell_question(struct dns_check *check,
	const struct dns_check_question *question);
void dns_check_end_questions(struct dns_check *check);

#endif
