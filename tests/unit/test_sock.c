#include "common/io/sock.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io/loop.h"

#define PATIENCE_MS 10000
#define NO_GROUP    ((gid_t)-1)

/* --- parsing ------------------------------------------------------------- */

#define PATH_100                                                               \
	"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	const char *host; /* or the path */
	int port;         /* 0: a unix socket */
	const char *err;  /* a word of the message, or NULL */
} parse_cases[] = {
	/* clang-format off */
	{ "inet:127.0.0.1:7777",      "127.0.0.1", 7777,  NULL },
	{ "inet:0.0.0.0:1",           "0.0.0.0",   1,     NULL },
	{ "inet:[::1]:65535",         "::1",       65535, NULL },
	{ "inet:[::ffff:1.2.3.4]:25", "::ffff:1.2.3.4", 25, NULL },
	{ "unix:/run/policyd/policy", "/run/policyd/policy", 0, NULL },
	{ "unix:" PATH_100 "1234567", PATH_100 "1234567", 0, NULL },
	{ "",                         NULL, 0, "starts with" },
	{ "127.0.0.1:7777",           NULL, 0, "starts with" },
	{ "INET:127.0.0.1:7777",      NULL, 0, "starts with" },
	{ "inet:",                    NULL, 0, "numeric" },
	{ "inet:localhost:7777",      NULL, 0, "numeric" },
	{ "inet:127.1:7777",          NULL, 0, "numeric" },
	{ "inet:127.0.0.01:7777",     NULL, 0, "numeric" },
	{ "inet:127.0.0.256:7777",    NULL, 0, "numeric" },
	{ "inet:*:7777",              NULL, 0, "numeric" },
	{ "inet: 127.0.0.1:7777",     NULL, 0, "numeric" },
	{ "inet:[127.0.0.1]:7777",    NULL, 0, "numeric" },
	{ "inet:[fe80::1%lo]:7777",   NULL, 0, "numeric" },
	{ "inet:[" PATH_100 "]:7777", NULL, 0, "numeric" },
	{ "inet:" PATH_100 ":7777",   NULL, 0, "numeric" },
	{ "inet:::1:7777",            NULL, 0, "brackets" },
	{ "inet:[::1:7777",           NULL, 0, "brackets" },
	{ "inet:127.0.0.1",           NULL, 0, "port" },
	{ "inet:127.0.0.1:",          NULL, 0, "port" },
	{ "inet:127.0.0.1:0",         NULL, 0, "port" },
	{ "inet:127.0.0.1:65536",     NULL, 0, "port" },
	{ "inet:127.0.0.1:-1",        NULL, 0, "port" },
	{ "inet:127.0.0.1:77 ",       NULL, 0, "port" },
	{ "inet:127.0.0.1:99999999999999999999", NULL, 0, "port" },
	{ "inet:[::1]",               NULL, 0, "port" },
	{ "inet:[::1]7777",           NULL, 0, "port" },
	{ "unix:",                    NULL, 0, "absolute" },
	{ "unix:/",                   NULL, 0, "absolute" },
	{ "unix:policy",              NULL, 0, "absolute" },
	{ "unix:" PATH_100 "12345678", NULL, 0, "at most 107" },
	{ "unix:/run/a\nb",           NULL, 0, "control" },
	/* clang-format on */
};

START_TEST(parse)
{
	struct sock_address address;
	const char *err = NULL;
	const char *text = parse_cases[_i].text;
	int rc = sock_parse(slice_of(text), &address, &err);

	if (parse_cases[_i].err != NULL) {
		ck_assert_int_eq(rc, -1);
		ck_assert_msg(strstr(err, parse_cases[_i].err) != NULL,
			"%s: %s", text, err);
		return;
	}
	ck_assert_msg(rc == 0, "%s: %s", text, err);
	ck_assert_str_eq(address.text, text);
	ck_assert_int_eq(address.port, parse_cases[_i].port);
	ck_assert_int_eq(address.is_unix, parse_cases[_i].port == 0);
	ck_assert_str_eq(address.is_unix ? address.path : address.host,
		parse_cases[_i].host);
}
END_TEST

START_TEST(parse_refuses_nul)
{
	struct sock_address address;
	const char *err;

	ck_assert_int_eq(sock_parse(SLICE("unix:/run/a\0b"), &address, &err),
		-1);
}
END_TEST

/* --- listening ----------------------------------------------------------- */

static char directory[] = "/tmp/test_sock.XXXXXX";
static struct sock_address unix_address;
static char err[256];

static void
setup(void)
{
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	memset(&unix_address, 0, sizeof(unix_address));
	unix_address.is_unix = true;
	snprintf(unix_address.path, sizeof(unix_address.path), "%s/s",
		directory);
	snprintf(unix_address.text, sizeof(unix_address.text), "unix:%s",
		unix_address.path);
	err[0] = '\0';
}

static void
teardown(void)
{
	unlink(unix_address.path);
	ck_assert_int_eq(rmdir(directory), 0); /* nothing else was left */
}

static int
listen_unix(mode_t mode)
{
	return sock_listen(&unix_address, mode, NO_GROUP, err, sizeof(err));
}

/* Listens on a port that the system chooses and writes it into address. */
static int
listen_inet(struct sock_address *address, const char *host)
{
	struct sockaddr_in6 at;
	socklen_t len = sizeof(at);
	int fd;

	memset(address, 0, sizeof(*address));
	snprintf(address->host, sizeof(address->host), "%s", host);
	fd = sock_listen(address, 0, NO_GROUP, err, sizeof(err));
	if (fd < 0)
		return -1;
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	address->port = ntohs(at.sin6_port); /* at the same place in IPv4 */
	snprintf(address->text, sizeof(address->text), "inet:%s:%d", host,
		address->port);
	return fd;
}

START_TEST(unix_socket_has_the_mode_asked_for)
{
	mode_t old = umask(0077);
	struct stat st;
	int fd = listen_unix(0660);
	int peer;

	umask(old);
	ck_assert_msg(fd >= 0, "%s", err);
	ck_assert_int_eq(stat(unix_address.path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0660);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	peer = sock_connect(&unix_address);
	ck_assert_int_ge(peer, 0);
	ck_assert_int_eq(fcntl(peer, F_GETFL) & O_NONBLOCK, 0);
	close(peer);
	close(fd);
}
END_TEST

static const char *trap; /* what a link in the socket's place points to */

/*
 * Takes the place of the C library's: whoever owns the directory may do this
 * just before the mode is changed.
 */
int
lchown(const char *path, uid_t owner, gid_t group)
{
	(void)owner, (void)group;
	if (trap == NULL)
		return 0;
	return unlink(path) == 0 && symlink(trap, path) == 0 ? 0 : -1;
}

START_TEST(link_in_the_place_of_a_socket_is_not_followed)
{
	char path[sizeof(unix_address.path) + 8];
	struct stat st;

	snprintf(path, sizeof(path), "%s/secret", directory);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	trap = path;
	ck_assert_int_eq(
		sock_listen(&unix_address, 0666, getgid(), err, sizeof(err)),
		-1);
	trap = NULL;
	ck_assert_ptr_nonnull(strstr(err, "cannot change its mode"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	unlink(path);
}
END_TEST

START_TEST(stale_unix_socket_is_replaced)
{
	int fd = listen_unix(0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(access(unix_address.path, F_OK), 0);
	fd = listen_unix(0600);
	ck_assert_msg(fd >= 0, "%s", err);
	close(fd);
}
END_TEST

START_TEST(live_unix_socket_is_left_alone)
{
	int fd = listen_unix(0600);
	int peer;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(listen_unix(0600), -1);
	ck_assert_msg(strstr(err, "another process listens") != NULL, "%s",
		err);
	ck_assert_ptr_nonnull(strstr(err, unix_address.text));
	peer = sock_connect(&unix_address);
	ck_assert_int_ge(peer, 0);
	close(peer);
	close(fd);
}
END_TEST

START_TEST(other_file_is_left_alone)
{
	int fd = open(unix_address.path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	ck_assert_int_eq(listen_unix(0600), -1);
	ck_assert_ptr_nonnull(strstr(err, "not a socket"));
	ck_assert_int_eq(access(unix_address.path, F_OK), 0);
}
END_TEST

START_TEST(missing_directory_is_told)
{
	struct sock_address address = unix_address;

	snprintf(address.path, sizeof(address.path), "%s/none/s", directory);
	ck_assert_int_eq(
		sock_listen(&address, 0600, NO_GROUP, err, sizeof(err)), -1);
	ck_assert_ptr_nonnull(strstr(err, "No such file or directory"));
}
END_TEST

START_TEST(port_in_use_is_told)
{
	struct sock_address address;
	int fd = listen_inet(&address, "127.0.0.1");

	ck_assert_msg(fd >= 0, "%s", err);
	ck_assert_int_eq(sock_listen(&address, 0, NO_GROUP, err, sizeof(err)),
		-1);
	ck_assert_ptr_nonnull(strstr(err, "Address already in use"));
	ck_assert_ptr_nonnull(strstr(err, address.text));
	close(fd);
	/* Nobody there any more. */
	ck_assert_int_eq(sock_connect(&address), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
}
END_TEST

/* Connects as another user and says whether that one is let in. */
static bool
is_let_in(int fd, const struct sock_address *address, uid_t user, uid_t let_in)
{
	const pid_t pid = fork();
	bool is_one_of_us;
	int peer;

	if (pid == 0) {
		if (setresuid(user, user, user) != 0 ||
			sock_connect(address) < 0)
			_exit(1);
		pause();
	}
	while ((peer = accept(fd, NULL, NULL)) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	is_one_of_us = sock_peer_is_one_of_us(peer, let_in);
	close(peer);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return is_one_of_us;
}

START_TEST(private_socket_tells_who_connects)
{
	struct sock_address address;
	const int fd = sock_listen_private(&address, err, sizeof(err));

	ck_assert_msg(fd >= 0, "%s", err);
	ck_assert_int_eq(address.path[0], '\0');
	ck_assert(slice_starts(slice_of(address.text), SLICE("unix:@")));
	ck_assert(is_let_in(fd, &address, geteuid(), 4711));
	if (geteuid() == 0) {
		ck_assert(!is_let_in(fd, &address, 4712, 4711));
		ck_assert(is_let_in(fd, &address, 4711, 4711));
	} else {
		printf("skipped: only root can be other users\n");
	}
	close(fd);
}
END_TEST

START_TEST(ipv6_socket_takes_only_ipv6)
{
	struct sock_address address;
	int fd = listen_inet(&address, "::1");
	socklen_t len = sizeof(int);
	int is_only = 0;

	if (fd < 0 && strstr(err, "Cannot assign") != NULL)
		return; /* no IPv6 here */
	ck_assert_msg(fd >= 0, "%s", err);
	ck_assert_int_eq(
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_only, &len), 0);
	ck_assert_int_eq(is_only, 1);
	close(fd);
}
END_TEST

/* --- accepting ----------------------------------------------------------- */

struct acceptor {
	struct loop *loop;
	struct listener *listener;
	int wanted; /* stop after so many */
	int n;
	int last_fd;
	bool is_freeing;
};

static void
take(void *arg, int fd)
{
	struct acceptor *it = arg;

	it->last_fd = fd;
	if (++it->n == it->wanted)
		loop_stop(it->loop);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	if (it->is_freeing)
		listener_free(it->listener);
	else if (it->n < it->wanted)
		close(fd);
}

static void
accept_on(struct acceptor *it, int fd, int wanted)
{
	memset(it, 0, sizeof(*it));
	it->wanted = wanted;
	it->loop = loop_new();
	it->listener = listener_new(it->loop, fd, take, it);
}

START_TEST(connections_are_handed_over)
{
	struct sock_address address;
	struct acceptor it;
	int listening = listen_inet(&address, "127.0.0.1");
	socklen_t len = sizeof(int);
	int no_delay = 0;
	int peers[40];
	size_t i;

	accept_on(&it, listening, 40);
	for (i = 0; i < 40; i++)
		peers[i] = sock_connect(&address);
	loop_run_for(it.loop, PATIENCE_MS);
	ck_assert_int_eq(it.n, 40);
	getsockopt(it.last_fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len);
	ck_assert_int_ne(no_delay, 0);
	close(it.last_fd);
	for (i = 0; i < 40; i++)
		close(peers[i]);
	listener_free(it.listener);
	loop_free(it.loop);
	close(listening);
}
END_TEST

START_TEST(listener_may_be_freed_in_its_callback)
{
	struct acceptor it;
	int listening = listen_unix(0600);
	int one = sock_connect(&unix_address);
	int two = sock_connect(&unix_address);

	accept_on(&it, listening, 2);
	it.is_freeing = true;
	loop_run_for(it.loop, 5);
	ck_assert_int_eq(it.n, 1);
	close(it.last_fd);
	close(one);
	close(two);
	loop_free(it.loop);
	close(listening);
}
END_TEST

START_TEST(out_of_descriptors_pauses_and_recovers)
{
	struct acceptor it;
	struct rlimit old, low;
	int listening = listen_unix(0600);
	int peer = sock_connect(&unix_address);

	accept_on(&it, listening, 1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)peer; /* the next one would be above */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	loop_run_for(it.loop, 5);
	ck_assert_int_eq(it.n, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	loop_run_for(it.loop, PATIENCE_MS);
	ck_assert_int_eq(it.n, 1);
	close(it.last_fd);
	close(peer);
	listener_free(it.listener);
	loop_free(it.loop);
	close(listening);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sock");
	TCase *parsing = tcase_create("parse");
	TCase *tcase = tcase_create("sockets");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(parsing, parse, 0,
		(int)(sizeof(parse_cases) / sizeof(parse_cases[0])));
	tcase_add_test(parsing, parse_refuses_nul);
	suite_add_tcase(suite, parsing);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, unix_socket_has_the_mode_asked_for);
	tcase_add_test(tcase, link_in_the_place_of_a_socket_is_not_followed);
	tcase_add_test(tcase, stale_unix_socket_is_replaced);
	tcase_add_test(tcase, live_unix_socket_is_left_alone);
	tcase_add_test(tcase, other_file_is_left_alone);
	tcase_add_test(tcase, missing_directory_is_told);
	tcase_add_test(tcase, port_in_use_is_told);
	tcase_add_test(tcase, ipv6_socket_takes_only_ipv6);
	tcase_add_test(tcase, private_socket_tells_who_connects);
	tcase_add_test(tcase, connections_are_handed_over);
	tcase_add_test(tcase, listener_may_be_freed_in_its_callback);
	tcase_add_test(tcase, out_of_descriptors_pauses_and_recovers);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
