#include "policyd/ctl/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policyd/commands/command.h"
#include "policyd/json.h"

#define TEXT_MAX ((size_t)64 << 10)

void
output_init(struct output *output, bool is_json, bool is_stream)
{
	const char *no_color = getenv("NO_COLOR");

	memset(output, 0, sizeof(*output));
	output->is_json = is_json;
	output->is_stream = is_stream;
	output->has_color = !is_json && isatty(STDOUT_FILENO) == 1 &&
			    (no_color == NULL || no_color[0] == '\0');
	str_init(&output->json, 2 * COMMAND_REPLY_MAX);
}

void
output_free(struct output *output)
{
	str_free(&output->json);
}

const char *
output_color(const struct output *output, enum output_color color)
{
	static const char *const sequences[] = {
		[COLOR_NONE] = "",
		[COLOR_BOLD] = "\033[1m",
		[COLOR_GOOD] = "\033[32m",
		[COLOR_WARN] = "\033[33m",
		[COLOR_BAD] = "\033[31m",
	};

	return output->has_color ? sequences[color] : "";
}

const char *
output_color_end(const struct output *output, enum output_color color)
{
	return output->has_color && color != COLOR_NONE ? "\033[0m" : "";
}

/* --- as JSON ------------------------------------------------------------ */

static void
append_key(struct str *out, struct slice key)
{
	str_append_json(out, key);
	str_append_char(out, ':');
}

static void
append_row(struct str *out, const struct json *columns, const struct json *row)
{
	str_append_char(out, '{');
	for (size_t i = 0; i < json_length(columns); i++) {
		if (i > 0)
			str_append_char(out, ',');
		append_key(out,
			json_member_text(json_element(columns, i), "key"));
		json_print(json_element(row, i), out);
	}
	str_append_char(out, '}');
}

/* A table is an array of objects. */
static void
append_table(struct str *out, const struct json *part)
{
	const struct json *rows = json_member(part, "rows");

	str_append_char(out, '[');
	for (size_t i = 0; i < json_length(rows); i++) {
		if (i > 0)
			str_append_char(out, ',');
		append_row(out, json_member(part, "columns"),
			json_element(rows, i));
	}
	str_append_char(out, ']');
}

/* Fields are members. */
static void
append_fields(struct str *out, const struct json *part)
{
	const struct json *fields = json_member(part, "fields");

	for (size_t i = 0; i < json_length(fields); i++) {
		const struct json *field = json_element(fields, i);

		if (i > 0)
			str_append_char(out, ',');
		append_key(out, json_member_text(field, "key"));
		json_print(json_member(field, "value"), out);
	}
}

static void
begin_member(struct output *output)
{
	if (output->has_member)
		str_append_char(&output->json, ',');
	output->has_member = true;
}

/*
 * One unnamed table, or decisions, are the whole answer: an array. Everything
 * else gathers in one object; then a sentence is the member "text".
 */
static void
gather(struct output *output, const struct json *part)
{
	const struct slice name = json_member_text(part, "name");
	const bool is_table = json_member(part, "rows") != NULL;
	const struct json *decision = json_member(part, "decision");

	if ((is_table && name.len == 0) || decision != NULL) {
		if (decision != NULL) {
			begin_member(output);
			json_print(decision, &output->json);
		} else {
			append_table(&output->json, part);
		}
		output->is_array = output->is_array || decision != NULL;
		output->has_printed = true;
	} else if (output->has_printed) {
		return; /* a remark behind a table */
	} else if (is_table) {
		begin_member(output);
		append_key(&output->json, name);
		append_table(&output->json, part);
	} else if (json_member(part, "fields") != NULL) {
		begin_member(output);
		if (name.len > 0) {
			append_key(&output->json, name);
			str_append_char(&output->json, '{');
		}
		append_fields(&output->json, part);
		if (name.len > 0)
			str_append_char(&output->json, '}');
	} else if (json_member(part, "text") != NULL) {
		begin_member(output);
		append_key(&output->json, SLICE("text"));
		json_print(json_member(part, "text"), &output->json);
	}
}

static void
print_json(struct output *output)
{
	const char *brackets = output->is_array      ? "[]"
			       : output->has_printed ? "  "
						     : "{}";

	if (brackets[0] != ' ')
		putchar(brackets[0]);
	fwrite(str_text(&output->json), 1, output->json.len, stdout);
	if (brackets[1] != ' ')
		putchar(brackets[1]);
	putchar('\n');
}

static void
print_stream_json(const struct json *part)
{
	static const char *const names[] = { "decision", "rates" };
	struct str line;

	str_init(&line, COMMAND_REPLY_MAX);
	for (size_t i = 0; i < 2; i++)
		if (json_member(part, names[i]) != NULL)
			json_print(json_member(part, names[i]), &line);
	if (line.len > 0)
		puts(str_text(&line));
	str_free(&line);
}

static void
error_json(struct slice text, int exit)
{
	struct str line;

	str_init(&line, TEXT_MAX);
	str_append_text(&line, "{\"error\":");
	str_append_json(&line, text);
	str_printf(&line, ",\"exit\":%d}", exit);
	puts(str_text(&line));
	str_free(&line);
}

/* --- for people --------------------------------------------------------- */

static void
print_text(FILE *to, const char *before, struct slice text)
{
	struct slice line;
	struct str safe;

	while (slice_split(&text, '\n', &line)) {
		str_init(&safe, TEXT_MAX);
		output_append_safe(&safe, line);
		fprintf(to, "%s%s\n", before, str_text(&safe));
		str_free(&safe);
		before = "";
	}
}

#define RATES_PER_HEADER 20

/* A line of "stats --watch". */
static void
print_rates(struct output *output, const struct json *rates)
{
	const struct json *value;
	struct slice name;
	size_t at = 0;
	char time[32];
	struct str text;

	if (output->n_rates++ % RATES_PER_HEADER == 0) {
		printf("%s", output_color(output, COLOR_BOLD));
		printf("%-8s", "time");
		while (json_next_member(rates, &at, &name, &value))
			if (!slice_eq_text(name, "time"))
				printf(" %*.*s",
					(int)(name.len < 8 ? 8 : name.len),
					SLICE_ARG(name));
		printf("%s\n", output_color_end(output, COLOR_BOLD));
	}
	at = 0;
	str_init(&text, sizeof(time));
	output_append_value(&text, SLICE("time"), json_member(rates, "time"));
	printf("%-8s", text.len > 11 ? str_text(&text) + 11 : "");
	str_free(&text);
	while (json_next_member(rates, &at, &name, &value))
		if (!slice_eq_text(name, "time"))
			printf(" %*lld", (int)(name.len < 8 ? 8 : name.len),
				(long long)json_integer_of(value));
	putchar('\n');
}

static void
print_decision(struct output *output, const struct json *decision)
{
	if (output->is_stream) {
		output_decision_line(output, decision);
		return;
	}
	if (output->n_decisions++ > 0)
		putchar('\n');
	output_decision(output, decision);
}

static void
print_part(struct output *output, const struct json *part)
{
	if (json_member(part, "rows") != NULL)
		output_table(output, part);
	else if (json_member(part, "fields") != NULL)
		output_fields(output, part);
	else if (json_member(part, "decision") != NULL)
		print_decision(output, json_member(part, "decision"));
	else if (json_member(part, "rates") != NULL)
		print_rates(output, json_member(part, "rates"));
	else if (json_member(part, "text") != NULL)
		print_text(stdout, "", json_member_text(part, "text"));
	if (output->is_stream)
		fflush(stdout);
}

static void
print_error(struct output *output, struct slice text, int exit)
{
	if (output->is_json) {
		error_json(text, exit);
		return;
	}
	fflush(stdout);
	print_text(stderr, "policyctl: ", text);
}

void
output_error(struct output *output, int exit, const char *format, ...)
{
	va_list arguments;
	char text[4096];

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	print_error(output, slice_of(text), exit);
}

/* --- a line ------------------------------------------------------------- */

static void
take_part(struct output *output, const struct json *part)
{
	if (!output->is_json)
		print_part(output, part);
	else if (output->is_stream)
		print_stream_json(part);
	else
		gather(output, part);
	if (output->is_json && output->is_stream)
		fflush(stdout);
}

bool
output_line(struct output *output, struct slice line, int *exit)
{
	char err[160];
	struct json *part = json_parse(line, err, sizeof(err));
	const struct json *error = json_member(part, "error");
	const struct json *last = json_member(part, "exit");

	if (part == NULL) {
		*exit = COMMAND_EXIT_UNREACHABLE;
		output_error(output, *exit,
			"the answer cannot be read: %s; are policyctl and "
			"policyd of the same version?",
			err);
		return true;
	}
	if (last == NULL) {
		take_part(output, part);
	} else {
		*exit = (int)json_integer_of(last);
		if (error != NULL)
			print_error(output, json_text(error), *exit);
		else if (output->is_json && !output->is_stream)
			print_json(output);
	}
	json_drop(part);
	return last != NULL;
}
