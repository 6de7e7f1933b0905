#include "policyd/facts/reputation.h"

#include <assert.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/mail/dnsbl.h"
#include "policyd/facts/exempt_clients.h"
#include "policyd/facts/tables.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* Of the addresses of one answer that are shown. */
#define ANSWER_TEXT_MAX 200

struct reputations {
	struct map *warned; /* domains of lists, of present */
};

static char present;

/* One list of a look-up. */
struct part {
	struct reputation_lookup *lookup;
	struct dnsbl list;
	struct listing *listing;
	struct dns_query *query; /* NULL once it is answered */
};

struct reputation_lookup {
	struct sources *sources;
	struct arena *arena;
	struct reputation value;
	struct listing *listings;
	struct part *parts;
	size_t n_pending;
	reputation_done_fn *done;
	void *arg;
};

const char *
listing_status_text(enum listing_status status)
{
	switch (status) {
	case LISTING_ABSENT:
		return "not listed";
	case LISTING_COUNTS:
		return "listed";
	case LISTING_IGNORED:
		return "ignored";
	case LISTING_FAILED:
		return "failed";
	}
	return "";
}

/* --- one answer -------------------------------------------------------- */

static bool
is_of_a_list(const struct ip *answer)
{
	return answer->family == IP_V4 && answer->bytes[0] == 127;
}

/* Lists answer 127.255.255.x to resolvers that they do not serve. */
static bool
is_refusal(const struct ip *answer)
{
	return is_of_a_list(answer) && answer->bytes[1] == 255 &&
	       answer->bytes[2] == 255;
}

static void
warn_once(const struct part *part)
{
	struct map *warned = part->lookup->sources->reputations->warned;
	const struct listing *listing = part->listing;

	if (map_get(warned, listing->domain) != NULL)
		return;
	map_put(warned, listing->domain, &present);
	log_warning("reputation: %.*s answers %.*s: %.*s; its answers of this "
		    "kind do not count, and this is not logged again",
		SLICE_ARG(listing->domain), SLICE_ARG(listing->answer),
		SLICE_ARG(listing->reason));
}

static void
fail(struct part *part, const char *reason)
{
	part->listing->status = LISTING_FAILED;
	part->listing->reason =
		slice_copy(part->lookup->arena, slice_of(reason));
}

static void
take_addresses(struct part *part, const struct dns_answer *answer)
{
	struct listing *listing = part->listing;
	char text[IP_TEXT_MAX];
	struct str shown;

	str_init(&shown, ANSWER_TEXT_MAX);
	for (size_t i = 0; i < answer->n_records; i++) {
		if (i > 0)
			str_append_char(&shown, ' ');
		str_append_text(&shown,
			ip_format(&answer->records[i].address, text));
	}
	listing->answer = slice_copy(part->lookup->arena, str_slice(&shown));
	str_free(&shown);
}

static void
judge_addresses(struct part *part, const struct dns_answer *answer)
{
	size_t n_of_a_list = 0;

	for (size_t i = 0; i < answer->n_records; i++) {
		const struct ip *address = &answer->records[i].address;

		if (is_refusal(address)) {
			fail(part, "the list refuses to answer this resolver");
			warn_once(part);
			return;
		}
		n_of_a_list += is_of_a_list(address);
		if (dnsbl_matches(&part->list, address))
			part->listing->status = LISTING_COUNTS;
	}
	if (n_of_a_list == 0) {
		fail(part, "a list answers with addresses in 127.0.0.0/8; the "
			   "resolver may answer for names that do not exist");
		warn_once(part);
	}
}

static void
take_answer(struct part *part, const struct dns_answer *answer)
{
	struct listing *listing = part->listing;

	listing->ttl = answer->ttl;
	listing->is_from_cache = answer->is_from_cache;
	switch (answer->status) {
	case DNS_RECORDS:
		listing->status = LISTING_IGNORED;
		take_addresses(part, answer);
		judge_addresses(part, answer);
		break;
	case DNS_NONE:
	case DNS_NO_SUCH_NAME:
		listing->status = LISTING_ABSENT;
		break;
	case DNS_FAILED:
	case DNS_BOGUS:
		fail(part, answer->reason);
		break;
	}
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct part *part = arg;
	struct reputation_lookup *lookup = part->lookup;
	const struct listing *listing = part->listing;

	part->query = NULL;
	take_answer(part, answer);
	if (listing->status == LISTING_COUNTS)
		lookup->value.score += listing->weight;
	if (listing->status == LISTING_FAILED)
		lookup->value.n_failed++;
	assert(lookup->n_pending > 0);
	if (--lookup->n_pending == 0)
		lookup->done(lookup->arg, &lookup->value);
}

/* --- a look-up --------------------------------------------------------- */

static void
ask(struct part *part, const struct config *config, const char *item,
	const struct ip *client)
{
	struct reputation_lookup *lookup = part->lookup;
	struct listing *listing = part->listing;
	char name[DNSBL_NAME_MAX];
	const char *err;
	bool is_valid;

	listing->item = slice_copy(lookup->arena, slice_of(item));
	is_valid = dnsbl_parse(listing->item, &part->list, &err);
	assert(is_valid); /* config_check.c */
	listing->domain = part->list.domain;
	listing->weight = part->list.weight;
	part->query = dns_ask(lookup->sources->dns,
		slice_of(dnsbl_query_name(&part->list, client, name)),
		DNS_TYPE_A, config->dns.timeout_ms, SLICE(""), on_answer, part);
}

struct reputation_lookup *
reputation_look_up(struct sources *sources, const struct config *config,
	struct arena *arena, const struct ip *client, reputation_done_fn *done,
	void *arg)
{
	const struct config_list *items = &config->reputation.lists;
	struct reputation_lookup *lookup;

	if (items->n == 0)
		return NULL;
	lookup = arena_new_object(arena, struct reputation_lookup);
	lookup->sources = sources;
	lookup->arena = arena;
	lookup->listings = arena_new_array(arena, items->n, struct listing);
	lookup->parts = arena_new_array(arena, items->n, struct part);
	lookup->value.lists = lookup->listings;
	lookup->value.n_lists = lookup->n_pending = items->n;
	lookup->done = done;
	lookup->arg = arg;
	for (size_t i = 0; i < items->n; i++) {
		struct part *part = &lookup->parts[i];

		part->lookup = lookup;
		part->listing = &lookup->listings[i];
		ask(part, config, items->items[i], client);
	}
	return lookup;
}

void
reputation_give_up(struct reputation_lookup *lookup)
{
	for (size_t i = 0; i < lookup->value.n_lists; i++)
		dns_cancel(lookup->parts[i].query);
}

struct reputations *
reputations_new(void)
{
	struct reputations *reputations = x_new(struct reputations);

	reputations->warned = map_new();
	return reputations;
}

void
reputations_free(struct reputations *reputations)
{
	if (reputations == NULL)
		return;
	map_free(reputations->warned, NULL);
	x_free(reputations);
}

/* --- the fact ---------------------------------------------------------- */

static void
on_looked_up(void *arg, const struct reputation *value)
{
	struct fact *fact = arg;

	if (value->n_failed < value->n_lists)
		fact_known(fact, value);
	else
		fact_unavailable(fact,
			arena_printf(fact->facts->req->arena,
				"no list could be asked; of %.*s: %.*s",
				SLICE_ARG(value->lists[0].domain),
				SLICE_ARG(value->lists[0].reason)));
}

static void
load(struct fact *fact)
{
	static const struct reputation unlisted, exempt = { .is_exempt = true };
	const struct request *req = fact->facts->req;
	struct sources *sources = fact->facts->sources;
	struct reputation_lookup *lookup;

	if (req->client.family == IP_NONE) {
		fact_unavailable(fact, "the client's address is not known");
		return;
	}
	if (!tables_require(sources->tables, TABLE_BIT(TABLE_EXEMPT_CLIENTS),
		    fact))
		return;
	if (exempt_clients_has(
		    tables_get(sources->tables, TABLE_EXEMPT_CLIENTS),
		    &req->client)) {
		fact_known(fact, &exempt);
		return;
	}
	lookup = reputation_look_up(sources, req->config, req->arena,
		&req->client, on_looked_up, fact);
	fact->loader_data = lookup;
	if (lookup == NULL)
		fact_known(fact, &unlisted);
}

static void
cancel(struct fact *fact)
{
	struct tables *tables = fact->facts->sources->tables;

	/* Without that table, it is what the fact waits for. */
	if (tables_get(tables, TABLE_EXEMPT_CLIENTS) == NULL)
		tables_forget(tables, fact);
	else
		reputation_give_up(fact->loader_data);
}

static void
describe_listing(const struct listing *listing, struct str *json)
{
	str_append_text(json, "{\"list\":");
	str_append_json(json, listing->item);
	str_append_text(json, ",\"result\":");
	str_append_json(json, slice_of(listing_status_text(listing->status)));
	if (listing->answer.len > 0) {
		str_append_text(json, ",\"answer\":");
		str_append_json(json, listing->answer);
	}
	if (listing->status == LISTING_FAILED) {
		str_append_text(json, ",\"reason\":");
		str_append_json(json, listing->reason);
	}
	str_printf(json, ",\"weight\":%d,\"ttl\":%u}", listing->weight,
		listing->ttl);
}

static void
describe(const void *value, struct str *json)
{
	const struct reputation *reputation = value;

	str_printf(json, "{\"is_exempt\":%s,\"score\":%lld,\"lists\":[",
		reputation->is_exempt ? "true" : "false",
		(long long)reputation->score);
	for (size_t i = 0; i < reputation->n_lists; i++) {
		if (i > 0)
			str_append_char(json, ',');
		describe_listing(&reputation->lists[i], json);
	}
	str_append_text(json, "]}");
}

const struct fact_kind fact_kind_reputation = {
	.id = FACT_REPUTATION,
	.name = "reputation",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_reputation(struct facts *facts, const struct reputation **out)
{
	return fact_ask(facts, &fact_kind_reputation, (const void **)out);
}
