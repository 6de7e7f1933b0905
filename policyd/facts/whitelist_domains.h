#ifndef POLICYD_FACTS_WHITELIST_DOMAINS_H
#define POLICYD_FACTS_WHITELIST_DOMAINS_H

/*
 * Domains whose mail servers are not greylisted:
 * iredapd.greylisting_whitelist_domains. No rule asks for it: which servers
 * these are is looked up by domain_servers.h, which reads the list here.
 */

#include "policyd/facts/tables.h"

/* What is said of their entries in the comment, before the domain. */
#define WHITELIST_DOMAIN_COMMENT "AUTO-UPDATE: "
/* VARCHAR(255) of that comment. */
#define WHITELIST_DOMAIN_MAX (255 - (sizeof(WHITELIST_DOMAIN_COMMENT) - 1))

struct whitelist_domains {
	char **names; /* lower case, in no order, each once */
	size_t n;
	uint64_t sum; /* of hashes: the same names have the same */
};

/* NULL when not read yet; valid until the loop runs on. */
const struct whitelist_domains *whitelist_domains_get(
	const struct tables *tables);

extern const struct table_kind table_whitelist_domains;

#endif
