#include "policyd/dkim_watch.h"

#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/dkim_check.h"
#include "policyd/dkim_store.h"
#include "policyd/lease.h"
#include "policyd/sources.h"

#define LEASE_NAME "dkim_keys"
#define LOOK_MS    1000u
/* How often a node that stands by asks for the lease. */
#define TRY_US (INT64_C(1000000) * LEASE_S / 3)
/* Keys that are looked up at once, and so the rows that are read. */
#define CHECKS_MAX 16u

struct job {
	struct dkim_watch *watch;
	uint64_t id;
	char *domain, *selector;
	struct dkim_check *check;
};

/* A statement under way; outlives its owner. */
struct question {
	struct dkim_watch *watch;
};

struct dkim_watch {
	struct sources *sources;
	struct lease *lease;
	struct loop_timer *timer;
	struct job jobs[CHECKS_MAX];
	size_t n_running;
	struct question *question; /* for keys that are due */
	bool is_lease_asked, is_stopping;
	int64_t try_us;
};

static void look_for_keys(struct dkim_watch *watch);

/* --- one key ------------------------------------------------------------ */

static void
end_job(struct job *job)
{
	dkim_check_cancel(job->check);
	x_free(job->domain);
	x_free(job->selector);
	job->watch->n_running--;
	*job = (struct job){ .watch = NULL };
}

/* The next check notes it again: a failure here is no harm. */
static void
on_noted(void *arg, const struct db_result *result)
{
	(void)arg;
	(void)result;
}

static void
on_checked(void *arg, const struct dkim_check_outcome *outcome)
{
	struct job *job = arg;
	struct dkim_watch *watch = job->watch;
	struct db_value values[DKIM_NOTE_VALUES];

	job->check = NULL;
	if (dkim_seen_is_absent(outcome->seen))
		log_warning("the DNS does not show the key %s of %s: %s",
			job->selector, job->domain, outcome->problem);
	dkim_note_values(job->id, outcome, values);
	db_run(watch->sources->db[CONFIG_DB_POLICYD], &dkim_note_check, values,
		0, on_noted, NULL);
	end_job(job);
}

static void
start_job(struct dkim_watch *watch, struct job *job, const struct db_rows *rows,
	size_t row)
{
	const struct dkim_check_question question = { db_rows_text(rows, row,
							      1),
		db_rows_text(rows, row, 2), db_rows_text(rows, row, 3) };

	job->watch = watch;
	job->id = db_rows_u64(rows, row, 0);
	job->domain = slice_strdup(question.domain);
	job->selector = slice_strdup(question.selector);
	watch->n_running++;
	job->check = dkim_check_start(watch->sources->dkim_checks,
		watch->sources->config->dns.timeout_ms, &question, on_checked,
		job);
}

/* --- which keys --------------------------------------------------------- */

static void
on_due(void *arg, const struct db_result *result)
{
	struct question *question = arg;
	struct dkim_watch *watch = question->watch;

	x_free(question);
	if (watch == NULL)
		return;
	watch->question = NULL;
	if (watch->is_stopping || result->status != DB_OK)
		return;
	for (size_t i = 0; i < db_rows_count(result->rows) && i < CHECKS_MAX;
		i++)
		start_job(watch, &watch->jobs[i], result->rows, i);
}

/*
 * EXPLAIN: each state by state_checked, in its order, 16 rows at most; so
 * however many keys there are, what is read is what is due.
 */
#define DUE(state)                                                       \
	"(SELECT id, domain, selector, record, checked_at FROM dkim_key" \
	" WHERE state = '" state "' AND checked_at <= ?"                 \
	" ORDER BY checked_at LIMIT 16)"
static const struct db_statement find_due = {
	.name = "dkim_due",
	.sql = DUE("active") " UNION ALL " DUE("published") " UNION ALL " DUE(
		"made") " ORDER BY checked_at LIMIT 16",
	.access = DB_READS,
	.params = "uuu",
	.columns = "usssu",
};

/* The next ones when the last of these is through. */
static void
look_for_keys(struct dkim_watch *watch)
{
	const struct sources *sources = watch->sources;
	const uint64_t interval_s =
		sources->config->dkim.check_interval_ms / 1000;
	const struct db_value before = { .number = (uint64_t)clock_wall() -
						   interval_s };
	const struct db_value values[] = { before, before, before };

	if (watch->n_running > 0 || watch->question != NULL)
		return;
	watch->question = x_new(struct question);
	watch->question->watch = watch;
	db_run(sources->db[CONFIG_DB_POLICYD], &find_due, values, 0, on_due,
		watch->question);
}

/* --- the lease ---------------------------------------------------------- */

static bool
wants_lease(const struct dkim_watch *watch)
{
	return config_has_dkim_key(watch->sources->config) &&
	       !watch->is_stopping &&
	       watch->sources->db[CONFIG_DB_POLICYD] != NULL;
}

static void
on_given_back(void *arg)
{
	struct dkim_watch *watch = arg;

	watch->is_lease_asked = false;
}

static void
give_back(struct dkim_watch *watch)
{
	if (watch->is_lease_asked || !lease_is_held(watch->lease))
		return;
	watch->is_lease_asked = true;
	lease_drop(watch->lease, on_given_back, watch);
}

static void
on_held(void *arg, enum lease_status status, const char *error)
{
	struct dkim_watch *watch = arg;

	(void)error;
	watch->is_lease_asked = false;
	if (status == LEASE_BEGUN)
		log_info("this node looks for the keys of DKIM in the DNS");
	if (watch->is_stopping)
		give_back(watch);
}

static void
keep_lease(struct dkim_watch *watch)
{
	const int64_t now_us = clock_monotonic_us();
	const bool is_due = lease_is_held(watch->lease)
				    ? lease_is_due(watch->lease)
				    : watch->try_us == 0 ||
					      now_us - watch->try_us >= TRY_US;

	if (!wants_lease(watch)) {
		give_back(watch);
		return;
	}
	if (watch->is_lease_asked || !is_due)
		return;
	watch->is_lease_asked = true;
	watch->try_us = now_us;
	lease_hold(watch->lease, 0, on_held, watch);
}

static void
look(void *arg)
{
	struct dkim_watch *watch = arg;

	if (watch->is_stopping)
		return;
	loop_timer_set(watch->timer, LOOK_MS);
	keep_lease(watch);
	if (wants_lease(watch) && lease_is_held(watch->lease) &&
		!lease_is_due(watch->lease))
		look_for_keys(watch);
}

/* --- life --------------------------------------------------------------- */

struct dkim_watch *
dkim_watch_new(struct sources *sources)
{
	struct dkim_watch *watch = x_new(struct dkim_watch);

	watch->sources = sources;
	watch->lease = lease_new(sources, LEASE_NAME);
	if (sources->process != 0)
		return watch;
	watch->timer = loop_timer_new(sources->loop, look, watch);
	loop_timer_set(watch->timer, LOOK_MS);
	return watch;
}

void
dkim_watch_stop(struct dkim_watch *watch)
{
	watch->is_stopping = true;
	give_back(watch);
}

bool
dkim_watch_is_busy(const struct dkim_watch *watch)
{
	return watch->is_lease_asked;
}

void
dkim_watch_free(struct dkim_watch *watch)
{
	if (watch == NULL)
		return;
	for (size_t i = 0; i < CHECKS_MAX; i++)
		if (watch->jobs[i].watch != NULL)
			end_job(&watch->jobs[i]);
	if (watch->question != NULL)
		watch->question->watch = NULL;
	lease_free(watch->lease);
	loop_timer_free(watch->timer);
	x_free(watch);
}
