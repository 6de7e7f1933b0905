/*
 * What RFC 7208 says of a client, over a DNS that is written down. Bounds and
 * what goes wrong: test_spf_limits.c.
 */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/spf_world.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))

#define CLIENT    "192.0.2.1"
#define CLIENT_V6 "2001:db8::1"
#define SENDER    "user@example.com"
#define HELO      "mx.example.com"

struct row {
	const char *name, *zone, *outcome;
};

static void
expect(const struct row *row, const char *client, const char *sender,
	const char *helo)
{
	struct spf_world world;
	const char *outcome =
		spf_world_judge(&world, row->zone, client, sender, helo);

	ck_assert_msg(strcmp(outcome, row->outcome) == 0, "%s: %s, not %s",
		row->name, outcome, row->outcome);
}

/* --- results ------------------------------------------------------------ */

static const struct row results[] = {
	{ "no such domain", "", "none" },
	{ "no TXT", "example.com A 192.0.2.1", "none" },
	{ "other TXT", "example.com TXT v=spf10 -all\nexample.com TXT x",
		"none" },
	{ "beside other TXT",
		"example.com TXT google-site-verification=1\n"
		"example.com TXT v=spf1 +all\nexample.com TXT v=spf2.0/pra ?all",
		"pass by +all" },
	{ "two records",
		"example.com TXT v=spf1 -all\nexample.com TXT v=SPF1 -all",
		"permerror since example.com: it has several SPF records" },
	{ "the DNS fails", "example.com TXT! SERVFAIL",
		"temperror since example.com: SERVFAIL" },
	{ "forged", "example.com TXT? bad signature",
		"temperror since example.com: bad signature" },
	{ "nothing in it", "example.com TXT v=spf1", "neutral" },
	{ "nothing matches", "example.com TXT v=spf1 -ip4:192.0.2.2",
		"neutral" },
	{ "pass", "example.com TXT v=spf1 ip4:192.0.2.0/24 -all",
		"pass by ip4:192.0.2.0/24" },
	{ "fail", "example.com TXT v=spf1 ip4:192.0.2.2 -all", "fail by -all" },
	{ "softfail", "example.com TXT V=SPF1   ~ALL  ", "softfail by ~ALL" },
	{ "neutral", "example.com TXT v=spf1 ?ip4:192.0.2.1 -all",
		"neutral by ?ip4:192.0.2.1" },
	{ "the first that matches",
		"example.com TXT v=spf1 ?ip4:192.0.2.2 ~ip4:192.0.2.1 "
		"-ip4:192.0.2.1 all",
		"softfail by ~ip4:192.0.2.1" },
	{ "a mistake behind what matches",
		"example.com TXT v=spf1 ip4:192.0.2.1 -all moo",
		"permerror since example.com: there is no such mechanism: "
		"\"moo\"" },
	{ "networks of IPv6 are not for IPv4",
		"example.com TXT v=spf1 ip6:::ffff:192.0.2.1 ip6:::/0 -all",
		"fail by -all" },
};

START_TEST(results_of_a_record)
{
	expect(&results[_i], CLIENT, SENDER, HELO);
}
END_TEST

/* --- a, mx, ptr, exists ------------------------------------------------- */

#define RECORD(terms) "example.com TXT v=spf1 " terms " -all\n"

static const struct row mechanisms[] = {
	{ "a", RECORD("a") "example.com A 192.0.2.9 192.0.2.1", "pass by a" },
	{ "a, another", RECORD("a") "example.com A 192.0.2.9", "fail by -all" },
	{ "a, a network", RECORD("a/24") "example.com A 192.0.2.255",
		"pass by a/24" },
	{ "a, every address", RECORD("a/0") "example.com A 203.0.113.1",
		"pass by a/0" },
	{ "a, no address", RECORD("a/0"), "fail by -all" },
	{ "a, the IPv6 prefix", RECORD("a/32//0") "example.com A 192.0.2.9",
		"fail by -all" },
	{ "a, elsewhere", RECORD("a:x.example/31") "x.example A 192.0.2.0",
		"pass by a:x.example/31" },
	{ "a, a dot at the end", RECORD("a:x.example.") "x.example A 192.0.2.1",
		"pass by a:x.example." },
	{ "a, by a macro", RECORD("a:%{l}.%{d}") "user.example.com A 192.0.2.1",
		"pass by a:%{l}.%{d}" },
	{ "a, not what IPv6 says", RECORD("a") "example.com AAAA 2001:db8::1",
		"fail by -all" },

	{ "mx",
		RECORD("mx") "example.com MX a.x b.x\na.x A 192.0.2.9\n"
			     "b.x A 192.0.2.8 192.0.2.1",
		"pass by mx" },
	{ "mx, another", RECORD("mx") "example.com MX a.x\na.x A 192.0.2.9",
		"fail by -all" },
	{ "mx, none of the domain itself",
		RECORD("mx") "example.com A 192.0.2.1", "fail by -all" },
	{ "mx, null", RECORD("mx") "example.com MX .", "fail by -all" },
	{ "mx, a host that is not there",
		RECORD("mx") "example.com MX a.x b.x\nb.x A 192.0.2.1",
		"pass by mx" },
	{ "mx, elsewhere",
		RECORD("mx:y.example/24//64") "y.example MX a.x\n"
					      "a.x A 192.0.2.200",
		"pass by mx:y.example/24//64" },
	{ "mx, the first matches and the last fails",
		RECORD("mx") "example.com MX a.x b.x c.x\na.x A 192.0.2.1\n"
			     "b.x A! late\nc.x A 192.0.2.3",
		"pass by mx" },

	{ "ptr",
		RECORD("ptr") "1.2.0.192.in-addr.arpa PTR mx.example.com\n"
			      "mx.example.com A 192.0.2.9 192.0.2.1",
		"pass by ptr" },
	{ "ptr, the domain itself",
		RECORD("ptr") "1.2.0.192.in-addr.arpa PTR EXAMPLE.com\n"
			      "example.com A 192.0.2.1",
		"pass by ptr" },
	{ "ptr, a name beside it",
		RECORD("ptr") "1.2.0.192.in-addr.arpa PTR mxexample.com\n"
			      "mxexample.com A 192.0.2.1",
		"fail by -all" },
	{ "ptr, the same text, but other labels",
		RECORD("ptr") "1.2.0.192.in-addr.arpa PTR mx\\.example.com\n"
			      "mx\\.example.com A 192.0.2.1",
		"fail by -all" },
	{ "ptr, that does not lead back",
		RECORD("ptr") "1.2.0.192.in-addr.arpa PTR mx.example.com\n"
			      "mx.example.com A 192.0.2.9",
		"fail by -all" },
	{ "ptr, one of several",
		RECORD("ptr:y.example") "1.2.0.192.in-addr.arpa PTR a.x b.x "
					"c.y.example\n"
					"a.x A! SERVFAIL\n"
					"c.y.example A 192.0.2.1",
		"pass by ptr:y.example" },
	{ "ptr, none", RECORD("ptr"), "fail by -all" },
	{ "ptr, the DNS fails",
		RECORD("ptr") "1.2.0.192.in-addr.arpa PTR! SERVFAIL",
		"fail by -all" },

	{ "exists", RECORD("exists:%{ir}.x") "1.2.0.192.x A 127.0.0.2",
		"pass by exists:%{ir}.x" },
	{ "exists, any other type",
		RECORD("exists:e.x") "e.x AAAA ::1\ne.x TXT y",
		"fail by -all" },
	{ "exists, not", RECORD("-exists:%{l}.%{o}.x ?all"),
		"neutral by ?all" },
};

START_TEST(mechanisms_that_ask)
{
	expect(&mechanisms[_i], CLIENT, SENDER, HELO);
}
END_TEST

static const struct row over_ipv6[] = {
	{ "ip6", RECORD("ip6:2001:db8::/127"), "pass by ip6:2001:db8::/127" },
	{ "ip4", RECORD("ip4:0.0.0.0/0"), "fail by -all" },
	{ "a", RECORD("a") "example.com AAAA 2001:db8::1", "pass by a" },
	{ "a, a network", RECORD("a//64") "example.com AAAA 2001:db8::ffff",
		"pass by a//64" },
	{ "a, the IPv4 prefix", RECORD("a/0") "example.com AAAA 2001:db8::2",
		"fail by -all" },
	{ "a, every address", RECORD("a//0") "example.com AAAA ::1",
		"pass by a//0" },
	{ "mx", RECORD("mx") "example.com MX a.x\na.x AAAA 2001:db8::1",
		"pass by mx" },
	{ "ptr",
		RECORD("ptr") "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
			      "8.b.d.0.1.0.0.2.ip6.arpa PTR a.example.com\n"
			      "a.example.com AAAA 2001:db8::1",
		"pass by ptr" },
	{ "exists asks for A", RECORD("exists:%{v}.x") "ip6.x A 127.0.0.2",
		"pass by exists:%{v}.x" },
	{ "exists does not ask for AAAA",
		RECORD("exists:%{v}.x") "ip6.x AAAA ::1", "fail by -all" },
	{ "%{i}",
		RECORD("exists:%{i}.x") "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0."
					"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.x "
					"A 127.0.0.2",
		"pass by exists:%{i}.x" },
};

START_TEST(a_client_of_ipv6)
{
	expect(&over_ipv6[_i], CLIENT_V6, SENDER, HELO);
}
END_TEST

START_TEST(a_mapped_address_is_one_of_ipv4)
{
	expect(&mechanisms[0], "::ffff:192.0.2.1", SENDER, HELO);
	expect(&results[9], "::FFFF:c000:0201", SENDER, HELO);
}
END_TEST

/* --- include, redirect -------------------------------------------------- */

static const struct row nested[] = {
	/* RFC 7208, 5.2, from the top of its table. */
	{ "include, pass", RECORD("?include:x.y") "x.y TXT v=spf1 +all",
		"neutral by ?include:x.y +all" },
	{ "include, fail", RECORD("include:x.y") "x.y TXT v=spf1 -all",
		"fail by -all" },
	{ "include, softfail", RECORD("include:x.y") "x.y TXT v=spf1 ~all",
		"fail by -all" },
	{ "include, neutral", RECORD("include:x.y") "x.y TXT v=spf1 ?all",
		"fail by -all" },
	{ "include, nothing matches", RECORD("include:x.y") "x.y TXT v=spf1",
		"fail by -all" },
	{ "include, temperror", RECORD("include:x.y") "x.y TXT! SERVFAIL",
		"temperror since x.y: SERVFAIL" },
	{ "include, permerror", RECORD("include:x.y") "x.y TXT v=spf1 x",
		"permerror since x.y: there is no such mechanism: \"x\"" },
	{ "include, none", RECORD("include:x.y") "x.y TXT v=spf10",
		"permerror since example.com: include:x.y has no SPF record" },
	{ "include, no such domain", RECORD("include:x.y"),
		"permerror since example.com: include:x.y has no SPF record" },

	{ "include of include",
		RECORD("~include:a.x") "a.x TXT v=spf1 -include:b.x include:c.x\n"
				       "b.x TXT v=spf1 ?all\n"
				       "c.x TXT v=spf1 a\nc.x A 192.0.2.1",
		"softfail by ~include:a.x include:c.x a" },
	{ "include, that fails by one that passes",
		RECORD("include:a.x") "a.x TXT v=spf1 -include:b.x\n"
				      "b.x TXT v=spf1 all",
		"fail by -all" },
	{ "include, that redirects",
		RECORD("include:a.x") "a.x TXT v=spf1 redirect=b.x\n"
				      "b.x TXT v=spf1 ip4:192.0.2.1",
		"pass by include:a.x redirect=b.x ip4:192.0.2.1" },
	{ "%{d} is of the record, %{o} of the sender",
		RECORD("include:a.x") "a.x TXT v=spf1 exists:%{d}.%{o}.y\n"
				      "a.x.example.com.y A 127.0.0.2",
		"pass by include:a.x exists:%{d}.%{o}.y" },
	{ "behind an include it is the domain's own again",
		RECORD("include:a.x exists:%{d}.y") "a.x TXT v=spf1\n"
						    "example.com.y A 127.0.0.2",
		"pass by exists:%{d}.y" },

	/* 4.3: a domain of one label is none, whatever the DNS says. */
	{ "include of a top-level domain",
		RECORD("include:%{o1}") "com TXT v=spf1 all",
		"permerror since example.com: include:%{o1} has no SPF "
		"record" },
	{ "include of one that fails",
		RECORD("include:%{o1}") "com TXT! SERVFAIL",
		"permerror since example.com: include:%{o1} has no SPF "
		"record" },
	{ "redirect to a top-level domain",
		"example.com TXT v=spf1 redirect=%{o1}\ncom TXT v=spf1 all",
		"permerror since example.com: redirect=%{o1} "
		"has no SPF record" },

	{ "redirect",
		"example.com TXT v=spf1 redirect=_spf.%{d}\n"
		"_spf.example.com TXT v=spf1 -all",
		"fail by redirect=_spf.%{d} -all" },
	{ "redirect, wherever it stands",
		"example.com TXT v=spf1 redirect=x.y a\nx.y TXT v=spf1 ~all\n"
		"example.com A 192.0.2.1",
		"pass by a" },
	{ "redirect, beside all",
		"example.com TXT v=spf1 redirect=x.y ?all\nx.y TXT v=spf1 -all",
		"neutral by ?all" },
	{ "redirect, nothing matches there",
		"example.com TXT v=spf1 redirect=x.y\nx.y TXT v=spf1",
		"neutral by redirect=x.y" },
	{ "redirect, none", "example.com TXT v=spf1 redirect=x.y",
		"permerror since example.com: redirect=x.y has "
		"no SPF record" },
	{ "redirect, temperror",
		"example.com TXT v=spf1 redirect=x.y\nx.y TXT! SERVFAIL",
		"temperror since x.y: SERVFAIL" },
	{ "redirect, permerror",
		"example.com TXT v=spf1 redirect=x.y\nx.y TXT v=spf1 a:",
		"permerror since x.y: a term is malformed: "
		"\"a:\"" },
	{ "redirect, %{d} is where it leads",
		"example.com TXT v=spf1 redirect=x.y\nx.y TXT v=spf1 a:%{d}.z\n"
		"x.y.z A 192.0.2.1",
		"pass by redirect=x.y a:%{d}.z" },
};

START_TEST(records_of_others)
{
	expect(&nested[_i], CLIENT, SENDER, HELO);
}
END_TEST

/* --- exp ---------------------------------------------------------------- */

#define EXPLAINED "example.com TXT v=spf1 exp=why.%{d} -all\n"

static const struct row explanations[] = {
	{ "as it is", EXPLAINED "why.example.com TXT Go away",
		"fail by -all saying \"Go away\"" },
	{ "with macros",
		EXPLAINED "why.example.com TXT %{i} %{c} may not send as %{s}"
			  "%_at %{t}, says %{r} to %{h} (100%%) %{S}",
		"fail by -all saying \"192.0.2.1 192.0.2.1 may not send as "
		"user@example.com at 1700000000, says mail.example.net to "
		"mx.example.com (100%) user%40example.com\"" },
	{ "%{p}, unknown", EXPLAINED "why.example.com TXT You are %{p}",
		"fail by -all saying \"You are unknown\"" },
	{ "%{p}",
		EXPLAINED "why.example.com TXT You are %{p}\n"
			  "1.2.0.192.in-addr.arpa PTR a.x\na.x A 192.0.2.1",
		"fail by -all saying \"You are a.x\"" },
	{ "what cannot be shown", EXPLAINED "why.example.com TXT a\tb",
		"fail by -all" },
	{ "malformed", EXPLAINED "why.example.com TXT %{x}", "fail by -all" },
	{ "two", EXPLAINED "why.example.com TXT a\nwhy.example.com TXT b",
		"fail by -all" },
	{ "none", EXPLAINED, "fail by -all" },
	{ "the DNS fails", EXPLAINED "why.example.com TXT! late",
		"fail by -all" },
	{ "forged", EXPLAINED "why.example.com TXT? forged", "fail by -all" },
	{ "empty", EXPLAINED "why.example.com TXT ", "fail by -all" },
	{ "only of a fail",
		"example.com TXT v=spf1 exp=x.y ~all\nx.y TXT Go away",
		"softfail by ~all" },
	{ "not of what is included",
		RECORD("-include:a.x") "a.x TXT v=spf1 all exp=x.y\n"
				       "x.y TXT Go away",
		"fail by -include:a.x all" },
	{ "not of what is included and fails",
		EXPLAINED "why.example.com TXT Ours\n"
			  "a.x TXT v=spf1 -all exp=x.y\nx.y TXT Theirs",
		"fail by -all saying \"Ours\"" },
	{ "of where a redirect leads",
		"example.com TXT v=spf1 redirect=a.x exp=b.x\n"
		"a.x TXT v=spf1 -all exp=c.x\nb.x TXT Ours\nc.x TXT %{d}",
		"fail by redirect=a.x -all saying \"a.x\"" },
	{ "not of who redirects",
		"example.com TXT v=spf1 redirect=a.x exp=b.x\n"
		"a.x TXT v=spf1 -all\nb.x TXT Ours",
		"fail by redirect=a.x -all" },
};

START_TEST(what_the_domain_says_of_a_fail)
{
	expect(&explanations[_i], CLIENT, SENDER, HELO);
}
END_TEST

START_TEST(an_explanation_is_printable_and_short)
{
	static const char *const senders[] = { "a\r\nX: y@example.com",
		"\x1b[2J@example.com", "a\x7f@example.com" };
	static const char *const expected[] = {
		"fail by -all saying \"a??X: y\"",
		"fail by -all saying \"?[2J\"", "fail by -all saying \"a?\""
	};
	char zone[600];
	struct row row = { "long", zone, NULL };
	struct spf_world world;
	const char *outcome;

	for (size_t i = 0; i < 3; i++) {
		row = (struct row){ "unprintable",
			EXPLAINED "why.example.com TXT %{l}", expected[i] };
		expect(&row, CLIENT, senders[i], HELO);
	}
	snprintf(zone, sizeof(zone), "%swhy.example.com TXT %0400d", EXPLAINED,
		0);
	outcome = spf_world_judge(&world, zone, CLIENT, SENDER, HELO);
	ck_assert_uint_eq(strlen(outcome),
		strlen("fail by -all saying \"\"") + SPF_EXPLANATION_MAX);
}
END_TEST

/* A name that somebody wrote into a HELO. */
START_TEST(a_problem_is_printable)
{
	static const struct row rows[] = {
		{ "no record", RECORD("include:%{h}.x") "c??d.x TXT v=spf1 moo",
			"permerror since example.com: include:%{h}.x has no "
			"SPF record" },
		{ "the DNS fails", RECORD("a:%{h}.x") "c\\013\\010d.x A! l\x1b",
			"temperror since c??d.x: l?" },
		{ "a bad record",
			RECORD("include:%{h}.x") "c\\013\\010d.x TXT v=spf1 "
						 "\x1b[2J",
			"permerror since c??d.x: there is no such mechanism: "
			"\"\\u001b[2J\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], CLIENT, SENDER, "c\r\nd");
}
END_TEST

/* --- macros ------------------------------------------------------------- */

#define PTR "1.2.0.192.in-addr.arpa PTR "

static const struct row validated[] = {
	{ "none", RECORD("exists:%{p}.x") "unknown.x A 127.0.0.2",
		"pass by exists:%{p}.x" },
	{ "the DNS fails",
		RECORD("exists:%{p}.x") PTR "a.example.com\n"
					    "a.example.com A! late\n"
					    "unknown.x A 127.0.0.2",
		"pass by exists:%{p}.x" },
	{ "the domain itself",
		RECORD("exists:%{p}.x") PTR "a.b a.example.com example.com\n"
					    "a.b A 192.0.2.1\n"
					    "a.example.com A 192.0.2.1\n"
					    "example.com A 192.0.2.1\n"
					    "example.com.x A 127.0.0.2",
		"pass by exists:%{p}.x" },
	{ "one within the domain",
		RECORD("exists:%{p}.x") PTR "a.b a.example.com example.com\n"
					    "a.b A 192.0.2.1\n"
					    "a.example.com A 192.0.2.1\n"
					    "example.com A 192.0.2.9\n"
					    "a.example.com.x A 127.0.0.2",
		"pass by exists:%{p}.x" },
	{ "any",
		RECORD("exists:%{p}.x") PTR "a.b b.b\nb.b A 192.0.2.1\n"
					    "b.b.x A 127.0.0.2",
		"pass by exists:%{p}.x" },
	{ "of the record's domain",
		RECORD("include:c.d") "c.d TXT v=spf1 exists:%{p1r}.x\n" PTR
				      "y.example.com z.c.d\n"
				      "y.example.com A 192.0.2.1\n"
				      "z.c.d A 192.0.2.1\nz.x A 127.0.0.2",
		"pass by include:c.d exists:%{p1r}.x" },
	{ "in ptr itself", RECORD("ptr:%{p}") PTR "a.b\na.b A 192.0.2.1",
		"pass by ptr:%{p}" },
};

START_TEST(the_validated_name)
{
	expect(&validated[_i], CLIENT, SENDER, HELO);
}
END_TEST

/* With the client's names are asked for once, whoever needs them. */
START_TEST(the_client_has_its_names_once)
{
	struct spf_world world;

	ck_assert_str_eq(spf_world_judge(&world,
				 RECORD("ptr exists:%{p}.x ptr:y.z") PTR
				 "a.b\na.b A 192.0.2.1",
				 CLIENT, SENDER, HELO),
		"fail by -all");
	ck_assert_str_eq(world.asked,
		"TXT example.com\nPTR 1.2.0.192.in-addr.arpa\nA a.b\n"
		"A a.b.x\n");
}
END_TEST

static const struct {
	const char *name, *sender, *helo, *record, *asked;
} expansions[] = {
	{ "a backslash", "a\\.b@example.com", HELO, "exists:%{l}.x",
		"A a\\\\.b.x\n" },
	{ "quotes and blanks", "\"a b\"@example.com", HELO, "exists:%{l}.x",
		"A \"a b\".x\n" },
	{ "as providers have it", SENDER, HELO,
		"include:%{i}._ip.%{h}._ehlo.%{d}._spf.x.y",
		"TXT 192.0.2.1._ip.mx.example.com._ehlo.example.com._spf.x.y\n" },
	{ "a percent sign", "%{d}@example.com", HELO, "exists:%{l}.x",
		"A %{d}.x\n" },
	{ "what stands for a blank", SENDER, HELO, "exists:a%_b%-c.%%.x",
		"A a b%20c.%.x\n" },
	{ "a VERP", "b+u=y.z@example.com", HELO, "exists:%{l1r+=}.x",
		"A b.x\n" },
	{ "the HELO name in capitals", SENDER, "MX.Example.COM",
		"exists:%{h}.x", "A mx.example.com.x\n" },
	{ "an address for a HELO name", SENDER, "[192.0.2.1]", "exists:%{h}.x",
		"A [192.0.2.1].x\n" },
	{ "no HELO name", SENDER, "", "exists:x%{h}.x", "A x.x\n" },
	{ "a HELO name with a dot", SENDER, "mx.y.", "exists:%{h}x.y",
		"A mx.y.x.y\n" },
};

START_TEST(names_that_are_asked_for)
{
	struct spf_world world;
	char zone[200], expected[200];

	snprintf(zone, sizeof(zone), "example.com TXT v=spf1 %s",
		expansions[_i].record);
	snprintf(expected, sizeof(expected), "TXT example.com\n%s",
		expansions[_i].asked);
	(void)spf_world_judge(&world, zone, CLIENT, expansions[_i].sender,
		expansions[_i].helo);
	ck_assert_msg(strcmp(world.asked, expected) == 0, "%s: %s",
		expansions[_i].name, world.asked);
}
END_TEST

/* RFC 8616, 4: %{l} and %{s} match nothing then. */
static const struct row not_ascii[] = {
	{ "no macro", RECORD("a") "example.com A 192.0.2.1", "pass by a" },
	{ "others", RECORD("exists:%{o}.x") "example.com.x A 127.0.0.2",
		"pass by exists:%{o}.x" },
	{ "exists", RECORD("exists:%{l}.x"), "fail by -all" },
	{ "a", RECORD("a:%{L1}.x"), "fail by -all" },
	{ "mx", RECORD("mx:%{s}.x"), "fail by -all" },
	{ "ptr", RECORD("ptr:%{S}.x"), "fail by -all" },
	{ "include", RECORD("include:%{l}.x"), "fail by -all" },
	{ "redirect", "example.com TXT v=spf1 redirect=%{l}.x",
		"permerror since example.com: "
		"redirect=%{l}.x has no SPF record" },
	{ "exp", "example.com TXT v=spf1 -all exp=%{l}.x", "fail by -all" },
	{ "an explanation", EXPLAINED "why.example.com TXT Dear %{l}",
		"fail by -all" },
};

START_TEST(a_local_part_that_is_not_ascii)
{
	struct spf_world world;

	expect(&not_ascii[_i], CLIENT, "b\xc3\xbc@example.com", HELO);
	(void)spf_world_judge(&world, not_ascii[_i].zone, CLIENT,
		"b\xc3\xbc@example.com", HELO);
	ck_assert_ptr_null(strchr(world.asked, '\xc3'));
}
END_TEST

/* --- identities --------------------------------------------------------- */

static const struct {
	const char *sender, *helo, *local, *domain;
} identities[] = {
	{ "a@b.c", "h.x", "a", "b.c" },
	{ "a@b@c.d", "h.x", "a@b", "c.d" },
	{ "\"a@b\"@c.d", "h.x", "\"a@b\"", "c.d" },
	{ "a@[192.0.2.1]", "h.x", "a", "[192.0.2.1]" },
	{ "", "h.x", "postmaster", "h.x" },
	{ "@c.d", "h.x", "postmaster", "c.d" },
	{ "c.d", "h.x", "postmaster", "c.d" },
	{ "a@", "h.x", "a", "" },
	{ "@", "h.x", "postmaster", "" },
	{ "", "", "postmaster", "" },
	{ "a@B\xc3\xbc"
	  "cher.Example",
		"h.x", "a", "xn--bcher-kva.example" },
	{ "",
		"b\xc3\xbc"
		"cher.example",
		"postmaster", "xn--bcher-kva.example" },
	{ "a@b\xff.example", "h.x", "a", "" },
};

START_TEST(who_is_judged)
{
	struct arena *arena = arena_new(10000);
	struct spf_input input;

	spf_identify(arena, slice_of(identities[_i].sender),
		slice_of(identities[_i].helo), &input);
	ck_assert_msg(slice_eq_text(input.local, identities[_i].local), "%s",
		identities[_i].sender);
	ck_assert_msg(slice_eq_text(input.domain, identities[_i].domain), "%s",
		identities[_i].sender);
	arena_free(arena);
}
END_TEST

START_TEST(the_null_sender_is_the_postmaster_of_the_host)
{
	static const struct row row = { "null sender",
		"mx.example.com TXT v=spf1 exp=x.y -all\n"
		"x.y TXT %{s} %{l} %{o} %{d} %{h}",
		"fail by -all saying \"postmaster@mx.example.com postmaster "
		"mx.example.com mx.example.com mx.example.com\"" };

	expect(&row, CLIENT, "", HELO);
}
END_TEST

/* RFC 7208, 4.3. */
START_TEST(domains_that_cannot_have_a_record)
{
	static const char label_63[] = "a123456789b123456789c123456789d12345"
				       "6789e123456789f123456789123";
	static const char *const bad[] = { "", ".", "localhost", "com.", "a..b",
		".a.b", "a.b..", "[192.0.2.1]", "[IPv6:2001:db8::1]" };
	char name[300];
	struct spf_world world;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_str_eq(
			spf_world_judge(&world, "", CLIENT, "", bad[i]),
			"none");
		ck_assert_msg(world.n_asked == 0, "%s", bad[i]);
	}
	snprintf(name, sizeof(name), "%s.b", label_63);
	(void)spf_world_judge(&world, "", CLIENT, "", name);
	ck_assert_uint_eq(world.n_asked, 1);
	snprintf(name, sizeof(name), "%s4.b", label_63);
	(void)spf_world_judge(&world, "", CLIENT, "", name);
	ck_assert_uint_eq(world.n_asked, 0);
	/* Of 253 bytes, then of 254. */
	snprintf(name, sizeof(name), "%s.%s.%s.%s", label_63, label_63,
		label_63, label_63 + 2);
	(void)spf_world_judge(&world, "", CLIENT, "", name);
	ck_assert_uint_eq(world.n_asked, 1);
	snprintf(name, sizeof(name), "%s.%s.%s.%s", label_63, label_63,
		label_63, label_63 + 1);
	(void)spf_world_judge(&world, "", CLIENT, "", name);
	ck_assert_uint_eq(world.n_asked, 0);
}
END_TEST

START_TEST(the_dot_of_the_root_is_no_part_of_a_domain)
{
	static const struct row row = { "a dot at the end",
		"example.com TXT v=spf1 exists:%{d}.%{o}.x\n"
		"example.com.example.com.x A 127.0.0.2",
		"pass by exists:%{d}.%{o}.x" };

	expect(&row, CLIENT, "user@example.com.", HELO);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, results_of_a_record, 0, COUNT_OF(results));
	tcase_add_loop_test(tcase, mechanisms_that_ask, 0,
		COUNT_OF(mechanisms));
	tcase_add_loop_test(tcase, a_client_of_ipv6, 0, COUNT_OF(over_ipv6));
	tcase_add_test(tcase, a_mapped_address_is_one_of_ipv4);
	tcase_add_loop_test(tcase, records_of_others, 0, COUNT_OF(nested));
	tcase_add_loop_test(tcase, what_the_domain_says_of_a_fail, 0,
		COUNT_OF(explanations));
	tcase_add_test(tcase, an_explanation_is_printable_and_short);
	tcase_add_test(tcase, a_problem_is_printable);
	tcase_add_loop_test(tcase, the_validated_name, 0, COUNT_OF(validated));
	tcase_add_test(tcase, the_client_has_its_names_once);
	tcase_add_loop_test(tcase, names_that_are_asked_for, 0,
		COUNT_OF(expansions));
	tcase_add_loop_test(tcase, a_local_part_that_is_not_ascii, 0,
		COUNT_OF(not_ascii));
	tcase_add_loop_test(tcase, who_is_judged, 0, COUNT_OF(identities));
	tcase_add_test(tcase, the_null_sender_is_the_postmaster_of_the_host);
	tcase_add_test(tcase, domains_that_cannot_have_a_record);
	tcase_add_test(tcase, the_dot_of_the_root_is_no_part_of_a_domain);
}

int
main(void)
{
	Suite *suite = suite_create("spf");
	TCase *tcase = tcase_create("spf");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
