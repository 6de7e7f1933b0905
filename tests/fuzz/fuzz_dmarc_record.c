/*
 * A DMARC record of strangers: what comes out stays within its bounds, and an
 * address for reports is one that can stand in a header as it is.
 */

#include "common/mail/dmarc_record.h"

#include <assert.h>
#include <stdint.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two lists of DMARC_URIS_MAX addresses. */
#define ROOM ((size_t)16 << 10)

static void
check_uris(const struct dmarc_uri *uris, size_t n)
{
	assert(n <= DMARC_URIS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct slice address = uris[i].address;

		assert(address.len <= DMARC_ADDRESS_MAX);
		assert(slice_find_last(address, '@') > 0);
		assert(!slice_ends(address, SLICE("@")));
		for (size_t at = 0; at < address.len; at++) {
			assert(address.ptr[at] > ' ' && address.ptr[at] <= '~');
			assert(!slice_has_byte(SLICE("\"\\<>(),;:[]"),
				address.ptr[at]));
		}
	}
}

static void
check(const struct dmarc_record *record, const char *err)
{
	check_uris(record->rua, record->n_rua);
	check_uris(record->ruf, record->n_ruf);
	assert(record->has_rua || record->n_rua == 0);
	assert(record->pct <= 100);
	assert(record->fo != 0);
	assert(record->has_sp || record->sp == record->p);
	assert(record->has_np || record->np == record->sp);
	assert(err == NULL || (!record->has_rua && !record->has_sp &&
				      record->p == DMARC_POLICY_NONE));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = { (const char *)data, size };
	struct arena *arena = arena_new(ROOM);
	struct dmarc_record record;
	const char *err;

	/* It is read whatever it is, and the same is found in any record. */
	(void)dmarc_record_is(text);
	assert((dmarc_record_parse(arena, text, &record, &err) < 0) ==
		(err != NULL));
	check(&record, err);
	arena_free(arena);
	return 0;
}
