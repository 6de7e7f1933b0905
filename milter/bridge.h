#ifndef MILTER_BRIDGE_H
#define MILTER_BRIDGE_H

/*
 * Between the threads of libmilter and the event loop. A call is a question
 * that a thread of libmilter puts to the loop: it is carried out on the
 * loop's thread, while the other one goes on, and waits for the answer only
 * when it has use for it.
 *
 * A call is the first member of a struct with the question and the answer.
 * From bridge_ask() on that belongs to the loop's thread. The answer is there
 * to be read once bridge_wait() was true, and does not change any more. After
 * bridge_release() the thread that asked must not touch it; the loop's thread
 * takes back what is under way and frees it. So there are no more than
 * messages between the threads, and one lock in each call.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct bridge_call;
struct loop;

/* Both run on the loop's thread, once, in this order. */
struct bridge_kind {
	/* Answers at once, or sees to it that bridge_answer() is called. */
	void (*begin)(struct bridge_call *call);
	/* Nobody waits any more, answered or not: frees it. */
	void (*end)(struct bridge_call *call);
};

struct bridge_call {
	const struct bridge_kind *kind;
	struct loop *loop;
	pthread_mutex_t lock; /* of is_answered */
	pthread_cond_t answered;
	bool is_answered;
};

/* From a thread of libmilter. Nothing here blocks but bridge_wait(). */
void bridge_ask(struct bridge_call *call, const struct bridge_kind *kind,
	struct loop *loop);
/*
 * Waits for the answer; false when the deadline is over. It may be called
 * again.
 */
bool bridge_wait(struct bridge_call *call, int64_t deadline_us);
/* The deadline that is so far away, for any number of waits. */
int64_t bridge_deadline(uint64_t timeout_ms);
void bridge_release(struct bridge_call *call);

/* From the loop's thread; once. */
void bridge_answer(struct bridge_call *call);

#endif
