#include "policyd/key_server.h"

#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/sock.h"
#include "common/io/stream.h"
#include "policyd/dkim_keys.h"
#include "policyd/sources.h"
#include "policyd/worker.h"

/* Two short lines. */
#define QUESTION_MAX 1024
/* Of DKIM_KEYS_MAX keys, in base64; an RSA key of 4096 bits has 3300 bytes. */
#define ANSWER_MAX ((size_t)128 << 10)
/* The milter has a bounded number of connections to all processes. */
#define CONNECTIONS_MAX 256u
/* A key that does not open is told of so often. */
#define COMPLAIN_US (INT64_C(60) * 1000000)

struct entrance {
	struct key_server *server;
	struct worker_socket socket;
	struct listener *listener;
};

struct conn {
	LIST_ENTRY(conn) entry;
	struct key_server *server;
	struct stream *stream;
	struct dkim_keys_query *query; /* NULL while none is under way */
	bool is_awaited;               /* paused until the query is answered */
	bool is_last;                  /* finish after the answer */
};

struct key_server {
	struct sources *sources;
	struct entrance *entrances;
	size_t n_entrances;
	LIST_HEAD(, conn) conns;
	size_t n_conns;
	int64_t complained_us;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* --- connections -------------------------------------------------------- */

static void
conn_free(struct conn *conn)
{
	struct key_server *server = conn->server;

	if (conn->query != NULL)
		dkim_keys_cancel(conn->query);
	stream_free(conn->stream);
	LIST_REMOVE(conn, entry);
	server->n_conns--;
	x_free(conn);
	if (server->n_conns == 0 && server->drained != NULL)
		server->drained(server->drained_arg);
}

static void
on_end(void *arg, enum stream_end why)
{
	(void)why;
	conn_free(arg);
}

/* --- answers ------------------------------------------------------------ */

/* Holds keys, and is wiped. */
static void
send_answer(struct conn *conn, struct str *answer)
{
	str_append_char(answer, '\n');
	stream_write(conn->stream, str_slice(answer));
	if (answer->data != NULL)
		explicit_bzero(answer->data, answer->size);
	str_free(answer);
	if (conn->is_last || conn->server->drained != NULL)
		stream_finish(conn->stream);
}

static void
answer_error(struct conn *conn, const char *error)
{
	struct str answer;

	str_init(&answer, ANSWER_MAX);
	str_append_text(&answer, "error=");
	for (; *error != '\0'; error++)
		str_append_char(&answer, *error == '\n' ? ' ' : *error);
	str_append_char(&answer, '\n');
	send_answer(conn, &answer);
}

static void
complain(struct key_server *server, const struct dkim_key_row *row,
	const char *err)
{
	const int64_t now_us = clock_monotonic_us();

	if (server->complained_us != 0 &&
		now_us - server->complained_us < COMPLAIN_US)
		return;
	server->complained_us = now_us;
	log_error("the key %.*s of %.*s cannot sign: %s",
		SLICE_ARG(row->selector), SLICE_ARG(row->domain), err);
}

static bool
append_key(struct key_server *server, const struct dkim_key_row *row,
	struct str *out)
{
	const char *err = "";
	size_t len;
	char *pem = dkim_keys_open(server->sources->config, row->domain,
		row->selector, row->sealed, &len, &err);

	if (pem == NULL) {
		complain(server, row, err);
		return false;
	}
	str_append_text(out, "key=");
	str_append_slice(out, row->domain);
	str_append_char(out, ' ');
	str_append_slice(out, row->selector);
	str_append_char(out, ' ');
	crypto_append_base64(out, pem, len);
	str_append_char(out, '\n');
	x_free_secret(pem, len);
	return true;
}

/*
 * It grows within what it was given at first, so that no copy of a key is left
 * behind in memory that was given back.
 */
static void
reserve(struct str *out)
{
	str_init(out, ANSWER_MAX);
	out->data = x_calloc(1, ANSWER_MAX + 1);
	out->size = ANSWER_MAX + 1;
}

static void
on_found(void *arg, const struct dkim_key_row *rows, size_t n,
	const char *error)
{
	struct conn *conn = arg;
	struct str answer;
	size_t n_keys = 0;

	conn->query = NULL;
	stream_resume(conn->stream);
	conn->is_awaited = false;
	if (error != NULL) {
		answer_error(conn, error);
		return;
	}
	reserve(&answer);
	for (size_t i = 0; i < n; i++)
		n_keys += append_key(conn->server, &rows[i], &answer);
	if (n > 0 && n_keys == 0) {
		str_free(&answer);
		answer_error(conn, "no key of the domain opens");
	} else {
		send_answer(conn, &answer);
	}
}

/* --- questions ---------------------------------------------------------- */

/* The domain that is asked for; "" when the question makes no sense. */
static struct slice
read_question(struct slice text)
{
	struct slice line, domain = SLICE("");
	bool is_ours = false;

	while (slice_split(&text, '\n', &line)) {
		is_ours |= slice_eq_text(line, "request=dkim_keys");
		if (slice_starts(line, SLICE("domain=")))
			domain = slice_from(line, strlen("domain="));
	}
	return is_ours ? domain : SLICE("");
}

static void
refuse(struct conn *conn)
{
	log_warning("a question for keys that makes no sense: connection "
		    "closed");
	stream_finish(conn->stream);
}

/* The answer may be there at once; else no input is read until it is. */
static void
ask(struct conn *conn, struct slice domain)
{
	const char *error;
	struct str none;

	conn->query = dkim_keys_find(conn->server->sources->dkim_keys, domain,
		&error, on_found, conn);
	if (conn->query != NULL) {
		conn->is_awaited = true;
		return;
	}
	if (error != NULL) {
		answer_error(conn, error);
		return;
	}
	str_init(&none, ANSWER_MAX);
	send_answer(conn, &none);
}

static void
on_input(void *arg)
{
	struct conn *conn = arg;

	while (!conn->is_awaited) {
		const struct slice input = stream_input(conn->stream);
		const char *end = input.len == 0 ? NULL
						 : memmem(input.ptr, input.len,
							   "\n\n", 2);
		struct slice domain;
		size_t len;

		if (end == NULL) {
			if (stream_is_full(conn->stream))
				refuse(conn);
			return;
		}
		len = (size_t)(end - input.ptr) + 2;
		domain = read_question(slice_part(input, 0, len));
		if (domain.len == 0) {
			refuse(conn);
			return;
		}
		ask(conn, domain);
		stream_use(conn->stream, len);
	}
	stream_pause(conn->stream);
}

static const struct stream_config stream_config = {
	.input_max = QUESTION_MAX,
	.output_max = 2 * ANSWER_MAX,
	/* The milter keeps idle connections, and ends them. */
	.idle_ms = 0,
	.on_input = on_input,
	.on_end = on_end,
};

/* --- the server --------------------------------------------------------- */

static void
on_accept(void *arg, int fd)
{
	const struct entrance *entrance = arg;
	struct key_server *server = entrance->server;
	struct conn *conn;

	if (!sock_peer_is_one_of_us(fd, entrance->socket.milter_uid) ||
		server->n_conns >= CONNECTIONS_MAX) {
		close(fd);
		log_warning("a connection for keys was refused: it is a "
			    "stranger's, or one too many");
		return;
	}
	conn = x_new(struct conn);
	conn->server = server;
	conn->stream =
		stream_new(server->sources->loop, fd, &stream_config, conn);
	LIST_INSERT_HEAD(&server->conns, conn, entry);
	server->n_conns++;
}

static void
open_entrance(struct key_server *server, const struct worker_socket *socket)
{
	struct entrance *entrance = &server->entrances[server->n_entrances++];

	entrance->server = server;
	entrance->socket = *socket;
	entrance->listener = listener_new(server->sources->loop, socket->fd,
		on_accept, entrance);
}

struct key_server *
key_server_new(struct sources *sources, const struct worker_socket *sockets,
	size_t n_sockets)
{
	struct key_server *server = x_new(struct key_server);

	server->sources = sources;
	LIST_INIT(&server->conns);
	server->entrances = x_new_array(n_sockets, struct entrance);
	for (size_t i = 0; i < n_sockets; i++)
		if (sockets[i].use == WORKER_SOCKET_KEYS)
			open_entrance(server, &sockets[i]);
	return server;
}

static void
stop_listening(struct key_server *server)
{
	for (size_t i = 0; i < server->n_entrances; i++)
		listener_free(server->entrances[i].listener);
	server->n_entrances = 0;
}

void
key_server_drain(struct key_server *server, void (*drained)(void *arg),
	void *arg)
{
	struct conn *conn;

	stop_listening(server);
	if (server->n_conns == 0) {
		drained(arg);
		return;
	}
	server->drained = drained;
	server->drained_arg = arg;
	LIST_FOREACH(conn, &server->conns, entry)
	{
		conn->is_last = true;
		if (!conn->is_awaited)
			stream_finish(conn->stream);
	}
}

void
key_server_free(struct key_server *server)
{
	if (server == NULL)
		return;
	stop_listening(server);
	server->drained = NULL;
	while (!LIST_EMPTY(&server->conns))
		conn_free(LIST_FIRST(&server->conns));
	x_free(server->entrances);
	x_free(server);
}
