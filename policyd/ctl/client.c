#include "policyd/ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/metric.h"
#include "policyd/commands/command.h"
#include "policyd/config.h"
#include "policyd/ctl/output.h"
#include "policyd/json.h"

/* The daemon answers at once or when its database has: see deadlines there. */
#define ANSWER_TIMEOUT_MS 120000
#define READ_CHUNK        65536
#define LINE_MAX_BYTES    (COMMAND_REPLY_MAX + READ_CHUNK)
/* Mistakes in the file are left out one by one, so many times. */
#define SALVAGE_ROUNDS_MAX 20

/* --- where the daemon listens ------------------------------------------- */

static bool
is_bad_line(const struct config_errors *errors, unsigned line)
{
	for (size_t i = 0; i < errors->n; i++)
		if (errors->items[i].line == line)
			return true;
	return false;
}

static void
drop_bad_lines(struct str *text, const struct config_errors *errors)
{
	struct slice rest = str_slice(text), line;
	unsigned number = 0;
	struct str good;

	str_init(&good, CONFIG_FILE_MAX + 1);
	while (slice_split(&rest, '\n', &line)) {
		if (!is_bad_line(errors, ++number))
			str_append_slice(&good, line);
		str_append_char(&good, '\n');
	}
	str_free(text);
	*text = good;
}

static bool
read_file(const char *path, struct str *text)
{
	FILE *file = fopen(path, "re");
	char chunk[READ_CHUNK];
	size_t n;

	if (file == NULL)
		return false;
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		str_append(text, chunk, n);
	fclose(file);
	return !text->is_cut;
}

struct config *
client_salvage_config(const char *path)
{
	struct config *config = NULL;
	struct str text;

	str_init(&text, CONFIG_FILE_MAX);
	if (!read_file(path, &text))
		str_reset(&text);
	for (int i = 0; config == NULL && i < SALVAGE_ROUNDS_MAX; i++) {
		struct config_errors errors = { NULL, 0 };

		config = config_parse(str_slice(&text), path, &errors);
		if (config == NULL)
			drop_bad_lines(&text, &errors);
		config_errors_free(&errors);
	}
	str_free(&text);
	return config;
}

int
client_init(struct client *client, struct output *output, const char *path,
	const char *config_path)
{
	struct config *config;
	const char *err;
	struct str text;
	int status = 0;

	client->output = output;
	if (path == NULL) {
		config = client_salvage_config(config_path);
		if (config == NULL) {
			output_error(output, COMMAND_EXIT_UNREACHABLE,
				"%s cannot be understood; use --socket PATH",
				config_path);
			return -1;
		}
		client->control = config->policyd.control;
		config_unref(config);
		return 0;
	}
	str_init(&text, SOCK_ADDRESS_MAX);
	str_printf(&text, "%s%s", path[0] == '/' ? "unix:" : "", path);
	if (sock_parse(str_slice(&text), &client->control, &err) < 0) {
		output_error(output, COMMAND_EXIT_USAGE, "--socket %s: %s",
			path, err);
		status = -1;
	}
	str_free(&text);
	return status;
}

/* --- one conversation --------------------------------------------------- */

struct link {
	int fd;
	bool is_over;
	int exit;
	int timeout_ms; /* for more of the answer; -1 for any time */
	struct str buffer;
	bool is_quiet; /* nothing is printed */
	/* Takes the parts of a reply that is not printed. */
	void (*take)(void *arg, const struct json *part, struct slice line);
	void *arg;
};

/* Of the process number so-and-so; false when the path would be too long. */
static bool
address_of(const struct client *client, unsigned process,
	struct sock_address *out)
{
	int n;

	*out = client->control;
	if (process == 0)
		return true;
	n = snprintf(out->path, sizeof(out->path), "%s-%u",
		client->control.path, process);
	return client->control.is_unix && n > 0 &&
	       (size_t)n < sizeof(out->path);
}

void
client_tell_unreachable(struct client *client, int error)
{
	const char *path = client->control.path;

	if (error == EACCES || error == EPERM)
		output_error(client->output, COMMAND_EXIT_REFUSED,
			"%s: this user may not connect; members of the group "
			"of the socket may",
			path);
	else
		output_error(client->output, COMMAND_EXIT_UNREACHABLE,
			"%s: policyd does not answer (%s); is it running, and "
			"is control_socket the same in its configuration?",
			path, strerror(error));
}

static int
send_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		const ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes = slice_from(bytes, (size_t)n);
	}
	return 0;
}

/* A million rows take minutes to go, as does a DNS that does not answer. */
static int
timeout_of(enum command_id id)
{
	return id == COMMAND_db_prune || id == COMMAND_dkim_rotate ||
			       id == COMMAND_dkim_check ||
			       id == COMMAND_greylist_whitelist_domain_refresh
		       ? -1
		       : ANSWER_TIMEOUT_MS;
}

/* Connects and asks; -1 with errno. */
static int
link_open(struct link *link, const struct client *client, unsigned process,
	const struct command_request *request)
{
	struct sock_address address;
	struct str line;
	int status;

	memset(link, 0, sizeof(*link));
	str_init(&link->buffer, LINE_MAX_BYTES);
	link->fd = -1;
	link->timeout_ms = timeout_of(request->row->id);
	errno = ENAMETOOLONG;
	if (!address_of(client, process, &address))
		return -1;
	link->fd = sock_connect(&address);
	if (link->fd < 0)
		return -1;
	str_init(&line, COMMAND_REQUEST_MAX);
	command_print_line(request, &line);
	errno = EMSGSIZE;
	status = line.is_cut ? -1 : send_all(link->fd, str_slice(&line));
	str_free(&line);
	return status;
}

static void
link_close(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	str_free(&link->buffer);
}

/* A line that is not printed. */
static void
take_quietly(struct link *link, struct slice line)
{
	struct json *part = json_parse(line, NULL, 0);

	if (link->take != NULL)
		link->take(link->arg, part, line);
	link->is_over = json_member(part, "exit") != NULL;
	link->exit = (int)json_member_integer(part, "exit");
	json_drop(part);
}

/* Takes whole lines from the buffer. */
static void
take_lines(struct client *client, struct link *link)
{
	struct slice rest = str_slice(&link->buffer);
	struct str left;
	ptrdiff_t end;

	while (!link->is_over && (end = slice_find(rest, '\n')) >= 0) {
		const struct slice line = slice_part(rest, 0, (size_t)end);

		rest = slice_from(rest, (size_t)end + 1);
		if (link->is_quiet)
			take_quietly(link, line);
		else
			link->is_over =
				output_line(client->output, line, &link->exit);
	}
	str_init(&left, LINE_MAX_BYTES);
	str_append_slice(&left, rest);
	str_free(&link->buffer);
	link->buffer = left;
}

/* False when nothing more will come. */
static bool
link_read(struct link *link)
{
	char chunk[READ_CHUNK];
	ssize_t n;

	do
		n = recv(link->fd, chunk, sizeof(chunk), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	str_append(&link->buffer, chunk, (size_t)n);
	return !link->buffer.is_cut;
}

static void
link_broken(struct client *client, struct link *link, const char *why)
{
	link->is_over = true;
	link->exit = COMMAND_EXIT_UNREACHABLE;
	if (!link->is_quiet)
		output_error(client->output, link->exit, "%s: %s",
			client->control.path, why);
}

/* Reads until the end of the reply. */
static void
link_finish(struct client *client, struct link *link)
{
	struct pollfd wait = { .fd = link->fd, .events = POLLIN };

	while (!link->is_over) {
		const int n = poll(&wait, 1, link->timeout_ms);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			link_broken(client, link,
				"policyd took the question but does not "
				"answer");
		else if (!link_read(link))
			link_broken(client, link,
				"policyd has closed the connection; see its "
				"log");
		else
			take_lines(client, link);
	}
}

/* --- commands ----------------------------------------------------------- */

static int
ask(struct client *client, unsigned process,
	const struct command_request *request)
{
	struct link link;

	if (link_open(&link, client, process, request) < 0) {
		link.exit = errno == EACCES || errno == EPERM
				    ? COMMAND_EXIT_REFUSED
				    : COMMAND_EXIT_UNREACHABLE;
		client_tell_unreachable(client, errno);
	} else {
		link_finish(client, &link);
	}
	link_close(&link);
	return link.exit;
}

/* The other processes read what was changed. */
static void
refresh_others(struct client *client)
{
	const struct command_request request = {
		.row = &command_table[COMMAND_refresh],
	};

	for (unsigned i = 1; i < METRIC_PROCESSES_MAX; i++)
		if (client_ask_quietly(client, i, &request, NULL, NULL) ==
			COMMAND_EXIT_UNREACHABLE)
			break;
}

static size_t
open_links(struct client *client, const struct command_request *request,
	struct link links[METRIC_PROCESSES_MAX])
{
	size_t n = 0;

	for (unsigned i = 0; i < METRIC_PROCESSES_MAX; i++) {
		if (link_open(&links[n], client, i, request) == 0) {
			n++;
			continue;
		}
		if (i == 0)
			client_tell_unreachable(client, errno);
		link_close(&links[n]);
		break;
	}
	return n;
}

/* What all processes tell, until the first of them goes. */
static int
follow(struct client *client, const struct command_request *request)
{
	struct link links[METRIC_PROCESSES_MAX];
	struct pollfd waits[METRIC_PROCESSES_MAX];
	const size_t n = open_links(client, request, links);
	int exit = COMMAND_EXIT_UNREACHABLE;
	bool is_over = n == 0;

	while (!is_over) {
		for (size_t i = 0; i < n; i++)
			waits[i] = (struct pollfd){ .fd = links[i].fd,
				.events = POLLIN };
		if (poll(waits, (nfds_t)n, -1) < 0)
			continue;
		for (size_t i = 0; i < n && !is_over; i++) {
			if (waits[i].revents == 0)
				continue;
			if (!link_read(&links[i]))
				link_broken(client, &links[i],
					"policyd has closed the connection");
			else
				take_lines(client, &links[i]);
			is_over = links[i].is_over;
			exit = links[i].exit;
		}
	}
	for (size_t i = 0; i < n; i++)
		link_close(&links[i]);
	return exit;
}

int
client_run(struct client *client, const struct command_request *request)
{
	int exit;

	if (request->row->effect == COMMAND_STREAMS)
		return follow(client, request);
	if (request->row->id == COMMAND_explain)
		return client_explain(client, request);
	exit = ask(client, 0, request);
	if (request->row->effect == COMMAND_CHANGES &&
		exit == COMMAND_EXIT_DONE)
		refresh_others(client);
	return exit;
}

int
client_ask_quietly(struct client *client, unsigned process,
	const struct command_request *request,
	void (*take)(void *arg, const struct json *part, struct slice line),
	void *arg)
{
	struct link link;
	int error = 0;

	if (link_open(&link, client, process, request) == 0) {
		link.is_quiet = true;
		link.take = take;
		link.arg = arg;
		link_finish(client, &link);
	} else {
		error = errno;
		link.exit = COMMAND_EXIT_UNREACHABLE;
	}
	link_close(&link);
	errno = error;
	return link.exit;
}
