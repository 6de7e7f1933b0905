#ifndef COMMON_BASE_CRYPTO_KEY_H
#define COMMON_BASE_CRYPTO_KEY_H

/*
 * Private keys that sign, of the two kinds that DKIM knows: RSA and Ed25519.
 * A key is taken from its text once and then only read, so any number of
 * threads may sign with it at the same time. What is secret in memory is
 * wiped before it is given back.
 */

#include <stddef.h>

#include "common/base/crypto.h"
#include "common/base/str.h"

enum crypto_key_type { CRYPTO_KEY_RSA, CRYPTO_KEY_ED25519 };

/* Keys that are taken; those of RSA that are made. */
#define CRYPTO_RSA_BITS_MIN 1024u
#define CRYPTO_RSA_BITS_MAX 4096u
#define CRYPTO_RSA_BITS_NEW 2048u
/* A key of 4096 bits needs 3300 bytes; there may be a certificate, too. */
#define CRYPTO_PEM_MAX ((size_t)16 << 10)
/* Bytes of the longest signature. */
#define CRYPTO_SIGNATURE_MAX (CRYPTO_RSA_BITS_MAX / 8)

struct crypto_key;

/*
 * Takes the first private key of a PEM text, PKCS#1 or PKCS#8, without a
 * password. NULL: it cannot be used, and *err says why.
 */
struct crypto_key *crypto_key_read(struct slice pem, const char **err);
/*
 * A new one. For RSA this takes a tenth of a second and more: not for the
 * loop.
 */
struct crypto_key *crypto_key_make(enum crypto_key_type type);
/* Accepts NULL. */
void crypto_key_free(struct crypto_key *key);

/*
 * PKCS#8 in PEM, to be stored: NUL-terminated, *len without the NUL. To be
 * freed with x_free_secret().
 */
char *crypto_key_pem(const struct crypto_key *key, size_t *len);

enum crypto_key_type crypto_key_type(const struct crypto_key *key);
unsigned crypto_key_bits(const struct crypto_key *key); /* Ed25519: 256 */
/*
 * The public key, which lives as long as the key: a SubjectPublicKeyInfo of
 * RFC 5280 for RSA, the 32 bytes themselves for Ed25519.
 */
struct slice crypto_key_public(const struct crypto_key *key);

/*
 * Signs a SHA-256 hash: RSASSA-PKCS1-v1_5 (RFC 8017, 8.2), or Ed25519 with
 * the hash as the message (RFC 8463, 3). Returns the length of the signature,
 * 0 if the key does not work.
 */
size_t crypto_key_sign(const struct crypto_key *key,
	const unsigned char hash[CRYPTO_SHA256_SIZE],
	unsigned char out[CRYPTO_SIGNATURE_MAX]);

/*
 * Bits of a public key of somebody else, in the form that crypto_key_public()
 * has; for RSA the bare RSAPublicKey of RFC 8017 will do, too. 0: it is none.
 */
unsigned crypto_public_bits(enum crypto_key_type type, struct slice bytes);
/*
 * Whether it made a signature as crypto_key_sign() does. False also for what
 * is no key.
 */
bool crypto_public_verify(enum crypto_key_type type, struct slice bytes,
	const unsigned char hash[CRYPTO_SHA256_SIZE], struct slice signature);
/*
 * A key of RSA in the form that crypto_key_public() has. Returns its length, 0
 * if it is none, or is longer than size bytes.
 */
size_t crypto_public_info(struct slice bytes, unsigned char *out, size_t size);

#endif
