#include "policyd/facts/whitelist_domains.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_tables.h"

static struct fake_world world;

static const struct whitelist_domains *
put(const char *rows)
{
	fake_world_put(&world, &table_whitelist_domains, rows);
	return whitelist_domains_get(fake_tables());
}

START_TEST(names_are_read)
{
	const struct whitelist_domains *list;

	ck_assert_ptr_null(whitelist_domains_get(fake_tables()));
	list = put("1|Example.COM\n2|b.example\n5|xn--bcher-kva.example\n");
	ck_assert_uint_eq(list->n, 3);
	ck_assert_str_eq(list->names[0], "example.com");
	ck_assert_str_eq(list->names[1], "b.example");
	ck_assert_str_eq(list->names[2], "xn--bcher-kva.example");
	ck_assert_str_eq(fake_problems(), "");
	ck_assert_uint_eq(put("")->n, 0);
}
END_TEST

START_TEST(the_same_names_are_known_by_their_sum)
{
	const uint64_t sum = put("1|a.example\n2|b.example\n")->sum;

	ck_assert(put("7|b.example\n9|A.example\n")->sum == sum);
	ck_assert(put("1|a.example\n2|c.example\n")->sum != sum);
	ck_assert(put("1|a.example\n")->sum != sum);
	ck_assert(put("1|a.example\n2|b.example\n3|c.example\n")->sum != sum);
}
END_TEST

START_TEST(what_is_no_domain_is_left_out)
{
	static const char *const wrong[] = { "", "example", "@example.com",
		"user@example.com", ".example.com", "192.0.2.1", "*", "a b.com",
		"a..com" };
	char row[700], name[300];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)snprintf(row, sizeof(row), "1|%s\n2|b.example\n",
			wrong[i]);
		ck_assert_msg(put(row)->n == 1, "%s", wrong[i]);
	}
	/* What fits into the comment, and what does not. */
	memset(name, 'a', sizeof(name));
	memcpy(name + WHITELIST_DOMAIN_MAX - 8, ".example", 9);
	(void)snprintf(row, sizeof(row), "1|%s\n2|a%s\n", name, name);
	ck_assert_uint_eq(put(row)->n, 1);
	ck_assert_uint_eq(
		strlen(whitelist_domains_get(fake_tables())->names[0]),
		WHITELIST_DOMAIN_MAX);
	ck_assert(strstr(fake_problems(), "too long") != NULL);
	ck_assert(strstr(fake_problems(), "not a domain") != NULL);
}
END_TEST

static void
set_up(void)
{
	fake_world_begin(&world, "");
}

static void
tear_down(void)
{
	fake_world_end(&world);
}

int
main(void)
{
	Suite *suite = suite_create("whitelist_domains");
	TCase *tc = tcase_create("whitelist_domains");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, names_are_read);
	tcase_add_test(tc, the_same_names_are_known_by_their_sum);
	tcase_add_test(tc, what_is_no_domain_is_left_out);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
