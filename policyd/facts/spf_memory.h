#ifndef POLICYD_FACTS_SPF_MEMORY_H
#define POLICYD_FACTS_SPF_MEMORY_H

/*
 * Results of SPF by client, HELO name and domain of the identity, for as long
 * as the records behind them live (facts/spf.c); those that depend on the
 * local part of the sender by that, too. Bounded; texts are cut.
 */

#include "common/mail/spf.h"
#include "policyd/facts/spf.h"

/*
 * Copies what is remembered into the arena. False when nothing is, or its
 * time is over.
 */
bool spf_memory_get(struct spf_memory *memory, struct arena *arena,
	const struct spf_input *input, struct spf_fact *out);
void spf_memory_put(struct spf_memory *memory, const struct spf_input *input,
	const struct spf_outcome *outcome);
/* Whose budget pays for the questions about a domain: dns_ask(). */
struct slice spf_memory_payer(const struct spf_memory *memory,
	struct slice domain);

#endif
