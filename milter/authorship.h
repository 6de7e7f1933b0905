#ifndef MILTER_AUTHORSHIP_H
#define MILTER_AUTHORSHIP_H

/*
 * Whom a message of a stranger says that it is from, and whether that is so:
 * DMARC (milter/facts_dmarc.h) for the domain of its From, which is asked ahead
 * at the end of the header and waited for at the end of the message. Belongs to
 * the thread that has the session.
 */

#include "common/mail/auth_results.h"
#include "common/mail/dmarc.h"
#include "common/mail/header_from.h"

struct arena;
struct authorship;
struct milter_facts;

/* What SPF, DKIM and ARC say; of the future, what they might say at best. */
struct authorship_evidence {
	bool has_spf;
	enum spf_result spf; /* of MAIL FROM, or of HELO for the null sender */
	struct slice spf_domain;
	bool is_spf_of_helo;
	struct {
		enum dmarc_auth auth;
		const char *result; /* "pass" */
		struct slice domain, selector;
	} dkim[DMARC_DKIM_MAX];
	size_t n_dkim;
	bool has_arc; /* the chain is valid; who sealed it last: */
	struct slice arc_sealer, arc_dmarc;
};

/* Valid as long as the message. */
struct authorship_outcome {
	const struct header_from *from;
	struct slice domain; /* of From; "": there is not one */
	bool is_late;        /* DMARC was not known in time */
	/* NULL when it is late, or there is no domain. */
	const struct facts_dmarc *dmarc;
};

/* from is read at the end of the header, and stays. */
struct authorship *authorship_new(struct milter_facts *facts,
	const struct header_from *from);
/* At any stage; takes back what was asked. Accepts NULL. */
void authorship_free(struct authorship *authorship);

/* Once, at the end of the header; asks ahead. */
void authorship_header_end(struct authorship *authorship,
	const struct authorship_evidence *hoped);
/*
 * Once, at the end of the message; waits until the deadline, or some moments:
 * what is needed has most likely come meanwhile.
 */
void authorship_end(struct authorship *authorship,
	const struct authorship_evidence *evidence, int64_t deadline_us,
	struct authorship_outcome *out);
/* The lines for the question to a policy process, after the end. */
void authorship_write(const struct authorship_outcome *outcome,
	const struct authorship_evidence *evidence, struct str *out);
/*
 * Adds the result of DMARC, after the end; none without a domain. override:
 * what the policy process said of it, "" for nothing.
 */
void authorship_add_result(const struct authorship_outcome *outcome,
	struct slice override, struct auth_results *results);

#endif
