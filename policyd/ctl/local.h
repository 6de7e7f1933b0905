#ifndef POLICYD_CTL_LOCAL_H
#define POLICYD_CTL_LOCAL_H

/*
 * Commands that policyctl carries out by itself. They write their replies as
 * the daemon does (commands/reply.h), so that both are printed alike.
 */

struct command;
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

/* The usage of policyctl as a whole. */
void local_print_usage(void);

#endif
