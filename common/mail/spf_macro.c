#include "common/mail/spf_macro.h"

#include <assert.h>
#include <string.h>

/* No value has more parts: a larger number of them means all. */
#define PARTS_MAX 1000u
/* 32 nibbles with their dots, or an address as text. */
#define VALUE_MAX 64
/*
 * While a name is put together: what it holds before its beginning goes, and
 * one macro more, which may be a name of 1020 bytes that are all escaped.
 */
#define NAME_ROOM ((size_t)8 << 10)
#define NAME_LONG ((size_t)4 << 10)
/* A name is in the last bytes, behind a dot, and may have a dot behind it. */
#define NAME_END (1 + SPF_NAME_LEN_MAX + 1)

enum piece_kind {
	PIECE_LITERAL, /* one byte */
	PIECE_ESCAPE,  /* %% %_ %- */
	PIECE_MACRO,   /* %{...} */
};

struct piece {
	enum piece_kind kind;
	char byte;        /* literal; of an escape what is behind its % */
	char letter;      /* in lower case */
	bool is_upper;    /* the value is to be URL-escaped */
	unsigned n_parts; /* at the right that are kept */
	bool is_reversed;
	uint64_t delimiters; /* a set: bit_of() each */
};

/* --- syntax ------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* *DIGIT; a number has to be more than 0 (7.1). */
static bool
read_number(struct slice *rest, unsigned *out)
{
	unsigned number = 0;

	*out = PARTS_MAX;
	if (rest->len == 0 || !is_digit(rest->ptr[0]))
		return true;
	while (rest->len > 0 && is_digit(rest->ptr[0])) {
		number = number * 10 + (unsigned)(rest->ptr[0] - '0');
		if (number > PARTS_MAX)
			number = PARTS_MAX;
		*rest = slice_from(*rest, 1);
	}
	*out = number;
	return number > 0;
}

/* All delimiters (7.1) lie between "+" and "_". */
static uint64_t
bit_of(char c)
{
	return c >= '+' && c <= '_' ? UINT64_C(1) << (c - '+') : 0;
}

/* *delimiter; without one it is the dot. False: there is something else. */
static bool
read_delimiters(struct slice text, uint64_t *out)
{
	*out = text.len == 0 ? bit_of('.') : 0;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_one_of(text.ptr[i], ".-+,/_="))
			return false;
		*out |= bit_of(text.ptr[i]);
	}
	return true;
}

/* What is between the braces. */
static bool
read_macro(struct slice inside, struct piece *out)
{
	out->kind = PIECE_MACRO;
	if (inside.len == 0 ||
		!is_one_of(inside.ptr[0], "slodiphcrtvSLODIPHCRTV"))
		return false;
	out->letter = lower(inside.ptr[0]);
	out->is_upper = out->letter != inside.ptr[0];
	inside = slice_from(inside, 1);
	if (!read_number(&inside, &out->n_parts))
		return false;
	out->is_reversed = inside.len > 0 && lower(inside.ptr[0]) == 'r';
	if (out->is_reversed)
		inside = slice_from(inside, 1);
	return read_delimiters(inside, &out->delimiters);
}

/* Takes the first piece of *rest, which is not empty. False: malformed. */
static bool
read_piece(struct slice *rest, struct piece *out)
{
	ptrdiff_t end;

	memset(out, 0, sizeof(*out));
	out->byte = rest->ptr[0];
	*rest = slice_from(*rest, 1);
	if (out->byte != '%') {
		out->kind = PIECE_LITERAL;
		return out->byte >= ' ' && out->byte <= '~';
	}
	if (rest->len == 0)
		return false;
	out->byte = rest->ptr[0];
	if (out->byte != '{') {
		out->kind = PIECE_ESCAPE;
		*rest = slice_from(*rest, 1);
		return is_one_of(out->byte, "%_-");
	}
	end = slice_find(*rest, '}');
	if (end < 0 || !read_macro(slice_part(*rest, 1, (size_t)end), out))
		return false;
	*rest = slice_from(*rest, (size_t)end + 1);
	return true;
}

static bool
is_allowed(const struct piece *piece, enum spf_macro_use use)
{
	if (use == SPF_MACRO_IN_TEXT)
		return true;
	return piece->kind == PIECE_MACRO ? !is_one_of(piece->letter, "crt")
					  : piece->byte != ' ';
}

bool
spf_macro_is_valid(struct slice text, enum spf_macro_use use)
{
	struct piece piece;

	while (text.len > 0)
		if (!read_piece(&text, &piece) || !is_allowed(&piece, use))
			return false;
	return true;
}

/* toplabel (7.1): letters, digits and inner hyphens, not digits alone. */
static bool
is_top_label(struct slice label)
{
	bool has_other = false;

	if (label.len == 0 || label.ptr[0] == '-' ||
		label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		const char c = label.ptr[i];

		if (!is_digit(c) && !is_alpha(c) && c != '-')
			return false;
		has_other |= !is_digit(c);
	}
	return has_other;
}

bool
spf_macro_is_domain_spec(struct slice text)
{
	struct slice rest = text;
	struct piece piece = { .kind = PIECE_LITERAL };
	ptrdiff_t dot;

	while (rest.len > 0)
		if (!read_piece(&rest, &piece) ||
			!is_allowed(&piece, SPF_MACRO_IN_DOMAIN))
			return false;
	if (text.len > 0 && piece.kind != PIECE_LITERAL)
		return true;
	if (slice_ends(text, SLICE(".")))
		text = slice_part(text, 0, text.len - 1);
	dot = slice_find_last(text, '.');
	return dot >= 0 && is_top_label(slice_from(text, (size_t)dot + 1));
}

bool
spf_macro_uses(struct slice text, const char *letters)
{
	struct piece piece;

	while (text.len > 0 && read_piece(&text, &piece))
		if (piece.kind == PIECE_MACRO &&
			is_one_of(piece.letter, letters))
			return true;
	return false;
}

/* --- values ------------------------------------------------------------- */

/* %{i}: an IPv6 address is written nibble by nibble. */
static void
append_client(struct str *out, const struct ip *ip)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[IP_TEXT_MAX];

	if (ip->family == IP_V4) {
		str_append_text(out, ip_format(ip, text));
		return;
	}
	for (size_t i = 0; i < sizeof(ip->bytes); i++) {
		if (i > 0)
			str_append_char(out, '.');
		str_append_char(out, digits[ip->bytes[i] >> 4]);
		str_append_char(out, '.');
		str_append_char(out, digits[ip->bytes[i] & 0xf]);
	}
}

static void
append_value(struct str *out, char letter,
	const struct spf_macro_values *values)
{
	char text[IP_TEXT_MAX];

	switch (letter) {
	case 's':
		str_append_slice(out, values->local);
		str_append_char(out, '@');
		str_append_slice(out, values->sender_domain);
		break;
	case 'l':
		str_append_slice(out, values->local);
		break;
	case 'o':
		str_append_slice(out, values->sender_domain);
		break;
	case 'd':
		str_append_slice(out, values->domain);
		break;
	case 'i':
		append_client(out, &values->client);
		break;
	case 'p':
		str_append_slice(out, values->validated_name);
		break;
	case 'v':
		str_append_text(out,
			values->client.family == IP_V4 ? "in-addr" : "ip6");
		break;
	case 'h':
		str_append_slice(out, values->helo);
		break;
	case 'c':
		str_append_text(out, ip_format(&values->client, text));
		break;
	case 'r':
		str_append_slice(out, values->receiver);
		break;
	case 't':
		str_append_i64(out, values->now);
		break;
	default:
		assert(0); /* read_macro() */
	}
}

/* --- expansion ---------------------------------------------------------- */

static bool
is_delimiter(const struct piece *piece, char c)
{
	return (piece->delimiters & bit_of(c)) != 0;
}

/* RFC 3986, 2.3 */
static bool
is_unreserved(char c)
{
	return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/* 7.3: as in a URL. */
static void
append_escaped(struct str *out, struct slice part)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < part.len; i++) {
		const unsigned char c = (unsigned char)part.ptr[i];
		const char escaped[] = { '%', digits[c >> 4], digits[c & 0xf] };

		if (is_unreserved(part.ptr[i]))
			str_append_char(out, part.ptr[i]);
		else
			str_append(out, escaped, sizeof(escaped));
	}
}

static size_t
count_parts(const struct piece *piece, struct slice value)
{
	size_t n = 1;

	for (size_t i = 0; i < value.len; i++)
		n += is_delimiter(piece, value.ptr[i]);
	return n;
}

/* Takes the first part of *rest, or the last one if they are reversed. */
static struct slice
take_part(const struct piece *piece, struct slice *rest)
{
	const struct slice all = *rest;
	size_t n = 0;

	if (piece->is_reversed) {
		while (n < all.len &&
			!is_delimiter(piece, all.ptr[all.len - n - 1]))
			n++;
		*rest = slice_part(all, 0, n < all.len ? all.len - n - 1 : 0);
		return slice_from(all, all.len - n);
	}
	while (n < all.len && !is_delimiter(piece, all.ptr[n]))
		n++;
	*rest = slice_from(all, n < all.len ? n + 1 : n);
	return slice_part(all, 0, n);
}

/* Splits, turns around, keeps the parts at the right, joins with dots. */
static void
append_parts(struct str *out, const struct piece *piece, struct slice value)
{
	const size_t n = count_parts(piece, value);
	const size_t n_left_out = n > piece->n_parts ? n - piece->n_parts : 0;

	for (size_t i = 0; i < n; i++) {
		const struct slice part = take_part(piece, &value);

		if (i < n_left_out)
			continue;
		if (i > n_left_out)
			str_append_char(out, '.');
		if (piece->is_upper)
			append_escaped(out, part);
		else
			str_append_slice(out, part);
	}
}

static void
append_macro(struct str *out, const struct piece *piece,
	const struct spf_macro_values *values)
{
	struct str value;

	str_init(&value,
		VALUE_MAX + values->local.len + 1 + values->sender_domain.len +
			values->domain.len + values->helo.len +
			values->validated_name.len + values->receiver.len);
	append_value(&value, piece->letter, values);
	append_parts(out, piece, str_slice(&value));
	str_free(&value);
}

static void
append_escape(struct str *out, char byte)
{
	switch (byte) {
	case '%':
		str_append_char(out, '%');
		break;
	case '_':
		str_append_char(out, ' ');
		break;
	default:
		str_append_text(out, "%20");
		break;
	}
}

static void
append_piece(struct str *out, const struct piece *piece,
	const struct spf_macro_values *values)
{
	switch (piece->kind) {
	case PIECE_LITERAL:
		str_append_char(out, piece->byte);
		break;
	case PIECE_ESCAPE:
		append_escape(out, piece->byte);
		break;
	case PIECE_MACRO:
		append_macro(out, piece, values);
		break;
	}
}

void
spf_macro_expand(struct slice text, const struct spf_macro_values *values,
	struct str *out)
{
	struct piece piece;

	while (text.len > 0 && !out->is_cut && read_piece(&text, &piece))
		append_piece(out, &piece, values);
}

/* --- names -------------------------------------------------------------- */

static void
keep_end(struct str *str, size_t n)
{
	memmove(str->data, str->data + (str->len - n), n + 1);
	str->len = n;
}

static struct slice
cut_name(struct slice name)
{
	if (slice_ends(name, SLICE(".")))
		name = slice_part(name, 0, name.len - 1);
	while (name.len > SPF_NAME_LEN_MAX) {
		const ptrdiff_t dot = slice_find(name, '.');

		name = dot < 0 ? SLICE("") : slice_from(name, (size_t)dot + 1);
	}
	return name;
}

void
spf_macro_expand_name(struct slice spec, const struct spf_macro_values *values,
	struct str *out)
{
	struct piece piece;
	struct str all;

	str_init(&all, NAME_ROOM);
	while (spec.len > 0 && read_piece(&spec, &piece)) {
		append_piece(&all, &piece, values);
		assert(!all.is_cut);
		if (all.len > NAME_LONG)
			keep_end(&all, NAME_END);
	}
	str_append_slice(out, cut_name(str_slice(&all)));
	str_free(&all);
}
