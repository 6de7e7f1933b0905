#ifndef MILTER_POLICY_CLIENT_H
#define MILTER_POLICY_CLIENT_H

/*
 * Questions of the milter process to a policy process, over one of the two
 * private sockets that the supervisor has made for them (policyd/listening.h).
 * A question is lines of name=value, the answer too, each ended by an empty
 * line, as in the policy protocol.
 *
 * One connection carries one question at a time. Those that are idle are kept
 * and used again; no more than POLICY_CLIENT_LINKS_MAX are open, and what
 * exceeds them waits in the order in which it was asked. A policy process may
 * end at any time: a question whose connection ends before the answer is asked
 * once more, on a new connection, while there is time.
 *
 * All of it belongs to the thread of the loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct loop;
struct policy_client;
struct policy_question;
struct sock_address;

#define POLICY_CLIENT_LINKS_MAX  64u
#define POLICY_CLIENT_ANSWER_MAX ((size_t)256 << 10)

/* server is copied. Nothing is connected before the first question. */
struct policy_client *policy_client_new(struct loop *loop,
	const struct sock_address *server);
/* Drops what is under way without a word. Accepts NULL; not from a callback. */
void policy_client_free(struct policy_client *client);

/*
 * Called once, from the loop, never from within policy_client_ask(). answer is
 * the lines before the empty one, valid during the call; "" if there is none.
 * The question is gone then.
 */
typedef void policy_client_done_fn(void *arg, bool is_answered,
	struct slice answer);

/* text: the lines, without the empty one that ends them; it is copied. */
struct policy_question *policy_client_ask(struct policy_client *client,
	struct slice text, uint64_t timeout_ms, policy_client_done_fn *done,
	void *arg);
/* Nobody waits any more: done is not called. Accepts NULL. */
void policy_question_cancel(struct policy_question *question);

#endif
