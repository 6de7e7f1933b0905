#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

/*
 * The log. One line per event; nothing from outside reaches a line
 * unescaped. Lines are collected and written once per turn of the loop by
 * log_flush(); errors are written at once. A full syslog socket loses lines
 * (they are counted and reported later) rather than hold up a client. Only
 * one thread of a process may log; a forked child starts with nothing
 * collected.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_config {
	enum log_target target;
	enum log_format format;
	enum log_level level;      /* lines above it are not made */
	int syslog_facility;       /* LOG_MAIL, LOG_LOCAL5, ... of <syslog.h> */
	const char *syslog_socket; /* NULL: /dev/log */
};

/* Before this call lines go to stderr as text. program is kept, not copied. */
void log_open(const char *program, const struct log_config *config);
void log_close(void); /* flushes */
void log_flush(void);
/* wake is called when the first line is collected: time for log_flush(). */
void log_on_pending(void (*wake)(void *arg), void *arg);
bool log_wants(enum log_level level);

/* A sentence for a person. No newline at the end; control bytes are escaped. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line of key=value pairs (or a JSON object): begin, any number of fields,
 * end. Empty values are left out. In text a value with blanks, quotes or
 * bytes outside printable ASCII and UTF-8 is quoted and escaped.
 */
void log_line_begin(enum log_level level, const char *event);
void log_line_text(const char *key, struct slice value);
void log_line_u64(const char *key, uint64_t value);
void log_line_ms(const char *key, int64_t microseconds); /* as 0.123 */
void log_line_end(void);

/* How many lines were lost because the target did not take them. */
uint64_t log_lost(void);

#endif
