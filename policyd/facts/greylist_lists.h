#ifndef POLICYD_FACTS_GREYLIST_LISTS_H
#define POLICYD_FACTS_GREYLIST_LISTS_H

/*
 * The stored greylisting settings and white-lists, matched in memory: networks
 * by longest prefix, names by the forms of an address. Mended: IPv6 networks
 * match, any prefix length, host bits are ignored, wildcard addresses match.
 */

#include "policyd/facts.h"
#include "policyd/facts/tables.h"

/* A white-list entry that matches sender or client, for the recipient. */
struct list_match {
	bool is_found;
	struct slice account, sender, comment; /* the row */
	const char *table;
};

/* The row of iredapd.greylisting that decides. */
struct greylist_setting {
	bool is_found; /* no row: greylisting is off */
	bool is_active;
	struct slice account, sender; /* the row */
};

extern const struct fact_kind fact_kind_greylist_whitelist;
extern const struct fact_kind fact_kind_greylist_setting;
bool fact_greylist_whitelist(struct facts *facts,
	const struct list_match **out);
bool fact_greylist_setting(struct facts *facts,
	const struct greylist_setting **out);

extern const struct table_kind table_greylisting, table_greylist_whitelist,
	table_greylist_whitelist_spf;

#endif
