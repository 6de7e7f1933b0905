#ifndef POLICYD_CTL_GZIP_FILE_H
#define POLICYD_CTL_GZIP_FILE_H

/*
 * A file that is compressed as it is written (RFC 1952), over zlib, which only
 * gzip_file.c includes. It is there under its name when all of it is, in place
 * of what had that name.
 */

#include "common/base/str.h"

struct gzip_file;

/* NULL with errno set. path is copied. */
struct gzip_file *gzip_file_new(const char *path);
void gzip_file_add(struct gzip_file *file, struct slice text);
/* Ends it and frees it. 0, or -1 with errno set: there is no such file. */
int gzip_file_close(struct gzip_file *file);
/* Gives it up and frees it. Accepts NULL. */
void gzip_file_drop(struct gzip_file *file);

#endif
