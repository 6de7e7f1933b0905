#ifndef MILTER_FRONT_H
#define MILTER_FRONT_H

/*
 * libmilter, which only front.c includes: its threads take sessions from the
 * listening socket and translate what they are told into calls of
 * milter/session.h, and the judgement into what Postfix is told. Once for a
 * process; there is no end to it but the end of the process: libmilter would
 * leave its sessions without a word, and report races of its own.
 */

#include <stdbool.h>
#include <stddef.h>

struct milter_facts;

/*
 * Starts serving on a thread of its own. failed is called from another thread
 * when libmilter gives up by itself. 0, or -1 and a sentence in err.
 */
int front_start(struct milter_facts *facts, int listening_fd,
	void (*failed)(void *arg), void *arg, const char **err);

/*
 * Takes no more sessions, from now on; those that there are go on. The
 * socket stays open for another process. 0, or -1 with errno set.
 */
int front_close(int listening_fd);

#endif
