#include "common/mail/dnsbl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"

static const char *const wrong_filter =
	"behind = an address such as 127.0.0.2 or 127.0.0.[2..11;20] is "
	"expected";

static void
add(uint64_t set[4], unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++)
		set[i / 64] |= (uint64_t)1 << (i % 64);
}

/* "2" or "2..11" */
static bool
parse_range(struct slice text, uint64_t set[4])
{
	uint64_t from, to;
	ptrdiff_t dot = slice_find(text, '.');
	struct slice first = text, last = text;

	if (dot >= 0) {
		first = slice_part(text, 0, (size_t)dot);
		last = slice_from(text, (size_t)dot);
		if (!slice_starts(last, SLICE("..")))
			return false;
		last = slice_from(last, 2);
	}
	if (!num_parse_u64(first, UINT8_MAX, &from) ||
		!num_parse_u64(last, UINT8_MAX, &to) || from > to)
		return false;
	add(set, (unsigned)from, (unsigned)to);
	return true;
}

/* Takes one number or one set in brackets off *rest. */
static bool
parse_number(struct slice *rest, uint64_t set[4])
{
	struct slice inner, part;
	ptrdiff_t end;

	if (!slice_starts(*rest, SLICE("["))) {
		end = slice_find(*rest, '.');
		part = slice_part(*rest, 0, end < 0 ? rest->len : (size_t)end);
		*rest = slice_from(*rest, part.len);
		return parse_range(part, set);
	}
	end = slice_find(*rest, ']');
	if (end < 0)
		return false;
	inner = slice_part(*rest, 1, (size_t)end);
	*rest = slice_from(*rest, (size_t)end + 1);
	while (slice_split(&inner, ';', &part))
		if (!parse_range(part, set))
			return false;
	return true;
}

static bool
parse_filter(struct slice text, struct dnsbl *out)
{
	out->has_filter = true;
	for (int i = 0; i < 4; i++) {
		if (i > 0) {
			if (!slice_starts(text, SLICE(".")))
				return false;
			text = slice_from(text, 1);
		}
		if (!parse_number(&text, out->filter[i]))
			return false;
	}
	return text.len == 0;
}

static bool
is_domain(struct slice text)
{
	struct dns_name name;

	if (text.len > DNSBL_DOMAIN_MAX || slice_find(text, '.') <= 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			    c == '.'))
			return false;
	}
	return dns_name_parse(text, &name);
}

/* Cuts text at the last such byte; the part behind it, or nothing. */
static bool
cut(struct slice *text, char byte, struct slice *behind)
{
	ptrdiff_t at = slice_find_last(*text, byte);

	if (at < 0)
		return false;
	*behind = slice_from(*text, (size_t)at + 1);
	*text = slice_part(*text, 0, (size_t)at);
	return true;
}

bool
dnsbl_parse(struct slice text, struct dnsbl *out, const char **err)
{
	struct slice weight_text, filter;
	int64_t weight = 1;

	memset(out, 0, sizeof(*out));
	if (cut(&text, '*', &weight_text) &&
		!num_parse_i64(weight_text, -DNSBL_WEIGHT_MAX, DNSBL_WEIGHT_MAX,
			&weight)) {
		*err = "behind * a weight from -10000 to 10000 is expected";
		return false;
	}
	if (cut(&text, '=', &filter) && !parse_filter(filter, out)) {
		*err = wrong_filter;
		return false;
	}
	if (!is_domain(text)) {
		*err = "the domain of a list is expected, such as "
		       "zen.spamhaus.org";
		return false;
	}
	out->domain = text;
	out->weight = (int)weight;
	return true;
}

bool
dnsbl_matches(const struct dnsbl *list, const struct ip *answer)
{
	if (answer->family != IP_V4 || answer->bytes[0] != 127)
		return false;
	for (int i = 0; i < 4 && list->has_filter; i++) {
		const unsigned byte = answer->bytes[i];

		if ((list->filter[i][byte / 64] >> (byte % 64) & 1) == 0)
			return false;
	}
	return true;
}

const char *
dnsbl_query_name(const struct dnsbl *list, const struct ip *client,
	char text[DNSBL_NAME_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *to = text;

	assert(client->family != IP_NONE);
	if (client->family == IP_V4)
		to += snprintf(to, DNSBL_CLIENT_MAX, "%u.%u.%u.%u.",
			client->bytes[3], client->bytes[2], client->bytes[1],
			client->bytes[0]);
	else
		for (int i = 15; i >= 0; i--) {
			*to++ = digits[client->bytes[i] & 0xf];
			*to++ = '.';
			*to++ = digits[client->bytes[i] >> 4];
			*to++ = '.';
		}
	memcpy(to, list->domain.ptr, list->domain.len);
	to[list->domain.len] = '\0';
	return text;
}
