#ifndef POLICYD_CTL_IREDAPD_PLAN_H
#define POLICYD_CTL_IREDAPD_PLAN_H

/*
 * What becomes of iRedAPD's settings: for each a row that tells its fate, and
 * together a policyd.conf that has no mistakes. Passwords are no part of that
 * file: they are handed out as files of their own. iredapd_settings.c holds
 * the table of settings; iredapd_plan.c keeps what it says and puts it
 * together. Neither reads or writes a file.
 */

#include "common/base/str.h"
#include "policyd/ctl/python_literals.h"

struct arena;

/* Of several that apply to a setting the last counts. */
enum setting_fate {
	SETTING_CARRIED, /* means the same here */
	SETTING_CHANGED, /* has a counterpart that differs: reason says how */
	SETTING_DROPPED, /* is not needed, or not had: reason says which */
	SETTING_BY_HAND, /* could not be understood or is refused here */
};

struct setting_row {
	const char *name, *value; /* as in Python; a secret is not shown */
	const char *path;         /* of the file it is in; NULL for none */
	unsigned line;
	const char *ours; /* "section.key = value", "" for none */
	enum setting_fate fate;
	const char *reason;
};

/* A file beside the configuration that holds a secret. */
struct setting_secret {
	const char *path;
	struct slice content;
};

/* A file of settings; in order, a later one has the last word. */
struct iredapd_source {
	const char *path;
	struct python_file file;
};

#define IREDAPD_SECRETS_MAX 8

struct iredapd_plan {
	struct setting_row *rows;
	size_t n_rows;
	struct setting_secret secrets[IREDAPD_SECRETS_MAX];
	size_t n_secrets;
	struct slice config; /* the text of policyd.conf */
};

/*
 * directory is an absolute path: where the configuration will be, and with it
 * the secrets. All belongs to the arena.
 */
void iredapd_plan_make(struct arena *arena,
	const struct iredapd_source *sources, size_t n_sources,
	const char *directory, struct iredapd_plan *out);
const char *setting_fate_name(enum setting_fate fate);

/*
 * The table for documentation and tests: iRedAPD's name of the i-th setting,
 * and the section and key that it is carried to ("" when to none, or to
 * several). NULL at the end.
 */
const char *iredapd_setting_name(size_t i, const char **section,
	const char **key);

#endif
