#ifndef COMMON_BASE_STR_H
#define COMMON_BASE_STR_H

/*
 * Text. A slice borrows bytes that somebody else owns and may hold any byte;
 * a str owns a buffer that grows up to a limit. Nothing here knows a locale:
 * case is ASCII case.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct slice {
	const char *ptr; /* never NULL when len > 0 */
	size_t len;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
/* The same as an initializer, for static tables. */
#define SLICE_INIT(literal)                     \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}
/* For printf("%.*s"). */
#define SLICE_ARG(s) (int)(s).len, (s).ptr

struct slice slice_of(const char *text); /* NULL gives the empty slice */
bool slice_eq(struct slice a, struct slice b);
bool slice_eq_text(struct slice a, const char *text);
bool slice_case_eq(struct slice a, struct slice b);
/* <0, 0, >0 in byte order, a shorter prefix first. */
int slice_compare(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
bool slice_has_byte(struct slice s, char byte);
/* Position of the first / last such byte, or -1. */
ptrdiff_t slice_find(struct slice s, char byte);
ptrdiff_t slice_find_last(struct slice s, char byte);
/* The part from..to (to is clipped to the length; from > len is empty). */
struct slice slice_part(struct slice s, size_t from, size_t to);
struct slice slice_from(struct slice s, size_t from);
/* Without blanks (space, tab, CR, LF) at both ends. */
struct slice slice_trim(struct slice s);
/*
 * Takes the part of *rest before the first separator byte into *part and
 * moves *rest behind it. Returns false when *rest was used up (ptr NULL).
 */
bool slice_split(struct slice *rest, char separator, struct slice *part);
/* NUL-terminated copy in an arena. */
struct slice slice_copy(struct arena *arena, struct slice s);
/* The same with A-Z folded to a-z. Bytes above 127 are kept. */
struct slice slice_lower(struct arena *arena, struct slice s);
/* A copy to be freed with x_free(). */
char *slice_strdup(struct slice s);
/* Whether all bytes are below 128. */
bool slice_is_ascii(struct slice s);
/* Whether the bytes are well-formed UTF-8 without NUL (RFC 3629). */
bool slice_is_utf8(struct slice s);
/* Bytes of the UTF-8 character at a position below len; 0: malformed. */
size_t slice_utf8_len(struct slice s, size_t at);
/*
 * The same for a character that may be shown: 0 also for control characters,
 * those of ISO 8859-1 among them (a terminal acts on both), and for the marks
 * that end a line or turn the direction of writing.
 */
size_t slice_shown_len(struct slice s, size_t at);
/*
 * How many single-character changes (and swaps of neighbours) lead from a to
 * b; used to suggest the nearest word. Both are cut at 63 bytes.
 */
unsigned slice_distance(struct slice a, struct slice b);
/*
 * The word among n that is nearest to a mistyped one, or NULL when none is
 * near enough to be meant.
 */
const char *slice_nearest(struct slice word, const char *const *words,
	size_t n);

/*
 * A buffer that grows. Embedded; all-zero plus a limit is a valid start. At
 * the limit it keeps the beginning of what was appended and is_cut is set.
 */
struct str {
	char *data;   /* NUL-terminated once anything was appended */
	size_t len;   /* without the NUL */
	size_t size;  /* allocated */
	size_t limit; /* most bytes it may hold */
	bool is_cut;  /* something did not fit and was left out */
};

void str_init(struct str *str, size_t limit);
void str_free(struct str *str);
void str_reset(struct str *str); /* empties, keeps the memory */
void str_append(struct str *str, const void *bytes, size_t len);
void str_append_slice(struct str *str, struct slice s);
void str_append_text(struct str *str, const char *text);
void str_append_char(struct str *str, char c);
void str_printf(struct str *str, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void str_append_u64(struct str *str, uint64_t number); /* fast decimal */
void str_append_i64(struct str *str, int64_t number);
/*
 * Appends as a JSON string with its quotes (RFC 8259, section 7). Bytes that
 * are not UTF-8 become U+FFFD, so the result is always valid JSON; characters
 * that are not to be shown become escapes, so it may go to a terminal.
 */
void str_append_json(struct str *str, struct slice s);
/* The one at this position, not to be shown; returns its length in s. */
size_t str_append_json_escape(struct str *str, struct slice s, size_t at);
struct slice str_slice(const struct str *str);
/* "" while nothing was appended. */
const char *str_text(const struct str *str);

#endif
