#ifndef POLICYD_CTL_CLIENT_H
#define POLICYD_CTL_CLIENT_H

/*
 * Asking the daemon: finds its control sockets, sends a request, hands every
 * line of the reply to the output. It waits; policyctl has nothing else to
 * do.
 */

#include "common/io/sock.h"
#include "policyd/ctl/command_table.h"

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
 * Runs a command of the daemon, on all its processes where that is needed.
 * Returns the exit status.
 */
int client_run(struct client *client, const struct command_request *request);
/*
 * Asks in silence for one field of a reply. out is "" when the daemon does
 * not answer.
 */
void client_ask_text(struct client *client,
	const struct command_request *request, const char *key, char *out,
	size_t size);

#endif
