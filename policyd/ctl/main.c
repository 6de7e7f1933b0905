/* policyctl: shows and changes what policyd does. */

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/ctl/client.h"
#include "policyd/ctl/command_table.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/output.h"
#include "policyd/version.h"

struct options {
	const char *config_path, *socket_path;
	bool is_json, is_help, is_version;
	const char **words; /* all others */
	size_t n_words;
};

/* The value of "--name VALUE" or "--name=VALUE" at *i; NULL for others. */
static const char *
option_value(int argc, char **argv, int *i, const char *name)
{
	const size_t len = strlen(name);
	const char *argument = argv[*i];

	if (strncmp(argument, name, len) != 0)
		return NULL;
	if (argument[len] == '=')
		return argument + len + 1;
	if (argument[len] != '\0' || *i + 1 >= argc)
		return NULL;
	return argv[++*i];
}

/* Takes the options of policyctl itself, wherever they stand. */
static void
read_options(int argc, char **argv, struct options *out)
{
	bool is_literal = false;
	const char *value;

	out->words = x_new_array((size_t)argc, const char *);
	for (int i = 1; i < argc; i++) {
		const char *argument = argv[i];

		is_literal |= strcmp(argument, "--") == 0;
		if (is_literal)
			out->words[out->n_words++] = argument;
		else if (strcmp(argument, "--json") == 0)
			out->is_json = true;
		else if (strcmp(argument, "--help") == 0 ||
			 strcmp(argument, "-h") == 0)
			out->is_help = true;
		else if (strcmp(argument, "--version") == 0)
			out->is_version = true;
		else if ((value = option_value(argc, argv, &i, "--config")) !=
			 NULL)
			out->config_path = value;
		else if ((value = option_value(argc, argv, &i, "--socket")) !=
			 NULL)
			out->socket_path = value;
		else
			out->words[out->n_words++] = argument;
	}
}

static int
run_local(const struct options *options, struct output *output,
	const struct command_request *request)
{
	struct local local = {
		.output = output,
		.config_path = options->config_path,
		.socket_path = options->socket_path,
	};
	struct command command = { .request = *request, .data = &local };

	return local_run(&command);
}

static int
run(const struct options *options, const struct command_request *request)
{
	const bool is_stream =
		request->row->effect == COMMAND_STREAMS ||
		(request->row->id == COMMAND_stats && request->is_given[0]);
	struct output output;
	struct client client;
	int status;

	output_init(&output, options->is_json, is_stream);
	if (request->row->where == COMMAND_LOCAL)
		status = run_local(options, &output, request);
	else if (client_init(&client, &output, options->socket_path,
			 options->config_path) < 0)
		status = COMMAND_EXIT_USAGE;
	else
		status = client_run(&client, request);
	output_free(&output);
	return status;
}

/* "--help" behind some words is "help" before them. */
static void
ask_for_help(struct options *options)
{
	size_t n_used;

	if (command_find(options->words, options->n_words, &n_used) != NULL)
		options->n_words = n_used;
	memmove(options->words + 1, options->words,
		options->n_words * sizeof(options->words[0]));
	options->words[0] = "help";
	options->n_words++;
	if (options->n_words > 1 + COMMAND_WORDS_MAX)
		options->n_words = 1 + COMMAND_WORDS_MAX;
}

static int
fail(const struct options *options, const char *err)
{
	struct output output;

	output_init(&output, options->is_json, false);
	output_error(&output, COMMAND_EXIT_USAGE, "%s", err);
	output_free(&output);
	return COMMAND_EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	struct options options = { .config_path = POLICYD_CONFIG };
	struct command_request request;
	char err[COMMAND_ERROR_MAX];
	int status;

	(void)setlocale(LC_CTYPE, "");
	read_options(argc, argv, &options);
	if (options.is_version)
		options.words[0] = "version";
	if (options.is_version)
		options.n_words = 1;
	if (options.is_help)
		ask_for_help(&options);
	if (options.n_words == 0) {
		local_print_usage();
		status = COMMAND_EXIT_USAGE;
	} else if (command_parse_words(options.words, options.n_words, &request,
			   err, sizeof(err)) < 0) {
		status = fail(&options, err);
	} else {
		status = run(&options, &request);
	}
	x_free(options.words);
	return status;
}
