#ifndef TESTS_UNIT_DNS_FIXTURE_H
#define TESTS_UNIT_DNS_FIXTURE_H

/*
 * A resolver on the loop of the test, and common/io/dns.c that asks it. What
 * it answers stands in the first label of a name: "silent" nothing, "alias",
 * "none", "nx", "fail", "refused", "broken", "cut" to be asked over TCP, which
 * it does not speak; else the address 127.0.0.2.
 */

#include "common/io/dns.h"

struct loop;

/* Long enough for a slow machine; nothing here waits for it to pass. */
#define PATIENCE_MS 20000

extern struct loop *loop;
extern struct dns *dns;

void dns_fixture_setup(void); /* opens dns with room for everything */
void dns_fixture_teardown(void);
/* In place of the one that is open. */
void dns_fixture_reopen(const char *trust_anchor, size_t queries_max,
	size_t queries_per_payer);
/* The same, with a second resolver at an address that never answers. */
void dns_fixture_reopen_beside_a_dead_one(void);

/* Questions that have come to the resolver. */
unsigned server_n_asked(void);
/* Leaves questions where they are, or answers them all. */
void server_hold(void);
void server_release(void);

struct asked {
	struct dns_query *query;
	unsigned n_done;
	struct dns_answer answer; /* without what is gone after done */
	char reason[512], name[DNS_NAME_TEXT_MAX];
	uint8_t last_byte; /* of the first address */
};

/* dns_ask() that fails the test when it calls back at once. */
struct dns_query *ask_with(const char *name, enum dns_type type,
	uint64_t deadline_ms, const char *payer, dns_done_fn *done, void *arg);
void ask_for(struct asked *asked, const char *name, enum dns_type type,
	uint64_t deadline_ms);
/* An address, with patience, paid for by somebody. */
void ask_paid(struct asked *asked, const char *name, const char *payer);
void wait_for(struct asked *asked);
struct asked get(const char *name, enum dns_type type);
/* done for a struct asked. */
void on_asked(void *arg, const struct dns_answer *got);

#endif
