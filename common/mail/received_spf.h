#ifndef COMMON_MAIL_RECEIVED_SPF_H
#define COMMON_MAIL_RECEIVED_SPF_H

/*
 * The header field Received-SPF (RFC 7208, 9.1), on one line of at most 998
 * octets (RFC 5322, 2.1.1). What others wrote stands in quoted strings only,
 * and is cut.
 */

#include "common/mail/ip.h"
#include "common/mail/spf_record.h"

#define RECEIVED_SPF_MAX 998u

struct received_spf {
	enum spf_result result;
	bool is_helo; /* the identity: HELO, or else MAIL FROM */
	struct ip client;
	struct slice sender, helo;
	struct slice receiver; /* "" to leave it out, as the following two */
	struct slice mechanism, problem;
};

/* Appends "Received-SPF: ..." without an end of line. */
void received_spf_write(const struct received_spf *field, struct str *out);

#endif
