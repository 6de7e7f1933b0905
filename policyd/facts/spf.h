#ifndef POLICYD_FACTS_SPF_H
#define POLICYD_FACTS_SPF_H

/*
 * What SPF says of the client (RFC 7208), for the sender and for the name in
 * HELO. The null sender is the postmaster of that name. A DNS that does not
 * answer makes it temperror, never none; unavailable it is only when the
 * client's address is not known.
 */

#include "common/mail/spf_record.h"
#include "policyd/facts.h"

struct sources;

struct spf_fact {
	enum spf_result result;
	struct slice domain; /* whose record it was, in A-labels */
	/* As in struct spf_outcome: */
	struct slice matched, explanation, problem;
	bool is_from_memory;
};

extern const struct fact_kind fact_kind_spf, fact_kind_spf_helo;
bool fact_spf(struct facts *facts, const struct spf_fact **out);
bool fact_spf_helo(struct facts *facts, const struct spf_fact **out);

/*
 * Of this process: the identities that were judged lately, and under which
 * names domains are registered, each of which has a budget for its questions.
 */
struct spf_memory;
struct spf_memory *spf_memory_new(size_t entries_max);
void spf_memory_free(struct spf_memory *memory);
size_t spf_memory_count(const struct spf_memory *memory);

#endif
