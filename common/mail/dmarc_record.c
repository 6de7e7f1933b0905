#include "common/mail/dmarc_record.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"

/* RFC 7489, 6.3. */
#define PCT_DEFAULT 100u
#define RI_DEFAULT  86400u

struct parse {
	struct arena *arena;
	struct dmarc_record *out;
	bool has_p;
	bool has_bad_policy; /* a "p", "sp" or "np" that cannot be read */
};

const char *
dmarc_policy_name(enum dmarc_policy policy)
{
	switch (policy) {
	case DMARC_POLICY_NONE:
		return "none";
	case DMARC_POLICY_QUARANTINE:
		return "quarantine";
	case DMARC_POLICY_REJECT:
		return "reject";
	}
	return "";
}

/* Takes "name = value" apart; false when it is no tag. */
static bool
split_tag(struct slice text, struct slice *name, struct slice *value)
{
	const ptrdiff_t equals = slice_find(text, '=');

	if (equals < 0)
		return false;
	*name = slice_trim(slice_part(text, 0, (size_t)equals));
	*value = slice_trim(slice_from(text, (size_t)equals + 1));
	return true;
}

bool
dmarc_record_is(struct slice text)
{
	struct slice first, name, value;

	return slice_split(&text, ';', &first) &&
	       split_tag(first, &name, &value) &&
	       slice_case_eq(name, SLICE("v")) &&
	       slice_eq_text(value, "DMARC1");
}

/* --- words -------------------------------------------------------------- */

struct word {
	struct slice text;
	int value;
};

static bool
read_word(struct slice text, const struct word *words, size_t n, int *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!slice_case_eq(text, words[i].text))
			continue;
		*out = words[i].value;
		return true;
	}
	return false;
}

static bool
read_policy(struct parse *parse, struct slice value, enum dmarc_policy *out)
{
	static const struct word words[] = {
		{ SLICE_INIT("none"), DMARC_POLICY_NONE },
		{ SLICE_INIT("quarantine"), DMARC_POLICY_QUARANTINE },
		{ SLICE_INIT("reject"), DMARC_POLICY_REJECT },
	};
	int found;

	if (!read_word(value, words, 3, &found)) {
		parse->has_bad_policy = true;
		return false;
	}
	*out = (enum dmarc_policy)found;
	return true;
}

/* The second word is what is not the default; otherwise *out stays. */
static void
read_flag(struct slice value, struct slice no, struct slice yes, bool *out)
{
	const struct word words[] = { { no, false }, { yes, true } };
	int found;

	if (read_word(value, words, 2, &found))
		*out = found != 0;
}

/* --- addresses for reports ---------------------------------------------- */

/* A letter, a digit or one of the others. */
static bool
is_one_of(char c, struct slice others)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || slice_has_byte(others, c);
}

static bool
is_made_of(struct slice text, struct slice others)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_one_of(text.ptr[i], others))
			return false;
	return text.len > 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of a "%XX" at a position, or -1. */
static int
read_percent(struct slice text, size_t at)
{
	int high, low;

	if (at + 2 >= text.len)
		return -1;
	high = hex_value(text.ptr[at + 1]);
	low = hex_value(text.ptr[at + 2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* RFC 3986, 2, without what has to be encoded here. */
static bool
is_uri_text(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '%' && read_percent(text, i) < 0)
			return false;
	return is_made_of(text, SLICE("%-._~:/?#[]@$&'()*+;="));
}

/* RFC 3986, 3.1. */
static bool
is_scheme(struct slice text)
{
	return is_made_of(text, SLICE("+-.")) &&
	       !slice_has_byte(SLICE("+-.0123456789"), text.ptr[0]);
}

/* RFC 7489, 6.4: digits and a letter for a power of 1024. */
static bool
read_size(struct slice text, uint64_t *out)
{
	static const struct word units[] = { { SLICE_INIT("k"), 10 },
		{ SLICE_INIT("m"), 20 }, { SLICE_INIT("g"), 30 },
		{ SLICE_INIT("t"), 40 } };
	const size_t end = text.len > 0 ? text.len - 1 : 0;
	int shift = 0;

	if (read_word(slice_from(text, end), units, 4, &shift))
		text = slice_part(text, 0, end);
	if (!num_parse_u64(text, UINT64_MAX >> 40, out))
		return false;
	*out <<= shift;
	return true;
}

static bool
decode(struct slice text, char out[DMARC_ADDRESS_MAX], size_t *len)
{
	*len = 0;
	for (size_t i = 0; i < text.len; i++) {
		const bool is_percent = text.ptr[i] == '%';

		if (*len == DMARC_ADDRESS_MAX)
			return false;
		out[(*len)++] =
			is_percent ? (char)read_percent(text, i) : text.ptr[i];
		i += is_percent ? 2 : 0;
	}
	return true;
}

/*
 * An address that can go into a header and an envelope as it is: whoever
 * quotes his local part gets no reports.
 */
static bool
is_address(struct slice text)
{
	const ptrdiff_t at = slice_find_last(text, '@');

	return at > 0 &&
	       is_made_of(slice_part(text, 0, (size_t)at),
		       SLICE("!#$%&'*+-/=?^_`{|}~.")) &&
	       is_made_of(slice_from(text, (size_t)at + 1), SLICE("-._"));
}

struct uri_list {
	struct dmarc_uri *items;
	size_t n;
	bool has_any; /* of any scheme */
};

static void
keep_address(struct parse *parse, struct uri_list *list, struct slice path,
	uint64_t size_max)
{
	const ptrdiff_t fields = slice_find(path, '?');
	char address[DMARC_ADDRESS_MAX];
	size_t len;

	if (fields >= 0)
		path = slice_part(path, 0, (size_t)fields);
	if (list->n == DMARC_URIS_MAX || !decode(path, address, &len) ||
		!is_address((struct slice){ address, len }))
		return;
	list->items[list->n].address =
		slice_copy(parse->arena, (struct slice){ address, len });
	list->items[list->n++].size_max = size_max;
}

static void
read_uri(struct parse *parse, struct slice text, struct uri_list *list)
{
	struct slice rest = text, uri, scheme;
	uint64_t size_max = 0;

	(void)slice_split(&rest, '!', &uri);
	if (rest.ptr != NULL && !read_size(rest, &size_max))
		return;
	rest = uri;
	(void)slice_split(&rest, ':', &scheme);
	if (!is_scheme(scheme) || !is_uri_text(rest))
		return;
	list->has_any = true;
	if (slice_case_eq(scheme, SLICE("mailto")))
		keep_address(parse, list, rest, size_max);
}

static struct uri_list
read_uris(struct parse *parse, struct slice value)
{
	struct uri_list list = { .items = arena_new_array(parse->arena,
					 DMARC_URIS_MAX, struct dmarc_uri) };
	struct slice text;

	while (slice_split(&value, ',', &text))
		read_uri(parse, slice_trim(text), &list);
	return list;
}

/* --- tags --------------------------------------------------------------- */

static void
read_p(struct parse *parse, struct slice value)
{
	parse->has_p = read_policy(parse, value, &parse->out->p);
}

static void
read_sp(struct parse *parse, struct slice value)
{
	parse->out->has_sp = read_policy(parse, value, &parse->out->sp);
}

static void
read_np(struct parse *parse, struct slice value)
{
	parse->out->has_np = read_policy(parse, value, &parse->out->np);
}

static void
read_adkim(struct parse *parse, struct slice value)
{
	read_flag(value, SLICE("r"), SLICE("s"), &parse->out->is_dkim_strict);
}

static void
read_aspf(struct parse *parse, struct slice value)
{
	read_flag(value, SLICE("r"), SLICE("s"), &parse->out->is_spf_strict);
}

static void
read_t(struct parse *parse, struct slice value)
{
	read_flag(value, SLICE("n"), SLICE("y"), &parse->out->is_test);
}

static void
read_psd(struct parse *parse, struct slice value)
{
	static const struct word words[] = {
		{ SLICE_INIT("u"), DMARC_PSD_UNKNOWN },
		{ SLICE_INIT("y"), DMARC_PSD_YES },
		{ SLICE_INIT("n"), DMARC_PSD_NO },
	};
	int found;

	if (read_word(value, words, 3, &found))
		parse->out->psd = (enum dmarc_psd)found;
}

/*
 * As RFC 7489 has it 0 and 1 may stand there together, which RFC 9989 does not
 * allow any more; 1 asks for more.
 */
static void
read_fo(struct parse *parse, struct slice value)
{
	static const struct word words[] = {
		{ SLICE_INIT("0"), DMARC_FO_ALL },
		{ SLICE_INIT("1"), DMARC_FO_ANY },
		{ SLICE_INIT("d"), DMARC_FO_DKIM },
		{ SLICE_INIT("s"), DMARC_FO_SPF },
	};
	struct slice option;
	unsigned flags = 0;
	int found;

	while (slice_split(&value, ':', &option)) {
		if (!read_word(slice_trim(option), words, 4, &found))
			return;
		flags |= (unsigned)found;
	}
	parse->out->fo = flags;
}

static void
read_rua(struct parse *parse, struct slice value)
{
	const struct uri_list list = read_uris(parse, value);

	parse->out->rua = list.items;
	parse->out->n_rua = list.n;
	parse->out->has_rua = list.has_any;
}

static void
read_ruf(struct parse *parse, struct slice value)
{
	const struct uri_list list = read_uris(parse, value);

	parse->out->ruf = list.items;
	parse->out->n_ruf = list.n;
}

static void
read_pct(struct parse *parse, struct slice value)
{
	uint64_t number;

	if (num_parse_u64(value, PCT_DEFAULT, &number))
		parse->out->pct = (unsigned)number;
}

static void
read_ri(struct parse *parse, struct slice value)
{
	uint64_t number;

	if (num_parse_u64(value, UINT32_MAX, &number))
		parse->out->ri = (uint32_t)number;
}

/*
 * Without "rf": the one format of failure reports that there is in both RFCs
 * is its default.
 */
static const struct {
	struct slice name;
	void (*read)(struct parse *parse, struct slice value);
} tags[] = {
	{ SLICE_INIT("p"), read_p },
	{ SLICE_INIT("sp"), read_sp },
	{ SLICE_INIT("np"), read_np },
	{ SLICE_INIT("adkim"), read_adkim },
	{ SLICE_INIT("aspf"), read_aspf },
	{ SLICE_INIT("fo"), read_fo },
	{ SLICE_INIT("rua"), read_rua },
	{ SLICE_INIT("ruf"), read_ruf },
	{ SLICE_INIT("psd"), read_psd },
	{ SLICE_INIT("t"), read_t },
	{ SLICE_INIT("pct"), read_pct },
	{ SLICE_INIT("ri"), read_ri },
};
#define TAG_COUNT (sizeof(tags) / sizeof(tags[0]))

/* --- the record --------------------------------------------------------- */

static void
read_tags(struct parse *parse, struct slice text)
{
	bool is_seen[TAG_COUNT] = { false };
	struct slice part, name, value;

	while (slice_split(&text, ';', &part)) {
		if (!split_tag(part, &name, &value))
			continue;
		for (size_t i = 0; i < TAG_COUNT; i++) {
			if (is_seen[i] || !slice_case_eq(name, tags[i].name))
				continue;
			is_seen[i] = true;
			tags[i].read(parse, value);
		}
	}
}

/* RFC 9989, 4.7 of "sp" and "np", and 4.10.1. */
static void
settle_policies(struct parse *parse)
{
	struct dmarc_record *out = parse->out;

	if (parse->has_bad_policy || !parse->has_p) {
		out->p = DMARC_POLICY_NONE;
		out->has_sp = out->has_np = false;
	}
	if (!out->has_sp)
		out->sp = out->p;
	if (!out->has_np)
		out->np = out->sp;
}

int
dmarc_record_parse(struct arena *arena, struct slice text,
	struct dmarc_record *out, const char **err)
{
	struct parse parse = { .arena = arena, .out = out };

	*out = (struct dmarc_record){ .fo = DMARC_FO_ALL,
		.pct = PCT_DEFAULT,
		.ri = RI_DEFAULT };
	*err = NULL;
	if (text.len > DMARC_RECORD_MAX) {
		*err = "the record is too long";
		return -1;
	}
	read_tags(&parse, text);
	settle_policies(&parse);
	if (out->has_rua || (parse.has_p && !parse.has_bad_policy))
		return 0;
	*err = parse.has_bad_policy
		       ? "one of its policies is not none, quarantine or reject"
		       : "it has no policy, and nobody wants a report";
	return -1;
}
