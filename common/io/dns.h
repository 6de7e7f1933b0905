#ifndef COMMON_IO_DNS_H
#define COMMON_IO_DNS_H

/*
 * Questions to the DNS, over libunbound (which only dns.c includes) on our
 * own loop. libunbound remembers answers for their time to live, asks again,
 * turns to TCP when an answer was cut, and validates where it was given a
 * trust anchor. Here are the deadline of each query, the bounds on how many
 * questions are under way, and answers that can be believed to be well-formed
 * (common/mail/dns_message.h).
 *
 * A question is a name and a type. However many queries ask it, it is under
 * way once, until libunbound has an answer or gives up: queries may come to
 * it and leave it meanwhile, and it counts also when nobody waits for it any
 * more. To come to one that is under way is free, whoever had it asked.
 *
 * Whose mail makes us ask is the payer of the question: for SPF, where the
 * sender writes the names that are asked for, the sender's domain. So that a
 * domain whose servers do not answer costs its own mail alone,
 *  - a payer may have queries_per_payer questions under way;
 *  - all payers together may have three quarters of queries_max, and what
 *    nobody pays for has the rest to itself;
 *  - of those three quarters a payer gets one more only while it has at most
 *    a quarter of what is left: who comes with many domains gets less for
 *    each, and there is something for one that has nothing under way.
 *
 * Made after fork(), on the loop's thread, freed before the loop.
 */

#include "common/mail/dns_answer.h"

struct dns;
struct dns_query;
struct loop;

#define DNS_PAYER_MAX 255u

struct dns_config {
	/*
	 * Whom to ask, each "ADDRESS" or "ADDRESS@PORT"; none: whoever stands
	 * in resolv.conf. Not used when is_recursive.
	 */
	const char *const *resolvers;
	size_t n_resolvers;
	bool is_recursive;        /* ask the servers of the zones themselves */
	const char *trust_anchor; /* file; "" does without DNSSEC */
	uint64_t timeout_ms;      /* what most are asked with as deadline_ms */
	uint64_t cache_bytes;
	size_t queries_max;       /* questions under way; more fail at once */
	size_t queries_per_payer; /* of them */
};

/* The answer is valid until done returns. */
typedef void dns_done_fn(void *arg, const struct dns_answer *answer);

/*
 * Never NULL. If the resolver cannot be set up, which is logged, all
 * questions fail with that reason.
 */
struct dns *dns_new(struct loop *loop, const struct dns_config *config);
/* Queries that were not answered are freed; done is not called. */
void dns_free(struct dns *dns);

/*
 * Asks for the records of a type. done is called once, from the loop and not
 * from within this call, at the latest when deadline_ms have passed. Any name
 * may be asked for; see DNS_NO_SUCH_NAME. payer is text in lower case, looked
 * at up to DNS_PAYER_MAX bytes; "" for what no sender can make us ask.
 */
struct dns_query *dns_ask(struct dns *dns, struct slice name,
	enum dns_type type, uint64_t deadline_ms, struct slice payer,
	dns_done_fn *done, void *arg);
/* done will not be called. Not any more once it was; accepts NULL. */
void dns_cancel(struct dns_query *query);

#endif
