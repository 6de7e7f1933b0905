/*
 * Who may use which sender address. A stranger may not use one of our
 * domains, unless SPF vouches for him; somebody who is logged in may use his
 * own address, his aliases and what the administrator allows. Only the
 * envelope sender is looked at. The steps and texts are iRedAPD's, except
 * that a domain is not ours because the recipient's is the same: mail within
 * a domain that we are only a backup for has to pass.
 */

#include "common/base/mem.h"
#include "policyd/facts/directory.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/rule.h"

/* RFC 7372, 3.2: SPF validation error. */
#define SPF_UNKNOWN_ENHANCED "4.7.24"

static bool
lists(const struct config_list *list, struct slice word)
{
	for (size_t i = 0; i < list->n; i++)
		if (slice_case_eq(slice_of(list->items[i]), word))
			return true;
	return false;
}

/* The word made of what is before and after an @. */
static bool
lists_pair(const struct request *req, const struct config_list *list,
	struct slice before, struct slice after)
{
	return list->n > 0 &&
	       lists(list, slice_of(arena_printf(req->arena, "%.*s@%.*s",
				   SLICE_ARG(before), SLICE_ARG(after))));
}

/* --- without a login ---------------------------------------------------- */

static bool
may_be_forged(const struct request *req, const struct setting *setting)
{
	const struct config_list *allowed =
		&req->config->login_mismatch.allowed_forged_senders;
	const struct address *sender = &req->sender;

	return !setting->check_forged_sender || lists(allowed, sender->bare) ||
	       lists(allowed, sender->domain) ||
	       lists_pair(req, allowed, sender->local, SLICE("*"));
}

/* It may pass yet: what is not known now is not refused for good. */
static enum rule_status
wait_for_spf(struct verdict *out)
{
	rule_hint(out, "accepted with a login, or when the DNS answers that "
		       "the domain authorizes the client");
	return rule_defer(out, SPF_UNKNOWN_ENHANCED,
		"SPF of this sender domain cannot be checked now, please try "
		"again later");
}

static enum rule_status
judge_stranger(const struct request *req, struct facts *facts,
	struct verdict *out)
{
	const struct setting *setting;
	const struct domains *domains;
	const struct spf_fact *spf;

	if (req->client_is_trusted || req->sender.full.len == 0)
		return RULE_PASS;
	if (!fact_setting(facts, &setting))
		return RULE_UNREADY;
	if (may_be_forged(req, setting))
		return RULE_PASS;
	if (!fact_domains(facts, &domains))
		return RULE_UNREADY;
	if (!domains->sender.is_local || domains->sender.is_backup_mx)
		return RULE_PASS;
	if (req->config->login_mismatch.check_spf) {
		if (!fact_spf(facts, &spf))
			return RULE_UNREADY;
		if (spf->result == SPF_PASS)
			return RULE_PASS;
		if (spf->result == SPF_TEMPERROR)
			return wait_for_spf(out);
	}
	rule_hint(out,
		"accepted with a login, from a trusted client, or with %.*s in "
		"allowed_forged_senders",
		SLICE_ARG(req->sender.domain));
	return rule_reject(out,
		"SMTP AUTH is required for users under this sender domain");
}

/* --- with a login ------------------------------------------------------- */

static bool
may_use_any(const struct request *req, const struct setting *setting)
{
	const struct config_list *allowed =
		&req->config->login_mismatch.allowed_mismatch_senders;

	return setting->may_send_as == SEND_AS_ANY ||
	       lists(allowed, req->login.bare) ||
	       lists(allowed, req->login.domain);
}

static bool
may_use_domain(const struct request *req, const struct setting *setting)
{
	const struct config_list *allowed =
		&req->config->login_mismatch.allowed_mismatch_senders;

	return setting->may_send_as == SEND_AS_DOMAIN ||
	       lists(allowed, SLICE("@.")) ||
	       lists_pair(req, allowed, SLICE(""), req->login.domain);
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

static enum rule_status
judge_roles(const struct request *req, const struct setting *setting,
	struct facts *facts, struct verdict *out)
{
	const bool own = req->config->login_mismatch.allow_own_aliases;
	const struct roles *roles;

	if (own || setting->allow_list_members) {
		if (!fact_login_roles(facts, &roles))
			return RULE_UNREADY;
		if (own && roles->is_alias_owner)
			return RULE_PASS;
		if (setting->allow_list_members && speaks_for_list(roles))
			return RULE_PASS;
	}
	rule_hint(out, "accepted with the sender %.*s%s%s",
		SLICE_ARG(req->login.full), own ? " or one of its aliases" : "",
		setting->allow_list_members ? " or a list that it belongs to"
					    : "");
	return rule_reject(out,
		"Sender is not same as SMTP authenticate username");
}

static enum rule_status
judge_login(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct setting *setting;
	const struct domains *domains;

	/* A login may hold a delimiter: john-doe@, or a mailbox named a+b@. */
	if (req->sender.full.len == 0 ||
		slice_eq(req->sender.full, req->login.full) ||
		slice_eq(req->sender.bare, req->login.full))
		return RULE_PASS;
	if (!fact_setting(facts, &setting) || !fact_domains(facts, &domains))
		return RULE_UNREADY;
	if (may_use_any(req, setting))
		return RULE_PASS;
	if (domains->sender_to_login == DOMAIN_SAME) {
		if (may_use_domain(req, setting))
			return RULE_PASS;
		/* The same address in an alias domain. */
		if (req->config->login_mismatch.allow_own_aliases &&
			slice_eq(req->sender.local, req->login.local))
			return RULE_PASS;
	}
	return judge_roles(req, setting, facts, out);
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	return request_is_authenticated(req) ? judge_login(req, facts, out)
					     : judge_stranger(req, facts, out);
}

const struct rule rule_reject_sender_login_mismatch = {
	.name = "reject_sender_login_mismatch",
	.summary = "refuse sender addresses that belong to somebody else",
	.stages = STAGE_RCPT,
	.judge = judge,
};
