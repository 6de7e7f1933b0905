/*
 * The journal without a database: the linker puts the functions below in
 * place of db_batch_*(), db_run() and the timers (--wrap).
 */

#include "policyd/journal.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "policyd/effect.h"
#include "policyd/journal_private.h"
#include "policyd/rule.h"
#include "policyd/sources.h"
#include "tests/clock.h"
#include "tests/unit/made_decision.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define DAY_SECONDS     86400
#define RUNS_MAX        16

/* clang-format off */
#define CLIENT "client_address=192.0.2.7\nclient_name=mx.test\n" \
	"helo_name=helo.test\n"
#define MAIL CLIENT "sender=Sender+x@One.test\nrecipient=rcpt@two.test\n"
#define RCPT "protocol_state=RCPT\n" MAIL "instance=1a.2.0\n"
#define END "protocol_state=END-OF-MESSAGE\n" MAIL "instance=1a.2.0\n" \
	"queue_id=4XqZ1\nsize=1234\nrecipient_count=2\n"
/* clang-format on */

static struct sources sources;
static struct journal *journal;

/* --- in place of the database ------------------------------------------- */

struct db_batch {
	const struct db_batch_ops *ops;
	void *owner;
	struct db_item *items[4096];
	size_t n;
};

static struct db_batch *sessions, *decisions;

static struct {
	const struct db_statement *statement;
	struct db_value values[8];
	char texts[8][300];
	db_done_fn *done;
	void *arg;
} runs[RUNS_MAX];
static size_t n_runs;

static struct {
	loop_fn *fn;
	void *arg;
	uint64_t delay_ms;
	bool is_there;
} timer;

static struct slice row_texts[4];
static size_t n_rows;

struct db_batch *__wrap_db_batch_new(struct db *db,
	const struct db_batch_ops *ops, void *owner);
bool __wrap_db_batch_add(struct db_batch *batch, struct db_item *item);
void __wrap_db_batch_free(struct db_batch *batch);
void __wrap_db_run(struct db *db, const struct db_statement *statement,
	const struct db_value *values, uint64_t deadline_ms, db_done_fn *done,
	void *arg);
size_t __wrap_db_rows_count(const struct db_rows *rows);
struct slice __wrap_db_rows_text(const struct db_rows *rows, size_t row,
	size_t column);
struct loop_timer *__wrap_loop_timer_new(struct loop *loop, loop_fn *fn,
	void *arg);
void __wrap_loop_timer_set(struct loop_timer *which, uint64_t delay_ms);
void __wrap_loop_timer_free(struct loop_timer *which);

struct db_batch *
__wrap_db_batch_new(struct db *db, const struct db_batch_ops *ops, void *owner)
{
	struct db_batch *batch = x_new(struct db_batch);

	(void)db;
	ck_assert(ops->is_patient);
	batch->ops = ops;
	batch->owner = owner;
	if (strstr(ops->statement->sql, "smtp_sessions") != NULL)
		sessions = batch;
	else
		decisions = batch;
	return batch;
}

bool
__wrap_db_batch_add(struct db_batch *batch, struct db_item *item)
{
	ck_assert_uint_lt(batch->n, COUNT_OF(batch->items));
	batch->items[batch->n++] = item;
	return true;
}

static void
answer(struct db_batch *batch, struct db_result result)
{
	size_t n = batch->n;

	batch->n = 0;
	if (n > 0)
		batch->ops->done(batch->owner, batch->items, n, &result);
}

void
__wrap_db_batch_free(struct db_batch *batch)
{
	answer(batch,
		(struct db_result){ .status = DB_UNAVAILABLE, .error = "end" });
	x_free(batch);
}

void
__wrap_db_run(struct db *db, const struct db_statement *statement,
	const struct db_value *values, uint64_t deadline_ms, db_done_fn *done,
	void *arg)
{
	(void)db;
	(void)deadline_ms;
	ck_assert_uint_lt(n_runs, RUNS_MAX);
	runs[n_runs].statement = statement;
	for (size_t i = 0; statement->params[i] != '\0'; i++) {
		runs[n_runs].values[i] = values[i];
		snprintf(runs[n_runs].texts[i], sizeof(runs[0].texts[i]),
			"%.*s", SLICE_ARG(values[i].text));
	}
	runs[n_runs].done = done;
	runs[n_runs].arg = arg;
	n_runs++;
}

/* Answers the oldest statement; the others move up. */
static void
answer_run(struct db_result result)
{
	db_done_fn *done = runs[0].done;
	void *arg = runs[0].arg;

	ck_assert_uint_gt(n_runs, 0);
	n_runs--;
	memmove(runs, runs + 1, n_runs * sizeof(runs[0]));
	done(arg, &result);
}

size_t
__wrap_db_rows_count(const struct db_rows *rows)
{
	(void)rows;
	return n_rows;
}

struct slice
__wrap_db_rows_text(const struct db_rows *rows, size_t row, size_t column)
{
	(void)rows;
	ck_assert_uint_eq(column, 0);
	ck_assert_uint_lt(row, n_rows);
	return row_texts[row];
}

struct loop_timer *
__wrap_loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	(void)loop;
	timer.fn = fn;
	timer.arg = arg;
	timer.is_there = true;
	return (struct loop_timer *)(void *)&timer;
}

void
__wrap_loop_timer_set(struct loop_timer *which, uint64_t delay_ms)
{
	ck_assert_ptr_eq(which, &timer);
	timer.delay_ms = delay_ms;
}

void
__wrap_loop_timer_free(struct loop_timer *which)
{
	ck_assert_ptr_eq(which, &timer);
	timer.is_there = false;
}

/* --- a journal ---------------------------------------------------------- */

static void
open_journal(const char *settings, unsigned process)
{
	struct config_errors errors = { NULL, 0 };

	sources.config = config_parse(slice_of(settings), "test", &errors);
	ck_assert_msg(sources.config != NULL, "%s",
		errors.n > 0 ? errors.items[0].text : "");
	sources.process = process;
	sources.node = x_strdup("node1");
	n_runs = 0;
	timer.is_there = false;
	journal = journal_new(&sources);
}

static void
close_journal(void)
{
	journal_free(journal);
	config_unref(sources.config);
	x_free(sources.node);
	test_clock_set(0);
}

/* --- what is logged ------------------------------------------------------ */

static char log_path[] = "/tmp/test_journal.XXXXXX";
static int log_file = -1, real_stderr = -1;

static const struct log_config quiet = { .level = LOG_LEVEL_ERROR };

static void
capture_log(enum log_level level)
{
	const struct log_config config = { .level = level };

	real_stderr = dup(STDERR_FILENO);
	ck_assert_int_eq(ftruncate(log_file, 0), 0);
	ck_assert_int_eq(lseek(log_file, 0, SEEK_SET), 0);
	dup2(log_file, STDERR_FILENO);
	log_open("policyd", &config);
}

/* What was logged, behind the head of the first line; ends the capture. */
static const char *
captured_log(void)
{
	static char text[65536];
	ssize_t n;
	char *at;

	log_open("policyd", &quiet);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = pread(log_file, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	at = strstr(text, "] ");
	return at != NULL ? at + 2 : text;
}

/* --- decisions ----------------------------------------------------------- */

static void
record(struct decision *decision)
{
	journal_record(journal, decision);
	made_decision_free(decision);
}

static struct decision *
deferral(const char *attributes)
{
	struct decision *decision = made_decision(&sources, attributes);

	journal_code(journal, decision);
	made_refusal(decision, RULE_ID_greylisting, VERDICT_DEFER,
		"try again later");
	return decision;
}

/* What was found, one in each line. */
static struct str found;
static unsigned n_found;

static void
on_found(void *arg, struct slice json)
{
	ck_assert_ptr_eq(arg, &found);
	str_append_slice(&found, json);
	str_append_char(&found, '\n');
	n_found++;
}

static const char *
find(const char *what, size_t max)
{
	str_free(&found);
	str_init(&found, 4 << 20);
	n_found = 0;
	journal_find(journal, slice_of(what), max, on_found, &found);
	return str_text(&found);
}

/* How many rows wait, and the last one. */
static const char *
last_row(const struct db_batch *batch)
{
	static struct str json;

	str_free(&json);
	str_init(&json, 4 << 20);
	if (batch->n > 0)
		batch->ops->encode(batch->items[batch->n - 1], &json);
	return str_text(&json);
}

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
		"took_ms=1.500\n");
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

#define RULES_ORDER "[rules]\norder = throttle, reject_null_sender\n"

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
	"\"would_have\":\"\",\"reply\":\"REJECT Too \\\"many\\\"\","            \
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
		"\"rcpt@two.test\",\"\",\"\",\"1a.2.0\"," HEAD_OF_REFUSAL
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

/* --- memory --------------------------------------------------------------- */

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
	/* 64 MiB of 250 kB each. */
	ck_assert_uint_gt(state.n_decisions, 260);
	ck_assert_uint_lt(state.n_decisions, 269);
	close_journal();
}
END_TEST

/* --- taps ------------------------------------------------------------------
 */

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

/* --- smtp_sessions ----------------------------------------------------------
 */

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

/* --- rows in general
 * ---------------------------------------------------------- */

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

/* --- retention
 * ------------------------------------------------------------------ */

/* The digits of the partitions that are emptied, in order. */
static const char *
swept(void)
{
	static char slots[RUNS_MAX + 1];
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

/* --- policyd.decision
 * ------------------------------------------------------------ */

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
	str_free(&found);
	str_init(&found, 4 << 20);
	n_found = n_done = 0;
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
	/* Nobody is told once the journal is gone. */
	find_stored("4XqZ1");
	close_journal();
	answer_run((struct db_result){ .status = DB_OK, .error = "" });
	ck_assert_uint_eq(n_done, 0);
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
	tcase_add_test(tests, explanation);
	tcase_add_test(tests, explanation_too_large);
	tcase_add_test(tests, brief_record);
	tcase_add_test(tests, find_by);
	tcase_add_test(tests, memory_is_bounded);
	tcase_add_test(tests, memory_bytes_are_bounded);
	tcase_add_test(tests, taps);
	tcase_add_loop_test(tests, session_wanted, 0,
		(int)COUNT_OF(session_cases));
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
	SRunner *runner = srunner_create(suite());
	int n_failed;

	log_file = mkstemp(log_path);
	unlink(log_path);
	log_open("policyd", &quiet);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	str_free(&found);
	log_close();
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
