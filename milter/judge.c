#include "milter/judge.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/mail/auth_results.h"
#include "milter/verifying.h"

/* Thirteen results, eight of them of signatures, their values escaped. */
#define RESULTS_MAX ((size_t)64 << 10)

#define UNKNOWN "unknown" /* what Postfix says for a name that it has not */

static bool
is_stranger(const struct judge_input *input)
{
	return !input->is_trusted && input->login.len == 0;
}

/* --- iprev -------------------------------------------------------------- */

bool
judge_is_nameless(struct slice client_name, struct slice client_ptr)
{
	return slice_eq_text(client_name, UNKNOWN) &&
	       slice_eq_text(client_ptr, UNKNOWN);
}

/*
 * RFC 8601, 2.7.3. Of a client without any name Postfix does not say whether
 * there is none, the DNS did not answer, or it was told not to ask (then we
 * say nothing).
 */
static const char *
judge_nameless(const struct judge_names *names)
{
	if (names->known == JUDGE_LATE)
		return "temperror";
	if (names->known == JUDGE_NOT_ASKED)
		return "";
	switch (names->names) {
	case FACTS_NAMES_SOME:
		return "";
	case FACTS_NAMES_NONE:
		return "permerror";
	case FACTS_NAMES_FAILED:
		break;
	}
	return "temperror";
}

static const char *
judge_iprev(const struct judge_input *input)
{
	if (!is_stranger(input) || input->client.family == IP_NONE)
		return "";
	if (judge_is_nameless(input->client_name, input->client_ptr))
		return judge_nameless(&input->names);
	return slice_eq_text(input->client_name, UNKNOWN) ? "fail" : "pass";
}

/* --- the field ---------------------------------------------------------- */

/* sender or helo, the other one is "". */
static void
add_spf(const struct judge_spf *spf, struct slice sender, struct slice helo,
	struct auth_results *out)
{
	switch (spf->known) {
	case JUDGE_NOT_ASKED:
		break;
	case JUDGE_LATE:
		auth_results_add_spf(out, SPF_TEMPERROR, sender, helo);
		out->last->comment = SLICE("not known in time");
		break;
	case JUDGE_KNOWN:
		auth_results_add_spf(out, spf->result, sender, helo);
		break;
	}
}

static void
add_verified(const struct verifying_results *verified, struct auth_results *out)
{
	const struct auth_arc arc = {
		.result = arc_result_name(verified->arc.result),
		.reason = verified->arc.reason,
		.oldest_pass = verified->arc.oldest_pass,
	};

	auth_results_add_dkim(out, verified->dkim, verified->n);
	if (verified->arc.result != ARC_RESULT_NONE)
		auth_results_add_arc(out, &arc);
}

static void
add_results(const struct judge_input *input, const char *iprev,
	struct auth_results *out)
{
	add_spf(&input->spf, input->sender, SLICE(""), out);
	add_spf(&input->spf_helo, SLICE(""), input->helo, out);
	if (input->verified != NULL)
		add_verified(input->verified, out);
	if (input->authorship.from != NULL)
		authorship_add_result(&input->authorship,
			slice_of(input->policy.known == JUDGE_KNOWN
					 ? input->policy.answer.override
					 : ""),
			out);
	if (iprev[0] != '\0')
		auth_results_add_iprev(out, iprev, &input->client);
	if (input->login.len > 0 && input->settings->adds_auth)
		auth_results_add_auth(out, "pass", input->mechanism,
			input->login);
}

static struct slice
write_field(struct arena *arena, const struct judge_input *input,
	const char *iprev)
{
	struct slice field = SLICE("");
	struct auth_results results;
	struct str text;

	auth_results_init(&results, arena,
		slice_of(input->settings->authserv_id));
	add_results(input, iprev, &results);
	/*
	 * Strangers always get one, if need be with "none": by it their mail is
	 * known when it comes back to us, and is not signed (signing.h).
	 */
	if (results.n == 0 && !is_stranger(input))
		return field;
	str_init(&text, RESULTS_MAX);
	auth_results_write(&results, &text);
	field = slice_copy(arena, str_slice(&text));
	str_free(&text);
	return field;
}

/* --- the judgement ------------------------------------------------------ */

static void
refuse(struct judgement *out, enum judge_action action, const char *status,
	const char *text)
{
	out->action = action;
	out->code = action == JUDGE_DEFER ? "451" : "550";
	out->status = status;
	out->text = text;
}

/* What the rules say; false when the message goes no further. */
static bool
heed(struct arena *arena, const struct message_answer *answer,
	struct judgement *out)
{
	out->code = answer->code;
	out->status = answer->status;
	out->text = answer->text;
	switch (answer->action) {
	case MESSAGE_ACCEPT:
		break;
	case MESSAGE_REJECT:
		out->action = JUDGE_REJECT;
		return false;
	case MESSAGE_DEFER:
		out->action = JUDGE_DEFER;
		return false;
	case MESSAGE_DISCARD:
		out->action = JUDGE_DISCARD;
		return false;
	case MESSAGE_HOLD:
		out->action = JUDGE_HOLD;
		break;
	}
	if (answer->field_name[0] != '\0') {
		out->field_name = answer->field_name;
		out->field_value = slice_of(arena_printf(arena, " %.*s",
			SLICE_ARG(answer->field_value)));
	}
	return true;
}

void
judge_message(struct arena *arena, const struct judge_input *input,
	struct judgement *out)
{
	*out = (struct judgement){ .action = JUDGE_ACCEPT,
		.iprev = "",
		.field_name = "" };
	out->was_late =
		input->spf.known == JUDGE_LATE ||
		input->spf_helo.known == JUDGE_LATE ||
		input->names.known == JUDGE_LATE ||
		(input->verified != NULL && input->verified->was_late) ||
		input->authorship.is_late || input->policy.known == JUDGE_LATE;
	if (input->is_over_limit) {
		refuse(out, JUDGE_REJECT, "5.6.0",
			"The header or an address of this message is too long");
		return;
	}
	if (out->was_late && input->settings->is_deferring) {
		refuse(out, JUDGE_DEFER, "4.7.1", input->settings->message);
		return;
	}
	if (input->policy.known == JUDGE_KNOWN &&
		!heed(arena, &input->policy.answer, out))
		return;
	out->iprev = judge_iprev(input);
	out->results = write_field(arena, input, out->iprev);
	out->removes_forged = !input->is_trusted && input->n_forged > 0;
}

void
judge_signing(const struct milter_settings *settings,
	const struct signing_result *result, struct judgement *out)
{
	if (result->is_failed && settings->signing.is_deferring) {
		refuse(out, JUDGE_DEFER, "4.7.1", settings->message);
		return;
	}
	out->signatures = result->signatures;
	out->n_signatures = result->n;
}

const char *
judge_action_name(enum judge_action action)
{
	switch (action) {
	case JUDGE_ACCEPT:
		return "accept";
	case JUDGE_HOLD:
		return "hold";
	case JUDGE_DISCARD:
		return "discard";
	case JUDGE_DEFER:
		return "defer";
	case JUDGE_REJECT:
		return "reject";
	}
	assert(0);
}
