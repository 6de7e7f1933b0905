#ifndef TESTS_UNIT_DMARC_WORLD_H
#define TESTS_UNIT_DMARC_WORLD_H

/*
 * DMARC evaluations of messages in a word for each thing that is known of
 * them, over a DNS as in spf_world.h:
 *
 *	from=news.example.com spf=pass:example.net dkim=temperror:example.com
 *
 * Each is made with the answers in many orders, and has to come to the same.
 */

#include "common/mail/dmarc.h"

#define DMARC_WORLD_ORDERS 12u

/* What the evaluation with the answers in the order of the questions took. */
struct dmarc_world {
	/* The public suffix list of the system; NULL: RFC 9989 alone. */
	const struct public_suffixes *suffixes;
	const char *asked; /* "TXT _dmarc.example.com\nTXT _dmarc.com\n" */
	const char *trace; /* "from: example.com\nspf: ..." */
	size_t n_asked, n_runs, arena_bytes;
	uint32_t ttl;
};

/*
 * What comes out, valid until the next call, as what *world points to:
 * "fail reject (sp=reject of example.com) spf:not aligned dkim:unknown",
 * "temperror since _dmarc.com: ...". What was not judged is left out.
 */
const char *dmarc_world_judge(struct dmarc_world *world, const char *zone,
	const char *message);

/* A message in words; its texts are part of it. */
void dmarc_world_read(const char *message, struct dmarc_input *out);
/* An outcome in the same words. */
void dmarc_world_describe(const struct dmarc_outcome *outcome, struct str *out);

#endif
