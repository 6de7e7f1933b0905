#include "common/io/dns_session.h"

#include <stdio.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/io/loop.h"

/* A question that is under way. */
struct pending {
	LIST_ENTRY(pending) link;
	struct dns_session *session;
	void *question; /* the evaluation's */
	struct dns_query *query;
};

LIST_HEAD(pending_list, pending);

struct dns_session {
	struct dns *dns;
	struct dns_session_config config;
	const struct dns_session_ops *ops;
	void *arg;
	char *payer;
	char late[64]; /* what is said when the time is over */
	bool has_outcome;
	struct pending_list pending;
	struct loop_timer *timer; /* the deadline, then the end */
};

static void go_on(struct dns_session *session);

static void
drop_pending(struct dns_session *session)
{
	struct pending *pending;

	while ((pending = LIST_FIRST(&session->pending)) != NULL) {
		LIST_REMOVE(pending, link);
		dns_cancel(pending->query);
		x_free(pending);
	}
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct pending *pending = arg;
	struct dns_session *session = pending->session;

	LIST_REMOVE(pending, link);
	session->ops->answer(session->arg, pending->question, answer);
	x_free(pending);
	go_on(session);
}

static void
ask(struct dns_session *session, const struct dns_session_question *asked)
{
	struct pending *pending = x_new(struct pending);

	pending->session = session;
	pending->question = asked->question;
	LIST_INSERT_HEAD(&session->pending, pending, link);
	pending->query = dns_ask(session->dns, asked->name, asked->type,
		session->config.question_ms, session->config.payer, on_answer,
		pending);
}

/* An outcome is told in a turn of its own: there is just one way to end. */
static void
go_on(struct dns_session *session)
{
	struct dns_session_question question;

	if (session->has_outcome)
		return;
	session->has_outcome = session->ops->evaluate(session->arg);
	if (session->has_outcome) {
		drop_pending(session);
		loop_timer_set(session->timer, 0);
		return;
	}
	while (session->ops->next_question(session->arg, &question))
		ask(session, &question);
}

static void
on_timer(void *arg)
{
	struct dns_session *session = arg;
	const char *late = session->has_outcome ? NULL : session->late;

	drop_pending(session);
	session->has_outcome = true;
	session->ops->done(session->arg, late);
}

struct dns_session *
dns_session_new(struct loop *loop, struct dns *dns,
	const struct dns_session_config *config,
	const struct dns_session_ops *ops, void *arg)
{
	struct dns_session *session = x_new(struct dns_session);

	session->dns = dns;
	session->config = *config;
	session->payer = slice_strdup(config->payer);
	session->config.payer = slice_of(session->payer);
	session->ops = ops;
	session->arg = arg;
	LIST_INIT(&session->pending);
	session->timer = loop_timer_new(loop, on_timer, session);
	loop_timer_set(session->timer, config->deadline_ms);
	(void)snprintf(session->late, sizeof(session->late),
		"the DNS took longer than %llu ms",
		(unsigned long long)config->deadline_ms);
	go_on(session);
	return session;
}

void
dns_session_free(struct dns_session *session)
{
	if (session == NULL)
		return;
	drop_pending(session);
	loop_timer_free(session->timer);
	x_free(session->payer);
	x_free(session);
}
