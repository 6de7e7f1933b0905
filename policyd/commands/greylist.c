/*
 * "greylist list|enable|disable|remove": for whom greylisting is on,
 * iredapd.greylisting, and "greylist whitelist": who is never greylisted.
 */

#include "common/base/mem.h"
#include "common/mail/address.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/commands/row_problems.h"
#include "policyd/facts/accounts.h"
#include "policyd/sources.h"

/* VARCHAR(100) of the columns account and sender. */
#define ACCOUNT_COLUMN_MAX 100
#define COMMENT_MAX        255

/* --- greylist list ------------------------------------------------------ */

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "active", "Greylisting", REPLY_ON },
		{ "sender", "From", REPLY_ACCOUNT },
		{ "account", "To", REPLY_ACCOUNT },
		{ "priority", "Priority", REPLY_NUMBER },
		{ "sender_priority", "Of sender", REPLY_NUMBER },
		{ "comment", "Comment", REPLY_TEXT },
		ROW_PROBLEMS_COLUMN,
	};
	const size_t n = db_rows_count(result->rows);
	struct row_problems problems;

	row_problems_begin(&problems, command, result->rows);
	row_problems_find(&problems, TABLE_GREYLISTING, 6);
	row_problems_table(&problems, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n; i++) {
		reply_row(command);
		reply_bool(command, db_rows_u64(result->rows, i, 0) == 1);
		reply_value(command, db_rows_text(result->rows, i, 1));
		reply_value(command, db_rows_text(result->rows, i, 2));
		reply_number(command, db_rows_i64(result->rows, i, 3));
		reply_number(command, db_rows_i64(result->rows, i, 4));
		reply_value(command, db_rows_text(result->rows, i, 5));
		row_problems_value(&problems, i);
	}
	row_problems_table_end(&problems);
	if (n == 0)
		reply_text(command, "greylisting is off: there is no row for "
				    "it; \"policyctl greylist enable\" "
				    "switches it on for everyone");
	command_end_list(command, n);
}

void
command_greylist_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "greylist_list",
		.sql = "SELECT active, sender, account, priority,"
		       " sender_priority, comment, id FROM greylisting"
		       " WHERE ? = '' OR account = ?"
		       " ORDER BY priority DESC, sender_priority DESC, account,"
		       " sender LIMIT ?",
		.access = DB_READS,
		.params = "ssu",
		.columns = "ussiisu",
	};
	struct db_value values[3] = { { .is_null = false } };

	if (!command_filter(command, &values[0].text) ||
		!command_limit(command, &values[2].number))
		return;
	values[1] = values[0];
	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_list);
}

/* --- greylist enable, disable, remove ----------------------------------- */

struct change {
	struct slice sender, account;
};

static bool
check_length(struct command *command, struct slice account)
{
	if (account.len <= ACCOUNT_COLUMN_MAX)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"\"%.*s\" is longer than the %d bytes that the table holds",
		SLICE_ARG(account), ACCOUNT_COLUMN_MAX);
	return false;
}

/* The two accounts of a row, from the arguments of these names. */
static struct change *
read_change(struct command *command, const char *sender_name)
{
	struct change *change = arena_new_object(command->arena, struct change);

	if (!command_account(command, sender_name, "@.", &change->sender) ||
		!command_account(command, "to", "@.", &change->account) ||
		!check_length(command, change->sender) ||
		!check_length(command, change->account))
		return NULL;
	if (!account_kind_is_address(account_kind(change->account))) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--to is an address, a domain or everyone (\"*\"), "
			"not %.*s",
			SLICE_ARG(change->account));
		return NULL;
	}
	if (account_kind(change->sender) == ACCOUNT_CATCH_ALL_IP) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"@ip never matches a sender; \"*\" is everyone");
		return NULL;
	}
	command->data = change;
	return change;
}

static bool
read_comment(struct command *command, struct slice *comment)
{
	*comment = command_text(command, "comment");
	if (comment->len <= COMMENT_MAX)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--comment has at most %d bytes", COMMENT_MAX);
	return false;
}

static bool
is_to_enable(const struct command *command)
{
	return command->request.row->id == COMMAND_greylist_enable;
}

static void
after_switch(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "greylisting from %.*s to %.*s is %s now",
		SLICE_ARG(account_plain(change->sender)),
		SLICE_ARG(account_plain(change->account)),
		is_to_enable(command) ? "on" : "off");
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_switched(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->account, after_switch);
}

static void
switch_greylisting(struct command *command)
{
	static const struct db_statement statement = {
		.name = "greylist_switch",
		.sql = "INSERT INTO greylisting (account, priority, sender,"
		       " sender_priority, comment, active)"
		       " VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE"
		       " priority = VALUES(priority),"
		       " sender_priority = VALUES(sender_priority),"
		       " comment = VALUES(comment), active = VALUES(active)",
		.access = DB_WRITES,
		.params = "sisisu",
		.columns = "",
	};
	const struct change *change = read_change(command, "from");
	struct slice comment;

	if (change == NULL || !read_comment(command, &comment))
		return;
	const struct db_value values[] = {
		{ .text = change->account },
		{ .number = (uint64_t)account_priority(
			  account_kind(change->account)) },
		{ .text = change->sender },
		{ .number = (uint64_t)account_priority(
			  account_kind(change->sender)) },
		{ .text = comment },
		{ .number = is_to_enable(command) },
	};

	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_switched);
}

void
command_greylist_enable(struct command *command)
{
	switch_greylisting(command);
}

void
command_greylist_disable(struct command *command)
{
	switch_greylisting(command);
}

static void
after_remove(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "removed: from %.*s to %.*s",
		SLICE_ARG(account_plain(change->sender)),
		SLICE_ARG(account_plain(change->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
reply_no_row(struct command *command, const char *list)
{
	const struct change *change = command->data;

	reply_error(command, COMMAND_EXIT_NOT_FOUND,
		"there is no row from %.*s to %.*s; \"policyctl %s\" shows "
		"those there are",
		SLICE_ARG(account_plain(change->sender)),
		SLICE_ARG(account_plain(change->account)), list);
}

static void
on_removed(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	if (result->affected == 0)
		reply_no_row(command, "greylist list");
	else
		command_changed(command, change->account, after_remove);
}

static void
run_on_change(struct command *command, const struct db_statement *statement,
	command_rows_fn *next)
{
	const struct change *change = command->data;
	const struct db_value values[] = {
		{ .text = change->account },
		{ .text = change->sender },
	};

	command_db(command, CONFIG_DB_IREDAPD, statement, values, next);
}

void
command_greylist_remove(struct command *command)
{
	static const struct db_statement statement = {
		.name = "greylist_remove",
		.sql = "DELETE FROM greylisting WHERE account = ?"
		       " AND sender = ?",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};

	if (read_change(command, "from") != NULL)
		run_on_change(command, &statement, on_removed);
}

/* --- greylist whitelist ------------------------------------------------- */

static void
on_whitelist(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "sender", "From", REPLY_ACCOUNT },
		{ "account", "To", REPLY_ACCOUNT },
		{ "source", "Comes from", REPLY_TEXT },
		{ "comment", "Comment", REPLY_TEXT },
		ROW_PROBLEMS_COLUMN,
	};
	const size_t n = db_rows_count(result->rows);
	struct row_problems problems;

	row_problems_begin(&problems, command, result->rows);
	row_problems_find(&problems, TABLE_GREYLIST_WHITELIST, 4);
	row_problems_find(&problems, TABLE_GREYLIST_WHITELIST_SPF, 5);
	row_problems_table(&problems, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n; i++) {
		reply_row(command);
		for (size_t column = 0; column < 4; column++)
			reply_value(command,
				db_rows_text(result->rows, i, column));
		row_problems_value(&problems, i);
	}
	row_problems_table_end(&problems);
	command_end_list(command, n);
}

void
command_greylist_whitelist_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "greylist_whitelist_list",
		.sql = "SELECT sender, account, IF(comment ="
		       " 'AUTO-WHITELISTED', 'outbound mail',"
		       " 'administrator') AS source, comment, id,"
		       " NULL AS spf_id FROM greylisting_whitelists"
		       " WHERE ? = '' OR account = ? OR sender = ?"
		       " UNION ALL SELECT sender, account, 'SPF', comment,"
		       " NULL, id"
		       " FROM greylisting_whitelist_domain_spf"
		       " WHERE ? = '' OR account = ? OR sender = ?"
		       " ORDER BY source DESC, account, sender LIMIT ?",
		.access = DB_READS,
		.params = "ssssssu",
		.columns = "ssssuu",
	};
	struct db_value values[7] = { { .is_null = false } };

	if (!command_filter(command, &values[0].text) ||
		!command_limit(command, &values[6].number))
		return;
	for (size_t i = 1; i < 6; i++)
		values[i] = values[0];
	command_db(command, CONFIG_DB_IREDAPD, &statement, values,
		on_whitelist);
}

static void
after_white(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "mail from %.*s to %.*s is not greylisted now",
		SLICE_ARG(account_plain(change->sender)),
		SLICE_ARG(account_plain(change->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_white(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->account, after_white);
}

void
command_greylist_whitelist_add(struct command *command)
{
	static const struct db_statement statement = {
		.name = "greylist_whitelist_add",
		.sql = "INSERT INTO greylisting_whitelists (account, sender,"
		       " comment) VALUES (?, ?, ?)"
		       " ON DUPLICATE KEY UPDATE comment = VALUES(comment)",
		.access = DB_WRITES,
		.params = "sss",
		.columns = "",
	};
	const struct change *change = read_change(command, "sender");
	struct slice comment;

	if (change == NULL || !read_comment(command, &comment))
		return;
	const struct db_value values[] = {
		{ .text = change->account },
		{ .text = change->sender },
		{ .text = comment },
	};

	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_white);
}

static void
on_white_removed(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	if (result->affected == 0)
		reply_no_row(command, "greylist whitelist list");
	else
		command_changed(command, change->account, after_remove);
}

/* Rows that come from SPF records are made again, but not until then. */
static void
on_white_looked(struct command *command, const struct db_result *result)
{
	static const struct db_statement statement = {
		.name = "greylist_whitelist_spf_remove",
		.sql = "DELETE FROM greylisting_whitelist_domain_spf"
		       " WHERE account = ? AND sender = ?",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};

	if (result->affected > 0)
		on_white_removed(command, result);
	else
		run_on_change(command, &statement, on_white_removed);
}

void
command_greylist_whitelist_remove(struct command *command)
{
	static const struct db_statement statement = {
		.name = "greylist_whitelist_remove",
		.sql = "DELETE FROM greylisting_whitelists WHERE account = ?"
		       " AND sender = ?",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};

	if (read_change(command, "sender") != NULL)
		run_on_change(command, &statement, on_white_looked);
}
