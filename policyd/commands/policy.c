/* "policy": settings of single accounts and domains, policyd.setting. */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/accounts.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/tables.h"
#include "policyd/sources.h"

#define REASON_MAX 255

/* Settings are for addresses: those of clients have none. */
static bool
read_account(struct command *command, struct slice *account)
{
	if (!command_account(command, "account", "", account))
		return false;
	if (account_kind_is_address(account_kind(*account)))
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"settings are for an address, a domain or everyone (\"*\"), "
		"not for %.*s",
		SLICE_ARG(*account));
	return false;
}

void
command_policy_show(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "name", "Setting", REPLY_TEXT },
		{ "value", "Value", REPLY_TEXT },
		{ "source", "Comes from", REPLY_ACCOUNT },
	};
	const struct sources *sources = command->sources;
	struct setting_view view;
	struct slice account;
	const char *name;

	if (!read_account(command, &account))
		return;
	if (tables_get(sources->tables, TABLE_SETTING) == NULL) {
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"the table policyd.setting was not read yet; see "
			"\"policyctl status\"");
		return;
	}
	reply_table(command, NULL, NULL, columns, 3);
	for (size_t i = 0; (name = setting_name(i)) != NULL; i++) {
		if (!setting_view(sources->tables, sources->config,
			    command->arena, account, name, &view))
			continue;
		reply_row(command);
		reply_value(command, slice_of(name));
		reply_value(command, view.value);
		reply_value(command, view.source);
	}
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- changes ------------------------------------------------------------ */

static void
after_set(struct command *command)
{
	reply_text(command, "%.*s: %.*s is %.*s now",
		SLICE_ARG(account_plain(command->account)),
		SLICE_ARG(command_text(command, "name")),
		SLICE_ARG(command_text(command, "value")));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_set(struct command *command, const struct db_result *result)
{
	(void)result;
	command_changed(command, command->account, after_set);
}

void
command_policy_set(struct command *command)
{
	static const struct db_statement statement = {
		.name = "policy_set",
		.sql = "INSERT INTO setting (account, name, value, changed_at,"
		       " changed_by, reason) VALUES (?, ?, ?, ?, ?, ?)"
		       " ON DUPLICATE KEY UPDATE value = VALUES(value),"
		       " changed_at = VALUES(changed_at),"
		       " changed_by = VALUES(changed_by),"
		       " reason = VALUES(reason)",
		.access = DB_WRITES,
		.params = "sssuss",
		.columns = "",
	};
	const struct slice name = command_text(command, "name");
	const struct slice value =
		slice_lower(command->arena, command_text(command, "value"));
	const struct slice reason = command_text(command, "reason");
	struct slice account;
	const char *wrong;

	if (!read_account(command, &account))
		return;
	wrong = setting_check(command->arena, name, value);
	if (wrong != NULL || reason.len > REASON_MAX) {
		reply_error(command, COMMAND_EXIT_USAGE, "%s",
			wrong != NULL ? wrong
				      : "--reason has at most 255 bytes");
		return;
	}
	const struct db_value values[] = {
		{ .text = account },
		{ .text = name },
		{ .text = value },
		{ .number = (uint64_t)clock_wall() },
		{ .text = slice_of(command->who) },
		{ .text = reason },
	};

	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_set);
}

static void
after_unset(struct command *command)
{
	struct setting_view view = { SLICE(""), SLICE("") };
	const struct slice name = command_text(command, "name");
	const struct slice account = command->account;

	(void)setting_view(command->sources->tables, command->sources->config,
		command->arena, account, slice_copy(command->arena, name).ptr,
		&view);
	reply_text(command, "%.*s: %.*s is %.*s now, from %.*s",
		SLICE_ARG(account_plain(account)), SLICE_ARG(name),
		SLICE_ARG(view.value), SLICE_ARG(account_plain(view.source)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_unset(struct command *command, const struct db_result *result)
{
	if (result->affected > 0) {
		command_changed(command, command->account, after_unset);
		return;
	}
	reply_error(command, COMMAND_EXIT_NOT_FOUND,
		"\"%.*s\" has no setting %.*s of its own; \"policyctl policy "
		"show\" tells where it comes from",
		SLICE_ARG(command_text(command, "account")),
		SLICE_ARG(command_text(command, "name")));
}

void
command_policy_unset(struct command *command)
{
	static const struct db_statement statement = {
		.name = "policy_unset",
		.sql = "DELETE FROM setting WHERE account = ? AND name = ?",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};
	struct db_value values[2] = { { .is_null = false } };

	/* Also of names that do not exist: that is how to get rid of them. */
	if (!command_account(command, "account", "", &values[0].text))
		return;
	values[1].text = command_text(command, "name");
	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_unset);
}

void
command_policy_check(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "table", "Table", REPLY_TEXT },
		{ "row", "Row", REPLY_TEXT },
		{ "text", "What is wrong", REPLY_TEXT },
	};
	const struct tables *tables = command->sources->tables;
	const struct table_problem *problem = NULL;
	size_t n = 0;

	reply_table(command, NULL, NULL, columns, 3);
	while ((problem = tables_problem_next(tables, problem)) != NULL) {
		reply_row(command);
		reply_value(command, slice_of(problem->table));
		reply_value(command, slice_of(problem->key));
		reply_value(command, slice_of(problem->text));
		n++;
	}
	reply_part_end(command);
	if (n == 0)
		reply_text(command, "every row makes sense");
	reply_end(command, n > 0 ? COMMAND_EXIT_FINDINGS : COMMAND_EXIT_DONE);
}
