#ifndef COMMON_IO_SPF_DRIVER_H
#define COMMON_IO_SPF_DRIVER_H

/*
 * Gives the questions of an evaluation without I/O (common/mail/spf.h,
 * common/mail/spf_networks.h) to the DNS, and its answers back, until there is
 * an outcome or the time is over.
 */

#include "common/mail/spf.h"

struct dns;
struct loop;
struct spf_driver;

struct spf_check_config {
	uint64_t deadline_ms; /* of all of it */
	uint64_t question_ms; /* of each question */
	struct slice payer;   /* whose budget pays for them: dns_ask() */
};

/* Of the evaluation, which is the argument of all. */
struct spf_driver_ops {
	/* True when there is an outcome; false: ask. */
	bool (*evaluate)(void *arg);
	struct spf_question *(*next_question)(void *arg);
	void (*answer)(void *arg, struct spf_question *question,
		const struct dns_answer *answer);
	/*
	 * Once, from the loop and not from within spf_driver_new(): there is an
	 * outcome, or is_late. Nothing is under way any more; it frees the
	 * driver.
	 */
	void (*done)(void *arg, bool is_late);
};

struct spf_driver *spf_driver_new(struct loop *loop, struct dns *dns,
	const struct spf_check_config *config, const struct spf_driver_ops *ops,
	void *arg);
/* Takes back what is under way; accepts NULL. */
void spf_driver_free(struct spf_driver *driver);

#endif
