#ifndef POLICYD_FACTS_DMARC_AGGREGATE_H
#define POLICYD_FACTS_DMARC_AGGREGATE_H

/*
 * What was seen of messages in the name of domains with a DMARC record, for
 * the reports to their owners: policyd.dmarc_aggregate. One row stands for all
 * messages of a day (UTC) of which there would be the same to say, and counts
 * them. A day has [dmarc] rows_per_day rows and not many more: whoever sends
 * mail chooses what is in them. What would be another row is not counted, and
 * the log says so.
 *
 * A row whose statement was lost with its connection is sent again, and may
 * then count a message twice.
 */

#include "common/mail/dmarc.h"
#include "policyd/authentication.h"

struct dmarc_aggregate;
struct sources;
struct verdict;

/* Why something else was done than what the record asks for. */
enum dmarc_override {
	DMARC_OVERRIDE_NONE,
	DMARC_OVERRIDE_TRUSTED_FORWARDER,
	DMARC_OVERRIDE_LOCAL_POLICY,
	DMARC_OVERRIDE_OTHER,
};
/* "trusted_forwarder" (RFC 7489, appendix C); "" of none */
const char *dmarc_override_name(enum dmarc_override override);

/* What became of a message. */
struct dmarc_seen {
	enum dmarc_policy disposition;
	enum dmarc_override override;
	const char *comment; /* static; "" for none */
};

/*
 * Counts the message, if it passed or failed, and [dmarc] collect wants it for
 * this record.
 */
void effect_dmarc_seen(struct verdict *out, const struct request *req,
	const struct authentication *of, const struct dmarc_seen *seen);

struct dmarc_aggregate *dmarc_aggregate_new(struct sources *sources);
void dmarc_aggregate_free(struct dmarc_aggregate *aggregate);
/* Messages that wait to be counted. */
size_t dmarc_aggregate_waiting(const struct dmarc_aggregate *aggregate);

#endif
