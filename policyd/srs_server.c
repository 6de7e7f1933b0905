#include "policyd/srs_server.h"

#include <sys/queue.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/sock.h"
#include "common/io/stream.h"
#include "policyd/sources.h"
#include "policyd/srs_look_up.h"
#include "policyd/worker.h"

#define OUTPUT_MAX            ((size_t)64 << 10)
#define ANSWER_MAX            4096
#define REFUSALS_LOGGED_EVERY 1000

/* What a socket is for. */
struct service {
	enum postfix_map_kind protocol;
	enum srs_direction direction; /* of tcp_table, which names no map */
};

static const struct service services[WORKER_SOCKET_COUNT] = {
	[WORKER_SOCKET_SRS_FORWARD] = { POSTFIX_MAP_TCP, SRS_FORWARD },
	[WORKER_SOCKET_SRS_REVERSE] = { POSTFIX_MAP_TCP, SRS_REVERSE },
	[WORKER_SOCKET_SRS_SOCKETMAP] = { POSTFIX_MAP_SOCKETMAP, SRS_FORWARD },
};

struct listening {
	struct srs_server *server;
	const struct service *service;
	struct listener *listener;
};

struct conn {
	LIST_ENTRY(conn) entry;
	struct srs_server *server;
	const struct service *service;
	struct stream *stream;
};

/* What streams keep a pointer to: one for each configuration in use. */
struct limits_kept {
	SLIST_ENTRY(limits_kept) entry;
	struct stream_config stream;
};

struct srs_server {
	struct sources *sources;
	struct listening *listening;
	size_t n_listening;
	LIST_HEAD(, conn) conns;
	size_t n_conns;
	uint64_t n_refused;
	SLIST_HEAD(, limits_kept) limits; /* the first is in force */
	struct arena *scratch;            /* of one request */
	void (*drained)(void *arg);
	void *drained_arg;
};

/* --- connections -------------------------------------------------------- */

static void
conn_free(struct conn *conn)
{
	struct srs_server *server = conn->server;

	stream_free(conn->stream);
	LIST_REMOVE(conn, entry);
	server->n_conns--;
	metric_sub(METRIC_SRS_CONNECTIONS, 1);
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

/* --- requests ----------------------------------------------------------- */

static bool
find_direction(const struct service *service, struct slice name,
	enum srs_direction *out)
{
	*out = service->direction;
	if (service->protocol == POSTFIX_MAP_TCP ||
		slice_eq_text(name, "forward"))
		return true;
	*out = SRS_REVERSE;
	return slice_eq_text(name, "reverse");
}

static struct srs_answer
answer(const struct conn *conn, struct slice request)
{
	struct srs_server *server = conn->server;
	struct srs_answer out = { POSTFIX_MAP_WRONG, SLICE("") };
	enum srs_direction direction;
	struct slice name;
	struct str key;

	str_init(&key, POSTFIX_MAP_INPUT_MAX);
	if (!postfix_map_read(conn->service->protocol, request, &name, &key))
		out.text = SLICE("Unexpected input");
	else if (!find_direction(conn->service, name, &direction))
		out.text = SLICE("The maps are forward and reverse.");
	else
		out = srs_look_up(server->sources, direction, str_slice(&key),
			server->scratch);
	str_free(&key);
	return out;
}

static void
serve(struct conn *conn, struct slice request)
{
	const struct srs_answer out = answer(conn, request);
	struct str bytes;

	str_init(&bytes, ANSWER_MAX);
	postfix_map_answer(conn->service->protocol, out.status, out.text,
		&bytes);
	stream_write(conn->stream, str_slice(&bytes));
	str_free(&bytes);
	arena_reset(conn->server->scratch);
}

static void
on_input(void *arg)
{
	struct conn *conn = arg;
	const char *err = "";
	struct slice request;
	ptrdiff_t len;

	while ((len = postfix_map_frame(conn->service->protocol,
			stream_input(conn->stream), &request, &err)) > 0) {
		serve(conn, request);
		stream_use(conn->stream, (size_t)len);
	}
	if (len == 0)
		return;
	metric_add(METRIC_SRS_MALFORMED, 1);
	log_warning("SRS request refused, connection closed: %s", err);
	stream_finish(conn->stream);
}

/* --- the server --------------------------------------------------------- */

static void
refuse_connection(struct srs_server *server, int fd)
{
	close(fd);
	metric_add(METRIC_SRS_REFUSED, 1);
	if (server->n_refused++ % REFUSALS_LOGGED_EVERY == 0)
		log_warning("SRS connection refused: %zu are open, which is "
			    "limits.connections",
			server->n_conns);
}

static void
on_accept(void *arg, int fd)
{
	const struct listening *listening = arg;
	struct srs_server *server = listening->server;
	struct conn *conn;

	if (server->n_conns >= server->sources->config->limits.connections) {
		refuse_connection(server, fd);
		return;
	}
	conn = x_new(struct conn);
	conn->server = server;
	conn->service = listening->service;
	conn->stream = stream_new(server->sources->loop, fd,
		&SLIST_FIRST(&server->limits)->stream, conn);
	LIST_INSERT_HEAD(&server->conns, conn, entry);
	server->n_conns++;
	metric_add(METRIC_SRS_CONNECTIONS, 1);
}

void
srs_server_configure(struct srs_server *server)
{
	struct limits_kept *limits = x_new(struct limits_kept);

	limits->stream.input_max = POSTFIX_MAP_INPUT_MAX;
	limits->stream.output_max = OUTPUT_MAX;
	limits->stream.idle_ms =
		server->sources->config->limits.idle_timeout_ms;
	limits->stream.on_input = on_input;
	limits->stream.on_end = on_end;
	SLIST_INSERT_HEAD(&server->limits, limits, entry);
}

static bool
is_of_srs(enum worker_socket_use use)
{
	return use == WORKER_SOCKET_SRS_FORWARD ||
	       use == WORKER_SOCKET_SRS_REVERSE ||
	       use == WORKER_SOCKET_SRS_SOCKETMAP;
}

struct srs_server *
srs_server_new(struct sources *sources, const struct worker_socket *sockets,
	size_t n_sockets)
{
	struct srs_server *server = x_new(struct srs_server);

	server->sources = sources;
	server->scratch = arena_new(SRS_LOOK_UP_MAX);
	LIST_INIT(&server->conns);
	SLIST_INIT(&server->limits);
	srs_server_configure(server);
	server->listening = x_new_array(n_sockets, struct listening);
	for (size_t i = 0; i < n_sockets; i++) {
		struct listening *one = &server->listening[server->n_listening];

		if (!is_of_srs(sockets[i].use))
			continue;
		one->server = server;
		one->service = &services[sockets[i].use];
		one->listener = listener_new(sources->loop, sockets[i].fd,
			on_accept, one);
		server->n_listening++;
	}
	return server;
}

static void
stop_listening(struct srs_server *server)
{
	for (size_t i = 0; i < server->n_listening; i++)
		listener_free(server->listening[i].listener);
	server->n_listening = 0;
}

void
srs_server_drain(struct srs_server *server, void (*drained)(void *arg),
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
		stream_finish(conn->stream);
	}
}

void
srs_server_free(struct srs_server *server)
{
	struct limits_kept *limits;

	if (server == NULL)
		return;
	stop_listening(server);
	server->drained = NULL;
	while (!LIST_EMPTY(&server->conns))
		conn_free(LIST_FIRST(&server->conns));
	while ((limits = SLIST_FIRST(&server->limits)) != NULL) {
		SLIST_REMOVE_HEAD(&server->limits, entry);
		x_free(limits);
	}
	arena_free(server->scratch);
	x_free(server->listening);
	x_free(server);
}
