/*
 * The table of commands: words and lines that are requests for them, and the
 * files that have to say the same: manual, completion, migrations.
 */

#include "policyd/ctl/command_table.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/schema.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX       24
#define FILE_MAX        ((size_t)1 << 20)

static struct arena *arena;
static struct command_request request;
static char err[COMMAND_ERROR_MAX];

static void
setup(void)
{
	arena = arena_new(16 * FILE_MAX);
	memset(&request, 0, sizeof(request));
	err[0] = '\0';
}

static void
teardown(void)
{
	arena_free(arena);
}

/* Words are separated by "|", so that they may hold blanks. */
static int
parse(const char *line)
{
	struct slice rest = slice_of(line), word;
	const char *words[WORDS_MAX];
	size_t n = 0;

	while (line[0] != '\0' && slice_split(&rest, '|', &word)) {
		ck_assert_uint_lt(n, WORDS_MAX);
		words[n++] = slice_copy(arena, word).ptr;
	}
	return command_parse_words(words, n, &request, err, sizeof(err));
}

/* --- words -------------------------------------------------------------- */

static const struct {
	const char *words;
	enum command_id id;
	const char *argument, *value; /* NULL: it is not given */
} good[] = {
	{ "status", COMMAND_status, NULL, NULL },
	{ "stats", COMMAND_stats, "watch", NULL },
	{ "stats|--watch", COMMAND_stats, "watch", "" },
	{ "explain|KK8BMC7A", COMMAND_explain, "code", "KK8BMC7A" },
	{ "policy|show|*", COMMAND_policy_show, "account", "*" },
	{ "policy|set|a@b.cc|throttle.count|domain|--reason|too much",
		COMMAND_policy_set, "reason", "too much" },
	{ "policy|set|--reason=x=y|a@b.cc|n|v", COMMAND_policy_set, "reason",
		"x=y" },
	{ "greylist|list", COMMAND_greylist_list, "account", NULL },
	{ "greylist|list|--account|b.cc", COMMAND_greylist_list, "account",
		"b.cc" },
	{ "greylist|whitelist|list", COMMAND_greylist_whitelist_list, "account",
		NULL },
	{ "greylist|whitelist|add|--|--odd@b.cc",
		COMMAND_greylist_whitelist_add, "sender", "--odd@b.cc" },
	{ "throttle|set|a@b.cc|max_msgs=1|period=1h", COMMAND_throttle_set,
		"max_msgs", "1" },
	{ "throttle|set|a@b.cc|max-msgs=1|period=1h", COMMAND_throttle_set,
		"max_msgs", "1" },
	{ "throttle|set|a@b.cc|--max_msgs|1", COMMAND_throttle_set, "max_msgs",
		"1" },
	{ "throttle|set|a@b.cc|inbound|--max-msgs|1", COMMAND_throttle_set,
		"kind", "inbound" },
	{ "throttle|set|x=y@b.cc|--max-msgs|1", COMMAND_throttle_set, "account",
		"x=y@b.cc" },
	{ "test|--sender||--recipient|a@b.cc|--client|::1", COMMAND_test,
		"sender", "" },
	{ "test|--client=::1|--sender|=x@b.cc|--recipient|a@b.cc", COMMAND_test,
		"sender", "=x@b.cc" },
	{ "test|--client=::1|--sender|--x@b.cc|--recipient|a@b.cc",
		COMMAND_test, "size", NULL },
	{ "dmarc|check|--from|a.b|--dkim|x:1|--dkim=y:2", COMMAND_dmarc_check,
		"dkim", "y:2" },
	{ "config|check", COMMAND_config_check, "file", NULL },
	{ "help|greylist|list", COMMAND_help, "subcommand", "list" },
};

START_TEST(understands_words)
{
	struct slice value;

	ck_assert_msg(parse(good[_i].words) == 0, "%s: %s", good[_i].words,
		err);
	ck_assert_int_eq(request.row->id, good[_i].id);
	if (good[_i].argument == NULL)
		return;
	ck_assert_int_eq(command_argument(&request, good[_i].argument, &value),
		good[_i].value != NULL);
	if (good[_i].value != NULL)
		ck_assert(slice_eq_text(value, good[_i].value));
}
END_TEST

START_TEST(keeps_all_values_of_an_option)
{
	ck_assert_int_eq(parse("dmarc|check|--from|a.b|--dkim|x|--spf|s|"
			       "dkim=y|--dkim=z"),
		0);
	ck_assert_uint_eq(request.n_repeated, 3);
	ck_assert(slice_eq_text(request.repeated[0], "x"));
	ck_assert(slice_eq_text(request.repeated[1], "y"));
	ck_assert(slice_eq_text(request.repeated[2], "z"));
	ck_assert_int_eq(parse("dmarc|check|--from|a.b|--spf|s|--spf|s"), 0);
	ck_assert_uint_eq(request.n_repeated, 0);
}
END_TEST

START_TEST(an_option_is_not_repeated_for_ever)
{
	char line[512];
	int len = snprintf(line, sizeof(line), "dmarc|check|--from|a.b");

	for (int i = 0; i < COMMAND_REPEATED_MAX; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len,
			"|--dkim|x");
	ck_assert_int_eq(parse(line), 0);
	ck_assert_uint_eq(request.n_repeated, COMMAND_REPEATED_MAX);
	(void)snprintf(line + len, sizeof(line) - (size_t)len, "|--dkim|x");
	ck_assert_int_lt(parse(line), 0);
	ck_assert_str_eq(err, "--dkim may be given 8 times");
}
END_TEST

static const struct {
	const char *words, *err;
} bad[] = {
	{ "", "no command was given; there are status, " },
	{ "statsu", "\"statsu\" is not a command; did you mean \"status\"?" },
	{ "xyzzy", "\"xyzzy\" is not a command; there are status, " },
	{ "greylist", "greylist what?; there are list, show, pass, " },
	{ "greylist|lst",
		"\"lst\" is not a command of greylist; did you mean \"list\"?" },
	{ "greylist|whitelist|ad", "\"ad\" is not a command of greylist "
				   "whitelist; did you mean \"add\"?" },
	{ "status|now", "\"now\" is one word too many; usage: policyctl "
			"status" },
	{ "policy|show", "ACCOUNT is missing; usage: policyctl policy show "
			 "ACCOUNT" },
	{ "throttle|set|a@b.cc|--max-msg|1",
		"throttle set has no option \"--max-msg\"; did you mean "
		"\"--max-msgs\"?" },
	{ "status|--watch", "status has no option \"--watch\"; usage: "
			    "policyctl status" },
	{ "stats|--watch=1", "--watch takes no value" },
	{ "throttle|list|--limit", "--limit needs a value: --limit N" },
};

START_TEST(says_what_is_wrong_with_words)
{
	ck_assert_int_eq(parse(bad[_i].words), -1);
	ck_assert_msg(strncmp(err, bad[_i].err, strlen(bad[_i].err)) == 0,
		"%s: %s", bad[_i].words, err);
}
END_TEST

/* A command that is not for people is not suggested to them. */
START_TEST(hides_what_has_no_summary)
{
	ck_assert_int_eq(parse("refres"), -1);
	ck_assert_msg(strstr(err, "refresh") == NULL, "%s", err);
}
END_TEST

/* --- lines -------------------------------------------------------------- */

START_TEST(a_line_says_what_the_words_said)
{
	struct command_request again;
	struct command_parameter parameter;
	struct str line;

	ck_assert_int_eq(parse(good[_i].words), 0);
	if (request.row->where == COMMAND_LOCAL)
		return;
	str_init(&line, COMMAND_REQUEST_MAX);
	command_print_line(&request, &line);
	ck_assert_int_eq(line.data[line.len - 1], '\n');
	ck_assert_msg(command_parse_line(arena,
			      slice_part(str_slice(&line), 0, line.len - 1),
			      &again, err, sizeof(err)) == 0,
		"%s: %s", str_text(&line), err);
	ck_assert_ptr_eq(again.row, request.row);
	for (size_t i = 0; command_parameter(again.row, i, &parameter); i++) {
		ck_assert_int_eq(again.is_given[i], request.is_given[i]);
		ck_assert(slice_eq(again.value[i], request.value[i]));
	}
	str_free(&line);
}
END_TEST

static const struct {
	const char *line, *err;
} bad_lines[] = {
	{ "", "the request is not JSON: " },
	{ "status", "the request is not JSON: " },
	{ "[]", "the daemon has no such command" },
	{ "{}", "the daemon has no such command" },
	{ "{\"command\":\"status\"}", "the daemon has no such command" },
	{ "{\"command\":[\"greylist\"]}", "the daemon has no such command" },
	{ "{\"command\":[\"status\",\"x\"]}",
		"the daemon has no such command" },
	{ "{\"command\":[\"db\",\"migrate\"]}",
		"the daemon has no such command" },
	{ "{\"command\":[\"a\",\"b\",\"c\",\"d\"]}",
		"the daemon has no such command" },
	{ "{\"command\":[\"policy\",\"show\"]}",
		"ACCOUNT is missing for \"policy show\"" },
	{ "{\"command\":[\"policy\",\"show\"],\"arguments\":{\"account\":1}}",
		"the argument \"account\" of \"policy show\" is not known" },
	{ "{\"command\":[\"status\"],\"arguments\":{\"x\":\"y\"}}",
		"the argument \"x\" of \"status\" is not known" },
	{ "{\"command\":[\"stats\"],\"arguments\":{\"watch\":\"yes\"}}",
		"the argument \"watch\" of \"stats\" is not known" },
	{ "{\"command\":[\"stats\"],\"command\":[\"status\"]}",
		"the request is not JSON: duplicate" },
};

START_TEST(refuses_lines)
{
	ck_assert_int_eq(command_parse_line(arena, slice_of(bad_lines[_i].line),
				 &request, err, sizeof(err)),
		-1);
	ck_assert_msg(
		strncmp(err, bad_lines[_i].err, strlen(bad_lines[_i].err)) == 0,
		"%s: %s", bad_lines[_i].line, err);
}
END_TEST

/* --- what else lists commands ------------------------------------------- */

static const char *
read_source(const char *name)
{
	const char *source = getenv("SOURCE_DIR");
	char *text = arena_alloc(arena, FILE_MAX / 4);
	char path[4096];
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/%s",
		source != NULL ? source : ".", name);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s cannot be read", path);
	n = fread(text, 1, FILE_MAX / 4 - 1, file);
	fclose(file);
	text[n] = '\0';
	return text;
}

/* "throttle set:--period --msg-size" is a line of both scripts. */
static void
append_completion(const struct command_row *row, struct str *out)
{
	struct command_parameter parameter;
	const char *separator = ":";

	str_append_text(out, row->words);
	for (size_t i = 0; command_parameter(row, i, &parameter); i++) {
		if (!parameter.is_option)
			continue;
		str_append_text(out, separator);
		str_append_slice(out, parameter.shown);
		separator = " ";
	}
	str_append_char(out, '\n');
}

static const char *const scripts[] = { "conf/completion/policyctl.bash",
	"conf/completion/_policyctl" };

START_TEST(completion_knows_every_command)
{
	const char *text = read_source(scripts[_i]);
	struct str line;

	str_init(&line, 4096);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (command_table[i].summary[0] == '\0')
			continue;
		str_reset(&line);
		append_completion(&command_table[i], &line);
		ck_assert_msg(strstr(text, str_text(&line)) != NULL,
			"%s has no line %s", scripts[_i], str_text(&line));
	}
	str_free(&line);
}
END_TEST

/* In mdoc "--msg-size" is "Fl -msg-size". */
START_TEST(the_manual_knows_every_command)
{
	const char *text = read_source("conf/policyctl.1");
	struct command_parameter parameter;
	char wanted[128];

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command_row *row = &command_table[i];

		if (row->summary[0] == '\0')
			continue;
		(void)snprintf(wanted, sizeof(wanted), "Cm %s", row->words);
		ck_assert_msg(strstr(text, wanted) != NULL,
			"policyctl.1 has no \"%s\"", wanted);
		for (size_t at = 0; command_parameter(row, at, &parameter);
			at++) {
			if (!parameter.is_option)
				continue;
			(void)snprintf(wanted, sizeof(wanted), "Fl %.*s",
				SLICE_ARG(slice_from(parameter.shown, 1)));
			ck_assert_msg(strstr(text, wanted) != NULL,
				"policyctl.1 has no \"%s\"", wanted);
		}
	}
}
END_TEST

START_TEST(migrations_are_the_files)
{
	unsigned numbers[2] = { 0, 0 };
	char path[256];

	for (size_t i = 0; i < n_migrations; i++) {
		const struct migration *migration = &migrations[i];
		unsigned *last =
			&numbers[strcmp(migration->database, "policyd") == 0];

		ck_assert_uint_eq(migration->number, *last + 1);
		*last = migration->number;
		(void)snprintf(path, sizeof(path), "conf/sql/%s/%03u_%s.sql",
			migration->database, migration->number,
			migration->name);
		ck_assert_uint_gt(strlen(read_source(path)), 0);
		ck_assert_int_eq(migration_find(slice_of(migration->database),
					 migration->number),
			(int)i);
	}
	ck_assert_int_eq(migration_find(SLICE("vmail"), 1), -1);
	ck_assert_int_eq(migration_find(SLICE("policyd"), 99), -1);
}
END_TEST

static size_t
count_files(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	ck_assert_msg(dir != NULL, "%s cannot be read", path);
	while ((entry = readdir(dir)) != NULL)
		n += slice_ends(slice_of(entry->d_name), SLICE(".sql"));
	closedir(dir);
	return n;
}

/* No file of conf/sql is left out. */
START_TEST(files_are_the_migrations)
{
	static const char *const databases[] = { "iredapd", "policyd" };
	const char *source = getenv("SOURCE_DIR");
	char path[4096];

	for (size_t i = 0; i < COUNT_OF(databases); i++) {
		size_t n = 0;

		for (size_t m = 0; m < n_migrations; m++)
			n += strcmp(migrations[m].database, databases[i]) == 0;
		(void)snprintf(path, sizeof(path), "%s/conf/sql/%s",
			source != NULL ? source : ".", databases[i]);
		ck_assert_uint_eq(count_files(path), n);
	}
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, understands_words, 0, COUNT_OF(good));
	tcase_add_test(tcase, keeps_all_values_of_an_option);
	tcase_add_test(tcase, an_option_is_not_repeated_for_ever);
	tcase_add_loop_test(tcase, says_what_is_wrong_with_words, 0,
		COUNT_OF(bad));
	tcase_add_test(tcase, hides_what_has_no_summary);
	tcase_add_loop_test(tcase, a_line_says_what_the_words_said, 0,
		COUNT_OF(good));
	tcase_add_loop_test(tcase, refuses_lines, 0, COUNT_OF(bad_lines));
	tcase_add_loop_test(tcase, completion_knows_every_command, 0,
		COUNT_OF(scripts));
	tcase_add_test(tcase, the_manual_knows_every_command);
	tcase_add_test(tcase, migrations_are_the_files);
	tcase_add_test(tcase, files_are_the_migrations);
}

int
main(void)
{
	Suite *suite = suite_create("commands");
	TCase *tcase = tcase_create("commands");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
