#include "policyd/comparison.h"

#include "common/base/metric.h"
#include "policyd/engine.h"
#include "policyd/instances.h"
#include "policyd/journal.h"
#include "policyd/sources.h"

/* --- what an answer means ----------------------------------------------- */

static const struct {
	struct slice word;
	enum severity severity;
} words[] = {
	{ SLICE_INIT("REJECT"), SEVERITY_REJECT },
	{ SLICE_INIT("DISCARD"), SEVERITY_REJECT },
	{ SLICE_INIT("DEFER"), SEVERITY_DEFER },
	{ SLICE_INIT("DEFER_IF_PERMIT"), SEVERITY_DEFER },
	{ SLICE_INIT("DEFER_IF_REJECT"), SEVERITY_DEFER },
};

enum severity
severity_of(struct slice answer)
{
	struct slice word;

	if (!slice_split(&answer, ' ', &word) || word.len == 0)
		return SEVERITY_ACCEPT;
	if (word.ptr[0] == '4')
		return SEVERITY_DEFER;
	if (word.ptr[0] == '5')
		return SEVERITY_REJECT;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_case_eq(word, words[i].word))
			return words[i].severity;
	return SEVERITY_ACCEPT;
}

/* The beginnings of iRedAPD's answers; it has the others in common. */
static const struct {
	struct slice text;
	int rule;
} texts[] = {
	{ SLICE_INIT("REJECT Policy rejection due to null sender"),
		RULE_ID_reject_null_sender },
	{ SLICE_INIT("451 4.7.1 "), RULE_ID_greylisting },
	{ SLICE_INIT("REJECT Throttling quota exceeded"), RULE_ID_throttle },
	{ SLICE_INIT("REJECT Message size is too large"), RULE_ID_throttle },
	{ SLICE_INIT("REJECT Too many recipients in single message"),
		RULE_ID_throttle },
	{ SLICE_INIT("REJECT SMTP AUTH is required"),
		RULE_ID_reject_sender_login_mismatch },
	{ SLICE_INIT("REJECT Sender is not same as SMTP"),
		RULE_ID_reject_sender_login_mismatch },
	{ SLICE_INIT("REJECT Password expired"),
		RULE_ID_force_password_change },
};

int
rule_of_answer(struct slice answer)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (slice_starts(answer, texts[i].text))
			return texts[i].rule;
	return -1;
}

/* --- what is done with it ----------------------------------------------- */

static void
count(enum severity severity)
{
	metric_add(METRIC_REQUESTS, 1);
	switch (severity) {
	case SEVERITY_ACCEPT:
		metric_add(METRIC_DUNNO, 1);
		break;
	case SEVERITY_DEFER:
		metric_add(METRIC_DEFERRED, 1);
		break;
	case SEVERITY_REJECT:
		metric_add(METRIC_REJECTED, 1);
		break;
	}
}

void
comparison_note(struct sources *sources, const struct request *req,
	struct slice old_reply)
{
	const enum severity severity = severity_of(old_reply);

	count(severity);
	if (req->stage == STAGE_END_OF_MESSAGE)
		instances_remove(sources->instances, req);
	else if (req->stage == STAGE_RCPT && severity == SEVERITY_ACCEPT)
		instances_add(sources->instances, req);
}

static void
disagree(struct decision *decision, enum severity old, enum severity own)
{
	const bool is_stricter = own > old;
	const int rule = is_stricter || decision->rule >= 0
				 ? decision->rule
				 : rule_of_answer(decision->old_reply);

	decision->has_disagreed = true;
	decision->disagreed_rule = rule;
	metric_add(is_stricter ? METRIC_PARALLEL_STRICTER
			       : METRIC_PARALLEL_LAXER,
		1);
	if (rule >= 0)
		metric_rule_add((unsigned)rule,
			is_stricter ? METRIC_RULE_STRICTER : METRIC_RULE_LAXER);
}

void
comparison_record(struct sources *sources, struct decision *decision,
	struct slice old_reply)
{
	const enum severity old = severity_of(old_reply);
	const enum severity own = severity_of(decision->reply);

	decision->old_reply = slice_copy(decision->req.arena, old_reply);
	decision->disagreed_rule = -1;
	metric_add(METRIC_PARALLEL_COMPARED, 1);
	if (old != own) {
		disagree(decision, old, own);
		journal_code(sources->journal, decision);
	}
	journal_record(sources->journal, decision);
}
