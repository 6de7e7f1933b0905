#ifndef POLICYD_POLICY_SERVER_H
#define POLICYD_POLICY_SERVER_H

/*
 * The Postfix policy delegation protocol (SMTPD_POLICY_README): a request is
 * lines of name=value ended by an empty line, the answer is "action=..." and
 * an empty line. Exactly one answer for each whole request, in order; none
 * for anything else: a malformed request closes the connection, which is
 * what Postfix asks for (it answers its client 451 4.3.5 and tries again).
 *
 * The milter asks in the same way on a private socket, of its own messages.
 * Its requests have bounds of their own, and its connections, of which it has a
 * bounded number, do not take away any of those for Postfix.
 */

#include <stdbool.h>
#include <stddef.h>

struct policy_server;
struct sources;
struct worker_socket;

/* Listens on those of the sockets that are for it; they are not closed. */
struct policy_server *policy_server_new(struct sources *sources,
	const struct worker_socket *sockets, size_t n_sockets);
/* Drops every connection; decisions in flight are abandoned. */
void policy_server_free(struct policy_server *server);
/*
 * Takes no new connections, closes idle ones, and the others as soon as
 * their request is answered; drained is called when none is left.
 */
void policy_server_drain(struct policy_server *server,
	void (*drained)(void *arg), void *arg);
/* New connections get the limits of the configuration now in force. */
void policy_server_configure(struct policy_server *server);

#endif
