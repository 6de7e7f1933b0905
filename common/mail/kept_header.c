#include "common/mail/kept_header.h"

#include <stdint.h>

#include "common/base/mem.h"

/* A header of this size is what most mail has; the room of others goes. */
#define ROOM_MAX ((size_t)16 << 10)

void
kept_header_init(struct kept_header *header, size_t bytes_max)
{
	*header = (struct kept_header){ .n = 0 };
	str_init(&header->bytes, bytes_max);
}

void
kept_header_free(struct kept_header *header)
{
	str_free(&header->bytes);
	x_free(header->fields);
	*header = (struct kept_header){ .n = 0 };
}

void
kept_header_reset(struct kept_header *header)
{
	if (header->bytes.size > ROOM_MAX)
		str_free(&header->bytes);
	str_reset(&header->bytes);
	header->n = 0;
	header->is_too_large = header->has_nul = false;
}

static struct kept_field *
new_field(struct kept_header *header)
{
	if (header->n == header->size) {
		header->size = header->size > 0 ? 2 * header->size : 32;
		header->fields = x_realloc_array(header->fields, header->size,
			sizeof(*header->fields));
	}
	return &header->fields[header->n++];
}

void
kept_header_add(struct kept_header *header, struct slice name,
	struct slice value)
{
	const size_t at = header->bytes.len;

	if (slice_has_byte(name, '\0') || slice_has_byte(value, '\0'))
		header->has_nul = true;
	if (header->is_too_large)
		return;
	str_append_slice(&header->bytes, name);
	str_append_slice(&header->bytes, value);
	if (header->bytes.is_cut) {
		header->is_too_large = true;
		return;
	}
	*new_field(header) = (struct kept_field){ .at = at,
		.n_name = name.len,
		.n_value = value.len,
		.n_bare = slice_trim(name).len };
}

struct slice
kept_header_name(const struct kept_header *header, size_t i)
{
	const struct kept_field *field = &header->fields[i];

	return slice_part(str_slice(&header->bytes), field->at,
		field->at + field->n_name);
}

struct slice
kept_header_value(const struct kept_header *header, size_t i)
{
	const struct kept_field *field = &header->fields[i];
	const size_t at = field->at + field->n_name;

	return slice_part(str_slice(&header->bytes), at, at + field->n_value);
}

bool
kept_header_is(const struct kept_header *header, size_t i, struct slice name)
{
	/* Most names differ in length, and are not looked at. */
	return header->fields[i].n_bare == name.len &&
	       slice_case_eq(slice_trim(kept_header_name(header, i)), name);
}

size_t
kept_header_above(const struct kept_header *header, struct slice name, size_t i)
{
	while (i-- > 0)
		if (kept_header_is(header, i, name))
			return i;
	return SIZE_MAX;
}
