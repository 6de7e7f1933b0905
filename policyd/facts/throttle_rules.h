#ifndef POLICYD_FACTS_THROTTLE_RULES_H
#define POLICYD_FACTS_THROTTLE_RULES_H

/*
 * The snapshot of iredapd.throttle, asked by kind and account. Which rules
 * apply to a message is in limits.c.
 */

#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/facts/limits.h"

#define THROTTLE_KINDS (THROTTLE_EXTERNAL + 1)

struct stored_rule {
	struct throttle_rule rule; /* account: as stored, in lower case */
	enum account_kind account_kind;
};

struct throttle_table;

/* Which kinds of accounts have rules of a kind: ACCOUNT_BIT()s. */
unsigned throttle_table_account_kinds(const struct throttle_table *table,
	enum throttle_kind kind);
/* The rule for an account form or a client's address, or NULL. */
const struct stored_rule *throttle_table_account(
	const struct throttle_table *table, enum throttle_kind kind,
	struct slice form);
/*
 * Walks the rules for networks that contain the client, longest prefix
 * first: start with *at = 0; NULL at the end.
 */
const struct stored_rule *throttle_table_network(
	const struct throttle_table *table, enum throttle_kind kind,
	const struct ip *client, size_t *at);

#endif
