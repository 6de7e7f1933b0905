#ifndef MILTER_FACTS_DKIM_H
#define MILTER_FACTS_DKIM_H

/*
 * What the DNS has at the name of a DKIM key: a fact as those in
 * milter/facts.h, asked for as soon as a signature names it.
 */

#include "common/mail/dkim_claim.h"
#include "milter/bridge.h"

struct milter_facts;

struct facts_record {
	struct bridge_call call;
	struct milter_facts *facts;
	/* the question */
	char name[DKIM_KEY_NAME_MAX];
	char domain[DKIM_KEY_NAME_MAX]; /* that of the signature */
	struct dns_query *query;
	/* the answer; its text lives as long as this */
	struct dkim_record record;
	char *text;
};

/*
 * For a session. The registered domain above that of the signature pays for
 * the question.
 */
struct facts_record *facts_ask_record(struct milter_facts *facts,
	const char *name, struct slice domain);

#endif
