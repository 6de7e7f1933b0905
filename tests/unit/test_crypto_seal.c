#include "common/base/crypto_seal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 64

static size_t
unhex(const char *hex, unsigned char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; *hex != '\0'; hex += 2)
		out[n++] =
			(unsigned char)((strchr(digits, hex[0]) - digits) << 4 |
					(strchr(digits, hex[1]) - digits));
	return n;
}

/* Test case 16 of the specification of GCM that NIST has. */
START_TEST(the_vector_of_the_standard_opens)
{
	unsigned char key[CRYPTO_SEAL_KEY_SIZE], context[20], text[60];
	unsigned char sealed[60 + CRYPTO_SEAL_EXTRA], out[sizeof(sealed)];
	size_t n = 0;

	unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
		key);
	unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", context);
	unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		text);
	ck_assert_uint_eq(
		unhex("cafebabefacedbaddecaf888"
		      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd"
		      "2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
		      "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
			sealed),
		sizeof(sealed));
	ck_assert(crypto_unseal(key,
		(struct slice){ (char *)context, sizeof(context) },
		(struct slice){ (char *)sealed, sizeof(sealed) }, out, &n));
	ck_assert_uint_eq(n, sizeof(text));
	ck_assert_mem_eq(out, text, sizeof(text));
}
END_TEST

static const unsigned char key[CRYPTO_SEAL_KEY_SIZE] = "a key of some bytes";

START_TEST(what_was_sealed_opens)
{
	static const struct slice texts[] = { SLICE_INIT(""), SLICE_INIT("x"),
		SLICE_INIT("-----BEGIN PRIVATE KEY-----\n") };
	const struct slice text = texts[_i], context = SLICE("example.org s");
	unsigned char sealed[TEXT_MAX], again[TEXT_MAX], out[TEXT_MAX];
	size_t n = 1;

	crypto_seal(key, context, text, sealed);
	crypto_seal(key, context, text, again);
	ck_assert_mem_ne(sealed, again, text.len + CRYPTO_SEAL_EXTRA);
	ck_assert(crypto_unseal(key, context,
		(struct slice){ (char *)sealed, text.len + CRYPTO_SEAL_EXTRA },
		out, &n));
	ck_assert_uint_eq(n, text.len);
	ck_assert_mem_eq(out, text.ptr, n);
	ck_assert(text.len == 0 ||
		  memmem(sealed, sizeof(sealed), text.ptr, text.len) == NULL ||
		  text.len == 1);
}
END_TEST

/* Each single bit, a piece too few, and another key or context. */
START_TEST(what_was_changed_does_not_open)
{
	const struct slice text = SLICE("a secret"), context = SLICE("one");
	unsigned char sealed[TEXT_MAX], out[TEXT_MAX], none[TEXT_MAX] = "";
	unsigned char other[CRYPTO_SEAL_KEY_SIZE] = "another";
	struct slice all = { (char *)sealed, text.len + CRYPTO_SEAL_EXTRA };
	size_t n;

	crypto_seal(key, context, text, sealed);
	for (size_t i = 0; i < all.len * 8; i++) {
		memset(out, 'x', sizeof(out));
		sealed[i / 8] ^= (unsigned char)(1 << i % 8);
		ck_assert(!crypto_unseal(key, context, all, out, &n));
		ck_assert_uint_eq(n, 0);
		ck_assert_mem_eq(out, none, text.len);
		sealed[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	for (size_t len = 0; len < all.len; len++)
		ck_assert(!crypto_unseal(key, context, slice_part(all, 0, len),
			out, &n));
	ck_assert(!crypto_unseal(other, context, all, out, &n));
	ck_assert(!crypto_unseal(key, SLICE("two"), all, out, &n));
	ck_assert(!crypto_unseal(key, SLICE(""), all, out, &n));
	ck_assert(crypto_unseal(key, context, all, out, &n));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("crypto_seal");
	TCase *tcase = tcase_create("crypto_seal");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, the_vector_of_the_standard_opens);
	tcase_add_loop_test(tcase, what_was_sealed_opens, 0, 3);
	tcase_add_test(tcase, what_was_changed_does_not_open);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
