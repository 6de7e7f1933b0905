/*
 * Nobody outside has to write to an address at the machine's own name: mail
 * for root@mx.example.com is made on the machine, by cron and the like. What
 * comes from outside to such an address is mostly junk that guesses names.
 * Addresses that SRS made are at that name, too, and are let through.
 */

#include "policyd/facts/host.h"
#include "policyd/rule.h"

/* As iRedAPD tells them: other separators are not of our making. */
static bool
is_rewritten(struct slice recipient)
{
	return slice_starts(recipient, SLICE("srs0=")) ||
	       slice_starts(recipient, SLICE("srs1="));
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct host *host;

	if (request_is_authenticated(req) || req->client_is_trusted ||
		req->recipient.domain.len == 0 ||
		is_rewritten(req->recipient.full))
		return RULE_PASS;
	if (!fact_host(facts, &host))
		return RULE_UNREADY;
	for (size_t i = 0; i < host->n; i++) {
		if (!slice_eq(req->recipient.domain, host->names[i]))
			continue;
		rule_hint(out,
			"accepted with a login, from a trusted client, or to "
			"a domain other than this machine's name, %.*s",
			SLICE_ARG(host->names[i]));
		return rule_reject(out, "Not authorized");
	}
	return RULE_PASS;
}

const struct rule rule_reject_to_hostname = {
	.name = "reject_to_hostname",
	.summary = "refuse mail from outside to the machine's own name",
	.stages = STAGE_RCPT,
	.judge = judge,
};
