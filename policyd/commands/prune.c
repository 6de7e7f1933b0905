/*
 * "db prune": removes the rows that have expired now, or counts them, through
 * the clean-up (cleanup.h) of this process.
 */

#include "common/base/mem.h"
#include "policyd/cleanup.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

static void
on_job(void *arg, const struct cleanup_job *job, uint64_t n_rows,
	int64_t took_us, const char *error)
{
	struct command *command = arg;

	reply_row(command);
	reply_value(command, slice_of(job->table));
	reply_unsigned(command, n_rows);
	reply_unsigned(command, (uint64_t)(took_us > 0 ? took_us : 0));
	reply_value(command, slice_of(error));
}

static void
on_done(void *arg, const char *error)
{
	struct command *command = arg;

	command->on_gone = NULL;
	command->n_refs++; /* its end is the end of the connection's */
	reply_part_end(command);
	if (error != NULL)
		reply_error(command, COMMAND_EXIT_REFUSED,
			"not everything was done: %s", error);
	else
		reply_end(command, COMMAND_EXIT_DONE);
	command_unref(command);
}

static void
mute(struct command *command)
{
	cleanup_mute(command->sources->cleanup);
}

void
command_db_prune(struct command *command)
{
	const bool is_dry_run = command_has(command, "dry_run");
	const struct reply_column columns[] = {
		{ "table", "Table", REPLY_TEXT },
		{ "rows", is_dry_run ? "Expired" : "Removed", REPLY_NUMBER },
		{ "took_us", "Time", REPLY_MICROSECONDS },
		{ "error", "Error", REPLY_TEXT },
	};
	const struct cleanup_report report = { on_job, on_done, command };
	struct cleanup *cleanup = command->sources->cleanup;

	if (cleanup_is_busy(cleanup)) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"a clean-up is under way already; \"policyctl "
			"status\" shows when it is done");
		return;
	}
	command->on_gone = mute;
	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	cleanup_run(cleanup, is_dry_run, &report);
}
