#include "common/mail/auth_results.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header_token.h"
#include "common/mail/idn.h"

/* Of an id in quotes or in UTF-8, and of our own. */
#define ID_BYTES_MAX  1024u
#define SCRATCH_BYTES (16u << 10)

/* Before the first ";". */
struct head {
	struct header_token id;
	struct slice gaps[3]; /* before the id, the version, the ";" */
};

/* --- characters --------------------------------------------------------- */

/* White space and what may be shown, in UTF-8. */
static bool
is_text(struct slice value)
{
	size_t n;

	for (size_t at = 0; at < value.len; at += n) {
		n = header_blank_len(value, at);
		if (n == 0)
			n = slice_shown_len(value, at);
		if (n == 0)
			return false;
	}
	return true;
}

/* --- names in texts ----------------------------------------------------- */

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Whether nothing behind a position makes a name longer: a dot does not. */
static bool
ends_name(struct slice text, size_t at)
{
	if (at < text.len && text.ptr[at] == '.')
		at++;
	return at == text.len || !is_name_byte(text.ptr[at]);
}

/* Whether a name stands in a text, not as a part of a longer one. */
static bool
has_name(struct slice text, struct slice name)
{
	for (size_t at = 0; at + name.len <= text.len; at++)
		if ((at == 0 || !is_name_byte(text.ptr[at - 1])) &&
			ends_name(text, at + name.len) &&
			slice_case_eq(slice_part(text, at, at + name.len),
				name))
			return true;
	return false;
}

/* --- the id ------------------------------------------------------------- */

static bool
is_version(const struct header_token *token)
{
	for (size_t i = 0; i < token->text.len; i++)
		if (token->text.ptr[i] < '0' || token->text.ptr[i] > '9')
			return false;
	return token->kind == HEADER_WORD && token->gap.len > 0;
}

/* False: it is not as RFC 8601, 2.2 wants it. */
static bool
read_head(struct slice value, struct head *out)
{
	struct header_lexer lexer = header_lexer(value, HEADER_SPECIALS_MIME);
	struct header_token next;

	*out = (struct head){ .id = header_next(&lexer) };
	if (out->id.kind != HEADER_WORD && out->id.kind != HEADER_QUOTED)
		return false;
	out->gaps[0] = out->id.gap;
	next = header_next(&lexer);
	out->gaps[1] = next.gap;
	if (is_version(&next)) {
		next = header_next(&lexer);
		out->gaps[2] = next.gap;
	}
	return next.kind == HEADER_END || header_is_special(&next, ';');
}

static bool
is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_name_byte(text.ptr[i]))
			return false;
	return text.len > 0;
}

/* Whether an id may be taken for ours, which is in A-labels. */
static bool
is_ours(struct arena *scratch, const struct header_token *id, struct slice ours)
{
	struct slice text = id->text;

	if (id->kind == HEADER_QUOTED)
		text = header_unquote(scratch, text);
	if (text.len == 0 || encoded_word_is_in(text))
		return true;
	if (slice_is_ascii(text))
		return has_name(text, ours);
	return !idn_to_ascii(scratch, text, &text) || !is_name(text) ||
	       has_name(text, ours);
}

static bool
is_ambiguous(struct slice gap, struct slice id, struct slice id_ascii)
{
	return slice_has_byte(gap, '\\') || encoded_word_is_in(gap) ||
	       has_name(gap, id) || has_name(gap, id_ascii);
}

static bool
claim(struct arena *scratch, const struct head *head, struct slice id)
{
	struct slice id_ascii = id;

	(void)idn_to_ascii(scratch, id, &id_ascii);
	for (size_t i = 0; i < sizeof(head->gaps) / sizeof(head->gaps[0]); i++)
		if (is_ambiguous(head->gaps[i], id, id_ascii))
			return true;
	return is_ours(scratch, &head->id, id_ascii);
}

bool
auth_results_claim(struct slice value, struct slice authserv_id)
{
	struct slice id = authserv_id;
	struct arena *scratch;
	struct head head;
	bool is_claim;

	if (slice_ends(id, SLICE(".")))
		id.len--;
	assert(id.len > 0 && id.len <= ID_BYTES_MAX);
	if (!is_text(value) || !read_head(value, &head) ||
		head.id.text.len > ID_BYTES_MAX)
		return true;
	scratch = arena_new(SCRATCH_BYTES);
	is_claim = claim(scratch, &head, id);
	arena_free(scratch);
	return is_claim;
}
