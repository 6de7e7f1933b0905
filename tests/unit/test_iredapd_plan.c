/*
 * The fate of every setting of iRedAPD: with its default, and changed. What
 * is made of them has to be a configuration without mistakes.
 */

#include "policyd/ctl/iredapd_plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/config.h"

#define ARENA_MAX ((size_t)64 << 20)
#define TEXT_MAX  ((size_t)1 << 20)

static struct arena *arena;
static struct str text;
static struct iredapd_plan plan;

static void
setup(void)
{
	arena = arena_new(ARENA_MAX);
	str_init(&text, TEXT_MAX);
}

static void
teardown(void)
{
	str_free(&text);
	arena_free(arena);
}

static void
read_source(const char *path, const char *python, struct iredapd_source *out)
{
	const char *err;

	out->path = path;
	ck_assert(python_read(arena, slice_of(python), &out->file, &err));
}

/* Also checks that policyd takes what was made. */
static void
make_plan(const char *python)
{
	struct iredapd_source source;
	struct config_errors errors = { NULL, 0 };
	struct config *config;

	read_source("settings.py", python, &source);
	iredapd_plan_make(arena, &source, 1, "/etc/policyd", &plan);
	config = config_parse(plan.config, "made", &errors);
	ck_assert_msg(config != NULL, "line %u: %s\n%.*s",
		config == NULL ? errors.items[0].line : 0,
		config == NULL ? errors.items[0].text : "",
		SLICE_ARG(plan.config));
	config_unref(config);
	config_errors_free(&errors);
}

/* A plug-in is told apart from the list by its value. */
static const struct setting_row *
find_row(const char *name, const char *value)
{
	for (size_t i = 0; i < plan.n_rows; i++)
		if (strcmp(plan.rows[i].name, name) == 0 &&
			(value == NULL ||
				strcmp(plan.rows[i].value, value) == 0))
			return &plan.rows[i];
	ck_abort_msg("no row for %s", name);
}

/* Behind "..." anything goes: the rules that iRedAPD was not told of. */
static bool
is_same(const char *ours, const char *wanted)
{
	const char *dots = strstr(wanted, "...");

	return dots == NULL
		       ? strcmp(ours, wanted) == 0
		       : strncmp(ours, wanted, (size_t)(dots - wanted)) == 0;
}

static void
expect_row(const char *name, const char *value, const char *fate,
	const char *ours)
{
	const struct setting_row *row = find_row(name, value);

	ck_assert_msg(strcmp(setting_fate_name(row->fate), fate) == 0,
		"%s is %s: %s", name, setting_fate_name(row->fate),
		row->reason);
	ck_assert_msg(is_same(row->ours, ours), "%s -> %s", name, row->ours);
	/* What does not stay as it is has a reason. */
	ck_assert_msg(row->fate == SETTING_CARRIED || row->reason[0] != '\0',
		"%s", name);
}

static bool
has_setting(const char *section, const char *key)
{
	struct config_errors errors = { NULL, 0 };
	struct config *config = config_parse(SLICE(""), "", &errors);
	struct config_row row;
	bool is_found = false;
	size_t at = 0;

	str_reset(&text);
	while (config_next(config, &at, &row, &text))
		is_found |= strcmp(row.section, section) == 0 &&
			    strcmp(row.key, key) == 0;
	config_unref(config);
	return is_found;
}

START_TEST(carried_settings_exist)
{
	const char *name, *section, *key;

	for (size_t i = 0;
		(name = iredapd_setting_name(i, &section, &key)) != NULL; i++)
		if (section[0] != '\0')
			ck_assert_msg(has_setting(section, key),
				"%s: there is no [%s] %s", name, section, key);
}
END_TEST

#define LISTEN "policyd.policy_listen = inet:"
#define DROPPED               \
	{                     \
		"dropped", "" \
	}

struct fate {
	const char *fate, *ours;
};

/* iRedAPD 6.1: each setting, its default and another value. */
static const struct {
	const char *name, *normal;
	struct fate of_normal;
	const char *other;
	struct fate of_other;
} settings[] = {
	{ "listen_address", "'127.0.0.1'",
		{ "carried", LISTEN "127.0.0.1:7777" }, "'192.0.2.1'",
		{ "carried", LISTEN "192.0.2.1:7000" } },
	{ "listen_port", "7777", { "carried", LISTEN "127.0.0.1:7777" }, "7000",
		{ "carried", LISTEN "192.0.2.1:7000" } },
	{ "srs_forward_port", "7778",
		{ "carried", "srs.forward_listen = inet:127.0.0.1:7778" },
		"7001",
		{ "carried", "srs.forward_listen = inet:192.0.2.1:7001" } },
	{ "srs_reverse_port", "7779",
		{ "carried", "srs.reverse_listen = inet:127.0.0.1:7779" },
		"7002",
		{ "carried", "srs.reverse_listen = inet:192.0.2.1:7002" } },
	{ "run_as_user", "'iredapd'", DROPPED, "'nobody'", DROPPED },
	{ "pid_file", "'/var/run/iredapd.pid'", DROPPED, "'/x'", DROPPED },
	{ "log_level", "'info'", { "carried", "log.level = info" }, "'debug'",
		{ "carried", "log.level = debug" } },
	{ "backend", "'mysql'", { "carried", "" }, "'pgsql'",
		{ "by hand", "" } },
	{ "plugins",
		"['reject_null_sender', 'wblist_rdns',"
		" 'reject_sender_login_mismatch', 'greylisting', 'throttle',"
		" 'amavisd_wblist', 'sql_alias_access_policy']",
		{ "changed", "" }, "['throttle', 'greylisting']",
		{ "changed", "" } },
	{ "srs_secrets", "[]", DROPPED, "['secret six', 'secret seven']",
		{ "carried", "srs.secrets_file = /etc/policyd/srs.secrets" } },
	{ "srs_domain", "''", DROPPED, "'srs.example.com'",
		{ "carried", "srs.domain = srs.example.com" } },
	{ "vmail_db_server", "'127.0.0.1'",
		{ "carried", "vmail_db.host = 127.0.0.1" }, "'localhost'",
		{ "changed", "vmail_db.host = 127.0.0.1" } },
	{ "vmail_db_port", "'3306'", { "carried", "vmail_db.port = 3306" },
		"3307", { "carried", "vmail_db.port = 3307" } },
	{ "vmail_db_name", "'vmail'", { "carried", "vmail_db.name = vmail" },
		"'mail'", { "carried", "vmail_db.name = mail" } },
	{ "vmail_db_user", "'vmail'", { "carried", "vmail_db.user = vmail" },
		"'m'", { "carried", "vmail_db.user = m" } },
	{ "vmail_db_password", "''", { "carried", "" }, "'secret one'",
		{ "carried", "vmail_db.password_file ="
			     " /etc/policyd/vmail_db.password" } },
	{ "vmail_db_use_ssl", "False", { "carried", "vmail_db.tls = off" },
		"True", { "carried", "vmail_db.tls = on" } },
	{ "amavisd_db_server", "'127.0.0.1'",
		{ "carried", "amavisd_db.host = 127.0.0.1" }, "'db'",
		{ "carried", "amavisd_db.host = db" } },
	{ "amavisd_db_port", "'3306'", { "carried", "amavisd_db.port = 3306" },
		"3307", { "carried", "amavisd_db.port = 3307" } },
	{ "amavisd_db_name", "'amavisd'",
		{ "carried", "amavisd_db.name = amavisd" }, "'a'",
		{ "carried", "amavisd_db.name = a" } },
	{ "amavisd_db_user", "'amavisd'",
		{ "carried", "amavisd_db.user = amavisd" }, "'a'",
		{ "carried", "amavisd_db.user = a" } },
	{ "amavisd_db_password", "''", { "carried", "" }, "'secret two'",
		{ "carried", "amavisd_db.password_file ="
			     " /etc/policyd/amavisd_db.password" } },
	{ "amavisd_db_use_ssl", "False", { "carried", "amavisd_db.tls = off" },
		"True", { "carried", "amavisd_db.tls = on" } },
	{ "iredapd_db_server", "'127.0.0.1'",
		{ "carried", "iredapd_db.host = 127.0.0.1" },
		"'db.example.com'",
		{ "carried", "iredapd_db.host = db.example.com" } },
	{ "iredapd_db_port", "'3306'", { "carried", "iredapd_db.port = 3306" },
		"3307", { "carried", "iredapd_db.port = 3307" } },
	{ "iredapd_db_name", "'iredapd'",
		{ "carried", "iredapd_db.name = iredapd" }, "'i'",
		{ "carried", "iredapd_db.name = i" } },
	{ "iredapd_db_user", "'iredapd'",
		{ "carried", "iredapd_db.user = iredapd" }, "'i'",
		{ "carried", "iredapd_db.user = i" } },
	{ "iredapd_db_password", "''", { "carried", "" }, "'secret three'",
		{ "carried", "iredapd_db.password_file ="
			     " /etc/policyd/iredapd_db.password" } },
	{ "iredapd_db_use_ssl", "False", { "carried", "iredapd_db.tls = off" },
		"True", { "carried", "iredapd_db.tls = on" } },
	{ "mlmmjadmin_api_endpoint", "'http://127.0.0.1:7790/api'", DROPPED,
		"'http://x'", DROPPED },
	{ "mlmmjadmin_api_auth_token", "''", DROPPED, "'secret four'",
		DROPPED },
	{ "SYSLOG_SERVER", "'/dev/log'", { "carried", "log.target = syslog" },
		"'192.0.2.9'", DROPPED },
	{ "SYSLOG_PORT", "514", DROPPED, "515", DROPPED },
	{ "SYSLOG_FACILITY", "'local5'", { "carried", "log.facility = local5" },
		"'mail'", { "carried", "log.facility = mail" } },
	{ "PLUGIN_PRIORITIES", "{}", { "carried", "" },
		"{'greylisting': 1, 'throttle': 2}",
		{ "changed",
			"rules.order = throttle, spf, greylisting, ..." } },
	{ "MYNETWORKS", "[]", { "carried", "mail.trusted_networks = " },
		"['192.0.2.0/24', '10.1.2.3/8', '172.16.5.*', '2001:DB8::1']",
		{ "changed", "mail.trusted_networks = 192.0.2.0/24, 10.0.0.0/8,"
			     " 172.16.5.0/24, 2001:db8::1" } },
	{ "RECIPIENT_DELIMITERS", "['+']",
		{ "carried", "mail.recipient_delimiters = +" }, "['+', '-']",
		{ "carried", "mail.recipient_delimiters = +-" } },
	{ "SQL_CONNECTION_POOL_SIZE", "10", DROPPED, "20", DROPPED },
	{ "SQL_CONNECTION_MAX_OVERFLOW", "10", DROPPED, "20", DROPPED },
	{ "SQL_CONNECTION_POOL_RECYCLE", "60", DROPPED, "20", DROPPED },
	{ "SQL_DB_DRIVER", "''", DROPPED, "'pymysql'", DROPPED },
	{ "DNS_QUERY_TIMEOUT", "3.0", { "carried", "dns.timeout = 3000ms" },
		"1.5", { "carried", "dns.timeout = 1500ms" } },
	{ "LOG_SMTP_SESSIONS", "True", { "carried", "sessions.enabled = yes" },
		"False", { "carried", "sessions.enabled = no" } },
	{ "LOG_SMTP_SESSIONS_EXPIRE_DAYS", "7",
		{ "carried", "sessions.keep_days = 7" }, "8",
		{ "carried", "sessions.keep_days = 8" } },
	{ "LOG_SMTP_SESSIONS_BYPASS_DUNNO", "False",
		{ "changed", "sessions.skip_dunno = no" }, "True",
		{ "changed", "sessions.skip_dunno = yes" } },
	{ "LOG_SMTP_SESSIONS_BYPASS_GREYLISTING", "False",
		{ "carried", "sessions.skip_greylisting = no" }, "True",
		{ "carried", "sessions.skip_greylisting = yes" } },
	{ "LOG_SMTP_SESSIONS_BYPASS_WHITELIST", "False",
		{ "carried", "sessions.skip_whitelist = no" }, "True",
		{ "carried", "sessions.skip_whitelist = yes" } },
	{ "TRACKING_EXPIRE_SECONDS", "10", DROPPED, "11", DROPPED },
	{ "SPF_MAX_DNS_QUERIES", "20", DROPPED, "10", DROPPED },
	{ "ENABLE_ALL_WILDCARD_IP", "False",
		{ "carried", "greylisting.all_wildcard_ips = no;"
			     " throttle.all_wildcard_ips = no..." },
		"True",
		{ "carried", "greylisting.all_wildcard_ips = yes;"
			     " throttle.all_wildcard_ips = yes..." } },
	{ "WBLIST_BYPASS_OUTGOING_EMAIL", "False",
		{ "carried", "amavisd_wblist.bypass_outgoing_email = no" },
		"True",
		{ "carried", "amavisd_wblist.bypass_outgoing_email = yes" } },
	{ "WBLIST_DISCARD_INSTEAD_OF_REJECT", "False",
		{ "carried", "amavisd_wblist.discard_instead_of_reject = no" },
		"True",
		{ "carried",
			"amavisd_wblist.discard_instead_of_reject = yes" } },
	{ "CHANGE_PASSWORD_DAYS", "90",
		{ "carried", "force_password_change.days = 90" }, "30",
		{ "carried", "force_password_change.days = 30" } },
	{ "CHANGE_PASSWORD_MESSAGE", "'Password expired'",
		{ "carried",
			"force_password_change.message = Password expired" },
		"'Change it'",
		{ "carried", "force_password_change.message = Change it" } },
	{ "CHANGE_PASSWORD_NEVER_EXPIRE_USERS", "[]",
		{ "carried", "force_password_change.never_expire = " },
		"['o\\'brien@example.com', 'a.example']",
		{ "carried",
			"force_password_change.never_expire = o'brien@example.com, a.example" } },
	{ "CHECK_FORGED_SENDER", "True",
		{ "carried",
			"reject_sender_login_mismatch.check_forged_sender = yes" },
		"False",
		{ "carried",
			"reject_sender_login_mismatch.check_forged_sender = no" } },
	{ "ALLOWED_FORGED_SENDERS", "[]",
		{ "carried",
			"reject_sender_login_mismatch.allowed_forged_senders = " },
		"['example.com', 'x@*']",
		{ "carried",
			"reject_sender_login_mismatch.allowed_forged_senders = example.com, x@*" } },
	{ "CHECK_SPF_IF_LOGIN_MISMATCH", "True",
		{ "carried", "reject_sender_login_mismatch.check_spf = yes" },
		"False",
		{ "carried", "reject_sender_login_mismatch.check_spf = no" } },
	{ "ALLOWED_LOGIN_MISMATCH_SENDERS", "[]",
		{ "carried",
			"reject_sender_login_mismatch.allowed_mismatch_senders = " },
		"['@.']",
		{ "carried",
			"reject_sender_login_mismatch.allowed_mismatch_senders = @." } },
	{ "ALLOWED_LOGIN_MISMATCH_STRICTLY", "True",
		{ "carried",
			"reject_sender_login_mismatch.allow_own_aliases = yes" },
		"False",
		{ "carried",
			"reject_sender_login_mismatch.allow_own_aliases = no" } },
	{ "ALLOWED_LOGIN_MISMATCH_LIST_MEMBER", "False",
		{ "carried",
			"reject_sender_login_mismatch.allow_list_members = no" },
		"True",
		{ "carried",
			"reject_sender_login_mismatch.allow_list_members = yes" } },
	{ "GREYLISTING_MESSAGE",
		"'Intentional policy rejection, please try again later'",
		{ "carried",
			"greylisting.message = Intentional policy rejection,"
			" please try again later" },
		"'Come back, later, please: this server has never seen you,"
		" and that is why it asks'",
		{ "carried",
			"greylisting.message = Come back, later, please: this"
			" server has never seen you, and that is why it asks" } },
	{ "GREYLISTING_TRAINING_MODE", "False",
		{ "carried", "greylisting.training = no" }, "True",
		{ "carried", "greylisting.training = yes" } },
	{ "GREYLISTING_BLOCK_EXPIRE", "15",
		{ "carried", "greylisting.block_expire = 15m" }, "2880",
		{ "carried", "greylisting.block_expire = 2880m" } },
	{ "GREYLISTING_AUTH_TRIPLET_EXPIRE", "30",
		{ "carried", "greylisting.auth_triplet_expire = 30d" }, "60",
		{ "carried", "greylisting.auth_triplet_expire = 60d" } },
	{ "GREYLISTING_UNAUTH_TRIPLET_EXPIRE", "1",
		{ "carried", "greylisting.unauth_triplet_expire = 1d" }, "3",
		{ "carried", "greylisting.unauth_triplet_expire = 3d" } },
	{ "GREYLISTING_BYPASS_SPF", "True",
		{ "carried", "greylisting.bypass_spf = yes" }, "False",
		{ "carried", "greylisting.bypass_spf = no" } },
	{ "WL_RCPT_FOR_GREYLISTING", "True", DROPPED, "False", DROPPED },
	{ "WL_RCPT_WITHOUT_SPF", "False", DROPPED, "True", DROPPED },
	{ "WL_RCPT_LOCAL_ACCOUNT", "'user'", DROPPED, "'domain'",
		{ "changed", "whitelist_outbound_recipient.for = domain" } },
	{ "WL_RCPT_RCPT", "'user'", DROPPED, "'domain'",
		{ "changed", "whitelist_outbound_recipient.add = domain" } },
	{ "WL_RCPT_WHITELIST_DOMAIN_FOR_GREYLISTING", "False", DROPPED, "True",
		DROPPED },
	{ "THROTTLE_BYPASS_MYNETWORKS", "False",
		{ "carried", "throttle.bypass_trusted_networks = no" }, "True",
		{ "carried", "throttle.bypass_trusted_networks = yes" } },
	{ "THROTTLE_BYPASS_LOCAL_RECIPIENT", "True",
		{ "carried", "throttle.bypass_local_recipient = yes" }, "False",
		{ "carried", "throttle.bypass_local_recipient = no" } },
	{ "THROTTLE_BYPASS_SAME_DOMAIN", "True",
		{ "carried", "throttle.bypass_same_domain = yes" }, "False",
		{ "carried", "throttle.bypass_same_domain = no" } },
	{ "SENDERSCORE_REJECT_SCORE", "30",
		{ "carried",
			"reputation.lists = score.senderscore.com=127.0.4.[0..30]" },
		"40",
		{ "carried",
			"reputation.lists = score.senderscore.com=127.0.4.[0..40]" } },
	{ "SENDERSCORE_CACHE_DAYS", "2",
		{ "carried", "cleanup.score_days = 2" }, "3",
		{ "carried", "cleanup.score_days = 3" } },
	{ "MLMMJADMIN_API_AUTH_TOKEN_HEADER_NAME",
		"'X-MLMMJADMIN-API-AUTH-TOKEN'", DROPPED, "'X'", DROPPED },
	{ "CMD_SENDMAIL", "'/usr/sbin/sendmail'",
		{ "changed", "notify.smtp_url = smtp://127.0.0.1:25" }, "'/x'",
		DROPPED },
	{ "NOTIFICATION_RECIPIENTS", "['root']",
		{ "carried", "notify.recipients = root" },
		"['o\\'brien@example.com', 'b@example.com']",
		{ "carried", "notify.recipients = o'brien@example.com,"
			     " b@example.com" } },
	{ "NOTIFICATION_SMTP_SERVER", "'localhost'", DROPPED,
		"'mail.example.com'",
		{ "carried",
			"notify.smtp_url = smtp://mail.example.com:588" } },
	{ "NOTIFICATION_SMTP_PORT", "587", DROPPED, "588",
		{ "carried",
			"notify.smtp_url = smtp://mail.example.com:588" } },
	{ "NOTIFICATION_SMTP_STARTTLS", "True", DROPPED, "False",
		{ "carried", "notify.starttls = no" } },
	{ "NOTIFICATION_SMTP_USER", "'no-reply@localhost.localdomain'",
		{ "carried", "notify.sender = no-reply@localhost.localdomain" },
		"'robot@example.com'",
		{ "carried", "notify.sender = robot@example.com;"
			     " notify.user = robot@example.com" } },
	{ "NOTIFICATION_SMTP_PASSWORD", "''", { "carried", "" },
		"'secret five'",
		{ "carried", "notify.password_file ="
			     " /etc/policyd/notify.password" } },
	{ "NOTIFICATION_SMTP_DEBUG_LEVEL", "0", DROPPED, "1", DROPPED },
	{ "NOTIFICATION_SENDER_NAME", "'No Reply'",
		{ "carried", "notify.sender_name = No Reply" },
		"'J\xc3\xbcrgen'",
		{ "carried", "notify.sender_name = J\xc3\xbcrgen" } },
	{ "CLEANUP_QUERY_SIZE_LIMIT", "1000",
		{ "carried", "cleanup.batch = 1000" }, "10",
		{ "carried", "cleanup.batch = 10" } },
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void
make_settings(bool is_normal)
{
	str_reset(&text);
	str_append_text(&text, "from libs.default_settings import *\n");
	for (size_t i = 0; i < N_SETTINGS; i++)
		str_printf(&text, "%s = %s\n", settings[i].name,
			is_normal ? settings[i].normal : settings[i].other);
	make_plan(str_text(&text));
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct fate *fate = is_normal ? &settings[i].of_normal
						    : &settings[i].of_other;

		expect_row(settings[i].name, NULL, fate->fate, fate->ours);
		ck_assert_uint_eq(find_row(settings[i].name, NULL)->line,
			i + 2);
	}
}

START_TEST(defaults_have_their_fate)
{
	make_settings(true);
	ck_assert_uint_eq(plan.n_secrets, 0);
	expect_row("plugins", "reject_null_sender", "carried",
		"reject_null_sender.mode = enforce");
	expect_row("plugins", "throttle", "carried", "throttle.mode = enforce");
	expect_row("(the rule spf)", NULL, "changed", "spf.mode = observe");
	for (size_t i = 0; i < plan.n_rows; i++)
		ck_assert_msg(plan.rows[i].fate != SETTING_BY_HAND, "%s: %s",
			plan.rows[i].name, plan.rows[i].reason);
}
END_TEST

START_TEST(changed_values_have_their_fate)
{
	make_settings(false);
	expect_row("plugins", "not reject_null_sender", "carried",
		"reject_null_sender.mode = off");
	expect_row("(policyd's own database)", NULL, "changed",
		"policyd_db.host = db.example.com; policyd_db.port = 3307;"
		" policyd_db.user = i; policyd_db.password_file ="
		" /etc/policyd/iredapd_db.password; policyd_db.tls = on;"
		" policyd_db.name = policyd");
}
END_TEST

/* Every setting of the table is in the list above, and the other way round. */
START_TEST(every_setting_is_tried)
{
	const char *name, *section, *key;

	for (size_t i = 0;
		(name = iredapd_setting_name(i, &section, &key)) != NULL; i++) {
		bool is_there = strncmp(name, "ldap_", 5) == 0;

		for (size_t j = 0; j < N_SETTINGS; j++)
			is_there |= strcmp(settings[j].name, name) == 0;
		ck_assert_msg(is_there, "%s", name);
	}
}
END_TEST

START_TEST(secrets_are_in_files_of_their_own)
{
	struct str all;

	make_settings(false);
	ck_assert_uint_eq(plan.n_secrets, 5);
	ck_assert_str_eq(plan.secrets[0].path, "/etc/policyd/srs.secrets");
	ck_assert(slice_eq_text(plan.secrets[0].content,
		"secret six\nsecret seven\n"));
	ck_assert(slice_eq_text(plan.secrets[1].content, "secret one\n"));
	ck_assert(slice_eq_text(plan.secrets[2].content, "secret two\n"));
	ck_assert(slice_eq_text(plan.secrets[3].content, "secret three\n"));
	ck_assert(slice_eq_text(plan.secrets[4].content, "secret five\n"));
	str_init(&all, TEXT_MAX);
	str_append_slice(&all, plan.config);
	for (size_t i = 0; i < plan.n_rows; i++)
		str_printf(&all, "%s %s %s\n", plan.rows[i].value,
			plan.rows[i].ours, plan.rows[i].reason);
	ck_assert_ptr_null(strstr(str_text(&all), "secret o"));
	ck_assert_ptr_null(strstr(str_text(&all), "secret t"));
	ck_assert_ptr_null(strstr(str_text(&all), "secret f"));
	ck_assert_ptr_null(strstr(str_text(&all), "secret s"));
	str_free(&all);
}
END_TEST

#define SRS          "srs_domain = 'srs.example.com'\nsrs_secrets = "
#define SECRETS_FILE "srs.secrets_file = /etc/policyd/srs.secrets"
#define TWO          ", 'a secret', 'another one'"

static const struct {
	const char *what, *python, *name, *fate, *ours;
} cases[] = {
	{ "an empty file", "", "SYSLOG_FACILITY", "carried",
		"log.facility = local5" },
	{ "a site without Amavisd", "", "amavisd_db_name", "carried",
		"amavisd_db.name = " },
	{ "mail without a word on it", "", "CMD_SENDMAIL", "changed",
		"notify.smtp_url = smtp://127.0.0.1:25" },
	{ "the last of several", "log_level = 'x'\nlog_level = 'debug'\n",
		"log_level", "carried", "log.level = debug" },
	{ "added to", "MYNETWORKS = ['10.0.0.1']\nMYNETWORKS += ['10.0.0.2']",
		"MYNETWORKS", "carried",
		"mail.trusted_networks = 10.0.0.1, 10.0.0.2" },
	{ "added to a default", "plugins += ['x']", "plugins", "by hand", "" },
	{ "a call", "log_level = get()", "log_level", "by hand", "" },
	{ "within a condition", "if x:\n    log_level = 'debug'", "log_level",
		"by hand", "" },
	{ "a statement", "print('x')", "(a statement)", "by hand", "" },
	{ "an import", "from secrets import *", "(an import)", "by hand", "" },
	{ "an unknown name", "MY_OWN = 1", "MY_OWN", "dropped", "" },
	{ "of another type", "log_level = 1", "log_level", "by hand", "" },
	{ "a value that is refused", "log_level = 'loud'", "log_level",
		"by hand", "" },
	{ "a value out of range", "GREYLISTING_BLOCK_EXPIRE = 999999",
		"GREYLISTING_BLOCK_EXPIRE", "by hand", "" },
	{ "values that do not agree", "GREYLISTING_BLOCK_EXPIRE = 2880",
		"GREYLISTING_BLOCK_EXPIRE", "by hand", "" },
	{ "a line break", "GREYLISTING_MESSAGE = 'a\\n[rules]\\norder ='",
		"GREYLISTING_MESSAGE", "by hand", "" },
	{ "a password of two lines", "vmail_db_password = 'a\\nb'",
		"vmail_db_password", "by hand", "" },
	{ "a secret like a comment", SRS "['#123456789', 'the second']",
		"srs_secrets", "by hand", SECRETS_FILE },
	{ "a secret with blanks", SRS "[' 123456789']", "srs_secrets",
		"by hand", "" },
	{ "a short secret", SRS "['1234567']", "srs_secrets", "by hand", "" },
	{ "a secret of two lines", SRS "['1234\\n56789']", "srs_secrets",
		"by hand", "" },
	{ "seventeen secrets",
		SRS "['000000%%', '000000!!'" TWO TWO TWO TWO TWO
		    ", '12345678'" TWO TWO "]",
		"srs_secrets", "by hand", SECRETS_FILE },
	{ "a socket", "vmail_db_server = '/run/mysqld/mysqld.sock'",
		"vmail_db_server", "carried",
		"vmail_db.socket = /run/mysqld/mysqld.sock" },
	{ "everywhere", "listen_address = ''", "listen_address", "carried",
		LISTEN "0.0.0.0:7777" },
	{ "a network that is none", "MYNETWORKS = ['10.*.1.2', '10.0.0.1']",
		"MYNETWORKS", "by hand", "mail.trusted_networks = 10.0.0.1" },
	{ "wide wildcards iRedAPD does not match", "MYNETWORKS = ['10.*.*.*']",
		"MYNETWORKS", "by hand", "mail.trusted_networks = " },
	{ "wide wildcards",
		"ENABLE_ALL_WILDCARD_IP = True\n"
		"MYNETWORKS = ['10.*.*.*', '10.1.*.*']",
		"MYNETWORKS", "carried",
		"mail.trusted_networks = 10.0.0.0/8, 10.1.0.0/16" },
	{ "all the world",
		"ENABLE_ALL_WILDCARD_IP = True\nMYNETWORKS = ['*.*.*.*']",
		"MYNETWORKS", "by hand", "mail.trusted_networks = " },
	{ "a delimiter of two", "RECIPIENT_DELIMITERS = ['--', '+']",
		"RECIPIENT_DELIMITERS", "by hand",
		"mail.recipient_delimiters = +" },
	{ "an address that is no word",
		"NOTIFICATION_RECIPIENTS = ['A B <a@example.com>', 'b']",
		"NOTIFICATION_RECIPIENTS", "by hand", "notify.recipients = b" },
	{ "white-lists for everyone",
		"WL_RCPT_WITHOUT_SPF = True\nWL_RCPT_LOCAL_ACCOUNT = 'all'",
		"WL_RCPT_LOCAL_ACCOUNT", "carried",
		"whitelist_outbound_recipient.for = everyone" },
	{ "white-lists of servers",
		"WL_RCPT_WHITELIST_DOMAIN_FOR_GREYLISTING = True",
		"WL_RCPT_WHITELIST_DOMAIN_FOR_GREYLISTING", "carried",
		"whitelist_outbound_recipient.add = servers" },
	{ "no white-lists at all", "WL_RCPT_FOR_GREYLISTING = False",
		"WL_RCPT_FOR_GREYLISTING", "by hand", "" },
	{ "priorities without plug-ins", "PLUGIN_PRIORITIES = {'throttle': 1}",
		"PLUGIN_PRIORITIES", "by hand", "" },
	{ "priorities",
		"PLUGIN_PRIORITIES = {'throttle': 81}\n"
		"plugins = ['greylisting', 'throttle', 'reject_null_sender']",
		"PLUGIN_PRIORITIES", "changed",
		"rules.order = reject_null_sender, throttle, spf, greylisting, ..." },
};

START_TEST(special_values)
{
	make_plan(cases[_i].python);
	expect_row(cases[_i].name, NULL, cases[_i].fate, cases[_i].ours);
}
END_TEST

static const struct {
	const char *name, *fate, *ours;
} plugin_cases[] = {
	{ "sql_force_change_password_in_days", "dropped", "" },
	{ "ldap_maillist_access_policy", "dropped", "" },
	{ "ldap_force_change_password", "dropped", "" },
	{ "custom_relay", "by hand", "" },
	{ "o'brien\n[x]", "by hand", "" },
	{ "greylisting", "carried", "greylisting.mode = enforce" },
};

START_TEST(plugins_become_rules)
{
	make_plan("plugins = ['sql_force_change_password_in_days',"
		  " 'ldap_maillist_access_policy', 'custom_relay',"
		  " 'ldap_force_change_password', 'o\\'brien\\n[x]',"
		  " 'greylisting', 'greylisting']");
	for (size_t i = 0; i < sizeof(plugin_cases) / sizeof(plugin_cases[0]);
		i++)
		expect_row("plugins", plugin_cases[i].name,
			plugin_cases[i].fate, plugin_cases[i].ours);
}
END_TEST

START_TEST(custom_settings_have_the_last_word)
{
	struct iredapd_source sources[2];

	read_source("settings.py",
		"from custom_settings import *\nlog_level = 'info'\n",
		&sources[0]);
	read_source("custom_settings.py", "\nlog_level = 'debug'\n",
		&sources[1]);
	iredapd_plan_make(arena, sources, 2, "/etc/policyd", &plan);
	expect_row("log_level", NULL, "carried", "log.level = debug");
	ck_assert_str_eq(find_row("log_level", NULL)->path,
		"custom_settings.py");
	ck_assert_uint_eq(find_row("log_level", NULL)->line, 2);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("iredapd_plan");
	TCase *tcase = tcase_create("iredapd_plan");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, carried_settings_exist);
	tcase_add_test(tcase, defaults_have_their_fate);
	tcase_add_test(tcase, changed_values_have_their_fate);
	tcase_add_test(tcase, every_setting_is_tried);
	tcase_add_test(tcase, secrets_are_in_files_of_their_own);
	tcase_add_loop_test(tcase, special_values, 0,
		sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, plugins_become_rules);
	tcase_add_test(tcase, custom_settings_have_the_last_word);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
