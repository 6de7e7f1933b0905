#ifndef POLICYD_FACTS_ACCESS_TABLES_H
#define POLICYD_FACTS_ACCESS_TABLES_H

/*
 * The snapshots of amavisd.wblist and amavisd.outbound_wblist, joined with
 * the accounts and addresses that they are about, and of policyd.access,
 * which knows more about those entries that policyctl has made. What is asked
 * of them is in access_lists.h.
 *
 * Amavisd reads wblist, too: what is neither W nor B is a score of its own
 * and left alone.
 */

#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/tables.h"

struct netmap;

/* A row: of an account, about an address or a client. */
struct access_row {
	struct slice address; /* as stored, in lower case */
	enum account_kind kind;
	int priority; /* of the address */
	bool is_white;
};

struct access_account {
	struct slice account; /* as stored, in lower case */
	struct slice key;     /* what it is looked up by */
	enum account_kind kind;
	int priority;
	struct netmap *networks; /* rows about networks; NULL for none */
};

/* What policyctl noted when it made a row. */
struct access_note {
	bool is_white;
	int64_t expires_at; /* 0 for never */
	struct slice author, reason;
};

struct access_table;

size_t access_table_n_rows(const struct access_table *table);
/* Which kinds of accounts and addresses there are at all: ACCOUNT_BIT()s. */
unsigned access_table_account_kinds(const struct access_table *table);
unsigned access_table_address_kinds(const struct access_table *table);
/* The account that is stored under a form, or NULL. */
const struct access_account *access_table_account(
	const struct access_table *table, struct slice form);
/* The row of an account about an address form or a client, or NULL. */
const struct access_row *access_table_row(const struct access_table *table,
	const struct access_account *account, struct slice form);
/*
 * Walks the rows of an account about networks that contain the client,
 * longest prefix first: start with *at = 0; NULL at the end.
 */
const struct access_row *access_account_network(
	const struct access_account *account, const struct ip *client,
	size_t *at);

struct access_notes;

/* What is known about a row, or NULL. */
const struct access_note *access_notes_find(const struct access_notes *notes,
	enum access_direction direction, struct slice account,
	struct slice address);

#endif
