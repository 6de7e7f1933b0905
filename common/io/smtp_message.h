#ifndef COMMON_IO_SMTP_MESSAGE_H
#define COMMON_IO_SMTP_MESSAGE_H

/*
 * The text of a notification mail (RFC 5322, MIME). What goes into it may
 * come from a client: no value can begin a header or end the message.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

/* Longest sender name and subject; the rest is cut off. */
#define SMTP_TEXT_MAX 256
/* RFC 5321, 4.5.3.1.3, without the angle brackets. */
#define SMTP_ADDRESS_MAX 254

struct smtp_message {
	struct slice sender_name; /* UTF-8, may be empty */
	struct slice sender;      /* address */
	const char *const *recipients;
	size_t n_recipients;
	struct slice subject; /* UTF-8 */
	struct slice body;    /* UTF-8, lines end with LF */
	int64_t date;         /* seconds, as from clock_wall() */
};

/*
 * Whether an address can stand between the angle brackets of MAIL and RCPT
 * and in a header: no blank, control byte, bracket, comma or quote.
 */
bool smtp_address_is_safe(struct slice address);

/*
 * Appends the whole message to out, which bounds it. Control bytes of header
 * values become blanks, in addresses whatever is not safe becomes "?".
 */
void smtp_message_build(const struct smtp_message *message, struct str *out);

/* Appends text with CRLF for every CR, LF or CRLF (RFC 5321, 2.3.8). */
void smtp_append_lines(struct str *out, struct slice text);

#endif
