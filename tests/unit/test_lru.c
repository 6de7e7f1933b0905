#include "common/base/lru.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values are texts; those that went, one after the other. */
static char gone[64];
static struct lru *lru;

static void
note(void *value)
{
	(void)snprintf(gone + strlen(gone), sizeof(gone) - strlen(gone), "%s ",
		(const char *)value);
}

static void
set_up(void)
{
	gone[0] = '\0';
	lru = lru_new(3, note);
}

static void
tear_down(void)
{
	lru_free(lru);
}

static void
put(const char *key, char *value)
{
	lru_put(lru, slice_of(key), value);
}

static char one[] = "one", two[] = "two", three[] = "three", four[] = "four";

START_TEST(what_was_not_asked_for_longest_goes)
{
	ck_assert_ptr_null(lru_oldest(lru));
	lru_remove_oldest(lru);
	put("1", one);
	put("2", two);
	put("3", three);
	ck_assert_str_eq(lru_get(lru, SLICE("1")), "one");
	ck_assert_str_eq(lru_oldest(lru), "two");
	put("4", four);
	ck_assert_str_eq(gone, "two ");
	ck_assert_ptr_null(lru_get(lru, SLICE("2")));
	ck_assert_str_eq(lru_get(lru, SLICE("1")), "one");
	ck_assert_uint_eq(lru_count(lru), 3);
	lru_remove_oldest(lru);
	ck_assert_str_eq(gone, "two three ");
	ck_assert_uint_eq(lru_count(lru), 2);
}
END_TEST

START_TEST(one_takes_the_place_of_another)
{
	put("1", one);
	put("2", two);
	put("1", three);
	ck_assert_str_eq(gone, "one ");
	ck_assert_uint_eq(lru_count(lru), 2);
	ck_assert_str_eq(lru_get(lru, SLICE("1")), "three");
	ck_assert_str_eq(lru_oldest(lru), "two");
}
END_TEST

START_TEST(keys_may_hold_any_byte)
{
	lru_put(lru, SLICE("a\0b"), one);
	lru_put(lru, SLICE("a\0c"), two);
	ck_assert_ptr_null(lru_get(lru, SLICE("a")));
	ck_assert_str_eq(lru_get(lru, SLICE("a\0b")), "one");
	ck_assert_str_eq(lru_get(lru, SLICE("a\0c")), "two");
}
END_TEST

START_TEST(all_go_at_the_end)
{
	put("1", one);
	put("2", two);
	lru_free(lru);
	lru = NULL;
	ck_assert_str_eq(gone, "one two ");
	lru_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("lru");
	TCase *tcase = tcase_create("lru");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, what_was_not_asked_for_longest_goes);
	tcase_add_test(tcase, one_takes_the_place_of_another);
	tcase_add_test(tcase, keys_may_hold_any_byte);
	tcase_add_test(tcase, all_go_at_the_end);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
