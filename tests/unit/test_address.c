#include "common/mail/address.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

static struct arena *arena;

static void
setup(void)
{
	arena = arena_new(256 * 1024);
}

static void
teardown(void)
{
	arena_free(arena);
}

static void
assert_slice(struct slice got, const char *want, const char *what)
{
	ck_assert_msg(slice_eq_text(got, want), "%s: got '%.*s', want '%s'",
		what, SLICE_ARG(got), want);
}

static struct address
parse(const char *text)
{
	return address_parse(arena, slice_of(text), SLICE("+"));
}

static const struct {
	const char *text;
	bool is_plain;
} plain_cases[] = {
	{ "user@example.com", true },
	{ "_x@example.com", true },
	{ "#user@example.com", true },
	{ "-x@example.com", true },
	{ "a/b@example.com", true },
	{ "a&b@example.com", true },
	{ "a=b@example.com", true },
	{ "prvs=12=a@b.com", true },
	{ "SRS0=ab+c=TT=x.com=u@h.com", true },
	{ "user@exam_ple.com", true },
	{ "user@xn--bcher-kva.de", true },
	{ "user@example.xn--p1ai", true },
	{ "user@-example.com", true },
	{ "\303\274ser@example.com", true },
	{ "user@b\303\274cher.de", true },
	{ "user@\344\276\213\343\201\210.jp", true },
	{ "user@example.\321\200\321\204", true },
	{ "user@example.com/x", true },
	{ "  user@example.com\t", true },
	/* What iRedAPD refused, and thereby let through unchecked. */
	{ "o'brien@example.com", true },
	{ "a?b@example.com", true },
	{ "a{b@example.com", true },
	{ "a|b@example.com", true },
	{ "a`b@example.com", true },
	{ "a~b@example.com", true },
	{ "a!b@example.com", true },
	{ "a%b@example.com", true },
	{ "a^b@example.com", true },
	{ "a*b@example.com", true },
	{ "a$b@example.com", true },
	{ "+x@example.com", true },
	{ ".a@example.com", true },
	{ "\"a b\"@example.com", true },
	{ "a b@example.com", true },
	{ "a(b)@example.com", true },
	{ "a@b@c.com", true },
	{ "\"a@b\"@c.com", true },
	{ "user@example.com.", true },
	/* What has no policy of its own. */
	{ "", false },
	{ "user", false },
	{ "@", false },
	{ "user@", false },
	{ "@example.com", false },
	{ "user@localhost", false },
	{ "user@localhost.", false },
	{ "user@[1.2.3.4]", false },
	{ "user@[IPv6:2001:db8::1]", false },
	{ "x@1.2.3.4", false },
	{ "user@b.c", false },
	{ "user@.com", false },
	{ "user@example..com", false },
	{ "user@example.com..", false },
	{ "user@exa mple.com", false },
	{ "user@example.com,x", false },
	{ "user@example.c!m", false },
	{ "user@localhost/x.com", false },
	{ "us\001er@example.com", false },
	{ "us\177er@example.com", false },
	{ "us\r\ner@example.com", false },
	{ "us\377er@example.com", false },
	{ "user@ex\377mple.com", false },
};

START_TEST(knows_plain_addresses)
{
	struct address address = parse(plain_cases[_i].text);

	ck_assert_msg(address.is_plain == plain_cases[_i].is_plain, "%s",
		plain_cases[_i].text);
}
END_TEST

static const struct {
	const char *delimiters;
	const char *text;
	const char *full, *bare, *local, *domain;
} part_cases[] = {
	{ "+", "User+Ext@Example.COM", "user+ext@example.com",
		"user@example.com", "user", "example.com" },
	{ "+", "a+b+c@x.com", "a+b+c@x.com", "a@x.com", "a", "x.com" },
	{ "+", "a+@x.com", "a+@x.com", "a@x.com", "a", "x.com" },
	{ "+", "+x@x.com", "+x@x.com", "+x@x.com", "+x", "x.com" },
	{ "", "a+b@x.com", "a+b@x.com", "a+b@x.com", "a+b", "x.com" },
	{ "+", "a-b@x.com", "a-b@x.com", "a-b@x.com", "a-b", "x.com" },
	{ "+-", "a-b+c@x.com", "a-b+c@x.com", "a@x.com", "a", "x.com" },
	{ "+-", "a+b-c@x.com", "a+b-c@x.com", "a@x.com", "a", "x.com" },
	{ "-+", "a+b-c@x.com", "a+b-c@x.com", "a@x.com", "a", "x.com" },
	{ "+-", "-a+c@x.com", "-a+c@x.com", "-a+c@x.com", "-a+c", "x.com" },
	{ "+-", "mailer-daemon@x.com", "mailer-daemon@x.com",
		"mailer-daemon@x.com", "mailer-daemon", "x.com" },
	{ "-", "owner-list@x.com", "owner-list@x.com", "owner-list@x.com",
		"owner-list", "x.com" },
	{ "-", "list-request@x.com", "list-request@x.com", "list-request@x.com",
		"list-request", "x.com" },
	/* iRedAPD cut these to srs0=ab@h.com. */
	{ "+", "SRS0=ab+c=TT=x.com=u@h.com", "srs0=ab+c=tt=x.com=u@h.com",
		"srs0=ab+c=tt=x.com=u@h.com", "srs0=ab+c=tt=x.com=u", "h.com" },
	{ "+", "SRS1=ab+c=h.com==TT=x.com=u@g.com",
		"srs1=ab+c=h.com==tt=x.com=u@g.com",
		"srs1=ab+c=h.com==tt=x.com=u@g.com",
		"srs1=ab+c=h.com==tt=x.com=u", "g.com" },
	{ "+-", "srs0+ab=TT=x.com=u@h.com", "srs0+ab=tt=x.com=u@h.com",
		"srs0+ab=tt=x.com=u@h.com", "srs0+ab=tt=x.com=u", "h.com" },
	{ "+", "prvs=1234+ab=u@x.com", "prvs=1234+ab=u@x.com",
		"prvs=1234+ab=u@x.com", "prvs=1234+ab=u", "x.com" },
	{ "+", "srs0x+y@x.com", "srs0x+y@x.com", "srs0x@x.com", "srs0x",
		"x.com" },
	{ "+", "\"a+b\"@x.com", "\"a+b\"@x.com", "\"a+b\"@x.com", "\"a+b\"",
		"x.com" },
	{ "+", "a@b+c@x.com", "a@b+c@x.com", "a@b@x.com", "a@b", "x.com" },
	{ "+", "a+b@X.com.", "a+b@x.com", "a@x.com", "a", "x.com" },
	/* An extension that could not be stored does not hide the address. */
	{ "+", "a+\001@x.com", "a@x.com", "a@x.com", "a", "x.com" },
	{ "+", "a+b\tc@x.com", "a@x.com", "a@x.com", "a", "x.com" },
	{ "+", "a+\377@x.com", "a@x.com", "a@x.com", "a", "x.com" },
	{ "+", "a\001+b@x.com", "a\001+b@x.com", "a\001+b@x.com", "a\001+b",
		"x.com" },
	/* Not plain: nothing is cut. */
	{ "+", "a+b@localhost", "a+b@localhost", "a+b@localhost", "a+b",
		"localhost" },
	{ "+", "Root", "root", "root", "root", "" },
	{ "+", "", "", "", "", "" },
};

START_TEST(takes_addresses_apart)
{
	struct address address =
		address_parse(arena, slice_of(part_cases[_i].text),
			slice_of(part_cases[_i].delimiters));

	assert_slice(address.full, part_cases[_i].full, "full");
	assert_slice(address.bare, part_cases[_i].bare, "bare");
	assert_slice(address.local, part_cases[_i].local, "local");
	assert_slice(address.domain, part_cases[_i].domain, "domain");
}
END_TEST

/* x@ and n labels of one letter, then .com */
static struct slice
deep_address(size_t n)
{
	struct str text = { 0 };
	struct slice out;

	str_init(&text, 1024);
	str_append_text(&text, "x@");
	for (size_t i = 0; i < n; i++)
		str_append_text(&text, "a.");
	str_append_text(&text, "com");
	out = slice_copy(arena, str_slice(&text));
	str_free(&text);
	return out;
}

START_TEST(bounds_the_length)
{
	char text[ADDRESS_MAX + 2];
	struct slice whole = { text, ADDRESS_MAX };
	struct address address;

	memset(text, 'a', sizeof(text));
	memcpy(text + ADDRESS_MAX - 6, "@x.com", 6);
	ck_assert(address_parse(arena, whole, SLICE("+")).is_plain);
	memcpy(text + ADDRESS_MAX - 6, "a@x.com", 7);
	whole.len++;
	ck_assert(!address_parse(arena, whole, SLICE("+")).is_plain);
	/* Whom it reaches is in front of the extension. */
	text[2] = '+';
	address = address_parse(arena, whole, SLICE("+"));
	ck_assert(address.is_plain);
	assert_slice(address.bare, "aa@x.com", "bare");
	assert_slice(address.full, "aa@x.com", "full");
	/* 253 octets of domain, then 255. */
	ck_assert(address_parse(arena, deep_address(125), SLICE("")).is_plain);
	ck_assert(!address_parse(arena, deep_address(126), SLICE("")).is_plain);
}
END_TEST

static const struct {
	const char *text;
	const char *forms[8];
} form_cases[] = {
	{ "U+e@S2.S1.tld", { "u@s2.s1.tld", "@s2.s1.tld", "@.s2.s1.tld",
				   "@.s1.tld", "@.tld", "@." } },
	{ "user@example.com", { "user@example.com", "@example.com",
				      "@.example.com", "@.com", "@." } },
	{ "user@example.com/x", { "user@example.com/x", "@example.com/x",
					"@.example.com/x", "@.com/x", "@." } },
	/* What is before the @ does not hide what is behind it. */
	{ "us\001er@example.com",
		{ "@example.com", "@.example.com", "@.com", "@." } },
	{ "@example.com", { "@example.com", "@.example.com", "@.com", "@." } },
	{ "", { "@." } },
	{ "user@localhost", { "@." } },
	{ "user@[192.0.2.1]", { "@." } },
	{ "x@1.2.3.4", { "@." } },
};

START_TEST(lists_the_forms_most_specific_first)
{
	struct slice forms[ADDRESS_FORMS_MAX];
	struct address address = parse(form_cases[_i].text);
	size_t n = address_forms(arena, &address, forms);

	for (size_t i = 0; i < n; i++) {
		ck_assert_ptr_nonnull(form_cases[_i].forms[i]);
		assert_slice(forms[i], form_cases[_i].forms[i], "form");
	}
	ck_assert_ptr_null(form_cases[_i].forms[n]);
}
END_TEST

START_TEST(bounds_the_forms)
{
	struct slice forms[ADDRESS_FORMS_MAX];
	char dots[253];
	struct address address =
		address_parse(arena, deep_address(125), SLICE("+"));
	size_t n = address_forms(arena, &address, forms);

	ck_assert_uint_eq(n, 129);
	assert_slice(forms[n - 2], "@.com", "last label");
	assert_slice(forms[n - 1], "@.", "last");

	/* What a damaged table might hold. */
	memset(dots, '.', sizeof(dots));
	n = address_forms_of(arena, SLICE("x"),
		(struct slice){ dots, sizeof(dots) }, forms);
	ck_assert_uint_eq(n, ADDRESS_FORMS_MAX);
	assert_slice(forms[n - 1], "@.", "last");
	n = address_forms_of(arena, SLICE("x"), SLICE(""), forms);
	ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(lists_the_forms_of_an_alias_target)
{
	struct slice forms[ADDRESS_FORMS_MAX];
	size_t n = address_forms_of(arena, SLICE("user"),
		SLICE("target.example.org"), forms);

	ck_assert_uint_eq(n, 6);
	assert_slice(forms[0], "user@target.example.org", "address");
	assert_slice(forms[1], "@target.example.org", "domain");
	assert_slice(forms[4], "@.org", "top-level domain");
}
END_TEST

static const struct {
	const char *text;
	enum account_kind kind;
	int priority;
} kind_cases[] = {
	{ "user@dom.com", ACCOUNT_ADDRESS, 100 },
	{ "o'brien@dom.com", ACCOUNT_ADDRESS, 100 },
	{ "a/b@dom.com", ACCOUNT_ADDRESS, 100 },
	{ "user@*", ACCOUNT_ANY_DOMAIN, 90 },
	{ "1.2.3.4", ACCOUNT_IP, 80 },
	{ "2001:db8::1", ACCOUNT_IP, 80 },
	{ "1.2.3.*", ACCOUNT_WILDCARD_IP, 70 },
	{ "*.2.*.4", ACCOUNT_WILDCARD_IP, 70 },
	{ "*.*.*.*", ACCOUNT_WILDCARD_IP, 70 },
	{ "1.2.3.0/24", ACCOUNT_NETWORK, 70 },
	{ "2001:db8::/32", ACCOUNT_NETWORK, 70 },
	{ "@dom.com", ACCOUNT_DOMAIN, 60 },
	{ "@xn--p1ai.example", ACCOUNT_DOMAIN, 60 },
	{ "@.dom.com", ACCOUNT_SUBDOMAIN, 50 },
	{ "@.com", ACCOUNT_TOP_DOMAIN, 40 },
	{ "@.xn--p1ai", ACCOUNT_TOP_DOMAIN, 40 },
	{ "@ip", ACCOUNT_CATCH_ALL_IP, 0 },
	{ "@.", ACCOUNT_CATCH_ALL, 0 },
	{ "", ACCOUNT_INVALID, 0 },
	{ "@", ACCOUNT_INVALID, 0 },
	{ "@com", ACCOUNT_INVALID, 0 },
	{ "@.c", ACCOUNT_INVALID, 0 },
	{ "@..com", ACCOUNT_INVALID, 0 },
	{ "@1.2.3.4", ACCOUNT_INVALID, 0 },
	{ "example.com", ACCOUNT_INVALID, 0 },
	{ "1.2.3.4/24", ACCOUNT_INVALID, 0 },
	{ "2001:db8::1/32", ACCOUNT_INVALID, 0 },
	{ "1.2.3.256", ACCOUNT_INVALID, 0 },
	{ "1.2.3.*.*", ACCOUNT_INVALID, 0 },
	{ "1.2.3.2*", ACCOUNT_INVALID, 0 },
	{ "256.2.3.*", ACCOUNT_INVALID, 0 },
	{ "user@localhost", ACCOUNT_INVALID, 0 },
	{ "user@**", ACCOUNT_INVALID, 0 },
	{ "*@dom.com", ACCOUNT_INVALID, 0 },
	{ "us\ner@dom.com", ACCOUNT_INVALID, 0 },
};

START_TEST(tells_the_kind_and_priority_of_accounts)
{
	enum account_kind kind = account_kind(slice_of(kind_cases[_i].text));

	ck_assert_msg(kind == kind_cases[_i].kind, "%s is %s",
		kind_cases[_i].text, account_kind_name(kind));
	ck_assert_int_eq(account_priority(kind), kind_cases[_i].priority);
}
END_TEST

static const struct {
	const char *typed;
	const char *stored; /* NULL: refused */
	const char *plain;  /* or what the error must say */
} normal_cases[] = {
	{ "User@Example.com", "user@example.com", "user@example.com" },
	{ " user@example.com ", "user@example.com", "user@example.com" },
	{ "User@*", "user@*", "user@*" },
	{ "Example.COM", "@example.com", "example.com" },
	{ "@Example.COM", "@example.com", "example.com" },
	{ ".example.com", "@.example.com", ".example.com" },
	{ "@.example.com", "@.example.com", ".example.com" },
	{ ".com", "@.com", ".com" },
	{ "@.COM", "@.com", ".com" },
	{ "*", "@.", "*" },
	{ "@.", "@.", "*" },
	{ "@ip", "@ip", "@ip" },
	{ "@IP", "@ip", "@ip" },
	{ "192.0.2.1", "192.0.2.1", "192.0.2.1" },
	{ "192.0.2.1/32", "192.0.2.1", "192.0.2.1" },
	{ "192.0.2.*", "192.0.2.*", "192.0.2.*" },
	{ "192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/24" },
	{ "2001:DB8::1", "2001:db8::1", "2001:db8::1" },
	{ "2001:0DB8:0::/32", "2001:db8::/32", "2001:db8::/32" },
	{ "::/0", "::/0", "::/0" },
	{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1" },
	{ "", NULL, "empty" },
	{ " ", NULL, "empty" },
	{ ".", NULL, "neither" },
	{ "com", NULL, ".com" },
	{ "@com", NULL, ".com" },
	{ "ip", NULL, "dot" },
	{ "*@example.com", NULL, "example.com" },
	{ "*.example.com", NULL, ".example.com" },
	{ "192.0.2.0/33", NULL, "network" },
	{ "2001:db8::/129", NULL, "network" },
	{ "2001:db8:::1", NULL, "IPv6" },
	{ "192.0.2.300", NULL, "neither" },
	{ "192.*.2", NULL, "wildcard" },
	{ "a@b@example.com", NULL, "more than one @" },
	{ "@@example.com", NULL, "more than one @" },
	{ "user@localhost", NULL, "domain" },
	{ "user@", NULL, "domain" },
	{ "us\aer@example.com", NULL, "control" },
	{ "us\377er@example.com", NULL, "UTF-8" },
};

START_TEST(normalizes_what_people_type)
{
	const char *typed = normal_cases[_i].typed;
	struct slice stored;
	const char *err;
	bool done = account_normalize(arena, slice_of(typed), &stored, &err);

	ck_assert_msg(done == (normal_cases[_i].stored != NULL), "%s", typed);
	if (!done) {
		ck_assert_ptr_nonnull(err);
		ck_assert_msg(strstr(err, normal_cases[_i].plain) != NULL,
			"%s: %s", typed, err);
		return;
	}
	ck_assert_ptr_null(err);
	assert_slice(stored, normal_cases[_i].stored, typed);
	ck_assert(account_kind(stored) != ACCOUNT_INVALID);

	struct slice plain = account_plain(stored), again;
	assert_slice(plain, normal_cases[_i].plain, typed);
	ck_assert(account_normalize(arena, plain, &again, &err));
	ck_assert(slice_eq(stored, again));
}
END_TEST

START_TEST(clears_host_bits_with_a_remark)
{
	static const char *const cases[][2] = {
		{ "192.0.2.7/24", "192.0.2.0/24" },
		{ "2001:db8::1/32", "2001:db8::/32" },
	};

	for (size_t i = 0; i < 2; i++) {
		struct slice stored;
		const char *err;

		ck_assert(account_normalize(arena, slice_of(cases[i][0]),
			&stored, &err));
		assert_slice(stored, cases[i][1], cases[i][0]);
		ck_assert_ptr_nonnull(err);
		ck_assert_ptr_nonnull(strstr(err, "cleared"));
	}
}
END_TEST

START_TEST(refuses_an_account_that_is_too_long)
{
	char text[ADDRESS_MAX + 1];
	struct slice stored;
	const char *err;

	memset(text, 'a', sizeof(text));
	ck_assert(!account_normalize(arena,
		(struct slice){ text, sizeof(text) }, &stored, &err));
	ck_assert_ptr_nonnull(strstr(err, "longer"));
	ck_assert_int_eq(account_kind((struct slice){ text, sizeof(text) }),
		ACCOUNT_INVALID);
}
END_TEST

START_TEST(shows_what_is_no_account_as_it_is)
{
	assert_slice(account_plain(SLICE("example.com")), "example.com", "");
	assert_slice(account_plain(SLICE("@com")), "@com", "");
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, knows_plain_addresses, 0, N(plain_cases));
	tcase_add_loop_test(tcase, takes_addresses_apart, 0, N(part_cases));
	tcase_add_test(tcase, bounds_the_length);
	tcase_add_loop_test(tcase, lists_the_forms_most_specific_first, 0,
		N(form_cases));
	tcase_add_test(tcase, bounds_the_forms);
	tcase_add_test(tcase, lists_the_forms_of_an_alias_target);
	tcase_add_loop_test(tcase, tells_the_kind_and_priority_of_accounts, 0,
		N(kind_cases));
	tcase_add_loop_test(tcase, normalizes_what_people_type, 0,
		N(normal_cases));
	tcase_add_test(tcase, clears_host_bits_with_a_remark);
	tcase_add_test(tcase, refuses_an_account_that_is_too_long);
	tcase_add_test(tcase, shows_what_is_no_account_as_it_is);
}

int
main(void)
{
	Suite *suite = suite_create("address");
	TCase *tcase = tcase_create("address");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
