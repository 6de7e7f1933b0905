#ifndef POLICYD_DKIM_CHECK_H
#define POLICYD_DKIM_CHECK_H

/*
 * Whether the DNS shows the record of a key: every name server of the zone is
 * asked for it, and not a resolver, which would say what one of them said a
 * while ago. An alias (CNAME) is followed to the servers of its target. A
 * server that does not answer is never taken for one that has no record.
 */

#include <stdint.h>

#include "common/base/str.h"

struct dkim_check;
struct dns;
struct loop;

enum dkim_seen {
	DKIM_SEEN_SHOWN,   /* by every server */
	DKIM_SEEN_PARTLY,  /* by some */
	DKIM_SEEN_ABSENT,  /* by none: no record of that name */
	DKIM_SEEN_DIFFERS, /* by none: it is a record of another key */
	DKIM_SEEN_UNKNOWN, /* not all have answered */
};

struct dkim_check_question {
	struct slice domain, selector, record; /* borrowed until the call ends
						*/
};

#define DKIM_CHECK_PROBLEM_MAX 255

struct dkim_check_outcome {
	enum dkim_seen seen;
	unsigned n_servers, n_shown;
	char problem[DKIM_CHECK_PROBLEM_MAX + 1]; /* "" when shown */
};

typedef void dkim_check_fn(void *arg, const struct dkim_check_outcome *outcome);

/* "shown" and so on, as the table has it. */
const char *dkim_seen_name(enum dkim_seen seen);
/* Whether it is certain that no server shows the key. */
bool dkim_seen_is_absent(enum dkim_seen seen);

/* What checks are made with; those under way end with it. */
struct dkim_checks;
struct dkim_checks *dkim_checks_new(struct loop *loop, struct dns *dns);
/* Before its dns. Accepts NULL. */
void dkim_checks_free(struct dkim_checks *checks);

/*
 * done is called once, from the loop and not from within this call. Each
 * question of a check has timeout_ms.
 */
struct dkim_check *dkim_check_start(struct dkim_checks *checks,
	uint64_t timeout_ms, const struct dkim_check_question *question,
	dkim_check_fn *done, void *arg);
/* Not any more once done was called; accepts NULL. */
void dkim_check_cancel(struct dkim_check *check);

#endif
