#ifndef POLICYD_FACTS_DIRECTORY_STORE_H
#define POLICYD_FACTS_DIRECTORY_STORE_H

/*
 * What directory.c (which question a fact is), directory_store.c (memory and
 * batches) and directory_rows.c (statements and what their rows say) share.
 * For nobody else.
 */

#include "common/io/db.h"
#include "policyd/facts/directory.h"

/* The two statements. */
enum directory_question { DIRECTORY_ACCOUNT, DIRECTORY_ROLES };
#define DIRECTORY_QUESTIONS 2

/* All zero is the answer of an address that vmail does not know. */
union directory_answer {
	struct account account;
	struct roles roles;
};

/*
 * The keys of a question are elements of a JSON array, and rows come in the
 * order of their elements. A key may have several rows, or none.
 */
struct directory_statement {
	const struct db_statement *statement;
	/* Adds one row, whose first column is the element from 1. */
	void (*add)(union directory_answer *answer, const struct db_rows *rows,
		size_t row);
};
extern const struct directory_statement
	directory_statements[DIRECTORY_QUESTIONS];

/*
 * Asks for the fact, which is answered at once or later. key is the JSON
 * element, and by its bytes the answer is remembered.
 */
void directory_ask(struct directory *directory,
	enum directory_question question, struct slice key, struct fact *fact);
/* Takes the question of a pending fact back. */
void directory_cancel(struct fact *fact);

#endif
