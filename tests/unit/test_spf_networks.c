#include "common/mail/spf_networks.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"

#define DOMAIN "d.example"

/* Of a question: the lines of a zone that answer it. */
struct reply {
	struct dns_record records[DNS_RECORDS_MAX];
	struct dns_answer answer;
};

/* --- a zone, "NAME TYPE VALUE" a line ------------------------------------ */

/*
 * VALUE "!" fails, "!!" is forged. TYPE may have a TTL, "A@600"; else it is
 * an hour. What stands there under another type has no record, what does not
 * stand there does not exist.
 */
static bool
take_word(struct slice *line, struct slice *word)
{
	return slice_split(line, ' ', word);
}

static void
set_record(struct dns_record *record, enum dns_type type, struct slice value)
{
	switch (type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		ck_assert(ip_parse(value, &record->address));
		break;
	case DNS_TYPE_MX:
		record->name = slice_eq_text(value, ".") ? SLICE("") : value;
		break;
	case DNS_TYPE_TXT:
		record->text = value;
		break;
	case DNS_TYPE_CNAME:
	case DNS_TYPE_NS:
	case DNS_TYPE_SOA:
	case DNS_TYPE_PTR:
		ck_abort();
	}
}

static void
take_line(struct slice type, struct slice value, enum dns_type wanted,
	struct reply *out)
{
	struct slice name_of_type;
	struct dns_answer *answer = &out->answer;
	uint64_t ttl = 3600;

	slice_split(&type, '@', &name_of_type);
	if (!slice_eq_text(name_of_type, dns_type_name(wanted)))
		return;
	ck_assert(type.len == 0 || num_parse_u64(type, UINT32_MAX, &ttl));
	answer->ttl = (uint32_t)ttl;
	answer->status = DNS_RECORDS;
	if (slice_starts(value, SLICE("!"))) {
		answer->status =
			slice_eq_text(value, "!") ? DNS_FAILED : DNS_BOGUS;
		answer->reason = "the server is sick";
		answer->ttl = 0;
		return;
	}
	set_record(&out->records[answer->n_records++], wanted, value);
}

static void
look_up(const char *zone, const struct spf_question *question,
	struct reply *out)
{
	struct slice rest = slice_of(zone), line, name, type;

	memset(out, 0, sizeof(*out));
	out->answer = (struct dns_answer){ .status = DNS_NO_SUCH_NAME,
		.records = out->records,
		.ttl = 3600,
		.reason = "" };
	while (slice_split(&rest, '\n', &line)) {
		if (!take_word(&line, &name) || !take_word(&line, &type) ||
			!slice_case_eq(name, question->name))
			continue;
		if (out->answer.status == DNS_NO_SUCH_NAME)
			out->answer.status = DNS_NONE;
		take_line(type, line, question->type, out);
	}
}

/* --- running ------------------------------------------------------------ */

enum order { FIRST_COME, LAST_COME };

static struct arena *arena;
static struct spf_question *asked[SPF_NETWORKS_QUESTIONS_MAX];
static size_t n_asked, n_waiting;

static void
take_questions(struct spf_networks *networks)
{
	struct spf_question *question;

	while ((question = spf_networks_next_question(networks)) != NULL) {
		ck_assert_uint_lt(n_asked, SPF_NETWORKS_QUESTIONS_MAX);
		asked[n_asked++] = question;
		n_waiting++;
	}
}

static struct spf_question *
pick(enum order order)
{
	size_t at = order == FIRST_COME ? 0 : n_asked - 1;

	while (asked[at]->state == SPF_ANSWERED)
		at = order == FIRST_COME ? at + 1 : at - 1;
	n_waiting--;
	return asked[at];
}

/* One answer at a time, whichever comes first. */
static struct spf_networks_outcome
run(const char *zone, enum order order)
{
	struct spf_networks *networks;
	struct spf_networks_outcome outcome;

	arena_reset(arena);
	n_asked = n_waiting = 0;
	networks = spf_networks_new(arena, SLICE(DOMAIN));
	while (!spf_networks_collect(networks, &outcome)) {
		struct spf_question *question;
		struct reply reply;

		take_questions(networks);
		ck_assert_uint_gt(n_waiting, 0);
		question = pick(order);
		look_up(zone, question, &reply);
		spf_networks_answer(networks, question, &reply.answer);
	}
	return outcome;
}

static const char *
texts_of(const struct spf_networks_outcome *outcome)
{
	static char texts[SPF_NETWORKS_MAX * NETWORK_TEXT_MAX];
	char text[NETWORK_TEXT_MAX];

	texts[0] = '\0';
	for (size_t i = 0; i < outcome->n_networks; i++) {
		const size_t len = strlen(texts);

		(void)snprintf(texts + len, sizeof(texts) - len, "%s%s",
			i > 0 ? " " : "",
			network_format(&outcome->networks[i], text));
	}
	return texts;
}

/* --- what is found ------------------------------------------------------ */

#define SPF(terms) DOMAIN " TXT v=spf1" terms "\n"
#define ALL        SPF_NETWORKS_ALL
#define BROKEN     SPF_NETWORKS_BROKEN
#define FAILS      SPF_NETWORKS_UNAVAILABLE
#define SICK       ": the server is sick"

static const struct {
	const char *name, *zone, *networks;
	enum spf_networks_status status;
	const char *problem;
	unsigned n_dependent, n_unfit;
} cases[] = {
	/* clang-format off */
	{ "addresses and networks",
	  SPF(" ip4:192.0.2.1 ip4:198.51.100.128/25 ip6:2001:DB8::/32 -all"),
	  "192.0.2.1 198.51.100.128/25 2001:db8::/32", ALL, "", 0, 0 },
	{ "host bits are cleared", SPF(" ip4:192.0.2.77/24"),
	  "192.0.2.0/24", ALL, "", 0, 0 },
	{ "sorted, each once",
	  SPF(" ip6:2001:db8::1 ip4:192.0.2.2 ip4:192.0.2.0/24 ip4:192.0.2.2/32"
	      " ip4:10.0.0.1 ip4:192.0.2.0/25"),
	  "10.0.0.1 192.0.2.0/24 192.0.2.0/25 192.0.2.2 2001:db8::1", ALL, "",
	  0, 0 },
	{ "the tag in any case", DOMAIN " TXT V=SPF1 IP4:192.0.2.1",
	  "192.0.2.1", ALL, "", 0, 0 },
	{ "among other TXT",
	  DOMAIN " TXT some text\n" SPF(" ip4:192.0.2.1")
	  DOMAIN " TXT v=spf10 x\n",
	  "192.0.2.1", ALL, "", 0, 0 },
	{ "no networks", SPF(" -all"), "", ALL, "", 0, 0 },
	{ "qualifiers",
	  SPF(" +ip4:192.0.2.1 -ip4:192.0.2.2 ~ip4:192.0.2.3 ?ip4:192.0.2.4"
	      " ~include:x.example ?a:x.example -mx:x.example -exists:x.example"),
	  "192.0.2.1", ALL, "", 0, 0 },
	{ "nothing behind all", SPF(" ip4:192.0.2.1 ~all ip4:192.0.2.2"
	                            " redirect=x.example"),
	  "192.0.2.1", ALL, "", 0, 0 },

	{ "a, both families, with prefixes",
	  SPF(" a a:w.example/28//64 -all") DOMAIN " A 192.0.2.1\n"
	  DOMAIN " AAAA 2001:db8::1\nw.example A 198.51.100.77\n"
	  "w.example AAAA 2001:db8:1:2::3\n",
	  "192.0.2.1 198.51.100.64/28 2001:db8::1 2001:db8:1:2::/64", ALL, "",
	  0, 0 },
	{ "a of a host of one family",
	  SPF(" a:w.example") "w.example AAAA 2001:db8::1\n",
	  "2001:db8::1", ALL, "", 0, 0 },
	{ "a of nobody", SPF(" a:no.example ip4:192.0.2.1"),
	  "192.0.2.1", ALL, "", 0, 0 },
	{ "mx",
	  SPF(" mx mx:w.example/24 -all") DOMAIN " MX one.example\n"
	  DOMAIN " MX two.example\none.example A 192.0.2.1\n"
	  "two.example A 192.0.2.2\ntwo.example AAAA 2001:db8::2\n"
	  "w.example MX one.example\n",
	  "192.0.2.0/24 192.0.2.1 192.0.2.2 2001:db8::2", ALL, "", 0, 0 },
	{ "mx that takes no mail", SPF(" mx") DOMAIN " MX .\n", "", ALL, "",
	  0, 0 },

	{ "include",
	  SPF(" include:i.example ip4:192.0.2.1 -all")
	  "i.example TXT v=spf1 ip4:192.0.2.2 ?ip4:192.0.2.3 ~all\n",
	  "192.0.2.1 192.0.2.2", ALL, "", 0, 0 },
	{ "an include's own all ends it alone",
	  SPF(" include:i.example ip4:192.0.2.1")
	  "i.example TXT v=spf1 -all ip4:192.0.2.2\n",
	  "192.0.2.1", ALL, "", 0, 0 },
	{ "include in an include, and its redirect",
	  SPF(" include:i.example")
	  "i.example TXT v=spf1 include:j.example redirect=k.example\n"
	  "j.example TXT v=spf1 ip4:192.0.2.1 -all\n"
	  "k.example TXT v=spf1 a -all\nk.example A 192.0.2.2\n",
	  "192.0.2.1 192.0.2.2", ALL, "", 0, 0 },
	{ "redirect",
	  SPF(" ip4:192.0.2.1 redirect=r.example")
	  "r.example TXT v=spf1 ip4:192.0.2.2 -all\n",
	  "192.0.2.1 192.0.2.2", ALL, "", 0, 0 },
	{ "redirect stands before its terms",
	  SPF(" redirect=r.example ip4:192.0.2.1")
	  "r.example TXT v=spf1 ip4:192.0.2.2\n",
	  "192.0.2.1 192.0.2.2", ALL, "", 0, 0 },
	{ "circles",
	  SPF(" include:i.example include:" DOMAIN " ip4:192.0.2.1"
	      " redirect=" DOMAIN)
	  "i.example TXT v=spf1 include:I.example ip4:192.0.2.2"
	  " include:" DOMAIN "\n",
	  "192.0.2.1 192.0.2.2", ALL, "", 0, 0 },

	{ "what depends on the mail",
	  SPF(" exists:%{i}.x.example ptr a:%{h} include:%{l}.x.example"
	      " mx:%{o} a:w\\x.example ip4:192.0.2.1 redirect=%{s}.x.example"),
	  "192.0.2.1", ALL, "", 7, 0 },
	{ "the domain itself may be expanded",
	  SPF(" a:mail.%{d} include:_spf.%{d2} -all")
	  "mail." DOMAIN " A 192.0.2.1\n"
	  "_spf." DOMAIN " TXT v=spf1 a:%{d} -all\n"
	  "_spf." DOMAIN " A 192.0.2.2\n",
	  "192.0.2.1 192.0.2.2", ALL, "", 0, 0 },

	{ "the world is left out",
	  SPF(" ip4:0.0.0.0/0 ip4:128.0.0.0/1 ip4:126.0.0.0/7 ip6:::/0"
	      " ip6:2000::/3 ip6:2001::/15 a:w.example/4//3 +all")
	  "w.example A 192.0.2.1\nw.example AAAA 2001:db8::1\n",
	  "", ALL, "", 0, 9 },
	{ "as wide as may be", SPF(" ip4:100.0.0.0/8 ip6:2001::/16"),
	  "100.0.0.0/8 2001::/16", ALL, "", 0, 0 },
	{ "loopback and the like",
	  SPF(" ip4:127.0.0.1 ip4:127.0.0.0/8 ip4:0.0.0.0 ip6:::1 ip6:::"
	      " ip6:::ffff:192.0.2.1 ip6:::ffff:0:0/96 a:w.example")
	  "w.example A 127.0.0.1\nw.example AAAA ::1\n",
	  "", ALL, "", 0, 9 },
	{ "an include of everybody",
	  SPF(" include:i.example ip4:192.0.2.1") "i.example TXT v=spf1 +all\n",
	  "192.0.2.1", ALL, "", 0, 1 },

	{ "no record: its mail hosts",
	  DOMAIN " TXT something\n" DOMAIN " MX one.example\n"
	  DOMAIN " MX two.example\none.example A 192.0.2.1\n"
	  "one.example AAAA 2001:db8::1\ntwo.example A 192.0.2.2\n"
	  DOMAIN " A 192.0.2.9\n",
	  "192.0.2.1 192.0.2.2 2001:db8::1", ALL, "", 0, 0 },
	{ "no record, no mail hosts", DOMAIN " A 192.0.2.9\n", "", ALL, "",
	  0, 0 },
	{ "no domain", "other.example A 192.0.2.9\n", "", ALL, "", 0, 0 },
	{ "it takes no mail", DOMAIN " MX .\n", "", ALL, "", 0, 0 },

	{ "the record is broken", SPF(" ip4:192.0.2.1 ip4:192.0.2"), "",
	  BROKEN, DOMAIN ": a term is malformed: \"ip4:192.0.2\"", 0, 0 },
	{ "two records", SPF(" ip4:192.0.2.1") SPF(" -all"), "", BROKEN,
	  DOMAIN ": it has several SPF records", 0, 0 },
	{ "an include is broken: as far as it is reached",
	  SPF(" ip4:192.0.2.1 include:i.example ip4:192.0.2.2 a"
	      " redirect=x.example")
	  "i.example TXT v=spf1 nonsense\n",
	  "192.0.2.1", BROKEN,
	  "i.example: there is no such mechanism: \"nonsense\"", 0, 0 },
	{ "an include has no record",
	  SPF(" ip4:192.0.2.1 include:i.example ip4:192.0.2.2")
	  "i.example MX w.example\nw.example A 192.0.2.3\n",
	  "192.0.2.1", BROKEN, "i.example: it has no SPF record", 0, 0 },
	{ "a redirect leads nowhere",
	  SPF(" ip4:192.0.2.1 redirect=no.example"),
	  "192.0.2.1", BROKEN, "no.example: it has no SPF record", 0, 0 },
	{ "broken deep inside",
	  SPF(" include:i.example ip4:192.0.2.1")
	  "i.example TXT v=spf1 ip4:192.0.2.2 include:no.example"
	  " ip4:192.0.2.3\n",
	  "192.0.2.2", BROKEN, "no.example: it has no SPF record", 0, 0 },
	{ "more than ten mail hosts",
	  SPF(" mx ip4:192.0.2.1")
	  DOMAIN " MX a.example\n" DOMAIN " MX b.example\n"
	  DOMAIN " MX c.example\n" DOMAIN " MX d.example\n"
	  DOMAIN " MX e.example\n" DOMAIN " MX f.example\n"
	  DOMAIN " MX g.example\n" DOMAIN " MX h.example\n"
	  DOMAIN " MX i.example\n" DOMAIN " MX j.example\n"
	  DOMAIN " MX k.example\na.example A 192.0.2.2\n"
	  "k.example A 192.0.2.3\n",
	  "192.0.2.2", BROKEN, DOMAIN ": it has more than ten hosts", 0, 0 },

	{ "the DNS fails for the domain", DOMAIN " TXT !\n"
	  DOMAIN " MX w.example\nw.example A 192.0.2.1\n",
	  "", FAILS, DOMAIN SICK, 0, 0 },
	{ "for its mail hosts", DOMAIN " MX !\n", "", FAILS, DOMAIN SICK,
	  0, 0 },
	{ "for an include", SPF(" include:i.example ip4:192.0.2.1")
	  "i.example TXT !!\n",
	  "192.0.2.1", FAILS, "i.example" SICK, 0, 0 },
	{ "for one family", SPF(" a ip4:192.0.2.1") DOMAIN " A 192.0.2.2\n"
	  DOMAIN " AAAA !\n",
	  "192.0.2.1 192.0.2.2", FAILS, DOMAIN SICK, 0, 0 },
	{ "for one host of several", SPF(" mx") DOMAIN " MX one.example\n"
	  DOMAIN " MX two.example\none.example A !\ntwo.example A 192.0.2.2\n",
	  "192.0.2.2", FAILS, "one.example" SICK, 0, 0 },
	{ "behind what is broken",
	  SPF(" include:no.example include:i.example") "i.example TXT !\n",
	  "", BROKEN, "no.example: it has no SPF record", 0, 0 },
	{ "before what is broken",
	  SPF(" include:i.example include:no.example") "i.example TXT !\n",
	  "", FAILS, "i.example" SICK, 0, 0 },
	/* clang-format on */
};

START_TEST(finds)
{
	for (enum order order = FIRST_COME; order <= LAST_COME; order++) {
		const struct spf_networks_outcome outcome =
			run(cases[_i].zone, order);

		ck_assert_msg(strcmp(texts_of(&outcome), cases[_i].networks) ==
				      0,
			"%s: %s", cases[_i].name, texts_of(&outcome));
		ck_assert_msg(outcome.status == cases[_i].status, "%s: %d",
			cases[_i].name, (int)outcome.status);
		ck_assert_msg(slice_eq_text(outcome.problem, cases[_i].problem),
			"%s: %.*s", cases[_i].name, SLICE_ARG(outcome.problem));
		ck_assert_msg(outcome.n_dependent == cases[_i].n_dependent,
			"%s: %u depend", cases[_i].name, outcome.n_dependent);
		ck_assert_msg(outcome.n_unfit == cases[_i].n_unfit,
			"%s: %u unfit", cases[_i].name, outcome.n_unfit);
	}
}
END_TEST

START_TEST(holds_as_long_as_the_shortest_answer)
{
	struct spf_networks_outcome outcome = run(DOMAIN
		" TXT@7000 v=spf1 a -all\n" DOMAIN " A@600 192.0.2.1\n" DOMAIN
		" AAAA@900 2001:db8::1\n",
		FIRST_COME);

	ck_assert_uint_eq(outcome.ttl, 600);
	outcome = run(DOMAIN " TXT@7000 v=spf1 -all\n", FIRST_COME);
	ck_assert_uint_eq(outcome.ttl, 7000);
}
END_TEST

START_TEST(asks_what_it_needs_once)
{
	static const char zone[] = SPF(" mx a:w.example mx:x.example"
				       " include:i.example") DOMAIN
		" MX w.example\n"
		"x.example MX W.example\nw.example A 192.0.2.1\n"
		"i.example TXT v=spf1 a:w.example -all\n";

	run(zone, FIRST_COME);
	/* Two records, two lists of hosts, one host in two families. */
	ck_assert_uint_eq(n_asked, 6);
	ck_assert(slice_eq_text(asked[0]->name, DOMAIN));
	ck_assert_int_eq(asked[0]->type, DNS_TYPE_TXT);
}
END_TEST

/* RFC 8616, 4: nothing is to be found under the name as people write it. */
START_TEST(asks_for_a_labels)
{
	struct spf_networks *networks =
		spf_networks_new(arena, SLICE("B\xc3\xbcro.example"));
	struct spf_networks_outcome outcome;

	n_asked = n_waiting = 0;
	ck_assert(!spf_networks_collect(networks, &outcome));
	take_questions(networks);
	ck_assert_uint_eq(n_asked, 1);
	ck_assert(slice_eq_text(asked[0]->name, "xn--bro-hoa.example"));
}
END_TEST

START_TEST(asks_at_once_what_does_not_depend)
{
	struct spf_networks *networks;
	struct spf_networks_outcome outcome;
	struct reply reply;

	arena_reset(arena);
	n_asked = n_waiting = 0;
	networks = spf_networks_new(arena, SLICE(DOMAIN));
	ck_assert(!spf_networks_collect(networks, &outcome));
	take_questions(networks);
	ck_assert_uint_eq(n_asked, 1);
	look_up(SPF(" a include:i.example mx"), asked[0], &reply);
	spf_networks_answer(networks, asked[0], &reply.answer);
	ck_assert(!spf_networks_collect(networks, &outcome));
	take_questions(networks);
	ck_assert_uint_eq(n_asked, 5);
	ck_assert(!spf_networks_collect(networks, &outcome));
	take_questions(networks);
	ck_assert_uint_eq(n_asked, 5);
}
END_TEST

/* --- bounds ------------------------------------------------------------- */

START_TEST(questions_are_bounded)
{
	struct str zone;
	struct spf_networks_outcome outcome;

	str_init(&zone, 1 << 16);
	str_append_text(&zone, DOMAIN " TXT v=spf1");
	for (unsigned i = 0; i < 100; i++)
		str_printf(&zone, " include:i%u.example", i);
	str_append_text(&zone, " ip4:198.51.100.1 -all\n");
	for (unsigned i = 0; i < 100; i++)
		str_printf(&zone, "i%u.example TXT v=spf1 ip4:192.0.2.%u\n", i,
			i);
	for (enum order order = FIRST_COME; order <= LAST_COME; order++) {
		outcome = run(str_text(&zone), order);
		ck_assert_uint_eq(n_asked, SPF_NETWORKS_QUESTIONS_MAX);
		ck_assert_int_eq(outcome.status, SPF_NETWORKS_BROKEN);
		ck_assert(slice_starts(outcome.problem,
			SLICE(DOMAIN ": more names would have to be")));
		/* Those that could be asked, and what needs no answer. */
		ck_assert_uint_eq(outcome.n_networks,
			SPF_NETWORKS_QUESTIONS_MAX);
	}
	str_free(&zone);
}
END_TEST

/* Each record leads to the next: as deep as there are questions. */
START_TEST(depth_is_bounded)
{
	struct str zone;
	struct spf_networks_outcome outcome;

	str_init(&zone, 1 << 16);
	str_append_text(&zone, SPF(" redirect=i0.example"));
	for (unsigned i = 0; i < 1000; i++)
		str_printf(&zone,
			"i%u.example TXT v=spf1 include:i%u.example"
			" ip4:192.0.2.1\n",
			i, i + 1);
	outcome = run(str_text(&zone), FIRST_COME);
	ck_assert_uint_eq(n_asked, SPF_NETWORKS_QUESTIONS_MAX);
	ck_assert_int_eq(outcome.status, SPF_NETWORKS_BROKEN);
	ck_assert_uint_eq(outcome.n_networks, 1);
	str_free(&zone);
}
END_TEST

static void
append_many(struct str *zone, const char *name, unsigned from, unsigned n)
{
	str_printf(zone, "%s TXT v=spf1", name);
	for (unsigned i = from; i < from + n; i++)
		str_printf(zone, " ip4:10.%u.%u.1", i / 256, i % 256);
	str_append_text(zone, " include:more.example\n");
}

START_TEST(networks_are_bounded)
{
	struct str zone;
	struct spf_networks_outcome outcome;

	str_init(&zone, 1 << 20);
	append_many(&zone, DOMAIN, 0, 900);
	append_many(&zone, "more.example", 900, 900);
	outcome = run(str_text(&zone), FIRST_COME);
	ck_assert_int_eq(outcome.status, SPF_NETWORKS_ALL);
	ck_assert_uint_eq(outcome.n_networks, 1800);
	str_reset(&zone);
	str_append_text(&zone,
		SPF(" include:a.example include:b.example include:c.example"));
	append_many(&zone, "a.example", 0, 900);
	append_many(&zone, "b.example", 900, 900);
	append_many(&zone, "c.example", 1800, 900);
	str_append_text(&zone, "more.example TXT v=spf1 -all\n");
	outcome = run(str_text(&zone), FIRST_COME);
	ck_assert_int_eq(outcome.status, SPF_NETWORKS_BROKEN);
	ck_assert_uint_eq(outcome.n_networks, SPF_NETWORKS_MAX);
	str_free(&zone);
}
END_TEST

/* The largest records there are, in each question, fit into the arena. */
START_TEST(memory_is_bounded)
{
	struct str zone;

	str_init(&zone, 4 << 20);
	for (unsigned i = 0; i < SPF_NETWORKS_QUESTIONS_MAX; i++) {
		if (i == 0)
			str_append_text(&zone, DOMAIN);
		else
			str_printf(&zone, "i%u.example", i);
		str_printf(&zone, " TXT v=spf1 include:i%u.example", i + 1);
		for (unsigned at = 1; at < SPF_TERMS_MAX; at++)
			str_append_text(&zone, " ?a:%{d}.%{d}");
		str_append_char(&zone, '\n');
	}
	run(str_text(&zone), FIRST_COME);
	ck_assert_uint_eq(n_asked, SPF_NETWORKS_QUESTIONS_MAX);
	ck_assert_uint_lt(arena_used(arena), SPF_NETWORKS_ARENA_MAX);
	str_free(&zone);
}
END_TEST

/* --- main --------------------------------------------------------------- */

static void
set_up(void)
{
	arena = arena_new(SPF_NETWORKS_ARENA_MAX);
}

static void
tear_down(void)
{
	arena_free(arena);
}

int
main(void)
{
	Suite *suite = suite_create("spf_networks");
	TCase *tc = tcase_create("spf_networks");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, finds, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, holds_as_long_as_the_shortest_answer);
	tcase_add_test(tc, asks_what_it_needs_once);
	tcase_add_test(tc, asks_for_a_labels);
	tcase_add_test(tc, asks_at_once_what_does_not_depend);
	tcase_add_test(tc, questions_are_bounded);
	tcase_add_test(tc, depth_is_bounded);
	tcase_add_test(tc, networks_are_bounded);
	tcase_add_test(tc, memory_is_bounded);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
