#ifndef TESTS_BENCH_DNS_RESPONDER_H
#define TESTS_BENCH_DNS_RESPONDER_H

/*
 * A resolver for measurements, in a process of its own, over UDP and TCP on
 * loopback. It answers A with 192.0.2.1, TXT with "v=spf1 -all" and all else
 * with nothing, after delay_ms. How names below some domains are answered:
 *	blackhole.example   never
 *	servfail.example    with SERVFAIL, at once
 *	slow.example        slow_ms after the name was first asked for
 *	tcp.example         over TCP; over UDP it says that the answer was cut
 *	tcphole.example     the same, but over TCP never
 *	spf.example         TXT with five includes of names below the name; of
 *	                    these (they begin with "i") TXT with "ip4:"
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct responder_config {
	uint64_t delay_ms, slow_ms;
	/* From when until when it is away; from 0: it is not. */
	uint64_t gone_ms, back_ms;
	bool is_silent; /* then: questions vanish instead of being refused */
};

struct responder {
	pid_t pid;
	uint16_t port;
};

/* It ends with its parent at the latest. Dies if there is no port. */
void responder_start(struct responder *responder,
	const struct responder_config *config);
void responder_stop(struct responder *responder);

#endif
