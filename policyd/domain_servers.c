#include "policyd/domain_servers.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/mail/address.h"
#include "policyd/domain_servers_private.h"
#include "policyd/facts/tables.h"
#include "policyd/facts/whitelist_domains.h"
#include "policyd/lease.h"
#include "policyd/sources.h"
#include "policyd/worker.h"

#define LEASE_NAME "whitelist_domains"
#define LOOK_MS    1000u
/* How often a node that stands by asks for the lease. */
#define TRY_US (INT64_C(1000000) * LEASE_S / 3)

/* Of a list that may grow by itself (whitelist_outbound_recipient.add). */
#define DOMAINS_MAX 10000u

/* How often entries of domains that are on no list are looked for. */
#define SWEEP_US  (INT64_C(3600) * 1000000)
#define SWEEP_MAX 1000u

#define ERROR_MAX 512

/* --- runs --------------------------------------------------------------- */

/* The tables are read again, here and in the other processes. */
static void
publish(struct domain_servers *servers)
{
	if (!servers->has_changed)
		return;
	servers->has_changed = false;
	tables_refresh(servers->sources->tables, NULL, NULL);
	worker_tell_change(servers->sources->worker);
}

static void
end_run(struct domain_servers *servers, const char *error)
{
	const struct domain_servers_report report = servers->run.report;
	struct domain *domain;

	TAILQ_FOREACH(domain, &servers->domains, entry)
	{
		domain->is_asked_for = false;
	}
	servers->run = (struct domain_run){ .is_under_way = false };
	publish(servers);
	if (report.done != NULL)
		report.done(report.arg, error);
}

/* One that waits for the lease will not get it. */
__attribute__((format(printf, 2, 3))) static void
fail_run(struct domain_servers *servers, const char *format, ...)
{
	char error[ERROR_MAX];
	va_list arguments;

	if (!servers->run.is_under_way || servers->run.is_plan)
		return;
	va_start(arguments, format);
	(void)vsnprintf(error, sizeof(error), format, arguments);
	va_end(arguments);
	end_run(servers, error);
}

void
domain_servers_tell_run(struct domain *domain, const struct domain_state *state,
	const struct domain_entries_result *result)
{
	struct domain_run *run = &domain->servers->run;

	if (!domain->is_asked_for || domain->job.is_plan != run->is_plan)
		return;
	domain->is_asked_for = false;
	run->n_left--;
	if (run->report.domain != NULL)
		run->report.domain(run->report.arg, domain->name, state,
			result);
}

/* --- whose turn it is ---------------------------------------------------- */

static bool
is_planned(const struct domain *domain)
{
	return domain->is_asked_for && domain->servers->run.is_plan;
}

static bool
is_due(const struct domain *domain, int64_t now_us)
{
	if (domain->stage != STAGE_RESTING)
		return false;
	return is_planned(domain) ||
	       (domain->servers->is_leading && domain->due_us <= now_us);
}

/* Who had it goes to the end, so that everybody has a turn. */
static void
start_look_ups(struct domain_servers *servers)
{
	const int64_t now_us = clock_monotonic_us();
	struct domain *const last = TAILQ_LAST(&servers->domains, domain_queue);
	struct domain *domain = TAILQ_FIRST(&servers->domains), *next;

	for (; domain != NULL && servers->n_looking_up < DOMAIN_LOOK_UPS_MAX;
		domain = next) {
		next = domain == last ? NULL : TAILQ_NEXT(domain, entry);
		if (!is_due(domain, now_us))
			continue;
		TAILQ_REMOVE(&servers->domains, domain, entry);
		TAILQ_INSERT_TAIL(&servers->domains, domain, entry);
		domain_start_job(domain, is_planned(domain));
	}
}

static void
start_changes(struct domain_servers *servers)
{
	const bool may_write =
		servers->is_leading && !lease_is_due(servers->lease);
	struct domain *domain = TAILQ_FIRST(&servers->domains), *next;

	for (; domain != NULL && servers->changing == NULL; domain = next) {
		next = TAILQ_NEXT(domain, entry);
		if (domain->stage == STAGE_LOOKED_UP &&
			(may_write || domain->job.is_plan))
			domain_start_change(domain);
	}
}

static bool
is_quiet(const struct domain_servers *servers)
{
	return servers->n_looking_up == 0 && servers->changing == NULL;
}

/* --- entries of domains that are on no list ------------------------------ */

/* A statement under way; outlives its owner. */
struct sweep {
	struct domain_servers *servers;
};

/*
 * 14 is behind the prefix. EXPLAIN: of both tables the index of comment alone,
 * each comment once (for group-by); then d as a whole, or by its unique
 * domain. 50,000 entries of 1000 domains take 11 ms.
 */
#define LEFT_BEHIND(table)                                             \
	"SELECT LOWER(SUBSTRING(w.comment, 14)) FROM (SELECT DISTINCT" \
	" comment FROM " table                                         \
	" WHERE comment LIKE '" WHITELIST_DOMAIN_COMMENT               \
	"%') w WHERE NOT EXISTS (SELECT 1 FROM"                        \
	" greylisting_whitelist_domains d"                             \
	" WHERE d.domain = SUBSTRING(w.comment, 14))"

static const struct db_statement find_left_behind = {
	.name = "domain_servers_sweep",
	.sql = LEFT_BEHIND("greylisting_whitelist_domain_spf") " UNION " LEFT_BEHIND(
		"greylisting_whitelists") " LIMIT ?",
	.access = DB_READS,
	.params = "u",
	.columns = "s",
};

/*
 * A comment that names no domain is somebody's own. What is not listed any
 * more is a domain whose entries go when it has its turn.
 */
static void
take_left_behind(struct domain_servers *servers, struct slice name)
{
	if (domain_is_plain(name) && map_get(servers->by_name, name) == NULL)
		domain_add(servers, name);
}

static void
on_swept(void *arg, const struct db_result *result)
{
	struct sweep *sweep = arg;
	struct domain_servers *servers = sweep->servers;

	x_free(sweep);
	if (servers == NULL)
		return;
	servers->sweep = NULL;
	if (result->status != DB_OK) {
		servers->sweep_due_us = clock_monotonic_us() + TRY_US;
		return;
	}
	for (size_t i = 0;
		servers->is_leading && i < db_rows_count(result->rows); i++)
		take_left_behind(servers, db_rows_text(result->rows, i, 0));
	domain_servers_go_on(servers);
}

/*
 * When nothing else is to be done, so that it is known who else has what is
 * found; if there is always something, an hour late.
 */
static bool
is_sweep_due(const struct domain_servers *servers, int64_t now_us)
{
	if (!servers->is_leading || !servers->has_list ||
		servers->sweep != NULL || servers->sweep_due_us > now_us)
		return false;
	return is_quiet(servers) || servers->sweep_due_us + SWEEP_US <= now_us;
}

static void
start_sweep(struct domain_servers *servers)
{
	const struct db_value limit = { .number = SWEEP_MAX };
	const int64_t now_us = clock_monotonic_us();

	if (!is_sweep_due(servers, now_us))
		return;
	servers->sweep_due_us = now_us + SWEEP_US;
	servers->sweep = x_new(struct sweep);
	servers->sweep->servers = servers;
	db_run(servers->sources->db[CONFIG_DB_IREDAPD], &find_left_behind,
		&limit, 0, on_swept, servers->sweep);
}

void
domain_servers_go_on(struct domain_servers *servers)
{
	if (servers->is_stopping)
		return;
	start_look_ups(servers);
	start_changes(servers);
	start_sweep(servers);
	if (is_quiet(servers))
		publish(servers);
	if (servers->run.is_under_way && servers->run.n_left == 0)
		end_run(servers, NULL);
}

/* --- the list ----------------------------------------------------------- */

/* Its turn is now; while its entries are changed, when that is over. */
static void
begin_anew(struct domain *domain)
{
	if (domain->stage != STAGE_CHANGING)
		domain_rest(domain);
	domain->due_us = 0;
	domain->n_failures = 0;
}

static void
join(struct domain_servers *servers, struct slice name)
{
	struct domain *domain = map_get(servers->by_name, name);

	if (domain == NULL)
		domain = domain_add(servers, name);
	domain->is_seen = true;
	if (domain->is_listed)
		return;
	domain->is_listed = true;
	begin_anew(domain);
}

/*
 * "whitelist-domain remove", and iRedAPD's tool, remove the entries of a
 * domain whoever else has those networks: the others are to add them again.
 */
static void
look_at_sharers(const struct domain *gone)
{
	struct domain *domain;

	TAILQ_FOREACH(domain, &gone->servers->domains, entry)
	{
		if (domain != gone && domain_shares(domain, gone))
			domain->due_us = 0;
	}
}

/* Who works makes its entries go; who stands by forgets it. */
static void
leave(struct domain *domain)
{
	struct domain_servers *servers = domain->servers;

	if (!servers->is_leading && domain->stage != STAGE_CHANGING) {
		domain_drop(domain);
		return;
	}
	domain->is_listed = false;
	servers->run.n_left -= domain->is_asked_for;
	domain->is_asked_for = false;
	look_at_sharers(domain);
	domain_forget(domain);
	begin_anew(domain);
}

static void
compare_list(struct domain_servers *servers,
	const struct whitelist_domains *list)
{
	struct domain *domain, *next;

	TAILQ_FOREACH(domain, &servers->domains, entry)
	{
		domain->is_seen = false;
	}
	for (size_t i = 0; i < list->n && i < DOMAINS_MAX; i++)
		join(servers, slice_of(list->names[i]));
	for (domain = TAILQ_FIRST(&servers->domains); domain != NULL;
		domain = next) {
		next = TAILQ_NEXT(domain, entry);
		if (domain->is_listed && !domain->is_seen)
			leave(domain);
	}
	if (list->n > DOMAINS_MAX)
		log_warning("greylisting_whitelist_domains has %zu domains; "
			    "the servers of the first %u are looked up",
			list->n, DOMAINS_MAX);
}

static void
read_list(struct domain_servers *servers)
{
	const struct whitelist_domains *list =
		whitelist_domains_get(servers->sources->tables);

	if (list == NULL ||
		(servers->has_list && servers->list_sum == list->sum))
		return;
	servers->has_list = true;
	servers->list_sum = list->sum;
	compare_list(servers, list);
}

/* --- the lease ---------------------------------------------------------- */

static void
begin_leading(struct domain_servers *servers)
{
	struct domain *domain;

	log_info("this node looks up the servers of white-listed domains");
	servers->is_leading = true;
	servers->sweep_due_us = clock_monotonic_us();
	TAILQ_FOREACH(domain, &servers->domains, entry)
	{
		domain_forget(domain);
		domain->due_us = 0;
	}
}

/* Plans go on: they write nothing. */
static void
stop_leading(struct domain_servers *servers)
{
	struct domain *domain, *next;

	servers->is_leading = false;
	for (domain = TAILQ_FIRST(&servers->domains); domain != NULL;
		domain = next) {
		next = TAILQ_NEXT(domain, entry);
		domain->state.next_at = 0;
		if (domain->stage != STAGE_RESTING && !domain->job.is_plan)
			domain_rest(domain);
		if (!domain->is_listed)
			domain_drop(domain);
	}
}

static void
on_given_back(void *arg)
{
	struct domain_servers *servers = arg;

	servers->is_lease_asked = false;
}

static void
give_back(struct domain_servers *servers)
{
	stop_leading(servers);
	if (!lease_is_held(servers->lease) || servers->is_lease_asked)
		return;
	servers->is_lease_asked = true;
	lease_drop(servers->lease, on_given_back, servers);
}

static void
on_held(void *arg, enum lease_status status, const char *error)
{
	struct domain_servers *servers = arg;

	servers->is_lease_asked = false;
	servers->is_taken = status == LEASE_OTHERS;
	switch (status) {
	case LEASE_BEGUN:
		begin_leading(servers);
		break;
	case LEASE_EXTENDED:
		break;
	case LEASE_OTHERS:
	case LEASE_TOO_SOON:
		stop_leading(servers);
		fail_run(servers, "node %s looks up the servers; ask there",
			domain_servers_node(servers));
		break;
	case LEASE_UNKNOWN:
		fail_run(servers, "policyd.lease: %s", error);
		break;
	}
	if (servers->is_stopping)
		give_back(servers);
	else
		domain_servers_go_on(servers);
}

static bool
is_rehearsing(const struct domain_servers *servers)
{
	return servers->sources->config->policyd.parallel.text[0] != '\0';
}

static bool
wants_lease(const struct domain_servers *servers)
{
	const bool is_on =
		servers->sources->config->greylisting.refresh_domains;

	return (is_on && !is_rehearsing(servers)) ||
	       (servers->run.is_under_way && !servers->run.is_plan);
}

static bool
is_lease_due(const struct domain_servers *servers)
{
	if (lease_is_held(servers->lease))
		return lease_is_due(servers->lease);
	return servers->try_us == 0 ||
	       clock_monotonic_us() - servers->try_us >= TRY_US;
}

static void
keep_lease(struct domain_servers *servers)
{
	if (servers->is_lease_asked)
		return;
	if (!wants_lease(servers)) {
		if (servers->is_leading && servers->changing == NULL)
			give_back(servers);
		return;
	}
	if (!is_lease_due(servers))
		return;
	servers->is_lease_asked = true;
	servers->try_us = clock_monotonic_us();
	lease_hold(servers->lease, 0, on_held, servers);
}

/* --- life --------------------------------------------------------------- */

static void
look(void *arg)
{
	struct domain_servers *servers = arg;

	if (servers->is_stopping)
		return;
	loop_timer_set(servers->timer, LOOK_MS);
	read_list(servers);
	keep_lease(servers);
	publish(servers);
	domain_servers_go_on(servers);
}

void
domain_servers_look(struct domain_servers *servers)
{
	if (servers->timer != NULL && !servers->is_stopping)
		loop_timer_set(servers->timer, 0);
}

struct domain_servers *
domain_servers_new(struct sources *sources)
{
	struct domain_servers *servers = x_new(struct domain_servers);

	servers->sources = sources;
	servers->lease = lease_new(sources, LEASE_NAME);
	servers->by_name = map_new();
	TAILQ_INIT(&servers->domains);
	if (sources->process != 0)
		return servers;
	servers->timer = loop_timer_new(sources->loop, look, servers);
	loop_timer_set(servers->timer, LOOK_MS);
	return servers;
}

void
domain_servers_stop(struct domain_servers *servers)
{
	servers->is_stopping = true;
	if (servers->run.is_under_way)
		end_run(servers, "policyd is being stopped");
	give_back(servers);
}

bool
domain_servers_is_busy(const struct domain_servers *servers)
{
	return servers->is_lease_asked;
}

void
domain_servers_free(struct domain_servers *servers)
{
	struct domain *domain;

	if (servers == NULL)
		return;
	while ((domain = TAILQ_FIRST(&servers->domains)) != NULL)
		domain_drop(domain);
	map_free(servers->by_name, NULL);
	if (servers->sweep != NULL)
		servers->sweep->servers = NULL;
	lease_free(servers->lease);
	loop_timer_free(servers->timer);
	x_free(servers);
}

/* --- how it is ---------------------------------------------------------- */

enum domain_servers_role
domain_servers_role(const struct domain_servers *servers)
{
	if (servers->timer == NULL)
		return DOMAIN_SERVERS_ELSEWHERE;
	if (servers->is_leading)
		return DOMAIN_SERVERS_WORKS;
	if (!servers->sources->config->greylisting.refresh_domains)
		return DOMAIN_SERVERS_OFF;
	if (is_rehearsing(servers))
		return DOMAIN_SERVERS_REHEARSES;
	return servers->is_taken ? DOMAIN_SERVERS_STANDS_BY
				 : DOMAIN_SERVERS_WAITS;
}

const char *
domain_servers_node(const struct domain_servers *servers)
{
	return lease_holder(servers->lease);
}

void
domain_servers_state(const struct domain_servers *servers, struct slice domain,
	struct domain_state *out)
{
	const struct domain *found = map_get(servers->by_name, domain);

	*out = (struct domain_state){ .problem = "" };
	if (found != NULL && found->problem != NULL)
		*out = found->state;
}

/* --- on request --------------------------------------------------------- */

static void
ask_for(struct domain *domain)
{
	struct domain_servers *servers = domain->servers;

	domain->is_asked_for = true;
	domain->due_us = servers->run.is_plan ? domain->due_us : 0;
	servers->run.n_left++;
}

/* One domain does not wait for all the others. */
static bool
ask_for_one(struct domain_servers *servers, struct slice name)
{
	struct domain *domain = map_get(servers->by_name, name);

	if (domain == NULL || !domain->is_listed)
		return false;
	TAILQ_REMOVE(&servers->domains, domain, entry);
	TAILQ_INSERT_HEAD(&servers->domains, domain, entry);
	ask_for(domain);
	return true;
}

static void
ask_for_all(struct domain_servers *servers)
{
	struct domain *domain;

	TAILQ_FOREACH(domain, &servers->domains, entry)
	{
		if (domain->is_listed)
			ask_for(domain);
	}
}

enum domain_servers_refusal
domain_servers_run(struct domain_servers *servers, struct slice domain,
	bool is_plan, const struct domain_servers_report *report)
{
	if (servers->run.is_under_way || servers->is_stopping)
		return DOMAIN_SERVERS_BUSY;
	read_list(servers);
	if (!servers->has_list)
		return DOMAIN_SERVERS_UNREAD;
	servers->run = (struct domain_run){ .is_plan = is_plan };
	if (domain.len == 0)
		ask_for_all(servers);
	else if (!ask_for_one(servers, domain))
		return DOMAIN_SERVERS_UNLISTED;
	servers->run.is_under_way = true;
	servers->run.report = *report;
	servers->try_us = 0;
	domain_servers_look(servers);
	return DOMAIN_SERVERS_STARTED;
}

void
domain_servers_mute(struct domain_servers *servers)
{
	servers->run.report = (struct domain_servers_report){ .domain = NULL };
}
