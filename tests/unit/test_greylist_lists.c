#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policyd/facts/domains.h"
#include "policyd/facts/greylist_lists.h"
#include "tests/unit/fake_tables.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

static struct fake_world world;

#define DOMAINS "example.com|1|0\n"
#define ALIASES "alias.example|example.com|1\noff.example|example.com|0\n"

/* What most cases ask about. */
#define CLIENT "192.0.2.77"
#define SENDER "bob+list@mail.Remote.example"
#define RCPT   "U+ext@Example.com"

struct who {
	const char *client, *sender, *recipient;
};

static void
ask(const struct who *who)
{
	char text[600];

	snprintf(text, sizeof(text),
		"protocol_state=RCPT\nclient_address=%s\nsender=%s\n"
		"recipient=%s\n",
		who->client ? who->client : CLIENT,
		who->sender ? who->sender : SENDER,
		who->recipient ? who->recipient : RCPT);
	fake_world_ask(&world, text);
}

static void
begin(const char *settings)
{
	fake_world_begin(&world, settings);
	fake_world_put(&world, &table_domain, DOMAINS);
	fake_world_put(&world, &table_alias_domain, ALIASES);
}

/* --- white-lists ------------------------------------------------------- */

#define ALL_WILDCARDS "[greylisting]\nall_wildcard_ips = yes\n"

static const struct {
	const char *name, *account, *sender;
	struct who who;
	bool is_white;
	const char *settings; /* NULL for none */
} whites[] = {
	{ "client", "@.", "192.0.2.77", { 0 }, true, NULL },
	{ "another client", "@.", "192.0.2.7", { 0 }, false, NULL },
	{ "IPv6 client, spelt otherwise", "@.", "2001:DB8:0:0::1",
		{ .client = "2001:db8::1" }, true, NULL },
	{ "IPv4 client, mapped", "@.", "192.0.2.77",
		{ .client = "::ffff:192.0.2.77" }, true, NULL },

	{ "network", "@.", "192.0.2.0/24", { 0 }, true, NULL },
	{ "network, another", "@.", "192.0.3.0/24", { 0 }, false, NULL },
	{ "D5: network shorter than /8", "@.", "192.0.0.0/6", { 0 }, true,
		NULL },
	{ "D5: network with host bits", "@.", "192.0.2.1/24", { 0 }, true,
		NULL },
	{ "everything", "@.", "0.0.0.0/0", { 0 }, true, NULL },
	{ "one address as a network", "@.", "192.0.2.77/32", { 0 }, true,
		NULL },
	{ "D4: IPv6 network", "@.", "2001:db8::/32",
		{ .client = "2001:db8:1::9" }, true, NULL },
	{ "D4: IPv6 network, no ::/", "@.", "2001:db8:0:0:0:0:0:0/32",
		{ .client = "2001:DB8:1::9" }, true, NULL },
	{ "D4: IPv6 network, odd prefix", "@.", "2001:da0::/27",
		{ .client = "2001:dbf:ffff::9" }, true, NULL },
	{ "IPv6 network, outside", "@.", "2001:db8::/32",
		{ .client = "2001:db9::9" }, false, NULL },
	{ "networks keep to their family", "@.", "::/0", { 0 }, false, NULL },

	{ "D7: wildcard", "@.", "192.0.2.*", { 0 }, true, NULL },
	{ "D7: wildcard in the middle", "@.", "192.0.*.77", { 0 }, true, NULL },
	{ "wildcard, another", "@.", "192.0.3.*", { 0 }, false, NULL },
	{ "two stars are not looked for", "@.", "192.0.*.*", { 0 }, false,
		NULL },
	{ "unless they are", "@.", "192.0.*.*", { 0 }, true, ALL_WILDCARDS },
	{ "all stars", "@.", "*.*.*.*", { 0 }, true, ALL_WILDCARDS },

	{ "address", "@.", "bob@mail.remote.example", { 0 }, true, NULL },
	{ "address in upper case", "@.", "Bob@MAIL.remote.example", { 0 }, true,
		NULL },
	{ "address with its extension", "@.", "bob+list@mail.remote.example",
		{ 0 }, false, NULL },
	{ "another address", "@.", "bo@mail.remote.example", { 0 }, false,
		NULL },
	{ "domain", "@.", "@mail.remote.example", { 0 }, true, NULL },
	{ "the domain above", "@.", "@remote.example", { 0 }, false, NULL },
	{ "subdomains", "@.", "@.remote.example", { 0 }, true, NULL },
	{ "the domain itself", "@.", "@.mail.remote.example", { 0 }, true,
		NULL },
	{ "top-level domain", "@.", "@.example", { 0 }, true, NULL },
	{ "everyone", "@.", "@.", { 0 }, true, NULL },
	{ "local part anywhere", "@.", "bob@*", { 0 }, true, NULL },
	{ "another local part", "@.", "bo@*", { 0 }, false, NULL },
	{ "null sender is everyone", "@.", "@.", { .sender = "" }, true, NULL },
	{ "null sender is nobody", "@.", "@.example", { .sender = "" }, false,
		NULL },
	{ "no client", "@.", "0.0.0.0/0", { .client = "unknown" }, false,
		NULL },

	{ "for the recipient", "u@example.com", "@.", { 0 }, true, NULL },
	{ "for another", "v@example.com", "@.", { 0 }, false, NULL },
	{ "for its domain", "@EXAMPLE.com", "@.", { 0 }, true, NULL },
	{ "for domain and below", "@.example.com", "@.", { 0 }, true, NULL },
	{ "for a top-level domain", "@.com", "@.", { 0 }, true, NULL },
	{ "for another domain", "@example.org", "@.", { 0 }, false, NULL },
	{ "alias domain, own name", "@alias.example", "@.",
		{ .recipient = "u@alias.example" }, true, NULL },
	{ "alias domain, target", "@example.com", "@.",
		{ .recipient = "u@alias.example" }, true, NULL },
	{ "alias domain, target's user", "u@example.com", "@.",
		{ .recipient = "u+x@Alias.example" }, true, NULL },
	{ "disabled alias domain", "@example.com", "@.",
		{ .recipient = "u@off.example" }, false, NULL },
	{ "a recipient that is no address", "@.", "@.", { .recipient = "root" },
		true, NULL },
	{ "and has no domain", "@example.com", "@.", { .recipient = "root" },
		false, NULL },
};

static bool
match(const struct table_kind *kind, const char *rows, const struct who *who,
	const struct list_match **out)
{
	fake_world_put(&world, kind, rows);
	fake_world_put_all(&world);
	ck_assert_str_eq(fake_problems(), "");
	ask(who);
	ck_assert(fact_greylist_whitelist(&world.facts, out));
	return (*out)->is_found;
}

START_TEST(white_lists_match)
{
	const struct list_match *found;
	char row[300];

	snprintf(row, sizeof(row), "7|%s|%s|why\n", whites[_i].account,
		whites[_i].sender);
	begin(whites[_i].settings ? whites[_i].settings : "");
	ck_assert_msg(match(&table_greylist_whitelist, row, &whites[_i].who,
			      &found) == whites[_i].is_white,
		"%s", whites[_i].name);
	fake_world_end(&world);

	begin(whites[_i].settings ? whites[_i].settings : "");
	ck_assert_msg(match(&table_greylist_whitelist_spf, row, &whites[_i].who,
			      &found) == whites[_i].is_white,
		"%s, by SPF", whites[_i].name);
	fake_world_end(&world);
}
END_TEST

START_TEST(a_match_tells_its_row)
{
	const struct list_match *found;
	struct str json;

	begin("");
	ck_assert(match(&table_greylist_whitelist,
		"7|@Example.COM|192.0.2.1/24|partner \"x\"\n",
		&(struct who){ 0 }, &found));
	/* The fact outlives the snapshot. */
	fake_world_put(&world, &table_greylist_whitelist, "");
	str_init(&json, 1000);
	fact_kind_greylist_whitelist.describe(found, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"found\":true,\"table\":\"greylisting_whitelists\","
		"\"account\":\"@example.com\",\"sender\":\"192.0.2.1/24\","
		"\"comment\":\"partner \\\"x\\\"\"}");
	str_reset(&json);
	ck_assert(!match(&table_greylist_whitelist, "", &(struct who){ 0 },
		&found));
	fact_kind_greylist_whitelist.describe(found, &json);
	ck_assert_str_eq(str_text(&json), "{\"found\":false}");
	str_free(&json);
	fake_world_end(&world);
}
END_TEST

/* So many that the account has a map, and then some. */
START_TEST(many_rows_of_one_account)
{
	const struct list_match *found;
	struct str rows;
	char client[32];

	str_init(&rows, 1 << 16);
	for (unsigned i = 1; i <= 100; i++)
		str_printf(&rows, "%u|@.|198.51.100.%u|n%u\n", i, i, i);
	str_append_text(&rows, "101|@.|198.51.100.5|again\n");
	begin("");
	fake_world_put(&world, &table_greylist_whitelist, str_text(&rows));
	fake_world_put_all(&world);
	ck_assert_str_eq(fake_problems(), "");
	for (unsigned i = 1; i <= 101; i++) {
		snprintf(client, sizeof(client), "198.51.100.%u", i);
		ask(&(struct who){ .client = client });
		ck_assert(fact_greylist_whitelist(&world.facts, &found));
		ck_assert(found->is_found == (i <= 100));
	}
	str_free(&rows);
	fake_world_end(&world);
}
END_TEST

START_TEST(rows_that_make_no_sense_are_left_out)
{
	fake_world_begin(&world, "");
	fake_world_put(&world, &table_greylist_whitelist,
		"1|192.0.2.1|@.|\n2|@com|@.|\n3|@.|192.0.2.0/33|\n"
		"4|@.|example.com|\n5|@.|@ip|\n6||@.|\n");
	fake_world_put(&world, &table_greylisting,
		"1|@.|0|192.0.2.1/24|0|1\n2|@.|0|192.0.2.0/24|0|1\n"
		"3|@.|0|2001:db8::1|0|1\n4|@.|0|2001:DB8:0::1|0|1\n");
	ck_assert_str_eq(fake_problems(),
		"its account is not an address, a domain or everyone\n"
		"its account is not an address, a domain or everyone\n"
		"its sender is not an address, a domain, a client or a "
		"network\n"
		"its sender is not an address, a domain, a client or a "
		"network\n"
		"its sender @ip never matches; write @. for everyone\n"
		"its account is not an address, a domain or everyone\n"
		"another row is for the same account and sender\n"
		"another row is for the same account and sender\n");
	fake_world_end(&world);
}
END_TEST

/* --- settings ---------------------------------------------------------- */

/* Rows: id, account, priority, sender, sender_priority, active. */
static const struct {
	const char *name, *rows;
	struct who who;
	const char *expected; /* account and sender, "" for none */
	bool is_active;
} settings[] = {
	{ "no row", "", { 0 }, "", false },
	{ "no row for it", "1|@example.org|60|@.|0|1\n", { 0 }, "", false },
	{ "no sender for it", "1|@.|0|@other.example|60|1\n", { 0 }, "",
		false },
	{ "as installed", "1|@.|0|@.|0|1\n", { 0 }, "@. @.", true },
	{ "switched off", "1|@.|0|@.|0|0\n", { 0 }, "@. @.", false },
	{ "the higher priority",
		"1|@.|0|@.|0|1\n2|@example.com|60|@.|0|0\n"
		"3|u@example.com|100|@.|0|1\n",
		{ 0 }, "u@example.com @.", true },
	{ "priority before sender priority",
		"1|@.|0|bob@mail.remote.example|100|0\n"
		"2|@example.com|60|@.|0|1\n",
		{ 0 }, "@example.com @.", true },
	{ "then sender priority",
		"1|@example.com|60|@.|0|1\n"
		"2|@example.com|60|@mail.remote.example|60|0\n"
		"3|@example.com|60|@.remote.example|50|1\n",
		{ 0 }, "@example.com @mail.remote.example", false },
	{ "the stored number, whatever it is",
		"1|u@example.com|1|@.|0|1\n2|@.|99|@.|0|0\n", { 0 }, "@. @.",
		false },
	{ "also of senders",
		"1|@.|0|bob@mail.remote.example|1|1\n"
		"2|@.|0|@.example|99|0\n",
		{ 0 }, "@. @.example", false },
	{ "negative numbers", "1|@.|-5|@.|0|1\n2|@.com|-4|@.|0|0\n", { 0 },
		"@.com @.", false },
	{ "a tie goes to the more specific account",
		"1|@.|0|@.|0|1\n2|@example.com|0|@.|0|0\n", { 0 },
		"@example.com @.", false },
	{ "a tie goes to the more specific sender",
		"1|@.|0|@.|0|1\n2|@.|0|192.0.2.77|0|0\n"
		"3|@.|0|bob@mail.remote.example|0|1\n",
		{ 0 }, "@. bob@mail.remote.example", true },
	{ "client", "1|@.|0|@.|0|1\n2|@.|0|192.0.2.77|80|0\n", { 0 },
		"@. 192.0.2.77", false },
	{ "D6: network stored with 0",
		"1|@.|0|@mail.remote.example|60|1\n2|@.|0|192.0.2.0/24|0|0\n",
		{ 0 }, "@. 192.0.2.0/24", false },
	{ "D6: network stored with 70",
		"1|@.|0|@mail.remote.example|60|1\n2|@.|0|192.0.2.0/24|70|0\n",
		{ 0 }, "@. 192.0.2.0/24", false },
	{ "D6: network stored with another number",
		"1|@.|0|@mail.remote.example|60|1\n2|@.|0|192.0.2.0/24|20|0\n",
		{ 0 }, "@. @mail.remote.example", true },
	{ "a network does not beat a client",
		"1|@.|0|192.0.2.77|80|1\n2|@.|0|192.0.2.0/24|0|0\n", { 0 },
		"@. 192.0.2.77", true },
	{ "longest prefix first",
		"1|@.|0|192.0.0.0/16|0|1\n2|@.|0|192.0.2.0/24|0|0\n"
		"3|@.|0|192.0.0.0/8|0|1\n",
		{ 0 }, "@. 192.0.2.0/24", false },
	{ "unless numbers say otherwise",
		"1|@.|0|192.0.0.0/16|71|1\n2|@.|0|192.0.2.0/24|0|0\n", { 0 },
		"@. 192.0.0.0/16", true },
	{ "D4: IPv6 network", "1|@.|0|@.|0|1\n2|@.|0|2001:db8::/32|0|0\n",
		{ .client = "2001:db8:5::1" }, "@. 2001:db8::/32", false },
	{ "D5: network with host bits, shorter than /8",
		"1|@.|0|@.|0|1\n2|@.|0|193.1.1.1/7|70|0\n", { 0 },
		"@. 193.1.1.1/7", false },
	{ "D7: wildcard", "1|@.|0|@.|0|1\n2|@.|0|192.0.2.*|70|0\n", { 0 },
		"@. 192.0.2.*", false },
	{ "local part anywhere",
		"1|@.|0|@mail.remote.example|60|1\n2|@.|0|bob@*|90|0\n", { 0 },
		"@. bob@*", false },
	{ "null sender", "1|@.|0|@.|0|1\n2|@.|0|@.example|40|0\n",
		{ .sender = "" }, "@. @.", true },
	{ "alias domain", "1|@.|0|@.|0|1\n2|@example.com|60|@.|0|0\n",
		{ .recipient = "x@alias.example" }, "@example.com @.", false },
	{ "alias domain, own row is as good",
		"1|@example.com|60|@.|0|0\n2|@alias.example|60|@.|0|1\n",
		{ .recipient = "x@alias.example" }, "@alias.example @.", true },
	{ "disabled alias domain", "1|@.|0|@.|0|1\n2|@example.com|60|@.|0|0\n",
		{ .recipient = "x@off.example" }, "@. @.", true },
};

START_TEST(settings_are_ordered)
{
	const struct greylist_setting *found;
	char row[200] = "";

	begin("");
	fake_world_put(&world, &table_greylisting, settings[_i].rows);
	fake_world_put_all(&world);
	ck_assert_str_eq(fake_problems(), "");
	ask(&settings[_i].who);
	ck_assert(fact_greylist_setting(&world.facts, &found));
	fake_world_put(&world, &table_greylisting, "");
	if (found->is_found)
		snprintf(row, sizeof(row), "%.*s %.*s",
			SLICE_ARG(found->account), SLICE_ARG(found->sender));
	ck_assert_msg(strcmp(row, settings[_i].expected) == 0, "%s: %s",
		settings[_i].name, row);
	ck_assert_msg(found->is_active == settings[_i].is_active, "%s",
		settings[_i].name);
	fake_world_end(&world);
}
END_TEST

START_TEST(a_setting_is_described)
{
	const struct greylist_setting none = { .is_found = false };
	const struct greylist_setting off = {
		.is_found = true,
		.account = SLICE("@."),
		.sender = SLICE("192.0.2.*"),
	};
	struct str json;

	str_init(&json, 1000);
	fact_kind_greylist_setting.describe(&none, &json);
	ck_assert_str_eq(str_text(&json), "{\"found\":false}");
	str_reset(&json);
	fact_kind_greylist_setting.describe(&off, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"found\":true,\"active\":false,\"account\":\"@.\","
		"\"sender\":\"192.0.2.*\"}");
	str_free(&json);
}
END_TEST

START_TEST(the_facts_wait_for_their_tables)
{
	const struct greylist_setting *setting;
	const struct list_match *found;

	begin("");
	ask(&(struct who){ 0 });
	ck_assert(!fact_greylist_whitelist(&world.facts, &found));
	ck_assert(!fact_greylist_setting(&world.facts, &setting));
	ck_assert_uint_eq(world.facts.n_pending, 2);
	facts_give_up(&world.facts, "too late");
	ck_assert_ptr_null(fake_waiting());
	fake_world_end(&world);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("greylist_lists");
	TCase *tc = tcase_create("greylist_lists");

	tcase_add_loop_test(tc, white_lists_match, 0, N(whites));
	tcase_add_test(tc, a_match_tells_its_row);
	tcase_add_test(tc, many_rows_of_one_account);
	tcase_add_test(tc, rows_that_make_no_sense_are_left_out);
	tcase_add_loop_test(tc, settings_are_ordered, 0, N(settings));
	tcase_add_test(tc, a_setting_is_described);
	tcase_add_test(tc, the_facts_wait_for_their_tables);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
