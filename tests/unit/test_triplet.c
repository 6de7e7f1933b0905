/*
 * Greylisting records against a real MariaDB. The clock is turned, nothing
 * sleeps.
 */

#include "policyd/facts/triplet.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "tests/clock.h"
#include "tests/unit/stores.h"

#define SETTINGS                                                          \
	"[greylisting]\nblock_expire = 15m\nunauth_triplet_expire = 1d\n" \
	"auth_triplet_expire = 30d\n"                                     \
	"[database]\nstatement_timeout = 2s\ntable_ttl = 10s\n"
#define DAY 86400

static int64_t offset;

static void
turn(int64_t seconds)
{
	offset += seconds;
	test_clock_set(offset);
}

static void
clean(void)
{
	sql("TRUNCATE greylisting_tracking");
}

/* A question and its answer; the facts stay until free. */
static struct question *
ask(struct daemon *daemon, const char *client, const char *sender,
	const struct triplet **out)
{
	struct question *q =
		question_new(daemon, client, sender, "u@example.com", "");

	if (!fact_triplet(&q->facts, out)) {
		wait_for_facts(q);
		ck_assert_msg(fact_triplet(&q->facts, out), "%s",
			q->facts.slot[FACT_TRIPLET].reason);
	}
	return q;
}

/* What the greylisting rule does. Returns "passed" or "blocked". */
static const char *
deliver(struct daemon *daemon, const char *client, const char *sender)
{
	const struct triplet *seen;
	struct question *q = ask(daemon, client, sender, &seen);
	const char *answer = "blocked";

	if (seen->client_has_passed) {
		effect_client_seen(&q->verdict, &q->req, seen);
		answer = "passed";
	} else if (!seen->is_known) {
		effect_triplet_new(&q->verdict, &q->req, seen);
	} else if (q->req.now < seen->blocked_until) {
		effect_triplet_blocked(&q->verdict, &q->req, seen);
	} else {
		effect_triplet_passed(&q->verdict, &q->req, seen);
		answer = "passed";
	}
	question_apply(q);
	question_free(q);
	return answer;
}

static const char *
row(const char *sender)
{
	return sql_text("SELECT client_address, sender_domain, rcpt_domain, "
			"block_expired - init_time, record_expired - "
			"init_time, blocked_count, passed "
			"FROM greylisting_tracking WHERE sender = '%s' "
			"ORDER BY client_address DESC",
		sender);
}

START_TEST(life_of_a_triplet)
{
	struct daemon *one = daemon_new(SETTINGS), *two = daemon_new(SETTINGS);
	struct daemon *daemons[] = { one, two };

	clean();
	ck_assert_str_eq(deliver(one, "192.0.2.1", "a@x.test"), "blocked");
	wait_for_writes(one);
	ck_assert_str_eq(row("a@x.test"),
		"192.0.2.0/24 x.test example.com 900 86400 1 0");
	turn(899);
	ck_assert_str_eq(deliver(two, "192.0.2.2", "a@x.test"), "blocked");
	wait_for_writes(two);
	ck_assert_str_eq(row("a@x.test"),
		"192.0.2.0/24 x.test example.com 900 86400 2 0");
	ck_assert_str_eq(deliver(two, "192.0.2.1", "b@x.test"), "blocked");
	turn(1);
	ck_assert_str_eq(deliver(one, "192.0.2.3", "a@x.test"), "passed");
	/* At once, from memory; elsewhere within table_ttl. */
	ck_assert_str_eq(deliver(one, "192.0.2.4", "other@y.test"), "passed");
	wait_for_writes(one);
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM "
				    "greylisting_tracking"),
		1);
	/* The clock goes on while the test runs. */
	ck_assert_int_eq(sql_number("SELECT passed * (record_expired - "
				    "init_time - 900) DIV 60 * 60 "
				    "FROM greylisting_tracking"),
		30 * DAY);
	turn(10);
	for (int i = 0; i < 2; i++)
		ck_assert_str_eq(deliver(daemons[i], "192.0.2.9", "c@x.test"),
			"passed");
	ck_assert_str_eq(deliver(two, "192.0.3.9", "c@x.test"), "blocked");
	wait_for_writes(two);
	daemon_free(one);
	daemon_free(two);
}
END_TEST

START_TEST(rows_of_iredapd)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	const struct triplet *seen;
	int64_t now = clock_wall();
	struct question *q;

	clean();
	sql("INSERT INTO greylisting_tracking (sender, recipient, "
	    "client_address, init_time, block_expired, record_expired, "
	    "blocked_count, passed) VALUES "
	    "('p@x.test', 'v@example.com', '192.0.2.1', 1, 2, %lld, 3, 1), "
	    "('q@x.test', 'u@example.com', '192.0.2.2', %lld, %lld, %lld, 7, "
	    "0), ('r@x.test', 'u@example.com', '192.0.2.2', 1, 2, %lld, 1, 0)",
		(long long)now + 50, (long long)now - 10, (long long)now + 5,
		(long long)now + DAY, (long long)now + DAY);
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "n@x.test"), "passed");
	/* Of that address only. */
	ck_assert_str_eq(deliver(daemon, "192.0.2.7", "n@x.test"), "blocked");

	q = ask(daemon, "192.0.2.2", "q@x.test", &seen);
	ck_assert(seen->is_known && !seen->client_has_passed);
	ck_assert_int_eq(seen->blocked_until, now + 5);
	ck_assert_uint_eq(seen->blocked_count, 7);
	ck_assert(slice_eq_text(seen->client, "192.0.2.2"));
	question_free(q);
	ck_assert_str_eq(deliver(daemon, "192.0.2.2", "q@x.test"), "blocked");
	wait_for_writes(daemon);
	ck_assert_int_eq(sql_number("SELECT blocked_count FROM "
				    "greylisting_tracking WHERE sender = "
				    "'q@x.test'"),
		8);
	turn(20);
	/* It passes for its group, and what did not pass goes. */
	ck_assert_str_eq(deliver(daemon, "192.0.2.2", "q@x.test"), "passed");
	wait_for_writes(daemon);
	ck_assert_str_eq(sql_text("SELECT GROUP_CONCAT(sender, ':', "
				  "client_address ORDER BY sender) FROM "
				  "greylisting_tracking"),
		"p@x.test:192.0.2.1,q@x.test:192.0.2.0/24");
	daemon_free(daemon);
}
END_TEST

START_TEST(expiry)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	const struct triplet *seen;
	int64_t now = clock_wall();

	clean();
	sql("INSERT INTO greylisting_tracking (sender, recipient, "
	    "client_address, init_time, block_expired, record_expired, "
	    "blocked_count, passed) VALUES "
	    "('p@x.test', 'v@example.com', '192.0.2.0/24', 1, 2, %lld, 3, 1), "
	    "('t@x.test', 'u@example.com', '192.0.3.0/24', 1, %lld, %lld, 3, "
	    "0)",
		(long long)now + 100, (long long)now + 200,
		(long long)now + 100);
	turn(now + 100 - clock_wall());
	now = clock_wall();
	question_free(ask(daemon, "192.0.2.1", "n@x.test", &seen));
	question_free(ask(daemon, "192.0.3.1", "t@x.test", &seen));
	ck_assert_str_eq(deliver(daemon, "192.0.3.1", "t@x.test"), "blocked");
	wait_for_writes(daemon);
	/* One second may have passed since: the row says what was counted. */
	ck_assert_int_eq(sql_number("SELECT blocked_count IN (1, 4) FROM "
				    "greylisting_tracking WHERE sender = "
				    "'t@x.test'"),
		1);
	turn(2);
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "n@x.test"), "blocked");
	turn(20);
	sql("UPDATE greylisting_tracking SET record_expired = %lld, "
	    "blocked_count = 9, passed = 1 WHERE sender = 't@x.test'",
		(long long)clock_wall() - 1);
	/* An expired row begins anew, and not as one that has passed. */
	ck_assert_str_eq(deliver(daemon, "192.0.3.1", "t@x.test"), "blocked");
	wait_for_writes(daemon);
	ck_assert_str_eq(row("t@x.test"), "192.0.3.0/24   900 86400 1 0");
	daemon_free(daemon);
}
END_TEST

START_TEST(strict_comparisons)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	const struct triplet *seen;
	struct question *q;

	clean();
	/* The second of the question is the one of the row, whatever comes. */
	for (int later = 0; later < 2; later++) {
		q = question_new(daemon, later ? "192.0.5.1" : "192.0.4.1",
			"s@x.test", "u@example.com", "");
		sql("INSERT INTO greylisting_tracking (sender, recipient, "
		    "client_address, record_expired, passed) VALUES "
		    "('p@x.test', 'v@example.com', '192.0.%d.0/24', %lld, 1)",
			4 + later, (long long)q->req.now - later);
		ck_assert(!fact_triplet(&q->facts, &seen));
		wait_for_facts(q);
		ck_assert(fact_triplet(&q->facts, &seen));
		ck_assert_int_eq(seen->client_has_passed, later == 0);
		question_free(q);
	}
	daemon_free(daemon);
}
END_TEST

START_TEST(memory)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	uint64_t rows;

	clean();
	deliver(daemon, "192.0.2.1", "a@x.test");
	wait_for_writes(daemon);
	rows = metric_get(METRIC_SQL_STATEMENTS);
	turn(5);
	deliver(daemon, "192.0.2.1", "a@x.test");
	wait_for_writes(daemon);
	/* One write and no look-up. */
	ck_assert_uint_eq(metric_get(METRIC_SQL_STATEMENTS) - rows, 1);
	/* Changed behind our back: seen after table_ttl, or when told. */
	sql("UPDATE greylisting_tracking SET passed = 1");
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "a@x.test"), "blocked");
	turn(11);
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "a@x.test"), "passed");
	wait_for_writes(daemon);
	sql("DELETE FROM greylisting_tracking");
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "a@x.test"), "passed");
	triplets_forget(daemon->sources.triplets);
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "a@x.test"), "blocked");
	wait_for_writes(daemon);
	daemon_free(daemon);
}
END_TEST

START_TEST(renewal)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	int64_t now = clock_wall();
	uint64_t statements;

	clean();
	sql("INSERT INTO greylisting_tracking (sender, recipient, "
	    "client_address, record_expired, passed) VALUES "
	    "('a@x.test', '', '192.0.2.0/24', %lld, 1), "
	    "('b@x.test', '', '192.0.2.0/24', %lld, 1), "
	    "('c@x.test', '', '192.0.2.0/24', %lld, 1)",
		(long long)now + DAY, (long long)now + 2 * DAY,
		(long long)now - 5);
	deliver(daemon, "192.0.2.1", "s@x.test");
	wait_for_writes(daemon);
	/* All that were valid, none that was not. */
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM "
				    "greylisting_tracking WHERE "
				    "record_expired BETWEEN %lld AND %lld",
				 (long long)now + 30 * DAY,
				 (long long)now + 30 * DAY + 60),
		2);
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM "
				    "greylisting_tracking WHERE "
				    "record_expired = %lld",
				 (long long)now - 5),
		1);
	turn(3000);
	statements = metric_get(METRIC_SQL_STATEMENTS);
	deliver(daemon, "192.0.2.1", "s@x.test");
	wait_for_writes(daemon);
	/* The look-up; the hour is not over. */
	ck_assert_uint_eq(metric_get(METRIC_SQL_STATEMENTS) - statements, 1);
	turn(700);
	deliver(daemon, "192.0.2.1", "s@x.test");
	wait_for_writes(daemon);
	ck_assert_int_ge(sql_number("SELECT MAX(record_expired) FROM "
				    "greylisting_tracking"),
		now + 30 * DAY + 3700);
	daemon_free(daemon);
}
END_TEST

START_TEST(many_rows_of_a_client)
{
	struct daemon *daemon = daemon_new(SETTINGS);

	clean();
	sql("INSERT INTO greylisting_tracking (sender, recipient, "
	    "client_address, block_expired, record_expired) "
	    "SELECT CONCAT('s', seq, '@x.test'), 'u@example.com', "
	    "'192.0.2.0/24', 1, %lld FROM seq_1_to_4500",
		(long long)clock_wall() + DAY);
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "s7@x.test"), "passed");
	wait_for_writes(daemon);
	ck_assert_str_eq(sql_text("SELECT GROUP_CONCAT(sender) FROM "
				  "greylisting_tracking"),
		"s7@x.test");
	daemon_free(daemon);
}
END_TEST

START_TEST(single_flight)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	struct question *q[3];
	const struct triplet *seen;
	uint64_t keys = metric_get(METRIC_SQL_ROWS);

	clean();
	for (int i = 0; i < 3; i++) {
		q[i] = question_new(daemon, "192.0.2.1", "a@x.test",
			"u@example.com", "");
		ck_assert(!fact_triplet(&q[i]->facts, &seen));
	}
	question_free(q[1]); /* gone before the answer */
	wait_for_facts(q[0]);
	wait_for_facts(q[2]);
	ck_assert_uint_eq(metric_get(METRIC_SQL_ROWS) - keys, 1);
	for (int i = 0; i < 3; i += 2) {
		ck_assert(fact_triplet(&q[i]->facts, &seen));
		effect_triplet_new(&q[i]->verdict, &q[i]->req, seen);
		question_apply(q[i]);
		question_free(q[i]);
	}
	wait_for_writes(daemon);
	/* Both saw nothing; the second counts. */
	ck_assert_str_eq(row("a@x.test"),
		"192.0.2.0/24 x.test example.com 900 86400 2 0");
	daemon_free(daemon);
}
END_TEST

START_TEST(awkward_addresses)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	char long_sender[700] = "";
	static const char *const senders[] = { "", "\xff\xfe@x.test",
		"o'neil\\\"%@x.test", "j\xc3\xb6rg@x.test", NULL };

	clean();
	for (int i = 0; i < 300; i++)
		memcpy(long_sender + strlen(long_sender), "\xc3\xa4", 3);
	for (size_t i = 0; i < 5; i++) {
		const char *sender =
			senders[i] != NULL ? senders[i] : long_sender;

		ck_assert_str_eq(deliver(daemon, "192.0.2.1", sender),
			"blocked");
		wait_for_writes(daemon);
		triplets_forget(daemon->sources.triplets);
		/* What was stored is what is looked up. */
		ck_assert_str_eq(deliver(daemon, "192.0.2.1", sender),
			"blocked");
		wait_for_writes(daemon);
		ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM "
					    "greylisting_tracking WHERE "
					    "blocked_count = 2"),
			i + 1);
	}
	ck_assert_int_eq(sql_number("SELECT MAX(CHAR_LENGTH(sender)) FROM "
				    "greylisting_tracking"),
		255);
	daemon_free(daemon);
}
END_TEST

START_TEST(client_texts)
{
	static const struct {
		const char *client, *settings, *stored;
	} cases[] = {
		{ "192.0.2.77", "", "192.0.2.0/24" },
		{ "192.0.2.77", "ipv4_prefix = 32\n", "192.0.2.77" },
		{ "2001:db8::1", "", "2001:db8::/64" },
		{ "2001:db8::1", "ipv6_prefix = 128\n", "2001:db8::1" },
		{ "::ffff:192.0.2.77", "", "192.0.2.0/24" },
		/* 43 characters with their prefix length. */
		{ "2001:1db8:1111:1111:1111:1111:1111:11ff",
			"ipv6_prefix = 120\n",
			"2001:1db8:1111:1111:1111:1111:1111:1100" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new(4096);
		struct config_errors errors = { NULL, 0 };
		struct config *config;
		struct str text;
		struct ip ip;

		str_init(&text, 4096);
		str_printf(&text, "[greylisting]\n%s", cases[i].settings);
		config = config_parse(str_slice(&text), "test", &errors);
		if (config == NULL) { /* a prefix that may not be set */
			config_errors_free(&errors);
		} else {
			struct slice client;

			ck_assert(ip_parse(slice_of(cases[i].client), &ip));
			client = triplet_client(arena, config, &ip);
			ck_assert_msg(slice_eq_text(client, cases[i].stored),
				"%.*s", SLICE_ARG(client));
			config_unref(config);
		}
		str_free(&text);
		arena_free(arena);
	}
}
END_TEST

START_TEST(database_away)
{
	struct daemon *daemon =
		daemon_new(SETTINGS "[limits]\nwaiting_writes = 1000\n");
	const struct triplet *seen;
	struct triplets_state state;
	struct question *q;
	uint64_t lost = metric_get(METRIC_EFFECTS_LOST);

	clean();
	deliver(daemon, "192.0.2.1", "a@x.test");
	deliver(daemon, "192.0.3.1", "a@x.test");
	wait_for_writes(daemon);
	turn(900);
	deliver(daemon, "192.0.3.1", "a@x.test");
	wait_for_writes(daemon);
	stores_server("kill");
	turn(3600);
	/* Memory is older than table_ttl, and believed. */
	ck_assert_str_eq(deliver(daemon, "192.0.3.5", "z@x.test"), "passed");
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "a@x.test"), "passed");
	ck_assert_str_eq(deliver(daemon, "192.0.2.1", "b@x.test"), "passed");
	/* What it does not know cannot be known. */
	q = question_new(daemon, "192.0.9.1", "a@x.test", "u@example.com", "");
	ck_assert(!fact_triplet(&q->facts, &seen));
	wait_for_facts(q);
	ck_assert(!fact_triplet(&q->facts, &seen));
	ck_assert(q->facts.is_wanting);
	ck_assert_str_eq(q->facts.slot[FACT_TRIPLET].reason,
		"the greylisting records could not be read");
	question_free(q);
	triplets_state(daemon->sources.triplets, &state);
	ck_assert_uint_gt(state.n_waiting_writes, 0);
	stores_server("start");
	wait_for_writes(daemon);
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM "
				    "greylisting_tracking WHERE passed = 1 "
				    "AND client_address = '192.0.2.0/24'"),
		1);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_LOST), lost);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_QUEUED), 0);
	daemon_free(daemon);
}
END_TEST

START_TEST(bound_of_writes)
{
	struct daemon *daemon =
		daemon_new(SETTINGS "[limits]\nwaiting_writes = 1000\n");
	struct triplet seen = { .client = SLICE("192.0.2.0/24") };
	struct triplets_state state;
	uint64_t lost = metric_get(METRIC_EFFECTS_LOST);
	struct question *q;

	q = question_new(daemon, "192.0.2.1", "a@x.test", "u@example.com", "");
	for (int i = 0; i < 1010; i++) {
		effect_triplet_new(&q->verdict, &q->req, &seen);
		question_apply(q);
	}
	triplets_state(daemon->sources.triplets, &state);
	ck_assert_uint_eq(state.n_waiting_writes, 1000);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_LOST) - lost, 10);
	question_free(q);
	wait_for_writes(daemon);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_QUEUED), 0);
	daemon_free(daemon);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("triplet");
	TCase *tcase = tcase_create("triplet");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, client_texts);
	tcase_add_test(tcase, life_of_a_triplet);
	tcase_add_test(tcase, rows_of_iredapd);
	tcase_add_test(tcase, expiry);
	tcase_add_test(tcase, strict_comparisons);
	tcase_add_test(tcase, memory);
	tcase_add_test(tcase, renewal);
	tcase_add_test(tcase, many_rows_of_a_client);
	tcase_add_test(tcase, single_flight);
	tcase_add_test(tcase, awkward_addresses);
	tcase_add_test(tcase, database_away);
	tcase_add_test(tcase, bound_of_writes);
	suite_add_tcase(suite, tcase);
	stores_set_up();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	stores_tear_down();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
