#include "policyd/lease.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "policyd/sources.h"

/* It is extended when a third is over; no statement takes the rest. */
#define EXTEND_US    (INT64_C(1000000) * LEASE_S / 3)
#define STATEMENT_MS 10000u
#define HOLDER_MAX   128
#define NODE_MAX     64

struct lease {
	struct sources *sources;
	const char *name;
	unsigned n_refs; /* one is the owner's, one of a statement under way */
	bool is_closed, is_busy;
	char self[HOLDER_MAX];
	int64_t held_us; /* when it was last ours; 0 when it is not */
	char holder[NODE_MAX + 1];
	/* Of the last time that it was done: */
	char node[NODE_MAX + 1];
	int64_t finished_at;
	uint64_t n_rows;
	/* Whom to tell; one of the two. */
	lease_held_fn *on_held;
	lease_given_fn *on_given;
	void *arg;
};

static void
unref(struct lease *lease)
{
	if (--lease->n_refs == 0)
		x_free(lease);
}

/* In a callback: false when there is nobody left to tell. */
static bool
is_wanted(struct lease *lease)
{
	const bool is_closed = lease->is_closed;

	lease->is_busy = false;
	unref(lease);
	return !is_closed;
}

static void
run(struct lease *lease, const struct db_statement *statement,
	const struct db_value *values, db_done_fn *done)
{
	assert(!lease->is_busy);
	lease->is_busy = true;
	lease->n_refs++;
	db_run(lease->sources->db[CONFIG_DB_POLICYD], statement, values,
		STATEMENT_MS, done, lease);
}

/* --- taking it ---------------------------------------------------------- */

/*
 * Takes it if it is free and the last run was long enough ago, or extends it;
 * tells whose it is now. MariaDB assigns from left to right, so what follows
 * sees the new holder. By primary key.
 */
static const struct db_statement hold_lease = {
	.name = "lease_hold",
	.sql = "INSERT INTO lease (name, holder, held_until) "
	       "VALUES (?, ?, UNIX_TIMESTAMP() + ?) "
	       "ON DUPLICATE KEY UPDATE "
	       "holder = IF(holder = VALUES(holder) "
	       "OR (held_until < UNIX_TIMESTAMP() "
	       "AND finished_at + ? <= UNIX_TIMESTAMP()), "
	       "VALUES(holder), holder), "
	       "held_until = IF(holder = VALUES(holder), VALUES(held_until), "
	       "held_until) "
	       "RETURNING holder, held_until >= UNIX_TIMESTAMP(), "
	       "finished_at, node, n_rows",
	.access = DB_WRITES,
	.params = "ssuu",
	.columns = "suusu",
};

enum { HOLD_HOLDER, HOLD_IS_HELD, HOLD_FINISHED_AT, HOLD_NODE, HOLD_ROWS };

static void
learn(struct lease *lease, const struct db_rows *rows)
{
	const struct slice holder = db_rows_text(rows, 0, HOLD_HOLDER);
	const ptrdiff_t end = slice_find_last(holder, '/');

	lease->finished_at = (int64_t)db_rows_u64(rows, 0, HOLD_FINISHED_AT);
	lease->n_rows = db_rows_u64(rows, 0, HOLD_ROWS);
	(void)snprintf(lease->node, sizeof(lease->node), "%.*s",
		SLICE_ARG(db_rows_text(rows, 0, HOLD_NODE)));
	(void)snprintf(lease->holder, sizeof(lease->holder), "%.*s",
		SLICE_ARG(slice_part(holder, 0, end > 0 ? (size_t)end : 0)));
}

static enum lease_status
status_of(struct lease *lease, const struct db_result *result)
{
	const bool was_held = lease->held_us != 0;

	if (result->status != DB_OK || db_rows_count(result->rows) != 1)
		return LEASE_UNKNOWN;
	learn(lease, result->rows);
	if (slice_eq_text(db_rows_text(result->rows, 0, HOLD_HOLDER),
		    lease->self)) {
		lease->held_us = clock_monotonic_us();
		return was_held ? LEASE_EXTENDED : LEASE_BEGUN;
	}
	lease->held_us = 0;
	return db_rows_u64(result->rows, 0, HOLD_IS_HELD) != 0 ? LEASE_OTHERS
							       : LEASE_TOO_SOON;
}

static void
on_held(void *arg, const struct db_result *result)
{
	struct lease *lease = arg;

	if (is_wanted(lease))
		lease->on_held(lease->arg, status_of(lease, result),
			result->error);
}

void
lease_hold(struct lease *lease, uint64_t due_after_s, lease_held_fn *done,
	void *arg)
{
	const struct db_value values[] = {
		{ .text = slice_of(lease->name) },
		{ .text = slice_of(lease->self) },
		{ .number = LEASE_S },
		{ .number = due_after_s },
	};

	lease->on_held = done;
	lease->arg = arg;
	run(lease, &hold_lease, values, on_held);
}

bool
lease_is_held(const struct lease *lease)
{
	return lease->held_us != 0;
}

bool
lease_is_due(const struct lease *lease)
{
	return clock_monotonic_us() - lease->held_us > EXTEND_US;
}

/* --- giving it back ----------------------------------------------------- */

static const struct db_statement finish_lease = {
	.name = "lease_finish",
	.sql = "UPDATE lease SET holder = '', held_until = 0, "
	       "finished_at = UNIX_TIMESTAMP(), node = ?, n_rows = ? "
	       "WHERE name = ? AND holder = ?",
	.access = DB_WRITES,
	.params = "suss",
	.columns = "",
};

static const struct db_statement drop_lease = {
	.name = "lease_drop",
	.sql = "UPDATE lease SET holder = '', held_until = 0 "
	       "WHERE name = ? AND holder = ?",
	.access = DB_WRITES,
	.params = "ss",
	.columns = "",
};

static void
on_given(void *arg, const struct db_result *result)
{
	struct lease *lease = arg;

	(void)result;
	if (is_wanted(lease))
		lease->on_given(lease->arg);
}

static void
give(struct lease *lease, const struct db_statement *statement,
	const struct db_value *values, lease_given_fn *done, void *arg)
{
	lease->held_us = 0;
	lease->on_given = done;
	lease->arg = arg;
	run(lease, statement, values, on_given);
}

void
lease_finish(struct lease *lease, uint64_t n_rows, lease_given_fn *done,
	void *arg)
{
	const char *node = lease->sources->node;
	const struct db_value values[] = {
		{ .text = slice_of(node) },
		{ .number = n_rows },
		{ .text = slice_of(lease->name) },
		{ .text = slice_of(lease->self) },
	};

	lease->finished_at = clock_wall();
	lease->n_rows = n_rows;
	(void)snprintf(lease->node, sizeof(lease->node), "%s", node);
	give(lease, &finish_lease, values, done, arg);
}

void
lease_drop(struct lease *lease, lease_given_fn *done, void *arg)
{
	const struct db_value values[] = {
		{ .text = slice_of(lease->name) },
		{ .text = slice_of(lease->self) },
	};

	give(lease, &drop_lease, values, done, arg);
}

/* --- life --------------------------------------------------------------- */

void
lease_last(const struct lease *lease, struct lease_last *out)
{
	out->at = lease->finished_at;
	out->node = lease->node;
	out->n_rows = lease->n_rows;
}

const char *
lease_holder(const struct lease *lease)
{
	return lease->holder;
}

/* Two nodes may have one name, and this one may have died a second ago. */
static void
name_self(struct lease *lease)
{
	const char *node = lease->sources->node;
	const uint64_t number = hash_u64(slice_of(node)) ^ (uint64_t)getpid();

	(void)snprintf(lease->self, sizeof(lease->self), "%.*s/%016llx",
		NODE_MAX, node, (unsigned long long)number);
}

struct lease *
lease_new(struct sources *sources, const char *name)
{
	struct lease *lease = x_new(struct lease);

	lease->sources = sources;
	lease->name = name;
	lease->n_refs = 1;
	name_self(lease);
	return lease;
}

void
lease_free(struct lease *lease)
{
	if (lease == NULL)
		return;
	lease->is_closed = true;
	unref(lease);
}
