#ifndef POLICYD_CTL_POSTCONF_H
#define POLICYD_CTL_POSTCONF_H

/*
 * The configuration of Postfix as postconf(1) prints it, with every $name
 * replaced: all parameters of main.cf, also those that have their default,
 * the services of master.cf, and what a service sets for itself with -o.
 * Everything lives in the arena it was read into.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

#define POSTCONF_OUTPUT_MAX   ((size_t)1 << 20)
#define POSTCONF_SERVICES_MAX 256u
#define POSTCONF_ROWS_MAX     8192u

struct postconf_parameter {
	struct slice name, value;
};

struct postconf_service {
	struct slice name; /* "smtp", "127.0.0.1:10025" */
	struct slice type; /* "inet" */
	struct slice program;
	bool is_chrooted;
	struct slice process_limit; /* "-" for default_process_limit */
};

/* What one service sets: "smtp/inet/name = value". */
struct postconf_override {
	struct slice service; /* "smtp/inet" */
	struct slice name, value;
};

struct postconf {
	struct postconf_parameter *parameters;
	size_t n_parameters;
	struct postconf_service *services;
	size_t n_services;
	struct postconf_override *overrides;
	size_t n_overrides;
};

/* The output of "postconf -x", "postconf -M" and "postconf -Px". */
void postconf_parse_parameters(struct arena *arena, struct slice text,
	struct postconf *out);
void postconf_parse_services(struct arena *arena, struct slice text,
	struct postconf *out);
void postconf_parse_overrides(struct arena *arena, struct slice text,
	struct postconf *out);

/*
 * Runs postconf on the directory (NULL: its own default) and reads what it
 * prints. 0, or -1 and a sentence in err.
 */
int postconf_read(struct arena *arena, const char *dir, struct postconf *out,
	char *err, size_t err_size);

/* The value that main.cf gives; false when there is no such parameter. */
bool postconf_main(const struct postconf *postconf, const char *name,
	struct slice *out);
/* The value that the service sets for itself; false when it sets none. */
bool postconf_override(const struct postconf *postconf,
	const struct postconf_service *service, const char *name,
	struct slice *out);
/* The value in force for a service; "" when there is none. */
struct slice postconf_value(const struct postconf *postconf,
	const struct postconf_service *service, const char *name);
/* "yes" in any case. */
bool postconf_is_yes(const struct postconf *postconf,
	const struct postconf_service *service, const char *name);

#endif
