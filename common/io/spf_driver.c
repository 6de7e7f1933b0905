#include "common/io/spf_driver.h"

#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/io/loop.h"

/* A question that is under way. */
struct pending {
	LIST_ENTRY(pending) link;
	struct spf_driver *driver;
	struct spf_question *question;
	struct dns_query *query;
};

LIST_HEAD(pending_list, pending);

struct spf_driver {
	struct dns *dns;
	struct spf_check_config config;
	const struct spf_driver_ops *ops;
	void *arg;
	char *payer;
	bool has_outcome;
	struct pending_list pending;
	struct loop_timer *timer; /* the deadline, then the end */
};

static void go_on(struct spf_driver *driver);

static void
drop_pending(struct spf_driver *driver)
{
	struct pending *pending;

	while ((pending = LIST_FIRST(&driver->pending)) != NULL) {
		LIST_REMOVE(pending, link);
		dns_cancel(pending->query);
		x_free(pending);
	}
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct pending *pending = arg;
	struct spf_driver *driver = pending->driver;

	LIST_REMOVE(pending, link);
	driver->ops->answer(driver->arg, pending->question, answer);
	x_free(pending);
	go_on(driver);
}

static void
ask(struct spf_driver *driver, struct spf_question *question)
{
	struct pending *pending = x_new(struct pending);

	pending->driver = driver;
	pending->question = question;
	LIST_INSERT_HEAD(&driver->pending, pending, link);
	pending->query = dns_ask(driver->dns, question->name, question->type,
		driver->config.question_ms, driver->config.payer, on_answer,
		pending);
}

/* An outcome is told in a turn of its own: there is just one way to end. */
static void
go_on(struct spf_driver *driver)
{
	struct spf_question *question;

	if (driver->has_outcome)
		return;
	driver->has_outcome = driver->ops->evaluate(driver->arg);
	if (driver->has_outcome) {
		drop_pending(driver);
		loop_timer_set(driver->timer, 0);
		return;
	}
	while ((question = driver->ops->next_question(driver->arg)) != NULL)
		ask(driver, question);
}

static void
on_timer(void *arg)
{
	struct spf_driver *driver = arg;
	const bool is_late = !driver->has_outcome;

	drop_pending(driver);
	driver->has_outcome = true;
	driver->ops->done(driver->arg, is_late);
}

struct spf_driver *
spf_driver_new(struct loop *loop, struct dns *dns,
	const struct spf_check_config *config, const struct spf_driver_ops *ops,
	void *arg)
{
	struct spf_driver *driver = x_new(struct spf_driver);

	driver->dns = dns;
	driver->config = *config;
	driver->payer = slice_strdup(config->payer);
	driver->config.payer = slice_of(driver->payer);
	driver->ops = ops;
	driver->arg = arg;
	LIST_INIT(&driver->pending);
	driver->timer = loop_timer_new(loop, on_timer, driver);
	loop_timer_set(driver->timer, config->deadline_ms);
	go_on(driver);
	return driver;
}

void
spf_driver_free(struct spf_driver *driver)
{
	if (driver == NULL)
		return;
	drop_pending(driver);
	loop_timer_free(driver->timer);
	x_free(driver->payer);
	x_free(driver);
}
