#ifndef COMMON_IO_DNS_SESSION_H
#define COMMON_IO_DNS_SESSION_H

/*
 * Gives the questions of an evaluation without I/O (common/mail/spf.h,
 * common/mail/dmarc.h) to the DNS, and its answers back, until there is an
 * outcome or the time is over. What is evaluated it does not know.
 */

#include "common/mail/dns_answer.h"

struct dns;
struct dns_session;
struct loop;

struct dns_session_config {
	uint64_t deadline_ms; /* of all of it */
	uint64_t question_ms; /* of each question */
	struct slice payer;   /* whose budget pays for them: dns_ask() */
};

struct dns_session_question {
	void *question; /* the evaluation's: its answer comes with it */
	struct slice name;
	enum dns_type type;
};

/* Of the evaluation, which is the argument of all. */
struct dns_session_ops {
	/* True when there is an outcome; false: ask. */
	bool (*evaluate)(void *arg);
	/* False when there is none that was not given out yet. */
	bool (*next_question)(void *arg, struct dns_session_question *out);
	void (*answer)(void *arg, void *question,
		const struct dns_answer *answer);
	/*
	 * Once, from the loop and not from within dns_session_new(): there is
	 * an outcome, and late is NULL, or the time is over, and late says so.
	 * Nothing is under way any more; it frees the session, and late goes
	 * with it.
	 */
	void (*done)(void *arg, const char *late);
};

/* What config points to is copied. */
struct dns_session *dns_session_new(struct loop *loop, struct dns *dns,
	const struct dns_session_config *config,
	const struct dns_session_ops *ops, void *arg);
/* Takes back what is under way; accepts NULL. */
void dns_session_free(struct dns_session *session);

#endif
