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
	tcase_add_test(tcase, bytes_are_compared_and_drawn);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
