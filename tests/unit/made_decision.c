#include "tests/unit/made_decision.h"

#include <check.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "policyd/rule.h"

#define START_US 1000000
#define TOOK_US  1500
#define RULE_US  250

struct decision *
made_decision(struct sources *sources, const char *attributes)
{
	struct arena *arena = arena_new(REQUEST_ARENA_MAX);
	struct decision *decision = arena_new_object(arena, struct decision);
	const char *err = NULL;
	const char *text = arena_printf(arena,
		"request=smtpd_access_policy\n%s", attributes);

	decision->config = config_ref(sources->config);
	ck_assert_msg(request_parse(&decision->req, arena, sources->config,
			      clock_wall(), slice_of(text), &err) == 0,
		"%s", err);
	facts_init(&decision->facts, &decision->req, NULL);
	decision->rule = -1;
	decision->observed_rule = -1;
	decision->permitting_rule = -1;
	decision->reply = SLICE("DUNNO");
	for (size_t i = 0; i < RULE_ID_COUNT; i++) {
		decision->trace[i].outcome = OUTCOME_PASSED;
		decision->trace[i].mode = RULE_MODE_ENFORCE;
		decision->trace[i].asked_us = START_US;
		decision->trace[i].answered_us = START_US + RULE_US;
		decision->trace[i].verdict.arena = arena;
	}
	decision->started_us = START_US;
	decision->finished_us = START_US + TOOK_US;
	decision->wall_us = clock_wall_us();
	decision->state = DECISION_DONE;
	return decision;
}

void
made_refusal(struct decision *decision, enum rule_id rule,
	enum verdict_action action, const char *text)
{
	struct rule_trace *trace = &decision->trace[rule];

	trace->outcome =
		action == VERDICT_REJECT ? OUTCOME_REFUSED : OUTCOME_DEFERRED;
	if (action == VERDICT_REJECT)
		rule_reject(&trace->verdict, text);
	else
		rule_defer(&trace->verdict, "4.7.1", text);
	decision->action = action;
	decision->rule = (int)rule;
	decision->reply = slice_of(arena_printf(decision->req.arena, "%s %s",
		action == VERDICT_REJECT ? "REJECT" : "451 4.7.1", text));
}

void
made_observation(struct decision *decision, enum rule_id rule, const char *text)
{
	struct rule_trace *trace = &decision->trace[rule];

	trace->outcome = OUTCOME_WOULD_REFUSE;
	trace->mode = RULE_MODE_OBSERVE;
	rule_reject(&trace->verdict, text);
	decision->observed_rule = (int)rule;
}

void
made_permit(struct decision *decision, enum rule_id rule, const char *reason)
{
	struct rule_trace *trace = &decision->trace[rule];

	trace->outcome = OUTCOME_PERMITTED;
	rule_permit(&trace->verdict, reason);
	decision->permitting_rule = (int)rule;
}

void
made_gap(struct decision *decision, enum rule_id rule, const char *missing)
{
	decision->trace[rule].outcome = OUTCOME_ERROR_ACCEPTED;
	decision->trace[rule].missing = missing;
}

void
made_decision_free(struct decision *decision)
{
	config_unref(decision->config);
	arena_free(decision->req.arena);
}
