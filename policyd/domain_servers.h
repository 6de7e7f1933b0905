#ifndef POLICYD_DOMAIN_SERVERS_H
#define POLICYD_DOMAIN_SERVERS_H

/*
 * The mail servers of white-listed domains, kept up to date. Process 0 of one
 * node at a time (lease.h) looks each domain on the list
 * (facts/whitelist_domains.h) up in the DNS (spf_networks_check.h) when its
 * answers have aged, and makes its entries what they say (domain_entries.h).
 * A domain that has left the list loses its entries. While the DNS or the
 * database fails, the entries stay as they are.
 *
 * The other nodes stand by, and know the list. In parallel to another daemon
 * it does nothing by itself: that one's tools are still at work.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct domain_entries_result;
struct domain_servers;
struct sources;

/* Starts by itself, in process 0 only. */
struct domain_servers *domain_servers_new(struct sources *sources);
void domain_servers_free(struct domain_servers *servers);
/* Now rather than within a second: the list or the configuration changed. */
void domain_servers_look(struct domain_servers *servers);
/* The program is about to end: no more than the statement under way. */
void domain_servers_stop(struct domain_servers *servers);
bool domain_servers_is_busy(const struct domain_servers *servers);

/* --- how it is ---------------------------------------------------------- */

enum domain_servers_role {
	DOMAIN_SERVERS_WORKS,
	DOMAIN_SERVERS_STANDS_BY, /* domain_servers_node() works */
	DOMAIN_SERVERS_OFF,       /* by the configuration */
	DOMAIN_SERVERS_REHEARSES, /* another daemon answers (parallel.h) */
	DOMAIN_SERVERS_WAITS,     /* it is not known yet who works */
	DOMAIN_SERVERS_ELSEWHERE, /* in another process than this */
};
enum domain_servers_role domain_servers_role(
	const struct domain_servers *servers);
const char *domain_servers_node(const struct domain_servers *servers);

enum domain_health {
	DOMAIN_UNKNOWN, /* not looked up yet */
	DOMAIN_OK,
	DOMAIN_INCOMPLETE, /* it names servers that cannot be listed */
	DOMAIN_FAILED,     /* the DNS, the database, or its SPF record */
};

struct domain_state {
	enum domain_health health;
	const char *problem;  /* of the last two, else "" */
	int64_t looked_up_at; /* wall clock; 0 for never */
	int64_t next_at;      /* 0 for at once, or not here */
};
/* All zero for a domain that is not known. */
void domain_servers_state(const struct domain_servers *servers,
	struct slice domain, struct domain_state *out);

/* --- on request --------------------------------------------------------- */

/* For whom a run reports what it does. */
struct domain_servers_report {
	/* A domain was looked up; what became of its entries, if it came so
	 * far. */
	void (*domain)(void *arg, const char *domain,
		const struct domain_state *state,
		const struct domain_entries_result *entries);
	/* Once, at the end; error is NULL or why not all was done. */
	void (*done)(void *arg, const char *error);
	void *arg;
};

enum domain_servers_refusal {
	DOMAIN_SERVERS_STARTED, /* no refusal */
	DOMAIN_SERVERS_BUSY,    /* with another run */
	DOMAIN_SERVERS_UNREAD,  /* the list was not read yet */
	DOMAIN_SERVERS_UNLISTED,
};

/*
 * Looks up one domain, or all if it is "", now. A plan changes nothing, and
 * any node can make it. The report is copied.
 */
enum domain_servers_refusal domain_servers_run(struct domain_servers *servers,
	struct slice domain, bool is_plan,
	const struct domain_servers_report *report);
/* Nobody hears the report any more; the run goes on. */
void domain_servers_mute(struct domain_servers *servers);

#endif
