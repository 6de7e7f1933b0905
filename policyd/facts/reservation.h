#ifndef POLICYD_FACTS_RESERVATION_H
#define POLICYD_FACTS_RESERVATION_H

/*
 * Counters, iredapd.throttle_tracking: "add this message to these counters
 * and tell me the sums". One atomic statement checks and adds, so that a
 * limit holds with any number of daemons on one database. It happens once
 * for a request; what was added is given back if the message is refused or
 * the client goes away before the answer.
 *
 * Windows are fixed and begin with the first message.
 */

#include "policyd/facts.h"
#include "policyd/sources.h"

/* What to add to one counter, and how far it may go. 0: no limit. */
struct reservation_request {
	uint64_t rule_id;
	struct slice account;
	uint64_t period_s;
	uint64_t add_msgs, add_bytes;
	uint64_t max_msgs;  /* refused if cur_msgs + add_msgs > max_msgs */
	uint64_t max_bytes; /* refused if cur_quota > max_bytes already */
};

struct counter {
	bool is_admitted;
	/* After the addition, or as they stand when it was not admitted. */
	uint64_t cur_msgs, cur_bytes;
	int64_t window_start, last_notified;
};

struct reservation {
	const struct reservation_request *requests;
	const struct counter *counters; /* one each */
	size_t n;
};

#define RESERVATION_MAX 4096u /* counters for one message */

extern const struct fact_kind fact_kind_reservation;
/*
 * Reserves. Called again for the same decision it gives the same answer: the
 * list must then be the same. The list must be of the request's arena, each
 * (rule_id, account) at most once in it.
 */
bool fact_reservation(struct facts *facts,
	const struct reservation_request *requests, size_t n,
	const struct reservation **out);

struct reservations *reservations_new(struct sources *sources);
void reservations_free(struct reservations *reservations);
/* Statements under way and give-backs waiting. */
size_t reservations_pending(const struct reservations *reservations);

#endif
