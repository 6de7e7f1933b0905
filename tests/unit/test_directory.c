/*
 * What vmail knows of addresses, against a real MariaDB with the tables of
 * iRedMail.
 */

#include "policyd/facts/directory.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "policyd/facts/domains.h"
#include "tests/clock.h"
#include "tests/unit/fake_tables.h"
#include "tests/unit/stores.h"

#define SETTINGS                                                \
	"[database]\nstatement_timeout = 2s\ntable_ttl = 10s\n" \
	"[limits]\ndirectory = 1000\n"

static struct fake_world world;
static struct daemon *daemon_;
static int64_t offset;

static void
turn(int64_t seconds)
{
	offset += seconds;
	test_clock_set(offset);
}

static void
setup(void)
{
	sql("DELETE FROM vmail.alias; DELETE FROM vmail.forwardings; "
	    "DELETE FROM vmail.maillists; DELETE FROM vmail.moderators; "
	    "DELETE FROM vmail.maillist_owners; "
	    "REPLACE INTO vmail.alias_domain VALUES "
	    "('alias.example', 'example.com', 1), "
	    "('second.example', 'example.com', 1), "
	    "('off.example', 'example.com', 0)");
	fake_world_begin(&world, "");
	fake_world_put(&world, &table_domain, "example.com|1|0");
	fake_world_put(&world, &table_alias_domain,
		"alias.example|example.com|1\n"
		"second.example|example.com|1\n"
		"off.example|example.com|0\n");
	daemon_ = daemon_new(SETTINGS);
	daemon_->sources.tables = fake_tables();
}

static void
teardown(void)
{
	daemon_free(daemon_);
	fake_world_end(&world);
}

/* Texts reach the server through a shell and SQL: as digits. */
static const char *
hex(const char *text)
{
	static char out[4][2100];
	static unsigned next;
	char *at = out[next++ % 4], *begin = at;
	size_t left = sizeof(out[0]);

	at += snprintf(at, left, "CONVERT(0x");
	for (; *text != '\0'; text++, at += 2)
		(void)snprintf(at, 3, "%02x", (unsigned char)*text);
	(void)snprintf(at, 16, " USING utf8mb4)");
	return begin;
}

static void
add_forwarding(const char *address, const char *forwarding, const char *column)
{
	sql("INSERT INTO vmail.forwardings (address, forwarding, %s) "
	    "VALUES (%s, %s, 1)",
		column, hex(address), hex(forwarding));
}

static struct question *
ask_about(const char *sender, const char *recipient, const char *login)
{
	char more[2000];

	(void)snprintf(more, sizeof(more), "sasl_username=%s\n", login);
	return question_new(daemon_, "192.0.2.1", sender, recipient, more);
}

/* What login is to sender, in letters: m, s, p, P, o, l. */
static const char *
roles_of(const char *login, const char *sender)
{
	static char out[8];
	struct question *q = ask_about(sender, "x@example.com", login);
	const struct roles *roles;
	char *at = out;

	if (!fact_login_roles(&q->facts, &roles)) {
		wait_for_facts(q);
		ck_assert_msg(fact_login_roles(&q->facts, &roles), "%s",
			q->facts.slot[FACT_LOGIN_ROLES].reason);
	}
	if (roles->is_member)
		*at++ = 'm';
	if (roles->is_alias_owner)
		*at++ = 's';
	if (roles->is_moderator)
		*at++ = 'p';
	if (roles->is_any_moderator)
		*at++ = 'P';
	if (roles->is_owner)
		*at++ = 'o';
	if (roles->of_maillist)
		*at++ = 'l';
	*at = '\0';
	question_free(q);
	return out;
}

static const struct account *
account_of(const char *recipient)
{
	static struct account out;
	struct question *q = ask_about("", recipient, "");
	const struct account *account;

	if (!fact_recipient_account(&q->facts, &account)) {
		wait_for_facts(q);
		ck_assert_msg(fact_recipient_account(&q->facts, &account), "%s",
			q->facts.slot[FACT_RECIPIENT_ACCOUNT].reason);
	}
	out = *account;
	question_free(q);
	return &out;
}

static uint64_t
statements(void)
{
	return metric_get(METRIC_SQL_STATEMENTS);
}

START_TEST(policies)
{
	static const struct {
		const char *word;
		enum access_policy policy;
	} words[] = {
		{ "", ACCESS_PUBLIC },
		{ "public", ACCESS_PUBLIC },
		{ "Domain", ACCESS_DOMAIN },
		{ "subdomain", ACCESS_SUBDOMAIN },
		{ "membersonly", ACCESS_MEMBERS },
		{ "MODERATORSONLY", ACCESS_MODERATORS },
		{ "allowedonly", ACCESS_MODERATORS },
		{ "membersandmoderatorsonly", ACCESS_MEMBERS_AND_MODERATORS },
		{ "whatever", ACCESS_PUBLIC },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char address[64];

		(void)snprintf(address, sizeof(address), "l%zu@example.com", i);
		sql("INSERT INTO vmail.alias (address, accesspolicy) VALUES "
		    "('%s', '%s')",
			address, words[i].word);
		sql("INSERT INTO vmail.maillists (address, accesspolicy, mlid) "
		    "VALUES ('%s', '%s', '%zu')",
			address, words[i].word, i);
		ck_assert(account_of(address)->is_alias);
		ck_assert(account_of(address)->is_maillist);
		ck_assert(!account_of(address)->is_mailbox);
		ck_assert_msg(account_of(address)->alias_policy ==
				      words[i].policy,
			"%s", words[i].word);
		ck_assert_int_eq(account_of(address)->maillist_policy,
			words[i].policy);
	}
}
END_TEST

START_TEST(accounts)
{
	sql("INSERT INTO vmail.alias (address, accesspolicy, active) VALUES "
	    "('Team@Example.com', 'domain', 1), ('off@example.com', 'domain', "
	    "0), ('here@alias.example', 'membersonly', 1), "
	    "('here@example.com', 'domain', 1)");
	sql("INSERT INTO vmail.maillists (address, accesspolicy, active, mlid) "
	    "VALUES ('off@example.com', 'domain', 0, 'a')");
	ck_assert(account_of("team@example.com")->is_alias);
	ck_assert(account_of("team+news@example.com")->is_alias);
	ck_assert(account_of("TEAM@alias.example")->is_alias);
	ck_assert_int_eq(account_of("team@second.example")->alias_policy,
		ACCESS_DOMAIN);
	ck_assert(!account_of("team@off.example")->is_alias);
	ck_assert(!account_of("off@example.com")->is_alias);
	ck_assert(!account_of("off@example.com")->is_maillist);
	/* As it came first, then the one behind it. */
	ck_assert_int_eq(account_of("here@alias.example")->alias_policy,
		ACCESS_MEMBERS);
	ck_assert_int_eq(account_of("here@second.example")->alias_policy,
		ACCESS_DOMAIN);
	ck_assert(account_of("alice@example.com")->is_mailbox);
	ck_assert(account_of("alice@alias.example")->is_mailbox);
	ck_assert(!account_of("nobody@example.com")->is_mailbox);
	ck_assert(!account_of("user@localhost")->is_mailbox);
}
END_TEST

START_TEST(passwords)
{
	sql("REPLACE INTO vmail.mailbox (username, passwordlastchange) VALUES "
	    "('never@example.com', DEFAULT), "
	    "('now@example.com', NOW())");
	sql("SET sql_mode = ''; REPLACE INTO vmail.mailbox (username, "
	    "passwordlastchange) VALUES ('zero@example.com', 0)");
	ck_assert_int_lt(account_of("never@example.com")->password_changed_at,
		2 * 86400);
	/* NOW() is of the server's own zone, as iRedAdmin writes it. */
	ck_assert_int_le(
		llabs(account_of("now@example.com")->password_changed_at -
			clock_wall() + offset),
		60);
	ck_assert(account_of("zero@example.com")->is_mailbox);
	ck_assert_int_eq(account_of("zero@example.com")->password_changed_at,
		0);
	sql("UPDATE vmail.mailbox SET active = 0 WHERE username = "
	    "'zero@example.com'");
	turn(11);
	ck_assert(!account_of("zero@example.com")->is_mailbox);
}
END_TEST

START_TEST(roles)
{
	sql("INSERT INTO vmail.forwardings (address, forwarding, is_list, "
	    "is_alias, is_forwarding, active) VALUES "
	    "('l@example.com', 'm@example.com', 1, 0, 0, 1), "
	    "('l@example.com', 'off@example.com', 1, 0, 0, 0), "
	    "('s@example.com', 'm@example.com', 0, 1, 0, 1), "
	    "('t@example.com', 'm@example.com', 0, 1, 0, 0), "
	    "('f@example.com', 'm@example.com', 0, 0, 1, 1), "
	    "('x@example.com', 'M@second.example', 0, 1, 0, 1), "
	    "('off@example.com', 'm@example.com', 1, 0, 0, 1), "
	    "('a@alias.example', 'm@example.com', 0, 1, 0, 1)");
	sql("INSERT INTO vmail.alias (address, active) VALUES "
	    "('off@example.com', 0), ('l@example.com', 1)");
	sql("INSERT INTO vmail.moderators (address, moderator) VALUES "
	    "('l@example.com', 'p@example.com'), "
	    "('l@example.com', 'q@alias.example'), "
	    "('ml@example.com', 'p@example.com'), "
	    "('d@example.com', '*@example.com'), "
	    "('e@example.com', '*@alias.example'), "
	    "('l@example.com', 'far@remote.example')");
	sql("INSERT INTO vmail.maillist_owners (address, owner) VALUES "
	    "('ml@example.com', 'o@example.com'), "
	    "('gone@example.com', 'o@example.com')");
	sql("INSERT INTO vmail.maillists (address, active, mlid) VALUES "
	    "('ml@example.com', 1, 'a'), ('gone@example.com', 0, 'b')");

	ck_assert_str_eq(roles_of("m@example.com", "l@example.com"), "m");
	ck_assert_str_eq(roles_of("M@Example.COM", "L@alias.example"), "m");
	ck_assert_str_eq(roles_of("m@alias.example", "l@second.example"), "m");
	ck_assert_str_eq(roles_of("m@off.example", "l@example.com"), "");
	ck_assert_str_eq(roles_of("m@example.com", "l@off.example"), "");
	ck_assert_str_eq(roles_of("off@example.com", "l@example.com"), "");
	ck_assert_str_eq(roles_of("m@example.com", "s@example.com"), "s");
	ck_assert_str_eq(roles_of("m@example.com", "s+x@alias.example"), "s");
	ck_assert_str_eq(roles_of("m@example.com", "t@example.com"), "");
	ck_assert_str_eq(roles_of("m@example.com", "f@example.com"), "");
	ck_assert_str_eq(roles_of("m@example.com", "x@example.com"), "s");
	ck_assert_str_eq(roles_of("m@alias.example", "x@example.com"), "s");
	ck_assert_str_eq(roles_of("m@example.com", "off@example.com"), "");
	ck_assert_str_eq(roles_of("m@example.com", "a@alias.example"), "s");
	ck_assert_str_eq(roles_of("m@example.com", "a@example.com"), "");
	ck_assert_str_eq(roles_of("p@example.com", "l@example.com"), "p");
	ck_assert_str_eq(roles_of("q@example.com", "l@example.com"), "p");
	ck_assert_str_eq(roles_of("q@second.example", "l@alias.example"), "p");
	ck_assert_str_eq(roles_of("p@example.com", "ml@example.com"), "pl");
	ck_assert_str_eq(roles_of("o@example.com", "ml@example.com"), "ol");
	ck_assert_str_eq(roles_of("o@example.com", "gone@example.com"), "");
	ck_assert_str_eq(roles_of("any@example.com", "d@example.com"), "P");
	ck_assert_str_eq(roles_of("any@alias.example", "d@example.com"), "P");
	ck_assert_str_eq(roles_of("any@example.com", "e@example.com"), "P");
	ck_assert_str_eq(roles_of("any@remote.example", "d@example.com"), "");
	ck_assert_str_eq(roles_of("far@remote.example", "l@example.com"), "p");
}
END_TEST

/* A pattern would let "_" and "%" of a login match anybody. */
START_TEST(extended_addresses_are_compared_literally)
{
	add_forwarding("a1@example.com", "johnXdoe+in@example.com", "is_alias");
	add_forwarding("a2@example.com", "john_doe+in@example.com", "is_alias");
	add_forwarding("a3@example.com", "john_doe+in@alias.example",
		"is_alias");
	add_forwarding("a4@example.com", "john_doe+in@other.example",
		"is_alias");
	add_forwarding("a5@example.com", "john_doe-in@example.com", "is_alias");
	add_forwarding("a6@example.com", "john_doe+in@example.com", "is_list");
	add_forwarding("a7@example.com", "John_Doe+@Example.com", "is_alias");
	add_forwarding("a8@example.com", "x%y+z@example.com", "is_alias");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a1@example.com"),
		"");
	ck_assert_str_eq(roles_of("johnxdoe@example.com", "a1@example.com"),
		"s");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a2@example.com"),
		"s");
	ck_assert_str_eq(roles_of("john_doe@alias.example", "a2@alias.example"),
		"s");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a3@example.com"),
		"s");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a4@example.com"),
		"");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a5@example.com"),
		"");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a6@example.com"),
		"");
	ck_assert_str_eq(roles_of("john_doe@example.com", "a7@example.com"),
		"s");
	ck_assert_str_eq(roles_of("%@example.com", "a8@example.com"), "");
	ck_assert_str_eq(roles_of("x%y@example.com", "a8@example.com"), "s");
	ck_assert_str_eq(roles_of("x@example.com", "a8@example.com"), "");
}
END_TEST

static const char *const awkward[] = {
	"o'brien",
	"a$b",
	"=x",
	"j\xc3\xb6rg",
	"\xe4\xbe\x8b\xf0\x9f\x93\xac",
	"\"a b\"",
	"x'; DROP TABLE alias; --",
	"100%",
	"a_b",
	"back\\slash",
	"*",
	("long-long-long-long-long-long-long-long-long-long-long-long-long-"
	 "long-long-long-long-long-long-long-long-long-long-long-long-long"),
};

START_TEST(awkward_local_parts)
{
	char address[300], list[300], login[300];
	const char *local = awkward[_i];

	(void)snprintf(address, sizeof(address), "%s@example.com", local);
	(void)snprintf(list, sizeof(list), "l%s@example.com", local);
	(void)snprintf(login, sizeof(login), "%s@alias.example", local);
	sql("INSERT INTO vmail.alias (address, accesspolicy) VALUES "
	    "(%s, 'domain')",
		hex(address));
	add_forwarding(list, address, "is_list");
	ck_assert(account_of(address)->is_alias);
	ck_assert(account_of(login)->is_alias);
	ck_assert_str_eq(roles_of(address, list), "m");
	ck_assert_str_eq(roles_of(login, list), "m");
	ck_assert_str_eq(roles_of("other@example.com", list), "");
	ck_assert_str_eq(roles_of(address, "other@example.com"), "");
}
END_TEST

/* general_ci takes an accent for nothing, and a blank behind, too. */
START_TEST(look_alikes_are_others)
{
	add_forwarding("alice.smith@example.com", "alice@example.com",
		"is_alias");
	ck_assert_str_eq(
		roles_of("alice@example.com", "alice.smith@example.com"), "s");
	ck_assert_str_eq(roles_of("al\xc3\xac"
				  "ce@example.com",
				 "alice.smith@example.com"),
		"");
	ck_assert_str_eq(roles_of("alice@example.com", "al\xc3\xac"
						       "ce.smith@example.com"),
		"");
	ck_assert_str_eq(
		roles_of("\xff@example.com", "alice.smith@example.com"), "");
}
END_TEST

START_TEST(memory)
{
	uint64_t before;

	account_of("nobody@example.com");
	roles_of("a@example.com", "b@example.com");
	before = statements();
	turn(5);
	for (int i = 0; i < 10; i++) {
		ck_assert(!account_of("nobody@example.com")->is_alias);
		ck_assert_str_eq(roles_of("a@example.com", "b@example.com"),
			"");
	}
	ck_assert_uint_eq(statements(), before);
	sql("INSERT INTO vmail.alias (address) VALUES "
	    "('nobody@example.com')");
	ck_assert(!account_of("nobody@example.com")->is_alias);
	turn(6);
	ck_assert(account_of("nobody@example.com")->is_alias);
	ck_assert_uint_eq(statements(), before + 1);
}
END_TEST

START_TEST(memory_is_bounded)
{
	char address[64];

	for (int i = 0; i < 1500; i++) {
		(void)snprintf(address, sizeof(address), "n%d@example.com", i);
		account_of(address);
	}
	ck_assert_uint_le(directory_count(daemon_->sources.directory), 1000);
}
END_TEST

/* Many at once are one statement, and the same one is asked once. */
START_TEST(batches)
{
	struct question *q[100];
	const struct account *account;
	uint64_t before, keys;
	char address[64];

	sql("INSERT INTO vmail.alias (address) SELECT CONCAT('b', seq, "
	    "'@example.com') FROM seq_1_to_50");
	account_of("first@example.com");
	before = statements();
	keys = metric_get(METRIC_SQL_ROWS);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(address, sizeof(address), "b%d@example.com",
			i / 2 * 2);
		q[i] = ask_about("", address, "");
		ck_assert(!fact_recipient_account(&q[i]->facts, &account));
	}
	question_free(q[99]); /* gone before the answer */
	for (int i = 0; i < 99; i++) {
		wait_for_facts(q[i]);
		ck_assert(fact_recipient_account(&q[i]->facts, &account));
		ck_assert_int_eq(account->is_alias,
			i / 2 * 2 >= 1 && i / 2 * 2 <= 50);
		question_free(q[i]);
	}
	ck_assert_uint_le(statements() - before, 3);
	ck_assert_uint_eq(metric_get(METRIC_SQL_ROWS) - keys, 50);
}
END_TEST

START_TEST(large_lists_are_not_read)
{
	long long before, after;

	sql("INSERT INTO vmail.alias (address) VALUES ('big@example.com')");
	sql("INSERT INTO vmail.forwardings (address, forwarding, is_list) "
	    "SELECT 'big@example.com', CONCAT('m', seq, '@x.test'), 1 "
	    "FROM seq_1_to_20000");
	before = sql_number("SELECT SUM(VARIABLE_VALUE) FROM "
			    "information_schema.GLOBAL_STATUS WHERE "
			    "VARIABLE_NAME LIKE 'Handler_read_%%' AND "
			    "VARIABLE_NAME NOT LIKE '%%rnd%%'");
	ck_assert_str_eq(roles_of("m777@x.test", "big@example.com"), "m");
	ck_assert_str_eq(roles_of("nobody@x.test", "big@example.com"), "");
	after = sql_number("SELECT SUM(VARIABLE_VALUE) FROM "
			   "information_schema.GLOBAL_STATUS WHERE "
			   "VARIABLE_NAME LIKE 'Handler_read_%%' AND "
			   "VARIABLE_NAME NOT LIKE '%%rnd%%'");
	ck_assert_int_lt(after - before, 1000);
}
END_TEST

static void
expect_unavailable(const char *recipient)
{
	struct question *q = ask_about("", recipient, "");
	const struct account *account;

	ck_assert(!fact_recipient_account(&q->facts, &account));
	wait_for_facts(q);
	ck_assert(!fact_recipient_account(&q->facts, &account));
	ck_assert(q->facts.is_wanting);
	ck_assert_str_eq(q->facts.slot[FACT_RECIPIENT_ACCOUNT].reason,
		"the accounts in vmail could not be read");
	question_free(q);
}

START_TEST(a_table_is_missing)
{
	sql("RENAME TABLE vmail.maillists TO vmail.hidden");
	expect_unavailable("u@example.com");
	sql("RENAME TABLE vmail.hidden TO vmail.maillists");
	ck_assert(!account_of("u@example.com")->is_alias);
}
END_TEST

START_TEST(database_away)
{
	ck_assert(account_of("alice@example.com")->is_mailbox);
	stores_server("kill");
	turn(3600);
	expect_unavailable("bob@example.com");
	/* Older than table_ttl, and believed. */
	ck_assert(account_of("alice@example.com")->is_mailbox);
	stores_server("start");
}
END_TEST

START_TEST(described)
{
	static const struct account account = { .is_alias = true,
		.is_mailbox = true,
		.alias_policy = ACCESS_SUBDOMAIN,
		.password_changed_at = 5 };
	static const struct roles some = { .is_any_moderator = true };
	struct str json;

	str_init(&json, 1000);
	fact_kind_login_account.describe(&account, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"is_alias\":true,\"is_maillist\":false,"
		"\"alias_policy\":\"subdomain\",\"password_changed_at\":5}");
	str_reset(&json);
	fact_kind_sender_roles.describe(&some, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"is_member\":false,\"is_alias_owner\":false,"
		"\"is_moderator\":true,\"is_owner\":false}");
	str_free(&json);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("directory");
	TCase *tcase = tcase_create("directory");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, policies);
	tcase_add_test(tcase, accounts);
	tcase_add_test(tcase, passwords);
	tcase_add_test(tcase, roles);
	tcase_add_test(tcase, extended_addresses_are_compared_literally);
	tcase_add_loop_test(tcase, awkward_local_parts, 0,
		sizeof(awkward) / sizeof(awkward[0]));
	tcase_add_test(tcase, look_alikes_are_others);
	tcase_add_test(tcase, memory);
	tcase_add_test(tcase, memory_is_bounded);
	tcase_add_test(tcase, batches);
	tcase_add_test(tcase, large_lists_are_not_read);
	tcase_add_test(tcase, a_table_is_missing);
	tcase_add_test(tcase, described);
	tcase_add_test(tcase, database_away);
	suite_add_tcase(suite, tcase);
	stores_set_up();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	stores_tear_down();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
