#include "common/base/lru.h"

#include <assert.h>

#include "common/base/map.h"
#include "common/base/mem.h"

struct entry {
	struct entry *newer, *older; /* of the ring */
	char *key;
	size_t key_len;
	void *value;
};

struct lru {
	struct map *map;   /* of struct entry */
	struct entry ring; /* its older one is the newest of all */
	size_t max_entries;
	void (*free_value)(void *value);
};

struct lru *
lru_new(size_t max_entries, void (*free_value)(void *value))
{
	struct lru *lru = x_new(struct lru);

	assert(max_entries > 0);
	lru->map = map_new();
	lru->ring.newer = lru->ring.older = &lru->ring;
	lru->max_entries = max_entries;
	lru->free_value = free_value;
	return lru;
}

static struct slice
key_of(const struct entry *entry)
{
	return (struct slice){ entry->key, entry->key_len };
}

static void
take_out(struct entry *entry)
{
	entry->newer->older = entry->older;
	entry->older->newer = entry->newer;
}

static void
put_first(struct lru *lru, struct entry *entry)
{
	entry->newer = &lru->ring;
	entry->older = lru->ring.older;
	entry->older->newer = entry;
	lru->ring.older = entry;
}

void *
lru_get(struct lru *lru, struct slice key)
{
	struct entry *entry = map_get(lru->map, key);

	if (entry == NULL)
		return NULL;
	take_out(entry);
	put_first(lru, entry);
	return entry->value;
}

void
lru_put(struct lru *lru, struct slice key, void *value)
{
	struct entry *entry = map_get(lru->map, key);

	assert(value != NULL);
	if (entry != NULL) {
		take_out(entry);
		lru->free_value(entry->value);
	} else {
		if (map_count(lru->map) == lru->max_entries)
			lru_remove_oldest(lru);
		entry = x_new(struct entry);
		entry->key = slice_strdup(key);
		entry->key_len = key.len;
		(void)map_put(lru->map, key, entry);
	}
	entry->value = value;
	put_first(lru, entry);
}

void *
lru_oldest(const struct lru *lru)
{
	/* The ring itself has no value. */
	return lru->ring.newer->value;
}

void
lru_remove_oldest(struct lru *lru)
{
	struct entry *entry = lru->ring.newer;

	if (entry == &lru->ring)
		return;
	(void)map_remove(lru->map, key_of(entry));
	take_out(entry);
	lru->free_value(entry->value);
	x_free(entry->key);
	x_free(entry);
}

size_t
lru_count(const struct lru *lru)
{
	return map_count(lru->map);
}

void
lru_free(struct lru *lru)
{
	if (lru == NULL)
		return;
	while (lru_count(lru) > 0)
		lru_remove_oldest(lru);
	map_free(lru->map, NULL);
	x_free(lru);
}
