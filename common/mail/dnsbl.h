#ifndef COMMON_MAIL_DNSBL_H
#define COMMON_MAIL_DNSBL_H

/*
 * Lists of clients in the DNS (RFC 5782), named as in Postfix'
 * postscreen_dnsbl_sites: domain[=filter][*weight]. The filter is an address
 * in which each number may be a set, such as 127.0.0.[2..11;20]; without one
 * every answer of the list counts. The weight is 1 unless given, and below
 * zero for a list of good clients.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dns_name.h"
#include "common/mail/ip.h"

#define DNSBL_WEIGHT_MAX 10000
/* 32 nibbles of an IPv6 address, each with its dot. */
#define DNSBL_CLIENT_MAX 64
#define DNSBL_DOMAIN_MAX (253 - DNSBL_CLIENT_MAX)
#define DNSBL_NAME_MAX   (DNSBL_CLIENT_MAX + DNSBL_DOMAIN_MAX + 1)

struct dnsbl {
	struct slice domain; /* part of the text it was read from */
	bool has_filter;
	uint64_t filter[4][256 / 64]; /* bit sets, one for each number */
	int weight;
};

/* False, and what was expected in *err. */
bool dnsbl_parse(struct slice text, struct dnsbl *out, const char **err);
/* Whether an answer of the list counts: in 127.0.0.0/8, and in the filter. */
bool dnsbl_matches(const struct dnsbl *list, const struct ip *answer);
/* The name to ask for: 2.0.0.127.list.example. Returns text. */
const char *dnsbl_query_name(const struct dnsbl *list, const struct ip *client,
	char text[DNSBL_NAME_MAX]);

#endif
