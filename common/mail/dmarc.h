#ifndef COMMON_MAIL_DMARC_H
#define COMMON_MAIL_DMARC_H

/*
 * DMARC: is a domain in From: used by whom its owner lets use it, and what
 * does he want to become of mail where it is not?
 *
 * RFC 9989 without I/O: the policy is discovered by its tree walk (4.10,
 * 4.10.1), with "sp", "np" (existence: appendix A.4), "psd" and "t" (4.7);
 * identifiers are aligned as in 4.4 and 4.10.2; the result is that of 5.3.5
 * and 5.3.6. What was published for RFC 7489 goes on to work as it did: where
 * nobody on the way up says "psd", two names that have the same registered
 * domain by the public suffix list (RFC 7489, 3.2) are aligned, too, and two
 * registered domains under one suffix are not, though the suffix may have a
 * record that does not say what it is. Without a list it is RFC 9989 alone.
 *
 * dmarc_evaluate() goes as far as the answers that are here allow, then
 * begins again from its top, as spf_evaluate() does. A question is asked once,
 * whoever needs its answer; what is asked and what comes out of it does not
 * depend on the order of the answers.
 *
 *	while (!dmarc_evaluate(dmarc, &outcome))
 *		while ((question = dmarc_next_question(dmarc)) != NULL)
 *			... ask; later dmarc_answer(question, answer) ...
 *
 * An answer that cannot be had is a temperror wherever it may matter, never
 * "no policy".
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dmarc_record.h"
#include "common/mail/dns_answer.h"
#include "common/mail/spf_record.h"

struct arena;
struct dmarc;
struct public_suffixes;

/* RFC 9989, 4.10: questions of one tree walk. */
#define DMARC_WALK_MAX 8u
/* Signatures that are looked at; more were not verified either. */
#define DMARC_DKIM_MAX        8u
#define DMARC_IDENTIFIERS_MAX (1 + DMARC_DKIM_MAX)
/* From: and each identifier may need a walk; A, AAAA and MX tell of "np". */
#define DMARC_QUESTIONS_MAX (DMARC_WALK_MAX * (1 + DMARC_IDENTIFIERS_MAX) + 3)
/* Most memory of one evaluation: a record for each question, and texts. */
#define DMARC_ARENA_MAX ((size_t)2 << 20)

enum dmarc_result {
	DMARC_NONE, /* DMARC does not apply: there is no record */
	DMARC_PASS,
	DMARC_FAIL,
	DMARC_TEMPERROR,
	DMARC_PERMERROR, /* a record that is of no use */
};
#define DMARC_RESULT_COUNT (DMARC_PERMERROR + 1)

/* What became of a signature. */
enum dmarc_auth {
	DMARC_AUTH_FAIL, /* or anything else that is no pass */
	DMARC_AUTH_PASS,
	DMARC_AUTH_TEMPERROR,
};

struct dmarc_input {
	struct slice from; /* the one domain of From:, in A-labels */
	/*
	 * Of the MAIL FROM identity, which is the HELO name for the null
	 * sender (RFC 9989, 3.2.4); a pass of HELO beside it does not count.
	 */
	enum spf_result spf;
	struct slice spf_domain; /* "": SPF was not asked */
	struct {
		enum dmarc_auth result;
		struct slice domain; /* d= */
	} dkim[DMARC_DKIM_MAX];
	size_t n_dkim;
	const struct public_suffixes *suffixes; /* NULL: no list */
};

enum dmarc_alignment {
	DMARC_NOT_JUDGED, /* what does not pass cannot help */
	DMARC_ALIGNED,
	DMARC_NOT_ALIGNED,
	DMARC_ALIGNMENT_UNKNOWN, /* an answer could not be had */
};

/* From which tag a policy is. */
enum dmarc_tag { DMARC_TAG_P, DMARC_TAG_SP, DMARC_TAG_NP };

/* What was asked, and what came. */
struct dmarc_question {
	struct slice name; /* "_dmarc.example.com" */
	enum dns_type type;
	enum {
		DMARC_UNASKED,
		DMARC_ASKED, /* given out by dmarc_next_question() */
		DMARC_ANSWERED,
	} state;
	enum dns_status status;
	struct slice reason; /* of DNS_FAILED, DNS_BOGUS; printable */
	uint32_t ttl;
	bool is_alias;
	size_t n_records; /* of a TXT: those that are DMARC records */
	/* Of just one: the domain, the record, and what is wrong with it. */
	struct slice domain, text; /* text is printable, and may be cut */
	struct dmarc_record record;
	const char *record_err; /* NULL: it is in order */
};

/* One line for people. */
struct dmarc_trace {
	const char *key; /* "policy", "spf", "dkim" */
	struct slice text;
};

struct dmarc_outcome {
	enum dmarc_result result;
	/* What to do: of a fail what the record asks for, else nothing. */
	enum dmarc_policy policy;
	/*
	 * What the record asks for when mail fails, before "t" lowers it; of
	 * two that are possible in a temperror the stricter one.
	 */
	enum dmarc_policy requested;
	enum dmarc_tag tag;                /* where it stands */
	bool is_test;                      /* "t=y" */
	struct slice policy_domain;        /* whose record it is; "" for none */
	const struct dmarc_record *record; /* NULL for none */
	/* Of the domain in From:; "" where it did not matter. */
	struct slice organization;
	enum dmarc_alignment spf, dkim[DMARC_DKIM_MAX];
	/* Of an error, or of a From: that is no domain; printable. */
	struct slice problem;
	uint32_t ttl; /* seconds for which it holds; 0 of a temperror */
	const struct dmarc_trace *trace;
	size_t n_trace;
};

/* All of it lives in the arena; what input points to is copied. */
struct dmarc *dmarc_new(struct arena *arena, const struct dmarc_input *input);
/* True when there is an outcome, which is then in *out; false: ask. */
bool dmarc_evaluate(struct dmarc *dmarc, struct dmarc_outcome *out);
/* The next question that was not given out yet; NULL: there is none. */
struct dmarc_question *dmarc_next_question(struct dmarc *dmarc);
void dmarc_answer(struct dmarc *dmarc, struct dmarc_question *question,
	const struct dns_answer *answer);
/*
 * Nothing more will be answered: what is missing has failed for this reason.
 * The next dmarc_evaluate() has an outcome, which may well be a pass.
 */
void dmarc_give_up(struct dmarc *dmarc, const char *reason);
/* The i-th question, for people; NULL at the end. */
const struct dmarc_question *dmarc_question_at(const struct dmarc *dmarc,
	size_t i);

const char *dmarc_result_name(enum dmarc_result result); /* "temperror" */
const char *dmarc_auth_name(enum dmarc_auth auth);       /* "pass" */
const char *dmarc_tag_name(enum dmarc_tag tag);          /* "sp" */
/* "aligned", "not aligned", "unknown"; "" when it was not judged */
const char *dmarc_alignment_name(enum dmarc_alignment alignment);

#endif
