#ifndef POLICYD_CTL_IREDAPD_PLANNER_H
#define POLICYD_CTL_IREDAPD_PLANNER_H

/*
 * Between iredapd_settings.c, the table of settings, iredapd_carry.c and
 * iredapd_plugins.c, which know what they mean, and iredapd_plan.c, which
 * keeps the rows and the values; for nobody else.
 */

#include "policyd/ctl/iredapd_plan.h"

/* A value for policyd.conf. */
struct planned_value {
	const char *section, *key, *value;
	size_t row;          /* that asked for it */
	const char *refused; /* why policyd would not take it */
	bool is_list;
	/* In the text that was last made. */
	unsigned first_line, last_line;
};

/* What the files say of a name, taken together. */
struct found_setting {
	struct slice name;
	const char *path;
	unsigned line;
	struct python_value value;
	const char *by_hand; /* why it is not known */
	bool is_used;        /* the table has it */
};

struct planner {
	struct arena *arena;
	const char *directory;
	struct found_setting *found;
	size_t n_found;
	struct setting_row *rows;
	size_t n_rows, rows_size;
	struct planned_value *values;
	size_t n_values, values_size;
	struct iredapd_plan *plan;
	struct config *defaults; /* tells which settings there are */
};

/* What the files say of a name, or NULL. */
struct found_setting *planner_look_up(const struct planner *planner,
	const char *name);
/* As Python writes it; cut when it is long. */
const char *planner_show(const struct planner *planner,
	const struct python_value *value);
/* The value of a setting that is written and understood; or NULL. */
const struct python_value *planner_find(const struct planner *planner,
	const char *name);
/* Begins a row; what follows speaks of it. value NULL: not shown. */
void planner_row(struct planner *planner, const char *name, const char *value,
	const struct found_setting *found);
/* Gives the row a fate and a reason. */
void planner_note(struct planner *planner, enum setting_fate fate,
	const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Carries the row to a setting of policyd; one that is set stays. */
void planner_set(struct planner *planner, const char *section, const char *key,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for a list; what is no word is left out, and noted. */
void planner_set_list(struct planner *planner, const char *section,
	const char *key, const struct slice *items, size_t n);
/* Whether this version has the setting; "" is none and known. */
bool planner_knows(const struct planner *planner, const char *section,
	const char *key);
/* What it was set to, or NULL. */
const char *planner_value(const struct planner *planner, const char *section,
	const char *key);
/* Puts a secret into a file of its own and the setting to its path. */
void planner_secret(struct planner *planner, const char *section,
	const char *key, const char *file, struct slice content);

struct mapping;

/* Carries a value that was understood. */
typedef void carry_fn(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value);

/* A row of the table of settings. */
struct mapping {
	const char *name;
	const char *section, *key; /* "" when it is not one setting */
	carry_fn *carry;           /* NULL: it is dropped */
	const char *reason;
	/* What iRedAPD does when the file is silent and policyd otherwise. */
	const char *absent;
	bool is_secret;
};

/* What the plug-in senderscore asks, up to a score. */
#define PLANNER_SCORE_LIST(score) "score.senderscore.com=127.0.4.[0.." score "]"

/* iredapd_carry.c */
carry_fn carry_bool, carry_text, carry_number, carry_minutes, carry_days,
	carry_list, carry_listen, carry_backend, carry_syslog_server,
	carry_networks, carry_delimiters, carry_wildcards, carry_db_server,
	carry_db_tls, carry_secret, carry_sendmail, carry_mail_server,
	carry_mail_starttls, carry_mail_user, carry_mail_password,
	carry_seconds, carry_score, carry_srs_port, carry_srs_secrets,
	carry_srs_domain;
bool python_is_text(const struct python_value *value); /* and not empty */
/* Says that the value is not what was expected. */
void planner_expect(struct planner *planner, const char *what);
/* The texts of a list, or of a single text; others are noted. */
struct slice *planner_read_list(struct planner *planner,
	const struct python_value *value, size_t *n);
void planner_add_own_database(struct planner *planner);
void planner_add_spf(struct planner *planner);

/* iredapd_outbound.c */
carry_fn carry_outbound_switch, carry_outbound_whom, carry_outbound_what,
	carry_outbound_servers;

/* iredapd_plugins.c */
carry_fn carry_plugins, carry_priorities;

/* Runs the table over everything that was found. */
void iredapd_settings_map(struct planner *planner);

#endif
