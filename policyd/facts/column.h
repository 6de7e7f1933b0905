#ifndef POLICYD_FACTS_COLUMN_H
#define POLICYD_FACTS_COLUMN_H

/*
 * Text from outside as a column of the database holds it. What is looked up,
 * remembered and stored must be the same bytes, so it is made fit here, once,
 * before any of the three.
 */

#include <stddef.h>

#include "common/base/str.h"

struct arena;

/* VARCHAR(255) of the address columns; characters, not bytes. */
#define COLUMN_ADDRESS_MAX 255
#define COLUMN_CLIENT_MAX  40

/*
 * At most max characters of text; NUL bytes and bytes that are not UTF-8
 * become U+FFFD, one each. What is only too long is a part of text; the arena
 * is used for what has to be replaced, so that text once made fit costs
 * nothing again.
 */
struct slice column_text(struct arena *arena, struct slice text, size_t max);

#endif
