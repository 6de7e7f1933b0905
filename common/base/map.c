#include "common/base/map.h"

#include <assert.h>

#include "common/base/hash.h"
#include "common/base/mem.h"

#define SLOTS_MIN 16

/*
 * Open addressing with linear probing. A removal moves the entries behind it
 * up, so there are no tombstones and a probe ends at the first free slot.
 */
struct slot {
	uint64_t hash;
	struct slice key; /* owned, NUL-terminated */
	void *value;      /* NULL: the slot is free */
};

struct map {
	struct slot *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t count;
	size_t key_bytes;
};

struct map *
map_new(void)
{
	return x_new(struct map);
}

void
map_free(struct map *map, void (*free_value)(void *))
{
	if (!map)
		return;
	for (size_t i = 0; i < map->n_slots; i++) {
		if (!map->slots[i].value)
			continue;
		if (free_value)
			free_value(map->slots[i].value);
		x_free((char *)(uintptr_t)map->slots[i].key.ptr);
	}
	x_free(map->slots);
	x_free(map);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t
probe(const struct map *map, uint64_t hash, struct slice key)
{
	size_t mask = map->n_slots - 1, i = hash & mask;
	const struct slot *slot;

	for (;; i = (i + 1) & mask) {
		slot = &map->slots[i];
		if (!slot->value ||
			(slot->hash == hash && slice_eq(slot->key, key)))
			return i;
	}
}

static void
grow(struct map *map)
{
	struct slot *old = map->slots;
	size_t n_old = map->n_slots, mask, i;

	map->n_slots = n_old > 0 ? n_old * 2 : SLOTS_MIN;
	map->slots = x_new_array(map->n_slots, struct slot);
	mask = map->n_slots - 1;
	for (size_t from = 0; from < n_old; from++) {
		if (!old[from].value)
			continue;
		i = old[from].hash & mask;
		while (map->slots[i].value)
			i = (i + 1) & mask;
		map->slots[i] = old[from];
	}
	x_free(old);
}

void *
map_put(struct map *map, struct slice key, void *value)
{
	uint64_t hash = hash_u64(key);
	struct slot *slot;
	void *replaced;

	assert(value);
	if (map->count >= map->n_slots / 4 * 3)
		grow(map);
	slot = &map->slots[probe(map, hash, key)];
	replaced = slot->value;
	slot->value = value;
	if (replaced)
		return replaced;
	slot->hash = hash;
	slot->key = (struct slice){ slice_strdup(key), key.len };
	map->count++;
	map->key_bytes += key.len + 1;
	return NULL;
}

void *
map_get(const struct map *map, struct slice key)
{
	if (map->count == 0)
		return NULL;
	return map->slots[probe(map, hash_u64(key), key)].value;
}

/* Moves the entries behind a hole up to where a probe still finds them. */
static void
close_hole(struct map *map, size_t hole)
{
	size_t mask = map->n_slots - 1, i = hole, home;

	for (;;) {
		i = (i + 1) & mask;
		if (!map->slots[i].value)
			break;
		home = map->slots[i].hash & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->slots[hole] = map->slots[i];
		hole = i;
	}
	map->slots[hole].value = NULL;
}

void *
map_remove(struct map *map, struct slice key)
{
	struct slot *slot;
	void *value;

	if (map->count == 0)
		return NULL;
	slot = &map->slots[probe(map, hash_u64(key), key)];
	value = slot->value;
	if (!value)
		return NULL;
	map->count--;
	map->key_bytes -= slot->key.len + 1;
	x_free((char *)(uintptr_t)slot->key.ptr);
	close_hole(map, (size_t)(slot - map->slots));
	return value;
}

size_t
map_count(const struct map *map)
{
	return map->count;
}

bool
map_next(const struct map *map, size_t *at, struct slice *key, void **value)
{
	const struct slot *slot;

	while (*at < map->n_slots) {
		slot = &map->slots[(*at)++];
		if (!slot->value)
			continue;
		*key = slot->key;
		*value = slot->value;
		return true;
	}
	return false;
}

size_t
map_size_bytes(const struct map *map)
{
	return sizeof(*map) + map->n_slots * sizeof(struct slot) +
	       map->key_bytes;
}
