#include "policyd/journal.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metric.h"
#include "tests/clock.h"
#include "tests/unit/journal_fixture.h"
#include "tests/unit/made_decision.h"

#define DAY_SECONDS 86400

/* --- smtp_sessions ------------------------------------------------------- */

static const struct {
	const char *settings, *attributes;
	int rule; /* that refuses, or -1 */
	bool wants_row;
} session_cases[] = {
	{ "", RCPT, -1, false },
	{ "", RCPT, RULE_ID_greylisting, true },
	{ "", RCPT, RULE_ID_throttle, true },
	{ "", END, -1, true },
	{ "", END, RULE_ID_throttle, true },
	{ "", "protocol_state=DATA\n", RULE_ID_throttle, false },
	{ "", "protocol_state=CONNECT\n", RULE_ID_throttle, false },
	{ "enabled = no\n", END, RULE_ID_throttle, false },
	{ "skip_dunno = yes\n", END, -1, false },
	{ "skip_dunno = yes\n", END, RULE_ID_throttle, true },
	{ "skip_greylisting = yes\n", RCPT, RULE_ID_greylisting, false },
	{ "skip_greylisting = yes\n", RCPT, RULE_ID_throttle, true },
	{ "skip_whitelist = yes\n", END, -1, true },
};

static const struct {
	const char *settings, *attributes;
	bool wants_row;
} permit_cases[] = {
	{ "", RCPT, true },
	{ "", END, true },
	{ "", "protocol_state=DATA\n", false },
	{ "skip_whitelist = yes\n", RCPT, false },
	{ "skip_whitelist = yes\n", END, false },
	{ "skip_dunno = yes\n", RCPT, false },
	{ "skip_greylisting = yes\n", RCPT, true },
};

START_TEST(session_of_permit_wanted)
{
	struct decision *decision;
	char settings[100];

	snprintf(settings, sizeof(settings), "[sessions]\n%s",
		permit_cases[_i].settings);
	open_journal(settings, 0);
	decision = made_decision(&sources, permit_cases[_i].attributes);
	made_permit(decision, RULE_ID_throttle, "a friend");
	record(decision);
	ck_assert_uint_eq(sessions->n, permit_cases[_i].wants_row);
	if (permit_cases[_i].wants_row)
		ck_assert_ptr_nonnull(
			strstr(last_row(sessions), ",\"DUNNO\",\"a friend\","));
	close_journal();
}
END_TEST

START_TEST(session_wanted)
{
	struct decision *decision;
	char settings[100];

	snprintf(settings, sizeof(settings), "[sessions]\n%s",
		session_cases[_i].settings);
	open_journal(settings, 0);
	decision = made_decision(&sources, session_cases[_i].attributes);
	if (session_cases[_i].rule >= 0)
		made_refusal(decision, (enum rule_id)session_cases[_i].rule,
			session_cases[_i].rule == RULE_ID_greylisting
				? VERDICT_DEFER
				: VERDICT_REJECT,
			"no");
	record(decision);
	ck_assert_uint_eq(sessions->n, session_cases[_i].wants_row);
	close_journal();
}
END_TEST

START_TEST(session_row)
{
	struct decision *decision;

	open_journal("", 0);
	decision = made_decision(&sources, RCPT
		"reverse_client_name=rev.test\nsasl_username=U+v@One.test\n"
		"encryption_protocol=TLSv1.3\nencryption_cipher=AES\n"
		"server_address=192.0.2.1\nserver_port=25\n");
	made_refusal(decision, RULE_ID_greylisting, VERDICT_DEFER,
		"later, please");
	decision->wall_us = INT64_C(1795449600999999);
	record(decision);
	ck_assert_str_eq(last_row(sessions),
		"[1795449600,\"451\",\"4.7.1 later, please\",\"1a.2.0\","
		"\"192.0.2.7\",\"mx.test\",\"rev.test\",\"helo.test\","
		"\"sender@one.test\",\"one.test\",\"u+v@one.test\","
		"\"one.test\",\"rcpt@two.test\",\"two.test\",\"TLSv1.3\","
		"\"AES\",\"192.0.2.1\",\"25\"]");
	decision = made_decision(&sources,
		"protocol_state=END-OF-MESSAGE\nsender=\n");
	decision->wall_us = INT64_C(1795449600999999);
	record(decision);
	ck_assert_str_eq(last_row(sessions),
		"[1795449600,\"DUNNO\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
		"\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]");
	close_journal();
}
END_TEST

/* Characters count, not bytes, and none is cut in two. */
START_TEST(session_values_are_cut)
{
	struct decision *decision;
	char text[400], expected[600];
	size_t len = 0;

	open_journal("", 0);
	decision = made_decision(&sources,
		RCPT "server_port=123456789\xc3\xa4\xc3\xb6\n"
		     "encryption_protocol=\xff"
		     "\n");
	for (size_t i = 0; i < 160; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"\xc3\xa4");
	made_refusal(decision, RULE_ID_throttle, VERDICT_REJECT, text);
	record(decision);
	snprintf(expected, sizeof(expected), ",\"REJECT\",\"%.*s\",\"1a.2.0\"",
		2 * 150, text);
	ck_assert_ptr_nonnull(strstr(last_row(sessions), expected));
	ck_assert_ptr_nonnull(strstr(last_row(sessions),
		"\"\xef\xbf\xbd\",\"\",\"\",\"123456789\xc3\xa4\"]"));
	close_journal();
}
END_TEST

/* --- rows in general ----------------------------------------------------- */

START_TEST(decision_rows)
{
	struct decision *decision;

	open_journal("", 0);
	decision = made_decision(&sources, RCPT);
	journal_code(journal, decision);
	made_observation(decision, RULE_ID_throttle, "no");
	decision->wall_us = INT64_C(3) * DAY_SECONDS * 1000000;
	record(decision);
	ck_assert_int_eq(
		strncmp(last_row(decisions), "[3,259200000000,1,\"", 19), 0);
	ck_assert_ptr_nonnull(strstr(last_row(decisions),
		"\"RCPT\",\"throttle\",\"DUNNO\",\"DUNNO\","));
	record(made_decision(&sources, RCPT));
	ck_assert_uint_eq(decisions->n, 1);
	close_journal();

	open_journal("[decisions]\nenabled = no\n", 0);
	record(deferral(RCPT));
	ck_assert_uint_eq(decisions->n, 0);
	close_journal();
}
END_TEST

START_TEST(waiting_rows_are_bounded)
{
	const uint64_t lost_sessions = metric_get(METRIC_SESSIONS_LOST);
	const uint64_t lost = metric_get(METRIC_EFFECTS_LOST);
	const uint64_t queued = metric_get(METRIC_EFFECTS_QUEUED);
	struct journal_state state;
	const char *log;

	open_journal("[limits]\nwaiting_writes = 1000\n", 0);
	capture_log(LOG_LEVEL_WARNING);
	for (int i = 0; i < 1010; i++)
		record(deferral(RCPT));
	log = captured_log();
	ck_assert_ptr_nonnull(
		strstr(log, "1000 rows wait for iredapd.smtp_sessions: "));
	ck_assert_ptr_nonnull(
		strstr(log, "1000 rows wait for policyd.decision: "));
	ck_assert_ptr_null(
		strstr(strstr(log, "policyd.decision") + 1, "rows wait"));
	journal_state(journal, &state);
	ck_assert_uint_eq(state.n_waiting_sessions, 1000);
	ck_assert_uint_eq(state.n_waiting_decisions, 1000);
	ck_assert_uint_eq(metric_get(METRIC_SESSIONS_LOST), lost_sessions + 10);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_LOST), lost + 10);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_QUEUED), queued + 2000);
	answer(sessions, (struct db_result){ .status = DB_OK, .error = "" });
	journal_state(journal, &state);
	ck_assert_uint_eq(state.n_waiting_sessions, 0);
	record(deferral(RCPT));
	ck_assert_uint_eq(sessions->n, 1);
	/* What still waits at the end is lost. */
	close_journal();
	ck_assert_uint_eq(metric_get(METRIC_SESSIONS_LOST), lost_sessions + 11);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_LOST), lost + 1011);
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_QUEUED), queued);
}
END_TEST

START_TEST(missing_table_is_said_once)
{
	const struct db_result missing = {
		.status = DB_REFUSED,
		.error_number = NO_SUCH_TABLE,
		.error = "Table 'policyd.decision' doesn't exist",
	};
	const char *log;

	open_journal("[sessions]\nenabled = no\n", 0);
	capture_log(LOG_LEVEL_WARNING);
	for (int i = 0; i < 5; i++) {
		record(deferral(RCPT));
		test_clock_set(i * DAY_SECONDS);
		answer(decisions, missing);
	}
	log = captured_log();
	ck_assert_str_eq(log,
		"error: the table policyd.decision does not exist: "
		"run \"policyctl db migrate\"\n");
	close_journal();
}
END_TEST

/* --- retention ----------------------------------------------------------- */

/* The digits of the partitions that are emptied, in order. */
static const char *
swept(void)
{
	static char slots[FAKE_RUNS_MAX + 1];
	size_t n = 0;

	timer.fn(timer.arg);
	while (n_runs > 0) {
		const char *at = strstr(runs[0].statement->sql, "PARTITION p");

		ck_assert_ptr_nonnull(at);
		slots[n++] = at[strlen("PARTITION p")];
		answer_run((struct db_result){ .status = DB_OK, .error = "" });
	}
	slots[n] = '\0';
	return slots;
}

/* Turns the clock to noon of a day whose slot is given. */
static void
go_to_slot(unsigned slot)
{
	const int64_t today = (clock_wall() / DAY_SECONDS) & ~INT64_C(7);
	const int64_t noon = (today + 8 + slot) * DAY_SECONDS + DAY_SECONDS / 2;

	test_clock_set(0);
	test_clock_set(noon - clock_wall());
}

START_TEST(retention)
{
	static const struct {
		const char *keep_days;
		const char *slots; /* on a day of slot 2 */
	} cases[] = {
		{ "keep_days = 1\n", "076543" },
		{ "keep_days = 3\n", "6543" },
		{ "keep_days = 6\n", "3" },
		{ "keep_days = 7\n", "3" },
		{ "enabled = no\n", "" },
	};
	char settings[100];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(settings, sizeof(settings), "[decisions]\n%s",
			cases[i].keep_days);
		open_journal(settings, 0);
		ck_assert(timer.is_there);
		go_to_slot(2);
		ck_assert_str_eq(swept(), cases[i].slots);
		/* Once a day. */
		ck_assert_str_eq(swept(), "");
		close_journal();
		ck_assert(!timer.is_there);
	}
	open_journal("[decisions]\nkeep_days = 6\n", 0);
	go_to_slot(2);
	ck_assert_str_eq(swept(), "3");
	go_to_slot(7);
	ck_assert_str_eq(swept(), "0");
	close_journal();
	open_journal("", 1);
	ck_assert(!timer.is_there);
	close_journal();
}
END_TEST

START_TEST(retention_is_tried_again)
{
	const struct db_result missing = {
		.status = DB_REFUSED,
		.error_number = NO_SUCH_TABLE,
		.error = "Table 'policyd.decision' doesn't exist",
	};

	open_journal("[decisions]\nkeep_days = 6\n", 0);
	go_to_slot(2);
	capture_log(LOG_LEVEL_INFO);
	for (int i = 0; i < 3; i++) {
		timer.fn(timer.arg);
		ck_assert_uint_eq(n_runs, 1);
		/* One at a time. */
		timer.fn(timer.arg);
		ck_assert_uint_eq(n_runs, 1);
		answer_run(missing);
		ck_assert_uint_eq(n_runs, 0);
	}
	ck_assert_str_eq(captured_log(),
		"error: old rows of policyd.decision stay: the table "
		"policyd.decision does not exist: run "
		"\"policyctl db migrate\"\n");
	ck_assert_str_eq(swept(), "3");
	/* An answer may come when the journal is gone. */
	go_to_slot(4);
	timer.fn(timer.arg);
	close_journal();
	answer_run((struct db_result){ .status = DB_UNAVAILABLE, .error = "" });
}
END_TEST

/* --- policyd.decision ---------------------------------------------------- */

static const char *find_error;
static unsigned n_done;

static void
on_done(void *arg, const char *error)
{
	ck_assert_ptr_eq(arg, &found);
	find_error = error;
	n_done++;
}

static void
find_stored(const char *what)
{
	forget_found();
	n_done = 0;
	journal_find_stored(journal, slice_of(what), 5, on_found, on_done,
		&found);
}

START_TEST(stored)
{
	static const struct {
		const char *what, *statement;
		const char *texts[3];
	} cases[] = {
		{ "7k3mzOal", "decision_find_name",
			{ "7K3MZ0A1", "7k3mzOal", "7k3mzOal" } },
		{ "4XqZ1", "decision_find_name", { "", "4XqZ1", "4XqZ1" } },
		{ "User+x@One.test", "decision_find_address",
			{ "user@one.test", "user@one.test",
				"user+x@one.test" } },
		{ "192.0.2.7", "decision_find_client", { "192.0.2.7" } },
		{ "2001:db8::7", "decision_find_client", { "2001:db8::7" } },
		{ "7bd.6925a1c0.3d3c8.0", "decision_find_instance",
			{ "7bd.6925a1c0.3d3c8.0" } },
	};

	open_journal("", 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *params;
		size_t text = 0;

		find_stored(cases[i].what);
		ck_assert_uint_eq(n_done, 0);
		ck_assert_str_eq(runs[0].statement->name, cases[i].statement);
		params = runs[0].statement->params;
		for (size_t k = 0; params[k] != '\0'; k++)
			if (params[k] == 's')
				ck_assert_str_eq(runs[0].texts[k],
					cases[i].texts[text++]);
			else
				ck_assert_uint_eq(runs[0].values[k].number, 5);
		n_rows = 2;
		row_texts[0] = SLICE("{\"a\":1}");
		row_texts[1] = SLICE("{\"a\":2}");
		answer_run((struct db_result){ .status = DB_OK, .error = "" });
		ck_assert_str_eq(str_text(&found), "{\"a\":1}\n{\"a\":2}\n");
		ck_assert_uint_eq(n_done, 1);
		ck_assert_ptr_null(find_error);
	}
	close_journal();
}
END_TEST

START_TEST(stored_fails)
{
	open_journal("", 0);
	find_stored("4XqZ1");
	answer_run((struct db_result){ .status = DB_UNAVAILABLE,
		.error = "not reached" });
	ck_assert_str_eq(find_error, "not reached");
	find_stored("4XqZ1");
	answer_run((struct db_result){ .status = DB_REFUSED,
		.error_number = NO_SUCH_TABLE,
		.error = "?" });
	ck_assert_ptr_nonnull(strstr(find_error, "policyctl db migrate"));
	ck_assert_uint_eq(n_found, 0);
	/* Once the journal is gone, only the end is told. */
	find_stored("4XqZ1");
	close_journal();
	answer_run((struct db_result){ .status = DB_OK, .error = "" });
	ck_assert_uint_eq(n_done, 1);
	ck_assert_uint_eq(n_found, 0);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("journal_rows");
	TCase *tests = tcase_create("journal_rows");

	tcase_add_loop_test(tests, session_wanted, 0,
		(int)COUNT_OF(session_cases));
	tcase_add_loop_test(tests, session_of_permit_wanted, 0,
		sizeof(permit_cases) / sizeof(permit_cases[0]));
	tcase_add_test(tests, session_row);
	tcase_add_test(tests, session_values_are_cut);
	tcase_add_test(tests, decision_rows);
	tcase_add_test(tests, waiting_rows_are_bounded);
	tcase_add_test(tests, missing_table_is_said_once);
	tcase_add_test(tests, retention);
	tcase_add_test(tests, retention_is_tried_again);
	tcase_add_test(tests, stored);
	tcase_add_test(tests, stored_fails);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return run_suite(suite());
}
