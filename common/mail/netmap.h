#ifndef COMMON_MAIL_NETMAP_H
#define COMMON_MAIL_NETMAP_H

/*
 * A table from networks to a pointer, asked by address: longest prefix
 * first. 100,000 networks cost a question what ten cost: one hash probe for
 * each prefix length in use.
 */

#include "common/mail/ip.h"

struct netmap;

struct netmap *netmap_new(void);
void netmap_free(struct netmap *map, void (*free_value)(void *));
/* Puts value (not NULL); returns what was there for the same network. */
void *netmap_put(struct netmap *map, const struct network *network,
	void *value);
/* The value of the longest prefix that contains ip, or NULL. */
void *netmap_get(const struct netmap *map, const struct ip *ip);
/* Exactly this network, or NULL. */
void *netmap_get_exact(const struct netmap *map, const struct network *network);
/*
 * Walks all networks that contain ip, longest first: start with *at = 0;
 * NULL at the end.
 */
void *netmap_next(const struct netmap *map, const struct ip *ip, size_t *at);
size_t netmap_count(const struct netmap *map);

#endif
