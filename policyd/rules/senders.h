#ifndef POLICYD_RULES_SENDERS_H
#define POLICYD_RULES_SENDERS_H

/*
 * Which addresses somebody who is logged in may use, be it as the sender of the
 * envelope or in From: his own, his aliases, lists that he speaks for, and what
 * the administrator allows ([reject_sender_login_mismatch] and the settings for
 * accounts). No rule, but what two of them have in common.
 */

#include "policyd/facts/directory.h"
#include "policyd/facts/domains.h"
#include "policyd/rule.h"

/* An address that the login wants to use. */
struct senders_use {
	const struct address *address;
	enum domain_relation to_login; /* what its domain is to the login's */
	/* What the login is to it; NULL: that is not known, and not heeded. */
	bool (*fact_roles)(struct facts *facts, const struct roles **out);
};

enum senders_answer { SENDERS_MAY, SENDERS_MAY_NOT, SENDERS_UNREADY };

/* Asks for facts as rules do. */
enum senders_answer senders_judge(const struct request *req,
	struct facts *facts, const struct senders_use *use);
/* What would change SENDERS_MAY_NOT; what is "sender" or "From:". */
void senders_hint(const struct request *req, struct facts *facts,
	const char *what, struct verdict *out);
/* Whether it is the login itself, be it with an extension. */
bool senders_is_own(const struct request *req, const struct address *address);

/* Whether a list of the configuration has the word, in any case. */
bool senders_list_has(const struct config_list *list, struct slice word);
/* The same for the word made of what is before and after an @. */
bool senders_list_has_pair(const struct request *req,
	const struct config_list *list, struct slice before,
	struct slice after);

#endif
