/* SPF over the DNS: questions that a test answers when it likes. */

#include "common/io/spf_check.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "tests/unit/fake_dns.h"

#define PATIENCE_MS 60000 /* for what comes at once */
#define ARENA_BYTES ((size_t)16 << 10)

/* --- a check ------------------------------------------------------------ */

static struct loop *loop;
static struct spf_check *check;
static char outcome[300]; /* "" until it was told */
static unsigned n_told;
static uint64_t deadline_ms;

static void
begin(void)
{
	loop = loop_new();
	check = NULL;
	fake_dns_begin();
	n_told = 0;
	outcome[0] = '\0';
	deadline_ms = PATIENCE_MS;
}

static void
end(void)
{
	ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	loop_free(loop);
}

static void
on_done(void *arg, const struct spf_outcome *out, const struct spf *spf)
{
	ck_assert_ptr_eq(arg, &n_told);
	ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	n_told++;
	snprintf(outcome, sizeof(outcome), "%s %.*s%.*s%.*s",
		spf_result_name(out->result), SLICE_ARG(out->matched),
		SLICE_ARG(out->problem), SLICE_ARG(out->explanation));
	/* It can still be looked at. */
	for (size_t i = 0; spf_question_at(spf, i) != NULL; i++)
		ck_assert_uint_gt(spf_question_at(spf, i)->target.len, 0);
	loop_stop(loop);
}

/* What start is given is gone when it returns. */
static void
start(const char *sender, const char *helo)
{
	char parts[3][200];
	struct arena *arena = arena_new(ARENA_BYTES);
	struct dns_session_config config = { .deadline_ms = deadline_ms,
		.question_ms = FAKE_DNS_QUESTION_MS };
	struct spf_input input = { .now = SPF_WORLD_NOW };

	snprintf(parts[0], sizeof(parts[0]), "%s", sender);
	snprintf(parts[1], sizeof(parts[1]), "%s", helo);
	snprintf(parts[2], sizeof(parts[2]), "%s", FAKE_DNS_PAYER);
	config.payer = slice_of(parts[2]);
	ck_assert(ip_parse(SLICE("192.0.2.1"), &input.client));
	spf_identify(arena, slice_of(parts[0]), slice_of(parts[1]), &input);
	check = spf_check_start(loop, NULL, &input, &config, on_done, &n_told);
	memset(parts, 'x', sizeof(parts));
	arena_free(arena);
}

/* Until it was told, which only the loop does. */
static const char *
told(void)
{
	ck_assert_uint_eq(n_told, 0);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_uint_eq(n_told, 1);
	return outcome;
}

#define HOSTS "1.x 2.x 3.x 4.x 5.x 6.x 7.x 8.x 9.x 10.x"
#define ZONE \
	"b.c TXT v=spf1 mx -all exp=e.x\nb.c MX " HOSTS "\ne.x TXT %{l}@%{h}\n"

START_TEST(asks_until_there_is_an_outcome)
{
	start("a@b.c", "h.x");
	ck_assert_uint_eq(fake_dns_n_asked(), 1);
	ck_assert_str_eq(fake_dns_name(0), "b.c");
	ck_assert_int_eq(fake_dns_type(0), DNS_TYPE_TXT);
	fake_dns_answer_all(ZONE);
	ck_assert_uint_eq(fake_dns_n_asked(), 13);
	ck_assert_str_eq(told(), "fail -alla@h.x");
}
END_TEST

START_TEST(without_a_question_it_is_told_from_the_loop_too)
{
	start("", "localhost");
	ck_assert_uint_eq(fake_dns_n_asked(), 0);
	ck_assert_str_eq(told(), "none ");
}
END_TEST

START_TEST(what_nobody_needs_any_more_is_given_up)
{
	const char *zone = ZONE "\n1.x A 192.0.2.1";

	start("a@b.c", "h.x");
	fake_dns_answer(0, zone);
	fake_dns_answer(1, zone);
	ck_assert_uint_eq(fake_dns_n_waiting(), 10);
	fake_dns_answer(7, zone);
	ck_assert_uint_eq(fake_dns_n_waiting(), 9);
	fake_dns_answer(2, zone);
	ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	ck_assert_str_eq(told(), "pass mx");
}
END_TEST

START_TEST(an_evaluation_that_takes_too_long_is_an_error)
{
	deadline_ms = 5;
	for (size_t n_answers = 0; n_answers <= 2; n_answers++) {
		fake_dns_begin();
		n_told = 0;
		start("a@b.c", "h.x");
		for (size_t i = 0; i < n_answers; i++)
			fake_dns_answer(i, ZONE);
		ck_assert_str_eq(told(),
			"temperror the DNS took longer than 5 ms");
	}
}
END_TEST

/* RFC 7208, 6.2: an explanation that does not come changes nothing. */
START_TEST(a_result_stands_without_its_explanation)
{
	deadline_ms = 5;
	start("a@b.c", "h.x");
	for (size_t i = 0; i <= 11; i++)
		fake_dns_answer(i, ZONE);
	ck_assert_uint_eq(fake_dns_n_waiting(), 1);
	ck_assert_str_eq(fake_dns_name(12), "e.x");
	ck_assert_str_eq(told(), "fail -all");
}
END_TEST

/* Nothing is told, and nothing is left; also of an outcome not yet told. */
START_TEST(can_be_cancelled_at_any_time)
{
	for (size_t n_answers = 0; n_answers <= 13; n_answers++) {
		fake_dns_begin();
		start("a@b.c", "h.x");
		for (size_t i = 0; i < n_answers; i++)
			fake_dns_answer(i, ZONE);
		spf_check_cancel(check);
		ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	}
	loop_run_for(loop, 1);
	ck_assert_uint_eq(n_told, 0);
	spf_check_cancel(NULL);
}
END_TEST

static void
begin_another(void *arg, const struct spf_outcome *out, const struct spf *spf)
{
	(void)arg;
	(void)out;
	(void)spf;
	start("", "localhost");
}

/* A rule may ask for the next identity as soon as it knows of the first. */
START_TEST(another_may_begin_when_one_is_told)
{
	const struct dns_session_config config = { .deadline_ms = PATIENCE_MS,
		.question_ms = FAKE_DNS_QUESTION_MS };
	struct spf_input input = { .domain = SLICE("localhost") };

	ck_assert(ip_parse(SLICE("192.0.2.1"), &input.client));
	spf_check_start(loop, NULL, &input, &config, begin_another, NULL);
	ck_assert_str_eq(told(), "none ");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("spf_check");
	TCase *tcase = tcase_create("spf_check");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, asks_until_there_is_an_outcome);
	tcase_add_test(tcase, without_a_question_it_is_told_from_the_loop_too);
	tcase_add_test(tcase, what_nobody_needs_any_more_is_given_up);
	tcase_add_test(tcase, an_evaluation_that_takes_too_long_is_an_error);
	tcase_add_test(tcase, a_result_stands_without_its_explanation);
	tcase_add_test(tcase, can_be_cancelled_at_any_time);
	tcase_add_test(tcase, another_may_begin_when_one_is_told);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
