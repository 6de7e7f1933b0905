#ifndef COMMON_MAIL_ENCODED_WORD_H
#define COMMON_MAIL_ENCODED_WORD_H

/*
 * Encoded words (RFC 2047), as programs read them that decode a header field
 * before they take it apart: wherever they stand, and however badly they are
 * made. For the eyes of those who look for addresses where none should be, not
 * for display: character sets count only as far as ASCII is hidden in them,
 * other bytes are left as they are.
 */

#include <stdbool.h>

#include "common/base/str.h"

/* Whether there may be any. */
bool encoded_word_is_in(struct slice text);
/*
 * Appends the text with all its encoded words decoded to *whole, and what was
 * encoded to *words, with a blank between two that stood apart. Neither is
 * longer than the text. White space between two encoded words goes away. False
 * if one is in UTF-7, in which any ASCII may be hidden once more.
 */
bool encoded_word_decode(struct slice text, struct str *whole,
	struct str *words);

#endif
