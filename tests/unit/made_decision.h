#ifndef TESTS_UNIT_MADE_DECISION_H
#define TESTS_UNIT_MADE_DECISION_H

/*
 * Decisions as the engine leaves them, for tests of what comes after it: no
 * rule was asked, the test says what they answered.
 */

#include "policyd/engine.h"
#include "policyd/sources.h"

/*
 * DUNNO, every rule had no objection. attributes: lines beside "request". It
 * began at 1.000000 s of the monotonic clock and took 1.5 ms; each rule took
 * 0.25 ms. It is finished now by the wall clock.
 */
struct decision *made_decision(struct sources *sources, const char *attributes);
/* The rule refused, the reply follows; code is what a journal gave. */
void made_refusal(struct decision *decision, enum rule_id rule,
	enum verdict_action action, const char *text);
/* The rule would have refused. */
void made_observation(struct decision *decision, enum rule_id rule,
	const char *text);
/* The rule let it through. */
void made_permit(struct decision *decision, enum rule_id rule,
	const char *reason);
/* The rule could not judge and its on_error says accept. */
void made_gap(struct decision *decision, enum rule_id rule,
	const char *missing);
void made_decision_free(struct decision *decision);

#endif
