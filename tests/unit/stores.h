#ifndef TESTS_UNIT_STORES_H
#define TESTS_UNIT_STORES_H

/*
 * For tests of what is kept in databases: a private MariaDB with the schema of
 * conf/sql/iredapd and the accounts of tests/data/vmail.sql, daemons reduced
 * to their stores, and questions to them.
 * All daemons share one loop, each has its own connections.
 */

#include "policyd/engine.h"
#include "policyd/sources.h"

struct daemon {
	struct sources sources;
};

/* A request under judgement. */
struct question {
	struct daemon *daemon;
	struct arena *arena;
	struct request req;
	struct facts facts;
	struct verdict verdict;
};

/* Of tests/private_mariadb.sh: start, stop, kill, freeze, thaw. */
void stores_server(const char *command);
/* Makes the server and the tables; ends the program when it cannot. */
void stores_set_up(void);
void stores_tear_down(void);

/* Runs statements in iredapd, through the mariadb client and a shell. */
void sql(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first line of the answer, columns separated by blanks. */
const char *sql_text(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
long long sql_number(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

struct daemon *daemon_new(const char *settings);
void daemon_free(struct daemon *daemon);

/* Attributes beside request, client_address, sender and recipient. */
struct question *question_new(struct daemon *daemon, const char *client,
	const char *sender, const char *recipient, const char *more);
void question_free(struct question *question);
/* What the engine does after the verdict. */
void question_apply(struct question *question);

/* Runs the loop until done(arg), or fails. */
void wait_until(bool (*done)(const void *arg), const void *arg);
/* Until every fact that was asked for is there. */
void wait_for_facts(const struct question *question);
/* Until nothing waits to be written. */
void wait_for_writes(const struct daemon *daemon);
void run_loop(uint64_t ms);

#endif
