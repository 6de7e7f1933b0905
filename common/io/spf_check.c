#include "common/io/spf_check.h"

#include "common/base/mem.h"

struct spf_check {
	struct arena *arena;
	struct spf *spf;
	struct spf_outcome outcome;
	struct dns_session *session;
	spf_check_done_fn *done;
	void *arg;
};

static bool
evaluate(void *arg)
{
	struct spf_check *check = arg;

	return spf_evaluate(check->spf, &check->outcome);
}

static bool
next_question(void *arg, struct dns_session_question *out)
{
	struct spf_check *check = arg;
	struct spf_question *question = spf_next_question(check->spf);

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
	struct spf_check *check = arg;

	spf_answer(check->spf, question, answer);
}

/* RFC 7208, 4.6.4: an evaluation that takes too long is a temperror. */
static void
on_done(void *arg, const char *late)
{
	struct spf_check *check = arg;

	if (late != NULL && !spf_conclude(check->spf, &check->outcome))
		check->outcome = (struct spf_outcome){
			.result = SPF_TEMPERROR,
			.problem = slice_of(late),
		};
	check->done(check->arg, &check->outcome, check->spf);
	spf_check_cancel(check);
}

static const struct dns_session_ops session_ops = {
	.evaluate = evaluate,
	.next_question = next_question,
	.answer = answer_question,
	.done = on_done,
};

struct spf_check *
spf_check_start(struct loop *loop, struct dns *dns,
	const struct spf_input *input, const struct dns_session_config *config,
	spf_check_done_fn *done, void *arg)
{
	struct spf_check *check = x_new(struct spf_check);

	check->arena = arena_new(SPF_ARENA_MAX);
	check->spf = spf_new(check->arena, input);
	check->done = done;
	check->arg = arg;
	check->session =
		dns_session_new(loop, dns, config, &session_ops, check);
	return check;
}

void
spf_check_cancel(struct spf_check *check)
{
	if (check == NULL)
		return;
	dns_session_free(check->session);
	arena_free(check->arena);
	x_free(check);
}
