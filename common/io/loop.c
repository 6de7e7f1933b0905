#include "common/io/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"

struct post {
	STAILQ_ENTRY(post) link;
	loop_fn *fn;
	void *arg;
};

STAILQ_HEAD(post_list, post);
TAILQ_HEAD(turn_list, loop_turn);

struct loop {
	struct event_base *base;
	bool is_stopping;
	struct event limit; /* ends loop_run_for() */
	bool is_over;       /* limit fired */

	struct event turn_event;
	struct turn_list asked; /* to run in this pass over the turns */
	struct turn_list later; /* ran in this pass and asked again */
	bool is_in_pass;
	uint64_t pass; /* number of the last pass */

	/* Other threads come in here. */
	int post_fd;
	struct event post_event;
	pthread_mutex_t post_lock;
	struct post_list posts;
};

/*
 * Two events instead of one whose mask changes: to change the mask of an
 * event is to delete and add it, while a second event beside a first costs
 * one epoll_ctl().
 */
struct loop_watch {
	struct event read_event;
	struct event write_event;
	unsigned armed;
	loop_watch_fn *fn;
	void *arg;
};

struct loop_timer {
	struct event event;
	loop_fn *fn;
	void *arg;
};

struct loop_turn {
	TAILQ_ENTRY(loop_turn) link;
	struct turn_list *list; /* the one it stands in, or NULL */
	struct loop *loop;
	uint64_t ran_in; /* number of the pass it last ran in */
	loop_fn *fn;
	void *arg;
};

struct loop_signal {
	struct event event;
	loop_fn *fn;
	void *arg;
};

/* Without its loop a process has nothing to live for. */
static _Noreturn void
die(const char *what)
{
	log_error("event loop: %s: %s", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void
add_event(struct event *event, const struct timeval *timeout)
{
	if (event_add(event, timeout) != 0)
		die("cannot add an event");
}

/* --- turns --------------------------------------------------------------- */

static void
run_turn(struct loop *loop, struct loop_turn *turn)
{
	TAILQ_REMOVE(&loop->asked, turn, link);
	turn->list = NULL;
	turn->ran_in = loop->pass;
	turn->fn(turn->arg);
}

/*
 * Runs what was asked for and what that asks for in its turn, but each only
 * once: work that asks for itself must not keep input and timers waiting.
 */
static void
run_turns(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once = { 0, 0 };
	struct loop *loop = arg;
	struct loop_turn *turn;

	(void)fd;
	(void)what;
	loop->pass++;
	loop->is_in_pass = true;
	while ((turn = TAILQ_FIRST(&loop->asked)) != NULL)
		run_turn(loop, turn);
	loop->is_in_pass = false;

	TAILQ_FOREACH(turn, &loop->later, link)
	turn->list = &loop->asked;
	TAILQ_CONCAT(&loop->asked, &loop->later, link);
	if (!TAILQ_EMPTY(&loop->asked))
		add_event(&loop->turn_event, &at_once);
}

struct loop_turn *
loop_turn_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_turn *turn = x_new(struct loop_turn);

	turn->loop = loop;
	turn->fn = fn;
	turn->arg = arg;
	return turn;
}

void
loop_turn_ask(struct loop_turn *turn)
{
	struct loop *loop = turn->loop;

	if (turn->list != NULL)
		return;
	if (loop->is_in_pass && turn->ran_in == loop->pass) {
		turn->list = &loop->later;
	} else {
		turn->list = &loop->asked;
		/* The event goes behind all that is active already. */
		if (!loop->is_in_pass && TAILQ_EMPTY(&loop->asked))
			event_active(&loop->turn_event, EV_TIMEOUT, 0);
	}
	TAILQ_INSERT_TAIL(turn->list, turn, link);
}

void
loop_turn_free(struct loop_turn *turn)
{
	if (turn == NULL)
		return;
	if (turn->list != NULL)
		TAILQ_REMOVE(turn->list, turn, link);
	x_free(turn);
}

/* --- posts from other threads -------------------------------------------- */

static void
take_posts(struct loop *loop, struct post_list *out)
{
	STAILQ_INIT(out);
	pthread_mutex_lock(&loop->post_lock);
	STAILQ_CONCAT(out, &loop->posts);
	pthread_mutex_unlock(&loop->post_lock);
}

static void
run_posts(evutil_socket_t fd, short what, void *arg)
{
	struct post_list posts;
	struct post *post;
	eventfd_t count;

	(void)what;
	/* Read before the queue is taken, so that no wake-up is lost. */
	if (eventfd_read(fd, &count) != 0 && errno != EAGAIN)
		die("cannot read the eventfd");
	take_posts(arg, &posts);
	while ((post = STAILQ_FIRST(&posts)) != NULL) {
		STAILQ_REMOVE_HEAD(&posts, link);
		post->fn(post->arg);
		x_free(post);
	}
}

void
loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
	struct post *post = x_new(struct post);
	bool was_empty;

	post->fn = fn;
	post->arg = arg;
	pthread_mutex_lock(&loop->post_lock);
	was_empty = STAILQ_EMPTY(&loop->posts);
	STAILQ_INSERT_TAIL(&loop->posts, post, link);
	/* Inside the lock: afterwards loop_free() may have closed it. */
	if (was_empty)
		(void)eventfd_write(loop->post_fd, 1);
	pthread_mutex_unlock(&loop->post_lock);
}

static void
open_post_fd(struct loop *loop)
{
	loop->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->post_fd < 0)
		die("eventfd");
	event_assign(&loop->post_event, loop->base, loop->post_fd,
		EV_READ | EV_PERSIST, run_posts, loop);
	add_event(&loop->post_event, NULL);
}

static void
close_post_fd(struct loop *loop)
{
	event_del(&loop->post_event);
	close(loop->post_fd);
}

/* --- the loop ------------------------------------------------------------ */

static void
limit_passed(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	loop->is_over = true;
}

static struct event_base *
new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	/* One thread uses the base; others come in by loop_post() only. */
	if (config != NULL &&
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (base == NULL)
		die("cannot start libevent");
	event_config_free(config);
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *loop = x_new(struct loop);

	loop->base = new_base();
	TAILQ_INIT(&loop->asked);
	TAILQ_INIT(&loop->later);
	STAILQ_INIT(&loop->posts);
	pthread_mutex_init(&loop->post_lock, NULL);
	evtimer_assign(&loop->limit, loop->base, limit_passed, loop);
	evtimer_assign(&loop->turn_event, loop->base, run_turns, loop);
	open_post_fd(loop);
	return loop;
}

void
loop_free(struct loop *loop)
{
	struct post_list posts;
	struct post *post;

	if (loop == NULL)
		return;
	take_posts(loop, &posts);
	while ((post = STAILQ_FIRST(&posts)) != NULL) {
		STAILQ_REMOVE_HEAD(&posts, link);
		x_free(post);
	}
	close_post_fd(loop);
	event_del(&loop->turn_event);
	event_del(&loop->limit);
	event_base_free(loop->base);
	pthread_mutex_destroy(&loop->post_lock);
	x_free(loop);
}

void
loop_after_fork(struct loop *loop)
{
	if (event_reinit(loop->base) != 0)
		die("cannot start anew after fork");
	close_post_fd(loop);
	open_post_fd(loop);
}

/* Whole turns only: what a callback asked for still runs after loop_stop(). */
static void
run(struct loop *loop)
{
	while (!loop->is_stopping && !loop->is_over)
		if (event_base_loop(loop->base,
			    EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			die("cannot wait for events");
	loop->is_stopping = false;
}

static struct timeval
timeval_of_ms(uint64_t ms)
{
	struct timeval tv;

	/* Longer than any process lives; keeps libevent's sums in range. */
	if (ms > (uint64_t)INT32_MAX * 1000)
		ms = (uint64_t)INT32_MAX * 1000;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	return tv;
}

void
loop_run(struct loop *loop)
{
	loop->is_over = false;
	run(loop);
}

void
loop_run_for(struct loop *loop, uint64_t timeout_ms)
{
	struct timeval tv = timeval_of_ms(timeout_ms);

	loop->is_over = false;
	add_event(&loop->limit, &tv);
	run(loop);
	event_del(&loop->limit);
}

void
loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
}

struct event_base *
loop_event_base(struct loop *loop)
{
	return loop->base;
}

/* --- file descriptors ---------------------------------------------------- */

static void
watch_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *watch = arg;

	(void)fd;
	watch->fn(watch->arg, (what & EV_READ) != 0 ? LOOP_READ : LOOP_WRITE);
}

struct loop_watch *
loop_watch_new(struct loop *loop, int fd, loop_watch_fn *fn, void *arg)
{
	struct loop_watch *watch = x_new(struct loop_watch);

	assert(fd >= 0);
	watch->fn = fn;
	watch->arg = arg;
	event_assign(&watch->read_event, loop->base, fd, EV_READ | EV_PERSIST,
		watch_ready, watch);
	event_assign(&watch->write_event, loop->base, fd, EV_WRITE | EV_PERSIST,
		watch_ready, watch);
	return watch;
}

static void
arm(struct event *event, bool is_on)
{
	if (is_on)
		add_event(event, NULL);
	else
		event_del(event);
}

void
loop_watch_set(struct loop_watch *watch, unsigned events)
{
	unsigned changed = watch->armed ^ events;

	assert((events & ~(LOOP_READ | LOOP_WRITE)) == 0);
	watch->armed = events;
	if ((changed & LOOP_READ) != 0)
		arm(&watch->read_event, (events & LOOP_READ) != 0);
	if ((changed & LOOP_WRITE) != 0)
		arm(&watch->write_event, (events & LOOP_WRITE) != 0);
}

void
loop_watch_free(struct loop_watch *watch)
{
	if (watch == NULL)
		return;
	loop_watch_set(watch, 0);
	x_free(watch);
}

/* --- timers -------------------------------------------------------------- */

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->fn(timer->arg);
}

struct loop_timer *
loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_timer *timer = x_new(struct loop_timer);

	timer->fn = fn;
	timer->arg = arg;
	evtimer_assign(&timer->event, loop->base, timer_fired, timer);
	return timer;
}

void
loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
	struct timeval tv = timeval_of_ms(delay_ms);

	add_event(&timer->event, &tv);
}

void
loop_timer_clear(struct loop_timer *timer)
{
	event_del(&timer->event);
}

void
loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	event_del(&timer->event);
	x_free(timer);
}

/* --- signals ------------------------------------------------------------- */

static void
signal_came(evutil_socket_t signal, short what, void *arg)
{
	struct loop_signal *it = arg;

	(void)signal;
	(void)what;
	it->fn(it->arg);
}

struct loop_signal *
loop_signal_new(struct loop *loop, int signal, loop_fn *fn, void *arg)
{
	struct loop_signal *it = x_new(struct loop_signal);

	it->fn = fn;
	it->arg = arg;
	evsignal_assign(&it->event, loop->base, signal, signal_came, it);
	add_event(&it->event, NULL);
	return it;
}

void
loop_signal_free(struct loop_signal *signal)
{
	if (signal == NULL)
		return;
	event_del(&signal->event);
	x_free(signal);
}
