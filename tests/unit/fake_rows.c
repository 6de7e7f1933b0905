#include "tests/unit/fake_rows.h"

#include <check.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/io/db_rows.h"

static void
add_cell(struct db_rows *rows, char column, struct slice cell)
{
	int64_t number;

	if (column == 's' || column == 'b') {
		char *bytes = db_rows_add_text(rows, cell.len);

		if (cell.len > 0)
			memcpy(bytes, cell.ptr, cell.len);
		return;
	}
	ck_assert_msg(num_parse_i64(cell, INT64_MIN, INT64_MAX, &number),
		"not a number: %.*s", SLICE_ARG(cell));
	db_rows_add_number(rows, (uint64_t)number);
}

static void
add_row(struct db_rows *rows, const char *columns, struct slice line)
{
	struct slice cell;

	for (; *columns != '\0'; columns++) {
		if (!slice_split(&line, '|', &cell))
			cell = SLICE("");
		add_cell(rows, *columns, cell);
	}
}

struct db_rows *
fake_rows(const char *columns, const char *text)
{
	struct db_rows *rows = x_new(struct db_rows);
	struct slice rest = slice_of(text);
	struct slice line;

	db_rows_begin(rows, columns);
	while (slice_split(&rest, '\n', &line))
		if (line.len > 0)
			add_row(rows, columns, line);
	return rows;
}

void
fake_rows_free(struct db_rows *rows)
{
	if (rows == NULL)
		return;
	db_rows_clear(rows);
	x_free(rows);
}
