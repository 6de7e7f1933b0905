#ifndef COMMON_MAIL_SPF_RECORD_H
#define COMMON_MAIL_SPF_RECORD_H

/*
 * An SPF record (RFC 7208, 4.5, 4.6, 5, 6 and 12), taken apart. A record is
 * read as a whole before anything in it is judged: one mistake anywhere makes
 * all of it permerror (4.6).
 */

#include <stdbool.h>

#include "common/base/str.h"
#include "common/mail/ip.h"

struct arena;

/* RFC 7208, 2.6. */
enum spf_result {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
};
#define SPF_RESULT_COUNT (SPF_PERMERROR + 1)

enum spf_mechanism {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
};

/* A longer record, or one of more terms, is permerror: bounds of ours. */
#define SPF_RECORD_MAX ((size_t)16 << 10)
#define SPF_TERMS_MAX  1000u

/* A directive (4.6.1). */
struct spf_term {
	struct slice text; /* as it stands in the record */
	enum spf_mechanism mechanism;
	enum spf_result result;   /* when it matches: its qualifier */
	struct slice domain_spec; /* may hold macros; "" for none */
	struct network network;   /* of SPF_IP4, SPF_IP6 */
	/* Of SPF_A and SPF_MX: how many bits of the addresses count. */
	unsigned prefix_v4, prefix_v6;
};

struct spf_record {
	const struct spf_term *terms;
	size_t n_terms;
	struct slice redirect, exp; /* domain-specs; "" for none (6.1, 6.2) */
	struct slice redirect_text; /* as it stands in the record */
};

/* Whether a TXT record is an SPF record at all (4.5). */
bool spf_record_is(struct slice text);
/*
 * Reads a record for which spf_record_is() holds. What *out points to is in
 * the arena, or part of text. 0, or -1 and what is wrong with it in *err (in
 * the arena).
 */
int spf_record_parse(struct arena *arena, struct slice text,
	struct spf_record *out, const char **err);

const char *spf_result_name(enum spf_result result); /* "softfail" */

#endif
