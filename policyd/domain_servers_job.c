#include "policyd/domain_servers_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/spf_networks_check.h"
#include "policyd/sources.h"

/* The longest that the look-up of one domain may take. */
#define LOOK_UP_MS 60000u
/* What a zone says of its time to live is kept within these. */
#define NEXT_MIN_S 600u
#define NEXT_MAX_S 86400u
/* After a failure: doubled each time, up to the second. */
#define RETRY_MIN_S 60u
#define RETRY_MAX_S 3600u

#define PROBLEM_MAX 300u

/* --- a domain ----------------------------------------------------------- */

static void
drop_finding(struct domain_servers *servers, struct finding *finding)
{
	servers->n_networks -= finding->n;
	x_free(finding->networks);
	*finding = (struct finding){ .networks = NULL };
}

struct domain *
domain_add(struct domain_servers *servers, struct slice name)
{
	struct domain *domain = x_new(struct domain);

	domain->servers = servers;
	domain->name = slice_strdup(name);
	map_put(servers->by_name, name, domain);
	TAILQ_INSERT_TAIL(&servers->domains, domain, entry);
	return domain;
}

void
domain_rest(struct domain *domain)
{
	struct domain_servers *servers = domain->servers;
	struct job *job = &domain->job;

	servers->n_looking_up -= domain->stage == STAGE_LOOKING_UP;
	if (servers->changing == domain)
		servers->changing = NULL;
	spf_networks_check_cancel(job->check);
	domain_entries_cancel(job->change);
	drop_finding(servers, &job->found);
	x_free(job->problem);
	memset(job, 0, sizeof(*job));
	domain->stage = STAGE_RESTING;
}

void
domain_forget(struct domain *domain)
{
	drop_finding(domain->servers, &domain->known);
}

static int
compare(const void *a, const void *b)
{
	return network_compare(a, b);
}

bool
domain_shares(const struct domain *a, const struct domain *b)
{
	const struct finding *x = &a->known, *y = &b->known;

	for (size_t i = 0; y->n > 0 && i < x->n; i++)
		if (bsearch(&x->networks[i], y->networks, y->n,
			    sizeof(*y->networks), compare) != NULL)
			return true;
	return false;
}

void
domain_drop(struct domain *domain)
{
	struct domain_servers *servers = domain->servers;

	domain_rest(domain);
	domain_forget(domain);
	servers->run.n_left -= domain->is_asked_for;
	map_remove(servers->by_name, slice_of(domain->name));
	TAILQ_REMOVE(&servers->domains, domain, entry);
	x_free(domain->problem);
	x_free(domain->name);
	x_free(domain);
}

/* --- the end of a job ---------------------------------------------------- */

static uint64_t
retry_after_s(unsigned n_failures)
{
	uint64_t s = RETRY_MIN_S;

	while (n_failures-- > 1 && s < RETRY_MAX_S)
		s *= 2;
	return s < RETRY_MAX_S ? s : RETRY_MAX_S;
}

static void
set_next(struct domain *domain)
{
	const struct job *job = &domain->job;
	uint64_t after_s = job->ttl;

	domain->n_failures = job->is_to_be_retried ? domain->n_failures + 1 : 0;
	if (job->is_to_be_retried)
		after_s = retry_after_s(domain->n_failures);
	else if (after_s < NEXT_MIN_S)
		after_s = NEXT_MIN_S;
	else if (after_s > NEXT_MAX_S)
		after_s = NEXT_MAX_S;
	domain->due_us = clock_monotonic_us() + (int64_t)after_s * 1000000;
	domain->state.next_at = clock_wall() + (int64_t)after_s;
}

static void
log_health(const struct domain *domain)
{
	const bool had_failed = domain->state.health == DOMAIN_FAILED;
	const bool has_failed = domain->job.health == DOMAIN_FAILED;

	if (has_failed && !had_failed)
		log_warning("white-listed domain %s: %s; its old entries stay",
			domain->name, domain->job.problem);
	else if (had_failed && !has_failed)
		log_info("white-listed domain %s: it is all right again",
			domain->name);
}

static void
set_state(struct domain *domain)
{
	struct job *job = &domain->job;

	log_health(domain);
	x_free(domain->problem);
	domain->problem = job->problem;
	job->problem = NULL;
	domain->state.health = job->health;
	domain->state.problem = domain->problem;
	domain->state.looked_up_at = clock_wall();
	set_next(domain);
}

/* What was written is what is known from now on. */
static void
take_over(struct domain *domain)
{
	struct job *job = &domain->job;

	if (!job->found.is_all && domain->known.networks != NULL)
		return;
	domain_forget(domain);
	domain->known = job->found;
	job->found = (struct finding){ .networks = NULL };
}

static void
tell(struct domain *domain, const struct domain_entries_result *result)
{
	const struct job *job = &domain->job;
	const struct domain_state state = {
		.health = job->health,
		.problem = job->problem,
		.looked_up_at = clock_wall(),
	};

	domain_servers_tell_run(domain, &state, result);
}

/*
 * A domain that was put on the list again, or taken off it, while its entries
 * were changed has its turn at once: its due_us was set then.
 */
static void
end_job(struct domain *domain, const struct domain_entries_result *result)
{
	const struct job *job = &domain->job;
	const bool is_done = result == NULL || result->error == NULL;
	const bool is_overtaken = job->is_farewell == domain->is_listed;
	const bool is_gone = is_done && job->is_farewell && !is_overtaken;

	tell(domain, result);
	if (!job->is_plan && !is_overtaken) {
		if (is_done)
			take_over(domain);
		set_state(domain);
	}
	domain_rest(domain);
	if (is_gone)
		domain_drop(domain);
}

/* --- its entries -------------------------------------------------------- */

static int
compare_lost(const void *key, const void *entry)
{
	const struct domain_entry *lost = entry;

	return network_compare(key, &lost->network);
}

static void
hand_over_to(const struct domain *heir, struct domain_entry *lost, size_t n)
{
	const struct finding *known = &heir->known;

	for (size_t i = 0; i < known->n; i++) {
		struct domain_entry *found = bsearch(&known->networks[i], lost,
			n, sizeof(*lost), compare_lost);

		if (found == NULL)
			continue;
		found->change = ENTRY_HAND_OVER;
		found->heir = heir->name;
	}
}

/* Walks the networks of all others: what is lost is little, and sorted. */
static void
find_heirs(void *arg, struct domain_entry *lost, size_t n)
{
	const struct domain *loser = arg;
	const struct domain *heir;
	size_t n_networks = 0;

	while (n_networks < n && lost[n_networks].is_network)
		n_networks++;
	if (n_networks == 0)
		return;
	TAILQ_FOREACH(heir, &loser->servers->domains, entry)
	{
		if (heir != loser)
			hand_over_to(heir, lost, n_networks);
	}
}

static void
log_changes(struct domain *domain, const struct domain_entries_result *result)
{
	size_t n[ENTRY_STAYS + 1] = { 0 };

	for (size_t i = 0; i < result->n_entries; i++)
		n[result->entries[i].change]++;
	if (n[ENTRY_STAYS] == result->n_entries)
		return;
	domain->servers->has_changed = true;
	log_line_begin(LOG_LEVEL_INFO, "domain_servers");
	log_line_text("domain", slice_of(domain->name));
	log_line_u64("added", n[ENTRY_ADD]);
	log_line_u64("handed_over", n[ENTRY_HAND_OVER]);
	log_line_u64("removed", n[ENTRY_REMOVE] + n[ENTRY_REMOVE_OLD]);
	if (result->error != NULL)
		log_line_text("error", slice_of(result->error));
	log_line_end();
}

static void
note_error(struct job *job, const char *error)
{
	struct str problem;

	str_init(&problem, PROBLEM_MAX);
	str_printf(&problem, "the database: %s", error);
	x_free(job->problem);
	job->problem = slice_strdup(str_slice(&problem));
	str_free(&problem);
	job->health = DOMAIN_FAILED;
	job->is_to_be_retried = true;
}

static void
on_changed(void *arg, const struct domain_entries_result *result)
{
	struct domain *domain = arg;
	struct domain_servers *servers = domain->servers;

	domain->job.change = NULL;
	if (!domain->job.is_plan)
		log_changes(domain, result);
	if (result->error != NULL)
		note_error(&domain->job, result->error);
	end_job(domain, result);
	domain_servers_go_on(servers);
}

void
domain_start_change(struct domain *domain)
{
	static const struct domain_entries_ops ops = {
		.find_heirs = find_heirs,
		.done = on_changed,
	};
	struct job *job = &domain->job;
	const struct domain_entries_wish wish = {
		.domain = domain->name,
		.networks = job->found.networks,
		.n_networks = job->found.n,
		.keeps_old = !job->found.is_all,
		.is_plan = job->is_plan,
	};

	assert(domain->stage == STAGE_LOOKED_UP);
	if (wish.keeps_old && wish.n_networks == 0) {
		end_job(domain, NULL);
		return;
	}
	domain->stage = STAGE_CHANGING;
	domain->servers->changing = domain;
	job->change = domain_entries_start(domain->servers->sources, &wish,
		&ops, domain);
}

/* --- the look-up -------------------------------------------------------- */

/* What is left out of a domain that is all right otherwise. */
static void
tell_left_out(const struct spf_networks_outcome *outcome, struct str *out)
{
	if (outcome->n_dependent > 0)
		str_printf(out, "%u of its terms depend on the mail",
			outcome->n_dependent);
	if (outcome->n_unfit > 0)
		str_printf(out,
			"%s%u of its networks are too large, or no client's",
			out->len > 0 ? "; " : "", outcome->n_unfit);
}

static void
judge(struct job *job, const struct spf_networks_outcome *outcome)
{
	struct str problem;

	str_init(&problem, PROBLEM_MAX);
	if (outcome->status != SPF_NETWORKS_ALL)
		str_append_slice(&problem, outcome->problem);
	else
		tell_left_out(outcome, &problem);
	job->health = outcome->status != SPF_NETWORKS_ALL ? DOMAIN_FAILED
		      : problem.len > 0                   ? DOMAIN_INCOMPLETE
							  : DOMAIN_OK;
	job->problem = slice_strdup(str_slice(&problem));
	str_free(&problem);
	job->ttl = outcome->ttl;
	job->is_to_be_retried = outcome->status == SPF_NETWORKS_UNAVAILABLE;
}

static void
keep(struct domain *domain, const struct spf_networks_outcome *outcome)
{
	struct domain_servers *servers = domain->servers;
	struct finding *found = &domain->job.found;

	if (servers->n_networks + outcome->n_networks > DOMAIN_NETWORKS_MAX) {
		x_free(domain->job.problem);
		domain->job.problem = x_strdup("all domains together have more "
					       "networks than policyd holds");
		domain->job.health = DOMAIN_FAILED;
		return;
	}
	servers->n_networks += outcome->n_networks;
	found->n = outcome->n_networks;
	found->is_all = outcome->status == SPF_NETWORKS_ALL;
	found->networks = x_new_array(found->n + 1, struct network);
	if (found->n > 0)
		memcpy(found->networks, outcome->networks,
			found->n * sizeof(*found->networks));
}

static void
on_looked_up(void *arg, const struct spf_networks_outcome *outcome)
{
	struct domain *domain = arg;

	domain->job.check = NULL;
	domain->servers->n_looking_up--;
	domain->stage = STAGE_LOOKED_UP;
	metric_add(METRIC_DOMAIN_LOOKUPS, 1);
	metric_add(METRIC_DOMAIN_LOOKUPS_FAILED,
		outcome->status != SPF_NETWORKS_ALL);
	judge(&domain->job, outcome);
	keep(domain, outcome);
	domain_servers_go_on(domain->servers);
}

/* A domain that is on no list has no servers: nobody needs to be asked. */
static void
say_farewell(struct domain *domain)
{
	domain->job.is_farewell = true;
	domain->job.found.is_all = true;
	domain->job.problem = x_strdup("");
	domain->stage = STAGE_LOOKED_UP;
}

void
domain_start_job(struct domain *domain, bool is_plan)
{
	struct domain_servers *servers = domain->servers;
	const struct dns_session_config config = {
		.deadline_ms = LOOK_UP_MS,
		.question_ms = servers->sources->config->dns.timeout_ms,
		.payer = SLICE(""),
	};

	assert(domain->stage == STAGE_RESTING);
	if (!domain->is_listed) {
		say_farewell(domain);
		return;
	}
	domain->job.is_plan = is_plan;
	domain->stage = STAGE_LOOKING_UP;
	servers->n_looking_up++;
	domain->job.check = spf_networks_check_start(servers->sources->loop,
		servers->sources->dns, slice_of(domain->name), &config,
		on_looked_up, domain);
}
