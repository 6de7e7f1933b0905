/* The rule spf, over facts that a test puts in. */

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/host.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/rule.h"
#include "tests/unit/fake_facts.h"

#define CLIENT "client_address=192.0.2.7\nclient_name=mx.forwarder.example\n"
#define SENDER "sender=a@remote.example\nhelo_name=mx.remote.example\n"
#define LOGIN  "sasl_username=u@example.com\n"

static const struct spf_fact none = { .result = SPF_NONE };
static const struct spf_fact neutral = { .result = SPF_NEUTRAL };
static const struct spf_fact pass = { .result = SPF_PASS,
	.domain = SLICE_INIT("remote.example"),
	.matched = SLICE_INIT("ip4:192.0.2.0/24") };
static const struct spf_fact fail = { .result = SPF_FAIL,
	.domain = SLICE_INIT("remote.example"),
	.matched = SLICE_INIT("-all") };
static const struct spf_fact explained = { .result = SPF_FAIL,
	.domain = SLICE_INIT("remote.example"),
	.matched = SLICE_INIT("-all"),
	.explanation = SLICE_INIT("see http://remote.example/") };
static const struct spf_fact hostile = { .result = SPF_FAIL,
	.domain = SLICE_INIT("a\rb\x1b.remote.example") };
static const struct spf_fact softfail = { .result = SPF_SOFTFAIL,
	.domain = SLICE_INIT("remote.example") };
static const struct spf_fact temperror = { .result = SPF_TEMPERROR,
	.domain = SLICE_INIT("remote.example"),
	.problem = SLICE_INIT("there was no answer in time") };
static const struct spf_fact permerror = { .result = SPF_PERMERROR,
	.domain = SLICE_INIT("remote.example") };

#define HEADER(result) "Received-SPF: " result " ("

static const struct rule_case {
	const char *name, *config, *attributes;
	const struct spf_fact *mail_from, *helo;
	const char *reply; /* "550 5.7.23 text"; "" for no objection */
	const char *header;
} cases[] = {
	{ "login", "", CLIENT SENDER LOGIN, NULL, NULL, "", "" },
	{ "trusted", "[mail]\ntrusted_networks = 192.0.2.0/24\n", CLIENT SENDER,
		NULL, NULL, "", "" },
	{ "unknown client", "", "client_address=unknown\n" SENDER, NULL, NULL,
		"", "" },
	{ "skipped by network", "[spf]\nskip = 192.0.2.0/24\n", CLIENT SENDER,
		NULL, NULL, "", "" },
	{ "skipped by name", "[spf]\nskip = MX.forwarder.example\n",
		CLIENT SENDER, NULL, NULL, "", "" },
	{ "skipped by domain", "[spf]\nskip = a.example, .forwarder.example\n",
		CLIENT SENDER, NULL, NULL, "", "" },
	{ "not skipped", "[spf]\nskip = forwarder.example, 192.0.3.0/24\n",
		CLIENT SENDER, &none, &none, "", HEADER("none") },
	{ "none", "", CLIENT SENDER, &none, &none, "", HEADER("none") },
	{ "neutral", "", CLIENT SENDER, &neutral, &none, "",
		HEADER("neutral") },
	{ "pass", "", CLIENT SENDER, &pass, &none, "", HEADER("pass") },
	{ "fail", "", CLIENT SENDER, &fail, &none,
		"550 5.7.23 SPF: 192.0.2.7 may not send for remote.example",
		"" },
	{ "fail, explained", "", CLIENT SENDER, &explained, &none,
		"550 5.7.23 SPF: 192.0.2.7 may not send for remote.example; "
		"that domain says: see http://remote.example/",
		"" },
	{ "fail of a name that is not to be shown", "", CLIENT SENDER, &hostile,
		&none,
		"550 5.7.23 SPF: 192.0.2.7 may not send for "
		"a?b?.remote.example",
		"" },
	{ "fail, deferred", "[spf]\nfail = defer\n", CLIENT SENDER, &fail,
		&none,
		"451 4.7.23 SPF: 192.0.2.7 may not send for remote.example",
		"" },
	{ "fail, header", "[spf]\nfail = header\n", CLIENT SENDER, &fail, &none,
		"", HEADER("fail") },
	{ "fail, nothing", "[spf]\nfail = nothing\n", CLIENT SENDER, &fail,
		&none, "", "" },
	{ "softfail", "", CLIENT SENDER, &softfail, &none, "",
		HEADER("softfail") },
	{ "softfail, refused", "[spf]\nsoftfail = reject\n", CLIENT SENDER,
		&softfail, &none,
		"550 5.7.23 SPF: 192.0.2.7 probably may not send for "
		"remote.example",
		"" },
	{ "temperror", "", CLIENT SENDER, &temperror, &none, "",
		HEADER("temperror") },
	{ "temperror, deferred", "[spf]\ntemperror = defer\n", CLIENT SENDER,
		&temperror, &none,
		"451 4.7.24 SPF: 192.0.2.7 cannot be checked now: no answer "
		"from the DNS of remote.example",
		"" },
	{ "permerror", "", CLIENT SENDER, &permerror, &none, "",
		HEADER("permerror") },
	{ "permerror, refused", "[spf]\npermerror = reject\n", CLIENT SENDER,
		&permerror, &none,
		"550 5.7.24 SPF: 192.0.2.7 cannot be checked: wrong SPF "
		"records of remote.example",
		"" },
	{ "HELO fails", "", CLIENT SENDER, &none, &fail,
		"550 5.7.23 SPF: 192.0.2.7 may not send for remote.example",
		"" },
	{ "HELO fails, the sender passes", "", CLIENT SENDER, &pass, &fail, "",
		HEADER("pass") },
	{ "HELO fails, which is noted only", "[spf]\nhelo_fail = header\n",
		CLIENT SENDER, &softfail, &fail, "", HEADER("softfail") },
	{ "HELO softfails", "", CLIENT SENDER, &none, &softfail, "",
		HEADER("none") },
	{ "null sender", "", CLIENT "sender=\nhelo_name=remote.example\n",
		&fail, &fail,
		"550 5.7.23 SPF: 192.0.2.7 may not send for remote.example",
		"" },
	{ "null sender: its own setting", "[spf]\nfail = header\n",
		CLIENT "sender=\nhelo_name=remote.example\n", &fail, &fail, "",
		HEADER("fail") },
	{ "no header", "[spf]\nreceived_spf = no\n", CLIENT SENDER, &pass,
		&none, "", "" },
	{ "the milter says it", "[milter]\nlisten = unix:/x\n", CLIENT SENDER,
		&pass, &none, "", "" },
	{ "both are wanted",
		"[milter]\nlisten = unix:/x\n[spf]\nreceived_spf = yes\n",
		CLIENT SENDER, &pass, &none, "", HEADER("pass") },
};

static struct config *config;
static struct arena *arena;
static struct request req;
static struct facts facts;
static struct verdict verdict;

static void
begin(const struct rule_case *row)
{
	struct config_errors errors = { NULL, 0 };
	const char *err = NULL;
	struct str text;

	fake_reset();
	config = config_parse(slice_of(row->config), "test", &errors);
	ck_assert_msg(config != NULL, "%s: %s", row->name,
		errors.n > 0 ? errors.items[0].text : "");
	arena = arena_new(REQUEST_ARENA_MAX);
	str_init(&text, 4096);
	str_printf(&text,
		"request=smtpd_access_policy\nprotocol_state=RCPT\n"
		"recipient=u@example.com\n%s",
		row->attributes);
	ck_assert_msg(request_parse(&req, arena, config, 1700000000,
			      str_slice(&text), &err) == 0,
		"%s", err);
	str_free(&text);
	facts_init(&facts, &req, NULL);
	memset(&verdict, 0, sizeof(verdict));
	verdict.arena = arena;
}

/* The settings in force are those of the file. */
static const struct setting *
settings(void)
{
	struct setting *setting = arena_new_object(arena, struct setting);

	memcpy(setting->spf_action, config->spf.action,
		sizeof(setting->spf_action));
	setting->spf_helo_fail = config->spf.helo_fail;
	return setting;
}

static const char *
reply(enum rule_status status)
{
	if (status == RULE_PASS)
		return "";
	ck_assert_int_eq(status, RULE_FINAL);
	ck_assert(verdict.enhanced != NULL && verdict.hint.len > 0);
	return arena_printf(arena, "%s %s %.*s",
		verdict.action == VERDICT_REJECT ? "550" : "451",
		verdict.enhanced, SLICE_ARG(verdict.text));
}

START_TEST(judges)
{
	static const struct slice name = SLICE_INIT("mail.example.com");
	static const struct host host = { &name, 1 };
	const struct rule_case *row = &cases[_i];

	begin(row);
	if (row->mail_from != NULL)
		facts_put(&facts, &fact_kind_spf, row->mail_from);
	if (row->helo != NULL)
		facts_put(&facts, &fact_kind_spf_helo, row->helo);
	facts_put(&facts, &fact_kind_setting, settings());
	facts_put(&facts, &fact_kind_host, &host);
	ck_assert_str_eq(
		reply(rules_all[RULE_ID_spf]->judge(&req, &facts, &verdict)),
		row->reply);
	ck_assert_msg(slice_starts(verdict.header, slice_of(row->header)) &&
			      (verdict.header.len > 0) ==
				      (row->header[0] != '\0'),
		"%s: %.*s", row->name, SLICE_ARG(verdict.header));
	arena_free(arena);
	config_unref(config);
}
END_TEST

/* What is told to change is what decided. */
static const struct hint_case {
	const char *attributes;
	const struct spf_fact *mail_from, *helo;
	const char *end;
} hints[] = {
	{ CLIENT SENDER, &fail, &none,
		" spf.fail for the recipient, or spf.sender_fail for the "
		"sender, which comes first" },
	{ CLIENT SENDER, &none, &fail, " spf.helo_fail for the recipient" },
	{ CLIENT "sender=\nhelo_name=remote.example\n", &fail, &fail,
		" spf.fail for the recipient" },
};

START_TEST(hints_at_the_setting)
{
	const struct hint_case *hint = &hints[_i];
	const struct rule_case row = { .name = "hints",
		.config = "",
		.attributes = hint->attributes };

	begin(&row);
	facts_put(&facts, &fact_kind_spf, hint->mail_from);
	facts_put(&facts, &fact_kind_spf_helo, hint->helo);
	facts_put(&facts, &fact_kind_setting, settings());
	facts_put(&facts, &fact_kind_host, &(const struct host){ NULL, 0 });
	ck_assert_int_eq(rules_all[RULE_ID_spf]->judge(&req, &facts, &verdict),
		RULE_FINAL);
	ck_assert_msg(slice_ends(verdict.hint, slice_of(hint->end)), "%.*s",
		SLICE_ARG(verdict.hint));
	arena_free(arena);
	config_unref(config);
}
END_TEST

/* Both identities are asked for before it waits for one. */
START_TEST(asks_at_once)
{
	const struct rule_case row = { .name = "asks",
		.config = "",
		.attributes = CLIENT SENDER };

	begin(&row);
	ck_assert_int_eq(rules_all[RULE_ID_spf]->judge(&req, &facts, &verdict),
		RULE_UNREADY);
	ck_assert_uint_eq(fake_n_loaded(FACT_SPF), 1);
	ck_assert_uint_eq(fake_n_loaded(FACT_SPF_HELO), 1);
	ck_assert_uint_eq(fake_n_loaded(FACT_SETTING), 1);
	arena_free(arena);
	config_unref(config);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rule_spf");
	TCase *tcase = tcase_create("rule_spf");
	SRunner *runner;
	int n_failed;

	tcase_add_loop_test(tcase, judges, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tcase, hints_at_the_setting, 0,
		sizeof(hints) / sizeof(hints[0]));
	tcase_add_test(tcase, asks_at_once);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
