#include "common/base/crypto.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/mem.h"

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

/* --- SHA-256 ------------------------------------------------------------ */

struct crypto_sha256 {
	EVP_MD_CTX *context;
};

/* What is asserted here fails for want of memory only. */
struct crypto_sha256 *
crypto_sha256_new(void)
{
	struct crypto_sha256 *hash = x_new(struct crypto_sha256);

	hash->context = EVP_MD_CTX_new();
	assert(hash->context != NULL);
	assert(EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) == 1);
	return hash;
}

void
crypto_sha256_free(struct crypto_sha256 *hash)
{
	if (hash != NULL)
		EVP_MD_CTX_free(hash->context);
	x_free(hash);
}

void
crypto_sha256_start(struct crypto_sha256 *hash)
{
	/* The same function again, which need not be looked up. */
	assert(EVP_DigestInit_ex(hash->context, NULL, NULL) == 1);
}

void
crypto_sha256_add(struct crypto_sha256 *hash, const void *bytes, size_t n)
{
	assert(EVP_DigestUpdate(hash->context, bytes, n) == 1);
}

void
crypto_sha256_copy(struct crypto_sha256 *to, const struct crypto_sha256 *from)
{
	assert(EVP_MD_CTX_copy_ex(to->context, from->context) == 1);
}

void
crypto_sha256_finish(struct crypto_sha256 *hash,
	unsigned char out[CRYPTO_SHA256_SIZE])
{
	unsigned n = 0;

	assert(EVP_DigestFinal_ex(hash->context, out, &n) == 1);
	assert(n == CRYPTO_SHA256_SIZE);
}

/* --- bytes -------------------------------------------------------------- */

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

/* --- base64 ------------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz"
			       "0123456789+/";

void
crypto_base64(const void *bytes, size_t n, char *out)
{
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
crypto_append_base64(struct str *out, const void *bytes, size_t n)
{
	const unsigned char *from = bytes;
	char text[CRYPTO_BASE64_SIZE(48)];

	for (size_t part; n > 0; from += part, n -= part) {
		part = n < 48 ? n : 48;
		crypto_base64(from, part, text);
		str_append_text(out, text);
		for (size_t i = part; i % 3 != 0; i++)
			str_append_char(out, '=');
	}
}

static bool
is_white_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a character, or -1. */
static int
unbase64(char c)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? -1 : (int)(at - alphabet);
}

/* Takes padding from the end, and counts it. */
static size_t
take_padding(struct slice *text)
{
	size_t n = 0;

	for (; text->len > 0; text->len--) {
		const char c = text->ptr[text->len - 1];

		if (c != '=' && !is_white_space(c))
			break;
		n += c == '=';
	}
	return n;
}

bool
crypto_unbase64(struct slice text, void *out, size_t size, size_t *n)
{
	const size_t n_padding = take_padding(&text);
	unsigned char *to = out;
	size_t n_characters = 0;
	uint32_t bits = 0;
	int value;

	*n = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (is_white_space(text.ptr[i]))
			continue;
		if ((value = unbase64(text.ptr[i])) < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (n_characters++ % 4 == 0)
			continue;
		if (*n == size)
			return false;
		/* Two, four or none of the bits are left for the next byte. */
		to[(*n)++] =
			(unsigned char)(bits >>
					(6 - 2 * ((n_characters - 1) % 4)));
	}
	return n_characters % 4 != 1 &&
	       (n_padding == 0 ||
		       (n_padding <= 2 && (n_characters + n_padding) % 4 == 0));
}

void
crypto_forget_errors(void)
{
	ERR_clear_error();
}
