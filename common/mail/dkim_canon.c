#include "common/mail/dkim_canon.h"

#define CRLF "\r\n"

const char *
dkim_canon_name(enum dkim_canon canon)
{
	return canon == DKIM_SIMPLE ? "simple" : "relaxed";
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* --- header fields ------------------------------------------------------ */

static struct slice
without_cr(struct slice line)
{
	if (slice_ends(line, SLICE("\r")))
		line.len--;
	return line;
}

static void
pass(struct slice text, dkim_canon_out *out, void *to)
{
	if (text.len > 0)
		out(to, text.ptr, text.len);
}

/* Nothing changes but the ends of lines, which are those of the wire. */
static void
simple_value(struct slice value, dkim_canon_out *out, void *to)
{
	struct slice line;

	while (slice_split(&value, '\n', &line)) {
		if (value.ptr == NULL) {
			pass(line, out, to);
			return;
		}
		pass(without_cr(line), out, to);
		out(to, CRLF, 2);
	}
}

static void
lower_name(struct slice name, dkim_canon_out *out, void *to)
{
	char part[64];
	size_t n;

	for (; name.len > 0; name = slice_from(name, n)) {
		for (n = 0; n < name.len && n < sizeof(part); n++) {
			const char c = name.ptr[n];

			part[n] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		}
		out(to, part, n);
	}
}

/* A blank, or the end of a line, which is unfolded. */
static bool
is_white_space(struct slice text, size_t at)
{
	const char c = text.ptr[at];

	return is_blank(c) || c == '\n' ||
	       (c == '\r' && at + 1 < text.len && text.ptr[at + 1] == '\n');
}

/* Words with one blank between them. */
static void
relaxed_value(struct slice value, dkim_canon_out *out, void *to)
{
	bool is_first = true;

	for (size_t at = 0, end = 0; at < value.len; at = end) {
		while (at < value.len && is_white_space(value, at))
			at++;
		end = at;
		while (end < value.len && !is_white_space(value, end))
			end++;
		if (end == at)
			return;
		if (!is_first)
			out(to, " ", 1);
		out(to, value.ptr + at, end - at);
		is_first = false;
	}
}

void
dkim_canon_header(enum dkim_canon canon, struct slice name, struct slice value,
	dkim_canon_out *out, void *to)
{
	if (canon == DKIM_SIMPLE)
		pass(name, out, to);
	else
		lower_name(slice_trim(name), out, to);
	out(to, ":", 1);
	if (canon == DKIM_SIMPLE)
		simple_value(value, out, to);
	else
		relaxed_value(value, out, to);
}

/* --- bodies ------------------------------------------------------------- */

void
dkim_canon_body_start(struct dkim_canon_body *body, enum dkim_canon canon,
	dkim_canon_out *out, void *to)
{
	*body = (struct dkim_canon_body){ .canon = canon,
		.out = out,
		.to = to };
}

static void
pass_line_ends(struct dkim_canon_body *body)
{
	static const char many[] = CRLF CRLF CRLF CRLF CRLF CRLF CRLF CRLF;
	const size_t max = (sizeof(many) - 1) / 2;

	while (body->n_line_ends > 0) {
		const size_t n =
			body->n_line_ends < max ? body->n_line_ends : max;

		body->out(body->to, many, 2 * n);
		body->n_line_ends -= n;
	}
}

/* Text, before which all that has been held back counts. */
static void
pass_text(struct dkim_canon_body *body, struct slice text)
{
	pass_line_ends(body);
	if (body->has_blank)
		body->out(body->to, " ", 1);
	body->has_blank = false;
	body->has_text = true;
	body->out(body->to, text.ptr, text.len);
}

/*
 * Bytes up to where blanks begin that are not a single space between others:
 * what would come out as it came in.
 */
static size_t
unchanged(struct slice text)
{
	size_t i = 0;

	while (i < text.len) {
		if (!is_blank(text.ptr[i]))
			i++;
		else if (text.ptr[i] == ' ' && i + 1 < text.len &&
			 !is_blank(text.ptr[i + 1]))
			i += 2;
		else
			break;
	}
	return i;
}

static void
relax_text(struct dkim_canon_body *body, struct slice text)
{
	while (text.len > 0) {
		size_t n = 0;

		while (n < text.len && is_blank(text.ptr[n]))
			n++;
		body->has_blank |= n > 0;
		text = slice_from(text, n);
		n = unchanged(text);
		if (n > 0)
			pass_text(body, slice_part(text, 0, n));
		text = slice_from(text, n);
	}
}

/* Part of a line without what ends it. */
static void
add_text(struct dkim_canon_body *body, struct slice text)
{
	if (text.len == 0)
		return;
	if (body->canon == DKIM_SIMPLE)
		pass_text(body, text);
	else
		relax_text(body, text);
}

/* A CR did not end a line. */
static void
add_held_cr(struct dkim_canon_body *body)
{
	if (body->has_cr)
		pass_text(body, SLICE("\r"));
	body->has_cr = false;
}

void
dkim_canon_body_add(struct dkim_canon_body *body, struct slice bytes)
{
	while (bytes.len > 0) {
		const ptrdiff_t lf = slice_find(bytes, '\n');
		const size_t len = lf < 0 ? bytes.len : (size_t)lf;
		const struct slice line = slice_part(bytes, 0, len);

		if (len > 0) {
			add_held_cr(body);
			add_text(body, without_cr(line));
			body->has_cr = line.ptr[len - 1] == '\r';
		}
		if (lf < 0)
			return;
		body->has_cr = body->has_blank = false;
		body->n_line_ends++;
		bytes = slice_from(bytes, len + 1);
	}
}

/*
 * Empty lines at the end count for nothing, the end of the last line is there
 * even if it was not; an empty body is an empty line, or nothing (relaxed).
 */
void
dkim_canon_body_end(struct dkim_canon_body *body)
{
	add_held_cr(body);
	if (body->has_text || body->canon == DKIM_SIMPLE)
		body->out(body->to, CRLF, 2);
}
