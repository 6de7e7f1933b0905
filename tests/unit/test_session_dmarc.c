/* A session of the milter and DMARC: what it asks, and what it tells. */

#include "milter/session.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_milter.h"
#include "tests/unit/milter_session.h"

#define ED25519_RECORD \
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* DMARC is asked ahead as if all passed, and then as it is. */
START_TEST(asks_for_dmarc_ahead)
{
	fake_milter.result = SPF_SOFTFAIL;
	fake_milter.dmarc = DMARC_FAIL;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("H.example"));
	mail_from(SLICE("a@Example.net"), "");
	session_header(session, SLICE("from"), SLICE(" A <a@example.ORG>"));
	session_header_end(session);
	ck_assert_str_eq(fake_milter.asked,
		"H.example a@Example.net; H.example ; "
		"dmarc example.org pass example.net; ");
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n spf=softfail smtp.mailfrom=a@Example.net;"
		"\n spf=softfail smtp.helo=H.example;"
		"\n dkim=none;"
		"\n dmarc=fail header.from=example.org polrec.p=reject;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	ck_assert_str_eq(fake_milter.asked,
		"H.example a@Example.net; H.example ; "
		"dmarc example.org pass example.net; "
		"dmarc example.org softfail example.net; ");
}
END_TEST

START_TEST(dmarc_of_the_null_sender_is_of_helo)
{
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	mail_from(SLICE(""), "");
	session_header(session, SLICE("From"), SLICE(" a@example.org"));
	session_header_end(session);
	(void)end_message();
	ck_assert_str_eq(fake_milter.asked,
		"h.example ; dmarc example.org pass h.example; "
		"dmarc example.org pass h.example; ");
}
END_TEST

/* What the rule dmarc goes by, and what it says. */
START_TEST(tells_the_rules_of_dmarc)
{
	fake_milter.result = SPF_SOFTFAIL;
	fake_milter.dmarc = DMARC_FAIL;
	fake_milter.answer =
		"action=DUNNO\ndmarc_override=local_policy a setting\n";
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	mail_from(SLICE("a@example.net"), "");
	session_header(session, SLICE("From"), SLICE(" a@example.org"));
	session_header_end(session);
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n spf=softfail smtp.mailfrom=a@example.net;"
		"\n spf=softfail smtp.helo=h.example;\n dkim=none;"
		"\n dmarc=fail (local_policy a setting) "
		"header.from=example.org polrec.p=reject;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	ck_assert_str_eq(fake_milter.more, "dmarc_domain=example.org\n"
					   "dmarc_result=fail\n"
					   "dmarc_policy=reject\n"
					   "dmarc_requested=reject\n"
					   "dmarc_policy_domain=example.org\n"
					   "dmarc_record=v=DMARC1; p=reject\n"
					   "dmarc_dkim_aligned=no\n"
					   "dmarc_spf_aligned=no\n"
					   "spf_result=softfail\n"
					   "spf_domain=example.net\n"
					   "spf_is_helo=no\n");
}
END_TEST

/* Nothing is looked at that has no domain, or of which it is not known. */
START_TEST(dmarc_needs_one_domain)
{
	static const char *const fields[][2] = { { NULL, NULL },
		{ " a@example.org", " a@example.org" },
		{ " a@example.org, b@example.net", NULL },
		{ " nobody", NULL } };

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		mail_from(SLICE(""), "");
		for (size_t j = 0; j < 2 && fields[i][j] != NULL; j++)
			session_header(session, SLICE("From"),
				slice_of(fields[i][j]));
		session_header_end(session);
		(void)end_message();
		ck_assert_str_eq(fake_milter.asked, "h.example ; ");
	}
}
END_TEST

START_TEST(dmarc_may_come_too_late)
{
	fake_milter.is_answered = false;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE("a@example.net"), "");
	session_header(session, SLICE("From"), SLICE(" a@example.org"));
	session_header_end(session);
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n spf=temperror (not known in time) "
		"smtp.mailfrom=a@example.net;"
		"\n dkim=none;"
		"\n dmarc=temperror reason=\"not known in time\" "
		"header.from=example.org;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	ck_assert(fake_milter.told.was_late);
	/* Else the rule would take it for mail that may pass. */
	ck_assert_str_eq(fake_milter.more, "dmarc_domain=example.org\n"
					   "dmarc_result=temperror\n"
					   "spf_result=temperror\n"
					   "spf_domain=example.net\n"
					   "spf_is_helo=no\n");
	session_abort(session);
	ck_assert_uint_eq(fake_milter.n_taken_back, 3);
}
END_TEST

/* Sealed with the key of RFC 8463, A.2. */
static const char *const sealed_fields[][2] = {
	{ "ARC-Seal", " i=1; a=ed25519-sha256; d=Lists.example; s=s; cv=none; "
		      "b=zl9KLNgvBNp73cIhchn0AXcJc2s/EFsUwzLO0JSdUyjlR2fUeyeFf"
		      "ggX5wdfIL/D7BSnyKlad3+sagW4RoVYBQ==" },
	{ "ARC-Message-Signature",
		" i=1; a=ed25519-sha256; c=relaxed/relaxed; d=Lists.exam"
		"ple; s=s; h=from:subject; bh=yZQq1c8wjBl0fZ4Wc/oraMCAG1"
		"mZJv5v/hlvyFy+t6A=; b=PKNu2yXzRongjKSSMKjiw8nNkJuZoJKQX"
		"Sf/T5JGoQ9vxehu3xf493SGitUKIt/d+5zjo+VefqbTKfD2NI0rDQ==" },
	{ "ARC-Authentication-Results",
		" i=1; mx.lists.example; spf=fail; dmarc=Pass header.fro"
		"m=example.com" },
	{ "From", " joe@example.com" },
};

/* Who sealed it last, and what he says: for the rule dmarc. */
START_TEST(tells_the_rules_who_has_sealed)
{
	fake_milter.record = ED25519_RECORD;
	fake_milter.settings.header_bytes = 10000;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	for (int i = 0; i < 2; i++) {
		mail_from(SLICE(""), "");
		for (size_t j = 0; j < 4; j++)
			session_header(session, slice_of(sealed_fields[j][0]),
				slice_of(sealed_fields[j][1]));
		session_header_end(session);
		ck_assert(session_body(session,
			i == 0 ? SLICE("Hello.\r\n") : SLICE("Bye.\r\n")));
		(void)end_message();
		ck_assert_msg((strstr(fake_milter.more,
				       "\narc_result=pass\n"
				       "arc_sealer=lists.example\n"
				       "arc_dmarc=pass\n") != NULL) == (i == 0),
			"%s", fake_milter.more);
	}
	ck_assert(strstr(fake_milter.more, "\narc_") == NULL);
}
END_TEST

/* He may call his result by any name, but not a long one. */
START_TEST(a_seal_has_no_long_result)
{
	static const char *const others[][2] = {
		{ "ARC-Seal",
			" i=1; a=ed25519-sha256; d=Lists.example; s=s; cv=none;"
			" b=1p+CIGFFm07QUcfpOFWUrnYVGwM01ALA1Oc4h5pAyywM8oV47VT4"
			"fFnzkoHE4ebJ84TZIJVgqKXl+mjaxOTNCA==" },
		{ NULL, NULL }, /* as there */
		{ "ARC-Authentication-Results",
			" i=1; mx.lists.example; dmarc="
			"passpasspasspasspasspasspasspasspass" },
		{ "From", " joe@example.com" },
	};

	fake_milter.record = ED25519_RECORD;
	fake_milter.settings.header_bytes = 10000;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	for (size_t i = 0; i < 4; i++) {
		const char *const *field =
			others[i][0] != NULL ? others[i] : sealed_fields[i];

		session_header(session, slice_of(field[0]), slice_of(field[1]));
	}
	session_header_end(session);
	ck_assert(session_body(session, SLICE("Hello.\r\n")));
	(void)end_message();
	ck_assert_msg(strstr(fake_milter.more, "\narc_sealer=lists.example\n"
					       "arc_dmarc=\n") != NULL,
		"%s", fake_milter.more);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("session_dmarc");
	TCase *tcase = tcase_create("session_dmarc");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, asks_for_dmarc_ahead);
	tcase_add_test(tcase, dmarc_of_the_null_sender_is_of_helo);
	tcase_add_test(tcase, tells_the_rules_of_dmarc);
	tcase_add_test(tcase, dmarc_needs_one_domain);
	tcase_add_test(tcase, dmarc_may_come_too_late);
	tcase_add_test(tcase, tells_the_rules_who_has_sealed);
	tcase_add_test(tcase, a_seal_has_no_long_result);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
