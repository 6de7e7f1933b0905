/* Whether Postfix asks us for each recipient, and for each message. */

#include "policyd/ctl/doctor.h"

#include <string.h>

#include "common/base/mem.h"
#include "policyd/config.h"

/* --- what stands before us in a list ------------------------------------ */

/* The steps before us that let some pass, or end the list for all. */
static void
collect(const struct restrictions *list, const struct restriction *us,
	enum restriction_kind kind, struct str *names)
{
	for (const struct restriction *step = list->steps; step < us; step++) {
		if (step->kind != kind)
			continue;
		if (names->len > 0)
			str_append_text(names, ", ");
		str_append_slice(names, step->text);
	}
}

static bool
is_before(const struct restrictions *list, const struct restriction *us,
	const char *word)
{
	for (const struct restriction *step = list->steps; step < us; step++)
		if (slice_case_eq(step->word, slice_of(word)))
			return true;
	return false;
}

/* A trusted network alone is little loss; users and other servers are not. */
static enum doctor_severity
severity_of(const struct restrictions *list, const struct restriction *us)
{
	if (is_before(list, us, "permit_auth_destination") ||
		is_before(list, us, "permit_mx_backup"))
		return DOCTOR_ERROR;
	for (const struct restriction *step = list->steps; step < us; step++)
		if (step->kind == RESTRICTION_PERMIT &&
			!slice_case_eq(step->word, SLICE("permit_mynetworks")))
			return DOCTOR_WARNING;
	return DOCTOR_NOTE;
}

static void
look_before_us(struct doctor *doctor, const struct postconf_service *service,
	const char *name, const struct restrictions *list,
	const struct restriction *us)
{
	const char *place = doctor_place(doctor, service, name);
	const char *mend = doctor_set(doctor, service, name,
		doctor_list_with_us(doctor, service, name));
	struct str names;

	str_init(&names, 1024);
	collect(list, us, RESTRICTION_END, &names);
	if (names.len > 0)
		doctor_find(doctor, DOCTOR_ERROR, place, mend,
			"policyd is never asked: \"%s\" stands before it and "
			"ends the list",
			str_text(&names));
	str_reset(&names);
	collect(list, us, RESTRICTION_PERMIT, &names);
	if (names.len > 0)
		doctor_find(doctor, severity_of(list, us), place, mend,
			"policyd is not asked about whom %s lets pass before: "
			"no rule sees their mail",
			str_text(&names));
	if (us->is_only_warned)
		doctor_find(doctor, DOCTOR_ERROR, place, mend,
			"warn_if_reject stands before policyd: what it "
			"refuses is only logged");
	str_free(&names);
}

/* --- RCPT --------------------------------------------------------------- */

static void
look_for_unlisted(struct doctor *doctor, const struct postconf_service *service,
	const char *name, const struct restrictions *list,
	const struct restriction *us)
{
	if (!slice_eq_text(slice_of(name), doctor_recipient_lists[0]) ||
		doctor_service_kind(doctor, service) != DOCTOR_SERVICE_PUBLIC ||
		!postconf_is_yes(&doctor->postconf, service,
			"smtpd_reject_unlisted_recipient") ||
		is_before(list, us, "reject_unlisted_recipient"))
		return;
	doctor_find(doctor, DOCTOR_NOTE, doctor_place(doctor, service, name),
		doctor_set(doctor, service, name,
			doctor_list_with_us(doctor, service, name)),
		"policyd is asked about recipients that do not exist, and "
		"greylisting keeps rows for them: reject_unlisted_recipient "
		"does not stand before it");
}

/* In a list that is looked at before there is a recipient. */
static const char *
find_early(struct doctor *doctor, const struct postconf_service *service)
{
	for (size_t i = 0; i < doctor_n_recipient_lists; i++) {
		const char *name = doctor_recipient_lists[i];
		const struct restrictions list =
			doctor_list(doctor, service, name);

		if (!doctor_is_at_rcpt(doctor, service, name) &&
			doctor_find_us(doctor, &list) != NULL)
			return name;
	}
	return NULL;
}

static void
tell_not_asked(struct doctor *doctor, const struct postconf_service *service)
{
	const char *name = doctor_recipient_lists[0];
	const char *early = find_early(doctor, service);

	if (early != NULL)
		doctor_find(doctor, DOCTOR_ERROR,
			doctor_place(doctor, service, early),
			doctor_set(doctor, service, "smtpd_delay_reject",
				SLICE("yes")),
			"policyd is asked before there is a recipient, since "
			"smtpd_delay_reject is no: it has nothing to judge");
	else
		doctor_find(doctor, DOCTOR_ERROR,
			doctor_place(doctor, service, name),
			doctor_set(doctor, service, name,
				doctor_list_with_us(doctor, service, name)),
			"policyd is not asked about recipients: no rule but "
			"limits judges mail that comes in here");
}

/* How often one list asks us. */
static size_t
count_us(const struct doctor *doctor, const struct restrictions *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += list->steps[i].kind == RESTRICTION_POLICY &&
		     doctor_is_ours(doctor,
			     restriction_server(&list->steps[i]));
	return n;
}

static void
look_at_recipients(struct doctor *doctor,
	const struct postconf_service *service)
{
	size_t n_before = 0;

	for (size_t i = 0; i < doctor_n_recipient_lists; i++) {
		const char *name = doctor_recipient_lists[i];
		const struct restrictions list =
			doctor_list(doctor, service, name);
		const struct restriction *us = doctor_find_us(doctor, &list);
		const char *place = doctor_place(doctor, service, name);

		if (us == NULL || !doctor_is_at_rcpt(doctor, service, name))
			continue;
		if (n_before++ > 0) {
			doctor_find(doctor, DOCTOR_NOTE, place,
				doctor_set(doctor, service, name,
					doctor_list_without(doctor, service,
						name, SLICE(""))),
				"another list asks policyd about each "
				"recipient already: once is enough");
			continue;
		}
		look_before_us(doctor, service, name, &list, us);
		look_for_unlisted(doctor, service, name, &list, us);
		if (count_us(doctor, &list) > 1)
			doctor_find(doctor, DOCTOR_NOTE, place,
				doctor_set(doctor, service, name,
					doctor_list_with_us(doctor, service,
						name)),
				"this list asks policyd about each recipient "
				"more than once");
	}
	if (n_before == 0)
		tell_not_asked(doctor, service);
}

/* A filter's mail was judged when it came in. */
static void
look_at_reinjection(struct doctor *doctor,
	const struct postconf_service *service, const char *name,
	enum doctor_severity severity, const char *what)
{
	const struct restrictions list = doctor_list(doctor, service, name);

	if (doctor_find_us(doctor, &list) != NULL)
		doctor_find(doctor, severity,
			doctor_text(doctor, "master.cf %.*s/%.*s %s",
				SLICE_ARG(service->name),
				SLICE_ARG(service->type), name),
			doctor_set_for(doctor, service, name,
				doctor_list_without(doctor, service, name,
					SLICE(""))),
			"%s", what);
}

void
doctor_check_recipient_stage(struct doctor *doctor)
{
	const struct postconf_service *service;

	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++) {
		if (doctor_service_kind(doctor, service) !=
			DOCTOR_SERVICE_REINJECTION) {
			look_at_recipients(doctor, service);
			continue;
		}
		for (size_t j = 0; j < doctor_n_recipient_lists; j++)
			if (doctor_is_at_rcpt(doctor, service,
				    doctor_recipient_lists[j]))
				look_at_reinjection(doctor, service,
					doctor_recipient_lists[j],
					DOCTOR_WARNING,
					"this service takes mail back from a "
					"content filter, and policyd is asked "
					"about its recipients a second time");
	}
}

/* --- END-OF-MESSAGE ----------------------------------------------------- */

static void
look_at_end(struct doctor *doctor, const struct postconf_service *service)
{
	const char *name = DOCTOR_END_LIST;
	const struct restrictions list = doctor_list(doctor, service, name);
	const struct restriction *us = doctor_find_us(doctor, &list);
	const char *place = doctor_place(doctor, service, name);
	const char *mend = doctor_set(doctor, service, name,
		doctor_list_with_us(doctor, service, name));

	if (us == NULL)
		doctor_find(doctor, DOCTOR_ERROR, place, mend,
			"policyd is not asked when a message has arrived: "
			"limits count nothing, and smtp_sessions gets no rows "
			"of accepted mail");
	else
		look_before_us(doctor, service, name, &list, us);
	if (count_us(doctor, &list) > 1)
		doctor_find(doctor, DOCTOR_ERROR, place, mend,
			"this list asks policyd more than once: every message "
			"counts as several");
}

void
doctor_check_end_of_data_stage(struct doctor *doctor)
{
	const struct postconf_service *service;

	/* Then the milter is asked in its place, and nothing counts here. */
	if (doctor->config->milter.end_of_message)
		return;
	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++)
		if (doctor_service_kind(doctor, service) ==
			DOCTOR_SERVICE_REINJECTION)
			look_at_reinjection(doctor, service, DOCTOR_END_LIST,
				DOCTOR_ERROR,
				"this service takes mail back from a content "
				"filter, and policyd counts each message a "
				"second time");
		else
			look_at_end(doctor, service);
}

/* --- other policy servers ----------------------------------------------- */

static const struct known_server {
	const char *part; /* of the address */
	const char *name;
} greylisters[] = {
	{ ":10023", "postgrey" },
	{ "postgrey", "postgrey" },
	{ ":2501", "sqlgrey" },
	{ "sqlgrey", "sqlgrey" },
	{ ":10031", "cluebringer" },
};

static const char *
greylister_name(struct slice server)
{
	for (size_t i = 0; i < sizeof(greylisters) / sizeof(greylisters[0]);
		i++) {
		const struct slice part = slice_of(greylisters[i].part);

		if (slice_ends(server, part) ||
			(part.ptr[0] != ':' &&
				memmem(server.ptr, server.len, part.ptr,
					part.len) != NULL))
			return greylisters[i].name;
	}
	return NULL;
}

static void
look_for_others(struct doctor *doctor, const struct postconf_service *service,
	const char *name)
{
	const struct restrictions list = doctor_list(doctor, service, name);

	for (size_t i = 0; i < list.n; i++) {
		const struct restriction *step = &list.steps[i];
		const struct slice server = restriction_server(step);
		const char *other = greylister_name(server);

		if (step->kind != RESTRICTION_POLICY)
			continue;
		if (doctor_is_iredapd(doctor, step))
			doctor_find(doctor, DOCTOR_ERROR,
				doctor_place(doctor, service, name),
				doctor_set(doctor, service, name,
					doctor_list_with_us(doctor, service,
						name)),
				"%.*s is asked, where iRedAPD listens and "
				"policyd does not: both would write the same "
				"tables",
				SLICE_ARG(server));
		else if (other != NULL && !doctor_is_ours(doctor, server) &&
			 doctor->config->rule[RULE_ID_greylisting].mode !=
				 RULE_MODE_OFF)
			doctor_find(doctor, DOCTOR_WARNING,
				doctor_place(doctor, service, name),
				doctor_set(doctor, service, name,
					doctor_list_without(doctor, service,
						name, server)),
				"%.*s (%s) greylists, too: mail waits twice, "
				"and \"policyctl explain\" knows nothing of it",
				SLICE_ARG(server), other);
	}
}

void
doctor_check_other_servers(struct doctor *doctor)
{
	const struct postconf_service *service;

	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++) {
		if (doctor_service_kind(doctor, service) ==
			DOCTOR_SERVICE_REINJECTION)
			continue;
		for (size_t j = 0; j < doctor_n_recipient_lists; j++)
			look_for_others(doctor, service,
				doctor_recipient_lists[j]);
		look_for_others(doctor, service, DOCTOR_END_LIST);
	}
}
