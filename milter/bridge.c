#include "milter/bridge.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "common/io/loop.h"

static void
begin(void *arg)
{
	struct bridge_call *call = arg;

	call->kind->begin(call);
}

static void
end(void *arg)
{
	struct bridge_call *call = arg;

	pthread_cond_destroy(&call->answered);
	pthread_mutex_destroy(&call->lock);
	call->kind->end(call);
}

void
bridge_ask(struct bridge_call *call, const struct bridge_kind *kind,
	struct loop *loop)
{
	call->kind = kind;
	call->loop = loop;
	call->is_answered = false;
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->answered, NULL);
	loop_post(loop, begin, call);
}

void
bridge_release(struct bridge_call *call)
{
	/* Posts keep their order: it has begun by then. */
	loop_post(call->loop, end, call);
}

void
bridge_answer(struct bridge_call *call)
{
	pthread_mutex_lock(&call->lock);
	assert(!call->is_answered);
	call->is_answered = true;
	pthread_cond_signal(&call->answered);
	pthread_mutex_unlock(&call->lock);
}

/*
 * The system's own clock and not that of common/base/clock.h: it is the one
 * that a condition variable counts in, also where a test turns the other.
 */
int64_t
bridge_deadline(uint64_t timeout_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 +
	       (int64_t)timeout_ms * 1000;
}

bool
bridge_wait(struct bridge_call *call, int64_t deadline_us)
{
	const struct timespec until = {
		.tv_sec = deadline_us / 1000000,
		.tv_nsec = deadline_us % 1000000 * 1000,
	};
	bool is_answered;
	int status = 0;

	pthread_mutex_lock(&call->lock);
	while (!call->is_answered && status != ETIMEDOUT)
		status = pthread_cond_clockwait(&call->answered, &call->lock,
			CLOCK_MONOTONIC, &until);
	is_answered = call->is_answered;
	pthread_mutex_unlock(&call->lock);
	return is_answered;
}
