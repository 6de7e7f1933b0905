#ifndef COMMON_MAIL_ARC_CHAIN_H
#define COMMON_MAIL_ARC_CHAIN_H

/*
 * The Authenticated Received Chain of a message (RFC 8617), as far as it shows
 * without cryptography: who handled the message adds a set of three fields,
 * and all the sets together are a chain, or it is broken. Steps 1 to 3 of 5.2;
 * the signatures are for others to verify.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

/* RFC 8617, 4.2.1. */
#define ARC_INSTANCES_MAX 50u

enum arc_kind {
	ARC_RESULTS, /* ARC-Authentication-Results */
	ARC_MESSAGE, /* ARC-Message-Signature */
	ARC_SEAL,    /* ARC-Seal */
};
#define ARC_KIND_COUNT (ARC_SEAL + 1)
#define ARC_FIELDS_MAX (ARC_KIND_COUNT * ARC_INSTANCES_MAX)

struct arc_field {
	enum arc_kind kind;
	struct slice value;
};

/* Whether a header field is part of chains; its name in any case. */
bool arc_kind_of(struct slice name, enum arc_kind *out);

/* The tags of a signature or of a seal, without white space around them. */
struct arc_signature {
	struct slice field; /* the whole value */
	struct slice algorithm, domain, selector, signature; /* a, d, s, b */
	uint64_t time;                                       /* t; 0: none */
	/* Of a message signature only; "" is a canonicalization, too. */
	struct slice headers, body_hash, canonicalization; /* h, bh, c */
};

/* What a seal says of the sets before it (cv). */
enum arc_cv { ARC_CV_NONE, ARC_CV_FAIL, ARC_CV_PASS };

struct arc_set {
	/* For auth_results_read(): what stands behind the instance. */
	struct slice results;
	struct slice results_field; /* the whole value */
	struct arc_signature message, seal;
	enum arc_cv cv;
};

enum arc_status {
	ARC_NO_CHAIN,
	ARC_BROKEN,   /* nothing more is to be verified */
	ARC_COMPLETE, /* to be verified */
};

struct arc_chain {
	enum arc_status status;
	const char *err;                        /* of ARC_BROKEN */
	struct arc_set sets[ARC_INSTANCES_MAX]; /* instance 1 first */
	size_t n;                               /* of ARC_COMPLETE */
};

/*
 * Puts the fields of a message, in whatever order they stand there, together.
 * Of more than ARC_FIELDS_MAX the first so many and one more will do. What *out
 * points to is part of them, or in the arena, of which it takes 1 KiB at most.
 *
 * A chain is broken when a set is not complete, has a field twice or is
 * missing, when a field lacks a tag or has one that cannot be right, when a
 * message signature covers seals, or when a seal says what it may not: "none"
 * at first, "pass" later (in lower case), "fail" never.
 */
void arc_chain_read(struct arena *arena, const struct arc_field *fields,
	size_t n, struct arc_chain *out);

#endif
