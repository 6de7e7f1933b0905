#ifndef POLICYD_FACTS_H
#define POLICYD_FACTS_H

/*
 * Facts: values that rules need and that had to be fetched, remembered for
 * one request so that nothing is fetched twice. Each fact is a slot; its
 * kind says how to load it. Typed functions such as fact_triplet() in
 * facts/ wrap fact_ask().
 *
 * A loader answers a slot exactly once, with fact_known() or
 * fact_unavailable(), at once (from memory) or later (from the loop). Once
 * cancel() was called it must not touch the slot again. A loader does not
 * ask for other facts; it reads tables (facts/tables.h) itself.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct facts;
struct request;
struct sources;

enum fact_state { FACT_UNASKED, FACT_PENDING, FACT_KNOWN, FACT_UNAVAILABLE };

enum fact_id {
	FACT_SETTING,           /* facts/setting.h */
	FACT_DOMAINS,           /* facts/domains.h */
	FACT_RECIPIENT_ACCOUNT, /* facts/directory.h */
	FACT_LOGIN_ACCOUNT,
	FACT_SENDER_ROLES,
	FACT_LOGIN_ROLES,
	FACT_AUTHOR_ROLES,
	FACT_GREYLIST_WHITELIST, /* facts/greylist_lists.h */
	FACT_GREYLIST_SETTING,
	FACT_TRIPLET,     /* facts/triplet.h */
	FACT_HOST,        /* facts/host.h */
	FACT_RDNS,        /* facts/rdns.h */
	FACT_REPUTATION,  /* facts/reputation.h */
	FACT_SPF,         /* facts/spf.h */
	FACT_SPF_HELO,    /* facts/spf.h */
	FACT_LIMITS,      /* facts/limits.h */
	FACT_RESERVATION, /* facts/reservation.h */
	FACT_ACCESS,      /* facts/access_lists.h */
	FACT_COUNT
};

struct fact {
	const struct fact_kind *kind; /* NULL while unasked */
	enum fact_state state;
	const void *value;             /* in the request's arena, when known */
	const char *reason;            /* when unavailable */
	struct facts *facts;           /* back */
	void *loader_data;             /* the loader's, while pending */
	int64_t asked_us, answered_us; /* clock_monotonic_us() */
	bool is_from_memory;           /* answered within the call that asked */
};

struct fact_kind {
	enum fact_id id;
	const char *name;
	/* Starts to fetch for fact->facts->req from fact->facts->sources. */
	void (*load)(struct fact *fact);
	/* The decision no longer wants it; NULL if never pending. */
	void (*cancel)(struct fact *fact);
	/* Appends the value as one JSON value, for explain. */
	void (*describe)(const void *value, struct str *json);
	/*
	 * The message was not accepted after all, or the decision was
	 * abandoned: undo what loading has done (reservations). May be NULL.
	 */
	void (*undo)(struct fact *fact);
	/*
	 * Of a kind that has undo: its load looks at is_rehearsal and then
	 * changes nothing. Without it a rehearsal is told "unavailable".
	 */
	bool can_rehearse;
};

struct facts {
	const struct request *req;
	struct sources *sources; /* NULL in unit tests of rules */
	struct fact slot[FACT_COUNT];
	unsigned n_pending;
	bool is_wanting; /* an asked one was unavailable; the engine resets it
			  */
	bool is_loading; /* within kind->load */
	/*
	 * Nobody acts upon the decision: a loader changes nothing, and says
	 * what it would have said.
	 */
	bool is_rehearsal;
	/* Called when the last pending one was answered; never from load. */
	void (*on_ready)(struct facts *facts);
	void *owner;
};

void facts_init(struct facts *facts, const struct request *req,
	struct sources *sources);
/*
 * True and *value when it is known. Otherwise starts to fetch it, or notes
 * that it is unavailable, and returns false.
 */
bool fact_ask(struct facts *facts, const struct fact_kind *kind,
	const void **value);
/* Puts a value in: loaders that answer later, and unit tests. */
void fact_known(struct fact *fact, const void *value);
void fact_unavailable(struct fact *fact, const char *reason);
/* For unit tests: the slot is known, or unavailable, before it is asked. */
void facts_put(struct facts *facts, const struct fact_kind *kind,
	const void *value);
void facts_put_unavailable(struct facts *facts, const struct fact_kind *kind,
	const char *reason);
/* Gives up on everything still pending: it becomes unavailable. */
void facts_give_up(struct facts *facts, const char *reason);
/* Calls undo of every known fact that has one, unless it is a rehearsal. */
void facts_undo(struct facts *facts);

#endif
