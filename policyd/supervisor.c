#include "policyd/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/sock.h"
#include "milter/process.h"
#include "policyd/channel.h"
#include "policyd/config.h"
#include "policyd/listening.h"
#include "policyd/privileges.h"
#include "policyd/sd_notify.h"
#include "policyd/worker.h"

#define ERROR_MAX        512
#define CONTROL_MODE     0660
#define BACKOFF_FIRST_US 100000
#define BACKOFF_LAST_US  10000000
/* A process that lived this long had not died of its start. */
#define HEALTHY_US 10000000
/* What a process gets beyond stop_timeout before it is killed. */
#define STOP_GRACE_US 2000000

enum child_state {
	CHILD_DOWN,     /* to be started at restart_at_us */
	CHILD_STARTING, /* forked, not ready */
	CHILD_READY,
};

struct child {
	enum child_state state;
	unsigned process; /* the milter comes after the policy processes */
	bool is_milter;
	char name[24];
	pid_t pid;
	struct channel channel;
	int control_fd;
	struct sock_address control;
	int64_t started_us, restart_at_us, backoff_us;
};

struct supervisor {
	struct config *config;
	struct privileges privileges, milter_privileges;
	struct listening listening;
	struct child *children;
	size_t n_children;
	int signal_fd;
	bool is_foreground;
	bool is_announced; /* READY=1 was sent */
	bool is_stopping;
	int64_t kill_at_us;
};

/* --- sockets ------------------------------------------------------------ */

/* The first process has control_socket, the others control_socket-1, ... */
static bool
control_address(const struct config *config, unsigned process,
	struct sock_address *out)
{
	int n;

	*out = config->policyd.control;
	if (process == 0)
		return true;
	n = snprintf(out->path, sizeof(out->path), "%s-%u",
		config->policyd.control.path, process);
	(void)snprintf(out->text, sizeof(out->text), "unix:%.100s", out->path);
	return n > 0 && (size_t)n < sizeof(out->path);
}

static int
open_sockets(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;

	if (listening_open(&supervisor->listening, config,
		    supervisor->milter_privileges.uid) < 0)
		return -1;
	for (size_t i = 0; i < supervisor->n_children; i++) {
		struct child *child = &supervisor->children[i];

		if (child->is_milter)
			continue;
		if (!control_address(config, child->process, &child->control))
			return -1;
		child->control_fd = listening_bind(&child->control,
			CONTROL_MODE, supervisor->privileges.control_gid);
		if (child->control_fd < 0)
			return -1;
	}
	return 0;
}

static void
close_sockets(struct supervisor *supervisor)
{
	listening_close(&supervisor->listening);
	for (size_t i = 0; i < supervisor->n_children; i++) {
		struct child *child = &supervisor->children[i];

		if (child->control_fd < 0)
			continue;
		close(child->control_fd);
		unlink(child->control.path);
	}
}

/* --- children ----------------------------------------------------------- */

/*
 * In the child: gives up what is the supervisor's and the other processes',
 * and root. 0, or -1 after it has logged why.
 */
static int
become(struct supervisor *supervisor, const struct child *child)
{
	const struct privileges *privileges =
		child->is_milter ? &supervisor->milter_privileges
				 : &supervisor->privileges;
	char err[ERROR_MAX];
	sigset_t none;

	(void)prctl(PR_SET_NAME,
		child->is_milter ? "policyd: milter" : "policyd: policy", 0, 0,
		0);
	close(supervisor->signal_fd);
	for (size_t i = 0; i < supervisor->n_children; i++) {
		struct child *other = &supervisor->children[i];

		channel_free(&other->channel);
		if (other != child && other->control_fd >= 0)
			close(other->control_fd);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (privileges_drop(privileges, err, sizeof(err)) < 0) {
		log_error("%s", err);
		return -1;
	}
	privileges_forbid_dumps();
	metric_process(child->process);
	listening_keep(&supervisor->listening, child->is_milter);
	return 0;
}

static int
run_policy(struct supervisor *supervisor, struct child *child, int channel_fd)
{
	const struct worker_start start = {
		.config = config_ref(supervisor->config),
		.process = child->process,
		.sockets = supervisor->listening.sockets,
		.n_sockets = supervisor->listening.n,
		.control_fd = child->control_fd,
		.channel_fd = channel_fd,
	};
	const int status = worker_run(&start);

	config_unref(supervisor->config);
	x_free(supervisor->children);
	listening_free(&supervisor->listening);
	return status;
}

/* Where the milter asks the policy processes; nowhere without a milter. */
static struct milter_servers
private_servers(const struct listening *listening)
{
	struct milter_servers out;

	memset(&out, 0, sizeof(out));
	if (listening_private(listening, WORKER_SOCKET_POLICY) == NULL)
		return out;
	out.policy = *listening_private(listening, WORKER_SOCKET_POLICY);
	out.keys = *listening_private(listening, WORKER_SOCKET_KEYS);
	return out;
}

static int
run_child(struct supervisor *supervisor, struct child *child, int channel_fd)
{
	/* Before become(), which leaves it the sockets that are its own. */
	const struct milter_servers servers =
		private_servers(&supervisor->listening);

	if (become(supervisor, child) < 0)
		return EX_NOPERM;
	if (!child->is_milter)
		return run_policy(supervisor, child, channel_fd);
	/* It reads what strangers wrote, and needs no password. */
	config_forget_secrets(supervisor->config);
	milter_run(&(struct milter_start){
		.config = supervisor->config,
		.listening_fd = supervisor->listening.sockets[0].fd,
		.channel_fd = channel_fd,
		.servers = servers,
	});
}

static void
delay_start(struct child *child)
{
	child->state = CHILD_DOWN;
	child->restart_at_us = clock_monotonic_us() + child->backoff_us;
	child->backoff_us *= 2;
	if (child->backoff_us > BACKOFF_LAST_US)
		child->backoff_us = BACKOFF_LAST_US;
}

static void
start_child(struct supervisor *supervisor, struct child *child)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		log_error("cannot start a process: socketpair: %s",
			strerror(errno));
		delay_start(child);
		return;
	}
	log_flush();
	child->pid = fork();
	if (child->pid == 0) {
		close(pair[0]);
		exit(run_child(supervisor, child, pair[1]));
	}
	close(pair[1]);
	if (child->pid < 0) {
		log_error("cannot start a process: fork: %s", strerror(errno));
		close(pair[0]);
		delay_start(child);
		return;
	}
	channel_init(&child->channel, pair[0]);
	child->state = CHILD_STARTING;
	child->started_us = clock_monotonic_us();
}

static struct child *
find_child(struct supervisor *supervisor, pid_t pid)
{
	for (size_t i = 0; i < supervisor->n_children; i++)
		if (supervisor->children[i].state != CHILD_DOWN &&
			supervisor->children[i].pid == pid)
			return &supervisor->children[i];
	return NULL;
}

static void
log_death(const struct supervisor *supervisor, const struct child *child,
	int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof(how), "signal %d (%s)",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(how, sizeof(how), "exit status %d",
			WEXITSTATUS(status));
	if (supervisor->is_stopping)
		log_info("%s (pid %d) has ended: %s", child->name,
			(int)child->pid, how);
	else
		log_error("%s (pid %d) died: %s; starting another", child->name,
			(int)child->pid, how);
}

static void
bury(struct supervisor *supervisor, struct child *child, int status)
{
	log_death(supervisor, child, status);
	channel_free(&child->channel);
	metric_forget_gauges(child->process);
	if (clock_monotonic_us() - child->started_us > HEALTHY_US)
		child->backoff_us = BACKOFF_FIRST_US;
	delay_start(child);
	if (!supervisor->is_stopping)
		metric_add(METRIC_CHILD_RESTARTS, 1);
}

static void
reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *child = find_child(supervisor, pid);

		if (child != NULL)
			bury(supervisor, child, status);
	}
}

/* --- messages to the processes ------------------------------------------- */

static void
tell(const struct child *child, enum channel_kind kind, struct slice bytes)
{
	if (child->state == CHILD_DOWN ||
		channel_send(child->channel.fd, kind, bytes) == 0)
		return;
	log_error("%s takes no messages: ending it", child->name);
	kill(child->pid, SIGKILL);
}

static void
tell_others(struct supervisor *supervisor, const struct child *except,
	enum channel_kind kind)
{
	for (size_t i = 0; i < supervisor->n_children; i++)
		if (&supervisor->children[i] != except)
			tell(&supervisor->children[i], kind, SLICE(""));
}

static void
tell_config(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->n_children; i++) {
		const struct child *child = &supervisor->children[i];
		struct str packed;

		str_init(&packed, CHANNEL_MESSAGE_MAX);
		channel_pack_config(supervisor->config, !child->is_milter,
			&packed);
		tell(child, CHANNEL_CONFIG, str_slice(&packed));
		explicit_bzero(packed.data, packed.size);
		str_free(&packed);
	}
}

/* --- reload ------------------------------------------------------------- */

static void
open_log(const struct supervisor *supervisor)
{
	struct config *config = supervisor->config;

	if (supervisor->is_foreground)
		config->log.target = LOG_TARGET_STDERR;
	log_open("policyd", &config->log);
}

static void
take_config(struct supervisor *supervisor, struct config *config,
	struct str *remarks)
{
	config_restart_needed(supervisor->config, config, remarks);
	config_unref(supervisor->config);
	supervisor->config = config;
	open_log(supervisor);
	tell_config(supervisor);
	metric_add(METRIC_RELOADS, 1);
	if (remarks->len > 0)
		log_warning("configuration reloaded; these take effect only "
			    "after a restart: %s",
			str_text(remarks));
	else
		log_info("configuration reloaded");
}

static void
describe_errors(const struct config_errors *errors, const char *path,
	struct str *out)
{
	for (size_t i = 0; i < errors->n; i++) {
		if (i > 0)
			str_append_char(out, '\n');
		if (errors->items[i].line > 0)
			str_printf(out, "%s:%u: %s", path,
				errors->items[i].line, errors->items[i].text);
		else
			str_printf(out, "%s: %s", path, errors->items[i].text);
	}
}

/* Appends remarks or errors to *out. */
static bool
reload(struct supervisor *supervisor, struct str *out)
{
	struct config_errors errors = { NULL, 0 };
	struct config *config;
	bool is_done = false;

	sd_notify_reloading();
	config = config_load(supervisor->config->path, &errors);
	if (config != NULL && config_read_secrets(config, &errors) < 0) {
		config_unref(config);
		config = NULL;
	}
	if (config != NULL) {
		take_config(supervisor, config, out);
		is_done = true;
	} else {
		describe_errors(&errors, supervisor->config->path, out);
		log_error("configuration not reloaded, the old one stays in "
			  "force: %s",
			str_text(out));
	}
	config_errors_free(&errors);
	sd_notify_send("READY=1");
	return is_done;
}

/* --- messages and signals ----------------------------------------------- */

static void
announce(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->n_children; i++)
		if (supervisor->children[i].state != CHILD_READY)
			return;
	if (supervisor->is_announced)
		return;
	supervisor->is_announced = true;
	log_info("ready: %zu listening sockets, %zu processes",
		supervisor->listening.n, supervisor->n_children);
	sd_notify_send("READY=1");
}

static void
answer_reload(struct supervisor *supervisor, struct child *child)
{
	struct str text;
	bool is_done;

	str_init(&text, 65536);
	is_done = reload(supervisor, &text);
	if (child->state != CHILD_DOWN)
		(void)channel_send(child->channel.fd,
			is_done ? CHANNEL_RELOADED : CHANNEL_REFUSED,
			str_slice(&text));
	str_free(&text);
}

static void
hear(struct supervisor *supervisor, struct child *child)
{
	enum channel_kind kind;
	struct slice bytes;

	/* When the other side is gone SIGCHLD tells the rest. */
	(void)channel_read(&child->channel);
	while (channel_next(&child->channel, &kind, &bytes)) {
		channel_done(&child->channel);
		if (kind == CHANNEL_READY) {
			child->state = CHILD_READY;
			announce(supervisor);
		} else if (kind == CHANNEL_RELOAD) {
			answer_reload(supervisor, child);
		} else if (kind == CHANNEL_CHANGED) {
			tell_others(supervisor, child, CHANNEL_CHANGED);
		}
	}
}

static void
stop(struct supervisor *supervisor)
{
	if (supervisor->is_stopping)
		return;
	log_info("stopping");
	sd_notify_send("STOPPING=1");
	supervisor->is_stopping = true;
	supervisor->kill_at_us =
		clock_monotonic_us() + STOP_GRACE_US +
		(int64_t)supervisor->config->policyd.stop_timeout_ms * 1000;
	for (size_t i = 0; i < supervisor->n_children; i++)
		if (supervisor->children[i].state != CHILD_DOWN)
			kill(supervisor->children[i].pid, SIGTERM);
}

static void
on_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	struct str text;

	if (read(supervisor->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(supervisor);
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
		stop(supervisor);
	if (info.ssi_signo == SIGHUP) {
		str_init(&text, 65536);
		(void)reload(supervisor, &text);
		str_free(&text);
	}
}

/* --- the loop ----------------------------------------------------------- */

static size_t
n_alive(const struct supervisor *supervisor)
{
	size_t n = 0;

	for (size_t i = 0; i < supervisor->n_children; i++)
		n += supervisor->children[i].state != CHILD_DOWN;
	return n;
}

static void
start_due(struct supervisor *supervisor)
{
	const int64_t now = clock_monotonic_us();

	if (supervisor->is_stopping)
		return;
	for (size_t i = 0; i < supervisor->n_children; i++)
		if (supervisor->children[i].state == CHILD_DOWN &&
			supervisor->children[i].restart_at_us <= now)
			start_child(supervisor, &supervisor->children[i]);
}

static void
kill_overdue(struct supervisor *supervisor)
{
	if (!supervisor->is_stopping ||
		clock_monotonic_us() < supervisor->kill_at_us)
		return;
	for (size_t i = 0; i < supervisor->n_children; i++)
		if (supervisor->children[i].state != CHILD_DOWN) {
			log_error("%s did not end in time: killed",
				supervisor->children[i].name);
			kill(supervisor->children[i].pid, SIGKILL);
		}
	supervisor->kill_at_us = INT64_MAX;
}

/* Until the next start or kill that is due; -1 for whenever. */
static int
wait_ms(const struct supervisor *supervisor)
{
	int64_t until = INT64_MAX, left;

	for (size_t i = 0; i < supervisor->n_children; i++)
		if (!supervisor->is_stopping &&
			supervisor->children[i].state == CHILD_DOWN &&
			supervisor->children[i].restart_at_us < until)
			until = supervisor->children[i].restart_at_us;
	if (supervisor->is_stopping && supervisor->kill_at_us < until)
		until = supervisor->kill_at_us;
	if (until == INT64_MAX)
		return -1;
	left = until - clock_monotonic_us();
	return left <= 0 ? 0 : (int)(left / 1000 + 1);
}

static void
wait_and_serve(struct supervisor *supervisor, struct pollfd *fds)
{
	fds[0].fd = supervisor->signal_fd;
	fds[0].events = POLLIN;
	for (size_t i = 0; i < supervisor->n_children; i++) {
		const struct child *child = &supervisor->children[i];

		fds[i + 1].fd =
			child->state == CHILD_DOWN ? -1 : child->channel.fd;
		fds[i + 1].events = POLLIN;
		fds[i + 1].revents = 0;
	}
	if (poll(fds, supervisor->n_children + 1, wait_ms(supervisor)) < 0)
		return;
	for (size_t i = 0; i < supervisor->n_children; i++)
		if ((fds[i + 1].revents & POLLIN) != 0)
			hear(supervisor, &supervisor->children[i]);
	if ((fds[0].revents & POLLIN) != 0)
		on_signal(supervisor);
}

static void
serve(struct supervisor *supervisor)
{
	struct pollfd *fds =
		x_new_array(supervisor->n_children + 1, struct pollfd);

	while (!supervisor->is_stopping || n_alive(supervisor) > 0) {
		start_due(supervisor);
		log_flush();
		wait_and_serve(supervisor, fds);
		kill_overdue(supervisor);
	}
	x_free(fds);
}

static int
take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
make_children(struct supervisor *supervisor)
{
	const size_t n_policy = supervisor->config->policyd.policy_processes;

	supervisor->n_children =
		n_policy + config_has_milter(supervisor->config);
	supervisor->children =
		x_new_array(supervisor->n_children, struct child);
	for (size_t i = 0; i < supervisor->n_children; i++) {
		struct child *child = &supervisor->children[i];

		child->process = (unsigned)i;
		child->is_milter = i == n_policy;
		if (child->is_milter)
			(void)snprintf(child->name, sizeof(child->name),
				"milter");
		else
			(void)snprintf(child->name, sizeof(child->name),
				"process %u", child->process);
		child->control_fd = -1;
		child->channel.fd = -1;
		child->backoff_us = BACKOFF_FIRST_US;
	}
}

static void
supervisor_free(struct supervisor *supervisor)
{
	close_sockets(supervisor);
	if (supervisor->signal_fd >= 0)
		close(supervisor->signal_fd);
	for (size_t i = 0; i < supervisor->n_children; i++)
		channel_free(&supervisor->children[i].channel);
	x_free(supervisor->children);
	config_unref(supervisor->config);
	log_close();
}

/* Everything that may fail for want of a right. 0, or an exit status. */
static int
prepare(struct supervisor *supervisor)
{
	char err[ERROR_MAX];

	if (privileges_find(supervisor->config, &supervisor->privileges, err,
		    sizeof(err)) < 0 ||
		privileges_find_milter(supervisor->config,
			&supervisor->milter_privileges, err, sizeof(err)) < 0) {
		log_error("%s", err);
		return EX_NOUSER;
	}
	make_children(supervisor);
	if (open_sockets(supervisor) < 0)
		return EX_OSERR;
	if (!supervisor->is_foreground && daemon(0, 0) < 0) {
		log_error("cannot go to the background: %s", strerror(errno));
		return EX_OSERR;
	}
	return EX_OK;
}

int
supervisor_run(struct config *config, bool is_foreground)
{
	struct supervisor supervisor = { .config = config,
		.is_foreground = is_foreground,
		.signal_fd = -1 };
	int status;

	/* The passwords were read: they are in its memory, too. */
	privileges_forbid_dumps();
	status = prepare(&supervisor);
	if (status == EX_OK) {
		open_log(&supervisor);
		metric_init();
		supervisor.signal_fd = take_signals();
		serve(&supervisor);
		log_info("stopped");
	}
	supervisor_free(&supervisor);
	return status;
}
