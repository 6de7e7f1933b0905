#include "common/mail/dkim_canon.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

static void
append(void *to, const char *bytes, size_t n)
{
	ck_assert_uint_gt(n, 0);
	str_append(to, bytes, n);
}

static void
ck_assert_text(const char *name, const struct str *got, struct slice expected)
{
	ck_assert_msg(slice_eq(str_slice(got), expected),
		"%s: \"%s\"\ninstead of \"%.*s\"", name, str_text(got),
		SLICE_ARG(expected));
}

/* --- header fields ------------------------------------------------------ */

static const struct {
	const char *what, *name;
	struct slice value;
	struct slice simple, relaxed;
} headers[] = {
	/* The examples of RFC 6376, 3.4.5. */
	{ "example 1", "A", SLICE_INIT(" X"), SLICE_INIT("A: X"),
		SLICE_INIT("a:X") },
	{ "example 2", "B ", SLICE_INIT(" Y\t\r\n\tZ  "),
		SLICE_INIT("B : Y\t\r\n\tZ  "), SLICE_INIT("b:Y Z") },

	{ "as milters see it", "B", SLICE_INIT(" Y\n\tZ"),
		SLICE_INIT("B: Y\r\n\tZ"), SLICE_INIT("b:Y Z") },
	{ "nothing", "Subject", SLICE_INIT(""), SLICE_INIT("Subject:"),
		SLICE_INIT("subject:") },
	{ "blanks", "Subject", SLICE_INIT(" \t "), SLICE_INIT("Subject: \t "),
		SLICE_INIT("subject:") },
	{ "no blank first", "Subject", SLICE_INIT("a"), SLICE_INIT("Subject:a"),
		SLICE_INIT("subject:a") },
	{ "several blanks", "X-Long-NAME", SLICE_INIT("  a \t b  c "),
		SLICE_INIT("X-Long-NAME:  a \t b  c "),
		SLICE_INIT("x-long-name:a b c") },
	{ "folded at once", "Subject", SLICE_INIT("\r\n a"),
		SLICE_INIT("Subject:\r\n a"), SLICE_INIT("subject:a") },
	{ "folded twice", "Subject", SLICE_INIT(" a\r\n b\r\n\t c"),
		SLICE_INIT("Subject: a\r\n b\r\n\t c"),
		SLICE_INIT("subject:a b c") },
	{ "a line of blanks", "Subject", SLICE_INIT(" a\r\n \r\n b\r\n "),
		SLICE_INIT("Subject: a\r\n \r\n b\r\n "),
		SLICE_INIT("subject:a b") },
	{ "a CR of its own", "Subject", SLICE_INIT(" a\rb\r"),
		SLICE_INIT("Subject: a\rb\r"), SLICE_INIT("subject:a\rb\r") },
	{ "other bytes", "Subject", SLICE_INIT(" \0\v\xe4\xf6"),
		SLICE_INIT("Subject: \0\v\xe4\xf6"),
		SLICE_INIT("subject:\0\v\xe4\xf6") },
	{ "a long name",
		"X-0123456789-0123456789-0123456789-0123456789-0123456789-"
		"0123456789-ABCDEF",
		SLICE_INIT(" a"),
		SLICE_INIT("X-0123456789-0123456789-0123456789-0123456789-"
			   "0123456789-0123456789-ABCDEF: a"),
		SLICE_INIT("x-0123456789-0123456789-0123456789-0123456789-"
			   "0123456789-0123456789-abcdef:a") },
};

START_TEST(header_fields)
{
	const struct slice name = slice_of(headers[_i].name);
	struct str out;

	str_init(&out, 4096);
	dkim_canon_header(DKIM_SIMPLE, name, headers[_i].value, append, &out);
	ck_assert_text(headers[_i].what, &out, headers[_i].simple);
	str_reset(&out);
	dkim_canon_header(DKIM_RELAXED, name, headers[_i].value, append, &out);
	ck_assert_text(headers[_i].what, &out, headers[_i].relaxed);
	str_free(&out);
}
END_TEST

/* --- bodies ------------------------------------------------------------- */

#define CRLF_20                                                            \
	"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" \
	"\r\n\r\n\r\n\r\n"

static const struct {
	const char *what;
	struct slice body, simple, relaxed;
} bodies[] = {
	/* The examples of RFC 6376, 3.4.5. */
	{ "the example", SLICE_INIT(" C \r\nD \t E\r\n\r\n\r\n"),
		SLICE_INIT(" C \r\nD \t E\r\n"), SLICE_INIT(" C\r\nD E\r\n") },

	{ "nothing", SLICE_INIT(""), SLICE_INIT("\r\n"), SLICE_INIT("") },
	{ "an empty line", SLICE_INIT("\r\n"), SLICE_INIT("\r\n"),
		SLICE_INIT("") },
	{ "empty lines", SLICE_INIT(CRLF_20), SLICE_INIT("\r\n"),
		SLICE_INIT("") },
	{ "empty lines first", SLICE_INIT("\r\n\r\na\r\n"),
		SLICE_INIT("\r\n\r\na\r\n"), SLICE_INIT("\r\n\r\na\r\n") },
	{ "empty lines between", SLICE_INIT("a\r\n" CRLF_20 "b"),
		SLICE_INIT("a\r\n" CRLF_20 "b\r\n"),
		SLICE_INIT("a\r\n" CRLF_20 "b\r\n") },
	{ "a last line without an end", SLICE_INIT("a\r\nb"),
		SLICE_INIT("a\r\nb\r\n"), SLICE_INIT("a\r\nb\r\n") },
	{ "only blanks", SLICE_INIT(" \t"), SLICE_INIT(" \t\r\n"),
		SLICE_INIT("") },
	{ "a line of blanks", SLICE_INIT(" \t\r\n"), SLICE_INIT(" \t\r\n"),
		SLICE_INIT("") },
	{ "lines of blanks at the end", SLICE_INIT("a\r\n \r\n\t\r\n"),
		SLICE_INIT("a\r\n \r\n\t\r\n"), SLICE_INIT("a\r\n") },
	{ "lines of blanks between", SLICE_INIT("a\r\n \r\nb\r\n"),
		SLICE_INIT("a\r\n \r\nb\r\n"), SLICE_INIT("a\r\n\r\nb\r\n") },
	{ "blanks at the end of a line", SLICE_INIT("a \t \r\nb \r\n"),
		SLICE_INIT("a \t \r\nb \r\n"), SLICE_INIT("a\r\nb\r\n") },
	{ "blanks at its beginning", SLICE_INIT("\t a\r\n b\r\n"),
		SLICE_INIT("\t a\r\n b\r\n"), SLICE_INIT(" a\r\n b\r\n") },
	{ "single blanks", SLICE_INIT("a b c\td\r\n"),
		SLICE_INIT("a b c\td\r\n"), SLICE_INIT("a b c d\r\n") },
	{ "blanks between", SLICE_INIT("a  b \tc\t d\t\te\r\n"),
		SLICE_INIT("a  b \tc\t d\t\te\r\n"),
		SLICE_INIT("a b c d e\r\n") },
	{ "a bare LF", SLICE_INIT("a\nb \n\n"), SLICE_INIT("a\r\nb \r\n"),
		SLICE_INIT("a\r\nb\r\n") },
	{ "only an LF", SLICE_INIT("\n"), SLICE_INIT("\r\n"), SLICE_INIT("") },
	{ "a CR in a line", SLICE_INIT("a\rb\r\n"), SLICE_INIT("a\rb\r\n"),
		SLICE_INIT("a\rb\r\n") },
	{ "a CR at the end of a line", SLICE_INIT("a\r\r\nb\r\n"),
		SLICE_INIT("a\r\r\nb\r\n"), SLICE_INIT("a\r\r\nb\r\n") },
	{ "a CR at the end", SLICE_INIT("a\r"), SLICE_INIT("a\r\r\n"),
		SLICE_INIT("a\r\r\n") },
	{ "only a CR", SLICE_INIT("\r"), SLICE_INIT("\r\r\n"),
		SLICE_INIT("\r\r\n") },
	{ "a CR behind empty lines", SLICE_INIT("\r\n\n\r"),
		SLICE_INIT("\r\n\r\n\r\r\n"), SLICE_INIT("\r\n\r\n\r\r\n") },
	{ "blanks around a CR", SLICE_INIT("a  \r  \r\n"),
		SLICE_INIT("a  \r  \r\n"), SLICE_INIT("a \r\r\n") },
	{ "other bytes", SLICE_INIT("\0\v\f\xe4\x80\xff\r\n"),
		SLICE_INIT("\0\v\f\xe4\x80\xff\r\n"),
		SLICE_INIT("\0\v\f\xe4\x80\xff\r\n") },
	{ "dots", SLICE_INIT("..\r\n.\r\n"), SLICE_INIT("..\r\n.\r\n"),
		SLICE_INIT("..\r\n.\r\n") },
};

/* In pieces of step bytes, the first shorter by lead. */
static void
canonical_body(enum dkim_canon canon, struct slice bytes, size_t step,
	size_t lead, struct str *out)
{
	struct dkim_canon_body body;

	str_reset(out);
	dkim_canon_body_start(&body, canon, append, out);
	dkim_canon_body_add(&body, slice_part(bytes, 0, lead));
	for (size_t i = lead; i < bytes.len; i += step)
		dkim_canon_body_add(&body, slice_part(bytes, i, i + step));
	dkim_canon_body_end(&body);
}

START_TEST(bodies_however_they_are_cut)
{
	const struct slice body = bodies[_i].body;
	struct str out;

	str_init(&out, 4096);
	for (size_t step = 1; step <= body.len + 1; step++) {
		for (size_t lead = 0; lead < step && lead <= body.len; lead++) {
			canonical_body(DKIM_SIMPLE, body, step, lead, &out);
			ck_assert_text(bodies[_i].what, &out,
				bodies[_i].simple);
			canonical_body(DKIM_RELAXED, body, step, lead, &out);
			ck_assert_text(bodies[_i].what, &out,
				bodies[_i].relaxed);
		}
	}
	str_free(&out);
}
END_TEST

START_TEST(names_are_those_of_the_standard)
{
	ck_assert_str_eq(dkim_canon_name(DKIM_SIMPLE), "simple");
	ck_assert_str_eq(dkim_canon_name(DKIM_RELAXED), "relaxed");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dkim_canon");
	TCase *tcase = tcase_create("dkim_canon");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, header_fields, 0, N(headers));
	tcase_add_loop_test(tcase, bodies_however_they_are_cut, 0, N(bodies));
	tcase_add_test(tcase, names_are_those_of_the_standard);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
