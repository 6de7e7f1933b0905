#include "milter/judge.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "milter/facts.h"
#include "milter/results.h"

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
		"mx.example.com;\n\tspf=pass smtp.mailfrom=a@example.net;"
		"\n\tspf=none smtp.helo=mx.example.net;"
		"\n\tiprev=pass policy.iprev=192.0.2.1");
	input.client_name = SLICE("unknown");
	input.spf.known = JUDGE_NOT_ASKED;
	assert_results(&input,
		"mx.example.com;\n\tspf=none smtp.helo=mx.example.net;"
		"\n\tiprev=fail policy.iprev=192.0.2.1");
}
END_TEST

static const struct {
	struct judge_names names;
	const char *expected;
} nameless[] = {
	{ { JUDGE_KNOWN, FACTS_NAMES_NONE },
		"mx.example.com;\n\tiprev=permerror policy.iprev=192.0.2.1" },
	{ { JUDGE_KNOWN, FACTS_NAMES_FAILED },
		"mx.example.com;\n\tiprev=temperror policy.iprev=192.0.2.1" },
	{ { JUDGE_LATE, FACTS_NAMES_SOME },
		"mx.example.com;\n\tiprev=temperror policy.iprev=192.0.2.1" },
	{ { JUDGE_KNOWN, FACTS_NAMES_SOME }, "" },
	{ { JUDGE_NOT_ASKED, FACTS_NAMES_SOME }, "" },
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

START_TEST(says_nothing_without_an_address)
{
	struct judge_input input = stranger();

	input.client.family = IP_NONE;
	input.spf.known = input.spf_helo.known = JUDGE_NOT_ASKED;
	assert_results(&input, "");
}
END_TEST

START_TEST(says_who_has_logged_in)
{
	struct judge_input input = stranger();

	input.spf.known = input.spf_helo.known = JUDGE_NOT_ASKED;
	input.login = SLICE("b;c@example.com");
	assert_results(&input,
		"mx.example.com;\n\tauth=pass smtp.auth=\"b;c@example.com\"");
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
		"mx.example.com;\n\tspf=pass smtp.mailfrom=a@example.net;"
		"\n\tspf=temperror (not known in time) "
		"smtp.helo=mx.example.net;"
		"\n\tiprev=pass policy.iprev=192.0.2.1");
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

/* --- the field ---------------------------------------------------------- */

static const struct {
	struct slice value;
	const char *expected;
} properties[] = {
	{ SLICE_INIT("a@example.com"), "a@example.com" },
	{ SLICE_INIT("a b"), "\"a b\"" },
	{ SLICE_INIT("a@b@c"), "\"a@b@c\"" },
	{ SLICE_INIT(""), "\"\"" },
	{ SLICE_INIT("2001:db8::1"), "\"2001:db8::1\"" },
	{ SLICE_INIT("a\"b\\c"), "\"a\\\"b\\\\c\"" },
	{ SLICE_INIT("a\r\nX: y"), "\"a??X: y\"" },
	{ SLICE_INIT("\xc3\xa4"), "\"\xc3\xa4\"" },
	{ SLICE_INIT("\xe4"), "\"?\"" },
};

START_TEST(quotes_what_others_wrote)
{
	struct str out;

	str_init(&out, RESULTS_MAX);
	results_add_property(&out, "x.y", properties[_i].value);
	ck_assert_str_eq(str_text(&out) + sizeof(" x.y=") - 1,
		properties[_i].expected);
	str_free(&out);
}
END_TEST

START_TEST(leaves_out_what_is_too_long)
{
	char text[RESULTS_VALUE_MAX + 1];
	struct str out;

	memset(text, 'a', sizeof(text));
	str_init(&out, RESULTS_MAX);
	results_add_property(&out, "x.y", (struct slice){ text, sizeof(text) });
	ck_assert_uint_eq(out.len, 0);
	str_free(&out);
}
END_TEST

static const struct {
	struct slice value;
	bool is_ours;
} claims[] = {
	{ SLICE_INIT("mx.example.com; spf=pass"), true },
	{ SLICE_INIT("MX.Example.Com;"), true },
	{ SLICE_INIT("mx.example.com"), true },
	{ SLICE_INIT("mx.example.com 1; spf=pass"), true },
	{ SLICE_INIT("mx.example.com(x);"), true },
	{ SLICE_INIT("\r\n\t(a (b) \\) c) (d)\r\n mx.example.com;"), true },
	{ SLICE_INIT("\"mx.example.com\"; none"), true },
	{ SLICE_INIT("\"m\\x.example.com\" 1"), true },
	{ SLICE_INIT("\"mx.example.com"), true },
	{ SLICE_INIT("; spf=pass"), true },
	{ SLICE_INIT(""), true },
	{ SLICE_INIT("(mx.example.com; spf=pass"), true },
	{ SLICE_INIT("a.mx.example.com; spf=pass"), false },
	{ SLICE_INIT("mx.example.com.net; spf=pass"), false },
	{ SLICE_INIT("\"mx.example.co\"; spf=pass"), false },
	{ SLICE_INIT("\"mx.example.comm\"; spf=pass"), false },
	{ SLICE_INIT("(mx.example.com) other.example; none"), false },
	{ SLICE_INIT("other.example; x=mx.example.com"), false },
};

START_TEST(knows_who_claims_to_be_us)
{
	ck_assert_msg(results_claim(claims[_i].value, "mx.example.com") ==
			      claims[_i].is_ours,
		"%.*s", SLICE_ARG(claims[_i].value));
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
	tcase_add_test(tcase, says_nothing_without_an_address);
	tcase_add_test(tcase, says_who_has_logged_in);
	tcase_add_test(tcase, removes_what_is_forged_unless_it_is_trusted);
	tcase_add_test(tcase, what_is_late_is_a_temporary_error_or_defers);
	tcase_add_test(tcase, refuses_what_is_over_the_limit);
	tcase_add_loop_test(tcase, quotes_what_others_wrote, 0,
		sizeof(properties) / sizeof(properties[0]));
	tcase_add_test(tcase, leaves_out_what_is_too_long);
	tcase_add_loop_test(tcase, knows_who_claims_to_be_us, 0,
		sizeof(claims) / sizeof(claims[0]));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
