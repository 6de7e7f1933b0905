#ifndef COMMON_IO_DB_POOL_H
#define COMMON_IO_DB_POOL_H

/*
 * What the pool (db_pool.c) tells the batches (db_batch.c) beside db.h.
 */

#include <stdint.h>
#include <sys/queue.h>

#include "common/io/loop.h"

struct db;

/* Embedded by who wants to know that the database is back. */
struct db_listener {
	TAILQ_ENTRY(db_listener) entry;
	loop_fn *fn;
	void *arg;
};

/* All have to be gone before db_free(). */
void db_listen(struct db *db, struct db_listener *listener);
void db_unlisten(struct db *db, struct db_listener *listener);

struct loop *db_loop(const struct db *db);

/* Between max_ms / 2 and max_ms, so that many do not come at once. */
uint64_t db_jitter_ms(uint64_t max_ms);

#endif
