#include "milter/facts.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "common/io/spf_check.h"
#include "common/mail/dnsbl.h"
#include "common/mail/public_suffix.h"
#include "milter/facts_keys.h"
#include "milter/policy_client.h"
#include "policyd/config.h"
#include "policyd/facts/host.h"
#include "policyd/open_dns.h"

/* Two texts of FACTS_TEXT_MAX, folded and as A-labels. */
#define IDENTITY_MAX ((size_t)64 << 10)

struct milter_facts {
	struct loop *loop;
	struct config *config;
	struct dns *dns;
	struct public_suffixes *suffixes;
	struct host_names *host_names;
	/* The policy processes, and those of them that know keys. */
	struct policy_client *policy, *keys;
	struct milter_keys *signing_keys; /* asked of these */
	size_t n_sessions;
	void (*empty)(void *arg); /* while it drains */
	void *empty_arg;
};

/* --- sessions ----------------------------------------------------------- */

static bool
is_trusted(const struct config *config, const struct ip *client)
{
	if (client->family == IP_NONE)
		return false;
	return ip_is_loopback(client) ||
	       networks_contain(config->mail.trusted_networks,
		       config->mail.n_trusted_networks, client);
}

static void
copy_settings(const struct milter_facts *facts, struct milter_settings *out)
{
	const struct config *config = facts->config;
	const struct slice own = slice_of(config->milter.authserv_id);
	const struct slice host = host_names_full(facts->host_names);
	const struct slice name = own.len > 0 ? own : host;

	/* The table of settings and the system have bounds below these. */
	(void)snprintf(out->authserv_id, sizeof(out->authserv_id), "%.*s",
		SLICE_ARG(name.len > 0 ? name : SLICE("localhost")));
	(void)snprintf(out->message, sizeof(out->message), "%s",
		config->milter.message);
	out->adds_auth = config->milter.auth;
	out->is_deferring = config->milter.on_error == RULE_ON_ERROR_DEFER;
	out->timeout_ms = config->milter.timeout_ms;
	out->header_fields = config->milter.header_fields;
	out->header_bytes = config->milter.header_bytes;
	out->counts_body = config->milter.end_of_message;
}

/* What of the header is signed. The names stay with the configuration. */
static void
choose_fields(struct facts_session *session)
{
	const struct config_list *headers = &session->config->dkim.headers;
	struct signing_settings *out = &session->settings.signing;

	out->fields = dkim_fields_default(&out->n_fields);
	if (headers->n == 0)
		return;
	session->fields = x_new_array(headers->n, struct dkim_field);
	for (size_t i = 0; i < headers->n; i++)
		session->fields[i] =
			(struct dkim_field){ slice_of(headers->items[i]),
				true };
	out->fields = session->fields;
	out->n_fields = headers->n;
}

static void
copy_signing(struct facts_session *session)
{
	const struct config *config = session->config;

	session->settings.signing = (struct signing_settings){
		/* Without it there are no keys, and nobody is asked for any. */
		.is_on = config->dkim.sign &&
			 config->dkim.master_key_file[0] != '\0',
		.is_deferring = config->dkim.on_error == RULE_ON_ERROR_DEFER,
		.header = config_canon_header(config),
		.body = config_canon_body(config),
		.expire_s = config->dkim.expire_ms / 1000,
	};
	choose_fields(session);
}

static void
begin_session(struct bridge_call *call)
{
	struct facts_session *session = (struct facts_session *)call;
	struct milter_facts *facts = session->facts;

	session->is_admitted =
		facts->n_sessions < facts->config->milter.sessions;
	session->is_trusted = is_trusted(facts->config, &session->client);
	session->config = config_ref(facts->config);
	copy_settings(facts, &session->settings);
	copy_signing(session);
	facts->n_sessions++;
	metric_set(METRIC_MILTER_SESSIONS, facts->n_sessions);
	if (!session->is_admitted)
		metric_add(METRIC_MILTER_SESSIONS_REFUSED, 1);
	bridge_answer(call);
}

static void
end_session(struct bridge_call *call)
{
	struct facts_session *session = (struct facts_session *)call;
	struct milter_facts *facts = session->facts;

	x_free(session->fields);
	config_unref(session->config);
	x_free(session);
	facts->n_sessions--;
	metric_set(METRIC_MILTER_SESSIONS, facts->n_sessions);
	if (facts->n_sessions == 0 && facts->empty != NULL)
		facts->empty(facts->empty_arg);
}

struct facts_session *
facts_ask_session(struct milter_facts *facts, const struct ip *client)
{
	static const struct bridge_kind kind = { begin_session, end_session };
	struct facts_session *session = x_new(struct facts_session);

	session->facts = facts;
	session->client = *client;
	bridge_ask(&session->call, &kind, facts->loop);
	return session;
}

struct loop *
milter_facts_loop(const struct milter_facts *facts)
{
	return facts->loop;
}

struct policy_client *
milter_facts_policy(struct milter_facts *facts)
{
	return facts->policy;
}

size_t
milter_facts_sessions(const struct milter_facts *facts)
{
	return facts->n_sessions;
}

void
milter_facts_drain(struct milter_facts *facts, void (*empty)(void *arg),
	void *arg)
{
	facts->empty = empty;
	facts->empty_arg = arg;
	if (facts->n_sessions == 0)
		empty(arg);
}

/* --- SPF ---------------------------------------------------------------- */

static void
on_spf(void *arg, const struct spf_outcome *outcome,
	const struct spf *evaluated)
{
	struct facts_spf *spf = arg;

	(void)evaluated;
	spf->check = NULL;
	spf->result = outcome->result;
	bridge_answer(&spf->call);
}

static void
evaluate(struct facts_spf *spf, struct arena *arena)
{
	struct milter_facts *facts = spf->facts;
	const struct config *config = facts->config;
	struct dns_session_config bounds = {
		.deadline_ms = config->spf.timeout_ms,
		.question_ms = config->dns.timeout_ms,
	};
	struct spf_input input = { .client = spf->client };

	spf_identify(arena, slice_of(spf->sender), slice_of(spf->helo), &input);
	input.receiver = host_names_full(facts->host_names);
	input.now = clock_wall();
	bounds.payer =
		public_suffixes_registrable(facts->suffixes, input.domain);
	spf->check = spf_check_start(facts->loop, facts->dns, &input, &bounds,
		on_spf, spf);
	metric_add(METRIC_SPF_EVALUATED, 1);
}

static void
begin_spf(struct bridge_call *call)
{
	struct arena *arena = arena_new(IDENTITY_MAX);

	evaluate((struct facts_spf *)call, arena);
	arena_free(arena);
}

static void
end_spf(struct bridge_call *call)
{
	struct facts_spf *spf = (struct facts_spf *)call;

	spf_check_cancel(spf->check);
	x_free(spf);
}

struct facts_spf *
facts_ask_spf(struct milter_facts *facts, const struct ip *client,
	struct slice helo, struct slice sender)
{
	static const struct bridge_kind kind = { begin_spf, end_spf };
	struct facts_spf *spf = x_new(struct facts_spf);

	spf->facts = facts;
	spf->client = *client;
	(void)snprintf(spf->helo, sizeof(spf->helo), "%.*s", SLICE_ARG(helo));
	(void)snprintf(spf->sender, sizeof(spf->sender), "%.*s",
		SLICE_ARG(sender));
	bridge_ask(&spf->call, &kind, facts->loop);
	return spf;
}

/* --- names of clients --------------------------------------------------- */

static void
on_names(void *arg, const struct dns_answer *answer)
{
	struct facts_ptr *ptr = arg;

	ptr->query = NULL;
	switch (answer->status) {
	case DNS_RECORDS:
		ptr->names = FACTS_NAMES_SOME;
		break;
	case DNS_NONE:
	case DNS_NO_SUCH_NAME:
		ptr->names = FACTS_NAMES_NONE;
		break;
	case DNS_FAILED:
	case DNS_BOGUS:
		ptr->names = FACTS_NAMES_FAILED;
		break;
	}
	bridge_answer(&ptr->call);
}

/*
 * Lists of clients are made as the names of addresses are (RFC 5782, 2.1). Who
 * has a network has its names, and may have them on servers that are silent:
 * the network pays.
 */
static void
begin_ptr(struct bridge_call *call)
{
	struct facts_ptr *ptr = (struct facts_ptr *)call;
	const struct milter_facts *facts = ptr->facts;
	const struct dnsbl zone = { .domain = ptr->client.family == IP_V4
						      ? SLICE("in-addr.arpa")
						      : SLICE("ip6.arpa") };
	const struct network payer =
		network_of(&ptr->client, ptr->client.family == IP_V4 ? 24 : 48);
	char name[DNSBL_NAME_MAX], payer_text[NETWORK_TEXT_MAX];

	ptr->query = dns_ask(facts->dns,
		slice_of(dnsbl_query_name(&zone, &ptr->client, name)),
		DNS_TYPE_PTR, facts->config->dns.timeout_ms,
		slice_of(network_format(&payer, payer_text)), on_names, ptr);
}

static void
end_ptr(struct bridge_call *call)
{
	struct facts_ptr *ptr = (struct facts_ptr *)call;

	dns_cancel(ptr->query);
	x_free(ptr);
}

struct facts_ptr *
facts_ask_ptr(struct milter_facts *facts, const struct ip *client)
{
	static const struct bridge_kind kind = { begin_ptr, end_ptr };
	struct facts_ptr *ptr = x_new(struct facts_ptr);

	ptr->facts = facts;
	ptr->client = *client;
	bridge_ask(&ptr->call, &kind, facts->loop);
	return ptr;
}

/* --- keys --------------------------------------------------------------- */

struct facts_keys *
facts_ask_keys(struct milter_facts *facts, struct slice domain)
{
	return milter_keys_ask(facts->signing_keys, domain);
}

static void
configure_keys(struct milter_facts *facts)
{
	milter_keys_configure(facts->signing_keys,
		facts->config->database.table_ttl_ms,
		facts->config->milter.timeout_ms);
}

/* --- other kinds of facts ----------------------------------------------- */

struct dmarc_check *
milter_facts_check_dmarc(struct milter_facts *facts,
	const struct dmarc_input *input, dmarc_check_done_fn *done, void *arg)
{
	const struct config *config = facts->config;
	const struct dns_session_config bounds = {
		.deadline_ms = config->dmarc.timeout_ms,
		.question_ms = config->dns.timeout_ms,
		.payer = public_suffixes_registrable(facts->suffixes,
			input->from),
	};
	struct dmarc_input known = *input;

	known.suffixes = facts->suffixes;
	return dmarc_check_start(facts->loop, facts->dns, &known, &bounds, done,
		arg);
}

struct dns_query *
milter_facts_ask_txt(struct milter_facts *facts, struct slice name,
	struct slice domain, dns_done_fn *done, void *arg)
{
	return dns_ask(facts->dns, name, DNS_TYPE_TXT,
		facts->config->dns.timeout_ms,
		public_suffixes_registrable(facts->suffixes, domain), done,
		arg);
}

/* --- reports ------------------------------------------------------------ */

struct telling {
	struct bridge_call call;
	struct facts_report report;
};

static void
log_report(const struct facts_report *report)
{
	char client[IP_TEXT_MAX] = "";

	if (report->client.family != IP_NONE)
		(void)ip_format(&report->client, client);
	log_line_begin(LOG_LEVEL_INFO, "message");
	log_line_text("action", slice_of(report->action));
	log_line_text("rule", slice_of(report->rule));
	log_line_text("queue_id", slice_of(report->queue_id));
	log_line_text("client_address", slice_of(client));
	log_line_text("helo_name", slice_of(report->helo));
	log_line_text("sender", slice_of(report->sender));
	log_line_text("sasl_username", slice_of(report->login));
	log_line_text("spf", slice_of(report->spf));
	log_line_text("spf_helo", slice_of(report->spf_helo));
	log_line_text("iprev", slice_of(report->iprev));
	log_line_text("signed", slice_of(report->signed_with));
	log_line_text("unsigned", slice_of(report->unsigned_why));
	log_line_text("dkim", slice_of(report->dkim));
	log_line_text("arc", slice_of(report->arc));
	if (report->n_removed > 0)
		log_line_u64("removed", report->n_removed);
	log_line_end();
}

static void
begin_telling(struct bridge_call *call)
{
	const struct facts_report *report = &((struct telling *)call)->report;

	log_report(report);
	metric_add(METRIC_MILTER_MESSAGES, 1);
	metric_add(METRIC_MILTER_REMOVED, report->n_removed);
	metric_add(METRIC_MILTER_LATE, report->was_late);
	metric_add(METRIC_DKIM_SIGNED, report->signed_with[0] != '\0');
	metric_add(METRIC_DKIM_UNSIGNED, report->unsigned_why[0] != '\0');
}

static void
end_telling(struct bridge_call *call)
{
	x_free(call);
}

void
facts_tell(struct milter_facts *facts, const struct facts_report *report)
{
	static const struct bridge_kind kind = { begin_telling, end_telling };
	struct telling *telling = x_new(struct telling);

	telling->report = *report;
	bridge_ask(&telling->call, &kind, facts->loop);
	bridge_release(&telling->call);
}

/* --- making and unmaking ------------------------------------------------ */

struct milter_facts *
milter_facts_new(struct loop *loop, struct config *config,
	const struct milter_servers *servers)
{
	struct milter_facts *facts = x_new(struct milter_facts);

	facts->loop = loop;
	facts->config = config_ref(config);
	facts->dns = open_dns(loop, config);
	facts->suffixes = public_suffixes_new();
	facts->host_names = host_names_new();
	facts->policy = policy_client_new(loop, &servers->policy);
	facts->keys = policy_client_new(loop, &servers->keys);
	facts->signing_keys = milter_keys_new(loop, facts->keys);
	configure_keys(facts);
	return facts;
}

void
milter_facts_configure(struct milter_facts *facts, struct config *config)
{
	config_unref(facts->config);
	facts->config = config_ref(config);
	configure_keys(facts);
}

void
milter_facts_free(struct milter_facts *facts)
{
	if (facts == NULL)
		return;
	milter_keys_free(facts->signing_keys);
	policy_client_free(facts->keys);
	policy_client_free(facts->policy);
	host_names_free(facts->host_names);
	public_suffixes_free(facts->suffixes);
	dns_free(facts->dns);
	config_unref(facts->config);
	x_free(facts);
}
