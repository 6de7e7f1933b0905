/*
 * Many items in one statement.
 */

#include "common/io/db.h"

#include <string.h>

#include "db_fixture.h"

static const struct db_statement sum_counters = { "sum_counters",
	"SELECT SUM(n) FROM test.counter", DB_READS, "", "u" };

/* --- batches ------------------------------------------------------------- */

static const struct db_statement add_up = { "add_up",
	"INSERT INTO test.counter (k, n) SELECT j.k, j.n FROM JSON_TABLE(?,"
	" '$[*]' COLUMNS (pos FOR ORDINALITY, k VARCHAR(100) PATH '$[0]',"
	" n BIGINT PATH '$[1]')) AS j ORDER BY j.pos"
	" ON DUPLICATE KEY UPDATE n = counter.n + VALUES(n)"
	" RETURNING k, n",
	DB_WRITES, "s", "si" };

struct counted {
	struct db_item item;
	const char *key;
	int64_t n;
	int64_t sum; /* after it */
	bool is_done;
	enum db_status status;
};

static struct counted *
counted_of(const struct db_item *item)
{
	return (struct counted *)(uintptr_t)item;
}

static void
encode_counted(const struct db_item *item, struct str *json)
{
	const struct counted *counted = counted_of(item);

	str_append_char(json, '[');
	str_append_json(json, slice_of(counted->key));
	str_append_char(json, ',');
	str_append_i64(json, counted->n);
	str_append_char(json, ']');
}

static int
compare_counted(const struct db_item *a, const struct db_item *b)
{
	return strcmp(counted_of(a)->key, counted_of(b)->key);
}

static void
take_counted(void *owner, struct db_item **items, size_t n,
	const struct db_result *result)
{
	unsigned *n_statements = owner;

	++*n_statements;
	ck_assert(result->status != DB_OK || db_rows_count(result->rows) == n);
	for (size_t i = 0; i < n; i++) {
		struct counted *counted = counted_of(items[i]);

		ck_assert(!counted->is_done);
		counted->is_done = true;
		counted->status = result->status;
		if (result->status == DB_OK) {
			ck_assert(
				slice_eq_text(db_rows_text(result->rows, i, 0),
					counted->key));
			counted->sum = db_rows_i64(result->rows, i, 1);
		}
	}
	fixture.n_open -= (unsigned)n;
	if (fixture.n_open == 0)
		loop_stop(fixture.loop);
}

static const struct db_batch_ops counter_ops = {
	.statement = &add_up,
	.encode = encode_counted,
	.compare = compare_counted,
	.done = take_counted,
	.max_items = 256,
	.max_in_flight = 1,
	.max_waiting = 1000,
};

static void
add_all(struct db_batch *batch, struct counted *items, size_t n)
{
	fixture.n_open = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		ck_assert(db_batch_add(batch, &items[i].item));
	ck_assert_uint_eq(db_batch_pending(batch), n);
}

START_TEST(a_turn_makes_one_statement)
{
	struct counted items[] = {
		{ .key = "b", .n = 1 },
		{ .key = "a", .n = 5 },
		{ .key = "b", .n = 2 },
		{ .key = "quote\"d \xC3\xBC", .n = -7 },
	};
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);

	add_all(batch, items, 4);
	fixture_wait();
	ck_assert_uint_eq(n_statements, 1);
	ck_assert_int_eq(items[0].sum, 1);
	ck_assert_int_eq(items[1].sum, 5);
	ck_assert_int_eq(items[2].sum, 3);
	ck_assert_int_eq(items[3].sum, -7);
	ck_assert_uint_eq(db_batch_pending(batch), 0);
	db_batch_free(batch);
	ck_assert_uint_eq(fixture_ask(db, &sum_counters, NULL).number, 1);
	db_free(db);
}
END_TEST

START_TEST(a_batch_is_bounded)
{
	static struct counted items[1000];
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);
	struct counted more = { .key = "more" };

	memset(items, 0, sizeof(items));
	for (size_t i = 0; i < 1000; i++)
		items[i] = (struct counted){ .key = "same", .n = 1 };
	add_all(batch, items, 1000);
	ck_assert(!db_batch_add(batch, &more.item));
	fixture_wait();
	ck_assert_uint_eq(n_statements, 4);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_int_eq(items[i].sum, (int64_t)i + 1);
	db_batch_free(batch);
	db_free(db);
}
END_TEST

START_TEST(a_pace_is_kept)
{
	static struct counted items[500];
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);

	/* The first statement takes what its size allows, then it rests. */
	db_batch_pace(batch, 1);
	for (size_t i = 0; i < 500; i++)
		items[i] = (struct counted){ .key = "paced", .n = 1 };
	add_all(batch, items, 500);
	while (n_statements == 0)
		loop_run_for(fixture.loop, 10);
	loop_run_for(fixture.loop, 50);
	ck_assert_uint_eq(n_statements, 1);
	ck_assert_uint_gt(db_batch_pending(batch), 0);
	db_batch_pace(batch, 0);
	fixture_wait();
	ck_assert_uint_eq(db_batch_pending(batch), 0);
	db_batch_free(batch);
	db_free(db);
}
END_TEST

START_TEST(one_bad_item_spoils_no_other)
{
	static struct counted items[50];
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch = db_batch_new(db, &counter_ops, &n_statements);

	for (size_t i = 0; i < 50; i++)
		items[i] = (struct counted){ .key = "good", .n = 1 };
	items[17].key = "much too long for the column of its table";
	add_all(batch, items, 50);
	fixture_wait();
	for (size_t i = 0; i < 50; i++)
		ck_assert_int_eq(items[i].status, i == 17 ? DB_REFUSED : DB_OK);
	db_batch_free(batch);
	ck_assert_uint_eq(fixture_ask(db, &sum_counters, NULL).number, 49);
	db_free(db);
}
END_TEST

START_TEST(what_is_left_in_a_batch_is_told)
{
	struct counted items[] = { { .key = "a" }, { .key = "b" },
		{ .key = "c" } };
	struct db_batch_ops ops = counter_ops;
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *batch;

	ops.max_items = 1;
	batch = db_batch_new(db, &ops, &n_statements);
	add_all(batch, items, 3);
	loop_run_for(fixture.loop, 0); /* one gets under way, two wait */
	db_batch_free(batch);
	ck_assert_uint_eq(fixture.n_open, 0);
	ck_assert_int_eq(items[2].status, DB_UNAVAILABLE);
	db_free(db);
}
END_TEST

START_TEST(patience_outlives_the_server)
{
	struct counted items[] = { { .key = "a", .n = 1 },
		{ .key = "b", .n = 1 }, { .key = "a", .n = 1 } };
	struct counted early = { .key = "c", .n = 1 };
	struct db_batch_ops ops = counter_ops;
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	unsigned n_statements = 0;
	struct db_batch *patient, *other;

	ops.is_patient = true;
	patient = db_batch_new(db, &ops, &n_statements);
	other = db_batch_new(db, &counter_ops, &n_statements);
	fixture_wait_for(&fixture.n_ups);
	fixture_server("kill");
	fixture_wait_for(&fixture.n_downs);
	add_all(other, &early, 1);
	fixture_wait();
	ck_assert_int_eq(early.status, DB_UNAVAILABLE);
	add_all(patient, items, 3);
	loop_run_for(fixture.loop, 300);
	ck_assert_uint_eq(fixture.n_open, 3);
	fixture_server("start");
	fixture_wait();
	ck_assert_int_eq(items[0].sum + items[2].sum, 3);
	ck_assert_int_eq(items[1].sum, 1);
	db_batch_free(patient);
	db_batch_free(other);
	db_free(db);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_turn_makes_one_statement,
		a_batch_is_bounded, a_pace_is_kept,
		one_bad_item_spoils_no_other, what_is_left_in_a_batch_is_told,
		patience_outlives_the_server };

	return fixture_main("db_batch", tests,
		sizeof(tests) / sizeof(tests[0]));
}
