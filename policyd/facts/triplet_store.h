#ifndef POLICYD_FACTS_TRIPLET_STORE_H
#define POLICYD_FACTS_TRIPLET_STORE_H

/*
 * What triplet.c (asking), triplet_memory.c, triplet_effects.c and
 * triplet_write.c share: the memory in front of
 * iredapd.greylisting_tracking and the writes that wait. For nobody else.
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

/* What is known of a triplet, from memory, the table or both. */
struct triplet_view {
	struct client_memory group, exact;
	struct triplet_memory row;
	bool has_row;
	bool is_exact_row; /* stored under the client's own address */
};

/* One change that waits to be written. */
struct triplet_write {
	struct db_item item;
	uint64_t number; /* in order of arrival */
	/* Of a triplet: */
	struct slice sender, recipient, sender_domain, recipient_domain;
	int64_t first_seen, blocked_until;
	uint64_t blocked_count; /* if the row has to be made */
	bool has_passed;
	/* Of a triplet or a client: */
	struct slice client;
	int64_t now, expires;
	struct hash128 key; /* of the memory that is ahead of the table */
	char text[];
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

/* Of parts without NUL bytes. */
struct hash128 triplet_hash(const struct slice *parts, size_t n);

void triplet_memory_make(struct triplets *triplets);
void triplet_memory_free(struct triplets *triplets);
/* Everything memory holds of key, fresh or not; expired rows are none. */
struct triplet_view triplet_recall(const struct triplets *triplets,
	const struct triplet_key *key, int64_t now);
/* Whether memory alone may answer while the database is there. */
bool triplet_view_is_fresh(const struct triplets *triplets,
	const struct triplet_key *key, const struct triplet_view *view,
	int64_t now);
/* Whether it says enough to answer when nobody else can be asked. */
bool triplet_view_is_enough(const struct triplet_view *view, int64_t now);
/*
 * Takes what was read into memory, except where memory is newer: then *read
 * becomes what memory says.
 */
void triplet_remember(struct triplets *triplets, const struct triplet_key *key,
	struct triplet_view *read, int64_t now);

void triplet_writes_open(struct triplets *triplets);
/* What still waits is lost, and counted. */
void triplet_writes_close(struct triplets *triplets);
/*
 * Whether a change of what this is the memory of still waits to be written:
 * then memory is right and the table is not yet.
 */
bool triplet_is_marked(const struct triplets *triplets, struct hash128 key);

/*
 * Queues a change of a row, the removal of a client's rows that did not
 * pass, and a longer life for those that did. Copied; lost, and counted, when
 * limits.waiting_writes are waiting.
 */
void triplet_write_row(struct triplets *triplets,
	const struct triplet_write *write);
void triplet_write_removal(struct triplets *triplets,
	const struct triplet_write *write);
void triplet_write_renewal(struct triplets *triplets,
	const struct triplet_write *write);

#endif
