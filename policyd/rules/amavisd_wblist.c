/*
 * White- and blacklists that accounts keep in the database of Amavisd:
 * inbound about senders and clients, outbound about recipients. Which entry
 * counts is in facts/access_lists.c.
 *
 * Whitelisted mail is spared the rules behind this one, but not what Postfix
 * checks: iRedAPD answered OK, which skips that, too. Of mail that an account
 * may send, a whitelist only says that its blacklist does not stop it.
 *
 * DISCARD drops a message for all of its recipients. So it is used only for
 * what the list for everyone names; an entry of one account or domain refuses
 * that recipient, and the others get their mail.
 */

#include "common/mail/address.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/rule.h"

static struct slice
plain(struct slice account)
{
	return account_kind(account) == ACCOUNT_CATCH_ALL
		       ? SLICE("everyone")
		       : account_plain(account);
}

static const char *
describe(struct verdict *out, const struct access_entry *entry)
{
	return arena_printf(out->arena, "%.*s is on the %s of %.*s%s%.*s%s",
		SLICE_ARG(plain(entry->address)),
		entry->is_white ? "whitelist" : "blacklist",
		SLICE_ARG(plain(entry->account)),
		entry->reason.len > 0 ? " (" : "", SLICE_ARG(entry->reason),
		entry->reason.len > 0 ? ")" : "");
}

static enum rule_status
refuse(const struct request *req, const struct access_entry *entry,
	enum access_direction direction, struct verdict *out)
{
	const bool is_for_everyone =
		direction == ACCESS_INBOUND &&
		account_kind(entry->account) == ACCOUNT_CATCH_ALL;

	rule_hint(out,
		"accepted without this entry: %s; \"policyctl access test\" "
		"shows what else there is",
		describe(out, entry));
	if (req->config->wblist.discard && is_for_everyone)
		return rule_discard(out, "Policy discard");
	return rule_reject(out, "Blacklisted");
}

/* Whose lists count when one who logged in sends: those of our own domains. */
static bool
is_inbound(const struct request *req, const struct domains *domains)
{
	return !request_is_authenticated(req) ||
	       slice_eq(req->login.domain, req->recipient.domain) ||
	       domains->recipient.is_local;
}

/* Anybody can write a sender's address; a client's comes from the network. */
static bool
can_be_forged(const struct access_entry *entry)
{
	switch (account_kind(entry->address)) {
	case ACCOUNT_ADDRESS:
	case ACCOUNT_ANY_DOMAIN:
	case ACCOUNT_DOMAIN:
	case ACCOUNT_SUBDOMAIN:
	case ACCOUNT_TOP_DOMAIN:
		return true;
	case ACCOUNT_CATCH_ALL:
	case ACCOUNT_CATCH_ALL_IP:
	case ACCOUNT_NETWORK:
	case ACCOUNT_WILDCARD_IP:
	case ACCOUNT_IP:
	case ACCOUNT_INVALID:
		break;
	}
	return false;
}

static enum rule_status
permit(const struct request *req, struct facts *facts,
	const struct access_entry *entry, struct verdict *out)
{
	const struct setting *setting;
	const struct spf_fact *spf;

	if (!fact_setting(facts, &setting))
		return RULE_UNREADY;
	if (setting->whitelist_needs_spf && can_be_forged(entry) &&
		!request_is_authenticated(req) && !req->client_is_trusted) {
		if (!fact_spf(facts, &spf))
			return RULE_UNREADY;
		if (spf->result != SPF_PASS)
			return RULE_PASS;
	}
	return rule_permit(out, describe(out, entry));
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct access *access;
	const struct domains *domains;
	const struct access_entry *entry;

	if (!fact_access(facts, &access) || !fact_domains(facts, &domains))
		return RULE_UNREADY;
	entry = access->first[ACCESS_OUTBOUND];
	if (request_is_authenticated(req) && entry != NULL &&
		!entry->is_white && !req->config->wblist.bypass_outgoing)
		return refuse(req, entry, ACCESS_OUTBOUND, out);
	entry = access->first[ACCESS_INBOUND];
	if (entry == NULL || !is_inbound(req, domains))
		return RULE_PASS;
	if (entry->is_white)
		return permit(req, facts, entry, out);
	return refuse(req, entry, ACCESS_INBOUND, out);
}

const struct rule rule_amavisd_wblist = {
	.name = "amavisd_wblist",
	.summary = "white- and blacklists of accounts",
	.stages = STAGE_RCPT,
	.judge = judge,
};
