#ifndef POLICYD_FACTS_EXEMPT_CLIENTS_H
#define POLICYD_FACTS_EXEMPT_CLIENTS_H

/*
 * Clients whose reputation is not looked up: the rows of
 * iredapd.senderscore_cache that iRedAPD's senderscore_admin wrote, with the
 * score 100 and a time in 2099. What iRedAPD cached there itself has a time
 * in the past and is not read.
 */

#include "policyd/facts/tables.h"

/* What makes a row an exemption; the same for "policyctl reputation". */
#define EXEMPT_CLIENTS_WHERE \
	"time > UNIX_TIMESTAMP() + 365 * 86400 AND score = 100"

struct exempt_clients;
struct ip;

extern const struct table_kind table_exempt_clients;

bool exempt_clients_has(const struct exempt_clients *table,
	const struct ip *client);

#endif
