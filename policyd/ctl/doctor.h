#ifndef POLICYD_CTL_DOCTOR_H
#define POLICYD_CTL_DOCTOR_H

/*
 * "policyctl doctor": looks for what is wrong with the wiring of Postfix,
 * policyd and the databases, and says how each finding is mended. It changes
 * nothing and needs no daemon. A check is a line in doctor.def and a function
 * that adds findings; it sees what struct doctor holds.
 */

#include <stdbool.h>

#include "common/base/str.h"
#include "policyd/ctl/postconf.h"
#include "policyd/ctl/restrictions.h"

struct arena;
struct command;
struct config;
struct sock_address;

enum doctor_severity {
	DOCTOR_ERROR,   /* mail is not judged as the administrator meant */
	DOCTOR_WARNING, /* some is not, or will not be one day */
	DOCTOR_NOTE,    /* nothing is broken */
};

struct finding {
	enum doctor_severity severity;
	const char *check; /* of doctor.def */
	const char *where, *what;
	const char *mend; /* a line to be copied, "" for none */
};

/* What a service of master.cf that runs smtpd is for. */
enum doctor_service_kind {
	DOCTOR_SERVICE_PUBLIC,
	DOCTOR_SERVICE_SUBMISSION,
	DOCTOR_SERVICE_REINJECTION, /* takes mail back from a content filter */
};

struct doctor {
	struct command *command;
	struct arena *arena;
	const char *config_path;
	struct config *config;    /* never NULL */
	const char *postfix_dir;  /* NULL: where postconf looks by itself */
	struct postconf postconf; /* empty when it could not be read */
	const char *check;        /* under way */
	struct finding *findings;
	size_t n_findings;
	bool has_database_finding;
	bool needs_migration; /* "db migrate" has not been run, or not all */
};

#define CHECK(name) void doctor_check_##name(struct doctor *doctor);
#include "policyd/ctl/doctor.def"
#undef CHECK

/*
 * Adds a finding; one that says the same of the same place as another is left
 * out. where and mend live as long as the doctor. A mend that has characters
 * which no line has, out of somebody's table, is left out.
 */
void doctor_find(struct doctor *doctor, enum doctor_severity severity,
	const char *where, const char *mend, const char *what, ...)
	__attribute__((format(printf, 5, 6)));
/* Text for it, in the arena. */
const char *doctor_text(struct doctor *doctor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Text as one word for the shell. */
const char *doctor_quoted(struct doctor *doctor, struct slice text);
/* A setting of policyd.conf as a place, and the file as a whole. */
const char *doctor_in_config(struct doctor *doctor, const char *section);

/* --- Postfix (doctor_postfix.c) ----------------------------------------- */

/*
 * The line that gives a parameter a value: in main.cf, or for a service when
 * it sets the parameter for itself.
 */
const char *doctor_set(struct doctor *doctor,
	const struct postconf_service *service, const char *parameter,
	struct slice value);
/* The same, for this service in any case. */
const char *doctor_set_for(struct doctor *doctor,
	const struct postconf_service *service, const char *parameter,
	struct slice value);
/* The line that puts a service into a chroot, or takes it out. */
const char *doctor_set_chroot(struct doctor *doctor,
	const struct postconf_service *service, const char *value);
/* Where that is: "main.cf NAME" or "master.cf SERVICE NAME". */
const char *doctor_place(struct doctor *doctor,
	const struct postconf_service *service, const char *parameter);
/* The i-th service that runs smtpd; NULL at the end. */
const struct postconf_service *doctor_service(const struct doctor *doctor,
	size_t i);
enum doctor_service_kind doctor_service_kind(const struct doctor *doctor,
	const struct postconf_service *service);
/*
 * Whether a server of check_policy_service is this policyd, be it that the
 * service reaches it or that a chroot hides its socket.
 */
bool doctor_is_ours(const struct doctor *doctor, struct slice server);
bool doctor_is_hidden(const struct doctor *doctor,
	const struct postconf_service *service, struct slice server);
/* Whether "inet" or "unix", with an address, is one of these sockets. */
bool doctor_is_one_of(const struct doctor *doctor,
	const struct sock_address *own, size_t n, struct slice kind,
	struct slice address);
/*
 * How Postfix names an inet socket: one that listens on all addresses is
 * reached on loopback.
 */
const char *doctor_inet_server(struct doctor *doctor,
	const struct sock_address *own);
/* How a check_policy_service names this policyd. */
const char *doctor_own_server(struct doctor *doctor,
	const struct postconf_service *service);

/* --- lists (doctor_lists.c) --------------------------------------------- */

/* The lists that are looked at when a recipient is given, and at the end. */
extern const char *const doctor_recipient_lists[];
extern const size_t doctor_n_recipient_lists;
#define DOCTOR_END_LIST "smtpd_end_of_data_restrictions"

/*
 * Whether Postfix looks at a list at RCPT: those for the client, HELO and
 * sender only while smtpd_delay_reject is yes.
 */
bool doctor_is_at_rcpt(const struct doctor *doctor,
	const struct postconf_service *service, const char *list);
struct restrictions doctor_list(struct doctor *doctor,
	const struct postconf_service *service, const char *list);
/* The first step that asks us, or NULL. */
const struct restriction *doctor_find_us(const struct doctor *doctor,
	const struct restrictions *list);
/* Whether a step asks what is on iRedAPD's port and is not us. */
bool doctor_is_iredapd(const struct doctor *doctor,
	const struct restriction *step);
/*
 * The list as it should be: asks us once, before anybody is permitted and
 * behind reject_unlisted_recipient, and not iRedAPD; everything else keeps
 * its order.
 */
struct slice doctor_list_with_us(struct doctor *doctor,
	const struct postconf_service *service, const char *list);
/* The list without the steps that ask a server, or us (server ""). */
struct slice doctor_list_without(struct doctor *doctor,
	const struct postconf_service *service, const char *list,
	struct slice server);
/*
 * The list with a part of one of its steps replaced; it stays as it is when
 * the step is within a class.
 */
struct slice doctor_list_replaced(struct doctor *doctor,
	const struct restrictions *list, const struct restriction *step,
	struct slice old, const char *new);

#endif
