#ifndef COMMON_MAIL_DNS_NAME_H
#define COMMON_MAIL_DNS_NAME_H

/*
 * A domain name as the DNS has it (RFC 1035, 2.3.4 and 3.1): labels of at
 * most 63 bytes, 255 bytes in all. A label may hold any byte; in text a dot
 * or a backslash within it has a backslash before it, and what is no visible
 * ASCII is written \DDD (RFC 1035, 5.1).
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

#define DNS_NAME_MAX      255
#define DNS_LABEL_MAX     63
#define DNS_NAME_TEXT_MAX (4 * DNS_NAME_MAX + 1)

struct dns_name {
	/* Length bytes and labels in lower case, with the empty one. */
	uint8_t wire[DNS_NAME_MAX];
	uint8_t len;
};

/*
 * A dot at the end may be there or not; "." is the root. False when no name
 * in the DNS can be so: an empty label, one too long, half an escape.
 */
bool dns_name_parse(struct slice text, struct dns_name *out);
/* Without a dot at the end; the root is ".". Returns text. */
const char *dns_name_format(const struct dns_name *name,
	char text[DNS_NAME_TEXT_MAX]);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);
/* Whether it is below the domain, by labels and not by text. */
bool dns_name_is_within(const struct dns_name *name,
	const struct dns_name *domain);

#endif
