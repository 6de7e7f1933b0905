#ifndef POLICYD_POSTFIX_MAP_H
#define POLICYD_POSTFIX_MAP_H

/*
 * The two protocols in which Postfix asks somebody else to look up a key,
 * without I/O:
 *
 *	tcp_table(5)        "get KEY\n"           "200 VALUE\n"
 *	socketmap_table(5)  "12:NAME KEY...,"     "8:OK VALUE,"
 *
 * In the first, bytes that are no plain text are written as %XX; the other
 * has any bytes and the name of a map.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

enum postfix_map_kind {
	POSTFIX_MAP_TCP,
	POSTFIX_MAP_SOCKETMAP,
	POSTFIX_MAP_KIND_COUNT
};

enum postfix_map_status {
	POSTFIX_MAP_FOUND,
	POSTFIX_MAP_NOT_FOUND,
	POSTFIX_MAP_TEMPORARY, /* Postfix defers the mail */
	POSTFIX_MAP_WRONG,     /* a request that asks for nothing */
};

/* A request without what frames it; the manuals' bounds. */
#define POSTFIX_MAP_LINE_MAX      4096u
#define POSTFIX_MAP_NETSTRING_MAX 10000u
/* A request with what frames it, of either kind. */
#define POSTFIX_MAP_INPUT_MAX (POSTFIX_MAP_NETSTRING_MAX + 16u)

/*
 * The request at the start of input. Returns how many bytes it takes with
 * its frame, 0 when it is not complete, or -1 and *err when it never will be.
 */
ptrdiff_t postfix_map_frame(enum postfix_map_kind kind, struct slice input,
	struct slice *request, const char **err);
/*
 * What is asked for: the key in plain bytes, appended to *key (which has room
 * for the request), and the name of the map, "" in tcp_table. False when the
 * request is not for a look-up.
 */
bool postfix_map_read(enum postfix_map_kind kind, struct slice request,
	struct slice *name, struct str *key);
/*
 * Appends the answer with its frame: the value that was found, or a text for
 * people in its place.
 */
void postfix_map_answer(enum postfix_map_kind kind,
	enum postfix_map_status status, struct slice text, struct str *out);

#endif
