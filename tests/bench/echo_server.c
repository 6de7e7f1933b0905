/*
 * The least that a policy server can do: it takes requests apart at their
 * empty lines and answers each with DUNNO. What it reaches on a machine is
 * the ceiling that measurements of policyd are compared with.
 *
 *	echo_server ADDRESS		such as inet:127.0.0.1:7777
 *
 * It prints "listening" once it does and runs until SIGTERM or SIGINT.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/sock.h"
#include "common/io/stream.h"

#define REQUEST_MAX 65536

struct client {
	LIST_ENTRY(client) link;
	struct stream *stream;
};

static struct loop *loop;
static LIST_HEAD(, client) clients = LIST_HEAD_INITIALIZER(clients);

static void
answer_all(void *arg)
{
	struct client *client = arg;
	struct slice rest = stream_input(client->stream);
	size_t total = rest.len;
	const char *end;

	while ((end = memmem(rest.ptr, rest.len, "\n\n", 2)) != NULL) {
		rest = slice_from(rest, (size_t)(end - rest.ptr) + 2);
		stream_write(client->stream, SLICE("action=DUNNO\n\n"));
	}
	if (rest.len == REQUEST_MAX)
		stream_finish(client->stream);
	else
		stream_use(client->stream, total - rest.len);
}

static void
free_client(struct client *client)
{
	LIST_REMOVE(client, link);
	stream_free(client->stream);
	x_free(client);
}

static void
client_ended(void *arg, enum stream_end why)
{
	(void)why;
	free_client(arg);
}

static const struct stream_config client_config = {
	.input_max = REQUEST_MAX,
	.output_max = REQUEST_MAX,
	.on_input = answer_all,
	.on_end = client_ended,
};

static void
accept_client(void *arg, int fd)
{
	struct client *client = x_new(struct client);

	(void)arg;
	client->stream = stream_new(loop, fd, &client_config, client);
	LIST_INSERT_HEAD(&clients, client, link);
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static int
open_listener(const char *text)
{
	struct sock_address address;
	const char *why;
	char err[256];
	int fd;

	if (sock_parse(slice_of(text), &address, &why) != 0) {
		fprintf(stderr, "echo_server: \"%s\": %s\n", text, why);
		return -1;
	}
	fd = sock_listen(&address, 0666, (gid_t)-1, err, sizeof(err));
	if (fd < 0)
		fprintf(stderr, "echo_server: %s\n", err);
	return fd;
}

int
main(int argc, char **argv)
{
	struct loop_signal *sigterm, *sigint;
	struct listener *listener;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: echo_server ADDRESS\n");
		return EXIT_FAILURE;
	}
	fd = open_listener(argv[1]);
	if (fd < 0)
		return EXIT_FAILURE;
	loop = loop_new();
	sigterm = loop_signal_new(loop, SIGTERM, stop, NULL);
	sigint = loop_signal_new(loop, SIGINT, stop, NULL);
	listener = listener_new(loop, fd, accept_client, NULL);
	puts("listening");
	fflush(stdout);
	loop_run(loop);
	listener_free(listener);
	while (!LIST_EMPTY(&clients))
		free_client(LIST_FIRST(&clients));
	loop_signal_free(sigint);
	loop_signal_free(sigterm);
	loop_free(loop);
	close(fd);
	return EXIT_SUCCESS;
}
