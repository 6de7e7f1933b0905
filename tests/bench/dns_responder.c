#include "tests/bench/dns_responder.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/loop.h"

#define HEAD_BYTES      12
#define PACKET_MAX      600
#define PORT_TRIES      100
#define BIND_AGAIN_MS   10
#define SOCKET_BYTES    (4 << 20)
#define CONNECTIONS_MAX 64
/* Answers that wait: more are not sent, which shows as a failure. */
#define DELAYED_MAX 65536
/* Of a record below spf.example. */
#define INCLUDES 5u

enum { TYPE_A = 1, TYPE_TXT = 16 };

enum manner {
	PLAIN,
	SILENT,
	SERVFAIL,
	SLOW,
	TCP_ONLY,
	TCP_SILENT,
	SPF,
};

/* The end of a name, on the wire. */
static const struct {
	struct slice suffix;
	enum manner manner;
} manners[] = {
	{ SLICE_INIT("\x09"
		     "blackhole\7example"),
		SILENT },
	{ SLICE_INIT("\x08"
		     "servfail\7example"),
		SERVFAIL },
	{ SLICE_INIT("\4slow\7example"), SLOW },
	{ SLICE_INIT("\3tcp\7example"), TCP_ONLY },
	{ SLICE_INIT("\7tcphole\7example"), TCP_SILENT },
	{ SLICE_INIT("\3spf\7example"), SPF },
};

struct packet {
	int64_t due_us;
	struct sockaddr_in from;
	size_t len;
	uint8_t bytes[PACKET_MAX];
};

struct connection {
	struct loop_watch *watch;
	int fd;
	size_t len;
	uint8_t bytes[2 + PACKET_MAX];
};

/* The child's. */
static struct {
	struct responder_config config;
	struct sockaddr_in address;
	struct loop *loop;
	int udp, tcp;
	struct loop_watch *udp_watch, *tcp_watch;
	struct loop_timer *tick, *gone, *back;
	struct packet *delayed;
	size_t n_delayed;
	struct map *slow; /* questions, and when they can be answered */
	struct connection *connections[CONNECTIONS_MAX];
	bool is_gone;
} here;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "dns_responder: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* --- answers ------------------------------------------------------------- */

/* Where the question ends, or 0. */
static size_t
question_end(const uint8_t *bytes, size_t len)
{
	size_t at = HEAD_BYTES;

	while (at < len && bytes[at] != 0)
		at += bytes[at] + 1u;
	return at + 5 <= len ? at + 5 : 0;
}

static enum manner
manner_of(const uint8_t *bytes, size_t end)
{
	/* Before the empty label, the type and the class. */
	struct slice name = { (const char *)bytes + HEAD_BYTES,
		end - 5 - HEAD_BYTES };

	for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++)
		if (slice_ends(name, manners[i].suffix))
			return manners[i].manner;
	return PLAIN;
}

static size_t
put(uint8_t *at, struct slice bytes)
{
	memcpy(at, bytes.ptr, bytes.len);
	return bytes.len;
}

/* The name as text, with a dot at its end. */
static void
append_name(struct str *out, const uint8_t *bytes)
{
	for (size_t at = HEAD_BYTES; bytes[at] != 0; at += bytes[at] + 1u)
		str_printf(out, "%.*s.", (int)bytes[at],
			(const char *)&bytes[at + 1]);
}

/* Appends the record to an answer; its length. */
static size_t
put_spf(uint8_t *to, const uint8_t *question)
{
	struct str text;
	size_t len;

	str_init(&text, UINT8_MAX);
	str_append_text(&text, "v=spf1");
	for (unsigned i = 1; i <= INCLUDES && question[HEAD_BYTES + 1] != 'i';
		i++) {
		str_printf(&text, " include:i%u.", i);
		append_name(&text, question);
	}
	str_append_text(&text, " ip4:198.51.100.0/24 -all");
	len = put(to, SLICE("\xc0\x0c\0\x10\0\1\0\0\1\x2c\0"));
	to[len++] = (uint8_t)(text.len + 1);
	to[len++] = (uint8_t)text.len;
	len += put(to + len, str_slice(&text));
	str_free(&text);
	return len;
}

/* In place of the question; its new length. */
static size_t
make_answer(uint8_t *bytes, size_t end, enum manner manner, bool is_tcp)
{
	const unsigned type = bytes[end - 3];
	bool is_cut = (manner == TCP_ONLY || manner == TCP_SILENT) && !is_tcp;
	size_t len = end;

	if (manner != SERVFAIL && !is_cut && type == TYPE_A)
		len += put(bytes + len, SLICE("\xc0\x0c\0\1\0\1\0\0\1\x2c"
					      "\0\4\xc0\0\2\1"));
	else if (manner == SPF && type == TYPE_TXT)
		len += put_spf(bytes + len, bytes);
	else if (manner != SERVFAIL && !is_cut && type == TYPE_TXT)
		len += put(bytes + len, SLICE("\xc0\x0c\0\x10\0\1\0\0\1\x2c"
					      "\0\x0c\x0bv=spf1 -all"));
	bytes[2] = is_cut ? 0x83 : 0x81;
	bytes[3] = manner == SERVFAIL ? 0x82 : 0x80;
	memset(bytes + 6, 0, HEAD_BYTES - 6);
	bytes[7] = len > end;
	return len;
}

/* --- UDP ----------------------------------------------------------------- */

/* A resolver asks but once, however often it is asked meanwhile. */
static int64_t
slow_due_us(const uint8_t *bytes, size_t end, int64_t now_us)
{
	struct slice question = { (const char *)bytes + HEAD_BYTES,
		end - HEAD_BYTES };
	int64_t *due_us = map_get(here.slow, question);

	if (due_us == NULL) {
		due_us = x_new(int64_t);
		*due_us = now_us + (int64_t)here.config.slow_ms * 1000;
		map_put(here.slow, question, due_us);
	}
	return *due_us;
}

static void
send_packet(const struct packet *packet)
{
	if (!here.is_gone)
		(void)sendto(here.udp, packet->bytes, packet->len, 0,
			(const struct sockaddr *)&packet->from,
			sizeof(packet->from));
}

static void
on_tick(void *arg)
{
	const int64_t now_us = clock_monotonic_us();
	size_t i = 0;

	(void)arg;
	while (i < here.n_delayed) {
		struct packet *packet = &here.delayed[i];

		if (packet->due_us > now_us) {
			i++;
			continue;
		}
		send_packet(packet);
		*packet = here.delayed[--here.n_delayed];
	}
	loop_timer_set(here.tick, 1);
}

static void
on_udp(void *arg, unsigned events)
{
	struct packet packet;
	socklen_t from_len = sizeof(packet.from);
	enum manner manner;
	int64_t now_us;
	ssize_t n;
	size_t end;

	(void)arg;
	(void)events;
	while ((n = recvfrom(here.udp, packet.bytes, PACKET_MAX / 2, 0,
			(struct sockaddr *)&packet.from, &from_len)) > 0) {
		end = question_end(packet.bytes, (size_t)n);
		if (end == 0 || here.is_gone)
			continue;
		manner = manner_of(packet.bytes, end);
		if (manner == SILENT)
			continue;
		now_us = packet.due_us = clock_monotonic_us();
		if (manner == SLOW)
			packet.due_us = slow_due_us(packet.bytes, end, now_us);
		else if (manner != SERVFAIL)
			packet.due_us += (int64_t)here.config.delay_ms * 1000;
		packet.len = make_answer(packet.bytes, end, manner, false);
		if (packet.due_us <= now_us)
			send_packet(&packet);
		else if (here.n_delayed < DELAYED_MAX)
			here.delayed[here.n_delayed++] = packet;
	}
}

/* --- TCP ----------------------------------------------------------------- */

static void
close_connection(struct connection *connection)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (here.connections[i] == connection)
			here.connections[i] = NULL;
	loop_watch_free(connection->watch);
	close(connection->fd);
	x_free(connection);
}

/* Takes one question away from the front; false: it is not complete. */
static bool
answer_one(struct connection *connection)
{
	uint8_t *bytes = connection->bytes, answer[2 + PACKET_MAX];
	size_t len = (size_t)bytes[0] << 8 | bytes[1], end, answer_len;
	enum manner manner;

	if (connection->len < 2 || connection->len < 2 + len)
		return false;
	memcpy(answer + 2, bytes + 2, len);
	connection->len -= 2 + len;
	memmove(bytes, bytes + 2 + len, connection->len);
	end = question_end(answer + 2, len);
	manner = end > 0 ? manner_of(answer + 2, end) : SILENT;
	if (manner == SILENT || manner == TCP_SILENT || here.is_gone)
		return true;
	answer_len = make_answer(answer + 2, end, manner, true);
	answer[0] = (uint8_t)(answer_len >> 8);
	answer[1] = (uint8_t)answer_len;
	(void)send(connection->fd, answer, 2 + answer_len, MSG_NOSIGNAL);
	return true;
}

static void
on_tcp(void *arg, unsigned events)
{
	struct connection *connection = arg;
	/* Half of it, so that an answer always fits. */
	ssize_t n = recv(connection->fd, connection->bytes + connection->len,
		PACKET_MAX / 2 - connection->len, MSG_DONTWAIT);

	(void)events;
	if (n <= 0) {
		close_connection(connection);
		return;
	}
	connection->len += (size_t)n;
	while (answer_one(connection))
		continue;
}

static void
on_connection(void *arg, unsigned events)
{
	int fd = accept4(here.tcp, NULL, NULL, SOCK_CLOEXEC);
	struct connection *connection;
	size_t i = 0;

	(void)arg;
	(void)events;
	while (i < CONNECTIONS_MAX && here.connections[i] != NULL)
		i++;
	if (fd < 0 || i == CONNECTIONS_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	connection = here.connections[i] = x_new(struct connection);
	connection->fd = fd;
	connection->watch = loop_watch_new(here.loop, fd, on_tcp, connection);
	loop_watch_set(connection->watch, LOOP_READ);
}

/* --- being there, and not ------------------------------------------------ */

static bool
bind_both(void)
{
	const struct sockaddr *address = (struct sockaddr *)&here.address;
	const int size = SOCKET_BYTES, on = 1;
	socklen_t len = sizeof(here.address);

	here.udp =
		socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	here.tcp =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(here.udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(here.tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(here.udp, address, len) != 0 ||
		getsockname(here.udp, (struct sockaddr *)&here.address, &len) !=
			0 ||
		bind(here.tcp, address, len) != 0 ||
		listen(here.tcp, 64) != 0) {
		close(here.udp);
		close(here.tcp);
		return false;
	}
	return true;
}

static void
watch_both(void)
{
	here.udp_watch = loop_watch_new(here.loop, here.udp, on_udp, NULL);
	here.tcp_watch =
		loop_watch_new(here.loop, here.tcp, on_connection, NULL);
	loop_watch_set(here.udp_watch, LOOP_READ);
	loop_watch_set(here.tcp_watch, LOOP_READ);
}

static void
on_gone(void *arg)
{
	(void)arg;
	here.is_gone = true;
	if (here.config.is_silent)
		return;
	loop_watch_free(here.udp_watch);
	loop_watch_free(here.tcp_watch);
	close(here.udp);
	close(here.tcp);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (here.connections[i] != NULL)
			close_connection(here.connections[i]);
}

static void
on_back(void *arg)
{
	(void)arg;
	if (!here.config.is_silent) {
		/* Somebody who asks may have the port for a moment. */
		if (!bind_both()) {
			loop_timer_set(here.back, BIND_AGAIN_MS);
			return;
		}
		watch_both();
	}
	here.is_gone = false;
}

static _Noreturn void
serve(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		exit(EXIT_SUCCESS);
	here.loop = loop_new();
	here.slow = map_new();
	here.delayed = x_new_array(DELAYED_MAX, struct packet);
	here.tick = loop_timer_new(here.loop, on_tick, NULL);
	here.gone = loop_timer_new(here.loop, on_gone, NULL);
	here.back = loop_timer_new(here.loop, on_back, NULL);
	loop_timer_set(here.tick, 1);
	if (here.config.gone_ms > 0) {
		loop_timer_set(here.gone, here.config.gone_ms);
		loop_timer_set(here.back, here.config.back_ms);
	}
	watch_both();
	loop_run(here.loop);
	exit(EXIT_SUCCESS);
}

void
responder_start(struct responder *responder,
	const struct responder_config *config)
{
	const pid_t parent = getpid();
	unsigned n_tries = 0;

	here.config = *config;
	do {
		if (n_tries++ == PORT_TRIES)
			die("bind");
		here.address = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	} while (!bind_both());
	responder->port = ntohs(here.address.sin_port);
	responder->pid = fork();
	if (responder->pid < 0)
		die("fork");
	if (responder->pid == 0)
		serve(parent);
	close(here.udp);
	close(here.tcp);
}

void
responder_stop(struct responder *responder)
{
	kill(responder->pid, SIGKILL);
	waitpid(responder->pid, NULL, 0);
}
