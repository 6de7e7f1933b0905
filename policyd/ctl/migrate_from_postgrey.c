/*
 * "migrate from postgrey": the triplets and the clients that Postgrey keeps
 * in two files of Berkeley DB, and its white-lists. The files are read by
 * db5.3_dump, or are what it has written.
 */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/bdb_dump.h"
#include "policyd/ctl/import.h"

#define DATA_DIR       "/var/lib/postgrey"
#define WHITELISTS_DIR "/etc/postgrey"
/* What Postgrey does unless it is told otherwise. */
#define DELAY_MS     300000u
#define CLIENT_COUNT 5u

#define DELAY_MAX_MS UINT64_C(86400000)
#define CLIENT_MAX   1000000u

#define TRIPLETS   "triplets"
#define CLIENTS    "clients"
#define WHITELIST  "Postgrey whitelist_clients"
#define RECIPIENTS "Postgrey whitelist_recipients"

struct postgrey {
	struct import import;
	uint64_t delay, client_count;
	pid_t reader; /* 0: the file is a dump itself */
};

extern char **environ;

/* --- files -------------------------------------------------------------- */

/* What a program writes; NULL when it cannot be started. */
static FILE *
start_reader(struct postgrey *postgrey, const char *program, const char *path)
{
	/* posix_spawn() changes none of them. */
	char option[] = "-p";
	char *const words[] = { (char *)(uintptr_t)program, option,
		(char *)(uintptr_t)path, NULL };
	posix_spawn_file_actions_t actions;
	FILE *file = NULL;
	int ends[2];

	if (pipe(ends) < 0)
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	if (posix_spawnp(&postgrey->reader, program, &actions, NULL, words,
		    environ) == 0)
		file = fdopen(ends[0], "r");
	else
		postgrey->reader = 0;
	posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	if (file == NULL)
		(void)close(ends[0]);
	return file;
}

/* The dump of a file, or the file where it is a dump. NULL: it was ended. */
static FILE *
open_dump(struct postgrey *postgrey, const char *path)
{
	struct import *import = &postgrey->import;
	FILE *file = fopen(path, "re");
	char start[8] = "";

	postgrey->reader = 0;
	if (file == NULL) {
		if (errno == ENOENT)
			return NULL;
	} else {
		if (fread(start, 1, sizeof(start), file) == sizeof(start) &&
			memcmp(start, "VERSION=", sizeof(start)) == 0) {
			rewind(file);
			return file;
		}
		fclose(file);
		file = start_reader(postgrey, "db5.3_dump", path);
		if (file == NULL)
			file = start_reader(postgrey, "db_dump", path);
		if (file != NULL)
			return file;
	}
	reply_error(import->command, COMMAND_EXIT_USAGE,
		errno == ENOENT ? "%s: db5.3_dump is needed to read it (%s): "
				  "install db5.3-util, or put what it writes "
				  "elsewhere in the place of the file"
				: "%s: %s",
		path, strerror(errno));
	import->is_ended = true;
	return NULL;
}

/* False when the program has failed. */
static bool
close_dump(struct postgrey *postgrey, FILE *file)
{
	int status = 0;

	fclose(file);
	if (postgrey->reader != 0)
		while (waitpid(postgrey->reader, &status, 0) < 0 &&
			errno == EINTR)
			continue;
	return status == 0;
}

/* A line without its newline; one that is too long is " ". */
static bool
read_line(FILE *file, char line[BDB_LINE_MAX + 2])
{
	size_t len;
	int c;

	if (fgets(line, BDB_LINE_MAX + 2, file) == NULL)
		return false;
	len = strlen(line);
	if (len > 0 && line[len - 1] == '\n') {
		line[len - 1] = '\0';
	} else if (len == BDB_LINE_MAX + 1) {
		while ((c = getc(file)) != EOF && c != '\n')
			continue;
		(void)snprintf(line, BDB_LINE_MAX + 2, " ");
	}
	return true;
}

/* Hands every pair of a file to take. False: the command was ended. */
static bool
read_file(struct postgrey *postgrey, const char *path, bool *is_there,
	void (*take)(struct postgrey *postgrey, struct slice key,
		struct slice value))
{
	struct import *import = &postgrey->import;
	FILE *file = open_dump(postgrey, path);
	char line[BDB_LINE_MAX + 2];
	struct bdb_dump dump;

	*is_there = file != NULL;
	if (file == NULL)
		return !import->is_ended;
	bdb_dump_init(&dump);
	while (!import->is_ended && read_line(file, line))
		if (bdb_dump_line(&dump, slice_of(line)))
			take(postgrey, str_slice(&dump.key),
				str_slice(&dump.value));
	if ((!close_dump(postgrey, file) || dump.state != BDB_END) &&
		!import->is_ended) {
		reply_error(import->command, COMMAND_EXIT_USAGE, "%s: %s", path,
			dump.err != NULL ? dump.err : "it cannot be read");
		import->is_ended = true;
	}
	bdb_dump_free(&dump);
	return !import->is_ended;
}

/* --- triplets and clients ----------------------------------------------- */

static void
take_triplet(struct postgrey *postgrey, struct slice key, struct slice value)
{
	struct import_triplet triplet = { .has_passed = false };
	struct postgrey_key parts;
	uint64_t first, last;

	if (!postgrey_read_key(key, &parts)) {
		import_drop(&postgrey->import, TRIPLETS,
			"it is not client/sender/recipient: with --privacy "
			"Postgrey does not keep that",
			key);
		return;
	}
	if (!postgrey_read_value(value, &first, &last)) {
		import_drop(&postgrey->import, TRIPLETS, "it has no times",
			key);
		return;
	}
	triplet.client = parts.client;
	triplet.sender = parts.sender;
	triplet.recipient = parts.recipient;
	triplet.first = (int64_t)first;
	triplet.last = (int64_t)last;
	triplet.has_passed = last >= first && last - first >= postgrey->delay;
	import_tracking(&postgrey->import, TRIPLETS, &triplet);
}

/* A client that has passed often enough is free here, too. */
static void
take_client(struct postgrey *postgrey, struct slice key, struct slice value)
{
	struct import_triplet triplet = { .client = key, .has_passed = true };
	uint64_t count, last;

	if (!postgrey_read_value(value, &count, &last)) {
		import_drop(&postgrey->import, CLIENTS, "it has no times", key);
	} else if (count < postgrey->client_count) {
		import_drop(&postgrey->import, CLIENTS,
			"it was not white-listed yet", key);
	} else {
		triplet.first = triplet.last = (int64_t)last;
		import_tracking(&postgrey->import, CLIENTS, &triplet);
	}
}

/* --- white-lists -------------------------------------------------------- */

static void
take_white_client(struct import *import, struct slice line)
{
	const char *network =
		arena_printf(import->arena, "%.*s.0/24", SLICE_ARG(line));
	struct network parsed;

	if (line.ptr[0] == '/')
		import_drop(import, WHITELIST,
			"it is a regular expression of host names", line);
	else if (network_parse(line, &parsed, NULL))
		import_whitelist(import, WHITELIST, line,
			SLICE("from Postgrey"));
	else if (network_parse(slice_of(network), &parsed, NULL))
		import_whitelist(import, WHITELIST, slice_of(network),
			SLICE("from Postgrey"));
	else
		import_drop(import, WHITELIST,
			"policyd has no white-list of host names for "
			"greylisting: give it addresses or networks",
			line);
}

static void
take_white_recipient(struct import *import, struct slice line)
{
	const ptrdiff_t at = slice_find_last(line, '@');

	if (line.ptr[0] == '/')
		import_drop(import, RECIPIENTS, "it is a regular expression",
			line);
	else if (at < 0)
		import_setting(import, RECIPIENTS,
			slice_of(arena_printf(import->arena, "@.%.*s",
				SLICE_ARG(line))),
			false);
	else if ((size_t)at == line.len - 1)
		import_drop(import, RECIPIENTS,
			"it is of any domain: switch greylisting off for it "
			"in each of yours",
			line);
	else
		import_setting(import, RECIPIENTS, line, false);
}

/* --- the command -------------------------------------------------------- */

/* False: the command was ended. */
static bool
read_options(struct postgrey *postgrey)
{
	struct import *import = &postgrey->import;
	const struct command_request *request = &import->command->request;
	uint64_t delay_ms = DELAY_MS;
	struct slice value;

	postgrey->client_count = CLIENT_COUNT;
	if (command_argument(request, "delay", &value) &&
		!num_parse_duration(value, 1000, DELAY_MAX_MS, &delay_ms)) {
		reply_error(import->command, COMMAND_EXIT_USAGE,
			"--delay %.*s: it is not a duration such as 5m",
			SLICE_ARG(value));
		import->is_ended = true;
	} else if (command_argument(request, "auto_whitelist", &value) &&
		   !num_parse_u64(value, CLIENT_MAX, &postgrey->client_count)) {
		reply_error(import->command, COMMAND_EXIT_USAGE,
			"--auto-whitelist %.*s: it is not a number",
			SLICE_ARG(value));
		import->is_ended = true;
	}
	postgrey->delay = delay_ms / 1000;
	return !import->is_ended;
}

static const char *
in_folder(struct import *import, const char *argument, const char *otherwise,
	const char *name)
{
	const struct slice folder = command_argument_or(
		&import->command->request, argument, otherwise);

	return arena_printf(import->command->arena, "%s%.*s/%s",
		slice_starts(folder, SLICE("-")) ? "./" : "", SLICE_ARG(folder),
		name);
}

static bool
read_data(struct postgrey *postgrey)
{
	struct import *import = &postgrey->import;
	const char *triplets =
		in_folder(import, "data", DATA_DIR, "postgrey.db");
	bool has_triplets, has_clients;

	if (!read_file(postgrey, triplets, &has_triplets, take_triplet) ||
		!read_file(postgrey,
			in_folder(import, "data", DATA_DIR,
				"postgrey_clients.db"),
			&has_clients, take_client))
		return false;
	if (!has_triplets && !has_clients) {
		reply_error(import->command, COMMAND_EXIT_NOT_FOUND,
			"%s is not there; --data names the folder of "
			"Postgrey's files",
			triplets);
		import->is_ended = true;
	}
	return !import->is_ended;
}

static bool
read_whitelists(struct import *import)
{
	static const struct {
		const char *name;
		void (*take)(struct import *import, struct slice line);
	} files[] = {
		{ "whitelist_clients", take_white_client },
		{ "whitelist_clients.local", take_white_client },
		{ "whitelist_recipients", take_white_recipient },
		{ "whitelist_recipients.local", take_white_recipient },
		/* As Postgrey itself names them, in the folder of Postfix. */
		{ "postgrey_whitelist_clients", take_white_client },
		{ "postgrey_whitelist_clients.local", take_white_client },
		{ "postgrey_whitelist_recipients", take_white_recipient },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!import_lines(import,
			    in_folder(import, "whitelists", WHITELISTS_DIR,
				    files[i].name),
			    files[i].take))
			return false;
	return true;
}

void
command_migrate_from_postgrey(struct command *command)
{
	struct postgrey postgrey;

	if (import_open(&postgrey.import, command) && read_options(&postgrey) &&
		read_data(&postgrey) && read_whitelists(&postgrey.import))
		import_end(&postgrey.import);
	import_close(&postgrey.import);
}
