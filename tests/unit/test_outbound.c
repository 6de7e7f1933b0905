/*
 * The rule whitelist_outbound_recipient over real tables: what it adds for
 * which recipients, hostile ones among them.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/effect.h"
#include "policyd/facts/auto_whitelist.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/rule.h"
#include "tests/unit/fake_tables.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

#define ON     "[whitelist_outbound_recipient]\nmode = enforce\n"
#define LOGIN  "sasl_username=U@Example.com\nsender=u@example.com\n"
#define USER   "u@example.com:"
#define LONG40 "0123456789012345678901234567890123456789"

extern const struct rule rule_whitelist_outbound_recipient;

static struct fake_world world;

static void
begin(const char *settings)
{
	fake_world_begin(&world, settings);
	fake_world_put(&world, &table_domain,
		"example.com|1|0\nbackup.example|1|1\noff.example|0|0\n");
	fake_world_put(&world, &table_alias_domain,
		"alias.example|example.com|1\n");
	fake_world_put(&world, &table_setting, "");
}

/* "account:sender ..." of what the rule adds. */
static const char *
judge(void)
{
	struct verdict verdict = { .arena = world.arena };
	const struct auto_whites *whites;
	static char text[4096];
	size_t len = 0;

	text[0] = '\0';
	ck_assert_int_eq(rule_whitelist_outbound_recipient.judge(&world.req,
				 &world.facts, &verdict),
		RULE_PASS);
	if (verdict.effects == NULL)
		return text;
	ck_assert_ptr_null(verdict.effects->next);
	whites = verdict.effects->data;
	for (size_t i = 0; i < whites->n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s%.*s:%.*s", i > 0 ? " " : "",
			SLICE_ARG(whites->entries[i].account),
			SLICE_ARG(whites->entries[i].sender));
	return text;
}

static void
ask(const char *attributes)
{
	char text[2000];

	snprintf(text, sizeof(text),
		"protocol_state=END-OF-MESSAGE\nclient_address=192.0.2.7\n%s",
		attributes);
	fake_world_ask(&world, text);
}

static const struct {
	const char *name, *settings, *attributes, *expected;
} cases[] = {
	{ "a stranger", ON, "sender=a@b.example\nrecipient=c@d.example\n", "" },
	{ "off", "", LOGIN "recipient=c@d.example\n", "" },
	{ "observed", "[whitelist_outbound_recipient]\nmode = observe\n",
		LOGIN "recipient=c@d.example\n", "" },
	{ "for the user", ON, LOGIN "recipient=C@D.example\n",
		USER "c@d.example" },
	{ "without extension", ON, LOGIN "recipient=c+list@d.example\n",
		USER "c@d.example" },
	{ "for the domain", ON "for = domain\n",
		LOGIN "recipient=c@d.example\n", "@example.com:c@d.example" },
	{ "for everyone", ON "for = everyone\n",
		LOGIN "recipient=c@d.example\n", "@.:c@d.example" },
	{ "the whole domain", ON "add = domain\n",
		LOGIN "recipient=c@d.example\n", USER "@d.example" },
	{ "the domain for the domain", ON "for = domain\nadd = domain\n",
		LOGIN "recipient=c@d.example\n", "@example.com:@d.example" },
	{ "its servers", ON "add = servers\n", LOGIN "recipient=c@d.example\n",
		":d.example" },
	{ "no servers of a domain with a tail", ON "add = servers\n",
		LOGIN "recipient=c@d.example/x\n", "" },
	{ "same domain", ON, LOGIN "recipient=v@example.com\n", "" },
	{ "local domain", ON,
		"sasl_username=u@x.example\nrecipient=v@example.com\n", "" },
	{ "alias domain", ON, LOGIN "recipient=v@alias.example\n", "" },
	{ "backup MX", ON, LOGIN "recipient=v@backup.example\n", "" },
	{ "a domain that is off", ON, LOGIN "recipient=v@off.example\n",
		USER "v@off.example" },
	{ "a login that is no address", ON,
		"sasl_username=u\nrecipient=c@d.example\n", "" },
	{ "which may still stand for everyone", ON "for = everyone\n",
		"sasl_username=u\nrecipient=c@d.example\n", "@.:c@d.example" },
	{ "no recipient", ON, LOGIN "recipient=\n", "" },

	{ "apostrophe", ON, LOGIN "recipient=o'brien@d.example\n",
		USER "o'brien@d.example" },
	{ "dollar", ON, LOGIN "recipient=a$b@d.example\n",
		USER "a$b@d.example" },
	{ "equals sign", ON, LOGIN "recipient==x@d.example\n",
		USER "=x@d.example" },
	{ "UTF-8", ON, LOGIN "recipient=\xc3\xbc@d.example\n",
		USER "\xc3\xbc@d.example" },
	{ "quoted", ON, LOGIN "recipient=\"a b\"@d.example\n",
		USER "\"a b\"@d.example" },
	{ "percent and underscore", ON, LOGIN "recipient=%_%@d.example\n",
		USER "%_%@d.example" },
	{ "a network's look", ON, LOGIN "recipient=0.0.0.0/0@d.example\n",
		USER "0.0.0.0/0@d.example" },
	{ "two signs", ON, LOGIN "recipient=@.@d.example\n",
		USER "@.@d.example" },
	{ "not UTF-8", ON, LOGIN "recipient=\xff@d.example\n", "" },
	{ "everyone", ON, LOGIN "recipient=@.\n", "" },
	{ "everyone of a domain", ON, LOGIN "recipient=*@d.example\n", "" },
	{ "a domain without local part", ON, LOGIN "recipient=@d.example\n",
		"" },
	{ "any domain", ON, LOGIN "recipient=c@*\n", "" },
	{ "a top-level domain", ON "add = domain\n", LOGIN "recipient=c@com\n",
		"" },
	{ "subdomains", ON "add = domain\n", LOGIN "recipient=c@.com\n", "" },
	{ "every client", ON "add = domain\n", LOGIN "recipient=c@ip\n", "" },
	{ "an address literal", ON, LOGIN "recipient=c@[192.0.2.1]\n", "" },
	{ "a domain with a tail", ON "add = domain\n",
		LOGIN "recipient=c@d.example/x\n", "" },
	{ "the longest", ON,
		LOGIN "recipient=" LONG40 LONG40 "1234567890@d.example\n",
		USER LONG40 LONG40 "1234567890@d.example" },
	/* Cut to the column it would be an address at d.example. */
	{ "too long", ON,
		LOGIN "recipient=" LONG40 LONG40 "1234567890@d.example.net\n",
		"" },
	{ "a login that is too long", ON,
		"sasl_username=" LONG40 LONG40 LONG40 "@example.com\n"
		"recipient=c@d.example\n",
		"" },
};

START_TEST(what_is_added)
{
	const char *added;

	begin(cases[_i].settings);
	ask(cases[_i].attributes);
	added = judge();
	ck_assert_msg(strcmp(added, cases[_i].expected) == 0, "%s: %s",
		cases[_i].name, added);
	fake_world_end(&world);
}
END_TEST

START_TEST(every_recipient_of_a_message)
{
	static const char *const texts[] = { "a@d.example", "v@example.com",
		"b@e.example", "*@f.example" };
	struct address recipients[N(texts)];

	begin(ON);
	ask(LOGIN "recipient=\n");
	for (size_t i = 0; i < N(texts); i++)
		recipients[i] = address_parse(world.arena, slice_of(texts[i]),
			SLICE("+"));
	world.req.recipients = recipients;
	world.req.n_recipients = N(texts);
	ck_assert_str_eq(judge(), USER "a@d.example " USER "b@e.example");
	fake_world_end(&world);
}
END_TEST

START_TEST(the_mode_of_an_account_counts)
{
	begin("");
	fake_world_put(&world, &table_setting,
		"@example.com|whitelist_outbound_recipient.mode|enforce|x\n");
	ask(LOGIN "recipient=c@d.example\n");
	ck_assert_str_eq(judge(), USER "c@d.example");
	fake_world_end(&world);
}
END_TEST

START_TEST(without_the_domains_it_does_not_guess)
{
	struct verdict verdict = { .hint = SLICE("") };

	fake_world_begin(&world, ON);
	fake_world_put(&world, &table_setting, "");
	fake_world_put(&world, &table_domain, "");
	ask(LOGIN "recipient=c@d.example\n");
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(rule_whitelist_outbound_recipient.judge(
					 &world.req, &world.facts, &verdict),
			RULE_UNREADY);
		ck_assert_ptr_null(verdict.effects);
		facts_give_up(&world.facts, "too late");
	}
	ck_assert(world.facts.is_wanting);
	fake_world_end(&world);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outbound");
	TCase *tc = tcase_create("outbound");

	tcase_add_loop_test(tc, what_is_added, 0, N(cases));
	tcase_add_test(tc, every_recipient_of_a_message);
	tcase_add_test(tc, the_mode_of_an_account_counts);
	tcase_add_test(tc, without_the_domains_it_does_not_guess);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
