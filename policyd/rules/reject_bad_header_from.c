/*
 * Mail of strangers whose From: is missing, there more than once, without an
 * address, or written so that programs read different addresses in it. Nobody
 * can say whose domain it is, so DMARC does not protect anybody from it
 * (RFC 7489, 6.6.1), and no honest program writes it. Several addresses in one
 * field are none of these.
 */

#include "common/base/mem.h"
#include "policyd/rule.h"

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct slice problem =
		req->attribute[ATTRIBUTE_header_from_problem];

	(void)facts;
	if (problem.len == 0 || request_is_authenticated(req) ||
		req->client_is_trusted)
		return RULE_PASS;
	rule_hint(out,
		"accepted with one field From: that names an address: "
		"%.*s",
		SLICE_ARG(problem));
	return rule_reject(out,
		"The From: field does not say whose message this is");
}

const struct rule rule_reject_bad_header_from = {
	.name = "reject_bad_header_from",
	.summary = "refuse mail of strangers whose From: cannot be relied on",
	.stages = STAGE_MESSAGE,
	.judge = judge,
};
