#ifndef COMMON_IO_STREAM_H
#define COMMON_IO_STREAM_H

/*
 * A buffered, non-blocking connection. Input collects in a buffer of at most
 * input_max bytes; the owner looks at it and says how much it has used.
 * Output that the peer does not take is kept up to output_max bytes, then
 * the connection counts as broken. Callbacks run from the loop only, never
 * from inside a call to stream_*().
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct loop;
struct stream;

enum stream_end {
	/*
	 * The peer closed its side; what was written before was sent. An owner
	 * that answers later pauses meanwhile, so that the answer still goes
	 * out to a peer that has only closed its writing half.
	 */
	STREAM_CLOSED,
	STREAM_IDLE,   /* nothing came or could be sent for idle_ms */
	STREAM_BROKEN, /* an error, or output_max exceeded */
};

struct stream_config {
	size_t input_max;
	size_t output_max;
	uint64_t idle_ms; /* 0 for never */
	/* New input is there: see stream_input(). */
	void (*on_input)(void *arg);
	/* Called once; afterwards the owner calls stream_free(). */
	void (*on_end)(void *arg, enum stream_end why);
};

/* Owns fd from now on. config is kept, not copied (a static const). */
struct stream *stream_new(struct loop *loop, int fd,
	const struct stream_config *config, void *arg);
/* Closes the descriptor; what was not sent is lost. May be called from a
 * callback. */
void stream_free(struct stream *stream);
/* What has come in and was not used; valid until the next stream call. */
struct slice stream_input(const struct stream *stream);
/* The first n bytes of the input are done with. */
void stream_use(struct stream *stream, size_t n);
/* Whether the input buffer is full: the unit being read is too long. */
bool stream_is_full(const struct stream *stream);
/* Keeps the bytes and sends them with all others at the end of this turn. */
void stream_write(struct stream *stream, struct slice bytes);
/* What was written and the peer has not taken. */
size_t stream_output_len(const struct stream *stream);
/* Closes once everything written was sent (or idle_ms passed): on_end is
 * called with STREAM_CLOSED. No more input is delivered. */
void stream_finish(struct stream *stream);
/*
 * While paused no input is read (back-pressure), on_input is not called and
 * idle_ms does not run, unless output waits for the peer. After resuming,
 * on_input is called again if input is left.
 */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

#endif
