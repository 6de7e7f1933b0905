/*
 * Changes of iredapd.greylisting_tracking, in batches. They wait while the
 * database is away, and a batch may be sent again when nobody knows whether it
 * arrived, so each statement can be repeated: at worst blocked_count is one too
 * high.
 */

#include "policyd/facts/triplet_store.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"

#define WRITE_ITEMS_MAX 512
/* One statement under way keeps the changes of one row in their order. */
#define WRITES_IN_FLIGHT 1
/* Our own bound, limits.waiting_writes, may change with a reload. */
#define BATCH_WAITING_MAX ((size_t)1 << 30)

/*
 * First contact and coming back too early are one statement, told apart by
 * the row: of two daemons that see a triplet for the first time at once, the
 * second finds the row of the first and counts. A row that has expired
 * begins anew. MariaDB assigns from left to right, hence record_expired last.
 */
static const struct db_statement write_triplets = {
	.name = "triplet_write",
	.sql = "INSERT INTO greylisting_tracking (sender, recipient, "
	       "client_address, sender_domain, rcpt_domain, init_time, "
	       "block_expired, record_expired, blocked_count, passed) "
	       "SELECT k.s, k.r, k.c, k.sd, k.rd, k.i, k.b, k.e, k.bc, k.p "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, "
	       "s VARCHAR(255) PATH '$[0]', r VARCHAR(255) PATH '$[1]', "
	       "c VARCHAR(40) PATH '$[2]', sd VARCHAR(255) PATH '$[3]', "
	       "rd VARCHAR(255) PATH '$[4]', i BIGINT PATH '$[5]', "
	       "b BIGINT PATH '$[6]', e BIGINT PATH '$[7]', "
	       "bc BIGINT PATH '$[8]', p INT PATH '$[9]', "
	       "now BIGINT PATH '$[10]')) k ORDER BY k.n "
	       "ON DUPLICATE KEY UPDATE "
	       "init_time = IF(record_expired < k.now, VALUES(init_time), "
	       "init_time), "
	       "block_expired = IF(record_expired < k.now, "
	       "VALUES(block_expired), block_expired), "
	       "blocked_count = IF(record_expired < k.now, "
	       "VALUES(blocked_count), blocked_count + 1 - VALUES(passed)), "
	       "passed = IF(record_expired < k.now, VALUES(passed), "
	       "GREATEST(passed, VALUES(passed))), "
	       "record_expired = IF(record_expired < k.now "
	       "OR VALUES(passed) = 1, "
	       "GREATEST(record_expired, VALUES(record_expired)), "
	       "record_expired)",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

/*
 * The two below find their rows by ref on (client_address, passed) and change
 * them by primary key. They are bounded because one client may have left a
 * hundred thousand rows. The removal runs again while there is more to do;
 * of passed rows it is enough that some live on.
 */
#define REMOVED_MAX 2000 /* the LIMIT below */
#define ROWS_OF_CLIENTS(passed, columns, condition)                  \
	"(SELECT g.id" columns " FROM JSON_TABLE(?, '$[*]' COLUMNS " \
	"(c VARCHAR(40) PATH '$[0]', now BIGINT PATH '$[1]', "       \
	"until BIGINT PATH '$[2]')) k STRAIGHT_JOIN "                \
	"greylisting_tracking g ON g.client_address = k.c "          \
	"AND g.passed = " passed " " condition "LIMIT 2000) d "      \
	"STRAIGHT_JOIN greylisting_tracking t ON t.id = d.id"

static const struct db_statement remove_rows = {
	.name = "triplet_remove",
	.sql = "DELETE t FROM " ROWS_OF_CLIENTS("0", "", ""),
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

/* What has expired does not come back to life. */
static const struct db_statement renew_clients = {
	.name = "triplet_renew",
	/* clang-format off */
	.sql = "UPDATE " ROWS_OF_CLIENTS("1", ", k.until",
	       "AND g.record_expired >= k.now "
	       "AND g.record_expired < k.until ")
	       " SET t.record_expired = GREATEST(t.record_expired, d.until)",
	/* clang-format on */
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

/* How many writes wait for one entry of memory. */
struct mark {
	size_t n;
};

static void
mark(struct writes *writes, struct hash128 key)
{
	struct slice text = triplet_hash_text(&key);
	struct mark *found = map_get(writes->marks, text);

	if (found == NULL) {
		found = x_new(struct mark);
		map_put(writes->marks, text, found);
	}
	found->n++;
}

static void
unmark(struct writes *writes, struct hash128 key)
{
	struct slice text = triplet_hash_text(&key);
	struct mark *found = map_get(writes->marks, text);

	if (--found->n == 0) {
		map_remove(writes->marks, text);
		x_free(found);
	}
}

bool
triplet_is_marked(const struct triplets *triplets, struct hash128 key)
{
	return map_get(triplets->writes.marks, triplet_hash_text(&key)) != NULL;
}

static const struct triplet_write *
write_of(const struct db_item *item)
{
	return (const struct triplet_write *)(const void *)item;
}

static void
encode_text(struct str *json, char before, struct slice text)
{
	str_append_char(json, before);
	str_append_json(json, text);
}

static void
encode_number(struct str *json, int64_t number)
{
	str_append_char(json, ',');
	str_append_i64(json, number);
}

static void
encode_triplet(const struct db_item *item, struct str *json)
{
	const struct triplet_write *write = write_of(item);

	encode_text(json, '[', write->sender);
	encode_text(json, ',', write->recipient);
	encode_text(json, ',', write->client);
	encode_text(json, ',', write->sender_domain);
	encode_text(json, ',', write->recipient_domain);
	encode_number(json, write->first_seen);
	encode_number(json, write->blocked_until);
	encode_number(json, write->expires);
	encode_number(json, (int64_t)write->blocked_count);
	encode_number(json, write->has_passed);
	encode_number(json, write->now);
	str_append_char(json, ']');
}

static void
encode_client(const struct db_item *item, struct str *json)
{
	const struct triplet_write *write = write_of(item);

	encode_text(json, '[', write->client);
	encode_number(json, write->now);
	encode_number(json, write->expires);
	str_append_char(json, ']');
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_triplets(const struct db_item *a, const struct db_item *b)
{
	const struct triplet_write *x = write_of(a), *y = write_of(b);
	int order = slice_compare(x->sender, y->sender);

	if (order == 0)
		order = slice_compare(x->recipient, y->recipient);
	if (order == 0)
		order = slice_compare(x->client, y->client);
	return order != 0 ? order : compare_numbers(x->number, y->number);
}

static int
compare_clients(const struct db_item *a, const struct db_item *b)
{
	const struct triplet_write *x = write_of(a), *y = write_of(b);
	int order = slice_compare(x->client, y->client);

	return order != 0 ? order : compare_numbers(x->number, y->number);
}

/*
 * What was written counts as changed when it is in the table, too: a reading
 * that was asked for before may have been made before.
 */
static void
stamp(struct triplets *triplets, struct hash128 key)
{
	struct triplet_memory *row = cache_get(triplets->rows, key);
	struct client_memory *client = cache_get(triplets->clients, key);

	if (row != NULL)
		row->checked_at = triplets_tick() + 1;
	if (client != NULL)
		client->checked_at = triplets_tick() + 1;
}

static void
writes_done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct triplets *triplets = owner;
	struct writes *writes = &triplets->writes;

	for (size_t i = 0; i < n; i++) {
		struct triplet_write *write =
			(struct triplet_write *)(void *)items[i];

		stamp(triplets, write->key);
		unmark(writes, write->key);
		x_free(write);
	}
	writes->n_waiting -= n;
	metric_sub(METRIC_EFFECTS_QUEUED, n);
	if (result->status == DB_OK)
		return;
	metric_add(METRIC_EFFECTS_LOST, n);
	log_error("%zu greylisting records could not be written: %s", n,
		result->error);
}

static void
removals_done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct triplets *triplets = owner;

	if (result->status != DB_OK || result->affected < REMOVED_MAX) {
		writes_done(owner, items, n, result);
		return;
	}
	for (size_t i = 0; i < n; i++)
		db_batch_add(triplets->writes.removals, items[i]);
}

static const struct db_batch_ops triplet_ops = {
	.statement = &write_triplets,
	.encode = encode_triplet,
	.compare = compare_triplets,
	.done = writes_done,
	.max_items = WRITE_ITEMS_MAX,
	.max_in_flight = WRITES_IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static const struct db_batch_ops removal_ops = {
	.statement = &remove_rows,
	.encode = encode_client,
	.compare = compare_clients,
	.done = removals_done,
	.max_items = WRITE_ITEMS_MAX,
	.max_in_flight = WRITES_IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static const struct db_batch_ops renewal_ops = {
	.statement = &renew_clients,
	.encode = encode_client,
	.compare = compare_clients,
	.done = writes_done,
	.max_items = WRITE_ITEMS_MAX,
	.max_in_flight = WRITES_IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

void
triplet_writes_open(struct triplets *triplets)
{
	struct db *db = triplets->sources->db[CONFIG_DB_IREDAPD];
	struct writes *writes = &triplets->writes;

	writes->marks = map_new();
	writes->triplets = db_batch_new(db, &triplet_ops, triplets);
	writes->removals = db_batch_new(db, &removal_ops, triplets);
	writes->renewals = db_batch_new(db, &renewal_ops, triplets);
}

void
triplet_writes_close(struct triplets *triplets)
{
	struct writes *writes = &triplets->writes;

	db_batch_free(writes->triplets);
	db_batch_free(writes->removals);
	db_batch_free(writes->renewals);
	map_free(writes->marks, x_free);
}

/* Copies what the slices of draft point to and queues it. */
static void
queue(struct triplets *triplets, struct db_batch *batch,
	const struct triplet_write *draft)
{
	struct writes *writes = &triplets->writes;
	struct triplet_write *write;
	struct slice *texts[5];
	size_t len = draft->sender.len + draft->recipient.len +
		     draft->sender_domain.len + draft->recipient_domain.len +
		     draft->client.len;
	char *at;

	if (writes->n_waiting >=
		triplets->sources->config->limits.waiting_writes) {
		metric_add(METRIC_EFFECTS_LOST, 1);
		return;
	}
	write = x_calloc(1, sizeof(*write) + len);
	*write = *draft;
	at = write->text;
	texts[0] = &write->sender;
	texts[1] = &write->recipient;
	texts[2] = &write->sender_domain;
	texts[3] = &write->recipient_domain;
	texts[4] = &write->client;
	for (size_t i = 0; i < 5; i++) {
		if (texts[i]->len > 0)
			memcpy(at, texts[i]->ptr, texts[i]->len);
		texts[i]->ptr = at;
		at += texts[i]->len;
	}
	write->number = ++writes->last_number;
	writes->n_waiting++;
	metric_add(METRIC_EFFECTS_QUEUED, 1);
	mark(writes, write->key);
	db_batch_add(batch, &write->item);
}

void
triplet_write_row(struct triplets *triplets, const struct triplet_write *write)
{
	queue(triplets, triplets->writes.triplets, write);
}

void
triplet_write_removal(struct triplets *triplets,
	const struct triplet_write *write)
{
	queue(triplets, triplets->writes.removals, write);
}

void
triplet_write_renewal(struct triplets *triplets,
	const struct triplet_write *write)
{
	queue(triplets, triplets->writes.renewals, write);
}
