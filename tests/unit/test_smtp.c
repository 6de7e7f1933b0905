#include "common/io/smtp.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/smtp_message.h"
#include "common/io/sock.h"
#include "common/io/stream.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

/* Long after everything is over; reached only when something hangs. */
#define PATIENCE_MS 20000
#define TIMEOUT_MS  10000

/* --- a server on the same loop: it answers only while the loop runs ------ */

#define HANG  ""      /* no answer */
#define CLOSE "close" /* closes instead of answering */

/* AUTH PLAIN's base64 of \0user@example.com\0secret */
#define CREDENTIALS "AHVzZXJAZXhhbXBsZS5jb20Ac2VjcmV0"

/* Answers, without CRLF; NULL for the usual one. */
struct script {
	const char *greeting, *ehlo, *auth, *mail, *rcpt, *rcpt_bad, *data,
		*end, *quit;
};

static const struct script usual = {
	.greeting = "220 fake ESMTP",
	.ehlo = "250-fake\r\n250-SIZE 100000\r\n250 8BITMIME",
	.auth = "235 welcome",
	.mail = "250 sender ok",
	.rcpt = "250 recipient ok",
	.rcpt_bad = "550 5.1.1 nobody of that name",
	.data = "354 go on",
	.end = "250 2.0.0 Ok: queued as ABC",
	.quit = "221 bye",
};

struct session {
	struct stream *stream;
	bool is_in_data;
	bool is_tls; /* as the client believes */
};

static struct loop *loop;
static struct smtp *smtp;
static int server_fd;
static char server_url[64];
static struct listener *listener;
static struct script script;
static struct session sessions[SMTP_QUEUE_MAX];
static size_t n_sessions;
static size_t n_hung;       /* answers not given */
static struct str commands; /* all that clients said, without the data */
static struct str data;

static void
answer(struct session *session, const char *own, const char *usual_one)
{
	const char *text = own != NULL ? own : usual_one;

	if (strcmp(text, HANG) == 0) {
		n_hung++;
		return;
	}
	if (strcmp(text, CLOSE) == 0) {
		stream_free(session->stream);
		session->stream = NULL;
		return;
	}
	stream_write(session->stream, slice_of(text));
	stream_write(session->stream, SLICE("\r\n"));
}

static void
take_data(struct session *session, struct slice line)
{
	if (slice_eq_text(line, ".")) {
		session->is_in_data = false;
		answer(session, script.end, usual.end);
		return;
	}
	str_append_slice(&data, line);
	str_append_char(&data, '\n');
}

static void
take_command(struct session *session, struct slice line)
{
	const struct {
		const char *prefix, *own, *usual;
	} answers[] = {
		{ "EHLO", script.ehlo, usual.ehlo },
		{ "AUTH", "334 ", NULL },
		{ CREDENTIALS, script.auth, usual.auth },
		{ "STARTTLS", "220 and now TLS", NULL },
		{ "MAIL", script.mail, usual.mail },
		{ "RCPT TO:<bad", script.rcpt_bad, usual.rcpt_bad },
		{ "RCPT", script.rcpt, usual.rcpt },
		{ "DATA", script.data, usual.data },
		{ "QUIT", script.quit, usual.quit },
		{ "", "502 what", NULL },
	};
	size_t i = 0;

	str_append_slice(&commands, line);
	str_append_char(&commands, '\n');
	while (!slice_starts(line, slice_of(answers[i].prefix)))
		i++;
	if (slice_starts(line, SLICE("STARTTLS")))
		session->is_tls = true;
	if (slice_starts(line, SLICE("DATA")))
		session->is_in_data = script.data == NULL;
	answer(session, answers[i].own, answers[i].usual);
}

static void
server_input(void *arg)
{
	struct session *session = arg;

	if (session->is_tls)
		answer(session, "250 no TLS here", NULL);
	while (session->stream != NULL && !session->is_tls) {
		struct slice input = stream_input(session->stream);
		ptrdiff_t end = slice_find(input, '\n');
		char line[2048];

		if (end < 0)
			return;
		ck_assert_uint_lt((size_t)end, sizeof(line));
		memcpy(line, input.ptr, (size_t)end);
		/* Lines of SMTP end with CRLF. */
		ck_assert(end > 0 && line[end - 1] == '\r');
		stream_use(session->stream, (size_t)end + 1);
		struct slice text = { line, (size_t)end - 1 };
		if (session->is_in_data)
			take_data(session, text);
		else
			take_command(session, text);
	}
}

static void
server_end(void *arg, enum stream_end why)
{
	struct session *session = arg;

	(void)why;
	stream_free(session->stream);
	session->stream = NULL;
}

static void
server_accept(void *arg, int fd)
{
	static const struct stream_config config = { .input_max = 65536,
		.output_max = 65536,
		.on_input = server_input,
		.on_end = server_end };
	struct session *session = &sessions[n_sessions++];

	(void)arg;
	ck_assert_uint_le(n_sessions, SMTP_QUEUE_MAX);
	session->is_in_data = false;
	session->stream = stream_new(loop, fd, &config, session);
	answer(session, script.greeting, usual.greeting);
}

static void
open_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server_fd =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(server_fd, 0);
	ck_assert_int_eq(bind(server_fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(server_fd, SMTP_QUEUE_MAX), 0);
	ck_assert_int_eq(
		getsockname(server_fd, (struct sockaddr *)&address, &len), 0);
	snprintf(server_url, sizeof(server_url), "smtp://127.0.0.1:%u",
		(unsigned)ntohs(address.sin_port));
	listener = listener_new(loop, server_fd, server_accept, NULL);
}

static void
setup(void)
{
	memset(&script, 0, sizeof(script));
	memset(sessions, 0, sizeof(sessions));
	n_sessions = 0;
	n_hung = 0;
	str_init(&commands, 65536);
	str_init(&data, 65536);
	loop = loop_new();
	open_server();
}

static void
teardown(void)
{
	smtp_free(smtp);
	smtp = NULL;
	listener_free(listener);
	close(server_fd);
	for (size_t i = 0; i < n_sessions; i++) {
		if (sessions[i].stream != NULL)
			stream_free(sessions[i].stream);
	}
	loop_free(loop);
	str_free(&commands);
	str_free(&data);
}

/* --- the client's side --------------------------------------------------- */

struct outcome {
	size_t n_calls;
	size_t n_awaited; /* stops the loop when so many have come */
	enum smtp_result result;
	char text[SMTP_TEXT_SIZE];
};

static void
note(void *arg, enum smtp_result result, const char *text)
{
	struct outcome *outcome = arg;

	outcome->n_calls++;
	outcome->result = result;
	snprintf(outcome->text, sizeof(outcome->text), "%s", text);
	if (outcome->n_calls == outcome->n_awaited)
		loop_stop(loop);
}

static struct smtp_config
config(void)
{
	return (struct smtp_config){ .url = server_url,
		.sender = "policyd@example.com",
		.timeout_ms = TIMEOUT_MS };
}

static const char *const root[] = { "root@example.com" };

static int
send_text(struct outcome *outcome, const char *text)
{
	const char *err;

	return smtp_send(smtp, root, 1, slice_of(text), note, outcome, &err);
}

static struct outcome
send_one(const struct smtp_config *settings)
{
	struct outcome outcome = { .n_awaited = 1 };

	smtp = smtp_new(loop, settings);
	ck_assert_int_eq(send_text(&outcome, "Subject: x\n\nHello\n"), 0);
	ck_assert_uint_eq(outcome.n_calls, 0);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_uint_eq(outcome.n_calls, 1);
	return outcome;
}

/* Lets the server read what is on the way, such as QUIT. */
static void
run_until_sessions_end(void)
{
	for (int i = 0; i < 1000; i++) {
		size_t n_open = 0;

		for (size_t j = 0; j < n_sessions; j++)
			n_open += sessions[j].stream != NULL;
		if (n_open == 0)
			return;
		loop_run_for(loop, 5);
	}
	ck_abort_msg("a session stays open");
}

static void
assert_has(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in '%s'", part,
		text);
}

START_TEST(sends_a_message)
{
	struct smtp_config settings = config();
	struct outcome outcome = { .n_awaited = 1 };

	smtp = smtp_new(loop, &settings);
	ck_assert_int_eq(
		send_text(&outcome,
			".first\nSubject: x\r\n\rBody\n.\nQUIT\n..end"),
		0);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_int_eq(outcome.result, SMTP_SENT);
	ck_assert_str_eq(outcome.text, "250 2.0.0 Ok: queued as ABC");
	run_until_sessions_end();
	assert_has(str_text(&commands), "MAIL FROM:<policyd@example.com>");
	assert_has(str_text(&commands), "RCPT TO:<root@example.com>\n");
	assert_has(str_text(&commands), "DATA\nQUIT\n");
	ck_assert(strstr(str_text(&commands), "AUTH") == NULL);
	/* A dot before each line that begins with one. */
	ck_assert_str_eq(str_text(&data),
		"..first\nSubject: x\n\nBody\n..\nQUIT\n...end\n");
}
END_TEST

START_TEST(takes_the_null_sender)
{
	struct smtp_config settings = config();

	settings.sender = "";
	ck_assert_int_eq(send_one(&settings).result, SMTP_SENT);
	assert_has(str_text(&commands), "MAIL FROM:<>");
}
END_TEST

static const struct {
	const char *name;
	struct script script;
	uint64_t timeout_ms;
	enum smtp_result result;
	const char *text;
} trouble_cases[] = {
	{ "greeting 4xx", { .greeting = "421 busy" }, 0, SMTP_TEMPORARY,
		"421 busy" },
	{ "greeting 5xx", { .greeting = "554 go away" }, 0, SMTP_PERMANENT,
		"554 go away" },
	{ "greeting hangs", { .greeting = HANG }, 50, SMTP_TEMPORARY, "" },
	{ "greeting closes", { .greeting = CLOSE }, 0, SMTP_TEMPORARY, "" },
	{ "greeting is rubbish", { .greeting = "\001\377 HTTP/1.1 200" }, 50,
		SMTP_TEMPORARY, "" },
	{ "mail 4xx", { .mail = "450 later" }, 0, SMTP_TEMPORARY, "450 later" },
	{ "mail 5xx", { .mail = "550 never" }, 0, SMTP_PERMANENT, "550 never" },
	{ "mail hangs", { .mail = HANG }, 50, SMTP_TEMPORARY, "" },
	{ "mail closes", { .mail = CLOSE }, 0, SMTP_TEMPORARY, "" },
	{ "rcpt 4xx", { .rcpt = "450 4.7.1 greylisted" }, 0, SMTP_TEMPORARY,
		"450 4.7.1 greylisted" },
	{ "rcpt 5xx", { .rcpt = "550 5.1.1 unknown" }, 0, SMTP_PERMANENT,
		"550 5.1.1 unknown" },
	{ "rcpt 5xx, quit hangs", { .rcpt = "550 no", .quit = HANG }, 0,
		SMTP_PERMANENT, "550 no" },
	{ "rcpt closes", { .rcpt = CLOSE }, 0, SMTP_TEMPORARY, "" },
	{ "data 4xx", { .data = "451 no space" }, 0, SMTP_TEMPORARY,
		"451 no space" },
	{ "data 5xx, quit hangs", { .data = "554 no", .quit = HANG }, 0,
		SMTP_PERMANENT, "554 no" },
	{ "data closes", { .data = CLOSE }, 0, SMTP_TEMPORARY, "" },
	{ "end 4xx", { .end = "452 disk full" }, 0, SMTP_TEMPORARY,
		"452 disk full" },
	{ "end 5xx", { .end = "554 spam" }, 0, SMTP_PERMANENT, "554 spam" },
	{ "end hangs", { .end = HANG }, 50, SMTP_TEMPORARY, "" },
	{ "end closes", { .end = CLOSE }, 0, SMTP_TEMPORARY, "" },
	{ "quit 5xx", { .quit = "500 no" }, 0, SMTP_SENT, "queued as ABC" },
	{ "quit hangs", { .quit = HANG }, 0, SMTP_SENT, "queued as ABC" },
	{ "quit closes", { .quit = CLOSE }, 0, SMTP_SENT, "queued as ABC" },
};

START_TEST(tells_temporary_from_permanent)
{
	struct smtp_config settings = config();
	struct outcome outcome;

	script = trouble_cases[_i].script;
	if (trouble_cases[_i].timeout_ms > 0)
		settings.timeout_ms = trouble_cases[_i].timeout_ms;
	outcome = send_one(&settings);
	ck_assert_msg(outcome.result == trouble_cases[_i].result, "%s: %d, %s",
		trouble_cases[_i].name, (int)outcome.result, outcome.text);
	assert_has(outcome.text, trouble_cases[_i].text);
	ck_assert_uint_gt(strlen(outcome.text), 0);
	for (const char *at = outcome.text; *at != '\0'; at++)
		ck_assert(*at >= ' ' && *at <= '~');
	run_until_sessions_end();
}
END_TEST

START_TEST(reports_that_nobody_listens)
{
	struct smtp_config settings = config();

	listener_free(listener);
	close(server_fd);
	ck_assert_int_eq(send_one(&settings).result, SMTP_TEMPORARY);
	open_server();
}
END_TEST

START_TEST(sends_to_those_who_are_accepted)
{
	static const char *const recipients[] = { "bad@example.com",
		"root@example.com", "bad2@example.com" };
	struct smtp_config settings = config();
	struct outcome outcome = { .n_awaited = 1 };
	const char *err;

	smtp = smtp_new(loop, &settings);
	ck_assert_int_eq(smtp_send(smtp, recipients, 3, SLICE("\r\nx\r\n"),
				 note, &outcome, &err),
		0);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_int_eq(outcome.result, SMTP_SENT);
	assert_has(outcome.text, "queued as ABC (2 of 3 recipients refused: "
				 "550 5.1.1 nobody of that name)");
	ck_assert_str_eq(str_text(&data), "\nx\n");
}
END_TEST

START_TEST(insists_on_starttls)
{
	struct smtp_config settings = config();

	settings.starttls = true;
	ck_assert_int_eq(send_one(&settings).result, SMTP_PERMANENT);
	ck_assert(strstr(str_text(&commands), "MAIL") == NULL);
	run_until_sessions_end();
}
END_TEST

START_TEST(fails_when_tls_fails)
{
	struct smtp_config settings = config();
	struct outcome outcome;

	/* The server talks on in plain text. */
	settings.starttls = true;
	script.ehlo = "250-fake\r\n250 STARTTLS";
	outcome = send_one(&settings);
	assert_has(str_text(&commands), "STARTTLS");
	ck_assert_int_ne(outcome.result, SMTP_SENT);
	ck_assert(strstr(str_text(&commands), "MAIL") == NULL);
	run_until_sessions_end();
}
END_TEST

static const struct {
	const char *ehlo, *auth;
	enum smtp_result result;
	const char *command; /* that the server saw */
} auth_cases[] = {
	{ "250-fake\r\n250 AUTH PLAIN LOGIN", NULL, SMTP_SENT,
		"AUTH PLAIN\n" CREDENTIALS "\n" },
	{ "250-fake\r\n250 AUTH GSSAPI EXTERNAL PLAIN", NULL, SMTP_SENT,
		"AUTH PLAIN\n" },
	{ "250-fake\r\n250 AUTH PLAIN", "535 5.7.8 wrong", SMTP_PERMANENT,
		"AUTH PLAIN\n" },
	{ "250-fake\r\n250 AUTH PLAIN", "454 4.7.0 later", SMTP_TEMPORARY,
		"AUTH PLAIN\n" },
};

START_TEST(authenticates)
{
	struct smtp_config settings = config();
	struct outcome outcome;

	settings.user = "user@example.com";
	settings.password = "secret";
	script.ehlo = auth_cases[_i].ehlo;
	script.auth = auth_cases[_i].auth;
	outcome = send_one(&settings);
	ck_assert_msg(outcome.result == auth_cases[_i].result, "%s",
		outcome.text);
	assert_has(str_text(&commands), auth_cases[_i].command);
	ck_assert(strstr(outcome.text, CREDENTIALS) == NULL);
	run_until_sessions_end();
}
END_TEST

static const struct {
	const char *url, *user;
	const char *text;
} setting_cases[] = {
	{ "smtp://192.0.2.1:25", "user", "only over TLS" },
	{ "smtp://127.0.0.2:25", "user", "only over TLS" },
	{ "file:///etc/passwd", "", "" },
	{ "http://127.0.0.1/", "", "" },
	{ "smtp://", "", "" },
	{ "smtp://127.0.0.1:99999", "", "" },
};

START_TEST(refuses_settings_that_cannot_work)
{
	struct smtp_config settings = config();
	struct outcome outcome;

	settings.url = setting_cases[_i].url;
	settings.user = setting_cases[_i].user;
	settings.password = "secret";
	outcome = send_one(&settings);
	ck_assert_msg(outcome.result == SMTP_PERMANENT, "%s: %s", settings.url,
		outcome.text);
	assert_has(outcome.text, setting_cases[_i].text);
	ck_assert(strstr(outcome.text, "secret") == NULL);
	ck_assert_uint_eq(n_sessions, 0);
}
END_TEST

START_TEST(bounds_the_queue)
{
	struct smtp_config settings = config();
	struct outcome outcome = { .n_awaited = SMTP_QUEUE_MAX };

	smtp = smtp_new(loop, &settings);
	for (size_t i = 0; i < SMTP_QUEUE_MAX; i++)
		ck_assert_int_eq(send_text(&outcome, "x\n"), 0);
	ck_assert_int_eq(send_text(&outcome, "x\n"), -1);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_uint_eq(outcome.n_calls, SMTP_QUEUE_MAX);
	ck_assert_uint_eq(n_sessions, SMTP_QUEUE_MAX);
	ck_assert_uint_eq(data.len, 2 * SMTP_QUEUE_MAX);
	ck_assert_int_eq(send_text(&outcome, "x\n"), 0);
}
END_TEST

static const char *const bad_addresses[] = { "", "a b@example.com",
	"a@example.com>\r\nRCPT TO:<b@example.com", "a@example.com\n",
	"<a@example.com>", "a@example.com> SIZE=1", "a,b@example.com",
	"\"a\"@example.com", "a\177@example.com", "\377@example.com" };

START_TEST(refuses_addresses_that_break_the_dialogue)
{
	struct smtp_config settings = config();
	const char *const recipients[] = { "root", bad_addresses[_i] };
	struct outcome outcome = { .n_awaited = 1 };
	const char *err;

	smtp = smtp_new(loop, &settings);
	ck_assert_int_eq(smtp_send(smtp, recipients, 2, SLICE("x\n"), note,
				 &outcome, &err),
		-1);
	ck_assert_str_eq(err, "a recipient is no mail address");
	smtp_free(smtp);
	settings.sender = bad_addresses[_i];
	smtp = smtp_new(loop, &settings);
	if (settings.sender[0] != '\0')
		ck_assert_int_eq(send_text(&outcome, "x\n"), -1);
}
END_TEST

START_TEST(refuses_too_much)
{
	static char text[SMTP_MESSAGE_MAX + 1];
	static const char *recipients[SMTP_RECIPIENTS_MAX + 1];
	struct smtp_config settings = config();
	struct outcome outcome = { .n_awaited = 1 };
	const char *err;

	memset(text, '\n', sizeof(text));
	for (size_t i = 0; i < SMTP_RECIPIENTS_MAX + 1; i++)
		recipients[i] = "root";
	smtp = smtp_new(loop, &settings);
	ck_assert_int_eq(smtp_send(smtp, root, 1,
				 (struct slice){ text, sizeof(text) }, note,
				 &outcome, &err),
		-1);
	ck_assert_int_eq(
		smtp_send(smtp, root, 0, SLICE("x"), note, &outcome, &err), -1);
	ck_assert_int_eq(smtp_send(smtp, recipients, SMTP_RECIPIENTS_MAX + 1,
				 SLICE("x"), note, &outcome, &err),
		-1);
}
END_TEST

static const struct script hang_cases[] = {
	{ .greeting = HANG },
	{ .mail = HANG },
	{ .end = HANG },
};

START_TEST(is_freed_with_mail_under_way)
{
	struct smtp_config settings = config();
	struct outcome outcome = { 0 };

	script = hang_cases[_i];
	smtp = smtp_new(loop, &settings);
	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(send_text(&outcome, "x\n"), 0);
	for (int i = 0; i < 1000 && n_hung == 0; i++)
		loop_run_for(loop, 5);
	ck_assert_uint_eq(n_hung, 1);
	smtp_free(smtp);
	smtp = NULL;
	run_until_sessions_end();
	ck_assert_uint_eq(outcome.n_calls, 0);
	/* The others were still waiting. */
	ck_assert_uint_eq(n_sessions, 1);
}
END_TEST

static void
send_again(void *arg, enum smtp_result result, const char *text)
{
	struct outcome *outcome = arg;

	ck_assert_int_eq(send_text(outcome, "again\n"), 0);
	ck_assert_int_eq(result, SMTP_SENT);
	ck_assert_ptr_nonnull(text);
}

START_TEST(takes_another_from_within_done)
{
	struct smtp_config settings = config();
	struct outcome outcome = { .n_awaited = 1 };
	const char *err;

	smtp = smtp_new(loop, &settings);
	ck_assert_int_eq(smtp_send(smtp, root, 1, SLICE("first\n"), send_again,
				 &outcome, &err),
		0);
	loop_run_for(loop, PATIENCE_MS);
	ck_assert_int_eq(outcome.result, SMTP_SENT);
	ck_assert_str_eq(str_text(&data), "first\nagain\n");
}
END_TEST

/* --- the text of messages ------------------------------------------------ */

static const char *const two[] = { "root", "postmaster@example.com" };

static char *
build(const struct smtp_message *message)
{
	struct str out = { 0 };
	char *text;

	str_init(&out, 65536);
	smtp_message_build(message, &out);
	text = x_strdup(str_text(&out));
	str_free(&out);
	return text;
}

START_TEST(builds_a_message)
{
	struct smtp_message message = { .sender_name =
						SLICE("policyd \"a\\b\""),
		.sender = SLICE("policyd@example.com"),
		.recipients = two,
		.n_recipients = 2,
		.subject = SLICE("Throttle quota exceeded: user@example.com"),
		.body = SLICE("Hello\n.\nend"),
		.date = 1700000000 };
	char *text = build(&message);
	char *id = strstr(text, "Message-ID: <1700000000.");

	ck_assert_ptr_nonnull(id);
	assert_has(id, "@example.com>\r\nAuto-Submitted: auto-generated\r\n");
	*id = '\0';
	ck_assert_str_eq(text,
		"From: \"policyd \\\"a\\\\b\\\"\" <policyd@example.com>\r\n"
		"To: root,\r\n postmaster@example.com\r\n"
		"Subject: Throttle quota exceeded: user@example.com\r\n"
		"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n");
	assert_has(id + 1, "MIME-Version: 1.0\r\n"
			   "Content-Type: text/plain; charset=utf-8\r\n"
			   "Content-Transfer-Encoding: 7bit\r\n\r\n"
			   "Hello\r\n.\r\nend\r\n");
	x_free(text);
}
END_TEST

START_TEST(encodes_what_is_not_ascii)
{
	struct smtp_message message = { .sender_name = SLICE("B\303\274ro"),
		.sender = SLICE("policyd"),
		.recipients = two,
		.n_recipients = 1,
		.subject = SLICE("Die Gr\303\274\303\237e an alle, die es "
				 "lesen k\303\266nnen"),
		.body = SLICE("Gr\303\274\303\237e\n") };
	char *text = build(&message);

	/* No word ends within a character. */
	assert_has(text, "From: =?UTF-8?B?QsO8cm8=?= <policyd>\r\n");
	assert_has(text,
		"Subject: =?UTF-8?B?"
		"RGllIEdyw7zDn2UgYW4gYWxsZSwgZGllIGVzIGxlc2VuIGs=?=\r\n"
		" =?UTF-8?B?w7ZubmVu?=\r\n");
	assert_has(text, "Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQo=\r\n");
	assert_has(text, "@localhost>\r\n");
	x_free(text);
}
END_TEST

START_TEST(keeps_header_values_in_their_line)
{
	static const char *const evil[] = { "a\r\nBcc: b@example.com" };
	struct smtp_message message = { .sender_name = SLICE("x\r\nBcc: y"),
		.sender = SLICE("a>\r\nBcc: <b"),
		.recipients = evil,
		.n_recipients = 1,
		.subject = SLICE("x\n\n\0Bcc: z =?UTF-8?B?QQ==?="),
		.body = SLICE("\0") };
	char *text = build(&message);

	assert_has(text, "From: \"x  Bcc: y\" <a???Bcc:??b>\r\n");
	assert_has(text, "To: a??Bcc:?b@example.com\r\n");
	assert_has(text, "Subject: =?UTF-8?B?eCAgIEJjYzogeiA9P1VURi04P0I/");
	assert_has(text, "base64\r\n\r\nAA==\r\n");
	ck_assert(strstr(text, "\nBcc") == NULL);
	x_free(text);
}
END_TEST

START_TEST(bounds_header_values)
{
	char subject[1000];
	struct smtp_message message = { .sender = SLICE("a@example.com"),
		.recipients = two,
		.n_recipients = 1,
		.subject = { subject, sizeof(subject) },
		.body = { subject, sizeof(subject) } };
	char *text, *line;

	/* The limit is in the middle of a character. */
	memset(subject, 'x', sizeof(subject));
	memcpy(subject + SMTP_TEXT_MAX - 1, "\303\274", 2);
	text = build(&message);
	line = strstr(text, "Subject: ");
	ck_assert_ptr_nonnull(line);
	ck_assert_uint_eq(strcspn(line, "\r"), 9 + SMTP_TEXT_MAX - 1);
	/* No line is longer than SMTP can carry. */
	for (line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		ck_assert_uint_lt(strcspn(line, "\n"), 998);
	x_free(text);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_test(tcase, sends_a_message);
	tcase_add_test(tcase, takes_the_null_sender);
	tcase_add_loop_test(tcase, tells_temporary_from_permanent, 0,
		N(trouble_cases));
	tcase_add_test(tcase, reports_that_nobody_listens);
	tcase_add_test(tcase, sends_to_those_who_are_accepted);
	tcase_add_test(tcase, insists_on_starttls);
	tcase_add_test(tcase, fails_when_tls_fails);
	tcase_add_loop_test(tcase, authenticates, 0, N(auth_cases));
	tcase_add_loop_test(tcase, refuses_settings_that_cannot_work, 0,
		N(setting_cases));
	tcase_add_test(tcase, bounds_the_queue);
	tcase_add_loop_test(tcase, refuses_addresses_that_break_the_dialogue, 0,
		N(bad_addresses));
	tcase_add_test(tcase, refuses_too_much);
	tcase_add_loop_test(tcase, is_freed_with_mail_under_way, 0,
		N(hang_cases));
	tcase_add_test(tcase, takes_another_from_within_done);
	tcase_add_test(tcase, builds_a_message);
	tcase_add_test(tcase, encodes_what_is_not_ascii);
	tcase_add_test(tcase, keeps_header_values_in_their_line);
	tcase_add_test(tcase, bounds_header_values);
}

int
main(void)
{
	Suite *suite = suite_create("smtp");
	TCase *tcase = tcase_create("smtp");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
