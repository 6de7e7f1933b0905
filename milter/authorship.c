#include "milter/authorship.h"

#include "common/base/mem.h"
#include "milter/facts.h"
#include "milter/facts_dmarc.h"
#include "milter/message_text.h"

/* "RESULT DOMAIN SELECTOR" */
#define SIGNATURE_MAX 1024
/* For what is in the cache of the DNS, if no time is left. */
#define MOMENT_MS 200

struct authorship {
	struct milter_facts *facts;
	const struct header_from *from;
	struct facts_dmarc *ahead, *dmarc; /* NULL: not asked */
};

struct authorship *
authorship_new(struct milter_facts *facts, const struct header_from *from)
{
	struct authorship *authorship = x_new(struct authorship);

	authorship->facts = facts;
	authorship->from = from;
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
	x_free(authorship);
}

/* --- DMARC -------------------------------------------------------------- */

static struct facts_dmarc *
ask(struct authorship *authorship, const struct authorship_evidence *evidence)
{
	struct dmarc_input input = {
		.from = header_from_domain(authorship->from),
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
	if (header_from_domain(authorship->from).len > 0 &&
		authorship->ahead == NULL)
		authorship->ahead = ask(authorship, hoped);
}

void
authorship_end(struct authorship *authorship,
	const struct authorship_evidence *evidence, int64_t deadline_us,
	struct authorship_outcome *out)
{
	const int64_t moment_us = bridge_deadline(MOMENT_MS);

	*out = (struct authorship_outcome){ .from = authorship->from,
		.domain = header_from_domain(authorship->from) };
	if (out->domain.len == 0)
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

static void
add_word(struct str *out, const char *name, const char *word)
{
	message_text_line(out, name, slice_of(word));
}

static void
add_dmarc(const struct facts_dmarc *dmarc, struct str *out)
{
	add_word(out, "dmarc_result", dmarc_result_name(dmarc->result));
	add_word(out, "dmarc_policy", dmarc_policy_name(dmarc->policy));
	add_word(out, "dmarc_requested", dmarc_policy_name(dmarc->requested));
	message_text_line(out, "dmarc_policy_domain", dmarc->policy_domain);
	message_text_line(out, "dmarc_record", dmarc->record);
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
		message_text_line(out, "spf_domain", evidence->spf_domain);
		add_word(out, "spf_is_helo",
			evidence->is_spf_of_helo ? "yes" : "no");
	}
	for (size_t i = 0; i < evidence->n_dkim; i++) {
		struct str line;

		str_init(&line, SIGNATURE_MAX);
		str_printf(&line, "%s %.*s %.*s", evidence->dkim[i].result,
			SLICE_ARG(evidence->dkim[i].domain),
			SLICE_ARG(evidence->dkim[i].selector));
		message_text_line(out, "dkim", str_slice(&line));
		str_free(&line);
	}
	if (!evidence->has_arc)
		return;
	add_word(out, "arc_result", "pass");
	message_text_line(out, "arc_sealer", evidence->arc_sealer);
	message_text_line(out, "arc_dmarc", evidence->arc_dmarc);
}

void
authorship_write(const struct authorship_outcome *outcome,
	const struct authorship_evidence *evidence, struct str *out)
{
	message_text_line(out, "dmarc_domain", outcome->domain);
	if (outcome->dmarc != NULL)
		add_dmarc(outcome->dmarc, out);
	else if (outcome->is_late)
		/* The rule has a setting for what is not known. */
		add_word(out, "dmarc_result",
			dmarc_result_name(DMARC_TEMPERROR));
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
