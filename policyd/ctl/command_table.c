#include "policyd/ctl/command_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct command_row command_table[COMMAND_COUNT] = {
#define COMMAND(id, words, where, effect, arguments, summary)    \
	[COMMAND_##id] = { COMMAND_##id, words, COMMAND_##where, \
		COMMAND_##effect, arguments, summary },
#include "policyd/ctl/commands.def"
#undef COMMAND
};

/* --- arguments as the table describes them ------------------------------ */

/*
 * Takes "ACCOUNT", "[KIND]", "[--period TIME]" or "--sender ADDRESS" from
 * *rest. An option that is required has a value.
 */
static bool
next_parameter(struct slice *rest, struct command_parameter *out)
{
	struct slice part, name;
	ptrdiff_t end;

	*rest = slice_trim(*rest);
	if (rest->len == 0)
		return false;
	out->is_required = rest->ptr[0] != '[';
	end = slice_find(*rest, out->is_required ? ' ' : ']');
	if (end >= 0 && slice_starts(*rest, SLICE("--"))) {
		const ptrdiff_t more =
			slice_find(slice_from(*rest, (size_t)end + 1), ' ');

		end = more < 0 ? -1 : end + 1 + more;
	}
	part = slice_part(*rest, out->is_required ? 0 : 1,
		end < 0 ? rest->len : (size_t)end);
	*rest = end < 0 ? SLICE("") : slice_from(*rest, (size_t)end + 1);
	(void)slice_split(&part, ' ', &name);
	out->shown = name;
	out->value = part.ptr == NULL ? SLICE("") : part;
	out->is_option = slice_starts(name, SLICE("--"));
	out->is_repeated = slice_ends(out->value, SLICE("..."));
	return true;
}

bool
command_parameter(const struct command_row *row, size_t i,
	struct command_parameter *out)
{
	struct slice rest = slice_of(row->arguments);

	for (size_t at = 0; next_parameter(&rest, out); at++) {
		assert(at < COMMAND_ARGUMENTS_MAX); /* the table is ours */
		if (at == i)
			return true;
	}
	return false;
}

static char
name_char(char c)
{
	if (c == '-')
		return '_';
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void
command_parameter_name(const struct command_parameter *parameter, char *out,
	size_t size)
{
	struct slice shown = parameter->shown;
	ptrdiff_t bar;
	size_t i;

	if (parameter->is_option)
		shown = slice_from(shown, 2);
	bar = slice_find(shown, '|');
	if (bar >= 0)
		shown = slice_part(shown, 0, (size_t)bar);
	for (i = 0; i < shown.len && i + 1 < size; i++)
		out[i] = name_char(shown.ptr[i]);
	out[i] = '\0';
}

bool
command_parameter_is(const struct command_parameter *parameter,
	struct slice name)
{
	char own[32];
	size_t i;

	command_parameter_name(parameter, own, sizeof(own));
	for (i = 0; i < name.len && own[i] != '\0'; i++)
		if (own[i] != name_char(name.ptr[i]))
			return false;
	return i == name.len && own[i] == '\0';
}

bool
command_argument(const struct command_request *request, const char *name,
	struct slice *out)
{
	struct command_parameter parameter;

	for (size_t i = 0; command_parameter(request->row, i, &parameter);
		i++) {
		if (!command_parameter_is(&parameter, slice_of(name)))
			continue;
		*out = request->value[i];
		return request->is_given[i];
	}
	assert(false && "an argument that commands.def does not have");
	return false;
}

bool
command_argument_is_given(const struct command_request *request,
	const char *name)
{
	struct slice value;

	return command_argument(request, name, &value);
}

struct slice
command_argument_or(const struct command_request *request, const char *name,
	const char *otherwise)
{
	struct slice value;

	return command_argument(request, name, &value) ? value
						       : slice_of(otherwise);
}

/* --- words -------------------------------------------------------------- */

/* How many words of the row the first n words are; 0 unless they all match. */
static size_t
match(const struct command_row *row, const char *const *words, size_t n)
{
	struct slice rest = slice_of(row->words), word;
	size_t n_used = 0;

	while (slice_split(&rest, ' ', &word)) {
		if (n_used == n || !slice_eq_text(word, words[n_used]))
			return 0;
		n_used++;
	}
	return n_used;
}

const struct command_row *
command_find(const char *const *words, size_t n, size_t *n_used)
{
	const struct command_row *found = NULL;

	*n_used = 0;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const size_t matched = match(&command_table[i], words, n);

		if (matched <= *n_used)
			continue;
		*n_used = matched;
		found = &command_table[i];
	}
	return found;
}

/* The words that may follow the first n_prefix words, each once. */
struct choices {
	char text[COMMAND_COUNT][32];
	const char *words[COMMAND_COUNT];
	size_t n;
};

static void
add_choice(struct choices *choices, struct slice word)
{
	for (size_t i = 0; i < choices->n; i++)
		if (slice_eq_text(word, choices->words[i]))
			return;
	(void)snprintf(choices->text[choices->n], sizeof(choices->text[0]),
		"%.*s", SLICE_ARG(word));
	choices->words[choices->n] = choices->text[choices->n];
	choices->n++;
}

static void
find_choices(const char *const *words, size_t n_prefix, struct choices *out)
{
	out->n = 0;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		struct slice rest = slice_of(command_table[i].words), word;
		size_t at = 0;

		if (command_table[i].summary[0] == '\0')
			continue;
		while (slice_split(&rest, ' ', &word) && at < n_prefix &&
			slice_eq_text(word, words[at]))
			at++;
		if (at == n_prefix && word.ptr != NULL)
			add_choice(out, word);
	}
}

static void
append_words(struct str *out, const char *const *words, size_t n,
	const char *separator)
{
	for (size_t i = 0; i < n; i++)
		str_printf(out, "%s%s", i == 0 ? "" : separator, words[i]);
}

/* Says which word is none of a command, and what was meant. */
static void
explain_unknown(const char *const *words, size_t n, char *err, size_t err_size)
{
	struct str text;
	struct choices choices;
	const char *nearest;
	size_t n_known = 0;

	str_init(&text, err_size - 1);
	find_choices(words, 0, &choices);
	for (size_t i = 1; i <= n && i < COMMAND_WORDS_MAX; i++) {
		struct choices next;

		find_choices(words, i, &next);
		if (next.n == 0)
			break;
		choices = next;
		for (size_t c = 0; c < next.n; c++)
			choices.words[c] = choices.text[c];
		n_known = i;
	}
	if (n_known == n) {
		if (n == 0)
			str_append_text(&text, "no command was given");
		else {
			append_words(&text, words, n, " ");
			str_append_text(&text, " what?");
		}
	} else {
		str_printf(&text, "\"%s\" is not a command", words[n_known]);
		if (n_known > 0) {
			str_append_text(&text, " of ");
			append_words(&text, words, n_known, " ");
		}
	}
	nearest = n_known == n ? NULL
			       : slice_nearest(slice_of(words[n_known]),
					 choices.words, choices.n);
	if (nearest != NULL) {
		str_printf(&text, "; did you mean \"%s\"?", nearest);
	} else {
		str_append_text(&text, "; there are ");
		append_words(&text, choices.words, choices.n, ", ");
	}
	(void)snprintf(err, err_size, "%s", str_text(&text));
	str_free(&text);
}

/* The number of an option of the row, or -1. */
static int
find_option(const struct command_row *row, struct slice name)
{
	struct command_parameter parameter;

	for (size_t i = 0; command_parameter(row, i, &parameter); i++)
		if (parameter.is_option &&
			command_parameter_is(&parameter, name))
			return (int)i;
	return -1;
}

static void
explain_option(const struct command_row *row, struct slice name, char *err,
	size_t err_size)
{
	char text[COMMAND_ARGUMENTS_MAX][32];
	const char *options[COMMAND_ARGUMENTS_MAX], *nearest;
	struct command_parameter parameter;
	size_t n = 0;

	for (size_t i = 0; command_parameter(row, i, &parameter); i++) {
		if (!parameter.is_option)
			continue;
		(void)snprintf(text[n], sizeof(text[n]), "%.*s",
			SLICE_ARG(slice_from(parameter.shown, 2)));
		options[n] = text[n];
		n++;
	}
	nearest = slice_nearest(name, options, n);
	if (nearest != NULL)
		(void)snprintf(err, err_size,
			"%s has no option \"--%.*s\"; did you mean \"--%s\"?",
			row->words, SLICE_ARG(name), nearest);
	else
		(void)snprintf(err, err_size,
			"%s has no option \"--%.*s\"; usage: policyctl %s%s%s",
			row->words, SLICE_ARG(name), row->words,
			row->arguments[0] == '\0' ? "" : " ", row->arguments);
}

/* Reads words one after the other. */
struct reader {
	const char *const *words;
	size_t n, at, n_positional;
	bool is_literal; /* after "--" */
	struct command_request *out;
	char *err;
	size_t err_size;
};

static int
take_positional(struct reader *reader, struct slice word)
{
	const struct command_row *row = reader->out->row;
	struct command_parameter parameter;
	size_t skip = reader->n_positional;

	for (size_t i = 0; command_parameter(row, i, &parameter); i++) {
		if (parameter.is_option || skip-- > 0)
			continue;
		reader->out->is_given[i] = true;
		reader->out->value[i] = word;
		reader->n_positional++;
		return 0;
	}
	(void)snprintf(reader->err, reader->err_size,
		"\"%.*s\" is one word too many; usage: policyctl %s%s%s",
		SLICE_ARG(word), row->words,
		row->arguments[0] == '\0' ? "" : " ", row->arguments);
	return -1;
}

static int
take_repeated(struct reader *reader, const struct command_parameter *parameter,
	struct slice value)
{
	if (reader->out->n_repeated == COMMAND_REPEATED_MAX) {
		(void)snprintf(reader->err, reader->err_size,
			"%.*s may be given %d times",
			SLICE_ARG(parameter->shown), COMMAND_REPEATED_MAX);
		return -1;
	}
	reader->out->repeated[reader->out->n_repeated++] = value;
	return 0;
}

static int
take_option(struct reader *reader, struct slice name, struct slice value)
{
	const struct command_row *row = reader->out->row;
	const int i = find_option(row, name);
	struct command_parameter parameter;

	if (i < 0) {
		explain_option(row, name, reader->err, reader->err_size);
		return -1;
	}
	(void)command_parameter(row, (size_t)i, &parameter);
	if (parameter.value.len == 0 && value.ptr != NULL) {
		(void)snprintf(reader->err, reader->err_size,
			"%.*s takes no value", SLICE_ARG(parameter.shown));
		return -1;
	}
	if (parameter.value.len > 0 && value.ptr == NULL) {
		if (reader->at == reader->n) {
			(void)snprintf(reader->err, reader->err_size,
				"%.*s needs a value: %.*s %.*s",
				SLICE_ARG(parameter.shown),
				SLICE_ARG(parameter.shown),
				SLICE_ARG(parameter.value));
			return -1;
		}
		value = slice_of(reader->words[reader->at++]);
	}
	reader->out->is_given[i] = true;
	reader->out->value[i] = value.ptr == NULL ? SLICE("") : value;
	return parameter.is_repeated ? take_repeated(reader, &parameter, value)
				     : 0;
}

static int
take_word(struct reader *reader)
{
	const struct slice word = slice_of(reader->words[reader->at++]);
	const ptrdiff_t equals = slice_find(word, '=');
	const struct slice left =
		slice_part(word, 0, equals < 0 ? word.len : (size_t)equals);
	const struct slice right =
		equals < 0 ? (struct slice){ NULL, 0 }
			   : slice_from(word, (size_t)equals + 1);

	if (reader->is_literal)
		return take_positional(reader, word);
	if (slice_eq_text(word, "--")) {
		reader->is_literal = true;
		return 0;
	}
	if (slice_starts(left, SLICE("--")))
		return take_option(reader, slice_from(left, 2), right);
	if (equals > 0 && find_option(reader->out->row, left) >= 0)
		return take_option(reader, left, right);
	return take_positional(reader, word);
}

/* Whether everything that is required was given. */
static int
check_required(const struct command_request *request, char *err,
	size_t err_size)
{
	struct command_parameter parameter;

	for (size_t i = 0; command_parameter(request->row, i, &parameter);
		i++) {
		if (!parameter.is_required || request->is_given[i])
			continue;
		(void)snprintf(err, err_size,
			"%.*s is missing; usage: policyctl %s %s",
			SLICE_ARG(parameter.shown), request->row->words,
			request->row->arguments);
		return -1;
	}
	return 0;
}

int
command_parse_words(const char *const *words, size_t n,
	struct command_request *out, char *err, size_t err_size)
{
	struct reader reader = { .words = words,
		.n = n,
		.out = out,
		.err = err,
		.err_size = err_size };

	memset(out, 0, sizeof(*out));
	out->row = command_find(words, n, &reader.at);
	if (out->row == NULL) {
		explain_unknown(words, n, err, err_size);
		return -1;
	}
	while (reader.at < reader.n)
		if (take_word(&reader) < 0)
			return -1;
	return check_required(out, err, err_size);
}
