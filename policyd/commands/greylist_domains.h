#ifndef POLICYD_COMMANDS_GREYLIST_DOMAINS_H
#define POLICYD_COMMANDS_GREYLIST_DOMAINS_H

/*
 * "greylist whitelist-domain": domains whose mail servers are never
 * greylisted, iredapd.greylisting_whitelist_domains. Which servers these are
 * is looked up by domain_servers.h and kept in
 * greylisting_whitelist_domain_spf.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct command;

/* DOMAIN, in lower case. False when it is none: the command was ended. */
bool greylist_domain_argument(struct command *command, struct slice *domain);

#endif
