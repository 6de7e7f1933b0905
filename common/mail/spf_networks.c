#include "common/mail/spf_networks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/idn.h"
#include "common/mail/spf_macro.h"
#include "common/mail/spf_private.h"

/* Shorter prefixes are left out. */
#define PREFIX_V4_MIN 8u
#define PREFIX_V6_MIN 16u

/* Letters of macros, but for %{d}: they depend on the mail. */
#define DEPENDENT_LETTERS "slopivhcrt"

struct spf_networks {
	struct arena *arena;
	struct slice domain;
	struct spf_question questions[SPF_NETWORKS_QUESTIONS_MAX];
	size_t n_questions;
	struct network *found;
	/* Of this run: */
	bool is_seen[SPF_NETWORKS_QUESTIONS_MAX]; /* the record was taken */
	bool is_waiting, is_over;
	struct spf_networks_outcome outcome;
};

static void add_record(struct spf_networks *networks, struct slice domain,
	struct slice spec);

/* --- what goes wrong ---------------------------------------------------- */

/* The first problem is told, unless a later one may go away by itself. */
static void
note(struct spf_networks *networks, enum spf_networks_status status,
	struct slice where, struct slice what)
{
	struct spf_networks_outcome *outcome = &networks->outcome;

	if (outcome->status >= status)
		return;
	outcome->status = status;
	outcome->problem = slice_of(arena_printf(networks->arena, "%.*s: %.*s",
		SLICE_ARG(where), SLICE_ARG(what)));
}

/* For everybody who did not match before, that is a permerror. */
static void
end_broken(struct spf_networks *networks, struct slice where, const char *what)
{
	note(networks, SPF_NETWORKS_BROKEN, where, slice_of(what));
	networks->is_over = true;
}

/* --- questions ---------------------------------------------------------- */

static struct spf_question *
asked_before(struct spf_networks *networks, struct slice name,
	enum dns_type type)
{
	for (size_t i = 0; i < networks->n_questions; i++) {
		struct spf_question *question = &networks->questions[i];

		if (question->type == type &&
			slice_case_eq(question->name, name))
			return question;
	}
	return NULL;
}

static struct spf_question *
ask(struct spf_networks *networks, struct slice name, enum dns_type type)
{
	struct spf_question *question;

	if (networks->n_questions == SPF_NETWORKS_QUESTIONS_MAX) {
		note(networks, SPF_NETWORKS_BROKEN, networks->domain,
			SLICE("more names would have to be looked up than "
			      "policyd does"));
		return NULL;
	}
	question = &networks->questions[networks->n_questions++];
	question->name = question->target = slice_copy(networks->arena, name);
	question->type = type;
	return question;
}

/* NULL while the answer is not here, and when there will be none. */
static const struct spf_question *
answer_of(struct spf_networks *networks, struct slice name, enum dns_type type)
{
	struct spf_question *question = asked_before(networks, name, type);

	if (question == NULL)
		question = ask(networks, name, type);
	if (question == NULL)
		return NULL;
	if (question->state != SPF_ANSWERED) {
		networks->is_waiting = true;
		return NULL;
	}
	if (question->status == DNS_FAILED || question->status == DNS_BOGUS) {
		note(networks, SPF_NETWORKS_UNAVAILABLE, question->name,
			question->reason);
		return NULL;
	}
	return question;
}

/* A spec of "" is the domain's own name. */
static const struct spf_question *
answer_of_target(struct spf_networks *networks, struct slice domain,
	struct slice spec, enum dns_type type)
{
	const struct spf_macro_values values = { .domain = domain };
	const struct spf_question *question;
	struct str name;

	if (spec.len == 0)
		return answer_of(networks, domain, type);
	str_init(&name, SPF_NAME_LEN_MAX);
	spf_macro_expand_name(spec, &values, &name);
	question = answer_of(networks, str_slice(&name), type);
	str_free(&name);
	return question;
}

struct spf_question *
spf_networks_next_question(struct spf_networks *networks)
{
	return spf_give_out(networks->questions, networks->n_questions);
}

void
spf_networks_answer(struct spf_networks *networks,
	struct spf_question *question, const struct dns_answer *answer)
{
	spf_question_answer(networks->arena, question, answer);
}

/* --- networks ----------------------------------------------------------- */

static bool
is_fit(const struct network *network)
{
	const uint8_t first = network->address.bytes[0];

	if (network->address.family == IP_V4)
		return network->prefix_length >= PREFIX_V4_MIN && first != 0 &&
		       first != 127;
	return network->prefix_length >= PREFIX_V6_MIN && first != 0;
}

static void
add_network(struct spf_networks *networks, const struct network *network)
{
	struct spf_networks_outcome *outcome = &networks->outcome;

	if (!is_fit(network)) {
		outcome->n_unfit++;
	} else if (outcome->n_networks < SPF_NETWORKS_MAX) {
		networks->found[outcome->n_networks++] = *network;
	} else {
		end_broken(networks, networks->domain,
			"it names more networks than policyd takes");
	}
}

static void
add_addresses(struct spf_networks *networks,
	const struct spf_question *question, unsigned prefix_length)
{
	if (question == NULL)
		return;
	for (size_t i = 0; i < question->n_records; i++) {
		const struct network network =
			network_of(&question->addresses[i], prefix_length);

		add_network(networks, &network);
	}
}

/* Mail comes over both, whichever of them the client that asks would have. */
static void
add_host(struct spf_networks *networks, struct slice domain, struct slice spec,
	const struct spf_term *term)
{
	add_addresses(networks,
		answer_of_target(networks, domain, spec, DNS_TYPE_A),
		term->prefix_v4);
	add_addresses(networks,
		answer_of_target(networks, domain, spec, DNS_TYPE_AAAA),
		term->prefix_v6);
}

/* A domain that takes no mail names "." (RFC 7505). */
static void
add_mail_hosts(struct spf_networks *networks, struct slice domain,
	const struct spf_term *term)
{
	const struct spf_question *mx = answer_of_target(networks, domain,
		term->domain_spec, DNS_TYPE_MX);

	if (mx == NULL)
		return;
	for (size_t i = 0; i < mx->n_records && i < SPF_NAMES_MAX; i++)
		if (mx->names[i].len > 0)
			add_host(networks, mx->names[i], SLICE(""), term);
	if (mx->n_records > SPF_NAMES_MAX)
		end_broken(networks, mx->name, "it has more than ten hosts");
}

/* --- records ------------------------------------------------------------ */

/*
 * Counts what depends on the mail; and names with a backslash, which would
 * quote what is behind it: nobody's servers are called so.
 */
static bool
is_dependent(struct spf_networks *networks, struct slice spec)
{
	const bool is_so = spf_macro_uses(spec, DEPENDENT_LETTERS) ||
			   slice_has_byte(spec, '\\');

	networks->outcome.n_dependent += is_so;
	return is_so;
}

static void
add_term(struct spf_networks *networks, struct slice domain,
	const struct spf_term *term)
{
	switch (term->mechanism) {
	case SPF_ALL:
		networks->outcome.n_unfit++;
		break;
	case SPF_INCLUDE:
		add_record(networks, domain, term->domain_spec);
		break;
	case SPF_A:
		add_host(networks, domain, term->domain_spec, term);
		break;
	case SPF_MX:
		add_mail_hosts(networks, domain, term);
		break;
	case SPF_PTR:
	case SPF_EXISTS:
		networks->outcome.n_dependent++;
		break;
	case SPF_IP4:
	case SPF_IP6:
		add_network(networks, &term->network);
		break;
	}
}

static void
add_terms(struct spf_networks *networks, const struct spf_question *question)
{
	const struct spf_record *record = &question->record;

	for (size_t i = 0; i < record->n_terms && !networks->is_over; i++) {
		const struct spf_term *term = &record->terms[i];

		if (term->result == SPF_PASS &&
			!is_dependent(networks, term->domain_spec))
			add_term(networks, question->name, term);
		if (term->mechanism == SPF_ALL)
			return;
	}
	if (record->redirect.len > 0 && !networks->is_over &&
		!is_dependent(networks, record->redirect))
		add_record(networks, question->name, record->redirect);
}

/* The domain itself may do without a record; what it points to may not. */
static void
add_without_record(struct spf_networks *networks,
	const struct spf_question *question, bool is_own)
{
	static const struct spf_term any = { .prefix_v4 = 32,
		.prefix_v6 = 128 };

	if (!is_own)
		end_broken(networks, question->name, "it has no SPF record");
	else if (question->status != DNS_NO_SUCH_NAME)
		add_mail_hosts(networks, question->name, &any);
}

/* Each record once: what leads back to one adds nothing. */
static void
add_record(struct spf_networks *networks, struct slice domain,
	struct slice spec)
{
	const struct spf_question *question =
		answer_of_target(networks, domain, spec, DNS_TYPE_TXT);
	bool *is_seen;

	if (question == NULL)
		return;
	is_seen = &networks->is_seen[question - networks->questions];
	if (*is_seen)
		return;
	*is_seen = true;
	if (question->n_spf_records == 0)
		add_without_record(networks, question, spec.len == 0);
	else if (question->n_spf_records > 1)
		end_broken(networks, question->name,
			"it has several SPF records");
	else if (question->record_err != NULL)
		end_broken(networks, question->name, question->record_err);
	else
		add_terms(networks, question);
}

/* --- the whole ---------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	return network_compare(a, b);
}

static void
sort(struct spf_networks *networks)
{
	struct network *found = networks->found;
	const size_t n = networks->outcome.n_networks;
	size_t n_kept = n > 0 ? 1 : 0;

	qsort(found, n, sizeof(*found), compare);
	for (size_t i = 1; i < n; i++)
		if (network_compare(&found[i], &found[n_kept - 1]) != 0)
			found[n_kept++] = found[i];
	networks->outcome.networks = found;
	networks->outcome.n_networks = n_kept;
}

static uint32_t
least_ttl(const struct spf_networks *networks)
{
	uint32_t ttl = UINT32_MAX;

	for (size_t i = 0; i < networks->n_questions; i++)
		if (networks->questions[i].ttl < ttl)
			ttl = networks->questions[i].ttl;
	return ttl;
}

struct spf_networks *
spf_networks_new(struct arena *arena, struct slice domain)
{
	struct spf_networks *networks =
		arena_new_object(arena, struct spf_networks);

	networks->arena = arena;
	if (!idn_to_ascii(arena, domain, &networks->domain))
		networks->domain = slice_copy(arena, domain);
	networks->found =
		arena_new_array(arena, SPF_NETWORKS_MAX, struct network);
	return networks;
}

bool
spf_networks_collect(struct spf_networks *networks,
	struct spf_networks_outcome *out)
{
	memset(&networks->outcome, 0, sizeof(networks->outcome));
	memset(networks->is_seen, 0, sizeof(networks->is_seen));
	networks->is_waiting = networks->is_over = false;
	add_record(networks, networks->domain, SLICE(""));
	if (networks->is_waiting)
		return false;
	sort(networks);
	networks->outcome.ttl = least_ttl(networks);
	*out = networks->outcome;
	return true;
}
