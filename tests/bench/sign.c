/*
 * Signs messages of 8 KB with DKIM, one after the other, for some seconds of
 * processor time, and tells what one of them costs:
 *
 *	sign rsa|ed25519|both SECONDS
 *
 * The key is read once, as a milter holds it; the header, the body in two
 * pieces and the end of each message are told to one signer. "both" makes two
 * signatures. Prints one line of JSON. Processor time and not that of a
 * clock, as openssl speed has it: what else the machine does matters less.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/crypto_key.h"
#include "common/base/num.h"
#include "common/mail/dkim_sign.h"

#define MESSAGE_BYTES   8192
#define SECONDS_MAX     3600
#define MESSAGES_A_LOOK 50

static const struct {
	struct slice name, value;
} header[] = {
	{ SLICE_INIT("Received"),
		SLICE_INIT(" from client.example.com (client.example.com"
			   " [192.0.2.1])\n\tby mail.example.com (Postfix)"
			   " with ESMTPSA id 4XyZ0123456789\n\tfor"
			   " <bob@example.net>; Mon,  1 Jan 2024 10:00:00"
			   " +0100 (CET)") },
	{ SLICE_INIT("Message-ID"),
		SLICE_INIT(" <0123456789abcdef@example.com>") },
	{ SLICE_INIT("Date"), SLICE_INIT(" Mon, 1 Jan 2024 10:00:00 +0100") },
	{ SLICE_INIT("MIME-Version"), SLICE_INIT(" 1.0") },
	{ SLICE_INIT("User-Agent"), SLICE_INIT(" A program of somebody") },
	{ SLICE_INIT("Content-Language"), SLICE_INIT(" en") },
	{ SLICE_INIT("To"), SLICE_INIT(" Bob <bob@example.net>") },
	{ SLICE_INIT("From"), SLICE_INIT(" Alice <alice@example.com>") },
	{ SLICE_INIT("Subject"), SLICE_INIT(" What is to be done") },
	{ SLICE_INIT("In-Reply-To"), SLICE_INIT(" <fedcba@example.net>") },
	{ SLICE_INIT("Content-Type"),
		SLICE_INIT(" text/plain; charset=UTF-8; format=flowed") },
	{ SLICE_INIT("Content-Transfer-Encoding"), SLICE_INIT(" 8bit") },
};

static char body[MESSAGE_BYTES];

/* Words on lines of 72 columns. */
static void
make_body(void)
{
	static const char line[] = "The quick brown fox jumps over the lazy"
				   " dog, and does so once more, then.\r\n";

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = line[i % (sizeof(line) - 1)];
}

static double
processor_seconds(void)
{
	struct rusage used;

	assert(getrusage(RUSAGE_SELF, &used) == 0);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void
tell(struct dkim_signer *signer)
{
	const struct slice bytes = { body, sizeof(body) };

	dkim_signer_start(signer, DKIM_BODY(DKIM_RELAXED));
	for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++)
		dkim_signer_header(signer, header[i].name, header[i].value);
	dkim_signer_body(signer, slice_part(bytes, 0, sizeof(body) / 2));
	dkim_signer_body(signer, slice_from(bytes, sizeof(body) / 2));
	dkim_signer_end(signer);
}

static void
sign(struct dkim_signer *signer, const struct crypto_key *key, struct str *out)
{
	struct dkim_signature signature = { .key = key,
		.domain = SLICE_INIT("example.com"),
		.selector = SLICE_INIT("selector"),
		.header = DKIM_RELAXED,
		.body = DKIM_RELAXED,
		.now = 1704099600 };

	signature.fields = dkim_fields_default(&signature.n_fields);
	str_reset(out);
	if (dkim_sign(signer, &signature, out) != DKIM_SIGNED)
		exit(EXIT_FAILURE);
}

/* Tells and signs until the time is over; returns how many messages. */
static uint64_t
run(struct dkim_signer *signer, struct crypto_key *const keys[2],
	double seconds)
{
	const double end = processor_seconds() + seconds;
	uint64_t n = 0;
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	do {
		for (int i = 0; i < MESSAGES_A_LOOK; i++, n++) {
			tell(signer);
			for (int at = 0; at < 2; at++)
				if (keys[at] != NULL)
					sign(signer, keys[at], &out);
		}
	} while (processor_seconds() < end);
	str_free(&out);
	return n;
}

static struct crypto_key *
make_key(const char *wanted, const char *name, enum crypto_key_type type)
{
	if (strcmp(wanted, name) != 0 && strcmp(wanted, "both") != 0)
		return NULL;
	return crypto_key_make(type);
}

int
main(int argc, char **argv)
{
	struct crypto_key *keys[2];
	struct dkim_signer *signer;
	double started, used;
	uint64_t seconds, n;

	if (argc != 3 ||
		!num_parse_u64(slice_of(argv[2]), SECONDS_MAX, &seconds)) {
		(void)fputs("usage: sign rsa|ed25519|both SECONDS\n", stderr);
		return EXIT_FAILURE;
	}
	keys[0] = make_key(argv[1], "rsa", CRYPTO_KEY_RSA);
	keys[1] = make_key(argv[1], "ed25519", CRYPTO_KEY_ED25519);
	signer = dkim_signer_new();
	make_body();
	started = processor_seconds();
	n = run(signer, keys, (double)seconds);
	used = processor_seconds() - started;
	printf("{\"messages\": %llu, \"per_second\": %.1f, \"us\": %.2f}\n",
		(unsigned long long)n, (double)n / used,
		used / (double)n * 1e6);
	dkim_signer_free(signer);
	crypto_key_free(keys[0]);
	crypto_key_free(keys[1]);
	return EXIT_SUCCESS;
}
