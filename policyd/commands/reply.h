#ifndef POLICYD_COMMANDS_REPLY_H
#define POLICYD_COMMANDS_REPLY_H

/*
 * Writing a reply: any number of parts, each a JSON object on a line of its
 * own, then the end. A part is a table, a list of fields, or a text. Values
 * are written as they are; how people see them is up to policyctl, which is
 * told by the type.
 *
 * A part that has a name is a member of what "policyctl --json" prints.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "policyd/ctl/command_table.h"

struct command;

/* How a value is shown to people. */
enum reply_type {
	REPLY_TEXT,
	REPLY_NUMBER,
	REPLY_BOOL,    /* yes, no */
	REPLY_UP,      /* a bool: up, down */
	REPLY_ON,      /* a bool: on, off */
	REPLY_TIME,    /* seconds since 1970; 0 is never */
	REPLY_SECONDS, /* a span */
	REPLY_MICROSECONDS,
	REPLY_BYTES,
	REPLY_ACCOUNT, /* a stored account: shown in its plain form */
	REPLY_LIMIT,   /* -1 inherit, 0 unlimited */
	REPLY_BYTES_LIMIT,
	REPLY_PERCENT,
};

struct reply_column {
	const char *key, *title;
	enum reply_type type;
};

/* name and title may be NULL. */
void reply_table(struct command *command, const char *name, const char *title,
	const struct reply_column *columns, size_t n);
void reply_row(struct command *command);
void reply_fields(struct command *command, const char *name, const char *title);
/* Names the next value of a list of fields. */
void reply_field(struct command *command, const char *key, const char *title,
	enum reply_type type);
/* The next value, of a row or a field. */
void reply_value(struct command *command, struct slice text);
void reply_number(struct command *command, int64_t number);
void reply_unsigned(struct command *command, uint64_t number);
void reply_bool(struct command *command, bool is_set);
void reply_null(struct command *command);
void reply_part_end(struct command *command);

/* A whole part: a sentence for people. */
void reply_text(struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A whole part: one member that is a JSON value. */
void reply_json(struct command *command, const char *name, struct slice json);

/* Ends the command; no more may be written. */
void reply_end(struct command *command, enum command_exit exit);
/* Ends it with what is wrong: what, where, what to do. */
void reply_error(struct command *command, enum command_exit exit,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
