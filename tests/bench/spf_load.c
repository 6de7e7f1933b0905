/*
 * Evaluates SPF through common/io/spf_check.c over a resolver on loopback
 * (dns_responder.h) and tells how many evaluations a second that makes, and
 * what each costs this process: its processor time, of which libunbound takes
 * the most. The records have five includes, none of which matches; see
 * usage().
 *
 * Prints one line of JSON.
 */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "common/io/spf_check.h"
#include "tests/bench/dns_responder.h"

#define TIMEOUT_MS   10000
#define CACHE_BYTES  (64u << 20)
#define QUERIES_MAX  20000u
#define ALL_AT_ONCE  10000u
#define NAME_MAX_LEN 64

static uint64_t n_evaluations = 50000, n_at_once = 200;
static uint64_t n_domains; /* each in turn; 0: always another */
static uint64_t n_begun, n_done, n_wrong;
static struct loop *loop;
static struct dns *dns;
static struct loop_turn *turn;

static _Noreturn void
usage(void)
{
	fputs("usage: spf_load [--evaluations N] [--at-once N] [--domains N]\n"
	      "--domains 0, the default, asks the DNS for each evaluation; with "
	      "more the\nanswers come from the cache of libunbound.\n",
		stderr);
	exit(EXIT_FAILURE);
}

static void
on_done(void *arg, const struct spf_outcome *outcome, const struct spf *spf)
{
	(void)arg;
	(void)spf;
	n_done++;
	n_wrong += outcome->result != SPF_FAIL;
	if (n_done == n_evaluations)
		loop_stop(loop);
	else
		loop_turn_ask(turn);
}

static void
begin_one(void)
{
	const struct dns_session_config config = { .deadline_ms = TIMEOUT_MS,
		.question_ms = TIMEOUT_MS };
	struct spf_input input = { .local = SLICE("user"),
		.helo = SLICE("mx.example") };
	char domain[NAME_MAX_LEN];

	(void)snprintf(domain, sizeof(domain), "m%llu.spf.example",
		(unsigned long long)(n_domains > 0 ? n_begun % n_domains
						   : n_begun));
	(void)ip_parse(SLICE("203.0.113.1"), &input.client);
	input.domain = slice_of(domain);
	n_begun++;
	spf_check_start(loop, dns, &input, &config, on_done, NULL);
}

static void
on_turn(void *arg)
{
	(void)arg;
	while (n_begun < n_evaluations && n_begun - n_done < n_at_once)
		begin_one();
}

static double
processor_us(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
run(void)
{
	const int64_t began_us = clock_monotonic_us();
	const double processor_began_us = processor_us();
	double seconds;

	n_begun = n_done = n_wrong = 0;
	loop_turn_ask(turn);
	loop_run(loop);
	seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
	printf("{\"evaluations\":%llu,\"wrong\":%llu,\"seconds\":%.3f,"
	       "\"per_second\":%.0f,\"processor_us\":%.1f}\n",
		(unsigned long long)n_done, (unsigned long long)n_wrong,
		seconds, (double)n_done / seconds,
		(processor_us() - processor_began_us) / (double)n_done);
}

static void
read_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	if (!num_parse_u64(slice_of(text), max, out) || *out < min)
		usage();
}

static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "evaluations", required_argument, NULL, 'e' },
		{ "at-once", required_argument, NULL, 'a' },
		{ "domains", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'e')
			read_number(optarg, 1, 100000000, &n_evaluations);
		else if (option == 'a')
			read_number(optarg, 1, ALL_AT_ONCE, &n_at_once);
		else if (option == 'd')
			read_number(optarg, 0, 100000, &n_domains);
		else
			usage();
	}
	if (optind != argc)
		usage();
}

int
main(int argc, char **argv)
{
	const struct responder_config responder_config = { .delay_ms = 0 };
	struct dns_config config = { .n_resolvers = 1,
		.trust_anchor = "",
		.timeout_ms = TIMEOUT_MS,
		.cache_bytes = CACHE_BYTES,
		.queries_max = QUERIES_MAX,
		.queries_per_payer = QUERIES_MAX };
	struct responder responder;
	char address[32];
	const char *resolvers[] = { address };

	read_options(argc, argv);
	responder_start(&responder, &responder_config);
	(void)snprintf(address, sizeof(address), "127.0.0.1@%u",
		responder.port);
	config.resolvers = resolvers;
	loop = loop_new();
	dns = dns_new(loop, &config);
	turn = loop_turn_new(loop, on_turn, NULL);
	run();
	loop_turn_free(turn);
	dns_free(dns);
	loop_free(loop);
	responder_stop(&responder);
	return n_wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
