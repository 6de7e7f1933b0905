/*
 * The database pool: values, locks, ends.
 */

#include "common/io/db.h"

#include <string.h>

#include "common/base/metric.h"
#include "db_fixture.h"

#define LONG_BYTES ((size_t)200 * 1024)

static const struct db_statement select_slowly = { "select_slowly",
	"SELECT SLEEP(0.3)", DB_READS, "", "u" };

/* --- values -------------------------------------------------------------- */

static struct db_value
text_value(const char *text)
{
	return (struct db_value){ .text = slice_of(text) };
}

START_TEST(texts_come_back)
{
	static const struct db_statement echo = { "echo", "SELECT ?", DB_READS,
		"s", "s" };
	static const struct db_statement hex = { "hex",
		"SELECT CONCAT(CHAR_LENGTH(?), HEX(?))", DB_READS, "ss", "s" };
	static char long_text[LONG_BYTES + 1];
	static const char *const texts[] = { "", "plain", "it's \"x\" \\ %",
		"\xF0\x9F\x98\x80 \xC3\xBC", long_text };
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct db_value emoji[2];
	struct reply reply;

	memset(long_text, 'x', LONG_BYTES);
	long_text[LONG_BYTES - 1] = 'y';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct db_value value = text_value(texts[i]);

		reply = fixture_ask(db, &echo, &value);
		ASSERT_OK(reply);
		ck_assert_uint_eq(reply.text_len, strlen(texts[i]));
		ck_assert_str_eq(reply.text, texts[i]);
		ck_assert(!reply.is_null);
		reply_free(&reply);
	}
	emoji[0] = emoji[1] = text_value("\xF0\x9F\x98\x80");
	reply = fixture_ask(db, &hex, emoji);
	ASSERT_OK(reply);
	ck_assert_str_eq(reply.text, "1F09F9880");
	reply_free(&reply);
	reply = fixture_ask(db, &echo, &(struct db_value){ .is_null = true });
	ASSERT_OK(reply);
	ck_assert(reply.is_null);
	reply_free(&reply);
	db_free(db);
}
END_TEST

static void
check_mixed_rows(void *arg, const struct db_result *result)
{
	const struct db_rows *rows = result->rows;

	ck_assert_int_eq(result->status, DB_OK);
	ck_assert_uint_eq(db_rows_count(rows), 2);
	ck_assert_int_eq(db_rows_i64(rows, 0, 0), -5);
	ck_assert(db_rows_u64(rows, 0, 1) == UINT64_MAX);
	ck_assert(slice_eq_text(db_rows_text(rows, 0, 2), "a"));
	ck_assert_uint_eq(db_rows_text(rows, 0, 3).len, 2);
	ck_assert_int_eq(db_rows_text(rows, 0, 3).ptr[1], '\0');
	for (size_t column = 0; column < 4; column++) {
		ck_assert(!db_rows_is_null(rows, 0, column));
		ck_assert(db_rows_is_null(rows, 1, column));
	}
	ck_assert_uint_eq(db_rows_text(rows, 1, 2).len, 0);
	fixture_take_reply(arg, result);
}

START_TEST(columns_have_their_types)
{
	static const struct db_statement mixed = { "mixed",
		"SELECT ?, ?, ?, ? UNION ALL SELECT NULL, NULL, NULL, NULL",
		DB_READS, "iusb", "iusb" };
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct reply reply = { 0 };
	struct db_value values[4] = { { .number = (uint64_t)-5 },
		{ .number = UINT64_MAX }, { .text = SLICE("a") },
		{ .text = { "\xff\0", 2 } } };

	fixture.n_open = 1;
	db_run(db, &mixed, values, 0, check_mixed_rows, &reply);
	memset(values, 'x', sizeof(values)); /* they were copied */
	fixture_wait();
	db_free(db);
}
END_TEST

START_TEST(refusals_are_told)
{
	static const struct db_statement no_table = { "no_table",
		"SELECT 1 FROM test.missing", DB_READS, "", "u" };
	static const struct db_statement two_columns = { "two", "SELECT 1, 2",
		DB_READS, "", "u" };
	static const struct db_statement not_a_number = { "text",
		"SELECT 'twelve'", DB_READS, "", "u" };
	static const struct db_statement too_large = { "large",
		"SELECT REPEAT('x', 1000000) FROM seq_1_to_100", DB_READS, "",
		"s" };
	struct db_value values[2] = { { .number = 1 },
		{ .text = SLICE("longer than its column is") } };
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct reply reply;

	for (int i = 0; i < 2; i++) {
		reply = fixture_ask(db, &no_table, NULL);
		ck_assert_int_eq(reply.status, DB_REFUSED);
		ck_assert_uint_eq(reply.error_number, 1146);
		reply = fixture_ask(db, &insert_note, values);
		ck_assert_int_eq(reply.status, DB_REFUSED);
		ck_assert_uint_eq(reply.error_number, 1406);
	}
	ck_assert_int_eq(fixture_ask(db, &two_columns, NULL).status,
		DB_REFUSED);
	ck_assert_int_eq(fixture_ask(db, &not_a_number, NULL).status,
		DB_REFUSED);
	config.database = "test";
	db_free(db);
	db = fixture_pool(&config);
	reply = fixture_ask(db, &too_large, NULL);
	ck_assert_int_eq(reply.status, DB_REFUSED);
	ck_assert_str_eq(reply.error, "the result is too large");
	values[1].text = SLICE("fits");
	reply = fixture_ask(db, &insert_note, values);
	ASSERT_OK(reply);
	ck_assert_uint_eq(reply.affected, 1);
	ck_assert_uint_eq(fixture.n_downs, 0);
	db_free(db);
}
END_TEST

START_TEST(many_wait_in_line)
{
	enum { N = 60 };
	struct reply replies[N + 5];
	struct db_config config = fixture_socket_config();
	struct db *db;
	unsigned n_refused = 0;

	config.queue_max = N;
	db = fixture_pool(&config);
	for (size_t i = 0; i < N + 5; i++)
		fixture_start(db, &select_one, NULL, &replies[i]);
	fixture_wait();
	for (size_t i = 0; i < N + 5; i++) {
		if (replies[i].status == DB_OK)
			ck_assert_uint_eq(replies[i].number, 1);
		else
			n_refused++;
	}
	ck_assert_uint_eq(n_refused, 5);
	db_free(db);
}
END_TEST

START_TEST(a_program_may_wait)
{
	struct db_config config = fixture_socket_config();
	struct db *db = fixture_pool(&config);
	struct reply reply = { 0 };

	fixture.n_open = 1;
	db_run_and_wait(fixture.loop, db, &select_one, NULL, 0,
		fixture_take_number, &reply);
	ASSERT_OK(reply);
	ck_assert_uint_eq(reply.number, 1);
	db_free(db);
}
END_TEST

/* --- locks --------------------------------------------------------------- */

static const struct db_statement begin = { "begin", "START TRANSACTION",
	DB_WRITES, "", "" };
static const struct db_statement commit = { "commit", "COMMIT", DB_WRITES, "",
	"" };
static const struct db_statement touch = { "touch",
	"UPDATE test.note SET text = CONCAT(text, 'x') WHERE id = ?", DB_WRITES,
	"u", "" };

static void
insert_two_notes(struct db *db)
{
	struct db_value values[2] = { { .number = 1 }, { .text = SLICE("") } };

	ASSERT_OK(fixture_ask(db, &insert_note, values));
	values[0].number = 2;
	ASSERT_OK(fixture_ask(db, &insert_note, values));
}

/*
 * Each of two sessions holds the row that the other wants. The server
 * refuses one of them; its pool tries again and gets the row when the other
 * has committed.
 */
START_TEST(a_deadlock_is_tried_again)
{
	struct db_value one = { .number = 1 }, two = { .number = 2 };
	struct db_config config = fixture_socket_config();
	struct db *left, *right;
	struct reply l, r;
	uint64_t before;

	config.connections = 1;
	left = fixture_pool(&config);
	right = fixture_pool(&config);
	insert_two_notes(left);
	ASSERT_OK(fixture_ask(left, &begin, NULL));
	ASSERT_OK(fixture_ask(right, &begin, NULL));
	ASSERT_OK(fixture_ask(left, &touch, &one));
	ASSERT_OK(fixture_ask(right, &touch, &two));
	before = metric_get(METRIC_SQL_RETRIES);
	fixture_start(left, &touch, &two, &l);
	fixture_start(right, &touch, &one, &r);
	while (!l.is_here && !r.is_here)
		loop_run_for(fixture.loop, 10);
	fixture.n_open++;
	db_run(l.is_here ? left : right, &commit, NULL, 0, fixture_take_reply,
		&(struct reply){ 0 });
	fixture_wait();
	ASSERT_OK(l);
	ASSERT_OK(r);
	ck_assert_uint_gt(metric_get(METRIC_SQL_RETRIES), before);
	db_free(left);
	db_free(right);
}
END_TEST

START_TEST(a_lock_that_stays_is_told)
{
	struct db_value one = { .number = 1 };
	struct db_config config = fixture_socket_config();
	struct db *left, *right;
	struct reply reply = { 0 };

	config.connections = 1;
	left = fixture_pool(&config);
	right = fixture_pool(&config);
	insert_two_notes(left);
	ASSERT_OK(fixture_ask(left, &begin, NULL));
	ASSERT_OK(fixture_ask(left, &touch, &one));
	fixture.n_open = 1;
	db_run(right, &touch, &one, 2020, fixture_take_reply, &reply);
	fixture_wait();
	/* The server's answer or the deadline, whichever was first. */
	ck_assert(reply.status == DB_REFUSED ? reply.error_number == 1205
					     : reply.status == DB_UNCERTAIN);
	db_free(left);
	db_free(right);
}
END_TEST

/* --- ending -------------------------------------------------------------- */

START_TEST(freed_at_any_time)
{
	struct db_config config = fixture_tls_config();
	struct reply replies[5];
	struct db *db;

	config.connections = 3;
	for (uint64_t ms = 0; ms < 12; ms++) {
		db = fixture_pool(&config);
		for (size_t i = 0; i < 5; i++)
			fixture_start(db, &select_slowly, NULL, &replies[i]);
		loop_run_for(fixture.loop, ms);
		db_free(db);
		ck_assert_uint_eq(fixture.n_open, 0);
		for (size_t i = 0; i < 5; i++)
			ck_assert_int_eq(replies[i].status, DB_UNAVAILABLE);
	}
	db_free(NULL);
	db_batch_free(NULL);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { texts_come_back,
		columns_have_their_types, refusals_are_told, many_wait_in_line,
		a_program_may_wait, a_deadlock_is_tried_again,
		a_lock_that_stays_is_told, freed_at_any_time };

	return fixture_main("db", tests, sizeof(tests) / sizeof(tests[0]));
}
