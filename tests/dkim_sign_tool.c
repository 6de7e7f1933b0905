/*
 * Signs a message with DKIM, and makes what is needed for it, so that a test
 * can show the results to programs of others:
 *
 *	dkim_sign_tool make rsa|ed25519         prints a new private key
 *	dkim_sign_tool publish FILE             prints its record as one text
 *	dkim_sign_tool strings FILE             prints it as in a zone file
 *	dkim_sign_tool sign DOMAIN TIME BYTES SELECTOR=FILE... < MESSAGE
 *
 * Signing tells the body in pieces of BYTES and prints, for each key and each
 * of the four pairs of canonical forms, one line: the value of the field,
 * with lines that go on behind "\n". The message has the end of lines that it
 * has. One that is not signed is told in words, with exit status 3.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/dkim_key.h"
#include "common/mail/dkim_sign.h"

#define MESSAGE_MAX     ((size_t)64 << 20)
#define KEYS_MAX        8
#define EXIT_NOT_SIGNED 3

/* What a message is signed with. */
struct options {
	struct slice domain;
	uint64_t time; /* seconds since 1970 */
	uint64_t step; /* bytes of a piece of the body */
	struct {
		struct slice selector;
		struct crypto_key *key;
	} keys[KEYS_MAX];
	size_t n_keys;
};

static _Noreturn void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "dkim_sign_tool: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void
read_all(FILE *file, struct str *out)
{
	char block[65536];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), file)) > 0)
		str_append(out, block, n);
	if (ferror(file) || out->is_cut)
		die("input", "cannot be read, or is too long");
}

static struct crypto_key *
read_key(const char *path)
{
	FILE *file = fopen(path, "r");
	struct crypto_key *key;
	const char *err;
	struct str text;

	if (file == NULL)
		die(path, "cannot be opened");
	str_init(&text, CRYPTO_PEM_MAX);
	read_all(file, &text);
	(void)fclose(file);
	key = crypto_key_read(str_slice(&text), &err);
	str_free(&text);
	if (key == NULL)
		die(path, err);
	return key;
}

/* --- keys --------------------------------------------------------------- */

static int
make(const char *type)
{
	struct crypto_key *key = crypto_key_make(
		strcmp(type, "rsa") == 0 ? CRYPTO_KEY_RSA : CRYPTO_KEY_ED25519);
	size_t len;
	char *pem = crypto_key_pem(key, &len);

	(void)fputs(pem, stdout);
	x_free_secret(pem, len);
	crypto_key_free(key);
	return EXIT_SUCCESS;
}

static int
publish(const char *path, bool is_zone_file)
{
	struct crypto_key *key = read_key(path);
	struct str text, strings;
	struct dkim_key public;

	str_init(&text, DKIM_KEY_TEXT_MAX);
	str_init(&strings, DKIM_KEY_STRINGS_MAX);
	dkim_key_of(key, &public);
	dkim_key_write(&public, &text);
	dkim_key_write_strings(str_slice(&text), &strings);
	(void)puts(str_text(is_zone_file ? &strings : &text));
	str_free(&text);
	str_free(&strings);
	crypto_key_free(key);
	return EXIT_SUCCESS;
}

/* --- signing ------------------------------------------------------------ */

/* Length of the first field, or of the line behind the header, with its end. */
static size_t
length_of_field(struct slice text)
{
	size_t end = 0;

	if (slice_starts(text, SLICE("\r\n")) ||
		slice_starts(text, SLICE("\n")))
		return text.ptr[0] == '\n' ? 1 : 2;
	do {
		const ptrdiff_t lf = slice_find(slice_from(text, end), '\n');

		if (lf < 0)
			return text.len;
		end += (size_t)lf + 1;
	} while (end < text.len &&
		 (text.ptr[end] == ' ' || text.ptr[end] == '\t'));
	return end;
}

static struct slice
without_line_end(struct slice text)
{
	if (slice_ends(text, SLICE("\n")))
		text.len--;
	if (slice_ends(text, SLICE("\r")))
		text.len--;
	return text;
}

static void
tell(struct dkim_signer *signer, struct slice message, size_t step)
{
	struct slice field;
	ptrdiff_t colon;
	size_t n;

	dkim_signer_start(signer,
		DKIM_BODY(DKIM_SIMPLE) | DKIM_BODY(DKIM_RELAXED));
	while (message.len > 0) {
		n = length_of_field(message);
		field = without_line_end(slice_part(message, 0, n));
		message = slice_from(message, n);
		if (field.len == 0)
			break;
		colon = slice_find(field, ':');
		if (colon <= 0)
			die("message", "what stands in its header is no field");
		dkim_signer_header(signer, slice_part(field, 0, (size_t)colon),
			slice_from(field, (size_t)colon + 1));
	}
	for (; message.len > 0; message = slice_from(message, step))
		dkim_signer_body(signer, slice_part(message, 0, step));
	dkim_signer_end(signer);
}

static void
print_value(struct slice value)
{
	struct slice line;

	for (bool is_first = true; slice_split(&value, '\n', &line);
		is_first = false)
		(void)printf("%s%.*s", is_first ? "" : "\\n", SLICE_ARG(line));
	(void)putchar('\n');
}

static enum dkim_sign_result
sign_with(struct dkim_signer *signer, const struct options *options, size_t i)
{
	struct dkim_signature signature = { .key = options->keys[i].key,
		.selector = options->keys[i].selector,
		.domain = options->domain,
		.now = (int64_t)options->time };
	enum dkim_sign_result result = DKIM_SIGNED;
	struct str value;

	signature.fields = dkim_fields_default(&signature.n_fields);
	str_init(&value, DKIM_SIGNATURE_MAX);
	for (unsigned pair = 0; pair < 4 && result == DKIM_SIGNED; pair++) {
		signature.header = pair & 1 ? DKIM_RELAXED : DKIM_SIMPLE;
		signature.body = pair & 2 ? DKIM_RELAXED : DKIM_SIMPLE;
		str_reset(&value);
		result = dkim_sign(signer, &signature, &value);
		if (result == DKIM_SIGNED)
			print_value(str_slice(&value));
	}
	str_free(&value);
	return result;
}

static int
sign(const struct options *options)
{
	struct dkim_signer *signer = dkim_signer_new();
	enum dkim_sign_result result = DKIM_SIGNED;
	struct str message;

	str_init(&message, MESSAGE_MAX);
	read_all(stdin, &message);
	tell(signer, str_slice(&message), options->step);
	for (size_t i = 0; i < options->n_keys && result == DKIM_SIGNED; i++)
		result = sign_with(signer, options, i);
	if (result != DKIM_SIGNED)
		(void)puts(dkim_sign_result_text(result));
	str_free(&message);
	dkim_signer_free(signer);
	return result == DKIM_SIGNED ? EXIT_SUCCESS : EXIT_NOT_SIGNED;
}

static uint64_t
number_of(const char *text)
{
	uint64_t number;

	if (!num_parse_u64(slice_of(text), UINT32_MAX, &number) || number == 0)
		die(text, "not a number");
	return number;
}

/* DOMAIN TIME BYTES SELECTOR=FILE... */
static int
sign_by_arguments(int n, char **arguments)
{
	struct options options = { .domain = slice_of(arguments[0]),
		.time = number_of(arguments[1]),
		.step = number_of(arguments[2]) };
	int status;

	for (int i = 3; i < n; i++) {
		struct slice file = slice_of(arguments[i]), selector;

		if (options.n_keys == KEYS_MAX ||
			!slice_split(&file, '=', &selector) || file.ptr == NULL)
			die(arguments[i], "not SELECTOR=FILE, or too many");
		options.keys[options.n_keys].selector = selector;
		options.keys[options.n_keys++].key = read_key(file.ptr);
	}
	status = sign(&options);
	while (options.n_keys-- > 0)
		crypto_key_free(options.keys[options.n_keys].key);
	return status;
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return make(argv[2]);
	if (argc == 3 && strcmp(argv[1], "publish") == 0)
		return publish(argv[2], false);
	if (argc == 3 && strcmp(argv[1], "strings") == 0)
		return publish(argv[2], true);
	if (argc >= 6 && strcmp(argv[1], "sign") == 0)
		return sign_by_arguments(argc - 2, argv + 2);
	die("usage", "see the top of tests/dkim_sign_tool.c");
}
