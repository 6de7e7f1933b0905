#include "common/mail/encoded_word.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	struct slice text;
	struct slice whole, words;
} texts[] = {
	{ "none", SLICE_INIT("a =? b"), SLICE_INIT("a =? b"), SLICE_INIT("") },
	{ "Q", SLICE_INIT("=?utf-8?q?a_=3C=62=3e=3D?= c"),
		SLICE_INIT("a <b>= c"), SLICE_INIT("a <b>= ") },
	{ "B", SLICE_INIT("x =?UTF-8?B?YUBiLmM=?="), SLICE_INIT("x a@b.c"),
		SLICE_INIT("a@b.c ") },
	{ "B without padding", SLICE_INIT("=?utf-8?b?YUBiLmM?="),
		SLICE_INIT("a@b.c"), SLICE_INIT("a@b.c ") },
	{ "B with junk", SLICE_INIT("=?utf-8?b?Y*UB.i LmM==?="),
		SLICE_INIT("a@b.c"), SLICE_INIT("a@b.c ") },
	{ "with a language", SLICE_INIT("=?utf-8*en?q?a?="), SLICE_INIT("a"),
		SLICE_INIT("a ") },
	{ "no text",
		SLICE_INIT("a=?utf-8?q?"
			   "?=b"),
		SLICE_INIT("ab"), SLICE_INIT(" ") },
	{ "side by side", SLICE_INIT("=?a?q?b?= \r\n =?a?q?c?= =?a?q?d?=e"),
		SLICE_INIT("bcde"), SLICE_INIT("bcd ") },
	{ "apart", SLICE_INIT("=?a?q?b?= x =?a?q?c?="), SLICE_INIT("b x c"),
		SLICE_INIT("b c ") },
	{ "in quotes and comments",
		SLICE_INIT("\"=?a?q?b?=\"(=?a?q?c?=)=?a?q?d?=<x>"),
		SLICE_INIT("\"b\"(c)d<x>"), SLICE_INIT("b c d ") },
	{ "NUL", SLICE_INIT("=?utf-8?q?a=00b?="), SLICE_INIT("a\0b"),
		SLICE_INIT("a\0b ") },
	{ "half an escape", SLICE_INIT("=?utf-8?q?a=4?= =?utf-8?q?=4g=?="),
		SLICE_INIT("a=4=4g="), SLICE_INIT("a=4=4g= ") },
	{ "no charset", SLICE_INIT("=??q?a?="), SLICE_INIT("a"),
		SLICE_INIT("a ") },
	{ "no encoding", SLICE_INIT("=?a??b?="), SLICE_INIT("=?a??b?="),
		SLICE_INIT("") },
	{ "another encoding", SLICE_INIT("=?a?x?b?="), SLICE_INIT("=?a?x?b?="),
		SLICE_INIT("") },
	{ "no end", SLICE_INIT("=?a?q?b"), SLICE_INIT("=?a?q?b"),
		SLICE_INIT("") },
	{ "no end, and another", SLICE_INIT("=?a?q =?a?q?b?="),
		SLICE_INIT("=?a?q b"), SLICE_INIT("b ") },
	{ "bytes of other characters", SLICE_INIT("=?big5?q?=A4=40?="),
		SLICE_INIT("\xa4@"), SLICE_INIT("\xa4@ ") },
	/* "<@" are the bytes of a Japanese character. */
	{ "ISO-2022-JP", SLICE_INIT("=?iso-2022-jp?q?a=1B$B<@=1B(Bb?="),
		SLICE_INIT("ab"), SLICE_INIT("ab ") },
	{ "ISO-2022-JP is ASCII at first", SLICE_INIT("=?ISO-2022-JP?q?<@?="),
		SLICE_INIT("<@"), SLICE_INIT("<@ ") },
	{ "ISO-2022-JP, half width",
		SLICE_INIT("=?iso-2022-jp?q?=1B(I<=1B(Ja?="), SLICE_INIT("a"),
		SLICE_INIT("a ") },
	{ "ISO-2022-KR", SLICE_INIT("=?iso-2022-kr?q?=0E<@=0Fa?="),
		SLICE_INIT("a"), SLICE_INIT("a ") },
	{ "escapes elsewhere", SLICE_INIT("=?utf-8?q?=1B$B<?="),
		SLICE_INIT("\x1b$B<"), SLICE_INIT("\x1b$B< ") },
	{ "UTF-16", SLICE_INIT("=?utf-16be?q?=00a=00@?="), SLICE_INIT("a@"),
		SLICE_INIT("a@ ") },
};

START_TEST(words_are_decoded)
{
	struct str whole, words;

	str_init(&whole, texts[_i].text.len);
	str_init(&words, texts[_i].text.len);
	ck_assert(encoded_word_decode(texts[_i].text, &whole, &words));
	ck_assert_msg(slice_eq(str_slice(&whole), texts[_i].whole), "%s: %.*s",
		texts[_i].name, SLICE_ARG(str_slice(&whole)));
	ck_assert_msg(slice_eq(str_slice(&words), texts[_i].words), "%s: %.*s",
		texts[_i].name, SLICE_ARG(str_slice(&words)));
	ck_assert(!whole.is_cut && !words.is_cut);
	ck_assert(words.len == 0 || encoded_word_is_in(texts[_i].text));
	str_free(&whole);
	str_free(&words);
}
END_TEST

START_TEST(utf7_is_told)
{
	struct str whole, words;

	str_init(&whole, 100);
	str_init(&words, 100);
	ck_assert(!encoded_word_decode(SLICE("=?utf-7?q?+AEA-?= =?a?q?b?="),
		&whole, &words));
	ck_assert_str_eq(str_text(&whole), "+AEA-b");
	str_free(&whole);
	str_free(&words);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("encoded_word");
	TCase *tcase = tcase_create("encoded_word");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, words_are_decoded, 0, N(texts));
	tcase_add_test(tcase, utf7_is_told);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
