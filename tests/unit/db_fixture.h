#ifndef TESTS_UNIT_DB_FIXTURE_H
#define TESTS_UNIT_DB_FIXTURE_H

/*
 * A private MariaDB for the tests of the database pool, with an empty
 * database test for each of them, and replies that can be waited for. It
 * listens on a socket and, with TLS, on 127.0.0.1. Nothing measures time: a
 * wait that should end early ends before FIXTURE_PATIENCE_MS or fails.
 */

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/db.h"
#include "common/io/loop.h"

#define FIXTURE_PATIENCE_MS 20000

struct fixture {
	struct loop *loop;
	unsigned n_open; /* answers still to come */
	unsigned n_ups;  /* changes of the last pool opened */
	unsigned n_downs;
};
extern struct fixture fixture;

/* Runs the tests; the exit status of the program. */
int fixture_main(const char *name, const TTest *const *tests, size_t n);

/* A command of tests/private_mariadb.sh. */
void fixture_server(const char *command);
unsigned fixture_free_port(void);

/* root on the socket; a user with a password, over TLS. */
struct db_config fixture_socket_config(void);
struct db_config fixture_tls_config(void);
struct db *fixture_pool(const struct db_config *config);

struct reply {
	bool is_here;
	enum db_status status;
	unsigned error_number;
	char error[256];
	uint64_t affected;
	size_t n_rows;
	uint64_t number; /* first row, first column */
	char *text;      /* the same */
	size_t text_len;
	bool is_null;
};
void reply_free(struct reply *reply);

/* Of db_run(); arg is a zeroed struct reply, fixture.n_open counts it. */
void fixture_take_reply(void *arg, const struct db_result *result);
void fixture_take_number(void *arg, const struct db_result *result);
/* Does both. */
void fixture_start(struct db *db, const struct db_statement *statement,
	const struct db_value *values, struct reply *reply);
/* Until nothing is open. */
void fixture_wait(void);
/* Until fixture.n_ups or fixture.n_downs has grown by one. */
void fixture_wait_for(const unsigned *counter);
struct reply fixture_ask(struct db *db, const struct db_statement *statement,
	const struct db_value *values);

#define ASSERT_OK(reply)                                        \
	ck_assert_msg((reply).status == DB_OK, "status %d: %s", \
		(int)(reply).status, (reply).error)

/* A statement is known by its address, so each needs one that stays. */
extern const struct db_statement select_one;
extern const struct db_statement select_forever;
extern const struct db_statement insert_note; /* id, text */
extern const struct db_statement count_notes;

#endif
