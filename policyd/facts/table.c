#include "policyd/facts/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "policyd/sources.h"

/* Of a key in the answer to a chunk; the longest is a JSON array of two. */
#define KEY_TEXT_MAX 4096
#define PARAMS_MAX   4

/* MariaDB's numbers for what is not there. */
#define ER_BAD_DB_ERROR    1049u
#define ER_BAD_FIELD_ERROR 1054u
#define ER_NO_SUCH_TABLE   1146u

/*
 * A statement under way. It outlives its table when the tables are freed
 * before the answer comes.
 */
struct table_question {
	struct table *table; /* NULL: nobody wants the answer */
};

static struct sources *
sources_of(const struct table *table)
{
	return tables_sources(table->tables);
}

/* --- how an attempt ends ----------------------------------------------- */

static void
discard_reading(struct table *table)
{
	struct table_reading *reading = &table->reading;

	if (reading->snapshot != NULL)
		table->kind->free(reading->snapshot);
	reading->snapshot = NULL;
	reading->n_rows = 0;
	table_problems_clear(&reading->problems);
	x_free(reading->key_text);
	reading->key_text = NULL;
}

static void
end_attempt(struct table *table, enum table_outcome outcome)
{
	discard_reading(table);
	table->step = TABLE_STEP_IDLE;
	table->outcome = outcome;
	tables_attempt_ended(table);
}

static bool
is_schema_error(unsigned error_number)
{
	return error_number == ER_NO_SUCH_TABLE ||
	       error_number == ER_BAD_FIELD_ERROR ||
	       error_number == ER_BAD_DB_ERROR;
}

static void
fail(struct table *table, enum table_outcome outcome, const char *error,
	const char *hint)
{
	char text[TABLE_ERROR_MAX];
	bool is_news;

	const char *separator = hint[0] == '\0' ? "" : "; ";

	if (snprintf(text, sizeof(text), "%s%s%s", error, separator, hint) >=
		(int)sizeof(text))
		snprintf(text, sizeof(text), "it cannot be read%s%s", separator,
			hint);
	is_news = strcmp(text, table->error) != 0;
	memcpy(table->error, text, sizeof(text));
	tables_note_database(table->tables, table->kind->db,
		outcome == TABLE_UNREACHABLE, text);
	if (is_news && outcome != TABLE_UNREACHABLE)
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
		fail(table, TABLE_REFUSED, "an answer without rows", "");
		break;
	case DB_REFUSED:
		fail(table, TABLE_REFUSED, result->error,
			is_schema_error(result->error_number)
				? config_db_remedy(table->kind->db)
				: "");
		break;
	case DB_UNAVAILABLE:
	case DB_UNCERTAIN:
		fail(table, TABLE_UNREACHABLE, result->error, "");
		break;
	}
}

static void
fail_as_too_large(struct table *table)
{
	char text[TABLE_ERROR_MAX];

	snprintf(text, sizeof(text), "it has more than table_rows = %llu rows",
		(unsigned long long)sources_of(table)
			->config->limits.table_rows);
	fail(table, TABLE_TOO_LARGE, text, "");
}

static void
succeed(struct table *table)
{
	const bool was_broken = table->outcome == TABLE_REFUSED ||
				table->outcome == TABLE_TOO_LARGE;

	tables_note_database(table->tables, table->kind->db, false, "");
	if (was_broken)
		log_info("%s: it can be read again", table->kind->name);
	table->error[0] = '\0';
	table->checked_at = clock_wall();
	end_attempt(table, TABLE_FRESH);
}

/* --- reading ----------------------------------------------------------- */

static void
put_in_force(struct table *table)
{
	struct table_reading *reading = &table->reading;

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
ask(struct table *table, enum table_step step,
	const struct db_statement *statement, const struct db_value *values,
	db_done_fn *done)
{
	struct db *db = sources_of(table)->db[table->kind->db];

	assert(table->question == NULL);
	table->step = step;
	table->question = x_new(struct table_question);
	table->question->table = table;
	db_run(db, statement, values, 0, done, table->question);
}

/* Whose question was answered; NULL when the tables are gone. */
static struct table *
answered(void *arg)
{
	struct table_question *question = arg;
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
	struct table_reading *reading = &table->reading;

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
	struct table_reading *reading = &table->reading;
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
	const struct table_reading *reading = &table->reading;
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
	ask(table, TABLE_STEP_CHUNK, kind->chunk, values, on_chunk);
}

static void
begin_reading(struct table *table, struct table_fingerprint fingerprint)
{
	struct table_reading *reading = &table->reading;

	reading->snapshot = table->kind->make(sources_of(table)->config);
	reading->fingerprint = fingerprint;
	reading->key_number = 0;
	read_chunk(table);
}

static bool
is_unchanged(const struct table *table, struct table_fingerprint fingerprint)
{
	return table->snapshot != NULL &&
	       table->fingerprint.count == fingerprint.count &&
	       table->fingerprint.sum == fingerprint.sum;
}

static void
on_fingerprint(void *arg, const struct db_result *result)
{
	struct table *table = answered(arg);
	struct table_fingerprint fingerprint;

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

void
table_start(struct table *table)
{
	assert(table->step == TABLE_STEP_IDLE && !table->is_absent);
	ask(table, TABLE_STEP_FINGERPRINT, table->kind->fingerprint, NULL,
		on_fingerprint);
}

/* --- the table --------------------------------------------------------- */

void
table_init(struct table *table, struct tables *tables,
	const struct table_kind *kind)
{
	table->tables = tables;
	table->kind = kind;
	TAILQ_INIT(&table->waiting);
	table_problems_init(&table->problems);
	table_problems_init(&table->reading.problems);
	table->is_absent = sources_of(table)->db[kind->db] == NULL;
	if (!table->is_absent)
		return;
	table->snapshot = kind->make(sources_of(table)->config);
	if (kind->finish != NULL)
		kind->finish(table->snapshot);
}

void
table_clear(struct table *table)
{
	if (table->question != NULL)
		table->question->table = NULL;
	discard_reading(table);
	if (table->snapshot != NULL)
		table->kind->free(table->snapshot);
	table_problems_clear(&table->problems);
}
