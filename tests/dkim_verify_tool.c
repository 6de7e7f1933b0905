/*
 * Verifies the DKIM signatures of a message with OpenDKIM's library, so that
 * not only programs of ours understand what we sign:
 *
 *	dkim_verify_tool DOMAIN SELECTOR RECORD [SELECTOR RECORD...] < MESSAGE
 *
 * The records are used in place of the DNS. Prints a line for each signature
 * of DOMAIN, "pass" or what is wrong with it. Lines of the message end with
 * CR LF.
 */

#include <assert.h>
#include <opendkim/dkim.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX (64u << 20)

static char **arguments; /* DOMAIN SELECTOR RECORD... NULL */

static _Noreturn void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "dkim_verify_tool: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void
check(const char *what, DKIM_STAT status)
{
	if (status != DKIM_STAT_OK)
		die(what, dkim_getresultstr(status));
}

static bool
is_of_domain(DKIM_SIGINFO *signature)
{
	const unsigned char *domain = dkim_sig_getdomain(signature);

	return domain != NULL &&
	       strcmp((const char *)domain, arguments[0]) == 0;
}

/* In place of the DNS. */
static DKIM_CBSTAT
look_up(DKIM *dkim, DKIM_SIGINFO *signature, unsigned char *out, size_t size)
{
	const char *selector = (const char *)dkim_sig_getselector(signature);

	(void)dkim;
	for (char **at = arguments + 1; is_of_domain(signature) && *at != NULL;
		at += 2) {
		if (strcmp(selector, at[0]) != 0)
			continue;
		if (strlen(at[1]) >= size)
			die(at[0], "the record is too long");
		memcpy(out, at[1], strlen(at[1]) + 1);
		return DKIM_CBSTAT_CONTINUE;
	}
	return DKIM_CBSTAT_NOTFOUND;
}

/* Otherwise the first one that is valid would be enough. */
static DKIM_CBSTAT
verify_all(DKIM *dkim, DKIM_SIGINFO **signatures, int n)
{
	for (int i = 0; i < n; i++) {
		DKIM_SIGINFO *one = signatures[i];

		if (!is_of_domain(one))
			continue;
		(void)dkim_sig_process(dkim, one);
		if (DKIM_SIG_CHECK(one))
			(void)puts("pass");
		else if (dkim_sig_getbh(one) == DKIM_SIGBH_MISMATCH)
			(void)puts("the body has changed");
		else
			(void)puts(
				dkim_sig_geterrorstr(dkim_sig_geterror(one)));
	}
	return DKIM_CBSTAT_CONTINUE;
}

static size_t
read_message(unsigned char *out)
{
	const size_t n = fread(out, 1, MESSAGE_MAX, stdin);

	if (ferror(stdin) || !feof(stdin))
		die("message", "cannot be read, or is too long");
	return n;
}

/* The field that begins there, without the end of its last line. */
static size_t
length_of_field(const unsigned char *text, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		if (text[i] != '\r' || text[i + 1] != '\n')
			continue;
		if (i == 0 || i + 2 == n ||
			(text[i + 2] != ' ' && text[i + 2] != '\t'))
			return i;
	}
	return n;
}

static void
tell(DKIM *dkim, unsigned char *message, size_t n)
{
	size_t at = 0, len;

	while (at < n && (len = length_of_field(message + at, n - at)) > 0) {
		check("header", dkim_header(dkim, message + at, len));
		at += len + 2;
	}
	check("end of header", dkim_eoh(dkim));
	at += 2;
	if (at < n)
		check("body", dkim_body(dkim, message + at, n - at));
}

int
main(int argc, char **argv)
{
	static unsigned char message[MESSAGE_MAX];
	DKIM_LIB *library = dkim_init(NULL, NULL);
	DKIM_STAT status;
	DKIM *dkim;

	if (argc < 4 || argc % 2 != 0)
		die("usage", "see the top of tests/dkim_verify_tool.c");
	arguments = argv + 1;
	assert(library != NULL);
	check("keys", dkim_set_key_lookup(library, look_up));
	check("results", dkim_set_final(library, verify_all));
	dkim = dkim_verify(library, (const unsigned char *)"test", NULL,
		&status);
	check("verifier", status);
	tell(dkim, message, read_message(message));
	status = dkim_eom(dkim, NULL);
	if (status == DKIM_STAT_SYNTAX || status == DKIM_STAT_INTERNAL)
		die("message", dkim_getresultstr(status));
	(void)dkim_free(dkim);
	dkim_close(library);
	return EXIT_SUCCESS;
}
