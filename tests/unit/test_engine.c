#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "policyd/effect.h"
#include "policyd/engine.h"
#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/reservation.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/facts/triplet.h"
#include "policyd/instances.h"
#include "policyd/journal.h"
#include "policyd/sources.h"
#include "tests/unit/fake_facts.h"

#define RCPT                                                  \
	"request=smtpd_access_policy\nprotocol_state=RCPT\n"  \
	"client_address=192.0.2.7\nsender=a@remote.example\n" \
	"recipient=u@example.com\n"

typedef enum rule_status judge_fn(const struct request *req,
	struct facts *facts, struct verdict *out);

static struct sources sources;
static char answer[256];
static unsigned n_answers, n_recorded, n_instances;
static enum rule_outcome outcome;

/* --- in place of the journal and the instances -------------------------- */

void
journal_code(struct journal *journal, struct decision *decision)
{
	(void)journal;
	memcpy(decision->code, "K7Q2M9XD", DECISION_CODE_LEN + 1);
}

void
journal_record(struct journal *journal, const struct decision *decision)
{
	(void)journal;
	n_recorded++;
	outcome = decision->trace[RULE_ID_greylisting].outcome;
}

void
instances_add(struct instances *instances, const struct request *req)
{
	(void)instances;
	(void)req;
	n_instances++;
}

static bool has_header;

bool
instances_has_header(const struct instances *instances,
	const struct request *req)
{
	(void)instances;
	(void)req;
	return has_header;
}

void
instances_set_header(struct instances *instances, const struct request *req)
{
	(void)instances;
	(void)req;
	has_header = true;
}

void
instances_fill(struct instances *instances, struct request *req)
{
	(void)instances;
	(void)req;
}

void
instances_remove(struct instances *instances, const struct request *req)
{
	(void)instances;
	(void)req;
}

/* ------------------------------------------------------------------------ */

static void
done(struct decision *decision, void *arg)
{
	(void)arg;
	n_answers++;
	memcpy(answer, decision->reply.ptr, decision->reply.len);
	answer[decision->reply.len] = '\0';
	decision_release(decision);
}

static struct setting setting;
static const struct spf_fact unchecked = { .result = SPF_NONE };
static const struct list_match no_white = { 0 };
static const struct greylist_setting on = { .is_found = true,
	.is_active = true };
static const struct triplet early = { .is_known = true,
	.blocked_until = INT64_MAX };

static void
begin(const char *text)
{
	struct config_errors errors = { NULL, 0 };
	struct str all;

	fake_reset();
	n_answers = n_recorded = n_instances = 0;
	answer[0] = '\0';
	sources.loop = loop_new();
	str_init(&all, 4096);
	str_printf(&all,
		"%s\n[rules]\norder = reject_null_sender, greylisting, "
		"throttle\n",
		text);
	sources.config = config_parse(str_slice(&all), "test", &errors);
	ck_assert(sources.config != NULL);
	str_free(&all);
	sources.journal = (struct journal *)&sources;
	sources.instances = (struct instances *)&sources;
	sources.engine = engine_new(&sources);
	memcpy(setting.rule, sources.config->rule, sizeof(setting.rule));
	fake_setting(&setting);
}

static void
end(void)
{
	engine_free(sources.engine);
	config_unref(sources.config);
	loop_free(sources.loop);
}

static struct decision *
judge(const char *text)
{
	const char *err;

	return engine_judge(sources.engine, slice_of(text), done, NULL, &err);
}

static void
turn(void)
{
	loop_run_for(sources.loop, 1);
}

static void
arrive(const void *value)
{
	fact_known(fake_pending(), value);
	turn();
}

START_TEST(answers_at_once)
{
	begin("[greylisting]\nmode = off\n");
	setting.rule[RULE_ID_greylisting].mode = RULE_MODE_OFF;
	ck_assert(judge(RCPT) != NULL);
	ck_assert_uint_eq(n_answers, 1);
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(outcome, OUTCOME_OFF);
	ck_assert_uint_eq(n_instances, 1);
	end();
}
END_TEST

START_TEST(waits_for_facts)
{
	begin("");
	ck_assert(judge(RCPT) != NULL);
	ck_assert_uint_eq(n_answers, 0);
	ck_assert_uint_eq(engine_n_waiting(sources.engine), 1);
	arrive(&no_white);
	arrive(&on);
	ck_assert_uint_eq(n_answers, 0);
	arrive(&early);
	ck_assert_uint_eq(n_answers, 0);
	arrive(&unchecked);
	ck_assert_uint_eq(n_answers, 1);
	ck_assert_str_eq(answer,
		"451 4.7.1 Intentional policy rejection, please try again "
		"later");
	ck_assert_str_eq(fake_effects(), "blocked");
	ck_assert_uint_eq(n_instances, 0);
	ck_assert_uint_eq(n_recorded, 1);
	ck_assert_uint_eq(engine_n_waiting(sources.engine), 0);
	end();
}
END_TEST

START_TEST(rehearses)
{
	const uint64_t n_requests_before = metric_get(METRIC_REQUESTS);
	const uint64_t n_asked_before =
		metric_rule_get(RULE_ID_greylisting, METRIC_RULE_ASKED);
	struct decision *decision;
	const char *err;

	begin("[policyd]\nreply_code = yes\n");
	decision = engine_rehearse(sources.engine, slice_of(RCPT), done, NULL,
		&err);
	ck_assert(decision != NULL);
	arrive(&no_white);
	arrive(&on);
	arrive(&early);
	arrive(&unchecked);
	ck_assert_str_eq(answer,
		"451 4.7.1 Intentional policy rejection, please try again "
		"later");
	ck_assert_str_eq(fake_effects(), "");
	ck_assert_uint_eq(n_instances, 0);
	ck_assert_uint_eq(n_recorded, 0);
	ck_assert_uint_eq(metric_get(METRIC_REQUESTS), n_requests_before);
	ck_assert_uint_eq(
		metric_rule_get(RULE_ID_greylisting, METRIC_RULE_ASKED),
		n_asked_before);
	end();
}
END_TEST

/* What is done by loading cannot be left out afterwards. */
START_TEST(rehearses_no_fact_that_does_something)
{
	const struct request req = { .n_recipients = 0 };
	const struct reservation *out;
	struct facts facts;

	fake_reset();
	facts_init(&facts, &req, NULL);
	facts.is_rehearsal = true;
	ck_assert(!fact_reservation(&facts, NULL, 0, &out));
	ck_assert_int_eq(facts.slot[FACT_RESERVATION].state, FACT_UNAVAILABLE);
	ck_assert_uint_eq(fake_n_loaded(FACT_RESERVATION), 0);
	facts_put(&facts, &fact_kind_reservation, &req);
	facts_undo(&facts);
	ck_assert_uint_eq(fake_n_undone(), 0);
}
END_TEST

START_TEST(observes)
{
	begin("");
	setting.rule[RULE_ID_greylisting].mode = RULE_MODE_OBSERVE;
	judge(RCPT);
	arrive(&no_white);
	arrive(&on);
	arrive(&early);
	arrive(&unchecked);
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(outcome, OUTCOME_WOULD_DEFER);
	ck_assert_str_eq(rule_outcome_name(outcome), "would have deferred");
	ck_assert_str_eq(fake_effects(), "blocked");
	ck_assert_uint_eq(n_instances, 1);
	end();
}
END_TEST

START_TEST(gives_the_code)
{
	begin("[policyd]\nreply_code = yes\n");
	judge(RCPT);
	arrive(&no_white);
	arrive(&on);
	arrive(&early);
	arrive(&unchecked);
	ck_assert_str_eq(answer,
		"451 4.7.1 Intentional policy rejection, please try again "
		"later [K7Q2M9XD]");
	end();
}
END_TEST

START_TEST(accepts_on_error)
{
	begin("");
	judge(RCPT);
	fact_unavailable(fake_pending(), "the database is away");
	turn();
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(outcome, OUTCOME_ERROR_ACCEPTED);
	ck_assert_str_eq(fake_effects(), "");
	end();
}
END_TEST

START_TEST(defers_on_error)
{
	begin("");
	setting.rule[RULE_ID_greylisting].on_error = RULE_ON_ERROR_DEFER;
	judge(RCPT);
	fact_unavailable(fake_pending(), "the database is away");
	turn();
	ck_assert_str_eq(answer,
		"451 4.3.0 Service temporarily unavailable, please try again "
		"later");
	ck_assert_int_eq(outcome, OUTCOME_ERROR_DEFERRED);
	end();
}
END_TEST

START_TEST(keeps_the_deadline)
{
	begin("[policyd]\ndecision_deadline = 10ms\n");
	judge(RCPT);
	while (n_answers == 0)
		loop_run_for(sources.loop, 1);
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(outcome, OUTCOME_ERROR_ACCEPTED);
	ck_assert_uint_eq(fake_n_cancelled(), 1);
	end();
}
END_TEST

START_TEST(lets_go)
{
	struct decision *decision;

	begin("");
	decision = judge(RCPT);
	decision_abandon(decision);
	ck_assert_uint_eq(fake_n_cancelled(), 1);
	ck_assert_uint_eq(n_answers, 0);
	ck_assert_uint_eq(n_recorded, 0);
	ck_assert_uint_eq(engine_n_waiting(sources.engine), 0);
	end();
}
END_TEST

START_TEST(refuses_what_is_no_request)
{
	static const char *const texts[] = {
		"protocol_state=RCPT\n",
		"request=smtpd_access_policy\n",
		"request=other\nprotocol_state=RCPT\n",
		"request=smtpd_access_policy\nprotocol_state=RCPT\nnonsense\n",
	};

	begin("");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(judge(texts[i]) == NULL, "%s", texts[i]);
	ck_assert_uint_eq(n_answers, 0);
	end();
}
END_TEST

/* --- a rule that does as it is told ------------------------------------- */

static judge_fn *told;

static enum rule_status
permit_friend(const struct request *req, struct facts *facts,
	struct verdict *out)
{
	(void)req;
	(void)facts;
	return rule_permit(out, "a friend");
}

static enum rule_status
discard_foe(const struct request *req, struct facts *facts, struct verdict *out)
{
	(void)req;
	(void)facts;
	return rule_discard(out, "Policy discard");
}

static enum rule_status
judge_as_told(const struct request *req, struct facts *facts,
	struct verdict *out)
{
	return told == NULL ? RULE_PASS : told(req, facts, out);
}

/* In place of the one in rules/, which comes first. */
const struct rule rule_reject_null_sender = {
	.name = "reject_null_sender",
	.stages = STAGE_RCPT,
	.judge = judge_as_told,
};

static struct {
	enum rule_outcome outcome;
	int rule, permitting_rule, observed_rule;
	char text[40];
} seen;

static void
see(struct decision *decision, void *arg)
{
	const struct rule_trace *trace =
		&decision->trace[RULE_ID_reject_null_sender];

	seen.outcome = trace->outcome;
	seen.rule = decision->rule;
	seen.permitting_rule = decision->permitting_rule;
	seen.observed_rule = decision->observed_rule;
	snprintf(seen.text, sizeof(seen.text), "%.*s",
		SLICE_ARG(trace->verdict.text));
	done(decision, arg);
}

static void
judge_by(judge_fn *fn, enum rule_mode mode)
{
	const char *err;

	begin("");
	setting.rule[RULE_ID_reject_null_sender].mode = mode;
	told = fn;
	ck_assert(engine_judge(sources.engine, slice_of(RCPT), see, NULL,
			  &err) != NULL);
	told = NULL;
}

static enum rule_status
note(const struct request *req, struct facts *facts, struct verdict *out)
{
	(void)req;
	(void)facts;
	return rule_prepend(out, SLICE("X-Noted: yes"));
}

static enum rule_status
refuse_with_code(const struct request *req, struct facts *facts,
	struct verdict *out)
{
	(void)req;
	(void)facts;
	return rule_reject_with(out, "5.7.23", "no");
}

/* By one rule alone. */
static const char *
answer_by(judge_fn *fn, enum rule_mode mode)
{
	begin("");
	setting.rule[RULE_ID_greylisting].mode = RULE_MODE_OFF;
	setting.rule[RULE_ID_reject_null_sender].mode = mode;
	told = fn;
	ck_assert(judge(RCPT) != NULL);
	told = NULL;
	end();
	return answer;
}

/* Postfix would put it before the message for each of its recipients. */
START_TEST(prepends_once)
{
	has_header = false;
	ck_assert_str_eq(answer_by(note, RULE_MODE_OBSERVE), "DUNNO");
	ck_assert(!has_header);
	ck_assert_str_eq(answer_by(note, RULE_MODE_ENFORCE),
		"PREPEND X-Noted: yes");
	ck_assert(has_header);
	ck_assert_str_eq(answer_by(note, RULE_MODE_ENFORCE), "DUNNO");
}
END_TEST

START_TEST(refuses_with_a_code_of_its_own)
{
	ck_assert_str_eq(answer_by(refuse_with_code, RULE_MODE_ENFORCE),
		"550 5.7.23 no");
}
END_TEST

START_TEST(permits)
{
	const uint64_t before = metric_rule_get(RULE_ID_reject_null_sender,
		METRIC_RULE_PERMITTED);

	judge_by(permit_friend, RULE_MODE_ENFORCE);
	ck_assert_uint_eq(n_answers, 1);
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(seen.outcome, OUTCOME_PERMITTED);
	ck_assert_str_eq(seen.text, "a friend");
	ck_assert_int_eq(seen.rule, -1);
	ck_assert_int_eq(seen.permitting_rule, RULE_ID_reject_null_sender);
	/* Greylisting comes behind it. */
	ck_assert_int_eq(outcome, OUTCOME_NOT_ASKED);
	ck_assert_uint_eq(n_instances, 1);
	ck_assert_uint_eq(metric_rule_get(RULE_ID_reject_null_sender,
				  METRIC_RULE_PERMITTED),
		before + 1);
	end();
}
END_TEST

START_TEST(permits_only_when_enforced)
{
	judge_by(permit_friend, RULE_MODE_OBSERVE);
	ck_assert_uint_eq(n_answers, 0);
	arrive(&no_white);
	arrive(&on);
	arrive(&early);
	arrive(&unchecked);
	ck_assert_int_eq(strncmp(answer, "451 4.7.1 ", 10), 0);
	ck_assert_int_eq(seen.outcome, OUTCOME_WOULD_PERMIT);
	ck_assert_str_eq(rule_outcome_name(seen.outcome),
		"would have permitted");
	ck_assert_int_eq(seen.permitting_rule, -1);
	ck_assert_int_eq(seen.observed_rule, -1);
	end();
}
END_TEST

START_TEST(discards)
{
	judge_by(discard_foe, RULE_MODE_ENFORCE);
	ck_assert_str_eq(answer, "DISCARD Policy discard");
	ck_assert_int_eq(seen.outcome, OUTCOME_DISCARDED);
	ck_assert_int_eq(seen.rule, RULE_ID_reject_null_sender);
	ck_assert_uint_eq(n_instances, 0);
	end();
	judge_by(discard_foe, RULE_MODE_OBSERVE);
	arrive(&no_white);
	arrive(&(const struct greylist_setting){ .is_found = false });
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(seen.outcome, OUTCOME_WOULD_DISCARD);
	ck_assert_int_eq(seen.observed_rule, RULE_ID_reject_null_sender);
	end();
}
END_TEST

static enum rule_status
hold_foe(const struct request *req, struct facts *facts, struct verdict *out)
{
	(void)req;
	(void)facts;
	return rule_hold(out, "looks odd");
}

/* Whether it is wanted at all the rules behind it say. */
START_TEST(holds_unless_a_rule_behind_it_refuses)
{
	judge_by(hold_foe, RULE_MODE_ENFORCE);
	arrive(&no_white);
	arrive(&(const struct greylist_setting){ .is_found = false });
	ck_assert_str_eq(answer, "HOLD looks odd");
	ck_assert_int_eq(seen.outcome, OUTCOME_HELD);
	ck_assert_int_eq(seen.rule, RULE_ID_reject_null_sender);
	end();
	judge_by(hold_foe, RULE_MODE_ENFORCE);
	arrive(&no_white);
	arrive(&on);
	arrive(&early);
	arrive(&unchecked);
	ck_assert_int_eq(strncmp(answer, "451 4.7.1 ", 10), 0);
	ck_assert_int_eq(seen.outcome, OUTCOME_HELD);
	ck_assert_int_eq(seen.rule, RULE_ID_greylisting);
	end();
	judge_by(hold_foe, RULE_MODE_OBSERVE);
	arrive(&no_white);
	arrive(&(const struct greylist_setting){ .is_found = false });
	ck_assert_str_eq(answer, "DUNNO");
	ck_assert_int_eq(seen.outcome, OUTCOME_WOULD_HOLD);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("engine");
	TCase *tcase = tcase_create("engine");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, answers_at_once);
	tcase_add_test(tcase, holds_unless_a_rule_behind_it_refuses);
	tcase_add_test(tcase, waits_for_facts);
	tcase_add_test(tcase, rehearses);
	tcase_add_test(tcase, rehearses_no_fact_that_does_something);
	tcase_add_test(tcase, observes);
	tcase_add_test(tcase, gives_the_code);
	tcase_add_test(tcase, accepts_on_error);
	tcase_add_test(tcase, defers_on_error);
	tcase_add_test(tcase, keeps_the_deadline);
	tcase_add_test(tcase, prepends_once);
	tcase_add_test(tcase, refuses_with_a_code_of_its_own);
	tcase_add_test(tcase, permits);
	tcase_add_test(tcase, permits_only_when_enforced);
	tcase_add_test(tcase, discards);
	tcase_add_test(tcase, lets_go);
	tcase_add_test(tcase, refuses_what_is_no_request);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
