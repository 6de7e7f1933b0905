#include "policyd/facts/column.h"

#include "common/base/mem.h"

#define REPLACEMENT     "\xef\xbf\xbd" /* U+FFFD */
#define REPLACEMENT_LEN (sizeof(REPLACEMENT) - 1)

/* The length of the character at a position, or 0 if there is none. */
static size_t
character_len(struct slice text, size_t at)
{
	return text.ptr[at] == '\0' ? 0 : slice_utf8_len(text, at);
}

struct slice
column_text(struct arena *arena, struct slice text, size_t max)
{
	size_t at = 0, n = 0, n_bad = 0, len = 0;
	char *out;

	for (; n < max && at < text.len; n++) {
		const size_t step = character_len(text, at);

		n_bad += step == 0;
		at += step > 0 ? step : 1;
	}
	text = slice_part(text, 0, at);
	if (n_bad == 0)
		return text;
	out = arena_alloc(arena, text.len + n_bad * (REPLACEMENT_LEN - 1));
	for (at = 0; at < text.len;) {
		const size_t step = character_len(text, at);
		const struct slice c = step > 0
					       ? slice_part(text, at, at + step)
					       : SLICE(REPLACEMENT);

		for (size_t i = 0; i < c.len; i++)
			out[len++] = c.ptr[i];
		at += step > 0 ? step : 1;
	}
	return (struct slice){ out, len };
}
