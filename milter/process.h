#ifndef MILTER_PROCESS_H
#define MILTER_PROCESS_H

/*
 * The milter process: libmilter's threads (milter/front.h) beside one event
 * loop that finds out what they ask for (milter/facts.h). The loop runs on the
 * main thread, which alone logs, hears signals and talks to the supervisor.
 */

#include "milter/facts.h"

struct config;

struct milter_start {
	struct config *config; /* one reference is taken over */
	int listening_fd;
	int channel_fd; /* to the supervisor */
	struct milter_servers servers;
};

/*
 * Serves until SIGTERM and drained, or the supervisor is gone; then it ends
 * the process itself.
 */
_Noreturn void milter_run(const struct milter_start *start);

#endif
