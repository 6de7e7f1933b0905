#ifndef MILTER_JUDGE_H
#define MILTER_JUDGE_H

/*
 * What becomes of a message, when all that there is to know of it is known:
 * what Authentication-Results says, and which fields of that name are to go.
 * Without I/O, and without libmilter.
 *
 * Strangers get results of SPF (for the sender and for HELO, RFC 8601, 2.7.2),
 * of DKIM (2.7.1) and of ARC, if there is a chain, and iprev (2.7.3); clients
 * that have logged in get auth (2.7.4), if that is wished; trusted clients get
 * nothing: what they bring was judged where it came in. Of strangers
 * "none" is told, too: by the field their mail is known when it comes back, and
 * does not get a signature of ours.
 */

#include "common/mail/ip.h"
#include "common/mail/spf_record.h"
#include "milter/authorship.h"
#include "milter/facts.h"
#include "milter/message_text.h"

struct arena;
struct verifying_results;

/* A result that may not be there. */
enum judge_known {
	JUDGE_NOT_ASKED,
	JUDGE_LATE, /* it was asked for, and did not come in time */
	JUDGE_KNOWN,
};

/* Whether the client's address leads to names, when Postfix has none. */
struct judge_names {
	enum judge_known known;
	enum facts_names names;
};

struct judge_spf {
	enum judge_known known;
	enum spf_result result;
};

/* What the rules say of the message. */
struct judge_policy {
	enum judge_known known;
	struct message_answer answer;
};

struct judge_input {
	const struct milter_settings *settings;
	bool is_trusted;
	struct ip client;
	/*
	 * As Postfix has found them: name leads back to the client, ptr is what
	 * the client's address points to. "unknown" for none.
	 */
	struct slice client_name, client_ptr;
	struct slice login;     /* "" for none */
	struct slice mechanism; /* of SASL; "" when it is not known */
	struct slice helo, sender;
	struct judge_spf spf, spf_helo;
	struct judge_names names;
	const struct verifying_results *verified; /* NULL: nothing was */
	struct authorship_evidence evidence;
	struct authorship_outcome authorship; /* from is NULL: not judged */
	struct judge_policy policy;
	bool is_over_limit; /* its header has more than the settings allow */
	size_t n_forged;    /* fields that claim to be ours */
};

enum judge_action {
	JUDGE_ACCEPT,
	JUDGE_HOLD, /* accepted, and it waits in the queue for a person */
	JUDGE_DEFER,
	JUDGE_REJECT,
	JUDGE_DISCARD, /* accepted, and it goes nowhere */
};

struct judgement {
	enum judge_action action;
	/* Of a refusal: "550", "5.6.0", text; text also of JUDGE_HOLD. */
	const char *code, *status, *text;
	/* Of Authentication-Results, a blank first; "" for no such field. */
	struct slice results;
	bool removes_forged;
	/* Of DKIM-Signature fields, the same. */
	const struct slice *signatures;
	size_t n_signatures;
	/* A field that a rule wants, a blank first; name "" for none. */
	const char *field_name;
	struct slice field_value;
	const char *iprev; /* result; "" when it was not looked at */
	bool was_late;
};

/* Texts are in the arena, or in the input. */
void judge_message(struct arena *arena, const struct judge_input *input,
	struct judgement *out);

/*
 * What signing it has come to, for a message that was to be accepted: it goes
 * on with its signatures, or, if there was a fault, as the settings say.
 */
void judge_signing(const struct milter_settings *settings,
	const struct signing_result *result, struct judgement *out);

/* Whether Postfix has neither of the names. */
bool judge_is_nameless(struct slice client_name, struct slice client_ptr);

const char *judge_action_name(enum judge_action action);

#endif
