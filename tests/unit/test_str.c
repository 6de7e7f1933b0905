#include "common/base/str.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define REPLACEMENT     "\xef\xbf\xbd"

static void
assert_slice(struct slice s, const char *expected)
{
	ck_assert_msg(slice_eq_text(s, expected), "\"%.*s\", not \"%s\"",
		SLICE_ARG(s), expected);
}

static int
sign(int number)
{
	return (number > 0) - (number < 0);
}

static const struct {
	struct slice a, b;
	int order;
	bool case_eq;
} orders[] = {
	{ SLICE_INIT(""), SLICE_INIT(""), 0, true },
	{ SLICE_INIT("a"), SLICE_INIT("a"), 0, true },
	{ SLICE_INIT("a"), SLICE_INIT("A"), 1, true },
	{ SLICE_INIT("User@Example.COM"), SLICE_INIT("user@example.com"), -1,
		true },
	{ SLICE_INIT("a"), SLICE_INIT("ab"), -1, false },
	{ SLICE_INIT(""), SLICE_INIT("a"), -1, false },
	{ SLICE_INIT("b"), SLICE_INIT("ab"), 1, false },
	{ SLICE_INIT("a\0b"), SLICE_INIT("a\0c"), -1, false },
	{ SLICE_INIT("\xff"), SLICE_INIT("a"), 1, false },
	/* Not letters, although they differ by the same bit. */
	{ SLICE_INIT("@["), SLICE_INIT("`{"), -1, false },
	/* Not folded: no locale. */
	{ SLICE_INIT("\xc3\x84"), SLICE_INIT("\xc3\xa4"), -1, false },
	{ { NULL, 0 }, SLICE_INIT(""), 0, true },
};

START_TEST(compares)
{
	struct slice a = orders[_i].a, b = orders[_i].b;

	ck_assert_int_eq(sign(slice_compare(a, b)), orders[_i].order);
	ck_assert_int_eq(sign(slice_compare(b, a)), -orders[_i].order);
	ck_assert(slice_eq(a, b) == (orders[_i].order == 0));
	ck_assert(slice_case_eq(a, b) == orders[_i].case_eq);
}
END_TEST

START_TEST(finds)
{
	struct slice s = SLICE("a.b.c");

	ck_assert_int_eq(slice_find(s, '.'), 1);
	ck_assert_int_eq(slice_find_last(s, '.'), 3);
	ck_assert_int_eq(slice_find(s, '@'), -1);
	ck_assert_int_eq(slice_find_last(s, '@'), -1);
	ck_assert_int_eq(slice_find(slice_of(NULL), 'a'), -1);
	ck_assert_int_eq(slice_find_last(slice_of(NULL), 'a'), -1);
	ck_assert(slice_has_byte(s, 'c') && !slice_has_byte(s, '\0'));
	ck_assert(slice_starts(s, SLICE("a.")) && slice_starts(s, s));
	ck_assert(slice_starts(s, SLICE("")) && !slice_starts(s, SLICE("b")));
	ck_assert(!slice_starts(s, SLICE("a.b.c.")));
	ck_assert(slice_ends(s, SLICE(".c")) && slice_ends(s, SLICE("")));
	ck_assert(!slice_ends(s, SLICE("b")));
	ck_assert(!slice_ends(s, SLICE("a.a.b.c")));
	ck_assert(slice_eq_text(slice_of(NULL), ""));
}
END_TEST

START_TEST(takes_parts)
{
	struct slice s = SLICE("abc");

	assert_slice(slice_part(s, 0, 3), "abc");
	assert_slice(slice_part(s, 1, 2), "b");
	assert_slice(slice_part(s, 1, 99), "bc");
	assert_slice(slice_part(s, 2, 1), "");
	assert_slice(slice_part(s, 3, 4), "");
	assert_slice(slice_part(s, 9, 10), "");
	assert_slice(slice_from(s, 1), "bc");
	assert_slice(slice_from(s, 4), "");
	assert_slice(slice_from(slice_of(NULL), 0), "");
	assert_slice(slice_trim(SLICE(" \t a b\r\n")), "a b");
	assert_slice(slice_trim(SLICE(" \r\n\t ")), "");
	assert_slice(slice_trim(SLICE("\va")), "\va");
}
END_TEST

static const struct {
	const char *text;
	const char *parts[4]; /* up to a NULL */
} splits[] = {
	{ "a,b,c", { "a", "b", "c" } },
	{ "a", { "a" } },
	{ "", { "" } },
	{ ",", { "", "" } },
	{ "a,", { "a", "" } },
	{ ",a", { "", "a" } },
	{ NULL, { NULL } },
};

START_TEST(splits_text)
{
	struct slice rest = slice_of(splits[_i].text), part;
	size_t n = 0;

	while (slice_split(&rest, ',', &part)) {
		ck_assert_ptr_nonnull(splits[_i].parts[n]);
		assert_slice(part, splits[_i].parts[n++]);
	}
	ck_assert_ptr_null(splits[_i].parts[n]);
	ck_assert_ptr_null(rest.ptr);
}
END_TEST

START_TEST(copies)
{
	struct arena *arena = arena_new(1000);
	struct slice mixed = { "AbZ@[\xc3\x84x", 7 }, copy;
	char *text;

	copy = slice_copy(arena, mixed);
	ck_assert(slice_eq(copy, mixed));
	ck_assert_ptr_ne(copy.ptr, mixed.ptr);
	ck_assert_int_eq(copy.ptr[copy.len], '\0');
	copy = slice_lower(arena, mixed);
	assert_slice(copy, "abz@[\xc3\x84");
	ck_assert_int_eq(copy.ptr[copy.len], '\0');
	assert_slice(slice_lower(arena, slice_of(NULL)), "");
	text = slice_strdup(mixed);
	ck_assert_str_eq(text, "AbZ@[\xc3\x84");
	x_free(text);
	text = slice_strdup(slice_of(NULL));
	ck_assert_str_eq(text, "");
	x_free(text);
	arena_free(arena);
}
END_TEST

/* What is well-formed, and the JSON string that comes of it in any case. */
static const struct {
	const char *name;
	struct slice bytes;
	bool is_utf8;
	const char *json;
} texts[] = {
	{ "nothing", SLICE_INIT(""), true, "\"\"" },
	{ "ASCII", SLICE_INIT("abc ~/<>&'"), true, "\"abc ~/<>&'\"" },
	{ "quotes", SLICE_INIT("a\"b\\c"), true, "\"a\\\"b\\\\c\"" },
	{ "short escapes", SLICE_INIT("\b\f\n\r\t"), true,
		"\"\\b\\f\\n\\r\\t\"" },
	{ "controls", SLICE_INIT("\x01\x1f\x7f"), true,
		"\"\\u0001\\u001f\\u007f\"" },
	{ "NUL", SLICE_INIT("a\0b"), false, "\"a\\u0000b\"" },
	{ "two bytes, lowest", SLICE_INIT("\xc2\x80"), true, "\"\\u0080\"" },
	{ "two bytes, highest", SLICE_INIT("\xdf\xbf"), true, "\"\xdf\xbf\"" },
	{ "three bytes, lowest", SLICE_INIT("\xe0\xa0\x80"), true,
		"\"\xe0\xa0\x80\"" },
	{ "before surrogates", SLICE_INIT("\xed\x9f\xbf"), true,
		"\"\xed\x9f\xbf\"" },
	{ "after surrogates", SLICE_INIT("\xee\x80\x80"), true,
		"\"\xee\x80\x80\"" },
	{ "four bytes, lowest", SLICE_INIT("\xf0\x90\x80\x80"), true,
		"\"\xf0\x90\x80\x80\"" },
	{ "four bytes, highest", SLICE_INIT("\xf4\x8f\xbf\xbf"), true,
		"\"\xf4\x8f\xbf\xbf\"" },
	{ "a stray continuation", SLICE_INIT("a\x80z"), false,
		"\"a" REPLACEMENT "z\"" },
	{ "Latin 1", SLICE_INIT("M\xfcller"), false,
		"\"M" REPLACEMENT "ller\"" },
	{ "overlong slash", SLICE_INIT("\xc0\xaf"), false,
		"\"" REPLACEMENT REPLACEMENT "\"" },
	{ "overlong, three bytes", SLICE_INIT("\xe0\x9f\xbf"), false,
		"\"" REPLACEMENT REPLACEMENT REPLACEMENT "\"" },
	{ "overlong, four bytes", SLICE_INIT("\xf0\x8f\xbf\xbf"), false,
		"\"" REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT "\"" },
	{ "control characters of ISO 8859-1", SLICE_INIT("\xc2\x9b[2J\xc2\xa0"),
		true, "\"\\u009b[2J\xc2\xa0\"" },
	{ "what turns the direction", SLICE_INIT("a\xe2\x80\xaez\xe2\x81\xa6"),
		true, "\"a\\u202ez\\u2066\"" },
	{ "a surrogate", SLICE_INIT("\xed\xa0\x80"), false,
		"\"" REPLACEMENT REPLACEMENT REPLACEMENT "\"" },
	{ "above U+10FFFF", SLICE_INIT("\xf4\x90\x80\x80"), false,
		"\"" REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT "\"" },
	{ "no such byte", SLICE_INIT("\xf5\xff"), false,
		"\"" REPLACEMENT REPLACEMENT "\"" },
	{ "cut after one of two", SLICE_INIT("a\xc3"), false,
		"\"a" REPLACEMENT "\"" },
	{ "cut after two of three", SLICE_INIT("\xe2\x82"), false,
		"\"" REPLACEMENT REPLACEMENT "\"" },
	{ "cut after three of four", SLICE_INIT("\xf0\x9f\x98"), false,
		"\"" REPLACEMENT REPLACEMENT REPLACEMENT "\"" },
	{ "a lead instead of a tail", SLICE_INIT("\xe2\x82\xc3\xa4"), false,
		"\"" REPLACEMENT REPLACEMENT "\xc3\xa4\"" },
	{ "ASCII instead of a tail", SLICE_INIT("\xc3\"x"), false,
		"\"" REPLACEMENT "\\\"x\"" },
};

START_TEST(knows_utf8)
{
	ck_assert_msg(slice_is_utf8(texts[_i].bytes) == texts[_i].is_utf8, "%s",
		texts[_i].name);
}
END_TEST

START_TEST(writes_json_strings)
{
	struct str str = { .limit = 100 };

	str_append_json(&str, texts[_i].bytes);
	ck_assert_str_eq(str_text(&str), texts[_i].json);
	ck_assert(slice_is_utf8(str_slice(&str)));
	str_free(&str);
}
END_TEST

static const struct {
	const char *a, *b;
	unsigned distance;
} distances[] = {
	{ "", "", 0 },
	{ "", "abc", 3 },
	{ "abc", "abc", 0 },
	{ "abc", "abd", 1 },
	{ "abc", "ab", 1 },
	{ "abc", "xabc", 1 },
	{ "abc", "acb", 1 },
	{ "ca", "abc", 3 },
	{ "kitten", "sitting", 3 },
	{ "graylisting", "greylisting", 1 },
};

START_TEST(measures_the_distance_of_words)
{
	struct slice a = slice_of(distances[_i].a),
		     b = slice_of(distances[_i].b);

	ck_assert_uint_eq(slice_distance(a, b), distances[_i].distance);
	ck_assert_uint_eq(slice_distance(b, a), distances[_i].distance);
}
END_TEST

START_TEST(measures_the_beginning_of_long_words)
{
	char a[100], b[100];

	memset(a, 'a', sizeof(a));
	memset(b, 'a', sizeof(b));
	b[63] = 'b';
	ck_assert_uint_eq(slice_distance((struct slice){ a, sizeof(a) },
				  (struct slice){ b, sizeof(b) }),
		0);
	memset(b, 'b', sizeof(b));
	ck_assert_uint_eq(slice_distance((struct slice){ a, sizeof(a) },
				  (struct slice){ b, sizeof(b) }),
		63);
}
END_TEST

static const struct {
	const char *word;
	const char *nearest;
} guesses[] = {
	{ "greylsit", "greylist" },
	{ "graylisting", "greylist" },
	{ "throtle", "throttle" },
	{ "throttle", "throttle" },
	{ "white", NULL },
	{ "rejct", "reject" },
	{ "x", NULL },
	{ "", NULL },
	{ "no", NULL },
	{ "of", "off" },
	{ "something", NULL },
};

START_TEST(guesses_the_word_that_was_meant)
{
	static const char *const words[] = { "greylist", "throttle", "reject",
		"off", "whitelist" };
	const char *nearest = slice_nearest(slice_of(guesses[_i].word), words,
		COUNT_OF(words));

	ck_assert_pstr_eq(nearest, guesses[_i].nearest);
}
END_TEST

START_TEST(builds_text)
{
	struct str str;

	str_init(&str, 1000);
	ck_assert_str_eq(str_text(&str), "");
	ck_assert_uint_eq(str_slice(&str).len, 0);
	str_append(&str, NULL, 0);
	str_append_text(&str, "text ");
	str_append_slice(&str, SLICE("slice "));
	str_append_char(&str, 'c');
	str_printf(&str, " %s=%d ", "printf", 5);
	str_append_u64(&str, 0);
	str_append_char(&str, ' ');
	str_append_u64(&str, UINT64_MAX);
	str_append_char(&str, ' ');
	str_append_i64(&str, -12);
	str_append_i64(&str, INT64_MIN);
	str_append_i64(&str, 34);
	ck_assert_str_eq(str_text(&str),
		"text slice c printf=5 0 18446744073709551615 "
		"-12-922337203685477580834");
	ck_assert_uint_eq(str.len, strlen(str_text(&str)));
	ck_assert(!str.is_cut);
	str_reset(&str);
	ck_assert_str_eq(str_text(&str), "");
	str_append_text(&str, "again");
	ck_assert_str_eq(str_text(&str), "again");
	str_free(&str);
	ck_assert_str_eq(str_text(&str), "");
}
END_TEST

/* At each length from nothing to beyond the limit. */
START_TEST(keeps_the_beginning_at_its_limit)
{
	char expected[131];

	for (size_t limit = 0; limit <= 130; limit++) {
		struct str by_char = { .limit = limit };
		struct str by_text = { .limit = limit };
		struct str by_format = { .limit = limit };

		for (unsigned i = 0; i < 130; i += 10) {
			for (unsigned j = 0; j < 10; j++)
				str_append_char(&by_char, (char)('0' + j));
			str_append_text(&by_text, "0123456789");
			str_printf(&by_format, "%s", "0123456789");
		}
		for (size_t i = 0; i < limit; i++)
			expected[i] = (char)('0' + i % 10);
		expected[limit] = '\0';
		ck_assert_str_eq(str_text(&by_char), expected);
		ck_assert_str_eq(str_text(&by_text), expected);
		ck_assert_str_eq(str_text(&by_format), expected);
		ck_assert(by_char.is_cut == (limit < 130));
		ck_assert(by_text.is_cut == (limit < 130));
		ck_assert(by_format.is_cut == (limit < 130));
		ck_assert_uint_le(by_char.size, limit + 1);
		str_free(&by_char);
		str_free(&by_text);
		str_free(&by_format);
	}
}
END_TEST

START_TEST(starts_anew_after_a_cut)
{
	struct str str = { .limit = 3 };

	str_append_text(&str, "abcd");
	ck_assert(str.is_cut);
	str_append_char(&str, 'e');
	ck_assert_str_eq(str_text(&str), "abc");
	str_reset(&str);
	ck_assert(!str.is_cut);
	str_append_text(&str, "xyz");
	ck_assert_str_eq(str_text(&str), "xyz");
	ck_assert(!str.is_cut);
	str_free(&str);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, compares, 0, COUNT_OF(orders));
	tcase_add_test(tcase, finds);
	tcase_add_test(tcase, takes_parts);
	tcase_add_loop_test(tcase, splits_text, 0, COUNT_OF(splits));
	tcase_add_test(tcase, copies);
	tcase_add_loop_test(tcase, knows_utf8, 0, COUNT_OF(texts));
	tcase_add_loop_test(tcase, writes_json_strings, 0, COUNT_OF(texts));
	tcase_add_loop_test(tcase, measures_the_distance_of_words, 0,
		COUNT_OF(distances));
	tcase_add_test(tcase, measures_the_beginning_of_long_words);
	tcase_add_loop_test(tcase, guesses_the_word_that_was_meant, 0,
		COUNT_OF(guesses));
	tcase_add_test(tcase, builds_text);
	tcase_add_test(tcase, keeps_the_beginning_at_its_limit);
	tcase_add_test(tcase, starts_anew_after_a_cut);
}

int
main(void)
{
	Suite *suite = suite_create("str");
	TCase *tcase = tcase_create("str");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
