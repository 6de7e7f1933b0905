#ifndef POLICYD_COMPARISON_H
#define POLICYD_COMPARISON_H

/*
 * What another daemon answered against what policyd would have answered
 * (parallel.h). Texts may differ; they disagree when mail goes on with one
 * of them and not with the other, or is refused for now by one and for good
 * by the other.
 */

#include "common/base/str.h"

struct decision;
struct request;
struct sources;

/* What an answer (what follows "action=") does to the mail. */
enum severity { SEVERITY_ACCEPT, SEVERITY_DEFER, SEVERITY_REJECT };

enum severity severity_of(struct slice answer);
/*
 * The rule that another daemon refused by, told from iRedAPD's texts: its
 * enum rule_id, or -1.
 */
int rule_of_answer(struct slice answer);

/*
 * The other daemon has answered: remembers the recipient, or that the
 * message is over, and counts the answer.
 */
void comparison_note(struct sources *sources, const struct request *req,
	struct slice old_reply);
/* Both are known: counts, logs and records what they say. */
void comparison_record(struct sources *sources, struct decision *decision,
	struct slice old_reply);

#endif
