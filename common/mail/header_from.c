#include "common/mail/header_from.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/mail/dns_name.h"
#include "common/mail/encoded_word.h"
#include "common/mail/header_token.h"
#include "common/mail/idn.h"
#include "common/mail/ip.h"

struct list {
	struct arena *arena;
	struct header_lexer lexer;
	struct header_address addresses[HEADER_FROM_ADDRESSES_MAX];
	size_t n;
	size_t n_bare; /* names, groups, brackets without an address */
	bool is_in_group;
	size_t n_before_group; /* addresses */
	const char *err;
};

/* Ends the reading. What the lexer stumbles over there explains more. */
static bool
fail(struct list *list, const char *what)
{
	(void)header_next(&list->lexer);
	list->err = list->lexer.err != NULL ? list->lexer.err : what;
	return false;
}

/* --- domains ------------------------------------------------------------ */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Letters, digits, hyphens and, since they exist, underscores. */
static bool
is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' ||
	       c == '.';
}

/* A name in the DNS, in lower case, of one label or more; no IPv4 address. */
static bool
is_host_name(struct slice name)
{
	const struct slice top =
		slice_from(name, (size_t)(slice_find_last(name, '.') + 1));
	struct dns_name unused;
	bool is_number = true;

	for (size_t i = 0; i < name.len; i++)
		if (!is_host_byte(name.ptr[i]))
			return false;
	for (size_t i = 0; i < top.len; i++)
		is_number = is_number && is_digit(top.ptr[i]);
	return !is_number && dns_name_parse(name, &unused);
}

/* False: no domain that could be in the DNS. */
static bool
normalize_domain(struct arena *arena, struct slice text, struct slice *out)
{
	if (!idn_to_ascii(arena, text, out))
		return false;
	if (slice_ends(*out, SLICE(".")))
		out->len--;
	return is_host_name(*out);
}

/* RFC 5321, 4.1.3 */
static bool
is_ip_literal(struct slice text)
{
	const struct slice inside = slice_part(text, 1, text.len - 1);
	const struct slice tag = SLICE("IPv6:");
	struct ip ip;

	if (slice_case_eq(slice_part(inside, 0, tag.len), tag))
		return ip_parse(slice_from(inside, tag.len), &ip) &&
		       slice_has_byte(slice_from(inside, tag.len), ':');
	return ip_parse(inside, &ip) && ip.family == IP_V4 &&
	       !slice_has_byte(inside, ':');
}

/* --- addresses ---------------------------------------------------------- */

/* What is read alike with and without regard to quotes. */
static bool
is_local_part(struct slice text)
{
	size_t n;

	for (size_t at = 0; at < text.len; at += n) {
		n = slice_shown_len(text, at);
		if (n == 0 || strchr("@<>(),;:[]\\\"", text.ptr[at]) != NULL)
			return false;
	}
	return text.len > 0 && text.len <= HEADER_FROM_LOCAL_MAX &&
	       !encoded_word_is_in(text);
}

/*
 * A token and those behind it that are words or dots, with nothing between
 * them. A quoted string stands alone.
 */
static struct slice
take_run(struct list *list, const struct header_token *first)
{
	struct slice run = first->text;
	struct header_token next = header_peek(&list->lexer);

	while (first->kind != HEADER_QUOTED && next.gap.len == 0 &&
		(next.kind == HEADER_WORD || header_is_special(&next, '.'))) {
		(void)header_next(&list->lexer);
		run.len += next.text.len;
		next = header_peek(&list->lexer);
	}
	return run;
}

static bool
take_domain(struct list *list, struct header_address *address)
{
	const struct header_token first = header_next(&list->lexer);

	if (first.gap.len > 0)
		return fail(list, "there is white space in an address");
	if (first.kind == HEADER_LITERAL) {
		address->is_literal = true;
		address->domain = first.text;
		return is_ip_literal(first.text) ||
		       fail(list, "what is in brackets is no IP address");
	}
	return (first.kind == HEADER_WORD &&
		       normalize_domain(list->arena, take_run(list, &first),
			       &address->domain)) ||
	       fail(list, "a domain is malformed");
}

static bool
take_local_part(struct list *list, struct header_address *address)
{
	const struct header_token first = header_next(&list->lexer);

	if (first.kind != HEADER_WORD && first.kind != HEADER_QUOTED &&
		!header_is_special(&first, '.'))
		return fail(list, "an address is malformed");
	address->local = take_run(list, &first);
	if (first.kind == HEADER_QUOTED)
		address->local = header_unquote(list->arena, first.text);
	return is_local_part(address->local) ||
	       fail(list, "a local part is malformed");
}

/* addr-spec; without an "@" it is a bare name. */
static bool
read_address(struct list *list)
{
	struct header_address address = { .is_literal = false };
	struct header_token next;

	if (!take_local_part(list, &address))
		return false;
	next = header_peek(&list->lexer);
	if (!header_is_special(&next, '@')) {
		list->n_bare++;
		return true;
	}
	(void)header_next(&list->lexer);
	if (next.gap.len > 0)
		return fail(list, "there is white space in an address");
	if (!take_domain(list, &address))
		return false;
	if (list->n == HEADER_FROM_ADDRESSES_MAX)
		return fail(list, "there are too many addresses");
	list->addresses[list->n++] = address;
	return true;
}

/* angle-addr, without obs-route */
static bool
read_brackets(struct list *list)
{
	struct header_token token;

	(void)header_next(&list->lexer); /* the "<" */
	token = header_peek(&list->lexer);
	if (header_has_comment(&token))
		return fail(list, "there is a comment in an address");
	if (header_is_special(&token, '@'))
		return fail(list, "there is a route before an address");
	if (header_is_special(&token, '>'))
		list->n_bare++;
	else if (!read_address(list))
		return false;
	token = header_next(&list->lexer);
	if (header_has_comment(&token))
		return fail(list, "there is a comment in an address");
	return header_is_special(&token, '>') ||
	       fail(list, "an address is malformed");
}

/*
 * An address without brackets. Many write one where its name belongs, before
 * the same one in brackets.
 */
static bool
read_bare_address(struct list *list)
{
	const size_t n = list->n;
	struct header_token next;

	if (!read_address(list))
		return false;
	next = header_peek(&list->lexer);
	if (!header_is_special(&next, '<'))
		return true;
	if (!read_brackets(list))
		return false;
	if (list->n != n + 2 || !slice_eq(list->addresses[n].domain,
					list->addresses[n + 1].domain))
		return fail(list, "a name is an address of another domain");
	list->addresses[n] = list->addresses[n + 1];
	list->n--;
	return true;
}

/* --- the list ----------------------------------------------------------- */

/* phrase, with dots, or nothing; the token behind it, which stays there. */
static struct header_token
skip_phrase(struct header_lexer *lexer, size_t *n_words)
{
	struct header_token next = header_peek(lexer);

	for (*n_words = 0;
		next.kind == HEADER_WORD || next.kind == HEADER_QUOTED ||
		header_is_special(&next, '.');
		++*n_words) {
		(void)header_next(lexer);
		next = header_peek(lexer);
	}
	return next;
}

static bool
begin_group(struct list *list)
{
	if (list->is_in_group)
		return fail(list, "there is a group in a group");
	(void)header_next(&list->lexer); /* the ":" */
	list->is_in_group = true;
	list->n_before_group = list->n;
	return true;
}

static bool
end_group(struct list *list)
{
	if (!list->is_in_group)
		return fail(list, "there is a \";\" without a group");
	(void)header_next(&list->lexer);
	list->is_in_group = false;
	if (list->n == list->n_before_group)
		list->n_bare++;
	return true;
}

/* mailbox, or the beginning of a group */
static bool
read_entry(struct list *list)
{
	const struct header_lexer start = list->lexer;
	struct header_token next;
	size_t n_words;

	next = skip_phrase(&list->lexer, &n_words);
	if (header_is_special(&next, '<'))
		return read_brackets(list);
	if (n_words == 0)
		return fail(list, "an address is malformed");
	if (header_is_special(&next, '@')) {
		list->lexer = start;
		return read_bare_address(list);
	}
	if (header_is_special(&next, ':'))
		return begin_group(list);
	list->n_bare++;
	return true;
}

/* One after the other: what may stand there next is a matter of the last. */
static bool
read_list(struct list *list)
{
	bool needs_comma = false;

	for (;;) {
		const struct header_token next = header_peek(&list->lexer);

		if (next.kind == HEADER_END)
			break;
		if (header_is_special(&next, ',')) {
			(void)header_next(&list->lexer);
			needs_comma = false;
		} else if (header_is_special(&next, ';')) {
			if (!end_group(list))
				return false;
			needs_comma = true;
		} else {
			const bool was_in_group = list->is_in_group;

			if (needs_comma)
				return fail(list,
					"there is something behind an address");
			if (!read_entry(list))
				return false;
			needs_comma = was_in_group == list->is_in_group;
		}
	}
	return !list->is_in_group || fail(list, "a group does not end");
}

static bool
read_value(struct list *list, struct arena *arena, struct slice value)
{
	*list = (struct list){ .arena = arena,
		.lexer = header_lexer(value, HEADER_SPECIALS_ADDRESS) };
	if (!read_list(list))
		return false;
	return list->n == 0 || list->n_bare == 0 ||
	       fail(list, "there is a name without an address");
}

/* --- what others could see ---------------------------------------------- */

static bool
has_domain(const struct list *list, struct slice text)
{
	struct slice domain;

	if (!normalize_domain(list->arena, text, &domain))
		return false;
	for (size_t i = 0; i < list->n; i++)
		if (slice_eq(list->addresses[i].domain, domain))
			return true;
	return false;
}

static bool
may_be_in_domain(char c)
{
	return is_host_byte(c) || (c >= 'A' && c <= 'Z') ||
	       (unsigned char)c > 0x7f;
}

/* What could be the domain behind an "@"; "" if it has no dot. */
static struct slice
domain_at(struct slice text, size_t at)
{
	size_t end = at;

	while (end < text.len && may_be_in_domain(text.ptr[end]))
		end++;
	text = slice_part(text, at, end);
	while (slice_ends(text, SLICE(".")))
		text.len--;
	return slice_has_byte(text, '.') ? text : SLICE("");
}

/* Whether an address is in a text that is none of the list's domains. */
static bool
mentions_other(const struct list *list, struct slice text)
{
	for (size_t at = 0; at < text.len; at++) {
		const struct slice domain = text.ptr[at] == '@'
						    ? domain_at(text, at + 1)
						    : SLICE("");

		if (domain.len > 0 && !has_domain(list, domain))
			return true;
	}
	return false;
}

/* Whether there is a "<" where no program should look for an address. */
static bool
has_hidden_bracket(struct slice value)
{
	struct header_lexer lexer =
		header_lexer(value, HEADER_SPECIALS_ADDRESS);
	struct header_token token;

	do {
		token = header_next(&lexer);
		if (slice_has_byte(token.gap, '<') ||
			(token.kind == HEADER_QUOTED &&
				slice_has_byte(token.text, '<')))
			return true;
	} while (token.kind != HEADER_END && token.kind != HEADER_MALFORMED);
	return false;
}

/* For programs that heed neither quotes nor comments. */
static bool
check_brackets(struct list *list, struct slice value)
{
	return !has_hidden_bracket(value) || !mentions_other(list, value) ||
	       fail(list, "a name or a comment holds another address");
}

static bool
has_control_character(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '\t' && ((unsigned char)text.ptr[i] < ' ' ||
						   text.ptr[i] == 0x7f))
			return true;
	return false;
}

static bool
is_balanced(struct slice text)
{
	size_t depth = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '(')
			depth++;
		else if (text.ptr[i] == ')' && depth-- == 0)
			return false;
	}
	return depth == 0;
}

/* Whether decoded words may end, or begin, what they or others stand in. */
static bool
breaks_out(struct slice words)
{
	return slice_has_byte(words, '<') || slice_has_byte(words, '"') ||
	       slice_has_byte(words, '\\') || !is_balanced(words);
}

/* What of decoded words could be entries of a list. */
static struct slice
separate_part(struct slice words)
{
	size_t end = words.len;

	while (end > 0 && strchr(",;>", words.ptr[end - 1]) == NULL)
		end--;
	return slice_part(words, 0, end);
}

static bool
is_same_list(const struct list *a, const struct list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!slice_eq(a->addresses[i].domain, b->addresses[i].domain))
			return false;
	return true;
}

static bool
check_decoded(struct list *list, struct slice whole, struct slice words)
{
	struct list other;
	bool is_other;

	if (has_control_character(words))
		return fail(list, "there is an encoded control character");
	if (read_value(&other, list->arena, whole))
		is_other = !is_same_list(list, &other) ||
			   !check_brackets(list, whole);
	else
		is_other = mentions_other(list,
			breaks_out(words) ? whole : separate_part(words));
	return !is_other || fail(list, "an encoded word holds another address");
}

/* As programs see it that decode first. */
static bool
check_encoded_words(struct list *list, struct slice value)
{
	struct str whole, words;
	bool is_good;

	if (!encoded_word_is_in(value))
		return true;
	str_init(&whole, HEADER_FROM_BYTES_MAX);
	str_init(&words, HEADER_FROM_BYTES_MAX);
	is_good = encoded_word_decode(value, &whole, &words)
			  ? check_decoded(list, str_slice(&whole),
				    str_slice(&words))
			  : fail(list, "there is an encoded word in UTF-7");
	str_free(&whole);
	str_free(&words);
	return is_good;
}

/* --- the field ---------------------------------------------------------- */

static void
refuse(struct header_from *out, enum header_from_status status, const char *err)
{
	out->status = status;
	out->err = err;
}

static void
read_field(struct arena *arena, struct slice value, struct header_from *out)
{
	struct list list;

	if (value.len > HEADER_FROM_BYTES_MAX)
		refuse(out, HEADER_FROM_MALFORMED, "it is too long");
	else if (!read_value(&list, arena, value) ||
		 !check_brackets(&list, value) ||
		 !check_encoded_words(&list, value))
		refuse(out, HEADER_FROM_MALFORMED, list.err);
	else if (list.n == 0)
		refuse(out, HEADER_FROM_NO_ADDRESS, "there is no address");
	else {
		memcpy(out->addresses, list.addresses, sizeof(list.addresses));
		out->n = list.n;
		if (list.n > 1)
			refuse(out, HEADER_FROM_SEVERAL,
				"there are several addresses");
	}
}

void
header_from_read(struct arena *arena, const struct slice *values,
	size_t n_values, struct header_from *out)
{
	*out = (struct header_from){ .status = HEADER_FROM_ONE };
	if (n_values == 0)
		refuse(out, HEADER_FROM_NO_FIELD, "there is no From");
	else if (n_values > 1)
		refuse(out, HEADER_FROM_FIELDS, "there are several From");
	else
		read_field(arena, values[0], out);
}

struct slice
header_from_domain(const struct header_from *from)
{
	for (size_t i = 1; i < from->n; i++)
		if (!slice_eq(from->addresses[i].domain,
			    from->addresses[0].domain))
			return SLICE("");
	return from->n > 0 && !from->addresses[0].is_literal
		       ? from->addresses[0].domain
		       : SLICE("");
}
