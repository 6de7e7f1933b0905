#include "policyd/gauges.h"

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "policyd/engine.h"
#include "policyd/facts/directory.h"
#include "policyd/facts/spf.h"
#include "policyd/facts/triplet.h"
#include "policyd/instances.h"
#include "policyd/journal.h"
#include "policyd/sources.h"

#define LOOK_MS 1000u

struct gauges {
	const struct sources *sources;
	struct loop_timer *timer;
};

void
gauges_look(struct gauges *gauges)
{
	const struct sources *sources = gauges->sources;
	struct triplets_state triplets;
	struct journal_state journal;

	triplets_state(sources->triplets, &triplets);
	journal_state(sources->journal, &journal);
	metric_set(METRIC_DECISIONS_WAITING, engine_n_waiting(sources->engine));
	metric_set(METRIC_MEMORY_TRIPLETS, triplets.n_triplets);
	metric_set(METRIC_MEMORY_CLIENTS, triplets.n_clients);
	metric_set(METRIC_MEMORY_TRIPLETS_BYTES, triplets.size_bytes);
	metric_set(METRIC_MEMORY_ADDRESSES,
		directory_count(sources->directory));
	metric_set(METRIC_MEMORY_SPF, spf_memory_count(sources->spf_memory));
	metric_set(METRIC_MEMORY_INSTANCES,
		instances_count(sources->instances));
	metric_set(METRIC_MEMORY_DECISIONS, journal.n_decisions);
}

static void
on_timer(void *arg)
{
	struct gauges *gauges = arg;

	gauges_look(gauges);
	loop_timer_set(gauges->timer, LOOK_MS);
}

struct gauges *
gauges_new(struct sources *sources)
{
	struct gauges *gauges = x_new(struct gauges);

	gauges->sources = sources;
	gauges->timer = loop_timer_new(sources->loop, on_timer, gauges);
	on_timer(gauges);
	return gauges;
}

void
gauges_free(struct gauges *gauges)
{
	loop_timer_free(gauges->timer);
	x_free(gauges);
}
