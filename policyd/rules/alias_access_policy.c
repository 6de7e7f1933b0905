/*
 * Who may write to a mail alias account (vmail.alias): the domain, members,
 * moderators. The envelope sender is what is judged, also when it is empty.
 * An extension, as in team+news@, reaches the same people and is judged the
 * same.
 */

#include "policyd/facts/directory.h"
#include "policyd/facts/domains.h"
#include "policyd/rule.h"

static const char *
who_may(enum access_policy policy)
{
	switch (policy) {
	case ACCESS_PUBLIC:
		return "everyone";
	case ACCESS_DOMAIN:
		return "the alias's domain";
	case ACCESS_SUBDOMAIN:
		return "the alias's domain and those below it";
	case ACCESS_MEMBERS:
		return "the alias's members";
	case ACCESS_MODERATORS:
		return "the alias's moderators";
	case ACCESS_MEMBERS_AND_MODERATORS:
		return "the alias's members and moderators";
	}
	return "?";
}

/* How near the sender's domain has to be. */
static bool
is_in_domain(const struct domains *domains, enum access_policy policy)
{
	return domains->sender_to_recipient >=
	       (policy == ACCESS_SUBDOMAIN ? DOMAIN_BELOW : DOMAIN_SAME);
}

static bool
is_authorized(const struct roles *roles, enum access_policy policy)
{
	const bool moderates = roles->is_moderator || roles->is_any_moderator;

	switch (policy) {
	case ACCESS_MEMBERS:
		return roles->is_member;
	case ACCESS_MODERATORS:
		return moderates;
	case ACCESS_MEMBERS_AND_MODERATORS:
		return roles->is_member || moderates;
	case ACCESS_PUBLIC:
	case ACCESS_DOMAIN:
	case ACCESS_SUBDOMAIN:
		break;
	}
	return true;
}

/* True when it could be judged; then *is_allowed. */
static bool
look(struct facts *facts, enum access_policy policy, bool *is_allowed)
{
	const struct domains *domains;
	const struct roles *roles;

	*is_allowed = policy == ACCESS_PUBLIC;
	if (*is_allowed)
		return true;
	if (policy == ACCESS_DOMAIN || policy == ACCESS_SUBDOMAIN) {
		if (!fact_domains(facts, &domains))
			return false;
		*is_allowed = is_in_domain(domains, policy);
		return true;
	}
	if (!fact_sender_roles(facts, &roles))
		return false;
	*is_allowed = is_authorized(roles, policy);
	return true;
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct account *alias;
	bool is_allowed;

	(void)req;
	if (!fact_recipient_account(facts, &alias))
		return RULE_UNREADY;
	if (!alias->is_alias)
		return RULE_PASS;
	if (!look(facts, alias->alias_policy, &is_allowed))
		return RULE_UNREADY;
	if (is_allowed)
		return RULE_PASS;
	rule_hint(out, "accepted from %s", who_may(alias->alias_policy));
	return rule_reject(out, "Not authorized");
}

const struct rule rule_alias_access_policy = {
	.name = "alias_access_policy",
	.summary = "refuse mail to aliases from those who may not write",
	.stages = STAGE_RCPT,
	.judge = judge,
};
