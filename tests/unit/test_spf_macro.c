#include "common/mail/spf_macro.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX        ((size_t)256 << 10)

/* RFC 7208, 7.4: strong-bad@email.example.com from 192.0.2.3. */
static struct spf_macro_values
rfc_values(const char *client)
{
	struct spf_macro_values values = {
		.local = SLICE("strong-bad"),
		.sender_domain = SLICE("email.example.com"),
		.domain = SLICE("email.example.com"),
		.helo = SLICE("mx.example.org"),
		.validated_name = SLICE("mx.example.org"),
		.receiver = SLICE("mail.example.net"),
		.now = 1700000000,
	};

	ck_assert(ip_parse(slice_of(client), &values.client));
	return values;
}

/* What comes out; in memory of its own. */
static const char *
expand(const char *text, const struct spf_macro_values *values)
{
	static char copy[TEXT_MAX + 1];
	struct str out;

	ck_assert_msg(spf_macro_is_valid(slice_of(text), SPF_MACRO_IN_TEXT),
		"%s", text);
	str_init(&out, TEXT_MAX);
	spf_macro_expand(slice_of(text), values, &out);
	ck_assert(!out.is_cut);
	memcpy(copy, str_text(&out), out.len + 1);
	str_free(&out);
	return copy;
}

/* --- the examples of RFC 7208, 7.4 -------------------------------------- */

#define V4 "192.0.2.3"
#define V6 "2001:db8::cb01"

static const struct {
	const char *client, *macro, *expanded;
} examples[] = {
	{ V4, "%{s}", "strong-bad@email.example.com" },
	{ V4, "%{o}", "email.example.com" },
	{ V4, "%{d}", "email.example.com" },
	{ V4, "%{d4}", "email.example.com" },
	{ V4, "%{d3}", "email.example.com" },
	{ V4, "%{d2}", "example.com" },
	{ V4, "%{d1}", "com" },
	{ V4, "%{dr}", "com.example.email" },
	{ V4, "%{d2r}", "example.email" },
	{ V4, "%{l}", "strong-bad" },
	{ V4, "%{l-}", "strong.bad" },
	{ V4, "%{lr}", "strong-bad" },
	{ V4, "%{lr-}", "bad.strong" },
	{ V4, "%{l1r-}", "strong" },
	{ V4, "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
	{ V4, "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
	{ V4, "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
		"bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
	{ V4, "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
		"3.2.0.192.in-addr.strong.lp._spf.example.com" },
	{ V4, "%{d2}.trusted-domains.example.net",
		"example.com.trusted-domains.example.net" },
	{ V6, "%{ir}.%{v}._spf.%{d2}",
		"1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"8.b.d.0.1.0.0.2.ip6._spf.example.com" },
};

START_TEST(expands_the_examples_of_the_rfc)
{
	const struct spf_macro_values values = rfc_values(examples[_i].client);

	/* The RFC has digits above 9 in small letters, its suite in capitals:
	 * in a name they are the same. */
	ck_assert(slice_case_eq(slice_of(expand(examples[_i].macro, &values)),
		slice_of(examples[_i].expanded)));
}
END_TEST

/* --- letters ------------------------------------------------------------ */

static const struct {
	const char *client, *macro, *expanded;
} letters[] = {
	{ V4, "%{h}", "mx.example.org" },
	{ V4, "%{p}", "mx.example.org" },
	{ V4, "%{i}", V4 },
	{ V4, "%{c}", V4 },
	{ V4, "%{v}", "in-addr" },
	{ V4, "%{r}", "mail.example.net" },
	{ V4, "%{t}", "1700000000" },
	{ V6, "%{v}", "ip6" },
	{ V6, "%{c}", V6 },
	{ V6, "%{i}",
		"2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"C.B.0.1" },
	{ "::ffff:192.0.2.3", "%{i} %{v}", V4 " in-addr" },
	/* In capitals they are the same, escaped. */
	{ V4, "%{S}", "strong-bad%40email.example.com" },
	{ V4, "%{L}%{O}%{D}", "strong-bademail.example.comemail.example.com" },
	{ V4, "%{I}%{V}%{H}%{P}", V4 "in-addrmx.example.orgmx.example.org" },
	{ V4, "%{C}%{R}%{T}", V4 "mail.example.net1700000000" },
	{ V6, "%{C}", "2001%3Adb8%3A%3Acb01" },
	{ V4, "%{SR-}", "bad%40email.example.com.strong" },
	/* Literals and escapes, any number of pieces. */
	{ V4, "", "" },
	{ V4, "example.com", "example.com" },
	{ V4, "%%%_%-", "% %20" },
	{ V4, "%%{d}", "%{d}" },
	{ V4, "a%%b%_c%-d%{d1}e", "a%b c%20dcome" },
	{ V4, "}{d}$!\"#~ ", "}{d}$!\"#~ " },
};

START_TEST(knows_the_letters)
{
	const struct spf_macro_values values = rfc_values(letters[_i].client);

	ck_assert_str_eq(expand(letters[_i].macro, &values),
		letters[_i].expanded);
}
END_TEST

/* RFC 3986, 2.3: all but the unreserved are escaped, whatever their sign. */
START_TEST(escapes_every_byte)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij"
					 "klmnopqrstuvwxyz0123456789-._~";
	struct spf_macro_values values = rfc_values(V4);

	for (int byte = 0; byte < 256; byte++) {
		const char c = (char)byte;
		char expected[8];
		struct str out;

		snprintf(expected, sizeof(expected), "%%%02X", (unsigned)byte);
		if (byte != 0 && strchr(unreserved, byte) != NULL)
			snprintf(expected, sizeof(expected), "%c", byte);
		values.local = (struct slice){ &c, 1 };
		str_init(&out, TEXT_MAX);
		spf_macro_expand(SLICE("%{L/}"), &values, &out);
		if (byte == '/')
			ck_assert_str_eq(str_text(&out), ".");
		else
			ck_assert_str_eq(str_text(&out), expected);
		str_free(&out);
	}
}
END_TEST

/* --- parts -------------------------------------------------------------- */

static const struct {
	const char *local, *macro, *expanded;
} parts[] = {
	/* Each delimiter splits, and a dot takes its place. */
	{ "a.b-c+d,e/f_g=h", "%{l}", "a.b-c+d,e/f_g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l.}", "a.b-c+d,e/f_g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l-}", "a.b.c+d,e/f_g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l+}", "a.b-c.d,e/f_g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l,}", "a.b-c+d.e/f_g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l/}", "a.b-c+d,e.f_g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l_}", "a.b-c+d,e/f.g=h" },
	{ "a.b-c+d,e/f_g=h", "%{l=}", "a.b-c+d,e/f_g.h" },
	{ "a.b-c+d,e/f_g=h", "%{l.-+,/_=}", "a.b.c.d.e.f.g.h" },
	{ "a.b-c+d,e/f_g=h", "%{lr.-+,/_=}", "h.g.f.e.d.c.b.a" },
	{ "a.b-c+d,e/f_g=h", "%{l3.-+,/_=}", "f.g.h" },
	{ "a.b-c+d,e/f_g=h", "%{l3r.-+,/_=}", "c.b.a" },
	{ "a.b-c+d,e/f_g=h", "%{l2-+}", "c.d,e/f_g=h" },
	{ "a.b-c", "%{l--}", "a.b.c" },
	{ "a.b-c", "%{lr-}", "c.a.b" },
	{ "a.b-c", "%{l1-}", "c" },
	{ "a.b-c", "%{l1r-}", "a.b" },
	/* Numbers: all parts if there are not so many. */
	{ "a.b.c", "%{l1}", "c" },
	{ "a.b.c", "%{l01}", "c" },
	{ "a.b.c", "%{l2r}", "b.a" },
	{ "a.b.c", "%{l3}", "a.b.c" },
	{ "a.b.c", "%{l128}", "a.b.c" },
	{ "a.b.c", "%{l2147483648}", "a.b.c" },
	{ "a.b.c", "%{l4294967297r}", "c.b.a" },
	{ "a.b.c", "%{l18446744073709551617}", "a.b.c" },
	/* Empty parts are parts. */
	{ "", "%{l}", "" },
	{ "", "%{l1r-}", "" },
	{ ".", "%{lr}", "." },
	{ "..a", "%{lr}", "a.." },
	{ "a..b", "%{l2}", ".b" },
	{ "a..b", "%{l1r}", "a" },
	{ "-a-", "%{l-}", ".a." },
	{ "-a-", "%{l1-}", "" },
	{ "-a-", "%{lr-}", ".a." },
	/* What is expanded is not expanded again. */
	{ "%{d}", "%{l}", "%{d}" },
	{ "%", "%{l}{d}", "%{d}" },
};

START_TEST(splits_turns_and_joins)
{
	struct spf_macro_values values = rfc_values(V4);

	values.local = slice_of(parts[_i].local);
	ck_assert_str_eq(expand(parts[_i].macro, &values), parts[_i].expanded);
}
END_TEST

/* --- bounds ------------------------------------------------------------- */

START_TEST(stops_when_there_is_no_room)
{
	const struct spf_macro_values values = rfc_values(V4);
	struct str out;

	str_init(&out, 12);
	spf_macro_expand(SLICE("%{l}=%{l}=%{l}"), &values, &out);
	ck_assert_str_eq(str_text(&out), "strong-bad=s");
	ck_assert(out.is_cut);
	str_free(&out);
}
END_TEST

/* What RFC 7208, 7.3 says, of a name that is there as a whole. */
static struct slice
without_labels_at_the_left(struct slice name)
{
	if (slice_ends(name, SLICE(".")))
		name.len--;
	while (name.len > SPF_NAME_LEN_MAX) {
		const ptrdiff_t dot = slice_find(name, '.');

		name = slice_from(name, dot < 0 ? name.len : (size_t)dot + 1);
	}
	return name;
}

static void
expect_end_of(const char *spec, const struct spf_macro_values *values)
{
	const struct slice all = slice_of(expand(spec, values));
	struct str name;

	str_init(&name, SPF_NAME_LEN_MAX);
	spf_macro_expand_name(slice_of(spec), values, &name);
	ck_assert(!name.is_cut);
	ck_assert_msg(
		slice_eq(str_slice(&name), without_labels_at_the_left(all)),
		"%s: %s", spec, str_text(&name));
	str_free(&name);
}

/* Terms of 512 bytes stand for names of up to 64 KiB. */
START_TEST(of_a_long_name_the_end_is_kept)
{
	static const char *const macros[] = { "%{l}", "%{S}", "%{p}", "%{l.}",
		"x.", "%{h}%%" };
	char local[256], spec[600];
	struct spf_macro_values values = rfc_values(V4);

	for (size_t dots = 1; dots < 255; dots += 61) {
		memset(local, '/', sizeof(local));
		for (size_t i = 0; i < sizeof(local); i += dots)
			local[i] = '.';
		values.local = (struct slice){ local, 255 };
		for (size_t i = 0; i < 120 * 6; i += 5) {
			char *to = spec;

			for (size_t n = 0; n <= i / 6 && to < spec + 500; n++)
				to += snprintf(to, 10, "%s", macros[i % 6]);
			expect_end_of(spec, &values);
			snprintf(to, 10, ".end.x");
			expect_end_of(spec, &values);
		}
	}
}
END_TEST

START_TEST(cuts_a_name_between_labels)
{
	char label[64], spec[400];
	struct spf_macro_values values = rfc_values(V4);

	memset(label, 'x', sizeof(label));
	label[63] = '\0';
	/* 253 bytes, 254 of them, labels of 64, one label. */
	snprintf(spec, sizeof(spec), "%s.%s.%s.%s", label, label, label,
		label + 2);
	expect_end_of(spec, &values);
	snprintf(spec, sizeof(spec), "%s.%s.%s.%s", label, label, label,
		label + 1);
	expect_end_of(spec, &values);
	snprintf(spec, sizeof(spec), "%s%s%s%sx.x", label, label, label, label);
	expect_end_of(spec, &values);
	snprintf(spec, sizeof(spec), "%s%s%s%sx", label, label, label, label);
	expect_end_of(spec, &values);
}
END_TEST

START_TEST(the_dot_of_the_root_is_no_part_of_a_name)
{
	static const struct {
		const char *spec, *name;
	} rows[] = {
		{ "example.com.", "example.com" },
		{ "example.com", "example.com" },
		{ "%{h}", "mx.example.org." },
		{ "%%", "%" },
	};
	struct spf_macro_values values = rfc_values(V4);
	struct str name;

	values.helo = SLICE("mx.example.org..");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_init(&name, SPF_NAME_LEN_MAX);
		spf_macro_expand_name(slice_of(rows[i].spec), &values, &name);
		ck_assert_str_eq(str_text(&name), rows[i].name);
		str_free(&name);
	}
}
END_TEST

/* --- syntax ------------------------------------------------------------- */

/* What it may be: a domain-spec, a macro-string, an explain-string. */
enum { IS_SPEC = 1, IS_STRING = 2, IS_TEXT = 4, IS_ALL = 7 };

static const struct {
	const char *text;
	int is;
} strings[] = {
	{ "example.com", IS_ALL },
	{ "example.com.", IS_ALL },
	{ ".com", IS_ALL },
	{ "a..com", IS_ALL },
	{ "%{d}", IS_ALL },
	{ "a%{d}", IS_ALL },
	{ "%{d}.com", IS_ALL },
	{ "%{d}x.com", IS_ALL },
	{ "%%", IS_ALL },
	{ "a.%_", IS_ALL },
	{ "a.%-", IS_ALL },
	{ "%%.com", IS_ALL },
	{ "a.1-1", IS_ALL },
	{ "a.1a", IS_ALL },
	{ "a.a1", IS_ALL },
	{ "a.a--a", IS_ALL },
	{ "%{l.-+,/_=}", IS_ALL },
	{ "%{D12345R+}", IS_ALL },
	{ "!#$&'()*+,-/:;<=>?@[\\]^_`{|}~\".com", IS_ALL },

	{ "", IS_STRING | IS_TEXT },
	{ "com", IS_STRING | IS_TEXT },
	{ ".", IS_STRING | IS_TEXT },
	{ "a.com..", IS_STRING | IS_TEXT },
	{ "%{d}.", IS_STRING | IS_TEXT },
	{ "%{d}com", IS_STRING | IS_TEXT },
	{ "a.%{d}com", IS_STRING | IS_TEXT },
	{ "%{l.}com", IS_STRING | IS_TEXT },
	{ "a.%%com", IS_STRING | IS_TEXT },
	{ "a.1", IS_STRING | IS_TEXT },
	{ "a.-a", IS_STRING | IS_TEXT },
	{ "a.a-", IS_STRING | IS_TEXT },
	{ "a.-", IS_STRING | IS_TEXT },
	{ "a.a_a", IS_STRING | IS_TEXT },
	{ "a.com/24", IS_STRING | IS_TEXT },
	{ "{d}", IS_STRING | IS_TEXT },
	{ "}", IS_STRING | IS_TEXT },

	{ " ", IS_TEXT },
	{ "a .com", IS_TEXT },
	{ "%{c}", IS_TEXT },
	{ "%{r}", IS_TEXT },
	{ "%{t}", IS_TEXT },
	{ "%{C} %{R} %{T}.com", IS_TEXT },
	{ "See http://%{d}/why?ip=%{I}&s=%{S} (%{t})!", IS_TEXT },

	{ "%", 0 },
	{ "a%", 0 },
	{ "%%%", 0 },
	{ "% ", 0 },
	{ "%a", 0 },
	{ "%d", 0 },
	{ "%.com", 0 },
	{ "%\xff", 0 },
	{ "%(d)", 0 },
	{ "%{", 0 },
	{ "%{}", 0 },
	{ "%{d", 0 },
	{ "%{d.com", 0 },
	{ "%{d%{d}", 0 },
	{ "%{d}%", 0 },
	{ "%{a}", 0 },
	{ "%{x}", 0 },
	{ "%{1}", 0 },
	{ "%{r1r2}", 0 },
	{ "%{ d}", 0 },
	{ "%{d }", 0 },
	{ "%{dd}", 0 },
	{ "%{d0}", 0 },
	{ "%{d00r}", 0 },
	{ "%{d-1}", 0 },
	{ "%{d+r}", 0 },
	{ "%{drr}", 0 },
	{ "%{d.1}", 0 },
	{ "%{d:}", 0 },
	{ "%{d;}", 0 },
	{ "%{d%%}", 0 },
	{ "%{d\xe4}", 0 },
	{ "\t", 0 },
	{ "\x7f.com", 0 },
	{ "b\xc3\xbc.com", 0 },
	{ "a\n.com", 0 },
};

START_TEST(knows_the_syntax)
{
	const struct slice text = slice_of(strings[_i].text);
	int is = 0;

	if (spf_macro_is_domain_spec(text))
		is |= IS_SPEC;
	if (spf_macro_is_valid(text, SPF_MACRO_IN_DOMAIN))
		is |= IS_STRING;
	if (spf_macro_is_valid(text, SPF_MACRO_IN_TEXT))
		is |= IS_TEXT;
	ck_assert_msg(is == strings[_i].is, "%s: %d", strings[_i].text, is);
}
END_TEST

START_TEST(a_byte_of_zero_is_no_letter)
{
	static const struct slice rows[] = { SLICE_INIT("\0.com"),
		SLICE_INIT("%\0.com"), SLICE_INIT("%{\0}"),
		SLICE_INIT("%{d\0}"), SLICE_INIT("%{d.\0}") };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(!spf_macro_is_valid(rows[i], SPF_MACRO_IN_TEXT),
			"%zu", i);
}
END_TEST

START_TEST(says_which_letters_are_used)
{
	static const struct {
		const char *text, *letters;
		bool uses;
	} rows[] = {
		{ "%{p}", "p", true },
		{ "a.%{d}.%{P1r-}.b", "p", true },
		{ "%{l}.x", "ls", true },
		{ "%{S}", "ls", true },
		{ "p.%%{p}.%{d}", "p", false },
		{ "%{o}.%{d}.l.s", "ls", false },
		{ "%{dr}", "r", false },
		{ "", "p", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(spf_macro_uses(slice_of(rows[i].text),
				      rows[i].letters) == rows[i].uses,
			"%s", rows[i].text);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, expands_the_examples_of_the_rfc, 0,
		COUNT_OF(examples));
	tcase_add_loop_test(tcase, knows_the_letters, 0, COUNT_OF(letters));
	tcase_add_test(tcase, escapes_every_byte);
	tcase_add_loop_test(tcase, splits_turns_and_joins, 0, COUNT_OF(parts));
	tcase_add_test(tcase, stops_when_there_is_no_room);
	tcase_add_test(tcase, of_a_long_name_the_end_is_kept);
	tcase_add_test(tcase, cuts_a_name_between_labels);
	tcase_add_test(tcase, the_dot_of_the_root_is_no_part_of_a_name);
	tcase_add_loop_test(tcase, knows_the_syntax, 0, COUNT_OF(strings));
	tcase_add_test(tcase, a_byte_of_zero_is_no_letter);
	tcase_add_test(tcase, says_which_letters_are_used);
}

int
main(void)
{
	Suite *suite = suite_create("spf_macro");
	TCase *tcase = tcase_create("spf_macro");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
