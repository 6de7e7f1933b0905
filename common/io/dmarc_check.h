#ifndef COMMON_IO_DMARC_CHECK_H
#define COMMON_IO_DMARC_CHECK_H

/*
 * One DMARC evaluation (common/mail/dmarc.h) that asks the DNS: it hands the
 * questions on, and ends in time whatever becomes of them.
 */

#include "common/io/dns_session.h"
#include "common/mail/dmarc.h"

struct dmarc_check;

/* What it points to, and dmarc, are valid until done returns. */
typedef void dmarc_check_done_fn(void *arg, const struct dmarc_outcome *outcome,
	const struct dmarc *dmarc);

/*
 * done is called once, from the loop and not from within this call. What
 * input and config point to is copied, but for the list of suffixes, which
 * outlives the check.
 */
struct dmarc_check *dmarc_check_start(struct loop *loop, struct dns *dns,
	const struct dmarc_input *input,
	const struct dns_session_config *config, dmarc_check_done_fn *done,
	void *arg);
/* done will not be called. Not any more once it was; accepts NULL. */
void dmarc_check_cancel(struct dmarc_check *check);

#endif
