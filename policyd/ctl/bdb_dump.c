#include "policyd/ctl/bdb_dump.h"

#include <string.h>

#include "common/base/num.h"

void
bdb_dump_init(struct bdb_dump *dump)
{
	memset(dump, 0, sizeof(*dump));
	str_init(&dump->key, BDB_LINE_MAX);
	str_init(&dump->value, BDB_LINE_MAX);
}

void
bdb_dump_free(struct bdb_dump *dump)
{
	str_free(&dump->key);
	str_free(&dump->value);
}

static bool
fail(struct bdb_dump *dump, const char *err)
{
	dump->state = BDB_BAD;
	dump->err = err;
	return false;
}

/* -1 when it is none. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two digits at a position; false when there are none. */
static bool
append_byte(struct slice text, size_t at, struct str *out)
{
	if (text.len - at < 2 || hex_digit(text.ptr[at]) < 0 ||
		hex_digit(text.ptr[at + 1]) < 0)
		return false;
	str_append_char(out, (char)(hex_digit(text.ptr[at]) * 16 +
				     hex_digit(text.ptr[at + 1])));
	return true;
}

static bool
read_digits(struct slice text, struct str *out)
{
	for (size_t at = 0; at < text.len; at += 2)
		if (!append_byte(text, at, out))
			return false;
	return true;
}

/* "\\" is a backslash, "\c3" a byte, everything else itself. */
static bool
read_characters(struct slice text, struct str *out)
{
	for (size_t at = 0; at < text.len; at++) {
		if (text.ptr[at] != '\\') {
			str_append_char(out, text.ptr[at]);
		} else if (text.len - at > 1 && text.ptr[at + 1] == '\\') {
			str_append_char(out, '\\');
			at++;
		} else if (append_byte(text, at + 1, out)) {
			at += 2;
		} else {
			return false;
		}
	}
	return true;
}

static void
take_header(struct bdb_dump *dump, struct slice line)
{
	if (slice_eq_text(line, "HEADER=END"))
		dump->state = BDB_KEY;
	else if (slice_eq_text(line, "format=print"))
		dump->is_print = true;
	else if (slice_eq_text(line, "keys=0"))
		(void)fail(dump, "it is a dump without keys");
	else if (slice_find(line, '=') < 0)
		(void)fail(dump, "it is not what db_dump writes");
}

static bool
take_data(struct bdb_dump *dump, struct slice line)
{
	struct str *out = dump->state == BDB_KEY ? &dump->key : &dump->value;

	if (dump->state == BDB_KEY && slice_eq_text(line, "DATA=END")) {
		dump->state = BDB_END;
		return false;
	}
	if (!slice_starts(line, SLICE(" ")))
		return fail(dump, "it ends too early");
	str_reset(out);
	line = slice_from(line, 1);
	if (!(dump->is_print ? read_characters(line, out)
			     : read_digits(line, out)))
		return fail(dump, "a line of it is malformed");
	dump->state = dump->state == BDB_KEY ? BDB_VALUE : BDB_KEY;
	return dump->state == BDB_KEY;
}

bool
bdb_dump_line(struct bdb_dump *dump, struct slice line)
{
	switch (dump->state) {
	case BDB_HEADER:
		take_header(dump, line);
		return false;
	case BDB_KEY:
	case BDB_VALUE:
		return take_data(dump, line);
	case BDB_END:
	case BDB_BAD:
		return false;
	}
	return false;
}

/* --- Postgrey ----------------------------------------------------------- */

/* An address whose domain holds no slash; with one @ unless it is lax. */
static bool
is_address(struct slice text, bool is_lax)
{
	const ptrdiff_t at = slice_find_last(text, '@');

	return at > 0 && slice_find(slice_from(text, (size_t)at), '/') < 0 &&
	       (is_lax || slice_find(text, '@') == at);
}

/* The first slash with an address on both sides, or none on the left. */
static bool
split_addresses(struct slice text, bool is_lax, struct postgrey_key *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '/')
			continue;
		out->sender = slice_part(text, 0, i);
		out->recipient = slice_from(text, i + 1);
		if ((i == 0 || is_address(out->sender, is_lax)) &&
			is_address(out->recipient, is_lax))
			return true;
	}
	return false;
}

bool
postgrey_read_key(struct slice key, struct postgrey_key *out)
{
	const ptrdiff_t slash = slice_find(key, '/');
	struct slice rest;

	if (slash <= 0)
		return false;
	out->client = slice_part(key, 0, (size_t)slash);
	rest = slice_from(key, (size_t)slash + 1);
	return split_addresses(rest, false, out) ||
	       split_addresses(rest, true, out);
}

bool
postgrey_read_value(struct slice value, uint64_t *first, uint64_t *last)
{
	struct slice part;

	return slice_split(&value, ',', &part) &&
	       num_parse_u64(part, UINT32_MAX, first) &&
	       slice_split(&value, ',', &part) &&
	       num_parse_u64(part, UINT32_MAX, last);
}
