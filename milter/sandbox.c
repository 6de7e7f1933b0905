#include "milter/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Any bit of these makes a file that is opened one that is changed. */
#define WRITING ((unsigned)(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND))

/* clang-format off */

/* Allowed whatever their arguments. */
static const int calls[] = {
	/* sockets and descriptors */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(close),
	SCMP_SYS(connect), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(fcntl), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt), SCMP_SYS(listen), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pread64), SCMP_SYS(lseek),
	/* waiting */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait), SCMP_SYS(eventfd2), SCMP_SYS(pause),
	SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(pselect6),
	SCMP_SYS(select), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	/* files, of which it reads some */
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(fstat),
	SCMP_SYS(fstatfs), SCMP_SYS(getdents64), SCMP_SYS(lstat),
	SCMP_SYS(newfstatat), SCMP_SYS(readlink), SCMP_SYS(stat),
	SCMP_SYS(statx),
	/* memory and threads */
	SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(madvise), SCMP_SYS(mremap),
	SCMP_SYS(munmap), SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield), SCMP_SYS(set_robust_list), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
	/* signals, of its own */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
	/* time, chance, itself */
	SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(getegid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getpid), SCMP_SYS(getrandom),
	SCMP_SYS(getrlimit), SCMP_SYS(gettid), SCMP_SYS(gettimeofday),
	SCMP_SYS(getuid), SCMP_SYS(nanosleep), SCMP_SYS(sysinfo),
	SCMP_SYS(time), SCMP_SYS(uname),
};

/* Allowed while one argument is (argument & mask) == value. */
static const struct {
	int call;
	unsigned argument;
	scmp_datum_t mask, value;
} bounded[] = {
	{ SCMP_SYS(open), 1, WRITING, 0 },
	{ SCMP_SYS(openat), 2, WRITING, 0 },
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD },
	{ SCMP_SYS(prlimit64), 2, ~(scmp_datum_t)0, 0 }, /* only looks */
	{ SCMP_SYS(socket), 0, ~(scmp_datum_t)0, AF_UNIX },
	{ SCMP_SYS(socket), 0, ~(scmp_datum_t)0, AF_INET },
	{ SCMP_SYS(socket), 0, ~(scmp_datum_t)0, AF_INET6 },
	{ SCMP_SYS(ioctl), 1, ~(scmp_datum_t)0, FIONBIO },
	{ SCMP_SYS(ioctl), 1, ~(scmp_datum_t)0, FIONREAD },
};

/* clang-format on */

static int
add_rules(scmp_filter_ctx filter)
{
	int status = 0;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		status |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < sizeof(bounded) / sizeof(bounded[0]); i++)
		status |= seccomp_rule_add(filter, SCMP_ACT_ALLOW,
			bounded[i].call, 1,
			SCMP_CMP(bounded[i].argument, SCMP_CMP_MASKED_EQ,
				bounded[i].mask, bounded[i].value));
	/* Its flags cannot be looked at. libc then takes clone(). */
	status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
		SCMP_SYS(clone3), 0);
	return status;
}

/* A sanitizer asks more of the kernel than anybody else: it gets no sandbox. */
#ifdef MILTER_SANITIZED
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif

int
sandbox_enter(const char **err)
{
	scmp_filter_ctx filter;
	int status = -1;

	if (is_sanitized)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	*err = "the filter cannot be made";
	if (filter == NULL)
		return -1;
	if (add_rules(filter) == 0) {
		*err = "the kernel does not take the filter";
		status = seccomp_load(filter);
	}
	seccomp_release(filter);
	return status == 0 ? 0 : -1;
}
