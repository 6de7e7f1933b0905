#include "milter/policy_client.h"

#include <assert.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/sock.h"
#include "common/io/stream.h"

/* A request has 1 MiB at most; the bytes that the peer does not take yet. */
#define OUTPUT_MAX ((size_t)2 << 20)
/* The first time, and once more. */
#define TRIES_MAX 2u
/* Before another attempt to connect: nobody listens, or too many wait there. */
#define CONNECT_PAUSE_MS 50

struct policy_question {
	TAILQ_ENTRY(policy_question) entry; /* of the waiting, unless link */
	struct policy_client *client;
	struct link *link; /* on which it has been asked; NULL: it waits */
	unsigned n_tries;
	char *text; /* its empty line included */
	size_t len;
	struct loop_timer *timer; /* until its time is over */
	policy_client_done_fn *done;
	void *arg;
};

struct link {
	LIST_ENTRY(link) entry; /* of the idle, or of the busy */
	struct policy_client *client;
	struct stream *stream;
	struct policy_question *question; /* NULL: idle */
};

TAILQ_HEAD(questions, policy_question);
LIST_HEAD(links, link);

struct policy_client {
	struct loop *loop;
	struct sock_address server;
	struct questions waiting;
	struct links idle, busy;
	size_t n_links;
	struct loop_turn *turn; /* serves those that wait */
	struct loop_timer *pause;
	bool is_pausing;
};

static void on_input(void *arg);
static void on_end(void *arg, enum stream_end why);

/* Time is kept by the question; the server closes what is idle too long. */
static const struct stream_config stream_config = {
	.input_max = POLICY_CLIENT_ANSWER_MAX,
	.output_max = OUTPUT_MAX,
	.on_input = on_input,
	.on_end = on_end,
};

/* --- connections -------------------------------------------------------- */

static void
link_free(struct link *link)
{
	struct policy_client *client = link->client;

	assert(link->question == NULL);
	stream_free(link->stream);
	LIST_REMOVE(link, entry);
	client->n_links--;
	x_free(link);
	if (!TAILQ_EMPTY(&client->waiting))
		loop_turn_ask(client->turn); /* there is room for another */
}

/* In the list of the idle; NULL with errno set if it cannot be had now. */
static struct link *
link_new(struct policy_client *client)
{
	const int fd = sock_connect_begin(&client->server);
	struct link *link;

	if (fd < 0)
		return NULL;
	link = x_new(struct link);
	link->client = client;
	link->stream = stream_new(client->loop, fd, &stream_config, link);
	LIST_INSERT_HEAD(&client->idle, link, entry);
	client->n_links++;
	return link;
}

static void
set_idle(struct link *link)
{
	LIST_REMOVE(link, entry);
	LIST_INSERT_HEAD(&link->client->idle, link, entry);
	if (!TAILQ_EMPTY(&link->client->waiting))
		loop_turn_ask(link->client->turn);
}

/* --- questions ---------------------------------------------------------- */

/* Takes it off its connection, which is to be closed or has answered. */
static struct link *
take_off(struct policy_question *question)
{
	struct link *link = question->link;

	link->question = NULL;
	question->link = NULL;
	return link;
}

static void
question_free(struct policy_question *question)
{
	assert(question->link == NULL);
	loop_timer_free(question->timer);
	x_free(question->text);
	x_free(question);
}

/*
 * An answer may still come on its connection, and would be taken for that of
 * the next question: the connection goes, too.
 */
static void
withdraw(struct policy_question *question)
{
	if (question->link != NULL)
		link_free(take_off(question));
	else
		TAILQ_REMOVE(&question->client->waiting, question, entry);
}

void
policy_question_cancel(struct policy_question *question)
{
	if (question == NULL)
		return;
	withdraw(question);
	question_free(question);
}

/* It is neither waiting nor asked any more. */
static void
finish(struct policy_question *question, bool is_answered, struct slice answer)
{
	policy_client_done_fn *done = question->done;
	void *arg = question->arg;

	question_free(question);
	done(arg, is_answered, answer);
}

static void
on_time_over(void *arg)
{
	struct policy_question *question = arg;

	withdraw(question);
	finish(question, false, SLICE(""));
}

static void
put(struct link *link, struct policy_question *question)
{
	TAILQ_REMOVE(&link->client->waiting, question, entry);
	LIST_REMOVE(link, entry);
	LIST_INSERT_HEAD(&link->client->busy, link, entry);
	link->question = question;
	question->link = link;
	question->n_tries++;
	stream_write(link->stream,
		(struct slice){ question->text, question->len });
}

/*
 * The second time on a new connection: what ended one of the idle ones has
 * ended the others, too.
 */
static struct link *
find_link(struct policy_client *client, const struct policy_question *question)
{
	struct link *idle = LIST_FIRST(&client->idle);

	if (idle != NULL && question->n_tries == 0)
		return idle;
	if (idle != NULL && client->n_links == POLICY_CLIENT_LINKS_MAX)
		link_free(idle);
	return client->n_links < POLICY_CLIENT_LINKS_MAX ? link_new(client)
							 : NULL;
}

static void
serve(void *arg)
{
	struct policy_client *client = arg;
	struct policy_question *question;

	while ((question = TAILQ_FIRST(&client->waiting)) != NULL &&
		!client->is_pausing) {
		struct link *link = find_link(client, question);

		if (link != NULL) {
			put(link, question);
			continue;
		}
		if (client->n_links == POLICY_CLIENT_LINKS_MAX)
			return; /* until one of them is idle, or ends */
		client->is_pausing = true;
		loop_timer_set(client->pause, CONNECT_PAUSE_MS);
	}
}

static void
on_pause_over(void *arg)
{
	struct policy_client *client = arg;

	client->is_pausing = false;
	serve(client);
}

struct policy_question *
policy_client_ask(struct policy_client *client, struct slice text,
	uint64_t timeout_ms, policy_client_done_fn *done, void *arg)
{
	struct policy_question *question = x_new(struct policy_question);
	struct str lines;

	str_init(&lines, OUTPUT_MAX);
	str_append_slice(&lines, text);
	if (text.len > 0 && text.ptr[text.len - 1] != '\n')
		str_append_char(&lines, '\n');
	str_append_char(&lines, '\n');
	assert(!lines.is_cut);
	question->client = client;
	question->len = str_slice(&lines).len;
	question->text = slice_strdup(str_slice(&lines));
	str_free(&lines);
	question->done = done;
	question->arg = arg;
	question->timer = loop_timer_new(client->loop, on_time_over, question);
	loop_timer_set(question->timer, timeout_ms);
	TAILQ_INSERT_TAIL(&client->waiting, question, entry);
	loop_turn_ask(client->turn);
	return question;
}

/* --- what comes --------------------------------------------------------- */

/* The length of the lines before the empty one; -1 when it is not there. */
static ptrdiff_t
find_end(struct slice input)
{
	for (size_t i = 0; i < input.len; i++)
		if (input.ptr[i] == '\n' &&
			(i == 0 || input.ptr[i - 1] == '\n'))
			return (ptrdiff_t)i;
	return -1;
}

static void
on_end(void *arg, enum stream_end why)
{
	struct link *link = arg;
	struct policy_client *client = link->client;
	struct policy_question *question = link->question;

	(void)why;
	if (question != NULL)
		(void)take_off(question);
	link_free(link);
	if (question == NULL)
		return;
	if (question->n_tries == TRIES_MAX) {
		finish(question, false, SLICE(""));
		return;
	}
	TAILQ_INSERT_HEAD(&client->waiting, question, entry);
	loop_turn_ask(client->turn);
}

static void
on_answer(struct link *link, struct slice answer)
{
	struct policy_question *question = link->question;

	(void)take_off(question);
	finish(question, true, answer);
	stream_use(link->stream, answer.len + 1);
	if (stream_input(link->stream).len > 0)
		link_free(link); /* it says more than it was asked */
	else
		set_idle(link);
}

static void
on_input(void *arg)
{
	struct link *link = arg;
	const struct slice input = stream_input(link->stream);
	const ptrdiff_t len = find_end(input);

	if (link->question == NULL)
		link_free(link); /* it speaks without being asked */
	else if (len >= 0)
		on_answer(link, slice_part(input, 0, (size_t)len));
	else if (stream_is_full(link->stream))
		on_end(link, STREAM_BROKEN);
}

/* --- the client --------------------------------------------------------- */

struct policy_client *
policy_client_new(struct loop *loop, const struct sock_address *server)
{
	struct policy_client *client = x_new(struct policy_client);

	client->loop = loop;
	client->server = *server;
	TAILQ_INIT(&client->waiting);
	LIST_INIT(&client->idle);
	LIST_INIT(&client->busy);
	client->turn = loop_turn_new(loop, serve, client);
	client->pause = loop_timer_new(loop, on_pause_over, client);
	return client;
}

void
policy_client_free(struct policy_client *client)
{
	if (client == NULL)
		return;
	while (!LIST_EMPTY(&client->busy))
		policy_question_cancel(LIST_FIRST(&client->busy)->question);
	while (!TAILQ_EMPTY(&client->waiting))
		policy_question_cancel(TAILQ_FIRST(&client->waiting));
	while (!LIST_EMPTY(&client->idle))
		link_free(LIST_FIRST(&client->idle));
	loop_timer_free(client->pause);
	loop_turn_free(client->turn);
	x_free(client);
}
