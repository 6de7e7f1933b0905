#ifndef POLICYD_DOMAIN_SERVERS_PRIVATE_H
#define POLICYD_DOMAIN_SERVERS_PRIVATE_H

/*
 * Of domain_servers.c, which knows the list, whose turn it is and who asked,
 * and domain_servers_job.c, which brings one domain up to date.
 */

#include <stddef.h>
#include <sys/queue.h>

#include "common/mail/ip.h"
#include "policyd/domain_entries.h"
#include "policyd/domain_servers.h"

struct lease;
struct loop_timer;
struct map;
struct sweep;

/* Domains that are looked up at once. */
#define DOMAIN_LOOK_UPS_MAX 4u
/* Of all domains, held in memory: 12 MB. */
#define DOMAIN_NETWORKS_MAX ((size_t)500000)

enum domain_stage {
	STAGE_RESTING,    /* for its time */
	STAGE_LOOKING_UP, /* for the DNS */
	STAGE_LOOKED_UP,  /* for its turn to change its entries */
	STAGE_CHANGING,   /* for the database */
};

struct finding {
	struct network *networks; /* NULL: nothing is known */
	size_t n;
	bool is_all; /* false: the domain may have more */
};

/* One look-up, and what comes of it. */
struct job {
	bool is_plan;
	bool is_farewell; /* the domain is on no list: all its entries go */
	struct spf_networks_check *check; /* STAGE_LOOKING_UP */
	struct domain_entries *change;    /* STAGE_CHANGING */
	struct finding found;
	enum domain_health health;
	char *problem;
	uint32_t ttl;
	bool is_to_be_retried;
};

struct domain {
	TAILQ_ENTRY(domain) entry;
	struct domain_servers *servers;
	char *name;
	bool is_listed;
	bool is_seen;      /* while the list is compared */
	bool is_asked_for; /* by the run, which waits for it */
	enum domain_stage stage;
	struct job job;       /* unless STAGE_RESTING */
	struct finding known; /* what its entries were made to be */
	unsigned n_failures;  /* in a row */
	int64_t due_us;
	struct domain_state state;
	char *problem; /* what state points to */
};

TAILQ_HEAD(domain_queue, domain);

/* A run that somebody asked for. */
struct domain_run {
	bool is_under_way, is_plan;
	size_t n_left; /* domains that are asked for */
	struct domain_servers_report report;
};

struct domain_servers {
	struct sources *sources;
	struct loop_timer *timer; /* NULL in other processes than the first */
	struct lease *lease;
	bool is_lease_asked; /* a call of it is under way */
	bool is_leading;
	bool is_taken;  /* by another node, when it was last asked for */
	int64_t try_us; /* when that was; 0 for never */

	struct domain_queue domains; /* the next to be looked up first */
	struct map *by_name;
	uint64_t list_sum;
	bool has_list;
	size_t n_networks; /* of all findings */
	unsigned n_looking_up;
	struct domain *changing; /* one at a time */
	bool has_changed;        /* entries, and nobody was told */

	struct sweep *sweep; /* under way, or NULL */
	int64_t sweep_due_us;

	struct domain_run run;
	bool is_stopping;
};

/* --- domain_servers_job.c ----------------------------------------------- */

struct domain *domain_add(struct domain_servers *servers, struct slice name);
void domain_drop(struct domain *domain);
void domain_forget(struct domain *domain); /* what its entries are */
/* Whether a network of one is one of the other, too. */
bool domain_shares(const struct domain *a, const struct domain *b);
/* Ends its job, with no more than the statement under way. */
void domain_rest(struct domain *domain);
/* From STAGE_RESTING. */
void domain_start_job(struct domain *domain, bool is_plan);
/* From STAGE_LOOKED_UP; the domain may be gone then. */
void domain_start_change(struct domain *domain);

/* --- domain_servers.c --------------------------------------------------- */

/* A look-up, or a change, has come to its end: what next? */
void domain_servers_go_on(struct domain_servers *servers);
/* Tells the run, if it waits for this. */
void domain_servers_tell_run(struct domain *domain,
	const struct domain_state *state,
	const struct domain_entries_result *result);

#endif
