#include "policyd/facts/table_problems.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"

/* What tells one row from another, for a person. */
#define KEY_MAX 600
/* A table that is wrong as a whole must not fill the log. */
#define LOGGED_MAX 20

void
table_problems_init(struct table_problems *problems)
{
	TAILQ_INIT(&problems->list);
	problems->n = 0;
}

void
table_problems_clear(struct table_problems *problems)
{
	struct table_problem *problem;

	while ((problem = TAILQ_FIRST(&problems->list)) != NULL) {
		TAILQ_REMOVE(&problems->list, problem, entry);
		x_free(problem->key);
		x_free(problem);
	}
	problems->n = 0;
}

/* "id 7: @example.com, 192.0.2.0/33": its number, if it has one, and texts. */
static char *
describe_row(const struct table_kind *kind, const struct db_rows *rows,
	size_t row)
{
	const char *columns = kind->chunk->columns;
	const char *separator = "";
	struct str text;
	char *out;

	str_init(&text, KEY_MAX);
	if (columns[kind->key_column] == 'u') {
		str_printf(&text, "id %llu",
			(unsigned long long)db_rows_u64(rows, row,
				kind->key_column));
		separator = ": ";
	}
	for (size_t i = 0; columns[i] != '\0'; i++) {
		/* A key behind the other columns is made of them. */
		if (columns[i] != 's' || (i == kind->key_column && i > 0))
			continue;
		str_append_text(&text, separator);
		str_append_slice(&text, db_rows_text(rows, row, i));
		separator = ", ";
	}
	out = slice_strdup(str_slice(&text));
	str_free(&text);
	return out;
}

void
table_problems_add(struct table_problems *problems,
	const struct table_kind *kind, const struct db_rows *rows, size_t row,
	const char *text)
{
	struct table_problem *problem;

	if (problems->n++ >= TABLE_PROBLEMS_MAX)
		return;
	problem = x_new(struct table_problem);
	problem->table = kind->name;
	if (kind->chunk->columns[kind->key_column] == 'u')
		problem->id = db_rows_u64(rows, row, kind->key_column);
	problem->key = describe_row(kind, rows, row);
	problem->text = text;
	TAILQ_INSERT_TAIL(&problems->list, problem, entry);
}

void
table_problems_move(struct table_problems *problems,
	struct table_problems *from)
{
	table_problems_clear(problems);
	TAILQ_CONCAT(&problems->list, &from->list, entry);
	problems->n = from->n;
	from->n = 0;
}

/* The texts are static: the same complaint is the same pointer. */
static bool
is_known(const struct map *before, const struct table_problem *problem)
{
	const struct table_problem *old =
		map_get(before, slice_of(problem->key));

	return old != NULL && old->text == problem->text;
}

void
table_problems_log(const struct table_problems *problems,
	const struct table_problems *before)
{
	struct map *known = map_new();
	struct table_problem *problem;
	size_t n_new = 0;

	TAILQ_FOREACH(problem, &before->list, entry)
	map_put(known, slice_of(problem->key), problem);
	TAILQ_FOREACH(problem, &problems->list, entry)
	{
		if (is_known(known, problem) || n_new++ >= LOGGED_MAX)
			continue;
		log_warning("%s: row left out (%s): %s", problem->table,
			problem->key, problem->text);
	}
	if (n_new > LOGGED_MAX)
		log_warning("%s: and %zu rows more; \"policyctl policy "
			    "check\" lists them",
			TAILQ_FIRST(&problems->list)->table,
			n_new - LOGGED_MAX);
	map_free(known, NULL);
}
