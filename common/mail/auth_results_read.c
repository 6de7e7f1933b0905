#include "common/mail/auth_results.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/header_token.h"

/* Names are taken apart at their dot, values are not. */
#define SPECIALS_OF_NAMES HEADER_SPECIALS_MIME "."

#define VERSION     1
#define VERSION_MAX 999

struct reader {
	struct header_lexer lexer;
	struct auth_results *out;
	const char *err;
};

static bool
fail(struct reader *reader, const char *what)
{
	/* What the lexer stumbles over there explains more. */
	(void)header_next(&reader->lexer);
	reader->err = reader->lexer.err != NULL ? reader->lexer.err : what;
	return false;
}

static bool
take_special(struct reader *reader, char special)
{
	const struct header_token token = header_peek(&reader->lexer);

	if (!header_is_special(&token, special))
		return false;
	(void)header_next(&reader->lexer);
	return true;
}

static bool
is_at_end(struct reader *reader)
{
	return header_peek(&reader->lexer).kind == HEADER_END;
}

/* Keyword (RFC 5321, 4.1.2), and what others write: an underscore. */
static bool
is_keyword(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return text.len > 0;
}

static bool
take_keyword(struct reader *reader, struct slice *out)
{
	const struct header_token token = header_next(&reader->lexer);

	*out = token.text;
	return (token.kind == HEADER_WORD && is_keyword(token.text)) ||
	       fail(reader, "there is no name where one belongs");
}

/* Of the field, or of a method. */
static bool
check_version(struct reader *reader, struct slice text)
{
	uint64_t version;

	return (num_parse_u64(text, VERSION_MAX, &version) &&
		       version == VERSION) ||
	       fail(reader, "a version is not known");
}

/* --- values ------------------------------------------------------------- */

static bool
is_part_of_value(const struct header_token *token)
{
	return token->kind == HEADER_WORD || header_is_special(token, '@') ||
	       header_is_special(token, '/') || header_is_special(token, '=') ||
	       header_is_special(token, '?');
}

/* How far a value goes that begins with a token: no white space is in it. */
static const char *
end_of_value(struct reader *reader, const struct header_token *first)
{
	const char *end = first->text.ptr + first->text.len;
	struct header_token next = header_peek(&reader->lexer);

	/* Behind quotes only the domain of an address. */
	if (first->kind == HEADER_QUOTED && !header_is_special(&next, '@'))
		return end;
	while (next.gap.len == 0 && is_part_of_value(&next)) {
		(void)header_next(&reader->lexer);
		end = next.text.ptr + next.text.len;
		next = header_peek(&reader->lexer);
	}
	return end;
}

/* pvalue: a word, a quoted string, or an address; "" is written in quotes. */
static bool
take_value(struct reader *reader, struct slice *out)
{
	struct header_token first;

	reader->lexer.specials = HEADER_SPECIALS_MIME;
	first = header_next(&reader->lexer);
	if (!is_part_of_value(&first) && first.kind != HEADER_QUOTED)
		return fail(reader, "there is no value where one belongs");
	*out = first.text;
	out->len = (size_t)(end_of_value(reader, &first) - out->ptr);
	if (first.kind == HEADER_QUOTED && out->len == first.text.len)
		*out = header_unquote(reader->out->arena, first.text);
	reader->lexer.specials = SPECIALS_OF_NAMES;
	return true;
}

/* --- results ------------------------------------------------------------ */

/* A propspec, or the reasonspec before it. */
static bool
read_property(struct reader *reader, struct auth_result *result)
{
	struct auth_property property = { .type = SLICE("") };

	if (!take_keyword(reader, &property.name))
		return false;
	if (take_special(reader, '.')) {
		property.type = property.name;
		if (!take_keyword(reader, &property.name))
			return false;
	}
	if (!take_special(reader, '='))
		return fail(reader, "there is no \"=\" behind a name");
	if (!take_value(reader, &property.value))
		return false;
	if (property.type.len == 0 && result->reason.len == 0 &&
		slice_case_eq(property.name, SLICE("reason"))) {
		result->reason = property.value;
		return true;
	}
	if (result->n_properties == AUTH_PROPERTIES_MAX)
		return fail(reader, "a result has too many properties");
	result->properties[result->n_properties++] = property;
	return true;
}

/* methodspec: method [ "/" version ] "=" result */
static bool
read_method(struct reader *reader, struct auth_result *result)
{
	if (!take_keyword(reader, &result->method))
		return false;
	if (take_special(reader, '/') &&
		!check_version(reader, header_next(&reader->lexer).text))
		return false;
	if (!take_special(reader, '='))
		return fail(reader, "there is no \"=\" behind a method");
	return take_keyword(reader, &result->result);
}

static bool
read_result(struct reader *reader)
{
	struct auth_result *result;

	if (reader->out->n == AUTH_RESULTS_MAX)
		return fail(reader, "there are too many results");
	result = auth_results_add(reader->out, "", "");
	if (!read_method(reader, result))
		return false;
	for (;;) {
		const struct header_token next = header_peek(&reader->lexer);

		if (next.kind == HEADER_END || header_is_special(&next, ';'))
			return true;
		if (!read_property(reader, result))
			return false;
	}
}

/* no-result: "none", and nothing else. */
static bool
take_none(struct reader *reader)
{
	struct reader ahead = *reader;
	const struct header_token token = header_next(&ahead.lexer);

	if (!slice_case_eq(token.text, SLICE("none")) || !is_at_end(&ahead))
		return false;
	reader->lexer = ahead.lexer;
	return true;
}

static bool
read_results(struct reader *reader)
{
	reader->lexer.specials = SPECIALS_OF_NAMES;
	if (is_at_end(reader))
		return fail(reader, "there is no result");
	for (bool is_first = true; !is_at_end(reader); is_first = false) {
		if (!take_special(reader, ';'))
			return fail(reader, "there is no \";\"");
		if (is_first && take_none(reader))
			break;
		if (!read_result(reader))
			return false;
	}
	return true;
}

/* authserv-id [ CFWS authres-version ] */
static bool
read_head(struct reader *reader)
{
	const struct header_token id = header_next(&reader->lexer);
	struct header_token next;

	if (id.kind != HEADER_WORD && id.kind != HEADER_QUOTED)
		return fail(reader, "there is no authserv-id");
	reader->out->authserv_id =
		id.kind == HEADER_QUOTED
			? header_unquote(reader->out->arena, id.text)
			: id.text;
	next = header_peek(&reader->lexer);
	if (next.kind != HEADER_WORD)
		return true;
	(void)header_next(&reader->lexer);
	return check_version(reader, next.text);
}

int
auth_results_read(struct arena *arena, struct slice value,
	struct auth_results *out, const char **err)
{
	struct reader reader = {
		.lexer = header_lexer(value, HEADER_SPECIALS_MIME),
		.out = out,
	};

	auth_results_init(out, arena, SLICE(""));
	if (value.len > AUTH_RESULTS_BYTES_MAX) {
		*err = "the field is too long";
		return -1;
	}
	if (read_head(&reader) && read_results(&reader))
		return 0;
	*err = reader.err;
	return -1;
}
