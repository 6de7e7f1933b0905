#include "common/mail/dns_name.h"

#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static uint8_t
lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 'a' - 'A') : byte;
}

/* The byte behind a backslash; moves *at behind it. */
static bool
unescape(struct slice text, size_t *at, uint8_t *byte)
{
	struct slice rest = slice_from(text, *at);
	unsigned number;

	if (rest.len == 0)
		return false;
	if (!is_digit(rest.ptr[0])) {
		*byte = (uint8_t)rest.ptr[0];
		*at += 1;
		return true;
	}
	if (rest.len < 3 || !is_digit(rest.ptr[1]) || !is_digit(rest.ptr[2]))
		return false;
	number = (unsigned)(rest.ptr[0] - '0') * 100 +
		 (unsigned)(rest.ptr[1] - '0') * 10 +
		 (unsigned)(rest.ptr[2] - '0');
	*byte = (uint8_t)number;
	*at += 3;
	return number <= UINT8_MAX;
}

/* One label, up to its dot or the end; *at is then behind the dot. */
static bool
parse_label(struct slice text, size_t *at, struct dns_name *out)
{
	uint8_t label[DNS_LABEL_MAX];
	size_t len = 0;

	while (*at < text.len && text.ptr[*at] != '.') {
		uint8_t byte = (uint8_t)text.ptr[(*at)++];

		if (byte == '\\' && !unescape(text, at, &byte))
			return false;
		if (len == sizeof(label))
			return false;
		label[len++] = lower(byte);
	}
	(*at)++;
	/* The empty label of the root has to fit behind this one. */
	if (len == 0 || out->len + 1 + len + 1 > DNS_NAME_MAX)
		return false;
	out->wire[out->len] = (uint8_t)len;
	memcpy(out->wire + out->len + 1, label, len);
	out->len = (uint8_t)(out->len + 1 + len);
	return true;
}

bool
dns_name_parse(struct slice text, struct dns_name *out)
{
	size_t at = 0;

	out->len = 0;
	if (text.len == 0)
		return false;
	while (at < text.len && !slice_eq_text(text, "."))
		if (!parse_label(text, &at, out))
			return false;
	out->wire[out->len++] = 0;
	return true;
}

static char *
format_byte(uint8_t byte, char *to)
{
	if (byte > ' ' && byte < 0x7f) {
		if (byte == '.' || byte == '\\')
			*to++ = '\\';
		*to++ = (char)byte;
		return to;
	}
	*to++ = '\\';
	*to++ = (char)('0' + byte / 100);
	*to++ = (char)('0' + byte / 10 % 10);
	*to++ = (char)('0' + byte % 10);
	return to;
}

const char *
dns_name_format(const struct dns_name *name, char text[DNS_NAME_TEXT_MAX])
{
	char *to = text;
	size_t at = 0;

	if (name->len == 1)
		*to++ = '.';
	while (name->wire[at] != 0) {
		const size_t end = at + 1 + name->wire[at];

		if (at > 0)
			*to++ = '.';
		for (at++; at < end; at++)
			to = format_byte(name->wire[at], to);
	}
	*to = '\0';
	return text;
}

bool
dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

bool
dns_name_is_within(const struct dns_name *name, const struct dns_name *domain)
{
	size_t at = 0;

	while (name->len - at > domain->len)
		at += 1u + name->wire[at];
	return at > 0 && name->len - at == domain->len &&
	       memcmp(name->wire + at, domain->wire, domain->len) == 0;
}
