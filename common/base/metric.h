#ifndef COMMON_BASE_METRIC_H
#define COMMON_BASE_METRIC_H

/*
 * Counters that survive a child: atomics in one shared mapping that the
 * supervisor makes before it forks. An increment is one relaxed atomic add.
 * Each metric is a row in metric.def.
 */

#include <stddef.h>
#include <stdint.h>

enum metric {
#define METRIC(id, name, help) METRIC_##id,
#define GAUGE(id, name, help)  METRIC_##id,
#include "common/base/metric.def"
#undef GAUGE
#undef METRIC
	METRIC_COUNT
};

/* Per rule, for at most METRIC_RULES_MAX rules. */
enum metric_rule {
	METRIC_RULE_ASKED,
	METRIC_RULE_REJECTED,
	METRIC_RULE_DEFERRED,
	METRIC_RULE_PERMITTED,   /* the rules behind it were not asked */
	METRIC_RULE_OBSERVED,    /* would have refused, mode is observe */
	METRIC_RULE_UNAVAILABLE, /* a fact was unavailable: on_error answered */
	METRIC_RULE_STRICTER,    /* refuses, the daemon in parallel does not */
	METRIC_RULE_LAXER,       /* the other way round */
	METRIC_RULE_COUNT
};

#define METRIC_RULES_MAX 32

/* Makes the mapping; before it, and in unit tests, a private one is used. */
void metric_init(void);
/* Which process of METRIC_PROCESSES_MAX adds from now on. */
#define METRIC_PROCESSES_MAX 17
void metric_process(unsigned process);
/* The process died: what it held open is no more. */
void metric_forget_gauges(unsigned process);
void metric_add(enum metric metric, uint64_t n);
/* Gauges: may go down. */
void metric_sub(enum metric metric, uint64_t n);
void metric_set(enum metric metric, uint64_t value);
/* Over all processes. */
uint64_t metric_get(enum metric metric);
const char *metric_name(enum metric metric);
const char *metric_help(enum metric metric);
void metric_rule_add(unsigned rule, enum metric_rule what);
uint64_t metric_rule_get(unsigned rule, enum metric_rule what);

/*
 * Time a decision took, in log-linear buckets (each at most 1/8 wide).
 * Returns the upper bound of the bucket that holds the quantile
 * (0 < quantile <= 1) in microseconds, 0 when nothing was recorded.
 */
void metric_latency_record(int64_t microseconds);
uint64_t metric_latency_quantile(double quantile);

#endif
