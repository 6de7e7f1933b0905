/*
 * Black and white lists of the names that clients have by reverse look-up,
 * iredapd.wblist_rdns. The name is the client's own claim. That is good
 * enough to refuse it; so a white entry only takes it off the black list and
 * spares it no other rule.
 *
 * iRedAPD could discard in place of refusing. At RCPT that would throw the
 * message away for every recipient, and nobody would be told: left out.
 */

#include "policyd/facts/rdns.h"
#include "policyd/rule.h"

/* Postfix' word for no name; an empty one says the same. */
static bool
has_name(const struct request *req)
{
	const struct slice name =
		slice_trim(req->attribute[ATTRIBUTE_reverse_client_name]);

	return name.len > 0 && !slice_case_eq(name, SLICE("unknown"));
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct rdns *rdns;

	if (request_is_authenticated(req) || req->client_is_trusted ||
		!has_name(req))
		return RULE_PASS;
	if (!fact_rdns(facts, &rdns))
		return RULE_UNREADY;
	if (rdns->white.len > 0 || rdns->black.len == 0)
		return RULE_PASS;
	rule_hint(out,
		"accepted from a client whose name is not black-listed as "
		"%.*s; \"policyctl rdns\" shows and changes the list",
		SLICE_ARG(rdns->black));
	return rule_reject(out, "Blacklisted");
}

const struct rule rule_wblist_rdns = {
	.name = "wblist_rdns",
	.summary = "refuse clients whose reverse DNS name is black-listed",
	.stages = STAGE_RCPT,
	.judge = judge,
};
