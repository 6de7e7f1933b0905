/*
 * Signatures, chains and records of keys from anybody, as a milter is told
 * them, in pieces. Whatever comes, the process goes on, every signature has a
 * result, and what nobody has signed is not valid.
 *
 * Lines of the input begin with a letter: "h" a field, NAME:VALUE, where "\"
 * begins another line; "s" the tags of a signature and "a", "m", "r" of ARC
 * fields, "b" of the body, "k" the record of the keys from here on.
 */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/arc_verify.h"
#include "common/mail/dkim_verify.h"
#include "common/mail/kept_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW       1528637909
#define BYTES_MAX ((size_t)256 << 10)

static const struct {
	char letter;
	struct slice name;
} names[] = {
	{ 's', SLICE_INIT("DKIM-Signature") },
	{ 'a', SLICE_INIT("ARC-Seal") },
	{ 'm', SLICE_INIT("ARC-Message-Signature") },
	{ 'r', SLICE_INIT("ARC-Authentication-Results") },
};

struct input {
	struct kept_header header;
	struct str body;
	struct dkim_record records[DKIM_VERIFIED_MAX];
	size_t n_records;
};

static void
add_field(struct input *input, struct slice name, struct slice text)
{
	char *value = slice_strdup(text);

	for (size_t i = 0; i < text.len; i++)
		if (value[i] == '\\')
			value[i] = '\n';
	kept_header_add(&input->header, name,
		(struct slice){ value, text.len });
	x_free(value);
}

static void
take_line(struct input *input, char letter, struct slice text)
{
	const ptrdiff_t colon = slice_find(text, ':');

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].letter == letter)
			add_field(input, names[i].name, text);
	if (letter == 'h' && colon >= 0)
		add_field(input, slice_part(text, 0, (size_t)colon),
			slice_from(text, (size_t)colon + 1));
	if (letter == 'b') {
		str_append_slice(&input->body, text);
		str_append_text(&input->body, "\r\n");
	}
	if (letter == 'k' && input->n_records < DKIM_VERIFIED_MAX)
		input->records[input->n_records++] =
			(struct dkim_record){ DKIM_RECORD_FOUND, text };
}

static const struct dkim_record *
record_of(const struct input *input, size_t i)
{
	static const struct dkim_record none = { .status = DKIM_RECORD_ABSENT };

	return input->n_records == 0 ? &none
				     : &input->records[i % input->n_records];
}

static void
verify_dkim(const struct input *input, size_t step)
{
	struct dkim_verifier *verifier = dkim_verifier_new(&input->header, NOW);
	struct slice body = str_slice(&input->body);

	for (; body.len > 0; body = slice_from(body, step))
		dkim_verifier_body(verifier, slice_part(body, 0, step));
	for (size_t i = 0; i < dkim_verifier_count(verifier); i++)
		if (dkim_verifier_wants_key(verifier, i))
			dkim_verifier_answer(verifier, i, record_of(input, i));
	dkim_verifier_end(verifier);
	for (size_t i = 0; i < dkim_verifier_count(verifier); i++) {
		const struct dkim_verified *one =
			dkim_verifier_result(verifier, i);

		assert(!dkim_verifier_wants_key(verifier, i));
		assert((one->result == DKIM_RESULT_PASS) ==
			(one->reason.len == 0));
		if (one->result == DKIM_RESULT_PASS)
			assert(one->bits > 0 && one->claim.domain.len > 0);
	}
	dkim_verifier_free(verifier);
}

static void
verify_arc(const struct input *input)
{
	struct arc_verifier *verifier = arc_verifier_new(&input->header);
	struct arc_outcome outcome;

	arc_verifier_body(verifier, str_slice(&input->body));
	for (size_t i = 0; i < arc_verifier_keys(verifier); i++)
		arc_verifier_answer(verifier, i, record_of(input, i));
	arc_verifier_end(verifier, &outcome);
	assert((outcome.result == ARC_RESULT_FAIL) == (outcome.reason.len > 0));
	assert(outcome.oldest_pass <= outcome.n);
	arc_verifier_free(verifier);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, line;
	struct input input = { .n_records = 0 };

	kept_header_init(&input.header, BYTES_MAX);
	str_init(&input.body, BYTES_MAX);
	while (slice_split(&rest, '\n', &line))
		if (line.len > 0)
			take_line(&input, line.ptr[0], slice_from(line, 1));
	verify_dkim(&input, 1 + size % 7);
	verify_arc(&input);
	str_free(&input.body);
	kept_header_free(&input.header);
	return 0;
}
