#include "policyd/journal.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "policyd/journal_private.h"
#include "policyd/sources.h"

/* All decisions in memory; limits.decisions bounds their number. */
#define MEMORY_BYTES_MAX ((size_t)32 << 20)

/*
 * A code is a number of 40 bits in Crockford's base 32, which has no i, l, o
 * and u: seconds, who made it, and a count. The seconds come round after 36
 * hours, and nobody counts to 2^18 within one of them.
 */
#define CODE_SECONDS_BITS  17
#define CODE_ORIGIN_BITS   5
#define CODE_SEQUENCE_BITS 18
_Static_assert(CODE_SECONDS_BITS + CODE_ORIGIN_BITS + CODE_SEQUENCE_BITS ==
		       5 * DECISION_CODE_LEN,
	"5 bits for each character");

static const char code_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

TAILQ_HEAD(record_list, record);

struct journal_tap {
	TAILQ_ENTRY(journal_tap) entry;
	struct journal *journal;
	void (*fn)(void *arg, struct slice json);
	void *arg;
};

struct journal {
	struct sources *sources;
	struct record_list records; /* oldest first */
	size_t n_records, n_bytes;
	TAILQ_HEAD(, journal_tap) taps;
	uint64_t origin, sequence; /* of codes */
	struct str json;           /* built here, then copied */
	struct journal_rows *rows;
	struct journal_store *store;
};

/* --- codes -------------------------------------------------------------- */

/* The processes of one node differ for certain, those of others mostly. */
static uint64_t
origin_of(const struct sources *sources)
{
	const uint64_t hash = hash_siphash(0, 0, slice_of(sources->node));

	return (hash + sources->process) & ((1u << CODE_ORIGIN_BITS) - 1);
}

void
journal_code(struct journal *journal, struct decision *decision)
{
	const uint64_t seconds =
		(uint64_t)clock_wall() & ((1u << CODE_SECONDS_BITS) - 1);
	uint64_t number = seconds << CODE_ORIGIN_BITS | journal->origin;

	number = number << CODE_SEQUENCE_BITS |
		 (journal->sequence++ & ((1u << CODE_SEQUENCE_BITS) - 1));
	for (size_t i = DECISION_CODE_LEN; i > 0; i--) {
		decision->code[i - 1] = code_digits[number & 31];
		number >>= 5;
	}
	decision->code[DECISION_CODE_LEN] = '\0';
}

static char
code_digit(char typed)
{
	if (typed >= 'a' && typed <= 'z')
		typed = (char)(typed - 'a' + 'A');
	if (typed == 'O')
		return '0';
	if (typed == 'I' || typed == 'L')
		return '1';
	return typed;
}

bool
journal_parse_code(struct slice typed, char code[DECISION_CODE_LEN + 1])
{
	code[0] = '\0';
	if (typed.len != DECISION_CODE_LEN)
		return false;
	for (size_t i = 0; i < DECISION_CODE_LEN; i++) {
		const char digit = code_digit(typed.ptr[i]);

		if (digit == '\0' || strchr(code_digits, digit) == NULL) {
			code[0] = '\0';
			return false;
		}
		code[i] = digit;
	}
	code[DECISION_CODE_LEN] = '\0';
	return true;
}

/* --- memory ------------------------------------------------------------- */

static void
forget_oldest(struct journal *journal)
{
	struct record *record = TAILQ_FIRST(&journal->records);

	TAILQ_REMOVE(&journal->records, record, entry);
	journal->n_records--;
	journal->n_bytes -= record_size_bytes(record);
	record_free(record);
}

static void
keep(struct journal *journal, struct record *record)
{
	TAILQ_INSERT_TAIL(&journal->records, record, entry);
	journal->n_records++;
	journal->n_bytes += record_size_bytes(record);
	while (journal->n_records >
			journal->sources->config->limits.decisions ||
		journal->n_bytes > MEMORY_BYTES_MAX)
		forget_oldest(journal);
}

static struct slice
describe(struct journal *journal, const struct record *record)
{
	if (record->json != NULL)
		return (struct slice){ record->json, record->json_len };
	str_reset(&journal->json);
	record_describe(record, journal->sources->node, &journal->json);
	return str_slice(&journal->json);
}

static void
tell_taps(struct journal *journal, const struct record *record)
{
	struct journal_tap *tap = TAILQ_FIRST(&journal->taps), *next;
	struct slice json;

	if (tap == NULL)
		return;
	json = describe(journal, record);
	for (; tap != NULL; tap = next) {
		next = TAILQ_NEXT(tap, entry);
		tap->fn(tap->arg, json);
	}
}

/*
 * Beside another daemon nobody is given a code for what both refuse, and the
 * other daemon writes smtp_sessions.
 */
static bool
is_to_be_stored(const struct decision *decision)
{
	return decision->old_reply.len == 0 || decision->has_disagreed;
}

void
journal_record(struct journal *journal, const struct decision *decision)
{
	const char *node = journal->sources->node;
	struct record *record = record_new(decision);

	journal_log(decision);
	if (decision->old_reply.len == 0)
		journal_rows_session(journal->rows, decision);
	if (journal_is_remarkable(decision)) {
		if (journal_explain(decision, record, node, &journal->json))
			record_set_json(record, str_slice(&journal->json));
		if (is_to_be_stored(decision))
			journal_rows_decision(journal->rows, decision,
				describe(journal, record));
	}
	tell_taps(journal, record);
	keep(journal, record);
}

void
journal_describe(struct journal *journal, const struct decision *decision,
	struct str *json)
{
	struct record *record = record_new(decision);

	if (!journal_explain(decision, record, journal->sources->node, json)) {
		str_reset(json);
		record_describe(record, journal->sources->node, json);
	}
	record_free(record);
}

void
journal_find(struct journal *journal, struct slice what, size_t max,
	void (*fn)(void *arg, struct slice json), void *arg)
{
	const struct record *record;
	struct record_query query;
	size_t n = 0;

	record_query_init(&query, what);
	TAILQ_FOREACH_REVERSE(record, &journal->records, record_list, entry)
	{
		if (n == max)
			return;
		if (!record_matches(record, &query))
			continue;
		fn(arg, describe(journal, record));
		n++;
	}
}

void
journal_find_stored(struct journal *journal, struct slice what, size_t max,
	void (*fn)(void *arg, struct slice json),
	void (*done)(void *arg, const char *error), void *arg)
{
	journal_store_find(journal->store, what, max, fn, done, arg);
}

/* --- taps --------------------------------------------------------------- */

struct journal_tap *
journal_tap_new(struct journal *journal,
	void (*fn)(void *arg, struct slice json), void *arg)
{
	struct journal_tap *tap = x_new(struct journal_tap);

	tap->journal = journal;
	tap->fn = fn;
	tap->arg = arg;
	TAILQ_INSERT_TAIL(&journal->taps, tap, entry);
	return tap;
}

void
journal_tap_free(struct journal_tap *tap)
{
	if (tap == NULL)
		return;
	TAILQ_REMOVE(&tap->journal->taps, tap, entry);
	x_free(tap);
}

/* --- the journal as a whole --------------------------------------------- */

void
journal_state(const struct journal *journal, struct journal_state *out)
{
	const struct record *oldest = TAILQ_FIRST(&journal->records);

	out->n_decisions = journal->n_records;
	out->n_waiting_sessions = journal_rows_sessions_waiting(journal->rows);
	out->n_waiting_decisions =
		journal_rows_decisions_waiting(journal->rows);
	out->oldest_us = oldest != NULL ? oldest->wall_us : 0;
}

struct journal *
journal_new(struct sources *sources)
{
	struct journal *journal = x_new(struct journal);

	journal->sources = sources;
	TAILQ_INIT(&journal->records);
	TAILQ_INIT(&journal->taps);
	journal->origin = origin_of(sources);
	/* Another process of this name may have ended within this second. */
	journal->sequence = (uint64_t)clock_monotonic_us();
	str_init(&journal->json, EXPLANATION_BYTES_MAX);
	journal->rows = journal_rows_new(sources);
	journal->store = journal_store_new(sources);
	return journal;
}

void
journal_hurry(struct journal *journal)
{
	journal_rows_hurry(journal->rows);
}

void
journal_free(struct journal *journal)
{
	if (journal == NULL)
		return;
	journal_store_free(journal->store);
	journal_rows_free(journal->rows);
	while (!TAILQ_EMPTY(&journal->taps))
		journal_tap_free(TAILQ_FIRST(&journal->taps));
	while (journal->n_records > 0)
		forget_oldest(journal);
	str_free(&journal->json);
	x_free(journal);
}
