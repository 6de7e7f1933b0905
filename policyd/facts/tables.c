#include "policyd/facts/tables.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "policyd/facts.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/exempt_clients.h"
#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/rdns.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/srs_exclude.h"
#include "policyd/facts/table.h"
#include "policyd/facts/whitelist_domains.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* How soon a database that did not answer is asked again. */
#define RETRY_MS       1000u
#define ERROR_TEXT_MAX 300
/* Of a key in the answer to a chunk; the longest is a JSON array of two. */
#define KEY_TEXT_MAX 4096
#define PARAMS_MAX   4

/* A fact that waits for a table: its loader_data. In its request's arena. */
struct table_waiting {
	TAILQ_ENTRY(table_waiting) entry;
	struct table *table;
	struct fact *fact;
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
	[TABLE_WHITELIST_DOMAINS] = &table_whitelist_domains,
	[TABLE_THROTTLE] = &table_throttle,
	[TABLE_RDNS] = &table_rdns,
	[TABLE_EXEMPT_CLIENTS] = &table_exempt_clients,
	[TABLE_SETTING] = &table_setting,
	[TABLE_SRS_EXCLUDE] = &table_srs_exclude,
	[TABLE_WBLIST] = &table_wblist,
	[TABLE_OUTBOUND_WBLIST] = &table_outbound_wblist,
	[TABLE_ACCESS] = &table_access,
};

static const char *const db_names[CONFIG_DB_COUNT] = {
	[CONFIG_DB_IREDAPD] = "iredapd",
	[CONFIG_DB_VMAIL] = "vmail",
	[CONFIG_DB_POLICYD] = "policyd",
	[CONFIG_DB_AMAVISD] = "amavisd",
};

struct sources *
tables_sources(const struct tables *tables)
{
	return tables->sources;
}

/* --- when -------------------------------------------------------------- */

/* An attempt may begin. */
static bool
is_idle(const struct table *table)
{
	return table->step == TABLE_STEP_IDLE && !table->is_absent;
}

/* Sets the timer to the first table that is due. */
static void
schedule(struct tables *tables)
{
	int64_t first = INT64_MAX, left;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct table *table = &tables->table[i];

		if (is_idle(table) && table->due_us < first)
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

		if (is_idle(table) && table->due_us <= now)
			table_start(table);
	}
	schedule(tables);
}

static void
set_due(struct table *table)
{
	uint64_t delay_ms =
		table->tables->sources->config->database.table_ttl_ms;

	if (table->outcome == TABLE_UNREACHABLE && delay_ms > RETRY_MS)
		delay_ms = RETRY_MS;
	table->due_us = clock_monotonic_us() + (int64_t)delay_ms * 1000;
}

/* --- who waits --------------------------------------------------------- */

static void
stop_waiting(struct table_waiting *waiting)
{
	TAILQ_REMOVE(&waiting->table->waiting, waiting, entry);
	waiting->fact->loader_data = NULL;
}

/* Loads the facts again: the table is there and stays. */
static void
wake_facts(struct table *table)
{
	struct table_waiting *waiting;

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
	struct table_waiting *waiting;

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
	const struct db *db = table->tables->sources->db[table->kind->db];
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
	struct table_waiting *waiting;

	if (error != NULL) {
		fail_fact(table, fact, error);
		return;
	}
	waiting =
		arena_new_object(fact->facts->req->arena, struct table_waiting);
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
	struct table_waiting *waiting = fact->loader_data;

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
tell_refreshes(struct table *table)
{
	const unsigned bit = TABLE_BIT(table->kind->id);
	/* A table that the server refuses is not what somebody changed. */
	const bool has_failed = table->outcome == TABLE_TOO_LARGE ||
				table->outcome == TABLE_UNREACHABLE;
	struct refresh *refresh;

	TAILQ_FOREACH(refresh, &table->tables->refreshes, entry)
	{
		if ((refresh->now & bit) != 0 && has_failed)
			refresh->has_failed = true;
		refresh->now &= ~bit;
		if (table->outcome == TABLE_UNREACHABLE)
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
		const bool starts = is_idle(table);

		if (table->is_absent)
			continue;
		if (refresh != NULL && starts)
			refresh->now |= TABLE_BIT(i);
		else if (refresh != NULL)
			refresh->next |= TABLE_BIT(i);
		if (starts)
			table_start(table);
		else
			table->is_wanted_again = true;
	}
}

/* --- how an attempt ends ----------------------------------------------- */

void
tables_attempt_ended(struct table *table)
{
	/* A database that is away would only be away again. */
	const bool is_next =
		table->is_wanted_again && table->outcome != TABLE_UNREACHABLE;

	table->is_wanted_again = false;
	set_due(table);
	tell_refreshes(table);
	if (is_next)
		table_start(table);
	schedule(table->tables);
	if (table->snapshot != NULL)
		wake_facts(table);
	else
		fail_facts(table);
	call_refreshed(table->tables);
}

void
tables_note_database(struct tables *tables, enum config_db_id id, bool is_away,
	const char *error)
{
	if (tables->is_away[id] == is_away)
		return;
	tables->is_away[id] = is_away;
	if (is_away)
		log_warning("%s database: its tables cannot be read, what "
			    "was read before stays in force: %s",
			db_names[id], error);
	else
		log_info("%s database: its tables are read again",
			db_names[id]);
}

/* --- the whole --------------------------------------------------------- */

struct tables *
tables_new(struct sources *sources)
{
	struct tables *tables = x_new(struct tables);

	tables->sources = sources;
	tables->timer = loop_timer_new(sources->loop, on_timer, tables);
	TAILQ_INIT(&tables->refreshes);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		assert(kinds[i]->id == i);
		table_init(&tables->table[i], tables, kinds[i]);
		if (!tables->table[i].is_absent)
			table_start(&tables->table[i]);
	}
	return tables;
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
		table_clear(&tables->table[i]);
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
		.is_absent = table->is_absent,
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
