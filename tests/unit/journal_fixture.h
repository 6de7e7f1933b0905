#ifndef TESTS_UNIT_JOURNAL_FIXTURE_H
#define TESTS_UNIT_JOURNAL_FIXTURE_H

/*
 * A journal without a database: the linker puts functions of this module in
 * place of db_batch_*(), db_run(), db_rows_*() and the timers (--wrap). What
 * the journal hands over stays here until the test answers.
 */

#include <check.h>

#include "common/base/log.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/journal_private.h"
#include "policyd/sources.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FAKE_RUNS_MAX   16

/* Attributes of requests. */
/* clang-format off */
#define CLIENT "client_address=192.0.2.7\nclient_name=mx.test\n" \
	"helo_name=helo.test\n"
#define MAIL CLIENT "sender=Sender+x@One.test\nrecipient=rcpt@two.test\n"
#define RCPT "protocol_state=RCPT\n" MAIL "instance=1a.2.0\n"
#define END "protocol_state=END-OF-MESSAGE\n" MAIL "instance=1a.2.0\n" \
	"queue_id=4XqZ1\nsize=1234\nrecipient_count=2\n"
/* clang-format on */

struct db_batch {
	const struct db_batch_ops *ops;
	void *owner;
	struct db_item *items[4096];
	size_t n;
};

/* A statement that was not answered yet. */
struct fake_run {
	const struct db_statement *statement;
	struct db_value values[8];
	char texts[8][300];
	db_done_fn *done;
	void *arg;
};

struct fake_timer {
	loop_fn *fn;
	void *arg;
	uint64_t delay_ms;
	bool is_there;
};

extern struct sources sources;
extern struct journal *journal;
extern struct db_batch *sessions, *decisions;
extern struct fake_run runs[FAKE_RUNS_MAX]; /* the oldest first */
extern size_t n_runs;
extern struct fake_timer timer;
/* The rows of the next answer. */
extern struct slice row_texts[4];
extern size_t n_rows;

void open_journal(const char *settings, unsigned process);
void close_journal(void);
/* Everything in the batch was answered. */
void answer(struct db_batch *batch, struct db_result result);
/* The oldest statement was answered. */
void answer_run(struct db_result result);
/* The row that was added last, as it is sent; "" when none waits. */
const char *last_row(const struct db_batch *batch);

void capture_log(enum log_level level);
/* What was logged, behind the head of the first line; ends the capture. */
const char *captured_log(void);

/* Records and frees. */
void record(struct decision *decision);
/* Greylisting deferred, with a code. */
struct decision *deferral(const char *attributes);

/* What was found, one in each line, by on_found(&found, ...). */
extern struct str found;
extern unsigned n_found;
void forget_found(void);
void on_found(void *arg, struct slice json);
/* journal_find() */
const char *find(const char *what, size_t max);

/* For main(). */
int run_suite(Suite *suite);

#endif
