#include "policyd/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "policyd/channel.h"
#include "policyd/cleanup.h"
#include "policyd/config.h"
#include "policyd/control.h"
#include "policyd/dkim_check.h"
#include "policyd/dkim_keys.h"
#include "policyd/dkim_maker.h"
#include "policyd/dkim_watch.h"
#include "policyd/domain_servers.h"
#include "policyd/engine.h"
#include "policyd/facts/auto_whitelist.h"
#include "policyd/facts/directory.h"
#include "policyd/facts/dmarc_aggregate.h"
#include "policyd/facts/host.h"
#include "policyd/facts/reputation.h"
#include "policyd/facts/reservation.h"
#include "policyd/facts/spf.h"
#include "policyd/facts/tables.h"
#include "policyd/facts/triplet.h"
#include "policyd/gauges.h"
#include "policyd/instances.h"
#include "policyd/journal.h"
#include "policyd/key_server.h"
#include "policyd/notifier.h"
#include "policyd/open_dns.h"
#include "policyd/parallel.h"
#include "policyd/policy_server.h"
#include "policyd/schema.h"
#include "policyd/sources.h"
#include "policyd/srs_server.h"

#define NODE_MAX 64
/* How often a stopping process looks whether its writes are through. */
#define STOP_LOOK_MS 20
/* How long a database that is away is waited for then. */
#define GIVE_UP_US INT64_C(2000000)
/* Statements that may wait in one pool. */
#define DB_QUEUE_MAX 4096

struct reload_wish {
	worker_reloaded_fn *done;
	void *arg;
};

#define RELOAD_WISHES_MAX 16

struct worker {
	struct sources sources;
	struct channel channel;
	struct loop_watch *channel_watch;
	struct loop_turn *log_turn;
	struct loop_signal *terminate, *hangup, *interrupt;
	struct loop_timer *stop_timer;
	struct policy_server *policy_server;
	struct srs_server *srs_server;
	struct key_server *key_server;
	int64_t stop_until_us;    /* 0 while not stopping */
	unsigned n_to_be_drained; /* servers that still have connections */
	int64_t drained_us;       /* when the last one had none */
	struct reload_wish wishes[RELOAD_WISHES_MAX]; /* oldest first */
	size_t n_wishes;
};

/* --- stopping ----------------------------------------------------------- */

/* What waits to be written to each database. */
struct writes_waiting {
	size_t triplets, sessions, whites, refunds; /* iredapd */
	size_t decisions, dmarc;                    /* policyd */
	size_t n[CONFIG_DB_COUNT];
};

static struct writes_waiting
count_writes(const struct worker *worker)
{
	const struct sources *sources = &worker->sources;
	struct writes_waiting out = { .triplets = 0 };
	struct triplets_state triplets;
	struct journal_state journal;

	triplets_state(sources->triplets, &triplets);
	journal_state(sources->journal, &journal);
	out.triplets = triplets.n_waiting_writes;
	out.sessions = journal.n_waiting_sessions;
	out.whites = auto_whitelist_waiting(sources->auto_white);
	out.refunds = reservations_pending(sources->reservations);
	out.decisions = journal.n_waiting_decisions;
	out.n[CONFIG_DB_IREDAPD] =
		out.triplets + out.sessions + out.whites + out.refunds;
	out.dmarc = dmarc_aggregate_waiting(sources->dmarc_aggregate);
	out.n[CONFIG_DB_POLICYD] = out.decisions + out.dmarc;
	return out;
}

/* Nothing that waits has a database to go to, and has not had for a while. */
static bool
is_hopeless(const struct worker *worker, const struct writes_waiting *waiting)
{
	if (worker->n_to_be_drained > 0 ||
		clock_monotonic_us() - worker->drained_us < GIVE_UP_US)
		return false;
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++) {
		struct db_state state;

		if (waiting->n[i] == 0)
			continue;
		db_state(worker->sources.db[i], &state);
		if (state.is_up)
			return false;
	}
	return true;
}

static void
tell_lost(const char *why, const struct writes_waiting *waiting)
{
	log_warning("%s: lost are %zu greylisting records, %zu rows of "
		    "smtp_sessions, %zu of decision, %zu white-list entries, "
		    "%zu messages for DMARC reports; "
		    "%zu refused messages stay counted",
		why, waiting->triplets, waiting->sessions, waiting->decisions,
		waiting->whites, waiting->dmarc, waiting->refunds);
}

static void
look_whether_done(void *arg)
{
	struct worker *worker = arg;
	const struct writes_waiting waiting = count_writes(worker);
	const bool is_waiting = waiting.n[CONFIG_DB_IREDAPD] > 0 ||
				waiting.n[CONFIG_DB_POLICYD] > 0;
	const bool is_late = clock_monotonic_us() > worker->stop_until_us;

	if (is_late && worker->n_to_be_drained > 0)
		log_warning("stop_timeout is over: requests are left "
			    "unanswered");
	if (is_waiting && is_late)
		tell_lost("stop_timeout is over", &waiting);
	else if (is_waiting && is_hopeless(worker, &waiting))
		tell_lost("the database does not answer", &waiting);
	else if (!is_late &&
		 (is_waiting || worker->n_to_be_drained > 0 ||
			 cleanup_is_busy(worker->sources.cleanup) ||
			 dkim_watch_is_busy(worker->sources.dkim_watch) ||
			 domain_servers_is_busy(
				 worker->sources.domain_servers))) {
		loop_timer_set(worker->stop_timer, STOP_LOOK_MS);
		return;
	}
	loop_stop(worker->sources.loop);
}

static void
on_drained(void *arg)
{
	struct worker *worker = arg;

	worker->n_to_be_drained--;
	if (worker->n_to_be_drained > 0)
		return;
	worker->drained_us = clock_monotonic_us();
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		if (worker->sources.db[i] != NULL)
			db_hurry(worker->sources.db[i]);
	journal_hurry(worker->sources.journal);
	loop_timer_set(worker->stop_timer, 0);
}

static void
stop(void *arg)
{
	struct worker *worker = arg;
	const struct config *config = worker->sources.config;

	if (worker->stop_until_us != 0)
		return;
	worker->stop_until_us = clock_monotonic_us() +
				(int64_t)config->policyd.stop_timeout_ms * 1000;
	loop_timer_set(worker->stop_timer, STOP_LOOK_MS);
	cleanup_stop(worker->sources.cleanup);
	domain_servers_stop(worker->sources.domain_servers);
	dkim_watch_stop(worker->sources.dkim_watch);
	worker->n_to_be_drained = 3;
	policy_server_drain(worker->policy_server, on_drained, worker);
	srs_server_drain(worker->srs_server, on_drained, worker);
	key_server_drain(worker->key_server, on_drained, worker);
}

static void
ignore(void *arg)
{
	(void)arg; /* the supervisor sees it too, and tells us what to do */
}

/* --- the supervisor ----------------------------------------------------- */

static void
take_config(struct worker *worker, struct slice bytes)
{
	struct sources *sources = &worker->sources;
	struct config *config = channel_unpack_config(bytes);

	if (config == NULL) {
		log_error("the supervisor sent a configuration that cannot "
			  "be read: the old one stays in force");
		return;
	}
	config_unref(sources->config);
	sources->config = config;
	log_open("policyd", &config->log);
	policy_server_configure(worker->policy_server);
	srs_server_configure(worker->srs_server);
	triplets_configure(sources->triplets);
	cleanup_configure(sources->cleanup);
	domain_servers_look(sources->domain_servers);
	tables_refresh(sources->tables, NULL, NULL);
}

static void
answer_wish(struct worker *worker, bool is_done, struct slice text)
{
	const struct reload_wish wish = worker->wishes[0];

	if (worker->n_wishes == 0)
		return;
	worker->n_wishes--;
	memmove(worker->wishes, worker->wishes + 1,
		worker->n_wishes * sizeof(worker->wishes[0]));
	wish.done(wish.arg, is_done, text);
}

static void
hear(struct worker *worker, enum channel_kind kind, struct slice bytes)
{
	switch (kind) {
	case CHANNEL_CONFIG:
		take_config(worker, bytes);
		break;
	case CHANNEL_CHANGED:
		tables_refresh(worker->sources.tables, NULL, NULL);
		triplets_forget(worker->sources.triplets);
		break;
	case CHANNEL_RELOADED:
		answer_wish(worker, true, bytes);
		break;
	case CHANNEL_REFUSED:
		answer_wish(worker, false, bytes);
		break;
	case CHANNEL_READY:
	case CHANNEL_RELOAD:
	case CHANNEL_KIND_COUNT:
		break;
	}
}

static void
on_channel(void *arg, unsigned events)
{
	struct worker *worker = arg;
	enum channel_kind kind;
	struct slice bytes;

	(void)events;
	if (channel_read(&worker->channel) < 0) {
		log_error("the supervisor is gone: stopping");
		loop_watch_set(worker->channel_watch, 0);
		stop(worker);
		return;
	}
	while (channel_next(&worker->channel, &kind, &bytes)) {
		hear(worker, kind, bytes);
		channel_done(&worker->channel);
	}
}

void
worker_reload(struct worker *worker, worker_reloaded_fn *done, void *arg)
{
	if (worker->n_wishes == RELOAD_WISHES_MAX) {
		done(arg, false, SLICE("too many reloads are under way"));
		return;
	}
	if (channel_send(worker->channel.fd, CHANNEL_RELOAD, SLICE("")) < 0) {
		done(arg, false, SLICE("the supervisor cannot be reached"));
		return;
	}
	worker->wishes[worker->n_wishes].done = done;
	worker->wishes[worker->n_wishes].arg = arg;
	worker->n_wishes++;
}

void
worker_tell_change(struct worker *worker)
{
	/* Without a supervisor the process is about to end. */
	(void)channel_send(worker->channel.fd, CHANNEL_CHANGED, SLICE(""));
}

/* --- making and unmaking ------------------------------------------------ */

static void
on_db_change(void *arg, bool is_up)
{
	const struct db *db = *(struct db **)arg;
	struct db_state state;

	db_state(db, &state);
	if (is_up)
		log_info("database %s is available (%s)", state.label,
			state.server_version);
	else
		log_error("database %s is not available: %s", state.label,
			state.error);
}

static void
open_database(struct sources *sources, enum config_db_id id)
{
	static const char *const labels[CONFIG_DB_COUNT] = {
		[CONFIG_DB_IREDAPD] = "iredapd",
		[CONFIG_DB_VMAIL] = "vmail",
		[CONFIG_DB_POLICYD] = "policyd",
		[CONFIG_DB_AMAVISD] = "amavisd",
	};
	const struct config *config = sources->config;
	const struct config_db *from = &config->db[id];
	struct db_config pool = config_db_target(from);

	pool.label = labels[id];
	pool.connections = config->database.connections;
	pool.connect_timeout_ms = config->database.connect_timeout_ms;
	pool.statement_timeout_ms = config->database.statement_timeout_ms;
	pool.queue_max = DB_QUEUE_MAX;
	pool.remedy = config_db_remedy(id);
	if (from->name[0] == '\0')
		return;
	sources->db[id] = db_new(sources->loop, &pool);
	db_on_change(sources->db[id], on_db_change, &sources->db[id]);
}

static void
name_node(struct sources *sources)
{
	char name[NODE_MAX + 1];

	if (sources->config->policyd.node[0] != '\0') {
		sources->node = x_strdup(sources->config->policyd.node);
		return;
	}
	if (gethostname(name, sizeof(name)) < 0)
		name[0] = '\0';
	name[sizeof(name) - 1] = '\0';
	sources->node = x_strdup(name[0] != '\0' ? name : "localhost");
}

static void
make_sources(struct worker *worker, const struct worker_start *start)
{
	struct sources *sources = &worker->sources;

	sources->worker = worker;
	sources->config = start->config;
	sources->process = start->process;
	sources->started_at = clock_wall();
	name_node(sources);
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		open_database(sources, (enum config_db_id)i);
	sources->schema = schema_new(sources);
	sources->cleanup = cleanup_new(sources);
	sources->journal = journal_new(sources);
	sources->tables = tables_new(sources);
	sources->directory = directory_new(sources);
	sources->triplets = triplets_new(sources);
	sources->auto_white = auto_whitelist_new(sources);
	sources->dmarc_aggregate = dmarc_aggregate_new(sources);
	sources->host_names = host_names_new();
	sources->dns = open_dns(sources->loop, sources->config);
	sources->domain_servers = domain_servers_new(sources);
	sources->dkim_checks = dkim_checks_new(sources->loop, sources->dns);
	sources->dkim_watch = dkim_watch_new(sources);
	sources->dkim_keys = dkim_keys_new(sources);
	sources->dkim_maker = dkim_maker_new(sources->loop);
	sources->reputations = reputations_new();
	sources->spf_memory = spf_memory_new(sources->config->spf.cache);
	sources->reservations = reservations_new(sources);
	sources->instances = instances_new(sources->config->limits.instances);
	sources->notifier = notifier_new(sources);
	sources->engine = engine_new(sources);
	sources->parallel = parallel_new(sources);
	sources->gauges = gauges_new(sources);
}

static void
free_sources(struct sources *sources)
{
	gauges_free(sources->gauges);
	parallel_free(sources->parallel);
	engine_free(sources->engine);
	notifier_free(sources->notifier);
	instances_free(sources->instances);
	reservations_free(sources->reservations);
	spf_memory_free(sources->spf_memory);
	reputations_free(sources->reputations);
	dkim_watch_free(sources->dkim_watch);
	dkim_checks_free(sources->dkim_checks);
	dkim_maker_free(sources->dkim_maker);
	dkim_keys_free(sources->dkim_keys);
	domain_servers_free(sources->domain_servers);
	dns_free(sources->dns);
	host_names_free(sources->host_names);
	dmarc_aggregate_free(sources->dmarc_aggregate);
	auto_whitelist_free(sources->auto_white);
	triplets_free(sources->triplets);
	directory_free(sources->directory);
	tables_free(sources->tables);
	journal_free(sources->journal);
	cleanup_free(sources->cleanup);
	schema_free(sources->schema);
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		db_free(sources->db[i]);
	x_free(sources->node);
	config_unref(sources->config);
}

static void
flush_log(void *arg)
{
	(void)arg;
	log_flush();
}

static void
wake_log(void *arg)
{
	struct worker *worker = arg;

	loop_turn_ask(worker->log_turn);
}

static void
make_loop(struct worker *worker, int channel_fd)
{
	struct loop *loop = loop_new();

	worker->sources.loop = loop;
	channel_init(&worker->channel, channel_fd);
	worker->channel_watch =
		loop_watch_new(loop, channel_fd, on_channel, worker);
	loop_watch_set(worker->channel_watch, LOOP_READ);
	worker->terminate = loop_signal_new(loop, SIGTERM, stop, worker);
	worker->hangup = loop_signal_new(loop, SIGHUP, ignore, worker);
	worker->interrupt = loop_signal_new(loop, SIGINT, ignore, worker);
	worker->stop_timer = loop_timer_new(loop, look_whether_done, worker);
	worker->log_turn = loop_turn_new(loop, flush_log, worker);
	log_on_pending(wake_log, worker);
}

static void
free_loop(struct worker *worker)
{
	log_on_pending(NULL, NULL);
	loop_turn_free(worker->log_turn);
	loop_timer_free(worker->stop_timer);
	loop_signal_free(worker->interrupt);
	loop_signal_free(worker->hangup);
	loop_signal_free(worker->terminate);
	loop_watch_free(worker->channel_watch);
	channel_free(&worker->channel);
	loop_free(worker->sources.loop);
}

int
worker_run(const struct worker_start *start)
{
	struct worker *worker = x_new(struct worker);
	int fd = start->control_fd;

	make_loop(worker, start->channel_fd);
	make_sources(worker, start);
	worker->policy_server = policy_server_new(&worker->sources,
		start->sockets, start->n_sockets);
	worker->srs_server = srs_server_new(&worker->sources, start->sockets,
		start->n_sockets);
	worker->key_server = key_server_new(&worker->sources, start->sockets,
		start->n_sockets);
	worker->sources.control = control_new(&worker->sources, fd);
	(void)channel_send(worker->channel.fd, CHANNEL_READY, SLICE(""));
	loop_run(worker->sources.loop);

	control_free(worker->sources.control);
	key_server_free(worker->key_server);
	srs_server_free(worker->srs_server);
	policy_server_free(worker->policy_server);
	free_sources(&worker->sources);
	free_loop(worker);
	x_free(worker);
	log_close();
	return EX_OK;
}
