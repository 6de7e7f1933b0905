/*
 * DMARC for strangers' messages, domains and records: an evaluation comes to
 * an end, within its bounds on questions and memory, with texts that can be
 * shown, and to the same whatever order the answers come in; and at any time
 * it can be given up.
 *
 * The input is lines: the domain of From:; that of SPF; those of signatures,
 * with blanks between. A "+" before an identifier is a pass, a "!" a
 * temperror. Then come answers. The first byte of a name says which of them is
 * its answer: "!", "?", "~", "-" for a failure, a forgery, no such name and no
 * record, "@" for an alias of no such name; else texts with "|" between.
 */

#include "common/mail/dmarc.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/public_suffix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWERS_MAX 64u
#define ORDERS      3u
#define TEXTS_MAX   8u

struct message {
	struct dmarc_input input;
	struct slice answers[ANSWERS_MAX];
	size_t n_answers;
};

static struct slice
next_line(struct slice *rest)
{
	struct slice line;

	return slice_split(rest, '\n', &line) ? line : SLICE("");
}

/* Takes the mark before an identifier. */
static enum dmarc_auth
take_auth(struct slice *word)
{
	const char mark = word->len > 0 ? word->ptr[0] : '\0';

	if (mark != '+' && mark != '!')
		return DMARC_AUTH_FAIL;
	*word = slice_from(*word, 1);
	return mark == '+' ? DMARC_AUTH_PASS : DMARC_AUTH_TEMPERROR;
}

static enum spf_result
spf_of(enum dmarc_auth auth)
{
	switch (auth) {
	case DMARC_AUTH_PASS:
		return SPF_PASS;
	case DMARC_AUTH_TEMPERROR:
		return SPF_TEMPERROR;
	case DMARC_AUTH_FAIL:
		break;
	}
	return SPF_FAIL;
}

static void
read_message(struct slice text, struct message *out)
{
	struct dmarc_input *input = &out->input;
	struct slice line, word;

	memset(out, 0, sizeof(*out));
	input->from = next_line(&text);
	input->spf_domain = next_line(&text);
	input->spf = spf_of(take_auth(&input->spf_domain));
	line = next_line(&text);
	while (input->n_dkim < DMARC_DKIM_MAX &&
		slice_split(&line, ' ', &word)) {
		input->dkim[input->n_dkim].result = take_auth(&word);
		input->dkim[input->n_dkim++].domain = word;
	}
	while (out->n_answers < ANSWERS_MAX &&
		slice_split(&text, '\n', &out->answers[out->n_answers]))
		out->n_answers++;
}

/* --- answers ------------------------------------------------------------ */

static struct slice
line_for(const struct message *message, const struct dmarc_question *question)
{
	const size_t byte =
		(uint8_t)question->domain.ptr[0] +
		(question->type == DNS_TYPE_TXT ? 0 : (size_t)question->type);

	if (message->n_answers == 0)
		return SLICE("~");
	return message
		->answers[(byte + UINT8_MAX + 1 - '0') % message->n_answers];
}

static void
answer(const struct message *message, struct dmarc *dmarc,
	struct dmarc_question *question)
{
	struct slice line = line_for(message, question), text;
	struct dns_record records[TEXTS_MAX] = { 0 };
	struct dns_answer out = { .status = DNS_NO_SUCH_NAME,
		.records = records,
		.ttl = (uint32_t)line.len,
		.reason = "" };
	const char first = line.len > 0 ? line.ptr[0] : '-';

	if (first == '!' || first == '?') {
		out.status = first == '!' ? DNS_FAILED : DNS_BOGUS;
		out.reason = "it is so";
	} else if (first == '-') {
		out.status = DNS_NONE;
	} else if (first == '@') {
		out.n_aliases = 1;
	} else if (first != '~') {
		out.status = DNS_RECORDS;
		while (out.n_records < TEXTS_MAX &&
			slice_split(&line, '|', &text))
			records[out.n_records++].text = text;
	}
	dmarc_answer(dmarc, question, &out);
}

/* --- what must hold ----------------------------------------------------- */

static void
check_shown(struct slice text)
{
	assert(text.len <= 1024);
	for (size_t i = 0; i < text.len; i++)
		assert(text.ptr[i] >= ' ' && text.ptr[i] <= '~');
}

static void
check_outcome(const struct dmarc_outcome *outcome)
{
	assert(dmarc_result_name(outcome->result)[0] != '\0');
	assert(outcome->policy <= outcome->requested);
	assert(outcome->policy == DMARC_POLICY_NONE ||
		outcome->result == DMARC_FAIL);
	assert((outcome->record == NULL) == (outcome->policy_domain.len == 0));
	assert(outcome->result == DMARC_NONE || outcome->record != NULL ||
		outcome->result == DMARC_TEMPERROR);
	assert(outcome->ttl == 0 || outcome->result != DMARC_TEMPERROR);
	assert(outcome->problem.len > 0 ||
		(outcome->result != DMARC_TEMPERROR &&
			outcome->result != DMARC_PERMERROR));
	check_shown(outcome->problem);
	for (size_t i = 0; i < outcome->n_trace; i++)
		check_shown(outcome->trace[i].text);
}

static void
check_same(const struct dmarc_outcome *a, const struct dmarc_outcome *b)
{
	assert(a->result == b->result);
	assert(a->policy == b->policy);
	assert(a->requested == b->requested);
	assert(a->tag == b->tag);
	assert(a->ttl == b->ttl);
	assert(a->n_trace == b->n_trace);
	for (size_t i = 0; i < a->n_trace; i++)
		assert(slice_eq(a->trace[i].text, b->trace[i].text));
}

/* --- an evaluation ------------------------------------------------------ */

/* Which of n questions is answered: the first, the last, or any. */
static size_t
choose(unsigned order, size_t n, size_t n_answered)
{
	switch (order) {
	case 0:
		return 0;
	case 1:
		return n - 1;
	default:
		return n_answered * 7919u % n;
	}
}

/* Gives up after patience answers; returns how many there were. */
static size_t
evaluate(const struct message *message, struct dmarc *dmarc, unsigned order,
	size_t patience, struct dmarc_outcome *out)
{
	struct dmarc_question *waiting[DMARC_QUESTIONS_MAX], *question;
	size_t n = 0, n_answered = 0, chosen;

	while (!dmarc_evaluate(dmarc, out)) {
		while ((question = dmarc_next_question(dmarc)) != NULL) {
			assert(n + n_answered < DMARC_QUESTIONS_MAX);
			waiting[n++] = question;
		}
		assert(n > 0);
		if (n_answered == patience) {
			dmarc_give_up(dmarc, "it is late");
			assert(dmarc_evaluate(dmarc, out));
			break;
		}
		chosen = choose(order, n, n_answered++);
		question = waiting[chosen];
		waiting[chosen] = waiting[--n];
		answer(message, dmarc, question);
	}
	check_outcome(out);
	return n_answered;
}

static void
check_orders(const struct message *message)
{
	struct dmarc_outcome outcomes[ORDERS], again;
	struct arena *arenas[ORDERS];
	size_t n_answered = 0;

	for (unsigned order = 0; order < ORDERS; order++) {
		struct dmarc *dmarc;

		arenas[order] = arena_new(DMARC_ARENA_MAX);
		dmarc = dmarc_new(arenas[order], &message->input);
		n_answered = evaluate(message, dmarc, order, SIZE_MAX,
			&outcomes[order]);
		check_same(&outcomes[order], &outcomes[0]);
		/* It can be asked for again. */
		assert(dmarc_evaluate(dmarc, &again));
		check_same(&outcomes[order], &again);
		assert(arena_used(arenas[order]) <= DMARC_ARENA_MAX / 2);
	}
	for (unsigned order = 0; order < ORDERS; order++) {
		struct dmarc *dmarc;

		arena_reset(arenas[order]);
		dmarc = dmarc_new(arenas[order], &message->input);
		(void)evaluate(message, dmarc, order, n_answered / 2,
			&outcomes[order]);
		arena_free(arenas[order]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct public_suffixes *suffixes;
	struct message message;

	if (suffixes == NULL)
		suffixes = public_suffixes_new();
	read_message((struct slice){ (const char *)data, size }, &message);
	check_orders(&message);
	message.input.suffixes = suffixes;
	check_orders(&message);
	return 0;
}
