/*
 * "throttle fix-priorities": gives every limit the priority that belongs to
 * its account. iRedAdmin used to store other numbers, and the stored number
 * is what orders the limits.
 */

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/accounts.h"
#include "policyd/sources.h"

/* Rows that are read at once: the LIMIT below. */
#define CHUNK 1000
/* Of "[18446744073709551615,100],". */
#define ROW_JSON_MAX 32
#define SCRATCH_MAX  ((size_t)4 << 10)
/* All are changed, but no more are shown. */
#define SHOWN_MAX COMMAND_ROWS

enum { COLUMN_ID, COLUMN_ACCOUNT, COLUMN_KIND, COLUMN_PRIORITY };

struct change {
	struct slice account, kind;
	int64_t old, new;
};

struct work {
	uint64_t last_id;
	size_t n_changed, n_invalid;
	bool is_last; /* chunk */
	struct change *shown;
};

static void read_chunk(struct command *command);

static void
show(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "account", "Account", REPLY_ACCOUNT },
		{ "kind", "Kind", REPLY_TEXT },
		{ "old", "Priority", REPLY_NUMBER },
		{ "new", "Better", REPLY_NUMBER },
	};
	const struct work *work = command->data;

	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < work->n_changed && i < SHOWN_MAX; i++) {
		reply_row(command);
		reply_value(command, work->shown[i].account);
		reply_value(command, work->shown[i].kind);
		reply_number(command, work->shown[i].old);
		reply_number(command, work->shown[i].new);
	}
	reply_part_end(command);
	if (work->n_changed > SHOWN_MAX)
		reply_text(command, "and %zu more",
			work->n_changed - SHOWN_MAX);
}

static void
end(struct command *command)
{
	const struct work *work = command->data;

	show(command);
	if (work->n_invalid > 0)
		reply_text(command,
			"left alone: %zu rows whose account makes no sense; "
			"see \"policyctl policy check\"",
			work->n_invalid);
	if (work->n_changed == 0)
		reply_text(command, "every priority is as it should be");
	else
		reply_text(command, "%zu priorities %s", work->n_changed,
			command_has(command, "dry_run") ? "would be changed"
							: "were changed");
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
next(struct command *command)
{
	const struct work *work = command->data;

	if (!work->is_last)
		read_chunk(command);
	else if (work->n_changed > 0 && !command_has(command, "dry_run"))
		command_changed(command, SLICE("@."), end);
	else
		end(command);
}

static void
on_written(struct command *command, const struct db_result *result)
{
	(void)result;
	next(command);
}

/* Notes a row whose priority is not that of its account. */
static void
look_at(struct command *command, struct arena *scratch,
	const struct db_rows *rows, size_t row, struct str *json)
{
	struct work *work = command->data;
	const int64_t old = db_rows_i64(rows, row, COLUMN_PRIORITY);
	struct stored_account account;
	int64_t priority;

	arena_reset(scratch);
	if (!stored_account_read(scratch,
		    db_rows_text(rows, row, COLUMN_ACCOUNT), &account)) {
		work->n_invalid++;
		return;
	}
	priority = account_priority(account.kind);
	if (priority == old)
		return;
	str_printf(json, "%s[%llu,%lld]", json->len > 1 ? "," : "",
		(unsigned long long)db_rows_u64(rows, row, COLUMN_ID),
		(long long)priority);
	if (work->n_changed < SHOWN_MAX)
		work->shown[work->n_changed] = (struct change){
			.account = slice_copy(command->arena, account.text),
			.kind = slice_copy(command->arena,
				db_rows_text(rows, row, COLUMN_KIND)),
			.old = old,
			.new = priority,
		};
	work->n_changed++;
}

static void
on_chunk(struct command *command, const struct db_result *result)
{
	/* EXPLAIN: k, then t by eq_ref on the primary key. */
	static const struct db_statement statement = {
		.name = "throttle_set_priorities",
		.sql = "UPDATE (SELECT k.id, k.p FROM JSON_TABLE(?, '$[*]'"
		       " COLUMNS (id BIGINT UNSIGNED PATH '$[0]',"
		       " p INT PATH '$[1]')) k) d STRAIGHT_JOIN throttle t"
		       " ON t.id = d.id SET t.priority = d.p",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	const size_t n = db_rows_count(result->rows);
	struct arena *scratch = arena_new(SCRATCH_MAX);
	struct work *work = command->data;
	struct db_value changes = { .is_null = false };
	struct str json;

	str_init(&json, (size_t)(CHUNK + 1) * ROW_JSON_MAX);
	str_append_char(&json, '[');
	for (size_t i = 0; i < n; i++)
		look_at(command, scratch, result->rows, i, &json);
	str_append_char(&json, ']');
	arena_free(scratch);
	work->is_last = n < CHUNK;
	if (n > 0)
		work->last_id = db_rows_u64(result->rows, n - 1, COLUMN_ID);
	changes.text = str_slice(&json);
	if (json.len > 2 && !command_has(command, "dry_run"))
		command_db(command, CONFIG_DB_IREDAPD, &statement, &changes,
			on_written);
	else
		next(command);
	str_free(&json);
}

static void
read_chunk(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_priorities",
		.sql = "SELECT id, account, kind, priority FROM throttle"
		       " WHERE id > ? ORDER BY id LIMIT 1000",
		.access = DB_READS,
		.params = "u",
		.columns = "ussi",
	};
	const struct work *work = command->data;
	const struct db_value after = { .number = work->last_id };

	command_db(command, CONFIG_DB_IREDAPD, &statement, &after, on_chunk);
}

void
command_throttle_fix_priorities(struct command *command)
{
	struct work *work = arena_new_object(command->arena, struct work);

	work->shown = arena_new_array(command->arena, SHOWN_MAX, struct change);
	command->data = work;
	read_chunk(command);
}
