#include "policyd/engine.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "policyd/effect.h"
#include "policyd/facts/setting.h"
#include "policyd/instances.h"
#include "policyd/journal.h"
#include "policyd/sources.h"

/* Arenas kept for the next requests rather than freed. */
#define ARENAS_KEPT 256
/* Lines for the milter: some dozens of bytes each. */
#define MORE_MAX ((size_t)4 << 10)
/* RFC 3463: other or undefined mail system status. */
#define ERROR_ENHANCED "4.3.0"
#define ERROR_TEXT     "Service temporarily unavailable, please try again later"

TAILQ_HEAD(decisions, decision);

struct engine {
	struct sources *sources;
	struct decisions waiting; /* in order of deadline_us */
	struct decisions ready;
	size_t n_waiting;
	struct loop_timer *deadline;
	struct loop_turn *turn;
	struct arena *kept[ARENAS_KEPT];
	size_t n_kept;
};

static void judge(struct decision *decision);

/* --- waiting ----------------------------------------------------------- */

static void
arm_deadline(struct engine *engine)
{
	const struct decision *first = TAILQ_FIRST(&engine->waiting);
	int64_t left_us;

	if (first == NULL)
		return;
	left_us = first->deadline_us - clock_monotonic_us();
	loop_timer_set(engine->deadline,
		left_us > 0 ? (uint64_t)(left_us + 999) / 1000 : 0);
}

static void
park(struct decision *decision)
{
	struct engine *engine = decision->engine;

	decision->state = DECISION_WAITING;
	decision->has_waited = true;
	TAILQ_INSERT_TAIL(&engine->waiting, decision, waiting);
	if (engine->n_waiting++ == 0)
		arm_deadline(engine);
}

static void
unpark(struct decision *decision)
{
	struct engine *engine = decision->engine;

	TAILQ_REMOVE(&engine->waiting, decision, waiting);
	engine->n_waiting--;
	if (decision->is_ready)
		TAILQ_REMOVE(&engine->ready, decision, ready);
	decision->is_ready = false;
	decision->state = DECISION_JUDGING;
}

/* Never judges from inside a loader: it may be in the middle of a batch. */
static void
on_ready(struct facts *facts)
{
	struct decision *decision = facts->owner;

	assert(decision->state == DECISION_WAITING && !decision->is_ready);
	decision->is_ready = true;
	TAILQ_INSERT_TAIL(&decision->engine->ready, decision, ready);
	loop_turn_ask(decision->engine->turn);
}

static void
on_turn(void *arg)
{
	struct engine *engine = arg;
	struct decision *decision;

	while ((decision = TAILQ_FIRST(&engine->ready)) != NULL) {
		unpark(decision);
		judge(decision);
	}
}

static void
on_deadline(void *arg)
{
	struct engine *engine = arg;
	const int64_t now = clock_monotonic_us();
	struct decision *decision;

	while ((decision = TAILQ_FIRST(&engine->waiting)) != NULL &&
		decision->deadline_us <= now) {
		unpark(decision);
		if (!decision->facts.is_rehearsal)
			metric_add(METRIC_DEADLINE, 1);
		decision->is_past_deadline = true;
		facts_give_up(&decision->facts,
			"it was not answered within decision_deadline");
		judge(decision);
	}
	arm_deadline(engine);
}

/* What happens in a rehearsal is not counted. */
static void
count_rule(const struct decision *decision, enum rule_id id,
	enum metric_rule what)
{
	if (!decision->facts.is_rehearsal)
		metric_rule_add(id, what);
}

/* --- one rule ---------------------------------------------------------- */

enum next { NEXT_RULE, NEXT_WAIT, NEXT_FINISH };

static const char *
first_reason(const struct facts *facts)
{
	for (size_t i = 0; i < FACT_COUNT; i++)
		if (facts->slot[i].state == FACT_UNAVAILABLE)
			return facts->slot[i].reason;
	return "a fact is not available";
}

static enum rule_outcome
outcome_of(enum verdict_action action, bool is_enforced)
{
	switch (action) {
	case VERDICT_DUNNO:
		break;
	case VERDICT_REJECT:
		return is_enforced ? OUTCOME_REFUSED : OUTCOME_WOULD_REFUSE;
	case VERDICT_DEFER:
		return is_enforced ? OUTCOME_DEFERRED : OUTCOME_WOULD_DEFER;
	case VERDICT_DISCARD:
		return is_enforced ? OUTCOME_DISCARDED : OUTCOME_WOULD_DISCARD;
	case VERDICT_HOLD:
		return is_enforced ? OUTCOME_HELD : OUTCOME_WOULD_HOLD;
	}
	assert(0);
}

static enum next
refuse(struct decision *decision, enum rule_id id, struct rule_trace *trace)
{
	const enum verdict_action action = trace->verdict.action;
	const bool is_enforced = trace->mode != RULE_MODE_OBSERVE;

	trace->outcome = outcome_of(action, is_enforced);
	if (!is_enforced) {
		count_rule(decision, id, METRIC_RULE_OBSERVED);
		if (decision->observed_rule < 0)
			decision->observed_rule = (int)id;
		return NEXT_RULE;
	}
	count_rule(decision, id,
		action == VERDICT_DEFER ? METRIC_RULE_DEFERRED
					: METRIC_RULE_REJECTED);
	if (action == VERDICT_HOLD && decision->rule >= 0)
		return NEXT_RULE; /* one before it holds it already */
	decision->action = action;
	decision->rule = (int)id;
	return action == VERDICT_HOLD ? NEXT_RULE : NEXT_FINISH;
}

static enum next
permit(struct decision *decision, enum rule_id id, struct rule_trace *trace)
{
	if (trace->mode == RULE_MODE_OBSERVE) {
		trace->outcome = OUTCOME_WOULD_PERMIT;
		return NEXT_RULE;
	}
	trace->outcome = OUTCOME_PERMITTED;
	count_rule(decision, id, METRIC_RULE_PERMITTED);
	decision->permitting_rule = (int)id;
	return NEXT_FINISH;
}

static enum next
answer_error(struct decision *decision, enum rule_id id,
	enum rule_on_error on_error, struct rule_trace *trace)
{
	trace->missing = first_reason(&decision->facts);
	count_rule(decision, id, METRIC_RULE_UNAVAILABLE);
	/* What the rule had noted before it met the gap is not to happen. */
	trace->verdict.effects = NULL;
	if (on_error == RULE_ON_ERROR_ACCEPT ||
		trace->mode == RULE_MODE_OBSERVE) {
		trace->outcome = OUTCOME_ERROR_ACCEPTED;
		return NEXT_RULE;
	}
	trace->outcome = OUTCOME_ERROR_DEFERRED;
	rule_hint(&trace->verdict, "accepted once the fact is available: %s",
		trace->missing);
	rule_defer(&trace->verdict, ERROR_ENHANCED, ERROR_TEXT);
	count_rule(decision, id, METRIC_RULE_DEFERRED);
	decision->action = VERDICT_DEFER;
	decision->rule = (int)id;
	return NEXT_FINISH;
}

static void
begin_verdict(struct decision *decision, struct verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->arena = decision->req.arena;
}

static enum next
ask(struct decision *decision, enum rule_id id, struct config_rule setting)
{
	const struct rule *rule = rules_all[id];
	struct rule_trace *trace = &decision->trace[id];
	enum rule_status status;

	if ((rule->stages & decision->req.rule_stages) == 0)
		return NEXT_RULE;
	trace->mode = setting.mode;
	if (setting.mode == RULE_MODE_OFF) {
		trace->outcome = OUTCOME_OFF;
		return NEXT_RULE;
	}
	if (trace->n_calls++ == 0) {
		trace->asked_us = clock_monotonic_us();
		count_rule(decision, id, METRIC_RULE_ASKED);
	}
	begin_verdict(decision, &trace->verdict);
	decision->facts.is_wanting = false;
	status = rule->judge(&decision->req, &decision->facts, &trace->verdict);
	if (status == RULE_UNREADY && !decision->facts.is_wanting) {
		assert(decision->facts.n_pending > 0);
		return NEXT_WAIT;
	}
	trace->answered_us = clock_monotonic_us();
	if (status == RULE_FINAL)
		return refuse(decision, id, trace);
	if (status == RULE_PERMIT)
		return permit(decision, id, trace);
	if (status == RULE_UNREADY)
		return answer_error(decision, id, setting.on_error, trace);
	trace->outcome = OUTCOME_PASSED;
	return NEXT_RULE;
}

/* --- the end of a decision --------------------------------------------- */

/* What an enforcing rule wants to put before the message; "" for nothing. */
static struct slice
find_header(const struct decision *decision)
{
	const struct config *config = decision->config;

	for (size_t i = 0; i < config->n_rule_order; i++) {
		const struct rule_trace *trace =
			&decision->trace[config->rule_order[i]];

		if (trace->outcome == OUTCOME_PASSED &&
			trace->mode == RULE_MODE_ENFORCE &&
			trace->verdict.header.len > 0)
			return trace->verdict.header;
	}
	return SLICE("");
}

/* Postfix puts it before the message for each recipient that is told so. */
static void
make_accepting_reply(struct decision *decision)
{
	const struct instances *instances =
		decision->engine->sources->instances;
	const struct slice header = find_header(decision);
	/* Which is asked about once, and not for each recipient. */
	const bool is_message = decision->req.stage == STAGE_MESSAGE;

	decision->reply = SLICE("DUNNO");
	if (header.len == 0 ||
		(instances != NULL && !is_message &&
			instances_has_header(instances, &decision->req)))
		return;
	decision->has_header = true;
	decision->reply = slice_of(arena_printf(decision->req.arena,
		"PREPEND %.*s", SLICE_ARG(header)));
}

/* "REJECT", "550 5.7.23", "451 4.7.1": what is before the text. */
static const char *
reply_prefix(struct decision *decision, const struct verdict *verdict)
{
	const char *action = verdict_action_name(decision->action);

	if (verdict->enhanced == NULL)
		return action;
	return arena_printf(decision->req.arena, "%s %s",
		decision->action == VERDICT_REJECT ? "550" : action,
		verdict->enhanced);
}

static void
make_reply(struct decision *decision)
{
	const struct verdict *verdict;
	const char *before = "", *code = "", *after = "";

	if (decision->rule < 0) {
		make_accepting_reply(decision);
		return;
	}
	verdict = &decision->trace[decision->rule].verdict;
	if (decision->config->policyd.reply_code && decision->code[0] != '\0') {
		before = " [";
		code = decision->code;
		after = "]";
	}
	decision->reply = slice_of(arena_printf(decision->req.arena,
		"%s %.*s%s%s%s", reply_prefix(decision, verdict),
		SLICE_ARG(verdict->text), before, code, after));
}

/* The milter has a line in the log, too: it says which rule it was. */
static void
make_more(struct decision *decision)
{
	const struct config *config = decision->config;
	struct str more;

	if (decision->req.stage != STAGE_MESSAGE)
		return;
	str_init(&more, MORE_MAX);
	if (decision->rule >= 0)
		str_printf(&more, "rule=%s\n", rules_all[decision->rule]->name);
	for (size_t i = 0; i < config->n_rule_order; i++) {
		const struct rule_trace *trace =
			&decision->trace[config->rule_order[i]];
		const struct slice lines = trace->verdict.more;

		/* A line in part would be one that nobody has said. */
		if (trace->mode == RULE_MODE_ENFORCE &&
			lines.len <= MORE_MAX - more.len)
			str_append_slice(&more, lines);
	}
	decision->more = slice_copy(decision->req.arena, str_slice(&more));
	str_free(&more);
}

/* In the order of the rules; also what an observed rule asked for. */
static void
apply_effects(struct decision *decision)
{
	const struct config *config = decision->config;

	for (size_t i = 0; i < config->n_rule_order; i++) {
		const struct rule_trace *trace =
			&decision->trace[config->rule_order[i]];

		for (const struct effect *effect = trace->verdict.effects;
			effect != NULL; effect = effect->next)
			effect->apply(&decision->facts, effect->data);
	}
}

static void
note_instance(struct decision *decision)
{
	struct instances *instances = decision->engine->sources->instances;

	if (instances == NULL)
		return;
	if (decision->req.stage == STAGE_END_OF_MESSAGE)
		instances_remove(instances, &decision->req);
	else if (decision->req.stage == STAGE_RCPT && decision->rule < 0)
		instances_add(instances, &decision->req);
	if (decision->has_header && decision->req.stage != STAGE_MESSAGE)
		instances_set_header(instances, &decision->req);
}

static void
count(const struct decision *decision)
{
	metric_add(METRIC_REQUESTS, 1);
	switch (decision->action) {
	case VERDICT_DUNNO:
		metric_add(METRIC_DUNNO, 1);
		break;
	case VERDICT_REJECT:
		metric_add(METRIC_REJECTED, 1);
		break;
	case VERDICT_DEFER:
		metric_add(METRIC_DEFERRED, 1);
		break;
	case VERDICT_DISCARD:
		metric_add(METRIC_DISCARDED, 1);
		break;
	case VERDICT_HOLD:
		metric_add(METRIC_HELD, 1);
		break;
	}
	if (decision->observed_rule >= 0)
		metric_add(METRIC_OBSERVED, 1);
	if (decision->permitting_rule >= 0)
		metric_add(METRIC_PERMITTED, 1);
	if (!decision->has_waited)
		metric_add(METRIC_FROM_MEMORY, 1);
	metric_latency_record(decision->finished_us - decision->started_us);
}

/* What follows from a decision that is acted upon. */
static void
carry_out(struct decision *decision)
{
	apply_effects(decision);
	if (decision->rule >= 0 && decision->action != VERDICT_HOLD)
		facts_undo(&decision->facts);
	note_instance(decision);
}

static void
finish(struct decision *decision)
{
	const bool is_rehearsal = decision->facts.is_rehearsal;
	struct journal *journal =
		is_rehearsal ? NULL : decision->engine->sources->journal;

	if (journal != NULL &&
		(decision->rule >= 0 || decision->observed_rule >= 0))
		journal_code(journal, decision);
	make_reply(decision);
	make_more(decision);
	/* A rule may stop asking for a fact that is still on its way. */
	if (decision->facts.n_pending > 0)
		facts_give_up(&decision->facts, "it was no longer needed");
	if (!is_rehearsal)
		carry_out(decision);
	decision->finished_us = clock_monotonic_us();
	decision->wall_us = clock_wall_us();
	decision->state = DECISION_DONE;
	if (!is_rehearsal)
		count(decision);
	if (journal != NULL)
		journal_record(journal, decision);
	decision->done(decision, decision->arg);
}

/* --- the chain --------------------------------------------------------- */

/* The modes in force for the party; the file's if they cannot be had. */
static bool
find_setting(struct decision *decision, const struct setting **out)
{
	*out = NULL;
	decision->facts.is_wanting = false;
	return fact_setting(&decision->facts, out) ||
	       decision->facts.is_wanting;
}

static void
judge(struct decision *decision)
{
	const struct config *config = decision->config;
	const struct setting *setting;

	if (!find_setting(decision, &setting)) {
		park(decision);
		return;
	}
	while (decision->next_rule < config->n_rule_order) {
		const enum rule_id id = config->rule_order[decision->next_rule];
		const enum next next = ask(decision, id,
			setting != NULL ? setting->rule[id] : config->rule[id]);

		if (next == NEXT_WAIT) {
			park(decision);
			return;
		}
		decision->next_rule++;
		if (next == NEXT_FINISH)
			break;
	}
	finish(decision);
}

/* --- life of a decision ------------------------------------------------ */

static struct arena *
take_arena(struct engine *engine)
{
	if (engine->n_kept > 0)
		return engine->kept[--engine->n_kept];
	return arena_new(REQUEST_ARENA_MAX);
}

static void
give_arena(struct engine *engine, struct arena *arena)
{
	if (engine->n_kept == ARENAS_KEPT) {
		arena_free(arena);
		return;
	}
	arena_reset(arena);
	engine->kept[engine->n_kept++] = arena;
}

static struct decision *
decision_new(struct engine *engine, struct arena *arena)
{
	struct decision *decision = arena_new_object(arena, struct decision);

	decision->engine = engine;
	decision->config = config_ref(engine->sources->config);
	decision->rule = -1;
	decision->observed_rule = -1;
	decision->permitting_rule = -1;
	decision->action = VERDICT_DUNNO;
	decision->started_us = clock_monotonic_us();
	decision->deadline_us =
		decision->started_us +
		(int64_t)decision->config->policyd.decision_deadline_ms * 1000;
	return decision;
}

static void
decision_free(struct decision *decision)
{
	struct engine *engine = decision->engine;
	struct arena *arena = decision->req.arena;

	config_unref(decision->config);
	give_arena(engine, arena);
}

/* Parses the request; NULL and *err when it is none. */
static struct decision *
decision_open(struct engine *engine, struct slice text, const char **err)
{
	struct arena *arena = take_arena(engine);
	struct decision *decision = decision_new(engine, arena);
	struct instances *instances = engine->sources->instances;

	if (request_parse(&decision->req, arena, decision->config, clock_wall(),
		    text, err) < 0) {
		decision_free(decision);
		return NULL;
	}
	if (decision->req.n_recipients == 0 && instances != NULL)
		instances_fill(instances, &decision->req);
	facts_init(&decision->facts, &decision->req, engine->sources);
	decision->facts.on_ready = on_ready;
	decision->facts.owner = decision;
	return decision;
}

struct decision *
engine_judge(struct engine *engine, struct slice text,
	void (*done)(struct decision *decision, void *arg), void *arg,
	const char **err)
{
	struct decision *decision = decision_open(engine, text, err);

	if (decision == NULL)
		return NULL;
	decision->done = done;
	decision->arg = arg;
	judge(decision);
	return decision;
}

struct decision *
engine_rehearse(struct engine *engine, struct slice text,
	void (*done)(struct decision *decision, void *arg), void *arg,
	const char **err)
{
	struct decision *decision = decision_open(engine, text, err);

	if (decision == NULL)
		return NULL;
	decision->facts.is_rehearsal = true;
	decision->done = done;
	decision->arg = arg;
	judge(decision);
	return decision;
}

void
decision_abandon(struct decision *decision)
{
	assert(decision->state == DECISION_WAITING);
	unpark(decision);
	facts_give_up(&decision->facts, "the client went away");
	facts_undo(&decision->facts);
	decision_free(decision);
}

void
decision_release(struct decision *decision)
{
	assert(decision->state == DECISION_DONE);
	decision_free(decision);
}

struct engine *
engine_new(struct sources *sources)
{
	struct engine *engine = x_new(struct engine);

	engine->sources = sources;
	TAILQ_INIT(&engine->waiting);
	TAILQ_INIT(&engine->ready);
	engine->deadline = loop_timer_new(sources->loop, on_deadline, engine);
	engine->turn = loop_turn_new(sources->loop, on_turn, engine);
	return engine;
}

void
engine_free(struct engine *engine)
{
	if (engine == NULL)
		return;
	assert(engine->n_waiting == 0);
	loop_timer_free(engine->deadline);
	loop_turn_free(engine->turn);
	while (engine->n_kept > 0)
		arena_free(engine->kept[--engine->n_kept]);
	x_free(engine);
}

size_t
engine_n_waiting(const struct engine *engine)
{
	return engine->n_waiting;
}

const char *
rule_outcome_name(enum rule_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_NOT_ASKED:
		return "not asked";
	case OUTCOME_OFF:
		return "off";
	case OUTCOME_PASSED:
		return "no objection";
	case OUTCOME_REFUSED:
		return "refused";
	case OUTCOME_DEFERRED:
		return "deferred";
	case OUTCOME_DISCARDED:
		return "discarded";
	case OUTCOME_HELD:
		return "held";
	case OUTCOME_PERMITTED:
		return "permitted";
	case OUTCOME_WOULD_REFUSE:
		return "would have refused";
	case OUTCOME_WOULD_DEFER:
		return "would have deferred";
	case OUTCOME_WOULD_DISCARD:
		return "would have discarded";
	case OUTCOME_WOULD_HOLD:
		return "would have held";
	case OUTCOME_WOULD_PERMIT:
		return "would have permitted";
	case OUTCOME_ERROR_ACCEPTED:
		return "could not judge, accepted";
	case OUTCOME_ERROR_DEFERRED:
		return "could not judge, deferred";
	}
	return "?";
}

const char *
verdict_action_name(enum verdict_action action)
{
	switch (action) {
	case VERDICT_DUNNO:
		return "DUNNO";
	case VERDICT_REJECT:
		return "REJECT";
	case VERDICT_DEFER:
		return "451";
	case VERDICT_DISCARD:
		return "DISCARD";
	case VERDICT_HOLD:
		return "HOLD";
	}
	return "?";
}
