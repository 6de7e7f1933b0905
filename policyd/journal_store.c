#include "policyd/journal_private.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/mail/ip.h"
#include "policyd/facts/column.h"
#include "policyd/sources.h"

/* A search may read a lot; nobody's mail waits for it. */
#define FIND_DEADLINE_MS 30000
#define FIND_MAX         1000u
#define FIND_PARAMS_MAX  8
#define FIND_ARENA_MAX   ((size_t)64 << 10)
/* Emptying a partition waits for statements that use the table. */
#define SWEEP_DEADLINE_MS 30000
#define SWEEP_FIRST_MS    1000
/* How often to look whether a new day has begun. */
#define SWEEP_LOOK_MS 60000

/*
 * Both sides count: a statement on its way holds the store until it was
 * answered, though its journal may be gone.
 */
struct journal_store {
	struct sources *sources;
	unsigned n_refs;
	bool is_closed;
	/* The partitions of days that are over: process 0 only. */
	struct loop_timer *timer;
	int64_t swept_day; /* and with which keep_days */
	unsigned swept_keep_days;
	int64_t day; /* of the sweep under way */
	unsigned keep_days, n_left;
	bool is_sweeping;
	bool has_failed; /* said once */
};

static void
store_unref(struct journal_store *store)
{
	if (--store->n_refs == 0)
		x_free(store);
}

/* --- finding ------------------------------------------------------------ */

/*
 * EXPLAIN: in each partition the rows by the key of that column, of which
 * slot is the first part; then the wanted ones by primary key. There is no
 * key on instance: it reads all rows.
 */
#define KEYS_BY(column)                                              \
	"(SELECT slot, code, time_us FROM decision "                 \
	"WHERE slot IN (0, 1, 2, 3, 4, 5, 6, 7) AND " column " = ? " \
	"ORDER BY time_us DESC LIMIT ?)"
#define DETAILS_OF(keys)                                              \
	"SELECT d.detail FROM (" keys ") k STRAIGHT_JOIN decision d " \
	"ON d.slot = k.slot AND d.code = k.code "                     \
	"ORDER BY k.time_us DESC LIMIT ?"

static const struct db_statement find_name = {
	.name = "decision_find_name",
	.sql = DETAILS_OF(KEYS_BY("code") " UNION " KEYS_BY(
		"queue_id") " UNION " KEYS_BY("sasl_username")),
	.access = DB_READS,
	.params = "sususuu",
	.columns = "s",
};

static const struct db_statement find_address = {
	.name = "decision_find_address",
	.sql = DETAILS_OF(KEYS_BY("sender") " UNION " KEYS_BY(
		"recipient") " UNION " KEYS_BY("sasl_username")),
	.access = DB_READS,
	.params = "sususuu",
	.columns = "s",
};

static const struct db_statement find_client = {
	.name = "decision_find_client",
	.sql = DETAILS_OF(KEYS_BY("client_address")),
	.access = DB_READS,
	.params = "suu",
	.columns = "s",
};

static const struct db_statement find_instance = {
	.name = "decision_find_instance",
	.sql = DETAILS_OF(KEYS_BY("instance")),
	.access = DB_READS,
	.params = "suu",
	.columns = "s",
};

struct search {
	struct journal_store *store;
	void (*fn)(void *arg, struct slice json);
	void (*done)(void *arg, const char *error);
	void *arg;
};

static const char *
error_text(const struct db_result *result)
{
	if (result->error_number == NO_SUCH_TABLE)
		return "the table policyd.decision does not exist: run "
		       "\"policyctl db migrate\"";
	return result->error;
}

static void
found(void *arg, const struct db_result *result)
{
	struct search *search = arg;
	const size_t n =
		result->status == DB_OK ? db_rows_count(result->rows) : 0;

	for (size_t i = 0; i < n && !search->store->is_closed; i++)
		search->fn(search->arg, db_rows_text(result->rows, i, 0));
	/* Also at the end of the daemon: arg may hold something. */
	search->done(search->arg,
		result->status == DB_OK ? NULL : error_text(result));
	store_unref(search->store);
	x_free(search);
}

static void
run(struct search *search, const struct db_statement *statement,
	const struct slice *texts, size_t max)
{
	struct journal_store *store = search->store;
	struct db_value values[FIND_PARAMS_MAX] = { 0 };

	for (size_t i = 0; statement->params[i] != '\0'; i++) {
		assert(i < FIND_PARAMS_MAX);
		if (statement->params[i] == 's')
			values[i].text = *texts++;
		else
			values[i].number = max;
	}
	store->n_refs++;
	db_run(store->sources->db[CONFIG_DB_POLICYD], statement, values,
		FIND_DEADLINE_MS, found, search);
}

/* An instance of Postfix: "7bd.6925a1c0.3d3c8.0". */
static bool
is_instance(struct slice text)
{
	if (!slice_has_byte(text, '.'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (c != '.' && !(c >= '0' && c <= '9') &&
			!(c >= 'a' && c <= 'f'))
			return false;
	}
	return true;
}

static void
find_by_form(struct search *search, struct arena *arena, struct slice what,
	size_t max)
{
	const struct slice delimiters = slice_of(
		search->store->sources->config->mail.recipient_delimiters);
	struct address address;
	struct ip ip;
	char code[DECISION_CODE_LEN + 1];

	if (ip_parse(what, &ip)) {
		run(search, &find_client, &what, max);
	} else if (slice_has_byte(what, '@')) {
		address = address_parse(arena, what, delimiters);
		run(search, &find_address,
			(struct slice[]){ address.bare, address.bare,
				address.full },
			max);
	} else if (is_instance(what)) {
		run(search, &find_instance, &what, max);
	} else {
		(void)journal_parse_code(what, code);
		run(search, &find_name,
			(struct slice[]){ slice_of(code), what, what }, max);
	}
}

void
journal_store_find(struct journal_store *store, struct slice what, size_t max,
	void (*fn)(void *arg, struct slice json),
	void (*done)(void *arg, const char *error), void *arg)
{
	struct arena *arena = arena_new(FIND_ARENA_MAX);
	struct search *search = x_new(struct search);

	search->store = store;
	search->fn = fn;
	search->done = done;
	search->arg = arg;
	/* Nothing longer is stored, and bytes that are no text never match. */
	what = column_text(arena, what, COLUMN_ADDRESS_MAX);
	if (max > FIND_MAX)
		max = FIND_MAX;
	/* "" is what many rows have as their login. */
	find_by_form(search, arena, what, what.len > 0 ? max : 0);
	arena_free(arena);
}

/* --- forgetting --------------------------------------------------------- */

/*
 * Only one node empties a partition, and only if there is something in it:
 * ALTER TABLE waits for everybody who uses the table.
 */
#define EMPTY_SLOT(n)                                                 \
	{                                                             \
		.name = "decision_empty_p" #n,                        \
		.sql = "BEGIN NOT ATOMIC "                            \
		       "DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN " \
		       "DO RELEASE_LOCK('policyd.decision'); "        \
		       "RESIGNAL; END; "                              \
		       "IF GET_LOCK('policyd.decision', 0) = 1 THEN " \
		       "IF EXISTS (SELECT 1 FROM decision "           \
		       "WHERE slot = " #n ") THEN "                   \
		       "ALTER TABLE decision TRUNCATE PARTITION p" #n \
		       "; END IF; "                                   \
		       "DO RELEASE_LOCK('policyd.decision'); "        \
		       "END IF; END",                                 \
		.access = DB_WRITES, .params = "", .columns = "",     \
	}

static const struct db_statement empty_slot[DECISION_SLOTS] = {
	EMPTY_SLOT(0),
	EMPTY_SLOT(1),
	EMPTY_SLOT(2),
	EMPTY_SLOT(3),
	EMPTY_SLOT(4),
	EMPTY_SLOT(5),
	EMPTY_SLOT(6),
	EMPTY_SLOT(7),
};

/*
 * Today and keep_days days before it are kept, but always one slot is empty:
 * tomorrow's.
 */
static unsigned
n_slots_to_empty(unsigned keep_days)
{
	return keep_days + 2 > DECISION_SLOTS ? 1
					      : DECISION_SLOTS - 1 - keep_days;
}

static void sweep_next(struct journal_store *store);

static void
swept(void *arg, const struct db_result *result)
{
	struct journal_store *store = arg;

	if (store->is_closed) {
		store_unref(store);
		return;
	}
	store_unref(store);
	if (result->status == DB_OK) {
		store->n_left--;
		store->has_failed = false;
		sweep_next(store);
		return;
	}
	/* Tried again at the next look. */
	store->is_sweeping = false;
	if (!store->has_failed && result->status == DB_REFUSED)
		log_error("old rows of policyd.decision stay: %s",
			error_text(result));
	store->has_failed |= result->status == DB_REFUSED;
}

static void
sweep_next(struct journal_store *store)
{
	if (store->n_left == 0) {
		store->is_sweeping = false;
		store->swept_day = store->day;
		store->swept_keep_days = store->keep_days;
		return;
	}
	store->n_refs++;
	db_run(store->sources->db[CONFIG_DB_POLICYD],
		&empty_slot[journal_slot(store->day + store->n_left)], NULL,
		SWEEP_DEADLINE_MS, swept, store);
}

static void
look(void *arg)
{
	struct journal_store *store = arg;
	const struct config *config = store->sources->config;
	const int64_t day = clock_wall() / DAY_S;

	loop_timer_set(store->timer, SWEEP_LOOK_MS);
	if (store->is_sweeping || !config->decisions.enabled ||
		(day == store->swept_day &&
			config->decisions.keep_days == store->swept_keep_days))
		return;
	store->is_sweeping = true;
	store->day = day;
	store->keep_days = config->decisions.keep_days;
	store->n_left = n_slots_to_empty(store->keep_days);
	sweep_next(store);
}

struct journal_store *
journal_store_new(struct sources *sources)
{
	struct journal_store *store = x_new(struct journal_store);

	store->sources = sources;
	store->n_refs = 1;
	store->swept_day = -1;
	if (sources->process == 0) {
		store->timer = loop_timer_new(sources->loop, look, store);
		loop_timer_set(store->timer, SWEEP_FIRST_MS);
	}
	return store;
}

void
journal_store_free(struct journal_store *store)
{
	if (store->timer != NULL)
		loop_timer_free(store->timer);
	store->is_closed = true;
	store_unref(store);
}
