#include "policyd/facts/access_tables.h"

#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/mail/netmap.h"
#include "policyd/facts/accounts.h"

/* The rows of a snapshot; their number is bounded by table_rows. */
#define SNAPSHOT_MAX (SIZE_MAX / 2)
/* Two accounts, and a direction. */
#define KEY_MAX (2 * ADDRESS_MAX + 32)

struct access_table {
	struct map *accounts; /* struct access_account */
	struct map *rows;     /* struct access_row, by account and address */
	size_t n_rows;
	unsigned account_kinds, address_kinds;
	struct arena *arena;
};

/* A key of two texts. No account holds a NUL. Points into buffer. */
static struct slice
make_key(char buffer[KEY_MAX], struct slice a, struct slice b)
{
	if (a.len + 1 + b.len > KEY_MAX)
		return SLICE("");
	memcpy(buffer, a.ptr, a.len);
	buffer[a.len] = '\0';
	memcpy(buffer + a.len + 1, b.ptr, b.len);
	return (struct slice){ buffer, a.len + 1 + b.len };
}

static void *
make(const struct config *config)
{
	struct access_table *table = x_new(struct access_table);

	(void)config;
	table->accounts = map_new();
	table->rows = map_new();
	table->arena = arena_new(SNAPSHOT_MAX);
	return table;
}

static void
free_account(void *value)
{
	const struct access_account *account = value;

	netmap_free(account->networks, NULL);
}

static void
free_table(void *snapshot)
{
	struct access_table *table = snapshot;

	map_free(table->accounts, free_account);
	map_free(table->rows, NULL);
	arena_free(table->arena);
	x_free(table);
}

/* --- amavisd.wblist, amavisd.outbound_wblist ---------------------------- */

enum {
	COLUMN_ACCOUNT,
	COLUMN_ACCOUNT_PRIORITY,
	COLUMN_ADDRESS,
	COLUMN_ADDRESS_PRIORITY,
	COLUMN_WB,
	COLUMN_KEY
};

static struct access_account *
account_of(struct access_table *table, const struct stored_account *stored,
	int priority)
{
	struct access_account *account = map_get(table->accounts, stored->key);

	if (account != NULL)
		return account;
	account = arena_new_object(table->arena, struct access_account);
	account->account = stored->text;
	account->key = stored->key;
	account->kind = stored->kind;
	account->priority = priority;
	map_put(table->accounts, stored->key, account);
	table->account_kinds |= ACCOUNT_BIT(stored->kind);
	return account;
}

static bool
put_network(struct access_account *account, const struct network *network,
	struct access_row *row)
{
	if (account->networks == NULL)
		account->networks = netmap_new();
	if (netmap_get_exact(account->networks, network) != NULL)
		return false;
	netmap_put(account->networks, network, row);
	return true;
}

static bool
put_row(struct access_table *table, const struct stored_account *account,
	const struct stored_account *address, struct access_row *row)
{
	char buffer[KEY_MAX];
	const struct slice key = make_key(buffer, account->key, address->key);

	if (map_get(table->rows, key) != NULL)
		return false;
	map_put(table->rows, key, row);
	return true;
}

/* What is wrong with a row's account and address, or NULL and the two. */
static const char *
read_accounts(struct arena *arena, const struct db_rows *rows, size_t i,
	bool is_outbound, struct stored_account *account,
	struct stored_account *address)
{
	if (!stored_account_read(arena, db_rows_text(rows, i, COLUMN_ACCOUNT),
		    account) ||
		account->kind == ACCOUNT_NETWORK ||
		account->kind == ACCOUNT_ANY_DOMAIN ||
		account->kind == ACCOUNT_CATCH_ALL_IP ||
		(!is_outbound && !account_kind_is_address(account->kind)))
		return "its account is not an address, a domain or everyone";
	if (!stored_account_read(arena, db_rows_text(rows, i, COLUMN_ADDRESS),
		    address))
		return "its address is not an address, a domain, a client or "
		       "a network";
	if (is_outbound && !account_kind_is_address(address->kind))
		return "its recipient is not an address, a domain or everyone";
	/* iRedAPD never looked for it here, and @. says the same. */
	if (address->kind == ACCOUNT_CATCH_ALL_IP)
		return "its address @ip never matches; write @. for everyone";
	return NULL;
}

static const char *
add_row(struct access_table *table, const struct db_rows *rows, size_t i,
	bool is_outbound)
{
	const struct slice wb = db_rows_text(rows, i, COLUMN_WB);
	const bool is_white = slice_eq_text(wb, "W");
	struct stored_account account, address;
	struct access_account *of;
	struct access_row *row;
	const char *wrong;

	if (!is_white && !slice_eq_text(wb, "B"))
		return NULL;
	wrong = read_accounts(table->arena, rows, i, is_outbound, &account,
		&address);
	if (wrong != NULL)
		return wrong;
	of = account_of(table, &account,
		(int)db_rows_i64(rows, i, COLUMN_ACCOUNT_PRIORITY));
	row = arena_new_object(table->arena, struct access_row);
	row->address = address.text;
	row->kind = address.kind;
	row->priority = (int)db_rows_i64(rows, i, COLUMN_ADDRESS_PRIORITY);
	row->is_white = is_white;
	if (address.kind == ACCOUNT_NETWORK
			? !put_network(of, &address.network, row)
			: !put_row(table, &account, &address, row))
		return "another row is for the same account and address";
	table->address_kinds |= ACCOUNT_BIT(address.kind);
	table->n_rows++;
	return NULL;
}

static const char *
inbound_add(void *snapshot, const struct db_rows *rows, size_t i)
{
	return add_row(snapshot, rows, i, false);
}

static const char *
outbound_add(void *snapshot, const struct db_rows *rows, size_t i)
{
	return add_row(snapshot, rows, i, true);
}

size_t
access_table_n_rows(const struct access_table *table)
{
	return table->n_rows;
}

unsigned
access_table_account_kinds(const struct access_table *table)
{
	return table->account_kinds;
}

unsigned
access_table_address_kinds(const struct access_table *table)
{
	return table->address_kinds;
}

const struct access_account *
access_table_account(const struct access_table *table, struct slice form)
{
	return map_get(table->accounts, form);
}

const struct access_row *
access_table_row(const struct access_table *table,
	const struct access_account *account, struct slice form)
{
	char buffer[KEY_MAX];

	return map_get(table->rows, make_key(buffer, account->key, form));
}

const struct access_row *
access_account_network(const struct access_account *account,
	const struct ip *client, size_t *at)
{
	if (account->networks == NULL || client->family == IP_NONE)
		return NULL;
	return netmap_next(account->networks, client, at);
}

/*
 * What counts may change in any of the three tables. None of them is joined
 * here: each is read once, in the order of its key.
 */
#define FINGERPRINT(table)                                                     \
	"SELECT (SELECT COUNT(*) FROM " table " WHERE wb IN ('W', 'B')),"      \
	" CAST(COALESCE((SELECT SUM(CRC32(CONCAT_WS(0x1f, rid, sid, wb)))"     \
	" FROM " table " WHERE wb IN ('W', 'B')), 0)"                          \
	" + COALESCE((SELECT SUM(CRC32(CONCAT_WS(0x1f, id, priority, email)))" \
	" FROM users), 0)"                                                     \
	" + COALESCE((SELECT SUM(CRC32(CONCAT_WS(0x1e, id, priority, email)))" \
	" FROM mailaddr), 0) AS UNSIGNED)"

/*
 * The key has two columns and travels as one JSON array; see facts/setting.c.
 * STRAIGHT_JOIN: in the order of the key, however many accounts there are,
 * with eq_ref for both of the others.
 */
#define LAST(n) "CAST(COALESCE(JSON_VALUE(?, '$[" #n "]'), 0) AS UNSIGNED)"
#define CHUNK(table, account_id, address_id)                                     \
	"SELECT STRAIGHT_JOIN u.email, u.priority, m.email, m.priority,"         \
	" w.wb, JSON_ARRAY(w.rid, w.sid) FROM " table " w"                       \
	" JOIN users u ON u.id = w." account_id                                  \
	" JOIN mailaddr m ON m.id = w." address_id                               \
	" WHERE w.rid >= " LAST(0) " AND (w.rid > " LAST(0) " OR w.sid > " LAST( \
		1) ") AND w.wb IN ('W', 'B') ORDER BY w.rid, w.sid LIMIT 1000"

static const struct db_statement inbound_fingerprint = {
	.name = "wblist_fingerprint",
	.sql = FINGERPRINT("wblist"),
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement inbound_chunk = {
	.name = "wblist_chunk",
	.sql = CHUNK("wblist", "rid", "sid"),
	.access = DB_READS,
	.params = "sss",
	.columns = "sisiss",
};

const struct table_kind table_wblist = {
	.id = TABLE_WBLIST,
	.name = "amavisd.wblist",
	.db = CONFIG_DB_AMAVISD,
	.fingerprint = &inbound_fingerprint,
	.chunk = &inbound_chunk,
	.key_column = COLUMN_KEY,
	.make = make,
	.add = inbound_add,
	.free = free_table,
};

static const struct db_statement outbound_fingerprint = {
	.name = "outbound_wblist_fingerprint",
	.sql = FINGERPRINT("outbound_wblist"),
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement outbound_chunk = {
	.name = "outbound_wblist_chunk",
	.sql = CHUNK("outbound_wblist", "sid", "rid"),
	.access = DB_READS,
	.params = "sss",
	.columns = "sisiss",
};

const struct table_kind table_outbound_wblist = {
	.id = TABLE_OUTBOUND_WBLIST,
	.name = "amavisd.outbound_wblist",
	.db = CONFIG_DB_AMAVISD,
	.fingerprint = &outbound_fingerprint,
	.chunk = &outbound_chunk,
	.key_column = COLUMN_KEY,
	.make = make,
	.add = outbound_add,
	.free = free_table,
};

/* --- policyd.access ----------------------------------------------------- */

enum {
	NOTE_ID,
	NOTE_DIRECTION,
	NOTE_ACCOUNT,
	NOTE_ADDRESS,
	NOTE_WB,
	NOTE_EXPIRES_AT,
	NOTE_AUTHOR,
	NOTE_REASON
};

struct access_notes {
	struct map *notes[ACCESS_DIRECTIONS]; /* by account and address */
	struct arena *arena;
};

static void *
notes_make(const struct config *config)
{
	struct access_notes *notes = x_new(struct access_notes);

	(void)config;
	for (size_t i = 0; i < ACCESS_DIRECTIONS; i++)
		notes->notes[i] = map_new();
	notes->arena = arena_new(SNAPSHOT_MAX);
	return notes;
}

static void
notes_free(void *snapshot)
{
	struct access_notes *notes = snapshot;

	for (size_t i = 0; i < ACCESS_DIRECTIONS; i++)
		map_free(notes->notes[i], NULL);
	arena_free(notes->arena);
	x_free(notes);
}

static const char *
notes_add(void *snapshot, const struct db_rows *rows, size_t i)
{
	const bool is_outbound = slice_eq_text(
		db_rows_text(rows, i, NOTE_DIRECTION), "outbound");
	struct access_notes *notes = snapshot;
	struct access_note *note;
	char buffer[KEY_MAX];
	const struct slice key =
		make_key(buffer, db_rows_text(rows, i, NOTE_ACCOUNT),
			db_rows_text(rows, i, NOTE_ADDRESS));

	if (key.len == 0)
		return "its account and address are too long";
	note = arena_new_object(notes->arena, struct access_note);
	note->is_white = slice_eq_text(db_rows_text(rows, i, NOTE_WB), "W");
	note->expires_at = db_rows_i64(rows, i, NOTE_EXPIRES_AT);
	note->author =
		slice_copy(notes->arena, db_rows_text(rows, i, NOTE_AUTHOR));
	note->reason =
		slice_copy(notes->arena, db_rows_text(rows, i, NOTE_REASON));
	map_put(notes->notes[is_outbound ? ACCESS_OUTBOUND : ACCESS_INBOUND],
		key, note);
	return NULL;
}

const struct access_note *
access_notes_find(const struct access_notes *notes,
	enum access_direction direction, struct slice account,
	struct slice address)
{
	char buffer[KEY_MAX];

	return map_get(notes->notes[direction],
		make_key(buffer, account, address));
}

static const struct db_statement notes_fingerprint = {
	.name = "access_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id,"
	       " direction, account, address, wb, expires_at, author,"
	       " reason))), 0) AS UNSIGNED) FROM access",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement notes_chunk = {
	.name = "access_chunk",
	.sql = "SELECT id, direction, account, address, wb, expires_at,"
	       " author, reason FROM access WHERE id > ? ORDER BY id"
	       " LIMIT 1000",
	.access = DB_READS,
	.params = "u",
	.columns = "ussssiss",
};

const struct table_kind table_access = {
	.id = TABLE_ACCESS,
	.name = "policyd.access",
	.db = CONFIG_DB_POLICYD,
	.fingerprint = &notes_fingerprint,
	.chunk = &notes_chunk,
	.key_column = NOTE_ID,
	.make = notes_make,
	.add = notes_add,
	.free = notes_free,
};
