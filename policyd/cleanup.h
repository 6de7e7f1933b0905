#ifndef POLICYD_CLEANUP_H
#define POLICYD_CLEANUP_H

/*
 * Removing rows that have expired, as iRedAPD's cleanup_db does. Process 0 of
 * each node tries every cleanup.interval; a lease in the database (lease.h)
 * lets one node at a time work, and runs out when that node dies. Rows go in
 * batches of cleanup.batch, with a pause between two, so that nobody's mail
 * waits for them: keys are read first, then deleted by key if they are still
 * expired. What a batch holds is all the memory it takes.
 *
 * What is removed from where are the rows of a table in cleanup_jobs.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policyd/config.h"

struct cleanup;
struct db_statement;
struct sources;

/* One table and what of it has expired. */
struct cleanup_job {
	const char *table; /* "iredapd.senderscore_cache" */
	enum config_db_id db;
	/* Rows of a time before this have expired; 0 for none. */
	int64_t (*cutoff)(const struct config *config, int64_t now);
	/* How many: of the cutoff. */
	const struct db_statement *count;
	/*
	 * The next rows in the order of a position: of the cutoff, from that
	 * position, at most so many. Columns: position, whether it has
	 * expired, key.
	 */
	const struct db_statement *find;
	/* Of keys, a JSON array of texts, and the cutoff. */
	const struct db_statement *remove;
	/*
	 * What has to go before, from another database: of keys. NULL for
	 * nothing; where the site has no such database, all of it stays.
	 */
	const struct db_statement *first;
	enum config_db_id first_db;
};

extern const struct cleanup_job cleanup_jobs[];
extern const size_t n_cleanup_jobs;

/* Starts by itself; in processes other than 0 only when it is told to. */
struct cleanup *cleanup_new(struct sources *sources);
void cleanup_free(struct cleanup *cleanup);
/* A reload changed the configuration: an interval may be shorter. */
void cleanup_configure(struct cleanup *cleanup);
/* The program is about to end: no more than the statement under way. */
void cleanup_stop(struct cleanup *cleanup);
bool cleanup_is_busy(const struct cleanup *cleanup);

/* For whom a run reports what it does. */
struct cleanup_report {
	void (*job)(void *arg, const struct cleanup_job *job, uint64_t n_rows,
		int64_t took_us, const char *error);
	/* Once, at the end; error is NULL or why there was no (whole) run. */
	void (*done)(void *arg, const char *error);
	void *arg;
};

/*
 * Runs now; a dry run only counts. False when a run is under way already:
 * nothing is reported then. The report is copied.
 */
bool cleanup_run(struct cleanup *cleanup, bool is_dry_run,
	const struct cleanup_report *report);
/* Nobody hears the report any more; the run goes on. */
void cleanup_mute(struct cleanup *cleanup);

struct cleanup_state {
	bool is_running;
	int64_t finished_at; /* by any node; wall clock, 0 for not known */
	const char *node;    /* which; "" for not known */
	uint64_t n_rows;     /* that were removed then */
	const char *error;   /* of the last attempt of this node, or "" */
};
void cleanup_state(const struct cleanup *cleanup, struct cleanup_state *out);

#endif
