#include "common/base/hash.h"

#include <check.h>
#include <stdlib.h>

/* The key of the published vectors: the bytes 00 01 .. 0f. */
#define K0 UINT64_C(0x0706050403020100)
#define K1 UINT64_C(0x0f0e0d0c0b0a0908)

/* SipHash-2-4 of the first n of the bytes 00 01 02 .. */
static const uint64_t vectors[] = {
	UINT64_C(0x726fdb47dd0e0e31),
	UINT64_C(0x74f839c593dc67fd),
	UINT64_C(0x0d6c8009d9a94f5a),
	UINT64_C(0x85676696d7fb7e2d),
	UINT64_C(0xcf2794e0277187b7),
	UINT64_C(0x18765564cd99a68d),
	UINT64_C(0xcbc9466e58fee3ce),
	UINT64_C(0xab0200f58b01d137),
	UINT64_C(0x93f5f5799a932462),
	UINT64_C(0x9e0082df0ba9e4b0),
	UINT64_C(0x7a5dbbc594ddb9f3),
	UINT64_C(0xf4b32f46226bada7),
	UINT64_C(0x751e8fbc860ee5fb),
	UINT64_C(0x14ea5627c0843d90),
	UINT64_C(0xf723ca908e7af2ee),
	UINT64_C(0xa129ca6149be45e5),
};

START_TEST(agrees_with_the_published_vectors)
{
	char bytes[16];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	ck_assert_uint_eq(
		hash_siphash(K0, K1, (struct slice){ bytes, (size_t)_i }),
		vectors[_i]);
}
END_TEST

START_TEST(depends_on_all_of_key_and_text)
{
	struct slice text = SLICE("user@example.com");
	uint64_t hash = hash_siphash(1, 2, text);

	ck_assert_uint_ne(hash, hash_siphash(1, 3, text));
	ck_assert_uint_ne(hash, hash_siphash(3, 2, text));
	ck_assert_uint_ne(hash, hash_siphash(1, 2, SLICE("user@example.con")));
	ck_assert_uint_ne(hash, hash_siphash(1, 2, SLICE("User@example.com")));
	ck_assert_uint_ne(hash_siphash(1, 2, SLICE("\0")),
		hash_siphash(1, 2, SLICE("\0\0")));
}
END_TEST

START_TEST(hashes_alike_within_a_process)
{
	struct hash128 a = hash_u128(SLICE("a")), b = hash_u128(SLICE("a"));

	ck_assert_uint_eq(hash_u64(SLICE("a")), hash_u64(SLICE("a")));
	ck_assert_uint_eq(a.lo, b.lo);
	ck_assert_uint_eq(a.hi, b.hi);
	ck_assert_uint_ne(a.lo, a.hi);
	/* Drawn at the start: not the key of all zeros. */
	ck_assert_uint_ne(hash_u64(SLICE("a")), hash_siphash(0, 0, SLICE("a")));
}
END_TEST

/* Each bit of both halves is set in about half of the hashes. */
START_TEST(spreads_over_all_bits)
{
	enum { N = 4096 };
	unsigned lo[64] = { 0 }, hi[64] = { 0 };
	struct str text = { .limit = 32 };

	for (unsigned i = 0; i < N; i++) {
		struct hash128 hash;

		str_reset(&text);
		str_append_u64(&text, i);
		hash = hash_u128(str_slice(&text));
		for (unsigned bit = 0; bit < 64; bit++) {
			lo[bit] += hash.lo >> bit & 1;
			hi[bit] += hash.hi >> bit & 1;
		}
	}
	/* Twelve standard deviations to both sides of the mean. */
	for (unsigned bit = 0; bit < 64; bit++) {
		ck_assert_uint_gt(lo[bit], N / 2 - 384);
		ck_assert_uint_lt(lo[bit], N / 2 + 384);
		ck_assert_uint_gt(hi[bit], N / 2 - 384);
		ck_assert_uint_lt(hi[bit], N / 2 + 384);
	}
	str_free(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hash");
	TCase *tcase = tcase_create("hash");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, agrees_with_the_published_vectors, 0,
		sizeof(vectors) / sizeof(vectors[0]));
	tcase_add_test(tcase, depends_on_all_of_key_and_text);
	tcase_add_test(tcase, hashes_alike_within_a_process);
	tcase_add_test(tcase, spreads_over_all_bits);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
