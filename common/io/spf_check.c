#include "common/io/spf_check.h"

#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/io/loop.h"

/* A question that is under way. */
struct pending {
	LIST_ENTRY(pending) link;
	struct spf_check *check;
	struct spf_question *question;
	struct dns_query *query;
};

LIST_HEAD(pending_list, pending);

struct spf_check {
	struct dns *dns;
	struct arena *arena;
	struct spf *spf;
	struct spf_check_config config;
	struct spf_outcome outcome;
	bool has_outcome;
	struct pending_list pending;
	struct loop_timer *timer; /* the deadline, then the end */
	spf_check_done_fn *done;
	void *arg;
};

static void go_on(struct spf_check *check);

static void
drop_pending(struct spf_check *check)
{
	struct pending *pending;

	while ((pending = LIST_FIRST(&check->pending)) != NULL) {
		LIST_REMOVE(pending, link);
		dns_cancel(pending->query);
	}
}

void
spf_check_cancel(struct spf_check *check)
{
	if (check == NULL)
		return;
	drop_pending(check);
	loop_timer_free(check->timer);
	arena_free(check->arena);
	x_free(check);
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct pending *pending = arg;
	struct spf_check *check = pending->check;

	LIST_REMOVE(pending, link);
	spf_answer(check->spf, pending->question, answer);
	go_on(check);
}

static void
ask(struct spf_check *check, struct spf_question *question)
{
	struct pending *pending =
		arena_new_object(check->arena, struct pending);

	pending->check = check;
	pending->question = question;
	LIST_INSERT_HEAD(&check->pending, pending, link);
	pending->query = dns_ask(check->dns, question->name, question->type,
		check->config.question_ms, check->config.payer, on_answer,
		pending);
}

/* An outcome is told in a turn of its own: there is just one way to end. */
static void
go_on(struct spf_check *check)
{
	struct spf_question *question;

	if (check->has_outcome)
		return;
	check->has_outcome = spf_evaluate(check->spf, &check->outcome);
	if (check->has_outcome) {
		drop_pending(check);
		loop_timer_set(check->timer, 0);
		return;
	}
	while ((question = spf_next_question(check->spf)) != NULL)
		ask(check, question);
}

/* RFC 7208, 4.6.4: an evaluation that takes too long is a temperror. */
static void
give_up(struct spf_check *check)
{
	if (spf_conclude(check->spf, &check->outcome))
		return;
	check->outcome = (struct spf_outcome){
		.result = SPF_TEMPERROR,
		.problem = slice_of(arena_printf(check->arena,
			"the DNS took longer than %llu ms",
			(unsigned long long)check->config.deadline_ms)),
	};
}

static void
on_timer(void *arg)
{
	struct spf_check *check = arg;

	drop_pending(check);
	if (!check->has_outcome)
		give_up(check);
	check->has_outcome = true;
	check->done(check->arg, &check->outcome, check->spf);
	spf_check_cancel(check);
}

struct spf_check *
spf_check_start(struct loop *loop, struct dns *dns,
	const struct spf_input *input, const struct spf_check_config *config,
	spf_check_done_fn *done, void *arg)
{
	struct spf_check *check = x_new(struct spf_check);

	check->dns = dns;
	check->arena = arena_new(SPF_ARENA_MAX);
	check->spf = spf_new(check->arena, input);
	check->config = *config;
	check->config.payer = slice_copy(check->arena, config->payer);
	LIST_INIT(&check->pending);
	check->done = done;
	check->arg = arg;
	check->timer = loop_timer_new(loop, on_timer, check);
	loop_timer_set(check->timer, config->deadline_ms);
	go_on(check);
	return check;
}
