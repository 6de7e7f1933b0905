/*
 * "rdns list|add|remove": black and white lists of clients' names,
 * iredapd.wblist_rdns.
 */

#include "policyd/facts/rdns.h"

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

/* --- list --------------------------------------------------------------- */

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "name", "Name", REPLY_TEXT },
		{ "list", "List", REPLY_TEXT },
	};

	command_list_rows(command, result->rows, columns,
		sizeof(columns) / sizeof(columns[0]));
}

void
command_rdns_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "rdns_list",
		.sql = "SELECT rdns, CASE wb WHEN 'W' THEN 'white'"
		       " WHEN 'B' THEN 'black' ELSE wb END FROM wblist_rdns"
		       " ORDER BY wb DESC, rdns LIMIT ?",
		.access = DB_READS,
		.params = "u",
		.columns = "ss",
	};
	struct db_value limit = { .is_null = false };

	if (command_limit(command, &limit.number))
		command_db(command, CONFIG_DB_IREDAPD, &statement, &limit,
			on_list);
}

/* --- add, remove -------------------------------------------------------- */

struct change {
	struct slice name;
	bool is_white;
};

/* NULL: the command was ended. */
static struct change *
read_change(struct command *command)
{
	struct change *change = arena_new_object(command->arena, struct change);
	const struct slice typed = slice_trim(command_text(command, "name"));
	const char *wrong;

	change->name = slice_lower(command->arena, typed);
	if (change->name.len > 1 &&
		change->name.ptr[change->name.len - 1] == '.')
		change->name.len--;
	wrong = slice_is_utf8(change->name) ? rdns_check(change->name)
					    : "it is not UTF-8";
	if (wrong != NULL) {
		reply_error(command, COMMAND_EXIT_USAGE, "\"%.*s\": %s",
			SLICE_ARG(typed), wrong);
		return NULL;
	}
	command->data = change;
	return change;
}

static void
after_add(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "clients named %.*s%s are %s now",
		SLICE_ARG(change->name),
		change->name.ptr[0] == '.' ? " and below" : "",
		change->is_white ? "never refused for their name" : "refused");
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_added(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->name, after_add);
}

void
command_rdns_add(struct command *command)
{
	static const struct db_statement statement = {
		.name = "rdns_add",
		.sql = "INSERT INTO wblist_rdns (rdns, wb) VALUES (?, ?)"
		       " ON DUPLICATE KEY UPDATE wb = VALUES(wb)",
		.access = DB_WRITES,
		.params = "ss",
		.columns = "",
	};
	struct change *change;

	if (command_has(command, "white") == command_has(command, "black")) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"say one of --black, to refuse such clients, and "
			"--white, to except them from what is black");
		return;
	}
	change = read_change(command);
	if (change == NULL)
		return;
	change->is_white = command_has(command, "white");
	const struct db_value values[] = {
		{ .text = change->name },
		{ .text = change->is_white ? SLICE("W") : SLICE("B") },
	};

	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_added);
}

static void
after_remove(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command, "removed: %.*s", SLICE_ARG(change->name));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_removed(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	if (result->affected == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"there is no row for %.*s; \"policyctl rdns list\" "
			"shows those there are",
			SLICE_ARG(change->name));
	else
		command_changed(command, change->name, after_remove);
}

void
command_rdns_remove(struct command *command)
{
	static const struct db_statement statement = {
		.name = "rdns_remove",
		.sql = "DELETE FROM wblist_rdns WHERE rdns = ?",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	const struct change *change = read_change(command);

	if (change == NULL)
		return;
	const struct db_value name = { .text = change->name };

	command_db(command, CONFIG_DB_IREDAPD, &statement, &name, on_removed);
}
