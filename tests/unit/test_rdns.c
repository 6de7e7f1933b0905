/* The table of names, the fact that matches them, and the rule on it. */

#include "policyd/facts/rdns.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/rule.h"
#include "tests/unit/fake_tables.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

extern const struct rule rule_wblist_rdns;

static struct fake_world world;

static void
ask(const char *more, const char *name)
{
	char text[9000];

	snprintf(text, sizeof(text),
		"protocol_state=RCPT\nclient_address=192.0.2.7\n"
		"sender=a@remote.example\nrecipient=u@example.com\n%s"
		"reverse_client_name=%s\n",
		more, name);
	fake_world_ask(&world, text);
}

static const struct {
	const char *name, *rows, *client, *white, *black;
} matches[] = {
	{ "no row", "", "mx.rdns.com", "", "" },
	{ "whole name", "1|mx.rdns.com|B\n", "mx.rdns.com", "", "mx.rdns.com" },
	{ "below a whole name", "1|rdns.com|B\n", "mx.rdns.com", "", "" },
	{ "suffix", "1|.rdns.com|B\n", "a.mx.rdns.com", "", ".rdns.com" },
	{ "the name of a suffix", "1|.rdns.com|B\n", "rdns.com", "",
		".rdns.com" },
	{ "not in the middle of a label", "1|.rdns.com|B\n", "xrdns.com", "",
		"" },
	{ "top-level domain", "1|.com|W\n", "a.rdns.com", ".com", "" },
	{ "any case", "1|.RDNS.com|b\n", "MX.rdns.COM", "", ".rdns.com" },
	{ "both colours", "1|.rdns.com|B\n2|mx.rdns.com|W\n", "mx.rdns.com",
		"mx.rdns.com", ".rdns.com" },
	{ "the longest of a colour",
		"1|.com|B\n2|.mx.rdns.com|B\n3|.rdns.com|B\n", "mx.rdns.com",
		"", ".mx.rdns.com" },
	{ "the root's dot", "1|.rdns.com|B\n", "mx.rdns.com.", "",
		".rdns.com" },
	{ "one that begins with a dot", "1|.rdns.com|B\n", ".rdns.com", "",
		".rdns.com" },
	{ "an address", "1|.2.0.192.in-addr.arpa|B\n", "7.2.0.192.in-addr.arpa",
		"", ".2.0.192.in-addr.arpa" },
	{ "no UTF-8", "1|.rdns.com|B\n", "\xff\xfe.rdns.com", "", ".rdns.com" },
	{ "only dots", "1|.rdns.com|B\n", ".....", "", "" },
};

START_TEST(names_are_matched)
{
	const struct rdns *rdns;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_rdns, matches[_i].rows);
	ck_assert_str_eq(fake_problems(), "");
	ask("", matches[_i].client);
	ck_assert(fact_rdns(&world.facts, &rdns));
	/* The fact outlives the snapshot. */
	fake_world_put(&world, &table_rdns, "");
	ck_assert_msg(slice_eq_text(rdns->white, matches[_i].white), "%s: %.*s",
		matches[_i].name, SLICE_ARG(rdns->white));
	ck_assert_msg(slice_eq_text(rdns->black, matches[_i].black), "%s: %.*s",
		matches[_i].name, SLICE_ARG(rdns->black));
	fake_world_end(&world);
}
END_TEST

START_TEST(a_name_longer_than_any_is_judged_by_its_end)
{
	const struct rdns *rdns;
	char name[8001];

	memset(name, '.', sizeof(name) - 1);
	memcpy(name + 8000 - 9, ".rdns.com", 10);
	fake_world_begin(&world, "");
	fake_world_put(&world, &table_rdns, "1|.rdns.com|B\n");
	ask("", name);
	ck_assert(fact_rdns(&world.facts, &rdns));
	ck_assert(slice_eq_text(rdns->black, ".rdns.com"));
	fake_world_end(&world);
}
END_TEST

START_TEST(rows_that_make_no_sense_are_left_out)
{
	fake_world_begin(&world, "");
	fake_world_put(&world, &table_rdns,
		"1||B\n2|.|B\n3|a..b|B\n4|a b.com|W\n5|*.rdns.com|B\n"
		"6|user@rdns.com|B\n7|ok.rdns.com|Y\n8|unknown|B\n"
		"9|rdns.com|\n10|.good.com|B\n");
	ck_assert_str_eq(fake_problems(),
		"this is not the name of a host\n"
		"this is not the name of a host\n"
		"this is not the name of a host\n"
		"this is not the name of a host\n"
		"for all names below one write .example.com, without a star\n"
		"this is not the name of a host\n"
		"its wb is neither W (white) nor B (black)\n"
		"a client without a name is never looked for\n"
		"its wb is neither W (white) nor B (black)\n");
	fake_world_end(&world);
}
END_TEST

#define BLACK "1|.rdns.com|B\n"

static const struct {
	const char *name, *settings, *rows, *more, *client;
	bool is_refused;
} judgements[] = {
	{ "black", "", BLACK, "", "mx.rdns.com", true },
	{ "white wins", "", BLACK "2|.com|W\n", "", "mx.rdns.com", false },
	{ "white only", "", "2|.com|W\n", "", "mx.rdns.com", false },
	{ "neither", "", BLACK, "", "mx.other.com", false },
	{ "login", "", BLACK, "sasl_username=u@example.com\n", "mx.rdns.com",
		false },
	{ "trusted", "[mail]\ntrusted_networks = 192.0.2.0/24\n", BLACK, "",
		"mx.rdns.com", false },
	{ "loopback", "", BLACK, "client_address=127.0.0.1\n", "mx.rdns.com",
		false },
	{ "no name", "", BLACK, "", "unknown", false },
	{ "an empty name", "", BLACK, "", "", false },
	{ "a null sender", "", BLACK, "sender=\n", "mx.rdns.com", true },
	{ "the verified name is not asked", "", BLACK,
		"client_name=mx.other.com\n", "mx.rdns.com", true },
};

START_TEST(the_rule_judges)
{
	struct verdict verdict = { .hint = SLICE("") };
	enum rule_status status;

	fake_world_begin(&world, judgements[_i].settings);
	fake_world_put(&world, &table_rdns, judgements[_i].rows);
	ask(judgements[_i].more, judgements[_i].client);
	verdict.arena = world.arena;
	status = rule_wblist_rdns.judge(&world.req, &world.facts, &verdict);
	ck_assert_msg(
		status == (judgements[_i].is_refused ? RULE_FINAL : RULE_PASS),
		"%s", judgements[_i].name);
	if (judgements[_i].is_refused) {
		ck_assert_int_eq(verdict.action, VERDICT_REJECT);
		ck_assert(slice_eq_text(verdict.text, "Blacklisted"));
		ck_assert_ptr_nonnull(strstr(verdict.hint.ptr, ".rdns.com"));
	}
	fake_world_end(&world);
}
END_TEST

START_TEST(the_rule_waits_for_the_table)
{
	struct verdict verdict = { .hint = SLICE("") };

	fake_world_begin(&world, "");
	ask("", "mx.rdns.com");
	ck_assert_int_eq(
		rule_wblist_rdns.judge(&world.req, &world.facts, &verdict),
		RULE_UNREADY);
	ck_assert_ptr_nonnull(fake_waiting());
	facts_give_up(&world.facts, "too late");
	ck_assert_ptr_null(fake_waiting());
	ck_assert_int_eq(
		rule_wblist_rdns.judge(&world.req, &world.facts, &verdict),
		RULE_UNREADY);
	ck_assert(world.facts.is_wanting);
	fake_world_end(&world);
}
END_TEST

START_TEST(the_fact_is_described)
{
	const struct rdns rdns = { .black = SLICE(".rdns.com") };
	struct str json;

	str_init(&json, 1000);
	fact_kind_rdns.describe(&rdns, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"white\":\"\",\"black\":\".rdns.com\"}");
	str_free(&json);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rdns");
	TCase *tc = tcase_create("rdns");

	tcase_add_loop_test(tc, names_are_matched, 0, N(matches));
	tcase_add_test(tc, a_name_longer_than_any_is_judged_by_its_end);
	tcase_add_test(tc, rows_that_make_no_sense_are_left_out);
	tcase_add_loop_test(tc, the_rule_judges, 0, N(judgements));
	tcase_add_test(tc, the_rule_waits_for_the_table);
	tcase_add_test(tc, the_fact_is_described);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
