#include "common/mail/dmarc_private.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/mail/public_suffix.h"

/* RFC 1035, 2.3.4: octets of a name as text. */
#define NAME_LEN_MAX 253u

/* --- names -------------------------------------------------------------- */

static bool
is_label(struct slice label)
{
	for (size_t i = 0; i < label.len; i++) {
		const char c = label.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_'))
			return false;
	}
	return label.len > 0 && label.len <= DNS_LABEL_MAX;
}

struct slice
dmarc_domain(struct arena *arena, struct slice text)
{
	struct slice domain, rest, label;

	if (slice_ends(text, SLICE(".")))
		text = slice_part(text, 0, text.len - 1);
	if (text.len > NAME_LEN_MAX)
		return SLICE("");
	domain = rest = slice_lower(arena, text);
	while (slice_split(&rest, '.', &label))
		if (!is_label(label))
			return SLICE("");
	return domain;
}

static struct slice
parent_of(struct slice domain)
{
	const ptrdiff_t dot = slice_find(domain, '.');

	return dot < 0 ? SLICE("") : slice_from(domain, (size_t)dot + 1);
}

static size_t
count_labels(struct slice domain)
{
	size_t n = 0;

	for (; domain.len > 0; domain = parent_of(domain))
		n++;
	return n;
}

bool
dmarc_is_within(struct slice name, struct slice domain)
{
	const size_t n = name.len - domain.len;

	if (slice_eq(name, domain))
		return true;
	return name.len > domain.len && name.ptr[n - 1] == '.' &&
	       slice_eq(slice_from(name, n), domain);
}

struct slice
dmarc_printable(struct arena *arena, struct slice text)
{
	char *out;

	text = slice_part(text, 0, DMARC_SHOWN_MAX);
	out = arena_memdup(arena, text.ptr, text.len);
	for (size_t i = 0; i < text.len; i++)
		if (out[i] < ' ' || out[i] > '~')
			out[i] = '?';
	return (struct slice){ out, text.len };
}

/* --- questions ---------------------------------------------------------- */

static void
fail(struct dmarc_question *question, struct slice reason)
{
	question->state = DMARC_ANSWERED;
	question->status = DNS_FAILED;
	question->reason = reason;
	question->ttl = 0;
}

static struct dmarc_question *
find(struct dmarc *dmarc, struct slice domain, enum dns_type type)
{
	for (size_t i = 0; i < dmarc->n_questions; i++) {
		struct dmarc_question *question = &dmarc->questions[i];

		if (question->type == type &&
			slice_eq(question->domain, domain))
			return question;
	}
	return NULL;
}

static struct dmarc_question *
add(struct dmarc *dmarc, struct slice domain, enum dns_type type)
{
	struct dmarc_question *question =
		&dmarc->questions[dmarc->n_questions++];

	assert(dmarc->n_questions <= DMARC_QUESTIONS_MAX);
	question->domain = domain;
	question->name = domain;
	question->type = type;
	if (type == DNS_TYPE_TXT)
		question->name = slice_of(arena_printf(dmarc->arena,
			"_dmarc.%.*s", SLICE_ARG(domain)));
	if (dmarc->late.len > 0)
		fail(question, dmarc->late);
	return question;
}

const struct dmarc_question *
dmarc_ask(struct dmarc *dmarc, struct slice domain, enum dns_type type)
{
	const struct dmarc_question *question = find(dmarc, domain, type);

	return question != NULL ? question : add(dmarc, domain, type);
}

bool
dmarc_is_answered(struct dmarc *dmarc, const struct dmarc_question *question)
{
	if (question->state != DMARC_ANSWERED)
		return false;
	if (question->ttl < dmarc->ttl)
		dmarc->ttl = question->ttl;
	return true;
}

bool
dmarc_has_failed(const struct dmarc_question *question)
{
	return question->status == DNS_FAILED || question->status == DNS_BOGUS;
}

bool
dmarc_has_record(const struct dmarc_question *question)
{
	return question->n_records == 1;
}

struct dmarc_question *
dmarc_next_question(struct dmarc *dmarc)
{
	for (size_t i = 0; i < dmarc->n_questions; i++) {
		struct dmarc_question *question = &dmarc->questions[i];

		if (question->state != DMARC_UNASKED)
			continue;
		question->state = DMARC_ASKED;
		return question;
	}
	return NULL;
}

const struct dmarc_question *
dmarc_question_at(const struct dmarc *dmarc, size_t i)
{
	return i < dmarc->n_questions ? &dmarc->questions[i] : NULL;
}

/* --- answers ------------------------------------------------------------ */

/* Other TXT records do not matter; of several DMARC records none does. */
static void
take_texts(struct dmarc *dmarc, struct dmarc_question *question,
	const struct dns_answer *answer)
{
	struct slice found = SLICE("");

	for (size_t i = 0; i < answer->n_records; i++) {
		if (!dmarc_record_is(answer->records[i].text))
			continue;
		found = answer->records[i].text;
		question->n_records++;
	}
	if (question->n_records != 1)
		return;
	question->text = dmarc_printable(dmarc->arena, found);
	(void)dmarc_record_parse(dmarc->arena, found, &question->record,
		&question->record_err);
}

void
dmarc_answer(struct dmarc *dmarc, struct dmarc_question *question,
	const struct dns_answer *answer)
{
	assert(question->state == DMARC_ASKED);
	question->state = DMARC_ANSWERED;
	question->status = answer->status;
	question->ttl = answer->ttl;
	question->is_alias = answer->n_aliases > 0;
	question->reason =
		dmarc_printable(dmarc->arena, slice_of(answer->reason));
	if (answer->status == DNS_RECORDS && question->type == DNS_TYPE_TXT)
		take_texts(dmarc, question, answer);
}

void
dmarc_give_up(struct dmarc *dmarc, const char *reason)
{
	dmarc->late = dmarc_printable(dmarc->arena, slice_of(reason));
	assert(dmarc->late.len > 0);
	for (size_t i = 0; i < dmarc->n_questions; i++)
		if (dmarc->questions[i].state != DMARC_ANSWERED)
			fail(&dmarc->questions[i], dmarc->late);
}

/* --- the tree walk ------------------------------------------------------ */

/*
 * RFC 9989, 4.10: the domain and all above it; a long one goes on with seven
 * labels.
 */
static size_t
list_steps(struct slice domain, struct slice out[DMARC_WALK_MAX])
{
	size_t n = 0;

	while (domain.len > 0) {
		assert(n < DMARC_WALK_MAX);
		out[n++] = domain;
		do
			domain = parent_of(domain);
		while (count_labels(domain) >= DMARC_WALK_MAX);
	}
	return n;
}

/* The name one label below another, on the way to a domain; or itself. */
static struct slice
child_towards(struct slice name, struct slice domain)
{
	struct slice child = domain;

	while (parent_of(child).len > name.len)
		child = parent_of(child);
	return child;
}

/* RFC 9989, 4.10.2: the walk ended at the first record that says "psd". */
static struct slice
organization_of(const struct dmarc_walk *walk)
{
	const struct dmarc_question *top;

	if (walk->n_records == 0)
		return walk->domain;
	top = walk->records[walk->n_records - 1];
	if (top->record.psd == DMARC_PSD_YES)
		return child_towards(top->domain, walk->domain);
	return top->domain;
}

static bool
says_psd(const struct dmarc_question *question)
{
	return dmarc_has_record(question) &&
	       question->record.psd != DMARC_PSD_UNKNOWN;
}

static void
settle(const struct dmarc *dmarc, struct dmarc_walk *walk)
{
	const size_t n = walk->n_records;

	walk->organization = organization_of(walk);
	if (dmarc->input.suffixes != NULL &&
		(n == 0 || !says_psd(walk->records[n - 1])))
		walk->registered = public_suffixes_registrable(
			dmarc->input.suffixes, walk->domain);
}

bool
dmarc_walk(struct dmarc *dmarc, struct slice domain, struct dmarc_walk *out)
{
	const struct dmarc_question *questions[DMARC_WALK_MAX];
	struct slice steps[DMARC_WALK_MAX];
	const size_t n = list_steps(domain, steps);
	bool is_last = false;

	*out = (struct dmarc_walk){ .domain = domain };
	for (size_t i = 0; i < n; i++)
		questions[i] = dmarc_ask(dmarc, steps[i], DNS_TYPE_TXT);
	for (size_t i = 0; i < n && !is_last; i++) {
		if (!dmarc_is_answered(dmarc, questions[i]))
			return false;
		if (dmarc_has_failed(questions[i])) {
			out->failed = questions[i];
			return true;
		}
		if (dmarc_has_record(questions[i]))
			out->records[out->n_records++] = questions[i];
		is_last = says_psd(questions[i]);
	}
	settle(dmarc, out);
	return true;
}
