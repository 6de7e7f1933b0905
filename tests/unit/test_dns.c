#include "common/io/dns.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io/loop.h"

/* Long enough for a slow machine; nothing here waits for it to pass. */
#define PATIENCE_MS 20000

/*
 * A resolver on the same loop. The first label of a name says what it
 * answers: see answer().
 */
static struct {
	int fd;
	struct loop_watch *watch;
	char address[32]; /* as dns_new() wants it */
	unsigned n_asked;
	uint8_t packet[512];
	size_t len;
} server;

static struct loop *loop;
static struct dns *dns;

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

static void
start_server(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t here_len = sizeof(here);

	memset(&server, 0, sizeof(server));
	server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(
		bind(server.fd, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_eq(
		getsockname(server.fd, (struct sockaddr *)&here, &here_len), 0);
	snprintf(server.address, sizeof(server.address), "127.0.0.1@%u",
		ntohs(here.sin_port));
	server.watch = loop_watch_new(loop, server.fd, on_question, NULL);
	loop_watch_set(server.watch, LOOP_READ);
}

/* --- asking ------------------------------------------------------------- */

struct asked {
	struct dns_query *query;
	unsigned n_done;
	struct dns_answer answer;
	char reason[256], name[DNS_NAME_TEXT_MAX];
	uint8_t last_byte; /* of the first address */
};

static bool is_asking;

static void
on_done(void *arg, const struct dns_answer *got)
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

static void
ask_for(struct asked *asked, const char *name, enum dns_type type,
	uint64_t deadline_ms)
{
	memset(asked, 0, sizeof(*asked));
	is_asking = true;
	asked->query =
		dns_ask(dns, slice_of(name), type, deadline_ms, on_done, asked);
	is_asking = false;
}

static void
wait_for(struct asked *asked)
{
	while (asked->n_done == 0)
		loop_run_for(loop, PATIENCE_MS);
	ck_assert_uint_eq(asked->n_done, 1);
}

static struct asked
get(const char *name, enum dns_type type)
{
	struct asked asked;

	ask_for(&asked, name, type, PATIENCE_MS);
	wait_for(&asked);
	return asked;
}

static void
open_dns(const char *trust_anchor, size_t queries_max)
{
	const char *const resolvers[] = { server.address };
	const struct dns_config config = { .resolvers = resolvers,
		.n_resolvers = 1,
		.trust_anchor = trust_anchor,
		.cache_bytes = 3 << 20,
		.queries_max = queries_max };

	dns = dns_new(loop, &config);
}

/* --- tests -------------------------------------------------------------- */

START_TEST(tells_what_there_is)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_status status;
		uint32_t ttl;
		const char *final;
	} rows[] = {
		{ "a.test", DNS_TYPE_A, DNS_RECORDS, 300, "a.test" },
		{ "alias.test", DNS_TYPE_A, DNS_RECORDS, 300, "a.test" },
		{ "none.test", DNS_TYPE_TXT, DNS_NONE, 60, "none.test" },
		{ "nx.test", DNS_TYPE_MX, DNS_NO_SUCH_NAME, 60, "nx.test" },
		/* Names that libunbound would answer by itself. */
		{ "1.0.0.127.in-addr.arpa", DNS_TYPE_A, DNS_RECORDS, 300,
			"1.0.0.127.in-addr.arpa" },
		{ "1.2.0.192.in-addr.arpa", DNS_TYPE_A, DNS_RECORDS, 300,
			"1.2.0.192.in-addr.arpa" },
		{ "a.localhost", DNS_TYPE_A, DNS_RECORDS, 300, "a.localhost" },
		{ "a.31.172.in-addr.arpa", DNS_TYPE_A, DNS_RECORDS, 300,
			"a.31.172.in-addr.arpa" },
		{ "b\\.c\\032.test", DNS_TYPE_A, DNS_RECORDS, 300,
			"b\\.c\\032.test" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked asked = get(rows[i].name, rows[i].type);

		ck_assert_msg(asked.answer.status == rows[i].status,
			"%s: %s %s", rows[i].name,
			dns_status_text(asked.answer.status), asked.reason);
		ck_assert_uint_eq(asked.answer.ttl, rows[i].ttl);
		ck_assert_str_eq(asked.name, rows[i].final);
		ck_assert_str_eq(asked.reason, "");
		ck_assert(!asked.answer.is_secure);
		if (rows[i].status == DNS_RECORDS)
			ck_assert_uint_eq(asked.last_byte, 2);
	}
}
END_TEST

START_TEST(tells_why_it_failed)
{
	static const struct {
		const char *name, *reason;
	} rows[] = {
		{ "fail.test", "the resolver cannot be reached, or has no "
			       "answer (SERVFAIL)" },
		{ "refused.test", "the resolver refuses to answer (REFUSED)" },
		{ "broken.test",
			"the answer cannot be used: a record does not hold "
			"what its type says" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked asked = get(rows[i].name, DNS_TYPE_A);

		ck_assert_msg(asked.answer.status == DNS_FAILED, "%s",
			rows[i].name);
		ck_assert_str_eq(asked.reason, rows[i].reason);
		ck_assert_uint_eq(asked.answer.ttl, 0);
	}
}
END_TEST

START_TEST(remembers_answers_and_still_calls_back_later)
{
	struct asked first = get("a.test", DNS_TYPE_A);
	struct asked again = get("A.test.", DNS_TYPE_A);

	ck_assert(!first.answer.is_from_cache);
	ck_assert(again.answer.is_from_cache);
	ck_assert_uint_eq(again.last_byte, 2);
	ck_assert_uint_eq(server.n_asked, 1);
}
END_TEST

START_TEST(asks_the_same_once)
{
	struct asked asked[3];

	for (int i = 0; i < 3; i++)
		ask_for(&asked[i], "a.test", DNS_TYPE_A, PATIENCE_MS);
	for (int i = 0; i < 3; i++)
		wait_for(&asked[i]);
	ck_assert_uint_eq(server.n_asked, 1);
}
END_TEST

START_TEST(gives_up_at_the_deadline)
{
	struct asked asked;

	ask_for(&asked, "silent.test", DNS_TYPE_A, 20);
	wait_for(&asked);
	ck_assert_int_eq(asked.answer.status, DNS_FAILED);
	ck_assert_str_eq(asked.reason, "there was no answer in time");
	/* Others are not held up. */
	ck_assert_int_eq(get("a.test", DNS_TYPE_A).answer.status, DNS_RECORDS);
}
END_TEST

START_TEST(an_impossible_name_does_not_exist)
{
	struct asked asked = get("a..test", DNS_TYPE_A);

	ck_assert_int_eq(asked.answer.status, DNS_NO_SUCH_NAME);
	ck_assert_uint_eq(server.n_asked, 0);
}
END_TEST

START_TEST(bounds_what_is_under_way)
{
	struct asked asked[3];
	char name[32];

	dns_free(dns);
	open_dns("", 2);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "silent.%d.test", i);
		ask_for(&asked[i], name, DNS_TYPE_A, i == 0 ? 1 : PATIENCE_MS);
	}
	wait_for(&asked[2]);
	ck_assert_str_eq(asked[2].reason, "too many questions are under way");
	/* One that gave up still counts: libunbound goes on with it. */
	wait_for(&asked[0]);
	ask_for(&asked[2], "a.test", DNS_TYPE_A, PATIENCE_MS);
	wait_for(&asked[2]);
	ck_assert_str_eq(asked[2].reason, "too many questions are under way");
	dns_cancel(asked[1].query);
}
END_TEST

START_TEST(cancels_in_every_state)
{
	struct asked asked;

	ask_for(&asked, "silent.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked.query); /* not sent */
	ask_for(&asked, "silent.test", DNS_TYPE_A, PATIENCE_MS);
	get("a.test", DNS_TYPE_A);
	dns_cancel(asked.query); /* sent */
	ask_for(&asked, "a.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked.query); /* answered from memory */
	ask_for(&asked, "b.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked.query);
	dns_cancel(NULL);
	get("b.test", DNS_TYPE_A);
	ck_assert_uint_eq(asked.n_done, 0);
}
END_TEST

static struct asked chained;

static void
ask_another(void *arg, const struct dns_answer *got)
{
	(void)got;
	dns_cancel(arg);
	is_asking = true;
	dns_ask(dns, SLICE("a.test"), DNS_TYPE_A, PATIENCE_MS, on_done,
		&chained);
	is_asking = false;
}

START_TEST(callbacks_may_ask_and_cancel)
{
	struct asked other;

	get("a.test", DNS_TYPE_A);
	memset(&chained, 0, sizeof(chained));
	memset(&other, 0, sizeof(other));
	other.query = dns_ask(dns, SLICE("b.test"), DNS_TYPE_A, PATIENCE_MS,
		on_done, &other);
	dns_ask(dns, SLICE("a.test"), DNS_TYPE_A, PATIENCE_MS, ask_another,
		other.query);
	wait_for(&chained);
	ck_assert_int_eq(chained.answer.status, DNS_RECORDS);
	ck_assert_uint_eq(other.n_done, 0);
}
END_TEST

START_TEST(a_forged_answer_is_told_apart)
{
	/* A key that signs test, whose answers here have no signatures. */
	static const char anchor[] =
		"test. IN DS 12345 8 2 00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff\n";
	char path[] = "/tmp/policyd-test-anchor-XXXXXX";
	int fd = mkstemp(path);
	struct asked asked;

	ck_assert_int_eq(write(fd, anchor, sizeof(anchor) - 1),
		sizeof(anchor) - 1);
	close(fd);
	dns_free(dns);
	open_dns(path, 100);
	asked = get("a.test", DNS_TYPE_A);
	ck_assert_int_eq(asked.answer.status, DNS_BOGUS);
	ck_assert_msg(
		strncmp(asked.reason, "its signatures do not fit: ", 27) == 0,
		"%s", asked.reason);
	ck_assert_int_eq(get("a.else", DNS_TYPE_A).answer.status, DNS_RECORDS);
	unlink(path);
}
END_TEST

START_TEST(all_fails_when_it_cannot_be_set_up)
{
	dns_free(dns);
	open_dns("/nonexistent/anchor", 100);
	ck_assert_msg(strstr(get("a.test", DNS_TYPE_A).reason,
			      "cannot be set up") != NULL,
		"no reason");
}
END_TEST

START_TEST(asks_whom_resolv_conf_names_or_nobody)
{
	const struct dns_config system = { .trust_anchor = "",
		.cache_bytes = 3 << 20,
		.queries_max = 10 };
	const struct dns_config recursive = { .is_recursive = true,
		.trust_anchor = "",
		.cache_bytes = 3 << 20,
		.queries_max = 10 };
	struct asked asked;

	/* Only that it can be set up: a test does not leave the machine. */
	dns_free(dns);
	dns = dns_new(loop, &system);
	asked = get("a..test", DNS_TYPE_A);
	ck_assert_int_eq(asked.answer.status, DNS_NO_SUCH_NAME);
	dns_free(dns);
	dns = dns_new(loop, &recursive);
	asked = get("a..test", DNS_TYPE_A);
	ck_assert_int_eq(asked.answer.status, DNS_NO_SUCH_NAME);
}
END_TEST

START_TEST(frees_what_is_under_way)
{
	struct asked asked[3];

	ask_for(&asked[0], "silent.test", DNS_TYPE_A, PATIENCE_MS);
	ask_for(&asked[1], "silent.test", DNS_TYPE_MX, 10);
	wait_for(&asked[1]);
	ask_for(&asked[2], "a..b", DNS_TYPE_A, PATIENCE_MS);
	dns_free(dns);
	dns = NULL;
	loop_run_for(loop, 1);
	ck_assert_uint_eq(asked[0].n_done + asked[2].n_done, 0);
}
END_TEST

START_TEST(comes_back_when_the_resolver_does)
{
	struct asked asked;
	unsigned n_tries = 0;

	loop_watch_set(server.watch, 0);
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "x%d.test", i);
		ask_for(&asked, name, DNS_TYPE_A, 50);
		wait_for(&asked);
		ck_assert_int_eq(asked.answer.status, DNS_FAILED);
	}
	loop_watch_set(server.watch, LOOP_READ);
	do {
		char name[32];

		ck_assert_uint_lt(n_tries++, 1000);
		snprintf(name, sizeof(name), "y%u.test", n_tries);
		ask_for(&asked, name, DNS_TYPE_A, 100);
		wait_for(&asked);
	} while (asked.answer.status != DNS_RECORDS);
}
END_TEST

static void
setup(void)
{
	loop = loop_new();
	start_server();
	open_dns("", 1000);
}

static void
teardown(void)
{
	dns_free(dns);
	loop_watch_free(server.watch);
	close(server.fd);
	loop_free(loop);
}

int
main(void)
{
	Suite *suite = suite_create("dns");
	TCase *tcase = tcase_create("dns");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, tells_what_there_is);
	tcase_add_test(tcase, tells_why_it_failed);
	tcase_add_test(tcase, remembers_answers_and_still_calls_back_later);
	tcase_add_test(tcase, asks_the_same_once);
	tcase_add_test(tcase, gives_up_at_the_deadline);
	tcase_add_test(tcase, an_impossible_name_does_not_exist);
	tcase_add_test(tcase, bounds_what_is_under_way);
	tcase_add_test(tcase, cancels_in_every_state);
	tcase_add_test(tcase, callbacks_may_ask_and_cancel);
	tcase_add_test(tcase, a_forged_answer_is_told_apart);
	tcase_add_test(tcase, all_fails_when_it_cannot_be_set_up);
	tcase_add_test(tcase, asks_whom_resolv_conf_names_or_nobody);
	tcase_add_test(tcase, frees_what_is_under_way);
	tcase_add_test(tcase, comes_back_when_the_resolver_does);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
