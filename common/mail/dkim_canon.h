#ifndef COMMON_MAIL_DKIM_CANON_H
#define COMMON_MAIL_DKIM_CANON_H

/*
 * Canonical forms of header fields and bodies (RFC 6376, 3.4): what a
 * signature covers, so that little changes on the way do it no harm.
 *
 * What comes in is what a milter is given, where lines of header fields end
 * with a bare LF. An LF ends a line, with the CR before it, if there is one:
 * so does Postfix, which sends CR LF for it (5.3 wants what is sent to be
 * signed). A CR anywhere else is a byte like others.
 *
 * What comes out goes to a function piece by piece. Nothing is kept of a body
 * but a few counts, whatever is in it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

enum dkim_canon { DKIM_SIMPLE, DKIM_RELAXED };
#define DKIM_CANON_COUNT (DKIM_RELAXED + 1)

const char *dkim_canon_name(enum dkim_canon canon); /* as c= has it */

/* Takes the next n bytes, one or more. */
typedef void dkim_canon_out(void *to, const char *bytes, size_t n);

/*
 * One header field (3.4.1, 3.4.2), without the CR LF at its end. The value is
 * all that stands behind the colon, a blank that comes first included.
 */
void dkim_canon_header(enum dkim_canon canon, struct slice name,
	struct slice value, dkim_canon_out *out, void *to);

/* A body (3.4.3, 3.4.4), on its way. Embedded; private to dkim_canon.c. */
struct dkim_canon_body {
	enum dkim_canon canon;
	dkim_canon_out *out;
	void *to;
	/*
	 * What has come last and may yet count for nothing: ends of lines,
	 * then blanks (relaxed only), then a CR.
	 */
	uint64_t n_line_ends;
	bool has_blank;
	bool has_cr;
	bool has_text; /* something has been passed on */
};

void dkim_canon_body_start(struct dkim_canon_body *body, enum dkim_canon canon,
	dkim_canon_out *out, void *to);
/* Any number of bytes; where they are cut makes no difference. */
void dkim_canon_body_add(struct dkim_canon_body *body, struct slice bytes);
/* Passes on what ends it. */
void dkim_canon_body_end(struct dkim_canon_body *body);

#endif
