#include "common/base/crypto.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <sys/random.h>

/*
 * OpenSSL would free all it has when the process ends, under the feet of a
 * thread that is still connecting. It has to be told before anybody uses it,
 * and libcurl does so too.
 */
__attribute__((constructor)) static void
keep_openssl_until_the_end(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

void
crypto_hmac_sha1(struct slice key, struct slice bytes,
	unsigned char out[CRYPTO_SHA1_SIZE])
{
	unsigned len = CRYPTO_SHA1_SIZE;
	const unsigned char *done = HMAC(EVP_sha1(), key.ptr, (int)key.len,
		(const unsigned char *)bytes.ptr, bytes.len, out, &len);

	/* It fails for want of memory only. */
	assert(done != NULL && len == CRYPTO_SHA1_SIZE);
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
crypto_random(void *out, size_t n)
{
	/* Up to 256 bytes come as a whole, see getrandom(2). */
	assert(n <= 256);
	assert(getrandom(out, n, 0) == (ssize_t)n);
}

void
crypto_base64(const void *bytes, size_t n, char *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	const unsigned char *from = bytes;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | from[i];
		for (n_bits += 8; n_bits >= 6;) {
			n_bits -= 6;
			*out++ = alphabet[bits >> n_bits & 63];
		}
	}
	if (n_bits > 0)
		*out++ = alphabet[bits << (6 - n_bits) & 63];
	*out = '\0';
}

void
crypto_forget_errors(void)
{
	ERR_clear_error();
}
