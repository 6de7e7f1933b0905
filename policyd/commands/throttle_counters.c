/*
 * "throttle show|reset": which limits apply to an account, in their order,
 * and how far they are used: iredapd.throttle_tracking.
 */

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/accounts.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/tables.h"
#include "policyd/facts/throttle_rules.h"
#include "policyd/sources.h"

/* One for each form that an account has, in each kind. */
#define RULES_MAX    ((size_t)3 * ACCOUNT_FORMS_MAX)
#define COUNTERS_MAX "200"
#define JSON_MAX     ((size_t)1 << 20)

struct found {
	struct slice account;
	enum account_kind kind;
	/* Copies: a snapshot may go while the database is asked. */
	struct throttle_rule rules[RULES_MAX];
	enum account_kind rule_kinds[RULES_MAX];
	size_t n;
};

/* --- which rules -------------------------------------------------------- */

static void
add_rule(struct command *command, struct found *found,
	const struct stored_rule *stored)
{
	if (stored == NULL || found->n == RULES_MAX)
		return;
	for (size_t i = 0; i < found->n; i++)
		if (found->rules[i].id == stored->rule.id)
			return;
	found->rules[found->n] = stored->rule;
	found->rules[found->n].account =
		slice_copy(command->arena, stored->rule.account);
	found->rule_kinds[found->n] = stored->account_kind;
	found->n++;
}

static void
find_for_client(struct command *command, struct found *found,
	const struct throttle_table *table, enum throttle_kind kind)
{
	const struct stored_rule *stored;
	struct client_forms forms;
	struct ip client;
	size_t at = 0;

	if (!ip_parse(found->account, &client))
		return;
	client_forms_of(&client, &forms);
	for (size_t i = 0; i < forms.n; i++)
		add_rule(command, found,
			throttle_table_account(table, kind,
				slice_of(forms.items[i])));
	while ((stored = throttle_table_network(table, kind, &client, &at)) !=
		NULL)
		add_rule(command, found, stored);
	add_rule(command, found,
		throttle_table_account(table, kind, SLICE("@ip")));
}

static void
find_for_address(struct command *command, struct found *found,
	const struct throttle_table *table, enum throttle_kind kind)
{
	const struct address address =
		address_parse(command->arena, found->account, SLICE(""));
	struct account_forms *forms =
		arena_new_object(command->arena, struct account_forms);

	account_forms_of_party(command->arena, command->sources->tables,
		&address, forms);
	account_forms_add_any_domain(command->arena, &address, forms);
	for (size_t i = 0; i < forms->n; i++)
		add_rule(command, found,
			throttle_table_account(table, kind, forms->items[i]));
}

static bool
is_same_network(struct slice text, const struct network *network)
{
	struct network other;

	return network_parse(text, &other, NULL) &&
	       other.prefix_length == network->prefix_length &&
	       ip_eq(&other.address, &network->address);
}

/* A domain, a network, everyone: the rule that is stored under it. */
static void
find_stored(struct command *command, struct found *found,
	const struct throttle_table *table, enum throttle_kind kind)
{
	const struct stored_rule *stored;
	struct network network;
	size_t at = 0;

	add_rule(command, found,
		throttle_table_account(table, kind, found->account));
	if (found->kind != ACCOUNT_NETWORK ||
		!network_parse(found->account, &network, NULL))
		return;
	while ((stored = throttle_table_network(table, kind, &network.address,
			&at)) != NULL)
		if (is_same_network(stored->rule.account, &network))
			add_rule(command, found, stored);
}

/* By stored priority; of equals the one that was found first. */
static void
sort_rules(struct found *found)
{
	for (size_t i = 1; i < found->n; i++) {
		const struct throttle_rule rule = found->rules[i];
		const enum account_kind kind = found->rule_kinds[i];
		size_t at = i;

		for (; at > 0 &&
			(found->rules[at - 1].kind > rule.kind ||
				(found->rules[at - 1].kind == rule.kind &&
					found->rules[at - 1].priority <
						rule.priority));
			at--) {
			found->rules[at] = found->rules[at - 1];
			found->rule_kinds[at] = found->rule_kinds[at - 1];
		}
		found->rules[at] = rule;
		found->rule_kinds[at] = kind;
	}
}

/* NULL: the command was ended. */
static struct found *
find_rules(struct command *command, bool is_one_kind, enum throttle_kind only)
{
	const struct tables *tables = command->sources->tables;
	const struct throttle_table *table = tables_get(tables, TABLE_THROTTLE);
	struct found *found = arena_new_object(command->arena, struct found);

	command->data = found;
	if (!command_account(command, "account", "", &found->account))
		return NULL;
	found->kind = account_kind(found->account);
	if (table == NULL || tables_get(tables, TABLE_DOMAIN) == NULL ||
		tables_get(tables, TABLE_ALIAS_DOMAIN) == NULL) {
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"the tables were not read yet; see \"policyctl "
			"status\"");
		return NULL;
	}
	for (size_t i = 0; i < THROTTLE_KINDS; i++) {
		const enum throttle_kind kind = (enum throttle_kind)i;

		if (is_one_kind && kind != only)
			continue;
		if (found->kind == ACCOUNT_IP)
			find_for_client(command, found, table, kind);
		else if (found->kind == ACCOUNT_ADDRESS)
			find_for_address(command, found, table, kind);
		else
			find_stored(command, found, table, kind);
	}
	sort_rules(found);
	return found;
}

/*
 * The counters to look at, as a JSON array of [rule, account]: account is ""
 * for all of a rule.
 */
static struct slice
keys_of(struct command *command, const struct found *found)
{
	const bool is_one =
		found->kind == ACCOUNT_IP || found->kind == ACCOUNT_ADDRESS;
	struct slice text;
	struct str json;

	str_init(&json, JSON_MAX);
	for (size_t i = 0; i < found->n; i++) {
		const struct throttle_rule *rule = &found->rules[i];

		str_printf(&json, "%s[%llu,", i == 0 ? "[" : ",",
			(unsigned long long)rule->id);
		str_append_json(&json, is_one ? found->account : SLICE(""));
		if (is_one) {
			str_printf(&json, "],[%llu,",
				(unsigned long long)rule->id);
			str_append_json(&json, rule->account);
		}
		str_append_char(&json, ']');
	}
	str_append_text(&json, found->n == 0 ? "[]" : "]");
	text = slice_copy(command->arena, str_slice(&json));
	str_free(&json);
	return text;
}

/* The join is by the key (tid, account), or by tid. */
#define KEYS                                                           \
	"JSON_TABLE(?, '$[*]' COLUMNS (tid BIGINT UNSIGNED PATH"       \
	" '$[0]', account VARCHAR(255) PATH '$[1]')) k JOIN"           \
	" throttle_tracking t ON t.tid = k.tid AND (k.account = '' OR" \
	" t.account = k.account)"

/* --- show --------------------------------------------------------------- */

enum {
	COUNTER_RULE,
	COUNTER_ACCOUNT,
	COUNTER_PERIOD,
	COUNTER_MSGS,
	COUNTER_BYTES,
	COUNTER_START,
	COUNTER_LAST
};

static void
reply_rules(struct command *command, const struct found *found)
{
	static const struct reply_column columns[] = {
		{ "kind", "Kind", REPLY_TEXT },
		{ "account", "Rule for", REPLY_ACCOUNT },
		{ "priority", "Priority", REPLY_NUMBER },
		{ "period", "Period", REPLY_SECONDS },
		{ "msg_size", "Message", REPLY_BYTES_LIMIT },
		{ "max_msgs", "Messages", REPLY_LIMIT },
		{ "max_quota", "Bytes", REPLY_BYTES_LIMIT },
		{ "max_rcpts", "Recipients", REPLY_LIMIT },
	};

	reply_table(command, "rules", "Limits, the first that says one counts",
		columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < found->n; i++) {
		const struct throttle_rule *rule = &found->rules[i];

		reply_row(command);
		reply_value(command, slice_of(throttle_kind_name(rule->kind)));
		reply_value(command, rule->account);
		reply_number(command, rule->priority);
		reply_unsigned(command, rule->period_s);
		reply_number(command, rule->msg_size);
		reply_number(command, rule->max_msgs);
		reply_number(command, rule->max_quota);
		reply_number(command, rule->max_rcpts);
	}
	reply_part_end(command);
}

static void
reply_share(struct command *command, uint64_t used, int64_t limit)
{
	if (limit > 0)
		reply_unsigned(command, used > UINT64_MAX / 100
						? 100
						: used * 100 / (uint64_t)limit);
	else
		reply_null(command);
}

static void
reply_counter(struct command *command, const struct throttle_rule *rule,
	const struct db_rows *rows, size_t i)
{
	const int64_t start = db_rows_i64(rows, i, COUNTER_START);
	const int64_t end = start + db_rows_i64(rows, i, COUNTER_PERIOD);
	/* A window that is over counts nothing; the next begins anew. */
	const bool is_over = clock_wall() > end;
	const uint64_t msgs = is_over ? 0 : db_rows_u64(rows, i, COUNTER_MSGS);
	const uint64_t bytes =
		is_over ? 0 : db_rows_u64(rows, i, COUNTER_BYTES);

	reply_row(command);
	reply_value(command, slice_of(throttle_kind_name(rule->kind)));
	reply_value(command, rule->account);
	reply_value(command, db_rows_text(rows, i, COUNTER_ACCOUNT));
	reply_unsigned(command, msgs);
	reply_number(command, rule->max_msgs);
	reply_share(command, msgs, rule->max_msgs);
	reply_unsigned(command, bytes);
	reply_number(command, rule->max_quota);
	reply_share(command, bytes, rule->max_quota);
	reply_number(command, start);
	reply_number(command, end);
}

static void
reply_counters(struct command *command, const struct found *found,
	const struct db_rows *rows)
{
	static const struct reply_column columns[] = {
		{ "kind", "Kind", REPLY_TEXT },
		{ "rule", "Rule for", REPLY_ACCOUNT },
		{ "account", "Counts", REPLY_ACCOUNT },
		{ "messages", "Messages", REPLY_NUMBER },
		{ "max_msgs", "of", REPLY_LIMIT },
		{ "messages_percent", "%", REPLY_PERCENT },
		{ "bytes", "Bytes", REPLY_BYTES },
		{ "max_quota", "of", REPLY_BYTES_LIMIT },
		{ "bytes_percent", "%", REPLY_PERCENT },
		{ "window_start", "Began", REPLY_TIME },
		{ "window_end", "Ends", REPLY_TIME },
	};

	reply_table(command, "counters", "Counters", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t rule = 0; rule < found->n; rule++)
		for (size_t i = 0; i < db_rows_count(rows); i++)
			if (db_rows_u64(rows, i, COUNTER_RULE) ==
				found->rules[rule].id)
				reply_counter(command, &found->rules[rule],
					rows, i);
	reply_part_end(command);
}

static void
on_counters(struct command *command, const struct db_result *result)
{
	const struct found *found = command->data;

	reply_rules(command, found);
	reply_counters(command, found, result->rows);
	reply_end(command, COMMAND_EXIT_DONE);
}

void
command_throttle_show(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_counters",
		.sql = "SELECT DISTINCT t.tid, t.account, t.period, t.cur_msgs,"
		       " t.cur_quota, t.init_time, t.last_time FROM " KEYS
		       " ORDER BY t.cur_msgs DESC LIMIT " COUNTERS_MAX,
		.access = DB_READS,
		.params = "s",
		.columns = "usuuuii",
	};
	const struct slice kind_text = command_text(command, "kind");
	enum throttle_kind kind = THROTTLE_OUTBOUND;
	const struct found *found;
	struct db_value value = { .is_null = false };

	if (kind_text.len > 0 && !throttle_kind_parse(kind_text, &kind)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"KIND is outbound, inbound or external, not \"%.*s\"",
			SLICE_ARG(kind_text));
		return;
	}
	found = find_rules(command, kind_text.len > 0, kind);
	if (found == NULL)
		return;
	if (found->n == 0) {
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"no limits apply to %.*s; \"policyctl throttle list\" "
			"shows those there are",
			SLICE_ARG(account_plain(found->account)));
		return;
	}
	value.text = keys_of(command, found);
	command_db(command, CONFIG_DB_IREDAPD, &statement, &value, on_counters);
}

/* --- reset -------------------------------------------------------------- */

static void
after_reset(struct command *command)
{
	const struct found *found = command->data;

	reply_text(command, "the counters of %.*s begin anew",
		SLICE_ARG(account_plain(found->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_reset(struct command *command, const struct db_result *result)
{
	const struct found *found = command->data;

	if (result->affected == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"nothing was counted for %.*s",
			SLICE_ARG(account_plain(found->account)));
	else
		command_changed(command, found->account, after_reset);
}

/*
 * Counters that others share, such as the one of a whole domain, stay: of
 * somebody's address only his own go.
 */
static struct slice
own_keys_of(struct command *command, const struct found *found)
{
	const bool is_one =
		found->kind == ACCOUNT_IP || found->kind == ACCOUNT_ADDRESS;
	struct slice text;
	struct str json;

	str_init(&json, JSON_MAX);
	str_append_char(&json, '[');
	for (size_t i = 0; i < found->n; i++) {
		str_printf(&json, "%s[%llu,", i == 0 ? "" : ",",
			(unsigned long long)found->rules[i].id);
		str_append_json(&json, is_one ? found->account : SLICE(""));
		str_append_char(&json, ']');
	}
	str_append_char(&json, ']');
	text = slice_copy(command->arena, str_slice(&json));
	str_free(&json);
	return text;
}

void
command_throttle_reset(struct command *command)
{
	static const struct db_statement statement = {
		.name = "throttle_reset",
		.sql = "DELETE t FROM " KEYS,
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	};
	const struct found *found =
		find_rules(command, false, THROTTLE_OUTBOUND);
	struct db_value value = { .is_null = false };

	if (found == NULL)
		return;
	value.text = own_keys_of(command, found);
	command_db(command, CONFIG_DB_IREDAPD, &statement, &value, on_reset);
}
