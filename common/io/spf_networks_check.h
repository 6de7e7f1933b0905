#ifndef COMMON_IO_SPF_NETWORKS_CHECK_H
#define COMMON_IO_SPF_NETWORKS_CHECK_H

/*
 * The networks that may send for one domain (common/mail/spf_networks.h),
 * asked for in the DNS. It ends in time whatever becomes of the questions.
 */

#include "common/io/dns_session.h"
#include "common/mail/spf_networks.h"

struct spf_networks_check;

/* What it points to is valid until done returns. */
typedef void spf_networks_done_fn(void *arg,
	const struct spf_networks_outcome *outcome);

/*
 * done is called once, from the loop and not from within this call. domain
 * and what config points to are copied.
 */
struct spf_networks_check *spf_networks_check_start(struct loop *loop,
	struct dns *dns, struct slice domain,
	const struct dns_session_config *config, spf_networks_done_fn *done,
	void *arg);
/* done will not be called. Not any more once it was; accepts NULL. */
void spf_networks_check_cancel(struct spf_networks_check *check);

#endif
