#include "policyd/ctl/restrictions.h"

#include <string.h>

#include "common/base/mem.h"
#include "policyd/ctl/postconf.h"

#define DEPTH_MAX 8    /* classes within classes */
#define READ_MAX  4096 /* words, those of empty classes, too */

static bool
is_separator(char c)
{
	return c == ' ' || c == ',' || c == '\t' || c == '\r' || c == '\n';
}

bool
restrictions_next_word(struct slice *rest, struct slice *word)
{
	size_t start = 0, end, level = 0;

	while (start < rest->len && is_separator(rest->ptr[start]))
		start++;
	for (end = start; end < rest->len; end++) {
		const char c = rest->ptr[end];

		if (c == '{')
			level++;
		else if (c == '}' && level > 0)
			level--;
		else if (level == 0 && is_separator(c))
			break;
	}
	*word = slice_part(*rest, start, end);
	*rest = slice_from(*rest, end);
	return word->len > 0;
}

/* --- words -------------------------------------------------------------- */

static bool
is_one_of(struct slice word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (slice_case_eq(word, slice_of(*words)))
			return true;
	return false;
}

/* "check_..._access type:table", "reject_rbl_client domain" */
static bool
has_argument(struct slice word)
{
	static const char *const words[] = { "reject_rbl_client",
		"reject_rhsbl_client", "reject_rhsbl_helo",
		"reject_rhsbl_recipient", "reject_rhsbl_reverse_client",
		"reject_rhsbl_sender", "permit_dnswl_client",
		"permit_rhswl_client", "sleep", NULL };

	return is_one_of(word, words) ||
	       (slice_case_eq(slice_part(word, 0, 6), SLICE("check_")) &&
		       !slice_case_eq(word, SLICE("check_relay_domains")));
}

/*
 * permit_dnswl_client and its like are no RESTRICTION_PERMIT: to let the
 * listed ones pass everything else is what they are for.
 */
static enum restriction_kind
kind_of(struct slice word)
{
	static const char *const permits[] = { "permit_mynetworks",
		"permit_sasl_authenticated", "permit_tls_clientcerts",
		"permit_tls_all_clientcerts", "permit_inet_interfaces",
		"permit_naked_ip_address", "permit_auth_destination",
		"permit_mx_backup", NULL };
	static const char *const ends[] = { "permit", "reject", "defer", NULL };

	if (slice_case_eq(word, SLICE("check_policy_service")))
		return RESTRICTION_POLICY;
	if (is_one_of(word, permits))
		return RESTRICTION_PERMIT;
	return is_one_of(word, ends) ? RESTRICTION_END : RESTRICTION_OTHER;
}

/* --- the list ----------------------------------------------------------- */

struct reader {
	struct restrictions *out;
	const struct postconf *postconf;
	const struct postconf_service *service;
	size_t n_read;
};

/* From the first byte of a to the last of b, which is behind it. */
static struct slice
span(struct slice a, struct slice b)
{
	return (struct slice){ a.ptr, (size_t)(b.ptr + b.len - a.ptr) };
}

static bool
next_step(struct slice *rest, struct restriction *out)
{
	struct slice first, word;

	memset(out, 0, sizeof(*out));
	if (!restrictions_next_word(rest, &first))
		return false;
	word = first;
	out->is_only_warned = slice_case_eq(word, SLICE("warn_if_reject"));
	if (out->is_only_warned && !restrictions_next_word(rest, &word))
		word = first;
	out->word = word;
	out->text = span(first, word);
	out->kind = kind_of(word);
	out->value = SLICE("");
	if (has_argument(word) && restrictions_next_word(rest, &out->value))
		out->text = span(first, out->value);
	return true;
}

static bool
find_class(const struct reader *reader, struct slice word, struct slice *list)
{
	struct slice rest = postconf_value(reader->postconf, reader->service,
		"smtpd_restriction_classes");
	struct slice name;
	char text[128];

	while (restrictions_next_word(&rest, &name)) {
		if (!slice_eq(name, word) || name.len >= sizeof(text))
			continue;
		memcpy(text, name.ptr, name.len);
		text[name.len] = '\0';
		*list = postconf_value(reader->postconf, reader->service, text);
		return true;
	}
	return false;
}

static void
read_list(struct reader *reader, struct slice list, unsigned depth)
{
	struct restrictions *out = reader->out;
	struct restriction step;
	struct slice class;

	while (out->n < RESTRICTIONS_MAX && out->n_tops < RESTRICTIONS_MAX &&
		reader->n_read++ < READ_MAX && next_step(&list, &step)) {
		if (depth == 0)
			out->tops[out->n_tops++] = step.text;
		step.top = out->n_tops - 1;
		if (depth < DEPTH_MAX && find_class(reader, step.word, &class))
			read_list(reader, class, depth + 1);
		else
			out->steps[out->n++] = step;
	}
}

struct restrictions
restrictions_parse(struct arena *arena, struct slice list,
	const struct postconf *postconf, const struct postconf_service *service)
{
	struct restriction steps[RESTRICTIONS_MAX];
	struct slice tops[RESTRICTIONS_MAX];
	struct restrictions out = { .steps = steps, .tops = tops };
	struct reader reader = { &out, postconf, service, 0 };

	read_list(&reader, list, 0);
	out.steps = arena_new_array(arena, out.n, struct restriction);
	out.tops = arena_new_array(arena, out.n_tops, struct slice);
	if (out.n > 0)
		memcpy(out.steps, steps, out.n * sizeof(steps[0]));
	if (out.n_tops > 0)
		memcpy(out.tops, tops, out.n_tops * sizeof(tops[0]));
	return out;
}

/* --- check_policy_service ----------------------------------------------- */

/* "{ a, b }" without its braces. */
static struct slice
within_braces(struct slice value)
{
	if (value.len >= 2 && value.ptr[0] == '{' &&
		value.ptr[value.len - 1] == '}')
		return slice_trim(slice_part(value, 1, value.len - 1));
	return value;
}

struct slice
restriction_server(const struct restriction *restriction)
{
	struct slice rest = within_braces(restriction->value), word;

	return restrictions_next_word(&rest, &word) ? word : SLICE("");
}

bool
restriction_attribute(const struct restriction *restriction, const char *name,
	struct slice *out)
{
	struct slice rest = within_braces(restriction->value), word;

	if (!restrictions_next_word(&rest, &word))
		return false;
	while (restrictions_next_word(&rest, &word)) {
		const struct slice pair = within_braces(word);
		const ptrdiff_t equals = slice_find(pair, '=');

		if (equals < 0 || !slice_eq_text(slice_trim(slice_part(pair, 0,
							 (size_t)equals)),
					  name))
			continue;
		*out = slice_trim(slice_from(pair, (size_t)equals + 1));
		return true;
	}
	return false;
}
