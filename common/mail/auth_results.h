#ifndef COMMON_MAIL_AUTH_RESULTS_H
#define COMMON_MAIL_AUTH_RESULTS_H

/*
 * The header field Authentication-Results (RFC 8601): what somebody who
 * received a message found out about it.
 *
 *	mx.example.org; spf=pass smtp.mailfrom=alice@example.com;
 *	 dkim=fail reason="the body was changed" header.d=example.com
 *
 * It is read, written, and, if it claims to be ours, recognized as forged.
 * Values are without "Authentication-Results:".
 */

#include <stdbool.h>

#include "common/base/str.h"
#include "common/mail/spf_record.h"

struct arena;
struct ip;

#define AUTH_RESULTS_NAME "Authentication-Results"

/* Bounds of ours: octets of a field that is read, results, properties of one.
 */
#define AUTH_RESULTS_BYTES_MAX ((size_t)64 << 10)
#define AUTH_RESULTS_MAX       64u
#define AUTH_PROPERTIES_MAX    16u

struct auth_property {
	struct slice type, name; /* "header", "d" */
	struct slice value;      /* without quotes */
};

struct auth_result {
	struct auth_result *next;    /* NULL for the last one */
	struct slice method, result; /* "dkim", "pass" */
	struct slice reason;         /* "" for none */
	struct slice comment;        /* is written; reading leaves it out */
	struct auth_property properties[AUTH_PROPERTIES_MAX];
	size_t n_properties;
};

struct auth_results {
	struct arena *arena; /* holds the results */
	struct slice authserv_id;
	struct auth_result *first, *last; /* NULL: none */
	size_t n;
};

/* --- reading ------------------------------------------------------------ */

/*
 * Whether a field of that name claims that authserv_id wrote it. Such a field
 * is to be removed from what strangers send (RFC 8601, 5), and so is one that
 * somebody could read so, however wrongly. A field does not claim it only if
 * another id stands there for everybody. It does:
 *
 *  - if its id is ours: in any case, in quotes or not, in A-labels or UTF-8,
 *    with or without a dot at its end, whatever follows;
 *  - if nobody can tell its id, as what stands before the first ";" is more
 *    or less than an id, a version, white space and comments, or the id is
 *    UTF-8 that no name in the DNS could be, or longer than 1024 octets;
 *  - if our id is a word of a comment before the first ";", or something
 *    there is encoded (RFC 2047) or has a backslash: programs disagree about
 *    where a comment ends;
 *  - if there is a line of blanks, or any character in the whole field is not
 *    to be shown, such as a CR, a NUL, U+2028 or what is not UTF-8: programs
 *    disagree about where a field ends.
 *
 * Another name that only begins or ends with our id is another id. Ours has
 * 1024 octets at most, and some beside a dot.
 */
bool auth_results_claim(struct slice value, struct slice authserv_id);

/*
 * Takes a field apart. What *out points to is in the arena, or part of value.
 * Two things are understood that the grammar does not know and that others
 * write: properties without a type, and "/", "=" and "?" outside of quotes. 0,
 * or -1 and what is wrong with it in *err; another version than 1 is wrong.
 * Takes at most 128 KiB of the arena.
 */
int auth_results_read(struct arena *arena, struct slice value,
	struct auth_results *out, const char **err);

/* --- writing ------------------------------------------------------------ */

void auth_results_init(struct auth_results *results, struct arena *arena,
	struct slice authserv_id);
/* Adds a result, such as "iprev", "pass". There is room for it. */
struct auth_result *auth_results_add(struct auth_results *results,
	const char *method, const char *result);
/* Adds a property to it, such as "policy", "iprev"; none if value is "". */
void auth_result_add(struct auth_result *result, const char *type,
	const char *name, struct slice value);

/* The following add results of a method with its properties; "" for none. */

/* RFC 8601, 2.7.2. For the sender, or for HELO: the other one is "". */
void auth_results_add_spf(struct auth_results *results, enum spf_result result,
	struct slice sender, struct slice helo);
/* RFC 8601, 2.7.3. */
void auth_results_add_iprev(struct auth_results *results, const char *result,
	const struct ip *client);
/* RFC 8601, 2.7.4. mechanism: of SASL. */
void auth_results_add_auth(struct auth_results *results, const char *result,
	struct slice mechanism, struct slice login);

/* RFC 8601, 2.7.1, and RFC 6008: a signature. */
struct auth_dkim {
	const char *result;
	struct slice reason, comment;
	struct slice domain, identity, selector, algorithm; /* d, i, s, a */
	struct slice signature; /* b, the whole of it */
};
/*
 * All signatures of a message, with as much of each b= as tells them apart.
 * "none" if there is none.
 */
void auth_results_add_dkim(struct auth_results *results,
	const struct auth_dkim *signatures, size_t n);

/* RFC 9989. */
struct auth_dmarc {
	const char *result;
	struct slice reason, comment;
	struct slice from;          /* the domain that was judged */
	struct slice policy;        /* that it publishes: p, sp or np */
	struct slice policy_domain; /* where that was found */
};
void auth_results_add_dmarc(struct auth_results *results,
	const struct auth_dmarc *dmarc);

/* RFC 8617, 10.1 and 5.2. */
struct auth_arc {
	const char *result;
	struct slice reason, comment;
	const struct ip *client; /* NULL: not to be told */
	/* The oldest instance whose message signature is valid still; 0: all.
	 * Told of "pass" only. */
	unsigned oldest_pass;
};
void auth_results_add_arc(struct auth_results *results,
	const struct auth_arc *arc);

/*
 * Appends the value of the field, folded (common/mail/fold.h), a line for each
 * result; ready to stand behind "Authentication-Results:". With no result it
 * says "none". A line of more than 78 columns has one long word, and no line
 * has more than 998 octets.
 *
 * Values are told as they are or not at all. Left out is one of more than
 * AUTH_VALUE_MAX octets, one with characters that may not be shown, and one
 * that could be an encoded word (RFC 2047), since some programs would decode
 * it before they look for quotes. Reasons and
 * comments are free text: they are cut at AUTH_TEXT_MAX octets, and characters
 * in them that end quotes, comments or results become "_".
 */
#define AUTH_VALUE_MAX 400u
#define AUTH_TEXT_MAX  256u
void auth_results_write(const struct auth_results *results, struct str *out);

#endif
