#ifndef POLICYD_CTL_BDB_DUMP_H
#define POLICYD_CTL_BDB_DUMP_H

/*
 * The text that db_dump makes of a Berkeley DB file: a header, then a line
 * for each key and each value, as digits (format=bytevalue) or as characters
 * with escapes (format=print). It is read line by line, since it may be long.
 */

#include "common/base/str.h"

#define BDB_LINE_MAX 8192 /* of a longer one nothing is used */

enum bdb_state {
	BDB_HEADER,
	BDB_KEY,   /* the next line is a key */
	BDB_VALUE, /* the next line is the value of key */
	BDB_END,
	BDB_BAD, /* what came is not such a dump: see err */
};

struct bdb_dump {
	enum bdb_state state;
	bool is_print;
	struct str key, value;
	const char *err;
};

void bdb_dump_init(struct bdb_dump *dump);
void bdb_dump_free(struct bdb_dump *dump);
/*
 * Takes a line without its newline. True when key and value are a pair, until
 * the next line.
 */
bool bdb_dump_line(struct bdb_dump *dump, struct slice line);

/* What a key of Postgrey's triplets says. */
struct postgrey_key {
	struct slice client, sender, recipient; /* sender may be "" */
};

/*
 * "client/sender/recipient", where addresses may hold slashes, too. False
 * when it is no such key, as with Postgrey's --privacy.
 */
bool postgrey_read_key(struct slice key, struct postgrey_key *out);
/* "first,last" or "count,last", and perhaps more behind another comma. */
bool postgrey_read_value(struct slice value, uint64_t *first, uint64_t *last);

#endif
