/*
 * "greylist whitelist-domain refresh": the look-ups and the difference, as
 * they come.
 */

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/greylist_domains.h"
#include "policyd/commands/reply.h"
#include "policyd/domain_entries.h"
#include "policyd/domain_servers.h"
#include "policyd/sources.h"

struct refresh {
	struct slice domain; /* "" for all */
	bool is_plan;
	size_t n_domains, n_failed;
};

static void
reply_change(struct command *command, const char *domain, const char *change,
	const char *what)
{
	reply_row(command);
	reply_value(command, slice_of(domain));
	reply_value(command, slice_of(change));
	reply_value(command, slice_of(what));
}

/* "" for what does not change. */
static const char *
change_name(enum entry_change change, bool is_plan)
{
	switch (change) {
	case ENTRY_ADD:
		return is_plan ? "add" : "added";
	case ENTRY_REMOVE:
	case ENTRY_REMOVE_OLD:
		return is_plan ? "remove" : "removed";
	case ENTRY_HAND_OVER:
		return is_plan ? "hand over" : "handed over";
	case ENTRY_STAYS:
		break;
	}
	return "";
}

static size_t
reply_entries(struct command *command, const char *domain,
	const struct domain_entries_result *result)
{
	const struct refresh *refresh = command->data;
	size_t n = 0;

	for (size_t i = 0; i < result->n_entries; i++) {
		const struct domain_entry *entry = &result->entries[i];
		const char *change =
			change_name(entry->change, refresh->is_plan);

		if (change[0] == '\0')
			continue;
		reply_change(command, domain, change,
			entry->heir == NULL
				? entry->text
				: arena_printf(command->arena, "%s, to %s",
					  entry->text, entry->heir));
		n++;
	}
	return n;
}

static void
on_domain(void *arg, const char *domain, const struct domain_state *state,
	const struct domain_entries_result *result)
{
	struct command *command = arg;
	struct refresh *refresh = command->data;
	size_t n = 0;

	refresh->n_domains++;
	if (result != NULL && result->error == NULL)
		n = reply_entries(command, domain, result);
	switch (state->health) {
	case DOMAIN_FAILED:
		refresh->n_failed++;
		reply_change(command, domain, "failed", state->problem);
		break;
	case DOMAIN_INCOMPLETE:
		reply_change(command, domain, "not complete", state->problem);
		break;
	case DOMAIN_OK:
	case DOMAIN_UNKNOWN:
		if (n == 0)
			reply_change(command, domain, "unchanged", "");
		break;
	}
}

static void
after_refresh(struct command *command)
{
	const struct refresh *refresh = command->data;

	if (refresh->n_domains == 0)
		reply_text(command, "no domain is on the list");
	if (refresh->n_failed > 0)
		reply_text(command,
			"of %zu domains %zu could not be looked up as a whole; "
			"their old entries stay",
			refresh->n_domains, refresh->n_failed);
	reply_end(command, refresh->n_failed > 0 ? COMMAND_EXIT_FINDINGS
						 : COMMAND_EXIT_DONE);
}

static void
on_done(void *arg, const char *error)
{
	struct command *command = arg;
	const struct refresh *refresh = command->data;

	command->on_gone = NULL;
	command->n_refs++; /* its end is the end of the connection's */
	reply_part_end(command);
	if (error != NULL)
		reply_error(command, COMMAND_EXIT_REFUSED,
			"not everything was looked up: %s", error);
	else if (refresh->is_plan)
		after_refresh(command);
	else
		command_changed(command, refresh->domain, after_refresh);
	command_unref(command);
}

static void
mute(struct command *command)
{
	domain_servers_mute(command->sources->domain_servers);
}

static void
refuse(struct command *command, enum domain_servers_refusal refusal)
{
	const struct refresh *refresh = command->data;

	switch (refusal) {
	case DOMAIN_SERVERS_STARTED:
		break;
	case DOMAIN_SERVERS_BUSY:
		reply_error(command, COMMAND_EXIT_REFUSED,
			"somebody else has asked for that a moment ago; try "
			"again when it is done");
		break;
	case DOMAIN_SERVERS_UNREAD:
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"the list was not read yet; \"policyctl status\" tells "
			"why");
		break;
	case DOMAIN_SERVERS_UNLISTED:
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s is not on the list; \"policyctl greylist "
			"whitelist-domain add\" puts it there",
			SLICE_ARG(refresh->domain));
		break;
	}
}

static bool
read_arguments(struct command *command)
{
	struct refresh *refresh =
		arena_new_object(command->arena, struct refresh);

	command->data = refresh;
	refresh->is_plan = command_has(command, "plan");
	return !command_has(command, "domain") ||
	       greylist_domain_argument(command, &refresh->domain);
}

/* The run reports from the loop, so there is time to begin the table. */
void
command_greylist_whitelist_domain_refresh(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "domain", "Domain", REPLY_TEXT },
		{ "change", "Change", REPLY_TEXT },
		{ "entry", "Entry", REPLY_TEXT },
	};
	const struct domain_servers_report report = { on_domain, on_done,
		command };
	struct domain_servers *servers = command->sources->domain_servers;
	enum domain_servers_refusal refusal;
	const struct refresh *refresh;

	if (!read_arguments(command))
		return;
	if (domain_servers_role(servers) == DOMAIN_SERVERS_ELSEWHERE) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"process 0 does that; ask its control_socket");
		return;
	}
	refresh = command->data;
	refusal = domain_servers_run(servers, refresh->domain, refresh->is_plan,
		&report);
	if (refusal != DOMAIN_SERVERS_STARTED) {
		refuse(command, refusal);
		return;
	}
	command->on_gone = mute;
	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
}
