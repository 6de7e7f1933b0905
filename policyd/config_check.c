#include "policyd/config_table.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/mail/address.h"
#include "common/mail/dkim_fields.h"
#include "common/mail/dnsbl.h"
#include "common/mail/ip.h"

#define ITEM_ERROR_MAX 256

#define DKIM_EXPIRE_MIN_MS (60 * 60 * (uint64_t)1000)

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

/* A list of sockets: its setting, and what is in it. */
struct sockets {
	const void *field;
	const struct sock_address *items;
	size_t n;
};

/* Reports what is in both lists, or twice in one. */
static void
check_two_lists(struct check *check, const struct sockets *a,
	const struct sockets *b)
{
	char text[96] = "names a socket twice";

	if (a != b)
		(void)snprintf(text, sizeof(text), "is a socket of %s, too",
			config_setting_at(row_of_field(check, b->field))->key);
	for (size_t i = 0; i < a->n; i++)
		for (size_t j = 0; j < (a == b ? i : b->n); j++)
			if (strcmp(a->items[i].text, b->items[j].text) == 0)
				report(check, a->field, b->field, text);
}

static void
check_sockets(struct check *check)
{
	const struct config *config = check->config;
	const struct sock_address *control = &config->policyd.control;
	const struct sock_address *milter = &config->milter.listen;
	const struct sockets lists[] = {
		{ &config->policyd.listen, config->policyd.listen,
			config->policyd.n_listen },
		{ control, control, 1 },
		{ milter, milter, config_has_milter(config) },
		{ &config->srs.forward, config->srs.forward,
			config->srs.n_forward },
		{ &config->srs.reverse, config->srs.reverse,
			config->srs.n_reverse },
		{ &config->srs.socketmap, config->srs.socketmap,
			config->srs.n_socketmap },
	};
	/* Without a domain those of SRS are not opened. */
	const size_t n = config_has_srs(config) ? 6 : 3;

	if (!control->is_unix)
		report(check, control, control,
			"must be a unix socket, such as "
			"unix:/run/policyd/control");
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j <= i; j++)
			check_two_lists(check, &lists[i], &lists[j]);
}

/* Whether somebody who connects to an address reaches this listener. */
static bool
leads_to(const struct sock_address *address,
	const struct sock_address *listener)
{
	struct ip to, on, any = { .family = IP_NONE };

	if (address->is_unix || listener->is_unix)
		return strcmp(address->text, listener->text) == 0;
	if (address->port != listener->port ||
		!ip_parse(slice_of(address->host), &to) ||
		!ip_parse(slice_of(listener->host), &on))
		return false;
	any.family = to.family;
	return ip_eq(&to, &on) || (ip_is_loopback(&to) && ip_eq(&on, &any));
}

/* A request would go round until no connection is left. */
static void
check_parallel(struct check *check)
{
	const struct config *config = check->config;

	for (size_t i = 0; i < config->policyd.n_listen; i++)
		if (leads_to(&config->policyd.parallel,
			    &config->policyd.listen[i]))
			report(check, &config->policyd.parallel,
				&config->policyd.listen,
				"is a socket of policy_listen, too: policyd "
				"would ask itself");
}

static void
check_srs(struct check *check)
{
	const struct config *config = check->config;
	const bool has_file = config->srs.secrets_file[0] != '\0';

	if (config_has_srs(config) != has_file)
		report(check, &config->srs.domain, &config->srs.secrets_file,
			"and secrets_file need each other");
	if (config_has_srs(config) &&
		!domain_is_plain(slice_of(config->srs.domain)))
		report(check, &config->srs.domain, &config->srs.domain,
			"is not the name of a mail domain, such as "
			"srs.example.com");
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
check_dns(struct check *check)
{
	const struct config_list *resolvers = &check->config->dns.resolvers;

	if (config_dns_is_recursive(check->config))
		return;
	for (size_t i = 0; i < resolvers->n; i++) {
		if (config_is_resolver(slice_of(resolvers->items[i])))
			continue;
		report(check, resolvers, resolvers,
			"must be addresses such as 127.0.0.1 or "
			"127.0.0.1@5353, or the one word recursive");
		return;
	}
}

static void
check_reputation(struct check *check)
{
	const struct config_list *lists = &check->config->reputation.lists;
	char text[ITEM_ERROR_MAX];
	struct dnsbl list;
	const char *err;

	for (size_t i = 0; i < lists->n; i++) {
		if (dnsbl_parse(slice_of(lists->items[i]), &list, &err))
			continue;
		/* An item that is longer is cut: the line is named, too. */
		(void)snprintf(text, sizeof(text), "\"%.60s\": %s",
			lists->items[i], err);
		report(check, lists, lists, text);
	}
}

/* A network, or the name of a client, or .domain for the names below it. */
static bool
is_client(struct slice item)
{
	struct network network;

	if (network_parse(item, &network, NULL))
		return true;
	if (slice_starts(item, SLICE(".")))
		item = slice_from(item, 1);
	return domain_is_plain(item);
}

static void
check_clients(struct check *check, const struct config_list *list)
{
	char text[ITEM_ERROR_MAX];

	for (size_t i = 0; i < list->n; i++) {
		if (is_client(slice_of(list->items[i])))
			continue;
		(void)snprintf(text, sizeof(text),
			"\"%.100s\" is not a network, a name such as "
			"mx.example.net, or .example.net",
			list->items[i]);
		report(check, list, list, text);
		return;
	}
}

static void
check_dmarc(struct check *check)
{
	const struct config_list *list = &check->config->dmarc.force_reject;
	char text[ITEM_ERROR_MAX];

	check_clients(check, &check->config->dmarc.trusted_forwarders);
	for (size_t i = 0; i < list->n; i++) {
		const struct slice item = slice_of(list->items[i]);

		if (domain_is_plain(slice_from(item,
			    slice_starts(item, SLICE(".")) ? 1 : 0)))
			continue;
		(void)snprintf(text, sizeof(text),
			"\"%.100s\" is not a domain such as example.com, or "
			".example.com",
			list->items[i]);
		report(check, list, list, text);
		return;
	}
}

/* A token of RFC 2045, 5.1, as a name has it: nothing that would be quoted. */
static void
check_authserv_id(struct check *check)
{
	char *const *id = &check->config->milter.authserv_id;

	for (const char *c = *id; *c != '\0'; c++) {
		if (isalnum((unsigned char)*c) || strchr("-._", *c))
			continue;
		report(check, id, id, "is not a name such as mx.example.com");
		return;
	}
}

static void
check_milter(struct check *check)
{
	const bool *end = &check->config->milter.end_of_message;

	check_authserv_id(check);
	if (*end && !config_has_milter(check->config))
		report(check, end, end,
			"nobody would judge there without a milter: set "
			"milter.listen, too");
}

static void
check_dkim(struct check *check)
{
	const struct config_list *headers = &check->config->dkim.headers;
	const uint64_t *expire = &check->config->dkim.expire_ms;
	struct dkim_field fields[DKIM_FIELDS_MAX];
	const char *err;

	for (size_t i = 0; i < headers->n; i++)
		fields[i].name = slice_of(headers->items[i]);
	if (headers->n > 0 && dkim_fields_check(fields, headers->n, &err) < 0)
		report(check, headers, headers, err);
	if (*expire > 0 && *expire < DKIM_EXPIRE_MIN_MS)
		report(check, expire, expire,
			"mail may be that long on its way: at least 1h, or "
			"0s for never");
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
	check_parallel(&check);
	check_limits(&check);
	check_mail(&check);
	for (size_t i = 0; i < CONFIG_DB_COUNT; i++)
		check_db(&check, &config->db[i]);
	check_greylisting(&check);
	check_srs(&check);
	check_dns(&check);
	check_reputation(&check);
	check_clients(&check, &config->spf.skip);
	check_dmarc(&check);
	check_milter(&check);
	check_dkim(&check);
	check_notify(&check);
}
