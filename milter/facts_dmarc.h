#ifndef MILTER_FACTS_DMARC_H
#define MILTER_FACTS_DMARC_H

/*
 * What DMARC says of a message: a fact as those in milter/facts.h. It depends
 * on what SPF and DKIM say, so its answers in the DNS would be asked for last,
 * when everybody waits. So it is asked twice: at the end of the header as if
 * all passed, which needs the most answers, and at the end of the message as
 * it is, when the answers are there.
 */

#include "common/mail/dmarc.h"
#include "milter/bridge.h"

struct arena;
struct dmarc_check;
struct milter_facts;

struct facts_dmarc {
	struct bridge_call call;
	struct milter_facts *facts;
	struct arena *arena; /* the texts of both */
	/* the question */
	struct dmarc_input input;
	struct dmarc_check *check;
	/* the answer */
	enum dmarc_result result;
	enum dmarc_policy policy, requested; /* as in struct dmarc_outcome */
	enum dmarc_tag tag;
	struct slice policy_domain, record; /* "" for none */
	struct slice problem;
	bool is_dkim_aligned, is_spf_aligned;
};

/* What input points to is copied, its list of suffixes is ours. */
struct facts_dmarc *facts_ask_dmarc(struct milter_facts *facts,
	const struct dmarc_input *input);

#endif
