/* "dkim check", "dkim activate", "dkim retire". */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "policyd/commands/dkim.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

/* Keys of one domain. */
#define KEYS_MAX 64u

/* --- dkim check --------------------------------------------------------- */

struct checks {
	struct dkim_row rows[KEYS_MAX];
	struct dkim_check_outcome outcomes[KEYS_MAX];
	size_t n, at;
};

static void
show_checks(struct command *command, const struct checks *checks)
{
	static const struct reply_column columns[] = {
		{ "selector", "Selector", REPLY_TEXT },
		{ "state", "State", REPLY_TEXT },
		{ "dns", "In the DNS", REPLY_TEXT },
		{ "servers", "Servers", REPLY_NUMBER },
		{ "shown", "Show it", REPLY_NUMBER },
		{ "problem", "Problem", REPLY_TEXT },
	};
	bool is_fine = true;

	reply_table(command, NULL, NULL, columns, 6);
	for (size_t i = 0; i < checks->n; i++) {
		const struct dkim_check_outcome *outcome = &checks->outcomes[i];

		reply_row(command);
		reply_value(command, checks->rows[i].selector);
		reply_value(command, checks->rows[i].state);
		reply_value(command, slice_of(dkim_seen_name(outcome->seen)));
		reply_unsigned(command, outcome->n_servers);
		reply_unsigned(command, outcome->n_shown);
		reply_value(command, slice_of(outcome->problem));
		is_fine &= outcome->seen == DKIM_SEEN_SHOWN;
	}
	reply_part_end(command);
	reply_end(command, is_fine ? COMMAND_EXIT_DONE : COMMAND_EXIT_FINDINGS);
}

static void
check_next(struct command *command)
{
	struct checks *checks = command->data;
	const size_t at = checks->at++;

	if (at == checks->n)
		show_checks(command, checks);
	else
		dkim_check_row(command, &checks->rows[at],
			&checks->outcomes[at], check_next);
}

static void
on_keys(struct command *command, const struct db_result *result)
{
	struct checks *checks = command->data;

	for (; checks->n < db_rows_count(result->rows) && checks->n < KEYS_MAX;
		checks->n++)
		dkim_row_read(command, result->rows, checks->n,
			&checks->rows[checks->n]);
	if (checks->n == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s has no keys that could be checked",
			SLICE_ARG(command_text(command, "domain")));
	else
		check_next(command);
}

static void
check_one(struct command *command)
{
	struct checks *checks = arena_new_object(command->arena, struct checks);

	checks->rows[checks->n++] = *(const struct dkim_row *)command->data;
	command->data = checks;
	check_next(command);
}

void
command_dkim_check(struct command *command)
{
	/* The keys of one domain, by domain_state. */
	static const struct db_statement statement = {
		.name = "dkim_check",
		.sql = "SELECT " DKIM_ROW_COLUMNS " FROM dkim_key"
		       " WHERE domain = ? AND state <> 'revoked'"
		       " ORDER BY selector LIMIT 64",
		.access = DB_READS,
		.params = "s",
		.columns = DKIM_ROW_LETTERS,
	};
	struct db_value domain = { .is_null = false };

	if (command_has(command, "selector")) {
		dkim_find_row(command, check_one);
		return;
	}
	if (!dkim_domain(command, "domain", &domain.text))
		return;
	command->data = arena_new_object(command->arena, struct checks);
	command_db(command, CONFIG_DB_POLICYD, &statement, &domain, on_keys);
}

/* --- dkim activate ------------------------------------------------------ */

struct activation {
	struct dkim_row row;
	struct dkim_check_outcome outcome;
};

static void
note_reason(struct command *command, uint64_t id, command_rows_fn *next)
{
	static const struct db_statement statement = {
		.name = "dkim_reason",
		.sql = "UPDATE dkim_key SET reason = LEFT(?, 255) WHERE id = ?",
		.access = DB_WRITES,
		.params = "su",
		.columns = "",
	};
	const struct db_value values[] = {
		{ .text = command_text(command, "reason") }, { .number = id }
	};

	command_db(command, CONFIG_DB_POLICYD, &statement, values, next);
}

static void
on_reason(struct command *command, const struct db_result *result)
{
	const struct activation *activation = command->data;

	(void)result;
	reply_text(command, "%.*s signs with %.*s (%.*s) now",
		SLICE_ARG(activation->row.domain),
		SLICE_ARG(activation->row.selector),
		SLICE_ARG(activation->row.algorithm));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
after_activation(struct command *command)
{
	const struct activation *activation = command->data;

	note_reason(command, activation->row.id, on_reason);
}

static void
after_check(struct command *command)
{
	struct activation *activation = command->data;

	if (activation->outcome.seen == DKIM_SEEN_SHOWN)
		dkim_activate_row(command, &activation->row, after_activation);
	else
		reply_error(command, COMMAND_EXIT_REFUSED,
			"the DNS does not show the key everywhere (%s): %s; "
			"with --force it signs all the same",
			dkim_seen_name(activation->outcome.seen),
			activation->outcome.problem);
}

static void
begin_activation(struct command *command)
{
	struct activation *activation =
		arena_new_object(command->arena, struct activation);

	activation->row = *(const struct dkim_row *)command->data;
	command->data = activation;
	if (dkim_row_is(&activation->row, "revoked"))
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%.*s was revoked; make another key",
			SLICE_ARG(activation->row.selector));
	else if (dkim_row_is(&activation->row, "active"))
		after_activation(command);
	else if (command_has(command, "force"))
		dkim_activate_row(command, &activation->row, after_activation);
	else
		dkim_check_row(command, &activation->row, &activation->outcome,
			after_check);
}

void
command_dkim_activate(struct command *command)
{
	dkim_find_row(command, begin_activation);
}

/* --- dkim retire -------------------------------------------------------- */

static void
on_retired(struct command *command, const struct db_result *result)
{
	struct dkim_row *row = command->data;

	if (result->affected == 0) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%.*s was changed meanwhile; look and try again",
			SLICE_ARG(row->selector));
		return;
	}
	if (dkim_row_is(row, "active")) {
		dkim_log(command, row, "retiring");
		reply_text(command, "%.*s signs no more; its record stays",
			SLICE_ARG(row->selector));
	} else {
		dkim_log(command, row, "revoked");
		row->state = SLICE("revoked");
		reply_text(command,
			"%.*s is revoked; publish this, or remove "
			"its record",
			SLICE_ARG(row->selector));
		dkim_reply_records(command, row, 1);
	}
	reply_end(command, COMMAND_EXIT_DONE);
}

/* Unless it was changed since it was read. By primary key. */
static void
change_state(struct command *command, const struct dkim_row *row)
{
	static const struct db_statement statement = {
		.name = "dkim_retire",
		.sql = "UPDATE dkim_key SET retired_at = IF(state = 'active',"
		       " ?, retired_at), revoked_at = IF(state = 'active', 0,"
		       " ?), state = IF(state = 'active', 'retiring',"
		       " 'revoked'), author = ?, reason = LEFT(?, 255)"
		       " WHERE id = ? AND state = ?",
		.access = DB_WRITES,
		.params = "uussus",
		.columns = "",
	};
	const struct db_value now = { .number = (uint64_t)clock_wall() };
	const struct db_value values[] = { now, now,
		{ .text = slice_of(command->who) },
		{ .text = command_text(command, "reason") },
		{ .number = row->id }, { .text = row->state } };

	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_retired);
}

static void
retire(struct command *command)
{
	const struct dkim_row *row = command->data;
	const uint64_t until =
		row->retired_at +
		command->sources->config->dkim.retire_after_ms / 1000;
	const bool is_forced = command_has(command, "force");
	const uint64_t now = (uint64_t)clock_wall();

	if (dkim_row_is(row, "revoked"))
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%.*s was revoked already", SLICE_ARG(row->selector));
	else if (dkim_row_is(row, "active") && !is_forced)
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%.*s signs: activate another key first; with --force "
			"mail goes out without this signature",
			SLICE_ARG(row->selector));
	else if (dkim_row_is(row, "retiring") && until > now && !is_forced)
		reply_error(command, COMMAND_EXIT_REFUSED,
			"mail that %.*s has signed may be under way for "
			"another %llu s (retire_after); --force does not wait",
			SLICE_ARG(row->selector),
			(unsigned long long)(until - now));
	else
		change_state(command, row);
}

void
command_dkim_retire(struct command *command)
{
	dkim_find_row(command, retire);
}
