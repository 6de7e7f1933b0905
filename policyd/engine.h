#ifndef POLICYD_ENGINE_H
#define POLICYD_ENGINE_H

/*
 * The engine asks the rules, in the configured order, about one request and
 * makes one decision of what they say. It knows nothing of sockets or SQL.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "policyd/config.h"
#include "policyd/facts.h"
#include "policyd/request.h"
#include "policyd/rule.h"

struct engine;
struct sources;

#define DECISION_CODE_LEN 8

/* What became of one rule in one decision, for explain. */
enum rule_outcome {
	OUTCOME_NOT_ASKED, /* other stage, off, or a rule before it decided */
	OUTCOME_OFF,       /* its mode is off for this account */
	OUTCOME_PASSED,
	OUTCOME_REFUSED,
	OUTCOME_DEFERRED,
	OUTCOME_DISCARDED,
	OUTCOME_HELD,         /* the rules behind it were asked */
	OUTCOME_PERMITTED,    /* the rules behind it were not asked */
	OUTCOME_WOULD_REFUSE, /* its mode is observe */
	OUTCOME_WOULD_DEFER,
	OUTCOME_WOULD_DISCARD,
	OUTCOME_WOULD_HOLD,
	OUTCOME_WOULD_PERMIT,
	OUTCOME_ERROR_ACCEPTED, /* a fact was unavailable: on_error */
	OUTCOME_ERROR_DEFERRED,
};

struct rule_trace {
	enum rule_outcome outcome;
	enum rule_mode mode;
	struct verdict verdict; /* of RULE_FINAL, RULE_PERMIT */
	const char *missing;    /* why a fact was unavailable */
	int64_t asked_us, answered_us;
	unsigned n_calls;
};

enum decision_state {
	DECISION_JUDGING, /* rules are being asked now */
	DECISION_WAITING, /* for facts */
	DECISION_DONE,    /* the reply is made */
};

/* All of it lives in req.arena. */
struct decision {
	struct engine *engine;
	struct config *config; /* one reference */
	struct request req;
	struct facts facts;
	enum decision_state state;
	size_t next_rule; /* index into config->rule_order */
	struct rule_trace trace[RULE_ID_COUNT];
	/* The answer: */
	enum verdict_action action;
	int rule;            /* enum rule_id that refused or holds, or -1 */
	int observed_rule;   /* first that would have refused, or -1 */
	int permitting_rule; /* that spared it the rules behind, or -1 */
	char code[DECISION_CODE_LEN + 1]; /* of a refusal (also observed) */
	struct slice reply;               /* what follows "action=" */
	bool has_header;                  /* the reply is PREPEND */
	/* Further lines of the answer, for the milter; "" for none. */
	struct slice more;
	/* Of a rehearsal beside another daemon (comparison.h): */
	struct slice old_reply; /* its answer, "" when there is none */
	bool has_disagreed;
	int disagreed_rule; /* enum rule_id, or -1 for none of ours */
	int64_t started_us, finished_us; /* clock_monotonic_us() */
	int64_t wall_us;                 /* when it finished, wall clock */
	bool is_past_deadline;
	bool has_waited;
	/* The caller's: */
	void (*done)(struct decision *decision, void *arg);
	void *arg;
	/* The engine's: */
	TAILQ_ENTRY(decision) waiting; /* for facts, in order of deadline */
	TAILQ_ENTRY(decision) ready;   /* facts have come, judge again */
	bool is_ready;
	int64_t deadline_us;
};

struct engine *engine_new(struct sources *sources);
/* Every decision must have been finished or abandoned. */
void engine_free(struct engine *engine);

/*
 * Judges the request text. done is called exactly once, with the decision
 * final and recorded: from within this call when everything was in memory,
 * else later from the loop. The decision is valid until
 * decision_release(). Returns NULL and *err when the text is no policy
 * request (done is not called).
 */
struct decision *engine_judge(struct engine *engine, struct slice text,
	void (*done)(struct decision *decision, void *arg), void *arg,
	const char **err);
/*
 * The same for a request that nobody acts upon: what would be answered now,
 * and why. Nothing is changed, counted or recorded: no effect is applied, no
 * message is added to a counter, the instance is not noted. The decision has
 * no code.
 */
struct decision *engine_rehearse(struct engine *engine, struct slice text,
	void (*done)(struct decision *decision, void *arg), void *arg,
	const char **err);
/*
 * Nobody waits for the answer any more: done will not be called, nothing is
 * applied, reservations are given back, the decision is freed. Not after
 * done.
 */
void decision_abandon(struct decision *decision);
/* After done: the reply was delivered. Frees the decision. */
void decision_release(struct decision *decision);

size_t engine_n_waiting(const struct engine *engine);
const char *rule_outcome_name(enum rule_outcome outcome);
const char *verdict_action_name(enum verdict_action action);

#endif
