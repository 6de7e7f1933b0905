/*
 * A database that dies, freezes, refuses, or talks TLS.
 */

#include "common/io/db.h"

#include <stdio.h>
#include <string.h>

#include "common/base/metric.h"
#include "db_fixture.h"

static const struct db_statement select_slowly = { "select_slowly",
	"SELECT SLEEP(0.3)", DB_READS, "", "u" };
static const struct db_statement insert_forever = { "insert_forever",
	"INSERT INTO test.note (id) SELECT SLEEP(100) + 10", DB_WRITES, "",
	"" };

/* --- a server that goes away --------------------------------------------- */

START_TEST(killed_in_mid_statement)
{
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct reply read, write, next;
	struct db_state state;

	fixture_wait_for(&fixture.n_ups);
	ck_assert_uint_eq(fixture_ask(db, &count_notes, NULL).number, 0);
	fixture_start(db, &select_forever, NULL, &read);
	fixture_start(db, &insert_forever, NULL, &write);
	loop_run_for(fixture.loop, 200);
	ck_assert_uint_eq(fixture.n_open, 2);
	fixture_server("kill");
	fixture_wait();
	ck_assert_int_eq(read.status, DB_UNAVAILABLE);
	ck_assert_int_eq(write.status, DB_UNCERTAIN);
	next = fixture_ask(db, &select_one, NULL);
	ck_assert_int_eq(next.status, DB_UNAVAILABLE);
	db_state(db, &state);
	ck_assert(!state.is_up && state.error[0] != '\0');
	ck_assert_uint_eq(fixture.n_downs, 1);
	fixture_server("start");
	fixture_wait_for(&fixture.n_ups);
	db_state(db, &state);
	ck_assert(state.is_up);
	ck_assert_str_eq(state.error, "");
	ck_assert(strstr(state.server_version, "MariaDB") != NULL);
	ck_assert_uint_eq(fixture_ask(db, &count_notes, NULL).number, 0);
	ck_assert_uint_eq(fixture.n_downs, 1);
	db_free(db);
}
END_TEST

/* The loop does not turn meanwhile, so the pool finds out by trying. */
START_TEST(restarted_while_nobody_looked)
{
	struct db_value values[2] = { { .number = 1 },
		{ .text = SLICE("first") } };
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);

	ASSERT_OK(fixture_ask(db, &insert_note, values));
	fixture_server("stop");
	fixture_server("start");
	values[0].number = 2;
	ASSERT_OK(fixture_ask(db, &insert_note, values));
	ck_assert_uint_eq(fixture_ask(db, &count_notes, NULL).number, 2);
	ck_assert_uint_eq(fixture.n_downs, 0);
	db_free(db);
}
END_TEST

START_TEST(not_there_from_the_start)
{
	struct db_config config = fixture_socket_config();
	struct reply first, second;
	struct db *db;

	fixture_server("kill");
	db = fixture_pool(&config);
	fixture_start(db, &select_one, NULL, &first);
	fixture_wait();
	ck_assert_int_eq(first.status, DB_UNAVAILABLE);
	ck_assert_uint_eq(fixture.n_downs, 1);
	second = fixture_ask(db, &select_one, NULL);
	ck_assert_int_eq(second.status, DB_UNAVAILABLE);
	fixture_server("start");
	fixture_wait_for(&fixture.n_ups);
	ASSERT_OK(fixture_ask(db, &select_one, NULL));
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
	struct db *db = fixture_pool(config);
	struct reply first = { 0 }, later[20], write;

	ASSERT_OK(fixture_ask(db, &select_one, NULL));
	fixture_server("freeze");
	fixture.n_open = 1;
	db_run(db, &select_one, NULL, 300, fixture_take_number, &first);
	fixture_wait();
	ck_assert_int_eq(first.status, DB_UNAVAILABLE);
	for (size_t i = 0; i < 20; i++)
		fixture_start(db, &select_one, NULL, &later[i]);
	fixture_wait();
	for (size_t i = 0; i < 20; i++)
		ck_assert_int_eq(later[i].status, DB_UNAVAILABLE);
	ck_assert_uint_eq(fixture.n_downs, 1);
	write = fixture_ask(db, &insert_note, (struct db_value[2]){ 0 });
	ck_assert_int_eq(write.status, DB_UNAVAILABLE);
	fixture_server("thaw");
	fixture_wait_for(&fixture.n_ups);
	ASSERT_OK(fixture_ask(db, &select_one, NULL));
	ck_assert_uint_eq(fixture_ask(db, &count_notes, NULL).number, 0);
	db_free(db);
}

START_TEST(frozen)
{
	struct db_config config = fixture_socket_config();

	freeze(&config);
}
END_TEST

START_TEST(frozen_with_tls)
{
	struct db_config config = fixture_tls_config();

	freeze(&config);
}
END_TEST

/* A large write fills the socket of a frozen server and hangs there. */
START_TEST(frozen_in_mid_write)
{
	static char long_text[4 << 20];
	static const struct db_statement length = { "length",
		"SELECT LENGTH(?)", DB_READS, "s", "u" };
	struct db_config config = fixture_tls_config();
	struct db_value value = { .text = { long_text, sizeof(long_text) } };

	memset(long_text, 'x', sizeof(long_text));
	for (int i = 0; i < 2; i++) {
		struct db *db = fixture_pool(&config);
		struct reply reply = fixture_ask(db, &length, &value);

		ASSERT_OK(reply);
		ck_assert_uint_eq(reply.number, sizeof(long_text));
		fixture_server("freeze");
		fixture.n_open = 1;
		db_run(db, &length, &value, 300, fixture_take_number, &reply);
		reply.is_here = false;
		fixture_wait();
		ck_assert_int_eq(reply.status, DB_UNAVAILABLE);
		fixture_server("thaw");
		db_free(db);
		config = fixture_socket_config();
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
	struct db_config config = fixture_tls_config();
	struct db *victim, *admin;
	struct db_value id = { 0 };
	struct reply reply;

	config.connections = 1;
	victim = fixture_pool(&config);
	config = fixture_socket_config();
	admin = fixture_pool(&config);
	for (int i = 0; i < 3; i++) {
		reply = fixture_ask(victim, &who, NULL);
		ASSERT_OK(reply);
		ck_assert_uint_ne(reply.number, id.number);
		id.number = reply.number;
		ASSERT_OK(fixture_ask(admin, &kill, &id));
		if (i == 1) /* once with time to notice */
			loop_run_for(fixture.loop, 100);
	}
	fixture_start(victim, &select_forever, NULL, &reply);
	loop_run_for(fixture.loop, 100);
	ck_assert_uint_eq(fixture.n_downs, 0);
	db_free(victim);
	ck_assert_int_eq(reply.status, DB_UNAVAILABLE);
	db_free(admin);
}
END_TEST

/* A deadline that one statement misses must not fail the others. */
START_TEST(one_slow_statement)
{
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct reply slow = { 0 }, later[20];

	fixture_wait_for(&fixture.n_ups);
	fixture.n_open = 1;
	db_run(db, &select_forever, NULL, 100, fixture_take_number, &slow);
	fixture_wait();
	ck_assert_int_eq(slow.status, DB_UNAVAILABLE);
	for (size_t i = 0; i < 20; i++)
		fixture_start(db, &select_one, NULL, &later[i]);
	fixture_wait();
	for (size_t i = 0; i < 20; i++)
		ASSERT_OK(later[i]);
	ck_assert_uint_eq(fixture.n_downs, 0);
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
	struct db_config config = fixture_tls_config();
	struct db *db = fixture_pool(&config);
	uint64_t n_connects = metric_get(METRIC_SQL_RECONNECTS);
	struct reply reply = fixture_ask(db, &cipher, NULL);

	ASSERT_OK(reply);
	ck_assert_uint_gt(reply.text_len, 0);
	reply_free(&reply);
	tick_timer = loop_timer_new(fixture.loop, tick, NULL);
	loop_timer_set(tick_timer, 10);
	n_ticks = 0;
	ASSERT_OK(fixture_ask(db, &select_slowly, NULL));
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
	struct db *db = fixture_pool(config);
	struct db_state state;
	struct reply reply;

	reply = fixture_ask(db, &select_one, NULL);
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
	struct db_config config = fixture_tls_config();

	config.password = "wr0ng-pass";
	assert_no_login(&config, "Access denied");
	config = fixture_tls_config();
	config.tls_ca = "/etc/hostname"; /* holds no certificate */
	assert_no_login(&config, "");
	config = fixture_tls_config();
	config.tls_ca = ""; /* the system's, which do not know it */
	assert_no_login(&config, "certificate");
	config = fixture_tls_config();
	config.database = "no_such_database";
	assert_no_login(&config, "no_such_database");
	config = fixture_tls_config();
	config.port = fixture_free_port();
	assert_no_login(&config, "127.0.0.1");
}
END_TEST

START_TEST(tls_without_verifying)
{
	struct db_config config = fixture_tls_config();
	struct db *db;

	config.tls = DB_TLS_ON;
	config.tls_ca = "";
	db = fixture_pool(&config);
	ASSERT_OK(fixture_ask(db, &select_one, NULL));
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
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct reply reply = fixture_ask(db, &settings, NULL);

	ASSERT_OK(reply);
	ck_assert_str_eq(reply.text,
		"READ-COMMITTED 1 +00:00 2 utf8mb4 utf8mb4 1");
	reply_free(&reply);
	db_free(db);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { killed_in_mid_statement,
		restarted_while_nobody_looked, not_there_from_the_start, frozen,
		frozen_with_tls, frozen_in_mid_write,
		a_killed_connection_is_replaced, one_slow_statement,
		tls_does_not_hold_the_loop, logins_that_fail,
		tls_without_verifying, the_session_is_as_agreed };

	return fixture_main("db_faults", tests,
		sizeof(tests) / sizeof(tests[0]));
}
