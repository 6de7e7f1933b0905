/*
 * Who may use which sender address. A stranger may not use one of our
 * domains, unless SPF vouches for him; somebody who is logged in may use his
 * own address, his aliases and what the administrator allows. Only the
 * envelope sender is looked at. The steps and texts are iRedAPD's, except
 * that a domain is not ours because the recipient's is the same: mail within
 * a domain that we are only a backup for has to pass.
 */

#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/rules/senders.h"

/* RFC 7372, 3.2: SPF validation error. */
#define SPF_UNKNOWN_ENHANCED "4.7.24"

/* --- without a login ---------------------------------------------------- */

static bool
may_be_forged(const struct request *req, const struct setting *setting)
{
	const struct config_list *allowed =
		&req->config->login_mismatch.allowed_forged_senders;
	const struct address *sender = &req->sender;

	return !setting->check_forged_sender ||
	       senders_list_has(allowed, sender->bare) ||
	       senders_list_has(allowed, sender->domain) ||
	       senders_list_has_pair(req, allowed, sender->local, SLICE("*"));
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

static enum rule_status
judge_login(const struct request *req, struct facts *facts, struct verdict *out)
{
	struct senders_use use = { .address = &req->sender,
		.fact_roles = fact_login_roles };
	const struct domains *domains;

	if (req->sender.full.len == 0 || senders_is_own(req, &req->sender))
		return RULE_PASS;
	if (!fact_domains(facts, &domains))
		return RULE_UNREADY;
	use.to_login = domains->sender_to_login;
	switch (senders_judge(req, facts, &use)) {
	case SENDERS_MAY:
		return RULE_PASS;
	case SENDERS_UNREADY:
		return RULE_UNREADY;
	case SENDERS_MAY_NOT:
		break;
	}
	senders_hint(req, facts, "sender", out);
	return rule_reject(out,
		"Sender is not same as SMTP authenticate username");
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
