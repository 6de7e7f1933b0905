#ifndef POLICYD_FACTS_RESERVATION_REFUND_H
#define POLICYD_FACTS_RESERVATION_REFUND_H

/*
 * Giving back what a reservation added: the message was refused, or nobody
 * waited for the answer. Waits, bounded, while the database is away, but is
 * never sent again when it may have arrived: a counter may be too high, it
 * must not be too low.
 */

#include "policyd/sources.h"

struct refunds;

struct refund_order {
	uint64_t rule_id;
	struct slice account; /* as column_text() made it */
	int64_t window_start; /* of the window that was added to */
	uint64_t msgs, bytes;
};

struct refunds *refunds_new(struct sources *sources);
/* What still waits is lost, and counted. */
void refunds_free(struct refunds *refunds);
/* Copies. */
void refund_add(struct refunds *refunds, const struct refund_order *order);
size_t refunds_waiting(const struct refunds *refunds);

#endif
