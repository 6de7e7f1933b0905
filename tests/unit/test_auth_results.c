#include "common/mail/auth_results.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/ip.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define ARENA_BYTES ((size_t)1 << 20)

static struct arena *arena;

static void
set_up(void)
{
	arena = arena_new(ARENA_BYTES);
}

static void
tear_down(void)
{
	arena_free(arena);
}

/* As "id|method=result 'reason' type.name='value'|...". */
static void
render(const struct auth_results *results, struct str *out)
{
	str_append_slice(out, results->authserv_id);
	for (const struct auth_result *result = results->first; result != NULL;
		result = result->next) {
		str_printf(out, "|%.*s=%.*s", SLICE_ARG(result->method),
			SLICE_ARG(result->result));
		if (result->reason.len > 0)
			str_printf(out, " '%.*s'", SLICE_ARG(result->reason));
		for (size_t i = 0; i < result->n_properties; i++) {
			const struct auth_property *property =
				&result->properties[i];

			str_printf(out, " %.*s.%.*s='%.*s'",
				SLICE_ARG(property->type),
				SLICE_ARG(property->name),
				SLICE_ARG(property->value));
		}
	}
}

static void
ck_assert_read(const char *name, struct slice value, const char *expected)
{
	struct auth_results results;
	const char *err = NULL;
	struct str got;

	str_init(&got, 65536);
	if (auth_results_read(arena, value, &results, &err) == 0)
		render(&results, &got);
	else
		str_printf(&got, "!%s", err);
	ck_assert_msg(strcmp(str_text(&got), expected) == 0,
		"%.200s: %.2000s\ninstead of %.2000s", name, str_text(&got),
		expected);
	str_free(&got);
}

/* --- reading ------------------------------------------------------------ */

static const struct {
	const char *name;
	struct slice value;
	const char *results;
} fields[] = {
	/* What appendix B of RFC 8601 shows. */
	{ "B.2", SLICE_INIT(" example.org 1; none"), "example.org" },
	{ "B.3",
		SLICE_INIT(" example.com;\r\n"
			   "          spf=pass smtp.mailfrom=example.net"),
		"example.com|spf=pass smtp.mailfrom='example.net'" },
	{ "B.4, logged in",
		SLICE_INIT(
			" example.com;\n"
			"\tauth=pass (cram-md5) smtp.auth=sender@example.net;"
			"\n\tspf=pass smtp.mailfrom=example.net"),
		"example.com|auth=pass smtp.auth='sender@example.net'"
		"|spf=pass smtp.mailfrom='example.net'" },
	{ "B.4, iprev",
		SLICE_INIT(" example.com; iprev=pass\n"
			   "\tpolicy.iprev=192.0.2.200"),
		"example.com|iprev=pass policy.iprev='192.0.2.200'" },
	{ "B.5",
		SLICE_INIT(" example.com;\n"
			   "\tdkim=pass (good signature) header.d=example.com"),
		"example.com|dkim=pass header.d='example.com'" },
	{ "B.6",
		SLICE_INIT(" example.com;\n"
			   " dkim=pass reason=\"good signature\"\n"
			   " header.i=@mail-router.example.net;\n"
			   " dkim=fail reason=\"bad signature\"\n"
			   " header.i=@newyork.example.com"),
		"example.com"
		"|dkim=pass 'good signature'"
		" header.i='@mail-router.example.net'"
		"|dkim=fail 'bad signature' header.i='@newyork.example.com'" },
	{ "B.7",
		SLICE_INIT(
			" foo.example.net (foobar) 1 (baz);\n"
			" dkim (Because I like it) / 1 (One yay) = (wait for"
			" it) fail\n"
			"   policy (A dot can go here) . (like that) expired\n"
			"   (this surprised me) = (as I wasn't expecting it)"
			" 1362471462"),
		"foo.example.net|dkim=fail policy.expired='1362471462'" },
	{ "2.7.6", SLICE_INIT("a.b; foo=pass bar.baz=blob (2 of 3 tests OK)"),
		"a.b|foo=pass bar.baz='blob'" },
	/* The grammar. */
	{ "none in another case", SLICE_INIT("a; NONE"), "a" },
	{ "none and a comment", SLICE_INIT("a; none (really)"), "a" },
	{ "an id in quotes", SLICE_INIT("\"a b\\\"\"; none"), "a b\"" },
	{ "no white space", SLICE_INIT("a;spf=pass;dkim=fail"),
		"a|spf=pass|dkim=fail" },
	{ "a method with a version", SLICE_INIT("a; spf/1=pass"),
		"a|spf=pass" },
	{ "a quoted value",
		SLICE_INIT("a; iprev=pass policy.iprev=\"2001:db8::1\""),
		"a|iprev=pass policy.iprev='2001:db8::1'" },
	{ "an empty value", SLICE_INIT("a; spf=pass smtp.helo=\"\""),
		"a|spf=pass smtp.helo=''" },
	{ "a value with escapes", SLICE_INIT("a; spf=pass x.y=\"\\\"\\\\\""),
		"a|spf=pass x.y='\"\\'" },
	{ "a folded value", SLICE_INIT("a; spf=pass x.y=\"b\r\n c\""),
		"a|spf=pass x.y='b c'" },
	{ "an address", SLICE_INIT("a; spf=pass smtp.mailfrom=b+c@d.example"),
		"a|spf=pass smtp.mailfrom='b+c@d.example'" },
	{ "a quoted local part",
		SLICE_INIT("a; spf=pass smtp.mailfrom=\"b c\"@d.example x.y=z"),
		"a|spf=pass smtp.mailfrom='\"b c\"@d.example' x.y='z'" },
	{ "quoted values side by side",
		SLICE_INIT("a; dkim=pass x.y=\"b\"x.z=\"c\""),
		"a|dkim=pass x.y='b' x.z='c'" },
	{ "white space around values",
		SLICE_INIT("a; dkim=pass reason = \"b\" x.y = c x.z=d ;spf=x"),
		"a|dkim=pass 'b' x.y='c' x.z='d'|spf=x" },
	{ "a reason that is a word", SLICE_INIT("a; dkim=pass reason=b"),
		"a|dkim=pass 'b'" },
	{ "UTF-8",
		SLICE_INIT("a; spf=pass smtp.mailfrom=\"\xc3\xa4@b.example\""),
		"a|spf=pass smtp.mailfrom='\xc3\xa4@b.example'" },
	{ "semicolons in quotes and comments",
		SLICE_INIT("a; spf=pass (;) x.y=\";\" (;x=y)"),
		"a|spf=pass x.y=';'" },
	{ "a version with zeros", SLICE_INIT("a 01; none"), "a" },
	{ "a method called none", SLICE_INIT("a; none=pass"), "a|none=pass" },
	/* What others write. */
	{ "base64 without quotes",
		SLICE_INIT("a; dkim=pass header.b=Qgi/FoC0 header.s=\"b\""),
		"a|dkim=pass header.b='Qgi/FoC0' header.s='b'" },
	{ "base64 with its padding",
		SLICE_INIT("a; dkim=pass header.b=Qgi/FoC== header.s=b"),
		"a|dkim=pass header.b='Qgi/FoC==' header.s='b'" },
	{ "a rewritten sender",
		SLICE_INIT("a; spf=pass smtp.mailfrom=SRS0=x=y=b.c=d@e.f"),
		"a|spf=pass smtp.mailfrom='SRS0=x=y=b.c=d@e.f'" },
	{ "properties without a type",
		SLICE_INIT("a; dmarc=pass action=none header.from=b.example;"
			   "compauth=pass reason=100"),
		"a|dmarc=pass .action='none' header.from='b.example'"
		"|compauth=pass '100'" },
	{ "an underscore", SLICE_INIT("a; x-mx=pass policy.is_org=yes"),
		"a|x-mx=pass policy.is_org='yes'" },
	/* What is wrong. */
	{ "nothing", SLICE_INIT(""), "!there is no authserv-id" },
	{ "only results", SLICE_INIT("; spf=pass"),
		"!there is no authserv-id" },
	{ "an id and no result", SLICE_INIT("a"), "!there is no result" },
	{ "an id and a version and no result", SLICE_INIT("a 1 "),
		"!there is no result" },
	{ "no semicolon", SLICE_INIT("a spf=pass"), "!a version is not known" },
	{ "another version", SLICE_INIT("a 2; spf=pass"),
		"!a version is not known" },
	{ "another version of a method", SLICE_INIT("a; spf/2=pass"),
		"!a version is not known" },
	{ "no version of a method", SLICE_INIT("a; spf/=pass"),
		"!a version is not known" },
	{ "two ids", SLICE_INIT("a b; spf=pass"), "!a version is not known" },
	{ "junk behind the id", SLICE_INIT("a@b; spf=pass"),
		"!there is no \";\"" },
	{ "none and a result", SLICE_INIT("a; none; spf=pass"),
		"!there is no \"=\" behind a method" },
	{ "a semicolon at the end", SLICE_INIT("a; spf=pass;"),
		"!there is no name where one belongs" },
	{ "two semicolons", SLICE_INIT("a;; spf=pass"),
		"!there is no name where one belongs" },
	{ "no result of a method", SLICE_INIT("a; spf="),
		"!there is no name where one belongs" },
	{ "a result in quotes", SLICE_INIT("a; spf=\"pass\""),
		"!there is no name where one belongs" },
	{ "the id again", SLICE_INIT("a.b; dkim=none x.y=z;a.b; dmarc=none"),
		"!there is no \"=\" behind a method" },
	{ "an IPv6 address without quotes",
		SLICE_INIT("a; iprev=pass policy.iprev=2001:db8::1"),
		"!there is no name where one belongs" },
	{ "a property without a value", SLICE_INIT("a; spf=pass x.y="),
		"!there is no value where one belongs" },
	{ "a property without a name", SLICE_INIT("a; spf=pass x.=y"),
		"!there is no name where one belongs" },
	{ "a word behind a result", SLICE_INIT("a; spf=pass really"),
		"!there is no \"=\" behind a name" },
	{ "an open quote", SLICE_INIT("a; spf=pass x.y=\"z"),
		"!a quote or a bracket is not closed" },
	{ "an open comment", SLICE_INIT("a; spf=(pass"),
		"!a quote or a bracket is not closed" },
	{ "a NUL", SLICE_INIT("a; spf=\0"),
		"!there is a control character or an empty line" },
};

START_TEST(fields_are_taken_apart)
{
	ck_assert_read(fields[_i].name, fields[_i].value, fields[_i].results);
}
END_TEST

/* So many that they are at a bound, or one more. */
static void
ck_assert_many(size_t n_results, size_t n_properties, const char *err)
{
	struct auth_results results;
	const char *got = "";
	struct str text;

	str_init(&text, AUTH_RESULTS_BYTES_MAX);
	str_append_text(&text, "a");
	for (size_t i = 0; i < n_results; i++) {
		str_append_text(&text, "; spf=pass");
		for (size_t k = 0; k < n_properties; k++)
			str_append_text(&text, " x.y=\"z\"");
	}
	if (auth_results_read(arena, str_slice(&text), &results, &got) == 0)
		ck_assert_uint_eq(results.n, n_results);
	ck_assert_str_eq(got, err);
	str_free(&text);
}

START_TEST(results_and_properties_are_bounded)
{
	ck_assert_many(AUTH_RESULTS_MAX, AUTH_PROPERTIES_MAX, "");
	ck_assert_many(AUTH_RESULTS_MAX + 1, 1, "there are too many results");
	ck_assert_many(1, AUTH_PROPERTIES_MAX + 1,
		"a result has too many properties");
}
END_TEST

START_TEST(length_is_bounded)
{
	struct auth_results results;
	const char *err = "";
	struct str text;

	str_init(&text, AUTH_RESULTS_BYTES_MAX + 1);
	str_append_text(&text, "a; none");
	while (text.len < AUTH_RESULTS_BYTES_MAX)
		str_append_char(&text, ' ');
	ck_assert_int_eq(
		auth_results_read(arena, str_slice(&text), &results, &err), 0);
	str_append_char(&text, ' ');
	ck_assert_int_eq(
		auth_results_read(arena, str_slice(&text), &results, &err), -1);
	ck_assert_str_eq(err, "the field is too long");
	str_free(&text);
}
END_TEST

/* --- writing ------------------------------------------------------------ */

static void
ck_assert_lines(struct slice field)
{
	struct slice rest = field, line;
	size_t n = 0;

	while (slice_split(&rest, '\n', &line)) {
		size_t columns = line.len;

		columns += n++ == 0 ? sizeof(AUTH_RESULTS_NAME ":") - 1 : 0;
		ck_assert_uint_le(columns, 998);
		ck_assert(n == 1 || slice_trim(line).len > 0);
		/* A longer one is a blank and one word. */
		if (columns > 78)
			ck_assert(!slice_has_byte(slice_from(line, 1), ' '));
	}
}

static const char *
write(const struct auth_results *results)
{
	struct slice copy;
	struct str out;

	str_init(&out, 65536);
	auth_results_write(results, &out);
	ck_assert(!out.is_cut);
	ck_assert_lines(str_slice(&out));
	copy = slice_copy(arena, str_slice(&out));
	str_free(&out);
	return copy.ptr;
}

/* What is written is read as it was. */
static void
ck_assert_round_trip(const struct auth_results *results)
{
	const char *text = write(results);
	struct str expected;

	str_init(&expected, 65536);
	render(results, &expected);
	ck_assert_read(text, slice_of(text), str_text(&expected));
	ck_assert(auth_results_claim(slice_of(text), results->authserv_id));
	str_free(&expected);
}

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	ck_assert(ip_parse(slice_of(text), &ip));
	return ip;
}

START_TEST(nothing_is_none)
{
	struct auth_results results;

	auth_results_init(&results, arena, SLICE("mx.example.org"));
	ck_assert_str_eq(write(&results), " mx.example.org; none");
	ck_assert_round_trip(&results);
}
END_TEST

START_TEST(an_id_is_quoted_if_need_be)
{
	struct auth_results results;

	auth_results_init(&results, arena, SLICE("mx/example org"));
	ck_assert_str_eq(write(&results), " \"mx/example org\"; none");
	ck_assert_round_trip(&results);
}
END_TEST

START_TEST(every_method_has_its_properties)
{
	struct ip client = ip_of("2001:db8::25");
	struct auth_results results;

	auth_results_init(&results, arena, SLICE("mx.example.org"));
	auth_results_add_spf(&results, SPF_PASS, SLICE("alice@example.com"),
		SLICE(""));
	auth_results_add_spf(&results, SPF_NONE, SLICE(""),
		SLICE("mail.example.com"));
	auth_results_add_iprev(&results, "fail", &client);
	auth_results_add_auth(&results, "pass", SLICE("plain"),
		SLICE("bob@example.org"));
	auth_results_add_dmarc(&results,
		&(struct auth_dmarc){ .result = "fail",
			.comment = SLICE("p=reject"),
			.reason = SLICE("a trusted forwarder"),
			.from = SLICE("a.example.com"),
			.policy = SLICE("reject"),
			.policy_domain = SLICE("example.com") });
	auth_results_add_dmarc(&results,
		&(struct auth_dmarc){ .result = "pass",
			.from = SLICE("example.com"),
			.policy = SLICE("none"),
			.policy_domain = SLICE("Example.com") });
	auth_results_add_arc(&results,
		&(struct auth_arc){ .result = "pass", .client = &client });
	auth_results_add_arc(&results,
		&(struct auth_arc){ .result = "fail",
			.reason = SLICE("the seal of instance 2 is missing") });
	ck_assert_str_eq(write(&results),
		" mx.example.org;\n"
		" spf=pass smtp.mailfrom=alice@example.com;\n"
		" spf=none smtp.helo=mail.example.com;\n"
		" iprev=fail policy.iprev=\"2001:db8::25\";\n"
		" auth=pass (plain) smtp.auth=bob@example.org;\n"
		" dmarc=fail (p=reject) reason=\"a trusted forwarder\""
		" header.from=a.example.com\n"
		" polrec.p=reject polrec.domain=example.com;\n"
		" dmarc=pass header.from=example.com polrec.p=none;\n"
		" arc=pass smtp.remote-ip=\"2001:db8::25\""
		" header.oldest-pass=0;\n"
		" arc=fail reason=\"the seal of instance 2 is missing\"");
	ck_assert_round_trip(&results);
}
END_TEST

START_TEST(signatures_are_told_apart)
{
	const struct auth_dkim signatures[] = {
		{ .result = "pass",
			.domain = SLICE("example.com"),
			.identity = SLICE("@a.example.com"),
			.selector = SLICE("k1"),
			.algorithm = SLICE("rsa-sha256"),
			.signature = SLICE("abcdefgh\r\n ijkl") },
		{ .result = "fail",
			.reason = SLICE("the body was changed"),
			.domain = SLICE("example.net"),
			.selector = SLICE("k1"),
			.algorithm = SLICE("ed25519-sha256"),
			.signature = SLICE("abcd/fgh==") },
		{ .result = "neutral",
			.comment = SLICE("no key"),
			.signature = SLICE("abcdefghij+l") },
		{ .result = "permerror", .signature = SLICE("abc") },
		{ .result = "permerror", .signature = SLICE("abc") },
	};
	struct auth_results results;

	auth_results_init(&results, arena, SLICE("mx.example.org"));
	auth_results_add_dkim(&results, signatures, 5);
	ck_assert_str_eq(write(&results),
		" mx.example.org;\n"
		" dkim=pass header.d=example.com header.i=@a.example.com"
		" header.s=k1\n"
		" header.a=rsa-sha256 header.b=abcdefghijk;\n"
		" dkim=fail reason=\"the body was changed\""
		" header.d=example.net header.s=k1\n"
		" header.a=ed25519-sha256 header.b=\"abcd/fgh\";\n"
		" dkim=neutral (no key) header.b=abcdefghij+;\n"
		" dkim=permerror header.b=abc;\n"
		" dkim=permerror header.b=abc");
	ck_assert_round_trip(&results);

	auth_results_init(&results, arena, SLICE("mx.example.org"));
	auth_results_add_dkim(&results, NULL, 0);
	ck_assert_str_eq(write(&results), " mx.example.org;\n dkim=none");
}
END_TEST

/* --- values of others --------------------------------------------------- */

static const struct {
	struct slice value;
	const char *written;
} values[] = {
	{ SLICE_INIT("example.com"), "example.com" },
	{ SLICE_INIT("a@example.com"), "a@example.com" },
	{ SLICE_INIT("@example.com"), "@example.com" },
	{ SLICE_INIT("a+b'c@example.com"), "a+b'c@example.com" },
	{ SLICE_INIT("a@localhost"), "\"a@localhost\"" },
	{ SLICE_INIT("a@example..com"), "\"a@example..com\"" },
	{ SLICE_INIT("a@example.com."), "\"a@example.com.\"" },
	{ SLICE_INIT(".a@example.com"), "\".a@example.com\"" },
	{ SLICE_INIT("a@b@example.com"), "\"a@b@example.com\"" },
	{ SLICE_INIT("a@"), "\"a@\"" },
	{ SLICE_INIT("dkim=pass@example.com"), "\"dkim=pass@example.com\"" },
	{ SLICE_INIT("a b"), "\"a b\"" },
	{ SLICE_INIT("a;b"), "\"a;b\"" },
	{ SLICE_INIT("(a"), "\"(a\"" },
	{ SLICE_INIT("\"a\\b\"@example.com"),
		"\"\\\"a\\\\b\\\"@example.com\"" },
	{ SLICE_INIT("[192.0.2.1]"), "\"[192.0.2.1]\"" },
	{ SLICE_INIT("\xc3\xa4@example.com"), "\"\xc3\xa4@example.com\"" },
	{ SLICE_INIT("a\r\n b"), NULL },
	{ SLICE_INIT("a\0b"), NULL },
	{ SLICE_INIT("\xe4"), NULL },
	{ SLICE_INIT("a\xe2\x80\xa8"), NULL },
	{ SLICE_INIT("=?utf-8?q?a?="), NULL },
	{ SLICE_INIT(""), NULL },
};

START_TEST(values_are_quoted_if_need_be)
{
	struct auth_results results;
	struct auth_result *result;
	const char *text;

	auth_results_init(&results, arena, SLICE("a"));
	result = auth_results_add(&results, "spf", "pass");
	auth_result_add(result, "x", "y", values[_i].value);
	text = write(&results);
	ck_assert_str_eq(text,
		values[_i].written == NULL
			? " a;\n spf=pass"
			: arena_printf(arena, " a;\n spf=pass x.y=%s",
				  values[_i].written));
}
END_TEST

/* Free text does not end where others think that it does. */
static const struct {
	struct slice text;
	const char *written;
} texts[] = {
	{ SLICE_INIT("good"), "good" },
	{ SLICE_INIT(" a  b\t\n c "), "a b c" },
	{ SLICE_INIT("a); dkim=pass (b"), "a__ dkim=pass _b" },
	{ SLICE_INIT("a\"; x=\"\\"), "a__ x=__" },
	{ SLICE_INIT("=?utf-8?q?=29?="), "=_utf-8_q_=29_=" },
	{ SLICE_INIT("a\r\nb: c\0"), "a__b: c_" },
	{ SLICE_INIT("m\xc3\xbcller"), "m\xc3\xbcller" },
	{ SLICE_INIT("\xe4\xc2\x85\xe2\x80\xa8x"), "___x" },
};

START_TEST(free_text_is_harmless)
{
	struct auth_results results;
	struct auth_result *result;

	auth_results_init(&results, arena, SLICE("a"));
	result = auth_results_add(&results, "dkim", "fail");
	result->reason = texts[_i].text;
	result->comment = texts[_i].text;
	ck_assert_str_eq(write(&results),
		arena_printf(arena, " a;\n dkim=fail (%s) reason=\"%s\"",
			texts[_i].written, texts[_i].written));
	result->reason = slice_of(texts[_i].written);
	ck_assert_round_trip(&results);
}
END_TEST

START_TEST(text_of_blanks_is_no_text)
{
	struct auth_results results;
	struct auth_result *result;

	auth_results_init(&results, arena, SLICE("a"));
	result = auth_results_add(&results, "dkim", "fail");
	result->reason = result->comment = SLICE(" \t ");
	ck_assert_str_eq(write(&results), " a;\n dkim=fail");
}
END_TEST

static struct slice
many(char c, size_t n)
{
	char *text = arena_alloc(arena, n);

	memset(text, c, n);
	return (struct slice){ text, n };
}

START_TEST(long_texts_are_cut_and_folded)
{
	struct auth_results results;
	struct auth_result *result;
	struct str words;

	str_init(&words, 65536);
	for (int i = 0; i < 1000; i++)
		str_append_text(&words, "\xc3\xa4"
					"a bcd ");
	auth_results_init(&results, arena, many('i', 255));
	result = auth_results_add(&results, "dkim", "fail");
	result->reason = str_slice(&words);
	result->comment = many('x', 5000);
	result->reason = slice_part(result->reason, 0, 250);
	ck_assert_round_trip(&results);
	result->reason = str_slice(&words);
	(void)write(&results);
	str_free(&words);
}
END_TEST

START_TEST(long_values_are_left_out)
{
	struct auth_results results;
	struct auth_result *result;
	const char *text;

	auth_results_init(&results, arena, SLICE("a"));
	result = auth_results_add(&results, "spf", "pass");
	auth_result_add(result, "smtp", "mailfrom",
		many('"', AUTH_VALUE_MAX + 1));
	ck_assert_str_eq(write(&results), " a;\n spf=pass");
	auth_result_add(result, "polrec", "domain", many('"', AUTH_VALUE_MAX));
	text = write(&results);
	ck_assert_ptr_nonnull(strstr(text, "polrec.domain="));
	ck_assert_uint_gt(strlen(text), 2 * AUTH_VALUE_MAX);
}
END_TEST

/* The longest of all that there may be. */
START_TEST(a_full_field_is_written_and_read)
{
	struct auth_results results;

	auth_results_init(&results, arena, SLICE("mx.example.org"));
	for (size_t i = 0; i < AUTH_RESULTS_MAX; i++) {
		struct auth_result *result =
			auth_results_add(&results, "x-method", "pass");

		result->reason = many('r', i);
		for (size_t k = 0; k < AUTH_PROPERTIES_MAX; k++)
			auth_result_add(result, "header", "name",
				many("a\"@/="[k % 5], i + k % 7));
	}
	ck_assert_round_trip(&results);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("auth_results");
	TCase *tcase = tcase_create("auth_results");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, fields_are_taken_apart, 0, N(fields));
	tcase_add_test(tcase, results_and_properties_are_bounded);
	tcase_add_test(tcase, length_is_bounded);
	tcase_add_test(tcase, nothing_is_none);
	tcase_add_test(tcase, an_id_is_quoted_if_need_be);
	tcase_add_test(tcase, every_method_has_its_properties);
	tcase_add_test(tcase, signatures_are_told_apart);
	tcase_add_loop_test(tcase, values_are_quoted_if_need_be, 0, N(values));
	tcase_add_loop_test(tcase, free_text_is_harmless, 0, N(texts));
	tcase_add_test(tcase, text_of_blanks_is_no_text);
	tcase_add_test(tcase, long_texts_are_cut_and_folded);
	tcase_add_test(tcase, long_values_are_left_out);
	tcase_add_test(tcase, a_full_field_is_written_and_read);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
