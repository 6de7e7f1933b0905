/* What becomes of a question to the DNS: the answers that dns.c hands out. */

#include "common/io/dns.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io/loop.h"
#include "tests/unit/dns_fixture.h"

START_TEST(tells_what_there_is)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_status status;
		uint32_t ttl;
		const char *final;
	} rows[] = {
		{ "a.test", DNS_TYPE_A, DNS_RECORDS, 300, "a.test" },
		{ "alias.test", DNS_TYPE_A, DNS_RECORDS, 300, "a.test" },
		{ "none.test", DNS_TYPE_TXT, DNS_NONE, 60, "none.test" },
		{ "nx.test", DNS_TYPE_MX, DNS_NO_SUCH_NAME, 60, "nx.test" },
		/* Names that libunbound would answer by itself. */
		{ "1.0.0.127.in-addr.arpa", DNS_TYPE_A, DNS_RECORDS, 300,
			"1.0.0.127.in-addr.arpa" },
		{ "1.2.0.192.in-addr.arpa", DNS_TYPE_A, DNS_RECORDS, 300,
			"1.2.0.192.in-addr.arpa" },
		{ "a.localhost", DNS_TYPE_A, DNS_RECORDS, 300, "a.localhost" },
		{ "a.31.172.in-addr.arpa", DNS_TYPE_A, DNS_RECORDS, 300,
			"a.31.172.in-addr.arpa" },
		{ "b\\.c\\032.test", DNS_TYPE_A, DNS_RECORDS, 300,
			"b\\.c\\032.test" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked asked = get(rows[i].name, rows[i].type);

		ck_assert_msg(asked.answer.status == rows[i].status,
			"%s: %s %s", rows[i].name,
			dns_status_text(asked.answer.status), asked.reason);
		ck_assert_uint_eq(asked.answer.ttl, rows[i].ttl);
		ck_assert_str_eq(asked.name, rows[i].final);
		ck_assert_str_eq(asked.reason, "");
		ck_assert(!asked.answer.is_secure);
		if (rows[i].status == DNS_RECORDS)
			ck_assert_uint_eq(asked.last_byte, 2);
	}
}
END_TEST

START_TEST(tells_why_it_failed)
{
	static const struct {
		const char *name, *reason;
	} rows[] = {
		{ "fail.test", "the resolver cannot be reached, or has no "
			       "answer (SERVFAIL)" },
		/* What libunbound hands over with it is its own question. */
		{ "cut.test", "the resolver cannot be reached, or has no "
			      "answer (SERVFAIL)" },
		{ "refused.test", "the resolver cannot be reached, or has no "
				  "answer (SERVFAIL)" },
		{ "broken.test",
			"the answer cannot be used: a record does not hold "
			"what its type says" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked asked = get(rows[i].name, DNS_TYPE_A);

		ck_assert_msg(asked.answer.status == DNS_FAILED, "%s",
			rows[i].name);
		ck_assert_str_eq(asked.reason, rows[i].reason);
		ck_assert_uint_eq(asked.answer.ttl, 0);
	}
}
END_TEST

START_TEST(remembers_answers_and_still_calls_back_later)
{
	struct asked first = get("a.test", DNS_TYPE_A);
	struct asked again = get("A.test.", DNS_TYPE_A);

	ck_assert(!first.answer.is_from_cache);
	ck_assert(again.answer.is_from_cache);
	ck_assert_uint_eq(again.last_byte, 2);
	ck_assert_uint_eq(server_n_asked(), 1);
}
END_TEST

START_TEST(gives_up_at_the_deadline)
{
	struct asked asked;

	ask_for(&asked, "silent.test", DNS_TYPE_A, 20);
	wait_for(&asked);
	ck_assert_int_eq(asked.answer.status, DNS_FAILED);
	ck_assert_str_eq(asked.reason, "there was no answer in time");
	/* Others are not held up. */
	ck_assert_int_eq(get("a.test", DNS_TYPE_A).answer.status, DNS_RECORDS);
}
END_TEST

/* libunbound would take the quick ones for what to expect of all. */
START_TEST(what_is_slow_has_its_time_beside_what_is_quick)
{
	struct asked slow;
	char name[32];

	ask_for(&slow, "silent.test", DNS_TYPE_A, 1500);
	for (unsigned i = 0; slow.n_done == 0; i++) {
		snprintf(name, sizeof(name), "q%u.test", i);
		ck_assert_int_eq(get(name, DNS_TYPE_A).answer.status,
			DNS_RECORDS);
	}
	ck_assert_str_eq(slow.reason, "there was no answer in time");
}
END_TEST

START_TEST(an_impossible_name_does_not_exist)
{
	struct asked asked = get("a..test", DNS_TYPE_A);

	ck_assert_int_eq(asked.answer.status, DNS_NO_SUCH_NAME);
	ck_assert_uint_eq(server_n_asked(), 0);
}
END_TEST

START_TEST(a_forged_answer_is_told_apart)
{
	/* A key that signs test, whose answers here have no signatures. */
	static const char anchor[] =
		"test. IN DS 12345 8 2 00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff\n";
	char path[] = "/tmp/policyd-test-anchor-XXXXXX";
	int fd = mkstemp(path);
	struct asked asked;

	ck_assert_int_eq(write(fd, anchor, sizeof(anchor) - 1),
		sizeof(anchor) - 1);
	close(fd);
	dns_fixture_reopen(path, 100, 100);
	asked = get("a.test", DNS_TYPE_A);
	ck_assert_int_eq(asked.answer.status, DNS_BOGUS);
	ck_assert_msg(
		strncmp(asked.reason, "its signatures do not fit: ", 27) == 0,
		"%s", asked.reason);
	ck_assert_int_eq(get("a.else", DNS_TYPE_A).answer.status, DNS_RECORDS);
	unlink(path);
}
END_TEST

START_TEST(all_fails_when_it_cannot_be_set_up)
{
	dns_fixture_reopen("/nonexistent/anchor", 100, 100);
	ck_assert_msg(strstr(get("a.test", DNS_TYPE_A).reason,
			      "cannot be set up") != NULL,
		"no reason");
}
END_TEST

START_TEST(asks_whom_resolv_conf_names_or_nobody)
{
	const struct dns_config system = { .trust_anchor = "",
		.cache_bytes = 3 << 20,
		.queries_max = 10 };
	const struct dns_config recursive = { .is_recursive = true,
		.trust_anchor = "",
		.cache_bytes = 3 << 20,
		.queries_max = 10 };
	struct asked asked;

	/* Only that it can be set up: a test does not leave the machine. */
	dns_free(dns);
	dns = dns_new(loop, &system);
	asked = get("a..test", DNS_TYPE_A);
	ck_assert_int_eq(asked.answer.status, DNS_NO_SUCH_NAME);
	dns_free(dns);
	dns = dns_new(loop, &recursive);
	asked = get("a..test", DNS_TYPE_A);
	ck_assert_int_eq(asked.answer.status, DNS_NO_SUCH_NAME);
}
END_TEST

START_TEST(one_of_several_resolvers_may_be_dead)
{
	struct asked asked[8];
	char name[32];

	dns_fixture_reopen_beside_a_dead_one();
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "a%d.test", i);
		ask_for(&asked[i], name, DNS_TYPE_A, PATIENCE_MS);
	}
	for (int i = 0; i < 8; i++) {
		wait_for(&asked[i]);
		ck_assert_int_eq(asked[i].answer.status, DNS_RECORDS);
	}
}
END_TEST

START_TEST(comes_back_when_the_resolver_does)
{
	struct asked asked;
	unsigned n_tries = 0;

	server_hold();
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "x%d.test", i);
		ask_for(&asked, name, DNS_TYPE_A, 50);
		wait_for(&asked);
		ck_assert_int_eq(asked.answer.status, DNS_FAILED);
	}
	server_release();
	do {
		char name[32];

		ck_assert_uint_lt(n_tries++, 1000);
		snprintf(name, sizeof(name), "y%u.test", n_tries);
		ask_for(&asked, name, DNS_TYPE_A, 100);
		wait_for(&asked);
	} while (asked.answer.status != DNS_RECORDS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns");
	TCase *tcase = tcase_create("dns");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, dns_fixture_setup,
		dns_fixture_teardown);
	tcase_add_test(tcase, tells_what_there_is);
	tcase_add_test(tcase, tells_why_it_failed);
	tcase_add_test(tcase, remembers_answers_and_still_calls_back_later);
	tcase_add_test(tcase, gives_up_at_the_deadline);
	tcase_add_test(tcase, what_is_slow_has_its_time_beside_what_is_quick);
	tcase_add_test(tcase, an_impossible_name_does_not_exist);
	tcase_add_test(tcase, a_forged_answer_is_told_apart);
	tcase_add_test(tcase, all_fails_when_it_cannot_be_set_up);
	tcase_add_test(tcase, asks_whom_resolv_conf_names_or_nobody);
	tcase_add_test(tcase, one_of_several_resolvers_may_be_dead);
	tcase_add_test(tcase, comes_back_when_the_resolver_does);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
