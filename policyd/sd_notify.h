#ifndef POLICYD_SD_NOTIFY_H
#define POLICYD_SD_NOTIFY_H

/*
 * Tells the service manager where we are (sd_notify(3) protocol): a datagram
 * to the socket named by NOTIFY_SOCKET, if there is one.
 */

/* state is e.g. "READY=1" or several lines. Does nothing without a socket. */
void sd_notify_send(const char *state);
/* RELOADING=1 with the time it wants beside it. */
void sd_notify_reloading(void);

#endif
