/*
 * Every setting of iRedAPD 6.1 and what becomes of it. A row has a function
 * that carries the value, or a reason why it is not needed.
 */

#include "common/base/mem.h"
#include "policyd/ctl/iredapd_planner.h"

#define NO_LDAP "it is for LDAP, which policyd does not read"
#define SPF_LIMITS \
	"policyd has the limits of RFC 7208: ten look-ups, [spf] timeout"
#define NO_POOL  "policyd needs few connections: see [database]"
#define NO_MLMMJ "policyd asks the database who owns and moderates a list"

/* clang-format off */

#define CARRY(name_, section_, key_, carry_) \
	{ .name = (name_), .section = (section_), .key = (key_), \
	  .carry = (carry_) }
#define DROP(name_, reason_) \
	{ .name = (name_), .section = "", .key = "", .reason = (reason_) }
#define DROP_SECRET(name_, reason_) \
	{ .name = (name_), .section = "", .key = "", .reason = (reason_), \
	  .is_secret = true }
#define DB(db_, absent_name_) \
	CARRY(db_ "_db_server", db_ "_db", "host", carry_db_server), \
	CARRY(db_ "_db_port", db_ "_db", "port", carry_number), \
	{ .name = db_ "_db_name", .section = db_ "_db", .key = "name", \
	  .carry = carry_text, .absent = (absent_name_) }, \
	CARRY(db_ "_db_user", db_ "_db", "user", carry_text), \
	{ .name = db_ "_db_password", .section = db_ "_db", \
	  .key = "password_file", .carry = carry_secret, .is_secret = true }, \
	CARRY(db_ "_db_use_ssl", db_ "_db", "tls", carry_db_tls)

static const struct mapping mappings[] = {
	CARRY("listen_address", "policyd", "policy_listen", carry_listen),
	CARRY("listen_port", "policyd", "policy_listen", carry_listen),
	CARRY("srs_forward_port", "srs", "forward_listen", carry_srs_port),
	CARRY("srs_reverse_port", "srs", "reverse_listen", carry_srs_port),
	DROP("run_as_user", "policyd runs as its own account, policyd"),
	DROP("pid_file", "systemd keeps track of policyd"),
	CARRY("log_level", "log", "level", carry_text),
	CARRY("backend", "", "", carry_backend),
	CARRY("plugins", "", "", carry_plugins),
	{ .name = "srs_secrets", .section = "srs", .key = "secrets_file",
	  .carry = carry_srs_secrets, .is_secret = true },
	CARRY("srs_domain", "srs", "domain", carry_srs_domain),
	DB("vmail", NULL),
	DB("amavisd", ""),
	DB("iredapd", NULL),
	DROP("mlmmjadmin_api_endpoint", NO_MLMMJ),
	DROP_SECRET("mlmmjadmin_api_auth_token", NO_MLMMJ),
	DROP("MLMMJADMIN_API_AUTH_TOKEN_HEADER_NAME", NO_MLMMJ),
	DROP("ldap_uri", NO_LDAP),
	DROP("ldap_basedn", NO_LDAP),
	DROP("ldap_binddn", NO_LDAP),
	DROP_SECRET("ldap_bindpw", NO_LDAP),
	DROP("ldap_enable_tls", NO_LDAP),

	CARRY("SYSLOG_SERVER", "log", "target", carry_syslog_server),
	DROP("SYSLOG_PORT", "policyd logs to the local syslog"),
	{ .name = "SYSLOG_FACILITY", .section = "log", .key = "facility",
	  .carry = carry_text, .absent = "local5" },
	CARRY("PLUGIN_PRIORITIES", "rules", "order", carry_priorities),
	CARRY("MYNETWORKS", "mail", "trusted_networks", carry_networks),
	CARRY("RECIPIENT_DELIMITERS", "mail", "recipient_delimiters", carry_delimiters),
	DROP("SQL_CONNECTION_POOL_SIZE", NO_POOL),
	DROP("SQL_CONNECTION_MAX_OVERFLOW", NO_POOL),
	DROP("SQL_CONNECTION_POOL_RECYCLE",
		"policyd notices when a connection was lost"),
	DROP("SQL_DB_DRIVER", "policyd has one driver"),
	CARRY("DNS_QUERY_TIMEOUT", "dns", "timeout", carry_seconds),
	CARRY("LOG_SMTP_SESSIONS", "sessions", "enabled", carry_bool),
	CARRY("LOG_SMTP_SESSIONS_EXPIRE_DAYS", "sessions", "keep_days",
		carry_number),
	{ .name = "LOG_SMTP_SESSIONS_BYPASS_DUNNO", .section = "sessions",
	  .key = "skip_dunno", .carry = carry_bool,
	  .reason = "iRedAPD never obeyed it; policyd does" },
	CARRY("LOG_SMTP_SESSIONS_BYPASS_GREYLISTING", "sessions",
		"skip_greylisting", carry_bool),
	CARRY("LOG_SMTP_SESSIONS_BYPASS_WHITELIST", "sessions", "skip_whitelist", carry_bool),
	DROP("TRACKING_EXPIRE_SECONDS", "iRedAPD does not use it"),
	DROP("SPF_MAX_DNS_QUERIES", SPF_LIMITS),
	{ .name = "ENABLE_ALL_WILDCARD_IP", .section = "", .key = "",
	  .carry = carry_wildcards },

	CARRY("WBLIST_BYPASS_OUTGOING_EMAIL", "amavisd_wblist",
		"bypass_outgoing_email", carry_bool),
	CARRY("WBLIST_DISCARD_INSTEAD_OF_REJECT", "amavisd_wblist",
		"discard_instead_of_reject", carry_bool),
	CARRY("CHANGE_PASSWORD_DAYS", "force_password_change", "days",
		carry_number),
	CARRY("CHANGE_PASSWORD_MESSAGE", "force_password_change", "message",
		carry_text),
	CARRY("CHANGE_PASSWORD_NEVER_EXPIRE_USERS", "force_password_change",
		"never_expire", carry_list),
	CARRY("CHECK_FORGED_SENDER", "reject_sender_login_mismatch",
		"check_forged_sender", carry_bool),
	CARRY("ALLOWED_FORGED_SENDERS", "reject_sender_login_mismatch",
		"allowed_forged_senders", carry_list),
	CARRY("CHECK_SPF_IF_LOGIN_MISMATCH", "reject_sender_login_mismatch",
		"check_spf", carry_bool),
	CARRY("ALLOWED_LOGIN_MISMATCH_SENDERS", "reject_sender_login_mismatch",
		"allowed_mismatch_senders", carry_list),
	CARRY("ALLOWED_LOGIN_MISMATCH_STRICTLY", "reject_sender_login_mismatch",
		"allow_own_aliases", carry_bool),
	CARRY("ALLOWED_LOGIN_MISMATCH_LIST_MEMBER", "reject_sender_login_mismatch",
		"allow_list_members", carry_bool),

	CARRY("GREYLISTING_MESSAGE", "greylisting", "message", carry_text),
	CARRY("GREYLISTING_TRAINING_MODE", "greylisting", "training", carry_bool),
	CARRY("GREYLISTING_BLOCK_EXPIRE", "greylisting", "block_expire", carry_minutes),
	CARRY("GREYLISTING_AUTH_TRIPLET_EXPIRE", "greylisting",
		"auth_triplet_expire", carry_days),
	CARRY("GREYLISTING_UNAUTH_TRIPLET_EXPIRE", "greylisting",
		"unauth_triplet_expire", carry_days),
	CARRY("GREYLISTING_BYPASS_SPF", "greylisting", "bypass_spf", carry_bool),

	CARRY("WL_RCPT_FOR_GREYLISTING", "", "", carry_outbound_switch),
	CARRY("WL_RCPT_WITHOUT_SPF", "", "", carry_outbound_switch),
	CARRY("WL_RCPT_LOCAL_ACCOUNT", "whitelist_outbound_recipient", "for",
		carry_outbound_whom),
	CARRY("WL_RCPT_RCPT", "whitelist_outbound_recipient", "add",
		carry_outbound_what),
	CARRY("WL_RCPT_WHITELIST_DOMAIN_FOR_GREYLISTING",
		"whitelist_outbound_recipient", "add", carry_outbound_servers),

	CARRY("THROTTLE_BYPASS_MYNETWORKS", "throttle", "bypass_trusted_networks", carry_bool),
	CARRY("THROTTLE_BYPASS_LOCAL_RECIPIENT", "throttle",
		"bypass_local_recipient", carry_bool),
	CARRY("THROTTLE_BYPASS_SAME_DOMAIN", "throttle", "bypass_same_domain", carry_bool),
	CARRY("SENDERSCORE_REJECT_SCORE", "reputation", "lists", carry_score),
	CARRY("SENDERSCORE_CACHE_DAYS", "cleanup", "score_days", carry_number),

	{ .name = "CMD_SENDMAIL", .section = "notify", .key = "smtp_url",
	  .carry = carry_sendmail, .absent = "/usr/sbin/sendmail" },
	CARRY("NOTIFICATION_RECIPIENTS", "notify", "recipients", carry_list),
	CARRY("NOTIFICATION_SMTP_SERVER", "notify", "smtp_url", carry_mail_server),
	CARRY("NOTIFICATION_SMTP_PORT", "notify", "smtp_url", carry_mail_server),
	CARRY("NOTIFICATION_SMTP_STARTTLS", "notify", "starttls", carry_mail_starttls),
	CARRY("NOTIFICATION_SMTP_USER", "notify", "sender", carry_mail_user),
	{ .name = "NOTIFICATION_SMTP_PASSWORD", .section = "notify",
	  .key = "password_file", .carry = carry_mail_password,
	  .is_secret = true },
	DROP("NOTIFICATION_SMTP_DEBUG_LEVEL", "the log tells what went wrong"),
	CARRY("NOTIFICATION_SENDER_NAME", "notify", "sender_name", carry_text),
	CARRY("CLEANUP_QUERY_SIZE_LIMIT", "cleanup", "batch", carry_number),
};

/* clang-format on */

#define N_MAPPINGS (sizeof(mappings) / sizeof(mappings[0]))

const char *
iredapd_setting_name(size_t i, const char **section, const char **key)
{
	if (i >= N_MAPPINGS)
		return NULL;
	*section = mappings[i].section;
	*key = mappings[i].key;
	return mappings[i].name;
}

static void
map_absent(struct planner *planner, const struct mapping *mapping)
{
	const struct python_value value = { .type = PYTHON_TEXT,
		.text = slice_of(mapping->absent) };

	planner_row(planner, mapping->name,
		arena_printf(planner->arena, "%s (iRedAPD's default)",
			planner_show(planner, &value)),
		NULL);
	mapping->carry(planner, mapping, &value);
}

static void
map_setting(struct planner *planner, const struct mapping *mapping)
{
	struct found_setting *found = planner_look_up(planner, mapping->name);

	if (found == NULL) {
		if (mapping->absent != NULL)
			map_absent(planner, mapping);
		return;
	}
	found->is_used = true;
	planner_row(planner, mapping->name,
		mapping->is_secret       ? NULL
		: found->by_hand != NULL ? ""
					 : planner_show(planner, &found->value),
		found);
	if (mapping->carry == NULL)
		planner_note(planner, SETTING_DROPPED, "%s", mapping->reason);
	else if (!planner_knows(planner, mapping->section, mapping->key))
		planner_note(planner, SETTING_DROPPED,
			"this version of policyd has no [%s] %s",
			mapping->section, mapping->key);
	else if (found->by_hand != NULL)
		planner_note(planner, SETTING_BY_HAND, "%s", found->by_hand);
	else
		mapping->carry(planner, mapping, &found->value);
}

void
iredapd_settings_map(struct planner *planner)
{
	for (size_t i = 0; i < N_MAPPINGS; i++)
		map_setting(planner, &mappings[i]);
	planner_add_own_database(planner);
	planner_add_spf(planner);
}
