#include "milter/bridge.h"

#include <check.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/io/loop.h"

/* The loop has a thread of its own; the test is a thread of libmilter. */
static struct loop *loop;
static pthread_t thread;
static _Atomic unsigned n_begun, n_ended;

struct question {
	struct bridge_call call;
	bool is_answered_at_once;
	int number, answer;
};

static void
begin(struct bridge_call *call)
{
	struct question *question = (struct question *)call;

	n_begun++;
	if (!question->is_answered_at_once)
		return;
	question->answer = 2 * question->number;
	bridge_answer(call);
}

static void
end(struct bridge_call *call)
{
	n_ended++;
	x_free(call);
}

static const struct bridge_kind kind = { begin, end };

static struct question *
ask(int number, bool is_answered_at_once)
{
	struct question *question = x_new(struct question);

	question->number = number;
	question->is_answered_at_once = is_answered_at_once;
	bridge_ask(&question->call, &kind, loop);
	return question;
}

static void
answer_late(void *arg)
{
	struct question *question = arg;

	question->answer = 7;
	bridge_answer(&question->call);
}

static void *
run(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
set_up(void)
{
	n_begun = n_ended = 0;
	loop = loop_new();
	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

/* What was released before is freed: posts keep their order. */
static void
tear_down(void)
{
	loop_post(loop, stop, NULL);
	pthread_join(thread, NULL);
	loop_free(loop);
	ck_assert_uint_eq(n_begun, n_ended);
}

START_TEST(brings_answers)
{
	struct question *questions[100];

	for (int i = 0; i < 100; i++)
		questions[i] = ask(i, true);
	for (int i = 0; i < 100; i++) {
		ck_assert(bridge_wait(&questions[i]->call,
			bridge_deadline(60000)));
		ck_assert_int_eq(questions[i]->answer, 2 * i);
		bridge_release(&questions[i]->call);
	}
}
END_TEST

START_TEST(waits_no_longer_than_it_is_told)
{
	struct question *question = ask(1, false);
	const int64_t before = bridge_deadline(0);

	ck_assert(!bridge_wait(&question->call, bridge_deadline(20)));
	ck_assert_int_ge(bridge_deadline(0) - before, 20000);
	ck_assert(!bridge_wait(&question->call, bridge_deadline(0)));
	loop_post(loop, answer_late, question);
	ck_assert(bridge_wait(&question->call, bridge_deadline(60000)));
	ck_assert_int_eq(question->answer, 7);
	/* And again, also when there is no time left. */
	ck_assert(bridge_wait(&question->call, bridge_deadline(0)));
	bridge_release(&question->call);
}
END_TEST

START_TEST(takes_back_what_nobody_waits_for)
{
	for (int i = 0; i < 100; i++)
		bridge_release(&ask(i, i % 2 == 0)->call);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("bridge");
	TCase *tcase = tcase_create("bridge");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, brings_answers);
	tcase_add_test(tcase, waits_no_longer_than_it_is_told);
	tcase_add_test(tcase, takes_back_what_nobody_waits_for);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
