#ifndef POLICYD_CONTROL_H
#define POLICYD_CONTROL_H

/*
 * The control socket: policyctl's commands. A client sends one JSON object
 * on one line,
 *	{"command": ["greylist", "list"], "arguments": {...}}
 * and gets JSON objects, one on each line; the last one has "exit", which
 * becomes policyctl's exit status. Who may connect is decided by the mode and
 * group of the socket. The commands are the table in ctl/commands.def,
 * shared with policyctl.
 */

struct control;
struct sources;

/* fd is a listening descriptor, kept but not closed. */
struct control *control_new(struct sources *sources, int fd);
void control_free(struct control *control);

#endif
