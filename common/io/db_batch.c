#include "common/io/db.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db_pool.h"
#include "common/io/db_rows.h"
#include "common/io/loop.h"

#define ITEMS_MAX  1024
#define PARAMS_MAX 8
/*
 * No further item is put into a statement that has reached this; well under
 * max_allowed_packet, which is 16 MiB.
 */
#define JSON_BYTES_FULL  ((size_t)2 << 20)
#define JSON_BYTES_LIMIT ((size_t)8 << 20)
#define REST_FIRST_MS    100
#define REST_LAST_MS     2000

TAILQ_HEAD(item_list, db_item);

/* The items of one statement. */
struct flight {
	TAILQ_ENTRY(flight) entry;
	struct db_batch *batch; /* NULL once that was freed */
	struct db_item **items;
	size_t n_items;
};

TAILQ_HEAD(flight_list, flight);

struct db_batch {
	struct db *db;
	const struct db_batch_ops *ops;
	void *owner;
	struct loop_turn *turn;
	struct str json;

	struct item_list waiting;
	size_t n_waiting;
	size_t n_pending;
	struct flight_list in_flight;
	size_t n_in_flight;
	struct flight_list halves; /* of a refused one, to be tried apart */

	/* A patient batch rests after a failure. */
	struct db_listener listener;
	struct loop_timer *rest_timer;
	uint64_t rest_ms;
	bool is_resting;
	unsigned
		trouble; /* what the server last refused, and that was logged */
	uint64_t items_per_second; /* and after a success, for this pace */
};

static void
flight_free(struct flight *flight)
{
	x_free(flight->items);
	x_free(flight);
}

static struct flight *
flight_new(struct db_batch *batch, struct db_item *const *items, size_t n)
{
	struct flight *flight = x_new(struct flight);

	flight->batch = batch;
	flight->items = x_new_array(n, struct db_item *);
	if (items != NULL)
		memcpy(flight->items, items, n * sizeof(struct db_item *));
	flight->n_items = n;
	return flight;
}

/* --- gathering ----------------------------------------------------------- */

struct taken {
	struct db_item *item;
	size_t at; /* keeps equal ones in the order they came in */
};

static int
compare_taken(const void *a, const void *b, void *arg)
{
	const struct db_batch_ops *ops = arg;
	const struct taken *left = a;
	const struct taken *right = b;
	int order = ops->compare(left->item, right->item);

	if (order != 0)
		return order;
	return left->at < right->at ? -1 : 1;
}

static void
sort_items(const struct db_batch_ops *ops, struct db_item **items, size_t n)
{
	struct taken *taken = x_new_array(n, struct taken);

	for (size_t i = 0; i < n; i++)
		taken[i] = (struct taken){ items[i], i };
	qsort_r(taken, n, sizeof(*taken), compare_taken,
		(void *)(uintptr_t)ops);
	for (size_t i = 0; i < n; i++)
		items[i] = taken[i].item;
	x_free(taken);
}

static void
give_back(struct db_batch *batch, struct db_item **items, size_t n)
{
	while (n-- > 0)
		TAILQ_INSERT_HEAD(&batch->waiting, items[n], entry);
}

static struct flight *
gather(struct db_batch *batch)
{
	size_t n = batch->n_waiting;
	struct flight *flight;

	if (n > batch->ops->max_items)
		n = batch->ops->max_items;
	flight = flight_new(batch, NULL, n);
	for (size_t i = 0; i < n; i++) {
		flight->items[i] = TAILQ_FIRST(&batch->waiting);
		TAILQ_REMOVE(&batch->waiting, flight->items[i], entry);
	}
	batch->n_waiting -= n;
	if (batch->ops->compare != NULL)
		sort_items(batch->ops, flight->items, n);
	return flight;
}

/* Writes the items as a JSON array; those that are too much go back. */
static void
encode(struct db_batch *batch, struct flight *flight)
{
	struct str *json = &batch->json;
	size_t n = 0;

	str_reset(json);
	str_append_char(json, '[');
	while (n < flight->n_items && json->len < JSON_BYTES_FULL) {
		if (n > 0)
			str_append_char(json, ',');
		batch->ops->encode(flight->items[n++], json);
	}
	str_append_char(json, ']');
	/* What goes into an item was bounded where it was read. */
	assert(!json->is_cut);
	give_back(batch, flight->items + n, flight->n_items - n);
	batch->n_waiting += flight->n_items - n;
	flight->n_items = n;
}

/* --- answers ------------------------------------------------------------- */

static bool
is_one_of(unsigned number, const unsigned *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* What is wrong with the server, its tables or our rights, until mended. */
static bool
is_lasting_error(unsigned number)
{
	static const unsigned numbers[] = {
		1016, /* table cannot be opened */
		1021, /* disk full */
		1030, /* error of the storage engine */
		1036, /* table is read only */
		1037, /* out of memory */
		1038, /* out of sort memory */
		1041, /* out of memory */
		1044, /* no rights on the database */
		1049, /* no such database */
		1054, /* no such column */
		1114, /* table full */
		1142, /* no rights on the table */
		1143, /* no rights on the column */
		1146, /* no such table */
		1194, /* table crashed */
		1195, /* table crashed and not repaired */
		1205, /* lock wait timeout */
		1213, /* deadlock */
		1226, /* a limit of the account */
		1267, /* collations do not fit */
		1290, /* read_only */
		1317, /* somebody ended the statement */
		1792, /* read only transaction */
		1836, /* the server is read only */
		1932, /* table is gone from the engine */
		1969, /* max_statement_time */
	};

	return is_one_of(number, numbers, sizeof(numbers) / sizeof(*numbers));
}

/* Errors that one item's values can cause, and that spare the others. */
static bool
is_data_error(unsigned number)
{
	static const unsigned numbers[] = {
		1048, /* column cannot be null */
		1062, /* duplicate entry */
		1264, /* out of range */
		1265, /* data truncated */
		1292, /* incorrect value */
		1365, /* division by zero */
		1366, /* incorrect value, also for the character set */
		1406, /* data too long */
		1452, /* no such row in the other table */
		1690, /* result out of range */
		4025, /* constraint failed */
		4078, /* cannot be cast */
	};

	return is_one_of(number, numbers, sizeof(numbers) / sizeof(*numbers));
}

/*
 * The trouble lasts and is met by every statement, so it is told when it
 * begins and when it is over. That the database is away tells the pool.
 */
static void
note_trouble(struct db_batch *batch, const struct db_result *result)
{
	const unsigned number = result->error_number;
	struct db_state state;
	bool has_remedy;

	db_state(batch->db, &state);
	if (result->status == DB_OK && batch->trouble != 0) {
		log_info("database %s: \"%s\" works again", state.label,
			batch->ops->statement->name);
		batch->trouble = 0;
	}
	if (result->status != DB_REFUSED || number == batch->trouble ||
		!is_lasting_error(number))
		return;
	batch->trouble = number;
	has_remedy = state.remedy[0] != '\0' &&
		     (number == 1049 || number == 1054 || number == 1146);
	log_error("database %s: the server refuses \"%s\": %s (%u)%s%s",
		state.label, batch->ops->statement->name, result->error, number,
		has_remedy ? "; " : "", has_remedy ? state.remedy : "");
}

static bool
is_worth_patience(const struct db_batch *batch, const struct db_result *result)
{
	if (!batch->ops->is_patient)
		return false;
	switch (result->status) {
	case DB_OK:
		return false;
	case DB_REFUSED:
		return is_lasting_error(result->error_number);
	case DB_UNAVAILABLE:
	case DB_UNCERTAIN:
		return true;
	}
	return false;
}

static void
rest(struct db_batch *batch)
{
	batch->rest_ms =
		batch->rest_ms == 0 ? REST_FIRST_MS : batch->rest_ms * 2;
	if (batch->rest_ms > REST_LAST_MS)
		batch->rest_ms = REST_LAST_MS;
	batch->is_resting = true;
	loop_timer_set(batch->rest_timer, db_jitter_ms(batch->rest_ms));
}

static void
keep_pace(struct db_batch *batch, size_t n_done)
{
	if (batch->items_per_second == 0)
		return;
	batch->is_resting = true;
	loop_timer_set(batch->rest_timer,
		n_done * 1000 / batch->items_per_second);
}

/* The database is back, or it is time to ask again whether it is. */
static void
wake(void *arg)
{
	struct db_batch *batch = arg;

	loop_timer_clear(batch->rest_timer);
	batch->is_resting = false;
	loop_turn_ask(batch->turn);
}

static void
split(struct db_batch *batch, struct flight *flight)
{
	size_t n = flight->n_items / 2;
	struct flight *first = flight_new(batch, flight->items, n);
	struct flight *second =
		flight_new(batch, flight->items + n, flight->n_items - n);

	TAILQ_INSERT_HEAD(&batch->halves, second, entry);
	TAILQ_INSERT_HEAD(&batch->halves, first, entry);
}

static void
tell(struct db_batch *batch, struct flight *flight,
	const struct db_result *result)
{
	batch->n_pending -= flight->n_items;
	batch->ops->done(batch->owner, flight->items, flight->n_items, result);
}

static void
statement_done(void *arg, const struct db_result *result)
{
	struct flight *flight = arg;
	struct db_batch *batch = flight->batch;

	if (batch == NULL) {
		flight_free(flight);
		return;
	}
	TAILQ_REMOVE(&batch->in_flight, flight, entry);
	batch->n_in_flight--;
	loop_turn_ask(batch->turn);
	note_trouble(batch, result);
	if (is_worth_patience(batch, result)) {
		give_back(batch, flight->items, flight->n_items);
		batch->n_waiting += flight->n_items;
		rest(batch);
	} else if (result->status == DB_REFUSED && flight->n_items > 1 &&
		   is_data_error(result->error_number)) {
		split(batch, flight);
	} else {
		batch->rest_ms = 0;
		keep_pace(batch, flight->n_items);
		tell(batch, flight, result);
	}
	flight_free(flight);
}

/* --- the turn ------------------------------------------------------------ */

static void
launch(struct db_batch *batch, struct flight *flight)
{
	const struct db_statement *statement = batch->ops->statement;
	struct db_value values[PARAMS_MAX] = { 0 };
	size_t n_params = strlen(statement->params);

	encode(batch, flight);
	for (size_t i = 0; i < n_params; i++)
		values[i].text = str_slice(&batch->json);
	TAILQ_INSERT_TAIL(&batch->in_flight, flight, entry);
	batch->n_in_flight++;
	metric_add(METRIC_SQL_ROWS, flight->n_items);
	db_run(batch->db, statement, values, 0, statement_done, flight);
}

static struct flight *
next_flight(struct db_batch *batch)
{
	struct flight *flight = TAILQ_FIRST(&batch->halves);

	if (flight != NULL) {
		TAILQ_REMOVE(&batch->halves, flight, entry);
		return flight;
	}
	return batch->n_waiting > 0 ? gather(batch) : NULL;
}

static void
take_turn(void *arg)
{
	struct db_batch *batch = arg;
	struct flight *flight;

	while (!batch->is_resting &&
		batch->n_in_flight < batch->ops->max_in_flight &&
		(flight = next_flight(batch)) != NULL)
		launch(batch, flight);
}

/* --- the public side ----------------------------------------------------- */

struct db_batch *
db_batch_new(struct db *db, const struct db_batch_ops *ops, void *owner)
{
	struct db_batch *batch = x_new(struct db_batch);
	size_t n_params = strlen(ops->statement->params);

	assert(n_params > 0 && n_params <= PARAMS_MAX &&
		strspn(ops->statement->params, "s") == n_params);
	assert(ops->max_items > 0 && ops->max_items <= ITEMS_MAX);
	assert(ops->max_in_flight > 0);
	batch->db = db;
	batch->ops = ops;
	batch->owner = owner;
	str_init(&batch->json, JSON_BYTES_LIMIT);
	TAILQ_INIT(&batch->waiting);
	TAILQ_INIT(&batch->in_flight);
	TAILQ_INIT(&batch->halves);
	batch->turn = loop_turn_new(db_loop(db), take_turn, batch);
	batch->rest_timer = loop_timer_new(db_loop(db), wake, batch);
	batch->listener.fn = wake;
	batch->listener.arg = batch;
	db_listen(db, &batch->listener);
	return batch;
}

static void
tell_end(struct db_batch *batch, struct flight *flight)
{
	struct db_result result = {
		.status = DB_UNAVAILABLE,
		.error = "the program ends",
		.rows = &db_no_rows,
	};

	tell(batch, flight, &result);
}

static void
end_flights(struct db_batch *batch)
{
	struct flight *flight;

	while ((flight = TAILQ_FIRST(&batch->halves)) != NULL) {
		TAILQ_REMOVE(&batch->halves, flight, entry);
		tell_end(batch, flight);
		flight_free(flight);
	}
	/* Their statements go on; statement_done() frees them. */
	while ((flight = TAILQ_FIRST(&batch->in_flight)) != NULL) {
		TAILQ_REMOVE(&batch->in_flight, flight, entry);
		flight->batch = NULL;
		tell_end(batch, flight);
	}
}

void
db_batch_free(struct db_batch *batch)
{
	struct flight *flight;

	if (batch == NULL)
		return;
	end_flights(batch);
	while (batch->n_waiting > 0) {
		flight = gather(batch);
		tell_end(batch, flight);
		flight_free(flight);
	}
	db_unlisten(batch->db, &batch->listener);
	loop_turn_free(batch->turn);
	loop_timer_free(batch->rest_timer);
	str_free(&batch->json);
	x_free(batch);
}

bool
db_batch_add(struct db_batch *batch, struct db_item *item)
{
	if (batch->n_waiting >= batch->ops->max_waiting)
		return false;
	TAILQ_INSERT_TAIL(&batch->waiting, item, entry);
	batch->n_waiting++;
	batch->n_pending++;
	if (!batch->is_resting)
		loop_turn_ask(batch->turn);
	return true;
}

void
db_batch_pace(struct db_batch *batch, uint64_t items_per_second)
{
	batch->items_per_second = items_per_second;
	if (items_per_second == 0 && batch->is_resting)
		wake(batch);
}

size_t
db_batch_pending(const struct db_batch *batch)
{
	return batch->n_pending;
}
