#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/facts.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/tables.h"
#include "policyd/request.h"
#include "policyd/sources.h"
#include "tests/unit/fake_rows.h"

#define QUESTIONS_MAX 32
#define LIMIT         3000
#define TTL_MS        10000

/* --- in place of the database, the loop, the clock and the log --------- */

struct question {
	const struct db_statement *statement;
	struct db_value value;
	char text[64]; /* of the value */
	db_done_fn *done;
	void *arg;
};

static struct {
	struct question questions[QUESTIONS_MAX];
	size_t n_questions;
	bool is_down;
	int64_t now_us;
	int64_t timer_us; /* 0: not set */
	loop_fn *on_timer;
	void *timer_arg;
	struct str log;
} fake;

void
db_run(struct db *db, const struct db_statement *statement,
	const struct db_value *values, uint64_t deadline_ms, db_done_fn *done,
	void *arg)
{
	struct question *question = &fake.questions[fake.n_questions++];

	(void)db;
	ck_assert_uint_le(fake.n_questions, QUESTIONS_MAX);
	ck_assert_uint_eq(deadline_ms, 0);
	memset(question, 0, sizeof(*question));
	question->statement = statement;
	question->done = done;
	question->arg = arg;
	if (statement->params[0] == '\0')
		return;
	question->value = values[0];
	snprintf(question->text, sizeof(question->text), "%.*s",
		SLICE_ARG(values[0].text));
	/* A key that is bound more than once is the same everywhere. */
	for (size_t i = 1; statement->params[i] != '\0'; i++)
		ck_assert(slice_eq(values[i].text, values[0].text));
}

void
db_state(const struct db *db, struct db_state *out)
{
	(void)db;
	memset(out, 0, sizeof(*out));
	out->is_up = !fake.is_down;
	out->error = fake.is_down ? "connection refused" : "";
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	(void)loop;
	fake.on_timer = fn;
	fake.timer_arg = arg;
	return (struct loop_timer *)&fake;
}

void
loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
	(void)timer;
	fake.timer_us = fake.now_us + (int64_t)delay_ms * 1000;
}

void
loop_timer_free(struct loop_timer *timer)
{
	(void)timer;
	fake.on_timer = NULL;
}

int64_t
clock_wall(void)
{
	return 1700000000 + fake.now_us / 1000000;
}

int64_t
clock_wall_us(void)
{
	return clock_wall() * 1000000;
}

int64_t
clock_monotonic_us(void)
{
	return fake.now_us;
}

static void note(const char *format, va_list args)
	__attribute__((format(printf, 1, 0)));

static void
note(const char *format, va_list args)
{
	char line[400];

	vsnprintf(line, sizeof(line), format, args);
	str_append_text(&fake.log, line);
	str_append_char(&fake.log, '\n');
}

#define FAKE_LOG(name)                     \
	void name(const char *format, ...) \
	{                                  \
		va_list args;              \
                                           \
		va_start(args, format);    \
		note(format, args);        \
		va_end(args);              \
	}
FAKE_LOG(log_error)
FAKE_LOG(log_warning)
FAKE_LOG(log_info)

/* The log since the last call. */
#define check_log(expected)                                      \
	do {                                                     \
		ck_assert_str_eq(str_text(&fake.log), expected); \
		str_reset(&fake.log);                            \
	} while (0)

static void
pass_ms(int64_t ms)
{
	const int64_t until = fake.now_us + ms * 1000;

	while (fake.timer_us != 0 && fake.timer_us <= until) {
		fake.now_us = fake.timer_us;
		fake.timer_us = 0;
		fake.on_timer(fake.timer_arg);
	}
	fake.now_us = until;
}

/* --- answers ----------------------------------------------------------- */

static struct question
take(const char *statement)
{
	for (size_t i = 0; i < fake.n_questions; i++) {
		struct question question = fake.questions[i];

		if (strcmp(question.statement->name, statement) != 0)
			continue;
		fake.n_questions--;
		memmove(&fake.questions[i], &fake.questions[i + 1],
			(fake.n_questions - i) * sizeof(question));
		return question;
	}
	ck_abort_msg("nobody asks %s", statement);
}

static void
answer(const char *statement, const char *text)
{
	struct question question = take(statement);
	struct db_rows *rows = fake_rows(question.statement->columns, text);
	const struct db_result result = {
		.status = DB_OK,
		.error = "",
		.rows = rows,
	};

	question.done(question.arg, &result);
	fake_rows_free(rows);
}

static void
answer_error(const char *statement, enum db_status status, unsigned number,
	const char *error)
{
	struct question question = take(statement);
	const struct db_result result = {
		.status = status,
		.error_number = number,
		.error = error,
	};

	question.done(question.arg, &result);
}

/* What is asked now, all of it. */
static void
answer_all_unavailable(void)
{
	for (size_t n = fake.n_questions; n > 0; n--)
		answer_error(fake.questions[0].statement->name, DB_UNAVAILABLE,
			0, "connection refused");
}

/* Fingerprints of empty tables, and then no rows. */
static void
answer_all_empty(void)
{
	while (fake.n_questions > 0) {
		const char *name = fake.questions[0].statement->name;
		const bool is_fingerprint =
			slice_ends(slice_of(name), SLICE("_fingerprint"));

		answer(name, is_fingerprint ? "0|0\n" : "");
	}
}

/* --- the tables under test --------------------------------------------- */

static struct config config;
static struct sources sources;
static struct tables *tables;
static enum config_db_id absent_db = CONFIG_DB_COUNT;

static void
begin(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&config, 0, sizeof(config));
	fake.now_us = 5000000;
	str_init(&fake.log, 1 << 20);
	config.limits.table_rows = LIMIT;
	config.database.table_ttl_ms = TTL_MS;
	sources.config = &config;
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		sources.db[i] = i == absent_db ? NULL : (struct db *)&fake;
	tables = tables_new(&sources);
	sources.tables = tables;
}

static void
end(void)
{
	tables_free(tables);
	ck_assert(fake.on_timer == NULL);
	/* As db_free() does. */
	answer_all_unavailable();
	str_free(&fake.log);
}

/* Everything read and empty. */
static void
begin_read(void)
{
	begin();
	answer_all_empty();
	str_reset(&fake.log);
}

static bool
is_local(const char *domain)
{
	struct domain_state state;

	ck_assert(domain_look_up(tables, slice_of(domain), &state));
	return state.is_local;
}

static struct table_state
state_of(enum table_id id)
{
	struct table_state state;

	tables_state(tables, id, &state);
	return state;
}

/* Rows from...to-1 of vmail.domain, in order. */
static struct str
domain_rows(unsigned from, unsigned to)
{
	struct str rows;

	str_init(&rows, 1 << 20);
	for (unsigned i = from; i < to; i++)
		str_printf(&rows, "d%06u.example|1|0\n", i);
	return rows;
}

static void
answer_domains(unsigned from, unsigned to)
{
	struct str rows = domain_rows(from, to);

	answer("domain_chunk", str_text(&rows));
	str_free(&rows);
}

static void
note_fresh(void *arg, bool is_fresh)
{
	*(bool *)arg = is_fresh;
}

/* What the site does not have is empty, and nobody waits for it. */
START_TEST(absent_database)
{
	bool is_fresh = false;

	absent_db = CONFIG_DB_IREDAPD;
	begin();
	ck_assert_ptr_nonnull(tables_get(tables, TABLE_THROTTLE));
	ck_assert_ptr_null(tables_get(tables, TABLE_DOMAIN));
	ck_assert(state_of(TABLE_THROTTLE).is_absent);
	ck_assert(!state_of(TABLE_DOMAIN).is_absent);
	answer_all_empty();
	tables_refresh(tables, note_fresh, &is_fresh);
	ck_assert_ptr_nonnull(tables_get(tables, TABLE_DOMAIN));
	answer_all_empty();
	ck_assert(is_fresh);
	ck_assert_uint_eq(state_of(TABLE_THROTTLE).n_rows, 0);
	ck_assert_str_eq(state_of(TABLE_THROTTLE).error, "");
	end();
	absent_db = CONFIG_DB_COUNT;
}
END_TEST

START_TEST(every_table_is_read_at_the_start)
{
	begin();
	ck_assert_uint_eq(fake.n_questions, TABLE_COUNT);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		ck_assert_ptr_null(tables_get(tables, (enum table_id)i));
	answer_all_empty();
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		ck_assert_ptr_nonnull(tables_get(tables, (enum table_id)i));
		ck_assert_str_eq(state_of((enum table_id)i).error, "");
		ck_assert_int_eq(state_of((enum table_id)i).loaded_at,
			1700000005);
	}
	ck_assert_str_eq(state_of(TABLE_THROTTLE).name, "iredapd.throttle");
	end();
}
END_TEST

START_TEST(a_long_table_comes_in_chunks)
{
	begin();
	answer("domain_fingerprint", "2500|77\n");
	ck_assert_str_eq(fake.questions[fake.n_questions - 1].text, "");
	answer_domains(0, 1000);
	ck_assert_ptr_null(tables_get(tables, TABLE_DOMAIN));
	ck_assert_str_eq(fake.questions[fake.n_questions - 1].text,
		"d000999.example");
	answer_domains(1000, 2000);
	ck_assert_str_eq(fake.questions[fake.n_questions - 1].text,
		"d001999.example");
	answer_domains(2000, 2500);
	answer_all_empty();
	ck_assert(is_local("d000000.example"));
	ck_assert(is_local("d002499.example"));
	ck_assert(!is_local("d002500.example"));
	ck_assert_uint_eq(state_of(TABLE_DOMAIN).n_rows, 2500);
	end();
}
END_TEST

/* By number: the key is the id of the last row. */
START_TEST(a_numbered_table_goes_on_behind_its_last_number)
{
	struct str rows;

	begin();
	str_init(&rows, 1 << 20);
	for (unsigned i = 0; i < TABLE_CHUNK; i++)
		str_printf(&rows,
			"%u|u%u@example.com|outbound|100|60|-1|5|-1|-1\n",
			7 + 2 * i, i);
	answer("throttle_fingerprint", "1000|1\n");
	ck_assert_uint_eq(fake.questions[fake.n_questions - 1].value.number, 0);
	answer("throttle_chunk", str_text(&rows));
	ck_assert_uint_eq(fake.questions[fake.n_questions - 1].value.number,
		2005);
	answer("throttle_chunk", "");
	ck_assert_uint_eq(state_of(TABLE_THROTTLE).n_rows, 1000);
	str_free(&rows);
	answer_all_empty();
	end();
}
END_TEST

START_TEST(a_table_is_read_again_when_it_changed)
{
	begin_read();
	pass_ms(TTL_MS - 1);
	ck_assert_uint_eq(fake.n_questions, 0);
	pass_ms(1);
	ck_assert_uint_eq(fake.n_questions, TABLE_COUNT);
	answer("domain_fingerprint", "0|0\n");
	ck_assert_int_eq(state_of(TABLE_DOMAIN).loaded_at, 1700000005);
	ck_assert_int_eq(state_of(TABLE_DOMAIN).checked_at, 1700000015);
	answer("setting_fingerprint", "1|5\n");
	answer("setting_chunk", "@.|throttle.mode|off|[]\n");
	ck_assert_int_eq(state_of(TABLE_SETTING).loaded_at, 1700000015);
	answer_all_empty();
	check_log("policyd.setting: 1 rows in force\n");
	/* Also when it is as it was before. */
	pass_ms(TTL_MS);
	answer("setting_fingerprint", "0|0\n");
	answer("setting_chunk", "");
	ck_assert_uint_eq(state_of(TABLE_SETTING).n_rows, 0);
	answer_all_empty();
	end();
}
END_TEST

/* The fingerprint counts that was there before the rows. */
START_TEST(a_change_while_it_is_read_is_seen_next_time)
{
	begin_read();
	pass_ms(TTL_MS);
	answer("domain_fingerprint", "1|1\n");
	answer("domain_chunk", "a.example|1|0\nb.example|1|0\n");
	answer_all_empty();
	pass_ms(TTL_MS);
	answer("domain_fingerprint", "2|2\n");
	answer("domain_chunk", "a.example|1|0\nb.example|1|0\nc.example|1|0\n");
	ck_assert(is_local("c.example"));
	answer_all_empty();
	end();
}
END_TEST

START_TEST(a_database_that_is_away_leaves_the_snapshot)
{
	begin_read();
	pass_ms(TTL_MS);
	answer("domain_fingerprint", "1|1\n");
	answer("domain_chunk", "a.example|1|0\n");
	answer_all_empty();
	str_reset(&fake.log);

	pass_ms(TTL_MS);
	answer("domain_fingerprint", "2|2\n");
	answer_error("domain_chunk", DB_UNAVAILABLE, 0, "gone away");
	answer_error("alias_domain_fingerprint", DB_UNAVAILABLE, 0,
		"gone away");
	ck_assert(is_local("a.example"));
	ck_assert_str_eq(state_of(TABLE_DOMAIN).error, "gone away");
	answer_all_empty();
	check_log("vmail database: its tables cannot be read, what was read "
		  "before stays in force: gone away\n");

	/* Asked again soon, and the others when they are due. */
	pass_ms(1000);
	ck_assert_uint_eq(fake.n_questions, 2);
	answer_error("domain_fingerprint", DB_UNAVAILABLE, 0, "timed out");
	answer_error("alias_domain_fingerprint", DB_UNAVAILABLE, 0,
		"timed out");
	check_log("");
	pass_ms(1000);
	answer("alias_domain_fingerprint", "0|0\n");
	check_log("vmail database: its tables are read again\n");
	answer("domain_fingerprint", "2|2\n");
	answer("domain_chunk", "b.example|1|0\n");
	ck_assert(is_local("b.example"));
	ck_assert(!is_local("a.example"));
	ck_assert_str_eq(state_of(TABLE_DOMAIN).error, "");
	check_log("vmail.domain: 1 rows in force\n");
	end();
}
END_TEST

START_TEST(what_the_server_refuses_is_told_once)
{
	static const char missing[] = "Table 'policyd.setting' doesn't exist";

	begin();
	answer_error("setting_fingerprint", DB_REFUSED, 1146, missing);
	check_log("policyd.setting: Table 'policyd.setting' doesn't exist; run "
		  "\"policyctl db migrate\"\n");
	ck_assert_str_eq(state_of(TABLE_SETTING).error,
		"Table 'policyd.setting' doesn't exist; run \"policyctl db "
		"migrate\"");
	answer_error("alias_domain_fingerprint", DB_REFUSED, 1146, "no table");
	check_log("vmail.alias_domain: no table; has [vmail_db] the name of "
		  "iRedMail's database? \"policyctl doctor\" tells which rules "
		  "need what\n");
	answer_all_empty();
	str_reset(&fake.log);
	pass_ms(TTL_MS);
	answer_error("setting_fingerprint", DB_REFUSED, 1146, missing);
	check_log("");
	answer_all_empty();
	pass_ms(TTL_MS);
	str_reset(&fake.log);
	answer("setting_fingerprint", "0|0\n");
	answer("setting_chunk", "");
	check_log("policyd.setting: 0 rows in force\n"
		  "policyd.setting: it can be read again\n");
	answer_all_empty();
	end();
}
END_TEST

START_TEST(a_table_that_is_too_large_stays_as_it_was)
{
	static const char *const too_large =
		"vmail.domain: it has more than table_rows = 3000 rows; what "
		"was read before stays in force\n";

	begin_read();
	pass_ms(TTL_MS);
	answer("domain_fingerprint", "3001|1\n");
	check_log(too_large);
	answer_all_empty();
	/* It grew while it was read: the same, and not told again. */
	pass_ms(TTL_MS);
	answer("domain_fingerprint", "3000|2\n");
	answer_domains(0, 1000);
	answer_domains(1000, 2000);
	answer_domains(2000, 3000);
	answer_domains(3000, 3001);
	check_log("");
	ck_assert(!is_local("d000000.example"));
	answer_all_empty();
	pass_ms(TTL_MS);
	answer("domain_fingerprint", "0|0\n");
	check_log("vmail.domain: it can be read again\n");
	answer_all_empty();
	end();
}
END_TEST

START_TEST(rows_that_make_no_sense_are_listed_and_told_once)
{
	const struct table_problem *problem;

	begin();
	answer("domain_fingerprint", "2|1\n");
	answer("domain_chunk", "localhost|1|0\nok.example|1|0\n");
	answer("throttle_fingerprint", "2|1\n");
	answer("throttle_chunk",
		"7|@.|sideways|0|60|-1|5|-1|-1\n9|x|inbound|0|60|-1|5|-1|-1\n");
	answer_all_empty();
	problem = tables_problem_next(tables, NULL);
	ck_assert_str_eq(problem->table, "vmail.domain");
	ck_assert_str_eq(problem->key, "localhost");
	problem = tables_problem_next(tables, problem);
	ck_assert_str_eq(problem->table, "iredapd.throttle");
	ck_assert_str_eq(problem->key, "id 7: @., sideways");
	ck_assert_str_eq(problem->text,
		"its kind is not outbound, inbound or external");
	problem = tables_problem_next(tables, problem);
	ck_assert_str_eq(problem->key, "id 9: x, inbound");
	ck_assert_ptr_null(tables_problem_next(tables, problem));
	ck_assert_uint_eq(state_of(TABLE_THROTTLE).n_problems, 2);
	ck_assert(is_local("ok.example"));

	str_reset(&fake.log);
	pass_ms(TTL_MS);
	answer("throttle_fingerprint", "2|2\n");
	answer("throttle_chunk", "7|@.|sideways|0|60|-1|6|-1|-1\n"
				 "9|192.0.2.0/33|inbound|0|60|-1|5|-1|-1\n");
	check_log("iredapd.throttle: row left out (id 9: 192.0.2.0/33, "
		  "inbound): its account is not an address, a domain, a "
		  "client or a network\n"
		  "iredapd.throttle: 0 rows in force\n");
	answer_all_empty();
	pass_ms(TTL_MS);
	answer("throttle_fingerprint", "0|0\n");
	answer("throttle_chunk", "");
	answer_all_empty();
	problem = tables_problem_next(tables, NULL);
	ck_assert_ptr_null(tables_problem_next(tables, problem));
	end();
}
END_TEST

/* A key that was made of the other columns is not shown. */
START_TEST(problems_are_bounded)
{
	const struct table_problem *problem = NULL;
	struct str rows;
	size_t n = 0;

	begin();
	str_init(&rows, 1 << 20);
	for (unsigned i = 0; i < 1000; i++)
		str_printf(&rows, "u%u@x.example|a.b|v|[\"u\",\"a\"]\n", i);
	answer("setting_fingerprint", "1001|1\n");
	answer("setting_chunk", str_text(&rows));
	answer("setting_chunk", "v@x.example|a.b|v|[]\n");
	answer_all_empty();
	while ((problem = tables_problem_next(tables, problem)) != NULL) {
		if (n++ == 0)
			ck_assert_str_eq(problem->key, "u0@x.example, a.b, v");
	}
	ck_assert_uint_eq(n, TABLE_PROBLEMS_MAX);
	ck_assert_uint_eq(state_of(TABLE_SETTING).n_problems, 1001);
	ck_assert_ptr_nonnull(strstr(str_text(&fake.log),
		"policyd.setting: and 980 rows more"));
	str_free(&rows);
	end();
}
END_TEST

/* --- refreshing -------------------------------------------------------- */

static unsigned n_fresh, n_failed;

static void
on_refreshed(void *arg, bool is_fresh)
{
	ck_assert_ptr_eq(arg, &n_fresh);
	if (is_fresh)
		n_fresh++;
	else
		n_failed++;
}

static void
refresh(void)
{
	tables_refresh(tables, on_refreshed, &n_fresh);
}

START_TEST(a_refresh_is_done_when_all_is_in_force)
{
	n_fresh = n_failed = 0;
	begin_read();
	tables_refresh(tables, NULL, NULL);
	answer_all_empty();
	refresh();
	ck_assert_uint_eq(fake.n_questions, TABLE_COUNT);
	answer("domain_fingerprint", "1|1\n");
	for (int i = 0; i < TABLE_COUNT - 1; i++)
		answer(fake.questions[0].statement->name, "0|0\n");
	ck_assert_uint_eq(n_fresh, 0);
	answer("domain_chunk", "a.example|1|0\n");
	ck_assert_uint_eq(n_fresh, 1);
	ck_assert_uint_eq(fake.n_questions, 0);
	end();
}
END_TEST

/* A fingerprint that is on its way may be older than the change. */
START_TEST(a_refresh_while_one_is_under_way_asks_again)
{
	n_fresh = n_failed = 0;
	begin_read();
	refresh();
	refresh();
	refresh();
	ck_assert_uint_eq(fake.n_questions, TABLE_COUNT);
	for (int i = 0; i < TABLE_COUNT; i++)
		answer(fake.questions[0].statement->name, "0|0\n");
	ck_assert_uint_eq(n_fresh, 1);
	ck_assert_uint_eq(fake.n_questions, TABLE_COUNT);
	answer_all_empty();
	ck_assert_uint_eq(n_fresh, 3);
	ck_assert_uint_eq(n_failed, 0);
	end();
}
END_TEST

START_TEST(a_refresh_fails_when_the_database_is_away)
{
	n_fresh = n_failed = 0;
	begin_read();
	refresh();
	refresh();
	answer_all_unavailable();
	ck_assert_uint_eq(n_failed, 2);
	ck_assert_uint_eq(fake.n_questions, 0);
	/* Of a table that is refused, nobody can have changed a row. */
	refresh();
	answer_error("setting_fingerprint", DB_REFUSED, 1146, "no table");
	answer_all_empty();
	ck_assert_uint_eq(n_fresh, 1);
	end();
}
END_TEST

/* --- facts that wait --------------------------------------------------- */

static struct request req;
static struct facts facts;
static unsigned n_ready;

static void
on_ready(struct facts *of)
{
	ck_assert_ptr_eq(of, &facts);
	n_ready++;
}

static void
begin_request(void)
{
	arena_free(req.arena);
	memset(&req, 0, sizeof(req));
	req.arena = arena_new(REQUEST_ARENA_MAX);
	req.config = &config;
	req.sender = address_parse(req.arena, SLICE("u@a.example"), SLICE(""));
	facts_init(&facts, &req, &sources);
	facts.on_ready = on_ready;
	n_ready = 0;
}

static void
end_request(void)
{
	arena_free(req.arena);
	memset(&req, 0, sizeof(req));
}

START_TEST(a_fact_waits_for_all_its_tables)
{
	const struct domains *domains;
	const struct setting *setting;

	begin();
	begin_request();
	ck_assert(!fact_domains(&facts, &domains));
	ck_assert(!fact_setting(&facts, &setting));
	ck_assert_uint_eq(facts.n_pending, 2);
	answer("domain_fingerprint", "1|1\n");
	answer("domain_chunk", "a.example|1|0\n");
	ck_assert_uint_eq(facts.n_pending, 2);
	answer("alias_domain_fingerprint", "0|0\n");
	answer("alias_domain_chunk", "");
	ck_assert_uint_eq(facts.n_pending, 1);
	ck_assert_uint_eq(n_ready, 0);
	answer("setting_fingerprint", "0|0\n");
	answer("setting_chunk", "");
	ck_assert_uint_eq(n_ready, 1);
	ck_assert(fact_domains(&facts, &domains));
	ck_assert(domains->sender.is_local);
	ck_assert(!facts.slot[FACT_DOMAINS].is_from_memory);
	/* Now it is there, and is known at once. */
	begin_request();
	ck_assert(fact_domains(&facts, &domains));
	ck_assert(facts.slot[FACT_DOMAINS].is_from_memory);
	end_request();
	end();
}
END_TEST

START_TEST(a_fact_is_unavailable_when_its_table_is)
{
	const struct domains *domains;
	const struct setting *setting;

	begin();
	begin_request();
	ck_assert(!fact_setting(&facts, &setting));
	answer_error("setting_fingerprint", DB_REFUSED, 1146, "no table");
	ck_assert_uint_eq(n_ready, 1);
	ck_assert_str_eq(facts.slot[FACT_SETTING].reason,
		"policyd.setting: no table; run \"policyctl db migrate\"");
	/* Known by now: nobody waits for the next attempt. */
	begin_request();
	ck_assert(!fact_setting(&facts, &setting));
	ck_assert_uint_eq(facts.n_pending, 0);
	ck_assert(facts.is_wanting);
	/* Nor for a database that is down. */
	ck_assert(!fact_domains(&facts, &domains));
	ck_assert_uint_eq(facts.n_pending, 1);
	facts_give_up(&facts, "too late");
	fake.is_down = true;
	begin_request();
	ck_assert(!fact_domains(&facts, &domains));
	ck_assert_str_eq(facts.slot[FACT_DOMAINS].reason,
		"vmail.domain: connection refused");
	end_request();
	end();
}
END_TEST

START_TEST(a_fact_that_was_forgotten_is_left_alone)
{
	const struct domains *domains;

	begin();
	begin_request();
	ck_assert(!fact_domains(&facts, &domains));
	facts_give_up(&facts, "too late");
	end_request();
	answer_all_empty();
	end();
}
END_TEST

START_TEST(answers_after_the_end_are_dropped)
{
	n_fresh = n_failed = 0;
	begin();
	answer("domain_fingerprint", "1|1\n");
	refresh();
	tables_free(tables);
	answer_all_unavailable();
	ck_assert_uint_eq(n_fresh + n_failed, 0);
	str_free(&fake.log);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tables");
	TCase *tc = tcase_create("tables");

	tcase_add_test(tc, every_table_is_read_at_the_start);
	tcase_add_test(tc, absent_database);
	tcase_add_test(tc, a_long_table_comes_in_chunks);
	tcase_add_test(tc, a_numbered_table_goes_on_behind_its_last_number);
	tcase_add_test(tc, a_table_is_read_again_when_it_changed);
	tcase_add_test(tc, a_change_while_it_is_read_is_seen_next_time);
	tcase_add_test(tc, a_database_that_is_away_leaves_the_snapshot);
	tcase_add_test(tc, what_the_server_refuses_is_told_once);
	tcase_add_test(tc, a_table_that_is_too_large_stays_as_it_was);
	tcase_add_test(tc, rows_that_make_no_sense_are_listed_and_told_once);
	tcase_add_test(tc, problems_are_bounded);
	tcase_add_test(tc, a_refresh_is_done_when_all_is_in_force);
	tcase_add_test(tc, a_refresh_while_one_is_under_way_asks_again);
	tcase_add_test(tc, a_refresh_fails_when_the_database_is_away);
	tcase_add_test(tc, a_fact_waits_for_all_its_tables);
	tcase_add_test(tc, a_fact_is_unavailable_when_its_table_is);
	tcase_add_test(tc, a_fact_that_was_forgotten_is_left_alone);
	tcase_add_test(tc, answers_after_the_end_are_dropped);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
