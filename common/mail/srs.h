#ifndef COMMON_MAIL_SRS_H
#define COMMON_MAIL_SRS_H

/*
 * The sender rewriting scheme: an address of somebody else becomes one of our
 * own domain, so that mail may be forwarded without breaking SPF, and is
 * turned back when an answer comes to it. Without I/O and without state.
 *
 *	alice@a.example       SRS0=HHHH=TT=a.example=alice@srs.example
 *	SRS0=rest@b.example   SRS1=HHHH=b.example==rest@srs.example
 *
 * HHHH begins the base64 of an HMAC-SHA1 over the lower-cased parts behind
 * it, TT is the day. An SRS1 address leads back to the first forwarder, whose
 * own SRS0 part says when it expires; it has no day of its own. The separator
 * behind SRS0 and SRS1 is one of = + -.
 *
 * Local parts come in either form, quoted or not, and leave in the form that
 * RFC 5321 asks for; what is hashed is the form without quotes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

/* The first signs, all of them verify. */
#define SRS_SECRETS_MAX 16
/*
 * Octets of an address that encoding makes. RFC 5321 bounds a path by 254
 * and a local part by 64, but asks for no such bound on the latter (4.5.3.1:
 * avoid limits where possible); a local part that holds a whole address needs
 * more, and other SRS implementations send it, too.
 */
#define SRS_ADDRESS_MAX 254
/* Octets of an address that decoding takes: every one of its bytes quoted. */
#define SRS_INPUT_MAX ((size_t)2 * SRS_ADDRESS_MAX)
/* Characters of a hash: made, and demanded. Longer ones are compared whole. */
#define SRS_HASH_LENGTH 4
/* An address is valid on its day and for so many days behind it. */
#define SRS_DAYS 20

struct srs {
	struct slice secret[SRS_SECRETS_MAX];
	size_t n_secrets;
	struct slice domain; /* that signs */
};

enum srs_result {
	SRS_DONE,
	SRS_NOT_AN_ADDRESS,
	SRS_NOT_SRS, /* decode: some other address */
	SRS_OTHER_DOMAIN,
	SRS_WRONG_HASH, /* or a hash that is too short */
	SRS_EXPIRED,
	SRS_TOO_LONG,
};

/* Secrets, one a line; what is over SRS_SECRETS_MAX is left out. */
void srs_secrets(struct srs *srs, struct slice lines);

/*
 * Both append the other address to *out, which has room for SRS_INPUT_MAX
 * bytes; *out is not changed unless the result is SRS_DONE. now: seconds
 * since 1970.
 */
enum srs_result srs_encode(const struct srs *srs, int64_t now,
	struct slice address, struct str *out);
enum srs_result srs_decode(const struct srs *srs, int64_t now,
	struct slice address, struct str *out);

#endif
