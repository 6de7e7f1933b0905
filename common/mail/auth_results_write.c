#include "common/mail/auth_results.h"

#include <string.h>

#include "common/mail/encoded_word.h"
#include "common/mail/fold.h"
#include "common/mail/header_token.h"

/* A property with its name, every byte of its value escaped. */
#define PIECE_MAX 998u

/* --- values ------------------------------------------------------------- */

/* RFC 2045, 5.1: token */
static bool
is_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (c <= ' ' || c > '~' ||
			strchr(HEADER_SPECIALS_MIME, c) != NULL)
			return false;
	}
	return text.len > 0;
}

static bool
has_empty_part(struct slice name)
{
	struct slice part;

	while (slice_split(&name, '.', &part))
		if (part.len == 0)
			return true;
	return false;
}

/*
 * [ local-part ] "@" domain-name, both dot-atoms. The grammar would allow some
 * more in the local part than here, which others do not expect.
 */
static bool
is_address(struct slice text)
{
	const ptrdiff_t at = slice_find(text, '@');
	struct slice local, domain;

	if (at < 0)
		return false;
	local = slice_part(text, 0, (size_t)at);
	domain = slice_from(text, (size_t)at + 1);
	return (local.len == 0 || (is_word(local) && !has_empty_part(local))) &&
	       is_word(domain) && !has_empty_part(domain) &&
	       slice_has_byte(domain, '.');
}

static void
append_value(struct str *out, struct slice value)
{
	if (is_word(value) || is_address(value))
		str_append_slice(out, value);
	else
		header_append_quoted(out, value, 2 * AUTH_VALUE_MAX);
}

static bool
is_tellable(struct slice value)
{
	size_t n;

	for (size_t at = 0; at < value.len; at += n) {
		n = slice_shown_len(value, at);
		if (n == 0)
			return false;
	}
	return value.len <= AUTH_VALUE_MAX && !encoded_word_is_in(value);
}

/* --- free text ---------------------------------------------------------- */

/* "?", as it makes encoded words. */
static bool
is_harmless(struct slice text, size_t at)
{
	return slice_shown_len(text, at) > 0 &&
	       strchr("()\\\";?", text.ptr[at]) == NULL;
}

static void
clean(struct slice text, struct str *out)
{
	size_t n;

	for (size_t at = 0; at < text.len; at += n) {
		n = slice_utf8_len(text, at);
		if (n == 0)
			n = 1;
		if (out->len + n > AUTH_TEXT_MAX)
			return;
		if (header_blank_len(text, at) > 0)
			str_append_char(out, ' ');
		else if (is_harmless(text, at))
			str_append_slice(out, slice_part(text, at, at + n));
		else
			str_append_char(out, '_');
	}
}

/* A blank, or a new line, and a word with what is before and behind it. */
static void
put_word(struct fold *fold, struct slice before, struct slice word,
	struct slice behind)
{
	/* With the ";" that may follow. */
	fold_blank(fold, before.len + word.len + behind.len + 1);
	fold_put(fold, before);
	fold_put(fold, word);
	fold_put(fold, behind);
}

/* Free text, which may be folded at its blanks; nothing for nothing. */
static void
put_text(struct fold *fold, struct slice before, struct slice text,
	struct slice behind)
{
	struct slice rest, word;
	struct str cleaned;

	str_init(&cleaned, AUTH_TEXT_MAX);
	clean(text, &cleaned);
	rest = slice_trim(str_slice(&cleaned));
	while (rest.len > 0 && slice_split(&rest, ' ', &word)) {
		rest = slice_trim(rest);
		put_word(fold, before, word, rest.len > 0 ? SLICE("") : behind);
		before = SLICE("");
	}
	str_free(&cleaned);
}

/* --- the field ---------------------------------------------------------- */

static void
put_property(struct fold *fold, const struct auth_property *property)
{
	struct str piece;

	if (!is_tellable(property->value))
		return;
	str_init(&piece, PIECE_MAX);
	str_printf(&piece, "%.*s.%.*s=", SLICE_ARG(property->type),
		SLICE_ARG(property->name));
	append_value(&piece, property->value);
	put_word(fold, SLICE(""), str_slice(&piece), SLICE(""));
	str_free(&piece);
}

static void
put_result(struct fold *fold, const struct auth_result *result)
{
	fold_put(fold, SLICE(";"));
	fold_blank(fold, FOLD_COLUMNS); /* on a line of its own */
	fold_put(fold, result->method);
	fold_put(fold, SLICE("="));
	fold_put(fold, result->result);
	put_text(fold, SLICE("("), result->comment, SLICE(")"));
	put_text(fold, SLICE("reason=\""), result->reason, SLICE("\""));
	for (size_t i = 0; i < result->n_properties; i++)
		put_property(fold, &result->properties[i]);
}

void
auth_results_write(const struct auth_results *results, struct str *out)
{
	struct fold fold = fold_start(out, SLICE(AUTH_RESULTS_NAME));
	struct str id;

	str_init(&id, PIECE_MAX);
	append_value(&id, results->authserv_id);
	put_word(&fold, SLICE(""), str_slice(&id), SLICE(""));
	str_free(&id);
	if (results->first == NULL)
		fold_put(&fold, SLICE("; none"));
	for (const struct auth_result *result = results->first; result != NULL;
		result = result->next)
		put_result(&fold, result);
}
