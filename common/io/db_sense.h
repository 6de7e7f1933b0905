#ifndef COMMON_IO_DB_SENSE_H
#define COMMON_IO_DB_SENSE_H

/*
 * What the outcome of a statement means for what is to be done next.
 */

struct db_conn_answer;

enum db_sense {
	DB_SENSE_FINAL,     /* to be told as it is */
	DB_SENSE_LOCKED,    /* did not happen; again after a pause */
	DB_SENSE_AWAY,      /* did not happen; the server takes no statements */
	DB_SENSE_STALE,     /* did not happen; again on a new connection */
	DB_SENSE_UNCERTAIN, /* may have happened; the connection is gone */
};

enum db_sense db_sense_of(const struct db_conn_answer *answer);

#endif
