/*
 * "stats" and "rules": what was counted since the daemon began, by all of its
 * processes. With --watch once a second, with what was added since the line
 * before.
 */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/gauges.h"
#include "policyd/rule.h"
#include "policyd/sources.h"

#define WATCH_MS 1000

/* --- stats -------------------------------------------------------------- */

static void
reply_metrics(struct command *command)
{
	reply_fields(command, "metrics", NULL);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const enum metric metric = (enum metric)i;

		reply_field(command, metric_name(metric), metric_help(metric),
			REPLY_NUMBER);
		reply_unsigned(command, metric_get(metric));
	}
	reply_part_end(command);
}

static void
reply_latency(struct command *command)
{
	static const struct {
		const char *key, *title;
		double quantile;
	} quantiles[] = {
		{ "p50", "half within", 0.5 },
		{ "p90", "90 % within", 0.9 },
		{ "p99", "99 % within", 0.99 },
	};

	reply_fields(command, "latency_us", "Time of an answer");
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		reply_field(command, quantiles[i].key, quantiles[i].title,
			REPLY_MICROSECONDS);
		reply_unsigned(command,
			metric_latency_quantile(quantiles[i].quantile));
	}
	reply_part_end(command);
}

static void
reply_rule_counts(struct command *command, enum rule_id rule)
{
	for (size_t i = 0; i <= METRIC_RULE_UNAVAILABLE; i++)
		reply_unsigned(command,
			metric_rule_get(rule, (enum metric_rule)i));
}

#define COUNT_COLUMNS                                       \
	{ "asked", "Asked", REPLY_NUMBER },                 \
		{ "rejected", "Rejected", REPLY_NUMBER },   \
		{ "deferred", "Deferred", REPLY_NUMBER },   \
		{ "permitted", "Permitted", REPLY_NUMBER }, \
		{ "observed", "Would have", REPLY_NUMBER }, \
	{                                                   \
		"unavailable", "No answer", REPLY_NUMBER    \
	}

static void
reply_rules(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "rule", "Rule", REPLY_TEXT },
		COUNT_COLUMNS,
	};
	const struct config *config = command->sources->config;

	reply_table(command, "rules", "Rules", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < config->n_rule_order; i++) {
		reply_row(command);
		reply_value(command,
			slice_of(rule_name(config->rule_order[i])));
		reply_rule_counts(command, config->rule_order[i]);
	}
	reply_part_end(command);
}

/* --- stats --watch ------------------------------------------------------ */

static const struct {
	const char *key;
	enum metric metric;
} watched[] = {
	{ "requests", METRIC_REQUESTS },
	{ "dunno", METRIC_DUNNO },
	{ "rejected", METRIC_REJECTED },
	{ "deferred", METRIC_DEFERRED },
	{ "observed", METRIC_OBSERVED },
	{ "from_memory", METRIC_FROM_MEMORY },
	{ "past_deadline", METRIC_DEADLINE },
	{ "sql_statements", METRIC_SQL_STATEMENTS },
	{ "sql_keys", METRIC_SQL_ROWS },
	{ "sql_errors", METRIC_SQL_ERRORS },
};

#define N_WATCHED (sizeof(watched) / sizeof(watched[0]))

struct watch {
	struct loop_timer *timer;
	int64_t at_us;
	uint64_t before[N_WATCHED];
};

static uint64_t
per_second(uint64_t n, int64_t elapsed_us)
{
	return elapsed_us <= 0 ? 0 : n * 1000000u / (uint64_t)elapsed_us;
}

static void
look(struct watch *watch, struct str *json)
{
	const int64_t now_us = clock_monotonic_us();
	const int64_t elapsed_us = now_us - watch->at_us;

	str_printf(json, "{\"time\":%lld,\"connections\":%llu",
		(long long)clock_wall(),
		(unsigned long long)metric_get(METRIC_CONNECTIONS));
	for (size_t i = 0; i < N_WATCHED; i++) {
		const uint64_t now = metric_get(watched[i].metric);

		str_printf(json, ",\"%s\":%llu", watched[i].key,
			(unsigned long long)per_second(now - watch->before[i],
				elapsed_us));
		watch->before[i] = now;
	}
	str_printf(json, ",\"writes_waiting\":%llu,\"p99_us\":%llu}",
		(unsigned long long)metric_get(METRIC_EFFECTS_QUEUED),
		(unsigned long long)metric_latency_quantile(0.99));
	watch->at_us = now_us;
}

static void
on_second(void *arg)
{
	struct command *command = arg;
	struct watch *watch = command->data;
	struct str json;

	str_init(&json, 4096);
	look(watch, &json);
	loop_timer_set(watch->timer, WATCH_MS);
	reply_json(command, "rates", str_slice(&json));
	str_free(&json);
}

static void
stop_watch(struct command *command)
{
	struct watch *watch = command->data;

	loop_timer_free(watch->timer);
	x_free(watch);
}

static void
start_watch(struct command *command)
{
	struct watch *watch = x_new(struct watch);

	watch->timer =
		loop_timer_new(command->sources->loop, on_second, command);
	watch->at_us = clock_monotonic_us();
	for (size_t i = 0; i < N_WATCHED; i++)
		watch->before[i] = metric_get(watched[i].metric);
	command->data = watch;
	command->on_gone = stop_watch;
	loop_timer_set(watch->timer, WATCH_MS);
}

void
command_stats(struct command *command)
{
	if (command_has(command, "watch")) {
		start_watch(command);
		return;
	}
	gauges_look(command->sources->gauges);
	reply_metrics(command);
	reply_rules(command);
	reply_latency(command);
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- rules -------------------------------------------------------------- */

void
command_rules(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "order", "#", REPLY_NUMBER },
		{ "rule", "Rule", REPLY_TEXT },
		{ "mode", "Mode", REPLY_TEXT },
		{ "on_error", "On error", REPLY_TEXT },
		COUNT_COLUMNS,
		{ "summary", "What it does", REPLY_TEXT },
	};
	const struct config *config = command->sources->config;

	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < config->n_rule_order; i++) {
		const enum rule_id id = config->rule_order[i];
		const struct config_rule *of = &config->rule[id];

		reply_row(command);
		reply_unsigned(command, i + 1);
		reply_value(command, slice_of(rule_name(id)));
		reply_value(command, slice_of(rule_mode_name(of->mode)));
		reply_value(command, of->on_error == RULE_ON_ERROR_DEFER
					     ? SLICE("defer")
					     : SLICE("accept"));
		reply_rule_counts(command, id);
		reply_value(command, slice_of(rules_all[id]->summary));
	}
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}
