#ifndef POLICYD_CTL_LOCAL_H
#define POLICYD_CTL_LOCAL_H

/*
 * Commands that policyctl carries out by itself. They write their replies as
 * the daemon does (commands/reply.h), so that both are printed alike.
 */

#include <stdbool.h>

struct command;
struct config;
struct config_errors;
struct output;

struct local {
	struct output *output;
	const char *config_path;
	const char *socket_path; /* NULL: from the configuration */
	int exit;
};

/* command->data is a struct local. Returns the exit status. */
int local_run(struct command *command);

/* A part of a reply: the mistakes in the configuration file called path. */
void local_reply_errors(struct command *command, const char *path,
	const struct config_errors *errors);

/*
 * The configuration file, with its passwords if they are needed. NULL: the
 * command was ended.
 */
struct config *local_load_config(struct command *command, bool needs_secrets);
/*
 * The first line of the file that --password-file names, to be freed with
 * x_free_secret(); NULL when there is no such option. False: the command was
 * ended.
 */
bool local_read_password(struct command *command, char **out);

/* The usage of policyctl as a whole. */
void local_print_usage(void);

#endif
