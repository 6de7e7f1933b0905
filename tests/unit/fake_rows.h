#ifndef TESTS_UNIT_FAKE_ROWS_H
#define TESTS_UNIT_FAKE_ROWS_H

/*
 * Answers of a database as a test writes them: a line for each row, columns
 * divided by "|".
 */

#include "common/io/db.h"

/* columns: letters as in struct db_statement. Freed by fake_rows_free(). */
struct db_rows *fake_rows(const char *columns, const char *text);
void fake_rows_free(struct db_rows *rows);

#endif
