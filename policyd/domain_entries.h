#ifndef POLICYD_DOMAIN_ENTRIES_H
#define POLICYD_DOMAIN_ENTRIES_H

/*
 * The white-list entries of one domain, made to be what its servers are: rows
 * of iredapd.greylisting_whitelist_domain_spf with the account "@." and the
 * comment "AUTO-UPDATE: DOMAIN", as iRedAPD's spf_to_greylist_whitelists
 * stores them. Only what differs is written. Rows with another comment are
 * nobody's business here: neither removed, nor made a second time.
 *
 * A network has one row, whoever else has it, too. One that its domain has
 * lost is handed over to another that still has it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/mail/ip.h"

struct domain_entries;
struct sources;

enum entry_change {
	ENTRY_ADD,
	ENTRY_HAND_OVER, /* to heir */
	ENTRY_REMOVE,
	/* From greylisting_whitelists, where iRedAPD once put them. */
	ENTRY_REMOVE_OLD,
	ENTRY_STAYS, /* it is there, and belongs to somebody else */
};

struct domain_entry {
	const char *text; /* as stored */
	struct network network;
	bool is_network; /* false: something that is no network */
	enum entry_change change;
	const char *heir; /* the domain; of ENTRY_HAND_OVER */
};

struct domain_entries_wish {
	const char *domain;
	/* By network_compare(), each once; SPF_NETWORKS_MAX at most. */
	const struct network *networks;
	size_t n_networks;
	bool keeps_old; /* these are not all of them: nothing goes */
	bool is_plan;   /* nothing is written */
};

/* Valid until it returns. */
struct domain_entries_result {
	const char *error; /* NULL, or why not everything was done */
	const struct domain_entry *entries;
	size_t n_entries;
};

struct domain_entries_ops {
	/*
	 * Of what the domain has lost (ENTRY_REMOVE): make those
	 * ENTRY_HAND_OVER that another domain has. Entries that are networks
	 * come first, by network_compare().
	 */
	void (*find_heirs)(void *arg, struct domain_entry *lost, size_t n);
	/* Once, from the loop. */
	void (*done)(void *arg, const struct domain_entries_result *result);
};

/* The wish is copied. */
struct domain_entries *domain_entries_start(struct sources *sources,
	const struct domain_entries_wish *wish,
	const struct domain_entries_ops *ops, void *arg);
/* done will not be called, and what is under way is the last. Accepts NULL. */
void domain_entries_cancel(struct domain_entries *entries);

#endif
