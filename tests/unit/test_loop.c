#include "common/io/loop.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Long enough for a slow machine; nothing here waits for it to pass. */
#define PATIENCE_MS 10000

static struct loop *loop;

static void
setup(void)
{
	loop = loop_new();
}

static void
teardown(void)
{
	loop_free(loop);
}

/* What happened, one letter each. */
static char trace[64];
static size_t n_trace;

static void
note(char c)
{
	ck_assert_uint_lt(n_trace, sizeof(trace) - 1);
	trace[n_trace++] = c;
	trace[n_trace] = '\0';
}

static void
clear_trace(void)
{
	n_trace = 0;
	trace[0] = '\0';
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
note_letter(void *arg)
{
	note(*(const char *)arg);
}

/* --- watches ------------------------------------------------------------- */

struct pipe_watch {
	int fds[2];
	struct loop_watch *watch;
	int n_read;
};

static void
read_one(void *arg, unsigned events)
{
	struct pipe_watch *it = arg;
	char c;

	ck_assert_uint_eq(events, LOOP_READ);
	ck_assert_int_eq(read(it->fds[0], &c, 1), 1);
	it->n_read++;
	note(c);
	loop_stop(loop);
}

static void
open_pipe(struct pipe_watch *it, loop_watch_fn *fn)
{
	ck_assert_int_eq(pipe(it->fds), 0);
	it->n_read = 0;
	it->watch = loop_watch_new(loop, it->fds[0], fn, it);
}

static void
close_pipe(struct pipe_watch *it)
{
	loop_watch_free(it->watch);
	close(it->fds[0]);
	close(it->fds[1]);
}

static void
put(struct pipe_watch *it, char c)
{
	ck_assert_int_eq(write(it->fds[1], &c, 1), 1);
}

START_TEST(watch_fires_only_while_set)
{
	struct pipe_watch it;

	clear_trace();
	open_pipe(&it, read_one);
	put(&it, 'a');
	put(&it, 'b');
	put(&it, 'c');
	loop_run_for(loop, 1);
	ck_assert_str_eq(trace, "");
	loop_watch_set(it.watch, LOOP_READ);
	loop_run(loop);
	ck_assert_str_eq(trace, "a");
	loop_run(loop);
	ck_assert_str_eq(trace, "ab");
	loop_watch_set(it.watch, 0);
	loop_run_for(loop, 1);
	ck_assert_str_eq(trace, "ab");
	close_pipe(&it);
}
END_TEST

static unsigned seen_events;

static void
note_events(void *arg, unsigned events)
{
	struct pipe_watch *it = arg;

	seen_events |= events;
	loop_watch_set(it->watch, 0);
	loop_stop(loop);
}

START_TEST(watch_tells_writable)
{
	struct pipe_watch it;

	ck_assert_int_eq(pipe(it.fds), 0);
	it.watch = loop_watch_new(loop, it.fds[1], note_events, &it);
	seen_events = 0;
	loop_watch_set(it.watch, LOOP_WRITE);
	loop_run(loop);
	ck_assert_uint_eq(seen_events, LOOP_WRITE);
	close_pipe(&it);
}
END_TEST

static void
free_itself(void *arg, unsigned events)
{
	struct pipe_watch *it = arg;

	(void)events;
	it->n_read++;
	loop_watch_free(it->watch);
	it->watch = NULL;
}

START_TEST(watch_may_be_freed_in_its_callback)
{
	struct pipe_watch it;

	open_pipe(&it, free_itself);
	put(&it, 'a');
	loop_watch_set(it.watch, LOOP_READ);
	loop_run_for(loop, 5);
	ck_assert_int_eq(it.n_read, 1);
	close_pipe(&it);
}
END_TEST

/* --- timers -------------------------------------------------------------- */

START_TEST(timers_fire_once_and_in_order)
{
	static const char a = 'a', b = 'b', c = 'c';
	struct loop_timer *first, *second, *cleared, *last;

	clear_trace();
	first = loop_timer_new(loop, note_letter, (void *)(uintptr_t)&a);
	second = loop_timer_new(loop, note_letter, (void *)(uintptr_t)&b);
	cleared = loop_timer_new(loop, note_letter, (void *)(uintptr_t)&c);
	last = loop_timer_new(loop, stop, NULL);
	loop_timer_set(last, 40);
	loop_timer_set(cleared, 5);
	loop_timer_set(second, 20);
	loop_timer_set(first, 100000);
	loop_timer_set(first, 1); /* the later arming counts */
	loop_timer_clear(cleared);
	loop_run(loop);
	ck_assert_str_eq(trace, "ab");
	loop_timer_free(first);
	loop_timer_free(second);
	loop_timer_free(cleared);
	loop_timer_free(last);
}
END_TEST

START_TEST(run_for_ends_by_itself)
{
	loop_run_for(loop, 0);
	loop_run_for(loop, 1);
}
END_TEST

START_TEST(stop_before_run_is_not_lost)
{
	loop_stop(loop);
	loop_run(loop);
}
END_TEST

/* --- turns --------------------------------------------------------------- */

static struct loop_turn *turn;

static void
read_and_ask(void *arg, unsigned events)
{
	read_one(arg, events);
	loop_turn_ask(turn);
	loop_turn_ask(turn);
}

START_TEST(turn_runs_once_after_all_that_is_due)
{
	static const char t = 't';
	struct pipe_watch one, two;

	clear_trace();
	turn = loop_turn_new(loop, note_letter, (void *)(uintptr_t)&t);
	open_pipe(&one, read_and_ask);
	open_pipe(&two, read_and_ask);
	put(&one, 'x');
	put(&two, 'x');
	loop_watch_set(one.watch, LOOP_READ);
	loop_watch_set(two.watch, LOOP_READ);
	loop_run(loop);
	ck_assert_str_eq(trace, "xxt");
	loop_turn_free(turn);
	close_pipe(&one);
	close_pipe(&two);
}
END_TEST

struct chain {
	struct loop_turn *turn;
	struct chain *next;
	char letter;
};

static void
run_chain(void *arg)
{
	struct chain *chain = arg;

	note(chain->letter);
	if (chain->next != NULL)
		loop_turn_ask(chain->next->turn);
	else
		loop_stop(loop);
}

START_TEST(turn_asked_by_a_turn_runs_in_the_same)
{
	struct chain last = { .letter = 'b' };
	struct chain first = { .letter = 'a', .next = &last };

	clear_trace();
	first.turn = loop_turn_new(loop, run_chain, &first);
	last.turn = loop_turn_new(loop, run_chain, &last);
	loop_turn_ask(first.turn);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_str_eq(trace, "ab");
	loop_turn_free(first.turn);
	loop_turn_free(last.turn);
}
END_TEST

static int n_turns;

static void
ask_again(void *arg)
{
	(void)arg;
	n_turns++;
	loop_turn_ask(turn);
}

START_TEST(turn_that_asks_for_itself_starves_nobody)
{
	struct pipe_watch it;

	clear_trace();
	n_turns = 0;
	turn = loop_turn_new(loop, ask_again, NULL);
	open_pipe(&it, read_one);
	loop_watch_set(it.watch, LOOP_READ);
	put(&it, 'i');
	loop_turn_ask(turn);
	loop_run(loop);
	ck_assert_str_eq(trace, "i");
	loop_run_for(loop, 2);
	ck_assert_int_gt(n_turns, 1);
	loop_turn_free(turn);
	close_pipe(&it);
}
END_TEST

START_TEST(turn_may_be_freed_while_asked)
{
	static const char t = 't';

	clear_trace();
	turn = loop_turn_new(loop, note_letter, (void *)(uintptr_t)&t);
	loop_turn_ask(turn);
	loop_turn_free(turn);
	loop_run_for(loop, 1);
	ck_assert_str_eq(trace, "");
}
END_TEST

/* --- signals, other threads, other processes ----------------------------- */

START_TEST(signal_is_delivered_on_the_loop)
{
	struct loop_signal *it = loop_signal_new(loop, SIGUSR1, stop, NULL);

	raise(SIGUSR1);
	loop_run(loop);
	loop_signal_free(it);
}
END_TEST

#define THREADS          4
#define POSTS_PER_THREAD 2000

static int n_posted;
static pthread_t loop_thread;

static void
count_post(void *arg)
{
	(void)arg;
	ck_assert(pthread_equal(pthread_self(), loop_thread));
	if (++n_posted == THREADS * POSTS_PER_THREAD)
		loop_stop(loop);
}

static void *
post_many(void *arg)
{
	int i;

	for (i = 0; i < POSTS_PER_THREAD; i++)
		loop_post(loop, count_post, NULL);
	return arg;
}

START_TEST(posts_of_threads_all_arrive)
{
	pthread_t threads[THREADS];
	size_t i;

	n_posted = 0;
	loop_thread = pthread_self();
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, post_many, NULL);
	loop_run(loop);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(n_posted, THREADS * POSTS_PER_THREAD);
	/* One that never runs goes with the loop. */
	loop_post(loop, count_post, NULL);
}
END_TEST

START_TEST(child_frees_without_harm_to_its_parent)
{
	struct pipe_watch it;
	int status;
	pid_t pid;

	clear_trace();
	open_pipe(&it, read_one);
	loop_watch_set(it.watch, LOOP_READ);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		loop_after_fork(loop);
		loop_watch_free(it.watch);
		loop_free(loop);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	put(&it, 'p');
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_str_eq(trace, "p");
	loop_post(loop, stop, NULL);
	loop_run(loop);
	close_pipe(&it);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tcase = tcase_create("loop");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, watch_fires_only_while_set);
	tcase_add_test(tcase, watch_tells_writable);
	tcase_add_test(tcase, watch_may_be_freed_in_its_callback);
	tcase_add_test(tcase, timers_fire_once_and_in_order);
	tcase_add_test(tcase, run_for_ends_by_itself);
	tcase_add_test(tcase, stop_before_run_is_not_lost);
	tcase_add_test(tcase, turn_runs_once_after_all_that_is_due);
	tcase_add_test(tcase, turn_asked_by_a_turn_runs_in_the_same);
	tcase_add_test(tcase, turn_that_asks_for_itself_starves_nobody);
	tcase_add_test(tcase, turn_may_be_freed_while_asked);
	tcase_add_test(tcase, signal_is_delivered_on_the_loop);
	tcase_add_test(tcase, posts_of_threads_all_arrive);
	tcase_add_test(tcase, child_frees_without_harm_to_its_parent);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
