#ifndef COMMON_IO_DB_CONN_H
#define COMMON_IO_DB_CONN_H

/*
 * One connection to MariaDB, for db_pool.c: the only door to libmariadb,
 * which db.c alone includes. Connecting blocks on a helper thread of its
 * own; a connection that came out of it lives on the loop and runs one
 * statement at a time without ever waiting. Deadlines, queues and retries
 * are the pool's affair.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/db.h"
#include "common/io/loop.h"

struct db_conn;
struct db_connect;

/* A deep copy, and its end: the password is wiped. */
struct db_config *db_config_copy(const struct db_config *config);
void db_config_free(struct db_config *config);

#define DB_CONN_ERROR_MAX 512

struct db_conn_error {
	unsigned number; /* the server's or libmariadb's; 0 for none */
	char text[DB_CONN_ERROR_MAX]; /* "" for none */
};

/* conn now belongs to the callee; NULL when it failed, with error why. */
typedef void db_connect_fn(void *arg, struct db_conn *conn,
	const struct db_conn_error *error);

/* Tries once; fn is called once, from the loop, and ends the attempt. */
struct db_connect *db_connect_start(struct loop *loop,
	const struct db_config *config, db_connect_fn *fn, void *arg);
/* fn will not be called. The thread ends by itself when it can. */
void db_connect_cancel(struct db_connect *attempt);

/* Whether the number came from a server, not from libmariadb or from us. */
bool db_conn_is_server_error(unsigned number);

enum db_conn_outcome {
	DB_CONN_ANSWERED, /* by the server; error_number 0 or its error */
	DB_CONN_UNSENT,   /* connection dead, the statement never ran */
	DB_CONN_LOST,     /* connection dead, the statement may have run */
	DB_CONN_UNFIT,    /* it ran, but its rows are not as declared or too
			     many; the connection has to be freed */
};

struct db_conn_answer {
	enum db_conn_outcome outcome;
	const struct db_conn_error *error;
	uint64_t affected;
	const struct db_rows *rows; /* while the callback runs */
};

typedef void db_conn_answer_fn(void *arg, const struct db_conn_answer *answer);

/* Once, before there are threads. */
void db_conn_init_library(void);
/* Blocks, for up to the connect timeout. NULL when it failed. */
struct db_conn *db_conn_open(const struct db_config *config,
	struct db_conn_error *error);
/* Makes an opened connection ready to run statements on the loop. */
void db_conn_attach(struct db_conn *conn, struct loop *loop);
/* on_lost: an idle connection was closed by the other side. */
void db_conn_on_lost(struct db_conn *conn, loop_fn *on_lost, void *arg);
/*
 * Starts a statement on an idle connection. values must stay as they are
 * until it is answered; fn is called from the loop, not from here, and may
 * free the connection.
 */
void db_conn_run(struct db_conn *conn, const struct db_statement *statement,
	const struct db_value *values, db_conn_answer_fn *fn, void *arg);
/* Whether the server may have seen the statement that is under way. */
bool db_conn_was_sent(const struct db_conn *conn);
/* Whether an idle connection still has its other end, as far as known. */
bool db_conn_is_alive(const struct db_conn *conn);
const char *db_conn_server_version(const struct db_conn *conn);
/* Also with a statement under way, which is not answered then. */
void db_conn_free(struct db_conn *conn);

#endif
