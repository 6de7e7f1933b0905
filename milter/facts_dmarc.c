#include "milter/facts_dmarc.h"

#include "common/base/mem.h"
#include "common/io/dmarc_check.h"
#include "milter/facts.h"

/* Ten names and a record, each with some room. */
#define TEXTS_MAX ((size_t)64 << 10)
/* Octets of a record that are passed on; a longer one is cut. */
#define RECORD_MAX 2048

/* The text of the record that was found. */
static struct slice
find_record(const struct dmarc *evaluated, const struct dmarc_outcome *outcome)
{
	const struct dmarc_question *question;

	for (size_t i = 0; (question = dmarc_question_at(evaluated, i)) != NULL;
		i++)
		if (question->n_records == 1 &&
			slice_eq(question->domain, outcome->policy_domain))
			return slice_part(question->text, 0, RECORD_MAX);
	return SLICE("");
}

static bool
is_dkim_aligned(const struct dmarc_input *input,
	const struct dmarc_outcome *outcome)
{
	for (size_t i = 0; i < input->n_dkim; i++)
		if (input->dkim[i].result == DMARC_AUTH_PASS &&
			outcome->dkim[i] == DMARC_ALIGNED)
			return true;
	return false;
}

static void
on_done(void *arg, const struct dmarc_outcome *outcome,
	const struct dmarc *evaluated)
{
	struct facts_dmarc *dmarc = arg;

	dmarc->check = NULL;
	dmarc->result = outcome->result;
	dmarc->policy = outcome->policy;
	dmarc->requested = outcome->requested;
	dmarc->tag = outcome->tag;
	dmarc->policy_domain = slice_copy(dmarc->arena, outcome->policy_domain);
	if (outcome->policy_domain.len > 0)
		dmarc->record = slice_copy(dmarc->arena,
			find_record(evaluated, outcome));
	dmarc->problem = slice_copy(dmarc->arena,
		slice_part(outcome->problem, 0, RECORD_MAX));
	dmarc->is_dkim_aligned = is_dkim_aligned(&dmarc->input, outcome);
	dmarc->is_spf_aligned =
		dmarc->input.spf == SPF_PASS && outcome->spf == DMARC_ALIGNED;
	bridge_answer(&dmarc->call);
}

static void
begin(struct bridge_call *call)
{
	struct facts_dmarc *dmarc = (struct facts_dmarc *)call;

	dmarc->check = milter_facts_check_dmarc(dmarc->facts, &dmarc->input,
		on_done, dmarc);
}

static void
end(struct bridge_call *call)
{
	struct facts_dmarc *dmarc = (struct facts_dmarc *)call;

	dmarc_check_cancel(dmarc->check);
	arena_free(dmarc->arena);
	x_free(dmarc);
}

struct facts_dmarc *
facts_ask_dmarc(struct milter_facts *facts, const struct dmarc_input *input)
{
	static const struct bridge_kind kind = { begin, end };
	struct facts_dmarc *dmarc = x_new(struct facts_dmarc);

	dmarc->facts = facts;
	dmarc->arena = arena_new(TEXTS_MAX);
	dmarc->input = *input;
	dmarc->input.from = slice_copy(dmarc->arena, input->from);
	dmarc->input.spf_domain = slice_copy(dmarc->arena, input->spf_domain);
	for (size_t i = 0; i < input->n_dkim; i++)
		dmarc->input.dkim[i].domain =
			slice_copy(dmarc->arena, input->dkim[i].domain);
	bridge_ask(&dmarc->call, &kind, milter_facts_loop(facts));
	return dmarc;
}
