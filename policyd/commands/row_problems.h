#ifndef POLICYD_COMMANDS_ROW_PROBLEMS_H
#define POLICYD_COMMANDS_ROW_PROBLEMS_H

/*
 * Lists read from the database also have the rows that the daemon leaves out.
 * Here they get a column that says why, in a list that has any.
 */

#include <stddef.h>

#include "common/io/db.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/tables.h"

/* The last column of such a list. */
#define ROW_PROBLEMS_COLUMN                      \
	{                                        \
		"problem", "Problem", REPLY_TEXT \
	}

struct row_problems {
	struct command *command;
	const struct db_rows *rows;
	const char **texts; /* of each row, NULL where it is in force */
	size_t n;
};

void row_problems_begin(struct row_problems *problems, struct command *command,
	const struct db_rows *rows);
/* Looks up the numbers in a column of the rows; NULL is a row of no table. */
void row_problems_find(struct row_problems *problems, enum table_id table,
	size_t id_column);

/* In place of reply_table() and reply_part_end(); and the end of each row. */
void row_problems_table(struct row_problems *problems,
	const struct reply_column *columns, size_t n);
void row_problems_value(struct row_problems *problems, size_t row);
void row_problems_table_end(struct row_problems *problems);

#endif
