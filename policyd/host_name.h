#ifndef POLICYD_HOST_NAME_H
#define POLICYD_HOST_NAME_H

/*
 * The name of this machine with its domain, in lower case, or without when
 * nobody knows it; to be freed with x_free(). It may ask DNS, and wait: for
 * the start of the daemon, not for a loop.
 */
char *host_name_find(void);

#endif
