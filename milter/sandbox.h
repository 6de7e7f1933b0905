#ifndef MILTER_SANDBOX_H
#define MILTER_SANDBOX_H

/*
 * What the milter process may still ask of the kernel once it serves: to talk
 * over sockets, to read files, to have memory and threads. It writes no file,
 * starts no program, makes no code, and looks at no other process. Whatever is
 * not allowed fails with EPERM: a library that tries something harmless goes
 * on without it.
 */

/*
 * For good, for all threads that are still to come; before the first one is
 * started. no_new_privs has been set. 0, or -1 and a sentence's end in err.
 */
int sandbox_enter(const char **err);

#endif
