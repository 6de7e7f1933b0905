#include "common/mail/srs.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400
/* Day 19675, which is written G3. */
#define NOW 1700000000

static const char *
result_name(enum srs_result result)
{
	static const char *const names[] = {
		[SRS_DONE] = "done",
		[SRS_NOT_AN_ADDRESS] = "not an address",
		[SRS_NOT_SRS] = "not SRS",
		[SRS_OTHER_DOMAIN] = "other domain",
		[SRS_WRONG_HASH] = "wrong hash",
		[SRS_EXPIRED] = "expired",
		[SRS_TOO_LONG] = "too long",
	};

	return names[result];
}

static struct srs
srs_for(const char *domain, const char *secrets)
{
	struct srs srs = { .domain = slice_of(domain) };

	srs_secrets(&srs, slice_of(secrets));
	return srs;
}

typedef enum srs_result coder(const struct srs *srs, int64_t now,
	struct slice address, struct str *out);

/* The address that comes out, or what the result is called. */
static const char *
code(coder *fn, const struct srs *srs, int64_t now, const char *address)
{
	static char text[SRS_INPUT_MAX + 1];
	enum srs_result result;
	struct str out;

	str_init(&out, SRS_INPUT_MAX);
	result = fn(srs, now, slice_of(address), &out);
	ck_assert((result == SRS_DONE) == (out.len > 0));
	ck_assert(!out.is_cut);
	memcpy(text, str_text(&out), out.len + 1);
	str_free(&out);
	return result == SRS_DONE ? text : result_name(result);
}

/* --- vectors ------------------------------------------------------------ */

/* Made by iRedAPD 6.1, and by postsrsd's own tests (the last one). */
static const struct {
	const char *secret, *domain;
	int64_t now;
	const char *from, *to;
} vectors[] = {
	{ "secret_key", "b.example", NOW, "alice@A.com",
		"SRS0=sV2/=G3=A.com=alice@b.example" },
	{ "secret_key", "c.example", NOW, "SRS0=sV2/=G3=A.com=alice@b.example",
		"SRS1=gwnY=b.example==sV2/=G3=A.com=alice@c.example" },
	{ "secret_key", "d.example", NOW,
		"SRS1=gwnY=b.example==sV2/=G3=A.com=alice@c.example",
		"SRS1=gwnY=b.example==sV2/=G3=A.com=alice@d.example" },
	{ "secret_key", "srs.example.net", NOW, "user+ext@example.com",
		"SRS0=vumT=G3=example.com=user+ext@srs.example.net" },
	{ "secret_key", "srs.example.net", NOW, "bob=smith@example.org",
		"SRS0=SWgp=G3=example.org=bob=smith@srs.example.net" },
	{ "secret_key", "srs.example.net", NOW, "Bounce-1@Example.COM",
		"SRS0=/Akt=G3=Example.COM=Bounce-1@srs.example.net" },
	{ "tops3cr3t", "example.com", 1577836860, "test@otherdomain.com",
		"SRS0=vmyz=2W=otherdomain.com=test@example.com" },
};

START_TEST(the_same_bytes_as_other_programs)
{
	const struct srs srs = srs_for(vectors[_i].domain, vectors[_i].secret);
	const char *back = vectors[_i].from;

	ck_assert_str_eq(
		code(srs_encode, &srs, vectors[_i].now, vectors[_i].from),
		vectors[_i].to);
	/* From SRS1 to SRS1 only the forwarder changes. */
	if (strncmp(back, "SRS1", 4) == 0)
		back = vectors[1].from;
	ck_assert_str_eq(
		code(srs_decode, &srs, vectors[_i].now, vectors[_i].to), back);
}
END_TEST

/* --- decoding ----------------------------------------------------------- */

#define ALICE "=G3=a.com=alice@b.example"

static const struct {
	const char *name;
	int64_t now;
	const char *from, *to;
} decodings[] = {
	{ "lower case", NOW, "srs0=sv2/=g3=a.com=alice@b.example",
		"alice@a.com" },
	{ "+", NOW, "SRS0+sV2/=G3=A.com=alice@b.example", "alice@A.com" },
	{ "-", NOW, "SRS0-sV2/=G3=A.com=alice@b.example", "alice@A.com" },
	{ "another separator", NOW, "SRS0.sV2/=G3=A.com=alice@b.example",
		"not SRS" },
	{ "the domain in capitals", NOW,
		"SRS0=sV2/"
		"=G3=a.com=alice@B.Example",
		"alice@a.com" },
	{ "the root's dot", NOW, "SRS0=sV2/" ALICE ".", "alice@a.com" },
	{ "signed here, sent elsewhere", NOW,
		"SRS0=sV2/=G3=a.com=alice@c.example", "other domain" },
	{ "a subdomain", NOW, "SRS0=sV2/=G3=a.com=alice@x.b.example",
		"other domain" },

	{ "yesterday", NOW - DAY, "SRS0=sV2/" ALICE, "alice@a.com" },
	{ "20 days old", NOW + 20 * DAY, "SRS0=sV2/" ALICE, "alice@a.com" },
	{ "21 days old", NOW + 21 * DAY, "SRS0=sV2/" ALICE, "expired" },
	{ "2 days ahead", NOW - 2 * DAY, "SRS0=sV2/" ALICE, "expired" },
	{ "1024 days old", NOW + 1024 * DAY, "SRS0=sV2/" ALICE, "alice@a.com" },
	{ "1023 days old is one ahead", NOW + 1023 * DAY, "SRS0=sV2/" ALICE,
		"alice@a.com" },
	{ "500 days old", NOW + 500 * DAY, "SRS0=sV2/" ALICE, "expired" },

	{ "no hash", NOW, "SRS0==G3=a.com=alice@b.example", "not SRS" },
	{ "1 character", NOW, "SRS0=s" ALICE, "wrong hash" },
	{ "2 characters", NOW, "SRS0=sV" ALICE, "wrong hash" },
	{ "3 characters", NOW, "SRS0=sV2" ALICE, "wrong hash" },
	{ "the first is wrong", NOW, "SRS0=tV2/" ALICE, "wrong hash" },
	{ "the last is wrong", NOW, "SRS0=sV2+" ALICE, "wrong hash" },
	{ "six characters", NOW, "SRS0=sV2/sQ" ALICE, "alice@a.com" },
	{ "the whole hash", NOW, "SRS0=sV2/sQUBmagwi3uPe1inHZ3Xc70" ALICE,
		"alice@a.com" },
	{ "the last of the whole is wrong", NOW,
		"SRS0=sV2/sQUBmagwi3uPe1inHZ3Xc7x" ALICE, "wrong hash" },
	{ "a fifth is wrong", NOW, "SRS0=sV2/." ALICE, "wrong hash" },
	{ "much too long", NOW, "SRS0=sV2/sV2/sV2/sV2/sV2/sV2/sV2/sV2/" ALICE,
		"wrong hash" },
	{ "another user", NOW, "SRS0=sV2/=G3=a.com=bob@b.example",
		"wrong hash" },
	{ "another day", NOW, "SRS0=sV2/=G4=a.com=alice@b.example",
		"wrong hash" },
	/* A 1-character hash was all that iRedAPD looked at, if given one. */
	{ "forged", NOW, "SRS0=a=G3=target.example=victim@b.example",
		"wrong hash" },

	{ "three fields", NOW, "SRS0=sV2/=G3=a.com@b.example", "not SRS" },
	{ "no local part", NOW, "SRS0=sV2/=G3=a.com=@b.example", "not SRS" },
	{ "no domain", NOW, "SRS0=sV2/=G3==alice@b.example", "not SRS" },
	{ "a domain without a dot", NOW, "SRS0=sV2/=G3=a=alice@b.example",
		"not SRS" },
	{ "only the tag", NOW, "SRS0@b.example", "not SRS" },
	{ "the tag and a separator", NOW, "SRS0=@b.example", "not SRS" },
	{ "plain", NOW, "alice@b.example", "not SRS" },
	{ "SRS1, no opaque part", NOW, "SRS1=gwnY=b.example=@b.example",
		"not SRS" },
	{ "SRS1, no separator in it", NOW,
		"SRS1=gwnY=b.example=sV2/=G3=A.com=alice@b.example",
		"not SRS" },
	{ "SRS1, 3 characters", NOW,
		"SRS1=gwn=b.example==sV2/=G3=A.com=alice@b.example",
		"wrong hash" },
	{ "SRS1, any day", NOW + 500 * DAY,
		"srs1=gwny=b.example==sV2/=G3=A.com=alice@b.example",
		"SRS0=sV2/=G3=A.com=alice@b.example" },
	{ "SRS1, sent elsewhere", NOW,
		"SRS1=gwnY=b.example==sV2/=G3=A.com=alice@c.example",
		"other domain" },

	{ "empty", NOW, "", "not an address" },
	{ "no @", NOW, "SRS0=sV2/=G3=a.com=alice", "not an address" },
	{ "no local part at all", NOW, "@b.example", "not an address" },
	{ "a control byte", NOW, "SRS0=sV2/=G3=a.com=al\nice@b.example",
		"not an address" },
	{ "not UTF-8", NOW, "SRS0=sV2/=G3=a.com=al\xffice@b.example",
		"not an address" },
	{ "an open quote", NOW, "\"SRS0=sV2/=G3=a.com=alice\\\"@b.example",
		"not an address" },
	{ "a quote inside", NOW, "\"SRS0=sV2/\"=G3=a.com=alice\"@b.example",
		"not an address" },
};

START_TEST(addresses_are_decoded_or_refused)
{
	const struct srs srs = srs_for("b.example", "secret_key");
	const char *got =
		code(srs_decode, &srs, decodings[_i].now, decodings[_i].from);

	ck_assert_msg(strcmp(got, decodings[_i].to) == 0,
		"%s: %s gives %s, not %s", decodings[_i].name,
		decodings[_i].from, got, decodings[_i].to);
}
END_TEST

/* --- there and back ----------------------------------------------------- */

#define TEN  "abcdefghij"
#define LONG TEN TEN TEN TEN TEN TEN "abcd" /* 64 octets */

static const struct {
	const char *name, *from;
	const char *back; /* NULL: as it was */
} round_trips[] = {
	{ "apostrophe", "o'brien@example.org", NULL },
	{ "dollar", "a$b@example.org", NULL },
	{ "equals", "=x@example.org", NULL },
	{ "plus", "+x@example.org", NULL },
	{ "percent", "50%off@example.org", NULL },
	{ "the rest of atext", "a!#&*/?^_`{|}~@example.org", NULL },
	{ "slash", "c=de/o=x@example.org", NULL },
	{ "like prvs", "prvs=0123=x@example.org", NULL },
	{ "UTF-8", "j\xc3\xbcrgen@example.org", NULL },
	{ "UTF-8 domain",
		"x@b\xc3\xbc"
		"cher.example",
		NULL },
	{ "quoted blank", "\"john doe\"@example.org", NULL },
	{ "blank that lost its quotes", "john doe@example.org",
		"\"john doe\"@example.org" },
	{ "quoted without need", "\"john\"@example.org", "john@example.org" },
	{ "quoted quotes", "\"a\\\"b\\\\c\"@example.org", NULL },
	{ "quoted @", "\"a@b\"@example.org", NULL },
	{ "a dot at the end", "a.@example.org", "\"a.\"@example.org" },
	{ "two dots", "\"a..b\"@example.org", NULL },
	{ "a comma", "\"a,b\"@example.org", NULL },
	{ "SRS0 of others", "SRS0=xxxx=yy=z.example=u@example.org", NULL },
	{ "SRS0 with +", "srs0+xxxx=yy=z.example=u@example.org",
		"SRS0+xxxx=yy=z.example=u@example.org" },
	{ "SRS0 by chance", "SRS0-fan@example.org", NULL },
	{ "SRS1 by chance", "SRS1-fan@example.org", NULL },
	{ "no SRS", "SRS0@example.org", NULL },
	{ "no SRS either", "SRS2=a=b@example.org", NULL },
	{ "a local part of 64", LONG "@example.org", NULL },
};

START_TEST(what_is_encoded_comes_back)
{
	const struct srs srs = srs_for("srs.example.net", "secret_key");
	const char *back = round_trips[_i].back, *got;
	char encoded[SRS_INPUT_MAX];

	if (back == NULL)
		back = round_trips[_i].from;
	got = code(srs_encode, &srs, NOW, round_trips[_i].from);
	ck_assert_msg(strchr(got, '@') != NULL, "%s: %s", round_trips[_i].name,
		got);
	memcpy(encoded, got, strlen(got) + 1);
	ck_assert_str_eq(code(srs_decode, &srs, NOW, encoded), back);
	/* What is long is no longer than an address may be. */
	ck_assert_uint_le(strlen(encoded), SRS_ADDRESS_MAX);
}
END_TEST

START_TEST(a_quoted_local_part_is_quoted_as_a_whole)
{
	const struct srs srs = srs_for("b.example", "secret_key");
	const char *encoded =
		code(srs_encode, &srs, NOW, "\"john doe\"@example.org");

	ck_assert_msg(strncmp(encoded, "\"SRS0=", 6) == 0, "%s", encoded);
	ck_assert_msg(strstr(encoded, "=example.org=john doe\"@b.example") !=
			      NULL,
		"%s", encoded);
}
END_TEST

/* --- bounds, secrets ---------------------------------------------------- */

START_TEST(an_address_has_a_bound)
{
	/* 7 + 5 + 3 + 12 of SRS, 1 + 14 of the domain; the rest fits or not. */
	const struct srs srs = srs_for("mx.example.net", "secret_key");
	char address[SRS_INPUT_MAX + 64];
	const char *got;
	size_t n_done = 0;

	for (size_t n = 200; n <= sizeof(address) - 16; n++) {
		memset(address, 'x', n);
		memcpy(address + n, "@example.org", 13);
		got = code(srs_encode, &srs, NOW, address);
		if (strcmp(got, "too long") == 0)
			continue;
		ck_assert_uint_eq(strlen(got),
			strlen("SRS0=HHHH=TT=example.org=@mx.example.net") + n);
		ck_assert_uint_le(strlen(got), SRS_ADDRESS_MAX);
		n_done++;
	}
	ck_assert_uint_eq(n_done, SRS_ADDRESS_MAX - 40 - 200 + 1);
	memset(address, '=', sizeof(address));
	memcpy(address, "SRS0", 4);
	memcpy(address + sizeof(address) - 16, "@mx.example.net", 16);
	ck_assert_str_eq(code(srs_decode, &srs, NOW, address), "too long");
}
END_TEST

START_TEST(the_first_secret_signs_and_all_verify)
{
	const struct srs old = srs_for("b.example", "old_secret");
	const struct srs both =
		srs_for("b.example", "secret_key\n\nold_secret\n");
	const struct srs new = srs_for("b.example", "secret_key");
	char signed_old[SRS_INPUT_MAX];
	const char *got = code(srs_encode, &old, NOW, "alice@a.com");

	memcpy(signed_old, got, strlen(got) + 1);
	ck_assert_uint_eq(both.n_secrets, 2);
	ck_assert_str_eq(code(srs_decode, &both, NOW, signed_old),
		"alice@a.com");
	ck_assert_str_eq(code(srs_decode, &new, NOW, signed_old), "wrong hash");
	ck_assert_str_eq(code(srs_encode, &both, NOW, "alice@A.com"),
		vectors[0].to);
	ck_assert_str_eq(code(srs_decode, &both, NOW, vectors[0].to),
		"alice@A.com");
}
END_TEST

START_TEST(too_many_secrets_are_left_out)
{
	char lines[4 * SRS_SECRETS_MAX] = "";
	struct srs srs;

	for (size_t i = 0; i < sizeof(lines) - 1; i++)
		lines[i] = i % 2 == 0 ? 'x' : '\n';
	srs = srs_for("b.example", lines);
	ck_assert_uint_eq(srs.n_secrets, SRS_SECRETS_MAX);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("srs");
	TCase *tcase = tcase_create("srs");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, the_same_bytes_as_other_programs, 0,
		N(vectors));
	tcase_add_loop_test(tcase, addresses_are_decoded_or_refused, 0,
		N(decodings));
	tcase_add_loop_test(tcase, what_is_encoded_comes_back, 0,
		N(round_trips));
	tcase_add_test(tcase, a_quoted_local_part_is_quoted_as_a_whole);
	tcase_add_test(tcase, an_address_has_a_bound);
	tcase_add_test(tcase, the_first_secret_signs_and_all_verify);
	tcase_add_test(tcase, too_many_secrets_are_left_out);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
