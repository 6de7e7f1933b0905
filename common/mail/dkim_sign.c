#include "common/mail/dkim_sign.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/mail/fold.h"
#include "common/mail/kept_header.h"

#define FIELD "DKIM-Signature"
/* RFC 1035, 2.3.4, without the dot at the end. */
#define DOMAIN_MAX 253

/* What h= names. */
struct entry {
	struct slice name;
	size_t field; /* SIZE_MAX: there is no further one */
};

enum state {
	STATE_HEADER, /* more fields, or the body */
	STATE_BODY,   /* more of it, or the end */
	STATE_ENDED,  /* signatures are made */
};

struct body {
	struct dkim_canon_body canon;
	struct crypto_sha256 *hash;
	unsigned char digest[CRYPTO_SHA256_SIZE]; /* STATE_ENDED */
};

struct dkim_signer {
	enum state state;
	struct kept_header header;
	size_t n_from;
	unsigned bodies;
	struct body body[DKIM_CANON_COUNT];
	/* Of the signature that is being made. */
	struct entry entries[DKIM_SIGNED_FIELDS_MAX];
	size_t n_entries;
	struct crypto_sha256 *hash;
	struct str text, word;
};

const char *
dkim_sign_result_text(enum dkim_sign_result result)
{
	switch (result) {
	case DKIM_SIGNED:
		return "signed";
	case DKIM_SIGN_NO_FROM:
		return "there is no From field";
	case DKIM_SIGN_SEVERAL_FROM:
		return "there are several From fields";
	case DKIM_SIGN_TOO_LARGE:
		return "the header is too large";
	case DKIM_SIGN_TOO_MANY:
		return "there are too many fields to be signed";
	case DKIM_SIGN_NAME:
		return "the domain or the selector is not a name";
	case DKIM_SIGN_IDENTITY:
		return "the identity is not an address of the domain";
	case DKIM_SIGN_FAILED:
		return "the key does not work";
	}
	return "";
}

/* --- the message -------------------------------------------------------- */

struct dkim_signer *
dkim_signer_new(void)
{
	struct dkim_signer *signer = x_new(struct dkim_signer);

	kept_header_init(&signer->header, DKIM_HEADER_BYTES_MAX);
	str_init(&signer->text, DKIM_SIGNATURE_MAX);
	str_init(&signer->word, DKIM_SIGNATURE_MAX);
	signer->hash = crypto_sha256_new();
	for (int i = 0; i < DKIM_CANON_COUNT; i++)
		signer->body[i].hash = crypto_sha256_new();
	return signer;
}

void
dkim_signer_free(struct dkim_signer *signer)
{
	if (signer == NULL)
		return;
	for (int i = 0; i < DKIM_CANON_COUNT; i++)
		crypto_sha256_free(signer->body[i].hash);
	crypto_sha256_free(signer->hash);
	str_free(&signer->word);
	str_free(&signer->text);
	kept_header_free(&signer->header);
	x_free(signer);
}

static void
add_to_hash(void *to, const char *bytes, size_t n)
{
	crypto_sha256_add(to, bytes, n);
}

static bool
wants_body(const struct dkim_signer *signer, int canon)
{
	return (signer->bodies & DKIM_BODY(canon)) != 0;
}

void
dkim_signer_start(struct dkim_signer *signer, unsigned bodies)
{
	kept_header_reset(&signer->header);
	signer->state = STATE_HEADER;
	signer->n_from = 0;
	signer->bodies = bodies;
	for (int i = 0; i < DKIM_CANON_COUNT; i++) {
		struct body *body = &signer->body[i];

		crypto_sha256_start(body->hash);
		dkim_canon_body_start(&body->canon, (enum dkim_canon)i,
			add_to_hash, body->hash);
	}
}

void
dkim_signer_header(struct dkim_signer *signer, struct slice name,
	struct slice value)
{
	struct kept_header *header = &signer->header;

	assert(signer->state == STATE_HEADER);
	signer->n_from += slice_case_eq(slice_trim(name), SLICE("From"));
	if (header->n == DKIM_HEADER_FIELDS_MAX)
		header->is_too_large = true;
	kept_header_add(header, name, value);
}

enum dkim_sign_result
dkim_signer_check(const struct dkim_signer *signer)
{
	if (signer->header.is_too_large)
		return DKIM_SIGN_TOO_LARGE;
	if (signer->n_from == 0)
		return DKIM_SIGN_NO_FROM;
	return signer->n_from > 1 ? DKIM_SIGN_SEVERAL_FROM : DKIM_SIGNED;
}

void
dkim_signer_body(struct dkim_signer *signer, struct slice bytes)
{
	assert(signer->state != STATE_ENDED);
	signer->state = STATE_BODY;
	for (int i = 0; i < DKIM_CANON_COUNT; i++)
		if (wants_body(signer, i))
			dkim_canon_body_add(&signer->body[i].canon, bytes);
}

void
dkim_signer_end(struct dkim_signer *signer)
{
	assert(signer->state != STATE_ENDED);
	signer->state = STATE_ENDED;
	for (int i = 0; i < DKIM_CANON_COUNT; i++) {
		struct body *body = &signer->body[i];

		if (!wants_body(signer, i))
			continue;
		dkim_canon_body_end(&body->canon);
		crypto_sha256_finish(body->hash, body->digest);
	}
}

/* --- which fields are signed -------------------------------------------- */

static bool
add_entry(struct dkim_signer *signer, struct slice name, size_t field)
{
	if (signer->n_entries == DKIM_SIGNED_FIELDS_MAX)
		return false;
	signer->entries[signer->n_entries++] = (struct entry){ name, field };
	return true;
}

/* 5.4.2: several of a name from the bottom up. False: there are too many. */
static bool
choose_fields(struct dkim_signer *signer,
	const struct dkim_signature *signature)
{
	signer->n_entries = 0;
	for (size_t i = 0; i < signature->n_fields; i++) {
		const struct dkim_field *wanted = &signature->fields[i];
		size_t at = signer->header.n;

		while ((at = kept_header_above(&signer->header, wanted->name,
				at)) != SIZE_MAX)
			if (!add_entry(signer, wanted->name, at))
				return false;
		if (wanted->is_oversigned &&
			!add_entry(signer, wanted->name, SIZE_MAX))
			return false;
	}
	return true;
}

/* --- the text of a signature -------------------------------------------- */

static void
put_tag(struct fold *fold, struct slice name, struct slice value)
{
	fold_blank(fold, name.len + value.len + 2);
	fold_put(fold, name);
	fold_put(fold, SLICE("="));
	fold_put(fold, value);
	fold_put(fold, SLICE(";"));
}

static void
put_time(struct fold *fold, struct slice name, int64_t time)
{
	char digits[24];
	const int n = snprintf(digits, sizeof(digits), "%lld", (long long)time);

	assert(time > 0 && n > 0 && (size_t)n < sizeof(digits));
	put_tag(fold, name, (struct slice){ digits, (size_t)n });
}

static void
put_names(struct fold *fold, const struct dkim_signer *signer)
{
	fold_blank(fold, sizeof("h=xxxxxxxx:") - 1);
	fold_put(fold, SLICE("h="));
	for (size_t i = 0; i < signer->n_entries; i++) {
		const struct slice name = signer->entries[i].name;

		if (i > 0) {
			fold_put(fold, SLICE(":"));
			/* With the colon or semicolon behind it. */
			fold_room(fold, name.len + 1);
		}
		fold_put(fold, name);
	}
	fold_put(fold, SLICE(";"));
}

/* dkim-quoted-printable (2.11). */
static void
append_quoted(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char c = (unsigned char)text.ptr[i];

		if (c > ' ' && c <= '~' && c != ';' && c != '=')
			str_append_char(out, (char)c);
		else
			str_printf(out, "=%02X", c);
	}
}

/* Everything up to "b=", which is what is signed of the field itself. */
static void
write_tags(struct dkim_signer *signer, const struct dkim_signature *signature)
{
	struct fold fold;
	struct str *word = &signer->word;

	str_reset(&signer->text);
	fold = fold_start(&signer->text, SLICE(FIELD));
	put_tag(&fold, SLICE("v"), SLICE("1"));
	put_tag(&fold, SLICE("a"),
		crypto_key_type(signature->key) == CRYPTO_KEY_RSA
			? SLICE("rsa-sha256")
			: SLICE("ed25519-sha256"));
	str_reset(word);
	str_printf(word, "%s/%s", dkim_canon_name(signature->header),
		dkim_canon_name(signature->body));
	put_tag(&fold, SLICE("c"), str_slice(word));
	put_tag(&fold, SLICE("d"), signature->domain);
	put_tag(&fold, SLICE("s"), signature->selector);
	if (signature->identity.len > 0) {
		str_reset(word);
		append_quoted(word, signature->identity);
		put_tag(&fold, SLICE("i"), str_slice(word));
	}
	put_time(&fold, SLICE("t"), signature->now);
	if (signature->expires != 0)
		put_time(&fold, SLICE("x"), signature->expires);
	put_names(&fold, signer);
	str_reset(word);
	crypto_append_base64(word, signer->body[signature->body].digest,
		CRYPTO_SHA256_SIZE);
	put_tag(&fold, SLICE("bh"), str_slice(word));
	fold_blank(&fold, sizeof("b=xxxxxxxx") - 1);
	fold_put(&fold, SLICE("b="));
}

/* --- signing ------------------------------------------------------------ */

/* 3.7: each field with the end of its line, the signature's own without. */
static void
hash_header(struct dkim_signer *signer, const struct dkim_signature *signature,
	unsigned char digest[CRYPTO_SHA256_SIZE])
{
	crypto_sha256_start(signer->hash);
	for (size_t i = 0; i < signer->n_entries; i++) {
		const size_t field = signer->entries[i].field;

		if (field == SIZE_MAX)
			continue;
		dkim_canon_header(signature->header,
			kept_header_name(&signer->header, field),
			kept_header_value(&signer->header, field), add_to_hash,
			signer->hash);
		crypto_sha256_add(signer->hash, "\r\n", 2);
	}
	dkim_canon_header(signature->header, SLICE(FIELD),
		str_slice(&signer->text), add_to_hash, signer->hash);
	crypto_sha256_finish(signer->hash, digest);
}

/* Behind "b=". */
static void
put_signature(struct dkim_signer *signer, const unsigned char *bytes, size_t n)
{
	struct fold fold = fold_start(&signer->text, SLICE(FIELD));

	str_reset(&signer->word);
	crypto_append_base64(&signer->word, bytes, n);
	fold_pieces(&fold, str_slice(&signer->word));
}

/* Letters, digits and what else names are made of; no list of tags breaks. */
static bool
is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			!(c >= '0' && c <= '9') && c != '-' && c != '_' &&
			c != '.')
			return false;
	}
	return text.len > 0 && text.len <= DOMAIN_MAX;
}

/* 3.5: the domain of i= is d= or below it. */
static bool
is_identity(struct slice identity, struct slice domain)
{
	const ptrdiff_t at = slice_find_last(identity, '@');
	struct slice host;

	if (at < 0 || identity.len > DKIM_IDENTITY_MAX)
		return false;
	host = slice_from(identity, (size_t)at + 1);
	if (host.len > domain.len) {
		const size_t n = host.len - domain.len;

		return host.ptr[n - 1] == '.' &&
		       slice_case_eq(slice_from(host, n), domain);
	}
	return slice_case_eq(host, domain);
}

static enum dkim_sign_result
prepare(struct dkim_signer *signer, const struct dkim_signature *signature)
{
	const enum dkim_sign_result result = dkim_signer_check(signer);

	if (result != DKIM_SIGNED)
		return result;
	if (!is_name(signature->domain) || !is_name(signature->selector))
		return DKIM_SIGN_NAME;
	if (signature->identity.len > 0 &&
		!is_identity(signature->identity, signature->domain))
		return DKIM_SIGN_IDENTITY;
	return choose_fields(signer, signature) ? DKIM_SIGNED
						: DKIM_SIGN_TOO_MANY;
}

enum dkim_sign_result
dkim_sign(struct dkim_signer *signer, const struct dkim_signature *signature,
	struct str *out)
{
	unsigned char digest[CRYPTO_SHA256_SIZE];
	unsigned char bytes[CRYPTO_SIGNATURE_MAX];
	const enum dkim_sign_result result = prepare(signer, signature);
	size_t n;

	assert(signer->state == STATE_ENDED);
	assert(wants_body(signer, signature->body));
	assert(signature->expires == 0 || signature->expires > signature->now);
	if (result != DKIM_SIGNED)
		return result;
	write_tags(signer, signature);
	hash_header(signer, signature, digest);
	n = crypto_key_sign(signature->key, digest, bytes);
	if (n == 0)
		return DKIM_SIGN_FAILED;
	put_signature(signer, bytes, n);
	assert(!signer->text.is_cut);
	str_append_slice(out, str_slice(&signer->text));
	return DKIM_SIGNED;
}
