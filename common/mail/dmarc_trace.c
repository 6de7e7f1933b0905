#include "common/mail/dmarc_private.h"

#include <assert.h>

#include "common/base/mem.h"

/* --- words -------------------------------------------------------------- */

const char *
dmarc_result_name(enum dmarc_result result)
{
	switch (result) {
	case DMARC_NONE:
		return "none";
	case DMARC_PASS:
		return "pass";
	case DMARC_FAIL:
		return "fail";
	case DMARC_TEMPERROR:
		return "temperror";
	case DMARC_PERMERROR:
		return "permerror";
	}
	return "";
}

const char *
dmarc_auth_name(enum dmarc_auth auth)
{
	switch (auth) {
	case DMARC_AUTH_FAIL:
		return "fail";
	case DMARC_AUTH_PASS:
		return "pass";
	case DMARC_AUTH_TEMPERROR:
		return "temperror";
	}
	return "";
}

const char *
dmarc_tag_name(enum dmarc_tag tag)
{
	switch (tag) {
	case DMARC_TAG_P:
		return "p";
	case DMARC_TAG_SP:
		return "sp";
	case DMARC_TAG_NP:
		return "np";
	}
	return "";
}

const char *
dmarc_alignment_name(enum dmarc_alignment alignment)
{
	switch (alignment) {
	case DMARC_NOT_JUDGED:
		return "";
	case DMARC_ALIGNED:
		return "aligned";
	case DMARC_NOT_ALIGNED:
		return "not aligned";
	case DMARC_ALIGNMENT_UNKNOWN:
		return "unknown";
	}
	return "";
}

/* --- lines -------------------------------------------------------------- */

/* From, record, policy, organization, the identifiers, the problem. */
#define LINES_MAX (5 + DMARC_IDENTIFIERS_MAX)

struct trace {
	struct arena *arena;
	struct dmarc_trace *lines;
	size_t n;
};

static void
add(struct trace *trace, const char *key, struct slice text)
{
	assert(trace->n < LINES_MAX);
	if (text.len > 0)
		trace->lines[trace->n++] =
			(struct dmarc_trace){ .key = key, .text = text };
}

static void
add_policy(struct trace *trace, const struct dmarc_outcome *outcome)
{
	const bool is_lowered =
		outcome->is_test && outcome->requested != DMARC_POLICY_NONE;

	add(trace, "policy",
		slice_of(arena_printf(trace->arena, "%s=%s of %.*s%s",
			dmarc_tag_name(outcome->tag),
			dmarc_policy_name(outcome->requested),
			SLICE_ARG(outcome->policy_domain),
			is_lowered ? ", tested only" : "")));
}

/* As the two RFCs see it, where they differ. */
static void
add_organization(struct trace *trace, const struct dmarc_walk *walk)
{
	if (walk->registered.len == 0 ||
		slice_eq(walk->registered, walk->organization)) {
		add(trace, "organization", walk->organization);
		return;
	}
	add(trace, "organization",
		slice_of(arena_printf(trace->arena,
			"%.*s; %.*s by the public suffix list",
			SLICE_ARG(walk->organization),
			SLICE_ARG(walk->registered))));
}

static void
add_identifier(struct trace *trace, const char *key, const char *result,
	struct slice domain, enum dmarc_alignment alignment)
{
	const char *how = dmarc_alignment_name(alignment);

	add(trace, key,
		slice_of(arena_printf(trace->arena, "%s %.*s%s%s", result,
			SLICE_ARG(domain), how[0] == '\0' ? "" : ", ", how)));
}

void
dmarc_add_trace(struct dmarc *dmarc, struct dmarc_outcome *outcome,
	const struct dmarc_walk *walk, const struct dmarc_question *source)
{
	const struct dmarc_input *input = &dmarc->input;
	struct trace trace = { .arena = dmarc->arena,
		.lines = arena_new_array(dmarc->arena, LINES_MAX,
			struct dmarc_trace) };

	add(&trace, "from", input->from);
	if (source != NULL)
		add(&trace, "record", source->text);
	if (source != NULL && source->record_err == NULL)
		add_policy(&trace, outcome);
	add_organization(&trace, walk);
	if (input->spf_domain.len > 0)
		add_identifier(&trace, "spf", spf_result_name(input->spf),
			input->spf_domain, outcome->spf);
	for (size_t i = 0; i < input->n_dkim; i++)
		add_identifier(&trace, "dkim",
			dmarc_auth_name(input->dkim[i].result),
			input->dkim[i].domain, outcome->dkim[i]);
	add(&trace, "problem", outcome->problem);
	outcome->trace = trace.lines;
	outcome->n_trace = trace.n;
}
