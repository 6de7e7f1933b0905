#include "common/mail/spf_record.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/spf_macro.h"

#define VERSION "v=spf1"

/* A longer term is permerror: a name is cut to 253 bytes anyway. */
#define TERM_MAX 512u

#define PREFIX_V4_MAX 32u
#define PREFIX_V6_MAX 128u

struct parse {
	struct arena *arena;
	struct spf_record *out;
	struct spf_term *terms;
	const char *err;
};

const char *
spf_result_name(enum spf_result result)
{
	switch (result) {
	case SPF_NONE:
		return "none";
	case SPF_NEUTRAL:
		return "neutral";
	case SPF_PASS:
		return "pass";
	case SPF_FAIL:
		return "fail";
	case SPF_SOFTFAIL:
		return "softfail";
	case SPF_TEMPERROR:
		return "temperror";
	case SPF_PERMERROR:
		return "permerror";
	}
	return "";
}

bool
spf_record_is(struct slice text)
{
	const size_t len = sizeof(VERSION) - 1;

	return text.len >= len &&
	       slice_case_eq(slice_part(text, 0, len), SLICE(VERSION)) &&
	       (text.len == len || text.ptr[len] == ' ');
}

/* What is wrong, with the term as far as it can be shown. */
static bool
fail(struct parse *parse, struct slice term, const char *what)
{
	struct str shown;

	str_init(&shown, TERM_MAX);
	str_append_json(&shown, term);
	parse->err = arena_printf(parse->arena, "%s: %.*s", what,
		SLICE_ARG(str_slice(&shown)));
	str_free(&shown);
	return false;
}

/* --- lengths of prefixes ------------------------------------------------ */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Takes separator and digits from the end of *text, if they are there: false
 * when the number is too large, or has a zero before it.
 */
static bool
take_prefix(struct slice *text, struct slice separator, unsigned max,
	unsigned *out)
{
	size_t n = 0;
	struct slice before, digits;
	uint64_t number;

	*out = max;
	while (n < text->len && is_digit(text->ptr[text->len - n - 1]))
		n++;
	before = slice_part(*text, 0, text->len - n);
	digits = slice_from(*text, text->len - n);
	if (n == 0 || !slice_ends(before, separator))
		return true;
	if ((n > 1 && digits.ptr[0] == '0') ||
		!num_parse_u64(digits, max, &number))
		return false;
	*out = (unsigned)number;
	*text = slice_part(before, 0, before.len - separator.len);
	return true;
}

/* dual-cidr-length (5.6) */
static bool
take_prefixes(struct slice *text, struct spf_term *term)
{
	return take_prefix(text, SLICE("//"), PREFIX_V6_MAX,
		       &term->prefix_v6) &&
	       take_prefix(text, SLICE("/"), PREFIX_V4_MAX, &term->prefix_v4);
}

/* --- mechanisms --------------------------------------------------------- */

/* What is behind the name, with its separator. */
typedef bool argument_fn(struct slice argument, struct spf_term *term);

static bool
read_nothing(struct slice argument, struct spf_term *term)
{
	(void)term;
	return argument.len == 0;
}

static bool
read_domain(struct slice argument, struct spf_term *term)
{
	if (!slice_starts(argument, SLICE(":")))
		return false;
	term->domain_spec = slice_from(argument, 1);
	return spf_macro_is_domain_spec(term->domain_spec);
}

static bool
read_domain_or_nothing(struct slice argument, struct spf_term *term)
{
	return argument.len == 0 || read_domain(argument, term);
}

static bool
read_domain_and_prefixes(struct slice argument, struct spf_term *term)
{
	return take_prefixes(&argument, term) &&
	       read_domain_or_nothing(argument, term);
}

/*
 * An address literally: one that is mapped to IPv6 stays an IPv6 one here,
 * which no client has (5: such a client is an IPv4 one).
 */
static bool
read_network(struct slice text, enum ip_family family, unsigned prefix_length,
	struct network *out)
{
	char copy[INET6_ADDRSTRLEN];
	struct ip ip = { .family = family };

	if (text.len >= sizeof(copy) || slice_has_byte(text, '\0'))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (inet_pton(family == IP_V4 ? AF_INET : AF_INET6, copy, ip.bytes) !=
		1)
		return false;
	*out = network_of(&ip, prefix_length);
	return true;
}

static bool
read_ip4(struct slice argument, struct spf_term *term)
{
	return slice_starts(argument, SLICE(":")) &&
	       take_prefix(&argument, SLICE("/"), PREFIX_V4_MAX,
		       &term->prefix_v4) &&
	       read_network(slice_from(argument, 1), IP_V4, term->prefix_v4,
		       &term->network);
}

static bool
read_ip6(struct slice argument, struct spf_term *term)
{
	return slice_starts(argument, SLICE(":")) &&
	       take_prefix(&argument, SLICE("/"), PREFIX_V6_MAX,
		       &term->prefix_v6) &&
	       read_network(slice_from(argument, 1), IP_V6, term->prefix_v6,
		       &term->network);
}

static const struct {
	const char *name;
	enum spf_mechanism mechanism;
	argument_fn *read;
} mechanisms[] = {
	{ "all", SPF_ALL, read_nothing },
	{ "include", SPF_INCLUDE, read_domain },
	{ "a", SPF_A, read_domain_and_prefixes },
	{ "mx", SPF_MX, read_domain_and_prefixes },
	{ "ptr", SPF_PTR, read_domain_or_nothing },
	{ "ip4", SPF_IP4, read_ip4 },
	{ "ip6", SPF_IP6, read_ip6 },
	{ "exists", SPF_EXISTS, read_domain },
};

/* Without a qualifier: "+". */
static enum spf_result
take_qualifier(struct slice *text)
{
	enum spf_result result = SPF_PASS;

	if (text->len == 0)
		return result;
	switch (text->ptr[0]) {
	case '+':
		break;
	case '-':
		result = SPF_FAIL;
		break;
	case '~':
		result = SPF_SOFTFAIL;
		break;
	case '?':
		result = SPF_NEUTRAL;
		break;
	default:
		return result;
	}
	*text = slice_from(*text, 1);
	return result;
}

static size_t
length_of_name(struct slice text)
{
	size_t n = 0;

	while (n < text.len && text.ptr[n] != ':' && text.ptr[n] != '/')
		n++;
	return n;
}

static bool
read_directive(struct parse *parse, struct slice text)
{
	struct spf_term *term = &parse->terms[parse->out->n_terms];
	struct slice rest = text, name;

	term->text = text;
	term->result = take_qualifier(&rest);
	name = slice_part(rest, 0, length_of_name(rest));
	rest = slice_from(rest, name.len);
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]);
		i++) {
		if (!slice_case_eq(name, slice_of(mechanisms[i].name)))
			continue;
		term->mechanism = mechanisms[i].mechanism;
		if (!mechanisms[i].read(rest, term))
			return fail(parse, text, "a term is malformed");
		parse->out->n_terms++;
		return true;
	}
	return fail(parse, text, "there is no such mechanism");
}

/* --- modifiers ---------------------------------------------------------- */

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) before an "=" */
static bool
is_modifier(struct slice text, size_t *equals)
{
	const ptrdiff_t at = slice_find(text, '=');

	if (at <= 0)
		return false;
	for (size_t i = 0; i < (size_t)at; i++) {
		const char c = text.ptr[i];
		const bool is_alpha =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_alpha && (i == 0 || (!is_digit(c) && c != '-' &&
						    c != '_' && c != '.')))
			return false;
	}
	*equals = (size_t)at;
	return true;
}

/* RFC 7208, 6: both only once, wherever they stand. */
static bool
read_own_modifier(struct parse *parse, struct slice text, struct slice value,
	struct slice *out)
{
	if (out->len > 0)
		return fail(parse, text, "a modifier stands there twice");
	if (!spf_macro_is_domain_spec(value))
		return fail(parse, text, "a modifier is malformed");
	*out = value;
	return true;
}

static bool
read_modifier(struct parse *parse, struct slice text, size_t equals)
{
	const struct slice name = slice_part(text, 0, equals);
	const struct slice value = slice_from(text, equals + 1);

	if (slice_case_eq(name, SLICE("redirect"))) {
		parse->out->redirect_text = text;
		return read_own_modifier(parse, text, value,
			&parse->out->redirect);
	}
	if (slice_case_eq(name, SLICE("exp")))
		return read_own_modifier(parse, text, value, &parse->out->exp);
	if (!spf_macro_is_valid(value, SPF_MACRO_IN_DOMAIN))
		return fail(parse, text, "a modifier is malformed");
	return true;
}

/* --- the record --------------------------------------------------------- */

static bool
read_term(struct parse *parse, struct slice text)
{
	size_t equals;

	if (text.len > TERM_MAX)
		return fail(parse, slice_part(text, 0, 40),
			"a term is too long");
	if (is_modifier(text, &equals))
		return read_modifier(parse, text, equals);
	if (parse->out->n_terms == SPF_TERMS_MAX)
		return fail(parse, text, "there are too many terms, from");
	return read_directive(parse, text);
}

/* Terms are kept apart by blanks, one or more; nothing else will do. */
static size_t
count_terms(struct slice text)
{
	size_t n = 0;

	for (size_t i = 1; i < text.len; i++)
		n += text.ptr[i - 1] == ' ' && text.ptr[i] != ' ';
	return n < SPF_TERMS_MAX ? n : SPF_TERMS_MAX;
}

int
spf_record_parse(struct arena *arena, struct slice text, struct spf_record *out,
	const char **err)
{
	struct parse parse = { .arena = arena, .out = out };
	struct slice rest = slice_from(text, sizeof(VERSION) - 1), term;

	memset(out, 0, sizeof(*out));
	if (text.len > SPF_RECORD_MAX) {
		*err = "the record is too long";
		return -1;
	}
	parse.terms =
		arena_new_array(arena, count_terms(rest), struct spf_term);
	out->terms = parse.terms;
	while (slice_split(&rest, ' ', &term)) {
		if (term.len > 0 && !read_term(&parse, term)) {
			*err = parse.err;
			return -1;
		}
	}
	return 0;
}
