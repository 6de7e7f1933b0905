/*
 * The policy protocol: any bytes in any fragments. The server is the real
 * one over a stream and an engine of this file; it must answer each whole
 * request once and in order, nothing else, and close at the first malformed
 * one, however the bytes were cut and whether the engine answers at once or
 * later. What it should do is worked out here over the whole input.
 *
 * The first byte of the input says how it is cut, the second which answers
 * come late.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/sock.h"
#include "common/io/stream.h"
#include "policyd/engine.h"
#include "policyd/parallel.h"
#include "policyd/policy_server.h"
#include "policyd/sources.h"
#include "policyd/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The linker gives the server these in place of listener_new() and _free(). */
struct listener *__wrap_listener_new(struct loop *loop, int fd, listener_fn *fn,
	void *arg);
void __wrap_listener_free(struct listener *listener);

#define REPLY "action=DUNNO\n\n"

struct stream {
	const struct stream_config *config;
	void *arg;
	size_t at, end; /* what has come and was not used */
	bool is_paused, is_finished;
};

static struct {
	struct slice input;
	struct stream *stream; /* NULL: closed */
	listener_fn *accept;
	void *accept_arg;
	struct decision *late; /* waits for its answer */
	unsigned late_bits;
	size_t n_asked, n_replies;
} run;

static struct config *config;

/* --- a listener --------------------------------------------------------- */

struct listener *
__wrap_listener_new(struct loop *loop, int fd, listener_fn *fn, void *arg)
{
	(void)loop, (void)fd;
	run.accept = fn;
	run.accept_arg = arg;
	return NULL;
}

void
__wrap_listener_free(struct listener *listener)
{
	(void)listener;
}

/* --- a stream ----------------------------------------------------------- */

struct stream *
stream_new(struct loop *loop, int fd, const struct stream_config *stream_config,
	void *arg)
{
	struct stream *stream = x_new(struct stream);

	(void)loop, (void)fd;
	stream->config = stream_config;
	stream->arg = arg;
	run.stream = stream;
	return stream;
}

void
stream_free(struct stream *stream)
{
	assert(stream == run.stream);
	run.stream = NULL;
	x_free(stream);
}

struct slice
stream_input(const struct stream *stream)
{
	return slice_part(run.input, stream->at, stream->end);
}

void
stream_use(struct stream *stream, size_t n)
{
	assert(n <= stream->end - stream->at);
	stream->at += n;
}

bool
stream_is_full(const struct stream *stream)
{
	return stream->end - stream->at >= stream->config->input_max;
}

void
stream_write(struct stream *stream, struct slice bytes)
{
	assert(stream == run.stream && !stream->is_finished);
	assert(slice_eq_text(bytes, REPLY));
	run.n_replies++;
}

void
stream_finish(struct stream *stream)
{
	stream->is_finished = true;
}

void
stream_pause(struct stream *stream)
{
	assert(!stream->is_paused);
	stream->is_paused = true;
}

void
stream_resume(struct stream *stream)
{
	assert(stream->is_paused);
	stream->is_paused = false;
}

/* --- an engine ---------------------------------------------------------- */

static void
answer(struct decision *decision)
{
	decision->reply = SLICE("DUNNO");
	decision->done(decision, decision->arg);
}

struct decision *
engine_judge(struct engine *engine, struct slice text,
	void (*done)(struct decision *decision, void *arg), void *arg,
	const char **err)
{
	struct arena *arena = arena_new(REQUEST_ARENA_MAX);
	struct decision *decision = arena_new_object(arena, struct decision);

	(void)engine;
	assert(run.late == NULL);
	if (request_parse(&decision->req, arena, config, 1, text, err) < 0) {
		assert(*err != NULL && (*err)[0] != '\0');
		arena_free(arena);
		return NULL;
	}
	decision->done = done;
	decision->arg = arg;
	run.n_asked++;
	if ((run.late_bits >> (run.n_asked % 8) & 1) != 0)
		run.late = decision;
	else
		answer(decision);
	return decision;
}

void
decision_release(struct decision *decision)
{
	arena_free(decision->req.arena);
}

void
decision_abandon(struct decision *decision)
{
	assert(decision == run.late);
	run.late = NULL;
	arena_free(decision->req.arena);
}

/* --- another daemon: none is configured --------------------------------- */

struct parallel_link *
parallel_link_new(struct parallel *parallel)
{
	(void)parallel;
	abort();
}

void
parallel_link_free(struct parallel_link *link)
{
	assert(link == NULL);
}

int
parallel_ask(struct parallel_link *link, struct slice text,
	void (*done)(void *arg, struct slice reply), void *arg,
	const char **err)
{
	(void)link, (void)text, (void)done, (void)arg, (void)err;
	abort();
}

/* --- what should come of it --------------------------------------------- */

/* The length of the request at the start, with its empty line; 0: none. */
static size_t
request_length(struct slice text)
{
	size_t start = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '\n')
			continue;
		if (i == start)
			return start == 0 ? 0 : i + 1;
		if (i - start > config->limits.line_bytes)
			return 0;
		start = i + 1;
	}
	return 0;
}

static size_t
expected_replies(struct slice text)
{
	size_t n = 0, len;

	while ((len = request_length(text)) > 0) {
		struct arena *arena = arena_new(REQUEST_ARENA_MAX);
		struct request req;
		const char *err;
		const bool is_good =
			len <= config->limits.request_bytes &&
			request_parse(&req, arena, config, 1,
				slice_part(text, 0, len - 1), &err) == 0;

		arena_free(arena);
		if (!is_good)
			break;
		text = slice_from(text, len);
		n++;
	}
	return n;
}

/* --- a run -------------------------------------------------------------- */

static void
answer_late(void)
{
	struct decision *decision = run.late;

	run.late = NULL;
	if (decision != NULL)
		answer(decision);
}

/* Lets the next bytes in, as far as there is room. */
static bool
feed(size_t fragment)
{
	struct stream *stream = run.stream;
	size_t room = stream->config->input_max - (stream->end - stream->at);
	const size_t before = stream->end;

	if (room > fragment)
		room = fragment;
	if (room > run.input.len - stream->end)
		room = run.input.len - stream->end;
	stream->end += room;
	stream->config->on_input(stream->arg);
	return run.stream != NULL &&
	       (run.stream->end > before || run.late != NULL);
}

static void
serve(size_t fragment)
{
	struct sources sources = { .config = config };
	const struct worker_socket socket = { .use = WORKER_SOCKET_POLICY };
	struct policy_server *server = policy_server_new(&sources, &socket, 1);
	bool is_moving = true;

	run.accept(run.accept_arg, 0);
	while (run.stream != NULL && is_moving) {
		if (run.stream->is_paused) {
			answer_late();
			continue;
		}
		is_moving = feed(fragment);
	}
	assert(run.late == NULL);
	policy_server_free(server);
	assert(run.stream == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = { 0 };

	if (size < 2)
		return 0;
	if (config == NULL)
		config = config_parse(SLICE("[limits]\nline_bytes = 1K\n"
					    "request_bytes = 4K\n"),
			"fuzz", &errors);
	assert(config != NULL);
	memset(&run, 0, sizeof(run));
	run.input = (struct slice){ (const char *)data + 2, size - 2 };
	run.late_bits = data[1];
	serve((size_t)data[0] + 1);
	assert(run.n_replies == expected_replies(run.input));
	assert(run.n_asked == run.n_replies);
	return 0;
}
