#include "milter/results.h"

#include <ctype.h>
#include <string.h>

/* --- writing ------------------------------------------------------------ */

void
results_begin(struct str *out, const char *authserv_id)
{
	str_append_text(out, authserv_id);
}

void
results_add(struct str *out, const char *method, const char *result,
	const char *comment)
{
	str_printf(out, ";\n\t%s=%s", method, result);
	if (comment[0] != '\0')
		str_printf(out, " (%s)", comment);
}

/* RFC 2045, 5.1; and RFC 8601, 2.2 lets an address stand as it is. */
static bool
is_plain(struct slice value)
{
	size_t n_at = 0;

	for (size_t i = 0; i < value.len; i++) {
		const unsigned char c = (unsigned char)value.ptr[i];

		if (c == '@')
			n_at++;
		else if (c <= ' ' || c >= 0x7f ||
			 strchr("()<>,;:\\\"/[]?=", c) != NULL)
			return false;
	}
	return value.len > 0 && n_at <= 1;
}

static void
append_quoted(struct str *out, struct slice value)
{
	const bool is_utf8 = slice_is_utf8(value);

	str_append_char(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		const unsigned char c = (unsigned char)value.ptr[i];

		if (c == '"' || c == '\\')
			str_append_char(out, '\\');
		str_append_char(out,
			c < ' ' || c == 0x7f || (c > 0x7f && !is_utf8)
				? '?'
				: value.ptr[i]);
	}
	str_append_char(out, '"');
}

void
results_add_property(struct str *out, const char *name, struct slice value)
{
	if (value.len > RESULTS_VALUE_MAX)
		return;
	str_printf(out, " %s=", name);
	if (is_plain(value))
		str_append_slice(out, value);
	else
		append_quoted(out, value);
}

/* --- reading ------------------------------------------------------------ */

/* What of it is behind a comment, which may hold others; "" if it never ends.
 */
static struct slice
skip_comment(struct slice rest)
{
	size_t depth = 0;

	for (size_t i = 0; i < rest.len; i++) {
		if (rest.ptr[i] == '\\')
			i++;
		else if (rest.ptr[i] == '(')
			depth++;
		else if (rest.ptr[i] == ')' && --depth == 0)
			return slice_from(rest, i + 1);
	}
	return SLICE("");
}

/* Comments and folding white space (RFC 5322, 3.2.2). */
static struct slice
skip_cfws(struct slice rest)
{
	while (rest.len > 0) {
		if (rest.ptr[0] == '(')
			rest = skip_comment(rest);
		else if (isspace((unsigned char)rest.ptr[0]))
			rest = slice_from(rest, 1);
		else
			break;
	}
	return rest;
}

/* Whether text begins with the id, in quotes: "a\b" is ab. */
static bool
is_quoted_id(struct slice text, struct slice id)
{
	size_t n = 0;

	for (size_t i = 1; i < text.len && text.ptr[i] != '"'; i++) {
		if (text.ptr[i] == '\\' && i + 1 < text.len)
			i++;
		if (n == id.len || tolower((unsigned char)text.ptr[i]) !=
					   tolower((unsigned char)id.ptr[n]))
			return false;
		n++;
	}
	return n == id.len;
}

static bool
ends_id(char c)
{
	return isspace((unsigned char)c) || c == ';' || c == '(';
}

bool
results_claim(struct slice value, const char *authserv_id)
{
	const struct slice text = skip_cfws(value);
	const struct slice id = slice_of(authserv_id);
	size_t len = 0;

	if (text.len > 0 && text.ptr[0] == '"')
		return is_quoted_id(text, id);
	while (len < text.len && !ends_id(text.ptr[len]))
		len++;
	return len == 0 || slice_case_eq(slice_part(text, 0, len), id);
}
