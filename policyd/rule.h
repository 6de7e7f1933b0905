#ifndef POLICYD_RULE_H
#define POLICYD_RULE_H

/*
 * What a rule is. A rule is a pure function in one file of rules/: it reads
 * the request and facts and returns a verdict, or that it has no objection.
 * It does no I/O, keeps no state, frees nothing. When a fact it asked for is
 * not here (the fact_...() function returned false) it returns RULE_UNREADY;
 * it is called again from its top when everything it asked for has arrived,
 * or, when a fact cannot be had, its on_error setting answers for it. Asking
 * for several facts before returning fetches them together.
 *
 * Adding a rule is one file and one line in rules/rules.def.
 */

#include "policyd/config.h"
#include "policyd/facts.h"
#include "policyd/request.h"

struct effect;

enum rule_status {
	RULE_PASS,    /* no objection */
	RULE_UNREADY, /* a fact it asked for is not here */
	RULE_FINAL,   /* *out says what to answer */
	/*
	 * No objection, and the rules behind it at this stage are not asked.
	 * Postfix is answered DUNNO: OK would skip its own later checks, too.
	 */
	RULE_PERMIT,
};

enum verdict_action {
	VERDICT_DUNNO,
	VERDICT_REJECT, /* 5xx: text follows REJECT */
	VERDICT_DEFER,  /* 4xx: "451 <enhanced> text" */
	/* 2xx, and the message goes nowhere: for all of its recipients. */
	VERDICT_DISCARD,
	/*
	 * It is accepted, and waits in the queue for a person. The rules behind
	 * are asked, and one that refuses is heeded.
	 */
	VERDICT_HOLD,
};

struct verdict {
	enum verdict_action action;
	/*
	 * Enhanced status code (RFC 3463) of a VERDICT_DEFER. Of a
	 * VERDICT_REJECT with one the reply is 550; NULL: as Postfix is
	 * configured.
	 */
	const char *enhanced;
	struct slice header; /* field to put before the message; "" for none */
	struct slice more;   /* lines for the milter: rule_tell() */
	struct slice text;   /* what the client is told; of a permit: why */
	struct slice hint;   /* for explain: what would change the answer */
	struct effect *effects, **effects_end; /* see effect.h */
	struct arena *arena;
};

struct rule {
	const char *name;
	const char *summary; /* what it does, for "policyctl rules" */
	unsigned stages;     /* bits of enum stage */
	enum rule_status (*judge)(const struct request *req,
		struct facts *facts, struct verdict *out);
};

/* Every rule, by enum rule_id. */
extern const struct rule *const rules_all[RULE_ID_COUNT];

/* The answers. text is copied. All return RULE_FINAL. */
enum rule_status rule_reject(struct verdict *out, const char *text);
/* With an enhanced code of its own, such as 5.7.23 (RFC 7372). */
enum rule_status rule_reject_with(struct verdict *out, const char *enhanced,
	const char *text);
enum rule_status rule_defer(struct verdict *out, const char *enhanced,
	const char *text);
enum rule_status rule_discard(struct verdict *out, const char *text);
/* At STAGE_MESSAGE only: text is the reason, for who looks at the queue. */
enum rule_status rule_hold(struct verdict *out, const char *text);
/*
 * No objection, and a header field for the message if it is accepted, once
 * for all its recipients, be it at RCPT or at MESSAGE. field is copied; returns
 * RULE_PASS.
 */
enum rule_status rule_prepend(struct verdict *out, struct slice field);
/*
 * At STAGE_MESSAGE, from a rule in mode enforce: the milter is told name=text
 * beside the answer. Control characters become "?". Any number of times.
 */
void rule_tell(struct verdict *out, const char *name, struct slice text);
/* Returns RULE_PERMIT; reason is copied, for explain and the log. */
enum rule_status rule_permit(struct verdict *out, const char *reason);
/* What would change the answer, for explain; before the answer. */
void rule_hint(struct verdict *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
