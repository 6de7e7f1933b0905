#ifndef POLICYD_JOURNAL_H
#define POLICYD_JOURNAL_H

/*
 * What was decided and why: a log line for every decision, the counters, a
 * row in iredapd.smtp_sessions, the explanation of every
 * refusal, deferral and would-have-been in memory (limits.decisions, the
 * oldest goes first) and in policyd.decision, and the subscribers of
 * "policyctl tail". Rows are written in batches and wait, bounded, while the
 * database is away.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct decision;
struct journal;
struct sources;

struct journal *journal_new(struct sources *sources);
void journal_free(struct journal *journal);
/* The program is about to end: writes what waits as fast as it can. */
void journal_hurry(struct journal *journal);
/* A decision is final; copies what it keeps. */
void journal_record(struct journal *journal, const struct decision *decision);
/* The explanation of a decision that is not recorded, as a JSON object. */
void journal_describe(struct journal *journal, const struct decision *decision,
	struct str *json);
/* Gives the decision a code that was not used for days. */
void journal_code(struct journal *journal, struct decision *decision);

/*
 * Looks for decisions in memory, the newest first: by code, queue id,
 * instance, or by an address (of client, sender, recipient or login). fn is
 * called with each as a JSON object, at most max times.
 */
void journal_find(struct journal *journal, struct slice what, size_t max,
	void (*fn)(void *arg, struct slice json), void *arg);
/*
 * The same in policyd.decision (all nodes, decisions.keep_days); fn as
 * above, then done once, with an error text or NULL; that also when the
 * journal has been freed meanwhile.
 */
void journal_find_stored(struct journal *journal, struct slice what, size_t max,
	void (*fn)(void *arg, struct slice json),
	void (*done)(void *arg, const char *error), void *arg);

/* Every decision from now on, as a JSON object of one line. */
struct journal_tap;
struct journal_tap *journal_tap_new(struct journal *journal,
	void (*fn)(void *arg, struct slice json), void *arg);
void journal_tap_free(struct journal_tap *tap);

struct journal_state {
	size_t n_decisions, n_waiting_sessions, n_waiting_decisions;
	int64_t oldest_us; /* wall clock of the oldest one in memory */
};
void journal_state(const struct journal *journal, struct journal_state *out);

#endif
