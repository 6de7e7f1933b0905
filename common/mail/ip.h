#ifndef COMMON_MAIL_IP_H
#define COMMON_MAIL_IP_H

/*
 * IP addresses and networks as values. An IPv4-mapped IPv6 address
 * (::ffff:192.0.2.1, RFC 4291, 2.5.5.2) is the IPv4 address.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum ip_family { IP_NONE, IP_V4, IP_V6 };

struct ip {
	enum ip_family family;
	uint8_t bytes[16]; /* network order; IPv4 uses the first four */
};

struct network {
	struct ip address; /* host bits are zero */
	unsigned prefix_length;
};

#define IP_TEXT_MAX      40 /* INET6_ADDRSTRLEN without a mapped IPv4 */
#define NETWORK_TEXT_MAX 44

bool ip_parse(struct slice text, struct ip *out);
/* Lower case, RFC 5952. Returns text. */
const char *ip_format(const struct ip *ip, char text[IP_TEXT_MAX]);
bool ip_eq(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip); /* 127.0.0.1 or ::1 exactly */
unsigned ip_bits(const struct ip *ip);    /* 32 or 128 */

/*
 * 192.0.2.0/24, 2001:db8::/32, or a bare address (its /32 or /128). Host bits
 * that are set are cleared, and *had_host_bits (may be NULL) tells.
 */
bool network_parse(struct slice text, struct network *out, bool *had_host_bits);
struct network network_of(const struct ip *ip, unsigned prefix_length);
bool network_contains(const struct network *network, const struct ip *ip);
/* Whether one of n networks does. */
bool networks_contain(const struct network *networks, size_t n,
	const struct ip *ip);
/* <0, 0, >0: IPv4 first, then by address, a wider network first. */
int network_compare(const struct network *a, const struct network *b);
/* With /length, except when it is a single address. Returns text. */
const char *network_format(const struct network *network,
	char text[NETWORK_TEXT_MAX]);

/*
 * iRedAPD's wildcard forms of an IPv4 address: a.b.c.* and a.b.*.d, or all
 * sixteen combinations but the address itself (15) when all is set. Returns
 * how many were written.
 */
#define IP_WILDCARDS_MAX 15
size_t ip_wildcards(const struct ip *ip, bool all,
	char forms[IP_WILDCARDS_MAX][IP_TEXT_MAX]);

#endif
