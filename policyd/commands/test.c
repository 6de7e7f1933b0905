/*
 * "test": what would a request be answered now, and why. The engine rehearses
 * it (engine.h), so nothing comes of it.
 */

#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/engine.h"
#include "policyd/journal.h"
#include "policyd/sources.h"

#define RECIPIENTS_MAX 1000000u
/* A request as Postfix sends it, and its explanation. */
#define TEXT_BYTES_MAX  (2 * COMMAND_REQUEST_MAX)
#define REPLY_BYTES_MAX ((size_t)1 << 20)

/* What may be asked for, and how many recipients are meant. */
static const struct {
	const char *stage, *recipients;
} stages[] = {
	{ "RCPT", "0" },
	{ "END-OF-MESSAGE", "1" },
	{ "MESSAGE", "1" },
};

#define N_STAGES (sizeof(stages) / sizeof(stages[0]))

/* --- the request -------------------------------------------------------- */

/* False when it would be another line: then the command was ended. */
static bool
add(struct command *command, struct str *text, const char *attribute,
	const char *argument, struct slice value)
{
	const size_t max = command->sources->config->limits.line_bytes;

	if (slice_has_byte(value, '\n') || slice_has_byte(value, '\0') ||
		strlen(attribute) + 1 + value.len > max) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--%s must be one line of at most %zu bytes", argument,
			max - strlen(attribute) - 1);
		return false;
	}
	str_printf(text, "%s=", attribute);
	str_append_slice(text, value);
	str_append_char(text, '\n');
	return true;
}

/* "<>" is how people write the null sender. */
static struct slice
address_of(const struct command *command, const char *argument)
{
	const struct slice text = slice_trim(command_text(command, argument));

	if (text.len >= 2 && text.ptr[0] == '<' &&
		text.ptr[text.len - 1] == '>')
		return slice_part(text, 1, text.len - 1);
	return text;
}

static struct slice
name_or_unknown(const struct command *command, const char *argument,
	struct slice otherwise)
{
	const struct slice name = command_text(command, argument);

	if (name.len > 0)
		return name;
	return otherwise.len > 0 ? otherwise : SLICE("unknown");
}

/* Of a message; without it the rules are told that it has none. */
static bool
add_author(struct command *command, struct str *text)
{
	const struct slice author = address_of(command, "from");

	if (author.len > 0)
		return add(command, text, "header_from", "from", author);
	str_append_text(text, "header_from_problem=no --from was given\n");
	return true;
}

static bool
add_texts(struct command *command, struct str *text)
{
	const struct slice login = command_text(command, "login");
	const struct slice client_name =
		name_or_unknown(command, "client_name", SLICE(""));

	str_append_text(text, "request=smtpd_access_policy\n"
			      "protocol_name=ESMTP\n");
	str_append_text(text, login.len > 0 ? "sasl_method=PLAIN\n" : "");
	return add(command, text, "sender", "sender",
		       address_of(command, "sender")) &&
	       add(command, text, "recipient", "recipient",
		       address_of(command, "recipient")) &&
	       add(command, text, "client_address", "client",
		       slice_trim(command_text(command, "client"))) &&
	       add(command, text, "sasl_username", "login", login) &&
	       add_author(command, text) &&
	       add(command, text, "helo_name", "helo",
		       command_text(command, "helo")) &&
	       add(command, text, "client_name", "client-name", client_name) &&
	       add(command, text, "reverse_client_name", "reverse-name",
		       name_or_unknown(command, "reverse_name",
			       command_text(command, "client_name")));
}

/* N_STAGES for none. */
static size_t
find_stage(struct slice stage)
{
	size_t at = 0;

	while (at < N_STAGES &&
		!slice_case_eq(stage, slice_of(stages[at].stage)))
		at++;
	return at;
}

static bool
add_numbers(struct command *command, struct str *text)
{
	const struct slice stage =
		command_argument_or(&command->request, "stage", "RCPT");
	const size_t at = find_stage(stage);
	const struct slice size =
		command_argument_or(&command->request, "size", "0");
	struct slice recipients;
	uint64_t size_bytes, n;

	if (at == N_STAGES) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--stage is RCPT, END-OF-MESSAGE or MESSAGE, not "
			"\"%.*s\"",
			SLICE_ARG(stage));
		return false;
	}
	recipients = command_argument_or(&command->request, "recipients",
		stages[at].recipients);
	if (!num_parse_size(size, REQUEST_SIZE_MAX, &size_bytes)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--size is a size such as 20000 or 10M, not \"%.*s\"",
			SLICE_ARG(size));
		return false;
	}
	if (!num_parse_u64(recipients, RECIPIENTS_MAX, &n)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--recipients is a number from 0 to %u, not \"%.*s\"",
			RECIPIENTS_MAX, SLICE_ARG(recipients));
		return false;
	}
	str_printf(text, "protocol_state=%s\nsize=%llu\nrecipient_count=%llu\n",
		stages[at].stage, (unsigned long long)size_bytes,
		(unsigned long long)n);
	return true;
}

static bool
is_well_formed(struct command *command)
{
	struct slice text = slice_trim(command_text(command, "client"));
	struct ip client;

	if (!ip_parse(text, &client)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--client is an IP address, not \"%.*s\"",
			SLICE_ARG(text));
		return false;
	}
	if (address_of(command, "recipient").len > 0)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--recipient is an address; only --sender may be empty");
	return false;
}

/* --- the answer --------------------------------------------------------- */

static void
on_decided(struct decision *decision, void *arg)
{
	struct command *command = arg;
	struct str json;

	command->on_gone = NULL;
	command->n_refs++; /* its end is the end of the connection's */
	str_init(&json, REPLY_BYTES_MAX);
	journal_describe(command->sources->journal, decision, &json);
	reply_json(command, "decision", str_slice(&json));
	str_free(&json);
	decision_release(decision);
	reply_text(command,
		"this was a test: nothing was counted, remembered or sent");
	reply_end(command, COMMAND_EXIT_DONE);
	command_unref(command);
}

static void
give_up(struct command *command)
{
	decision_abandon(command->data);
}

static void
rehearse(struct command *command, struct slice text)
{
	struct decision *decision;
	const char *err;

	/* It may be decided, and the command be over, within the call. */
	command->n_refs++;
	command->on_gone = give_up;
	decision = engine_rehearse(command->sources->engine, text, on_decided,
		command, &err);
	if (decision == NULL) {
		command->on_gone = NULL;
		reply_error(command, COMMAND_EXIT_USAGE,
			"this is no request: %s", err);
	}
	command->data = decision;
	command_unref(command);
}

void
command_test(struct command *command)
{
	struct str text;

	if (!is_well_formed(command))
		return;
	str_init(&text, TEXT_BYTES_MAX);
	if (add_texts(command, &text) && add_numbers(command, &text))
		rehearse(command, str_slice(&text));
	str_free(&text);
}
