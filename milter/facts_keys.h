#ifndef MILTER_FACTS_KEYS_H
#define MILTER_FACTS_KEYS_H

/*
 * With which keys the messages of a domain are signed. The milter has no
 * database: a policy process is asked, over milter/policy_client.h.
 *
 * Answers are remembered for a while, also that there is no key; equal
 * questions that are under way are one. A failure is not remembered, and is
 * never taken for "no key".
 *
 * To read a key from its text takes as long as a signature, 0.7 ms, so the
 * loop does not do that: the thread of the session does, when it is about to
 * sign. On the loop's thread a call has been given what was read before, and
 * gives what it has read itself to the next ones when it ends. Thus nothing is
 * locked; that some threads may read a new key at the same time, each for
 * itself, does no harm. A key that was read is kept by its text as long as it
 * is used, and longer than the answer that it came with.
 */

#include <stdint.h>

#include "milter/bridge.h"
#include "milter/signing.h"

struct key_set;
struct loop;
struct milter_keys;
struct policy_client;

/* Bounds of what is remembered: answers by domain, and keys that were read. */
#define KEYS_DOMAINS_MAX 10000u
#define KEYS_PARSED_MAX  4096u
/* Octets of a domain (RFC 1035, 2.3.4). */
#define KEYS_DOMAIN_MAX 253u

/* --- for a session ------------------------------------------------------ */

/* facts_ask_keys() of milter/facts.h makes one. */
struct facts_keys {
	struct bridge_call call;
	struct milter_keys *keys;
	char domain[KEYS_DOMAIN_MAX + 1]; /* the question */
	struct signing_keys answer;
	/* What the answer points to; NULL if it is not known. */
	struct key_set *set;
	/* Read by the session's thread: the key, or what is wrong with it. */
	struct crypto_key *made[SIGNING_KEYS_MAX];
	const char *err[SIGNING_KEYS_MAX];
	/* While it waits; the loop's. */
	struct keys_question *question;
	struct facts_keys *next;
};

/*
 * Once the call is answered, and once: the keys, ready to sign with until the
 * call is released. Reads those that nobody has read yet.
 */
const struct signing_keys *facts_keys_read(struct facts_keys *call);

/* --- for the loop ------------------------------------------------------- */

/* client stays the caller's. */
struct milter_keys *milter_keys_new(struct loop *loop,
	struct policy_client *client);
/* When no call is left. Accepts NULL. */
void milter_keys_free(struct milter_keys *keys);
/* How long answers are remembered, and waited for. */
void milter_keys_configure(struct milter_keys *keys, uint64_t ttl_ms,
	uint64_t timeout_ms);

/* The one function that another thread may call, that of a session. */
struct facts_keys *milter_keys_ask(struct milter_keys *keys,
	struct slice domain);

#endif
