#ifndef TESTS_UNIT_SPF_WORLD_H
#define TESTS_UNIT_SPF_WORLD_H

/*
 * SPF evaluations over a DNS that a test writes down, the records of a name
 * in a line for each type:
 *
 *	example.com TXT v=spf1 a -all
 *	example.com A 192.0.2.1 192.0.2.2
 *	example.com MX mail.example.com
 *	short.example A@5 192.0.2.1
 *	slow.example A! there was no answer in time
 *	forged.example A? a signature does not fit
 *
 * Several lines of TXT are several records. A name with other types only has
 * no such record, one that is nowhere does not exist; a failure says nothing
 * of other types. Each evaluation is made with the answers in many orders, and
 * has to come to the same.
 */

#include "common/mail/spf.h"

struct arena;

/* In so many orders the answers come, one evaluation each. */
#define SPF_WORLD_ORDERS 12u
#define SPF_WORLD_TTL    300u
#define SPF_WORLD_NOW    1700000000
/* All that one evaluation may ask: with the client's names and their hosts. */
#define SPF_WORLD_QUESTIONS_MAX (SPF_QUESTIONS_MAX + 1 + SPF_NAMES_MAX)

/* What the evaluation with the answers in the order of the questions took. */
struct spf_world {
	const char *asked; /* "TXT example.com\nA example.com\n" */
	size_t n_asked, n_runs, arena_bytes;
	uint32_t ttl;
};

/*
 * What comes out: "fail by -all saying \"go away\"", "permerror since
 * example.com: ..."; valid until the next call, as what *world points to. An
 * empty sender is the null sender.
 */
const char *spf_world_judge(struct spf_world *world, const char *zone,
	const char *client, const char *sender, const char *helo);
/* The same for an input that is no address. */
const char *spf_world_judge_input(struct spf_world *world, const char *zone,
	const struct spf_input *input);

/* For whoever asks by himself: what the zone says, in the arena. */
void spf_world_look_up(struct arena *arena, const char *zone, struct slice name,
	enum dns_type type, struct dns_answer *out);

#endif
