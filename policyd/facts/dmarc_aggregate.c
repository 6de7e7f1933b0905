#include "policyd/facts/dmarc_aggregate.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db.h"
#include "policyd/effect.h"
#include "policyd/facts.h"
#include "policyd/facts/column.h"
#include "policyd/request.h"
#include "policyd/rule.h"
#include "policyd/sources.h"

#define ITEMS_MAX 256
#define IN_FLIGHT 1
/* Our own bound, limits.waiting_writes, may change with a reload. */
#define BATCH_WAITING_MAX ((size_t)1 << 30)
/* The same trouble is not logged more often. */
#define WARNING_PAUSE_US INT64_C(60000000)

#define DAY_S    86400
#define KEY_SIZE 16 /* of SHA-256: enough for the rows of a day */

/* Characters of a record, and of the name of a domain or a selector. */
#define RECORD_MAX 2048
#define NAME_MAX   255
/* A row as JSON: eight signatures of two names, and the other texts. */
#define ROW_MAX ((size_t)64 << 10)

#define TEXT(n, size) \
	", c" #n " VARCHAR(" #size ") CHARACTER SET utf8mb4 PATH '$[" #n "]'"
#define NUMBER(n) ", c" #n " BIGINT UNSIGNED PATH '$[" #n "]'"

/*
 * A row that is there counts; a new one comes in while the day has room, as
 * it was when the statement began. The number of rows that come back is that
 * of the messages that were counted.
 *
 * EXPLAIN: e by primary key; d is a range on the index of the day and needs
 * nothing but the index, once for each day of the batch (the server remembers
 * what a subquery has said).
 */
static const struct db_statement add_rows = {
	.name = "dmarc_aggregate_add",
	.sql = "INSERT INTO dmarc_aggregate (row_key, day, policy_domain,"
	       " record, source_ip, header_from, envelope_from, envelope_to,"
	       " disposition, dkim_aligned, spf_aligned, override_type,"
	       " override_comment, spf_result, spf_domain, spf_is_helo, dkim,"
	       " n) SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11,"
	       " c12, c13, c14, c15, c16, 1 FROM JSON_TABLE(?, '$[*]' COLUMNS"
	       " (i FOR ORDINALITY, c0 CHAR(32) CHARACTER SET ascii"
	       " PATH '$[0]'" NUMBER(1) TEXT(2, 255) TEXT(3, 2048) TEXT(4,
		       45) TEXT(5, 255) TEXT(6, 255) TEXT(7, 255) TEXT(8,
		       10) NUMBER(9) NUMBER(10) TEXT(11, 20) TEXT(12,
		       255) TEXT(13, 10) TEXT(14, 255) NUMBER(15) TEXT(16, 5000)
		       NUMBER(17) ")) k"
				  " WHERE EXISTS (SELECT 1 FROM dmarc_aggregate e"
				  " WHERE e.row_key = k.c0) OR k.c17 > (SELECT COUNT(*)"
				  " FROM dmarc_aggregate d WHERE d.day = k.c1) ORDER BY k.i"
				  " ON DUPLICATE KEY UPDATE n = dmarc_aggregate.n + 1"
				  " RETURNING day",
	.access = DB_WRITES,
	.params = "s",
	.columns = "u",
};

struct seen_row {
	struct db_item item;
	size_t len;
	/* "["KEY",...]"; sorts by its key. */
	char json[];
};

struct dmarc_aggregate {
	struct sources *sources;
	struct db_batch *batch;
	size_t n_waiting;
	uint64_t n_left_out; /* since it was said last */
	int64_t warned_us;
};

const char *
dmarc_override_name(enum dmarc_override override)
{
	switch (override) {
	case DMARC_OVERRIDE_NONE:
		return "";
	case DMARC_OVERRIDE_TRUSTED_FORWARDER:
		return "trusted_forwarder";
	case DMARC_OVERRIDE_LOCAL_POLICY:
		return "local_policy";
	case DMARC_OVERRIDE_OTHER:
		return "other";
	}
	assert(0);
}

/* --- a row -------------------------------------------------------------- */

/* What an effect carries. */
struct counted {
	const struct request *req;
	struct authentication of;
	struct dmarc_seen seen;
};

static void
add_text(struct str *json, const struct request *req, struct slice text,
	size_t max)
{
	str_append_char(json, ',');
	str_append_json(json, column_text(req->arena, text, max));
}

static void
add_number(struct str *json, uint64_t number)
{
	str_append_char(json, ',');
	str_append_u64(json, number);
}

/* The one domain of all recipients; "" when there are several. */
static struct slice
recipients_domain(const struct request *req)
{
	for (size_t i = 1; i < req->n_recipients; i++)
		if (!slice_eq(req->recipients[i].domain,
			    req->recipients[0].domain))
			return SLICE("");
	return req->n_recipients > 0 ? req->recipients[0].domain : SLICE("");
}

static void
add_signatures(struct str *json, const struct request *req)
{
	struct authentication_signature parts;
	struct str lines;

	str_init(&lines, ROW_MAX);
	for (size_t i = 0; i < req->n_signatures; i++) {
		authentication_read_signature(req->signatures[i], &parts);
		str_printf(&lines, "%.*s %.*s %.*s\n",
			SLICE_ARG(slice_part(parts.result, 0, 20)),
			SLICE_ARG(slice_part(parts.domain, 0, NAME_MAX)),
			SLICE_ARG(slice_part(parts.selector, 0, NAME_MAX)));
	}
	add_text(json, req, str_slice(&lines), 5000);
	str_free(&lines);
}

/* All that makes a row another one. */
static void
write_row(const struct counted *counted, struct str *json)
{
	const struct authentication *of = &counted->of;
	const struct dmarc_seen *seen = &counted->seen;
	const struct request *req = counted->req;
	const char *spf = of->has_spf ? spf_result_name(of->spf) : "";
	char client[IP_TEXT_MAX];

	add_number(json, (uint64_t)(req->now - req->now % DAY_S));
	add_text(json, req, of->policy_domain, NAME_MAX);
	add_text(json, req, of->record, RECORD_MAX);
	add_text(json, req, slice_of(ip_format(&req->client, client)), 45);
	add_text(json, req, of->domain, NAME_MAX);
	add_text(json, req, req->sender.domain, NAME_MAX);
	add_text(json, req, recipients_domain(req), NAME_MAX);
	add_text(json, req, slice_of(dmarc_policy_name(seen->disposition)), 10);
	add_number(json, of->is_dkim_aligned);
	add_number(json, of->is_spf_aligned);
	add_text(json, req, slice_of(dmarc_override_name(seen->override)), 20);
	add_text(json, req, slice_of(seen->comment), NAME_MAX);
	add_text(json, req, slice_of(spf), 10);
	add_text(json, req, of->spf_domain, NAME_MAX);
	add_number(json, of->is_spf_of_helo);
	add_signatures(json, req);
}

static void
add_key(struct str *json, struct slice row)
{
	struct crypto_sha256 *hash = crypto_sha256_new();
	unsigned char key[CRYPTO_SHA256_SIZE];

	crypto_sha256_add(hash, row.ptr, row.len);
	crypto_sha256_finish(hash, key);
	crypto_sha256_free(hash);
	str_append_char(json, '"');
	for (size_t i = 0; i < KEY_SIZE; i++)
		str_printf(json, "%02x", key[i]);
	str_append_char(json, '"');
}

/* NULL: it does not fit, which no request can bring about. */
static struct seen_row *
make_row(const struct counted *counted, uint64_t rows_max)
{
	struct seen_row *row = NULL;
	struct str json, content;

	str_init(&content, ROW_MAX);
	str_init(&json, ROW_MAX + 100);
	write_row(counted, &content);
	str_append_char(&json, '[');
	add_key(&json, str_slice(&content));
	str_append_slice(&json, str_slice(&content));
	add_number(&json, rows_max);
	str_append_char(&json, ']');
	if (!content.is_cut) {
		row = x_calloc(1, sizeof(*row) + json.len);
		row->len = json.len;
		memcpy(row->json, json.data, json.len);
	}
	str_free(&json);
	str_free(&content);
	return row;
}

/* --- writing ------------------------------------------------------------ */

static const struct seen_row *
row_of(const struct db_item *item)
{
	return (const struct seen_row *)(const void *)item;
}

static void
encode(const struct db_item *item, struct str *json)
{
	str_append(json, row_of(item)->json, row_of(item)->len);
}

static int
compare(const struct db_item *a, const struct db_item *b)
{
	const struct seen_row *x = row_of(a), *y = row_of(b);

	return slice_compare((struct slice){ x->json, x->len },
		(struct slice){ y->json, y->len });
}

static bool
may_warn(struct dmarc_aggregate *aggregate)
{
	const int64_t now = clock_monotonic_us();

	if (aggregate->warned_us != 0 &&
		now - aggregate->warned_us < WARNING_PAUSE_US)
		return false;
	aggregate->warned_us = now;
	return true;
}

static void
leave_out(struct dmarc_aggregate *aggregate, size_t n)
{
	metric_add(METRIC_DMARC_LEFT_OUT, n);
	aggregate->n_left_out += n;
	if (!may_warn(aggregate))
		return;
	log_warning("%llu messages are not in the data for DMARC reports: the "
		    "day has [dmarc] rows_per_day rows already",
		(unsigned long long)aggregate->n_left_out);
	aggregate->n_left_out = 0;
}

static void
done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct dmarc_aggregate *aggregate = owner;

	for (size_t i = 0; i < n; i++)
		x_free(items[i]);
	aggregate->n_waiting -= n;
	metric_sub(METRIC_EFFECTS_QUEUED, n);
	if (result->status == DB_OK) {
		if (db_rows_count(result->rows) < n)
			leave_out(aggregate, n - db_rows_count(result->rows));
		return;
	}
	metric_add(METRIC_EFFECTS_LOST, n);
	if (may_warn(aggregate))
		log_error("%zu messages could not be counted for DMARC "
			  "reports: %s",
			n, result->error);
}

static const struct db_batch_ops ops = {
	.statement = &add_rows,
	.encode = encode,
	.compare = compare,
	.done = done,
	.max_items = ITEMS_MAX,
	.max_in_flight = IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
	.is_patient = true,
};

static void
apply(struct facts *facts, const void *data)
{
	struct dmarc_aggregate *aggregate = facts->sources->dmarc_aggregate;
	const struct config *config = facts->sources->config;
	struct seen_row *row;

	if (aggregate->n_waiting >= config->limits.waiting_writes) {
		metric_add(METRIC_EFFECTS_LOST, 1);
		return;
	}
	row = make_row(data, config->dmarc.rows_per_day);
	if (row == NULL)
		return;
	aggregate->n_waiting++;
	metric_add(METRIC_EFFECTS_QUEUED, 1);
	db_batch_add(aggregate->batch, &row->item);
}

/* --- the effect --------------------------------------------------------- */

static bool
wants_reports(const struct request *req, const struct authentication *of)
{
	struct dmarc_record record;
	const char *err;

	return dmarc_record_is(of->record) &&
	       dmarc_record_parse(req->arena, of->record, &record, &err) == 0 &&
	       record.has_rua;
}

static bool
is_collected(const struct request *req, const struct authentication *of)
{
	if (!of->is_judged || of->policy_domain.len == 0 ||
		(of->dmarc != DMARC_PASS && of->dmarc != DMARC_FAIL))
		return false;
	switch (req->config->dmarc.collect) {
	case DMARC_COLLECT_NONE:
		return false;
	case DMARC_COLLECT_ALL:
		return true;
	case DMARC_COLLECT_RUA:
		break;
	}
	return wants_reports(req, of);
}

void
effect_dmarc_seen(struct verdict *out, const struct request *req,
	const struct authentication *of, const struct dmarc_seen *seen)
{
	struct counted *counted;

	if (!is_collected(req, of))
		return;
	counted = arena_new_object(req->arena, struct counted);
	*counted = (struct counted){ req, *of, *seen };
	effect_add(out, "count for a DMARC report", apply, counted);
}

/* --- life --------------------------------------------------------------- */

struct dmarc_aggregate *
dmarc_aggregate_new(struct sources *sources)
{
	struct dmarc_aggregate *aggregate = x_new(struct dmarc_aggregate);

	aggregate->sources = sources;
	aggregate->batch =
		db_batch_new(sources->db[CONFIG_DB_POLICYD], &ops, aggregate);
	return aggregate;
}

void
dmarc_aggregate_free(struct dmarc_aggregate *aggregate)
{
	if (aggregate == NULL)
		return;
	db_batch_free(aggregate->batch);
	x_free(aggregate);
}

size_t
dmarc_aggregate_waiting(const struct dmarc_aggregate *aggregate)
{
	return aggregate->n_waiting;
}
