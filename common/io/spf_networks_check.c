#include "common/io/spf_networks_check.h"

#include "common/base/mem.h"

struct spf_networks_check {
	struct arena *arena;
	struct spf_networks *networks;
	struct spf_networks_outcome outcome;
	struct dns_session *session;
	spf_networks_done_fn *done;
	void *arg;
};

static bool
evaluate(void *arg)
{
	struct spf_networks_check *check = arg;

	return spf_networks_collect(check->networks, &check->outcome);
}

static bool
next_question(void *arg, struct dns_session_question *out)
{
	struct spf_networks_check *check = arg;
	struct spf_question *question =
		spf_networks_next_question(check->networks);

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
	struct spf_networks_check *check = arg;

	spf_networks_answer(check->networks, question, answer);
}

static void
on_done(void *arg, const char *late)
{
	struct spf_networks_check *check = arg;

	if (late != NULL)
		check->outcome = (struct spf_networks_outcome){
			.status = SPF_NETWORKS_UNAVAILABLE,
			.problem = slice_of(late),
		};
	check->done(check->arg, &check->outcome);
	spf_networks_check_cancel(check);
}

static const struct dns_session_ops session_ops = {
	.evaluate = evaluate,
	.next_question = next_question,
	.answer = answer_question,
	.done = on_done,
};

struct spf_networks_check *
spf_networks_check_start(struct loop *loop, struct dns *dns,
	struct slice domain, const struct dns_session_config *config,
	spf_networks_done_fn *done, void *arg)
{
	struct spf_networks_check *check = x_new(struct spf_networks_check);

	check->arena = arena_new(SPF_NETWORKS_ARENA_MAX);
	check->networks = spf_networks_new(check->arena, domain);
	check->done = done;
	check->arg = arg;
	check->session =
		dns_session_new(loop, dns, config, &session_ops, check);
	return check;
}

void
spf_networks_check_cancel(struct spf_networks_check *check)
{
	if (check == NULL)
		return;
	dns_session_free(check->session);
	arena_free(check->arena);
	x_free(check);
}
