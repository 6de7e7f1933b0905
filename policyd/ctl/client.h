#ifndef POLICYD_CTL_CLIENT_H
#define POLICYD_CTL_CLIENT_H

/*
 * Asking the daemon: finds its control sockets, sends a request, hands every
 * line of the reply to the output. It waits; policyctl has nothing else to
 * do.
 */

#include "common/io/sock.h"
#include "policyd/ctl/command_table.h"

struct config;
struct json;
struct output;

struct client {
	struct sock_address control; /* of the first process */
	struct output *output;
};

/*
 * The control socket: path when it is given (with or without "unix:"), else
 * what the configuration file says, also if there are mistakes in the file,
 * else the default. 0, or -1 and the output was told.
 */
int client_init(struct client *client, struct output *output, const char *path,
	const char *config_path);
/*
 * What can be understood of a configuration file with mistakes: "policyctl
 * reload" has to reach the daemon to be told of them. The defaults when it
 * cannot be read; NULL when it makes no sense at all.
 */
struct config *client_salvage_config(const char *path);
/*
 * Runs a command of the daemon, on all its processes where that is needed.
 * Returns the exit status.
 */
int client_run(struct client *client, const struct command_request *request);
/*
 * Asks one process in silence; take (may be NULL) is called with each part
 * of the reply. Returns the exit status of the reply, or
 * COMMAND_EXIT_UNREACHABLE with errno (0: it broke off).
 */
int client_ask_quietly(struct client *client, unsigned process,
	const struct command_request *request,
	void (*take)(void *arg, const struct json *part, struct slice line),
	void *arg);
/* Says why the daemon cannot be reached. */
void client_tell_unreachable(struct client *client, int error);

/*
 * "explain": every process remembers its own decisions, so all are asked.
 * The newest that was no plain "yes" is shown in full, others in short.
 */
int client_explain(struct client *client,
	const struct command_request *request);

#endif
