#ifndef MILTER_FACTS_H
#define MILTER_FACTS_H

/*
 * What a session wants to know and the event loop finds out: its settings, and
 * results of SPF. Everything that others come to need (keys, policies of
 * domains) is another struct with a bridge_call in front, asked for as soon as
 * the question is known.
 *
 * The functions for a session are called by libmilter's threads, all others
 * by the loop's.
 */

#include <stddef.h>

#include "common/io/dmarc_check.h"
#include "common/io/dns.h"
#include "common/io/sock.h"
#include "common/mail/ip.h"
#include "common/mail/spf_record.h"
#include "milter/bridge.h"
#include "milter/signing.h"

struct config;
struct dns;
struct loop;
struct milter_facts;
struct policy_client;

/* Of a name of a client, HELO and an address; what is longer is refused. */
#define FACTS_TEXT_MAX  2047u
#define FACTS_REPLY_MAX 400u
/* Domains and selectors of a message's keys; the log cuts what is longer. */
#define FACTS_SIGNED_MAX 600u
/* Of results of signatures in the log; what is longer is cut. */
#define FACTS_DKIM_MAX 500u

/* What a session goes by, from its start to its end. */
struct milter_settings {
	struct signing_settings signing;
	char authserv_id[256];
	bool adds_auth;
	bool is_deferring; /* on_error = defer */
	char message[FACTS_REPLY_MAX + 1];
	uint64_t timeout_ms;
	uint64_t header_fields, header_bytes;
	bool counts_body; /* the size of messages is asked for */
};

/* --- for a session ------------------------------------------------------ */

/* Held while the session lasts: it counts until it is released. */
struct facts_session {
	struct bridge_call call;
	struct milter_facts *facts;
	struct ip client; /* the question; IP_NONE when it is not known */
	/* the answer */
	bool is_admitted; /* or there are too many */
	bool is_trusted;
	struct milter_settings settings;
	/* What the settings point to; the loop's. */
	struct config *config;
	struct dkim_field *fields; /* NULL: the usual ones */
};

struct facts_session *facts_ask_session(struct milter_facts *facts,
	const struct ip *client);

/* SPF for one identity (RFC 7208, 2.3 and 2.4). */
struct facts_spf {
	struct bridge_call call;
	struct milter_facts *facts;
	/* the question; sender "" for the identity of HELO */
	struct ip client;
	char helo[FACTS_TEXT_MAX + 1];
	char sender[FACTS_TEXT_MAX + 1];
	struct spf_check *check;
	/* the answer */
	enum spf_result result;
};

struct facts_spf *facts_ask_spf(struct milter_facts *facts,
	const struct ip *client, struct slice helo, struct slice sender);

/* Whether the address of a client leads to a name in the DNS. */
enum facts_names { FACTS_NAMES_SOME, FACTS_NAMES_NONE, FACTS_NAMES_FAILED };

struct facts_ptr {
	struct bridge_call call;
	struct milter_facts *facts;
	struct ip client;
	struct dns_query *query;
	/* the answer */
	enum facts_names names;
};

struct facts_ptr *facts_ask_ptr(struct milter_facts *facts,
	const struct ip *client);

/* The keys of a domain: milter/facts_keys.h. */
struct facts_keys;
struct facts_keys *facts_ask_keys(struct milter_facts *facts,
	struct slice domain);

/* What became of a message, for the log and the metrics. */
struct facts_report {
	struct ip client;
	/* Cut, as for people. */
	char queue_id[64], sender[256], helo[256], login[256];
	/* Names of results; "" for what was not asked. */
	const char *spf, *spf_helo, *iprev, *arc;
	char dkim[FACTS_DKIM_MAX + 1]; /* RESULT:DOMAIN,RESULT:DOMAIN... */
	const char *action;
	/* Keys of its signatures, or why it has none; both "": a stranger. */
	char signed_with[FACTS_SIGNED_MAX + 1];
	const char *unsigned_why;
	char rule[64];    /* that refused or holds it, or "" */
	size_t n_removed; /* header fields */
	bool was_late;    /* something was not known in time */
};

/* report is copied. */
void facts_tell(struct milter_facts *facts, const struct facts_report *report);

/* --- for other kinds of facts ------------------------------------------- */

/* As dmarc_check_start(), with our DNS, list of suffixes, and bounds. */
struct dmarc_check *milter_facts_check_dmarc(struct milter_facts *facts,
	const struct dmarc_input *input, dmarc_check_done_fn *done, void *arg);
/* TXT records of a name; the domain that was registered of this one pays. */
struct dns_query *milter_facts_ask_txt(struct milter_facts *facts,
	struct slice name, struct slice domain, dns_done_fn *done, void *arg);

/* --- for the process ---------------------------------------------------- */

/* The private sockets of the policy processes (policyd/listening.h). */
struct milter_servers {
	struct sock_address policy, keys;
};

/* The configuration is replaced by milter_facts_configure(). */
struct milter_facts *milter_facts_new(struct loop *loop, struct config *config,
	const struct milter_servers *servers);
void milter_facts_free(struct milter_facts *facts);
void milter_facts_configure(struct milter_facts *facts, struct config *config);
/* What the other files of facts ask; from any thread. */
struct loop *milter_facts_loop(const struct milter_facts *facts);
/* Only on the loop. */
struct policy_client *milter_facts_policy(struct milter_facts *facts);
size_t milter_facts_sessions(const struct milter_facts *facts);
/* empty is called when the last session has ended; at once if none is open. */
void milter_facts_drain(struct milter_facts *facts, void (*empty)(void *arg),
	void *arg);

#endif
