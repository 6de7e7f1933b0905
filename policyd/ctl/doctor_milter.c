/* Whether Postfix shows its messages to the milter. */

#include "policyd/ctl/doctor.h"

#include "policyd/config.h"

/* An item of smtpd_milters: "inet:HOST:PORT", or "{ that, option, ... }". */
static struct slice
address_of(struct slice item)
{
	struct slice word;

	if (!slice_starts(item, SLICE("{")) || !slice_ends(item, SLICE("}")))
		return item;
	item = slice_part(item, 1, item.len - 1);
	return restrictions_next_word(&item, &word) ? word : SLICE("");
}

static bool
names_us(const struct doctor *doctor, struct slice list)
{
	const struct sock_address *own = &doctor->config->milter.listen;
	struct slice item, kind, address;

	while (restrictions_next_word(&list, &item)) {
		address = address_of(item);
		if (slice_split(&address, ':', &kind) &&
			doctor_is_one_of(doctor, own, 1, kind, address))
			return true;
	}
	return false;
}

/* Before the others: it removes what claims to be ours, which they may add. */
static void
check_list(struct doctor *doctor, const struct postconf_service *service,
	const char *parameter, const char *what)
{
	const struct sock_address *own = &doctor->config->milter.listen;
	const struct slice list =
		postconf_value(&doctor->postconf, service, parameter);
	const char *server =
		own->is_unix ? own->text : doctor_inet_server(doctor, own);

	if (names_us(doctor, list))
		return;
	doctor_find(doctor, DOCTOR_ERROR,
		doctor_place(doctor, service, parameter),
		doctor_set(doctor, service, parameter,
			slice_of(doctor_text(doctor, "%s%s%.*s", server,
				list.len > 0 ? ", " : "", SLICE_ARG(list)))),
		"the milter is on (milter.listen), but Postfix does not ask it "
		"about %s",
		what);
}

/* What comes back from a content filter has been counted. */
static void
check_reinjection(struct doctor *doctor, const struct postconf_service *service)
{
	const char *parameter = "smtpd_milters";

	if (!doctor->config->milter.end_of_message ||
		!names_us(doctor,
			postconf_value(&doctor->postconf, service, parameter)))
		return;
	doctor_find(doctor, DOCTOR_ERROR,
		doctor_text(doctor, "master.cf %.*s/%.*s %s",
			SLICE_ARG(service->name), SLICE_ARG(service->type),
			parameter),
		doctor_set_for(doctor, service, parameter, SLICE("")),
		"this service takes mail back from a content filter, and the "
		"milter counts each message a second time "
		"(milter.end_of_message)");
}

void
doctor_check_milter(struct doctor *doctor)
{
	const struct postconf_service *service;

	if (doctor->postconf.n_parameters == 0 ||
		!config_has_milter(doctor->config))
		return;
	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++)
		if (doctor_service_kind(doctor, service) !=
			DOCTOR_SERVICE_REINJECTION)
			check_list(doctor, service, "smtpd_milters",
				"mail that comes over SMTP");
		else
			check_reinjection(doctor, service);
	check_list(doctor, NULL, "non_smtpd_milters",
		"mail that is entered on this machine");
}
