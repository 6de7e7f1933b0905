#include "milter/session.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "tests/unit/dkim_keys.h"
#include "tests/unit/fake_milter.h"
#include "tests/unit/milter_session.h"

static size_t
forged(size_t i)
{
	size_t number;

	return session_forged(session, i, &number) ? number : 0;
}

START_TEST(asks_as_soon_as_it_knows_what)
{
	struct judgement out;

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	ck_assert_str_eq(fake_milter.asked, "");
	mail_from(SLICE("a@example.net"), "");
	ck_assert_str_eq(fake_milter.asked,
		"h.example a@example.net; h.example ; ");
	out = end_message();
	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
	ck_assert_str_eq(out.results.ptr,
		" mx.example.com;\n spf=pass smtp.mailfrom=a@example.net;"
		"\n spf=pass smtp.helo=h.example;"
		"\n dkim=none;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	ck_assert_uint_eq(fake_milter.n_told, 1);
	ck_assert_str_eq(fake_milter.told.queue_id, "4711");
	ck_assert_str_eq(fake_milter.told.sender, "a@example.net");
	ck_assert_str_eq(fake_milter.told.spf, "pass");
	ck_assert_str_eq(fake_milter.told.action, "accept");
}
END_TEST

START_TEST(asks_for_helo_once_for_all_messages)
{
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	mail_from(SLICE("a@example.net"), "");
	(void)end_message();
	mail_from(SLICE(""), "");
	(void)end_message();
	ck_assert_str_eq(fake_milter.asked,
		"h.example a@example.net; h.example ; ");
	session_helo(session, SLICE("i.example"));
	mail_from(SLICE(""), "");
	ck_assert_str_eq(fake_milter.asked,
		"h.example a@example.net; h.example ; i.example ; ");
}
END_TEST

START_TEST(asks_for_names_that_postfix_has_not)
{
	ck_assert_int_eq(connect_as("192.0.2.1", "unknown"), SESSION_SERVE);
	for (size_t i = 0; i < 2; i++) {
		mail_from(SLICE(""), "");
		ck_assert_str_eq(end_message().results.ptr,
			" mx.example.com;"
			"\n dkim=none;"
			"\n iprev=permerror policy.iprev=192.0.2.1");
		ck_assert_str_eq(fake_milter.asked, "client; ");
	}
	session_free(session);
	session = session_new(NULL);
	fake_milter.is_answered = false;
	ck_assert_int_eq(connect_as("192.0.2.1", "unknown"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n dkim=none;\n iprev=temperror policy.iprev=192.0.2.1");
	ck_assert(fake_milter.told.was_late);
}
END_TEST

START_TEST(asks_nothing_of_those_it_knows)
{
	fake_milter.is_trusted = true;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	mail_from(SLICE("a@example.net"), "");
	ck_assert_uint_eq(end_message().results.len, 0);
	mail_from(SLICE("a@example.net"), "b@example.com");
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n auth=pass (PLAIN) smtp.auth=b@example.com");
	ck_assert_str_eq(fake_milter.asked, "");
}
END_TEST

START_TEST(waits_at_the_end_only_and_not_for_ever)
{
	fake_milter.is_answered = false;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE("a@example.net"), "");
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n spf=temperror (not known in time) "
		"smtp.mailfrom=a@example.net;"
		"\n dkim=none;"
		"\n iprev=pass policy.iprev=192.0.2.1");
	ck_assert(fake_milter.told.was_late);
	ck_assert_str_eq(fake_milter.told.spf, "late");
	session_abort(session);
	ck_assert_uint_eq(fake_milter.n_taken_back, 1);
}
END_TEST

START_TEST(takes_back_what_was_asked_when_a_message_is_aborted)
{
	fake_milter.is_answered = false;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	for (size_t i = 0; i < 3; i++) {
		mail_from(SLICE("a@example.net"), "");
		ck_assert_uint_eq(fake_milter.n_open,
			3); /* the session, HELO, MAIL */
		session_abort(session);
		session_abort(session);
		ck_assert_uint_eq(fake_milter.n_open, 2);
	}
	/* Without an abort between them, too; and by the end of the session. */
	mail_from(SLICE("a@example.net"), "");
	mail_from(SLICE("b@example.net"), "");
	ck_assert_uint_eq(fake_milter.n_open, 3);
	ck_assert_uint_eq(fake_milter.n_told, 0);
}
END_TEST

START_TEST(numbers_what_is_forged)
{
	static const struct slice ours = SLICE_INIT(" mx.example.com; a=b");
	static const struct slice others = SLICE_INIT("example.com; a=b");

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	session_header(session, SLICE("Subject"), ours);
	session_header(session, SLICE("authentication-results"), others);
	session_header(session, SLICE("AUTHENTICATION-RESULTS"), ours);
	session_header(session, SLICE("Authentication-Results "), others);
	session_header(session, SLICE("Authentication-Results\t"), ours);
	ck_assert(end_message().removes_forged);
	ck_assert_uint_eq(forged(0), 2);
	ck_assert_uint_eq(forged(1), 4);
	ck_assert_uint_eq(forged(2), 0);
	ck_assert_uint_eq(fake_milter.told.n_removed, 2);
	mail_from(SLICE(""), "");
	ck_assert_uint_eq(forged(0), 0);
	ck_assert(!end_message().removes_forged);
}
END_TEST

static void
add_fields(size_t n, struct slice value)
{
	for (size_t i = 0; i < n; i++)
		session_header(session, SLICE("X"), value);
}

START_TEST(bounds_the_header)
{
	char text[1000];

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	add_fields(10, SLICE("y"));
	ck_assert_int_eq(end_message().action, JUDGE_ACCEPT);
	mail_from(SLICE(""), "");
	add_fields(11, SLICE("y"));
	ck_assert_int_eq(end_message().action, JUDGE_REJECT);
	mail_from(SLICE(""), "");
	add_fields(1, (struct slice){ text, 999 });
	ck_assert_int_eq(end_message().action, JUDGE_ACCEPT);
	mail_from(SLICE(""), "");
	add_fields(1, (struct slice){ text, 1000 });
	ck_assert_int_eq(end_message().action, JUDGE_REJECT);
}
END_TEST

START_TEST(bounds_what_the_client_says)
{
	char text[FACTS_TEXT_MAX + 1];

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from((struct slice){ text, FACTS_TEXT_MAX }, "");
	ck_assert_int_eq(end_message().action, JUDGE_ACCEPT);
	mail_from((struct slice){ text, sizeof(text) }, "");
	ck_assert_int_eq(end_message().action, JUDGE_REJECT);
	/* Any number of names fits, one after the other. */
	for (size_t i = 0; i < 1000; i++)
		session_helo(session, (struct slice){ text, FACTS_TEXT_MAX });
	session_helo(session, (struct slice){ text, sizeof(text) });
	mail_from(SLICE(""), "");
	ck_assert_int_eq(end_message().action, JUDGE_REJECT);
}
END_TEST

START_TEST(turns_away_who_is_too_many)
{
	fake_milter.is_admitted = false;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_PASS_BY);
	session_free(session);
	session = session_new(NULL);
	fake_milter.settings.is_deferring = true;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_DEFER);
}
END_TEST

START_TEST(asks_nothing_without_an_address)
{
	const struct session_client client = { .name = SLICE("localhost") };

	ck_assert_int_eq(session_connect(session, &client), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	mail_from(SLICE("a@example.net"), "");
	ck_assert_str_eq(fake_milter.asked, "");
	ck_assert_str_eq(end_message().results.ptr, " mx.example.com; none");
}
END_TEST

/* --- signatures --------------------------------------------------------- */

#define ED25519_RECORD \
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define VERIFIED                                                          \
	" header.d=football.example.com header.i=@football.example.com\n" \
	" header.s=brisbane header.a=ed25519-sha256 header.b=\"/gCrinpc\";"
#define JUDGED                                                             \
	"\n dmarc=pass header.from=football.example.com polrec.p=reject\n" \
	" polrec.domain=example.org;"                                      \
	"\n iprev=pass policy.iprev=192.0.2.1"
#define UNJUDGED                                          \
	"\n dmarc=temperror reason=\"not known in time\"" \
	" header.from=football.example.com;"              \
	"\n iprev=pass policy.iprev=192.0.2.1"

/* RFC 8463, A.3. */
static const char *const signed_fields[][2] = {
	{ "DKIM-Signature",
		" v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
		" d=football.example.com; i=@football.example.com;\n"
		" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n"
		" subject : date : message-id : from : subject : date;\n"
		" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
		"\n Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==" },
	{ "From", " Joe SixPack <joe@football.example.com>" },
	{ "To", " Suzie Q <suzie@shopping.example.net>" },
	{ "Subject", " Is dinner ready?" },
	{ "Date", " Fri, 11 Jul 2003 21:00:37 -0700 (PDT)" },
	{ "Message-ID", " <20030712040037.46341.5F8J@football.example.com>" },
};
#define SIGNED_BODY                                      \
	"Hi.\r\n\r\n"                                    \
	"We lost the game.  Are you hungry yet?\r\n\r\n" \
	"Joe.\r\n"

/* Whether the body was wanted. */
static bool
tell_signed(const char *body)
{
	fake_milter.settings.header_bytes = 10000;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	for (size_t i = 0; i < sizeof(signed_fields) / sizeof(signed_fields[0]);
		i++)
		session_header(session, slice_of(signed_fields[i][0]),
			slice_of(signed_fields[i][1]));
	session_header_end(session);
	return session_body(session, slice_of(body));
}

START_TEST(says_who_has_signed)
{
	fake_milter.record = ED25519_RECORD;
	ck_assert(tell_signed(SIGNED_BODY));
	ck_assert_str_eq(fake_milter.asked,
		"brisbane._domainkey.football.example.com; "
		"dmarc football.example.com pass  +pass football.example.com; ");
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n dkim=pass (256-bit key)"
		" header.d=football.example.com\n"
		" header.i=@football.example.com header.s=brisbane"
		" header.a=ed25519-sha256\n header.b=\"/gCrinpc\";" JUDGED);
	ck_assert_str_eq(fake_milter.told.dkim, "pass:football.example.com");
	ck_assert_str_eq(fake_milter.told.arc, "");
	ck_assert(
		strstr(fake_milter.more,
			"\ndkim=pass football.example.com brisbane\n") != NULL);
}
END_TEST

START_TEST(says_that_a_body_was_changed)
{
	fake_milter.record = ED25519_RECORD;
	ck_assert(tell_signed("Bye.\r\n"));
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n dkim=fail (256-bit key)"
		" reason=\"the body has been changed\"\n" VERIFIED JUDGED);
	ck_assert_str_eq(fake_milter.told.dkim, "fail:football.example.com");
	ck_assert(slice_ends(slice_of(fake_milter.asked),
		SLICE("; dmarc football.example.com none "
		      " +fail football.example.com; ")));
}
END_TEST

START_TEST(waits_for_keys_at_the_end_only_and_not_for_ever)
{
	fake_milter.is_answered = false;
	ck_assert(tell_signed(SIGNED_BODY));
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n dkim=temperror"
		" reason=\"the key is not known in time\"\n" VERIFIED UNJUDGED);
	ck_assert(fake_milter.told.was_late);
	session_abort(session);
	ck_assert_uint_eq(fake_milter.n_taken_back, 3);
	fake_milter.settings.is_deferring = true;
	session_free(session);
	session = session_new(NULL);
	ck_assert(tell_signed(SIGNED_BODY));
	ck_assert_int_eq(end_message().action, JUDGE_DEFER);
}
END_TEST

START_TEST(takes_back_questions_for_keys)
{
	fake_milter.is_answered = false;
	ck_assert(tell_signed(SIGNED_BODY));
	ck_assert_uint_eq(fake_milter.n_open, 3);
	session_abort(session);
	ck_assert_uint_eq(fake_milter.n_open, 1);
	ck_assert_uint_eq(fake_milter.n_taken_back, 2);
}
END_TEST

START_TEST(a_broken_chain_needs_no_body)
{
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	session_header(session, SLICE("ARC-Seal"), SLICE(" i=1"));
	session_header_end(session);
	ck_assert(!session_body(session, SLICE("a\r\n")));
	ck_assert_str_eq(end_message().results.ptr,
		" mx.example.com;\n dkim=none;\n arc=fail"
		" reason=\"ARC-Seal of instance 1 is not signed\";"
		"\n iprev=pass policy.iprev=192.0.2.1");
	ck_assert_str_eq(fake_milter.told.arc, "fail");
}
END_TEST

START_TEST(does_not_verify_those_it_knows)
{
	fake_milter.is_trusted = true;
	ck_assert(!tell_signed(SIGNED_BODY));
	ck_assert_ptr_null(strstr(fake_milter.asked, "_domainkey"));
	ck_assert_uint_eq(end_message().results.len, 0);
	ck_assert_str_eq(fake_milter.told.dkim, "");
}
END_TEST

/* Eight signatures whose every text is as long as it can be. */
START_TEST(the_longest_results_have_room)
{
	struct judgement out;
	struct str text;

	fake_milter.settings.header_bytes = 1 << 20;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	for (int i = 0; i < 9; i++) {
		str_init(&text, 16000);
		str_printf(&text, " v=1; a=rsa-sha256; d=");
		for (int label = 0; label < 60; label++)
			str_append_text(&text, "abc.");
		str_printf(&text, "org; s=s; h=%s; i=", i == 0 ? "to" : "from");
		while (str_slice(&text).len < 1000)
			str_append_text(&text, "\"\\");
		str_printf(&text, "@b; b=");
		while (str_slice(&text).len < 14000)
			str_append_text(&text, "aaaaaaaa");
		str_printf(&text, "%d", i);
		session_header(session, SLICE("DKIM-Signature"),
			str_slice(&text));
		str_free(&text);
	}
	session_header_end(session);
	out = end_message();
	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
	ck_assert(slice_ends(out.results, SLICE("iprev=192.0.2.1")));
	ck_assert(slice_ends(slice_of(fake_milter.told.dkim),
			  SLICE(",ignored:1")) ||
		  strlen(fake_milter.told.dkim) == FACTS_DKIM_MAX);
}
END_TEST

/* --- signing ------------------------------------------------------------ */

static struct crypto_key *rsa, *ed25519;

static void
set_up_keys(void)
{
	const char *err;

	set_up();
	rsa = crypto_key_read(SLICE(RFC8463_RSA_KEY), &err);
	ed25519 = crypto_key_read(SLICE(RFC8463_ED25519_KEY), &err);
	fake_milter.rsa = rsa;
	fake_milter.ed25519 = ed25519;
	fake_milter.has_keys = true;
	fake_milter.is_trusted = true;
}

static void
tear_down_keys(void)
{
	tear_down();
	crypto_key_free(ed25519);
	crypto_key_free(rsa);
}

static const struct slice hello = SLICE_INIT("Hello.\r\n");

/* Whether the body was wanted. */
static bool
tell(const char *login, const char *from)
{
	mail_from(SLICE("a@example.com"), login);
	session_recipient(session, SLICE("b@example.net"));
	session_header(session, SLICE("From"), slice_of(from));
	session_header(session, SLICE("Subject"), SLICE(" test"));
	session_header_end(session);
	return session_body(session, hello);
}

static void
assert_signed(const struct judgement *out)
{
	ck_assert_int_eq(out->action, JUDGE_ACCEPT);
	ck_assert_uint_eq(out->n_signatures, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert(slice_starts(out->signatures[i], SLICE(" v=1; a=")));
	ck_assert_str_eq(fake_milter.told.signed_with,
		"example.com/rsa,example.com/ed25519");
	ck_assert_str_eq(fake_milter.told.unsigned_why, "");
}

static void
assert_unsigned(const struct judgement *out, const char *why)
{
	ck_assert_uint_eq(out->n_signatures, 0);
	ck_assert_str_eq(fake_milter.told.signed_with, "");
	ck_assert_str_eq(fake_milter.told.unsigned_why, why);
}

START_TEST(signs_what_trusted_clients_and_logins_send)
{
	struct judgement out;

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	ck_assert(tell("", " a@Example.com"));
	ck_assert_str_eq(fake_milter.asked, "keys of example.com; ");
	out = end_message();
	assert_signed(&out);
	/* In the same session. */
	ck_assert(tell("a@example.com", " a@example.com"));
	out = end_message();
	assert_signed(&out);
	/* Without a body, and told of no end of the header. */
	mail_from(SLICE(""), "");
	session_header(session, SLICE("From"), SLICE(" a@example.com"));
	out = end_message();
	assert_signed(&out);
}
END_TEST

START_TEST(signs_nothing_of_strangers)
{
	struct judgement out;

	fake_milter.is_trusted = false;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	ck_assert(!tell("", " a@example.com"));
	out = end_message();
	assert_unsigned(&out, "");
	ck_assert_ptr_null(strstr(fake_milter.asked, "keys"));
	/* One that logs in is none. */
	ck_assert(tell("a@example.com", " a@example.com"));
	out = end_message();
	assert_signed(&out);
}
END_TEST

START_TEST(signs_nothing_when_it_is_told_so)
{
	struct judgement out;

	fake_milter.settings.signing.is_on = false;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	ck_assert(!tell("", " a@example.com"));
	out = end_message();
	assert_unsigned(&out, "");
	ck_assert_str_eq(fake_milter.asked, "");
}
END_TEST

START_TEST(tells_why_it_does_not_sign)
{
	struct judgement out;

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	ck_assert(!tell("", " a@[192.0.2.1]"));
	out = end_message();
	assert_unsigned(&out, "From has no domain");
	ck_assert_str_eq(fake_milter.asked, "");
	mail_from(SLICE(""), "");
	for (size_t i = 0; i < 3; i++)
		session_header(session, SLICE("FROM "), SLICE(" a@b.example"));
	session_header_end(session);
	ck_assert(!session_body(session, hello));
	out = end_message();
	assert_unsigned(&out, "there are several From fields");
	fake_milter.has_keys = false;
	ck_assert(!tell("", " a@example.com"));
	out = end_message();
	assert_unsigned(&out, "no key");
	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
}
END_TEST

START_TEST(what_comes_back_to_us_is_not_signed_again)
{
	static const struct slice ours =
		SLICE_INIT(" mx.example.com; spf=pass smtp.mailfrom=c.example");
	struct judgement out;

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	for (size_t i = 0; i < 2; i++) {
		mail_from(SLICE(""), i == 0 ? "" : "a@example.com");
		session_header(session, SLICE("Authentication-Results"), ours);
		session_header(session, SLICE("From"), SLICE(" a@example.com"));
		session_header_end(session);
		ck_assert(session_body(session, hello) == (i == 1));
		out = end_message();
		if (i == 0)
			assert_unsigned(&out, "it came through us before");
		else
			assert_signed(&out);
	}
}
END_TEST

/* Keys are late, or not to be had; or they do not work. */
START_TEST(a_fault_is_what_the_settings_say)
{
	static const char *const why[] = { "the keys are not to be had",
		"the keys are not to be had", "the key does not work" };
	struct judgement out;

	fake_milter.are_keys_late = _i == 0;
	fake_milter.are_keys_failed = _i == 1;
	if (_i == 2)
		fake_milter.rsa = fake_milter.ed25519 = NULL;
	for (unsigned is_deferring = 0; is_deferring < 2; is_deferring++) {
		session_free(session);
		session = session_new(NULL);
		fake_milter.settings.signing.is_deferring = is_deferring;
		ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
		ck_assert(tell("", " a@example.com"));
		out = end_message();
		assert_unsigned(&out, why[_i]);
		ck_assert_int_eq(out.action,
			is_deferring ? JUDGE_DEFER : JUDGE_ACCEPT);
		/* What is not to be signed does not mind. */
		ck_assert(!tell("", " somebody"));
		ck_assert_int_eq(end_message().action, JUDGE_ACCEPT);
	}
}
END_TEST

START_TEST(takes_back_the_keys_when_a_message_is_aborted)
{
	fake_milter.are_keys_late = true;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(tell("", " a@example.com"));
		ck_assert_uint_eq(fake_milter.n_open, 2);
		session_abort(session);
		ck_assert_uint_eq(fake_milter.n_open, 1);
	}
	/* At the other stages there is nothing to be taken back. */
	mail_from(SLICE(""), "");
	session_abort(session);
	mail_from(SLICE(""), "");
	session_header(session, SLICE("From"), SLICE(" a@example.com"));
	session_abort(session);
	ck_assert_uint_eq(fake_milter.n_taken_back, 3);
	fake_milter.are_keys_late = false;
	ck_assert(tell("", " a@example.com"));
	(void)end_message();
	ck_assert_uint_eq(fake_milter.told.signed_with[0], 'e');
}
END_TEST

START_TEST(a_message_that_is_refused_is_not_signed)
{
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	ck_assert(tell("", " a@example.com"));
	session_abort(session);
	mail_from(SLICE(""), "");
	session_header(session, SLICE("From"), SLICE(" a@example.com"));
	add_fields(10, SLICE("y"));
	session_header_end(session);
	ck_assert(!session_body(session, hello));
	ck_assert_int_eq(end_message().action, JUDGE_REJECT);
	ck_assert_str_eq(fake_milter.told.signed_with, "");
	ck_assert_str_eq(fake_milter.told.unsigned_why, "");
}
END_TEST

static TCase *
signing_tests(void)
{
	TCase *tcase = tcase_create("signing");

	tcase_add_checked_fixture(tcase, set_up_keys, tear_down_keys);
	tcase_add_test(tcase, signs_what_trusted_clients_and_logins_send);
	tcase_add_test(tcase, signs_nothing_of_strangers);
	tcase_add_test(tcase, signs_nothing_when_it_is_told_so);
	tcase_add_test(tcase, tells_why_it_does_not_sign);
	tcase_add_test(tcase, what_comes_back_to_us_is_not_signed_again);
	tcase_add_loop_test(tcase, a_fault_is_what_the_settings_say, 0, 3);
	tcase_add_test(tcase, takes_back_the_keys_when_a_message_is_aborted);
	tcase_add_test(tcase, a_message_that_is_refused_is_not_signed);
	return tcase;
}
/* --- the rules ----------------------------------------------------------- */

START_TEST(asks_the_rules_at_the_end)
{
	const struct facts_message_question *question = &fake_milter.question;

	fake_milter.settings.counts_body = true;
	fake_milter.is_trusted = true;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	session_helo(session, SLICE("h.example"));
	mail_from(SLICE("a@example.net"), "b@example.com");
	session_recipient(session, SLICE("c@example.com"));
	session_recipient(session, SLICE("d\nsize=1@example.com"));
	session_header(session, SLICE("From"), SLICE(" B <b@Example.com>"));
	session_header(session, SLICE("Subject"), SLICE(" a\n b"));
	session_header_end(session);
	ck_assert(session_body(session, SLICE("12345")));
	ck_assert_uint_eq(fake_milter.n_questions, 0);
	ck_assert_int_eq(end_message().action, JUDGE_ACCEPT);
	ck_assert_uint_eq(fake_milter.n_questions, 1);
	ck_assert_str_eq(question->sender.ptr, "a@example.net");
	ck_assert_str_eq(question->login.ptr, "b@example.com");
	ck_assert_str_eq(question->helo.ptr, "h.example");
	ck_assert_str_eq(question->queue_id.ptr, "4711");
	ck_assert_uint_eq(question->n_recipients, 2);
	ck_assert_str_eq(question->recipients.ptr,
		"recipient=c@example.com\nrecipient=d?size=1@example.com\n");
	ck_assert_int_eq(question->from->status, HEADER_FROM_ONE);
	ck_assert(slice_eq_text(question->from->addresses[0].domain,
		"example.com"));
	/* "From: B <b@Example.com>", "Subject: a", " b", "", "12345" */
	ck_assert_uint_eq(question->size, 25 + 12 + 4 + 2 + 5);
}
END_TEST

START_TEST(bounds_the_recipients)
{
	char text[FACTS_TEXT_MAX];
	size_t n_lines = 0;

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	for (size_t len = 1; len <= sizeof(text); len += sizeof(text) - 1) {
		struct slice rest, line;

		mail_from(SLICE(""), "");
		for (size_t i = 0; i < 2000; i++)
			session_recipient(session, (struct slice){ text, len });
		(void)end_message();
		ck_assert_uint_eq(fake_milter.question.n_recipients, 2000);
		rest = fake_milter.question.recipients;
		ck_assert_uint_le(rest.len, FACTS_RECIPIENTS_BYTES_MAX);
		for (n_lines = 0; slice_split(&rest, '\n', &line);)
			n_lines += line.len == sizeof("recipient=") - 1 + len;
		ck_assert_uint_eq(n_lines, len == 1 ? 1000 : 127);
	}
}
END_TEST

static const struct {
	const char *name, *values[3];
	enum header_from_status status;
} from_cases[] = {
	{ "none", { NULL }, HEADER_FROM_NO_FIELD },
	{ "two", { " a@example.com", " a@example.com" }, HEADER_FROM_FIELDS },
	{ "three", { " a@example.com", "", "" }, HEADER_FROM_FIELDS },
	{ "several", { " a@example.com, b@example.net" }, HEADER_FROM_SEVERAL },
	{ "bad", { " a@b@c" }, HEADER_FROM_MALFORMED },
};

START_TEST(reads_from)
{
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	for (size_t i = 0; i < 3 && from_cases[_i].values[i] != NULL; i++)
		session_header(session, SLICE("fRom "),
			slice_of(from_cases[_i].values[i]));
	session_header_end(session);
	(void)end_message();
	ck_assert_msg(fake_milter.question.from->status ==
			      from_cases[_i].status,
		"%s", from_cases[_i].name);
}
END_TEST

START_TEST(does_what_the_rules_say)
{
	struct judgement out;

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	fake_milter.answer = "action=REJECT no\nrule=throttle\n";
	out = end_message();
	ck_assert_int_eq(out.action, JUDGE_REJECT);
	ck_assert_str_eq(out.text, "no");
	ck_assert_str_eq(fake_milter.told.action, "reject");
	ck_assert_str_eq(fake_milter.told.rule, "throttle");
	mail_from(SLICE(""), "");
	fake_milter.answer = "action=HOLD odd\nrule=x\n";
	ck_assert_int_eq(end_message().action, JUDGE_HOLD);
	mail_from(SLICE(""), "");
	fake_milter.answer = "action=PREPEND X-A:  b\n";
	out = end_message();
	ck_assert_int_eq(out.action, JUDGE_ACCEPT);
	ck_assert_str_eq(out.field_name, "X-A");
	ck_assert_str_eq(out.field_value.ptr, " b");
}
END_TEST

/* No answer, and one that nobody understands. */
START_TEST(does_without_the_rules)
{
	static const char *const answers[] = { "", "action=FROBNICATE\n",
		"rule=x\n" };

	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	for (size_t i = 0; i < 3; i++) {
		fake_milter.answer = answers[i];
		mail_from(SLICE(""), "");
		ck_assert_int_eq(end_message().action, JUDGE_ACCEPT);
		ck_assert(fake_milter.told.was_late);
	}
	session_free(session);
	session = session_new(NULL);
	fake_milter.settings.is_deferring = true;
	ck_assert_int_eq(connect_from("192.0.2.1"), SESSION_SERVE);
	mail_from(SLICE(""), "");
	ck_assert_int_eq(end_message().action, JUDGE_DEFER);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("session");
	TCase *tcase = tcase_create("session");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, asks_as_soon_as_it_knows_what);
	tcase_add_test(tcase, asks_for_helo_once_for_all_messages);
	tcase_add_test(tcase, asks_for_names_that_postfix_has_not);
	tcase_add_test(tcase, asks_nothing_of_those_it_knows);
	tcase_add_test(tcase, waits_at_the_end_only_and_not_for_ever);
	tcase_add_test(tcase,
		takes_back_what_was_asked_when_a_message_is_aborted);
	tcase_add_test(tcase, numbers_what_is_forged);
	tcase_add_test(tcase, bounds_the_header);
	tcase_add_test(tcase, bounds_what_the_client_says);
	tcase_add_test(tcase, turns_away_who_is_too_many);
	tcase_add_test(tcase, asks_nothing_without_an_address);
	tcase_add_test(tcase, says_who_has_signed);
	tcase_add_test(tcase, says_that_a_body_was_changed);
	tcase_add_test(tcase, waits_for_keys_at_the_end_only_and_not_for_ever);
	tcase_add_test(tcase, takes_back_questions_for_keys);
	tcase_add_test(tcase, a_broken_chain_needs_no_body);
	tcase_add_test(tcase, does_not_verify_those_it_knows);
	tcase_add_test(tcase, the_longest_results_have_room);
	tcase_add_test(tcase, asks_the_rules_at_the_end);
	tcase_add_test(tcase, bounds_the_recipients);
	tcase_add_loop_test(tcase, reads_from, 0,
		sizeof(from_cases) / sizeof(from_cases[0]));
	tcase_add_test(tcase, does_what_the_rules_say);
	tcase_add_test(tcase, does_without_the_rules);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, signing_tests());
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
