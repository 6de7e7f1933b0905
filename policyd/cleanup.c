#include "policyd/cleanup.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/lease.h"
#include "policyd/sources.h"

#define LEASE_NAME        "cleanup"
#define STATEMENT_MS      10000u
#define COUNT_DEADLINE_MS 60000u
#define ERROR_MAX         512
#define KEYS_BYTES_MAX    ((size_t)4 << 20)
/* The first run comes sooner than the others, but not at once. */
#define FIRST_FRACTION  60
#define SPREAD_FRACTION 10

enum state {
	STATE_RESTING,   /* for the time of the next run */
	STATE_HOLDING,   /* for the lease */
	STATE_COUNTING,  /* for the number of rows */
	STATE_FINDING,   /* for the keys of some rows */
	STATE_REMOVING,  /* for those rows to be gone */
	STATE_PAUSING,   /* for a pause between batches to end */
	STATE_RELEASING, /* for the lease to be given back */
};

struct cleanup {
	struct sources *sources;
	unsigned n_refs; /* one is the owner's, one of a statement under way */
	bool is_closed, is_stopping;
	enum state state;
	struct loop_timer *timer;
	struct lease *lease;
	int64_t due_us;
	struct cleanup_report report;
	/* The run under way: */
	bool is_dry_run, is_asked_for;
	int64_t began_us;
	size_t job; /* index into cleanup_jobs */
	int64_t job_began_us, cutoff;
	uint64_t position, n_job_rows, n_rows;
	size_t n_found, n_keys;
	bool is_stuck; /* a batch was found again that could not be removed */
	struct str keys;
	const char *failure;   /* NULL or why the run ends */
	char error[ERROR_MAX]; /* of the last one */
};

static void next_job(struct cleanup *cleanup);
static void next_batch(struct cleanup *cleanup);
static void end_run(struct cleanup *cleanup);

static const struct cleanup_job *
job_of(const struct cleanup *cleanup)
{
	return &cleanup_jobs[cleanup->job];
}

/* --- statements --------------------------------------------------------- */

/* In a callback: false when there is nobody left to call back. */
static bool
is_wanted(struct cleanup *cleanup)
{
	const bool is_closed = cleanup->is_closed;

	if (--cleanup->n_refs == 0)
		x_free(cleanup);
	return !is_closed;
}

static void
run(struct cleanup *cleanup, enum config_db_id db,
	const struct db_statement *statement, const struct db_value *values,
	db_done_fn *done)
{
	cleanup->n_refs++;
	db_run(cleanup->sources->db[db], statement, values,
		cleanup->state == STATE_COUNTING ? COUNT_DEADLINE_MS
						 : STATEMENT_MS,
		done, cleanup);
}

static void
note_error(struct cleanup *cleanup, const char *where, const char *error)
{
	(void)snprintf(cleanup->error, sizeof(cleanup->error), "%s: %s", where,
		error);
	metric_add(METRIC_CLEANUP_FAILURES, 1);
	log_warning("clean-up: %s", cleanup->error);
}

/* --- the lease ---------------------------------------------------------- */

static void
on_held(void *arg, enum lease_status status, const char *error)
{
	struct cleanup *cleanup = arg;

	switch (status) {
	case LEASE_BEGUN:
		next_job(cleanup);
		return;
	case LEASE_EXTENDED:
		next_batch(cleanup);
		return;
	case LEASE_OTHERS:
		cleanup->failure = "another node is at work; see \"policyctl "
				   "status\" there";
		break;
	case LEASE_TOO_SOON:
		cleanup->failure = "it was done not long ago";
		break;
	case LEASE_UNKNOWN:
		note_error(cleanup, "policyd.lease", error);
		cleanup->failure = cleanup->error;
		break;
	}
	end_run(cleanup);
}

/* By whoever asks for it, a run may follow upon another. */
static uint64_t
due_after_s(const struct cleanup *cleanup)
{
	const uint64_t interval_ms =
		cleanup->sources->config->cleanup.interval_ms;

	if (cleanup->is_asked_for)
		return 0;
	return (interval_ms - interval_ms / SPREAD_FRACTION) / 1000;
}

static void
hold(struct cleanup *cleanup)
{
	cleanup->state = STATE_HOLDING;
	lease_hold(cleanup->lease, due_after_s(cleanup), on_held, cleanup);
}

/* --- the end of a run ---------------------------------------------------- */

static uint64_t
spread(uint64_t span_ms)
{
	const int64_t now_us = clock_monotonic_us();

	/* Keyed by chance, so no two processes spread alike. */
	return span_ms == 0 ? 0
			    : hash_u64((struct slice){ (const char *)&now_us,
				      sizeof(now_us) }) %
				      span_ms;
}

static void
rest(struct cleanup *cleanup, uint64_t delay_ms)
{
	cleanup->state = STATE_RESTING;
	cleanup->due_us = clock_monotonic_us() + (int64_t)delay_ms * 1000;
	if (cleanup->is_stopping || cleanup->sources->process != 0)
		loop_timer_clear(cleanup->timer);
	else
		loop_timer_set(cleanup->timer, delay_ms);
}

static void
tell_done(struct cleanup *cleanup)
{
	const struct cleanup_report report = cleanup->report;

	cleanup->report = (struct cleanup_report){ NULL, NULL, NULL };
	if (report.done != NULL)
		report.done(report.arg, cleanup->failure);
}

static void
rest_for_interval(struct cleanup *cleanup)
{
	const uint64_t interval_ms =
		cleanup->sources->config->cleanup.interval_ms;

	rest(cleanup, interval_ms + spread(interval_ms / SPREAD_FRACTION));
}

/* Who only looked, or was refused, does not put off the next run. */
static void
finish(struct cleanup *cleanup)
{
	const int64_t left_us = cleanup->due_us - clock_monotonic_us();

	if (cleanup->is_asked_for &&
		(cleanup->is_dry_run || cleanup->failure != NULL))
		rest(cleanup, left_us > 0 ? (uint64_t)left_us / 1000 : 0);
	else
		rest_for_interval(cleanup);
	tell_done(cleanup);
}

static void
on_released(void *arg)
{
	finish(arg);
}

static void
log_run(const struct cleanup *cleanup)
{
	log_line_begin(LOG_LEVEL_INFO, "cleanup");
	log_line_u64("rows", cleanup->n_rows);
	log_line_ms("took_ms", clock_monotonic_us() - cleanup->began_us);
	log_line_end();
}

static void
release(struct cleanup *cleanup)
{
	if (cleanup->failure != NULL) {
		lease_drop(cleanup->lease, on_released, cleanup);
		return;
	}
	metric_add(METRIC_CLEANUP_RUNS, 1);
	log_run(cleanup);
	lease_finish(cleanup->lease, cleanup->n_rows, on_released, cleanup);
}

static void
end_run(struct cleanup *cleanup)
{
	cleanup->state = STATE_RELEASING;
	str_free(&cleanup->keys);
	if (lease_is_held(cleanup->lease))
		release(cleanup);
	else
		finish(cleanup);
}

/* --- one table ------------------------------------------------------------ */

static void
end_job(struct cleanup *cleanup, const char *error)
{
	const struct cleanup_job *job = job_of(cleanup);

	if (error != NULL)
		note_error(cleanup, job->table, error);
	cleanup->n_rows += cleanup->n_job_rows;
	if (cleanup->report.job != NULL)
		cleanup->report.job(cleanup->report.arg, job,
			cleanup->n_job_rows,
			clock_monotonic_us() - cleanup->job_began_us, error);
	cleanup->job++;
	next_job(cleanup);
}

/*
 * What the server refuses for one table it may not for the next; without a
 * server there is nothing to go on with.
 */
static void
fail_job(struct cleanup *cleanup, const struct db_result *result)
{
	if (result->status != DB_REFUSED)
		cleanup->failure = "the database does not answer";
	end_job(cleanup, result->error);
}

static bool
is_over(struct cleanup *cleanup)
{
	if (cleanup->is_stopping && cleanup->failure == NULL)
		cleanup->failure = "policyd is being stopped";
	return cleanup->failure != NULL;
}

static void
on_counted(void *arg, const struct db_result *result)
{
	struct cleanup *cleanup = arg;

	if (!is_wanted(cleanup))
		return;
	if (result->status != DB_OK) {
		fail_job(cleanup, result);
		return;
	}
	cleanup->n_job_rows = db_rows_u64(result->rows, 0, 0);
	end_job(cleanup, NULL);
}

static void
count(struct cleanup *cleanup)
{
	const struct cleanup_job *job = job_of(cleanup);
	const struct db_value value = { .number = (uint64_t)cleanup->cutoff };

	cleanup->state = STATE_COUNTING;
	run(cleanup, job->db, job->count, &value, on_counted);
}

static void
pause_batch(struct cleanup *cleanup)
{
	cleanup->state = STATE_PAUSING;
	loop_timer_set(cleanup->timer,
		cleanup->sources->config->cleanup.pause_ms);
}

static void
on_removed(void *arg, const struct db_result *result)
{
	struct cleanup *cleanup = arg;

	if (!is_wanted(cleanup))
		return;
	if (result->status != DB_OK) {
		fail_job(cleanup, result);
		return;
	}
	cleanup->n_job_rows += result->affected;
	metric_add(METRIC_CLEANUP_ROWS, result->affected);
	if (cleanup->n_found < cleanup->sources->config->cleanup.batch)
		end_job(cleanup, NULL);
	else if (result->affected == 0 && cleanup->is_stuck)
		end_job(cleanup, "rows that have expired cannot be removed");
	else
		pause_batch(cleanup);
}

static void
remove_rows(struct cleanup *cleanup)
{
	const struct cleanup_job *job = job_of(cleanup);
	const struct db_value values[] = {
		{ .text = str_slice(&cleanup->keys) },
		{ .number = (uint64_t)cleanup->cutoff },
	};

	cleanup->state = STATE_REMOVING;
	run(cleanup, job->db, job->remove, values, on_removed);
}

static void
on_first_removed(void *arg, const struct db_result *result)
{
	struct cleanup *cleanup = arg;

	if (!is_wanted(cleanup))
		return;
	if (result->status != DB_OK)
		fail_job(cleanup, result);
	else
		remove_rows(cleanup);
}

static void
remove_found(struct cleanup *cleanup)
{
	const struct cleanup_job *job = job_of(cleanup);
	const struct db_value value = { .text = str_slice(&cleanup->keys) };

	if (job->first == NULL) {
		remove_rows(cleanup);
		return;
	}
	cleanup->state = STATE_REMOVING;
	run(cleanup, job->first_db, job->first, &value, on_first_removed);
}

enum find_column { FIND_POSITION, FIND_IS_EXPIRED, FIND_KEY };

static void
take_keys(struct cleanup *cleanup, const struct db_rows *rows)
{
	const size_t n = db_rows_count(rows);
	const uint64_t before = cleanup->position;

	str_reset(&cleanup->keys);
	str_append_char(&cleanup->keys, '[');
	cleanup->n_found = n;
	cleanup->n_keys = 0;
	for (size_t i = 0; i < n; i++) {
		if (db_rows_u64(rows, i, FIND_IS_EXPIRED) == 0)
			continue;
		if (cleanup->n_keys++ > 0)
			str_append_char(&cleanup->keys, ',');
		str_append_json(&cleanup->keys,
			db_rows_text(rows, i, FIND_KEY));
	}
	str_append_char(&cleanup->keys, ']');
	if (n > 0)
		cleanup->position = db_rows_u64(rows, n - 1, FIND_POSITION);
	cleanup->is_stuck = n > 0 && cleanup->position == before;
}

static void
on_found(void *arg, const struct db_result *result)
{
	struct cleanup *cleanup = arg;

	if (!is_wanted(cleanup))
		return;
	if (result->status != DB_OK) {
		fail_job(cleanup, result);
		return;
	}
	take_keys(cleanup, result->rows);
	assert(!cleanup->keys.is_cut);
	if (cleanup->n_keys > 0)
		remove_found(cleanup);
	else if (cleanup->n_found < cleanup->sources->config->cleanup.batch)
		end_job(cleanup, NULL);
	else
		pause_batch(cleanup);
}

static void
find(struct cleanup *cleanup)
{
	const struct cleanup_job *job = job_of(cleanup);
	const struct db_value values[] = {
		{ .number = (uint64_t)cleanup->cutoff },
		{ .number = cleanup->position },
		{ .number = cleanup->sources->config->cleanup.batch },
	};

	cleanup->state = STATE_FINDING;
	run(cleanup, job->db, job->find, values, on_found);
}

static void
next_batch(struct cleanup *cleanup)
{
	if (is_over(cleanup))
		end_run(cleanup);
	else if (lease_is_due(cleanup->lease))
		hold(cleanup);
	else
		find(cleanup);
}

/* What has to go first from a database that the site has not, does not go. */
static bool
has_databases(const struct sources *sources, const struct cleanup_job *job)
{
	return sources->db[job->db] != NULL &&
	       (job->first == NULL || sources->db[job->first_db] != NULL);
}

static void
next_job(struct cleanup *cleanup)
{
	const struct sources *sources = cleanup->sources;

	while (cleanup->job < n_cleanup_jobs && !is_over(cleanup)) {
		const struct cleanup_job *job = job_of(cleanup);

		cleanup->cutoff = job->cutoff(sources->config, clock_wall());
		if (has_databases(sources, job) && cleanup->cutoff > 0)
			break;
		cleanup->job++;
	}
	if (cleanup->job == n_cleanup_jobs || is_over(cleanup)) {
		end_run(cleanup);
		return;
	}
	cleanup->job_began_us = clock_monotonic_us();
	cleanup->position = 0;
	cleanup->n_job_rows = 0;
	if (cleanup->is_dry_run)
		count(cleanup);
	else
		next_batch(cleanup);
}

/* --- runs ------------------------------------------------------------------
 */

static void
start(struct cleanup *cleanup, bool is_asked_for, bool is_dry_run)
{
	assert(cleanup->state == STATE_RESTING);
	loop_timer_clear(cleanup->timer);
	str_init(&cleanup->keys, KEYS_BYTES_MAX);
	cleanup->is_asked_for = is_asked_for;
	cleanup->is_dry_run = is_dry_run;
	cleanup->began_us = clock_monotonic_us();
	cleanup->job = 0;
	cleanup->n_rows = 0;
	cleanup->failure = NULL;
	cleanup->error[0] = '\0';
	if (is_dry_run)
		next_job(cleanup);
	else
		hold(cleanup);
}

static void
on_timer(void *arg)
{
	struct cleanup *cleanup = arg;

	if (cleanup->state == STATE_PAUSING)
		next_batch(cleanup);
	else if (cleanup->sources->config->cleanup.enabled)
		start(cleanup, false, false);
	else
		rest_for_interval(cleanup);
}

bool
cleanup_run(struct cleanup *cleanup, bool is_dry_run,
	const struct cleanup_report *report)
{
	if (cleanup->state != STATE_RESTING || cleanup->is_stopping)
		return false;
	cleanup->report = *report;
	start(cleanup, true, is_dry_run);
	return true;
}

void
cleanup_mute(struct cleanup *cleanup)
{
	cleanup->report = (struct cleanup_report){ NULL, NULL, NULL };
}

void
cleanup_state(const struct cleanup *cleanup, struct cleanup_state *out)
{
	struct lease_last last;

	lease_last(cleanup->lease, &last);
	out->is_running = cleanup->state != STATE_RESTING;
	out->finished_at = last.at;
	out->node = last.node;
	out->n_rows = last.n_rows;
	out->error = cleanup->error;
}

/* --- life ------------------------------------------------------------------
 */

struct cleanup *
cleanup_new(struct sources *sources)
{
	struct cleanup *cleanup = x_new(struct cleanup);
	const uint64_t first_ms =
		sources->config->cleanup.interval_ms / FIRST_FRACTION;

	cleanup->sources = sources;
	cleanup->n_refs = 1;
	cleanup->timer = loop_timer_new(sources->loop, on_timer, cleanup);
	cleanup->lease = lease_new(sources, LEASE_NAME);
	rest(cleanup, first_ms + spread(first_ms));
	return cleanup;
}

void
cleanup_configure(struct cleanup *cleanup)
{
	const uint64_t interval_ms =
		cleanup->sources->config->cleanup.interval_ms;

	if (cleanup->state == STATE_RESTING &&
		clock_monotonic_us() + (int64_t)interval_ms * 1000 <
			cleanup->due_us)
		rest(cleanup, interval_ms);
}

void
cleanup_stop(struct cleanup *cleanup)
{
	cleanup->is_stopping = true;
	if (cleanup->state == STATE_PAUSING)
		loop_timer_set(cleanup->timer, 0);
	else if (cleanup->state == STATE_RESTING)
		loop_timer_clear(cleanup->timer);
}

bool
cleanup_is_busy(const struct cleanup *cleanup)
{
	return cleanup->state != STATE_RESTING;
}

void
cleanup_free(struct cleanup *cleanup)
{
	if (cleanup == NULL)
		return;
	lease_free(cleanup->lease);
	loop_timer_free(cleanup->timer);
	str_free(&cleanup->keys);
	cleanup->is_closed = true;
	if (--cleanup->n_refs == 0)
		x_free(cleanup);
}
