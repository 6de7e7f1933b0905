#ifndef COMMON_BASE_CRYPTO_H
#define COMMON_BASE_CRYPTO_H

/*
 * What is used of OpenSSL's libcrypto beside keys (crypto_key.h) and sealing
 * (crypto_seal.h): hashes, random bytes, a comparison that takes the same time
 * whatever it finds, and what has to be said on behalf of the libraries that
 * use OpenSSL themselves. Nothing but these three includes OpenSSL's headers.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

#define CRYPTO_SHA1_SIZE   20
#define CRYPTO_SHA256_SIZE 32

/* HMAC-SHA1 (RFC 2104). */
void crypto_hmac_sha1(struct slice key, struct slice bytes,
	unsigned char out[CRYPTO_SHA1_SIZE]);

/* SHA-256 (FIPS 180-4) of what comes piece by piece; made once, used often. */
struct crypto_sha256;
struct crypto_sha256 *crypto_sha256_new(void);
/* Accepts NULL. */
void crypto_sha256_free(struct crypto_sha256 *hash);
/* Forgets what was added. A new one has been started. */
void crypto_sha256_start(struct crypto_sha256 *hash);
void crypto_sha256_add(struct crypto_sha256 *hash, const void *bytes, size_t n);
/* Goes on in *to from where the other one has come, which is not changed. */
void crypto_sha256_copy(struct crypto_sha256 *to,
	const struct crypto_sha256 *from);
/* The hash of what was added. Nothing may be added before the next start. */
void crypto_sha256_finish(struct crypto_sha256 *hash,
	unsigned char out[CRYPTO_SHA256_SIZE]);

/* Whether n bytes are the same; how long it takes tells nothing. */
bool crypto_equal(const void *a, const void *b, size_t n);
/* Bytes that nobody can guess. */
void crypto_random(void *out, size_t n);
/*
 * Standard base64 (RFC 4648, section 4) without padding. The text is
 * NUL-terminated.
 */
#define CRYPTO_BASE64_SIZE(n) (((n)*4 + 2) / 3 + 1)
void crypto_base64(const void *bytes, size_t n, char *out);
/* The same appended, with padding. */
void crypto_append_base64(struct str *out, const void *bytes, size_t n);
/*
 * Back again. White space may stand anywhere; padding may be missing, but
 * not be wrong. False: it is no base64, or more than size bytes.
 */
bool crypto_unbase64(struct slice text, void *out, size_t size, size_t *n);

/*
 * OpenSSL keeps its errors in a queue of the thread, and what is in it from
 * a connection that broke makes the next "would block" of another one look
 * like an error. libmariadb does not empty it.
 */
void crypto_forget_errors(void);

#endif
