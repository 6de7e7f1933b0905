#ifndef COMMON_IO_DB_ROWS_H
#define COMMON_IO_DB_ROWS_H

/*
 * The rows of one result while they are being collected: the private side of
 * struct db_rows (db.h). Cells are added row by row, column by column. The
 * memory is kept for the next result unless it was a big one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A result that needs more memory than this is refused. */
#define DB_ROWS_BYTES_MAX ((size_t)64 << 20)

struct db_cell {
	uint64_t number; /* of text: where it starts in bytes */
	uint32_t len;
	bool is_null;
};

/* All-zero is a valid start. */
struct db_rows {
	const char *columns; /* the letters of struct db_statement */
	size_t n_columns;
	struct db_cell *cells;
	size_t n_cells;
	size_t cells_size;
	char *bytes;
	size_t n_bytes;
	size_t bytes_size;
};

/* What a failed statement has. */
extern const struct db_rows db_no_rows;

/* Empties rows; columns is kept, not copied. */
void db_rows_begin(struct db_rows *rows, const char *columns);
void db_rows_add_number(struct db_rows *rows, uint64_t number);
void db_rows_add_null(struct db_rows *rows);
/* Room for a text of len bytes, valid until the next call. */
char *db_rows_add_text(struct db_rows *rows, size_t len);
/* Whether a row whose texts are text_bytes long still fits. */
bool db_rows_has_room(const struct db_rows *rows, size_t text_bytes);
void db_rows_clear(struct db_rows *rows); /* frees what it holds */

#endif
