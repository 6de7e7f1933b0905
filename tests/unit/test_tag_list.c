#include "common/mail/tag_list.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

/* What was understood: "name=value|name=value". */
static void
ck_assert_list(const char *name, const struct tag_list *list,
	const char *expected)
{
	struct str got;

	str_init(&got, TAG_LIST_BYTES_MAX);
	for (size_t i = 0; i < list->n; i++)
		str_printf(&got, "%s%.*s=%.*s", i > 0 ? "|" : "",
			SLICE_ARG(list->tags[i].name),
			SLICE_ARG(list->tags[i].value));
	ck_assert_msg(strcmp(str_text(&got), expected) == 0,
		"%s: %s\ninstead of %s", name, str_text(&got), expected);
	str_free(&got);
}

static const struct {
	const char *name, *text, *tags;
} good[] = {
	{ "one", "v=DKIM1", "v=DKIM1" },
	{ "several", "v=DKIM1; k=rsa; p=MIGf", "v=DKIM1|k=rsa|p=MIGf" },
	{ "no blanks", "v=DKIM1;p=abc", "v=DKIM1|p=abc" },
	{ "blanks around everything", " v = DKIM1 ;\tp\t=\tabc ",
		"v=DKIM1|p=abc" },
	{ "a semicolon at the end", "v=DKIM1;", "v=DKIM1" },
	{ "and blanks behind it", "v=DKIM1; ", "v=DKIM1" },
	{ "an empty value", "p=", "p=" },
	{ "a value of blanks", "p= ; t=y", "p=|t=y" },
	{ "values with = in them", "b=abc==; bh==", "b=abc==|bh==" },
	{ "white space in a value", "h=from : to", "h=from : to" },
	{ "folded before a tag", "v=1;\r\n a=rsa-sha256", "v=1|a=rsa-sha256" },
	{ "folded in a value", "b=ab\r\n\tcd", "b=ab\r\n\tcd" },
	{ "folded as milters see it", "b=ab\n cd;\n bh=e", "b=ab\n cd|bh=e" },
	{ "case counts in names", "p=a; P=b", "p=a|P=b" },
	{ "digits and underscores in names", "a1_=x", "a1_=x" },
	{ "UTF-8 in a value", "i=@\xc3\xa4.example", "i=@\xc3\xa4.example" },
	{ "all of the characters", "n=!\"#$%&'()*+,-./:<=>?@[\\]^_`{|}~",
		"n=!\"#$%&'()*+,-./:<=>?@[\\]^_`{|}~" },
};

START_TEST(lists_are_taken_apart)
{
	struct tag_list list;
	const char *err;

	ck_assert_msg(tag_list_parse(slice_of(good[_i].text), &list, &err) == 0,
		"%s: %s", good[_i].name, err);
	ck_assert_ptr_null(err);
	ck_assert_list(good[_i].name, &list, good[_i].tags);
}
END_TEST

static const struct {
	const char *name;
	struct slice text;
	const char *err;
} bad[] = {
	{ "nothing", SLICE_INIT(""), "there is no tag" },
	{ "blanks", SLICE_INIT(" \t "), "there is no tag" },
	{ "a semicolon", SLICE_INIT(";"), "a tag has no value" },
	{ "two at the end", SLICE_INIT("v=1;;"), "a tag has no value" },
	{ "a hole", SLICE_INIT("v=1; ;p=a"), "a tag has no value" },
	{ "a word", SLICE_INIT("v=1; hello"), "a tag has no value" },
	{ "no name", SLICE_INIT("=1"), "the name of a tag is malformed" },
	{ "a digit first", SLICE_INIT("1a=1"),
		"the name of a tag is malformed" },
	{ "a blank in a name", SLICE_INIT("a b=1"),
		"the name of a tag is malformed" },
	{ "a hyphen in a name", SLICE_INIT("a-b=1"),
		"the name of a tag is malformed" },
	{ "twice", SLICE_INIT("v=1; p=a; v=1"), "a tag stands there twice" },
	{ "NUL", SLICE_INIT("p=a\0b"),
		"there are characters that do not belong there" },
	{ "DEL", SLICE_INIT("p=a\x7f"),
		"there are characters that do not belong there" },
	{ "a control character", SLICE_INIT("p=a\bb"),
		"there are characters that do not belong there" },
	{ "Latin 1", SLICE_INIT("n=\xe4"),
		"there are characters that do not belong there" },
	{ "a line that is not folded", SLICE_INIT("p=a\r\nb"),
		"there are characters that do not belong there" },
	{ "a bare LF before a word", SLICE_INIT("p=a\nb"),
		"there are characters that do not belong there" },
	{ "a bare CR", SLICE_INIT("p=a\r b"),
		"there are characters that do not belong there" },
	{ "a line end at the end", SLICE_INIT("p=a\r\n"),
		"there are characters that do not belong there" },
};

START_TEST(one_mistake_makes_a_list_invalid)
{
	struct tag_list list;
	const char *err = NULL;

	ck_assert_msg(tag_list_parse(bad[_i].text, &list, &err) == -1,
		"%s was accepted", bad[_i].name);
	ck_assert_msg(strcmp(err, bad[_i].err) == 0, "%s: %s", bad[_i].name,
		err);
}
END_TEST

/* n tags: a0=; a1=; ... */
static void
append_tags(struct str *text, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		str_printf(text, "a%u=;", i);
}

START_TEST(lists_are_bounded)
{
	struct tag_list list;
	const char *err = NULL;
	struct str text;

	str_init(&text, 2 * TAG_LIST_BYTES_MAX);
	append_tags(&text, TAG_LIST_TAGS_MAX);
	ck_assert_int_eq(tag_list_parse(str_slice(&text), &list, &err), 0);
	ck_assert_uint_eq(list.n, TAG_LIST_TAGS_MAX);
	str_append_text(&text, "b=");
	ck_assert_int_eq(tag_list_parse(str_slice(&text), &list, &err), -1);
	ck_assert_str_eq(err, "there are too many tags");

	str_reset(&text);
	str_append_text(&text, "a=");
	while (text.len < TAG_LIST_BYTES_MAX)
		str_append_char(&text, 'x');
	ck_assert_int_eq(tag_list_parse(str_slice(&text), &list, &err), 0);
	str_append_char(&text, 'x');
	ck_assert_int_eq(tag_list_parse(str_slice(&text), &list, &err), -1);
	ck_assert_str_eq(err, "it is too long");
	str_free(&text);
}
END_TEST

START_TEST(tags_are_found_by_name)
{
	struct tag_list list;
	const char *err;

	ck_assert_int_eq(tag_list_parse(SLICE("v=DKIM1; p=; x=y"), &list, &err),
		0);
	ck_assert(slice_eq_text(*tag_list_find(&list, "v"), "DKIM1"));
	ck_assert_uint_eq(tag_list_find(&list, "p")->len, 0);
	ck_assert_ptr_null(tag_list_find(&list, "V"));
	ck_assert_ptr_null(tag_list_find(&list, "k"));
}
END_TEST

static const struct {
	const char *value, *word;
	bool has;
} words[] = {
	{ "sha256", "sha256", true },
	{ "sha1:sha256", "sha256", true },
	{ "sha1 :\r\n sha256 ", "sha256", true },
	{ "sha256:sha1", "sha256", true },
	{ "sha1", "sha256", false },
	{ "sha2567", "sha256", false },
	{ "SHA256", "sha256", false },
	{ "", "y", false },
	{ ":", "y", false },
	{ "y:s", "s", true },
};

START_TEST(words_are_kept_apart_by_colons)
{
	ck_assert_msg(tag_value_has(slice_of(words[_i].value),
			      words[_i].word) == words[_i].has,
		"%s in \"%s\"", words[_i].word, words[_i].value);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tag_list");
	TCase *tcase = tcase_create("tag_list");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, lists_are_taken_apart, 0, N(good));
	tcase_add_loop_test(tcase, one_mistake_makes_a_list_invalid, 0, N(bad));
	tcase_add_test(tcase, lists_are_bounded);
	tcase_add_test(tcase, tags_are_found_by_name);
	tcase_add_loop_test(tcase, words_are_kept_apart_by_colons, 0, N(words));
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
