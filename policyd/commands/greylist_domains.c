/*
 * "greylist whitelist-domain": domains whose mail servers are never
 * greylisted, iredapd.greylisting_whitelist_domains. Which servers these are
 * is looked up from time to time and kept in greylisting_whitelist_domain_spf
 * with the comment "AUTO-UPDATE: DOMAIN".
 */

#include "common/base/mem.h"
#include "common/mail/address.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

/* --- list --------------------------------------------------------------- */

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "domain", "Domain", REPLY_TEXT },
		{ "entries", "Entries", REPLY_NUMBER },
	};

	command_list_rows(command, result->rows, columns,
		sizeof(columns) / sizeof(columns[0]));
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

/* NULL: the command was ended. */
static struct change *
read_change(struct command *command)
{
	struct change *change = arena_new_object(command->arena, struct change);
	struct slice account;

	if (!command_account(command, "domain", "", &account))
		return NULL;
	if (account_kind(account) != ACCOUNT_DOMAIN) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"\"%.*s\" is not a domain such as example.com; for "
			"anything else see \"policyctl greylist whitelist\"",
			SLICE_ARG(command_text(command, "domain")));
		return NULL;
	}
	change->domain = account_plain(account);
	command->data = change;
	return change;
}

static void
run(struct command *command, const struct db_statement *statement,
	command_rows_fn *next)
{
	const struct change *change = command->data;
	const struct db_value domain = { .text = change->domain };

	command_db(command, CONFIG_DB_IREDAPD, statement, &domain, next);
}

static void
after_add(struct command *command)
{
	const struct change *change = command->data;

	reply_text(command,
		"%.*s is on the list; policyd does not look up its mail "
		"servers: iRedAPD's spf_to_greylist_whitelists does, where it "
		"runs, and what it has found is not greylisted",
		SLICE_ARG(change->domain));
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

	if (read_change(command) != NULL)
		run(command, &statement, on_added);
}

/* --- remove ------------------------------------------------------------- */

static void
after_remove(struct command *command)
{
	const struct change *change = command->data;

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

	if (read_change(command) != NULL)
		run(command, &statement, on_white_removed);
}
