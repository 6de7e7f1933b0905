#ifndef COMMON_MAIL_SPF_H
#define COMMON_MAIL_SPF_H

/*
 * The Sender Policy Framework (RFC 7208): may a client send for a domain?
 *
 * check_host() of the RFC, without I/O. spf_evaluate() goes as far as the
 * answers that are here allow; then spf_next_question() says what to ask the
 * DNS, spf_answer() puts an answer in, and spf_evaluate() begins again from
 * the top, as a rule does with facts: what was asked before comes in the same
 * order, so the n-th question of a run is the n-th of the run before it. What
 * did not match in one run is not looked at in the next, or the runs would be
 * as dear as who wrote the records likes.
 *
 *	while (!spf_evaluate(spf))
 *		while ((question = spf_next_question(spf)) != NULL)
 *			... ask; later spf_answer(question, answer) ...
 *
 * Local policy is not its business: no address is trusted, no result changed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dns_answer.h"
#include "common/mail/ip.h"
#include "common/mail/spf_record.h"

struct arena;
struct spf;

/* RFC 7208, 4.6.4. */
#define SPF_LOOKUPS_MAX      10u /* terms that ask the DNS */
#define SPF_VOID_LOOKUPS_MAX 2u  /* of those, terms that find nothing */
#define SPF_NAMES_MAX        10u /* hosts of one "mx", names of a client */
/* One TXT for each domain, the hosts of each "mx", the text of "exp". */
#define SPF_QUESTIONS_MAX (1 + SPF_LOOKUPS_MAX * (1 + SPF_NAMES_MAX) + 1)

/*
 * Most memory of one evaluation: eleven records of SPF_TERMS_MAX terms and
 * SPF_RECORD_MAX bytes (1.5 MiB), DNS_RECORDS_MAX addresses for each question
 * (0.7 MiB), names and texts.
 */
#define SPF_ARENA_MAX ((size_t)6 << 20)

/* Of an explanation, which its author may have made as long as a TXT is. */
#define SPF_EXPLANATION_MAX 250u

struct spf_input {
	struct ip
		client; /* an IPv4-mapped address is an IPv4 one: ip_parse() */
	struct slice local, domain; /* of the identity; domain in A-labels */
	struct slice helo;
	struct slice receiver; /* our name, for %{r}; "" for none */
	int64_t now;           /* seconds since 1970, for %{t} */
};

/*
 * Fills helo, local and domain: the identity of a sender as SMTP has it (2.4).
 * Without a local part it is the postmaster; the null sender is the postmaster
 * of the HELO name. U-labels become A-labels (RFC 8616), and what is no name
 * becomes "". The parts are in the arena, or in the arguments.
 */
void spf_identify(struct arena *arena, struct slice sender, struct slice helo,
	struct spf_input *out);

/* How far a run has come. */
struct spf_progress {
	size_t n_questions; /* the question that comes next */
	unsigned n_lookups, n_void;
};

/* What was asked, and what came. */
struct spf_question {
	struct slice target; /* the name, byte for byte */
	struct slice name;   /* the same as dns_name_parse() takes it */
	enum dns_type type;
	enum {
		SPF_UNASKED,
		SPF_ASKED, /* given out by spf_next_question() */
		SPF_ANSWERED,
	} state;
	enum dns_status status;
	struct slice reason; /* of DNS_FAILED, DNS_BOGUS */
	uint32_t ttl;
	size_t n_records;
	size_t n_spf_records; /* of those of TXT */
	const struct ip *addresses;
	const struct slice *names; /* MX, PTR: SPF_NAMES_MAX at most */
	struct slice text;         /* TXT: the first record, or SPF record */
	/* Of a TXT with one SPF record: it, or what is wrong with it. */
	struct spf_record record;
	const char *record_err;
	/*
	 * Terms of the record, or hosts of an MX, from the first, that are
	 * known not to match: they are not judged again. How far the run was
	 * behind those terms.
	 */
	size_t n_judged;
	struct spf_progress progress;
};

struct spf_outcome {
	enum spf_result result;
	/*
	 * The terms that led to it, "include:_spf.example.net ip4:192.0.2.1";
	 * "" of an error, and when none matched.
	 */
	struct slice matched;
	/* Of a fail: what the domain says of it (6.2), printable; "" if nothing
	 */
	struct slice explanation;
	/* Of an error: what was wrong, a sentence's end; printable. */
	struct slice problem;
	uint32_t ttl; /* seconds for which it holds; 0 of a temperror */
	/* With another local part the result might be another. */
	bool depends_on_local;
};

/* All of it lives in the arena; the input is copied. */
struct spf *spf_new(struct arena *arena, const struct spf_input *input);
/* True when there is an outcome, which is then in *out; false: ask. */
bool spf_evaluate(struct spf *spf, struct spf_outcome *out);
/*
 * The answers will not come. True, and *out, when there is a result all the
 * same, as only its explanation was waited for (6.2).
 */
bool spf_conclude(const struct spf *spf, struct spf_outcome *out);
/* The next question that was not given out yet; NULL: there is none. */
struct spf_question *spf_next_question(struct spf *spf);
void spf_answer(struct spf *spf, struct spf_question *question,
	const struct dns_answer *answer);
/* The i-th question, for people; NULL at the end. */
const struct spf_question *spf_question_at(const struct spf *spf, size_t i);

#endif
