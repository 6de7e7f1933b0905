#include "policyd/commands/row_problems.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/sources.h"

struct known {
	const struct table_problem *of[TABLE_PROBLEMS_MAX]; /* by rising id */
	size_t n;
};

void
row_problems_begin(struct row_problems *problems, struct command *command,
	const struct db_rows *rows)
{
	const size_t n = db_rows_count(rows);

	*problems = (struct row_problems){
		.command = command,
		.rows = rows,
		.texts = arena_new_array(command->arena, n, const char *),
	};
}

static void
read_known(const struct tables *tables, enum table_id table,
	struct known *known)
{
	const struct table_problem *problem = NULL;
	struct table_state state;

	known->n = 0;
	tables_state(tables, table, &state);
	while ((problem = tables_problem_next(tables, problem)) != NULL)
		if (problem->table == state.name)
			known->of[known->n++] = problem;
}

static int
compare(const void *key, const void *element)
{
	const uint64_t id = *(const uint64_t *)key;
	const struct table_problem *const *problem = element;

	return id < (*problem)->id ? -1 : id > (*problem)->id;
}

void
row_problems_find(struct row_problems *problems, enum table_id table,
	size_t id_column)
{
	const struct db_rows *rows = problems->rows;
	struct known known;

	read_known(problems->command->sources->tables, table, &known);
	for (size_t row = 0; row < db_rows_count(rows); row++) {
		const uint64_t id = db_rows_u64(rows, row, id_column);
		const struct table_problem *const *found =
			db_rows_is_null(rows, row, id_column)
				? NULL
				: bsearch(&id, known.of, known.n,
					  sizeof(known.of[0]), compare);

		if (found == NULL)
			continue;
		problems->texts[row] = (*found)->text;
		problems->n++;
	}
}

void
row_problems_table(struct row_problems *problems,
	const struct reply_column *columns, size_t n)
{
	reply_table(problems->command, NULL, NULL, columns,
		problems->n > 0 ? n : n - 1);
}

void
row_problems_value(struct row_problems *problems, size_t row)
{
	if (problems->n == 0)
		return;
	if (problems->texts[row] == NULL)
		reply_null(problems->command);
	else
		reply_value(problems->command, slice_of(problems->texts[row]));
}

void
row_problems_table_end(struct row_problems *problems)
{
	reply_part_end(problems->command);
	if (problems->n > 0)
		reply_text(problems->command,
			"rows with a problem are left out: they are not in "
			"force");
}
