#include "policyd/facts/tables.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "policyd/facts.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/table_problems.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* How soon a database that did not answer is asked again. */
#define RETRY_MS       1000u
#define ERROR_TEXT_MAX 300
/* Of a key in the answer to a chunk; the longest is a JSON array of two. */
#define KEY_TEXT_MAX 4096
#define PARAMS_MAX   4

/* MariaDB's numbers for what "policyctl db migrate" mends. */
#define ER_BAD_DB_ERROR    1049u
#define ER_BAD_FIELD_ERROR 1054u
#define ER_NO_SUCH_TABLE   1146u

enum step {
	STEP_IDLE,        /* until it is due */
	STEP_FINGERPRINT, /* the answer to kind->fingerprint */
	STEP_CHUNK,       /* the answer to kind->chunk */
};

/* How an attempt to bring a table up to date ended. */
enum outcome {
	OUTCOME_FRESH,
	OUTCOME_REFUSED, /* the server answered, but not with rows */
	OUTCOME_TOO_LARGE,
	OUTCOME_UNREACHABLE,
};

struct fingerprint {
	uint64_t count, sum;
};

/* A fact that waits for a table: its loader_data. In its request's arena. */
struct waiting {
	TAILQ_ENTRY(waiting) entry;
	struct table *table;
	struct fact *fact;
};

/*
 * A statement under way. It outlives its table when the tables are freed
 * before the answer comes.
 */
struct question {
	struct table *table; /* NULL: nobody wants the answer */
};

/* A snapshot that is being read. */
struct reading {
	void *snapshot;
	size_t n_rows;
	struct fingerprint fingerprint; /* from before the first chunk */
	struct table_problems problems;
	uint64_t key_number;
	char *key_text;
};

struct table {
	struct tables *tables;
	const struct table_kind *kind;
	enum step step;
	bool is_wanted_again; /* asked for while it was being read */
	int64_t due_us;       /* of STEP_IDLE */
	struct question *question;
	struct reading reading;
	/* In force: */
	void *snapshot; /* NULL while it was never read */
	size_t n_rows;
	struct fingerprint fingerprint;
	struct table_problems problems;
	int64_t loaded_at, checked_at;
	enum outcome outcome;       /* of the last attempt */
	char error[ERROR_TEXT_MAX]; /* of the last attempt, or "" */
	TAILQ_HEAD(, waiting) waiting;
};

/* Somebody waits until all tables are as they were when he asked, or newer. */
struct refresh {
	TAILQ_ENTRY(refresh) entry;
	unsigned now;  /* tables whose attempt under way counts */
	unsigned next; /* tables whose next attempt counts */
	bool has_failed;
	void (*done)(void *arg, bool is_fresh);
	void *arg;
};

struct tables {
	struct sources *sources;
	struct loop_timer *timer;
	struct table table[TABLE_COUNT];
	bool is_away[CONFIG_DB_COUNT]; /* and that was logged */
	TAILQ_HEAD(, refresh) refreshes;
};

static const struct table_kind *const kinds[TABLE_COUNT] = {
	[TABLE_DOMAIN] = &table_domain,
	[TABLE_ALIAS_DOMAIN] = &table_alias_domain,
	[TABLE_GREYLISTING] = &table_greylisting,
	[TABLE_GREYLIST_WHITELIST] = &table_greylist_whitelist,
	[TABLE_GREYLIST_WHITELIST_SPF] = &table_greylist_whitelist_spf,
	[TABLE_THROTTLE] = &table_throttle,
	[TABLE_SETTING] = &table_setting,
};

static const char *const db_names[CONFIG_DB_COUNT] = {
	[CONFIG_DB_IREDAPD] = "iredapd",
	[CONFIG_DB_VMAIL] = "vmail",
	[CONFIG_DB_POLICYD] = "policyd",
};

static void start(struct table *table);

static struct sources *
sources_of(const struct table *table)
{
	return table->tables->sources;
}

/* --- when -------------------------------------------------------------- */

/* Sets the timer to the first table that is due. */
static void
schedule(struct tables *tables)
{
	int64_t first = INT64_MAX, left;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct table *table = &tables->table[i];

		if (table->step == STEP_IDLE && table->due_us < first)
			first = table->due_us;
	}
	if (first == INT64_MAX)
		return;
	left = first - clock_monotonic_us();
	loop_timer_set(tables->timer,
		left > 0 ? ((uint64_t)left + 999) / 1000 : 0);
}

static void
on_timer(void *arg)
{
	struct tables *tables = arg;
	const int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		struct table *table = &tables->table[i];

		if (table->step == STEP_IDLE && table->due_us <= now)
			start(table);
	}
	schedule(tables);
}

static void
set_due(struct table *table, enum outcome outcome)
{
	uint64_t delay_ms = sources_of(table)->config->database.table_ttl_ms;

	if (outcome == OUTCOME_UNREACHABLE && delay_ms > RETRY_MS)
		delay_ms = RETRY_MS;
	table->due_us = clock_monotonic_us() + (int64_t)delay_ms * 1000;
}

/* --- who waits --------------------------------------------------------- */

static void
stop_waiting(struct waiting *waiting)
{
	TAILQ_REMOVE(&waiting->table->waiting, waiting, entry);
	waiting->fact->loader_data = NULL;
}

/* Loads the facts again: the table is there and stays. */
static void
wake_facts(struct table *table)
{
	struct waiting *waiting;

	while ((waiting = TAILQ_FIRST(&table->waiting)) != NULL) {
		struct fact *fact = waiting->fact;

		stop_waiting(waiting);
		fact->kind->load(fact);
	}
}

static void
fail_fact(const struct table *table, struct fact *fact, const char *error)
{
	fact_unavailable(fact, arena_printf(fact->facts->req->arena, "%s: %s",
				       table->kind->name, error));
}

static void
fail_facts(struct table *table)
{
	struct waiting *waiting;

	while ((waiting = TAILQ_FIRST(&table->waiting)) != NULL) {
		struct fact *fact = waiting->fact;

		stop_waiting(waiting);
		fail_fact(table, fact, table->error);
	}
}

/* Why a table that was never read will not be there soon, or NULL. */
static const char *
known_error(const struct table *table)
{
	const struct db *db = sources_of(table)->db[table->kind->db];
	struct db_state state;

	if (table->error[0] != '\0')
		return table->error;
	db_state(db, &state);
	return state.is_up || state.error[0] == '\0' ? NULL : state.error;
}

static void
wait_for(struct table *table, struct fact *fact)
{
	const char *error = known_error(table);
	struct waiting *waiting;

	if (error != NULL) {
		fail_fact(table, fact, error);
		return;
	}
	waiting = arena_new_object(fact->facts->req->arena, struct waiting);
	waiting->table = table;
	waiting->fact = fact;
	TAILQ_INSERT_TAIL(&table->waiting, waiting, entry);
	fact->loader_data = waiting;
}

bool
tables_require(struct tables *tables, unsigned set, struct fact *fact)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		struct table *table = &tables->table[i];

		if ((set & TABLE_BIT(i)) == 0 || table->snapshot != NULL)
			continue;
		wait_for(table, fact);
		return false;
	}
	return true;
}

void
tables_forget(struct tables *tables, struct fact *fact)
{
	struct waiting *waiting = fact->loader_data;

	(void)tables;
	if (waiting != NULL)
		stop_waiting(waiting);
}

static void
call_refreshed(struct tables *tables)
{
	struct refresh *refresh, *next;

	for (refresh = TAILQ_FIRST(&tables->refreshes); refresh != NULL;
		refresh = next) {
		next = TAILQ_NEXT(refresh, entry);
		if ((refresh->now | refresh->next) != 0)
			continue;
		TAILQ_REMOVE(&tables->refreshes, refresh, entry);
		refresh->done(refresh->arg, !refresh->has_failed);
		x_free(refresh);
		/* What it called may have changed the list. */
		next = TAILQ_FIRST(&tables->refreshes);
	}
}

/* An attempt ended: of those who wait, some waited for this one. */
static void
tell_refreshes(struct table *table, enum outcome outcome)
{
	const unsigned bit = TABLE_BIT(table->kind->id);
	/* A table that the server refuses is not what somebody changed. */
	const bool has_failed =
		outcome == OUTCOME_TOO_LARGE || outcome == OUTCOME_UNREACHABLE;
	struct refresh *refresh;

	TAILQ_FOREACH(refresh, &table->tables->refreshes, entry)
	{
		if ((refresh->now & bit) != 0 && has_failed)
			refresh->has_failed = true;
		refresh->now &= ~bit;
		if (outcome == OUTCOME_UNREACHABLE)
			refresh->has_failed |= (refresh->next & bit) != 0;
		else
			refresh->now |= refresh->next & bit;
		refresh->next &= ~bit;
	}
}

void
tables_refresh(struct tables *tables, void (*done)(void *arg, bool is_fresh),
	void *arg)
{
	struct refresh *refresh = NULL;

	if (done != NULL) {
		refresh = x_new(struct refresh);
		refresh->done = done;
		refresh->arg = arg;
		TAILQ_INSERT_TAIL(&tables->refreshes, refresh, entry);
	}
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		struct table *table = &tables->table[i];
		const bool is_idle = table->step == STEP_IDLE;

		if (refresh != NULL && is_idle)
			refresh->now |= TABLE_BIT(i);
		else if (refresh != NULL)
			refresh->next |= TABLE_BIT(i);
		if (is_idle)
			start(table);
		else
			table->is_wanted_again = true;
	}
}

/* --- how an attempt ends ----------------------------------------------- */

static void
discard_reading(struct table *table)
{
	struct reading *reading = &table->reading;

	if (reading->snapshot != NULL)
		table->kind->free(reading->snapshot);
	reading->snapshot = NULL;
	reading->n_rows = 0;
	table_problems_clear(&reading->problems);
	x_free(reading->key_text);
	reading->key_text = NULL;
}

static void
end_attempt(struct table *table, enum outcome outcome)
{
	struct tables *tables = table->tables;
	/* A database that is away would only be away again. */
	const bool is_next =
		table->is_wanted_again && outcome != OUTCOME_UNREACHABLE;

	discard_reading(table);
	table->step = STEP_IDLE;
	table->is_wanted_again = false;
	table->outcome = outcome;
	set_due(table, outcome);
	tell_refreshes(table, outcome);
	if (is_next)
		start(table);
	schedule(tables);
	if (table->snapshot != NULL)
		wake_facts(table);
	else
		fail_facts(table);
	call_refreshed(tables);
}

/* The database answered or did not: logged once, not for each table. */
static void
note_database(struct table *table, bool is_away, const char *error)
{
	const enum config_db_id id = table->kind->db;
	bool *was_away = &table->tables->is_away[id];

	if (*was_away == is_away)
		return;
	*was_away = is_away;
	if (is_away)
		log_warning("%s database: its tables cannot be read, what "
			    "was read before stays in force: %s",
			db_names[id], error);
	else
		log_info("%s database: its tables are read again",
			db_names[id]);
}

static const char *
remedy(const struct table *table, unsigned error_number)
{
	const bool is_schema = error_number == ER_NO_SUCH_TABLE ||
			       error_number == ER_BAD_FIELD_ERROR ||
			       error_number == ER_BAD_DB_ERROR;

	return is_schema && table->kind->db != CONFIG_DB_VMAIL
		       ? "; run \"policyctl db migrate\""
		       : "";
}

static void
fail(struct table *table, enum outcome outcome, const char *error,
	const char *hint)
{
	char text[ERROR_TEXT_MAX];
	bool is_news;

	if (snprintf(text, sizeof(text), "%s%s", error, hint) >=
		(int)sizeof(text))
		snprintf(text, sizeof(text), "it cannot be read%s", hint);
	is_news = strcmp(text, table->error) != 0;
	memcpy(table->error, text, sizeof(text));
	note_database(table, outcome == OUTCOME_UNREACHABLE, text);
	if (is_news && outcome != OUTCOME_UNREACHABLE)
		log_error("%s: %s%s", table->kind->name, text,
			table->snapshot == NULL
				? ""
				: "; what was read before stays in force");
	end_attempt(table, outcome);
}

static void
fail_as_answered(struct table *table, const struct db_result *result)
{
	switch (result->status) {
	case DB_OK:
		fail(table, OUTCOME_REFUSED, "an answer without rows", "");
		break;
	case DB_REFUSED:
		fail(table, OUTCOME_REFUSED, result->error,
			remedy(table, result->error_number));
		break;
	case DB_UNAVAILABLE:
	case DB_UNCERTAIN:
		fail(table, OUTCOME_UNREACHABLE, result->error, "");
		break;
	}
}

static void
fail_as_too_large(struct table *table)
{
	char text[ERROR_TEXT_MAX];

	snprintf(text, sizeof(text), "it has more than table_rows = %llu rows",
		(unsigned long long)sources_of(table)
			->config->limits.table_rows);
	fail(table, OUTCOME_TOO_LARGE, text, "");
}

static void
succeed(struct table *table)
{
	const bool was_broken = table->outcome == OUTCOME_REFUSED ||
				table->outcome == OUTCOME_TOO_LARGE;

	note_database(table, false, "");
	if (was_broken)
		log_info("%s: it can be read again", table->kind->name);
	table->error[0] = '\0';
	table->checked_at = clock_wall();
	end_attempt(table, OUTCOME_FRESH);
}

/* --- reading ----------------------------------------------------------- */

static void
put_in_force(struct table *table)
{
	struct reading *reading = &table->reading;

	if (table->kind->finish != NULL)
		table->kind->finish(reading->snapshot);
	if (table->snapshot != NULL)
		table->kind->free(table->snapshot);
	table->snapshot = reading->snapshot;
	reading->snapshot = NULL;
	table->n_rows = reading->n_rows - reading->problems.n;
	table->fingerprint = reading->fingerprint;
	table->loaded_at = clock_wall();
	table_problems_log(&reading->problems, &table->problems);
	table_problems_move(&table->problems, &reading->problems);
	log_info("%s: %zu rows in force", table->kind->name, table->n_rows);
	succeed(table);
}

static void
ask(struct table *table, enum step step, const struct db_statement *statement,
	const struct db_value *values, db_done_fn *done)
{
	struct db *db = sources_of(table)->db[table->kind->db];

	assert(table->question == NULL);
	table->step = step;
	table->question = x_new(struct question);
	table->question->table = table;
	db_run(db, statement, values, 0, done, table->question);
}

/* Whose question was answered; NULL when the tables are gone. */
static struct table *
answered(void *arg)
{
	struct question *question = arg;
	struct table *table = question->table;

	if (table != NULL)
		table->question = NULL;
	x_free(question);
	return table;
}

static bool
is_beyond_limit(const struct table *table, uint64_t n_rows)
{
	return n_rows > sources_of(table)->config->limits.table_rows;
}

static void
add_rows(struct table *table, const struct db_rows *rows, size_t n)
{
	const struct table_kind *kind = table->kind;
	struct reading *reading = &table->reading;

	for (size_t row = 0; row < n; row++) {
		const char *wrong = kind->add(reading->snapshot, rows, row);

		if (wrong != NULL)
			table_problems_add(&reading->problems, kind, rows, row,
				wrong);
	}
	reading->n_rows += n;
}

/* False when the key cannot be one. */
static bool
remember_key(struct table *table, const struct db_rows *rows, size_t row)
{
	const struct table_kind *kind = table->kind;
	struct reading *reading = &table->reading;
	struct slice text;

	if (kind->chunk->columns[kind->key_column] == 'u') {
		reading->key_number = db_rows_u64(rows, row, kind->key_column);
		return true;
	}
	text = db_rows_text(rows, row, kind->key_column);
	if (text.len > KEY_TEXT_MAX)
		return false;
	x_free(reading->key_text);
	reading->key_text = slice_strdup(text);
	return true;
}

static void read_chunk(struct table *table);

static void
on_chunk(void *arg, const struct db_result *result)
{
	struct table *table = answered(arg);
	size_t n;

	if (table == NULL)
		return;
	if (result->status != DB_OK) {
		fail_as_answered(table, result);
		return;
	}
	n = db_rows_count(result->rows);
	if (is_beyond_limit(table, table->reading.n_rows + n)) {
		fail_as_too_large(table);
		return;
	}
	add_rows(table, result->rows, n);
	if (n < TABLE_CHUNK)
		put_in_force(table);
	else if (remember_key(table, result->rows, n - 1))
		read_chunk(table);
	else
		fail_as_answered(table, result);
}

static void
read_chunk(struct table *table)
{
	const struct table_kind *kind = table->kind;
	const struct reading *reading = &table->reading;
	const size_t n_params = strlen(kind->chunk->params);
	struct db_value values[PARAMS_MAX];

	assert(n_params <= PARAMS_MAX);
	memset(values, 0, sizeof(values));
	for (size_t i = 0; i < n_params; i++) {
		values[i].number = reading->key_number;
		values[i].text = reading->key_text == NULL
					 ? SLICE("")
					 : slice_of(reading->key_text);
	}
	ask(table, STEP_CHUNK, kind->chunk, values, on_chunk);
}

static void
begin_reading(struct table *table, struct fingerprint fingerprint)
{
	struct reading *reading = &table->reading;

	reading->snapshot = table->kind->make(sources_of(table)->config);
	reading->fingerprint = fingerprint;
	reading->key_number = 0;
	read_chunk(table);
}

static bool
is_unchanged(const struct table *table, struct fingerprint fingerprint)
{
	return table->snapshot != NULL &&
	       table->fingerprint.count == fingerprint.count &&
	       table->fingerprint.sum == fingerprint.sum;
}

static void
on_fingerprint(void *arg, const struct db_result *result)
{
	struct table *table = answered(arg);
	struct fingerprint fingerprint;

	if (table == NULL)
		return;
	if (result->status != DB_OK || db_rows_count(result->rows) != 1) {
		fail_as_answered(table, result);
		return;
	}
	fingerprint.count = db_rows_u64(result->rows, 0, 0);
	fingerprint.sum = db_rows_u64(result->rows, 0, 1);
	if (is_unchanged(table, fingerprint))
		succeed(table);
	else if (is_beyond_limit(table, fingerprint.count))
		fail_as_too_large(table);
	else
		begin_reading(table, fingerprint);
}

static void
start(struct table *table)
{
	assert(table->step == STEP_IDLE);
	ask(table, STEP_FINGERPRINT, table->kind->fingerprint, NULL,
		on_fingerprint);
}

/* --- the whole --------------------------------------------------------- */

static void
init_table(struct table *table, struct tables *tables,
	const struct table_kind *kind)
{
	table->tables = tables;
	table->kind = kind;
	TAILQ_INIT(&table->waiting);
	table_problems_init(&table->problems);
	table_problems_init(&table->reading.problems);
}

struct tables *
tables_new(struct sources *sources)
{
	struct tables *tables = x_new(struct tables);

	tables->sources = sources;
	tables->timer = loop_timer_new(sources->loop, on_timer, tables);
	TAILQ_INIT(&tables->refreshes);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		assert(kinds[i]->id == i);
		init_table(&tables->table[i], tables, kinds[i]);
		start(&tables->table[i]);
	}
	return tables;
}

static void
clear_table(struct table *table)
{
	if (table->question != NULL)
		table->question->table = NULL;
	discard_reading(table);
	if (table->snapshot != NULL)
		table->kind->free(table->snapshot);
	table_problems_clear(&table->problems);
}

void
tables_free(struct tables *tables)
{
	struct refresh *refresh;

	if (tables == NULL)
		return;
	while ((refresh = TAILQ_FIRST(&tables->refreshes)) != NULL) {
		TAILQ_REMOVE(&tables->refreshes, refresh, entry);
		x_free(refresh);
	}
	for (size_t i = 0; i < TABLE_COUNT; i++)
		clear_table(&tables->table[i]);
	loop_timer_free(tables->timer);
	x_free(tables);
}

const void *
tables_get(const struct tables *tables, enum table_id id)
{
	assert(id < TABLE_COUNT);
	return tables->table[id].snapshot;
}

void
tables_state(const struct tables *tables, enum table_id id,
	struct table_state *out)
{
	const struct table *table = &tables->table[id];

	*out = (struct table_state){
		.name = table->kind->name,
		.n_rows = table->n_rows,
		.n_problems = table->problems.n,
		.loaded_at = table->loaded_at,
		.checked_at = table->checked_at,
		.error = table->error,
	};
}

/* The first problem of the table with this number or a later one. */
static const struct table_problem *
first_problem(const struct tables *tables, size_t from)
{
	for (size_t i = from; i < TABLE_COUNT; i++)
		if (!TAILQ_EMPTY(&tables->table[i].problems.list))
			return TAILQ_FIRST(&tables->table[i].problems.list);
	return NULL;
}

const struct table_problem *
tables_problem_next(const struct tables *tables,
	const struct table_problem *problem)
{
	if (problem == NULL)
		return first_problem(tables, 0);
	if (TAILQ_NEXT(problem, entry) != NULL)
		return TAILQ_NEXT(problem, entry);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (tables->table[i].kind->name == problem->table)
			return first_problem(tables, i + 1);
	return NULL;
}
