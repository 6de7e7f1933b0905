/*
 * A list of tags that anybody may have written: what is understood lies in
 * the text, and written down again it is understood the same way.
 */

#include "common/mail/tag_list.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_part(struct slice text, struct slice part)
{
	assert(part.len == 0 ||
		(part.ptr >= text.ptr &&
			part.ptr + part.len <= text.ptr + text.len));
}

static void
check(struct slice text, const struct tag_list *list, struct str *again)
{
	assert(list->n > 0 && list->n <= TAG_LIST_TAGS_MAX);
	for (size_t i = 0; i < list->n; i++) {
		const struct tag *tag = &list->tags[i];

		check_part(text, tag->name);
		check_part(text, tag->value);
		assert(tag->name.len > 0);
		assert(slice_trim(tag->value).len == tag->value.len);
		assert(!slice_has_byte(tag->value, ';'));
		str_append_slice(again, tag->name);
		str_append_char(again, '=');
		str_append_slice(again, tag->value);
		str_append_char(again, ';');
	}
}

static void
check_again(const struct tag_list *list, struct slice again)
{
	struct tag_list second;
	const char *err;

	assert(tag_list_parse(again, &second, &err) == 0);
	assert(second.n == list->n);
	for (size_t i = 0; i < list->n; i++) {
		assert(slice_eq(second.tags[i].name, list->tags[i].name));
		assert(slice_eq(second.tags[i].value, list->tags[i].value));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = { (const char *)data, size };
	struct tag_list list;
	const char *err;
	struct str again;

	if (tag_list_parse(text, &list, &err) != 0) {
		assert(err != NULL && err[0] != '\0');
		return 0;
	}
	str_init(&again, TAG_LIST_BYTES_MAX + 1);
	check(text, &list, &again);
	/* It may have got a semicolon at its end. */
	if (again.len <= TAG_LIST_BYTES_MAX)
		check_again(&list, str_slice(&again));
	str_free(&again);
	return 0;
}
