#ifndef COMMON_MAIL_DNS_ANSWER_H
#define COMMON_MAIL_DNS_ANSWER_H

/*
 * What became of a question to the DNS: common/io/dns.h fetches it, mail
 * knowledge such as SPF judges it without knowing where it comes from.
 */

#include "common/mail/dns_message.h"

enum dns_status {
	DNS_RECORDS,      /* at least one */
	DNS_NONE,         /* the name exists, without records of this type */
	DNS_NO_SUCH_NAME, /* also: text that cannot be a name in the DNS */
	DNS_FAILED,       /* nobody knows; another attempt may succeed */
	DNS_BOGUS,        /* signatures do not fit: taken for forged */
};

struct dns_answer {
	enum dns_status status;
	const struct dns_record *records; /* of the type asked for */
	size_t n_records;
	uint32_t ttl;            /* seconds; 0 when it failed */
	bool is_secure;          /* validated from a trust anchor */
	bool is_from_cache;      /* nobody had to be asked */
	struct slice final_name; /* what the name is an alias of, or itself */
	unsigned n_aliases;
	const char *reason; /* a sentence's end; "" unless it failed */
};

const char *dns_type_name(enum dns_type type); /* "AAAA" */
/* "no such name", for people */
const char *dns_status_text(enum dns_status status);

#endif
