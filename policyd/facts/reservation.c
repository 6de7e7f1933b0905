#include "policyd/facts/reservation.h"

#include <assert.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/io/db.h"
#include "policyd/facts/column.h"
#include "policyd/facts/reservation_refund.h"
#include "policyd/facts/tables.h"
#include "policyd/request.h"

#define BOOKING_ITEMS_MAX  512
#define BOOKINGS_IN_FLIGHT 2
#define BOOKINGS_MAX       100000
/* How often a message is counted again when its connection was lost. */
#define REPEATS_MAX 3
/* Larger than any size or limit that makes sense; sums of two still fit. */
#define AMOUNT_MAX ((uint64_t)1 << 60)

/* The accounts of one decision; UTF-8 has up to 4 bytes a character. */
#define TEXT_BYTES_MAX ((size_t)RESERVATION_MAX * COLUMN_ADDRESS_MAX * 4)

#define ERROR_NO_REFERENCED_ROW 1452

static const char *const reason_uncertain =
	"the count of this message is uncertain";
static const char *const reason_unavailable = "the counters are not available";
static const char *const reason_busy =
	"too many messages wait for their counters";
static const char *const reason_deleted =
	"a throttle rule was deleted meanwhile";

/*
 * One atomic check-and-add for each key, in order: exact with one key many
 * times in a statement and with any number of daemons. EXPLAIN: k, then r by
 * primary key. The join leaves out keys whose rule was deleted, which would
 * break the foreign key and with it the whole statement; tid tells which.
 *
 * MariaDB assigns from left to right: what is assigned later sees the new
 * admitted, and init_time, which tells whether the window is over, comes
 * last. A window is over when more than period seconds have passed since it
 * began (strictly, as in iRedAPD); a new one begins with this message,
 * counted or not. The saturation keeps a sum of two within the column.
 */
#define FITS_ALONE          "(k.mm = 0 OR k.m <= k.mm)"
#define SINCE_START(column) "IF(k.now > init_time + k.p, 0, " column ")"
#define SATURATED(sum)      "LEAST(" sum ", 4611686018427387904)"

/* One key, as encode_booking() writes it. */
#define BOOKING_COLUMNS                                               \
	"n FOR ORDINALITY, tid BIGINT UNSIGNED PATH '$[0]', "         \
	"a VARCHAR(255) PATH '$[1]', p BIGINT UNSIGNED PATH '$[2]', " \
	"m BIGINT UNSIGNED PATH '$[3]', "                             \
	"b BIGINT UNSIGNED PATH '$[4]', "                             \
	"mm BIGINT UNSIGNED PATH '$[5]', "                            \
	"mb BIGINT UNSIGNED PATH '$[6]', now BIGINT UNSIGNED PATH '$[7]'"

static const struct db_statement book = {
	.name = "throttle_book",
	/* clang-format off */
	.sql = "INSERT INTO throttle_tracking (tid, account, period, "
	       "cur_msgs, cur_quota, init_time, last_time, admitted) "
	       "SELECT k.tid, k.a, k.p, IF(" FITS_ALONE ", k.m, 0), "
	       "IF(" FITS_ALONE ", k.b, 0), k.now, k.now, " FITS_ALONE " "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS (" BOOKING_COLUMNS ")) k "
	       "STRAIGHT_JOIN throttle r ON r.id = k.tid ORDER BY k.n "
	       "ON DUPLICATE KEY UPDATE "
	       "admitted = (k.mm = 0 "
	       "OR " SINCE_START("cur_msgs") " + k.m <= k.mm) "
	       "AND (k.mb = 0 OR " SINCE_START("cur_quota") " <= k.mb), "
	       "cur_msgs = " SATURATED(SINCE_START("cur_msgs")
	       " + IF(admitted, k.m, 0)") ", "
	       "cur_quota = " SATURATED(SINCE_START("cur_quota")
	       " + IF(admitted, k.b, 0)") ", "
	       "last_time = IF(admitted, k.now, last_time), "
	       "throttle_tracking.period = k.p, "
	       "init_time = IF(k.now > init_time + k.p, k.now, init_time) "
	       "RETURNING tid, cur_msgs, cur_quota, init_time, "
	       "last_notify_time, admitted",
	/* clang-format on */
	.access = DB_WRITES,
	.params = "s",
	.columns = "uuuuuu",
};

/*
 * What book would answer, without adding anything, for a rehearsal. EXPLAIN:
 * k, then r by primary key, t by its unique key.
 */
#define IS_NEW "(t.tid IS NULL OR k.now > t.init_time + k.p)"

static const struct db_statement preview = {
	.name = "throttle_preview",
	/* clang-format off */
	.sql = "SELECT tid, " SATURATED("msgs + IF(admitted, m, 0)") ", "
	       SATURATED("bytes + IF(admitted, b, 0)") ", "
	       "since, notified, admitted FROM ("
	       "SELECT k.n, k.m, k.b, r.id AS tid, "
	       "IF(" IS_NEW ", 0, t.cur_msgs) AS msgs, "
	       "IF(" IS_NEW ", 0, t.cur_quota) AS bytes, "
	       "IF(" IS_NEW ", k.now, t.init_time) AS since, "
	       "COALESCE(t.last_notify_time, 0) AS notified, "
	       "(k.mm = 0 OR IF(" IS_NEW ", 0, t.cur_msgs) + k.m <= k.mm) AND "
	       "(k.mb = 0 OR IF(" IS_NEW ", 0, t.cur_quota) <= k.mb) "
	       "AS admitted "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS (" BOOKING_COLUMNS ")) k "
	       "STRAIGHT_JOIN throttle r ON r.id = k.tid "
	       "LEFT JOIN throttle_tracking t "
	       "ON t.tid = r.id AND t.account = k.a) p ORDER BY n",
	/* clang-format on */
	.access = DB_READS,
	.params = "s",
	.columns = "uuuuuu",
};

enum column {
	COLUMN_TID,
	COLUMN_MSGS,
	COLUMN_BYTES,
	COLUMN_WINDOW,
	COLUMN_NOTIFIED,
	COLUMN_ADMITTED,
};

/* One counter of one order. */
struct booking {
	struct db_item item;
	struct order *order;
	struct reservation_request request; /* account points into order */
	struct counter counter;
	unsigned n_repeats;
};

/* What one decision wants; outlives it when it gives up waiting. */
struct order {
	struct reservations *reservations;
	struct db_batch *batch;
	struct fact *fact;                          /* NULL once nobody waits */
	const struct reservation_request *requests; /* the decision's */
	int64_t now;
	size_t n, n_left;
	const char *failure;
	struct booking *bookings;
	char *text;
};

struct reservations {
	struct sources *sources;
	struct db_batch *bookings;
	struct db_batch *previews; /* of rehearsals */
	struct refunds *refunds;
};

/* The list a rule asked for: in the slot until load() takes it. */
struct list {
	const struct reservation_request *requests;
	size_t n;
};

static const struct booking *
booking_of(const struct db_item *item)
{
	return (const struct booking *)(const void *)item;
}

static void
encode_number(struct str *json, uint64_t number)
{
	str_append_char(json, ',');
	str_append_u64(json, number < AMOUNT_MAX ? number : AMOUNT_MAX);
}

static void
encode_booking(const struct db_item *item, struct str *json)
{
	const struct booking *booking = booking_of(item);
	const struct reservation_request *request = &booking->request;

	str_append_char(json, '[');
	str_append_u64(json, request->rule_id);
	str_append_char(json, ',');
	str_append_json(json, request->account);
	encode_number(json, request->period_s);
	encode_number(json, request->add_msgs);
	encode_number(json, request->add_bytes);
	encode_number(json, request->max_msgs);
	encode_number(json, request->max_bytes);
	encode_number(json, (uint64_t)booking->order->now);
	str_append_char(json, ']');
}

static int
compare_bookings(const struct db_item *a, const struct db_item *b)
{
	const struct reservation_request *x = &booking_of(a)->request;
	const struct reservation_request *y = &booking_of(b)->request;

	if (x->rule_id != y->rule_id)
		return x->rule_id < y->rule_id ? -1 : 1;
	return slice_compare(x->account, y->account);
}

static bool
is_preview(const struct order *order)
{
	return order->batch == order->reservations->previews;
}

static void
give_back(struct reservations *reservations,
	const struct reservation_request *request,
	const struct counter *counter)
{
	if (!counter->is_admitted ||
		(request->add_msgs == 0 && request->add_bytes == 0))
		return;
	refund_add(reservations->refunds,
		&(struct refund_order){ .rule_id = request->rule_id,
			.account = request->account,
			.window_start = counter->window_start,
			.msgs = request->add_msgs,
			.bytes = request->add_bytes });
}

static void
order_free(struct order *order)
{
	x_free(order->bookings);
	x_free(order->text);
	x_free(order);
}

static const struct reservation *
order_result(const struct order *order, struct arena *arena)
{
	struct reservation *out = arena_new_object(arena, struct reservation);
	struct counter *counters =
		arena_new_array(arena, order->n, struct counter);

	for (size_t i = 0; i < order->n; i++)
		counters[i] = order->bookings[i].counter;
	out->requests = order->requests;
	out->counters = counters;
	out->n = order->n;
	return out;
}

/*
 * Every counter was answered. What was added and nobody wants, because one
 * of them failed or the decision was given up, goes back.
 */
static void
finish(struct order *order)
{
	struct fact *fact = order->fact;

	if (fact != NULL && order->failure == NULL) {
		const struct reservation *result =
			order_result(order, fact->facts->req->arena);

		order_free(order);
		fact_known(fact, result);
		return;
	}
	for (size_t i = 0; i < order->n && !is_preview(order); i++)
		give_back(order->reservations, &order->bookings[i].request,
			&order->bookings[i].counter);
	if (fact != NULL)
		fact_unavailable(fact, order->failure);
	order_free(order);
}

static void
answer(struct booking *booking, const char *failure)
{
	struct order *order = booking->order;

	if (failure != NULL)
		order->failure = failure;
	assert(order->n_left > 0);
	if (--order->n_left == 0)
		finish(order);
}

static struct counter
read_counter(const struct db_rows *rows, size_t i)
{
	return (struct counter){
		.is_admitted = db_rows_u64(rows, i, COLUMN_ADMITTED) != 0,
		.cur_msgs = db_rows_u64(rows, i, COLUMN_MSGS),
		.cur_bytes = db_rows_u64(rows, i, COLUMN_BYTES),
		.window_start = (int64_t)db_rows_u64(rows, i, COLUMN_WINDOW),
		.last_notified = (int64_t)db_rows_u64(rows, i, COLUMN_NOTIFIED),
	};
}

/*
 * Rows come in the order of the items, less those whose rule is gone.
 * Returns how many items have none, or -1 when the rows are not of these
 * items: a Galera node that tried again by itself may send rows twice.
 */
static ptrdiff_t
match_rows(struct db_item **items, size_t n, const struct db_rows *rows)
{
	size_t n_rows = db_rows_count(rows), row = 0;

	for (size_t i = 0; i < n; i++) {
		if (row < n_rows &&
			db_rows_u64(rows, row, COLUMN_TID) ==
				booking_of(items[i])->request.rule_id)
			row++;
	}
	return row == n_rows ? (ptrdiff_t)(n - n_rows) : -1;
}

static void
answer_rows(struct reservations *reservations, struct db_item **items, size_t n,
	const struct db_rows *rows)
{
	ptrdiff_t n_missing = match_rows(items, n, rows);
	size_t n_rows = db_rows_count(rows), row = 0;

	for (size_t i = 0; i < n; i++) {
		struct booking *booking = (struct booking *)(void *)items[i];

		if (n_missing < 0) {
			answer(booking, reason_uncertain);
		} else if (row < n_rows && db_rows_u64(rows, row, COLUMN_TID) ==
						   booking->request.rule_id) {
			booking->counter = read_counter(rows, row++);
			answer(booking, NULL);
		} else {
			answer(booking, reason_deleted);
		}
	}
	if (n_missing > 0)
		tables_refresh(reservations->sources->tables, NULL, NULL);
}

static const char *
failure_of(struct reservations *reservations, const struct db_result *result)
{
	switch (result->status) {
	case DB_OK:
		break;
	case DB_REFUSED:
		/* Deleted between our look at the rule and the server's. */
		if (result->error_number != ERROR_NO_REFERENCED_ROW)
			break;
		tables_refresh(reservations->sources->tables, NULL, NULL);
		return reason_deleted;
	case DB_UNAVAILABLE:
		break;
	case DB_UNCERTAIN:
		return reason_uncertain;
	}
	return reason_unavailable;
}

/*
 * The connection was lost before the answer came: counted again, for a
 * message that may count twice is better than a limit that is not asked.
 * Not so after a deadline: a server that is stuck would count each of them
 * when it goes on.
 */
static bool
book_again(struct booking *booking, const struct db_result *result)
{
	if (result->status != DB_UNCERTAIN || result->error_number == 0 ||
		booking->order->fact == NULL ||
		booking->n_repeats == REPEATS_MAX)
		return false;
	booking->n_repeats++;
	return db_batch_add(booking->order->batch, &booking->item);
}

static void
bookings_done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct reservations *reservations = owner;
	const char *failure;

	if (result->status == DB_OK) {
		answer_rows(reservations, items, n, result->rows);
		return;
	}
	failure = failure_of(reservations, result);
	for (size_t i = 0; i < n; i++) {
		struct booking *booking = (struct booking *)(void *)items[i];

		if (!book_again(booking, result))
			answer(booking, failure);
	}
}

static const struct db_batch_ops booking_ops = {
	.statement = &book,
	.encode = encode_booking,
	.compare = compare_bookings,
	.done = bookings_done,
	.max_items = BOOKING_ITEMS_MAX,
	.max_in_flight = BOOKINGS_IN_FLIGHT,
	.max_waiting = BOOKINGS_MAX,
};

static const struct db_batch_ops preview_ops = {
	.statement = &preview,
	.encode = encode_booking,
	.compare = compare_bookings,
	.done = bookings_done,
	.max_items = BOOKING_ITEMS_MAX,
	.max_in_flight = BOOKINGS_IN_FLIGHT,
	.max_waiting = BOOKINGS_MAX,
};

/* The fact. */

static struct order *
order_new(struct reservations *reservations, struct fact *fact,
	const struct list *list)
{
	struct order *order = x_new(struct order);
	struct arena *arena = fact->facts->req->arena;
	struct str text;

	order->reservations = reservations;
	order->batch = fact->facts->is_rehearsal ? reservations->previews
						 : reservations->bookings;
	order->fact = fact;
	order->requests = list->requests;
	order->now = fact->facts->req->now;
	order->n = list->n;
	order->bookings = x_new_array(list->n, struct booking);
	str_init(&text, list->n * 4 * COLUMN_ADDRESS_MAX);
	for (size_t i = 0; i < list->n; i++) {
		struct booking *booking = &order->bookings[i];

		booking->order = order;
		booking->request = list->requests[i];
		booking->request.account = column_text(arena,
			list->requests[i].account, COLUMN_ADDRESS_MAX);
		str_append_slice(&text, booking->request.account);
	}
	order->text = text.data;
	return order;
}

/* The texts were gathered; the buffer does not move any more. */
static void
order_point(struct order *order)
{
	size_t at = 0;

	for (size_t i = 0; i < order->n; i++) {
		struct slice *account = &order->bookings[i].request.account;

		if (account->len > 0)
			account->ptr = order->text + at;
		at += account->len;
	}
}

static void
load(struct fact *fact)
{
	struct reservations *reservations = fact->facts->sources->reservations;
	const struct list *list = fact->loader_data;
	struct order *order = order_new(reservations, fact, list);
	size_t i;

	order_point(order);
	if (order->n == 0) {
		finish(order);
		return;
	}
	/* Kept until all are in, for the first answer may not be the last. */
	order->n_left = 1;
	for (i = 0; i < order->n; i++) {
		if (!db_batch_add(order->batch, &order->bookings[i].item))
			break;
		order->n_left++;
	}
	fact->loader_data = order;
	answer(&order->bookings[0], i < order->n ? reason_busy : NULL);
}

/* What comes in from now on is given back. */
static void
cancel(struct fact *fact)
{
	struct order *order = fact->loader_data;

	order->fact = NULL;
}

static void
undo(struct fact *fact)
{
	const struct reservation *done = fact->value;
	const struct request *req = fact->facts->req;

	for (size_t i = 0; i < done->n; i++) {
		struct reservation_request request = done->requests[i];

		request.account = column_text(req->arena, request.account,
			COLUMN_ADDRESS_MAX);
		give_back(fact->facts->sources->reservations, &request,
			&done->counters[i]);
	}
}

/* 0 is no limit, and is not said. */
static void
describe_limit(const char *key, uint64_t limit, struct str *json)
{
	if (limit > 0)
		str_printf(json, ",\"%s\":%llu", key,
			(unsigned long long)limit);
}

static void
describe_counter(const struct reservation_request *request,
	const struct counter *counter, struct str *json)
{
	const bool is_added = counter->is_admitted;

	str_printf(json, "{\"rule\":%llu,\"account\":",
		(unsigned long long)request->rule_id);
	str_append_json(json, request->account);
	str_printf(json,
		",\"is_admitted\":%s,\"messages_before\":%llu,"
		"\"messages\":%llu",
		is_added ? "true" : "false",
		(unsigned long long)(counter->cur_msgs -
				     (is_added ? request->add_msgs : 0)),
		(unsigned long long)counter->cur_msgs);
	describe_limit("max_messages", request->max_msgs, json);
	str_printf(json, ",\"bytes_before\":%llu,\"bytes\":%llu",
		(unsigned long long)(counter->cur_bytes -
				     (is_added ? request->add_bytes : 0)),
		(unsigned long long)counter->cur_bytes);
	describe_limit("max_bytes", request->max_bytes, json);
	str_printf(json, ",\"window_start\":%lld,\"period\":%llu}",
		(long long)counter->window_start,
		(unsigned long long)request->period_s);
}

static void
describe(const void *value, struct str *json)
{
	const struct reservation *done = value;

	str_append_char(json, '[');
	for (size_t i = 0; i < done->n; i++) {
		if (i > 0)
			str_append_char(json, ',');
		describe_counter(&done->requests[i], &done->counters[i], json);
	}
	str_append_char(json, ']');
}

const struct fact_kind fact_kind_reservation = {
	.id = FACT_RESERVATION,
	.name = "reservation",
	.load = load,
	.cancel = cancel,
	.describe = describe,
	.undo = undo,
	.can_rehearse = true,
};

bool
fact_reservation(struct facts *facts,
	const struct reservation_request *requests, size_t n,
	const struct reservation **out)
{
	struct fact *slot = &facts->slot[FACT_RESERVATION];
	struct list list = { requests, n };
	const void *value;

	assert(n <= RESERVATION_MAX);
	if (slot->state == FACT_UNASKED)
		slot->loader_data = &list; /* load() takes it at once */
	if (!fact_ask(facts, &fact_kind_reservation, &value))
		return false;
	*out = value;
	return true;
}

struct reservations *
reservations_new(struct sources *sources)
{
	struct reservations *reservations = x_new(struct reservations);
	struct db *db = sources->db[CONFIG_DB_IREDAPD];

	reservations->sources = sources;
	reservations->bookings = db_batch_new(db, &booking_ops, reservations);
	reservations->previews = db_batch_new(db, &preview_ops, reservations);
	reservations->refunds = refunds_new(sources);
	return reservations;
}

void
reservations_free(struct reservations *reservations)
{
	if (reservations == NULL)
		return;
	db_batch_free(reservations->bookings);
	db_batch_free(reservations->previews);
	refunds_free(reservations->refunds);
	x_free(reservations);
}

size_t
reservations_pending(const struct reservations *reservations)
{
	return db_batch_pending(reservations->bookings) +
	       refunds_waiting(reservations->refunds);
}
