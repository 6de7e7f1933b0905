#include "milter/policy_client.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/sock.h"
#include "common/io/stream.h"

#define PATIENCE_MS 10000
#define CONNS_MAX   200u
#define ASKED_MAX   200u
/* User of nobody's: what the test connects to is its own. */
#define NO_USER ((uid_t)-2)

/* --- a policy process ---------------------------------------------------- */

struct conn {
	struct stream *stream; /* NULL: closed */
	size_t n_questions;
};

static struct {
	struct loop *loop;
	struct sock_address address;
	int fd;
	struct listener *listener;
	struct conn conns[CONNS_MAX];
	size_t n_conns, n_open, n_open_most;
	char last[256]; /* question */
	/* What is done with the next questions. */
	size_t n_to_drop; /* so many connections are closed instead */
	bool is_silent;
	const char *answer;
} server;

static void
drop(struct conn *conn)
{
	stream_free(conn->stream);
	conn->stream = NULL;
	server.n_open--;
}

static void
on_input(void *arg)
{
	struct conn *conn = arg;
	const struct slice input = stream_input(conn->stream);

	if (!slice_ends(input, SLICE("\n\n")))
		return;
	(void)snprintf(server.last, sizeof(server.last), "%.*s",
		SLICE_ARG(input));
	conn->n_questions++;
	stream_use(conn->stream, input.len);
	if (server.n_to_drop > 0) {
		server.n_to_drop--;
		drop(conn);
	} else if (!server.is_silent) {
		stream_write(conn->stream, slice_of(server.answer));
	}
}

static void
on_end(void *arg, enum stream_end why)
{
	(void)why;
	drop(arg);
}

static void
on_accept(void *arg, int fd)
{
	static const struct stream_config config = {
		.input_max = 65536,
		.output_max = (size_t)1 << 20,
		.on_input = on_input,
		.on_end = on_end,
	};
	struct conn *conn = &server.conns[server.n_conns++];

	(void)arg;
	ck_assert_uint_le(server.n_conns, CONNS_MAX);
	ck_assert(sock_peer_is_one_of_us(fd, NO_USER));
	conn->stream = stream_new(server.loop, fd, &config, conn);
	if (++server.n_open > server.n_open_most)
		server.n_open_most = server.n_open;
}

static void
start_listening(void)
{
	server.listener = listener_new(server.loop, server.fd, on_accept, NULL);
}

static void
begin_server(void)
{
	char err[200];

	memset(&server, 0, sizeof(server));
	server.loop = loop_new();
	server.answer = "action=DUNNO\n\n";
	server.fd = sock_listen_private(&server.address, err, sizeof(err));
	ck_assert_msg(server.fd >= 0, "%s", err);
	start_listening();
}

static void
stop_server(void)
{
	for (size_t i = 0; i < server.n_conns; i++)
		if (server.conns[i].stream != NULL)
			drop(&server.conns[i]);
	listener_free(server.listener);
	server.listener = NULL;
}

/* --- who asks ------------------------------------------------------------ */

struct asked {
	struct policy_question *question;
	unsigned n_done;
	bool is_answered;
	char answer[256];
	size_t len;
};

static struct policy_client *client;
static struct asked asked[ASKED_MAX];
static size_t n_awaited;
static bool is_asking;

static void
on_done(void *arg, bool is_answered, struct slice answer)
{
	struct asked *it = arg;

	ck_assert(!is_asking);
	it->n_done++;
	it->is_answered = is_answered;
	it->len = answer.len;
	(void)snprintf(it->answer, sizeof(it->answer), "%.*s",
		SLICE_ARG(answer));
	it->question = NULL;
	if (--n_awaited == 0)
		loop_stop(server.loop);
}

static void
ask_within(struct asked *it, const char *text, uint64_t timeout_ms)
{
	is_asking = true;
	memset(it, 0, sizeof(*it));
	it->question = policy_client_ask(client, slice_of(text), timeout_ms,
		on_done, it);
	is_asking = false;
	n_awaited++;
}

static void
await_all(void)
{
	if (n_awaited > 0)
		loop_run_for(server.loop, PATIENCE_MS);
	ck_assert_uint_eq(n_awaited, 0);
}

static void
ask(const char *text)
{
	ask_within(&asked[0], text, PATIENCE_MS);
	await_all();
	ck_assert_uint_eq(asked[0].n_done, 1);
}

static void
set_up(void)
{
	begin_server();
	n_awaited = 0;
	client = policy_client_new(server.loop, &server.address);
}

static void
tear_down(void)
{
	policy_client_free(client);
	stop_server();
	close(server.fd);
	loop_free(server.loop);
}

/* --- tests --------------------------------------------------------------- */

START_TEST(asks_and_uses_a_connection_again)
{
	for (size_t i = 0; i < 5; i++) {
		ask("request=a\nb=c\n");
		ck_assert(asked[0].is_answered);
		ck_assert_str_eq(asked[0].answer, "action=DUNNO\n");
		ck_assert_str_eq(server.last, "request=a\nb=c\n\n");
	}
	ck_assert_uint_eq(server.n_conns, 1);
	ck_assert_uint_eq(server.conns[0].n_questions, 5);
	ask("request=a");
	ck_assert_str_eq(server.last, "request=a\n\n");
}
END_TEST

START_TEST(takes_answers_of_no_line_and_of_many)
{
	char *big = x_calloc(POLICY_CLIENT_ANSWER_MAX + 2, 1);

	server.answer = "\n";
	ask("a=b");
	ck_assert(asked[0].is_answered);
	ck_assert_uint_eq(asked[0].len, 0);
	memset(big, 'a', POLICY_CLIENT_ANSWER_MAX - 2);
	memcpy(big + POLICY_CLIENT_ANSWER_MAX - 2, "\n\n", 2);
	server.answer = big;
	ask("a=b");
	ck_assert(asked[0].is_answered);
	ck_assert_uint_eq(asked[0].len, POLICY_CLIENT_ANSWER_MAX - 1);
	/* One byte more: nothing that we have asked for. */
	memcpy(big + POLICY_CLIENT_ANSWER_MAX - 2, "a\n\n", 3);
	ask("a=b");
	ck_assert(!asked[0].is_answered);
	ck_assert_uint_eq(server.n_conns, 2);
	x_free(big);
}
END_TEST

START_TEST(drops_a_connection_that_says_more_than_it_was_asked)
{
	server.answer = "a=1\n\na=2\n\n";
	ask("a=b");
	ck_assert_str_eq(asked[0].answer, "a=1\n");
	server.answer = "a=3\n\n";
	ask("a=b");
	ck_assert_str_eq(asked[0].answer, "a=3\n");
	ck_assert_uint_eq(server.n_conns, 2);
}
END_TEST

START_TEST(asks_once_more_on_a_new_connection)
{
	ask("a=b");
	server.n_to_drop = 1;
	ask("a=b");
	ck_assert(asked[0].is_answered);
	ck_assert_uint_eq(server.n_conns, 2);
	server.n_to_drop = 2;
	ask("a=b");
	ck_assert(!asked[0].is_answered);
	ck_assert_uint_eq(server.n_to_drop, 0);
	ask("a=b");
	ck_assert(asked[0].is_answered);
}
END_TEST

START_TEST(notices_that_idle_connections_have_ended)
{
	ask("a=b");
	stop_server();
	start_listening();
	ask("a=b");
	ck_assert(asked[0].is_answered);
	ck_assert_uint_eq(server.n_conns, 2);
}
END_TEST

START_TEST(gives_up_when_the_time_is_over)
{
	server.is_silent = true;
	ask_within(&asked[0], "a=b", 30);
	await_all();
	ck_assert_uint_eq(asked[0].n_done, 1);
	ck_assert(!asked[0].is_answered);
	/* The late answer would be that of the next question. */
	server.is_silent = false;
	ask("a=b");
	ck_assert_uint_eq(server.n_conns, 2);
	ck_assert_uint_eq(server.conns[1].n_questions, 1);
}
END_TEST

START_TEST(gives_up_when_nobody_listens)
{
	char err[200];

	stop_server();
	close(server.fd);
	ask_within(&asked[0], "a=b", 200);
	await_all();
	ck_assert(!asked[0].is_answered);
	server.fd = sock_listen_private(&server.address, err, sizeof(err));
	ck_assert_int_ge(server.fd, 0);
	start_listening();
	policy_client_free(client);
	client = policy_client_new(server.loop, &server.address);
	ask("a=b");
	ck_assert(asked[0].is_answered);
}
END_TEST

START_TEST(forgets_what_is_cancelled)
{
	server.is_silent = true;
	for (size_t i = 0; i < 3; i++)
		ask_within(&asked[i], "a=b", PATIENCE_MS);
	policy_question_cancel(asked[0].question); /* while it waits */
	loop_run_for(server.loop, 50);
	ck_assert_uint_eq(server.n_conns, 2);
	policy_question_cancel(asked[1].question); /* while it is asked */
	policy_question_cancel(NULL);
	loop_run_for(server.loop, 50);
	ck_assert_uint_eq(server.n_open, 1);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(asked[i].n_done, 0);
	n_awaited = 0;
}
END_TEST

/* Also what waits is answered, in its order, once there is room. */
START_TEST(opens_a_bounded_number_of_connections)
{
	for (size_t i = 0; i < ASKED_MAX; i++)
		ask_within(&asked[i], "a=b", PATIENCE_MS);
	await_all();
	for (size_t i = 0; i < ASKED_MAX; i++)
		ck_assert(asked[i].is_answered);
	ck_assert_uint_eq(server.n_open_most, POLICY_CLIENT_LINKS_MAX);
	ck_assert_uint_eq(server.n_conns, POLICY_CLIENT_LINKS_MAX);
}
END_TEST

/* Questions that nobody answers must not hold up the others for good. */
START_TEST(makes_room_when_the_time_is_over)
{
	server.is_silent = true;
	for (size_t i = 0; i < POLICY_CLIENT_LINKS_MAX; i++)
		ask_within(&asked[i], "a=b", 50);
	loop_run_for(server.loop, 10);
	server.is_silent = false;
	ask_within(&asked[POLICY_CLIENT_LINKS_MAX], "a=b", PATIENCE_MS);
	await_all();
	ck_assert(!asked[0].is_answered);
	ck_assert(asked[POLICY_CLIENT_LINKS_MAX].is_answered);
}
END_TEST

/* The connection of a question that is retried needs a place, too. */
START_TEST(asks_once_more_when_all_connections_end)
{
	server.is_silent = true;
	for (size_t i = 0; i < POLICY_CLIENT_LINKS_MAX + 5; i++)
		ask_within(&asked[i], "a=b", PATIENCE_MS);
	loop_run_for(server.loop, 50);
	ck_assert_uint_eq(server.n_open, POLICY_CLIENT_LINKS_MAX);
	server.is_silent = false;
	stop_server();
	start_listening();
	await_all();
	for (size_t i = 0; i < POLICY_CLIENT_LINKS_MAX + 5; i++)
		ck_assert(asked[i].is_answered);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("policy_client");
	TCase *tc = tcase_create("policy_client");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, asks_and_uses_a_connection_again);
	tcase_add_test(tc, takes_answers_of_no_line_and_of_many);
	tcase_add_test(tc, drops_a_connection_that_says_more_than_it_was_asked);
	tcase_add_test(tc, asks_once_more_on_a_new_connection);
	tcase_add_test(tc, notices_that_idle_connections_have_ended);
	tcase_add_test(tc, gives_up_when_the_time_is_over);
	tcase_add_test(tc, gives_up_when_nobody_listens);
	tcase_add_test(tc, forgets_what_is_cancelled);
	tcase_add_test(tc, opens_a_bounded_number_of_connections);
	tcase_add_test(tc, makes_room_when_the_time_is_over);
	tcase_add_test(tc, asks_once_more_when_all_connections_end);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
