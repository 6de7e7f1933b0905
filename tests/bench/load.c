/*
 * Puts load on a policy server and tells how it answers; see usage() for the
 * options. Without --rate every connection sends its next request when it
 * has the answer to the last (closed loop). With --rate requests are due at
 * fixed times and their latency counts from then, also when no connection
 * was free: a server that stalls cannot hide it (open loop).
 *
 * Prints one line of JSON. Fails if any request was left without an answer.
 */

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/io/sock.h"

#define REQUEST_MAX     65536
#define FILE_MAX        (256u << 20)
#define REPLY_MAX       2048
#define WORDS_MAX       32
#define CONNECTIONS_MAX 100000
#define EVENTS_PER_WAIT 256

enum mode { MODE_KNOWN, MODE_NEW, MODE_HOT, MODE_FILE };

static const char *const mode_names[] = { "known", "new", "hot", "file" };

struct connection {
	int fd;
	bool is_waiting; /* for an answer; else it is among the idle */
	int64_t due_us;  /* when its request should have been sent */
	size_t n_reply;
	char reply[REPLY_MAX];
};

/* A first word of an action and how often it came. */
struct word {
	char text[16];
	uint64_t n;
};

/* A request with places of fixed width that are written over each time. */
struct template
{
	struct str text;
	size_t client;   /* nnn.nnn.nnn.nnn */
	size_t sender;   /* 8 hexadecimal digits of the seed, 8 of the key */
	size_t instance; /* 16 hexadecimal digits */
};

static struct {
	struct sock_address address;
	uint64_t n_connections;
	uint64_t n_requests;
	uint64_t rate; /* 0: closed loop */
	uint64_t n_keys;
	uint64_t seed;
	enum mode mode;
	const char *limit_text;
	const char *domain;
	const char *user;
	const char *path;
} options = {
	.n_connections = 100,
	.n_requests = 100000,
	.n_keys = 1000,
	.domain = "example.com",
	.user = "user@example.com",
};

static struct template template;
static struct slice *file_requests; /* MODE_FILE */
static size_t n_file_requests;

static int epoll_fd;
static struct connection *connections;
static struct connection **idle; /* a stack */
static size_t n_idle;
static size_t n_open;

static int64_t started_us;
static uint64_t n_sent;
static uint64_t n_done;
static uint64_t n_lost; /* the connection ended instead of an answer */
static uint64_t n_limited;
static uint32_t *latencies_us;
static uint64_t n_latencies;
static struct word words[WORDS_MAX];
static size_t n_words;

static _Noreturn void __attribute__((format(printf, 1, 2)))
die(const char *format, ...)
{
	va_list args;

	fputs("load: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* --- requests ------------------------------------------------------------ */

/* Every attribute that Postfix 3.7 sends, in its order. */
static void
make_template(struct template *out)
{
	struct str *text = &out->text;
	bool is_hot = options.mode == MODE_HOT;

	str_init(text, REQUEST_MAX);
	str_printf(text,
		"request=smtpd_access_policy\nprotocol_state=%s\n"
		"protocol_name=ESMTP\nclient_address=",
		is_hot ? "END-OF-MESSAGE" : "RCPT");
	out->client = text->len;
	str_append_text(text, "192.100.100.101\nclient_name=mail.load.example\n"
			      "client_port=45678\n"
			      "reverse_client_name=mail.load.example\n"
			      "server_address=192.0.2.25\nserver_port=25\n"
			      "helo_name=mail.load.example\nsender=s");
	out->sender = text->len;
	str_printf(text,
		"0000000000000000@load.example\nrecipient=%s%s\n"
		"recipient_count=%d\nqueue_id=%s\ninstance=",
		"postmaster@", is_hot ? "remote.example" : options.domain,
		is_hot, is_hot ? "4XyZ0123456789" : "");
	out->instance = text->len;
	str_printf(text,
		"0000000000000000.67890abc.0\nsize=1000\netrn_domain=\n"
		"stress=\nsasl_method=%s\nsasl_username=%s\nsasl_sender=\n"
		"ccert_subject=\nccert_issuer=\nccert_fingerprint=\n"
		"ccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
		"encryption_cipher=TLS_AES_256_GCM_SHA384\n"
		"encryption_keysize=256\npolicy_context=\n"
		"compatibility_level=3.6\nmail_version=3.7.11\n\n",
		is_hot ? "PLAIN" : "", is_hot ? options.user : "");
	assert(!text->is_cut);
}

static void
put_hex(char *at, uint64_t number, unsigned n_digits)
{
	while (n_digits-- > 0) {
		at[n_digits] = "0123456789abcdef"[number & 15];
		number >>= 4;
	}
}

/* 100 to 255: three digits, so that the width never changes. */
static void
put_octet(char *at, unsigned octet)
{
	assert(octet >= 100 && octet <= 255);
	at[0] = (char)('0' + octet / 100);
	at[1] = (char)('0' + octet / 10 % 10);
	at[2] = (char)('0' + octet % 10);
}

/* A network for each key, of 2.3 million outside 127/8 and multicast. */
static void
put_client(char *at, uint64_t key)
{
	put_octet(at, 128 + (unsigned)(key / 156 / 156 % 96));
	put_octet(at + 4, 100 + (unsigned)(key / 156 % 156));
	put_octet(at + 8, 100 + (unsigned)(key % 156));
}

static struct slice
make_request(uint64_t number)
{
	char *text = template.text.data;
	uint64_t key = number;

	if (options.mode == MODE_FILE)
		return file_requests[number % n_file_requests];
	if (options.mode != MODE_NEW)
		key %= options.mode == MODE_HOT ? 1 : options.n_keys;
	put_client(text + template.client, key);
	put_hex(text + template.sender,
		options.mode == MODE_NEW ? options.seed : 0, 8);
	put_hex(text + template.sender + 8, key, 8);
	put_hex(text + template.instance, options.seed << 32 | number, 16);
	return str_slice(&template.text);
}

static struct slice
read_whole(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct str text;
	char block[65536];
	ssize_t n;

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	str_init(&text, FILE_MAX);
	while ((n = read(fd, block, sizeof(block))) > 0)
		str_append(&text, block, (size_t)n);
	if (n < 0 || text.is_cut)
		die("%s: %s", path, n < 0 ? strerror(errno) : "too long");
	close(fd);
	return str_slice(&text);
}

/* Requests as they go over the wire: each ends with an empty line. */
static void
read_requests(const char *path)
{
	struct slice rest = read_whole(path);
	const char *end;
	size_t size = 0;

	while ((end = memmem(rest.ptr, rest.len, "\n\n", 2)) != NULL) {
		size_t len = (size_t)(end - rest.ptr) + 2;

		if (n_file_requests == size) {
			size = size > 0 ? size * 2 : 1024;
			file_requests = x_realloc_array(file_requests, size,
				sizeof(*file_requests));
		}
		file_requests[n_file_requests++] = slice_part(rest, 0, len);
		rest = slice_from(rest, len);
	}
	if (n_file_requests == 0 || rest.len > 0)
		die("%s: every request must end with an empty line", path);
}

/* --- connections --------------------------------------------------------- */

static bool
open_connection(struct connection *connection)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = sock_connect(&options.address);

	connection->fd = fd;
	connection->is_waiting = false;
	connection->n_reply = 0;
	if (fd < 0)
		return false;
	event.data.ptr = connection;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl: %s", strerror(errno));
	n_open++;
	idle[n_idle++] = connection;
	return true;
}

static void
open_all(void)
{
	uint64_t i;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	connections = x_new_array(options.n_connections, struct connection);
	idle = x_new_array(options.n_connections, struct connection *);
	for (i = 0; i < options.n_connections; i++)
		if (!open_connection(&connections[i]))
			die("%s: %s", options.address.text, strerror(errno));
}

static void
take_from_idle(const struct connection *connection)
{
	size_t i;

	for (i = 0; idle[i] != connection; i++)
		assert(i < n_idle);
	idle[i] = idle[--n_idle];
}

/* Its request is lost, if there was one; the next may find the server again. */
static void
reopen(struct connection *connection)
{
	close(connection->fd);
	n_open--;
	if (connection->is_waiting) {
		n_lost++;
		n_done++;
	} else {
		take_from_idle(connection);
	}
	(void)open_connection(connection);
}

static int64_t
due_time(uint64_t number, int64_t now_us)
{
	if (options.rate == 0)
		return now_us;
	return started_us + (int64_t)(number * 1000000 / options.rate);
}

/* Sends what is due on connections that are free. */
static void
send_due(int64_t now_us)
{
	while (n_idle > 0 && n_sent < options.n_requests &&
		due_time(n_sent, now_us) <= now_us) {
		struct connection *connection = idle[--n_idle];
		struct slice request = make_request(n_sent);
		ssize_t n;

		connection->is_waiting = true;
		connection->due_us = due_time(n_sent++, now_us);
		/* Blocks only if the server stops reading. */
		n = send(connection->fd, request.ptr, request.len,
			MSG_NOSIGNAL);
		if (n != (ssize_t)request.len)
			reopen(connection);
	}
}

/* --- replies ------------------------------------------------------------- */

static void
count_word(struct slice word)
{
	char text[sizeof(words[0].text)];
	size_t i;

	for (i = 0; i < word.len && i < sizeof(text) - 1; i++)
		text[i] = isalnum((unsigned char)word.ptr[i])
				  ? (char)tolower((unsigned char)word.ptr[i])
				  : '_';
	text[i] = '\0';
	for (i = 0; i < n_words; i++)
		if (strcmp(words[i].text, text) == 0)
			break;
	if (i == n_words) {
		if (n_words == WORDS_MAX)
			die("more than %d different actions", WORDS_MAX);
		memcpy(words[n_words++].text, text, sizeof(text));
	}
	words[i].n++;
}

static void
count_reply(struct connection *connection, int64_t now_us)
{
	struct slice reply = { connection->reply, connection->n_reply };
	struct slice word;

	if (!slice_starts(reply, SLICE("action=")))
		die("not an action: %.*s", SLICE_ARG(reply));
	reply = slice_trim(slice_from(reply, strlen("action=")));
	if (options.limit_text != NULL &&
		slice_starts(reply, slice_of(options.limit_text)))
		n_limited++;
	slice_split(&reply, ' ', &word);
	count_word(word);
	latencies_us[n_latencies++] = (uint32_t)(now_us - connection->due_us);
	n_done++;
}

static void
receive(struct connection *connection)
{
	size_t room = sizeof(connection->reply) - connection->n_reply;
	ssize_t n = recv(connection->fd,
		connection->reply + connection->n_reply, room, MSG_DONTWAIT);
	int64_t now_us = clock_monotonic_us();

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		reopen(connection);
		return;
	}
	connection->n_reply += (size_t)n;
	if (connection->n_reply < 2 ||
		memcmp(connection->reply + connection->n_reply - 2, "\n\n",
			2) != 0) {
		if ((size_t)n == room)
			die("a reply is too long");
		return;
	}
	count_reply(connection, now_us);
	connection->n_reply = 0;
	connection->is_waiting = false;
	idle[n_idle++] = connection;
	send_due(now_us);
}

/* --- the run ------------------------------------------------------------- */

/* Until an answer comes or the next request is due. */
static int
wait_for_events(struct epoll_event *events)
{
	struct timespec timeout = { 1, 0 };
	int64_t now_us = clock_monotonic_us();
	int64_t left_us;

	send_due(now_us);
	if (options.rate > 0 && n_sent < options.n_requests && n_idle > 0) {
		left_us = due_time(n_sent, now_us) - now_us;
		if (left_us < 0)
			left_us = 0;
		if (left_us < 1000000)
			timeout = (struct timespec){ 0, left_us * 1000 };
	}
	return epoll_pwait2(epoll_fd, events, EVENTS_PER_WAIT, &timeout, NULL);
}

static void
run(void)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	int i, n;

	started_us = clock_monotonic_us();
	while (n_done < options.n_requests && n_open > 0) {
		n = wait_for_events(events);
		for (i = 0; i < n; i++)
			receive(events[i].data.ptr);
	}
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t
quantile_us(uint64_t per_cent)
{
	uint64_t at = n_latencies * per_cent / 100;

	if (n_latencies == 0)
		return 0;
	return latencies_us[at < n_latencies ? at : n_latencies - 1];
}

static void
report(int64_t took_us)
{
	double seconds = (double)(took_us > 0 ? took_us : 1) / 1e6;
	size_t i;

	qsort(latencies_us, n_latencies, sizeof(*latencies_us), compare_u32);
	printf("{\"mode\": \"%s\", \"connections\": %lu, \"requests\": %lu, "
	       "\"lost\": %lu, \"seconds\": %.3f, \"per_second\": %.0f, "
	       "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, ",
		mode_names[options.mode], options.n_connections, n_latencies,
		n_lost, seconds, (double)n_latencies / seconds, quantile_us(50),
		quantile_us(99), quantile_us(100));
	if (options.limit_text != NULL)
		printf("\"limited\": %lu, ", n_limited);
	printf("\"actions\": {");
	for (i = 0; i < n_words; i++)
		printf("%s\"%s\": %lu", i > 0 ? ", " : "", words[i].text,
			words[i].n);
	printf("}}\n");
}

/* --- options ------------------------------------------------------------- */

static void
usage(void)
{
	printf("usage: load --connect ADDRESS [options]\n"
	       "  --connections N  (100)\n"
	       "  --requests N     in total (100000)\n"
	       "  --rate R         requests a second; 0: closed loop (0)\n"
	       "  --mode MODE      known: a few triplets over and over\n"
	       "                   new: a new sender and network each time\n"
	       "                   hot: messages of one login at their end\n"
	       "                   file: the requests of --file in turn\n"
	       "  --keys K         number of triplets in mode known (1000)\n"
	       "  --seed S         makes the senders of mode new (the time)\n"
	       "  --domain NAME    of the recipient (example.com)\n"
	       "  --user ADDRESS   login in mode hot (user@example.com)\n"
	       "  --file PATH      requests, each with its empty line\n"
	       "  --limit-text T   count actions that start with T\n");
}

enum option_id {
	OPTION_CONNECT = 256,
	OPTION_CONNECTIONS,
	OPTION_REQUESTS,
	OPTION_RATE,
	OPTION_MODE,
	OPTION_KEYS,
	OPTION_SEED,
	OPTION_DOMAIN,
	OPTION_USER,
	OPTION_FILE,
	OPTION_LIMIT_TEXT,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, OPTION_CONNECT },
	{ "connections", required_argument, NULL, OPTION_CONNECTIONS },
	{ "requests", required_argument, NULL, OPTION_REQUESTS },
	{ "rate", required_argument, NULL, OPTION_RATE },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "keys", required_argument, NULL, OPTION_KEYS },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "domain", required_argument, NULL, OPTION_DOMAIN },
	{ "user", required_argument, NULL, OPTION_USER },
	{ "file", required_argument, NULL, OPTION_FILE },
	{ "limit-text", required_argument, NULL, OPTION_LIMIT_TEXT },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static uint64_t
parse_number(uint64_t min, uint64_t max)
{
	uint64_t number;

	if (!num_parse_u64(slice_of(optarg), max, &number) || number < min)
		die("\"%s\": expected a number from %lu to %lu", optarg, min,
			max);
	return number;
}

static enum mode
parse_mode(void)
{
	unsigned i;

	for (i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++)
		if (strcmp(optarg, mode_names[i]) == 0)
			return (enum mode)i;
	die("\"%s\": there are the modes known, new, hot and file", optarg);
}

static void
take_option(int option)
{
	const char *err;

	switch (option) {
	case OPTION_CONNECT:
		if (sock_parse(slice_of(optarg), &options.address, &err) != 0)
			die("\"%s\": %s", optarg, err);
		break;
	case OPTION_CONNECTIONS:
		options.n_connections = parse_number(1, CONNECTIONS_MAX);
		break;
	case OPTION_REQUESTS:
		options.n_requests = parse_number(1, UINT32_MAX);
		break;
	case OPTION_RATE:
		options.rate = parse_number(0, 1000000);
		break;
	case OPTION_MODE:
		options.mode = parse_mode();
		break;
	case OPTION_KEYS:
		options.n_keys = parse_number(1, UINT32_MAX);
		break;
	case OPTION_SEED:
		options.seed = parse_number(0, UINT32_MAX);
		break;
	case OPTION_DOMAIN:
		options.domain = optarg;
		break;
	case OPTION_USER:
		options.user = optarg;
		break;
	case OPTION_FILE:
		options.path = optarg;
		break;
	case OPTION_LIMIT_TEXT:
		options.limit_text = optarg;
		break;
	case OPTION_HELP:
		usage();
		exit(EXIT_SUCCESS);
	default:
		exit(EXIT_FAILURE); /* getopt has said why */
	}
}

static void
take_options(int argc, char **argv)
{
	int option;

	options.seed = (uint64_t)clock_wall() & UINT32_MAX;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		take_option(option);
	if (optind != argc || options.address.text[0] == '\0')
		die("--connect ADDRESS is needed, and options only");
	if ((options.mode == MODE_FILE) != (options.path != NULL))
		die("--mode file and --file go together");
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
	int64_t took_us;

	take_options(argc, argv);
	raise_descriptor_limit();
	if (options.mode == MODE_FILE)
		read_requests(options.path);
	else
		make_template(&template);
	latencies_us = x_new_array(options.n_requests, uint32_t);
	open_all();
	run();
	took_us = clock_monotonic_us() - started_us;
	report(took_us);
	return n_latencies == options.n_requests ? EXIT_SUCCESS : EXIT_FAILURE;
}
