#include "policyd/config_table.h"

#include <assert.h>
#include <stddef.h>
#include <syslog.h>

#include "common/mail/dkim_fields.h"

#define SECOND_MS 1000u
#define MINUTE_MS (60u * SECOND_MS)
#define HOUR_MS   (60u * MINUTE_MS)
#define DAY_MS    (24u * HOUR_MS)
#define KIB       1024u
#define MIB       (1024u * KIB)

#define PATH_LENGTH_MAX        1023
#define SOCKET_PATH_LENGTH_MAX 107 /* sun_path */
#define ACCOUNT_LENGTH_MAX     32  /* of the system: useradd(8) */
#define DB_USER_LENGTH_MAX     80  /* MariaDB's */
#define DB_NAME_LENGTH_MAX     64  /* MariaDB's */
#define HOST_LENGTH_MAX        255
#define MESSAGE_LENGTH_MAX     400 /* a reply line holds 512, code and all */

static const struct config_choice tls_choices[] = {
	{ "off", DB_TLS_OFF },
	{ "on", DB_TLS_ON },
	{ "verify", DB_TLS_VERIFY },
	{ NULL, 0 },
};

static const struct config_choice target_choices[] = {
	{ "stderr", LOG_TARGET_STDERR },
	{ "syslog", LOG_TARGET_SYSLOG },
	{ NULL, 0 },
};

static const struct config_choice format_choices[] = {
	{ "text", LOG_FORMAT_TEXT },
	{ "json", LOG_FORMAT_JSON },
	{ NULL, 0 },
};

static const struct config_choice level_choices[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ NULL, 0 },
};

static const struct config_choice facility_choices[] = {
	{ "mail", LOG_MAIL },
	{ "daemon", LOG_DAEMON },
	{ "user", LOG_USER },
	{ "auth", LOG_AUTH },
	{ "local0", LOG_LOCAL0 },
	{ "local1", LOG_LOCAL1 },
	{ "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 },
	{ "local4", LOG_LOCAL4 },
	{ "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 },
	{ "local7", LOG_LOCAL7 },
	{ NULL, 0 },
};

static const struct config_choice mode_choices[] = {
	{ "off", RULE_MODE_OFF },
	{ "observe", RULE_MODE_OBSERVE },
	{ "enforce", RULE_MODE_ENFORCE },
	{ NULL, 0 },
};

static const struct config_choice on_error_choices[] = {
	{ "accept", RULE_ON_ERROR_ACCEPT },
	{ "defer", RULE_ON_ERROR_DEFER },
	{ NULL, 0 },
};

/* Into a bool: whether a message over the limit is deferred. */
static const struct config_choice over_limit_choices[] = {
	{ "reject", false },
	{ "defer", true },
	{ NULL, 0 },
};

static const struct config_choice canon_choices[] = {
	{ "relaxed/relaxed", CONFIG_CANON_FORMS(DKIM_RELAXED, DKIM_RELAXED) },
	{ "relaxed/simple", CONFIG_CANON_FORMS(DKIM_RELAXED, DKIM_SIMPLE) },
	{ "simple/relaxed", CONFIG_CANON_FORMS(DKIM_SIMPLE, DKIM_RELAXED) },
	{ "simple/simple", CONFIG_CANON_FORMS(DKIM_SIMPLE, DKIM_SIMPLE) },
	{ NULL, 0 },
};

static const struct config_choice outbound_for_choices[] = {
	{ "user", OUTBOUND_USER },
	{ "domain", OUTBOUND_DOMAIN },
	{ "everyone", OUTBOUND_EVERYONE },
	{ NULL, 0 },
};

static const struct config_choice outbound_add_choices[] = {
	{ "address", OUTBOUND_ADD_ADDRESS },
	{ "domain", OUTBOUND_ADD_DOMAIN },
	{ "servers", OUTBOUND_ADD_SERVERS },
	{ NULL, 0 },
};

static const struct config_choice spf_action_choices[] = {
	{ "reject", SPF_ACTION_REJECT },
	{ "defer", SPF_ACTION_DEFER },
	{ "header", SPF_ACTION_HEADER },
	{ "nothing", SPF_ACTION_NOTHING },
	{ NULL, 0 },
};

static const struct config_choice dmarc_action_choices[] = {
	{ "reject", DMARC_ACTION_REJECT },
	{ "defer", DMARC_ACTION_DEFER },
	{ "hold", DMARC_ACTION_HOLD },
	{ "header", DMARC_ACTION_HEADER },
	{ "report", DMARC_ACTION_REPORT },
	{ NULL, 0 },
};

static const struct config_choice dmarc_collect_choices[] = {
	{ "rua", DMARC_COLLECT_RUA },
	{ "all", DMARC_COLLECT_ALL },
	{ "none", DMARC_COLLECT_NONE },
	{ NULL, 0 },
};

static const struct config_choice spf_received_choices[] = {
	{ "auto", SPF_RECEIVED_AUTO },
	{ "yes", SPF_RECEIVED_YES },
	{ "no", SPF_RECEIVED_NO },
	{ NULL, 0 },
};

/* clang-format off */

#define FIELD(field_) \
	.offset = offsetof(struct config, field_), \
	.size = sizeof(((struct config *)0)->field_)
#define ROW(section_, key_, type_, default_, flags_, help_) \
	.section = (section_), .key = (key_), .type = (type_), \
	.default_text = (default_), .flags = (flags_), .help = (help_)

#define YES_NO(section_, key_, field_, default_, flags_, help_) \
	{ ROW(section_, key_, CONFIG_BOOL, default_, flags_, help_), \
	  FIELD(field_) }
#define RANGE(type_, section_, key_, field_, default_, min_, max_, flags_, \
	help_) \
	{ ROW(section_, key_, type_, default_, flags_, help_), \
	  FIELD(field_), .min = (min_), .max = (max_) }
#define CHOICE(section_, key_, field_, default_, choices_, flags_, help_) \
	{ ROW(section_, key_, CONFIG_CHOICE, default_, flags_, help_), \
	  FIELD(field_), .choices = (choices_) }
#define LIST(type_, section_, key_, field_, count_, default_, min_, max_, \
	flags_, help_) \
	{ ROW(section_, key_, type_, default_, flags_, help_), \
	  FIELD(field_), .count_offset = offsetof(struct config, count_), \
	  .min = (min_), .max = (max_) }
#define NUMBER(...)   RANGE(CONFIG_NUMBER, __VA_ARGS__)
#define SIZE(...)     RANGE(CONFIG_SIZE, __VA_ARGS__)
#define DURATION(...) RANGE(CONFIG_DURATION, __VA_ARGS__)
#define TEXT(...)     RANGE(CONFIG_TEXT, __VA_ARGS__)
#define WORD(...)     RANGE(CONFIG_WORD, __VA_ARGS__)
#define PATH(...)     RANGE(CONFIG_PATH, __VA_ARGS__)

#define DB_SECTION(section_, id_, name_, name_min_, name_help_) \
	WORD(section_, "host", db[id_].host, "", \
		0, HOST_LENGTH_MAX, CONFIG_RESTART, \
		"name or address of the server; empty for the socket"), \
	PATH(section_, "socket", db[id_].socket, \
		"/run/mysqld/mysqld.sock", 0, SOCKET_PATH_LENGTH_MAX, \
		CONFIG_RESTART, \
		"unix socket of the server, used while host is empty"), \
	NUMBER(section_, "port", db[id_].port, "3306", 1, 65535, \
		CONFIG_RESTART, "port of the server, used with host"), \
	TEXT(section_, "user", db[id_].user, "policyd", \
		1, DB_USER_LENGTH_MAX, CONFIG_RESTART, \
		"account at the server"), \
	WORD(section_, "name", db[id_].name, name_, \
		name_min_, DB_NAME_LENGTH_MAX, CONFIG_RESTART, \
		name_help_), \
	PATH(section_, "password_file", db[id_].password_file, "", \
		0, PATH_LENGTH_MAX, CONFIG_RESTART, \
		"file whose first line is the password"), \
	WORD(section_, "password_env", db[id_].password_env, "", \
		0, 64, CONFIG_RESTART, \
		"environment variable that holds the password"), \
	CHOICE(section_, "tls", db[id_].tls, "off", tls_choices, \
		CONFIG_RESTART, \
		"encrypt; verify checks the certificate and its name, too"), \
	PATH(section_, "tls_ca", db[id_].tls_ca, "", \
		0, PATH_LENGTH_MAX, CONFIG_RESTART, \
		"certificates to verify with; empty for the system's")

/* ", a, b, c" with the first separator left out. */
#define RULE(name_, mode_) ", " #name_
static const char all_rules[] = ""
#include "policyd/rules/rules.def"
	;
#undef RULE

static const struct config_setting settings[] = {
	LIST(CONFIG_ADDRESSES, "policyd", "policy_listen",
		policyd.listen, policyd.n_listen, "inet:127.0.0.1:7777",
		1, CONFIG_ITEMS_MAX, CONFIG_RESTART,
		"sockets on which Postfix asks"),
	RANGE(CONFIG_MODE, "policyd", "policy_socket_mode",
		policyd.policy_socket_mode, "0666", 0, 0777, CONFIG_RESTART,
		"permissions of the unix sockets on which Postfix asks"),
	RANGE(CONFIG_ADDRESS, "policyd", "control_socket", policyd.control,
		"unix:/run/policyd/control", 1, 0, CONFIG_RESTART,
		"unix socket on which policyctl asks"),
	RANGE(CONFIG_ADDRESS, "policyd", "parallel", policyd.parallel,
		"", 0, 0, 0,
		"daemon that answers while policyd is tried; empty for none"),
	WORD("policyd", "control_group", policyd.control_group, "",
		0, ACCOUNT_LENGTH_MAX, CONFIG_RESTART,
		"group that may use policyctl; empty for the daemon's own"),
	WORD("policyd", "user", policyd.user, "policyd",
		1, ACCOUNT_LENGTH_MAX, CONFIG_RESTART,
		"account the daemon runs as when it is started by root"),
	WORD("policyd", "group", policyd.group, "",
		0, ACCOUNT_LENGTH_MAX, CONFIG_RESTART,
		"group the daemon runs as; empty for the user's own"),
	NUMBER("policyd", "policy_processes", policyd.policy_processes, "1",
		1, 16, CONFIG_RESTART,
		"processes that answer; one serves most sites"),
	DURATION("policyd", "stop_timeout", policyd.stop_timeout_ms, "30s",
		1 * SECOND_MS, 10 * MINUTE_MS, 0,
		"time to finish what is in flight when stopped"),
	DURATION("policyd", "decision_deadline",
		policyd.decision_deadline_ms, "10s", 10, 60 * SECOND_MS, 0,
		"every request is answered within this time"),
	YES_NO("policyd", "reply_code", policyd.reply_code, "no", 0,
		"put the code for policyctl explain into the reply"),
	WORD("policyd", "node", policyd.node, "", 0, 64, CONFIG_RESTART,
		"name of this daemon among several; empty for the host name"),

	SIZE("limits", "line_bytes", limits.line_bytes, "8K",
		1 * KIB, 64 * KIB, 0,
		"longest line of a request from Postfix"),
	SIZE("limits", "request_bytes", limits.request_bytes, "64K",
		4 * KIB, 1 * MIB, 0,
		"largest request from Postfix"),
	NUMBER("limits", "connections", limits.connections, "2000",
		1, 100000, 0,
		"connections from Postfix at once, for each process"),
	DURATION("limits", "idle_timeout", limits.idle_timeout_ms, "10m",
		1 * SECOND_MS, 1 * DAY_MS, 0,
		"close a connection that asks nothing for so long"),
	NUMBER("limits", "triplets", limits.triplets, "1000000",
		1000, 100000000, CONFIG_RESTART,
		"greylisting triplets kept in memory"),
	NUMBER("limits", "clients", limits.clients, "200000",
		1000, 100000000, CONFIG_RESTART,
		"clients that passed greylisting kept in memory"),
	NUMBER("limits", "directory", limits.directory, "200000",
		1000, 100000000, CONFIG_RESTART,
		"answers about single addresses of vmail kept in memory"),
	NUMBER("limits", "instances", limits.instances, "20000",
		100, 10000000, CONFIG_RESTART,
		"messages in transit whose recipients are remembered"),
	NUMBER("limits", "table_rows", limits.table_rows, "2000000",
		1000, 100000000, 0,
		"most rows of a table that is read as a whole"),
	NUMBER("limits", "decisions", limits.decisions, "50000",
		100, 10000000, CONFIG_RESTART,
		"decisions kept in memory for policyctl explain"),
	NUMBER("limits", "waiting_writes", limits.waiting_writes, "100000",
		1000, 10000000, CONFIG_RESTART,
		"changes that wait while the database is away"),
	NUMBER("limits", "log_rows_per_second", limits.log_rows_per_second,
		"1000", 10, 1000000, CONFIG_RESTART,
		"rows of smtp_sessions, and of decision, written in a second"),

	LIST(CONFIG_NETWORKS, "mail", "trusted_networks",
		mail.trusted_networks, mail.n_trusted_networks, "",
		0, CONFIG_ITEMS_MAX, 0,
		"clients that are trusted, as 127.0.0.1 and ::1 always are"),
	WORD("mail", "recipient_delimiters", mail.recipient_delimiters, "+",
		0, 8, 0,
		"characters that begin an address extension (user+folder)"),

	CHOICE("log", "target", log.target, "syslog", target_choices, 0,
		"where lines go"),
	CHOICE("log", "format", log.format, "text", format_choices, 0,
		"key=value or one JSON object a line"),
	CHOICE("log", "level", log.level, "info", level_choices, 0,
		"the least important lines to write"),
	CHOICE("log", "facility", log.syslog_facility, "mail",
		facility_choices, 0, "facility for syslog"),

	YES_NO("sessions", "enabled", sessions.enabled, "yes", 0,
		"write a row for each message and each refusal"),
	YES_NO("sessions", "skip_dunno", sessions.skip_dunno, "no", 0,
		"leave out what was let through"),
	YES_NO("sessions", "skip_greylisting", sessions.skip_greylisting,
		"no", 0, "leave out what greylisting deferred"),
	YES_NO("sessions", "skip_whitelist", sessions.skip_whitelist,
		"no", 0, "leave out what a whitelist let through"),
	NUMBER("sessions", "keep_days", sessions.keep_days, "7", 1, 3650, 0,
		"days to keep them"),

	YES_NO("decisions", "enabled", decisions.enabled, "yes", 0,
		"write refusals and deferrals for policyctl explain"),
	NUMBER("decisions", "keep_days", decisions.keep_days, "3", 1, 7, 0,
		"days to keep them"),

	YES_NO("cleanup", "enabled", cleanup.enabled, "yes", 0,
		"remove rows that have expired"),
	DURATION("cleanup", "interval", cleanup.interval_ms, "1h",
		1 * SECOND_MS, 30 * DAY_MS, 0,
		"how often; one daemon of all that share a database does it"),
	NUMBER("cleanup", "batch", cleanup.batch, "1000", 10, 5000, 0,
		"rows removed by one statement"),
	DURATION("cleanup", "pause", cleanup.pause_ms, "50ms",
		0, 5 * SECOND_MS, 0, "time between two such statements"),
	NUMBER("cleanup", "score_days", cleanup.score_days, "2", 1, 3650, 0,
		"days to keep scores of clients in senderscore_cache"),

	NUMBER("database", "connections", database.connections, "4",
		1, 64, CONFIG_RESTART,
		"connections to each database, for each process"),
	DURATION("database", "connect_timeout", database.connect_timeout_ms,
		"5s", 100, 60 * SECOND_MS, CONFIG_RESTART,
		"time in which a connection has to be made"),
	DURATION("database", "statement_timeout",
		database.statement_timeout_ms, "4s", 10, 60 * SECOND_MS,
		CONFIG_RESTART, "time a statement may take"),
	DURATION("database", "table_ttl", database.table_ttl_ms, "10s",
		100, 1 * HOUR_MS, 0,
		"time until a change made by other programs is seen"),
	DB_SECTION("iredapd_db", CONFIG_DB_IREDAPD, "iredapd",
		1, "name of the database"),
	DB_SECTION("vmail_db", CONFIG_DB_VMAIL, "vmail",
		1, "name of the database"),
	DB_SECTION("policyd_db", CONFIG_DB_POLICYD, "policyd",
		1, "name of the database"),
	DB_SECTION("amavisd_db", CONFIG_DB_AMAVISD, "amavisd",
		0, "name of the database; empty if this site has none"),

	LIST(CONFIG_WORDS, "dns", "resolver", dns.resolvers.items,
		dns.resolvers.n, "", 0, CONFIG_RESOLVERS_MAX, CONFIG_RESTART,
		"ADDRESS or ADDRESS@PORT to ask, or the word recursive; empty for the system's"),
	DURATION("dns", "timeout", dns.timeout_ms, "3s",
		10, 60 * SECOND_MS, 0, "time in which an answer has to come"),
	SIZE("dns", "cache", dns.cache_bytes, "32M", 1 * MIB, 4096ull * MIB,
		CONFIG_RESTART, "memory for answers, for each process"),
	NUMBER("dns", "queries", dns.queries, "2000", 10, 20000,
		CONFIG_RESTART, "questions under way at once, for each process"),
	NUMBER("dns", "queries_per_domain", dns.queries_per_domain, "50", 1, 100000,
		CONFIG_RESTART, "those of them that the mail of one sender's domain may cause"),
	PATH("dns", "trust_anchor", dns.trust_anchor, "", 0, PATH_LENGTH_MAX,
		CONFIG_RESTART, "keys to validate answers from; empty for no DNSSEC"),

	LIST(CONFIG_RULES, "rules", "order", rule_order, n_rule_order,
		&all_rules[2], 0, RULE_ID_COUNT, 0,
		"the rules in the order in which they are asked"),

#define RULE(name_, mode_) \
	CHOICE(#name_, "mode", rule[RULE_ID_##name_].mode, #mode_, \
		mode_choices, 0, \
		"off, observe (count and log what it would do) or enforce"), \
	CHOICE(#name_, "on_error", rule[RULE_ID_##name_].on_error, \
		"accept", on_error_choices, 0, \
		"what to do when the database cannot be asked"),
#include "policyd/rules/rules.def"
#undef RULE

	WORD("reject_to_hostname", "hostname", reject_to_hostname.hostname,
		"", 0, HOST_LENGTH_MAX, 0,
		"the machine's own name; empty for what the system says"),

	CHOICE("whitelist_outbound_recipient", "for", outbound.whom, "user",
		outbound_for_choices, 0,
		"whose mail from the recipient is not greylisted any more"),
	CHOICE("whitelist_outbound_recipient", "add", outbound.what,
		"address", outbound_add_choices, 0,
		"what is white-listed: the recipient, its whole domain, or "
		"the servers of that"),
	DURATION("whitelist_outbound_recipient", "expire", outbound.expire_ms,
		"90d", 1 * DAY_MS, 3650ull * DAY_MS, 0,
		"time after which an entry is removed again"),

	YES_NO("reject_sender_login_mismatch", "check_forged_sender",
		login_mismatch.check_forged_sender, "yes", 0,
		"refuse strangers that use a domain of this site"),
	LIST(CONFIG_WORDS, "reject_sender_login_mismatch",
		"allowed_forged_senders",
		login_mismatch.allowed_forged_senders.items,
		login_mismatch.allowed_forged_senders.n, "",
		0, CONFIG_ITEMS_MAX, 0,
		"senders that strangers may use: user@domain, domain, user@*"),
	YES_NO("reject_sender_login_mismatch", "check_spf",
		login_mismatch.check_spf, "yes", 0,
		"let strangers pass that the SPF record of the domain names"),
	LIST(CONFIG_WORDS, "reject_sender_login_mismatch",
		"allowed_mismatch_senders",
		login_mismatch.allowed_mismatch_senders.items,
		login_mismatch.allowed_mismatch_senders.n, "",
		0, CONFIG_ITEMS_MAX, 0,
		"logins that may use any sender: user@domain, domain; "
		"or any of their domain: @domain, @."),
	YES_NO("reject_sender_login_mismatch", "allow_own_aliases",
		login_mismatch.allow_own_aliases, "yes", 0,
		"let a login use its aliases and its alias domains"),
	YES_NO("reject_sender_login_mismatch", "allow_list_members",
		login_mismatch.allow_list_members, "no", 0,
		"let a login use the lists that it belongs to"),

	NUMBER("force_password_change", "days", force_password_change.days,
		"90", 1, 36500, 0, "age in days at which a password is too old"),
	TEXT("force_password_change", "message",
		force_password_change.message,
		"Password expired or never changed, please change your "
		"password in webmail before sending email",
		1, MESSAGE_LENGTH_MAX, 0, "text of the reply"),
	LIST(CONFIG_WORDS, "force_password_change", "never_expire",
		force_password_change.never_expire.items,
		force_password_change.never_expire.n, "",
		0, CONFIG_ITEMS_MAX, 0,
		"logins, or domains of logins, that are left alone"),

	LIST(CONFIG_WORDS, "reputation", "lists", reputation.lists.items,
		reputation.lists.n, "", 0, CONFIG_DNSBLS_MAX, 0,
		"lists to ask, each as DOMAIN[=FILTER][*WEIGHT]"),
	NUMBER("reputation", "reject_threshold",
		reputation.reject_threshold, "1", 1, 1000000, 0,
		"refuse a client when the weights add up to this or more"),
	TEXT("reputation", "message", reputation.message,
		"Server IP address {client} has bad reputation, listed by {lists}",
		1, MESSAGE_LENGTH_MAX, 0,
		"text of the reply, with the client and the lists that count"),

	CHOICE("spf", "fail", spf.action[SPF_CASE_FAIL], "reject",
		spf_action_choices, 0,
		"when the client may not send for the domain of the sender"),
	CHOICE("spf", "softfail", spf.action[SPF_CASE_SOFTFAIL], "header",
		spf_action_choices, 0,
		"when the domain only suspects that it may not"),
	CHOICE("spf", "temperror", spf.action[SPF_CASE_TEMPERROR], "header",
		spf_action_choices, 0, "when the DNS does not answer"),
	CHOICE("spf", "permerror", spf.action[SPF_CASE_PERMERROR], "header",
		spf_action_choices, 0, "when the records of the domain are wrong"),
	CHOICE("spf", "helo_fail", spf.helo_fail, "reject",
		spf_action_choices, 0,
		"when the client may not call itself what it says in HELO, "
		"unless the sender passes"),
	LIST(CONFIG_WORDS, "spf", "skip", spf.skip.items, spf.skip.n, "",
		0, CONFIG_ITEMS_MAX, 0,
		"clients that are not checked: networks, names, .domain"),
	CHOICE("spf", "received_spf", spf.received_spf, "auto",
		spf_received_choices, 0,
		"put the result into the message, as Received-SPF; auto: unless the milter is on"),
	DURATION("spf", "timeout", spf.timeout_ms, "5s",
		10, 60 * SECOND_MS, 0,
		"time in which the DNS has to give all answers"),
	NUMBER("spf", "cache", spf.cache, "20000", 100, 10000000,
		CONFIG_RESTART, "results kept in memory while their records live"),

	CHOICE("dmarc", "reject", dmarc.action[DMARC_CASE_REJECT], "reject",
		dmarc_action_choices, 0,
		"when mail fails and its domain asks to reject that"),
	CHOICE("dmarc", "quarantine", dmarc.action[DMARC_CASE_QUARANTINE],
		"header", dmarc_action_choices, 0,
		"when mail fails and its domain asks to take it for suspicious"),
	CHOICE("dmarc", "temperror", dmarc.action[DMARC_CASE_TEMPERROR],
		"defer", dmarc_action_choices, 0,
		"when the DNS does not answer, and mail might fail"),
	CHOICE("dmarc", "bad_from", dmarc.action[DMARC_CASE_BAD_FROM],
		"header", dmarc_action_choices, 0,
		"when From: is missing, malformed, or names several domains"),
	LIST(CONFIG_WORDS, "dmarc", "force_reject", dmarc.force_reject.items,
		dmarc.force_reject.n, "", 0, CONFIG_ITEMS_MAX, 0,
		"domains in From: that are taken to ask for reject: names, .domain"),
	LIST(CONFIG_WORDS, "dmarc", "trusted_forwarders",
		dmarc.trusted_forwarders.items, dmarc.trusted_forwarders.n, "",
		0, CONFIG_ITEMS_MAX, 0,
		"who may forward what fails: networks, names of clients or of ARC sealers, .domain"),
	DURATION("dmarc", "timeout", dmarc.timeout_ms, "5s",
		10, 60 * SECOND_MS, 0,
		"time in which the DNS has to give all answers"),
	CHOICE("dmarc", "collect", dmarc.collect, "rua",
		dmarc_collect_choices, 0,
		"whose mail is counted for reports: of domains with rua, all, or none"),
	NUMBER("dmarc", "rows_per_day", dmarc.rows_per_day, "100000",
		0, 10000000, 0, "rows of dmarc_aggregate that a day may have"),
	NUMBER("dmarc", "keep_days", dmarc.keep_days, "30", 1, 3650, 0,
		"days that are kept"),
	TEXT("dmarc", "report_org", dmarc.report_org, "", 0, HOST_LENGTH_MAX,
		0, "who reports; empty for the host name"),
	WORD("dmarc", "report_email", dmarc.report_email, "",
		0, HOST_LENGTH_MAX, 0,
		"how who reports is reached; empty for postmaster@ the host name"),

	TEXT("greylisting", "message", greylisting.message,
		"Intentional policy rejection, please try again later",
		1, MESSAGE_LENGTH_MAX, 0, "text of the reply"),
	YES_NO("greylisting", "training", greylisting.training, "no", 0,
		"learn triplets, but let everything through"),
	YES_NO("greylisting", "bypass_spf", greylisting.bypass_spf, "yes", 0,
		"let pass at once whom the domain of the sender authorizes"),
	YES_NO("greylisting", "tell_delay", greylisting.tell_delay, "no", 0,
		"say in the reply how long is left to wait"),
	DURATION("greylisting", "block_expire", greylisting.block_expire_ms,
		"15m", 1 * SECOND_MS, 7 * DAY_MS, 0,
		"time a new triplet has to wait"),
	DURATION("greylisting", "auth_triplet_expire",
		greylisting.auth_expire_ms, "30d",
		1 * MINUTE_MS, 3650ull * DAY_MS, 0,
		"time a triplet or client that passed is remembered"),
	DURATION("greylisting", "unauth_triplet_expire",
		greylisting.unauth_expire_ms, "1d",
		1 * MINUTE_MS, 3650ull * DAY_MS, 0,
		"time in which a new triplet has to come back"),
	NUMBER("greylisting", "ipv4_prefix", greylisting.ipv4_prefix, "24",
		8, 32, 0, "length of the IPv4 network that counts as a client"),
	NUMBER("greylisting", "ipv6_prefix", greylisting.ipv6_prefix, "64",
		16, 128, 0, "length of the IPv6 network that counts as a client"),
	YES_NO("greylisting", "refresh_whitelist_domains",
		greylisting.refresh_domains, "yes", 0,
		"look up the mail servers of white-listed domains"),
	YES_NO("greylisting", "all_wildcard_ips",
		greylisting.all_wildcard_ips, "no", 0,
		"match all wildcard forms of an address, not only the last two"),

	YES_NO("throttle", "bypass_trusted_networks",
		throttle.bypass_trusted, "no", 0,
		"do not count trusted clients"),
	YES_NO("throttle", "bypass_local_recipient",
		throttle.bypass_local_recipient, "yes", 0,
		"no inbound limits for authenticated senders"),
	YES_NO("throttle", "bypass_same_domain",
		throttle.bypass_same_domain, "yes", 0,
		"do not count mail within one domain"),
	CHOICE("throttle", "over_limit", throttle.defer, "reject",
		over_limit_choices, 0,
		"answer over a limit of a period: for good, or for now"),
	YES_NO("throttle", "all_wildcard_ips", throttle.all_wildcard_ips,
		"no", 0,
		"match all wildcard forms of an address, not only the last two"),

	WORD("srs", "domain", srs.domain, "", 0, 253,
		CONFIG_RESTART_FROM_EMPTY,
		"domain of rewritten senders; empty to rewrite none"),
	PATH("srs", "secrets_file", srs.secrets_file, "", 0, PATH_LENGTH_MAX, 0,
		"file with secrets, one a line; the first one signs"),
	LIST(CONFIG_ADDRESSES, "srs", "forward_listen", srs.forward,
		srs.n_forward, "inet:127.0.0.1:7778", 0, CONFIG_ITEMS_MAX,
		CONFIG_RESTART, "sockets for sender_canonical_maps = tcp:"),
	LIST(CONFIG_ADDRESSES, "srs", "reverse_listen", srs.reverse,
		srs.n_reverse, "inet:127.0.0.1:7779", 0, CONFIG_ITEMS_MAX,
		CONFIG_RESTART, "sockets for recipient_canonical_maps = tcp:"),
	LIST(CONFIG_ADDRESSES, "srs", "socketmap_listen", srs.socketmap,
		srs.n_socketmap, "unix:/run/policyd/srs", 0, CONFIG_ITEMS_MAX,
		CONFIG_RESTART, "sockets for both by the names of maps"),

	YES_NO("amavisd_wblist", "bypass_outgoing_email",
		wblist.bypass_outgoing, "no", 0,
		"do not ask the lists of authenticated senders"),
	YES_NO("amavisd_wblist", "discard_instead_of_reject", wblist.discard,
		"no", 0,
		"drop in silence what everyone's blacklist names"),
	YES_NO("amavisd_wblist", "whitelist_needs_spf",
		wblist.whitelist_needs_spf, "no", 0,
		"heed a white-listed sender only if SPF passes"),
	YES_NO("amavisd_wblist", "all_wildcard_ips", wblist.all_wildcard_ips,
		"no", 0,
		"match all wildcard forms of an address, not only the last two"),

	RANGE(CONFIG_ADDRESS, "milter", "listen", milter.listen, "", 0, 0,
		CONFIG_RESTART,
		"socket for smtpd_milters; empty for no milter"),
	WORD("milter", "user", milter.user, "", 0, ACCOUNT_LENGTH_MAX,
		CONFIG_RESTART,
		"account the milter runs as; empty for policyd.user"),
	WORD("milter", "authserv_id", milter.authserv_id, "",
		0, HOST_LENGTH_MAX, 0,
		"our name in Authentication-Results; empty for the host name"),
	YES_NO("milter", "auth", milter.auth, "yes", 0,
		"say in the message which login sent it"),
	YES_NO("milter", "end_of_message", milter.end_of_message, "no", 0,
		"judge limits of messages here, not in smtpd_end_of_data_restrictions"),
	CHOICE("milter", "on_error", milter.on_error, "accept",
		on_error_choices, 0,
		"what to do when something is not known in time"),
	TEXT("milter", "message", milter.message,
		"Cannot check this message now, please try again later",
		1, MESSAGE_LENGTH_MAX, 0, "text of the reply that defers"),
	DURATION("milter", "timeout", milter.timeout_ms, "10s",
		10, 4 * MINUTE_MS, 0,
		"time that is waited for at the end of a message"),
	NUMBER("milter", "sessions", milter.sessions, "2000", 1, 100000, 0,
		"sessions at once"),
	NUMBER("milter", "header_fields", milter.header_fields, "2000",
		10, 100000, 0, "a message with more is refused"),
	SIZE("milter", "header_bytes", milter.header_bytes, "1M",
		4 * KIB, 16 * MIB, 0,
		"a message whose header is larger is refused"),

	YES_NO("dkim", "sign", dkim.sign, "yes", 0,
		"sign mail of logins and trusted clients whose domain has keys"),
	CHOICE("dkim", "canonicalization", dkim.canonicalization,
		"relaxed/relaxed", canon_choices, 0,
		"what changes of header and body do a signature no harm"),
	DURATION("dkim", "expire", dkim.expire_ms, "0s", 0, 3650ull * DAY_MS, 0,
		"time after which a signature is void; 0 for never"),
	LIST(CONFIG_WORDS, "dkim", "headers", dkim.headers.items,
		dkim.headers.n, "", 0, DKIM_FIELDS_MAX, 0,
		"header fields that are signed, present or not; empty for the usual"),
	CHOICE("dkim", "on_error", dkim.on_error, "defer", on_error_choices, 0,
		"what to do when the keys are not to be had"),
	PATH("dkim", "master_key_file", dkim.master_key_file, "",
		0, PATH_LENGTH_MAX, 0,
		"file with the key that seals private keys; empty for no keys"),
	YES_NO("dkim", "rsa", dkim.make_rsa, "yes", 0,
		"new keys are of RSA"),
	YES_NO("dkim", "ed25519", dkim.make_ed25519, "yes", 0,
		"new keys are of Ed25519, too"),
	DURATION("dkim", "check_interval", dkim.check_interval_ms, "1h",
		1 * SECOND_MS, 1 * DAY_MS, 0,
		"how often the DNS is asked for the record of each key"),
	DURATION("dkim", "retire_after", dkim.retire_after_ms, "1w",
		0, 365ull * DAY_MS, 0,
		"time for which the record of an old key stays published"),
	DURATION("dkim", "rotate_after", dkim.rotate_after_ms, "180d",
		1 * DAY_MS, 3650ull * DAY_MS, 0,
		"age at which a key is replaced by dkim rotate"),
	PATH("dkim", "zone_file", dkim.zone_file, "", 0, PATH_LENGTH_MAX, 0,
		"file that the records of all keys are written to; empty for none"),

	WORD("notify", "smtp_url", notify.smtp_url, "", 0, 255, 0,
		"server that takes the mail; empty for no mail"),
	TEXT("notify", "user", notify.user, "", 0, 255, 0,
		"account at that server; empty for none"),
	PATH("notify", "password_file", notify.password_file, "",
		0, PATH_LENGTH_MAX, 0, "file whose first line is the password"),
	WORD("notify", "sender", notify.sender, "postmaster", 1, 254, 0,
		"address of the sender"),
	TEXT("notify", "sender_name", notify.sender_name, "policyd",
		0, 100, 0, "name of the sender"),
	LIST(CONFIG_WORDS, "notify", "recipients", notify.recipients.items,
		notify.recipients.n, "root", 1, CONFIG_ITEMS_MAX, 0,
		"addresses that get the mail"),
	YES_NO("notify", "starttls", notify.starttls, "no", 0,
		"insist on TLS with a server of smtp://"),
	DURATION("notify", "timeout", notify.timeout_ms, "30s",
		1 * SECOND_MS, 10 * MINUTE_MS, 0, "time in which a mail has to be handed over"),
};

static const struct config_section sections[] = {
	{ "policyd", "The daemon: sockets, account, processes." },
	{ "limits", "Bounds, so that nobody can use up the machine." },
	{ "mail", "What this site calls its own." },
	{ "log", "The log." },
	{ "sessions", "Rows in the table smtp_sessions of the database iredapd." },
	{ "decisions", "Rows in the table decision of the database policyd." },
	{ "cleanup", "Removing rows that have expired." },
	{ "database", "Common to the databases." },
	{ "iredapd_db", "The database with greylisting and throttling." },
	{ "vmail_db", "The database with mail domains and accounts; only read." },
	{ "policyd_db", "The database of policyd itself." },
	{ "amavisd_db", "The database with white- and blacklists." },
	{ "dns", "Questions to the DNS." },
	{ "rules", "The rules; each has a section of its own." },
#define RULE(name_, mode_) { #name_, "The rule " #name_ "." },
#include "policyd/rules/rules.def"
#undef RULE
	{ "srs", "Rewriting senders (SRS)." },
	{ "milter", "The milter, which sees messages and notes in them what was found." },
	{ "dkim", "Signing what our domains send (DKIM), in the milter." },
	{ "notify", "Mail to the administrator when a limit is reached." },
};

/* clang-format on */

size_t
config_setting_count(void)
{
	return sizeof(settings) / sizeof(settings[0]);
}

const struct config_setting *
config_setting_at(size_t row)
{
	assert(row < config_setting_count());
	return &settings[row];
}

size_t
config_section_count(void)
{
	return sizeof(sections) / sizeof(sections[0]);
}

const struct config_section *
config_section_at(size_t i)
{
	assert(i < config_section_count());
	return &sections[i];
}

bool
config_setting_is_list(const struct config_setting *setting)
{
	return setting->type >= CONFIG_ADDRESSES;
}
