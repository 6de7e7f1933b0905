#include "policyd/postfix_map.h"

#include "common/base/num.h"

/* Digits of the length of a netstring. */
#define LENGTH_MAX 5

/* --- frames ------------------------------------------------------------- */

static ptrdiff_t
frame_line(struct slice input, struct slice *request, const char **err)
{
	const ptrdiff_t end = slice_find(input, '\n');
	const size_t len = end < 0 ? input.len : (size_t)end;

	if (len > POSTFIX_MAP_LINE_MAX) {
		*err = "a line longer than 4096 bytes";
		return -1;
	}
	*request = slice_part(input, 0, len);
	return end + 1;
}

/* http://cr.yp.to/proto/netstrings.txt: "5:hello,". */
static ptrdiff_t
frame_netstring(struct slice input, struct slice *request, const char **err)
{
	const struct slice start = slice_part(input, 0, LENGTH_MAX + 1);
	const ptrdiff_t colon = slice_find(start, ':');
	const size_t n_digits = colon < 0 ? start.len : (size_t)colon;
	uint64_t len = 0, whole;

	*err = "no netstring";
	if (n_digits > LENGTH_MAX || (colon >= 0 && n_digits == 0))
		return -1;
	if (n_digits > 0 &&
		!num_parse_u64(slice_part(start, 0, n_digits), 99999, &len))
		return -1;
	if (len > POSTFIX_MAP_NETSTRING_MAX) {
		*err = "a netstring longer than 10000 bytes";
		return -1;
	}
	if (colon < 0)
		return 0;
	whole = n_digits + 1 + len + 1;
	if (input.len < whole)
		return 0;
	if (input.ptr[whole - 1] != ',')
		return -1;
	*request = slice_part(input, n_digits + 1, whole - 1);
	return (ptrdiff_t)whole;
}

ptrdiff_t
postfix_map_frame(enum postfix_map_kind kind, struct slice input,
	struct slice *request, const char **err)
{
	return kind == POSTFIX_MAP_TCP ? frame_line(input, request, err)
				       : frame_netstring(input, request, err);
}

/* --- requests ----------------------------------------------------------- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* False when a "%" is not followed by two digits. */
static bool
decode(struct slice text, struct str *out)
{
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.ptr[i] != '%') {
			str_append_char(out, text.ptr[i]);
			continue;
		}
		if (text.len - i < 3)
			return false;
		high = hex_digit(text.ptr[i + 1]);
		low = hex_digit(text.ptr[i + 2]);
		if (high < 0 || low < 0)
			return false;
		str_append_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

bool
postfix_map_read(enum postfix_map_kind kind, struct slice request,
	struct slice *name, struct str *key)
{
	const ptrdiff_t blank = slice_find(request, ' ');
	const struct slice word = slice_part(request, 0, (size_t)blank);
	const struct slice rest = slice_from(request, (size_t)blank + 1);

	if (blank < 0)
		return false;
	if (kind == POSTFIX_MAP_SOCKETMAP) {
		*name = word;
		str_append_slice(key, rest);
		return true;
	}
	*name = SLICE("");
	return slice_eq_text(word, "get") && decode(rest, key);
}

/* --- answers ------------------------------------------------------------ */

static bool
is_printable(char c)
{
	return c > ' ' && c < 0x7f;
}

/* A text for people keeps its blanks: Postfix takes them. */
static void
encode(struct slice text, bool is_value, struct str *out)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (c != '%' && (is_printable(c) || (c == ' ' && !is_value)))
			str_append_char(out, c);
		else
			str_printf(out, "%%%02X", (unsigned char)c);
	}
}

static void
answer_line(enum postfix_map_status status, struct slice text, struct str *out)
{
	static const char *const codes[] = {
		[POSTFIX_MAP_FOUND] = "200 ",
		[POSTFIX_MAP_NOT_FOUND] = "500 ",
		[POSTFIX_MAP_TEMPORARY] = "400 ",
		[POSTFIX_MAP_WRONG] = "500 ",
	};

	str_append_text(out, codes[status]);
	encode(text, status == POSTFIX_MAP_FOUND, out);
	str_append_char(out, '\n');
}

static void
answer_netstring(enum postfix_map_status status, struct slice text,
	struct str *out)
{
	static const char *const words[] = {
		[POSTFIX_MAP_FOUND] = "OK ",
		[POSTFIX_MAP_NOT_FOUND] = "NOTFOUND ",
		[POSTFIX_MAP_TEMPORARY] = "TEMP ",
		[POSTFIX_MAP_WRONG] = "PERM ",
	};
	const struct slice word = slice_of(words[status]);

	/* Nothing may follow NOTFOUND, says the manual. */
	if (status == POSTFIX_MAP_NOT_FOUND)
		text = SLICE("");
	str_append_u64(out, word.len + text.len);
	str_append_char(out, ':');
	str_append_slice(out, word);
	str_append_slice(out, text);
	str_append_char(out, ',');
}

void
postfix_map_answer(enum postfix_map_kind kind, enum postfix_map_status status,
	struct slice text, struct str *out)
{
	if (kind == POSTFIX_MAP_TCP)
		answer_line(status, text, out);
	else
		answer_netstring(status, text, out);
}
