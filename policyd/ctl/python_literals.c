#include "policyd/ctl/python_literals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"

#define NUMBER_LENGTH_MAX 63
#define CODE_POINT_MAX    0x10FFFFu

struct reader {
	struct arena *arena;
	struct slice text;
	size_t at;
	unsigned line;
	size_t n_values;
	const char *why; /* of the statement: why it is no literal */
	const char *err; /* of the file: a bound that is exceeded */
};

static bool read_value(struct reader *reader, unsigned depth,
	struct python_value *out);

/* --- characters --------------------------------------------------------- */

/* '\0' at the end of the text. */
static char
peek(const struct reader *reader, size_t ahead)
{
	return reader->text.len - reader->at > ahead
		       ? reader->text.ptr[reader->at + ahead]
		       : '\0';
}

static bool
is_at_end(const struct reader *reader)
{
	return reader->at == reader->text.len;
}

static void
step(struct reader *reader)
{
	if (is_at_end(reader))
		return;
	reader->line += peek(reader, 0) == '\n';
	reader->at++;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* -1 when it is none. */
static int
digit_value(char c, int base)
{
	int value = -1;

	if (is_digit(c))
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < base ? value : -1;
}

/* The bytes of a line break behind a backslash; 0 when there is none. */
static size_t
joined_line(const struct reader *reader)
{
	if (peek(reader, 0) != '\\')
		return 0;
	if (peek(reader, 1) == '\n')
		return 2;
	return peek(reader, 1) == '\r' && peek(reader, 2) == '\n' ? 3 : 0;
}

/* Blanks and joined lines; within brackets line breaks and comments, too. */
static void
skip_blanks(struct reader *reader, bool is_in_brackets)
{
	for (;;) {
		const char c = peek(reader, 0);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\f' ||
			(is_in_brackets && c == '\n')) {
			step(reader);
		} else if (is_in_brackets && c == '#') {
			while (!is_at_end(reader) && peek(reader, 0) != '\n')
				step(reader);
		} else if (joined_line(reader) > 0) {
			for (size_t n = joined_line(reader); n > 0; n--)
				step(reader);
		} else {
			return;
		}
	}
}

static struct slice
read_word(struct reader *reader)
{
	const size_t from = reader->at;

	while (is_letter(peek(reader, 0)) || is_digit(peek(reader, 0)))
		step(reader);
	return slice_part(reader->text, from, reader->at);
}

static bool
refuse(struct reader *reader, const char *why)
{
	if (reader->why == NULL)
		reader->why = why;
	return false;
}

/* --- texts -------------------------------------------------------------- */

struct quotes {
	bool is_raw, is_bytes;
	char quote;
	unsigned n; /* 1 or 3 */
};

/* Looks for a text with its prefix at the current place; takes nothing. */
static bool
find_text(const struct reader *reader, size_t *n_prefix)
{
	size_t n = 0;

	while (n < 2 && is_letter(peek(reader, n)))
		n++;
	*n_prefix = n;
	if (peek(reader, n) != '\'' && peek(reader, n) != '"')
		return false;
	for (size_t i = 0; i < n; i++)
		if (strchr("rRbBuUfF", peek(reader, i)) == NULL)
			return false;
	return true;
}

static bool
is_quote_end(const struct reader *reader, const struct quotes *quotes)
{
	for (unsigned i = 0; i < quotes->n; i++)
		if (peek(reader, i) != quotes->quote)
			return false;
	return true;
}

static void
take_quotes(struct reader *reader, struct quotes *out)
{
	out->quote = peek(reader, 0);
	out->n = 3;
	if (!is_quote_end(reader, out))
		out->n = 1;
	for (unsigned i = 0; i < out->n; i++)
		step(reader);
}

static void
append_code_point(struct str *out, unsigned code)
{
	if (code < 0x80) {
		str_append_char(out, (char)code);
	} else if (code < 0x800) {
		str_append_char(out, (char)(0xC0 | code >> 6));
		str_append_char(out, (char)(0x80 | (code & 0x3F)));
	} else if (code < 0x10000) {
		str_append_char(out, (char)(0xE0 | code >> 12));
		str_append_char(out, (char)(0x80 | (code >> 6 & 0x3F)));
		str_append_char(out, (char)(0x80 | (code & 0x3F)));
	} else {
		str_append_char(out, (char)(0xF0 | code >> 18));
		str_append_char(out, (char)(0x80 | (code >> 12 & 0x3F)));
		str_append_char(out, (char)(0x80 | (code >> 6 & 0x3F)));
		str_append_char(out, (char)(0x80 | (code & 0x3F)));
	}
}

/* Digits of an escape: exactly n, or up to three octal ones. */
static bool
read_code(struct reader *reader, unsigned n, int base, bool is_bytes,
	struct str *out)
{
	unsigned code = 0, i;

	for (i = 0; i < n; i++) {
		const int digit = digit_value(peek(reader, 0), base);

		if (digit < 0)
			break;
		code = code * (unsigned)base + (unsigned)digit;
		step(reader);
	}
	if ((base == 16 && i < n) || code > CODE_POINT_MAX)
		return refuse(reader, "an escape in the text is malformed");
	if (is_bytes && code < 0x100)
		str_append_char(out, (char)code);
	else
		append_code_point(out, code);
	return true;
}

/* Behind a backslash. */
static bool
read_escape(struct reader *reader, const struct quotes *quotes, struct str *out)
{
	static const char names[] = "abfnrtv\\'\"";
	static const char values[] = "\a\b\f\n\r\t\v\\'\"";
	const char c = peek(reader, 0);
	const char *found = c == '\0' ? NULL : strchr(names, c);

	if (digit_value(c, 8) >= 0)
		return read_code(reader, 3, 8, quotes->is_bytes, out);
	step(reader);
	if (found != NULL)
		str_append_char(out, values[found - names]);
	else if (c == 'x')
		return read_code(reader, 2, 16, quotes->is_bytes, out);
	else if (c == 'u' && !quotes->is_bytes)
		return read_code(reader, 4, 16, false, out);
	else if (c == 'U' && !quotes->is_bytes)
		return read_code(reader, 8, 16, false, out);
	else if (c == 'N' && !quotes->is_bytes)
		return refuse(reader, "the text names a character by \\N{}");
	else if (c != '\n') {
		str_append_char(out, '\\');
		str_append_char(out, c);
	}
	return true;
}

/* Up to and with the closing quotes. */
static bool
read_quoted(struct reader *reader, const struct quotes *quotes, struct str *out)
{
	while (!is_at_end(reader)) {
		const char c = peek(reader, 0);

		if (is_quote_end(reader, quotes)) {
			for (unsigned i = 0; i < quotes->n; i++)
				step(reader);
			return true;
		}
		if (c == '\n' && quotes->n == 1)
			break;
		step(reader);
		if (c == '\r' && peek(reader, 0) == '\n')
			continue;
		if (c != '\\') {
			str_append_char(out, c);
		} else if (quotes->is_raw) {
			str_append_char(out, c);
			str_append_char(out, peek(reader, 0));
			step(reader);
		} else {
			if (joined_line(&(struct reader){ .text = reader->text,
				    .at = reader->at - 1 }) == 3)
				step(reader);
			if (!read_escape(reader, quotes, out))
				return false;
		}
	}
	return refuse(reader, "the text does not end");
}

/* One or more texts side by side. */
static bool
read_texts(struct reader *reader, bool is_in_brackets, struct python_value *out)
{
	struct str text;
	size_t n_prefix;
	bool is_good = true;

	str_init(&text, PYTHON_FILE_MAX);
	while (is_good && find_text(reader, &n_prefix)) {
		struct quotes quotes = { .is_raw = false };

		for (; n_prefix > 0; n_prefix--) {
			const char c = peek(reader, 0);

			quotes.is_raw |= c == 'r' || c == 'R';
			quotes.is_bytes |= c == 'b' || c == 'B';
			if (c == 'f' || c == 'F')
				is_good = refuse(reader,
					"it is a formatted text");
			step(reader);
		}
		take_quotes(reader, &quotes);
		is_good = is_good && read_quoted(reader, &quotes, &text);
		if (is_good)
			skip_blanks(reader, is_in_brackets);
	}
	if (is_good && !slice_is_utf8(str_slice(&text)))
		is_good = refuse(reader, "the text is not UTF-8");
	out->type = PYTHON_TEXT;
	if (is_good)
		out->text = slice_copy(reader->arena, str_slice(&text));
	str_free(&text);
	return is_good;
}

/* --- numbers ------------------------------------------------------------ */

static bool
set_integer(struct reader *reader, struct slice digits, int base,
	bool is_negative, struct python_value *out)
{
	uint64_t number = 0;

	if (digits.len == 0)
		return refuse(reader, "the number is malformed");
	for (size_t i = 0; i < digits.len; i++) {
		const int digit = digit_value(digits.ptr[i], base);

		if (digit < 0)
			return refuse(reader, "the number is malformed");
		if (number > (uint64_t)INT64_MAX / (uint64_t)base - 1)
			return refuse(reader, "the number is too large");
		number = number * (uint64_t)base + (uint64_t)digit;
	}
	out->type = PYTHON_INT;
	out->number = is_negative ? -(int64_t)number : (int64_t)number;
	out->real = (double)out->number;
	return true;
}

static bool
set_float(struct reader *reader, const char *text, bool is_negative,
	struct python_value *out)
{
	char *end;

	out->type = PYTHON_FLOAT;
	out->real = strtod(text, &end);
	if (*end != '\0' || !isfinite(out->real))
		return refuse(reader, "the number is malformed");
	if (is_negative)
		out->real = -out->real;
	return true;
}

/* Copies a number without its underscores; its length. */
static size_t
take_number(struct reader *reader, char text[NUMBER_LENGTH_MAX + 1])
{
	bool is_hex = peek(reader, 0) == '0' &&
		      (peek(reader, 1) == 'x' || peek(reader, 1) == 'X');
	size_t n = 0;

	for (;;) {
		const char c = peek(reader, 0);
		const bool is_sign = (c == '+' || c == '-') && n > 0 &&
				     !is_hex &&
				     (text[n - 1] == 'e' || text[n - 1] == 'E');

		if (!is_digit(c) && !is_letter(c) && c != '.' && !is_sign)
			break;
		if (c != '_' && n < NUMBER_LENGTH_MAX)
			text[n++] = c;
		step(reader);
	}
	text[n] = '\0';
	return n;
}

static bool
read_number(struct reader *reader, bool is_negative, struct python_value *out)
{
	char text[NUMBER_LENGTH_MAX + 1];
	const size_t n = take_number(reader, text);
	const struct slice digits = { text, n };
	const char base = n > 1 && text[0] == '0' ? text[1] : '\0';

	if (n == NUMBER_LENGTH_MAX)
		return refuse(reader, "the number is too long");
	if (base == 'x' || base == 'X')
		return set_integer(reader, slice_from(digits, 2), 16,
			is_negative, out);
	if (base == 'o' || base == 'O')
		return set_integer(reader, slice_from(digits, 2), 8,
			is_negative, out);
	if (base == 'b' || base == 'B')
		return set_integer(reader, slice_from(digits, 2), 2,
			is_negative, out);
	if (strcspn(text, ".eE") < n && strspn(text, "0123456789.eE+-") == n)
		return set_float(reader, text, is_negative, out);
	return set_integer(reader, digits, 10, is_negative, out);
}

static bool
read_signed(struct reader *reader, struct python_value *out)
{
	const char sign = peek(reader, 0);

	if (sign == '-' || sign == '+') {
		step(reader);
		skip_blanks(reader, false);
	}
	if (!is_digit(peek(reader, 0)) &&
		!(peek(reader, 0) == '.' && is_digit(peek(reader, 1))))
		return refuse(reader, "it is not a literal");
	return read_number(reader, sign == '-', out);
}

/* --- lists and dictionaries --------------------------------------------- */

struct items {
	struct python_value *values;
	size_t n, size;
};

static void
add_item(struct items *items, const struct python_value *value)
{
	if (items->n == items->size) {
		items->size = items->size == 0 ? 8 : 2 * items->size;
		items->values = x_realloc_array(items->values, items->size,
			sizeof(items->values[0]));
	}
	items->values[items->n++] = *value;
}

static void
keep_items(struct reader *reader, struct items *items, struct python_value *out)
{
	out->n = items->n;
	out->items = arena_new_array(reader->arena, items->n + 1,
		struct python_value);
	if (items->n > 0)
		memcpy(out->items, items->values,
			items->n * sizeof(items->values[0]));
}

/* One element, in a dictionary a key and its value. */
static bool
read_element(struct reader *reader, unsigned depth, char close,
	struct items *items, bool *is_dict)
{
	struct python_value value = { .type = PYTHON_NONE };
	bool has_colon;

	if (!read_value(reader, depth, &value))
		return false;
	add_item(items, &value);
	skip_blanks(reader, true);
	has_colon = close == '}' && peek(reader, 0) == ':';
	if (items->n == 1)
		*is_dict = has_colon;
	if (has_colon != *is_dict)
		return refuse(reader, "it is not a literal");
	if (!has_colon)
		return true;
	step(reader);
	skip_blanks(reader, true);
	memset(&value, 0, sizeof(value));
	if (!read_value(reader, depth, &value))
		return false;
	add_item(items, &value);
	skip_blanks(reader, true);
	return true;
}

/* Behind the opening bracket up to the closing one. */
static bool
read_elements(struct reader *reader, unsigned depth, char close,
	struct items *items, bool *is_dict, bool *has_comma)
{
	skip_blanks(reader, true);
	while (peek(reader, 0) != close || is_at_end(reader)) {
		if (!read_element(reader, depth, close, items, is_dict))
			return false;
		if (peek(reader, 0) == ',') {
			*has_comma = true;
			step(reader);
			skip_blanks(reader, true);
		} else if (peek(reader, 0) != close || is_at_end(reader)) {
			return refuse(reader, "it is not a literal");
		}
	}
	step(reader);
	return true;
}

static bool
read_bracket(struct reader *reader, unsigned depth, struct python_value *out)
{
	const char open = peek(reader, 0);
	const char close = open == '(' ? ')' : open == '[' ? ']' : '}';
	bool is_dict = false, has_comma = false, is_good;
	struct items items = { NULL, 0, 0 };

	if (depth >= PYTHON_DEPTH_MAX)
		return refuse(reader, "its brackets are nested too deep");
	step(reader);
	is_good = read_elements(reader, depth + 1, close, &items, &is_dict,
		&has_comma);
	if (is_good && open == '(' && items.n == 1 && !has_comma) {
		*out = items.values[0];
	} else if (is_good) {
		out->type = is_dict || (open == '{' && items.n == 0)
				    ? PYTHON_DICT
				    : PYTHON_LIST;
		keep_items(reader, &items, out);
	}
	x_free(items.values);
	return is_good;
}

/* --- values ------------------------------------------------------------- */

static bool
read_name(struct reader *reader, struct python_value *out)
{
	const struct slice word = read_word(reader);

	if (slice_eq_text(word, "None")) {
		out->type = PYTHON_NONE;
	} else if (slice_eq_text(word, "True") ||
		   slice_eq_text(word, "False")) {
		out->type = PYTHON_BOOL;
		out->number = word.ptr[0] == 'T';
	} else {
		return refuse(reader, "it is not a literal");
	}
	return true;
}

/* Depth 0 is outside of brackets. */
static bool
read_value(struct reader *reader, unsigned depth, struct python_value *out)
{
	const char c = peek(reader, 0);
	size_t n_prefix;

	if (++reader->n_values > PYTHON_VALUES_MAX) {
		reader->err = "it holds too many values";
		return refuse(reader, reader->err);
	}
	if (find_text(reader, &n_prefix))
		return read_texts(reader, depth > 0, out);
	if (c == '(' || c == '[' || c == '{')
		return read_bracket(reader, depth, out);
	if (is_letter(c))
		return read_name(reader, out);
	return read_signed(reader, out);
}

static bool
is_statement_end(const struct reader *reader)
{
	const char c = peek(reader, 0);

	return is_at_end(reader) || c == '\n' || c == ';' || c == '#';
}

/* A value, or several with commas between them: a tuple. */
static bool
read_right_side(struct reader *reader, struct python_value *out)
{
	struct items items = { NULL, 0, 0 };
	bool is_good = read_value(reader, 0, out);

	skip_blanks(reader, false);
	if (is_good && peek(reader, 0) == ',') {
		add_item(&items, out);
		while (is_good && peek(reader, 0) == ',') {
			struct python_value value = { .type = PYTHON_NONE };

			step(reader);
			skip_blanks(reader, false);
			if (is_statement_end(reader))
				break;
			is_good = read_value(reader, 0, &value);
			add_item(&items, &value);
			skip_blanks(reader, false);
		}
		memset(out, 0, sizeof(*out));
		out->type = PYTHON_LIST;
		keep_items(reader, &items, out);
		x_free(items.values);
	}
	return is_good && (is_statement_end(reader) ||
				  refuse(reader, "it is not a literal"));
}

/* --- statements --------------------------------------------------------- */

/* Over a text that is not wanted. */
static void
skip_text(struct reader *reader)
{
	struct quotes quotes = { .is_raw = true };

	take_quotes(reader, &quotes);
	while (!is_at_end(reader) && !is_quote_end(reader, &quotes)) {
		if (peek(reader, 0) == '\n' && quotes.n == 1)
			return;
		if (peek(reader, 0) == '\\')
			step(reader);
		step(reader);
	}
	for (unsigned i = 0; i < quotes.n; i++)
		step(reader);
}

/* To the end of a statement that is not understood, brackets and all. */
static void
skip_statement(struct reader *reader)
{
	size_t depth = 0;

	while (!is_at_end(reader)) {
		char c;

		skip_blanks(reader, depth > 0);
		c = peek(reader, 0);
		if (is_at_end(reader) ||
			(depth == 0 && is_statement_end(reader)))
			return;
		if (c == '\'' || c == '"') {
			skip_text(reader);
			continue;
		}
		if (c == '(' || c == '[' || c == '{')
			depth++;
		else if ((c == ')' || c == ']' || c == '}') && depth > 0)
			depth--;
		step(reader);
	}
}

/* ": type" between a name and its value. */
static void
skip_annotation(struct reader *reader)
{
	size_t depth = 0;

	if (peek(reader, 0) != ':')
		return;
	step(reader);
	for (;;) {
		const char c = peek(reader, 0);

		if (is_at_end(reader) || c == '\n' || (c == '=' && depth == 0))
			return;
		if (c == '\'' || c == '"') {
			skip_text(reader);
			continue;
		}
		depth += c == '[';
		if (c == ']' && depth > 0)
			depth--;
		step(reader);
	}
}

static void
read_assignment(struct reader *reader, struct python_statement *out)
{
	size_t at;
	unsigned line;

	if (peek(reader, 0) == '+' && peek(reader, 1) == '=') {
		out->kind = PYTHON_ADD;
		step(reader);
	} else {
		skip_annotation(reader);
		out->kind = PYTHON_SET;
	}
	if (peek(reader, 0) != '=' || peek(reader, 1) == '=') {
		out->kind = PYTHON_OTHER;
		out->name = SLICE("");
		(void)refuse(reader, "it is not an assignment");
		return;
	}
	step(reader);
	skip_blanks(reader, false);
	at = reader->at;
	line = reader->line;
	if (read_right_side(reader, &out->value))
		return;
	out->kind = PYTHON_OTHER;
	reader->at = at;
	reader->line = line;
}

static void
read_import(struct reader *reader, struct python_statement *out)
{
	const size_t from = reader->at;

	while (peek(reader, 0) != ' ' && peek(reader, 0) != '\t' &&
		!is_statement_end(reader))
		step(reader);
	out->kind = PYTHON_IMPORT;
	out->module = slice_trim(slice_part(reader->text, from, reader->at));
	skip_statement(reader);
}

static void
read_statement(struct reader *reader, bool is_indented,
	struct python_statement *out)
{
	struct slice word;

	out->line = reader->line;
	out->kind = PYTHON_OTHER;
	word = read_word(reader);
	skip_blanks(reader, false);
	if (slice_eq_text(word, "from") || slice_eq_text(word, "import")) {
		read_import(reader, out);
	} else if (word.len > 0 && !is_digit(word.ptr[0])) {
		out->name = word;
		read_assignment(reader, out);
	} else {
		(void)refuse(reader, "it is not an assignment");
	}
	if (is_indented && out->kind != PYTHON_IMPORT) {
		out->kind = PYTHON_OTHER;
		reader->why = "it depends on what stands above it";
	}
	if (out->kind == PYTHON_OTHER)
		skip_statement(reader);
	out->why = reader->why;
}

/* Blank lines, comments and texts that stand alone. */
static bool
skip_nothing(struct reader *reader, bool *is_indented)
{
	size_t n_prefix;

	for (;;) {
		const bool is_line_start =
			reader->at == 0 ||
			reader->text.ptr[reader->at - 1] == '\n';
		const size_t from = reader->at;

		skip_blanks(reader, false);
		if (is_line_start)
			*is_indented = reader->at > from;
		if (peek(reader, 0) == '#') {
			while (!is_at_end(reader) && peek(reader, 0) != '\n')
				step(reader);
		} else if (find_text(reader, &n_prefix)) {
			skip_statement(reader);
		} else if (peek(reader, 0) == '\n' || peek(reader, 0) == ';') {
			step(reader);
		} else {
			return !is_at_end(reader);
		}
	}
}

static void
add_statement(struct reader *reader, struct python_file *out,
	const struct python_statement *statement)
{
	struct python_statement *kept = &out->statements[out->n++];

	*kept = *statement;
	kept->name = slice_copy(reader->arena, statement->name);
	kept->module = slice_copy(reader->arena, statement->module);
}

bool
python_read(struct arena *arena, struct slice text, struct python_file *out,
	const char **err)
{
	struct reader reader = { .arena = arena, .text = text, .line = 1 };
	bool is_indented = false;

	out->n = 0;
	out->statements = arena_new_array(arena, PYTHON_STATEMENTS_MAX,
		struct python_statement);
	if (text.len > PYTHON_FILE_MAX)
		reader.err = "it is larger than 1 MiB";
	if (slice_starts(text, SLICE("\xEF\xBB\xBF")))
		reader.text = slice_from(text, 3); /* a byte order mark */
	while (reader.err == NULL && skip_nothing(&reader, &is_indented)) {
		struct python_statement statement = { .kind = PYTHON_OTHER };
		const size_t from = reader.at;

		reader.why = NULL;
		read_statement(&reader, is_indented, &statement);
		if (out->n == PYTHON_STATEMENTS_MAX)
			reader.err = "it holds too many statements";
		else
			add_statement(&reader, out, &statement);
		if (reader.at == from)
			step(&reader);
	}
	*err = reader.err;
	return reader.err == NULL;
}

/* --- printing ----------------------------------------------------------- */

static void
print_items(const struct python_value *value, struct str *out)
{
	const bool is_dict = value->type == PYTHON_DICT;

	str_append_char(out, is_dict ? '{' : '[');
	for (size_t i = 0; i < value->n; i++) {
		if (i > 0)
			str_append_text(out,
				is_dict && i % 2 == 1 ? ": " : ", ");
		python_print(&value->items[i], out);
	}
	str_append_char(out, is_dict ? '}' : ']');
}

/* With an escape where Python needs one, so that it stays on its line. */
static void
print_text(struct slice text, struct str *out)
{
	str_append_char(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (c == '\'' || c == '\\')
			str_append_char(out, '\\');
		if (c == '\n')
			str_append_text(out, "\\n");
		else if ((unsigned char)c < ' ' || c == 0x7f)
			str_printf(out, "\\x%02x", (unsigned char)c);
		else
			str_append_char(out, c);
	}
	str_append_char(out, '\'');
}

void
python_print(const struct python_value *value, struct str *out)
{
	switch (value->type) {
	case PYTHON_NONE:
		str_append_text(out, "None");
		break;
	case PYTHON_BOOL:
		str_append_text(out, value->number ? "True" : "False");
		break;
	case PYTHON_INT:
		str_append_i64(out, value->number);
		break;
	case PYTHON_FLOAT:
		str_printf(out, "%.17g", value->real);
		break;
	case PYTHON_TEXT:
		print_text(value->text, out);
		break;
	case PYTHON_LIST:
	case PYTHON_DICT:
		print_items(value, out);
		break;
	}
}
