#include "common/mail/ip.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	const char *canonical; /* NULL: refused */
} ip_cases[] = {
	{ "192.0.2.1", "192.0.2.1" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "2001:DB8::1", "2001:db8::1" },
	{ "2001:0db8:0:0:0:0:0:1", "2001:db8::1" },
	{ "2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1" },
	{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "::", "::" },
	{ "::1", "::1" },
	{ "::ffff:192.0.2.1", "192.0.2.1" },
	{ "::ffff:c000:201", "192.0.2.1" },
	{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201" },
	{ "", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.256", NULL },
	{ "192.0.2.01", NULL },
	{ "192.0.2.1.", NULL },
	{ " 192.0.2.1", NULL },
	{ "192.0.2.1/32", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
	{ "fe80::1%eth0", NULL },
	{ "[::1]", NULL },
	{ "unknown", NULL },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255", NULL },
};

START_TEST(parses_and_formats_addresses)
{
	const char *text = ip_cases[_i].text;
	const char *canonical = ip_cases[_i].canonical;
	char buffer[IP_TEXT_MAX];
	struct ip ip;

	ck_assert_msg(ip_parse(slice_of(text), &ip) == (canonical != NULL),
		"%s", text);
	if (canonical != NULL)
		ck_assert_str_eq(ip_format(&ip, buffer), canonical);
}
END_TEST

START_TEST(refuses_a_nul_in_an_address)
{
	struct ip ip;

	ck_assert(!ip_parse(SLICE("192.0.2.1\0x"), &ip));
}
END_TEST

static const struct {
	const char *text;
	const char *canonical; /* NULL: refused */
	bool had_host_bits;
} network_cases[] = {
	{ "192.0.2.0/24", "192.0.2.0/24", false },
	{ "192.0.2.7/24", "192.0.2.0/24", true },
	{ "192.0.2.7", "192.0.2.7", false },
	{ "192.0.2.7/32", "192.0.2.7", false },
	{ "192.0.2.255/25", "192.0.2.128/25", true },
	{ "192.0.2.255/31", "192.0.2.254/31", true },
	{ "255.255.255.255/1", "128.0.0.0/1", true },
	{ "0.0.0.0/0", "0.0.0.0/0", false },
	{ "1.2.3.4/0", "0.0.0.0/0", true },
	{ "2001:db8::/32", "2001:db8::/32", false },
	{ "2001:DB8:ffff::/33", "2001:db8:8000::/33", true },
	{ "2001:db8::1/128", "2001:db8::1", false },
	{ "2001:db8::1/127", "2001:db8::/127", true },
	{ "::/0", "::/0", false },
	{ "::ffff:192.0.2.0/120", "192.0.2.0/24", false },
	{ "::ffff:192.0.2.9/120", "192.0.2.0/24", true },
	{ "::ffff:192.0.2.9", "192.0.2.9", false },
	{ "::ffff:0.0.0.0/95", NULL, false },
	{ "192.0.2.0/33", NULL, false },
	{ "2001:db8::/129", NULL, false },
	{ "192.0.2.0/", NULL, false },
	{ "192.0.2.0/-1", NULL, false },
	{ "192.0.2.0/24/24", NULL, false },
	{ "192.0.2.0/255.255.255.0", NULL, false },
	{ "192.0.2.0/4294967320", NULL, false },
	{ "/24", NULL, false },
	{ "2001:db8::/d", NULL, false },
	{ "", NULL, false },
};

START_TEST(parses_and_formats_networks)
{
	const char *text = network_cases[_i].text;
	const char *canonical = network_cases[_i].canonical;
	char buffer[NETWORK_TEXT_MAX];
	struct network network;
	bool had_host_bits;

	ck_assert_msg(network_parse(slice_of(text), &network, &had_host_bits) ==
			      (canonical != NULL),
		"%s", text);
	if (canonical == NULL)
		return;
	ck_assert_str_eq(network_format(&network, buffer), canonical);
	ck_assert_int_eq(had_host_bits, network_cases[_i].had_host_bits);
}
END_TEST

static const struct {
	const char *network;
	const char *ip;
	bool is_inside;
} contains_cases[] = {
	{ "192.0.2.0/24", "192.0.2.255", true },
	{ "192.0.2.0/24", "192.0.3.0", false },
	{ "192.0.2.0/25", "192.0.2.128", false },
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "0.0.0.0/0", "203.0.113.9", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "::/0", "192.0.2.1", false },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "192.0.2.0/24", "::ffff:192.0.2.5", true },
};

START_TEST(tells_what_a_network_contains)
{
	struct network network;
	struct ip ip;

	ck_assert(network_parse(slice_of(contains_cases[_i].network), &network,
		NULL));
	ck_assert(ip_parse(slice_of(contains_cases[_i].ip), &ip));
	ck_assert_int_eq(network_contains(&network, &ip),
		contains_cases[_i].is_inside);
}
END_TEST

START_TEST(orders_networks)
{
	static const char *const sorted[] = { "10.0.0.0/8", "10.0.0.0/9",
		"10.0.0.0", "192.0.2.0/24", "192.0.2.1", "2001:db8::/32",
		"2001:db8::/64", "2001:db8::", "2001:db8::1" };
	const size_t n = sizeof(sorted) / sizeof(sorted[0]);
	struct network a, b;

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			int order;

			ck_assert(network_parse(slice_of(sorted[i]), &a, NULL));
			ck_assert(network_parse(slice_of(sorted[j]), &b, NULL));
			order = network_compare(&a, &b);
			ck_assert_msg((order < 0) == (i < j) &&
					      (order == 0) == (i == j),
				"%s, %s: %d", sorted[i], sorted[j], order);
		}
	}
}
END_TEST

START_TEST(knows_the_two_loopback_addresses)
{
	static const struct {
		const char *text;
		bool is_loopback;
	} cases[] = {
		{ "127.0.0.1", true },
		{ "::1", true },
		{ "::ffff:127.0.0.1", true },
		{ "127.0.0.2", false },
		{ "::2", false },
		{ "10.0.0.1", false },
	};
	struct ip ip;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert(ip_parse(slice_of(cases[i].text), &ip));
		ck_assert_msg(ip_is_loopback(&ip) == cases[i].is_loopback, "%s",
			cases[i].text);
	}
	ck_assert(!ip_is_loopback(&(struct ip){ .family = IP_NONE }));
}
END_TEST

START_TEST(makes_two_wildcards_or_all)
{
	static const char *const all[] = { "1.2.3.*", "1.2.*.4", "1.*.3.4",
		"*.2.3.4", "1.2.*.*", "1.*.3.*", "1.*.*.4", "*.2.3.*",
		"*.2.*.4", "*.*.3.4", "1.*.*.*", "*.2.*.*", "*.*.3.*",
		"*.*.*.4", "*.*.*.*" };
	char forms[IP_WILDCARDS_MAX][IP_TEXT_MAX];
	struct ip ip;

	ck_assert(ip_parse(SLICE("1.2.3.4"), &ip));
	ck_assert_uint_eq(ip_wildcards(&ip, false, forms), 2);
	ck_assert_str_eq(forms[0], "1.2.3.*");
	ck_assert_str_eq(forms[1], "1.2.*.4");
	ck_assert_uint_eq(ip_wildcards(&ip, true, forms), 15);
	for (size_t i = 0; i < 15; i++)
		ck_assert_str_eq(forms[i], all[i]);

	ck_assert(ip_parse(SLICE("255.255.255.255"), &ip));
	ck_assert_uint_eq(ip_wildcards(&ip, false, forms), 2);
	ck_assert_str_eq(forms[1], "255.255.*.255");
	ck_assert(ip_parse(SLICE("2001:db8::1"), &ip));
	ck_assert_uint_eq(ip_wildcards(&ip, true, forms), 0);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("ip");
	TCase *tcase = tcase_create("ip");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, parses_and_formats_addresses, 0,
		N(ip_cases));
	tcase_add_test(tcase, refuses_a_nul_in_an_address);
	tcase_add_loop_test(tcase, parses_and_formats_networks, 0,
		N(network_cases));
	tcase_add_loop_test(tcase, tells_what_a_network_contains, 0,
		N(contains_cases));
	tcase_add_test(tcase, orders_networks);
	tcase_add_test(tcase, knows_the_two_loopback_addresses);
	tcase_add_test(tcase, makes_two_wildcards_or_all);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
