#ifndef POLICYD_CHANNEL_H
#define POLICYD_CHANNEL_H

/*
 * Messages between the supervisor and one of its processes, over a socket
 * pair: a kind, a length, bytes. Both sides trust each other; the lengths
 * are checked all the same.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct config;

enum channel_kind {
	CHANNEL_READY,    /* child: it serves */
	CHANNEL_RELOAD,   /* child: somebody asked for a reload */
	CHANNEL_CHANGED,  /* both: tables were changed in another process */
	CHANNEL_CONFIG,   /* supervisor: take this configuration */
	CHANNEL_RELOADED, /* supervisor: the reload worked, remarks follow */
	CHANNEL_REFUSED,  /* supervisor: it did not, the errors follow */
	CHANNEL_KIND_COUNT
};

#define CHANNEL_MESSAGE_MAX ((uint32_t)4 << 20)

/*
 * Sends one message and waits until the peer's socket took it. Used for
 * rare, small things; a peer that takes nothing for a second is given up.
 * 0, or -1.
 */
int channel_send(int fd, enum channel_kind kind, struct slice bytes);

/* Gathers what comes in. */
struct channel {
	int fd;
	struct str buffer;
};

void channel_init(struct channel *channel, int fd);
void channel_free(struct channel *channel); /* closes fd, wipes */
/* Reads what is there without waiting. 0, or -1 when the peer is gone. */
int channel_read(struct channel *channel);
/*
 * The next whole message; bytes are valid until channel_done(). False when
 * there is none yet.
 */
bool channel_next(struct channel *channel, enum channel_kind *kind,
	struct slice *bytes);
void channel_done(struct channel *channel);

/* A configuration as the bytes of a message, with its passwords or without. */
void channel_pack_config(struct config *config, bool with_secrets,
	struct str *out);
/* One reference, or NULL (a bug on the other side). */
struct config *channel_unpack_config(struct slice bytes);

#endif
