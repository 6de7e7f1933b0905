#include "common/base/crypto_seal.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/base/crypto.h"

#define NONCE_SIZE 12
#define TAG_SIZE   16

enum direction { OPEN, SEAL }; /* as EVP_CipherInit_ex() has it */

/* What is asserted here fails for want of memory only. */
static EVP_CIPHER_CTX *
begin(enum direction direction, const unsigned char *key,
	const unsigned char *nonce, struct slice context)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n;

	assert(context.len <= INT_MAX);
	assert(cipher != NULL);
	assert(EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce,
		       direction) == 1);
	if (context.len > 0)
		assert(EVP_CipherUpdate(cipher, NULL, &n,
			       (const unsigned char *)context.ptr,
			       (int)context.len) == 1);
	return cipher;
}

static void
run(EVP_CIPHER_CTX *cipher, const char *from, size_t len, unsigned char *out)
{
	int n = 0;

	assert(len <= INT_MAX);
	if (len > 0)
		assert(EVP_CipherUpdate(cipher, out, &n,
			       (const unsigned char *)from, (int)len) == 1);
	assert(n == (int)len);
}

void
crypto_seal(const unsigned char key[CRYPTO_SEAL_KEY_SIZE], struct slice context,
	struct slice bytes, unsigned char *out)
{
	EVP_CIPHER_CTX *cipher;
	int n;

	crypto_random(out, NONCE_SIZE);
	cipher = begin(SEAL, key, out, context);
	run(cipher, bytes.ptr, bytes.len, out + NONCE_SIZE);
	assert(EVP_CipherFinal_ex(cipher, out + NONCE_SIZE + bytes.len, &n) ==
		1);
	assert(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE,
		       out + NONCE_SIZE + bytes.len) == 1);
	EVP_CIPHER_CTX_free(cipher);
}

bool
crypto_unseal(const unsigned char key[CRYPTO_SEAL_KEY_SIZE],
	struct slice context, struct slice sealed, unsigned char *out,
	size_t *n)
{
	unsigned char tag[TAG_SIZE];
	EVP_CIPHER_CTX *cipher;
	bool is_whole;
	int n_last;

	*n = 0;
	if (sealed.len < CRYPTO_SEAL_EXTRA)
		return false;
	*n = sealed.len - CRYPTO_SEAL_EXTRA;
	memcpy(tag, sealed.ptr + sealed.len - TAG_SIZE, TAG_SIZE);
	cipher = begin(OPEN, key, (const unsigned char *)sealed.ptr, context);
	run(cipher, sealed.ptr + NONCE_SIZE, *n, out);
	assert(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
		       tag) == 1);
	is_whole = EVP_CipherFinal_ex(cipher, out + *n, &n_last) == 1;
	EVP_CIPHER_CTX_free(cipher);
	if (is_whole)
		return true;
	explicit_bzero(out, *n);
	*n = 0;
	crypto_forget_errors();
	return false;
}
