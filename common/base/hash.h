#ifndef COMMON_BASE_HASH_H
#define COMMON_BASE_HASH_H

/*
 * Keyed hashing (SipHash-2-4, Aumasson and Bernstein 2012), so that nobody
 * outside can choose keys that collide. The key is drawn once per process
 * from getrandom(2).
 */

#include <stdint.h>

#include "common/base/str.h"

struct hash128 {
	uint64_t lo, hi;
};

uint64_t hash_u64(struct slice bytes);
/* Wide enough to stand for the bytes themselves as a key in a cache. */
struct hash128 hash_u128(struct slice bytes);
/* SipHash-2-4 with a given key, for the published test vectors. */
uint64_t hash_siphash(uint64_t k0, uint64_t k1, struct slice bytes);

#endif
