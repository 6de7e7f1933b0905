#ifndef POLICYD_KEY_SERVER_H
#define POLICYD_KEY_SERVER_H

/*
 * Where the milter asks with which keys a message is signed: a private socket
 * that speaks as the policy protocol does,
 *	request=dkim_keys
 *	domain=example.org
 * and an empty line, answered with a line for each key and an empty line:
 *	key=example.org s202611r BASE64-OF-PEM
 * or with error=REASON. No key is no line. One question of a connection is
 * under way at a time.
 */

#include <stddef.h>

struct key_server;
struct sources;
struct worker_socket;

/* Listens on the sockets for keys, which are not closed. */
struct key_server *key_server_new(struct sources *sources,
	const struct worker_socket *sockets, size_t n_sockets);
void key_server_free(struct key_server *server);
/*
 * Takes no new connections and ends the others once they took their answers;
 * drained is called when none is left.
 */
void key_server_drain(struct key_server *server, void (*drained)(void *arg),
	void *arg);

#endif
