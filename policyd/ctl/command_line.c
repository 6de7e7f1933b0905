/*
 * A request as one line of JSON, on its way from policyctl to the daemon:
 *	{"command":["policy","set"],"arguments":{"account":"@example.com"}}
 * The name of an argument is the one of its parameter in lower case, with _
 * for -. A flag has the value true.
 */

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/ctl/command_table.h"
#include "policyd/json.h"

/* --- reading ------------------------------------------------------------ */

static const struct command_row *
read_words(const struct json *list)
{
	const size_t n = json_length(list);
	char text[COMMAND_WORDS_MAX][32];
	const char *words[COMMAND_WORDS_MAX];
	const struct command_row *row;
	size_t n_used;

	if (json_type_of(list) != JSON_TYPE_ARRAY || n > COMMAND_WORDS_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "%.*s",
			SLICE_ARG(json_text(json_element(list, i))));
		words[i] = text[i];
	}
	row = command_find(words, n, &n_used);
	return row != NULL && n_used == n ? row : NULL;
}

static int
read_argument(struct arena *arena, struct command_request *out,
	struct slice name, const struct json *value)
{
	struct command_parameter parameter;

	for (size_t i = 0; command_parameter(out->row, i, &parameter); i++) {
		const bool is_flag =
			parameter.is_option && parameter.value.len == 0;

		if (!command_parameter_is(&parameter, name))
			continue;
		if (is_flag ? json_type_of(value) != JSON_TYPE_BOOL
			    : json_type_of(value) != JSON_TYPE_TEXT)
			return -1;
		out->is_given[i] = !is_flag || json_is_set(value);
		out->value[i] = is_flag ? SLICE("")
					: slice_copy(arena, json_text(value));
		return 0;
	}
	return -1;
}

static int
read_arguments(struct arena *arena, const struct json *object,
	struct command_request *out, char *err, size_t err_size)
{
	struct command_parameter parameter;
	const struct json *value;
	struct slice name;
	size_t at = 0;

	while (json_next_member(object, &at, &name, &value)) {
		if (read_argument(arena, out, name, value) == 0)
			continue;
		(void)snprintf(err, err_size,
			"the argument \"%.*s\" of \"%s\" is not known, or not "
			"of its type",
			(int)(name.len < 64 ? name.len : 64), name.ptr,
			out->row->words);
		return -1;
	}
	for (size_t i = 0; command_parameter(out->row, i, &parameter); i++) {
		if (!parameter.is_required || out->is_given[i])
			continue;
		(void)snprintf(err, err_size, "%.*s is missing for \"%s\"",
			SLICE_ARG(parameter.shown), out->row->words);
		return -1;
	}
	return 0;
}

int
command_parse_line(struct arena *arena, struct slice line,
	struct command_request *out, char *err, size_t err_size)
{
	char why[160];
	struct json *request = json_parse(line, why, sizeof(why));
	int status = -1;

	memset(out, 0, sizeof(*out));
	if (request == NULL) {
		(void)snprintf(err, err_size, "the request is not JSON: %s",
			why);
		return -1;
	}
	out->row = read_words(json_member(request, "command"));
	if (out->row == NULL || out->row->where != COMMAND_DAEMON)
		(void)snprintf(err, err_size,
			"the daemon has no such command; are policyctl and "
			"policyd of the same version?");
	else
		status = read_arguments(arena,
			json_member(request, "arguments"), out, err, err_size);
	json_drop(request);
	return status;
}

/* --- writing ------------------------------------------------------------ */

void
command_print_line(const struct command_request *request, struct str *out)
{
	struct slice rest = slice_of(request->row->words), word;
	struct command_parameter parameter;
	const char *comma = "";
	char name[32];

	str_append_text(out, "{\"command\":[");
	while (slice_split(&rest, ' ', &word)) {
		str_append_text(out, comma);
		str_append_json(out, word);
		comma = ",";
	}
	str_append_text(out, "],\"arguments\":{");
	comma = "";
	for (size_t i = 0; command_parameter(request->row, i, &parameter);
		i++) {
		if (!request->is_given[i])
			continue;
		str_append_text(out, comma);
		comma = ",";
		command_parameter_name(&parameter, name, sizeof(name));
		str_printf(out, "\"%s\":", name);
		if (parameter.is_option && parameter.value.len == 0)
			str_append_text(out, "true");
		else
			str_append_json(out, request->value[i]);
	}
	str_append_text(out, "}}\n");
}
