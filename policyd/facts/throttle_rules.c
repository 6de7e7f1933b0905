#include "policyd/facts/throttle_rules.h"

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/mail/netmap.h"
#include "policyd/facts/accounts.h"

/* The rows of a snapshot; their number is bounded by table_rows. */
#define SNAPSHOT_MAX (SIZE_MAX / 2)

enum {
	COLUMN_ID,
	COLUMN_ACCOUNT,
	COLUMN_KIND,
	COLUMN_PRIORITY,
	COLUMN_PERIOD,
	COLUMN_MSG_SIZE,
	COLUMN_MAX_MSGS,
	COLUMN_MAX_QUOTA,
	COLUMN_MAX_RCPTS
};

struct throttle_table {
	struct map *accounts[THROTTLE_KINDS]; /* struct stored_rule */
	struct netmap *networks[THROTTLE_KINDS];
	unsigned account_kinds[THROTTLE_KINDS];
	struct arena *arena;
};

static const char *const kind_names[THROTTLE_KINDS] = {
	[THROTTLE_OUTBOUND] = "outbound",
	[THROTTLE_INBOUND] = "inbound",
	[THROTTLE_EXTERNAL] = "external",
};

const char *
throttle_kind_name(enum throttle_kind kind)
{
	return kind_names[kind];
}

bool
throttle_kind_parse(struct slice text, enum throttle_kind *out)
{
	for (size_t i = 0; i < THROTTLE_KINDS; i++) {
		if (!slice_case_eq(text, slice_of(kind_names[i])))
			continue;
		*out = (enum throttle_kind)i;
		return true;
	}
	return false;
}

static void *
make(const struct config *config)
{
	struct throttle_table *table = x_new(struct throttle_table);

	(void)config;
	for (size_t i = 0; i < THROTTLE_KINDS; i++) {
		table->accounts[i] = map_new();
		table->networks[i] = netmap_new();
	}
	table->arena = arena_new(SNAPSHOT_MAX);
	return table;
}

static void
free_table(void *snapshot)
{
	struct throttle_table *table = snapshot;

	for (size_t i = 0; i < THROTTLE_KINDS; i++) {
		map_free(table->accounts[i], NULL);
		netmap_free(table->networks[i], NULL);
	}
	arena_free(table->arena);
	x_free(table);
}

/* iRedAPD's tools store 0 for a network where 70 was meant. */
static int
priority_of(const struct db_rows *rows, size_t i, enum account_kind kind)
{
	const int stored = (int)db_rows_u64(rows, i, COLUMN_PRIORITY);

	return kind == ACCOUNT_NETWORK && stored == 0 ? account_priority(kind)
						      : stored;
}

static struct stored_rule *
make_rule(struct throttle_table *table, const struct db_rows *rows, size_t i,
	const struct stored_account *account, enum throttle_kind kind)
{
	struct stored_rule *stored =
		arena_new_object(table->arena, struct stored_rule);

	stored->account_kind = account->kind;
	stored->rule = (struct throttle_rule){
		.id = db_rows_u64(rows, i, COLUMN_ID),
		.account = account->text,
		.kind = kind,
		.priority = priority_of(rows, i, account->kind),
		.period_s = db_rows_u64(rows, i, COLUMN_PERIOD),
		.msg_size = db_rows_i64(rows, i, COLUMN_MSG_SIZE),
		.max_msgs = db_rows_i64(rows, i, COLUMN_MAX_MSGS),
		.max_quota = db_rows_i64(rows, i, COLUMN_MAX_QUOTA),
		.max_rcpts = db_rows_i64(rows, i, COLUMN_MAX_RCPTS),
	};
	return stored;
}

static const char *
add(void *snapshot, const struct db_rows *rows, size_t i)
{
	struct throttle_table *table = snapshot;
	struct stored_account account;
	enum throttle_kind kind;
	struct stored_rule *rule;
	bool is_second;

	if (!throttle_kind_parse(db_rows_text(rows, i, COLUMN_KIND), &kind))
		return "its kind is not outbound, inbound or external";
	if (!stored_account_read(table->arena,
		    db_rows_text(rows, i, COLUMN_ACCOUNT), &account))
		return "its account is not an address, a domain, a client or "
		       "a network";
	is_second =
		account.kind == ACCOUNT_NETWORK
			? netmap_get_exact(table->networks[kind],
				  &account.network) != NULL
			: map_get(table->accounts[kind], account.key) != NULL;
	/* The key of the table lets two spellings of one address through. */
	if (is_second)
		return "another rule of its kind is for the same account";
	table->account_kinds[kind] |= ACCOUNT_BIT(account.kind);
	rule = make_rule(table, rows, i, &account, kind);
	if (account.kind == ACCOUNT_NETWORK)
		netmap_put(table->networks[kind], &account.network, rule);
	else
		map_put(table->accounts[kind], account.key, rule);
	return NULL;
}

unsigned
throttle_table_account_kinds(const struct throttle_table *table,
	enum throttle_kind kind)
{
	return table->account_kinds[kind];
}

const struct stored_rule *
throttle_table_account(const struct throttle_table *table,
	enum throttle_kind kind, struct slice form)
{
	return map_get(table->accounts[kind], form);
}

const struct stored_rule *
throttle_table_network(const struct throttle_table *table,
	enum throttle_kind kind, const struct ip *client, size_t *at)
{
	if (client->family == IP_NONE)
		return NULL;
	return netmap_next(table->networks[kind], client, at);
}

static const struct db_statement fingerprint = {
	.name = "throttle_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id,"
	       " account, kind, priority, period, msg_size, max_msgs,"
	       " max_quota, max_rcpts))), 0) AS UNSIGNED) FROM throttle",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement chunk = {
	.name = "throttle_chunk",
	.sql = "SELECT id, account, kind, priority, period, msg_size,"
	       " max_msgs, max_quota, max_rcpts FROM throttle WHERE id > ?"
	       " ORDER BY id LIMIT 1000",
	.access = DB_READS,
	.params = "u",
	.columns = "ussiuiiii",
};

const struct table_kind table_throttle = {
	.id = TABLE_THROTTLE,
	.name = "iredapd.throttle",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &fingerprint,
	.chunk = &chunk,
	.key_column = COLUMN_ID,
	.make = make,
	.add = add,
	.free = free_table,
};
