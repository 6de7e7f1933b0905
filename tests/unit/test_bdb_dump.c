/* Dumps of Berkeley DB as db_dump writes them, and what Postgrey keeps. */

#include "policyd/ctl/bdb_dump.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)64 << 10)

/* "key=value;" for each pair, then what is wrong. */
static const struct {
	const char *name, *text, *pairs;
} dumps[] = {
	{ "digits",
		"VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n"
		" 61\n 4a6F\n 0a\n 00\nDATA=END\n",
		"a=Jo;\n=?;" },
	{ "characters",
		"VERSION=3\nformat=print\nHEADER=END\n"
		" a/b@c\n \\c3\\bc\\\\ 1,2\n \n \nDATA=END\n",
		"a/b@c=\xc3\xbc\\ 1,2;=;" },
	{ "nothing in it", "VERSION=3\nformat=print\nHEADER=END\nDATA=END\n",
		"" },
	{ "behind the end",
		"VERSION=3\nformat=print\nHEADER=END\nDATA=END\n x\n y\n", "" },
	{ "no dump", "Postgrey\n", "it is not what db_dump writes" },
	{ "no keys", "VERSION=3\nkeys=0\n", "it is a dump without keys" },
	{ "half a byte", "format=bytevalue\nHEADER=END\n 6\n",
		"a line of it is malformed" },
	{ "no digit", "format=bytevalue\nHEADER=END\n 6x\n",
		"a line of it is malformed" },
	{ "a bad escape", "format=print\nHEADER=END\n \\c\n",
		"a line of it is malformed" },
	{ "a backslash at the end", "format=print\nHEADER=END\n a\\\n",
		"a line of it is malformed" },
	{ "a key alone", "format=print\nHEADER=END\n a\nDATA=END\n",
		"it ends too early" },
	{ "no blank", "format=print\nHEADER=END\na\n", "it ends too early" },
};

START_TEST(dumps_are_read)
{
	struct slice rest = slice_of(dumps[_i].text), line;
	struct bdb_dump dump;
	struct str out;

	str_init(&out, TEXT_MAX);
	bdb_dump_init(&dump);
	while (slice_split(&rest, '\n', &line))
		if (bdb_dump_line(&dump, line))
			str_printf(&out, "%s=%s;", str_text(&dump.key),
				dump.value.len == 1 && dump.value.data[0] == 0
					? "?"
					: str_text(&dump.value));
	if (dump.state == BDB_BAD)
		str_append_text(&out, dump.err);
	else
		ck_assert_int_eq(dump.state, BDB_END);
	ck_assert_msg(slice_eq_text(str_slice(&out), dumps[_i].pairs), "%s: %s",
		dumps[_i].name, str_text(&out));
	bdb_dump_free(&dump);
	str_free(&out);
}
END_TEST

static const struct {
	const char *name, *key;
	const char *client, *sender, *recipient; /* NULL: no key */
} keys[] = {
	{ "usual", "192.0.2.0/a@example.com/b@example.org", "192.0.2.0",
		"a@example.com", "b@example.org" },
	{ "IPv6", "2001:db8::/a@example.com/b@example.org",
		"2001:db8::", "a@example.com", "b@example.org" },
	{ "null sender", "192.0.2.0//b@example.org", "192.0.2.0", "",
		"b@example.org" },
	{ "slash in the sender", "192.0.2.0/x/y@example.com/b@example.org",
		"192.0.2.0", "x/y@example.com", "b@example.org" },
	{ "slash first in the sender", "192.0.2.0//y@example.com/b@example.org",
		"192.0.2.0", "/y@example.com", "b@example.org" },
	{ "slash in the recipient", "192.0.2.0/a@example.com/b/c@example.org",
		"192.0.2.0", "a@example.com", "b/c@example.org" },
	{ "slash after a null sender", "192.0.2.0//b/c@example.org",
		"192.0.2.0", "", "b/c@example.org" },
	{ "an @ that is quoted", "192.0.2.0/\"a@b\"@example.com/c@example.org",
		"192.0.2.0", "\"a@b\"@example.com", "c@example.org" },
	{ "odd characters",
		"192.0.2.0/o'brien$=@example.com/j\xc3\xbcrgen@example.org",
		"192.0.2.0", "o'brien$=@example.com",
		"j\xc3\xbcrgen@example.org" },
	{ "hashed", "da39a3ee5e6b4b0d3255bfef95601890afd80709", NULL, NULL,
		NULL },
	{ "no recipient", "192.0.2.0/a@example.com/", NULL, NULL, NULL },
	{ "nothing", "", NULL, NULL, NULL },
	{ "slashes", "///", NULL, NULL, NULL },
};

START_TEST(keys_of_postgrey)
{
	struct postgrey_key key;
	const bool is_key = postgrey_read_key(slice_of(keys[_i].key), &key);

	ck_assert_msg(is_key == (keys[_i].client != NULL), "%s", keys[_i].name);
	if (!is_key)
		return;
	ck_assert_msg(slice_eq_text(key.client, keys[_i].client), "%s",
		keys[_i].name);
	ck_assert_msg(slice_eq_text(key.sender, keys[_i].sender), "%s: %.*s",
		keys[_i].name, SLICE_ARG(key.sender));
	ck_assert_msg(slice_eq_text(key.recipient, keys[_i].recipient),
		"%s: %.*s", keys[_i].name, SLICE_ARG(key.recipient));
}
END_TEST

static const struct {
	const char *value;
	bool is_good;
	uint64_t first, last;
} times[] = {
	{ "1700000000,1700000300", true, 1700000000, 1700000300 },
	{ "5,1700000300", true, 5, 1700000300 },
	{ "1,2,mail.example.com", true, 1, 2 },
	{ "4294967295,0", true, 4294967295, 0 },
	{ "4294967296,0", false, 0, 0 },
	{ "1", false, 0, 0 },
	{ "", false, 0, 0 },
	{ "a,b", false, 0, 0 },
	{ "-1,2", false, 0, 0 },
};

START_TEST(values_of_postgrey)
{
	uint64_t first, last;
	const bool is_good =
		postgrey_read_value(slice_of(times[_i].value), &first, &last);

	ck_assert_msg(is_good == times[_i].is_good, "%s", times[_i].value);
	if (is_good) {
		ck_assert_uint_eq(first, times[_i].first);
		ck_assert_uint_eq(last, times[_i].last);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("bdb_dump");
	TCase *tcase = tcase_create("bdb_dump");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, dumps_are_read, 0,
		sizeof(dumps) / sizeof(dumps[0]));
	tcase_add_loop_test(tcase, keys_of_postgrey, 0,
		sizeof(keys) / sizeof(keys[0]));
	tcase_add_loop_test(tcase, values_of_postgrey, 0,
		sizeof(times) / sizeof(times[0]));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
