#include "tests/unit/journal_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "tests/clock.h"
#include "tests/unit/made_decision.h"

struct sources sources;
struct journal *journal;
struct str found;
unsigned n_found;

/* --- in place of the database -------------------------------------------- */

struct db_batch *sessions, *decisions;
struct fake_run runs[FAKE_RUNS_MAX];
size_t n_runs;
struct fake_timer timer;
struct slice row_texts[4];
size_t n_rows;

struct db_batch *__wrap_db_batch_new(struct db *db,
	const struct db_batch_ops *ops, void *owner);
bool __wrap_db_batch_add(struct db_batch *batch, struct db_item *item);
void __wrap_db_batch_free(struct db_batch *batch);
void __wrap_db_batch_pace(struct db_batch *batch, uint64_t items_per_second);
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

void
answer(struct db_batch *batch, struct db_result result)
{
	size_t n = batch->n;

	batch->n = 0;
	if (n > 0)
		batch->ops->done(batch->owner, batch->items, n, &result);
}

void
__wrap_db_batch_pace(struct db_batch *batch, uint64_t items_per_second)
{
	(void)batch;
	(void)items_per_second;
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
	ck_assert_uint_lt(n_runs, FAKE_RUNS_MAX);
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

void
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

/* --- a journal ----------------------------------------------------------- */

void
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

void
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

void
capture_log(enum log_level level)
{
	const struct log_config config = { .level = level };

	real_stderr = dup(STDERR_FILENO);
	ck_assert_int_eq(ftruncate(log_file, 0), 0);
	ck_assert_int_eq(lseek(log_file, 0, SEEK_SET), 0);
	dup2(log_file, STDERR_FILENO);
	log_open("policyd", &config);
}

const char *
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

void
record(struct decision *decision)
{
	journal_record(journal, decision);
	made_decision_free(decision);
}

struct decision *
deferral(const char *attributes)
{
	struct decision *decision = made_decision(&sources, attributes);

	journal_code(journal, decision);
	made_refusal(decision, RULE_ID_greylisting, VERDICT_DEFER,
		"try again later");
	return decision;
}

void
on_found(void *arg, struct slice json)
{
	ck_assert_ptr_eq(arg, &found);
	str_append_slice(&found, json);
	str_append_char(&found, '\n');
	n_found++;
}

void
forget_found(void)
{
	str_free(&found);
	str_init(&found, 4 << 20);
	n_found = 0;
}

const char *
find(const char *what, size_t max)
{
	forget_found();
	journal_find(journal, slice_of(what), max, on_found, &found);
	return str_text(&found);
}

const char *
last_row(const struct db_batch *batch)
{
	static struct str json;

	str_free(&json);
	str_init(&json, 4 << 20);
	if (batch->n > 0)
		batch->ops->encode(batch->items[batch->n - 1], &json);
	return str_text(&json);
}

/* --- running ------------------------------------------------------------ */

int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
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
