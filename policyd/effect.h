#ifndef POLICYD_EFFECT_H
#define POLICYD_EFFECT_H

/*
 * What follows from a judgement: a triplet to remember, a mail to send.
 * Rules append effects to their verdict; the engine applies them after the
 * decision, whether the verdict was enforced or only observed, and drops
 * them when the request was abandoned. Applying may queue a write but never
 * waits.
 */

struct facts;
struct verdict;

struct effect {
	struct effect *next;
	const char *name; /* for explain */
	/* data belongs to the decision's arena: copy what outlives it. */
	void (*apply)(struct facts *facts, const void *data);
	const void *data;
};

/* name and data are kept, data must be of the request's arena. */
void effect_add(struct verdict *out, const char *name,
	void (*apply)(struct facts *facts, const void *data), const void *data);

#endif
