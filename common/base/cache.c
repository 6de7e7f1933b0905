#include "common/base/cache.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

#define SLOTS_MIN       64
#define MAX_ENTRIES_MAX (UINT32_C(1) << 30)
/* Slots of the smaller table that are emptied with each cache_put(). */
#define MOVES_PER_PUT 16
/*
 * Slots that are looked at to find a victim. When all of them were used
 * lately the next one goes, so that a put takes a bounded time.
 */
#define EVICTION_STEPS_MAX 64
/* 2^32 divided by the golden ratio, made odd. */
#define HAND_JUMP UINT32_C(0x9e3779b1)

/*
 * The state of a slot takes the place of the two low bits of its key: the
 * other 126 identify an entry well enough, and a slot is as small as can be.
 */
enum state {
	STATE_FREE, /* a probe ends here; zeroed memory is free */
	STATE_USED,
	STATE_RECENT, /* used, and asked for since the hand passed */
	STATE_MOVED   /* only in the old table: a probe goes on */
};

#define STATE_MASK UINT64_C(3)

struct table {
	char *slots; /* NULL: there is no table */
	size_t n_slots;
};

/*
 * Linear probing; a removal moves the entries behind it up. A full table is
 * not copied at once, which would hold up the loop: the entries of the old
 * one move over a few at each put.
 */
struct cache {
	struct table now;
	struct table old;
	size_t moved;  /* slots of old that are done with */
	uint32_t hand; /* of the CLOCK, as a fraction of now */
	size_t count;  /* in both */
	size_t value_size;
	size_t slot_size;
	size_t max_entries;
	size_t max_slots;
	uint64_t evicted;
};

static inline struct hash128 *
key_at(const struct cache *cache, const struct table *table, size_t i)
{
	return (struct hash128 *)(void *)(table->slots + i * cache->slot_size);
}

static inline void *
value_of(struct hash128 *key)
{
	return key + 1;
}

static inline enum state
state_of(const struct hash128 *key)
{
	return (enum state)(key->hi & STATE_MASK);
}

static inline void
set_state(struct hash128 *key, enum state state)
{
	key->hi = (key->hi & ~STATE_MASK) | state;
}

static inline bool
is_same(const struct hash128 *a, const struct hash128 *b)
{
	return a->lo == b->lo && (a->hi | STATE_MASK) == (b->hi | STATE_MASK);
}

/* Maps a 32-bit fraction onto n slots, whatever their number is. */
static inline size_t
scale(uint64_t fraction, size_t n)
{
	return (size_t)(fraction * n >> 32);
}

static inline size_t
home_of(const struct table *table, const struct hash128 *key)
{
	return scale(key->lo >> 32, table->n_slots);
}

static inline size_t
next_slot(const struct table *table, size_t i)
{
	return i + 1 < table->n_slots ? i + 1 : 0;
}

/* The slot that holds the key, or the free one where it would go. */
static size_t
probe(const struct cache *cache, const struct table *table,
	const struct hash128 *key)
{
	size_t i = home_of(table, key);
	const struct hash128 *slot;

	for (;; i = next_slot(table, i)) {
		slot = key_at(cache, table, i);
		if (state_of(slot) == STATE_FREE)
			return i;
		if (state_of(slot) != STATE_MOVED && is_same(slot, key))
			return i;
	}
}

static struct hash128 *
find_in(const struct cache *cache, const struct table *table,
	const struct hash128 *key)
{
	struct hash128 *slot;

	if (!table->slots)
		return NULL;
	slot = key_at(cache, table, probe(cache, table, key));
	return state_of(slot) == STATE_FREE ? NULL : slot;
}

static struct hash128 *
find(const struct cache *cache, const struct hash128 *key)
{
	struct hash128 *slot = find_in(cache, &cache->now, key);

	return slot ? slot : find_in(cache, &cache->old, key);
}

static void
table_make(struct table *table, const struct cache *cache, size_t n_slots)
{
	table->slots = x_calloc(n_slots, cache->slot_size);
	table->n_slots = n_slots;
}

static void
table_drop(struct table *table)
{
	x_free(table->slots);
	*table = (struct table){ NULL, 0 };
}

/* Sizes are halves of the largest one: each growth doubles exactly. */
static size_t
first_size(const struct cache *cache)
{
	size_t n_slots = cache->max_slots;

	while (n_slots / 2 >= SLOTS_MIN)
		n_slots /= 2;
	return n_slots;
}

static size_t
size_after(const struct cache *cache, size_t n_slots)
{
	size_t next = cache->max_slots;

	while (next / 2 > n_slots)
		next /= 2;
	return next;
}

struct cache *
cache_new(size_t value_size, size_t max_entries)
{
	struct cache *cache = x_new(struct cache);

	assert(max_entries > 0 && max_entries <= MAX_ENTRIES_MAX);
	cache->value_size = value_size;
	cache->slot_size = (sizeof(struct hash128) + value_size + 7) & ~7UL;
	cache->max_entries = max_entries;
	/* Three quarters full at most, and always a free slot. */
	cache->max_slots = max_entries + max_entries / 3 + 1;
	table_make(&cache->now, cache, first_size(cache));
	return cache;
}

void
cache_free(struct cache *cache)
{
	if (!cache)
		return;
	table_drop(&cache->now);
	table_drop(&cache->old);
	x_free(cache);
}

void *
cache_get(struct cache *cache, struct hash128 key)
{
	struct hash128 *slot = find(cache, &key);

	if (!slot)
		return NULL;
	set_state(slot, STATE_RECENT);
	return value_of(slot);
}

/* Moves the entries behind a hole up to where a probe still finds them. */
static void
close_hole(struct cache *cache, size_t hole)
{
	const struct table *now = &cache->now;
	size_t i = hole, home;

	for (;;) {
		i = next_slot(now, i);
		if (state_of(key_at(cache, now, i)) == STATE_FREE)
			break;
		home = home_of(now, key_at(cache, now, i));
		/* It stays when its home lies cyclically in (hole, i]. */
		if (hole < i ? home > hole && home <= i
			     : home > hole || home <= i)
			continue;
		memcpy(key_at(cache, now, hole), key_at(cache, now, i),
			cache->slot_size);
		hole = i;
	}
	set_state(key_at(cache, now, hole), STATE_FREE);
}

static void
move_some(struct cache *cache)
{
	struct table *old = &cache->old;
	struct hash128 *from;

	if (!old->slots)
		return;
	for (unsigned n = 0; n < MOVES_PER_PUT; n++) {
		if (cache->moved == old->n_slots) {
			table_drop(old);
			return;
		}
		from = key_at(cache, old, cache->moved++);
		if (state_of(from) == STATE_FREE ||
			state_of(from) == STATE_MOVED)
			continue;
		memcpy(key_at(cache, &cache->now,
			       probe(cache, &cache->now, from)),
			from, cache->slot_size);
		set_state(from, STATE_MOVED);
	}
}

static void
grow(struct cache *cache)
{
	size_t n_slots = cache->now.n_slots;

	/* MOVES_PER_PUT empties the old table long before the new is full. */
	assert(!cache->old.slots);
	cache->old = cache->now;
	cache->moved = 0;
	table_make(&cache->now, cache, size_after(cache, n_slots));
}

/*
 * The hand jumps by the golden section, so that it comes to all parts of the
 * table equally often. If it went round slot by slot, the entries would crowd
 * before it and make the probes there long.
 */
static void
evict_one(struct cache *cache)
{
	struct hash128 *slot;
	unsigned steps = 0;
	size_t i;

	cache->hand += HAND_JUMP;
	i = scale(cache->hand, cache->now.n_slots);
	for (;; i = next_slot(&cache->now, i)) {
		slot = key_at(cache, &cache->now, i);
		if (state_of(slot) == STATE_FREE)
			continue;
		if (state_of(slot) == STATE_USED ||
			++steps > EVICTION_STEPS_MAX)
			break;
		set_state(slot, STATE_USED);
	}
	close_hole(cache, i);
	cache->count--;
	cache->evicted++;
}

static void
make_room(struct cache *cache)
{
	if (cache->count == cache->max_entries)
		evict_one(cache);
	else if (cache->now.n_slots < cache->max_slots &&
		 cache->count >= cache->now.n_slots / 4 * 3)
		grow(cache);
}

void *
cache_put(struct cache *cache, struct hash128 key, bool *is_new)
{
	struct hash128 *slot;

	move_some(cache);
	slot = find(cache, &key);
	if (is_new)
		*is_new = !slot;
	if (!slot) {
		make_room(cache);
		slot = key_at(cache, &cache->now,
			probe(cache, &cache->now, &key));
		*slot = key;
		memset(value_of(slot), 0, cache->value_size);
		cache->count++;
	}
	set_state(slot, STATE_RECENT);
	return value_of(slot);
}

void
cache_remove(struct cache *cache, struct hash128 key)
{
	struct hash128 *slot = find_in(cache, &cache->now, &key);

	if (slot) {
		close_hole(cache, probe(cache, &cache->now, &key));
	} else {
		slot = find_in(cache, &cache->old, &key);
		if (!slot)
			return;
		set_state(slot, STATE_MOVED);
	}
	cache->count--;
}

void
cache_clear(struct cache *cache)
{
	table_drop(&cache->now);
	table_drop(&cache->old);
	table_make(&cache->now, cache, first_size(cache));
	cache->count = 0;
}

size_t
cache_count(const struct cache *cache)
{
	return cache->count;
}

size_t
cache_size_bytes(const struct cache *cache)
{
	return sizeof(*cache) +
	       (cache->now.n_slots + cache->old.n_slots) * cache->slot_size;
}

uint64_t
cache_evicted(const struct cache *cache)
{
	return cache->evicted;
}
