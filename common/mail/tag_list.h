#ifndef COMMON_MAIL_TAG_LIST_H
#define COMMON_MAIL_TAG_LIST_H

/*
 * Lists of tags (RFC 6376, 3.2), as DKIM signatures, key records and DMARC
 * records are: "v=DKIM1; k=rsa; p=...". Taken apart without a copy: names and
 * values are parts of the text. One mistake makes all of it invalid; a tag
 * that nobody asks for does no harm.
 */

#include <stdbool.h>

#include "common/base/str.h"

/* Bounds of ours; a signature has a dozen tags, a record half of that. */
#define TAG_LIST_BYTES_MAX ((size_t)16 << 10)
#define TAG_LIST_TAGS_MAX  64

struct tag {
	struct slice name;
	/*
	 * Without white space around it; inside there may be some, also in
	 * the form of folded lines.
	 */
	struct slice value;
};

struct tag_list {
	struct tag tags[TAG_LIST_TAGS_MAX]; /* as they stand in the text */
	size_t n;
};

/* 0, or -1 and what is wrong in *err. */
int tag_list_parse(struct slice text, struct tag_list *out, const char **err);
/* The value of a tag, or NULL. Case counts. */
const struct slice *tag_list_find(const struct tag_list *list,
	const char *name);
/*
 * Whether one word is among those of a value that are kept apart by colons,
 * as in "sha1 : sha256". Case counts.
 */
bool tag_value_has(struct slice value, const char *word);

#endif
