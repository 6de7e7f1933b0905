#include "policyd/journal_private.h"

#include <string.h>

#include "common/base/mem.h"
#include "policyd/rule.h"

/* Longer texts are cut: an address may have 254 octets (RFC 5321). */
#define TEXT_BYTES_MAX  255u
#define REPLY_BYTES_MAX 512u

static const enum attribute attributes[] = {
	[RECORD_CLIENT_ADDRESS] = ATTRIBUTE_client_address,
	[RECORD_CLIENT_NAME] = ATTRIBUTE_client_name,
	[RECORD_HELO_NAME] = ATTRIBUTE_helo_name,
	[RECORD_SENDER] = ATTRIBUTE_sender,
	[RECORD_RECIPIENT] = ATTRIBUTE_recipient,
	[RECORD_SASL_USERNAME] = ATTRIBUTE_sasl_username,
	[RECORD_QUEUE_ID] = ATTRIBUTE_queue_id,
	[RECORD_INSTANCE] = ATTRIBUTE_instance,
};

#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))
_Static_assert(N_ATTRIBUTES == RECORD_REPLY, "attributes come first");

/* --- making ------------------------------------------------------------- */

static const char *
first_missing(const struct decision *decision)
{
	const struct config *config = decision->config;

	for (size_t i = 0; i < config->n_rule_order; i++) {
		const struct rule_trace *trace =
			&decision->trace[config->rule_order[i]];

		if (trace->missing != NULL)
			return trace->missing;
	}
	return NULL;
}

struct slice
journal_permit_reason(const struct decision *decision)
{
	const int rule = decision->permitting_rule;

	return rule < 0 ? SLICE("") : decision->trace[rule].verdict.text;
}

/* Cutting the extension off is all that makes bare shorter than full. */
static struct slice
bare_if_other(const struct address *address)
{
	return address->bare.len == address->full.len ? SLICE("")
						      : address->bare;
}

static size_t
gather_texts(const struct decision *decision,
	struct slice texts[RECORD_TEXT_COUNT])
{
	const struct request *req = &decision->req;
	size_t bytes = 0;

	for (size_t i = 0; i < N_ATTRIBUTES; i++)
		texts[i] = req->attribute[attributes[i]];
	texts[RECORD_REPLY] = decision->rule < 0 && !decision->has_header
				      ? SLICE("")
				      : decision->reply;
	texts[RECORD_SENDER_BARE] = bare_if_other(&req->sender);
	texts[RECORD_RECIPIENT_BARE] = bare_if_other(&req->recipient);
	texts[RECORD_MISSING] = slice_of(first_missing(decision));
	texts[RECORD_PERMIT] = journal_permit_reason(decision);
	texts[RECORD_OLD_REPLY] = decision->old_reply;
	for (size_t i = 0; i < RECORD_TEXT_COUNT; i++) {
		texts[i] = slice_part(texts[i], 0,
			i == RECORD_REPLY ? REPLY_BYTES_MAX : TEXT_BYTES_MAX);
		bytes += texts[i].len;
	}
	return bytes;
}

static uint32_t
elapsed_us(int64_t from, int64_t to)
{
	const int64_t us = to - from;

	if (us < 0)
		return 0;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void
note_rules(struct record *record, const struct decision *decision)
{
	const struct config *config = decision->config;

	for (size_t i = 0; i < config->n_rule_order; i++) {
		const enum rule_id id = config->rule_order[i];
		const struct rule_trace *trace = &decision->trace[id];
		struct record_rule *rule = &record->rules[record->n_rules++];

		rule->id = (uint8_t)id;
		rule->outcome = (uint8_t)trace->outcome;
		rule->mode = (uint8_t)trace->mode;
		rule->took_us = elapsed_us(trace->asked_us, trace->answered_us);
	}
}

struct record *
record_new(const struct decision *decision)
{
	struct slice texts[RECORD_TEXT_COUNT];
	const size_t bytes = gather_texts(decision, texts);
	struct record *record = x_calloc(1, sizeof(*record) + bytes);

	for (size_t i = 0; i < RECORD_TEXT_COUNT; i++) {
		if (texts[i].len == 0)
			continue;
		memcpy(record->text + record->text_bytes, texts[i].ptr,
			texts[i].len);
		record->text_bytes += (uint32_t)texts[i].len;
		record->text_len[i] = (uint16_t)texts[i].len;
	}
	record->wall_us = decision->wall_us;
	record->took_us =
		elapsed_us(decision->started_us, decision->finished_us);
	record->size_bytes = decision->req.size_bytes;
	record->recipient_count = decision->req.recipient_count;
	record->stage = (uint8_t)decision->req.stage;
	record->action = (uint8_t)decision->action;
	record->rule = (int8_t)decision->rule;
	record->observed_rule = (int8_t)decision->observed_rule;
	record->permitting_rule = (int8_t)decision->permitting_rule;
	record->has_disagreed = decision->has_disagreed;
	memcpy(record->code, decision->code, sizeof(record->code));
	note_rules(record, decision);
	return record;
}

void
record_free(struct record *record)
{
	x_free(record->json);
	x_free(record);
}

void
record_set_json(struct record *record, struct slice json)
{
	record->json = slice_strdup(json);
	record->json_len = (uint32_t)json.len;
}

size_t
record_size_bytes(const struct record *record)
{
	return sizeof(*record) + record->text_bytes + record->json_len;
}

struct slice
record_text(const struct record *record, enum record_text which)
{
	size_t at = 0;

	for (size_t i = 0; i < which; i++)
		at += record->text_len[i];
	return (struct slice){ record->text + at, record->text_len[which] };
}

/* --- finding ------------------------------------------------------------ */

void
record_query_init(struct record_query *query, struct slice text)
{
	memset(query, 0, sizeof(*query));
	query->text = text;
	(void)journal_parse_code(text, query->code);
}

static bool
text_matches(enum record_text which, struct slice text,
	struct record_query *query)
{
	if (which == RECORD_INSTANCE && query->instance.len > 0 &&
		slice_eq(text, query->instance))
		return true;
	return slice_case_eq(text, query->text);
}

bool
record_matches(const struct record *record, struct record_query *query)
{
	static const bool is_key[RECORD_TEXT_COUNT] = {
		[RECORD_CLIENT_ADDRESS] = true,
		[RECORD_SENDER] = true,
		[RECORD_RECIPIENT] = true,
		[RECORD_SASL_USERNAME] = true,
		[RECORD_QUEUE_ID] = true,
		[RECORD_INSTANCE] = true,
		[RECORD_SENDER_BARE] = true,
		[RECORD_RECIPIENT_BARE] = true,
	};
	const char *at = record->text;

	if (query->text.len == 0)
		return false;
	if (query->code[0] != '\0' && strcmp(query->code, record->code) == 0)
		return true;
	for (size_t i = 0; i < RECORD_TEXT_COUNT; i++) {
		const struct slice text = { at, record->text_len[i] };

		at += text.len;
		if (!is_key[i] || text.len == 0 ||
			!text_matches((enum record_text)i, text, query))
			continue;
		if (i == RECORD_QUEUE_ID && query->instance.len == 0)
			query->instance = record_text(record, RECORD_INSTANCE);
		return true;
	}
	return false;
}

/* --- as JSON ------------------------------------------------------------ */

void
journal_append_text(struct str *json, const char *key, struct slice value)
{
	str_append(json, ",\"", 2);
	str_append_text(json, key);
	str_append(json, "\":", 2);
	str_append_json(json, value);
}

static void
append_u64(struct str *json, const char *key, uint64_t value)
{
	str_append(json, ",\"", 2);
	str_append_text(json, key);
	str_append(json, "\":", 2);
	str_append_u64(json, value);
}

/* A decimal fraction of so many digits. */
static void
append_fraction(struct str *json, uint64_t value, size_t n_digits)
{
	char digits[8];

	for (size_t i = n_digits; i > 0; i--) {
		digits[i - 1] = (char)('0' + value % 10);
		value /= 10;
	}
	str_append_char(json, '.');
	str_append(json, digits, n_digits);
}

void
journal_append_ms(struct str *json, const char *key, int64_t microseconds)
{
	const uint64_t us = microseconds > 0 ? (uint64_t)microseconds : 0;

	append_u64(json, key, us / 1000);
	append_fraction(json, us % 1000, 3);
}

/* What another daemon in parallel has answered, which is what was answered. */
static void
describe_old_reply(const struct record *record, struct str *json)
{
	const struct slice old = record_text(record, RECORD_OLD_REPLY);

	if (old.len == 0)
		return;
	journal_append_text(json, "old_reply", old);
	str_append_text(json, record->has_disagreed ? ",\"disagrees\":true"
						    : ",\"disagrees\":false");
}

static struct slice
rule_text(int rule)
{
	return rule < 0 ? SLICE("") : slice_of(rule_name((enum rule_id)rule));
}

void
record_describe_head(const struct record *record, const char *node,
	struct str *json)
{
	static const char *const keys[N_ATTRIBUTES] = {
		[RECORD_CLIENT_ADDRESS] = "client_address",
		[RECORD_CLIENT_NAME] = "client_name",
		[RECORD_HELO_NAME] = "helo_name",
		[RECORD_SENDER] = "sender",
		[RECORD_RECIPIENT] = "recipient",
		[RECORD_SASL_USERNAME] = "sasl_username",
		[RECORD_QUEUE_ID] = "queue_id",
		[RECORD_INSTANCE] = "instance",
	};
	const uint64_t wall_us = (uint64_t)record->wall_us;
	const struct slice reply = record_text(record, RECORD_REPLY);

	str_append_text(json, "{\"code\":");
	str_append_json(json, slice_of(record->code));
	append_u64(json, "time", wall_us / 1000000);
	append_fraction(json, wall_us % 1000000, 6);
	journal_append_text(json, "node", slice_of(node));
	journal_append_text(json, "stage",
		slice_of(stage_name((enum stage)record->stage)));
	journal_append_text(json, "action",
		slice_of(verdict_action_name(
			(enum verdict_action)record->action)));
	journal_append_text(json, "rule", rule_text(record->rule));
	journal_append_text(json, "would_have",
		rule_text(record->observed_rule));
	journal_append_text(json, "permitted_by",
		rule_text(record->permitting_rule));
	journal_append_text(json, "reply",
		reply.len > 0 ? reply : SLICE("DUNNO"));
	describe_old_reply(record, json);
	for (size_t i = 0; i < N_ATTRIBUTES; i++)
		journal_append_text(json, keys[i],
			record_text(record, (enum record_text)i));
	append_u64(json, "recipient_count", record->recipient_count);
	append_u64(json, "size", record->size_bytes);
	journal_append_ms(json, "took_ms", record->took_us);
}

static void
describe_rule(const struct record *record, const struct record_rule *rule,
	struct str *json)
{
	const enum rule_outcome outcome = (enum rule_outcome)rule->outcome;

	str_append_text(json, "{\"rule\":");
	str_append_json(json, slice_of(rule_name((enum rule_id)rule->id)));
	journal_append_text(json, "outcome",
		slice_of(rule_outcome_name(outcome)));
	if (outcome != OUTCOME_NOT_ASKED) {
		journal_append_text(json, "mode",
			slice_of(rule_mode_name((enum rule_mode)rule->mode)));
		journal_append_ms(json, "took_ms", rule->took_us);
	}
	if (outcome == OUTCOME_PERMITTED)
		journal_append_text(json, "text",
			record_text(record, RECORD_PERMIT));
	if (outcome == OUTCOME_ERROR_ACCEPTED ||
		outcome == OUTCOME_ERROR_DEFERRED)
		journal_append_text(json, "missing",
			record_text(record, RECORD_MISSING));
	str_append_char(json, '}');
}

void
record_describe(const struct record *record, const char *node, struct str *json)
{
	if (record->json != NULL) {
		str_append(json, record->json, record->json_len);
		return;
	}
	record_describe_head(record, node, json);
	str_append_text(json, ",\"rules\":[");
	for (size_t i = 0; i < record->n_rules; i++) {
		if (i > 0)
			str_append_char(json, ',');
		describe_rule(record, &record->rules[i], json);
	}
	str_append_text(json, "]}");
}
