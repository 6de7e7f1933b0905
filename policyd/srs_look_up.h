#ifndef POLICYD_SRS_LOOK_UP_H
#define POLICYD_SRS_LOOK_UP_H

/*
 * Which addresses are rewritten, and what becomes of them: asked by Postfix
 * through srs_server.c and by "policyctl srs". Answers at once, from the
 * configuration and the tables in memory.
 *
 * Canonical maps of Postfix are recursive: an address of the domain that
 * signs is never rewritten.
 */

#include "policyd/postfix_map.h"

struct arena;
struct config;
struct sources;
struct srs;

#define SRS_LOOK_UP_MAX ((size_t)8 << 10)

enum srs_direction { SRS_FORWARD, SRS_REVERSE };

/*
 * text is the other address, or one sentence that says why there is none, in
 * the arena or static. The arena has room for SRS_LOOK_UP_MAX bytes.
 */
struct srs_answer {
	enum postfix_map_status status;
	struct slice text;
};

struct srs_answer srs_look_up(const struct sources *sources,
	enum srs_direction direction, struct slice address,
	struct arena *arena);

/* The domain and the secrets of a configuration, to which they belong. */
void srs_of_config(const struct config *config, struct srs *out);

#endif
