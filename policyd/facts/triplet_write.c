/*
 * What became of a triplet: into memory at once, into the table in batches.
 * The writes wait while the database is away, and a batch may be sent again
 * when nobody knows whether it arrived, so each statement can be repeated:
 * at worst blocked_count is one too high.
 */

#include "policyd/facts/triplet_store.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/base/num.h"
#include "policyd/effect.h"
#include "policyd/facts/column.h"
#include "policyd/request.h"

#define WRITE_ITEMS_MAX 512
/* One statement under way keeps the changes of one row in their order. */
#define WRITES_IN_FLIGHT 1
/* Our own bound, limits.waiting_writes, may change with a reload. */
#define BATCH_WAITING_MAX ((size_t)1 << 30)
/*
 * How far a client's expiry may lie behind the rolling one before its rows
 * are written: an hour, and a tenth where clients expire sooner.
 */
#define RENEWAL_SLACK_S        3600
#define RENEWAL_SLACK_FRACTION 10

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
 * hundred thousand rows: where that many went, the statement runs again.
 */
#define REMOVED_MAX 2000
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
	.sql = "UPDATE " ROWS_OF_CLIENTS("1", ", k.until",
		"AND g.record_expired >= k.now "
		"AND g.record_expired < k.until ") " SET t.record_expired = GREATEST(t.record_expired, d.until)",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

/* One change that waits. Removals and renewals use the second half only. */
struct write {
	struct db_item item;
	uint64_t number; /* in order of arrival */
	struct slice sender, recipient, sender_domain, recipient_domain;
	int64_t first_seen, blocked_until;
	bool has_passed;
	struct slice client;
	int64_t now, expires;
	struct hash128 key; /* of the memory that is ahead of the table */
	char text[];
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

static const struct write *
write_of(const struct db_item *item)
{
	return (const struct write *)(const void *)item;
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
	const struct write *write = write_of(item);

	encode_text(json, '[', write->sender);
	encode_text(json, ',', write->recipient);
	encode_text(json, ',', write->client);
	encode_text(json, ',', write->sender_domain);
	encode_text(json, ',', write->recipient_domain);
	encode_number(json, write->first_seen);
	encode_number(json, write->blocked_until);
	encode_number(json, write->expires);
	encode_number(json, 1); /* blocked_count of a row that is made */
	encode_number(json, write->has_passed);
	encode_number(json, write->now);
	str_append_char(json, ']');
}

static void
encode_client(const struct db_item *item, struct str *json)
{
	const struct write *write = write_of(item);

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
	const struct write *x = write_of(a), *y = write_of(b);
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
	const struct write *x = write_of(a), *y = write_of(b);
	int order = slice_compare(x->client, y->client);

	return order != 0 ? order : compare_numbers(x->number, y->number);
}

static void
writes_done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct triplets *triplets = owner;
	struct writes *writes = &triplets->writes;

	for (size_t i = 0; i < n; i++) {
		struct write *write = (struct write *)(void *)items[i];

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
	const struct write *draft)
{
	struct writes *writes = &triplets->writes;
	struct write *write;
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

static uint32_t
seconds32(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static int64_t
later(int64_t now, uint64_t ms)
{
	return seconds32(now + (int64_t)(ms / 1000));
}

static void
queue_triplet(struct triplets *triplets, const struct request *req,
	const struct triplet_key *key, struct slice client,
	const struct write *draft)
{
	struct write write = *draft;

	write.sender = key->sender;
	write.recipient = key->recipient;
	write.client = client;
	write.sender_domain =
		column_text(req->arena, req->sender.domain, COLUMN_ADDRESS_MAX);
	write.recipient_domain = column_text(req->arena, req->recipient.domain,
		COLUMN_ADDRESS_MAX);
	write.now = req->now;
	queue(triplets, triplets->writes.triplets, &write);
}

static void
queue_client(struct triplets *triplets, struct db_batch *batch,
	struct slice client, int64_t now, int64_t until)
{
	struct write write = { .client = client,
		.now = now,
		.expires = until,
		.key = triplet_client_hash(client) };

	if (client.len > 0)
		queue(triplets, batch, &write);
}

/*
 * New, or blocked: seen is what the rule saw, but two requests for one
 * triplet may have seen the same nothing. Memory decides as the statement
 * does: what is there and has not expired is counted, else it begins.
 */
static void
contact(struct facts *facts, const struct triplet *seen)
{
	const struct request *req = facts->req;
	struct triplets *triplets = facts->sources->triplets;
	struct triplet_key key = triplet_key(req);
	struct hash128 hash = triplet_row_hash(&key, seen->client);
	struct triplet_memory *row = cache_put(triplets->rows, hash, NULL);
	struct write write = { .key = hash };

	if (row->checked_at == 0 || row->expires < req->now) {
		row->first_seen = seconds32(seen->first_seen);
		row->blocked_until = seconds32(seen->blocked_until);
		row->expires = seconds32(seen->expires);
		row->blocked_count = seconds32((int64_t)seen->blocked_count);
		row->has_passed = seen->has_passed;
	}
	if (row->blocked_count < UINT32_MAX)
		row->blocked_count++;
	row->checked_at = triplets_tick() + 1;
	write.first_seen = row->first_seen;
	write.blocked_until = row->blocked_until;
	write.expires = row->expires;
	queue_triplet(triplets, req, &key, seen->client, &write);
}

static void
apply_blocked(struct facts *facts, const void *data)
{
	contact(facts, data);
}

static void
apply_new(struct facts *facts, const void *data)
{
	const struct request *req = facts->req;
	struct triplet fresh = *(const struct triplet *)data;

	fresh.has_passed = false;
	fresh.first_seen = seconds32(req->now);
	fresh.blocked_until =
		later(req->now, req->config->greylisting.block_expire_ms);
	fresh.expires =
		later(req->now, req->config->greylisting.unauth_expire_ms);
	fresh.blocked_count = 0;
	contact(facts, &fresh);
}

static void
remember_passed(struct triplets *triplets, struct slice client, int64_t until)
{
	struct client_memory *memory =
		cache_put(triplets->clients, triplet_client_hash(client), NULL);

	if (memory->passed_until < until)
		memory->passed_until = seconds32(until);
	memory->checked_at = triplets_tick() + 1;
}

/*
 * The passed row stands for the whole group, also where iRedAPD's row of the
 * one address was what it came back to. Rows not passed are of no use any
 * more.
 */
static void
apply_passed(struct facts *facts, const void *data)
{
	const struct triplet *seen = data;
	const struct request *req = facts->req;
	struct triplets *triplets = facts->sources->triplets;
	struct triplet_key key = triplet_key(req);
	int64_t until =
		later(req->now, req->config->greylisting.auth_expire_ms);
	struct write write = { .first_seen = seen->first_seen,
		.blocked_until = seen->blocked_until,
		.expires = until,
		.has_passed = true,
		.key = triplet_client_hash(key.group) };

	remember_passed(triplets, key.group, until);
	cache_remove(triplets->rows, triplet_row_hash(&key, seen->client));
	queue_triplet(triplets, req, &key, key.group, &write);
	queue_client(triplets, triplets->writes.removals, key.group, req->now,
		until);
	queue_client(triplets, triplets->writes.removals, key.exact, req->now,
		until);
}

static void
renew(struct triplets *triplets, struct slice client, int64_t now,
	int64_t until)
{
	const struct client_memory *memory =
		client.len == 0 ? NULL
				: cache_get(triplets->clients,
					  triplet_client_hash(client));

	if (memory == NULL || memory->passed_until < now)
		return;
	remember_passed(triplets, client, until);
	queue_client(triplets, triplets->writes.renewals, client, now, until);
}

/* Thirty rolling days need no write for each message: see RENEWAL_SLACK_S. */
static void
apply_client_seen(struct facts *facts, const void *data)
{
	const struct triplet *seen = data;
	const struct request *req = facts->req;
	struct triplets *triplets = facts->sources->triplets;
	uint64_t expire_ms = req->config->greylisting.auth_expire_ms;
	int64_t until = later(req->now, expire_ms);
	int64_t slack = (int64_t)(expire_ms / 1000 / RENEWAL_SLACK_FRACTION);
	struct triplet_key key;

	if (slack > RENEWAL_SLACK_S)
		slack = RENEWAL_SLACK_S;
	if (seen->client_passed_until >= until - slack)
		return;
	key = triplet_key(req);
	renew(triplets, key.group, req->now, until);
	renew(triplets, key.exact, req->now, until);
}

void
effect_triplet_new(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "remember the triplet", apply_new, seen);
}

void
effect_triplet_blocked(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "count the early return", apply_blocked, seen);
}

void
effect_triplet_passed(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "the client has passed", apply_passed, seen);
}

void
effect_client_seen(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "the client's time runs anew", apply_client_seen, seen);
}
