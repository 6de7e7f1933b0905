/*
 * Authentication-Results from anybody, and of anybody. The first byte of the
 * input says which.
 *
 * What is read can be written and is then the same; a field with our id, or
 * none that can be read, claims to be ours. What is written holds the texts of
 * others and says the results that were put in, no other, on lines that mail
 * allows.
 */

#include "common/mail/auth_results.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OURS        "mx.example.org"
#define ARENA_BYTES ((size_t)1 << 20)
#define FIELD_MAX   ((size_t)1 << 20)
#define LINE_MAX    998u

static void
check_lines(struct slice field)
{
	struct slice line;

	while (slice_split(&field, '\n', &line))
		assert(line.len <= LINE_MAX && !slice_has_byte(line, '\r'));
}

static bool
is_shown(struct slice text)
{
	for (size_t at = 0; at < text.len; at += slice_shown_len(text, at))
		if (slice_shown_len(text, at) == 0)
			return false;
	return true;
}

static void
write_again(struct arena *arena, const struct auth_results *results,
	struct auth_results *out, struct str *text)
{
	const char *err;
	bool is_read;

	auth_results_write(results, text);
	assert(!text->is_cut);
	check_lines(str_slice(text));
	is_read = auth_results_read(arena, str_slice(text), out, &err) == 0;
	assert(is_read);
	assert(slice_eq(results->authserv_id, out->authserv_id));
	assert(results->n == out->n);
}

/* --- what others wrote -------------------------------------------------- */

/* Whether the writer, which gets words of ours, may be asked to write it. */
static bool
can_be_written(struct auth_results *results)
{
	if (results->authserv_id.len > AUTH_VALUE_MAX ||
		!is_shown(results->authserv_id))
		return false;
	for (struct auth_result *one = results->first; one; one = one->next) {
		if (one->method.len + one->result.len > 100)
			return false;
		for (size_t i = 0; i < one->n_properties; i++) {
			struct auth_property *property = &one->properties[i];

			if (property->type.len == 0)
				property->type = SLICE("x");
			if (property->type.len + property->name.len > 100)
				return false;
		}
	}
	return true;
}

/* What is written once is written so again. */
static void
there_and_back(struct arena *arena, struct auth_results *results)
{
	struct auth_results again, third;
	struct str once, twice;

	str_init(&once, FIELD_MAX);
	str_init(&twice, FIELD_MAX);
	if (can_be_written(results)) {
		write_again(arena, results, &again, &once);
		write_again(arena, &again, &third, &twice);
		assert(slice_eq(str_slice(&once), str_slice(&twice)));
	}
	str_free(&once);
	str_free(&twice);
}

static void
read_field(struct arena *arena, struct slice value)
{
	const bool is_claim = auth_results_claim(value, SLICE(OURS));
	struct auth_results results;
	const char *err = NULL;

	if (auth_results_read(arena, value, &results, &err) < 0) {
		assert(err != NULL);
		return;
	}
	if (slice_case_eq(slice_trim(results.authserv_id), SLICE(OURS)))
		assert(is_claim);
	/* Then it is what everybody reads; a name is more than a dot. */
	if (!is_claim && results.authserv_id.len > 1)
		assert(auth_results_claim(value, results.authserv_id));
	there_and_back(arena, &results);
}

/* --- what we write of others -------------------------------------------- */

static bool
is_told(struct slice value)
{
	return value.len > 0 && value.len <= AUTH_VALUE_MAX &&
	       is_shown(value) && memmem(value.ptr, value.len, "=?", 2) == NULL;
}

static void
check_written(const struct auth_result *result, struct slice value)
{
	assert(slice_eq_text(result->method, "dkim"));
	assert(slice_eq_text(result->result, "fail"));
	assert(result->reason.len <= AUTH_TEXT_MAX);
	assert(result->n_properties == is_told(value));
	if (is_told(value))
		assert(slice_eq(result->properties[0].value, value));
}

static void
write_field(struct arena *arena, struct slice input)
{
	struct auth_results results, again;
	struct slice value, reason, comment;
	struct auth_result *result;
	struct str text;

	if (!slice_split(&input, '\n', &value) ||
		!slice_split(&input, '\n', &reason))
		return;
	comment = input.ptr == NULL ? SLICE("") : input;
	auth_results_init(&results, arena, SLICE(OURS));
	for (int i = 0; i < 2; i++) {
		result = auth_results_add(&results, "dkim", "fail");
		result->reason = reason;
		result->comment = comment;
		auth_result_add(result, "header", "i", value);
	}
	str_init(&text, FIELD_MAX);
	write_again(arena, &results, &again, &text);
	check_written(again.first, value);
	check_written(again.last, value);
	assert(auth_results_claim(str_slice(&text), SLICE(OURS)));
	str_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena;
	struct slice input;

	if (size < 1)
		return 0;
	arena = arena_new(ARENA_BYTES);
	input = (struct slice){ (const char *)data + 1, size - 1 };
	if (data[0] % 2 == 0)
		read_field(arena, input);
	else
		write_field(arena, input);
	arena_free(arena);
	return 0;
}
