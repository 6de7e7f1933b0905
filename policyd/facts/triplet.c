#include "policyd/facts/triplet.h"

#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/triplet_store.h"
#include "policyd/request.h"

/* Keys in one statement, and statements under way. */
#define LOOKUP_ITEMS_MAX  512
#define LOOKUPS_IN_FLIGHT 2
/* Questions waiting for a connection: more are answered "unavailable". */
#define LOOKUPS_MAX 100000

static const char *const no_answer =
	"the greylisting records could not be read";

/*
 * One row for each key, in order. EXPLAIN: k, then both rows by eq_ref on
 * (sender, recipient, client_address), and for each text of the client ref
 * on (client_address, passed).
 *
 * Mended against iRedAPD: a passed row that has expired does not count,
 * whether or not somebody has removed it yet. As there, a record is still
 * valid in the second in which it expires.
 *
 * The newest valid row is taken for "until when has the client passed", not
 * the one that lasts longest: the index gives it without reading the others,
 * so a client with a million passed rows costs as little as one with one.
 *
 * The collation of k's texts is that of the database, as iRedMail makes it:
 * were it another than that of the table's columns, the server would refuse.
 */
#define PASSED_UNTIL(client)                                    \
	"(SELECT c.record_expired FROM greylisting_tracking c " \
	"WHERE c.client_address = " client " AND c.passed = 1 " \
	"AND c.record_expired >= k.now ORDER BY c.id DESC LIMIT 1)"
#define ROW_OF(alias, client)                                                 \
	"LEFT JOIN greylisting_tracking " alias " ON " alias ".sender = k.s " \
	"AND " alias ".recipient = k.r "                                      \
	"AND " alias ".client_address = " client " "                          \
	"AND " alias ".record_expired >= k.now "

static const struct db_statement look_up = {
	.name = "triplet_look_up",
	/* clang-format off */
	.sql = "SELECT " PASSED_UNTIL("k.g") ", " PASSED_UNTIL("k.x") ", "
	       "g.id IS NOT NULL, x.id IS NOT NULL, "
	       "COALESCE(g.init_time, x.init_time), "
	       "COALESCE(g.block_expired, x.block_expired), "
	       "COALESCE(g.record_expired, x.record_expired), "
	       "COALESCE(g.blocked_count, x.blocked_count), "
	       "COALESCE(g.passed, x.passed) "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, "
	       "s VARCHAR(255) PATH '$[0]', r VARCHAR(255) PATH '$[1]', "
	       "g VARCHAR(40) PATH '$[2]', x VARCHAR(40) PATH '$[3]', "
	       "now BIGINT PATH '$[4]')) k "
	       ROW_OF("g", "k.g") ROW_OF("x", "k.x") "ORDER BY k.n",
	/* clang-format on */
	.access = DB_READS,
	.params = "s",
	.columns = "uuuuuuuui",
};

enum column {
	COLUMN_GROUP_UNTIL,
	COLUMN_EXACT_UNTIL,
	COLUMN_HAS_GROUP_ROW,
	COLUMN_HAS_EXACT_ROW,
	COLUMN_FIRST_SEEN,
	COLUMN_BLOCKED_UNTIL,
	COLUMN_EXPIRES,
	COLUMN_BLOCKED_COUNT,
	COLUMN_PASSED,
};

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct fact *fact;
	struct lookup *lookup;
};

/* One question to the table; everybody who asks the same waits for it. */
struct lookup {
	struct db_item item;
	struct triplets *triplets;
	struct triplet_key key; /* points behind the struct */
	struct hash128 id;
	int64_t now;
	tick asked_at;
	unsigned generation;
	TAILQ_HEAD(, waiter) waiters;
	char text[];
};

/* Answers. */

static void
answer(struct fact *fact, const struct triplet_key *key,
	const struct triplet_view *view)
{
	const struct request *req = fact->facts->req;
	struct triplet *out = arena_new_object(req->arena, struct triplet);
	uint32_t until = view->group.passed_until;

	if (view->exact.passed_until > until)
		until = view->exact.passed_until;
	out->client_has_passed = until != 0 && until >= req->now;
	if (out->client_has_passed)
		out->client_passed_until = until;
	out->sender = slice_copy(req->arena, key->sender);
	out->recipient = slice_copy(req->arena, key->recipient);
	out->client = slice_copy(req->arena,
		view->has_row && view->is_exact_row ? key->exact : key->group);
	if (!out->client_has_passed && view->has_row) {
		out->is_known = true;
		out->has_passed = view->row.has_passed != 0;
		out->first_seen = view->row.first_seen;
		out->blocked_until = view->row.blocked_until;
		out->expires = view->row.expires;
		out->blocked_count = view->row.blocked_count;
	}
	fact_known(fact, out);
}

/* The table was not read: what memory holds, however old, is the best. */
static void
answer_without(struct fact *fact, const struct triplet_key *key)
{
	const struct request *req = fact->facts->req;
	struct triplets *triplets = fact->facts->sources->triplets;
	struct triplet_view view = triplet_recall(triplets, key, req->now);

	if (triplet_view_is_enough(&view, req->now))
		answer(fact, key, &view);
	else
		fact_unavailable(fact, no_answer);
}

/* Look-ups. */

static void
encode_lookup(const struct db_item *item, struct str *json)
{
	const struct lookup *lookup = (const struct lookup *)(const void *)item;

	str_append_char(json, '[');
	str_append_json(json, lookup->key.sender);
	str_append_char(json, ',');
	str_append_json(json, lookup->key.recipient);
	str_append_char(json, ',');
	str_append_json(json, lookup->key.group);
	str_append_char(json, ',');
	if (lookup->key.exact.len > 0)
		str_append_json(json, lookup->key.exact);
	else
		str_append_text(json, "null");
	str_append_char(json, ',');
	str_append_i64(json, lookup->now);
	str_append_char(json, ']');
}

static uint32_t
seconds_of(const struct db_rows *rows, size_t row, enum column column)
{
	uint64_t seconds = db_rows_is_null(rows, row, column)
				   ? 0
				   : db_rows_u64(rows, row, column);

	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static struct triplet_view
view_of_row(const struct lookup *lookup, const struct db_rows *rows, size_t i)
{
	struct triplet_view view = {
		.group.checked_at = lookup->asked_at,
		.group.passed_until = seconds_of(rows, i, COLUMN_GROUP_UNTIL),
		.exact.checked_at = lookup->asked_at,
		.exact.passed_until = seconds_of(rows, i, COLUMN_EXACT_UNTIL),
		.row.checked_at = lookup->asked_at,
		.row.first_seen = seconds_of(rows, i, COLUMN_FIRST_SEEN),
		.row.blocked_until = seconds_of(rows, i, COLUMN_BLOCKED_UNTIL),
		.row.expires = seconds_of(rows, i, COLUMN_EXPIRES),
		.row.blocked_count = seconds_of(rows, i, COLUMN_BLOCKED_COUNT),
		.row.has_passed = seconds_of(rows, i, COLUMN_PASSED) != 0,
	};
	bool has_group_row = db_rows_u64(rows, i, COLUMN_HAS_GROUP_ROW) != 0;

	view.is_exact_row = !has_group_row &&
			    db_rows_u64(rows, i, COLUMN_HAS_EXACT_ROW) != 0;
	view.has_row = has_group_row || view.is_exact_row;
	return view;
}

/* Takes the waiters off one by one: an answer may make others go away. */
static void
answer_waiters(struct lookup *lookup, const struct triplet_view *view)
{
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(&lookup->waiters)) != NULL) {
		struct fact *fact = waiter->fact;

		TAILQ_REMOVE(&lookup->waiters, waiter, entry);
		if (view != NULL)
			answer(fact, &lookup->key, view);
		else
			answer_without(fact, &lookup->key);
	}
}

static void
finish_lookup(struct lookup *lookup, const struct db_rows *rows, size_t i)
{
	struct triplets *triplets = lookup->triplets;
	struct triplet_view view;

	if (map_get(triplets->asking, triplet_hash_text(&lookup->id)) == lookup)
		map_remove(triplets->asking, triplet_hash_text(&lookup->id));
	if (rows == NULL) {
		answer_waiters(lookup, NULL);
		x_free(lookup);
		return;
	}
	view = view_of_row(lookup, rows, i);
	if (lookup->generation == triplets->generation)
		triplet_remember(triplets, &lookup->key, &view, lookup->now);
	answer_waiters(lookup, &view);
	x_free(lookup);
}

static void
lookups_done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	const struct db_rows *rows = result->rows;

	(void)owner;
	/* Not one row for each key: believe none of them. */
	if (result->status != DB_OK || db_rows_count(rows) != n)
		rows = NULL;
	for (size_t i = 0; i < n; i++)
		finish_lookup((struct lookup *)(void *)items[i], rows, i);
}

static const struct db_batch_ops lookup_ops = {
	.statement = &look_up,
	.encode = encode_lookup,
	.done = lookups_done,
	.max_items = LOOKUP_ITEMS_MAX,
	.max_in_flight = LOOKUPS_IN_FLIGHT,
	.max_waiting = LOOKUPS_MAX,
};

static struct slice
move_text(char **at, struct slice text)
{
	struct slice out = { *at, text.len };

	if (text.len > 0)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return out;
}

static struct lookup *
lookup_new(struct triplets *triplets, const struct triplet_key *key,
	struct hash128 id, int64_t now)
{
	size_t len = key->sender.len + key->recipient.len + key->group.len +
		     key->exact.len;
	struct lookup *lookup = x_calloc(1, sizeof(*lookup) + len);
	char *at = lookup->text;

	lookup->triplets = triplets;
	lookup->key.sender = move_text(&at, key->sender);
	lookup->key.recipient = move_text(&at, key->recipient);
	lookup->key.group = move_text(&at, key->group);
	lookup->key.exact = move_text(&at, key->exact);
	lookup->id = id;
	lookup->now = now;
	lookup->asked_at = triplets_tick();
	lookup->generation = triplets->generation;
	TAILQ_INIT(&lookup->waiters);
	return lookup;
}

/* The look-up under way for key, a new one, or NULL when there are too many. */
static struct lookup *
lookup_join(struct triplets *triplets, const struct triplet_key *key,
	int64_t now)
{
	struct slice parts[] = { key->sender, key->recipient, key->group,
		key->exact };
	struct hash128 id = triplet_hash(parts, 4);
	struct lookup *lookup =
		map_get(triplets->asking, triplet_hash_text(&id));

	if (lookup != NULL)
		return lookup;
	lookup = lookup_new(triplets, key, id, now);
	if (!db_batch_add(triplets->lookups, &lookup->item)) {
		x_free(lookup);
		return NULL;
	}
	map_put(triplets->asking, triplet_hash_text(&id), lookup);
	return lookup;
}

static void
ask(struct fact *fact, const struct triplet_key *key)
{
	const struct request *req = fact->facts->req;
	struct triplets *triplets = fact->facts->sources->triplets;
	struct waiter *waiter;
	struct lookup *lookup = lookup_join(triplets, key, req->now);

	if (lookup == NULL) {
		answer_without(fact, key);
		return;
	}
	waiter = arena_new_object(req->arena, struct waiter);
	waiter->fact = fact;
	waiter->lookup = lookup;
	fact->loader_data = waiter;
	TAILQ_INSERT_TAIL(&lookup->waiters, waiter, entry);
}

static void
load(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	struct triplets *triplets = fact->facts->sources->triplets;
	struct triplet_key key;
	struct db_state db;
	struct triplet_view view;

	if (req->client.family == IP_NONE) {
		fact_unavailable(fact, "the client's address is not known");
		return;
	}
	key = triplet_key(req);
	view = triplet_recall(triplets, &key, req->now);
	if (triplet_view_is_fresh(triplets, &key, &view, req->now)) {
		answer(fact, &key, &view);
		return;
	}
	db_state(triplets->sources->db[CONFIG_DB_IREDAPD], &db);
	if (!db.is_up && triplet_view_is_enough(&view, req->now))
		answer(fact, &key, &view);
	else
		ask(fact, &key);
}

/* The look-up goes on: its answer is remembered. */
static void
cancel(struct fact *fact)
{
	struct waiter *waiter = fact->loader_data;

	TAILQ_REMOVE(&waiter->lookup->waiters, waiter, entry);
}

static void
describe_row(const struct triplet *triplet, struct str *json)
{
	str_printf(json,
		",\"has_passed\":%s,\"first_seen\":%lld,"
		"\"blocked_until\":%lld,\"expires\":%lld,"
		"\"blocked_count\":%llu",
		triplet->has_passed ? "true" : "false",
		(long long)triplet->first_seen,
		(long long)triplet->blocked_until, (long long)triplet->expires,
		(unsigned long long)triplet->blocked_count);
}

static void
describe(const void *value, struct str *json)
{
	const struct triplet *triplet = value;

	str_append_text(json, "{\"sender\":");
	str_append_json(json, triplet->sender);
	str_append_text(json, ",\"recipient\":");
	str_append_json(json, triplet->recipient);
	str_append_text(json, ",\"client\":");
	str_append_json(json, triplet->client);
	if (triplet->client_has_passed)
		str_printf(json,
			",\"client_has_passed\":true,"
			"\"client_passed_until\":%lld",
			(long long)triplet->client_passed_until);
	else
		str_printf(json, ",\"client_has_passed\":false,\"is_known\":%s",
			triplet->is_known ? "true" : "false");
	if (triplet->is_known)
		describe_row(triplet, json);
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_triplet = {
	.id = FACT_TRIPLET,
	.name = "triplet",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_triplet(struct facts *facts, const struct triplet **out)
{
	const void *value;

	if (!fact_ask(facts, &fact_kind_triplet, &value))
		return false;
	*out = value;
	return true;
}

/* The store. */

struct triplets *
triplets_new(struct sources *sources)
{
	struct triplets *triplets = x_new(struct triplets);

	triplets->sources = sources;
	triplets->asking = map_new();
	triplets->lookups = db_batch_new(sources->db[CONFIG_DB_IREDAPD],
		&lookup_ops, triplets);
	triplet_memory_make(triplets);
	triplet_writes_open(triplets);
	return triplets;
}

void
triplets_free(struct triplets *triplets)
{
	if (triplets == NULL)
		return;
	db_batch_free(triplets->lookups);
	triplet_writes_close(triplets);
	map_free(triplets->asking, NULL);
	triplet_memory_free(triplets);
	x_free(triplets);
}

void
triplets_forget(struct triplets *triplets)
{
	cache_clear(triplets->clients);
	cache_clear(triplets->rows);
	/* What is under way answers those who asked, but nobody after. */
	triplets->generation++;
	map_free(triplets->asking, NULL);
	triplets->asking = map_new();
}

void
triplets_state(const struct triplets *triplets, struct triplets_state *out)
{
	out->n_triplets = cache_count(triplets->rows);
	out->n_clients = cache_count(triplets->clients);
	out->size_bytes = cache_size_bytes(triplets->rows) +
			  cache_size_bytes(triplets->clients);
	out->n_waiting_writes = triplets->writes.n_waiting;
}
