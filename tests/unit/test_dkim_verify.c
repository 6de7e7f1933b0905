#include "common/mail/dkim_verify.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/mail/dkim_sign.h"
#include "common/mail/kept_header.h"
#include "tests/unit/dkim_keys.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define NOW 1528637909

static struct kept_header header;
static struct dkim_verifier *verifier;

static void
set_up(void)
{
	kept_header_init(&header, (size_t)1 << 20);
	verifier = NULL;
}

static void
tear_down(void)
{
	dkim_verifier_free(verifier);
	kept_header_free(&header);
}

/* Fields whose lines end with LF; one that goes on begins with a blank. */
static void
add_fields(const char *text)
{
	struct slice rest = slice_of(text);

	while (rest.len > 0) {
		const ptrdiff_t colon = slice_find(rest, ':');
		size_t end = 0;

		ck_assert_int_gt(colon, 0);
		do
			end += (size_t)slice_find(slice_from(rest, end), '\n') +
			       1;
		while (end < rest.len &&
			(rest.ptr[end] == ' ' || rest.ptr[end] == '\t'));
		kept_header_add(&header, slice_part(rest, 0, (size_t)colon),
			slice_part(rest, (size_t)colon + 1, end - 1));
		rest = slice_from(rest, end);
	}
}

static void
answer(size_t i, const char *text)
{
	const struct dkim_record record = { .status = DKIM_RECORD_FOUND,
		.text = slice_of(text) };

	dkim_verifier_answer(verifier, i, &record);
}

static const struct dkim_verified *
result(size_t i)
{
	return dkim_verifier_result(verifier, i);
}

static void
assert_result(size_t i, enum dkim_result expected, const char *reason)
{
	ck_assert_str_eq(dkim_result_name(result(i)->result),
		dkim_result_name(expected));
	ck_assert_msg(slice_eq_text(result(i)->reason, reason), "%.*s",
		SLICE_ARG(result(i)->reason));
}

static void
tell_body(const char *body, size_t step)
{
	const struct slice bytes = slice_of(body);

	for (size_t i = 0; i < bytes.len; i += step)
		dkim_verifier_body(verifier, slice_part(bytes, i, i + step));
}

/* --- the examples of the standards -------------------------------------- */

#define RFC6376_HEADER                                                    \
	"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\n" \
	"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\n" \
	"      h=Received : From : To : Subject : Date : Message-ID;\n"   \
	"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"        \
	"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\n"  \
	"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\n"    \
	"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\n"    \
	"      4bmp/YzhwvcubU4=;\n"                                       \
	"Received: from client1.football.example.com  [192.0.2.1]\n"      \
	"      by submitserver.example.com with SUBMISSION;\n"            \
	"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\n" EXAMPLE_HEADER
#define EXAMPLE_HEADER                                   \
	"From: Joe SixPack <joe@football.example.com>\n" \
	"To: Suzie Q <suzie@shopping.example.net>\n"     \
	"Subject: Is dinner ready?\n"                    \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"  \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\n"
#define RFC6376_BODY                                    \
	"Hi.\r\n\r\n"                                   \
	"We lost the game. Are you hungry yet?\r\n\r\n" \
	"Joe.\r\n"

#define RFC8463_HEADER                                                  \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"   \
	" d=football.example.com; i=@football.example.com;\n"           \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n"         \
	" subject : date : message-id : from : subject : date;\n"       \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"           \
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\n" \
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\n"                           \
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\n"       \
	" d=football.example.com; i=@football.example.com;\n"           \
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\n"   \
	" date : message-id : from : subject : date;\n"                 \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"           \
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\n" \
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\n" \
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\n" EXAMPLE_HEADER
#define RFC8463_BODY                                     \
	"Hi.\r\n\r\n"                                    \
	"We lost the game.  Are you hungry yet?\r\n\r\n" \
	"Joe.\r\n"

#define RFC6376_RECORD "v=DKIM1; p=" RFC6376_PUBLIC
#define RSA_RECORD     "v=DKIM1; k=rsa; p=" RFC8463_RSA_PUBLIC
#define ED25519_RECORD \
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

START_TEST(the_example_of_rfc_6376)
{
	add_fields(RFC6376_HEADER);
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert_uint_eq(dkim_verifier_count(verifier), 1);
	ck_assert_str_eq(result(0)->claim.key_name,
		"brisbane._domainkey.example.com");
	ck_assert(dkim_verifier_wants_key(verifier, 0));
	tell_body(RFC6376_BODY, (size_t)_i);
	answer(0, RFC6376_RECORD);
	dkim_verifier_end(verifier);
	assert_result(0, DKIM_RESULT_PASS, "");
	ck_assert_uint_eq(result(0)->bits, 1024);
	ck_assert(result(0)->is_weak && !result(0)->is_partial);
	ck_assert(slice_eq_text(result(0)->claim.domain, "example.com"));
	ck_assert(slice_eq_text(result(0)->claim.identity,
		"joe@football.example.com"));
}
END_TEST

START_TEST(the_examples_of_rfc_8463)
{
	add_fields(RFC8463_HEADER);
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert_uint_eq(dkim_verifier_count(verifier), 2);
	answer(0, ED25519_RECORD);
	answer(1, RSA_RECORD);
	tell_body(RFC8463_BODY, (size_t)_i);
	dkim_verifier_end(verifier);
	assert_result(0, DKIM_RESULT_PASS, "");
	ck_assert_uint_eq(result(0)->bits, 256);
	ck_assert(!result(0)->is_weak);
	assert_result(1, DKIM_RESULT_PASS, "");
}
END_TEST

static void *
verify_often(void *arg)
{
	size_t *n_passed = arg;

	for (int i = 0; i < 100; i++) {
		struct dkim_verifier *own = dkim_verifier_new(&header, NOW);
		const struct dkim_record record = { .status = DKIM_RECORD_FOUND,
			.text = SLICE(ED25519_RECORD) };

		dkim_verifier_answer(own, 0, &record);
		dkim_verifier_body(own, SLICE(RFC8463_BODY));
		dkim_verifier_end(own);
		*n_passed += dkim_verifier_result(own, 0)->result ==
			     DKIM_RESULT_PASS;
		dkim_verifier_free(own);
	}
	return NULL;
}

START_TEST(threads_verify_at_once)
{
	pthread_t threads[4];
	size_t n_passed[4] = { 0 };

	add_fields(RFC8463_HEADER);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, verify_often,
					 &n_passed[i]),
			0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_uint_eq(n_passed[i], 100);
	}
}
END_TEST

/* --- what may be wrong with a signature --------------------------------- */

#define HASH "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
#define GOOD "v=1; a=rsa-sha256; d=example.com; s=s; h=from; " HASH "; b=YWJj"

static const struct {
	const char *name, *value;
	enum dkim_result result;
	const char *reason;
} malformed[] = {
	{ "nothing", "", DKIM_RESULT_NEUTRAL, "there is no tag" },
	{ "no list", "v", DKIM_RESULT_NEUTRAL, "a tag has no value" },
	{ "twice", GOOD "; d=example.org", DKIM_RESULT_NEUTRAL,
		"a tag stands there twice" },
	{ "twice in another case", GOOD "; D=example.org", DKIM_RESULT_NEUTRAL,
		"programs read it in two ways" },
	{ "UTF-8", GOOD "; z=\xc3\xa4", DKIM_RESULT_NEUTRAL,
		"programs read it in two ways" },
	{ "version",
		"v=2; a=rsa-sha256; d=example.com; s=s; h=from; " HASH
		"; b=YWJj",
		DKIM_RESULT_NEUTRAL, "v= is not 1" },
	{ "no version",
		"a=rsa-sha256; d=example.com; s=s; h=from; " HASH "; b=YWJj",
		DKIM_RESULT_NEUTRAL, "v= is not 1" },
	{ "SHA-1",
		"v=1; a=rsa-sha1; d=example.com; s=s; h=from; bh=YWJj; b=YWJj",
		DKIM_RESULT_PERMERROR, "rsa-sha1 is not accepted any more" },
	{ "algorithm",
		"v=1; a=dsa-sha256; d=example.com; s=s; h=from; " HASH
		"; b=YWJj",
		DKIM_RESULT_NEUTRAL, "the algorithm is not known" },
	{ "no domain", "v=1; a=rsa-sha256; s=s; h=from; " HASH "; b=YWJj",
		DKIM_RESULT_NEUTRAL, "d= or s= is no name" },
	{ "no name",
		"v=1; a=rsa-sha256; d=a(.example.com; s=s; h=from; " HASH
		"; b=YWJj",
		DKIM_RESULT_NEUTRAL, "d= or s= is no name" },
	{ "an empty label",
		"v=1; a=rsa-sha256; d=a..example.com; s=s; h=from; " HASH
		"; b=YWJj",
		DKIM_RESULT_NEUTRAL, "d= or s= is no name" },
	{ "no selector",
		"v=1; a=rsa-sha256; d=example.com; s=; h=from; " HASH
		"; b=YWJj",
		DKIM_RESULT_NEUTRAL, "d= or s= is no name" },
	{ "query", GOOD "; q=http", DKIM_RESULT_NEUTRAL, "q= is not known" },
	{ "canonical form", GOOD "; c=nofws", DKIM_RESULT_NEUTRAL,
		"c= is not known" },
	{ "empty canonical form", GOOD "; c=", DKIM_RESULT_NEUTRAL,
		"c= is not known" },
	{ "From is not signed",
		"v=1; a=rsa-sha256; d=example.com; s=s; h=to:fro; " HASH
		"; b=YWJj",
		DKIM_RESULT_PERMERROR, "the From field is not signed" },
	{ "no fields",
		"v=1; a=rsa-sha256; d=example.com; s=s; " HASH "; b=YWJj",
		DKIM_RESULT_NEUTRAL, "h= is malformed" },
	{ "an empty field",
		"v=1; a=rsa-sha256; d=example.com; s=s; h=from::to; " HASH
		"; b=YWJj",
		DKIM_RESULT_NEUTRAL, "h= is malformed" },
	{ "hash",
		"v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=YWJj;"
		" b=YWJj",
		DKIM_RESULT_NEUTRAL, "bh= is no hash" },
	{ "no signature",
		"v=1; a=rsa-sha256; d=example.com; s=s; h=from; " HASH "; b=",
		DKIM_RESULT_NEUTRAL,
		"b= is no base64, or longer than 4096 bits" },
	{ "no base64",
		"v=1; a=rsa-sha256; d=example.com; s=s; h=from; " HASH
		"; b=a*b",
		DKIM_RESULT_NEUTRAL,
		"b= is no base64, or longer than 4096 bits" },
	{ "length", GOOD "; l=-1", DKIM_RESULT_NEUTRAL, "l= is no length" },
	{ "a length without end", GOOD "; l=99999999999999999999999999",
		DKIM_RESULT_NEUTRAL, "l= is no length" },
	{ "identity", GOOD "; i=a@example.org", DKIM_RESULT_PERMERROR,
		"i= is not within d=" },
	{ "identity that ends like it", GOOD "; i=a@badexample.com",
		DKIM_RESULT_PERMERROR, "i= is not within d=" },
	{ "identity without @", GOOD "; i=example.com", DKIM_RESULT_PERMERROR,
		"i= is not within d=" },
	{ "identity that is badly encoded", GOOD "; i=a=4@example.com",
		DKIM_RESULT_NEUTRAL, "i= is malformed" },
	{ "identity that ends in an encoding", GOOD "; i=a@example.com=",
		DKIM_RESULT_NEUTRAL, "i= is malformed" },
	{ "time", GOOD "; t=tomorrow", DKIM_RESULT_NEUTRAL,
		"t= or x= is no time" },
	{ "expiry", GOOD "; x=1528637909", DKIM_RESULT_FAIL,
		"the signature has expired" },
	{ "future", GOOD "; t=1528638210", DKIM_RESULT_POLICY,
		"the signature is from the future" },
	{ "expiry before it was made", GOOD "; t=1528637908; x=1528637908",
		DKIM_RESULT_NEUTRAL, "x= is not after t=" },
};

START_TEST(says_what_is_wrong_with_a_signature)
{
	kept_header_add(&header, SLICE("DKIM-Signature"),
		slice_of(malformed[_i].value));
	add_fields("From: joe@example.com\n");
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert_uint_eq(dkim_verifier_count(verifier), 1);
	ck_assert(!dkim_verifier_wants_key(verifier, 0));
	ck_assert(!dkim_verifier_wants_body(verifier));
	dkim_verifier_body(verifier, SLICE("a\r\n"));
	answer(0, RSA_RECORD);
	dkim_verifier_end(verifier);
	assert_result(0, malformed[_i].result, malformed[_i].reason);
}
END_TEST

static const char *const well_formed[] = { GOOD, GOOD ";",
	GOOD "; i=@example.com", GOOD "; i=a=40b@sub.EXAMPLE.com",
	GOOD "; q=dns/txt", GOOD "; c=relaxed", GOOD "; c=simple/relaxed",
	GOOD "; l=0", GOOD "; t=1528638209", GOOD "; x=99999999999",
	GOOD "; unknown=a" };

START_TEST(asks_for_the_key_of_what_may_be_valid)
{
	kept_header_add(&header, SLICE("dkim-signature "),
		slice_of(well_formed[_i]));
	add_fields("From: joe@example.com\n");
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert(dkim_verifier_wants_key(verifier, 0));
	ck_assert(dkim_verifier_wants_body(verifier));
	ck_assert_str_eq(result(0)->claim.key_name, "s._domainkey.example.com");
	answer(0, RSA_RECORD);
	dkim_verifier_end(verifier);
	ck_assert_int_eq(result(0)->result, DKIM_RESULT_FAIL);
}
END_TEST

/* A malformed one does the others no harm. */
START_TEST(one_malformed_signature_is_one)
{
	add_fields("DKIM-Signature: v=1; nonsense\n" RFC8463_HEADER
		   "DKIM: v=1\nDKIM-Signature-2: a\nX: dkim-signature: b\n"
		   "dkim-signature: =\n");
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert_uint_eq(dkim_verifier_count(verifier), 4);
	answer(1, ED25519_RECORD);
	answer(2, RSA_RECORD);
	tell_body(RFC8463_BODY, 9);
	dkim_verifier_end(verifier);
	assert_result(0, DKIM_RESULT_NEUTRAL, "a tag has no value");
	assert_result(1, DKIM_RESULT_PASS, "");
	assert_result(2, DKIM_RESULT_PASS, "");
	assert_result(3, DKIM_RESULT_NEUTRAL, "the name of a tag is malformed");
}
END_TEST

/* --- what may be wrong with a key --------------------------------------- */

/* RSA of 768 bits. */
#define SHORT_PUBLIC                                                   \
	"MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAK7Hf/g7XZRUd1KpS/xgYh8Ba7Yv" \
	"3wch1XxGNP5s6ZYU31kkSZGtQmWJj/PBEEffS9+7RXB6PXfaGTGQH0bFx7sz" \
	"OlJE8bdAWHC3EYf5NSj8vyRAYGkSKCfZtW6q1iVXfwIDAQAB"

/* RFC8463_RSA_PUBLIC as an RSAPublicKey. */
#define RSA_BARE                                                       \
	"MIGJAoGBAOQeU5CgFPNZGIazlXo2k/eJ1jpaTTxrmqF1HrDLlt04pvaMtCJj" \
	"8nXoliLRC/H9vJjMI1vdb3XLcW60AIN/PBD8EL97/y4GwJH7LPUvGP48vqUe" \
	"+owqszesbiGy1PlCO8c70/OjFnJVgvMF87YR4Lcincb7aSvI5MgpP6X8rjDd" \
	"AgMBAAE="

static const struct {
	const char *name;
	struct dkim_record record;
	enum dkim_result result;
	const char *reason;
	unsigned bits;
} keys[] = {
	{ "none", { DKIM_RECORD_ABSENT, SLICE_INIT("") }, DKIM_RESULT_PERMERROR,
		"there is no key", 0 },
	{ "several", { DKIM_RECORD_SEVERAL, SLICE_INIT("") },
		DKIM_RESULT_PERMERROR, "there are several keys", 0 },
	{ "no answer", { DKIM_RECORD_FAILED, SLICE_INIT("") },
		DKIM_RESULT_TEMPERROR, "the DNS has no answer", 0 },
	{ "no answer with a reason",
		{ DKIM_RECORD_FAILED, SLICE_INIT("it is busy") },
		DKIM_RESULT_TEMPERROR, "it is busy", 0 },
	{ "late", { DKIM_RECORD_UNKNOWN, SLICE_INIT("") },
		DKIM_RESULT_TEMPERROR, "the key is not known in time", 0 },
	{ "no record", { DKIM_RECORD_FOUND, SLICE_INIT("v=spf1 -all") },
		DKIM_RESULT_PERMERROR, "v= is not DKIM1, or not the first tag",
		0 },
	{ "revoked", { DKIM_RECORD_FOUND, SLICE_INIT("v=DKIM1; p=") },
		DKIM_RESULT_PERMERROR, "the key has been revoked", 0 },
	{ "of another type", { DKIM_RECORD_FOUND, SLICE_INIT(ED25519_RECORD) },
		DKIM_RESULT_PERMERROR, "the key is of another type", 256 },
	{ "of an unknown type",
		{ DKIM_RECORD_FOUND, SLICE_INIT("k=dsa; p=YWJj") },
		DKIM_RESULT_PERMERROR, "the key is of an unknown type", 0 },
	{ "not for mail",
		{ DKIM_RECORD_FOUND,
			SLICE_INIT("s=tlsrpt; p=" RFC8463_RSA_PUBLIC) },
		DKIM_RESULT_PERMERROR, "the key is not for mail", 1024 },
	{ "not for SHA-256",
		{ DKIM_RECORD_FOUND,
			SLICE_INIT("h=sha1; p=" RFC8463_RSA_PUBLIC) },
		DKIM_RESULT_PERMERROR, "the key is not for SHA-256", 1024 },
	{ "another key", { DKIM_RECORD_FOUND, SLICE_INIT("p=" RFC6376_PUBLIC) },
		DKIM_RESULT_FAIL, "it does not fit the header and the key",
		1024 },
	{ "too short", { DKIM_RECORD_FOUND, SLICE_INIT("p=" SHORT_PUBLIC) },
		DKIM_RESULT_FAIL, "the key has less than 1024 bits", 768 },
	{ "bare", { DKIM_RECORD_FOUND, SLICE_INIT("p=" RSA_BARE) },
		DKIM_RESULT_PASS, "", 1024 },
	{ "good", { DKIM_RECORD_FOUND, SLICE_INIT(RSA_RECORD) },
		DKIM_RESULT_PASS, "", 1024 },
};

START_TEST(says_what_is_wrong_with_a_key)
{
	add_fields(RFC8463_HEADER);
	verifier = dkim_verifier_new(&header, NOW);
	tell_body(RFC8463_BODY, 1000);
	dkim_verifier_answer(verifier, 1, &keys[_i].record);
	dkim_verifier_end(verifier);
	assert_result(1, keys[_i].result, keys[_i].reason);
	ck_assert_uint_eq(result(1)->bits, keys[_i].bits);
	/* Which was not asked for. */
	assert_result(0, DKIM_RESULT_TEMPERROR, "the key is not known in time");
}
END_TEST

START_TEST(knows_who_is_testing)
{
	add_fields(RFC8463_HEADER);
	verifier = dkim_verifier_new(&header, NOW);
	tell_body(RFC8463_BODY, 1000);
	answer(0, "t=y:s; k=ed25519;"
		  " p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
	dkim_verifier_end(verifier);
	assert_result(0, DKIM_RESULT_PASS, "");
	ck_assert(result(0)->is_test);
}
END_TEST

/* Both signatures say so, and only one of them can be right. */
START_TEST(one_name_has_one_kind_of_key)
{
	for (int i = 0; i < 2; i++)
		kept_header_add(&header, SLICE("DKIM-Signature"),
			(i == 0) == (_i == 0)
				? SLICE(GOOD)
				: SLICE("v=1; a=ed25519-sha256; d=example.com;"
					" s=s; h=from; " HASH "; b=YWJj"));
	add_fields("From: joe@example.com\n");
	verifier = dkim_verifier_new(&header, NOW);
	for (size_t i = 0; i < 2; i++)
		answer(i, ED25519_RECORD);
	tell_body(RFC8463_BODY, 100);
	dkim_verifier_end(verifier);
	assert_result(_i == 0 ? 0 : 1, DKIM_RESULT_PERMERROR,
		"the key is of another type");
	ck_assert_int_eq(result(_i == 0 ? 1 : 0)->result, DKIM_RESULT_FAIL);
}
END_TEST

START_TEST(a_strict_key_is_for_no_other_domain)
{
	add_fields(RFC6376_HEADER);
	verifier = dkim_verifier_new(&header, NOW);
	tell_body(RFC6376_BODY, 1000);
	answer(0, "t=s; p=" RFC6376_PUBLIC);
	dkim_verifier_end(verifier);
	assert_result(0, DKIM_RESULT_PERMERROR,
		"the key is not for domains below d=");
}
END_TEST

/* --- messages that are changed ------------------------------------------ */

static const struct {
	const char *name;
	const char *fields; /* below the others */
	const char *body;
	enum dkim_result result;
	const char *reason;
} changes[] = {
	{ "nothing", "", RFC8463_BODY, DKIM_RESULT_PASS, "" },
	{ "blanks in the body", "",
		"Hi.\r\n\r\nWe lost the game.\t Are you hungry yet? \r\n\r\n"
		"Joe.\r\n\r\n\r\n",
		DKIM_RESULT_PASS, "" },
	{ "bare ends of lines", "",
		"Hi.\n\nWe lost the game.  Are you hungry yet?\n\nJoe.\n",
		DKIM_RESULT_PASS, "" },
	{ "no end of the last line", "",
		"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\n"
		"Joe.",
		DKIM_RESULT_PASS, "" },
	{ "another field", "X-Field: a\n", RFC8463_BODY, DKIM_RESULT_PASS, "" },
	{ "another To", "To: a\n", RFC8463_BODY, DKIM_RESULT_FAIL,
		"it does not fit the header and the key" },
	{ "another From", "From: a\n", RFC8463_BODY, DKIM_RESULT_FAIL,
		"it does not fit the header and the key" },
	{ "no body", "", "", DKIM_RESULT_FAIL, "the body has been changed" },
	{ "a line before it", "", "\r\n" RFC8463_BODY, DKIM_RESULT_FAIL,
		"the body has been changed" },
	{ "more of it", "", RFC8463_BODY "more\r\n", DKIM_RESULT_FAIL,
		"the body has been changed" },
	{ "both", "Subject: a\n", "a\r\n", DKIM_RESULT_FAIL,
		"it does not fit the header and the key" },
};

START_TEST(sees_what_was_changed)
{
	add_fields(RFC8463_HEADER);
	add_fields(changes[_i].fields);
	for (size_t step = 1; step < 50; step += 6) {
		verifier = dkim_verifier_new(&header, NOW);
		answer(0, ED25519_RECORD);
		answer(1, RSA_RECORD);
		tell_body(changes[_i].body, step);
		dkim_verifier_end(verifier);
		assert_result(0, changes[_i].result, changes[_i].reason);
		assert_result(1, changes[_i].result, changes[_i].reason);
		dkim_verifier_free(verifier);
	}
	verifier = NULL;
}
END_TEST

/* --- lengths ------------------------------------------------------------ */

/* Relaxed for both; l= and more is put before bh=. */
static void
sign_with(const char *tags, const char *signed_body)
{
	const char *err;
	struct crypto_key *key =
		crypto_key_read(slice_of(RFC8463_ED25519_KEY), &err);
	struct crypto_sha256 *hash = crypto_sha256_new();
	unsigned char digest[CRYPTO_SHA256_SIZE];
	unsigned char bytes[CRYPTO_SIGNATURE_MAX];
	struct str text;

	str_init(&text, 4096);
	crypto_sha256_add(hash, signed_body, strlen(signed_body));
	crypto_sha256_finish(hash, digest);
	str_printf(&text,
		"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=s;"
		" h=from; %sbh=",
		tags);
	crypto_append_base64(&text, digest, sizeof(digest));
	str_append_text(&text, "; b=");
	crypto_sha256_start(hash);
	crypto_sha256_add(hash, "from:joe@example.com\r\ndkim-signature:", 37);
	crypto_sha256_add(hash, text.data, text.len);
	crypto_sha256_finish(hash, digest);
	crypto_append_base64(&text, bytes, crypto_key_sign(key, digest, bytes));
	kept_header_add(&header, SLICE("DKIM-Signature"), str_slice(&text));
	add_fields("From: joe@example.com\n");
	str_free(&text);
	crypto_sha256_free(hash);
	crypto_key_free(key);
}

static const struct {
	const char *name, *tags, *signed_body, *body;
	enum dkim_result result;
	bool is_partial;
} lengths[] = {
	{ "none", "", "abc\r\n", "abc\r\n", DKIM_RESULT_PASS, false },
	{ "all of it", "l=5; ", "abc\r\n", "abc\r\n", DKIM_RESULT_PASS, false },
	{ "all of it, with blanks that do not count", "l=7; ", "abc d\r\n",
		"abc   d  \r\n\r\n", DKIM_RESULT_PASS, false },
	{ "a part", "l=5; ", "abc\r\n", "abc\r\nmore\r\n", DKIM_RESULT_PASS,
		true },
	{ "nothing", "l=0; ", "", "more\r\n", DKIM_RESULT_PASS, true },
	{ "nothing of nothing", "l=0; ", "", "", DKIM_RESULT_PASS, false },
	{ "a part that was changed", "l=5; ", "abc\r\n", "abd\r\nmore\r\n",
		DKIM_RESULT_FAIL, true },
	{ "more than there is", "l=6; ", "abc\r\n", "abc\r\n", DKIM_RESULT_FAIL,
		false },
};

START_TEST(knows_a_partial_signature)
{
	sign_with(lengths[_i].tags, lengths[_i].signed_body);
	verifier = dkim_verifier_new(&header, NOW);
	answer(0, ED25519_RECORD);
	tell_body(lengths[_i].body, 2);
	dkim_verifier_end(verifier);
	ck_assert_str_eq(dkim_result_name(result(0)->result),
		dkim_result_name(lengths[_i].result));
	ck_assert_int_eq(result(0)->is_partial, lengths[_i].is_partial);
}
END_TEST

/* --- bounds ------------------------------------------------------------- */

START_TEST(looks_at_eight_signatures)
{
	for (int i = 0; i < 100; i++)
		add_fields("DKIM-Signature: v=1; nonsense\n");
	sign_with("", "abc\r\n");
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert_uint_eq(dkim_verifier_count(verifier), DKIM_VERIFIED_MAX);
	ck_assert_uint_eq(dkim_verifier_ignored(verifier), 93);
	ck_assert(!dkim_verifier_wants_body(verifier));
}
END_TEST

START_TEST(takes_two_signatures_with_a_length)
{
	for (int i = 0; i < 4; i++) {
		struct kept_header all = header;

		header = (struct kept_header){ .n = 0 };
		kept_header_init(&header, (size_t)1 << 20);
		sign_with(i == 1 ? "" : "l=5; ", "abc\r\n");
		kept_header_add(&all, kept_header_name(&header, 0),
			kept_header_value(&header, 0));
		kept_header_free(&header);
		header = all;
	}
	add_fields("From: joe@example.com\n");
	verifier = dkim_verifier_new(&header, NOW);
	for (size_t i = 0; i < 4; i++)
		answer(i, ED25519_RECORD);
	tell_body("abc\r\n", 100);
	dkim_verifier_end(verifier);
	for (size_t i = 0; i < 3; i++)
		assert_result(i, DKIM_RESULT_PASS, "");
	assert_result(3, DKIM_RESULT_POLICY, "too many signatures have l=");
}
END_TEST

START_TEST(a_from_without_an_address_is_not_read)
{
	kept_header_add(&header, SLICE("DKIM-Signature"), SLICE(GOOD));
	add_fields("From: nobody\n");
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert(!dkim_verifier_wants_key(verifier, 0));
	assert_result(0, DKIM_RESULT_NEUTRAL,
		"a header field, maybe From, could not be read");
}
END_TEST

START_TEST(has_nothing_to_do_without_signatures)
{
	add_fields(EXAMPLE_HEADER);
	verifier = dkim_verifier_new(&header, NOW);
	ck_assert_uint_eq(dkim_verifier_count(verifier), 0);
	ck_assert(!dkim_verifier_wants_body(verifier));
	dkim_verifier_body(verifier, SLICE("a"));
	dkim_verifier_end(verifier);
}
END_TEST

static const struct {
	const char *name;
	struct slice field, value;
	enum dkim_result result;
} odd[] = {
	{ "NUL in a value", SLICE_INIT("X"), SLICE_INIT("a\0b"),
		DKIM_RESULT_PERMERROR },
	{ "NUL in a name", SLICE_INIT("X\0Y"), SLICE_INIT("a"),
		DKIM_RESULT_PERMERROR },
	{ "no name", SLICE_INIT(""), SLICE_INIT(""), DKIM_RESULT_PASS },
	{ "no name but blanks", SLICE_INIT(" \t"), SLICE_INIT("a"),
		DKIM_RESULT_PASS },
	{ "no value", SLICE_INIT("X"), SLICE_INIT(""), DKIM_RESULT_PASS },
	{ "8 bits", SLICE_INIT("X\xe4"), SLICE_INIT("\xe4"), DKIM_RESULT_PASS },
	{ "a name with a colon", SLICE_INIT("X:Y"), SLICE_INIT("a"),
		DKIM_RESULT_PASS },
	{ "a line that ends", SLICE_INIT("X"), SLICE_INIT("a\n\nb\r\r\n"),
		DKIM_RESULT_PASS },
};

START_TEST(odd_fields_end_nothing)
{
	sign_with("", "\r\n\r\nabc\r\n");
	kept_header_add(&header, odd[_i].field, odd[_i].value);
	verifier = dkim_verifier_new(&header, NOW);
	if (dkim_verifier_wants_key(verifier, 0))
		answer(0, ED25519_RECORD);
	tell_body("\r\n\r\nabc\r\n", 1);
	dkim_verifier_end(verifier);
	ck_assert_str_eq(dkim_result_name(result(0)->result),
		dkim_result_name(odd[_i].result));
}
END_TEST

START_TEST(a_header_that_was_cut_is_not_verified)
{
	struct kept_header small;

	kept_header_init(&small, 300);
	kept_header_add(&small, SLICE("DKIM-Signature"), SLICE(GOOD));
	kept_header_add(&small, SLICE("From"), SLICE("joe@example.com"));
	for (int i = 0; i < 100; i++)
		kept_header_add(&small, SLICE("X"), SLICE("abc"));
	ck_assert(small.is_too_large);
	verifier = dkim_verifier_new(&small, NOW);
	ck_assert(!dkim_verifier_wants_body(verifier));
	assert_result(0, DKIM_RESULT_PERMERROR,
		"the header is malformed, or too long");
	kept_header_reset(&small);
	ck_assert(!small.is_too_large && small.n == 0);
	kept_header_free(&small);
}
END_TEST

START_TEST(keeps_a_header)
{
	add_fields("A: 1\nB : 2\n\tx\nA: 3\nb: 4\n");
	ck_assert_uint_eq(header.n, 4);
	ck_assert(slice_eq_text(kept_header_name(&header, 1), "B "));
	ck_assert(slice_eq_text(kept_header_value(&header, 1), " 2\n\tx"));
	ck_assert_uint_eq(kept_header_above(&header, SLICE("b"), 4), 3);
	ck_assert_uint_eq(kept_header_above(&header, SLICE("b"), 3), 1);
	ck_assert_uint_eq(kept_header_above(&header, SLICE("b"), 1), SIZE_MAX);
}
END_TEST

static Suite *
suite(void)
{
	Suite *suite = suite_create("dkim_verify");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, the_example_of_rfc_6376, 1, 100);
	tcase_add_loop_test(tcase, the_examples_of_rfc_8463, 1, 100);
	tcase_add_test(tcase, threads_verify_at_once);
	tcase_add_loop_test(tcase, says_what_is_wrong_with_a_signature, 0,
		N(malformed));
	tcase_add_loop_test(tcase, asks_for_the_key_of_what_may_be_valid, 0,
		N(well_formed));
	tcase_add_test(tcase, one_malformed_signature_is_one);
	tcase_add_loop_test(tcase, says_what_is_wrong_with_a_key, 0, N(keys));
	tcase_add_test(tcase, knows_who_is_testing);
	tcase_add_loop_test(tcase, one_name_has_one_kind_of_key, 0, 2);
	tcase_add_test(tcase, a_strict_key_is_for_no_other_domain);
	tcase_add_loop_test(tcase, sees_what_was_changed, 0, N(changes));
	tcase_add_loop_test(tcase, knows_a_partial_signature, 0, N(lengths));
	tcase_add_test(tcase, looks_at_eight_signatures);
	tcase_add_test(tcase, takes_two_signatures_with_a_length);
	tcase_add_test(tcase, a_from_without_an_address_is_not_read);
	tcase_add_test(tcase, has_nothing_to_do_without_signatures);
	tcase_add_loop_test(tcase, odd_fields_end_nothing, 0, N(odd));
	tcase_add_test(tcase, a_header_that_was_cut_is_not_verified);
	tcase_add_test(tcase, keeps_a_header);
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
