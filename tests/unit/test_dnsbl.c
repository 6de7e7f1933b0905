#include "common/mail/dnsbl.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct ip
ip(const char *text)
{
	struct ip out;

	ck_assert_msg(ip_parse(slice_of(text), &out), "%s", text);
	return out;
}

START_TEST(reads_what_postscreen_reads)
{
	static const struct {
		const char *item, *domain;
		int weight;
		const char *matching, *other; /* answers */
	} rows[] = {
		{ "bl.example.com", "bl.example.com", 1, "127.0.0.2",
			"128.0.0.2" },
		{ "bl.example.com", "bl.example.com", 1, "127.255.1.2", "::1" },
		{ "bl.example.com*3", "bl.example.com", 3, "127.0.0.2",
			"192.0.2.1" },
		{ "wl.example.com*-5", "wl.example.com", -5, "127.0.0.2",
			"10.0.0.1" },
		{ "bl.x=127.0.0.4", "bl.x", 1, "127.0.0.4", "127.0.0.5" },
		{ "bl.x=127.0.0.[2..11]*2", "bl.x", 2, "127.0.0.11",
			"127.0.0.12" },
		{ "bl.x=127.0.0.[2..11;200]", "bl.x", 1, "127.0.0.200",
			"127.0.0.1" },
		{ "bl.x=127.0.[0..255].[1;3;5..7]", "bl.x", 1, "127.0.9.6",
			"127.0.9.4" },
		{ "bl.x=127.[0..3].0.[64..127]", "bl.x", 1, "127.3.0.64",
			"127.3.0.128" },
		{ "score.senderscore.com=127.0.4.[0..30]*10",
			"score.senderscore.com", 10, "127.0.4.0",
			"127.0.4.31" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip matching = ip(rows[i].matching);
		struct ip other = ip(rows[i].other);
		struct dnsbl list;
		const char *err = "";

		ck_assert_msg(dnsbl_parse(slice_of(rows[i].item), &list, &err),
			"%s: %s", rows[i].item, err);
		ck_assert(slice_eq_text(list.domain, rows[i].domain));
		ck_assert_int_eq(list.weight, rows[i].weight);
		ck_assert_msg(dnsbl_matches(&list, &matching), "%s: %s",
			rows[i].item, rows[i].matching);
		ck_assert_msg(!dnsbl_matches(&list, &other), "%s: %s",
			rows[i].item, rows[i].other);
	}
}
END_TEST

START_TEST(refuses_what_is_no_list)
{
	static const char filter[] = "behind = an address";
	static const char domain[] = "the domain of a list";
	static const char weight[] = "behind * a weight";
	static const struct {
		const char *item, *err;
	} rows[] = {
		{ "", domain },
		{ "localhost", domain },
		{ "a..b", domain },
		{ "a b.c", domain },
		{ "b\xc3\xbc.de", domain },
		{ ".bl.x", domain },
		{ "=127.0.0.2", domain },
		{ "bl.x=", filter },
		{ "bl.x=127.0.0", filter },
		{ "bl.x=127.0.0.2.3", filter },
		{ "bl.x=127.0.0.256", filter },
		{ "bl.x=127.0.0.[2", filter },
		{ "bl.x=127.0.0.[]", filter },
		{ "bl.x=127.0.0.[2;]", filter },
		{ "bl.x=127.0.0.[3..2]", filter },
		{ "bl.x=127.0.0.[2.3]", filter },
		{ "bl.x=127.0.0.[2...3]", filter },
		{ "bl.x=127.0.0.[2]3", filter },
		{ "bl.x=127.0.0.-1", filter },
		{ "bl.x*", weight },
		{ "bl.x*x", weight },
		{ "bl.x*10001", weight },
		{ "bl.x*2*3x", weight },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dnsbl list;
		const char *err = "";

		ck_assert_msg(!dnsbl_parse(slice_of(rows[i].item), &list, &err),
			"%s", rows[i].item);
		ck_assert_msg(strncmp(err, rows[i].err, strlen(rows[i].err)) ==
				      0,
			"%s: %s", rows[i].item, err);
	}
}
END_TEST

START_TEST(turns_addresses_round)
{
	struct ip v4 = ip("192.0.2.10"), v6 = ip("2001:db8::a:1");
	char text[DNSBL_NAME_MAX], domain[DNSBL_DOMAIN_MAX + 2];
	struct dnsbl list;
	struct dns_name name;
	const char *err;

	ck_assert(dnsbl_parse(SLICE("bl.x*2"), &list, &err));
	ck_assert_str_eq(dnsbl_query_name(&list, &v4, text), "10.2.0.192.bl.x");
	ck_assert_str_eq(dnsbl_query_name(&list, &v6, text),
		"1.0.0.0.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"8.b.d.0.1.0.0.2.bl.x");
	/* The longest domain leaves room for the longest client. */
	memset(domain, 'a', sizeof(domain));
	for (size_t i = 1; i < DNSBL_DOMAIN_MAX; i += 2)
		domain[i] = '.';
	ck_assert(dnsbl_parse((struct slice){ domain, DNSBL_DOMAIN_MAX }, &list,
		&err));
	dnsbl_query_name(&list, &v6, text);
	ck_assert(dns_name_parse(slice_of(text), &name));
	ck_assert(!dnsbl_parse((struct slice){ domain, DNSBL_DOMAIN_MAX + 1 },
		&list, &err));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dnsbl");
	TCase *tcase = tcase_create("dnsbl");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, reads_what_postscreen_reads);
	tcase_add_test(tcase, refuses_what_is_no_list);
	tcase_add_test(tcase, turns_addresses_round);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
