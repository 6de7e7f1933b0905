/* "dkim export", "dkim import", "dkim master-key": files with keys. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/client.h"
#include "policyd/ctl/local.h"
#include "policyd/json.h"

/* Where iRedMail has them, DOMAIN.pem each, and their selector. */
#define IREDMAIL_DIRECTORY "/var/lib/dkim"
#define IREDMAIL_SELECTOR  "dkim"
#define LINE_BYTES_MAX     4096
#define MASTER_KEY_SIZE    32

static struct slice
text_of(const struct command *command, const char *argument)
{
	return command_argument_or(&command->request, argument, "");
}

static bool
open_client(struct command *command, struct client *client)
{
	const struct local *local = command->data;

	if (client_init(client, local->output, local->socket_path,
		    local->config_path) == 0)
		return true;
	reply_end(command, COMMAND_EXIT_UNREACHABLE);
	return false;
}

/* Gives a request an argument; its name is one of the row's. */
static void
set_argument(struct command_request *request, const char *name,
	struct slice value)
{
	struct command_parameter parameter;

	for (size_t i = 0; command_parameter(request->row, i, &parameter);
		i++) {
		if (!command_parameter_is(&parameter, slice_of(name)))
			continue;
		request->is_given[i] = true;
		request->value[i] = value;
	}
}

/* What the daemon has answered. */
struct answer {
	struct arena *arena;
	struct slice text, error, pem;
};

static void
take_answer(void *arg, const struct json *part, struct slice line)
{
	const struct json *fields = json_member(part, "fields");
	const struct slice text = json_member_text(part, "text");
	const struct slice error = json_member_text(part, "error");
	struct answer *answer = arg;

	(void)line;
	if (text.len > 0)
		answer->text = slice_copy(answer->arena, text);
	if (error.len > 0)
		answer->error = slice_copy(answer->arena, error);
	for (size_t i = 0; i < json_length(fields); i++)
		if (slice_eq_text(
			    json_member_text(json_element(fields, i), "key"),
			    "pem"))
			answer->pem = slice_copy(answer->arena,
				json_member_text(json_element(fields, i),
					"value"));
}

static int
ask(struct client *client, const struct command_request *request,
	struct answer *answer)
{
	const int exit =
		client_ask_quietly(client, 0, request, take_answer, answer);

	if (exit == COMMAND_EXIT_UNREACHABLE && answer->error.len == 0)
		answer->error = slice_of(errno != 0 ? strerror(errno)
						    : "policyd has closed the "
						      "connection");
	return exit;
}

/* --- dkim master-key ---------------------------------------------------- */

void
command_dkim_master_key(struct command *command)
{
	unsigned char bytes[MASTER_KEY_SIZE];
	char text[2 * MASTER_KEY_SIZE + 1];

	crypto_random(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	reply_text(command, "%s", text);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(text, sizeof(text));
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- dkim export -------------------------------------------------------- */

/* A new file that nobody else may read; never one that is there. */
static bool
write_file(struct command *command, const char *path, struct slice pem)
{
	const int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_written;

	if (fd < 0) {
		reply_error(command, COMMAND_EXIT_REFUSED, "%s: %s", path,
			strerror(errno));
		return false;
	}
	is_written = write(fd, pem.ptr, pem.len) == (ssize_t)pem.len;
	is_written = close(fd) == 0 && is_written;
	if (!is_written)
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%s could not be written as a whole", path);
	return is_written;
}

void
command_dkim_export(struct command *command)
{
	struct command_request request = {
		.row = &command_table[COMMAND_dkim_private],
	};
	struct answer answer = { .arena = command->arena };
	struct client client;
	struct slice path;
	int exit;

	if (!open_client(command, &client))
		return;
	set_argument(&request, "domain", text_of(command, "domain"));
	set_argument(&request, "selector", text_of(command, "selector"));
	exit = ask(&client, &request, &answer);
	if (exit != COMMAND_EXIT_DONE) {
		reply_error(command, (enum command_exit)exit, "%.*s",
			SLICE_ARG(answer.error));
		return;
	}
	if (!command_argument(&command->request, "output", &path))
		reply_text(command, "%.*s", SLICE_ARG(slice_trim(answer.pem)));
	else if (!write_file(command, slice_copy(command->arena, path).ptr,
			 answer.pem))
		return;
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- dkim import -------------------------------------------------------- */

struct import {
	struct command *command;
	struct client client;
	unsigned n_done, n_failed;
	int exit; /* of the first that failed */
};

static void
tell_failure(struct import *import, int exit, const char *where,
	struct slice why)
{
	if (import->n_failed++ == 0)
		import->exit = exit;
	reply_text(import->command, "%s: %.*s", where, SLICE_ARG(why));
}

/* The whole file; wiped with the buffer. False: told. */
static bool
read_pem(struct import *import, const char *path, char *buffer,
	struct slice *out)
{
	FILE *file = fopen(path, "re");
	size_t n;

	if (file == NULL) {
		tell_failure(import, COMMAND_EXIT_NOT_FOUND, path,
			slice_of(strerror(errno)));
		return false;
	}
	n = fread(buffer, 1, CRYPTO_PEM_MAX, file);
	(void)fclose(file);
	*out = (struct slice){ buffer, n };
	if (n < CRYPTO_PEM_MAX && slice_is_utf8(*out))
		return true;
	tell_failure(import, COMMAND_EXIT_USAGE, path,
		SLICE("it is no private key in PEM"));
	return false;
}

static void
import_file(struct import *import, struct slice domain, struct slice selector,
	const char *path)
{
	struct command_request request = {
		.row = &command_table[COMMAND_dkim_store],
	};
	struct answer answer = { .arena = import->command->arena };
	char buffer[CRYPTO_PEM_MAX];
	struct slice pem;
	int exit;

	if (!read_pem(import, path, buffer, &pem))
		return;
	set_argument(&request, "domain", domain);
	set_argument(&request, "selector", selector);
	set_argument(&request, "pem", pem);
	exit = ask(&import->client, &request, &answer);
	explicit_bzero(buffer, sizeof(buffer));
	if (exit != COMMAND_EXIT_DONE) {
		tell_failure(import, exit, path, answer.error);
		return;
	}
	import->n_done++;
	reply_text(import->command, "%.*s", SLICE_ARG(answer.text));
}

/* The next text in quotes, of either kind. */
static bool
take_quoted(struct slice *rest, struct slice *out)
{
	size_t from = 0, to;

	while (from < rest->len && rest->ptr[from] != '\'' &&
		rest->ptr[from] != '"')
		from++;
	for (to = from + 1; to < rest->len; to++) {
		if (rest->ptr[to] != rest->ptr[from])
			continue;
		*out = slice_part(*rest, from + 1, to);
		*rest = slice_from(*rest, to + 1);
		return true;
	}
	return false;
}

/* dkim_key('example.org', 'dkim', '/var/lib/dkim/example.org.pem'); */
static void
import_line(struct import *import, const char *where, struct slice line)
{
	struct slice domain, selector, path;

	line = slice_trim(line);
	if (!slice_starts(line, SLICE("dkim_key")))
		return;
	if (!take_quoted(&line, &domain) || !take_quoted(&line, &selector) ||
		!take_quoted(&line, &path))
		tell_failure(import, COMMAND_EXIT_USAGE, where,
			SLICE("a line of dkim_key without a domain, a "
			      "selector and a file in quotes"));
	else
		import_file(import, domain, selector,
			slice_copy(import->command->arena, path).ptr);
}

static void
import_amavis(struct import *import, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[LINE_BYTES_MAX];

	if (file == NULL) {
		tell_failure(import, COMMAND_EXIT_NOT_FOUND, path,
			slice_of(strerror(errno)));
		return;
	}
	while (fgets(line, sizeof(line), file) != NULL)
		import_line(import, path, slice_of(line));
	(void)fclose(file);
}

static void
import_iredmail(struct import *import, const char *directory)
{
	struct arena *arena = import->command->arena;
	DIR *entries = opendir(directory);
	const struct dirent *entry;

	if (entries == NULL) {
		tell_failure(import, COMMAND_EXIT_NOT_FOUND, directory,
			slice_of(strerror(errno)));
		return;
	}
	while ((entry = readdir(entries)) != NULL) {
		const struct slice name = slice_of(entry->d_name);
		const struct slice end = SLICE(".pem");

		if (slice_ends(name, end) && name.len > end.len)
			import_file(import,
				slice_part(name, 0, name.len - end.len),
				SLICE(IREDMAIL_SELECTOR),
				arena_printf(arena, "%s/%s", directory,
					entry->d_name));
	}
	(void)closedir(entries);
}

static bool
is_given(const struct command *command, const char *argument)
{
	return command_argument_is_given(&command->request, argument);
}

/* False: what is to be imported was not said. */
static bool
import_all(struct import *import)
{
	struct command *command = import->command;

	if (is_given(command, "amavis"))
		import_amavis(import,
			slice_copy(command->arena, text_of(command, "amavis"))
				.ptr);
	else if (is_given(command, "iredmail"))
		import_iredmail(import,
			is_given(command, "directory")
				? slice_copy(command->arena,
					  text_of(command, "directory"))
					  .ptr
				: IREDMAIL_DIRECTORY);
	else if (is_given(command, "file"))
		import_file(import, text_of(command, "domain"),
			text_of(command, "selector"),
			slice_copy(command->arena, text_of(command, "file"))
				.ptr);
	else
		return false;
	return true;
}

void
command_dkim_import(struct command *command)
{
	struct import import = { .command = command };

	if (!open_client(command, &import.client))
		return;
	if (!import_all(&import))
		reply_error(command, COMMAND_EXIT_USAGE,
			"what? DOMAIN SELECTOR FILE, --amavis FILE, or "
			"--iredmail");
	else if (import.n_failed > 0)
		reply_error(command, (enum command_exit)import.exit,
			"%u keys were taken over, %u were not", import.n_done,
			import.n_failed);
	else if (import.n_done == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"there was no key to take over");
	else
		reply_end(command, COMMAND_EXIT_DONE);
}
