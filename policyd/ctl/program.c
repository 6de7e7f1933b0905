#include "policyd/ctl/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

#define CHUNK 16384

extern char **environ;

enum { TO_OUT, TO_ERR, PIPES };

static void
close_pipes(int pipes[PIPES][2], int side)
{
	for (int i = 0; i < PIPES; i++) {
		if (pipes[i][side] >= 0)
			close(pipes[i][side]);
		pipes[i][side] = -1;
	}
}

static bool
open_pipes(int pipes[PIPES][2])
{
	for (int i = 0; i < PIPES; i++)
		pipes[i][0] = pipes[i][1] = -1;
	for (int i = 0; i < PIPES; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0) {
			close_pipes(pipes, 0);
			close_pipes(pipes, 1);
			return false;
		}
	return true;
}

/* 0, or the error number. The child leads a process group of its own. */
static int
spawn(const char *const *argv, int pipes[PIPES][2], pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char *words[32];
	size_t n = 0;
	int error;

	for (; argv[n] != NULL && n + 1 < sizeof(words) / sizeof(words[0]); n++)
		words[n] = x_strdup(argv[n]);
	words[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
		O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[TO_OUT][1],
		STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pipes[TO_ERR][1],
		STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	error = posix_spawnp(pid, argv[0], &actions, &attributes, words,
		environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	while (n > 0)
		x_free(words[--n]);
	return error;
}

/* Reads one pipe that has something; closes it at its end. */
static void
take(struct pollfd *from, struct str *to)
{
	char chunk[CHUNK];
	ssize_t n;

	if (from->revents == 0)
		return;
	n = read(from->fd, chunk, sizeof(chunk));
	if (n > 0)
		str_append(to, chunk, (size_t)n);
	else if (n == 0 || errno != EINTR)
		from->fd = -1; /* poll() passes over it */
}

/* Until both pipes have ended. */
static enum program_end
read_all(int pipes[PIPES][2], int64_t end_us, struct str *out, struct str *err)
{
	struct pollfd wait[PIPES] = {
		{ .fd = pipes[TO_OUT][0], .events = POLLIN },
		{ .fd = pipes[TO_ERR][0], .events = POLLIN },
	};

	while (wait[TO_OUT].fd >= 0 || wait[TO_ERR].fd >= 0) {
		const int64_t left_us = end_us - clock_monotonic_us();

		if (left_us <= 0)
			return PROGRAM_LATE;
		if (poll(wait, PIPES, (int)(left_us / 1000) + 1) < 0)
			continue;
		take(&wait[TO_OUT], out);
		take(&wait[TO_ERR], err);
		if (out->is_cut)
			return PROGRAM_LONG;
	}
	return PROGRAM_DONE;
}

enum program_end
program_run(const char *const *argv, uint64_t timeout_ms, struct str *out,
	struct str *err)
{
	const int64_t end_us =
		clock_monotonic_us() + (int64_t)timeout_ms * 1000;
	int pipes[PIPES][2], status = 0, error;
	enum program_end end;
	pid_t pid;

	if (!open_pipes(pipes))
		return PROGRAM_FAILED;
	error = spawn(argv, pipes, &pid);
	close_pipes(pipes, 1);
	if (error != 0) {
		close_pipes(pipes, 0);
		str_append_text(err, strerror(error));
		return error == ENOENT ? PROGRAM_MISSING : PROGRAM_FAILED;
	}
	end = read_all(pipes, end_us, out, err);
	if (end != PROGRAM_DONE)
		(void)kill(-pid, SIGKILL);
	close_pipes(pipes, 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (end == PROGRAM_DONE && status != 0)
		return PROGRAM_FAILED;
	return end;
}
