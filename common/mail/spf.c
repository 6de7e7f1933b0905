#include "common/mail/spf_private.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/idn.h"

/*
 * Octets of a local part, and of a HELO name, that macros see. RFC 5321,
 * 4.5.3.1 allows 64 and 255, and no name in the DNS could hold more.
 */
#define IDENTITY_MAX 255u

/* What a term says of the client. */
enum match { MATCH_NO, MATCH_YES, MATCH_TEMPERROR, MATCH_PERMERROR };

struct verdict {
	enum spf_result result;
	struct slice matched;
	struct slice exp, exp_domain; /* of the record that decided */
};

static bool check_host(struct spf *spf, const struct spf_host *from,
	struct slice spec, struct verdict *out);

/* --- identities --------------------------------------------------------- */

static struct slice
in_a_labels(struct arena *arena, struct slice name)
{
	struct slice ascii;

	return idn_to_ascii(arena, name, &ascii) ? ascii : SLICE("");
}

void
spf_identify(struct arena *arena, struct slice sender, struct slice helo,
	struct spf_input *out)
{
	const ptrdiff_t at = slice_find_last(sender, '@');

	out->local = at > 0 ? slice_part(sender, 0, (size_t)at)
			    : SLICE("postmaster");
	out->helo = in_a_labels(arena, helo);
	out->domain = sender.len == 0
			      ? out->helo
			      : in_a_labels(arena,
					slice_from(sender, (size_t)(at + 1)));
}

static struct slice
without_dot(struct slice name)
{
	return slice_ends(name, SLICE(".")) ? slice_part(name, 0, name.len - 1)
					    : name;
}

/* 4.3: a name of several labels, each of 1 to 63 octets. */
static bool
is_evaluable(struct slice domain)
{
	struct slice rest = domain, label;
	size_t n = 0;

	if (rest.len == 0 || rest.len > SPF_NAME_LEN_MAX ||
		slice_starts(domain, SLICE("[")))
		return false;
	while (slice_split(&rest, '.', &label)) {
		if (label.len == 0 || label.len > DNS_LABEL_MAX)
			return false;
		n++;
	}
	return n > 1;
}

struct spf *
spf_new(struct arena *arena, const struct spf_input *input)
{
	struct spf *spf = arena_new_object(arena, struct spf);
	struct spf_input *in = &spf->input;

	assert(input->client.family != IP_NONE);
	spf->arena = arena;
	*in = *input;
	in->local =
		slice_copy(arena, slice_part(input->local, 0, IDENTITY_MAX));
	in->domain = slice_copy(arena, without_dot(input->domain));
	in->helo = slice_copy(arena, slice_part(input->helo, 0, IDENTITY_MAX));
	in->receiver = input->receiver.len == 0
			       ? SLICE("unknown")
			       : slice_copy(arena, input->receiver);
	return spf;
}

/* --- texts -------------------------------------------------------------- */

/*
 * What goes into a reply of SMTP, a header or a log: a sender writes parts of
 * it, into names that an evaluation came to.
 */
static struct slice
printable(struct arena *arena, struct slice text)
{
	char *out = arena_memdup(arena, text.ptr, text.len);

	for (size_t i = 0; i < text.len; i++)
		if (out[i] < ' ' || out[i] > '~')
			out[i] = '?';
	return (struct slice){ out, text.len };
}

/* --- limits and errors -------------------------------------------------- */

static enum match
permerror(struct spf *spf, const struct spf_host *host, const char *what)
{
	spf->problem = slice_of(arena_printf(spf->arena, "%.*s: %s",
		SLICE_ARG(host->domain), what));
	return MATCH_PERMERROR;
}

static enum match
temperror(struct spf *spf, const struct spf_question *question)
{
	spf->problem = slice_of(arena_printf(spf->arena, "%.*s: %.*s",
		SLICE_ARG(question->target), SLICE_ARG(question->reason)));
	return MATCH_TEMPERROR;
}

static bool
is_error(enum spf_result result)
{
	return result == SPF_TEMPERROR || result == SPF_PERMERROR;
}

static bool
has_failed(const struct spf_question *question)
{
	return question->status == DNS_FAILED || question->status == DNS_BOGUS;
}

/*
 * 4.6.4, of the question that a term asks itself. What counts are terms: the
 * hosts of "mx" do not, or a client with IPv6 would be refused for each host
 * of its domain that has none.
 */
static enum match
check_void(struct spf *spf, const struct spf_host *host,
	const struct spf_question *question)
{
	if (has_failed(question))
		return temperror(spf, question);
	if (question->status != DNS_RECORDS &&
		++spf->progress.n_void > SPF_VOID_LOOKUPS_MAX)
		return permerror(spf, host,
			"more than two of its terms find nothing in the DNS");
	return MATCH_NO;
}

/* --- mechanisms --------------------------------------------------------- */

struct judgement {
	enum match match;
	struct slice below; /* of an include that matches: what did in there */
};

/* False: not ready. The same holds for all below. */
typedef bool judge_fn(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out);

static enum match
match_if(bool is_match)
{
	return is_match ? MATCH_YES : MATCH_NO;
}

static unsigned
prefix_of(const struct spf *spf, const struct spf_term *term)
{
	return spf->input.client.family == IP_V4 ? term->prefix_v4
						 : term->prefix_v6;
}

static bool
judge_all(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	(void)spf;
	(void)host;
	(void)term;
	out->match = MATCH_YES;
	return true;
}

static bool
judge_network(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	(void)host;
	out->match =
		match_if(network_contains(&term->network, &spf->input.client));
	return true;
}

static bool
judge_a(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	struct spf_question *question;

	if (!spf_ask_target(spf, host, term->domain_spec, spf_address_type(spf),
		    &question))
		return false;
	if (question == NULL)
		return true;
	out->match = check_void(spf, host, question);
	if (out->match == MATCH_NO)
		out->match = match_if(
			spf_names_client(spf, question, prefix_of(spf, term)));
	return true;
}

/* 5.7: whatever the client's address is, any A record will do. */
static bool
judge_exists(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	struct spf_question *question;

	if (!spf_ask_target(spf, host, term->domain_spec, DNS_TYPE_A,
		    &question))
		return false;
	if (question == NULL)
		return true;
	out->match = check_void(spf, host, question);
	if (out->match == MATCH_NO)
		out->match = match_if(question->status == DNS_RECORDS);
	return true;
}

/* All hosts are asked for at once, and judged in their order (5.4). */
static bool
judge_hosts(struct spf *spf, const struct spf_term *term,
	struct spf_question *mx, struct judgement *out)
{
	const struct spf_question *hosts[SPF_NAMES_MAX];

	for (size_t i = 0; i < mx->n_records; i++)
		hosts[i] = spf_ask_host(spf, mx->names[i]);
	while (mx->n_judged < mx->n_records && out->match == MATCH_NO) {
		const struct spf_question *host = hosts[mx->n_judged];

		if (!spf_is_answered(host))
			return false;
		if (has_failed(host))
			out->match = temperror(spf, host);
		else if (spf_names_client(spf, host, prefix_of(spf, term)))
			out->match = MATCH_YES;
		else
			mx->n_judged++;
	}
	return true;
}

static bool
judge_mx(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	struct spf_question *mx;

	if (!spf_ask_target(spf, host, term->domain_spec, DNS_TYPE_MX, &mx))
		return false;
	if (mx == NULL)
		return true;
	out->match = check_void(spf, host, mx);
	if (out->match == MATCH_NO && mx->n_records > SPF_NAMES_MAX)
		out->match = permerror(spf, host,
			"one of its terms has more than ten hosts");
	return out->match != MATCH_NO || judge_hosts(spf, term, mx, out);
}

/* 5.5: an error of the DNS is no match. */
static bool
judge_ptr(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	struct slice domain;

	if (spf_matches_nothing(spf, term->domain_spec))
		return true;
	if (!spf_has_client_names(spf))
		return false;
	if (!has_failed(&spf->ptr))
		out->match = check_void(spf, host, &spf->ptr);
	if (out->match != MATCH_NO)
		return true;
	(void)spf_find_name(spf, host, term->domain_spec, &domain);
	out->match = match_if(spf_client_name(spf, domain, false).len > 0);
	return true;
}

/* 5.2 has the table. */
static bool
judge_include(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	struct verdict verdict;

	if (spf_matches_nothing(spf, term->domain_spec))
		return true;
	if (!check_host(spf, host, term->domain_spec, &verdict))
		return false;
	switch (verdict.result) {
	case SPF_PASS:
		out->match = MATCH_YES;
		out->below = verdict.matched;
		break;
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_NEUTRAL:
		break;
	case SPF_TEMPERROR:
		out->match = MATCH_TEMPERROR;
		break;
	case SPF_PERMERROR:
		out->match = MATCH_PERMERROR;
		break;
	case SPF_NONE:
		out->match = permerror(spf, host,
			arena_printf(spf->arena, "%.*s has no SPF record",
				SLICE_ARG(term->text)));
		break;
	}
	return true;
}

static const struct {
	judge_fn *judge;
	bool is_lookup; /* 4.6.4 */
} mechanisms[] = {
	[SPF_ALL] = { judge_all, false },
	[SPF_INCLUDE] = { judge_include, true },
	[SPF_A] = { judge_a, true },
	[SPF_MX] = { judge_mx, true },
	[SPF_PTR] = { judge_ptr, true },
	[SPF_IP4] = { judge_network, false },
	[SPF_IP6] = { judge_network, false },
	[SPF_EXISTS] = { judge_exists, true },
};

/* --- check_host() ------------------------------------------------------- */

static bool
exceeds_lookups(struct spf *spf, const struct spf_host *host, struct slice term)
{
	if (++spf->progress.n_lookups <= SPF_LOOKUPS_MAX)
		return false;
	(void)permerror(spf, host,
		arena_printf(spf->arena,
			"%.*s would be the eleventh term that asks the DNS",
			SLICE_ARG(term)));
	return true;
}

static bool
judge_term(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, struct judgement *out)
{
	memset(out, 0, sizeof(*out));
	if (mechanisms[term->mechanism].is_lookup &&
		exceeds_lookups(spf, host, term->text)) {
		out->match = MATCH_PERMERROR;
		return true;
	}
	return mechanisms[term->mechanism].judge(spf, host, term, out);
}

static struct slice
path_of(struct spf *spf, struct slice term, struct slice below)
{
	if (below.len == 0)
		return term;
	return slice_of(arena_printf(spf->arena, "%.*s %.*s", SLICE_ARG(term),
		SLICE_ARG(below)));
}

static void
decide(struct spf *spf, const struct spf_host *host,
	const struct spf_term *term, const struct judgement *judgement,
	struct verdict *out)
{
	switch (judgement->match) {
	case MATCH_NO:
		return;
	case MATCH_YES:
		out->result = term->result;
		out->matched = path_of(spf, term->text, judgement->below);
		out->exp = host->question->record.exp;
		out->exp_domain = host->domain;
		return;
	case MATCH_TEMPERROR:
		out->result = SPF_TEMPERROR;
		return;
	case MATCH_PERMERROR:
		out->result = SPF_PERMERROR;
		return;
	}
}

/* 6.1: only when nothing matches, wherever it stands. */
static bool
redirect(struct spf *spf, const struct spf_host *host, struct verdict *out)
{
	const struct spf_record *record = &host->question->record;

	out->result = SPF_PERMERROR;
	if (exceeds_lookups(spf, host, record->redirect_text))
		return true;
	if (!check_host(spf, host, record->redirect, out))
		return false;
	if (out->result == SPF_NONE) {
		(void)permerror(spf, host,
			arena_printf(spf->arena, "%.*s has no SPF record",
				SLICE_ARG(record->redirect_text)));
		out->result = SPF_PERMERROR;
	}
	if (!is_error(out->result))
		out->matched =
			path_of(spf, record->redirect_text, out->matched);
	return true;
}

/* The first of the record's terms that matches; NULL when none does. */
static bool
judge_terms(struct spf *spf, const struct spf_host *host,
	const struct spf_term **matching, struct judgement *judgement)
{
	struct spf_question *question = host->question;

	*matching = NULL;
	if (question->n_judged > 0)
		spf->progress = question->progress;
	while (question->n_judged < question->record.n_terms) {
		const struct spf_term *term =
			&question->record.terms[question->n_judged];

		if (!judge_term(spf, host, term, judgement))
			return false;
		if (judgement->match != MATCH_NO) {
			*matching = term;
			return true;
		}
		question->n_judged++;
		question->progress = spf->progress;
	}
	return true;
}

static bool
judge_record(struct spf *spf, const struct spf_host *host, struct verdict *out)
{
	const struct spf_term *matching;
	struct judgement judgement;

	if (!judge_terms(spf, host, &matching, &judgement))
		return false;
	if (matching != NULL) {
		decide(spf, host, matching, &judgement, out);
		return true;
	}
	out->result = SPF_NEUTRAL;
	return host->question->record.redirect.len == 0 ||
	       redirect(spf, host, out);
}

/* 4.3 to 4.6: which record of the answer, if any, is to be judged. */
static enum spf_result
select_record(struct spf *spf, const struct spf_host *host,
	const struct spf_question *question)
{
	if (!is_evaluable(host->domain))
		return SPF_NONE;
	if (has_failed(question)) {
		(void)temperror(spf, question);
		return SPF_TEMPERROR;
	}
	if (question->n_spf_records == 0)
		return SPF_NONE;
	if (question->n_spf_records == 1 && question->record_err == NULL)
		return SPF_NEUTRAL;
	(void)permerror(spf, host,
		question->n_spf_records > 1 ? "it has several SPF records"
					    : question->record_err);
	return SPF_PERMERROR;
}

static bool
check_host(struct spf *spf, const struct spf_host *from, struct slice spec,
	struct verdict *out)
{
	struct spf_question *question;
	struct spf_host host;

	memset(out, 0, sizeof(*out));
	if (!spf_ask_target(spf, from, spec, DNS_TYPE_TXT, &question))
		return false;
	if (question == NULL)
		return true;
	host.domain = question->target;
	host.question = question;
	out->result = select_record(spf, &host, question);
	return out->result != SPF_NEUTRAL || judge_record(spf, &host, out);
}

/* --- the explanation ---------------------------------------------------- */

/* 6.2: whatever is wrong with it, there is none. False: not ready. */
static bool
explain(struct spf *spf, const struct verdict *verdict, struct slice *out)
{
	const struct spf_host host = { .domain = verdict->exp_domain };
	struct spf_macro_values values;
	struct spf_question *question;
	struct str text;

	*out = SLICE("");
	if (verdict->result != SPF_FAIL || verdict->exp.len == 0)
		return true;
	if (!spf_ask_target(spf, &host, verdict->exp, DNS_TYPE_TXT, &question))
		return false;
	if (question == NULL || question->status != DNS_RECORDS ||
		question->n_records != 1 ||
		!spf_macro_is_valid(question->text, SPF_MACRO_IN_TEXT) ||
		spf_matches_nothing(spf, question->text))
		return true;
	if (!spf_find_values(spf, &host, question->text, &values))
		return false;
	str_init(&text, SPF_EXPLANATION_MAX);
	spf_macro_expand(question->text, &values, &text);
	*out = printable(spf->arena, str_slice(&text));
	str_free(&text);
	return true;
}

/* --- the evaluation ----------------------------------------------------- */

/* Of all that was answered: a name that is not there changes, too. */
static uint32_t
least_ttl(const struct spf *spf)
{
	const struct spf_question *question;
	uint32_t ttl = UINT32_MAX;

	for (size_t i = 0; (question = spf_question_at(spf, i)) != NULL; i++)
		if (spf_is_answered(question) && question->ttl < ttl)
			ttl = question->ttl;
	return ttl == UINT32_MAX ? 0 : ttl;
}

static void
put_outcome(const struct spf *spf, const struct verdict *verdict,
	struct spf_outcome *out)
{
	out->result = verdict->result;
	out->matched = verdict->matched;
	if (is_error(out->result))
		out->problem = printable(spf->arena, spf->problem);
	out->depends_on_local = spf->has_used_local;
	out->ttl = out->result == SPF_TEMPERROR ? 0 : least_ttl(spf);
}

bool
spf_evaluate(struct spf *spf, struct spf_outcome *out)
{
	const struct spf_host top = { .domain = spf->input.domain };
	struct verdict verdict = { .result = SPF_NONE };
	bool is_explained;

	memset(out, 0, sizeof(*out));
	spf->progress = (struct spf_progress){ .n_questions = 0 };
	spf->problem = SLICE("");
	if (!is_evaluable(top.domain))
		return true;
	if (!check_host(spf, &top, SLICE(""), &verdict))
		return false;
	is_explained = explain(spf, &verdict, &out->explanation);
	put_outcome(spf, &verdict, out);
	if (is_explained)
		return true;
	spf->unexplained = *out;
	spf->unexplained.ttl = 0; /* the next one may get it */
	spf->is_unexplained = true;
	return false;
}

bool
spf_conclude(const struct spf *spf, struct spf_outcome *out)
{
	if (spf->is_unexplained)
		*out = spf->unexplained;
	return spf->is_unexplained;
}
