#include "common/mail/header_from.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

static struct arena *arena;

static void
set_up(void)
{
	arena = arena_new(HEADER_FROM_ARENA_BYTES);
}

static void
tear_down(void)
{
	arena_free(arena);
}

static const char *
status_name(enum header_from_status status)
{
	static const char *const names[] = {
		[HEADER_FROM_ONE] = "",
		[HEADER_FROM_SEVERAL] = "several:",
		[HEADER_FROM_NO_FIELD] = "no field",
		[HEADER_FROM_FIELDS] = "fields",
		[HEADER_FROM_NO_ADDRESS] = "no address",
		[HEADER_FROM_MALFORMED] = "malformed: ",
	};

	return names[status];
}

/* As "local@domain", or what is wrong. */
static void
render(const struct header_from *from, struct str *out)
{
	str_append_text(out, status_name(from->status));
	if (from->status == HEADER_FROM_MALFORMED)
		str_append_text(out, from->err);
	for (size_t i = 0; i < from->n; i++)
		str_printf(out, "%s%.*s@%.*s", from->n > 1 ? " " : "",
			SLICE_ARG(from->addresses[i].local),
			SLICE_ARG(from->addresses[i].domain));
}

static void
ck_assert_from(struct slice value, const char *expected)
{
	struct header_from from;
	struct str got;

	str_init(&got, 16384);
	header_from_read(arena, &value, 1, &from);
	ck_assert((from.err == NULL) == (from.status == HEADER_FROM_ONE));
	render(&from, &got);
	ck_assert_msg(strcmp(str_text(&got), expected) == 0,
		"%.*s\n: %s\ninstead of %s",
		SLICE_ARG(slice_part(value, 0, 500)), str_text(&got), expected);
	str_free(&got);
}

struct field {
	struct slice value;
	const char *addresses;
};

/* --- what is one address ------------------------------------------------ */

static const struct field good[] = {
	{ SLICE_INIT("a@b.example"), "a@b.example" },
	{ SLICE_INIT(" <a@b.example> "), "a@b.example" },
	{ SLICE_INIT("< a@b.example >"), "a@b.example" },
	{ SLICE_INIT("Alice <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("Alice<a@b.example>"), "a@b.example" },
	{ SLICE_INIT("Alice B. Carol <A.b@B.Example>"), "A.b@b.example" },
	{ SLICE_INIT("\"Carol, Alice\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("\"Alice \\\"B\\\" <3\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("\"\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("O'Brien & Co! {x} <o'brien+x=y@b.example>"),
		"o'brien+x=y@b.example" },
	/* Comments where they do no harm. */
	{ SLICE_INIT("a@b.example (Alice (B))"), "a@b.example" },
	{ SLICE_INIT("(Alice) a@b.example"), "a@b.example" },
	{ SLICE_INIT("Alice (at work) <a@b.example> (really)"), "a@b.example" },
	{ SLICE_INIT("a@b.example (c@d.example)"), "a@b.example" },
	{ SLICE_INIT("a@b.example (<c@B.example>)"), "a@b.example" },
	/* Names that mention addresses. */
	{ SLICE_INIT("\"c@d.example\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("\"Carol (c@d.example) via x\" <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("\"<a@b.example>\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("\"Alice <a@B.EXAMPLE.>\" <c@b.example>"), "c@b.example" },
	{ SLICE_INIT("\"<at> a@work\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("a@b.example <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("info@B.example <a@b.example>"), "a@b.example" },
	/* Folded. */
	{ SLICE_INIT("Alice\r\n <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("\n\tAlice\n\t(x\n y)\n\t<a@b.example>"), "a@b.example" },
	/* Local parts. */
	{ SLICE_INIT("\"a b\"@b.example"), "a b@b.example" },
	{ SLICE_INIT("<\"a.\\b\"@b.example>"), "a.b@b.example" },
	{ SLICE_INIT("a..b.@b.example"), "a..b.@b.example" },
	{ SLICE_INIT(".a@b.example"), ".a@b.example" },
	{ SLICE_INIT("a!b%c@b.example"), "a!b%c@b.example" },
	{ SLICE_INIT("m\xc3\xbcller@b.example"), "m\xc3\xbcller@b.example" },
	/* Domains. */
	{ SLICE_INIT("a@B.EXAMPLE"), "a@b.example" },
	{ SLICE_INIT("a@b.example."), "a@b.example" },
	{ SLICE_INIT("a@localhost"), "a@localhost" },
	{ SLICE_INIT("a@1.b_c.example"), "a@1.b_c.example" },
	{ SLICE_INIT("a@m\xc3\xbcller.example"), "a@xn--mller-kva.example" },
	{ SLICE_INIT("a@M\xc3\x9cLLER.example"), "a@xn--mller-kva.example" },
	{ SLICE_INIT("a@xn--MLLER-kva.example"), "a@xn--mller-kva.example" },
	{ SLICE_INIT("a@b\xe3\x80\x82"
		     "example"),
		"a@b.example" },
	{ SLICE_INIT("a@\xef\xbd\x82.example"), "a@b.example" },
	{ SLICE_INIT("a@b\xc2\xad.example"), "a@b.example" },
	{ SLICE_INIT("a@fa\xc3\x9f.example"), "a@xn--fa-hia.example" },
	{ SLICE_INIT("a@[192.0.2.1]"), "a@[192.0.2.1]" },
	{ SLICE_INIT("<a@[IPv6:2001:db8::1]>"), "a@[IPv6:2001:db8::1]" },
	/* Groups, and lists with one address. */
	{ SLICE_INIT("All: a@b.example;"), "a@b.example" },
	{ SLICE_INIT("\"All: of us\": Alice <a@b.example> ; (x)"),
		"a@b.example" },
	{ SLICE_INIT(", a@b.example,,"), "a@b.example" },
	/* Encoded words. */
	{ SLICE_INIT("=?utf-8?q?M=C3=BCller=2C_A=2E?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("=?utf-8?q?c=40d=2Eexample?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("=?utf-8?q?M=C3=BC_=28c=40d.example=29_via_x?="
		     " <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("=?utf-8?q?M=2C_J_=28c=40d.example=29?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("=?utf-8?q?J_=3Ca=40B=2Eexample=3E?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("=?utf-8?b?YUBiLmV4YW1wbGU=?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("\"=?utf-8?q?M=C3=BC?=\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("=?iso-2022-jp?B?GyRCPEA8QBsoQg==?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("=?utf-8?q?Re=3A_a=3B_=22=28?= <a@b.example>"),
		"a@b.example" },
	{ SLICE_INIT("a@b.example (=?utf-8?q?M=C3=BC?=)"), "a@b.example" },
	/* Names that are not UTF-8. */
	{ SLICE_INIT("M\xfcller <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("\"\xa4\x40\" <a@b.example>"), "a@b.example" },
	{ SLICE_INIT("a@b.example (M\xfcller)"), "a@b.example" },
};

/* --- none, and several -------------------------------------------------- */

static const struct field others[] = {
	{ SLICE_INIT(""), "no address" },
	{ SLICE_INIT("  "), "no address" },
	{ SLICE_INIT("(a@b.example)"), "no address" },
	{ SLICE_INIT("Alice"), "no address" },
	{ SLICE_INIT("\"a@b.example\""), "no address" },
	{ SLICE_INIT("Alice <>"), "no address" },
	{ SLICE_INIT("<>"), "no address" },
	{ SLICE_INIT("<root>"), "no address" },
	{ SLICE_INIT("root (Cron Daemon)"), "no address" },
	{ SLICE_INIT(",,"), "no address" },
	{ SLICE_INIT("undisclosed:;"), "no address" },
	{ SLICE_INIT("A: ; , B: x;"), "no address" },
	{ SLICE_INIT("=?utf-8?q?Alice?="), "no address" },
	{ SLICE_INIT("a@b.example, c@d.example"),
		"several: a@b.example c@d.example" },
	{ SLICE_INIT("A <a@b.example>, <c@b.example>, d@[192.0.2.1]"),
		"several: a@b.example c@b.example d@[192.0.2.1]" },
	{ SLICE_INIT("all: a@b.example, C <c@d.example>;"),
		"several: a@b.example c@d.example" },
	{ SLICE_INIT("x: a@b.example;, y: c@d.example;, <e@f.example>"),
		"several: a@b.example c@d.example e@f.example" },
	{ SLICE_INIT("\"<a@b.example>\" <c@d.example>, a@b.example"),
		"several: c@d.example a@b.example" },
	{ SLICE_INIT("=?utf-8?q?M=2E?= <a@b.example>, c@d.example"),
		"several: a@b.example c@d.example" },
};

/* --- what shows one domain to some and another to others ---------------- */

#define OTHER_TEXT    "malformed: a name or a comment holds another address"
#define OTHER_ENCODED "malformed: an encoded word holds another address"
#define ODD           "malformed: an address is malformed"
#define LOCAL         "malformed: a local part is malformed"
#define DOMAIN        "malformed: a domain is malformed"
#define BEHIND        "malformed: there is something behind an address"
#define BARE          "malformed: there is a name without an address"
#define BLANK         "malformed: there is white space in an address"
#define COMMENT       "malformed: there is a comment in an address"
#define OPEN          "malformed: a quote or a bracket is not closed"
#define CONTROL                                                \
	"malformed: there is a control character or an empty " \
	"line"
#define ENCODED_CONTROL "malformed: there is an encoded control character"

static const struct field bad[] = {
	/* Routes, and brackets that are not closed. */
	{ SLICE_INIT("<@c.example,@d.example:a@b.example>"),
		"malformed: there is a route before an address" },
	{ SLICE_INIT("<c@d.example:a@b.example>"), ODD },
	{ SLICE_INIT("<a@b.example>:<c@d.example>"), BEHIND },
	{ SLICE_INIT("<a@b.example"), ODD },
	{ SLICE_INIT("a@b.example>"), BEHIND },
	{ SLICE_INIT("<<a@b.example>>"), ODD },
	{ SLICE_INIT("<a@b.example,c@d.example>"), ODD },
	/* Several without a comma. */
	{ SLICE_INIT("<a@b.example><c@d.example>"), BEHIND },
	{ SLICE_INIT("<a@b.example> <c@d.example>"), BEHIND },
	{ SLICE_INIT("<a@b.example> c@d.example"), BEHIND },
	{ SLICE_INIT("a@b.example c@d.example"), BEHIND },
	{ SLICE_INIT("a@b.example Alice"), BEHIND },
	{ SLICE_INIT("<a@b.example> Alice"), BEHIND },
	{ SLICE_INIT("c@d.example <a@b.example>"),
		"malformed: a name is an address of another domain" },
	{ SLICE_INIT("c@d.example<a@b.example>"),
		"malformed: a name is an address of another domain" },
	{ SLICE_INIT("a@b.example <>"),
		"malformed: a name is an address of another domain" },
	{ SLICE_INIT("a@b.example <root>"),
		"malformed: a name is an address of another domain" },
	{ SLICE_INIT("Alice c@d.example <a@b.example>"), BEHIND },
	{ SLICE_INIT("c @ d <a@b.example>"), BLANK },
	/* Bare names beside addresses: somebody completes them. */
	{ SLICE_INIT("Carol, Alice <a@b.example>"), BARE },
	{ SLICE_INIT("admin, <a@b.example>"), BARE },
	{ SLICE_INIT("<a@b.example>, <>"), BARE },
	{ SLICE_INIT("<>, <a@b.example>"), BARE },
	{ SLICE_INIT("<admin>, <a@b.example>"), BARE },
	{ SLICE_INIT("x:;, <a@b.example>"), BARE },
	{ SLICE_INIT("=?utf-8?q?c=40d.example?=, <a@b.example>"), BARE },
	/* Groups. */
	{ SLICE_INIT("x: a@b.example"), "malformed: a group does not end" },
	{ SLICE_INIT("x: y: a@b.example;;"),
		"malformed: there is a group in a group" },
	{ SLICE_INIT("a@b.example;"),
		"malformed: there is a \";\" without a group" },
	{ SLICE_INIT("<c@d.example>, <a@b.example>;"),
		"malformed: there is a \";\" without a group" },
	{ SLICE_INIT(": a@b.example;"), ODD },
	{ SLICE_INIT("x: a@b.example; c@d.example"), BEHIND },
	{ SLICE_INIT("c@d.example: a@b.example;"), BEHIND },
	{ SLICE_INIT("mailto:a@b.example"), "malformed: a group does not end" },
	/* Comments and white space in addresses. */
	{ SLICE_INIT("a@b.example(x).org"), BEHIND },
	{ SLICE_INIT("a@(x)b.example"), BLANK },
	{ SLICE_INIT("a(x)@b.example"), BLANK },
	{ SLICE_INIT("a @b.example"), BLANK },
	{ SLICE_INIT("a@ b.example"), BLANK },
	{ SLICE_INIT("a@b .example"), BEHIND },
	{ SLICE_INIT("<a@b.\n example>"), ODD },
	{ SLICE_INIT("<a@b.example(c@d.example)>"), COMMENT },
	{ SLICE_INIT("<(c@d.example)a@b.example>"), COMMENT },
	{ SLICE_INIT("(<c@d.example>) a@b.example"), OTHER_TEXT },
	{ SLICE_INIT("a@b.example (<c@d.example)"), OTHER_TEXT },
	{ SLICE_INIT("(<a@b.example>)"), OTHER_TEXT },
	{ SLICE_INIT("(a@b.example"), OPEN },
	/* Quotes. */
	{ SLICE_INIT("\"<c@d.example>\" <a@b.example>"), OTHER_TEXT },
	{ SLICE_INIT("\"x <c@d.example> y\" <a@b.example>"), OTHER_TEXT },
	{ SLICE_INIT("\"x <\" c \"@d.example>\" <a@b.example>"), OTHER_TEXT },
	{ SLICE_INIT("\"\\<c@d.example>\" <a@b.example>"), OTHER_TEXT },
	{ SLICE_INIT("\"<c@m\xc3\xbc.example>\" <a@b.example>"), OTHER_TEXT },
	{ SLICE_INIT("\"Alice <a@b.example>"), OPEN },
	{ SLICE_INIT("\"c@d.example\"@b.example"), LOCAL },
	{ SLICE_INIT("\"c@d.example> \"@b.example"), LOCAL },
	{ SLICE_INIT("\"c\\\"\"@b.example"), LOCAL },
	{ SLICE_INIT("\"a,b\"@b.example"), LOCAL },
	{ SLICE_INIT("\"a\".b@b.example"), BEHIND },
	{ SLICE_INIT("\"\"@b.example"), LOCAL },
	{ SLICE_INIT("<a@b.example>\\, <c@d.example>"), BEHIND },
	{ SLICE_INIT("a\\@d.example@b.example"), BEHIND },
	/* More than one "@", or none. */
	{ SLICE_INIT("a@b.example@d.example"), BEHIND },
	{ SLICE_INIT("@b.example"), ODD },
	{ SLICE_INIT("a@"), DOMAIN },
	{ SLICE_INIT("<a@>"), DOMAIN },
	/* Domains. */
	{ SLICE_INIT("a@b.example|d.example"), DOMAIN },
	{ SLICE_INIT("a@b.example/x"), DOMAIN },
	{ SLICE_INIT("a@b.example?"), DOMAIN },
	{ SLICE_INIT("a@b..example"), DOMAIN },
	{ SLICE_INIT("a@.b.example"), DOMAIN },
	{ SLICE_INIT("a@b.example.."), DOMAIN },
	{ SLICE_INIT("a@."), DOMAIN },
	{ SLICE_INIT("a@192.0.2.1"), DOMAIN },
	{ SLICE_INIT("a@b\xe2\x84\x80.example"), DOMAIN }, /* a/c */
	{ SLICE_INIT("a@b\xc2\xa0.example"), DOMAIN },
	{ SLICE_INIT("a@b\xe4.example"), DOMAIN },
	{ SLICE_INIT("a@b\xe2\x80\xae.example"), DOMAIN },
	{ SLICE_INIT("a@012345678901234567890123456789012345678901234567890123"
		     "4567890123.example"),
		DOMAIN },
	{ SLICE_INIT("a@[b.example]"),
		"malformed: what is in brackets is no IP address" },
	{ SLICE_INIT("a@[192.0.2.1 ]"),
		"malformed: what is in brackets is no IP address" },
	{ SLICE_INIT("a@[2001:db8::1]"),
		"malformed: what is in brackets is no IP address" },
	{ SLICE_INIT("a@[IPv6:192.0.2.1]"),
		"malformed: what is in brackets is no IP address" },
	{ SLICE_INIT("a@[]"),
		"malformed: what is in brackets is no IP address" },
	{ SLICE_INIT("[a@b.example],c@d.example"), ODD },
	{ SLICE_INIT("[x] Alice <a@b.example>"), ODD },
	/* Local parts. */
	{ SLICE_INIT("a\xe4@b.example"), LOCAL },
	{ SLICE_INIT("elpmaxe.d@c\xe2\x80\xae"
		     "a@b.example"),
		DOMAIN },
	{ SLICE_INIT("\xe2\x80\xae"
		     "a@b.example"),
		LOCAL },
	/* Control characters. */
	{ SLICE_INIT("a@b.example\0@d.example"), CONTROL },
	{ SLICE_INIT("<a@b.example\0>"), CONTROL },
	{ SLICE_INIT("Al\0ice <a@b.example>"), CONTROL },
	{ SLICE_INIT("\"Al\0ice\" <a@b.example>"), CONTROL },
	{ SLICE_INIT("c@d.example\r<a@b.example>"), CONTROL },
	{ SLICE_INIT("c@d.example\n<a@b.example>"), CONTROL },
	{ SLICE_INIT("c@d.example\n \n <a@b.example>"), CONTROL },
	{ SLICE_INIT("\x1b$B<@\x1b(B <a@b.example>"), CONTROL },
	/* Encoded words. */
	{ SLICE_INIT("=?utf-8?q?c=40d.example?="), OTHER_ENCODED },
	{ SLICE_INIT("=?utf-8?b?PGNAZC5leGFtcGxlPg==?= <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-8?q?=3Cc=40d.example=3E=2C?= <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-8?q?c=40d.example=2C?= <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-8?q?c=40d=2Eex?= =?utf-8?q?ample=3B_x?="
		     " <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-8?q?c=40d.example=28?= <a@b.example>"
		     " (=?utf-8?q?=29?=)"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-8?q?x=22_=3Cc=40d.example=3E_=22?= <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("\"=?utf-8?q?x=22_=3Cc=40d.example=3E?=\" <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("\"=?utf-8?q?x=22_c=40d.example_=22?=\" <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("(=?utf-8?q?=29?=c@d.example=?utf-8?q?=28?=)"
		     " <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("(<c@d.=?utf-8?q?example?=>) a@b.example"),
		OTHER_ENCODED },
	{ SLICE_INIT("(=?utf-8?q?=29c=40d.example=28?=) a@b.example"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-16be?q?=00<=00c=00@=00d=00.=00x=00x=00>?="
		     " <a@b.example>"),
		DOMAIN },
	{ SLICE_INIT("=?utf-16be?b?ADwAYwBAAGQALgB4AHgAPg==?= <a@b.example>"),
		OTHER_ENCODED },
	{ SLICE_INIT("=?utf-7?q?+ADw-c+AEA-d.example+AD4-?= <a@b.example>"),
		"malformed: there is an encoded word in UTF-7" },
	{ SLICE_INIT("<=?utf-8?q?c=40d.example?=@b.example>"), LOCAL },
	{ SLICE_INIT("=?utf-8?b?Y0BkLmV4YW1wbGU=?==?utf-8?Q?=00?==?utf-8?b?"
		     "Y0BkLmV4YW1wbGU=?=@b.example"),
		LOCAL },
	{ SLICE_INIT("=?utf-8?q?c=40d.example=00?= <a@b.example>"),
		ENCODED_CONTROL },
	{ SLICE_INIT("=?utf-8?q?x=0D=0AFrom:_c=40d.example?= <a@b.example>"),
		"malformed: a group does not end" },
	{ SLICE_INIT("=?utf-8?q?x=0D=0AFrom=3A_c=40d.example?= <a@b.example>"),
		ENCODED_CONTROL },
	{ SLICE_INIT("=?utf-8?q?x@y.example?= <a@b.example>"), LOCAL },
};

START_TEST(one_address_is_found)
{
	ck_assert_from(good[_i].value, good[_i].addresses);
}
END_TEST

START_TEST(none_and_several_are_told)
{
	ck_assert_from(others[_i].value, others[_i].addresses);
}
END_TEST

START_TEST(what_is_ambiguous_is_malformed)
{
	ck_assert_from(bad[_i].value, bad[_i].addresses);
}
END_TEST

START_TEST(fields_are_counted)
{
	const struct slice values[] = { SLICE("a@b.example"),
		SLICE("a@b.example") };
	struct header_from from;

	header_from_read(arena, values, 0, &from);
	ck_assert_int_eq(from.status, HEADER_FROM_NO_FIELD);
	ck_assert_uint_eq(from.n, 0);
	header_from_read(arena, values, 2, &from);
	ck_assert_int_eq(from.status, HEADER_FROM_FIELDS);
	ck_assert_uint_eq(from.n, 0);
	header_from_read(arena, values, 1, &from);
	ck_assert_int_eq(from.status, HEADER_FROM_ONE);
	ck_assert_uint_eq(from.n, 1);
}
END_TEST

static const struct {
	const char *value, *domain;
} domains[] = {
	{ "a@b.example", "b.example" },
	{ "a@b.example, c@B.Example.", "b.example" },
	{ "a@b.example, c@d.example", "" },
	{ "a@b.example, c@b.example, e@d.example", "" },
	{ "a@[192.0.2.1]", "" },
	{ "a@[192.0.2.1], b@[192.0.2.1]", "" },
	{ "Alice", "" },
	{ "a@b@c", "" },
};

START_TEST(a_domain_is_what_all_have)
{
	const struct slice value = slice_of(domains[_i].value);
	struct header_from from;

	header_from_read(arena, &value, 1, &from);
	ck_assert_msg(
		slice_eq_text(header_from_domain(&from), domains[_i].domain),
		"%s", domains[_i].value);
}
END_TEST

static void
append_many(struct str *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_append_text(out, text);
}

START_TEST(addresses_are_bounded)
{
	struct header_from from;
	struct slice value;
	struct str text;

	str_init(&text, 65536);
	append_many(&text, "a@b.example,", HEADER_FROM_ADDRESSES_MAX);
	value = str_slice(&text);
	header_from_read(arena, &value, 1, &from);
	ck_assert_int_eq(from.status, HEADER_FROM_SEVERAL);
	ck_assert_uint_eq(from.n, HEADER_FROM_ADDRESSES_MAX);
	append_many(&text, "a@b.example", 1);
	ck_assert_from(str_slice(&text),
		"malformed: there are too many addresses");
	str_free(&text);
}
END_TEST

START_TEST(lengths_are_bounded)
{
	struct str text;

	str_init(&text, 65536);
	append_many(&text, "a", HEADER_FROM_LOCAL_MAX + 1);
	append_many(&text, "@b.example", 1);
	ck_assert_from(str_slice(&text), LOCAL);
	str_reset(&text);
	append_many(&text, "a@", 1);
	append_many(&text, "a.", 127);
	append_many(&text, "example", 1);
	ck_assert_from(str_slice(&text), DOMAIN);
	str_reset(&text);
	append_many(&text, "a@b.example", 1);
	append_many(&text, " ", HEADER_FROM_BYTES_MAX - text.len);
	ck_assert_from(str_slice(&text), "a@b.example");
	append_many(&text, " ", 1);
	ck_assert_from(str_slice(&text), "malformed: it is too long");
	str_free(&text);
}
END_TEST

/* What costs most: nothing that is looked up is more than the arena holds. */
START_TEST(many_mentions_are_bounded)
{
	struct str text;

	str_init(&text, HEADER_FROM_BYTES_MAX);
	append_many(&text, "\"<", 1);
	append_many(&text, "@a.b", 1000);
	append_many(&text, "\" =?x?q?<", 1);
	append_many(&text, "=40a.b", 600);
	append_many(&text, "?= <x@a.b>", 1);
	ck_assert_from(str_slice(&text), LOCAL);
	str_reset(&text);
	append_many(&text, "\"<", 1);
	append_many(&text, "@a.b", 1000);
	append_many(&text, "\" =?x?q?=3C", 1);
	append_many(&text, "=40a.b", 600);
	append_many(&text, "?= <x@a.b>", 1);
	ck_assert_from(str_slice(&text), "x@a.b");
	str_free(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("header_from");
	TCase *tcase = tcase_create("header_from");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, one_address_is_found, 0, N(good));
	tcase_add_loop_test(tcase, none_and_several_are_told, 0, N(others));
	tcase_add_loop_test(tcase, what_is_ambiguous_is_malformed, 0, N(bad));
	tcase_add_loop_test(tcase, a_domain_is_what_all_have, 0, N(domains));
	tcase_add_test(tcase, fields_are_counted);
	tcase_add_test(tcase, addresses_are_bounded);
	tcase_add_test(tcase, lengths_are_bounded);
	tcase_add_test(tcase, many_mentions_are_bounded);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
