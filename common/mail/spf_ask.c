#include "common/mail/spf_private.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

/* --- questions ---------------------------------------------------------- */

/*
 * As text that the DNS takes for the same labels: a local part in a macro may
 * hold a backslash, which would quote what is behind it.
 */
static struct slice
escape_name(struct arena *arena, struct slice name)
{
	char *out = arena_alloc(arena, name.len * 2 + 1);
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '\\')
			out[len++] = '\\';
		out[len++] = name.ptr[i];
	}
	return (struct slice){ out, len };
}

static void
set_question(struct spf *spf, struct spf_question *question,
	struct slice target, struct slice name, enum dns_type type)
{
	question->target = slice_copy(spf->arena, target);
	question->name = slice_copy(spf->arena, name);
	question->type = type;
	question->state = SPF_UNASKED;
}

/* The question of this place in the run, if an earlier run has been here. */
static struct spf_question *
asked_before(struct spf *spf, enum dns_type type)
{
	const size_t at = spf->progress.n_questions;

	if (at == spf->n_questions)
		return NULL;
	assert(spf->questions[at].type == type);
	spf->progress.n_questions++;
	return &spf->questions[at];
}

static struct spf_question *
ask(struct spf *spf, struct slice target, struct slice name, enum dns_type type)
{
	struct spf_question *question = &spf->questions[spf->n_questions++];

	assert(spf->n_questions <= SPF_QUESTIONS_MAX);
	spf->progress.n_questions++;
	set_question(spf, question, target, name, type);
	return question;
}

struct spf_question *
spf_ask_host(struct spf *spf, struct slice name)
{
	const enum dns_type type = spf_address_type(spf);
	struct spf_question *question = asked_before(spf, type);

	return question != NULL ? question : ask(spf, name, name, type);
}

bool
spf_is_answered(const struct spf_question *question)
{
	return question->state == SPF_ANSWERED;
}

struct spf_question *
spf_give_out(struct spf_question *questions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (questions[i].state != SPF_UNASKED)
			continue;
		questions[i].state = SPF_ASKED;
		return &questions[i];
	}
	return NULL;
}

struct spf_question *
spf_next_question(struct spf *spf)
{
	struct spf_question *found =
		spf_give_out(spf->questions, spf->n_questions);

	if (found == NULL)
		found = spf_give_out(&spf->ptr, spf->wants_ptr);
	if (found == NULL)
		found = spf_give_out(spf->ptr_hosts, spf->n_ptr_hosts);
	return found;
}

const struct spf_question *
spf_question_at(const struct spf *spf, size_t i)
{
	if (i < spf->n_questions)
		return &spf->questions[i];
	i -= spf->n_questions;
	if (!spf->wants_ptr)
		return NULL;
	if (i == 0)
		return &spf->ptr;
	return i - 1 < spf->n_ptr_hosts ? &spf->ptr_hosts[i - 1] : NULL;
}

/* --- answers ------------------------------------------------------------ */

static void
take_addresses(struct arena *arena, struct spf_question *question,
	const struct dns_answer *answer)
{
	struct ip *addresses =
		arena_new_array(arena, answer->n_records, struct ip);

	for (size_t i = 0; i < answer->n_records; i++)
		addresses[i] = answer->records[i].address;
	question->addresses = addresses;
}

/*
 * More names than may be used are only counted. The hosts of an MX come by
 * preference: a resolver gives them in any order, and an error of one that
 * stands behind a match must not count on some days only.
 */
static void
take_names(struct arena *arena, struct spf_question *question,
	const struct dns_answer *answer)
{
	const struct dns_record *sorted[SPF_NAMES_MAX];
	struct slice *names =
		arena_new_array(arena, SPF_NAMES_MAX, struct slice);
	size_t n = 0;

	for (size_t i = 0; i < answer->n_records && n < SPF_NAMES_MAX; i++) {
		const struct dns_record *record = &answer->records[i];
		size_t at = n++;

		for (; at > 0 &&
			sorted[at - 1]->preference > record->preference;
			at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = record;
	}
	for (size_t i = 0; i < n; i++)
		names[i] = slice_copy(arena, sorted[i]->name);
	question->names = names;
}

/* 4.5: of several TXT records the SPF record; without one the first. */
static void
take_texts(struct arena *arena, struct spf_question *question,
	const struct dns_answer *answer)
{
	const struct slice *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < answer->n_records; i++) {
		if (!spf_record_is(answer->records[i].text))
			continue;
		if (n++ == 0)
			found = &answer->records[i].text;
	}
	if (found == NULL && answer->n_records > 0) {
		question->text = slice_copy(arena,
			slice_part(answer->records[0].text, 0, SPF_RECORD_MAX));
		return;
	}
	question->n_spf_records = n;
	if (n != 1)
		return;
	question->text =
		slice_copy(arena, slice_part(*found, 0, SPF_RECORD_MAX + 1));
	if (spf_record_parse(arena, question->text, &question->record,
		    &question->record_err) == 0)
		question->record_err = NULL;
}

void
spf_question_answer(struct arena *arena, struct spf_question *question,
	const struct dns_answer *answer)
{
	assert(question->state == SPF_ASKED);
	question->state = SPF_ANSWERED;
	question->status = answer->status;
	question->ttl = answer->ttl;
	question->reason = slice_copy(arena, slice_of(answer->reason));
	if (answer->status != DNS_RECORDS)
		return;
	question->n_records = answer->n_records;
	switch (question->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		take_addresses(arena, question, answer);
		break;
	case DNS_TYPE_MX:
	case DNS_TYPE_PTR:
		take_names(arena, question, answer);
		break;
	case DNS_TYPE_TXT:
		take_texts(arena, question, answer);
		break;
	case DNS_TYPE_CNAME:
	case DNS_TYPE_NS:
	case DNS_TYPE_SOA:
		break;
	}
}

void
spf_answer(struct spf *spf, struct spf_question *question,
	const struct dns_answer *answer)
{
	spf_question_answer(spf->arena, question, answer);
}

/* --- the names of the client -------------------------------------------- */

enum dns_type
spf_address_type(const struct spf *spf)
{
	return spf->input.client.family == IP_V4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

static void
ask_for_names(struct spf *spf)
{
	struct spf_macro_values values = { .client = spf->input.client };
	struct str name;

	str_init(&name, SPF_NAME_LEN_MAX);
	spf_macro_expand(SLICE("%{ir}.%{v}.arpa"), &values, &name);
	set_question(spf, &spf->ptr, str_slice(&name), str_slice(&name),
		DNS_TYPE_PTR);
	str_free(&name);
	spf->wants_ptr = true;
}

/* 5.5: each name counts only if it leads back to the client. */
static void
ask_for_hosts(struct spf *spf)
{
	size_t n = spf->ptr.n_records;

	if (n > SPF_NAMES_MAX)
		n = SPF_NAMES_MAX;
	while (spf->n_ptr_hosts < n) {
		const struct slice name = spf->ptr.names[spf->n_ptr_hosts];

		set_question(spf, &spf->ptr_hosts[spf->n_ptr_hosts++], name,
			name, spf_address_type(spf));
	}
}

bool
spf_has_client_names(struct spf *spf)
{
	if (!spf->wants_ptr)
		ask_for_names(spf);
	if (!spf_is_answered(&spf->ptr))
		return false;
	ask_for_hosts(spf);
	for (size_t i = 0; i < spf->n_ptr_hosts; i++)
		if (!spf_is_answered(&spf->ptr_hosts[i]))
			return false;
	return true;
}

bool
spf_names_client(const struct spf *spf, const struct spf_question *question,
	unsigned prefix_length)
{
	const struct network around =
		network_of(&spf->input.client, prefix_length);

	if (question->status != DNS_RECORDS)
		return false;
	for (size_t i = 0; i < question->n_records; i++)
		if (network_contains(&around, &question->addresses[i]))
			return true;
	return false;
}

struct slice
spf_client_name(const struct spf *spf, struct slice domain, bool may_be_any)
{
	struct slice within = SLICE(""), any = SLICE("");
	struct dns_name whole, name;
	const bool is_name =
		dns_name_parse(escape_name(spf->arena, domain), &whole);

	for (size_t i = 0; i < spf->n_ptr_hosts; i++) {
		const struct spf_question *host = &spf->ptr_hosts[i];

		if (!spf_names_client(spf, host, ip_bits(&spf->input.client)))
			continue;
		if (any.len == 0)
			any = host->name;
		if (!is_name || !dns_name_parse(host->name, &name))
			continue;
		if (dns_name_eq(&name, &whole))
			return host->name;
		if (within.len == 0 && dns_name_is_within(&name, &whole))
			within = host->name;
	}
	return within.len > 0 || !may_be_any ? within : any;
}

/* --- macros ------------------------------------------------------------- */

bool
spf_matches_nothing(struct spf *spf, struct slice text)
{
	if (!spf_macro_uses(text, "ls"))
		return false;
	spf->has_used_local = true;
	return !slice_is_ascii(spf->input.local);
}

bool
spf_find_values(struct spf *spf, const struct spf_host *host, struct slice text,
	struct spf_macro_values *out)
{
	*out = (struct spf_macro_values){
		.client = spf->input.client,
		.local = spf->input.local,
		.sender_domain = spf->input.domain,
		.domain = host->domain,
		.helo = spf->input.helo,
		.validated_name = SLICE("unknown"),
		.receiver = spf->input.receiver,
		.now = spf->input.now,
	};

	if (spf_macro_uses(text, "p")) {
		struct slice name;

		if (!spf_has_client_names(spf))
			return false;
		name = spf_client_name(spf, host->domain, true);
		if (name.len > 0)
			out->validated_name = name;
	}
	return true;
}

bool
spf_find_name(struct spf *spf, const struct spf_host *host, struct slice spec,
	struct slice *out)
{
	struct spf_macro_values values;
	struct str name;

	*out = host->domain;
	if (spec.len == 0)
		return true;
	if (!spf_find_values(spf, host, spec, &values))
		return false;
	str_init(&name, SPF_NAME_LEN_MAX);
	spf_macro_expand_name(spec, &values, &name);
	*out = slice_copy(spf->arena, str_slice(&name));
	str_free(&name);
	return true;
}

bool
spf_ask_target(struct spf *spf, const struct spf_host *host, struct slice spec,
	enum dns_type type, struct spf_question **out)
{
	struct slice target;

	*out = NULL;
	if (spf_matches_nothing(spf, spec))
		return true;
	*out = asked_before(spf, type);
	if (*out == NULL) {
		if (!spf_find_name(spf, host, spec, &target))
			return false;
		*out = ask(spf, target, escape_name(spf->arena, target), type);
	}
	return spf_is_answered(*out);
}
