#ifndef COMMON_MAIL_DMARC_PRIVATE_H
#define COMMON_MAIL_DMARC_PRIVATE_H

/*
 * Of dmarc.c, which judges, dmarc_walk.c, which asks and knows whose a name
 * is, and dmarc_trace.c, which tells people.
 */

#include "common/mail/dmarc.h"

/* Most of a record, and of a reason, that is kept for people. */
#define DMARC_SHOWN_MAX 300u

struct dmarc {
	struct arena *arena;
	/* In lower case; a domain that is none is "". */
	struct dmarc_input input;
	struct dmarc_question questions[DMARC_QUESTIONS_MAX];
	size_t n_questions;
	struct slice late; /* why nothing more is answered; "" until then */
	bool has_outcome;
	struct dmarc_outcome outcome;
	/* Of this run: the least of the answers that were looked at. */
	uint32_t ttl;
};

/* What a tree walk finds. */
struct dmarc_walk {
	struct slice domain;
	/* The question that was not answered; then the rest says nothing. */
	const struct dmarc_question *failed;
	/* From the domain upwards. */
	const struct dmarc_question *records[DMARC_WALK_MAX];
	size_t n_records;
	struct slice organization; /* RFC 9989, 4.10.2 */
	/*
	 * What was registered, by the public suffix list; "" where it has no
	 * say, since there is none, or a record says "psd".
	 */
	struct slice registered;
};

/* A domain as it is looked up; "" when it is none in A-labels. */
struct slice dmarc_domain(struct arena *arena, struct slice text);
/* The question for _dmarc.DOMAIN (TXT), else for the domain. */
const struct dmarc_question *dmarc_ask(struct dmarc *dmarc, struct slice domain,
	enum dns_type type);
/* The answer then counts for how long the outcome holds. */
bool dmarc_is_answered(struct dmarc *dmarc,
	const struct dmarc_question *question);
bool dmarc_has_failed(const struct dmarc_question *question);
/* Whether the answer is one DMARC record (RFC 9989, 4.10, steps 2 and 6). */
bool dmarc_has_record(const struct dmarc_question *question);
/* False: not ready. All questions of a walk are asked together. */
bool dmarc_walk(struct dmarc *dmarc, struct slice domain,
	struct dmarc_walk *out);
/* Whether name is domain or within it. */
bool dmarc_is_within(struct slice name, struct slice domain);

/* A copy that can be shown, cut to DMARC_SHOWN_MAX. */
struct slice dmarc_printable(struct arena *arena, struct slice text);
/* Puts the lines for people into an outcome that is otherwise complete. */
void dmarc_add_trace(struct dmarc *dmarc, struct dmarc_outcome *outcome,
	const struct dmarc_walk *walk, const struct dmarc_question *source);

#endif
