#include "policyd/facts/column.h"

#include "common/base/mem.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define UTF8_MAX    4u
/* Most bytes that one byte of the original becomes. */
#define GROWTH_MAX (sizeof(REPLACEMENT) - 1)

/* The length of the character that text begins with, or 0 if it is none. */
static size_t
character_len(struct slice text)
{
	unsigned char first = (unsigned char)text.ptr[0];
	size_t len = 1;

	if (first >= 0xf0)
		len = 4;
	else if (first >= 0xe0)
		len = 3;
	else if (first >= 0x80)
		len = 2;
	if (len > text.len || !slice_is_utf8(slice_part(text, 0, len)))
		return 0;
	return len;
}

struct slice
column_text(struct arena *arena, struct slice text, size_t max)
{
	size_t size = text.len * GROWTH_MAX, len = 0;
	char *out;

	if (text.len <= max && slice_is_utf8(text))
		return text;
	if (size > max * UTF8_MAX)
		size = max * UTF8_MAX;
	out = arena_alloc(arena, size);
	for (size_t n = 0; n < max && text.len > 0; n++) {
		size_t taken = character_len(text);
		struct slice c = taken > 0 ? slice_part(text, 0, taken)
					   : SLICE(REPLACEMENT);

		for (size_t i = 0; i < c.len; i++)
			out[len++] = c.ptr[i];
		text = slice_from(text, taken > 0 ? taken : 1);
	}
	return (struct slice){ out, len };
}
