#ifndef POLICYD_SUPERVISOR_H
#define POLICYD_SUPERVISOR_H

/*
 * The supervisor: binds every socket, starts the processes, starts another
 * when one dies (with a back-off), reads the configuration again on SIGHUP
 * or when a process asks for it, and ends them all on SIGTERM. It is the
 * only part that may keep root, and talks to nobody but its children.
 *
 * The listening sockets stay open in the supervisor, so no connection is
 * refused while a process is away.
 */

#include <stdbool.h>

struct config;

/*
 * Runs until it is told to stop. Takes over one reference of config.
 * Returns the exit status of the program. What goes wrong before it serves is
 * told on stderr. In the foreground the log goes there all the time, where a
 * container or a service manager collects it; else it goes to the background
 * once the sockets are bound.
 */
int supervisor_run(struct config *config, bool is_foreground);

#endif
