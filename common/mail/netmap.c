#include "common/mail/netmap.h"

#include <assert.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"

#define PREFIXES_MAX 129 /* /0 to /128 */
#define SLOTS_MIN    16

struct entry {
	struct network network;
	void *value; /* NULL: a free slot */
};

/* The prefix lengths that occur in one family, longest first. */
struct lengths {
	uint8_t items[PREFIXES_MAX];
	size_t n;
};

/*
 * One table with open addressing for all networks; the prefix length is part
 * of the key. It is at most two thirds full, and nothing is ever taken out.
 */
struct netmap {
	struct entry *slots;
	size_t n_slots; /* a power of two */
	size_t count;
	struct lengths lengths[IP_V6 + 1];
};

struct netmap *
netmap_new(void)
{
	struct netmap *map = x_new(struct netmap);

	map->n_slots = SLOTS_MIN;
	map->slots = x_new_array(map->n_slots, struct entry);
	return map;
}

void
netmap_free(struct netmap *map, void (*free_value)(void *))
{
	if (map == NULL)
		return;
	for (size_t i = 0; i < map->n_slots && free_value != NULL; i++) {
		if (map->slots[i].value != NULL)
			free_value(map->slots[i].value);
	}
	x_free(map->slots);
	x_free(map);
}

static bool
network_eq(const struct network *a, const struct network *b)
{
	return a->prefix_length == b->prefix_length &&
	       ip_eq(&a->address, &b->address);
}

/* The network's slot, or the free slot where it belongs. */
static struct entry *
find_slot(const struct netmap *map, const struct network *network)
{
	size_t n_bytes = ip_bits(&network->address) / 8;
	char key[2 + sizeof(network->address.bytes)];

	key[0] = (char)network->address.family;
	key[1] = (char)network->prefix_length;
	memcpy(key + 2, network->address.bytes, n_bytes);

	uint64_t at = hash_u64((struct slice){ key, 2 + n_bytes });
	for (;; at++) {
		struct entry *slot = &map->slots[at & (map->n_slots - 1)];

		if (slot->value == NULL || network_eq(&slot->network, network))
			return slot;
	}
}

static void
grow(struct netmap *map)
{
	struct entry *old = map->slots;
	size_t n_old = map->n_slots;

	map->n_slots = n_old * 2;
	map->slots = x_new_array(map->n_slots, struct entry);
	for (size_t i = 0; i < n_old; i++) {
		if (old[i].value != NULL)
			*find_slot(map, &old[i].network) = old[i];
	}
	x_free(old);
}

static void
remember_length(struct lengths *lengths, unsigned prefix_length)
{
	size_t at = 0;

	while (at < lengths->n && lengths->items[at] > prefix_length)
		at++;
	if (at < lengths->n && lengths->items[at] == prefix_length)
		return;
	memmove(lengths->items + at + 1, lengths->items + at, lengths->n - at);
	lengths->items[at] = (uint8_t)prefix_length;
	lengths->n++;
}

void *
netmap_put(struct netmap *map, const struct network *network, void *value)
{
	assert(value != NULL);
	assert(network->address.family != IP_NONE);
	assert(network->prefix_length <= ip_bits(&network->address));

	struct entry *slot = find_slot(map, network);
	void *before = slot->value;
	if (before != NULL) {
		slot->value = value;
		return before;
	}
	if ((map->count + 1) * 3 > map->n_slots * 2) {
		grow(map);
		slot = find_slot(map, network);
	}
	*slot = (struct entry){ *network, value };
	map->count++;
	remember_length(&map->lengths[network->address.family],
		network->prefix_length);
	return NULL;
}

void *
netmap_get(const struct netmap *map, const struct ip *ip)
{
	size_t at = 0;

	return netmap_next(map, ip, &at);
}

void *
netmap_get_exact(const struct netmap *map, const struct network *network)
{
	if (network->address.family == IP_NONE)
		return NULL;
	return find_slot(map, network)->value;
}

void *
netmap_next(const struct netmap *map, const struct ip *ip, size_t *at)
{
	const struct lengths *lengths = &map->lengths[ip->family];

	while (*at < lengths->n) {
		struct network network =
			network_of(ip, lengths->items[(*at)++]);
		void *value = find_slot(map, &network)->value;

		if (value != NULL)
			return value;
	}
	return NULL;
}

size_t
netmap_count(const struct netmap *map)
{
	return map->count;
}
