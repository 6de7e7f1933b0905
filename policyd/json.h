#ifndef POLICYD_JSON_H
#define POLICYD_JSON_H

/*
 * Reading JSON (RFC 8259), over jansson, which only json.c includes. A value
 * is read as a whole, looked at, and dropped; what it hands out belongs to
 * it. JSON is written with str_append_json() and its like.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct json;

enum json_type {
	JSON_TYPE_NULL,
	JSON_TYPE_BOOL,
	JSON_TYPE_NUMBER,
	JSON_TYPE_TEXT,
	JSON_TYPE_ARRAY,
	JSON_TYPE_OBJECT,
};

/*
 * Reads one object or array that fills the text. NULL when it is none; err
 * (may be NULL) then says why. To be freed with json_drop().
 */
struct json *json_parse(struct slice text, char *err, size_t err_size);
void json_drop(struct json *value); /* accepts NULL */

/* JSON_TYPE_NULL for NULL. */
enum json_type json_type_of(const struct json *value);
/* A member of an object; NULL when there is none, or it is no object. */
const struct json *json_member(const struct json *object, const char *name);
/* Elements of an array or members of an object; 0 for anything else. */
size_t json_length(const struct json *value);
const struct json *json_element(const struct json *array, size_t i);
/*
 * The members in the order in which they were read: start with *at = 0;
 * false at the end.
 */
bool json_next_member(const struct json *object, size_t *at, struct slice *name,
	const struct json **value);

/* Of a text, otherwise "". */
struct slice json_text(const struct json *value);
struct slice json_member_text(const struct json *object, const char *name);
/* Of a number (cut to an integer) or a bool, otherwise 0. */
int64_t json_integer_of(const struct json *value);
int64_t json_member_integer(const struct json *object, const char *name);
double json_real_of(const struct json *value);
bool json_is_set(const struct json *value); /* true, and nothing else */

/* Appends the value as JSON text of one line. */
void json_print(const struct json *value, struct str *out);

#endif
