/*
 * "status": how the daemon is, for people and for monitoring. What is wrong
 * is said first, each thing in a sentence.
 */

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/metric.h"
#include "policyd/cleanup.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/tables.h"
#include "policyd/gauges.h"
#include "policyd/journal.h"
#include "policyd/schema.h"
#include "policyd/sources.h"
#include "policyd/version.h"
#include "policyd/worker.h"

static void
field_text(struct command *command, const char *key, const char *title,
	const char *text)
{
	reply_field(command, key, title, REPLY_TEXT);
	reply_value(command, slice_of(text));
}

static void
field_number(struct command *command, const char *key, const char *title,
	enum reply_type type, uint64_t number)
{
	reply_field(command, key, title, type);
	reply_unsigned(command, number);
}

static void
reply_daemon(struct command *command)
{
	const struct sources *sources = command->sources;
	struct journal_state journal;

	gauges_look(sources->gauges);
	journal_state(sources->journal, &journal);
	reply_fields(command, NULL, NULL);
	field_text(command, "version", "version", POLICYD_VERSION);
	field_text(command, "node", "node", sources->node);
	field_number(command, "process", "process", REPLY_NUMBER,
		sources->process);
	field_number(command, "processes", "processes", REPLY_NUMBER,
		sources->config->policyd.policy_processes);
	field_number(command, "pid", "process id", REPLY_NUMBER,
		(uint64_t)getpid());
	field_number(command, "uptime", "running for", REPLY_SECONDS,
		(uint64_t)(clock_wall() - sources->started_at));
	field_text(command, "config", "configuration", sources->config->path);
	field_number(command, "restarts", "processes that died", REPLY_NUMBER,
		metric_get(METRIC_CHILD_RESTARTS));
	field_number(command, "requests", "requests answered", REPLY_NUMBER,
		metric_get(METRIC_REQUESTS));
	field_number(command, "connections", "connections now", REPLY_NUMBER,
		metric_get(METRIC_CONNECTIONS));
	field_number(command, "decisions_waiting", "decisions waiting",
		REPLY_NUMBER, metric_get(METRIC_DECISIONS_WAITING));
	field_number(command, "triplets_in_memory", "triplets in memory",
		REPLY_NUMBER, metric_get(METRIC_MEMORY_TRIPLETS));
	field_number(command, "clients_in_memory", "clients in memory",
		REPLY_NUMBER, metric_get(METRIC_MEMORY_CLIENTS));
	field_number(command, "triplets_bytes", "memory of both", REPLY_BYTES,
		metric_get(METRIC_MEMORY_TRIPLETS_BYTES));
	field_number(command, "addresses_in_memory", "addresses in memory",
		REPLY_NUMBER, metric_get(METRIC_MEMORY_ADDRESSES));
	field_number(command, "spf_in_memory", "SPF results in memory",
		REPLY_NUMBER, metric_get(METRIC_MEMORY_SPF));
	field_number(command, "instances", "messages in transit", REPLY_NUMBER,
		metric_get(METRIC_MEMORY_INSTANCES));
	field_number(command, "decisions_in_memory", "decisions in memory",
		REPLY_NUMBER, metric_get(METRIC_MEMORY_DECISIONS));
	field_number(command, "decisions_since", "decisions since", REPLY_TIME,
		(uint64_t)(journal.oldest_us / 1000000));
	if (config_has_milter(sources->config)) {
		field_number(command, "milter_sessions", "milter sessions now",
			REPLY_NUMBER, metric_get(METRIC_MILTER_SESSIONS));
		field_number(command, "milter_messages",
			"messages seen by the milter", REPLY_NUMBER,
			metric_get(METRIC_MILTER_MESSAGES));
	}
	field_number(command, "writes_waiting", "writes waiting", REPLY_NUMBER,
		metric_get(METRIC_EFFECTS_QUEUED));
	field_number(command, "writes_lost", "writes lost", REPLY_NUMBER,
		metric_get(METRIC_EFFECTS_LOST) +
			metric_get(METRIC_SESSIONS_LOST));
	reply_part_end(command);
}

/* What is said here of other nodes was true at the last attempt of this. */
static void
reply_cleanup(struct command *command)
{
	const struct sources *sources = command->sources;
	struct cleanup_state cleanup;

	cleanup_state(sources->cleanup, &cleanup);
	reply_fields(command, "cleanup", "Clean-up");
	field_text(command, "state", "state",
		cleanup.is_running                 ? "at work"
		: sources->config->cleanup.enabled ? "waits"
						   : "off");
	field_number(command, "finished_at", "last done", REPLY_TIME,
		(uint64_t)cleanup.finished_at);
	field_text(command, "node", "by", cleanup.node);
	field_number(command, "rows", "rows removed", REPLY_NUMBER,
		cleanup.n_rows);
	field_text(command, "error", "error", cleanup.error);
	reply_part_end(command);
}

static void
reply_databases(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "name", "Database", REPLY_TEXT },
		{ "is_up", "State", REPLY_UP },
		{ "since", "Since", REPLY_TIME },
		{ "connections", "Connections", REPLY_NUMBER },
		{ "queued", "Queued", REPLY_NUMBER },
		{ "server_version", "Server", REPLY_TEXT },
		{ "error", "Error", REPLY_TEXT },
	};
	struct db_state state;

	reply_table(command, "databases", "Databases", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++) {
		if (command->sources->db[i] == NULL)
			continue;
		db_state(command->sources->db[i], &state);
		reply_row(command);
		reply_value(command, slice_of(state.label));
		reply_bool(command, state.is_up);
		reply_number(command, state.since);
		reply_unsigned(command, state.n_connections);
		reply_unsigned(command, state.n_queued);
		reply_value(command, slice_of(state.server_version));
		reply_value(command, slice_of(state.error));
	}
	reply_part_end(command);
}

static void
reply_tables(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "name", "Table", REPLY_TEXT },
		{ "rows", "Rows", REPLY_NUMBER },
		{ "problems", "Problems", REPLY_NUMBER },
		{ "loaded_at", "Read", REPLY_TIME },
		{ "checked_at", "Checked", REPLY_TIME },
		{ "error", "Error", REPLY_TEXT },
	};
	struct table_state state;

	reply_table(command, "tables", "Tables", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		tables_state(command->sources->tables, (enum table_id)i,
			&state);
		if (state.is_absent)
			continue;
		reply_row(command);
		reply_value(command, slice_of(state.name));
		reply_unsigned(command, state.n_rows);
		reply_unsigned(command, state.n_problems);
		reply_number(command, state.loaded_at);
		reply_number(command, state.checked_at);
		reply_value(command, slice_of(state.error));
	}
	reply_part_end(command);
}

/* --- what is wrong ------------------------------------------------------ */

static const struct reply_column finding_column[] = {
	{ "text", "Findings", REPLY_TEXT },
};

struct findings {
	struct command *command;
	size_t n;
	bool is_database;
};

__attribute__((format(printf, 2, 3))) static void
find(struct findings *findings, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	reply_row(findings->command);
	reply_value(findings->command, slice_of(text));
	findings->n++;
}

static void
find_databases(struct findings *findings)
{
	struct db_state state;

	for (size_t i = 0; i < CONFIG_DB_COUNT; i++) {
		if (findings->command->sources->db[i] == NULL)
			continue;
		db_state(findings->command->sources->db[i], &state);
		if (state.is_up)
			continue;
		findings->is_database = true;
		find(findings, "database %s is not available: %s", state.label,
			state.error[0] != '\0' ? state.error
					       : "not connected yet");
	}
}

static void
find_tables(struct findings *findings)
{
	struct table_state state;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		tables_state(findings->command->sources->tables,
			(enum table_id)i, &state);
		if (state.is_absent)
			continue;
		if (state.error[0] != '\0' && !findings->is_database)
			find(findings, "table %s: %s", state.name, state.error);
		else if (state.loaded_at == 0 && !findings->is_database)
			find(findings, "table %s was not read yet", state.name);
		if (state.n_problems > 0)
			find(findings,
				"table %s: %zu rows make no sense and are left "
				"out; see \"policyctl policy check\"",
				state.name, state.n_problems);
	}
}

static void
find_schema(struct findings *findings)
{
	const struct schema *schema = findings->command->sources->schema;
	const char *missing;

	if (schema == NULL || schema_is_complete(schema, &missing) ||
		missing[0] == '\0')
		return;
	find(findings, "missing: %s; run \"policyctl db migrate\"", missing);
}

void
command_status(struct command *command)
{
	struct findings findings = { command, 0, false };

	reply_table(command, "findings", NULL, finding_column, 1);
	find_databases(&findings);
	find_schema(&findings);
	find_tables(&findings);
	reply_part_end(command);
	reply_daemon(command);
	reply_cleanup(command);
	reply_databases(command);
	reply_tables(command);
	if (findings.is_database)
		reply_end(command, COMMAND_EXIT_NO_DATABASE);
	else
		reply_end(command, findings.n > 0 ? COMMAND_EXIT_FINDINGS
						  : COMMAND_EXIT_DONE);
}
