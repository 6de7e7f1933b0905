/*
 * The bounds of RFC 7208, 4.6.4, what happens when the DNS fails, and records
 * that somebody made to be expensive.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/spf_world.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))
#define ZONE_MAX        ((size_t)1 << 20)

#define CLIENT "192.0.2.1"
#define SENDER "user@example.com"
#define HELO   "mx.example.com"
#define RECORD "example.com TXT v=spf1 "
#define PTR    "1.2.0.192.in-addr.arpa PTR"

static struct str zone;
static struct spf_world world;

/* How often an address was held against a network, of all evaluations. */
static size_t n_comparisons;

bool __real_network_contains(const struct network *network,
	const struct ip *ip);
bool __wrap_network_contains(const struct network *network,
	const struct ip *ip);

bool
__wrap_network_contains(const struct network *network, const struct ip *ip)
{
	n_comparisons++;
	return __real_network_contains(network, ip);
}

static void
begin(void)
{
	str_init(&zone, ZONE_MAX);
	n_comparisons = 0;
}

static void
end(void)
{
	ck_assert(!zone.is_cut);
	str_free(&zone);
}

static void
add(const char *text)
{
	str_append_text(&zone, text);
}

/* Before, a number, after; for the numbers from 1 to n. */
static void
repeat(const char *before, const char *after, unsigned n)
{
	for (unsigned i = 1; i <= n; i++)
		str_printf(&zone, "%s%u%s", before, i, after);
}

static const char *
judge(void)
{
	return spf_world_judge(&world, str_text(&zone), CLIENT, SENDER, HELO);
}

/* --- terms that ask ----------------------------------------------------- */

static const struct {
	const char *terms; /* ten that ask, and do not match */
	const char *zone;
} lookups[] = {
	{ "a:a.x a:a.x a:a.x a:a.x a:a.x a:a.x a:a.x a:a.x a:a.x a:a.x",
		"a.x A 192.0.2.9" },
	{ "mx:a.x mx:a.x mx:a.x mx:a.x mx:a.x mx:a.x mx:a.x mx:a.x mx:a.x "
	  "mx:a.x",
		"a.x MX b.x c.x d.x\nb.x A 192.0.2.9" },
	{ "ptr ptr ptr:a.x ptr ptr ptr ptr ptr ptr ptr",
		PTR " a.x\na.x A 192.0.2.9" },
	{ "a:a.x a:a.x exists:n.x a:a.x a:a.x a:a.x exists:m.x a:a.x a:a.x "
	  "a:a.x",
		"a.x A 192.0.2.9" },
	{ "include:a.x include:a.x include:a.x include:a.x include:a.x "
	  "include:a.x include:a.x include:a.x include:a.x include:a.x",
		"a.x TXT v=spf1 -all" },
	{ "include:a.x include:a.x include:a.x include:a.x include:a.x",
		"a.x TXT v=spf1 a:b.x ~all\nb.x A 192.0.2.9" },
	{ "include:a.x", "a.x TXT v=spf1 a:b.x a:b.x a:b.x a:b.x redirect=c.x\n"
			 "c.x TXT v=spf1 a:b.x a:b.x a:b.x a:b.x\n"
			 "b.x A 192.0.2.9" },
	/* What does not ask, and macros that do, do not count. */
	{ "a:a.x ip4:192.0.2.9 a:a.x ip6:::1 a:a.x x=y a:a.x a:%{p}.y a:a.x "
	  "a:a.x a:a.x a:a.x exp=a.x a:a.x ip4:192.0.2.8",
		PTR " a.x\na.x A 192.0.2.9" },
};

static void
expect_with(const char *more, const char *outcome)
{
	const size_t len = zone.len;

	add(more);
	ck_assert_str_eq(judge(), outcome);
	zone.len = len;
	zone.data[len] = '\0';
}

START_TEST(ten_terms_may_ask)
{
	add(lookups[_i].zone);
	add("\n" RECORD);
	add(lookups[_i].terms);
	expect_with("", "neutral");
	expect_with(" ?all mx", "neutral by ?all");
	expect_with(" mx ?all",
		"permerror since example.com: mx would be the eleventh term "
		"that asks the DNS");
	expect_with(" redirect=y.z",
		"permerror since example.com: redirect=y.z would be the "
		"eleventh term that asks the DNS");
}
END_TEST

START_TEST(a_record_that_leads_to_itself)
{
	expect_with(RECORD "include:%{d} -all",
		"permerror since example.com: include:%{d} would be the "
		"eleventh term that asks the DNS");
	ck_assert_uint_eq(world.n_asked, 11);
	expect_with(RECORD "redirect=example.com",
		"permerror since example.com: redirect=example.com would be "
		"the eleventh term that asks the DNS");
	ck_assert_uint_eq(world.n_asked, 11);
}
END_TEST

/* Records of two includes each are 11 questions, not 1024. */
START_TEST(a_tree_of_records_is_cut)
{
	add(RECORD "include:1.x include:1.x -all\n");
	for (int i = 1; i <= 12; i++)
		str_printf(&zone,
			"%d.x TXT v=spf1 include:%d.x include:%d.x -all\n", i,
			i + 1, i + 1);
	ck_assert_ptr_nonnull(strstr(judge(), "would be the eleventh term"));
	ck_assert_uint_eq(world.n_asked, 11);
}
END_TEST

/* --- terms that find nothing -------------------------------------------- */

static const struct {
	const char *terms; /* two that find nothing */
	const char *zone;
} voids[] = {
	{ "a:n.x a:m.x", "" },
	{ "mx:n.x mx:m.x", "" },
	{ "exists:n.x exists:n.x", "" },
	{ "a:t.x mx:t.x", "t.x TXT x" },
	{ "ptr a:n.x", "" },
	{ "ptr:n.x ptr:n.x", "1.2.0.192.in-addr.arpa A 192.0.2.9" },
	/* What finds something is not counted, wherever that leads. */
	{ "a:n.x mx:m.x a:o.x ptr exists:n.x",
		"m.x MX 1.y 2.y 3.y 4.y\no.x A 192.0.2.8\n" PTR
		" a.y b.y c.y" },
	{ "include:i.x a:n.x", "i.x TXT v=spf1 a:n.x ?all" },
	/* Macros are no terms. */
	{ "a:%{p}.x a:n.x", "" },
	/* Of a "ptr" that failed nobody knows. */
	{ "ptr a:n.x a:m.x ptr", PTR "! late" },
};

START_TEST(two_terms_may_find_nothing)
{
	add(voids[_i].zone);
	add("\n" RECORD);
	add(voids[_i].terms);
	expect_with("", "neutral");
	expect_with(" exists:third.x ?all",
		"permerror since example.com: more than two of its terms find "
		"nothing in the DNS");
	expect_with(" ?all exists:third.x", "neutral by ?all");
}
END_TEST

/* --- names -------------------------------------------------------------- */

START_TEST(ten_hosts_of_a_domain)
{
	add("10.x A " CLIENT "\n" RECORD "mx -all\nexample.com MX");
	repeat(" ", ".x", 10);
	ck_assert_str_eq(judge(), "pass by mx");
	/* All at once. */
	ck_assert_uint_eq(world.n_asked, 12);
	/* Not even if one of the ten matches. */
	add(" 11.x");
	ck_assert_str_eq(judge(),
		"permerror since example.com: one of its terms has more than "
		"ten hosts");
	ck_assert_uint_eq(world.n_asked, 2);
}
END_TEST

START_TEST(the_first_host_that_matches_is_enough)
{
	add("1.x A " CLIENT "\n" RECORD "mx -all\nexample.com MX");
	repeat(" ", ".x", 10);
	ck_assert_str_eq(judge(), "pass by mx");
	/* One to begin with, one each for the record, the hosts, the first. */
	ck_assert_uint_eq(world.n_runs, 4);
}
END_TEST

static const struct {
	const char *zone; /* where the client's 10th and 11th name matter */
	const char *with_tenth, *without;
} client_names[] = {
	{ RECORD "ptr:p.x -all\n", "pass by ptr:p.x", "fail by -all" },
	{ RECORD "exists:%{p1r}.y -all\n10.y A 127.0.0.2\n11.y A 127.0.0.2\n",
		"pass by exists:%{p1r}.y", "fail by -all" },
	{ RECORD "-all exp=e.x\ne.x TXT %{p}\n",
		"fail by -all saying \"10.p.x\"",
		"fail by -all saying \"unknown\"" },
};

START_TEST(ten_names_of_the_client)
{
	add(client_names[_i].zone);
	add("11.p.x A " CLIENT "\n12.p.x A " CLIENT "\n" PTR);
	repeat(" ", ".p.x", 200);
	expect_with("", client_names[_i].without);
	ck_assert_ptr_null(strstr(world.asked, "A 11.p.x"));
	expect_with("\n10.p.x A " CLIENT, client_names[_i].with_tenth);
}
END_TEST

/* 7.3: of what is too long labels go, from the left. */
START_TEST(a_name_is_cut_to_its_end)
{
	struct slice cut = SLICE("");

	add(RECORD "exists:");
	repeat("label-", ".", 40);
	add("y.z");
	(void)judge();
	cut = slice_of(strstr(world.asked, "\nA ") + 3);
	ck_assert(slice_ends(cut, SLICE(".label-40.y.z\n")));
	ck_assert(slice_starts(cut, SLICE("label-")));
	ck_assert_uint_le(cut.len - 1, 253);
	ck_assert_uint_gt(cut.len - 1 + strlen("label-14."), 253);

	/* Without labels nothing is left, which nobody can be asked for. */
	zone.len = strlen(RECORD);
	add("exists:%{l}");
	for (int i = 0; i < 90; i++)
		add("x%{l}");
	ck_assert_str_eq(judge(), "neutral");
	ck_assert_ptr_nonnull(strstr(world.asked, "\nA \n"));
}
END_TEST

/* --- when the DNS fails ------------------------------------------------- */

static const struct {
	const char *zone, *outcome;
} failures[] = {
	{ "example.com TXT! late", "temperror since example.com: late" },
	{ RECORD "a:a.x -all\na.x A! late", "temperror since a.x: late" },
	{ RECORD "a:a.x -all\na.x A? forged", "temperror since a.x: forged" },
	{ RECORD "mx:a.x -all\na.x MX! late", "temperror since a.x: late" },
	{ RECORD "mx -all\nexample.com MX a.x b.x\na.x A! late\n"
		 "b.x A 192.0.2.1",
		"temperror since a.x: late" },
	{ RECORD "mx -all\nexample.com MX a.x b.x\na.x A 192.0.2.1\n"
		 "b.x A! late",
		"pass by mx" },
	{ RECORD "mx -all\nexample.com MX a.x b.x\na.x A 192.0.2.2\n"
		 "b.x A! late",
		"temperror since b.x: late" },
	{ RECORD "exists:a.x -all\na.x A! late", "temperror since a.x: late" },
	{ RECORD "include:a.x all\na.x TXT! late",
		"temperror since a.x: late" },
	{ RECORD "include:a.x all\na.x TXT v=spf1 a:b.x\nb.x A! late",
		"temperror since b.x: late" },
	{ RECORD "redirect=a.x\na.x TXT! late", "temperror since a.x: late" },
	{ RECORD "-all a:a.x\na.x A! late", "fail by -all" },
	/* 5.5, 6.2, 7.3: not of names, not of explanations. */
	{ RECORD "ptr -all\n" PTR "! late", "fail by -all" },
	{ RECORD "ptr -all\n" PTR " a.example.com b.example.com\n"
		 "a.example.com A! late\nb.example.com A 192.0.2.1",
		"pass by ptr" },
	{ RECORD "ptr -all\n" PTR " a.example.com\na.example.com A! late",
		"fail by -all" },
	{ RECORD "exists:%{p}.x -all\n" PTR "! late\nunknown.x A 127.0.0.2",
		"pass by exists:%{p}.x" },
	{ RECORD "-all exp=a.x\na.x TXT! late", "fail by -all" },
	{ RECORD "-all exp=a.x\na.x TXT You are %{p}\n" PTR "! late",
		"fail by -all saying \"You are unknown\"" },
	/* An error in a record is found before anybody is asked. */
	{ RECORD "a:a.x moo\na.x A! late",
		"permerror since example.com: there is no such mechanism: "
		"\"moo\"" },
};

START_TEST(the_dns_fails)
{
	add(failures[_i].zone);
	ck_assert_str_eq(judge(), failures[_i].outcome);
}
END_TEST

static const struct {
	const char *zone;
	uint32_t ttl;
} ttls[] = {
	{ "example.com TXT@100 v=spf1 -all", 100 },
	{ "example.com TXT@100 v=spf1 a -all\nexample.com A@7 192.0.2.1", 7 },
	{ "example.com TXT@100 v=spf1 mx -all\nexample.com MX@9 a.x\n"
	  "a.x A@8 192.0.2.1",
		8 },
	{ "example.com TXT@1000 v=spf1 include:a.x -all\n"
	  "a.x TXT@3 v=spf1 ?all",
		3 },
	{ "example.com TXT@1000 v=spf1 ptr -all\n" PTR "@5 a.x", 5 },
	{ "example.com TXT@1000 v=spf1 -all exp=a.x\na.x TXT@6 Go", 6 },
	{ "example.com TXT@1000 v=spf1 exists:a.x", SPF_WORLD_TTL },
	{ "example.com TXT@60 v=spf1 moo", 60 },
	{ "", SPF_WORLD_TTL },
	{ "example.com TXT! late", 0 },
	{ "example.com TXT@60 v=spf1 a\nexample.com A! late", 0 },
};

START_TEST(holds_as_long_as_what_it_stands_on)
{
	add(ttls[_i].zone);
	(void)judge();
	ck_assert_uint_eq(world.ttl, ttls[_i].ttl);
}
END_TEST

/* --- records that are dear ---------------------------------------------- */

static void
add_networks(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		add(" ip4:198.51.100.1");
}

static void
add_addresses(const char *name, unsigned n)
{
	str_printf(&zone, "\n%s A", name);
	for (unsigned i = 0; i < n; i++)
		add(" 198.51.100.1");
}

/*
 * The answers come one at a time, and each time the evaluation begins again:
 * what it knows must not be looked at again each time.
 */
START_TEST(what_does_not_match_is_judged_once)
{
	const unsigned n_networks = 900, n_addresses = 50;

	add(RECORD);
	add_networks(n_networks);
	for (int i = 1; i <= 5; i++)
		str_printf(&zone, " include:%d.i mx", i);
	for (int i = 1; i <= 5; i++) {
		str_printf(&zone, "\n%d.i TXT v=spf1", i);
		add_networks(n_networks);
	}
	for (int i = 1; i <= 10; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%d.m", i);
		add_addresses(name, n_addresses);
	}
	add("\nexample.com MX");
	repeat(" ", ".m", 10);
	ck_assert_str_eq(judge(), "neutral");
	ck_assert_uint_eq(world.n_runs, 1 + 1 + 5 + 5 * 11);
	ck_assert_uint_eq(n_comparisons,
		SPF_WORLD_ORDERS * (6 * n_networks + 5 * 10 * n_addresses));
}
END_TEST

/* A term of as many bytes as allowed that leads to the n-th record. */
static void
add_link(const char *term, int n)
{
	const size_t end = zone.len + 1 + 512;

	str_printf(&zone, " %sn%d.%%{o", term, n);
	while (zone.len < end - 2)
		add("0");
	add("1}");
}

/* The client's names come slowly, while the path leads through 11 records. */
START_TEST(a_long_path_is_not_kept_for_each_run)
{
	add(RECORD "-include:n1.com exp=e.x\ne.x TXT %{p}");
	for (int i = 1; i < 10; i++) {
		str_printf(&zone, "\nn%d.com TXT v=spf1", i);
		add_link("include:", i + 1);
	}
	add("\nn10.com TXT v=spf1 all\n" PTR);
	repeat(" ", ".p.x", 10);
	ck_assert_ptr_nonnull(strstr(judge(), "} all saying \"unknown\""));
	ck_assert_uint_lt(world.arena_bytes, 512u << 10);
}
END_TEST

START_TEST(a_chain_of_redirects_is_not_kept_for_each_run)
{
	add(RECORD "redirect=n1.com");
	for (int i = 1; i < 5; i++) {
		str_printf(&zone, "\nn%d.com TXT v=spf1", i);
		add_link("redirect=", i + 1);
	}
	add("\nn5.com TXT v=spf1 mx mx mx mx mx\nn5.com MX");
	repeat(" ", ".m.x", 10);
	ck_assert_ptr_nonnull(strstr(judge(), "neutral by redirect=n1.com"));
	ck_assert_uint_eq(world.n_asked, 6 + 5 * 11);
	ck_assert_uint_lt(world.arena_bytes, 64u << 10);
}
END_TEST

/* As much as can be: full records, then as many addresses as are looked at. */
START_TEST(there_is_room_for_the_largest_records)
{
	for (int n_includes = 0; n_includes <= 10; n_includes += 10) {
		str_reset(&zone);
		add(RECORD "ip4:198.51.100.1");
		add_networks(800);
		for (int i = 0; i < 10; i++)
			add(i < n_includes ? " include:i.x" : " mx:m.x");
		add("\ni.x TXT v=spf1");
		for (unsigned i = 0; i < SPF_TERMS_MAX; i++)
			add(" ip6:::2");
		add("\nm.x MX");
		repeat(" ", ".m", 10);
		for (int i = 1; i <= 10; i++) {
			char name[8];

			snprintf(name, sizeof(name), "%d.m", i);
			add_addresses(name, DNS_RECORDS_MAX);
		}
		ck_assert_str_eq(judge(), "neutral");
		ck_assert_uint_lt(world.arena_bytes, SPF_ARENA_MAX / 4);
	}
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, ten_terms_may_ask, 0, COUNT_OF(lookups));
	tcase_add_test(tcase, a_record_that_leads_to_itself);
	tcase_add_test(tcase, a_tree_of_records_is_cut);
	tcase_add_loop_test(tcase, two_terms_may_find_nothing, 0,
		COUNT_OF(voids));
	tcase_add_test(tcase, ten_hosts_of_a_domain);
	tcase_add_test(tcase, the_first_host_that_matches_is_enough);
	tcase_add_loop_test(tcase, ten_names_of_the_client, 0,
		COUNT_OF(client_names));
	tcase_add_test(tcase, a_name_is_cut_to_its_end);
	tcase_add_loop_test(tcase, the_dns_fails, 0, COUNT_OF(failures));
	tcase_add_loop_test(tcase, holds_as_long_as_what_it_stands_on, 0,
		COUNT_OF(ttls));
	tcase_add_test(tcase, what_does_not_match_is_judged_once);
	tcase_add_test(tcase, a_long_path_is_not_kept_for_each_run);
	tcase_add_test(tcase, a_chain_of_redirects_is_not_kept_for_each_run);
	tcase_add_test(tcase, there_is_room_for_the_largest_records);
}

int
main(void)
{
	Suite *suite = suite_create("spf_limits");
	TCase *tcase = tcase_create("spf_limits");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
