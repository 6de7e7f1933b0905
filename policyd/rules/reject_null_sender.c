/*
 * A client that logged in has an address to answer to; an empty envelope
 * sender is for notifications between servers (RFC 5321, 4.5.5). Spammers
 * with a stolen password use it to stay clear of checks on the sender.
 */

#include "policyd/rule.h"

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	(void)facts;
	if (!request_is_authenticated(req) || req->sender.full.len > 0)
		return RULE_PASS;
	rule_hint(out, "accepted with a sender address, or without a login");
	return rule_reject(out, "Policy rejection due to null sender");
}

const struct rule rule_reject_null_sender = {
	.name = "reject_null_sender",
	.summary = "refuse mail from a login that hides its sender",
	.stages = STAGE_RCPT,
	.judge = judge,
};
