#include "common/io/db_conn.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"

/*
 * Shared by the loop and the thread, each holding one reference; the last
 * one to let go frees it. So neither waits for the other, and the loop may
 * be gone when the thread ends.
 */
struct db_connect {
	pthread_mutex_t lock; /* over these two */
	unsigned n_holders;
	bool is_ended;

	/* The thread's until is_ended. */
	struct db_config *config;
	struct db_conn *conn; /* NULL when it failed */
	struct db_conn_error error;

	/* The loop's. */
	int wake_fd;
	struct loop *loop;
	struct loop_watch *watch;
	db_connect_fn *fn;
	void *arg;
};

static void
let_go(struct db_connect *attempt)
{
	bool is_last;

	pthread_mutex_lock(&attempt->lock);
	is_last = --attempt->n_holders == 0;
	pthread_mutex_unlock(&attempt->lock);
	if (!is_last)
		return;
	db_conn_free(attempt->conn);
	db_config_free(attempt->config);
	close(attempt->wake_fd);
	pthread_mutex_destroy(&attempt->lock);
	x_free(attempt);
}

/* Hands the result to the loop. */
static void
end_attempt(struct db_connect *attempt)
{
	pthread_mutex_lock(&attempt->lock);
	attempt->is_ended = true;
	pthread_mutex_unlock(&attempt->lock);
	(void)eventfd_write(attempt->wake_fd, 1);
	let_go(attempt);
}

static bool
has_ended(struct db_connect *attempt)
{
	bool is_ended;

	pthread_mutex_lock(&attempt->lock);
	is_ended = attempt->is_ended;
	pthread_mutex_unlock(&attempt->lock);
	return is_ended;
}

static void *
connect_main(void *arg)
{
	struct db_connect *attempt = arg;

	attempt->conn = db_conn_open(attempt->config, &attempt->error);
	end_attempt(attempt);
	return NULL;
}

/* Signals are the main thread's. */
static bool
start_thread(struct db_connect *attempt)
{
	sigset_t all, before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, NULL, connect_main, attempt);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return false;
	pthread_detach(thread);
	return true;
}

static void
connect_ended(void *arg, unsigned events)
{
	struct db_connect *attempt = arg;
	struct db_conn *conn;

	(void)events;
	if (!has_ended(attempt))
		return;
	loop_watch_free(attempt->watch);
	attempt->watch = NULL;
	conn = attempt->conn;
	attempt->conn = NULL;
	if (conn != NULL) {
		db_conn_attach(conn, attempt->loop);
		metric_add(METRIC_SQL_RECONNECTS, 1);
	}
	attempt->fn(attempt->arg, conn, &attempt->error);
	let_go(attempt);
}

struct db_connect *
db_connect_start(struct loop *loop, const struct db_config *config,
	db_connect_fn *fn, void *arg)
{
	struct db_connect *attempt = x_new(struct db_connect);

	db_conn_init_library();
	pthread_mutex_init(&attempt->lock, NULL);
	attempt->n_holders = 2;
	attempt->config = db_config_copy(config);
	attempt->loop = loop;
	attempt->fn = fn;
	attempt->arg = arg;
	attempt->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (attempt->wake_fd < 0) {
		/* No descriptors left: nothing could ever connect. */
		let_go(attempt);
		let_go(attempt);
		return NULL;
	}
	attempt->watch =
		loop_watch_new(loop, attempt->wake_fd, connect_ended, attempt);
	loop_watch_set(attempt->watch, LOOP_READ);
	if (!start_thread(attempt)) {
		snprintf(attempt->error.text, sizeof(attempt->error.text),
			"cannot start a thread");
		end_attempt(attempt);
	}
	return attempt;
}

void
db_connect_cancel(struct db_connect *attempt)
{
	if (attempt == NULL)
		return;
	loop_watch_free(attempt->watch);
	attempt->watch = NULL;
	let_go(attempt);
}
