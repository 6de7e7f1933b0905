#include "common/io/dmarc_check.h"

#include <assert.h>

#include "common/base/mem.h"

struct dmarc_check {
	struct arena *arena;
	struct dmarc *dmarc;
	struct dmarc_outcome outcome;
	struct dns_session *session;
	dmarc_check_done_fn *done;
	void *arg;
};

static bool
evaluate(void *arg)
{
	struct dmarc_check *check = arg;

	return dmarc_evaluate(check->dmarc, &check->outcome);
}

static bool
next_question(void *arg, struct dns_session_question *out)
{
	struct dmarc_check *check = arg;
	struct dmarc_question *question = dmarc_next_question(check->dmarc);

	if (question == NULL)
		return false;
	*out = (struct dns_session_question){ .question = question,
		.name = question->name,
		.type = question->type };
	return true;
}

static void
answer_question(void *arg, void *question, const struct dns_answer *answer)
{
	struct dmarc_check *check = arg;

	dmarc_answer(check->dmarc, question, answer);
}

/* What is known by then may be enough. */
static void
on_done(void *arg, const char *late)
{
	struct dmarc_check *check = arg;

	if (late != NULL) {
		bool has_outcome;

		dmarc_give_up(check->dmarc, late);
		has_outcome = evaluate(check);
		assert(has_outcome);
	}
	check->done(check->arg, &check->outcome, check->dmarc);
	dmarc_check_cancel(check);
}

static const struct dns_session_ops session_ops = {
	.evaluate = evaluate,
	.next_question = next_question,
	.answer = answer_question,
	.done = on_done,
};

struct dmarc_check *
dmarc_check_start(struct loop *loop, struct dns *dns,
	const struct dmarc_input *input,
	const struct dns_session_config *config, dmarc_check_done_fn *done,
	void *arg)
{
	struct dmarc_check *check = x_new(struct dmarc_check);

	check->arena = arena_new(DMARC_ARENA_MAX);
	check->dmarc = dmarc_new(check->arena, input);
	check->done = done;
	check->arg = arg;
	check->session =
		dns_session_new(loop, dns, config, &session_ops, check);
	return check;
}

void
dmarc_check_cancel(struct dmarc_check *check)
{
	if (check == NULL)
		return;
	dns_session_free(check->session);
	arena_free(check->arena);
	x_free(check);
}
