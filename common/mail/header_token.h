#ifndef COMMON_MAIL_HEADER_TOKEN_H
#define COMMON_MAIL_HEADER_TOKEN_H

/*
 * The tokens of structured header fields (RFC 5322, 3.2). The value of a field
 * is read from its beginning to its end, without a copy. Lines are folded with
 * CR LF, or with the bare LF that milters get. Control characters belong
 * nowhere, the obsolete syntax that allowed them notwithstanding. Any byte
 * above 127 may stand where text may (RFC 6532): whether it is UTF-8 is for
 * those to see who use it.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct arena;

/* Comments within comments: a bound of ours. */
#define HEADER_COMMENT_DEPTH_MAX 16u

/*
 * The bytes that end a word and are tokens of their own. In addresses words
 * are atoms (RFC 5322, 3.2.3), in fields made of names and values they are
 * tokens of MIME (RFC 2045, 5.1), with dots in them.
 */
#define HEADER_SPECIALS_ADDRESS "()<>[]:;@\\,.\""
#define HEADER_SPECIALS_MIME    "()<>@,;:\\\"/[]?="

enum header_token_kind {
	HEADER_END,
	HEADER_WORD,
	HEADER_QUOTED,  /* a quoted string */
	HEADER_LITERAL, /* a domain literal */
	HEADER_SPECIAL, /* one byte */
	HEADER_MALFORMED,
};

struct header_token {
	enum header_token_kind kind;
	struct slice text; /* with its quotes or brackets */
	/* The white space and the comments before it. */
	struct slice gap;
};

struct header_lexer {
	struct slice rest;
	const char *specials; /* may be changed between two tokens */
	/* What is wrong: of HEADER_MALFORMED, which comes again and again. */
	const char *err;
};

/*
 * The bytes of white space at a position: a blank, or the end of a line, if
 * the next one begins with a blank (RFC 5322, 2.2.3) and holds something else,
 * too: a line of blanks ends the header for some programs. 0: none.
 */
size_t header_blank_len(struct slice text, size_t at);

struct header_lexer header_lexer(struct slice value, const char *specials);
struct header_token header_next(struct header_lexer *lexer);
/* The same, but it stays there. */
struct header_token header_peek(const struct header_lexer *lexer);
bool header_is_special(const struct header_token *token, char special);
/* Whether there is a comment in the gap before a token. */
bool header_has_comment(const struct header_token *token);
/*
 * What a quoted string means: without its quotes, without the backslashes
 * before characters and the ends of lines. In the arena.
 */
struct slice header_unquote(struct arena *arena, struct slice quoted);

/*
 * Appends text as a quoted string of at most max octets between the quotes; in
 * UTF-8, if it is. The rest is left out, and what may not be shown becomes a
 * question mark.
 */
void header_append_quoted(struct str *out, struct slice text, size_t max);

#endif
