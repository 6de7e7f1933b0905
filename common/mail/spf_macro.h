#ifndef COMMON_MAIL_SPF_MACRO_H
#define COMMON_MAIL_SPF_MACRO_H

/*
 * Macros of SPF (RFC 7208, 7): in the domain-specs of a record, and in the
 * text that explains a fail.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/ip.h"

/* RFC 7208, 4.3 and 7.3: of a name as text. */
#define SPF_NAME_LEN_MAX 253u

/* Where a macro-string stands: a text may hold blanks, %{c}, %{r}, %{t}. */
enum spf_macro_use { SPF_MACRO_IN_DOMAIN, SPF_MACRO_IN_TEXT };

/* What the letters stand for (7.2). */
struct spf_macro_values {
	struct ip client;                  /* i, v, c */
	struct slice local, sender_domain; /* l, o; s is both */
	struct slice domain;               /* d: whose record is evaluated */
	struct slice helo;                 /* h */
	struct slice validated_name;       /* p; "unknown" if there is none */
	struct slice receiver;             /* r; "unknown" likewise */
	int64_t now;                       /* t: seconds since 1970 */
};

/* Whether it is a macro-string (an explain-string, if in a text). */
bool spf_macro_is_valid(struct slice text, enum spf_macro_use use);
/* Whether it is a domain-spec (7.1): ends in a top label or in a macro. */
bool spf_macro_is_domain_spec(struct slice text);
/* Whether one of the letters is used, in either case. */
bool spf_macro_uses(struct slice text, const char *letters);
/* Expands what is valid, as far as there is room. */
void spf_macro_expand(struct slice text, const struct spf_macro_values *values,
	struct str *out);
/*
 * The name that a valid domain-spec stands for: without a dot at its end, and
 * of one that is too long without labels at its left (7.3). No value may be
 * longer than a name as text (DNS_NAME_TEXT_MAX).
 */
void spf_macro_expand_name(struct slice spec,
	const struct spf_macro_values *values, struct str *out);

#endif
