/*
 * Verifies a message of 8 KB that was signed with DKIM, again and again, for
 * some seconds of processor time, and tells what it costs:
 *
 *	verify rsa|ed25519|both SECONDS
 *
 * Each time the header is told, the body in two pieces, and the records of the
 * keys, as a milter does. Prints one line of JSON, as sign does.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/crypto_key.h"
#include "common/base/num.h"
#include "common/mail/dkim_sign.h"
#include "common/mail/dkim_verify.h"
#include "common/mail/kept_header.h"

#define MESSAGE_BYTES   8192
#define SECONDS_MAX     3600
#define MESSAGES_A_LOOK 50
#define NOW             1704099600

static const struct {
	struct slice name, value;
} fields[] = {
	{ SLICE_INIT("Received"),
		SLICE_INIT(" from client.example.com (client.example.com"
			   " [192.0.2.1])\n\tby mail.example.com (Postfix)"
			   " with ESMTPSA id 4XyZ0123456789") },
	{ SLICE_INIT("Message-ID"),
		SLICE_INIT(" <0123456789abcdef@example.com>") },
	{ SLICE_INIT("Date"), SLICE_INIT(" Mon, 1 Jan 2024 10:00:00 +0100") },
	{ SLICE_INIT("MIME-Version"), SLICE_INIT(" 1.0") },
	{ SLICE_INIT("To"), SLICE_INIT(" Bob <bob@example.net>") },
	{ SLICE_INIT("From"), SLICE_INIT(" Alice <alice@example.com>") },
	{ SLICE_INIT("Subject"), SLICE_INIT(" What is to be done") },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static char body[MESSAGE_BYTES];

/* The message: its signatures, and the records of their keys. */
static struct str signatures[2], records[2];
static size_t n_signatures;

static void
make_body(void)
{
	static const char line[] = "The quick brown fox jumps over the lazy"
				   " dog, and does so once more, then.\r\n";

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = line[i % (sizeof(line) - 1)];
}

static void
sign(struct crypto_key *key, struct slice selector)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = { .key = key,
		.domain = SLICE_INIT("example.com"),
		.selector = selector,
		.header = DKIM_RELAXED,
		.body = DKIM_RELAXED,
		.now = NOW };
	struct dkim_key public;

	dkim_signer_start(signer, DKIM_BODY(DKIM_RELAXED));
	for (size_t i = 0; i < FIELDS; i++)
		dkim_signer_header(signer, fields[i].name, fields[i].value);
	dkim_signer_body(signer, (struct slice){ body, sizeof(body) });
	dkim_signer_end(signer);
	signature.fields = dkim_fields_default(&signature.n_fields);
	str_init(&signatures[n_signatures], DKIM_SIGNATURE_MAX);
	str_init(&records[n_signatures], DKIM_KEY_TEXT_MAX);
	if (dkim_sign(signer, &signature, &signatures[n_signatures]) !=
		DKIM_SIGNED)
		exit(EXIT_FAILURE);
	dkim_key_of(key, &public);
	dkim_key_write(&public, &records[n_signatures++]);
	dkim_signer_free(signer);
	crypto_key_free(key);
}

static void
verify(struct kept_header *header)
{
	const struct slice bytes = { body, sizeof(body) };
	struct dkim_verifier *verifier;

	kept_header_reset(header);
	for (size_t i = 0; i < n_signatures; i++)
		kept_header_add(header, SLICE(DKIM_FIELD_NAME),
			str_slice(&signatures[i]));
	for (size_t i = 0; i < FIELDS; i++)
		kept_header_add(header, fields[i].name, fields[i].value);
	verifier = dkim_verifier_new(header, NOW);
	dkim_verifier_body(verifier, slice_part(bytes, 0, sizeof(body) / 2));
	dkim_verifier_body(verifier, slice_from(bytes, sizeof(body) / 2));
	for (size_t i = 0; i < n_signatures; i++)
		dkim_verifier_answer(verifier, i,
			&(struct dkim_record){ DKIM_RECORD_FOUND,
				str_slice(&records[i]) });
	dkim_verifier_end(verifier);
	for (size_t i = 0; i < n_signatures; i++)
		if (dkim_verifier_result(verifier, i)->result !=
			DKIM_RESULT_PASS)
			exit(EXIT_FAILURE);
	dkim_verifier_free(verifier);
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
make_signatures(const char *wanted)
{
	const bool both = strcmp(wanted, "both") == 0;

	if (both || strcmp(wanted, "rsa") == 0)
		sign(crypto_key_make(CRYPTO_KEY_RSA), SLICE("rsa"));
	if (both || strcmp(wanted, "ed25519") == 0)
		sign(crypto_key_make(CRYPTO_KEY_ED25519), SLICE("ed25519"));
}

int
main(int argc, char **argv)
{
	struct kept_header header;
	double started, used;
	uint64_t seconds, n = 0;

	if (argc != 3 ||
		!num_parse_u64(slice_of(argv[2]), SECONDS_MAX, &seconds)) {
		(void)fputs("usage: verify rsa|ed25519|both SECONDS\n", stderr);
		return EXIT_FAILURE;
	}
	make_body();
	make_signatures(argv[1]);
	kept_header_init(&header, DKIM_HEADER_BYTES_MAX);
	started = processor_seconds();
	do {
		for (int i = 0; i < MESSAGES_A_LOOK; i++, n++)
			verify(&header);
		used = processor_seconds() - started;
	} while (used < (double)seconds);
	printf("{\"messages\": %llu, \"per_second\": %.1f, \"us\": %.2f}\n",
		(unsigned long long)n, (double)n / used,
		used / (double)n * 1e6);
	kept_header_free(&header);
	for (size_t i = 0; i < n_signatures; i++) {
		str_free(&signatures[i]);
		str_free(&records[i]);
	}
	return EXIT_SUCCESS;
}
