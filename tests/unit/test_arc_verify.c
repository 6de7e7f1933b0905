#include "common/mail/arc_verify.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/mail/dkim_canon.h"
#include "common/mail/kept_header.h"
#include "tests/unit/dkim_keys.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define SETS_MAX 50
#define BODY     "Hello.\r\n"

#define RSA_RECORD "v=DKIM1; k=rsa; p=" RFC8463_RSA_PUBLIC
#define ED25519_RECORD \
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* --- sealing, as a test needs it ---------------------------------------- */

/* The fields of the sets so far, without their names. */
struct sealed {
	struct str results, message, seal;
};

static struct sealed sets[SETS_MAX];
static size_t n_sets;
static struct crypto_key *key;
static bool is_rsa;
static struct crypto_sha256 *hash;
static struct kept_header header;
static struct arc_verifier *verifier;
static struct arc_outcome outcome;

static void
use(const char *pem)
{
	const char *err;

	crypto_key_free(key);
	key = crypto_key_read(slice_of(pem), &err);
	is_rsa = crypto_key_type(key) == CRYPTO_KEY_RSA;
}

static void
set_up(void)
{
	n_sets = 0;
	hash = crypto_sha256_new();
	use(RFC8463_ED25519_KEY);
	kept_header_init(&header, (size_t)1 << 20);
}

static void
tear_down(void)
{
	for (size_t i = 0; i < n_sets; i++) {
		str_free(&sets[i].results);
		str_free(&sets[i].message);
		str_free(&sets[i].seal);
	}
	arc_verifier_free(verifier);
	verifier = NULL;
	kept_header_free(&header);
	crypto_sha256_free(hash);
	crypto_key_free(key);
	key = NULL;
}

static void
add(void *to, const char *bytes, size_t n)
{
	crypto_sha256_add(to, bytes, n);
}

static void
hash_field(const char *name, struct slice value)
{
	dkim_canon_header(DKIM_RELAXED, slice_of(name), value, add, hash);
	crypto_sha256_add(hash, "\r\n", 2);
}

static void
sign(const char *name, struct str *field)
{
	unsigned char digest[CRYPTO_SHA256_SIZE], bytes[CRYPTO_SIGNATURE_MAX];

	dkim_canon_header(DKIM_RELAXED, slice_of(name), str_slice(field), add,
		hash);
	crypto_sha256_finish(hash, digest);
	crypto_append_base64(field, bytes, crypto_key_sign(key, digest, bytes));
}

static void
seal(size_t n)
{
	struct sealed *set = &sets[n - 1];

	crypto_sha256_start(hash);
	for (size_t i = 0; i < n; i++) {
		hash_field("ARC-Authentication-Results",
			str_slice(&sets[i].results));
		hash_field("ARC-Message-Signature",
			str_slice(&sets[i].message));
		if (i + 1 < n)
			hash_field("ARC-Seal", str_slice(&sets[i].seal));
	}
	sign("ARC-Seal", &set->seal);
}

/* Of "From: joe@example.com" and the body. more: tags. */
static void
add_set(const char *selector, const char *more)
{
	struct sealed *set = &sets[n_sets++];
	unsigned char digest[CRYPTO_SHA256_SIZE];

	str_init(&set->results, 4096);
	str_init(&set->message, 4096);
	str_init(&set->seal, 4096);
	str_printf(&set->results, " i=%zu; mx.example.com; none", n_sets);
	crypto_sha256_start(hash);
	crypto_sha256_add(hash, BODY, strlen(BODY));
	crypto_sha256_finish(hash, digest);
	str_printf(&set->message,
		" i=%zu; a=%s-sha256; c=relaxed/relaxed; d=example.com; s=%s;"
		" h=from:subject;%s bh=",
		n_sets, is_rsa ? "rsa" : "ed25519", selector, more);
	crypto_append_base64(&set->message, digest, sizeof(digest));
	str_append_text(&set->message, "; b=");
	crypto_sha256_start(hash);
	crypto_sha256_add(hash, "from:joe@example.com\r\n", 22);
	sign("ARC-Message-Signature", &set->message);
	str_printf(&set->seal,
		" i=%zu; a=%s-sha256; d=example.com; s=%s; cv=%s;"
		" b=",
		n_sets, is_rsa ? "rsa" : "ed25519", selector,
		n_sets == 1 ? "none" : "pass");
	seal(n_sets);
}

static void
put_sets(void)
{
	for (size_t i = n_sets; i-- > 0;) {
		kept_header_add(&header, SLICE("ARC-Seal"),
			str_slice(&sets[i].seal));
		kept_header_add(&header, SLICE("ARC-Message-Signature"),
			str_slice(&sets[i].message));
		kept_header_add(&header, SLICE("ARC-Authentication-Results"),
			str_slice(&sets[i].results));
	}
	kept_header_add(&header, SLICE("From"), SLICE(" joe@example.com"));
}

static size_t
verify(const struct dkim_record *record, const char *body)
{
	size_t n;

	verifier = arc_verifier_new(&header);
	n = arc_verifier_keys(verifier);
	for (size_t i = 0; i < n; i++)
		arc_verifier_answer(verifier, i, record);
	arc_verifier_body(verifier, slice_of(body));
	arc_verifier_end(verifier, &outcome);
	return n;
}

static size_t
verify_with(const char *text, const char *body)
{
	const struct dkim_record record = { .status = DKIM_RECORD_FOUND,
		.text = slice_of(text) };

	return verify(&record, body);
}

static void
assert_outcome(const char *result, const char *reason)
{
	ck_assert_str_eq(arc_result_name(outcome.result), result);
	ck_assert_msg(slice_eq_text(outcome.reason, reason), "%.*s",
		SLICE_ARG(outcome.reason));
}

/* --- tests -------------------------------------------------------------- */

START_TEST(there_is_no_chain)
{
	put_sets();
	ck_assert_uint_eq(verify_with(ED25519_RECORD, BODY), 0);
	assert_outcome("none", "");
}
END_TEST

START_TEST(chains_of_any_length_are_valid)
{
	for (int i = 0; i < _i; i++)
		add_set("s", "");
	put_sets();
	ck_assert_uint_eq(verify_with(ED25519_RECORD, BODY), 1);
	assert_outcome("pass", "");
	ck_assert_uint_eq(outcome.oldest_pass, 0);
	ck_assert_uint_eq(outcome.n, (unsigned)_i);
}
END_TEST

START_TEST(rsa_is_valid)
{
	use(RFC8463_RSA_KEY);
	add_set("s", "");
	put_sets();
	(void)verify_with(RSA_RECORD, BODY);
	assert_outcome("pass", "");
}
END_TEST

START_TEST(a_key_of_another_type_is_none)
{
	add_set("s", "");
	put_sets();
	(void)verify_with(RSA_RECORD, BODY);
	assert_outcome("fail", "the key is of another type");
}
END_TEST

START_TEST(a_body_that_was_changed_fails)
{
	add_set("s", "");
	put_sets();
	(void)verify_with(ED25519_RECORD, "Bye.\r\n");
	assert_outcome("fail", "the body has been changed");
}
END_TEST

START_TEST(a_field_that_was_added_fails)
{
	add_set("s", "");
	kept_header_add(&header, SLICE("Subject"), SLICE(" a"));
	put_sets();
	(void)verify_with(ED25519_RECORD, BODY);
	assert_outcome("fail", "a signature does not fit");
}
END_TEST

START_TEST(a_part_of_the_body_is_not_enough)
{
	add_set("s", " l=8;");
	put_sets();
	(void)verify_with(ED25519_RECORD, BODY);
	assert_outcome("fail", "only a part of the body is signed");
}
END_TEST

/* The first sealer's field was changed, and the second one says so. */
START_TEST(an_old_message_signature_may_be_broken)
{
	char *b;

	add_set("s", "");
	b = strstr(sets[0].message.data, " b=") + 3;
	*b = *b == 'A' ? 'B' : 'A';
	sets[0].seal.len = (size_t)(strstr(sets[0].seal.data, " b=") + 3 -
				    sets[0].seal.data);
	seal(1);
	add_set("s", "");
	add_set("s", "");
	put_sets();
	(void)verify_with(ED25519_RECORD, BODY);
	assert_outcome("pass", "");
	ck_assert_uint_eq(outcome.oldest_pass, 2);
}
END_TEST

START_TEST(an_old_seal_may_not_be_broken)
{
	char *b;

	add_set("s", "");
	add_set("s", "");
	b = strstr(sets[0].seal.data, " b=") + 3;
	*b = *b == 'A' ? 'B' : 'A';
	put_sets();
	(void)verify_with(ED25519_RECORD, BODY);
	assert_outcome("fail", "a signature does not fit");
}
END_TEST

START_TEST(results_that_were_changed_fail)
{
	add_set("s", "");
	sets[0].results.data[sets[0].results.len - 1] = 'x';
	put_sets();
	(void)verify_with(ED25519_RECORD, BODY);
	assert_outcome("fail", "a signature does not fit");
}
END_TEST

START_TEST(a_gap_needs_no_keys)
{
	add_set("s", "");
	add_set("s", "");
	kept_header_add(&header, SLICE("ARC-Seal"), str_slice(&sets[1].seal));
	put_sets();
	ck_assert_uint_eq(verify_with(ED25519_RECORD, BODY), 0);
	assert_outcome("fail", "ARC-Seal of instance 2 is there twice");
}
END_TEST

static const struct {
	struct dkim_record record;
	const char *reason;
} records[] = {
	{ { DKIM_RECORD_ABSENT, SLICE_INIT("") }, "there is no key" },
	{ { DKIM_RECORD_FAILED, SLICE_INIT("") }, "the DNS has no answer" },
	{ { DKIM_RECORD_UNKNOWN, SLICE_INIT("") },
		"the key is not known in time" },
	{ { DKIM_RECORD_FOUND, SLICE_INIT("p=") }, "the key has been revoked" },
};

START_TEST(a_key_that_cannot_be_had_fails)
{
	add_set("s", "");
	put_sets();
	ck_assert_uint_eq(verify(&records[_i].record, BODY), 1);
	assert_outcome("fail", records[_i].reason);
}
END_TEST

/* One more than that is not asked for. */
START_TEST(keys_are_bounded)
{
	char selector[16];

	for (int i = 0; i < _i; i++) {
		(void)snprintf(selector, sizeof(selector), "s%d", i);
		add_set(selector, "");
	}
	put_sets();
	if (_i <= (int)ARC_KEYS_MAX) {
		ck_assert_uint_eq(verify_with(ED25519_RECORD, BODY), _i);
		assert_outcome("pass", "");
	} else {
		ck_assert_uint_eq(verify_with(ED25519_RECORD, BODY), 0);
		assert_outcome("fail", "there are too many keys");
	}
}
END_TEST

START_TEST(a_header_with_a_nul_fails)
{
	add_set("s", "");
	kept_header_add(&header, SLICE("X"), SLICE("a\0b"));
	put_sets();
	(void)verify_with(ED25519_RECORD, BODY);
	assert_outcome("fail", "the header is malformed, or too long");
}
END_TEST

static Suite *
suite(void)
{
	Suite *suite = suite_create("arc_verify");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, there_is_no_chain);
	tcase_add_loop_test(tcase, chains_of_any_length_are_valid, 1,
		SETS_MAX + 1);
	tcase_add_test(tcase, rsa_is_valid);
	tcase_add_test(tcase, a_key_of_another_type_is_none);
	tcase_add_test(tcase, a_body_that_was_changed_fails);
	tcase_add_test(tcase, a_field_that_was_added_fails);
	tcase_add_test(tcase, a_part_of_the_body_is_not_enough);
	tcase_add_test(tcase, an_old_message_signature_may_be_broken);
	tcase_add_test(tcase, an_old_seal_may_not_be_broken);
	tcase_add_test(tcase, results_that_were_changed_fail);
	tcase_add_test(tcase, a_gap_needs_no_keys);
	tcase_add_loop_test(tcase, a_key_that_cannot_be_had_fails, 0,
		N(records));
	tcase_add_loop_test(tcase, keys_are_bounded, ARC_KEYS_MAX,
		ARC_KEYS_MAX + 2);
	tcase_add_test(tcase, a_header_with_a_nul_fails);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
