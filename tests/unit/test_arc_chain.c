#include "common/mail/arc_chain.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

/* All but i= and cv=. */
#define SEAL    "a=rsa-sha256; b=abc=; d=example.org; s=key"
#define MESSAGE SEAL "; h=from:to; bh=def="

#define R1     "R i=1; mx.example.org; none|"
#define M1     "M i=1; " MESSAGE "|"
#define S1     "S i=1; cv=none; " SEAL "|"
#define SET1   R1 M1 S1
#define R2     "R i=2; mx.example.org; none|"
#define M2     "M i=2; " MESSAGE "|"
#define S2(cv) "S i=2; cv=" cv "; " SEAL "|"
#define SET2   R2 M2 S2("pass")

static const struct {
	const char *name;
	/* Fields, each with its kind before it and a "|" behind it. */
	const char *fields;
	size_t n; /* sets; 0: there is none, or err */
	const char *err;
} chains[] = {
	{ "none", "", 0, NULL },
	{ "one set", SET1, 1, NULL },
	{ "two sets", SET1 SET2, 2, NULL },
	{ "the last one first", SET2 SET1, 2, NULL },
	{ "in disorder", S1 R2 M1 S2("pass") R1 M2, 2, NULL },
	/* Sets. */
	{ "no results", M1 S1, 0,
		"ARC-Authentication-Results of instance 1 is missing" },
	{ "no signature", R1 S1, 0,
		"ARC-Message-Signature of instance 1 is missing" },
	{ "no seal", R1 M1, 0, "ARC-Seal of instance 1 is missing" },
	{ "no first set", SET2, 0,
		"ARC-Authentication-Results of instance 1 is missing" },
	{ "no second seal", SET1 R2 M2, 0,
		"ARC-Seal of instance 2 is missing" },
	{ "a gap", SET1 "R i=3; mx.example.org; none|", 0,
		"ARC-Authentication-Results of instance 2 is missing" },
	{ "results twice", SET1 R1, 0,
		"ARC-Authentication-Results of instance 1 is there twice" },
	{ "a signature twice", SET1 M1, 0,
		"ARC-Message-Signature of instance 1 is there twice" },
	{ "a seal twice", S1 SET1, 0, "ARC-Seal of instance 1 is there twice" },
	{ "a seal twice, written otherwise", SET1 "S i=01; cv=none; " SEAL "|",
		0, "ARC-Seal of instance 1 is there twice" },
	/* Instances. */
	{ "no instance of results", "R mx.example.org; none|", 0,
		"an instance is malformed" },
	{ "an instance behind the results", "R mx.example.org; i=1|", 0,
		"an instance is malformed" },
	{ "no semicolon behind it", "R i=1 mx.example.org; none|", 0,
		"an instance is malformed" },
	{ "an empty instance", "R i=; mx.example.org; none|", 0,
		"an instance is malformed" },
	{ "instance 0", "R i=0; mx.example.org; none|", 0,
		"an instance is malformed" },
	{ "instance 51", "R i=51; mx.example.org; none|", 0,
		"an instance is malformed" },
	{ "an instance that is no number", "R i=x; mx.example.org; none|", 0,
		"an instance is malformed" },
	{ "comments around an instance",
		"R (a) i (b) = (c) 1 (d) ; mx.example.org; none|" M1 S1, 1,
		NULL },
	{ "no instance of a signature", "M " MESSAGE "|", 0,
		"an instance is malformed" },
	{ "an empty instance of a signature", "M i=; " MESSAGE "|", 0,
		"an instance is malformed" },
	{ "instance 0 of a seal", "S i=0; cv=none; " SEAL "|", 0,
		"an instance is malformed" },
	{ "a huge instance", "S i=18446744073709551617; cv=none; " SEAL "|", 0,
		"an instance is malformed" },
	/* Seals. */
	{ "pass at first", R1 M1 "S i=1; cv=pass; " SEAL "|", 0,
		"ARC-Seal of instance 1 says what it may not" },
	{ "fail at first", R1 M1 "S i=1; cv=fail; " SEAL "|", 0,
		"ARC-Seal of instance 1 says that the chain was broken "
		"before" },
	{ "none later", SET1 R2 M2 S2("none"), 0,
		"ARC-Seal of instance 2 says what it may not" },
	{ "fail later", SET1 R2 M2 S2("fail"), 0,
		"ARC-Seal of instance 2 says that the chain was broken "
		"before" },
	{ "fail before", R1 M1 "S i=1; cv=fail; " SEAL "|" SET2, 0,
		"ARC-Seal of instance 1 says what it may not" },
	{ "another word", R1 M1 "S i=1; cv=maybe; " SEAL "|", 0,
		"ARC-Seal of instance 1 does not say what was before it" },
	{ "another case", R1 M1 "S i=1; cv=None; " SEAL "|", 0,
		"ARC-Seal of instance 1 does not say what was before it" },
	{ "nothing", R1 M1 "S i=1; " SEAL "|", 0,
		"ARC-Seal of instance 1 does not say what was before it" },
	{ "a seal of header fields", R1 M1 "S i=1; cv=none; h=from; " SEAL "|",
		0, "ARC-Seal of instance 1 has a list of header fields" },
	{ "another version is not known",
		R1 M1 "S i=1; v=1; cv=none; " SEAL "|", 1, NULL },
	/* Tags. */
	{ "no list of tags", "S i=1; cv|", 0,
		"ARC-Seal is malformed: a tag has no value" },
	{ "a tag twice", "M i=1; i=1; " MESSAGE "|", 0,
		"ARC-Message-Signature is malformed: a tag stands there twice" },
	{ "no algorithm", "S i=1; cv=none; b=abc; d=example.org; s=k|", 0,
		"ARC-Seal of instance 1 is not signed" },
	{ "no signature in a seal",
		"S i=1; cv=none; a=x; b=; d=example.org; s=k|", 0,
		"ARC-Seal of instance 1 is not signed" },
	{ "no domain", "S i=1; cv=none; a=x; b=abc; s=k|", 0,
		"ARC-Seal of instance 1 names no key" },
	{ "a bad domain", "S i=1; cv=none; a=x; b=abc; d=a..b; s=k|", 0,
		"ARC-Seal of instance 1 names no key" },
	{ "no selector", "M i=1; a=x; b=c; d=example.org; s=; h=from; bh=d|", 0,
		"ARC-Message-Signature of instance 1 names no key" },
	{ "a time", R1 "M i=1; t=1700000000; " MESSAGE "|" S1, 1, NULL },
	{ "no time in t=", "M i=1; t=; " MESSAGE "|", 0,
		"ARC-Message-Signature of instance 1 has no valid time" },
	{ "a time that is no number", "S i=1; cv=none; t=x; " SEAL "|", 0,
		"ARC-Seal of instance 1 has no valid time" },
	{ "no list of header fields", "M i=1; bh=abc; " SEAL "|", 0,
		"ARC-Message-Signature of instance 1 does not sign the "
		"message" },
	{ "no header fields", R1 "M i=1; bh=abc; h=; " SEAL "|" S1, 1, NULL },
	{ "no hash of the body", "M i=1; bh=; h=from; " SEAL "|", 0,
		"ARC-Message-Signature of instance 1 does not sign the "
		"message" },
	{ "seals among the header fields",
		"M i=1; bh=abc; h=from : arc-seal; " SEAL "|", 0,
		"ARC-Message-Signature of instance 1 covers seals" },
	{ "relaxed", R1 "M i=1; c=relaxed; " MESSAGE "|" S1, 1, NULL },
	{ "simple/relaxed", R1 "M i=1; c=simple/relaxed; " MESSAGE "|" S1, 1,
		NULL },
	{ "no canonicalization", "M i=1; c=; " MESSAGE "|", 0,
		"ARC-Message-Signature of instance 1 has no known "
		"canonicalization" },
	{ "another canonicalization", "M i=1; c=simple/x; " MESSAGE "|", 0,
		"ARC-Message-Signature of instance 1 has no known "
		"canonicalization" },
};

static size_t
split(const char *text, struct arc_field *fields, size_t max)
{
	struct slice rest = slice_of(text), field;
	size_t n = 0;

	while (slice_split(&rest, '|', &field) && field.len > 0) {
		ck_assert_uint_lt(n, max);
		fields[n].kind = field.ptr[0] == 'R'   ? ARC_RESULTS
				 : field.ptr[0] == 'M' ? ARC_MESSAGE
						       : ARC_SEAL;
		fields[n++].value = slice_from(field, 1);
	}
	return n;
}

static void
ck_assert_chain(const char *name, const struct arc_chain *chain, size_t n,
	const char *err)
{
	const enum arc_status status = err != NULL ? ARC_BROKEN
				       : n > 0     ? ARC_COMPLETE
						   : ARC_NO_CHAIN;

	if (err != NULL) {
		ck_assert_ptr_nonnull(chain->err);
		ck_assert_msg(strcmp(chain->err, err) == 0,
			"%s: %s\ninstead of %s", name, chain->err, err);
	}
	ck_assert_msg(chain->status == status, "%s: %s", name,
		chain->err == NULL ? "" : chain->err);
	ck_assert_uint_eq(chain->n, n);
}

START_TEST(fields_make_a_chain_or_not)
{
	struct arena *arena = arena_new(1024);
	struct arc_field fields[16];
	struct arc_chain chain;

	arc_chain_read(arena, fields, split(chains[_i].fields, fields, 16),
		&chain);
	ck_assert_chain(chains[_i].name, &chain, chains[_i].n, chains[_i].err);
	arena_free(arena);
}
END_TEST

static void
ck_assert_slice(struct slice got, const char *expected)
{
	ck_assert_msg(slice_eq_text(got, expected), "%.*s\ninstead of %s",
		SLICE_ARG(got), expected);
}

START_TEST(sets_have_what_verifiers_need)
{
	struct arena *arena = arena_new(1024);
	const struct arc_field fields[] = {
		{ ARC_SEAL, SLICE(" i=1; a=rsa-sha256; t=12345; cv=none;\n"
				  " d=example.org; s=k1; b=ab\n cd=") },
		{ ARC_RESULTS, SLICE(" i=1; mx.example.org; spf=pass") },
		{ ARC_MESSAGE,
			SLICE(" i=1; a=ed25519-sha256; c=relaxed/simple;\n"
			      " d=example.net; s=k2; h=from : to;\n"
			      " bh=efg=; b=hij=") },
	};
	struct arc_chain chain;
	const struct arc_set *set = &chain.sets[0];

	arc_chain_read(arena, fields, 3, &chain);
	ck_assert_int_eq(chain.status, ARC_COMPLETE);
	ck_assert_slice(set->results, " mx.example.org; spf=pass");
	ck_assert(slice_eq(set->results_field, fields[1].value));
	ck_assert_int_eq(set->cv, ARC_CV_NONE);
	ck_assert(slice_eq(set->seal.field, fields[0].value));
	ck_assert_slice(set->seal.algorithm, "rsa-sha256");
	ck_assert_slice(set->seal.domain, "example.org");
	ck_assert_slice(set->seal.selector, "k1");
	ck_assert_slice(set->seal.signature, "ab\n cd=");
	ck_assert_uint_eq(set->seal.time, 12345);
	ck_assert(slice_eq(set->message.field, fields[2].value));
	ck_assert_slice(set->message.algorithm, "ed25519-sha256");
	ck_assert_slice(set->message.domain, "example.net");
	ck_assert_slice(set->message.selector, "k2");
	ck_assert_slice(set->message.signature, "hij=");
	ck_assert_slice(set->message.headers, "from : to");
	ck_assert_slice(set->message.body_hash, "efg=");
	ck_assert_slice(set->message.canonicalization, "relaxed/simple");
	ck_assert_uint_eq(set->message.time, 0);
	arena_free(arena);
}
END_TEST

static struct arc_field
make_field(struct arena *arena, enum arc_kind kind, size_t instance)
{
	static const char *const rest[] = {
		[ARC_RESULTS] = "mx.example.org; none",
		[ARC_MESSAGE] = MESSAGE,
		[ARC_SEAL] = SEAL "; cv=pass",
	};
	const char *text = kind == ARC_SEAL && instance == 1 ? SEAL "; cv=none"
							     : rest[kind];

	return (struct arc_field){ kind,
		slice_of(arena_printf(arena, "i=%zu; %s", instance, text)) };
}

/* Fifty complete sets, and so many fields more. */
static void
ck_assert_long_chain(size_t n_more, size_t n, const char *err)
{
	struct arena *arena = arena_new((size_t)1 << 20);
	struct arc_field fields[ARC_FIELDS_MAX + 1];
	struct arc_chain chain;

	for (size_t i = 0; i < ARC_FIELDS_MAX + 1; i++)
		fields[i] =
			make_field(arena, (enum arc_kind)(i % ARC_KIND_COUNT),
				i / ARC_KIND_COUNT + 1);
	arc_chain_read(arena, fields, ARC_FIELDS_MAX + n_more, &chain);
	ck_assert_chain("a long chain", &chain, n, err);
	arena_free(arena);
}

START_TEST(fifty_sets_are_the_most)
{
	ck_assert_long_chain(0, ARC_INSTANCES_MAX, NULL);
	ck_assert_long_chain(1, 0, "there are more than 50 instances");
}
END_TEST

START_TEST(kinds_are_known_by_their_names)
{
	enum arc_kind kind;

	ck_assert(arc_kind_of(SLICE("arc-SEAL"), &kind) && kind == ARC_SEAL);
	ck_assert(arc_kind_of(SLICE("ARC-Message-Signature"), &kind) &&
		  kind == ARC_MESSAGE);
	ck_assert(arc_kind_of(SLICE("ARC-Authentication-Results"), &kind) &&
		  kind == ARC_RESULTS);
	ck_assert(!arc_kind_of(SLICE("Authentication-Results"), &kind));
	ck_assert(!arc_kind_of(SLICE("ARC-Seal "), &kind));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("arc_chain");
	TCase *tcase = tcase_create("arc_chain");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, fields_make_a_chain_or_not, 0, N(chains));
	tcase_add_test(tcase, sets_have_what_verifiers_need);
	tcase_add_test(tcase, fifty_sets_are_the_most);
	tcase_add_test(tcase, kinds_are_known_by_their_names);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
