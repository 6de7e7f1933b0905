/* The databases: reachable, new enough, complete, with the rights we need. */

#include "policyd/ctl/doctor.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/config.h"
#include "policyd/schema.h"

#define TIMEOUT_MS   10000
#define SKEW_MAX_S   2
#define VALUE_MAX    8192
#define MIGRATE_LINE "policyctl db migrate"

/* Errors of the server (mysqld_error.h). */
enum {
	ER_DBACCESS_DENIED = 1044,
	ER_BAD_FIELD = 1054,
	ER_TABLEACCESS_DENIED = 1142,
	ER_COLUMNACCESS_DENIED = 1143,
	ER_NO_SUCH_TABLE = 1146,
};

/* What we do with a table: the columns, and the letters of the rights. */
struct probe {
	enum config_db_id db;
	const char *table, *columns, *key;
	const char *rights; /* s select, i insert, u update, d delete */
	const char *rule;   /* that needs it, NULL for all */
};

/* clang-format off */
static const struct probe probes[] = {
	{ CONFIG_DB_IREDAPD, "throttle",
	  "account, kind, priority, period, msg_size, max_msgs, max_quota,"
	  " max_rcpts", "account", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "throttle_tracking",
	  "tid, account, period, cur_msgs, cur_quota, init_time, last_time,"
	  " last_notify_time, admitted", "account", "siud", "throttle" },
	{ CONFIG_DB_IREDAPD, "greylisting",
	  "account, priority, sender, sender_priority, comment, active",
	  "account", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "greylisting_whitelists",
	  "account, sender, comment, created_at", "account", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "greylisting_whitelist_domain_spf",
	  "account, sender, comment", "account", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "greylisting_whitelist_domains", "domain",
	  "domain", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "greylisting_tracking",
	  "sender, recipient, client_address, sender_domain, rcpt_domain,"
	  " init_time, block_expired, record_expired, blocked_count, passed",
	  "sender", "siud", "greylisting" },
	{ CONFIG_DB_IREDAPD, "wblist_rdns", "rdns, wb", "rdns", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "srs_exclude_domains", "domain", "domain", "siud",
	  NULL },
	{ CONFIG_DB_IREDAPD, "senderscore_cache", "client_address, score, time",
	  "client_address", "siud", NULL },
	{ CONFIG_DB_IREDAPD, "smtp_sessions",
	  "time, time_num, action, reason, instance, client_address,"
	  " client_name, reverse_client_name, helo_name, sender,"
	  " sender_domain, sasl_username, sasl_domain, recipient,"
	  " recipient_domain, encryption_protocol, encryption_cipher,"
	  " server_address, server_port", "action", "sid", NULL },

	{ CONFIG_DB_VMAIL, "domain", "domain, active, backupmx", "domain",
	  "s", NULL },
	{ CONFIG_DB_VMAIL, "alias_domain",
	  "alias_domain, target_domain, active", "alias_domain", "s", NULL },
	{ CONFIG_DB_VMAIL, "forwardings",
	  "address, forwarding, is_list, is_alias, active", "address", "s",
	  "reject_sender_login_mismatch" },
	{ CONFIG_DB_VMAIL, "alias", "address, accesspolicy, active", "address",
	  "s", "alias_access_policy" },
	{ CONFIG_DB_VMAIL, "maillists", "address, accesspolicy, active",
	  "address", "s", "ml_access_policy" },
	{ CONFIG_DB_VMAIL, "moderators", "address, moderator", "address", "s",
	  "ml_access_policy" },
	{ CONFIG_DB_VMAIL, "maillist_owners", "address, owner", "address", "s",
	  "ml_access_policy" },
	{ CONFIG_DB_VMAIL, "mailbox", "username, passwordlastchange",
	  "username", "s", "force_password_change" },

	{ CONFIG_DB_AMAVISD, "users", "id, priority, policy_id, email",
	  "email", "siud", "amavisd_wblist" },
	{ CONFIG_DB_AMAVISD, "mailaddr", "id, priority, email", "email",
	  "siud", "amavisd_wblist" },
	{ CONFIG_DB_AMAVISD, "wblist", "rid, sid, wb", "wb", "siud",
	  "amavisd_wblist" },
	{ CONFIG_DB_AMAVISD, "outbound_wblist", "rid, sid, wb", "wb", "siud",
	  "amavisd_wblist" },

	{ CONFIG_DB_POLICYD, "schema_migration",
	  "database_name, number, name, applied_at", "name", "s", NULL },
	{ CONFIG_DB_POLICYD, "setting",
	  "account, name, value, changed_at, changed_by, reason", "account",
	  "siud", NULL },
	{ CONFIG_DB_POLICYD, "decision",
	  "slot, time_us, code, old_reply, detail", "slot", "si", NULL },
	{ CONFIG_DB_POLICYD, "lease",
	  "name, holder, held_until, finished_at, node, n_rows", "name", "siu",
	  NULL },
	{ CONFIG_DB_POLICYD, "access",
	  "direction, account, address, wb, expires_at, author, reason,"
	  " created_at", "account", "siud", NULL },
	{ CONFIG_DB_POLICYD, "dmarc_aggregate",
	  "row_key, day, policy_domain, record, source_ip, header_from,"
	  " envelope_from, envelope_to, disposition, dkim_aligned, spf_aligned,"
	  " override_type, override_comment, spf_result, spf_domain,"
	  " spf_is_helo, dkim, n", "policy_domain", "siud", "dmarc" },
	{ CONFIG_DB_POLICYD, "dkim_key",
	  "id, domain, selector, algorithm, state, active_algorithm,"
	  " private_key, record, bits, made_at, published_at, active_at,"
	  " retired_at, revoked_at, checked_at, check_result, check_problem,"
	  " n_absent, author, reason", "domain", "siu", NULL },
};
/* clang-format on */

#define N_PROBES (sizeof(probes) / sizeof(probes[0]))

/* One database under examination. */
struct patient {
	struct doctor *doctor;
	struct loop *loop;
	enum config_db_id id;
	const struct config_db *config;
	const char *where; /* "database iredapd" */
	struct db *db;
	/* Of the statement that ran last: */
	enum db_status status;
	unsigned error_number;
	const char *error;
	void (*take)(struct patient *patient, const struct db_rows *rows);
	/* What was read: */
	const char *version, *account;
	int64_t now;
	bool is_applied;
	const char *missing_migrations;
	const char *denied, *missing; /* what is not there, or not allowed */
	size_t n_rows;
};

/* --- statements --------------------------------------------------------- */

static void
on_done(void *arg, const struct db_result *result)
{
	struct patient *patient = arg;

	patient->status = result->status;
	patient->error_number = result->error_number;
	patient->error = doctor_text(patient->doctor, "%s", result->error);
	if (result->status == DB_OK && patient->take != NULL)
		patient->take(patient, result->rows);
}

static bool
run_with(struct patient *patient, const struct db_statement *statement,
	const struct db_value *values,
	void (*take)(struct patient *patient, const struct db_rows *rows))
{
	patient->take = take;
	patient->error = "";
	db_run_and_wait(patient->loop, patient->db, statement, values,
		TIMEOUT_MS, on_done, patient);
	return patient->status == DB_OK;
}

static bool
run(struct patient *patient, const struct db_statement *statement,
	void (*take)(struct patient *patient, const struct db_rows *rows))
{
	return run_with(patient, statement, NULL, take);
}

/* A statement about a table of the list above; it changes no row. */
static bool
run_text(struct patient *patient, const char *sql, const char *columns)
{
	struct db_statement *statement =
		arena_new_object(patient->doctor->arena, struct db_statement);

	statement->name = "probe";
	statement->sql = sql;
	statement->access = DB_READS;
	statement->params = "";
	statement->columns = columns;
	return run(patient, statement, NULL);
}

static const char *
text_of(struct patient *patient, const struct db_rows *rows, size_t row,
	size_t column)
{
	return slice_copy(patient->doctor->arena,
		db_rows_text(rows, row, column))
		.ptr;
}

static void
find(struct patient *patient, enum doctor_severity severity, const char *mend,
	const char *what)
{
	doctor_find(patient->doctor, severity, patient->where, mend, "%s",
		what);
	patient->doctor->has_database_finding |= severity == DOCTOR_ERROR;
}

/* --- lines that mend ---------------------------------------------------- */

/* "'policyd'@'localhost'" and "policyd@localhost" in backticks. */
static const char *
quoted_account(struct patient *patient, const char *text)
{
	const struct slice account = slice_of(text);
	const ptrdiff_t at = slice_find_last(account, '@');
	struct slice user, host;

	if (at < 0)
		return "...";
	user = slice_part(account, 0, (size_t)at);
	host = slice_from(account, (size_t)at + 1);
	if (slice_starts(user, SLICE("'"))) {
		user = slice_part(user, 1, user.len - 1);
		host = slice_part(host, 1, host.len - 1);
	}
	if (slice_has_byte(account, '`') || slice_has_byte(user, '\''))
		return "...";
	return doctor_text(patient->doctor, "`%.*s`@`%.*s`", SLICE_ARG(user),
		SLICE_ARG(host));
}

/*
 * The rights that iRedMail gives, and no more: accounts are only read. In our
 * own database a day of decisions goes as a partition, which takes DROP.
 */
static const char *
grant_line(struct patient *patient, const char *account)
{
	static const char *const rights[CONFIG_DB_COUNT] = {
		[CONFIG_DB_IREDAPD] = "SELECT, INSERT, UPDATE, DELETE",
		[CONFIG_DB_VMAIL] = "SELECT",
		[CONFIG_DB_POLICYD] = "SELECT, INSERT, UPDATE, DELETE, DROP",
		[CONFIG_DB_AMAVISD] = "SELECT, INSERT, UPDATE, DELETE",
	};

	return doctor_text(patient->doctor,
		"mariadb -e 'GRANT %s ON `%s`.* TO %s'", rights[patient->id],
		patient->config->name, quoted_account(patient, account));
}

/* A database that may not be there yet, and the right to make its tables. */
static const char *
make_line(struct patient *patient, const char *account)
{
	return doctor_text(patient->doctor,
		"mariadb -e 'CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET "
		"utf8mb4 COLLATE utf8mb4_unicode_ci; GRANT SELECT, INSERT, "
		"UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON "
		"`%s`.* TO %s' && " MIGRATE_LINE,
		patient->config->name, patient->config->name,
		quoted_account(patient, account));
}

/* --- the server --------------------------------------------------------- */

static void
take_server(struct patient *patient, const struct db_rows *rows)
{
	patient->version = text_of(patient, rows, 0, 0);
	patient->account = text_of(patient, rows, 0, 1);
	patient->now = db_rows_i64(rows, 0, 2);
}

/*
 * Why it cannot be reached. "Access denied for user 'a'@'b' to database 'c'"
 * tells who lacks a right there, "(using password: YES)" that it is nobody.
 */
static void
tell_unreachable(struct patient *patient)
{
	static const char before[] = "Access denied for user ";
	static const char behind[] = " to database";
	struct doctor *doctor = patient->doctor;
	const struct config_db *config = patient->config;
	const char *who = strstr(patient->error, before);
	const char *end = who == NULL ? NULL : strstr(who, behind);
	const char *mend = "systemctl status mariadb", *hint = "";

	if (end != NULL) {
		who += sizeof(before) - 1;
		who = doctor_text(doctor, "%.*s", (int)(end - who), who);
		mend = patient->id == CONFIG_DB_POLICYD
			       ? make_line(patient, who)
			       : grant_line(patient, who);
	} else if (who != NULL) {
		mend = "";
		hint = doctor_text(doctor,
			"; is the password in %s that of this account?",
			config->password_file[0] != '\0'
				? config->password_file
				: config->password_env);
	} else if (strstr(patient->error, "Unknown database") != NULL) {
		mend = MIGRATE_LINE;
	}
	doctor->needs_migration |= patient->id == CONFIG_DB_POLICYD;
	find(patient, DOCTOR_ERROR, mend,
		doctor_text(doctor, "user %s: %s%s", config->user,
			patient->error, hint));
}

/* False when there is no more to be asked. */
static bool
check_server(struct patient *patient)
{
	static const struct db_statement statement = {
		.name = "doctor_server",
		.sql = "SELECT VERSION(), CURRENT_USER(),"
		       " CAST(UNIX_TIMESTAMP() AS SIGNED)",
		.access = DB_READS,
		.params = "",
		.columns = "ssi",
	};
	struct doctor *doctor = patient->doctor;
	const int64_t before = clock_wall();
	int64_t after;

	if (!run(patient, &statement, take_server)) {
		tell_unreachable(patient);
		return false;
	}
	after = clock_wall();
	if (!schema_server_is_supported(slice_of(patient->version)))
		find(patient, DOCTOR_ERROR, "",
			doctor_text(doctor,
				"the server is %s; policyd needs MariaDB %s "
				"or newer",
				patient->version, SCHEMA_SERVER_MIN));
	if (patient->now < before - SKEW_MAX_S ||
		patient->now > after + SKEW_MAX_S)
		find(patient, DOCTOR_WARNING, "timedatectl set-ntp true",
			doctor_text(doctor,
				"the clock of the server is %lld seconds "
				"%s ours: whichever is wrong, greylisting and "
				"limits of several daemons disagree",
				(long long)(patient->now > after
						    ? patient->now - after
						    : before - patient->now),
				patient->now > after ? "ahead of" : "behind"));
	return true;
}

/* --- tables and rights -------------------------------------------------- */

static bool
is_needed(const struct doctor *doctor, const struct probe *probe)
{
	enum rule_id rule;

	return probe->rule == NULL ||
	       (rule_id_parse(slice_of(probe->rule), &rule) &&
		       doctor->config->rule[rule].mode != RULE_MODE_OFF);
}

static const char *
probe_text(struct doctor *doctor, const struct probe *probe, char right)
{
	switch (right) {
	case 's':
		return doctor_text(doctor,
			"SELECT COUNT(*) FROM (SELECT %s FROM %s LIMIT 0) t",
			probe->columns, probe->table);
	case 'i':
		return doctor_text(doctor,
			"INSERT INTO %s (%s) SELECT %s FROM %s WHERE FALSE",
			probe->table, probe->columns, probe->columns,
			probe->table);
	case 'u':
		return doctor_text(doctor, "UPDATE %s SET %s = %s WHERE FALSE",
			probe->table, probe->key, probe->key);
	default:
		return doctor_text(doctor, "DELETE FROM %s WHERE FALSE",
			probe->table);
	}
}

static void
note_part(struct patient *patient, const char **list, const char *part)
{
	*list = doctor_text(patient->doctor, "%s%s%s", *list,
		(*list)[0] == '\0' ? "" : ", ", part);
}

static bool
is_denied(const struct patient *patient)
{
	return patient->error_number == ER_DBACCESS_DENIED ||
	       patient->error_number == ER_TABLEACCESS_DENIED ||
	       patient->error_number == ER_COLUMNACCESS_DENIED;
}

/*
 * Whether old decisions can go. The server looks at the right first, and then
 * for a partition that there is not.
 */
static void
try_truncate(struct patient *patient)
{
	if (patient->id != CONFIG_DB_POLICYD ||
		run_text(patient,
			"ALTER TABLE decision TRUNCATE PARTITION no_such",
			"") ||
		patient->status != DB_REFUSED || !is_denied(patient))
		return;
	find(patient, DOCTOR_WARNING, grant_line(patient, patient->account),
		doctor_text(patient->doctor,
			"user %s lacks DROP on decision: old decisions stay "
			"for ever",
			patient->account));
}

/* The rights on one table; false when the rest makes no sense. */
static bool
try_right(struct patient *patient, const struct probe *probe, char right)
{
	struct doctor *doctor = patient->doctor;
	static const char *const names[] = { ['s'] = "SELECT",
		['i'] = "INSERT",
		['u'] = "UPDATE",
		['d'] = "DELETE" };

	if (run_text(patient, probe_text(doctor, probe, right),
		    right == 's' ? "u" : ""))
		return true;
	if (is_denied(patient)) {
		note_part(patient, &patient->denied,
			doctor_text(doctor, "%s on %s",
				names[(unsigned char)right], probe->table));
		return right != 's';
	}
	switch (patient->error_number) {
	case ER_NO_SUCH_TABLE:
	case ER_BAD_FIELD:
		note_part(patient, &patient->missing,
			doctor_text(doctor, "%s: %s%s%s", probe->table,
				patient->error,
				probe->rule == NULL ? "" : ", for the rule ",
				probe->rule == NULL ? "" : probe->rule));
		return false;
	default:
		find(patient, DOCTOR_ERROR, "",
			doctor_text(doctor, "table %s: %s", probe->table,
				patient->error));
		return false;
	}
}

/*
 * The line that makes what db migrate has not made yet, or has made before:
 * its files do no harm when they are applied again.
 */
static const char *
make_again_line(struct patient *patient)
{
	const struct doctor *doctor = patient->doctor;

	if (doctor->needs_migration ||
		(patient->id == CONFIG_DB_POLICYD &&
			strstr(patient->missing, "schema_migration:") != NULL))
		return MIGRATE_LINE;
	return doctor_text(patient->doctor,
		"mariadb -e 'DELETE FROM `%s`.schema_migration WHERE "
		"database_name = \"%s\"' && " MIGRATE_LINE,
		doctor->config->db[CONFIG_DB_POLICYD].name,
		patient->id == CONFIG_DB_POLICYD ? "policyd" : "iredapd");
}

/* Of a database that others make, when something is not there. */
static const char *
foreign_hint(const struct patient *patient)
{
	if (patient->id == CONFIG_DB_VMAIL)
		return "; is this the database of iRedMail?";
	if (patient->id == CONFIG_DB_AMAVISD)
		return "; is this the database of Amavisd?";
	return "";
}

static void
check_rights(struct patient *patient)
{
	struct doctor *doctor = patient->doctor;

	for (size_t i = 0; i < N_PROBES; i++) {
		const struct probe *probe = &probes[i];
		const char *right = probe->rights;

		if (probe->db != patient->id || !is_needed(doctor, probe))
			continue;
		while (*right != '\0' && try_right(patient, probe, *right))
			right++;
	}
	if (patient->denied[0] != '\0')
		find(patient, DOCTOR_ERROR,
			grant_line(patient, patient->account),
			doctor_text(doctor, "user %s lacks %s",
				patient->account, patient->denied));
	else
		try_truncate(patient);
	if (patient->missing[0] != '\0')
		find(patient, DOCTOR_ERROR,
			foreign_hint(patient)[0] == '\0'
				? make_again_line(patient)
				: "",
			doctor_text(doctor, "%s%s", patient->missing,
				foreign_hint(patient)));
}

/* --- what is in them ---------------------------------------------------- */

static void
take_migrations(struct patient *patient, const struct db_rows *rows)
{
	for (size_t i = 0; i < n_migrations; i++) {
		bool is_applied = false;

		for (size_t row = 0; row < db_rows_count(rows); row++)
			is_applied |= migration_find(db_rows_text(rows, row, 0),
					      (unsigned)db_rows_u64(rows, row,
						      1)) == (int)i;
		if (!is_applied)
			note_part(patient, &patient->missing_migrations,
				doctor_text(patient->doctor, "%s/%03u_%s",
					migrations[i].database,
					migrations[i].number,
					migrations[i].name));
	}
}

static void
check_migrations(struct patient *patient)
{
	static const struct db_statement statement = {
		.name = "doctor_migrations",
		.sql = "SELECT database_name, number FROM schema_migration",
		.access = DB_READS,
		.params = "",
		.columns = "su",
	};

	if (patient->id != CONFIG_DB_POLICYD ||
		!run(patient, &statement, take_migrations) ||
		patient->missing_migrations[0] == '\0')
		return;
	patient->doctor->needs_migration = true;
	find(patient, DOCTOR_ERROR, MIGRATE_LINE,
		doctor_text(patient->doctor, "these migrations are missing: %s",
			patient->missing_migrations));
}

static void
take_collations(struct patient *patient, const struct db_rows *rows)
{
	struct doctor *doctor = patient->doctor;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		const struct slice table = db_rows_text(rows, i, 0);
		const struct slice usual = db_rows_text(rows, i, 2);

		find(patient, DOCTOR_WARNING,
			doctor_text(doctor,
				"mariadb -e 'ALTER TABLE `%s`.`%.*s` CONVERT "
				"TO CHARACTER SET %.*s COLLATE %.*s'",
				patient->config->name, SLICE_ARG(table),
				SLICE_ARG(db_rows_text(rows, i, 3)),
				SLICE_ARG(usual)),
			doctor_text(doctor,
				"%.*s has the collation %.*s, other tables "
				"have %.*s: its rows are found without an "
				"index, or not at all",
				SLICE_ARG(table),
				SLICE_ARG(db_rows_text(rows, i, 1)),
				SLICE_ARG(usual)));
	}
}

static void
check_collations(struct patient *patient)
{
	const struct db_value name = {
		.text = slice_of(patient->config->name),
	};

	if (patient->id == CONFIG_DB_IREDAPD)
		(void)run_with(patient, &schema_collations, &name,
			take_collations);
}

static void
take_useless(struct patient *patient, const struct db_rows *rows)
{
	struct doctor *doctor = patient->doctor;

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		const struct slice account = db_rows_text(rows, i, 0);
		const struct slice kind = db_rows_text(rows, i, 1);
		const bool has_period = db_rows_u64(rows, i, 2) > 0;

		doctor_find(doctor, DOCTOR_WARNING, "table iredapd.throttle",
			doctor_text(doctor,
				has_period ? "policyctl throttle unset %s %s"
					   : "policyctl throttle set %s %s "
					     "--period 1h",
				doctor_quoted(doctor, account),
				doctor_quoted(doctor, kind)),
			has_period ? "%.*s %.*s limits nothing: it has a "
				     "period and no limit"
				   : "%.*s %.*s is never looked at: its "
				     "period is 0",
			SLICE_ARG(account), SLICE_ARG(kind));
	}
}

static void
take_count(struct patient *patient, const struct db_rows *rows)
{
	patient->n_rows = (size_t)db_rows_u64(rows, 0, 0);
}

/* Rows that do nothing, and switches that nobody has turned. */
static void
check_rows(struct patient *patient)
{
	static const struct db_statement useless = {
		.name = "doctor_throttle",
		.sql = "SELECT account, kind, CAST(period AS UNSIGNED)"
		       " FROM throttle WHERE period = 0 OR"
		       " (msg_size < 0 AND max_msgs < 0 AND max_quota < 0"
		       " AND max_rcpts < 0) ORDER BY account, kind LIMIT 5",
		.access = DB_READS,
		.params = "",
		.columns = "ssu",
	};
	static const struct db_statement active = {
		.name = "doctor_greylisting",
		.sql = "SELECT COUNT(*) FROM greylisting WHERE active = 1",
		.access = DB_READS,
		.params = "",
		.columns = "u",
	};
	const struct config_rule *rules = patient->doctor->config->rule;

	if (patient->id != CONFIG_DB_IREDAPD)
		return;
	if (rules[RULE_ID_throttle].mode != RULE_MODE_OFF)
		(void)run(patient, &useless, take_useless);
	if (rules[RULE_ID_greylisting].mode != RULE_MODE_OFF &&
		run(patient, &active, take_count) && patient->n_rows == 0)
		doctor_find(patient->doctor, DOCTOR_NOTE,
			"table iredapd.greylisting",
			"policyctl greylist enable",
			"the rule greylisting is on, but no row switches it "
			"on for anybody");
}

/* --- one after the other ------------------------------------------------ */

static void
examine(struct doctor *doctor, struct loop *loop, enum config_db_id id)
{
	const struct config_db *from = &doctor->config->db[id];
	struct patient patient = {
		.doctor = doctor,
		.loop = loop,
		.id = id,
		.config = from,
		.where = doctor_text(doctor, "database %s at %s", from->name,
			from->host[0] != '\0' ? from->host : from->socket),
		.denied = "",
		.missing = "",
		.missing_migrations = "",
	};
	struct db_config config = config_db_target(from);

	config.label = from->name;
	config.connections = 1;
	config.connect_timeout_ms = TIMEOUT_MS;
	config.statement_timeout_ms = TIMEOUT_MS;
	config.queue_max = 8;
	patient.db = db_new(loop, &config);
	if (check_server(&patient)) {
		check_rights(&patient);
		check_migrations(&patient);
		check_collations(&patient);
		check_rows(&patient);
	}
	db_free(patient.db);
}

void
doctor_check_databases(struct doctor *doctor)
{
	struct config_errors errors = { NULL, 0 };
	const bool has_passwords =
		config_read_secrets(doctor->config, &errors) == 0;
	struct loop *loop;

	if (!has_passwords) {
		doctor_find(doctor, DOCTOR_WARNING, doctor->config_path,
			geteuid() == 0 ? "" : "sudo policyctl doctor",
			"the databases were not checked: %s",
			errors.n > 0 ? errors.items[0].text
				     : "a password cannot be read");
	} else {
		loop = loop_new();
		/* First the one that knows what was applied to the others. */
		examine(doctor, loop, CONFIG_DB_POLICYD);
		for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
			if (i != CONFIG_DB_POLICYD &&
				doctor->config->db[i].name[0] != '\0')
				examine(doctor, loop, (enum config_db_id)i);
		loop_free(loop);
	}
	config_errors_free(&errors);
}
