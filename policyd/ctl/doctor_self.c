/* policyd itself: its configuration, its sockets, the daemon that runs. */

#include "policyd/ctl/doctor.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "policyd/commands/command.h"
#include "policyd/config.h"
#include "policyd/ctl/client.h"
#include "policyd/ctl/local.h"
#include "policyd/json.h"
#include "policyd/version.h"

#define START_LINE   "systemctl start policyd"
#define RESTART_LINE "systemctl restart policyd"
#define ANSWER_MS    10000
#define GROUPS_MAX   64
#define VALUE_MAX    65536

/* --- the file ----------------------------------------------------------- */

void
doctor_check_configuration(struct doctor *doctor)
{
	struct config_errors errors = { NULL, 0 };
	struct config *config = config_load(doctor->config_path, &errors);

	if (config != NULL && geteuid() == 0)
		(void)config_read_secrets(config, &errors);
	for (size_t i = 0; i < errors.n; i++)
		doctor_find(doctor, DOCTOR_ERROR,
			errors.items[i].line == 0
				? doctor->config_path
				: doctor_text(doctor, "%s:%u",
					  doctor->config_path,
					  errors.items[i].line),
			"", "%s", errors.items[i].text);
	config_unref(config);
	config_errors_free(&errors);
}

static void
check_file(struct doctor *doctor, const char *path, mode_t forbidden,
	const char *mend, const char *what)
{
	struct stat st;

	if (path[0] != '\0' && stat(path, &st) == 0 &&
		(st.st_mode & forbidden) != 0)
		doctor_find(doctor, DOCTOR_WARNING, path,
			doctor_text(doctor, "chmod %s %s", mend,
				doctor_quoted(doctor, slice_of(path))),
			"%s", what);
}

void
doctor_check_files(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	static const char others[] = "others may read this password";

	check_file(doctor, doctor->config_path, S_IWGRP | S_IWOTH, "go-w",
		"others may change the configuration");
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		check_file(doctor, config->db[i].password_file,
			S_IWGRP | S_IROTH | S_IWOTH, "g-w,o=", others);
	check_file(doctor, config->notify.password_file,
		S_IWGRP | S_IROTH | S_IWOTH, "g-w,o=", others);
	check_file(doctor, config->srs.secrets_file,
		S_IWGRP | S_IROTH | S_IWOTH, "g-w,o=", others);
	check_file(doctor, config->dkim.master_key_file,
		S_IWGRP | S_IROTH | S_IWOTH, "g-w,o=", others);
}

/* --- rules -------------------------------------------------------------- */

/* Its position in the order, or n_rule_order. */
static size_t
place_of(const struct config *config, enum rule_id rule)
{
	size_t i = 0;

	while (i < config->n_rule_order && config->rule_order[i] != rule)
		i++;
	return i;
}

/*
 * The order with one rule before another (RULE_ID_COUNT: at the end), taken
 * out from where it is.
 */
static const char *
order_line(struct doctor *doctor, enum rule_id moved, enum rule_id before)
{
	const struct config *config = doctor->config;
	const char *line = "order =", *comma = " ";

	for (size_t i = 0; i < config->n_rule_order; i++) {
		const enum rule_id rule = config->rule_order[i];

		if (rule == moved)
			continue;
		if (rule == before) {
			line = doctor_text(doctor, "%s%s%s", line, comma,
				rule_name(moved));
			comma = ", ";
		}
		line = doctor_text(doctor, "%s%s%s", line, comma,
			rule_name(rule));
		comma = ", ";
	}
	if (before == RULE_ID_COUNT)
		line = doctor_text(doctor, "%s%s%s", line, comma,
			rule_name(moved));
	return line;
}

/* The first rule of the order that stands behind it by default. */
static enum rule_id
successor(const struct config *config, enum rule_id rule)
{
	for (size_t i = 0; i < config->n_rule_order; i++)
		if (config->rule_order[i] > rule)
			return config->rule_order[i];
	return RULE_ID_COUNT;
}

static void
check_order(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	enum rule_id wblist;
	size_t place;

	for (size_t i = 0; i < RULE_ID_COUNT; i++) {
		const enum rule_id rule = (enum rule_id)i;

		if (config->rule[i].mode != RULE_MODE_ENFORCE ||
			place_of(config, rule) < config->n_rule_order)
			continue;
		doctor_find(doctor, DOCTOR_WARNING,
			doctor_in_config(doctor, "rules"),
			order_line(doctor, rule, successor(config, rule)),
			"the rule %s has mode = enforce but is not in order, "
			"so it is never asked",
			rule_name(rule));
	}
	if (!rule_id_parse(SLICE("amavisd_wblist"), &wblist))
		return;
	place = place_of(config, wblist);
	if (place < config->n_rule_order &&
		config->rule[wblist].mode != RULE_MODE_OFF &&
		place > place_of(config, RULE_ID_greylisting))
		doctor_find(doctor, DOCTOR_NOTE,
			doctor_in_config(doctor, "rules"),
			order_line(doctor, wblist, RULE_ID_greylisting),
			"amavisd_wblist stands behind greylisting: whom a "
			"user has white-listed is greylisted all the same");
}

void
doctor_check_rules(struct doctor *doctor)
{
	const struct config *config = doctor->config;

	check_order(doctor);
	if (config->greylisting.training &&
		config->rule[RULE_ID_greylisting].mode == RULE_MODE_ENFORCE)
		doctor_find(doctor, DOCTOR_NOTE,
			doctor_in_config(doctor, "greylisting"),
			"training = no",
			"greylisting is in training: it learns, and defers "
			"nobody");
}

/* --- the sockets that Postfix asks on ----------------------------------- */

/* A state at which no rule judges, so nothing is changed by it. */
static const char harmless[] = "request=smtpd_access_policy\n"
			       "protocol_state=VRFY\n"
			       "protocol_name=ESMTP\n"
			       "client_address=127.0.0.1\n"
			       "client_name=localhost\n"
			       "reverse_client_name=localhost\n"
			       "instance=policyctl.doctor\n\n";

/* Whether an answer came; why not, in *err. */
static bool
ask_policy(const struct sock_address *address, const char **err)
{
	struct pollfd wait = { .events = POLLIN };
	char answer[512] = "";
	ssize_t n = -1;

	wait.fd = sock_connect(address);
	if (wait.fd < 0) {
		*err = strerror(errno);
		return false;
	}
	*err = "no answer within 10 seconds";
	if (send(wait.fd, harmless, sizeof(harmless) - 1, MSG_NOSIGNAL) > 0 &&
		poll(&wait, 1, ANSWER_MS) == 1) {
		n = recv(wait.fd, answer, sizeof(answer) - 1, 0);
		*err = "what answers does not speak the policy protocol";
	}
	close(wait.fd);
	return n > 0 && strncmp(answer, "action=", 7) == 0;
}

/* Who smtpd is while it connects. */
struct identity {
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	int n_groups;
};

static bool
find_identity(const struct doctor *doctor, struct identity *out)
{
	const struct slice owner =
		postconf_value(&doctor->postconf, NULL, "mail_owner");
	const struct passwd *account =
		getpwnam(slice_copy(doctor->arena, owner).ptr);

	if (account == NULL)
		return false;
	out->uid = account->pw_uid;
	out->n_groups = GROUPS_MAX;
	return getgrouplist(account->pw_name, account->pw_gid, out->groups,
		       &out->n_groups) >= 0;
}

static bool
may(const struct identity *who, const struct stat *st, mode_t bits)
{
	if (who->uid == 0)
		return true;
	if (st->st_uid == who->uid)
		return (st->st_mode & (bits << 6)) == bits << 6;
	for (int i = 0; i < who->n_groups; i++)
		if (st->st_gid == who->groups[i])
			return (st->st_mode & (bits << 3)) == bits << 3;
	return (st->st_mode & bits) == bits;
}

/* The first directory on the way to it that is closed, else NULL. */
static const char *
find_closed(struct doctor *doctor, const struct identity *who, const char *path)
{
	const struct slice whole = slice_of(path);
	struct stat st;

	for (size_t at = 1; at < whole.len; at++) {
		const char *dir;

		if (whole.ptr[at] != '/')
			continue;
		dir = slice_copy(doctor->arena, slice_part(whole, 0, at)).ptr;
		if (stat(dir, &st) == 0 && !may(who, &st, S_IXOTH))
			return dir;
	}
	return NULL;
}

static void
check_unix_socket(struct doctor *doctor, const struct sock_address *address)
{
	struct identity who;
	const char *closed;
	struct stat st;

	if (doctor->postconf.n_parameters == 0 ||
		stat(address->path, &st) < 0 || !find_identity(doctor, &who))
		return;
	closed = find_closed(doctor, &who, address->path);
	if (closed != NULL)
		doctor_find(doctor, DOCTOR_ERROR, address->text,
			doctor_text(doctor, "chmod o+x %s",
				doctor_quoted(doctor, slice_of(closed))),
			"Postfix may not enter the directory %s", closed);
	if (!may(&who, &st, S_IROTH | S_IWOTH))
		doctor_find(doctor, DOCTOR_ERROR,
			doctor_in_config(doctor, "policyd"),
			"policy_socket_mode = 0666",
			"Postfix may not connect to %s", address->text);
}

/* A service that asks us on a socket which its chroot hides from it. */
static void
check_chroot(struct doctor *doctor, const struct postconf_service *service,
	const char *name)
{
	const struct restrictions list = doctor_list(doctor, service, name);
	const struct restriction *us = doctor_find_us(doctor, &list);

	if (us != NULL &&
		doctor_is_hidden(doctor, service, restriction_server(us)))
		doctor_find(doctor, DOCTOR_ERROR,
			doctor_text(doctor, "master.cf %.*s/%.*s",
				SLICE_ARG(service->name),
				SLICE_ARG(service->type)),
			doctor_set_chroot(doctor, service, "n"),
			"this service runs in a chroot, where %.*s is not to "
			"be reached",
			SLICE_ARG(restriction_server(us)));
}

static void
check_chroots(struct doctor *doctor)
{
	const struct postconf_service *service;

	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++) {
		for (size_t j = 0; j < doctor_n_recipient_lists; j++)
			check_chroot(doctor, service,
				doctor_recipient_lists[j]);
		check_chroot(doctor, service, DOCTOR_END_LIST);
	}
}

void
doctor_check_sockets(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	const char *err;

	for (size_t i = 0; i < config->policyd.n_listen; i++) {
		const struct sock_address *address = &config->policyd.listen[i];

		if (!ask_policy(address, &err))
			doctor_find(doctor, DOCTOR_ERROR, address->text,
				START_LINE,
				"policyd does not answer Postfix here: %s",
				err);
		if (address->is_unix)
			check_unix_socket(doctor, address);
	}
	check_chroots(doctor);
}

/* --- the daemon --------------------------------------------------------- */

struct told {
	struct doctor *doctor;
	struct slice version;
};

static void
take_version(void *arg, const struct json *part, struct slice line)
{
	const struct json *fields = json_member(part, "fields");
	struct told *told = arg;

	(void)line;
	for (size_t i = 0; i < json_length(fields); i++) {
		const struct json *field = json_element(fields, i);

		if (slice_eq_text(json_member_text(field, "key"), "policyd"))
			told->version = slice_copy(told->doctor->arena,
				json_member_text(field, "value"));
	}
}

/* What the daemon itself says is wrong; of databases we know already. */
static void
take_status(void *arg, const struct json *part, struct slice line)
{
	const struct json *rows = json_member(part, "rows");
	struct told *told = arg;

	(void)line;
	if (!slice_eq_text(json_member_text(part, "name"), "findings") ||
		told->doctor->has_database_finding)
		return;
	for (size_t i = 0; i < json_length(rows); i++) {
		const struct slice text =
			json_text(json_element(json_element(rows, i), 0));

		doctor_find(told->doctor, DOCTOR_WARNING, "policyctl status",
			"", "%.*s", SLICE_ARG(text));
	}
}

/* The value of a setting in the file; false when it has none such. */
static bool
value_in_file(const struct config *config, struct slice section,
	struct slice key, struct str *value, bool *needs_restart)
{
	struct config_row row;
	size_t at = 0;

	str_reset(value);
	while (config_next(config, &at, &row, value)) {
		*needs_restart = row.needs_restart;
		if (slice_eq_text(section, row.section) &&
			slice_eq_text(key, row.key))
			return true;
		str_reset(value);
	}
	return false;
}

/* A row of "config show --all": section, key, value, ... */
static void
compare_setting(struct told *told, const struct json *row)
{
	const struct slice section = json_text(json_element(row, 0));
	const struct slice key = json_text(json_element(row, 1));
	struct doctor *doctor = told->doctor;
	bool needs_restart = false;
	struct str value;

	str_init(&value, VALUE_MAX);
	if (value_in_file(doctor->config, section, key, &value,
		    &needs_restart) &&
		!slice_eq(str_slice(&value), json_text(json_element(row, 2))))
		doctor_find(doctor, DOCTOR_WARNING, "policyctl config show",
			needs_restart ? RESTART_LINE : "policyctl reload",
			"[%.*s] %.*s was changed in %s and is not in force yet",
			SLICE_ARG(section), SLICE_ARG(key),
			doctor->config_path);
	str_free(&value);
}

static void
take_settings(void *arg, const struct json *part, struct slice line)
{
	const struct json *rows = json_member(part, "rows");

	(void)line;
	for (size_t i = 0; i < json_length(rows); i++)
		compare_setting(arg, json_element(rows, i));
}

static void
ask_daemon(struct client *client, struct told *told)
{
	const struct command_request status = {
		.row = &command_table[COMMAND_status],
	};
	const struct command_request show = {
		.row = &command_table[COMMAND_config_show],
		.is_given = { true },
		.value = { SLICE_INIT("") },
	};

	if (!slice_eq_text(told->version, POLICYD_VERSION))
		doctor_find(told->doctor, DOCTOR_WARNING, "policyctl version",
			RESTART_LINE,
			"the daemon that runs is %.*s, policyctl is %s",
			SLICE_ARG(told->version), POLICYD_VERSION);
	(void)client_ask_quietly(client, 0, &status, take_status, told);
	(void)client_ask_quietly(client, 0, &show, take_settings, told);
}

void
doctor_check_daemon(struct doctor *doctor)
{
	const struct command_request request = {
		.row = &command_table[COMMAND_daemon_version],
	};
	const struct local *local = doctor->command->data;
	struct told told = { doctor, SLICE("") };
	struct client client;
	int error;

	if (client_init(&client, local->output, local->socket_path,
		    doctor->config_path) < 0)
		return;
	if (client_ask_quietly(&client, 0, &request, take_version, &told) ==
		COMMAND_EXIT_DONE) {
		ask_daemon(&client, &told);
		return;
	}
	error = errno;
	doctor_find(doctor, DOCTOR_ERROR,
		doctor_text(doctor, "%s", client.control.text),
		error == EACCES ? "" : START_LINE,
		"the daemon cannot be asked (%s), so what is in force was not "
		"checked",
		strerror(error));
}
