#include "policyd/facts/greylist_lists.h"

#include "common/base/mem.h"
#include "policyd/facts/accounts.h"
#include "policyd/facts/greylist_tables.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* Everything in a request that a row of the tables asked may stand for. */
struct question {
	struct account_forms recipient, sender; /* most specific first */
	struct client_forms client;
	const struct ip *ip;
};

/* sender_kinds: of the tables. Most have no wildcards to be made up. */
static void
make_question(const struct request *req, const struct tables *tables,
	unsigned sender_kinds, struct question *out)
{
	out->ip = &req->client;
	account_forms_of_party(req->arena, tables, &req->recipient,
		&out->recipient);
	out->sender.n =
		address_forms(req->arena, &req->sender, out->sender.items);
	if (sender_kinds & ACCOUNT_BIT(ACCOUNT_ANY_DOMAIN))
		account_forms_add_any_domain(req->arena, &req->sender,
			&out->sender);
	client_forms_of(&req->client, &out->client);
	if (sender_kinds & ACCOUNT_BIT(ACCOUNT_WILDCARD_IP))
		client_forms_add_wildcards(&req->client,
			req->config->greylisting.all_wildcard_ips,
			&out->client);
}

#define ALIAS_TABLES (TABLE_BIT(TABLE_DOMAIN) | TABLE_BIT(TABLE_ALIAS_DOMAIN))

static void
cancel(struct fact *fact)
{
	tables_forget(fact->facts->sources->tables, fact);
}

static void
describe_row(struct slice account, struct slice sender, struct str *json)
{
	str_append_text(json, ",\"account\":");
	str_append_json(json, account);
	str_append_text(json, ",\"sender\":");
	str_append_json(json, sender);
}

/* --- white-lists ------------------------------------------------------- */

static const struct greylist_row *
find_white(const struct greylist_account *account, const struct question *q)
{
	const struct greylist_row *row = NULL;
	size_t at = 0;

	for (size_t i = 0; i < q->client.n && row == NULL; i++)
		row = greylist_account_sender(account,
			slice_of(q->client.items[i]));
	for (size_t i = 0; i < q->sender.n && row == NULL; i++)
		row = greylist_account_sender(account, q->sender.items[i]);
	return row != NULL ? row
			   : greylist_account_network(account, q->ip, &at);
}

static bool
match_white(const struct tables *tables, enum table_id id,
	const char *table_name, const struct question *q,
	struct list_match *out)
{
	const struct greylist_table *table = tables_get(tables, id);

	for (size_t i = 0; i < q->recipient.n; i++) {
		const struct greylist_account *account =
			greylist_table_account(table, q->recipient.items[i]);
		const struct greylist_row *row =
			account == NULL ? NULL : find_white(account, q);

		if (row == NULL)
			continue;
		out->is_found = true;
		out->account = row->account;
		out->sender = row->sender;
		out->comment = row->comment;
		out->table = table_name;
		return true;
	}
	return false;
}

static void
load_whitelist(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	struct tables *tables = fact->facts->sources->tables;
	struct list_match *out;
	unsigned kinds;
	struct question q;

	if (!tables_require(tables,
		    ALIAS_TABLES | TABLE_BIT(TABLE_GREYLIST_WHITELIST) |
			    TABLE_BIT(TABLE_GREYLIST_WHITELIST_SPF),
		    fact))
		return;
	kinds = greylist_table_sender_kinds(
			tables_get(tables, TABLE_GREYLIST_WHITELIST)) |
		greylist_table_sender_kinds(
			tables_get(tables, TABLE_GREYLIST_WHITELIST_SPF));
	make_question(req, tables, kinds, &q);
	out = arena_new_object(req->arena, struct list_match);
	if (match_white(tables, TABLE_GREYLIST_WHITELIST_SPF,
		    "greylisting_whitelist_domain_spf", &q, out) ||
		match_white(tables, TABLE_GREYLIST_WHITELIST,
			"greylisting_whitelists", &q, out)) {
		out->account = slice_copy(req->arena, out->account);
		out->sender = slice_copy(req->arena, out->sender);
		out->comment = slice_copy(req->arena, out->comment);
	}
	fact_known(fact, out);
}

static void
describe_whitelist(const void *value, struct str *json)
{
	const struct list_match *match = value;

	if (!match->is_found) {
		str_append_text(json, "{\"found\":false}");
		return;
	}
	str_printf(json, "{\"found\":true,\"table\":\"%s\"", match->table);
	describe_row(match->account, match->sender, json);
	if (match->comment.len > 0) {
		str_append_text(json, ",\"comment\":");
		str_append_json(json, match->comment);
	}
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_greylist_whitelist = {
	.id = FACT_GREYLIST_WHITELIST,
	.name = "greylist_whitelist",
	.load = load_whitelist,
	.cancel = cancel,
	.describe = describe_whitelist,
};

bool
fact_greylist_whitelist(struct facts *facts, const struct list_match **out)
{
	return fact_ask(facts, &fact_kind_greylist_whitelist,
		(const void **)out);
}

/* --- settings ---------------------------------------------------------- */

/* The stored numbers, whatever they are, are what administrators rely on. */
static int
compare(const struct greylist_row *a, const struct greylist_row *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? 1 : -1;
	if (a->sender_priority != b->sender_priority)
		return a->sender_priority > b->sender_priority ? 1 : -1;
	return 0;
}

/* Of two rows of one account; where numbers tie, the more specific sender. */
static const struct greylist_row *
better(const struct greylist_row *best, const struct greylist_row *row)
{
	int order;

	if (best == NULL || row == NULL)
		return best == NULL ? row : best;
	order = compare(row, best);
	if (order == 0)
		order = (int)row->sender_kind - (int)best->sender_kind;
	return order > 0 ? row : best;
}

static const struct greylist_row *
best_of_account(const struct greylist_account *account,
	const struct question *q)
{
	const struct greylist_row *best = NULL, *row;
	size_t at = 0;

	for (size_t i = 0; i < q->client.n; i++)
		best = better(best, greylist_account_sender(account,
					    slice_of(q->client.items[i])));
	while ((row = greylist_account_network(account, q->ip, &at)) != NULL)
		best = better(best, row);
	for (size_t i = 0; i < q->sender.n; i++)
		best = better(best,
			greylist_account_sender(account, q->sender.items[i]));
	return best;
}

/* Where numbers tie, the more specific account: it comes first. */
static const struct greylist_row *
best_of_all(const struct greylist_table *table, const struct question *q)
{
	const struct greylist_row *best = NULL;

	for (size_t i = 0; i < q->recipient.n; i++) {
		const struct greylist_account *account =
			greylist_table_account(table, q->recipient.items[i]);
		const struct greylist_row *row =
			account == NULL ? NULL : best_of_account(account, q);

		if (row != NULL && (best == NULL || compare(row, best) > 0))
			best = row;
	}
	return best;
}

static void
load_setting(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	struct tables *tables = fact->facts->sources->tables;
	const struct greylist_table *table;
	const struct greylist_row *best;
	struct greylist_setting *out;
	struct question q;

	if (!tables_require(tables, ALIAS_TABLES | TABLE_BIT(TABLE_GREYLISTING),
		    fact))
		return;
	table = tables_get(tables, TABLE_GREYLISTING);
	make_question(req, tables, greylist_table_sender_kinds(table), &q);
	best = best_of_all(table, &q);
	out = arena_new_object(req->arena, struct greylist_setting);
	if (best != NULL) {
		out->is_found = true;
		out->is_active = best->is_active;
		out->account = slice_copy(req->arena, best->account);
		out->sender = slice_copy(req->arena, best->sender);
	}
	fact_known(fact, out);
}

static void
describe_setting(const void *value, struct str *json)
{
	const struct greylist_setting *setting = value;

	if (!setting->is_found) {
		str_append_text(json, "{\"found\":false}");
		return;
	}
	str_printf(json, "{\"found\":true,\"active\":%s",
		setting->is_active ? "true" : "false");
	describe_row(setting->account, setting->sender, json);
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_greylist_setting = {
	.id = FACT_GREYLIST_SETTING,
	.name = "greylist_setting",
	.load = load_setting,
	.cancel = cancel,
	.describe = describe_setting,
};

bool
fact_greylist_setting(struct facts *facts, const struct greylist_setting **out)
{
	return fact_ask(facts, &fact_kind_greylist_setting, (const void **)out);
}
