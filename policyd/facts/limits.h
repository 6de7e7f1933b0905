#ifndef POLICYD_FACTS_LIMITS_H
#define POLICYD_FACTS_LIMITS_H

/*
 * The throttle rules, iredapd.throttle, and which of them apply to a message:
 * for the sender (outbound or external) and for each
 * recipient (inbound), each of the four limits from the first rule, by stored
 * priority, that does not say -1.
 */

#include "policyd/facts.h"
#include "policyd/facts/tables.h"

enum throttle_kind { THROTTLE_OUTBOUND, THROTTLE_INBOUND, THROTTLE_EXTERNAL };

/* One row of iredapd.throttle. -1 inherit, 0 unlimited. */
struct throttle_rule {
	uint64_t id;
	struct slice account;
	enum throttle_kind kind;
	int priority;
	uint64_t period_s;
	int64_t msg_size, max_msgs, max_quota, max_rcpts;
};

/* The limits in force for one subject: NULL where no rule gives one. */
struct limit_set {
	enum throttle_kind kind;
	struct slice subject; /* who or what is limited: a sender, a
				 recipient, or the client's address */
	unsigned n_messages;  /* to add: recipients of the message that
				 this subject accounts for */
	const struct throttle_rule *msg_size, *max_msgs, *max_quota, *max_rcpts;
	/* The rows that count, "" where nothing is counted. */
	struct slice msgs_account, quota_account;
};

struct limits {
	const struct limit_set *sets;
	size_t n_sets;
};

extern const struct fact_kind fact_kind_limits;
/* For END-OF-MESSAGE; bypasses of the configuration are the rule's. */
bool fact_limits(struct facts *facts, const struct limits **out);

const char *throttle_kind_name(enum throttle_kind kind);
bool throttle_kind_parse(struct slice text, enum throttle_kind *out);

extern const struct table_kind table_throttle;

#endif
