#include "policyd/parallel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/sock.h"
#include "common/io/stream.h"
#include "policyd/comparison.h"
#include "policyd/engine.h"
#include "policyd/sources.h"

/* What Postfix takes as an answer at most, and what it waits (100 s). */
#define REPLY_BYTES_MAX 1000
#define ANSWER_MAX      4096
#define SILENCE_MS      90000
#define OUTPUT_MAX      ((size_t)2 << 20)

#define UNAVAILABLE                                                   \
	"451 4.3.0 Service temporarily unavailable, please try again" \
	" later"

LIST_HEAD(comparisons, comparison);

struct parallel {
	struct sources *sources;
	struct comparisons comparisons;
	size_t n_comparisons;
	bool is_away; /* and that was logged */
};

/* One request: what the other daemon says and what the engine says. */
struct comparison {
	LIST_ENTRY(comparison) entry;
	struct parallel *parallel;
	struct decision *decision;
	bool is_judged;
	char *old_reply; /* NULL until it is there */
};

struct parallel_link {
	struct parallel *parallel;
	struct stream *stream;         /* NULL: no connection */
	struct sock_address address;   /* it leads there */
	bool is_used;                  /* it has answered before */
	struct comparison *comparison; /* of the request under way */
	struct str request;            /* to be sent, perhaps again */
	void (*done)(void *arg, struct slice reply);
	void *arg;
};

/* --- what the two have said --------------------------------------------- */

static void
comparison_free(struct comparison *comparison)
{
	if (comparison->is_judged)
		decision_release(comparison->decision);
	else
		decision_abandon(comparison->decision);
	LIST_REMOVE(comparison, entry);
	comparison->parallel->n_comparisons--;
	x_free(comparison->old_reply);
	x_free(comparison);
}

/*
 * Each connection has one request under way; behind it there may be as many
 * again that the engine still judges. When it takes longer than that, because
 * a database does not answer, nothing is compared.
 */
static bool
is_too_much(const struct parallel *parallel)
{
	return parallel->n_comparisons / 2 >=
	       parallel->sources->config->limits.connections;
}

static void
compare(struct comparison *comparison)
{
	const struct parallel *parallel = comparison->parallel;

	if (comparison->old_reply == NULL)
		return;
	if (comparison->is_judged)
		comparison_record(parallel->sources, comparison->decision,
			slice_of(comparison->old_reply));
	else if (!is_too_much(parallel))
		return;
	comparison_free(comparison);
}

static void
on_judged(struct decision *decision, void *arg)
{
	struct comparison *comparison = arg;

	comparison->decision = decision;
	comparison->is_judged = true;
	compare(comparison);
}

static struct comparison *
begin(struct parallel *parallel, struct slice text, const char **err)
{
	struct comparison *comparison = x_new(struct comparison);
	struct decision *decision = engine_rehearse(parallel->sources->engine,
		text, on_judged, comparison, err);

	if (decision == NULL) {
		x_free(comparison);
		return NULL;
	}
	comparison->parallel = parallel;
	comparison->decision = decision;
	LIST_INSERT_HEAD(&parallel->comparisons, comparison, entry);
	parallel->n_comparisons++;
	return comparison;
}

/* --- the other daemon --------------------------------------------------- */

static void send_request(struct parallel_link *link);

static void
drop_connection(struct parallel_link *link)
{
	stream_free(link->stream);
	link->stream = NULL;
	link->is_used = false;
}

/* The request under way is answered; takes the text over. */
static void
answer(struct parallel_link *link, char *reply)
{
	struct comparison *comparison = link->comparison;

	link->comparison = NULL;
	comparison->old_reply = reply;
	comparison_note(link->parallel->sources, &comparison->decision->req,
		slice_of(reply));
	/* The owner may free the link, or ask again. */
	link->done(link->arg, slice_of(reply));
	compare(comparison);
}

static void
fail(struct parallel_link *link, const char *why)
{
	struct parallel *parallel = link->parallel;

	if (link->stream != NULL)
		drop_connection(link);
	metric_add(METRIC_PARALLEL_UNANSWERED, 1);
	if (!parallel->is_away)
		log_error("the daemon at %s ([policyd] parallel) does not "
			  "answer, mail is deferred: %s",
			link->address.text, why);
	parallel->is_away = true;
	comparison_free(link->comparison);
	link->comparison = NULL;
	link->done(link->arg, SLICE(UNAVAILABLE));
}

static bool
is_sane(struct slice reply)
{
	if (reply.len == 0 || reply.len > REPLY_BYTES_MAX)
		return false;
	for (size_t i = 0; i < reply.len; i++)
		if ((unsigned char)reply.ptr[i] < ' ' || reply.ptr[i] == 0x7f)
			return false;
	return true;
}

/*
 * A connection on which more may come is not used again, or that would be
 * taken for the next answer. iRedAPD says "DUNNO" with a text only when it
 * will answer a second time.
 */
static bool
may_be_used_again(struct slice reply, struct slice rest)
{
	return rest.len == 0 && !slice_starts(reply, SLICE("DUNNO "));
}

/* The answer in the input, when it is whole; rest is what follows. */
static bool
find_answer(struct slice input, struct slice *reply, struct slice *rest)
{
	for (size_t i = 0; i + 1 < input.len; i++) {
		if (input.ptr[i] != '\n' || input.ptr[i + 1] != '\n')
			continue;
		*rest = slice_from(input, i + 2);
		input.len = i + 1;
		return slice_split(&input, '\n', reply);
	}
	return false;
}

static void
take_answer(struct parallel_link *link, struct slice reply, struct slice rest)
{
	struct parallel *parallel = link->parallel;
	const struct slice input = stream_input(link->stream);
	const bool is_kept = may_be_used_again(reply, rest);
	char *copy = slice_strdup(reply);

	if (parallel->is_away)
		log_info("the daemon at %s ([policyd] parallel) answers again",
			link->address.text);
	parallel->is_away = false;
	link->is_used = true;
	if (is_kept)
		stream_use(link->stream, input.len);
	else
		drop_connection(link);
	answer(link, copy);
}

static void
on_input(void *arg)
{
	struct parallel_link *link = arg;
	const struct slice prefix = SLICE("action=");
	struct slice reply, rest;

	if (link->comparison == NULL) {
		drop_connection(link);
		return;
	}
	if (!find_answer(stream_input(link->stream), &reply, &rest)) {
		if (stream_is_full(link->stream))
			fail(link, "its answer is too long");
		return;
	}
	if (!slice_starts(reply, prefix) ||
		!is_sane(slice_from(reply, prefix.len)))
		fail(link, "what it says is no answer of a policy server");
	else
		take_answer(link, slice_from(reply, prefix.len), rest);
}

static void
on_end(void *arg, enum stream_end why)
{
	struct parallel_link *link = arg;
	const bool was_used = link->is_used;
	const bool has_begun = stream_input(link->stream).len > 0;

	drop_connection(link);
	if (link->comparison == NULL)
		return;
	if (why == STREAM_IDLE)
		fail(link, "it says nothing");
	else if (was_used && !has_begun)
		send_request(link); /* closed while nobody asked */
	else
		fail(link, "it closes the connection");
}

/* Over the connection there is, or a new one. */
static void
send_request(struct parallel_link *link)
{
	static const struct stream_config config = {
		.input_max = ANSWER_MAX,
		.output_max = OUTPUT_MAX,
		.idle_ms = SILENCE_MS,
		.on_input = on_input,
		.on_end = on_end,
	};
	struct sources *sources = link->parallel->sources;
	int fd;

	if (link->stream == NULL) {
		fd = sock_connect_begin(&link->address);
		if (fd < 0) {
			fail(link, strerror(errno));
			return;
		}
		link->stream = stream_new(sources->loop, fd, &config, link);
	}
	stream_write(link->stream, str_slice(&link->request));
}

/* A reload may have named another daemon. */
static void
follow_config(struct parallel_link *link)
{
	const struct sock_address *address =
		&link->parallel->sources->config->policyd.parallel;

	if (link->stream != NULL &&
		strcmp(link->address.text, address->text) != 0)
		drop_connection(link);
	link->address = *address;
}

int
parallel_ask(struct parallel_link *link, struct slice text,
	void (*done)(void *arg, struct slice reply), void *arg,
	const char **err)
{
	assert(link->comparison == NULL);
	follow_config(link);
	str_reset(&link->request);
	str_append_slice(&link->request, text);
	str_append_char(&link->request, '\n');
	link->comparison = begin(link->parallel, text, err);
	if (link->comparison == NULL)
		return -1;
	link->done = done;
	link->arg = arg;
	send_request(link);
	return 0;
}

/* --- life --------------------------------------------------------------- */

struct parallel_link *
parallel_link_new(struct parallel *parallel)
{
	struct parallel_link *link = x_new(struct parallel_link);

	link->parallel = parallel;
	str_init(&link->request, OUTPUT_MAX);
	return link;
}

void
parallel_link_free(struct parallel_link *link)
{
	if (link == NULL)
		return;
	if (link->comparison != NULL)
		comparison_free(link->comparison);
	stream_free(link->stream);
	str_free(&link->request);
	x_free(link);
}

struct parallel *
parallel_new(struct sources *sources)
{
	struct parallel *parallel = x_new(struct parallel);

	parallel->sources = sources;
	LIST_INIT(&parallel->comparisons);
	return parallel;
}

void
parallel_free(struct parallel *parallel)
{
	if (parallel == NULL)
		return;
	while (!LIST_EMPTY(&parallel->comparisons))
		comparison_free(LIST_FIRST(&parallel->comparisons));
	x_free(parallel);
}
