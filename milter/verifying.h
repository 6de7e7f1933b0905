#ifndef MILTER_VERIFYING_H
#define MILTER_VERIFYING_H

/*
 * The signatures and the ARC chain of one message of a stranger, verified
 * while it arrives: at the end of its header the keys are asked for
 * (milter/facts_dkim.h), at its end they are waited for. Belongs to the
 * thread that has the session.
 */

#include "common/mail/arc_verify.h"
#include "common/mail/auth_results.h"
#include "common/mail/dkim_verify.h"
#include "common/mail/dmarc.h"

struct arena;
struct milter_facts;
struct verifying;

/* Valid as long as the message, and the arena. */
struct verifying_results {
	size_t n;         /* signatures that were looked at */
	size_t n_ignored; /* of which there are too many */
	/* Of each, from the top: for the header field, and for DMARC. */
	struct auth_dkim dkim[DKIM_VERIFIED_MAX];
	enum dmarc_auth auth[DKIM_VERIFIED_MAX];
	struct arc_outcome arc;
	/* Of a chain that passes: whose the newest seal is, and what he says
	 * that DMARC was; "" for nothing. */
	struct slice arc_sealer, arc_dmarc;
	bool was_late; /* a key was not known in time */
};

/* header_bytes: most that its header may have. */
struct verifying *verifying_new(struct milter_facts *facts,
	size_t header_bytes);
/* At any stage; takes back what was asked. Accepts NULL. */
void verifying_free(struct verifying *verifying);

/* The value is all that stands behind the colon. */
void verifying_header(struct verifying *verifying, struct slice name,
	struct slice value);
void verifying_header_end(struct verifying *verifying);
/*
 * The d= of the i-th signature, in lower case, between the ends of the header
 * and of the message; "" for one that cannot be valid. There are
 * DKIM_VERIFIED_MAX at most, and a NULL ptr stands at their end.
 */
struct slice verifying_domain(const struct verifying *verifying, size_t i);
/* More of the body. False: the rest of it need not be told. */
bool verifying_body(struct verifying *verifying, struct slice bytes);
/*
 * The end of the message. Waits for keys until the deadline at most; once.
 * Texts are in the arena, or live as long as this.
 */
const struct verifying_results *verifying_end(struct verifying *verifying,
	struct arena *arena, int64_t deadline_us);

#endif
