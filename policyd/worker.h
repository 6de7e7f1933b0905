#ifndef POLICYD_WORKER_H
#define POLICYD_WORKER_H

/*
 * A policy process: one event loop that answers policy requests and control
 * commands.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/str.h"

struct config;
struct worker;

/* A listening socket, and what is asked there. */
enum worker_socket_use {
	WORKER_SOCKET_POLICY,
	WORKER_SOCKET_SRS_FORWARD,
	WORKER_SOCKET_SRS_REVERSE,
	WORKER_SOCKET_SRS_SOCKETMAP,
	WORKER_SOCKET_MILTER, /* of the milter process */
	WORKER_SOCKET_KEYS,   /* keys of DKIM; private */
	WORKER_SOCKET_COUNT
};

struct worker_socket {
	enum worker_socket_use use;
	int fd;
	/* Only for processes of policyd: sock_peer_is_one_of_us(). */
	bool is_private;
	uid_t milter_uid; /* of a private one: whose milter it is */
};

struct worker_start {
	struct config *config; /* one reference is taken over */
	unsigned process;      /* 0 .. policy_processes-1 */
	const struct worker_socket *sockets;
	size_t n_sockets;
	int control_fd;
	int channel_fd; /* to the supervisor */
};

/* Runs until SIGTERM and drained, or the supervisor is gone. Exit status. */
int worker_run(const struct worker_start *start);

/*
 * Asks the supervisor for a reload. done is called once from the loop with
 * what came of it: remarks, or the errors of the file.
 */
typedef void worker_reloaded_fn(void *arg, bool is_done, struct slice text);
void worker_reload(struct worker *worker, worker_reloaded_fn *done, void *arg);
/* Lets the other processes read the tables again, too. */
void worker_tell_change(struct worker *worker);

#endif
