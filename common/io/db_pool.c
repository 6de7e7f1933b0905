#include "common/io/db.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db_conn.h"
#include "common/io/db_pool.h"
#include "common/io/db_rows.h"
#include "common/io/db_sense.h"
#include "common/io/loop.h"

#define CONNECTIONS_MAX    64
#define BACKOFF_FIRST_MS   100
#define BACKOFF_LAST_MS    5000
#define LOCK_PAUSE_LAST_MS 64
/* How long the statements that wait are kept when it is not certain whether
 * the server is still there: a new connection takes this long at most. */
#define DOUBT_MS 500
/* Runs on a connection that then broke; more is no accident. */
#define LOST_RUNS_MAX      3
#define CLOSING_ROUNDS_MAX 1000

enum health {
	HEALTH_STARTING, /* awaits the end of the first attempt to connect */
	HEALTH_UP,       /* statements run */
	HEALTH_DOUBTED,  /* awaits a new connection; statements wait, shortly */
	HEALTH_DOWN,     /* awaits a new connection; statements are refused */
};

enum request_state {
	REQUEST_WAITING, /* for a connection */
	REQUEST_RUNNING, /* for the server's answer */
	REQUEST_PAUSED,  /* after a deadlock, for its next run */
	REQUEST_REFUSED, /* for the end of the turn, to be told so */
};

struct request {
	TAILQ_ENTRY(request) entry;
	struct db *db;
	enum request_state state;
	const struct db_statement *statement;
	struct db_value *values;
	int64_t deadline_us;
	struct loop_timer *timer; /* the deadline, or the end of a pause */
	struct slot *slot;        /* where it runs */
	unsigned n_lost_runs;
	unsigned n_pauses;
	unsigned lock_error; /* why it pauses */
	db_done_fn *done;
	void *arg;
};

TAILQ_HEAD(request_list, request);

/* Holds one connection, or an attempt to get one, or neither for a while. */
struct slot {
	struct db *db;
	struct db_conn *conn;
	struct db_connect *attempt;
	struct request *running;
	bool has_answered; /* this connection was of some use */
};

struct db {
	struct loop *loop;
	struct db_config *config;
	struct loop_turn *turn;
	struct slot *slots;
	size_t n_slots;

	enum health health;
	enum health told; /* UP, DOWN, or STARTING for nothing yet */
	int64_t since;
	char error[DB_CONN_ERROR_MAX + 16];
	char server_version[64];
	struct loop_timer *doubt_timer;

	uint64_t backoff_ms;
	int64_t next_attempt_us;
	struct loop_timer *attempt_timer;

	struct request_list queue;
	struct request_list paused;
	struct request_list refused;
	size_t n_queued; /* in queue and paused */

	void (*on_change)(void *arg, bool is_up);
	void *on_change_arg;
	TAILQ_HEAD(, db_listener) listeners;
};

static void mend(struct db *db);

/* --- helpers ------------------------------------------------------------- */

static uint64_t
random_below(uint64_t n)
{
	uint64_t bits = 0;

	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		bits = (uint64_t)clock_monotonic_us();
	return n == 0 ? 0 : bits % n;
}

uint64_t
db_jitter_ms(uint64_t max_ms)
{
	return max_ms / 2 + random_below(max_ms / 2 + 1);
}

static uint64_t
ms_left(int64_t until_us)
{
	int64_t left = until_us - clock_monotonic_us();

	return left <= 0 ? 0 : (uint64_t)(left + 999) / 1000;
}

struct loop *
db_loop(const struct db *db)
{
	return db->loop;
}

void
db_listen(struct db *db, struct db_listener *listener)
{
	TAILQ_INSERT_TAIL(&db->listeners, listener, entry);
}

void
db_unlisten(struct db *db, struct db_listener *listener)
{
	TAILQ_REMOVE(&db->listeners, listener, entry);
}

/* --- requests ------------------------------------------------------------ */

static struct request_list *
list_of(struct request *request)
{
	switch (request->state) {
	case REQUEST_WAITING:
		return &request->db->queue;
	case REQUEST_PAUSED:
		return &request->db->paused;
	case REQUEST_REFUSED:
		return &request->db->refused;
	case REQUEST_RUNNING:
		break;
	}
	return NULL;
}

static bool
is_queued(const struct request *request)
{
	return request->state == REQUEST_WAITING ||
	       request->state == REQUEST_PAUSED;
}

/* Takes the request out of the list it stands in. */
static void
detach(struct request *request)
{
	struct request_list *list = list_of(request);

	if (list != NULL)
		TAILQ_REMOVE(list, request, entry);
	if (is_queued(request))
		request->db->n_queued--;
	if (request->slot != NULL)
		request->slot->running = NULL;
	request->slot = NULL;
}

static void
enter(struct request *request, enum request_state state)
{
	request->state = state;
	if (is_queued(request))
		request->db->n_queued++;
	/* What ran before goes before what never ran. */
	if (request->n_lost_runs > 0 || request->n_pauses > 0)
		TAILQ_INSERT_HEAD(list_of(request), request, entry);
	else
		TAILQ_INSERT_TAIL(list_of(request), request, entry);
	loop_turn_ask(request->db->turn);
}

static void
request_free(struct request *request)
{
	loop_timer_free(request->timer);
	x_free(request->values);
	x_free(request);
}

/* Ends a detached request. */
static void
tell(struct request *request, const struct db_result *result)
{
	if (result->status != DB_OK)
		metric_add(METRIC_SQL_ERRORS, 1);
	request->done(request->arg, result);
	request_free(request);
}

static void
tell_failure(struct request *request, enum db_status status,
	unsigned error_number, const char *error)
{
	struct db_result result = {
		.status = status,
		.error_number = error_number,
		.error = error,
		.rows = &db_no_rows,
	};

	tell(request, &result);
}

static size_t
text_bytes(const struct db_statement *statement, const struct db_value *values)
{
	size_t sum = 0;

	for (size_t i = 0; statement->params[i] != '\0'; i++)
		sum += values[i].text.len;
	return sum;
}

/* One block: the values, behind them their texts, equal ones once. */
static struct db_value *
copy_values(const struct db_statement *statement, const struct db_value *values)
{
	size_t n = strlen(statement->params);
	struct db_value *copy;
	char *at;

	copy = x_calloc(1,
		n * sizeof(*copy) + text_bytes(statement, values) + 1);
	at = (char *)(copy + n);
	for (size_t i = 0; i < n; i++) {
		copy[i] = values[i];
		if (values[i].text.len == 0)
			continue;
		if (i > 0 && values[i].text.ptr == values[i - 1].text.ptr &&
			values[i].text.len == values[i - 1].text.len) {
			copy[i].text = copy[i - 1].text;
			continue;
		}
		memcpy(at, values[i].text.ptr, values[i].text.len);
		copy[i].text.ptr = at;
		at += values[i].text.len;
	}
	return copy;
}

/* --- health -------------------------------------------------------------- */

static bool
counts_as_up(enum health health)
{
	return health == HEALTH_UP || health == HEALTH_DOUBTED;
}

static void
set_health(struct db *db, enum health health)
{
	if (db->health == health)
		return;
	if (counts_as_up(db->health) != counts_as_up(health))
		db->since = clock_wall();
	db->health = health;
	if (health == HEALTH_UP)
		db->error[0] = '\0';
	if (health == HEALTH_DOUBTED)
		loop_timer_set(db->doubt_timer, DOUBT_MS);
	else
		loop_timer_clear(db->doubt_timer);
	loop_turn_ask(db->turn);
}

static void
set_error(struct db *db, const struct db_conn_error *error)
{
	if (error->number != 0)
		snprintf(db->error, sizeof(db->error), "%s (%u)", error->text,
			error->number);
	else
		snprintf(db->error, sizeof(db->error), "%s", error->text);
}

static void
doubt_passed(void *arg)
{
	set_health(arg, HEALTH_DOWN);
}

static void
doubt(struct db *db, const struct db_conn_error *error)
{
	set_error(db, error);
	if (db->health == HEALTH_UP)
		set_health(db, HEALTH_DOUBTED);
	loop_turn_ask(db->turn);
}

/* --- connections --------------------------------------------------------- */

static size_t
n_connections(const struct db *db)
{
	size_t n = 0;

	for (size_t i = 0; i < db->n_slots; i++)
		n += db->slots[i].conn != NULL;
	return n;
}

static void
back_off(struct db *db)
{
	db->backoff_ms =
		db->backoff_ms == 0 ? BACKOFF_FIRST_MS : db->backoff_ms * 2;
	if (db->backoff_ms > BACKOFF_LAST_MS)
		db->backoff_ms = BACKOFF_LAST_MS;
	db->next_attempt_us = clock_monotonic_us() +
			      (int64_t)db_jitter_ms(db->backoff_ms) * 1000;
}

/* Frees the connection of a slot on which nothing runs any more. */
static void
lose(struct slot *slot, const struct db_conn_error *error)
{
	struct db *db = slot->db;
	struct db_conn *conn = slot->conn;

	assert(slot->running == NULL);
	slot->conn = NULL;
	if (!slot->has_answered)
		back_off(db);
	if (n_connections(db) == 0)
		doubt(db, error);
	loop_turn_ask(db->turn);
	/* Last, because error may be its own. */
	db_conn_free(conn);
}

static void
idle_lost(void *arg)
{
	static const struct db_conn_error closed = { 0,
		"the server closed the connection" };

	lose(arg, &closed);
}

static void
connected(struct slot *slot, struct db_conn *conn)
{
	struct db *db = slot->db;

	slot->conn = conn;
	slot->has_answered = false;
	db_conn_on_lost(conn, idle_lost, slot);
	snprintf(db->server_version, sizeof(db->server_version), "%s",
		db_conn_server_version(conn));
	set_health(db, HEALTH_UP);
	loop_turn_ask(db->turn);
}

static void
attempt_failed(struct db *db, const struct db_conn_error *error)
{
	back_off(db);
	loop_turn_ask(db->turn);
	if (db->health == HEALTH_UP)
		return;
	/* A server that refuses more connections still serves these. */
	if (n_connections(db) > 0 && db_conn_is_server_error(error->number)) {
		set_health(db, HEALTH_UP);
		return;
	}
	set_error(db, error);
	set_health(db, HEALTH_DOWN);
}

static void
attempt_ended(void *arg, struct db_conn *conn,
	const struct db_conn_error *error)
{
	struct slot *slot = arg;

	slot->attempt = NULL;
	if (conn != NULL)
		connected(slot, conn);
	else
		attempt_failed(slot->db, error);
}

static void
attempt(struct slot *slot)
{
	static const struct db_conn_error no_descriptor = { 0,
		"no file descriptor is left" };
	struct db *db = slot->db;

	slot->attempt =
		db_connect_start(db->loop, db->config, attempt_ended, slot);
	if (slot->attempt == NULL)
		attempt_failed(db, &no_descriptor);
}

static bool
is_attempting(const struct db *db)
{
	for (size_t i = 0; i < db->n_slots; i++)
		if (db->slots[i].attempt != NULL)
			return true;
	return false;
}

/*
 * Fills empty slots. While the server is not known to be there one attempt
 * at a time is enough to find out.
 */
static void
mend(struct db *db)
{
	for (size_t i = 0; i < db->n_slots; i++) {
		struct slot *slot = &db->slots[i];
		uint64_t wait_ms = ms_left(db->next_attempt_us);

		if (slot->conn != NULL || slot->attempt != NULL)
			continue;
		if (db->health != HEALTH_UP && is_attempting(db))
			return;
		if (wait_ms >= DOUBT_MS && db->health == HEALTH_DOUBTED)
			set_health(db, HEALTH_DOWN);
		if (wait_ms > 0) {
			loop_timer_set(db->attempt_timer, wait_ms);
			return;
		}
		attempt(slot);
	}
}

static void
attempt_is_due(void *arg)
{
	mend(arg);
}

void
db_hurry(struct db *db)
{
	db->backoff_ms = 0;
	db->next_attempt_us = 0;
	loop_turn_ask(db->turn);
}

/* --- what an answer means ------------------------------------------------ */

static bool
writes(const struct request *request)
{
	return request->statement->access == DB_WRITES;
}

static void
tell_final(struct request *request, const struct db_conn_answer *answer)
{
	struct db_result result = {
		.status = DB_REFUSED,
		.error_number = answer->error->number,
		.error = answer->error->text,
		.affected = answer->affected,
		.rows = answer->rows,
	};

	if (answer->outcome == DB_CONN_UNFIT && writes(request))
		result.status = DB_UNCERTAIN;
	else if (answer->error->text[0] == '\0')
		result.status = DB_OK;
	tell(request, &result);
}

/* Starts at 1 ms: most of those who collide do so by chance. */
static void
pause_request(struct request *request, const struct db_conn_answer *answer)
{
	uint64_t left = ms_left(request->deadline_us);
	uint64_t span = LOCK_PAUSE_LAST_MS;
	uint64_t pause_ms;

	if (request->n_pauses < 6)
		span = 2u << request->n_pauses;
	pause_ms = 1 + random_below(span);
	if (pause_ms >= left) {
		tell_final(request, answer);
		return;
	}
	request->n_pauses++;
	request->lock_error = answer->error->number;
	metric_add(METRIC_SQL_RETRIES, 1);
	enter(request, REQUEST_PAUSED);
	loop_timer_set(request->timer, pause_ms);
}

static void
run_again(struct request *request, const struct db_conn_answer *answer)
{
	if (++request->n_lost_runs < LOST_RUNS_MAX)
		enter(request, REQUEST_WAITING);
	else
		tell_failure(request, DB_UNAVAILABLE, answer->error->number,
			answer->error->text);
}

static void
conclude(struct request *request, enum db_sense sense,
	const struct db_conn_answer *answer)
{
	switch (sense) {
	case DB_SENSE_FINAL:
		tell_final(request, answer);
		return;
	case DB_SENSE_LOCKED:
		pause_request(request, answer);
		return;
	case DB_SENSE_AWAY:
	case DB_SENSE_STALE:
		run_again(request, answer);
		return;
	case DB_SENSE_UNCERTAIN:
		if (writes(request))
			tell_failure(request, DB_UNCERTAIN,
				answer->error->number, answer->error->text);
		else
			run_again(request, answer);
		return;
	}
}

static void
note_answer(struct slot *slot)
{
	slot->has_answered = true;
	slot->db->backoff_ms = 0;
	set_health(slot->db, HEALTH_UP);
}

/*
 * The connection is looked after when the request was told, because its
 * rows are the connection's.
 */
static void
answered(void *arg, const struct db_conn_answer *answer)
{
	struct slot *slot = arg;
	struct request *request = slot->running;
	enum db_sense sense = db_sense_of(answer);
	bool is_usable = answer->outcome == DB_CONN_ANSWERED &&
			 (sense == DB_SENSE_FINAL || sense == DB_SENSE_LOCKED);

	detach(request);
	if (is_usable)
		note_answer(slot);
	else if (sense == DB_SENSE_AWAY)
		doubt(slot->db, answer->error);
	loop_turn_ask(slot->db->turn);
	conclude(request, sense, answer);
	if (!is_usable)
		lose(slot, answer->error);
}

/* --- the turn: where statements start ------------------------------------ */

static struct slot *
idle_slot(struct db *db)
{
	for (size_t i = 0; i < db->n_slots; i++) {
		struct slot *slot = &db->slots[i];

		if (slot->conn == NULL || slot->running != NULL)
			continue;
		if (db_conn_is_alive(slot->conn))
			return slot;
		idle_lost(slot);
	}
	return NULL;
}

static void
run(struct slot *slot, struct request *request)
{
	detach(request);
	request->state = REQUEST_RUNNING;
	request->slot = slot;
	slot->running = request;
	db_conn_run(slot->conn, request->statement, request->values, answered,
		slot);
}

static void
dispatch(struct db *db)
{
	while (db->health == HEALTH_UP && !TAILQ_EMPTY(&db->queue)) {
		struct slot *slot = idle_slot(db);

		if (slot == NULL)
			return;
		run(slot, TAILQ_FIRST(&db->queue));
	}
}

/* Tells those that are in the list now, not those that come meanwhile. */
static void
tell_all(struct request_list *list, const char *error)
{
	struct request *last = TAILQ_LAST(list, request_list);
	struct request *request;

	do {
		request = TAILQ_FIRST(list);
		if (request == NULL)
			return;
		detach(request);
		tell_failure(request, DB_UNAVAILABLE, 0, error);
	} while (request != last);
}

static void
wake_listeners(struct db *db)
{
	struct db_listener *listener;

	TAILQ_FOREACH(listener, &db->listeners, entry)
	listener->fn(listener->arg);
}

static void
tell_change(struct db *db)
{
	bool is_up = counts_as_up(db->health);
	enum health now = is_up ? HEALTH_UP : HEALTH_DOWN;

	if (db->health == HEALTH_STARTING || db->told == now)
		return;
	db->told = now;
	if (db->on_change != NULL)
		db->on_change(db->on_change_arg, is_up);
	if (is_up)
		wake_listeners(db);
}

static void
take_turn(void *arg)
{
	struct db *db = arg;

	tell_change(db);
	tell_all(&db->refused, "too many statements wait");
	if (db->health == HEALTH_DOWN)
		tell_all(&db->queue, db->error);
	dispatch(db);
	mend(db);
}

/* --- deadlines ----------------------------------------------------------- */

static void
running_too_long(struct request *request)
{
	static const struct db_conn_error late = { 0,
		"the server did not answer in time" };
	struct slot *slot = request->slot;
	bool is_uncertain = writes(request) && db_conn_was_sent(slot->conn);

	detach(request);
	/* The server may stand still as a whole: nobody else should have to
	 * wait as long to find out. */
	doubt(slot->db, &late);
	lose(slot, &late);
	tell_failure(request, is_uncertain ? DB_UNCERTAIN : DB_UNAVAILABLE, 0,
		late.text);
}

static void
timer_fired(void *arg)
{
	struct request *request = arg;

	switch (request->state) {
	case REQUEST_RUNNING:
		running_too_long(request);
		return;
	case REQUEST_PAUSED:
		detach(request);
		enter(request, REQUEST_WAITING);
		loop_timer_set(request->timer, ms_left(request->deadline_us));
		return;
	case REQUEST_WAITING:
		detach(request);
		tell_failure(request, DB_UNAVAILABLE, request->lock_error,
			"no connection was free in time");
		return;
	case REQUEST_REFUSED:
		return;
	}
}

/* --- the public side ----------------------------------------------------- */

struct db *
db_new(struct loop *loop, const struct db_config *config)
{
	struct db *db = x_new(struct db);

	assert(config->connections > 0 &&
		config->connections <= CONNECTIONS_MAX);
	db->loop = loop;
	db->config = db_config_copy(config);
	db->since = clock_wall();
	TAILQ_INIT(&db->queue);
	TAILQ_INIT(&db->paused);
	TAILQ_INIT(&db->refused);
	TAILQ_INIT(&db->listeners);
	db->turn = loop_turn_new(loop, take_turn, db);
	db->doubt_timer = loop_timer_new(loop, doubt_passed, db);
	db->attempt_timer = loop_timer_new(loop, attempt_is_due, db);
	db->n_slots = config->connections;
	db->slots = x_new_array(db->n_slots, struct slot);
	for (size_t i = 0; i < db->n_slots; i++)
		db->slots[i].db = db;
	loop_turn_ask(db->turn);
	return db;
}

static void
close_slots(struct db *db)
{
	for (size_t i = 0; i < db->n_slots; i++) {
		struct slot *slot = &db->slots[i];
		struct request *request = slot->running;
		bool is_uncertain = request != NULL && writes(request) &&
				    db_conn_was_sent(slot->conn);

		db_connect_cancel(slot->attempt);
		if (request != NULL) {
			detach(request);
			tell_failure(request,
				is_uncertain ? DB_UNCERTAIN : DB_UNAVAILABLE, 0,
				"the program ends");
		}
		db_conn_free(slot->conn);
	}
}

static bool
has_requests(const struct db *db)
{
	return db->n_queued > 0 || !TAILQ_EMPTY(&db->refused);
}

void
db_free(struct db *db)
{
	if (db == NULL)
		return;
	assert(TAILQ_EMPTY(&db->listeners));
	close_slots(db);
	/* One who is told may ask again, but not for ever. */
	for (int i = 0; has_requests(db) && i < CLOSING_ROUNDS_MAX; i++) {
		tell_all(&db->queue, "the program ends");
		tell_all(&db->paused, "the program ends");
		tell_all(&db->refused, "the program ends");
	}
	assert(!has_requests(db));
	loop_turn_free(db->turn);
	loop_timer_free(db->doubt_timer);
	loop_timer_free(db->attempt_timer);
	db_config_free(db->config);
	x_free(db->slots);
	x_free(db);
}

void
db_state(const struct db *db, struct db_state *out)
{
	*out = (struct db_state){
		.label = db->config->label,
		.remedy = db->config->remedy,
		.is_up = counts_as_up(db->health),
		.n_connections = n_connections(db),
		.n_queued = db->n_queued,
		.error = db->error,
		.since = db->since,
	};
	memcpy(out->server_version, db->server_version,
		sizeof(out->server_version));
}

void
db_on_change(struct db *db, void (*fn)(void *arg, bool is_up), void *arg)
{
	db->on_change = fn;
	db->on_change_arg = arg;
}

void
db_run(struct db *db, const struct db_statement *statement,
	const struct db_value *values, uint64_t deadline_ms, db_done_fn *done,
	void *arg)
{
	struct request *request = x_new(struct request);
	bool is_refused = db->n_queued >= db->config->queue_max;

	if (deadline_ms == 0)
		deadline_ms = db->config->statement_timeout_ms;
	request->db = db;
	request->statement = statement;
	request->values = copy_values(statement, values);
	request->done = done;
	request->arg = arg;
	request->deadline_us =
		clock_monotonic_us() + (int64_t)deadline_ms * 1000;
	request->timer = loop_timer_new(db->loop, timer_fired, request);
	loop_timer_set(request->timer, deadline_ms);
	enter(request, is_refused ? REQUEST_REFUSED : REQUEST_WAITING);
}

/* --- waiting ------------------------------------------------------------- */

struct wait {
	struct loop *loop;
	db_done_fn *done;
	void *arg;
	bool is_over;
};

static void
wait_ended(void *arg, const struct db_result *result)
{
	struct wait *wait = arg;

	wait->done(wait->arg, result);
	wait->is_over = true;
	loop_stop(wait->loop);
}

void
db_run_and_wait(struct loop *loop, struct db *db,
	const struct db_statement *statement, const struct db_value *values,
	uint64_t deadline_ms, db_done_fn *done, void *arg)
{
	struct wait wait = { loop, done, arg, false };

	db_run(db, statement, values, deadline_ms, wait_ended, &wait);
	/* Somebody else's loop_stop() has to wait for the deadline. */
	while (!wait.is_over)
		loop_run(loop);
}
