#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policyd/facts/domains.h"
#include "tests/unit/fake_tables.h"

static struct fake_world world;

/* The name of this host, for the table under test. */
int
gethostname(char *name, size_t len)
{
	ck_assert_uint_gt(len, 20);
	memcpy(name, "MX.Example.net", 15);
	return 0;
}

#define DOMAINS                                                    \
	"example.com|1|0\nUpper.Example|1|0\nbackup.example|1|1\n" \
	"off.example|0|0\ndot.example.|1|0\n"
#define ALIASES                                                         \
	"alias.example|Example.COM|1\nALIAS2.example|upper.example|1\n" \
	"disabled.example|example.com|0\nlost.example|off.example|1\n"  \
	"nowhere.example|unknown.example|1\n"                           \
	"alias3.example|backup.example|1\n"

static const struct {
	const char *name;
	bool is_local, is_backup_mx;
	const char *target;
} look_ups[] = {
	{ "example.com", true, false, "" },
	{ "upper.example", true, false, "" },
	{ "backup.example", true, true, "" },
	{ "dot.example", true, false, "" },
	{ "off.example", false, false, "" },
	{ "sub.example.com", false, false, "" },
	{ "alias.example", true, false, "example.com" },
	{ "alias2.example", true, false, "upper.example" },
	{ "alias3.example", true, true, "backup.example" },
	{ "disabled.example", false, false, "" },
	{ "lost.example", false, false, "" },
	{ "nowhere.example", false, false, "" },
	{ "mx.example.net", true, false, "" },
	{ "example.net", false, false, "" },
	{ "localhost", false, false, "" },
	{ "[192.0.2.1]", false, false, "" },
	{ "", false, false, "" },
};

START_TEST(names_are_looked_up)
{
	struct domain_state state;

	fake_world_begin(&world, "");
	ck_assert(!domain_look_up(fake_tables(), SLICE("a.example"), &state));
	fake_world_put(&world, &table_domain, DOMAINS);
	ck_assert(!domain_look_up(fake_tables(), SLICE("a.example"), &state));
	fake_world_put(&world, &table_alias_domain, ALIASES);
	for (size_t i = 0; i < sizeof(look_ups) / sizeof(look_ups[0]); i++) {
		const char *name = look_ups[i].name;

		ck_assert(
			domain_look_up(fake_tables(), slice_of(name), &state));
		ck_assert_msg(state.is_local == look_ups[i].is_local, "%s",
			name);
		ck_assert_msg(state.is_backup_mx == look_ups[i].is_backup_mx,
			"%s", name);
		ck_assert_msg(
			slice_eq_text(state.alias_target, look_ups[i].target),
			"%s: %.*s", name, SLICE_ARG(state.alias_target));
	}
	ck_assert_str_eq(fake_problems(), "");
	fake_world_end(&world);
}
END_TEST

static const struct {
	const char *sender, *other;
	enum domain_relation relation;
} relations[] = {
	{ "a@example.com", "b@example.com", DOMAIN_SAME },
	{ "a@Example.com", "b@alias.example", DOMAIN_SAME },
	{ "a@alias.example", "b@example.com", DOMAIN_SAME },
	{ "a@disabled.example", "b@example.com", DOMAIN_OTHER },
	{ "a@far.test", "b@far.test", DOMAIN_SAME },
	{ "a@far.test", "b@example.com", DOMAIN_OTHER },
	{ "a@sub.example.com", "b@example.com", DOMAIN_BELOW },
	{ "a@x.y.example.com", "b@alias.example", DOMAIN_BELOW },
	{ "a@x.alias.example", "b@example.com", DOMAIN_BELOW },
	{ "a@example.com", "b@sub.example.com", DOMAIN_OTHER },
	{ "a@notexample.com", "b@example.com", DOMAIN_OTHER },
	{ "", "b@example.com", DOMAIN_OTHER },
	{ "a@example.com", "", DOMAIN_OTHER },
	{ "", "", DOMAIN_OTHER },
	{ "a@.example.com", "b@example.com", DOMAIN_BELOW },
	{ "a@[192.0.2.1]", "b@example.com", DOMAIN_OTHER },
};

START_TEST(domains_are_related)
{
	const struct domains *domains;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_domain, DOMAINS);
	fake_world_put(&world, &table_alias_domain, ALIASES);
	for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
		struct str text;

		str_init(&text, 1000);
		str_printf(&text,
			"protocol_state=RCPT\nsender=%s\nrecipient=%s\n"
			"sasl_username=%s\n",
			relations[i].sender, relations[i].other,
			relations[i].other);
		fake_world_ask(&world, str_text(&text));
		str_free(&text);
		ck_assert(fact_domains(&world.facts, &domains));
		ck_assert_msg(domains->sender_to_recipient ==
				      relations[i].relation,
			"%s to %s", relations[i].sender, relations[i].other);
		ck_assert_msg(domains->sender_to_login == relations[i].relation,
			"%s to %s", relations[i].sender, relations[i].other);
	}
	fake_world_end(&world);
}
END_TEST

START_TEST(rows_that_make_no_sense_are_left_out)
{
	struct domain_state state;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_domain,
		"localhost|1|0\n|1|0\na b.example|1|0\nok.example|1|0\n"
		"localhost|0|0\n");
	fake_world_put(&world, &table_alias_domain,
		"a.example|localhost|1\nlocalhost|ok.example|1\n");
	ck_assert_str_eq(fake_problems(),
		"this is not the name of a mail domain\n"
		"this is not the name of a mail domain\n"
		"this is not the name of a mail domain\n"
		"its target is not the name of a mail domain\n"
		"this is not the name of a mail domain\n");
	domain_look_up(fake_tables(), SLICE("ok.example"), &state);
	ck_assert(state.is_local);
	fake_world_end(&world);
}
END_TEST

START_TEST(the_fact_knows_everybody_in_the_request)
{
	const struct domains *domains;
	struct str json;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_domain, DOMAINS);
	fake_world_put(&world, &table_alias_domain, ALIASES);
	fake_world_ask(&world,
		"protocol_state=RCPT\nclient_address=192.0.2.1\n"
		"sender=a@Example.com\nrecipient=b+x@ALIAS.example\n"
		"sasl_username=c@elsewhere.example\n");
	ck_assert(fact_domains(&world.facts, &domains));
	ck_assert(domains->sender.is_local);
	ck_assert(domains->recipient.is_local);
	ck_assert(!domains->login.is_local);
	ck_assert(domains->recipients[0].is_local);
	/* What the request keeps outlives the snapshot. */
	fake_world_put(&world, &table_alias_domain, "");
	ck_assert(slice_eq_text(domains->recipients[0].alias_target,
		"example.com"));
	str_init(&json, 1000);
	fact_kind_domains.describe(domains, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"sender\":{\"local\":true,\"backup_mx\":false},"
		"\"recipient\":{\"local\":true,\"backup_mx\":false,"
		"\"alias_of\":\"example.com\"},"
		"\"login\":{\"local\":false,\"backup_mx\":false}}");
	str_free(&json);
	fake_world_end(&world);
}
END_TEST

START_TEST(the_fact_waits_for_its_tables)
{
	const struct domains *domains;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_domain, DOMAINS);
	fake_world_ask(&world, "protocol_state=RCPT\n");
	ck_assert(!fact_domains(&world.facts, &domains));
	ck_assert_ptr_nonnull(fake_waiting());
	fake_world_put(&world, &table_alias_domain, ALIASES);
	fake_waiting()->kind->load(fake_waiting());
	ck_assert(fact_domains(&world.facts, &domains));
	fake_world_ask(&world, "protocol_state=RCPT\n");
	fake_world_end(&world);

	fake_world_begin(&world, "");
	fake_world_ask(&world, "protocol_state=RCPT\n");
	ck_assert(!fact_domains(&world.facts, &domains));
	facts_give_up(&world.facts, "too late");
	ck_assert_ptr_null(fake_waiting());
	fake_world_end(&world);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("domains");
	TCase *tc = tcase_create("domains");

	tcase_add_test(tc, names_are_looked_up);
	tcase_add_test(tc, domains_are_related);
	tcase_add_test(tc, rows_that_make_no_sense_are_left_out);
	tcase_add_test(tc, the_fact_knows_everybody_in_the_request);
	tcase_add_test(tc, the_fact_waits_for_its_tables);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
