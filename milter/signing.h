#ifndef MILTER_SIGNING_H
#define MILTER_SIGNING_H

/*
 * Signing the messages of a session with DKIM: which are signed, and the
 * values of their DKIM-Signature fields. It is told a message as it arrives;
 * the keys have to be there at its end only. Without I/O.
 *
 * Never signed are messages without exactly one From field, or with several
 * domains in it, since nobody could say whose keys are meant; and those that
 * came through us before: they are there a second time, behind a content
 * filter, and what strangers wrote must not get a signature of ours by that.
 *
 * One belongs to one session and is used again for each of its messages. It is
 * not told of those of strangers.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dkim_canon.h"
#include "common/mail/dkim_fields.h"

struct crypto_key;
struct header_from;
struct signing;

#define DKIM_SIGNATURE_NAME "DKIM-Signature"

/* Keys that one message is signed with: two, and room for a change of them. */
#define SIGNING_KEYS_MAX 8u
/* Signatures that a message may bring along; one with more gets none. */
#define SIGNING_BROUGHT_MAX 64u

/* How a message is signed. */
struct signing_settings {
	bool is_on;
	bool is_deferring; /* on_error = defer: rather than unsigned */
	enum dkim_canon header, body;
	uint64_t expire_s; /* 0: a signature does not */
	const struct dkim_field *fields;
	size_t n_fields;
};

struct signing_key {
	struct slice domain, selector;
	const struct crypto_key *key; /* NULL: it cannot be used */
};

struct signing_keys {
	bool is_known; /* or it could not be found out which there are */
	struct signing_key keys[SIGNING_KEYS_MAX];
	size_t n;
};

/* What became of it; valid until the next message. */
struct signing_result {
	const struct slice *signatures; /* as dkim_sign() makes them */
	size_t n;
	struct slice names;  /* "example.com/a,example.com/b"; "" for none */
	const char *why_not; /* "" if there is a signature */
	bool is_failed;      /* by a fault of ours, which may pass */
};

struct signing *signing_new(void);
/* Accepts NULL. */
void signing_free(struct signing *signing);

/*
 * Begins a message, and forgets the one before. The settings stay where they
 * are until its end. A message with Authentication-Results of own_id came
 * through us before; "" for one that cannot have: a login brings what it likes.
 */
void signing_start(struct signing *signing,
	const struct signing_settings *settings, struct slice own_id);
void signing_header(struct signing *signing, struct slice name,
	struct slice value);
/*
 * The header is complete. Returns the domain whose keys will be needed, as
 * part of from; "" if the message is not signed.
 */
struct slice signing_header_end(struct signing *signing,
	const struct header_from *from);
bool signing_wants_body(const struct signing *signing);
void signing_body(struct signing *signing, struct slice bytes);
/* Nothing is needed of the rest of the body: there are no keys. */
void signing_give_up(struct signing *signing);
/* The end of the message. now: seconds since 1970. */
void signing_end(struct signing *signing, const struct signing_keys *keys,
	int64_t now, struct signing_result *out);

#endif
