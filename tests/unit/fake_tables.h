#ifndef TESTS_UNIT_FAKE_TABLES_H
#define TESTS_UNIT_FAKE_TABLES_H

/*
 * Tables whose rows a test writes down, in place of tables.c, and a request
 * to ask facts for. A table that was not put is not there: facts that need it
 * stay pending.
 */

#include "policyd/facts.h"
#include "policyd/facts/tables.h"
#include "policyd/request.h"

struct fake_world {
	struct config *config;
	struct arena *arena;
	struct request req;
	struct facts facts;
};

/* Begins with no tables. settings: of policyd.conf. */
void fake_world_begin(struct fake_world *world, const char *settings);
/* Rows as in fake_rows.h. */
void fake_world_put(struct fake_world *world, const struct table_kind *kind,
	const char *rows);
/* Puts every table that was not put, empty. */
void fake_world_put_all(struct fake_world *world);
/* A request with these attribute lines; the facts begin anew. */
void fake_world_ask(struct fake_world *world, const char *attributes);
void fake_world_end(struct fake_world *world);

/* What add() said of rows so far, each with a line end. */
const char *fake_problems(void);
/* For functions that take the tables themselves. */
struct tables *fake_tables(void);
/* The fact that waits for a table, or NULL. */
struct fact *fake_waiting(void);

#endif
