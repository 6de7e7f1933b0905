#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/setting.h"
#include "tests/unit/fake_tables.h"

static struct fake_world world;

static const struct {
	const char *name, *rows, *attributes;
	enum rule_mode greylisting, throttle;
} modes[] = {
	{ "no rows: policyd.conf", "", "recipient=u@example.com\n",
		RULE_MODE_OBSERVE, RULE_MODE_ENFORCE },
	{ "everyone", "@.|greylisting.mode|off\n", "recipient=u@example.com\n",
		RULE_MODE_OFF, RULE_MODE_ENFORCE },
	{ "no recipient is only everyone",
		"@.|greylisting.mode|off\n"
		"@example.com|throttle.mode|off\n",
		"", RULE_MODE_OFF, RULE_MODE_ENFORCE },
	{ "so is what is no address", "@.|greylisting.mode|off\n",
		"recipient=root\n", RULE_MODE_OFF, RULE_MODE_ENFORCE },
	{ "the domain before everyone",
		"@.|greylisting.mode|off\n"
		"@example.com|greylisting.mode|enforce\n",
		"recipient=u@example.com\n", RULE_MODE_ENFORCE,
		RULE_MODE_ENFORCE },
	{ "the address before the domain",
		"u@example.com|greylisting.mode|off\n"
		"@example.com|greylisting.mode|enforce\n",
		"recipient=u+ext@example.com\n", RULE_MODE_OFF,
		RULE_MODE_ENFORCE },
	{ "each name by itself",
		"@example.com|greylisting.mode|off\n"
		"@.example.com|throttle.mode|observe\n"
		"@.com|greylisting.mode|enforce\n",
		"recipient=u@example.com\n", RULE_MODE_OFF, RULE_MODE_OBSERVE },
	{ "subdomains", "@.example.com|greylisting.mode|off\n",
		"recipient=u@a.b.example.com\n", RULE_MODE_OFF,
		RULE_MODE_ENFORCE },
	{ "a domain is not its subdomains",
		"@example.com|greylisting.mode|off\n",
		"recipient=u@a.example.com\n", RULE_MODE_OBSERVE,
		RULE_MODE_ENFORCE },
	{ "stored in upper case", "@Example.COM|greylisting.mode|OFF\n",
		"recipient=U@EXAMPLE.com\n", RULE_MODE_OFF, RULE_MODE_ENFORCE },
	{ "the login, not the recipient",
		"@example.com|greylisting.mode|off\n"
		"@login.example|throttle.mode|off\n",
		"recipient=u@example.com\nsasl_username=a@login.example\n",
		RULE_MODE_OBSERVE, RULE_MODE_OFF },
};

START_TEST(the_most_specific_account_has_its_way)
{
	const struct setting *setting;

	fake_world_begin(&world, "[greylisting]\nmode = observe\n");
	fake_world_put(&world, &table_setting, modes[_i].rows);
	struct str attributes;
	str_init(&attributes, 1000);
	str_printf(&attributes, "protocol_state=RCPT\n%s",
		modes[_i].attributes);
	fake_world_ask(&world, str_text(&attributes));
	str_free(&attributes);
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert_str_eq(fake_problems(), "");
	ck_assert_msg(setting->rule[RULE_ID_greylisting].mode ==
			      modes[_i].greylisting,
		"%s", modes[_i].name);
	ck_assert_msg(setting->rule[RULE_ID_throttle].mode ==
			      modes[_i].throttle,
		"%s", modes[_i].name);
	fake_world_end(&world);
}
END_TEST

START_TEST(everything_that_may_be_set_is_set)
{
	/* Two for each rule, and more: these are among them. */
	static const char *const described[] = {
		"{\"reject_null_sender.mode\":\"observe\",",
		"\"reject_null_sender.on_error\":\"accept\",",
		"\"greylisting.mode\":\"enforce\",",
		"\"greylisting.on_error\":\"defer\",",
		"\"reject_sender_login_mismatch.check_forged_sender\":\"no\",",
		"\"reject_sender_login_mismatch.may_send_as\":\"domain\",",
		"\"reject_sender_login_mismatch.allow_list_members\":\"yes\",",
		"\"whitelist_outbound_recipient.mode\":\"off\",",
		"\"throttle.over_limit\":\"defer\",",
		"\"greylisting.tell_delay\":\"yes\"}",
	};
	const struct setting *setting;
	struct str json;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_setting,
		"@.|reject_null_sender.mode|observe\n"
		"@.|greylisting.on_error|defer\n"
		"@.|throttle.over_limit|defer\n"
		"@.|greylisting.tell_delay|yes\n"
		"@.|reject_sender_login_mismatch.check_forged_sender|no\n"
		"@.|reject_sender_login_mismatch.may_send_as|domain\n"
		"@.|reject_sender_login_mismatch.allow_list_members|yes\n");
	fake_world_ask(&world, "protocol_state=RCPT\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert(setting->throttle_defer);
	ck_assert(setting->greylisting_tell_delay);
	ck_assert(!setting->check_forged_sender);
	ck_assert_int_eq(setting->may_send_as, SEND_AS_DOMAIN);
	ck_assert(setting->allow_list_members);
	str_init(&json, 10000);
	fact_kind_setting.describe(setting, &json);
	for (size_t i = 0; i < sizeof(described) / sizeof(described[0]); i++)
		ck_assert_msg(strstr(str_text(&json), described[i]) != NULL,
			"%s: %s", described[i], str_text(&json));
	str_free(&json);
	fake_world_end(&world);
}
END_TEST

/* Who owns a domain says whether strangers may use it, not who gets mail. */
START_TEST(the_sender_says_whether_it_may_be_forged)
{
	const struct setting *setting;

	fake_world_begin(&world, "");
	fake_world_put(&world, &table_setting,
		"@a.example|reject_sender_login_mismatch.check_forged_sender|"
		"no\n");
	fake_world_ask(&world, "protocol_state=RCPT\nsender=x@a.example\n"
			       "recipient=y@b.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert(!setting->check_forged_sender);
	fake_world_ask(&world, "protocol_state=RCPT\nsender=x@b.example\n"
			       "recipient=y@a.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert(setting->check_forged_sender);
	fake_world_end(&world);
}
END_TEST

/* Each recipient has its own; whose mail is forged is of the author. */
START_TEST(dmarc_settings_of_all_recipients)
{
	const struct setting *setting;

	fake_world_begin(&world, "[dmarc]\ntemperror = defer\n");
	fake_world_put(&world, &table_setting,
		"@a.example|dmarc.reject|hold\n"
		"u@b.example|dmarc.reject|report\n"
		"@bank.example|dmarc.force_reject|yes\n"
		"@bank.example|dmarc.reject|header\n");
	fake_world_ask(&world, "protocol_state=MESSAGE\nrecipient=u@a.example\n"
			       "recipient=u@b.example\nrecipient=v@b.example\n"
			       "header_from=x@bank.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert_uint_eq(setting->n_dmarc, 3);
	ck_assert_int_eq(setting->dmarc[0].action[DMARC_CASE_REJECT],
		DMARC_ACTION_HOLD);
	ck_assert_int_eq(setting->dmarc[1].action[DMARC_CASE_REJECT],
		DMARC_ACTION_REPORT);
	ck_assert_int_eq(setting->dmarc[2].action[DMARC_CASE_REJECT],
		DMARC_ACTION_REJECT);
	ck_assert_int_eq(setting->dmarc[2].action[DMARC_CASE_TEMPERROR],
		DMARC_ACTION_DEFER);
	ck_assert(setting->dmarc_force_reject);
	fake_world_ask(&world, "protocol_state=MESSAGE\n"
			       "recipient=u@bank.example\n"
			       "header_from=x@a.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert(!setting->dmarc_force_reject);
	ck_assert_int_eq(setting->dmarc[0].action[DMARC_CASE_REJECT],
		DMARC_ACTION_HEADER);
	fake_world_end(&world);
}
END_TEST

/* What a sender's domain has set comes before the recipient's. */
START_TEST(spf_settings_of_both_sides)
{
	const struct setting *setting;

	fake_world_begin(&world, "[spf]\npermerror = defer\n");
	fake_world_put(&world, &table_setting,
		"@ours.example|spf.fail|header\n"
		"@ours.example|spf.softfail|defer\n"
		"@ours.example|spf.helo_fail|nothing\n"
		"@a.example|spf.sender_softfail|reject\n"
		"@b.example|spf.sender_softfail|recipient\n"
		"@b.example|spf.fail|nothing\n");
	fake_world_ask(&world, "protocol_state=RCPT\nsender=x@a.example\n"
			       "recipient=y@ours.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert_int_eq(setting->spf_action[SPF_CASE_FAIL], SPF_ACTION_HEADER);
	ck_assert_int_eq(setting->spf_action[SPF_CASE_SOFTFAIL],
		SPF_ACTION_REJECT);
	ck_assert_int_eq(setting->spf_action[SPF_CASE_TEMPERROR],
		SPF_ACTION_HEADER);
	ck_assert_int_eq(setting->spf_action[SPF_CASE_PERMERROR],
		SPF_ACTION_DEFER);
	ck_assert_int_eq(setting->spf_helo_fail, SPF_ACTION_NOTHING);
	fake_world_ask(&world, "protocol_state=RCPT\nsender=x@b.example\n"
			       "recipient=y@ours.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert_int_eq(setting->spf_action[SPF_CASE_FAIL], SPF_ACTION_HEADER);
	ck_assert_int_eq(setting->spf_action[SPF_CASE_SOFTFAIL],
		SPF_ACTION_DEFER);
	fake_world_end(&world);
}
END_TEST

START_TEST(the_file_is_in_force_without_rows)
{
	const struct setting *setting;

	fake_world_begin(&world,
		"[throttle]\nover_limit = defer\non_error = defer\n"
		"[greylisting]\ntell_delay = yes\n");
	fake_world_put(&world, &table_setting,
		"@example.com|throttle.over_limit|reject\n"
		"@example.com|greylisting.tell_delay|no\n");
	fake_world_ask(&world, "protocol_state=RCPT\nrecipient=a@b.example\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert(setting->throttle_defer);
	ck_assert(setting->greylisting_tell_delay);
	ck_assert_int_eq(setting->rule[RULE_ID_throttle].on_error,
		RULE_ON_ERROR_DEFER);
	fake_world_ask(&world,
		"protocol_state=RCPT\nrecipient=a@example.com\n");
	ck_assert(fact_setting(&world.facts, &setting));
	ck_assert(!setting->throttle_defer);
	ck_assert(!setting->greylisting_tell_delay);
	fake_world_end(&world);
}
END_TEST

START_TEST(rows_that_make_no_sense_are_left_out)
{
	fake_world_begin(&world, "");
	fake_world_put(&world, &table_setting,
		"192.0.2.1|throttle.mode|off\n"
		"example|throttle.mode|off\n"
		"@.|throttle.mood|off\n"
		"@.|throttle.mode|maybe\n"
		"@.|throttle.mode|\n");
	ck_assert_str_eq(fake_problems(),
		"settings are for an address, a domain or everyone\n"
		"settings are for an address, a domain or everyone\n"
		"there is no setting of this name\n"
		"the setting cannot have this value\n"
		"the setting cannot have this value\n");
	fake_world_end(&world);
}
END_TEST

static const struct {
	const char *rows, *account;
	enum throttle_count count;
} counts[] = {
	{ "", "@example.com", THROTTLE_COUNT_USER },
	{ "@example.com|throttle.count|domain\n", "@example.com",
		THROTTLE_COUNT_DOMAIN },
	{ "@example.com|throttle.count|domain\n", "@.example.com",
		THROTTLE_COUNT_USER },
	{ "@.example.com|throttle.count|domain\n", "@example.com",
		THROTTLE_COUNT_DOMAIN },
	{ "@.example.com|throttle.count|domain\n", "@.a.example.com",
		THROTTLE_COUNT_DOMAIN },
	{ "@.|throttle.count|domain\n", "@example.com", THROTTLE_COUNT_DOMAIN },
	{ "@.|throttle.count|domain\n", "@.", THROTTLE_COUNT_DOMAIN },
	{ "@.com|throttle.count|domain\n", "@.com", THROTTLE_COUNT_DOMAIN },
	{ "@.com|throttle.count|domain\n", "@.", THROTTLE_COUNT_USER },
	{ "@.|throttle.count|domain\n"
	  "@example.com|throttle.count|user\n",
		"@example.com", THROTTLE_COUNT_USER },
};

START_TEST(a_throttle_rule_counts_users_or_the_domain)
{
	fake_world_begin(&world, "");
	ck_assert_int_eq(
		setting_throttle_count(fake_tables(), SLICE("@example.com")),
		THROTTLE_COUNT_USER);
	fake_world_put(&world, &table_setting, counts[_i].rows);
	ck_assert_int_eq(setting_throttle_count(fake_tables(),
				 slice_of(counts[_i].account)),
		counts[_i].count);
	fake_world_end(&world);
}
END_TEST

static const struct {
	const char *name, *value, *wrong; /* "": nothing is */
} checks[] = {
	{ "greylisting.mode", "off", "" },
	{ "throttle.on_error", "defer", "" },
	{ "throttle.count", "domain", "" },
	{ "greylisting.mood", "off",
		"\"greylisting.mood\" is not a setting; did you mean "
		"\"greylisting.mode\"?" },
	{ "colour", "blue",
		"\"colour\" is not a setting; there are RULE.mode, "
		"RULE.on_error, "
		"reject_sender_login_mismatch.check_forged_sender, "
		"reject_sender_login_mismatch.may_send_as, "
		"reject_sender_login_mismatch.allow_list_members, "
		"throttle.count, throttle.over_limit, "
		"greylisting.tell_delay, "
		"amavisd_wblist.whitelist_needs_spf, spf.fail, spf.softfail, "
		"spf.temperror, spf.permerror, spf.sender_fail, "
		"spf.sender_softfail, spf.sender_temperror, "
		"spf.sender_permerror, spf.helo_fail, dmarc.reject, "
		"dmarc.quarantine, dmarc.temperror, dmarc.bad_from and "
		"dmarc.force_reject" },
	{ "dmarc.reject", "hold", "" },
	{ "dmarc.bad_from", "nothing",
		"dmarc.bad_from is reject, defer, hold, header or report, not "
		"\"nothing\"" },
	{ "spf.fail", "defer", "" },
	{ "spf.fail", "recipient",
		"spf.fail is reject, defer, header or nothing, not "
		"\"recipient\"" },
	{ "spf.sender_fail", "recipient", "" },
	{ "spf.sender_permerror", "no",
		"spf.sender_permerror is reject, defer, header, nothing or "
		"recipient, not \"no\"" },
	{ "greylisting.mode", "on",
		"greylisting.mode is off, observe or enforce, not \"on\"" },
	{ "throttle.count", "", "throttle.count is user or domain, not \"\"" },
};

START_TEST(names_and_values_are_checked)
{
	struct arena *arena = arena_new(10000);
	const char *wrong = setting_check(arena, slice_of(checks[_i].name),
		slice_of(checks[_i].value));

	ck_assert_str_eq(wrong == NULL ? "" : wrong, checks[_i].wrong);
	arena_free(arena);
}
END_TEST

static const struct {
	const char *account, *name, *value, *source;
} views[] = {
	{ "u@example.com", "greylisting.mode", "off", "u@example.com" },
	{ "v@example.com", "greylisting.mode", "observe", "@example.com" },
	{ "@example.com", "greylisting.mode", "observe", "@example.com" },
	{ "@.example.com", "greylisting.mode", "enforce", "policyd.conf" },
	{ "@.sub.test", "throttle.over_limit", "defer", "@.test" },
	{ "@.", "throttle.over_limit", "reject", "policyd.conf" },
	{ "192.0.2.1", "throttle.over_limit", "reject", "policyd.conf" },
	{ "@example.com", "throttle.count", "user", "default" },
	{ "@.test", "throttle.count", "domain", "@.test" },
	{ "@.test", "reject_sender_login_mismatch.may_send_as", "own",
		"default" },
	{ "@.", "throttle.on_error", "accept", "policyd.conf" },
	{ "@.", "greylisting.tell_delay", "no", "policyd.conf" },
	{ "@.", "spf.softfail", "header", "policyd.conf" },
	{ "@.", "spf.helo_fail", "reject", "policyd.conf" },
	{ "@.", "spf.sender_fail", "recipient", "default" },
	{ "@.", "dmarc.quarantine", "header", "policyd.conf" },
	{ "@.", "dmarc.force_reject", "no", "default" },
};

START_TEST(a_view_tells_where_a_value_is_from)
{
	struct arena *arena = arena_new(100000);
	struct setting_view view;

	fake_world_begin(&world, "");
	ck_assert(!setting_view(fake_tables(), world.config, arena, SLICE("@."),
		"greylisting.mode", &view));
	fake_world_put(&world, &table_setting,
		"u@example.com|greylisting.mode|off\n"
		"@example.com|greylisting.mode|observe\n"
		"@.test|throttle.over_limit|defer\n"
		"@.test|throttle.count|domain\n");
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		ck_assert(setting_view(fake_tables(), world.config, arena,
			slice_of(views[i].account), views[i].name, &view));
		ck_assert_msg(
			slice_eq_text(view.value, views[i].value) &&
				slice_eq_text(view.source, views[i].source),
			"%s %s: %.*s of %.*s", views[i].account, views[i].name,
			SLICE_ARG(view.value), SLICE_ARG(view.source));
	}
	ck_assert(!setting_view(fake_tables(), world.config, arena, SLICE("@."),
		"no.such", &view));
	arena_free(arena);
	fake_world_end(&world);
}
END_TEST

START_TEST(every_name_is_told)
{
	size_t n = 0;

	while (setting_name(n) != NULL)
		n++;
	ck_assert_uint_gt(n, 2 * RULE_ID_COUNT);
}
END_TEST

START_TEST(the_fact_waits_for_its_table)
{
	const struct setting *setting;

	fake_world_begin(&world, "");
	fake_world_ask(&world, "protocol_state=RCPT\n");
	ck_assert(!fact_setting(&world.facts, &setting));
	ck_assert(!world.facts.is_wanting);
	facts_give_up(&world.facts, "too late");
	ck_assert_ptr_null(fake_waiting());
	ck_assert(!fact_setting(&world.facts, &setting));
	ck_assert(world.facts.is_wanting);
	fake_world_end(&world);
}
END_TEST

#define N(table) (sizeof(table) / sizeof((table)[0]))

int
main(void)
{
	Suite *suite = suite_create("setting");
	TCase *tc = tcase_create("setting");

	tcase_add_loop_test(tc, the_most_specific_account_has_its_way, 0,
		N(modes));
	tcase_add_test(tc, dmarc_settings_of_all_recipients);
	tcase_add_test(tc, spf_settings_of_both_sides);
	tcase_add_test(tc, everything_that_may_be_set_is_set);
	tcase_add_test(tc, the_sender_says_whether_it_may_be_forged);
	tcase_add_test(tc, the_file_is_in_force_without_rows);
	tcase_add_test(tc, rows_that_make_no_sense_are_left_out);
	tcase_add_loop_test(tc, a_throttle_rule_counts_users_or_the_domain, 0,
		N(counts));
	tcase_add_loop_test(tc, names_and_values_are_checked, 0, N(checks));
	tcase_add_test(tc, a_view_tells_where_a_value_is_from);
	tcase_add_test(tc, every_name_is_told);
	tcase_add_test(tc, the_fact_waits_for_its_table);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
