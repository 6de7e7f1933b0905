/*
 * What Postfix asks for rewritten senders, from anybody: frames of both
 * protocols one after the other, keys, and addresses to encode and decode.
 * What is encoded must come back, what is answered must be one frame.
 *
 * The first byte of the input says which protocol it is.
 */

#include <assert.h>
#include <stdint.h>

#include "common/mail/srs.h"
#include "policyd/postfix_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000

static struct srs srs = { .domain = SLICE_INIT("srs.example.net") };

static void
answer(enum postfix_map_kind kind, enum postfix_map_status status,
	struct slice text)
{
	struct slice inside;
	const char *err;
	struct str out;

	str_init(&out, POSTFIX_MAP_INPUT_MAX * 4);
	postfix_map_answer(kind, status, text, &out);
	assert(postfix_map_frame(kind, str_slice(&out), &inside, &err) ==
		(ptrdiff_t)out.len);
	str_free(&out);
}

/* Encoding what was decoded gives what was encoded, and so on. */
static void
there_and_back(struct slice address)
{
	struct str there, back, again;

	str_init(&there, SRS_INPUT_MAX);
	str_init(&back, SRS_INPUT_MAX);
	str_init(&again, SRS_INPUT_MAX);
	if (srs_encode(&srs, NOW, address, &there) == SRS_DONE) {
		assert(there.len > 0 && there.len <= SRS_ADDRESS_MAX);
		assert(srs_decode(&srs, NOW, str_slice(&there), &back) ==
			SRS_DONE);
		/* An SRS1 address lost the last forwarder on the way. */
		assert(srs_encode(&srs, NOW, str_slice(&back), &again) ==
			SRS_DONE);
		assert(slice_eq(str_slice(&there), str_slice(&again)));
		answer(POSTFIX_MAP_TCP, POSTFIX_MAP_FOUND, str_slice(&there));
	}
	str_free(&there);
	str_free(&back);
	str_free(&again);
}

static void
look_up(enum postfix_map_kind kind, struct slice request)
{
	struct slice name;
	struct str key, out;

	str_init(&key, POSTFIX_MAP_INPUT_MAX);
	str_init(&out, SRS_INPUT_MAX);
	if (postfix_map_read(kind, request, &name, &key)) {
		assert(!key.is_cut);
		there_and_back(str_slice(&key));
		/* Nobody guesses a hash of 24 bits by such means. */
		(void)srs_decode(&srs, NOW, str_slice(&key), &out);
		/* Texts are ours, and short. */
		answer(kind, POSTFIX_MAP_TEMPORARY,
			slice_part(str_slice(&key), 0, 1000));
	}
	str_free(&key);
	str_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input, request;
	enum postfix_map_kind kind;
	const char *err = NULL;
	ptrdiff_t used;

	if (size < 1)
		return 0;
	srs_secrets(&srs, SLICE("secret_key\nanother_key"));
	kind = data[0] % 2 == 0 ? POSTFIX_MAP_TCP : POSTFIX_MAP_SOCKETMAP;
	input = (struct slice){ (const char *)data + 1, size - 1 };
	while ((used = postfix_map_frame(kind, input, &request, &err)) > 0) {
		assert((size_t)used <= input.len);
		assert((size_t)used <= POSTFIX_MAP_INPUT_MAX);
		look_up(kind, request);
		input = slice_from(input, (size_t)used);
	}
	assert(used == 0 || err != NULL);
	/* What is not complete leaves room for more. */
	assert(used < 0 || input.len < POSTFIX_MAP_INPUT_MAX);
	return 0;
}
