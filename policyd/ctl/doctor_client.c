/* Settings of Postfix that have to agree with ours. */

#include "policyd/ctl/doctor.h"

#include <limits.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/ip.h"
#include "policyd/config.h"

#define TIME_MAX_MS    (UINT64_C(366) * 24 * 60 * 60 * 1000)
#define NETWORKS_MAX   CONFIG_ITEMS_MAX
#define GOOD_TIMEOUT   "100s"
#define GOOD_ACTION    "451 4.3.5 Server configuration problem"
#define VALUE_MAX      ((size_t)64 << 10)
#define SMALL_REQUESTS 10

static const char *
duration_text(struct doctor *doctor, uint64_t ms)
{
	const char *copy;
	struct str text;

	str_init(&text, 64);
	num_append_duration(&text, ms);
	copy = slice_copy(doctor->arena, str_slice(&text)).ptr;
	str_free(&text);
	return copy;
}

/* --- the client of the policy protocol ---------------------------------- */

/* One setting of it, wherever it comes from. */
struct client_setting {
	struct slice value;
	const char *place, *mend;
};

/*
 * The attribute of one step, or the parameter: its value, and the line that
 * gives it another one.
 */
static struct client_setting
client_setting(struct doctor *doctor, const struct postconf_service *service,
	const char *list_name, const struct restriction *us,
	const char *attribute, const char *good)
{
	const struct restrictions list =
		doctor_list(doctor, service, list_name);
	const char *parameter =
		doctor_text(doctor, "smtpd_policy_service_%s", attribute);
	struct client_setting out;

	if (restriction_attribute(us, attribute, &out.value)) {
		out.place = doctor_place(doctor, service, list_name);
		out.mend = doctor_set(doctor, service, list_name,
			doctor_list_replaced(doctor, &list, us, out.value,
				good));
	} else {
		out.value =
			postconf_value(&doctor->postconf, service, parameter);
		out.place = doctor_place(doctor, service, parameter);
		out.mend =
			doctor_set(doctor, service, parameter, slice_of(good));
	}
	return out;
}

static void
check_timeout(struct doctor *doctor, const struct client_setting *setting)
{
	const uint64_t deadline_ms =
		doctor->config->policyd.decision_deadline_ms;
	uint64_t timeout_ms;

	if (!num_parse_duration(setting->value, 1000, TIME_MAX_MS,
		    &timeout_ms) ||
		timeout_ms > deadline_ms)
		return;
	doctor_find(doctor, DOCTOR_ERROR, setting->place, setting->mend,
		"Postfix waits %.*s for an answer, policyd may take %s "
		"(decision_deadline): Postfix gives up first, and defers",
		SLICE_ARG(setting->value), duration_text(doctor, deadline_ms));
}

/* What Postfix does while policyd cannot be reached. */
static void
check_default_action(struct doctor *doctor,
	const struct client_setting *setting)
{
	struct slice rest = setting->value, word;

	if (!restrictions_next_word(&rest, &word))
		return;
	if (slice_case_eq(word, SLICE("reject")) ||
		slice_starts(word, SLICE("5")))
		doctor_find(doctor, DOCTOR_ERROR, setting->place, setting->mend,
			"mail is refused for good while policyd cannot be "
			"reached, as during a restart");
	else if (slice_case_eq(word, SLICE("ok")) ||
		 slice_case_eq(word, SLICE("permit")))
		doctor_find(doctor, DOCTOR_WARNING, setting->place,
			setting->mend,
			"\"%.*s\" skips all that stands behind policyd in the "
			"list while policyd cannot be reached; DUNNO would "
			"go on",
			SLICE_ARG(word));
}

static void
check_idle(struct doctor *doctor, const struct client_setting *setting)
{
	const uint64_t idle_ms = doctor->config->limits.idle_timeout_ms;
	uint64_t postfix_ms;

	if (!num_parse_duration(setting->value, 1000, TIME_MAX_MS / 2,
		    &postfix_ms) ||
		postfix_ms < idle_ms)
		return;
	doctor_find(doctor, DOCTOR_NOTE, doctor_in_config(doctor, "limits"),
		doctor_text(doctor, "idle_timeout = %s",
			duration_text(doctor, 2 * postfix_ms)),
		"policyd closes a connection after %s (idle_timeout), which Postfix would "
		"keep for %.*s: it has to connect again",
		duration_text(doctor, idle_ms), SLICE_ARG(setting->value));
}

static void
check_request_limit(struct doctor *doctor, const struct client_setting *setting)
{
	uint64_t limit;

	if (num_parse_u64(setting->value, UINT64_MAX, &limit) && limit > 0 &&
		limit < SMALL_REQUESTS)
		doctor_find(doctor, DOCTOR_NOTE, setting->place, setting->mend,
			"Postfix makes a new connection to policyd after "
			"every %.*s requests",
			SLICE_ARG(setting->value));
}

static void
check_step(struct doctor *doctor, const struct postconf_service *service,
	const char *list, const struct restriction *us)
{
	static const struct {
		const char *attribute, *good;
		void (*check)(struct doctor *doctor,
			const struct client_setting *setting);
	} rows[] = {
		{ "timeout", GOOD_TIMEOUT, check_timeout },
		{ "default_action", GOOD_ACTION, check_default_action },
		{ "max_idle", "300s", check_idle },
		{ "request_limit", "0", check_request_limit },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct client_setting setting = client_setting(doctor,
			service, list, us, rows[i].attribute, rows[i].good);

		rows[i].check(doctor, &setting);
	}
}

void
doctor_check_policy_client(struct doctor *doctor)
{
	const struct postconf_service *service;

	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++)
		for (size_t j = 0; j <= doctor_n_recipient_lists; j++) {
			const char *name = j < doctor_n_recipient_lists
						   ? doctor_recipient_lists[j]
						   : DOCTOR_END_LIST;
			const struct restrictions list =
				doctor_list(doctor, service, name);
			const struct restriction *us =
				doctor_find_us(doctor, &list);

			if (us != NULL)
				check_step(doctor, service, name, us);
		}
}

/* --- how many may ask at once ------------------------------------------- */

static uint64_t
process_limit(const struct doctor *doctor,
	const struct postconf_service *service)
{
	struct slice text = service->process_limit;
	uint64_t limit;

	if (slice_eq(text, SLICE("-")))
		text = postconf_value(&doctor->postconf, NULL,
			"default_process_limit");
	return num_parse_u64(text, 1000000, &limit) ? limit : 0;
}

/* Each process of smtpd keeps a connection. */
void
doctor_check_connections(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	const uint64_t accepted =
		config->limits.connections * config->policyd.policy_processes;
	const struct postconf_service *service;
	uint64_t n = 0;

	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++)
		if (doctor_service_kind(doctor, service) !=
			DOCTOR_SERVICE_REINJECTION)
			n += process_limit(doctor, service);
	if (n <= accepted)
		return;
	doctor_find(doctor, DOCTOR_WARNING, doctor_in_config(doctor, "limits"),
		doctor_text(doctor, "connections = %llu",
			(unsigned long long)n),
		"Postfix may run %llu smtpd processes, and each keeps a "
		"connection; policyd takes %llu, and mail is deferred beyond",
		(unsigned long long)n, (unsigned long long)accepted);
}

/* --- addresses ---------------------------------------------------------- */

static bool
has_all(struct slice set, struct slice of)
{
	for (size_t i = 0; i < of.len; i++)
		if (!slice_has_byte(set, of.ptr[i]))
			return false;
	return true;
}

void
doctor_check_delimiters(struct doctor *doctor)
{
	const struct slice ours =
		slice_of(doctor->config->mail.recipient_delimiters);
	struct slice theirs;

	if (!postconf_main(&doctor->postconf, "recipient_delimiter", &theirs) ||
		(has_all(ours, theirs) && has_all(theirs, ours)))
		return;
	doctor_find(doctor, DOCTOR_WARNING, doctor_in_config(doctor, "mail"),
		doctor_text(doctor, "recipient_delimiters =%s%.*s",
			theirs.len > 0 ? " " : "", SLICE_ARG(theirs)),
		"recipient_delimiters is \"%.*s\", recipient_delimiter of "
		"Postfix is \"%.*s\": they disagree on which addresses are one "
		"account",
		SLICE_ARG(ours), SLICE_ARG(theirs));
}

/*
 * Postfix finds the way for list%example.com@mx.example.com, and delivers it
 * to list@example.com; it asks us about the former, which is nobody's.
 */
void
doctor_check_routes(struct doctor *doctor)
{
	static const struct {
		const char *parameter, *address;
	} routes[] = {
		{ "allow_percent_hack", "user%example.com" },
		{ "swap_bangpath", "example.com!user" },
	};

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const char *name = routes[i].parameter;
		struct slice value;

		if (!postconf_main(&doctor->postconf, name, &value) ||
			!slice_case_eq(value, SLICE("yes")))
			continue;
		doctor_find(doctor, DOCTOR_WARNING,
			doctor_place(doctor, NULL, name),
			doctor_set(doctor, NULL, name, SLICE("no")),
			"mail to %s at a name of this host is delivered to "
			"user@example.com, but policyd is asked about another "
			"address: no list, limit or policy of the user holds",
			routes[i].address);
	}
}

static bool
is_on(const struct doctor *doctor, const char *name)
{
	enum rule_id rule;

	return rule_id_parse(slice_of(name), &rule) &&
	       doctor->config->rule[rule].mode != RULE_MODE_OFF;
}

void
doctor_check_client_names(struct doctor *doctor)
{
	const struct postconf_service *service;

	if (!is_on(doctor, "wblist_rdns"))
		return;
	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++) {
		const char *name = "smtpd_peername_lookup";
		const bool is_looked_up =
			postconf_is_yes(&doctor->postconf, service, name);

		if (!is_looked_up && doctor_service_kind(doctor, service) ==
					     DOCTOR_SERVICE_PUBLIC)
			doctor_find(doctor, DOCTOR_WARNING,
				doctor_place(doctor, service, name),
				doctor_set(doctor, service, name, SLICE("yes")),
				"Postfix does not look up the names of "
				"clients, so the rule wblist_rdns never "
				"matches");
	}
}

/* --- networks ----------------------------------------------------------- */

static bool
covers(const struct network *outer, const struct network *inner)
{
	return outer->prefix_length <= inner->prefix_length &&
	       network_contains(outer, &inner->address);
}

static bool
is_covered(const struct network *list, size_t n, const struct network *one)
{
	for (size_t i = 0; i < n; i++)
		if (covers(&list[i], one))
			return true;
	return false;
}

/* All of 127.0.0.0/8: a client there is this host. */
static bool
is_loopback(const struct network *network)
{
	static const struct network loopback = {
		.address = { .family = IP_V4, .bytes = { 127 } },
		.prefix_length = 8,
	};

	return ip_is_loopback(&network->address) || covers(&loopback, network);
}

/* "192.0.2.0/24", "[2001:db8::]/32", "[::ffff:127.0.0.0]/104" */
static bool
read_network(struct slice word, struct network *out)
{
	struct str text;
	uint64_t length;
	bool is_good;

	str_init(&text, 64);
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] != '[' && word.ptr[i] != ']')
			str_append_char(&text, word.ptr[i]);
	is_good = !text.is_cut && network_parse(str_slice(&text), out, NULL);
	if (!is_good && slice_starts(str_slice(&text), SLICE("::ffff:"))) {
		struct slice rest = slice_from(str_slice(&text), 7), address;

		(void)slice_split(&rest, '/', &address);
		is_good = num_parse_u64(rest, 128, &length) && length >= 96 &&
			  ip_parse(address, &out->address);
		if (is_good)
			*out = network_of(&out->address, (unsigned)length - 96);
	}
	str_free(&text);
	return is_good;
}

struct networks {
	struct network items[NETWORKS_MAX];
	size_t n;
	bool has_others; /* files, tables, exceptions: not to be compared */
};

static void
read_networks(struct slice text, struct networks *out)
{
	struct slice word;

	memset(out, 0, sizeof(*out));
	while (restrictions_next_word(&text, &word))
		if (out->n < NETWORKS_MAX &&
			read_network(word, &out->items[out->n]))
			out->n++;
		else
			out->has_others = true;
}

static void
append_networks(struct str *out, const struct network *list, size_t n)
{
	char text[NETWORK_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		str_printf(out, "%s%s", out->len > 0 ? ", " : "",
			network_format(&list[i], text));
}

/* Those of some that none of others covers; loopback is always trusted. */
static size_t
find_missing(const struct network *some, size_t n_some,
	const struct network *others, size_t n_others,
	struct network out[NETWORKS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < n_some && n < NETWORKS_MAX; i++)
		if (!is_loopback(&some[i]) &&
			!is_covered(others, n_others, &some[i]))
			out[n++] = some[i];
	return n;
}

static void
tell_missing(struct doctor *doctor, const struct network *missing, size_t n)
{
	const struct config *config = doctor->config;
	struct str line, names;

	str_init(&names, VALUE_MAX);
	str_init(&line, VALUE_MAX);
	append_networks(&names, missing, n);
	append_networks(&line, config->mail.trusted_networks,
		config->mail.n_trusted_networks);
	append_networks(&line, missing, n);
	doctor_find(doctor, DOCTOR_WARNING, doctor_in_config(doctor, "mail"),
		doctor_text(doctor, "trusted_networks = %s", str_text(&line)),
		"mynetworks of Postfix has %s, trusted_networks has not: "
		"Postfix relays their mail, and policyd greylists it",
		str_text(&names));
	str_free(&names);
	str_free(&line);
}

static void
tell_superfluous(struct doctor *doctor, const struct network *superfluous,
	size_t n, const struct networks *theirs)
{
	struct network kept[NETWORKS_MAX];
	struct str line, names;
	size_t n_kept = 0;

	for (size_t i = 0; i < theirs->n; i++)
		if (!is_loopback(&theirs->items[i]))
			kept[n_kept++] = theirs->items[i];
	str_init(&names, VALUE_MAX);
	str_init(&line, VALUE_MAX);
	append_networks(&names, superfluous, n);
	append_networks(&line, kept, n_kept);
	doctor_find(doctor, DOCTOR_NOTE, doctor_in_config(doctor, "mail"),
		doctor_text(doctor, "trusted_networks =%s%s",
			n_kept > 0 ? " " : "", str_text(&line)),
		"trusted_networks has %s, mynetworks of Postfix has not: "
		"policyd trusts whom Postfix does not",
		str_text(&names));
	str_free(&names);
	str_free(&line);
}

void
doctor_check_networks(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	const struct network *ours = config->mail.trusted_networks;
	const size_t n_ours = config->mail.n_trusted_networks;
	struct network found[NETWORKS_MAX];
	struct networks theirs;
	struct slice text;
	size_t n;

	if (!postconf_main(&doctor->postconf, "mynetworks", &text))
		return;
	read_networks(text, &theirs);
	n = find_missing(theirs.items, theirs.n, ours, n_ours, found);
	if (n > 0)
		tell_missing(doctor, found, n);
	n = find_missing(ours, n_ours, theirs.items, theirs.n, found);
	if (n > 0 && !theirs.has_others)
		tell_superfluous(doctor, found, n, &theirs);
}

/* --- logins ------------------------------------------------------------- */

void
doctor_check_logins(struct doctor *doctor)
{
	const struct postconf_service *service;
	const char *name = "smtpd_sasl_auth_enable";

	for (size_t i = 0; (service = doctor_service(doctor, i)) != NULL; i++)
		if (doctor_service_kind(doctor, service) ==
				DOCTOR_SERVICE_PUBLIC &&
			postconf_is_yes(&doctor->postconf, service, name))
			doctor_find(doctor, DOCTOR_NOTE,
				doctor_place(doctor, service, name),
				doctor_set_for(doctor, service, name,
					SLICE("no")),
				"users may log in on %.*s, where everyone "
				"delivers mail: passwords are guessed there, "
				"and 587 or 465 is for users",
				SLICE_ARG(service->name));
}
