/* Tables and lists of fields, over libsmartcols. */

#include <libsmartcols.h>

#include "policyd/ctl/output.h"
#include "policyd/json.h"

#define CELL_MAX 4096

static void
print_title(const struct output *output, const struct json *part)
{
	const struct slice title = json_member_text(part, "title");

	if (title.len > 0)
		printf("\n%s%.*s%s\n", output_color(output, COLOR_BOLD),
			SLICE_ARG(title), output_color_end(output, COLOR_BOLD));
}

static const char *
color_name(enum output_color color)
{
	switch (color) {
	case COLOR_NONE:
	case COLOR_BOLD:
		break;
	case COLOR_GOOD:
		return "green";
	case COLOR_WARN:
		return "brown";
	case COLOR_BAD:
		return "red";
	}
	return NULL;
}

static void
set_cell(const struct output *output, struct libscols_line *line, size_t column,
	struct slice type, const struct json *value)
{
	const enum output_color color = output_value_color(type, value);
	struct str text;

	str_init(&text, CELL_MAX);
	output_append_value(&text, type, value);
	scols_line_set_data(line, column, str_text(&text));
	str_free(&text);
	if (output->has_color && color != COLOR_NONE)
		scols_cell_set_color(scols_line_get_cell(line, column),
			color_name(color));
}

static struct libscols_table *
make_table(const struct output *output)
{
	struct libscols_table *table = scols_new_table();

	if (table == NULL)
		return NULL;
	scols_table_enable_colors(table, output->has_color);
	scols_table_set_column_separator(table, "  ");
	/* Or it would write the \x1b of output_append_safe() as \x5cx1b. */
	scols_table_enable_noencoding(table, 1);
	return table;
}

static bool
is_number(struct slice type)
{
	static const char *const left[] = { "text", "account", "up", "on",
		"bool", "time" };

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		if (slice_eq_text(type, left[i]))
			return false;
	return true;
}

static void
add_column(const struct output *output, struct libscols_table *table,
	const struct json *column)
{
	const bool is_right = is_number(json_member_text(column, "type"));
	struct libscols_column *added;
	struct str title;

	str_init(&title, CELL_MAX);
	output_append_safe(&title, json_member_text(column, "title"));
	added = scols_table_new_column(table, str_text(&title), 0,
		is_right ? SCOLS_FL_RIGHT : 0);
	str_free(&title);
	if (added != NULL && output->has_color)
		scols_cell_set_color(scols_column_get_header(added), "bold");
}

void
output_table(struct output *output, const struct json *part)
{
	const struct json *columns = json_member(part, "columns");
	const struct json *rows = json_member(part, "rows");
	struct libscols_table *table;

	if (json_length(rows) == 0)
		return;
	print_title(output, part);
	table = make_table(output);
	if (table == NULL)
		return;
	for (size_t i = 0; i < json_length(columns); i++)
		add_column(output, table, json_element(columns, i));
	for (size_t row = 0; row < json_length(rows); row++) {
		struct libscols_line *line = scols_table_new_line(table, NULL);

		for (size_t i = 0; line != NULL && i < json_length(columns);
			i++)
			set_cell(output, line, i,
				json_member_text(json_element(columns, i),
					"type"),
				json_element(json_element(rows, row), i));
	}
	scols_print_table(table);
	scols_unref_table(table);
}

void
output_fields(struct output *output, const struct json *part)
{
	const struct json *fields = json_member(part, "fields");
	struct libscols_table *table = make_table(output);

	if (table == NULL)
		return;
	print_title(output, part);
	scols_table_enable_noheadings(table, 1);
	scols_table_new_column(table, "name", 0, 0);
	scols_table_new_column(table, "value", 0, 0);
	for (size_t i = 0; i < json_length(fields); i++) {
		const struct json *field = json_element(fields, i);
		struct libscols_line *line = scols_table_new_line(table, NULL);

		if (line == NULL)
			break;
		set_cell(output, line, 0, SLICE("text"),
			json_member(field, "title"));
		set_cell(output, line, 1, json_member_text(field, "type"),
			json_member(field, "value"));
	}
	scols_print_table(table);
	scols_unref_table(table);
}
