#ifndef POLICYD_FACTS_TRIPLET_STORE_H
#define POLICYD_FACTS_TRIPLET_STORE_H

/*
 * What triplet.c (asking) and triplet_write.c (effects) share: the memory in
 * front of iredapd.greylisting_tracking and the writes that wait. For nobody
 * else.
 */

#include <sys/queue.h>

#include "common/base/cache.h"
#include "common/base/map.h"
#include "common/io/db.h"
#include "policyd/facts/triplet.h"

/*
 * Memory is stamped in ticks of a tenth of a second. A reading counts as of
 * the tick in which it was asked for, a change made here as of the next one:
 * so no reading that was under way when the change was made undoes it.
 */
typedef uint32_t tick;

/*
 * A client text, whether it stands for a group or one address. The times are
 * UINT32 as in the table, which keeps a million triplets small.
 */
struct client_memory {
	uint32_t passed_until; /* 0 when it has not */
	tick checked_at;
};

/* A triplet whose row exists, under the client text it is stored with. */
struct triplet_memory {
	uint32_t first_seen, blocked_until, expires, blocked_count;
	tick checked_at;
	uint32_t has_passed;
};

/* The texts of a question, as the table holds them. */
struct triplet_key {
	struct slice sender, recipient;
	struct slice group; /* the client as policyd stores it */
	struct slice exact; /* as iRedAPD does; "" when that is the same */
};

struct writes {
	struct db_batch *triplets; /* rows made or changed */
	struct db_batch *removals; /* of rows not passed, of clients that did */
	struct db_batch *renewals; /* of passed clients */
	struct map *marks; /* memory keys with a write waiting: see mark */
	uint64_t last_number;
	size_t n_waiting;
};

struct triplets {
	struct sources *sources;
	struct cache *clients, *rows;
	uint64_t max_clients, max_rows;
	struct db_batch *lookups;
	struct map *asking;  /* key -> struct lookup, for single flight */
	unsigned generation; /* counts triplets_forget() */
	struct writes writes;
};

tick triplets_tick(void);
struct triplet_key triplet_key(const struct request *req);
struct hash128 triplet_client_hash(struct slice client);
struct hash128 triplet_row_hash(const struct triplet_key *key,
	struct slice client);
struct slice triplet_hash_text(const struct hash128 *hash);

void triplet_writes_open(struct triplets *triplets);
/* What still waits is lost, and counted. */
void triplet_writes_close(struct triplets *triplets);
/*
 * Whether a change of what this is the memory of still waits to be written:
 * then memory is right and the table is not yet.
 */
bool triplet_is_marked(const struct triplets *triplets, struct hash128 key);

#endif
