#include "common/mail/netmap.h"

#include <check.h>
#include <stdlib.h>

static struct netmap *map;

static void
setup(void)
{
	map = netmap_new();
}

static void
teardown(void)
{
	netmap_free(map, NULL);
}

static struct network
network(const char *text)
{
	struct network out;

	ck_assert_msg(network_parse(slice_of(text), &out, NULL), "%s", text);
	return out;
}

static struct ip
ip(const char *text)
{
	struct ip out;

	ck_assert_msg(ip_parse(slice_of(text), &out), "%s", text);
	return out;
}

static void *
put(const char *text, void *value)
{
	struct network key = network(text);

	return netmap_put(map, &key, value);
}

static void *
get(const char *text)
{
	struct ip key = ip(text);

	return netmap_get(map, &key);
}

START_TEST(finds_nothing_in_an_empty_map)
{
	struct network all = network("0.0.0.0/0");
	struct ip none = { .family = IP_NONE };

	ck_assert_ptr_null(get("192.0.2.1"));
	ck_assert_ptr_null(get("::1"));
	ck_assert_ptr_null(netmap_get(map, &none));
	ck_assert_ptr_null(netmap_get_exact(map, &all));
	ck_assert_uint_eq(netmap_count(map), 0);
}
END_TEST

START_TEST(prefers_the_longest_prefix)
{
	static char all, wide, narrow, host, six;

	put("192.0.2.0/24", &narrow);
	put("0.0.0.0/0", &all);
	put("192.0.2.1", &host);
	put("192.0.0.0/16", &wide);
	put("2001:db8::/32", &six);
	ck_assert_uint_eq(netmap_count(map), 5);

	ck_assert_ptr_eq(get("192.0.2.1"), &host);
	ck_assert_ptr_eq(get("192.0.2.2"), &narrow);
	ck_assert_ptr_eq(get("192.0.3.2"), &wide);
	ck_assert_ptr_eq(get("203.0.113.1"), &all);
	ck_assert_ptr_eq(get("::ffff:192.0.2.1"), &host);
	ck_assert_ptr_eq(get("2001:db8:1::1"), &six);
	ck_assert_ptr_null(get("2001:db9::1"));
}
END_TEST

START_TEST(walks_all_containing_networks_longest_first)
{
	static char a, b, c, other;
	struct ip key = ip("10.1.2.3");
	size_t at = 0;

	put("10.0.0.0/8", &c);
	put("10.1.2.3", &a);
	put("10.1.0.0/16", &b);
	put("10.2.0.0/16", &other);
	put("10.1.2.0/25", &other);
	struct network hit = network("10.1.2.0/25");
	ck_assert_ptr_eq(netmap_get_exact(map, &hit), &other);

	ck_assert_ptr_eq(netmap_next(map, &key, &at), &a);
	ck_assert_ptr_eq(netmap_next(map, &key, &at), &other);
	ck_assert_ptr_eq(netmap_next(map, &key, &at), &b);
	ck_assert_ptr_eq(netmap_next(map, &key, &at), &c);
	ck_assert_ptr_null(netmap_next(map, &key, &at));
	ck_assert_ptr_null(netmap_next(map, &key, &at));
}
END_TEST

START_TEST(replaces_the_value_of_the_same_network)
{
	static char first, second;
	struct network wider = network("192.0.0.0/23");

	ck_assert_ptr_null(put("192.0.2.0/24", &first));
	ck_assert_ptr_eq(put("192.0.2.9/24", &second), &first);
	ck_assert_uint_eq(netmap_count(map), 1);
	ck_assert_ptr_eq(get("192.0.2.1"), &second);
	ck_assert_ptr_null(netmap_get_exact(map, &wider));
}
END_TEST

START_TEST(keeps_the_families_apart)
{
	static char four, six;

	put("0.0.0.0/0", &four);
	put("::/0", &six);
	ck_assert_ptr_eq(get("0.0.0.0"), &four);
	ck_assert_ptr_eq(get("::"), &six);
}
END_TEST

START_TEST(holds_a_hundred_thousand_networks)
{
	enum { COUNT = 100000 };
	static char values[COUNT];
	struct ip key = { .family = IP_V4, .bytes = { 10 } };

	for (unsigned i = 0; i < COUNT; i++) {
		key.bytes[1] = (uint8_t)(i >> 12);
		key.bytes[2] = (uint8_t)(i >> 4);
		key.bytes[3] = (uint8_t)(i << 4);
		struct network subnet = network_of(&key, 28);
		ck_assert_ptr_null(netmap_put(map, &subnet, &values[i]));
	}
	ck_assert_uint_eq(netmap_count(map), COUNT);
	for (unsigned i = 0; i < COUNT; i += 7) {
		key.bytes[1] = (uint8_t)(i >> 12);
		key.bytes[2] = (uint8_t)(i >> 4);
		key.bytes[3] = (uint8_t)(i << 4 | 5);
		ck_assert_ptr_eq(netmap_get(map, &key), &values[i]);
	}
	ck_assert_ptr_null(get("11.0.0.1"));
}
END_TEST

static int n_freed;

static void
count_free(void *value)
{
	ck_assert_ptr_nonnull(value);
	n_freed++;
}

START_TEST(frees_each_value_once)
{
	static char value;
	struct netmap *other = netmap_new();
	struct network a = network("10.0.0.0/8"), b = network("::1");

	netmap_put(other, &a, &value);
	netmap_put(other, &b, &value);
	netmap_free(other, count_free);
	ck_assert_int_eq(n_freed, 2);
	netmap_free(NULL, count_free);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("netmap");
	TCase *tcase = tcase_create("netmap");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, finds_nothing_in_an_empty_map);
	tcase_add_test(tcase, prefers_the_longest_prefix);
	tcase_add_test(tcase, walks_all_containing_networks_longest_first);
	tcase_add_test(tcase, replaces_the_value_of_the_same_network);
	tcase_add_test(tcase, keeps_the_families_apart);
	tcase_add_test(tcase, holds_a_hundred_thousand_networks);
	tcase_add_test(tcase, frees_each_value_once);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
