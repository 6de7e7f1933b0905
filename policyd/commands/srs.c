/* "srs": rewritten senders, the secrets, and whose senders are left alone. */

#include <stdio.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/mail/srs.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"
#include "policyd/srs_look_up.h"

/* --- srs encode, decode ------------------------------------------------- */

static bool
is_on(struct command *command)
{
	if (config_has_srs(command->sources->config))
		return true;
	reply_error(command, COMMAND_EXIT_REFUSED,
		"SRS is off: set domain and secrets_file of [srs] in %s and "
		"start the daemon again",
		command->sources->config->path);
	return false;
}

static void
look_up(struct command *command, enum srs_direction direction)
{
	const struct slice address = command_text(command, "address");
	struct srs_answer answer;

	if (!is_on(command))
		return;
	answer = srs_look_up(command->sources, direction, address,
		command->arena);
	if (answer.status == POSTFIX_MAP_FOUND) {
		reply_fields(command, NULL, NULL);
		reply_field(command, "address", "Address", REPLY_TEXT);
		reply_value(command, answer.text);
		reply_part_end(command);
		reply_end(command, COMMAND_EXIT_DONE);
		return;
	}
	reply_error(command,
		answer.status == POSTFIX_MAP_TEMPORARY
			? COMMAND_EXIT_NO_DATABASE
			: COMMAND_EXIT_NOT_FOUND,
		"%.*s: %.*s", SLICE_ARG(address), SLICE_ARG(answer.text));
}

void
command_srs_encode(struct command *command)
{
	look_up(command, SRS_FORWARD);
}

void
command_srs_decode(struct command *command)
{
	look_up(command, SRS_REVERSE);
}

/* --- srs keys ----------------------------------------------------------- */

/* Enough to tell secrets apart, and of no use to anybody else. */
static struct slice
fingerprint(struct arena *arena, struct slice secret)
{
	unsigned char hash[CRYPTO_SHA1_SIZE];

	crypto_hmac_sha1(secret, SLICE("fingerprint"), hash);
	return slice_of(arena_printf(arena, "%02x%02x%02x%02x", hash[0],
		hash[1], hash[2], hash[3]));
}

void
command_srs_keys(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "number", "#", REPLY_NUMBER },
		{ "fingerprint", "Fingerprint", REPLY_TEXT },
		{ "signs", "Signs", REPLY_BOOL },
	};
	struct srs srs;

	if (!is_on(command))
		return;
	srs_of_config(command->sources->config, &srs);
	reply_table(command, NULL, NULL, columns, 3);
	for (size_t i = 0; i < srs.n_secrets; i++) {
		reply_row(command);
		reply_unsigned(command, i + 1);
		reply_value(command,
			fingerprint(command->arena, srs.secret[i]));
		reply_bool(command, i == 0);
	}
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}

/* --- srs exclude -------------------------------------------------------- */

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "domain", "Domain", REPLY_TEXT },
	};

	command_list_rows(command, result->rows, columns, 1);
}

void
command_srs_exclude_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "srs_exclude_list",
		.sql = "SELECT domain FROM srs_exclude_domains ORDER BY domain"
		       " LIMIT ?",
		.access = DB_READS,
		.params = "u",
		.columns = "s",
	};
	struct db_value limit = { .is_null = false };

	if (command_limit(command, &limit.number))
		command_db(command, CONFIG_DB_IREDAPD, &statement, &limit,
			on_list);
}

/* The domain as the table holds it: "example.org", ".example.org". */
static bool
read_domain(struct command *command, struct slice *domain)
{
	enum account_kind kind;

	if (!command_account(command, "domain", "", domain))
		return false;
	kind = account_kind(*domain);
	if (kind == ACCOUNT_DOMAIN || kind == ACCOUNT_SUBDOMAIN ||
		kind == ACCOUNT_TOP_DOMAIN) {
		*domain = account_plain(*domain);
		return true;
	}
	reply_error(command, COMMAND_EXIT_USAGE,
		"\"%.*s\" is not a domain; write example.org, or .example.org "
		"for the names below it",
		SLICE_ARG(command_text(command, "domain")));
	return false;
}

static void
after_change(struct command *command)
{
	const struct slice domain = account_plain(command->account);
	const bool is_below = slice_starts(domain, SLICE("."));

	reply_text(command, "senders of %s%.*s are %s now",
		is_below ? "every domain below " : "",
		SLICE_ARG(slice_from(domain, is_below ? 1 : 0)),
		command->request.row->id == COMMAND_srs_exclude_add
			? "not rewritten"
			: "rewritten");
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_changed(struct command *command, const struct db_result *result)
{
	if (result->affected > 0 ||
		command->request.row->id == COMMAND_srs_exclude_add) {
		command_changed(command, command->account, after_change);
		return;
	}
	reply_error(command, COMMAND_EXIT_NOT_FOUND,
		"%.*s is not excluded; \"policyctl srs exclude list\" shows "
		"what is",
		SLICE_ARG(account_plain(command->account)));
}

static void
change(struct command *command, const struct db_statement *statement)
{
	struct db_value domain = { .is_null = false };

	if (read_domain(command, &domain.text))
		command_db(command, CONFIG_DB_IREDAPD, statement, &domain,
			on_changed);
}

void
command_srs_exclude_add(struct command *command)
{
	static const struct db_statement statement = {
		.name = "srs_exclude_add",
		.sql = "INSERT INTO srs_exclude_domains (domain) VALUES (?)"
		       " ON DUPLICATE KEY UPDATE domain = VALUES(domain)",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};

	change(command, &statement);
}

void
command_srs_exclude_remove(struct command *command)
{
	static const struct db_statement statement = {
		.name = "srs_exclude_remove",
		.sql = "DELETE FROM srs_exclude_domains WHERE domain = ?",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};

	change(command, &statement);
}
