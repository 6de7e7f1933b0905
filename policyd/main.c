#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/str.h"
#include "policyd/config.h"
#include "policyd/supervisor.h"
#include "policyd/version.h"

/* Exit status for a configuration or a command line that is wrong. */
#define EXIT_USAGE 2

struct options {
	const char *config_path;
	bool is_foreground;
	bool is_check;
};

static void
usage(FILE *out)
{
	fputs("usage: policyd [--config FILE] [--foreground] [--check]\n"
	      "       policyd --version | --help\n",
		out);
}

/* Returns -1 to go on, else the exit status. */
static int
read_options(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:fkVh", known, NULL)) != -1)
		switch (option) {
		case 'c':
			out->config_path = optarg;
			break;
		case 'f':
			out->is_foreground = true;
			break;
		case 'k':
			out->is_check = true;
			break;
		case 'V':
			puts("policyd " POLICYD_VERSION);
			return EX_OK;
		case 'h':
			usage(stdout);
			return EX_OK;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	if (optind == argc)
		return -1;
	fprintf(stderr, "policyd: \"%s\" is not an option\n", argv[optind]);
	usage(stderr);
	return EXIT_USAGE;
}

/*
 * The path from the root, in out: in the background the daemon works there,
 * and has to find the file again at a reload.
 */
static const char *
absolute_path(const char *path, struct str *out)
{
	char directory[PATH_MAX];

	if (path[0] == '/' || getcwd(directory, sizeof(directory)) == NULL)
		return path;
	str_printf(out, "%s/%s", directory, path);
	return str_text(out);
}

static struct config *
load(const char *path)
{
	struct config_errors errors = { NULL, 0 };
	struct config *config = config_load(path, &errors);

	if (config != NULL && config_read_secrets(config, &errors) < 0) {
		config_unref(config);
		config = NULL;
	}
	for (size_t i = 0; i < errors.n; i++) {
		if (errors.items[i].line > 0)
			fprintf(stderr, "%s:%u: %s\n", path,
				errors.items[i].line, errors.items[i].text);
		else
			fprintf(stderr, "%s: %s\n", path, errors.items[i].text);
	}
	config_errors_free(&errors);
	return config;
}

int
main(int argc, char **argv)
{
	struct options options = { .config_path = POLICYD_CONFIG };
	const int early = read_options(argc, argv, &options);
	struct config *config;
	struct str path;

	if (early >= 0)
		return early;
	str_init(&path, 2 * PATH_MAX);
	config = load(absolute_path(options.config_path, &path));
	str_free(&path);
	if (config == NULL)
		return EXIT_USAGE;
	if (options.is_check) {
		printf("%s: no errors\n", options.config_path);
		config_unref(config);
		return EX_OK;
	}
	return supervisor_run(config, options.is_foreground);
}
