/* "config show", "reload", "refresh", "version". */

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"
#include "policyd/version.h"
#include "policyd/worker.h"

#define VALUE_MAX 65536

void
command_config_show(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "section", "Section", REPLY_TEXT },
		{ "key", "Setting", REPLY_TEXT },
		{ "value", "Value", REPLY_TEXT },
		{ "default", "Default", REPLY_TEXT },
		{ "needs_restart", "Restart", REPLY_BOOL },
	};
	const bool is_all = command_has(command, "all");
	struct config_row row;
	struct str value;
	size_t at = 0, n = 0;

	str_init(&value, VALUE_MAX);
	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	while (config_next(command->sources->config, &at, &row, &value)) {
		if (is_all || !row.is_default) {
			reply_row(command);
			reply_value(command, slice_of(row.section));
			reply_value(command, slice_of(row.key));
			reply_value(command, str_slice(&value));
			reply_value(command, slice_of(row.default_text));
			reply_bool(command, row.needs_restart);
			n++;
		}
		str_reset(&value);
	}
	reply_part_end(command);
	str_free(&value);
	if (n == 0)
		reply_text(command,
			"everything has its default; --all shows it");
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- reload ------------------------------------------------------------- */

struct reloading {
	struct slice remarks;
};

static void
after_reload(struct command *command)
{
	const struct reloading *reloading = command->data;

	if (reloading->remarks.len > 0)
		reply_text(command,
			"%s was read; these take effect only after a restart "
			"of the daemon: %.*s",
			command->sources->config->path,
			SLICE_ARG(reloading->remarks));
	else
		reply_text(command, "%s was read and is in force",
			command->sources->config->path);
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_reloaded(void *arg, bool is_done, struct slice text)
{
	struct command *command = arg;
	struct reloading *reloading =
		arena_new_object(command->arena, struct reloading);

	command_arrived(command);
	if (is_done) {
		reloading->remarks = slice_copy(command->arena, text);
		command->data = reloading;
		command_changed(command, SLICE(""), after_reload);
	} else {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"not reloaded, the old configuration stays in force:\n"
			"%.*s",
			SLICE_ARG(text));
	}
	command_unref(command);
}

void
command_reload(struct command *command)
{
	command_await(command);
	worker_reload(command->sources->worker, on_reloaded, command);
}

/* --- small ones --------------------------------------------------------- */

static void
after_refresh(struct command *command)
{
	reply_end(command, COMMAND_EXIT_DONE);
}

void
command_refresh(struct command *command)
{
	command_read_again(command, after_refresh);
}

void
command_daemon_version(struct command *command)
{
	reply_fields(command, NULL, NULL);
	reply_field(command, "policyd", "policyd", REPLY_TEXT);
	reply_value(command, slice_of(POLICYD_VERSION));
	reply_field(command, "node", "node", REPLY_TEXT);
	reply_value(command, slice_of(command->sources->node));
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}
