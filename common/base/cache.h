#ifndef COMMON_BASE_CACHE_H
#define COMMON_BASE_CACHE_H

/*
 * A bounded table from a 128-bit hash to a small value of fixed size. It
 * grows by doubling up to max_entries; then an entry that was not asked for
 * lately makes room (CLOCK). Values are copied in; a pointer to a value is
 * valid until the next cache_put() or cache_remove().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash.h"

struct cache;

struct cache *cache_new(size_t value_size, size_t max_entries);
void cache_free(struct cache *cache);
/* The value, or NULL. Marks it as used. */
void *cache_get(struct cache *cache, struct hash128 key);
/*
 * The value under key, made zeroed if there was none; *is_new (may be NULL)
 * tells which.
 */
void *cache_put(struct cache *cache, struct hash128 key, bool *is_new);
void cache_remove(struct cache *cache, struct hash128 key);
void cache_clear(struct cache *cache);
size_t cache_count(const struct cache *cache);
size_t cache_size_bytes(const struct cache *cache);
/* How many entries were pushed out to make room since the start. */
uint64_t cache_evicted(const struct cache *cache);

#endif
