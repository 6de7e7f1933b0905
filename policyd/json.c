#include "policyd/json.h"

#include <jansson.h>
#include <stdio.h>

/* struct json is never defined: it stands for jansson's type. */

static const json_t *
inner(const struct json *value)
{
	return (const json_t *)value;
}

static const struct json *
outer(const json_t *value)
{
	return (const struct json *)value;
}

struct json *
json_parse(struct slice text, char *err, size_t err_size)
{
	json_error_t error;
	json_t *value = json_loadb(text.len > 0 ? text.ptr : "", text.len,
		JSON_REJECT_DUPLICATES, &error);

	if (value == NULL && err != NULL)
		(void)snprintf(err, err_size, "%s at byte %d", error.text,
			error.position);
	return (struct json *)value;
}

void
json_drop(struct json *value)
{
	json_decref((json_t *)value);
}

enum json_type
json_type_of(const struct json *value)
{
	if (value == NULL)
		return JSON_TYPE_NULL;
	switch (json_typeof(inner(value))) {
	case JSON_OBJECT:
		return JSON_TYPE_OBJECT;
	case JSON_ARRAY:
		return JSON_TYPE_ARRAY;
	case JSON_STRING:
		return JSON_TYPE_TEXT;
	case JSON_INTEGER:
	case JSON_REAL:
		return JSON_TYPE_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_TYPE_BOOL;
	case JSON_NULL:
		break;
	}
	return JSON_TYPE_NULL;
}

const struct json *
json_member(const struct json *object, const char *name)
{
	return outer(json_object_get(inner(object), name));
}

size_t
json_length(const struct json *value)
{
	return json_is_array(inner(value)) ? json_array_size(inner(value))
					   : json_object_size(inner(value));
}

const struct json *
json_element(const struct json *array, size_t i)
{
	return outer(json_array_get(inner(array), i));
}

/* jansson walks with a pointer; an index costs a walk, objects are small. */
bool
json_next_member(const struct json *object, size_t *at, struct slice *name,
	const struct json **value)
{
	json_t *of = (json_t *)(uintptr_t)object;
	void *iter = json_object_iter(of);

	for (size_t i = 0; i < *at && iter != NULL; i++)
		iter = json_object_iter_next(of, iter);
	if (iter == NULL)
		return false;
	(*at)++;
	*name = slice_of(json_object_iter_key(iter));
	*value = outer(json_object_iter_value(iter));
	return true;
}

struct slice
json_text(const struct json *value)
{
	const json_t *text = inner(value);

	if (!json_is_string(text))
		return SLICE("");
	return (struct slice){ json_string_value(text),
		json_string_length(text) };
}

struct slice
json_member_text(const struct json *object, const char *name)
{
	return json_text(json_member(object, name));
}

int64_t
json_integer_of(const struct json *value)
{
	const json_t *number = inner(value);

	if (json_is_true(number))
		return 1;
	if (json_is_integer(number))
		return json_integer_value(number);
	if (!json_is_real(number) || json_real_value(number) > 9e18 ||
		json_real_value(number) < -9e18)
		return 0;
	return (int64_t)json_real_value(number);
}

int64_t
json_member_integer(const struct json *object, const char *name)
{
	return json_integer_of(json_member(object, name));
}

double
json_real_of(const struct json *value)
{
	return json_number_value(inner(value));
}

bool
json_is_set(const struct json *value)
{
	return json_is_true(inner(value));
}

/* jansson escapes what JSON demands; a terminal acts on more. */
static int
append(const char *bytes, size_t len, void *arg)
{
	const struct slice text = { bytes, len };
	size_t start = 0, at = 0;

	while (at < len) {
		const size_t shown = slice_shown_len(text, at);

		at += shown;
		if (shown > 0)
			continue;
		str_append(arg, bytes + start, at - start);
		at += str_append_json_escape(arg, text, at);
		start = at;
	}
	str_append(arg, bytes + start, at - start);
	return 0;
}

void
json_print(const struct json *value, struct str *out)
{
	(void)json_dump_callback(inner(value), append, out,
		JSON_COMPACT | JSON_ENCODE_ANY);
}
