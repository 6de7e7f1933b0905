#include "common/base/metric.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

/*
 * A power of two of microseconds is cut into 8 buckets. Times of 2^36 us
 * (19 hours) and more share the last one.
 */
#define SUB_BITS        3
#define SUB_BUCKETS     (1u << SUB_BITS)
#define TIME_BITS       36
#define LATENCY_BUCKETS ((TIME_BITS - SUB_BITS + 1) * SUB_BUCKETS)

struct metrics {
	_Atomic uint64_t counters[METRIC_PROCESSES_MAX][METRIC_COUNT];
	_Atomic uint64_t rules[METRIC_RULES_MAX][METRIC_RULE_COUNT];
	_Atomic uint64_t latency[LATENCY_BUCKETS];
};

static struct metrics private_metrics;
static struct metrics *metrics = &private_metrics;
static unsigned own_process;

static const struct {
	const char *name;
	const char *help;
	bool is_gauge;
} texts[] = {
#define METRIC(id, name, help) [METRIC_##id] = { name, help, false },
#define GAUGE(id, name, help)  [METRIC_##id] = { name, help, true },
#include "common/base/metric.def"
#undef GAUGE
#undef METRIC
};

static inline void
add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t
get(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void
metric_init(void)
{
	void *page = mmap(NULL, sizeof(struct metrics), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert(page != MAP_FAILED);
	assert(metrics == &private_metrics);
	metrics = page;
}

void
metric_process(unsigned process)
{
	assert(process < METRIC_PROCESSES_MAX);
	own_process = process;
}

void
metric_forget_gauges(unsigned process)
{
	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (texts[i].is_gauge)
			atomic_store_explicit(&metrics->counters[process][i], 0,
				memory_order_relaxed);
}

void
metric_add(enum metric metric, uint64_t n)
{
	add(&metrics->counters[own_process][metric], n);
}

void
metric_sub(enum metric metric, uint64_t n)
{
	atomic_fetch_sub_explicit(&metrics->counters[own_process][metric], n,
		memory_order_relaxed);
}

void
metric_set(enum metric metric, uint64_t value)
{
	atomic_store_explicit(&metrics->counters[own_process][metric], value,
		memory_order_relaxed);
}

uint64_t
metric_get(enum metric metric)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < METRIC_PROCESSES_MAX; i++)
		sum += get(&metrics->counters[i][metric]);
	return sum;
}

const char *
metric_name(enum metric metric)
{
	return texts[metric].name;
}

const char *
metric_help(enum metric metric)
{
	return texts[metric].help;
}

void
metric_rule_add(unsigned rule, enum metric_rule what)
{
	assert(rule < METRIC_RULES_MAX);
	add(&metrics->rules[rule][what], 1);
}

uint64_t
metric_rule_get(unsigned rule, enum metric_rule what)
{
	assert(rule < METRIC_RULES_MAX);
	return get(&metrics->rules[rule][what]);
}

/* Below SUB_BUCKETS each value has a bucket of its own. */
static unsigned
bucket_of(uint64_t us)
{
	unsigned shift;

	if (us < SUB_BUCKETS)
		return (unsigned)us;
	if (us >> TIME_BITS)
		return LATENCY_BUCKETS - 1;
	shift = 63 - (unsigned)__builtin_clzll(us) - SUB_BITS;
	return shift * SUB_BUCKETS + (unsigned)(us >> shift);
}

/* The largest value in a bucket. */
static uint64_t
bucket_bound(unsigned bucket)
{
	unsigned shift;

	if (bucket < SUB_BUCKETS)
		return bucket;
	shift = bucket / SUB_BUCKETS - 1;
	return ((uint64_t)(bucket % SUB_BUCKETS + SUB_BUCKETS + 1) << shift) -
	       1;
}

void
metric_latency_record(int64_t microseconds)
{
	uint64_t us = microseconds > 0 ? (uint64_t)microseconds : 0;

	add(&metrics->latency[bucket_of(us)], 1);
}

uint64_t
metric_latency_quantile(double quantile)
{
	uint64_t total = 0, seen = 0, rank;

	assert(quantile > 0 && quantile <= 1);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		total += get(&metrics->latency[i]);
	if (total == 0)
		return 0;
	rank = (uint64_t)((double)total * quantile);
	if ((double)rank < (double)total * quantile || rank == 0)
		rank++;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += get(&metrics->latency[i]);
		if (seen >= rank)
			return bucket_bound(i);
	}
	return bucket_bound(LATENCY_BUCKETS - 1);
}
