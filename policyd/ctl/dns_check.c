#include "policyd/ctl/dns_check.h"

#include "common/base/num.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/config.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/output.h"

#define TIMEOUT_DEFAULT "5s"
#define TIMEOUT_MAX_MS  60000u
#define CACHE_BYTES     (4u << 20)
#define QUERIES_MAX     1000u
#define SECOND_MS       1000u

/* --- opening ------------------------------------------------------------ */

static bool
read_timeout(struct command *command, uint64_t *out_ms)
{
	const struct slice text = command_argument_or(&command->request,
		"timeout", TIMEOUT_DEFAULT);

	if (num_parse_duration(text, SECOND_MS, TIMEOUT_MAX_MS, out_ms) &&
		*out_ms > 0)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--timeout \"%.*s\" is not a time such as 500ms or 5s, at most "
		"60s",
		SLICE_ARG(text));
	return false;
}

/* "" when there is none. */
static bool
read_resolver(struct command *command, struct slice *out)
{
	*out = command_argument_or(&command->request, "resolver", "");
	if (!command_argument_is_given(&command->request, "resolver") ||
		config_is_resolver(*out))
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--resolver \"%.*s\" is not ADDRESS or ADDRESS@PORT",
		SLICE_ARG(*out));
	return false;
}

bool
dns_check_open(struct dns_check *check, struct command *command)
{
	const struct local *local = command->data;
	const char *resolvers[1];
	struct slice resolver;
	uint64_t timeout_ms;

	if (!read_timeout(command, &timeout_ms) ||
		!read_resolver(command, &resolver))
		return false;
	resolvers[0] = slice_copy(command->arena, resolver).ptr;
	*check = (struct dns_check){ .command = command,
		.is_json = local->output->is_json,
		.loop = loop_new(),
		.config = { .deadline_ms = timeout_ms,
			.question_ms = timeout_ms,
			.payer = SLICE("") } };
	check->dns = dns_new(check->loop,
		&(struct dns_config){ .resolvers = resolvers,
			.n_resolvers = resolver.len > 0 ? 1 : 0,
			.trust_anchor = "",
			.timeout_ms = timeout_ms,
			.cache_bytes = CACHE_BYTES,
			.queries_max = QUERIES_MAX,
			.queries_per_payer = QUERIES_MAX });
	return true;
}

void
dns_check_run(struct dns_check *check)
{
	loop_run(check->loop);
	reply_end(check->command, COMMAND_EXIT_DONE);
}

void
dns_check_stop(struct dns_check *check)
{
	loop_stop(check->loop);
}

void
dns_check_close(struct dns_check *check)
{
	dns_free(check->dns);
	loop_free(check->loop);
}

/* --- what came out ------------------------------------------------------ */

void
dns_check_tell(struct dns_check *check, const char *key, struct slice value)
{
	if (value.len == 0)
		return;
	if (!check->is_json) {
		reply_text(check->command, "%s: %.*s", key, SLICE_ARG(value));
		return;
	}
	reply_field(check->command, key, key, REPLY_TEXT);
	reply_value(check->command, value);
}

void
dns_check_begin(struct dns_check *check, const char *result)
{
	if (!check->is_json) {
		reply_text(check->command, "%s", result);
		return;
	}
	reply_fields(check->command, NULL, NULL);
	dns_check_tell(check, "result", slice_of(result));
}

void
dns_check_end(struct dns_check *check)
{
	if (check->is_json)
		reply_part_end(check->command);
}

/* --- what was asked ----------------------------------------------------- */

void
dns_check_begin_questions(struct dns_check *check)
{
	static const struct reply_column columns[] = {
		{ "type", "Type", REPLY_TEXT },
		{ "name", "Name", REPLY_TEXT },
		{ "ttl", "TTL", REPLY_NUMBER },
		{ "answer", "Answer", REPLY_TEXT },
	};

	reply_table(check->command, "questions", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
}

static void
append_answer(struct str *out, const struct dns_check_question *question)
{
	if (!question->is_answered) {
		str_append_text(out, "no answer yet");
	} else if (question->status == DNS_RECORDS) {
		str_append_slice(out, question->records);
	} else {
		str_append_text(out, dns_status_text(question->status));
		if (question->reason.len > 0)
			str_printf(out, ": %.*s", SLICE_ARG(question->reason));
	}
}

void
dns_check_tell_question(struct dns_check *check,
	const struct dns_check_question *question)
{
	struct str answer;

	str_init(&answer, DNS_CHECK_RECORDS_MAX);
	append_answer(&answer, question);
	reply_row(check->command);
	reply_value(check->command, slice_of(dns_type_name(question->type)));
	reply_value(check->command, question->name);
	reply_unsigned(check->command, question->ttl);
	reply_value(check->command, str_slice(&answer));
	str_free(&answer);
}

void
dns_check_end_questions(struct dns_check *check)
{
	reply_part_end(check->command);
}
