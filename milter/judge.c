#include "milter/judge.h"

#include <assert.h>

#include "common/base/mem.h"
#include "milter/results.h"

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

static void
add_iprev(const struct judge_input *input, const char *result, struct str *out)
{
	char client[IP_TEXT_MAX];

	results_add(out, "iprev", result, "");
	results_add_property(out, "policy.iprev",
		slice_of(ip_format(&input->client, client)));
}

/* --- SPF ---------------------------------------------------------------- */

static void
add_spf(const struct judge_spf *spf, const char *property, struct slice value,
	struct str *out)
{
	switch (spf->known) {
	case JUDGE_NOT_ASKED:
		return;
	case JUDGE_LATE:
		results_add(out, "spf", spf_result_name(SPF_TEMPERROR),
			"not known in time");
		break;
	case JUDGE_KNOWN:
		results_add(out, "spf", spf_result_name(spf->result), "");
		break;
	}
	results_add_property(out, property, value);
}

/* --- the field ---------------------------------------------------------- */

static void
add_results(const struct judge_input *input, const char *iprev, struct str *out)
{
	add_spf(&input->spf, "smtp.mailfrom", input->sender, out);
	add_spf(&input->spf_helo, "smtp.helo", input->helo, out);
	if (iprev[0] != '\0')
		add_iprev(input, iprev, out);
	if (input->login.len > 0 && input->settings->adds_auth) {
		results_add(out, "auth", "pass", "");
		results_add_property(out, "smtp.auth", input->login);
	}
}

static struct slice
write_field(struct arena *arena, const struct judge_input *input,
	const char *iprev)
{
	struct slice field = SLICE("");
	struct str text;
	size_t n_begin;

	str_init(&text, RESULTS_MAX);
	results_begin(&text, input->settings->authserv_id);
	n_begin = text.len;
	add_results(input, iprev, &text);
	if (text.len > n_begin)
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

void
judge_message(struct arena *arena, const struct judge_input *input,
	struct judgement *out)
{
	*out = (struct judgement){ .action = JUDGE_ACCEPT, .iprev = "" };
	out->was_late = input->spf.known == JUDGE_LATE ||
			input->spf_helo.known == JUDGE_LATE ||
			input->names.known == JUDGE_LATE;
	if (input->is_over_limit) {
		refuse(out, JUDGE_REJECT, "5.6.0",
			"The header or an address of this message is too long");
		return;
	}
	if (out->was_late && input->settings->is_deferring) {
		refuse(out, JUDGE_DEFER, "4.7.1", input->settings->message);
		return;
	}
	out->iprev = judge_iprev(input);
	out->results = write_field(arena, input, out->iprev);
	out->removes_forged = !input->is_trusted && input->n_forged > 0;
}

const char *
judge_action_name(enum judge_action action)
{
	switch (action) {
	case JUDGE_ACCEPT:
		return "accept";
	case JUDGE_DEFER:
		return "defer";
	case JUDGE_REJECT:
		return "reject";
	}
	assert(0);
}
