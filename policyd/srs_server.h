#ifndef POLICYD_SRS_SERVER_H
#define POLICYD_SRS_SERVER_H

/*
 * Where Postfix asks for rewritten senders: sockets that speak tcp_table(5),
 * one to encode and one to decode, and sockets that speak socketmap_table(5)
 * with the maps "forward" and "reverse". One answer for each request, in
 * order and at once; a connection whose input makes no sense is closed.
 */

#include <stddef.h>

struct sources;
struct srs_server;
struct worker_socket;

/* Listens on those of the sockets that are for SRS; they are not closed. */
struct srs_server *srs_server_new(struct sources *sources,
	const struct worker_socket *sockets, size_t n_sockets);
void srs_server_free(struct srs_server *server);
/*
 * Takes no new connections and ends the others once they took their answers;
 * drained is called when none is left.
 */
void srs_server_drain(struct srs_server *server, void (*drained)(void *arg),
	void *arg);
/* New connections get the limits of the configuration now in force. */
void srs_server_configure(struct srs_server *server);

#endif
