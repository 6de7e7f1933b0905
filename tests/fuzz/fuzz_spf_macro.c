/*
 * Macros of SPF: what is valid expands to its end, within bounds, and a name
 * is what RFC 7208, 7.3 makes of the whole. The input is lines: a macro-string,
 * a local part, a domain, a HELO name, the client's own.
 */

#include "common/mail/spf_macro.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX  512u
#define VALUE_MAX 255u
/* The shortest macro has four bytes; each of a value may become three. */
#define EXPANDED_MAX (TEXT_MAX / 4 * 3 * (2 * VALUE_MAX + 1) + TEXT_MAX * 3)

static struct slice
next_line(struct slice *rest, size_t max)
{
	struct slice line;

	return slice_split(rest, '\n', &line) ? slice_part(line, 0, max)
					      : SLICE("");
}

/* Whatever is malformed would end it before the last byte. */
static void
check_end(struct slice text, const struct spf_macro_values *values,
	const struct str *expanded)
{
	struct str longer, again;

	str_init(&longer, TEXT_MAX + 1);
	str_init(&again, EXPANDED_MAX + 1);
	str_append_slice(&longer, text);
	str_append_char(&longer, '#');
	spf_macro_expand(str_slice(&longer), values, &again);
	assert(again.len == expanded->len + 1);
	assert(again.data[again.len - 1] == '#');
	str_free(&longer);
	str_free(&again);
}

static struct slice
end_of(struct slice name)
{
	if (slice_ends(name, SLICE(".")))
		name.len--;
	while (name.len > SPF_NAME_LEN_MAX) {
		const ptrdiff_t dot = slice_find(name, '.');

		name = slice_from(name, dot < 0 ? name.len : (size_t)dot + 1);
	}
	return name;
}

static void
check_name(struct slice spec, const struct spf_macro_values *values,
	const struct str *expanded)
{
	struct str name;

	str_init(&name, SPF_NAME_LEN_MAX);
	spf_macro_expand_name(spec, values, &name);
	assert(!name.is_cut);
	assert(slice_eq(str_slice(&name), end_of(str_slice(expanded))));
	str_free(&name);
}

/* Where the local part is not used it does not matter. */
static void
check_uses(struct slice text, const struct spf_macro_values *values,
	const struct str *expanded)
{
	struct spf_macro_values others = *values;
	struct str other;

	others.local = SLICE("other");
	str_init(&other, EXPANDED_MAX);
	spf_macro_expand(text, &others, &other);
	assert(spf_macro_uses(text, "ls") ||
		slice_eq(str_slice(&other), str_slice(expanded)));
	str_free(&other);
}

static void
check(struct slice text, const struct spf_macro_values *values)
{
	struct str expanded;

	assert(!spf_macro_is_domain_spec(text) ||
		spf_macro_is_valid(text, SPF_MACRO_IN_DOMAIN));
	assert(!spf_macro_is_valid(text, SPF_MACRO_IN_DOMAIN) ||
		spf_macro_is_valid(text, SPF_MACRO_IN_TEXT));
	if (!spf_macro_is_valid(text, SPF_MACRO_IN_TEXT))
		return;
	str_init(&expanded, EXPANDED_MAX);
	spf_macro_expand(text, values, &expanded);
	assert(!expanded.is_cut);
	check_end(text, values, &expanded);
	check_uses(text, values, &expanded);
	if (spf_macro_is_domain_spec(text))
		check_name(text, values, &expanded);
	str_free(&expanded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size };
	struct spf_macro_values values = { .receiver = SLICE("mail.test"),
		.now = 1700000000 };
	struct slice text;

	if (size == 0)
		return 0;
	text = next_line(&rest, TEXT_MAX);
	values.local = next_line(&rest, VALUE_MAX);
	values.sender_domain = next_line(&rest, VALUE_MAX);
	values.domain = values.sender_domain;
	values.helo = next_line(&rest, VALUE_MAX);
	values.validated_name = next_line(&rest, VALUE_MAX);
	ip_parse(size % 2 == 0 ? SLICE("192.0.2.1") : SLICE("2001:db8::1"),
		&values.client);
	check(text, &values);
	return 0;
}
