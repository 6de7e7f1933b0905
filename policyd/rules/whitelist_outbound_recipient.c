/*
 * Whoever a user writes to may answer at once: recipients of mail from a
 * login are taken off greylisting, for that user, his domain or everyone.
 * iRedAPD did so for messages with one recipient only.
 *
 * A recipient is any text that a client sends. What is added is a whole
 * address of that recipient, or its domain, and nothing that a table would
 * read as something wider.
 */

#include "common/base/mem.h"
#include "policyd/facts/auto_whitelist.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/setting.h"
#include "policyd/rule.h"

/* The text, if it is an account of that kind and fits; else "". */
static struct slice
account_or_none(struct slice text, enum account_kind kind)
{
	return text.len <= AUTO_WHITELIST_TEXT_MAX && account_kind(text) == kind
		       ? text
		       : SLICE("");
}

static struct slice
account_of_domain(const struct request *req, const struct address *address)
{
	return account_or_none(slice_of(arena_printf(req->arena, "@%.*s",
				       SLICE_ARG(address->domain))),
		ACCOUNT_DOMAIN);
}

/*
 * For whom; false when there is nobody, as for a login that is no address.
 * Servers are white for all, and have no account.
 */
static bool
find_account(const struct request *req, struct slice *out)
{
	*out = SLICE("");
	if (req->config->outbound.what == OUTBOUND_ADD_SERVERS)
		return true;
	switch (req->config->outbound.whom) {
	case OUTBOUND_USER:
		*out = account_or_none(req->login.full, ACCOUNT_ADDRESS);
		break;
	case OUTBOUND_DOMAIN:
		*out = account_of_domain(req, &req->login);
		break;
	case OUTBOUND_EVERYONE:
		*out = SLICE("@.");
		break;
	}
	return out->len > 0;
}

/* Greylisting knows senders without their extension, so that is dropped. */
static struct slice
account_of_recipient(const struct request *req, const struct address *recipient)
{
	if (!recipient->is_plain)
		return SLICE("");
	switch (req->config->outbound.what) {
	case OUTBOUND_ADD_ADDRESS:
		return account_or_none(recipient->bare, ACCOUNT_ADDRESS);
	case OUTBOUND_ADD_DOMAIN:
		return account_of_domain(req, recipient);
	case OUTBOUND_ADD_SERVERS:
		return slice_from(account_of_domain(req, recipient), 1);
	}
	return SLICE("");
}

/* NULL when there is nobody to add. */
static const struct auto_whites *
find_whites(const struct request *req, const struct domains *domains,
	struct slice account)
{
	struct auto_whites *whites =
		arena_new_object(req->arena, struct auto_whites);
	struct auto_white *entries = arena_new_array(req->arena,
		req->n_recipients, struct auto_white);

	for (size_t i = 0; i < req->n_recipients; i++) {
		const struct address *recipient = &req->recipients[i];
		const struct slice sender =
			account_of_recipient(req, recipient);

		if (sender.len == 0 || domains->recipients[i].is_local ||
			slice_eq(recipient->domain, req->login.domain))
			continue;
		entries[whites->n++] = (struct auto_white){ account, sender };
	}
	whites->entries = entries;
	return whites->n > 0 ? whites : NULL;
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const enum rule_id id = RULE_ID_whitelist_outbound_recipient;
	const struct auto_whites *whites;
	const struct setting *setting;
	const struct domains *domains;
	struct slice account;

	if (!request_is_authenticated(req) || req->n_recipients == 0)
		return RULE_PASS;
	if (!fact_setting(facts, &setting))
		return RULE_UNREADY;
	/* It refuses nothing, so to observe is to do nothing. */
	if (setting->rule[id].mode != RULE_MODE_ENFORCE)
		return RULE_PASS;
	if (!find_account(req, &account))
		return RULE_PASS;
	if (!fact_domains(facts, &domains))
		return RULE_UNREADY;
	whites = find_whites(req, domains, account);
	if (whites != NULL)
		effect_auto_whitelist(out, whites);
	return RULE_PASS;
}

const struct rule rule_whitelist_outbound_recipient = {
	.name = "whitelist_outbound_recipient",
	.summary = "never greylist those to whom a user has written",
	.stages = STAGE_END_OF_MESSAGE,
	.judge = judge,
};
