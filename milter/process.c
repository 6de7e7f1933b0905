#include "milter/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "milter/facts.h"
#include "milter/front.h"
#include "milter/sandbox.h"
#include "policyd/channel.h"
#include "policyd/config.h"

struct process {
	struct config *config; /* in force now */
	struct loop *loop;
	struct milter_facts *facts;
	struct channel channel;
	struct loop_watch *channel_watch;
	struct loop_signal *terminate, *hangup, *interrupt;
	struct loop_timer *stop_timer;
	struct loop_turn *log_turn;
	int listening_fd;
	bool is_stopping;
};

/* --- stopping ----------------------------------------------------------- */

/*
 * Not exit(), nor smfi_stop(): the threads of libmilter would still be there
 * while what they use is torn down, and whoever is in a session with them
 * learns of the end in the same way.
 */
static _Noreturn void
leave(int status)
{
	log_flush();
	_exit(status);
}

static void
on_empty(void *arg)
{
	(void)arg;
	leave(EX_OK);
}

static void
on_late(void *arg)
{
	struct process *process = arg;

	log_warning("stop_timeout is over: %zu sessions of the milter are "
		    "left; Postfix defers their mail",
		milter_facts_sessions(process->facts));
	leave(EX_OK);
}

static void
stop(void *arg)
{
	struct process *process = arg;

	if (process->is_stopping)
		return;
	process->is_stopping = true;
	if (front_close(process->listening_fd) < 0)
		log_error("cannot stop taking sessions: %s", strerror(errno));
	loop_timer_set(process->stop_timer,
		process->config->policyd.stop_timeout_ms);
	milter_facts_drain(process->facts, on_empty, process);
}

static void
ignore(void *arg)
{
	(void)arg; /* the supervisor sees it too, and tells us what to do */
}

static void
give_up(void *arg)
{
	(void)arg;
	log_error("libmilter has given up serving: ending the process");
	leave(EX_SOFTWARE);
}

/* On a thread of libmilter, which must not log. */
static void
on_front_failed(void *arg)
{
	struct process *process = arg;

	loop_post(process->loop, give_up, process);
}

/* --- the supervisor ----------------------------------------------------- */

static void
take_config(struct process *process, struct slice bytes)
{
	struct config *config = channel_unpack_config(bytes);

	if (config == NULL) {
		log_error("the supervisor sent a configuration that cannot "
			  "be read: the old one stays in force");
		return;
	}
	config_unref(process->config);
	process->config = config;
	log_open("policyd", &config->log);
	milter_facts_configure(process->facts, config);
}

static void
on_channel(void *arg, unsigned events)
{
	struct process *process = arg;
	enum channel_kind kind;
	struct slice bytes;

	(void)events;
	if (channel_read(&process->channel) < 0) {
		log_error("the supervisor is gone: stopping");
		loop_watch_set(process->channel_watch, 0);
		stop(process);
		return;
	}
	while (channel_next(&process->channel, &kind, &bytes)) {
		if (kind == CHANNEL_CONFIG)
			take_config(process, bytes);
		channel_done(&process->channel);
	}
}

/* --- starting ----------------------------------------------------------- */

static void
flush_log(void *arg)
{
	(void)arg;
	log_flush();
}

static void
wake_log(void *arg)
{
	struct process *process = arg;

	loop_turn_ask(process->log_turn);
}

static void
make_loop(struct process *process, int channel_fd)
{
	struct loop *loop = loop_new();

	process->loop = loop;
	channel_init(&process->channel, channel_fd);
	process->channel_watch =
		loop_watch_new(loop, channel_fd, on_channel, process);
	loop_watch_set(process->channel_watch, LOOP_READ);
	process->terminate = loop_signal_new(loop, SIGTERM, stop, process);
	process->hangup = loop_signal_new(loop, SIGHUP, ignore, process);
	process->interrupt = loop_signal_new(loop, SIGINT, ignore, process);
	process->stop_timer = loop_timer_new(loop, on_late, process);
	process->log_turn = loop_turn_new(loop, flush_log, process);
	log_on_pending(wake_log, process);
}

/* Out of descriptors libmilter does not pause: it spins. */
static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

void
milter_run(const struct milter_start *start)
{
	struct process *process = x_new(struct process);
	const char *err = NULL;

	raise_limit();
	process->config = start->config;
	process->listening_fd = start->listening_fd;
	make_loop(process, start->channel_fd);
	process->facts = milter_facts_new(process->loop, process->config,
		&start->servers);
	/* A kernel without seccomp is no reason not to serve. */
	if (sandbox_enter(&err) < 0)
		log_warning("the milter runs without a sandbox: %s", err);
	if (front_start(process->facts, start->listening_fd, on_front_failed,
		    process, &err) < 0) {
		log_error("the milter cannot serve: %s", err);
		leave(EX_SOFTWARE);
	}
	(void)channel_send(process->channel.fd, CHANNEL_READY, SLICE(""));
	loop_run(process->loop);
	leave(EX_SOFTWARE); /* nothing stops the loop */
}
