#ifndef POLICYD_CTL_IMPORT_H
#define POLICYD_CTL_IMPORT_H

/*
 * Bringing what other programs remember into the database iredapd: rows are
 * offered one by one, go there in batches, and never replace one that is
 * there. So a second run adds nothing, and what the administrator has set
 * stays. With --plan they are only counted. What cannot be brought along is
 * counted with a reason and an example.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/io/db.h"

struct command;
struct config;
struct loop;

/* Tables of iredapd. */
enum import_table {
	IMPORT_TRACKING,   /* greylisting_tracking */
	IMPORT_WHITELISTS, /* greylisting_whitelists */
	IMPORT_SETTINGS,   /* greylisting */
	IMPORT_THROTTLE,   /* throttle */
	IMPORT_TABLE_COUNT
};

#define IMPORT_PARTS_MAX   8
#define IMPORT_REASONS_MAX 16

/* Rows of one origin for one table. */
struct import_part {
	const char *from;
	enum import_table table;
	uint64_t n_offered, n_added;
	size_t n_waiting; /* in json */
	struct str json;
};

/* Rows of a part that are to be written. */
struct import_batch {
	struct import_part *part;
	struct str json;
};

struct import_reason {
	const char *what, *why;
	uint64_t n;
	char example[80];
};

struct import {
	struct command *command;
	struct loop *loop;
	struct config *config;
	struct db *target, *source; /* NULL with --plan; NULL without SQL */
	char *password;             /* of the source */
	struct arena *arena;        /* for one row; reset by import_row() */
	int64_t now;
	bool is_plan, is_ended; /* is_ended: the command was */
	struct import_part parts[IMPORT_PARTS_MAX];
	size_t n_parts;
	/* Full ones wait while a result is being read. */
	struct import_batch *batches;
	size_t n_batches;
	bool is_reading;
	struct import_reason reasons[IMPORT_REASONS_MAX];
	size_t n_reasons;
	/* Of the statement that ran last. */
	enum db_status status;
	uint64_t affected;
	char error[512];
};

/* False: the command was ended; import_close() is called either way. */
bool import_open(struct import *import, struct command *command);
/* --host, --socket, --user, --name and --password-file: where to read. */
bool import_open_source(struct import *import, const char *user,
	const char *name);
/* Writes what waits, shows what was done, ends the command. */
void import_end(struct import *import);
void import_close(struct import *import);

/*
 * Runs a statement of the source; rows (may be NULL) gets its result. False:
 * the command was ended.
 */
bool import_read(struct import *import, const struct db_statement *statement,
	const struct db_value *values, db_done_fn *done, void *arg);

/* What greylisting remembers, as the other program has it. */
struct import_triplet {
	struct slice client; /* an address, or the first of a network */
	struct slice sender, recipient;
	int64_t first, last;
	bool has_passed;
};

/* Offers rows. Each checks what it gets, and drops it with a reason. */
void import_tracking(struct import *import, const char *from,
	const struct import_triplet *triplet);
void import_whitelist(struct import *import, const char *from,
	struct slice sender, struct slice comment);
/* Greylisting for an account, from everybody. */
void import_setting(struct import *import, const char *from,
	struct slice account, bool is_active);
void import_throttle(struct import *import, const char *from,
	struct slice account, const char *kind, uint64_t period,
	int64_t max_msgs, int64_t max_quota);
/* Counts something that is not brought along. */
void import_drop(struct import *import, const char *what, const char *why,
	struct slice example);

/*
 * Reads the lines of a file that is there, without remarks and blanks. A file
 * that is not there is none.
 */
bool import_lines(struct import *import, const char *path,
	void (*take)(struct import *import, struct slice line));

#endif
