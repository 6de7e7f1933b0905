#ifndef POLICYD_FACTS_ACCOUNTS_H
#define POLICYD_FACTS_ACCOUNTS_H

/*
 * What the account columns of stored policies mean, and which of them stand
 * for an address or a client. Rows were written by several programs over
 * many years: letters may be upper case, IPv6 addresses spelt in any way, and
 * networks may have bits behind their prefix.
 */

#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/config.h"
#include "policyd/facts/tables.h"

struct arena;

/* One account column, read. Everything points into the arena. */
struct stored_account {
	enum account_kind kind;
	struct slice text; /* as stored, in lower case */
	/* What to look it up by: of ACCOUNT_IP the one canonical spelling. */
	struct slice key;
	struct network network; /* of ACCOUNT_NETWORK; look it up by this */
};

/* False when the text is no account. */
bool stored_account_read(struct arena *arena, struct slice column,
	struct stored_account *out);
/* Whether it stands for addresses, rather than for clients. */
bool account_kind_is_address(enum account_kind kind);

/* An address under its own domain and under the one its domain is an alias
 * of, and user@*. */
#define ACCOUNT_FORMS_MAX (2 * ADDRESS_FORMS_MAX + 1)

struct account_forms {
	struct slice items[ACCOUNT_FORMS_MAX];
	size_t n;
};

/*
 * The forms that stand for an address, the most specific first: its own and,
 * if its domain is an alias domain, those of the same user there (behind its
 * own; a form that both have may come twice). Reads TABLE_DOMAIN and
 * TABLE_ALIAS_DOMAIN, which must be there.
 */
void account_forms_of_party(struct arena *arena, const struct tables *tables,
	const struct address *address, struct account_forms *out);
/* Adds user@*, when the address has a form of its own. */
void account_forms_add_any_domain(struct arena *arena,
	const struct address *address, struct account_forms *forms);

/* Kinds as bits: which of them a table has, and so what is worth a look. */
#define ACCOUNT_BIT(kind) (1u << (kind))

/* The address of a client and its wildcard forms. */
struct client_forms {
	char items[1 + IP_WILDCARDS_MAX][IP_TEXT_MAX];
	size_t n; /* 0 when the client is not known */
};

void client_forms_of(const struct ip *client, struct client_forms *out);
/* All fifteen, or two. */
void client_forms_add_wildcards(const struct ip *client, bool all,
	struct client_forms *forms);

#endif
