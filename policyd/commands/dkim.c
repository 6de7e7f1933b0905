/* What the commands of "dkim" share, and those that show: list, show. */

#include "policyd/commands/dkim.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/mail/dkim_key.h"
#include "policyd/commands/reply.h"
#include "policyd/dkim_keys.h"
#include "policyd/dkim_store.h"
#include "policyd/sources.h"

/* Nobody publishes what he has not within so long. */
#define UNPUBLISHED_S (UINT64_C(3) * 86400)
#define BITS_GOOD     2048u

/* --- rows --------------------------------------------------------------- */

static struct slice
text_of(struct command *command, const struct db_rows *rows, size_t row,
	size_t column)
{
	return slice_copy(command->arena, db_rows_text(rows, row, column));
}

void
dkim_row_read(struct command *command, const struct db_rows *rows, size_t row,
	struct dkim_row *out)
{
	struct slice *const names[] = { &out->domain, &out->selector,
		&out->algorithm, &out->state, &out->record };
	uint64_t *const numbers[] = { &out->bits, &out->made_at,
		&out->published_at, &out->active_at, &out->retired_at,
		&out->revoked_at, &out->checked_at };

	out->id = db_rows_u64(rows, row, 0);
	for (size_t i = 0; i < 5; i++)
		*names[i] = text_of(command, rows, row, 1 + i);
	for (size_t i = 0; i < 7; i++)
		*numbers[i] = db_rows_u64(rows, row, 6 + i);
	out->check_result = text_of(command, rows, row, 13);
	out->check_problem = text_of(command, rows, row, 14);
	out->n_absent = db_rows_u64(rows, row, 15);
	out->author = text_of(command, rows, row, 16);
	out->reason = text_of(command, rows, row, 17);
}

bool
dkim_row_is(const struct dkim_row *row, const char *state)
{
	return slice_eq_text(row->state, state);
}

bool
dkim_domain(struct command *command, const char *argument, struct slice *out)
{
	const struct slice typed = command_text(command, argument);

	*out = slice_lower(command->arena, typed);
	if (domain_is_plain(*out) && slice_is_ascii(*out))
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"\"%.*s\" is not a domain such as example.org; names that are "
		"no ASCII are written as A-labels (xn--...)",
		SLICE_ARG(typed));
	return false;
}

bool
dkim_selector(struct command *command, const char *argument, struct slice *out)
{
	const struct slice typed = command_text(command, argument);

	*out = slice_lower(command->arena, typed);
	if (dkim_selector_is_plain(*out))
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"\"%.*s\" is not a selector such as s202611r: letters, digits, "
		"and between them hyphens and dots, 63 at most",
		SLICE_ARG(typed));
	return false;
}

struct found {
	command_fn *next;
	struct slice domain, selector;
};

static void
on_row(struct command *command, const struct db_result *result)
{
	const struct found *found = command->data;
	struct dkim_row *row;

	if (db_rows_count(result->rows) == 0) {
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s has no key %.*s; \"policyctl dkim list\" shows "
			"all",
			SLICE_ARG(found->domain), SLICE_ARG(found->selector));
		return;
	}
	row = arena_new_object(command->arena, struct dkim_row);
	dkim_row_read(command, result->rows, 0, row);
	command->data = row;
	found->next(command);
}

void
dkim_find_row(struct command *command, command_fn *next)
{
	static const struct db_statement statement = {
		.name = "dkim_find",
		.sql = "SELECT " DKIM_ROW_COLUMNS " FROM dkim_key"
		       " WHERE domain = ? AND selector = ?",
		.access = DB_READS,
		.params = "ss",
		.columns = DKIM_ROW_LETTERS,
	};
	struct found *found = arena_new_object(command->arena, struct found);
	struct db_value values[2] = { { .is_null = false } };

	if (!dkim_domain(command, "domain", &found->domain) ||
		!dkim_selector(command, "selector", &found->selector))
		return;
	found->next = next;
	command->data = found;
	values[0].text = found->domain;
	values[1].text = found->selector;
	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_row);
}

/* --- records ------------------------------------------------------------ */

void
dkim_row_write_record(const struct dkim_row *row, struct str *out)
{
	if (dkim_row_is(row, "revoked"))
		str_printf(out,
			"v=DKIM1; k=%.*s; p=", SLICE_ARG(row->algorithm));
	else
		str_append_slice(out, row->record);
}

void
dkim_row_write_zone(const struct dkim_row *row, const char *origin,
	struct str *out)
{
	struct str record;

	str_init(&record, DKIM_KEY_TEXT_MAX);
	dkim_row_write_record(row, &record);
	str_printf(out, "%.*s._domainkey.%.*s%s IN TXT ( ",
		SLICE_ARG(row->selector), SLICE_ARG(row->domain), origin);
	dkim_key_write_strings(str_slice(&record), out);
	str_append_text(out, " )");
	str_free(&record);
}

static void
reply_record(struct command *command, const struct dkim_row *row)
{
	struct str text;

	str_init(&text, 2 * DKIM_KEY_STRINGS_MAX);
	reply_row(command);
	reply_value(command,
		slice_of(arena_printf(command->arena, "%.*s._domainkey.%.*s",
			SLICE_ARG(row->selector), SLICE_ARG(row->domain))));
	reply_value(command, row->state);
	dkim_row_write_record(row, &text);
	reply_value(command, str_slice(&text));
	str_reset(&text);
	dkim_row_write_zone(row, ".", &text);
	reply_value(command, str_slice(&text));
	str_free(&text);
}

void
dkim_reply_records(struct command *command, const struct dkim_row *rows,
	size_t n)
{
	static const struct reply_column columns[] = {
		{ "name", "Name", REPLY_TEXT },
		{ "state", "State", REPLY_TEXT },
		{ "record", "TXT record", REPLY_TEXT },
		{ "zone", "In a zone file", REPLY_TEXT },
	};

	reply_table(command, "records", NULL, columns, 4);
	for (size_t i = 0; i < n; i++)
		reply_record(command, &rows[i]);
	reply_part_end(command);
}

/* --- changes ------------------------------------------------------------ */

void
dkim_log(struct command *command, const struct dkim_row *row, const char *what)
{
	log_line_begin(LOG_LEVEL_INFO, "changed");
	log_line_text("user", slice_of(command->who));
	log_line_text("command", slice_of(command->request.row->words));
	log_line_text("domain", row->domain);
	log_line_text("selector", row->selector);
	log_line_text("what", slice_of(what));
	log_line_end();
}

struct checking {
	struct dkim_row *row;
	struct dkim_check_outcome *outcome;
	command_fn *next;
	void *data;
};

static void
on_noted(struct command *command, const struct db_result *result)
{
	const struct checking *checking = command->data;

	(void)result;
	command->data = checking->data;
	checking->next(command);
}

static void
on_checked(void *arg, const struct dkim_check_outcome *outcome)
{
	struct command *command = arg;
	const struct checking *checking = command->data;
	struct dkim_row *row = checking->row;
	struct db_value values[DKIM_NOTE_VALUES];

	command_arrived(command);
	*checking->outcome = *outcome;
	if (dkim_row_is(row, "made") && outcome->seen == DKIM_SEEN_SHOWN)
		row->state = SLICE("published");
	row->check_result = slice_of(dkim_seen_name(outcome->seen));
	row->check_problem =
		slice_copy(command->arena, slice_of(outcome->problem));
	dkim_note_values(row->id, outcome, values);
	command_db(command, CONFIG_DB_POLICYD, &dkim_note_check, values,
		on_noted);
	command_unref(command);
}

void
dkim_check_row(struct command *command, struct dkim_row *row,
	struct dkim_check_outcome *outcome, command_fn *next)
{
	struct checking *checking =
		arena_new_object(command->arena, struct checking);
	const struct dkim_check_question question = { row->domain,
		row->selector, row->record };

	*checking = (struct checking){ row, outcome, next, command->data };
	command->data = checking;
	command_await(command);
	(void)dkim_check_start(command->sources->dkim_checks,
		command->sources->config->dns.timeout_ms, &question, on_checked,
		command);
}

struct activating {
	const struct dkim_row *row;
	command_fn *next;
	void *data;
};

static void
on_activated(struct command *command, const struct db_result *result)
{
	const struct activating *activating = command->data;

	(void)result;
	dkim_log(command, activating->row, "active");
	command->data = activating->data;
	activating->next(command);
}

void
dkim_activate_row(struct command *command, const struct dkim_row *row,
	command_fn *next)
{
	struct activating *activating =
		arena_new_object(command->arena, struct activating);
	struct db_value values[DKIM_ACTIVATE_VALUES];

	*activating = (struct activating){ row, next, command->data };
	command->data = activating;
	dkim_activate_values(row->id, row->domain, row->algorithm, values);
	values[DKIM_ACTIVATE_AUTHOR].text = slice_of(command->who);
	command_db(command, CONFIG_DB_POLICYD, &dkim_activate, values,
		on_activated);
}

/* --- list --------------------------------------------------------------- */

static const struct reply_column list_columns[] = {
	{ "domain", "Domain", REPLY_TEXT },
	{ "selector", "Selector", REPLY_TEXT },
	{ "algorithm", "Algorithm", REPLY_TEXT },
	{ "bits", "Bits", REPLY_NUMBER },
	{ "state", "State", REPLY_TEXT },
	{ "made_at", "Made", REPLY_TIME },
	{ "checked_at", "Checked", REPLY_TIME },
	{ "dns", "In the DNS", REPLY_TEXT },
	{ "attention", "Attention", REPLY_TEXT },
};

static bool
is_in_use(const struct dkim_row *row)
{
	return !dkim_row_is(row, "revoked") && !dkim_row_is(row, "retiring");
}

/* What somebody should look at; "" when all is well. */
static const char *
attention_for(struct command *command, const struct dkim_row *row,
	bool is_alone)
{
	const uint64_t now = (uint64_t)clock_wall();
	const uint64_t rotate_s =
		command->sources->config->dkim.rotate_after_ms / 1000;
	const bool is_active = dkim_row_is(row, "active");

	if (is_active && row->n_absent >= DKIM_ABSENT_MAX)
		return "does not sign: the DNS does not show it";
	if (is_active && !slice_eq_text(row->check_result, "shown"))
		return row->checked_at == 0 ? "signs, and was never seen in "
					      "the DNS"
					    : "signs, but not every server "
					      "shows it";
	if (dkim_row_is(row, "made") && row->made_at + UNPUBLISHED_S < now)
		return "made days ago, and not published";
	if (is_active && row->active_at + rotate_s < now)
		return "is old: rotate it";
	if (is_in_use(row) && slice_eq_text(row->algorithm, "rsa") &&
		row->bits < BITS_GOOD)
		return "is weak: less than 2048 bits";
	if (is_active && is_alone)
		return slice_eq_text(row->algorithm, "rsa")
			       ? "the domain has no key of Ed25519"
			       : "the domain has no key of RSA, which not all "
				 "can do without";
	return "";
}

static void
list_row(struct command *command, const struct dkim_row *row,
	const char *attention)
{
	reply_row(command);
	reply_value(command, row->domain);
	reply_value(command, row->selector);
	reply_value(command, row->algorithm);
	reply_unsigned(command, row->bits);
	reply_value(command, row->state);
	reply_unsigned(command, row->made_at);
	reply_unsigned(command, row->checked_at);
	reply_value(command, row->check_result);
	reply_value(command, slice_of(attention));
}

/* The last column says whether the domain has another active key. */
static void
on_list(struct command *command, const struct db_result *result)
{
	const bool is_narrow = command_has(command, "attention");
	const size_t n = db_rows_count(result->rows);
	struct dkim_row row;
	size_t n_found = 0;

	reply_table(command, NULL, NULL, list_columns, 9);
	for (size_t i = 0; i < n; i++) {
		const char *attention;

		dkim_row_read(command, result->rows, i, &row);
		attention = attention_for(command, &row,
			db_rows_u64(result->rows, i, 18) == 0);
		if (is_narrow && attention[0] == '\0')
			continue;
		list_row(command, &row, attention);
		n_found++;
	}
	reply_part_end(command);
	if (is_narrow && n_found > 0)
		reply_end(command, COMMAND_EXIT_FINDINGS);
	else
		command_end_list(command, n);
}

/* EXPLAIN: dkim_key by name or in its order; o by domain_state. */
#define LIST(where)                                                     \
	"SELECT " DKIM_ROW_COLUMNS ", (SELECT COUNT(*) FROM dkim_key o" \
	" WHERE o.domain = k.domain AND o.state = 'active'"             \
	" AND o.algorithm <> k.algorithm) FROM dkim_key k WHERE " where \
	" ORDER BY domain, selector LIMIT ?"

/* What may need attention, so that a long list is not sent for nothing. */
#define MAY_NEED_ATTENTION                                                 \
	"(state = 'made' OR (state <> 'revoked' AND state <> 'retiring'"   \
	" AND algorithm = 'rsa' AND bits < 2048) OR (state = 'active' AND" \
	" (check_result <> 'shown' OR active_at < ? OR (SELECT COUNT(*)"   \
	" FROM dkim_key p FORCE INDEX (active) WHERE p.domain = k.domain"  \
	" AND p.active_algorithm IS NOT NULL) < 2)))"

static const struct db_statement list_all = {
	.name = "dkim_list",
	.sql = LIST("TRUE"),
	.access = DB_READS,
	.params = "u",
	.columns = DKIM_ROW_LETTERS "u",
};

static const struct db_statement list_domain = {
	.name = "dkim_list_domain",
	.sql = LIST("domain = ?"),
	.access = DB_READS,
	.params = "su",
	.columns = DKIM_ROW_LETTERS "u",
};

/* EXPLAIN: k by the index attention alone, p by active alone, the rest for what
 * is shown. */
static const struct db_statement list_attention = {
	.name = "dkim_list_attention",
	.sql = "SELECT " DKIM_ROW_COLUMNS ", (SELECT COUNT(*) FROM dkim_key o"
	       " WHERE o.domain = k.domain AND o.state = 'active'"
	       " AND o.algorithm <> k.algorithm) FROM (SELECT id AS found_id"
	       " FROM dkim_key k FORCE INDEX (attention) WHERE"
	       " " MAY_NEED_ATTENTION " LIMIT 50000) found STRAIGHT_JOIN"
	       " dkim_key k ON k.id = found.found_id ORDER BY domain, selector"
	       " LIMIT ?",
	.access = DB_READS,
	.params = "uu",
	.columns = DKIM_ROW_LETTERS "u",
};

void
command_dkim_list(struct command *command)
{
	struct db_value values[2] = { { .is_null = false } };
	const uint64_t rotate_s =
		command->sources->config->dkim.rotate_after_ms / 1000;
	uint64_t limit;
	struct slice domain;

	if (!command_limit(command, &limit))
		return;
	values[1].number = limit;
	if (command_has(command, "domain")) {
		if (!dkim_domain(command, "domain", &domain))
			return;
		values[0].text = domain;
		command_db(command, CONFIG_DB_POLICYD, &list_domain, values,
			on_list);
	} else if (command_has(command, "attention")) {
		values[0].number = (uint64_t)clock_wall() - rotate_s;
		command_db(command, CONFIG_DB_POLICYD, &list_attention, values,
			on_list);
	} else {
		command_db(command, CONFIG_DB_POLICYD, &list_all, values + 1,
			on_list);
	}
}

/* --- show --------------------------------------------------------------- */

static void
show_time(struct command *command, const char *key, const char *title,
	uint64_t at)
{
	reply_field(command, key, title, REPLY_TIME);
	reply_unsigned(command, at);
}

static void
show_text(struct command *command, const char *key, const char *title,
	struct slice text)
{
	reply_field(command, key, title, REPLY_TEXT);
	reply_value(command, text);
}

static void
show(struct command *command)
{
	const struct dkim_row *row = command->data;

	reply_fields(command, "key", NULL);
	show_text(command, "domain", "Domain", row->domain);
	show_text(command, "selector", "Selector", row->selector);
	show_text(command, "algorithm", "Algorithm", row->algorithm);
	reply_field(command, "bits", "Bits", REPLY_NUMBER);
	reply_unsigned(command, row->bits);
	show_text(command, "state", "State", row->state);
	show_time(command, "made_at", "Made", row->made_at);
	show_time(command, "published_at", "Seen in the DNS",
		row->published_at);
	show_time(command, "active_at", "Signs since", row->active_at);
	show_time(command, "retired_at", "Retired", row->retired_at);
	show_time(command, "revoked_at", "Revoked", row->revoked_at);
	show_time(command, "checked_at", "Checked", row->checked_at);
	show_text(command, "dns", "In the DNS", row->check_result);
	show_text(command, "problem", "Problem", row->check_problem);
	show_text(command, "author", "By", row->author);
	show_text(command, "reason", "Why", row->reason);
	reply_part_end(command);
	dkim_reply_records(command, row, 1);
	reply_end(command, COMMAND_EXIT_DONE);
}

void
command_dkim_show(struct command *command)
{
	dkim_find_row(command, show);
}
