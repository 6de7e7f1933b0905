#include "policyd/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "policyd/config.h"

static int
find_group(const char *name, gid_t *out, char *err, size_t err_size)
{
	const struct group *group = getgrnam(name);

	if (group == NULL) {
		(void)snprintf(err, err_size,
			"there is no group \"%s\": create it, or name another "
			"in the section [policyd]",
			name);
		return -1;
	}
	*out = group->gr_gid;
	return 0;
}

static int
find_user(const char *name, const char *setting, struct privileges *out,
	char *err, size_t err_size)
{
	const struct passwd *user = getpwnam(name);

	if (user == NULL) {
		(void)snprintf(err, err_size,
			"there is no user \"%s\": create it (useradd --system "
			"%s), or set %s",
			name, name, setting);
		return -1;
	}
	if (user->pw_uid == 0) {
		(void)snprintf(err, err_size,
			"%s must not be root: choose a user of its own",
			setting);
		return -1;
	}
	(void)snprintf(out->user, sizeof(out->user), "%s", user->pw_name);
	out->uid = user->pw_uid;
	out->gid = user->pw_gid;
	return 0;
}

static void
begin(struct privileges *out)
{
	memset(out, 0, sizeof(*out));
	out->is_needed = geteuid() == 0;
	out->uid = geteuid();
	out->gid = getegid();
}

int
privileges_find(const struct config *config, struct privileges *out, char *err,
	size_t err_size)
{
	begin(out);
	if (out->is_needed && find_user(config->policyd.user, "policyd.user",
				      out, err, err_size) < 0)
		return -1;
	if (out->is_needed && config->policyd.group[0] != '\0' &&
		find_group(config->policyd.group, &out->gid, err, err_size) < 0)
		return -1;
	out->control_gid = out->gid;
	if (config->policyd.control_group[0] == '\0')
		return 0;
	return find_group(config->policyd.control_group, &out->control_gid, err,
		err_size);
}

int
privileges_find_milter(const struct config *config, struct privileges *out,
	char *err, size_t err_size)
{
	if (config->milter.user[0] == '\0')
		return privileges_find(config, out, err, err_size);
	begin(out);
	if (!out->is_needed)
		return 0;
	return find_user(config->milter.user, "milter.user", out, err,
		err_size);
}

int
privileges_drop(const struct privileges *privileges, char *err, size_t err_size)
{
	const char *what = "prctl";

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		goto failed;
	if (!privileges->is_needed)
		return 0;
	what = "initgroups";
	if (initgroups(privileges->user, privileges->gid) < 0)
		goto failed;
	what = "setresgid";
	if (setresgid(privileges->gid, privileges->gid, privileges->gid) < 0)
		goto failed;
	what = "setresuid";
	if (setresuid(privileges->uid, privileges->uid, privileges->uid) < 0)
		goto failed;
	if (setuid(0) == 0) {
		(void)snprintf(err, err_size,
			"root could be had back after it was given up");
		return -1;
	}
	return 0;
failed:
	(void)snprintf(err, err_size, "cannot become user \"%s\": %s: %s",
		privileges->user, what, strerror(errno));
	return -1;
}

void
privileges_forbid_dumps(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	/* The leak checker traces its own process, which this would forbid. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(POLICYD_SANITIZED)
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
