#ifndef POLICYD_SCHEMA_H
#define POLICYD_SCHEMA_H

/*
 * Which numbered files of conf/sql the databases need (migrations.def), and
 * whether this daemon's databases have them. The daemon only looks, once the
 * database policyd answers, and again while something is missing; what it
 * finds is said once in the log and by "policyctl status". Making it right is
 * what "policyctl db migrate" is for.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct schema;
struct sources;

struct migration {
	const char *database; /* folder of conf/sql */
	unsigned number;      /* from 1 for each database */
	const char *name;     /* "wide_counters" */
};

/* Every migration, in the order in which they are applied. */
extern const struct migration migrations[];
extern const size_t n_migrations;
/* The position in migrations, or -1. */
int migration_find(struct slice database, unsigned number);

/* JSON_TABLE came with it. */
#define SCHEMA_SERVER_MIN "10.6"
/* Whether a server of this version, "10.11.6-MariaDB-0+deb12u1", will do. */
bool schema_server_is_supported(struct slice version);

/*
 * The tables of the database named by the parameter that are compared with
 * texts of requests and have another collation than those texts will have,
 * which is what most columns of the database have (common/io/db.c): columns
 * "ssss", table, its collation, the usual one, and that one's character set.
 * None where the usual character set would not hold what a table holds.
 */
struct db_statement;
extern const struct db_statement schema_collations;

struct schema *schema_new(struct sources *sources);
void schema_free(struct schema *schema); /* accepts NULL */

/*
 * True when everything is there. Otherwise *missing names what is not, such
 * as "iredapd/003_reservation, policyd/004_node", or is "" while the
 * database did not tell yet.
 */
bool schema_is_complete(const struct schema *schema, const char **missing);

#endif
