#ifndef POLICYD_DKIM_STORE_H
#define POLICYD_DKIM_STORE_H

/*
 * Statements that change policyd.dkim_key, shared by the commands and by the
 * check in the background.
 */

#include "common/io/db.h"
#include "policyd/dkim_check.h"

/*
 * Notes what a check has found: a key that was made is published once all
 * servers show it, and checks in a row that are sure not to have found it are
 * counted; a failure counts nothing.
 */
extern const struct db_statement dkim_note_check;
#define DKIM_NOTE_VALUES 9
/* outcome is referred to. */
void dkim_note_values(uint64_t id, const struct dkim_check_outcome *outcome,
	struct db_value values[DKIM_NOTE_VALUES]);

/*
 * Lets a key sign and retires the one that did, in one statement: the row that
 * is active is changed first, so that there are never two.
 */
extern const struct db_statement dkim_activate;
#define DKIM_ACTIVATE_VALUES 12
#define DKIM_ACTIVATE_AUTHOR 6
void dkim_activate_values(uint64_t id, struct slice domain,
	struct slice algorithm, struct db_value values[DKIM_ACTIVATE_VALUES]);

#endif
