#ifndef POLICYD_DKIM_WATCH_H
#define POLICYD_DKIM_WATCH_H

/*
 * Looks in the background whether the DNS shows the keys that were made or
 * sign, each every [dkim] check_interval: process 0 of one node, which holds a
 * row of policyd.lease. What it finds is noted in the table; a key that is
 * certain not to be there does not sign any more, until it is seen again.
 */

#include <stdbool.h>

struct dkim_watch;
struct sources;

struct dkim_watch *dkim_watch_new(struct sources *sources);
/* Begins nothing more, and gives the lease back. */
void dkim_watch_stop(struct dkim_watch *watch);
/* While the lease is being given back. */
bool dkim_watch_is_busy(const struct dkim_watch *watch);
void dkim_watch_free(struct dkim_watch *watch); /* accepts NULL */

#endif
