/*
 * Counters and notifications against a real MariaDB, with several daemons.
 */

#include "policyd/facts/reservation.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/smtp.h"
#include "policyd/facts/tables.h"
#include "policyd/notifier.h"
#include "tests/clock.h"
#include "tests/unit/stores.h"

#define SETTINGS                                     \
	"[database]\nstatement_timeout = 2s\n"       \
	"[notify]\nsmtp_url = smtp://127.0.0.1:25\n" \
	"recipients = admin@example.com\n"
#define MANY 400

/* Fakes (--wrap for the first): the tables and the mail. */

static unsigned n_refreshes;

void __wrap_tables_refresh(struct tables *tables,
	void (*done)(void *arg, bool is_fresh), void *arg);

void
__wrap_tables_refresh(struct tables *tables,
	void (*done)(void *arg, bool is_fresh), void *arg)
{
	(void)tables;
	(void)done;
	(void)arg;
	n_refreshes++;
}

struct smtp {
	int unused;
};

static unsigned n_mails;
static char last_mail[8192];

struct smtp *
smtp_new(struct loop *loop, const struct smtp_config *config)
{
	(void)loop;
	ck_assert_str_eq(config->url, "smtp://127.0.0.1:25");
	return x_new(struct smtp);
}

void
smtp_free(struct smtp *smtp)
{
	x_free(smtp);
}

int
smtp_send(struct smtp *smtp, const char *const *recipients, size_t n,
	struct slice message, smtp_fn *done, void *arg, const char **err)
{
	(void)smtp;
	(void)done; /* under way for ever */
	(void)arg;
	(void)err;
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(recipients[0], "admin@example.com");
	ck_assert_uint_lt(message.len, sizeof(last_mail));
	memcpy(last_mail, message.ptr, message.len);
	last_mail[message.len] = '\0';
	n_mails++;
	return 0;
}

static int64_t offset;

static void
turn(int64_t seconds)
{
	offset += seconds;
	test_clock_set(offset);
}

static void
clean(void)
{
	sql("DELETE FROM throttle_tracking; DELETE FROM throttle; "
	    "INSERT INTO throttle (id, account, kind, period, max_msgs) "
	    "VALUES (1, '@.', 'outbound', 60, 100), (2, '@.', 'inbound', 60, "
	    "100), (9, '@x.test', 'outbound', 60, 100)");
}

static const struct reservation_request one_message = {
	.rule_id = 1,
	.account = SLICE_INIT("a@x.test"),
	.period_s = 60,
	.add_msgs = 1,
	.add_bytes = 1000,
	.max_msgs = 100,
};

static struct question *
start(struct daemon *daemon, const struct reservation_request *requests,
	size_t n)
{
	const struct reservation *out;
	struct question *q = question_new(daemon, "192.0.2.1", "a@x.test",
		"u@example.com", "");
	struct reservation_request *copy =
		arena_new_array(q->arena, n, struct reservation_request);

	memcpy(copy, requests, n * sizeof(*copy));
	ck_assert(!fact_reservation(&q->facts, copy, n, &out));
	return q;
}

static const struct reservation *
finish(struct question *q)
{
	const struct reservation *out;

	wait_for_facts(q);
	if (fact_reservation(&q->facts, NULL, 0, &out))
		return out;
	return NULL;
}

static struct counter
book(struct daemon *daemon, const struct reservation_request *request)
{
	struct question *q = start(daemon, request, 1);
	const struct reservation *out = finish(q);
	struct counter counter;

	ck_assert_ptr_nonnull(out);
	counter = out->counters[0];
	question_free(q);
	return counter;
}

static const char *
row(const char *account)
{
	return sql_text("SELECT cur_msgs, cur_quota, period, last_time >= "
			"init_time FROM throttle_tracking WHERE account = "
			"'%s'",
		account);
}

START_TEST(exact_with_two_daemons)
{
	struct daemon *daemons[] = { daemon_new(SETTINGS),
		daemon_new(SETTINGS) };
	struct question *q[MANY];
	unsigned n_admitted = 0;

	clean();
	for (int i = 0; i < MANY; i++)
		q[i] = start(daemons[i % 2], &one_message, 1);
	for (int i = 0; i < MANY; i++) {
		const struct reservation *out = finish(q[i]);

		ck_assert_ptr_nonnull(out);
		n_admitted += out->counters[0].is_admitted;
		ck_assert_uint_le(out->counters[0].cur_msgs, 100);
		question_free(q[i]);
	}
	ck_assert_uint_eq(n_admitted, 100);
	ck_assert_str_eq(row("a@x.test"), "100 100000 60 1");
	daemon_free(daemons[0]);
	daemon_free(daemons[1]);
}
END_TEST

START_TEST(limits)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	struct reservation_request request = one_message;
	struct counter counter;

	clean();
	/* A first message that does not fit leaves an empty counter. */
	request.add_msgs = 101;
	counter = book(daemon, &request);
	ck_assert(!counter.is_admitted);
	ck_assert_str_eq(row("a@x.test"), "0 0 60 1");
	request.add_msgs = 100;
	ck_assert(book(daemon, &request).is_admitted);
	/* No limit: counted all the same. */
	request.max_msgs = 0;
	counter = book(daemon, &request);
	ck_assert(counter.is_admitted);
	ck_assert_uint_eq(counter.cur_msgs, 200);
	/* The stored bytes decide, so one message may run over. */
	request.account = SLICE("b@x.test");
	request.max_bytes = 1500;
	ck_assert(book(daemon, &request).is_admitted);
	ck_assert(book(daemon, &request).is_admitted);
	counter = book(daemon, &request);
	ck_assert(!counter.is_admitted);
	ck_assert_uint_eq(counter.cur_bytes, 2000);
	/* It holds more than an INT, and does not overflow. */
	request.max_bytes = 0;
	request.add_bytes = (uint64_t)1 << 50;
	ck_assert_uint_eq(book(daemon, &request).cur_bytes,
		2000 + request.add_bytes);
	sql("UPDATE throttle_tracking SET cur_quota = 4611686018427387000");
	ck_assert_uint_eq(book(daemon, &request).cur_bytes,
		UINT64_C(4611686018427387904));
	daemon_free(daemon);
}
END_TEST

START_TEST(windows)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	struct reservation_request request = one_message;
	struct question *q;

	clean();
	request.max_msgs = 1;
	/* Strict: the window still holds in its last second. */
	for (int later = 0; later < 2; later++) {
		const struct reservation *out;

		q = question_new(daemon, "192.0.2.1", "a@x.test",
			"u@example.com", "");
		sql("REPLACE INTO throttle_tracking (tid, account, period, "
		    "cur_msgs, cur_quota, init_time) VALUES (1, 'a@x.test', "
		    "9, 1, 500, %lld)",
			(long long)q->req.now - 60 - later);
		ck_assert(!fact_reservation(&q->facts, &request, 1, &out));
		out = finish(q);
		ck_assert_ptr_nonnull(out);
		ck_assert_int_eq(out->counters[0].is_admitted, later == 1);
		ck_assert_uint_eq(out->counters[0].cur_msgs, 1);
		ck_assert_uint_eq(out->counters[0].cur_bytes,
			later ? 1000 : 500);
		ck_assert_int_eq(out->counters[0].window_start,
			later ? q->req.now : q->req.now - 60);
		question_free(q);
	}
	turn(61);
	ck_assert(book(daemon, &request).is_admitted);
	ck_assert(!book(daemon, &request).is_admitted);
	daemon_free(daemon);
}
END_TEST

#define AT INT64_C(1000000000)

static struct counter
ask_at(struct daemon *daemon, const struct reservation_request *request,
	bool is_rehearsal)
{
	const struct reservation *out;
	struct counter counter;
	struct question *q = question_new(daemon, "192.0.2.1", "a@x.test",
		"u@example.com", "");

	q->req.now = AT;
	q->facts.is_rehearsal = is_rehearsal;
	ck_assert(!fact_reservation(&q->facts, request, 1, &out));
	out = finish(q);
	ck_assert_ptr_nonnull(out);
	counter = out->counters[0];
	if (is_rehearsal)
		facts_undo(&q->facts);
	question_free(q);
	return counter;
}

/* It says what counting would say, and counts nothing. */
START_TEST(rehearsal)
{
	static const struct {
		const char *name, *row; /* cur_msgs, cur_quota, init_time */
		uint64_t add_msgs, max_msgs, max_bytes;
	} cases[] = {
		{ "the first", NULL, 1, 1, 0 },
		{ "the first, too many", NULL, 2, 1, 0 },
		{ "the last that fits", "99, 5, 999999990", 1, 100, 0 },
		{ "one too many", "100, 5, 999999990", 1, 100, 0 },
		{ "no limit", "100, 5, 999999990", 1, 0, 0 },
		{ "bytes used up", "1, 1001, 999999990", 1, 100, 1000 },
		{ "bytes left", "1, 1000, 999999990", 1, 100, 1000 },
		{ "its window in its last second", "100, 5, 999999940", 1, 100,
			0 },
		{ "its window over", "100, 5, 999999939", 1, 100, 0 },
		{ "full", "4611686018427387904, 0, 999999990", 1, 0, 0 },
	};
	struct daemon *daemon = daemon_new(SETTINGS);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reservation_request request = one_message;
		struct counter said, done;
		char before[64];

		clean();
		if (cases[i].row != NULL)
			sql("INSERT INTO throttle_tracking (tid, account, "
			    "period, cur_msgs, cur_quota, init_time) "
			    "VALUES (1, 'a@x.test', 60, %s)",
				cases[i].row);
		request.add_msgs = cases[i].add_msgs;
		request.max_msgs = cases[i].max_msgs;
		request.max_bytes = cases[i].max_bytes;
		(void)snprintf(before, sizeof(before), "%s", row("a@x.test"));
		said = ask_at(daemon, &request, true);
		ck_assert_msg(strcmp(before, row("a@x.test")) == 0,
			"%s: it was counted", cases[i].name);
		done = ask_at(daemon, &request, false);
		ck_assert_msg(said.is_admitted == done.is_admitted &&
				      said.cur_msgs == done.cur_msgs &&
				      said.cur_bytes == done.cur_bytes &&
				      said.window_start == done.window_start,
			"%s: said %d %llu %llu %lld, was %d %llu %llu %lld",
			cases[i].name, said.is_admitted,
			(unsigned long long)said.cur_msgs,
			(unsigned long long)said.cur_bytes,
			(long long)said.window_start, done.is_admitted,
			(unsigned long long)done.cur_msgs,
			(unsigned long long)done.cur_bytes,
			(long long)done.window_start);
	}
	daemon_free(daemon);
}
END_TEST

START_TEST(giving_back)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	struct reservation_request requests[2] = { one_message, one_message };
	const struct reservation *out;
	struct question *q[5];

	clean();
	requests[1].rule_id = 2;
	requests[1].account = SLICE("u@example.com");
	requests[1].max_msgs = 3;
	for (int i = 0; i < 5; i++) {
		q[i] = start(daemon, requests, 2);
		if (i == 1)
			question_free(q[i]); /* before the answer */
	}
	for (int i = 0; i < 5; i++) {
		if (i == 1)
			continue;
		out = finish(q[i]);
		ck_assert_ptr_nonnull(out);
		ck_assert(out->counters[0].is_admitted);
		if (!out->counters[1].is_admitted)
			facts_undo(&q[i]->facts);
	}
	wait_for_writes(daemon);
	/* Five asked, three fit, one of which had gone. */
	ck_assert_str_eq(row("a@x.test"), "2 2000 60 1");
	ck_assert_str_eq(row("u@example.com"), "2 2000 60 1");
	/* Several for one counter in one statement. */
	for (int i = 0; i < 5; i++) {
		if (i == 1)
			continue;
		facts_undo(&q[i]->facts);
		question_free(q[i]);
	}
	wait_for_writes(daemon);
	ck_assert_str_eq(row("u@example.com"), "0 0 60 1");
	/* Never into the window that came after. */
	q[0] = start(daemon, requests, 1);
	ck_assert_ptr_nonnull(finish(q[0]));
	turn(61);
	book(daemon, &requests[0]);
	facts_undo(&q[0]->facts);
	question_free(q[0]);
	wait_for_writes(daemon);
	ck_assert_str_eq(row("a@x.test"), "1 1000 60 1");
	daemon_free(daemon);
}
END_TEST

START_TEST(deleted_rule)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	struct reservation_request requests[3] = { one_message, one_message,
		one_message };
	struct question *good, *bad;

	clean();
	requests[1].rule_id = 7;
	requests[2].rule_id = 9;
	n_refreshes = 0;
	bad = start(daemon, requests, 3);
	good = start(daemon, &requests[2], 1);
	ck_assert_ptr_nonnull(finish(good));
	ck_assert_ptr_null(finish(bad));
	ck_assert_str_eq(bad->facts.slot[FACT_RESERVATION].reason,
		"a throttle rule was deleted meanwhile");
	ck_assert_uint_eq(n_refreshes, 1);
	wait_for_writes(daemon);
	ck_assert_str_eq(sql_text("SELECT GROUP_CONCAT(tid, ':', cur_msgs "
				  "ORDER BY tid) FROM throttle_tracking"),
		"1:0,9:1");
	question_free(good);
	question_free(bad);
	daemon_free(daemon);
}
END_TEST

START_TEST(nothing_to_count)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	const struct reservation *out;
	struct question *q = question_new(daemon, "192.0.2.1", "", "", "");

	ck_assert(fact_reservation(&q->facts, NULL, 0, &out));
	ck_assert_uint_eq(out->n, 0);
	question_free(q);
	daemon_free(daemon);
}
END_TEST

START_TEST(database_away)
{
	struct daemon *daemon = daemon_new(SETTINGS);
	struct question *q[2];

	clean();
	q[0] = start(daemon, &one_message, 1);
	ck_assert_ptr_nonnull(finish(q[0]));
	stores_server("kill");
	q[1] = start(daemon, &one_message, 1);
	ck_assert_ptr_null(finish(q[1]));
	facts_undo(&q[0]->facts);
	run_loop(10);
	ck_assert_uint_eq(reservations_pending(daemon->sources.reservations),
		1);
	stores_server("start");
	wait_for_writes(daemon);
	ck_assert_str_eq(row("a@x.test"), "0 0 60 1");
	ck_assert_uint_eq(metric_get(METRIC_EFFECTS_QUEUED), 0);
	question_free(q[0]);
	question_free(q[1]);
	daemon_free(daemon);
}
END_TEST

/* A limit of one message is reached; what the rule would do then. */
static void
run_into_limit(struct daemon *daemon)
{
	static const struct throttle_rule rule = { .id = 1,
		.account = SLICE_INIT("@."),
		.period_s = 60,
		.max_msgs = 1 };
	struct reservation_request request = one_message;
	struct limit_set set = { .kind = THROTTLE_OUTBOUND,
		.subject = SLICE("a@x.test"),
		.max_msgs = &rule };
	struct question *q;

	request.max_msgs = 1;
	q = start(daemon, &request, 1);
	ck_assert_ptr_nonnull(finish(q));
	effect_notify(&q->verdict, &q->req, &set, "max_msgs", &request);
	question_apply(q);
	run_loop(50);
	question_free(q);
}

START_TEST(notification)
{
	struct daemon *one = daemon_new(SETTINGS), *two = daemon_new(SETTINGS);

	clean();
	n_mails = 0;
	book(one, &one_message);
	run_into_limit(one);
	ck_assert_uint_eq(n_mails, 1);
	ck_assert_ptr_nonnull(strstr(last_mail,
		"Subject: Throttle quota exceeded: a@x.test, max_msgs=1\r\n"));
	ck_assert_ptr_nonnull(strstr(last_mail, "192.0.2.1"));
	ck_assert_ptr_nonnull(strstr(last_mail, "rule 1: max_msgs=1"));
	/* Once for each window, whoever is asked. */
	run_into_limit(one);
	run_into_limit(two);
	ck_assert_uint_eq(n_mails, 1);
	turn(61);
	book(one, &one_message);
	run_into_limit(two);
	run_into_limit(one);
	ck_assert_uint_eq(n_mails, 2);
	ck_assert_str_eq(row("a@x.test"), "1 1000 60 1");
	daemon_free(one);
	daemon_free(two);
}
END_TEST

/* Refused before anything is counted: there is no row to claim. */
START_TEST(notification_without_counter)
{
	static const struct throttle_rule rule = { .id = 1,
		.account = SLICE_INIT("@."),
		.period_s = 60,
		.max_msgs = 1 };
	struct daemon *daemon = daemon_new(SETTINGS);
	struct limit_set set = { .kind = THROTTLE_OUTBOUND,
		.subject = SLICE("a@x.test"),
		.max_msgs = &rule };

	clean();
	n_mails = 0;
	for (int i = 0; i < 8; i++) {
		struct question *q = question_new(daemon, "192.0.2.1",
			"a@x.test", "u@example.com", "");

		effect_notify(&q->verdict, &q->req, &set, "max_msgs",
			&one_message);
		question_apply(q);
		if (i % 2 == 1)
			run_loop(50);
		question_free(q);
		if (i == 3)
			turn(61);
	}
	/* A window each, though nothing was counted. */
	ck_assert_uint_eq(n_mails, 2);
	ck_assert_str_eq(row("a@x.test"), "0 0 60 1");
	daemon_free(daemon);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reservation");
	TCase *tcase = tcase_create("reservation");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, exact_with_two_daemons);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, windows);
	tcase_add_test(tcase, rehearsal);
	tcase_add_test(tcase, giving_back);
	tcase_add_test(tcase, deleted_rule);
	tcase_add_test(tcase, nothing_to_count);
	tcase_add_test(tcase, database_away);
	tcase_add_test(tcase, notification);
	tcase_add_test(tcase, notification_without_counter);
	suite_add_tcase(suite, tcase);
	stores_set_up();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	stores_tear_down();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
