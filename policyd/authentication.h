#ifndef POLICYD_AUTHENTICATION_H
#define POLICYD_AUTHENTICATION_H

/*
 * What our milter has found out of whom a message is from, as it says so in
 * a request at MESSAGE: DMARC, and the results of SPF, DKIM and ARC that stand
 * behind it. What is not said, or makes no sense, is as if it had not been
 * found out. Texts are those of the request; they may hold any byte.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"
#include "common/mail/dmarc.h"
#include "common/mail/spf_record.h"

struct request;

struct authentication {
	bool is_judged; /* DMARC has a result */
	enum dmarc_result dmarc;
	/* What to do of a fail, and what the record asks for before "t". */
	enum dmarc_policy policy, requested;
	struct slice domain;        /* of From; "": there is no such one */
	struct slice policy_domain; /* whose record it is; "" for none */
	struct slice record;        /* its text; "" for none */
	bool is_dkim_aligned, is_spf_aligned;
	bool has_spf;
	enum spf_result spf;
	struct slice spf_domain;
	bool is_spf_of_helo;
	/* What is wrong with From; "" for nothing. */
	struct slice from_problem;
	/* The ARC chain is valid; who sealed it last, and what he says that
	 * DMARC was then. */
	bool has_arc;
	struct slice arc_sealer, arc_dmarc;
};

void authentication_read(const struct request *req, struct authentication *out);

/* One of req->signatures, "RESULT DOMAIN SELECTOR", taken apart. */
struct authentication_signature {
	struct slice result, domain, selector;
};
void authentication_read_signature(struct slice text,
	struct authentication_signature *out);

#endif
