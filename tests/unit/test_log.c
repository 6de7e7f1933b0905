#include "common/base/log.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/clock.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define START_US        INT64_C(1795449600123456) /* 2026-11-23 16:00:00.123 */

/* Takes the place of common/base/clock.c. */
static int64_t now_us;

static char directory[] = "/tmp/test_log.XXXXXX";
static char socket_path[64];
static int real_stderr = -1;
static int captured = -1; /* a file that is stderr meanwhile */
static char output[1 << 20];

int64_t
clock_wall(void)
{
	return now_us / 1000000;
}

int64_t
clock_wall_us(void)
{
	return now_us;
}

int64_t
clock_monotonic_us(void)
{
	return now_us;
}

static void
setup(void)
{
	char path[64];

	now_us = START_US;
	snprintf(path, sizeof(path), "%s/stderr", directory);
	captured = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	ck_assert_int_ge(captured, 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(captured, STDERR_FILENO);
}

static void
teardown(void)
{
	log_close();
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(captured);
	unlink(socket_path);
}

/* What was written to stderr, and forgets it. */
static const char *
take_output(void)
{
	ssize_t n = pread(captured, output, sizeof(output) - 1, 0);

	ck_assert_int_ge(n, 0);
	output[n] = '\0';
	ck_assert_int_eq(ftruncate(captured, 0), 0);
	return output;
}

/* The expected text with our pid in place of each %d. */
static const char *
with_pid(const char *expected)
{
	static char text[1024];
	const char *at;
	size_t len = 0;

	while ((at = strstr(expected, "%d"))) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%.*s%d", (int)(at - expected), expected,
			(int)getpid());
		expected = at + 2;
	}
	snprintf(text + len, sizeof(text) - len, "%s", expected);
	return text;
}

static void
open_log(enum log_target target, enum log_format format)
{
	log_open("policyd", &(struct log_config){
				    .target = target,
				    .format = format,
				    .level = LOG_LEVEL_INFO,
				    .syslog_facility = LOG_MAIL,
				    .syslog_socket = socket_path,
			    });
}

START_TEST(writes_sentences)
{
	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_info("listening on %s:%u", "::1", 10031u);
	log_debug("not wanted");
	ck_assert_str_eq(take_output(), "");
	log_flush();
	ck_assert_str_eq(take_output(),
		with_pid("2026-11-23T16:00:00.123Z policyd[%d] info: "
			 "listening on ::1:10031\n"));
	/* The second in the stamp is not kept too long. */
	now_us += 999999;
	log_warning("later");
	log_flush();
	ck_assert_str_eq(take_output(),
		with_pid("2026-11-23T16:00:01.123Z policyd[%d] warning: "
			 "later\n"));
}
END_TEST

START_TEST(writes_errors_at_once)
{
	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_info("before");
	log_error("no database");
	ck_assert_ptr_nonnull(strstr(take_output(), "before\n"));
	ck_assert_ptr_nonnull(strstr(output, "error: no database\n"));
	log_line_begin(LOG_LEVEL_ERROR, "event");
	log_line_end();
	ck_assert_ptr_nonnull(strstr(take_output(), "error: event\n"));
}
END_TEST

START_TEST(writes_at_once_before_it_is_opened)
{
	log_info("bad option");
	ck_assert_ptr_nonnull(strstr(take_output(), "] info: bad option\n"));
	log_debug("not wanted");
	ck_assert_str_eq(take_output(), "");
}
END_TEST

/* How a sentence and a value show in both formats. */
static const struct {
	const char *name;
	const char *value;
	const char *sentence;
	const char *text;
	const char *json;
} escapes[] = {
	{ "plain", "a@b.c", "a@b.c", "a@b.c", "\"a@b.c\"" },
	{ "equals sign", "prvs=1=a@b.c", "prvs=1=a@b.c", "prvs=1=a@b.c",
		"\"prvs=1=a@b.c\"" },
	{ "blank", "a b", "a b", "\"a b\"", "\"a b\"" },
	{ "quote", "\"a\"@b", "\"a\"@b", "\"\\\"a\\\"@b\"", "\"\\\"a\\\"@b\"" },
	{ "backslash", "a\\b", "a\\b", "\"a\\\\b\"", "\"a\\\\b\"" },
	{ "newline", "a\nb=c", "a\\nb=c", "\"a\\nb=c\"", "\"a\\nb=c\"" },
	{ "controls", "\r\t\x1b[0m\x7f", "\\r\\t\\x1b[0m\\x7f",
		"\"\\r\\t\\x1b[0m\\x7f\"", "\"\\r\\t\\u001b[0m\\u007f\"" },
	{ "UTF-8", "m\xc3\xbc@b", "m\xc3\xbc@b", "m\xc3\xbc@b",
		"\"m\xc3\xbc@b\"" },
	{ "not UTF-8", "m\xfc@b", "m\\xfc@b", "\"m\\xfc@b\"",
		"\"m\xef\xbf\xbd@b\"" },
	{ "cut UTF-8", "m\xc3", "m\\xc3", "\"m\\xc3\"", "\"m\xef\xbf\xbd\"" },
	{ "a C1 control", "\xc2\x9b", "\\xc2\\x9b", "\"\\xc2\\x9b\"",
		"\"\\u009b\"" },
	{ "no format", "%s%n", "%s%n", "%s%n", "\"%s%n\"" },
};

START_TEST(escapes_in_text)
{
	char expected[200];

	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_info("%s", escapes[_i].value);
	log_line_begin(LOG_LEVEL_INFO, "decision");
	log_line_text("sender", slice_of(escapes[_i].value));
	log_line_end();
	log_flush();
	snprintf(expected, sizeof(expected), "info: %s\n",
		escapes[_i].sentence);
	ck_assert_msg(strstr(take_output(), expected) != NULL, "%s", output);
	snprintf(expected, sizeof(expected), "info: decision sender=%s\n",
		escapes[_i].text);
	ck_assert_msg(strstr(output, expected) != NULL, "%s", output);
}
END_TEST

START_TEST(escapes_in_json)
{
	char expected[300];

	open_log(LOG_TARGET_STDERR, LOG_FORMAT_JSON);
	log_info("%s", escapes[_i].value);
	log_flush();
	snprintf(expected, sizeof(expected),
		"{\"time\":\"2026-11-23T16:00:00.123Z\",\"level\":\"info\","
		"\"message\":%s,\"pid\":%d}\n",
		escapes[_i].json, (int)getpid());
	ck_assert_str_eq(take_output(), expected);
	log_line_begin(LOG_LEVEL_WARNING, "decision");
	log_line_text("sender", slice_of(escapes[_i].value));
	log_line_end();
	log_flush();
	snprintf(expected, sizeof(expected),
		"{\"time\":\"2026-11-23T16:00:00.123Z\","
		"\"level\":\"warning\",\"event\":\"decision\","
		"\"sender\":%s,\"pid\":%d}\n",
		escapes[_i].json, (int)getpid());
	ck_assert_str_eq(take_output(), expected);
}
END_TEST

static void
log_fields(void)
{
	log_line_begin(LOG_LEVEL_INFO, "decision");
	log_line_text("empty", SLICE(""));
	log_line_text("null", slice_of(NULL));
	log_line_text("nul", SLICE("a\0b"));
	log_line_u64("size", UINT64_MAX);
	log_line_u64("zero", 0);
	log_line_ms("ms", 123);
	log_line_ms("long", 1234567);
	log_line_ms("back", -5);
	log_line_end();
	log_flush();
}

START_TEST(writes_fields)
{
	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_fields();
	ck_assert_str_eq(take_output(),
		with_pid("2026-11-23T16:00:00.123Z policyd[%d] info: decision "
			 "nul=\"a\\x00b\" size=18446744073709551615 zero=0 "
			 "ms=0.123 long=1234.567 back=0.000\n"));
	open_log(LOG_TARGET_STDERR, LOG_FORMAT_JSON);
	log_fields();
	ck_assert_str_eq(take_output(),
		with_pid("{\"time\":\"2026-11-23T16:00:00.123Z\","
			 "\"level\":\"info\",\"event\":\"decision\","
			 "\"nul\":\"a\\u0000b\","
			 "\"size\":18446744073709551615,\"zero\":0,"
			 "\"ms\":0.123,\"long\":1234.567,\"back\":0.000,"
			 "\"pid\":%d}\n"));
}
END_TEST

START_TEST(makes_no_line_above_its_level)
{
	struct log_config config = { .level = LOG_LEVEL_WARNING };

	log_open("policyd", &config);
	ck_assert(log_wants(LOG_LEVEL_ERROR) && log_wants(LOG_LEVEL_WARNING));
	ck_assert(!log_wants(LOG_LEVEL_INFO) && !log_wants(LOG_LEVEL_DEBUG));
	log_fields();
	log_info("a");
	log_debug("b");
	log_flush();
	ck_assert_str_eq(take_output(), "");
}
END_TEST

START_TEST(lets_a_warning_come_amid_a_line)
{
	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_line_begin(LOG_LEVEL_INFO, "decision");
	log_line_u64("a", 1);
	log_warning("amid");
	log_line_u64("b", 2);
	log_line_end();
	log_flush();
	ck_assert_ptr_nonnull(strstr(take_output(), "warning: amid\n"));
	ck_assert_ptr_nonnull(strstr(output, "info: decision a=1 b=2\n"));
}
END_TEST

/* Values are cut, fields that do not fit are left out; JSON stays whole. */
START_TEST(bounds_a_line)
{
	char value[5000];
	size_t len;

	memset(value, '\x01', sizeof(value));
	for (unsigned format = 0; format < 2; format++) {
		open_log(LOG_TARGET_STDERR, format);
		log_line_begin(LOG_LEVEL_INFO, "decision");
		for (unsigned i = 0; i < 300; i++)
			log_line_text("key", (struct slice){ value,
						     sizeof(value) / (i + 1) });
		for (unsigned i = 0; i < 300; i++)
			log_line_u64("number", i);
		log_line_end();
		log_flush();
		len = strlen(take_output());
		ck_assert_uint_gt(len, 6000);
		ck_assert_uint_le(len, 8192);
		ck_assert_int_eq(output[len - 1], '\n');
		ck_assert_ptr_nonnull(strstr(output,
			format == LOG_FORMAT_JSON
				? with_pid(",\"cut\":1,\"pid\":%d}\n")
				: " cut=1\n"));
	}
	log_info("%.*s", 4000, value);
	log_flush();
	ck_assert_uint_le(strlen(take_output()), 8192);
}
END_TEST

START_TEST(flushes_a_full_buffer_by_itself)
{
	size_t n = 0;

	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	for (unsigned i = 0; i < 3000; i++)
		log_info("line %u of many", i);
	ck_assert_uint_gt(strlen(take_output()), 100000);
	for (const char *at = output; *at; at++)
		n += *at == '\n';
	log_flush();
	take_output();
	for (const char *at = output; *at; at++)
		n += *at == '\n';
	ck_assert_uint_eq(n, 3000);
	ck_assert_ptr_nonnull(strstr(output, "line 2999 of many\n"));
}
END_TEST

static void
count_wake(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(tells_when_lines_wait)
{
	unsigned n_wakes = 0;

	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_on_pending(count_wake, &n_wakes);
	log_debug("not wanted");
	ck_assert_uint_eq(n_wakes, 0);
	log_info("first");
	log_info("second");
	ck_assert_uint_eq(n_wakes, 1);
	log_flush();
	log_flush();
	ck_assert_uint_eq(n_wakes, 1);
	log_error("at once");
	ck_assert_uint_eq(n_wakes, 1);
	log_info("third");
	ck_assert_uint_eq(n_wakes, 2);
	log_on_pending(NULL, NULL);
}
END_TEST

START_TEST(leaves_collected_lines_to_the_parent)
{
	char expected[80];
	int status;
	pid_t pid;

	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	log_info("of the parent");
	pid = fork();
	if (pid == 0) {
		log_info("of the child %d", (int)getpid());
		log_flush();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_ptr_null(strstr(take_output(), "of the parent"));
	snprintf(expected, sizeof(expected),
		"policyd[%d] info: of the child %d\n", (int)pid, (int)pid);
	ck_assert_ptr_nonnull(strstr(output, expected));
	log_flush();
	ck_assert_ptr_nonnull(strstr(take_output(), "of the parent\n"));
}
END_TEST

static int
listen_syslog(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	unlink(socket_path);
	memcpy(address.sun_path, socket_path, sizeof(socket_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
		0);
	return fd;
}

/* The next datagram, or NULL. */
static const char *
receive(int fd)
{
	ssize_t n = recv(fd, output, sizeof(output) - 1, 0);

	output[n < 0 ? 0 : n] = '\0';
	return n < 0 ? NULL : output;
}

START_TEST(sends_to_syslog)
{
	int fd = listen_syslog();

	open_log(LOG_TARGET_SYSLOG, LOG_FORMAT_TEXT);
	log_info("one");
	log_fields();
	log_warning("two");
	log_flush();
	ck_assert_str_eq(receive(fd), with_pid("<22>policyd[%d]: one"));
	ck_assert_str_eq(receive(fd),
		with_pid("<22>policyd[%d]: decision nul=\"a\\x00b\" "
			 "size=18446744073709551615 zero=0 ms=0.123 "
			 "long=1234.567 back=0.000"));
	ck_assert_str_eq(receive(fd),
		with_pid("<20>policyd[%d]: warning: two"));
	ck_assert_ptr_null(receive(fd));
	open_log(LOG_TARGET_SYSLOG, LOG_FORMAT_JSON);
	log_error("three");
	ck_assert_str_eq(receive(fd),
		with_pid("<19>policyd[%d]: "
			 "{\"time\":\"2026-11-23T16:00:00.123Z\","
			 "\"level\":\"error\",\"message\":\"three\","
			 "\"pid\":%d}"));
	ck_assert_str_eq(take_output(), "");
	close(fd);
}
END_TEST

START_TEST(counts_lines_that_a_full_socket_refuses)
{
	uint64_t before = log_lost();
	unsigned n = 0;
	char expected[100];
	int fd = listen_syslog();

	open_log(LOG_TARGET_SYSLOG, LOG_FORMAT_TEXT);
	for (unsigned i = 0; i < 2000; i++)
		log_info("%u", i);
	log_flush();
	ck_assert_uint_gt(log_lost(), before);
	while (receive(fd))
		n++;
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(n + log_lost() - before, 2000);

	/* There is room again: the loss is told, once. */
	log_info("again");
	log_flush();
	log_flush();
	log_flush();
	ck_assert_ptr_nonnull(strstr(receive(fd), ": again"));
	snprintf(expected, sizeof(expected),
		": warning: %llu log lines were lost since the start",
		(unsigned long long)log_lost());
	ck_assert_ptr_nonnull(strstr(receive(fd), expected));
	ck_assert_ptr_null(receive(fd));
	close(fd);
}
END_TEST

/* A reader that stands still must not hold us up. */
START_TEST(counts_lines_that_a_full_pipe_refuses)
{
	static char value[1000], line[9000];
	uint64_t before = log_lost();
	size_t n_lines = 0, len = 0;
	int fds[2];
	ssize_t n;

	memset(value, 'v', sizeof(value));
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	open_log(LOG_TARGET_STDERR, LOG_FORMAT_TEXT);
	for (unsigned i = 0; i < 100; i++) {
		log_line_begin(LOG_LEVEL_INFO, "long");
		for (unsigned field = 0; field < 7; field++)
			log_line_text("f",
				(struct slice){ value, sizeof(value) });
		log_line_end();
	}
	log_flush();
	ck_assert_uint_gt(log_lost(), before);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fds[0], output, sizeof(output))) > 0)
		len += (size_t)n;
	ck_assert_uint_gt(len, 0);

	/* The next line is one of its own. */
	log_info("again");
	log_flush();
	n = read(fds[0], line, sizeof(line) - 1);
	ck_assert_int_gt(n, 0);
	line[n] = '\0';
	ck_assert_ptr_nonnull(strstr(line, "info: again\n"));
	ck_assert(line[0] == '\n' || strncmp(line, "2026", 4) == 0);
	for (size_t i = 0; i < (size_t)n; i++)
		n_lines += line[i] == '\n';
	ck_assert_uint_le(n_lines, 2);
	dup2(captured, STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(finds_a_syslog_that_comes_late_or_again)
{
	uint64_t before = log_lost();
	int fd;

	open_log(LOG_TARGET_SYSLOG, LOG_FORMAT_TEXT);
	log_info("nobody");
	log_flush();
	ck_assert_uint_eq(log_lost(), before + 1);

	/* No new attempt for each line, but after a second. */
	fd = listen_syslog();
	log_info("too soon");
	log_flush();
	ck_assert_uint_eq(log_lost(), before + 2);
	now_us += 1000000;
	log_info("late");
	log_flush();
	ck_assert_ptr_nonnull(strstr(receive(fd), ": late"));

	close(fd);
	fd = listen_syslog();
	now_us += 1000000;
	log_info("again");
	log_flush();
	/* The report of the loss came into the buffer first. */
	ck_assert_ptr_nonnull(strstr(receive(fd), "lines were lost"));
	ck_assert_ptr_nonnull(strstr(receive(fd), ": again"));
	ck_assert_uint_eq(log_lost(), before + 2);
	close(fd);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_test(tcase, writes_at_once_before_it_is_opened);
	tcase_add_test(tcase, writes_sentences);
	tcase_add_test(tcase, writes_errors_at_once);
	tcase_add_loop_test(tcase, escapes_in_text, 0, COUNT_OF(escapes));
	tcase_add_loop_test(tcase, escapes_in_json, 0, COUNT_OF(escapes));
	tcase_add_test(tcase, writes_fields);
	tcase_add_test(tcase, makes_no_line_above_its_level);
	tcase_add_test(tcase, lets_a_warning_come_amid_a_line);
	tcase_add_test(tcase, bounds_a_line);
	tcase_add_test(tcase, flushes_a_full_buffer_by_itself);
	tcase_add_test(tcase, tells_when_lines_wait);
	tcase_add_test(tcase, leaves_collected_lines_to_the_parent);
	tcase_add_test(tcase, sends_to_syslog);
	tcase_add_test(tcase, counts_lines_that_a_full_socket_refuses);
	tcase_add_test(tcase, counts_lines_that_a_full_pipe_refuses);
	tcase_add_test(tcase, finds_a_syslog_that_comes_late_or_again);
}

static void
remove_directory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/stderr", directory);
	unlink(path);
	rmdir(directory);
}

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	if (!mkdtemp(directory))
		return EXIT_FAILURE;
	snprintf(socket_path, sizeof(socket_path), "%s/log", directory);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	remove_directory();
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
