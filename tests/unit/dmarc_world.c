#include "tests/unit/dmarc_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/spf_world.h"

#define TEXT_MAX     ((size_t)16 << 10)
#define ANSWER_BYTES ((size_t)512 << 10)

/* --- messages ----------------------------------------------------------- */

static enum spf_result
read_spf(struct slice word)
{
	for (int i = 0; i < SPF_RESULT_COUNT; i++)
		if (slice_eq_text(word, spf_result_name((enum spf_result)i)))
			return (enum spf_result)i;
	ck_abort_msg("no result of SPF: %.*s", SLICE_ARG(word));
	return SPF_NONE;
}

static enum dmarc_auth
read_auth(struct slice word)
{
	for (int i = DMARC_AUTH_FAIL; i <= DMARC_AUTH_TEMPERROR; i++)
		if (slice_eq_text(word, dmarc_auth_name((enum dmarc_auth)i)))
			return (enum dmarc_auth)i;
	ck_abort_msg("no result of a signature: %.*s", SLICE_ARG(word));
	return DMARC_AUTH_FAIL;
}

void
dmarc_world_read(const char *message, struct dmarc_input *out)
{
	struct slice rest = slice_of(message), word, key, result;

	*out = (struct dmarc_input){ .from = SLICE("") };
	while (slice_split(&rest, ' ', &word)) {
		slice_split(&word, '=', &key);
		if (slice_eq_text(key, "from")) {
			out->from = word;
			continue;
		}
		slice_split(&word, ':', &result);
		if (slice_eq_text(key, "spf")) {
			out->spf = read_spf(result);
			out->spf_domain = word;
			continue;
		}
		ck_assert(slice_eq_text(key, "dkim"));
		ck_assert_uint_lt(out->n_dkim, DMARC_DKIM_MAX);
		out->dkim[out->n_dkim].result = read_auth(result);
		out->dkim[out->n_dkim++].domain = word;
	}
}

static void
describe_alignment(struct str *out, const char *key,
	enum dmarc_alignment alignment)
{
	if (alignment != DMARC_NOT_JUDGED)
		str_printf(out, " %s:%s", key, dmarc_alignment_name(alignment));
}

void
dmarc_world_describe(const struct dmarc_outcome *outcome, struct str *out)
{
	str_append_text(out, dmarc_result_name(outcome->result));
	if (outcome->result == DMARC_FAIL)
		str_printf(out, " %s", dmarc_policy_name(outcome->policy));
	else
		ck_assert_int_eq(outcome->policy, DMARC_POLICY_NONE);
	if (outcome->record != NULL && outcome->result != DMARC_PERMERROR)
		str_printf(out, " (%s=%s%s of %.*s)",
			dmarc_tag_name(outcome->tag),
			dmarc_policy_name(outcome->requested),
			outcome->is_test ? " tested" : "",
			SLICE_ARG(outcome->policy_domain));
	describe_alignment(out, "spf", outcome->spf);
	for (size_t i = 0; i < DMARC_DKIM_MAX; i++)
		describe_alignment(out, "dkim", outcome->dkim[i]);
	if (outcome->problem.len > 0)
		str_printf(out, " since %.*s", SLICE_ARG(outcome->problem));
}

/* --- an evaluation ------------------------------------------------------ */

static void
answer(struct dmarc *dmarc, struct dmarc_question *question, const char *zone)
{
	struct arena *arena = arena_new(ANSWER_BYTES);
	struct dns_answer out;

	spf_world_look_up(arena, zone, question->name, question->type, &out);
	dmarc_answer(dmarc, question, &out);
	arena_free(arena);
}

/* Which of n questions is answered next: order 0 and 1 are first and last. */
static size_t
choose(unsigned order, unsigned *seed, size_t n)
{
	if (order <= 1)
		return order == 0 ? 0 : n - 1;
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

/* Evaluates to the end; what was asked goes into *asked. */
static void
evaluate(struct dmarc *dmarc, const char *zone, unsigned order,
	struct str *asked, struct dmarc_world *world,
	struct dmarc_outcome *outcome)
{
	struct dmarc_question *waiting[DMARC_QUESTIONS_MAX], *question;
	unsigned seed = order;
	size_t n = 0, chosen;

	for (world->n_runs = 1; !dmarc_evaluate(dmarc, outcome);
		world->n_runs++) {
		while ((question = dmarc_next_question(dmarc)) != NULL) {
			waiting[n++] = question;
			world->n_asked++;
			str_printf(asked, "%s %.*s\n",
				dns_type_name(question->type),
				SLICE_ARG(question->name));
		}
		ck_assert_uint_gt(n, 0);
		chosen = choose(order, &seed, n);
		question = waiting[chosen];
		memmove(waiting + chosen, waiting + chosen + 1,
			(n - chosen - 1) * sizeof(waiting[0]));
		n--;
		answer(dmarc, question, zone);
	}
}

/* What came of one order of the answers. */
struct texts {
	struct str outcome, asked, trace;
};

static void
evaluate_in_order(const struct dmarc_input *input, const char *zone,
	unsigned order, struct dmarc_world *world, struct texts *texts)
{
	struct arena *arena = arena_new(DMARC_ARENA_MAX);
	struct dmarc *dmarc = dmarc_new(arena, input);
	struct dmarc_outcome outcome;

	str_reset(&texts->outcome);
	str_reset(&texts->asked);
	str_reset(&texts->trace);
	world->n_asked = 0;
	evaluate(dmarc, zone, order, &texts->asked, world, &outcome);
	dmarc_world_describe(&outcome, &texts->outcome);
	for (size_t i = 0; i < outcome.n_trace; i++)
		str_printf(&texts->trace, "%s: %.*s\n", outcome.trace[i].key,
			SLICE_ARG(outcome.trace[i].text));
	world->ttl = outcome.ttl;
	world->arena_bytes = arena_used(arena);
	arena_free(arena);
}

static void
init_texts(struct texts *texts)
{
	str_init(&texts->outcome, TEXT_MAX);
	str_init(&texts->asked, TEXT_MAX);
	str_init(&texts->trace, TEXT_MAX);
}

static void
free_texts(struct texts *texts)
{
	str_free(&texts->outcome);
	str_free(&texts->asked);
	str_free(&texts->trace);
}

const char *
dmarc_world_judge(struct dmarc_world *world, const char *zone,
	const char *message)
{
	static char outcome[TEXT_MAX + 1], asked[TEXT_MAX + 1],
		trace[TEXT_MAX + 1];
	struct dmarc_world other = { .suffixes = world->suffixes };
	struct dmarc_input input;
	struct texts texts;

	dmarc_world_read(message, &input);
	input.suffixes = world->suffixes;
	init_texts(&texts);
	evaluate_in_order(&input, zone, 0, world, &texts);
	snprintf(outcome, sizeof(outcome), "%s", str_text(&texts.outcome));
	snprintf(asked, sizeof(asked), "%s", str_text(&texts.asked));
	snprintf(trace, sizeof(trace), "%s", str_text(&texts.trace));
	for (unsigned order = 1; order < DMARC_WORLD_ORDERS; order++) {
		evaluate_in_order(&input, zone, order, &other, &texts);
		ck_assert_str_eq(str_text(&texts.outcome), outcome);
		ck_assert_str_eq(str_text(&texts.trace), trace);
		ck_assert_uint_eq(other.ttl, world->ttl);
		ck_assert_uint_eq(other.n_asked, world->n_asked);
	}
	free_texts(&texts);
	world->asked = asked;
	world->trace = trace;
	return outcome;
}
