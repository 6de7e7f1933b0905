#ifndef COMMON_MAIL_DKIM_FIELDS_H
#define COMMON_MAIL_DKIM_FIELDS_H

/* Which header fields a DKIM signature covers (RFC 6376, 5.4). */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

/* Bounds of ours: names in a list, and octets of one. */
#define DKIM_FIELDS_MAX     64u
#define DKIM_FIELD_NAME_MAX 64u

/*
 * A header field that is signed, as often as it stands there. Over-signed, it
 * is named once more, so that nobody can add another one (5.4.2); not so
 * those that mailing lists and forwarders add.
 */
struct dkim_field {
	struct slice name;
	bool is_oversigned;
};

/* What is signed if nothing else is asked for: 5.4.1, and some more. */
const struct dkim_field *dkim_fields_default(size_t *n);
/*
 * Whether a list may be used: names of header fields, From among them, none
 * twice, within the bounds. 0, or -1 and what is wrong in *err.
 */
int dkim_fields_check(const struct dkim_field *fields, size_t n,
	const char **err);

#endif
