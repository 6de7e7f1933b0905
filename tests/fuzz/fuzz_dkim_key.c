/*
 * A key record that anybody may have published: what it says of itself fits
 * together, a key that could be ours survives being written, and any record
 * can be written as strings for a zone file.
 */

#include "common/mail/dkim_key.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/mail/tag_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct dkim_key *key)
{
	const enum dkim_key_fitness fitness = dkim_key_fitness(key);

	assert(dkim_key_fitness_text(fitness)[0] != '\0');
	assert(key->n_bytes <= DKIM_KEY_BYTES_MAX);
	assert((key->n_bytes > 0) == (key->bits > 0));
	assert((key->n_bytes > 0) ==
		(!key->is_revoked && key->type != DKIM_KEY_OTHER));
	if (dkim_key_is_usable(fitness))
		assert(key->bits >= (key->type == DKIM_KEY_RSA ? 1024 : 256));
}

static void
write_and_read(const struct dkim_key *key)
{
	struct dkim_key again;
	const char *err;
	struct str text;

	str_init(&text, DKIM_KEY_TEXT_MAX);
	dkim_key_write(key, &text);
	assert(!text.is_cut);
	assert(dkim_key_parse(str_slice(&text), &again, &err) == 0);
	assert(again.type == key->type && again.bits == key->bits);
	assert(again.is_test == key->is_test);
	assert(again.is_strict == key->is_strict);
	assert(again.n_bytes == key->n_bytes);
	assert(memcmp(again.bytes, key->bytes, key->n_bytes) == 0);
	str_free(&text);
}

/* The text between the quotes is plain ASCII and of bounded length. */
static void
write_strings(struct slice record)
{
	struct str text;
	size_t n_strings = 0;

	str_init(&text, record.len * 4 + record.len / 64 + 16);
	dkim_key_write_strings(record, &text);
	assert(!text.is_cut);
	for (size_t i = 0; i < text.len; i++) {
		assert(text.data[i] >= ' ' && text.data[i] <= '~');
		if (text.data[i] == '\\')
			i++;
		else
			n_strings += text.data[i] == '"';
	}
	assert(n_strings ==
		2 * (record.len == 0 ? 1 : (record.len + 254) / 255));
	str_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice record = { (const char *)data, size };
	struct dkim_key key;
	const char *err;

	write_strings(slice_part(record, 0, TAG_LIST_BYTES_MAX));
	if (dkim_key_parse(record, &key, &err) != 0) {
		assert(err != NULL && err[0] != '\0');
		return 0;
	}
	check(&key);
	if (key.type != DKIM_KEY_OTHER && key.takes_sha256 && key.is_for_mail)
		write_and_read(&key);
	return 0;
}
