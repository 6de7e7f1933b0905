#include "policyd/config_table.h"

#include <assert.h>
#include <string.h>

struct check {
	const struct config *config;
	const struct config_origin *origins;
	struct config_errors *errors;
};

/* The row whose field this is. */
static size_t
row_of_field(const struct check *check, const void *field)
{
	size_t offset =
		(size_t)((const char *)field - (const char *)check->config);

	for (size_t i = 0; i < config_setting_count(); i++) {
		if (config_setting_at(i)->offset == offset)
			return i;
	}
	assert(0);
}

/*
 * Reports that field does not agree with other (which may be the same), in
 * the later of their lines. One that has an error already is left alone: the
 * default in its place was never asked for.
 */
static void
report(struct check *check, const void *field, const void *other,
	const char *text)
{
	size_t row = row_of_field(check, field);
	const struct config_origin *a = &check->origins[row];
	const struct config_origin *b =
		&check->origins[row_of_field(check, other)];
	const struct config_setting *setting = config_setting_at(row);

	if (a->is_bad || b->is_bad)
		return;
	config_error_add(check->errors, a->line > b->line ? a->line : b->line,
		"[%s] %s: %s", setting->section, setting->key, text);
}

static void
check_sockets(struct check *check)
{
	const struct config *config = check->config;
	const struct sock_address *listen = config->policyd.listen;
	const struct sock_address *control = &config->policyd.control;

	if (!control->is_unix)
		report(check, control, control,
			"must be a unix socket, such as "
			"unix:/run/policyd/control");
	for (size_t i = 0; i < config->policyd.n_listen; i++) {
		if (strcmp(listen[i].text, control->text) == 0)
			report(check, control, &config->policyd.listen,
				"is a socket of policy_listen, too");
		for (size_t j = 0; j < i; j++) {
			if (strcmp(listen[i].text, listen[j].text) == 0)
				report(check, &config->policyd.listen,
					&config->policyd.listen,
					"names a socket twice");
		}
	}
}

static void
check_limits(struct check *check)
{
	const struct config *config = check->config;

	if (config->limits.request_bytes < config->limits.line_bytes)
		report(check, &config->limits.request_bytes,
			&config->limits.line_bytes,
			"is less than line_bytes: a request has to hold at "
			"least one line");
}

static void
check_mail(struct check *check)
{
	char *const *delimiters = &check->config->mail.recipient_delimiters;

	for (const char *c = *delimiters; *c; c++) {
		if (!strchr("!#$%&'*+-/=?^_`{|}~.", *c)) {
			report(check, delimiters, delimiters,
				"may hold only characters such as + - = that "
				"an address may hold before its @ and that "
				"are no letters or digits");
			return;
		}
	}
}

static void
check_db(struct check *check, const struct config_db *db)
{
	bool is_local = db->host[0] == '\0';

	if (is_local && db->socket[0] == '\0')
		report(check, &db->host, &db->socket,
			"is empty and so is socket; one of them is needed");
	if (db->password_file[0] != '\0' && db->password_env[0] != '\0')
		report(check, &db->password_env, &db->password_file,
			"is set and so is password_file; only one of them "
			"can be used");
	if (db->tls != DB_TLS_OFF && is_local)
		report(check, &db->tls, &db->host,
			"needs host: there is no TLS over a unix socket");
	if (db->tls_ca[0] != '\0' && db->tls != DB_TLS_VERIFY)
		report(check, &db->tls_ca, &db->tls,
			"is used only with tls = verify");
}

static void
check_greylisting(struct check *check)
{
	const struct config *config = check->config;

	if (config->greylisting.unauth_expire_ms <=
		config->greylisting.block_expire_ms)
		report(check, &config->greylisting.unauth_expire_ms,
			&config->greylisting.block_expire_ms,
			"must be longer than block_expire, or a triplet is "
			"forgotten before it may pass");
}

static void
check_notify(struct check *check)
{
	const struct config *config = check->config;
	struct slice url = slice_of(config->notify.smtp_url);
	bool is_tls = slice_starts(url, SLICE("smtps://"));
	bool has_user = config->notify.user[0] != '\0';
	bool has_password = config->notify.password_file[0] != '\0';

	if (url.len > 0 && !is_tls && !slice_starts(url, SLICE("smtp://")))
		report(check, &config->notify.smtp_url,
			&config->notify.smtp_url,
			"must begin with smtp:// or smtps://, such as "
			"smtp://127.0.0.1:25");
	if (slice_has_byte(url, '@'))
		report(check, &config->notify.smtp_url,
			&config->notify.smtp_url,
			"must not hold an account: use user and "
			"password_file");
	if (is_tls && config->notify.starttls)
		report(check, &config->notify.starttls,
			&config->notify.smtp_url,
			"is for smtp://; smtps:// is encrypted from the "
			"start");
	if (has_user != has_password)
		report(check, &config->notify.user,
			&config->notify.password_file,
			"and password_file need each other");
}

void
config_check(const struct config *config, const struct config_origin *origins,
	struct config_errors *errors)
{
	struct check check = { config, origins, errors };

	check_sockets(&check);
	check_limits(&check);
	check_mail(&check);
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		check_db(&check, &config->db[i]);
	check_greylisting(&check);
	check_notify(&check);
}
