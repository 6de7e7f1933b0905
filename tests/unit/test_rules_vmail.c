/*
 * The rules that ask vmail about addresses, over facts that are put in. A
 * fact that is not put in must not be asked for.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/directory.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/rule.h"
#include "tests/unit/fake_facts.h"

#define DAY      86400
#define NOW      (20000 * (int64_t)DAY)
#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* What instances, journal and metrics would be: the rules need none. */

static struct config *config;
static struct arena *arena;
static struct request req;
static struct facts facts;
static struct verdict verdict;

static void
begin(const char *settings, const char *attributes)
{
	struct config_errors errors = { NULL, 0 };
	const char *err = NULL;
	struct str text;

	fake_reset();
	config = config_parse(slice_of(settings), "test", &errors);
	ck_assert_msg(config != NULL, "%s",
		errors.n > 0 ? errors.items[0].text : "");
	arena = arena_new(REQUEST_ARENA_MAX);
	str_init(&text, 4096);
	str_printf(&text,
		"request=smtpd_access_policy\nprotocol_state=RCPT\n"
		"client_address=192.0.2.7\n%s",
		attributes);
	ck_assert_msg(request_parse(&req, arena, config, NOW, str_slice(&text),
			      &err) == 0,
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

static void
put(const struct fact_kind *kind, const void *value)
{
	if (value != NULL)
		facts_put(&facts, kind, value);
}

/* The reply text, with its code if it is deferred; "" for no objection, "?"
 * when it waits. */
static const char *
judge(enum rule_id id)
{
	ck_assert(rules_all[id]->stages & req.stage);
	switch (rules_all[id]->judge(&req, &facts, &verdict)) {
	case RULE_PASS:
		return "";
	case RULE_UNREADY:
		return "?";
	case RULE_FINAL:
		ck_assert_uint_gt(verdict.hint.len, 0);
		if (verdict.action == VERDICT_DEFER)
			return arena_printf(arena, "%s %.*s", verdict.enhanced,
				SLICE_ARG(verdict.text));
		ck_assert_int_eq(verdict.action, VERDICT_REJECT);
		return slice_copy(arena, verdict.text).ptr;
	case RULE_PERMIT:
		break;
	}
	return "permit";
}

/* --- reject_sender_login_mismatch --------------------------------------- */

#define AUTH_REQUIRED "SMTP AUTH is required for users under this sender domain"
#define MISMATCH      "Sender is not same as SMTP authenticate username"

#define SECTION "[reject_sender_login_mismatch]\n"
#define FORGER  "sender=user+x@example.com\nrecipient=u@example.com\n"

static const struct setting usual = { .check_forged_sender = true };
static const struct setting unchecked = { .check_forged_sender = false };
static const struct domains foreign = { .sender_to_recipient = DOMAIN_OTHER };
static const struct domains hosted = { .sender = { .is_local = true } };
/* The same domain, but nobody's here. */
static const struct domains same = { .sender_to_recipient = DOMAIN_SAME };
static const struct domains backup = {
	.sender = { .is_local = true, .is_backup_mx = true },
	.sender_to_recipient = DOMAIN_SAME,
};
static const struct spf_fact no_spf = { .result = SPF_NONE };
static const struct spf_fact spf_later = { .result = SPF_TEMPERROR };
static const struct spf_fact vouched = { .result = SPF_PASS };

static const struct forged_case {
	const char *name, *config, *attributes;
	const struct setting *setting;
	const struct domains *domains;
	const struct spf_fact *spf;
	const char *text;
} forged_cases[] = {
	{ "trusted client", "[mail]\ntrusted_networks = 192.0.2.0/24\n", FORGER,
		NULL, NULL, NULL, "" },
	{ "loopback", "", FORGER "client_address=127.0.0.1\n", NULL, NULL, NULL,
		"" },
	{ "null sender", "", "sender=\nrecipient=u@example.com\n", NULL, NULL,
		NULL, "" },
	{ "not checked", "", FORGER, &unchecked, NULL, NULL, "" },
	{ "address allowed",
		SECTION "allowed_forged_senders = USER@example.com\n", FORGER,
		&usual, NULL, NULL, "" },
	{ "domain allowed", SECTION "allowed_forged_senders = Example.com\n",
		FORGER, &usual, NULL, NULL, "" },
	{ "local part allowed", SECTION "allowed_forged_senders = user@*\n",
		FORGER, &usual, NULL, NULL, "" },
	{ "others allowed",
		SECTION "allowed_forged_senders = us@*, xexample.com, *, @.\n",
		FORGER, &usual, &hosted, &no_spf, AUTH_REQUIRED },
	{ "foreign domain", "", FORGER, &usual, &foreign, NULL, "" },
	{ "our domain", "", FORGER, &usual, &hosted, &no_spf, AUTH_REQUIRED },
	{ "equal to the recipient's is not ours (D12)", "", FORGER, &usual,
		&same, NULL, "" },
	{ "backup MX is not ours (D12)", "", FORGER, &usual, &backup, NULL,
		"" },
	{ "SPF pass", "", FORGER, &usual, &hosted, &vouched, "" },
	{ "SPF not known now", "", FORGER, &usual, &hosted, &spf_later,
		"4.7.24 SPF of this sender domain cannot be checked now, "
		"please try again later" },
	{ "SPF not asked", SECTION "check_spf = no\n", FORGER, &usual, &hosted,
		NULL, AUTH_REQUIRED },
	{ "setting unknown", "", FORGER, NULL, NULL, NULL, "?" },
	{ "domain unknown", "", FORGER, &usual, NULL, NULL, "?" },
	{ "SPF unknown", "", FORGER, &usual, &hosted, NULL, "?" },
};

START_TEST(forged_sender)
{
	const struct forged_case *row = &forged_cases[_i];
	const char *text;

	begin(row->config, row->attributes);
	put(&fact_kind_setting, row->setting);
	put(&fact_kind_domains, row->domains);
	put(&fact_kind_spf, row->spf);
	text = judge(RULE_ID_reject_sender_login_mismatch);
	ck_assert_msg(strcmp(text, row->text) == 0, "%s: %s", row->name, text);
	end();
}
END_TEST

#define AS(sender)                                               \
	"sasl_username=user@example.com\nrecipient=x@far.test\n" \
	"sender=" sender "\n"
#define STRICT_OFF  SECTION "allow_own_aliases = no\n"
#define ALLOW(word) STRICT_OFF "allowed_mismatch_senders = " word "\n"

static const struct setting as_domain = { .may_send_as = SEND_AS_DOMAIN };
static const struct setting as_any = { .may_send_as = SEND_AS_ANY };
static const struct setting as_list = { .allow_list_members = true };
static const struct domains other = { .sender_to_login = DOMAIN_OTHER };
static const struct domains one = { .sender_to_login = DOMAIN_SAME };
static const struct domains below = { .sender_to_login = DOMAIN_BELOW };
static const struct roles nobody = { .is_member = false };
static const struct roles alias_owner = { .is_alias_owner = true };
static const struct roles member = { .is_member = true };
static const struct roles moderator = { .is_moderator = true };
static const struct roles list_moderator = { .is_moderator = true,
	.of_maillist = true };
static const struct roles list_anybody = { .is_any_moderator = true,
	.of_maillist = true };
static const struct roles list_owner = { .is_owner = true,
	.of_maillist = true };

static const struct login_case {
	const char *name, *config, *attributes;
	const struct setting *setting;
	const struct domains *domains;
	const struct roles *roles;
	const char *text;
} login_cases[] = {
	{ "null sender", "", AS(""), NULL, NULL, NULL, "" },
	{ "own address", "", AS("user@example.com"), NULL, NULL, NULL, "" },
	{ "own address, extended", "", AS("User+x@Example.com"), NULL, NULL,
		NULL, "" },
	{ "own address, named as extended", "",
		"sasl_username=a+b@example.com\nsender=A+b@example.com\n", NULL,
		NULL, NULL, "" },
	{ "extended as another", STRICT_OFF,
		"sasl_username=a+b@example.com\nsender=a+c@example.com\n",
		&usual, &one, NULL, MISMATCH },
	{ "nothing allowed", STRICT_OFF, AS("b@example.com"), &usual, &one,
		NULL, MISMATCH },
	{ "login may use any", ALLOW("a@b.cc, USER@example.com"),
		AS("x@far.test"), &usual, &other, NULL, "" },
	{ "domain may use any", ALLOW("example.com"), AS("x@far.test"), &usual,
		&other, NULL, "" },
	{ "@domain: own domain", ALLOW("@Example.com"), AS("b@example.com"),
		&usual, &one, NULL, "" },
	{ "@domain: alias domain", ALLOW("@example.com"), AS("b@alias.example"),
		&usual, &one, NULL, "" },
	{ "@domain: another domain", ALLOW("@example.com"), AS("x@far.test"),
		&usual, &other, NULL, MISMATCH },
	{ "@domain: below is not the domain", ALLOW("@example.com"),
		AS("x@a.example.com"), &usual, &below, NULL, MISMATCH },
	{ "@.: own domain", ALLOW("@."), AS("b@example.com"), &usual, &one,
		NULL, "" },
	{ "@.: another domain", ALLOW("@."), AS("x@far.test"), &usual, &other,
		NULL, MISMATCH },
	{ "another's entry", ALLOW("@far.test"), AS("b@example.com"), &usual,
		&one, NULL, MISMATCH },
	{ "setting: any", STRICT_OFF, AS("x@far.test"), &as_any, &other, NULL,
		"" },
	{ "setting: domain", STRICT_OFF, AS("b@example.com"), &as_domain, &one,
		NULL, "" },
	{ "setting: domain, another", STRICT_OFF, AS("x@far.test"), &as_domain,
		&other, NULL, MISMATCH },
	{ "no alias", "", AS("alias@example.com"), &usual, &one, &nobody,
		MISMATCH },
	{ "own alias", "", AS("alias@example.com"), &usual, &one, &alias_owner,
		"" },
	{ "own alias, elsewhere", "", AS("alias@far.test"), &usual, &other,
		&alias_owner, "" },
	{ "own alias, not allowed", STRICT_OFF, AS("alias@example.com"), &usual,
		&one, NULL, MISMATCH },
	{ "own name in an alias domain", "", AS("user@alias.example"), &usual,
		&one, NULL, "" },
	{ "the same, not allowed", STRICT_OFF, AS("user@alias.example"), &usual,
		&one, NULL, MISMATCH },
	{ "own name elsewhere", "", AS("user@far.test"), &usual, &other,
		&nobody, MISMATCH },
	{ "member of a list, off", "", AS("list@example.com"), &usual, &one,
		&member, MISMATCH },
	{ "member of a list", "", AS("list@example.com"), &as_list, &one,
		&member, "" },
	{ "member, without aliases", STRICT_OFF, AS("list@example.com"),
		&as_list, &one, &member, "" },
	{ "alias, without aliases", STRICT_OFF, AS("list@example.com"),
		&as_list, &one, &alias_owner, MISMATCH },
	{ "moderator of an alias account", "", AS("list@example.com"), &as_list,
		&one, &moderator, MISMATCH },
	{ "moderator of a mlmmj list", "", AS("list@example.com"), &as_list,
		&one, &list_moderator, "" },
	{ "all of the domain moderate", "", AS("list@example.com"), &as_list,
		&one, &list_anybody, MISMATCH },
	{ "owner of a mlmmj list", "", AS("list@example.com"), &as_list, &one,
		&list_owner, "" },
	{ "owner of a mlmmj list, off", "", AS("list@example.com"), &usual,
		&one, &list_owner, MISMATCH },
	{ "roles unknown", "", AS("alias@example.com"), &usual, &one, NULL,
		"?" },
	{ "domains unknown", "", AS("alias@example.com"), &usual, NULL, NULL,
		"?" },
	{ "setting unknown", "", AS("alias@example.com"), NULL, NULL, NULL,
		"?" },
};

START_TEST(login_mismatch)
{
	const struct login_case *row = &login_cases[_i];
	const char *text;

	begin(row->config, row->attributes);
	put(&fact_kind_setting, row->setting);
	put(&fact_kind_domains, row->domains);
	put(&fact_kind_login_roles, row->roles);
	text = judge(RULE_ID_reject_sender_login_mismatch);
	ck_assert_msg(strcmp(text, row->text) == 0, "%s: %s", row->name, text);
	end();
}
END_TEST

/* --- From: --------------------------------------------------------------- */

#define NOT_ONES(address) \
	"The From: address <" address "> is not one of the authenticated user's"
#define WHOSE "The From: field does not say whose message this is"
#define BY    "sasl_username=user@example.com\nheader_from="

static const enum domain_relation all_same[] = { DOMAIN_SAME, DOMAIN_SAME };
static const enum domain_relation all_other[] = { DOMAIN_OTHER, DOMAIN_OTHER };
static const struct domains ours = { .authors_to_login = all_same };
static const struct domains others = { .authors_to_login = all_other };

/* The last protocol_state= counts. */
static const char *
at_message(const char *attributes)
{
	static char text[400];

	(void)snprintf(text, sizeof(text), "%sprotocol_state=MESSAGE\n",
		attributes);
	return text;
}

static const struct author_case {
	const char *name, *attributes;
	const struct setting *setting;
	const struct domains *domains;
	const struct roles *roles;
	const char *text;
} author_cases[] = {
	{ "a stranger", "header_from=b@example.com\n", NULL, NULL, NULL, "" },
	{ "own", BY "User+x@example.com\n", &usual, &ours, NULL, "" },
	{ "another's", BY "b@example.com\n", &usual, &ours, &nobody,
		NOT_ONES("b@example.com") },
	{ "own and another's",
		BY "user@example.com\nheader_from=b@example.com\n", &usual,
		&ours, &nobody, NOT_ONES("b@example.com") },
	{ "an alias", BY "b@example.com\n", &usual, &ours, &alias_owner, "" },
	{ "an alias and another", BY "b@a.test\nheader_from=c@a.test\n", &usual,
		&others, &alias_owner, NOT_ONES("c@a.test") },
	{ "an alias twice and itself",
		BY "b@a.test\nheader_from=user@example.com\n", &usual, &others,
		&alias_owner, "" },
	{ "own name in an alias domain", BY "user@alias.test\n", &usual, &ours,
		NULL, "" },
	{ "any of the domain", BY "b@example.com\n", &as_domain, &ours, NULL,
		"" },
	{ "any at all", BY "b@far.test\n", &as_any, &others, NULL, "" },
	{ "none", "sasl_username=user@example.com\n", &usual, NULL, NULL,
		WHOSE },
	{ "none, any at all", "sasl_username=user@example.com\n", &as_any, NULL,
		NULL, "" },
	{ "roles unknown", BY "b@example.com\n", &usual, &ours, NULL, "?" },
	{ "domains unknown", BY "b@example.com\n", &usual, NULL, NULL, "?" },
};

START_TEST(header_from)
{
	const struct author_case *row = &author_cases[_i];
	const char *text;

	begin("", at_message(row->attributes));
	put(&fact_kind_setting, row->setting);
	put(&fact_kind_domains, row->domains);
	put(&fact_kind_author_roles, row->roles);
	text = judge(RULE_ID_reject_header_from_mismatch);
	ck_assert_msg(strcmp(text, row->text) == 0, "%s: %s", row->name, text);
	end();
}
END_TEST

/* --- the access policies ------------------------------------------------ */

#define TO(recipient) "sender=a@b.test\nrecipient=" recipient "\n"
#define LIST(word)                                             \
	{                                                      \
		.is_maillist = true, .maillist_policy = (word) \
	}
#define ALIAS(word)                                      \
	{                                                \
		.is_alias = true, .alias_policy = (word) \
	}

static const struct account no_account = { .is_mailbox = true };
static const struct account ml[] = {
	[ACCESS_PUBLIC] = LIST(ACCESS_PUBLIC),
	[ACCESS_DOMAIN] = LIST(ACCESS_DOMAIN),
	[ACCESS_SUBDOMAIN] = LIST(ACCESS_SUBDOMAIN),
	[ACCESS_MEMBERS] = LIST(ACCESS_MEMBERS),
	[ACCESS_MODERATORS] = LIST(ACCESS_MODERATORS),
	[ACCESS_MEMBERS_AND_MODERATORS] = LIST(ACCESS_MEMBERS_AND_MODERATORS),
};
static const struct account alias[] = {
	[ACCESS_PUBLIC] = ALIAS(ACCESS_PUBLIC),
	[ACCESS_DOMAIN] = ALIAS(ACCESS_DOMAIN),
	[ACCESS_SUBDOMAIN] = ALIAS(ACCESS_SUBDOMAIN),
	[ACCESS_MEMBERS] = ALIAS(ACCESS_MEMBERS),
	[ACCESS_MODERATORS] = ALIAS(ACCESS_MODERATORS),
	[ACCESS_MEMBERS_AND_MODERATORS] = ALIAS(ACCESS_MEMBERS_AND_MODERATORS),
};
static const struct domains in = { .sender_to_recipient = DOMAIN_SAME };
static const struct domains under = { .sender_to_recipient = DOMAIN_BELOW };
static const struct domains out = { .sender_to_recipient = DOMAIN_OTHER };
static const struct roles any_moderator = { .is_any_moderator = true };
static const struct roles owner = { .is_owner = true };

#define NO "Not authorized"

static const struct access_case {
	const char *name, *attributes;
	const struct account *account;
	const struct domains *domains;
	const struct roles *roles;
	const char *text;
} ml_cases[] = {
	{ "no list", TO("l@x.test"), &no_account, NULL, NULL, "" },
	{ "an alias account", TO("l@x.test"), &alias[ACCESS_DOMAIN], NULL, NULL,
		"" },
	{ "public", TO("l@x.test"), &ml[ACCESS_PUBLIC], NULL, NULL, "" },
	{ "members: mlmmj's", TO("l@x.test"), &ml[ACCESS_MEMBERS], NULL, NULL,
		"" },
	{ "moderators: mlmmj's", TO("l@x.test"), &ml[ACCESS_MODERATORS], NULL,
		NULL, "" },
	{ "both: mlmmj's", TO("l@x.test"), &ml[ACCESS_MEMBERS_AND_MODERATORS],
		NULL, NULL, "" },
	{ "domain: inside", TO("l@x.test"), &ml[ACCESS_DOMAIN], &in, NULL, "" },
	{ "domain: below", TO("l@x.test"), &ml[ACCESS_DOMAIN], &under, &nobody,
		NO },
	{ "domain: outside", TO("l@x.test"), &ml[ACCESS_DOMAIN], &out, &nobody,
		NO },
	{ "domain: moderator", TO("l@x.test"), &ml[ACCESS_DOMAIN], &out,
		&moderator, "" },
	{ "domain: *@domain", TO("l@x.test"), &ml[ACCESS_DOMAIN], &out,
		&any_moderator, "" },
	{ "domain: owner", TO("l@x.test"), &ml[ACCESS_DOMAIN], &out, &owner,
		"" },
	{ "domain: member elsewhere", TO("l@x.test"), &ml[ACCESS_DOMAIN], &out,
		&member, NO },
	{ "domain: null sender", "sender=\nrecipient=l@x.test\n",
		&ml[ACCESS_DOMAIN], &out, &nobody, NO },
	{ "subdomain: inside", TO("l@x.test"), &ml[ACCESS_SUBDOMAIN], &in, NULL,
		"" },
	{ "subdomain: below", TO("l@x.test"), &ml[ACCESS_SUBDOMAIN], &under,
		NULL, "" },
	{ "subdomain: outside", TO("l@x.test"), &ml[ACCESS_SUBDOMAIN], &out,
		&nobody, NO },
	{ "+subscribe", TO("l+subscribe@x.test"), &ml[ACCESS_DOMAIN], &out,
		&nobody, NO },
	{ "+subscribe, inside", TO("l+subscribe@x.test"), &ml[ACCESS_DOMAIN],
		&in, NULL, "" },
	{ "+bounces", "sender=\nrecipient=l+bounces-17@x.test\n", NULL, NULL,
		NULL, "" },
	{ "account unknown", TO("l@x.test"), NULL, NULL, NULL, "?" },
	{ "domains unknown", TO("l@x.test"), &ml[ACCESS_DOMAIN], NULL, NULL,
		"?" },
	{ "roles unknown", TO("l@x.test"), &ml[ACCESS_DOMAIN], &out, NULL,
		"?" },
};

static const struct access_case alias_cases[] = {
	{ "no alias", TO("l@x.test"), &no_account, NULL, NULL, "" },
	{ "a mlmmj list", TO("l@x.test"), &ml[ACCESS_MEMBERS], NULL, NULL, "" },
	{ "public", TO("l@x.test"), &alias[ACCESS_PUBLIC], NULL, NULL, "" },
	{ "domain: inside", TO("l@x.test"), &alias[ACCESS_DOMAIN], &in, NULL,
		"" },
	{ "domain: below", TO("l@x.test"), &alias[ACCESS_DOMAIN], &under, NULL,
		NO },
	{ "domain: outside", TO("l@x.test"), &alias[ACCESS_DOMAIN], &out, NULL,
		NO },
	{ "subdomain: inside", TO("l@x.test"), &alias[ACCESS_SUBDOMAIN], &in,
		NULL, "" },
	{ "subdomain: below", TO("l@x.test"), &alias[ACCESS_SUBDOMAIN], &under,
		NULL, "" },
	{ "subdomain: outside", TO("l@x.test"), &alias[ACCESS_SUBDOMAIN], &out,
		NULL, NO },
	{ "members: member", TO("l@x.test"), &alias[ACCESS_MEMBERS], NULL,
		&member, "" },
	{ "members: moderator", TO("l@x.test"), &alias[ACCESS_MEMBERS], NULL,
		&moderator, NO },
	{ "members: nobody", TO("l@x.test"), &alias[ACCESS_MEMBERS], NULL,
		&nobody, NO },
	{ "members: null sender", "sender=\nrecipient=l@x.test\n",
		&alias[ACCESS_MEMBERS], NULL, &nobody, NO },
	{ "members: extended", TO("l+subscribe@x.test"), &alias[ACCESS_MEMBERS],
		NULL, &nobody, NO },
	{ "members: extended, member", TO("l+subscribe@x.test"),
		&alias[ACCESS_MEMBERS], NULL, &member, "" },
	{ "moderators: moderator", TO("l@x.test"), &alias[ACCESS_MODERATORS],
		NULL, &moderator, "" },
	{ "moderators: *@domain", TO("l@x.test"), &alias[ACCESS_MODERATORS],
		NULL, &any_moderator, "" },
	{ "moderators: member", TO("l@x.test"), &alias[ACCESS_MODERATORS], NULL,
		&member, NO },
	{ "both: member", TO("l@x.test"), &alias[ACCESS_MEMBERS_AND_MODERATORS],
		NULL, &member, "" },
	{ "both: moderator", TO("l@x.test"),
		&alias[ACCESS_MEMBERS_AND_MODERATORS], NULL, &moderator, "" },
	{ "both: *@domain", TO("l@x.test"),
		&alias[ACCESS_MEMBERS_AND_MODERATORS], NULL, &any_moderator,
		"" },
	{ "both: owner", TO("l@x.test"), &alias[ACCESS_MEMBERS_AND_MODERATORS],
		NULL, &owner, NO },
	{ "account unknown", TO("l@x.test"), NULL, NULL, NULL, "?" },
	{ "domains unknown", TO("l@x.test"), &alias[ACCESS_DOMAIN], NULL, NULL,
		"?" },
	{ "roles unknown", TO("l@x.test"), &alias[ACCESS_MEMBERS], NULL, NULL,
		"?" },
};

static void
judge_access(enum rule_id id, const struct access_case *row)
{
	const char *text;

	begin("", row->attributes);
	put(&fact_kind_recipient_account, row->account);
	put(&fact_kind_domains, row->domains);
	put(&fact_kind_sender_roles, row->roles);
	text = judge(id);
	ck_assert_msg(strcmp(text, row->text) == 0, "%s: %s", row->name, text);
	end();
}

START_TEST(ml_access)
{
	judge_access(RULE_ID_ml_access_policy, &ml_cases[_i]);
}
END_TEST

START_TEST(alias_access)
{
	judge_access(RULE_ID_alias_access_policy, &alias_cases[_i]);
}
END_TEST

/* --- force_password_change ---------------------------------------------- */

#define EXPIRED                                                  \
	"Password expired or never changed, please change your " \
	"password in webmail before sending email"
#define LOGIN  "sasl_username=user@example.com\nsender=user@example.com\n"
#define CHANGE "[force_password_change]\n"

static const struct account never_changed = { .is_mailbox = true };
static const struct account day_89 = { .is_mailbox = true,
	.password_changed_at = NOW - 90 * DAY + 1 };
static const struct account day_90 = { .is_mailbox = true,
	.password_changed_at = NOW - 90 * DAY };
static const struct account no_mailbox = { .is_alias = true };

static const struct {
	const char *name, *config, *attributes;
	const struct account *account;
	const char *text;
} password_cases[] = {
	{ "no login", "", "sender=user@example.com\n", NULL, "" },
	{ "no mailbox", "", LOGIN, &no_mailbox, "" },
	{ "never changed", "", LOGIN, &never_changed, EXPIRED },
	{ "young", "", LOGIN, &day_89, "" },
	{ "to the second", "", LOGIN, &day_90, EXPIRED },
	{ "own days", CHANGE "days = 91\n", LOGIN, &day_90, "" },
	{ "own message", CHANGE "message = Too old\n", LOGIN, &day_90,
		"Too old" },
	{ "login left alone", CHANGE "never_expire = User@example.com\n", LOGIN,
		NULL, "" },
	{ "domain left alone", CHANGE "never_expire = x@y.zz, Example.com\n",
		LOGIN, NULL, "" },
	{ "another left alone", CHANGE "never_expire = ser@example.com\n",
		LOGIN, &day_90, EXPIRED },
	{ "account unknown", "", LOGIN, NULL, "?" },
};

START_TEST(password)
{
	const char *text;

	begin(password_cases[_i].config, password_cases[_i].attributes);
	put(&fact_kind_login_account, password_cases[_i].account);
	text = judge(RULE_ID_force_password_change);
	ck_assert_msg(strcmp(text, password_cases[_i].text) == 0, "%s: %s",
		password_cases[_i].name, text);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rules_vmail");
	TCase *tcase = tcase_create("rules_vmail");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, forged_sender, 0, N(forged_cases));
	tcase_add_loop_test(tcase, login_mismatch, 0, N(login_cases));
	tcase_add_loop_test(tcase, header_from, 0, N(author_cases));
	tcase_add_loop_test(tcase, ml_access, 0, N(ml_cases));
	tcase_add_loop_test(tcase, alias_access, 0, N(alias_cases));
	tcase_add_loop_test(tcase, password, 0, N(password_cases));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
