#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

/*
 * One session of Postfix with the milter, and the message that is under way in
 * it. It takes what happened in the order in which it happened, asks the event
 * loop for what will be needed as soon as the question is known
 * (milter/facts.h), and waits for the answers at the end of the message only.
 * Everything it keeps has a bound, and what was asked is taken back when the
 * message or the session ends early.
 *
 * A session belongs to one thread at a time: libmilter runs its callbacks one
 * after the other, be it on different threads. It knows nothing of libmilter.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"
#include "common/mail/ip.h"
#include "milter/judge.h"

struct milter_facts;
struct session;

struct session *session_new(struct milter_facts *facts);
/* Accepts NULL. */
void session_free(struct session *session);

/* What is answered to a client that connects. */
enum session_welcome {
	SESSION_SERVE,
	SESSION_PASS_BY, /* it is not looked at, nor what it sends */
	SESSION_DEFER,   /* all that it wants */
};

struct session_client {
	struct ip address; /* IP_NONE when it has none */
	/* As in struct judge_input. */
	struct slice name, ptr;
};

enum session_welcome session_connect(struct session *session,
	const struct session_client *client);
void session_helo(struct session *session, struct slice name);

/* "" for none. */
struct session_login {
	struct slice name, mechanism;
};

/* Begins a message. sender without brackets. */
void session_mail(struct session *session, struct slice sender,
	const struct session_login *login);
/* Without brackets; those that Postfix has taken. */
void session_recipient(struct session *session, struct slice recipient);
/* value is all that stands behind the colon, its blank and folding included. */
void session_header(struct session *session, struct slice name,
	struct slice value);
void session_header_end(struct session *session);
/* The next bytes of the body. False: the rest of it need not be told. */
bool session_body(struct session *session, struct slice bytes);
/*
 * The end of the message: waits for what was asked, until the time of the
 * settings is over. out is valid until the next message or session_free().
 */
void session_end(struct session *session, struct slice queue_id,
	struct judgement *out);
/*
 * The i-th field that is to go, as its number among the fields of the name
 * AUTH_RESULTS_NAME, from 1. False at the end.
 */
bool session_forged(const struct session *session, size_t i, size_t *number);
/* The message is over, be it before its end. Any number of times. */
void session_abort(struct session *session);

#endif
