#ifndef COMMON_IO_DNS_SERVER_H
#define COMMON_IO_DNS_SERVER_H

/*
 * A question to one server of the DNS, and no other: whether each server of a
 * zone shows a record. Resolvers (dns.h) tell what one of them says. Over UDP,
 * and over TCP when the answer does not fit or the server does not know
 * EDNS(0); no recursion is asked for, nothing is remembered.
 */

#include "common/mail/dns_message.h"

struct dns_server_query;
struct loop;

struct dns_server_answer {
	bool is_answered;
	bool is_authoritative;      /* AA of the answer */
	struct dns_message message; /* valid until done returns */
	const char *reason;         /* why not, else "" */
};
typedef void dns_server_done_fn(void *arg,
	const struct dns_server_answer *answer);

/*
 * done is called once, from the loop and not from within this call, at the
 * latest when timeout_ms have passed, unless cancelled.
 */
struct dns_server_query *dns_server_ask(struct loop *loop,
	const struct ip *server, const struct dns_name *name,
	enum dns_type type, uint64_t timeout_ms, dns_server_done_fn *done,
	void *arg);
/* Not any more once done was called; accepts NULL. */
void dns_server_cancel(struct dns_server_query *query);

#endif
