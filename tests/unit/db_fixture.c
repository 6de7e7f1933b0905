#include "db_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"

#define SKIPPED  77
#define PASSWORD "s3cret-Pass"

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

void
fixture_server(const char *command)
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

unsigned
fixture_free_port(void)
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
	port = fixture_free_port();
	snprintf(port_text, sizeof(port_text), "%u", port);
	setenv("MARIADB_PORT", port_text, 1);
	setenv("MARIADB_FLUSH", "0", 1);
	make_certificate();
	fixture_server("start");
}

static void
remove_server(void)
{
	const char *argv[] = { "rm", "-rf", directory, NULL };

	fixture_server("stop");
	spawn_and_wait(argv);
}

/* --- a pool and its answers ---------------------------------------------- */

struct fixture fixture;

const struct db_statement select_one = { "select_one", "SELECT 1", DB_READS, "",
	"u" };
const struct db_statement select_forever = { "select_forever",
	"SELECT SLEEP(100)", DB_READS, "", "u" };
const struct db_statement insert_note = { "insert_note",
	"INSERT INTO test.note (id, text) VALUES (?, ?)", DB_WRITES, "us", "" };
const struct db_statement count_notes = { "count_notes",
	"SELECT COUNT(*) FROM test.note", DB_READS, "", "u" };

void
reply_free(struct reply *reply)
{
	x_free(reply->text);
	*reply = (struct reply){ 0 };
}

void
fixture_take_reply(void *arg, const struct db_result *result)
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
	if (--fixture.n_open == 0)
		loop_stop(fixture.loop);
}

void
fixture_take_number(void *arg, const struct db_result *result)
{
	struct reply *reply = arg;

	if (db_rows_count(result->rows) > 0) {
		reply->number = db_rows_u64(result->rows, 0, 0);
		reply->is_null = db_rows_is_null(result->rows, 0, 0);
	}
	fixture_take_reply(arg, result);
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
	fixture_take_reply(arg, result);
}

static void
take_change(void *arg, bool is_up)
{
	struct db_state state;

	db_state(arg, &state);
	ck_assert_int_eq(state.is_up, is_up);
	if (is_up)
		fixture.n_ups++;
	else
		fixture.n_downs++;
	loop_stop(fixture.loop);
}

struct db_config
fixture_socket_config(void)
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
		.statement_timeout_ms = FIXTURE_PATIENCE_MS * 2,
		.queue_max = 100,
	};
}

struct db_config
fixture_tls_config(void)
{
	struct db_config config = fixture_socket_config();

	config.host = "127.0.0.1";
	config.port = port;
	config.user = "tester";
	config.password = PASSWORD;
	config.tls = DB_TLS_VERIFY;
	config.tls_ca = ca_path;
	return config;
}

struct db *
fixture_pool(const struct db_config *config)
{
	struct db *db = db_new(fixture.loop, config);

	fixture.n_ups = fixture.n_downs = 0;
	db_on_change(db, take_change, db);
	return db;
}

void
fixture_wait(void)
{
	for (int i = 0; fixture.n_open > 0 && i < 100; i++)
		loop_run_for(fixture.loop, FIXTURE_PATIENCE_MS / 100);
	ck_assert_uint_eq(fixture.n_open, 0);
}

void
fixture_wait_for(const unsigned *counter)
{
	unsigned before = *counter;

	for (int i = 0; *counter == before && i < 100; i++)
		loop_run_for(fixture.loop, FIXTURE_PATIENCE_MS / 100);
	ck_assert_uint_eq(*counter, before + 1);
}

void
fixture_start(struct db *db, const struct db_statement *statement,
	const struct db_value *values, struct reply *reply)
{
	db_done_fn *done = fixture_take_reply;

	if (statement->columns[0] == 'u' || statement->columns[0] == 'i')
		done = fixture_take_number;
	else if (statement->columns[0] != '\0')
		done = take_text;
	*reply = (struct reply){ 0 };
	fixture.n_open++;
	db_run(db, statement, values, 0, done, reply);
	ck_assert(!reply->is_here);
}

struct reply
fixture_ask(struct db *db, const struct db_statement *statement,
	const struct db_value *values)
{
	struct reply reply;

	fixture_start(db, statement, values, &reply);
	fixture_wait();
	return reply;
}

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
	struct db_config config = fixture_socket_config();
	struct db *db;

	fixture.loop = loop_new();
	fixture.n_open = 0;
	db = fixture_pool(&config);
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		ASSERT_OK(fixture_ask(db, &statements[i], NULL));
	db_free(db);
}

static void
set_up(void)
{
	fixture_server("start");
	set_up_schema();
}

static void
tear_down(void)
{
	loop_free(fixture.loop);
}

static int
set_up_and_run(Suite *suite)
{
	SRunner *runner;
	int n_failed;

	set_up_server();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_server();
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
fixture_main(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite;
	TCase *tcase;

	if (!is_installed("mariadbd") || !is_installed("openssl")) {
		fprintf(stderr, "%s: skipped: mariadbd or openssl is missing\n",
			name);
		return SKIPPED;
	}
	suite = suite_create(name);
	tcase = tcase_create("mariadb");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return set_up_and_run(suite);
}
