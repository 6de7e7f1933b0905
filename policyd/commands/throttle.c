/* "throttle list|set|unset": the limits, iredapd.throttle. */

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/address.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/commands/row_problems.h"
#include "policyd/facts/limits.h"
#include "policyd/sources.h"

#define ACCOUNT_COLUMN_MAX 255
/* INT UNSIGNED holds more, but nobody waits for it. */
#define PERIOD_MAX_S ((uint64_t)10 * 365 * 86400)
#define LIMIT_MAX    ((uint64_t)1 << 50)

enum limit {
	LIMIT_PERIOD,
	LIMIT_SIZE,
	LIMIT_MSGS,
	LIMIT_QUOTA,
	LIMIT_RCPTS,
	LIMIT_COUNT
};

static const struct {
	const char *argument;
	bool is_size;
} limit_kinds[LIMIT_COUNT] = {
	[LIMIT_PERIOD] = { "period", false },
	[LIMIT_SIZE] = { "msg_size", true },
	[LIMIT_MSGS] = { "max_msgs", false },
	[LIMIT_QUOTA] = { "max_quota", true },
	[LIMIT_RCPTS] = { "max_rcpts", false },
};

/* --- list --------------------------------------------------------------- */

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "account", "Account", REPLY_ACCOUNT },
		{ "kind", "Kind", REPLY_TEXT },
		{ "priority", "Priority", REPLY_NUMBER },
		{ "period", "Period", REPLY_SECONDS },
		{ "msg_size", "Message", REPLY_BYTES_LIMIT },
		{ "max_msgs", "Messages", REPLY_LIMIT },
		{ "max_quota", "Bytes", REPLY_BYTES_LIMIT },
		{ "max_rcpts", "Recipients", REPLY_LIMIT },
		ROW_PROBLEMS_COLUMN,
	};
	const size_t n = db_rows_count(result->rows);
	struct row_problems problems;

	row_problems_begin(&problems, command, result->rows);
	row_problems_find(&problems, TABLE_THROTTLE, 8);
	row_problems_table(&problems, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n; i++) {
		reply_row(command);
		reply_value(command, db_rows_text(result->rows, i, 0));
		reply_value(command, db_rows_text(result->rows, i, 1));
		for (size_t column = 2; column < 8; column++)
			reply_number(command,
				db_rows_i64(result->rows, i, column));
		row_problems_value(&problems, i);
	}
	row_problems_table_end(&problems);
	command_end_list(command, n);
}

void
command_throttle_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_list",
		.sql = "SELECT account, kind, priority, period, msg_size,"
		       " max_msgs, max_quota, max_rcpts, id FROM throttle"
		       " WHERE ? = '' OR account = ?"
		       " ORDER BY priority DESC, account, kind LIMIT ?",
		.access = DB_READS,
		.params = "ssu",
		.columns = "ssiiiiiiu",
	};
	struct db_value values[3] = { { .is_null = false } };

	if (!command_filter(command, &values[0].text) ||
		!command_limit(command, &values[2].number))
		return;
	values[1] = values[0];
	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_list);
}

/* --- set ---------------------------------------------------------------- */

struct change {
	struct slice account;
	enum throttle_kind kind;
	bool is_given[LIMIT_COUNT];
	int64_t limits[LIMIT_COUNT];
};

/* NULL: the command was ended. */
static struct change *
read_change(struct command *command)
{
	struct change *change = arena_new_object(command->arena, struct change);
	const struct slice kind =
		command_argument_or(&command->request, "kind", "outbound");

	command->data = change;
	if (!throttle_kind_parse(kind, &change->kind)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"KIND is outbound (by logins), inbound (to "
			"recipients) or external (by strangers), not "
			"\"%.*s\"",
			SLICE_ARG(kind));
		return NULL;
	}
	if (!command_account(command, "account", "", &change->account))
		return NULL;
	if (change->account.len > ACCOUNT_COLUMN_MAX) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"the account is longer than %d bytes",
			ACCOUNT_COLUMN_MAX);
		return NULL;
	}
	return change;
}

static bool
parse_limit(enum limit which, struct slice text, int64_t *out)
{
	uint64_t number = 0;
	bool is_good;

	if (which == LIMIT_PERIOD) {
		is_good = num_parse_duration(text, 1000, PERIOD_MAX_S * 1000,
				  &number) &&
			  number >= 1000;
		*out = (int64_t)(number / 1000);
		return is_good;
	}
	*out = slice_eq_text(text, "inherit") ? -1 : 0;
	if (slice_eq_text(text, "inherit") || slice_eq_text(text, "unlimited"))
		return true;
	is_good = limit_kinds[which].is_size
			  ? num_parse_size(text, LIMIT_MAX, &number)
			  : num_parse_u64(text, LIMIT_MAX, &number);
	*out = (int64_t)number;
	return is_good;
}

static const char *
limit_form(enum limit which)
{
	if (which == LIMIT_PERIOD)
		return "a time from 1s to 3650d";
	return limit_kinds[which].is_size
		       ? "a size such as 10M, \"unlimited\" or \"inherit\""
		       : "a number, \"unlimited\" or \"inherit\"";
}

static bool
read_limits(struct command *command, struct change *change)
{
	struct slice text;
	bool is_any = false;

	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		change->is_given[i] = command_argument(&command->request,
			limit_kinds[i].argument, &text);
		is_any |= change->is_given[i];
		if (!change->is_given[i] ||
			parse_limit((enum limit)i, text, &change->limits[i]))
			continue;
		reply_error(command, COMMAND_EXIT_USAGE,
			"%s is %s, not \"%.*s\"", limit_kinds[i].argument,
			limit_form((enum limit)i), SLICE_ARG(text));
		return false;
	}
	if (!is_any)
		reply_error(command, COMMAND_EXIT_USAGE,
			"no limit was given; usage: policyctl throttle set %s",
			command->request.row->arguments);
	return is_any;
}

static void
after_set(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "%s limits of %.*s are in force",
		throttle_kind_name(change->kind),
		SLICE_ARG(account_plain(change->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_set(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->account, after_set);
}

/* What was not given stays, or is "inherit" in a new row. */
static void
write_limits(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_set",
		.sql = "INSERT INTO throttle (account, kind, priority, period,"
		       " msg_size, max_msgs, max_quota, max_rcpts)"
		       " VALUES (?, ?, ?, COALESCE(?, 0), COALESCE(?, -1),"
		       " COALESCE(?, -1), COALESCE(?, -1), COALESCE(?, -1))"
		       " ON DUPLICATE KEY UPDATE priority = VALUES(priority),"
		       " period = COALESCE(?, period),"
		       " msg_size = COALESCE(?, msg_size),"
		       " max_msgs = COALESCE(?, max_msgs),"
		       " max_quota = COALESCE(?, max_quota),"
		       " max_rcpts = COALESCE(?, max_rcpts)",
		.access = DB_WRITES,
		.params = "ssiiiiiiiiiii",
		.columns = "",
	};
	const struct change *change = command->data;
	struct db_value values[3 + 2 * LIMIT_COUNT] = {
		{ .text = change->account },
		{ .text = slice_of(throttle_kind_name(change->kind)) },
		{ .number = (uint64_t)account_priority(
			  account_kind(change->account)) },
	};

	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		values[3 + i].is_null = !change->is_given[i];
		values[3 + i].number = (uint64_t)change->limits[i];
		values[3 + LIMIT_COUNT + i] = values[3 + i];
	}
	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_set);
}

static void
on_looked(struct command *command, const struct db_result *result)
{
	const bool has_period = db_rows_count(result->rows) > 0 &&
				db_rows_u64(result->rows, 0, 0) > 0;
	const struct change *change = command->data;

	if (has_period || change->is_given[LIMIT_PERIOD])
		write_limits(command);
	else
		reply_error(command, COMMAND_EXIT_USAGE,
			"new limits need --period, such as --period 1h");
}

void
command_throttle_set(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_period",
		.sql = "SELECT period FROM throttle WHERE account = ?"
		       " AND kind = ?",
		.access = DB_READS,
		.params = "ss",
		.columns = "u",
	};
	struct change *change = read_change(command);

	if (change == NULL || !read_limits(command, change))
		return;
	const struct db_value values[] = {
		{ .text = change->account },
		{ .text = slice_of(throttle_kind_name(change->kind)) },
	};

	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_looked);
}

/* --- unset -------------------------------------------------------------- */

static void
after_unset(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "%.*s has no %s limits of its own now",
		SLICE_ARG(account_plain(change->account)),
		throttle_kind_name(change->kind));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_unset(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	if (result->affected == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s has no %s limits of its own; \"policyctl "
			"throttle show\" tells which apply",
			SLICE_ARG(account_plain(change->account)),
			throttle_kind_name(change->kind));
	else
		command_changed(command, change->account, after_unset);
}

static void
run_on_rule(struct command *command, const struct db_statement *statement,
	command_rows_fn *next)
{
	const struct change *change = command->data;
	const struct db_value values[] = {
		{ .text = change->account },
		{ .text = slice_of(throttle_kind_name(change->kind)) },
	};

	command_db(command, CONFIG_DB_IREDAPD, statement, values, next);
}

static void
on_counters_gone(struct command *command, const struct db_result *result)
{
	static const struct db_statement statement = {
		.name = "throttle_unset",
		.sql = "DELETE FROM throttle WHERE account = ? AND kind = ?",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};

	(void)result;
	run_on_rule(command, &statement, on_unset);
}

/* Counters go first: a foreign key binds them to their rule. */
void
command_throttle_unset(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_unset_counters",
		.sql = "DELETE t FROM throttle_tracking t JOIN throttle r"
		       " ON r.id = t.tid WHERE r.account = ? AND r.kind = ?",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};

	if (read_change(command) != NULL)
		run_on_rule(command, &statement, on_counters_gone);
}
