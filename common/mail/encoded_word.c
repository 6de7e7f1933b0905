#include "common/mail/encoded_word.h"

#include <string.h>

#define ESCAPE    '\x1b'
#define SHIFT_OUT '\x0e'
#define SHIFT_IN  '\x0f'

/* =?charset?encoding?text?= */
struct word {
	struct slice charset, text;
	char encoding;
};

/* How bytes are written in 7 bits (ISO 2022): the ones that are ASCII count. */
enum shift {
	SHIFT_NONE,
	SHIFT_ESCAPED, /* in an escape sequence */
	SHIFT_WIDE,    /* the bytes are parts of other characters */
};

struct decoder {
	struct str *whole, *words;
	bool is_wide; /* characters of several bytes, zeros among them */
	bool is_iso2022;
	enum shift shift;
	bool is_designated; /* the escape sequence begins with ESC ( */
};

bool
encoded_word_is_in(struct slice text)
{
	return text.len > 1 && memmem(text.ptr, text.len, "=?", 2) != NULL;
}

/* --- bytes of characters ------------------------------------------------ */

/*
 * ESC ( B and ESC ( J lead to ASCII, all others away from it. RFC 1468, RFC
 * 1557.
 */
static void
put_escape(struct decoder *decoder, char c)
{
	if (c == '(')
		decoder->is_designated = true;
	else if ((unsigned char)c >= '0')
		decoder->shift =
			decoder->is_designated && (c == 'B' || c == 'J')
				? SHIFT_NONE
				: SHIFT_WIDE;
}

static bool
is_iso2022_control(struct decoder *decoder, char c)
{
	if (!decoder->is_iso2022)
		return false;
	if (decoder->shift == SHIFT_ESCAPED) {
		put_escape(decoder, c);
		return true;
	}
	if (c == ESCAPE) {
		decoder->shift = SHIFT_ESCAPED;
		decoder->is_designated = false;
	} else if (c == SHIFT_OUT) {
		decoder->shift = SHIFT_WIDE;
	} else if (c == SHIFT_IN) {
		decoder->shift = SHIFT_NONE;
	}
	return c == ESCAPE || c == SHIFT_OUT || c == SHIFT_IN;
}

static void
put(struct decoder *decoder, char c)
{
	if (is_iso2022_control(decoder, c) || decoder->shift == SHIFT_WIDE ||
		(c == '\0' && decoder->is_wide))
		return;
	str_append_char(decoder->whole, c);
	str_append_char(decoder->words, c);
}

/* --- the two encodings -------------------------------------------------- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void
decode_q(struct decoder *decoder, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const int high =
			i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
		const int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;

		if (text.ptr[i] == '_') {
			put(decoder, ' ');
		} else if (text.ptr[i] == '=' && low >= 0) {
			put(decoder, (char)(high << 4 | low));
			i += 2;
		} else {
			put(decoder, text.ptr[i]);
		}
	}
}

static int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* What is no digit is passed over, padding too, as it is by many. */
static void
decode_b(struct decoder *decoder, struct slice text)
{
	unsigned bits = 0, n = 0;

	for (size_t i = 0; i < text.len; i++) {
		const int digit = base64_digit(text.ptr[i]);

		if (digit < 0)
			continue;
		bits = bits << 6 | (unsigned)digit;
		n += 6;
		if (n < 8)
			continue;
		n -= 8;
		put(decoder, (char)(bits >> n & 0xff));
	}
}

/* --- words -------------------------------------------------------------- */

/* The part before the next "?"; false: there is none. */
static bool
take_part(struct slice *rest, struct slice *part)
{
	const ptrdiff_t at = slice_find(*rest, '?');

	if (at < 0)
		return false;
	*part = slice_part(*rest, 0, (size_t)at);
	*rest = slice_from(*rest, (size_t)at + 1);
	return true;
}

/* The bytes of the encoded word that begins a text; 0: none does. */
static size_t
read_word(struct slice text, struct word *out)
{
	struct slice rest = slice_from(text, 2), encoding;
	const char *end;

	if (!slice_starts(text, SLICE("=?")) ||
		!take_part(&rest, &out->charset) ||
		!take_part(&rest, &encoding) || encoding.len != 1)
		return 0;
	out->encoding = encoding.ptr[0];
	if (strchr("qQbB", out->encoding) == NULL || out->encoding == '\0')
		return 0;
	end = rest.len > 0 ? memmem(rest.ptr, rest.len, "?=", 2) : NULL;
	if (end == NULL)
		return 0;
	out->text = slice_part(rest, 0, (size_t)(end - rest.ptr));
	return (size_t)(end + 2 - text.ptr);
}

/* Beginnings of the names of character sets; NULL at the end. */
static const char *const wide[] = { "utf-16", "utf-32", "utf16", "utf32",
	"ucs-", "iso-10646", NULL };
static const char *const iso2022[] = { "iso-2022-", "csiso2022", NULL };
static const char *const utf7[] = { "utf-7", "utf7", "unicode-1-1-utf-7",
	NULL };

static bool
is_one_of(struct slice charset, const char *const *names)
{
	for (; *names != NULL; names++) {
		const struct slice name = slice_of(*names);

		if (slice_case_eq(slice_part(charset, 0, name.len), name))
			return true;
	}
	return false;
}

static bool
decode_word(struct decoder *decoder, const struct word *word)
{
	decoder->shift = SHIFT_NONE;
	decoder->is_iso2022 = is_one_of(word->charset, iso2022);
	decoder->is_wide = is_one_of(word->charset, wide);
	if (word->encoding == 'q' || word->encoding == 'Q')
		decode_q(decoder, word->text);
	else
		decode_b(decoder, word->text);
	return !is_one_of(word->charset, utf7);
}

static size_t
blanks(struct slice text)
{
	size_t n = 0;

	while (n < text.len && slice_has_byte(SLICE(" \t\r\n"), text.ptr[n]))
		n++;
	return n;
}

bool
encoded_word_decode(struct slice text, struct str *whole, struct str *words)
{
	struct decoder decoder = { .whole = whole, .words = words };
	struct word word;
	bool is_readable = true;
	size_t n;

	while (text.len > 0) {
		n = read_word(text, &word);
		if (n == 0) {
			str_append_char(whole, text.ptr[0]);
			text = slice_from(text, 1);
			continue;
		}
		is_readable = decode_word(&decoder, &word) && is_readable;
		text = slice_from(text, n);
		n = blanks(text);
		if (read_word(slice_from(text, n), &word) > 0)
			text = slice_from(text, n);
		else
			str_append_char(words, ' ');
	}
	return is_readable;
}
