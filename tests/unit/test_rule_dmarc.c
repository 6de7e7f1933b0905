/* The rule dmarc, over requests of the milter and settings put in. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/effect.h"
#include "policyd/facts/setting.h"
#include "policyd/rule.h"
#include "tests/unit/fake_facts.h"

#define CLIENT "client_address=192.0.2.7\nclient_name=mx.lists.example\n"
#define TO     "sender=b@other.example\nrecipient=u@example.com\n"
#define FROM   "header_from=a@bank.example\ndmarc_domain=bank.example\n"
#define MAIL   CLIENT TO FROM
#define JUDGED(result, policy, requested)                         \
	"dmarc_result=" result "\ndmarc_policy=" policy           \
	"\ndmarc_requested=" requested                            \
	"\ndmarc_policy_domain=bank.example\nspf_result=softfail" \
	"\nspf_domain=other.example\n"
#define REJECT     JUDGED("fail", "reject", "reject")
#define QUARANTINE JUDGED("fail", "quarantine", "quarantine")
#define ARC(dmarc) \
	"arc_result=pass\narc_sealer=lists.example\narc_dmarc=" dmarc "\n"

#define NOT_FROM "DMARC: this message is not from bank.example"
#define REFUSED  "550 5.7.1 " NOT_FROM ", which asks to reject such mail"

static const struct rule_case {
	const char *name, *config, *attributes;
	const char *reply;  /* "" for no objection */
	const char *header; /* value of X-DMARC-Policy */
	const char *seen;   /* what is counted: disposition, override */
} cases[] = {
	{ "login", "", MAIL REJECT "sasl_username=u@example.com\n", "", "",
		"" },
	{ "trusted client", "[mail]\ntrusted_networks = 192.0.2.0/24\n",
		MAIL REJECT, "", "", "" },
	{ "unknown client", "", "client_address=unknown\n" TO FROM REJECT, "",
		"", "" },
	{ "not judged", "", MAIL, "", "", "none " },
	{ "what is no result", "", MAIL JUDGED("bad", "reject", "reject"), "",
		"", "none " },
	{ "none", "", MAIL JUDGED("none", "none", "none"), "", "", "none " },
	{ "pass", "", MAIL JUDGED("pass", "none", "reject"), "", "", "none " },
	{ "permerror", "", MAIL JUDGED("permerror", "none", "none"), "", "",
		"none " },
	{ "fail, none", "", MAIL JUDGED("fail", "none", "none"), "", "",
		"none " },
	{ "fail, quarantine", "", MAIL QUARANTINE, "", "quarantine",
		"quarantine " },
	{ "fail, reject", "", MAIL REJECT, REFUSED, "", "reject " },
	{ "a name that is not to be shown", "",
		CLIENT TO
		"header_from=a@b\ndmarc_domain=a\rb\x1b.example\n" REJECT,
		"550 5.7.1 DMARC: this message is not from a?b?.example, "
		"which asks to reject such mail",
		"", "reject " },
	{ "t=y", "", MAIL JUDGED("fail", "quarantine", "reject"), "",
		"quarantine", "quarantine other" },
	{ "reject, deferred", "[dmarc]\nreject = defer\n", MAIL REJECT,
		"451 4.7.0 " NOT_FROM ", which asks to reject such mail", "",
		"" },
	{ "reject, marked", "[dmarc]\nreject = header\n", MAIL REJECT, "",
		"reject", "quarantine local_policy" },
	{ "reject, held", "[dmarc]\nreject = hold\n", MAIL REJECT,
		"HOLD " NOT_FROM ", which asks to reject such mail", "",
		"quarantine local_policy" },
	{ "reject, told only", "[dmarc]\nreject = report\n", MAIL REJECT, "",
		"", "none local_policy" },
	{ "quarantine, refused", "[dmarc]\nquarantine = reject\n",
		MAIL QUARANTINE,
		"550 5.7.1 " NOT_FROM ", which asks to quarantine such mail",
		"", "reject local_policy" },
	{ "only observed", "[dmarc]\nmode = observe\n", MAIL REJECT, REFUSED,
		"", "none local_policy" },
	{ "deferred, but only observed",
		"[dmarc]\nmode = observe\nreject = defer\n", MAIL REJECT,
		"451 4.7.0 " NOT_FROM ", which asks to reject such mail", "",
		"none local_policy" },
	{ "temperror", "[dmarc]\ntemperror = report\n",
		MAIL JUDGED("temperror", "none", "reject"), "", "", "none " },
	{ "temperror, deferred", "[dmarc]\ntemperror = defer\n",
		MAIL JUDGED("temperror", "none", "reject"),
		"451 4.7.0 DMARC: it cannot be checked now whether this "
		"message is from bank.example",
		"", "" },
	{ "temperror, deferred, of a record that did not come",
		"[dmarc]\ntemperror = defer\n",
		MAIL "dmarc_result=temperror\ndmarc_policy=none\n"
		     "dmarc_requested=none\n",
		"451 4.7.0 DMARC: it cannot be checked now whether this "
		"message is from bank.example",
		"", "" },
	{ "temperror, but no policy", "[dmarc]\ntemperror = defer\n",
		MAIL JUDGED("temperror", "none", "none"), "", "", "none " },
	{ "no From", "[dmarc]\nbad_from = reject\n",
		CLIENT TO "header_from_problem=is missing\n",
		"550 5.6.0 DMARC: the header field From: is missing", "",
		"reject " },
	{ "no From, marked", "", CLIENT TO "header_from_problem=is missing\n",
		"", "bad_from", "quarantine " },
	{ "no From, by a login", "[dmarc]\nbad_from = reject\n",
		CLIENT TO "header_from_problem=is missing\n"
			  "sasl_username=u@example.com\n",
		"", "", "" },
	{ "no From, by a trusted client",
		"[mail]\ntrusted_networks = 192.0.2.0/24\n"
		"[dmarc]\nbad_from = reject\n",
		CLIENT TO "header_from_problem=is missing\n", "", "", "" },
	{ "authors of several domains", "[dmarc]\nbad_from = reject\n",
		CLIENT TO "header_from=a@bank.example\n"
			  "header_from=a@other.example\ndmarc_domain=\n",
		"550 5.6.0 DMARC: the header field From: names several "
		"domains",
		"", "reject " },
	{ "several authors of one domain", "",
		MAIL JUDGED("pass", "none",
			"reject") "header_from_problem=several addresses\n",
		"", "", "none " },
	{ "forced", "[dmarc]\nforce_reject = Bank.example\n",
		MAIL JUDGED("fail", "none", "none"), "550 5.7.1 " NOT_FROM, "",
		"reject local_policy" },
	{ "forced below", "[dmarc]\nforce_reject = x.example, .e.example\n",
		CLIENT TO
		"header_from=a@b.e.example\ndmarc_domain=b.e.example\n" QUARANTINE,
		"550 5.7.1 DMARC: this message is not from b.e.example", "",
		"reject local_policy" },
	{ "forced, and it asks for it",
		"[dmarc]\nforce_reject = bank.example\n", MAIL REJECT, REFUSED,
		"", "reject " },
	{ "forced, and it passes", "[dmarc]\nforce_reject = bank.example\n",
		MAIL JUDGED("pass", "none", "reject"), "", "", "none " },
	{ "forced, but recipients do not refuse",
		"[dmarc]\nforce_reject = bank.example\nreject = header\n",
		MAIL JUDGED("fail", "none", "none"), "", "reject",
		"quarantine local_policy" },
	{ "forwarder by network",
		"[dmarc]\ntrusted_forwarders = 192.0.2.0/24\n", MAIL REJECT, "",
		"", "none trusted_forwarder" },
	{ "forwarder by name", "[dmarc]\ntrusted_forwarders = .lists.example\n",
		MAIL QUARANTINE, "", "", "none trusted_forwarder" },
	{ "forwarder comes before force",
		"[dmarc]\ntrusted_forwarders = mx.lists.example\n"
		"force_reject = bank.example\n",
		MAIL REJECT, "", "", "none trusted_forwarder" },
	{ "of another name", "[dmarc]\ntrusted_forwarders = lists.example\n",
		MAIL REJECT, REFUSED, "", "reject " },
	{ "sealed by a forwarder",
		"[dmarc]\ntrusted_forwarders = lists.example\n",
		MAIL REJECT ARC("pass"), "", "", "none trusted_forwarder" },
	{ "sealed, but it failed there, too",
		"[dmarc]\ntrusted_forwarders = lists.example\n",
		MAIL REJECT ARC("fail"), REFUSED, "", "reject " },
	{ "sealed by somebody", "[dmarc]\ntrusted_forwarders = x.example\n",
		MAIL REJECT ARC("pass"), REFUSED, "", "reject " },
	{ "a chain that is broken",
		"[dmarc]\ntrusted_forwarders = lists.example\n",
		MAIL REJECT "arc_result=fail\narc_sealer=lists.example\n"
			    "arc_dmarc=pass\n",
		REFUSED, "", "reject " },
};

static struct config *config;
static struct arena *arena;
static struct request req;
static struct facts facts;
static struct verdict verdict;

static void
begin(const char *name, const char *settings, const char *attributes)
{
	struct config_errors errors = { NULL, 0 };
	const char *err = NULL;
	struct str text;

	fake_reset();
	config = config_parse(slice_of(settings), "test", &errors);
	ck_assert_msg(config != NULL, "%s: %s", name,
		errors.n > 0 ? errors.items[0].text : "");
	arena = arena_new(REQUEST_ARENA_MAX);
	str_init(&text, 8192);
	str_printf(&text,
		"request=smtpd_access_policy\nprotocol_state=MESSAGE\n%s",
		attributes);
	ck_assert_msg(request_parse(&req, arena, config, 1700000000,
			      str_slice(&text), &err) == 0,
		"%s", err);
	str_free(&text);
	facts_init(&facts, &req, NULL);
	memset(&verdict, 0, sizeof(verdict));
	verdict.arena = arena;
}

static void
end(void)
{
	arena_free(arena);
	config_unref(config);
}

/* The settings in force are those of the file, for each recipient. */
static struct dmarc_setting *
put_settings(bool is_forced)
{
	struct setting *setting = arena_new_object(arena, struct setting);
	struct dmarc_setting *dmarc =
		arena_new_array(arena, req.n_recipients, struct dmarc_setting);

	for (size_t i = 0; i < req.n_recipients; i++)
		memcpy(dmarc[i].action, config->dmarc.action,
			sizeof(dmarc[i].action));
	setting->rule[RULE_ID_dmarc] = config->rule[RULE_ID_dmarc];
	setting->dmarc = dmarc;
	setting->n_dmarc = req.n_recipients;
	setting->dmarc_force_reject = is_forced;
	facts_put(&facts, &fact_kind_setting, setting);
	return dmarc;
}

static const char *
judge(void)
{
	const enum rule_status status =
		rules_all[RULE_ID_dmarc]->judge(&req, &facts, &verdict);

	for (const struct effect *e = verdict.effects; e != NULL; e = e->next)
		e->apply(&facts, e->data);
	if (status == RULE_PASS)
		return "";
	ck_assert_int_eq(status, RULE_FINAL);
	ck_assert(verdict.hint.len > 0);
	if (verdict.action == VERDICT_HOLD)
		return arena_printf(arena, "HOLD %.*s",
			SLICE_ARG(verdict.text));
	ck_assert(verdict.enhanced != NULL);
	return arena_printf(arena, "%s %s %.*s",
		verdict.action == VERDICT_REJECT ? "550" : "451",
		verdict.enhanced, SLICE_ARG(verdict.text));
}

/* The value of the field that is added, "" for none. */
static const char *
header(void)
{
	const struct slice name = SLICE("X-DMARC-Policy: ");

	if (verdict.header.len == 0)
		return "";
	ck_assert(slice_starts(verdict.header, name));
	return slice_copy(arena, slice_from(verdict.header, name.len)).ptr;
}

START_TEST(judges)
{
	const struct rule_case *row = &cases[_i];
	const char *reply;

	begin(row->name, row->config, row->attributes);
	put_settings(false);
	reply = judge();
	ck_assert_msg(strcmp(reply, row->reply) == 0, "%s: %s", row->name,
		reply);
	ck_assert_msg(strcmp(header(), row->header) == 0, "%s: %s", row->name,
		header());
	ck_assert_msg(strcmp(fake_effects(), row->seen) == 0, "%s: \"%s\"",
		row->name, fake_effects());
	end();
}
END_TEST

START_TEST(the_author_s_domain_may_force_it)
{
	begin("forced", "", MAIL JUDGED("fail", "none", "none"));
	put_settings(true);
	ck_assert_str_eq(judge(), "550 5.7.1 " NOT_FROM);
	end();
}
END_TEST

#define R DMARC_ACTION_REJECT
#define D DMARC_ACTION_DEFER
#define O DMARC_ACTION_HOLD
#define H DMARC_ACTION_HEADER
#define N DMARC_ACTION_REPORT

/* A message cannot be refused for some of its recipients. */
static const struct {
	enum dmarc_action of[3];
	const char *begin, *header;
} recipients[] = {
	{ { R, R, R }, "550 ", "" },
	{ { R, D, R }, "451 ", "" },
	{ { R, R, H }, "", "reject" },
	{ { R, R, N }, "", "reject" },
	{ { D, N, N }, "", "reject" },
	{ { N, H, N }, "", "reject" },
	{ { N, H, O }, "HOLD ", "" },
	{ { R, R, O }, "HOLD ", "" },
	{ { O, O, O }, "HOLD ", "" },
	{ { N, N, N }, "", "" },
};

START_TEST(all_recipients_count)
{
	struct dmarc_setting *settings;

	begin("recipients", "",
		MAIL REJECT
		"recipient=v@example.net\nrecipient=w@example.org\n");
	ck_assert_uint_eq(req.n_recipients, 3);
	settings = put_settings(false);
	for (size_t i = 0; i < 3; i++)
		settings[i].action[DMARC_CASE_REJECT] = recipients[_i].of[i];
	ck_assert_msg(
		slice_starts(slice_of(judge()), slice_of(recipients[_i].begin)),
		"%d", _i);
	ck_assert_str_eq(header(), recipients[_i].header);
	end();
}
END_TEST

START_TEST(tells_why_it_does_something_else)
{
	begin("override", "[dmarc]\nreject = header\n", MAIL REJECT);
	put_settings(false);
	ck_assert_str_eq(judge(), "");
	ck_assert(slice_eq(verdict.more,
		SLICE("dmarc_override=local_policy a setting of the "
		      "recipients\n")));
	end();
	begin("no override", "", MAIL REJECT);
	put_settings(false);
	(void)judge();
	ck_assert_uint_eq(verdict.more.len, 0);
	end();
}
END_TEST

START_TEST(waits_for_settings)
{
	begin("settings", "", MAIL REJECT);
	ck_assert_int_eq(
		rules_all[RULE_ID_dmarc]->judge(&req, &facts, &verdict),
		RULE_UNREADY);
	ck_assert_uint_eq(fake_n_loaded(FACT_SETTING), 1);
	end();
}
END_TEST

START_TEST(hints_at_what_would_help)
{
	begin("hint", "", MAIL REJECT);
	put_settings(false);
	(void)judge();
	ck_assert(slice_starts(verdict.hint,
		SLICE("accepted when SPF or a DKIM signature passes for "
		      "bank.example (SPF is softfail for \"other.example\"")));
	ck_assert(slice_ends(verdict.hint,
		SLICE(" a setting dmarc.reject for a recipient")));
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rule_dmarc");
	TCase *tcase = tcase_create("rule_dmarc");
	SRunner *runner;
	int n_failed;

	tcase_add_loop_test(tcase, judges, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, the_author_s_domain_may_force_it);
	tcase_add_loop_test(tcase, all_recipients_count, 0,
		sizeof(recipients) / sizeof(recipients[0]));
	tcase_add_test(tcase, tells_why_it_does_something_else);
	tcase_add_test(tcase, waits_for_settings);
	tcase_add_test(tcase, hints_at_what_would_help);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
