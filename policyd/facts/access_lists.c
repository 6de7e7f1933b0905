#include "policyd/facts/access_lists.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/mail/address.h"
#include "policyd/facts/access_tables.h"
#include "policyd/facts/accounts.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* One for each prefix length of IPv6. */
#define NETWORKS_MAX 129
#define ACCOUNTS_MAX (ACCOUNT_FORMS_MAX + 1 + IP_WILDCARDS_MAX)
#define ROWS_MAX     (ACCOUNTS_MAX + NETWORKS_MAX)

static const char *const direction_names[ACCESS_DIRECTIONS] = {
	[ACCESS_INBOUND] = "inbound",
	[ACCESS_OUTBOUND] = "outbound",
};

static const enum table_id table_ids[ACCESS_DIRECTIONS] = {
	[ACCESS_INBOUND] = TABLE_WBLIST,
	[ACCESS_OUTBOUND] = TABLE_OUTBOUND_WBLIST,
};

const char *
access_direction_name(enum access_direction direction)
{
	return direction_names[direction];
}

/* --- what stands for the two sides -------------------------------------- */

/* The forms of one side, the most specific first, and its client. */
struct side {
	struct account_forms names;
	struct client_forms client;
	const struct ip *ip; /* NULL: networks do not count */
};

/*
 * Of the null sender, and of mail to oneself, only the client counts: a
 * whitelist of one's own name must not open the door to who forges it, and
 * notifications have no name.
 */
static bool
has_name(const struct access_subject *subject)
{
	return subject->sender->full.len > 0 &&
	       !slice_eq(subject->sender->bare, subject->recipient->bare);
}

static void
find_sender(struct arena *arena, const struct tables *tables,
	const struct access_subject *subject, unsigned kinds, struct side *out)
{
	out->names.n = 0;
	if (has_name(subject)) {
		account_forms_of_party(arena, tables, subject->sender,
			&out->names);
		if (!subject->is_authenticated &&
			(kinds & ACCOUNT_BIT(ACCOUNT_ANY_DOMAIN)))
			account_forms_add_any_domain(arena, subject->sender,
				&out->names);
	}
	client_forms_of(subject->client, &out->client);
	if (kinds & ACCOUNT_BIT(ACCOUNT_WILDCARD_IP))
		client_forms_add_wildcards(subject->client,
			subject->all_wildcard_ips, &out->client);
	out->ip = subject->client;
}

static void
find_recipient(struct arena *arena, const struct tables *tables,
	const struct access_subject *subject, struct side *out)
{
	account_forms_of_party(arena, tables, subject->recipient, &out->names);
	out->client.n = 0;
	out->ip = NULL;
}

/* --- which accounts ----------------------------------------------------- */

struct accounts {
	const struct access_account *items[ACCOUNTS_MAX];
	size_t n;
};

/* Where numbers tie, the more specific kind; then as they were added. */
static bool
account_comes_before(const struct access_account *a,
	const struct access_account *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->kind > b->kind;
}

static void
add_account(struct accounts *accounts, const struct access_account *account)
{
	size_t at = accounts->n;

	if (account == NULL)
		return;
	/* An alias domain and its target share @. and maybe more. */
	for (size_t i = 0; i < accounts->n; i++)
		if (accounts->items[i] == account)
			return;
	assert(accounts->n < ACCOUNTS_MAX);
	accounts->n++;
	for (; at > 0 && account_comes_before(account, accounts->items[at - 1]);
		at--)
		accounts->items[at] = accounts->items[at - 1];
	accounts->items[at] = account;
}

static void
find_accounts(const struct access_table *table, const struct side *side,
	struct accounts *out)
{
	out->n = 0;
	for (size_t i = 0; i < side->names.n; i++)
		add_account(out,
			access_table_account(table, side->names.items[i]));
	for (size_t i = 0; i < side->client.n; i++)
		add_account(out, access_table_account(table,
					 slice_of(side->client.items[i])));
}

/* --- which rows of an account ------------------------------------------- */

struct rows {
	const struct access_row *items[ROWS_MAX];
	size_t n;
};

static bool
row_comes_before(const struct access_row *a, const struct access_row *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->kind > b->kind;
}

static void
add_row(struct rows *rows, const struct access_row *row)
{
	size_t at = rows->n;

	if (row == NULL)
		return;
	for (size_t i = 0; i < rows->n; i++)
		if (rows->items[i] == row)
			return;
	assert(rows->n < ROWS_MAX);
	rows->n++;
	for (; at > 0 && row_comes_before(row, rows->items[at - 1]); at--)
		rows->items[at] = rows->items[at - 1];
	rows->items[at] = row;
}

/* Networks come last, whatever their numbers are: longest prefix first. */
static void
add_networks(struct rows *rows, const struct access_account *account,
	const struct ip *client)
{
	const struct access_row *row;
	size_t at = 0;

	while ((row = access_account_network(account, client, &at)) != NULL) {
		assert(rows->n < ROWS_MAX);
		rows->items[rows->n++] = row;
	}
}

static void
find_rows(const struct access_table *table,
	const struct access_account *account, const struct side *side,
	struct rows *out)
{
	out->n = 0;
	for (size_t i = 0; i < side->names.n; i++)
		add_row(out,
			access_table_row(table, account, side->names.items[i]));
	for (size_t i = 0; i < side->client.n; i++)
		add_row(out, access_table_row(table, account,
				     slice_of(side->client.items[i])));
	if (side->ip != NULL)
		add_networks(out, account, side->ip);
}

/* --- the walk ----------------------------------------------------------- */

/* A note is about the row only while the row still says the same. */
static void
make_entry(const struct access_notes *notes, enum access_direction direction,
	const struct access_account *account, const struct access_row *row,
	struct access_entry *out)
{
	const struct access_note *note = access_notes_find(notes, direction,
		account->account, row->address);

	*out = (struct access_entry){
		.account = account->account,
		.address = row->address,
		.account_priority = account->priority,
		.address_priority = row->priority,
		.is_white = row->is_white,
	};
	if (note == NULL || note->is_white != row->is_white)
		return;
	out->expires_at = note->expires_at;
	out->author = note->author;
	out->reason = note->reason;
}

void
access_walk(struct arena *arena, const struct tables *tables,
	const struct access_subject *subject, enum access_direction direction,
	bool (*visit)(void *arg, const struct access_entry *entry), void *arg)
{
	const bool is_outbound = direction == ACCESS_OUTBOUND;
	const struct access_table *table =
		tables_get(tables, table_ids[direction]);
	const struct access_notes *notes = tables_get(tables, TABLE_ACCESS);
	struct side sender, recipient;
	struct accounts accounts;
	struct access_entry entry;
	struct rows rows;

	if (access_table_n_rows(table) == 0)
		return;
	find_sender(arena, tables, subject,
		is_outbound ? access_table_account_kinds(table)
			    : access_table_address_kinds(table),
		&sender);
	find_recipient(arena, tables, subject, &recipient);
	find_accounts(table, is_outbound ? &sender : &recipient, &accounts);
	for (size_t i = 0; i < accounts.n; i++) {
		find_rows(table, accounts.items[i],
			is_outbound ? &recipient : &sender, &rows);
		for (size_t n = 0; n < rows.n; n++) {
			make_entry(notes, direction, accounts.items[i],
				rows.items[n], &entry);
			if (!visit(arg, &entry))
				return;
		}
	}
}

bool
access_entry_is_expired(const struct access_entry *entry, int64_t now)
{
	return entry->expires_at != 0 && entry->expires_at <= now;
}

/* --- the fact ----------------------------------------------------------- */

struct search {
	const struct request *req;
	const struct access_entry *found;
};

/* Takes the first that counts; the snapshot may go while it is needed. */
static bool
take_first(void *arg, const struct access_entry *entry)
{
	struct search *search = arg;
	struct arena *arena = search->req->arena;
	struct access_entry *copy;

	if (access_entry_is_expired(entry, search->req->now))
		return true;
	copy = arena_new_object(arena, struct access_entry);
	*copy = *entry;
	copy->account = slice_copy(arena, entry->account);
	copy->address = slice_copy(arena, entry->address);
	copy->author = slice_copy(arena, entry->author);
	copy->reason = slice_copy(arena, entry->reason);
	search->found = copy;
	return false;
}

static void
load(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	const struct sources *sources = fact->facts->sources;
	const bool is_authenticated = request_is_authenticated(req);
	const struct access_subject subject = {
		.sender = is_authenticated ? &req->login : &req->sender,
		.recipient = &req->recipient,
		.client = &req->client,
		.is_authenticated = is_authenticated,
		.all_wildcard_ips = req->config->wblist.all_wildcard_ips,
	};
	struct access *out;

	if (!tables_require(sources->tables, ACCESS_TABLES, fact))
		return;
	out = arena_new_object(req->arena, struct access);
	out->has_database = sources->db[CONFIG_DB_AMAVISD] != NULL;
	for (size_t i = 0; i < ACCESS_DIRECTIONS; i++) {
		struct search search = { .req = req };

		out->n_rows[i] = access_table_n_rows(
			tables_get(sources->tables, table_ids[i]));
		if (i == ACCESS_OUTBOUND && !is_authenticated)
			continue;
		access_walk(req->arena, sources->tables, &subject,
			(enum access_direction)i, take_first, &search);
		out->first[i] = search.found;
	}
	fact_known(fact, out);
}

static void
cancel(struct fact *fact)
{
	tables_forget(fact->facts->sources->tables, fact);
}

static void
describe_entry(const struct access_entry *entry, struct str *json)
{
	str_printf(json, ",\"list\":\"%s\",\"account\":",
		entry->is_white ? "white" : "black");
	str_append_json(json, entry->account);
	str_append_text(json, ",\"address\":");
	str_append_json(json, entry->address);
	if (entry->expires_at != 0)
		str_printf(json, ",\"expires\":%lld",
			(long long)entry->expires_at);
	if (entry->author.len > 0) {
		str_append_text(json, ",\"author\":");
		str_append_json(json, entry->author);
	}
	if (entry->reason.len > 0) {
		str_append_text(json, ",\"reason\":");
		str_append_json(json, entry->reason);
	}
}

static void
describe(const void *value, struct str *json)
{
	const struct access *access = value;

	if (!access->has_database) {
		str_append_text(json,
			"{\"database\":\"this site has no amavisd\"}");
		return;
	}
	for (size_t i = 0; i < ACCESS_DIRECTIONS; i++) {
		str_printf(json, "%c\"%s\":{\"entries\":%zu,\"found\":%s",
			i == 0 ? '{' : ',', direction_names[i],
			access->n_rows[i],
			access->first[i] != NULL ? "true" : "false");
		if (access->first[i] != NULL)
			describe_entry(access->first[i], json);
		str_append_char(json, '}');
	}
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_access = {
	.id = FACT_ACCESS,
	.name = "access",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_access(struct facts *facts, const struct access **out)
{
	return fact_ask(facts, &fact_kind_access, (const void **)out);
}
