#include "common/io/sock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/io/loop.h"

/* How long to wait while another process binds in the same directory. */
#define LOCK_TRIES    100
#define LOCK_PAUSE_NS (20 * 1000 * 1000)

/* Connections taken per turn: leaves some to other processes on the socket. */
#define ACCEPTS_PER_TURN 16
/* Pause when descriptors or memory ran out. */
#define ACCEPT_PAUSE_MS 1000

#define INET_PREFIX "inet:"
#define UNIX_PREFIX "unix:"

/* --- addresses ----------------------------------------------------------- */

static const char err_kind[] = "an address starts with \"inet:\" or \"unix:\", "
			       "such as inet:127.0.0.1:7777";
static const char err_host[] = "the host must be a numeric address such as "
			       "127.0.0.1 or [::1]";
static const char err_bracket[] = "an IPv6 address stands in brackets, such as "
				  "inet:[::1]:7777";
static const char err_port[] = "the port must be a number from 1 to 65535, "
			       "such as inet:127.0.0.1:7777";
static const char err_path[] = "the path of a unix socket must be absolute, "
			       "such as unix:/run/policyd/policy";
static const char err_long[] = "the path of a unix socket has at most 107 "
			       "bytes";
static const char err_byte[] = "an address has no control characters";

static bool
has_control_bytes(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return true;
	return false;
}

static void
copy(char *out, size_t size, struct slice text)
{
	assert(text.len < size);
	if (text.len > 0)
		memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
}

/* Whether host, as it stands in out, is an address of this family. */
static bool
is_numeric(const char *host, int family)
{
	struct in6_addr addr;

	return inet_pton(family, host, &addr) == 1;
}

static const char *
parse_port(struct slice text, struct sock_address *out)
{
	uint64_t port;

	if (!num_parse_u64(text, 65535, &port) || port == 0)
		return err_port;
	out->port = (int)port;
	return NULL;
}

/* rest is behind the opening bracket. */
static const char *
parse_inet6(struct slice rest, struct sock_address *out)
{
	ptrdiff_t close = slice_find(rest, ']');
	struct slice host;

	if (close < 0)
		return err_bracket;
	host = slice_part(rest, 0, (size_t)close);
	rest = slice_from(rest, (size_t)close + 1);
	if (host.len >= sizeof(out->host))
		return err_host;
	copy(out->host, sizeof(out->host), host);
	if (!is_numeric(out->host, AF_INET6))
		return err_host;
	if (rest.len == 0 || rest.ptr[0] != ':')
		return err_port;
	return parse_port(slice_from(rest, 1), out);
}

static const char *
parse_inet(struct slice rest, struct sock_address *out)
{
	ptrdiff_t colon = slice_find_last(rest, ':');
	struct slice host;

	if (rest.len > 0 && rest.ptr[0] == '[')
		return parse_inet6(slice_from(rest, 1), out);
	if (colon >= 0 && slice_find(rest, ':') != colon)
		return err_bracket;
	host = slice_part(rest, 0, colon < 0 ? rest.len : (size_t)colon);
	if (host.len >= sizeof(out->host))
		return err_host;
	copy(out->host, sizeof(out->host), host);
	if (!is_numeric(out->host, AF_INET))
		return err_host;
	if (colon < 0)
		return err_port;
	return parse_port(slice_from(rest, (size_t)colon + 1), out);
}

static const char *
parse_unix(struct slice rest, struct sock_address *out)
{
	out->is_unix = true;
	if (rest.len < 2 || rest.ptr[0] != '/')
		return err_path;
	if (rest.len >= sizeof(out->path))
		return err_long;
	copy(out->path, sizeof(out->path), rest);
	return NULL;
}

int
sock_parse(struct slice text, struct sock_address *out, const char **err)
{
	memset(out, 0, sizeof(*out));
	if (has_control_bytes(text))
		*err = err_byte;
	else if (slice_starts(text, SLICE(UNIX_PREFIX)))
		*err = parse_unix(slice_from(text, strlen(UNIX_PREFIX)), out);
	else if (slice_starts(text, SLICE(INET_PREFIX)))
		*err = parse_inet(slice_from(text, strlen(INET_PREFIX)), out);
	else
		*err = err_kind;
	if (*err != NULL)
		return -1;
	copy(out->text, sizeof(out->text), text);
	return 0;
}

/* --- the system's form --------------------------------------------------- */

union any_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

/* Behind its NUL the name of an abstract one ends where it ends. */
static socklen_t
unix_length(const struct sock_address *address)
{
	if (address->path[0] != '\0')
		return sizeof(struct sockaddr_un);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(address->path + 1));
}

static socklen_t
to_system(const struct sock_address *address, union any_address *out)
{
	int is_valid;

	memset(out, 0, sizeof(*out));
	if (address->is_unix) {
		out->un.sun_family = AF_UNIX;
		memcpy(out->un.sun_path, address->path, sizeof(address->path));
		return unix_length(address);
	}
	if (inet_pton(AF_INET, address->host, &out->in.sin_addr) == 1) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons((uint16_t)address->port);
		return sizeof(out->in);
	}
	out->in6.sin6_family = AF_INET6;
	out->in6.sin6_port = htons((uint16_t)address->port);
	is_valid = inet_pton(AF_INET6, address->host, &out->in6.sin6_addr);
	assert(is_valid == 1); /* sock_parse() has seen to it */
	return sizeof(out->in6);
}

static void
close_keep_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

/*
 * A socket connected to address, or, with SOCK_NONBLOCK, on its way there; or
 * -1 with errno set.
 */
static int
connect_with(const struct sock_address *address, int flags)
{
	union any_address to;
	socklen_t len = to_system(address, &to);
	int fd =
		socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, &to.any, len) != 0 && errno != EINPROGRESS) {
		close_keep_errno(fd);
		return -1;
	}
	return fd;
}

int
sock_connect(const struct sock_address *address)
{
	return connect_with(address, 0);
}

int
sock_connect_begin(const struct sock_address *address)
{
	return connect_with(address, SOCK_NONBLOCK);
}

/* --- listening ----------------------------------------------------------- */

struct report {
	const struct sock_address *address;
	char *text;
	size_t size;
};

/* "ADDRESS: what", with the text of errno unless that is 0; gives -1. */
static int
fail(struct report *report, const char *what, int error)
{
	int n;

	if (error != 0)
		n = snprintf(report->text, report->size, "%s: %s: %s",
			report->address->text, what, strerror(error));
	else
		n = snprintf(report->text, report->size, "%s: %s",
			report->address->text, what);
	assert(n > 0);
	return -1;
}

static int
open_socket(const union any_address *at, struct report *report)
{
	int fd = socket(at->any.sa_family,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 ? fd : fail(report, "cannot make a socket", errno);
}

static int
set_option(int fd, int level, int option)
{
	static const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

/* Linux hands TCP_NODELAY of the listening socket on to each connection. */
static int
set_inet_options(int fd, int family)
{
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) != 0 ||
		set_option(fd, IPPROTO_TCP, TCP_NODELAY) != 0)
		return -1;
	if (family == AF_INET6)
		return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	return 0;
}

static int
listen_inet(const struct sock_address *address, struct report *report)
{
	union any_address at;
	socklen_t len = to_system(address, &at);
	int fd = open_socket(&at, report);

	if (fd < 0)
		return -1;
	if (set_inet_options(fd, at.any.sa_family) != 0)
		fail(report, "cannot set up the socket", errno);
	else if (bind(fd, &at.any, len) != 0)
		fail(report, "cannot bind", errno);
	else if (listen(fd, SOMAXCONN) != 0)
		fail(report, "cannot listen", errno);
	else
		return fd;
	close(fd);
	return -1;
}

/*
 * Between seeing that nobody listens on a socket and removing it another
 * process may have bound its own there. So all of it is done under a lock,
 * which is taken on the directory: it needs no file that would stay behind.
 * Returns the descriptor to close, or -1.
 */
static int
lock_directory(const struct sock_address *address, struct report *report)
{
	const struct timespec pause = { 0, LOCK_PAUSE_NS };
	char path[sizeof(address->path)];
	int tries;
	int fd;

	memcpy(path, address->path, sizeof(path));
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(report, "cannot open its directory", errno);
	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
		if (errno != EWOULDBLOCK || tries == LOCK_TRIES) {
			fail(report, "cannot lock its directory", errno);
			close(fd);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

/* Makes sure that nothing is at the path; never takes a live socket away. */
static int
clear_path(const struct sock_address *address, struct report *report)
{
	struct stat st;
	int fd;

	if (lstat(address->path, &st) != 0) {
		if (errno == ENOENT)
			return 0;
		return fail(report, "cannot look at it", errno);
	}
	if (!S_ISSOCK(st.st_mode))
		return fail(report, "exists and is not a socket", 0);
	fd = connect_with(address, SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	/* EAGAIN: somebody listens, and many wait for him. */
	if (fd >= 0 || errno == EAGAIN)
		return fail(report, "another process listens on it", 0);
	if (errno != ECONNREFUSED)
		return fail(report, "cannot tell whether it is in use", errno);
	if (unlink(address->path) != 0)
		return fail(report, "cannot remove the old socket", errno);
	return 0;
}

/*
 * Group before mode, so that no other group ever has what mode grants. We may
 * be root in a directory of somebody else: whoever puts a symbolic link in
 * the socket's place must not get at what it points to.
 */
static int
set_access(const struct sock_address *address, mode_t mode, gid_t gid,
	struct report *report)
{
	if (gid != (gid_t)-1 && lchown(address->path, (uid_t)-1, gid) != 0)
		return fail(report, "cannot change its group", errno);
	if (fchmodat(AT_FDCWD, address->path, mode, AT_SYMLINK_NOFOLLOW) != 0)
		return fail(report, "cannot change its mode", errno);
	return 0;
}

/* Binds fd, open to the owner at most: bind() takes over the mode of fd. */
static int
bind_unix(int fd, const struct sock_address *address, struct report *report)
{
	union any_address at;
	socklen_t len = to_system(address, &at);

	if (fchmod(fd, S_IRUSR | S_IWUSR) != 0)
		return fail(report, "cannot set up the socket", errno);
	if (clear_path(address, report) != 0)
		return -1;
	if (bind(fd, &at.any, len) != 0)
		return fail(report, "cannot bind", errno);
	return 0;
}

static int
listen_unix(const struct sock_address *address, mode_t mode, gid_t gid,
	struct report *report)
{
	const union any_address kind = { .un = { .sun_family = AF_UNIX } };
	int lock = lock_directory(address, report);
	bool is_bound = false;
	int fd = -1;

	if (lock < 0)
		return -1;
	fd = open_socket(&kind, report);
	if (fd < 0 || bind_unix(fd, address, report) != 0)
		goto out;
	is_bound = true;
	if (set_access(address, mode, gid, report) != 0)
		goto out;
	if (listen(fd, SOMAXCONN) != 0) {
		fail(report, "cannot listen", errno);
		goto out;
	}
	close(lock);
	return fd;
out:
	if (is_bound)
		unlink(address->path);
	if (fd >= 0)
		close(fd);
	close(lock);
	return -1;
}

int
sock_listen(const struct sock_address *address, mode_t mode, gid_t gid,
	char *err, size_t err_size)
{
	struct report report = { address, err, err_size };

	if (address->is_unix)
		return listen_unix(address, mode, gid, &report);
	return listen_inet(address, &report);
}

/*
 * A name that the kernel makes is a NUL and five hexadecimal digits. There is
 * no length of a name but that of its address.
 */
static int
find_private(int fd, struct sock_address *out)
{
	union any_address at = { .un = { .sun_family = AF_UNIX } };
	const socklen_t start = offsetof(struct sockaddr_un, sun_path) + 1;
	socklen_t len = sizeof(at.un);

	if (getsockname(fd, &at.any, &len) != 0 || len <= start)
		return -1;
	memset(out, 0, sizeof(*out));
	out->is_unix = true;
	copy(out->path + 1, sizeof(out->path) - 1,
		(struct slice){ at.un.sun_path + 1, len - start });
	(void)snprintf(out->text, sizeof(out->text), "unix:@%s", out->path + 1);
	return 0;
}

int
sock_listen_private(struct sock_address *out, char *err, size_t err_size)
{
	const struct sock_address nowhere = { .text = "a private socket" };
	const union any_address any = { .un = { .sun_family = AF_UNIX } };
	struct report report = { &nowhere, err, err_size };
	const int fd = open_socket(&any, &report);

	if (fd < 0)
		return -1;
	if (bind(fd, &any.any, sizeof(any.un.sun_family)) != 0)
		fail(&report, "cannot bind", errno);
	else if (find_private(fd, out) != 0)
		fail(&report, "cannot find its address", errno);
	else if (listen(fd, SOMAXCONN) != 0)
		fail(&report, "cannot listen", errno);
	else
		return fd;
	close(fd);
	return -1;
}

bool
sock_peer_is_one_of_us(int fd, uid_t user)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid() || peer.uid == user;
}

/* --- accepting ----------------------------------------------------------- */

struct listener {
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer; /* runs while pausing */
	listener_fn *fn;
	void *arg;
	bool is_calling; /* fn is running: keep the struct */
	bool is_freed;
};

static void
pause_ended(void *arg)
{
	struct listener *listener = arg;

	loop_watch_set(listener->watch, LOOP_READ);
}

static void
pause_accepting(struct listener *listener, int error)
{
	log_warning("cannot accept connections: %s; trying again in %d ms",
		strerror(error), ACCEPT_PAUSE_MS);
	loop_watch_set(listener->watch, 0);
	loop_timer_set(listener->timer, ACCEPT_PAUSE_MS);
}

/*
 * accept() also reports what happened to the connection before it was
 * taken (accept(2), "Error handling"): that one is gone, the next may be
 * well. Whatever is not known to be so leads to a pause, never to spinning.
 */
static bool
concerns_one_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

static void
hand_over(struct listener *listener, int fd)
{
	listener->is_calling = true;
	listener->fn(listener->arg, fd);
	listener->is_calling = false;
}

static void
listener_ready(void *arg, unsigned events)
{
	struct listener *listener = arg;
	int n;
	int fd;

	(void)events;
	for (n = 0; n < ACCEPTS_PER_TURN && !listener->is_freed; n++) {
		fd = accept4(listener->fd, NULL, NULL,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			hand_over(listener, fd);
		} else if (errno == EAGAIN) {
			break;
		} else if (!concerns_one_connection(errno)) {
			pause_accepting(listener, errno);
			break;
		}
	}
	if (listener->is_freed)
		x_free(listener);
}

struct listener *
listener_new(struct loop *loop, int fd, listener_fn *fn, void *arg)
{
	struct listener *listener = x_new(struct listener);

	listener->fd = fd;
	listener->fn = fn;
	listener->arg = arg;
	listener->watch = loop_watch_new(loop, fd, listener_ready, listener);
	listener->timer = loop_timer_new(loop, pause_ended, listener);
	loop_watch_set(listener->watch, LOOP_READ);
	return listener;
}

void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	loop_watch_free(listener->watch);
	loop_timer_free(listener->timer);
	if (listener->is_calling)
		listener->is_freed = true;
	else
		x_free(listener);
}
