#include "policyd/policy_server.h"

#include <assert.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/sock.h"
#include "common/io/stream.h"
#include "policyd/engine.h"
#include "policyd/parallel.h"
#include "policyd/sources.h"
#include "policyd/worker.h"

/* Replies are short and one at a time; a peer that reads none is broken. */
#define OUTPUT_MAX            ((size_t)64 << 10)
#define REPLY_MAX             ((size_t)16 << 10)
#define REFUSALS_LOGGED_EVERY 1000
/* A message of the milter's: 1000 recipients, and records of a domain. */
#define PRIVATE_REQUEST_MAX ((size_t)1 << 20)
#define PRIVATE_LINE_MAX    ((size_t)64 << 10)

enum conn_state {
	CONN_READING, /* for the end of a request */
	CONN_JUDGING, /* inside engine_judge() or parallel_ask() */
	CONN_WAITING, /* for the engine's answer, or the other daemon's */
	CONN_CLOSING, /* for the output to be sent */
};

struct conn {
	LIST_ENTRY(conn) entry;
	struct policy_server *server;
	struct stream *stream;
	bool is_private; /* of the milter */
	enum conn_state state;
	struct decision *decision;  /* CONN_WAITING for the engine */
	struct parallel_link *link; /* NULL unless beside another daemon */
	size_t line_start;          /* of the first unfinished line */
	size_t n_requests;
};

LIST_HEAD(conns, conn);

struct limits {
	struct stream_config stream;
	size_t line_max;
};

/* What streams keep a pointer to: one for each configuration in use. */
struct limits_kept {
	SLIST_ENTRY(limits_kept) entry;
	struct limits postfix, milter;
};

struct entrance {
	struct policy_server *server;
	struct worker_socket socket;
	struct listener *listener;
};

struct policy_server {
	struct sources *sources;
	struct entrance *entrances;
	size_t n_entrances;
	struct conns conns;
	size_t n_conns;
	uint64_t n_refused;
	SLIST_HEAD(, limits_kept) limits; /* the first is in force */
	void (*drained)(void *arg);
	void *drained_arg;
};

static void process(struct conn *conn);

/* --- connections -------------------------------------------------------- */

/* Of new connections. */
static const struct limits *
limits_of(const struct policy_server *server, bool is_private)
{
	const struct limits_kept *kept = SLIST_FIRST(&server->limits);

	return is_private ? &kept->milter : &kept->postfix;
}

static bool
is_draining(const struct policy_server *server)
{
	return server->drained != NULL;
}

static void
conn_free(struct conn *conn)
{
	struct policy_server *server = conn->server;

	if (conn->decision != NULL)
		decision_abandon(conn->decision);
	parallel_link_free(conn->link);
	stream_free(conn->stream);
	LIST_REMOVE(conn, entry);
	server->n_conns--;
	metric_sub(METRIC_CONNECTIONS, 1);
	x_free(conn);
	if (server->n_conns == 0 && is_draining(server))
		server->drained(server->drained_arg);
}

static void
on_end(void *arg, enum stream_end why)
{
	struct conn *conn = arg;

	if (why == STREAM_IDLE)
		metric_add(METRIC_IDLE_CLOSED, 1);
	if (why != STREAM_IDLE && conn->state == CONN_READING &&
		stream_input(conn->stream).len > 0)
		log_debug("policy connection ended within a request");
	conn_free(conn);
}

/* Answers to the requests before it still go out. */
static void
refuse_request(struct conn *conn, const char *why)
{
	metric_add(METRIC_REQUESTS_MALFORMED, 1);
	log_warning("policy request refused, connection closed: %s "
		    "(request %zu of this connection)",
		why, conn->n_requests + 1);
	conn->state = CONN_CLOSING;
	stream_finish(conn->stream);
}

/* --- requests ----------------------------------------------------------- */

/* more: further lines, "" for none. */
static void
reply(struct conn *conn, struct slice action, struct slice more)
{
	struct str text;

	str_init(&text, REPLY_MAX);
	str_append_text(&text, "action=");
	str_append_slice(&text, action);
	str_append_char(&text, '\n');
	str_append_slice(&text, more);
	str_append_char(&text, '\n');
	assert(!text.is_cut);
	stream_write(conn->stream, str_slice(&text));
	str_free(&text);
	conn->n_requests++;
}

/* The request is answered: on to the next. */
static void
go_on(struct conn *conn)
{
	const bool was_waiting = conn->state == CONN_WAITING;

	conn->state = CONN_READING;
	if (!was_waiting)
		return; /* process() goes on */
	stream_resume(conn->stream);
	process(conn);
}

static void
on_decided(struct decision *decision, void *arg)
{
	struct conn *conn = arg;

	reply(conn, decision->reply, decision->more);
	decision_release(decision);
	conn->decision = NULL;
	go_on(conn);
}

static void
on_answered(void *arg, struct slice action)
{
	struct conn *conn = arg;

	reply(conn, action, SLICE(""));
	go_on(conn);
}

/*
 * Looks for the empty line that ends a request. Returns its length without
 * that line, 0 when it is not complete, or -1 and *err.
 */
static ptrdiff_t
find_request(struct conn *conn, struct slice input, const char **err)
{
	const struct limits *limits = limits_of(conn->server, conn->is_private);
	struct slice rest = slice_from(input, conn->line_start);
	ptrdiff_t len;

	while ((len = slice_find(rest, '\n')) >= 0) {
		const size_t start = conn->line_start;

		if (len == 0 && start == 0) {
			*err = "an empty request";
			return -1;
		}
		if (len == 0)
			return (ptrdiff_t)start;
		if ((size_t)len > limits->line_max) {
			*err = "a line longer than limits.line_bytes";
			return -1;
		}
		conn->line_start += (size_t)len + 1;
		rest = slice_from(input, conn->line_start);
	}
	if (rest.len > limits->line_max) {
		*err = "a line longer than limits.line_bytes";
		return -1;
	}
	if (stream_is_full(conn->stream)) {
		*err = "a request longer than limits.request_bytes";
		return -1;
	}
	return 0;
}

/* Asks the engine, which may answer at once. */
static int
ask_engine(struct conn *conn, struct slice text, const char **err)
{
	struct decision *decision = engine_judge(conn->server->sources->engine,
		text, on_decided, conn, err);

	if (decision == NULL)
		return -1;
	if (conn->state == CONN_JUDGING)
		conn->decision = decision;
	return 0;
}

/*
 * Beside another daemon, which alone may write and is not told of messages,
 * nobody judges them.
 */
static int
ask_for_milter(struct conn *conn, struct slice text, const char **err)
{
	const struct sources *sources = conn->server->sources;

	if (sources->config->policyd.parallel.text[0] == '\0')
		return ask_engine(conn, text, err);
	on_answered(conn, SLICE("DUNNO"));
	return 0;
}

/* Asks the other daemon, if policyd runs beside one. */
static int
ask(struct conn *conn, struct slice text, const char **err)
{
	const struct sources *sources = conn->server->sources;

	if (conn->is_private)
		return ask_for_milter(conn, text, err);
	if (sources->config->policyd.parallel.text[0] == '\0') {
		parallel_link_free(conn->link);
		conn->link = NULL;
		return ask_engine(conn, text, err);
	}
	if (conn->link == NULL)
		conn->link = parallel_link_new(sources->parallel);
	return parallel_ask(conn->link, text, on_answered, conn, err);
}

/* False when the connection is about to be closed. */
static bool
judge(struct conn *conn, struct slice text)
{
	const char *err;

	conn->state = CONN_JUDGING;
	if (ask(conn, text, &err) < 0) {
		refuse_request(conn, err);
		return false;
	}
	stream_use(conn->stream, text.len + 1);
	conn->line_start = 0;
	if (conn->state == CONN_JUDGING) {
		conn->state = CONN_WAITING;
		stream_pause(conn->stream);
	}
	return true;
}

/* As many requests as are whole, up to the first that has to wait. */
static void
process(struct conn *conn)
{
	const char *err = "";

	while (conn->state == CONN_READING) {
		const struct slice input = stream_input(conn->stream);
		const ptrdiff_t len = find_request(conn, input, &err);

		if (len < 0) {
			refuse_request(conn, err);
			return;
		}
		if (len == 0)
			break;
		if (!judge(conn, slice_part(input, 0, (size_t)len)))
			return;
	}
	if (conn->state == CONN_READING && is_draining(conn->server)) {
		conn->state = CONN_CLOSING;
		stream_finish(conn->stream);
	}
}

static void
on_input(void *arg)
{
	process(arg);
}

/* --- the server --------------------------------------------------------- */

static void
refuse_connection(struct policy_server *server, int fd)
{
	close(fd);
	metric_add(METRIC_CONNECTIONS_REFUSED, 1);
	if (server->n_refused++ % REFUSALS_LOGGED_EVERY == 0)
		log_warning("policy connection refused: %zu are open, which "
			    "is limits.connections",
			server->n_conns);
}

static void
add_connection(struct policy_server *server, int fd, bool is_private)
{
	struct conn *conn = x_new(struct conn);

	conn->server = server;
	conn->is_private = is_private;
	conn->stream = stream_new(server->sources->loop, fd,
		&limits_of(server, is_private)->stream, conn);
	LIST_INSERT_HEAD(&server->conns, conn, entry);
	server->n_conns++;
	metric_add(METRIC_CONNECTIONS, 1);
	metric_add(METRIC_CONNECTIONS_TOTAL, 1);
}

static void
on_accept(void *arg, int fd)
{
	struct entrance *entrance = arg;
	struct policy_server *server = entrance->server;

	if (server->n_conns >= server->sources->config->limits.connections)
		refuse_connection(server, fd);
	else
		add_connection(server, fd, false);
}

static void
on_accept_private(void *arg, int fd)
{
	struct entrance *entrance = arg;

	if (sock_peer_is_one_of_us(fd, entrance->socket.milter_uid)) {
		add_connection(entrance->server, fd, true);
		return;
	}
	close(fd);
	log_warning("a stranger connected to the milter's socket: closed");
}

static struct limits
make_limits(const struct config *config, size_t request_max, size_t line_max)
{
	return (struct limits){
		.line_max = line_max,
		.stream.input_max = request_max,
		.stream.output_max = OUTPUT_MAX,
		.stream.idle_ms = config->limits.idle_timeout_ms,
		.stream.on_input = on_input,
		.stream.on_end = on_end,
	};
}

void
policy_server_configure(struct policy_server *server)
{
	const struct config *config = server->sources->config;
	struct limits_kept *kept = x_new(struct limits_kept);

	kept->postfix = make_limits(config, config->limits.request_bytes,
		config->limits.line_bytes);
	kept->milter =
		make_limits(config, PRIVATE_REQUEST_MAX, PRIVATE_LINE_MAX);
	SLIST_INSERT_HEAD(&server->limits, kept, entry);
}

static void
open_entrance(struct policy_server *server, const struct worker_socket *socket)
{
	struct entrance *entrance = &server->entrances[server->n_entrances++];

	entrance->server = server;
	entrance->socket = *socket;
	entrance->listener = listener_new(server->sources->loop, socket->fd,
		socket->is_private ? on_accept_private : on_accept, entrance);
}

struct policy_server *
policy_server_new(struct sources *sources, const struct worker_socket *sockets,
	size_t n_sockets)
{
	struct policy_server *server = x_new(struct policy_server);

	server->sources = sources;
	LIST_INIT(&server->conns);
	SLIST_INIT(&server->limits);
	policy_server_configure(server);
	server->entrances = x_new_array(n_sockets, struct entrance);
	for (size_t i = 0; i < n_sockets; i++)
		if (sockets[i].use == WORKER_SOCKET_POLICY)
			open_entrance(server, &sockets[i]);
	return server;
}

static void
stop_listening(struct policy_server *server)
{
	for (size_t i = 0; i < server->n_entrances; i++)
		listener_free(server->entrances[i].listener);
	server->n_entrances = 0;
}

void
policy_server_drain(struct policy_server *server, void (*drained)(void *arg),
	void *arg)
{
	struct conn *conn, *next;

	stop_listening(server);
	server->drained = drained;
	server->drained_arg = arg;
	if (server->n_conns == 0) {
		drained(arg);
		return;
	}
	for (conn = LIST_FIRST(&server->conns); conn != NULL; conn = next) {
		next = LIST_NEXT(conn, entry);
		if (conn->state == CONN_READING &&
			stream_input(conn->stream).len == 0) {
			conn->state = CONN_CLOSING;
			stream_finish(conn->stream);
		}
	}
}

void
policy_server_free(struct policy_server *server)
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
	x_free(server->entrances);
	x_free(server);
}
