#ifndef MILTER_FACTS_MESSAGE_H
#define MILTER_FACTS_MESSAGE_H

/*
 * What the rules say of a whole message, which a policy process is asked
 * (milter/policy_client.h) when all of it is known.
 */

#include "milter/facts.h"
#include "milter/message_text.h"

struct facts_message {
	struct bridge_call call;
	struct milter_facts *facts;
	uint64_t timeout_ms;
	/* the question, as lines */
	char *text;
	size_t len;
	struct policy_question *question;
	/* the answer, for message_text_read(); NULL when nobody gave one */
	char *answer;
};

struct facts_message *facts_ask_message(struct milter_facts *facts,
	const struct facts_message_question *question, uint64_t timeout_ms);

#endif
