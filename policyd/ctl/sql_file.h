#ifndef POLICYD_CTL_SQL_FILE_H
#define POLICYD_CTL_SQL_FILE_H

/*
 * The numbered files of conf/sql: statements that end with ";" at the end of
 * a line, and lines of comment that begin with "--".
 */

#include <stdbool.h>

#include "common/base/str.h"

#define SQL_FILE_MAX ((size_t)1 << 20)

/* Reads a file of at most SQL_FILE_MAX bytes; false with errno. */
bool sql_file_read(const char *path, struct str *out);
/*
 * Takes the next statement from *rest into *out, without comments and
 * without its ";". False when there is none.
 */
bool sql_next_statement(struct slice *rest, struct str *out);

#endif
