#ifndef POLICYD_COMMANDS_DKIM_H
#define POLICYD_COMMANDS_DKIM_H

/*
 * What the commands of "dkim" share: rows of policyd.dkim_key, and how they
 * are read, checked, changed and shown. Private keys are in no row of these.
 */

#include "common/base/crypto_key.h"
#include "policyd/commands/command.h"
#include "policyd/dkim_check.h"

struct db_rows;

struct dkim_row {
	uint64_t id;
	struct slice domain, selector, algorithm, state, record;
	uint64_t bits, made_at, published_at, active_at, retired_at, revoked_at,
		checked_at;
	struct slice check_result, check_problem;
	uint64_t n_absent;
	struct slice author, reason;
};

/* Names and letters of the columns that dkim_row_read() reads. */
#define DKIM_ROW_COLUMNS                                                 \
	"id, domain, selector, algorithm, state, record, bits, made_at," \
	" published_at, active_at, retired_at, revoked_at, checked_at,"  \
	" check_result, check_problem, n_absent, author, reason"
#define DKIM_ROW_LETTERS "usssssuuuuuuussuss"

/* Of a row; its texts are copied into the command's arena. */
void dkim_row_read(struct command *command, const struct db_rows *rows,
	size_t row, struct dkim_row *out);

bool dkim_row_is(const struct dkim_row *row, const char *state);

/* The domain of an argument, in lower case. False: the command was ended. */
bool dkim_domain(struct command *command, const char *argument,
	struct slice *out);
/* The selector of an argument. False: the command was ended. */
bool dkim_selector(struct command *command, const char *argument,
	struct slice *out);

/*
 * The key of the arguments "domain" and "selector", to next in
 * command->data as a struct dkim_row; if there is none the command is ended.
 */
void dkim_find_row(struct command *command, command_fn *next);

/* A part for each: the name, one text, and strings for a zone file. */
void dkim_reply_records(struct command *command, const struct dkim_row *rows,
	size_t n);
/* What is to be published: a revoked key has a record that says so. */
void dkim_row_write_record(const struct dkim_row *row, struct str *out);
/* Appends the line of a zone file; origin stands behind the domain. */
void dkim_row_write_zone(const struct dkim_row *row, const char *origin,
	struct str *out);

/*
 * Asks the DNS for a key and notes what came of it, in the table and in *row;
 * then next, with *outcome.
 */
void dkim_check_row(struct command *command, struct dkim_row *row,
	struct dkim_check_outcome *outcome, command_fn *next);
/* Lets a key sign, and the one before it retire; then next. */
void dkim_activate_row(struct command *command, const struct dkim_row *row,
	command_fn *next);
/*
 * Makes keys of some types for a domain, one after the other, and puts them
 * into the table; rows has what was made when next is called. data is the
 * caller's and comes back in command->data.
 */
struct dkim_making {
	struct slice domain;
	/* "": by date; else exact for one type, with a letter behind for two.
	 */
	struct slice selector;
	enum crypto_key_type types[2];
	size_t n_types;
	struct slice reason;
	command_fn *next;
	void *data;
	struct dkim_row rows[2];
	size_t n_rows;
	unsigned attempt; /* to find a selector that is free */
};
void dkim_make(struct command *command, struct dkim_making *making);
/* Whether there is a master key and the domain is ours; else it was ended. */
bool dkim_may_make(struct command *command, struct slice domain);
/* One line of the log about a change. */
void dkim_log(struct command *command, const struct dkim_row *row,
	const char *what);

#endif
