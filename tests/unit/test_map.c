#include "common/base/map.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define MANY 100000

/* ck_assert() notes each place it passes, too slowly for a long loop. */
#define REQUIRE(condition)                                      \
	do {                                                    \
		if (!(condition))                               \
			ck_abort_msg("not so: %s", #condition); \
	} while (0)

static unsigned n_freed;

static void
count_free(void *value)
{
	n_freed++;
	x_free(value);
}

/* The key of a number; valid until the next call. */
static struct slice
key_of(unsigned number)
{
	static char text[32];

	snprintf(text, sizeof(text), "user%u@example.com", number);
	return slice_of(text);
}

/* A pointer that tells the number; never NULL. */
static void *
value_of(unsigned number)
{
	static char bytes[MANY];

	return &bytes[number];
}

START_TEST(answers_when_empty)
{
	struct map *map = map_new();
	struct slice key;
	void *value;
	size_t at = 0;

	ck_assert_ptr_null(map_get(map, SLICE("a")));
	ck_assert_ptr_null(map_remove(map, SLICE("a")));
	ck_assert(!map_next(map, &at, &key, &value));
	ck_assert_uint_eq(map_count(map), 0);
	map_free(map, NULL);
	map_free(NULL, NULL);
}
END_TEST

START_TEST(replaces_and_removes)
{
	struct map *map = map_new();
	char key[] = "key";

	ck_assert_ptr_null(map_put(map, slice_of(key), value_of(1)));
	ck_assert_ptr_eq(map_put(map, slice_of(key), value_of(2)), value_of(1));
	ck_assert_uint_eq(map_count(map), 1);
	/* The key was copied. */
	memcpy(key, "yek", 3);
	ck_assert_ptr_eq(map_get(map, SLICE("key")), value_of(2));
	ck_assert_ptr_null(map_get(map, SLICE("yek")));
	ck_assert_ptr_eq(map_remove(map, SLICE("key")), value_of(2));
	ck_assert_ptr_null(map_get(map, SLICE("key")));
	ck_assert_uint_eq(map_count(map), 0);
	map_free(map, NULL);
}
END_TEST

START_TEST(takes_any_bytes_for_a_key)
{
	struct map *map = map_new();

	map_put(map, SLICE(""), value_of(1));
	map_put(map, SLICE("\0"), value_of(2));
	map_put(map, SLICE("\0\0"), value_of(3));
	map_put(map, SLICE("\xff"), value_of(4));
	ck_assert_uint_eq(map_count(map), 4);
	ck_assert_ptr_eq(map_get(map, slice_of(NULL)), value_of(1));
	ck_assert_ptr_eq(map_get(map, SLICE("\0")), value_of(2));
	ck_assert_ptr_eq(map_get(map, SLICE("\0\0")), value_of(3));
	ck_assert_ptr_eq(map_get(map, SLICE("\xff")), value_of(4));
	map_free(map, NULL);
}
END_TEST

static void
assert_walk(const struct map *map, unsigned count)
{
	unsigned char *seen = x_new_array(MANY, unsigned char);
	struct slice key;
	void *value;
	size_t at = 0;
	unsigned n = 0, number;

	while (map_next(map, &at, &key, &value)) {
		number = (unsigned)((char *)value - (char *)value_of(0));
		REQUIRE(slice_eq(key, key_of(number)));
		REQUIRE(seen[number]++ == 0);
		n++;
	}
	REQUIRE(n == count);
	x_free(seen);
}

START_TEST(grows_and_shrinks)
{
	struct map *map = map_new();
	size_t empty_bytes = map_size_bytes(map);

	for (unsigned i = 0; i < MANY; i++)
		REQUIRE(!map_put(map, key_of(i), value_of(i)));
	REQUIRE(map_count(map) == MANY);
	for (unsigned i = 0; i < MANY; i++)
		REQUIRE(map_get(map, key_of(i)) == value_of(i));
	assert_walk(map, MANY);
	ck_assert_uint_gt(map_size_bytes(map), empty_bytes + MANY * 20);

	/* Removing closes the gaps: all that stay are still found. */
	for (unsigned i = 0; i < MANY; i += 3)
		REQUIRE(map_remove(map, key_of(i)) == value_of(i));
	for (unsigned i = 0; i < MANY; i++)
		REQUIRE(map_get(map, key_of(i)) ==
			(i % 3 ? value_of(i) : NULL));
	assert_walk(map, MANY - (MANY + 2) / 3);
	for (unsigned i = 0; i < MANY; i++)
		map_remove(map, key_of(i));
	REQUIRE(map_count(map) == 0);
	assert_walk(map, 0);
	map_free(map, NULL);
}
END_TEST

START_TEST(frees_the_values_that_are_left)
{
	struct map *map = map_new();

	for (unsigned i = 0; i < 100; i++)
		map_put(map, key_of(i), x_new(int));
	x_free(map_remove(map, key_of(5)));
	n_freed = 0;
	map_free(map, count_free);
	ck_assert_uint_eq(n_freed, 99);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("map");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, answers_when_empty);
	tcase_add_test(tcase, replaces_and_removes);
	tcase_add_test(tcase, takes_any_bytes_for_a_key);
	tcase_add_test(tcase, grows_and_shrinks);
	tcase_add_test(tcase, frees_the_values_that_are_left);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
