#ifndef POLICYD_FACTS_SPF_H
#define POLICYD_FACTS_SPF_H

/*
 * Whether the sender's domain vouches for the client (RFC 7208). There is no
 * evaluator yet: the fact is always SPF_NOT_CHECKED, and explain says so.
 */

#include "policyd/facts.h"

enum spf_result { SPF_NOT_CHECKED, SPF_PASS };

struct spf {
	enum spf_result result;
};

extern const struct fact_kind fact_kind_spf;
bool fact_spf(struct facts *facts, const struct spf **out);

#endif
