#include "common/io/stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io/loop.h"

#define PATIENCE_MS 10000
#define INPUT_MAX   20000
#define OUTPUT_MAX  30000

static void on_input(void *arg);
static void on_end(void *arg, enum stream_end why);

static const struct stream_config plain = {
	.input_max = INPUT_MAX,
	.output_max = OUTPUT_MAX,
	.on_input = on_input,
	.on_end = on_end,
};

static const struct stream_config impatient = {
	.input_max = INPUT_MAX,
	.output_max = OUTPUT_MAX,
	.idle_ms = 5,
	.on_input = on_input,
	.on_end = on_end,
};

/* One end is a stream, the other a plain descriptor in the hand of the test. */
struct end {
	struct loop *loop;
	struct stream *stream;
	int fd; /* the stream's own */
	int peer;

	void (*input)(struct end *end); /* what on_input does, or NULL */
	int n_input;
	bool is_calling; /* a stream_*() call of the test is running */
	bool is_ended;
	enum stream_end why;
};

static struct end it;

static void
on_input(void *arg)
{
	struct end *end = arg;

	ck_assert(!end->is_calling);
	end->n_input++;
	if (end->input != NULL)
		end->input(end);
	loop_stop(end->loop);
}

static void
on_end(void *arg, enum stream_end why)
{
	struct end *end = arg;

	ck_assert(!end->is_calling);
	ck_assert(!end->is_ended);
	end->is_ended = true;
	end->why = why;
	stream_free(end->stream);
	end->stream = NULL;
	loop_stop(end->loop);
}

static void
open_end(const struct stream_config *config, int type)
{
	int fds[2];

	memset(&it, 0, sizeof(it));
	ck_assert_int_eq(socketpair(AF_UNIX, type, 0, fds), 0);
	it.loop = loop_new();
	it.stream = stream_new(it.loop, fds[0], config, &it);
	it.fd = fds[0];
	it.peer = fds[1];
}

static void
setup(void)
{
	open_end(&plain, SOCK_STREAM);
}

static void
reopen(const struct stream_config *config, int type)
{
	stream_free(it.stream);
	loop_free(it.loop);
	close(it.peer);
	open_end(config, type);
}

static void
teardown(void)
{
	stream_free(it.stream);
	loop_free(it.loop);
	if (it.peer >= 0)
		close(it.peer);
}

static void
peer_sends(const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	ck_assert_int_eq(write(it.peer, text, (size_t)len), len);
}

static void
peer_closes(void)
{
	close(it.peer);
	it.peer = -1;
}

/* What the peer has got, without waiting; "" if nothing. */
static const char *
peer_gets(void)
{
	static char got[256];
	ssize_t n = recv(it.peer, got, sizeof(got) - 1, MSG_DONTWAIT);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static void
run(void)
{
	loop_run_for(it.loop, PATIENCE_MS);
}

/* Until nothing is left to do. */
static void
settle(void)
{
	loop_run_for(it.loop, 5);
}

static void
write_text(const char *text)
{
	it.is_calling = true;
	stream_write(it.stream, slice_of(text));
	it.is_calling = false;
}

static void
echo(struct end *end)
{
	struct slice input = stream_input(end->stream);

	stream_write(end->stream, input);
	stream_use(end->stream, input.len);
}

/* --- input --------------------------------------------------------------- */

START_TEST(input_collects_until_it_is_used)
{
	peer_sends("ab");
	run();
	ck_assert(slice_eq_text(stream_input(it.stream), "ab"));
	peer_sends("cd");
	run();
	ck_assert(slice_eq_text(stream_input(it.stream), "abcd"));
	stream_use(it.stream, 3);
	ck_assert(slice_eq_text(stream_input(it.stream), "d"));
	settle();
	ck_assert_int_eq(it.n_input, 2); /* no more without more input */
	stream_use(it.stream, 1);
	ck_assert_uint_eq(stream_input(it.stream).len, 0);
	ck_assert(!it.is_ended);
}
END_TEST

START_TEST(answer_goes_out_with_the_input)
{
	it.input = echo;
	peer_sends("ping");
	run();
	ck_assert_str_eq(peer_gets(), "ping");
}
END_TEST

/* Fills the socket with n numbered bytes. */
static void
peer_sends_many(size_t from, size_t n)
{
	char block[500];
	size_t i;

	ck_assert_uint_eq(n % sizeof(block), 0);
	for (; n > 0; n -= sizeof(block)) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = (char)('a' + (from++) % 23);
		ck_assert_int_eq(write(it.peer, block, sizeof(block)),
			(ssize_t)sizeof(block));
	}
}

static void
check_many(struct slice got, size_t from)
{
	size_t i;

	for (i = 0; i < got.len; i++)
		ck_assert_int_eq(got.ptr[i], 'a' + (int)((from + i) % 23));
}

START_TEST(full_buffer_stops_reading_until_used)
{
	peer_sends_many(0, INPUT_MAX + 1000);
	settle();
	while (!stream_is_full(it.stream))
		run();
	settle();
	ck_assert_uint_eq(stream_input(it.stream).len, INPUT_MAX);
	check_many(stream_input(it.stream), 0);
	stream_use(it.stream, 700);
	ck_assert(!stream_is_full(it.stream));
	run();
	stream_use(it.stream, INPUT_MAX - 700);
	settle();
	ck_assert_uint_eq(stream_input(it.stream).len, 1000);
	check_many(stream_input(it.stream), INPUT_MAX);
	ck_assert(!it.is_ended);
}
END_TEST

/* Uses an odd number of bytes each time, so that the buffer wanders. */
static size_t n_used;

static void
use_some(struct end *end)
{
	struct slice input = stream_input(end->stream);
	size_t n = input.len < 911 ? input.len : input.len - 37;

	check_many(input, n_used);
	stream_use(end->stream, n);
	n_used += n;
}

START_TEST(nothing_is_lost_while_the_buffer_wanders)
{
	size_t sent;

	n_used = 0;
	it.input = use_some;
	for (sent = 0; sent < 200000; sent += 3500) {
		peer_sends_many(sent, 3500);
		settle();
	}
	ck_assert_uint_ge(n_used + 911, sent);
}
END_TEST

/* --- output -------------------------------------------------------------- */

START_TEST(writes_of_one_turn_are_sent_together)
{
	reopen(&plain, SOCK_SEQPACKET);
	write_text("one,");
	write_text("two,");
	write_text("three");
	ck_assert_str_eq(peer_gets(), "");
	settle();
	ck_assert_str_eq(peer_gets(), "one,two,three");
	ck_assert_str_eq(peer_gets(), "");
}
END_TEST

static size_t
drain_peer(size_t from)
{
	char block[4096];
	ssize_t n;

	while ((n = recv(it.peer, block, sizeof(block), MSG_DONTWAIT)) > 0) {
		check_many((struct slice){ block, (size_t)n }, from);
		from += (size_t)n;
	}
	return from;
}

static void
write_many(size_t from, size_t n)
{
	char block[500];
	size_t i;

	for (; n > 0; n -= sizeof(block)) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = (char)('a' + (from++) % 23);
		it.is_calling = true;
		stream_write(it.stream, (struct slice){ block, sizeof(block) });
		it.is_calling = false;
	}
}

START_TEST(slow_peer_gets_all_in_order)
{
	size_t sent = 0;
	size_t got = 0;

	while (sent < 2000000) {
		write_many(sent, 25000);
		sent += 25000;
		settle();
		got = drain_peer(got);
	}
	while (got < sent && !it.is_ended) {
		settle();
		got = drain_peer(got);
	}
	ck_assert_uint_eq(got, sent);
	ck_assert(!it.is_ended);
}
END_TEST

START_TEST(willing_peer_may_get_more_than_the_limit_at_once)
{
	write_many(0, OUTPUT_MAX * 2);
	settle();
	ck_assert(!it.is_ended);
	ck_assert_uint_eq(drain_peer(0), OUTPUT_MAX * 2);
}
END_TEST

START_TEST(peer_that_takes_nothing_breaks_the_connection)
{
	size_t sent;

	for (sent = 0; sent < 10000000 && !it.is_ended; sent += 25000) {
		write_many(sent, 25000);
		settle();
	}
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_BROKEN);
}
END_TEST

START_TEST(finish_sends_everything_first)
{
	size_t filled = 0;
	size_t got;

	/* Fill the socket, so that all that follows has to wait. */
	while (send(it.fd, &"abcdefghijklmnopqrstuvw"[filled % 23], 1,
		       MSG_DONTWAIT) == 1)
		filled++;
	write_many(filled, 25000);
	stream_finish(it.stream);
	peer_sends("more");
	settle();
	ck_assert(!it.is_ended);
	got = drain_peer(0);
	run();
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_CLOSED);
	ck_assert_uint_eq(drain_peer(got), filled + 25000);
	ck_assert_int_eq(it.n_input, 0);
}
END_TEST

START_TEST(finish_of_a_silent_connection)
{
	it.is_calling = true;
	stream_finish(it.stream);
	it.is_calling = false;
	run();
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_CLOSED);
}
END_TEST

/* --- pause --------------------------------------------------------------- */

static void
use_and_pause(struct end *end)
{
	stream_use(end->stream, 1);
	stream_pause(end->stream);
}

START_TEST(paused_input_waits)
{
	it.input = use_and_pause;
	peer_sends("abc");
	run();
	peer_sends("d");
	settle();
	ck_assert_int_eq(it.n_input, 1);
	ck_assert(slice_eq_text(stream_input(it.stream), "bc"));
	it.is_calling = true;
	stream_resume(it.stream);
	it.is_calling = false;
	run();
	ck_assert_int_eq(it.n_input, 2); /* what was left, at once */
	stream_resume(it.stream);
	it.input = NULL;
	run();
	ck_assert(slice_eq_text(stream_input(it.stream), "c"));
	run(); /* and it is read again */
	ck_assert(slice_eq_text(stream_input(it.stream), "cd"));
}
END_TEST

START_TEST(half_closed_peer_gets_the_late_answer)
{
	it.input = use_and_pause;
	peer_sends("q");
	run();
	shutdown(it.peer, SHUT_WR);
	settle();
	ck_assert(!it.is_ended);
	write_text("answer");
	stream_resume(it.stream);
	run();
	settle();
	ck_assert_str_eq(peer_gets(), "answer");
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_CLOSED);
}
END_TEST

/* --- ends ---------------------------------------------------------------- */

START_TEST(closing_peer_is_told)
{
	peer_closes();
	run();
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_CLOSED);
}
END_TEST

START_TEST(writing_to_a_closed_peer_breaks)
{
	stream_pause(it.stream);
	peer_closes();
	write_text("x");
	ck_assert(!it.is_ended);
	run();
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_BROKEN);
}
END_TEST

START_TEST(silent_peer_is_idle)
{
	reopen(&impatient, SOCK_STREAM);
	run();
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_IDLE);
}
END_TEST

START_TEST(paused_peer_is_not_idle)
{
	reopen(&impatient, SOCK_STREAM);
	stream_pause(it.stream);
	loop_run_for(it.loop, 20);
	ck_assert(!it.is_ended);
	stream_resume(it.stream);
	run();
	ck_assert_int_eq(it.why, STREAM_IDLE);
}
END_TEST

START_TEST(peer_that_does_not_drain_is_closed_in_the_end)
{
	reopen(&impatient, SOCK_STREAM);
	stream_pause(it.stream);
	while (send(it.fd, "x", 1, MSG_DONTWAIT) == 1)
		continue; /* until nothing more goes in */
	write_many(0, 25000);
	stream_finish(it.stream);
	run();
	ck_assert(it.is_ended);
	ck_assert_int_eq(it.why, STREAM_CLOSED);
}
END_TEST

static void
free_it(struct end *end)
{
	stream_write(end->stream, SLICE("lost"));
	stream_free(end->stream);
	end->stream = NULL;
}

START_TEST(stream_may_be_freed_in_on_input)
{
	it.input = free_it;
	peer_sends("a");
	run();
	ck_assert_int_eq(it.n_input, 1);
	ck_assert(!it.is_ended);
	ck_assert_int_eq(recv(it.peer, &(char){ 0 }, 1, MSG_DONTWAIT), 0);
}
END_TEST

START_TEST(stream_may_be_freed_when_resumed)
{
	it.input = use_and_pause;
	peer_sends("ab");
	run();
	it.input = free_it;
	stream_resume(it.stream);
	run();
	ck_assert_ptr_null(it.stream);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tcase = tcase_create("stream");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, input_collects_until_it_is_used);
	tcase_add_test(tcase, answer_goes_out_with_the_input);
	tcase_add_test(tcase, full_buffer_stops_reading_until_used);
	tcase_add_test(tcase, nothing_is_lost_while_the_buffer_wanders);
	tcase_add_test(tcase, writes_of_one_turn_are_sent_together);
	tcase_add_test(tcase, slow_peer_gets_all_in_order);
	tcase_add_test(tcase, willing_peer_may_get_more_than_the_limit_at_once);
	tcase_add_test(tcase, peer_that_takes_nothing_breaks_the_connection);
	tcase_add_test(tcase, finish_sends_everything_first);
	tcase_add_test(tcase, finish_of_a_silent_connection);
	tcase_add_test(tcase, paused_input_waits);
	tcase_add_test(tcase, half_closed_peer_gets_the_late_answer);
	tcase_add_test(tcase, closing_peer_is_told);
	tcase_add_test(tcase, writing_to_a_closed_peer_breaks);
	tcase_add_test(tcase, silent_peer_is_idle);
	tcase_add_test(tcase, paused_peer_is_not_idle);
	tcase_add_test(tcase, peer_that_does_not_drain_is_closed_in_the_end);
	tcase_add_test(tcase, stream_may_be_freed_in_on_input);
	tcase_add_test(tcase, stream_may_be_freed_when_resumed);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
