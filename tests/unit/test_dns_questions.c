/*
 * Which questions of common/io/dns.c are under way, who waits for them, and
 * who pays.
 */

#include "common/io/dns.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io/loop.h"
#include "tests/unit/dns_fixture.h"

#define TOO_MANY "too many questions are under way"

/* --- questions and those who wait for them ------------------------------- */

START_TEST(equal_questions_are_one)
{
	static const char *const names[] = { "a.test", "A.TEST.", "a.test" };
	struct asked asked[3], other;

	dns_fixture_reopen("", 2, 2);
	server_hold();
	for (int i = 0; i < 3; i++)
		ask_for(&asked[i], names[i], DNS_TYPE_A, PATIENCE_MS);
	/* Another type is another question. */
	ask_for(&other, "none.test", DNS_TYPE_MX, PATIENCE_MS);
	ck_assert_str_eq(get("none.test", DNS_TYPE_TXT).reason, TOO_MANY);
	server_release();
	for (int i = 0; i < 3; i++) {
		wait_for(&asked[i]);
		ck_assert_int_eq(asked[i].answer.status, DNS_RECORDS);
		ck_assert_uint_eq(asked[i].last_byte, 2);
		ck_assert_str_eq(asked[i].name, "a.test");
		ck_assert(!asked[i].answer.is_from_cache);
	}
	wait_for(&other);
	ck_assert_int_eq(other.answer.status, DNS_NONE);
	/* What has ended makes room. */
	ck_assert_int_eq(get("b.test", DNS_TYPE_A).answer.status, DNS_RECORDS);
	ck_assert_int_eq(get("c.test", DNS_TYPE_A).answer.status, DNS_RECORDS);
}
END_TEST

/* How a query may leave its question. */
static void
give_up(const char *name, bool is_cancelled)
{
	struct asked asked;

	ask_for(&asked, name, DNS_TYPE_A, is_cancelled ? PATIENCE_MS : 1);
	if (is_cancelled) {
		dns_cancel(asked.query);
		return;
	}
	wait_for(&asked);
	ck_assert_str_eq(asked.reason, "there was no answer in time");
}

START_TEST(what_nobody_waits_for_is_joined)
{
	struct asked asked;

	dns_fixture_reopen("", 1, 1);
	server_hold();
	give_up("a.test", _i == 1);
	/* libunbound goes on with it, and so it counts. */
	ck_assert_str_eq(get("b.test", DNS_TYPE_A).reason, TOO_MANY);
	ask_for(&asked, "a.test", DNS_TYPE_A, PATIENCE_MS);
	server_release();
	wait_for(&asked);
	ck_assert_int_eq(asked.answer.status, DNS_RECORDS);
	ck_assert_int_eq(get("b.test", DNS_TYPE_A).answer.status, DNS_RECORDS);
}
END_TEST

START_TEST(each_has_its_own_deadline)
{
	struct asked patient, hasty;

	server_hold();
	ask_for(&hasty, "a.test", DNS_TYPE_A, 1);
	ask_for(&patient, "a.test", DNS_TYPE_A, PATIENCE_MS);
	wait_for(&hasty);
	ck_assert_str_eq(hasty.reason, "there was no answer in time");
	ck_assert_uint_eq(patient.n_done, 0);
	server_release();
	wait_for(&patient);
	ck_assert_int_eq(patient.answer.status, DNS_RECORDS);
}
END_TEST

START_TEST(one_of_several_is_cancelled)
{
	struct asked asked[3];

	server_hold();
	for (int i = 0; i < 3; i++)
		ask_for(&asked[i], "a.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked[_i].query);
	server_release();
	for (int i = 0; i < 3; i++)
		if (i != _i) {
			wait_for(&asked[i]);
			ck_assert_int_eq(asked[i].answer.status, DNS_RECORDS);
		}
	ck_assert_uint_eq(asked[_i].n_done, 0);
}
END_TEST

START_TEST(cancels_in_every_state)
{
	struct asked asked;

	ask_for(&asked, "silent.1.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked.query); /* not sent */
	ask_for(&asked, "silent.2.test", DNS_TYPE_A, PATIENCE_MS);
	get("a.test", DNS_TYPE_A);
	dns_cancel(asked.query); /* sent */
	ask_for(&asked, "a.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked.query); /* answered from memory */
	ask_for(&asked, "b.test", DNS_TYPE_A, PATIENCE_MS);
	dns_cancel(asked.query);
	dns_cancel(NULL);
	get("b.test", DNS_TYPE_A);
	ck_assert_uint_eq(asked.n_done, 0);
}
END_TEST

static struct asked chained;

static void
ask_another(void *arg, const struct dns_answer *got)
{
	(void)got;
	dns_cancel(arg);
	ask_for(&chained, "a.test", DNS_TYPE_A, PATIENCE_MS);
}

START_TEST(callbacks_may_ask_and_cancel)
{
	struct asked other;

	get("a.test", DNS_TYPE_A);
	memset(&chained, 0, sizeof(chained));
	ask_for(&other, "b.test", DNS_TYPE_A, PATIENCE_MS);
	ask_with("a.test", DNS_TYPE_A, PATIENCE_MS, "", ask_another,
		other.query);
	wait_for(&chained);
	ck_assert_int_eq(chained.answer.status, DNS_RECORDS);
	ck_assert_uint_eq(other.n_done, 0);
}
END_TEST

/* What it cancels was answered by the same packet. */
static void
cancel_the_next(void *arg, const struct dns_answer *got)
{
	struct asked *next = arg;

	ck_assert_int_eq(got->status, DNS_RECORDS);
	dns_cancel(next->query);
}

START_TEST(callbacks_may_cancel_who_waited_with_them)
{
	struct asked next, last;

	ask_with("a.test", DNS_TYPE_A, PATIENCE_MS, "", cancel_the_next, &next);
	ask_for(&next, "a.test", DNS_TYPE_A, PATIENCE_MS);
	ask_for(&last, "a.test", DNS_TYPE_A, PATIENCE_MS);
	wait_for(&last);
	ck_assert_int_eq(last.answer.status, DNS_RECORDS);
	ck_assert_uint_eq(next.n_done, 0);
}
END_TEST

START_TEST(frees_what_is_under_way)
{
	struct asked asked[4];

	ask_for(&asked[0], "silent.test", DNS_TYPE_A, PATIENCE_MS);
	ask_for(&asked[1], "silent.test", DNS_TYPE_A, PATIENCE_MS);
	ask_for(&asked[2], "silent.test", DNS_TYPE_MX, 10);
	wait_for(&asked[2]);
	ask_paid(&asked[2], "silent.paid.test", "paid.test");
	ask_for(&asked[3], "a..b", DNS_TYPE_A, PATIENCE_MS);
	dns_free(dns);
	dns = NULL;
	loop_run_for(loop, 1);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(asked[i].n_done, 0);
}
END_TEST

/* --- who pays ------------------------------------------------------------ */

static const char *
refused(const char *name, const char *payer)
{
	static struct asked asked;

	ask_paid(&asked, name, payer);
	wait_for(&asked);
	ck_assert_int_eq(asked.answer.status, DNS_FAILED);
	return asked.reason;
}

START_TEST(a_payer_has_a_budget)
{
	struct asked mine[2], other[2];

	dns_fixture_reopen("", 100, 2);
	server_hold();
	ask_paid(&mine[0], "a.test", "p.test");
	ask_paid(&mine[1], "b.test", "p.test");
	ck_assert_str_eq(refused("c.test", "p.test"),
		"p.test has 2 questions under way, as many as [dns] "
		"queries_per_domain allows");
	ask_paid(&other[0], "c.test", "q.test");
	ask_paid(&other[1], "d.test", "");
	server_release();
	for (int i = 0; i < 2; i++) {
		wait_for(&mine[i]);
		wait_for(&other[i]);
		ck_assert_int_eq(mine[i].answer.status, DNS_RECORDS);
		ck_assert_int_eq(other[i].answer.status, DNS_RECORDS);
	}
	/* What has ended makes room. */
	ask_paid(&mine[0], "e.test", "p.test");
	wait_for(&mine[0]);
	ck_assert_int_eq(mine[0].answer.status, DNS_RECORDS);
}
END_TEST

START_TEST(what_has_ended_costs_nothing)
{
	struct asked asked;
	char name[32];

	dns_fixture_reopen("", 4, 1);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "a%d.test", i);
		ask_paid(&asked, name, "p.test");
		wait_for(&asked);
		ck_assert_int_eq(asked.answer.status, DNS_RECORDS);
	}
}
END_TEST

START_TEST(what_nobody_waits_for_is_still_paid)
{
	struct asked asked;

	dns_fixture_reopen("", 100, 1);
	ask_paid(&asked, "silent.test", "p.test");
	dns_cancel(asked.query);
	ck_assert_str_eq(refused("a.test", "p.test"),
		"p.test has 1 questions under way, as many as [dns] "
		"queries_per_domain allows");
}
END_TEST

START_TEST(to_join_costs_nothing)
{
	struct asked asked[4];

	dns_fixture_reopen("", 100, 1);
	server_hold();
	ask_paid(&asked[0], "a.test", "q.test");
	ask_paid(&asked[1], "a.test", "p.test");
	ask_paid(&asked[2], "b.test", "p.test");
	/* Nor when the budget is used up. */
	ask_paid(&asked[3], "a.test", "p.test");
	server_release();
	for (int i = 0; i < 4; i++) {
		wait_for(&asked[i]);
		ck_assert_int_eq(asked[i].answer.status, DNS_RECORDS);
	}
}
END_TEST

static void
ask_silent(const char *payer, int number)
{
	static struct asked unanswered;
	char name[48];

	snprintf(name, sizeof(name), "silent.%d.%s", number, payer);
	ask_paid(&unanswered, name, payer);
}

START_TEST(payers_leave_room_for_what_nobody_pays_for)
{
	struct asked asked;
	char payer[32];

	dns_fixture_reopen("", 16, 16);
	for (int i = 0; i < 12; i++) {
		snprintf(payer, sizeof(payer), "p%d.test", i);
		ask_silent(payer, 0);
	}
	ck_assert_str_eq(refused("a.test", "q.test"),
		"with 12 questions under way for other senders, q.test may "
		"not have more than 0; see [dns] queries");
	for (int i = 0; i < 3; i++)
		ask_silent("", i);
	ask_paid(&asked, "a.test", "");
	wait_for(&asked);
	ck_assert_int_eq(asked.answer.status, DNS_RECORDS);
	ask_silent("", 3);
	ck_assert_str_eq(refused("a.test", ""), TOO_MANY);
}
END_TEST

START_TEST(a_payer_leaves_room_for_others)
{
	struct asked asked;

	/* Of twelve places three are taken, and nine are left. */
	dns_fixture_reopen("", 16, 16);
	for (int i = 0; i < 3; i++)
		ask_silent("p.test", i);
	ck_assert_str_eq(refused("a.test", "p.test"),
		"with 0 questions under way for other senders, p.test may "
		"not have more than 3; see [dns] queries");
	ask_paid(&asked, "a.test", "q.test");
	wait_for(&asked);
	ck_assert_int_eq(asked.answer.status, DNS_RECORDS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns_questions");
	TCase *tcase = tcase_create("dns_questions");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, dns_fixture_setup,
		dns_fixture_teardown);
	tcase_add_test(tcase, equal_questions_are_one);
	tcase_add_loop_test(tcase, what_nobody_waits_for_is_joined, 0, 2);
	tcase_add_test(tcase, each_has_its_own_deadline);
	tcase_add_loop_test(tcase, one_of_several_is_cancelled, 0, 3);
	tcase_add_test(tcase, cancels_in_every_state);
	tcase_add_test(tcase, callbacks_may_ask_and_cancel);
	tcase_add_test(tcase, callbacks_may_cancel_who_waited_with_them);
	tcase_add_test(tcase, frees_what_is_under_way);
	tcase_add_test(tcase, a_payer_has_a_budget);
	tcase_add_test(tcase, what_has_ended_costs_nothing);
	tcase_add_test(tcase, what_nobody_waits_for_is_still_paid);
	tcase_add_test(tcase, to_join_costs_nothing);
	tcase_add_test(tcase, payers_leave_room_for_what_nobody_pays_for);
	tcase_add_test(tcase, a_payer_leaves_room_for_others);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
