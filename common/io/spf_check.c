#include "common/io/spf_check.h"

#include "common/base/mem.h"

struct spf_check {
	struct arena *arena;
	struct spf *spf;
	struct spf_outcome outcome;
	uint64_t deadline_ms;
	struct spf_driver *driver;
	spf_check_done_fn *done;
	void *arg;
};

static bool
evaluate(void *arg)
{
	struct spf_check *check = arg;

	return spf_evaluate(check->spf, &check->outcome);
}

static struct spf_question *
next_question(void *arg)
{
	struct spf_check *check = arg;

	return spf_next_question(check->spf);
}

static void
answer_question(void *arg, struct spf_question *question,
	const struct dns_answer *answer)
{
	struct spf_check *check = arg;

	spf_answer(check->spf, question, answer);
}

/* RFC 7208, 4.6.4: an evaluation that takes too long is a temperror. */
static void
on_done(void *arg, bool is_late)
{
	struct spf_check *check = arg;

	if (is_late && !spf_conclude(check->spf, &check->outcome))
		check->outcome = (struct spf_outcome){
			.result = SPF_TEMPERROR,
			.problem = slice_of(arena_printf(check->arena,
				"the DNS took longer than %llu ms",
				(unsigned long long)check->deadline_ms)),
		};
	check->done(check->arg, &check->outcome, check->spf);
	spf_check_cancel(check);
}

static const struct spf_driver_ops driver_ops = {
	.evaluate = evaluate,
	.next_question = next_question,
	.answer = answer_question,
	.done = on_done,
};

struct spf_check *
spf_check_start(struct loop *loop, struct dns *dns,
	const struct spf_input *input, const struct spf_check_config *config,
	spf_check_done_fn *done, void *arg)
{
	struct spf_check *check = x_new(struct spf_check);

	check->arena = arena_new(SPF_ARENA_MAX);
	check->spf = spf_new(check->arena, input);
	check->deadline_ms = config->deadline_ms;
	check->done = done;
	check->arg = arg;
	check->driver = spf_driver_new(loop, dns, config, &driver_ops, check);
	return check;
}

void
spf_check_cancel(struct spf_check *check)
{
	if (check == NULL)
		return;
	spf_driver_free(check->driver);
	arena_free(check->arena);
	x_free(check);
}
