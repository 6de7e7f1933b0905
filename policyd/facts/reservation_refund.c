#include "policyd/facts/reservation_refund.h"

#include <string.h>
#include <sys/queue.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db.h"
#include "common/io/loop.h"

#define REFUND_ITEMS_MAX  512
#define REFUNDS_IN_FLIGHT 1
/* Our own bound, limits.waiting_writes, may change with a reload. */
#define BATCH_WAITING_MAX ((size_t)1 << 30)
/* Between two attempts while the database is away, or refuses. */
#define RETRY_MS 1000

/*
 * EXPLAIN: d, then t by eq_ref on (tid, account). Several for one counter
 * become one, because a row is updated once in a statement. When the window
 * is over there is nothing to give back to.
 */
static const struct db_statement give_back = {
	.name = "throttle_give_back",
	.sql = "UPDATE (SELECT k.tid, k.a, k.w, SUM(k.m) m, SUM(k.b) b "
	       "FROM JSON_TABLE(?, '$[*]' COLUMNS "
	       "(tid BIGINT UNSIGNED PATH '$[0]', "
	       "a VARCHAR(255) PATH '$[1]', w BIGINT UNSIGNED PATH '$[2]', "
	       "m BIGINT UNSIGNED PATH '$[3]', "
	       "b BIGINT UNSIGNED PATH '$[4]')) k "
	       "GROUP BY k.tid, k.a, k.w) d "
	       "STRAIGHT_JOIN throttle_tracking t ON t.tid = d.tid "
	       "AND t.account = d.a AND t.init_time = d.w "
	       "SET t.cur_msgs = t.cur_msgs - LEAST(t.cur_msgs, d.m), "
	       "t.cur_quota = t.cur_quota - LEAST(t.cur_quota, d.b)",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

struct refund {
	struct db_item item;
	TAILQ_ENTRY(refund) entry; /* while it waits for the next attempt */
	struct refund_order order;
	char text[];
};

struct refunds {
	struct sources *sources;
	struct db_batch *batch;
	struct loop_timer *retry;
	TAILQ_HEAD(, refund) resting;
	size_t n;
	bool is_closing;
};

static const struct refund *
refund_of(const struct db_item *item)
{
	return (const struct refund *)(const void *)item;
}

static void
encode(const struct db_item *item, struct str *json)
{
	const struct refund_order *order = &refund_of(item)->order;

	str_append_char(json, '[');
	str_append_u64(json, order->rule_id);
	str_append_char(json, ',');
	str_append_json(json, order->account);
	str_append_char(json, ',');
	str_append_i64(json, order->window_start);
	str_append_char(json, ',');
	str_append_u64(json, order->msgs);
	str_append_char(json, ',');
	str_append_u64(json, order->bytes);
	str_append_char(json, ']');
}

static int
compare(const struct db_item *a, const struct db_item *b)
{
	const struct refund_order *x = &refund_of(a)->order;
	const struct refund_order *y = &refund_of(b)->order;

	if (x->rule_id != y->rule_id)
		return x->rule_id < y->rule_id ? -1 : 1;
	return slice_compare(x->account, y->account);
}

static void
refund_free(struct refunds *refunds, struct refund *refund)
{
	refunds->n--;
	metric_sub(METRIC_EFFECTS_QUEUED, 1);
	x_free(refund);
}

static void
rest(struct refunds *refunds, struct refund *refund)
{
	TAILQ_INSERT_TAIL(&refunds->resting, refund, entry);
	loop_timer_set(refunds->retry, RETRY_MS);
}

static void
done(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	struct refunds *refunds = owner;
	/* Never twice: a count may be too high, but not too low. */
	bool is_to_rest = (result->status == DB_UNAVAILABLE ||
				  result->status == DB_REFUSED) &&
			  !refunds->is_closing;
	bool is_lost = result->status != DB_OK && !is_to_rest;

	if (is_lost) {
		metric_add(METRIC_EFFECTS_LOST, n);
		log_warning("%zu refused messages stay counted: %s", n,
			result->error);
	}
	for (size_t i = 0; i < n; i++) {
		struct refund *refund = (struct refund *)(void *)items[i];

		if (is_to_rest)
			rest(refunds, refund);
		else
			refund_free(refunds, refund);
	}
}

static void
try_again(void *arg)
{
	struct refunds *refunds = arg;
	struct refund *refund;

	while ((refund = TAILQ_FIRST(&refunds->resting)) != NULL) {
		TAILQ_REMOVE(&refunds->resting, refund, entry);
		db_batch_add(refunds->batch, &refund->item);
	}
}

static const struct db_batch_ops refund_ops = {
	.statement = &give_back,
	.encode = encode,
	.compare = compare,
	.done = done,
	.max_items = REFUND_ITEMS_MAX,
	.max_in_flight = REFUNDS_IN_FLIGHT,
	.max_waiting = BATCH_WAITING_MAX,
};

struct refunds *
refunds_new(struct sources *sources)
{
	struct refunds *refunds = x_new(struct refunds);

	refunds->sources = sources;
	refunds->batch = db_batch_new(sources->db[CONFIG_DB_IREDAPD],
		&refund_ops, refunds);
	refunds->retry = loop_timer_new(sources->loop, try_again, refunds);
	TAILQ_INIT(&refunds->resting);
	return refunds;
}

void
refunds_free(struct refunds *refunds)
{
	struct refund *refund;

	if (refunds == NULL)
		return;
	refunds->is_closing = true;
	db_batch_free(refunds->batch);
	while ((refund = TAILQ_FIRST(&refunds->resting)) != NULL) {
		TAILQ_REMOVE(&refunds->resting, refund, entry);
		metric_add(METRIC_EFFECTS_LOST, 1);
		refund_free(refunds, refund);
	}
	loop_timer_free(refunds->retry);
	x_free(refunds);
}

void
refund_add(struct refunds *refunds, const struct refund_order *order)
{
	struct refund *refund;

	if (refunds->n >= refunds->sources->config->limits.waiting_writes) {
		metric_add(METRIC_EFFECTS_LOST, 1);
		return;
	}
	refund = x_calloc(1, sizeof(*refund) + order->account.len);
	refund->order = *order;
	if (order->account.len > 0)
		memcpy(refund->text, order->account.ptr, order->account.len);
	refund->order.account.ptr = refund->text;
	refunds->n++;
	metric_add(METRIC_EFFECTS_QUEUED, 1);
	db_batch_add(refunds->batch, &refund->item);
}

size_t
refunds_waiting(const struct refunds *refunds)
{
	return refunds->n;
}
