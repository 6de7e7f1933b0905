#ifndef COMMON_MAIL_DNS_MESSAGE_H
#define COMMON_MAIL_DNS_MESSAGE_H

/*
 * The answer of a DNS server (RFC 1035, 4.1), taken apart. Nothing in it is
 * believed: every length is checked against what is there, names cannot run
 * in circles, and there are bounds for everything that takes time or room.
 * Only records that answer the question are given out.
 */

#include "common/mail/dns_name.h"
#include "common/mail/ip.h"

struct arena;

/* Of records; the alias and the SOA cannot be asked for. */
enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
};

enum dns_rcode {
	DNS_RCODE_NO_ERROR = 0,
	DNS_RCODE_FORMAT_ERROR = 1,
	DNS_RCODE_SERVER_FAILURE = 2,
	DNS_RCODE_NAME_ERROR = 3,
	DNS_RCODE_NOT_IMPLEMENTED = 4,
	DNS_RCODE_REFUSED = 5,
};

#define DNS_MESSAGE_MAX 65535
/* Records of an answer that are looked at; more is an error. */
#define DNS_RECORDS_MAX 256u
/* Aliases that are followed: RFC 1034 names no number, resolvers do. */
#define DNS_ALIASES_MAX 16u
/* Most memory that the records of one answer take in an arena. */
#define DNS_ANSWER_ARENA_MAX ((size_t)512 << 10)

struct dns_record {
	struct ip address; /* A, AAAA */
	struct slice
		name; /* MX, NS, PTR: lower case, without a dot at the end */
	struct slice text;   /* TXT: its strings joined (RFC 7208, 3.3) */
	unsigned preference; /* MX */
};

struct dns_message {
	enum dns_rcode rcode;
	const struct dns_record *records;
	size_t n_records;
	/* What the name is an alias of in the end; the name itself if none. */
	struct slice final_name;
	unsigned n_aliases;
	/*
	 * Seconds for which this may be kept; without records what the zone
	 * says of that (RFC 2308, 5), 0 if it says nothing.
	 */
	uint32_t ttl;
};

/*
 * The answer to a question for records of a type. What *out points to is in
 * the arena. 0, or -1 and what is wrong with the message in *err.
 */
int dns_message_parse(struct arena *arena, struct slice message,
	const struct dns_name *name, enum dns_type type,
	struct dns_message *out, const char **err);

#endif
