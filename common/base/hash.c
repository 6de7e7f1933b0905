#include "common/base/hash.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <sys/random.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t process_key[2];

/* Before main(), so that hashing needs neither a check nor a lock. */
__attribute__((constructor)) static void
draw_process_key(void)
{
	ssize_t n = getrandom(process_key, sizeof(process_key), 0);

	assert(n == (ssize_t)sizeof(process_key));
}

static inline uint64_t
rotate_left(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 = rotate_left(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v2 = rotate_left(s->v2, 32);
}

static inline void
sip_absorb(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t
sip_squeeze(struct sip *s)
{
	for (unsigned i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline struct sip
sip_start(uint64_t k0, uint64_t k1)
{
	/* The ASCII bytes of "somepseudorandomlygeneratedbytes". */
	return (struct sip){
		.v0 = k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = k1 ^ UINT64_C(0x7465646279746573),
	};
}

/* All words of the message and the last one, which carries its length. */
static inline void
sip_absorb_all(struct sip *s, struct slice bytes)
{
	uint64_t word, last = (uint64_t)bytes.len << 56;
	size_t at = 0;

	for (; bytes.len - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, bytes.ptr + at, sizeof(word));
		sip_absorb(s, le64toh(word));
	}
	for (unsigned shift = 0; at < bytes.len; at++, shift += 8)
		last |= (uint64_t)(unsigned char)bytes.ptr[at] << shift;
	sip_absorb(s, last);
}

uint64_t
hash_siphash(uint64_t k0, uint64_t k1, struct slice bytes)
{
	struct sip s = sip_start(k0, k1);

	sip_absorb_all(&s, bytes);
	s.v2 ^= 0xff;
	return sip_squeeze(&s);
}

uint64_t
hash_u64(struct slice bytes)
{
	return hash_siphash(process_key[0], process_key[1], bytes);
}

struct hash128
hash_u128(struct slice bytes)
{
	struct sip s = sip_start(process_key[0], process_key[1]);
	struct hash128 hash;

	/* The constants set the wide variant apart from the narrow one. */
	s.v1 ^= 0xee;
	sip_absorb_all(&s, bytes);
	s.v2 ^= 0xee;
	hash.lo = sip_squeeze(&s);
	s.v1 ^= 0xdd;
	hash.hi = sip_squeeze(&s);
	return hash;
}
