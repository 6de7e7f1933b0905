#include "policyd/facts/greylist_tables.h"

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/mail/netmap.h"
#include "policyd/facts/accounts.h"
#include "policyd/facts/greylist_lists.h"

/* The rows of a snapshot; their number is bounded by table_rows. */
#define SNAPSHOT_MAX (SIZE_MAX / 2)
/*
 * An account with more rows than this gets a map. Most have one or two, and
 * there may be 100,000 of them.
 */
#define LIST_MAX 8

struct greylist_account {
	struct greylist_row *rows; /* without networks */
	size_t n_rows;
	struct map *senders;     /* NULL up to LIST_MAX rows */
	struct netmap *networks; /* NULL while there is none */
};

struct greylist_table {
	struct map *accounts;
	unsigned sender_kinds;
	struct arena *arena; /* rows, accounts, texts */
};

static void *
make(const struct config *config)
{
	struct greylist_table *table = x_new(struct greylist_table);

	(void)config;
	table->accounts = map_new();
	table->arena = arena_new(SNAPSHOT_MAX);
	return table;
}

static void
free_account(void *value)
{
	struct greylist_account *account = value;

	map_free(account->senders, NULL);
	netmap_free(account->networks, NULL);
}

static void
free_table(void *snapshot)
{
	struct greylist_table *table = snapshot;

	map_free(table->accounts, free_account);
	arena_free(table->arena);
	x_free(table);
}

static struct greylist_account *
account_of(struct greylist_table *table, struct slice key)
{
	struct greylist_account *account = map_get(table->accounts, key);

	if (account == NULL) {
		account =
			arena_new_object(table->arena, struct greylist_account);
		map_put(table->accounts, key, account);
	}
	return account;
}

/* False, and nothing changed, when the network has a row already. */
static bool
put_network(struct greylist_account *account, const struct network *network,
	struct greylist_row *row)
{
	if (account->networks == NULL)
		account->networks = netmap_new();
	if (netmap_get_exact(account->networks, network) != NULL)
		return false;
	netmap_put(account->networks, network, row);
	return true;
}

/* The same for any other sender. */
static bool
put_sender(struct greylist_account *account, struct greylist_row *row)
{
	if (greylist_account_sender(account, row->key) != NULL)
		return false;
	row->next = account->rows;
	account->rows = row;
	account->n_rows++;
	if (account->senders != NULL) {
		map_put(account->senders, row->key, row);
	} else if (account->n_rows > LIST_MAX) {
		account->senders = map_new();
		for (; row != NULL; row = row->next)
			map_put(account->senders, row->key, row);
	}
	return true;
}

/* What is wrong with a row's account and sender, or NULL and the two. */
static const char *
read_accounts(struct arena *arena, struct slice account_text,
	struct slice sender_text, struct stored_account *account,
	struct stored_account *sender)
{
	if (!stored_account_read(arena, account_text, account) ||
		!account_kind_is_address(account->kind))
		return "its account is not an address, a domain or everyone";
	if (!stored_account_read(arena, sender_text, sender))
		return "its sender is not an address, a domain, a client or "
		       "a network";
	/* iRedAPD never looked for it here, and @. says the same. */
	if (sender->kind == ACCOUNT_CATCH_ALL_IP)
		return "its sender @ip never matches; write @. for everyone";
	return NULL;
}

/* Adds what row says; wrong_twice is the complaint about a second one. */
static const char *
add_row(struct greylist_table *table, const struct greylist_row *row,
	const char *wrong_twice)
{
	struct stored_account account, sender;
	struct greylist_account *of;
	struct greylist_row *copy;
	const char *wrong = read_accounts(table->arena, row->account,
		row->sender, &account, &sender);

	if (wrong != NULL)
		return wrong;
	copy = arena_new_object(table->arena, struct greylist_row);
	*copy = *row;
	copy->account = account.text;
	copy->sender = sender.text;
	copy->key = sender.key;
	copy->sender_kind = sender.kind;
	copy->comment = row->comment.len == 0
				? SLICE("")
				: slice_copy(table->arena, row->comment);
	/* iRedAPD's tools store 0 for a network where 70 was meant. */
	if (sender.kind == ACCOUNT_NETWORK && row->sender_priority == 0)
		copy->sender_priority = account_priority(ACCOUNT_NETWORK);
	table->sender_kinds |= ACCOUNT_BIT(sender.kind);
	of = account_of(table, account.key);
	if (sender.kind == ACCOUNT_NETWORK
			? put_network(of, &sender.network, copy)
			: put_sender(of, copy))
		return NULL;
	return wrong_twice;
}

unsigned
greylist_table_sender_kinds(const struct greylist_table *table)
{
	return table->sender_kinds;
}

const struct greylist_account *
greylist_table_account(const struct greylist_table *table, struct slice form)
{
	return map_get(table->accounts, form);
}

const struct greylist_row *
greylist_account_sender(const struct greylist_account *account,
	struct slice form)
{
	if (account->senders != NULL)
		return map_get(account->senders, form);
	for (const struct greylist_row *row = account->rows; row != NULL;
		row = row->next)
		if (slice_eq(row->key, form))
			return row;
	return NULL;
}

const struct greylist_row *
greylist_account_network(const struct greylist_account *account,
	const struct ip *client, size_t *at)
{
	if (account->networks == NULL || client->family == IP_NONE)
		return NULL;
	return netmap_next(account->networks, client, at);
}

/* --- iredapd.greylisting ----------------------------------------------- */

enum {
	SETTING_ID,
	SETTING_ACCOUNT,
	SETTING_PRIORITY,
	SETTING_SENDER,
	SETTING_SENDER_PRIORITY,
	SETTING_ACTIVE
};

static const char *
setting_add(void *snapshot, const struct db_rows *rows, size_t i)
{
	const struct greylist_row row = {
		.account = db_rows_text(rows, i, SETTING_ACCOUNT),
		.sender = db_rows_text(rows, i, SETTING_SENDER),
		.priority = (int)db_rows_i64(rows, i, SETTING_PRIORITY),
		.sender_priority =
			(int)db_rows_i64(rows, i, SETTING_SENDER_PRIORITY),
		.is_active = db_rows_u64(rows, i, SETTING_ACTIVE) == 1,
	};

	return add_row(snapshot, &row,
		"another row is for the same account and sender");
}

static const struct db_statement setting_fingerprint = {
	.name = "greylisting_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id,"
	       " account, priority, sender, sender_priority, active))), 0)"
	       " AS UNSIGNED) FROM greylisting",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement setting_chunk = {
	.name = "greylisting_chunk",
	.sql = "SELECT id, account, priority, sender, sender_priority, active"
	       " FROM greylisting WHERE id > ? ORDER BY id LIMIT 1000",
	.access = DB_READS,
	.params = "u",
	.columns = "usisii",
};

const struct table_kind table_greylisting = {
	.id = TABLE_GREYLISTING,
	.name = "iredapd.greylisting",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &setting_fingerprint,
	.chunk = &setting_chunk,
	.key_column = SETTING_ID,
	.make = make,
	.add = setting_add,
	.free = free_table,
};

/* --- the white-lists --------------------------------------------------- */

enum { WHITE_ID, WHITE_ACCOUNT, WHITE_SENDER, WHITE_COMMENT };

static const char *
white_add(void *snapshot, const struct db_rows *rows, size_t i)
{
	const struct greylist_row row = {
		.account = db_rows_text(rows, i, WHITE_ACCOUNT),
		.sender = db_rows_text(rows, i, WHITE_SENDER),
		.comment = db_rows_text(rows, i, WHITE_COMMENT),
	};

	/* White twice is white: no complaint. */
	return add_row(snapshot, &row, NULL);
}

#define WHITE_FINGERPRINT(table)                                       \
	"SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id," \
	" account, sender, comment))), 0) AS UNSIGNED) FROM " table
#define WHITE_CHUNK(table)                                \
	"SELECT id, account, sender, comment FROM " table \
	" WHERE id > ? ORDER BY id LIMIT 1000"

static const struct db_statement white_fingerprint = {
	.name = "greylist_whitelist_fingerprint",
	.sql = WHITE_FINGERPRINT("greylisting_whitelists"),
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement white_chunk = {
	.name = "greylist_whitelist_chunk",
	.sql = WHITE_CHUNK("greylisting_whitelists"),
	.access = DB_READS,
	.params = "u",
	.columns = "usss",
};

const struct table_kind table_greylist_whitelist = {
	.id = TABLE_GREYLIST_WHITELIST,
	.name = "iredapd.greylisting_whitelists",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &white_fingerprint,
	.chunk = &white_chunk,
	.key_column = WHITE_ID,
	.make = make,
	.add = white_add,
	.free = free_table,
};

static const struct db_statement spf_fingerprint = {
	.name = "greylist_whitelist_spf_fingerprint",
	.sql = WHITE_FINGERPRINT("greylisting_whitelist_domain_spf"),
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement spf_chunk = {
	.name = "greylist_whitelist_spf_chunk",
	.sql = WHITE_CHUNK("greylisting_whitelist_domain_spf"),
	.access = DB_READS,
	.params = "u",
	.columns = "usss",
};

const struct table_kind table_greylist_whitelist_spf = {
	.id = TABLE_GREYLIST_WHITELIST_SPF,
	.name = "iredapd.greylisting_whitelist_domain_spf",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &spf_fingerprint,
	.chunk = &spf_chunk,
	.key_column = WHITE_ID,
	.make = make,
	.add = white_add,
	.free = free_table,
};
