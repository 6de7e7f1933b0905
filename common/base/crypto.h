#ifndef COMMON_BASE_CRYPTO_H
#define COMMON_BASE_CRYPTO_H

/*
 * What is used of OpenSSL's libcrypto, which only crypto.c includes: a keyed
 * hash, random bytes, a comparison that takes the same time whatever it
 * finds, and what has to be said on behalf of the libraries that use OpenSSL
 * themselves.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

#define CRYPTO_SHA1_SIZE 20

/* HMAC-SHA1 (RFC 2104). */
void crypto_hmac_sha1(struct slice key, struct slice bytes,
	unsigned char out[CRYPTO_SHA1_SIZE]);
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

/*
 * OpenSSL keeps its errors in a queue of the thread, and what is in it from
 * a connection that broke makes the next "would block" of another one look
 * like an error. libmariadb does not empty it.
 */
void crypto_forget_errors(void);

#endif
