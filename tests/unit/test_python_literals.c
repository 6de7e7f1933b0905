/* Settings files in Python: every form of a literal, and what is none. */

#include "policyd/ctl/python_literals.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define ARENA_MAX ((size_t)64 << 20)
#define PRINT_MAX ((size_t)1 << 20)

static struct arena *arena;
static struct str printed;

static void
setup(void)
{
	arena = arena_new(ARENA_MAX);
	str_init(&printed, PRINT_MAX);
}

static void
teardown(void)
{
	str_free(&printed);
	arena_free(arena);
}

/* "line kind name value" for each statement, with newlines between them. */
static const char *
read_text(const char *text)
{
	static const char *const kinds[] = { "=", "+=", "import", "?" };
	struct python_file file;
	const char *err;

	ck_assert_msg(python_read(arena, slice_of(text), &file, &err), "%s",
		err);
	str_reset(&printed);
	for (size_t i = 0; i < file.n; i++) {
		const struct python_statement *one = &file.statements[i];

		str_printf(&printed, "%s%u %.*s %s ", i > 0 ? "\n" : "",
			one->line, SLICE_ARG(one->name), kinds[one->kind]);
		if (one->kind == PYTHON_OTHER)
			str_append_text(&printed, one->why);
		else if (one->kind == PYTHON_IMPORT)
			str_append_slice(&printed, one->module);
		else
			python_print(&one->value, &printed);
	}
	return str_text(&printed);
}

static const struct {
	const char *name, *text, *value;
} values[] = {
	{ "single quotes", "'a\"b'", "'a\"b'" },
	{ "double quotes", "\"o'brien\"", "'o\\'brien'" },
	{ "empty", "''", "''" },
	{ "three quotes", "'''a'b''c'''", "'a\\'b\\'\\'c'" },
	{ "three double quotes, lines", "\"\"\"a\nb\"\"\"", "'a\\nb'" },
	{ "raw", "r'a\\nb'", "'a\\\\nb'" },
	{ "raw with a quote", "r'a\\'b'", "'a\\\\\\'b'" },
	{ "bytes", "b'a\\x41'", "'aA'" },
	{ "bytes of UTF-8", "b'\\xc3\\xa9'", "'\xc3\xa9'" },
	{ "raw bytes", "Rb'\\x41'", "'\\\\x41'" },
	{ "unicode prefix", "u'x'", "'x'" },
	{ "side by side", "'a' \"b\" r'\\c'", "'ab\\\\c'" },
	{ "escapes", "'\\t\\\\\\'\\\"\\101\\x42'", "'\\x09\\\\\\'\"AB'" },
	{ "unicode escapes", "'\\u00e9\\U0001F600\\xe9'",
		"'\xc3\xa9\xf0\x9f\x98\x80\xc3\xa9'" },
	{ "unknown escape stays", "'\\d+'", "'\\\\d+'" },
	{ "line joined in a text", "'a\\\nb'", "'ab'" },
	{ "number sign in a text", "'a # b'", "'a # b'" },
	{ "int", "42", "42" },
	{ "negative", "- 42", "-42" },
	{ "underscores", "1_000_000", "1000000" },
	{ "hexadecimal", "0xfF", "255" },
	{ "octal", "0o17", "15" },
	{ "binary", "0b101", "5" },
	{ "float", "3.5", "3.5" },
	{ "float with exponent", "1e3", "1000" },
	{ "float without a digit before", ".5", "0.5" },
	{ "true", "True", "True" },
	{ "false", "False", "False" },
	{ "none", "None", "None" },
	{ "list", "['a', 1, None]", "['a', 1, None]" },
	{ "empty list", "[]", "[]" },
	{ "comma at the end", "['a',]", "['a']" },
	{ "list over lines", "[\n  'a',  # one\n  'b'\n]", "['a', 'b']" },
	{ "texts side by side in a list", "['a'\n 'b']", "['ab']" },
	{ "tuple", "('a', 'b')", "['a', 'b']" },
	{ "tuple of one", "('a',)", "['a']" },
	{ "no tuple", "('a')", "'a'" },
	{ "bare tuple", "'a', 'b'", "['a', 'b']" },
	{ "set", "{'a', 'b'}", "['a', 'b']" },
	{ "dictionary", "{'a': 1, 'b': [2]}", "{'a': 1, 'b': [2]}" },
	{ "empty dictionary", "{}", "{}" },
	{ "nested", "[[('a', {'b': ()})]]", "[[['a', {'b': []}]]]" },
	{ "remark behind", "1  # one", "1" },
	{ "line joined", "\\\n  1", "1" },
};

START_TEST(literals_are_read)
{
	struct str text, wanted;

	str_init(&text, PRINT_MAX);
	str_init(&wanted, PRINT_MAX);
	str_printf(&text, "x = %s\n", values[_i].text);
	str_printf(&wanted, "1 x = %s", values[_i].value);
	ck_assert_msg(strcmp(read_text(str_text(&text)), str_text(&wanted)) ==
			      0,
		"%s: %s", values[_i].name, str_text(&printed));
	str_free(&text);
	str_free(&wanted);
}
END_TEST

static const struct {
	const char *name, *text, *why;
} others[] = {
	{ "a name", "x = y", "it is not a literal" },
	{ "a call", "x = int('1')", "it is not a literal" },
	{ "a product", "x = 60 * 60", "it is not a literal" },
	{ "an index", "x = os.environ['A']", "it is not a literal" },
	{ "a formatted text", "x = f'{y}'", "it is a formatted text" },
	{ "a formatted text of lines", "x = f'''\ny = 1\n'''",
		"it is a formatted text" },
	{ "a condition", "x = 1 if y else 2", "it is not a literal" },
	{ "a comprehension", "x = [a for a in b]", "it is not a literal" },
	{ "a name in a list", "x = ['a', b]", "it is not a literal" },
	{ "half a dictionary", "x = {'a': 1, 'b'}", "it is not a literal" },
	{ "a dictionary after a set", "x = {'b', 'a': 1}",
		"it is not a literal" },
	{ "two targets", "x = y = 1", "it is not a literal" },
	{ "a method", "x = 'a'.upper()", "it is not a literal" },
	{ "an open text", "x = 'a", "the text does not end" },
	{ "an open list", "x = ['a', ", "it is not a literal" },
	{ "a bad escape", "x = '\\xg1'", "an escape in the text is malformed" },
	{ "a surrogate", "x = '\\ud800'", "the text is not UTF-8" },
	{ "bytes that are no text", "x = b'\\xff'", "the text is not UTF-8" },
	{ "NUL", "x = '\\0'", "the text is not UTF-8" },
	{ "a named character", "x = '\\N{DASH}'",
		"the text names a character by \\N{}" },
	{ "too large", "x = 9223372036854775808", "the number is too large" },
	{ "imaginary", "x = 1j", "the number is malformed" },
	{ "too deep", "x = [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]",
		"its brackets are nested too deep" },
};

START_TEST(what_is_no_literal_is_reported)
{
	struct str text, wanted;
	unsigned lines = 1;

	str_init(&text, PRINT_MAX);
	str_init(&wanted, PRINT_MAX);
	for (const char *c = others[_i].text; *c != '\0'; c++)
		lines += *c == '\n';
	/* What comes after it is not lost, unless it never ends. */
	str_printf(&text, "%s\nz = 1\n", others[_i].text);
	str_printf(&wanted, "1 x ? %s", others[_i].why);
	if (strcmp(others[_i].name, "an open list") != 0)
		str_printf(&wanted, "\n%u z = 1", lines + 1);
	ck_assert_msg(strcmp(read_text(str_text(&text)), str_text(&wanted)) ==
			      0,
		"%s: %s", others[_i].name, str_text(&printed));
	str_free(&text);
	str_free(&wanted);
}
END_TEST

static const struct {
	const char *name, *text, *statements;
} files[] = {
	{ "nothing", "", "" },
	{ "remarks", "# a\n\n  # b\n\"\"\"c\nd\"\"\"\n", "" },
	{ "imports", "from libs.default_settings import *\nimport os\n",
		"1  import libs.default_settings\n2  import os" },
	{ "several on a line", "a = 1; b = 2;c = 3",
		"1 a = 1\n1 b = 2\n1 c = 3" },
	{ "added to", "a = ['x']\na += ['y']\n", "1 a = ['x']\n2 a += ['y']" },
	{ "annotated", "a: int = 1\nb: Dict[str, int] = {}\n",
		"1 a = 1\n2 b = {}" },
	{ "annotated only", "a: int\nb = 1\n",
		"1  ? it is not an assignment\n2 b = 1" },
	{ "CRLF", "a = 1\r\nb = [\r\n2]\r\n", "1 a = 1\n2 b = [2]" },
	{ "byte order mark",
		"\xEF\xBB\xBF"
		"a = 1",
		"1 a = 1" },
	{ "condition", "if x:\n    a = 1\nb = 2\n",
		"1  ? it is not an assignment\n"
		"2 a ? it depends on what stands above it\n3 b = 2" },
	{ "call over lines", "f(a,\n  b=1)\nc = 2\n",
		"1  ? it is not an assignment\n3 c = 2" },
	{ "comparison", "a == 1\n", "1  ? it is not an assignment" },
	{ "attribute", "a.b = 1\n", "1  ? it is not an assignment" },
	{ "lines are counted in values", "a = [\n1,\n2]\nb = '''\n\n'''\nc = 1",
		"1 a = [1, 2]\n4 b = '\\n\\n'\n7 c = 1" },
	{ "not code", "%!&\n\x01\xff\nb = 1",
		"1  ? it is not an assignment\n2  ? it is not an assignment\n"
		"3 b = 1" },
};

START_TEST(files_are_read)
{
	ck_assert_msg(strcmp(read_text(files[_i].text), files[_i].statements) ==
			      0,
		"%s: %s", files[_i].name, str_text(&printed));
}
END_TEST

static void
expect_refusal(const char *wanted)
{
	struct python_file file;
	const char *err = NULL;

	ck_assert(!python_read(arena, str_slice(&printed), &file, &err));
	ck_assert_str_eq(err, wanted);
}

START_TEST(bounds_hold)
{
	str_free(&printed);
	str_init(&printed, 2 * PYTHON_FILE_MAX);
	while (printed.len <= PYTHON_FILE_MAX)
		str_append_text(&printed, "# nothing\n");
	expect_refusal("it is larger than 1 MiB");

	str_reset(&printed);
	for (size_t i = 0; i <= PYTHON_STATEMENTS_MAX; i++)
		str_append_text(&printed, "a = 1\n");
	expect_refusal("it holds too many statements");

	str_reset(&printed);
	str_append_text(&printed, "a = [");
	for (size_t i = 0; i <= PYTHON_VALUES_MAX; i++)
		str_append_text(&printed, "1,");
	str_append_text(&printed, "]\n");
	expect_refusal("it holds too many values");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("python_literals");
	TCase *tcase = tcase_create("python_literals");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, literals_are_read, 0,
		sizeof(values) / sizeof(values[0]));
	tcase_add_loop_test(tcase, what_is_no_literal_is_reported, 0,
		sizeof(others) / sizeof(others[0]));
	tcase_add_loop_test(tcase, files_are_read, 0,
		sizeof(files) / sizeof(files[0]));
	tcase_add_test(tcase, bounds_hold);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
