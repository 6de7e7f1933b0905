/*
 * The statements of the tables against a private MariaDB: that they are
 * understood, that chunks leave nothing out and that a change is noticed.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/io/db.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/tables.h"
#include "policyd/facts/whitelist_domains.h"
#include "tests/unit/stores.h"

#define ROWS 2500

static struct daemon *daemon_;
static struct tables *tables;

static void
make_access_tables(void)
{
	sql("CREATE TABLE users (id INT UNSIGNED NOT NULL AUTO_INCREMENT"
	    " PRIMARY KEY, priority INT NOT NULL DEFAULT 7,"
	    " email VARBINARY(255) NOT NULL UNIQUE)"
	    " COLLATE=utf8mb4_general_ci;"
	    "CREATE TABLE mailaddr LIKE users;"
	    "CREATE TABLE wblist (rid INT UNSIGNED NOT NULL,"
	    " sid INT UNSIGNED NOT NULL, wb VARCHAR(10) NOT NULL,"
	    " PRIMARY KEY (rid, sid)) COLLATE=utf8mb4_general_ci;"
	    "CREATE TABLE outbound_wblist LIKE wblist;"
	    "CREATE TABLE access (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"
	    " PRIMARY KEY, direction VARCHAR(8) NOT NULL,"
	    " account VARCHAR(255) NOT NULL, address VARCHAR(255) NOT NULL,"
	    " wb CHAR(1) NOT NULL, expires_at INT UNSIGNED NOT NULL DEFAULT 0,"
	    " author VARCHAR(255) NOT NULL DEFAULT '',"
	    " reason VARCHAR(255) NOT NULL DEFAULT '')"
	    " COLLATE=utf8mb4_bin");
}

/* What iRedMail and the policyd schema have, in the one database. */
static void
make_tables(void)
{
	sql("CREATE TABLE domain (domain VARCHAR(255) NOT NULL PRIMARY KEY,"
	    " active TINYINT(1) NOT NULL DEFAULT 1,"
	    " backupmx TINYINT(1) NOT NULL DEFAULT 0)"
	    " COLLATE=utf8mb4_general_ci;"
	    "CREATE TABLE alias_domain (alias_domain VARCHAR(255) NOT NULL"
	    " PRIMARY KEY, target_domain VARCHAR(255) NOT NULL,"
	    " active TINYINT(1) NOT NULL DEFAULT 1)"
	    " COLLATE=utf8mb4_general_ci;"
	    "CREATE TABLE setting (account VARCHAR(255) NOT NULL,"
	    " name VARCHAR(64) NOT NULL, value VARCHAR(255) NOT NULL,"
	    " PRIMARY KEY (account, name))"
	    " COLLATE=utf8mb4_unicode_ci");
	make_access_tables();
}

static bool
is_refreshed(const void *arg)
{
	return *(const int *)arg != 0;
}

static void
on_refreshed(void *arg, bool is_fresh)
{
	*(int *)arg = is_fresh ? 1 : -1;
}

static void
refresh(void)
{
	int state = 0;

	tables_refresh(tables, on_refreshed, &state);
	wait_until(is_refreshed, &state);
	ck_assert_int_eq(state, 1);
}

static struct table_state
state_of(enum table_id id)
{
	struct table_state state;

	tables_state(tables, id, &state);
	ck_assert_str_eq(state.error, "");
	return state;
}

/* All databases are one here; this is the daemon's own, until it ends. */
static struct db *vmail;

static void
open_tables(void)
{
	stores_set_up();
	make_tables();
	daemon_ = daemon_new("");
	vmail = daemon_->sources.db[CONFIG_DB_VMAIL];
	daemon_->sources.db[CONFIG_DB_VMAIL] =
		daemon_->sources.db[CONFIG_DB_IREDAPD];
	daemon_->sources.db[CONFIG_DB_POLICYD] =
		daemon_->sources.db[CONFIG_DB_IREDAPD];
	daemon_->sources.db[CONFIG_DB_AMAVISD] =
		daemon_->sources.db[CONFIG_DB_IREDAPD];
	tables = tables_new(&daemon_->sources);
}

static void
close_tables(void)
{
	tables_free(tables);
	daemon_->sources.db[CONFIG_DB_VMAIL] = vmail;
	daemon_->sources.db[CONFIG_DB_POLICYD] = NULL;
	daemon_->sources.db[CONFIG_DB_AMAVISD] = NULL;
	daemon_free(daemon_);
	stores_tear_down();
}

START_TEST(an_installed_database_is_read)
{
	refresh();
	for (size_t i = 0; i < TABLE_COUNT; i++)
		ck_assert_uint_eq(state_of((enum table_id)i).n_rows,
			i == TABLE_GREYLISTING ? 1 : 0);
}
END_TEST

START_TEST(chunks_leave_nothing_out)
{
	struct domain_state domain;
	char name[64];

	/* Ten settings of one account lie across the ends of chunks. */
	sql("INSERT INTO domain SELECT CONCAT(IF(seq %% 2, 'D', 'd'), seq,"
	    " IF(seq %% 3, '.example', '.müller.example')), 1, seq %% 5 = 0"
	    " FROM seq_1_to_%d;"
	    "INSERT INTO alias_domain SELECT CONCAT('a', seq, '.Example'),"
	    " 'D1.example', 1 FROM seq_1_to_%d;"
	    "INSERT INTO setting SELECT CONCAT('u\\\"', seq DIV 3,"
	    " '@example.com'), ELT(seq %% 3 + 1, 'throttle.mode',"
	    " 'greylisting.mode', 'greylisting.tell_delay'),"
	    " IF(seq %% 3 = 2, 'yes', 'off') FROM seq_1_to_%d;"
	    "INSERT INTO throttle (account, kind, priority, period, max_msgs)"
	    " SELECT CONCAT('u', seq, '@example.com'), 'outbound', 100, 60, -1"
	    " FROM seq_1_to_%d;"
	    "INSERT INTO greylisting (account, priority, sender,"
	    " sender_priority) SELECT CONCAT('@d', seq, '.example'), -60,"
	    " '@.', -1 FROM seq_1_to_%d;"
	    "INSERT INTO greylisting_whitelists (account, sender) SELECT '@.',"
	    " CONCAT('10.0.', seq DIV 256, '.', seq %% 256)"
	    " FROM seq_1_to_%d;"
	    "INSERT INTO greylisting_whitelist_domain_spf (account, sender,"
	    " comment) SELECT '@.', CONCAT('10.', seq DIV 256, '.', seq %% 256,"
	    " '.0/24'), 'AUTO-UPDATE' FROM seq_1_to_%d;"
	    "INSERT INTO wblist_rdns (rdns) SELECT CONCAT('.h', seq,"
	    " '.example') FROM seq_1_to_%d;"
	    "INSERT INTO srs_exclude_domains (domain) SELECT CONCAT('.h', seq,"
	    " '.example') FROM seq_1_to_%d;"
	    "INSERT INTO greylisting_whitelist_domains (domain) SELECT"
	    " CONCAT('W', seq, '.example') FROM seq_1_to_%d;"
	    "INSERT INTO senderscore_cache SELECT CONCAT('10.', seq DIV 256,"
	    " '.', seq %% 256, '.1'), 100, 4102444799 FROM seq_1_to_%d;"
	    /* Cached by iRedAPD, and no exemption: not read. */
	    "INSERT INTO senderscore_cache VALUES ('10.20.0.1', 100, 1),"
	    " ('10.20.0.2', 99, 4102444799)",
		ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS,
		ROWS);
	/*
	 * 25 entries of each account lie across the ends of chunks; with each
	 * is one of Amavisd's own, and one that is about nobody.
	 */
	sql("INSERT INTO users (priority, email) SELECT seq, CONCAT('u', seq,"
	    " '@example.com') FROM seq_1_to_%d;"
	    "INSERT INTO mailaddr (email) SELECT CONCAT('t', seq,"
	    " '@a.example') FROM seq_1_to_25;"
	    "INSERT INTO wblist SELECT 1 + (seq - 1) DIV 25,"
	    " 1 + (seq - 1) %% 25, IF(seq %% 2, 'W', 'B') FROM seq_1_to_%d;"
	    "INSERT INTO wblist SELECT seq, 26, '-2.5' FROM seq_1_to_%d;"
	    "INSERT INTO wblist SELECT seq, 27, 'W' FROM seq_1_to_%d;"
	    "INSERT INTO outbound_wblist SELECT sid, rid, wb FROM wblist;"
	    "INSERT INTO access (direction, account, address, wb) SELECT"
	    " 'inbound', '@.', CONCAT(seq, '@a.example'), 'B' FROM"
	    " seq_1_to_%d",
		ROWS / 25, ROWS, ROWS / 25, ROWS / 25, ROWS);
	sql("UPDATE mailaddr SET email = CONCAT('s', id, '@Remote.example');"
	    "INSERT INTO mailaddr (id, email) VALUES (26, 'n@a.example')");
	refresh();
	ck_assert_ptr_null(tables_problem_next(tables, NULL));
	for (size_t i = 0; i < TABLE_COUNT; i++)
		ck_assert_uint_eq(state_of((enum table_id)i).n_rows,
			i == TABLE_GREYLISTING ? ROWS + 1 : ROWS);
	for (unsigned i = 1; i <= ROWS; i++) {
		snprintf(name, sizeof(name), "d%u%s", i,
			i % 3 ? ".example" : ".müller.example");
		ck_assert(domain_look_up(tables, slice_of(name), &domain));
		ck_assert_msg(domain.is_local, "%s", name);
		ck_assert_int_eq(domain.is_backup_mx, i % 5 == 0);
		snprintf(name, sizeof(name), "a%u.example", i);
		domain_look_up(tables, slice_of(name), &domain);
		ck_assert(slice_eq_text(domain.alias_target, "d1.example"));
	}
	ck_assert_uint_eq(whitelist_domains_get(tables)->n, ROWS);
	ck_assert_str_eq(whitelist_domains_get(tables)->names[0], "w1.example");
}
END_TEST

/* A column for each table that must change its fingerprint. */
static const struct {
	enum table_id id;
	const char *change;
} changes[] = {
	{ TABLE_DOMAIN, "UPDATE domain SET active = 0 LIMIT 1" },
	{ TABLE_DOMAIN, "UPDATE domain SET backupmx = 1 - backupmx LIMIT 1" },
	{ TABLE_ALIAS_DOMAIN,
		"UPDATE alias_domain SET target_domain = 'd2.example' LIMIT 1" },
	{ TABLE_ALIAS_DOMAIN, "UPDATE alias_domain SET active = 0 LIMIT 1" },
	{ TABLE_GREYLISTING, "UPDATE greylisting SET active = 0 LIMIT 1" },
	{ TABLE_GREYLISTING, "UPDATE greylisting SET priority = 7 LIMIT 1" },
	{ TABLE_GREYLISTING,
		"UPDATE greylisting SET sender_priority = 7 LIMIT 1" },
	{ TABLE_GREYLIST_WHITELIST,
		"UPDATE greylisting_whitelists SET comment = 'x' LIMIT 1" },
	{ TABLE_GREYLIST_WHITELIST,
		"UPDATE greylisting_whitelists SET account = '@a.b' LIMIT 1" },
	{ TABLE_GREYLIST_WHITELIST_SPF,
		"DELETE FROM greylisting_whitelist_domain_spf LIMIT 1" },
	{ TABLE_WHITELIST_DOMAINS,
		"UPDATE greylisting_whitelist_domains SET domain = 'a.example'"
		" LIMIT 1" },
	{ TABLE_THROTTLE, "UPDATE throttle SET max_msgs = 5 LIMIT 1" },
	{ TABLE_THROTTLE, "UPDATE throttle SET kind = 'inbound' LIMIT 1" },
	{ TABLE_THROTTLE, "UPDATE throttle SET period = 61 LIMIT 1" },
	{ TABLE_RDNS, "UPDATE wblist_rdns SET wb = 'W' LIMIT 1" },
	{ TABLE_RDNS, "UPDATE wblist_rdns SET rdns = 'a.example' LIMIT 1" },
	{ TABLE_SETTING, "UPDATE setting SET value = 'no' WHERE value = 'yes'"
			 " LIMIT 1" },
	{ TABLE_EXEMPT_CLIENTS,
		"UPDATE senderscore_cache SET client_address = '10.0.0.9'"
		" WHERE client_address = '10.0.1.1'" },
	{ TABLE_EXEMPT_CLIENTS, "UPDATE senderscore_cache SET time = 1"
				" WHERE client_address = '10.0.2.1'" },
	{ TABLE_SRS_EXCLUDE,
		"UPDATE srs_exclude_domains SET domain = 'a.example' LIMIT 1" },
	{ TABLE_WBLIST, "UPDATE wblist SET wb = 'B' WHERE wb = 'W' LIMIT 1" },
	{ TABLE_WBLIST, "UPDATE wblist SET wb = 'N' WHERE wb = 'W' LIMIT 1" },
	{ TABLE_OUTBOUND_WBLIST, "DELETE FROM outbound_wblist LIMIT 1" },
	{ TABLE_ACCESS, "UPDATE access SET expires_at = 7 LIMIT 1" },
	{ TABLE_ACCESS, "UPDATE access SET reason = 'x' LIMIT 1" },
	{ TABLE_ACCESS, "UPDATE access SET wb = 'W' LIMIT 1" },
};

START_TEST(every_change_is_noticed)
{
	const void *before[TABLE_COUNT];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		for (size_t id = 0; id < TABLE_COUNT; id++)
			before[id] = tables_get(tables, (enum table_id)id);
		sql("%s", changes[i].change);
		refresh();
		for (size_t id = 0; id < TABLE_COUNT; id++)
			ck_assert_msg((tables_get(tables, (enum table_id)id) !=
					      before[id]) ==
					      (id == changes[i].id),
				"%s: table %zu", changes[i].change, id);
	}
}
END_TEST

/* What the accounts and addresses of both lists are is in tables of their own.
 */
START_TEST(a_change_beside_the_lists_is_noticed)
{
	static const char *const statements[] = {
		"UPDATE users SET priority = priority + 1 LIMIT 1",
		"UPDATE mailaddr SET priority = 99 LIMIT 1",
		"UPDATE mailaddr SET email = 'other@a.example' LIMIT 1",
	};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]);
		i++) {
		const void *in = tables_get(tables, TABLE_WBLIST);
		const void *out = tables_get(tables, TABLE_OUTBOUND_WBLIST);

		sql("%s", statements[i]);
		refresh();
		ck_assert_msg(tables_get(tables, TABLE_WBLIST) != in &&
				      tables_get(tables,
					      TABLE_OUTBOUND_WBLIST) != out,
			"%s", statements[i]);
	}
}
END_TEST

/* TINYINT is signed; one strange row must not cost all the others. */
START_TEST(a_negative_number_is_a_number)
{
	size_t n[TABLE_COUNT];

	for (size_t i = 0; i < TABLE_COUNT; i++)
		n[i] = state_of((enum table_id)i).n_rows;
	sql("INSERT INTO domain VALUES ('minus.example', -1, -1);"
	    "INSERT INTO alias_domain VALUES ('minus.example', 'x.example',"
	    " -1);"
	    "INSERT INTO greylisting (account, priority, sender,"
	    " sender_priority, active) VALUES ('@minus.example', -128, '@.',"
	    " -128, -1);"
	    "ALTER TABLE throttle MODIFY priority TINYINT NOT NULL;"
	    "INSERT INTO throttle (account, kind, priority, period, max_msgs)"
	    " VALUES ('@minus.example', 'inbound', -1, 60, -2147483648)");
	refresh();
	for (size_t i = 0; i < TABLE_COUNT; i++)
		ck_assert_uint_eq(state_of((enum table_id)i).n_rows,
			n[i] + (i == TABLE_DOMAIN || i == TABLE_ALIAS_DOMAIN ||
				       i == TABLE_GREYLISTING ||
				       i == TABLE_THROTTLE));
}
END_TEST

START_TEST(a_missing_table_says_what_to_do)
{
	struct table_state state;
	int done = 0;

	sql("RENAME TABLE setting TO setting_away");
	tables_refresh(tables, on_refreshed, &done);
	wait_until(is_refreshed, &done);
	tables_state(tables, TABLE_SETTING, &state);
	ck_assert(slice_ends(slice_of(state.error),
		SLICE("; run \"policyctl db migrate\"")));
	sql("RENAME TABLE setting_away TO setting");
	refresh();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tables_sql");
	TCase *tc = tcase_create("tables_sql");

	/* One server for all, in this order. */
	tcase_add_unchecked_fixture(tc, open_tables, close_tables);
	tcase_add_test(tc, an_installed_database_is_read);
	tcase_add_test(tc, chunks_leave_nothing_out);
	tcase_add_test(tc, every_change_is_noticed);
	tcase_add_test(tc, a_change_beside_the_lists_is_noticed);
	tcase_add_test(tc, a_negative_number_is_a_number);
	tcase_add_test(tc, a_missing_table_says_what_to_do);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
