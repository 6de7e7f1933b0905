#include "policyd/facts/auto_whitelist.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/effect.h"
#include "policyd/facts.h"
#include "policyd/facts/greylist_tables.h"
#include "policyd/sources.h"

#define ITEMS_MAX 512
#define IN_FLIGHT 1
/* Our own bound, limits.waiting_writes, may change with a reload. */
#define BATCH_WAITING_MAX ((size_t)1 << 30)
/* How long new rows gather before the tables are read again. */
#define REFRESH_MS 1000

/*
 * A row that is there stays as it is, whoever made it. Nothing is cut: what
 * is longer than the column never comes here.
 */
static const struct db_statement add_rows = {
	.name = "auto_whitelist_add",
	.sql = "INSERT INTO greylisting_whitelists (account, sender, comment,"
	       " created_at) SELECT k.a, k.s, '" AUTO_WHITELIST_COMMENT "', k.t"
	       " FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY,"
	       " a VARCHAR(100) PATH '$[0]', s VARCHAR(100) PATH '$[1]',"
	       " t BIGINT PATH '$[2]')) k ORDER BY k.n"
	       " ON DUPLICATE KEY UPDATE"
	       " comment = greylisting_whitelists.comment",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

static const struct db_statement add_domains = {
	.name = "auto_whitelist_add_domain",
	.sql = "INSERT INTO greylisting_whitelist_domains (domain) SELECT k.d"
	       " FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY,"
	       " d VARCHAR(255) PATH '$[1]')) k ORDER BY k.n"
	       " ON DUPLICATE KEY UPDATE"
	       " domain = greylisting_whitelist_domains.domain",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

struct white_write {
	struct db_item item;
	struct slice account, sender;
	int64_t now;
	char text[];
};

struct auto_whitelist {
	struct sources *sources;
	struct db_batch *additions, *domains;
	struct loop_timer *refresh_timer;
	size_t n_waiting;
	bool is_refresh_due, is_closing;
};

/* --- adding ------------------------------------------------------------- */

static const struct white_write *
write_of(const struct db_item *item)
{
	return (const struct white_write *)(const void *)item;
}

static void
encode_write(const struct db_item *item, struct str *json)
{
	const struct white_write *write = write_of(item);

	str_append_char(json, '[');
	str_append_json(json, write->account);
	str_append_char(json, ',');
	str_append_json(json, write->sender);
	str_append_char(json, ',');
	str_append_i64(json, write->now);
	str_append_char(json, ']');
}

static int
compare_writes(const struct db_item *a, const struct db_item *b)
{
	const struct white_write *x = write_of(a), *y = write_of(b);
	int order = slice_compare(x->account, y->account);

	return order != 0 ? order : slice_compare(x->sender, y->sender);
}

static void
on_refresh_due(void *arg)
{
	struct auto_whitelist *whitelist = arg;

	whitelist->is_refresh_due = false;
	tables_refresh(whitelist->sources->tables, NULL, NULL);
}

/* Not for every row: a site may write to many new people in a second. */
static void
refresh_soon(struct auto_whitelist *whitelist)
{
	if (whitelist->is_refresh_due || whitelist->is_closing)
		return;
	whitelist->is_refresh_due = true;
	loop_timer_set(whitelist->refresh_timer, REFRESH_MS);
}

static void
additions_done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct auto_whitelist *whitelist = owner;

	for (size_t i = 0; i < n; i++)
		x_free(items[i]);
	whitelist->n_waiting -= n;
	metric_sub(METRIC_EFFECTS_QUEUED, n);
	if (result->status == DB_OK) {
		if (result->affected > 0)
			refresh_soon(whitelist);
		return;
	}
	metric_add(METRIC_EFFECTS_LOST, n);
	log_error("%zu recipients could not be white-listed: %s", n,
		result->error);
}

static const struct db_batch_ops addition_ops = {
	.statement = &add_rows,
	.encode = encode_write,
	.compare = compare_writes,
	.done = additions_done,
	.max_items = ITEMS_MAX,
	.max_in_flight = IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static const struct db_batch_ops domain_ops = {
	.statement = &add_domains,
	.encode = encode_write,
	.compare = compare_writes,
	.done = additions_done,
	.max_items = ITEMS_MAX,
	.max_in_flight = IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static char *
put_text(char *at, struct slice *text)
{
	if (text->len > 0)
		memcpy(at, text->ptr, text->len);
	text->ptr = at;
	return at + text->len;
}

static void
queue(struct auto_whitelist *whitelist, const struct auto_white *entry)
{
	struct white_write *write;
	char *at;

	assert(entry->account.len <= AUTO_WHITELIST_TEXT_MAX &&
		entry->sender.len <= AUTO_WHITELIST_TEXT_MAX);
	if (whitelist->n_waiting >=
		whitelist->sources->config->limits.waiting_writes) {
		metric_add(METRIC_EFFECTS_LOST, 1);
		return;
	}
	write = x_calloc(1,
		sizeof(*write) + entry->account.len + entry->sender.len);
	write->account = entry->account;
	write->sender = entry->sender;
	write->now = clock_wall();
	at = put_text(write->text, &write->account);
	(void)put_text(at, &write->sender);
	whitelist->n_waiting++;
	metric_add(METRIC_EFFECTS_QUEUED, 1);
	db_batch_add(write->account.len > 0 ? whitelist->additions
					    : whitelist->domains,
		&write->item);
}

static bool
is_there(const struct greylist_table *table, const struct auto_white *entry)
{
	const struct greylist_account *account =
		table == NULL ? NULL
			      : greylist_table_account(table, entry->account);

	return account != NULL &&
	       greylist_account_sender(account, entry->sender) != NULL;
}

static void
apply(struct facts *facts, const void *data)
{
	const struct auto_whites *whites = data;
	const struct greylist_table *table =
		tables_get(facts->sources->tables, TABLE_GREYLIST_WHITELIST);

	for (size_t i = 0; i < whites->n; i++)
		if (!is_there(table, &whites->entries[i]))
			queue(facts->sources->auto_white, &whites->entries[i]);
}

void
effect_auto_whitelist(struct verdict *out, const struct auto_whites *whites)
{
	effect_add(out, "white-list the recipients", apply, whites);
}

/* --- life --------------------------------------------------------------- */

struct auto_whitelist *
auto_whitelist_new(struct sources *sources)
{
	struct auto_whitelist *whitelist = x_new(struct auto_whitelist);
	struct db *db = sources->db[CONFIG_DB_IREDAPD];

	whitelist->sources = sources;
	whitelist->additions = db_batch_new(db, &addition_ops, whitelist);
	whitelist->domains = db_batch_new(db, &domain_ops, whitelist);
	whitelist->refresh_timer =
		loop_timer_new(sources->loop, on_refresh_due, whitelist);
	return whitelist;
}

void
auto_whitelist_free(struct auto_whitelist *whitelist)
{
	if (whitelist == NULL)
		return;
	whitelist->is_closing = true;
	db_batch_free(whitelist->additions);
	db_batch_free(whitelist->domains);
	loop_timer_free(whitelist->refresh_timer);
	x_free(whitelist);
}

size_t
auto_whitelist_waiting(const struct auto_whitelist *whitelist)
{
	return whitelist->n_waiting;
}
