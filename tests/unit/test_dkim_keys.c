#include "policyd/dkim_keys.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/config.h"

static struct config *
config_with(const char *master_key)
{
	struct config_errors errors = { NULL, 0 };
	struct config *config = config_parse(SLICE(""), "x", &errors);

	ck_assert_ptr_nonnull(config);
	config->dkim.master_key = x_strdup(master_key);
	return config;
}

#define ONE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define TWO "100102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const struct {
	const char *domain, *selector, *master_key;
	bool opens;
} openings[] = {
	{ "example.org", "s1", ONE, true },
	{ "example.org", "s2", ONE, false },
	{ "example.com", "s1", ONE, false },
	{ "example.orgs", "1", ONE, false },
	{ "example.org", "s1", TWO, false },
	{ "example.org", "s1", "", false },
};

START_TEST(a_key_opens_in_its_own_row_only)
{
	struct config *config = config_with(ONE), *other;
	const char *err = "";
	struct str sealed;
	size_t len;
	char *pem;

	str_init(&sealed, DKIM_SEALED_MAX);
	ck_assert(dkim_keys_seal(config, SLICE("example.org"), SLICE("s1"),
		SLICE("a key"), &sealed));
	other = config_with(openings[_i].master_key);
	pem = dkim_keys_open(other, slice_of(openings[_i].domain),
		slice_of(openings[_i].selector), str_slice(&sealed), &len,
		&err);
	ck_assert_int_eq(pem != NULL, openings[_i].opens);
	if (pem != NULL) {
		ck_assert_uint_eq(len, strlen("a key"));
		ck_assert_str_eq(pem, "a key");
		x_free_secret(pem, len);
	} else {
		ck_assert_ptr_nonnull(strstr(err, "master_key_file"));
	}
	str_free(&sealed);
	config_unref(other);
	config_unref(config);
}
END_TEST

START_TEST(nothing_is_sealed_without_a_master_key)
{
	struct config *config = config_with("");
	struct str sealed;

	str_init(&sealed, DKIM_SEALED_MAX);
	ck_assert(!dkim_keys_seal(config, SLICE("example.org"), SLICE("s1"),
		SLICE("a key"), &sealed));
	ck_assert_uint_eq(sealed.len, 0);
	str_free(&sealed);
	config_unref(config);
}
END_TEST

static const struct {
	const char *selector;
	bool is_plain;
} selectors[] = {
	{ "dkim", true },
	{ "s202611r", true },
	{ "a.b-c.d", true },
	{ "1", true },
	{ "", false },
	{ "A", false },
	{ "a_b", false },
	{ "a b", false },
	{ ".a", false },
	{ "a.", false },
	{ "a..b", false },
	{ "-a", false },
	{ "a-", false },
	{ "a.-b", false },
	{ "a-.b", false },
	{ "\xc3\xa9", false },
	{ "0123456789012345678901234567890123456789012345678901234567890123",
		false },
};

START_TEST(selectors_are_names)
{
	ck_assert_msg(
		dkim_selector_is_plain(slice_of(selectors[_i].selector)) ==
			selectors[_i].is_plain,
		"%s", selectors[_i].selector);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("dkim_keys");
	TCase *tcase = tcase_create("dkim_keys");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, a_key_opens_in_its_own_row_only, 0,
		N(openings));
	tcase_add_test(tcase, nothing_is_sealed_without_a_master_key);
	tcase_add_loop_test(tcase, selectors_are_names, 0, N(selectors));
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
