/*
 * Whose address somebody who is logged in may show: recipients see From: and
 * not the sender of the envelope, so each address there has to be one that the
 * login may send from (senders.h). A message whose From: is missing, there more
 * than once, or cannot be read in one way only, has none that could be.
 */

#include "common/base/mem.h"
#include "policyd/rules/senders.h"

/*
 * What the login is to an address is looked up for one of them, the first that
 * is not the login itself (directory.h). Who writes in the name of several
 * others at once does not get past a rule that exists for one.
 */
static struct senders_use
use_of(const struct request *req, const struct domains *domains, size_t i)
{
	const bool is_looked_up = &req->authors[i] == request_other_author(req);

	return (struct senders_use){
		.address = &req->authors[i],
		.to_login = domains->authors_to_login[i],
		.fact_roles = is_looked_up ? fact_author_roles : NULL,
	};
}

static enum rule_status
refuse(const struct request *req, struct facts *facts,
	const struct address *author, struct verdict *out)
{
	senders_hint(req, facts, "From: address", out);
	return rule_reject(out,
		arena_printf(req->arena,
			"The From: address <%.*s> is not one of the "
			"authenticated user's",
			SLICE_ARG(author->full)));
}

static enum rule_status
judge_problem(const struct request *req, struct facts *facts,
	struct verdict *out)
{
	static const struct address nobody;
	const struct senders_use use = { .address = &nobody };

	/* Who may use any address may use none, too. */
	switch (senders_judge(req, facts, &use)) {
	case SENDERS_MAY:
		return RULE_PASS;
	case SENDERS_UNREADY:
		return RULE_UNREADY;
	case SENDERS_MAY_NOT:
		break;
	}
	senders_hint(req, facts, "From: address", out);
	return rule_reject(out,
		"The From: field does not say whose message this is");
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct domains *domains;

	if (!request_is_authenticated(req))
		return RULE_PASS;
	if (req->n_authors == 0)
		return judge_problem(req, facts, out);
	if (!fact_domains(facts, &domains))
		return RULE_UNREADY;
	for (size_t i = 0; i < req->n_authors; i++) {
		const struct senders_use use = use_of(req, domains, i);

		switch (senders_judge(req, facts, &use)) {
		case SENDERS_MAY:
			break;
		case SENDERS_MAY_NOT:
			return refuse(req, facts, use.address, out);
		case SENDERS_UNREADY:
			return RULE_UNREADY;
		}
	}
	return RULE_PASS;
}

const struct rule rule_reject_header_from_mismatch = {
	.name = "reject_header_from_mismatch",
	.summary = "refuse From: addresses that are not the login's",
	.stages = STAGE_MESSAGE,
	.judge = judge,
};
