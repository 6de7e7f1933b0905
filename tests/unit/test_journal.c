#include "policyd/journal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/effect.h"
#include "policyd/rule.h"
#include "tests/unit/journal_fixture.h"
#include "tests/unit/made_decision.h"

/* --- codes --------------------------------------------------------------- */

static int
compare_codes(const void *a, const void *b)
{
	return memcmp(a, b, DECISION_CODE_LEN + 1);
}

START_TEST(codes_differ)
{
	enum { N = 100000 };
	struct decision *decision;
	char(*codes)[DECISION_CODE_LEN + 1] = x_calloc(N, sizeof(*codes));

	open_journal("", 0);
	decision = made_decision(&sources, RCPT);
	for (size_t i = 0; i < N; i++) {
		journal_code(journal, decision);
		ck_assert_uint_eq(strlen(decision->code), DECISION_CODE_LEN);
		ck_assert_uint_eq(strspn(decision->code,
					  "0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
			DECISION_CODE_LEN);
		memcpy(codes[i], decision->code, sizeof(codes[i]));
	}
	qsort(codes, N, sizeof(*codes), compare_codes);
	for (size_t i = 1; i < N; i++)
		ck_assert_str_ne(codes[i - 1], codes[i]);
	made_decision_free(decision);
	x_free(codes);
	close_journal();
}
END_TEST

/* The fourth character and a part of the fifth say who made the code. */
START_TEST(codes_of_processes)
{
	char first[DECISION_CODE_LEN + 1];
	struct decision *decision;

	open_journal("", 0);
	decision = made_decision(&sources, RCPT);
	journal_code(journal, decision);
	memcpy(first, decision->code, sizeof(first));
	made_decision_free(decision);
	close_journal();
	open_journal("", 1);
	decision = made_decision(&sources, RCPT);
	journal_code(journal, decision);
	ck_assert_int_ne(memcmp(first + 3, decision->code + 3, 2), 0);
	made_decision_free(decision);
	close_journal();
}
END_TEST

START_TEST(typed_codes)
{
	static const struct {
		const char *typed, *code;
	} cases[] = {
		{ "7K3MZ0A1", "7K3MZ0A1" },
		{ "7k3mzoal", "7K3MZ0A1" },
		{ "7k3mzOaI", "7K3MZ0A1" },
		{ "7k3mzua1", "" }, /* u is none */
		{ "7K3MZ0A", "" },
		{ "7K3MZ0A11", "" },
		{ "7K3M-0A1", "" },
		{ "", "" },
	};
	char code[DECISION_CODE_LEN + 1];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		ck_assert_int_eq(
			journal_parse_code(slice_of(cases[i].typed), code),
			cases[i].code[0] != '\0');
		ck_assert_str_eq(code, cases[i].code);
	}
}
END_TEST

/* --- the log line -------------------------------------------------------- */

START_TEST(log_of_accepted)
{
	open_journal("", 0);
	capture_log(LOG_LEVEL_INFO);
	record(made_decision(&sources, END));
	ck_assert_str_eq(captured_log(),
		"info: decision stage=END-OF-MESSAGE action=DUNNO "
		"client_address=192.0.2.7 client_name=mx.test "
		"helo_name=helo.test sender=Sender+x@One.test "
		"recipient=rcpt@two.test queue_id=4XqZ1 instance=1a.2.0 "
		"size=1234 recipient_count=2 took_ms=1.500\n");
	close_journal();
}
END_TEST

START_TEST(log_of_refused)
{
	struct decision *decision;

	open_journal("", 0);
	capture_log(LOG_LEVEL_INFO);
	decision = made_decision(&sources,
		RCPT "sasl_username=u@one.test\nhelo_name=a\nb=\"c d\"\n");
	made_refusal(decision, RULE_ID_throttle, VERDICT_REJECT,
		"Throttling quota exceeded");
	memcpy(decision->code, "7K3MZ0A1", 9);
	record(decision);
	ck_assert_str_eq(captured_log(),
		"info: decision stage=RCPT action=REJECT rule=throttle "
		"code=7K3MZ0A1 reply=\"REJECT Throttling quota exceeded\" "
		"client_address=192.0.2.7 client_name=mx.test helo_name=a "
		"sender=Sender+x@One.test recipient=rcpt@two.test "
		"sasl_username=u@one.test instance=1a.2.0 took_ms=1.500\n");
	close_journal();
}
END_TEST

START_TEST(log_of_observed)
{
	struct decision *decision;

	open_journal("", 0);
	capture_log(LOG_LEVEL_INFO);
	decision = made_decision(&sources, "protocol_state=RCPT\n");
	made_observation(decision, RULE_ID_throttle, "Too many");
	made_gap(decision, RULE_ID_greylisting, "no database");
	memcpy(decision->code, "7K3MZ0A1", 9);
	record(decision);
	ck_assert_str_eq(captured_log(),
		"info: decision stage=RCPT action=DUNNO code=7K3MZ0A1 "
		"would_have=\"throttle:Too many\" unavailable=greylisting "
		"sender=<> took_ms=1.500\n");
	close_journal();
}
END_TEST

#define RULES_ORDER "[rules]\norder = throttle, reject_null_sender\n"

START_TEST(log_of_permit)
{
	struct decision *decision;

	open_journal(RULES_ORDER, 0);
	capture_log(LOG_LEVEL_INFO);
	decision = made_decision(&sources,
		"protocol_state=RCPT\nsender=a@b.test\n");
	made_permit(decision, RULE_ID_throttle, "a friend");
	record(decision);
	ck_assert_str_eq(captured_log(),
		"info: decision stage=RCPT action=DUNNO "
		"permitted_by=\"throttle:a friend\" sender=a@b.test "
		"took_ms=1.500\n");
	ck_assert_ptr_nonnull(
		strstr(find("a@b.test", 1), "\"permitted_by\":\"throttle\""));
	ck_assert_ptr_nonnull(strstr(find("a@b.test", 1),
		"{\"rule\":\"throttle\",\"outcome\":\"permitted\","
		"\"mode\":\"enforce\",\"took_ms\":0.250,"
		"\"text\":\"a friend\"}"));
	/* It is no refusal: the database is not told. */
	ck_assert_uint_eq(decisions->n, 0);
	close_journal();
}
END_TEST

/* --- explanations -------------------------------------------------------- */

static void
describe_counter(const void *value, struct str *json)
{
	str_append_text(json, value);
}

static void
describe_too_much(const void *value, struct str *json)
{
	(void)value;
	for (size_t i = 0; i <= EXPLANATION_BYTES_MAX; i++)
		str_append_char(json, ' ');
}

static void
apply_nothing(struct facts *facts, const void *data)
{
	(void)facts;
	(void)data;
}

static const struct fact_kind kind_counter = {
	.id = FACT_RESERVATION,
	.name = "reservation",
	.describe = describe_counter,
};
static const struct fact_kind kind_large = {
	.id = FACT_RESERVATION,
	.name = "reservation",
	.describe = describe_too_much,
};
static const struct fact_kind kind_missing = {
	.id = FACT_TRIPLET,
	.name = "triplet",
};

static struct decision *
refusal_with_facts(const struct fact_kind *kind)
{
	struct decision *decision = made_decision(&sources, RCPT);
	struct verdict *verdict = &decision->trace[RULE_ID_throttle].verdict;

	memcpy(decision->code, "7K3MZ0A1", 9);
	made_refusal(decision, RULE_ID_throttle, VERDICT_REJECT,
		"Too \"many\"");
	rule_hint(verdict, "accepted in %d s", 60);
	effect_add(verdict, "count", apply_nothing, NULL);
	effect_add(verdict, "notify", apply_nothing, NULL);
	decision->trace[RULE_ID_reject_null_sender].outcome = OUTCOME_NOT_ASKED;
	facts_put(&decision->facts, kind, "{\"before\":1,\"after\":2}");
	facts_put_unavailable(&decision->facts, &kind_missing, "database gone");
	decision->facts.slot[FACT_RESERVATION].asked_us = 10;
	decision->facts.slot[FACT_RESERVATION].answered_us = 2345;
	decision->wall_us = INT64_C(1795449600000123);
	return decision;
}

#define HEAD_OF_REFUSAL                                                         \
	"{\"code\":\"7K3MZ0A1\",\"time\":1795449600.000123,\"node\":\"node1\"," \
	"\"stage\":\"RCPT\",\"action\":\"REJECT\",\"rule\":\"throttle\","       \
	"\"would_have\":\"\",\"permitted_by\":\"\","                            \
	"\"reply\":\"REJECT Too \\\"many\\\"\","                                \
	"\"client_address\":\"192.0.2.7\",\"client_name\":\"mx.test\","         \
	"\"helo_name\":\"helo.test\",\"sender\":\"Sender+x@One.test\","         \
	"\"recipient\":\"rcpt@two.test\",\"sasl_username\":\"\","               \
	"\"queue_id\":\"\",\"instance\":\"1a.2.0\",\"recipient_count\":0,"      \
	"\"size\":0,\"took_ms\":1.500,\"rules\":["                              \
	"{\"rule\":\"throttle\",\"outcome\":\"refused\","                       \
	"\"mode\":\"enforce\",\"took_ms\":0.250,"                               \
	"\"text\":\"Too \\\"many\\\"\",\"hint\":\"accepted in 60 s\","          \
	"\"effects\":[\"count\",\"notify\"]},"                                  \
	"{\"rule\":\"reject_null_sender\",\"outcome\":\"not asked\"}],"         \
	"\"facts\":[{\"fact\":\"triplet\",\"state\":\"unavailable\","           \
	"\"from_memory\":false,\"took_ms\":0.000,"                              \
	"\"reason\":\"database gone\"},"                                        \
	"{\"fact\":\"reservation\",\"state\":\"known\","                        \
	"\"from_memory\":false,\"took_ms\":2.335"

START_TEST(explanation)
{
	open_journal(RULES_ORDER, 0);
	record(refusal_with_facts(&kind_counter));
	ck_assert_str_eq(find("7k3mzOAl", 10),
		HEAD_OF_REFUSAL ",\"value\":{\"before\":1,\"after\":2}}]}\n");
	/* The row says the same, for days. */
	ck_assert_str_eq(last_row(decisions),
		"[4,1795449600000123,0,\"7K3MZ0A1\",\"node1\",\"RCPT\","
		"\"throttle\",\"REJECT\",\"REJECT Too \\\"many\\\"\","
		"\"192.0.2.7\",\"mx.test\",\"helo.test\",\"sender@one.test\","
		"\"rcpt@two.test\",\"\",\"\",\"1a.2.0\",\"\"," HEAD_OF_REFUSAL
		",\"value\":{\"before\":1,\"after\":2}}]}]");
	close_journal();
}
END_TEST

START_TEST(explanation_too_large)
{
	open_journal(RULES_ORDER, 0);
	record(refusal_with_facts(&kind_large));
	ck_assert_str_eq(find("7K3MZ0A1", 10), HEAD_OF_REFUSAL "}]}\n");
	ck_assert_uint_eq(decisions->n, 1);
	close_journal();
}
END_TEST

/* Why something was accepted: what is known without the facts. */
START_TEST(brief_record)
{
	struct decision *decision;
	const char *json;

	open_journal(RULES_ORDER, 0);
	decision = made_decision(&sources, END);
	made_gap(decision, RULE_ID_throttle, "database gone");
	decision->wall_us = INT64_C(1795449600000123);
	record(decision);
	json = find("4xqz1", 10);
	ck_assert_ptr_nonnull(
		strstr(json, "{\"code\":\"\",\"time\":1795449600.000123,"));
	ck_assert_ptr_nonnull(strstr(json, "\"reply\":\"DUNNO\""));
	ck_assert_ptr_nonnull(strstr(json,
		"\"recipient_count\":2,\"size\":1234,\"took_ms\":1.500,"
		"\"rules\":[{\"rule\":\"throttle\","
		"\"outcome\":\"could not judge, accepted\","
		"\"mode\":\"enforce\",\"took_ms\":0.250,"
		"\"missing\":\"database gone\"},"
		"{\"rule\":\"reject_null_sender\","
		"\"outcome\":\"no objection\",\"mode\":\"enforce\","
		"\"took_ms\":0.250}]}\n"));
	/* No row: it was let through. */
	ck_assert_uint_eq(decisions->n, 0);
	close_journal();
}
END_TEST

/* --- memory -------------------------------------------------------------- */

START_TEST(find_by)
{
	static const struct {
		const char *what;
		unsigned n;
	} cases[] = {
		{ "192.0.2.7", 2 },
		{ "sender+x@one.test", 2 },
		{ "SENDER@one.test", 2 },
		{ "rcpt@two.test", 2 },
		{ "login@one.test", 1 },
		/* The RCPT of the same message did not know the queue id. */
		{ "4XqZ1", 2 },
		{ "1a.2.0", 2 },
		{ "other@one.test", 0 },
		{ "mx.test", 0 },
		{ "", 0 },
	};

	open_journal("", 0);
	record(made_decision(&sources, RCPT));
	record(made_decision(&sources, END "sasl_username=Login@one.test\n"));
	record(made_decision(&sources, "protocol_state=RCPT\n"));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		find(cases[i].what, 10);
		ck_assert_msg(n_found == cases[i].n, "%s: %u", cases[i].what,
			n_found);
	}
	/* The newest first, and no more than wanted. */
	ck_assert_ptr_nonnull(strstr(find("192.0.2.7", 1), "END-OF-MESSAGE"));
	ck_assert_uint_eq(n_found, 1);
	close_journal();
}
END_TEST

START_TEST(memory_is_bounded)
{
	struct journal_state state;
	char text[200];

	open_journal("[limits]\ndecisions = 100\n[sessions]\nenabled = no\n",
		0);
	journal_state(journal, &state);
	ck_assert_uint_eq(state.n_decisions, 0);
	ck_assert_int_eq(state.oldest_us, 0);
	for (int i = 0; i < 150; i++) {
		snprintf(text, sizeof(text),
			"protocol_state=RCPT\nrecipient=r%d@two.test\n", i);
		record(i % 2 ? deferral(text) : made_decision(&sources, text));
	}
	journal_state(journal, &state);
	ck_assert_uint_eq(state.n_decisions, 100);
	ck_assert_uint_eq(state.n_waiting_decisions, 75);
	ck_assert_int_gt(state.oldest_us, 0);
	find("r49@two.test", 1);
	ck_assert_uint_eq(n_found, 0);
	find("r50@two.test", 1);
	ck_assert_uint_eq(n_found, 1);
	close_journal();
}
END_TEST

START_TEST(memory_bytes_are_bounded)
{
	struct journal_state state;
	struct str large;

	open_journal("[limits]\nrequest_bytes = 1M\n"
		     "[sessions]\nenabled = no\n[decisions]\nenabled = no\n",
		0);
	str_init(&large, 1 << 18);
	str_append_char(&large, '"');
	while (large.len < 250000)
		str_append_char(&large, 'x');
	str_append_char(&large, '"');
	for (int i = 0; i < 300; i++) {
		struct decision *decision = deferral(RCPT);

		facts_put(&decision->facts, &kind_counter, str_text(&large));
		record(decision);
	}
	str_free(&large);
	journal_state(journal, &state);
	/* 32 MiB of 250 kB each. */
	ck_assert_uint_gt(state.n_decisions, 130);
	ck_assert_uint_lt(state.n_decisions, 135);
	close_journal();
}
END_TEST

/* --- taps ---------------------------------------------------------------- */

struct listener {
	struct journal_tap *tap;
	unsigned n, until;
	char last[4096];
};

static void
on_tap(void *arg, struct slice json)
{
	struct listener *listener = arg;

	snprintf(listener->last, sizeof(listener->last), "%.*s",
		SLICE_ARG(json));
	if (++listener->n == listener->until) {
		journal_tap_free(listener->tap);
		listener->tap = NULL;
	}
}

START_TEST(taps)
{
	struct listener once = { .until = 1 }, all = { 0 };

	open_journal("", 0);
	record(made_decision(&sources, RCPT));
	once.tap = journal_tap_new(journal, on_tap, &once);
	all.tap = journal_tap_new(journal, on_tap, &all);
	record(made_decision(&sources, RCPT));
	ck_assert_ptr_nonnull(strstr(all.last, "\"action\":\"DUNNO\""));
	record(deferral(RCPT));
	ck_assert_ptr_nonnull(strstr(all.last, "\"action\":\"451\""));
	ck_assert_ptr_nonnull(strstr(all.last, "\"facts\":["));
	ck_assert_ptr_null(strchr(all.last, '\n'));
	ck_assert_uint_eq(once.n, 1);
	ck_assert_uint_eq(all.n, 2);
	journal_tap_free(all.tap);
	record(deferral(RCPT));
	ck_assert_uint_eq(all.n, 2);
	close_journal();
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("journal");
	TCase *tests = tcase_create("journal");

	tcase_add_test(tests, codes_differ);
	tcase_add_test(tests, codes_of_processes);
	tcase_add_test(tests, typed_codes);
	tcase_add_test(tests, log_of_accepted);
	tcase_add_test(tests, log_of_refused);
	tcase_add_test(tests, log_of_observed);
	tcase_add_test(tests, log_of_permit);
	tcase_add_test(tests, explanation);
	tcase_add_test(tests, explanation_too_large);
	tcase_add_test(tests, brief_record);
	tcase_add_test(tests, find_by);
	tcase_add_test(tests, memory_is_bounded);
	tcase_add_test(tests, memory_bytes_are_bounded);
	tcase_add_test(tests, taps);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return run_suite(suite());
}
