#ifndef COMMON_MAIL_DKIM_VERIFY_H
#define COMMON_MAIL_DKIM_VERIFY_H

/*
 * Verifies the DKIM signatures of a message (RFC 6376, 6; Ed25519: RFC 8463),
 * over OpenDKIM's library, which only dkim_verify.c includes. What is wrong
 * with a signature, or with the record of its key, is found out here first
 * (common/mail/dkim_claim.h): the library gets signatures that are well
 * formed, and a record that was written anew.
 *
 *	verifier = dkim_verifier_new(&header, now);      at the header's end
 *	... ask for dkim_verifier_key_name() of each ...
 *	dkim_verifier_body(verifier, bytes);             any number of times
 *	dkim_verifier_answer(verifier, i, &record);      for each, at any time
 *	dkim_verifier_end(verifier);
 *
 * No I/O. A verifier belongs to one message, and to one thread at a time; any
 * number of them may be at work at once, since all they share is the library's
 * handle, which is made by the first one and only read then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dkim_claim.h"

struct dkim_verifier;
struct kept_header;

/* Signatures that are looked at, the topmost; all others are only counted. */
#define DKIM_VERIFIED_MAX 8u
/* Of these, with a length of the body (l=). */
#define DKIM_LENGTHS_MAX 2u

/* Of a signature. Everything is valid as long as the verifier. */
struct dkim_verified {
	enum dkim_result result;
	/* Why it is no pass; part of a record, maybe. */
	struct slice reason;
	struct dkim_claim claim;
	unsigned bits; /* of the key; 0 when there is none that could be read */
	bool is_weak;  /* RSA of less than 2048 bits */
	bool is_test;  /* t=y: a failure is to count as no signature */
	/* It covers the beginning of the body only (l=); be it a pass. */
	bool is_partial;
};

/*
 * At the end of the header, which has to stay until the verifier goes. Field
 * by field it is what a milter is given. now: seconds since 1970.
 */
struct dkim_verifier *dkim_verifier_new(const struct kept_header *header,
	int64_t now);
/* Accepts NULL. */
void dkim_verifier_free(struct dkim_verifier *verifier);

/* Those that are looked at, from the top; and how many are not. */
size_t dkim_verifier_count(const struct dkim_verifier *verifier);
size_t dkim_verifier_ignored(const struct dkim_verifier *verifier);
/*
 * Whether it depends on the record of a key, at claim.key_name. False: what is
 * known of it is final.
 */
bool dkim_verifier_wants_key(const struct dkim_verifier *verifier, size_t i);
/*
 * What the DNS says of that name; its text has to stay until the verifier
 * goes. Without it the signature is a temperror.
 */
void dkim_verifier_answer(struct dkim_verifier *verifier, size_t i,
	const struct dkim_record *record);
/* Whether any result depends on the body. */
bool dkim_verifier_wants_body(const struct dkim_verifier *verifier);
/* More of it; nothing happens if it is not wanted. */
void dkim_verifier_body(struct dkim_verifier *verifier, struct slice bytes);
/* The end of the message. Once; computes. */
void dkim_verifier_end(struct dkim_verifier *verifier);
/* Complete after the end; before it only what claim has. */
const struct dkim_verified *dkim_verifier_result(
	const struct dkim_verifier *verifier, size_t i);

#endif
