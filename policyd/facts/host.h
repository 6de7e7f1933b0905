#ifndef POLICYD_FACTS_HOST_H
#define POLICYD_FACTS_HOST_H

/*
 * What this machine is called. Known at once: no database and no DNS is
 * asked. Without the setting reject_to_hostname.hostname these are the name
 * that the system has, and the full name that /etc/hosts gives it, as they
 * were when the process started.
 */

#include "policyd/facts.h"

struct host {
	const struct slice *names; /* lower case, without a dot at the end */
	size_t n;
};

extern const struct fact_kind fact_kind_host;
bool fact_host(struct facts *facts, const struct host **out);

struct host_names;
struct host_names *host_names_new(void);
void host_names_free(struct host_names *names);
/* The full name if it is known, else the short one; "" if there is none. */
struct slice host_names_full(const struct host_names *names);
/* Whether a name in lower case is one of them. */
bool host_names_have(const struct host_names *names, struct slice name);

#endif
