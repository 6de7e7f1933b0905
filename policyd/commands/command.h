#ifndef POLICYD_COMMANDS_COMMAND_H
#define POLICYD_COMMANDS_COMMAND_H

/*
 * One command of policyctl under way in the daemon. control.c reads it and
 * calls its handler; the handler writes a reply (reply.h) and ends it with
 * reply_end(), at once or from a later callback. A handler does not wait: it
 * asks the database with command_db() and goes on in next.
 *
 * A command belongs to control.c and to the answers it waits for; it goes
 * when the client has gone and the last answer has come. Until then a change
 * is carried out to its end, also when its client has gone.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/str.h"
#include "common/io/db.h"
#include "policyd/config.h"
#include "policyd/ctl/command_table.h"

struct arena;
struct command;
struct reply_column;
struct sources;

typedef void command_fn(struct command *command);
typedef void command_rows_fn(struct command *command,
	const struct db_result *result);

/* Most bytes of one reply, and of what one command keeps. */
#define COMMAND_REPLY_MAX ((size_t)32 << 20)
#define COMMAND_ARENA_MAX ((size_t)16 << 20)
/* Rows that a list shows unless --limit says otherwise, and at most. */
#define COMMAND_ROWS     1000u
#define COMMAND_ROWS_MAX 50000u

TAILQ_HEAD(command_list, command);

struct command {
	struct sources *sources;
	struct command_request request;
	struct arena *arena;  /* goes with the command */
	char who[64];         /* user that asked, for the log */
	struct slice account; /* the last that command_account() has read */
	void *data;           /* the handler's */
	/*
	 * For a command that streams: called once when the client has gone or
	 * the daemon ends. It frees what data holds.
	 */
	command_fn *on_gone;

	/* The rest is for control.c, command.c and reply.c. */
	void *conn; /* NULL: nobody reads the reply any more */
	void (*send)(void *conn, struct slice line, bool is_last);
	struct str line; /* of the reply, being written */
	bool has_member; /* the next needs a comma before it */
	bool has_row;
	char row_end;
	bool is_ended;    /* the last line was written */
	bool is_orphaned; /* the daemon ends: sources must not be touched */
	bool is_awaiting; /* something that is not the database */
	unsigned n_refs;
	command_rows_fn *next_rows;
	enum config_db_id asked_db;
	command_fn *next_fresh;
	struct command_list *list; /* of all commands; NULL when orphaned */
	TAILQ_ENTRY(command) entry;
};

/* One reference, for the connection. */
struct command *command_new(struct sources *sources, struct command_list *list);
void command_unref(struct command *command);
/* Nobody reads the reply any more; takes the connection's reference. */
void command_abandon(struct command *command);
/* The daemon ends: from now on only the database calls back. */
void command_orphan_all(struct command_list *list);

/* The handler of a request; ends the command by itself. */
void command_start(struct command *command);

/* The value of an argument, "" when it was not given. */
struct slice command_text(const struct command *command, const char *name);
bool command_has(const struct command *command, const char *name);
/*
 * The account in an argument, in its stored form; otherwise is taken when it
 * was not given. False when it is none: the command was ended.
 */
bool command_account(struct command *command, const char *name,
	const char *otherwise, struct slice *stored);
/* --limit. False when it is no number: the command was ended. */
bool command_limit(struct command *command, uint64_t *out);
/*
 * --account as what a list is narrowed to, "" when it was not given. False
 * when it is none: the command was ended.
 */
bool command_filter(struct command *command, struct slice *out);
/*
 * A whole list: a table of the rows, whose columns are texts, and numbers not
 * below 0 where REPLY_NUMBER says so; then command_end_list().
 */
void command_list_rows(struct command *command, const struct db_rows *rows,
	const struct reply_column *columns, size_t n_columns);
/* Ends a list of n_rows; says so when --limit may have cut it. */
void command_end_list(struct command *command, size_t n_rows);

/*
 * Runs a statement; next gets its result when that is DB_OK, otherwise the
 * command is ended with the error. One at a time.
 */
void command_db(struct command *command, enum config_db_id db,
	const struct db_statement *statement, const struct db_value *values,
	command_rows_fn *next);
/*
 * After a change: logs it, then lets the tables be read again and memory
 * forget what it holds of triplets; then next.
 */
void command_changed(struct command *command, struct slice account,
	command_fn *next);
/* The same without a log. */
void command_read_again(struct command *command, command_fn *next);

/*
 * Keeps the command while something other than the database will call back,
 * unless the daemon ends before: command_arrived() is for that callback,
 * which calls command_unref() at its end.
 */
void command_await(struct command *command);
void command_arrived(struct command *command);

const char *command_db_name(enum config_db_id db);

/* The handlers, one for each command of the daemon. */
#define COMMAND(id, words, where, effect, arguments, summary) \
	void command_##id(struct command *command);
#include "policyd/ctl/commands.def"
#undef COMMAND

#endif
