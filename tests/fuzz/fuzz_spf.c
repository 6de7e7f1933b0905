/*
 * SPF records of strangers: an evaluation comes to an end, within its bounds
 * on questions and memory, with texts that can be shown, and to the same
 * whatever order the answers come in.
 *
 * The input is lines: the record of a.test, a local part ("" for the null
 * sender, and with a "6" before it the client is one of IPv6), a HELO name,
 * then answers. The first byte of a name says which of them is its answer:
 * "!", "?", "~", "-" for a failure, a forgery, no such name and no record; to
 * TXT "|" between records; to A a byte for each address, "=" for the client's;
 * else names with blanks between.
 */

#include "common/mail/spf.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/spf_macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWERS_MAX   64u
#define ORDERS        3u
#define QUESTIONS_MAX (SPF_QUESTIONS_MAX + 1 + SPF_NAMES_MAX)
/* The longest path: a term of each record. */
#define MATCHED_MAX (11u * 513u)

struct zone {
	struct slice record, local, helo;
	struct slice answers[ANSWERS_MAX];
	size_t n_answers;
	struct ip client;
};

/* An answer that is being put together. */
struct builder {
	struct arena *arena;
	struct dns_record records[DNS_RECORDS_MAX];
	struct dns_answer answer;
};

static struct slice
next_line(struct slice *rest)
{
	struct slice line;

	return slice_split(rest, '\n', &line) ? line : SLICE("");
}

static void
read_zone(struct slice input, struct zone *out)
{
	memset(out, 0, sizeof(*out));
	out->record = next_line(&input);
	out->local = next_line(&input);
	out->helo = next_line(&input);
	while (out->n_answers < ANSWERS_MAX &&
		slice_split(&input, '\n', &out->answers[out->n_answers]))
		out->n_answers++;
	ip_parse(SLICE("192.0.2.1"), &out->client);
	if (slice_starts(out->local, SLICE("6"))) {
		ip_parse(SLICE("2001:db8::1"), &out->client);
		out->local = slice_from(out->local, 1);
	}
}

/* --- answers ------------------------------------------------------------ */

static struct dns_record *
add_record(struct builder *builder)
{
	struct dns_answer *answer = &builder->answer;

	return answer->n_records < DNS_RECORDS_MAX
		       ? &builder->records[answer->n_records++]
		       : NULL;
}

static void
add_texts(struct builder *builder, struct slice line)
{
	struct dns_record *record;
	struct slice text;

	while (slice_split(&line, '|', &text) &&
		(record = add_record(builder)) != NULL)
		record->text = text;
}

static void
add_addresses(struct builder *builder, struct slice line, enum dns_type type,
	const struct ip *client)
{
	const enum ip_family family = type == DNS_TYPE_A ? IP_V4 : IP_V6;
	struct dns_record *record;

	for (size_t i = 0;
		i < line.len && (record = add_record(builder)) != NULL; i++) {
		record->address.family = family;
		record->address.bytes[3] = (uint8_t)line.ptr[i];
		if (line.ptr[i] == '=' && client->family == family)
			record->address = *client;
	}
}

/* As the parser of answers gives them out. */
static void
add_names(struct builder *builder, struct slice line)
{
	char text[DNS_NAME_TEXT_MAX];
	struct dns_record *record;
	struct dns_name name;
	struct slice word;

	while (slice_split(&line, ' ', &word)) {
		if (!dns_name_parse(word, &name) ||
			(record = add_record(builder)) == NULL)
			continue;
		record->name = slice_copy(builder->arena,
			slice_of(dns_name_format(&name, text)));
		record->preference = (uint8_t)word.ptr[0] % 4u;
	}
}

static void
add_line(struct builder *builder, const struct zone *zone, struct slice line,
	enum dns_type type)
{
	if (type == DNS_TYPE_TXT)
		add_texts(builder, line);
	else if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA)
		add_addresses(builder, line, type, &zone->client);
	else
		add_names(builder, line);
	builder->answer.status =
		builder->answer.n_records > 0 ? DNS_RECORDS : DNS_NONE;
}

static struct slice
line_for(const struct zone *zone, const struct spf_question *question)
{
	const size_t byte =
		question->name.len > 0 ? (uint8_t)question->name.ptr[0] : 0;

	if (slice_eq_text(question->name, "a.test") &&
		question->type == DNS_TYPE_TXT)
		return zone->record;
	if (zone->n_answers == 0)
		return SLICE("~");
	return zone->answers[(byte + UINT8_MAX + 1 - '0') % zone->n_answers];
}

static void
answer(const struct zone *zone, struct spf *spf, struct spf_question *question)
{
	static struct builder builder;
	const struct slice line = line_for(zone, question);
	const char first = line.len > 0 ? line.ptr[0] : '-';

	memset(&builder, 0, sizeof(builder));
	builder.arena = arena_new(DNS_ANSWER_ARENA_MAX);
	builder.answer = (struct dns_answer){ .status = DNS_NO_SUCH_NAME,
		.records = builder.records,
		.ttl = (uint32_t)line.len,
		.reason = "" };
	if (first == '!' || first == '?') {
		builder.answer.status = first == '!' ? DNS_FAILED : DNS_BOGUS;
		builder.answer.reason = "it is so";
	} else if (first == '-') {
		builder.answer.status = DNS_NONE;
	} else if (first != '~') {
		add_line(&builder, zone, line, question->type);
	}
	spf_answer(spf, question, &builder.answer);
	arena_free(builder.arena);
}

/* --- what must hold ----------------------------------------------------- */

static void
check_question(const struct spf_question *question)
{
	struct dns_name name;

	/* What a record stands for is cut; hosts are names that came. */
	assert(question->target.len <= SPF_NAME_LEN_MAX ||
		dns_name_parse(question->name, &name));
}

static void
check_shown(struct slice text, size_t max)
{
	assert(text.len <= max);
	for (size_t i = 0; i < text.len; i++)
		assert(text.ptr[i] >= ' ' && text.ptr[i] <= '~');
}

static void
check_outcome(const struct spf_outcome *outcome)
{
	const bool is_error = outcome->result == SPF_TEMPERROR ||
			      outcome->result == SPF_PERMERROR;

	assert(spf_result_name(outcome->result)[0] != '\0');
	assert((outcome->problem.len > 0) == is_error);
	check_shown(outcome->problem, 2048);
	check_shown(outcome->matched, MATCHED_MAX);
	check_shown(outcome->explanation, SPF_EXPLANATION_MAX);
	assert(outcome->explanation.len == 0 || outcome->result == SPF_FAIL);
	assert(outcome->ttl == 0 || outcome->result != SPF_TEMPERROR);
}

static void
check_same(const struct spf_outcome *a, const struct spf_outcome *b)
{
	assert(a->result == b->result);
	assert(slice_eq(a->matched, b->matched));
	assert(slice_eq(a->explanation, b->explanation));
	assert(slice_eq(a->problem, b->problem));
}

/* --- an evaluation ------------------------------------------------------ */

/* Which of n questions is answered: the first, the last, or any. */
static size_t
choose(unsigned order, size_t n, size_t n_asked)
{
	switch (order) {
	case 0:
		return 0;
	case 1:
		return n - 1;
	default:
		return n_asked * 7919u % n;
	}
}

static void
evaluate(const struct zone *zone, struct spf *spf, unsigned order,
	struct spf_outcome *out)
{
	struct spf_question *waiting[QUESTIONS_MAX], *question;
	size_t n = 0, n_asked = 0;

	while (!spf_evaluate(spf, out)) {
		while ((question = spf_next_question(spf)) != NULL) {
			assert(n_asked++ < QUESTIONS_MAX);
			check_question(question);
			waiting[n++] = question;
		}
		assert(n > 0);
		const size_t chosen = choose(order, n, n_asked);

		question = waiting[chosen];
		waiting[chosen] = waiting[--n];
		answer(zone, spf, question);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spf_outcome outcomes[ORDERS], again;
	struct arena *arenas[ORDERS];
	struct zone zone;

	read_zone((struct slice){ (const char *)data, size }, &zone);
	for (unsigned order = 0; order < ORDERS; order++) {
		struct spf_input input = { .client = zone.client,
			.local = zone.local,
			.domain = SLICE("a.test"),
			.helo = zone.helo,
			.now = 1700000000 };
		struct spf *spf;

		arenas[order] = arena_new(SPF_ARENA_MAX);
		spf = spf_new(arenas[order], &input);
		evaluate(&zone, spf, order, &outcomes[order]);
		check_outcome(&outcomes[order]);
		check_same(&outcomes[order], &outcomes[0]);
		/* It can be asked for again. */
		assert(spf_evaluate(spf, &again));
		check_same(&outcomes[order], &again);
		assert(arena_used(arenas[order]) <= SPF_ARENA_MAX / 2);
	}
	for (unsigned order = 0; order < ORDERS; order++)
		arena_free(arenas[order]);
	return 0;
}
