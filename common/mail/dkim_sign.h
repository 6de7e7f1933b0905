#ifndef COMMON_MAIL_DKIM_SIGN_H
#define COMMON_MAIL_DKIM_SIGN_H

/*
 * Signing a message (RFC 6376, 5; Ed25519: RFC 8463). A signer is told a
 * message once, as it arrives: header fields, body, end. Then it gives any
 * number of signatures, each with a key, a domain and canonical forms of its
 * own; nothing of that has to be known before the end but which canonical
 * forms the body is hashed in.
 *
 * A signer belongs to one message at a time and to one thread, and is used
 * again for the next one. It keeps the header, bounded, and nothing of the
 * body. A length of the body is never signed (l=): what others append would
 * count as ours (RFC 6376, 8.2).
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dkim_canon.h"
#include "common/mail/dkim_fields.h"

struct crypto_key;
struct dkim_signer;

/*
 * Bounds of a header, and of the fields in it that are signed, each of which
 * is named in h=. Mail of people has some dozens.
 */
#define DKIM_HEADER_FIELDS_MAX 1000u
#define DKIM_HEADER_BYTES_MAX  ((size_t)256 << 10)
#define DKIM_SIGNED_FIELDS_MAX 250u
/* Octets of an identity (RFC 5321, 4.5.3.1.3). */
#define DKIM_IDENTITY_MAX 254u
/* Bytes of a value that is written. */
#define DKIM_SIGNATURE_MAX ((size_t)24 << 10)

enum dkim_sign_result {
	DKIM_SIGNED,
	DKIM_SIGN_NO_FROM,      /* 5.4: From has to be signed */
	DKIM_SIGN_SEVERAL_FROM, /* nobody could tell which one counts (8.15) */
	DKIM_SIGN_TOO_LARGE,    /* the header, in fields or bytes */
	DKIM_SIGN_TOO_MANY,     /* fields that would be signed */
	DKIM_SIGN_NAME,         /* the domain or the selector is none */
	DKIM_SIGN_IDENTITY,     /* is not within the domain, or no address */
	DKIM_SIGN_FAILED,       /* the key does not work */
};
/* What to tell, such as "there are several From fields". */
const char *dkim_sign_result_text(enum dkim_sign_result result);

/* --- the message -------------------------------------------------------- */

struct dkim_signer *dkim_signer_new(void);
/* Accepts NULL. */
void dkim_signer_free(struct dkim_signer *signer);

/*
 * Begins a message and forgets the one before, wherever that was. bodies says
 * in which forms the body is hashed: DKIM_BODY(canon), or several of them.
 */
#define DKIM_BODY(canon) (1u << (canon))
void dkim_signer_start(struct dkim_signer *signer, unsigned bodies);
/*
 * A header field, from the top down. The value is all that stands behind the
 * colon, folded or not (dkim_canon.h); a milter gets it only if it asks for
 * leading blanks.
 */
void dkim_signer_header(struct dkim_signer *signer, struct slice name,
	struct slice value);
/*
 * Whether the fields that were told so far can be signed: DKIM_SIGNED, or
 * NO_FROM, SEVERAL_FROM, TOO_LARGE. To be asked at the end of the header, so
 * that the body need not be told in vain.
 */
enum dkim_sign_result dkim_signer_check(const struct dkim_signer *signer);
/* More of the body. */
void dkim_signer_body(struct dkim_signer *signer, struct slice bytes);
/* The end of the message, also of one without a body. */
void dkim_signer_end(struct dkim_signer *signer);

/* --- signatures --------------------------------------------------------- */

struct dkim_signature {
	const struct crypto_key *key;
	struct slice domain, selector; /* d=, s=: A-labels */
	struct slice identity;         /* i=; "" to leave it out */
	enum dkim_canon header, body;  /* c= */
	int64_t now;                   /* t=: seconds since 1970 */
	int64_t expires;               /* x=; 0 to leave it out */
	/* In the order of h=; dkim_fields_check() has nothing against them. */
	const struct dkim_field *fields;
	size_t n_fields;
};

/*
 * Appends the value of a DKIM-Signature field to *out, which has room for
 * DKIM_SIGNATURE_MAX bytes: as it has to stand behind the colon, with a blank
 * first, folded as in fold.h. *out is not changed unless the result is
 * DKIM_SIGNED. Several of one message may stand in any order.
 */
enum dkim_sign_result dkim_sign(struct dkim_signer *signer,
	const struct dkim_signature *signature, struct str *out);

#endif
