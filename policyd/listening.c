#include "policyd/listening.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/sock.h"
#include "policyd/config.h"

#define ERROR_MAX 512

struct list {
	enum worker_socket_use use;
	const struct sock_address *addresses;
	size_t n;
};

/*
 * The directory of a unix socket, such as /run/policyd, if it is missing. It
 * stays root's: the processes only accept, and what they could put there root
 * would trip over at the next start.
 */
static void
make_directory(const struct sock_address *address)
{
	char path[sizeof(address->path)];
	char *slash;

	memcpy(path, address->path, sizeof(path));
	slash = strrchr(path, '/');
	if (!address->is_unix || slash == NULL || slash == path)
		return;
	*slash = '\0';
	/* Listening tells why, if this fails. The umask may be narrow. */
	if (mkdir(path, 0755) == 0)
		(void)chmod(path, 0755);
}

int
listening_bind(const struct sock_address *address, mode_t mode, gid_t gid)
{
	char err[ERROR_MAX];
	int fd;

	make_directory(address);
	fd = sock_listen(address, mode, gid, err, sizeof(err));
	if (fd < 0)
		log_error("%s", err);
	return fd;
}

static void
add(struct listening *listening, const struct worker_socket *socket,
	const struct sock_address *address)
{
	const size_t n = listening->n + 1;

	listening->sockets = x_realloc_array(listening->sockets, n,
		sizeof(listening->sockets[0]));
	listening->addresses = x_realloc_array(listening->addresses, n,
		sizeof(listening->addresses[0]));
	listening->sockets[listening->n] = *socket;
	listening->addresses[listening->n] = *address;
	listening->n = n;
}

static int
open_list(struct listening *listening, const struct list *list, mode_t mode)
{
	for (size_t i = 0; i < list->n; i++) {
		struct worker_socket socket = { .use = list->use };

		socket.fd = listening_bind(&list->addresses[i], mode, -1);
		if (socket.fd < 0)
			return -1;
		add(listening, &socket, &list->addresses[i]);
	}
	return 0;
}

/* Those on which the milter asks the policy processes. */
static int
open_private(struct listening *listening, uid_t milter_uid)
{
	static const enum worker_socket_use uses[] = { WORKER_SOCKET_POLICY,
		WORKER_SOCKET_KEYS };
	struct sock_address address;
	char err[ERROR_MAX];

	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		struct worker_socket socket = { .use = uses[i],
			.is_private = true,
			.milter_uid = milter_uid };

		socket.fd = sock_listen_private(&address, err, sizeof(err));
		if (socket.fd < 0) {
			log_error("%s", err);
			return -1;
		}
		add(listening, &socket, &address);
	}
	return 0;
}

int
listening_open(struct listening *listening, const struct config *config,
	uid_t milter_uid)
{
	const bool has_srs = config_has_srs(config);
	const struct list lists[] = {
		{ WORKER_SOCKET_POLICY, config->policyd.listen,
			config->policyd.n_listen },
		{ WORKER_SOCKET_SRS_FORWARD, config->srs.forward,
			has_srs ? config->srs.n_forward : 0 },
		{ WORKER_SOCKET_SRS_REVERSE, config->srs.reverse,
			has_srs ? config->srs.n_reverse : 0 },
		{ WORKER_SOCKET_SRS_SOCKETMAP, config->srs.socketmap,
			has_srs ? config->srs.n_socketmap : 0 },
		{ WORKER_SOCKET_MILTER, &config->milter.listen,
			config_has_milter(config) },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (open_list(listening, &lists[i],
			    (mode_t)config->policyd.policy_socket_mode) < 0)
			return -1;
	}
	return config_has_milter(config) ? open_private(listening, milter_uid)
					 : 0;
}

const struct sock_address *
listening_private(const struct listening *listening, enum worker_socket_use use)
{
	for (size_t i = 0; i < listening->n; i++)
		if (listening->sockets[i].is_private &&
			listening->sockets[i].use == use)
			return &listening->addresses[i];
	return NULL;
}

void
listening_close(struct listening *listening)
{
	for (size_t i = 0; i < listening->n; i++) {
		close(listening->sockets[i].fd);
		if (listening->addresses[i].path[0] != '\0')
			unlink(listening->addresses[i].path);
	}
	listening_free(listening);
}

void
listening_keep(struct listening *listening, bool for_milter)
{
	size_t n = 0;

	for (size_t i = 0; i < listening->n; i++) {
		const struct worker_socket socket = listening->sockets[i];

		if ((socket.use == WORKER_SOCKET_MILTER) != for_milter) {
			close(socket.fd);
			continue;
		}
		listening->addresses[n] = listening->addresses[i];
		listening->sockets[n++] = socket;
	}
	listening->n = n;
}

void
listening_free(struct listening *listening)
{
	x_free(listening->sockets);
	x_free(listening->addresses);
	memset(listening, 0, sizeof(*listening));
}
