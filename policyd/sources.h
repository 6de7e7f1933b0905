#ifndef POLICYD_SOURCES_H
#define POLICYD_SOURCES_H

/*
 * Where facts come from: everything of one policy process that outlives a
 * request. Made by worker.c, used by the loaders in facts/, by the control
 * commands and by the journal.
 */

#include "policyd/config.h"

struct auto_whitelist;
struct cleanup;
struct control;
struct db;
struct directory;
struct dkim_checks;
struct dkim_keys;
struct dkim_maker;
struct dkim_watch;
struct dns;
struct dmarc_aggregate;
struct domain_servers;
struct engine;
struct gauges;
struct host_names;
struct instances;
struct journal;
struct loop;
struct notifier;
struct parallel;
struct reputations;
struct reservations;
struct schema;
struct spf_memory;
struct tables;
struct triplets;
struct worker;

struct sources {
	struct loop *loop;
	struct config *config; /* in force now; replaced by a reload */
	unsigned process;      /* 0 .. policy_processes-1 */
	char *node;            /* name of this node */
	int64_t started_at;
	struct db *db[CONFIG_DB_COUNT];          /* NULL: this site has none */
	struct tables *tables;                   /* facts/tables.h */
	struct directory *directory;             /* facts/directory.h */
	struct triplets *triplets;               /* facts/triplet.h */
	struct auto_whitelist *auto_white;       /* facts/auto_whitelist.h */
	struct dmarc_aggregate *dmarc_aggregate; /* facts/dmarc_aggregate.h */
	struct host_names *host_names;           /* facts/host.h */
	struct dns *dns;                         /* common/io/dns.h */
	struct reputations *reputations;         /* facts/reputation.h */
	struct spf_memory *spf_memory;           /* facts/spf.h */
	struct reservations *reservations;       /* facts/reservation.h */
	struct instances *instances;             /* instances.h */
	struct notifier *notifier;               /* notifier.h */
	struct journal *journal;                 /* journal.h */
	struct engine *engine;                   /* engine.h */
	struct parallel *parallel;               /* parallel.h */
	struct worker *worker;                   /* worker.h */
	struct schema *schema;                   /* schema.h */
	struct cleanup *cleanup;                 /* cleanup.h */
	struct domain_servers *domain_servers;   /* domain_servers.h */
	struct dkim_checks *dkim_checks;         /* dkim_check.h */
	struct dkim_keys *dkim_keys;             /* dkim_keys.h */
	struct dkim_maker *dkim_maker;           /* dkim_maker.h */
	struct dkim_watch *dkim_watch;           /* dkim_watch.h */
	struct gauges *gauges;                   /* gauges.h */
	struct control *control;                 /* control.h */
};

#endif
