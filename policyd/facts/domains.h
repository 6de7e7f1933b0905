#ifndef POLICYD_FACTS_DOMAINS_H
#define POLICYD_FACTS_DOMAINS_H

/*
 * What vmail says about the domains of a request:
 * domain(domain, active, backupmx), alias_domain(alias_domain,
 * target_domain). Names are compared in lower case.
 */

#include "policyd/facts.h"
#include "policyd/facts/tables.h"

struct domain_state {
	bool is_local;             /* active here, or an alias of one that is */
	bool is_backup_mx;         /* or an alias of one that is */
	struct slice alias_target; /* lower case, or "" */
};

/* From far to near. An alias domain is the domain it stands for. */
enum domain_relation {
	DOMAIN_OTHER,
	DOMAIN_BELOW, /* a.example.com below example.com */
	DOMAIN_SAME,
};

struct domains {
	struct domain_state sender, recipient, login;
	/* What the sender's domain is to these. */
	enum domain_relation sender_to_recipient, sender_to_login;
	/* One for each of req->recipients, in the same order. */
	const struct domain_state *recipients;
	/* What the domain of each of req->authors is to the login's. */
	const enum domain_relation *authors_to_login;
};

extern const struct fact_kind fact_kind_domains;
bool fact_domains(struct facts *facts, const struct domains **out);

/* The same for one name, from the snapshots; false when not read yet. */
bool domain_look_up(const struct tables *tables, struct slice domain,
	struct domain_state *out);
/* The domain that an alias domain stands for, else the name itself. */
struct slice domain_real(const struct tables *tables, struct slice domain);

extern const struct table_kind table_domain, table_alias_domain;

#endif
