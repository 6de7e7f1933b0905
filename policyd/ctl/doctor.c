#include "policyd/ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/config.h"
#include "policyd/ctl/client.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/output.h"

/* A list of restrictions, quoted, fits; a longer one is cut. */
#define TEXT_MAX     ((size_t)32 << 10)
#define FINDINGS_MAX 500
/* Every list of every service is read for every check. */
#define ARENA_MAX ((size_t)512 << 20)

static const struct {
	const char *name;
	void (*check)(struct doctor *doctor);
} checks[] = {
#define CHECK(name) { #name, doctor_check_##name },
#include "policyd/ctl/doctor.def"
#undef CHECK
};

#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

static const char *const severities[] = {
	[DOCTOR_ERROR] = "error",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_NOTE] = "note",
};

/* --- findings ----------------------------------------------------------- */

static char *format_text(struct doctor *doctor, const char *format,
	va_list arguments) __attribute__((format(printf, 2, 0)));

static char *
format_text(struct doctor *doctor, const char *format, va_list arguments)
{
	char text[TEXT_MAX];

	(void)vsnprintf(text, sizeof(text), format, arguments);
	return arena_memdup(doctor->arena, text, strlen(text));
}

const char *
doctor_text(struct doctor *doctor, const char *format, ...)
{
	const char *text;
	va_list arguments;

	va_start(arguments, format);
	text = format_text(doctor, format, arguments);
	va_end(arguments);
	return text;
}

/* Of a line: others' tables and answers may hold anything. */
static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == '\177')
			return true;
	return false;
}

static bool
is_known(const struct doctor *doctor, const char *where, const char *what)
{
	for (size_t i = 0; i < doctor->n_findings; i++)
		if (strcmp(doctor->findings[i].where, where) == 0 &&
			strcmp(doctor->findings[i].what, what) == 0)
			return true;
	return false;
}

void
doctor_find(struct doctor *doctor, enum doctor_severity severity,
	const char *where, const char *mend, const char *what, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, what);
	text = format_text(doctor, what, arguments);
	va_end(arguments);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n')
			*c = ' ';
	if (is_known(doctor, where, text) || doctor->n_findings == FINDINGS_MAX)
		return;
	doctor->findings[doctor->n_findings++] = (struct finding){
		.severity = severity,
		.check = doctor->check,
		.where = where,
		.what = text,
		.mend = has_control(mend) ? "" : mend,
	};
}

const char *
doctor_in_config(struct doctor *doctor, const char *section)
{
	return doctor_text(doctor, "%s [%s]", doctor->config_path, section);
}

/* --- the reply ---------------------------------------------------------- */

static void
reply_findings_table(struct doctor *doctor)
{
	static const struct reply_column columns[] = {
		{ "severity", "Severity", REPLY_TEXT },
		{ "check", "Check", REPLY_TEXT },
		{ "where", "Where", REPLY_TEXT },
		{ "what", "What", REPLY_TEXT },
		{ "mend", "Mended by", REPLY_TEXT },
	};
	struct command *command = doctor->command;

	reply_table(command, "findings", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < doctor->n_findings; i++) {
		const struct finding *finding = &doctor->findings[i];

		reply_row(command);
		reply_value(command, slice_of(severities[finding->severity]));
		reply_value(command, slice_of(finding->check));
		reply_value(command, slice_of(finding->where));
		reply_value(command, slice_of(finding->what));
		reply_value(command, slice_of(finding->mend));
	}
	reply_part_end(command);
}

/* A line to be copied has to stand on a line of its own, however long. */
static void
print_findings(struct doctor *doctor)
{
	struct command *command = doctor->command;

	for (size_t severity = 0; severity <= DOCTOR_NOTE; severity++)
		for (size_t i = 0; i < doctor->n_findings; i++) {
			const struct finding *finding = &doctor->findings[i];

			if (finding->severity != severity)
				continue;
			reply_text(command, "%s: %s: %s%s%s",
				severities[severity], finding->where,
				finding->what,
				finding->mend[0] == '\0' ? "" : "\n    ",
				finding->mend);
		}
	if (doctor->n_findings == 0)
		reply_text(command, "nothing was found to be wrong");
}

/* Which service asks us when: what every administrator wants to see first. */
static void
reply_services(struct doctor *doctor)
{
	static const struct reply_column columns[] = {
		{ "service", "Service of Postfix", REPLY_TEXT },
		{ "kind", "Takes mail from", REPLY_TEXT },
		{ "asks_at_rcpt", "Asks at RCPT", REPLY_BOOL },
		{ "asks_at_end", "Asks at END-OF-MESSAGE", REPLY_BOOL },
	};
	static const char *const kinds[] = {
		[DOCTOR_SERVICE_PUBLIC] = "everyone",
		[DOCTOR_SERVICE_SUBMISSION] = "users",
		[DOCTOR_SERVICE_REINJECTION] = "a content filter",
	};
	struct command *command = doctor->command;
	const struct postconf_service *service;

	reply_table(command, "services", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++) {
		struct restrictions list;
		bool asks = false;

		for (size_t j = 0; j < doctor_n_recipient_lists; j++) {
			const char *name = doctor_recipient_lists[j];

			list = doctor_list(doctor, service, name);
			asks |= doctor_is_at_rcpt(doctor, service, name) &&
				doctor_find_us(doctor, &list) != NULL;
		}
		list = doctor_list(doctor, service, DOCTOR_END_LIST);
		reply_row(command);
		reply_value(command, service->name);
		reply_value(command,
			slice_of(kinds[doctor_service_kind(doctor, service)]));
		reply_bool(command, asks);
		reply_bool(command, doctor_find_us(doctor, &list) != NULL);
	}
	reply_part_end(command);
}

/* --- the command -------------------------------------------------------- */

static bool
open_doctor(struct doctor *doctor, struct command *command)
{
	const struct local *local = command->data;
	struct slice dir;

	memset(doctor, 0, sizeof(*doctor));
	doctor->command = command;
	doctor->arena = arena_new(ARENA_MAX);
	doctor->config_path = local->config_path;
	doctor->findings =
		arena_new_array(doctor->arena, FINDINGS_MAX, struct finding);
	if (command_argument(&command->request, "postfix_dir", &dir))
		doctor->postfix_dir = slice_copy(doctor->arena, dir).ptr;
	doctor->config = client_salvage_config(local->config_path);
	if (doctor->config != NULL)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE, "%s cannot be understood",
		local->config_path);
	return false;
}

void
command_doctor(struct command *command)
{
	const struct local *local = command->data;
	struct doctor doctor;

	if (!open_doctor(&doctor, command)) {
		arena_free(doctor.arena);
		return;
	}
	for (size_t i = 0; i < N_CHECKS; i++) {
		doctor.check = checks[i].name;
		checks[i].check(&doctor);
	}
	reply_services(&doctor);
	if (local->output->is_json)
		reply_findings_table(&doctor);
	else
		print_findings(&doctor);
	reply_end(command, doctor.n_findings > 0 ? COMMAND_EXIT_FINDINGS
						 : COMMAND_EXIT_DONE);
	config_unref(doctor.config);
	arena_free(doctor.arena);
}
