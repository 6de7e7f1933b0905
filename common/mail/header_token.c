#include "common/mail/header_token.h"

#include <string.h>

#include "common/base/mem.h"

#define BAD_CHARACTER "there is a control character or an empty line"

struct header_lexer
header_lexer(struct slice value, const char *specials)
{
	return (struct header_lexer){ .rest = value, .specials = specials };
}

/* --- bytes -------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Whether a line that begins at a position goes on the one before. */
static bool
is_continuation(struct slice text, size_t at)
{
	if (at >= text.len || !is_blank(text.ptr[at]))
		return false;
	while (at < text.len && is_blank(text.ptr[at]))
		at++;
	return at < text.len && text.ptr[at] != '\r' && text.ptr[at] != '\n';
}

size_t
header_blank_len(struct slice text, size_t at)
{
	const size_t cr = text.ptr[at] == '\r';

	if (is_blank(text.ptr[at]))
		return 1;
	if (at + cr < text.len && text.ptr[at + cr] == '\n' &&
		is_continuation(text, at + cr + 1))
		return cr + 1;
	return 0;
}

static bool
is_visible(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f;
}

static bool
is_word_byte(char c, const char *specials)
{
	return is_visible(c) && strchr(specials, c) == NULL;
}

/* --- what stands between delimiters ------------------------------------- */

/*
 * The bytes of a quoted string, a comment or a literal that begins a text,
 * with its delimiters. 0: *err says why it is none. Comments hold others.
 */
static size_t
delimited_len(struct slice text, char close, const char **err)
{
	const char open = text.ptr[0];
	const size_t depth_max = close == ')' ? HEADER_COMMENT_DEPTH_MAX : 1;
	size_t depth = 1, n;

	*err = BAD_CHARACTER;
	for (size_t at = 1; at < text.len; at += n) {
		const char c = text.ptr[at];

		if (c == '\\' && ++at == text.len)
			break;
		n = is_visible(text.ptr[at]) ? 1 : header_blank_len(text, at);
		if (n == 0 || (c == '\\' && text.ptr[at] == '\n') ||
			(c == '\\' && text.ptr[at] == '\r'))
			return 0;
		if (c == close && --depth == 0)
			return at + 1;
		if (c == open && open != close && ++depth > depth_max) {
			*err = "brackets are nested too deep";
			return 0;
		}
	}
	*err = "a quote or a bracket is not closed";
	return 0;
}

struct slice
header_unquote(struct arena *arena, struct slice quoted)
{
	char *out = arena_alloc(arena, quoted.len + 1);
	size_t n = 0;

	for (size_t i = 1; i + 1 < quoted.len; i++) {
		if (quoted.ptr[i] == '\r' || quoted.ptr[i] == '\n')
			continue;
		if (quoted.ptr[i] == '\\' && i + 2 < quoted.len)
			i++;
		out[n++] = quoted.ptr[i];
	}
	return (struct slice){ out, n };
}

void
header_append_quoted(struct str *out, struct slice text, size_t max)
{
	const bool is_utf8 = slice_is_utf8(text);
	const size_t end = out->len + 1 + max;
	size_t n;

	str_append_char(out, '"');
	for (size_t i = 0; i < text.len; i += n) {
		n = is_utf8 ? slice_utf8_len(text, i) : 1;
		if (out->len + n + 1 > end) /* with its backslash */
			break;
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			str_append_char(out, '\\');
		if (is_utf8 ? slice_shown_len(text, i) == n
			    : text.ptr[i] >= ' ' && text.ptr[i] <= '~')
			str_append_slice(out, slice_part(text, i, i + n));
		else
			str_append_char(out, '?');
	}
	str_append_char(out, '"');
}

/* --- tokens ------------------------------------------------------------- */

/* The bytes of white space and comments; stops at what is malformed. */
static size_t
gap_len(struct slice text, const char **err)
{
	size_t at = 0, n;

	while (at < text.len) {
		n = text.ptr[at] == '('
			    ? delimited_len(slice_from(text, at), ')', err)
			    : header_blank_len(text, at);
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

static size_t
word_len(struct slice text, const char *specials)
{
	size_t n = 0;

	while (n < text.len && is_word_byte(text.ptr[n], specials))
		n++;
	return n;
}

/* The kind of the token that begins a text, and its bytes; 0: malformed. */
static enum header_token_kind
measure(struct slice text, const char *specials, size_t *n, const char **err)
{
	if (text.ptr[0] == '"') {
		*n = delimited_len(text, '"', err);
		return HEADER_QUOTED;
	}
	if (text.ptr[0] == '[') {
		*n = delimited_len(text, ']', err);
		return HEADER_LITERAL;
	}
	*n = word_len(text, specials);
	if (*n > 0)
		return HEADER_WORD;
	*n = is_visible(text.ptr[0]) && text.ptr[0] != '(';
	return HEADER_SPECIAL;
}

struct header_token
header_next(struct header_lexer *lexer)
{
	const char *err = BAD_CHARACTER;
	struct header_token token = { .kind = HEADER_END };
	size_t n = gap_len(lexer->rest, &err);

	token.gap = slice_part(lexer->rest, 0, n);
	lexer->rest = slice_from(lexer->rest, n);
	if (lexer->rest.len == 0)
		return token;
	token.kind = measure(lexer->rest, lexer->specials, &n, &err);
	if (n == 0) {
		token.kind = HEADER_MALFORMED;
		lexer->err = err;
	}
	token.text = slice_part(lexer->rest, 0, n);
	lexer->rest = slice_from(lexer->rest, n);
	return token;
}

struct header_token
header_peek(const struct header_lexer *lexer)
{
	struct header_lexer copy = *lexer;

	return header_next(&copy);
}

bool
header_is_special(const struct header_token *token, char special)
{
	return token->kind == HEADER_SPECIAL && token->text.ptr[0] == special;
}

bool
header_has_comment(const struct header_token *token)
{
	return slice_has_byte(token->gap, '(');
}
