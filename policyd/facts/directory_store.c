/*
 * The memory in front of vmail, and the batches behind it. Everybody who asks
 * the same while the answer is under way waits for one look-up.
 */

#include "policyd/facts/directory_store.h"

#include <string.h>

#include "common/base/cache.h"
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "policyd/request.h"

/* Keys in one statement, and statements under way, of each question. */
#define LOOKUP_ITEMS_MAX  256
#define LOOKUPS_IN_FLIGHT 2
/* Questions waiting for a connection: more are answered "unavailable". */
#define LOOKUPS_MAX 50000

#define US_PER_MS 1000

static const char no_answer[] = "the accounts in vmail could not be read";

struct memory {
	union directory_answer answer;
	int64_t asked_us; /* clock_monotonic_us() */
};

/* The batch of one question. */
struct desk {
	struct directory *directory;
	const struct directory_statement *statement;
	struct db_batch *batch;
	struct db_batch_ops ops;
};

struct directory {
	struct sources *sources;
	struct cache *memory;
	struct map *asking; /* key -> struct lookup, for single flight */
	struct desk desks[DIRECTORY_QUESTIONS];
};

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct fact *fact;
	struct lookup *lookup;
};

struct lookup {
	struct db_item item;
	struct hash128 id;
	union directory_answer answer;
	int64_t asked_us;
	TAILQ_HEAD(, waiter) waiters;
	size_t key_len;
	char key[];
};

/* --- memory ------------------------------------------------------------- */

/* Of the question too: the same key may be one of both. */
static struct hash128
identify(enum directory_question question, struct slice key)
{
	struct hash128 id = hash_u128(key);

	id.lo ^= (uint64_t)question;
	return id;
}

static struct slice
id_text(const struct hash128 *id)
{
	return (struct slice){ (const char *)(const void *)id, sizeof(*id) };
}

static bool
is_fresh(const struct directory *directory, const struct memory *memory)
{
	const uint64_t ttl_ms =
		directory->sources->config->database.table_ttl_ms;

	return clock_monotonic_us() - memory->asked_us <
	       (int64_t)ttl_ms * US_PER_MS;
}

static bool
is_away(const struct directory *directory)
{
	struct db_state state;

	db_state(directory->sources->db[CONFIG_DB_VMAIL], &state);
	return !state.is_up;
}

/* --- answers ------------------------------------------------------------ */

static void
answer(struct fact *fact, const union directory_answer *found)
{
	union directory_answer *out = arena_new_object(fact->facts->req->arena,
		union directory_answer);

	*out = *found;
	fact_known(fact, out);
}

/* What memory holds, however old, is the best there is. */
static void
answer_without(const struct directory *directory, struct hash128 id,
	struct fact *fact)
{
	const struct memory *memory = cache_get(directory->memory, id);

	if (memory != NULL)
		answer(fact, &memory->answer);
	else
		fact_unavailable(fact, no_answer);
}

/* Takes the waiters off one by one: an answer may make others go away. */
static void
answer_waiters(struct directory *directory, struct lookup *lookup,
	bool is_answered)
{
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(&lookup->waiters)) != NULL) {
		TAILQ_REMOVE(&lookup->waiters, waiter, entry);
		if (is_answered)
			answer(waiter->fact, &lookup->answer);
		else
			answer_without(directory, lookup->id, waiter->fact);
	}
}

static void
finish_lookup(struct directory *directory, struct lookup *lookup,
	bool is_answered)
{
	struct memory *memory;

	map_remove(directory->asking, id_text(&lookup->id));
	if (is_answered) {
		memory = cache_put(directory->memory, lookup->id, NULL);
		memory->answer = lookup->answer;
		memory->asked_us = lookup->asked_us;
	}
	answer_waiters(directory, lookup, is_answered);
	x_free(lookup);
}

/* --- look-ups ----------------------------------------------------------- */

static void
encode(const struct db_item *item, struct str *json)
{
	const struct lookup *lookup = (const struct lookup *)(const void *)item;

	str_append(json, lookup->key, lookup->key_len);
}

static struct lookup *
lookup_of(struct db_item *item)
{
	return (struct lookup *)(void *)item;
}

/* False when a row is of no item: then none is believed. */
static bool
add_rows(const struct desk *desk, struct db_item **items, size_t n,
	const struct db_rows *rows)
{
	for (size_t row = 0; row < db_rows_count(rows); row++) {
		const uint64_t at = db_rows_u64(rows, row, 0);

		if (at < 1 || at > n)
			return false;
		desk->statement->add(&lookup_of(items[at - 1])->answer, rows,
			row);
	}
	return true;
}

static void
done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct desk *desk = owner;
	const bool is_answered = result->status == DB_OK &&
				 add_rows(desk, items, n, result->rows);

	for (size_t i = 0; i < n; i++)
		finish_lookup(desk->directory, lookup_of(items[i]),
			is_answered);
}

static struct lookup *
lookup_new(struct slice key, struct hash128 id)
{
	struct lookup *lookup = x_calloc(1, sizeof(*lookup) + key.len);

	memcpy(lookup->key, key.ptr, key.len);
	lookup->key_len = key.len;
	lookup->id = id;
	lookup->asked_us = clock_monotonic_us();
	TAILQ_INIT(&lookup->waiters);
	return lookup;
}

/* The look-up under way, a new one, or NULL when there are too many. */
static struct lookup *
lookup_join(struct directory *directory, enum directory_question question,
	struct slice key, struct hash128 id)
{
	struct lookup *lookup = map_get(directory->asking, id_text(&id));

	if (lookup != NULL)
		return lookup;
	lookup = lookup_new(key, id);
	if (!db_batch_add(directory->desks[question].batch, &lookup->item)) {
		x_free(lookup);
		return NULL;
	}
	map_put(directory->asking, id_text(&id), lookup);
	return lookup;
}

void
directory_ask(struct directory *directory, enum directory_question question,
	struct slice key, struct fact *fact)
{
	const struct hash128 id = identify(question, key);
	const struct memory *memory = cache_get(directory->memory, id);
	struct waiter *waiter;
	struct lookup *lookup;

	if (memory != NULL &&
		(is_fresh(directory, memory) || is_away(directory))) {
		answer(fact, &memory->answer);
		return;
	}
	lookup = lookup_join(directory, question, key, id);
	if (lookup == NULL) {
		answer_without(directory, id, fact);
		return;
	}
	waiter = arena_new_object(fact->facts->req->arena, struct waiter);
	waiter->fact = fact;
	waiter->lookup = lookup;
	fact->loader_data = waiter;
	TAILQ_INSERT_TAIL(&lookup->waiters, waiter, entry);
}

/* The look-up goes on: its answer is remembered. */
void
directory_cancel(struct fact *fact)
{
	struct waiter *waiter = fact->loader_data;

	TAILQ_REMOVE(&waiter->lookup->waiters, waiter, entry);
}

/* --- life --------------------------------------------------------------- */

static void
open_desk(struct directory *directory, size_t question)
{
	struct desk *desk = &directory->desks[question];

	desk->directory = directory;
	desk->statement = &directory_statements[question];
	desk->ops = (struct db_batch_ops){
		.statement = desk->statement->statement,
		.encode = encode,
		.done = done,
		.max_items = LOOKUP_ITEMS_MAX,
		.max_in_flight = LOOKUPS_IN_FLIGHT,
		.max_waiting = LOOKUPS_MAX,
	};
	desk->batch = db_batch_new(directory->sources->db[CONFIG_DB_VMAIL],
		&desk->ops, desk);
}

struct directory *
directory_new(struct sources *sources)
{
	struct directory *directory = x_new(struct directory);

	directory->sources = sources;
	directory->memory = cache_new(sizeof(struct memory),
		sources->config->limits.directory);
	directory->asking = map_new();
	for (size_t i = 0; i < DIRECTORY_QUESTIONS; i++)
		open_desk(directory, i);
	return directory;
}

void
directory_free(struct directory *directory)
{
	if (directory == NULL)
		return;
	for (size_t i = 0; i < DIRECTORY_QUESTIONS; i++)
		db_batch_free(directory->desks[i].batch);
	map_free(directory->asking, NULL);
	cache_free(directory->memory);
	x_free(directory);
}

size_t
directory_count(const struct directory *directory)
{
	return cache_count(directory->memory);
}
