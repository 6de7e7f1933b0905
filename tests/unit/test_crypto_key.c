#include "common/base/crypto_key.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/dkim_keys.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

/* RFC6376_KEY as PKCS#8. */
#define RFC6376_KEY_PKCS8                                                    \
	"-----BEGIN PRIVATE KEY-----\n"                                      \
	"MIICeQIBADANBgkqhkiG9w0BAQEFAASCAmMwggJfAgEAAoGBAPAhE/9QLdIGwSYa\n" \
	"pn1klbf8OQygZ4udCDV9afv/Ni0jE3ZKcUKPE4Iob2/dviNh9xM2HmKNKyrrfW4E\n" \
	"i0truh36/9G10LZTMnWVZP3jupH5FxpzaBu2j80yonR/N9WMfg64qGK11j21/qZz\n" \
	"AaNo0FxZOggyY9I8N1A81RhyRxDZAgMBAAECgYEAuaf5fBaTtqS+RSWpv507HIsH\n" \
	"2LlUFV+N7z1N6iXBz1glPfoEY3+Xh7SXpBf/X//oNZRMHcojrAVybtNYlzFtLS1w\n" \
	"plfsWwm9TPVJtCeRLngMlyTURk78EtrlyQmABghqqUD0LRnAzqLnyUuU9p1f+u0d\n" \
	"vulbN41xkeMquMzjrVkCQQD6K2yzadGWbI6fX/nIPIKW5JPh1B87yQAHe2hIRVzs\n" \
	"N4V4OGcLWZl2MBJk290dLiBssgDWFQYQX2beEqwZQww/AkEA9bm/9T4BZMAMUJLb\n" \
	"a3vY1S6uDN4BvNvUdYyo7jLj70emOTnC8v95ViLPK5x7f98aR7tpFjD8AMrKAwl1\n" \
	"bwf85wJBAPPk5BviPZAOk9lzQ1zhCVu8yyPunui1ZE7nFFrpLNeqpXf4XRWmq8Oa\n" \
	"yEQGSgLJ1pjBzajpZDkQGYTF5XzXbhcCQQCpnMawjFU/6wRVFZmZboo0VJ1VSmTe\n" \
	"rMrRPP9aNAx7nPRS6dj0DH3/g9WGn+PrVt94Bhe6dqNsFI4uXHgP5O6fAkEA2Q8j\n" \
	"lL2LKWxsuzo2RowdXqTmKgcEGaAJqT3kkZcYyi38vbHQhjIwsDPqgtaHaGbvPC1v\n" \
	"QKA6s+jWR7jiEVid9w==\n"                                             \
	"-----END PRIVATE KEY-----\n"
#define RSA_512                                                              \
	"-----BEGIN RSA PRIVATE KEY-----\n"                                  \
	"MIIBPAIBAAJBANug8xfC9J64YUd8t8CQo+awPGiQ81uI6onJElzrc3IOJu/Wb2y+\n" \
	"+QraPKUNVOPKr4Z/aNS0NsyJgZqi6WwVyw8CAwEAAQJBAK3GJVFxsbc7z8yOQ52b\n" \
	"U/OdEc7ykXqlVF18uIjIyuk8DcmMR3GPeD9b/YY06sIsxA6O63brtX4cYHRkRq1N\n" \
	"e9ECIQD3Ju7YjN11PcjAW863Px9gfNBDxhrVq+hfKTEi81zeGwIhAON9xiRCZeAH\n" \
	"Ydq/ns1l1YxMd1tz9+tzlJyWzbct1AYdAiB/UaYfFkoLWJ2vQlw2GCVwzjt3fnla\n" \
	"c2mMhCrU52uC2wIhAKwvUn23U+yRKdusFcJZRZz/c4fg6tFnliA/dE0lfslxAiEA\n" \
	"naojXBw/IZkVjdWxuminjLBuOvDOPqUm9qo1dPrIS3w=\n"                     \
	"-----END RSA PRIVATE KEY-----\n"
#define EC_P256                                                              \
	"-----BEGIN EC PRIVATE KEY-----\n"                                   \
	"MHcCAQEEIM/BXpjsL7geMBT/VAaCwvZdoFQIwwhdsvWWLIQRRz5coAoGCCqGSM49\n" \
	"AwEHoUQDQgAEr3SpxLy72sOtzl0m4oBnZJaYaerwoAFJojJBhH+X5EIQ92pFNykg\n" \
	"rke0cgcVrHtiBtNtJVuAhc/1SjQFrOw9aA==\n"                             \
	"-----END EC PRIVATE KEY-----\n"
/* The password is "x". */
#define ENCRYPTED                                                            \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                            \
	"MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAitNaYN5xhc7QICCAAw\n" \
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEL/J3l8jw3lvqroSnpO3aBkEQMZ7\n" \
	"iMQGCzEEdIbLMQAco1Ra6DPogdY+oJHGzyNiGkcTYrFzzjA/Jhri9P8bcjKh4nDo\n" \
	"RHp2Nsu9zBGUuX+eR8o=\n"                                             \
	"-----END ENCRYPTED PRIVATE KEY-----\n"
#define RFC6376_PUBLIC_PEM                                                   \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkM\n" \
	"oGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/R\n" \
	"tdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToI\n" \
	"MmPSPDdQPNUYckcQ2QIDAQAB\n"                                         \
	"-----END PUBLIC KEY-----\n"

static void
ck_assert_base64(const char *name, const void *bytes, size_t n,
	const char *expected)
{
	struct str text;

	str_init(&text, 4096);
	crypto_append_base64(&text, bytes, n);
	ck_assert_msg(strcmp(str_text(&text), expected) == 0, "%s: %s", name,
		str_text(&text));
	str_free(&text);
}

/*
 * The signatures of the hash of "abc" are those of the openssl program: both
 * ways to sign always give the same.
 */
#define RFC6376_SIGNATURE                                                  \
	"h/CryLw8094aFhHCPf9ZbiHo8fT/MHsLdSfmS97jmsaObXhBvOgO2yHxPlSeLgUT" \
	"LJ00LoJEe94VMYPMQ3t05CY+tdJZkY7k0OqE7AAVzTZy984Kd7AlF2g5Y78GwPUf" \
	"74rdGVhRLPOEcNqzxEbvCELUdJKuA20WO/k+ejKiUXI="

static const struct {
	const char *name, *pem;
	enum crypto_key_type type;
	unsigned bits;
	const char *public, *signature;
} good[] = {
	{ "RSA, PKCS#1", RFC6376_KEY, CRYPTO_KEY_RSA, 1024, RFC6376_PUBLIC,
		RFC6376_SIGNATURE },
	{ "RSA, PKCS#8", RFC6376_KEY_PKCS8, CRYPTO_KEY_RSA, 1024,
		RFC6376_PUBLIC, RFC6376_SIGNATURE },
	{ "something before it", "A key:\n\n" RFC6376_KEY, CRYPTO_KEY_RSA, 1024,
		RFC6376_PUBLIC, RFC6376_SIGNATURE },
	{ "another key behind it", RFC6376_KEY EC_P256, CRYPTO_KEY_RSA, 1024,
		RFC6376_PUBLIC, RFC6376_SIGNATURE },
	{ "the public key before it", RFC6376_PUBLIC_PEM RFC6376_KEY,
		CRYPTO_KEY_RSA, 1024, RFC6376_PUBLIC, RFC6376_SIGNATURE },
	{ "Ed25519", RFC8463_ED25519_KEY, CRYPTO_KEY_ED25519, 256,
		RFC8463_ED25519_PUBLIC,
		"CW9VadgH7orHsZE9pwzwqrM1wlj0uUyPIQ3RQel0OSfI0aazeIcqcslEbB91"
		"5tx7Le+YvQwhS+ZwbUh5H1doCg==" },
};

static void
hash_abc(unsigned char out[CRYPTO_SHA256_SIZE])
{
	struct crypto_sha256 *hash = crypto_sha256_new();

	crypto_sha256_add(hash, "abc", 3);
	crypto_sha256_finish(hash, out);
	crypto_sha256_free(hash);
}

static void
ck_assert_signature(const char *name, const struct crypto_key *key,
	const char *expected)
{
	unsigned char hash[CRYPTO_SHA256_SIZE];
	unsigned char signature[CRYPTO_SIGNATURE_MAX];

	hash_abc(hash);
	ck_assert_base64(name, signature, crypto_key_sign(key, hash, signature),
		expected);
}

START_TEST(keys_are_taken_and_sign)
{
	const char *name = good[_i].name, *err;
	struct crypto_key *key = crypto_key_read(slice_of(good[_i].pem), &err);
	struct slice public;

	ck_assert_msg(key != NULL, "%s: %s", name, err);
	ck_assert_ptr_null(err);
	ck_assert_int_eq(crypto_key_type(key), good[_i].type);
	ck_assert_uint_eq(crypto_key_bits(key), good[_i].bits);
	public = crypto_key_public(key);
	ck_assert_base64(name, public.ptr, public.len, good[_i].public);
	ck_assert_uint_eq(crypto_public_bits(good[_i].type, public),
		good[_i].bits);
	/* Twice, since a key is used again and again. */
	ck_assert_signature(name, key, good[_i].signature);
	ck_assert_signature(name, key, good[_i].signature);
	crypto_key_free(key);
}
END_TEST

#define THREADS         4
#define SIGNATURES_EACH 50

/* Always the same ones, so any that went wrong is seen. */
static void *
sign_often(void *argument)
{
	const struct crypto_key *key = argument;
	unsigned char hash[CRYPTO_SHA256_SIZE] = { 1, 2, 3 };
	unsigned char first[CRYPTO_SIGNATURE_MAX];
	unsigned char other[CRYPTO_SIGNATURE_MAX];
	const size_t n = crypto_key_sign(key, hash, first);
	size_t n_same = 0;

	for (int i = 0; i < SIGNATURES_EACH; i++)
		n_same += crypto_key_sign(key, hash, other) == n &&
			  memcmp(first, other, n) == 0;
	return n > 0 && n_same == SIGNATURES_EACH ? argument : NULL;
}

START_TEST(threads_share_a_key)
{
	const char *err;
	struct crypto_key *key = crypto_key_read(
		slice_of(_i == 0 ? RFC6376_KEY : RFC8463_ED25519_KEY), &err);
	pthread_t threads[THREADS];
	void *result;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, sign_often, key), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &result), 0);
		ck_assert_ptr_eq(result, key);
	}
	crypto_key_free(key);
}
END_TEST

static const struct {
	const char *name, *pem, *err;
} bad[] = {
	{ "nothing", "", "there is no private key, or it has a password" },
	{ "a text", "Hello.\n",
		"there is no private key, or it has a password" },
	{ "a public key", RFC6376_PUBLIC_PEM,
		"there is no private key, or it has a password" },
	{ "a password", ENCRYPTED,
		"there is no private key, or it has a password" },
	{ "half a key",
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVp\n",
		"there is no private key, or it has a password" },
	{ "a key cut short",
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVp\n"
		"-----END PRIVATE KEY-----\n",
		"there is no private key, or it has a password" },
	{ "an elliptic curve", EC_P256,
		"it is a key neither of RSA nor of Ed25519" },
	{ "RSA of 512 bits", RSA_512,
		"an RSA key of less than 1024 bits is worth nothing" },
};

START_TEST(what_is_no_key_of_ours_is_refused)
{
	const char *err = NULL;

	ck_assert_msg(crypto_key_read(slice_of(bad[_i].pem), &err) == NULL,
		"%s was taken", bad[_i].name);
	ck_assert_msg(strcmp(err, bad[_i].err) == 0, "%s: %s", bad[_i].name,
		err);
}
END_TEST

START_TEST(keys_have_a_greatest_length)
{
	char path[4096], pem[CRYPTO_PEM_MAX + 1];
	const char *err = NULL;
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/tests/data/rsa_4104.pem",
		getenv("SOURCE_DIR"));
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s", path);
	n = fread(pem, 1, sizeof(pem), file);
	(void)fclose(file);
	ck_assert_ptr_null(crypto_key_read((struct slice){ pem, n }, &err));
	ck_assert_str_eq(err, "an RSA key of more than 4096 bits is not"
			      " accepted everywhere");

	memset(pem, '\n', sizeof(pem));
	memcpy(pem, RFC6376_KEY, sizeof(RFC6376_KEY) - 1);
	ck_assert_ptr_null(crypto_key_read(
		(struct slice){ pem, CRYPTO_PEM_MAX + 1 }, &err));
	ck_assert_str_eq(err, "it is too long for a private key");
}
END_TEST

/* A new key, and the same again from its text. */
static void
make_and_read(enum crypto_key_type type, unsigned bits)
{
	struct crypto_key *key = crypto_key_make(type), *again;
	size_t len;
	char *pem = crypto_key_pem(key, &len);
	const char *err;

	ck_assert_uint_eq(strlen(pem), len);
	ck_assert(slice_starts((struct slice){ pem, len },
		SLICE("-----BEGIN PRIVATE KEY-----\n")));
	ck_assert(slice_ends((struct slice){ pem, len },
		SLICE("\n-----END PRIVATE KEY-----\n")));
	again = crypto_key_read((struct slice){ pem, len }, &err);
	ck_assert_msg(again != NULL, "%s", err);
	ck_assert_int_eq(crypto_key_type(again), type);
	ck_assert_uint_eq(crypto_key_bits(again), bits);
	ck_assert(slice_eq(crypto_key_public(again), crypto_key_public(key)));
	x_free_secret(pem, len);
	crypto_key_free(again);
	crypto_key_free(key);
}

START_TEST(keys_are_made)
{
	struct crypto_key *a = crypto_key_make(CRYPTO_KEY_ED25519);
	struct crypto_key *b = crypto_key_make(CRYPTO_KEY_ED25519);

	ck_assert(!slice_eq(crypto_key_public(a), crypto_key_public(b)));
	crypto_key_free(a);
	crypto_key_free(b);
	crypto_key_free(NULL);
	make_and_read(CRYPTO_KEY_ED25519, 256);
	make_and_read(CRYPTO_KEY_RSA, CRYPTO_RSA_BITS_NEW);
}
END_TEST

/* The bare key of RFC6376_PUBLIC: an RSAPublicKey. */
#define RFC6376_BARE                                                       \
	"MIGJAoGBAPAhE/9QLdIGwSYapn1klbf8OQygZ4udCDV9afv/Ni0jE3ZKcUKPE4Io" \
	"b2/dviNh9xM2HmKNKyrrfW4Ei0truh36/9G10LZTMnWVZP3jupH5FxpzaBu2j80y" \
	"onR/N9WMfg64qGK11j21/qZzAaNo0FxZOggyY9I8N1A81RhyRxDZAgMBAAE="

static const struct {
	const char *name, *public;
	enum crypto_key_type type;
	unsigned bits;
} publics[] = {
	{ "RSA", RFC6376_PUBLIC, CRYPTO_KEY_RSA, 1024 },
	{ "bare RSA", RFC6376_BARE, CRYPTO_KEY_RSA, 1024 },
	{ "RSA as Ed25519", RFC6376_PUBLIC, CRYPTO_KEY_ED25519, 0 },
	{ "Ed25519", RFC8463_ED25519_PUBLIC, CRYPTO_KEY_ED25519, 256 },
	{ "Ed25519 as RSA", RFC8463_ED25519_PUBLIC, CRYPTO_KEY_RSA, 0 },
	{ "Ed25519 as an Info",
		"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		CRYPTO_KEY_RSA, 0 },
	{ "nothing as RSA", "", CRYPTO_KEY_RSA, 0 },
	{ "nothing as Ed25519", "", CRYPTO_KEY_ED25519, 0 },
	{ "one more byte", RFC6376_PUBLIC "AA==", CRYPTO_KEY_RSA, 0 },
	{ "one more byte behind a bare one",
		"MIGJAoGBAPAhE/9QLdIGwSYapn1klbf8OQygZ4udCDV9afv/Ni0jE3ZKcUKP"
		"E4Iob2/dviNh9xM2HmKNKyrrfW4Ei0truh36/9G10LZTMnWVZP3jupH5Fxpz"
		"aBu2j80yonR/N9WMfg64qGK11j21/qZzAaNo0FxZOggyY9I8N1A81RhyRxDZ"
		"AgMBAAEA",
		CRYPTO_KEY_RSA, 0 },
};

START_TEST(public_keys_of_others_are_measured)
{
	unsigned char bytes[1024];
	size_t n;

	ck_assert(crypto_unbase64(slice_of(publics[_i].public), bytes,
		sizeof(bytes), &n));
	ck_assert_msg(crypto_public_bits(publics[_i].type,
			      (struct slice){ (const char *)bytes, n }) ==
			      publics[_i].bits,
		"%s", publics[_i].name);
}
END_TEST

/* Each with the key of the other kind, too. */
START_TEST(others_verify_what_is_signed)
{
	const char *err;
	struct crypto_key *key = crypto_key_read(
		slice_of(_i == 0 ? RFC8463_RSA_KEY : RFC8463_ED25519_KEY),
		&err);
	const struct slice public = crypto_key_public(key);
	const enum crypto_key_type type = crypto_key_type(key);
	const enum crypto_key_type other =
		type == CRYPTO_KEY_RSA ? CRYPTO_KEY_ED25519 : CRYPTO_KEY_RSA;
	unsigned char hash[CRYPTO_SHA256_SIZE] = "abc";
	unsigned char bytes[CRYPTO_SIGNATURE_MAX];
	struct slice signature = { (const char *)bytes,
		crypto_key_sign(key, hash, bytes) };

	ck_assert(crypto_public_verify(type, public, hash, signature));
	ck_assert(!crypto_public_verify(other, public, hash, signature));
	ck_assert(!crypto_public_verify(type, SLICE(""), hash, signature));
	ck_assert(!crypto_public_verify(type, public, hash, SLICE("")));
	signature.len--;
	ck_assert(!crypto_public_verify(type, public, hash, signature));
	signature.len++;
	bytes[0] ^= 1;
	ck_assert(!crypto_public_verify(type, public, hash, signature));
	bytes[0] ^= 1;
	hash[0] ^= 1;
	ck_assert(!crypto_public_verify(type, public, hash, signature));
	crypto_key_free(key);
}
END_TEST

START_TEST(a_bare_key_becomes_an_info)
{
	unsigned char bare[1024], info[1024], made[1024];
	size_t n_bare, n_info;

	ck_assert(crypto_unbase64(slice_of(RFC6376_BARE), bare, sizeof(bare),
		&n_bare));
	ck_assert(crypto_unbase64(slice_of(RFC6376_PUBLIC), info, sizeof(info),
		&n_info));
	ck_assert_uint_eq(
		crypto_public_info((struct slice){ (char *)bare, n_bare }, made,
			sizeof(made)),
		n_info);
	ck_assert_mem_eq(made, info, n_info);
	ck_assert_uint_eq(
		crypto_public_info((struct slice){ (char *)bare, n_bare }, made,
			n_info - 1),
		0);
	ck_assert_uint_eq(crypto_public_info(SLICE("a"), made, sizeof(made)),
		0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("crypto_key");
	TCase *tcase = tcase_create("crypto_key");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	/* An RSA key may take long to be found. */
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, keys_are_taken_and_sign, 0, N(good));
	tcase_add_loop_test(tcase, threads_share_a_key, 0, 2);
	tcase_add_loop_test(tcase, what_is_no_key_of_ours_is_refused, 0,
		N(bad));
	tcase_add_test(tcase, keys_have_a_greatest_length);
	tcase_add_test(tcase, keys_are_made);
	tcase_add_loop_test(tcase, public_keys_of_others_are_measured, 0,
		N(publics));
	tcase_add_loop_test(tcase, others_verify_what_is_signed, 0, 2);
	tcase_add_test(tcase, a_bare_key_becomes_an_info);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
