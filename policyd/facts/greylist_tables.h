#ifndef POLICYD_FACTS_GREYLIST_TABLES_H
#define POLICYD_FACTS_GREYLIST_TABLES_H

/*
 * The snapshots of iredapd.greylisting and of the two white-lists, which
 * have the same shape: for an account (recipients), rows for senders and
 * clients. What is asked of them is in greylist_lists.h.
 */

#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/facts/tables.h"

struct greylist_row {
	struct slice account, sender; /* as stored, in lower case */
	struct slice key;             /* what sender is looked up by */
	enum account_kind sender_kind;
	struct slice comment;          /* of a white-list */
	int priority, sender_priority; /* of a setting */
	bool is_active;                /* of a setting */
	struct greylist_row *next;
};

struct greylist_table;
struct greylist_account;

/* Which kinds of senders there are at all: ACCOUNT_BIT()s. */
unsigned greylist_table_sender_kinds(const struct greylist_table *table);
/* The rows of one account form, or NULL. */
const struct greylist_account *greylist_table_account(
	const struct greylist_table *table, struct slice form);
/* The row for a sender form or a client's address, or NULL. */
const struct greylist_row *greylist_account_sender(
	const struct greylist_account *account, struct slice form);
/*
 * Walks the rows for networks that contain the client, longest prefix first:
 * start with *at = 0; NULL at the end.
 */
const struct greylist_row *greylist_account_network(
	const struct greylist_account *account, const struct ip *client,
	size_t *at);

#endif
