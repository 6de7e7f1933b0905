#include "common/mail/dns_name.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
/* 3 * 64 + 62: with the length of the last label and the root 255 bytes. */
#define A61     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONGEST A63 "." A63 "." A63 "." A61

START_TEST(reads_what_it_writes)
{
	static const struct {
		const char *name, *text, *again;
	} rows[] = {
		{ "host", "mail.example.com", "mail.example.com" },
		{ "dot at the end", "example.com.", "example.com" },
		{ "case", "Mail.EXAMPLE.com", "mail.example.com" },
		{ "root", ".", "." },
		{ "one label", "localhost", "localhost" },
		{ "underscore", "_dmarc.x", "_dmarc.x" },
		{ "dot in a label", "a\\.b.c", "a\\.b.c" },
		{ "backslash", "a\\\\b.c", "a\\\\b.c" },
		{ "number", "a\\046b\\255.c", "a\\.b\\255.c" },
		{ "needless escape", "\\e\\x.c", "ex.c" },
		{ "blank", "a b.c", "a\\032b.c" },
		{ "NUL", "a\\000.c", "a\\000.c" },
		{ "UTF-8", "b\xc3\xbc.de", "b\\195\\188.de" },
		{ "longest label", A63 ".x", A63 ".x" },
		{ "longest name", LONGEST, LONGEST },
		{ "longest with its dot", LONGEST ".", LONGEST },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[DNS_NAME_TEXT_MAX];
		struct dns_name name, again;

		ck_assert_msg(dns_name_parse(slice_of(rows[i].text), &name),
			"%s", rows[i].name);
		ck_assert_msg(strcmp(dns_name_format(&name, text),
				      rows[i].again) == 0,
			"%s: %s", rows[i].name, text);
		ck_assert(dns_name_parse(slice_of(text), &again));
		ck_assert(dns_name_eq(&name, &again));
	}
}
END_TEST

START_TEST(refuses_what_is_no_name)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "nothing", "" },
		{ "empty label", "a..b" },
		{ "dot at the beginning", ".a" },
		{ "two dots", ".." },
		{ "two dots at the end", "a.." },
		{ "label too long", A63 "a.x" },
		{ "name too long", LONGEST "a" },
		{ "half an escape", "a\\" },
		{ "two digits", "a\\12" },
		{ "a digit and a letter", "a\\1x2" },
		{ "number too large", "a\\256" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_name name;

		ck_assert_msg(!dns_name_parse(slice_of(rows[i].text), &name),
			"%s", rows[i].name);
	}
}
END_TEST

START_TEST(knows_what_is_within_a_domain)
{
	static const struct {
		const char *name, *domain;
		bool is_within;
	} rows[] = {
		{ "a.example.com", "example.com", true },
		{ "A.b.Example.COM", "eXample.com.", true },
		{ "example.com", "com", true },
		{ "com", ".", true },
		{ LONGEST, A63 "." A61, true },
		{ LONGEST, A61, true },
		{ "example.com", "example.com", false },
		{ ".", ".", false },
		{ ".", "com", false },
		{ "com", "example.com", false },
		{ "aexample.com", "example.com", false },
		{ "a.example.com", "example.org", false },
		{ "a.example.com", "b.example.com", false },
		{ "example.com.a", "example.com", false },
		/* The same text at the end, but not the same labels. */
		{ "a\\.example.com", "example.com", false },
		{ "a\\.com", "com", false },
		{ "a\\\\.com", "com", true },
		/* The length of a label is a byte like others. */
		{ "aaa\\003com", "com", false },
		{ "x\\007example\\003com", "example.com", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_name name, domain;

		ck_assert(dns_name_parse(slice_of(rows[i].name), &name));
		ck_assert(dns_name_parse(slice_of(rows[i].domain), &domain));
		ck_assert_msg(dns_name_is_within(&name, &domain) ==
				      rows[i].is_within,
			"%s in %s", rows[i].name, rows[i].domain);
	}
}
END_TEST

START_TEST(the_longest_text_fits)
{
	char text[DNS_NAME_TEXT_MAX], again[DNS_NAME_TEXT_MAX];
	struct dns_name name;
	size_t len = 0;

	for (unsigned i = 0; i < 253; i++) {
		if (i % 64 == 63)
			text[len++] = '.';
		else
			len += (size_t)snprintf(text + len, 5, "\\%03d", i);
	}
	ck_assert(dns_name_parse((struct slice){ text, len }, &name));
	ck_assert_uint_eq(name.len, DNS_NAME_MAX);
	ck_assert_uint_lt(strlen(dns_name_format(&name, again)),
		DNS_NAME_TEXT_MAX);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dns_name");
	TCase *tcase = tcase_create("dns_name");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, reads_what_it_writes);
	tcase_add_test(tcase, refuses_what_is_no_name);
	tcase_add_test(tcase, knows_what_is_within_a_domain);
	tcase_add_test(tcase, the_longest_text_fits);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
