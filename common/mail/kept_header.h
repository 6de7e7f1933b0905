#ifndef COMMON_MAIL_KEPT_HEADER_H
#define COMMON_MAIL_KEPT_HEADER_H

/*
 * The header of a message, kept until it has come to its end: only then is it
 * known which of its fields a signature covers. Fields are numbered from 0,
 * from the top down. What is given out is part of the header, and valid as
 * long as nothing is added.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

/* One field; private to kept_header.c. */
struct kept_field {
	size_t at; /* of the name in the bytes, the value behind it */
	size_t n_name, n_value;
	size_t n_bare; /* of the name without blanks before the colon */
};

struct kept_header {
	struct str bytes;
	struct kept_field *fields;
	size_t n, size;
	bool is_too_large; /* what came then was not kept */
	bool has_nul;      /* which cannot be part of mail */
};

/* bytes_max: most that is kept of names and values. */
void kept_header_init(struct kept_header *header, size_t bytes_max);
void kept_header_free(struct kept_header *header);
/* Forgets all fields, and keeps some memory for the next ones. */
void kept_header_reset(struct kept_header *header);

/* The value is all that stands behind the colon, its blank included. */
void kept_header_add(struct kept_header *header, struct slice name,
	struct slice value);
/* As it came; may have blanks at its end. */
struct slice kept_header_name(const struct kept_header *header, size_t i);
struct slice kept_header_value(const struct kept_header *header, size_t i);
/* In any case, blanks around it or not. */
bool kept_header_is(const struct kept_header *header, size_t i,
	struct slice name);
/*
 * The next field of a name above the i-th (from the bottom up, RFC 6376,
 * 5.4.2), beginning with header->n; SIZE_MAX when there is none.
 */
size_t kept_header_above(const struct kept_header *header, struct slice name,
	size_t i);

#endif
