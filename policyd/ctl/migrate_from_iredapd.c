/*
 * "migrate from iredapd": reads iRedAPD's settings.py, and custom_settings.py
 * beside it, tells what becomes of every setting, and writes policyd.conf
 * with the passwords in files beside it.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/iredapd_plan.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/output.h"
#include "policyd/ctl/sql_file.h"

#define SETTINGS        "/opt/iredapd/settings.py" /* where iRedMail has it */
#define CUSTOM_SETTINGS "custom_settings.py"
#define CONFIG_MODE     0644
#define SECRET_MODE     0600
#define SHOWN_MAX       60 /* bytes of a value in a table for people */

/* --- reading ------------------------------------------------------------ */

/* False when the command was ended. */
static bool
read_source(struct command *command, const char *path,
	struct iredapd_source *out)
{
	const char *err = NULL;
	struct str text;
	bool is_good;

	str_init(&text, PYTHON_FILE_MAX + 1);
	out->path = path;
	is_good = sql_file_read(path, &text);
	if (!is_good)
		reply_error(command, COMMAND_EXIT_USAGE, "%s: %s", path,
			errno == EFBIG ? "it is larger than 1 MiB"
				       : strerror(errno));
	else if (!python_read(command->arena, str_slice(&text), &out->file,
			 &err)) {
		is_good = false;
		reply_error(command, COMMAND_EXIT_USAGE, "%s: %s", path, err);
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	str_free(&text);
	return is_good;
}

/* The folder of a file, "." for none. */
static const char *
folder_of(struct command *command, const char *path)
{
	const ptrdiff_t slash = slice_find_last(slice_of(path), '/');

	if (slash < 0)
		return ".";
	return slash == 0
		       ? "/"
		       : slice_copy(command->arena,
				 slice_part(slice_of(path), 0, (size_t)slash))
				 .ptr;
}

/* How many files there are; 0 when the command was ended. */
static size_t
read_sources(struct command *command, struct iredapd_source sources[2])
{
	const char *path = slice_copy(command->arena,
		command_argument_or(&command->request, "settings", SETTINGS))
				   .ptr;
	const char *custom;

	custom = arena_printf(command->arena, "%s/" CUSTOM_SETTINGS,
		folder_of(command, path));
	if (!read_source(command, path, &sources[0]))
		return 0;
	if (access(custom, F_OK) < 0)
		return 1;
	return read_source(command, custom, &sources[1]) ? 2 : 0;
}

/* --- the report --------------------------------------------------------- */

static const char *
place_of(struct command *command, const struct setting_row *row)
{
	const char *slash;

	if (row->path == NULL)
		return "";
	slash = strrchr(row->path, '/');
	return arena_printf(command->arena, "%s:%u",
		slash == NULL ? row->path : slash + 1, row->line);
}

static const char *
shown_value(struct command *command, const struct setting_row *row)
{
	const struct local *local = command->data;
	size_t len = strlen(row->value);

	if (local->output->is_json || len <= SHOWN_MAX)
		return row->value;
	for (len = SHOWN_MAX; len > 0 && (row->value[len] & 0xC0) == 0x80;)
		len--;
	return arena_printf(command->arena, "%.*s…", (int)len, row->value);
}

static size_t
count_fate(const struct iredapd_plan *plan, enum setting_fate fate)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n_rows; i++)
		n += plan->rows[i].fate == fate;
	return n;
}

static void
reply_table_of_settings(struct command *command,
	const struct iredapd_plan *plan)
{
	static const struct reply_column columns[] = {
		{ "setting", "Setting", REPLY_TEXT },
		{ "value", "Value", REPLY_TEXT },
		{ "fate", "Fate", REPLY_TEXT },
		{ "ours", "In policyd.conf", REPLY_TEXT },
		{ "reason", "Why", REPLY_TEXT },
		{ "place", "Where", REPLY_TEXT },
	};

	reply_table(command, "settings", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < plan->n_rows; i++) {
		const struct setting_row *row = &plan->rows[i];

		reply_row(command);
		reply_value(command, slice_of(row->name));
		reply_value(command, slice_of(shown_value(command, row)));
		reply_value(command, slice_of(setting_fate_name(row->fate)));
		reply_value(command, slice_of(row->ours));
		reply_value(command, slice_of(row->reason));
		reply_value(command, slice_of(place_of(command, row)));
	}
	reply_part_end(command);
}

/* A setting and what becomes of it: a table of this would be too wide. */
static void
reply_setting(struct command *command, const struct setting_row *row)
{
	const char *place = place_of(command, row);
	const char *value = shown_value(command, row);

	reply_text(command, "  %s%s%s%s%s%s", row->name,
		value[0] == '\0' ? "" : " = ", value,
		place[0] == '\0' ? "" : "  (", place,
		place[0] == '\0' ? "" : ")");
	if (row->ours[0] != '\0')
		reply_text(command, "      %s", row->ours);
	if (row->reason[0] != '\0')
		reply_text(command, "      %s", row->reason);
}

/* What is left to do stands last, where it is seen. */
static void
reply_settings(struct command *command, const struct iredapd_plan *plan)
{
	static const struct {
		enum setting_fate fate;
		const char *title;
	} groups[] = {
		{ SETTING_CARRIED, "carried over" },
		{ SETTING_CHANGED, "changed" },
		{ SETTING_DROPPED, "dropped" },
		{ SETTING_BY_HAND, "to be set by hand" },
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		const size_t n = count_fate(plan, groups[i].fate);

		if (n == 0)
			continue;
		reply_text(command, "%zu %s:", n, groups[i].title);
		for (size_t j = 0; j < plan->n_rows; j++)
			if (plan->rows[j].fate == groups[i].fate)
				reply_setting(command, &plan->rows[j]);
	}
}

/* Returns how many settings are left to the administrator. */
static size_t
reply_plan(struct command *command, const struct iredapd_plan *plan)
{
	const struct local *local = command->data;

	if (local->output->is_json)
		reply_table_of_settings(command, plan);
	else
		reply_settings(command, plan);
	return count_fate(plan, SETTING_BY_HAND);
}

/* --- writing ------------------------------------------------------------ */

/*
 * Makes path hold text, at once or not at all: under another name first, then
 * by a link that fails where there is a file already, unless is_forced.
 */
static bool
write_file(const char *path, struct slice text, mode_t mode, bool is_forced)
{
	char temporary[PATH_MAX];
	ssize_t n = -1;
	int fd, error;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >=
		(int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = mkstemp(temporary);
	if (fd < 0)
		return false;
	if (fchmod(fd, mode) == 0)
		n = write(fd, text.ptr, text.len);
	if (n != (ssize_t)text.len || fsync(fd) < 0 ||
		(is_forced ? rename(temporary, path) : link(temporary, path)) <
			0)
		n = -1;
	error = errno;
	(void)close(fd);
	(void)unlink(temporary);
	errno = error;
	return n >= 0;
}

static bool
is_there(struct command *command, const char *path)
{
	if (access(path, F_OK) < 0)
		return false;
	reply_error(command, COMMAND_EXIT_REFUSED,
		"%s is there already; --force replaces it, --output names "
		"another file",
		path);
	return true;
}

/* False when the command was ended. */
static bool
write_plan(struct command *command, const struct iredapd_plan *plan,
	const char *path)
{
	const bool is_forced =
		command_argument_is_given(&command->request, "force");
	const char *failed = NULL;

	for (size_t i = 0; i < plan->n_secrets && !is_forced; i++)
		if (is_there(command, plan->secrets[i].path))
			return false;
	if (!is_forced && is_there(command, path))
		return false;
	for (size_t i = 0; i < plan->n_secrets && failed == NULL; i++)
		if (!write_file(plan->secrets[i].path, plan->secrets[i].content,
			    SECRET_MODE, is_forced))
			failed = plan->secrets[i].path;
	if (failed == NULL &&
		!write_file(path, plan->config, CONFIG_MODE, is_forced))
		failed = path;
	if (failed != NULL)
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%s cannot be written: %s", failed, strerror(errno));
	return failed == NULL;
}

static void
reply_next_steps(struct command *command, const struct iredapd_plan *plan,
	const char *path)
{
	for (size_t i = 0; i < plan->n_secrets; i++)
		reply_text(command, "wrote %s", plan->secrets[i].path);
	reply_text(command, "wrote %s", path);
	reply_text(command,
		"Next:\n"
		"  1. policyctl --config %s db migrate --plan, and then "
		"without --plan\n"
		"  2. policyctl --config %s config check\n"
		"  3. systemctl stop iredapd, and start policyd; Postfix asks "
		"on the same port as before.\n"
		"     To try policyd first while iredapd still answers, see "
		"parallel in policyd.conf(5)\n"
		"  4. policyctl --config %s doctor",
		path, path, path);
}

/* An absolute path, since the passwords are named by theirs. */
static const char *
find_output(struct command *command)
{
	const struct local *local = command->data;
	struct slice argument;
	const char *path = local->config_path, *folder;
	char absolute[PATH_MAX];

	if (command_argument(&command->request, "output", &argument))
		path = slice_copy(command->arena, argument).ptr;
	folder = folder_of(command, path);
	if (realpath(folder, absolute) == NULL) {
		/* With --plan nothing is written, and the folder may come. */
		if (command_argument_is_given(&command->request, "plan") &&
			folder[0] == '/')
			return path;
		reply_error(command, COMMAND_EXIT_USAGE, "%s: %s", folder,
			strerror(errno));
		return NULL;
	}
	path = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
	return arena_printf(command->arena, "%s/%s",
		strcmp(absolute, "/") == 0 ? "" : absolute, path);
}

void
command_migrate_from_iredapd(struct command *command)
{
	struct iredapd_source sources[2];
	struct iredapd_plan plan;
	const size_t n_sources = read_sources(command, sources);
	const char *path = n_sources > 0 ? find_output(command) : NULL;
	enum command_exit status;

	if (path == NULL)
		return;
	iredapd_plan_make(command->arena, sources, n_sources,
		folder_of(command, path), &plan);
	if (!command_argument_is_given(&command->request, "plan") &&
		!write_plan(command, &plan, path))
		return;
	status = reply_plan(command, &plan) == 0 ? COMMAND_EXIT_DONE
						 : COMMAND_EXIT_FINDINGS;
	if (command_argument_is_given(&command->request, "plan"))
		reply_text(command,
			"nothing was written; without --plan it goes to %s",
			path);
	else
		reply_next_steps(command, &plan, path);
	reply_end(command, status);
}
