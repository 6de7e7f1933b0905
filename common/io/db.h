#ifndef COMMON_IO_DB_H
#define COMMON_IO_DB_H

/*
 * MariaDB without waiting: a pool of connections to one database on one
 * loop, over libmariadb's non-blocking calls (which only db.c includes).
 * Connecting (name look-up, TLS, authentication) happens on a helper thread
 * because libmariadb blocks there; afterwards everything runs on the loop
 * and every statement has a deadline. Statements are prepared once per
 * connection; nothing is ever put into the text of a statement.
 *
 * Many keys travel in one statement as ONE parameter, a JSON array that the
 * statement opens with JSON_TABLE (MariaDB 10.6 or newer): one statement
 * text serves any number of keys, the keys keep their order, and the rows
 * that come back say which key they belong to. See struct db_batch.
 *
 * Deadlocks and lock timeouts (1213, 1205) are tried again with a jittered
 * pause until the deadline. A connection that was lost in mid-statement is
 * DB_UNCERTAIN for a statement that writes (it may have been committed) and
 * tried again on another connection for one that only reads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/str.h"

struct loop;
struct db;
struct db_rows;

enum db_tls {
	DB_TLS_OFF,
	DB_TLS_ON,     /* encrypted, certificate not checked */
	DB_TLS_VERIFY, /* certificate and name checked against tls_ca */
};

struct db_config {
	const char *label;  /* "iredapd", for messages */
	const char *socket; /* path; used when host is empty */
	const char *host;   /* name or address, or "" */
	unsigned port;
	const char *user;
	const char *password; /* never logged; wiped when the pool goes */
	const char *database;
	enum db_tls tls;
	const char *tls_ca; /* file, or "" for the system's */
	size_t connections; /* 1..64 */
	uint64_t connect_timeout_ms;
	uint64_t statement_timeout_ms; /* default deadline of a statement */
	size_t queue_max; /* statements waiting; more are refused */
	/* What helps when a table or a column is not there; may be NULL. */
	const char *remedy;
};

/* Copies config; starts to connect. Never fails: a bad host shows in
 * db_state(). */
struct db *db_new(struct loop *loop, const struct db_config *config);
/*
 * Everything still waiting is answered DB_UNAVAILABLE first, a write under
 * way DB_UNCERTAIN. Batches go before their pool. Neither this nor
 * db_batch_free() may be called from a callback of the pool.
 */
void db_free(struct db *db);

struct db_state {
	const char *label;  /* of the configuration */
	const char *remedy; /* the same, "" for none */
	bool is_up;         /* at least one connection works */
	size_t n_connections;
	size_t n_queued;
	const char *error; /* why not, or "" (no secrets) */
	char server_version[64];
	int64_t since; /* wall time of the last change of is_up */
};
void db_state(const struct db *db, struct db_state *out);
/*
 * Called once the first attempt to connect has ended, and then on every
 * change of is_up; the pool itself logs nothing. A connection that was lost
 * and replaced at once is no change. A statement that missed its deadline
 * makes the pool connect anew: if that does not succeed within half a second
 * the pool is down, and what waits is answered at once.
 */
void db_on_change(struct db *db, void (*fn)(void *arg, bool is_up), void *arg);
/* Who cannot wait long has a server that is away looked for at once, and then
 * as often as in the beginning. */
void db_hurry(struct db *db);

enum db_access { DB_READS, DB_WRITES };

/*
 * A statement: a static const next to its user. It is known by its address
 * and so has to stay as long as the pool.
 */
struct db_statement {
	const char *name; /* for messages and counters */
	const char *sql;
	enum db_access access;
	/*
	 * A letter each: s text, b bytes, i signed, u unsigned. Text is sent
	 * as utf8mb4; bytes that are not UTF-8 must have been dealt with.
	 */
	const char *params;
	const char *columns; /* of the result, "" for none */
};

struct db_value {
	struct slice text; /* s, b */
	uint64_t number;   /* u, and i cast */
	bool is_null;
};

enum db_status {
	DB_OK,
	DB_REFUSED,     /* the server answered with an error */
	DB_UNAVAILABLE, /* it was not reached, or not in time */
	DB_UNCERTAIN,   /* a write that may or may not have happened */
};

struct db_result {
	enum db_status status;
	unsigned error_number; /* the server's, for DB_REFUSED */
	const char *error;     /* for people; "" when DB_OK */
	uint64_t affected;     /* rows changed, as the server counts them */
	const struct db_rows *rows; /* valid during the callback only */
};

size_t db_rows_count(const struct db_rows *rows);
uint64_t db_rows_u64(const struct db_rows *rows, size_t row, size_t column);
int64_t db_rows_i64(const struct db_rows *rows, size_t row, size_t column);
struct slice db_rows_text(const struct db_rows *rows, size_t row,
	size_t column);
bool db_rows_is_null(const struct db_rows *rows, size_t row, size_t column);

typedef void db_done_fn(void *arg, const struct db_result *result);

/*
 * Runs one statement. values (one per letter of params) are copied. done is
 * called exactly once, from the loop. deadline_ms 0 is the pool's default.
 */
void db_run(struct db *db, const struct db_statement *statement,
	const struct db_value *values, uint64_t deadline_ms, db_done_fn *done,
	void *arg);

/*
 * For programs that may wait (policyctl db migrate): runs the loop until the
 * statement is answered, then calls done like db_run().
 */
void db_run_and_wait(struct loop *loop, struct db *db,
	const struct db_statement *statement, const struct db_value *values,
	uint64_t deadline_ms, db_done_fn *done, void *arg);

/*
 * A batch gathers items that go to the database as one statement. Whenever
 * it has items and fewer than max_in_flight statements under way, it takes
 * up to max_items, sorts them by compare (one lock order for all prevents
 * deadlocks), encodes each as one JSON array element, and runs the
 * statement. The statement has one 's' parameter, the JSON text, bound to
 * every '?' in it. Items are embedded in objects that belong to the owner
 * and must stay alive until done() has seen them.
 */
struct db_item {
	TAILQ_ENTRY(db_item) entry;
};

struct db_batch_ops {
	/* Its params: only 's', one or more. */
	const struct db_statement *statement;
	/* Appends the item as a JSON value, e.g. ["a","b",3]. */
	void (*encode)(const struct db_item *item, struct str *json);
	/* NULL keeps the order of arrival. */
	int (*compare)(const struct db_item *a, const struct db_item *b);
	/*
	 * The statement for items[0..n) was answered; items[i] was element i
	 * (0-based; FOR ORDINALITY counts from 1). Called once per statement.
	 * When the server refused what one item holds (too long, out of
	 * range), the items were tried apart until that one was alone: with
	 * such an error n is 1.
	 */
	void (*done)(void *owner, struct db_item **items, size_t n,
		const struct db_result *result);
	size_t max_items;     /* per statement, at most 1024 */
	size_t max_in_flight; /* statements under way at once */
	size_t max_waiting;   /* items; db_batch_add() refuses more */
	/*
	 * A patient batch keeps its items while the database is away, a lock
	 * stays or the server is in a state that has to be mended (read only,
	 * disk full, a table or a right missing), and tries again (also after
	 * DB_UNCERTAIN: its statement must be idempotent or its owner must bear
	 * a repeat); the others are answered DB_UNAVAILABLE at once while the
	 * pool is down, or after the pool's deadline.
	 */
	bool is_patient;
};

struct db_batch;

struct db_batch *db_batch_new(struct db *db, const struct db_batch_ops *ops,
	void *owner);
/* Items still in it are given to done() with DB_UNAVAILABLE. */
void db_batch_free(struct db_batch *batch);
/* False when max_waiting is reached: the item was not taken. */
bool db_batch_add(struct db_batch *batch, struct db_item *item);
/*
 * At most so many items in a second from now on, 0 for as many as go through:
 * for rows that can wait while others may not.
 */
void db_batch_pace(struct db_batch *batch, uint64_t items_per_second);
/* Items added and not yet answered. */
size_t db_batch_pending(const struct db_batch *batch);

#endif
