#ifndef POLICYD_NOTIFIER_H
#define POLICYD_NOTIFIER_H

/*
 * Mail to the administrator when somebody runs into a limit,
 * once for each window of a counter, on one node only: the row in
 * iredapd.throttle_tracking is claimed in the database before the mail is
 * sent through SMTP. Nothing waits for it.
 */

#include "policyd/facts/limits.h"
#include "policyd/facts/reservation.h"

struct notifier;
struct verdict;

struct notifier *notifier_new(struct sources *sources);
void notifier_free(struct notifier *notifier);

/*
 * Asks for a notification: which limit ("max_msgs" or "max_quota") of the
 * set was reached, and the counter. All of it from the request's arena.
 */
void effect_notify(struct verdict *out, const struct request *req,
	const struct limit_set *set, const char *limit_name,
	const struct reservation_request *counter);

#endif
