#include "milter/verifying.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/arc_chain.h"
#include "common/mail/kept_header.h"
#include "milter/facts_dkim.h"

/* Of b=; enough to tell signatures apart. */
#define SIGNATURE_SHOWN_MAX ((size_t)1 << 10)
/* Of a comment. */
#define COMMENT_MAX 100u

struct verifying {
	struct milter_facts *facts;
	struct kept_header header;
	struct dkim_verifier *dkim; /* NULL before the end of the header */
	struct arc_verifier *arc;   /* the same */
	/* NULL for one that is not needed. */
	struct facts_record *dkim_keys[DKIM_VERIFIED_MAX];
	struct facts_record *arc_keys[ARC_KEYS_MAX];
	struct verifying_results results;
};

struct verifying *
verifying_new(struct milter_facts *facts, size_t header_bytes)
{
	struct verifying *verifying = x_new(struct verifying);

	verifying->facts = facts;
	kept_header_init(&verifying->header, header_bytes);
	return verifying;
}

static void
forget(struct facts_record **records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (records[i] != NULL)
			bridge_release(&records[i]->call);
}

void
verifying_free(struct verifying *verifying)
{
	if (verifying == NULL)
		return;
	forget(verifying->dkim_keys, DKIM_VERIFIED_MAX);
	forget(verifying->arc_keys, ARC_KEYS_MAX);
	arc_verifier_free(verifying->arc);
	dkim_verifier_free(verifying->dkim);
	kept_header_free(&verifying->header);
	x_free(verifying);
}

void
verifying_header(struct verifying *verifying, struct slice name,
	struct slice value)
{
	if (verifying->dkim == NULL)
		kept_header_add(&verifying->header, name, value);
}

/* --- the end of the header ---------------------------------------------- */

static void
ask_for_keys(struct verifying *verifying)
{
	for (size_t i = 0; i < dkim_verifier_count(verifying->dkim); i++) {
		const struct dkim_claim *claim =
			&dkim_verifier_result(verifying->dkim, i)->claim;

		if (dkim_verifier_wants_key(verifying->dkim, i))
			verifying->dkim_keys[i] =
				facts_ask_record(verifying->facts,
					claim->key_name, claim->domain);
	}
	for (size_t i = 0; i < arc_verifier_keys(verifying->arc); i++)
		verifying->arc_keys[i] = facts_ask_record(verifying->facts,
			arc_verifier_key_name(verifying->arc, i),
			arc_verifier_key_domain(verifying->arc, i));
}

void
verifying_header_end(struct verifying *verifying)
{
	if (verifying->dkim != NULL)
		return;
	verifying->dkim = dkim_verifier_new(&verifying->header, clock_wall());
	verifying->arc = arc_verifier_new(&verifying->header);
	ask_for_keys(verifying);
}

struct slice
verifying_domain(const struct verifying *verifying, size_t i)
{
	const struct slice end = { NULL, 0 };

	if (verifying->dkim == NULL ||
		i >= dkim_verifier_count(verifying->dkim))
		return end;
	if (!dkim_verifier_wants_key(verifying->dkim, i))
		return SLICE("");
	return dkim_verifier_result(verifying->dkim, i)->claim.domain;
}

bool
verifying_body(struct verifying *verifying, struct slice bytes)
{
	if (verifying->dkim == NULL)
		return false;
	dkim_verifier_body(verifying->dkim, bytes);
	arc_verifier_body(verifying->arc, bytes);
	return dkim_verifier_wants_body(verifying->dkim) ||
	       arc_verifier_wants_body(verifying->arc);
}

/* --- the end of the message --------------------------------------------- */

static struct dkim_record
await(struct verifying *verifying, struct facts_record *record,
	int64_t deadline_us)
{
	if (bridge_wait(&record->call, deadline_us))
		return record->record;
	verifying->results.was_late = true;
	return (struct dkim_record){ .status = DKIM_RECORD_UNKNOWN };
}

static void
await_keys(struct verifying *verifying, int64_t deadline_us)
{
	struct dkim_record record;

	for (size_t i = 0; i < DKIM_VERIFIED_MAX; i++) {
		if (verifying->dkim_keys[i] == NULL)
			continue;
		record = await(verifying, verifying->dkim_keys[i], deadline_us);
		dkim_verifier_answer(verifying->dkim, i, &record);
	}
	for (size_t i = 0; i < ARC_KEYS_MAX; i++) {
		if (verifying->arc_keys[i] == NULL)
			continue;
		record = await(verifying, verifying->arc_keys[i], deadline_us);
		arc_verifier_answer(verifying->arc, i, &record);
	}
}

/* What a reader of the field may want to know beside the result. */
static struct slice
comment(struct arena *arena, const struct dkim_verified *verified)
{
	struct slice out;
	struct str text;

	if (verified->bits == 0)
		return SLICE("");
	str_init(&text, COMMENT_MAX);
	str_printf(&text, "%u-bit key%s%s%s", verified->bits,
		verified->is_weak ? ", weak" : "",
		verified->is_test ? ", testing" : "",
		verified->is_partial ? ", a part of the body" : "");
	out = slice_copy(arena, str_slice(&text));
	str_free(&text);
	return out;
}

/* What covers a part of the body may be followed by anything (8.2). */
static enum dmarc_auth
auth_of(const struct dkim_verified *verified)
{
	switch (verified->result) {
	case DKIM_RESULT_PASS:
		return verified->is_partial ? DMARC_AUTH_FAIL : DMARC_AUTH_PASS;
	case DKIM_RESULT_TEMPERROR:
		return verified->is_partial ? DMARC_AUTH_FAIL
					    : DMARC_AUTH_TEMPERROR;
	case DKIM_RESULT_FAIL:
	case DKIM_RESULT_NEUTRAL:
	case DKIM_RESULT_POLICY:
	case DKIM_RESULT_PERMERROR:
		break;
	}
	return DMARC_AUTH_FAIL;
}

static void
take_result(struct verifying *verifying, struct arena *arena, size_t i)
{
	const struct dkim_verified *verified =
		dkim_verifier_result(verifying->dkim, i);
	const struct dkim_claim *claim = &verified->claim;

	verifying->results.auth[i] = auth_of(verified);
	verifying->results.dkim[i] = (struct auth_dkim){
		.result = dkim_result_name(verified->result),
		.reason = verified->reason,
		.comment = comment(arena, verified),
		.domain = claim->domain,
		.identity = claim->identity,
		.selector = claim->selector,
		.algorithm = claim->algorithm,
		.signature =
			slice_part(claim->signature, 0, SIGNATURE_SHOWN_MAX),
	};
}

/* What one field takes to be read (auth_results.h). */
#define RESULTS_ARENA_MAX ((size_t)128 << 10)
/* Of the name of a result. Who seals may write any; a longer one is none. */
#define RESULT_NAME_MAX 32u

static struct slice
read_dmarc(struct arena *arena, struct slice field)
{
	struct arena *scratch = arena_new(RESULTS_ARENA_MAX);
	struct slice out = SLICE("");
	struct auth_results read;
	const char *err;

	if (auth_results_read(scratch, field, &read, &err) == 0)
		for (const struct auth_result *result = read.first;
			result != NULL && out.len == 0; result = result->next)
			if (slice_case_eq(result->method, SLICE("dmarc")) &&
				result->result.len <= RESULT_NAME_MAX)
				out = slice_lower(arena, result->result);
	arena_free(scratch);
	return out;
}

static void
take_newest_seal(struct verifying *verifying, struct arena *arena)
{
	const struct arc_set *newest = arc_verifier_newest(verifying->arc);
	struct verifying_results *results = &verifying->results;

	if (results->arc.result != ARC_RESULT_PASS || newest == NULL)
		return;
	results->arc_sealer = slice_lower(arena, newest->seal.domain);
	results->arc_dmarc = read_dmarc(arena, newest->results);
}

const struct verifying_results *
verifying_end(struct verifying *verifying, struct arena *arena,
	int64_t deadline_us)
{
	struct verifying_results *results = &verifying->results;

	verifying_header_end(verifying);
	await_keys(verifying, deadline_us);
	dkim_verifier_end(verifying->dkim);
	arc_verifier_end(verifying->arc, &results->arc);
	take_newest_seal(verifying, arena);
	results->n = dkim_verifier_count(verifying->dkim);
	results->n_ignored = dkim_verifier_ignored(verifying->dkim);
	for (size_t i = 0; i < results->n; i++)
		take_result(verifying, arena, i);
	return results;
}
