#include "policyd/commands/command.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/address.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/tables.h"
#include "policyd/facts/triplet.h"
#include "policyd/sources.h"
#include "policyd/worker.h"

/* --- life --------------------------------------------------------------- */

struct command *
command_new(struct sources *sources, struct command_list *list)
{
	struct command *command = x_new(struct command);

	command->sources = sources;
	command->arena = arena_new(COMMAND_ARENA_MAX);
	command->n_refs = 1;
	command->list = list;
	str_init(&command->line, COMMAND_REPLY_MAX);
	TAILQ_INSERT_TAIL(list, command, entry);
	return command;
}

void
command_unref(struct command *command)
{
	assert(command->n_refs > 0);
	if (--command->n_refs > 0)
		return;
	if (command->list != NULL)
		TAILQ_REMOVE(command->list, command, entry);
	str_free(&command->line);
	arena_free(command->arena);
	x_free(command);
}

static void
call_on_gone(struct command *command)
{
	command_fn *on_gone = command->on_gone;

	command->on_gone = NULL;
	if (on_gone != NULL)
		on_gone(command);
}

void
command_abandon(struct command *command)
{
	command->conn = NULL;
	call_on_gone(command);
	command_unref(command);
}

void
command_orphan_all(struct command_list *list)
{
	struct command *command;

	while ((command = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, command, entry);
		command->list = NULL;
		command->conn = NULL;
		call_on_gone(command);
		command->is_orphaned = true;
		if (command->is_awaiting)
			command_unref(command);
	}
}

void
command_await(struct command *command)
{
	assert(!command->is_awaiting);
	command->is_awaiting = true;
	command->n_refs++;
}

void
command_arrived(struct command *command)
{
	assert(command->is_awaiting && !command->is_orphaned);
	command->is_awaiting = false;
}

static command_fn *const handlers[COMMAND_COUNT] = {
#define HANDLER_DAEMON(id) command_##id
#define HANDLER_LOCAL(id)  NULL
#define COMMAND(id, words, where, effect, arguments, summary) \
	[COMMAND_##id] = HANDLER_##where(id),
#include "policyd/ctl/commands.def"
#undef COMMAND
};

void
command_start(struct command *command)
{
	handlers[command->request.row->id](command);
}

/* --- arguments ---------------------------------------------------------- */

bool
command_has(const struct command *command, const char *name)
{
	struct slice value;

	return command_argument(&command->request, name, &value);
}

struct slice
command_text(const struct command *command, const char *name)
{
	return command_argument_or(&command->request, name, "");
}

bool
command_account(struct command *command, const char *name,
	const char *otherwise, struct slice *stored)
{
	const struct slice typed =
		command_argument_or(&command->request, name, otherwise);
	const char *err;

	if (!account_normalize(command->arena, typed, stored, &err)) {
		reply_error(command, COMMAND_EXIT_USAGE, "\"%.*s\": %s",
			SLICE_ARG(typed), err);
		return false;
	}
	command->account = *stored;
	if (err != NULL)
		reply_text(command, "\"%.*s\": %s", SLICE_ARG(typed), err);
	return true;
}

bool
command_limit(struct command *command, uint64_t *out)
{
	struct slice text;

	*out = COMMAND_ROWS;
	if (!command_argument(&command->request, "limit", &text))
		return true;
	if (num_parse_u64(text, COMMAND_ROWS_MAX, out) && *out > 0)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--limit is a number from 1 to %u, not \"%.*s\"",
		COMMAND_ROWS_MAX, SLICE_ARG(text));
	return false;
}

bool
command_filter(struct command *command, struct slice *out)
{
	*out = SLICE("");
	return !command_has(command, "account") ||
	       command_account(command, "account", "", out);
}

void
command_list_rows(struct command *command, const struct db_rows *rows,
	const struct reply_column *columns, size_t n_columns)
{
	const size_t n = db_rows_count(rows);

	reply_table(command, NULL, NULL, columns, n_columns);
	for (size_t i = 0; i < n; i++) {
		reply_row(command);
		for (size_t column = 0; column < n_columns; column++)
			if (columns[column].type == REPLY_NUMBER)
				reply_unsigned(command,
					db_rows_u64(rows, i, column));
			else
				reply_value(command,
					db_rows_text(rows, i, column));
	}
	reply_part_end(command);
	command_end_list(command, n);
}

void
command_end_list(struct command *command, size_t n_rows)
{
	uint64_t limit;

	if (!command_limit(command, &limit))
		return;
	if (n_rows == limit)
		reply_text(command,
			"there may be more than these %llu; use --limit",
			(unsigned long long)limit);
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- the database ------------------------------------------------------- */

const char *
command_db_name(enum config_db_id db)
{
	static const char *const names[CONFIG_DB_COUNT] = {
		[CONFIG_DB_IREDAPD] = "iredapd",
		[CONFIG_DB_VMAIL] = "vmail",
		[CONFIG_DB_POLICYD] = "policyd",
		[CONFIG_DB_AMAVISD] = "amavisd",
	};

	return names[db];
}

/* The server's numbers: no such database, column, table. */
static bool
is_schema_error(unsigned error_number)
{
	return error_number == 1049 || error_number == 1054 ||
	       error_number == 1146;
}

/* Access denied: to a database, a table, a column, for a command. */
static bool
is_rights_error(unsigned error_number)
{
	return error_number == 1044 || error_number == 1142 ||
	       error_number == 1143;
}

static void
reply_db_error(struct command *command, const struct db_result *result)
{
	const char *name = command_db_name(command->asked_db);
	const bool is_schema = is_schema_error(result->error_number);

	switch (result->status) {
	case DB_OK:
		break;
	case DB_REFUSED:
		if (is_rights_error(result->error_number)) {
			reply_error(command, COMMAND_EXIT_REFUSED,
				"database %s: policyd may not do this; GRANT "
				"SELECT, INSERT, UPDATE, DELETE ON it to the "
				"user in [%s_db]: %s",
				name, name, result->error);
			break;
		}
		reply_error(command,
			is_schema ? COMMAND_EXIT_NO_DATABASE
				  : COMMAND_EXIT_REFUSED,
			"database %s: %s%s%s", name, result->error,
			is_schema ? "; " : "",
			is_schema ? config_db_remedy(command->asked_db) : "");
		break;
	case DB_UNAVAILABLE:
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"database %s is not available: %s; \"policyctl "
			"status\" shows when it is back",
			name, result->error);
		break;
	case DB_UNCERTAIN:
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"database %s: the connection was lost, the change may "
			"or may not have been made; look and try again: %s",
			name, result->error);
		break;
	}
}

static void
on_rows(void *arg, const struct db_result *result)
{
	struct command *command = arg;

	if (!command->is_orphaned && result->status == DB_OK)
		command->next_rows(command, result);
	else if (!command->is_orphaned)
		reply_db_error(command, result);
	command_unref(command);
}

void
command_db(struct command *command, enum config_db_id db,
	const struct db_statement *statement, const struct db_value *values,
	command_rows_fn *next)
{
	if (command->sources->db[db] == NULL) {
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"this site has no database %s; if it has, name it in "
			"[%s_db] of policyd.conf and restart policyd",
			command_db_name(db), command_db_name(db));
		return;
	}
	command->n_refs++;
	command->asked_db = db;
	command->next_rows = next;
	db_run(command->sources->db[db], statement, values, 0, on_rows,
		command);
}

/* --- changes ------------------------------------------------------------ */

static void
on_fresh(void *arg, bool is_fresh)
{
	struct command *command = arg;

	command_arrived(command);
	triplets_forget(command->sources->triplets);
	if (!is_fresh)
		reply_text(command,
			"remark: the tables could not be read again; until "
			"the database answers, the old rows stay in force");
	command->next_fresh(command);
	command_unref(command);
}

void
command_read_again(struct command *command, command_fn *next)
{
	command->next_fresh = next;
	command_await(command);
	tables_refresh(command->sources->tables, on_fresh, command);
}

static void
log_argument(const struct command_parameter *parameter, struct slice value)
{
	char key[40];

	/* The account was logged in its stored form. */
	if (command_parameter_is(parameter, SLICE("account")) ||
		command_parameter_is(parameter, SLICE("client")))
		return;
	command_parameter_name(parameter, key, sizeof(key));
	log_line_text(key, value);
}

void
command_changed(struct command *command, struct slice account, command_fn *next)
{
	struct command_parameter parameter;

	log_line_begin(LOG_LEVEL_INFO, "changed");
	log_line_text("user", slice_of(command->who));
	log_line_text("command", slice_of(command->request.row->words));
	log_line_text("account", account);
	for (size_t i = 0;
		command_parameter(command->request.row, i, &parameter); i++)
		if (command->request.is_given[i])
			log_argument(&parameter, command->request.value[i]);
	log_line_end();
	worker_tell_change(command->sources->worker);
	command_read_again(command, next);
}
