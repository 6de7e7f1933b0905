/* DMARC over a DNS that a test writes down. */

#include "common/mail/dmarc.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/public_suffix.h"
#include "tests/unit/dmarc_world.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX        ((size_t)16 << 10)

static struct dmarc_world world;
static struct public_suffixes *suffixes;

static void
begin(void)
{
	memset(&world, 0, sizeof(world));
	suffixes = public_suffixes_new();
}

static void
end(void)
{
	public_suffixes_free(suffixes);
}

struct row {
	const char *name, *zone, *message, *outcome;
};

static void
expect(const struct row *row)
{
	const char *outcome =
		dmarc_world_judge(&world, row->zone, row->message);

	ck_assert_msg(strcmp(outcome, row->outcome) == 0, "%s: %s", row->name,
		outcome);
}

/* The record of a domain, which is there itself. */
#define RECORD(domain, tags) \
	"_dmarc." domain " TXT v=DMARC1; " tags "\n" domain " A 192.0.2.1\n"
#define REJECT(domain) RECORD(domain, "p=reject")

/* --- identifiers (RFC 9989, 4.4 and B.1) -------------------------------- */

#define EXAMPLE REJECT("example.com")
#define STRICT  RECORD("example.com", "p=reject; adkim=s; aspf=s")
#define ASKS    " (p=reject of example.com)"

static const struct row identifiers[] = {
	{ "SPF, the same domain", EXAMPLE,
		"from=example.com spf=pass:example.com",
		"pass" ASKS " spf:aligned" },
	{ "SPF, a child", EXAMPLE,
		"from=example.com spf=pass:child.example.com",
		"pass" ASKS " spf:aligned" },
	{ "SPF, a parent", REJECT("child.example.com") EXAMPLE,
		"from=child.example.com spf=pass:example.com",
		"pass (p=reject of child.example.com) spf:aligned" },
	{ "SPF, another", EXAMPLE, "from=example.com spf=pass:example.net",
		"fail reject" ASKS " spf:not aligned" },
	{ "DKIM, the same domain", EXAMPLE,
		"from=example.com dkim=pass:example.com",
		"pass" ASKS " dkim:aligned" },
	{ "DKIM, a sibling", EXAMPLE,
		"from=a.example.com dkim=pass:b.example.com",
		"pass (p=reject of example.com) dkim:aligned" },
	{ "nothing", EXAMPLE, "from=example.com", "fail reject" ASKS },
	{ "case and dots", EXAMPLE, "from=Example.COM. dkim=pass:EXAMPLE.com.",
		"pass" ASKS " dkim:aligned" },
	{ "strict, the same", STRICT,
		"from=example.com spf=pass:example.com dkim=pass:example.com",
		"pass" ASKS " spf:aligned dkim:aligned" },
	{ "strict, a child", STRICT,
		"from=example.com spf=pass:a.example.com "
		"dkim=pass:a.example.com",
		"fail reject" ASKS " spf:not aligned dkim:not aligned" },
	{ "strict SPF only", RECORD("example.com", "p=reject; aspf=s"),
		"from=example.com spf=pass:a.example.com "
		"dkim=pass:a.example.com",
		"pass" ASKS " spf:not aligned dkim:aligned" },
	{ "strict DKIM only", RECORD("example.com", "p=reject; adkim=s"),
		"from=example.com spf=pass:a.example.com "
		"dkim=pass:a.example.com",
		"pass" ASKS " spf:aligned dkim:not aligned" },
	{ "what does not pass", EXAMPLE,
		"from=example.com spf=softfail:example.com "
		"dkim=fail:example.com",
		"fail reject" ASKS },
	{ "neutral is no pass", EXAMPLE,
		"from=example.com spf=neutral:example.com",
		"fail reject" ASKS },
	{ "one of several", EXAMPLE,
		"from=example.com spf=fail:example.com dkim=fail:example.com "
		"dkim=pass:example.net dkim=pass:m.example.com",
		"pass" ASKS " dkim:not aligned dkim:aligned" },
	{ "names that only end alike", EXAMPLE,
		"from=example.com spf=pass:notexample.com "
		"dkim=pass:example.com.net",
		"fail reject" ASKS " spf:not aligned dkim:not aligned" },
	{ "identifiers that are none", EXAMPLE,
		"from=example.com spf=pass:a..example.com dkim=pass:",
		"fail reject" ASKS " spf:not aligned dkim:not aligned" },
	{ "SPF for later", EXAMPLE,
		"from=example.com spf=temperror:a.example.com",
		"temperror" ASKS " spf:aligned since SPF of a.example.com "
		"could not be checked" },
	{ "a signature for later", EXAMPLE,
		"from=example.com dkim=temperror:example.com",
		"temperror" ASKS " dkim:aligned since the signature of "
		"example.com could not be checked" },
	{ "that does not matter", EXAMPLE,
		"from=example.com spf=temperror:example.net "
		"dkim=temperror:example.org",
		"fail reject" ASKS " spf:not aligned dkim:not aligned" },
	{ "as something else passes", EXAMPLE,
		"from=example.com spf=temperror:example.com "
		"dkim=pass:example.com",
		"pass" ASKS " spf:aligned dkim:aligned" },
};

START_TEST(holds_identifiers_against_from)
{
	expect(&identifiers[_i]);
}
END_TEST

/* --- which record, which policy (RFC 9989, 4.10.1) ---------------------- */

#define ALL_THREE RECORD("example.com", "p=none; sp=quarantine; np=reject")

static const struct row policies[] = {
	{ "no record", "example.com A 192.0.2.1\n",
		"from=example.com spf=pass:example.com", "none" },
	{ "none up to the top", "", "from=a.b.c.example.com", "none" },
	{ "p", ALL_THREE, "from=example.com",
		"fail none (p=none of example.com)" },
	{ "sp", ALL_THREE "a.example.com MX mx.example.com\n",
		"from=a.example.com",
		"fail quarantine (sp=quarantine of example.com)" },
	{ "np", ALL_THREE, "from=a.example.com",
		"fail reject (np=reject of example.com)" },
	{ "np, of a long way down", ALL_THREE, "from=a.b.c.example.com",
		"fail reject (np=reject of example.com)" },
	{ "an address is enough", ALL_THREE "a.example.com AAAA 2001:db8::1\n",
		"from=a.example.com",
		"fail quarantine (sp=quarantine of example.com)" },
	{ "any record is", ALL_THREE "a.example.com TXT x\n",
		"from=a.example.com",
		"fail quarantine (sp=quarantine of example.com)" },
	{ "np in place of sp", RECORD("example.com", "p=quarantine; np=none"),
		"from=a.example.com", "fail none (np=none of example.com)" },
	{ "np does not matter", RECORD("example.com", "p=reject; np=none"),
		"from=example.com", "fail reject (p=reject of example.com)" },
	{ "np like sp asks nothing",
		RECORD("example.com",
			"p=none; sp=reject; np=reject") "a.example.com A! it is down\n",
		"from=a.example.com",
		"fail reject (sp=reject of example.com)" },
	{ "p without sp", EXAMPLE, "from=a.example.com",
		"fail reject (p=reject of example.com)" },
	{ "its own record comes first",
		RECORD("a.example.com", "p=quarantine; sp=none") EXAMPLE,
		"from=a.example.com",
		"fail quarantine (p=quarantine of a.example.com)" },
	{ "the highest of others",
		RECORD("b.example.com", "p=none; sp=none") ALL_THREE
		"a.b.example.com A 192.0.2.1\n",
		"from=a.b.example.com",
		"fail quarantine (sp=quarantine of example.com)" },
	{ "t lowers reject", RECORD("example.com", "p=reject; t=y"),
		"from=example.com",
		"fail quarantine (p=reject tested of example.com)" },
	{ "t lowers quarantine", RECORD("example.com", "p=quarantine; t=y"),
		"from=example.com",
		"fail none (p=quarantine tested of example.com)" },
	{ "t lowers no further", RECORD("example.com", "p=none; t=y"),
		"from=example.com",
		"fail none (p=none tested of example.com)" },
	{ "t lowers sp", RECORD("example.com", "p=none; sp=reject; t=y"),
		"from=a.example.com",
		"fail quarantine (sp=reject tested of example.com)" },
	{ "pct does not count", RECORD("example.com", "p=reject; pct=0"),
		"from=example.com", "fail reject" ASKS },
	{ "a missing policy, reports wanted",
		RECORD("example.com", "rua=mailto:a@example.com"),
		"from=example.com", "fail none (p=none of example.com)" },
	{ "a missing policy", RECORD("a.example.com", "adkim=s") EXAMPLE,
		"from=a.example.com spf=pass:a.example.com",
		"permerror since _dmarc.a.example.com: it has no policy, and "
		"nobody wants a report" },
	{ "a policy that is none", RECORD("example.com", "p=reject; sp=x"),
		"from=a.example.com",
		"permerror since _dmarc.example.com: one of its policies is "
		"not none, quarantine or reject" },
	{ "other texts",
		"_dmarc.example.com TXT hello\n" EXAMPLE
		"_dmarc.example.com TXT v=spf1 -all\n",
		"from=example.com", "fail reject" ASKS },
	{ "other texts only", "_dmarc.a.example.com TXT hello\n" EXAMPLE,
		"from=a.example.com", "fail reject" ASKS },
	{ "several records are none", EXAMPLE EXAMPLE, "from=example.com",
		"none" },
	{ "several records, one above",
		REJECT("a.example.com") RECORD("a.example.com", "p=none")
			EXAMPLE,
		"from=a.example.com", "fail reject" ASKS },
	{ "the top domain itself", REJECT("example"), "from=example",
		"fail reject (p=reject of example)" },
	{ "no domain", EXAMPLE, "from=[192.0.2.1]",
		"none since From: has no domain name" },
	{ "no domain at all", EXAMPLE,
		"from=", "none since From: has no domain name" },
	{ "U-labels", EXAMPLE, "from=\xc3\xa9.example.com",
		"none since From: has no domain name" },
	{ "an empty label", EXAMPLE, "from=a..example.com",
		"none since From: has no domain name" },
	{ "a name that would be quoted", EXAMPLE, "from=a\\.example.com",
		"none since From: has no domain name" },
};

START_TEST(finds_the_policy)
{
	expect(&policies[_i]);
}
END_TEST

/* --- organisations (RFC 9989, 4.10.2 and B.4) --------------------------- */

#define BANK                                    \
	RECORD("bank.example", "p=quarantine; " \
			       "psd=y; np=reject")
#define GIANT REJECT("giant.bank.example")
#define LONG  "a.b.c.d.e.f.g.h.i.j.k.example.com"

static const struct row organizations[] = {
	{ "B.4.1", EXAMPLE REJECT("signing.example.com"),
		"from=example.com spf=pass:example.com "
		"dkim=pass:signing.example.com",
		"pass" ASKS " spf:aligned dkim:aligned" },
	{ "B.4.2", EXAMPLE REJECT("signing.example.com"),
		"from=" LONG
		" spf=pass:example.com dkim=pass:signing.example.com",
		"pass" ASKS " spf:aligned dkim:aligned" },
	{ "B.4.3", BANK GIANT,
		"from=giant.bank.example spf=pass:mail.giant.bank.example "
		"dkim=pass:mail.mega.bank.example",
		"pass (p=reject of giant.bank.example) spf:aligned "
		"dkim:not aligned" },
	{ "B.4.3, the other alone", BANK GIANT,
		"from=giant.bank.example dkim=pass:mail.mega.bank.example",
		"fail reject (p=reject of giant.bank.example) "
		"dkim:not aligned" },
	{ "the suffix's policy", BANK "mega.bank.example A 192.0.2.1\n",
		"from=mega.bank.example spf=pass:a.mega.bank.example",
		"pass (p=quarantine of bank.example) spf:aligned" },
	{ "and what is not there", BANK, "from=a.mega.bank.example",
		"fail reject (np=reject of bank.example)" },
	{ "not of a registered name that has one", BANK GIANT,
		"from=a.giant.bank.example",
		"fail reject (p=reject of giant.bank.example)" },
	{ "nothing aligns through a suffix", BANK,
		"from=mega.bank.example spf=pass:bank.example "
		"dkim=pass:giant.bank.example",
		"fail reject (np=reject of bank.example) spf:not aligned "
		"dkim:not aligned" },
	{ "a suffix sends mail itself", BANK,
		"from=bank.example spf=pass:bank.example "
		"dkim=pass:mail.bank.example",
		"pass (p=quarantine of bank.example) spf:aligned "
		"dkim:not aligned" },
	{ "a suffix above a suffix", BANK RECORD("example", "p=none; psd=y"),
		"from=mega.bank.example spf=pass:a.mega.bank.example",
		"pass (p=quarantine of bank.example) spf:aligned" },
	{ "psd=n ends the walk",
		RECORD("mail.example.com", "p=quarantine; psd=n") EXAMPLE,
		"from=a.mail.example.com spf=pass:mail.example.com "
		"dkim=pass:example.com",
		"pass (p=quarantine of mail.example.com) spf:aligned "
		"dkim:not aligned" },
	{ "psd=n of the domain itself",
		RECORD("mail.example.com", "p=quarantine; psd=n") EXAMPLE,
		"from=mail.example.com spf=pass:example.com "
		"dkim=pass:a.mail.example.com",
		"pass (p=quarantine of mail.example.com) spf:not aligned "
		"dkim:aligned" },
	{ "psd=u does not", RECORD("mail.example.com", "p=none; psd=u") EXAMPLE,
		"from=a.mail.example.com spf=pass:b.example.com",
		"pass" ASKS " spf:aligned" },
	{ "psd=n under a suffix",
		BANK RECORD("giant.bank.example", "p=none; psd=n"),
		"from=a.giant.bank.example spf=pass:giant.bank.example",
		"pass (p=none of giant.bank.example) spf:aligned" },
	{ "the fewest labels",
		REJECT("a.mail.example.com") REJECT("mail.example.com") EXAMPLE,
		"from=a.mail.example.com spf=pass:b.example.com",
		"pass (p=reject of a.mail.example.com) spf:aligned" },
	{ "even of a top domain", EXAMPLE RECORD("com", "p=none"),
		"from=example.com spf=pass:example.net "
		"dkim=pass:other.com",
		"pass" ASKS " spf:not aligned dkim:aligned" },
	{ "a parent without a record", REJECT("a.example.com"),
		"from=a.example.com spf=pass:b.a.example.com "
		"dkim=pass:example.com",
		"pass (p=reject of a.example.com) spf:aligned "
		"dkim:not aligned" },
	{ "several records do not count", BANK BANK GIANT,
		"from=giant.bank.example spf=pass:bank.example",
		"fail reject (p=reject of giant.bank.example) "
		"spf:not aligned" },
	{ "a useless record does",
		EXAMPLE RECORD("signing.example.com", "p=x; psd=n"),
		"from=example.com spf=pass:signing.example.com",
		"fail reject" ASKS " spf:not aligned" },
	{ "labels left out", RECORD("k.example.com", "p=none; psd=y"),
		"from=" LONG " spf=pass:x.j.k.example.com",
		"pass (p=none of k.example.com) spf:aligned" },
	{ "records there", REJECT("c.d.e.f.g.h.i.j.k.example.com") EXAMPLE,
		"from=" LONG, "fail reject" ASKS },
};

START_TEST(finds_the_organization)
{
	expect(&organizations[_i]);
}
END_TEST

/*
 * What was published for RFC 7489. In every list com, co.uk and github.io are
 * suffixes, and so is what is none of any (the rule "*").
 */
static const struct {
	struct row row;
	const char *without; /* the list */
} old[] = {
	{ { "the same by both", EXAMPLE,
		  "from=a.example.com spf=pass:b.example.com",
		  "pass" ASKS " spf:aligned" },
		"pass" ASKS " spf:aligned" },
	{ { "a parent without a record", REJECT("a.example.com"),
		  "from=a.example.com spf=pass:example.com "
		  "dkim=pass:b.example.com",
		  "pass (p=reject of a.example.com) spf:aligned "
		  "dkim:aligned" },
		"fail reject (p=reject of a.example.com) spf:not aligned "
		"dkim:not aligned" },
	{ { "unless a record says what it is",
		  RECORD("a.example.com", "p=reject; psd=n"),
		  "from=a.example.com spf=pass:example.com",
		  "fail reject (p=reject of a.example.com) spf:not aligned" },
		"fail reject (p=reject of a.example.com) spf:not aligned" },
	{ { "two registered domains",
		  REJECT("a.github.io") RECORD("github.io", "p=none"),
		  "from=a.github.io spf=pass:b.github.io",
		  "fail reject (p=reject of a.github.io) spf:not aligned" },
		"pass (p=reject of a.github.io) spf:aligned" },
	{ { "and who runs them", REJECT("github.io"),
		  "from=a.github.io spf=pass:github.io",
		  "pass (p=reject of github.io) spf:aligned" },
		"pass (p=reject of github.io) spf:aligned" },
	{ { "the registered domain's record",
		  REJECT("example.co.uk") RECORD("co.uk", "p=none"),
		  "from=a.example.co.uk",
		  "fail reject (p=reject of example.co.uk)" },
		"fail none (p=none of co.uk)" },
	{ { "else what there is", REJECT("co.uk"), "from=a.example.co.uk",
		  "fail reject (p=reject of co.uk)" },
		"fail reject (p=reject of co.uk)" },
	{ { "psd=y comes before the list", BANK GIANT,
		  "from=giant.bank.example spf=pass:mail.mega.bank.example",
		  "fail reject (p=reject of giant.bank.example) "
		  "spf:not aligned" },
		"fail reject (p=reject of giant.bank.example) "
		"spf:not aligned" },
};

START_TEST(old_records_go_on_to_work)
{
	struct row row = old[_i].row;

	world.suffixes = suffixes;
	expect(&row);
	world.suffixes = NULL;
	row.outcome = old[_i].without;
	expect(&row);
}
END_TEST

/* --- what is asked ------------------------------------------------------ */

#define Q(name) "TXT _dmarc." name "\n"

static const struct row questions[] = {
	{ "a record that decides", EXAMPLE,
		"from=example.com spf=pass:example.com dkim=pass:example.net "
		"dkim=fail:a.example.com",
		Q("example.com") },
	{ "strict alignment", STRICT, "from=example.com spf=pass:a.example.com",
		Q("example.com") },
	{ "no record", "", "from=a.example.com",
		Q("a.example.com") Q("example.com") Q("com") },
	{ "organisations", EXAMPLE,
		"from=example.com spf=pass:b.a.example.com "
		"dkim=pass:other.com dkim=pass:a.example.com",
		Q("example.com") Q("com") Q("b.a.example.com")
			Q("a.example.com") },
	{ "eight labels", "", "from=a.b.c.d.e.f.example.com",
		Q("a.b.c.d.e.f.example.com") Q("b.c.d.e.f.example.com")
			Q("c.d.e.f.example.com") Q("d.e.f.example.com")
				Q("e.f.example.com") Q("f.example.com")
					Q("example.com") Q("com") },
	{ "nine labels", "", "from=a.b.c.d.e.f.g.example.com",
		Q("a.b.c.d.e.f.g.example.com") Q("c.d.e.f.g.example.com")
			Q("d.e.f.g.example.com") Q("e.f.g.example.com")
				Q("f.g.example.com") Q("g.example.com")
					Q("example.com") Q("com") },
	{ "4.10", "", "from=a.b.c.d.e.f.g.h.i.j.mail.example.com",
		Q("a.b.c.d.e.f.g.h.i.j.mail.example.com") Q(
			"g.h.i.j.mail.example.com") Q("h.i.j.mail.example.com")
			Q("i.j.mail.example.com") Q("j.mail.example.com") Q(
				"mail.example.com") Q("example.com") Q("com") },
	{ "existence", ALL_THREE, "from=a.example.com",
		Q("a.example.com") Q("example.com")
			Q("com") "A a.example.com\nAAAA a.example.com\n"
				 "MX a.example.com\n" },
	{ "only when it matters", ALL_THREE,
		"from=a.example.com spf=pass:a.example.com",
		Q("a.example.com") Q("example.com") Q("com") },
	{ "no domain", "", "from=a@b.example", "" },
};

START_TEST(asks_what_it_needs)
{
	(void)dmarc_world_judge(&world, questions[_i].zone,
		questions[_i].message);
	ck_assert_msg(strcmp(world.asked, questions[_i].outcome) == 0, "%s: %s",
		questions[_i].name, world.asked);
}
END_TEST

/* All signatures of a domain far below another, each with a walk of its own. */
START_TEST(asks_no_more_than_its_bound)
{
	struct str message;

	str_init(&message, TEXT_MAX);
	str_append_text(&message, "from=0.1.2.3.4.5.6.7.example.com "
				  "spf=pass:9.8.7.6.5.4.3.2.1.example.com");
	for (unsigned i = 0; i < DMARC_DKIM_MAX; i++)
		str_printf(&message,
			" dkim=pass:x.y%u.f.e%u.d%u.c%u.b%u.a%u.example.com", i,
			i, i, i, i, i);
	(void)dmarc_world_judge(&world,
		RECORD("example.com", "p=none; np=reject"), str_text(&message));
	/* Two names of each walk are those of another. */
	ck_assert_uint_eq(world.n_asked, 8 + 9 * 6);
	ck_assert_uint_le(world.n_asked, DMARC_QUESTIONS_MAX);
	ck_assert_uint_lt(world.arena_bytes, DMARC_ARENA_MAX / 2);
	str_free(&message);
}
END_TEST

/* --- answers that cannot be had ----------------------------------------- */

/*
 * For each question: "T" when the result is a temperror without its answer,
 * "=" when it stays.
 */
static const struct row failures[] = {
	{ "the record", EXAMPLE, "from=example.com", "T" },
	{ "the record, and a pass", EXAMPLE,
		"from=example.com spf=pass:example.com", "T" },
	{ "the walk", EXAMPLE, "from=a.b.example.com", "TTTT" },
	{ "no record anywhere", "", "from=a.b.example.com", "TTTT" },
	{ "behind the end of the walk",
		RECORD("b.example.com", "p=none; psd=n"),
		"from=a.b.example.com", "TT==" },
	{ "other organisations", EXAMPLE,
		"from=example.com spf=pass:b.a.example.com", "TTTT" },
	{ "that do not matter", EXAMPLE,
		"from=example.com spf=pass:b.a.example.com "
		"dkim=pass:example.com",
		"T===" },
	{ "existence", ALL_THREE, "from=a.example.com", "TTTTTT" },
	{ "existence that another answer shows",
		ALL_THREE "a.example.com MX mx.example.com\n",
		"from=a.example.com", "TTT===" },
	{ "what was published before", EXAMPLE,
		"from=a.example.com spf=pass:a.example.com", "TTT" },
};

static void
fail_nth(struct str *zone, const char *before, const char *asked, size_t n)
{
	struct slice rest = slice_of(asked), line = SLICE(""), type;

	for (size_t i = 0; i <= n; i++)
		ck_assert(slice_split(&rest, '\n', &line));
	ck_assert(slice_split(&line, ' ', &type));
	str_reset(zone);
	str_printf(zone, "%s%.*s %.*s! it is down\n", before, SLICE_ARG(line),
		SLICE_ARG(type));
}

START_TEST(takes_no_failure_for_an_answer)
{
	const struct row *row = &failures[_i];
	char usual[TEXT_MAX], asked[TEXT_MAX];
	struct str zone;

	snprintf(usual, sizeof(usual), "%s",
		dmarc_world_judge(&world, row->zone, row->message));
	snprintf(asked, sizeof(asked), "%s", world.asked);
	ck_assert_uint_gt(world.ttl, 0);
	ck_assert_uint_eq(world.n_asked, strlen(row->outcome));
	str_init(&zone, TEXT_MAX);
	for (size_t i = 0; row->outcome[i] != '\0'; i++) {
		const char *outcome;

		fail_nth(&zone, row->zone, asked, i);
		outcome = dmarc_world_judge(&world, str_text(&zone),
			row->message);
		if (row->outcome[i] == 'T') {
			ck_assert_msg(strncmp(outcome, "temperror", 9) == 0,
				"%s, %zu: %s", row->name, i, outcome);
			ck_assert_ptr_nonnull(strstr(outcome, ": it is down"));
			ck_assert_uint_eq(world.ttl, 0);
		} else {
			/* Which alignment is unknown may differ. */
			ck_assert_msg(strncmp(outcome, usual, 9) == 0,
				"%s, %zu: %s", row->name, i, outcome);
		}
	}
	str_free(&zone);
}
END_TEST

static const struct row problems[] = {
	{ "the record", "_dmarc.example.com TXT! it is down\n",
		"from=example.com",
		"temperror since _dmarc.example.com: it is down" },
	{ "a forgery", "_dmarc.com TXT? a signature does not fit\n",
		"from=example.com",
		"temperror since _dmarc.com: a signature does not fit" },
	{ "another organisation",
		EXAMPLE "_dmarc.a.example.com TXT! it is down\n",
		"from=example.com spf=pass:a.example.com dkim=pass:example.net",
		"temperror" ASKS " spf:unknown dkim:not aligned since "
		"_dmarc.a.example.com: it is down" },
	{ "the stricter policy", ALL_THREE "a.example.com A! it is down\n",
		"from=a.example.com",
		"temperror (np=reject of example.com) since a.example.com: it "
		"is down" },
	{ "which is not always np",
		RECORD("example.com",
			"p=reject; np=none") "a.example.com A! it is down\n",
		"from=a.example.com",
		"temperror (p=reject of example.com) since a.example.com: it "
		"is down" },
	{ "of two that are possible",
		ALL_THREE "_dmarc.b.a.example.com TXT! it is down\n",
		"from=a.example.com spf=pass:b.a.example.com",
		"temperror (np=reject of example.com) spf:unknown since "
		"_dmarc.b.a.example.com: it is down" },
	{ "bytes", "_dmarc.example.com TXT! \x1b[2J\xff\n", "from=example.com",
		"temperror since _dmarc.example.com: ?[2J?" },
};

START_TEST(says_what_failed)
{
	expect(&problems[_i]);
}
END_TEST

/* --- for how long ------------------------------------------------------- */

static const struct {
	const char *name, *zone, *message;
	uint32_t ttl;
} ttls[] = {
	{ "of the record", "_dmarc.example.com TXT@60 v=DMARC1; p=none\n",
		"from=example.com", 60 },
	{ "the least", EXAMPLE "_dmarc.com TXT@7 x\n", "from=a.example.com",
		7 },
	{ "of what counted",
		RECORD("a.example.com",
			"p=none; psd=n") "_dmarc.example.com TXT@7 v=DMARC1; p=none\n",
		"from=b.a.example.com", 300 },
	{ "without a question", "", "from=[192.0.2.1]", 0 },
};

START_TEST(holds_as_long_as_its_answers)
{
	(void)dmarc_world_judge(&world, ttls[_i].zone, ttls[_i].message);
	ck_assert_msg(world.ttl == ttls[_i].ttl, "%s: %u", ttls[_i].name,
		(unsigned)world.ttl);
}
END_TEST

/* --- by hand ------------------------------------------------------------ */

static struct dmarc *
open_message(struct arena *arena, const char *message)
{
	struct dmarc_input input;

	dmarc_world_read(message, &input);
	return dmarc_new(arena, &input);
}

static void
answer_text(struct dmarc *dmarc, struct dmarc_question *question,
	const char *text)
{
	const struct dns_record record = { .text = slice_of(text) };
	const struct dns_answer answer = { .status = DNS_RECORDS,
		.records = &record,
		.n_records = 1,
		.ttl = 300,
		.reason = "" };

	dmarc_answer(dmarc, question, &answer);
}

/* What is known is enough, or it is not. */
static const struct {
	const char *message, *outcome;
} late[] = {
	{ "from=example.com spf=pass:a.example.com dkim=pass:example.com",
		"pass (p=reject of example.com) spf:unknown dkim:aligned" },
	{ "from=example.com spf=pass:a.example.com",
		"temperror (p=reject of example.com) spf:unknown since "
		"_dmarc.com: it is late" },
};

START_TEST(gives_up)
{
	struct arena *arena = arena_new(DMARC_ARENA_MAX);
	struct dmarc *dmarc = open_message(arena, late[_i].message);
	struct dmarc_outcome outcome;
	struct str text;

	str_init(&text, TEXT_MAX);
	ck_assert(!dmarc_evaluate(dmarc, &outcome));
	answer_text(dmarc, dmarc_next_question(dmarc), "v=DMARC1; p=reject");
	ck_assert(!dmarc_evaluate(dmarc, &outcome));
	ck_assert_ptr_nonnull(dmarc_next_question(dmarc));
	dmarc_give_up(dmarc, "it is late");
	ck_assert(dmarc_evaluate(dmarc, &outcome));
	dmarc_world_describe(&outcome, &text);
	ck_assert_str_eq(str_text(&text), late[_i].outcome);
	ck_assert_ptr_null(dmarc_next_question(dmarc));
	str_free(&text);
	arena_free(arena);
}
END_TEST

START_TEST(gives_up_before_anything_came)
{
	struct arena *arena = arena_new(DMARC_ARENA_MAX);
	struct dmarc *dmarc = open_message(arena, "from=a.example.com");
	struct dmarc_outcome outcome;

	dmarc_give_up(dmarc, "it is late");
	ck_assert(dmarc_evaluate(dmarc, &outcome));
	ck_assert_int_eq(outcome.result, DMARC_TEMPERROR);
	ck_assert(slice_eq_text(outcome.problem,
		"_dmarc.a.example.com: it is late"));
	ck_assert_uint_eq(outcome.ttl, 0);
	arena_free(arena);
}
END_TEST

/* An alias of what does not exist is there itself (RFC 2308, 2.1). */
START_TEST(an_alias_exists)
{
	struct arena *arena = arena_new(DMARC_ARENA_MAX);
	struct dmarc *dmarc = open_message(arena, "from=a.example.com");
	const struct dns_answer nothing = { .status = DNS_NO_SUCH_NAME,
		.n_aliases = 1,
		.reason = "" };
	struct dmarc_question *question;
	struct dmarc_outcome outcome;

	while (!dmarc_evaluate(dmarc, &outcome)) {
		question = dmarc_next_question(dmarc);
		ck_assert_ptr_nonnull(question);
		if (slice_eq_text(question->name, "_dmarc.example.com"))
			answer_text(dmarc, question,
				"v=DMARC1; p=none; np=reject");
		else
			dmarc_answer(dmarc, question, &nothing);
	}
	ck_assert_int_eq(outcome.result, DMARC_FAIL);
	ck_assert_int_eq(outcome.policy, DMARC_POLICY_NONE);
	ck_assert_int_eq(outcome.tag, DMARC_TAG_P);
	arena_free(arena);
}
END_TEST

static const struct row traces[] = {
	{ "a fail", RECORD("example.com", "p=none; sp=reject; t=y"),
		"from=a.example.com spf=softfail:example.net "
		"dkim=pass:b.example.com dkim=temperror:example.org",
		"from: a.example.com\n"
		"record: v=DMARC1; p=none; sp=reject; t=y\n"
		"policy: sp=reject of example.com, tested only\n"
		"organization: example.com\n"
		"spf: softfail example.net\n"
		"dkim: pass b.example.com, aligned\n"
		"dkim: temperror example.org, not aligned\n" },
	{ "two organisations", REJECT("a.example.com"),
		"from=a.example.com spf=pass:example.com",
		"from: a.example.com\n"
		"record: v=DMARC1; p=reject\n"
		"policy: p=reject of a.example.com\n"
		"organization: a.example.com; example.com by the public suffix "
		"list\n"
		"spf: pass example.com, aligned\n" },
	{ "no record", "", "from=example.com spf=pass:example.com",
		"from: example.com\n"
		"organization: example.com\n"
		"spf: pass example.com\n" },
	{ "a record that is of no use", RECORD("example.com", "p=x"),
		"from=example.com",
		"from: example.com\n"
		"record: v=DMARC1; p=x\n"
		"problem: _dmarc.example.com: one of its policies is not none, "
		"quarantine or reject\n" },
};

START_TEST(tells_people)
{
	const struct row *row = &traces[_i];

	world.suffixes = suffixes;
	(void)dmarc_world_judge(&world, row->zone, row->message);
	ck_assert_str_eq(world.trace, row->outcome);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, holds_identifiers_against_from, 0,
		COUNT_OF(identifiers));
	tcase_add_loop_test(tcase, finds_the_policy, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, finds_the_organization, 0,
		COUNT_OF(organizations));
	tcase_add_loop_test(tcase, old_records_go_on_to_work, 0, COUNT_OF(old));
	tcase_add_loop_test(tcase, asks_what_it_needs, 0, COUNT_OF(questions));
	tcase_add_test(tcase, asks_no_more_than_its_bound);
	tcase_add_loop_test(tcase, takes_no_failure_for_an_answer, 0,
		COUNT_OF(failures));
	tcase_add_loop_test(tcase, says_what_failed, 0, COUNT_OF(problems));
	tcase_add_loop_test(tcase, holds_as_long_as_its_answers, 0,
		COUNT_OF(ttls));
	tcase_add_loop_test(tcase, gives_up, 0, COUNT_OF(late));
	tcase_add_test(tcase, gives_up_before_anything_came);
	tcase_add_test(tcase, an_alias_exists);
	tcase_add_loop_test(tcase, tells_people, 0, COUNT_OF(traces));
}

int
main(void)
{
	Suite *suite = suite_create("dmarc");
	TCase *tcase = tcase_create("dmarc");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, begin, end);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
