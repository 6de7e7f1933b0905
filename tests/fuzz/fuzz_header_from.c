/*
 * From of anybody. What is found are addresses that mean the same when they
 * are written plainly, and a program that takes what stands in angle brackets
 * for the address, without regard to quotes, comments and encodings, does not
 * see another domain than DMARC is asked about.
 */

#include "common/mail/header_from.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX ((size_t)64 << 10)

static void
read_from(struct slice value, struct header_from *out, struct arena **arena)
{
	*arena = arena_new(HEADER_FROM_ARENA_BYTES);
	header_from_read(*arena, &value, 1, out);
	assert((out->status == HEADER_FROM_ONE) == (out->n == 1));
	assert((out->status == HEADER_FROM_SEVERAL) == (out->n > 1));
	assert((out->status == HEADER_FROM_ONE) == (out->err == NULL));
	assert(out->n <= HEADER_FROM_ADDRESSES_MAX);
}

/* --- written plainly ---------------------------------------------------- */

static void
check_domain(const struct header_address *address)
{
	const struct slice domain = address->domain;

	assert(domain.len > 0);
	assert(address->is_literal == (domain.ptr[0] == '['));
	for (size_t i = 0; i < domain.len; i++)
		assert(address->is_literal ||
			strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.",
				domain.ptr[i]) != NULL);
}

static void
write_plainly(const struct header_from *from, struct str *out)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct header_address *address = &from->addresses[i];

		check_domain(address);
		str_append_text(out, i > 0 ? ", \"x\" <" : "x <");
		header_append_quoted(out, address->local, TEXT_MAX);
		str_append_char(out, '@');
		str_append_slice(out, address->domain);
		str_append_char(out, '>');
	}
}

static void
check_plain(const struct header_from *from)
{
	struct header_from again;
	struct arena *arena;
	struct str text;

	str_init(&text, TEXT_MAX);
	write_plainly(from, &text);
	if (from->n > 0 && text.len <= HEADER_FROM_BYTES_MAX) {
		read_from(str_slice(&text), &again, &arena);
		assert(again.n == from->n);
		for (size_t i = 0; i < from->n; i++) {
			assert(slice_eq(again.addresses[i].local,
				from->addresses[i].local));
			assert(slice_eq(again.addresses[i].domain,
				from->addresses[i].domain));
		}
		arena_free(arena);
	}
	str_free(&text);
}

/* --- what others see ---------------------------------------------------- */

/* In ASCII, with a dot in it and without one at its end. */
static bool
is_domain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' ||
			strchr("!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~",
				text.ptr[i]) != NULL)
			return false;
	return slice_has_byte(text, '.') && !slice_ends(text, SLICE("."));
}

static bool
is_of(const struct header_from *from, struct slice domain)
{
	for (size_t i = 0; i < from->n; i++)
		if (slice_case_eq(from->addresses[i].domain, domain))
			return true;
	return false;
}

static void
check_brackets(const struct header_from *from, struct slice value)
{
	ptrdiff_t begin, end, at;

	while ((begin = slice_find(value, '<')) >= 0) {
		value = slice_from(value, (size_t)begin + 1);
		end = slice_find(value, '>');
		if (end < 0)
			return;
		at = slice_find_last(slice_part(value, 0, (size_t)end), '@');
		if (at >= 0) {
			const struct slice domain =
				slice_part(value, (size_t)at + 1, (size_t)end);

			assert(!is_domain(domain) || is_of(from, domain));
		}
	}
}

static void
check_others(const struct header_from *from, struct slice value)
{
	struct str whole, words;

	str_init(&whole, value.len);
	str_init(&words, value.len);
	if (from->status == HEADER_FROM_ONE) {
		check_brackets(from, value);
		assert(encoded_word_decode(value, &whole, &words));
		assert(!whole.is_cut && !words.is_cut);
		check_brackets(from, str_slice(&whole));
	}
	str_free(&whole);
	str_free(&words);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice value = { (const char *)data, size };
	struct header_from from;
	struct arena *arena;

	read_from(value, &from, &arena);
	check_plain(&from);
	check_others(&from, value);
	arena_free(arena);
	return 0;
}
