#ifndef COMMON_MAIL_SPF_NETWORKS_H
#define COMMON_MAIL_SPF_NETWORKS_H

/*
 * Which networks may send for a domain, by its SPF record: those whose
 * clients pass check_host() (spf.h), as far as that does not depend on the
 * mail. Without an SPF record those of its mail hosts. For lists that are
 * made before there is mail, such as the white-list of greylisting.
 *
 * Without I/O, in the way of spf.h: spf_networks_collect() goes as far as the
 * answers that are here allow, and from the top each time.
 *
 * As check_host(): only terms with the qualifier "+" count, of an include
 * only its own such terms, nothing behind "all"; where a record is broken it
 * ends. Other than check_host(): what an earlier term refuses is not cut out
 * of a later network, and there is a bound on questions in place of those on
 * terms, since many a large sender comes near to them.
 */

#include "common/mail/spf.h"

struct spf_networks;

#define SPF_NETWORKS_QUESTIONS_MAX 40u
#define SPF_NETWORKS_MAX           2000u
/* A record for each question, and DNS_RECORDS_MAX addresses. */
#define SPF_NETWORKS_ARENA_MAX ((size_t)8 << 20)

enum spf_networks_status {
	SPF_NETWORKS_ALL,
	/* A record is broken, or a bound was reached: the domain means more. */
	SPF_NETWORKS_BROKEN,
	/* The DNS failed somewhere: another attempt may find more. */
	SPF_NETWORKS_UNAVAILABLE,
};

struct spf_networks_outcome {
	enum spf_networks_status status;
	struct slice problem; /* a sentence's end; "" of SPF_NETWORKS_ALL */
	/*
	 * Each once, by network_compare(). Never one that would let in a good
	 * part of the world, or that no client is in: shorter than /8 (IPv4) or
	 * /16, loopback, 0.0.0.0/8, ::/8.
	 */
	const struct network *networks;
	size_t n_networks;
	unsigned n_dependent; /* terms left out: exists, ptr, macros */
	unsigned n_unfit;     /* networks left out, and "+all" */
	uint32_t ttl;         /* seconds for which it holds, 0 for unknown */
};

/*
 * domain: in A-labels, or U-labels, as a list that people keep may have it.
 * All of it lives in the arena.
 */
struct spf_networks *spf_networks_new(struct arena *arena, struct slice domain);
/* True when there is an outcome, which is then in *out; false: ask. */
bool spf_networks_collect(struct spf_networks *networks,
	struct spf_networks_outcome *out);
/* The next question that was not given out yet; NULL: there is none. */
struct spf_question *spf_networks_next_question(struct spf_networks *networks);
void spf_networks_answer(struct spf_networks *networks,
	struct spf_question *question, const struct dns_answer *answer);

#endif
