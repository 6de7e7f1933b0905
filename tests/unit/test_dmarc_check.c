/* DMARC over the DNS: questions that a test answers when it likes. */

#include "common/io/dmarc_check.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io/loop.h"
#include "tests/unit/dmarc_world.h"
#include "tests/unit/fake_dns.h"

#define PATIENCE_MS 60000 /* for what comes at once */
#define TEXT_MAX    1024u

static struct loop *loop;
static struct dmarc_check *check;
static struct str outcome; /* "" until it was told */
static unsigned n_told;
static uint64_t deadline_ms;

static void
begin(void)
{
	loop = loop_new();
	check = NULL;
	fake_dns_begin();
	n_told = 0;
	str_init(&outcome, TEXT_MAX);
	deadline_ms = PATIENCE_MS;
}

static void
end(void)
{
	ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	loop_free(loop);
	str_free(&outcome);
}

static void
on_done(void *arg, const struct dmarc_outcome *out, const struct dmarc *dmarc)
{
	ck_assert_ptr_eq(arg, &n_told);
	ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	n_told++;
	str_reset(&outcome);
	dmarc_world_describe(out, &outcome);
	/* It can still be looked at. */
	for (size_t i = 0; dmarc_question_at(dmarc, i) != NULL; i++)
		ck_assert_uint_gt(dmarc_question_at(dmarc, i)->name.len, 0);
	loop_stop(loop);
}

/* What start is given is gone when it returns. */
static void
start(const char *message)
{
	char words[200], payer[] = FAKE_DNS_PAYER;
	const struct dns_session_config config = { .deadline_ms = deadline_ms,
		.question_ms = FAKE_DNS_QUESTION_MS,
		.payer = slice_of(payer) };
	struct dmarc_input input;

	snprintf(words, sizeof(words), "%s", message);
	dmarc_world_read(words, &input);
	check = dmarc_check_start(loop, NULL, &input, &config, on_done,
		&n_told);
	memset(words, 'x', sizeof(words));
	memset(payer, 'x', sizeof(payer));
}

/* Until it was told, which only the loop does. */
static const char *
told(void)
{
	ck_assert_uint_eq(n_told, 0);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_uint_eq(n_told, 1);
	return str_text(&outcome);
}

#define ZONE "_dmarc.b.x TXT v=DMARC1; p=reject\n"
#define FROM "from=b.x "

START_TEST(asks_until_there_is_an_outcome)
{
	start(FROM "spf=pass:c.b.x");
	ck_assert_uint_eq(fake_dns_n_asked(), 1);
	ck_assert_str_eq(fake_dns_name(0), "_dmarc.b.x");
	ck_assert_int_eq(fake_dns_type(0), DNS_TYPE_TXT);
	fake_dns_answer_all(ZONE);
	ck_assert_uint_eq(fake_dns_n_asked(), 3);
	ck_assert_str_eq(told(), "pass (p=reject of b.x) spf:aligned");
}
END_TEST

START_TEST(without_a_question_it_is_told_from_the_loop_too)
{
	start("from=[192.0.2.1]");
	ck_assert_uint_eq(fake_dns_n_asked(), 0);
	ck_assert_str_eq(told(), "none since From: has no domain name");
}
END_TEST

START_TEST(what_nobody_needs_any_more_is_given_up)
{
	start("from=a.b.x spf=pass:a.b.x");
	fake_dns_answer(0, "");
	ck_assert_uint_eq(fake_dns_n_waiting(), 2);
	ck_assert_str_eq(fake_dns_name(1), "_dmarc.b.x");
	fake_dns_answer(1, "_dmarc.b.x TXT v=DMARC1; p=none; psd=n\n");
	ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	ck_assert_str_eq(told(), "pass (p=none of b.x) spf:aligned");
}
END_TEST

START_TEST(an_evaluation_that_takes_too_long_is_an_error)
{
	static const char *const problems[] = {
		"temperror since _dmarc.b.x: the DNS took longer than 5 ms",
		"temperror (p=reject of b.x) spf:unknown since _dmarc.x: the "
		"DNS took longer than 5 ms",
		"temperror (p=reject of b.x) spf:unknown since _dmarc.c.b.x: "
		"the DNS took longer than 5 ms",
	};

	deadline_ms = 5;
	for (size_t n_answers = 0; n_answers <= 2; n_answers++) {
		fake_dns_begin();
		n_told = 0;
		start(FROM "spf=pass:c.b.x");
		for (size_t i = 0; i < n_answers; i++)
			fake_dns_answer(i, ZONE);
		ck_assert_str_eq(told(), problems[n_answers]);
	}
}
END_TEST

START_TEST(but_a_pass_stands)
{
	deadline_ms = 5;
	start(FROM "spf=pass:c.b.x dkim=pass:b.x");
	fake_dns_answer(0, ZONE);
	ck_assert_uint_eq(fake_dns_n_waiting(), 1);
	ck_assert_str_eq(told(),
		"pass (p=reject of b.x) spf:unknown dkim:aligned");
}
END_TEST

/* Nothing is told, and nothing is left; also of an outcome not yet told. */
START_TEST(can_be_cancelled_at_any_time)
{
	for (size_t n_answers = 0; n_answers <= 3; n_answers++) {
		fake_dns_begin();
		start(FROM "spf=pass:c.b.x");
		for (size_t i = 0; i < n_answers; i++)
			fake_dns_answer(i, ZONE);
		dmarc_check_cancel(check);
		ck_assert_uint_eq(fake_dns_n_waiting(), 0);
	}
	loop_run_for(loop, 1);
	ck_assert_uint_eq(n_told, 0);
	dmarc_check_cancel(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dmarc_check");
	TCase *tcase = tcase_create("dmarc_check");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, asks_until_there_is_an_outcome);
	tcase_add_test(tcase, without_a_question_it_is_told_from_the_loop_too);
	tcase_add_test(tcase, what_nobody_needs_any_more_is_given_up);
	tcase_add_test(tcase, an_evaluation_that_takes_too_long_is_an_error);
	tcase_add_test(tcase, but_a_pass_stands);
	tcase_add_test(tcase, can_be_cancelled_at_any_time);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
