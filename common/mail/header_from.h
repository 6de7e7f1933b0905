#ifndef COMMON_MAIL_HEADER_FROM_H
#define COMMON_MAIL_HEADER_FROM_H

/*
 * Whose a message says that it is: the addresses of From (RFC 5322, 3.6.2;
 * groups: RFC 6854; UTF-8: RFC 6532). DMARC judges their domain, a person sees
 * it, and an attacker wants the two to see different ones. So a field is
 * malformed, even if the grammar allows it, when programs are known to
 * disagree about its addresses:
 *
 *  - routes (<@a,@b:c@d>), comments and white space within an address, empty
 *    brackets and bare names beside addresses, quoted local parts with
 *    delimiters in them;
 *  - an address in angle brackets within a quoted string or a comment, of
 *    another domain;
 *  - encoded words (RFC 2047), if a program that decodes them too early could
 *    see an address of another domain, or a control character; and encoded
 *    words in an address;
 *  - control characters, lines of blanks, and whatever is no name in the DNS.
 *
 * What is wrong and common, and means the same to all, is taken: a name that
 * is not quoted and is an address of the same domain, dots where none belong
 * in names and local parts, a dot at the end of the domain, commas without
 * anything between them, names that are not UTF-8.
 *
 * An address that a name merely mentions ("alice@example.com"
 * <bob@example.net>) is what DMARC does not protect against, and it is common.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct arena;

/* Bounds of ours; what exceeds them is malformed. */
#define HEADER_FROM_BYTES_MAX     8192u
#define HEADER_FROM_ADDRESSES_MAX 16u
#define HEADER_FROM_LOCAL_MAX     255u

struct header_address {
	struct slice local; /* without quotes */
	/* In lower case and A-labels; or, with its brackets, [192.0.2.1]. */
	struct slice domain;
	bool is_literal;
};

enum header_from_status {
	HEADER_FROM_ONE,        /* one address */
	HEADER_FROM_SEVERAL,    /* addresses */
	HEADER_FROM_NO_FIELD,   /* there is no From */
	HEADER_FROM_FIELDS,     /* there are several, which are not read */
	HEADER_FROM_NO_ADDRESS, /* a name, an empty group, <>, or nothing */
	HEADER_FROM_MALFORMED,
};

struct header_from {
	enum header_from_status status;
	struct header_address addresses[HEADER_FROM_ADDRESSES_MAX];
	size_t n;        /* 0 unless HEADER_FROM_ONE, HEADER_FROM_SEVERAL */
	const char *err; /* what is wrong; NULL for HEADER_FROM_ONE */
};

/*
 * Reads the values of all fields of a message that are called From, in any
 * case and with white space before the colon. Takes at most
 * HEADER_FROM_ARENA_BYTES of the arena.
 */
#define HEADER_FROM_ARENA_BYTES ((size_t)256 << 10)
void header_from_read(struct arena *arena, const struct slice *values,
	size_t n_values, struct header_from *out);
/* The domain that all addresses have; "" if there is none. */
struct slice header_from_domain(const struct header_from *from);

#endif
