#ifndef COMMON_BASE_LRU_H
#define COMMON_BASE_LRU_H

/*
 * A bounded table from text to a pointer: beyond its bound the value goes that
 * was not asked for longest. For values that are something to be freed, or
 * counted; cache.h holds small ones by themselves.
 */

#include <stddef.h>

#include "common/base/str.h"

struct lru;

/* free_value is called for each value that goes, whyever it does. */
struct lru *lru_new(size_t max_entries, void (*free_value)(void *value));
/* Accepts NULL. */
void lru_free(struct lru *lru);
/* The value, or NULL. It is the last to go then. */
void *lru_get(struct lru *lru, struct slice key);
/* Puts value (not NULL) under key, in place of one that was there. */
void lru_put(struct lru *lru, struct slice key, void *value);
/* The value that would go next, or NULL; it stays where it is. */
void *lru_oldest(const struct lru *lru);
void lru_remove_oldest(struct lru *lru);
size_t lru_count(const struct lru *lru);

#endif
