#ifndef COMMON_MAIL_PUBLIC_SUFFIX_H
#define COMMON_MAIL_PUBLIC_SUFFIX_H

/*
 * The public suffix list, over libpsl (which only public_suffix.c includes):
 * under which names anybody can register one.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct public_suffixes;

/* The newest list that the system has. Never NULL. */
struct public_suffixes *public_suffixes_new(void);
void public_suffixes_free(struct public_suffixes *suffixes);
/* Whether there is one. */
bool public_suffixes_has_list(const struct public_suffixes *suffixes);
/*
 * What of a domain was registered: example.co.uk of mail.example.co.uk. Part
 * of domain, which is in lower case and in A-labels; all of it when it is
 * such a suffix itself, or there is no list.
 */
struct slice public_suffixes_registrable(const struct public_suffixes *suffixes,
	struct slice domain);

#endif
