#ifndef MILTER_RESULTS_H
#define MILTER_RESULTS_H

/*
 * The value of the header field Authentication-Results (RFC 8601), one
 * result to a line. What others wrote stands in quoted strings unless it is
 * plain, and cannot end one.
 */

#include <stdbool.h>

#include "common/base/str.h"

#define RESULTS_FIELD "Authentication-Results"
/* A longer value is left out: no line may have more than 998 octets. */
#define RESULTS_VALUE_MAX 512u
#define RESULTS_MAX       8192u

void results_begin(struct str *out, const char *authserv_id);
/* Such as "spf", "pass"; comment may be "". */
void results_add(struct str *out, const char *method, const char *result,
	const char *comment);
/* Of the result that was added last, such as "smtp.helo". */
void results_add_property(struct str *out, const char *name,
	struct slice value);

/*
 * Whether a field of that name says that authserv_id wrote it, in any case
 * and between any comments; also when nobody can tell who did.
 */
bool results_claim(struct slice value, const char *authserv_id);

#endif
