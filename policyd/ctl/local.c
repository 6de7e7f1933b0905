#include "policyd/ctl/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/config.h"
#include "policyd/ctl/client.h"
#include "policyd/ctl/output.h"
#include "policyd/json.h"
#include "policyd/version.h"

#define PASSWORD_MAX 1024

static command_fn *const handlers[COMMAND_COUNT] = {
#define HANDLER_DAEMON(id) NULL
#define HANDLER_LOCAL(id)  command_##id
#define COMMAND(id, words, where, effect, arguments, summary) \
	[COMMAND_##id] = HANDLER_##where(id),
#include "policyd/ctl/commands.def"
#undef COMMAND
};

static void
on_reply(void *conn, struct slice line, bool is_last)
{
	struct local *local = conn;

	(void)is_last;
	line = slice_part(line, 0, line.len - 1);
	(void)output_line(local->output, line, &local->exit);
}

int
local_run(struct command *command)
{
	struct local *local = command->data;

	command->conn = local;
	command->send = on_reply;
	command->arena = arena_new(COMMAND_ARENA_MAX);
	str_init(&command->line, COMMAND_REPLY_MAX);
	handlers[command->request.row->id](command);
	str_free(&command->line);
	arena_free(command->arena);
	return local->exit;
}

/* --- config check ------------------------------------------------------- */

static const char *
config_path(struct command *command)
{
	const struct local *local = command->data;
	struct slice path;

	if (!command_argument(&command->request, "file", &path))
		return local->config_path;
	return slice_copy(command->arena, path).ptr;
}

void
local_reply_errors(struct command *command, const char *path,
	const struct config_errors *errors)
{
	static const struct reply_column columns[] = {
		{ "where", "Where", REPLY_TEXT },
		{ "text", "What is wrong", REPLY_TEXT },
	};

	reply_table(command, NULL, NULL, columns, 2);
	for (size_t i = 0; i < errors->n; i++) {
		const struct config_error *error = &errors->items[i];

		reply_row(command);
		reply_value(command,
			slice_of(error->line == 0
					 ? path
					 : arena_printf(command->arena, "%s:%u",
						   path, error->line)));
		reply_value(command, slice_of(error->text));
	}
	reply_part_end(command);
}

static void
remark_password(struct command *command, const char *path)
{
	if (path == NULL || path[0] == '\0' || access(path, R_OK) == 0)
		return;
	reply_text(command,
		"remark: this user cannot read %s (%s); the daemon reads it "
		"before it gives up root",
		path, strerror(errno));
}

static void
remark_passwords(struct command *command, const struct config *config)
{
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		remark_password(command, config->db[i].password_file);
	remark_password(command, config->notify.password_file);
	remark_password(command, config->srs.secrets_file);
	remark_password(command, config->dkim.master_key_file);
}

void
command_config_check(struct command *command)
{
	struct config_errors errors = { NULL, 0 };
	const char *path = config_path(command);
	struct config *config = config_load(path, &errors);

	if (config == NULL) {
		local_reply_errors(command, path, &errors);
		reply_end(command, COMMAND_EXIT_USAGE);
	} else {
		remark_passwords(command, config);
		reply_text(command, "%s: no mistakes", path);
		reply_end(command, COMMAND_EXIT_DONE);
	}
	config_unref(config);
	config_errors_free(&errors);
}

/* --- srs new-key -------------------------------------------------------- */

void
command_srs_new_key(struct command *command)
{
	unsigned char bytes[24];
	char text[CRYPTO_BASE64_SIZE(sizeof(bytes))];

	crypto_random(bytes, sizeof(bytes));
	crypto_base64(bytes, sizeof(bytes), text);
	reply_text(command, "%s", text);
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- for other commands ------------------------------------------------- */

struct config *
local_load_config(struct command *command, bool needs_secrets)
{
	const struct local *local = command->data;
	struct config_errors errors = { NULL, 0 };
	struct config *config = config_load(local->config_path, &errors);

	if (config != NULL && needs_secrets &&
		config_read_secrets(config, &errors) < 0) {
		config_unref(config);
		config = NULL;
	}
	if (config == NULL) {
		local_reply_errors(command, local->config_path, &errors);
		reply_end(command, COMMAND_EXIT_USAGE);
	}
	config_errors_free(&errors);
	return config;
}

bool
local_read_password(struct command *command, char **out)
{
	char line[PASSWORD_MAX] = "";
	struct slice path;
	FILE *file;

	*out = NULL;
	if (!command_argument(&command->request, "password_file", &path))
		return true;
	file = fopen(slice_copy(command->arena, path).ptr, "re");
	if (file == NULL || fgets(line, sizeof(line), file) == NULL) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--password-file %.*s: %s", SLICE_ARG(path),
			file == NULL ? strerror(errno) : "it is empty");
		if (file != NULL)
			fclose(file);
		return false;
	}
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	*out = x_strdup(line);
	explicit_bzero(line, sizeof(line));
	return true;
}

/* --- version ------------------------------------------------------------ */

struct version {
	struct arena *arena;
	struct slice text;
};

static void
take_version(void *arg, const struct json *part, struct slice line)
{
	const struct json *fields = json_member(part, "fields");
	struct version *version = arg;

	(void)line;
	for (size_t i = 0; i < json_length(fields); i++) {
		const struct json *field = json_element(fields, i);

		if (slice_eq_text(json_member_text(field, "key"), "policyd"))
			version->text = slice_copy(version->arena,
				json_member_text(field, "value"));
	}
}

void
command_version(struct command *command)
{
	const struct local *local = command->data;
	const struct command_request request = {
		.row = &command_table[COMMAND_daemon_version],
	};
	struct version version = { command->arena, SLICE("") };
	struct client client;

	if (client_init(&client, local->output, local->socket_path,
		    local->config_path) < 0) {
		reply_end(command, COMMAND_EXIT_DONE);
		return;
	}
	(void)client_ask_quietly(&client, 0, &request, take_version, &version);
	reply_fields(command, NULL, NULL);
	reply_field(command, "policyctl", "policyctl", REPLY_TEXT);
	reply_value(command, slice_of(POLICYD_VERSION));
	reply_field(command, "policyd", "policyd", REPLY_TEXT);
	if (version.text.len > 0)
		reply_value(command, version.text);
	else
		reply_value(command, SLICE("does not answer"));
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- help --------------------------------------------------------------- */

#define USAGE_WIDTH 34

void
local_print_usage(void)
{
	puts("usage: policyctl [--json] [--config FILE] [--socket PATH] "
	     "COMMAND ...\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command_row *row = &command_table[i];

		if (row->summary[0] != '\0')
			printf("  %-*s%s\n", USAGE_WIDTH, row->words,
				row->summary);
	}
	puts("\n\"policyctl help COMMAND\" shows its arguments; "
	     "policyctl(1) tells all.");
}

/* Whether a command begins with all of these words. */
static bool
begins_with(const struct command_row *row, const char *const *words, size_t n)
{
	struct slice rest = slice_of(row->words), word;

	for (size_t i = 0; i < n; i++)
		if (!slice_split(&rest, ' ', &word) ||
			!slice_eq_text(word, words[i]))
			return false;
	return row->summary[0] != '\0';
}

static void
reply_help_table(struct command *command, const char *const *words, size_t n)
{
	static const struct reply_column columns[] = {
		{ "command", "Command", REPLY_TEXT },
		{ "arguments", "Arguments", REPLY_TEXT },
		{ "summary", "What it does", REPLY_TEXT },
	};

	reply_table(command, NULL, NULL, columns, 3);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command_row *row = &command_table[i];

		if (!begins_with(row, words, n))
			continue;
		reply_row(command);
		reply_value(command, slice_of(row->words));
		reply_value(command, slice_of(row->arguments));
		reply_value(command, slice_of(row->summary));
	}
	reply_part_end(command);
}

void
command_help(struct command *command)
{
	static const char *const arguments[COMMAND_WORDS_MAX] = { "command",
		"subcommand", "word" };
	const struct local *local = command->data;
	const char *words[COMMAND_WORDS_MAX];
	struct command_request ignored;
	char err[COMMAND_ERROR_MAX];
	bool is_any = false;
	struct slice value;
	size_t n = 0;

	for (size_t i = 0; i < COMMAND_WORDS_MAX; i++)
		if (command_argument(&command->request, arguments[i], &value))
			words[n++] = slice_copy(command->arena, value).ptr;
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		is_any |= begins_with(&command_table[i], words, n);
	if (!is_any) {
		(void)command_parse_words(words, n, &ignored, err, sizeof(err));
		reply_error(command, COMMAND_EXIT_USAGE, "%s", err);
		return;
	}
	if (n == 0 && !local->output->is_json)
		local_print_usage();
	else
		reply_help_table(command, words, n);
	reply_end(command, COMMAND_EXIT_DONE);
}
