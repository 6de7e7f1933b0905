/*
 * DMARC: what becomes of mail that is not from whom From: says, as far as the
 * owner of that domain wants something to become of it. The result is the
 * milter's (authentication.h) and is never changed by anything here.
 *
 * Each recipient has its own settings, but a message is refused for all of
 * them or for none. So it is refused when it is to be refused for each;
 * otherwise it is held when it is to be held for any, and marked when it is to
 * be marked or refused for any.
 */

#include <assert.h>

#include "policyd/authentication.h"
#include "policyd/facts/dmarc_aggregate.h"
#include "policyd/facts/setting.h"
#include "policyd/name_list.h"
#include "policyd/rule.h"

/* A reply line holds 512 bytes, code and all. */
#define TEXT_MAX 440

#define REFUSED   "5.7.1"
#define MALFORMED "5.6.0"
#define TEMPORARY "4.7.0"

#define HEADER "X-DMARC-Policy: "

struct judgement {
	struct authentication of;
	bool is_case; /* something may become of it: */
	enum dmarc_case which;
	bool is_forced; /* by our settings it asks for reject */
	enum dmarc_action action;
	/* Why something else is done than what the record asks for. */
	enum dmarc_override override;
	const char *comment; /* static */
};

/* By enum dmarc_case: the name behind "dmarc.", and the value of the field. */
static const char *const case_names[DMARC_CASE_COUNT] = {
	[DMARC_CASE_REJECT] = "reject",
	[DMARC_CASE_QUARANTINE] = "quarantine",
	[DMARC_CASE_TEMPERROR] = "temperror",
	[DMARC_CASE_BAD_FROM] = "bad_from",
};

static bool
is_stranger(const struct request *req)
{
	return !request_is_authenticated(req) && !req->client_is_trusted &&
	       req->client.family != IP_NONE;
}

/* --- what may become of it ---------------------------------------------- */

static bool
is_forced(const struct request *req, const struct setting *setting,
	const struct authentication *of)
{
	return setting->dmarc_force_reject ||
	       name_list_has(&req->config->dmarc.force_reject, of->domain);
}

static void
find_case_of_fail(const struct request *req, const struct setting *setting,
	struct judgement *out)
{
	out->is_forced = out->of.policy != DMARC_POLICY_REJECT &&
			 is_forced(req, setting, &out->of);
	out->is_case = out->is_forced || out->of.policy != DMARC_POLICY_NONE;
	out->which = out->is_forced || out->of.policy == DMARC_POLICY_REJECT
			     ? DMARC_CASE_REJECT
			     : DMARC_CASE_QUARANTINE;
}

static void
find_case(const struct request *req, const struct setting *setting,
	struct judgement *out)
{
	const struct authentication *of = &out->of;

	if (of->domain.len == 0 && of->from_problem.len > 0) {
		out->is_case = true;
		out->which = DMARC_CASE_BAD_FROM;
		return;
	}
	if (!of->is_judged)
		return;
	switch (of->dmarc) {
	case DMARC_FAIL:
		find_case_of_fail(req, setting, out);
		break;
	case DMARC_TEMPERROR:
		/* Of a record that did not come nobody knows what it says. */
		out->is_case = of->requested != DMARC_POLICY_NONE ||
			       of->policy_domain.len == 0;
		out->which = DMARC_CASE_TEMPERROR;
		break;
	case DMARC_NONE:
	case DMARC_PASS:
	case DMARC_PERMERROR:
		break;
	}
}

/* --- what becomes of it ------------------------------------------------- */

/* See above: of all recipients. */
static enum dmarc_action
combine(const struct setting *setting, enum dmarc_case which)
{
	enum dmarc_action mildest = DMARC_ACTION_REJECT;
	enum dmarc_action strictest = DMARC_ACTION_REPORT;

	if (setting->n_dmarc == 0)
		return DMARC_ACTION_REPORT;
	for (size_t i = 0; i < setting->n_dmarc; i++) {
		const enum dmarc_action wish = setting->dmarc[i].action[which];
		const enum dmarc_action next =
			wish < DMARC_ACTION_HOLD ? DMARC_ACTION_HEADER : wish;

		if (wish > mildest)
			mildest = wish;
		if (next < strictest)
			strictest = next;
	}
	return mildest <= DMARC_ACTION_DEFER ? mildest : strictest;
}

static enum dmarc_policy
disposition_of(enum dmarc_action action)
{
	switch (action) {
	case DMARC_ACTION_REJECT:
		return DMARC_POLICY_REJECT;
	case DMARC_ACTION_HOLD:
	case DMARC_ACTION_HEADER:
		return DMARC_POLICY_QUARANTINE;
	case DMARC_ACTION_DEFER:
	case DMARC_ACTION_REPORT:
		break;
	}
	return DMARC_POLICY_NONE;
}

static void
override(struct judgement *out, enum dmarc_override type, const char *comment)
{
	out->override = type;
	out->comment = comment;
}

static bool
is_forwarded_by_friends(const struct request *req, struct judgement *out)
{
	const struct config_list *friends =
		&req->config->dmarc.trusted_forwarders;

	if (name_list_has_client(friends, &req->client,
		    req->attribute[ATTRIBUTE_client_name])) {
		override(out, DMARC_OVERRIDE_TRUSTED_FORWARDER,
			"the client is a trusted forwarder");
		return true;
	}
	/* Its seal vouches for what it says, not for what it has let in. */
	if (out->of.has_arc && slice_eq(out->of.arc_dmarc, SLICE("pass")) &&
		name_list_has(friends, out->of.arc_sealer)) {
		override(out, DMARC_OVERRIDE_TRUSTED_FORWARDER,
			"it passed where it was sealed (ARC)");
		return true;
	}
	return false;
}

static void
find_override(const struct setting *setting, struct judgement *out)
{
	const bool is_observed =
		setting->rule[RULE_ID_dmarc].mode == RULE_MODE_OBSERVE;
	const enum dmarc_policy done =
		is_observed ? DMARC_POLICY_NONE : disposition_of(out->action);

	if (out->is_case && done != out->of.policy)
		override(out, DMARC_OVERRIDE_LOCAL_POLICY,
			is_observed      ? "policies are only observed"
			: out->is_forced ? "the domain is always enforced"
					 : "a setting of the recipients");
	else if (out->of.policy != out->of.requested)
		override(out, DMARC_OVERRIDE_OTHER, "the record says t=y");
}

static struct judgement
weigh(const struct request *req, const struct setting *setting)
{
	struct judgement out = { .action = DMARC_ACTION_REPORT };

	authentication_read(req, &out.of);
	find_case(req, setting, &out);
	if (out.is_case && is_forwarded_by_friends(req, &out)) {
		out.is_case = false;
		return out;
	}
	if (out.is_case)
		out.action = combine(setting, out.which);
	if (out.of.is_judged && out.of.dmarc == DMARC_FAIL)
		find_override(setting, &out);
	return out;
}

/* --- texts -------------------------------------------------------------- */

/* Who chose it may have put into it what ends a line elsewhere. */
static void
append_shown(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		str_append_char(out, c >= ' ' && c <= '~' ? c : '?');
	}
}

static void
write_text(const struct judgement *judgement, struct str *out)
{
	str_append_text(out, "DMARC: ");
	switch (judgement->which) {
	case DMARC_CASE_BAD_FROM:
		str_append_text(out, "the header field From: ");
		append_shown(out, judgement->of.from_problem);
		return;
	case DMARC_CASE_TEMPERROR:
		str_append_text(out, "it cannot be checked now whether this "
				     "message is from ");
		append_shown(out, judgement->of.domain);
		return;
	case DMARC_CASE_REJECT:
	case DMARC_CASE_QUARANTINE:
	case DMARC_CASE_COUNT:
		break;
	}
	str_append_text(out, "this message is not from ");
	append_shown(out, judgement->of.domain);
	if (judgement->is_forced)
		return;
	str_append_text(out, ", which asks to ");
	str_append_text(out, judgement->of.policy == DMARC_POLICY_REJECT
				     ? "reject such mail"
				     : "quarantine such mail");
}

static void
hint(const struct judgement *judgement, struct verdict *out)
{
	const struct authentication *of = &judgement->of;

	if (judgement->which == DMARC_CASE_BAD_FROM)
		rule_hint(out,
			"accepted when From: names addresses of one domain, or "
			"with a setting dmarc.bad_from for a recipient");
	else
		rule_hint(out,
			"accepted when SPF or a DKIM signature passes for "
			"%.*s (SPF is %s for \"%.*s\"; there are %s "
			"signatures), from a client or a sealer in [dmarc] "
			"trusted_forwarders, or with a setting dmarc.%s for a "
			"recipient",
			SLICE_ARG(of->domain),
			of->has_spf ? spf_result_name(of->spf) : "not known",
			SLICE_ARG(slice_part(of->spf_domain, 0, 100)),
			of->is_dkim_aligned ? "aligned" : "no aligned",
			case_names[judgement->which]);
}

/* --- the answer --------------------------------------------------------- */

static enum rule_status
refuse(const struct judgement *judgement, struct verdict *out)
{
	enum rule_status status;
	struct str text;

	hint(judgement, out);
	str_init(&text, TEXT_MAX);
	write_text(judgement, &text);
	if (judgement->action == DMARC_ACTION_DEFER)
		status = rule_defer(out, TEMPORARY, str_text(&text));
	else
		status = rule_reject_with(out,
			judgement->which == DMARC_CASE_BAD_FROM ? MALFORMED
								: REFUSED,
			str_text(&text));
	str_free(&text);
	return status;
}

static enum rule_status
mark(const struct judgement *judgement, struct verdict *out)
{
	return rule_prepend(out, slice_of(arena_printf(out->arena, HEADER "%s",
					 case_names[judgement->which])));
}

static enum rule_status
hold(const struct judgement *judgement, struct verdict *out)
{
	struct str text;

	hint(judgement, out);
	str_init(&text, TEXT_MAX);
	write_text(judgement, &text);
	(void)rule_hold(out, str_text(&text));
	str_free(&text);
	return RULE_FINAL;
}

static enum rule_status
answer(const struct judgement *judgement, struct verdict *out)
{
	switch (judgement->action) {
	case DMARC_ACTION_REJECT:
	case DMARC_ACTION_DEFER:
		return refuse(judgement, out);
	case DMARC_ACTION_HOLD:
		return hold(judgement, out);
	case DMARC_ACTION_HEADER:
		return mark(judgement, out);
	case DMARC_ACTION_REPORT:
		break;
	}
	return RULE_PASS;
}

/* For Authentication-Results: why it is not as the record wants it. */
static void
tell_override(const struct judgement *judgement, struct verdict *out)
{
	if (judgement->override != DMARC_OVERRIDE_NONE)
		rule_tell(out, "dmarc_override",
			slice_of(arena_printf(out->arena, "%s %s",
				dmarc_override_name(judgement->override),
				judgement->comment)));
}

/* What is deferred comes again, and is counted then. */
static void
note(const struct request *req, const struct setting *setting,
	const struct judgement *judgement, struct verdict *out)
{
	const bool is_observed =
		setting->rule[RULE_ID_dmarc].mode == RULE_MODE_OBSERVE;
	const struct dmarc_seen seen = {
		.disposition = is_observed ? DMARC_POLICY_NONE
					   : disposition_of(judgement->action),
		.override = judgement->override,
		.comment = judgement->comment == NULL ? "" : judgement->comment,
	};

	if (is_observed || judgement->action != DMARC_ACTION_DEFER)
		effect_dmarc_seen(out, req, &judgement->of, &seen);
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct setting *setting;
	struct judgement judgement;

	if (!is_stranger(req))
		return RULE_PASS;
	if (!fact_setting(facts, &setting))
		return RULE_UNREADY;
	judgement = weigh(req, setting);
	note(req, setting, &judgement, out);
	tell_override(&judgement, out);
	return answer(&judgement, out);
}

const struct rule rule_dmarc = {
	.name = "dmarc",
	.summary = "heed what domains want to become of mail in their name",
	.stages = STAGE_MESSAGE,
	.judge = judge,
};
