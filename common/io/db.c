#include "common/io/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <mysql.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db_conn.h"
#include "common/io/db_rows.h"
#include "common/io/loop.h"

#define CELL_BYTES_MAX        256
#define OLDEST_SERVER_VERSION 100600 /* the first with JSON_TABLE */
/* Texts up to this long are copied with their row, longer ones one by one. */
#define SHORT_TEXT_BYTES 256
/* libmariadb's own numbers for its own errors; the others are the server's. */
#define CLIENT_ERROR_FIRST 2000
#define CLIENT_ERROR_LAST  2999
#define UNKNOWN_VARIABLE   1193
#define PACKET_BYTES_MAX   ((unsigned long)DB_ROWS_BYTES_MAX)

enum stage {
	STAGE_IDLE,      /* awaits a statement, or the other end's closing */
	STAGE_PREPARING, /* awaits the answer to COM_STMT_PREPARE */
	STAGE_EXECUTING, /* awaits the answer to COM_STMT_EXECUTE */
	STAGE_FETCHING,  /* awaits a row or the end of the rows */
	STAGE_ANSWERED,  /* awaits the end of the turn, to tell the owner */
};

/* A statement as this connection knows it. */
struct prepared {
	SLIST_ENTRY(prepared) entry;
	const struct db_statement *statement;
	MYSQL_STMT *stmt;
	bool is_prepared;
	MYSQL_BIND *params;
	unsigned long *param_lengths;
	size_t n_columns;
	MYSQL_BIND *results;
	struct column *columns;
};

/* Where libmariadb puts one column of a row. */
struct column {
	uint64_t number;
	unsigned long len;
	my_bool is_null;
	my_bool is_wrong; /* cut, or not the number it should be */
	char text[SHORT_TEXT_BYTES];
};

struct db_conn {
	MYSQL *mysql;
	/*
	 * Our own descriptor of its socket. libmariadb closes its one by itself
	 * when the connection breaks, and the loop would go on watching a
	 * number that by then may be somebody else's.
	 */
	int fd;
	struct loop_watch *watch;
	struct loop_turn *turn;
	enum stage stage;
	SLIST_HEAD(, prepared) statements;
	loop_fn *on_lost;
	void *on_lost_arg;

	/* The statement under way. */
	struct prepared *current;
	int (*resume)(int *, MYSQL_STMT *, int);
	const struct db_value *values;
	db_conn_answer_fn *fn;
	void *arg;
	struct db_rows rows;
	struct db_conn_answer answer;
	struct db_conn_error error;
};

/* --- logging in, which blocks -------------------------------------------- */

static unsigned
seconds_of(uint64_t ms)
{
	return ms == 0 ? 1 : (unsigned)((ms + 999) / 1000);
}

static void
set_tls(MYSQL *mysql, const struct db_config *config)
{
	const my_bool enforce = config->tls != DB_TLS_OFF;
	const my_bool verify = config->tls == DB_TLS_VERIFY;

	mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce);
	mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	if (!enforce)
		return;
	mysql_optionsv(mysql, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
	if (verify && config->tls_ca[0] != '\0')
		mysql_optionsv(mysql, MYSQL_OPT_SSL_CA, config->tls_ca);
}

static void
set_options(MYSQL *mysql, const struct db_config *config)
{
	const unsigned timeout_s = seconds_of(config->connect_timeout_ms);
	const unsigned no_local_files = 0;
	const unsigned long packet_bytes = PACKET_BYTES_MAX;
	const unsigned protocol = config->host[0] != '\0'
					  ? MYSQL_PROTOCOL_TCP
					  : MYSQL_PROTOCOL_SOCKET;

	mysql_optionsv(mysql, MYSQL_OPT_NONBLOCK, NULL);
	mysql_optionsv(mysql, MYSQL_OPT_PROTOCOL, &protocol);
	mysql_optionsv(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	/* A server must not be able to ask for our files. */
	mysql_optionsv(mysql, MYSQL_OPT_LOCAL_INFILE, &no_local_files);
	mysql_optionsv(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet_bytes);
	/* The latter two bound the greeting and the login; on the loop
	 * nothing waits inside libmariadb. */
	mysql_optionsv(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &timeout_s);
	mysql_optionsv(mysql, MYSQL_OPT_READ_TIMEOUT, &timeout_s);
	mysql_optionsv(mysql, MYSQL_OPT_WRITE_TIMEOUT, &timeout_s);
	set_tls(mysql, config);
}

static const char *
text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* Runs sql, ignoring one error. Puts the first cell, if any, into cell. */
static bool
query(MYSQL *mysql, const char *sql, unsigned ignored, unsigned column,
	struct str *cell)
{
	MYSQL_RES *result;
	MYSQL_ROW row;

	if (mysql_real_query(mysql, sql, strlen(sql)) != 0)
		return mysql_errno(mysql) == ignored;
	result = mysql_store_result(mysql);
	if (result == NULL)
		return mysql_errno(mysql) == 0;
	row = mysql_fetch_row(result);
	if (row != NULL && row[column] != NULL && cell != NULL)
		str_append_text(cell, row[column]);
	mysql_free_result(result);
	return true;
}

static bool
cell_is(MYSQL *mysql, const char *sql, unsigned column, const char *wanted,
	bool *ok)
{
	struct str cell;
	bool is_equal;

	str_init(&cell, CELL_BYTES_MAX);
	*ok = query(mysql, sql, UNKNOWN_VARIABLE, column, &cell);
	is_equal = *ok && strcmp(str_text(&cell), wanted) == 0;
	str_free(&cell);
	return is_equal;
}

/*
 * A Galera node sends the rows of RETURNING before it knows whether it can
 * commit, and would send them again when it repeats the statement by itself:
 * it must not; the pool repeats.
 */
static bool
set_up_galera(MYSQL *mysql, const char **err)
{
	bool ok;

	if (!cell_is(mysql, "SELECT @@wsrep_on", 0, "1", &ok))
		return ok;
	if (!cell_is(mysql, "SHOW STATUS LIKE 'wsrep_ready'", 1, "ON", &ok)) {
		if (ok)
			*err = "the Galera node is not ready";
		return false;
	}
	return query(mysql, "SET SESSION wsrep_retry_autocommit = 0",
		UNKNOWN_VARIABLE, 0, NULL);
}

/*
 * The texts of a JSON_TABLE have the collation of the database, and compared
 * with a column of another one the server refuses, or reads the whole table
 * where only the character sets differ. Tables keep the collation that they
 * were made with, whatever the database, the server or its version say later:
 * for this session the database's is what most columns of its tables have.
 */
static const char adopt_collation[] =
	"SET SESSION collation_database = COALESCE("
	"(SELECT COLLATION_NAME FROM information_schema.COLUMNS"
	" WHERE TABLE_SCHEMA = DATABASE() AND CHARACTER_SET_NAME"
	" IN ('utf8mb4', 'utf8mb3', 'utf8') GROUP BY COLLATION_NAME"
	" ORDER BY COUNT(*) DESC, COLLATION_NAME LIMIT 1),"
	" @@collation_database)";

static bool
set_up_session(MYSQL *mysql, const char **err)
{
	static const char *const commands[] = {
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET SESSION autocommit = 1, SESSION time_zone = '+00:00',"
		" SESSION innodb_lock_wait_timeout = 2,"
		" SESSION sql_mode = 'STRICT_ALL_TABLES,"
		"ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
		adopt_collation,
	};

	if (mysql_get_server_version(mysql) < OLDEST_SERVER_VERSION) {
		*err = "the server is older than MariaDB 10.6";
		return false;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!query(mysql, commands[i], 0, 0, NULL))
			return false;
	return set_up_galera(mysql, err);
}

/*
 * libmariadb leaves the socket blocking, and reads from it through OpenSSL
 * as it is: a slow answer over TLS would hold the loop.
 */
static bool
unblock(MYSQL *mysql)
{
	int fd = mysql_get_socket(mysql);
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void
wipe_password(MYSQL *mysql)
{
	if (mysql->passwd != NULL)
		explicit_bzero(mysql->passwd, strlen(mysql->passwd));
}

static bool
log_in(MYSQL *mysql, const struct db_config *config, const char **err)
{
	set_options(mysql, config);
	if (mysql_real_connect(mysql, text_or_null(config->host), config->user,
		    config->password, text_or_null(config->database),
		    config->port, text_or_null(config->socket), 0) == NULL)
		return false;
	wipe_password(mysql);
	if (!set_up_session(mysql, err))
		return false;
	return config->tls == DB_TLS_OFF || unblock(mysql);
}

static void
tell_why(MYSQL *mysql, const char *err, struct db_conn_error *error)
{
	error->number = err == NULL ? mysql_errno(mysql) : 0;
	snprintf(error->text, sizeof(error->text), "%s",
		err == NULL ? mysql_error(mysql) : err);
}

static struct db_conn *
open_conn(const struct db_config *config, struct db_conn_error *error)
{
	const char *err = NULL;
	struct db_conn *conn;
	MYSQL *mysql = mysql_init(NULL);
	int fd;

	if (mysql == NULL) {
		snprintf(error->text, sizeof(error->text), "out of memory");
		return NULL;
	}
	if (!log_in(mysql, config, &err)) {
		tell_why(mysql, err, error);
		mysql_close(mysql);
		return NULL;
	}
	fd = fcntl(mysql_get_socket(mysql), F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		snprintf(error->text, sizeof(error->text),
			"no file descriptor is left");
		mysql_close(mysql);
		return NULL;
	}
	conn = x_new(struct db_conn);
	conn->mysql = mysql;
	conn->fd = fd;
	SLIST_INIT(&conn->statements);
	return conn;
}

struct db_conn *
db_conn_open(const struct db_config *config, struct db_conn_error *error)
{
	struct db_conn *conn;

	mysql_thread_init();
	conn = open_conn(config, error);
	mysql_thread_end();
	return conn;
}

void
db_conn_init_library(void)
{
	mysql_library_init(0, NULL, NULL);
}

/* --- a connection on the loop -------------------------------------------- */

static void go_on(struct db_conn *conn, int wait, int result);

static void
watch_ready(void *arg, unsigned events)
{
	struct db_conn *conn = arg;
	int ready = 0;
	int wait, result;

	if (conn->stage == STAGE_IDLE) {
		/* The server says nothing unasked but good-bye. */
		loop_watch_set(conn->watch, 0);
		if (conn->on_lost != NULL)
			conn->on_lost(conn->on_lost_arg);
		return;
	}
	if (conn->stage == STAGE_ANSWERED)
		return;
	if ((events & LOOP_READ) != 0)
		ready |= MYSQL_WAIT_READ;
	if ((events & LOOP_WRITE) != 0)
		ready |= MYSQL_WAIT_WRITE;
	crypto_forget_errors();
	wait = conn->resume(&result, conn->current->stmt, ready);
	go_on(conn, wait, result);
}

static void
tell_answer(void *arg)
{
	struct db_conn *conn = arg;
	db_conn_answer_fn *fn = conn->fn;

	conn->stage = STAGE_IDLE;
	conn->fn = NULL;
	loop_watch_set(conn->watch,
		conn->answer.outcome == DB_CONN_ANSWERED ? LOOP_READ : 0);
	fn(conn->arg, &conn->answer);
}

void
db_conn_attach(struct db_conn *conn, struct loop *loop)
{
	conn->watch = loop_watch_new(loop, conn->fd, watch_ready, conn);
	conn->turn = loop_turn_new(loop, tell_answer, conn);
	loop_watch_set(conn->watch, LOOP_READ);
}

static void
prepared_free(struct prepared *prepared)
{
	mysql_stmt_close(prepared->stmt);
	x_free(prepared->params);
	x_free(prepared->param_lengths);
	x_free(prepared->results);
	x_free(prepared->columns);
	x_free(prepared);
}

/*
 * libmariadb's co-routine may hold memory, so it is not dropped where it
 * hangs: on a socket that was shut down every wait of it ends in an error.
 */
static void
break_off(struct db_conn *conn)
{
	int wait = MYSQL_WAIT_READ;
	int result;

	shutdown(conn->fd, SHUT_RDWR);
	for (int i = 0; wait != 0 && i < 100; i++)
		wait = conn->resume(&result, conn->current->stmt,
			MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
}

void
db_conn_free(struct db_conn *conn)
{
	struct prepared *prepared;

	if (conn == NULL)
		return;
	if (conn->stage != STAGE_IDLE && conn->stage != STAGE_ANSWERED)
		break_off(conn);
	loop_watch_free(conn->watch);
	loop_turn_free(conn->turn);
	close(conn->fd);
	/* Before its statements: what is left of them to free is local. */
	mysql_close(conn->mysql);
	while ((prepared = SLIST_FIRST(&conn->statements)) != NULL) {
		SLIST_REMOVE_HEAD(&conn->statements, entry);
		prepared_free(prepared);
	}
	db_rows_clear(&conn->rows);
	x_free(conn);
}

void
db_conn_on_lost(struct db_conn *conn, loop_fn *on_lost, void *arg)
{
	conn->on_lost = on_lost;
	conn->on_lost_arg = arg;
}

bool
db_conn_was_sent(const struct db_conn *conn)
{
	switch (conn->stage) {
	case STAGE_IDLE:
	case STAGE_PREPARING:
		return false;
	case STAGE_EXECUTING:
	case STAGE_FETCHING:
		return true;
	case STAGE_ANSWERED:
		return conn->answer.outcome != DB_CONN_UNSENT;
	}
	return true;
}

bool
db_conn_is_alive(const struct db_conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

const char *
db_conn_server_version(const struct db_conn *conn)
{
	return mysql_get_server_info(conn->mysql);
}

bool
db_conn_is_server_error(unsigned number)
{
	return number != 0 &&
	       (number < CLIENT_ERROR_FIRST || number > CLIENT_ERROR_LAST);
}

/* --- a statement --------------------------------------------------------- */

/* The server does not count for a statement that has rows. */
static uint64_t
affected(const struct db_conn *conn)
{
	if (conn->current->n_columns > 0)
		return db_rows_count(&conn->rows);
	return mysql_stmt_affected_rows(conn->current->stmt);
}

static void
answer(struct db_conn *conn, enum db_conn_outcome outcome, unsigned number,
	const char *text)
{
	conn->error.number = number;
	snprintf(conn->error.text, sizeof(conn->error.text), "%s", text);
	conn->answer = (struct db_conn_answer){
		.outcome = outcome,
		.error = &conn->error,
		.rows = &conn->rows,
	};
	if (number != 0 || text[0] != '\0')
		db_rows_begin(&conn->rows, conn->current->statement->columns);
	else
		conn->answer.affected = affected(conn);
	conn->stage = STAGE_ANSWERED;
	loop_watch_set(conn->watch, LOOP_READ);
	loop_turn_ask(conn->turn);
}

/*
 * An error of libmariadb's own means that it and the server no longer agree
 * about where they are, whatever the number says.
 */
static void
answer_error(struct db_conn *conn)
{
	MYSQL_STMT *stmt = conn->current->stmt;
	unsigned number = mysql_stmt_errno(stmt);
	const char *text = mysql_stmt_error(stmt);
	enum db_conn_outcome outcome = DB_CONN_ANSWERED;

	if (number == 0) {
		number = mysql_errno(conn->mysql);
		text = mysql_error(conn->mysql);
	}
	if (!db_conn_is_server_error(number))
		outcome = conn->stage == STAGE_PREPARING ? DB_CONN_UNSENT
							 : DB_CONN_LOST;
	answer(conn, outcome, number,
		text[0] != '\0' ? text : "the connection was lost");
}

/* The fault of a statement or of a table, not of the connection; but what
 * is left of the result is not worth reading. */
static void
answer_unfit(struct db_conn *conn, const char *text)
{
	answer(conn, DB_CONN_UNFIT, 0, text);
}

static void
bind_param(const struct db_value *value, char letter, MYSQL_BIND *bind,
	unsigned long *length)
{
	*bind = (MYSQL_BIND){ 0 };
	if (value->is_null) {
		bind->buffer_type = MYSQL_TYPE_NULL;
		return;
	}
	if (letter == 'i' || letter == 'u') {
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = (void *)(uintptr_t)&value->number;
		bind->is_unsigned = letter == 'u';
		return;
	}
	assert(letter == 's' || letter == 'b');
	*length = value->text.len;
	bind->buffer_type = letter == 's' ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
	bind->buffer = value->text.len == 0
			       ? length
			       : (void *)(uintptr_t)value->text.ptr;
	bind->buffer_length = value->text.len;
	bind->length = length;
}

static int
start_prepare(struct db_conn *conn, int *result)
{
	const char *sql = conn->current->statement->sql;

	conn->stage = STAGE_PREPARING;
	conn->resume = mysql_stmt_prepare_cont;
	return mysql_stmt_prepare_start(result, conn->current->stmt, sql,
		strlen(sql));
}

static int
start_execute(struct db_conn *conn, int *result)
{
	struct prepared *current = conn->current;
	const char *letters = current->statement->params;
	size_t n = strlen(letters);

	/* Both are written in the same place: a statement that does not fit
	 * its own description is a bug. */
	assert(mysql_stmt_param_count(current->stmt) == n);
	conn->stage = STAGE_EXECUTING;
	conn->resume = mysql_stmt_execute_cont;
	for (size_t i = 0; i < n; i++)
		bind_param(&conn->values[i], letters[i], &current->params[i],
			&current->param_lengths[i]);
	if (n > 0 && mysql_stmt_bind_param(current->stmt, current->params)) {
		*result = 1;
		return 0;
	}
	return mysql_stmt_execute_start(result, current->stmt);
}

static int
start_fetch(struct db_conn *conn, int *result)
{
	conn->stage = STAGE_FETCHING;
	conn->resume = mysql_stmt_fetch_cont;
	return mysql_stmt_fetch_start(result, conn->current->stmt);
}

static bool
is_number(char letter)
{
	return letter == 'i' || letter == 'u';
}

static size_t
row_text_bytes(const struct prepared *current)
{
	const char *letters = current->statement->columns;
	size_t sum = 0;

	for (size_t i = 0; i < current->n_columns; i++)
		if (!is_number(letters[i]) && !current->columns[i].is_null)
			sum += current->columns[i].len;
	return sum;
}

static bool
take_long_text(struct prepared *current, unsigned i, char *to)
{
	struct column *column = &current->columns[i];
	unsigned long len;
	MYSQL_BIND bind = {
		.buffer_type = MYSQL_TYPE_STRING,
		.buffer = to,
		.buffer_length = column->len,
		.length = &len,
	};

	return mysql_stmt_fetch_column(current->stmt, &bind, i, 0) == 0 &&
	       len == column->len;
}

static bool
take_cell(struct db_conn *conn, unsigned i)
{
	struct prepared *current = conn->current;
	struct column *column = &current->columns[i];
	char *to;

	if (column->is_null) {
		db_rows_add_null(&conn->rows);
		return true;
	}
	if (is_number(current->statement->columns[i])) {
		db_rows_add_number(&conn->rows, column->number);
		return !column->is_wrong;
	}
	to = db_rows_add_text(&conn->rows, column->len);
	if (column->len > sizeof(column->text))
		return take_long_text(current, i, to);
	memcpy(to, column->text, column->len);
	return true;
}

/* NULL, or why the row cannot be taken. */
static const char *
take_row(struct db_conn *conn)
{
	struct prepared *current = conn->current;

	if (!db_rows_has_room(&conn->rows, row_text_bytes(current)))
		return "the result is too large";
	for (unsigned i = 0; i < current->n_columns; i++)
		if (!take_cell(conn, i))
			return "a column is not of the declared type";
	return NULL;
}

static void
bind_result(const struct prepared *current, size_t i)
{
	struct column *column = &current->columns[i];
	MYSQL_BIND *bind = &current->results[i];
	char letter = current->statement->columns[i];

	*bind = (MYSQL_BIND){
		.length = &column->len,
		.is_null = &column->is_null,
		.error = &column->is_wrong,
	};
	if (is_number(letter)) {
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = &column->number;
		bind->is_unsigned = letter == 'u';
		return;
	}
	assert(letter == 's' || letter == 'b');
	bind->buffer_type = MYSQL_TYPE_STRING;
	bind->buffer = column->text;
	bind->buffer_length = sizeof(column->text);
}

/* True when there are rows to fetch; else the statement was answered. */
static bool
begin_rows(struct db_conn *conn)
{
	struct prepared *current = conn->current;
	size_t n = mysql_stmt_field_count(current->stmt);

	if (n != current->n_columns) {
		answer_unfit(conn,
			"the statement has not the declared columns");
		return false;
	}
	if (n == 0) {
		answer(conn, DB_CONN_ANSWERED, 0, "");
		return false;
	}
	if (mysql_stmt_bind_result(current->stmt, current->results)) {
		answer_error(conn);
		return false;
	}
	return true;
}

/*
 * Rows are fetched as they come and collected here rather than with
 * mysql_stmt_store_result(), which knows no bound. That the statement
 * succeeded is known only at the end of its rows: the rows of RETURNING are
 * sent before the commit.
 */
static bool
fetched(struct db_conn *conn, int result)
{
	const char *err;

	switch (result) {
	case 0:
	case MYSQL_DATA_TRUNCATED:
		err = take_row(conn);
		if (err == NULL)
			return true;
		answer_unfit(conn, err);
		return false;
	case MYSQL_NO_DATA:
		answer(conn, DB_CONN_ANSWERED, 0, "");
		return false;
	default:
		answer_error(conn);
		return false;
	}
}

/*
 * Ends a stage and starts the next one, for as long as nothing has to be
 * waited for.
 */
static int
next(struct db_conn *conn, int *result)
{
	switch (conn->stage) {
	case STAGE_PREPARING:
		if (*result != 0)
			break;
		conn->current->is_prepared = true;
		return start_execute(conn, result);
	case STAGE_EXECUTING:
		if (*result != 0)
			break;
		return begin_rows(conn) ? start_fetch(conn, result) : 0;
	case STAGE_FETCHING:
		return fetched(conn, *result) ? start_fetch(conn, result) : 0;
	case STAGE_IDLE:
	case STAGE_ANSWERED:
		assert(false); /* no statement is under way */
	}
	answer_error(conn);
	return 0;
}

static void
go_on(struct db_conn *conn, int wait, int result)
{
	unsigned events = 0;

	while (wait == 0 && conn->stage != STAGE_ANSWERED)
		wait = next(conn, &result);
	if (conn->stage == STAGE_ANSWERED)
		return;
	if ((wait & (MYSQL_WAIT_READ | MYSQL_WAIT_EXCEPT)) != 0)
		events |= LOOP_READ;
	if ((wait & MYSQL_WAIT_WRITE) != 0)
		events |= LOOP_WRITE;
	/* MYSQL_WAIT_TIMEOUT is left out: the pool has its own deadlines. */
	loop_watch_set(conn->watch, events);
}

static struct prepared *
prepared_new(struct db_conn *conn, const struct db_statement *statement)
{
	struct prepared *prepared = x_new(struct prepared);
	size_t n_params = strlen(statement->params);

	prepared->stmt = mysql_stmt_init(conn->mysql);
	assert(prepared->stmt != NULL); /* only without memory */
	prepared->statement = statement;
	prepared->n_columns = strlen(statement->columns);
	prepared->params = x_new_array(n_params, MYSQL_BIND);
	prepared->param_lengths = x_new_array(n_params, unsigned long);
	prepared->results = x_new_array(prepared->n_columns, MYSQL_BIND);
	prepared->columns = x_new_array(prepared->n_columns, struct column);
	for (size_t i = 0; i < prepared->n_columns; i++)
		bind_result(prepared, i);
	SLIST_INSERT_HEAD(&conn->statements, prepared, entry);
	return prepared;
}

static struct prepared *
find_prepared(struct db_conn *conn, const struct db_statement *statement)
{
	struct prepared *prepared;

	SLIST_FOREACH(prepared, &conn->statements, entry)
	{
		if (prepared->statement == statement)
			return prepared;
	}
	return prepared_new(conn, statement);
}

void
db_conn_run(struct db_conn *conn, const struct db_statement *statement,
	const struct db_value *values, db_conn_answer_fn *fn, void *arg)
{
	int wait, result;

	assert(conn->stage == STAGE_IDLE && conn->fn == NULL);
	conn->current = find_prepared(conn, statement);
	conn->values = values;
	conn->fn = fn;
	conn->arg = arg;
	db_rows_begin(&conn->rows, statement->columns);
	metric_add(METRIC_SQL_STATEMENTS, 1);
	crypto_forget_errors();
	wait = conn->current->is_prepared ? start_execute(conn, &result)
					  : start_prepare(conn, &result);
	go_on(conn, wait, result);
}
