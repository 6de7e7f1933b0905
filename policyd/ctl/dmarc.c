/* "dmarc check": an evaluation without a daemon, from DNS to result. */

#include <assert.h>

#include "common/base/mem.h"
#include "common/io/dmarc_check.h"
#include "common/mail/idn.h"
#include "common/mail/public_suffix.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/dns_check.h"

static_assert(COMMAND_REPEATED_MAX <= DMARC_DKIM_MAX,
	"every --dkim has its place");

struct dmarc_command {
	struct dns_check check;
	struct dmarc_input input;
};

/* --- the message -------------------------------------------------------- */

static bool
read_domain(struct command *command, const char *option, struct slice text,
	struct slice *out)
{
	if (text.len > 0 && idn_to_ascii(command->arena, text, out))
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--%s: \"%.*s\" is not a domain such as example.com", option,
		SLICE_ARG(text));
	return false;
}

/* RESULT:DOMAIN */
static bool
read_identifier(struct command *command, const char *option, struct slice text,
	struct slice *result, struct slice *domain)
{
	(void)slice_split(&text, ':', result);
	return read_domain(command, option, text, domain);
}

static bool
read_spf(struct command *command, struct dmarc_input *out)
{
	const struct slice text =
		command_argument_or(&command->request, "spf", "");
	struct slice result;

	if (!command_argument_is_given(&command->request, "spf"))
		return true;
	if (!read_identifier(command, "spf", text, &result, &out->spf_domain))
		return false;
	for (int i = 0; i < SPF_RESULT_COUNT; i++) {
		out->spf = (enum spf_result)i;
		if (slice_eq_text(result, spf_result_name(out->spf)))
			return true;
	}
	reply_error(command, COMMAND_EXIT_USAGE,
		"--spf: \"%.*s\" is not a result of SPF such as pass, fail or "
		"temperror",
		SLICE_ARG(result));
	return false;
}

static bool
read_dkim(struct command *command, size_t i, struct dmarc_input *out)
{
	/* RFC 8601, 2.7.1. */
	static const struct {
		struct slice word;
		enum dmarc_auth auth;
	} words[] = {
		{ SLICE_INIT("pass"), DMARC_AUTH_PASS },
		{ SLICE_INIT("temperror"), DMARC_AUTH_TEMPERROR },
		{ SLICE_INIT("fail"), DMARC_AUTH_FAIL },
		{ SLICE_INIT("policy"), DMARC_AUTH_FAIL },
		{ SLICE_INIT("neutral"), DMARC_AUTH_FAIL },
		{ SLICE_INIT("permerror"), DMARC_AUTH_FAIL },
		{ SLICE_INIT("none"), DMARC_AUTH_FAIL },
	};
	struct slice result;

	if (!read_identifier(command, "dkim", command->request.repeated[i],
		    &result, &out->dkim[i].domain))
		return false;
	for (size_t at = 0; at < sizeof(words) / sizeof(words[0]); at++) {
		if (!slice_eq(result, words[at].word))
			continue;
		out->dkim[i].result = words[at].auth;
		out->n_dkim = i + 1;
		return true;
	}
	reply_error(command, COMMAND_EXIT_USAGE,
		"--dkim: \"%.*s\" is not a result of DKIM such as pass, fail "
		"or temperror",
		SLICE_ARG(result));
	return false;
}

static bool
read_input(struct command *command, struct dmarc_input *out)
{
	const struct slice from =
		command_argument_or(&command->request, "from", "");

	if (!read_domain(command, "from", from, &out->from) ||
		!read_spf(command, out))
		return false;
	for (size_t i = 0; i < command->request.n_repeated; i++)
		if (!read_dkim(command, i, out))
			return false;
	return true;
}

/* --- what came out ------------------------------------------------------ */

/* Addresses only say that a domain exists; of other texts there is none. */
static struct slice
records_of(const struct dmarc_question *question)
{
	if (question->type != DNS_TYPE_TXT)
		return slice_of(dns_status_text(question->status));
	if (question->n_records == 0)
		return SLICE("no DMARC record");
	return question->n_records == 1 ? question->text
					: SLICE("several DMARC records");
}

static void
tell_questions(struct dns_check *check, const struct dmarc *evaluation)
{
	const struct dmarc_question *question;

	dns_check_begin_questions(check);
	for (size_t i = 0;
		(question = dmarc_question_at(evaluation, i)) != NULL; i++)
		dns_check_tell_question(check,
			&(struct dns_check_question){ .name = question->name,
				.type = question->type,
				.ttl = question->ttl,
				.is_answered =
					question->state == DMARC_ANSWERED,
				.status = question->status,
				.reason = question->reason,
				.records = records_of(question) });
	dns_check_end_questions(check);
}

static void
tell_identifier(struct command *command, const char *mechanism,
	struct slice domain, const char *result, enum dmarc_alignment alignment)
{
	reply_row(command);
	reply_value(command, slice_of(mechanism));
	reply_value(command, domain);
	reply_value(command, slice_of(result));
	reply_value(command, slice_of(dmarc_alignment_name(alignment)));
}

/* For --json: people have the trace. */
static void
tell_identifiers(struct command *command, const struct dmarc_input *input,
	const struct dmarc_outcome *outcome)
{
	static const struct reply_column columns[] = {
		{ "mechanism", "Mechanism", REPLY_TEXT },
		{ "domain", "Domain", REPLY_TEXT },
		{ "result", "Result", REPLY_TEXT },
		{ "alignment", "Alignment", REPLY_TEXT },
	};

	reply_table(command, "identifiers", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	if (input->spf_domain.len > 0)
		tell_identifier(command, "spf", input->spf_domain,
			spf_result_name(input->spf), outcome->spf);
	for (size_t i = 0; i < input->n_dkim; i++)
		tell_identifier(command, "dkim", input->dkim[i].domain,
			dmarc_auth_name(input->dkim[i].result),
			outcome->dkim[i]);
	reply_part_end(command);
}

static void
tell_policy(struct dns_check *check, const struct dmarc_outcome *outcome)
{
	dns_check_tell(check, "tag", slice_of(dmarc_tag_name(outcome->tag)));
	dns_check_tell(check, "requested",
		slice_of(dmarc_policy_name(outcome->requested)));
	dns_check_tell(check, "test", slice_of(outcome->is_test ? "y" : "n"));
	dns_check_tell(check, "policy_domain", outcome->policy_domain);
}

static void
tell_fields(struct dmarc_command *dmarc, const struct dmarc_outcome *outcome)
{
	struct dns_check *check = &dmarc->check;

	dns_check_tell(check, "from", dmarc->input.from);
	dns_check_tell(check, "action",
		slice_of(dmarc_policy_name(outcome->policy)));
	if (outcome->record != NULL)
		tell_policy(check, outcome);
	dns_check_tell(check, "organization", outcome->organization);
	dns_check_tell(check, "problem", outcome->problem);
}

/* What is to be done, in a word, is only of a fail. */
static void
tell_people(struct dns_check *check, const struct dmarc_outcome *outcome)
{
	if (outcome->result == DMARC_FAIL)
		dns_check_tell(check, "action",
			slice_of(dmarc_policy_name(outcome->policy)));
	for (size_t i = 0; i < outcome->n_trace; i++)
		dns_check_tell(check, outcome->trace[i].key,
			outcome->trace[i].text);
}

static void
on_done(void *arg, const struct dmarc_outcome *outcome,
	const struct dmarc *evaluation)
{
	struct dmarc_command *dmarc = arg;
	struct dns_check *check = &dmarc->check;

	dns_check_begin(check, dmarc_result_name(outcome->result));
	if (check->is_json)
		tell_fields(dmarc, outcome);
	else
		tell_people(check, outcome);
	dns_check_end(check);
	if (check->is_json)
		tell_identifiers(check->command, &dmarc->input, outcome);
	if (command_argument_is_given(&check->command->request, "explain"))
		tell_questions(check, evaluation);
	dns_check_stop(check);
}

void
command_dmarc_check(struct command *command)
{
	struct dmarc_command dmarc = { .input = { .from = SLICE("") } };
	struct public_suffixes *suffixes;

	if (!read_input(command, &dmarc.input) ||
		!dns_check_open(&dmarc.check, command))
		return;
	dmarc.input.suffixes = suffixes = public_suffixes_new();
	dmarc_check_start(dmarc.check.loop, dmarc.check.dns, &dmarc.input,
		&dmarc.check.config, on_done, &dmarc);
	dns_check_run(&dmarc.check);
	dns_check_close(&dmarc.check);
	public_suffixes_free(suffixes);
}
