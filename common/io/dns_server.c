#include "common/io/dns_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/stream.h"

#define PORT 53
/* Over UDP: what passes most networks in one piece. */
#define UDP_BYTES_MAX 1232u
#define SENDS_MAX     3u
#define HEADER_BYTES  12u
#define QUESTION_MAX  (HEADER_BYTES + DNS_NAME_MAX + 4u + 11u)
#define LEN_BYTES     2u

#define FLAG_RESPONSE      0x80u /* of the third byte */
#define FLAG_AUTHORITATIVE 0x04u
#define FLAG_CUT           0x02u

struct dns_server_query {
	struct loop *loop;
	struct ip server;
	struct dns_name name;
	enum dns_type type;
	uint64_t resend_ms;
	dns_server_done_fn *done;
	void *arg;
	unsigned char question[QUESTION_MAX];
	size_t n_question;
	unsigned n_sends;
	const char *failure; /* of what was begun; told from the loop */
	int udp_fd;          /* -1 when closed */
	struct loop_watch *watch;
	struct stream *tcp; /* NULL over UDP */
	struct loop_timer *resend, *deadline;
};

/* --- the question ------------------------------------------------------- */

static void
put_u16(struct dns_server_query *query, unsigned number)
{
	query->question[query->n_question++] = (unsigned char)(number >> 8);
	query->question[query->n_question++] = (unsigned char)number;
}

/* RFC 1035, 4.1, and RFC 6891, 6.1 for the option. */
static void
write_question(struct dns_server_query *query, bool with_option)
{
	crypto_random(query->question, 2);
	query->n_question = 2;
	put_u16(query, 0);
	put_u16(query, 1);
	put_u16(query, 0);
	put_u16(query, 0);
	put_u16(query, with_option);
	memcpy(query->question + query->n_question, query->name.wire,
		query->name.len);
	query->n_question += query->name.len;
	put_u16(query, (unsigned)query->type);
	put_u16(query, 1);
	if (!with_option)
		return;
	query->question[query->n_question++] = 0;
	put_u16(query, 41);
	put_u16(query, UDP_BYTES_MAX);
	put_u16(query, 0);
	put_u16(query, 0);
	put_u16(query, 0);
}

static int
connect_to(const struct ip *server, int type)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons(PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(PORT) };
	const bool is_v4 = server->family == IP_V4;
	const struct sockaddr *to = is_v4 ? (const struct sockaddr *)&v4
					  : (const struct sockaddr *)&v6;
	const socklen_t len = is_v4 ? sizeof(v4) : sizeof(v6);
	const int fd =
		socket(to->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(&v4.sin_addr, server->bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, server->bytes, sizeof(v6.sin6_addr));
	if (fd >= 0 && connect(fd, to, len) < 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* --- the end ------------------------------------------------------------ */

static void
close_udp(struct dns_server_query *query)
{
	loop_watch_free(query->watch);
	query->watch = NULL;
	if (query->udp_fd >= 0)
		(void)close(query->udp_fd);
	query->udp_fd = -1;
}

void
dns_server_cancel(struct dns_server_query *query)
{
	if (query == NULL)
		return;
	close_udp(query);
	if (query->tcp != NULL)
		stream_free(query->tcp);
	loop_timer_free(query->resend);
	loop_timer_free(query->deadline);
	x_free(query);
}

static void
fail(struct dns_server_query *query, const char *reason)
{
	const struct dns_server_answer answer = { .reason = reason };

	query->done(query->arg, &answer);
	dns_server_cancel(query);
}

static void
on_deadline(void *arg)
{
	struct dns_server_query *query = arg;

	fail(query,
		query->failure != NULL ? query->failure : "it does not answer");
}

/* --- answers ------------------------------------------------------------ */

/* An answer to this question; anything else is not looked at. */
static bool
is_ours(const struct dns_server_query *query, struct slice packet)
{
	return packet.len >= query->n_question - 11u * (query->tcp == NULL) &&
	       memcmp(packet.ptr, query->question, 2) == 0 &&
	       ((unsigned char)packet.ptr[2] & FLAG_RESPONSE) != 0;
}

static void
take(struct dns_server_query *query, struct slice packet)
{
	struct arena *arena = arena_new(DNS_ANSWER_ARENA_MAX);
	struct dns_server_answer answer = { .reason = "" };
	const char *err = "";

	answer.is_answered = dns_message_parse(arena, packet, &query->name,
				     query->type, &answer.message, &err) == 0;
	answer.is_authoritative =
		((unsigned char)packet.ptr[2] & FLAG_AUTHORITATIVE) != 0;
	if (!answer.is_answered)
		answer.reason = err;
	query->done(query->arg, &answer);
	arena_free(arena);
	dns_server_cancel(query);
}

/* --- TCP ---------------------------------------------------------------- */

static void
on_tcp_input(void *arg)
{
	struct dns_server_query *query = arg;
	const struct slice input = stream_input(query->tcp);
	size_t len;

	if (input.len < LEN_BYTES)
		return;
	len = (size_t)(unsigned char)input.ptr[0] << 8 |
	      (unsigned char)input.ptr[1];
	if (input.len < LEN_BYTES + len)
		return;
	if (is_ours(query, slice_part(input, LEN_BYTES, LEN_BYTES + len)))
		take(query, slice_part(input, LEN_BYTES, LEN_BYTES + len));
	else
		fail(query, "it answers something else over TCP");
}

static void
on_tcp_end(void *arg, enum stream_end why)
{
	(void)why;
	fail(arg, "it does not answer over TCP");
}

static const struct stream_config tcp_config = {
	.input_max = LEN_BYTES + DNS_MESSAGE_MAX,
	.output_max = LEN_BYTES + QUESTION_MAX,
	.on_input = on_tcp_input,
	.on_end = on_tcp_end,
};

static void
turn_to_tcp(struct dns_server_query *query)
{
	const int fd = connect_to(&query->server, SOCK_STREAM);
	unsigned char len[LEN_BYTES];

	close_udp(query);
	loop_timer_clear(query->resend);
	if (fd < 0) {
		query->failure = "it cannot be reached over TCP";
		loop_timer_set(query->deadline, 0);
		return;
	}
	write_question(query, false);
	len[0] = (unsigned char)(query->n_question >> 8);
	len[1] = (unsigned char)query->n_question;
	query->tcp = stream_new(query->loop, fd, &tcp_config, query);
	stream_write(query->tcp, (struct slice){ (char *)len, LEN_BYTES });
	stream_write(query->tcp,
		(struct slice){ (char *)query->question, query->n_question });
}

/* --- UDP ---------------------------------------------------------------- */

static void
on_packet(void *arg, unsigned events)
{
	struct dns_server_query *query = arg;
	char bytes[UDP_BYTES_MAX];
	const ssize_t n = recv(query->udp_fd, bytes, sizeof(bytes), 0);
	const struct slice packet = { bytes, n > 0 ? (size_t)n : 0 };

	(void)events;
	/* A port that is closed: another packet may find it open. */
	if (n < 0 && errno != EAGAIN)
		query->failure = "nobody answers there";
	if (packet.len < HEADER_BYTES)
		return;
	if (memcmp(bytes, query->question, 2) == 0 &&
		(((unsigned char)bytes[2] & FLAG_CUT) != 0 ||
			((unsigned char)bytes[3] & 0xfu) ==
				DNS_RCODE_FORMAT_ERROR))
		turn_to_tcp(query);
	else if (is_ours(query, packet))
		take(query, packet);
}

static void
send_again(void *arg)
{
	struct dns_server_query *query = arg;

	if (send(query->udp_fd, query->question, query->n_question, 0) < 0)
		query->failure = "it cannot be reached";
	if (++query->n_sends < SENDS_MAX)
		loop_timer_set(query->resend, query->resend_ms);
}

struct dns_server_query *
dns_server_ask(struct loop *loop, const struct ip *server,
	const struct dns_name *name, enum dns_type type, uint64_t timeout_ms,
	dns_server_done_fn *done, void *arg)
{
	struct dns_server_query *query = x_new(struct dns_server_query);

	query->loop = loop;
	query->server = *server;
	query->name = *name;
	query->type = type;
	query->resend_ms = timeout_ms / SENDS_MAX + 1;
	query->done = done;
	query->arg = arg;
	query->deadline = loop_timer_new(loop, on_deadline, query);
	query->resend = loop_timer_new(loop, send_again, query);
	query->udp_fd = connect_to(server, SOCK_DGRAM);
	write_question(query, true);
	loop_timer_set(query->deadline, timeout_ms);
	if (query->udp_fd < 0) {
		query->failure = "it cannot be reached";
		loop_timer_set(query->deadline, 0);
		return query;
	}
	query->watch = loop_watch_new(loop, query->udp_fd, on_packet, query);
	loop_watch_set(query->watch, LOOP_READ);
	send_again(query);
	return query;
}
