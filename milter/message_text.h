#ifndef MILTER_MESSAGE_TEXT_H
#define MILTER_MESSAGE_TEXT_H

/*
 * What a policy process is asked about a message (STAGE_MESSAGE), and what it
 * answers, as lines of the policy protocol. Without I/O.
 *
 * What strangers wrote becomes lines of a request and of a header: a control
 * character in it becomes "?", so that one line stays one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/header_from.h"
#include "common/mail/ip.h"

struct arena;

/*
 * Of the recipients that are told; more are only counted. The other side takes
 * no more than that (REQUEST_RECIPIENTS_MAX).
 */
#define FACTS_RECIPIENTS_MAX       1000u
#define FACTS_RECIPIENTS_BYTES_MAX ((size_t)256 << 10)
/* Of all other lines. */
#define FACTS_LINES_MAX ((size_t)256 << 10)
/*
 * Of one line. The other side refuses a request with a line of more than 64
 * KiB, and a question that is refused is a message that no rule has judged.
 */
#define FACTS_LINE_MAX ((size_t)16 << 10)

struct facts_message_question {
	struct ip client; /* IP_NONE when it is not known */
	struct slice client_name, client_ptr, helo, sender, login, mechanism;
	struct slice queue_id;
	/*
	 * As Postfix counts, with two bytes for each end of a line; not told
	 * unless has_size.
	 */
	bool has_size;
	uint64_t size;
	size_t n_recipients;
	struct slice recipients; /* lines recipient=..., as many as are kept */
	const struct header_from *from;
	/*
	 * Lines of what else was found out of the message (dmarc_result=...),
	 * made with message_text_line(); "" for none.
	 */
	struct slice more;
};

/* Appends name=value as one line, if all of it fits and is no longer than
 * FACTS_LINE_MAX. */
void message_text_line(struct str *lines, const char *name, struct slice value);

/* All lines of the question; those of the recipients come last. */
void message_text_write(struct str *lines,
	const struct facts_message_question *question);

enum message_action {
	MESSAGE_ACCEPT,
	MESSAGE_REJECT,
	MESSAGE_DEFER,
	MESSAGE_DISCARD,
	MESSAGE_HOLD,
};

/* Texts are "" where nothing was said. */
struct message_answer {
	enum message_action action;
	/* Of a refusal: "550" and "5.7.1" if nothing else was said. */
	const char *code, *status;
	const char *text; /* of a refusal, or why it is held */
	/* A field to put before the message, without the blank. */
	const char *field_name;
	struct slice field_value;
	const char *rule; /* that refuses or holds it */
	/* What DMARC asks for and is not done: TYPE COMMENT. */
	const char *override;
};

/*
 * Takes an answer apart; texts are in the arena. False when it is none, be it
 * that nobody answered or that it says what we do not know.
 */
bool message_text_read(struct arena *arena, struct slice answer,
	struct message_answer *out);

#endif
