/*
 * Messages through the milter protocol, on so many connections at once, each
 * with one after the other, as Postfix sends them:
 *
 *	milter_load PORT CONNECTIONS MESSAGES
 *
 * Each message has a header as mail of people has it and a body of 8 KB, and
 * is told as one from the host itself. Prints one line of JSON: how many
 * messages there were, how many DKIM-Signature fields they got, and in which
 * time. For any milter that signs.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/base/str.h"

#define BODY_BYTES      8192
#define CONNECTIONS_MAX 1000
#define PACKET_MAX      65536u
#define FIELD           "DKIM-Signature"

/* Of the protocol, version 6: what is offered, and who answers what. */
#define VERSION 6u
#define ACTIONS 0x1ffu
#define STEPS   0x0fffffu

static const struct {
	char command;
	uint32_t silent;   /* step: it is not answered */
	uint32_t unwanted; /* step: it is not sent */
} steps[] = {
	{ 'C', 0x1000, 0x1 },
	{ 'H', 0x2000, 0x2 },
	{ 'M', 0x4000, 0x4 },
	{ 'R', 0x8000, 0x8 },
	{ 'T', 0x10000, 0x200 },
	{ 'L', 0x80, 0x20 },
	{ 'N', 0x40000, 0x40 },
	{ 'B', 0x80000, 0x10 },
};

static const struct {
	const char *name, *value;
} header[] = {
	{ "Received",
		"from client.example.com (client.example.com [192.0.2.1])\n"
		"\tby mail.example.com (Postfix) with ESMTPSA id 4XyZ012345\n"
		"\tfor <bob@example.net>; Mon,  1 Jan 2024 10:00:00 +0100" },
	{ "Date", "Mon, 1 Jan 2024 10:00:00 +0100" },
	{ "MIME-Version", "1.0" },
	{ "User-Agent", "A program of somebody" },
	{ "Content-Language", "en" },
	{ "To", "Bob <bob@example.net>" },
	{ "From", "Alice <alice@example.com>" },
	{ "Subject", "What is to be done" },
	{ "In-Reply-To", "<fedcba@example.net>" },
	{ "Content-Type", "text/plain; charset=UTF-8; format=flowed" },
	{ "Content-Transfer-Encoding", "8bit" },
};

struct client {
	pthread_t thread;
	int fd;
	uint32_t steps; /* agreed */
	uint64_t n_messages, n_signatures;
	unsigned char packet[PACKET_MAX];
	size_t len; /* of the last reply, with its letter */
};

static uint64_t port, n_connections, n_wanted;
static _Atomic int64_t n_left;
static char body[BODY_BYTES];

static _Noreturn void
die(const char *why)
{
	(void)fprintf(stderr, "milter_load: %s\n", why);
	exit(EXIT_FAILURE);
}

/* --- packets ------------------------------------------------------------ */

static void
send_all(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n > 0) {
		const ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		if (sent <= 0)
			die("the milter has closed a connection");
		at += sent;
		n -= (size_t)sent;
	}
}

static void
send_packet(struct client *client, char command, const void *data, size_t n)
{
	static _Thread_local unsigned char packet[PACKET_MAX + 5];
	const uint32_t size = htonl((uint32_t)n + 1);

	assert(n <= PACKET_MAX);
	memcpy(packet, &size, 4);
	packet[4] = (unsigned char)command;
	if (n > 0)
		memcpy(packet + 5, data, n);
	send_all(client->fd, packet, n + 5);
}

static void
receive_all(int fd, void *bytes, size_t n)
{
	if (recv(fd, bytes, n, MSG_WAITALL) != (ssize_t)n)
		die("the milter has closed a connection");
}

/* The letter of the next reply. */
static char
receive(struct client *client)
{
	uint32_t size;

	receive_all(client->fd, &size, 4);
	client->len = ntohl(size);
	if (client->len == 0 || client->len > PACKET_MAX)
		die("a reply has an odd length");
	receive_all(client->fd, client->packet, client->len);
	return (char)client->packet[0];
}

/* A command, and the answer to it, if there is one. */
static void
say(struct client *client, char command, const void *data, size_t n)
{
	size_t i = 0;

	while (steps[i].command != command)
		i++;
	if ((client->steps & steps[i].unwanted) != 0)
		return;
	send_packet(client, command, data, n);
	if ((client->steps & steps[i].silent) != 0)
		return;
	if (strchr("cs", receive(client)) == NULL)
		die("the milter does not want to go on");
}

/* --- messages ----------------------------------------------------------- */

static void
say_field(struct client *client, const char *name, const char *value)
{
	char text[1024];
	const int n = snprintf(text, sizeof(text), "%s%c%s", name, '\0', value);

	assert(n > 0 && (size_t)n < sizeof(text));
	say(client, 'L', text, (size_t)n + 1);
}

static void
say_header(struct client *client)
{
	char id[64];

	for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++)
		say_field(client, header[i].name, header[i].value);
	(void)snprintf(id, sizeof(id), "<%d.%llu@example.com>", client->fd,
		(unsigned long long)client->n_messages);
	say_field(client, "Message-ID", id);
}

/* To its end; what is inserted or added begins with its name. */
static void
take_changes(struct client *client)
{
	char letter;

	while ((letter = receive(client)) == 'i' || letter == 'h') {
		const size_t at = letter == 'i' ? 5 : 1;
		const struct slice data = { (const char *)client->packet + at,
			client->len - at };

		client->n_signatures += slice_starts(data, SLICE(FIELD));
	}
	if (letter != 'c' && letter != 'a')
		die("a message was refused");
}

static void
send_message(struct client *client)
{
	static const char sender[] = "<alice@example.com>";
	static const char recipient[] = "<bob@example.net>";

	say(client, 'M', sender, sizeof(sender));
	say(client, 'R', recipient, sizeof(recipient));
	say(client, 'T', NULL, 0);
	say_header(client);
	say(client, 'N', NULL, 0);
	say(client, 'B', body, sizeof(body));
	send_packet(client, 'E', NULL, 0);
	take_changes(client);
	client->n_messages++;
}

static void
negotiate(struct client *client)
{
	const uint32_t offer[] = { htonl(VERSION), htonl(ACTIONS),
		htonl(STEPS) };
	static const char host[] = "localhost\0004\0\031127.0.0.1";

	send_packet(client, 'O', offer, sizeof(offer));
	if (receive(client) != 'O' || client->len < 13)
		die("the milter does not negotiate");
	memcpy(&client->steps, client->packet + 9, 4);
	client->steps = ntohl(client->steps);
	say(client, 'C', host, sizeof(host));
	say(client, 'H', "localhost", sizeof("localhost"));
}

static void
open_connection(struct client *client)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;

	client->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (client->fd < 0 ||
		connect(client->fd,
			(const struct sockaddr *)(const void *)&address,
			sizeof(address)) < 0)
		die("the milter does not listen");
	(void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void *
run(void *arg)
{
	struct client *client = arg;

	open_connection(client);
	negotiate(client);
	while (n_left-- > 0)
		send_message(client);
	send_packet(client, 'Q', NULL, 0);
	close(client->fd);
	return NULL;
}

/* --- the program -------------------------------------------------------- */

static void
make_body(void)
{
	static const char line[] = "The quick brown fox jumps over the lazy"
				   " dog, and does so once more, then.\r\n";

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = line[i % (sizeof(line) - 1)];
	/* opendkim signs none whose last line has no end. */
	memcpy(body + sizeof(body) - 2, "\r\n", 2);
}

static void
run_all(void)
{
	static struct client clients[CONNECTIONS_MAX];
	const int64_t began_us = clock_monotonic_us();
	uint64_t n_messages = 0, n_signatures = 0;
	double seconds;

	n_left = (int64_t)n_wanted;
	for (size_t i = 0; i < n_connections; i++)
		if (pthread_create(&clients[i].thread, NULL, run,
			    &clients[i]) != 0)
			die("there is no thread to be had");
	for (size_t i = 0; i < n_connections; i++) {
		pthread_join(clients[i].thread, NULL);
		n_messages += clients[i].n_messages;
		n_signatures += clients[i].n_signatures;
	}
	seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
	printf("{\"messages\":%llu,\"signatures\":%llu,\"seconds\":%.3f,"
	       "\"per_second\":%.1f}\n",
		(unsigned long long)n_messages,
		(unsigned long long)n_signatures, seconds,
		(double)n_messages / seconds);
}

int
main(int argc, char **argv)
{
	if (argc != 4 || !num_parse_u64(slice_of(argv[1]), 65535, &port) ||
		!num_parse_u64(slice_of(argv[2]), CONNECTIONS_MAX,
			&n_connections) ||
		!num_parse_u64(slice_of(argv[3]), 100000000, &n_wanted))
		die("usage: milter_load PORT CONNECTIONS MESSAGES");
	make_body();
	run_all();
	return EXIT_SUCCESS;
}
