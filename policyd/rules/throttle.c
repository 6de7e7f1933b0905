/*
 * Limits on how much a sender, a client or a recipient may send or get in a
 * period, judged when the message has been received. Who
 * is limited by which stored rule is in facts/limits.c; checking and
 * counting is one step, in facts/reservation.c.
 *
 * A size or a number of recipients over the limit stays so however often the
 * client tries: those are always refused for good, whatever over_limit says.
 */

#include <stdio.h>

#include "policyd/facts/limits.h"
#include "policyd/facts/reservation.h"
#include "policyd/facts/setting.h"
#include "policyd/notifier.h"
#include "policyd/rule.h"

#define TOO_MUCH "Throttling quota exceeded"
#define ENHANCED "4.7.1"

static uint64_t
limit_of(int64_t stored)
{
	return stored > 0 ? (uint64_t)stored : 0;
}

/* The milter counts more recipients than it tells of (message_text.h). */
static bool
has_untold_recipients(const struct request *req)
{
	return req->stage == STAGE_MESSAGE &&
	       req->n_recipients < req->recipient_count;
}

/*
 * Mail within a domain. Only a login or a trusted client can claim it: the
 * sender address alone could be anybody's.
 */
static bool
stays_in_domain(const struct request *req)
{
	const struct address *who =
		request_is_authenticated(req) ? &req->login : &req->sender;

	if (!request_is_authenticated(req) && !req->client_is_trusted)
		return false;
	if (who->domain.len == 0 || req->n_recipients == 0 ||
		has_untold_recipients(req))
		return false;
	for (size_t i = 0; i < req->n_recipients; i++)
		if (!slice_eq(who->domain, req->recipients[i].domain))
			return false;
	return true;
}

static bool
is_bypassed(const struct request *req)
{
	const struct config *config = req->config;

	return (config->throttle.bypass_same_domain && stays_in_domain(req)) ||
	       (config->throttle.bypass_trusted && req->client_is_trusted);
}

/* Whether a set of limits counts for this request at all. */
static bool
applies(const struct request *req, const struct limit_set *set)
{
	return set->kind != THROTTLE_INBOUND ||
	       !request_is_authenticated(req) ||
	       !req->config->throttle.bypass_local_recipient;
}

/* The limits on one message, for which nothing is counted. */
static enum rule_status
judge_message(const struct request *req, const struct limit_set *set,
	struct verdict *out)
{
	const uint64_t size =
		set->msg_size == NULL ? 0 : limit_of(set->msg_size->msg_size);
	const uint64_t rcpts = set->max_rcpts == NULL
				       ? 0
				       : limit_of(set->max_rcpts->max_rcpts);

	if (size > 0 && req->size_bytes > size) {
		rule_hint(out,
			"accepted with a size of at most %llu bytes (rule for "
			"%.*s), this has %llu",
			(unsigned long long)size,
			SLICE_ARG(set->msg_size->account),
			(unsigned long long)req->size_bytes);
		return rule_reject(out, "Message size is too large");
	}
	if (rcpts > 0 && req->recipient_count > rcpts) {
		rule_hint(out,
			"accepted with at most %llu recipients (rule for "
			"%.*s), this has %u",
			(unsigned long long)rcpts,
			SLICE_ARG(set->max_rcpts->account),
			req->recipient_count);
		return rule_reject(out,
			"Too many recipients in single message");
	}
	return RULE_PASS;
}

/* What is to be counted for a message, each counter once. */
struct plan {
	struct reservation_request *requests;
	/* Where each comes from: the first set that wants it, and the last. */
	const struct limit_set **first, **last;
	size_t n;
};

static size_t
find_counter(struct plan *plan, const struct limit_set *set,
	const struct throttle_rule *rule, struct slice account)
{
	size_t i;

	for (i = 0; i < plan->n; i++)
		if (plan->requests[i].rule_id == rule->id &&
			slice_eq(plan->requests[i].account, account))
			return i;
	plan->requests[i].rule_id = rule->id;
	plan->requests[i].account = account;
	plan->requests[i].period_s = rule->period_s;
	plan->first[i] = set;
	plan->n++;
	return i;
}

/*
 * Every counter counts messages and bytes, as in iRedAPD, even if its rule
 * limits only one of them; one set adds to one counter once.
 */
static struct reservation_request *
count(const struct request *req, struct plan *plan, const struct limit_set *set,
	const struct throttle_rule *rule, struct slice account)
{
	const size_t i = find_counter(plan, set, rule, account);
	struct reservation_request *r = &plan->requests[i];

	if (plan->last[i] != set)
		r->add_msgs += set->n_messages;
	plan->last[i] = set;
	r->add_bytes = req->size_bytes;
	return r;
}

static void
plan_set(const struct request *req, const struct limit_set *set,
	struct plan *plan)
{
	if (set->max_msgs != NULL)
		count(req, plan, set, set->max_msgs, set->msgs_account)
			->max_msgs = limit_of(set->max_msgs->max_msgs);
	if (set->max_quota != NULL)
		count(req, plan, set, set->max_quota, set->quota_account)
			->max_bytes = limit_of(set->max_quota->max_quota);
}

static void
make_plan(const struct request *req, const struct limits *limits,
	struct plan *plan)
{
	const size_t max = 2 * limits->n_sets;

	plan->requests =
		arena_new_array(req->arena, max, struct reservation_request);
	plan->first =
		arena_new_array(req->arena, max, const struct limit_set *);
	plan->last = arena_new_array(req->arena, max, const struct limit_set *);
	plan->n = 0;
	for (size_t i = 0; i < limits->n_sets; i++)
		if (applies(req, &limits->sets[i]))
			plan_set(req, &limits->sets[i], plan);
}

static enum rule_status
refuse(const struct request *req, const struct setting *setting,
	const struct plan *plan, size_t i, const char *limit_name,
	struct verdict *out)
{
	effect_notify(out, req, plan->first[i], limit_name, &plan->requests[i]);
	if (setting->throttle_defer)
		return rule_defer(out, ENHANCED, TOO_MUCH);
	return rule_reject(out, TOO_MUCH);
}

/* More recipients at once than the period allows: never, so not counted. */
static enum rule_status
judge_impossible(const struct request *req, const struct setting *setting,
	const struct plan *plan, struct verdict *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct reservation_request *r = &plan->requests[i];

		if (r->max_msgs == 0 || r->add_msgs <= r->max_msgs)
			continue;
		rule_hint(out,
			"never accepted as it is: it counts as %llu messages "
			"of the %llu that %.*s may have in %llu seconds",
			(unsigned long long)r->add_msgs,
			(unsigned long long)r->max_msgs, SLICE_ARG(r->account),
			(unsigned long long)r->period_s);
		return refuse(req, setting, plan, i, "max_msgs", out);
	}
	return RULE_PASS;
}

static enum rule_status
judge_counter(const struct request *req, const struct setting *setting,
	const struct plan *plan, const struct counter *counter, size_t i,
	struct verdict *out)
{
	const struct reservation_request *r = &plan->requests[i];
	const bool is_msgs = r->max_msgs > 0 &&
			     counter->cur_msgs + r->add_msgs > r->max_msgs;
	const int64_t left =
		counter->window_start + (int64_t)r->period_s - req->now;

	rule_hint(out,
		"accepted when the period of %.*s ends in %lld seconds, or "
		"with a higher %s: %llu of %llu are used",
		SLICE_ARG(r->account), (long long)(left < 0 ? 0 : left),
		is_msgs ? "max_msgs" : "max_quota",
		(unsigned long long)(is_msgs ? counter->cur_msgs
					     : counter->cur_bytes),
		(unsigned long long)(is_msgs ? r->max_msgs : r->max_bytes));
	return refuse(req, setting, plan, i, is_msgs ? "max_msgs" : "max_quota",
		out);
}

static enum rule_status
judge_counters(const struct request *req, struct facts *facts,
	const struct limits *limits, struct verdict *out)
{
	const struct reservation *reservation;
	const struct setting *setting;
	enum rule_status status;
	struct plan plan;

	make_plan(req, limits, &plan);
	if (plan.n == 0)
		return RULE_PASS;
	if (!fact_setting(facts, &setting))
		return RULE_UNREADY;
	status = judge_impossible(req, setting, &plan, out);
	if (status != RULE_PASS)
		return status;
	if (!fact_reservation(facts, plan.requests, plan.n, &reservation))
		return RULE_UNREADY;
	for (size_t i = 0; i < plan.n; i++)
		if (!reservation->counters[i].is_admitted)
			return judge_counter(req, setting, &plan,
				&reservation->counters[i], i, out);
	return RULE_PASS;
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct limits *limits;
	enum rule_status status;

	if (is_bypassed(req))
		return RULE_PASS;
	if (!fact_limits(facts, &limits))
		return RULE_UNREADY;
	for (size_t i = 0; i < limits->n_sets; i++) {
		if (!applies(req, &limits->sets[i]))
			continue;
		status = judge_message(req, &limits->sets[i], out);
		if (status != RULE_PASS)
			return status;
	}
	return judge_counters(req, facts, limits, out);
}

const struct rule rule_throttle = {
	.name = "throttle",
	.summary = "limit how much is sent or received in a period",
	.stages = STAGE_END_OF_MESSAGE,
	.judge = judge,
};
