/*
 * The sample and the manual page show every setting of the table, with its
 * default; they are read from the directory conf in SOURCE_DIR.
 */

#include "policyd/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define PRINT_MAX (1024 * 1024)

static struct config_errors errors;

static void
setup(void)
{
	memset(&errors, 0, sizeof(errors));
}

static void
teardown(void)
{
	config_errors_free(&errors);
}

static struct config *
parse(const char *text)
{
	struct config *config =
		config_parse(slice_of(text), "test.conf", &errors);

	ck_assert_msg(config, "line %u: %s", errors.items[0].line,
		errors.items[0].text);
	ck_assert_uint_eq(errors.n, 0);
	return config;
}

/* To be freed with x_free(). */
static char *
print(const struct config *config)
{
	struct str out;

	str_init(&out, PRINT_MAX);
	config_print(config, false, &out);
	ck_assert(!out.is_cut);
	return out.data;
}

static char *
print_defaults(void)
{
	struct config *config = parse("");
	char *text = print(config);

	config_unref(config);
	return text;
}

/* The source of a document. */
static void
read_document(const char *name, struct str *out)
{
	const char *source = getenv("SOURCE_DIR");
	char path[1024], buffer[4096];
	size_t n;
	FILE *file;

	ck_assert_msg(source, "SOURCE_DIR is not set");
	(void)snprintf(path, sizeof(path), "%s/conf/%s", source, name);
	file = fopen(path, "r");
	ck_assert_msg(file, "cannot open %s", path);
	str_init(out, PRINT_MAX);
	while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		str_append(out, buffer, n);
	(void)fclose(file);
}

/*
 * The settings that a document shows, one "[section] key = default" or "...
 * key =" a line; for the manual with the line of its type behind.
 */
static void
list_sample(struct slice text, struct str *out)
{
	struct slice line, section = SLICE("");

	while (slice_split(&text, '\n', &line)) {
		if (slice_starts(line, SLICE("[")))
			section = line;
		if (line.len < 2 || line.ptr[0] != '#' || line.ptr[1] < 'a' ||
			line.ptr[1] > 'z')
			continue;
		str_append_slice(out, section);
		str_append_char(out, ' ');
		str_append_slice(out, slice_from(line, 1));
		str_append_char(out, '\n');
	}
}

/* A heading may name several sections, which then share the settings. */
static void
list_item(struct slice sections, struct slice key, struct slice type,
	struct str *out)
{
	ptrdiff_t blank = slice_find(key, ' ');
	struct slice section;

	ck_assert_int_ge(blank, 0);
	while (slice_split(&sections, ',', &section)) {
		str_append_slice(out, slice_trim(section));
		str_append_char(out, ' ');
		str_append_slice(out, slice_part(key, 0, (size_t)blank));
		str_append_slice(out,
			slice_from(key, (size_t)blank + strlen(" No")));
		str_append_char(out, '\n');
		str_append_slice(out, type);
		str_append_char(out, '\n');
	}
}

static void
list_manual(struct slice text, struct str *out)
{
	struct slice heading = SLICE(".Ss "), item = SLICE(".It Ic ");
	struct slice line, type, sections = SLICE("");

	while (slice_split(&text, '\n', &line)) {
		if (slice_starts(line, heading))
			sections = slice_from(line, heading.len);
		if (!slice_starts(line, item))
			continue;
		ck_assert(slice_split(&text, '\n', &type));
		list_item(sections, slice_from(line, item.len), type, out);
	}
}

/* Documents that show each setting of the table, and nothing else. */
static const struct {
	const char *name;
	void (*list)(struct slice text, struct str *out);
	bool has_types;
} documents[] = {
	{ "policyd.conf", list_sample, false },
	{ "policyd.conf.5", list_manual, true },
};

/* Takes line out of the text, or fails. */
static void
take_line(struct str *text, const char *line, const char *document)
{
	char *at = strstr(str_text(text), line);
	size_t len = strlen(line);

	while (at && at != text->data && at[-1] != '\n')
		at = strstr(at + 1, line);
	ck_assert_msg(at, "%s does not show: %s", document, line);
	memmove(at, at + len, text->len - (size_t)(at - text->data) - len + 1);
	text->len -= len;
}

START_TEST(documents_agree_with_the_table)
{
	struct config *config = parse("");
	struct config_row row;
	struct str text, shown, value;
	char line[512];
	size_t at = 0;

	read_document(documents[_i].name, &text);
	str_init(&shown, PRINT_MAX);
	str_init(&value, PRINT_MAX);
	documents[_i].list(str_slice(&text), &shown);
	while (config_next(config, &at, &row, &value)) {
		(void)snprintf(line, sizeof(line), "[%s] %s =%s%s\n",
			row.section, row.key,
			row.default_text[0] != '\0' ? " " : "",
			row.default_text);
		if (documents[_i].has_types)
			(void)snprintf(line + strlen(line),
				sizeof(line) - strlen(line), ".Pq %s%s\n",
				row.type, row.needs_restart ? "; restart" : "");
		take_line(&shown, line, documents[_i].name);
	}
	ck_assert_msg(shown.len == 0, "%s shows what is no setting: %s",
		documents[_i].name, str_text(&shown));
	str_free(&text);
	str_free(&shown);
	str_free(&value);
	config_unref(config);
}
END_TEST

START_TEST(the_sample_is_the_defaults)
{
	char *defaults = print_defaults(), *printed;
	struct config *config;
	struct str text;

	read_document("policyd.conf", &text);
	config = parse(str_text(&text));
	printed = print(config);
	ck_assert_str_eq(printed, defaults);
	config_unref(config);
	x_free(printed);
	/* And with each setting put in force. */
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.data[i] == '#' &&
			(i == 0 || text.data[i - 1] == '\n') &&
			text.data[i + 1] >= 'a' && text.data[i + 1] <= 'z')
			text.data[i] = '\n';
	}
	config = parse(str_text(&text));
	printed = print(config);
	ck_assert_str_eq(printed, defaults);
	config_unref(config);
	x_free(printed);
	x_free(defaults);
	str_free(&text);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int
main(void)
{
	Suite *suite = suite_create("config_documents");
	TCase *tcase = tcase_create("config_documents");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, documents_agree_with_the_table, 0,
		COUNT(documents));
	tcase_add_test(tcase, the_sample_is_the_defaults);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
