#ifndef COMMON_MAIL_FOLD_H
#define COMMON_MAIL_FOLD_H

/*
 * Writes the value of a header field on lines of at most 78 columns (RFC
 * 5322, 2.1.1), as far as its words allow it. A line that goes on begins with
 * one blank, before which stands a bare LF: milters take it so.
 */

#include "common/base/str.h"

#define FOLD_COLUMNS 78u

struct fold {
	struct str *out;
	size_t column; /* of the line that is being written */
};

/* Begins behind "Name:", or goes on behind what is in *out. */
struct fold fold_start(struct str *out, struct slice name);
/* Text that stays on the line, however long. */
void fold_put(struct fold *fold, struct slice text);
/* A blank, or a new line if n more bytes would not fit on this one. */
void fold_blank(struct fold *fold, size_t n);
/* A new line in that case, and nothing else. */
void fold_room(struct fold *fold, size_t n);
/* Text that may be broken anywhere, such as base64. */
void fold_pieces(struct fold *fold, struct slice text);

#endif
