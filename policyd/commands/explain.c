/* "explain" and "tail": decisions that were made, and as they are made. */

#include "common/base/mem.h"
#include "common/base/num.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/journal.h"
#include "policyd/json.h"
#include "policyd/sources.h"

/* Decisions shown unless --limit says otherwise, and at most. */
#define SHOWN     5u
#define SHOWN_MAX 200u

/* --- explain ------------------------------------------------------------ */

/* Outlives a command that was orphaned. */
struct search {
	struct command *command; /* NULL: orphaned */
	struct slice what;
	size_t n;
};

static void
forget_search(struct command *command)
{
	struct search *search = command->data;

	/* After this only the end of the search is told. */
	search->command = NULL;
}

static void
on_found(void *arg, struct slice json)
{
	struct search *search = arg;

	search->n++;
	if (search->command != NULL)
		reply_json(search->command, "decision", json);
}

static void
reply_not_found(struct command *command, struct slice what)
{
	const struct config *config = command->sources->config;
	struct journal_state journal;

	journal_state(command->sources->journal, &journal);
	reply_error(command, COMMAND_EXIT_NOT_FOUND,
		"no decision is known for \"%.*s\"; searched as a code, a "
		"queue id, an instance and an address in the last %zu "
		"decisions in memory (limits.decisions is %llu) and in the "
		"table decision, which keeps refusals and deferrals for %u "
		"days%s",
		SLICE_ARG(what), journal.n_decisions,
		(unsigned long long)config->limits.decisions,
		config->decisions.keep_days,
		config->decisions.enabled ? "" : " (it is switched off)");
}

static void
on_searched(void *arg, const char *error)
{
	struct search *search = arg;
	struct command *command = search->command;
	const struct slice what = search->what; /* of the command */
	const size_t n = search->n;

	x_free(search);
	if (command == NULL)
		return;
	command->on_gone = NULL;
	command->n_refs++; /* its end is the end of the connection's */
	if (n > 0)
		reply_end(command, COMMAND_EXIT_DONE);
	else if (error != NULL)
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"\"%.*s\" is not in memory, and the table decision "
			"cannot be searched: %s",
			SLICE_ARG(what), error);
	else
		reply_not_found(command, what);
	command_unref(command);
}

void
command_explain(struct command *command)
{
	struct journal *journal = command->sources->journal;
	struct slice limit_text;
	uint64_t limit = SHOWN;
	struct search *search;

	if (command_argument(&command->request, "limit", &limit_text) &&
		(!num_parse_u64(limit_text, SHOWN_MAX, &limit) || limit == 0)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--limit is a number from 1 to %u, not \"%.*s\"",
			SHOWN_MAX, SLICE_ARG(limit_text));
		return;
	}
	search = x_new(struct search);
	search->command = command;
	search->what = slice_trim(command_text(command, "code"));
	journal_find(journal, search->what, limit, on_found, search);
	if (search->n > 0) {
		reply_end(command, COMMAND_EXIT_DONE);
		x_free(search);
		return;
	}
	command->data = search;
	command->on_gone = forget_search;
	journal_find_stored(journal, search->what, limit, on_found, on_searched,
		search);
}

/* --- tail --------------------------------------------------------------- */

static bool
is_wanted(const struct command *command, const char *argument,
	const struct json *decision, const char *key)
{
	struct slice wanted;

	if (!command_argument(&command->request, argument, &wanted))
		return true;
	if (slice_case_eq(wanted, SLICE("DEFER")))
		wanted = SLICE("451"); /* what Postfix is answered */
	return slice_case_eq(wanted, json_member_text(decision, key));
}

static void
on_decision(void *arg, struct slice json)
{
	struct command *command = arg;
	struct json *decision = NULL;
	bool is_shown = true;

	if (command_has(command, "rule") || command_has(command, "action")) {
		decision = json_parse(json, NULL, 0);
		is_shown = (is_wanted(command, "rule", decision, "rule") ||
				   is_wanted(command, "rule", decision,
					   "would_have") ||
				   is_wanted(command, "rule", decision,
					   "permitted_by")) &&
			   is_wanted(command, "action", decision, "action");
		json_drop(decision);
	}
	if (is_shown)
		reply_json(command, "decision", json);
}

static void
stop_tail(struct command *command)
{
	journal_tap_free(command->data);
}

static bool
is_action(struct slice text)
{
	return slice_case_eq(text, SLICE("DUNNO")) ||
	       slice_case_eq(text, SLICE("REJECT")) ||
	       slice_case_eq(text, SLICE("DEFER")) ||
	       slice_case_eq(text, SLICE("DISCARD")) ||
	       slice_case_eq(text, SLICE("HOLD")) || slice_eq_text(text, "451");
}

void
command_tail(struct command *command)
{
	enum rule_id rule;
	struct slice text;

	if (command_argument(&command->request, "rule", &text) &&
		!rule_id_parse(text, &rule)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"there is no rule \"%.*s\"; see \"policyctl rules\"",
			SLICE_ARG(text));
		return;
	}
	if (command_argument(&command->request, "action", &text) &&
		!is_action(text)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--action is DUNNO, REJECT, DEFER, DISCARD or HOLD, not "
			"\"%.*s\"",
			SLICE_ARG(text));
		return;
	}
	command->data = journal_tap_new(command->sources->journal, on_decision,
		command);
	command->on_gone = stop_tail;
}
