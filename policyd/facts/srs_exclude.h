#ifndef POLICYD_FACTS_SRS_EXCLUDE_H
#define POLICYD_FACTS_SRS_EXCLUDE_H

/*
 * Senders' domains that are not rewritten: iredapd.srs_exclude_domains. A
 * row "example.org" is that domain, ".example.org" every name below it.
 */

#include "policyd/facts/tables.h"

/* False when not read yet. domain: in lower case. */
bool srs_exclude_look_up(const struct tables *tables, struct slice domain,
	bool *is_excluded);

extern const struct table_kind table_srs_exclude;

#endif
