#include "common/io/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/loop.h"

/* First size of a buffer; it doubles from there. */
#define INPUT_MIN  4096
#define OUTPUT_MIN 256

/*
 * Bytes from start to end are in use. It has memory only while it holds
 * something: malloc() is quick beside a system call, and ten thousand idle
 * connections then cost next to nothing.
 */
struct buffer {
	char *data;
	size_t start;
	size_t end;
	size_t size;
};

enum state {
	STATE_OPEN,     /* input and output are awaited */
	STATE_DRAINING, /* only that the peer takes what was written */
	STATE_ENDING,   /* on_end is due, from the loop */
	STATE_ENDED,    /* only stream_free() */
};

struct stream {
	int fd;
	enum state state;
	enum stream_end why; /* in STATE_ENDING */
	const struct stream_config *config;
	void *arg;

	struct buffer input;
	struct buffer output;
	bool is_paused;
	bool is_input_due; /* look at the input again at the end of the turn */

	struct loop_watch *watch;
	unsigned armed;
	struct loop_turn *turn;
	struct loop_timer *timer;
	/*
	 * When anything last moved. The timer is not set again each time; it
	 * looks here when it fires.
	 */
	int64_t active_us;

	bool is_running; /* in one of our own callbacks: they settle later */
	bool is_freed;   /* freed there: the struct goes at its end */
};

/* --- buffers ------------------------------------------------------------- */

static size_t
buffer_len(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

static void
buffer_free(struct buffer *buffer)
{
	x_free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}

static void
buffer_drop(struct buffer *buffer, size_t n)
{
	assert(n <= buffer_len(buffer));
	buffer->start += n;
	if (buffer->start == buffer->end)
		buffer_free(buffer);
}

static void
buffer_move_to_front(struct buffer *buffer)
{
	size_t len = buffer_len(buffer);

	if (buffer->start == 0)
		return;
	memmove(buffer->data, buffer->data + buffer->start, len);
	buffer->start = 0;
	buffer->end = len;
}

static void
buffer_resize(struct buffer *buffer, size_t size)
{
	buffer->data = x_realloc_array(buffer->data, size, 1);
	buffer->size = size;
}

/* The caller has seen that it stays within the limit. */
static void
buffer_append(struct buffer *buffer, struct slice bytes)
{
	size_t size = buffer->size > 0 ? buffer->size : OUTPUT_MIN;

	if (bytes.len > buffer->size - buffer->end)
		buffer_move_to_front(buffer);
	while (bytes.len > size - buffer->end)
		size *= 2;
	if (size > buffer->size)
		buffer_resize(buffer, size);
	memcpy(buffer->data + buffer->end, bytes.ptr, bytes.len);
	buffer->end += bytes.len;
}

/* --- ending -------------------------------------------------------------- */

static void
end_with(struct stream *stream, enum stream_end why)
{
	if (stream->state >= STATE_ENDING)
		return;
	stream->state = STATE_ENDING;
	stream->why = why;
	buffer_free(&stream->output);
}

/* From outside a callback the end of the turn does what is to be done. */
static void
ask_turn(struct stream *stream)
{
	if (!stream->is_running)
		loop_turn_ask(stream->turn);
}

/* --- input and output ---------------------------------------------------- */

/* Sends what the peer takes now. */
static void
flush(struct stream *stream)
{
	size_t len = buffer_len(&stream->output);
	ssize_t n;

	if (len == 0)
		return;
	n = send(stream->fd, stream->output.data + stream->output.start, len,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		stream->active_us = clock_monotonic_us();
		buffer_drop(&stream->output, (size_t)n);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		end_with(stream, STREAM_BROKEN);
	}
}

/* Room to receive into; the caller has seen that the input is not full. */
static size_t
make_room(struct stream *stream)
{
	struct buffer *input = &stream->input;
	size_t max = stream->config->input_max;
	size_t size = input->size > 0 ? input->size * 2 : INPUT_MIN;

	if (input->size - input->end < input->size / 2)
		buffer_move_to_front(input);
	if (input->end == input->size)
		buffer_resize(input, size < max ? size : max);
	return input->size - input->end;
}

/* One recv(): a peer that sends much must not hold up the others. */
static bool
receive(struct stream *stream)
{
	struct buffer *input = &stream->input;
	size_t room = make_room(stream);
	ssize_t n;

	n = recv(stream->fd, input->data + input->end, room, MSG_DONTWAIT);
	if (n > 0) {
		stream->active_us = clock_monotonic_us();
		input->end += (size_t)n;
		return true;
	}
	if (n == 0)
		/* It may have closed one direction only. */
		stream->state = STATE_DRAINING;
	else if (errno != EAGAIN && errno != EINTR)
		end_with(stream, STREAM_BROKEN);
	if (buffer_len(input) == 0)
		buffer_free(input);
	return false;
}

static bool
wants_input(const struct stream *stream)
{
	return stream->state == STATE_OPEN && !stream->is_paused &&
	       buffer_len(&stream->input) < stream->config->input_max;
}

/* --- callbacks ----------------------------------------------------------- */

static void
arm(struct stream *stream, unsigned events)
{
	if (events == stream->armed)
		return;
	stream->armed = events;
	loop_watch_set(stream->watch, events);
}

static void
report_end(struct stream *stream)
{
	stream->state = STATE_ENDED;
	arm(stream, 0);
	loop_timer_clear(stream->timer);
	stream->config->on_end(stream->arg, stream->why);
}

/*
 * Reading is only switched on here. It is switched off when something came
 * that is not wanted, so a pause for the time of one request costs no system
 * call.
 */
static void
wait_on(struct stream *stream)
{
	unsigned events = stream->armed & LOOP_READ;

	if (wants_input(stream))
		events |= LOOP_READ;
	if (buffer_len(&stream->output) > 0)
		events |= LOOP_WRITE;
	arm(stream, events);
}

static void
advance(struct stream *stream)
{
	flush(stream);
	if (stream->state == STATE_DRAINING && buffer_len(&stream->output) == 0)
		end_with(stream, STREAM_CLOSED);
	if (stream->state == STATE_ENDING)
		report_end(stream);
	else if (stream->state != STATE_ENDED)
		wait_on(stream);
}

/*
 * Every callback from the loop ends here: what was written goes out, what
 * has ended is reported, and what the owner freed meanwhile is gone.
 */
static void
settle(struct stream *stream)
{
	if (!stream->is_freed)
		advance(stream);
	stream->is_running = false;
	if (stream->is_freed)
		x_free(stream);
}

static void
stream_ready(void *arg, unsigned events)
{
	struct stream *stream = arg;

	stream->is_running = true;
	if ((events & LOOP_READ) != 0) {
		if (!wants_input(stream))
			arm(stream, stream->armed & ~LOOP_READ);
		else if (receive(stream))
			stream->config->on_input(stream->arg);
	}
	settle(stream);
}

static void
stream_turn(void *arg)
{
	struct stream *stream = arg;
	bool is_input_due = stream->is_input_due;

	stream->is_running = true;
	stream->is_input_due = false;
	if (is_input_due && stream->state == STATE_OPEN && !stream->is_paused &&
		buffer_len(&stream->input) > 0)
		stream->config->on_input(stream->arg);
	settle(stream);
}

/* While the owner keeps a paused peer waiting, nobody is idle but the owner. */
static bool
may_be_idle(const struct stream *stream)
{
	return !stream->is_paused || buffer_len(&stream->output) > 0 ||
	       stream->state == STATE_DRAINING;
}

static void
stream_timer(void *arg)
{
	struct stream *stream = arg;
	int64_t now_us = clock_monotonic_us();
	int64_t idle_us = (int64_t)stream->config->idle_ms * 1000;
	int64_t left_us = stream->active_us + idle_us - now_us;

	if (!may_be_idle(stream))
		left_us = idle_us;
	if (left_us > 0) {
		loop_timer_set(stream->timer, (uint64_t)left_us / 1000 + 1);
		return;
	}
	stream->is_running = true;
	end_with(stream,
		stream->state == STATE_DRAINING ? STREAM_CLOSED : STREAM_IDLE);
	settle(stream);
}

/* --- the interface ------------------------------------------------------- */

struct stream *
stream_new(struct loop *loop, int fd, const struct stream_config *config,
	void *arg)
{
	struct stream *stream = x_new(struct stream);

	assert(config->input_max > 0 && config->output_max > 0);
	assert(config->idle_ms < INT64_MAX / 1000000);
	stream->fd = fd;
	stream->config = config;
	stream->arg = arg;
	stream->active_us = clock_monotonic_us();
	stream->watch = loop_watch_new(loop, fd, stream_ready, stream);
	stream->turn = loop_turn_new(loop, stream_turn, stream);
	stream->timer = loop_timer_new(loop, stream_timer, stream);
	if (config->idle_ms > 0)
		loop_timer_set(stream->timer, config->idle_ms);
	arm(stream, LOOP_READ);
	return stream;
}

void
stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	assert(!stream->is_freed);
	loop_timer_free(stream->timer);
	loop_turn_free(stream->turn);
	loop_watch_free(stream->watch);
	close(stream->fd);
	buffer_free(&stream->input);
	buffer_free(&stream->output);
	if (stream->is_running)
		stream->is_freed = true;
	else
		x_free(stream);
}

struct slice
stream_input(const struct stream *stream)
{
	const struct buffer *input = &stream->input;

	if (input->data == NULL)
		return (struct slice){ NULL, 0 };
	return (struct slice){ input->data + input->start, buffer_len(input) };
}

void
stream_use(struct stream *stream, size_t n)
{
	bool was_full = stream_is_full(stream);

	buffer_drop(&stream->input, n);
	if (was_full)
		ask_turn(stream);
}

bool
stream_is_full(const struct stream *stream)
{
	return buffer_len(&stream->input) >= stream->config->input_max;
}

void
stream_write(struct stream *stream, struct slice bytes)
{
	struct buffer *output = &stream->output;
	size_t max = stream->config->output_max;

	if (stream->state >= STATE_ENDING || bytes.len == 0)
		return;
	/* Only what the peer does not take counts against the limit. */
	if (bytes.len > max - buffer_len(output))
		flush(stream);
	if (bytes.len > max - buffer_len(output))
		end_with(stream, STREAM_BROKEN);
	if (stream->state < STATE_ENDING)
		buffer_append(output, bytes);
	ask_turn(stream);
}

size_t
stream_output_len(const struct stream *stream)
{
	return buffer_len(&stream->output);
}

void
stream_finish(struct stream *stream)
{
	if (stream->state != STATE_OPEN)
		return;
	stream->state = STATE_DRAINING;
	ask_turn(stream);
}

void
stream_pause(struct stream *stream)
{
	stream->is_paused = true;
}

void
stream_resume(struct stream *stream)
{
	if (!stream->is_paused)
		return;
	stream->is_paused = false;
	stream->is_input_due = true;
	stream->active_us = clock_monotonic_us();
	/* Also from within a callback: it is called again, with what is left.
	 */
	loop_turn_ask(stream->turn);
}
