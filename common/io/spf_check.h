#ifndef COMMON_IO_SPF_CHECK_H
#define COMMON_IO_SPF_CHECK_H

/*
 * One SPF evaluation (common/mail/spf.h) that asks the DNS: it hands the
 * questions on, and ends in time whatever becomes of them.
 */

#include "common/io/dns_session.h"
#include "common/mail/spf.h"

struct dns;
struct loop;
struct spf_check;

/* What it points to, and spf, are valid until done returns. */
typedef void spf_check_done_fn(void *arg, const struct spf_outcome *outcome,
	const struct spf *spf);

/*
 * done is called once, from the loop and not from within this call. What
 * input and config point to is copied.
 */
struct spf_check *spf_check_start(struct loop *loop, struct dns *dns,
	const struct spf_input *input, const struct dns_session_config *config,
	spf_check_done_fn *done, void *arg);
/* done will not be called. Not any more once it was; accepts NULL. */
void spf_check_cancel(struct spf_check *check);

#endif
