#ifndef POLICYD_FACTS_TABLE_PROBLEMS_H
#define POLICYD_FACTS_TABLE_PROBLEMS_H

/*
 * The rows of one table that make no sense: listed for policyctl, and logged
 * when they are new. Belongs to table.c.
 */

#include <sys/queue.h>

#include "policyd/facts/tables.h"

TAILQ_HEAD(table_problem_list, table_problem);

struct table_problems {
	struct table_problem_list list; /* at most TABLE_PROBLEMS_MAX */
	size_t n;                       /* also those that are not listed */
};

void table_problems_init(struct table_problems *problems);
void table_problems_clear(struct table_problems *problems);
/* Notes what is wrong with a row of kind->chunk. text is static. */
void table_problems_add(struct table_problems *problems,
	const struct table_kind *kind, const struct db_rows *rows, size_t row,
	const char *text);
/* Takes over the list of from, which is empty afterwards. */
void table_problems_move(struct table_problems *problems,
	struct table_problems *from);
/* Logs those that were not among the ones before. */
void table_problems_log(const struct table_problems *problems,
	const struct table_problems *before);

#endif
