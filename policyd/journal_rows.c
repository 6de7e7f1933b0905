#include "policyd/journal_private.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db.h"
#include "policyd/facts/column.h"
#include "policyd/rule.h"
#include "policyd/sources.h"

#define ROWS_PER_STATEMENT 256
/* Rows may wait; they must not take the connections that answers need. */
#define STATEMENTS_IN_FLIGHT 1
/* limits.waiting_writes bounds their number, and this their size. */
#define WAITING_BYTES_MAX ((size_t)24 << 20)
/* Our own bounds are the narrower ones. */
#define BATCH_WAITING_MAX ((size_t)1 << 30)
/* The same trouble is not logged more often. */
#define WARNING_PAUSE_US INT64_C(60000000)
/* Twice is for the quotes of what an explanation consists of. */
#define ROW_BYTES_MAX (2 * EXPLANATION_BYTES_MAX)

/* Element n of the row, as a column of the parameter. */
#define TEXT(n) ", c" #n " VARCHAR(512) CHARACTER SET utf8mb4 PATH '$[" #n "]'"

/*
 * Sent again when it is not known whether it arrived: a row of a log may be
 * there twice. The session's time zone is UTC.
 */
static const struct db_statement insert_sessions = {
	.name = "smtp_sessions_insert",
	.sql = "INSERT INTO smtp_sessions (time, time_num, action, reason, "
	       "instance, client_address, client_name, reverse_client_name, "
	       "helo_name, sender, sender_domain, sasl_username, sasl_domain, "
	       "recipient, recipient_domain, encryption_protocol, "
	       "encryption_cipher, server_address, server_port) "
	       "SELECT FROM_UNIXTIME(c0), c0, c1, c2, c3, c4, c5, c6, c7, c8, "
	       "c9, c10, c11, c12, c13, c14, c15, c16, c17 "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS ("
	       "c0 BIGINT UNSIGNED PATH '$[0]'" TEXT(1) TEXT(2) TEXT(3) TEXT(4)
		       TEXT(5) TEXT(6) TEXT(7) TEXT(8) TEXT(9) TEXT(10) TEXT(11)
			       TEXT(12) TEXT(13) TEXT(14) TEXT(15) TEXT(16)
				       TEXT(17) ")) j",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

/*
 * IGNORE: sent again, the row is there. The explanation comes last, so that
 * no other element is looked for behind it.
 */
static const struct db_statement insert_decisions = {
	.name = "decision_insert",
	.sql = "INSERT IGNORE INTO decision (slot, time_us, is_observed, "
	       "code, node, stage, rule, action, reply, client_address, "
	       "client_name, helo_name, sender, recipient, sasl_username, "
	       "queue_id, instance, old_reply, detail) "
	       "SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, "
	       "c13, c14, c15, c16, c17, detail "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS ("
	       "c0 TINYINT UNSIGNED PATH '$[0]', "
	       "c1 BIGINT UNSIGNED PATH '$[1]', "
	       "c2 TINYINT UNSIGNED PATH '$[2]'" TEXT(3) TEXT(4) TEXT(5) TEXT(6)
		       TEXT(7) TEXT(8) TEXT(9) TEXT(10) TEXT(11) TEXT(12)
			       TEXT(13) TEXT(14) TEXT(15) TEXT(16) TEXT(
				       17) ", detail JSON PATH '$[18]')) j",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

/* One row that waits, as the JSON array that it is sent as. */
struct row {
	struct db_item item;
	size_t len;
	char json[];
};

/* What writes into one table. */
struct writer {
	struct journal_rows *rows;
	const char *table;
	enum metric lost;
	struct db_batch *batch;
	size_t n, n_bytes;
	bool is_closing;
	bool is_failing; /* the last statement failed */
	bool is_full;    /* the last row was lost */
	int64_t warned_us;
};

struct journal_rows {
	struct sources *sources;
	struct writer sessions, decisions;
	struct str json; /* the row under construction */
};

unsigned
journal_slot(int64_t day)
{
	return (unsigned)((uint64_t)day % DECISION_SLOTS);
}

/* --- writing ------------------------------------------------------------ */

static void
encode(const struct db_item *item, struct str *json)
{
	const struct row *row = (const struct row *)(const void *)item;

	str_append(json, row->json, row->len);
}

static bool
may_warn(struct writer *writer)
{
	const int64_t now = clock_monotonic_us();

	if (writer->warned_us != 0 &&
		now - writer->warned_us < WARNING_PAUSE_US)
		return false;
	writer->warned_us = now;
	return true;
}

static void
note_failure(struct writer *writer, size_t n, const struct db_result *result)
{
	metric_add(writer->lost, n);
	if (writer->is_failing || writer->is_closing || !may_warn(writer))
		return;
	if (result->error_number == NO_SUCH_TABLE)
		log_error("the table %s does not exist: run "
			  "\"policyctl db migrate\"",
			writer->table);
	else
		log_error("rows for %s cannot be written: %s", writer->table,
			result->error);
}

static void
done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct writer *writer = owner;

	if (result->status != DB_OK)
		note_failure(writer, n, result);
	writer->is_failing = result->status != DB_OK;
	for (size_t i = 0; i < n; i++) {
		struct row *row = (struct row *)(void *)items[i];

		writer->n--;
		writer->n_bytes -= row->len;
		x_free(row);
	}
	metric_sub(METRIC_EFFECTS_QUEUED, n);
}

static bool
has_room(struct writer *writer, size_t bytes)
{
	const struct config *config = writer->rows->sources->config;

	if (writer->n < config->limits.waiting_writes &&
		writer->n_bytes + bytes <= WAITING_BYTES_MAX) {
		writer->is_full = false;
		return true;
	}
	metric_add(writer->lost, 1);
	if (!writer->is_full && may_warn(writer))
		log_warning("%zu rows wait for %s: further ones are lost",
			writer->n, writer->table);
	writer->is_full = true;
	return false;
}

static void
add_row(struct writer *writer, const struct str *json)
{
	struct row *row;

	if (json->is_cut) {
		metric_add(writer->lost, 1);
		return;
	}
	if (!has_room(writer, json->len))
		return;
	row = x_calloc(1, sizeof(*row) + json->len);
	row->len = json->len;
	memcpy(row->json, json->data, json->len);
	writer->n++;
	writer->n_bytes += row->len;
	metric_add(METRIC_EFFECTS_QUEUED, 1);
	(void)db_batch_add(writer->batch, &row->item);
}

/* A text with the most characters that its column takes. */
struct column {
	struct slice text;
	size_t max;
};

static void
append_columns(const struct request *req, const struct column *columns,
	size_t n, struct str *json)
{
	for (size_t i = 0; i < n; i++) {
		str_append_char(json, ',');
		str_append_json(json, column_text(req->arena, columns[i].text,
					      columns[i].max));
	}
}

/* --- smtp_sessions ------------------------------------------------------ */

/* Of a recipient: what is not only DUNNO, a whitelist said something. */
static bool
wants_session(const struct decision *decision)
{
	const struct config *config = decision->config;
	const struct slice reply = decision->reply;
	/* A header field does not make it more than that. */
	const bool is_dunno = decision->rule < 0;
	const bool is_permitted = decision->permitting_rule >= 0;

	if (!config->sessions.enabled)
		return false;
	/* The last word on a message, at MESSAGE if the milter judges there. */
	if ((decision->req.rule_stages & STAGE_END_OF_MESSAGE) == 0 &&
		((decision->req.stage & (STAGE_RCPT | STAGE_MESSAGE)) == 0 ||
			(is_dunno && !is_permitted)))
		return false;
	if (config->sessions.skip_dunno && is_dunno)
		return false;
	if (config->sessions.skip_greylisting &&
		slice_starts(reply, SLICE("451 4.7.1")))
		return false;
	return !config->sessions.skip_whitelist || !is_permitted;
}

void
journal_rows_session(struct journal_rows *rows, const struct decision *decision)
{
	const struct request *req = &decision->req;
	const struct slice *attribute = req->attribute;
	struct slice reason = decision->reply, word;

	if (!wants_session(decision))
		return;
	slice_split(&reason, ' ', &word);
	if (decision->rule < 0)
		reason = journal_permit_reason(decision);
	const struct column columns[] = {
		/* A refusal with a code of its own (550) is one like others. */
		{ slice_of(verdict_action_name(decision->action)), 20 },
		{ reason, 150 },
		{ attribute[ATTRIBUTE_instance], 40 },
		{ attribute[ATTRIBUTE_client_address], 40 },
		{ attribute[ATTRIBUTE_client_name], 255 },
		{ attribute[ATTRIBUTE_reverse_client_name], 255 },
		{ attribute[ATTRIBUTE_helo_name], 255 },
		{ req->sender.bare, 255 },
		{ req->sender.domain, 255 },
		{ req->login.full, 255 },
		{ req->login.domain, 255 },
		{ req->recipient.bare, 255 },
		{ req->recipient.domain, 255 },
		{ attribute[ATTRIBUTE_encryption_protocol], 20 },
		{ attribute[ATTRIBUTE_encryption_cipher], 50 },
		{ attribute[ATTRIBUTE_server_address], 40 },
		{ attribute[ATTRIBUTE_server_port], 10 },
	};

	str_reset(&rows->json);
	str_append_char(&rows->json, '[');
	str_append_i64(&rows->json, decision->wall_us / 1000000);
	append_columns(req, columns, sizeof(columns) / sizeof(columns[0]),
		&rows->json);
	str_append_char(&rows->json, ']');
	add_row(&rows->sessions, &rows->json);
}

/* --- decision ----------------------------------------------------------- */

static struct slice
name_of_rule(const struct decision *decision)
{
	int rule =
		decision->rule >= 0 ? decision->rule : decision->observed_rule;

	if (decision->has_disagreed)
		rule = decision->disagreed_rule;
	return rule < 0 ? SLICE("") : slice_of(rule_name((enum rule_id)rule));
}

static void
begin_decision(const struct decision *decision, struct str *json)
{
	const int64_t day = decision->wall_us / 1000000 / DAY_S;

	str_reset(json);
	str_append_char(json, '[');
	str_append_u64(json, journal_slot(day));
	str_append_char(json, ',');
	str_append_i64(json, decision->wall_us);
	str_append_text(json, decision->rule < 0 ? ",1" : ",0");
}

void
journal_rows_decision(struct journal_rows *rows,
	const struct decision *decision, struct slice explanation)
{
	const struct request *req = &decision->req;
	const struct slice *attribute = req->attribute;
	/* Addresses as they are looked for: without extension. */
	const struct column columns[] = {
		{ slice_of(decision->code), DECISION_CODE_LEN },
		{ slice_of(rows->sources->node), 64 },
		{ slice_of(stage_name(req->stage)), 16 },
		{ name_of_rule(decision), 32 },
		{ slice_of(verdict_action_name(decision->action)), 20 },
		{ decision->reply, 512 },
		{ attribute[ATTRIBUTE_client_address], 45 },
		{ attribute[ATTRIBUTE_client_name], 255 },
		{ attribute[ATTRIBUTE_helo_name], 255 },
		{ req->sender.bare, 255 },
		{ req->recipient.bare, 255 },
		{ req->login.full, 255 },
		{ attribute[ATTRIBUTE_queue_id], 64 },
		{ attribute[ATTRIBUTE_instance], 64 },
		{ decision->old_reply, 512 },
	};

	if (!decision->config->decisions.enabled)
		return;
	begin_decision(decision, &rows->json);
	append_columns(req, columns, sizeof(columns) / sizeof(columns[0]),
		&rows->json);
	str_append_char(&rows->json, ',');
	str_append_slice(&rows->json, explanation);
	str_append_char(&rows->json, ']');
	add_row(&rows->decisions, &rows->json);
}

/* --- life --------------------------------------------------------------- */

static const struct db_batch_ops session_ops = {
	.statement = &insert_sessions,
	.encode = encode,
	.done = done,
	.max_items = ROWS_PER_STATEMENT,
	.max_in_flight = STATEMENTS_IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static const struct db_batch_ops decision_ops = {
	.statement = &insert_decisions,
	.encode = encode,
	.done = done,
	.max_items = ROWS_PER_STATEMENT,
	.max_in_flight = STATEMENTS_IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static void
writer_open(struct writer *writer, struct journal_rows *rows,
	enum config_db_id db, const struct db_batch_ops *ops)
{
	writer->rows = rows;
	writer->batch = db_batch_new(rows->sources->db[db], ops, writer);
	db_batch_pace(writer->batch,
		rows->sources->config->limits.log_rows_per_second);
}

static void
writer_close(struct writer *writer)
{
	writer->is_closing = true;
	db_batch_free(writer->batch);
}

struct journal_rows *
journal_rows_new(struct sources *sources)
{
	struct journal_rows *rows = x_new(struct journal_rows);

	rows->sources = sources;
	str_init(&rows->json, ROW_BYTES_MAX);
	rows->sessions.table = "iredapd.smtp_sessions";
	rows->sessions.lost = METRIC_SESSIONS_LOST;
	writer_open(&rows->sessions, rows, CONFIG_DB_IREDAPD, &session_ops);
	rows->decisions.table = "policyd.decision";
	rows->decisions.lost = METRIC_EFFECTS_LOST;
	writer_open(&rows->decisions, rows, CONFIG_DB_POLICYD, &decision_ops);
	return rows;
}

void
journal_rows_free(struct journal_rows *rows)
{
	writer_close(&rows->sessions);
	writer_close(&rows->decisions);
	str_free(&rows->json);
	x_free(rows);
}

void
journal_rows_hurry(struct journal_rows *rows)
{
	db_batch_pace(rows->sessions.batch, 0);
	db_batch_pace(rows->decisions.batch, 0);
}

size_t
journal_rows_sessions_waiting(const struct journal_rows *rows)
{
	return rows->sessions.n;
}

size_t
journal_rows_decisions_waiting(const struct journal_rows *rows)
{
	return rows->decisions.n;
}
