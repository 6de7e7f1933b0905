/*
 * "reputation show|allow|forget|list": what lists in the DNS say of a client,
 * and the clients that are exempt, iredapd.senderscore_cache.
 */

#include "policyd/facts/reputation.h"

#include "common/base/mem.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/exempt_clients.h"
#include "policyd/facts/tables.h"
#include "policyd/sources.h"

struct subject {
	struct ip client;
	struct slice text;
};

/* NULL: the command was ended. */
static const struct subject *
read_client(struct command *command)
{
	struct subject *subject =
		arena_new_object(command->arena, struct subject);
	const struct slice typed = slice_trim(command_text(command, "client"));
	char text[IP_TEXT_MAX];

	if (!ip_parse(typed, &subject->client)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"\"%.*s\" is no IP address; lists in the DNS are asked "
			"for single addresses",
			SLICE_ARG(typed));
		return NULL;
	}
	subject->text = slice_copy(command->arena,
		slice_of(ip_format(&subject->client, text)));
	command->data = subject;
	return subject;
}

/* --- show --------------------------------------------------------------- */

static void
reply_summary(struct command *command, const struct reputation *value)
{
	const struct subject *subject = command->data;
	const struct sources *sources = command->sources;
	const struct exempt_clients *exempt =
		tables_get(sources->tables, TABLE_EXEMPT_CLIENTS);

	reply_fields(command, NULL, NULL);
	reply_field(command, "client", "Client", REPLY_TEXT);
	reply_value(command, subject->text);
	reply_field(command, "score", "Score", REPLY_NUMBER);
	reply_number(command, value->score);
	reply_field(command, "reject_threshold", "Refused from", REPLY_NUMBER);
	reply_unsigned(command, sources->config->reputation.reject_threshold);
	reply_field(command, "is_exempt", "Exempt", REPLY_BOOL);
	if (exempt != NULL)
		reply_bool(command,
			exempt_clients_has(exempt, &subject->client));
	else
		reply_null(command);
	reply_part_end(command);
}

static void
reply_listing(struct command *command, const struct listing *listing)
{
	const bool has_failed = listing->status == LISTING_FAILED;

	reply_row(command);
	reply_value(command, listing->item);
	reply_value(command, slice_of(listing_status_text(listing->status)));
	reply_number(command,
		listing->status == LISTING_COUNTS ? listing->weight : 0);
	reply_value(command, listing->answer);
	if (has_failed)
		reply_null(command);
	else
		reply_unsigned(command, listing->ttl);
	reply_bool(command, listing->is_from_cache);
	reply_value(command, listing->reason);
}

static void
reply_reputation(struct command *command, const struct reputation *value)
{
	static const struct reply_column columns[] = {
		{ "list", "List", REPLY_TEXT },
		{ "result", "Result", REPLY_TEXT },
		{ "counts", "Counts", REPLY_NUMBER },
		{ "answer", "Answer", REPLY_TEXT },
		{ "ttl", "For", REPLY_SECONDS },
		{ "is_cached", "Cached", REPLY_BOOL },
		{ "reason", "Reason", REPLY_TEXT },
	};

	reply_summary(command, value);
	reply_table(command, "lists", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < value->n_lists; i++)
		reply_listing(command, &value->lists[i]);
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_looked_up(void *arg, const struct reputation *value)
{
	struct command *command = arg;

	command_arrived(command);
	reply_reputation(command, value);
	command_unref(command);
}

void
command_reputation_show(struct command *command)
{
	const struct subject *subject = read_client(command);
	struct sources *sources = command->sources;

	if (subject == NULL)
		return;
	if (reputation_look_up(sources, sources->config, command->arena,
		    &subject->client, on_looked_up, command) != NULL)
		command_await(command);
	else
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"no list is asked: [reputation] lists is empty");
}

/* --- allow, forget ------------------------------------------------------ */

static void
after_change(struct command *command)
{
	const struct subject *subject = command->data;
	const bool is_allowed =
		command->request.row->id == COMMAND_reputation_allow;

	reply_text(command, "%.*s is %s", SLICE_ARG(subject->text),
		is_allowed ? "never refused for its reputation now"
			   : "not exempt any more");
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_allowed(struct command *command, const struct db_result *result)
{
	const struct subject *subject = command->data;

	(void)result;
	command_changed(command, subject->text, after_change);
}

void
command_reputation_allow(struct command *command)
{
	/* What iRedAPD's senderscore_admin writes: until 2099-12-31. */
	static const struct db_statement statement = {
		.name = "reputation_allow",
		.sql = "INSERT INTO senderscore_cache (client_address, score,"
		       " time) VALUES (?, 100, 4102444799)"
		       " ON DUPLICATE KEY UPDATE score = VALUES(score),"
		       " time = VALUES(time)",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	const struct subject *subject = read_client(command);
	struct db_value value = { .is_null = false };

	if (subject == NULL)
		return;
	value.text = subject->text;
	command_db(command, CONFIG_DB_IREDAPD, &statement, &value, on_allowed);
}

static void
on_forgotten(struct command *command, const struct db_result *result)
{
	const struct subject *subject = command->data;

	if (result->affected > 0)
		command_changed(command, subject->text, after_change);
	else
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s is not exempt; \"policyctl reputation list\" "
			"shows who is",
			SLICE_ARG(subject->text));
}

void
command_reputation_forget(struct command *command)
{
	static const struct db_statement statement = {
		.name = "reputation_forget",
		.sql = "DELETE FROM senderscore_cache WHERE client_address = ?"
		       " AND " EXEMPT_CLIENTS_WHERE,
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	const struct subject *subject = read_client(command);
	struct db_value value = { .is_null = false };

	if (subject == NULL)
		return;
	value.text = subject->text;
	command_db(command, CONFIG_DB_IREDAPD, &statement, &value,
		on_forgotten);
}

/* --- list --------------------------------------------------------------- */

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "client", "Client", REPLY_TEXT },
	};

	command_list_rows(command, result->rows, columns,
		sizeof(columns) / sizeof(columns[0]));
}

void
command_reputation_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "reputation_list",
		.sql = "SELECT client_address FROM senderscore_cache"
		       " WHERE " EXEMPT_CLIENTS_WHERE
		       " ORDER BY client_address LIMIT ?",
		.access = DB_READS,
		.params = "u",
		.columns = "s",
	};
	struct db_value limit = { .is_null = false };

	if (command_limit(command, &limit.number))
		command_db(command, CONFIG_DB_IREDAPD, &statement, &limit,
			on_list);
}
