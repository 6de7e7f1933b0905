#include "milter/signing.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/mail/header_from.h"
#include "common/mail/tag_list.h"
#include "tests/unit/dkim_keys.h"

#define NOW 1528637909
#define OWN "mx.example.com"

static struct signing *signing;
static struct signing_settings settings;
static struct signing_keys keys; /* RSA, Ed25519 */
static struct crypto_key *rsa, *ed25519;
static struct signing_result result;
/* Of the message that is told. */
static struct slice from_values[2];
static size_t n_from;

static struct crypto_key *
read_key(const char *pem)
{
	const char *err;
	struct crypto_key *key = crypto_key_read(slice_of(pem), &err);

	ck_assert_msg(key != NULL, "%s", err);
	return key;
}

static void
set_up(void)
{
	rsa = read_key(RFC8463_RSA_KEY);
	ed25519 = read_key(RFC8463_ED25519_KEY);
	signing = signing_new();
	settings = (struct signing_settings){ .is_on = true,
		.header = DKIM_RELAXED,
		.body = DKIM_RELAXED };
	settings.fields = dkim_fields_default(&settings.n_fields);
	keys = (struct signing_keys){ .is_known = true, .n = 2 };
	keys.keys[0] = (struct signing_key){ SLICE("football.example.com"),
		SLICE("test"), rsa };
	keys.keys[1] = (struct signing_key){ SLICE("football.example.com"),
		SLICE("brisbane"), ed25519 };
}

static void
tear_down(void)
{
	signing_free(signing);
	crypto_key_free(ed25519);
	crypto_key_free(rsa);
}

/* --- telling ------------------------------------------------------------ */

static void
start(const char *own_id)
{
	n_from = 0;
	signing_start(signing, &settings, slice_of(own_id));
}

static void
field(const char *name, const char *value)
{
	if (slice_case_eq(slice_of(name), SLICE("From")) && n_from < 2)
		from_values[n_from++] = slice_of(value);
	signing_header(signing, slice_of(name), slice_of(value));
}

static void
end_header_for(const char *domain)
{
	struct arena *arena = arena_new(HEADER_FROM_ARENA_BYTES);
	struct header_from from;

	header_from_read(arena, from_values, n_from, &from);
	ck_assert(slice_eq_text(signing_header_end(signing, &from), domain));
	arena_free(arena);
}

static void
end(void)
{
	signing_end(signing, &keys, NOW, &result);
}

static void
rest_of_example(void)
{
	field("To", " Suzie Q <suzie@shopping.example.net>");
	field("Subject", " Is dinner ready?");
	field("Date", " Fri, 11 Jul 2003 21:00:37 -0700 (PDT)");
	field("Message-ID",
		" <20030712040037.46341.5F8J@football.example.com>");
	end_header_for("football.example.com");
	ck_assert(signing_wants_body(signing));
	signing_body(signing,
		SLICE("Hi.\r\n\r\nWe lost the game.  Are you hungry yet?"));
	signing_body(signing, SLICE("\r\n\r\nJoe.\r\n"));
}

/* RFC 6376, A.1 and RFC 8463, A.3. */
static void
tell_example(void)
{
	start(OWN);
	field("From", " Joe SixPack <joe@football.example.com>");
	rest_of_example();
}

static void
assert_unsigned(const char *why_not)
{
	ck_assert_uint_eq(result.n, 0);
	ck_assert_uint_eq(result.names.len, 0);
	ck_assert_str_eq(result.why_not, why_not);
}

static const struct slice *
tag(size_t i, const char *name)
{
	static struct tag_list list;
	const char *err;

	ck_assert_uint_lt(i, result.n);
	ck_assert_int_eq(tag_list_parse(result.signatures[i], &list, &err), 0);
	return tag_list_find(&list, name);
}

static void
assert_tag(size_t i, const char *name, const char *value)
{
	const struct slice *found = tag(i, name);

	ck_assert_ptr_nonnull(found);
	ck_assert_msg(slice_eq_text(*found, value), "%s=%.*s", name,
		SLICE_ARG(*found));
}

/* --- what is signed ----------------------------------------------------- */

/* The same that test_dkim_sign.c has, and that others have verified. */
START_TEST(both_keys_sign)
{
	tell_example();
	end();
	ck_assert_uint_eq(result.n, 2);
	ck_assert_str_eq(result.why_not, "");
	ck_assert(!result.is_failed);
	ck_assert(slice_eq_text(result.names,
		"football.example.com/test,football.example.com/brisbane"));
	ck_assert(slice_eq_text(result.signatures[0],
		" v=1; a=rsa-sha256; c=relaxed/relaxed; d=football.example.com;\n"
		" s=test; t=1528637909; h=From:From:Reply-To:Subject:Subject:Date:Date:To:To:\n"
		" Cc:Message-ID:Message-ID:In-Reply-To:References:MIME-Version:Content-Type:\n"
		" Content-Transfer-Encoding; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		" b=J7sFL203DUKIJHijFkW0atFHPzn5KpKMiUN5oHwH4N72kG8OQhOuZV7uGazVc6DSvs/0hYvhH2D\n"
		" l7rK1KJuGcJXqil9DkjX68NWAhfZbjpmvJ8xxAWHnL0LnnVZpdRYRpINFrqOlTNwjEXgqb3QnHT9q\n"
		" JW1q4U1bnfTgVmw/P38="));
	assert_tag(1, "a", "ed25519-sha256");
	ck_assert_ptr_null(tag(1, "x"));
}
END_TEST

START_TEST(signs_as_the_settings_say)
{
	static const struct dkim_field fields[] = {
		{ SLICE_INIT("From"), true },
		{ SLICE_INIT("X-Own"), true },
	};

	settings.header = DKIM_SIMPLE;
	settings.body = DKIM_SIMPLE;
	settings.expire_s = 86400;
	settings.fields = fields;
	settings.n_fields = 2;
	tell_example();
	end();
	assert_tag(0, "c", "simple/simple");
	assert_tag(0, "x", "1528724309");
	assert_tag(0, "h", "From:From:X-Own");
	settings.body = DKIM_RELAXED;
	tell_example();
	end();
	assert_tag(0, "c", "simple/relaxed");
}
END_TEST

START_TEST(a_message_is_as_the_one_before_never_was)
{
	char first[4096];

	tell_example();
	end();
	ck_assert_uint_eq(result.n, 2);
	(void)snprintf(first, sizeof(first), "%.*s",
		SLICE_ARG(result.signatures[0]));
	/* One is left at each stage. */
	start(OWN);
	start(OWN);
	field("From", " joe@football.example.com");
	field("DKIM-Signature", " v=1; d=football.example.com; s=test; b=x");
	start(OWN);
	field("From", " joe@football.example.com");
	end_header_for("football.example.com");
	signing_body(signing, SLICE("other\r\n"));
	tell_example();
	end();
	ck_assert(slice_eq_text(result.signatures[0], first));
}
END_TEST

START_TEST(a_body_need_not_be_there)
{
	start(OWN);
	field("From", " joe@football.example.com");
	end_header_for("football.example.com");
	end();
	ck_assert_uint_eq(result.n, 2);
	/* Of nothing. */
	assert_tag(0, "bh", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}
END_TEST

START_TEST(several_addresses_of_one_domain_are_signed)
{
	start(OWN);
	field("From", " a@Football.example.COM, b@football.example.com");
	end_header_for("football.example.com");
	end();
	ck_assert_uint_eq(result.n, 2);
}
END_TEST

/* --- what is not -------------------------------------------------------- */

/* From fields; what is said. */
static const struct {
	const char *values[2];
	const char *why_not;
} bad_from[] = {
	{ { NULL }, "there is no From field" },
	{ { " a@example.com", " a@example.com" },
		"there are several From fields" },
	{ { " a@[192.0.2.1]" }, "From has no domain" },
};

START_TEST(who_wrote_it_has_to_be_clear)
{
	start(OWN);
	for (size_t i = 0; i < 2 && bad_from[_i].values[i] != NULL; i++)
		field("From", bad_from[_i].values[i]);
	end_header_for("");
	ck_assert(!signing_wants_body(signing));
	signing_body(signing, SLICE("body"));
	end();
	assert_unsigned(bad_from[_i].why_not);
	ck_assert(!result.is_failed);
}
END_TEST

/* It says what is wrong, whatever the words are. */
static const char *const unclear[] = { " a@example.com, b@example.net",
	" somebody", " <>", " a@example.com b@example.com", "" };

START_TEST(an_unclear_from_is_not_signed)
{
	start(OWN);
	field("From", unclear[_i]);
	end_header_for("");
	end();
	ck_assert_uint_eq(result.n, 0);
	ck_assert_uint_gt(strlen(result.why_not), 5);
	ck_assert(!result.is_failed);
}
END_TEST

START_TEST(what_came_through_us_is_not_signed_again)
{
	start(OWN);
	field("authentication-results", " MX.example.com; none");
	field("From", " joe@football.example.com");
	end_header_for("");
	end();
	assert_unsigned("it came through us before");
	/* Others say what they like, and a login brings what it likes. */
	start(OWN);
	field("Authentication-Results", " mx.example.net; none");
	field("From", " joe@football.example.com");
	rest_of_example();
	end();
	ck_assert_uint_eq(result.n, 2);
	start("");
	field("Authentication-Results", " mx.example.com; none");
	field("From", " joe@football.example.com");
	rest_of_example();
	end();
	ck_assert_uint_eq(result.n, 2);
}
END_TEST

#define BY_RSA "v=1; d=Football.Example.COM ;\n\ts=TEST; b=x"

START_TEST(nothing_is_signed_twice)
{
	start(OWN);
	field("dkim-signature ", BY_RSA);
	field("DKIM-Signature", " v=1; d=example.org; s=brisbane; b=x");
	field("DKIM-Signature", " is malformed");
	field("DKIM-Signature", " v=1; d=football.example.com");
	field("From", " joe@football.example.com");
	rest_of_example();
	end();
	ck_assert_uint_eq(result.n, 1);
	assert_tag(0, "s", "brisbane");
	ck_assert(slice_eq_text(result.names, "football.example.com/brisbane"));
	start(OWN);
	field("DKIM-Signature", BY_RSA);
	field("DKIM-Signature", "d=football.example.com;s=brisbane");
	field("From", " joe@football.example.com");
	rest_of_example();
	end();
	assert_unsigned("it is signed already");
	ck_assert(!result.is_failed);
	/* Nor with one key that comes twice. */
	keys.keys[1] = keys.keys[0];
	tell_example();
	end();
	ck_assert_uint_eq(result.n, 1);
}
END_TEST

START_TEST(signatures_that_come_along_are_bounded)
{
	for (unsigned n = 0; n < 2; n++) {
		start(OWN);
		field("From", " joe@football.example.com");
		for (unsigned i = 0; i < SIGNING_BROUGHT_MAX + n; i++)
			field("DKIM-Signature", " d=example.org; s=a");
		end_header_for(n == 0 ? "football.example.com" : "");
		end();
		ck_assert_uint_eq(result.n, n == 0 ? 2 : 0);
	}
	assert_unsigned("there are too many signatures");
}
END_TEST

START_TEST(a_header_that_is_too_large_is_not_signed)
{
	start(OWN);
	field("From", " joe@football.example.com");
	for (unsigned i = 0; i < 1000; i++)
		field("X", " y");
	end_header_for("");
	end();
	assert_unsigned("the header is too large");
	ck_assert(!result.is_failed);
}
END_TEST

/* --- keys --------------------------------------------------------------- */

START_TEST(no_key_is_no_failure)
{
	keys.n = 0;
	tell_example();
	end();
	assert_unsigned("no key");
	ck_assert(!result.is_failed);
	/* It may be known early. */
	start(OWN);
	field("From", " joe@football.example.com");
	end_header_for("football.example.com");
	signing_give_up(signing);
	ck_assert(!signing_wants_body(signing));
	signing_body(signing, SLICE("body"));
	end();
	assert_unsigned("no key");
	ck_assert(!result.is_failed);
}
END_TEST

START_TEST(keys_that_are_not_known_are_a_failure)
{
	keys = (struct signing_keys){ .is_known = false };
	tell_example();
	end();
	assert_unsigned("the keys are not to be had");
	ck_assert(result.is_failed);
	/* But not for what is not signed at all. */
	start(OWN);
	end_header_for("");
	end();
	ck_assert(!result.is_failed);
}
END_TEST

START_TEST(one_key_that_works_is_enough)
{
	keys.keys[0].key = NULL;
	tell_example();
	end();
	ck_assert_uint_eq(result.n, 1);
	ck_assert(!result.is_failed);
	ck_assert_str_eq(result.why_not, "");
	keys.keys[1].key = NULL;
	tell_example();
	end();
	assert_unsigned("the key does not work");
	ck_assert(result.is_failed);
}
END_TEST

START_TEST(a_name_that_is_none_is_not_signed_with)
{
	keys.keys[0].domain = SLICE("football.example.com; x=");
	keys.keys[1].selector = SLICE("a b");
	tell_example();
	end();
	assert_unsigned("the domain or the selector is not a name");
	ck_assert(result.is_failed);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("signing");
	TCase *tcase = tcase_create("signing");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, both_keys_sign);
	tcase_add_test(tcase, signs_as_the_settings_say);
	tcase_add_test(tcase, a_message_is_as_the_one_before_never_was);
	tcase_add_test(tcase, a_body_need_not_be_there);
	tcase_add_test(tcase, several_addresses_of_one_domain_are_signed);
	tcase_add_loop_test(tcase, who_wrote_it_has_to_be_clear, 0,
		N(bad_from));
	tcase_add_loop_test(tcase, an_unclear_from_is_not_signed, 0,
		N(unclear));
	tcase_add_test(tcase, what_came_through_us_is_not_signed_again);
	tcase_add_test(tcase, nothing_is_signed_twice);
	tcase_add_test(tcase, signatures_that_come_along_are_bounded);
	tcase_add_test(tcase, a_header_that_is_too_large_is_not_signed);
	tcase_add_test(tcase, no_key_is_no_failure);
	tcase_add_test(tcase, keys_that_are_not_known_are_a_failure);
	tcase_add_test(tcase, one_key_that_works_is_enough);
	tcase_add_test(tcase, a_name_that_is_none_is_not_signed_with);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
