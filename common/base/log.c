#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

/* Lines collect up to this size, then they are written. */
#define BUFFER_BYTES_MAX 65536
/* A longer line is cut; syslog daemons take no more in one datagram. */
#define LINE_BYTES_MAX 8192
/* A longer value of a field, or sentence, is cut. */
#define VALUE_BYTES_MAX 1024
/* The most that one byte of a value becomes: \u001f in JSON. */
#define ESCAPED_BYTES_MAX 6
/* Kept free for what ends a line: the mark of a cut and the pid. */
#define LINE_END_BYTES 64
/* Datagrams for one sendmmsg(2). */
#define BATCH_MAX      64
#define RECONNECT_US   INT64_C(1000000)
#define DEFAULT_SOCKET "/dev/log"

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

static struct {
	const char *program;
	struct log_config config;
	bool is_open;      /* before, lines are written at once */
	bool follows_fork; /* after_fork() is registered */
	pid_t pid;
	int fd;           /* syslog; -1: not connected */
	int64_t retry_us; /* no new connection before */
	uint64_t lost;
	uint64_t lost_reported;
	struct str buffer; /* whole lines, each with its newline */
	bool is_torn;      /* stderr took half of the last line */
	void (*wake)(void *arg);
	void *wake_arg;

	/* The line between log_line_begin() and log_line_end(). */
	struct str line;
	enum log_level line_level;
	bool is_line_wanted;
	bool is_line_cut; /* a field was left out */

	int64_t stamp_second; /* that stamp shows */
	char stamp[sizeof("2026-11-22T17:30:00")];
} state = {
	.program = "policyd",
	.config.level = LOG_LEVEL_INFO,
	.fd = -1,
	.buffer.limit = BUFFER_BYTES_MAX,
	.line.limit = LINE_BYTES_MAX,
	.stamp_second = -1,
};

static void
after_fork(void)
{
	state.pid = getpid();
	/* The parent writes what it had collected. */
	str_reset(&state.buffer);
}

static void
know_process(void)
{
	if (state.follows_fork)
		return;
	state.pid = getpid();
	state.follows_fork = pthread_atfork(NULL, NULL, after_fork) == 0;
}

static void
disconnect(void)
{
	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
}

static bool
is_connected(void)
{
	const char *path = state.config.syslog_socket;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int64_t now_us;

	if (state.fd >= 0)
		return true;
	now_us = clock_monotonic_us();
	if (now_us < state.retry_us)
		return false;
	state.retry_us = now_us + RECONNECT_US;
	state.fd =
		socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (state.fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		path ? path : DEFAULT_SOCKET);
	if (connect(state.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		disconnect();
	return state.fd >= 0;
}

/* Cuts up to BATCH_MAX lines off *rest; returns how many. */
static unsigned
take_lines(struct slice *rest, struct iovec *lines)
{
	struct slice line;
	unsigned n = 0;

	while (n < BATCH_MAX && rest->len > 0) {
		slice_split(rest, '\n', &line);
		lines[n].iov_base = (char *)(uintptr_t)line.ptr;
		lines[n].iov_len = line.len;
		n++;
	}
	return n;
}

/* How many of n lines the syslog socket took; tells why not all in errno. */
static unsigned
send_lines(struct iovec *lines, unsigned n)
{
	struct mmsghdr messages[BATCH_MAX] = { 0 };
	unsigned sent = 0;
	int result;

	for (unsigned i = 0; i < n; i++) {
		messages[i].msg_hdr.msg_iov = &lines[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < n) {
		if (!is_connected())
			break;
		result = sendmmsg(state.fd, messages + sent, n - sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (result > 0) {
			sent += (unsigned)result;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* The daemon was started again: its socket is a new one. */
		if (errno != EAGAIN && errno != ENOBUFS && errno != EMSGSIZE)
			disconnect();
		else
			break;
	}
	return sent;
}

static void
flush_syslog(struct slice rest)
{
	struct iovec lines[BATCH_MAX];
	unsigned n;

	while ((n = take_lines(&rest, lines)) > 0)
		state.lost += n - send_lines(lines, n);
}

/*
 * Whether a write of PIPE_BUF bytes would not block. O_NONBLOCK would be set
 * for everybody who shares the file, such as the shell. Before the log is
 * opened there is nobody yet whom a reader could hold up.
 */
static bool
stderr_takes_output(void)
{
	struct pollfd wait = { .fd = STDERR_FILENO, .events = POLLOUT };

	return !state.is_open || poll(&wait, 1, 0) != 0;
}

/* Whole lines, but for one that is longer than a write may be. */
static size_t
stderr_portion(struct slice rest)
{
	const struct slice most = slice_part(rest, 0, PIPE_BUF);
	const ptrdiff_t end = slice_find_last(most, '\n');

	return end >= 0 ? (size_t)end + 1 : most.len;
}

static void
flush_stderr(struct slice rest)
{
	bool is_within = false; /* a line */
	ssize_t n;

	while (rest.len > 0 && stderr_takes_output()) {
		/* The end of the line before was lost. */
		const struct slice part =
			state.is_torn
				? SLICE("\n")
				: slice_part(rest, 0, stderr_portion(rest));

		n = write(STDERR_FILENO, part.ptr, part.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (!state.is_torn)
			rest = slice_from(rest, (size_t)n);
		state.is_torn = false;
		is_within = part.ptr[n - 1] != '\n';
	}
	state.is_torn = state.is_torn || is_within;
	for (size_t i = 0; i < rest.len; i++)
		state.lost += rest.ptr[i] == '\n';
}

static void
write_buffer(void)
{
	struct slice lines = str_slice(&state.buffer);

	if (state.config.target == LOG_TARGET_SYSLOG)
		flush_syslog(lines);
	else
		flush_stderr(lines);
	str_reset(&state.buffer);
}

static void
append_time(struct str *line)
{
	int64_t now_us = clock_wall_us(), second = now_us / 1000000;
	unsigned ms = (unsigned)(now_us % 1000000 / 1000);
	time_t seconds = (time_t)second;
	struct tm tm;
	char fraction[] = { '.', (char)('0' + ms / 100),
		(char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z' };

	if (second != state.stamp_second) {
		gmtime_r(&seconds, &tm);
		strftime(state.stamp, sizeof(state.stamp), "%Y-%m-%dT%H:%M:%S",
			&tm);
		state.stamp_second = second;
	}
	str_append(line, state.stamp, sizeof(state.stamp) - 1);
	str_append(line, fraction, sizeof(fraction));
}

static void
append_program(struct str *line)
{
	str_append_text(line, state.program);
	str_append_char(line, '[');
	str_append_u64(line, (uint64_t)state.pid);
	str_append_text(line, "]");
}

/* What stands in front of the text or the object. */
static void
append_head(struct str *line, enum log_level level)
{
	bool is_text = state.config.format == LOG_FORMAT_TEXT;

	if (state.config.target == LOG_TARGET_SYSLOG) {
		str_append_char(line, '<');
		str_append_u64(line, (uint64_t)(state.config.syslog_facility |
						levels[level].priority));
		str_append_char(line, '>');
		append_program(line);
		str_append_text(line, ": ");
		/* Files of syslog do not show the priority. */
		if (!is_text || level == LOG_LEVEL_INFO)
			return;
	} else {
		if (!is_text)
			return;
		append_time(line);
		str_append_char(line, ' ');
		append_program(line);
		str_append_char(line, ' ');
	}
	str_append_text(line, levels[level].name);
	str_append_text(line, ": ");
}

/* Length of a character that may stand in text as it is, or 0. */
static inline size_t
plain_len(struct slice s, size_t at)
{
	unsigned char c = (unsigned char)s.ptr[at];

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	return slice_shown_len(s, at);
}

static void
append_escape(struct str *line, char byte)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char c = (unsigned char)byte;
	char escape[] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

	if (byte == '\n' || byte == '\t' || byte == '\r') {
		escape[1] = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
		str_append(line, escape, 2);
	} else if (byte == '"' || byte == '\\') {
		escape[1] = byte;
		str_append(line, escape, 2);
	} else {
		str_append(line, escape, sizeof(escape));
	}
}

/*
 * Escapes what is not printable; between quotes ('"', else 0) the quote and
 * the backslash, too.
 */
static void
append_escaped(struct str *line, struct slice text, char quote)
{
	size_t start = 0, at = 0, len;

	while (at < text.len) {
		char c = text.ptr[at];

		len = plain_len(text, at);
		if (quote && (c == quote || c == '\\'))
			len = 0;
		at += len;
		if (len > 0)
			continue;
		str_append(line, text.ptr + start, at - start);
		append_escape(line, c);
		start = ++at;
	}
	if (at > start)
		str_append(line, text.ptr + start, at - start);
}

static bool
needs_quotes(struct slice value)
{
	size_t len;

	for (size_t at = 0; at < value.len; at += len) {
		char c = value.ptr[at];

		len = plain_len(value, at);
		if (len == 0 || c == ' ' || c == '"' || c == '\\')
			return true;
	}
	return false;
}

/* The members that every JSON line has, the last one open for its value. */
static void
append_json_head(struct str *line, enum log_level level, const char *last)
{
	str_append_text(line, "{\"time\":\"");
	append_time(line);
	str_append_text(line, "\",\"level\":\"");
	str_append_text(line, levels[level].name);
	str_append_text(line, "\",\"");
	str_append_text(line, last);
	str_append_text(line, "\":");
}

static void
append_json_tail(struct str *line)
{
	str_append_text(line, ",\"pid\":");
	str_append_u64(line, (uint64_t)state.pid);
	str_append_char(line, '}');
}

/* Puts a finished line into the buffer. */
static void
collect(const struct str *line, enum log_level level)
{
	if (state.buffer.len + line->len + 1 > BUFFER_BYTES_MAX)
		write_buffer();
	str_append_slice(&state.buffer, str_slice(line));
	str_append_char(&state.buffer, '\n');
	if (!state.is_open || level == LOG_LEVEL_ERROR)
		log_flush();
	else if (state.wake != NULL && state.buffer.len == line->len + 1)
		state.wake(state.wake_arg);
}

/*
 * Builds its own line: a warning may come up while the fields of another
 * line are gathered.
 */
static void log_sentence(enum log_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
static void
log_sentence(enum log_level level, const char *format, va_list args)
{
	char text[VALUE_BYTES_MAX];
	struct str line;

	if (!log_wants(level))
		return;
	know_process();
	vsnprintf(text, sizeof(text), format, args);
	str_init(&line, LINE_BYTES_MAX);
	append_head(&line, level);
	if (state.config.format == LOG_FORMAT_TEXT) {
		append_escaped(&line, slice_of(text), 0);
	} else {
		append_json_head(&line, level, "message");
		str_append_json(&line, slice_of(text));
		append_json_tail(&line);
	}
	collect(&line, level);
	str_free(&line);
}

void
log_open(const char *program, const struct log_config *config)
{
	log_flush();
	disconnect();
	know_process();
	state.program = program;
	state.config = *config;
	state.retry_us = 0;
	state.is_open = true;
}

void
log_close(void)
{
	log_flush();
	disconnect();
	str_free(&state.buffer);
	str_free(&state.line);
	state.config = (struct log_config){ .level = LOG_LEVEL_INFO };
	state.is_open = false;
}

void
log_on_pending(void (*wake)(void *arg), void *arg)
{
	state.wake = wake;
	state.wake_arg = arg;
}

void
log_flush(void)
{
	uint64_t lost = state.lost;

	if (state.buffer.len == 0)
		return;
	write_buffer();
	if (state.lost != lost || lost == state.lost_reported)
		return;
	/* The target takes lines again. This one goes with the next flush. */
	state.lost_reported = lost;
	log_warning("%llu log lines were lost since the start",
		(unsigned long long)lost);
}

bool
log_wants(enum log_level level)
{
	return level <= state.config.level;
}

void
log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_sentence(LOG_LEVEL_ERROR, format, args);
	va_end(args);
}

void
log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_sentence(LOG_LEVEL_WARNING, format, args);
	va_end(args);
}

void
log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_sentence(LOG_LEVEL_INFO, format, args);
	va_end(args);
}

void
log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_sentence(LOG_LEVEL_DEBUG, format, args);
	va_end(args);
}

void
log_line_begin(enum log_level level, const char *event)
{
	struct str *line = &state.line;

	state.is_line_wanted = log_wants(level);
	if (!state.is_line_wanted)
		return;
	know_process();
	state.line_level = level;
	state.is_line_cut = false;
	str_reset(line);
	append_head(line, level);
	if (state.config.format == LOG_FORMAT_TEXT) {
		str_append_text(line, event);
	} else {
		append_json_head(line, level, "event");
		str_append_json(line, slice_of(event));
	}
}

/*
 * Appends what stands before a value of at most so many bytes; false if the
 * field has to be left out.
 */
static bool
begin_field(const char *key, size_t value_bytes)
{
	struct str *line = &state.line;

	if (!state.is_line_wanted)
		return false;
	if (line->len + strlen(key) + value_bytes + LINE_END_BYTES >
		LINE_BYTES_MAX) {
		state.is_line_cut = true;
		return false;
	}
	if (state.config.format == LOG_FORMAT_TEXT) {
		str_append_char(line, ' ');
		str_append_text(line, key);
		str_append_char(line, '=');
	} else {
		str_append(line, ",\"", 2);
		str_append_text(line, key);
		str_append(line, "\":", 2);
	}
	return true;
}

void
log_line_text(const char *key, struct slice value)
{
	struct str *line = &state.line;

	value = slice_part(value, 0, VALUE_BYTES_MAX);
	if (value.len == 0 || !begin_field(key, value.len * ESCAPED_BYTES_MAX))
		return;
	if (state.config.format == LOG_FORMAT_JSON) {
		str_append_json(line, value);
	} else if (needs_quotes(value)) {
		str_append_char(line, '"');
		append_escaped(line, value, '"');
		str_append_char(line, '"');
	} else {
		str_append_slice(line, value);
	}
}

void
log_line_u64(const char *key, uint64_t value)
{
	if (begin_field(key, sizeof("18446744073709551615")))
		str_append_u64(&state.line, value);
}

void
log_line_ms(const char *key, int64_t microseconds)
{
	uint64_t us = microseconds > 0 ? (uint64_t)microseconds : 0;
	char fraction[] = { '.', (char)('0' + us / 100 % 10),
		(char)('0' + us / 10 % 10), (char)('0' + us % 10) };

	if (!begin_field(key, sizeof("18446744073709551.615")))
		return;
	str_append_u64(&state.line, us / 1000);
	str_append(&state.line, fraction, sizeof(fraction));
}

void
log_line_end(void)
{
	bool is_json;

	if (!state.is_line_wanted)
		return;
	is_json = state.config.format == LOG_FORMAT_JSON;
	if (state.is_line_cut)
		str_append_text(&state.line, is_json ? ",\"cut\":1" : " cut=1");
	if (is_json)
		append_json_tail(&state.line);
	state.is_line_wanted = false;
	collect(&state.line, state.line_level);
}

uint64_t
log_lost(void)
{
	return state.lost;
}
