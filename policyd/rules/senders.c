#include "policyd/rules/senders.h"

#include "common/base/mem.h"
#include "policyd/facts/setting.h"

bool
senders_list_has(const struct config_list *list, struct slice word)
{
	for (size_t i = 0; i < list->n; i++)
		if (slice_case_eq(slice_of(list->items[i]), word))
			return true;
	return false;
}

bool
senders_list_has_pair(const struct request *req, const struct config_list *list,
	struct slice before, struct slice after)
{
	return list->n > 0 &&
	       senders_list_has(list,
		       slice_of(arena_printf(req->arena, "%.*s@%.*s",
			       SLICE_ARG(before), SLICE_ARG(after))));
}

/* A login may hold a delimiter: john-doe@, or a mailbox named a+b@. */
bool
senders_is_own(const struct request *req, const struct address *address)
{
	return slice_eq(address->full, req->login.full) ||
	       slice_eq(address->bare, req->login.full);
}

static bool
may_use_any(const struct request *req, const struct setting *setting)
{
	const struct config_list *allowed =
		&req->config->login_mismatch.allowed_mismatch_senders;

	return setting->may_send_as == SEND_AS_ANY ||
	       senders_list_has(allowed, req->login.bare) ||
	       senders_list_has(allowed, req->login.domain);
}

static bool
may_use_domain(const struct request *req, const struct setting *setting)
{
	const struct config_list *allowed =
		&req->config->login_mismatch.allowed_mismatch_senders;

	return setting->may_send_as == SEND_AS_DOMAIN ||
	       senders_list_has(allowed, SLICE("@.")) ||
	       senders_list_has_pair(req, allowed, SLICE(""),
		       req->login.domain);
}

/*
 * Subscribers of a mlmmj list are not in the database; its owners and
 * moderators are, and speak for it.
 */
static bool
speaks_for_list(const struct roles *roles)
{
	return roles->is_member ||
	       (roles->of_maillist && (roles->is_owner || roles->is_moderator));
}

static enum senders_answer
judge_roles(const struct request *req, const struct setting *setting,
	struct facts *facts, const struct senders_use *use)
{
	const bool own = req->config->login_mismatch.allow_own_aliases;
	const struct roles *roles;

	if (use->fact_roles == NULL || (!own && !setting->allow_list_members))
		return SENDERS_MAY_NOT;
	if (!use->fact_roles(facts, &roles))
		return SENDERS_UNREADY;
	if ((own && roles->is_alias_owner) ||
		(setting->allow_list_members && speaks_for_list(roles)))
		return SENDERS_MAY;
	return SENDERS_MAY_NOT;
}

enum senders_answer
senders_judge(const struct request *req, struct facts *facts,
	const struct senders_use *use)
{
	const struct setting *setting;

	if (senders_is_own(req, use->address))
		return SENDERS_MAY;
	if (!fact_setting(facts, &setting))
		return SENDERS_UNREADY;
	if (may_use_any(req, setting))
		return SENDERS_MAY;
	if (use->to_login == DOMAIN_SAME) {
		if (may_use_domain(req, setting))
			return SENDERS_MAY;
		/* The same address in an alias domain. */
		if (req->config->login_mismatch.allow_own_aliases &&
			slice_eq(use->address->local, req->login.local))
			return SENDERS_MAY;
	}
	return judge_roles(req, setting, facts, use);
}

void
senders_hint(const struct request *req, struct facts *facts, const char *what,
	struct verdict *out)
{
	const bool own = req->config->login_mismatch.allow_own_aliases;
	const struct setting *setting;

	rule_hint(out, "accepted with the %s %.*s%s%s", what,
		SLICE_ARG(req->login.full), own ? " or one of its aliases" : "",
		fact_setting(facts, &setting) && setting->allow_list_members
			? " or a list that it belongs to"
			: "");
}
