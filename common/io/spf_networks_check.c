#include "common/io/spf_networks_check.h"

#include "common/base/mem.h"

struct spf_networks_check {
	struct arena *arena;
	struct spf_networks *networks;
	struct spf_networks_outcome outcome;
	uint64_t deadline_ms;
	struct spf_driver *driver;
	spf_networks_done_fn *done;
	void *arg;
};

static bool
evaluate(void *arg)
{
	struct spf_networks_check *check = arg;

	return spf_networks_collect(check->networks, &check->outcome);
}

static struct spf_question *
next_question(void *arg)
{
	struct spf_networks_check *check = arg;

	return spf_networks_next_question(check->networks);
}

static void
answer_question(void *arg, struct spf_question *question,
	const struct dns_answer *answer)
{
	struct spf_networks_check *check = arg;

	spf_networks_answer(check->networks, question, answer);
}

static void
on_done(void *arg, bool is_late)
{
	struct spf_networks_check *check = arg;

	if (is_late)
		check->outcome = (struct spf_networks_outcome){
			.status = SPF_NETWORKS_UNAVAILABLE,
			.problem = slice_of(arena_printf(check->arena,
				"the DNS took longer than %llu ms",
				(unsigned long long)check->deadline_ms)),
		};
	check->done(check->arg, &check->outcome);
	spf_networks_check_cancel(check);
}

static const struct spf_driver_ops driver_ops = {
	.evaluate = evaluate,
	.next_question = next_question,
	.answer = answer_question,
	.done = on_done,
};

struct spf_networks_check *
spf_networks_check_start(struct loop *loop, struct dns *dns,
	struct slice domain, const struct spf_check_config *config,
	spf_networks_done_fn *done, void *arg)
{
	struct spf_networks_check *check = x_new(struct spf_networks_check);

	check->arena = arena_new(SPF_NETWORKS_ARENA_MAX);
	check->networks = spf_networks_new(check->arena, domain);
	check->deadline_ms = config->deadline_ms;
	check->done = done;
	check->arg = arg;
	check->driver = spf_driver_new(loop, dns, config, &driver_ops, check);
	return check;
}

void
spf_networks_check_cancel(struct spf_networks_check *check)
{
	if (check == NULL)
		return;
	spf_driver_free(check->driver);
	arena_free(check->arena);
	x_free(check);
}
