#include "common/mail/ip.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"

/* The first twelve bytes of ::ffff:0:0/96 (RFC 4291, 2.5.5.2). */
static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	0xff };
#define MAPPED_BITS 96

/* Like ip_parse(), but leaves a mapped address an IPv6 one. */
static bool
parse_literally(struct slice text, struct ip *out)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len == 0 || text.len >= sizeof(copy) ||
		slice_has_byte(text, '\0'))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, copy, out->bytes) == 1) {
		out->family = IP_V4;
		return true;
	}
	memset(out->bytes, 0, sizeof(out->bytes));
	if (inet_pton(AF_INET6, copy, out->bytes) != 1)
		return false;
	out->family = IP_V6;
	return true;
}

static bool
is_mapped(const struct ip *ip)
{
	return ip->family == IP_V6 &&
	       memcmp(ip->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static void
unmap(struct ip *ip)
{
	memcpy(ip->bytes, ip->bytes + sizeof(mapped_prefix), 4);
	memset(ip->bytes + 4, 0, sizeof(ip->bytes) - 4);
	ip->family = IP_V4;
}

bool
ip_parse(struct slice text, struct ip *out)
{
	struct ip ip;

	if (!parse_literally(text, &ip))
		return false;
	if (is_mapped(&ip))
		unmap(&ip);
	*out = ip;
	return true;
}

/* For every request: inet_ntop() formats by way of stdio. */
static const char *
format_v4(const uint8_t bytes[4], char *text)
{
	char *at = text;

	for (unsigned i = 0; i < 4; i++) {
		const unsigned byte = bytes[i];

		if (i > 0)
			*at++ = '.';
		if (byte >= 100)
			*at++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*at++ = (char)('0' + byte / 10 % 10);
		*at++ = (char)('0' + byte % 10);
	}
	*at = '\0';
	return text;
}

const char *
ip_format(const struct ip *ip, char text[IP_TEXT_MAX])
{
	assert(ip->family != IP_NONE);
	if (ip->family == IP_V4)
		return format_v4(ip->bytes, text);
	const char *done = inet_ntop(AF_INET6, ip->bytes, text, IP_TEXT_MAX);

	assert(done != NULL);
	return text;
}

bool
ip_eq(const struct ip *a, const struct ip *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, ip_bits(a) / 8) == 0;
}

bool
ip_is_loopback(const struct ip *ip)
{
	static const struct ip v4 = { IP_V4, { 127, 0, 0, 1 } };
	static const struct ip v6 = { IP_V6, { [15] = 1 } };

	return ip_eq(ip, &v4) || ip_eq(ip, &v6);
}

unsigned
ip_bits(const struct ip *ip)
{
	switch (ip->family) {
	case IP_NONE:
		return 0;
	case IP_V4:
		return 32;
	case IP_V6:
		return 128;
	}
	return 0;
}

struct network
network_of(const struct ip *ip, unsigned prefix_length)
{
	struct network network = { *ip, prefix_length };
	size_t whole = prefix_length / 8;

	assert(prefix_length <= ip_bits(ip));
	if (whole == sizeof(ip->bytes))
		return network;
	uint8_t mask = (uint8_t)(0xff00u >> (prefix_length % 8));
	network.address.bytes[whole] &= mask;
	memset(network.address.bytes + whole + 1, 0,
		sizeof(ip->bytes) - whole - 1);
	return network;
}

/*
 * A network inside ::ffff:0:0/96 is an IPv4 network. A shorter prefix of
 * that range would hold IPv4 addresses and others: nobody can mean that.
 */
static bool
unmap_network(struct ip *ip, unsigned *prefix_length)
{
	if (!is_mapped(ip))
		return true;
	if (*prefix_length < MAPPED_BITS)
		return false;
	unmap(ip);
	*prefix_length -= MAPPED_BITS;
	return true;
}

bool
network_parse(struct slice text, struct network *out, bool *had_host_bits)
{
	ptrdiff_t slash = slice_find(text, '/');
	struct ip ip;
	uint64_t length;

	if (slash < 0) {
		if (!parse_literally(text, &ip))
			return false;
		length = ip_bits(&ip);
	} else {
		struct slice digits = slice_from(text, (size_t)slash + 1);

		if (!parse_literally(slice_part(text, 0, (size_t)slash), &ip) ||
			!num_parse_u64(digits, ip_bits(&ip), &length))
			return false;
	}

	unsigned prefix_length = (unsigned)length;
	if (!unmap_network(&ip, &prefix_length))
		return false;
	*out = network_of(&ip, prefix_length);
	if (had_host_bits != NULL)
		*had_host_bits = !ip_eq(&out->address, &ip);
	return true;
}

bool
network_contains(const struct network *network, const struct ip *ip)
{
	if (network->address.family != ip->family || ip->family == IP_NONE)
		return false;
	struct network own = network_of(ip, network->prefix_length);

	return ip_eq(&own.address, &network->address);
}

bool
networks_contain(const struct network *networks, size_t n, const struct ip *ip)
{
	for (size_t i = 0; i < n; i++)
		if (network_contains(&networks[i], ip))
			return true;
	return false;
}

int
network_compare(const struct network *a, const struct network *b)
{
	int order;

	if (a->address.family != b->address.family)
		return a->address.family < b->address.family ? -1 : 1;
	order = memcmp(a->address.bytes, b->address.bytes,
		ip_bits(&a->address) / 8);
	if (order != 0)
		return order;
	return (int)a->prefix_length - (int)b->prefix_length;
}

const char *
network_format(const struct network *network, char text[NETWORK_TEXT_MAX])
{
	char address[IP_TEXT_MAX];
	const char *suffix = "";
	char length[8];

	if (network->prefix_length < ip_bits(&network->address)) {
		snprintf(length, sizeof(length), "/%u",
			network->prefix_length & 0xffu);
		suffix = length;
	}
	snprintf(text, NETWORK_TEXT_MAX, "%s%s",
		ip_format(&network->address, address), suffix);
	return text;
}

size_t
ip_wildcards(const struct ip *ip, bool all,
	char forms[IP_WILDCARDS_MAX][IP_TEXT_MAX])
{
	/*
	 * Bit 0 stands for the last field. Fewer stars first, and among those
	 * the later fields first.
	 */
	static const uint8_t stars[IP_WILDCARDS_MAX] = { 1, 2, 4, 8, 3, 5, 6, 9,
		10, 12, 7, 11, 13, 14, 15 };
	size_t n = all ? IP_WILDCARDS_MAX : 2;

	if (ip->family != IP_V4)
		return 0;
	for (size_t i = 0; i < n; i++) {
		char *end = forms[i];

		for (unsigned field = 0; field < 4; field++) {
			const char *dot = field == 0 ? "" : ".";
			size_t room = (size_t)(forms[i] + IP_TEXT_MAX - end);

			if (stars[i] & (8u >> field))
				end += snprintf(end, room, "%s*", dot);
			else
				end += snprintf(end, room, "%s%u", dot,
					ip->bytes[field]);
		}
	}
	return n;
}
