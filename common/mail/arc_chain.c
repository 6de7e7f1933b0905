#include "common/mail/arc_chain.h"

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/address.h"
#include "common/mail/header_token.h"
#include "common/mail/tag_list.h"

/* RFC 6376, 3.5: at most so many digits of t=. */
#define TIME_MAX UINT64_C(999999999999)

struct builder {
	struct arena *arena;
	struct arc_chain *out;
	/* Which fields are there. */
	bool has[ARC_INSTANCES_MAX][ARC_KIND_COUNT];
};

static const char *const names[] = {
	[ARC_RESULTS] = "ARC-Authentication-Results",
	[ARC_MESSAGE] = "ARC-Message-Signature",
	[ARC_SEAL] = "ARC-Seal",
};

bool
arc_kind_of(struct slice name, enum arc_kind *out)
{
	for (size_t i = 0; i < ARC_KIND_COUNT; i++) {
		if (slice_case_eq(name, slice_of(names[i]))) {
			*out = (enum arc_kind)i;
			return true;
		}
	}
	return false;
}

static bool
fail(struct builder *builder, const char *what)
{
	builder->out->err = what;
	return false;
}

static bool
fail_at(struct builder *builder, size_t instance, enum arc_kind kind,
	const char *what)
{
	return fail(builder,
		arena_printf(builder->arena, "%s of instance %zu %s",
			names[kind], instance, what));
}

/* The set that a field belongs to, unless it has one of that kind already. */
static bool
find_set(struct builder *builder, struct slice instance, enum arc_kind kind,
	size_t *at)
{
	uint64_t number;

	if (!num_parse_u64(instance, ARC_INSTANCES_MAX, &number) || number == 0)
		return fail(builder, "an instance is malformed");
	*at = (size_t)number - 1;
	if (builder->has[*at][kind])
		return fail_at(builder, *at + 1, kind, "is there twice");
	builder->has[*at][kind] = true;
	if (builder->out->n < number)
		builder->out->n = (size_t)number;
	return true;
}

/* --- ARC-Authentication-Results ----------------------------------------- */

/* instance [CFWS] ";" (4.1.1), and what is behind it. */
static bool
read_instance(struct slice value, struct slice *instance, struct slice *rest)
{
	struct header_lexer lexer = header_lexer(value, HEADER_SPECIALS_MIME);
	struct header_token token = header_next(&lexer);

	if (!slice_case_eq(token.text, SLICE("i")))
		return false;
	token = header_next(&lexer);
	if (!header_is_special(&token, '='))
		return false;
	token = header_next(&lexer);
	*instance = token.text;
	token = header_next(&lexer);
	*rest = lexer.rest;
	return header_is_special(&token, ';');
}

static bool
add_results(struct builder *builder, struct slice value)
{
	struct slice instance, rest;
	size_t at;

	if (!read_instance(value, &instance, &rest))
		return fail(builder, "an instance is malformed");
	if (!find_set(builder, instance, ARC_RESULTS, &at))
		return false;
	builder->out->sets[at].results = rest;
	builder->out->sets[at].results_field = value;
	return true;
}

/* --- signatures --------------------------------------------------------- */

/* "" if there is none. */
static struct slice
tag_of(const struct tag_list *tags, const char *name)
{
	const struct slice *value = tag_list_find(tags, name);

	return value == NULL ? SLICE("") : *value;
}

static bool
is_time(const struct tag_list *tags, uint64_t *out)
{
	const struct slice *value = tag_list_find(tags, "t");

	return value == NULL || num_parse_u64(*value, TIME_MAX, out);
}

/* What seals and message signatures have in common; NULL: it is good. */
static const char *
read_signature(const struct tag_list *tags, struct arc_signature *out)
{
	out->algorithm = tag_of(tags, "a");
	out->domain = tag_of(tags, "d");
	out->selector = tag_of(tags, "s");
	out->signature = tag_of(tags, "b");
	if (out->algorithm.len == 0 || out->signature.len == 0)
		return "is not signed";
	if (!domain_is_plain(out->domain) || out->selector.len == 0)
		return "names no key";
	return is_time(tags, &out->time) ? NULL : "has no valid time";
}

/* Case does not count in names of header fields. */
static bool
covers_seals(struct slice headers)
{
	struct slice name;

	while (slice_split(&headers, ':', &name))
		if (slice_case_eq(slice_trim(name), slice_of(names[ARC_SEAL])))
			return true;
	return false;
}

static bool
is_canonicalization(struct slice text)
{
	const ptrdiff_t slash = slice_find(text, '/');
	const struct slice header =
		slash < 0 ? text : slice_part(text, 0, (size_t)slash);
	const struct slice body = slash < 0
					  ? SLICE("simple")
					  : slice_from(text, (size_t)slash + 1);

	return (slice_eq_text(header, "simple") ||
		       slice_eq_text(header, "relaxed")) &&
	       (slice_eq_text(body, "simple") ||
		       slice_eq_text(body, "relaxed"));
}

static const char *
read_message_signature(const struct tag_list *tags, struct arc_signature *out)
{
	const char *err = read_signature(tags, out);

	out->headers = tag_of(tags, "h");
	out->body_hash = tag_of(tags, "bh");
	out->canonicalization = tag_of(tags, "c");
	if (err != NULL)
		return err;
	if (tag_list_find(tags, "h") == NULL || out->body_hash.len == 0)
		return "does not sign the message";
	if (tag_list_find(tags, "c") != NULL &&
		!is_canonicalization(out->canonicalization))
		return "has no known canonicalization";
	return covers_seals(out->headers) ? "covers seals" : NULL;
}

/* 4.1.3: a seal has no h=, since what it covers is fixed. */
static const char *
read_seal(const struct tag_list *tags, struct arc_set *out)
{
	const char *err = read_signature(tags, &out->seal);
	const struct slice cv = tag_of(tags, "cv");

	if (err != NULL)
		return err;
	if (slice_eq_text(cv, "none"))
		out->cv = ARC_CV_NONE;
	else if (slice_eq_text(cv, "pass"))
		out->cv = ARC_CV_PASS;
	else if (slice_eq_text(cv, "fail"))
		out->cv = ARC_CV_FAIL;
	else
		return "does not say what was before it";
	return tag_list_find(tags, "h") != NULL ? "has a list of header fields"
						: NULL;
}

static bool
add_signature(struct builder *builder, const struct arc_field *field)
{
	struct tag_list tags;
	struct arc_set *set;
	const char *err;
	size_t at;

	if (tag_list_parse(field->value, &tags, &err) < 0)
		return fail(builder,
			arena_printf(builder->arena, "%s is malformed: %s",
				names[field->kind], err));
	if (!find_set(builder, tag_of(&tags, "i"), field->kind, &at))
		return false;
	set = &builder->out->sets[at];
	if (field->kind == ARC_SEAL) {
		set->seal.field = field->value;
		err = read_seal(&tags, set);
	} else {
		set->message.field = field->value;
		err = read_message_signature(&tags, &set->message);
	}
	return err == NULL || fail_at(builder, at + 1, field->kind, err);
}

/* --- the chain ---------------------------------------------------------- */

static bool
check_sets(struct builder *builder)
{
	for (size_t at = 0; at < builder->out->n; at++)
		for (size_t kind = 0; kind < ARC_KIND_COUNT; kind++)
			if (!builder->has[at][kind])
				return fail_at(builder, at + 1,
					(enum arc_kind)kind, "is missing");
	return true;
}

static bool
check_seals(struct builder *builder)
{
	const struct arc_chain *chain = builder->out;

	if (chain->sets[chain->n - 1].cv == ARC_CV_FAIL)
		return fail_at(builder, chain->n, ARC_SEAL,
			"says that the chain was broken before");
	for (size_t at = 0; at < chain->n; at++)
		if (chain->sets[at].cv != (at == 0 ? ARC_CV_NONE : ARC_CV_PASS))
			return fail_at(builder, at + 1, ARC_SEAL,
				"says what it may not");
	return true;
}

static bool
read_fields(struct builder *builder, const struct arc_field *fields, size_t n)
{
	if (n > ARC_FIELDS_MAX)
		return fail(builder, "there are more than 50 instances");
	for (size_t i = 0; i < n; i++)
		if (fields[i].kind == ARC_RESULTS
				? !add_results(builder, fields[i].value)
				: !add_signature(builder, &fields[i]))
			return false;
	return check_sets(builder) && check_seals(builder);
}

void
arc_chain_read(struct arena *arena, const struct arc_field *fields, size_t n,
	struct arc_chain *out)
{
	struct builder builder = { .arena = arena, .out = out };

	*out = (struct arc_chain){ .status = ARC_NO_CHAIN };
	if (n == 0)
		return;
	if (read_fields(&builder, fields, n)) {
		out->status = ARC_COMPLETE;
	} else {
		out->status = ARC_BROKEN;
		out->n = 0;
	}
}
