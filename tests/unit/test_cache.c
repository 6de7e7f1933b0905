#include "common/base/cache.h"

#include <check.h>
#include <stdlib.h>

#include "common/base/mem.h"

/* ck_assert() notes each place it passes, too slowly for a long loop. */
#define REQUIRE(condition)                                      \
	do {                                                    \
		if (!(condition))                               \
			ck_abort_msg("not so: %s", #condition); \
	} while (0)

struct value {
	uint64_t number, a, b;
};

/* Spread like a real hash, but the same in each run (splitmix64). */
static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static struct hash128
key_of(uint64_t number)
{
	return (struct hash128){ mix(number), mix(~number) };
}

static bool
put(struct cache *cache, uint64_t number)
{
	bool is_new;
	struct value *value = cache_put(cache, key_of(number), &is_new);

	if (is_new) {
		REQUIRE((value->number | value->a | value->b) == 0);
		*value = (struct value){ number, ~number, number * 3 };
	}
	REQUIRE(value->number == number);
	return is_new;
}

static bool
has(struct cache *cache, uint64_t number)
{
	const struct value *value = cache_get(cache, key_of(number));

	if (!value)
		return false;
	REQUIRE(value->number == number);
	REQUIRE(value->a == ~number);
	REQUIRE(value->b == number * 3);
	return true;
}

static struct cache *
make(size_t max_entries)
{
	return cache_new(sizeof(struct value), max_entries);
}

START_TEST(puts_gets_and_removes)
{
	struct cache *cache = make(10);

	ck_assert(!has(cache, 1));
	ck_assert(put(cache, 1));
	ck_assert(!put(cache, 1));
	ck_assert(put(cache, 2));
	ck_assert(has(cache, 1) && has(cache, 2));
	ck_assert_uint_eq(cache_count(cache), 2);
	cache_remove(cache, key_of(1));
	cache_remove(cache, key_of(3));
	ck_assert(!has(cache, 1) && has(cache, 2));
	ck_assert_uint_eq(cache_count(cache), 1);
	/* What comes back after a removal is cleared: put() asserts it. */
	ck_assert(put(cache, 1));
	cache_free(cache);
	cache_free(NULL);
}
END_TEST

START_TEST(tells_keys_apart)
{
	struct cache *cache = cache_new(sizeof(int), 10);
	struct hash128 a = { 1, 4 }, b = { 1, 8 }, c = { 2, 4 };

	*(int *)cache_put(cache, a, NULL) = 1;
	*(int *)cache_put(cache, b, NULL) = 2;
	*(int *)cache_put(cache, c, NULL) = 3;
	ck_assert_int_eq(*(int *)cache_get(cache, a), 1);
	ck_assert_int_eq(*(int *)cache_get(cache, b), 2);
	ck_assert_int_eq(*(int *)cache_get(cache, c), 3);
	ck_assert_ptr_null(cache_get(cache, (struct hash128){ 2, 8 }));
	cache_free(cache);
}
END_TEST

static const struct {
	size_t max_entries;
	uint64_t n_puts;
} bounds[] = {
	{ 1, 50 },
	{ 2, 50 },
	{ 3, 100 },
	{ 47, 1000 },
	{ 48, 1000 },
	{ 96, 1000 },
	{ 97, 1000 },
	{ 1000, 20000 },
	{ 65536, 200000 },
};

START_TEST(never_holds_more_than_its_bound)
{
	size_t max = bounds[_i].max_entries;
	struct cache *cache = make(max);
	uint64_t n_found = 0;

	for (uint64_t n = 0; n < bounds[_i].n_puts; n++) {
		REQUIRE(put(cache, n));
		REQUIRE(has(cache, n));
		REQUIRE(cache_count(cache) == (n < max ? n + 1 : max));
	}
	REQUIRE(cache_evicted(cache) == bounds[_i].n_puts - max);
	for (uint64_t n = 0; n < bounds[_i].n_puts; n++)
		n_found += has(cache, n);
	REQUIRE(n_found == max);
	cache_free(cache);
}
END_TEST

/* Nothing is lost or found twice while entries move to a larger table. */
START_TEST(keeps_all_entries_while_it_grows)
{
	enum { N = 3000 };
	struct cache *cache = make(N);

	for (uint64_t n = 0; n < N; n++) {
		REQUIRE(put(cache, n));
		for (uint64_t before = 0; before <= n; before += 7)
			REQUIRE(has(cache, before));
		REQUIRE(!put(cache, n / 2));
		REQUIRE(cache_count(cache) == n + 1);
	}
	REQUIRE(cache_evicted(cache) == 0);
	cache_free(cache);
}
END_TEST

/* Against a plain array of what ought to be in it. */
START_TEST(agrees_with_a_model_of_puts_and_removals)
{
	enum { N_KEYS = 2000, N_STEPS = 100000 };
	struct cache *cache = make(N_KEYS);
	bool *model = x_new_array(N_KEYS, bool);
	size_t count = 0;

	for (uint64_t step = 0; step < N_STEPS; step++) {
		uint64_t number = mix(step) % N_KEYS;

		/* Mostly puts at first, then mostly removals. */
		if (mix(step + N_STEPS) % N_STEPS > step) {
			REQUIRE(put(cache, number) == !model[number]);
			count += !model[number];
			model[number] = true;
		} else {
			cache_remove(cache, key_of(number));
			count -= model[number];
			model[number] = false;
		}
		REQUIRE(cache_count(cache) == count);
	}
	for (uint64_t number = 0; number < N_KEYS; number++)
		REQUIRE(has(cache, number) == model[number]);
	x_free(model);
	cache_free(cache);
}
END_TEST

/* Entries that are asked for survive a flood of those that are not. */
START_TEST(evicts_what_was_not_asked_for)
{
	enum { MAX = 1000, HOT = 100, FLOOD = 20000 };
	struct cache *cache = make(MAX);
	unsigned n_hot = 0;

	for (uint64_t n = 0; n < HOT; n++)
		put(cache, n);
	for (uint64_t n = 0; n < FLOOD; n++) {
		put(cache, HOT + n);
		if (n % 10 == 0)
			for (uint64_t hot = 0; hot < HOT; hot++)
				cache_get(cache, key_of(hot));
	}
	for (uint64_t n = 0; n < HOT; n++)
		n_hot += has(cache, n);
	ck_assert_uint_ge(n_hot, HOT * 9 / 10);
	cache_free(cache);
}
END_TEST

START_TEST(can_be_cleared)
{
	struct cache *cache = make(5000);
	size_t empty_bytes = cache_size_bytes(cache);

	for (unsigned round = 0; round < 3; round++) {
		/* Ends in the midst of a growth, too. */
		for (uint64_t n = 0; n < 4000 + round * 660; n++)
			REQUIRE(put(cache, n));
		cache_clear(cache);
		REQUIRE(cache_count(cache) == 0);
		REQUIRE(cache_size_bytes(cache) == empty_bytes);
		REQUIRE(!has(cache, 1));
	}
	cache_free(cache);
}
END_TEST

START_TEST(holds_a_million_entries_in_100_megabytes)
{
	enum { MILLION = 1000000 };
	struct cache *cache = make(MILLION);
	size_t most = 0;

	for (uint64_t n = 0; n < MILLION; n++) {
		put(cache, n);
		if (cache_size_bytes(cache) > most)
			most = cache_size_bytes(cache);
	}
	ck_assert_uint_lt(most, 100000000);
	ck_assert_uint_lt(cache_size_bytes(cache), 60000000);
	for (uint64_t n = 0; n < MILLION; n += 997)
		REQUIRE(has(cache, n));
	cache_free(cache);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cache");
	TCase *tcase = tcase_create("cache");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, puts_gets_and_removes);
	tcase_add_test(tcase, tells_keys_apart);
	tcase_add_loop_test(tcase, never_holds_more_than_its_bound, 0,
		sizeof(bounds) / sizeof(bounds[0]));
	tcase_add_test(tcase, keeps_all_entries_while_it_grows);
	tcase_add_test(tcase, agrees_with_a_model_of_puts_and_removals);
	tcase_add_test(tcase, evicts_what_was_not_asked_for);
	tcase_add_test(tcase, can_be_cleared);
	tcase_add_test(tcase, holds_a_million_entries_in_100_megabytes);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
