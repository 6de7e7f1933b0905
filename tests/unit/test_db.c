/*
 * The database pool against a private MariaDB, which tests/private_mariadb.sh
 * makes. Nothing here measures time: a wait that should end early ends before
 * PATIENCE_MS or fails.
 */

#include "common/io/db.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"

#define PATIENCE_MS 20000
#define SKIPPED     77
#define PASSWORD    "s3cret-Pass"
#define LONG_BYTES  ((size_t)200 * 1024)

extern char **environ;

static char directory[64];
static char script[4096];
static char socket_path[128];
static char ca_path[128];
static char port_text[16];
static unsigned port;

/* --- the server ---------------------------------------------------------- */

static int
spawn_and_wait(const char *const *argv)
{
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL,
		    (char *const *)(uintptr_t)argv, environ) != 0)
		return -1;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void
server(const char *command)
{
	const char *argv[] = { "sh", script, command, directory, NULL };

	if (spawn_and_wait(argv) == 0)
		return;
	fprintf(stderr, "test_db: cannot %s the server\n", command);
	exit(EXIT_FAILURE);
}

static bool
is_installed(const char *program)
{
	const char *argv[] = { "sh", "-c",
		"PATH=$PATH:/usr/sbin; command -v \"$0\" >/dev/null", program,
		NULL };

	return spawn_and_wait(argv) == 0;
}

static unsigned
free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		exit(EXIT_FAILURE);
	close(fd);
	return ntohs(address.sin_port);
}

static void
make_certificate(void)
{
	char key[128];
	const char *argv[] = { "sh", "-c", "exec \"$@\" 2>/dev/null", "sh",
		"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
		"-out", ca_path, "-days", "2", "-subj", "/CN=db.test",
		"-addext", "subjectAltName=IP:127.0.0.1", NULL };
	const char *readable[] = { "chmod", "644", key, NULL };
	char options[400];

	snprintf(key, sizeof(key), "%s/key.pem", directory);
	snprintf(ca_path, sizeof(ca_path), "%s/cert.pem", directory);
	if (spawn_and_wait(argv) != 0 || spawn_and_wait(readable) != 0)
		exit(EXIT_FAILURE);
	snprintf(options, sizeof(options), "--ssl-cert=%s --ssl-key=%s",
		ca_path, key);
	setenv("MARIADB_OPTIONS", options, 1);
}

static void
set_up_server(void)
{
	const char *root = getenv("SOURCE_DIR");

	snprintf(directory, sizeof(directory), "/tmp/policyd-test-db-XXXXXX");
	if (mkdtemp(directory) == NULL)
		exit(EXIT_FAILURE);
	snprintf(script, sizeof(script), "%s/tests/private_mariadb.sh",
		root == NULL ? "." : root);
	snprintf(socket_path, sizeof(socket_path), "%s/mariadb.sock",
		directory);
	port = free_port();
	snprintf(port_text, sizeof(port_text), "%u", port);
	setenv("MARIADB_PORT", port_text, 1);
	setenv("MARIADB_FLUSH", "0", 1);
	make_certificate();
	server("start");
}

static void
remove_server(void)
{
	const char *argv[] = { "rm", "-rf", directory, NULL };

	server("stop");
	spawn_and_wait(argv);
}

/* --- a pool and its answers ---------------------------------------------- */

static struct loop *loop;
static unsigned n_open; /* answers still to come */
static unsigned n_ups, n_downs;

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

static void
reply_free(struct reply *reply)
{
	x_free(reply->text);
	*reply = (struct reply){ 0 };
}

static void
take_reply(void *arg, const struct db_result *result)
{
	struct reply *reply = arg;

	ck_assert(!reply->is_here);
	reply->is_here = true;
	reply->status = result->status;
	reply->error_number = result->error_number;
	reply->affected = result->affected;
	reply->n_rows = db_rows_count(result->rows);
	snprintf(reply->error, sizeof(reply->error), "%s", result->error);
	ck_assert_int_ne(result->error[0] == '\0', result->status != DB_OK);
	if (--n_open == 0)
		loop_stop(loop);
}

static void
take_number(void *arg, const struct db_result *result)
{
	struct reply *reply = arg;

	if (db_rows_count(result->rows) > 0) {
		reply->number = db_rows_u64(result->rows, 0, 0);
		reply->is_null = db_rows_is_null(result->rows, 0, 0);
	}
	take_reply(arg, result);
}

static void
take_text(void *arg, const struct db_result *result)
{
	struct reply *reply = arg;

	if (db_rows_count(result->rows) > 0) {
		struct slice text = db_rows_text(result->rows, 0, 0);

		reply->text = slice_strdup(text);
		reply->text_len = text.len;
		reply->is_null = db_rows_is_null(result->rows, 0, 0);
	}
	take_reply(arg, result);
}

static void
take_change(void *arg, bool is_up)
{
	struct db_state state;

	db_state(arg, &state);
	ck_assert_int_eq(state.is_up, is_up);
	if (is_up)
		n_ups++;
	else
		n_downs++;
	loop_stop(loop);
}

static struct db_config
socket_config(void)
{
	return (struct db_config){
		.label = "test",
		.socket = socket_path,
		.host = "",
		.user = "root",
		.password = "",
		.database = "",
		.tls = DB_TLS_OFF,
		.tls_ca = "",
		.connections = 2,
		.connect_timeout_ms = 2000,
		.statement_timeout_ms = PATIENCE_MS * 2,
		.queue_max = 100,
	};
}

static struct db_config
tls_config(void)
{
	struct db_config config = socket_config();

	config.host = "127.0.0.1";
	config.port = port;
	config.user = "tester";
	config.password = PASSWORD;
	config.tls = DB_TLS_VERIFY;
	config.tls_ca = ca_path;
	return config;
}

static struct db *
open_pool(const struct db_config *config)
{
	struct db *db = db_new(loop, config);

	n_ups = n_downs = 0;
	db_on_change(db, take_change, db);
	return db;
}

static void
wait_for_replies(void)
{
	for (int i = 0; n_open > 0 && i < 100; i++)
		loop_run_for(loop, PATIENCE_MS / 100);
	ck_assert_uint_eq(n_open, 0);
}

static void
wait_for_change(const unsigned *counter)
{
	unsigned before = *counter;

	for (int i = 0; *counter == before && i < 100; i++)
		loop_run_for(loop, PATIENCE_MS / 100);
	ck_assert_uint_eq(*counter, before + 1);
}

static void
start(struct db *db, const struct db_statement *statement,
	const struct db_value *values, struct reply *reply)
{
	db_done_fn *done = take_reply;

	if (statement->columns[0] == 'u' || statement->columns[0] == 'i')
		done = take_number;
	else if (statement->columns[0] != '\0')
		done = take_text;
	*reply = (struct reply){ 0 };
	n_open++;
	db_run(db, statement, values, 0, done, reply);
	ck_assert(!reply->is_here);
}

static struct reply
ask(struct db *db, const struct db_statement *statement,
	const struct db_value *values)
{
	struct reply reply;

	start(db, statement, values, &reply);
	wait_for_replies();
	return reply;
}

#define ASSERT_OK(reply)                                        \
	ck_assert_msg((reply).status == DB_OK, "status %d: %s", \
		(int)(reply).status, (reply).error)

/* A statement is known by its address, so each needs one that stays. */
static const struct db_statement select_one = { "select_one", "SELECT 1",
	DB_READS, "", "u" };
static const struct db_statement select_slowly = { "select_slowly",
	"SELECT SLEEP(0.3)", DB_READS, "", "u" };
static const struct db_statement select_forever = { "select_forever",
	"SELECT SLEEP(100)", DB_READS, "", "u" };
static const struct db_statement insert_forever = { "insert_forever",
	"INSERT INTO test.note (id) SELECT SLEEP(100) + 10", DB_WRITES, "",
	"" };
static const struct db_statement insert_note = { "insert_note",
	"INSERT INTO test.note (id, text) VALUES (?, ?)", DB_WRITES, "us", "" };
static const struct db_statement count_notes = { "count_notes",
	"SELECT COUNT(*) FROM test.note", DB_READS, "", "u" };
static const struct db_statement sum_counters = { "sum_counters",
	"SELECT SUM(n) FROM test.counter", DB_READS, "", "u" };

/* Prepared texts live as long as their pool: these pools end at once. */
static void
set_up_schema(void)
{
	static const struct db_statement statements[] = {
		{ "", "CREATE OR REPLACE DATABASE test", DB_WRITES, "", "" },
		{ "",
			"CREATE TABLE test.note (id BIGINT UNSIGNED PRIMARY "
			"KEY, text VARCHAR(20) CHARACTER SET utf8mb4)",
			DB_WRITES, "", "" },
		{ "",
			"CREATE TABLE test.counter (k VARCHAR(20) PRIMARY "
			"KEY, n BIGINT NOT NULL)",
			DB_WRITES, "", "" },
		{ "",
			"CREATE OR REPLACE USER tester@'%' IDENTIFIED BY '" //
			PASSWORD "'",
			DB_WRITES, "", "" },
		{ "", "GRANT ALL ON test.* TO tester@'%'", DB_WRITES, "", "" },
	};
	struct db_config config = socket_config();
	struct db *db;

	loop = loop_new();
	n_open = 0;
	db = open_pool(&config);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		ASSERT_OK(ask(db, &statements[i], NULL));
	db_free(db);
}

static void
set_up(void)
{
	server("start");
	set_up_schema();
}

static void
tear_down(void)
{
	loop_free(loop);
}

/* --- values -------------------------------------------------------------- */

static struct db_value
text_value(const char *text)
{
	return (struct db_value){ .text = slice_of(text) };
}

START_TEST(texts_come_back)
{
	static const struct db_statement echo = { "echo", "SELECT ?", DB_READS,
		"s", "s" };
	static const struct db_statement hex = { "hex",
		"SELECT CONCAT(CHAR_LENGTH(?), HEX(?))", DB_READS, "ss", "s" };
	static char long_text[LONG_BYTES + 1];
	static const char *const texts[] = { "", "plain", "it's \"x\" \\ %",
		"\xF0\x9F\x98\x80 \xC3\xBC", long_text };
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct db_value emoji[2];
	struct reply reply;

	memset(long_text, 'x', LONG_BYTES);
	long_text[LONG_BYTES - 1] = 'y';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct db_value value = text_value(texts[i]);

		reply = ask(db, &echo, &value);
		ASSERT_OK(reply);
		ck_assert_uint_eq(reply.text_len, strlen(texts[i]));
		ck_assert_str_eq(reply.text, texts[i]);
		ck_assert(!reply.is_null);
		reply_free(&reply);
	}
	emoji[0] = emoji[1] = text_value("\xF0\x9F\x98\x80");
	reply = ask(db, &hex, emoji);
	ASSERT_OK(reply);
	ck_assert_str_eq(reply.text, "1F09F9880");
	reply_free(&reply);
	reply = ask(db, &echo, &(struct db_value){ .is_null = true });
	ASSERT_OK(reply);
	ck_assert(reply.is_null);
	reply_free(&reply);
	db_free(db);
}
END_TEST

static void
check_mixed_rows(void *arg, const struct db_result *result)
{
	const struct db_rows *rows = result->rows;

	ck_assert_int_eq(result->status, DB_OK);
	ck_assert_uint_eq(db_rows_count(rows), 2);
	ck_assert_int_eq(db_rows_i64(rows, 0, 0), -5);
	ck_assert(db_rows_u64(rows, 0, 1) == UINT64_MAX);
	ck_assert(slice_eq_text(db_rows_text(rows, 0, 2), "a"));
	ck_assert_uint_eq(db_rows_text(rows, 0, 3).len, 2);
	ck_assert_int_eq(db_rows_text(rows, 0, 3).ptr[1], '\0');
	for (size_t column = 0; column < 4; column++) {
		ck_assert(!db_rows_is_null(rows, 0, column));
		ck_assert(db_rows_is_null(rows, 1, column));
	}
	ck_assert_uint_eq(db_rows_text(rows, 1, 2).len, 0);
	take_reply(arg, result);
}

START_TEST(columns_have_their_types)
{
	static const struct db_statement mixed = { "mixed",
		"SELECT ?, ?, ?, ? UNION ALL SELECT NULL, NULL, NULL, NULL",
		DB_READS, "iusb", "iusb" };
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct reply reply = { 0 };
	struct db_value values[4] = { { .number = (uint64_t)-5 },
		{ .number = UINT64_MAX }, { .text = SLICE("a") },
		{ .text = { "\xff\0", 2 } } };

	n_open = 1;
	db_run(db, &mixed, values, 0, check_mixed_rows, &reply);
	memset(values, 'x', sizeof(values)); /* they were copied */
	wait_for_replies();
	db_free(db);
}
END_TEST

START_TEST(refusals_are_told)
{
	static const struct db_statement no_table = { "no_table",
		"SELECT 1 FROM test.missing", DB_READS, "", "u" };
	static const struct db_statement two_columns = { "two", "SELECT 1, 2",
		DB_READS, "", "u" };
	static const struct db_statement not_a_number = { "text",
		"SELECT 'twelve'", DB_READS, "", "u" };
	static const struct db_statement too_large = { "large",
		"SELECT REPEAT('x', 1000000) FROM seq_1_to_100", DB_READS, "",
		"s" };
	struct db_value values[2] = { { .number = 1 },
		{ .text = SLICE("longer than its column is") } };
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct reply reply;

	for (int i = 0; i < 2; i++) {
		reply = ask(db, &no_table, NULL);
		ck_assert_int_eq(reply.status, DB_REFUSED);
		ck_assert_uint_eq(reply.error_number, 1146);
		reply = ask(db, &insert_note, values);
		ck_assert_int_eq(reply.status, DB_REFUSED);
		ck_assert_uint_eq(reply.error_number, 1406);
	}
	ck_assert_int_eq(ask(db, &two_columns, NULL).status, DB_REFUSED);
	ck_assert_int_eq(ask(db, &not_a_number, NULL).status, DB_REFUSED);
	config.database = "test";
	db_free(db);
	db = open_pool(&config);
	reply = ask(db, &too_large, NULL);
	ck_assert_int_eq(reply.status, DB_REFUSED);
	ck_assert_str_eq(reply.error, "the result is too large");
	values[1].text = SLICE("fits");
	reply = ask(db, &insert_note, values);
	ASSERT_OK(reply);
	ck_assert_uint_eq(reply.affected, 1);
	ck_assert_uint_eq(n_downs, 0);
	db_free(db);
}
END_TEST

START_TEST(many_wait_in_line)
{
	enum { N = 60 };
	struct reply replies[N + 5];
	struct db_config config = socket_config();
	struct db *db;
	unsigned n_refused = 0;

	config.queue_max = N;
	db = open_pool(&config);
	for (size_t i = 0; i < N + 5; i++)
		start(db, &select_one, NULL, &replies[i]);
	wait_for_replies();
	for (size_t i = 0; i < N + 5; i++) {
		if (replies[i].status == DB_OK)
			ck_assert_uint_eq(replies[i].number, 1);
		else
			n_refused++;
	}
	ck_assert_uint_eq(n_refused, 5);
	db_free(db);
}
END_TEST

START_TEST(a_program_may_wait)
{
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct reply reply = { 0 };

	n_open = 1;
	db_run_and_wait(loop, db, &select_one, NULL, 0, take_number, &reply);
	ASSERT_OK(reply);
	ck_assert_uint_eq(reply.number, 1);
	db_free(db);
}
END_TEST

/* --- batches ------------------------------------------------------------- */

static const struct db_statement add_up = { "add_up",
	"INSERT INTO test.counter (k, n) SELECT j.k, j.n FROM JSON_TABLE(?,"
	" '$[*]' COLUMNS (pos FOR ORDINALITY, k VARCHAR(100) PATH '$[0]',"
	" n BIGINT PATH '$[1]')) AS j ORDER BY j.pos"
	" ON DUPLICATE KEY UPDATE n = counter.n + VALUES(n)"
	" RETURNING k, n",
	DB_WRITES, "s", "si" };

struct counted {
	struct db_item item;
	const char *key;
	int64_t n;
	int64_t sum; /* after it */
	bool is_done;
	enum db_status status;
};

static struct counted *
counted_of(const struct db_item *item)
{
	return (struct counted *)(uintptr_t)item;
}

static void
encode_counted(const struct db_item *item, struct str *json)
{
	const struct counted *counted = counted_of(item);

	str_append_char(json, '[');
	str_append_json(json, slice_of(counted->key));
	str_append_char(json, ',');
	str_append_i64(json, counted->n);
	str_append_char(json, ']');
}

static int
compare_counted(const struct db_item *a, const struct db_item *b)
{
	return strcmp(counted_of(a)->key, counted_of(b)->key);
}

static void
take_counted(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	unsigned *n_statements = owner;

	++*n_statements;
	ck_assert(result->status != DB_OK || db_rows_count(result->rows) == n);
	for (size_t i = 0; i < n; i++) {
		struct counted *counted = counted_of(items[i]);

		ck_assert(!counted->is_done);
		counted->is_done = true;
		counted->status = result->status;
		if (result->status == DB_OK) {
			ck_assert(
				slice_eq_text(db_rows_text(result->rows, i, 0),
					counted->key));
			counted->sum = db_rows_i64(result->rows, i, 1);
		}
	}
	n_open -= (unsigned)n;
	if (n_open == 0)
		loop_stop(loop);
}

static const struct db_batch_ops counter_ops = {
	.statement = &add_up,
	.encode = encode_counted,
	.compare = compare_counted,
	.done = take_counted,
	.max_items = 256,
	.max_in_flight = 1,
	.max_waiting = 1000,
};

static void
add_all(struct db_batch *batch, struct counted *items, size_t n)
{
	n_open = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		ck_assert(db_batch_add(batch, &items[i].item));
	ck_assert_uint_eq(db_batch_pending(batch), n);
}

START_TEST(a_turn_makes_one_statement)
{
	struct counted items[] = {
		{ .key = "b", .n = 1 },
		{ .key = "a", .n = 5 },
		{ .key = "b", .n = 2 },
		{ .key = "quote\"d \xC3\xBC", .n = -7 },
	};
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);

	add_all(batch, items, 4);
	wait_for_replies();
	ck_assert_uint_eq(n_statements, 1);
	ck_assert_int_eq(items[0].sum, 1);
	ck_assert_int_eq(items[1].sum, 5);
	ck_assert_int_eq(items[2].sum, 3);
	ck_assert_int_eq(items[3].sum, -7);
	ck_assert_uint_eq(db_batch_pending(batch), 0);
	db_batch_free(batch);
	ck_assert_uint_eq(ask(db, &sum_counters, NULL).number, 1);
	db_free(db);
}
END_TEST

START_TEST(a_batch_is_bounded)
{
	static struct counted items[1000];
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);
	struct counted more = { .key = "more" };

	memset(items, 0, sizeof(items));
	for (size_t i = 0; i < 1000; i++)
		items[i] = (struct counted){ .key = "same", .n = 1 };
	add_all(batch, items, 1000);
	ck_assert(!db_batch_add(batch, &more.item));
	wait_for_replies();
	ck_assert_uint_eq(n_statements, 4);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(items[i].sum, (int64_t)i + 1);
	db_batch_free(batch);
	db_free(db);
}
END_TEST

START_TEST(one_bad_item_spoils_no_other)
{
	static struct counted items[50];
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);

	for (size_t i = 0; i < 50; i++)
		items[i] = (struct counted){ .key = "good", .n = 1 };
	items[17].key = "much too long for the column of its table";
	add_all(batch, items, 50);
	wait_for_replies();
	for (size_t i = 0; i < 50; i++)
		ck_assert_int_eq(items[i].status, i == 17 ? DB_REFUSED : DB_OK);
	db_batch_free(batch);
	ck_assert_uint_eq(ask(db, &sum_counters, NULL).number, 49);
	db_free(db);
}
END_TEST

START_TEST(what_is_left_in_a_batch_is_told)
{
	struct counted items[] = { { .key = "a" }, { .key = "b" },
		{ .key = "c" } };
	struct db_batch_ops ops = counter_ops;
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch;

	ops.max_items = 1;
	batch = db_batch_new(db, &ops, &n_statements);
	add_all(batch, items, 3);
	loop_run_for(loop, 0); /* one gets under way, two wait */
	db_batch_free(batch);
	ck_assert_uint_eq(n_open, 0);
	ck_assert_int_eq(items[2].status, DB_UNAVAILABLE);
	db_free(db);
}
END_TEST

START_TEST(patience_outlives_the_server)
{
	struct counted items[] = { { .key = "a", .n = 1 },
		{ .key = "b", .n = 1 }, { .key = "a", .n = 1 } };
	struct counted early = { .key = "c", .n = 1 };
	struct db_batch_ops ops = counter_ops;
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *patient, *other;

	ops.is_patient = true;
	patient = db_batch_new(db, &ops, &n_statements);
	other = db_batch_new(db, &counter_ops, &n_statements);
	wait_for_change(&n_ups);
	server("kill");
	wait_for_change(&n_downs);
	add_all(other, &early, 1);
	wait_for_replies();
	ck_assert_int_eq(early.status, DB_UNAVAILABLE);
	add_all(patient, items, 3);
	loop_run_for(loop, 300);
	ck_assert_uint_eq(n_open, 3);
	server("start");
	wait_for_replies();
	ck_assert_int_eq(items[0].sum + items[2].sum, 3);
	ck_assert_int_eq(items[1].sum, 1);
	db_batch_free(patient);
	db_batch_free(other);
	db_free(db);
}
END_TEST

/* --- a server that goes away --------------------------------------------- */

START_TEST(killed_in_mid_statement)
{
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct reply read, write, next;
	struct db_state state;

	wait_for_change(&n_ups);
	ck_assert_uint_eq(ask(db, &count_notes, NULL).number, 0);
	start(db, &select_forever, NULL, &read);
	start(db, &insert_forever, NULL, &write);
	loop_run_for(loop, 200);
	ck_assert_uint_eq(n_open, 2);
	server("kill");
	wait_for_replies();
	ck_assert_int_eq(read.status, DB_UNAVAILABLE);
	ck_assert_int_eq(write.status, DB_UNCERTAIN);
	next = ask(db, &select_one, NULL);
	ck_assert_int_eq(next.status, DB_UNAVAILABLE);
	db_state(db, &state);
	ck_assert(!state.is_up && state.error[0] != '\0');
	ck_assert_uint_eq(n_downs, 1);
	server("start");
	wait_for_change(&n_ups);
	db_state(db, &state);
	ck_assert(state.is_up);
	ck_assert_str_eq(state.error, "");
	ck_assert(strstr(state.server_version, "MariaDB") != NULL);
	ck_assert_uint_eq(ask(db, &count_notes, NULL).number, 0);
	ck_assert_uint_eq(n_downs, 1);
	db_free(db);
}
END_TEST

/* The loop does not turn meanwhile, so the pool finds out by trying. */
START_TEST(restarted_while_nobody_looked)
{
	struct db_value values[2] = { { .number = 1 },
		{ .text = SLICE("first") } };
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);

	ASSERT_OK(ask(db, &insert_note, values));
	server("stop");
	server("start");
	values[0].number = 2;
	ASSERT_OK(ask(db, &insert_note, values));
	ck_assert_uint_eq(ask(db, &count_notes, NULL).number, 2);
	ck_assert_uint_eq(n_downs, 0);
	db_free(db);
}
END_TEST

START_TEST(not_there_from_the_start)
{
	struct db_config config = socket_config();
	struct reply first, second;
	struct db *db;

	server("kill");
	db = open_pool(&config);
	start(db, &select_one, NULL, &first);
	wait_for_replies();
	ck_assert_int_eq(first.status, DB_UNAVAILABLE);
	ck_assert_uint_eq(n_downs, 1);
	second = ask(db, &select_one, NULL);
	ck_assert_int_eq(second.status, DB_UNAVAILABLE);
	server("start");
	wait_for_change(&n_ups);
	ASSERT_OK(ask(db, &select_one, NULL));
	db_free(db);
}
END_TEST

/*
 * The first statement has a deadline, all later ones would wait too long for
 * this test if they had to wait for theirs.
 */
static void
freeze(const struct db_config *config)
{
	struct db *db = open_pool(config);
	struct reply first = { 0 }, later[20], write;

	ASSERT_OK(ask(db, &select_one, NULL));
	server("freeze");
	n_open = 1;
	db_run(db, &select_one, NULL, 300, take_number, &first);
	wait_for_replies();
	ck_assert_int_eq(first.status, DB_UNAVAILABLE);
	for (size_t i = 0; i < 20; i++)
		start(db, &select_one, NULL, &later[i]);
	wait_for_replies();
	for (size_t i = 0; i < 20; i++)
		ck_assert_int_eq(later[i].status, DB_UNAVAILABLE);
	ck_assert_uint_eq(n_downs, 1);
	write = ask(db, &insert_note, (struct db_value[2]){ 0 });
	ck_assert_int_eq(write.status, DB_UNAVAILABLE);
	server("thaw");
	wait_for_change(&n_ups);
	ASSERT_OK(ask(db, &select_one, NULL));
	ck_assert_uint_eq(ask(db, &count_notes, NULL).number, 0);
	db_free(db);
}

START_TEST(frozen)
{
	struct db_config config = socket_config();

	freeze(&config);
}
END_TEST

START_TEST(frozen_with_tls)
{
	struct db_config config = tls_config();

	freeze(&config);
}
END_TEST

/* A large write fills the socket of a frozen server and hangs there. */
START_TEST(frozen_in_mid_write)
{
	static char long_text[4 << 20];
	static const struct db_statement length = { "length",
		"SELECT LENGTH(?)", DB_READS, "s", "u" };
	struct db_config config = tls_config();
	struct db_value value = { .text = { long_text, sizeof(long_text) } };

	memset(long_text, 'x', sizeof(long_text));
	for (int i = 0; i < 2; i++) {
		struct db *db = open_pool(&config);
		struct reply reply = ask(db, &length, &value);

		ASSERT_OK(reply);
		ck_assert_uint_eq(reply.number, sizeof(long_text));
		server("freeze");
		n_open = 1;
		db_run(db, &length, &value, 300, take_number, &reply);
		reply.is_here = false;
		wait_for_replies();
		ck_assert_int_eq(reply.status, DB_UNAVAILABLE);
		server("thaw");
		db_free(db);
		config = socket_config();
	}
}
END_TEST

/* The pool notices by itself and connects anew, without being down. */
START_TEST(a_killed_connection_is_replaced)
{
	static const struct db_statement who = { "who",
		"SELECT CONNECTION_ID()", DB_READS, "", "u" };
	static const struct db_statement kill = { "kill", "KILL ?", DB_WRITES,
		"u", "" };
	struct db_config config = tls_config();
	struct db *victim, *admin;
	struct db_value id = { 0 };
	struct reply reply;

	config.connections = 1;
	victim = open_pool(&config);
	config = socket_config();
	admin = open_pool(&config);
	for (int i = 0; i < 3; i++) {
		reply = ask(victim, &who, NULL);
		ASSERT_OK(reply);
		ck_assert_uint_ne(reply.number, id.number);
		id.number = reply.number;
		ASSERT_OK(ask(admin, &kill, &id));
		if (i == 1) /* once with time to notice */
			loop_run_for(loop, 100);
	}
	start(victim, &select_forever, NULL, &reply);
	loop_run_for(loop, 100);
	ck_assert_uint_eq(n_downs, 0);
	db_free(victim);
	ck_assert_int_eq(reply.status, DB_UNAVAILABLE);
	db_free(admin);
}
END_TEST

/* A deadline that one statement misses must not fail the others. */
START_TEST(one_slow_statement)
{
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct reply slow = { 0 }, later[20];

	wait_for_change(&n_ups);
	n_open = 1;
	db_run(db, &select_forever, NULL, 100, take_number, &slow);
	wait_for_replies();
	ck_assert_int_eq(slow.status, DB_UNAVAILABLE);
	for (size_t i = 0; i < 20; i++)
		start(db, &select_one, NULL, &later[i]);
	wait_for_replies();
	for (size_t i = 0; i < 20; i++)
		ASSERT_OK(later[i]);
	ck_assert_uint_eq(n_downs, 0);
	db_free(db);
}
END_TEST

/* --- TLS, logging in ----------------------------------------------------- */

static struct loop_timer *tick_timer;
static unsigned n_ticks;

static void
tick(void *arg)
{
	(void)arg;
	n_ticks++;
	loop_timer_set(tick_timer, 10);
}

START_TEST(tls_does_not_hold_the_loop)
{
	static const struct db_statement cipher = { "cipher",
		"SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS"
		" WHERE VARIABLE_NAME = 'Ssl_cipher'",
		DB_READS, "", "s" };
	struct db_config config = tls_config();
	struct db *db = open_pool(&config);
	uint64_t n_connects = metric_get(METRIC_SQL_RECONNECTS);
	struct reply reply = ask(db, &cipher, NULL);

	ASSERT_OK(reply);
	ck_assert_uint_gt(reply.text_len, 0);
	reply_free(&reply);
	tick_timer = loop_timer_new(loop, tick, NULL);
	loop_timer_set(tick_timer, 10);
	n_ticks = 0;
	ASSERT_OK(ask(db, &select_slowly, NULL));
	ck_assert_uint_ge(n_ticks, 5);
	/* What TLS itself sends is not taken for the server's good-bye. */
	ck_assert_uint_eq(metric_get(METRIC_SQL_RECONNECTS), n_connects + 2);
	loop_timer_free(tick_timer);
	db_free(db);
}
END_TEST

static void
assert_no_login(const struct db_config *config, const char *why)
{
	struct db *db = open_pool(config);
	struct db_state state;
	struct reply reply;

	reply = ask(db, &select_one, NULL);
	ck_assert_int_eq(reply.status, DB_UNAVAILABLE);
	db_state(db, &state);
	ck_assert(!state.is_up);
	ck_assert_msg(strstr(state.error, why) != NULL, "%s", state.error);
	ck_assert(strstr(state.error, config->password) == NULL);
	ck_assert(strstr(reply.error, config->password) == NULL);
	db_free(db);
}

START_TEST(logins_that_fail)
{
	struct db_config config = tls_config();

	config.password = "wr0ng-pass";
	assert_no_login(&config, "Access denied");
	config = tls_config();
	config.tls_ca = "/etc/hostname"; /* holds no certificate */
	assert_no_login(&config, "");
	config = tls_config();
	config.tls_ca = ""; /* the system's, which do not know it */
	assert_no_login(&config, "certificate");
	config = tls_config();
	config.database = "no_such_database";
	assert_no_login(&config, "no_such_database");
	config = tls_config();
	config.port = free_port();
	assert_no_login(&config, "127.0.0.1");
}
END_TEST

START_TEST(tls_without_verifying)
{
	struct db_config config = tls_config();
	struct db *db;

	config.tls = DB_TLS_ON;
	config.tls_ca = "";
	db = open_pool(&config);
	ASSERT_OK(ask(db, &select_one, NULL));
	db_free(db);
}
END_TEST

START_TEST(the_session_is_as_agreed)
{
	static const struct db_statement settings = { "settings",
		"SELECT CONCAT_WS(' ', @@tx_isolation, @@autocommit + 0,"
		" @@time_zone, @@innodb_lock_wait_timeout,"
		" @@character_set_client, @@character_set_results,"
		" @@sql_mode LIKE '%STRICT_ALL_TABLES%')",
		DB_READS, "", "s" };
	struct db_config config = socket_config();
	struct db *db = open_pool(&config);
	struct reply reply = ask(db, &settings, NULL);

	ASSERT_OK(reply);
	ck_assert_str_eq(reply.text,
		"READ-COMMITTED 1 +00:00 2 utf8mb4 utf8mb4 1");
	reply_free(&reply);
	db_free(db);
}
END_TEST

/* --- locks --------------------------------------------------------------- */

static const struct db_statement begin = { "begin", "START TRANSACTION",
	DB_WRITES, "", "" };
static const struct db_statement commit = { "commit", "COMMIT", DB_WRITES, "",
	"" };
static const struct db_statement touch = { "touch",
	"UPDATE test.note SET text = CONCAT(text, 'x') WHERE id = ?", DB_WRITES,
	"u", "" };

static void
insert_two_notes(struct db *db)
{
	struct db_value values[2] = { { .number = 1 }, { .text = SLICE("") } };

	ASSERT_OK(ask(db, &insert_note, values));
	values[0].number = 2;
	ASSERT_OK(ask(db, &insert_note, values));
}

/*
 * Each of two sessions holds the row that the other wants. The server
 * refuses one of them; its pool tries again and gets the row when the other
 * has committed.
 */
START_TEST(a_deadlock_is_tried_again)
{
	struct db_value one = { .number = 1 }, two = { .number = 2 };
	struct db_config config = socket_config();
	struct db *left, *right;
	struct reply l, r;
	uint64_t before;

	config.connections = 1;
	left = open_pool(&config);
	right = open_pool(&config);
	insert_two_notes(left);
	ASSERT_OK(ask(left, &begin, NULL));
	ASSERT_OK(ask(right, &begin, NULL));
	ASSERT_OK(ask(left, &touch, &one));
	ASSERT_OK(ask(right, &touch, &two));
	before = metric_get(METRIC_SQL_RETRIES);
	start(left, &touch, &two, &l);
	start(right, &touch, &one, &r);
	while (!l.is_here && !r.is_here)
		loop_run_for(loop, 10);
	n_open++;
	db_run(l.is_here ? left : right, &commit, NULL, 0, take_reply,
		&(struct reply){ 0 });
	wait_for_replies();
	ASSERT_OK(l);
	ASSERT_OK(r);
	ck_assert_uint_gt(metric_get(METRIC_SQL_RETRIES), before);
	db_free(left);
	db_free(right);
}
END_TEST

START_TEST(a_lock_that_stays_is_told)
{
	struct db_value one = { .number = 1 };
	struct db_config config = socket_config();
	struct db *left, *right;
	struct reply reply = { 0 };

	config.connections = 1;
	left = open_pool(&config);
	right = open_pool(&config);
	insert_two_notes(left);
	ASSERT_OK(ask(left, &begin, NULL));
	ASSERT_OK(ask(left, &touch, &one));
	n_open = 1;
	db_run(right, &touch, &one, 2020, take_reply, &reply);
	wait_for_replies();
	/* The server's answer or the deadline, whichever was first. */
	ck_assert(reply.status == DB_REFUSED ? reply.error_number == 1205
					     : reply.status == DB_UNCERTAIN);
	db_free(left);
	db_free(right);
}
END_TEST

/* --- ending -------------------------------------------------------------- */

START_TEST(freed_at_any_time)
{
	struct db_config config = tls_config();
	struct reply replies[5];
	struct db *db;

	config.connections = 3;
	for (uint64_t ms = 0; ms < 12; ms++) {
		db = open_pool(&config);
		for (size_t i = 0; i < 5; i++)
			start(db, &select_slowly, NULL, &replies[i]);
		loop_run_for(loop, ms);
		db_free(db);
		ck_assert_uint_eq(n_open, 0);
		for (size_t i = 0; i < 5; i++)
			ck_assert_int_eq(replies[i].status, DB_UNAVAILABLE);
	}
	db_free(NULL);
	db_batch_free(NULL);
}
END_TEST

static Suite *
make_suite(void)
{
	const TTest *const tests[] = { texts_come_back,
		columns_have_their_types, refusals_are_told, many_wait_in_line,
		a_program_may_wait, a_turn_makes_one_statement,
		a_batch_is_bounded, one_bad_item_spoils_no_other,
		what_is_left_in_a_batch_is_told, patience_outlives_the_server,
		killed_in_mid_statement, restarted_while_nobody_looked,
		not_there_from_the_start, frozen, frozen_with_tls,
		frozen_in_mid_write, a_killed_connection_is_replaced,
		one_slow_statement, tls_does_not_hold_the_loop,
		logins_that_fail, tls_without_verifying,
		the_session_is_as_agreed, a_deadlock_is_tried_again,
		a_lock_that_stays_is_told, freed_at_any_time };
	Suite *suite = suite_create("db");
	TCase *tcase = tcase_create("mariadb");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner;
	int n_failed;

	if (!is_installed("mariadbd") || !is_installed("openssl")) {
		fputs("test_db: skipped: mariadbd or openssl is missing\n",
			stderr);
		return SKIPPED;
	}
	set_up_server();
	runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_server();
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
