/*
 * "parallel": how policyd's answers compare with those of the daemon that
 * answers meanwhile, by rule, and the newest that differ.
 */

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

/* Differences shown unless --limit says otherwise. */
#define SHOWN 20u

/* --- counts ------------------------------------------------------------- */

static void
reply_counts(struct command *command)
{
	static const struct {
		const char *key, *title;
		enum metric metric;
	} counts[] = {
		{ "compared", "Compared", METRIC_PARALLEL_COMPARED },
		{ "stricter", "policyd is stricter", METRIC_PARALLEL_STRICTER },
		{ "laxer", "policyd is laxer", METRIC_PARALLEL_LAXER },
		{ "unanswered", "Without its answer",
			METRIC_PARALLEL_UNANSWERED },
	};
	const struct config *config = command->sources->config;

	reply_fields(command, "counts", NULL);
	reply_field(command, "daemon", "The other daemon", REPLY_TEXT);
	reply_value(command, slice_of(config->policyd.parallel.text));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		reply_field(command, counts[i].key, counts[i].title,
			REPLY_NUMBER);
		reply_unsigned(command, metric_get(counts[i].metric));
	}
	reply_part_end(command);
}

static void
reply_rules(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "rule", "Rule", REPLY_TEXT },
		{ "stricter", "policyd is stricter", REPLY_NUMBER },
		{ "laxer", "policyd is laxer", REPLY_NUMBER },
	};

	reply_table(command, "rules", "Differences by rule", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (unsigned id = 0; id < RULE_ID_COUNT; id++) {
		const uint64_t stricter =
			metric_rule_get(id, METRIC_RULE_STRICTER);
		const uint64_t laxer = metric_rule_get(id, METRIC_RULE_LAXER);

		if (stricter + laxer == 0)
			continue;
		reply_row(command);
		reply_value(command, slice_of(rule_name((enum rule_id)id)));
		reply_unsigned(command, stricter);
		reply_unsigned(command, laxer);
	}
	reply_part_end(command);
}

/* --- the newest that differ --------------------------------------------- */

static bool
is_clean(void)
{
	return metric_get(METRIC_PARALLEL_STRICTER) == 0 &&
	       metric_get(METRIC_PARALLEL_LAXER) == 0;
}

static void
say_what_it_means(struct command *command)
{
	const char *other = command->sources->config->policyd.parallel.text;

	if (other[0] == '\0')
		reply_text(command, "policyd answers by itself: [policyd] "
				    "parallel is not set");
	else if (metric_get(METRIC_PARALLEL_COMPARED) == 0)
		reply_text(command, "nothing was asked since the daemon began");
	else if (is_clean())
		reply_text(command,
			"no answer differs since the daemon began; remove "
			"\"parallel\" from policyd.conf and run \"policyctl "
			"reload\", and policyd answers by itself");
	else
		reply_text(command, "\"policyctl explain CODE\" shows why "
				    "policyd would have answered so");
}

enum { TIME, CODE, STAGE, RULE, CLIENT, SENDER, RECIPIENT, LOGIN, OLD, OWN };

static void
reply_difference(struct command *command, const struct db_rows *rows, size_t i)
{
	reply_row(command);
	reply_unsigned(command, db_rows_u64(rows, i, TIME));
	for (size_t column = CODE; column <= OWN; column++)
		reply_value(command, db_rows_text(rows, i, column));
}

static void
on_differences(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "time", "Time", REPLY_TIME },
		{ "code", "Code", REPLY_TEXT },
		{ "stage", "Stage", REPLY_TEXT },
		{ "rule", "Rule", REPLY_TEXT },
		{ "client_address", "Client", REPLY_TEXT },
		{ "sender", "Sender", REPLY_TEXT },
		{ "recipient", "Recipient", REPLY_TEXT },
		{ "sasl_username", "Login", REPLY_TEXT },
		{ "old_reply", "The other daemon", REPLY_TEXT },
		{ "reply", "policyd", REPLY_TEXT },
	};
	const size_t n = db_rows_count(result->rows);

	reply_counts(command);
	reply_rules(command);
	reply_table(command, "differences", "The newest differences", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n; i++)
		reply_difference(command, result->rows, i);
	reply_part_end(command);
	say_what_it_means(command);
	reply_end(command,
		is_clean() ? COMMAND_EXIT_DONE : COMMAND_EXIT_FINDINGS);
}

void
command_parallel(struct command *command)
{
	/* EXPLAIN: all rows, of which nearly all are differences. */
	static const struct db_statement statement = {
		.name = "parallel_list",
		.sql = "SELECT time_us DIV 1000000, code, stage, rule,"
		       " client_address, sender, recipient, sasl_username,"
		       " old_reply, reply FROM decision"
		       " WHERE old_reply <> '' AND (? = '' OR rule = ?)"
		       " ORDER BY time_us DESC LIMIT ?",
		.access = DB_READS,
		.params = "ssu",
		.columns = "usssssssss",
	};
	struct db_value values[3] = { { .is_null = false } };
	enum rule_id rule;

	values[0].text = values[1].text = command_text(command, "rule");
	if (values[0].text.len > 0 && !rule_id_parse(values[0].text, &rule)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"there is no rule \"%.*s\"; see \"policyctl rules\"",
			SLICE_ARG(values[0].text));
		return;
	}
	if (!command_limit(command, &values[2].number))
		return;
	if (!command_has(command, "limit"))
		values[2].number = SHOWN;
	command_db(command, CONFIG_DB_POLICYD, &statement, values,
		on_differences);
}
