#ifndef COMMON_IO_LOOP_H
#define COMMON_IO_LOOP_H

/*
 * The event loop: one per process, on one thread, over libevent (which only
 * loop.c includes). Callbacks run from loop_run() and never from inside the
 * call that armed them; anything may be freed inside any callback. What was
 * made on a loop is freed before the loop.
 */

#include <stdbool.h>
#include <stdint.h>

struct event_base; /* libevent's */
struct loop;
struct loop_watch;
struct loop_timer;
struct loop_turn;
struct loop_signal;

#define LOOP_READ  1u
#define LOOP_WRITE 2u

typedef void loop_fn(void *arg);
typedef void loop_watch_fn(void *arg, unsigned events);

/* Never NULL: without its loop the process ends with a line in the log. */
struct loop *loop_new(void);
/* What was posted and did not run yet is dropped. */
void loop_free(struct loop *loop);
/*
 * In a child after fork(), before it touches anything on the loop: makes the
 * loop its own. Without this the child would take away what its parent waits
 * for, even by freeing.
 */
void loop_after_fork(struct loop *loop);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* Runs until loop_stop() or until timeout_ms have passed. */
void loop_run_for(struct loop *loop, uint64_t timeout_ms);
/* Once this turn is complete; outside a run, the next one ends at once. */
void loop_stop(struct loop *loop);

/*
 * What the loop stands on, for a library that brings events of its own and
 * runs them on a libevent base (libunbound, in dns.c). Not for anything else.
 */
struct event_base *loop_event_base(struct loop *loop);

/* A file descriptor; it is not closed by loop_watch_free(). */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_watch_fn *fn,
	void *arg);
/* Which of LOOP_READ, LOOP_WRITE to wait for from now on; 0 for none. */
void loop_watch_set(struct loop_watch *watch, unsigned events);
void loop_watch_free(struct loop_watch *watch);

/* A timer, not armed. It fires once per arming. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);

/*
 * Work for the end of this turn: after every callback that is already due.
 * Asking again before it ran changes nothing; a turn that asks for itself
 * while it runs comes again in the next. This is where batches form.
 */
struct loop_turn *loop_turn_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_turn_ask(struct loop_turn *turn);
void loop_turn_free(struct loop_turn *turn);

/* A Unix signal, delivered on the loop. */
struct loop_signal *loop_signal_new(struct loop *loop, int signal, loop_fn *fn,
	void *arg);
void loop_signal_free(struct loop_signal *signal);

/*
 * Runs fn(arg) on the loop as soon as possible. The only function here that
 * another thread may call.
 */
void loop_post(struct loop *loop, loop_fn *fn, void *arg);

#endif
