/*
 * What the journal writes into MariaDB and finds there, with the tables of
 * conf/sql. Both databases of the journal are one here.
 */

#include "policyd/journal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metric.h"
#include "policyd/journal_private.h"
#include "policyd/rule.h"
#include "tests/clock.h"
#include "tests/unit/made_decision.h"
#include "tests/unit/stores.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define WALL_US         INT64_C(1795449600000123) /* of slot 4 */

/* clang-format off */
#define RCPT "protocol_state=RCPT\nclient_address=192.0.2.7\n" \
	"client_name=mx.test\nreverse_client_name=rev.test\n" \
	"helo_name=it's \"h\xc3\xa9lo\" \\ \xf0\x9f\x93\xa7\n" \
	"sender=Sender+x@One.test\nrecipient=rcpt@two.test\n" \
	"instance=1a.6925a1c0.0\nqueue_id=4XqZ1\nserver_port=25\n"
/* clang-format on */

static struct daemon *daemon;
static struct journal *journal;

/* Rows have fixed dates: only process 0 empties the partitions of old days. */
static void
open_journal_of(unsigned process, const char *settings)
{
	daemon = daemon_new(settings);
	daemon->sources.process = process;
	daemon->sources.db[CONFIG_DB_POLICYD] =
		daemon->sources.db[CONFIG_DB_IREDAPD];
	journal = journal_new(&daemon->sources);
}

static void
open_journal(const char *settings)
{
	open_journal_of(1, settings);
}

static void
close_journal(void)
{
	journal_free(journal);
	daemon_free(daemon);
	sql("DELETE FROM decision");
	sql("DELETE FROM smtp_sessions");
}

static bool
is_written(const void *arg)
{
	struct journal_state state;

	(void)arg;
	journal_state(journal, &state);
	return state.n_waiting_sessions + state.n_waiting_decisions == 0;
}

static void
record(const char *code, const char *attributes, int64_t wall_us)
{
	struct decision *decision = made_decision(&daemon->sources, attributes);

	snprintf(decision->code, sizeof(decision->code), "%s", code);
	made_refusal(decision, RULE_ID_greylisting, VERDICT_DEFER, "later");
	decision->wall_us = wall_us;
	journal_record(journal, decision);
	made_decision_free(decision);
}

static struct str found;
static bool is_done;

static void
on_found(void *arg, struct slice json)
{
	(void)arg;
	/* The code, which comes first. */
	str_append_slice(&found, slice_part(json, 9, 9 + DECISION_CODE_LEN));
	str_append_char(&found, ' ');
}

static void
on_done(void *arg, const char *error)
{
	(void)arg;
	if (error != NULL)
		str_append_text(&found, error);
	is_done = true;
}

static bool
has_answer(const void *arg)
{
	(void)arg;
	return is_done;
}

static const char *
find(const char *what, size_t max)
{
	str_free(&found);
	str_init(&found, 4096);
	is_done = false;
	journal_find_stored(journal, slice_of(what), max, on_found, on_done,
		NULL);
	ck_assert(!is_done);
	wait_until(has_answer, NULL);
	return str_text(&found);
}

START_TEST(rows)
{
	open_journal("");
	record("7K3MZ0A1", RCPT, WALL_US);
	wait_until(is_written, NULL);
	ck_assert_str_eq(
		sql_text("SELECT time, time_num, action, reason, instance, "
			 "client_address, client_name, reverse_client_name, "
			 "sender, sender_domain, recipient, recipient_domain, "
			 "server_port FROM smtp_sessions"),
		"2026-11-23 16:00:00 1795449600 451 4.7.1 later "
		"1a.6925a1c0.0 192.0.2.7 mx.test rev.test sender@one.test "
		"one.test rcpt@two.test two.test 25");
	ck_assert_str_eq(
		sql_text("SELECT slot, code, time_us, node, stage, rule, "
			 "action, reply, is_observed, client_address, sender, "
			 "recipient, queue_id, instance FROM decision"),
		"4 7K3MZ0A1 1795449600000123 node1 RCPT greylisting 451 "
		"451 4.7.1 later 0 192.0.2.7 sender@one.test rcpt@two.test "
		"4XqZ1 1a.6925a1c0.0");
	ck_assert_int_eq(sql_number("SELECT JSON_VALID(detail) AND "
				    "JSON_VALUE(detail, '$.helo_name') = "
				    "helo_name FROM decision"),
		1);
	ck_assert_str_eq(
		sql_text("SELECT HEX(d.helo_name), s.helo_name = d.helo_name "
			 "FROM decision d, smtp_sessions s"),
		"69742773202268C3A96C6F22205C20F09F93A7 1");
	close_journal();
}
END_TEST

/* More than one statement, values that fill and exceed their columns. */
START_TEST(many_rows)
{
	const uint64_t lost = metric_get(METRIC_EFFECTS_LOST) +
			      metric_get(METRIC_SESSIONS_LOST);
	char attributes[8192], code[DECISION_CODE_LEN + 1];
	size_t len;

	open_journal("");
	len = (size_t)snprintf(attributes, sizeof(attributes), "%s", RCPT);
	for (size_t i = 0; i < 600; i++)
		len += (size_t)snprintf(attributes + len,
			sizeof(attributes) - len, "%s\xc3\xa4",
			i % 300 > 0 ? ""
			: i > 0     ? "\nclient_name="
				    : "instance=");
	snprintf(attributes + len, sizeof(attributes) - len, "\n");
	for (unsigned i = 0; i < 600; i++) {
		snprintf(code, sizeof(code), "7K3MZ%03u", i);
		record(code, attributes, WALL_US + i);
	}
	wait_until(is_written, NULL);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_LOST) +
				  metric_get(METRIC_SESSIONS_LOST),
		lost);
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM decision WHERE "
				    "CHAR_LENGTH(client_name) = 255 AND "
				    "CHAR_LENGTH(instance) = 64"),
		600);
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM smtp_sessions WHERE "
				    "CHAR_LENGTH(instance) = 40"),
		600);
	close_journal();
}
END_TEST

START_TEST(finding)
{
	static const struct {
		const char *what;
		size_t max;
		const char *codes;
	} cases[] = {
		{ "7k3mzoa1", 9, "7K3MZ0A1 " },
		{ "4XqZ1", 9, "7K3MZ0A3 7K3MZ0A2 7K3MZ0A1 " },
		{ "4XqZ1", 2, "7K3MZ0A3 7K3MZ0A2 " },
		{ "sender+y@one.test", 9, "7K3MZ0A2 7K3MZ0A1 " },
		{ "RCPT@two.test", 9, "7K3MZ0A3 7K3MZ0A2 7K3MZ0A1 " },
		{ "user@one.test", 9, "7K3MZ0A3 " },
		{ "192.0.2.7", 9, "7K3MZ0A2 7K3MZ0A1 " },
		{ "2001:db8::7", 9, "7K3MZ0A3 " },
		{ "1a.6925a1c0.0", 1, "7K3MZ0A3 " },
		{ "nobody@one.test", 9, "" },
		{ "nothing", 9, "" },
		{ "", 9, "" },
		{ "h\xc3\xa9lo1234", 9, "" },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff", 9, "" },
	};

	open_journal("");
	record("7K3MZ0A1", RCPT, WALL_US);
	record("7K3MZ0A2", RCPT, WALL_US + 1);
	/* Sender, recipient and login at once: found once. */
	record("7K3MZ0A3",
		RCPT "sender=user@one.test\nclient_address=2001:db8::7\n"
		     "sasl_username=user@one.test\n",
		WALL_US + 5 * DAY_S * 1000000);
	wait_until(is_written, NULL);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *codes = find(cases[i].what, cases[i].max);

		ck_assert_msg(strcmp(codes, cases[i].codes) == 0, "%s: %s",
			cases[i].what, codes);
	}
	close_journal();
}
END_TEST

/* Of eight days three stay: today and the two before it. */
START_TEST(retention)
{
	const int64_t today = clock_wall() / DAY_S;
	char code[DECISION_CODE_LEN + 1];

	open_journal_of(0, "[decisions]\nkeep_days = 2\n");
	for (int i = 0; i < 8; i++) {
		snprintf(code, sizeof(code), "7K3MZ0A%d", i);
		record(code, RCPT, (today - i) * DAY_S * 1000000);
	}
	wait_until(is_written, NULL);
	for (int i = 0; i < 100; i++) {
		if (sql_number("SELECT COUNT(*) FROM decision") == 3)
			break;
		run_loop(100);
	}
	ck_assert_str_eq(find("rcpt@two.test", 9),
		"7K3MZ0A0 7K3MZ0A1 7K3MZ0A2 ");
	close_journal();
}
END_TEST

/* The rows wait while the server is away. */
START_TEST(server_away)
{
	open_journal("");
	stores_server("kill");
	record("7K3MZ0A1", RCPT, WALL_US);
	run_loop(50);
	ck_assert(!is_written(NULL));
	stores_server("start");
	wait_until(is_written, NULL);
	ck_assert_int_eq(sql_number("SELECT COUNT(*) FROM smtp_sessions"), 1);
	ck_assert_str_eq(find("7K3MZ0A1", 9), "7K3MZ0A1 ");
	close_journal();
}
END_TEST

/* They wait for "policyctl db migrate", too. */
START_TEST(table_missing)
{
	const uint64_t lost = metric_get(METRIC_EFFECTS_LOST);

	open_journal("");
	sql("RENAME TABLE decision TO elsewhere");
	record("7K3MZ0A1", RCPT, WALL_US);
	run_loop(50);
	ck_assert(!is_written(NULL));
	ck_assert_str_eq(find("7K3MZ0A1", 9),
		"the table policyd.decision does not exist: run "
		"\"policyctl db migrate\"");
	sql("RENAME TABLE elsewhere TO decision");
	wait_until(is_written, NULL);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_LOST), lost);
	ck_assert_str_eq(find("7K3MZ0A1", 9), "7K3MZ0A1 ");
	close_journal();
}
END_TEST

static void
make_table(void)
{
	static const char *const files[] = {
		"003_decision.sql",
		"005_old_reply.sql",
	};
	const char *source = getenv("SOURCE_DIR");

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		sql("SOURCE %s/conf/sql/policyd/%s",
			source == NULL ? "." : source, files[i]);
}

static Suite *
suite(void)
{
	Suite *all = suite_create("journal_store");
	TCase *tests = tcase_create("journal_store");

	tcase_add_unchecked_fixture(tests, make_table, NULL);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, rows);
	tcase_add_test(tests, many_rows);
	tcase_add_test(tests, finding);
	tcase_add_test(tests, retention);
	tcase_add_test(tests, server_away);
	tcase_add_test(tests, table_missing);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	const struct log_config quiet = { .level = LOG_LEVEL_ERROR };
	SRunner *runner = srunner_create(suite());
	int n_failed;

	log_open("policyd", &quiet);
	stores_set_up();
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	stores_tear_down();
	str_free(&found);
	log_close();
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
