#include "common/mail/received_spf.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *
write(struct received_spf *field, const char *client, struct str *out)
{
	ck_assert(ip_parse(slice_of(client), &field->client));
	str_init(out, 4096);
	received_spf_write(field, out);
	return out->data;
}

START_TEST(says_what_was_found)
{
	struct received_spf field = { .result = SPF_PASS,
		.sender = SLICE("alice@example.com"),
		.helo = SLICE("mx.example.com"),
		.receiver = SLICE("mail.example.org"),
		.mechanism = SLICE("include:_spf.example.net ip4:192.0.2.1") };
	struct str out;

	ck_assert_str_eq(write(&field, "192.0.2.1", &out),
		"Received-SPF: pass (the domain authorizes the client) "
		"client-ip=192.0.2.1; envelope-from=\"alice@example.com\"; "
		"helo=\"mx.example.com\"; receiver=\"mail.example.org\"; "
		"identity=mailfrom; "
		"mechanism=\"include:_spf.example.net ip4:192.0.2.1\"");
	str_free(&out);
}
END_TEST

START_TEST(leaves_out_what_is_not_known)
{
	struct received_spf field = { .result = SPF_PERMERROR,
		.is_helo = true,
		.problem = SLICE("example.com: there is no such mechanism") };
	struct str out;

	ck_assert_str_eq(write(&field, "2001:db8::1", &out),
		"Received-SPF: permerror (the records of the domain are "
		"wrong) client-ip=2001:db8::1; envelope-from=\"\"; "
		"identity=helo; "
		"problem=\"example.com: there is no such mechanism\"");
	str_free(&out);
}
END_TEST

/* Everything that others wrote is quoted, and cannot begin another line. */
START_TEST(quotes_what_others_wrote)
{
	struct received_spf field = { .result = SPF_NONE,
		.sender = SLICE("\"a\\b\"@x.example\r\nX-Forged: yes"),
		.helo = SLICE("m\xc3\xbcller.example"),
		.receiver = SLICE("bad\xff") };
	struct str out;

	ck_assert_str_eq(write(&field, "192.0.2.1", &out),
		"Received-SPF: none (the domain has no SPF record) "
		"client-ip=192.0.2.1; "
		"envelope-from=\"\\\"a\\\\b\\\"@x.example??X-Forged: yes\"; "
		"helo=\"m\xc3\xbcller.example\"; receiver=\"bad?\"; "
		"identity=mailfrom");
	str_free(&out);
}
END_TEST

START_TEST(stays_on_one_line_of_mail)
{
	static char quotes[4096], letters[4096];
	struct received_spf field = { .result = SPF_SOFTFAIL,
		.sender = { quotes, sizeof(quotes) },
		.helo = { letters, sizeof(letters) },
		.receiver = { letters, sizeof(letters) },
		.mechanism = { letters, sizeof(letters) },
		.problem = { letters, sizeof(letters) } };
	struct str out;

	memset(quotes, '"', sizeof(quotes));
	memset(letters, 'x', sizeof(letters));
	write(&field, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", &out);
	ck_assert_uint_le(out.len, RECEIVED_SPF_MAX);
	ck_assert_int_eq(out.data[out.len - 1], '"');
	str_free(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("received_spf");
	TCase *tcase = tcase_create("received_spf");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, says_what_was_found);
	tcase_add_test(tcase, leaves_out_what_is_not_known);
	tcase_add_test(tcase, quotes_what_others_wrote);
	tcase_add_test(tcase, stays_on_one_line_of_mail);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
