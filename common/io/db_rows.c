#include "common/io/db_rows.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/db.h"

/* What is kept for the next result; more is given back. */
#define KEPT_BYTES_MAX ((size_t)256 << 10)

const struct db_rows db_no_rows;

static size_t
doubled(size_t size, size_t wanted, size_t first)
{
	size_t next = size == 0 ? first : size;

	while (next < wanted)
		next *= 2;
	return next;
}

void
db_rows_clear(struct db_rows *rows)
{
	x_free(rows->cells);
	x_free(rows->bytes);
	*rows = (struct db_rows){ 0 };
}

void
db_rows_begin(struct db_rows *rows, const char *columns)
{
	if (rows->cells_size * sizeof(*rows->cells) > KEPT_BYTES_MAX ||
		rows->bytes_size > KEPT_BYTES_MAX)
		db_rows_clear(rows);
	rows->columns = columns;
	rows->n_columns = strlen(columns);
	rows->n_cells = 0;
	rows->n_bytes = 0;
}

bool
db_rows_has_room(const struct db_rows *rows, size_t text_bytes)
{
	size_t used = rows->n_bytes +
		      (rows->n_cells + rows->n_columns) * sizeof(*rows->cells);

	return used <= DB_ROWS_BYTES_MAX &&
	       text_bytes <= DB_ROWS_BYTES_MAX - used;
}

static struct db_cell *
next_cell(struct db_rows *rows)
{
	if (rows->n_cells == rows->cells_size) {
		rows->cells_size =
			doubled(rows->cells_size, rows->n_cells + 1, 64);
		rows->cells = x_realloc_array(rows->cells, rows->cells_size,
			sizeof(*rows->cells));
	}
	rows->cells[rows->n_cells] = (struct db_cell){ 0 };
	return &rows->cells[rows->n_cells++];
}

void
db_rows_add_number(struct db_rows *rows, uint64_t number)
{
	next_cell(rows)->number = number;
}

void
db_rows_add_null(struct db_rows *rows)
{
	next_cell(rows)->is_null = true;
}

char *
db_rows_add_text(struct db_rows *rows, size_t len)
{
	struct db_cell *cell = next_cell(rows);

	assert(len <= DB_ROWS_BYTES_MAX);
	if (rows->n_bytes + len >= rows->bytes_size) {
		rows->bytes_size = doubled(rows->bytes_size,
			rows->n_bytes + len + 1, 1024);
		rows->bytes = x_realloc_array(rows->bytes, rows->bytes_size, 1);
	}
	cell->number = rows->n_bytes;
	cell->len = (uint32_t)len;
	rows->n_bytes += len;
	return rows->bytes + cell->number;
}

static const struct db_cell *
cell_at(const struct db_rows *rows, size_t row, size_t column)
{
	assert(column < rows->n_columns && row < db_rows_count(rows));
	return &rows->cells[row * rows->n_columns + column];
}

size_t
db_rows_count(const struct db_rows *rows)
{
	return rows->n_columns == 0 ? 0 : rows->n_cells / rows->n_columns;
}

uint64_t
db_rows_u64(const struct db_rows *rows, size_t row, size_t column)
{
	const struct db_cell *cell = cell_at(rows, row, column);

	assert(rows->columns[column] == 'u' || rows->columns[column] == 'i');
	return cell->number;
}

int64_t
db_rows_i64(const struct db_rows *rows, size_t row, size_t column)
{
	return (int64_t)db_rows_u64(rows, row, column);
}

struct slice
db_rows_text(const struct db_rows *rows, size_t row, size_t column)
{
	const struct db_cell *cell = cell_at(rows, row, column);

	assert(rows->columns[column] == 's' || rows->columns[column] == 'b');
	if (cell->is_null)
		return (struct slice){ "", 0 };
	return (struct slice){ rows->bytes + cell->number, cell->len };
}

bool
db_rows_is_null(const struct db_rows *rows, size_t row, size_t column)
{
	return cell_at(rows, row, column)->is_null;
}
