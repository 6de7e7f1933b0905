/* Postfix itself: its services, whom they ask, and lines that change it. */

#include "policyd/ctl/doctor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/ip.h"
#include "policyd/config.h"

#define LINE_MAX_BYTES ((size_t)512 << 10)

/* --- lines that mend ---------------------------------------------------- */

static void
append_quoted(struct str *out, struct slice text)
{
	str_append_char(out, '\'');
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\'')
			str_append_text(out, "'\\''");
		else
			str_append_char(out, text.ptr[i]);
	str_append_char(out, '\'');
}

const char *
doctor_quoted(struct doctor *doctor, struct slice text)
{
	const char *quoted;
	struct str out;

	str_init(&out, LINE_MAX_BYTES);
	append_quoted(&out, text);
	quoted = slice_copy(doctor->arena, str_slice(&out)).ptr;
	str_free(&out);
	return quoted;
}

/* postconf does not take blanks within what a service sets for itself. */
static void
append_without_blanks(struct str *out, struct slice list)
{
	bool is_separator = false;

	for (size_t i = 0; i < list.len; i++) {
		const char c = list.ptr[i];

		if (c == ' ' || c == '\t' || c == ',') {
			is_separator = true;
			continue;
		}
		if (is_separator && c != '}')
			str_append_char(out, ',');
		is_separator = false;
		str_append_char(out, c);
	}
}

static void
begin_line(const struct doctor *doctor, struct str *line, const char *option)
{
	str_init(line, LINE_MAX_BYTES);
	str_append_text(line, "postconf ");
	if (doctor->postfix_dir != NULL) {
		str_append_text(line, "-c ");
		append_quoted(line, slice_of(doctor->postfix_dir));
		str_append_char(line, ' ');
	}
	str_append_text(line, option);
	str_append_char(line, ' ');
}

static const char *
end_line(struct doctor *doctor, struct str *line, const struct str *setting)
{
	const char *text;

	append_quoted(line, str_slice(setting));
	text = line->is_cut || setting->is_cut
		       ? ""
		       : slice_copy(doctor->arena, str_slice(line)).ptr;
	str_free(line);
	return text;
}

const char *
doctor_set_for(struct doctor *doctor, const struct postconf_service *service,
	const char *parameter, struct slice value)
{
	struct str line, setting;
	const char *text;

	begin_line(doctor, &line, service == NULL ? "-e" : "-P");
	str_init(&setting, LINE_MAX_BYTES);
	if (service == NULL) {
		str_printf(&setting, "%s = ", parameter);
		str_append_slice(&setting, value);
	} else {
		str_printf(&setting, "%.*s/%.*s/%s=", SLICE_ARG(service->name),
			SLICE_ARG(service->type), parameter);
		append_without_blanks(&setting, value);
	}
	text = end_line(doctor, &line, &setting);
	str_free(&setting);
	return text;
}

const char *
doctor_set_chroot(struct doctor *doctor, const struct postconf_service *service,
	const char *value)
{
	struct str line, setting;
	const char *text;

	begin_line(doctor, &line, "-F");
	str_init(&setting, LINE_MAX_BYTES);
	str_printf(&setting, "%.*s/%.*s/chroot = %s", SLICE_ARG(service->name),
		SLICE_ARG(service->type), value);
	text = end_line(doctor, &line, &setting);
	str_free(&setting);
	return text;
}

/* The service when it sets the parameter for itself, else NULL: main.cf. */
static const struct postconf_service *
setter(const struct doctor *doctor, const struct postconf_service *service,
	const char *parameter)
{
	struct slice value;

	return service != NULL && postconf_override(&doctor->postconf, service,
					  parameter, &value)
		       ? service
		       : NULL;
}

const char *
doctor_set(struct doctor *doctor, const struct postconf_service *service,
	const char *parameter, struct slice value)
{
	return doctor_set_for(doctor, setter(doctor, service, parameter),
		parameter, value);
}

const char *
doctor_place(struct doctor *doctor, const struct postconf_service *service,
	const char *parameter)
{
	const struct postconf_service *by = setter(doctor, service, parameter);

	return by == NULL ? doctor_text(doctor, "main.cf %s", parameter)
			  : doctor_text(doctor, "master.cf %.*s/%.*s %s",
				    SLICE_ARG(by->name), SLICE_ARG(by->type),
				    parameter);
}

/* --- services ----------------------------------------------------------- */

const struct postconf_service *
doctor_service(const struct doctor *doctor, size_t i)
{
	for (size_t at = 0; at < doctor->postconf.n_services; at++) {
		const struct postconf_service *service =
			&doctor->postconf.services[at];
		const struct slice program = service->program;

		if (!slice_eq_text(
			    slice_from(program,
				    (size_t)(slice_find_last(program, '/') +
					     1)),
			    "smtpd"))
			continue;
		if (i-- == 0)
			return service;
	}
	return NULL;
}

/* "10025" of "127.0.0.1:10025". */
static struct slice
port_of(const struct postconf_service *service)
{
	return slice_from(service->name,
		(size_t)(slice_find_last(service->name, ':') + 1));
}

static bool
is_port_of(const struct postconf_service *service, const char *const *ports)
{
	for (; *ports != NULL; ports++)
		if (slice_eq_text(port_of(service), *ports))
			return true;
	return false;
}

/*
 * A content filter gives mail back to a service that has no filter of its
 * own or takes the client's address from it (FILTER_README,
 * SMTPD_PROXY_README).
 */
static bool
is_reinjection(const struct doctor *doctor,
	const struct postconf_service *service)
{
	static const char *const ports[] = { "10025", "10028", NULL };
	struct slice value;

	if (is_port_of(service, ports))
		return true;
	if (postconf_override(&doctor->postconf, service, "content_filter",
		    &value) &&
		value.len == 0)
		return true;
	return postconf_override(&doctor->postconf, service,
		       "smtpd_authorized_xforward_hosts", &value) &&
	       value.len > 0;
}

enum doctor_service_kind
doctor_service_kind(const struct doctor *doctor,
	const struct postconf_service *service)
{
	static const char *const ports[] = { "submission", "submissions",
		"smtps", "587", "465", NULL };

	if (is_port_of(service, ports))
		return DOCTOR_SERVICE_SUBMISSION;
	if (is_reinjection(doctor, service))
		return DOCTOR_SERVICE_REINJECTION;
	return DOCTOR_SERVICE_PUBLIC;
}

/* --- whom they ask ------------------------------------------------------ */

/* "HOST:PORT", "[ADDRESS]:PORT" or "PORT" behind "inet:". */
static void
split_host(struct slice text, struct slice *host, struct slice *port)
{
	const ptrdiff_t colon = slice_find_last(text, ':');

	*host = slice_part(text, 0, colon < 0 ? 0 : (size_t)colon);
	*port = slice_from(text, (size_t)(colon + 1));
	if (slice_starts(*host, SLICE("[")) && slice_ends(*host, SLICE("]")))
		*host = slice_part(*host, 1, host->len - 1);
}

static bool
is_any_address(const struct ip *ip)
{
	for (size_t i = 0; i < sizeof(ip->bytes); i++)
		if (ip->bytes[i] != 0)
			return false;
	return true;
}

/* A name is taken to be this host: only Postfix knows how it looks it up. */
static bool
is_host(struct slice host, const struct sock_address *own)
{
	struct ip theirs, ours;

	if (!ip_parse(slice_of(own->host), &ours))
		return false;
	if (host.len == 0 || slice_case_eq(host, SLICE("localhost")))
		return ip_is_loopback(&ours) || is_any_address(&ours);
	if (!ip_parse(host, &theirs))
		return true;
	return ip_eq(&theirs, &ours) || is_any_address(&ours);
}

static struct slice
queue_directory(const struct doctor *doctor)
{
	return postconf_value(&doctor->postconf, NULL, "queue_directory");
}

/* Whether two paths name one file, which need not exist. */
static bool
is_same_path(const char *a, const char *b)
{
	char real_a[PATH_MAX], real_b[PATH_MAX];

	if (strcmp(a, b) == 0)
		return true;
	return realpath(a, real_a) != NULL && realpath(b, real_b) != NULL &&
	       strcmp(real_a, real_b) == 0;
}

/* smtpd works in the queue directory, and within a chroot sees nothing else. */
static bool
is_path(const struct doctor *doctor, bool is_chrooted, struct slice path,
	const struct sock_address *own)
{
	const struct slice queue = queue_directory(doctor);
	const bool is_absolute = slice_starts(path, SLICE("/"));
	char text[PATH_MAX];

	(void)snprintf(text, sizeof(text), "%.*s%s%.*s",
		is_absolute && !is_chrooted ? 0 : (int)queue.len, queue.ptr,
		is_absolute ? "" : "/", SLICE_ARG(path));
	return is_same_path(text, own->path);
}

bool
doctor_is_one_of(const struct doctor *doctor, const struct sock_address *own,
	size_t n, struct slice kind, struct slice address)
{
	const bool is_inet = slice_eq(kind, SLICE("inet"));
	struct slice host, port;
	uint64_t number;

	split_host(address, &host, &port);
	for (size_t i = 0; i < n; i++)
		if (own[i].is_unix) {
			if (!is_inet &&
				(is_path(doctor, false, address, own + i) ||
					is_path(doctor, true, address,
						own + i)))
				return true;
		} else if (is_inet && num_parse_u64(port, 65535, &number) &&
			   (int)number == own[i].port &&
			   is_host(host, own + i)) {
			return true;
		}
	return false;
}

bool
doctor_is_ours(const struct doctor *doctor, struct slice server)
{
	const struct config *config = doctor->config;
	struct slice kind;

	(void)slice_split(&server, ':', &kind);
	return doctor_is_one_of(doctor, config->policyd.listen,
		config->policyd.n_listen, kind, server);
}

bool
doctor_is_hidden(const struct doctor *doctor,
	const struct postconf_service *service, struct slice server)
{
	const struct slice path =
		slice_from(server, (size_t)(slice_find(server, ':') + 1));

	if (!service->is_chrooted || slice_starts(server, SLICE("inet:")) ||
		!doctor_is_ours(doctor, server))
		return false;
	for (size_t i = 0; i < doctor->config->policyd.n_listen; i++)
		if (is_path(doctor, true, path,
			    &doctor->config->policyd.listen[i]))
			return false;
	return true;
}

const char *
doctor_inet_server(struct doctor *doctor, const struct sock_address *own)
{
	struct ip ip;

	if (!ip_parse(slice_of(own->host), &ip) || !is_any_address(&ip))
		return own->text;
	return doctor_text(doctor, "inet:%s:%d",
		ip.family == IP_V6 ? "[::1]" : "127.0.0.1", own->port);
}

const char *
doctor_own_server(struct doctor *doctor, const struct postconf_service *service)
{
	const struct config *config = doctor->config;
	const struct slice queue = queue_directory(doctor);
	struct slice path;

	for (size_t i = 0; i < config->policyd.n_listen; i++)
		if (!config->policyd.listen[i].is_unix)
			return doctor_inet_server(doctor,
				&config->policyd.listen[i]);
	path = slice_of(config->policyd.listen[0].path);
	if (service == NULL || !service->is_chrooted || queue.len == 0 ||
		!slice_starts(path, queue))
		return config->policyd.listen[0].text;
	return doctor_text(doctor, "unix:%.*s",
		SLICE_ARG(slice_from(path, queue.len + 1)));
}

/* --- the checks --------------------------------------------------------- */

void
doctor_check_postfix(struct doctor *doctor)
{
	char err[512] = "";

	if (postconf_read(doctor->arena, doctor->postfix_dir, &doctor->postconf,
		    err, sizeof(err)) == 0)
		return;
	memset(&doctor->postconf, 0, sizeof(doctor->postconf));
	doctor_find(doctor, DOCTOR_ERROR, "postconf", "",
		"the configuration of Postfix cannot be read, so its wiring "
		"was not checked: %s; --postfix-dir names its directory",
		err);
}

void
doctor_check_services(struct doctor *doctor)
{
	if (doctor->postconf.n_parameters == 0 ||
		doctor_service(doctor, 0) != NULL)
		return;
	doctor_find(doctor, DOCTOR_ERROR, "master.cf", "",
		"no service runs smtpd, so Postfix takes no mail over SMTP");
}
