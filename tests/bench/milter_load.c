/*
 * Shows a message to a milter again and again, as Postfix does, over several
 * connections at once: what the other side wants to be told, it is told, and
 * what it answers is waited for. Prints how many messages a second that makes,
 * as one line of JSON; see usage().
 *
 * Each connection has a thread, which mostly waits.
 */

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/base/str.h"

#define MESSAGE_MAX     ((size_t)1 << 20)
#define CONNECTIONS_MAX 500u
#define FIELDS_MAX      1000u
#define TIMEOUT_S       60
/* Of the milter protocol, version 6: all that Postfix can do. */
#define VERSION     6u
#define ACTIONS     0x1ffu
#define STEPS       0x1fffffu
#define WITH_BLANKS 0x100000u
#define BODY_PIECE  65535u
#define REPLY_MAX   65536u
#define COMMAND_MAX (BODY_PIECE + 5)

/* A command, and the steps that say "do not tell" and "is not answered". */
struct command {
	char letter;
	uint32_t unwanted, silent;
};

static const struct command commands[] = {
	{ 'C', 0x000001, 0x001000 },
	{ 'H', 0x000002, 0x002000 },
	{ 'M', 0x000004, 0x004000 },
	{ 'R', 0x000008, 0x008000 },
	{ 'B', 0x000010, 0x080000 },
	{ 'L', 0x000020, 0x000080 },
	{ 'N', 0x000040, 0x040000 },
	{ 'T', 0x000200, 0x010000 },
};

struct field {
	struct slice name, value; /* value: what stands behind the colon */
};

struct connection {
	pthread_t thread;
	int fd;
	uint32_t steps;
	struct str out; /* not sent yet */
	uint64_t n_done, n_short, n_refused;
	bool is_broken;
	char reply[REPLY_MAX];
};

static uint64_t port, n_connections = 10, n_messages = 10000, n_insertions = 0;
static const char *client = "127.0.0.1", *sender = "alice@example.com";
static const char *recipient = "bob@example.net";
static struct field fields[FIELDS_MAX];
static size_t n_fields;
static struct slice body;

static _Noreturn void
usage(void)
{
	fputs("usage: milter_load --port N [--connections N] [--messages N]\n"
	      "\t[--insertions N] [--client ADDRESS] [--sender ADDRESS] FILE\n"
	      "--insertions: header fields that are to be put before each "
	      "message; those with\nfewer are counted.\n",
		stderr);
	exit(EXIT_FAILURE);
}

/* --- the message -------------------------------------------------------- */

/* Lines as a milter gets them: fields with LF, the body with CR LF. */
static void
read_message(const char *path)
{
	static char bytes[MESSAGE_MAX];
	struct str text;
	struct slice rest, line;
	FILE *file = fopen(path, "r");
	size_t n;

	if (file == NULL) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	n = fread(bytes, 1, sizeof(bytes), file);
	(void)fclose(file);
	rest = (struct slice){ bytes, n };
	while (slice_split(&rest, '\n', &line) && line.len > 0) {
		const ptrdiff_t colon = slice_find(line, ':');
		struct field *field = &fields[n_fields];

		if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
			field[-1].value.len = (size_t)(line.ptr + line.len -
						       field[-1].value.ptr);
			continue;
		}
		if (n_fields == FIELDS_MAX || colon < 0)
			usage();
		field->name = slice_part(line, 0, (size_t)colon);
		field->value = slice_from(line, (size_t)colon + 1);
		n_fields++;
	}
	str_init(&text, 2 * MESSAGE_MAX);
	while (slice_split(&rest, '\n', &line)) {
		if (line.len == 0 && rest.ptr == NULL)
			break;
		str_append_slice(&text, line);
		str_append_text(&text, "\r\n");
	}
	body = str_slice(&text); /* kept to the end of the process */
}

/* --- the protocol ------------------------------------------------------- */

static bool
send_out(struct connection *connection)
{
	struct slice rest = str_slice(&connection->out);

	while (rest.len > 0) {
		const ssize_t n =
			send(connection->fd, rest.ptr, rest.len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		rest = slice_from(rest, (size_t)n);
	}
	str_reset(&connection->out);
	return true;
}

static void
put_u32(struct str *out, uint32_t number)
{
	const uint32_t bytes = htonl(number);

	str_append_slice(out, (struct slice){ (const char *)&bytes, 4 });
}

static void
put(struct connection *connection, char letter, struct slice data)
{
	put_u32(&connection->out, (uint32_t)data.len + 1);
	str_append_char(&connection->out, letter);
	str_append_slice(&connection->out, data);
}

static bool
receive(struct connection *connection, void *out, size_t n)
{
	return recv(connection->fd, out, n, MSG_WAITALL) == (ssize_t)n;
}

/* The letter of the next reply, its data in reply; 0: there is none. */
static char
next_reply(struct connection *connection)
{
	uint32_t size;

	if (!send_out(connection) || !receive(connection, &size, 4))
		return 0;
	size = ntohl(size);
	if (size == 0 || size > REPLY_MAX ||
		!receive(connection, connection->reply, size))
		return 0;
	return connection->reply[0];
}

/* Tells, if it is wanted, and waits for the answer, if there is one. */
static bool
say(struct connection *connection, char letter, struct slice data)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (command->letter != letter)
			continue;
		if ((connection->steps & command->unwanted) != 0)
			return true;
		put(connection, letter, data);
		if ((connection->steps & command->silent) != 0)
			return true;
		letter = next_reply(connection);
		return letter == 'c' || letter == 's';
	}
	return false;
}

/* Texts, each ended by a NUL; n of them. */
static struct slice
texts(struct str *out, const struct slice *words, size_t n)
{
	str_reset(out);
	for (size_t i = 0; i < n; i++) {
		str_append_slice(out, words[i]);
		str_append_char(out, '\0');
	}
	return str_slice(out);
}

static bool
say_address(struct connection *connection, char letter, const char *address)
{
	char word[512];

	(void)snprintf(word, sizeof(word), "<%s>", address);
	return say(connection, letter,
		(struct slice){ word, strlen(word) + 1 });
}

static bool
greet(struct connection *connection)
{
	static const char host[] = "host.example.com";
	struct str data;
	uint32_t steps;
	bool is_done;

	str_init(&data, COMMAND_MAX);
	put_u32(&data, VERSION);
	put_u32(&data, ACTIONS);
	put_u32(&data, STEPS);
	put(connection, 'O', str_slice(&data));
	is_done = next_reply(connection) == 'O';
	memcpy(&steps, connection->reply + 9, 4);
	connection->steps = ntohl(steps);
	str_reset(&data);
	str_append_slice(&data, (struct slice){ host, sizeof(host) });
	str_append_text(&data, "4");
	str_append_char(&data, 0x30);
	str_append_char(&data, 0x39);
	str_append_text(&data, client);
	str_append_char(&data, '\0');
	is_done = is_done && say(connection, 'C', str_slice(&data)) &&
		  say(connection, 'H', (struct slice){ host, sizeof(host) });
	str_free(&data);
	return is_done;
}

static bool
say_fields(struct connection *connection, struct str *data)
{
	for (size_t i = 0; i < n_fields; i++) {
		struct slice value = fields[i].value;

		if ((connection->steps & WITH_BLANKS) == 0)
			value = slice_from(value, 1);
		if (!say(connection, 'L',
			    texts(data,
				    (struct slice[]){ fields[i].name, value },
				    2)))
			return false;
	}
	return true;
}

/* To the last reply: it counts what is put before the message. */
static bool
end_message(struct connection *connection)
{
	uint64_t n = 0;
	char letter;

	put(connection, 'E', SLICE(""));
	while ((letter = next_reply(connection)) != 0 &&
		strchr("ihm+-bepqt2", letter) != NULL && letter != 't')
		n += letter == 'i' || letter == 'h';
	connection->n_done++;
	connection->n_short += n < n_insertions;
	connection->n_refused += letter != 'c' && letter != 'a';
	return letter != 0;
}

static bool
show_message(struct connection *connection, struct str *data)
{
	/* The macro "i" for the end: the queue id. */
	static const char queue_id[] = "Ei\0004B2Dx0zZz";

	if (!say_address(connection, 'M', sender) ||
		!say_address(connection, 'R', recipient) ||
		!say(connection, 'T', SLICE("")) ||
		!say_fields(connection, data) ||
		!say(connection, 'N', SLICE("")))
		return false;
	for (struct slice rest = body; rest.len > 0;
		rest = slice_from(rest, BODY_PIECE))
		if (!say(connection, 'B', slice_part(rest, 0, BODY_PIECE)))
			return false;
	put(connection, 'D', (struct slice){ queue_id, sizeof(queue_id) });
	return end_message(connection);
}

/* --- the connections ---------------------------------------------------- */

static int
connect_to_milter(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	address.sin_port = htons((uint16_t)port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address,
			       sizeof(address)) == 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
			sizeof(timeout));
		return fd;
	}
	perror("connect");
	exit(EXIT_FAILURE);
}

static void *
run(void *arg)
{
	struct connection *connection = arg;
	struct str data;

	str_init(&data, COMMAND_MAX);
	connection->is_broken = !greet(connection);
	for (uint64_t i = 0;
		i < n_messages / n_connections && !connection->is_broken; i++)
		connection->is_broken = !show_message(connection, &data);
	str_free(&data);
	return NULL;
}

static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "connections", required_argument, NULL, 'c' },
		{ "messages", required_argument, NULL, 'm' },
		{ "insertions", required_argument, NULL, 'i' },
		{ "client", required_argument, NULL, 'a' },
		{ "sender", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t *number = c == 'p'   ? &port
				   : c == 'c' ? &n_connections
				   : c == 'm' ? &n_messages
				   : c == 'i' ? &n_insertions
					      : NULL;

		if (c == 'a')
			client = optarg;
		else if (c == 's')
			sender = optarg;
		else if (number == NULL ||
			 !num_parse_u64(slice_of(optarg), UINT32_MAX, number))
			usage();
	}
	if (optind != argc - 1 || port == 0 || port > UINT16_MAX ||
		n_connections == 0 || n_connections > CONNECTIONS_MAX)
		usage();
	read_message(argv[optind]);
}

int
main(int argc, char **argv)
{
	static struct connection connections[CONNECTIONS_MAX];
	uint64_t n_done = 0, n_short = 0, n_refused = 0, n_broken = 0;
	int64_t started_us;
	double seconds;

	read_options(argc, argv);
	started_us = clock_monotonic_us();
	for (size_t i = 0; i < n_connections; i++) {
		connections[i].fd = connect_to_milter();
		str_init(&connections[i].out, 4 * MESSAGE_MAX);
		if (pthread_create(&connections[i].thread, NULL, run,
			    &connections[i]) != 0)
			exit(EXIT_FAILURE);
	}
	for (size_t i = 0; i < n_connections; i++) {
		(void)pthread_join(connections[i].thread, NULL);
		close(connections[i].fd);
		n_done += connections[i].n_done;
		n_short += connections[i].n_short;
		n_refused += connections[i].n_refused;
		n_broken += connections[i].is_broken;
		str_free(&connections[i].out);
	}
	seconds = (double)(clock_monotonic_us() - started_us) / 1e6;
	printf("{\"messages\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
	       "\"short\": %llu, \"refused\": %llu, \"broken\": %llu}\n",
		(unsigned long long)n_done, seconds, (double)n_done / seconds,
		(unsigned long long)n_short, (unsigned long long)n_refused,
		(unsigned long long)n_broken);
	return n_broken == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
