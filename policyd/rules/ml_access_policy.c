/*
 * Who may write to a mlmmj list (vmail.maillists). Only the policies "domain"
 * and "subdomain" are enforced here; who is a subscriber, mlmmj knows.
 *
 * An extension of the list, such as news+subscribe@, is judged as the list:
 * mlmmj looks for the extension in the header, where it may be missing, and
 * then the mail goes to everybody. Only a bounce is let through, for which
 * mlmmj waits at news+bounces-17@: without a sender nothing goes to the list.
 */

#include "policyd/facts/directory.h"
#include "policyd/facts/domains.h"
#include "policyd/rule.h"

static bool
is_bounce(const struct request *req)
{
	return req->sender.full.len == 0 &&
	       req->recipient.full.len > req->recipient.bare.len;
}

/* How near the sender's domain has to be. */
static bool
is_in_domain(const struct domains *domains, enum access_policy policy)
{
	return domains->sender_to_recipient >=
	       (policy == ACCESS_SUBDOMAIN ? DOMAIN_BELOW : DOMAIN_SAME);
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct account *list;
	const struct domains *domains;
	const struct roles *roles;

	if (is_bounce(req))
		return RULE_PASS;
	if (!fact_recipient_account(facts, &list))
		return RULE_UNREADY;
	if (!list->is_maillist ||
		(list->maillist_policy != ACCESS_DOMAIN &&
			list->maillist_policy != ACCESS_SUBDOMAIN))
		return RULE_PASS;
	if (!fact_domains(facts, &domains))
		return RULE_UNREADY;
	if (is_in_domain(domains, list->maillist_policy))
		return RULE_PASS;
	if (!fact_sender_roles(facts, &roles))
		return RULE_UNREADY;
	if (roles->is_moderator || roles->is_any_moderator || roles->is_owner)
		return RULE_PASS;
	rule_hint(out,
		"accepted from the list's domain%s, its moderators and its "
		"owners",
		list->maillist_policy == ACCESS_SUBDOMAIN
			? " and those below it"
			: "");
	return rule_reject(out, "Not authorized");
}

const struct rule rule_ml_access_policy = {
	.name = "ml_access_policy",
	.summary = "refuse mail to mailing lists from those who may not post",
	.stages = STAGE_RCPT,
	.judge = judge,
};
