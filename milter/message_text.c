#include "milter/message_text.h"

#include <string.h>

#include "common/base/mem.h"

#define REJECT_CODE   "550"
#define REJECT_STATUS "5.7.1"
#define DEFER_CODE    "451"
#define DEFER_STATUS  "4.7.1"
/* Of what the rules answer; a header field is the longest. */
#define ANSWER_LINE_MAX 4096u
/* "5.123.123" (RFC 3463, 2). */
#define STATUS_MAX 9u

/* --- the question ------------------------------------------------------- */

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void
message_text_line(struct str *lines, const char *name, struct slice value)
{
	const size_t len = strlen(name) + value.len + 2;

	if (len > lines->limit - lines->len || len > FACTS_LINE_MAX)
		return;
	str_append_text(lines, name);
	str_append_char(lines, '=');
	for (size_t i = 0; i < value.len; i++)
		str_append_char(lines,
			is_control(value.ptr[i]) ? '?' : value.ptr[i]);
	str_append_char(lines, '\n');
}

static void
add_number(struct str *lines, const char *name, uint64_t number)
{
	str_printf(lines, "%s=%llu\n", name, (unsigned long long)number);
}

static void
add_client(struct str *lines, const struct facts_message_question *question)
{
	char address[IP_TEXT_MAX] = "";

	if (question->client.family != IP_NONE)
		(void)ip_format(&question->client, address);
	message_text_line(lines, "client_address", slice_of(address));
	message_text_line(lines, "client_name", question->client_name);
	message_text_line(lines, "reverse_client_name", question->client_ptr);
	message_text_line(lines, "helo_name", question->helo);
	message_text_line(lines, "sasl_username", question->login);
	message_text_line(lines, "sasl_method", question->mechanism);
}

/* One address as the rules compare them: local part and A-labels. */
static void
add_author(struct str *lines, const struct header_address *author)
{
	struct str text;

	str_init(&text, HEADER_FROM_BYTES_MAX);
	str_printf(&text, "%.*s@%.*s", SLICE_ARG(author->local),
		SLICE_ARG(author->domain));
	message_text_line(lines, "header_from", str_slice(&text));
	str_free(&text);
}

/* What is in several fields or cannot be read has no address that counts. */
static void
add_authors(struct str *lines, const struct header_from *from)
{
	for (size_t i = 0; i < from->n; i++)
		add_author(lines, &from->addresses[i]);
	if (from->status != HEADER_FROM_ONE &&
		from->status != HEADER_FROM_SEVERAL)
		message_text_line(lines, "header_from_problem",
			slice_of(from->err));
}

void
message_text_write(struct str *lines,
	const struct facts_message_question *question)
{
	str_append_text(lines, "request=smtpd_access_policy\n"
			       "protocol_state=MESSAGE\n");
	add_client(lines, question);
	message_text_line(lines, "sender", question->sender);
	message_text_line(lines, "queue_id", question->queue_id);
	if (question->has_size)
		add_number(lines, "size", question->size);
	add_number(lines, "recipient_count", question->n_recipients);
	add_authors(lines, question->from);
	str_append_slice(lines, question->more);
	str_append_slice(lines, question->recipients);
}

/* --- the answer --------------------------------------------------------- */

static const char *
copy(struct arena *arena, struct slice text)
{
	char *out = arena_memdup(arena, text.ptr, text.len);

	for (size_t i = 0; i < text.len; i++)
		if (is_control(out[i]))
			out[i] = '?';
	return out;
}

/* Takes the first word off. */
static struct slice
take_word(struct slice *text)
{
	struct slice word = SLICE("");

	*text = slice_trim(*text);
	(void)slice_split(text, ' ', &word);
	*text = slice_trim(*text);
	return word;
}

static bool
is_code(struct slice word, char first)
{
	return word.len == 3 && word.ptr[0] == first && word.ptr[1] >= '0' &&
	       word.ptr[1] <= '9' && word.ptr[2] >= '0' && word.ptr[2] <= '9';
}

/* Of the class of the code, as libmilter wants it. */
static bool
is_status(struct slice word, char first)
{
	size_t n_dots = 0;

	if (word.len < 5 || word.len > STATUS_MAX || word.ptr[0] != first ||
		word.ptr[1] != '.')
		return false;
	for (size_t i = 1; i < word.len; i++) {
		if (word.ptr[i] == '.' && word.ptr[i - 1] != '.')
			n_dots++;
		else if (word.ptr[i] < '0' || word.ptr[i] > '9')
			return false;
	}
	return n_dots == 2 && word.ptr[word.len - 1] != '.';
}

/* A status of its own may stand before the text (access(5)). */
static void
read_refusal(struct arena *arena, struct slice rest, struct message_answer *out)
{
	struct slice text = rest, word = take_word(&text);

	if (is_status(word, out->status[0])) {
		out->status = copy(arena, word);
		rest = text;
	}
	out->text = copy(arena, rest);
}

static void
refuse(struct message_answer *out, enum message_action action)
{
	const bool is_final = action == MESSAGE_REJECT;

	out->action = action;
	out->code = is_final ? REJECT_CODE : DEFER_CODE;
	out->status = is_final ? REJECT_STATUS : DEFER_STATUS;
}

static bool
read_code(struct arena *arena, struct slice word, struct message_answer *out)
{
	if (is_code(word, '5'))
		refuse(out, MESSAGE_REJECT);
	else if (is_code(word, '4'))
		refuse(out, MESSAGE_DEFER);
	else
		return false;
	out->code = copy(arena, word);
	return true;
}

/* A name is printable and has no colon (RFC 5322, 2.2). */
static bool
read_field(struct arena *arena, struct slice text, struct message_answer *out)
{
	const ptrdiff_t colon = slice_find(text, ':');

	for (ptrdiff_t i = 0; i < colon; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
			return false;
	if (colon <= 0)
		return false;
	out->field_name = copy(arena, slice_part(text, 0, (size_t)colon));
	out->field_value = slice_of(
		copy(arena, slice_trim(slice_from(text, (size_t)colon + 1))));
	return true;
}

static bool
read_action(struct arena *arena, struct slice rest, struct message_answer *out)
{
	const struct slice word = take_word(&rest);

	if (slice_eq(word, SLICE("DUNNO")) || slice_eq(word, SLICE("OK")))
		return true;
	if (slice_eq(word, SLICE("PREPEND")))
		return read_field(arena, rest, out);
	if (slice_eq(word, SLICE("HOLD")) || slice_eq(word, SLICE("DISCARD"))) {
		out->action = slice_eq(word, SLICE("HOLD")) ? MESSAGE_HOLD
							    : MESSAGE_DISCARD;
		out->text = copy(arena, rest);
		return true;
	}
	if (slice_eq(word, SLICE("REJECT")))
		refuse(out, MESSAGE_REJECT);
	else if (slice_eq(word, SLICE("DEFER")))
		refuse(out, MESSAGE_DEFER);
	else if (!read_code(arena, word, out))
		return false;
	read_refusal(arena, rest, out);
	return true;
}

bool
message_text_read(struct arena *arena, struct slice answer,
	struct message_answer *out)
{
	struct slice line, name;
	bool has_action = false;

	*out = (struct message_answer){ .code = "",
		.status = "",
		.text = "",
		.field_name = "",
		.rule = "",
		.override = "" };
	while (slice_split(&answer, '\n', &line)) {
		if (line.len > ANSWER_LINE_MAX)
			return false;
		if (!slice_split(&line, '=', &name) || line.ptr == NULL)
			continue;
		if (slice_eq(name, SLICE("action")))
			has_action = read_action(arena, line, out);
		else if (slice_eq(name, SLICE("rule")))
			out->rule = copy(arena, line);
		else if (slice_eq(name, SLICE("dmarc_override")))
			out->override = copy(arena, line);
	}
	return has_action;
}
