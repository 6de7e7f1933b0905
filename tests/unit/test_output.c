/* How policyctl shows values, and what it reads of conf/sql. */

#include "policyd/ctl/output.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policyd/ctl/sql_file.h"
#include "policyd/json.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX        4096

static struct str text;

static void
setup(void)
{
	str_init(&text, TEXT_MAX);
}

static void
teardown(void)
{
	str_free(&text);
}

/* --- what a terminal must not see --------------------------------------- */

static const struct {
	const char *raw, *safe;
} texts[] = {
	{ "", "" },
	{ "plain text", "plain text" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "\xe2\x82\xac", "\xe2\x82\xac" },
	{ "a\033[2Jb", "a\\x1b[2Jb" },
	{ "a\nb\rc\td\x7f", "a\\x0ab\\x0dc\\x09d\\x7f" },
	/* CSI of ISO 8859-1, as UTF-8 and as a byte of its own */
	{ "a\xc2\x9b"
	  "2Jb",
		"a\\xc2\\x9b2Jb" },
	{ "a\x9b"
	  "2Jb",
		"a\\x9b2Jb" },
	{ "\xc2\xa0", "\xc2\xa0" },
	/* right-to-left override, isolate */
	{ "\xe2\x80\xae"
	  "cod",
		"\\xe2\\x80\\xaecod" },
	{ "\xe2\x81\xa6x", "\\xe2\\x81\\xa6x" },
	{ "\xff\xc3", "\\xff\\xc3" },
};

START_TEST(makes_text_safe)
{
	output_append_safe(&text, slice_of(texts[_i].raw));
	ck_assert_str_eq(str_text(&text), texts[_i].safe);
}
END_TEST

/* --- values ------------------------------------------------------------- */

static const struct {
	const char *type, *json, *shown;
} values[] = {
	{ "text", "\"a b\"", "a b" },
	{ "text", "\"a\\u001bb\"", "a\\x1bb" },
	/* Nested values stay JSON. */
	{ "text", "{\"a\":[\"x\\u009b2J\",\"\\u202e\\u007f\"]}",
		"{\"a\":[\"x\\u009b2J\",\"\\u202e\\u007f\"]}" },
	{ "text", "null", "-" },
	{ "number", "42", "42" },
	{ "number", "-1", "-1" },
	{ "bool", "true", "yes" },
	{ "bool", "false", "no" },
	{ "up", "true", "up" },
	{ "up", "false", "down" },
	{ "on", "true", "on" },
	{ "on", "false", "off" },
	{ "time", "0", "never" },
	{ "time", "1700000000", "2023-11-14 22:13:20" },
	{ "seconds", "0", "0s" },
	{ "seconds", "59", "59s" },
	{ "seconds", "3600", "1h" },
	{ "seconds", "90061", "1d 1h 1m 1s" },
	{ "microseconds", "999", "999 us" },
	{ "microseconds", "1500", "1.5 ms" },
	{ "microseconds", "2340000", "2.34 s" },
	{ "bytes", "1536", "1.5K" },
	{ "limit", "-1", "inherit" },
	{ "limit", "0", "unlimited" },
	{ "limit", "100", "100" },
	{ "bytes_limit", "10485760", "10M" },
	{ "bytes_limit", "5000", "5000" },
	{ "percent", "75", "75 %" },
	{ "account", "\"@example.com\"", "example.com" },
	{ "account", "\"@.\"", "*" },
	{ "account", "\"a@example.com\"", "a@example.com" },
};

START_TEST(shows_values)
{
	char line[128];
	struct json *array;

	(void)snprintf(line, sizeof(line), "[%s]", values[_i].json);
	array = json_parse(slice_of(line), NULL, 0);
	ck_assert_ptr_nonnull(array);
	output_append_value(&text, slice_of(values[_i].type),
		json_element(array, 0));
	ck_assert_msg(strcmp(str_text(&text), values[_i].shown) == 0,
		"%s %s: %s", values[_i].type, values[_i].json, str_text(&text));
	json_drop(array);
}
END_TEST

/* --- conf/sql ----------------------------------------------------------- */

START_TEST(takes_statements_apart)
{
	struct slice rest = SLICE("-- a comment; with a semicolon;\n"
				  "CREATE TABLE a (\n"
				  "  b INT, -- not a whole line\n"
				  "  c INT\n"
				  ");\n"
				  "\n"
				  "  -- another\n"
				  "ALTER TABLE a ADD COLUMN d INT;  \n"
				  "SELECT ';' AS e");

	ck_assert(sql_next_statement(&rest, &text));
	ck_assert_str_eq(str_text(&text), "CREATE TABLE a (\n"
					  "  b INT, -- not a whole line\n"
					  "  c INT\n"
					  ")");
	ck_assert(sql_next_statement(&rest, &text));
	ck_assert_str_eq(str_text(&text), "ALTER TABLE a ADD COLUMN d INT");
	ck_assert(sql_next_statement(&rest, &text));
	ck_assert_str_eq(str_text(&text), "SELECT ';' AS e");
	ck_assert(!sql_next_statement(&rest, &text));
	ck_assert(!sql_next_statement(&rest, &text));
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, makes_text_safe, 0, COUNT_OF(texts));
	tcase_add_loop_test(tcase, shows_values, 0, COUNT_OF(values));
	tcase_add_test(tcase, takes_statements_apart);
}

int
main(void)
{
	Suite *suite = suite_create("output");
	TCase *tcase = tcase_create("output");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	(void)setenv("TZ", "UTC", 1);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
