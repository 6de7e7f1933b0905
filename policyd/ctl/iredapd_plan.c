#include "policyd/ctl/iredapd_plan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/config.h"
#include "policyd/ctl/iredapd_planner.h"

#define CONFIG_TEXT_MAX ((size_t)CONFIG_FILE_MAX)
#define TEXT_MAX        8192
#define SHOWN_MAX       200 /* bytes of a value in a row */
#define LINE_AIM        70

const char *
setting_fate_name(enum setting_fate fate)
{
	switch (fate) {
	case SETTING_CARRIED:
		return "carried";
	case SETTING_CHANGED:
		return "changed";
	case SETTING_DROPPED:
		return "dropped";
	case SETTING_BY_HAND:
		return "by hand";
	}
	assert(0);
}

/* --- what the files say ------------------------------------------------- */

static struct found_setting *
look_up(const struct planner *planner, struct slice name)
{
	for (size_t i = 0; i < planner->n_found; i++)
		if (slice_eq(planner->found[i].name, name))
			return &planner->found[i];
	return NULL;
}

struct found_setting *
planner_look_up(const struct planner *planner, const char *name)
{
	return look_up(planner, slice_of(name));
}

const struct python_value *
planner_find(const struct planner *planner, const char *name)
{
	const struct found_setting *found = look_up(planner, slice_of(name));

	return found != NULL && found->by_hand == NULL ? &found->value : NULL;
}

/* "NAME += [...]" behind "NAME = [...]". */
static void
add_to(struct planner *planner, struct found_setting *found,
	const struct python_value *more)
{
	struct python_value *items;

	if (found->by_hand != NULL)
		return;
	if (found->value.type != PYTHON_LIST || more->type != PYTHON_LIST) {
		found->by_hand = "something is added to it";
		return;
	}
	items = arena_new_array(planner->arena, found->value.n + more->n + 1,
		struct python_value);
	for (size_t i = 0; i < found->value.n; i++)
		items[i] = found->value.items[i];
	for (size_t i = 0; i < more->n; i++)
		items[found->value.n + i] = more->items[i];
	found->value.items = items;
	found->value.n += more->n;
}

static void
take_statement(struct planner *planner, const char *path,
	const struct python_statement *statement)
{
	struct found_setting *found = look_up(planner, statement->name);
	const bool is_new = found == NULL;

	if (is_new)
		found = &planner->found[planner->n_found++];
	found->name = statement->name;
	found->path = path;
	found->line = statement->line;
	if (statement->kind == PYTHON_OTHER) {
		found->by_hand = statement->why;
	} else if (statement->kind == PYTHON_ADD && is_new) {
		found->by_hand = "something is added to iRedAPD's default";
	} else if (statement->kind == PYTHON_ADD) {
		add_to(planner, found, &statement->value);
	} else {
		found->value = statement->value;
		found->by_hand = NULL;
	}
}

/* What cannot be a setting, such as a condition. */
static void
report_statement(struct planner *planner, const char *path,
	const struct python_statement *statement)
{
	const struct found_setting at = { .path = path,
		.line = statement->line };

	planner_row(planner, "(a statement)", "", &at);
	planner_note(planner, SETTING_BY_HAND, "%s: look at what it does",
		statement->why);
}

/* libs.default_settings holds the defaults; custom_settings is read. */
static void
report_import(struct planner *planner, const char *path,
	const struct python_statement *statement)
{
	const struct found_setting at = { .path = path,
		.line = statement->line };

	if (slice_eq_text(statement->module, "libs.default_settings") ||
		slice_eq_text(statement->module, "custom_settings"))
		return;
	planner_row(planner, "(an import)",
		slice_copy(planner->arena, statement->module).ptr, &at);
	planner_note(planner, SETTING_BY_HAND,
		"the file that is imported is not read: look at what it does");
}

static void
take_sources(struct planner *planner, const struct iredapd_source *sources,
	size_t n_sources)
{
	size_t n = 0;

	for (size_t i = 0; i < n_sources; i++)
		n += sources[i].file.n;
	planner->found =
		arena_new_array(planner->arena, n + 1, struct found_setting);
	for (size_t i = 0; i < n_sources; i++) {
		for (size_t j = 0; j < sources[i].file.n; j++) {
			const struct python_statement *statement =
				&sources[i].file.statements[j];

			if (statement->kind == PYTHON_IMPORT)
				report_import(planner, sources[i].path,
					statement);
			else if (statement->name.len == 0)
				report_statement(planner, sources[i].path,
					statement);
			else
				take_statement(planner, sources[i].path,
					statement);
		}
	}
}

/* --- rows and values ---------------------------------------------------- */

void
planner_row(struct planner *planner, const char *name, const char *value,
	const struct found_setting *found)
{
	struct setting_row *row;

	if (planner->n_rows == planner->rows_size) {
		planner->rows_size = 2 * planner->rows_size + 64;
		planner->rows = x_realloc_array(planner->rows,
			planner->rows_size, sizeof(planner->rows[0]));
	}
	row = &planner->rows[planner->n_rows++];
	memset(row, 0, sizeof(*row));
	row->name = name;
	row->value = value == NULL ? "(secret)" : value;
	row->ours = "";
	row->reason = "";
	if (found != NULL) {
		row->path = found->path;
		row->line = found->line;
	}
}

void
planner_note(struct planner *planner, enum setting_fate fate,
	const char *format, ...)
{
	struct setting_row *row = &planner->rows[planner->n_rows - 1];
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fate > row->fate)
		row->fate = fate;
	row->reason = row->reason[0] == '\0'
			      ? arena_printf(planner->arena, "%s", text)
			      : arena_printf(planner->arena, "%s; %s",
					row->reason, text);
}

bool
planner_knows(const struct planner *planner, const char *section,
	const char *key)
{
	struct config_row row;
	struct str value;
	bool is_found = section[0] == '\0';
	size_t at = 0;

	str_init(&value, CONFIG_TEXT_MAX);
	while (!is_found && config_next(planner->defaults, &at, &row, &value))
		is_found = strcmp(row.section, section) == 0 &&
			   strcmp(row.key, key) == 0;
	str_free(&value);
	return is_found;
}

static struct planned_value *
find_value(const struct planner *planner, const char *section, const char *key)
{
	for (size_t i = 0; i < planner->n_values; i++)
		if (strcmp(planner->values[i].section, section) == 0 &&
			strcmp(planner->values[i].key, key) == 0)
			return &planner->values[i];
	return NULL;
}

const char *
planner_value(const struct planner *planner, const char *section,
	const char *key)
{
	const struct planned_value *value = find_value(planner, section, key);

	return value == NULL ? NULL : value->value;
}

/* A line of policyd.conf can hold neither line breaks nor other bytes. */
static const char *
why_not_writable(struct slice text)
{
	if (!slice_is_utf8(text))
		return "it is not UTF-8";
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return "it holds a control character";
	return NULL;
}

static struct planned_value *
add_value(struct planner *planner, const char *section, const char *key)
{
	struct planned_value *value;

	if (planner->n_values == planner->values_size) {
		planner->values_size = 2 * planner->values_size + 64;
		planner->values = x_realloc_array(planner->values,
			planner->values_size, sizeof(planner->values[0]));
	}
	value = &planner->values[planner->n_values++];
	memset(value, 0, sizeof(*value));
	value->section = section;
	value->key = key;
	value->row = planner->n_rows - 1;
	return value;
}

static void
show_ours(struct planner *planner, const struct planned_value *value)
{
	struct setting_row *row = &planner->rows[planner->n_rows - 1];

	row->ours = arena_printf(planner->arena, "%s%s%s.%s = %s", row->ours,
		row->ours[0] == '\0' ? "" : "; ", value->section, value->key,
		value->value);
}

void
planner_set(struct planner *planner, const char *section, const char *key,
	const char *format, ...)
{
	struct planned_value *value = find_value(planner, section, key);
	char text[TEXT_MAX];
	va_list args;
	int len;

	if (value == NULL) {
		va_start(args, format);
		len = vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		value = add_value(planner, section, key);
		value->value = arena_printf(planner->arena, "%s", text);
		value->refused = len >= TEXT_MAX
					 ? "it is too long"
					 : why_not_writable(slice_of(text));
	}
	show_ours(planner, value);
}

static bool
is_word(struct slice item)
{
	for (size_t i = 0; i < item.len; i++)
		if (strchr(" \t,", item.ptr[i]) != NULL)
			return false;
	return item.len > 0 && item.ptr[0] != '#' && item.ptr[0] != ';' &&
	       why_not_writable(item) == NULL;
}

void
planner_set_list(struct planner *planner, const char *section, const char *key,
	const struct slice *items, size_t n)
{
	struct planned_value *value;
	struct str text;

	str_init(&text, CONFIG_TEXT_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!is_word(items[i]))
			planner_note(planner, SETTING_BY_HAND,
				"an item of its list is no word");
		else
			str_printf(&text, "%s%.*s", text.len > 0 ? ", " : "",
				SLICE_ARG(items[i]));
	}
	if (find_value(planner, section, key) == NULL) {
		value = add_value(planner, section, key);
		value->is_list = true;
		value->value = slice_copy(planner->arena, str_slice(&text)).ptr;
		show_ours(planner, value);
	}
	str_free(&text);
}

void
planner_secret(struct planner *planner, const char *section, const char *key,
	const char *file, struct slice content)
{
	struct setting_secret *secret;

	if (content.len == 0)
		return;
	assert(planner->plan->n_secrets < IREDAPD_SECRETS_MAX);
	secret = &planner->plan->secrets[planner->plan->n_secrets++];
	secret->path =
		arena_printf(planner->arena, "%s/%s", planner->directory, file);
	secret->content = slice_of(
		arena_printf(planner->arena, "%.*s\n", SLICE_ARG(content)));
	planner_set(planner, section, key, "%s", secret->path);
}

/* --- the configuration -------------------------------------------------- */

static void
write_value(struct planned_value *value, struct str *out, unsigned *line)
{
	const bool is_long = strlen(value->value) > LINE_AIM;
	struct slice rest = slice_of(value->value), part;

	value->first_line = (*line)++;
	str_printf(out, value->value[0] == '\0' ? "%s =" : "%s = ", value->key);
	if (!value->is_list || !is_long) {
		str_append_text(out, value->value);
	} else {
		(void)slice_split(&rest, ' ', &part);
		str_append_slice(out, part);
		while (slice_split(&rest, ' ', &part)) {
			str_printf(out, "\n\t%.*s", SLICE_ARG(part));
			(*line)++;
		}
	}
	str_append_char(out, '\n');
	value->last_line = *line - 1;
}

/* Each value that is not refused, its section once, in order of arrival. */
static void
write_config(struct planner *planner, struct str *out)
{
	unsigned line = 1;

	str_reset(out);
	for (size_t i = 0; i < planner->n_values; i++) {
		const char *section = planner->values[i].section;
		bool is_first = true;

		for (size_t j = 0; j < i; j++)
			is_first =
				is_first && strcmp(planner->values[j].section,
						    section) != 0;
		if (!is_first)
			continue;
		str_printf(out, "%s[%s]\n", i == 0 ? "" : "\n", section);
		line += i == 0 ? 1 : 2;
		for (size_t j = i; j < planner->n_values; j++)
			if (strcmp(planner->values[j].section, section) == 0 &&
				planner->values[j].refused == NULL)
				write_value(&planner->values[j], out, &line);
	}
}

/* Marks the values that the errors speak of; false when none was found. */
static bool
refuse_values(struct planner *planner, const struct config_errors *errors)
{
	bool is_any = false;

	for (size_t i = 0; i < errors->n; i++) {
		for (size_t j = 0; j < planner->n_values; j++) {
			struct planned_value *value = &planner->values[j];

			if (value->refused != NULL ||
				errors->items[i].line < value->first_line ||
				errors->items[i].line > value->last_line)
				continue;
			value->refused = arena_printf(planner->arena, "%s",
				errors->items[i].text);
			is_any = true;
		}
	}
	return is_any;
}

static void
report_refused(struct planner *planner)
{
	for (size_t i = 0; i < planner->n_values; i++) {
		const struct planned_value *value = &planner->values[i];
		struct setting_row *row = &planner->rows[value->row];

		if (value->refused == NULL)
			continue;
		row->fate = SETTING_BY_HAND;
		row->ours = "";
		row->reason = arena_printf(planner->arena,
			"policyd does not take it: %s", value->refused);
	}
}

/* The file as it will be: where it is from, what is left to do, the rest. */
static void
keep_config(struct planner *planner, const struct str *text)
{
	struct str file;

	str_init(&file, 2 * CONFIG_TEXT_MAX);
	str_append_text(&file,
		"# Made from iRedAPD's settings by \"policyctl migrate from "
		"iredapd\".\n# policyd.conf(5) tells of every setting.\n");
	for (size_t i = 0; i < planner->n_rows; i++) {
		const struct setting_row *row = &planner->rows[i];

		if (row->fate == SETTING_BY_HAND)
			str_printf(&file, "# Set this by hand: %s, line %u\n",
				row->name, row->line);
	}
	str_append_char(&file, '\n');
	str_append_slice(&file, str_slice(text));
	planner->plan->config = slice_copy(planner->arena, str_slice(&file));
	str_free(&file);
}

/* What policyd refuses is left out, until it has no mistakes. */
static void
make_config(struct planner *planner)
{
	bool is_good = false;
	struct str text;

	str_init(&text, CONFIG_TEXT_MAX);
	while (!is_good) {
		struct config_errors errors = { NULL, 0 };
		struct config *config;

		write_config(planner, &text);
		config = config_parse(str_slice(&text), "", &errors);
		is_good = config != NULL;
		if (!is_good && !refuse_values(planner, &errors))
			assert(false && "a mistake that no value has made");
		config_unref(config);
		config_errors_free(&errors);
	}
	report_refused(planner);
	keep_config(planner, &text);
	str_free(&text);
}

const char *
planner_show(const struct planner *planner, const struct python_value *value)
{
	struct str text;
	const char *shown;

	str_init(&text, SHOWN_MAX);
	python_print(value, &text);
	shown = arena_printf(planner->arena, "%s%s", str_text(&text),
		text.is_cut ? "…" : "");
	str_free(&text);
	return shown;
}

/* Names that the table does not have, and what it could not be told. */
static void
report_rest(struct planner *planner)
{
	for (size_t i = 0; i < planner->n_found; i++) {
		const struct found_setting *found = &planner->found[i];

		if (found->is_used)
			continue;
		planner_row(planner,
			slice_copy(planner->arena, found->name).ptr,
			found->by_hand == NULL
				? planner_show(planner, &found->value)
				: "",
			found);
		planner_note(planner, SETTING_DROPPED,
			"iRedAPD has no such setting");
	}
}

void
iredapd_plan_make(struct arena *arena, const struct iredapd_source *sources,
	size_t n_sources, const char *directory, struct iredapd_plan *out)
{
	struct planner planner = { .arena = arena,
		.directory = directory,
		.plan = out };

	struct config_errors errors = { NULL, 0 };

	memset(out, 0, sizeof(*out));
	planner.defaults = config_parse(SLICE(""), "", &errors);
	take_sources(&planner, sources, n_sources);
	iredapd_settings_map(&planner);
	report_rest(&planner);
	make_config(&planner);
	out->n_rows = planner.n_rows;
	out->rows =
		arena_new_array(arena, planner.n_rows + 1, struct setting_row);
	if (planner.n_rows > 0)
		memcpy(out->rows, planner.rows,
			planner.n_rows * sizeof(out->rows[0]));
	config_unref(planner.defaults);
	x_free(planner.rows);
	x_free(planner.values);
}
