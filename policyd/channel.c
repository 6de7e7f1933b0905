#include "policyd/channel.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "policyd/config.h"

#define SEND_TIMEOUT_MS 1000
#define READ_CHUNK      65536

struct header {
	uint32_t kind, len;
};

/* --- sending ------------------------------------------------------------ */

static int
send_all(int fd, const char *bytes, size_t len)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };

	while (len > 0) {
		const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			return -1;
		} else if (poll(&wait, 1, SEND_TIMEOUT_MS) == 0) {
			return -1;
		}
	}
	return 0;
}

int
channel_send(int fd, enum channel_kind kind, struct slice bytes)
{
	const struct header header = { kind, (uint32_t)bytes.len };

	if (bytes.len > CHANNEL_MESSAGE_MAX)
		return -1;
	if (send_all(fd, (const char *)&header, sizeof(header)) < 0)
		return -1;
	return send_all(fd, bytes.ptr, bytes.len);
}

/* --- receiving ---------------------------------------------------------- */

void
channel_init(struct channel *channel, int fd)
{
	channel->fd = fd;
	str_init(&channel->buffer,
		CHANNEL_MESSAGE_MAX + sizeof(struct header) + READ_CHUNK);
}

static void
wipe(struct str *str)
{
	if (str->data != NULL)
		explicit_bzero(str->data, str->size);
	str_free(str);
}

void
channel_free(struct channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
	wipe(&channel->buffer);
}

int
channel_read(struct channel *channel)
{
	char chunk[READ_CHUNK];
	ssize_t n;

	while ((n = recv(channel->fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		str_append(&channel->buffer, chunk, (size_t)n);
	explicit_bzero(chunk, sizeof(chunk));
	if (channel->buffer.is_cut || n == 0)
		return -1;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

bool
channel_next(struct channel *channel, enum channel_kind *kind,
	struct slice *bytes)
{
	struct header header;

	if (channel->buffer.len < sizeof(header))
		return false;
	memcpy(&header, channel->buffer.data, sizeof(header));
	if (header.kind >= CHANNEL_KIND_COUNT ||
		channel->buffer.len - sizeof(header) < header.len)
		return false;
	*kind = (enum channel_kind)header.kind;
	bytes->ptr = channel->buffer.data + sizeof(header);
	bytes->len = header.len;
	return true;
}

void
channel_done(struct channel *channel)
{
	struct header header;
	size_t used;

	memcpy(&header, channel->buffer.data, sizeof(header));
	used = sizeof(header) + header.len;
	memmove(channel->buffer.data, channel->buffer.data + used,
		channel->buffer.len - used);
	channel->buffer.len -= used;
}

/* --- a configuration ---------------------------------------------------- */

static void
pack_text(struct str *out, const char *text)
{
	str_append_text(out, text != NULL ? text : "");
	str_append_char(out, '\0');
}

void
channel_pack_config(struct config *config, bool with_secrets, struct str *out)
{
	pack_text(out, config->path);
	for (size_t i = 0; i < CONFIG_SECRET_COUNT; i++)
		pack_text(out, with_secrets ? *config_secret(config, i) : "");
	config_print(config, false, out);
}

static bool
unpack_text(struct slice *bytes, char **out)
{
	struct slice text;

	if (!slice_split(bytes, '\0', &text))
		return false;
	x_free(*out);
	*out = slice_strdup(text);
	return true;
}

struct config *
channel_unpack_config(struct slice bytes)
{
	char *path = NULL, *secrets[CONFIG_SECRET_COUNT] = { NULL };
	struct config_errors errors = { NULL, 0 };
	struct config *config = NULL;

	if (!unpack_text(&bytes, &path))
		return NULL;
	for (size_t i = 0; i < CONFIG_SECRET_COUNT; i++)
		if (!unpack_text(&bytes, &secrets[i]))
			goto out;
	config = config_parse(bytes, path, &errors);
	if (config == NULL)
		goto out;
	for (size_t i = 0; i < CONFIG_SECRET_COUNT; i++) {
		assert(*config_secret(config, i) == NULL);
		*config_secret(config, i) = secrets[i];
		secrets[i] = NULL;
	}
out:
	config_errors_free(&errors);
	for (size_t i = 0; i < CONFIG_SECRET_COUNT; i++)
		if (secrets[i] != NULL)
			x_free_secret(secrets[i], strlen(secrets[i]));
	x_free(path);
	return config;
}
