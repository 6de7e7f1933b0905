#ifndef COMMON_MAIL_IDN_H
#define COMMON_MAIL_IDN_H

/*
 * Internationalized domain names, over libidn2 (which only idn.c includes).
 */

#include <stdbool.h>

#include "common/base/str.h"

struct arena;

/*
 * A domain in the form that the DNS has: lower case, U-labels turned into
 * A-labels (RFC 5891, 4; UTS 46 without transitional processing). What is
 * ASCII already is only put in lower case. False when it is no such name.
 */
bool idn_to_ascii(struct arena *arena, struct slice name, struct slice *out);

#endif
