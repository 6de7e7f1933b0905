#ifndef COMMON_MAIL_ARC_VERIFY_H
#define COMMON_MAIL_ARC_VERIFY_H

/*
 * Verifies the Authenticated Received Chain of a message (RFC 8617, 5.2):
 * its structure (arc_chain.h), the newest message signature, and all seals.
 * Keys are those of DKIM, of the types rsa-sha256 and ed25519-sha256.
 *
 * Used as dkim_verify.h is: made at the end of the header, told the body and
 * the records of the keys, then ended. No I/O; for one message and thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"
#include "common/mail/dkim_claim.h"

struct arc_verifier;
struct arc_set;
struct kept_header;

/*
 * Different keys of a chain. A bound of ours: each is a question to the DNS,
 * which whoever sent the message chose.
 */
#define ARC_KEYS_MAX 16u

enum arc_result { ARC_RESULT_NONE, ARC_RESULT_PASS, ARC_RESULT_FAIL };
const char *arc_result_name(enum arc_result result); /* as cv= has it */

struct arc_outcome {
	enum arc_result result;
	struct slice reason; /* of FAIL */
	/*
	 * Of PASS: the lowest instance down to which the message signatures
	 * are valid without a gap; 0 when all of them are.
	 */
	unsigned oldest_pass;
	unsigned n; /* instances; 0 of a chain that is not complete */
};

/* The header has to stay until the verifier goes. */
struct arc_verifier *arc_verifier_new(const struct kept_header *header);
/* Accepts NULL. */
void arc_verifier_free(struct arc_verifier *verifier);

/* The newest set of a chain that is complete; NULL: there is no such. */
const struct arc_set *arc_verifier_newest(const struct arc_verifier *verifier);

/* Keys that are to be asked for: the name, and the domain it belongs to. */
size_t arc_verifier_keys(const struct arc_verifier *verifier);
const char *arc_verifier_key_name(const struct arc_verifier *verifier,
	size_t i);
struct slice arc_verifier_key_domain(const struct arc_verifier *verifier,
	size_t i);
/*
 * What the DNS says; its text has to stay until the verifier goes. A key that
 * is not known at the end makes the chain fail: there is no other word for it.
 */
void arc_verifier_answer(struct arc_verifier *verifier, size_t i,
	const struct dkim_record *record);

bool arc_verifier_wants_body(const struct arc_verifier *verifier);
void arc_verifier_body(struct arc_verifier *verifier, struct slice bytes);
/* The end of the message. Once; computes. */
void arc_verifier_end(struct arc_verifier *verifier, struct arc_outcome *out);

#endif
