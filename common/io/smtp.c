#include "common/io/smtp.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/smtp_message.h"

/*
 * libcurl works in a thread of its own. On our loop it would stand still
 * with it: after the last byte of a message, and after QUIT, its SMTP waits
 * for the answer in poll(2), multi interface or not; and before that answer
 * Postfix may want ours, as policy server, for this very message.
 *
 * A mail belongs to the loop until smtp_send() queues it, then to the thread
 * until it is in the list of finished ones, then to the loop again.
 */

/* RFC 5321, 4.5.3.1.5: 512 octets with CRLF; more is cut. */
#define REPLY_MAX 256

enum command { COMMAND_OTHER, COMMAND_RCPT, COMMAND_QUIT };

struct mail {
	TAILQ_ENTRY(mail) link;
	struct smtp *smtp;
	smtp_fn *done;
	void *arg;

	struct curl_slist *recipients;
	size_t n_recipients;
	struct str text;
	size_t n_uploaded;

	char error[CURL_ERROR_SIZE];
	char reply[REPLY_MAX]; /* the server's last line */
	enum command command;  /* the last one sent */
	size_t n_refused;      /* recipients */
	char refusal[REPLY_MAX];

	enum smtp_result result;
	char verdict[SMTP_TEXT_SIZE];
};

TAILQ_HEAD(mail_list, mail);

struct smtp {
	/* Not changed after smtp_new(). */
	char *url, *user, *password, *sender;
	bool is_starttls;
	bool is_encrypted; /* by smtps:// or STARTTLS */
	bool is_loopback;  /* the server runs on this host */
	long timeout_ms;

	/* The loop's. */
	struct loop_watch *watch; /* of finished_fd */
	size_t n_mails;
	bool is_reporting;
	bool has_thread; /* since the first mail */
	pthread_t thread;

	int finished_fd; /* eventfd: look into finished */
	pthread_mutex_t lock;
	pthread_cond_t wake; /* something is waiting, or is_stopping */
	/* Under the lock. */
	struct mail_list waiting, finished;
	bool is_stopping;
	curl_socket_t fd; /* the connection last opened, or -1 */
};

static void
mail_free(struct mail *mail)
{
	curl_slist_free_all(mail->recipients);
	str_free(&mail->text);
	x_free(mail);
}

/* --- results ------------------------------------------------------------- */

/* One printable line, cut to the size of out. */
static void
copy_line(char *out, size_t size, const char *bytes, size_t len)
{
	struct slice line = slice_trim((struct slice){ bytes, len });
	size_t n = line.len < size - 1 ? line.len : size - 1;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		out[i] = c < ' ' || c > '~' ? '?' : line.ptr[i];
	}
	out[n] = '\0';
}

static void
set_verdict(struct mail *mail, enum smtp_result result, const char *text)
{
	mail->result = result;
	copy_line(mail->verdict, sizeof(mail->verdict), text, strlen(text));
}

static enum smtp_result
classify(CURLcode code, long reply)
{
	/* libcurl's numbers are many: what is not here is worth a retry. */
	bool is_lost = code == CURLE_OPERATION_TIMEDOUT ||
		       code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;
	bool is_setting = code == CURLE_URL_MALFORMAT ||
			  code == CURLE_UNSUPPORTED_PROTOCOL ||
			  code == CURLE_LOGIN_DENIED ||
			  code == CURLE_USE_SSL_FAILED ||
			  code == CURLE_PEER_FAILED_VERIFICATION;

	if (code == CURLE_OK)
		return SMTP_SENT;
	if (is_lost || reply / 100 == 4)
		return SMTP_TEMPORARY;
	return is_setting || reply / 100 == 5 ? SMTP_PERMANENT : SMTP_TEMPORARY;
}

static void
judge(struct mail *mail, CURLcode code, long reply)
{
	char text[SMTP_TEXT_SIZE + 2 * REPLY_MAX];

	if (code == CURLE_OK && mail->n_refused > 0)
		snprintf(text, sizeof(text),
			"%s (%zu of %zu recipients refused: %s)", mail->reply,
			mail->n_refused, mail->n_recipients, mail->refusal);
	else if (code == CURLE_OK)
		snprintf(text, sizeof(text), "%s", mail->reply);
	else
		snprintf(text, sizeof(text), "%s%s%s",
			mail->error[0] != '\0' ? mail->error
					       : curl_easy_strerror(code),
			mail->reply[0] != '\0' ? "; last reply: " : "",
			mail->reply);
	set_verdict(mail, classify(code, reply), text);
}

/* --- what libcurl asks for a mail ---------------------------------------- */

static bool
is_stopping(struct smtp *smtp)
{
	bool is_so;

	pthread_mutex_lock(&smtp->lock);
	is_so = smtp->is_stopping;
	pthread_mutex_unlock(&smtp->lock);
	return is_so;
}

static int
on_open(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct smtp *smtp = arg;

	(void)purpose;
	pthread_mutex_lock(&smtp->lock);
	smtp->fd = fd;
	pthread_mutex_unlock(&smtp->lock);
	return is_stopping(smtp) ? CURL_SOCKOPT_ERROR : CURL_SOCKOPT_OK;
}

static int
on_close(void *arg, curl_socket_t fd)
{
	struct smtp *smtp = arg;

	pthread_mutex_lock(&smtp->lock);
	if (smtp->fd == fd)
		smtp->fd = -1;
	pthread_mutex_unlock(&smtp->lock);
	return close(fd);
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return is_stopping(arg) ? 1 : 0;
}

/*
 * A command was written. libcurl does not end a transfer before it has the
 * answer to QUIT: that nobody has to wait for it, the connection is closed
 * for reading.
 */
static int
on_command(CURL *easy, curl_infotype type, char *bytes, size_t len, void *arg)
{
	struct slice command = { bytes, len };
	struct mail *mail = arg;

	(void)easy;
	if (type != CURLINFO_HEADER_OUT)
		return 0;
	mail->command = COMMAND_OTHER;
	if (slice_starts(command, SLICE("RCPT ")))
		mail->command = COMMAND_RCPT;
	if (slice_starts(command, SLICE("QUIT"))) {
		mail->command = COMMAND_QUIT;
		/* Only this thread closes it. */
		shutdown(mail->smtp->fd, SHUT_RD);
	}
	return 0;
}

/* A line of the server's. */
static size_t
on_reply(char *bytes, size_t size, size_t n, void *arg)
{
	struct mail *mail = arg;
	size_t len = size * n;

	if (mail->command == COMMAND_QUIT)
		return len;
	copy_line(mail->reply, sizeof(mail->reply), bytes, len);
	if (mail->command == COMMAND_RCPT && len > 3 && bytes[3] != '-' &&
		(bytes[0] == '4' || bytes[0] == '5')) {
		mail->n_refused++;
		memcpy(mail->refusal, mail->reply, sizeof(mail->refusal));
	}
	return len;
}

static size_t
on_upload(char *buffer, size_t size, size_t n, void *arg)
{
	struct mail *mail = arg;
	struct slice rest =
		slice_from(str_slice(&mail->text), mail->n_uploaded);
	size_t len = size * n < rest.len ? size * n : rest.len;

	if (len > 0)
		memcpy(buffer, rest.ptr, len);
	mail->n_uploaded += len;
	return len;
}

/* --- the thread ---------------------------------------------------------- */

/* So that smtp_free() can end a transfer. */
static CURLcode
set_stop(CURL *easy, struct smtp *smtp)
{
	CURLcode code;

	code = curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open);
	code |= curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, smtp);
	code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, smtp);
	code |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	code |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, smtp);
	return code;
}

/* Where to and how. */
static CURLcode
set_server(CURL *easy, const struct smtp *smtp)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, smtp->url);

	/* What the environment or ~/.netrc say does not concern a daemon. */
	code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(easy, CURLOPT_NETRC, CURL_NETRC_IGNORED);
	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, smtp->timeout_ms);
	/* TIMEOUT_MS does not count while QUIT is written. */
	code |= curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT,
		smtp->timeout_ms / 1000 + 1);
	code |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_USE_SSL,
		smtp->is_starttls ? (long)CURLUSESSL_ALL
				  : (long)CURLUSESSL_NONE);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER,
		smtp->is_loopback ? 0L : 1L);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST,
		smtp->is_loopback ? 0L : 2L);
	/* No Kerberos: its library asks servers that we do not know of. */
	code |= curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS,
		"AUTH=PLAIN;AUTH=LOGIN");
	if (smtp->user[0] == '\0')
		return code;
	code |= curl_easy_setopt(easy, CURLOPT_USERNAME, smtp->user);
	code |= curl_easy_setopt(easy, CURLOPT_PASSWORD, smtp->password);
	return code;
}

static CURLcode
set_mail(CURL *easy, struct mail *mail)
{
	CURLcode code;

	code = curl_easy_setopt(easy, CURLOPT_MAIL_FROM, mail->smtp->sender);
	code |= curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, mail->recipients);
	code |= curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
		(curl_off_t)mail->text.len);
	code |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
	code |= curl_easy_setopt(easy, CURLOPT_READDATA, mail);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, mail);
	/* Nothing is written to the log from there, least of all AUTH. */
	code |= curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_command);
	code |= curl_easy_setopt(easy, CURLOPT_DEBUGDATA, mail);
	code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, mail->error);
	return code;
}

static void
transfer(struct mail *mail)
{
	struct smtp *smtp = mail->smtp;
	long reply = 0;
	CURL *easy;

	if (smtp->user[0] != '\0' && !smtp->is_encrypted &&
		!smtp->is_loopback) {
		set_verdict(mail, SMTP_PERMANENT,
			"a password is sent to another host only over TLS");
		return;
	}
	easy = curl_easy_init();
	assert(easy != NULL);
	CURLcode code = set_server(easy, smtp) | set_stop(easy, smtp) |
			set_mail(easy, mail);
	if (code != CURLE_OK) {
		set_verdict(mail, SMTP_PERMANENT,
			"libcurl refuses the settings");
	} else {
		code = curl_easy_perform(easy);
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply);
		judge(mail, code, reply);
	}
	curl_easy_cleanup(easy);
}

/* Waits for the next mail; NULL when the thread is to end. */
static struct mail *
next_mail(struct smtp *smtp)
{
	struct mail *mail = NULL;

	pthread_mutex_lock(&smtp->lock);
	while (!smtp->is_stopping && TAILQ_EMPTY(&smtp->waiting))
		pthread_cond_wait(&smtp->wake, &smtp->lock);
	if (!smtp->is_stopping) {
		mail = TAILQ_FIRST(&smtp->waiting);
		TAILQ_REMOVE(&smtp->waiting, mail, link);
	}
	pthread_mutex_unlock(&smtp->lock);
	return mail;
}

static void *
run_thread(void *arg)
{
	struct smtp *smtp = arg;
	struct mail *mail;

	while ((mail = next_mail(smtp)) != NULL) {
		transfer(mail);
		pthread_mutex_lock(&smtp->lock);
		TAILQ_INSERT_TAIL(&smtp->finished, mail, link);
		pthread_mutex_unlock(&smtp->lock);
		(void)eventfd_write(smtp->finished_fd, 1);
	}
	return NULL;
}

/*
 * With the first mail, so that a process which forks has no thread yet. All
 * signals are blocked in it: they are the loop's, and a SIGPIPE is nobody's.
 */
static int
start_thread(struct smtp *smtp)
{
	sigset_t all, before;
	int failed;

	if (smtp->has_thread)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&smtp->thread, NULL, run_thread, smtp);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	smtp->has_thread = failed == 0;
	return failed == 0 ? 0 : -1;
}

static void
stop_thread(struct smtp *smtp)
{
	if (!smtp->has_thread)
		return;
	pthread_mutex_lock(&smtp->lock);
	smtp->is_stopping = true;
	/* Wakes libcurl, which would otherwise notice within a second. */
	if (smtp->fd >= 0)
		shutdown(smtp->fd, SHUT_RDWR);
	pthread_cond_signal(&smtp->wake);
	pthread_mutex_unlock(&smtp->lock);
	pthread_join(smtp->thread, NULL);
}

/* --- the loop's side ----------------------------------------------------- */

static void
report(void *arg, unsigned events)
{
	struct mail_list finished = TAILQ_HEAD_INITIALIZER(finished);
	struct smtp *smtp = arg;
	struct mail *mail;
	eventfd_t count;

	(void)events;
	/* Before the list is taken, so that no wake-up is lost. */
	(void)eventfd_read(smtp->finished_fd, &count);
	pthread_mutex_lock(&smtp->lock);
	TAILQ_CONCAT(&finished, &smtp->finished, link);
	pthread_mutex_unlock(&smtp->lock);

	smtp->is_reporting = true;
	while ((mail = TAILQ_FIRST(&finished)) != NULL) {
		TAILQ_REMOVE(&finished, mail, link);
		smtp->n_mails--;
		mail->done(mail->arg, mail->result, mail->verdict);
		mail_free(mail);
	}
	smtp->is_reporting = false;
}

/* What kind of server the URL names. An unreadable one fails later. */
static void
read_url(struct smtp *smtp)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL;

	assert(url != NULL);
	if (curl_url_set(url, CURLUPART_URL, smtp->url, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		smtp->is_encrypted = strcmp(scheme, "smtps") == 0;
		smtp->is_loopback = strcmp(host, "127.0.0.1") == 0 ||
				    strcmp(host, "[::1]") == 0 ||
				    strcmp(host, "localhost") == 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
}

static char *
copy_text(const char *text)
{
	return x_strdup(text != NULL ? text : "");
}

static void
open_finished_fd(struct smtp *smtp, struct loop *loop)
{
	smtp->finished_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (smtp->finished_fd < 0) {
		log_error("smtp: eventfd: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	smtp->watch = loop_watch_new(loop, smtp->finished_fd, report, smtp);
	loop_watch_set(smtp->watch, LOOP_READ);
}

struct smtp *
smtp_new(struct loop *loop, const struct smtp_config *config)
{
	struct smtp *smtp = x_new(struct smtp);

	assert(config->timeout_ms > 0 && config->timeout_ms <= LONG_MAX);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	smtp->url = copy_text(config->url);
	smtp->user = copy_text(config->user);
	smtp->password = copy_text(config->password);
	smtp->sender = copy_text(config->sender);
	smtp->timeout_ms = (long)config->timeout_ms;
	read_url(smtp);
	smtp->is_starttls = config->starttls;
	smtp->is_encrypted = smtp->is_encrypted || config->starttls;

	smtp->fd = -1;
	TAILQ_INIT(&smtp->waiting);
	TAILQ_INIT(&smtp->finished);
	pthread_mutex_init(&smtp->lock, NULL);
	pthread_cond_init(&smtp->wake, NULL);
	open_finished_fd(smtp, loop);
	return smtp;
}

void
smtp_free(struct smtp *smtp)
{
	struct mail *mail;

	if (smtp == NULL)
		return;
	assert(!smtp->is_reporting);
	stop_thread(smtp);
	TAILQ_CONCAT(&smtp->waiting, &smtp->finished, link);
	while ((mail = TAILQ_FIRST(&smtp->waiting)) != NULL) {
		TAILQ_REMOVE(&smtp->waiting, mail, link);
		mail_free(mail);
	}
	loop_watch_free(smtp->watch);
	close(smtp->finished_fd);
	pthread_cond_destroy(&smtp->wake);
	pthread_mutex_destroy(&smtp->lock);
	x_free_secret(smtp->password, strlen(smtp->password));
	x_free(smtp->sender);
	x_free(smtp->user);
	x_free(smtp->url);
	x_free(smtp);
	curl_global_cleanup();
}

/* Why a message cannot be taken, or NULL. */
static const char *
refusal(const struct smtp *smtp, const char *const *recipients, size_t n,
	struct slice message)
{
	struct slice sender = slice_of(smtp->sender);

	if (smtp->n_mails >= SMTP_QUEUE_MAX)
		return "too many messages are waiting to be sent";
	if (n == 0 || n > SMTP_RECIPIENTS_MAX)
		return "a message needs 1 to 256 recipients";
	if (message.len > SMTP_MESSAGE_MAX)
		return "the message is too long";
	if (sender.len > 0 && !smtp_address_is_safe(sender))
		return "the sender is no mail address";
	for (size_t i = 0; i < n; i++) {
		if (!smtp_address_is_safe(slice_of(recipients[i])))
			return "a recipient is no mail address";
	}
	return NULL;
}

static struct mail *
mail_new(const char *const *recipients, size_t n, struct slice message)
{
	struct mail *mail = x_new(struct mail);

	mail->n_recipients = n;
	for (size_t i = 0; i < n; i++) {
		mail->recipients =
			curl_slist_append(mail->recipients, recipients[i]);
		assert(mail->recipients != NULL);
	}
	str_init(&mail->text, 2 * SMTP_MESSAGE_MAX); /* LF becomes CRLF */
	smtp_append_lines(&mail->text, message);
	return mail;
}

int
smtp_send(struct smtp *smtp, const char *const *recipients, size_t n,
	struct slice message, smtp_fn *done, void *arg, const char **err)
{
	struct mail *mail;

	*err = refusal(smtp, recipients, n, message);
	if (*err == NULL && start_thread(smtp) < 0)
		*err = "the thread that sends mail cannot be started";
	if (*err != NULL)
		return -1;
	mail = mail_new(recipients, n, message);
	mail->smtp = smtp;
	mail->done = done;
	mail->arg = arg;
	smtp->n_mails++;
	pthread_mutex_lock(&smtp->lock);
	TAILQ_INSERT_TAIL(&smtp->waiting, mail, link);
	pthread_cond_signal(&smtp->wake);
	pthread_mutex_unlock(&smtp->lock);
	return 0;
}
