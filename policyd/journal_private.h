#ifndef POLICYD_JOURNAL_PRIVATE_H
#define POLICYD_JOURNAL_PRIVATE_H

/*
 * What the files of the journal share; for nobody else.
 *
 *	journal.c         codes, the decisions in memory, taps
 *	journal_record.c  one decision in memory
 *	journal_log.c     the log line and the full explanation
 *	journal_rows.c    rows for smtp_sessions and policyd.decision
 *	journal_store.c   reading and emptying policyd.decision
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/str.h"
#include "policyd/config.h"
#include "policyd/engine.h"
#include "policyd/journal.h"

/*
 * Longer explanations lose the values of their facts. A few of them must fit
 * into one statement (db_batch.c).
 */
#define EXPLANATION_BYTES_MAX ((size_t)256 << 10)

/* --- one decision in memory --------------------------------------------- */

enum record_text {
	RECORD_CLIENT_ADDRESS,
	RECORD_CLIENT_NAME,
	RECORD_HELO_NAME,
	RECORD_SENDER,
	RECORD_RECIPIENT,
	RECORD_SASL_USERNAME,
	RECORD_QUEUE_ID,
	RECORD_INSTANCE,
	/* Those above are attributes of the request, as received. */
	RECORD_REPLY,       /* "" for DUNNO */
	RECORD_SENDER_BARE, /* without extension; "" when that is the same */
	RECORD_RECIPIENT_BARE,
	RECORD_MISSING,   /* why a rule could not judge */
	RECORD_PERMIT,    /* why a rule let it through */
	RECORD_OLD_REPLY, /* of the daemon in parallel */
	RECORD_TEXT_COUNT
};

struct record_rule {
	uint8_t id;      /* enum rule_id */
	uint8_t outcome; /* enum rule_outcome */
	uint8_t mode;    /* enum rule_mode */
	uint32_t took_us;
};

/* Compact: every request leaves one. */
struct record {
	TAILQ_ENTRY(record) entry;
	int64_t wall_us;
	uint64_t size_bytes;
	char *json; /* the full explanation, or NULL */
	uint32_t json_len;
	uint32_t text_bytes;
	uint32_t took_us, recipient_count;
	uint16_t text_len[RECORD_TEXT_COUNT];
	uint8_t stage, action; /* enum stage, enum verdict_action */
	uint8_t n_rules;
	int8_t rule, observed_rule, permitting_rule; /* enum rule_id or -1 */
	bool has_disagreed; /* with the daemon in parallel */
	char code[DECISION_CODE_LEN + 1];
	struct record_rule rules[RULE_ID_COUNT]; /* in the order asked */
	char text[]; /* the texts, one behind the other */
};

struct record *record_new(const struct decision *decision);
void record_free(struct record *record);
/* Keeps a copy of the explanation. */
void record_set_json(struct record *record, struct slice json);
size_t record_size_bytes(const struct record *record);
struct slice record_text(const struct record *record, enum record_text which);

/* What is looked for. */
struct record_query {
	struct slice text;
	char code[DECISION_CODE_LEN + 1]; /* "" when text cannot be one */
	/*
	 * The instance of the newest decision that had the queue id: Postfix
	 * names the queue id only from the second recipient on.
	 */
	struct slice instance;
};

void record_query_init(struct record_query *query, struct slice text);
/* Ask from the newest record to the oldest. */
bool record_matches(const struct record *record, struct record_query *query);
/* Appends the record as a JSON object: the explanation, or what it holds. */
void record_describe(const struct record *record, const char *node,
	struct str *json);
/* Appends "{" and the members that do not depend on rules and facts. */
void record_describe_head(const struct record *record, const char *node,
	struct str *json);

/* Appends ,"key":"value". */
void journal_append_text(struct str *json, const char *key, struct slice value);
/* Appends ,"key":0.123 */
void journal_append_ms(struct str *json, const char *key, int64_t microseconds);
/*
 * The code that somebody typed, as it was given out: without regard to case,
 * o for 0, i and l for 1. False when it cannot be one.
 */
bool journal_parse_code(struct slice typed, char code[DECISION_CODE_LEN + 1]);

/* --- the log line and the explanation ----------------------------------- */

void journal_log(const struct decision *decision);
/*
 * Replaces *json by the full explanation. False when it does not fit even
 * without the values of the facts.
 */
bool journal_explain(const struct decision *decision,
	const struct record *record, const char *node, struct str *json);
/* What the rule that let it through says, or "". */
struct slice journal_permit_reason(const struct decision *decision);
/*
 * Refused, deferred, or would have been; or another daemon in parallel
 * answered otherwise.
 */
bool journal_is_remarkable(const struct decision *decision);

/* --- rows ---------------------------------------------------------------- */

struct journal_rows;
struct sources;

#define DECISION_SLOTS 8u
#define DAY_S          INT64_C(86400)

/* The partition of policyd.decision for a day (counted from 1970). */
unsigned journal_slot(int64_t day);

struct journal_rows *journal_rows_new(struct sources *sources);
/* What still waits is lost, and counted. */
void journal_rows_free(struct journal_rows *rows);
/* Writes a row of smtp_sessions if there is to be one. */
void journal_rows_session(struct journal_rows *rows,
	const struct decision *decision);
/* Writes a row of policyd.decision. */
void journal_rows_decision(struct journal_rows *rows,
	const struct decision *decision, struct slice explanation);
/* No pace any more: the program ends. */
void journal_rows_hurry(struct journal_rows *rows);
size_t journal_rows_sessions_waiting(const struct journal_rows *rows);
size_t journal_rows_decisions_waiting(const struct journal_rows *rows);

/* --- policyd.decision ----------------------------------------------------- */

struct journal_store;

/* Error number of the server: no such table. */
#define NO_SUCH_TABLE 1146u

/* Process 0 empties the partitions of the days that are over. */
struct journal_store *journal_store_new(struct sources *sources);
/* Whoever waits for an answer gets none any more. */
void journal_store_free(struct journal_store *store);
void journal_store_find(struct journal_store *store, struct slice what,
	size_t max, void (*fn)(void *arg, struct slice json),
	void (*done)(void *arg, const char *error), void *arg);

#endif
