#ifndef POLICYD_FACTS_REPUTATION_H
#define POLICYD_FACTS_REPUTATION_H

/*
 * What lists in the DNS say of a client: [reputation] lists, asked all at
 * once. The DNS remembers their answers (common/io/dns.h). Unavailable when
 * no list at all answered; one that did not does not count.
 */

#include "policyd/config.h"
#include "policyd/facts.h"

struct sources;

enum listing_status {
	LISTING_ABSENT,  /* the list does not have the client */
	LISTING_COUNTS,  /* it does; the weight counts */
	LISTING_IGNORED, /* it does, but the filter leaves its answer out */
	LISTING_FAILED,  /* no answer, or none that a list gives */
};

struct listing {
	struct slice item;   /* as in the configuration */
	struct slice domain; /* part of item */
	int weight;
	enum listing_status status;
	struct slice answer; /* addresses, a blank between them */
	uint32_t ttl;
	bool is_from_cache;
	struct slice reason; /* of LISTING_FAILED */
};

struct reputation {
	bool is_exempt; /* facts/exempt_clients.h; no list was asked */
	int64_t score;  /* sum of the weights that count */
	const struct listing *lists;
	size_t n_lists, n_failed;
};

extern const struct fact_kind fact_kind_reputation;
bool fact_reputation(struct facts *facts, const struct reputation **out);

const char *listing_status_text(enum listing_status status);

/*
 * Asks the lists of config, exemption or not. done is called once from the
 * loop, with a value in the arena; never when the configuration has no list
 * (NULL is returned). The look-up is in the arena, too, and has to be given
 * up before that goes.
 */
typedef void reputation_done_fn(void *arg, const struct reputation *value);
struct reputation_lookup;
struct reputation_lookup *reputation_look_up(struct sources *sources,
	const struct config *config, struct arena *arena,
	const struct ip *client, reputation_done_fn *done, void *arg);
void reputation_give_up(struct reputation_lookup *lookup);

/* The lists that were found to answer nonsense, and this was logged. */
struct reputations;
struct reputations *reputations_new(void);
void reputations_free(struct reputations *reputations);

#endif
