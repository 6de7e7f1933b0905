#include "milter/judge.h"

#include <check.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "milter/facts.h"

static const struct milter_settings settings = {
	.authserv_id = "mx.example.com",
	.adds_auth = true,
	.message = "later",
};
static const struct milter_settings deferring = {
	.authserv_id = "mx.example.com",
	.is_deferring = true,
	.message = "later",
};

static struct arena *arena;

/* A stranger whose sender passes and whose HELO says nothing. */
static struct judge_input
stranger(void)
{
	struct judge_input input = {
		.settings = &settings,
		.client_name = SLICE("a.example"),
		.client_ptr = SLICE("a.example"),
		.helo = SLICE("mx.example.net"),
		.sender = SLICE("a@example.net"),
		.spf = { JUDGE_KNOWN, SPF_PASS },
		.spf_helo = { JUDGE_KNOWN, SPF_NONE },
	};

	ck_assert(ip_parse(SLICE("192.0.2.1"), &input.client));
	return input;
}

static struct judgement
judge(const struct judge_input *input)
{
	struct judgement out;

	judge_message(arena, input, &out);
	return out;
}

static void
assert_results(const struct judge_input *input, const char *expected)
{
	const struct judgement out = judge(input);

	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
	ck_assert_str_eq(out.results.len > 0 ? out.results.ptr : "", expected);
}

START_TEST(says_what_is_known_of_a_stranger)
{
	struct judge_input input = stranger();

	assert_results(&input,
		" mx.example.com;\n spf=pass smtp.mailfrom=a@example.net;"
		"\n spf=none smtp.helo=mx.example.net;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	input.client_name = SLICE("unknown");
	input.spf.known = JUDGE_NOT_ASKED;
	assert_results(&input,
		" mx.example.com;\n spf=none smtp.helo=mx.example.net;"
		"\n iprev=fail policy.iprev=192.0.2.1");
}
END_TEST

/* By this it is known when it comes back. */
#define NONE " mx.example.com; none"

static const struct {
	struct judge_names names;
	const char *expected;
} nameless[] = {
	{ { JUDGE_KNOWN, FACTS_NAMES_NONE },
		" mx.example.com;\n iprev=permerror policy.iprev=192.0.2.1" },
	{ { JUDGE_KNOWN, FACTS_NAMES_FAILED },
		" mx.example.com;\n iprev=temperror policy.iprev=192.0.2.1" },
	{ { JUDGE_LATE, FACTS_NAMES_SOME },
		" mx.example.com;\n iprev=temperror policy.iprev=192.0.2.1" },
	{ { JUDGE_KNOWN, FACTS_NAMES_SOME }, NONE },
	{ { JUDGE_NOT_ASKED, FACTS_NAMES_SOME }, NONE },
};

START_TEST(says_no_more_of_a_client_than_is_known)
{
	struct judge_input input = stranger();

	input.client_name = input.client_ptr = SLICE("unknown");
	input.spf.known = input.spf_helo.known = JUDGE_NOT_ASKED;
	input.names = nameless[_i].names;
	assert_results(&input, nameless[_i].expected);
}
END_TEST

START_TEST(says_none_without_an_address)
{
	struct judge_input input = stranger();

	input.client.family = IP_NONE;
	input.spf.known = input.spf_helo.known = JUDGE_NOT_ASKED;
	assert_results(&input, NONE);
}
END_TEST

START_TEST(says_who_has_logged_in)
{
	struct judge_input input = stranger();

	input.spf.known = input.spf_helo.known = JUDGE_NOT_ASKED;
	input.login = SLICE("b;c@example.com");
	assert_results(&input,
		" mx.example.com;\n auth=pass smtp.auth=\"b;c@example.com\"");
	input.settings = &deferring;
	assert_results(&input, "");
}
END_TEST

START_TEST(removes_what_is_forged_unless_it_is_trusted)
{
	struct judge_input input = stranger();

	ck_assert(!judge(&input).removes_forged);
	input.n_forged = 1;
	ck_assert(judge(&input).removes_forged);
	input.login = SLICE("b@example.com");
	ck_assert(judge(&input).removes_forged);
	input.is_trusted = true;
	ck_assert(!judge(&input).removes_forged);
	input.login = SLICE("");
	ck_assert(!judge(&input).removes_forged);
	ck_assert_str_eq(judge(&input).iprev, "");
}
END_TEST

START_TEST(what_is_late_is_a_temporary_error_or_defers)
{
	struct judge_input input = stranger();
	struct judgement out;

	input.spf_helo.known = JUDGE_LATE;
	assert_results(&input,
		" mx.example.com;\n spf=pass smtp.mailfrom=a@example.net;"
		"\n spf=temperror (not known in time) "
		"smtp.helo=mx.example.net;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	input.settings = &deferring;
	out = judge(&input);
	ck_assert_int_eq(out.action, JUDGE_DEFER);
	ck_assert(out.was_late);
	ck_assert_str_eq(out.code, "451");
	ck_assert_str_eq(out.status, "4.7.1");
	ck_assert_str_eq(out.text, "later");
	ck_assert_uint_eq(out.results.len, 0);
}
END_TEST

START_TEST(refuses_what_is_over_the_limit)
{
	struct judge_input input = stranger();

	input.is_over_limit = true;
	ck_assert_int_eq(judge(&input).action, JUDGE_REJECT);
	ck_assert_str_eq(judge(&input).code, "550");
	ck_assert_str_eq(judge_action_name(JUDGE_REJECT), "reject");
}
END_TEST

static void
set_up(void)
{
	arena = arena_new((size_t)64 << 10);
}

static void
tear_down(void)
{
	arena_free(arena);
}

START_TEST(a_fault_of_signing_defers_if_it_is_to)
{
	static const struct slice values[] = { SLICE_INIT(" v=1") };
	struct signing_result result = { .signatures = values, .n = 1 };
	struct milter_settings chosen = { .message = "later" };
	struct judgement out = { .action = JUDGE_ACCEPT };

	judge_signing(&chosen, &result, &out);
	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
	ck_assert_uint_eq(out.n_signatures, 1);
	ck_assert_ptr_eq(out.signatures, values);
	result = (struct signing_result){ .is_failed = true };
	judge_signing(&chosen, &result, &out);
	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
	ck_assert_uint_eq(out.n_signatures, 0);
	chosen.signing.is_deferring = true;
	judge_signing(&chosen, &result, &out);
	ck_assert_int_eq(out.action, JUDGE_DEFER);
	ck_assert_str_eq(out.code, "451");
	ck_assert_str_eq(out.text, "later");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("judge");
	TCase *tcase = tcase_create("judge");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, says_what_is_known_of_a_stranger);
	tcase_add_loop_test(tcase, says_no_more_of_a_client_than_is_known, 0,
		sizeof(nameless) / sizeof(nameless[0]));
	tcase_add_test(tcase, says_none_without_an_address);
	tcase_add_test(tcase, says_who_has_logged_in);
	tcase_add_test(tcase, removes_what_is_forged_unless_it_is_trusted);
	tcase_add_test(tcase, what_is_late_is_a_temporary_error_or_defers);
	tcase_add_test(tcase, refuses_what_is_over_the_limit);
	tcase_add_test(tcase, a_fault_of_signing_defers_if_it_is_to);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
