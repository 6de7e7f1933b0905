#include "common/mail/dkim_key.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "tests/unit/dkim_keys.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

/* Of 2048 bits, as a SubjectPublicKeyInfo; and of 512 bits. */
#define RSA_2048                                                           \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2DBoRKJN+F4lILMzu3Lm" \
	"KYf3cNJZYiNfPsMF9Mm1DcI5JnPPY30TWejhBeQX7sjGAKBwfeg/RISACKl845rx" \
	"bY2SK2E8s29l/+Appe7sRi4npEhY6wDS9Zsm4N+hSnjAFefbNO/PviK3EE669ROn" \
	"u6tdu/2EcAhsvimUNEpdgqy/iHT7giuVgCbWE9c0P4dz0P8VHBy51LXpuQToq4O7" \
	"MHqMXX2VrF7u1nhg2IhTjleaTJnbnhX7p+QiXvDH3RCeGLF6sQsWtsqqzZJZF+EU" \
	"qYRH8K3lP7L9A7Fo/3mlphQ4WoL3dgMIsSHf5RWBrGNl+xum7P0qk4aAZPRn7URo" \
	"oQIDAQAB"
#define RSA_512                                                            \
	"MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANmBe10IgY+u7h3enWTukkqtUD5PR52T" \
	"b/mPfjC0QJTocVBq6Za/PlzfV+Py92VaCak19F4WrbVTK5Gg5tW220MCAwEAAQ=="
#define ED25519 RFC8463_ED25519_PUBLIC

enum { TEST = 1, STRICT = 2 };

static const struct {
	const char *name, *record;
	enum dkim_key_type type;
	unsigned bits;
	enum dkim_key_fitness fitness;
	unsigned flags;
} good[] = {
	{ "RSA", "v=DKIM1; k=rsa; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, 0 },
	{ "Ed25519", "v=DKIM1; k=ed25519; p=" ED25519, DKIM_KEY_ED25519, 256,
		DKIM_KEY_FIT, 0 },
	{ "only the key", "p=" RSA_2048, DKIM_KEY_RSA, 2048, DKIM_KEY_FIT, 0 },
	{ "without a version", "k=ed25519; p=" ED25519, DKIM_KEY_ED25519, 256,
		DKIM_KEY_FIT, 0 },
	{ "white space in the key",
		"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7h \tcvPapiMlrwIaaPcHURo =",
		DKIM_KEY_ED25519, 256, DKIM_KEY_FIT, 0 },
	{ "of 1024 bits", "v=DKIM1; p=" RFC6376_PUBLIC, DKIM_KEY_RSA, 1024,
		DKIM_KEY_SHORT, 0 },
	{ "of 512 bits", "v=DKIM1; p=" RSA_512, DKIM_KEY_RSA, 512,
		DKIM_KEY_TOO_SHORT, 0 },
	{ "revoked", "v=DKIM1; p=", DKIM_KEY_RSA, 0, DKIM_KEY_REVOKED, 0 },
	{ "revoked, of another type", "v=DKIM1; k=new; p=;", DKIM_KEY_OTHER, 0,
		DKIM_KEY_REVOKED, 0 },
	{ "of another type", "v=DKIM1; k=new; p=$$$", DKIM_KEY_OTHER, 0,
		DKIM_KEY_UNKNOWN_TYPE, 0 },
	{ "the type in capitals", "v=DKIM1; k=RSA; p=" RSA_2048, DKIM_KEY_OTHER,
		0, DKIM_KEY_UNKNOWN_TYPE, 0 },
	{ "for SHA-1 only", "v=DKIM1; h=sha1; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_NO_SHA256, 0 },
	{ "for both", "v=DKIM1; h=sha1:sha256; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, 0 },
	{ "for SHA-256", "v=DKIM1; h=sha256; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, 0 },
	{ "for no hash", "v=DKIM1; h=; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_NO_SHA256, 0 },
	{ "for mail", "v=DKIM1; s=email; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, 0 },
	{ "for everything", "v=DKIM1; s=*; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, 0 },
	{ "for something and mail", "v=DKIM1; s=tlsrpt:email; p=" RSA_2048,
		DKIM_KEY_RSA, 2048, DKIM_KEY_FIT, 0 },
	{ "for something else", "v=DKIM1; s=tlsrpt; p=" RSA_2048, DKIM_KEY_RSA,
		2048, DKIM_KEY_NOT_FOR_MAIL, 0 },
	{ "in testing", "v=DKIM1; t=y; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, TEST },
	{ "strict", "v=DKIM1; t=s; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, STRICT },
	{ "both, and a flag that is not known",
		"v=DKIM1; t=s : x : y; p=" RSA_2048, DKIM_KEY_RSA, 2048,
		DKIM_KEY_FIT, TEST | STRICT },
	{ "tags that are not known", "v=DKIM1; g=*; n=note; p=" RSA_2048,
		DKIM_KEY_RSA, 2048, DKIM_KEY_FIT, 0 },
};

START_TEST(records_are_taken_apart_and_judged)
{
	const char *name = good[_i].name, *err;
	struct dkim_key key;

	ck_assert_msg(dkim_key_parse(slice_of(good[_i].record), &key, &err) ==
			      0,
		"%s: %s", name, err);
	ck_assert_msg(key.type == good[_i].type, "%s: type", name);
	ck_assert_msg(key.bits == good[_i].bits, "%s: %u bits", name, key.bits);
	ck_assert_msg(dkim_key_fitness(&key) == good[_i].fitness, "%s: %s",
		name, dkim_key_fitness_text(dkim_key_fitness(&key)));
	ck_assert_msg(key.is_test == ((good[_i].flags & TEST) != 0), "%s: t=y",
		name);
	ck_assert_msg(key.is_strict == ((good[_i].flags & STRICT) != 0),
		"%s: t=s", name);
	ck_assert_msg((key.n_bytes > 0) == (key.bits > 0), "%s: bytes", name);
}
END_TEST

static const struct {
	const char *name, *record, *err;
} bad[] = {
	{ "nothing", "", "there is no tag" },
	{ "no list", "hello", "a tag has no value" },
	{ "no key", "v=DKIM1; k=rsa", "there is no p=" },
	{ "no key of another type", "v=DKIM1; k=new", "there is no p=" },
	{ "another version", "v=DKIM2; p=" RSA_2048,
		"v= is not DKIM1, or not the first tag" },
	{ "the version in small letters", "v=dkim1; p=" RSA_2048,
		"v= is not DKIM1, or not the first tag" },
	{ "the version behind", "p=" RSA_2048 "; v=DKIM1",
		"v= is not DKIM1, or not the first tag" },
	{ "another version, revoked",
		"v=spf1; p=", "v= is not DKIM1, or not the first tag" },
	{ "two keys", "v=DKIM1; p=" RSA_2048 "; p=" RSA_2048,
		"a tag stands there twice" },
	{ "no base64", "v=DKIM1; p=!!!!", "p= is not base64, or too long" },
	{ "base64 cut short", "v=DKIM1; p=" RSA_2048 "A",
		"p= is not base64, or too long" },
	{ "no key", "v=DKIM1; p=AAAA",
		"p= is not a public key of the type that k= says" },
	{ "a bit of a key", "v=DKIM1; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
		"p= is not a public key of the type that k= says" },
	{ "one type in place of the other", "v=DKIM1; k=rsa; p=" ED25519,
		"p= is not a public key of the type that k= says" },
	{ "the other in place of the one", "v=DKIM1; k=ed25519; p=" RSA_2048,
		"p= is not a public key of the type that k= says" },
};

START_TEST(records_that_are_wrong_say_why)
{
	const char *err = NULL;
	struct dkim_key key;

	ck_assert_msg(dkim_key_parse(slice_of(bad[_i].record), &key, &err) ==
			      -1,
		"%s was accepted", bad[_i].name);
	ck_assert_msg(strcmp(err, bad[_i].err) == 0, "%s: %s", bad[_i].name,
		err);
}
END_TEST

START_TEST(keys_are_bounded)
{
	const char *err = NULL;
	struct dkim_key key;
	struct str text;

	str_init(&text, 4096);
	str_append_text(&text, "p=");
	while (text.len < 2 + (DKIM_KEY_BYTES_MAX + 3) / 3 * 4)
		str_append_char(&text, 'A');
	ck_assert_int_eq(dkim_key_parse(str_slice(&text), &key, &err), -1);
	ck_assert_str_eq(err, "p= is not base64, or too long");
	str_free(&text);
}
END_TEST

START_TEST(only_some_keys_are_usable)
{
	ck_assert(dkim_key_is_usable(DKIM_KEY_FIT));
	ck_assert(dkim_key_is_usable(DKIM_KEY_SHORT));
	ck_assert(!dkim_key_is_usable(DKIM_KEY_TOO_SHORT));
	ck_assert(!dkim_key_is_usable(DKIM_KEY_REVOKED));
	ck_assert(!dkim_key_is_usable(DKIM_KEY_UNKNOWN_TYPE));
	ck_assert(!dkim_key_is_usable(DKIM_KEY_NO_SHA256));
	ck_assert(!dkim_key_is_usable(DKIM_KEY_NOT_FOR_MAIL));
}
END_TEST

/* --- writing ------------------------------------------------------------ */

static const struct {
	const char *pem;
	unsigned flags;
	const char *record;
} written[] = {
	{ RFC6376_KEY, 0, "v=DKIM1; k=rsa; p=" RFC6376_PUBLIC },
	{ RFC6376_KEY, TEST, "v=DKIM1; k=rsa; t=y; p=" RFC6376_PUBLIC },
	{ RFC8463_ED25519_KEY, 0, "v=DKIM1; k=ed25519; p=" ED25519 },
	{ RFC8463_ED25519_KEY, STRICT, "v=DKIM1; k=ed25519; t=s; p=" ED25519 },
	{ RFC8463_ED25519_KEY, TEST | STRICT,
		"v=DKIM1; k=ed25519; t=y:s; p=" ED25519 },
};

START_TEST(records_are_written)
{
	const char *err;
	struct crypto_key *private =
		crypto_key_read(slice_of(written[_i].pem), &err);
	struct dkim_key key, again;
	struct str text;

	ck_assert_ptr_nonnull(private);
	dkim_key_of(private, &key);
	key.is_test = (written[_i].flags & TEST) != 0;
	key.is_strict = (written[_i].flags & STRICT) != 0;
	str_init(&text, DKIM_KEY_TEXT_MAX);
	dkim_key_write(&key, &text);
	ck_assert_str_eq(str_text(&text), written[_i].record);
	ck_assert_int_eq(dkim_key_parse(str_slice(&text), &again, &err), 0);
	ck_assert_mem_eq(&again, &key, sizeof(key));
	str_free(&text);
	crypto_key_free(private);
}
END_TEST

START_TEST(a_key_is_revoked_by_publishing_none)
{
	struct dkim_key key = { .type = DKIM_KEY_ED25519,
		.takes_sha256 = true,
		.is_for_mail = true,
		.is_revoked = true };
	struct dkim_key again;
	const char *err;
	struct str text;

	str_init(&text, DKIM_KEY_TEXT_MAX);
	dkim_key_write(&key, &text);
	ck_assert_str_eq(str_text(&text), "v=DKIM1; k=ed25519; p=");
	ck_assert_int_eq(dkim_key_parse(str_slice(&text), &again, &err), 0);
	ck_assert_int_eq(dkim_key_fitness(&again), DKIM_KEY_REVOKED);
	str_free(&text);
}
END_TEST

static const struct {
	const char *name, *text, *strings;
} strings[] = {
	{ "one", "v=DKIM1; k=ed25519; p=abc", "\"v=DKIM1; k=ed25519; p=abc\"" },
	{ "nothing", "", "\"\"" },
	{ "what is escaped", "a\"b\\c\t\xc3\xa4",
		"\"a\\\"b\\\\c\\009\\195\\164\"" },
};

START_TEST(strings_are_quoted)
{
	struct str text;

	str_init(&text, DKIM_KEY_STRINGS_MAX);
	dkim_key_write_strings(slice_of(strings[_i].text), &text);
	ck_assert_msg(strcmp(str_text(&text), strings[_i].strings) == 0,
		"%s: %s", strings[_i].name, str_text(&text));
	str_free(&text);
}
END_TEST

START_TEST(strings_have_255_bytes_at_most)
{
	char bytes[511];
	struct str text;

	memset(bytes, 'x', sizeof(bytes));
	str_init(&text, DKIM_KEY_STRINGS_MAX);
	for (size_t n = 254; n <= 511; n++) {
		struct slice rest, part;
		size_t left = n;

		str_reset(&text);
		dkim_key_write_strings((struct slice){ bytes, n }, &text);
		rest = str_slice(&text);
		while (slice_split(&rest, ' ', &part)) {
			const size_t len = left < 255 ? left : 255;

			ck_assert_uint_eq(part.len, len + 2);
			left -= len;
		}
		ck_assert_uint_eq(left, 0);
	}
	str_free(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dkim_key");
	TCase *tcase = tcase_create("dkim_key");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, records_are_taken_apart_and_judged, 0,
		N(good));
	tcase_add_loop_test(tcase, records_that_are_wrong_say_why, 0, N(bad));
	tcase_add_test(tcase, keys_are_bounded);
	tcase_add_test(tcase, only_some_keys_are_usable);
	tcase_add_loop_test(tcase, records_are_written, 0, N(written));
	tcase_add_test(tcase, a_key_is_revoked_by_publishing_none);
	tcase_add_loop_test(tcase, strings_are_quoted, 0, N(strings));
	tcase_add_test(tcase, strings_have_255_bytes_at_most);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
