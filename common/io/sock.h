#ifndef COMMON_IO_SOCK_H
#define COMMON_IO_SOCK_H

/*
 * Addresses of sockets as the configuration writes them
 *	inet:127.0.0.1:7777   inet:[::1]:7777   unix:/run/policyd/policy
 * and listening on them. Only numeric addresses: no name is looked up.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/str.h"

struct loop;
struct listener;

#define SOCK_ADDRESS_MAX 128

struct sock_address {
	char text[SOCK_ADDRESS_MAX]; /* as written, for messages */
	bool is_unix;
	int port;      /* inet */
	char host[64]; /* inet, numeric, without brackets */
	/* unix; one in the abstract namespace (unix(7)) begins with a NUL */
	char path[108];
};

/* 0, or -1 and *err (a static text that says what was expected). */
int sock_parse(struct slice text, struct sock_address *out, const char **err);

/*
 * Binds and listens; close-on-exec and non-blocking. A unix socket that
 * nobody listens on any more is replaced; it gets mode and, unless -1, the
 * group gid. Returns the descriptor, or -1 and a full sentence in err.
 */
int sock_listen(const struct sock_address *address, mode_t mode, gid_t gid,
	char *err, size_t err_size);
/*
 * Listens on a unix socket without a file, at an address that the kernel
 * chooses, for processes that are told it. Returns the descriptor and where it
 * is, or -1 and a sentence in err.
 */
int sock_listen_private(struct sock_address *out, char *err, size_t err_size);
/*
 * Whether who has connected to a unix socket was root then, has our own user,
 * or this one: an address without a file has no permissions.
 */
bool sock_peer_is_one_of_us(int fd, uid_t user);
/*
 * Begins to connect without waiting; -1 with errno set. Whether it succeeds
 * shows when the descriptor is read from or written to (stream.h).
 */
int sock_connect_begin(const struct sock_address *address);
/* Blocking connect for programs such as policyctl; -1 with errno set. */
int sock_connect(const struct sock_address *address);

/*
 * Accepts on a listening descriptor (not owned). Each new connection is
 * non-blocking and handed to fn. When the process is out of descriptors it
 * pauses for a second instead of spinning.
 */
typedef void listener_fn(void *arg, int fd);
struct listener *listener_new(struct loop *loop, int fd, listener_fn *fn,
	void *arg);
void listener_free(struct listener *listener);

#endif
