#ifndef POLICYD_FACTS_TABLES_H
#define POLICYD_FACTS_TABLES_H

/*
 * Small tables that every request reads, held in memory as a whole: mail
 * domains, greylisting settings and white-lists, throttle rules, settings.
 * Each is an immutable snapshot, read in chunks so that the loop is never
 * held up, and replaced when a fingerprint, asked for every table_ttl, has
 * changed. While the database is away the last snapshot stays in force. Of a
 * database that the site does not have every table is empty.
 *
 * Each table is described by a struct table_kind in its own file of facts/.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/str.h"
#include "common/io/db.h"
#include "policyd/config.h"

struct fact;
struct sources;
struct tables;

enum table_id {
	TABLE_DOMAIN,                 /* vmail.domain */
	TABLE_ALIAS_DOMAIN,           /* vmail.alias_domain */
	TABLE_GREYLISTING,            /* iredapd.greylisting */
	TABLE_GREYLIST_WHITELIST,     /* iredapd.greylisting_whitelists */
	TABLE_GREYLIST_WHITELIST_SPF, /* ..._whitelist_domain_spf */
	TABLE_WHITELIST_DOMAINS,      /* ..._whitelist_domains */
	TABLE_THROTTLE,               /* iredapd.throttle */
	TABLE_RDNS,                   /* iredapd.wblist_rdns */
	TABLE_EXEMPT_CLIENTS,         /* iredapd.senderscore_cache */
	TABLE_SETTING,                /* policyd.setting */
	TABLE_SRS_EXCLUDE,            /* iredapd.srs_exclude_domains */
	TABLE_WBLIST,                 /* amavisd.wblist */
	TABLE_OUTBOUND_WBLIST,        /* amavisd.outbound_wblist */
	TABLE_ACCESS,                 /* policyd.access */
	TABLE_COUNT
};

struct table_kind {
	enum table_id id;
	const char *name; /* "iredapd.throttle" */
	enum config_db_id db;
	/* No parameters; two 'u' columns: count and checksum. */
	const struct db_statement *fingerprint;
	/*
	 * The next TABLE_CHUNK rows in key order, behind the key of the last
	 * row of the chunk before. That is every parameter ('u': begins with
	 * 0, 's': with ""), and its column is key_column.
	 */
	const struct db_statement *chunk;
	size_t key_column;
	/* The snapshot under construction. */
	void *(*make)(const struct config *config);
	/*
	 * Takes one row. Returns NULL, or what is wrong with it (static
	 * text): the row is left out, logged once and listed by
	 * "policyctl policy check".
	 */
	const char *(
		*add)(void *snapshot, const struct db_rows *rows, size_t row);
	/* All rows were added. May be NULL. */
	void (*finish)(void *snapshot);
	void (*free)(void *snapshot);
};

#define TABLE_CHUNK 1000

/* Starts to read all tables from sources->db. */
struct tables *tables_new(struct sources *sources);
/* Statements may still be under way; their answers are dropped. */
void tables_free(struct tables *tables);

/* The snapshot in force, or NULL while it was never read. */
const void *tables_get(const struct tables *tables, enum table_id id);
/*
 * For loaders: whether all tables of the set are there. If not, the fact is
 * loaded again (kind->load) once they have arrived, or is answered
 * unavailable when they cannot be read: at once, if that is already known.
 * The loader only returns then. tables_forget() takes the wait back; it
 * accepts a fact that does not wait.
 */
#define TABLE_BIT(id) (1u << (id))
bool tables_require(struct tables *tables, unsigned set, struct fact *fact);
void tables_forget(struct tables *tables, struct fact *fact);

/*
 * Reads the fingerprints now and what has changed; done (may be NULL) is
 * called when that is in force, with false if the database did not answer;
 * never before this returns, and not any more after tables_free(). For
 * changes made through policyctl.
 */
void tables_refresh(struct tables *tables,
	void (*done)(void *arg, bool is_fresh), void *arg);

/* One row that makes no sense. */
struct table_problem {
	TAILQ_ENTRY(table_problem) entry;
	const char *table;
	uint64_t id; /* of the row, 0 where rows have no number */
	char *key;   /* which row: what its columns say */
	const char *text;
};
#define TABLE_PROBLEMS_MAX 1000 /* listed for each table */

/*
 * Walks the problems of all tables, those of one by rising id: start with
 * NULL; NULL at the end.
 */
const struct table_problem *tables_problem_next(const struct tables *tables,
	const struct table_problem *problem);
struct table_state {
	const char *name;
	size_t n_rows; /* in force */
	size_t n_problems;
	bool is_absent;     /* this site has not its database: no rows */
	int64_t loaded_at;  /* wall clock; 0 for never */
	int64_t checked_at; /* last fingerprint that was answered */
	const char *error;  /* of the last attempt, or "" */
};
void tables_state(const struct tables *tables, enum table_id id,
	struct table_state *out);

#endif
