#ifndef POLICYD_LEASE_H
#define POLICYD_LEASE_H

/*
 * What one daemon at a time does of all that share a database: whoever does it
 * holds a row of policyd.lease, which runs out LEASE_S after it was last heard
 * of its holder. A lock of the server (GET_LOCK) would belong to one
 * connection of a pool. All times are the server's.
 *
 * One call at a time: the next may come once done was called, which happens
 * once, from the loop, and not any more after lease_free().
 */

#include <stdbool.h>
#include <stdint.h>

struct lease;
struct sources;

/* Whoever holds it does nothing for longer than two thirds of this. */
#define LEASE_S 30u

enum lease_status {
	LEASE_BEGUN,    /* it is ours now */
	LEASE_EXTENDED, /* it still is */
	LEASE_OTHERS,   /* lease_holder() is at work */
	LEASE_TOO_SOON, /* nobody's: it was done to its end not long ago */
	LEASE_UNKNOWN,  /* the database does not tell */
};

/* error: of LEASE_UNKNOWN, else "". */
typedef void lease_held_fn(void *arg, enum lease_status status,
	const char *error);
typedef void lease_given_fn(void *arg);

/* name: a static text. */
struct lease *lease_new(struct sources *sources, const char *name);
void lease_free(struct lease *lease); /* accepts NULL */

/*
 * Takes it, if nobody has it and it was last done to its end due_after_s ago;
 * extends it, if it is ours.
 */
void lease_hold(struct lease *lease, uint64_t due_after_s, lease_held_fn *done,
	void *arg);
/* Whether it was ours when the database was last asked. */
bool lease_is_held(const struct lease *lease);
/* Whether it has to be extended before anything else is done under it. */
bool lease_is_due(const struct lease *lease);
/*
 * Gives it back: all was done, to n_rows rows. If the database does not take
 * it the lease runs out by itself.
 */
void lease_finish(struct lease *lease, uint64_t n_rows, lease_given_fn *done,
	void *arg);
/* Gives it back undone: another daemon may begin at once. */
void lease_drop(struct lease *lease, lease_given_fn *done, void *arg);

/* When last done to its end, as far as the database was asked. */
struct lease_last {
	int64_t at;       /* wall clock; 0 for not known */
	const char *node; /* by which; "" for not known */
	uint64_t n_rows;
};
void lease_last(const struct lease *lease, struct lease_last *out);
/* The node that held it when the database was last asked, "" for none. */
const char *lease_holder(const struct lease *lease);

#endif
