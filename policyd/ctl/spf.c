/* "spf check": an evaluation without a daemon, from DNS to result. */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "common/io/spf_check.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/config.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/output.h"

#define TIMEOUT_DEFAULT  "5s"
#define TIMEOUT_MAX_MS   60000u
#define CACHE_BYTES      (4u << 20)
#define QUERIES_MAX      1000u
#define ANSWER_SHOWN_MAX 300u
#define SECOND_MS        1000u

struct spf_command {
	struct command *command;
	struct loop *loop;
	struct spf_input input;
	uint64_t timeout_ms;
	bool is_json;
};

static struct slice
text_of(const struct command *command, const char *argument)
{
	return command_argument_or(&command->request, argument, "");
}

static bool
read_input(struct spf_command *spf)
{
	struct command *command = spf->command;
	const struct slice ip = text_of(command, "ip");

	if (!ip_parse(ip, &spf->input.client)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--ip \"%.*s\" is not an IP address such as 192.0.2.1 "
			"or 2001:db8::1",
			SLICE_ARG(ip));
		return false;
	}
	spf_identify(command->arena, text_of(command, "sender"),
		text_of(command, "helo"), &spf->input);
	spf->input.now = clock_wall();
	return true;
}

static bool
read_timeout(struct spf_command *spf)
{
	const struct slice text = command_argument_or(&spf->command->request,
		"timeout", TIMEOUT_DEFAULT);

	if (num_parse_duration(text, SECOND_MS, TIMEOUT_MAX_MS,
		    &spf->timeout_ms) &&
		spf->timeout_ms > 0)
		return true;
	reply_error(spf->command, COMMAND_EXIT_USAGE,
		"--timeout \"%.*s\" is not a time such as 500ms or 5s, at most "
		"60s",
		SLICE_ARG(text));
	return false;
}

/* --resolver; NULL and the command ended when it is none. */
static struct dns *
open_dns(struct spf_command *spf)
{
	struct command *command = spf->command;
	struct slice resolver;
	const char *resolvers[1];
	struct dns_config config = { .resolvers = resolvers,
		.trust_anchor = "",
		.timeout_ms = spf->timeout_ms,
		.cache_bytes = CACHE_BYTES,
		.queries_max = QUERIES_MAX,
		.queries_per_payer = QUERIES_MAX };

	if (command_argument(&command->request, "resolver", &resolver)) {
		if (!config_is_resolver(resolver)) {
			reply_error(command, COMMAND_EXIT_USAGE,
				"--resolver \"%.*s\" is not ADDRESS or "
				"ADDRESS@PORT",
				SLICE_ARG(resolver));
			return NULL;
		}
		resolvers[config.n_resolvers++] =
			slice_copy(command->arena, resolver).ptr;
	}
	return dns_new(spf->loop, &config);
}

/* --- what came out ------------------------------------------------------ */

static void
tell(struct spf_command *spf, const char *key, struct slice value)
{
	if (value.len == 0)
		return;
	if (!spf->is_json) {
		reply_text(spf->command, "%s: %.*s", key, SLICE_ARG(value));
		return;
	}
	reply_field(spf->command, key, key, REPLY_TEXT);
	reply_value(spf->command, value);
}

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
append_answer(struct str *out, const struct spf_question *question)
{
	if (question->state != SPF_ANSWERED) {
		str_append_text(out, "no answer yet");
		return;
	}
	if (question->status != DNS_RECORDS) {
		str_append_text(out, dns_status_text(question->status));
		if (question->reason.len > 0)
			str_printf(out, ": %.*s", SLICE_ARG(question->reason));
		return;
	}
	if (question->addresses != NULL)
		append_addresses(out, question);
	else if (question->names != NULL)
		append_names(out, question);
	else
		str_append_slice(out, question->text);
}

static void
tell_questions(struct spf_command *spf, const struct spf *evaluation)
{
	static const struct reply_column columns[] = {
		{ "type", "Type", REPLY_TEXT },
		{ "name", "Name", REPLY_TEXT },
		{ "ttl", "TTL", REPLY_NUMBER },
		{ "answer", "Answer", REPLY_TEXT },
	};
	const struct spf_question *question;
	struct str answer;

	str_init(&answer, ANSWER_SHOWN_MAX);
	reply_table(spf->command, "questions", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; (question = spf_question_at(evaluation, i)) != NULL;
		i++) {
		str_reset(&answer);
		append_answer(&answer, question);
		reply_row(spf->command);
		reply_value(spf->command,
			slice_of(dns_type_name(question->type)));
		reply_value(spf->command, question->name);
		reply_unsigned(spf->command, question->ttl);
		reply_value(spf->command, str_slice(&answer));
	}
	reply_part_end(spf->command);
	str_free(&answer);
}

static void
tell_outcome(struct spf_command *spf, const struct spf_outcome *outcome)
{
	const struct spf_input *input = &spf->input;
	const char *result = spf_result_name(outcome->result);
	char client[IP_TEXT_MAX];

	if (spf->is_json) {
		reply_fields(spf->command, NULL, NULL);
		tell(spf, "result", slice_of(result));
	} else {
		reply_text(spf->command, "%s", result);
	}
	tell(spf, "client", slice_of(ip_format(&input->client, client)));
	tell(spf, "helo", input->helo);
	if (input->domain.len > 0)
		tell(spf, "identity",
			slice_of(arena_printf(spf->command->arena, "%.*s@%.*s",
				SLICE_ARG(input->local),
				SLICE_ARG(input->domain))));
	tell(spf, "matched", outcome->matched);
	tell(spf, "explanation", outcome->explanation);
	tell(spf, "problem", outcome->problem);
	if (spf->is_json)
		reply_part_end(spf->command);
}

static void
on_done(void *arg, const struct spf_outcome *outcome,
	const struct spf *evaluation)
{
	struct spf_command *spf = arg;

	tell_outcome(spf, outcome);
	if (command_argument_is_given(&spf->command->request, "explain"))
		tell_questions(spf, evaluation);
	loop_stop(spf->loop);
}

void
command_spf_check(struct command *command)
{
	const struct local *local = command->data;
	struct spf_command spf = { .command = command,
		.is_json = local->output->is_json };
	struct dns_session_config config = { .payer = SLICE("") };
	struct dns *dns;

	if (!read_input(&spf) || !read_timeout(&spf))
		return;
	spf.loop = loop_new();
	dns = open_dns(&spf);
	if (dns != NULL) {
		config.deadline_ms = config.question_ms = spf.timeout_ms;
		spf_check_start(spf.loop, dns, &spf.input, &config, on_done,
			&spf);
		loop_run(spf.loop);
		reply_end(command, COMMAND_EXIT_DONE);
	}
	dns_free(dns);
	loop_free(spf.loop);
}
