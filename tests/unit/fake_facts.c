#include "tests/unit/fake_facts.h"

#include <stdio.h>
#include <string.h>

#include "policyd/effect.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/auto_whitelist.h"
#include "policyd/facts/directory.h"
#include "policyd/facts/dmarc_aggregate.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/host.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/rdns.h"
#include "policyd/facts/reputation.h"
#include "policyd/facts/reservation.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/facts/triplet.h"
#include "policyd/notifier.h"
#include "policyd/rule.h"

static struct {
	char effects[256];
	struct fact *pending;
	unsigned n_loaded[FACT_COUNT];
	unsigned n_undone, n_cancelled;
	const struct setting *setting;
} fake;

const char *
fake_effects(void)
{
	return fake.effects;
}

struct fact *
fake_pending(void)
{
	return fake.pending;
}

unsigned
fake_n_loaded(enum fact_id id)
{
	return fake.n_loaded[id];
}

unsigned
fake_n_undone(void)
{
	return fake.n_undone;
}

unsigned
fake_n_cancelled(void)
{
	return fake.n_cancelled;
}

void
fake_setting(const struct setting *setting)
{
	fake.setting = setting;
}

void
fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
}

static void
load(struct fact *fact)
{
	fake.n_loaded[fact->kind->id]++;
	if (fact->kind->id == FACT_SETTING && fake.setting != NULL)
		fact_known(fact, fake.setting);
	else
		fake.pending = fact;
}

static void
cancel(struct fact *fact)
{
	fake.n_cancelled++;
	if (fake.pending == fact)
		fake.pending = NULL;
}

static void
undo(struct fact *fact)
{
	(void)fact;
	fake.n_undone++;
}

#define KIND(kind, fact_id, undo_fn)    \
	const struct fact_kind kind = { \
		.id = fact_id,          \
		.name = #fact_id,       \
		.load = load,           \
		.cancel = cancel,       \
		.undo = undo_fn,        \
	}

#define FACT(type, function, kind)                                  \
	bool function(struct facts *facts, const struct type **out) \
	{                                                           \
		const void *value;                                  \
                                                                    \
		if (!fact_ask(facts, &(kind), &value))              \
			return false;                               \
		*out = value;                                       \
		return true;                                        \
	}

/* clang-format off */
KIND(fact_kind_setting, FACT_SETTING, NULL);
KIND(fact_kind_domains, FACT_DOMAINS, NULL);
KIND(fact_kind_recipient_account, FACT_RECIPIENT_ACCOUNT, NULL);
KIND(fact_kind_login_account, FACT_LOGIN_ACCOUNT, NULL);
KIND(fact_kind_sender_roles, FACT_SENDER_ROLES, NULL);
KIND(fact_kind_login_roles, FACT_LOGIN_ROLES, NULL);
KIND(fact_kind_author_roles, FACT_AUTHOR_ROLES, NULL);
KIND(fact_kind_greylist_whitelist, FACT_GREYLIST_WHITELIST, NULL);
KIND(fact_kind_greylist_setting, FACT_GREYLIST_SETTING, NULL);
KIND(fact_kind_triplet, FACT_TRIPLET, NULL);
KIND(fact_kind_spf, FACT_SPF, NULL);
KIND(fact_kind_spf_helo, FACT_SPF_HELO, NULL);
KIND(fact_kind_host, FACT_HOST, NULL);
KIND(fact_kind_rdns, FACT_RDNS, NULL);
KIND(fact_kind_reputation, FACT_REPUTATION, NULL);
KIND(fact_kind_limits, FACT_LIMITS, NULL);
KIND(fact_kind_access, FACT_ACCESS, NULL);
KIND(fact_kind_reservation, FACT_RESERVATION, undo);

FACT(setting, fact_setting, fact_kind_setting)
FACT(domains, fact_domains, fact_kind_domains)
FACT(account, fact_recipient_account, fact_kind_recipient_account)
FACT(account, fact_login_account, fact_kind_login_account)
FACT(roles, fact_sender_roles, fact_kind_sender_roles)
FACT(roles, fact_login_roles, fact_kind_login_roles)
FACT(roles, fact_author_roles, fact_kind_author_roles)
FACT(list_match, fact_greylist_whitelist, fact_kind_greylist_whitelist)
FACT(greylist_setting, fact_greylist_setting, fact_kind_greylist_setting)
FACT(triplet, fact_triplet, fact_kind_triplet)
FACT(spf_fact, fact_spf, fact_kind_spf)
FACT(spf_fact, fact_spf_helo, fact_kind_spf_helo)
FACT(limits, fact_limits, fact_kind_limits)
FACT(host, fact_host, fact_kind_host)
FACT(rdns, fact_rdns, fact_kind_rdns)
FACT(access, fact_access, fact_kind_access)
FACT(reputation, fact_reputation, fact_kind_reputation)
/* clang-format on */

bool
fact_reservation(struct facts *facts,
	const struct reservation_request *requests, size_t n,
	const struct reservation **out)
{
	const void *value;
	struct reservation *known;

	if (!fact_ask(facts, &fact_kind_reservation, &value))
		return false;
	/* A test puts the counters; what was asked for is filled in here. */
	known = arena_new_object(facts->req->arena, struct reservation);
	*known = *(const struct reservation *)value;
	known->requests = requests;
	known->n = n;
	*out = known;
	return true;
}

static void
write_down(struct facts *facts, const void *data)
{
	const size_t len = strlen(fake.effects);

	(void)facts;
	(void)snprintf(fake.effects + len, sizeof(fake.effects) - len, "%s%s",
		len > 0 ? " " : "", (const char *)data);
}

void
effect_triplet_new(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	(void)seen;
	effect_add(out, "new", write_down, "new");
}

void
effect_triplet_blocked(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	(void)seen;
	effect_add(out, "blocked", write_down, "blocked");
}

void
effect_triplet_passed(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	(void)seen;
	effect_add(out, "passed", write_down, "passed");
}

void
effect_client_seen(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	(void)seen;
	effect_add(out, "client", write_down, "client");
}

void
effect_auto_whitelist(struct verdict *out, const struct auto_whites *whites)
{
	(void)whites;
	effect_add(out, "whites", write_down, "whites");
}

const char *
dmarc_override_name(enum dmarc_override override)
{
	static const char *const names[] = {
		[DMARC_OVERRIDE_NONE] = "",
		[DMARC_OVERRIDE_TRUSTED_FORWARDER] = "trusted_forwarder",
		[DMARC_OVERRIDE_LOCAL_POLICY] = "local_policy",
		[DMARC_OVERRIDE_OTHER] = "other",
	};

	return names[override];
}

/* As "DISPOSITION TYPE". */
void
effect_dmarc_seen(struct verdict *out, const struct request *req,
	const struct authentication *of, const struct dmarc_seen *seen)
{
	(void)of;
	effect_add(out, "dmarc", write_down,
		arena_printf(req->arena, "%s %s",
			dmarc_policy_name(seen->disposition),
			dmarc_override_name(seen->override)));
}

void
effect_notify(struct verdict *out, const struct request *req,
	const struct limit_set *set, const char *limit_name,
	const struct reservation_request *counter)
{
	(void)req;
	(void)set;
	(void)counter;
	effect_add(out, "notify", write_down, limit_name);
}
