#include "policyd/facts.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"

void
facts_init(struct facts *facts, const struct request *req,
	struct sources *sources)
{
	memset(facts, 0, sizeof(*facts));
	facts->req = req;
	facts->sources = sources;
	for (size_t i = 0; i < FACT_COUNT; i++)
		facts->slot[i].facts = facts;
}

static void
load(struct fact *fact, const struct fact_kind *kind)
{
	struct facts *facts = fact->facts;

	fact->kind = kind;
	fact->state = FACT_PENDING;
	fact->asked_us = clock_monotonic_us();
	facts->n_pending++;
	facts->is_loading = true;
	if (facts->is_rehearsal && kind->undo != NULL && !kind->can_rehearse)
		fact_unavailable(fact, "it is not known without doing it");
	else
		kind->load(fact);
	facts->is_loading = false;
}

bool
fact_ask(struct facts *facts, const struct fact_kind *kind, const void **value)
{
	struct fact *fact = &facts->slot[kind->id];

	assert(!facts->is_loading);
	if (fact->state == FACT_UNASKED)
		load(fact, kind);
	switch (fact->state) {
	case FACT_KNOWN:
		*value = fact->value;
		return true;
	case FACT_UNAVAILABLE:
		facts->is_wanting = true;
		return false;
	case FACT_PENDING:
	case FACT_UNASKED:
		return false;
	}
	return false;
}

static void
answer(struct fact *fact, enum fact_state state)
{
	struct facts *facts = fact->facts;

	assert(fact->state == FACT_PENDING && facts->n_pending > 0);
	fact->state = state;
	fact->is_from_memory = facts->is_loading;
	fact->answered_us =
		facts->is_loading ? fact->asked_us : clock_monotonic_us();
	fact->loader_data = NULL;
	facts->n_pending--;
	if (!facts->is_loading && facts->n_pending == 0 &&
		facts->on_ready != NULL)
		facts->on_ready(facts);
}

void
fact_known(struct fact *fact, const void *value)
{
	fact->value = value;
	answer(fact, FACT_KNOWN);
}

void
fact_unavailable(struct fact *fact, const char *reason)
{
	fact->reason = reason;
	answer(fact, FACT_UNAVAILABLE);
}

static struct fact *
put(struct facts *facts, const struct fact_kind *kind, enum fact_state state)
{
	struct fact *fact = &facts->slot[kind->id];

	fact->kind = kind;
	fact->state = state;
	return fact;
}

void
facts_put(struct facts *facts, const struct fact_kind *kind, const void *value)
{
	put(facts, kind, FACT_KNOWN)->value = value;
}

void
facts_put_unavailable(struct facts *facts, const struct fact_kind *kind,
	const char *reason)
{
	put(facts, kind, FACT_UNAVAILABLE)->reason = reason;
}

void
facts_give_up(struct facts *facts, const char *reason)
{
	for (size_t i = 0; i < FACT_COUNT; i++) {
		struct fact *fact = &facts->slot[i];

		if (fact->state != FACT_PENDING)
			continue;
		fact->kind->cancel(fact);
		fact->state = FACT_UNAVAILABLE;
		fact->reason = reason;
		fact->loader_data = NULL;
		fact->answered_us = clock_monotonic_us();
		facts->n_pending--;
	}
	assert(facts->n_pending == 0);
}

void
facts_undo(struct facts *facts)
{
	if (facts->is_rehearsal)
		return;
	for (size_t i = 0; i < FACT_COUNT; i++) {
		struct fact *fact = &facts->slot[i];

		if (fact->state == FACT_KNOWN && fact->kind->undo != NULL)
			fact->kind->undo(fact);
	}
}
