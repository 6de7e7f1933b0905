#include "common/base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

#define STR_SIZE_MIN 64
/* Bytes of a word that slice_distance() looks at. */
#define DISTANCE_BYTES_MAX 63

static inline unsigned char
fold(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

struct slice
slice_of(const char *text)
{
	return (struct slice){ text, text ? strlen(text) : 0 };
}

bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.ptr, b.ptr, a.len));
}

bool
slice_eq_text(struct slice a, const char *text)
{
	return slice_eq(a, slice_of(text));
}

bool
slice_case_eq(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (fold(a.ptr[i]) != fold(b.ptr[i]))
			return false;
	return true;
}

int
slice_compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       slice_eq(slice_part(s, 0, prefix.len), prefix);
}

bool
slice_ends(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len &&
	       slice_eq(slice_from(s, s.len - suffix.len), suffix);
}

bool
slice_has_byte(struct slice s, char byte)
{
	return slice_find(s, byte) >= 0;
}

ptrdiff_t
slice_find(struct slice s, char byte)
{
	const char *at = s.len > 0 ? memchr(s.ptr, byte, s.len) : NULL;

	return at ? at - s.ptr : -1;
}

ptrdiff_t
slice_find_last(struct slice s, char byte)
{
	const char *at = s.len > 0 ? memrchr(s.ptr, byte, s.len) : NULL;

	return at ? at - s.ptr : -1;
}

struct slice
slice_part(struct slice s, size_t from, size_t to)
{
	if (to > s.len)
		to = s.len;
	if (from >= to)
		return (struct slice){ "", 0 };
	return (struct slice){ s.ptr + from, to - from };
}

struct slice
slice_from(struct slice s, size_t from)
{
	return slice_part(s, from, s.len);
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	return s;
}

bool
slice_split(struct slice *rest, char separator, struct slice *part)
{
	ptrdiff_t at;

	if (!rest->ptr)
		return false;
	at = slice_find(*rest, separator);
	if (at < 0) {
		*part = *rest;
		*rest = (struct slice){ NULL, 0 };
		return true;
	}
	*part = (struct slice){ rest->ptr, (size_t)at };
	rest->ptr += at + 1;
	rest->len -= (size_t)at + 1;
	return true;
}

struct slice
slice_copy(struct arena *arena, struct slice s)
{
	return (struct slice){ arena_memdup(arena, s.ptr, s.len), s.len };
}

struct slice
slice_lower(struct arena *arena, struct slice s)
{
	char *copy = arena_memdup(arena, s.ptr, s.len);

	for (size_t i = 0; i < s.len; i++)
		copy[i] = (char)fold(copy[i]);
	return (struct slice){ copy, s.len };
}

char *
slice_strdup(struct slice s)
{
	char *copy = x_realloc_array(NULL, s.len + 1, 1);

	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

/* The range of the second byte that RFC 3629, section 4 allows. */
static bool
is_second_byte(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return second >= 0x80 && second <= 0xbf;
	}
}

size_t
slice_utf8_len(struct slice s, size_t at)
{
	const unsigned char *p = (const unsigned char *)s.ptr + at;
	size_t len;

	assert(at < s.len);
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > s.len - at || !is_second_byte(p[0], p[1]))
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
slice_is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] > 0x7f)
			return false;
	return true;
}

bool
slice_is_utf8(struct slice s)
{
	size_t len;

	for (size_t at = 0; at < s.len; at += len) {
		if (s.ptr[at] == '\0')
			return false;
		len = slice_utf8_len(s, at);
		if (len == 0)
			return false;
	}
	return true;
}

/* U+200E..200F, U+2028..202E, U+2066..2069: marks of lines and directions. */
static bool
is_mark(const unsigned char *c)
{
	if (c[0] != 0xe2)
		return false;
	if (c[1] == 0x80)
		return c[2] == 0x8e || c[2] == 0x8f ||
		       (c[2] >= 0xa8 && c[2] <= 0xae);
	return c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
}

size_t
slice_shown_len(struct slice s, size_t at)
{
	const unsigned char *c = (const unsigned char *)s.ptr + at;
	const size_t len = slice_utf8_len(s, at);

	if (len == 1)
		return c[0] >= 0x20 && c[0] != 0x7f;
	if (len == 2)
		return c[0] == 0xc2 && c[1] < 0xa0 ? 0 : len;
	return len == 3 && is_mark(c) ? 0 : len;
}

static inline unsigned
min_unsigned(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned
slice_distance(struct slice a, struct slice b)
{
	/* Row i of the matrix is rows[i % 3]; a swap looks two rows back. */
	unsigned rows[3][DISTANCE_BYTES_MAX + 1];

	a = slice_part(a, 0, DISTANCE_BYTES_MAX);
	b = slice_part(b, 0, DISTANCE_BYTES_MAX);
	for (size_t j = 0; j <= b.len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *swap = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			bool differs = a.ptr[i - 1] != b.ptr[j - 1];

			row[j] = min_unsigned(above[j - 1] + differs,
				1 + min_unsigned(above[j], row[j - 1]));
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
				a.ptr[i - 2] == b.ptr[j - 1])
				row[j] = min_unsigned(row[j], swap[j - 2] + 1);
		}
	}
	return rows[a.len % 3][b.len];
}

const char *
slice_nearest(struct slice word, const char *const *words, size_t n)
{
	/* One slip in three characters, but never the whole word. */
	unsigned best = (unsigned)(word.len / 3) + 2;
	const char *nearest = NULL;

	if (best > word.len)
		best = (unsigned)word.len;
	for (size_t i = 0; i < n; i++) {
		unsigned distance = slice_distance(word, slice_of(words[i]));

		if (distance < best) {
			best = distance;
			nearest = words[i];
		}
	}
	return nearest;
}

void
str_init(struct str *str, size_t limit)
{
	*str = (struct str){ .limit = limit };
}

void
str_free(struct str *str)
{
	x_free(str->data);
	*str = (struct str){ .limit = str->limit };
}

void
str_reset(struct str *str)
{
	str->len = 0;
	str->is_cut = false;
	if (str->data)
		str->data[0] = '\0';
}

/*
 * Makes room for n more bytes and a NUL; returns how many of the n fit. When
 * not all do, the caller fills the rest up to the limit, so nothing that is
 * appended later fits either.
 */
static size_t
grow(struct str *str, size_t n)
{
	size_t need, size;

	assert(str->limit < SIZE_MAX / 2);
	if (n > str->limit - str->len) {
		n = str->limit - str->len;
		str->is_cut = true;
	}
	need = str->len + n + 1;
	if (need <= str->size)
		return n;
	size = str->size * 2;
	if (size < STR_SIZE_MIN)
		size = STR_SIZE_MIN;
	if (size < need)
		size = need;
	if (size > str->limit + 1)
		size = str->limit + 1;
	str->data = x_realloc_array(str->data, size, 1);
	str->size = size;
	/* Even if none of the n bytes fit. */
	str->data[str->len] = '\0';
	return n;
}

/* The same; growing is the rare case. */
static inline size_t
make_room(struct str *str, size_t n)
{
	return n < str->size - str->len ? n : grow(str, n);
}

void
str_append(struct str *str, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	len = make_room(str, len);
	memcpy(str->data + str->len, bytes, len);
	str->len += len;
	str->data[str->len] = '\0';
}

void
str_append_slice(struct str *str, struct slice s)
{
	str_append(str, s.ptr, s.len);
}

void
str_append_text(struct str *str, const char *text)
{
	str_append(str, text, strlen(text));
}

void
str_append_char(struct str *str, char c)
{
	if (make_room(str, 1) == 0)
		return;
	str->data[str->len++] = c;
	str->data[str->len] = '\0';
}

void
str_printf(struct str *str, const char *format, ...)
{
	va_list args, again;
	size_t left = str->size - str->len, room;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(left > 0 ? str->data + str->len : NULL, left, format,
		args);
	assert(n >= 0);
	room = make_room(str, (size_t)n);
	if ((size_t)n >= left)
		vsnprintf(str->data + str->len, room + 1, format, again);
	str->len += room;
	va_end(again);
	va_end(args);
}

void
str_append_u64(struct str *str, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	str_append(str, digits + at, sizeof(digits) - at);
}

void
str_append_i64(struct str *str, int64_t number)
{
	if (number >= 0) {
		str_append_u64(str, (uint64_t)number);
		return;
	}
	str_append_char(str, '-');
	str_append_u64(str, -(uint64_t)number);
}

/* A character of two or three bytes that is not to be shown. */
static void
append_json_code(struct str *str, const unsigned char *c, size_t len)
{
	const unsigned code = len == 2 ? (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu)
				       : (c[0] & 0xfu) << 12 |
						 (c[1] & 0x3fu) << 6 |
						 (c[2] & 0x3fu);

	str_printf(str, "\\u%04x", code);
}

static void
append_json_byte(struct str *str, unsigned char byte)
{
	static const char shorts[][2] = { { '"', '"' }, { '\\', '\\' },
		{ '\b', 'b' }, { '\f', 'f' }, { '\n', 'n' }, { '\r', 'r' },
		{ '\t', 't' } };

	for (size_t i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++) {
		if (byte == (unsigned char)shorts[i][0]) {
			str_append_char(str, '\\');
			str_append_char(str, shorts[i][1]);
			return;
		}
	}
	str_printf(str, "\\u%04x", byte);
}

size_t
str_append_json_escape(struct str *str, struct slice s, size_t at)
{
	const unsigned char *c = (const unsigned char *)s.ptr + at;
	const size_t len = slice_utf8_len(s, at);

	if (len == 1)
		append_json_byte(str, c[0]);
	else if (len > 1)
		append_json_code(str, c, len);
	else
		str_append(str, "\xef\xbf\xbd", 3);
	return len > 0 ? len : 1;
}

/* Length of the plain JSON character at a position, 0 if it needs escaping. */
static inline size_t
json_plain_len(struct slice s, size_t at)
{
	unsigned char c = (unsigned char)s.ptr[at];

	if (c >= 0x80)
		return slice_shown_len(s, at);
	return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

void
str_append_json(struct str *str, struct slice s)
{
	size_t start = 0, at = 0, len;

	str_append_char(str, '"');
	while (at < s.len) {
		len = json_plain_len(s, at);
		at += len;
		if (len > 0)
			continue;
		str_append(str, s.ptr + start, at - start);
		at += str_append_json_escape(str, s, at);
		start = at;
	}
	if (at > start)
		str_append(str, s.ptr + start, at - start);
	str_append_char(str, '"');
}

struct slice
str_slice(const struct str *str)
{
	return (struct slice){ str->data, str->len };
}

const char *
str_text(const struct str *str)
{
	return str->data ? str->data : "";
}
