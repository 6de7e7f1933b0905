/*
 * SPF (RFC 7208): what becomes of mail by what the domain of its sender, and
 * of the name in HELO, say of the client. The result is never changed by
 * anything here; the settings only say what is done with it.
 *
 * HELO counts only when it fails and the sender does not pass: whose domain
 * authorizes a client may be believed although the client's name is wrong.
 */

#include "policyd/facts/spf.h"

#include "common/mail/received_spf.h"
#include "policyd/facts/host.h"
#include "policyd/facts/setting.h"
#include "policyd/name_list.h"
#include "policyd/rule.h"

/* A reply line holds 512 bytes, code and all. */
#define TEXT_MAX 440

/* RFC 7372, 3.2. */
#define FAILED    "5.7.23"
#define TEMPORARY "4.7.24"
#define PERMANENT "5.7.24"

struct judgement {
	const struct spf_fact *spf;
	bool is_helo;
	enum spf_action action;
	const char *setting; /* whose action that is, behind "spf." */
};

static bool
is_stranger(const struct request *req)
{
	return !request_is_authenticated(req) && !req->client_is_trusted &&
	       req->client.family != IP_NONE;
}

static bool
is_skipped(const struct request *req)
{
	return name_list_has_client(&req->config->spf.skip, &req->client,
		req->attribute[ATTRIBUTE_client_name]);
}

/* --- what is done ------------------------------------------------------- */

static enum spf_action
action_for(const struct setting *setting, enum spf_result result)
{
	switch (result) {
	case SPF_FAIL:
		return setting->spf_action[SPF_CASE_FAIL];
	case SPF_SOFTFAIL:
		return setting->spf_action[SPF_CASE_SOFTFAIL];
	case SPF_TEMPERROR:
		return setting->spf_action[SPF_CASE_TEMPERROR];
	case SPF_PERMERROR:
		return setting->spf_action[SPF_CASE_PERMERROR];
	case SPF_NONE:
	case SPF_NEUTRAL:
	case SPF_PASS:
		break;
	}
	return SPF_ACTION_HEADER;
}

static struct judgement
weigh(const struct request *req, const struct setting *setting,
	const struct spf_fact *mail_from, const struct spf_fact *helo)
{
	const bool is_null = req->sender.full.len == 0;
	struct judgement judgement = {
		.spf = mail_from,
		.is_helo = is_null,
		.action = action_for(setting, mail_from->result),
		.setting = spf_result_name(mail_from->result),
	};

	if (!is_null && helo->result == SPF_FAIL &&
		mail_from->result != SPF_PASS &&
		setting->spf_helo_fail < judgement.action)
		judgement = (struct judgement){ helo, true,
			setting->spf_helo_fail, "helo_fail" };
	return judgement;
}

static const char *
why(enum spf_result result)
{
	switch (result) {
	case SPF_FAIL:
		return "may not send for";
	case SPF_SOFTFAIL:
		return "probably may not send for";
	case SPF_TEMPERROR:
		return "cannot be checked now: no answer from the DNS of";
	case SPF_PERMERROR:
		return "cannot be checked: wrong SPF records of";
	case SPF_NONE:
	case SPF_NEUTRAL:
	case SPF_PASS:
		break;
	}
	return "is not known to";
}

/* Who chose the name may have put into it what ends a line elsewhere. */
static void
append_name(struct str *out, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		const char c = name.ptr[i];

		str_append_char(out, c >= ' ' && c <= '~' ? c : '?');
	}
}

/* RFC 7208, 6.2: whose words the explanation is has to be said. */
static void
write_text(const struct request *req, const struct spf_fact *spf,
	struct str *out)
{
	char client[IP_TEXT_MAX];

	str_printf(out, "SPF: %s %s ", ip_format(&req->client, client),
		why(spf->result));
	append_name(out, spf->domain);
	if (spf->explanation.len > 0)
		str_printf(out, "; that domain says: %.*s",
			SLICE_ARG(spf->explanation));
}

static void
hint(const struct request *req, const struct judgement *judgement,
	struct verdict *out)
{
	const struct spf_fact *spf = judgement->spf;
	const bool has_matched = spf->matched.len > 0;
	const struct slice cause = has_matched ? spf->matched : spf->problem;
	char client[IP_TEXT_MAX];

	rule_hint(out,
		"accepted when the SPF record of %.*s authorizes %s (it is "
		"%s%s%.*s), or with that client in [spf] skip, or a setting "
		"spf.%s for the recipient%s%s%s",
		SLICE_ARG(spf->domain), ip_format(&req->client, client),
		spf_result_name(spf->result), cause.len > 0 ? ", " : "",
		SLICE_ARG(cause), judgement->setting,
		judgement->is_helo ? "" : ", or spf.sender_",
		judgement->is_helo ? "" : judgement->setting,
		judgement->is_helo ? "" : " for the sender, which comes first");
}

static bool
is_error(enum spf_result result)
{
	return result == SPF_TEMPERROR || result == SPF_PERMERROR;
}

static enum rule_status
refuse(const struct request *req, const struct judgement *judgement,
	struct verdict *out)
{
	const bool is_failure = !is_error(judgement->spf->result);
	enum rule_status status;
	struct str text;

	hint(req, judgement, out);
	str_init(&text, TEXT_MAX);
	write_text(req, judgement->spf, &text);
	if (judgement->action == SPF_ACTION_DEFER)
		status = rule_defer(out, is_failure ? "4.7.23" : TEMPORARY,
			str_text(&text));
	else
		status = rule_reject_with(out, is_failure ? FAILED : PERMANENT,
			str_text(&text));
	str_free(&text);
	return status;
}

static enum rule_status
add_header(const struct request *req, const struct judgement *judgement,
	const struct host *host, struct verdict *out)
{
	const struct received_spf field = {
		.result = judgement->spf->result,
		.is_helo = judgement->is_helo,
		.client = req->client,
		.sender = req->attribute[ATTRIBUTE_sender],
		.helo = req->attribute[ATTRIBUTE_helo_name],
		.receiver = host->n > 0 ? host->names[host->n - 1] : SLICE(""),
		.mechanism = judgement->spf->matched,
		.problem = judgement->spf->problem,
	};
	enum rule_status status;
	struct str text;

	str_init(&text, RECEIVED_SPF_MAX);
	received_spf_write(&field, &text);
	status = rule_prepend(out, str_slice(&text));
	str_free(&text);
	return status;
}

/* --- the rule ----------------------------------------------------------- */

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct spf_fact *mail_from, *helo;
	const struct setting *setting;
	struct judgement judgement;
	const struct host *host;
	bool is_ready;

	if (!is_stranger(req) || is_skipped(req))
		return RULE_PASS;
	is_ready = fact_spf(facts, &mail_from);
	is_ready &= fact_spf_helo(facts, &helo);
	is_ready &= fact_setting(facts, &setting);
	if (!is_ready || !fact_host(facts, &host))
		return RULE_UNREADY;
	judgement = weigh(req, setting, mail_from, helo);
	switch (judgement.action) {
	case SPF_ACTION_REJECT:
	case SPF_ACTION_DEFER:
		return refuse(req, &judgement, out);
	case SPF_ACTION_HEADER:
		if (config_adds_received_spf(req->config))
			return add_header(req, &judgement, host, out);
		break;
	case SPF_ACTION_NOTHING:
		break;
	}
	return RULE_PASS;
}

const struct rule rule_spf = {
	.name = "spf",
	.summary = "heed what domains say of clients that send for them",
	.stages = STAGE_RCPT,
	.judge = judge,
};
