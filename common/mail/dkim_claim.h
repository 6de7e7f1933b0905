#ifndef COMMON_MAIL_DKIM_CLAIM_H
#define COMMON_MAIL_DKIM_CLAIM_H

/*
 * What a DKIM-Signature field claims (RFC 6376, 3.5), and what a key in the
 * DNS makes of it, as far as both can be judged before anything is computed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dkim_canon.h"
#include "common/mail/dkim_key.h"

#define DKIM_FIELD_NAME "DKIM-Signature"

/* RFC 8601, 2.7.1. */
enum dkim_result {
	DKIM_RESULT_PASS,
	DKIM_RESULT_FAIL,
	DKIM_RESULT_NEUTRAL, /* its syntax is wrong, or not known */
	DKIM_RESULT_POLICY,  /* is not accepted here */
	DKIM_RESULT_TEMPERROR,
	DKIM_RESULT_PERMERROR,
};
const char *dkim_result_name(enum dkim_result result); /* "temperror" */

/* Of a signature that is no good, or not yet: why. */
struct dkim_verdict {
	enum dkim_result result;
	struct slice reason;
};

/* "SELECTOR._domainkey.DOMAIN" (3.6.2.1), with a NUL. */
#define DKIM_KEY_NAME_MAX 254u
/* Names in h=; a bound of ours, above what is signed anywhere. */
#define DKIM_CLAIM_FIELDS_MAX 250u
/* Bytes of b=: RSA of 4096 bits. */
#define DKIM_CLAIM_SIGNATURE_MAX 512u
/* Clocks may differ by that many seconds. */
#define DKIM_CLOCK_DRIFT 300

/* Points to itself: not to be copied. */
struct dkim_claim {
	/* Tags, parts of the field; "" for one that is not there. */
	struct slice algorithm, selector, identity, signature; /* a s i b */
	struct slice domain;        /* d=, in lower case; part of key_name */
	enum dkim_key_type type;    /* the beginning of a= */
	enum dkim_canon body_canon; /* the end of c= */
	bool has_length;            /* l= */
	uint64_t length;
	bool is_below; /* i= is below d=, and not d= itself */
	/* Where its key is, in lower case; "" when it has none. */
	char key_name[DKIM_KEY_NAME_MAX];
};

/*
 * Writes the name of a key, in lower case. False: there is no such name, and
 * out is "". out has DKIM_KEY_NAME_MAX bytes.
 */
bool dkim_key_name(struct slice selector, struct slice domain, char *out);

/*
 * Takes the value of a field apart, at a time in seconds since 1970. False:
 * it cannot be valid, and why it is in *why; *out has what could be read. The
 * header has to stay where it is as long as *out is used.
 */
bool dkim_claim_read(struct slice value, int64_t now, struct dkim_claim *out,
	struct dkim_verdict *why);

/* What the DNS says of the name of a key. */
enum dkim_record_status {
	DKIM_RECORD_UNKNOWN, /* it was not asked, or did not answer in time */
	DKIM_RECORD_FOUND,
	DKIM_RECORD_ABSENT,
	DKIM_RECORD_SEVERAL, /* 6.1.2: more than one; which one is not told */
	DKIM_RECORD_FAILED,
};
struct dkim_record {
	enum dkim_record_status status;
	struct slice text; /* of FOUND; of FAILED what happened, or "" */
};

/*
 * Whether a signature with keys of this type may be valid with what the DNS
 * says; the key is then in *out. False: why not is in *why, which may point to
 * the record; *out has what could be read of a key.
 */
bool dkim_record_judge(const struct dkim_record *record,
	enum dkim_key_type type, struct dkim_key *out,
	struct dkim_verdict *why);

/* The part of a= before "-sha256"; DKIM_KEY_OTHER for any other. */
enum dkim_key_type dkim_algorithm_type(struct slice algorithm);
/* c=, "" for none (3.5). False: it is not known. */
bool dkim_canons_read(struct slice text, enum dkim_canon *header,
	enum dkim_canon *body);

#endif
