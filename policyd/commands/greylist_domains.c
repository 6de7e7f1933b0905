#include "policyd/commands/greylist_domains.h"

#include "common/base/mem.h"
#include "common/mail/address.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/domain_servers.h"
#include "policyd/sources.h"

/* --- list --------------------------------------------------------------- */

/* Why nothing is known of a domain. */
static const char *
unknown_text(const struct command *command)
{
	const struct domain_servers *servers = command->sources->domain_servers;

	switch (domain_servers_role(servers)) {
	case DOMAIN_SERVERS_WORKS:
	case DOMAIN_SERVERS_WAITS:
		return "not looked up yet";
	case DOMAIN_SERVERS_STANDS_BY:
		return arena_printf(command->arena, "node %s looks it up",
			domain_servers_node(servers));
	case DOMAIN_SERVERS_OFF:
		return "refresh_whitelist_domains is off";
	case DOMAIN_SERVERS_REHEARSES:
		return "parallel is set: nothing is changed meanwhile";
	case DOMAIN_SERVERS_ELSEWHERE:
		return "process 0 looks it up";
	}
	return "";
}

static const char *
health_text(const struct command *command, const struct domain_state *state)
{
	switch (state->health) {
	case DOMAIN_UNKNOWN:
		return unknown_text(command);
	case DOMAIN_OK:
		return "ok";
	case DOMAIN_INCOMPLETE:
		return arena_printf(command->arena, "not complete: %s",
			state->problem);
	case DOMAIN_FAILED:
		return arena_printf(command->arena, "failed: %s",
			state->problem);
	}
	return "";
}

static void
reply_domain(struct command *command, struct slice domain, uint64_t n_entries)
{
	struct domain_state state;

	domain_servers_state(command->sources->domain_servers,
		slice_lower(command->arena, domain), &state);
	reply_row(command);
	reply_value(command, domain);
	reply_unsigned(command, n_entries);
	reply_number(command, state.looked_up_at);
	reply_number(command, state.next_at);
	reply_value(command, slice_of(health_text(command, &state)));
}

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "domain", "Domain", REPLY_TEXT },
		{ "entries", "Entries", REPLY_NUMBER },
		{ "looked_up_at", "Looked up", REPLY_TIME },
		{ "next_at", "Next", REPLY_TIME },
		{ "state", "State", REPLY_TEXT },
	};
	const size_t n = db_rows_count(result->rows);

	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n; i++)
		reply_domain(command, db_rows_text(result->rows, i, 0),
			db_rows_u64(result->rows, i, 1));
	reply_part_end(command);
	command_end_list(command, n);
}

void
command_greylist_whitelist_domain_list(struct command *command)
{
	/* EXPLAIN: the entries by the indexes on comment. */
	static const struct db_statement statement = {
		.name = "whitelist_domain_list",
		.sql = "SELECT d.domain,"
		       " (SELECT COUNT(*) FROM greylisting_whitelists w"
		       " WHERE w.comment = CONCAT('AUTO-UPDATE: ', d.domain))"
		       " + (SELECT COUNT(*)"
		       " FROM greylisting_whitelist_domain_spf s"
		       " WHERE s.comment = CONCAT('AUTO-UPDATE: ', d.domain))"
		       " FROM greylisting_whitelist_domains d"
		       " ORDER BY d.domain LIMIT ?",
		.access = DB_READS,
		.params = "u",
		.columns = "su",
	};
	struct db_value limit = { .is_null = false };

	if (command_limit(command, &limit.number))
		command_db(command, CONFIG_DB_IREDAPD, &statement, &limit,
			on_list);
}

/* --- add ---------------------------------------------------------------- */

struct change {
	struct slice domain;
	uint64_t n_domains, n_entries; /* removed */
};

bool
greylist_domain_argument(struct command *command, struct slice *domain)
{
	struct slice account;

	if (!command_account(command, "domain", "", &account))
		return false;
	*domain = account_plain(account);
	if (account_kind(account) == ACCOUNT_DOMAIN)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"\"%.*s\" is not a domain such as example.com; for anything "
		"else see \"policyctl greylist whitelist\"",
		SLICE_ARG(command_text(command, "domain")));
	return false;
}

/* False: the command was ended. */
static bool
read_change(struct command *command)
{
	struct change *change = arena_new_object(command->arena, struct change);

	command->data = change;
	return greylist_domain_argument(command, &change->domain);
}

static void
run(struct command *command, const struct db_statement *statement,
	command_rows_fn *next)
{
	const struct change *change = command->data;
	const struct db_value domain = { .text = change->domain };

	command_db(command, CONFIG_DB_IREDAPD, statement, &domain, next);
}

/* Who will look up its servers, and when. */
static const char *
promise(const struct command *command)
{
	const struct domain_servers *servers = command->sources->domain_servers;

	switch (domain_servers_role(servers)) {
	case DOMAIN_SERVERS_WORKS:
		return "its mail servers are looked up now; \"policyctl "
		       "greylist whitelist-domain list\" shows when that is "
		       "done";
	case DOMAIN_SERVERS_STANDS_BY:
		return arena_printf(command->arena,
			"node %s looks up its mail servers in a moment",
			domain_servers_node(servers));
	case DOMAIN_SERVERS_OFF:
		return "refresh_whitelist_domains is off: \"policyctl "
		       "greylist whitelist-domain refresh\" looks up its mail "
		       "servers";
	case DOMAIN_SERVERS_REHEARSES:
		return "while parallel is set only \"policyctl greylist "
		       "whitelist-domain refresh\" looks up its mail servers";
	case DOMAIN_SERVERS_WAITS:
	case DOMAIN_SERVERS_ELSEWHERE:
		return "its mail servers are looked up in a moment";
	}
	return "";
}

static void
after_add(struct command *command)
{
	const struct change *change = command->data;

	domain_servers_look(command->sources->domain_servers);
	reply_text(command, "%.*s is on the list; %s",
		SLICE_ARG(change->domain), promise(command));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_added(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->domain, after_add);
}

void
command_greylist_whitelist_domain_add(struct command *command)
{
	static const struct db_statement statement = {
		.name = "whitelist_domain_add",
		.sql = "INSERT INTO greylisting_whitelist_domains (domain)"
		       " VALUES (?) ON DUPLICATE KEY UPDATE domain = domain",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};

	if (read_change(command))
		run(command, &statement, on_added);
}

/* --- remove ------------------------------------------------------------- */

static void
after_remove(struct command *command)
{
	const struct change *change = command->data;

	domain_servers_look(command->sources->domain_servers);
	reply_text(command, "removed: %.*s%s, and %llu entries of its servers",
		SLICE_ARG(change->domain),
		change->n_domains == 0 ? " (which was not on the list)" : "",
		(unsigned long long)change->n_entries);
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_removed(struct command *command, const struct db_result *result)
{
	struct change *change = command->data;

	change->n_domains = result->affected;
	if (change->n_domains == 0 && change->n_entries == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s is not on the list; \"policyctl greylist "
			"whitelist-domain list\" shows it",
			SLICE_ARG(change->domain));
	else
		command_changed(command, change->domain, after_remove);
}

static void
on_spf_removed(struct command *command, const struct db_result *result)
{
	static const struct db_statement statement = {
		.name = "whitelist_domain_remove",
		.sql = "DELETE FROM greylisting_whitelist_domains"
		       " WHERE domain = ?",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	struct change *change = command->data;

	change->n_entries += result->affected;
	run(command, &statement, on_removed);
}

static void
on_white_removed(struct command *command, const struct db_result *result)
{
	static const struct db_statement statement = {
		.name = "whitelist_domain_remove_spf",
		.sql = "DELETE FROM greylisting_whitelist_domain_spf"
		       " WHERE comment = CONCAT('AUTO-UPDATE: ', ?)",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	struct change *change = command->data;

	change->n_entries += result->affected;
	run(command, &statement, on_spf_removed);
}

/* The domain goes last: if this stops half-way it can be said again. */
void
command_greylist_whitelist_domain_remove(struct command *command)
{
	static const struct db_statement statement = {
		.name = "whitelist_domain_remove_white",
		.sql = "DELETE FROM greylisting_whitelists"
		       " WHERE comment = CONCAT('AUTO-UPDATE: ', ?)",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};

	if (read_change(command))
		run(command, &statement, on_white_removed);
}
