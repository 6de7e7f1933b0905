/*
 * What SPF says of a request, over a DNS that a test writes down, and what is
 * remembered of it.
 */

#include "policyd/facts/spf.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "policyd/facts/host.h"
#include "policyd/facts/spf_memory.h"
#include "policyd/sources.h"
#include "tests/unit/fake_tables.h"

#define TTL       300
#define PAYER_MAX 64
#define MEMORY    100

/* In place of common/io/dns.c: answers come in the next turn of the loop. */
struct dns_query {
	struct loop_timer *timer;
	char name[DNS_NAME_TEXT_MAX];
	enum dns_type type;
	dns_done_fn *done;
	void *arg;
};

static const struct {
	const char *name, *text; /* NULL: it fails */
} records[] = {
	{ "a.example", "v=spf1 ip4:192.0.2.1 -all" },
	{ "b.example", "v=spf1 exists:%{l}.b.example -all" },
	{ "c.example", "v=spf1 -all exp=why.c.example" },
	{ "why.c.example", "not for %{l}" },
	{ "mx.helo.example", "v=spf1 -all" },
	{ "xn--bcher-kva.example", "v=spf1 +all" },
	{ "gone.example", NULL },
};

static struct fake_world world;
static unsigned n_questions;
static char payer_seen[PAYER_MAX];
static bool is_ready;

static void
fill(const char *name, struct dns_record *record, struct dns_answer *out)
{
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		if (strcmp(name, records[i].name) != 0)
			continue;
		if (records[i].text == NULL) {
			*out = (struct dns_answer){ .status = DNS_FAILED,
				.reason = "no answer" };
			return;
		}
		record->text = slice_of(records[i].text);
		out->status = DNS_RECORDS;
		out->records = record;
		out->n_records = 1;
	}
}

static void
on_timer(void *arg)
{
	struct dns_query *query = arg;
	struct dns_record record = { .text = SLICE("") };
	struct dns_answer answer = { .status = DNS_NO_SUCH_NAME,
		.ttl = TTL,
		.reason = "" };
	dns_done_fn *done = query->done;
	void *done_arg = query->arg;

	if (query->type == DNS_TYPE_TXT)
		fill(query->name, &record, &answer);
	dns_cancel(query);
	done(done_arg, &answer);
}

struct dns_query *
dns_ask(struct dns *dns, struct slice name, enum dns_type type,
	uint64_t deadline_ms, struct slice payer, dns_done_fn *done, void *arg)
{
	struct dns_query *query = x_new(struct dns_query);

	(void)dns;
	ck_assert_uint_eq(deadline_ms, 3000);
	n_questions++;
	snprintf(payer_seen, sizeof(payer_seen), "%.*s", SLICE_ARG(payer));
	snprintf(query->name, sizeof(query->name), "%.*s", SLICE_ARG(name));
	query->type = type;
	query->done = done;
	query->arg = arg;
	query->timer =
		loop_timer_new(world.facts.sources->loop, on_timer, query);
	loop_timer_set(query->timer, 0);
	return query;
}

void
dns_cancel(struct dns_query *query)
{
	if (query == NULL)
		return;
	loop_timer_free(query->timer);
	x_free(query);
}

static void
on_ready(struct facts *facts)
{
	is_ready = true;
	loop_stop(facts->sources->loop);
}

static void
begin(void)
{
	fake_world_begin(&world, "");
	fake_world_ask(&world, "protocol_state=RCPT\n");
	world.facts.sources->loop = loop_new();
	world.facts.sources->spf_memory = spf_memory_new(MEMORY);
	world.facts.sources->host_names = host_names_new();
}

static void
end(void)
{
	host_names_free(world.facts.sources->host_names);
	spf_memory_free(world.facts.sources->spf_memory);
	loop_free(world.facts.sources->loop);
	fake_world_end(&world);
}

/* The fact for the sender of a request, however long it takes. */
static const struct spf_fact *
ask(const char *attributes,
	bool (*fact)(struct facts *facts, const struct spf_fact **out))
{
	const struct spf_fact *spf;
	char text[1024];

	snprintf(text, sizeof(text), "protocol_state=RCPT\n%s", attributes);
	fake_world_ask(&world, text);
	world.facts.on_ready = on_ready;
	n_questions = 0;
	payer_seen[0] = '\0';
	is_ready = false;
	if (fact(&world.facts, &spf))
		return spf;
	loop_run_for(world.facts.sources->loop, 60000);
	ck_assert(is_ready);
	ck_assert(fact(&world.facts, &spf));
	return spf;
}

#define FROM(client, sender)                             \
	"client_address=" client "\nsender=" sender "\n" \
	"helo_name=mx.helo.example\nrecipient=u@example.com\n"

START_TEST(judges_the_sender)
{
	const struct spf_fact *spf;

	begin();
	spf = ask(FROM("192.0.2.1", "x@a.example"), fact_spf);
	ck_assert_int_eq(spf->result, SPF_PASS);
	ck_assert(slice_eq_text(spf->matched, "ip4:192.0.2.1"));
	ck_assert(slice_eq_text(spf->domain, "a.example"));
	spf = ask(FROM("192.0.2.2", "x@a.example"), fact_spf);
	ck_assert_int_eq(spf->result, SPF_FAIL);
	spf = ask(FROM("192.0.2.2", "x@gone.example"), fact_spf);
	ck_assert_int_eq(spf->result, SPF_TEMPERROR);
	ck_assert(spf->problem.len > 0);
	end();
}
END_TEST

START_TEST(judges_the_helo_name)
{
	begin();
	ck_assert_int_eq(
		ask(FROM("192.0.2.1", "x@a.example"), fact_spf_helo)->result,
		SPF_FAIL);
	ck_assert_int_eq(ask(FROM("192.0.2.1", ""), fact_spf)->result,
		SPF_FAIL);
	end();
}
END_TEST

START_TEST(remembers_by_client_and_domain)
{
	begin();
	ask(FROM("192.0.2.1", "x@a.example"), fact_spf);
	ck_assert_uint_eq(n_questions, 1);
	/* Another local part has the same result: no macro used it. */
	ck_assert(ask(FROM("192.0.2.1", "y@a.example"), fact_spf)
			  ->is_from_memory);
	ck_assert_uint_eq(n_questions, 0);
	ck_assert(!ask(FROM("192.0.2.3", "x@a.example"), fact_spf)
			   ->is_from_memory);
	/* What failed is asked again. */
	ask(FROM("192.0.2.1", "x@gone.example"), fact_spf);
	ask(FROM("192.0.2.1", "x@gone.example"), fact_spf);
	ck_assert_uint_eq(n_questions, 1);
	ck_assert_uint_eq(spf_memory_count(world.facts.sources->spf_memory), 2);
	end();
}
END_TEST

START_TEST(remembers_the_local_part_that_was_used)
{
	begin();
	ask(FROM("192.0.2.1", "x@b.example"), fact_spf);
	ck_assert_uint_eq(n_questions, 2);
	ck_assert(!ask(FROM("192.0.2.1", "y@b.example"), fact_spf)
			   ->is_from_memory);
	ck_assert(ask(FROM("192.0.2.1", "x@b.example"), fact_spf)
			  ->is_from_memory);
	end();
}
END_TEST

START_TEST(an_explanation_is_for_whom_it_was_made)
{
	begin();
	ask(FROM("192.0.2.1", "x@c.example"), fact_spf);
	ck_assert(slice_eq_text(
		ask(FROM("192.0.2.1", "y@c.example"), fact_spf)->explanation,
		"not for y"));
	ck_assert(slice_eq_text(
		ask(FROM("192.0.2.1", "x@c.example"), fact_spf)->explanation,
		"not for x"));
	ck_assert_uint_eq(n_questions, 0);
	end();
}
END_TEST

START_TEST(the_registered_domain_pays)
{
	begin();
	ask(FROM("192.0.2.1", "x@mail.a.co.uk"), fact_spf);
	ck_assert_str_eq(payer_seen, "a.co.uk");
	ask(FROM("192.0.2.1", "x@B\xc3\xbc"
			      "cher.example"),
		fact_spf);
	ck_assert_str_eq(payer_seen, "xn--bcher-kva.example");
	end();
}
END_TEST

START_TEST(without_an_address_it_is_unavailable)
{
	const struct spf_fact *spf;

	begin();
	fake_world_ask(&world, "protocol_state=RCPT\nclient_address=unknown\n"
			       "sender=x@a.example\n");
	ck_assert(!fact_spf(&world.facts, &spf));
	ck_assert(world.facts.is_wanting);
	end();
}
END_TEST

START_TEST(may_be_given_up)
{
	const struct spf_fact *spf;

	begin();
	fake_world_ask(&world,
		"protocol_state=RCPT\n" FROM("192.0.2.1", "x@a.example"));
	ck_assert(!fact_spf(&world.facts, &spf));
	facts_give_up(&world.facts, "enough");
	loop_run_for(world.facts.sources->loop, 1);
	ck_assert_int_eq(world.facts.slot[FACT_SPF].state, FACT_UNAVAILABLE);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("spf_fact");
	TCase *tcase = tcase_create("spf_fact");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, judges_the_sender);
	tcase_add_test(tcase, judges_the_helo_name);
	tcase_add_test(tcase, remembers_by_client_and_domain);
	tcase_add_test(tcase, remembers_the_local_part_that_was_used);
	tcase_add_test(tcase, an_explanation_is_for_whom_it_was_made);
	tcase_add_test(tcase, the_registered_domain_pays);
	tcase_add_test(tcase, without_an_address_it_is_unavailable);
	tcase_add_test(tcase, may_be_given_up);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
