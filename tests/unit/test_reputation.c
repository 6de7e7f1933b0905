/*
 * What lists say of a client, over a DNS that a test writes down, and the
 * rule on it.
 */

#include "policyd/facts/reputation.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "policyd/facts/exempt_clients.h"
#include "policyd/rule.h"
#include "policyd/sources.h"
#include "tests/unit/fake_tables.h"

extern const struct rule rule_reputation;

#define QUERIES_MAX 8

/* In place of common/io/dns.c: questions wait until answer_all(). */
struct dns_query {
	char name[DNS_NAME_TEXT_MAX];
	bool is_waiting;
	dns_done_fn *done;
	void *arg;
};

static struct dns_query queries[QUERIES_MAX];
static size_t n_queries;
static struct fake_world world;
static bool is_ready;

struct dns_query *
dns_ask(struct dns *dns, struct slice name, enum dns_type type,
	uint64_t deadline_ms, struct slice payer, dns_done_fn *done, void *arg)
{
	struct dns_query *query = &queries[n_queries++];

	(void)dns;
	ck_assert_uint_le(n_queries, QUERIES_MAX);
	ck_assert_int_eq(type, DNS_TYPE_A);
	ck_assert_uint_eq(deadline_ms, 3000);
	ck_assert_uint_eq(payer.len, 0);
	snprintf(query->name, sizeof(query->name), "%.*s", SLICE_ARG(name));
	query->is_waiting = true;
	query->done = done;
	query->arg = arg;
	return query;
}

void
dns_cancel(struct dns_query *query)
{
	if (query != NULL)
		query->is_waiting = false;
}

/* "127.0.0.2 127.0.0.4", "-" for no such name, "!" for a failure. */
static void
answer(struct dns_query *query, const char *text)
{
	struct dns_record records[4];
	struct dns_answer out = { .status = DNS_RECORDS,
		.records = records,
		.ttl = 300,
		.reason = "" };
	struct slice rest = slice_of(text), part;

	memset(records, 0, sizeof(records));
	if (strcmp(text, "-") == 0)
		out.status = DNS_NO_SUCH_NAME;
	else if (strcmp(text, "!") == 0)
		out = (struct dns_answer){ .status = DNS_FAILED,
			.reason = "there was no answer in time" };
	else
		while (slice_split(&rest, ' ', &part))
			ck_assert(ip_parse(part,
				&records[out.n_records++].address));
	query->is_waiting = false;
	query->done(query->arg, &out);
}

static void
on_ready(struct facts *facts)
{
	(void)facts;
	is_ready = true;
}

static void
begin(const char *settings, const char *exempt, const char *attributes)
{
	char text[1024], request[256];

	snprintf(text, sizeof(text), "[reputation]\n%s", settings);
	snprintf(request, sizeof(request),
		"protocol_state=RCPT\nsender=a@remote.example\n"
		"recipient=u@example.com\n%s",
		attributes);
	n_queries = 0;
	is_ready = false;
	fake_world_begin(&world, text);
	if (exempt != NULL)
		fake_world_put(&world, &table_exempt_clients, exempt);
	fake_world_ask(&world, request);
	world.facts.on_ready = on_ready;
	world.facts.sources->reputations = reputations_new();
}

static void
end(void)
{
	reputations_free(world.facts.sources->reputations);
	fake_world_end(&world);
}

static const struct fact *
slot(void)
{
	return &world.facts.slot[FACT_REPUTATION];
}

static enum rule_status
judge(struct verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->arena = world.arena;
	return rule_reputation.judge(&world.req, &world.facts, verdict);
}

#define STRANGER "client_address=192.0.2.7\n"

START_TEST(adds_up_what_the_lists_say)
{
	static const struct {
		const char *name, *lists;
		const char *answers[3];
		int score; /* -999: unavailable */
		enum listing_status first;
	} rows[] = {
		{ "listed", "bl.x", { "127.0.0.2" }, 1, LISTING_COUNTS },
		{ "not listed", "bl.x*3", { "-" }, 0, LISTING_ABSENT },
		{ "several answers count once", "bl.x*3",
			{ "127.0.0.2 127.0.0.4" }, 3, LISTING_COUNTS },
		{ "one answer in the filter", "bl.x=127.0.0.4*3",
			{ "127.0.0.2 127.0.0.4" }, 3, LISTING_COUNTS },
		{ "none in the filter", "bl.x=127.0.0.[5..9]",
			{ "127.0.0.2 127.0.0.4" }, 0, LISTING_IGNORED },
		{ "white and black", "wl.x*-2 bl.x*3 b.y*2",
			{ "127.0.0.2", "127.0.0.2", "127.0.0.2" }, 3,
			LISTING_COUNTS },
		{ "below zero", "wl.x*-2 bl.x", { "127.0.0.2", "127.0.0.9" },
			-1, LISTING_COUNTS },
		{ "one fails", "bl.x*3 b.y*2", { "!", "127.0.0.2" }, 2,
			LISTING_FAILED },
		{ "all fail", "bl.x*3 b.y*2", { "!", "!" }, -999,
			LISTING_FAILED },
		{ "made up", "bl.x b.y", { "203.0.113.1", "-" }, 0,
			LISTING_FAILED },
		{ "only made up", "bl.x", { "203.0.113.1" }, -999,
			LISTING_FAILED },
		{ "made up beside a true one", "bl.x",
			{ "203.0.113.1 127.0.0.2" }, 1, LISTING_COUNTS },
		{ "refuses the resolver", "bl.x b.y",
			{ "127.255.255.254", "127.0.0.2" }, 1, LISTING_FAILED },
		{ "senderscore", "score.x=127.0.4.[0..30]", { "127.0.4.12" }, 1,
			LISTING_COUNTS },
		{ "a good score", "score.x=127.0.4.[0..30]", { "127.0.4.99" },
			0, LISTING_IGNORED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct reputation *value;
		char settings[200];

		snprintf(settings, sizeof(settings), "lists = %s\n",
			rows[i].lists);
		begin(settings, "", STRANGER);
		ck_assert(!fact_reputation(&world.facts, &value));
		for (size_t j = 0; j < n_queries; j++) {
			ck_assert(!is_ready);
			answer(&queries[j], rows[i].answers[j]);
		}
		ck_assert(is_ready);
		ck_assert_msg((slot()->state == FACT_KNOWN) ==
				      (rows[i].score != -999),
			"%s", rows[i].name);
		if (fact_reputation(&world.facts, &value)) {
			ck_assert_msg(value->score == rows[i].score, "%s: %lld",
				rows[i].name, (long long)value->score);
			ck_assert_msg(value->lists[0].status == rows[i].first,
				"%s", rows[i].name);
		}
		end();
	}
}
END_TEST

START_TEST(asks_all_at_once_for_both_families)
{
	const struct reputation *value;

	begin("lists = a.x b.x\n", "", "client_address=2001:db8::1\n");
	ck_assert(!fact_reputation(&world.facts, &value));
	ck_assert_uint_eq(n_queries, 2);
	ck_assert_str_eq(queries[1].name,
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"8.b.d.0.1.0.0.2.b.x");
	end();
}
END_TEST

START_TEST(an_exempt_client_is_not_looked_up)
{
	static const char *const clients[] = { "192.0.2.7",
		"2001:DB8:0:0:0:0:0:7", "::ffff:192.0.2.9" };
	static const char *const asked[] = { "192.0.2.7", "2001:db8::7",
		"192.0.2.9" };

	for (size_t i = 0; i < 3; i++) {
		const struct reputation *value;
		char rows[100], attributes[100];

		snprintf(rows, sizeof(rows), "%s\n", clients[i]);
		snprintf(attributes, sizeof(attributes), "client_address=%s\n",
			asked[i]);
		begin("lists = a.x\n", rows, attributes);
		ck_assert(fact_reputation(&world.facts, &value));
		ck_assert(value->is_exempt);
		ck_assert_uint_eq(n_queries, 0);
		end();
	}
	begin("lists = a.x\n", "192.0.2.0/24\n", STRANGER);
	ck_assert_str_eq(fake_problems(),
		"its client_address is no IP address\n");
	end();
}
END_TEST

START_TEST(waits_for_the_table_and_can_be_given_up)
{
	const struct reputation *value;

	begin("lists = a.x b.x\n", NULL, STRANGER);
	ck_assert(!fact_reputation(&world.facts, &value));
	ck_assert_ptr_eq(fake_waiting(), slot());
	facts_give_up(&world.facts, "late");
	ck_assert_ptr_null(fake_waiting());
	end();

	begin("lists = a.x b.x\n", "", STRANGER);
	ck_assert(!fact_reputation(&world.facts, &value));
	answer(&queries[0], "-");
	facts_give_up(&world.facts, "late");
	ck_assert(!queries[1].is_waiting);
	end();
}
END_TEST

START_TEST(describes_each_list)
{
	const struct reputation *value;
	struct str json;

	begin("lists = a.x*2 b.x c.x\n", "", STRANGER);
	ck_assert(!fact_reputation(&world.facts, &value));
	answer(&queries[0], "127.0.0.2 127.0.0.3");
	answer(&queries[2], "!");
	answer(&queries[1], "-");
	str_init(&json, 4096);
	fact_kind_reputation.describe(slot()->value, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"is_exempt\":false,\"score\":2,\"lists\":["
		"{\"list\":\"a.x*2\",\"result\":\"listed\","
		"\"answer\":\"127.0.0.2 127.0.0.3\",\"weight\":2,\"ttl\":300},"
		"{\"list\":\"b.x\",\"result\":\"not listed\",\"weight\":1,"
		"\"ttl\":300},"
		"{\"list\":\"c.x\",\"result\":\"failed\","
		"\"reason\":\"there was no answer in time\",\"weight\":1,"
		"\"ttl\":0}]}");
	str_free(&json);
	end();
}
END_TEST

/* --- the rule ----------------------------------------------------------- */

START_TEST(refuses_from_the_threshold_on)
{
	static const struct {
		const char *name, *settings, *message;
	} rows[] = {
		{ "below", "reject_threshold = 4\n", NULL },
		{ "at", "reject_threshold = 3\n",
			"Server IP address 192.0.2.7 has bad reputation, "
			"listed by a.x, b.x" },
		{ "iRedAPD's text",
			"message = Server IP address has bad reputation. FYI: "
			"https://www.senderscore.org/lookup.php?lookup="
			"{client}\n",
			"Server IP address has bad reputation. FYI: "
			"https://www.senderscore.org/lookup.php?lookup="
			"192.0.2.7" },
		{ "other braces", "message = {x} {client {lists}\n",
			"{x} {client a.x, b.x" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict verdict;
		char settings[400];

		snprintf(settings, sizeof(settings),
			"lists = a.x b.x*3 w.x*-1 c.x\n%s", rows[i].settings);
		begin(settings, "", STRANGER);
		ck_assert_int_eq(judge(&verdict), RULE_UNREADY);
		for (size_t j = 0; j < 4; j++)
			answer(&queries[j], j < 3 ? "127.0.0.2" : "-");
		if (rows[i].message == NULL) {
			ck_assert_int_eq(judge(&verdict), RULE_PASS);
		} else {
			ck_assert_int_eq(judge(&verdict), RULE_FINAL);
			ck_assert_int_eq(verdict.action, VERDICT_REJECT);
			ck_assert_str_eq(verdict.text.ptr, rows[i].message);
		}
		end();
	}
}
END_TEST

START_TEST(a_long_message_is_cut)
{
	struct verdict verdict;
	char settings[600];

	snprintf(settings, sizeof(settings),
		"lists = a.x\nmessage = %0300d {lists}{lists}{lists}{lists}"
		"{lists}{lists}{lists}{lists}{client}{client}{client}{client}"
		"{client}\n",
		0);
	begin(settings, "",
		"client_address=2001:db8:1111:2222:3333:4444:5555:"
		"6666\n");
	ck_assert_int_eq(judge(&verdict), RULE_UNREADY);
	answer(&queries[0], "127.0.0.2");
	ck_assert_int_eq(judge(&verdict), RULE_FINAL);
	ck_assert_uint_eq(verdict.text.len, 450);
	end();
}
END_TEST

START_TEST(asks_nobody_about_friends)
{
	static const char *const friends[] = { "client_address=unknown\n",
		"client_address=127.0.0.1\n", "client_address=::1\n",
		"client_address=192.0.2.7\nsasl_username=u@example.com\n" };
	struct verdict verdict;

	for (size_t i = 0; i < sizeof(friends) / sizeof(friends[0]); i++) {
		begin("lists = a.x\n", "", friends[i]);
		ck_assert_int_eq(judge(&verdict), RULE_PASS);
		ck_assert_uint_eq(n_queries, 0);
		end();
	}
	begin("", "", STRANGER);
	ck_assert_int_eq(judge(&verdict), RULE_PASS);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reputation");
	TCase *tcase = tcase_create("reputation");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, adds_up_what_the_lists_say);
	tcase_add_test(tcase, asks_all_at_once_for_both_families);
	tcase_add_test(tcase, an_exempt_client_is_not_looked_up);
	tcase_add_test(tcase, waits_for_the_table_and_can_be_given_up);
	tcase_add_test(tcase, describes_each_list);
	tcase_add_test(tcase, refuses_from_the_threshold_on);
	tcase_add_test(tcase, a_long_message_is_cut);
	tcase_add_test(tcase, asks_nobody_about_friends);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
