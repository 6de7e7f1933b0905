#include "common/io/smtp_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* 36 bytes make an encoded word of 60, and with "Subject: " a line of 69. */
#define WORD_BYTES 36
/* RFC 2045, 6.8: at most 76 characters in a line of base64. */
#define BASE64_LINE_BYTES 57
/* RFC 5322, 2.1.1 allows 998. */
#define LINE_MAX_BYTES 900

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

bool
smtp_address_is_safe(struct slice address)
{
	if (address.len == 0 || address.len > SMTP_ADDRESS_MAX ||
		!slice_is_utf8(address))
		return false;
	for (size_t i = 0; i < address.len; i++) {
		char c = address.ptr[i];

		if (is_control(c) || strchr(" <>(),;\\\"", c) != NULL)
			return false;
	}
	return true;
}

void
smtp_append_lines(struct str *out, struct slice text)
{
	const char *at = text.ptr, *end = text.ptr + text.len;

	while (at < end) {
		size_t n = 0;

		while (at + n < end && at[n] != '\r' && at[n] != '\n')
			n++;
		str_append(out, at, n);
		at += n;
		if (at == end)
			return;
		str_append_text(out, "\r\n");
		at += *at == '\r' && at + 1 < end && at[1] == '\n' ? 2 : 1;
	}
}

/* The largest cut at most max that does not divide a character. */
static size_t
character_cut(struct slice text, size_t max)
{
	size_t cut = max;

	if (text.len <= max)
		return text.len;
	while (cut > 0 && ((unsigned char)text.ptr[cut] & 0xc0) == 0x80)
		cut--;
	return cut > 0 ? cut : max;
}

/* One line of valid UTF-8 made from text, in buffer. */
static struct slice
clean_line(struct slice text, char buffer[SMTP_TEXT_MAX])
{
	bool is_utf8 = slice_is_utf8(text);
	struct slice line = { buffer, character_cut(text, SMTP_TEXT_MAX) };

	for (size_t i = 0; i < line.len; i++) {
		char c = text.ptr[i];

		if (is_control(c))
			c = ' ';
		else if ((unsigned char)c > 127 && !is_utf8)
			c = '?';
		buffer[i] = c;
	}
	return slice_trim(line);
}

static void
append_base64(struct str *out, struct slice bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
		uint8_t in[3] = { 0, 0, 0 };

		memcpy(in, bytes.ptr + i, n);
		str_append_char(out, digits[in[0] >> 2]);
		str_append_char(out, digits[(in[0] & 3) << 4 | in[1] >> 4]);
		str_append_char(out,
			n < 2 ? '=' : digits[(in[1] & 15) << 2 | in[2] >> 6]);
		str_append_char(out, n < 3 ? '=' : digits[in[2] & 63]);
	}
}

/* Text that is not ASCII, or could be taken for an encoded word itself. */
static bool
needs_words(struct slice text)
{
	return !slice_is_ascii(text) ||
	       (text.len >= 2 && memmem(text.ptr, text.len, "=?", 2) != NULL);
}

/* RFC 2047, 2: words of at most 75 characters, with folds between them. */
static void
append_words(struct str *out, struct slice text)
{
	while (text.len > 0) {
		size_t cut = character_cut(text, WORD_BYTES);

		str_append_text(out, "=?UTF-8?B?");
		append_base64(out, slice_part(text, 0, cut));
		str_append_text(out, "?=");
		text = slice_from(text, cut);
		if (text.len > 0)
			str_append_text(out, "\r\n ");
	}
}

static void
append_quoted(struct str *out, struct slice text)
{
	str_append_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			str_append_char(out, '\\');
		str_append_char(out, text.ptr[i]);
	}
	str_append_char(out, '"');
}

static void
append_address(struct str *out, struct slice address)
{
	struct slice text = slice_part(address, 0, SMTP_ADDRESS_MAX);

	if (smtp_address_is_safe(text)) {
		str_append_slice(out, text);
		return;
	}
	for (size_t i = 0; i < text.len; i++) {
		struct slice byte = slice_part(text, i, i + 1);

		str_append_char(out,
			smtp_address_is_safe(byte) ? *byte.ptr : '?');
	}
}

static void
append_from(struct str *out, const struct smtp_message *message)
{
	char buffer[SMTP_TEXT_MAX];
	struct slice name = clean_line(message->sender_name, buffer);

	str_append_text(out, "From: ");
	if (needs_words(name))
		append_words(out, name);
	else if (name.len > 0)
		append_quoted(out, name);
	str_append_text(out, name.len > 0 ? " <" : "<");
	append_address(out, message->sender);
	str_append_text(out, ">\r\n");
}

static void
append_to(struct str *out, const struct smtp_message *message)
{
	str_append_text(out, "To: ");
	for (size_t i = 0; i < message->n_recipients; i++) {
		if (i > 0)
			str_append_text(out, ",\r\n ");
		append_address(out, slice_of(message->recipients[i]));
	}
	str_append_text(out, "\r\n");
}

static void
append_subject(struct str *out, struct slice subject)
{
	char buffer[SMTP_TEXT_MAX];
	struct slice text = clean_line(subject, buffer);

	str_append_text(out, "Subject: ");
	if (needs_words(text))
		append_words(out, text);
	else
		str_append_slice(out, text);
	str_append_text(out, "\r\n");
}

/* RFC 5322, 3.3. Not strftime(): names of days must not follow a locale. */
static void
append_date(struct str *out, int64_t date)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)date;
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL)
		return;
	str_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n",
		days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* The sender's domain as far as it can stand in a Message-ID. */
static struct slice
id_domain(struct slice sender)
{
	struct slice domain =
		slice_from(sender, (size_t)(slice_find_last(sender, '@') + 1));

	if (domain.len == sender.len || !smtp_address_is_safe(domain) ||
		!slice_is_ascii(domain) || slice_has_byte(domain, '['))
		return SLICE("localhost");
	return domain;
}

static void
append_message_id(struct str *out, const struct smtp_message *message)
{
	uint64_t random[2];

	/* Cannot fail for so few bytes once the pool has been filled. */
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		random[0] = random[1] = 0;
	str_printf(out,
		"Message-ID: <%" PRId64 ".%016" PRIx64 "%016" PRIx64 "@",
		message->date, random[0], random[1]);
	str_append_slice(out, id_domain(message->sender));
	str_append_text(out, ">\r\n");
}

/* Whether text can be sent as it is: short lines of printable ASCII. */
static bool
is_7bit(struct slice text)
{
	size_t n_line = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		n_line = c == '\n' ? 0 : n_line + 1;
		if (n_line > LINE_MAX_BYTES || (unsigned char)c > 127 ||
			(is_control(c) && strchr("\t\r\n", c) == NULL) ||
			c == '\0')
			return false;
	}
	return true;
}

/*
 * Base64 for all else: a server without 8BITMIME takes it, and no line in
 * it can be too long.
 */
static void
append_body(struct str *out, struct slice body)
{
	bool is_plain = is_7bit(body);

	str_append_text(out, "MIME-Version: 1.0\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n");
	str_printf(out, "Content-Transfer-Encoding: %s\r\n\r\n",
		is_plain ? "7bit" : "base64");
	if (is_plain) {
		smtp_append_lines(out, body);
		if (!slice_ends(body, SLICE("\n")))
			str_append_text(out, "\r\n");
		return;
	}
	for (size_t at = 0; at < body.len; at += BASE64_LINE_BYTES) {
		append_base64(out,
			slice_part(body, at, at + BASE64_LINE_BYTES));
		str_append_text(out, "\r\n");
	}
}

void
smtp_message_build(const struct smtp_message *message, struct str *out)
{
	append_from(out, message);
	append_to(out, message);
	append_subject(out, message->subject);
	append_date(out, message->date);
	append_message_id(out, message);
	/* RFC 3834, 5: no automatic answer to this. */
	str_append_text(out, "Auto-Submitted: auto-generated\r\n");
	append_body(out, message->body);
}
