#ifndef POLICYD_REQUEST_H
#define POLICYD_REQUEST_H

/*
 * One policy request (Postfix SMTPD_POLICY_README): what Postfix said about a
 * client, sender, recipient or message, parsed. Everything in it lives in its
 * arena and does not change while it is judged.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/mail/address.h"
#include "common/mail/ip.h"

struct config;

enum attribute {
#define ATTRIBUTE(name) ATTRIBUTE_##name,
#include "policyd/attributes.def"
#undef ATTRIBUTE
	ATTRIBUTE_COUNT
};

/* SMTP stages, as bits: a rule says at which it wants to be asked. */
enum stage {
	STAGE_CONNECT = 1,
	STAGE_HELO = 2,
	STAGE_MAIL = 4,
	STAGE_RCPT = 8,
	STAGE_DATA = 16,
	STAGE_END_OF_MESSAGE = 32,
	STAGE_OTHER = 64, /* VRFY, ETRN */
	/*
	 * Of our own milter, not of Postfix: the message is there, with all its
	 * recipients and who its header says has written it.
	 */
	STAGE_MESSAGE = 128,
};

/* More of a size than this is this: sums of sizes must not overflow. */
#define REQUEST_SIZE_MAX       ((uint64_t)1 << 50)
#define REQUEST_RECIPIENTS_MAX 1000u
/* Signatures that the milter verifies (DMARC_DKIM_MAX). */
#define REQUEST_SIGNATURES_MAX 8u
/*
 * Memory of one decision; more is a bug. The worst: a request of 1 MiB
 * (limits.request_bytes) whose addresses are copied twice (64 KiB each); and
 * 1000 recipients with 256 KiB of text (instances.c), which is copied, put in
 * lower case, cut and, where it is no UTF-8, trebled: 1.5 MiB; for each of
 * them a set of limits, four rules (400 bytes) and two counters, which the
 * rule lists at most five times (80 bytes): 3 MiB.
 */
#define REQUEST_ARENA_MAX ((size_t)8 << 20)

struct request {
	struct arena *arena;
	const struct config *config; /* in force when the request came */
	enum stage stage;
	/*
	 * Which rules are asked: those of the stage; and those of
	 * END-OF-MESSAGE at MESSAGE, if the milter judges in its place.
	 */
	unsigned rule_stages;
	int64_t now;                             /* wall clock, seconds */
	struct slice attribute[ATTRIBUTE_COUNT]; /* as received */
	struct address sender, recipient, login; /* login: sasl_username */
	struct ip client;       /* IP_NONE when Postfix does not know it */
	bool client_is_trusted; /* loopback or in trusted_networks */
	uint64_t size_bytes;
	unsigned recipient_count;
	/*
	 * The recipients of the message. At RCPT: recipient. At MESSAGE: each
	 * recipient, which is there once for each of them. Otherwise: recipient
	 * if Postfix names it, else those seen at RCPT under this instance;
	 * none when they are not known.
	 */
	const struct address *recipients;
	size_t n_recipients;
	/* At MESSAGE: the addresses in From: (RFC 5322, 3.6.2). */
	const struct address *authors;
	size_t n_authors;
	/* At MESSAGE: what became of signatures, see authentication.h. */
	struct slice signatures[REQUEST_SIGNATURES_MAX];
	size_t n_signatures;
};

/*
 * Parses the attribute lines of one request (without the empty line that
 * ends it). Sets everything but recipients beyond the one named. Returns 0,
 * or -1 with the reason in *err when it is no policy request: a line without
 * "=", a NUL byte, no request=smtpd_access_policy, no protocol_state. A
 * repeated attribute: the last one counts, but for those which say what there
 * may be several of at MESSAGE. Does not take over the arena.
 */
int request_parse(struct request *req, struct arena *arena,
	const struct config *config, int64_t now, struct slice text,
	const char **err);

bool request_is_authenticated(const struct request *req);
/* The account whose settings apply: the login, else the recipient. */
const struct address *request_party(const struct request *req);
/* The first of the authors that is not the login itself; NULL for none. */
const struct address *request_other_author(const struct request *req);
const char *stage_name(enum stage stage); /* "RCPT" */

#endif
