#include "tests/unit/dns_fixture.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io/loop.h"

#define ENOUGH      1000
#define CACHE_BYTES ((uint64_t)3 << 20)
#define ADDRESS_MAX 32

static struct {
	int fd, dead_fd;
	struct loop_watch *watch;
	char address[ADDRESS_MAX], dead_address[ADDRESS_MAX];
	unsigned n_asked;
	uint8_t packet[512];
	size_t len;
} server;

struct loop *loop;
struct dns *dns;

static bool is_asking;

/* --- the resolver ------------------------------------------------------- */

static void
put(const char *bytes, size_t n)
{
	memcpy(server.packet + server.len, bytes, n);
	server.len += n;
}

#define PUT(text)        put(text, sizeof(text) - 1)
#define TTL              "\0\0\1\x2c" /* 300 */
#define A_RECORD(name)   PUT(name "\0\1\0\1" TTL "\0\4\x7f\0\0\2")
#define ALIAS_RECORD(to) PUT("\xc0\x0c\0\5\0\1" TTL "\0" to)
#define SOA_RECORD                                            \
	PUT("\4test\0\0\6\0\1" TTL "\0\x16\0\0\0\0\0\1\0\0\0" \
	    "\1\0\0\0\1\0\0\0\1\0\0\0\x3c")

static void
set_head(unsigned rcode, unsigned n_answer, unsigned n_authority)
{
	server.packet[2] = 0x81;
	server.packet[3] = (uint8_t)(0x80 | rcode);
	server.packet[7] = (uint8_t)n_answer;
	server.packet[9] = (uint8_t)n_authority;
	server.packet[11] = 0; /* without the OPT record of the question */
}

static bool
label_is(const char *label)
{
	const size_t n = strlen(label);

	return server.packet[12] == n &&
	       memcmp(server.packet + 13, label, n) == 0;
}

/* False when nothing is to be sent. */
static bool
answer(void)
{
	if (label_is("silent"))
		return false;
	set_head(0, 0, 0);
	if (label_is("alias")) {
		set_head(0, 2, 0);
		ALIAS_RECORD("\4\1a\xc0\x12");
		A_RECORD("\1a\xc0\x12");
	} else if (label_is("none")) {
		set_head(0, 0, 1);
		SOA_RECORD;
	} else if (label_is("nx")) {
		set_head(3, 0, 1);
		SOA_RECORD;
	} else if (label_is("fail")) {
		set_head(2, 0, 0);
	} else if (label_is("refused")) {
		set_head(5, 0, 0);
	} else if (label_is("cut")) {
		server.packet[2] |= 2;
	} else if (label_is("broken")) {
		set_head(0, 1, 0);
		PUT("\xc0\x0c\0\1\0\1" TTL "\0\3\x7f\0\0");
	} else {
		set_head(0, 1, 0);
		A_RECORD("\xc0\x0c");
	}
	return true;
}

static void
on_question(void *arg, unsigned events)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(server.fd, server.packet, sizeof(server.packet), 0,
		(struct sockaddr *)&from, &from_len);

	(void)arg;
	(void)events;
	ck_assert_int_gt(n, 12);
	server.n_asked++;
	/* Behind the question: name, type, class. */
	server.len = 12 + strlen((char *)server.packet + 12) + 5;
	if (answer())
		sendto(server.fd, server.packet, server.len, 0,
			(struct sockaddr *)&from, from_len);
}

/* A socket on loopback, and where it is as dns_new() wants it. */
static int
open_socket(char address[ADDRESS_MAX])
{
	struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t here_len = sizeof(here);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &here_len),
		0);
	snprintf(address, ADDRESS_MAX, "127.0.0.1@%u", ntohs(here.sin_port));
	return fd;
}

static void
start_server(void)
{
	memset(&server, 0, sizeof(server));
	server.fd = open_socket(server.address);
	server.dead_fd = open_socket(server.dead_address);
	server.watch = loop_watch_new(loop, server.fd, on_question, NULL);
	loop_watch_set(server.watch, LOOP_READ);
}

unsigned
server_n_asked(void)
{
	return server.n_asked;
}

void
server_hold(void)
{
	loop_watch_set(server.watch, 0);
}

void
server_release(void)
{
	loop_watch_set(server.watch, LOOP_READ);
}

/* --- asking ------------------------------------------------------------- */

void
on_asked(void *arg, const struct dns_answer *got)
{
	struct asked *asked = arg;

	ck_assert_msg(!is_asking, "called back from within dns_ask()");
	asked->n_done++;
	asked->answer = *got;
	snprintf(asked->reason, sizeof(asked->reason), "%s", got->reason);
	snprintf(asked->name, sizeof(asked->name), "%.*s",
		SLICE_ARG(got->final_name));
	if (got->n_records > 0)
		asked->last_byte = got->records[0].address.bytes[3];
	loop_stop(loop);
}

struct dns_query *
ask_with(const char *name, enum dns_type type, uint64_t deadline_ms,
	const char *payer, dns_done_fn *done, void *arg)
{
	struct dns_query *query;

	is_asking = true;
	query = dns_ask(dns, slice_of(name), type, deadline_ms, slice_of(payer),
		done, arg);
	is_asking = false;
	return query;
}

void
ask_for(struct asked *asked, const char *name, enum dns_type type,
	uint64_t deadline_ms)
{
	memset(asked, 0, sizeof(*asked));
	asked->query = ask_with(name, type, deadline_ms, "", on_asked, asked);
}

void
ask_paid(struct asked *asked, const char *name, const char *payer)
{
	memset(asked, 0, sizeof(*asked));
	asked->query =
		ask_with(name, DNS_TYPE_A, PATIENCE_MS, payer, on_asked, asked);
}

void
wait_for(struct asked *asked)
{
	while (asked->n_done == 0)
		loop_run_for(loop, PATIENCE_MS);
	ck_assert_uint_eq(asked->n_done, 1);
}

struct asked
get(const char *name, enum dns_type type)
{
	struct asked asked;

	ask_for(&asked, name, type, PATIENCE_MS);
	wait_for(&asked);
	return asked;
}

/* --- setting up --------------------------------------------------------- */

void
dns_fixture_reopen(const char *trust_anchor, size_t queries_max,
	size_t queries_per_payer)
{
	const char *const resolvers[] = { server.address };
	/* libunbound does not give up either while a test goes on. */
	const struct dns_config config = { .resolvers = resolvers,
		.n_resolvers = 1,
		.trust_anchor = trust_anchor,
		.timeout_ms = PATIENCE_MS,
		.cache_bytes = CACHE_BYTES,
		.queries_max = queries_max,
		.queries_per_payer = queries_per_payer };

	dns_free(dns);
	dns = dns_new(loop, &config);
}

void
dns_fixture_reopen_beside_a_dead_one(void)
{
	const char *const resolvers[] = { server.address, server.dead_address };
	const struct dns_config config = { .resolvers = resolvers,
		.n_resolvers = 2,
		.trust_anchor = "",
		.timeout_ms = 1, /* for as little patience as there is */
		.cache_bytes = CACHE_BYTES,
		.queries_max = ENOUGH,
		.queries_per_payer = ENOUGH };

	dns_free(dns);
	dns = dns_new(loop, &config);
}

void
dns_fixture_setup(void)
{
	loop = loop_new();
	start_server();
	dns = NULL;
	dns_fixture_reopen("", ENOUGH, ENOUGH);
}

void
dns_fixture_teardown(void)
{
	dns_free(dns);
	loop_watch_free(server.watch);
	close(server.fd);
	close(server.dead_fd);
	loop_free(loop);
}
