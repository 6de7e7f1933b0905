/*
 * A body that anybody may have sent, as a whole and in pieces: the canonical
 * form has to be the same, and that which a second, simple reading of RFC
 * 6376 gives. What is canonical stays as it is. The same bytes serve as the
 * value of a header field, too.
 *
 * The first byte of the input says how large the pieces are.
 */

#include "common/mail/dkim_canon.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each byte may be a bare LF, for which two come out; and a line end. */
#define OUT_MAX(size) (2 * (size) + 2)

static void
append(void *to, const char *bytes, size_t n)
{
	assert(n > 0);
	str_append(to, bytes, n);
}

/* Pieces of different sizes, which repeat. */
static void
in_pieces(enum dkim_canon canon, struct slice bytes, size_t size,
	struct str *out)
{
	struct dkim_canon_body body;
	size_t n = size;

	str_reset(out);
	dkim_canon_body_start(&body, canon, append, out);
	while (bytes.len > 0) {
		dkim_canon_body_add(&body, slice_part(bytes, 0, n));
		bytes = slice_from(bytes, n);
		n = n % size + 1;
	}
	dkim_canon_body_end(&body);
	assert(!out->is_cut);
}

/* --- step by step, as the standard tells it ----------------------------- */

static void
relax_line(struct slice line, struct str *out)
{
	const size_t start = out->len;

	for (size_t i = 0; i < line.len; i++) {
		const bool is_blank = line.ptr[i] == ' ' || line.ptr[i] == '\t';

		if (!is_blank)
			str_append_char(out, line.ptr[i]);
		else if (out->len == start || out->data[out->len - 1] != ' ')
			str_append_char(out, ' ');
	}
	if (out->len > start && out->data[out->len - 1] == ' ')
		out->len--;
}

static void
step_by_step(enum dkim_canon canon, struct slice bytes, struct str *out)
{
	struct slice line;

	str_reset(out);
	while (bytes.len > 0 && slice_split(&bytes, '\n', &line)) {
		if (bytes.ptr != NULL && slice_ends(line, SLICE("\r")))
			line.len--;
		if (canon == DKIM_RELAXED)
			relax_line(line, out);
		else
			str_append_slice(out, line);
		str_append_text(out, "\r\n");
	}
	while (slice_ends(str_slice(out), SLICE("\r\n\r\n")))
		out->len -= 2;
	if (slice_eq(str_slice(out), SLICE("\r\n")))
		out->len = 0;
	if (out->len == 0 && canon == DKIM_SIMPLE)
		str_append_text(out, "\r\n");
}

static void
check_body(enum dkim_canon canon, struct slice bytes, size_t size)
{
	struct str whole, other;

	str_init(&whole, OUT_MAX(bytes.len));
	str_init(&other, OUT_MAX(OUT_MAX(bytes.len)));
	in_pieces(canon, bytes, bytes.len + 1, &whole);
	in_pieces(canon, bytes, size, &other);
	assert(slice_eq(str_slice(&whole), str_slice(&other)));
	step_by_step(canon, bytes, &other);
	assert(slice_eq(str_slice(&whole), str_slice(&other)));
	in_pieces(canon, str_slice(&whole), size, &other);
	assert(slice_eq(str_slice(&whole), str_slice(&other)));
	str_free(&whole);
	str_free(&other);
}

/* --- header fields ------------------------------------------------------ */

static struct slice
header(enum dkim_canon canon, struct slice value, struct str *out)
{
	str_reset(out);
	dkim_canon_header(canon, SLICE("X-Name "), value, append, out);
	assert(!out->is_cut);
	return str_slice(out);
}

static void
check_header(enum dkim_canon canon, struct slice value)
{
	const char *name = canon == DKIM_SIMPLE ? "X-Name :" : "x-name:";
	struct slice text;
	struct str out, again;

	str_init(&out, OUT_MAX(value.len) + 8);
	str_init(&again, OUT_MAX(OUT_MAX(value.len)) + 8);
	text = header(canon, value, &out);
	assert(slice_starts(text, slice_of(name)));
	text = slice_from(text, strlen(name));
	if (canon == DKIM_RELAXED) {
		assert(!slice_has_byte(text, '\n'));
		assert(!slice_has_byte(text, '\t'));
	}
	assert(slice_eq(str_slice(&out), header(canon, text, &again)));
	str_free(&out);
	str_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes;

	if (size < 1)
		return 0;
	bytes = (struct slice){ (const char *)data + 1, size - 1 };
	for (int canon = 0; canon < DKIM_CANON_COUNT; canon++) {
		check_body((enum dkim_canon)canon, bytes, data[0] % 16 + 1);
		check_header((enum dkim_canon)canon, bytes);
	}
	return 0;
}
