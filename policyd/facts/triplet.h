#ifndef POLICYD_FACTS_TRIPLET_H
#define POLICYD_FACTS_TRIPLET_H

/*
 * Greylisting records, iredapd.greylisting_tracking: the triplet of sender,
 * recipient and client, and whether the client has passed before. Clients are
 * grouped by ipv4_prefix and ipv6_prefix and stored as "192.0.2.0/24"; with 32
 * or 128, and in rows that iRedAPD wrote, as the address itself. Both are
 * looked for.
 *
 * In front of the table is a bounded memory. What it holds is believed for
 * table_ttl, then read again; while the database is away it is believed
 * until it expires. Changes show in memory at once and are written in
 * batches.
 */

#include "policyd/facts.h"
#include "policyd/sources.h"

struct triplet {
	/* The client passed greylisting before and that has not expired. */
	bool client_has_passed;
	int64_t client_passed_until;
	/* The rest is only set when the client has not. */
	bool is_known; /* seen before, and the record has not expired */
	bool has_passed;
	int64_t first_seen, blocked_until, expires;
	uint64_t blocked_count;
	struct slice sender, recipient, client; /* as stored */
};

extern const struct fact_kind fact_kind_triplet;
bool fact_triplet(struct facts *facts, const struct triplet **out);

struct verdict;
/* First contact, or contact anew after the record expired. */
void effect_triplet_new(struct verdict *out, const struct request *req,
	const struct triplet *seen);
/* Came back too early. */
void effect_triplet_blocked(struct verdict *out, const struct request *req,
	const struct triplet *seen);
/* Came back in time: the triplet and its client have passed. */
void effect_triplet_passed(struct verdict *out, const struct request *req,
	const struct triplet *seen);
/* A client that has passed before was seen again: its time runs anew. */
void effect_client_seen(struct verdict *out, const struct request *req,
	const struct triplet *seen);

struct triplets *triplets_new(struct sources *sources);
void triplets_free(struct triplets *triplets);
/* A reload changed the configuration (limits, prefixes). */
void triplets_configure(struct triplets *triplets);
/*
 * Memory forgets everything,
 * so that the next request reads the table: after a change
 * made through policyctl.
 */
void triplets_forget(struct triplets *triplets);
/* The text under which a client is stored. */
struct slice triplet_client(struct arena *arena, const struct config *config,
	const struct ip *client);
struct triplets_state {
	size_t n_triplets, n_clients, size_bytes;
	size_t n_waiting_writes;
};
void triplets_state(const struct triplets *triplets,
	struct triplets_state *out);

#endif
