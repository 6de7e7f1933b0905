/* "spf check": an evaluation without a daemon, from DNS to result. */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/spf_check.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/dns_check.h"

struct spf_command {
	struct dns_check check;
	struct spf_input input;
};

static struct slice
text_of(const struct command *command, const char *argument)
{
	return command_argument_or(&command->request, argument, "");
}

static bool
read_input(struct command *command, struct spf_input *out)
{
	const struct slice ip = text_of(command, "ip");

	if (!ip_parse(ip, &out->client)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--ip \"%.*s\" is not an IP address such as 192.0.2.1 "
			"or 2001:db8::1",
			SLICE_ARG(ip));
		return false;
	}
	spf_identify(command->arena, text_of(command, "sender"),
		text_of(command, "helo"), out);
	out->now = clock_wall();
	return true;
}

/* --- what came out ------------------------------------------------------ */

static void
append_addresses(struct str *out, const struct spf_question *question)
{
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < question->n_records; i++) {
		str_append_text(out, i > 0 ? " " : "");
		str_append_text(out, ip_format(&question->addresses[i], text));
	}
}

static void
append_names(struct str *out, const struct spf_question *question)
{
	for (size_t i = 0; i < question->n_records && i < SPF_NAMES_MAX; i++) {
		str_append_text(out, i > 0 ? " " : "");
		str_append_slice(out, question->names[i]);
	}
}

static void
append_records(struct str *out, const struct spf_question *question)
{
	if (question->addresses != NULL)
		append_addresses(out, question);
	else if (question->names != NULL)
		append_names(out, question);
	else
		str_append_slice(out, question->text);
}

static void
tell_questions(struct dns_check *check, const struct spf *evaluation)
{
	const struct spf_question *question;
	struct str records;

	str_init(&records, DNS_CHECK_RECORDS_MAX);
	dns_check_begin_questions(check);
	for (size_t i = 0; (question = spf_question_at(evaluation, i)) != NULL;
		i++) {
		str_reset(&records);
		append_records(&records, question);
		dns_check_tell_question(check,
			&(struct dns_check_question){ .name = question->name,
				.type = question->type,
				.ttl = question->ttl,
				.is_answered = question->state == SPF_ANSWERED,
				.status = question->status,
				.reason = question->reason,
				.records = str_slice(&records) });
	}
	dns_check_end_questions(check);
	str_free(&records);
}

static void
tell_outcome(struct spf_command *spf, const struct spf_outcome *outcome)
{
	const struct spf_input *input = &spf->input;
	struct dns_check *check = &spf->check;
	char client[IP_TEXT_MAX];

	dns_check_begin(check, spf_result_name(outcome->result));
	dns_check_tell(check, "client",
		slice_of(ip_format(&input->client, client)));
	dns_check_tell(check, "helo", input->helo);
	if (input->domain.len > 0)
		dns_check_tell(check, "identity",
			slice_of(arena_printf(check->command->arena,
				"%.*s@%.*s", SLICE_ARG(input->local),
				SLICE_ARG(input->domain))));
	dns_check_tell(check, "matched", outcome->matched);
	dns_check_tell(check, "explanation", outcome->explanation);
	dns_check_tell(check, "problem", outcome->problem);
	dns_check_end(check);
}

static void
on_done(void *arg, const struct spf_outcome *outcome,
	const struct spf *evaluation)
{
	struct spf_command *spf = arg;

	tell_outcome(spf, outcome);
	if (command_argument_is_given(&spf->check.command->request, "explain"))
		tell_questions(&spf->check, evaluation);
	dns_check_stop(&spf->check);
}

void
command_spf_check(struct command *command)
{
	struct spf_command spf = { .input = { .helo = SLICE("") } };

	if (!read_input(command, &spf.input) ||
		!dns_check_open(&spf.check, command))
		return;
	spf_check_start(spf.check.loop, spf.check.dns, &spf.input,
		&spf.check.config, on_done, &spf);
	dns_check_run(&spf.check);
	dns_check_close(&spf.check);
}
