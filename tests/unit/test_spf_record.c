#include "common/mail/spf_record.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX        ((size_t)64 << 10)
/* Of SPF_TERMS_MAX terms in SPF_RECORD_MAX bytes, and of what is wrong. */
#define ROOM ((size_t)256 << 10)

static struct arena *arena;

static void
begin(void)
{
	arena = arena_new(ROOM);
}

static void
end(void)
{
	arena_free(arena);
}

/* --- what a record is --------------------------------------------------- */

static const struct {
	const char *text;
	bool is_one;
} texts[] = {
	{ "v=spf1", true },
	{ "v=spf1 ", true },
	{ "v=spf1 -all", true },
	{ "V=SPF1 -all", true },
	{ "v=spf1 no such thing", true },
	{ "", false },
	{ "v=spf", false },
	{ "v=spf10", false },
	{ "v=spf1-all", false },
	{ "v=spf1\t-all", false },
	{ "v=spf1include:example.com", false },
	{ " v=spf1 -all", false },
	{ "\"v=spf1 -all\"", false },
	{ "v=spf2.0/pra -all", false },
	{ "v=DMARC1; p=none", false },
};

START_TEST(knows_a_record)
{
	ck_assert_msg(spf_record_is(slice_of(texts[_i].text)) ==
			      texts[_i].is_one,
		"%s", texts[_i].text);
}
END_TEST

/* --- what is understood ------------------------------------------------- */

static void
show_prefix(struct str *out, const char *slash, unsigned prefix, unsigned all)
{
	if (prefix != all)
		str_printf(out, "%s%u", slash, prefix);
}

static void
show_term(struct str *out, const struct spf_term *term)
{
	static const char *const names[] = { "all", "include", "a", "mx", "ptr",
		"ip4", "ip6", "exists" };
	const bool has_hosts =
		term->mechanism == SPF_A || term->mechanism == SPF_MX;
	char text[NETWORK_TEXT_MAX];

	str_printf(out, " %s:%s", spf_result_name(term->result),
		names[term->mechanism]);
	if (term->domain_spec.len > 0)
		str_printf(out, ":%.*s", SLICE_ARG(term->domain_spec));
	if (term->network.address.family != IP_NONE)
		str_printf(out, ":%s", network_format(&term->network, text));
	if (!has_hosts)
		return;
	show_prefix(out, "/", term->prefix_v4, 32);
	show_prefix(out, "//", term->prefix_v6, 128);
}

/* The terms one after the other, or what is wrong with the record. */
static const char *
show(struct slice text, struct str *out)
{
	struct spf_record record;
	const char *err = "";

	ck_assert(spf_record_is(text));
	if (spf_record_parse(arena, text, &record, &err) < 0)
		return err;
	for (size_t i = 0; i < record.n_terms; i++) {
		show_term(out, &record.terms[i]);
		ck_assert(record.terms[i].text.ptr > text.ptr &&
			  record.terms[i].text.ptr < text.ptr + text.len);
	}
	if (record.redirect.len > 0)
		str_printf(out, " redirect=%.*s", SLICE_ARG(record.redirect));
	if (record.exp.len > 0)
		str_printf(out, " exp=%.*s", SLICE_ARG(record.exp));
	return str_text(out);
}

/* RFC 7208, 12, from the top. */
static const struct {
	const char *record, *shown;
} records[] = {
	{ "v=spf1", "" },
	{ "v=spf1    ", "" },
	{ "v=spf1 -all", " fail:all" },
	{ "v=spf1   +all   ?all  ", " pass:all neutral:all" },
	{ "v=spf1 all ~all", " pass:all softfail:all" },
	{ "v=spf1 -ALL", " fail:all" },

	{ "v=spf1 include:example.com", " pass:include:example.com" },
	{ "v=spf1 ?InClude:_spf.%{d2}", " neutral:include:_spf.%{d2}" },

	{ "v=spf1 a", " pass:a" },
	{ "v=spf1 a/0", " pass:a/0" },
	{ "v=spf1 a/32//128", " pass:a" },
	{ "v=spf1 a/24//64", " pass:a/24//64" },
	{ "v=spf1 a//64", " pass:a//64" },
	{ "v=spf1 a//0", " pass:a//0" },
	{ "v=spf1 -A:EXAMPLE.com", " fail:a:EXAMPLE.com" },
	{ "v=spf1 a:example.com.", " pass:a:example.com." },
	{ "v=spf1 a:example.com/24", " pass:a:example.com/24" },
	{ "v=spf1 a:example.com//64", " pass:a:example.com//64" },
	{ "v=spf1 a:example.com/24//64", " pass:a:example.com/24//64" },
	{ "v=spf1 a:%{d}/24//64", " pass:a:%{d}/24//64" },
	{ "v=spf1 a:%{l1r/}/8", " pass:a:%{l1r/}/8" },
	{ "v=spf1 a:x/24.example.com", " pass:a:x/24.example.com" },
	{ "v=spf1 a:x:y=z.example.com", " pass:a:x:y=z.example.com" },
	{ "v=spf1 a:1.2.3.com", " pass:a:1.2.3.com" },
	{ "v=spf1 a:example.1-2", " pass:a:example.1-2" },
	{ "v=spf1 a:example.xn--zckzah", " pass:a:example.xn--zckzah" },
	{ "v=spf1 a:.com", " pass:a:.com" },
	{ "v=spf1 mx", " pass:mx" },
	{ "v=spf1 ~mx:%{o}/31", " softfail:mx:%{o}/31" },
	{ "v=spf1 mx//9", " pass:mx//9" },

	{ "v=spf1 ptr", " pass:ptr" },
	{ "v=spf1 -ptr:example.com", " fail:ptr:example.com" },
	{ "v=spf1 ip4:192.0.2.1", " pass:ip4:192.0.2.1" },
	{ "v=spf1 -ip4:192.0.2.129/25", " fail:ip4:192.0.2.128/25" },
	{ "v=spf1 ip4:0.0.0.0/0", " pass:ip4:0.0.0.0/0" },
	{ "v=spf1 ip6:2001:DB8::1", " pass:ip6:2001:db8::1" },
	{ "v=spf1 ip6:2001:db8::ffff/112", " pass:ip6:2001:db8::/112" },
	{ "v=spf1 ip6:::/0", " pass:ip6:::/0" },
	{ "v=spf1 ip6:::1", " pass:ip6:::1" },
	{ "v=spf1 ip6:::192.0.2.1/128", " pass:ip6:::192.0.2.1" },
	{ "v=spf1 ip6:::ffff:192.0.2.1", " pass:ip6:::ffff:192.0.2.1" },
	{ "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d}",
		" pass:exists:%{ir}.%{l1r+-}._spf.%{d}" },

	{ "v=spf1 redirect=example.com", " redirect=example.com" },
	{ "v=spf1 REDIRECT=%{d1}.x mx -all EXP=explain._spf.%{d}",
		" pass:mx fail:all redirect=%{d1}.x exp=explain._spf.%{d}" },
	{ "v=spf1 exp=%{h} -all", " fail:all exp=%{h}" },

	/* Modifiers that nobody knows are nothing, if they are well-formed. */
	{ "v=spf1 x=", "" },
	{ "v=spf1 a=1 a=2 mx=", "" },
	{ "v=spf1 Far-off_1.2=%{d}%%%_%-x/y:z=", "" },
	{ "v=spf1 v=spf1 redirect=x.y -all", " fail:all redirect=x.y" },
	{ "v=spf1 ip4=192.0.2.1 -all", " fail:all" },
};

START_TEST(reads_a_record)
{
	struct str out;

	str_init(&out, TEXT_MAX);
	ck_assert_str_eq(show(slice_of(records[_i].record), &out),
		records[_i].shown);
	str_free(&out);
}
END_TEST

/* --- what is not -------------------------------------------------------- */

/* Each is the one bad term of a record that is good otherwise. */
static const char *const malformed[] = {
	/* all */
	"all:", "all/8", "-all:example.com",
	/* include, exists: a domain-spec, and nothing else */
	"include", "include:", "include/24", "include:example.com/24",
	"include:.", "include:com", "include:com.", "include:example.com..",
	"include:example.123", "include:192.0.2.1", "include:example.-a",
	"include:example.a-", "include:example.a_b", "include:example.com:25",
	"include:%{d", "include:%d}.com", "include:%{}.com", "include:%{d0}",
	"include:%{x}", "include:%{dx}", "include:%{dr2}", "include:%{d;}",
	"include:%(d)", "include:%.com", "include:%{d}.", "include:%{d}com",
	"include:example.%{d}com", "include:x.%%com", "include:%", "include:a%",
	"include:%{c}", "include:%{R}", "include:%{t}.com",
	"include:b\xc3\xbc.example", "include:\x01.example", "exists",
	"exists:", "exists:com", "exists:%{i}/24", "exists:example.com/24",
	/* a, mx */
	"a:", "a/", "a:/24", "a/33", "a//129", "a/-1", "a/+1", "a/1a", "a/024",
	"a//064", "a/00", "a/4294967328", "a//18446744073709551744", "a/24/64",
	"a/24//", "a//64/24", "a///64", "a/%{d}", "a:example.com/",
	"a:example.com//", "a:example.com/33", "a:example.com//24//64",
	"a:example.com/24/", "a:com", "a:com/24", "a:1.2.3.4", "a:1.2.3.4/24",
	"a:[1.2.3.4]", "a::example.com:", "a/example.com", "a//example.com",
	"mx:", "mx/", "mx/33", "mx//129", "mx:com", "mx/24.example.com",
	/* ptr */
	"ptr:", "ptr/24", "ptr:example.com/24", "ptr:com", "ptr:192.0.2.1",
	/* ip4, ip6 */
	"ip4", "ip4:", "ip4/24", "ip4:192.0.2", "ip4:192.0.2.256",
	"ip4:192.0.2.1.1", "ip4:192.0.2.01", "ip4:192.0.2.1/33",
	"ip4:192.0.2.1/", "ip4:192.0.2.1/08", "ip4:192.0.2.1/-8",
	"ip4:192.0.2.1//24", "ip4:192.0.2.1/24//64", "ip4:example.com",
	"ip4:0xc0000201", "ip4:3221225985", "ip4:::1", "ip4:%{i}",
	"ip4:192.0.2.1:25", "ip6", "ip6:", "ip6/64", "ip6:2001:db8:1",
	"ip6:2001:db8:::1", "ip6:2001:db8::1/129", "ip6:2001:db8::1/",
	"ip6:2001:db8::1/064", "ip6:2001:db8::1//64", "ip6:2001:db8::g",
	"ip6:192.0.2.1", "ip6:[2001:db8::1]", "ip6:fe80::1%lo",
	"ip6:2001:db8::1%25", "ip6:0000:0000:0000:0000:0000:0000:0000:00001"
};

/* Not of the shape of a modifier, and of no mechanism's name. */
static const char *const unknown[] = { "no", "-", "+", "--all", "-+all", "=all",
	"1=x", "-a=x", "_a=x", "a\xc3\xa4=x", "all.", "-all.", "all,",
	"ip:192.0.2.1", "ip5:192.0.2.1", "ipv4:192.0.2.1", "192.0.2.1", "a\tmx",
	"all\n", "example.com", "\"", "include;x", "spf:x", "!all", "aa",
	"%{d}", ":", "/24" };

static void
expect_bad(const char *term, const char *what)
{
	char text[200], expected[300];
	struct str out, shown;

	str_init(&out, TEXT_MAX);
	str_init(&shown, TEXT_MAX);
	snprintf(text, sizeof(text), "v=spf1 mx %s -all", term);
	str_append_json(&shown, slice_of(term));
	snprintf(expected, sizeof(expected), "%s: %s", what, str_text(&shown));
	ck_assert_str_eq(show(slice_of(text), &out), expected);
	str_free(&shown);
	str_free(&out);
}

START_TEST(refuses_a_malformed_term)
{
	expect_bad(malformed[_i], "a term is malformed");
}
END_TEST

START_TEST(refuses_what_is_no_mechanism)
{
	expect_bad(unknown[_i], "there is no such mechanism");
}
END_TEST

static const struct {
	const char *terms, *err;
} modifiers[] = {
	{ "redirect=", "a modifier is malformed: \"redirect=\"" },
	{ "exp=", "a modifier is malformed: \"exp=\"" },
	{ "redirect=com", "a modifier is malformed: \"redirect=com\"" },
	{ "redirect=%{d}/24", "a modifier is malformed: \"redirect=%{d}/24\"" },
	{ "exp=a.%{d", "a modifier is malformed: \"exp=a.%{d\"" },
	{ "redirect=%{t}", "a modifier is malformed: \"redirect=%{t}\"" },
	{ "exp=%{c}.x", "a modifier is malformed: \"exp=%{c}.x\"" },
	{ "x=%{d", "a modifier is malformed: \"x=%{d\"" },
	{ "x=%", "a modifier is malformed: \"x=%\"" },
	{ "x=%{r}", "a modifier is malformed: \"x=%{r}\"" },
	{ "x=\xff", "a modifier is malformed: \"x=\xef\xbf\xbd\"" },
	{ "exp=a.b exp=a.b", "a modifier stands there twice: \"exp=a.b\"" },
	{ "redirect=a.b -all Redirect=c.d",
		"a modifier stands there twice: \"Redirect=c.d\"" },
};

START_TEST(refuses_a_malformed_modifier)
{
	char text[200];
	struct str out;

	str_init(&out, TEXT_MAX);
	snprintf(text, sizeof(text), "v=spf1 %s", modifiers[_i].terms);
	ck_assert_str_eq(show(slice_of(text), &out), modifiers[_i].err);
	str_free(&out);
}
END_TEST

START_TEST(a_byte_of_zero_is_malformed)
{
	static const struct slice rows[] = { SLICE_INIT("v=spf1 \0"),
		SLICE_INIT("v=spf1 ip4:192.0.2.1\0"),
		SLICE_INIT("v=spf1 ip6:::1\0"), SLICE_INIT("v=spf1 all\0"),
		SLICE_INIT("v=spf1 include:a\0.b"), SLICE_INIT("v=spf1 x=\0") };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spf_record record;
		const char *err;

		ck_assert_msg(spf_record_parse(arena, rows[i], &record, &err) <
				      0,
			"%zu", i);
		ck_assert_ptr_nonnull(strstr(err, "\\u0000"));
	}
}
END_TEST

/* --- bounds ------------------------------------------------------------- */

/* "v=spf1" and n times the term. */
static void
repeat(struct str *out, const char *term, size_t n)
{
	str_append_text(out, "v=spf1");
	for (size_t i = 0; i < n; i++)
		str_printf(out, " %s", term);
}

START_TEST(as_many_terms_as_allowed)
{
	struct spf_record record;
	const char *err = "";
	struct str text;

	str_init(&text, TEXT_MAX);
	repeat(&text, "a", SPF_TERMS_MAX);
	/* What is no directive does not count. */
	str_append_text(&text, " x=1 redirect=a.b");
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), 0);
	ck_assert_uint_eq(record.n_terms, SPF_TERMS_MAX);
	str_append_text(&text, " mx");
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), -1);
	ck_assert_str_eq(err, "there are too many terms, from: \"mx\"");
	str_free(&text);
}
END_TEST

START_TEST(as_many_bytes_as_allowed)
{
	struct spf_record record;
	const char *err = "";
	struct str text;

	str_init(&text, TEXT_MAX);
	repeat(&text, "x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 511);
	while (text.len < SPF_RECORD_MAX)
		str_append_char(&text, ' ');
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), 0);
	ck_assert_uint_eq(record.n_terms, 0);
	str_append_char(&text, ' ');
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), -1);
	ck_assert_str_eq(err, "the record is too long");
	str_free(&text);
}
END_TEST

START_TEST(a_term_as_long_as_allowed)
{
	const size_t begin_of_term = strlen("v=spf1 ");
	static const char last[] = ".example.com";
	struct spf_record record;
	const char *err = "";
	struct str text;

	str_init(&text, TEXT_MAX);
	str_append_text(&text, "v=spf1 a:");
	while (text.len < begin_of_term + 512 - strlen(last))
		str_append_char(&text, 'x');
	str_append_text(&text, last);
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), 0);
	str_append_char(&text, '.');
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), -1);
	ck_assert_str_eq(err, "a term is too long: "
			      "\"a:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"");
	str_free(&text);
}
END_TEST

/* 512 bytes, each of which needs six to be shown. */
START_TEST(what_is_wrong_is_not_long)
{
	struct spf_record record;
	const char *err = "";
	struct str text;

	str_init(&text, TEXT_MAX);
	str_append_text(&text, "v=spf1 ");
	for (int i = 0; i < 512; i++)
		str_append_char(&text, '\x01');
	ck_assert_int_eq(
		spf_record_parse(arena, str_slice(&text), &record, &err), -1);
	ck_assert_uint_lt(strlen(err), 600);
	str_free(&text);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, knows_a_record, 0, COUNT_OF(texts));
	tcase_add_loop_test(tcase, reads_a_record, 0, COUNT_OF(records));
	tcase_add_loop_test(tcase, refuses_a_malformed_term, 0,
		COUNT_OF(malformed));
	tcase_add_loop_test(tcase, refuses_what_is_no_mechanism, 0,
		COUNT_OF(unknown));
	tcase_add_loop_test(tcase, refuses_a_malformed_modifier, 0,
		COUNT_OF(modifiers));
	tcase_add_test(tcase, a_byte_of_zero_is_malformed);
	tcase_add_test(tcase, as_many_terms_as_allowed);
	tcase_add_test(tcase, as_many_bytes_as_allowed);
	tcase_add_test(tcase, a_term_as_long_as_allowed);
	tcase_add_test(tcase, what_is_wrong_is_not_long);
}

int
main(void)
{
	Suite *suite = suite_create("spf_record");
	TCase *tcase = tcase_create("spf_record");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
