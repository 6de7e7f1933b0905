#include "policyd/facts/spf_memory.h"

#include <string.h>

#include "common/base/cache.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/public_suffix.h"

/* A zone may say that its records live for 68 years. */
#define TTL_MAX_S 86400u
#define SECOND_US 1000000
#define KEY_MAX   1200u /* an address and four parts of 255 bytes */
#define TEXT_MAX  128u
#define TEXTS_MAX (2u * TEXT_MAX + SPF_EXPLANATION_MAX)

enum text { TEXT_MATCHED, TEXT_EXPLANATION, TEXT_PROBLEM, TEXT_COUNT };

struct entry {
	int64_t expires_us;
	uint8_t result;
	uint8_t len[TEXT_COUNT];
	char texts[TEXTS_MAX];
};

struct spf_memory {
	struct cache *entries;
	struct public_suffixes *suffixes;
};

struct spf_memory *
spf_memory_new(size_t entries_max)
{
	struct spf_memory *memory = x_new(struct spf_memory);

	memory->entries = cache_new(sizeof(struct entry), entries_max);
	memory->suffixes = public_suffixes_new();
	return memory;
}

void
spf_memory_free(struct spf_memory *memory)
{
	if (memory == NULL)
		return;
	cache_free(memory->entries);
	public_suffixes_free(memory->suffixes);
	x_free(memory);
}

size_t
spf_memory_count(const struct spf_memory *memory)
{
	return cache_count(memory->entries);
}

struct slice
spf_memory_payer(const struct spf_memory *memory, struct slice domain)
{
	return public_suffixes_registrable(memory->suffixes, domain);
}

/* --- keys --------------------------------------------------------------- */

/* A key that is put together; what does not fit makes it no key. */
struct key {
	char bytes[KEY_MAX];
	size_t len;
	bool is_cut;
};

static void
append_part(struct key *key, struct slice part)
{
	if (part.len >= KEY_MAX - key->len) {
		key->is_cut = true;
		return;
	}
	if (part.len > 0)
		memcpy(key->bytes + key->len, part.ptr, part.len);
	key->len += part.len;
	key->bytes[key->len++] = '\0';
}

/* False: too long to be told from others. */
static bool
make_key(const struct spf_input *input, bool with_local, struct hash128 *out)
{
	char client[IP_TEXT_MAX];
	struct key key;

	key.len = 0;
	key.is_cut = false;
	append_part(&key, slice_of(ip_format(&input->client, client)));
	append_part(&key, input->helo);
	append_part(&key, input->domain);
	if (with_local)
		append_part(&key, input->local);
	*out = hash_u128((struct slice){ key.bytes, key.len });
	return !key.is_cut;
}

/* --- entries ------------------------------------------------------------ */

static const struct entry *
find(struct spf_memory *memory, const struct spf_input *input, bool with_local)
{
	const struct entry *entry;
	struct hash128 key;

	if (!make_key(input, with_local, &key))
		return NULL;
	entry = cache_get(memory->entries, key);
	if (entry == NULL || entry->expires_us > clock_monotonic_us())
		return entry;
	cache_remove(memory->entries, key);
	return NULL;
}

static struct slice
take_text(struct arena *arena, const struct entry *entry, enum text which)
{
	size_t at = 0;

	for (size_t i = 0; i < which; i++)
		at += entry->len[i];
	return slice_copy(arena,
		(struct slice){ entry->texts + at, entry->len[which] });
}

bool
spf_memory_get(struct spf_memory *memory, struct arena *arena,
	const struct spf_input *input, struct spf_fact *out)
{
	const struct entry *entry = find(memory, input, false);

	if (entry == NULL)
		entry = find(memory, input, true);
	if (entry == NULL)
		return false;
	memset(out, 0, sizeof(*out));
	out->result = (enum spf_result)entry->result;
	out->domain = input->domain;
	out->matched = take_text(arena, entry, TEXT_MATCHED);
	out->explanation = take_text(arena, entry, TEXT_EXPLANATION);
	out->problem = take_text(arena, entry, TEXT_PROBLEM);
	out->is_from_memory = true;
	return true;
}

static void
put_text(struct entry *entry, size_t *at, enum text which, struct slice text)
{
	const size_t max =
		which == TEXT_EXPLANATION ? SPF_EXPLANATION_MAX : TEXT_MAX;

	text = slice_part(text, 0, max);
	if (text.len > 0)
		memcpy(entry->texts + *at, text.ptr, text.len);
	entry->len[which] = (uint8_t)text.len;
	*at += text.len;
}

void
spf_memory_put(struct spf_memory *memory, const struct spf_input *input,
	const struct spf_outcome *outcome)
{
	const uint32_t ttl =
		outcome->ttl < TTL_MAX_S ? outcome->ttl : TTL_MAX_S;
	struct entry *entry;
	struct hash128 key;
	size_t at = 0;

	if (ttl == 0 || !make_key(input, outcome->depends_on_local, &key))
		return;
	entry = cache_put(memory->entries, key, NULL);
	entry->expires_us = clock_monotonic_us() + (int64_t)ttl * SECOND_US;
	entry->result = (uint8_t)outcome->result;
	put_text(entry, &at, TEXT_MATCHED, outcome->matched);
	put_text(entry, &at, TEXT_EXPLANATION, outcome->explanation);
	put_text(entry, &at, TEXT_PROBLEM, outcome->problem);
}
