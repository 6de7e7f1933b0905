#ifndef POLICYD_LISTENING_H
#define POLICYD_LISTENING_H

/*
 * The sockets on which Postfix asks. The supervisor binds them while it may,
 * as the configuration says at the start (a reload may write others), and
 * keeps them open for the processes to come. With a milter there are two
 * private sockets beside them, on which it asks the policy processes.
 */

#include <sys/types.h>

#include "policyd/worker.h"

struct config;
struct sock_address;

struct listening {
	struct worker_socket *sockets;
	struct sock_address *addresses; /* of the sockets */
	size_t n;
};

/*
 * milter_uid is the user that the milter gets. 0, or -1 after it has logged
 * why; what was bound till then stays.
 */
int listening_open(struct listening *listening, const struct config *config,
	uid_t milter_uid);
/* Where the private socket of a use is; NULL if there is none. */
const struct sock_address *listening_private(const struct listening *listening,
	enum worker_socket_use use);
/* Closes them for everybody, and removes those of the file system. */
void listening_close(struct listening *listening);
/* In a process: closes those that are not for it, which stay open elsewhere. */
void listening_keep(struct listening *listening, bool for_milter);
/* The memory alone: what a process does that has inherited them. */
void listening_free(struct listening *listening);

/*
 * Binds one socket, in a directory that is made if it is missing. The
 * descriptor, or -1 after it has logged why. gid -1: the process' own.
 */
int listening_bind(const struct sock_address *address, mode_t mode, gid_t gid);

#endif
