#include "common/mail/arc_verify.h"

#include <assert.h>
#include <string.h>

#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/mail/arc_chain.h"
#include "common/mail/kept_header.h"
#include "common/mail/tag_list.h"

/* What arc_chain_read() takes. */
#define ARENA_MAX ((size_t)4 << 10)

struct chain_key {
	char name[DKIM_KEY_NAME_MAX];
	struct slice domain;
	struct dkim_record record;
};

/* A body in one canonical form. */
struct body {
	bool is_wanted;
	struct dkim_canon_body canon;
	struct crypto_sha256 *hash;
	unsigned char digest[CRYPTO_SHA256_SIZE];
};

struct arc_verifier {
	const struct kept_header *header;
	struct arena *arena;
	struct arc_chain chain;
	struct chain_key keys[ARC_KEYS_MAX];
	size_t n_keys;
	bool has_too_many_keys;
	struct body bodies[DKIM_CANON_COUNT];
	struct slice reason; /* of the last thing that was not valid */
};

const char *
arc_result_name(enum arc_result result)
{
	switch (result) {
	case ARC_RESULT_NONE:
		return "none";
	case ARC_RESULT_PASS:
		return "pass";
	case ARC_RESULT_FAIL:
		return "fail";
	}
	return "";
}

static bool
refuse(struct arc_verifier *verifier, const char *reason)
{
	verifier->reason = slice_of(reason);
	return false;
}

/* --- keys --------------------------------------------------------------- */

static bool
key_name(const struct arc_signature *signature, char out[DKIM_KEY_NAME_MAX])
{
	return dkim_key_name(signature->selector, signature->domain, out);
}

static const struct chain_key *
find_key(const struct arc_verifier *verifier,
	const struct arc_signature *signature)
{
	char name[DKIM_KEY_NAME_MAX];

	if (!key_name(signature, name))
		return NULL;
	for (size_t i = 0; i < verifier->n_keys; i++)
		if (strcmp(verifier->keys[i].name, name) == 0)
			return &verifier->keys[i];
	return NULL;
}

/* False: there is no room for it. What has no name fails later. */
static bool
want_key(struct arc_verifier *verifier, const struct arc_signature *signature)
{
	struct chain_key *key = &verifier->keys[verifier->n_keys];
	char name[DKIM_KEY_NAME_MAX];

	if (!key_name(signature, name) || find_key(verifier, signature) != NULL)
		return true;
	if (verifier->n_keys == ARC_KEYS_MAX)
		return false;
	memcpy(key->name, name, sizeof(name));
	key->domain = signature->domain;
	verifier->n_keys++;
	return true;
}

/* First those that are needed, then those that only tell of the oldest. */
static void
want_keys(struct arc_verifier *verifier)
{
	const struct arc_chain *chain = &verifier->chain;

	if (!want_key(verifier, &chain->sets[chain->n - 1].message))
		verifier->has_too_many_keys = true;
	for (size_t i = 0; i < chain->n; i++)
		if (!want_key(verifier, &chain->sets[i].seal))
			verifier->has_too_many_keys = true;
	for (size_t i = chain->n; i-- > 0;)
		(void)want_key(verifier, &chain->sets[i].message);
}

size_t
arc_verifier_keys(const struct arc_verifier *verifier)
{
	return verifier->has_too_many_keys ? 0 : verifier->n_keys;
}

const char *
arc_verifier_key_name(const struct arc_verifier *verifier, size_t i)
{
	assert(i < verifier->n_keys);
	return verifier->keys[i].name;
}

struct slice
arc_verifier_key_domain(const struct arc_verifier *verifier, size_t i)
{
	assert(i < verifier->n_keys);
	return verifier->keys[i].domain;
}

void
arc_verifier_answer(struct arc_verifier *verifier, size_t i,
	const struct dkim_record *record)
{
	assert(i < verifier->n_keys);
	verifier->keys[i].record = *record;
}

/* --- the header --------------------------------------------------------- */

static void
read_chain(struct arc_verifier *verifier)
{
	const struct kept_header *header = verifier->header;
	struct arc_field *fields =
		x_new_array(ARC_FIELDS_MAX + 1, struct arc_field);
	size_t n = 0;

	for (size_t i = 0; i < header->n && n <= ARC_FIELDS_MAX; i++)
		if (arc_kind_of(slice_trim(kept_header_name(header, i)),
			    &fields[n].kind))
			fields[n++].value = kept_header_value(header, i);
	arc_chain_read(verifier->arena, fields, n, &verifier->chain);
	x_free(fields);
	if ((header->is_too_large || header->has_nul) &&
		verifier->chain.status == ARC_COMPLETE) {
		verifier->chain.status = ARC_BROKEN;
		verifier->chain.err = "the header is malformed, or too long";
	}
}

/* A field of the chain in the header: as its name was written. */
static struct slice
name_of(const struct arc_verifier *verifier, struct slice value)
{
	const struct kept_header *header = verifier->header;

	for (size_t i = 0; i < header->n; i++)
		if (kept_header_value(header, i).ptr == value.ptr)
			return kept_header_name(header, i);
	assert(0);
}

static void
add_to_hash(void *to, const char *bytes, size_t n)
{
	crypto_sha256_add(to, bytes, n);
}

static void
want_body(struct arc_verifier *verifier, const struct arc_signature *signature)
{
	enum dkim_canon header, canon;

	if (dkim_canons_read(signature->canonicalization, &header, &canon))
		verifier->bodies[canon].is_wanted = true;
	if (signature->canonicalization.len == 0)
		verifier->bodies[DKIM_RELAXED].is_wanted = true;
}

struct arc_verifier *
arc_verifier_new(const struct kept_header *header)
{
	struct arc_verifier *verifier = x_new(struct arc_verifier);

	verifier->header = header;
	verifier->arena = arena_new(ARENA_MAX);
	read_chain(verifier);
	if (verifier->chain.status != ARC_COMPLETE)
		return verifier;
	want_keys(verifier);
	for (size_t i = 0; i < verifier->chain.n; i++)
		want_body(verifier, &verifier->chain.sets[i].message);
	for (int i = 0; i < DKIM_CANON_COUNT; i++) {
		struct body *body = &verifier->bodies[i];

		body->hash = crypto_sha256_new();
		dkim_canon_body_start(&body->canon, (enum dkim_canon)i,
			add_to_hash, body->hash);
	}
	return verifier;
}

void
arc_verifier_free(struct arc_verifier *verifier)
{
	if (verifier == NULL)
		return;
	for (int i = 0; i < DKIM_CANON_COUNT; i++)
		crypto_sha256_free(verifier->bodies[i].hash);
	arena_free(verifier->arena);
	x_free(verifier);
}

/* --- the body ----------------------------------------------------------- */

bool
arc_verifier_wants_body(const struct arc_verifier *verifier)
{
	return verifier->chain.status == ARC_COMPLETE &&
	       !verifier->has_too_many_keys;
}

void
arc_verifier_body(struct arc_verifier *verifier, struct slice bytes)
{
	if (!arc_verifier_wants_body(verifier))
		return;
	for (int i = 0; i < DKIM_CANON_COUNT; i++)
		if (verifier->bodies[i].is_wanted)
			dkim_canon_body_add(&verifier->bodies[i].canon, bytes);
}

static void
end_bodies(struct arc_verifier *verifier)
{
	for (int i = 0; i < DKIM_CANON_COUNT; i++) {
		struct body *body = &verifier->bodies[i];

		dkim_canon_body_end(&body->canon);
		crypto_sha256_finish(body->hash, body->digest);
	}
}

/* --- one signature ------------------------------------------------------ */

/* RFC 6376, 3.7: all between "b=" and the next ";" goes. */
static struct slice
without_signature(const struct arc_signature *signature, struct str *out)
{
	const struct slice field = signature->field, b = signature->signature;
	size_t from = (size_t)(b.ptr - field.ptr), to = from + b.len;

	while (field.ptr[from - 1] != '=')
		from--;
	while (to < field.len && field.ptr[to] != ';')
		to++;
	str_append_slice(out, slice_part(field, 0, from));
	str_append_slice(out, slice_from(field, to));
	return str_slice(out);
}

static void
hash_field(struct arc_verifier *verifier, enum dkim_canon canon,
	struct slice value, struct crypto_sha256 *hash)
{
	dkim_canon_header(canon, name_of(verifier, value), value, add_to_hash,
		hash);
	crypto_sha256_add(hash, "\r\n", 2);
}

/* The last one that is hashed: without its signature and its end. */
static void
hash_own_field(struct arc_verifier *verifier, enum dkim_canon canon,
	const struct arc_signature *signature, struct crypto_sha256 *hash)
{
	struct str bare;

	str_init(&bare, signature->field.len);
	dkim_canon_header(canon, name_of(verifier, signature->field),
		without_signature(signature, &bare), add_to_hash, hash);
	str_free(&bare);
}

/* hash has all that is signed. */
static bool
is_signed(struct arc_verifier *verifier, const struct arc_signature *signature,
	struct crypto_sha256 *hash)
{
	const struct chain_key *key = find_key(verifier, signature);
	const enum dkim_key_type type =
		dkim_algorithm_type(signature->algorithm);
	unsigned char digest[CRYPTO_SHA256_SIZE];
	unsigned char bytes[DKIM_CLAIM_SIGNATURE_MAX];
	struct dkim_verdict why;
	struct dkim_key public;
	size_t n;

	crypto_sha256_finish(hash, digest);
	if (type == DKIM_KEY_OTHER)
		return refuse(verifier, "the algorithm is not known");
	if (key == NULL)
		return refuse(verifier, "a key has no name, or is not asked");
	if (!dkim_record_judge(&key->record, type, &public, &why)) {
		verifier->reason = why.reason;
		return false;
	}
	if (!crypto_unbase64(signature->signature, bytes, sizeof(bytes), &n))
		return refuse(verifier, "b= is no base64, or too long");
	return crypto_public_verify(type == DKIM_KEY_RSA ? CRYPTO_KEY_RSA
							 : CRYPTO_KEY_ED25519,
		       (struct slice){ (char *)public.bytes, public.n_bytes },
		       digest, (struct slice){ (char *)bytes, n }) ||
	       refuse(verifier, "a signature does not fit");
}

/* --- message signatures ------------------------------------------------- */

/* Those that h= names, each from the bottom up (RFC 6376, 5.4.2). */
static bool
hash_fields(struct arc_verifier *verifier, struct slice names,
	enum dkim_canon canon, struct crypto_sha256 *hash)
{
	const struct kept_header *header = verifier->header;
	bool *is_used = x_new_array(header->n + 1, bool);
	struct slice name;
	size_t n = 0;

	while (slice_split(&names, ':', &name) &&
		++n <= DKIM_CLAIM_FIELDS_MAX) {
		size_t at = header->n;

		name = slice_trim(name);
		do
			at = kept_header_above(header, name, at);
		while (at != SIZE_MAX && is_used[at]);
		if (at == SIZE_MAX)
			continue;
		is_used[at] = true;
		hash_field(verifier, canon, kept_header_value(header, at),
			hash);
	}
	x_free(is_used);
	return n <= DKIM_CLAIM_FIELDS_MAX;
}

/* What a length would leave out could be anything (RFC 6376, 8.2). */
static bool
has_length(const struct arc_signature *signature)
{
	struct tag_list tags;
	const char *err;

	return tag_list_parse(signature->field, &tags, &err) < 0 ||
	       tag_list_find(&tags, "l") != NULL;
}

static bool
fits_body(const struct arc_verifier *verifier,
	const struct arc_signature *signature, enum dkim_canon canon)
{
	unsigned char bytes[CRYPTO_SHA256_SIZE];
	size_t n;

	return crypto_unbase64(signature->body_hash, bytes, sizeof(bytes),
		       &n) &&
	       n == sizeof(bytes) &&
	       memcmp(bytes, verifier->bodies[canon].digest, n) == 0;
}

static bool
is_signed_in(struct arc_verifier *verifier,
	const struct arc_signature *signature, enum dkim_canon header,
	enum dkim_canon body)
{
	struct crypto_sha256 *hash;
	bool is_valid;

	if (!fits_body(verifier, signature, body))
		return refuse(verifier, "the body has been changed");
	hash = crypto_sha256_new();
	is_valid = hash_fields(verifier, signature->headers, header, hash) ||
		   refuse(verifier, "h= names too many fields");
	if (is_valid) {
		hash_own_field(verifier, header, signature, hash);
		is_valid = is_signed(verifier, signature, hash);
	}
	crypto_sha256_free(hash);
	return is_valid;
}

/*
 * Without c= it is simple for DKIM, and so for ARC (RFC 8617, 4.1.2); some
 * who seal, and the suite of those who wrote the RFC, take it for relaxed.
 */
static bool
is_message_signed(struct arc_verifier *verifier,
	const struct arc_signature *signature)
{
	enum dkim_canon header, body;

	if (!dkim_canons_read(signature->canonicalization, &header, &body))
		return refuse(verifier, "c= is not known");
	if (has_length(signature))
		return refuse(verifier, "only a part of the body is signed");
	return is_signed_in(verifier, signature, header, body) ||
	       (signature->canonicalization.len == 0 &&
		       is_signed_in(verifier, signature, DKIM_RELAXED,
			       DKIM_RELAXED));
}

/* --- seals -------------------------------------------------------------- */

/*
 * 5.1.1: a seal covers all sets up to its own. What was hashed for one is the
 * beginning for the next, so that a long chain costs no more than its length.
 */
static bool
are_sealed(struct arc_verifier *verifier)
{
	struct crypto_sha256 *before = crypto_sha256_new();
	struct crypto_sha256 *hash = crypto_sha256_new();
	bool is_valid = true;

	for (size_t i = 0; i < verifier->chain.n && is_valid; i++) {
		const struct arc_set *set = &verifier->chain.sets[i];

		hash_field(verifier, DKIM_RELAXED, set->results_field, before);
		hash_field(verifier, DKIM_RELAXED, set->message.field, before);
		crypto_sha256_copy(hash, before);
		hash_own_field(verifier, DKIM_RELAXED, &set->seal, hash);
		is_valid = is_signed(verifier, &set->seal, hash);
		hash_field(verifier, DKIM_RELAXED, set->seal.field, before);
	}
	crypto_sha256_free(hash);
	crypto_sha256_free(before);
	return is_valid;
}

/* --- the end ------------------------------------------------------------ */

/* 0: all are valid. That of the newest instance is known to be. */
static unsigned
oldest_pass(struct arc_verifier *verifier)
{
	size_t n = verifier->chain.n;

	while (n > 1 && is_message_signed(verifier,
				&verifier->chain.sets[n - 2].message))
		n--;
	return n == 1 ? 0 : (unsigned)n;
}

static bool
verify(struct arc_verifier *verifier)
{
	const struct arc_chain *chain = &verifier->chain;

	if (chain->status == ARC_BROKEN)
		return refuse(verifier, chain->err);
	if (verifier->has_too_many_keys)
		return refuse(verifier, "there are too many keys");
	end_bodies(verifier);
	return is_message_signed(verifier,
		       &chain->sets[chain->n - 1].message) &&
	       are_sealed(verifier);
}

const struct arc_set *
arc_verifier_newest(const struct arc_verifier *verifier)
{
	const struct arc_chain *chain = &verifier->chain;

	return chain->status == ARC_COMPLETE && chain->n > 0
		       ? &chain->sets[chain->n - 1]
		       : NULL;
}

void
arc_verifier_end(struct arc_verifier *verifier, struct arc_outcome *out)
{
	*out = (struct arc_outcome){ .result = ARC_RESULT_NONE,
		.n = (unsigned)verifier->chain.n };
	if (verifier->chain.status == ARC_NO_CHAIN)
		return;
	if (verify(verifier)) {
		out->result = ARC_RESULT_PASS;
		out->oldest_pass = oldest_pass(verifier);
	} else {
		out->result = ARC_RESULT_FAIL;
		out->reason = verifier->reason;
	}
}
