#include "policyd/commands/reply.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "policyd/commands/command.h"

#define SENTENCE_MAX 8192

static const char *
type_name(enum reply_type type)
{
	static const char *const names[] = {
		[REPLY_TEXT] = "text",
		[REPLY_NUMBER] = "number",
		[REPLY_BOOL] = "bool",
		[REPLY_UP] = "up",
		[REPLY_ON] = "on",
		[REPLY_TIME] = "time",
		[REPLY_SECONDS] = "seconds",
		[REPLY_MICROSECONDS] = "microseconds",
		[REPLY_BYTES] = "bytes",
		[REPLY_ACCOUNT] = "account",
		[REPLY_LIMIT] = "limit",
		[REPLY_BYTES_LIMIT] = "bytes_limit",
		[REPLY_PERCENT] = "percent",
	};

	return names[type];
}

static void
send_line(struct command *command, bool is_last)
{
	str_append_char(&command->line, '\n');
	if (command->line.is_cut) {
		/* Half a line would be no JSON. */
		str_reset(&command->line);
		str_append_text(&command->line,
			is_last ? "{\"error\":\"the reply is too long\","
				  "\"exit\":5}\n"
				: "{\"text\":\"a part of the reply is too "
				  "long to be shown; use --limit\"}\n");
	}
	if (command->conn != NULL)
		command->send(command->conn, str_slice(&command->line),
			is_last);
	str_reset(&command->line);
}

static void
append_member(struct command *command, const char *name, const char *text)
{
	if (text == NULL)
		return;
	str_printf(&command->line, "\"%s\":", name);
	str_append_json(&command->line, slice_of(text));
	str_append_char(&command->line, ',');
}

static void
comma(struct command *command)
{
	if (command->has_member)
		str_append_char(&command->line, ',');
	command->has_member = true;
}

/* --- tables and fields -------------------------------------------------- */

void
reply_table(struct command *command, const char *name, const char *title,
	const struct reply_column *columns, size_t n)
{
	struct str *line = &command->line;

	assert(!command->is_ended && line->len == 0);
	str_append_char(line, '{');
	append_member(command, "name", name);
	append_member(command, "title", title);
	str_append_text(line, "\"columns\":[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			str_append_char(line, ',');
		str_append_char(line, '{');
		append_member(command, "key", columns[i].key);
		append_member(command, "title", columns[i].title);
		str_printf(line, "\"type\":\"%s\"}",
			type_name(columns[i].type));
	}
	str_append_text(line, "],\"rows\":[");
	command->has_row = false;
	command->row_end = ']';
}

void
reply_row(struct command *command)
{
	str_append_text(&command->line, command->has_row ? "],[" : "[");
	command->has_row = true;
	command->has_member = false;
}

void
reply_fields(struct command *command, const char *name, const char *title)
{
	assert(!command->is_ended && command->line.len == 0);
	str_append_char(&command->line, '{');
	append_member(command, "name", name);
	append_member(command, "title", title);
	str_append_text(&command->line, "\"fields\":[");
	command->has_row = false;
	command->row_end = '}';
	command->has_member = false;
}

void
reply_field(struct command *command, const char *key, const char *title,
	enum reply_type type)
{
	str_append_text(&command->line, command->has_row ? "},{" : "{");
	command->has_row = true;
	append_member(command, "key", key);
	append_member(command, "title", title);
	str_printf(&command->line,
		"\"type\":\"%s\",\"value\":", type_name(type));
	command->has_member = false;
}

void
reply_part_end(struct command *command)
{
	if (command->has_row)
		str_append_char(&command->line, command->row_end);
	str_append_text(&command->line, "]}");
	send_line(command, false);
}

void
reply_value(struct command *command, struct slice text)
{
	comma(command);
	str_append_json(&command->line, text);
}

void
reply_number(struct command *command, int64_t number)
{
	comma(command);
	str_append_i64(&command->line, number);
}

void
reply_unsigned(struct command *command, uint64_t number)
{
	comma(command);
	str_append_u64(&command->line, number);
}

void
reply_bool(struct command *command, bool is_set)
{
	comma(command);
	str_append_text(&command->line, is_set ? "true" : "false");
}

void
reply_null(struct command *command)
{
	comma(command);
	str_append_text(&command->line, "null");
}

/* --- other parts, and the end ------------------------------------------- */

void
reply_json(struct command *command, const char *name, struct slice json)
{
	str_printf(&command->line, "{\"%s\":", name);
	str_append_slice(&command->line, json);
	str_append_char(&command->line, '}');
	send_line(command, false);
}

__attribute__((format(printf, 2, 0))) static void
append_sentence(struct command *command, const char *format, va_list arguments)
{
	char text[SENTENCE_MAX];

	/* A sentence that does not fit is cut: it is for people. */
	(void)vsnprintf(text, sizeof(text), format, arguments);
	str_append_json(&command->line, slice_of(text));
}

void
reply_text(struct command *command, const char *format, ...)
{
	va_list arguments;

	str_append_text(&command->line, "{\"text\":");
	va_start(arguments, format);
	append_sentence(command, format, arguments);
	va_end(arguments);
	str_append_char(&command->line, '}');
	send_line(command, false);
}

static void
end(struct command *command)
{
	assert(!command->is_ended);
	command->is_ended = true;
	send_line(command, true);
	command->conn = NULL;
}

void
reply_end(struct command *command, enum command_exit exit)
{
	str_printf(&command->line, "{\"exit\":%d}", (int)exit);
	end(command);
}

void
reply_error(struct command *command, enum command_exit exit, const char *format,
	...)
{
	va_list arguments;

	str_reset(&command->line);
	str_append_text(&command->line, "{\"error\":");
	va_start(arguments, format);
	append_sentence(command, format, arguments);
	va_end(arguments);
	str_printf(&command->line, ",\"exit\":%d}", (int)exit);
	end(command);
}
