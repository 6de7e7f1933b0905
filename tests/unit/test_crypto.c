#include "common/base/crypto.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 2202, 3. */
static const struct {
	const char *name;
	struct slice key, bytes;
	const char *digest;
} hmac_cases[] = {
	{ "eight words", SLICE_INIT("Jefe"),
		SLICE_INIT("what do ya want for nothing?"),
		"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
	{ "bytes",
		SLICE_INIT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
			   "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
		SLICE_INIT("Hi There"),
		"b617318655057264e28bc0b6fb378c8ef146be00" },
	{ "nothing", SLICE_INIT("key"), SLICE_INIT(""),
		"f42bb0eeb018ebbd4597ae7213711ec60760843f" },
};

START_TEST(hmac_is_that_of_the_standard)
{
	unsigned char digest[CRYPTO_SHA1_SIZE];
	char text[2 * CRYPTO_SHA1_SIZE + 1];

	crypto_hmac_sha1(hmac_cases[_i].key, hmac_cases[_i].bytes, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
	ck_assert_msg(strcmp(text, hmac_cases[_i].digest) == 0, "%s: %s",
		hmac_cases[_i].name, text);
}
END_TEST

/* RFC 4648, 10, without the padding. */
static const struct {
	const char *bytes, *text;
} base64_cases[] = {
	{ "", "" },
	{ "f", "Zg" },
	{ "fo", "Zm8" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg" },
	{ "fooba", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xef\xbe", "/+++" },
};

START_TEST(base64_is_that_of_the_standard)
{
	char text[CRYPTO_BASE64_SIZE(6)];
	const size_t n = strlen(base64_cases[_i].bytes);

	memset(text, 'x', sizeof(text));
	crypto_base64(base64_cases[_i].bytes, n, text);
	ck_assert_str_eq(text, base64_cases[_i].text);
	ck_assert_uint_eq(strlen(text) + 1, CRYPTO_BASE64_SIZE(n));
}
END_TEST

START_TEST(base64_is_padded_and_read_back)
{
	const size_t n = strlen(base64_cases[_i].bytes);
	char bytes[6];
	struct str text;
	size_t n_back;

	str_init(&text, 100);
	crypto_append_base64(&text, base64_cases[_i].bytes, n);
	ck_assert_uint_eq(text.len, (n + 2) / 3 * 4);
	ck_assert(slice_starts(str_slice(&text),
		slice_of(base64_cases[_i].text)));
	ck_assert(crypto_unbase64(str_slice(&text), bytes, n, &n_back));
	ck_assert_uint_eq(n_back, n);
	ck_assert_mem_eq(bytes, base64_cases[_i].bytes, n);
	str_free(&text);
}
END_TEST

START_TEST(long_base64_is_in_one_piece)
{
	char bytes[1000], back[1000];
	struct str text;
	size_t n_back;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	str_init(&text, 2000);
	crypto_append_base64(&text, bytes, sizeof(bytes));
	ck_assert_uint_eq(text.len, 1336);
	ck_assert(slice_find(str_slice(&text), '=') == 1334);
	ck_assert(
		crypto_unbase64(str_slice(&text), back, sizeof(back), &n_back));
	ck_assert_uint_eq(n_back, sizeof(bytes));
	ck_assert_mem_eq(back, bytes, sizeof(bytes));
	ck_assert(!crypto_unbase64(str_slice(&text), back, sizeof(back) - 1,
		&n_back));
	str_free(&text);
}
END_TEST

/* bytes NULL: it is none. */
static const struct {
	struct slice text;
	const char *bytes;
} unbase64_cases[] = {
	{ SLICE_INIT("Zm9v"), "foo" },
	{ SLICE_INIT("Zg=="), "f" },
	{ SLICE_INIT("Zg"), "f" },
	{ SLICE_INIT("Zm8="), "fo" },
	{ SLICE_INIT("Zm8"), "fo" },
	{ SLICE_INIT(" Z m\r\n\t9v\n"), "foo" },
	{ SLICE_INIT("Zg = = "), "f" },
	{ SLICE_INIT("  "), "" },
	{ SLICE_INIT("Z"), NULL },
	{ SLICE_INIT("Zm9vZ"), NULL },
	{ SLICE_INIT("Zg="), NULL },
	{ SLICE_INIT("Zm8=="), NULL },
	{ SLICE_INIT("Zm9v="), NULL },
	{ SLICE_INIT("="), NULL },
	{ SLICE_INIT("Zm9v===="), NULL },
	{ SLICE_INIT("Zg==Zg=="), NULL },
	{ SLICE_INIT("Zm9-"), NULL },
	{ SLICE_INIT("Zm9\0"), NULL },
	{ SLICE_INIT("Zm9\xe4"), NULL },
};

START_TEST(base64_of_others_is_read_or_refused)
{
	char bytes[16];
	size_t n;
	const bool is_read = crypto_unbase64(unbase64_cases[_i].text, bytes,
		sizeof(bytes), &n);

	ck_assert_msg(is_read == (unbase64_cases[_i].bytes != NULL), "%.*s",
		SLICE_ARG(unbase64_cases[_i].text));
	ck_assert(!is_read || slice_eq_text((struct slice){ bytes, n },
				      unbase64_cases[_i].bytes));
}
END_TEST

/* FIPS 180-2, B.1 and B.2; and nothing. */
static const struct {
	const char *text, *hash;
} sha256_cases[] = {
	{ "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"JI1qYdIGOLjlwCaTDD5gOaM85Flk/yFn9uzt1BnbBsE" },
	{ "", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU" },
};

START_TEST(sha256_is_that_of_the_standard)
{
	const char *text = sha256_cases[_i].text;
	struct crypto_sha256 *hash = crypto_sha256_new();
	unsigned char out[CRYPTO_SHA256_SIZE];
	char shown[CRYPTO_BASE64_SIZE(CRYPTO_SHA256_SIZE)];

	/* At once, in single bytes, and after something that is forgotten. */
	for (int round = 0; round < 3; round++) {
		const size_t step = round == 1 ? 1 : strlen(text);

		if (round == 2)
			crypto_sha256_add(hash, "forgotten", 9);
		if (round > 0)
			crypto_sha256_start(hash);
		for (size_t i = 0; i < strlen(text); i += step)
			crypto_sha256_add(hash, text + i, step);
		crypto_sha256_finish(hash, out);
		crypto_base64(out, sizeof(out), shown);
		ck_assert_str_eq(shown, sha256_cases[_i].hash);
	}
	crypto_sha256_free(hash);
	crypto_sha256_free(NULL);
}
END_TEST

START_TEST(bytes_are_compared_and_drawn)
{
	char a[32] = "", b[32] = "";

	ck_assert(crypto_equal(a, b, sizeof(a)));
	b[31] = 1;
	ck_assert(!crypto_equal(a, b, sizeof(a)));
	ck_assert(crypto_equal(a, b, 31));
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("crypto");
	TCase *tcase = tcase_create("crypto");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, hmac_is_that_of_the_standard, 0,
		N(hmac_cases));
	tcase_add_loop_test(tcase, base64_is_that_of_the_standard, 0,
		N(base64_cases));
	tcase_add_loop_test(tcase, base64_is_padded_and_read_back, 0,
		N(base64_cases));
	tcase_add_test(tcase, long_base64_is_in_one_piece);
	tcase_add_loop_test(tcase, base64_of_others_is_read_or_refused, 0,
		N(unbase64_cases));
	tcase_add_loop_test(tcase, sha256_is_that_of_the_standard, 0,
		N(sha256_cases));
	tcase_add_test(tcase, bytes_are_compared_and_drawn);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
