#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/effect.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/reservation.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/facts/triplet.h"
#include "policyd/rule.h"
#include "tests/unit/fake_facts.h"

#define NOW 1700000000

/* What instances, journal and metrics would be: the rules need none. */

static struct config *config;
static struct arena *arena;
static struct request req;
static struct facts facts;
static struct verdict verdict;

#define STRANGER                                              \
	"client_address=192.0.2.7\nsender=a@remote.example\n" \
	"recipient=u@example.com\n"

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
	str_append_text(&text, "request=smtpd_access_policy\n");
	str_append_text(&text, attributes);
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

static const char *
text(void)
{
	return slice_copy(arena, verdict.text).ptr;
}

static void
apply(void)
{
	for (const struct effect *e = verdict.effects; e != NULL; e = e->next)
		e->apply(&facts, e->data);
}

static enum rule_status
judge(enum rule_id id)
{
	ck_assert(rules_all[id]->stages & req.rule_stages);
	return rules_all[id]->judge(&req, &facts, &verdict);
}

/* --- reject_null_sender ------------------------------------------------- */

START_TEST(null_sender)
{
	static const struct {
		const char *name, *attributes;
		enum rule_status status;
	} rows[] = {
		{ "login, no sender", "sender=\nsasl_username=u@example.com\n",
			RULE_FINAL },
		{ "login, sender",
			"sender=u@example.com\nsasl_username=u@example.com\n",
			RULE_PASS },
		{ "bounce of a server", "sender=\n", RULE_PASS },
		{ "stranger", "sender=a@remote.example\n", RULE_PASS },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str attributes;

		str_init(&attributes, 1024);
		str_append_text(&attributes, "protocol_state=RCPT\n");
		str_append_text(&attributes, rows[i].attributes);
		begin("", str_text(&attributes));
		ck_assert_msg(judge(RULE_ID_reject_null_sender) ==
				      rows[i].status,
			"%s", rows[i].name);
		if (rows[i].status == RULE_FINAL) {
			ck_assert_int_eq(verdict.action, VERDICT_REJECT);
			ck_assert_str_eq(text(),
				"Policy rejection due to null sender");
		}
		str_free(&attributes);
		end();
	}
}
END_TEST

/* --- greylisting -------------------------------------------------------- */

static const struct list_match no_white = { 0 };
static const struct list_match white = { .is_found = true };
static const struct greylist_setting on = { .is_found = true,
	.is_active = true };
static const struct greylist_setting off = { .is_found = true };
static const struct greylist_setting no_row = { 0 };
static const struct setting quiet = { 0 };
static const struct setting telling = { .greylisting_tell_delay = true };
static const struct spf_fact unchecked = { .result = SPF_NONE };
static const struct spf_fact vouched = { .result = SPF_PASS };
static const struct triplet client_passed = { .client_has_passed = true };
static const struct triplet never_seen = { 0 };
static const struct triplet early = { .is_known = true,
	.blocked_until = NOW + 1 };
static const struct triplet in_time = { .is_known = true,
	.blocked_until = NOW };
static const struct triplet passed = { .is_known = true,
	.has_passed = true,
	.blocked_until = NOW - 1 };

#define SORRY "Intentional policy rejection, please try again later"

static const struct greylist_case {
	const char *name, *config, *attributes;
	const struct list_match *white;
	const struct greylist_setting *greylist;
	const struct setting *setting;
	const struct spf_fact *spf;
	const struct triplet *triplet;
	const char *text; /* NULL: no objection */
	const char *effects;
} greylist_cases[] = {
	{ "login", "", STRANGER "sasl_username=u@example.com\n", NULL, NULL,
		NULL, NULL, NULL, NULL, "" },
	{ "loopback", "", "client_address=127.0.0.1\n", NULL, NULL, NULL, NULL,
		NULL, NULL, "" },
	{ "trusted network", "[mail]\ntrusted_networks = 192.0.2.0/24\n",
		STRANGER, NULL, NULL, NULL, NULL, NULL, NULL, "" },
	{ "unknown client", "", "client_address=unknown\n", NULL, NULL, NULL,
		NULL, NULL, NULL, "" },
	{ "white-listed", "", STRANGER, &white, NULL, NULL, NULL, NULL, NULL,
		"" },
	{ "no row: off", "", STRANGER, &no_white, &no_row, NULL, NULL, NULL,
		NULL, "" },
	{ "row: off", "", STRANGER, &no_white, &off, NULL, NULL, NULL, NULL,
		"" },
	{ "client has passed: before SPF is asked", "", STRANGER, &no_white,
		&on, &quiet, NULL, &client_passed, NULL, "client" },
	{ "SPF pass", "", STRANGER, &no_white, &on, &quiet, &vouched,
		&never_seen, NULL, "" },
	{ "SPF pass does not count", "[greylisting]\nbypass_spf = no\n",
		STRANGER, &no_white, &on, &quiet, NULL, &never_seen, SORRY,
		"new" },
	{ "first contact", "", STRANGER, &no_white, &on, &quiet, &unchecked,
		&never_seen, SORRY, "new" },
	{ "null sender too", "",
		"client_address=192.0.2.7\nsender=\nrecipient=u@example.com\n",
		&no_white, &on, &quiet, &unchecked, &never_seen, SORRY, "new" },
	{ "first contact, told", "", STRANGER, &no_white, &on, &telling,
		&unchecked, &never_seen, SORRY " (try again in 900 seconds)",
		"new" },
	{ "too early", "", STRANGER, &no_white, &on, &quiet, &unchecked, &early,
		SORRY, "blocked" },
	{ "too early, told", "", STRANGER, &no_white, &on, &telling, &unchecked,
		&early, SORRY " (try again in 1 seconds)", "blocked" },
	{ "at the second", "", STRANGER, &no_white, &on, &quiet, &unchecked,
		&in_time, NULL, "passed" },
	{ "passed triplet", "", STRANGER, &no_white, &on, &quiet, &unchecked,
		&passed, NULL, "passed" },
	{ "training", "[greylisting]\ntraining = yes\n", STRANGER, &no_white,
		&on, &quiet, &unchecked, &never_seen, NULL, "new" },
	{ "own message", "[greylisting]\nmessage = Come back\n", STRANGER,
		&no_white, &on, &quiet, &unchecked, &never_seen, "Come back",
		"new" },
};

START_TEST(greylisting)
{
	const struct greylist_case *row = &greylist_cases[_i];
	struct str attributes;

	str_init(&attributes, 1024);
	str_append_text(&attributes, "protocol_state=RCPT\n");
	str_append_text(&attributes, row->attributes);
	begin(row->config, str_text(&attributes));
	str_free(&attributes);
	if (row->white != NULL)
		facts_put(&facts, &fact_kind_greylist_whitelist, row->white);
	if (row->greylist != NULL)
		facts_put(&facts, &fact_kind_greylist_setting, row->greylist);
	if (row->setting != NULL)
		facts_put(&facts, &fact_kind_setting, row->setting);
	if (row->spf != NULL)
		facts_put(&facts, &fact_kind_spf, row->spf);
	if (row->triplet != NULL)
		facts_put(&facts, &fact_kind_triplet, row->triplet);
	ck_assert_msg(judge(RULE_ID_greylisting) ==
			      (row->text != NULL ? RULE_FINAL : RULE_PASS),
		"%s", row->name);
	apply();
	ck_assert_msg(strcmp(fake_effects(), row->effects) == 0,
		"%s: effects %s", row->name, fake_effects());
	if (row->text != NULL) {
		ck_assert_int_eq(verdict.action, VERDICT_DEFER);
		ck_assert_str_eq(verdict.enhanced, "4.7.1");
		ck_assert_str_eq(text(), row->text);
		ck_assert(verdict.hint.len > 0);
	}
	end();
}
END_TEST

START_TEST(greylisting_waits)
{
	begin("", "protocol_state=RCPT\n" STRANGER);
	ck_assert_int_eq(judge(RULE_ID_greylisting), RULE_UNREADY);
	ck_assert(!facts.is_wanting);
	ck_assert_uint_eq(fake_n_loaded(FACT_GREYLIST_WHITELIST), 1);
	ck_assert_uint_eq(fake_n_loaded(FACT_TRIPLET), 0);
	ck_assert_int_eq(judge(RULE_ID_greylisting), RULE_UNREADY);
	ck_assert_uint_eq(fake_n_loaded(FACT_GREYLIST_WHITELIST), 1);
	end();
	begin("", "protocol_state=RCPT\n" STRANGER);
	facts_put_unavailable(&facts, &fact_kind_greylist_whitelist, "gone");
	ck_assert_int_eq(judge(RULE_ID_greylisting), RULE_UNREADY);
	ck_assert(facts.is_wanting);
	end();
}
END_TEST

/* --- throttle ----------------------------------------------------------- */

static const struct throttle_rule rule_a = { .id = 1,
	.period_s = 3600,
	.msg_size = 1000,
	.max_msgs = 10,
	.max_quota = 5000,
	.max_rcpts = 5 };
static const struct throttle_rule rule_b = { .id = 2,
	.period_s = 60,
	.msg_size = 0,
	.max_msgs = 0,
	.max_quota = 9000,
	.max_rcpts = 0 };

#define SUBJECT                     \
	{                           \
		"u@example.com", 13 \
	}
#define OTHER                       \
	{                           \
		"r@example.com", 13 \
	}

static const struct limit_set outbound = { .kind = THROTTLE_OUTBOUND,
	.subject = SUBJECT,
	.n_messages = 2,
	.msg_size = &rule_a,
	.max_msgs = &rule_a,
	.max_quota = &rule_a,
	.max_rcpts = &rule_a,
	.msgs_account = SUBJECT,
	.quota_account = SUBJECT };
static const struct limit_set inbound = { .kind = THROTTLE_INBOUND,
	.subject = OTHER,
	.n_messages = 1,
	.max_msgs = &rule_a,
	.msgs_account = OTHER };
static const struct limit_set unlimited = { .kind = THROTTLE_EXTERNAL,
	.subject = SUBJECT,
	.n_messages = 1,
	.msg_size = &rule_b,
	.max_msgs = &rule_b,
	.max_rcpts = &rule_b,
	.msgs_account = SUBJECT };
static const struct limit_set two_rules = { .kind = THROTTLE_OUTBOUND,
	.subject = SUBJECT,
	.n_messages = 2,
	.max_msgs = &rule_a,
	.max_quota = &rule_b,
	.msgs_account = SUBJECT,
	.quota_account = SUBJECT };
static const struct limit_set crowd = { .kind = THROTTLE_OUTBOUND,
	.subject = SUBJECT,
	.n_messages = 11,
	.max_msgs = &rule_a,
	.msgs_account = SUBJECT };

#define LOGIN                                                     \
	"client_address=192.0.2.7\nsasl_username=u@example.com\n" \
	"sender=u@example.com\nrecipient=x@remote.example\n"
#define MILTERS "[milter]\nlisten = unix:/m\nend_of_message = yes\n"
#define WITHIN                                                    \
	"client_address=192.0.2.7\nsasl_username=u@example.com\n" \
	"sender=u@example.com\nrecipient=r@example.com\n"
#define INBOUND                                               \
	"client_address=192.0.2.7\nsender=x@remote.example\n" \
	"recipient=r@example.com\n"

static const struct counter fits[] = { { true, 2, 10, NOW, 0 },
	{ true, 2, 10, NOW, 0 } };
static const struct counter full[] = { { false, 10, 10, NOW - 600, 0 },
	{ true, 2, 10, NOW, 0 } };
static const struct counter heavy[] = { { false, 1, 5001, NOW, 0 } };
static const struct counter second_full[] = { { true, 2, 10, NOW, 0 },
	{ false, 1, 9001, NOW, 0 } };

static const struct setting deferring = { .throttle_defer = true };

static const struct throttle_case {
	const char *name, *config, *attributes;
	const struct limit_set *set;
	const struct setting *setting;
	const struct counter *counters;
	const char *text; /* NULL: no objection */
	const char *effects;
	enum verdict_action action;
	size_t n_reserved;
} throttle_cases[] = {
	{ "fits", "", LOGIN "size=1000\nrecipient_count=2\n", &outbound, &quiet,
		fits, NULL, "", VERDICT_DUNNO, 1 },
	{ "too large", "", LOGIN "size=1001\nrecipient_count=2\n", &outbound,
		NULL, NULL, "Message size is too large", "", VERDICT_REJECT,
		0 },
	{ "five recipients", "", LOGIN "recipient_count=5\n", &outbound, &quiet,
		fits, NULL, "", VERDICT_DUNNO, 1 },
	{ "six recipients", "", LOGIN "recipient_count=6\n", &outbound, NULL,
		NULL, "Too many recipients in single message", "",
		VERDICT_REJECT, 0 },
	{ "count is full", "", LOGIN "recipient_count=2\n", &outbound, &quiet,
		full, "Throttling quota exceeded", "max_msgs", VERDICT_REJECT,
		1 },
	{ "bytes are full", "", LOGIN "recipient_count=2\n", &outbound, &quiet,
		heavy, "Throttling quota exceeded", "max_quota", VERDICT_REJECT,
		1 },
	{ "4xx when told so", "", LOGIN "recipient_count=2\n", &outbound,
		&deferring, full, "Throttling quota exceeded", "max_msgs",
		VERDICT_DEFER, 1 },
	{ "more at once than ever", "", LOGIN "recipient_count=11\n", &crowd,
		&quiet, NULL, "Throttling quota exceeded", "max_msgs",
		VERDICT_REJECT, 0 },
	{ "0 is no limit but counts", "",
		INBOUND "recipient_count=1\nsize=99999\n", &unlimited, &quiet,
		fits, NULL, "", VERDICT_DUNNO, 1 },
	{ "two rules, two counters", "", LOGIN "recipient_count=2\n",
		&two_rules, &quiet, fits, NULL, "", VERDICT_DUNNO, 2 },
	{ "the second is full", "", LOGIN "recipient_count=2\n", &two_rules,
		&quiet, second_full, "Throttling quota exceeded", "max_quota",
		VERDICT_REJECT, 2 },
	{ "inbound of a stranger", "", INBOUND "recipient_count=1\n", &inbound,
		&quiet, full, "Throttling quota exceeded", "max_msgs",
		VERDICT_REJECT, 1 },
	{ "inbound of a login is bypassed", "", LOGIN "recipient_count=1\n",
		&inbound, NULL, NULL, NULL, "", VERDICT_DUNNO, 0 },
	{ "unless told so", "[throttle]\nbypass_local_recipient = no\n",
		LOGIN "recipient_count=1\n", &inbound, &quiet, full,
		"Throttling quota exceeded", "max_msgs", VERDICT_REJECT, 1 },
	{ "within the domain", "", WITHIN "recipient_count=1\n", NULL, NULL,
		NULL, NULL, "", VERDICT_DUNNO, 0 },
	{ "within the domain, by the milter", MILTERS,
		WITHIN "protocol_state=MESSAGE\nrecipient_count=1\n", NULL,
		NULL, NULL, NULL, "", VERDICT_DUNNO, 0 },
	{ "who is not told may be elsewhere", MILTERS,
		WITHIN "protocol_state=MESSAGE\nrecipient_count=2\n", &outbound,
		&quiet, full, "Throttling quota exceeded", "max_msgs",
		VERDICT_REJECT, 1 },
	{ "a stranger cannot claim the domain", "",
		"client_address=192.0.2.7\nsender=x@example.com\n"
		"recipient=r@example.com\nrecipient_count=1\n",
		&inbound, &quiet, full, "Throttling quota exceeded", "max_msgs",
		VERDICT_REJECT, 1 },
	{ "trusted is limited by default",
		"[mail]\ntrusted_networks = 192.0.2.0/24\n",
		INBOUND "recipient_count=1\n", &inbound, &quiet, full,
		"Throttling quota exceeded", "max_msgs", VERDICT_REJECT, 1 },
	{ "trusted is bypassed when told so",
		"[mail]\ntrusted_networks = 192.0.2.0/24\n[throttle]\n"
		"bypass_trusted_networks = yes\n",
		INBOUND "recipient_count=1\n", NULL, NULL, NULL, NULL, "",
		VERDICT_DUNNO, 0 },
};

START_TEST(throttle)
{
	const struct throttle_case *row = &throttle_cases[_i];
	const struct limits limits = { row->set, 1 };
	const struct reservation reservation = { .counters = row->counters };
	struct str attributes;

	str_init(&attributes, 1024);
	str_append_text(&attributes, "protocol_state=END-OF-MESSAGE\n");
	str_append_text(&attributes, row->attributes);
	begin(row->config, str_text(&attributes));
	str_free(&attributes);
	if (row->set != NULL)
		facts_put(&facts, &fact_kind_limits, &limits);
	if (row->setting != NULL)
		facts_put(&facts, &fact_kind_setting, row->setting);
	if (row->counters != NULL)
		facts_put(&facts, &fact_kind_reservation, &reservation);
	ck_assert_msg(judge(RULE_ID_throttle) ==
			      (row->text != NULL ? RULE_FINAL : RULE_PASS),
		"%s", row->name);
	apply();
	ck_assert_msg(strcmp(fake_effects(), row->effects) == 0,
		"%s: effects %s", row->name, fake_effects());
	if (row->text != NULL) {
		ck_assert_msg(verdict.action == row->action, "%s", row->name);
		ck_assert_str_eq(text(), row->text);
		ck_assert_msg(verdict.hint.len > 0, "%s", row->name);
	}
	end();
}
END_TEST

/* --- amavisd_wblist ------------------------------------------------------ */

#define BY_LOGIN "sasl_username=v@example.com\nrecipient=u@other.example\n"
#define DISCARD  "[amavisd_wblist]\ndiscard_instead_of_reject = yes\n"
#define BYPASS   "[amavisd_wblist]\nbypass_outgoing_email = yes\n"

static const struct access_entry white_all = { .account = { "@.", 2 },
	.address = { "@.", 2 },
	.is_white = true },
				 black_all = { .account = { "@.", 2 },
					 .address = { "1.2.3.4", 7 } },
				 black_own = { .account = { "u@a.org", 7 },
					 .address = { "@b.org", 6 },
					 .reason = { "spam", 4 } };
static const struct domains foreign = { .recipient = { .is_local = false } };
static const struct domains local = { .recipient = { .is_local = true } };

static const struct {
	const char *name, *settings, *attributes;
	const struct domains *domains;
	const struct access_entry *inbound, *outbound;
	enum rule_status status;
	enum verdict_action action;
	const char *text;
} wblist_rows[] = {
	{ "no entry", "", STRANGER, &foreign, NULL, NULL, RULE_PASS,
		VERDICT_DUNNO, "" },
	{ "whitelisted", "", STRANGER, &foreign, &white_all, NULL, RULE_PERMIT,
		VERDICT_DUNNO, "everyone is on the whitelist of everyone" },
	{ "blacklisted", "", STRANGER, &foreign, &black_own, NULL, RULE_FINAL,
		VERDICT_REJECT, "Blacklisted" },
	{ "blacklisted for everyone", "", STRANGER, &foreign, &black_all, NULL,
		RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
	{ "discarded for everyone", DISCARD, STRANGER, &foreign, &black_all,
		NULL, RULE_FINAL, VERDICT_DISCARD, "Policy discard" },
	{ "not discarded for one account", DISCARD, STRANGER, &foreign,
		&black_own, NULL, RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
	{ "null sender, from a listed client", "",
		"sender=\nclient_address=1.2.3.4\nrecipient=u@a.org\n",
		&foreign, &black_all, NULL, RULE_FINAL, VERDICT_REJECT,
		"Blacklisted" },

	{ "login: outbound", "", BY_LOGIN, &foreign, NULL, &black_own,
		RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
	{ "login: outbound is not discarded", DISCARD, BY_LOGIN, &foreign, NULL,
		&black_all, RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
	{ "login: outbound, bypassed", BYPASS, BY_LOGIN, &foreign, NULL,
		&black_own, RULE_PASS, VERDICT_DUNNO, "" },
	{ "login: outbound white says nothing", "", BY_LOGIN, &foreign, NULL,
		&white_all, RULE_PASS, VERDICT_DUNNO, "" },
	{ "login: and inbound follows", "", BY_LOGIN, &local, &black_own,
		&white_all, RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
	{ "login: outbound comes first", "", BY_LOGIN, &local, &white_all,
		&black_own, RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
	{ "login: inbound of a local domain", "", BY_LOGIN, &local, &white_all,
		NULL, RULE_PERMIT, VERDICT_DUNNO,
		"everyone is on the whitelist of everyone" },
	{ "login: not of a foreign domain", "", BY_LOGIN, &foreign, &black_all,
		NULL, RULE_PASS, VERDICT_DUNNO, "" },
	{ "login: inbound of its own domain", "",
		"sasl_username=v@example.com\nrecipient=u@example.com\n",
		&foreign, &black_own, NULL, RULE_FINAL, VERDICT_REJECT,
		"Blacklisted" },
	{ "bypassing is for outbound", BYPASS, BY_LOGIN, &local, &black_own,
		&black_own, RULE_FINAL, VERDICT_REJECT, "Blacklisted" },
};

static const struct access_entry white_sender = { .account = SLICE_INIT("@."),
	.address = SLICE_INIT("@remote.example"),
	.is_white = true };
static const struct access_entry white_client = { .account = SLICE_INIT("@."),
	.address = SLICE_INIT("192.0.2.7"),
	.is_white = true };

/* Whose address anybody can write has to pass SPF, when that is asked for. */
START_TEST(whitelist_needs_spf)
{
	static const struct setting needs = { .whitelist_needs_spf = true };
	static const struct spf_fact softfail = { .result = SPF_SOFTFAIL };
	static const struct {
		const struct access_entry *entry;
		const struct setting *setting;
		const struct spf_fact *spf; /* NULL: not asked for */
		const char *more;
		enum rule_status status;
	} rows[] = {
		{ &white_sender, &needs, &vouched, "", RULE_PERMIT },
		{ &white_sender, &needs, &softfail, "", RULE_PASS },
		{ &white_sender, &needs, NULL, "", RULE_UNREADY },
		{ &white_sender, &quiet, NULL, "", RULE_PERMIT },
		{ &white_client, &needs, NULL, "", RULE_PERMIT },
		{ &white_sender, &needs, NULL, "sasl_username=u@example.com\n",
			RULE_PERMIT },
	};
	static const struct domains ours = { .recipient.is_local = true };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct access access = {
			.first = { [ACCESS_INBOUND] = rows[i].entry }
		};
		struct str attributes;

		str_init(&attributes, 1024);
		str_printf(&attributes, "protocol_state=RCPT\n" STRANGER "%s",
			rows[i].more);
		begin("", str_text(&attributes));
		facts_put(&facts, &fact_kind_access, &access);
		facts_put(&facts, &fact_kind_domains, &ours);
		facts_put(&facts, &fact_kind_setting, rows[i].setting);
		if (rows[i].spf != NULL)
			facts_put(&facts, &fact_kind_spf, rows[i].spf);
		ck_assert_msg(judge(RULE_ID_amavisd_wblist) == rows[i].status,
			"row %zu", i);
		str_free(&attributes);
		end();
	}
}
END_TEST

START_TEST(wblist)
{
	const struct access access = {
		.first = { [ACCESS_INBOUND] = wblist_rows[_i].inbound,
			[ACCESS_OUTBOUND] = wblist_rows[_i].outbound },
	};
	struct str attributes;

	str_init(&attributes, 1024);
	str_printf(&attributes, "protocol_state=RCPT\n%s",
		wblist_rows[_i].attributes);
	begin(wblist_rows[_i].settings, str_text(&attributes));
	ck_assert_int_eq(judge(RULE_ID_amavisd_wblist), RULE_UNREADY);
	facts_init(&facts, &req, NULL);
	facts_put(&facts, &fact_kind_access, &access);
	facts_put(&facts, &fact_kind_domains, wblist_rows[_i].domains);
	facts_put(&facts, &fact_kind_setting, &quiet);
	ck_assert_msg(judge(RULE_ID_amavisd_wblist) == wblist_rows[_i].status,
		"%s", wblist_rows[_i].name);
	ck_assert_msg(verdict.action == wblist_rows[_i].action, "%s",
		wblist_rows[_i].name);
	ck_assert_str_eq(text(), wblist_rows[_i].text);
	ck_assert_int_eq(verdict.hint.len > 0,
		wblist_rows[_i].status == RULE_FINAL);
	str_free(&attributes);
	end();
}
END_TEST

START_TEST(wblist_hint)
{
	const struct access access = { .first = { &black_own } };

	begin("", "protocol_state=RCPT\n" STRANGER);
	facts_put(&facts, &fact_kind_access, &access);
	facts_put(&facts, &fact_kind_domains, &foreign);
	ck_assert_int_eq(judge(RULE_ID_amavisd_wblist), RULE_FINAL);
	ck_assert_str_eq(slice_copy(arena, verdict.hint).ptr,
		"accepted without this entry: b.org is on the blacklist of "
		"u@a.org (spam); \"policyctl access test\" shows what else "
		"there is");
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rules");
	TCase *tcase = tcase_create("rules");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, null_sender);
	tcase_add_loop_test(tcase, greylisting, 0,
		sizeof(greylist_cases) / sizeof(greylist_cases[0]));
	tcase_add_test(tcase, greylisting_waits);
	tcase_add_test(tcase, whitelist_needs_spf);
	tcase_add_loop_test(tcase, wblist, 0,
		sizeof(wblist_rows) / sizeof(wblist_rows[0]));
	tcase_add_test(tcase, wblist_hint);
	tcase_add_loop_test(tcase, throttle, 0,
		sizeof(throttle_cases) / sizeof(throttle_cases[0]));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
