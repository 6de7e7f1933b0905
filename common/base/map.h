#ifndef COMMON_BASE_MAP_H
#define COMMON_BASE_MAP_H

/*
 * A growing hash table from text to a pointer. Keys are copied into the map,
 * values belong to the caller. Used for tables that were read as a whole and
 * for registries; what the network can fill uses cache.h, which is bounded.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct map;

struct map *map_new(void);
/* free_value may be NULL; it is called for every value left. */
void map_free(struct map *map, void (*free_value)(void *));
/* Puts value (not NULL) under key; returns the value it replaced, or NULL. */
void *map_put(struct map *map, struct slice key, void *value);
void *map_get(const struct map *map, struct slice key);
/* Removes the key and returns its value, or NULL. */
void *map_remove(struct map *map, struct slice key);
size_t map_count(const struct map *map);
/*
 * Walks all entries in no order: start with *at = 0; returns false at the
 * end. The map must not change meanwhile.
 */
bool map_next(const struct map *map, size_t *at, struct slice *key,
	void **value);
/* Bytes held by the map itself, for status. */
size_t map_size_bytes(const struct map *map);

#endif
