#include "common/base/crypto_key.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/base/mem.h"

#define ED25519_SIZE 32
#define ED25519_BITS 256

struct crypto_key {
	EVP_PKEY *key;
	enum crypto_key_type type;
	unsigned char *public;
	size_t n_public;
};

static bool
type_of(const EVP_PKEY *key, enum crypto_key_type *type)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*type = CRYPTO_KEY_RSA;
		return true;
	case EVP_PKEY_ED25519:
		*type = CRYPTO_KEY_ED25519;
		return true;
	default:
		return false;
	}
}

static unsigned
bits_of(const EVP_PKEY *key)
{
	enum crypto_key_type type;

	/* OpenSSL says 253 for Ed25519, nobody else does. */
	if (type_of(key, &type) && type == CRYPTO_KEY_ED25519)
		return ED25519_BITS;
	return (unsigned)EVP_PKEY_get_bits(key);
}

/* --- private keys ------------------------------------------------------- */

/* Otherwise OpenSSL would ask for a password on the terminal. */
static int
no_password(char *buffer, int size, int is_writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)is_writing;
	(void)data;
	return -1;
}

static EVP_PKEY *
read_pem(struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.len > 0 ? pem.ptr : "", (int)pem.len);
	EVP_PKEY *key;

	assert(bio != NULL);
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	crypto_forget_errors();
	return key;
}

static const char *
refuse(const EVP_PKEY *key)
{
	enum crypto_key_type type;

	if (key == NULL)
		return "there is no private key, or it has a password";
	if (!type_of(key, &type))
		return "it is a key neither of RSA nor of Ed25519";
	if (type == CRYPTO_KEY_RSA && bits_of(key) < CRYPTO_RSA_BITS_MIN)
		return "an RSA key of less than 1024 bits is worth nothing";
	if (type == CRYPTO_KEY_RSA && bits_of(key) > CRYPTO_RSA_BITS_MAX)
		return "an RSA key of more than 4096 bits is not accepted"
		       " everywhere";
	return NULL;
}

static void
keep_public(struct crypto_key *key)
{
	unsigned char *to;
	int n = ED25519_SIZE;

	if (key->type == CRYPTO_KEY_RSA)
		n = i2d_PUBKEY(key->key, NULL);
	assert(n > 0);
	key->n_public = (size_t)n;
	key->public = to = x_new_array(key->n_public, unsigned char);
	if (key->type == CRYPTO_KEY_RSA)
		assert(i2d_PUBKEY(key->key, &to) == n);
	else
		assert(EVP_PKEY_get_raw_public_key(key->key, to,
			       &key->n_public) == 1);
}

static struct crypto_key *
key_of(EVP_PKEY *pkey)
{
	struct crypto_key *key = x_new(struct crypto_key);

	key->key = pkey;
	assert(type_of(pkey, &key->type));
	keep_public(key);
	return key;
}

struct crypto_key *
crypto_key_read(struct slice pem, const char **err)
{
	EVP_PKEY *key;

	if (pem.len > CRYPTO_PEM_MAX) {
		*err = "it is too long for a private key";
		return NULL;
	}
	key = read_pem(pem);
	*err = refuse(key);
	if (*err != NULL) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key_of(key);
}

struct crypto_key *
crypto_key_make(enum crypto_key_type type)
{
	EVP_PKEY *key = type == CRYPTO_KEY_RSA
				? EVP_RSA_gen(CRYPTO_RSA_BITS_NEW)
				: EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	/* It fails for want of memory or of randomness only. */
	assert(key != NULL);
	return key_of(key);
}

void
crypto_key_free(struct crypto_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->key);
	x_free(key->public);
	x_free(key);
}

char *
crypto_key_pem(const struct crypto_key *key, size_t *len)
{
	BIO *bio = BIO_new(BIO_s_mem()); /* wipes what it frees */
	const char *text;
	char *copy;
	long n;

	assert(bio != NULL);
	assert(PEM_write_bio_PKCS8PrivateKey(bio, key->key, NULL, NULL, 0, NULL,
		       NULL) == 1);
	n = BIO_get_mem_data(bio, &text);
	assert(n > 0);
	*len = (size_t)n;
	copy = slice_strdup((struct slice){ text, *len });
	BIO_free(bio);
	return copy;
}

enum crypto_key_type
crypto_key_type(const struct crypto_key *key)
{
	return key->type;
}

unsigned
crypto_key_bits(const struct crypto_key *key)
{
	return bits_of(key->key);
}

struct slice
crypto_key_public(const struct crypto_key *key)
{
	return (struct slice){ (const char *)key->public, key->n_public };
}

/* --- signing ------------------------------------------------------------ */

/*
 * A context belongs to one signature: it could not be shared by threads, and
 * costs little beside the signature.
 */
static size_t
sign_rsa(EVP_PKEY *key, const unsigned char *hash, unsigned char *out)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	size_t n = CRYPTO_SIGNATURE_MAX;

	assert(context != NULL);
	if (EVP_PKEY_sign_init(context) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1 ||
		EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) != 1 ||
		EVP_PKEY_sign(context, out, &n, hash, CRYPTO_SHA256_SIZE) != 1)
		n = 0;
	EVP_PKEY_CTX_free(context);
	return n;
}

static size_t
sign_ed25519(EVP_PKEY *key, const unsigned char *hash, unsigned char *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t n = CRYPTO_SIGNATURE_MAX;

	assert(context != NULL);
	if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
		EVP_DigestSign(context, out, &n, hash, CRYPTO_SHA256_SIZE) != 1)
		n = 0;
	EVP_MD_CTX_free(context);
	return n;
}

size_t
crypto_key_sign(const struct crypto_key *key,
	const unsigned char hash[CRYPTO_SHA256_SIZE],
	unsigned char out[CRYPTO_SIGNATURE_MAX])
{
	const size_t n = key->type == CRYPTO_KEY_RSA
				 ? sign_rsa(key->key, hash, out)
				 : sign_ed25519(key->key, hash, out);

	if (n == 0)
		crypto_forget_errors();
	return n;
}

/* --- public keys of others ---------------------------------------------- */

typedef EVP_PKEY *reader(const unsigned char **at, long n);

static EVP_PKEY *
read_info(const unsigned char **at, long n)
{
	return d2i_PUBKEY(NULL, at, n);
}

static EVP_PKEY *
read_bare_rsa(const unsigned char **at, long n)
{
	return d2i_PublicKey(EVP_PKEY_RSA, NULL, at, n);
}

/* Nothing may be left over, and it has to be what it is said to be. */
static EVP_PKEY *
read_rsa_with(reader *read, struct slice bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.ptr;
	EVP_PKEY *key = read(&at, (long)bytes.len);
	enum crypto_key_type type;

	if (key != NULL && at == (const unsigned char *)bytes.ptr + bytes.len &&
		type_of(key, &type) && type == CRYPTO_KEY_RSA)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

/* NULL: it is none. */
static EVP_PKEY *
read_rsa(struct slice bytes)
{
	EVP_PKEY *key = read_rsa_with(read_info, bytes);

	if (key == NULL)
		key = read_rsa_with(read_bare_rsa, bytes);
	crypto_forget_errors();
	return key;
}

unsigned
crypto_public_bits(enum crypto_key_type type, struct slice bytes)
{
	EVP_PKEY *key;
	unsigned bits;

	if (type == CRYPTO_KEY_ED25519)
		return bytes.len == ED25519_SIZE ? ED25519_BITS : 0;
	key = read_rsa(bytes);
	bits = key == NULL ? 0 : bits_of(key);
	EVP_PKEY_free(key);
	return bits;
}

size_t
crypto_public_info(struct slice bytes, unsigned char *out, size_t size)
{
	EVP_PKEY *key = read_rsa(bytes);
	const int n = key == NULL ? 0 : i2d_PUBKEY(key, NULL);
	const bool fits = n > 0 && (size_t)n <= size;

	if (fits)
		assert(i2d_PUBKEY(key, &out) == n);
	EVP_PKEY_free(key);
	return fits ? (size_t)n : 0;
}

static bool
verify_rsa(EVP_PKEY *key, const unsigned char *hash, struct slice signature)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	bool is_valid;

	assert(context != NULL);
	is_valid =
		EVP_PKEY_verify_init(context) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
		EVP_PKEY_verify(context, (const unsigned char *)signature.ptr,
			signature.len, hash, CRYPTO_SHA256_SIZE) == 1;
	EVP_PKEY_CTX_free(context);
	return is_valid;
}

static bool
verify_ed25519(EVP_PKEY *key, const unsigned char *hash, struct slice signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool is_valid;

	assert(context != NULL);
	is_valid =
		EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestVerify(context, (const unsigned char *)signature.ptr,
			signature.len, hash, CRYPTO_SHA256_SIZE) == 1;
	EVP_MD_CTX_free(context);
	return is_valid;
}

static EVP_PKEY *
read_ed25519(struct slice bytes)
{
	if (bytes.len != ED25519_SIZE)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
		(const unsigned char *)bytes.ptr, bytes.len);
}

bool
crypto_public_verify(enum crypto_key_type type, struct slice bytes,
	const unsigned char hash[CRYPTO_SHA256_SIZE], struct slice signature)
{
	EVP_PKEY *key =
		type == CRYPTO_KEY_RSA ? read_rsa(bytes) : read_ed25519(bytes);
	bool is_valid = false;

	if (key != NULL)
		is_valid = type == CRYPTO_KEY_RSA
				   ? verify_rsa(key, hash, signature)
				   : verify_ed25519(key, hash, signature);
	EVP_PKEY_free(key);
	crypto_forget_errors();
	return is_valid;
}
