#ifndef POLICYD_FACTS_RDNS_H
#define POLICYD_FACTS_RDNS_H

/*
 * Which rows of iredapd.wblist_rdns(rdns, wb) the client's name by reverse
 * look-up matches. A row is a whole name, or a suffix with a dot in front:
 * ".example.net" is that name and everything below it. The client can make
 * its address point to any name, so the name proves nothing.
 */

#include "policyd/facts.h"
#include "policyd/facts/tables.h"

struct rdns {
	/* The rows, or "" for none; the longest where several match. */
	struct slice white, black;
};

extern const struct fact_kind fact_kind_rdns;
bool fact_rdns(struct facts *facts, const struct rdns **out);

/* Bytes of a name: VARCHAR(255), and more than DNS knows. */
#define RDNS_MAX 255
/*
 * What is wrong with a name or suffix, in lower case, as a row; NULL if
 * nothing. Static text.
 */
const char *rdns_check(struct slice name);

extern const struct table_kind table_rdns;

#endif
