#ifndef POLICYD_CONFIG_H
#define POLICYD_CONFIG_H

/*
 * policyd.conf: "[section]", "key = value", "#" comments. What may be set is
 * the table in config_table.c (section, key, type, range, default, help), and
 * a test compares that table with conf/policyd.conf and policyd.conf(5).
 *
 * A struct config is immutable once loaded and counted by reference: a
 * decision in flight keeps the one it began with while a reload puts another
 * in force.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/io/db.h"
#include "common/io/sock.h"
#include "common/mail/dkim_canon.h"
#include "common/mail/ip.h"

enum rule_id {
#define RULE(name, mode) RULE_ID_##name,
#include "policyd/rules/rules.def"
#undef RULE
	RULE_ID_COUNT
};

enum rule_mode { RULE_MODE_OFF, RULE_MODE_OBSERVE, RULE_MODE_ENFORCE };
enum rule_on_error { RULE_ON_ERROR_ACCEPT, RULE_ON_ERROR_DEFER };

struct config_rule {
	enum rule_mode mode;
	enum rule_on_error on_error;
};

/* [iredapd_db], [vmail_db], [policyd_db], [amavisd_db] */
struct config_db {
	char *host, *socket, *user, *name, *tls_ca;
	char *password_file, *password_env;
	char *password; /* resolved by config_read_secrets() */
	unsigned port;
	enum db_tls tls;
};

/* For whom a recipient of a user's mail is white-listed. */
enum outbound_for { OUTBOUND_USER, OUTBOUND_DOMAIN, OUTBOUND_EVERYONE };
/* What of the recipient: its address, domain, or its domain's servers. */
enum outbound_add {
	OUTBOUND_ADD_ADDRESS,
	OUTBOUND_ADD_DOMAIN,
	OUTBOUND_ADD_SERVERS
};

/* What becomes of a message by its SPF result, the strictest first. */
enum spf_action {
	SPF_ACTION_REJECT,
	SPF_ACTION_DEFER,
	SPF_ACTION_HEADER, /* nothing but the header field Received-SPF */
	SPF_ACTION_NOTHING,
};

/* The results that something may become of; the others get the header. */
enum spf_case {
	SPF_CASE_FAIL,
	SPF_CASE_SOFTFAIL,
	SPF_CASE_TEMPERROR,
	SPF_CASE_PERMERROR,
	SPF_CASE_COUNT
};

/* Whether the header field Received-SPF is added. */
enum spf_received {
	SPF_RECEIVED_AUTO, /* unless the milter says it in another field */
	SPF_RECEIVED_YES,
	SPF_RECEIVED_NO,
};

/*
 * What becomes of a message by what DMARC says of it, the strictest first.
 */
enum dmarc_action {
	DMARC_ACTION_REJECT,
	DMARC_ACTION_DEFER,
	DMARC_ACTION_HOLD,   /* in the queue, until somebody releases it */
	DMARC_ACTION_HEADER, /* nothing but the header field X-DMARC-Policy */
	DMARC_ACTION_REPORT, /* nothing: it is told to the domain's owner */
};

/* What something may become of. */
enum dmarc_case {
	DMARC_CASE_REJECT, /* it fails, and the policy is this */
	DMARC_CASE_QUARANTINE,
	DMARC_CASE_TEMPERROR, /* and there may be a policy */
	DMARC_CASE_BAD_FROM,  /* From: has no domain that could be judged */
	DMARC_CASE_COUNT
};

/* Of what mail data for reports is kept. */
enum dmarc_collect {
	DMARC_COLLECT_RUA, /* whose record says where reports go */
	DMARC_COLLECT_ALL,
	DMARC_COLLECT_NONE,
};

enum config_db_id {
	CONFIG_DB_IREDAPD,
	CONFIG_DB_VMAIL,
	CONFIG_DB_POLICYD,
	CONFIG_DB_AMAVISD, /* name "": this site has none */
	CONFIG_DB_COUNT
};

/*
 * How a database is reached and as whom, pointing into db; bounds, label and
 * remedy are the caller's to set.
 */
struct db_config config_db_target(const struct config_db *db);
/* What helps when a table or a column of the database is not there. */
const char *config_db_remedy(enum config_db_id id);

struct config_list { /* of texts */
	char **items;
	size_t n;
};

struct config {
	/* [policyd] */
	struct {
		struct sock_address *listen; /* policy_listen */
		size_t n_listen;
		unsigned policy_socket_mode;  /* octal, 0666 */
		struct sock_address control;  /* control_socket, unix */
		struct sock_address parallel; /* text "" for none */
		char *control_group;          /* "" for the daemon's own */
		char *user, *group;           /* group "" for the user's own */
		unsigned policy_processes;
		uint64_t stop_timeout_ms; /* SIGTERM: to finish in */
		uint64_t decision_deadline_ms;
		bool reply_code;
		char *node; /* name of this node, "" for the host name */
	} policyd;

	/* [limits] */
	struct {
		uint64_t line_bytes, request_bytes;
		uint64_t connections;
		uint64_t idle_timeout_ms;
		uint64_t triplets;   /* held in memory */
		uint64_t clients;    /* passed clients in memory */
		uint64_t directory;  /* answers of vmail in memory */
		uint64_t instances;  /* messages whose RCPTs are known */
		uint64_t table_rows; /* of one table read as a whole */
		uint64_t decisions;  /* held in memory for explain */
		/* effects while the database is away */
		uint64_t waiting_writes;
		uint64_t log_rows_per_second;
	} limits;

	/* [mail] */
	struct {
		struct network *trusted_networks;
		size_t n_trusted_networks;
		char *recipient_delimiters;
	} mail;

	/* [log] */
	struct log_config log;

	/* [sessions]: rows in iredapd.smtp_sessions */
	struct {
		bool enabled, skip_dunno, skip_greylisting, skip_whitelist;
		unsigned keep_days;
	} sessions;

	/* [decisions]: rows in policyd.decision */
	struct {
		bool enabled;
		unsigned keep_days; /* 1..7 */
	} decisions;

	/* [cleanup]: removing rows that have expired */
	struct {
		bool enabled;
		uint64_t interval_ms, pause_ms;
		unsigned batch, score_days;
	} cleanup;

	/* [database] */
	struct {
		unsigned connections; /* to each database */
		uint64_t connect_timeout_ms, statement_timeout_ms;
		uint64_t table_ttl_ms; /* until a change made elsewhere shows */
	} database;
	struct config_db db[CONFIG_DB_COUNT];

	/* [dns] */
	struct {
		struct config_list resolvers; /* ADDRESS[@PORT], recursive */
		char *trust_anchor;
		uint64_t timeout_ms, cache_bytes;
		uint64_t queries; /* under way at once */
		uint64_t queries_per_domain;
	} dns;

	/* [rules] order; and mode, on_error in a section for each rule */
	enum rule_id rule_order[RULE_ID_COUNT];
	size_t n_rule_order;
	struct config_rule rule[RULE_ID_COUNT];

	/* [reject_sender_login_mismatch] */
	struct {
		bool check_forged_sender, check_spf;
		struct config_list allowed_forged_senders;
		struct config_list allowed_mismatch_senders;
		bool allow_own_aliases, allow_list_members;
	} login_mismatch;

	/* [force_password_change] */
	struct {
		unsigned days;
		char *message;
		struct config_list never_expire;
	} force_password_change;

	/* [reputation] */
	struct {
		struct config_list lists; /* common/mail/dnsbl.h */
		uint64_t reject_threshold;
		char *message; /* with {client} and {lists} */
	} reputation;

	/* [spf] */
	struct {
		enum spf_action action[SPF_CASE_COUNT];
		enum spf_action helo_fail;      /* unless the sender passes */
		struct config_list skip;        /* networks, names of clients */
		enum spf_received received_spf; /* the header field */
		uint64_t timeout_ms;            /* of an evaluation */
		uint64_t cache;                 /* results in memory */
	} spf;

	/* [dmarc] */
	struct {
		enum dmarc_action action[DMARC_CASE_COUNT];
		struct config_list force_reject; /* domains in From: */
		/* Networks, names of clients, domains of sealers. */
		struct config_list trusted_forwarders;
		enum dmarc_collect collect;
		uint64_t timeout_ms; /* of an evaluation */
		uint64_t rows_per_day;
		unsigned keep_days;
		char *report_org, *report_email; /* "" for the node's */
	} dmarc;

	/* [greylisting] */
	struct {
		char *message;
		bool training, tell_delay, bypass_spf;
		uint64_t block_expire_ms;  /* 15m */
		uint64_t auth_expire_ms;   /* 30d: a triplet that passed */
		uint64_t unauth_expire_ms; /* 1d: one that did not yet */
		unsigned ipv4_prefix, ipv6_prefix; /* 24, 64 */
		bool refresh_domains, all_wildcard_ips;
	} greylisting;

	/* [throttle] */
	struct {
		bool bypass_trusted, bypass_local_recipient, bypass_same_domain;
		bool defer; /* over_limit = defer: 4xx instead of 5xx */
		bool all_wildcard_ips;
	} throttle;

	/* [reject_to_hostname] */
	struct {
		char *hostname; /* "" for what the system says */
	} reject_to_hostname;

	/* [whitelist_outbound_recipient] */
	struct {
		enum outbound_for whom;
		enum outbound_add what;
		uint64_t expire_ms;
	} outbound;

	/* [srs]: senders are rewritten; off while domain is empty */
	struct {
		char *domain, *secrets_file;
		char *secrets; /* one a line, by config_read_secrets() */
		struct sock_address *forward, *reverse, *socketmap;
		size_t n_forward, n_reverse, n_socketmap;
	} srs;

	/* [amavisd_wblist] */
	struct {
		bool bypass_outgoing, discard, all_wildcard_ips;
		bool whitelist_needs_spf;
	} wblist;

	/* [milter]: the process that sees messages */
	struct {
		struct sock_address listen; /* text "" for none */
		char *user;                 /* "" for policyd's */
		char *authserv_id;          /* "" for the host name */
		bool auth;                  /* say who has logged in */
		/* It judges in place of smtpd_end_of_data_restrictions. */
		bool end_of_message;
		enum rule_on_error on_error;
		char *message; /* of a deferral */
		uint64_t timeout_ms;
		uint64_t sessions; /* at once */
		uint64_t header_fields, header_bytes;
	} milter;

	/* [dkim]: signing what our domains send */
	struct {
		bool sign;
		/* c=: the forms of header and body, as CONFIG_CANON_FORMS. */
		unsigned canonicalization;
		uint64_t expire_ms;          /* x=; 0: signatures do not */
		struct config_list headers;  /* over-signed; none: the usual */
		enum rule_on_error on_error; /* keys that are not to be had */
		char *master_key_file; /* "" for no keys in the database */
		char *master_key;      /* as text, by config_read_secrets() */
		bool make_rsa, make_ed25519;
		uint64_t check_interval_ms, retire_after_ms, rotate_after_ms;
		char *zone_file; /* "" for none */
	} dkim;

	/* [notify]: mail to the administrator */
	struct {
		char *smtp_url; /* smtp://127.0.0.1:25, "" for no mail */
		char *user, *password_file, *password;
		char *sender, *sender_name;
		struct config_list recipients;
		bool starttls;
		uint64_t timeout_ms;
	} notify;

	/* Where it came from, for messages. */
	char *path;
	unsigned *lines; /* of the settings, for config_line() */
	unsigned n_refs; /* config_ref(), config_unref() */
};

/* One thing wrong in a configuration file. */
struct config_error {
	unsigned line; /* 0 when it concerns the file as a whole */
	char *text;    /* one sentence: what, and what to do */
};

struct config_errors {
	struct config_error *items;
	size_t n;
};

/* The bounds of a file. */
#define CONFIG_FILE_MAX      (1024 * 1024)
#define CONFIG_LINE_MAX      8192
#define CONFIG_ITEMS_MAX     256 /* of one list */
#define CONFIG_RESOLVERS_MAX 8
#define CONFIG_DNSBLS_MAX    32

/*
 * Reads text (the content of the file called path, which is used in messages
 * only). Returns the configuration with one reference, or NULL and every
 * error in the file added to *errors, which starts all-zero and is kept in
 * the order of lines. An empty text gives the defaults.
 */
struct config *config_parse(struct slice text, const char *path,
	struct config_errors *errors);
/* The same from a file of at most CONFIG_FILE_MAX bytes. */
struct config *config_load(const char *path, struct config_errors *errors);
/*
 * Reads the passwords from their files or environment variables, the secrets
 * of SRS and the master key of DKIM; done by the supervisor while it still may.
 * 0, or -1 and errors added.
 */
int config_read_secrets(struct config *config, struct config_errors *errors);
/* Why a line of [srs] secrets_file behind n_before others would not be this
 * secret, as what follows "it"; NULL: it would. */
const char *config_srs_secret_problem(struct slice secret, size_t n_before);
/* Wipes them, in a process that has no use for them. */
void config_forget_secrets(struct config *config);
/* What it has read, one text after the other. */
#define CONFIG_SECRET_COUNT ((size_t)CONFIG_DB_COUNT + 3)
char **config_secret(struct config *config, size_t i);
/* Whether there is a master key of DKIM. */
bool config_has_dkim_key(const struct config *config);
/* The master key of DKIM; false when there is none. To be wiped after use. */
#define CONFIG_DKIM_KEY_SIZE 32
bool config_dkim_key(const struct config *config,
	unsigned char out[CONFIG_DKIM_KEY_SIZE]);
/* Where the file sets a field of the configuration; 0: it does not. */
unsigned config_line(const struct config *config, const void *field);
/* Whether senders are rewritten. */
bool config_has_srs(const struct config *config);
/* Whether the milter is on. */
bool config_has_milter(const struct config *config);
/* [dkim] canonicalization: the number of two forms of dkim_canon.h. */
#define CONFIG_CANON_FORMS(header, body) \
	((unsigned)(header)*DKIM_CANON_COUNT + (unsigned)(body))
enum dkim_canon config_canon_header(const struct config *config);
enum dkim_canon config_canon_body(const struct config *config);
/* Whether Received-SPF is put before messages. */
bool config_adds_received_spf(const struct config *config);
/* Adds one; after the first 1000 the rest is only said to exist. */
void config_error_add(struct config_errors *errors, unsigned line,
	const char *format, ...) __attribute__((format(printf, 3, 4)));
void config_errors_free(struct config_errors *errors);

struct config *config_ref(struct config *config);
/* Accepts NULL; the last reference wipes the passwords. */
void config_unref(struct config *config);

/*
 * The whole configuration as text, with "(default)" remarks as comments when
 * is_annotated; passwords never. Parsing it again gives the same settings.
 */
void config_print(const struct config *config, bool is_annotated,
	struct str *out);
/*
 * One row of the table for "policyctl config show", documentation checks and
 * completion: start with *at = 0, false at the end. value is appended to
 * *value as text.
 */
#define CONFIG_TYPE_TEXT_MAX 128
struct config_row {
	const char *section, *key, *help, *default_text;
	char type[CONFIG_TYPE_TEXT_MAX]; /* "a number from 1 to 16" */
	bool needs_restart, is_default;
};
bool config_next(const struct config *config, size_t *at,
	struct config_row *row, struct str *value);
/*
 * Names of settings that differ between the two and take effect only after a
 * restart (listeners, user, processes), separated by ", "; "" for none.
 */
void config_restart_needed(const struct config *old, const struct config *new,
	struct str *out);

/* ADDRESS or ADDRESS@PORT, of [dns] resolver */
bool config_is_resolver(struct slice text);
/* [dns] resolver = recursive */
bool config_dns_is_recursive(const struct config *config);

const char *rule_name(enum rule_id rule);
const char *rule_mode_name(enum rule_mode mode);
bool rule_id_parse(struct slice text, enum rule_id *out);

#endif
