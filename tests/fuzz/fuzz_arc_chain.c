/*
 * The ARC fields of a message from anybody: the byte before each says what it
 * is, a NUL ends it. In any order they are the same chain, and a complete one
 * has what a verifier needs.
 */

#include "common/mail/arc_chain.h"

#include <assert.h>
#include <stdint.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES 1024

static void
check_signature(const struct arc_signature *signature)
{
	assert(signature->field.len > 0 && signature->algorithm.len > 0);
	assert(signature->domain.len > 0 && signature->selector.len > 0);
	assert(signature->signature.len > 0);
}

static void
check_chain(const struct arc_chain *chain, size_t n_fields)
{
	assert((chain->status == ARC_NO_CHAIN) == (n_fields == 0));
	assert((chain->status == ARC_BROKEN) == (chain->err != NULL));
	assert((chain->status == ARC_COMPLETE) == (chain->n > 0));
	if (chain->status == ARC_COMPLETE)
		assert(chain->n * ARC_KIND_COUNT == n_fields);
	for (size_t i = 0; i < chain->n; i++) {
		const struct arc_set *set = &chain->sets[i];

		check_signature(&set->message);
		check_signature(&set->seal);
		assert(set->message.body_hash.len > 0);
		assert(set->results_field.len > set->results.len);
		assert(set->cv == (i == 0 ? ARC_CV_NONE : ARC_CV_PASS));
	}
}

static void
read_chain(const struct arc_field *fields, size_t n, struct arc_chain *out)
{
	struct arena *arena = arena_new(ARENA_BYTES);

	arc_chain_read(arena, fields, n, out);
	check_chain(out, n);
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arc_field fields[ARC_FIELDS_MAX + 1];
	static struct arc_field backwards[ARC_FIELDS_MAX + 1];
	static struct arc_chain chain, again;
	struct slice input = { (const char *)data, size }, field;
	size_t n = 0;

	while (n <= ARC_FIELDS_MAX && slice_split(&input, '\0', &field)) {
		if (field.len == 0)
			continue;
		fields[n].kind = field.ptr[0] == 'R'   ? ARC_RESULTS
				 : field.ptr[0] == 'M' ? ARC_MESSAGE
						       : ARC_SEAL;
		fields[n++].value = slice_from(field, 1);
	}
	for (size_t i = 0; i < n; i++)
		backwards[i] = fields[n - 1 - i];
	read_chain(fields, n, &chain);
	read_chain(backwards, n, &again);
	assert(chain.status == again.status && chain.n == again.n);
	return 0;
}
