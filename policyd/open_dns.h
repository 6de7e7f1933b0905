#ifndef POLICYD_OPEN_DNS_H
#define POLICYD_OPEN_DNS_H

/* The DNS of a process, as [dns] of the configuration says. */

struct config;
struct dns;
struct loop;

/* To be freed with dns_free() before the loop. Never NULL. */
struct dns *open_dns(struct loop *loop, const struct config *config);

#endif
