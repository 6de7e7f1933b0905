#ifndef POLICYD_PRIVILEGES_H
#define POLICYD_PRIVILEGES_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Giving up root. The user and groups are looked up before the fork, so that
 * a missing account is told at the start.
 */

struct privileges {
	char user[64];
	uid_t uid;
	gid_t gid;         /* of the process, and of the unix sockets */
	gid_t control_gid; /* of the control sockets */
	int is_needed;     /* started as root */
};

struct config;

/* Of a policy process. 0, or -1 and a sentence in err. */
int privileges_find(const struct config *config, struct privileges *out,
	char *err, size_t err_size);
/* Of the milter process, which may have a user of its own. */
int privileges_find_milter(const struct config *config, struct privileges *out,
	char *err, size_t err_size);
/* For good; with no new ones to be had by exec. 0, or -1 and a sentence. */
int privileges_drop(const struct privileges *privileges, char *err,
	size_t err_size);
/* No core dumps: they would hold passwords. */
void privileges_forbid_dumps(void);

#endif
