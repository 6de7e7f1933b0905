#ifndef POLICYD_FACTS_TABLE_H
#define POLICYD_FACTS_TABLE_H

/*
 * One table that is held as a whole: asking for its fingerprint, reading it
 * anew in chunks, putting that in force. When it does so and who waits for it
 * is in tables.c, and nobody else includes this.
 */

#include "policyd/facts/table_problems.h"
#include "policyd/facts/tables.h"

#define TABLE_ERROR_MAX 300

enum table_step {
	TABLE_STEP_IDLE,        /* until it is due */
	TABLE_STEP_FINGERPRINT, /* the answer to kind->fingerprint */
	TABLE_STEP_CHUNK,       /* the answer to kind->chunk */
};

/* How an attempt to bring a table up to date ended. */
enum table_outcome {
	TABLE_FRESH,
	TABLE_REFUSED, /* the server answered, but not with rows */
	TABLE_TOO_LARGE,
	TABLE_UNREACHABLE,
};

struct table_fingerprint {
	uint64_t count, sum;
};

/* A snapshot that is being read. */
struct table_reading {
	void *snapshot;
	size_t n_rows;
	struct table_fingerprint fingerprint; /* from before the first chunk */
	struct table_problems problems;
	uint64_t key_number;
	char *key_text;
};

struct table {
	struct tables *tables;
	const struct table_kind *kind;
	enum table_step step;
	bool is_absent;       /* no such database: empty for good */
	bool is_wanted_again; /* asked for while it was being read */
	int64_t due_us;       /* of TABLE_STEP_IDLE */
	struct table_question *question;
	struct table_reading reading;
	/* In force: */
	void *snapshot; /* NULL while it was never read */
	size_t n_rows;
	struct table_fingerprint fingerprint;
	struct table_problems problems;
	int64_t loaded_at, checked_at;
	enum table_outcome outcome;          /* of the last attempt */
	char error[TABLE_ERROR_MAX];         /* of the last attempt, or "" */
	TAILQ_HEAD(, table_waiting) waiting; /* facts; see tables.c */
};

void table_init(struct table *table, struct tables *tables,
	const struct table_kind *kind);
/* Statements may still be under way; their answers are dropped. */
void table_clear(struct table *table);
/* From TABLE_STEP_IDLE: begins an attempt to bring it up to date. */
void table_start(struct table *table);

/* What tables.c does of it: */

/* The attempt ended, as table->outcome tells; step is TABLE_STEP_IDLE. */
void tables_attempt_ended(struct table *table);
/* The database answered or did not: logged once, not for each table. */
void tables_note_database(struct tables *tables, enum config_db_id id,
	bool is_away, const char *error);
struct sources *tables_sources(const struct tables *tables);

#endif
