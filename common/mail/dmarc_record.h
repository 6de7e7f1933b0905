#ifndef COMMON_MAIL_DMARC_RECORD_H
#define COMMON_MAIL_DMARC_RECORD_H

/*
 * A DMARC policy record (RFC 9989, 4.7 and 4.8), taken apart; and what only
 * RFC 7489, 6.3 knows of it, for reports in its form. A tag that is unknown,
 * malformed, or stands there a second time is as if it were not there: unlike
 * a list of tags of DKIM, a record is not given up for that. Only a policy
 * that cannot be read makes it useless, see dmarc_record_parse().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct arena;

/* What a domain wants to become of mail that fails. */
enum dmarc_policy {
	DMARC_POLICY_NONE,
	DMARC_POLICY_QUARANTINE,
	DMARC_POLICY_REJECT,
};

/* "psd": whether the name is one under which others register theirs. */
enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

/* "fo": of what failure reports are wanted. */
#define DMARC_FO_ALL  1u /* 0: nothing passes that is aligned */
#define DMARC_FO_ANY  2u /* 1: something does not */
#define DMARC_FO_DKIM 4u /* d */
#define DMARC_FO_SPF  8u /* s */

/* A longer record says nothing: a bound of ours. */
#define DMARC_RECORD_MAX ((size_t)8 << 10)
/* Addresses of each list that are kept; RFC 7489, 6.3 demands two. */
#define DMARC_URIS_MAX 10u
/* Octets of one of them: RFC 5321, 4.5.3.1.3. */
#define DMARC_ADDRESS_MAX 254u

/* Of rua, ruf: an address to which reports go. */
struct dmarc_uri {
	struct slice address; /* of "mailto:", decoded: a dot-string@domain */
	uint64_t size_max;    /* "!10m" (RFC 7489, 6.4), in bytes; 0: none */
};

struct dmarc_record {
	/*
	 * The policies in force: without "sp", "p"; without "np", "sp". All
	 * are none when "p" is missing or one of them cannot be read.
	 */
	enum dmarc_policy p, sp, np;
	bool has_sp, has_np; /* they stand there themselves */
	bool is_dkim_strict, is_spf_strict;
	bool is_test; /* "t": the policies are one step lower */
	enum dmarc_psd psd;
	unsigned fo; /* DMARC_FO_ flags */
	/* Whether anything in rua is a URI, whatever its scheme. */
	bool has_rua;
	const struct dmarc_uri *rua, *ruf;
	size_t n_rua, n_ruf;
	/* RFC 7489 only, for reports: no evaluation heeds them. */
	unsigned pct;
	uint32_t ri; /* seconds between reports */
};

/* Whether a TXT record is a DMARC record: its first tag is "v=DMARC1". */
bool dmarc_record_is(struct slice text);
/*
 * Reads a record for which dmarc_record_is() holds. What *out points to is in
 * the arena. 0, or -1 and what is wrong in *err, with *out as far as it was
 * read, its psd among it: then DMARC is not to be applied (RFC 9989, 4.10.1),
 * since the policy cannot be read and nobody wants a report.
 */
int dmarc_record_parse(struct arena *arena, struct slice text,
	struct dmarc_record *out, const char **err);

const char *dmarc_policy_name(enum dmarc_policy policy); /* "quarantine" */

#endif
