#include "policyd/control.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "common/io/sock.h"
#include "common/io/stream.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

/* People at terminals, and their scripts. */
#define CONNECTIONS_MAX 64
/* For a client to ask, and to take the end of its answer. */
#define PATIENCE_MS 60000
#define OUTPUT_MAX  (COMMAND_REPLY_MAX + ((size_t)4 << 20))
/* What a slow reader of a stream may be behind. */
#define STREAM_BEHIND_MAX ((size_t)1 << 20)

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct control *control;
	struct stream *stream;
	struct loop_timer *timer; /* armed while the client is waited for */
	struct command *command;  /* under way, or NULL */
	bool is_left_behind;      /* the timer ends it */
	char who[64];
};

struct control {
	struct sources *sources;
	struct listener *listener;
	TAILQ_HEAD(, conn) conns;
	size_t n_conns;
	struct command_list commands;
};

static void on_input(void *arg);
static void on_end(void *arg, enum stream_end why);

static const struct stream_config stream_config = {
	.input_max = COMMAND_REQUEST_MAX,
	.output_max = OUTPUT_MAX,
	.idle_ms = 0, /* "tail" may have nothing to say for hours */
	.on_input = on_input,
	.on_end = on_end,
};

static void
conn_free(struct conn *conn)
{
	struct control *control = conn->control;

	if (conn->command != NULL)
		command_abandon(conn->command);
	loop_timer_free(conn->timer);
	stream_free(conn->stream);
	TAILQ_REMOVE(&control->conns, conn, entry);
	control->n_conns--;
	x_free(conn);
}

static void
on_end(void *arg, enum stream_end why)
{
	(void)why;
	conn_free(arg);
}

static void
on_timer(void *arg)
{
	conn_free(arg);
}

/* --- one command -------------------------------------------------------- */

/* Who does not read a stream is let go, from the loop. */
static bool
is_left_behind(struct conn *conn)
{
	if (conn->is_left_behind)
		return true;
	if (conn->command->request.row == NULL ||
		conn->command->request.row->effect != COMMAND_STREAMS ||
		stream_output_len(conn->stream) <= STREAM_BEHIND_MAX)
		return false;
	log_warning("control: %s does not read what it asked for: connection "
		    "closed",
		conn->who);
	conn->is_left_behind = true;
	loop_timer_set(conn->timer, 0);
	return true;
}

/*
 * While a command is under way input is not used, but it is read: that is how
 * the end of a client is seen.
 */
static void
on_reply(void *arg, struct slice line, bool is_last)
{
	struct conn *conn = arg;
	struct command *command = conn->command;

	if (!is_last && is_left_behind(conn))
		return;
	stream_write(conn->stream, line);
	if (!is_last)
		return;
	metric_add(METRIC_CONTROL_COMMANDS, 1);
	conn->command = NULL;
	command_unref(command);
	loop_timer_set(conn->timer, PATIENCE_MS);
	stream_finish(conn->stream);
}

static void
start(struct conn *conn, struct slice line)
{
	struct command *command =
		command_new(conn->control->sources, &conn->control->commands);
	char err[COMMAND_ERROR_MAX];

	loop_timer_clear(conn->timer);
	conn->command = command;
	command->conn = conn;
	command->send = on_reply;
	memcpy(command->who, conn->who, sizeof(command->who));
	command->n_refs++; /* it may end within command_start() */
	if (command_parse_line(command->arena, line, &command->request, err,
		    sizeof(err)) == 0)
		command_start(command);
	else
		reply_error(command, COMMAND_EXIT_USAGE, "%s", err);
	command_unref(command);
}

static void
on_input(void *arg)
{
	struct conn *conn = arg;
	const struct slice input = stream_input(conn->stream);
	const ptrdiff_t end = slice_find(input, '\n');

	if (conn->command != NULL) {
		/* A second request: one connection is for one. */
		if (stream_is_full(conn->stream))
			conn_free(conn);
		return;
	}
	if (end < 0) {
		if (stream_is_full(conn->stream)) {
			log_warning("control: a request of %s is longer than "
				    "%zu bytes: connection closed",
				conn->who, COMMAND_REQUEST_MAX);
			conn_free(conn);
		}
		return;
	}
	start(conn, slice_part(input, 0, (size_t)end));
}

/* --- connections -------------------------------------------------------- */

/* Who it is, for the log; the right to ask is the right to connect. */
static void
find_who(int fd, char *out, size_t size)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct passwd entry, *found = NULL;
	char buffer[4096];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		(void)snprintf(out, size, "unknown");
		return;
	}
	if (getpwuid_r(peer.uid, &entry, buffer, sizeof(buffer), &found) == 0 &&
		found != NULL)
		(void)snprintf(out, size, "%s", entry.pw_name);
	else
		(void)snprintf(out, size, "uid %u", (unsigned)peer.uid);
}

static void
on_accept(void *arg, int fd)
{
	struct control *control = arg;
	struct conn *conn;

	if (control->n_conns >= CONNECTIONS_MAX) {
		log_warning("control connection refused: %d are open",
			CONNECTIONS_MAX);
		close(fd);
		return;
	}
	conn = x_new(struct conn);
	conn->control = control;
	find_who(fd, conn->who, sizeof(conn->who));
	conn->stream =
		stream_new(control->sources->loop, fd, &stream_config, conn);
	conn->timer = loop_timer_new(control->sources->loop, on_timer, conn);
	loop_timer_set(conn->timer, PATIENCE_MS);
	TAILQ_INSERT_TAIL(&control->conns, conn, entry);
	control->n_conns++;
}

struct control *
control_new(struct sources *sources, int fd)
{
	struct control *control = x_new(struct control);

	control->sources = sources;
	TAILQ_INIT(&control->conns);
	TAILQ_INIT(&control->commands);
	control->listener = listener_new(sources->loop, fd, on_accept, control);
	return control;
}

void
control_free(struct control *control)
{
	if (control == NULL)
		return;
	listener_free(control->listener);
	while (!TAILQ_EMPTY(&control->conns))
		conn_free(TAILQ_FIRST(&control->conns));
	command_orphan_all(&control->commands);
	x_free(control);
}
