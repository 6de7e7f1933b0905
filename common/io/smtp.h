#ifndef COMMON_IO_SMTP_H
#define COMMON_IO_SMTP_H

/*
 * Sends notification mail through an SMTP server, over libcurl (which only
 * smtp.c includes), one message after the other. That happens in a thread of
 * its own and never holds up the loop. All functions are the loop's.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

struct loop;
struct smtp;

/* Messages under way or waiting. */
#define SMTP_QUEUE_MAX      64
#define SMTP_RECIPIENTS_MAX 256
#define SMTP_MESSAGE_MAX    (128 * 1024)
/* Longest text handed to smtp_fn. */
#define SMTP_TEXT_SIZE 512

struct smtp_config {
	/* smtp://host[:port], or smtps://; a path is the name for EHLO */
	const char *url;
	const char *user; /* NULL or "" for no authentication */
	const char *password;
	const char *sender; /* envelope sender, "" for the null sender */
	/*
	 * Insist on STARTTLS. Certificates are verified unless the host is
	 * this one (127.0.0.1, [::1], localhost).
	 */
	bool starttls;
	uint64_t timeout_ms; /* for one message, from connect to the end */
};

enum smtp_result {
	SMTP_SENT,
	SMTP_TEMPORARY, /* another try may do better */
	SMTP_PERMANENT, /* the server refused for good, or a setting is wrong */
};

/*
 * text is the server's answer or what went wrong, one line of printable
 * bytes, valid during the call. smtp_free() must not be called from here.
 */
typedef void smtp_fn(void *arg, enum smtp_result result, const char *text);

/* Copies what it needs of config. Connects to nobody yet. */
struct smtp *smtp_new(struct loop *loop, const struct smtp_config *config);
/*
 * Gives up what is under way or waiting; done is not called for it. May take
 * a second: for the end of the process, or a change of its configuration.
 */
void smtp_free(struct smtp *smtp);

/*
 * Takes a message (see smtp_message_build()) and copies it and the
 * recipients. Afterwards done is called once, from the loop. Returns -1 and
 * *err, and done is not called, when the queue is full, the message too long
 * or an address not safe. It counts as sent when one recipient was accepted.
 */
int smtp_send(struct smtp *smtp, const char *const *recipients, size_t n,
	struct slice message, smtp_fn *done, void *arg, const char **err);

#endif
