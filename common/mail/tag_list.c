#include "common/mail/tag_list.h"

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* tag-name = ALPHA *ALNUMPUNC */
static bool
is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (!is_letter(c) &&
			(i == 0 || !((c >= '0' && c <= '9') || c == '_')))
			return false;
	}
	return text.len > 0;
}

/*
 * White space at a position (RFC 6376, 2.8): a line may end where the next
 * one begins with a blank. Milters get a bare LF for that.
 */
static bool
is_white_space(struct slice text, size_t at)
{
	const char c = text.ptr[at];
	const char next = at + 1 < text.len ? text.ptr[at + 1] : '\0';

	if (c == '\r')
		return next == '\n';
	if (c == '\n')
		return next == ' ' || next == '\t';
	return c == ' ' || c == '\t';
}

/*
 * Visible characters and white space. Beyond ASCII, UTF-8 (RFC 8616): who
 * reads a value knows where it may be.
 */
static bool
is_text(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char c = (unsigned char)text.ptr[i];

		if (c == 0x7f || (c <= ' ' && !is_white_space(text, i)))
			return false;
	}
	return slice_is_utf8(text);
}

static const char *
add_tag(struct tag_list *list, struct slice text)
{
	const ptrdiff_t equals = slice_find(text, '=');
	struct tag tag;

	if (equals < 0)
		return "a tag has no value";
	tag.name = slice_trim(slice_part(text, 0, (size_t)equals));
	tag.value = slice_trim(slice_from(text, (size_t)equals + 1));
	if (!is_name(tag.name))
		return "the name of a tag is malformed";
	for (size_t i = 0; i < list->n; i++)
		if (slice_eq(list->tags[i].name, tag.name))
			return "a tag stands there twice";
	if (list->n == TAG_LIST_TAGS_MAX)
		return "there are too many tags";
	list->tags[list->n++] = tag;
	return NULL;
}

int
tag_list_parse(struct slice text, struct tag_list *out, const char **err)
{
	struct slice rest = text, part;

	out->n = 0;
	*err = NULL;
	if (text.len > TAG_LIST_BYTES_MAX)
		*err = "it is too long";
	else if (slice_trim(text).len == 0)
		*err = "there is no tag";
	else if (!is_text(text))
		*err = "there are characters that do not belong there";
	while (*err == NULL && slice_split(&rest, ';', &part)) {
		/* Only the last one may be left out. */
		if (rest.ptr == NULL && slice_trim(part).len == 0)
			break;
		*err = add_tag(out, part);
	}
	return *err == NULL ? 0 : -1;
}

const struct slice *
tag_list_find(const struct tag_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (slice_eq_text(list->tags[i].name, name))
			return &list->tags[i].value;
	return NULL;
}

bool
tag_value_has(struct slice value, const char *word)
{
	struct slice part;

	while (slice_split(&value, ':', &part))
		if (slice_eq_text(slice_trim(part), word))
			return true;
	return false;
}
