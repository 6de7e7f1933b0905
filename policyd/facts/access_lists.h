#ifndef POLICYD_FACTS_ACCESS_LISTS_H
#define POLICYD_FACTS_ACCESS_LISTS_H

/*
 * White- and blacklists of the amavisd database, matched in memory. Inbound,
 * an entry belongs to a recipient's account and is about senders and clients;
 * outbound, it belongs to the account of who sends and is about recipients.
 *
 * The order in which entries count is iRedAPD's: by the stored priority of
 * the account, then by that of the address, networks last. Where numbers tie
 * the more specific one comes first; of networks the longest prefix.
 *
 * Mended: IPv6 networks and those with host bits match; outbound, an entry
 * about a client's network no longer stands for the account that has the same
 * number by chance; the null sender has no name, but its client counts.
 */

#include "policyd/facts.h"
#include "policyd/facts/tables.h"

struct address;
struct arena;
struct ip;
struct sources;

enum access_direction { ACCESS_INBOUND, ACCESS_OUTBOUND, ACCESS_DIRECTIONS };

/* "inbound", "outbound" */
const char *access_direction_name(enum access_direction direction);

struct access_entry {
	struct slice account, address; /* as stored */
	int account_priority, address_priority;
	bool is_white;
	/* Of one that policyctl has made: */
	int64_t expires_at;          /* 0 for never */
	struct slice author, reason; /* or "" */
};

/* What a request, or a question of policyctl, is about. */
struct access_subject {
	const struct address
		*sender; /* who sends: the login, if there is one */
	const struct address *recipient;
	const struct ip *client;
	bool is_authenticated;
	bool all_wildcard_ips;
};

/* The tables that access_walk() reads, which must be there. */
#define ACCESS_TABLES                                                        \
	(TABLE_BIT(TABLE_DOMAIN) | TABLE_BIT(TABLE_ALIAS_DOMAIN) |           \
		TABLE_BIT(TABLE_WBLIST) | TABLE_BIT(TABLE_OUTBOUND_WBLIST) | \
		TABLE_BIT(TABLE_ACCESS))

/*
 * Calls visit for the entries that match, in the order in which they count,
 * until it returns false. The entry points into the snapshots.
 */
void access_walk(struct arena *arena, const struct tables *tables,
	const struct access_subject *subject, enum access_direction direction,
	bool (*visit)(void *arg, const struct access_entry *entry), void *arg);
/* An expired one no longer counts, though it is still in the table. */
bool access_entry_is_expired(const struct access_entry *entry, int64_t now);

/* The entries that count for a request. */
struct access {
	const struct access_entry *first[ACCESS_DIRECTIONS]; /* or NULL */
	size_t n_rows[ACCESS_DIRECTIONS];                    /* of the tables */
	bool has_database; /* false: this site has no amavisd */
};

extern const struct fact_kind fact_kind_access;
bool fact_access(struct facts *facts, const struct access **out);

extern const struct table_kind table_wblist, table_outbound_wblist,
	table_access;

#endif
