/*
 * Asks a resolver through common/io/dns.c and tells how it answers: names of
 * many domains at a steady rate, and beside them names of domains that are
 * answered badly (dns_responder.h); see usage(). Questions are due at fixed
 * times and their latency counts from then (open loop).
 *
 * Prints one line of JSON.
 */

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "tests/bench/dns_responder.h"

#define REASON_MAX 200

/* What is asked at one pace, and what came of it. */
struct stream {
	const char *domain; /* what its names are below */
	uint64_t rate;      /* a second; 0: nothing is asked */
	uint64_t n_names;   /* each is asked in turn; 0: always another */
	uint64_t n_payers;  /* among whom the names are divided */
	uint64_t n_asked, n_failed;
	size_t n_latencies;
	uint32_t *latencies_us;
	char reason[REASON_MAX]; /* of the last that failed */
};

struct asked {
	struct stream *stream;
	int64_t due_us;
};

static struct {
	uint64_t seconds, timeout_ms, queries, queries_per_payer;
	struct responder_config responder;
} options = {
	.seconds = 10,
	.timeout_ms = 3000,
	.queries = 2000,
	.queries_per_payer = 50,
	.responder = { .slow_ms = 700 },
};

static struct stream others = { .domain = "example",
	.rate = 1000,
	.n_payers = 200 };
static struct stream bad = { .domain = "blackhole.example",
	.n_names = 300,
	.n_payers = 1 };

static struct loop *loop;
static struct dns *dns;
static struct loop_timer *tick;
static struct responder responder;
static uint64_t n_under_way;
static int64_t started_us;
/* When the resolver answered again, and what failed last was asked. */
static int64_t answered_us, failed_us;

static _Noreturn void __attribute__((format(printf, 1, 2)))
die(const char *format, ...)
{
	va_list args;

	fputs("dns_load: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* --- asking -------------------------------------------------------------- */

static int64_t
back_us(void)
{
	return started_us + (int64_t)options.responder.back_ms * 1000;
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct asked *asked = arg;
	struct stream *stream = asked->stream;
	const int64_t now_us = clock_monotonic_us();

	stream->latencies_us[stream->n_latencies++] =
		(uint32_t)(now_us - asked->due_us);
	if (answer->status == DNS_RECORDS) {
		if (stream == &others && answered_us == 0 &&
			now_us >= back_us())
			answered_us = now_us;
	} else {
		stream->n_failed++;
		snprintf(stream->reason, sizeof(stream->reason), "%s: %s",
			dns_status_text(answer->status), answer->reason);
		if (stream == &others)
			failed_us = asked->due_us;
	}
	n_under_way--;
	x_free(asked);
}

static void
ask(struct stream *stream, int64_t due_us)
{
	struct asked *asked = x_new(struct asked);
	uint64_t number = stream->n_asked++;
	uint64_t payer;
	char name[96], payer_name[64];

	if (stream->n_names > 0)
		number %= stream->n_names;
	payer = number % stream->n_payers;
	asked->stream = stream;
	asked->due_us = due_us;
	snprintf(payer_name, sizeof(payer_name), "d%lu.%s", payer,
		stream->domain);
	snprintf(name, sizeof(name), "n%lu.%s", number, payer_name);
	n_under_way++;
	dns_ask(dns, slice_of(name),
		number / stream->n_payers % 2 == 0 ? DNS_TYPE_TXT : DNS_TYPE_A,
		options.timeout_ms, slice_of(payer_name), on_answer, asked);
}

static void
ask_due(struct stream *stream, int64_t now_us)
{
	const uint64_t n_all = stream->rate * options.seconds;
	int64_t due_us;

	while (stream->n_asked < n_all) {
		due_us = started_us +
			 (int64_t)(stream->n_asked * 1000000 / stream->rate);
		if (due_us > now_us)
			return;
		ask(stream, due_us);
	}
}

static void
on_tick(void *arg)
{
	const int64_t now_us = clock_monotonic_us();

	(void)arg;
	ask_due(&others, now_us);
	ask_due(&bad, now_us);
	if (now_us - started_us >= (int64_t)options.seconds * 1000000 &&
		n_under_way == 0)
		loop_stop(loop);
	else
		loop_timer_set(tick, 1);
}

static void
run(void)
{
	char address[32];
	const char *const resolvers[] = { address };
	const struct dns_config config = { .resolvers = resolvers,
		.n_resolvers = 1,
		.trust_anchor = "",
		.timeout_ms = options.timeout_ms,
		.cache_bytes = 32u << 20,
		.queries_max = options.queries,
		.queries_per_payer = options.queries_per_payer };

	responder_start(&responder, &options.responder);
	snprintf(address, sizeof(address), "127.0.0.1@%u", responder.port);
	loop = loop_new();
	dns = dns_new(loop, &config);
	tick = loop_timer_new(loop, on_tick, NULL);
	loop_timer_set(tick, 1);
	started_us = clock_monotonic_us();
	loop_run(loop);
	loop_timer_free(tick);
	dns_free(dns);
	loop_free(loop);
	responder_stop(&responder);
}

/* --- the report ---------------------------------------------------------- */

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t
quantile_us(const struct stream *stream, uint64_t per_cent)
{
	size_t at = stream->n_latencies * per_cent / 100;

	if (stream->n_latencies == 0)
		return 0;
	return stream->latencies_us[at < stream->n_latencies
					    ? at
					    : stream->n_latencies - 1];
}

static void
report_stream(const char *label, struct stream *stream)
{
	qsort(stream->latencies_us, stream->n_latencies,
		sizeof(*stream->latencies_us), compare_u32);
	printf("\"%s\": {\"asked\": %lu, \"failed\": %lu, \"p50_us\": %u, "
	       "\"p99_us\": %u, \"max_us\": %u, \"reason\": \"%s\"}",
		label, stream->n_asked, stream->n_failed,
		quantile_us(stream, 50), quantile_us(stream, 99),
		quantile_us(stream, 100), stream->reason);
}

/* -1: not since then. */
static long
since_back_ms(int64_t us)
{
	return us < back_us() ? -1 : (us - back_us()) / 1000;
}

static void
report(void)
{
	printf("{");
	report_stream("others", &others);
	printf(", ");
	report_stream("bad", &bad);
	if (options.responder.back_ms > 0)
		printf(", \"first_answer_ms\": %ld, \"last_failed_ms\": %ld",
			since_back_ms(answered_us), since_back_ms(failed_us));
	printf("}\n");
}

/* --- options ------------------------------------------------------------- */

static void
usage(void)
{
	printf("usage: dns_load [options]\n"
	       "  --seconds N      for how long it asks (10)\n"
	       "  --rate R         names of well-behaved domains, a second "
	       "(1000)\n"
	       "  --good DOMAIN    what those are below (example)\n"
	       "  --domains N      how many domains those are of (200)\n"
	       "  --delay MS       after which they are answered (0)\n"
	       "  --bad-rate R     names of badly behaved ones, a second (0)\n"
	       "  --bad DOMAIN     blackhole.example, servfail.example,\n"
	       "                   slow.example or tcp.example (the first)\n"
	       "  --bad-names N    as many, over and over; 0: always another "
	       "(300)\n"
	       "  --bad-domains N  how many domains those are of (1)\n"
	       "  --slow MS        after which slow.example is answered (700)\n"
	       "  --gone MS        after which the resolver goes away\n"
	       "  --back MS        after which it is back\n"
	       "  --silent         when it is away its host does not say so\n"
	       "  --timeout MS     of a query (3000)\n"
	       "  --queries N      [dns] queries (2000)\n"
	       "  --per-domain N   [dns] queries_per_domain (50)\n");
}

static const struct {
	const char *name;
	uint64_t *value;
} numbers[] = {
	{ "seconds", &options.seconds },
	{ "rate", &others.rate },
	{ "domains", &others.n_payers },
	{ "delay", &options.responder.delay_ms },
	{ "bad-rate", &bad.rate },
	{ "bad-names", &bad.n_names },
	{ "bad-domains", &bad.n_payers },
	{ "slow", &options.responder.slow_ms },
	{ "gone", &options.responder.gone_ms },
	{ "back", &options.responder.back_ms },
	{ "timeout", &options.timeout_ms },
	{ "queries", &options.queries },
	{ "per-domain", &options.queries_per_payer },
};

#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static void
parse_options(int argc, char **argv)
{
	struct option known[N_NUMBERS + 5] = {
		{ "bad", required_argument, NULL, 'b' },
		{ "good", required_argument, NULL, 'g' },
		{ "silent", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
	};
	int at, which;

	for (size_t i = 0; i < N_NUMBERS; i++)
		known[4 + i] = (struct option){ numbers[i].name,
			required_argument, NULL, 'n' };
	while ((which = getopt_long(argc, argv, "", known, &at)) != -1) {
		switch (which) {
		case 'b':
			bad.domain = optarg;
			break;
		case 'g':
			others.domain = optarg;
			break;
		case 's':
			options.responder.is_silent = true;
			break;
		case 'n':
			if (!num_parse_u64(slice_of(optarg), 1000000,
				    numbers[at - 4].value))
				die("--%s: not a number", known[at].name);
			break;
		default:
			usage();
			exit(which == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
		}
	}
	if (optind != argc || others.n_payers == 0 || bad.n_payers == 0)
		die("see --help");
}

int
main(int argc, char **argv)
{
	parse_options(argc, argv);
	others.latencies_us =
		x_new_array(others.rate * options.seconds, uint32_t);
	bad.latencies_us = x_new_array(bad.rate * options.seconds, uint32_t);
	run();
	report();
	x_free(others.latencies_us);
	x_free(bad.latencies_us);
	return EXIT_SUCCESS;
}
