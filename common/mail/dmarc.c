#include "common/mail/dmarc_private.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/public_suffix.h"

struct dmarc *
dmarc_new(struct arena *arena, const struct dmarc_input *input)
{
	struct dmarc *dmarc = arena_new_object(arena, struct dmarc);
	struct dmarc_input *in = &dmarc->input;

	assert(input->n_dkim <= DMARC_DKIM_MAX);
	dmarc->arena = arena;
	*in = *input;
	in->from = dmarc_domain(arena, input->from);
	in->spf_domain = dmarc_domain(arena, input->spf_domain);
	for (size_t i = 0; i < in->n_dkim; i++)
		in->dkim[i].domain = dmarc_domain(arena, in->dkim[i].domain);
	if (in->suffixes != NULL && !public_suffixes_has_list(in->suffixes))
		in->suffixes = NULL;
	return dmarc;
}

/* --- a run -------------------------------------------------------------- */

/* What has passed, or may have. */
struct identifier {
	const char *what; /* for people */
	enum dmarc_auth auth;
	struct slice domain;
	bool is_strict;
	enum dmarc_alignment alignment;
};

struct run {
	struct dmarc *dmarc;
	struct dmarc_outcome *out;
	const struct dmarc_question *source; /* of the policy; NULL: none */
	struct dmarc_walk walk;              /* of From:, where it was needed */
	bool has_walk;
	struct identifier identifiers[DMARC_IDENTIFIERS_MAX];
	size_t n_identifiers;
	/* The first thing that leaves the result open. */
	const struct dmarc_question *failed;
	const struct identifier *unsure;
};

/* False: not ready. The same holds for all below. */
static bool
walk_from(struct run *run)
{
	if (!run->has_walk)
		run->has_walk = dmarc_walk(run->dmarc, run->dmarc->input.from,
			&run->walk);
	return run->has_walk;
}

/* --- discovery of the policy -------------------------------------------- */

static const struct dmarc_question *
record_at(const struct dmarc_walk *walk, struct slice domain)
{
	for (size_t i = 0; i < walk->n_records; i++)
		if (slice_eq(walk->records[i]->domain, domain))
			return walk->records[i];
	return NULL;
}

/*
 * RFC 9989, 4.10.1: the organisation's record, else that of the public suffix,
 * where the walk ended.
 */
static const struct dmarc_question *
pick_record(const struct dmarc_walk *walk)
{
	const struct dmarc_question *found = record_at(walk, walk->registered);

	if (found == NULL)
		found = record_at(walk, walk->organization);
	if (found == NULL && walk->n_records > 0)
		found = walk->records[walk->n_records - 1];
	return found;
}

/* The record of the domain itself comes before all others. */
static bool
find_source(struct run *run)
{
	const struct dmarc_question *own =
		dmarc_ask(run->dmarc, run->dmarc->input.from, DNS_TYPE_TXT);

	if (!dmarc_is_answered(run->dmarc, own))
		return false;
	if (dmarc_has_failed(own)) {
		run->failed = own;
		return true;
	}
	if (dmarc_has_record(own)) {
		run->source = own;
		return true;
	}
	if (!walk_from(run))
		return false;
	run->failed = run->walk.failed;
	if (run->failed == NULL)
		run->source = pick_record(&run->walk);
	return true;
}

/* --- which policy ------------------------------------------------------- */

enum existence { EXISTS, EXISTS_NOT, EXISTENCE_UNKNOWN };

/*
 * RFC 9989, 3.2.13 and A.4: a domain exists, unless the DNS says that there is
 * no such name. Servers that say so of every type but those that they have are
 * why all three types of names in mail have to agree. An alias exists, though
 * what it stands for may not.
 */
static bool
find_existence(struct run *run, enum existence *out)
{
	static const enum dns_type types[] = { DNS_TYPE_A, DNS_TYPE_AAAA,
		DNS_TYPE_MX };
	const struct dmarc_question *questions[3];

	for (size_t i = 0; i < 3; i++)
		questions[i] =
			dmarc_ask(run->dmarc, run->dmarc->input.from, types[i]);
	*out = EXISTS_NOT;
	for (size_t i = 0; i < 3; i++) {
		if (!dmarc_is_answered(run->dmarc, questions[i]))
			return false;
		if (dmarc_has_failed(questions[i])) {
			*out = EXISTENCE_UNKNOWN;
			if (run->failed == NULL)
				run->failed = questions[i];
		} else if (questions[i]->status != DNS_NO_SUCH_NAME ||
			   questions[i]->is_alias) {
			*out = EXISTS;
			return true;
		}
	}
	return true;
}

static bool
is_subdomain(const struct run *run)
{
	return !slice_eq(run->source->domain, run->dmarc->input.from);
}

/* As long as it is not known that the domain does not exist. */
static void
take_policy(struct run *run)
{
	const struct dmarc_record *record = &run->source->record;
	struct dmarc_outcome *out = run->out;

	out->requested = is_subdomain(run) ? record->sp : record->p;
	out->tag = is_subdomain(run) && record->has_sp ? DMARC_TAG_SP
						       : DMARC_TAG_P;
	out->is_test = record->is_test;
	out->policy_domain = run->source->domain;
	out->record = record;
}

static bool
depends_on_existence(const struct run *run)
{
	const struct dmarc_record *record = &run->source->record;

	return is_subdomain(run) && record->has_np && record->np != record->sp;
}

static void
take_np(struct run *run)
{
	run->out->requested = run->source->record.np;
	run->out->tag = DMARC_TAG_NP;
}

/* "t" (RFC 9989, 4.7): one step lower. */
static enum dmarc_policy
lower(enum dmarc_policy policy)
{
	return policy == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE
					     : DMARC_POLICY_NONE;
}

/* --- alignment ---------------------------------------------------------- */

static void
add_identifier(struct run *run, struct identifier identifier)
{
	run->identifiers[run->n_identifiers++] = identifier;
}

static enum dmarc_auth
auth_of_spf(enum spf_result result)
{
	if (result == SPF_PASS)
		return DMARC_AUTH_PASS;
	return result == SPF_TEMPERROR ? DMARC_AUTH_TEMPERROR : DMARC_AUTH_FAIL;
}

static void
list_identifiers(struct run *run)
{
	const struct dmarc_input *input = &run->dmarc->input;
	const struct dmarc_record *record = &run->source->record;

	add_identifier(run, (struct identifier){ .what = "SPF",
				    .auth = auth_of_spf(input->spf),
				    .domain = input->spf_domain,
				    .is_strict = record->is_spf_strict });
	for (size_t i = 0; i < input->n_dkim; i++)
		add_identifier(run,
			(struct identifier){ .what = "the signature",
				.auth = input->dkim[i].result,
				.domain = input->dkim[i].domain,
				.is_strict = record->is_dkim_strict });
}

/*
 * The same organisation, by the walk. Of old records also what RFC 7489 took
 * for the same; and two that were registered apart, under a name that belongs
 * to neither of them, are not the same.
 */
static bool
is_same_organization(const struct dmarc_walk *a, const struct dmarc_walk *b)
{
	const bool is_same = slice_eq(a->organization, b->organization);

	if (a->registered.len == 0 || b->registered.len == 0)
		return is_same;
	if (slice_eq(a->registered, b->registered))
		return true;
	return is_same && (slice_eq(a->organization, a->registered) ||
				  slice_eq(b->organization, b->registered));
}

static void
hold_against(struct run *run, struct identifier *identifier,
	const struct dmarc_walk *walk)
{
	if (walk->failed != NULL) {
		identifier->alignment = DMARC_ALIGNMENT_UNKNOWN;
		if (run->failed == NULL)
			run->failed = walk->failed;
	} else if (is_same_organization(&run->walk, walk)) {
		identifier->alignment = DMARC_ALIGNED;
	}
}

static struct slice
last_label(struct slice domain)
{
	return slice_from(domain, (size_t)(slice_find_last(domain, '.') + 1));
}

/* Whether it could be aligned, for all that is known without its own walk. */
static bool
may_be_aligned(const struct dmarc_walk *from, struct slice domain)
{
	return dmarc_is_within(domain, from->organization) ||
	       (from->registered.len > 0 &&
		       dmarc_is_within(domain, from->registered));
}

/* RFC 9989, 4.4 and 4.10.2; asks as little as will do. */
static bool
align(struct run *run, struct identifier *identifier)
{
	const struct slice from = run->dmarc->input.from;
	struct dmarc_walk walk;

	if (identifier->auth == DMARC_AUTH_FAIL)
		return true;
	identifier->alignment = slice_eq(identifier->domain, from)
					? DMARC_ALIGNED
					: DMARC_NOT_ALIGNED;
	if (identifier->alignment == DMARC_ALIGNED || identifier->is_strict ||
		!slice_eq(last_label(identifier->domain), last_label(from)))
		return true;
	if (!walk_from(run))
		return false;
	walk = run->walk;
	if (walk.failed == NULL) {
		if (!may_be_aligned(&walk, identifier->domain))
			return true;
		if (!dmarc_walk(run->dmarc, identifier->domain, &walk))
			return false;
	}
	hold_against(run, identifier, &walk);
	return true;
}

static bool
align_all(struct run *run)
{
	bool is_ready = true;

	list_identifiers(run);
	for (size_t i = 0; i < run->n_identifiers; i++)
		is_ready = align(run, &run->identifiers[i]) && is_ready;
	return is_ready;
}

/* --- the result --------------------------------------------------------- */

static enum dmarc_result
weigh(struct run *run)
{
	for (size_t i = 0; i < run->n_identifiers; i++) {
		const struct identifier *one = &run->identifiers[i];

		if (one->auth == DMARC_AUTH_PASS &&
			one->alignment == DMARC_ALIGNED)
			return DMARC_PASS;
		if (run->unsure == NULL &&
			(one->alignment == DMARC_ALIGNMENT_UNKNOWN ||
				(one->auth == DMARC_AUTH_TEMPERROR &&
					one->alignment == DMARC_ALIGNED)))
			run->unsure = one;
	}
	return run->unsure != NULL ? DMARC_TEMPERROR : DMARC_FAIL;
}

static void
take_alignments(struct run *run)
{
	run->out->spf = run->identifiers[0].alignment;
	for (size_t i = 1; i < run->n_identifiers; i++)
		run->out->dkim[i - 1] = run->identifiers[i].alignment;
}

/* Which policy it is has to be known of a fail only. */
static bool
apply_policy(struct run *run)
{
	struct dmarc_outcome *out = run->out;
	enum existence existence = EXISTS;

	if (depends_on_existence(run) && out->result == DMARC_TEMPERROR)
		existence = EXISTENCE_UNKNOWN;
	if (depends_on_existence(run) && out->result == DMARC_FAIL &&
		!find_existence(run, &existence))
		return false;
	if (existence == EXISTENCE_UNKNOWN)
		out->result = DMARC_TEMPERROR;
	if (existence == EXISTS_NOT ||
		(existence == EXISTENCE_UNKNOWN &&
			run->source->record.np > out->requested))
		take_np(run);
	if (out->result == DMARC_FAIL)
		out->policy =
			out->is_test ? lower(out->requested) : out->requested;
	return true;
}

static bool
judge(struct run *run)
{
	take_policy(run);
	if (run->source->record_err != NULL) {
		run->out->result = DMARC_PERMERROR;
		return true;
	}
	if (!align_all(run))
		return false;
	run->out->result = weigh(run);
	take_alignments(run);
	return apply_policy(run);
}

static bool
evaluate(struct run *run)
{
	if (run->dmarc->input.from.len == 0)
		return true;
	if (!find_source(run))
		return false;
	if (run->failed != NULL)
		run->out->result = DMARC_TEMPERROR;
	return run->source == NULL || judge(run);
}

/* --- what is told ------------------------------------------------------- */

static const char *
describe_problem(const struct run *run)
{
	struct arena *arena = run->dmarc->arena;

	if (run->dmarc->input.from.len == 0)
		return "From: has no domain name";
	if (run->out->result == DMARC_PERMERROR)
		return arena_printf(arena, "%.*s: %s",
			SLICE_ARG(run->source->name), run->source->record_err);
	if (run->out->result != DMARC_TEMPERROR)
		return "";
	if (run->failed != NULL)
		return arena_printf(arena, "%.*s: %.*s",
			SLICE_ARG(run->failed->name),
			SLICE_ARG(run->failed->reason));
	return arena_printf(arena, "%s of %.*s could not be checked",
		run->unsure->what, SLICE_ARG(run->unsure->domain));
}

static void
finish(struct run *run)
{
	struct dmarc *dmarc = run->dmarc;
	struct dmarc_outcome *out = run->out;

	out->problem = slice_of(describe_problem(run));
	out->ttl = out->result == DMARC_TEMPERROR || dmarc->ttl == UINT32_MAX
			   ? 0
			   : dmarc->ttl;
	out->organization = run->walk.organization;
	dmarc_add_trace(dmarc, out, &run->walk, run->source);
	dmarc->outcome = *out;
	dmarc->has_outcome = true;
}

bool
dmarc_evaluate(struct dmarc *dmarc, struct dmarc_outcome *out)
{
	struct run run = { .dmarc = dmarc, .out = out };

	if (dmarc->has_outcome) {
		*out = dmarc->outcome;
		return true;
	}
	memset(out, 0, sizeof(*out));
	dmarc->ttl = UINT32_MAX;
	if (!evaluate(&run))
		return false;
	finish(&run);
	return true;
}
