#include "common/mail/auth_results.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define OURS "mx.example.org"
#define FAKE "; dkim=pass header.d=bank.example"

struct field {
	const char *name;
	struct slice value;
};

/* What a stranger may not send. */
static const struct field claims[] = {
	{ "as it is", SLICE_INIT(OURS FAKE) },
	{ "in another case", SLICE_INIT("MX.Example.ORG" FAKE) },
	{ "behind white space", SLICE_INIT(" \t " OURS FAKE) },
	{ "on the next line", SLICE_INIT("\r\n " OURS FAKE) },
	{ "on the next line, as milters see it", SLICE_INIT("\n\t" OURS FAKE) },
	{ "white space behind it", SLICE_INIT(OURS " \n " FAKE) },
	{ "alone", SLICE_INIT(OURS) },
	{ "with a version", SLICE_INIT(OURS " 1" FAKE) },
	{ "with another version", SLICE_INIT(OURS " 2" FAKE) },
	{ "with a comment before it", SLICE_INIT("(a)" OURS FAKE) },
	{ "with a comment behind it", SLICE_INIT(OURS "(a)" FAKE) },
	{ "with comments all around",
		SLICE_INIT("(a)(b(c)) " OURS " (d) 1 (e)" FAKE) },
	{ "in quotes", SLICE_INIT("\"" OURS "\"" FAKE) },
	{ "in quotes, escaped", SLICE_INIT("\"m\\x.example.\\o\\r\\g\"" FAKE) },
	{ "in quotes, folded", SLICE_INIT("\"\r\n " OURS "\"" FAKE) },
	{ "in quotes, with a blank", SLICE_INIT("\" " OURS " \"" FAKE) },
	{ "in quotes, with results", SLICE_INIT("\"" OURS FAKE "\"; none") },
	{ "in quotes, encoded",
		SLICE_INIT("\"=?utf-8?q?mx.example=2Eorg?=\"" FAKE) },
	{ "with a dot at the end", SLICE_INIT(OURS "." FAKE) },
	{ "with a dot in quotes", SLICE_INIT("\"" OURS ".\"" FAKE) },
	{ "and junk of a word behind it", SLICE_INIT(OURS "!x" FAKE) },
	{ "and junk behind it", SLICE_INIT(OURS "/x" FAKE) },
	{ "and an equals sign", SLICE_INIT(OURS "=x" FAKE) },
	{ "and a comma", SLICE_INIT(OURS ",other.example" FAKE) },
	{ "and a quote", SLICE_INIT(OURS "\"x\"" FAKE) },
	{ "and another id", SLICE_INIT(OURS " other.example" FAKE) },
	{ "in angle brackets", SLICE_INIT("<" OURS ">" FAKE) },
	{ "with results that are malformed", SLICE_INIT(OURS "; dkim=") },
	{ "with an open comment", SLICE_INIT(OURS "; dkim=pass (a") },
	/* Names that are the same. */
	{ "in full width",
		SLICE_INIT("\xef\xbd\x8d\xef\xbd\x98.example.org" FAKE) },
	{ "with an ideographic dot", SLICE_INIT("mx\xe3\x80\x82"
						"example.org" FAKE) },
	{ "with a soft hyphen", SLICE_INIT("mx\xc2\xad.example.org" FAKE) },
	{ "with a space of no width",
		SLICE_INIT("mx\xe2\x80\x8b.example.org" FAKE) },
	{ "with a no-break space", SLICE_INIT(OURS "\xc2\xa0" FAKE) },
	{ "with an ideographic space", SLICE_INIT("\xe3\x80\x80" OURS FAKE) },
	/* Nobody can tell. */
	{ "nothing", SLICE_INIT("") },
	{ "white space", SLICE_INIT(" ") },
	{ "a comment", SLICE_INIT("(" OURS ")") },
	{ "no id", SLICE_INIT(FAKE) },
	{ "an empty id", SLICE_INIT("\"\"" FAKE) },
	{ "an open quote", SLICE_INIT("\"other.example" FAKE) },
	{ "an open comment before it", SLICE_INIT("(a other.example" FAKE) },
	{ "an encoded word", SLICE_INIT("=?utf-8?q?mx.example.org?=" FAKE) },
	{ "an encoded word in a word",
		SLICE_INIT("mx.=?utf-8?q?example.org?=" FAKE) },
	{ "an encoded word behind another id",
		SLICE_INIT("other.example =?utf-8?q?x?=" FAKE) },
	{ "another id and ours", SLICE_INIT("other.example " OURS FAKE) },
	{ "an address", SLICE_INIT("a@" OURS FAKE) },
	{ "no semicolon", SLICE_INIT("other.example dkim=pass") },
	{ "a name that the DNS could not have",
		SLICE_INIT("\xe2\x98\x83\xf0\x9f\x98\x80..example" FAKE) },
	/* Comments that end early for some. */
	{ "a comment in a comment",
		SLICE_INIT("((a) " OURS FAKE "(b)) other.example; none") },
	{ "an escape in a comment",
		SLICE_INIT("(\\) mx.example.org" FAKE "\\() other.example") },
	{ "an escape in a comment without our id",
		SLICE_INIT(
			"(a\\) mx.other.example; x=y (b\\)) o.example; none") },
	{ "an encoded comment",
		SLICE_INIT("(=?utf-8?q?=29mx=2Eexample.org?=) other.example") },
	{ "an encoded comment behind the id",
		SLICE_INIT("o.example (=?utf-8?q?=29?=) 1 ; none") },
	{ "our id in a comment behind the version",
		SLICE_INIT("o.example 1 (" OURS "); none") },
	/* Where a field ends. */
	{ "a NUL", SLICE_INIT("other.example\0" FAKE) },
	{ "a NUL behind the results", SLICE_INIT("other.example; none\0") },
	{ "a CR", SLICE_INIT("other.example; none (\r" OURS FAKE ")") },
	{ "the end of a line",
		SLICE_INIT("other.example; none\r\n" OURS FAKE) },
	{ "a line of blanks",
		SLICE_INIT("other.example; none\n \n (" OURS FAKE ")") },
	{ "a form feed", SLICE_INIT("other.example; none\f") },
	{ "NEL", SLICE_INIT("other.example; none\xc2\x85") },
	{ "U+2028", SLICE_INIT("other.example; none (\xe2\x80\xa8)") },
	{ "what is not UTF-8", SLICE_INIT("other.example; none (\xe4)") },
};

/* What others wrote. */
static const struct field others[] = {
	{ "another id", SLICE_INIT("mx.example.net; spf=pass") },
	{ "one that ends as ours", SLICE_INIT("a.mx.example.org; spf=pass") },
	{ "one that ends as ours, behind a hyphen",
		SLICE_INIT("a-mx.example.org; spf=pass") },
	{ "one that ends as ours, behind a letter",
		SLICE_INIT("amx.example.org; spf=pass") },
	{ "one that begins as ours",
		SLICE_INIT("mx.example.org.example.net; spf=pass") },
	{ "one that begins as ours, before a hyphen",
		SLICE_INIT("mx.example.org-a; spf=pass") },
	{ "one that begins as ours, before a letter",
		SLICE_INIT("mx.example.orga; spf=pass") },
	{ "a part of ours", SLICE_INIT("example.org; spf=pass") },
	{ "one in quotes that begins as ours",
		SLICE_INIT("\"mx.example.org.net\"; spf=pass") },
	{ "no name", SLICE_INIT("mx_1!; spf=pass") },
	{ "comments", SLICE_INIT("(a(b)) mx.example.net (c) 1 (d); spf=pass") },
	{ "a comment with a longer name",
		SLICE_INIT("(a.mx.example.org) mx.example.net; spf=pass") },
	{ "another version", SLICE_INIT("mx.example.net 2; spf=pass") },
	{ "our id among the results",
		SLICE_INIT("mx.example.net; spf=pass smtp.helo=mx.example.org"
			   " (mx.example.org; dkim=pass)") },
	{ "results that are malformed", SLICE_INIT("mx.example.net; spf=") },
	{ "an encoded word among the results",
		SLICE_INIT("mx.example.net; spf=pass (=?utf-8?q?a?=)") },
	{ "no results", SLICE_INIT("mx.example.net") },
	{ "folded", SLICE_INIT("\n\tmx.example.net;\n\tspf=pass") },
	{ "in UTF-8", SLICE_INIT("m\xc3\xbc.example; spf=pass") },
	{ "UTF-8 before ours", SLICE_INIT("\xc3\xbcmx.example.org; spf=pass") },
};

START_TEST(claims_are_seen)
{
	ck_assert_msg(auth_results_claim(claims[_i].value, SLICE(OURS)), "%s",
		claims[_i].name);
}
END_TEST

START_TEST(others_are_let_alone)
{
	ck_assert_msg(!auth_results_claim(others[_i].value, SLICE(OURS)), "%s",
		others[_i].name);
}
END_TEST

/* Of a claim everything that stands before it is one, or empty. */
START_TEST(our_id_may_be_in_utf8)
{
	const struct slice utf8 = SLICE("mx.m\xc3\xbcller.example");
	const struct slice ascii = SLICE("mx.xn--mller-kva.example");
	const struct slice ids[] = { utf8, ascii,
		SLICE("MX.M\xc3\x9cLLER.example"),
		SLICE("mx.mu\xcc\x88ller.example"),
		SLICE("(mx.xn--mller-kva"
		      ".example) a.example"),
		SLICE("(mx.m\xc3\xbcller.example) b") };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ck_assert_msg(auth_results_claim(ids[i], utf8), "%zu", i);
	for (size_t i = 0; i < 5; i++)
		ck_assert_msg(auth_results_claim(ids[i], ascii), "%zu", i);
	ck_assert(!auth_results_claim(SLICE("mx.mueller.example"), utf8));
}
END_TEST

START_TEST(our_id_may_be_a_word)
{
	ck_assert(
		auth_results_claim(SLICE("mailhost; none"), SLICE("mailhost")));
	ck_assert(!auth_results_claim(SLICE("mailhost.example.org; none"),
		SLICE("mailhost")));
	ck_assert(auth_results_claim(SLICE("mx.example.org; none"),
		SLICE("MX.example.org.")));
}
END_TEST

/* One that is too long is nobody's. */
START_TEST(ids_are_bounded)
{
	struct str value;

	str_init(&value, 4096);
	for (size_t i = 0; i < 1024; i++)
		str_append_char(&value, 'a');
	str_append_text(&value, "; none");
	ck_assert(!auth_results_claim(str_slice(&value), SLICE(OURS)));
	str_reset(&value);
	for (size_t i = 0; i < 1025; i++)
		str_append_char(&value, 'a');
	str_append_text(&value, "; none");
	ck_assert(auth_results_claim(str_slice(&value), SLICE(OURS)));
	str_free(&value);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("auth_results_claim");
	TCase *tcase = tcase_create("auth_results_claim");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, claims_are_seen, 0, N(claims));
	tcase_add_loop_test(tcase, others_are_let_alone, 0, N(others));
	tcase_add_test(tcase, our_id_may_be_in_utf8);
	tcase_add_test(tcase, our_id_may_be_a_word);
	tcase_add_test(tcase, ids_are_bounded);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
