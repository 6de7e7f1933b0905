#include "policyd/journal_private.h"

#include <stdio.h>

#include "common/base/log.h"
#include "policyd/effect.h"
#include "policyd/rule.h"

#define VERDICT_TEXT_MAX 512
/* Longer texts of a rule are cut in an explanation. */
#define TEXT_BYTES_MAX 1024u
/* More effects of one rule are not listed. */
#define EFFECTS_LISTED_MAX 64u

/* --- the log line ------------------------------------------------------- */

/* rule: enum rule_id, or -1 for none. */
static void
log_verdict(const char *key, const struct decision *decision, int rule)
{
	char text[VERDICT_TEXT_MAX];

	if (rule < 0)
		return;
	/* A longer one is cut: explain has it all. */
	(void)snprintf(text, sizeof(text), "%s:%.*s",
		rule_name((enum rule_id)rule),
		SLICE_ARG(decision->trace[rule].verdict.text));
	log_line_text(key, slice_of(text));
}

/* Beside another daemon: what was answered in fact. */
static void
log_old_reply(const struct decision *decision)
{
	if (decision->old_reply.len == 0)
		return;
	log_line_text("old_reply", decision->old_reply);
	log_line_text("disagrees",
		decision->has_disagreed ? SLICE("yes") : SLICE("no"));
}

/* A rule that could not judge must not let through in silence. */
static void
log_unavailable(const struct decision *decision)
{
	const struct config *config = decision->config;

	for (size_t i = 0; i < config->n_rule_order; i++) {
		const enum rule_id id = config->rule_order[i];

		if (decision->trace[id].missing == NULL)
			continue;
		log_line_text("unavailable", slice_of(rule_name(id)));
		return;
	}
}

/* Whether MAIL FROM was told: the sender is empty, not unknown. */
static bool
has_sender(enum stage stage)
{
	return (stage & (STAGE_MAIL | STAGE_RCPT | STAGE_DATA |
				STAGE_END_OF_MESSAGE | STAGE_MESSAGE)) != 0;
}

static void
log_attributes(const struct request *req)
{
	static const struct {
		const char *key;
		enum attribute attribute;
	} fields[] = {
#define FIELD(name) { #name, ATTRIBUTE_##name }
		FIELD(client_address),
		FIELD(client_name),
		FIELD(helo_name),
		FIELD(sender),
		FIELD(recipient),
		FIELD(sasl_username),
		FIELD(queue_id),
		FIELD(instance),
#undef FIELD
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct slice value = req->attribute[fields[i].attribute];

		/* Empty fields are left out, but that one says something. */
		if (fields[i].attribute == ATTRIBUTE_sender && value.len == 0 &&
			has_sender(req->stage))
			value = SLICE("<>");
		log_line_text(fields[i].key, value);
	}
	if (req->size_bytes > 0)
		log_line_u64("size", req->size_bytes);
	if (req->recipient_count > 0)
		log_line_u64("recipient_count", req->recipient_count);
}

void
journal_log(const struct decision *decision)
{
	if (!log_wants(LOG_LEVEL_INFO))
		return;
	log_line_begin(LOG_LEVEL_INFO, "decision");
	log_line_text("stage", slice_of(stage_name(decision->req.stage)));
	log_line_text("action",
		slice_of(verdict_action_name(decision->action)));
	if (decision->rule >= 0)
		log_line_text("rule",
			slice_of(rule_name((enum rule_id)decision->rule)));
	log_line_text("code", slice_of(decision->code));
	if (decision->rule >= 0)
		log_line_text("reply", decision->reply);
	log_old_reply(decision);
	log_verdict("permitted_by", decision, decision->permitting_rule);
	log_verdict("would_have", decision, decision->observed_rule);
	log_unavailable(decision);
	log_attributes(&decision->req);
	log_line_ms("took_ms", decision->finished_us - decision->started_us);
	log_line_end();
}

/* --- the explanation ---------------------------------------------------- */

bool
journal_is_remarkable(const struct decision *decision)
{
	return decision->rule >= 0 || decision->observed_rule >= 0 ||
	       decision->has_disagreed;
}

static void
append_if_any(struct str *json, const char *key, struct slice text)
{
	if (text.len > 0)
		journal_append_text(json, key,
			slice_part(text, 0, TEXT_BYTES_MAX));
}

static void
explain_effects(const struct effect *effect, struct str *json)
{
	str_append_text(json, ",\"effects\":[");
	for (size_t n = 0; effect != NULL && n < EFFECTS_LISTED_MAX; n++) {
		if (n > 0)
			str_append_char(json, ',');
		str_append_json(json, slice_of(effect->name));
		effect = effect->next;
	}
	str_append_char(json, ']');
}

static void
explain_rule(enum rule_id id, const struct rule_trace *trace, struct str *json)
{
	str_append_text(json, "{\"rule\":");
	str_append_json(json, slice_of(rule_name(id)));
	journal_append_text(json, "outcome",
		slice_of(rule_outcome_name(trace->outcome)));
	if (trace->outcome != OUTCOME_NOT_ASKED) {
		journal_append_text(json, "mode",
			slice_of(rule_mode_name(trace->mode)));
		journal_append_ms(json, "took_ms",
			trace->answered_us - trace->asked_us);
		append_if_any(json, "text", trace->verdict.text);
		append_if_any(json, "hint", trace->verdict.hint);
		append_if_any(json, "missing", slice_of(trace->missing));
		explain_effects(trace->verdict.effects, json);
	}
	str_append_char(json, '}');
}

static void
explain_rules(const struct decision *decision, struct str *json)
{
	const struct config *config = decision->config;

	str_append_text(json, ",\"rules\":[");
	for (size_t i = 0; i < config->n_rule_order; i++) {
		const enum rule_id id = config->rule_order[i];

		if (i > 0)
			str_append_char(json, ',');
		explain_rule(id, &decision->trace[id], json);
	}
	str_append_char(json, ']');
}

static const char *
fact_state_name(enum fact_state state)
{
	switch (state) {
	case FACT_UNASKED:
		return "not asked";
	case FACT_PENDING:
		return "pending";
	case FACT_KNOWN:
		return "known";
	case FACT_UNAVAILABLE:
		return "unavailable";
	}
	return "?";
}

static void
explain_value(const struct fact *fact, struct str *json)
{
	size_t before;

	str_append_text(json, ",\"value\":");
	before = json->len;
	if (fact->kind->describe != NULL)
		fact->kind->describe(fact->value, json);
	if (json->len == before)
		str_append_text(json, "null");
}

static void
explain_fact(const struct fact *fact, bool with_value, struct str *json)
{
	str_append_text(json, "{\"fact\":");
	str_append_json(json, slice_of(fact->kind->name));
	journal_append_text(json, "state",
		slice_of(fact_state_name(fact->state)));
	str_append_text(json, ",\"from_memory\":");
	str_append_text(json, fact->is_from_memory ? "true" : "false");
	journal_append_ms(json, "took_ms", fact->answered_us - fact->asked_us);
	if (fact->state == FACT_UNAVAILABLE)
		append_if_any(json, "reason", slice_of(fact->reason));
	if (fact->state == FACT_KNOWN && with_value)
		explain_value(fact, json);
	str_append_char(json, '}');
}

static void
explain_facts(const struct facts *facts, bool with_values, struct str *json)
{
	bool is_first = true;

	str_append_text(json, ",\"facts\":[");
	for (size_t i = 0; i < FACT_COUNT; i++) {
		const struct fact *fact = &facts->slot[i];

		if (fact->state == FACT_UNASKED)
			continue;
		if (!is_first)
			str_append_char(json, ',');
		is_first = false;
		explain_fact(fact, with_values, json);
	}
	str_append_char(json, ']');
}

bool
journal_explain(const struct decision *decision, const struct record *record,
	const char *node, struct str *json)
{
	bool with_values = true;

	for (;;) {
		str_reset(json);
		record_describe_head(record, node, json);
		explain_rules(decision, json);
		explain_facts(&decision->facts, with_values, json);
		str_append_char(json, '}');
		if (!json->is_cut || !with_values)
			return !json->is_cut;
		with_values = false;
	}
}
