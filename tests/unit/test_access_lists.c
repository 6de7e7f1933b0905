/* White- and blacklists: which entry counts, of rows that a test writes down.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/map.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/domains.h"
#include "tests/unit/fake_tables.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

static struct fake_world world;

#define DOMAINS "example.com|1|0\n"
#define ALIASES "alias.example|example.com|1\noff.example|example.com|0\n"

#define CLIENT "192.0.2.77"
#define SENDER "bob+list@mail.Remote.example"
#define RCPT   "U+ext@Example.com"
/* When requests are made; see fake_tables.c. */
#define NOW 1700000000

/* --- probes of hash tables ----------------------------------------------- */

static unsigned n_probes;

void *__real_map_get(const struct map *map, struct slice key);
void *__wrap_map_get(const struct map *map, struct slice key);

void *
__wrap_map_get(const struct map *map, struct slice key)
{
	n_probes++;
	return __real_map_get(map, key);
}

/* ------------------------------------------------------------------------- */

struct who {
	const char *client, *sender, *recipient, *login;
};

static const struct access *
ask(const struct who *who)
{
	const struct access *access;
	char text[1200];

	snprintf(text, sizeof(text),
		"protocol_state=RCPT\nclient_address=%s\nsender=%s\n"
		"recipient=%s\nsasl_username=%s\n",
		who->client ? who->client : CLIENT,
		who->sender ? who->sender : SENDER,
		who->recipient ? who->recipient : RCPT,
		who->login ? who->login : "");
	fake_world_ask(&world, text);
	ck_assert(fact_access(&world.facts, &access));
	return access;
}

static void
begin(const char *settings)
{
	fake_world_begin(&world, settings);
	fake_world_put(&world, &table_domain, DOMAINS);
	fake_world_put(&world, &table_alias_domain, ALIASES);
}

/* "white @example.com 192.0.2.0/24", or "none". */
static const char *
told(const struct access *access, enum access_direction direction)
{
	static char text[700];
	const struct access_entry *entry = access->first[direction];

	if (entry == NULL)
		return "none";
	snprintf(text, sizeof(text), "%s %.*s %.*s",
		entry->is_white ? "white" : "black", SLICE_ARG(entry->account),
		SLICE_ARG(entry->address));
	return text;
}

#define ALL_WILDCARDS "[amavisd_wblist]\nall_wildcard_ips = yes\n"

/* One row: does it match? */
static const struct {
	const char *name, *account, *address;
	struct who who;
	bool matches;
	const char *settings; /* NULL for none */
} inbound[] = {
	{ "address", "@.", "bob@mail.remote.example", { 0 }, true, NULL },
	{ "address in upper case", "@.", "Bob@MAIL.remote.example", { 0 }, true,
		NULL },
	{ "another address", "@.", "bo@mail.remote.example", { 0 }, false,
		NULL },
	{ "domain", "@.", "@mail.remote.example", { 0 }, true, NULL },
	{ "the domain above", "@.", "@remote.example", { 0 }, false, NULL },
	{ "subdomains", "@.", "@.remote.example", { 0 }, true, NULL },
	{ "top-level domain", "@.", "@.example", { 0 }, true, NULL },
	{ "everyone", "@.", "@.", { 0 }, true, NULL },
	{ "local part anywhere", "@.", "bob@*", { 0 }, true, NULL },
	{ "another local part", "@.", "list@*", { 0 }, false, NULL },
	{ "sender of an alias domain", "@.", "@example.com",
		{ .sender = "v@alias.example" }, true, NULL },
	{ "apostrophe", "@.", "o'brien@remote.example",
		{ .sender = "O'Brien@remote.example" }, true, NULL },
	{ "dollar", "@.", "a$b@remote.example",
		{ .sender = "a$b@remote.example" }, true, NULL },
	{ "equals sign", "@.", "=x@remote.example",
		{ .sender = "=x@remote.example" }, true, NULL },
	{ "UTF-8", "@.", "j\xc3\xbcrgen@remote.example",
		{ .sender = "j\xc3\xbcrgen@remote.example" }, true, NULL },
	{ "UTF-8, another accent", "@.", "jurgen@remote.example",
		{ .sender = "j\xc3\xbcrgen@remote.example" }, false, NULL },
	{ "quoted", "@.", "\"a b\"@remote.example",
		{ .sender = "\"a b\"@remote.example" }, true, NULL },
	{ "quoted, without quotes", "@.", "a b@remote.example",
		{ .sender = "a b@remote.example" }, true, NULL },

	{ "client", "@.", "192.0.2.77", { 0 }, true, NULL },
	{ "another client", "@.", "192.0.2.7", { 0 }, false, NULL },
	{ "IPv6 client, spelt otherwise", "@.", "2001:DB8:0:0::1",
		{ .client = "2001:db8::1" }, true, NULL },
	{ "wildcard", "@.", "192.0.2.*", { 0 }, true, NULL },
	{ "wildcard in the middle", "@.", "192.0.*.77", { 0 }, true, NULL },
	{ "two stars are not looked for", "@.", "192.0.*.*", { 0 }, false,
		NULL },
	{ "unless they are", "@.", "192.0.*.*", { 0 }, true, ALL_WILDCARDS },
	{ "network", "@.", "192.0.2.0/24", { 0 }, true, NULL },
	{ "network, another", "@.", "192.0.3.0/24", { 0 }, false, NULL },
	{ "network shorter than /8", "@.", "192.0.0.0/6", { 0 }, true, NULL },
	{ "network with host bits", "@.", "192.0.2.1/24", { 0 }, true, NULL },
	{ "IPv6 network", "@.", "2001:db8::/32", { .client = "2001:db8:1::9" },
		true, NULL },
	{ "IPv6 network, host bits", "@.", "2001:db8::77/32",
		{ .client = "2001:db8:1::9" }, true, NULL },
	{ "IPv6 network, outside", "@.", "2001:db8::/32",
		{ .client = "2001:db9::9" }, false, NULL },
	{ "no client", "@.", "0.0.0.0/0", { .client = "unknown" }, false,
		NULL },

	{ "null sender has no name", "@.", "@.", { .sender = "" }, false,
		NULL },
	{ "null sender's client counts", "@.", "192.0.2.77", { .sender = "" },
		true, NULL },
	{ "null sender's network counts", "@.", "192.0.2.0/24",
		{ .sender = "" }, true, NULL },
	{ "to oneself", "@.", "u@example.com", { .sender = "u@example.com" },
		false, NULL },
	{ "to oneself, everyone", "@.", "@.", { .sender = "u+x@example.com" },
		false, NULL },
	{ "to oneself, client", "@.", "192.0.2.77",
		{ .sender = "u@example.com" }, true, NULL },

	{ "for the recipient", "u@example.com", "@.", { 0 }, true, NULL },
	{ "for another", "v@example.com", "@.", { 0 }, false, NULL },
	{ "for its domain", "@EXAMPLE.com", "@.", { 0 }, true, NULL },
	{ "for domain and below", "@.example.com", "@.", { 0 }, true, NULL },
	{ "for a top-level domain", "@.com", "@.", { 0 }, true, NULL },
	{ "for another domain", "@example.org", "@.", { 0 }, false, NULL },
	{ "alias domain, own name", "@alias.example", "@.",
		{ .recipient = "u@alias.example" }, true, NULL },
	{ "alias domain, target's user", "u@example.com", "@.",
		{ .recipient = "u+x@Alias.example" }, true, NULL },
	{ "disabled alias domain", "@example.com", "@.",
		{ .recipient = "u@off.example" }, false, NULL },
	{ "a recipient that is no address", "@.", "@.", { .recipient = "root" },
		true, NULL },

	{ "login: its name counts", "@.", "v@example.com",
		{ .login = "v@example.com" }, true, NULL },
	{ "login: not its envelope", "@.", "bob@mail.remote.example",
		{ .login = "v@example.com" }, false, NULL },
	{ "login: not anywhere", "@.", "v@*", { .login = "v@example.com" },
		false, NULL },
	{ "login: extension stays", "@.", "v@example.com",
		{ .login = "v+x@example.com" }, false, NULL },
	{ "login: client", "@.", "192.0.2.77", { .login = "v@example.com" },
		true, NULL },
};

START_TEST(inbound_matches)
{
	const struct access *access;
	char row[300];

	for (unsigned white = 0; white < 2; white++) {
		snprintf(row, sizeof(row), "%s|0|%s|0|%s|[1,1]\n",
			inbound[_i].account, inbound[_i].address,
			white ? "W" : "B");
		begin(inbound[_i].settings ? inbound[_i].settings : "");
		fake_world_put(&world, &table_wblist, row);
		fake_world_put_all(&world);
		ck_assert_str_eq(fake_problems(), "");
		access = ask(&inbound[_i].who);
		ck_assert_msg((access->first[ACCESS_INBOUND] != NULL) ==
				      inbound[_i].matches,
			"%s", inbound[_i].name);
		ck_assert_ptr_null(access->first[ACCESS_OUTBOUND]);
		if (inbound[_i].matches)
			ck_assert_int_eq(
				access->first[ACCESS_INBOUND]->is_white, white);
		fake_world_end(&world);
	}
}
END_TEST

static const struct {
	const char *name, *account, *address;
	struct who who;
	bool matches;
} outbound[] = {
	{ "login, recipient", "v@example.com", "u@example.com",
		{ .login = "v@example.com" }, true },
	{ "its domain", "@example.com", "@example.com",
		{ .login = "v@example.com" }, true },
	{ "everyone to everyone", "@.", "@.", { .login = "v@example.com" },
		true },
	{ "another login", "w@example.com", "u@example.com",
		{ .login = "v@example.com" }, false },
	{ "another recipient", "v@example.com", "x@example.com",
		{ .login = "v@example.com" }, false },
	{ "the envelope is not who sends", "bob@mail.remote.example", "@.",
		{ .login = "v@example.com" }, false },
	{ "nobody logged in", "@.", "@.", { 0 }, false },
	{ "login in an alias domain", "@example.com", "@.",
		{ .login = "v@alias.example" }, true },
	{ "recipient in an alias domain", "@.", "u@example.com",
		{ .login = "v@example.com", .recipient = "u@alias.example" },
		true },
	{ "account of a client", "192.0.2.77", "u@example.com",
		{ .login = "v@example.com" }, true },
	{ "account of a wildcard", "192.0.2.*", "u@example.com",
		{ .login = "v@example.com" }, true },
	{ "to oneself", "@.", "@.", { .login = "u@example.com" }, false },
};

START_TEST(outbound_matches)
{
	const struct access *access;
	char row[300];

	snprintf(row, sizeof(row), "%s|0|%s|0|B|[1,1]\n", outbound[_i].account,
		outbound[_i].address);
	begin("");
	fake_world_put(&world, &table_outbound_wblist, row);
	fake_world_put_all(&world);
	ck_assert_str_eq(fake_problems(), "");
	access = ask(&outbound[_i].who);
	ck_assert_msg((access->first[ACCESS_OUTBOUND] != NULL) ==
			      outbound[_i].matches,
		"%s", outbound[_i].name);
	ck_assert_ptr_null(access->first[ACCESS_INBOUND]);
	fake_world_end(&world);
}
END_TEST

/* Which of several rows counts. */
static const struct {
	const char *name, *rows, *expected;
	struct who who;
} orders[] = {
	{ "most specific account first",
		"@.|0|bob@mail.remote.example|10|B|[1,1]\n"
		"u@example.com|10|@.|0|W|[2,1]\n"
		"@example.com|5|bob@mail.remote.example|10|B|[3,1]\n",
		"white u@example.com @.", { 0 } },
	{ "by the stored number, whatever it is",
		"@.|99|bob@mail.remote.example|10|B|[1,1]\n"
		"u@example.com|10|@.|0|W|[2,1]\n",
		"black @. bob@mail.remote.example", { 0 } },
	{ "accounts that tie: the more specific",
		"@.|7|@.|7|W|[1,1]\n@example.com|7|@.|7|B|[2,1]\n",
		"black @example.com @.", { 0 } },
	{ "then the most specific address",
		"@.|0|@.|0|B|[1,1]\n@.|0|bob@mail.remote.example|10|W|[1,2]\n"
		"@.|0|@mail.remote.example|5|B|[1,3]\n",
		"white @. bob@mail.remote.example", { 0 } },
	{ "by its stored number",
		"@.|0|@.|20|B|[1,1]\n@.|0|bob@mail.remote.example|10|W|[1,2]\n",
		"black @. @.", { 0 } },
	{ "addresses that tie: the more specific",
		"@.|0|@.remote.example|7|B|[1,1]\n"
		"@.|0|@.mail.remote.example|7|W|[1,2]\n",
		"white @. @.mail.remote.example", { 0 } },
	{ "a client comes before a domain",
		"@.|0|@mail.remote.example|5|W|[1,1]\n"
		"@.|0|192.0.2.77|9|B|[1,2]\n",
		"black @. 192.0.2.77", { 0 } },
	{ "and behind an address",
		"@.|0|bob@mail.remote.example|10|W|[1,1]\n"
		"@.|0|192.0.2.77|9|B|[1,2]\n",
		"white @. bob@mail.remote.example", { 0 } },
	{ "networks come last",
		"@.|0|192.0.2.0/24|99|W|[1,1]\n@.|0|@.|0|B|[1,2]\n",
		"black @. @.", { 0 } },
	{ "the longest prefix first",
		"@.|0|192.0.0.0/16|99|W|[1,1]\n@.|0|192.0.2.0/24|0|B|[1,2]\n",
		"black @. 192.0.2.0/24", { 0 } },
	{ "the own name before the alias domain's target",
		"u@alias.example|10|@.|0|W|[1,1]\nu@example.com|10|@.|0|B|[2,"
		"1]\n",
		"white u@alias.example @.",
		{ .recipient = "u@alias.example" } },
	{ "Amavisd's own scores say nothing",
		"u@example.com|10|@.|0|-3.5|[1,1]\n"
		"u@example.com|10|bob@mail.remote.example|0|Y|[1,2]\n"
		"u@example.com|10|192.0.2.77|0|b|[1,3]\n@.|0|@.|0|B|[2,1]\n",
		"black @. @.", { 0 } },
};

START_TEST(entries_are_in_order)
{
	begin("");
	fake_world_put(&world, &table_wblist, orders[_i].rows);
	fake_world_put_all(&world);
	ck_assert_str_eq(fake_problems(), "");
	ck_assert_msg(strcmp(told(ask(&orders[_i].who), ACCESS_INBOUND),
			      orders[_i].expected) == 0,
		"%s: %s", orders[_i].name,
		told(ask(&orders[_i].who), ACCESS_INBOUND));
	fake_world_end(&world);
}
END_TEST

/* --- what policyctl noted ------------------------------------------------- */

#define BLACK "@.|0|@.|0|B|[1,1]\n@.|0|192.0.2.0/24|0|W|[1,2]\n"

static const struct {
	const char *name, *notes, *expected;
} expiries[] = {
	{ "never", "1|inbound|@.|@.|B|0|root|spam\n", "black @. @." },
	{ "in a second", "1|inbound|@.|@.|B|1700000001|root|spam\n",
		"black @. @." },
	{ "now", "1|inbound|@.|@.|B|1700000000|root|spam\n",
		"white @. 192.0.2.0/24" },
	{ "it was white then", "1|inbound|@.|@.|W|1|root|spam\n",
		"black @. @." },
	{ "outbound", "1|outbound|@.|@.|B|1|root|spam\n", "black @. @." },
	{ "of a network",
		"1|inbound|@.|@.|B|1|root|\n"
		"2|inbound|@.|192.0.2.0/24|W|1|root|\n",
		"none" },
};

START_TEST(an_expired_entry_does_not_count)
{
	begin("");
	fake_world_put(&world, &table_wblist, BLACK);
	fake_world_put(&world, &table_access, expiries[_i].notes);
	fake_world_put_all(&world);
	ck_assert_str_eq(fake_problems(), "");
	ck_assert_msg(strcmp(told(ask(&(struct who){ 0 }), ACCESS_INBOUND),
			      expiries[_i].expected) == 0,
		"%s", expiries[_i].name);
	fake_world_end(&world);
}
END_TEST

START_TEST(an_entry_tells_its_row)
{
	const struct access *access;
	struct access known;
	struct str json;

	begin("");
	fake_world_put(&world, &table_wblist,
		"@Example.COM|5|192.0.2.1/24|7|B|[1,1]\n");
	fake_world_put(&world, &table_access,
		"1|inbound|@example.com|192.0.2.1/24|B|1700000009|root|a "
		"\"reason\"\n");
	fake_world_put_all(&world);
	access = ask(&(struct who){ 0 });
	/* The fact outlives the snapshots. */
	fake_world_put(&world, &table_wblist, "");
	fake_world_put(&world, &table_access, "");
	str_init(&json, 1000);
	fact_kind_access.describe(access, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"database\":\"this site has no amavisd\"}");
	str_reset(&json);
	known = *access;
	known.has_database = true;
	fact_kind_access.describe(&known, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"inbound\":{\"entries\":1,\"found\":true,\"list\":\"black\","
		"\"account\":\"@example.com\",\"address\":\"192.0.2.1/24\","
		"\"expires\":1700000009,\"author\":\"root\","
		"\"reason\":\"a \\\"reason\\\"\"},"
		"\"outbound\":{\"entries\":0,\"found\":false}}");
	str_free(&json);
	fake_world_end(&world);
}
END_TEST

/* --- rows that make no sense ---------------------------------------------- */

#define NO_ACCOUNT "its account is not an address, a domain or everyone\n"
#define NO_ADDRESS \
	"its address is not an address, a domain, a client or a network\n"

static const struct {
	const char *row, *problem;
} odd[] = {
	{ "postmaster|7|@.|0|B|[1,1]\n", NO_ACCOUNT },
	{ "192.0.2.1|7|@.|0|B|[1,1]\n", NO_ACCOUNT },
	{ "192.0.2.0/24|7|@.|0|B|[1,1]\n", NO_ACCOUNT },
	{ "u@*|7|@.|0|B|[1,1]\n", NO_ACCOUNT },
	{ "|7|@.|0|B|[1,1]\n", NO_ACCOUNT },
	{ "@.|7|example.com|0|B|[1,1]\n", NO_ADDRESS },
	{ "@.|7|192.0.2.0/33|0|B|[1,1]\n", NO_ADDRESS },
	{ "@.|7|@ip|0|B|[1,1]\n",
		"its address @ip never matches; write @. for everyone\n" },
	{ "@.|7|a@b.example|0|B|[1,1]\n@.|7|A@B.example|0|W|[1,2]\n",
		"another row is for the same account and address\n" },
	{ "@.|7|192.0.2.1/24|0|B|[1,1]\n@.|7|192.0.2.2/24|0|W|[1,2]\n",
		"another row is for the same account and address\n" },
	{ "postmaster|7|@.|0|N|[1,1]\n", "" },
};

START_TEST(rows_that_make_no_sense)
{
	begin("");
	fake_world_put(&world, &table_wblist, odd[_i].row);
	ck_assert_str_eq(fake_problems(), odd[_i].problem);
	fake_world_end(&world);
}
END_TEST

START_TEST(recipients_are_no_clients)
{
	begin("");
	fake_world_put(&world, &table_outbound_wblist,
		"@.|0|192.0.2.0/24|0|B|[1,1]\n");
	ck_assert_str_eq(fake_problems(),
		"its recipient is not an address, a domain or everyone\n");
	fake_world_end(&world);
}
END_TEST

/* --- how much a decision costs -------------------------------------------- */

/* Rows of n accounts about n / 10 addresses and as many networks. */
static void
put_many(unsigned n)
{
	struct str rows;

	str_init(&rows, 32 << 20);
	for (unsigned i = 0; i < n; i++)
		str_printf(&rows,
			"u%u@example.com|10|s%u@remote.example|10|B|[%u,1]\n"
			"@.|0|10.%u.%u.0/24|7|B|[1,%u]\n",
			i, i / 10, i + 10, i / 256 % 256, i % 256, i + 10);
	str_append_text(&rows, "@.|0|t@remote.example|10|W|[1,1]\n");
	fake_world_put(&world, &table_wblist, str_text(&rows));
	str_free(&rows);
}

static unsigned
probes_of_a_decision(unsigned n_rows)
{
	const struct access *access;
	unsigned n;

	begin("");
	put_many(n_rows);
	fake_world_put_all(&world);
	n = n_probes;
	access = ask(&(struct who){ .recipient = "u3@example.com",
		.sender = "t@remote.example",
		.client = "10.0.3.9" });
	n = n_probes - n;
	ck_assert_str_eq(told(access, ACCESS_INBOUND),
		"white @. t@remote.example");
	fake_world_end(&world);
	return n;
}

START_TEST(many_rows_cost_what_few_cost)
{
	const unsigned few = probes_of_a_decision(10);

	ck_assert_uint_gt(few, 0);
	ck_assert_uint_lt(few, 40);
	ck_assert_uint_eq(probes_of_a_decision(50000), few);
}
END_TEST

/* 127 labels on both sides, under every account there can be. */
START_TEST(longest_names)
{
	struct str rows, name, text;

	begin(ALL_WILDCARDS);
	str_init(&rows, 1 << 20);
	str_init(&name, 1000);
	str_init(&text, 1000);
	for (unsigned i = 0; i < 120; i++)
		str_append_text(&name, "a.");
	str_append_text(&name, "example");
	str_printf(&text, "u@%s", str_text(&name));
	for (const char *at = str_text(&name); at != NULL;
		at = strchr(at, '.')) {
		at += *at == '.';
		str_printf(&rows, "@.%s|0|@.org|0|B|[1,1]\n", at);
	}
	fake_world_put(&world, &table_wblist, str_text(&rows));
	fake_world_put_all(&world);
	ck_assert_int_eq(
		strncmp(told(ask(&(struct who){ .recipient = str_text(&text),
				     .sender = "x@a.org" }),
				ACCESS_INBOUND),
			"black @.a.a.", 12),
		0);
	str_free(&rows);
	str_free(&name);
	str_free(&text);
	fake_world_end(&world);
}
END_TEST

START_TEST(waits_for_its_tables)
{
	const struct access *access;

	begin("");
	fake_world_ask(&world, "protocol_state=RCPT\nsender=a@b.example\n");
	ck_assert(!fact_access(&world.facts, &access));
	ck_assert_ptr_nonnull(fake_waiting());
	facts_give_up(&world.facts, "enough");
	ck_assert_ptr_null(fake_waiting());
	fake_world_end(&world);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("access_lists");
	TCase *tc = tcase_create("access_lists");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, inbound_matches, 0, N(inbound));
	tcase_add_loop_test(tc, outbound_matches, 0, N(outbound));
	tcase_add_loop_test(tc, entries_are_in_order, 0, N(orders));
	tcase_add_loop_test(tc, an_expired_entry_does_not_count, 0,
		N(expiries));
	tcase_add_test(tc, an_entry_tells_its_row);
	tcase_add_loop_test(tc, rows_that_make_no_sense, 0, N(odd));
	tcase_add_test(tc, recipients_are_no_clients);
	tcase_add_test(tc, many_rows_cost_what_few_cost);
	tcase_add_test(tc, longest_names);
	tcase_add_test(tc, waits_for_its_tables);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
