#ifndef POLICYD_PARALLEL_H
#define POLICYD_PARALLEL_H

/*
 * Beside another policy daemon, before taking its place ([policyd]
 * parallel): every request is handed on to it, its answer is the answer, and
 * what policyd would have answered is compared with it. policyd changes
 * nothing meanwhile, it rehearses: both work on the same tables, and a
 * message must not be counted twice.
 *
 * A link serves one connection from Postfix and has a connection of its own
 * to the other daemon, as Postfix would have.
 */

#include "common/base/str.h"

struct parallel;
struct parallel_link;
struct sources;

struct parallel *parallel_new(struct sources *sources);
/* Gives up comparisons that are still waiting; every link must be gone. */
void parallel_free(struct parallel *parallel);

struct parallel_link *parallel_link_new(struct parallel *parallel);
/* Gives up the request under way. */
void parallel_link_free(struct parallel_link *link);
/*
 * Hands the request (without the empty line at its end) on. done is called
 * once, from within this call or later, with what follows "action=": what
 * the other daemon has said, or a deferral when it says nothing. One request
 * at a time. Returns -1 and *err when it is no policy request (done is not
 * called).
 */
int parallel_ask(struct parallel_link *link, struct slice text,
	void (*done)(void *arg, struct slice reply), void *arg,
	const char **err);

#endif
