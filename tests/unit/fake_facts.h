#ifndef TESTS_UNIT_FAKE_FACTS_H
#define TESTS_UNIT_FAKE_FACTS_H

/*
 * For tests of rules and of the engine: kinds of facts that load nothing (a
 * test puts values in, or answers later), and effects that are written down
 * in place of being applied.
 */

#include "policyd/facts.h"

/* Names of the effects applied since fake_reset(), separated by blanks. */
const char *fake_effects(void);
/* The slot that was asked last and is pending, or NULL. */
struct fact *fake_pending(void);
/* How often a fact was asked to be loaded, given back, cancelled. */
unsigned fake_n_loaded(enum fact_id id);
unsigned fake_n_undone(void);
unsigned fake_n_cancelled(void);
/* When set, setting facts are known at once with this value. */
struct setting;
void fake_setting(const struct setting *setting);
void fake_reset(void);

#endif
