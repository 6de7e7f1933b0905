/*
 * Verifies the DKIM signatures, or the ARC chain, of a message with code of
 * ours, without a DNS:
 *
 *	verify_tool dkim|arc TIME BYTES NAME=RECORD... < MESSAGE
 *
 * TIME is in seconds since 1970, and the body is told in pieces of BYTES. A
 * record is what the DNS has at NAME, which is in lower case; one of "?" could
 * not be had. Prints for each signature what becomes of it:
 *
 *	RESULT DOMAIN SELECTOR BITS FLAGS REASON
 *
 * where FLAGS are of "p", "t" and "w" (partial, test, weak), "-" for none; or
 * for a chain RESULT OLDEST-PASS INSTANCES REASON. Lines of the message end
 * with LF or CR LF.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/arc_verify.h"
#include "common/mail/dkim_verify.h"
#include "common/mail/kept_header.h"

#define MESSAGE_MAX ((size_t)64 << 20)

static char **records; /* NULL behind the last one */

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "verify_tool: %s\n", what);
	exit(EXIT_FAILURE);
}

static struct slice
read_all(struct str *out)
{
	char block[65536];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), stdin)) > 0)
		str_append(out, block, n);
	if (ferror(stdin) || out->is_cut)
		die("the message cannot be read, or is too long");
	return str_slice(out);
}

static struct dkim_record
look_up(const char *name)
{
	struct dkim_record record = { .status = DKIM_RECORD_ABSENT };
	const size_t n = strlen(name);

	for (char **at = records; *at != NULL; at++) {
		if (strncmp(*at, name, n) != 0 || (*at)[n] != '=')
			continue;
		if (record.status != DKIM_RECORD_ABSENT)
			record.status = DKIM_RECORD_SEVERAL;
		else
			record.status = DKIM_RECORD_FOUND;
		record.text = slice_of(*at + n + 1);
		if (slice_eq_text(record.text, "?"))
			record = (struct dkim_record){
				.status = DKIM_RECORD_FAILED
			};
	}
	return record;
}

/* The lines of a field, without the end of the last one. */
static struct slice
next_field(struct slice *rest)
{
	size_t end = 0;
	struct slice field;

	do {
		const struct slice line = slice_from(*rest, end);
		const ptrdiff_t lf = slice_find(line, '\n');

		end = lf < 0 ? rest->len : end + (size_t)lf + 1;
	} while (end < rest->len &&
		 (rest->ptr[end] == ' ' || rest->ptr[end] == '\t'));
	field = slice_part(*rest, 0, end);
	*rest = slice_from(*rest, end);
	if (slice_ends(field, SLICE("\n")))
		field.len--;
	if (slice_ends(field, SLICE("\r")))
		field.len--;
	return field;
}

/* What follows is the body. */
static struct slice
read_header(struct slice message, struct kept_header *out)
{
	while (message.len > 0) {
		const struct slice field = next_field(&message);
		const ptrdiff_t colon = slice_find(field, ':');

		if (colon <= 0)
			break;
		kept_header_add(out, slice_part(field, 0, (size_t)colon),
			slice_from(field, (size_t)colon + 1));
	}
	return message;
}

static void
print_signature(const struct dkim_verified *one)
{
	char flags[4];

	(void)snprintf(flags, sizeof(flags), "%s%s%s",
		one->is_partial ? "p" : "", one->is_test ? "t" : "",
		one->is_weak ? "w" : "");
	(void)printf("%s %.*s %.*s %u %s %.*s\n", dkim_result_name(one->result),
		SLICE_ARG(one->claim.domain), SLICE_ARG(one->claim.selector),
		one->bits, flags[0] != '\0' ? flags : "-",
		SLICE_ARG(one->reason));
}

static void
verify_dkim(const struct kept_header *header, struct slice body, uint64_t now,
	uint64_t step)
{
	struct dkim_verifier *verifier =
		dkim_verifier_new(header, (int64_t)now);

	for (; body.len > 0; body = slice_from(body, step))
		dkim_verifier_body(verifier, slice_part(body, 0, step));
	for (size_t i = 0; i < dkim_verifier_count(verifier); i++) {
		struct dkim_record record;

		if (!dkim_verifier_wants_key(verifier, i))
			continue;
		record = look_up(
			dkim_verifier_result(verifier, i)->claim.key_name);
		dkim_verifier_answer(verifier, i, &record);
	}
	dkim_verifier_end(verifier);
	for (size_t i = 0; i < dkim_verifier_count(verifier); i++)
		print_signature(dkim_verifier_result(verifier, i));
	if (dkim_verifier_ignored(verifier) > 0)
		(void)printf("ignored %zu\n", dkim_verifier_ignored(verifier));
	dkim_verifier_free(verifier);
}

static void
verify_arc(const struct kept_header *header, struct slice body, uint64_t step)
{
	struct arc_verifier *verifier = arc_verifier_new(header);
	struct arc_outcome outcome;

	for (; body.len > 0; body = slice_from(body, step))
		arc_verifier_body(verifier, slice_part(body, 0, step));
	for (size_t i = 0; i < arc_verifier_keys(verifier); i++) {
		const struct dkim_record record =
			look_up(arc_verifier_key_name(verifier, i));

		arc_verifier_answer(verifier, i, &record);
	}
	arc_verifier_end(verifier, &outcome);
	(void)printf("%s %u %u %.*s\n", arc_result_name(outcome.result),
		outcome.oldest_pass, outcome.n, SLICE_ARG(outcome.reason));
	arc_verifier_free(verifier);
}

int
main(int argc, char **argv)
{
	struct kept_header header;
	uint64_t now, step;
	struct slice body;
	struct str text;

	if (argc < 4 || !num_parse_u64(slice_of(argv[2]), INT64_MAX, &now) ||
		!num_parse_u64(slice_of(argv[3]), MESSAGE_MAX, &step) ||
		step == 0)
		die("see the top of tests/verify_tool.c");
	records = argv + 4;
	str_init(&text, MESSAGE_MAX);
	kept_header_init(&header, MESSAGE_MAX);
	body = read_header(read_all(&text), &header);
	if (strcmp(argv[1], "arc") == 0)
		verify_arc(&header, body, step);
	else
		verify_dkim(&header, body, now, step);
	kept_header_free(&header);
	str_free(&text);
	return EXIT_SUCCESS;
}
