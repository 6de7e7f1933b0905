#include "policyd/postfix_map.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* --- frames ------------------------------------------------------------- */

static const struct {
	const char *name;
	enum postfix_map_kind kind;
	struct slice input;
	ptrdiff_t used;
	const char *request;
} frames[] = {
	{ "nothing", POSTFIX_MAP_TCP, SLICE_INIT(""), 0, NULL },
	{ "half a line", POSTFIX_MAP_TCP, SLICE_INIT("get a"), 0, NULL },
	{ "a line", POSTFIX_MAP_TCP, SLICE_INIT("get a\n"), 6, "get a" },
	{ "an empty line", POSTFIX_MAP_TCP, SLICE_INIT("\nx"), 1, "" },
	{ "two lines", POSTFIX_MAP_TCP, SLICE_INIT("get a\nget b\n"), 6,
		"get a" },

	{ "no netstring yet", POSTFIX_MAP_SOCKETMAP, SLICE_INIT(""), 0, NULL },
	{ "a length", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3"), 0, NULL },
	{ "a whole length", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3:"), 0, NULL },
	{ "no comma yet", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3:abc"), 0, NULL },
	{ "a netstring", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3:abc,"), 6,
		"abc" },
	{ "any bytes", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3:\n,:,4:"), 6,
		"\n,:" },
	{ "empty", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("0:,"), 3, "" },
	{ "another end", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3:abc;"), -1,
		NULL },
	{ "too long by one", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("2:abc,"), -1,
		NULL },
	{ "no length", POSTFIX_MAP_SOCKETMAP, SLICE_INIT(":abc,"), -1, NULL },
	{ "a sign", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("-1:"), -1, NULL },
	{ "a blank", POSTFIX_MAP_SOCKETMAP, SLICE_INIT(" 3:abc,"), -1, NULL },
	{ "a letter", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("3x"), -1, NULL },
	{ "the most", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("10000:"), 0, NULL },
	{ "one more", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("10001:"), -1, NULL },
	{ "said early", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("99999"), -1, NULL },
	{ "six digits", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("000003:abc,"), -1,
		NULL },
	{ "a line, not a netstring", POSTFIX_MAP_SOCKETMAP,
		SLICE_INIT("get a\n"), -1, NULL },
};

START_TEST(requests_are_framed)
{
	struct slice request = SLICE("");
	const char *err = NULL;
	const ptrdiff_t used = postfix_map_frame(frames[_i].kind,
		frames[_i].input, &request, &err);

	ck_assert_msg(used == frames[_i].used, "%s: %td", frames[_i].name,
		used);
	if (used < 0)
		ck_assert_ptr_nonnull(err);
	if (used > 0)
		ck_assert_msg(slice_eq_text(request, frames[_i].request), "%s",
			frames[_i].name);
}
END_TEST

START_TEST(a_line_has_a_bound)
{
	char input[POSTFIX_MAP_LINE_MAX + 2];
	struct slice request;
	const char *err;

	memset(input, 'x', sizeof(input));
	input[POSTFIX_MAP_LINE_MAX] = '\n';
	ck_assert_int_eq(
		postfix_map_frame(POSTFIX_MAP_TCP,
			(struct slice){ input, POSTFIX_MAP_LINE_MAX + 1 },
			&request, &err),
		POSTFIX_MAP_LINE_MAX + 1);
	input[POSTFIX_MAP_LINE_MAX] = 'x';
	ck_assert_int_eq(
		postfix_map_frame(POSTFIX_MAP_TCP,
			(struct slice){ input, POSTFIX_MAP_LINE_MAX + 1 },
			&request, &err),
		-1);
}
END_TEST

/* --- requests ----------------------------------------------------------- */

static const struct {
	const char *name;
	enum postfix_map_kind kind;
	struct slice request;
	const char *map;
	struct slice key;
	bool is_one;
} requests[] = {
	{ "plain", POSTFIX_MAP_TCP, SLICE_INIT("get a@b.example"), "",
		SLICE_INIT("a@b.example"), true },
	{ "coded", POSTFIX_MAP_TCP, SLICE_INIT("get a%20%25%c3%BC"), "",
		SLICE_INIT("a %\xc3\xbc"), true },
	{ "a NUL", POSTFIX_MAP_TCP, SLICE_INIT("get a%00b"), "",
		SLICE_INIT("a\0b"), true },
	{ "nothing", POSTFIX_MAP_TCP, SLICE_INIT("get "), "", SLICE_INIT(""),
		true },
	{ "two blanks", POSTFIX_MAP_TCP, SLICE_INIT("get  a"), "",
		SLICE_INIT(" a"), true },
	{ "no blank", POSTFIX_MAP_TCP, SLICE_INIT("get"), "", SLICE_INIT(""),
		false },
	{ "empty", POSTFIX_MAP_TCP, SLICE_INIT(""), "", SLICE_INIT(""), false },
	{ "capitals", POSTFIX_MAP_TCP, SLICE_INIT("GET a"), "", SLICE_INIT(""),
		false },
	{ "put", POSTFIX_MAP_TCP, SLICE_INIT("put a b"), "", SLICE_INIT(""),
		false },
	{ "half a code", POSTFIX_MAP_TCP, SLICE_INIT("get a%2"), "",
		SLICE_INIT(""), false },
	{ "only a percent", POSTFIX_MAP_TCP, SLICE_INIT("get %"), "",
		SLICE_INIT(""), false },
	{ "no digits", POSTFIX_MAP_TCP, SLICE_INIT("get a%zz"), "",
		SLICE_INIT(""), false },

	{ "a map", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("forward a b%20"),
		"forward", SLICE_INIT("a b%20"), true },
	{ "no map", POSTFIX_MAP_SOCKETMAP, SLICE_INIT(" a"), "",
		SLICE_INIT("a"), true },
	{ "no key", POSTFIX_MAP_SOCKETMAP, SLICE_INIT("forward"), "",
		SLICE_INIT(""), false },
};

START_TEST(requests_are_read)
{
	struct slice name = SLICE("?");
	struct str key;
	bool is_one;

	str_init(&key, POSTFIX_MAP_INPUT_MAX);
	is_one = postfix_map_read(requests[_i].kind, requests[_i].request,
		&name, &key);
	ck_assert_msg(is_one == requests[_i].is_one, "%s", requests[_i].name);
	if (is_one) {
		ck_assert_msg(slice_eq_text(name, requests[_i].map), "%s: %.*s",
			requests[_i].name, SLICE_ARG(name));
		ck_assert_msg(slice_eq(str_slice(&key), requests[_i].key),
			"%s: %s", requests[_i].name, str_text(&key));
	}
	str_free(&key);
}
END_TEST

/* --- answers ------------------------------------------------------------ */

static const struct {
	enum postfix_map_kind kind;
	enum postfix_map_status status;
	const char *text, *bytes;
} answers[] = {
	{ POSTFIX_MAP_TCP, POSTFIX_MAP_FOUND, "a+b=/@c.example",
		"200 a+b=/@c.example\n" },
	{ POSTFIX_MAP_TCP, POSTFIX_MAP_FOUND, "\"a b%\"@\xc3\xbc.example",
		"200 \"a%20b%25\"@%C3%BC.example\n" },
	{ POSTFIX_MAP_TCP, POSTFIX_MAP_NOT_FOUND, "It is not.",
		"500 It is not.\n" },
	{ POSTFIX_MAP_TCP, POSTFIX_MAP_TEMPORARY, "100 %\n",
		"400 100 %25%0A\n" },
	{ POSTFIX_MAP_TCP, POSTFIX_MAP_WRONG, "x", "500 x\n" },
	{ POSTFIX_MAP_SOCKETMAP, POSTFIX_MAP_FOUND, "a b%@c", "9:OK a b%@c," },
	{ POSTFIX_MAP_SOCKETMAP, POSTFIX_MAP_NOT_FOUND, "It is not.",
		"9:NOTFOUND ," },
	{ POSTFIX_MAP_SOCKETMAP, POSTFIX_MAP_TEMPORARY, "later",
		"10:TEMP later," },
	{ POSTFIX_MAP_SOCKETMAP, POSTFIX_MAP_WRONG, "no", "7:PERM no," },
};

START_TEST(answers_are_written)
{
	struct str out;

	str_init(&out, 4096);
	postfix_map_answer(answers[_i].kind, answers[_i].status,
		slice_of(answers[_i].text), &out);
	ck_assert_str_eq(str_text(&out), answers[_i].bytes);
	str_free(&out);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("postfix_map");
	TCase *tcase = tcase_create("postfix_map");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, requests_are_framed, 0, N(frames));
	tcase_add_test(tcase, a_line_has_a_bound);
	tcase_add_loop_test(tcase, requests_are_read, 0, N(requests));
	tcase_add_loop_test(tcase, answers_are_written, 0, N(answers));
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
