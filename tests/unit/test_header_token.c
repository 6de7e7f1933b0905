#include "common/mail/header_token.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define BAD "there is a control character or an empty line"

#define TEN_OPEN  "(((((((((("
#define TEN_CLOSE "))))))))))"

/* As "word special", a "~" before what has a gap; what is wrong at the end. */
static void
render(const char *text, size_t len, const char *specials, struct str *out)
{
	struct header_lexer lexer =
		header_lexer((struct slice){ text, len }, specials);
	struct header_token token;

	do {
		token = header_next(&lexer);
		if (out->len > 0)
			str_append_char(out, '|');
		if (token.gap.len > 0)
			str_append_text(out,
				header_has_comment(&token) ? "~(" : "~");
		str_append_slice(out, token.text);
	} while (token.kind != HEADER_END && token.kind != HEADER_MALFORMED);
	if (token.kind == HEADER_MALFORMED)
		str_printf(out, "!%s", lexer.err);
}

static const struct {
	const char *name;
	struct slice text;
	const char *tokens;
} fields[] = {
	{ "nothing", SLICE_INIT(""), "" },
	{ "blanks", SLICE_INIT(" \t "), "~" },
	{ "an address", SLICE_INIT("a.b@example.com"),
		"a|.|b|@|example|.|com|" },
	{ "a name", SLICE_INIT(" \"Bob, x\" <b@c>"),
		"~\"Bob, x\"|~<|b|@|c|>|" },
	{ "an escape in quotes", SLICE_INIT("\"a\\\"b\\\\\"c"),
		"\"a\\\"b\\\\\"|c|" },
	{ "brackets in quotes", SLICE_INIT("\"(<[\""), "\"(<[\"|" },
	{ "nothing in quotes", SLICE_INIT("\"\""), "\"\"|" },
	{ "a comment", SLICE_INIT("a(b)c"), "a|~(c|" },
	{ "comments in comments", SLICE_INIT("(a(b)(c(d)))x"), "~(x|" },
	{ "an escape in a comment", SLICE_INIT("(\\)\\()x"), "~(x|" },
	{ "quotes in a comment", SLICE_INIT("(\")x"), "~(x|" },
	{ "several comments", SLICE_INIT("(a) (b)x (c)"), "~(x|~(" },
	{ "sixteen comments", SLICE_INIT("((((((" TEN_OPEN TEN_CLOSE "))))))x"),
		"~(x|" },
	{ "seventeen", SLICE_INIT("(((((((" TEN_OPEN TEN_CLOSE ")))))))x"),
		"!brackets are nested too deep" },
	{ "a literal", SLICE_INIT("a@[192.0.2.1]"), "a|@|[192.0.2.1]|" },
	{ "an escape in a literal", SLICE_INIT("[\\]]"), "[\\]]|" },
	{ "a literal in a literal", SLICE_INIT("[[]]"),
		"!brackets are nested too deep" },
	{ "a line that goes on", SLICE_INIT("a\r\n b\n\tc"), "a|~b|~c|" },
	{ "and in quotes", SLICE_INIT("\"a\r\n b\""), "\"a\r\n b\"|" },
	{ "and in a comment", SLICE_INIT("(a\n b)c"), "~(c|" },
	{ "lines with blanks around", SLICE_INIT("a \n  b \n\t\tc "),
		"a|~b|~c|~" },
	{ "a line of blanks", SLICE_INIT("a\n \t\n b"), "a|!" BAD },
	{ "a line of blanks at the end", SLICE_INIT("a\n "), "a|!" BAD },
	{ "a line of blanks in quotes", SLICE_INIT("\"a\r\n \r\n b\""),
		"!" BAD },
	{ "UTF-8", SLICE_INIT("m\xc3\xbcller@\xc3\xa4.example"),
		"m\xc3\xbcller|@|\xc3\xa4|.|example|" },
	{ "bytes that are not UTF-8", SLICE_INIT("\xfc\"\xff\"(\xfe)\x80"),
		"\xfc|\"\xff\"|~(\x80|" },
	{ "every atom", SLICE_INIT("!#$%&'*+-/=?^_`{|}~"),
		"!#$%&'*+-/=?^_`{|}~|" },
	{ "every special", SLICE_INIT(")<>]:;@\\,."), ")|<|>|]|:|;|@|\\|,|.|" },
	{ "an open quote", SLICE_INIT("a \"b"),
		"a|~!a quote or a bracket is not closed" },
	{ "an open comment", SLICE_INIT("a (b"),
		"a|~!a quote or a bracket is not closed" },
	{ "an open literal", SLICE_INIT("[b"),
		"!a quote or a bracket is not closed" },
	{ "a backslash at the end", SLICE_INIT("\"b\\"),
		"!a quote or a bracket is not closed" },
	{ "a backslash before the end of a line", SLICE_INIT("\"a\\\r\n b\""),
		"!" BAD },
	{ "NUL", SLICE_INIT("a\0b"), "a|!" BAD },
	{ "NUL in quotes", SLICE_INIT("\"a\0\""), "!" BAD },
	{ "NUL in a comment", SLICE_INIT("(a\0)"), "!" BAD },
	{ "NUL behind a backslash", SLICE_INIT("\"\\\0\""), "!" BAD },
	{ "a bare CR", SLICE_INIT("a\r b"), "a|!" BAD },
	{ "the end of a line", SLICE_INIT("a\r\nb"), "a|!" BAD },
	{ "the end of a line in quotes", SLICE_INIT("\"a\nb\""), "!" BAD },
	{ "the end of the last line", SLICE_INIT("a\r\n"), "a|!" BAD },
	{ "DEL", SLICE_INIT("a\x7f"), "a|!" BAD },
	{ "a form feed", SLICE_INIT("a\f b"), "a|!" BAD },
};

START_TEST(addresses_are_taken_apart)
{
	struct str got;

	str_init(&got, 1000);
	render(fields[_i].text.ptr, fields[_i].text.len,
		HEADER_SPECIALS_ADDRESS, &got);
	ck_assert_msg(strcmp(str_text(&got), fields[_i].tokens) == 0,
		"%s: %s\ninstead of %s", fields[_i].name, str_text(&got),
		fields[_i].tokens);
	str_free(&got);
}
END_TEST

START_TEST(words_of_mime_have_dots)
{
	static const char text[] = "mx.example.com; a=b.c/d?";
	struct str got;

	str_init(&got, 1000);
	render(text, sizeof(text) - 1, HEADER_SPECIALS_MIME, &got);
	ck_assert_str_eq(str_text(&got), "mx.example.com|;|~a|=|b.c|/|d|?|");
	str_free(&got);
}
END_TEST

/* Any part of any of them: nothing behind its end is looked at. */
START_TEST(nothing_is_read_behind_the_end)
{
	const struct slice text = fields[_i].text;

	for (size_t len = 0; len <= text.len; len++) {
		/* The sanitizers know where it ends. */
		char *copy = slice_strdup(slice_part(text, 0, len));
		struct str got;

		copy = x_realloc_array(copy, len + 1, 1);
		copy[len] = '"';
		str_init(&got, 1000);
		render(copy, len, HEADER_SPECIALS_ADDRESS, &got);
		str_free(&got);
		x_free(copy);
	}
}
END_TEST

START_TEST(a_look_ahead_changes_nothing)
{
	struct header_lexer lexer =
		header_lexer(SLICE(" a;"), HEADER_SPECIALS_MIME);
	struct header_token token = header_peek(&lexer);

	ck_assert_int_eq(token.kind, HEADER_WORD);
	token = header_next(&lexer);
	ck_assert_int_eq(token.kind, HEADER_WORD);
	ck_assert(slice_eq_text(token.text, "a"));
	ck_assert(!header_is_special(&token, 'a'));
	token = header_next(&lexer);
	ck_assert(header_is_special(&token, ';'));
	ck_assert(!header_is_special(&token, ','));
	ck_assert_int_eq(header_next(&lexer).kind, HEADER_END);
	ck_assert_int_eq(header_next(&lexer).kind, HEADER_END);
}
END_TEST

START_TEST(what_is_malformed_stays_so)
{
	struct header_lexer lexer =
		header_lexer(SLICE("\"a b c"), HEADER_SPECIALS_MIME);

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(header_next(&lexer).kind, HEADER_MALFORMED);
}
END_TEST

static const struct {
	const char *quoted, *text;
} quoted[] = {
	{ "\"\"", "" },
	{ "\"a\"", "a" },
	{ "\"a b\"", "a b" },
	{ "\"\\a\\\"\\\\\"", "a\"\\" },
	{ "\"a\r\n b\n\tc\"", "a b\tc" },
	{ "\"\xc3\xa4\"", "\xc3\xa4" },
};

START_TEST(quotes_are_taken_off)
{
	struct arena *arena = arena_new(4096);
	const struct slice text =
		header_unquote(arena, slice_of(quoted[_i].quoted));

	ck_assert_msg(slice_eq_text(text, quoted[_i].text), "%.*s",
		SLICE_ARG(text));
	arena_free(arena);
}
END_TEST

static const struct {
	struct slice text;
	size_t max;
	const char *quoted;
} written[] = {
	{ SLICE_INIT(""), 10, "\"\"" },
	{ SLICE_INIT("a b"), 10, "\"a b\"" },
	{ SLICE_INIT("a\"b\\c"), 10, "\"a\\\"b\\\\c\"" },
	{ SLICE_INIT("a\r\nb\0"), 10, "\"a??b?\"" },
	{ SLICE_INIT("\xc3\xa4"), 10, "\"\xc3\xa4\"" },
	{ SLICE_INIT("\xe4"), 10, "\"?\"" },
	{ SLICE_INIT("a\xe2\x80\xa8"), 10, "\"a?\"" },
	{ SLICE_INIT("0123456789a"), 10, "\"012345678\"" },
	{ SLICE_INIT("01234567\""), 10, "\"01234567\\\"\"" },
};

START_TEST(text_is_put_in_quotes)
{
	struct str out;

	str_init(&out, 1000);
	header_append_quoted(&out, written[_i].text, written[_i].max);
	ck_assert_str_eq(str_text(&out), written[_i].quoted);
	str_free(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("header_token");
	TCase *tcase = tcase_create("header_token");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, addresses_are_taken_apart, 0, N(fields));
	tcase_add_test(tcase, words_of_mime_have_dots);
	tcase_add_loop_test(tcase, nothing_is_read_behind_the_end, 0,
		N(fields));
	tcase_add_test(tcase, a_look_ahead_changes_nothing);
	tcase_add_test(tcase, what_is_malformed_stays_so);
	tcase_add_loop_test(tcase, quotes_are_taken_off, 0, N(quoted));
	tcase_add_loop_test(tcase, text_is_put_in_quotes, 0, N(written));
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
