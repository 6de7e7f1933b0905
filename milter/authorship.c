#include "milter/authorship.h"

#include "common/base/mem.h"
#include "milter/facts.h"
#include "milter/facts_dmarc.h"

/* Two fields are as many as any number: they are not read. */
#define FIELDS_MAX 2
#define ARENA_MAX                                       \
	(HEADER_FROM_ARENA_BYTES + ((size_t)64 << 10) + \
		FIELDS_MAX * ((size_t)HEADER_FROM_BYTES_MAX + 2))
/* For what is in the cache of the DNS, if no time is left. */
#define MOMENT_MS 200

struct authorship {
	struct milter_facts *facts;
	struct arena *arena;
	struct slice fields[FIELDS_MAX];
	size_t n_fields;
	bool is_read;
	struct header_from from;
	struct slice domain;
	struct facts_dmarc *ahead, *dmarc; /* NULL: not asked */
};

struct authorship *
authorship_new(struct milter_facts *facts)
{
	struct authorship *authorship = x_new(struct authorship);

	authorship->facts = facts;
	authorship->arena = arena_new(ARENA_MAX);
	return authorship;
}

void
authorship_free(struct authorship *authorship)
{
	if (authorship == NULL)
		return;
	if (authorship->ahead != NULL)
		bridge_release(&authorship->ahead->call);
	if (authorship->dmarc != NULL)
		bridge_release(&authorship->dmarc->call);
	arena_free(authorship->arena);
	x_free(authorship);
}

/* What is longer than any From is malformed, also when it is cut. */
void
authorship_header(struct authorship *authorship, struct slice name,
	struct slice value)
{
	if (authorship->n_fields == FIELDS_MAX || authorship->is_read ||
		!slice_case_eq(slice_trim(name), SLICE("From")))
		return;
	authorship->fields[authorship->n_fields++] =
		slice_copy(authorship->arena,
			slice_part(value, 0, HEADER_FROM_BYTES_MAX + 1));
}

/* --- DMARC -------------------------------------------------------------- */

static void
read_from(struct authorship *authorship)
{
	if (authorship->is_read)
		return;
	authorship->is_read = true;
	header_from_read(authorship->arena, authorship->fields,
		authorship->n_fields, &authorship->from);
	authorship->domain = header_from_domain(&authorship->from);
}

static struct facts_dmarc *
ask(struct authorship *authorship, const struct authorship_evidence *evidence)
{
	struct dmarc_input input = {
		.from = authorship->domain,
		.spf = evidence->has_spf ? evidence->spf : SPF_NONE,
		.spf_domain =
			evidence->has_spf ? evidence->spf_domain : SLICE(""),
	};

	for (size_t i = 0; i < evidence->n_dkim; i++) {
		input.dkim[i].result = evidence->dkim[i].auth;
		input.dkim[i].domain = evidence->dkim[i].domain;
		/* Without a domain it stands for nobody. */
		if (evidence->dkim[i].domain.len == 0)
			input.dkim[i].result = DMARC_AUTH_FAIL;
	}
	input.n_dkim = evidence->n_dkim;
	return facts_ask_dmarc(authorship->facts, &input);
}

void
authorship_header_end(struct authorship *authorship,
	const struct authorship_evidence *hoped)
{
	read_from(authorship);
	if (authorship->domain.len > 0 && authorship->ahead == NULL)
		authorship->ahead = ask(authorship, hoped);
}

void
authorship_end(struct authorship *authorship,
	const struct authorship_evidence *evidence, int64_t deadline_us,
	struct authorship_outcome *out)
{
	const int64_t moment_us = bridge_deadline(MOMENT_MS);

	/* Not every client of the protocol tells of an empty header. */
	read_from(authorship);
	*out = (struct authorship_outcome){ .from = &authorship->from,
		.domain = authorship->domain };
	if (authorship->domain.len == 0)
		return;
	if (authorship->dmarc == NULL)
		authorship->dmarc = ask(authorship, evidence);
	if (bridge_wait(&authorship->dmarc->call,
		    deadline_us > moment_us ? deadline_us : moment_us))
		out->dmarc = authorship->dmarc;
	else
		out->is_late = true;
}

/* --- what is told ------------------------------------------------------- */

/* A line is a line: what would end it becomes "?". */
static void
add_value(struct str *out, struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		const char c = value.ptr[i];

		str_append_char(out,
			c == '\n' || c == '\r' || c == '\0' ? '?' : c);
	}
}

static void
add(struct str *out, const char *name, struct slice value)
{
	str_append_text(out, name);
	str_append_char(out, '=');
	add_value(out, value);
	str_append_char(out, '\n');
}

static void
add_word(struct str *out, const char *name, const char *word)
{
	add(out, name, slice_of(word));
}

static void
add_dmarc(const struct facts_dmarc *dmarc, struct str *out)
{
	add_word(out, "dmarc_result", dmarc_result_name(dmarc->result));
	add_word(out, "dmarc_policy", dmarc_policy_name(dmarc->policy));
	add_word(out, "dmarc_requested", dmarc_policy_name(dmarc->requested));
	add(out, "dmarc_policy_domain", dmarc->policy_domain);
	add(out, "dmarc_record", dmarc->record);
	add_word(out, "dmarc_dkim_aligned",
		dmarc->is_dkim_aligned ? "yes" : "no");
	add_word(out, "dmarc_spf_aligned",
		dmarc->is_spf_aligned ? "yes" : "no");
}

static void
add_evidence(const struct authorship_evidence *evidence, struct str *out)
{
	if (evidence->has_spf) {
		add_word(out, "spf_result", spf_result_name(evidence->spf));
		add(out, "spf_domain", evidence->spf_domain);
		add_word(out, "spf_is_helo",
			evidence->is_spf_of_helo ? "yes" : "no");
	}
	for (size_t i = 0; i < evidence->n_dkim; i++) {
		str_printf(out, "dkim=%s ", evidence->dkim[i].result);
		add_value(out, evidence->dkim[i].domain);
		str_append_char(out, ' ');
		add_value(out, evidence->dkim[i].selector);
		str_append_char(out, '\n');
	}
	if (!evidence->has_arc)
		return;
	add_word(out, "arc_result", "pass");
	add(out, "arc_sealer", evidence->arc_sealer);
	add(out, "arc_dmarc", evidence->arc_dmarc);
}

void
authorship_write(const struct authorship_outcome *outcome,
	const struct authorship_evidence *evidence, struct str *out)
{
	add(out, "dmarc_domain", outcome->domain);
	if (outcome->dmarc != NULL)
		add_dmarc(outcome->dmarc, out);
	add_evidence(evidence, out);
}

void
authorship_add_result(const struct authorship_outcome *outcome,
	struct slice override, struct auth_results *results)
{
	const struct facts_dmarc *dmarc = outcome->dmarc;
	struct auth_dmarc out = { .comment = override,
		.from = outcome->domain };

	if (outcome->domain.len == 0)
		return;
	if (dmarc == NULL) {
		out.result = "temperror";
		out.reason = SLICE("not known in time");
	} else {
		out.result = dmarc_result_name(dmarc->result);
		out.reason = dmarc->problem;
		out.policy_domain = dmarc->policy_domain;
		if (dmarc->policy_domain.len > 0)
			out.policy =
				slice_of(dmarc_policy_name(dmarc->requested));
	}
	auth_results_add_dmarc(results, &out);
}
