#include "common/mail/dmarc_record.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX        ((size_t)4 << 10)
/* Two lists of addresses. */
#define ROOM ((size_t)16 << 10)

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
	{ "v=DMARC1", true },
	{ "v=DMARC1;", true },
	{ "v=DMARC1; p=none", true },
	{ "v=DMARC1;p=none", true },
	{ "v = DMARC1 ; p = none", true },
	{ "V=DMARC1; p=none", true },
	{ " \tv=DMARC1; p=none", true },
	{ "v=DMARC1; no such thing", true },
	{ "", false },
	{ "v=DMARC", false },
	{ "v=DMARC12; p=none", false },
	{ "v=dmarc1; p=none", false },
	{ "v=DMARC1 p=none", false },
	{ "v=DMARC1, p=none", false },
	{ "v==DMARC1; p=none", false },
	{ "DMARC1; p=none", false },
	{ "p=none; v=DMARC1", false },
	{ "; v=DMARC1; p=none", false },
	{ "\"v=DMARC1; p=none\"", false },
	{ "v=spf1 -all", false },
	{ "v=DKIM1; p=none", false },
};

START_TEST(knows_a_record)
{
	ck_assert_msg(dmarc_record_is(slice_of(texts[_i].text)) ==
			      texts[_i].is_one,
		"%s", texts[_i].text);
}
END_TEST

/* --- what is understood ------------------------------------------------- */

static void
show_uris(struct str *out, const char *name, const struct dmarc_uri *uris,
	size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_printf(out, " %s:%.*s", name, SLICE_ARG(uris[i].address));
		if (uris[i].size_max > 0)
			str_printf(out, "!%llu",
				(unsigned long long)uris[i].size_max);
	}
}

static void
show_fo(struct str *out, unsigned fo)
{
	if (fo == DMARC_FO_ALL)
		return;
	str_append_text(out, " fo:");
	for (size_t i = 0; i < 4; i++)
		if ((fo & 1u << i) != 0)
			str_append_char(out, "01ds"[i]);
}

/* What is not the default, the policies first. */
static void
show(struct str *out, const struct dmarc_record *record)
{
	str_printf(out, "%s/%s%s/%s%s", dmarc_policy_name(record->p),
		dmarc_policy_name(record->sp), record->has_sp ? "" : "-",
		dmarc_policy_name(record->np), record->has_np ? "" : "-");
	str_append_text(out, record->is_dkim_strict ? " adkim" : "");
	str_append_text(out, record->is_spf_strict ? " aspf" : "");
	str_append_text(out, record->is_test ? " t" : "");
	if (record->psd != DMARC_PSD_UNKNOWN)
		str_printf(out, " psd:%c",
			record->psd == DMARC_PSD_YES ? 'y' : 'n');
	show_fo(out, record->fo);
	show_uris(out, "rua", record->rua, record->n_rua);
	show_uris(out, "ruf", record->ruf, record->n_ruf);
	if (record->pct != 100)
		str_printf(out, " pct:%u", record->pct);
	if (record->ri != 86400)
		str_printf(out, " ri:%u", (unsigned)record->ri);
}

struct row {
	const char *name, *tags; /* behind "v=DMARC1" */
	const char *shown;       /* "! ..." when it is of no use */
};

static const struct row rows[] = {
	{ "a policy", "; p=none", "none/none-/none-" },
	{ "another", "; p=quarantine", "quarantine/quarantine-/quarantine-" },
	{ "the third", "; p=reject;", "reject/reject-/reject-" },
	{ "of subdomains", "; p=reject; sp=quarantine",
		"reject/quarantine/quarantine-" },
	{ "of what does not exist", "; p=none; np=reject",
		"none/none-/reject" },
	{ "all three", ";p=none;sp=quarantine;np=reject",
		"none/quarantine/reject" },
	{ "in any order", "; np=reject; sp=quarantine; p=none",
		"none/quarantine/reject" },
	{ "blanks", " ;\tp \t=  reject\t ;  sp=none;  ", "reject/none/none-" },
	{ "case", "; P=Reject; ADKIM=S; aSpf=R; Psd=Y; T=Y",
		"reject/reject-/reject- adkim t psd:y" },
	{ "alignment", "; p=none; adkim=s; aspf=s",
		"none/none-/none- adkim aspf" },
	{ "relaxed by name", "; p=none; adkim=r; aspf=r", "none/none-/none-" },
	{ "no suffix", "; p=none; psd=n", "none/none-/none- psd:n" },
	{ "perhaps a suffix", "; p=none; psd=u", "none/none-/none-" },
	{ "no test", "; p=none; t=n", "none/none-/none-" },

	{ "no policy, a report", "; rua=mailto:a@b.example",
		"none/none-/none- rua:a@b.example" },
	{ "only others, a report",
		"; sp=reject; np=reject; rua=mailto:a@b.example",
		"none/none-/none- rua:a@b.example" },
	{ "a bad policy, a report", "; p=deny; rua=mailto:a@b.example",
		"none/none-/none- rua:a@b.example" },
	{ "a bad sp, a report",
		"; p=reject; sp=; np=reject; rua=mailto:a@b.example",
		"none/none-/none- rua:a@b.example" },
	{ "a bad np, a report",
		"; p=reject; sp=reject; np=x; rua=mailto:a@b.example",
		"none/none-/none- rua:a@b.example" },
	{ "a report by other means", "; rua=https://b.example/in",
		"none/none-/none-" },
	{ "a record alone", "",
		"! it has no policy, and nobody wants a report" },
	{ "no policy", "; adkim=s",
		"! it has no policy, and nobody wants a report" },
	{ "no policy, no report that can be sent", "; rua=nobody",
		"! it has no policy, and nobody wants a report" },
	{ "failure reports are no reports", "; ruf=mailto:a@b.example",
		"! it has no policy, and nobody wants a report" },
	{ "a bad policy", "; p=rejected",
		"! one of its policies is not none, quarantine or reject" },
	{ "an empty policy", "; p=",
		"! one of its policies is not none, quarantine or reject" },
	{ "a bad sp", "; p=reject; sp=all",
		"! one of its policies is not none, quarantine or reject" },
	{ "a bad np", "; p=reject; np=all",
		"! one of its policies is not none, quarantine or reject" },

	{ "unknown tags", "; p=none; x=y; rf=afrf; foo", "none/none-/none-" },
	{ "what is no tag", "; ; p=none;; =; nothing ;", "none/none-/none-" },
	{ "the first of two", "; p=reject; p=none; adkim=r; adkim=s",
		"reject/reject-/reject-" },
	{ "the first of two, bad", "; p=x; p=none",
		"! one of its policies is not none, quarantine or reject" },
	{ "words that are none",
		"; p=none; adkim=strict; aspf=; psd=yes; t=1; fo=2; pct=101; "
		"ri=x",
		"none/none-/none-" },
	{ "bytes", "; p=none; t=\x80; adkim=s\x01", "none/none-/none-" },

	{ "failure reports", "; p=none; fo=1", "none/none-/none- fo:1" },
	{ "several", "; p=none; fo= 0 : d : s", "none/none-/none- fo:0ds" },
	{ "of both", "; p=none; fo=0:1:d:s", "none/none-/none- fo:01ds" },
	{ "one of them unknown", "; p=none; fo=1:x", "none/none-/none-" },
	{ "numbers of RFC 7489", "; p=none; pct=0; ri=3600",
		"none/none-/none- pct:0 ri:3600" },
	{ "numbers out of bounds", "; p=none; pct=-1; ri=4294967296",
		"none/none-/none-" },
};

START_TEST(understands_a_record)
{
	struct dmarc_record record;
	const char *err;
	struct str text, shown;
	int status;

	str_init(&text, TEXT_MAX);
	str_init(&shown, TEXT_MAX);
	str_printf(&text, "v=DMARC1%s", rows[_i].tags);
	ck_assert(dmarc_record_is(str_slice(&text)));
	status = dmarc_record_parse(arena, str_slice(&text), &record, &err);
	ck_assert((status < 0) == (err != NULL));
	if (status < 0)
		str_printf(&shown, "! %s", err);
	else
		show(&shown, &record);
	ck_assert_msg(slice_eq_text(str_slice(&shown), rows[_i].shown),
		"%s: %s", rows[_i].name, str_text(&shown));
	str_free(&text);
	str_free(&shown);
}
END_TEST

/* --- where reports go --------------------------------------------------- */

static const struct row uri_rows[] = {
	{ "one", "mailto:a@b.example", " rua:a@b.example" },
	{ "two", "mailto:a@b.example , MAILTO:c@d.example",
		" rua:a@b.example rua:c@d.example" },
	{ "others between", "https://x.example/,mailto:a@b.example,ftp:x",
		" rua:a@b.example" },
	{ "a size", "mailto:a@b.example!10m,mailto:c@d.example!50",
		" rua:a@b.example!10485760 rua:c@d.example!50" },
	{ "sizes",
		"mailto:a@b.x!1K,mailto:a@b.x!2m,mailto:a@b.x!3g,"
		"mailto:a@b.x!4t",
		" rua:a@b.x!1024 rua:a@b.x!2097152 rua:a@b.x!3221225472 "
		"rua:a@b.x!4398046511104" },
	{ "no size", "mailto:a@b.x!,mailto:a@b.x!k,mailto:a@b.x!1x", "" },
	{ "more than there are", "mailto:a@b.x!99999999999999999999", "" },
	{ "encoded", "mailto:a%21%2Cb@b.example,mailto:%61@b.example",
		" rua:a@b.example" },
	{ "a local part with a mark", "mailto:a%21b@b.example",
		" rua:a!b@b.example" },
	{ "fields", "mailto:a@b.example?subject=x%20y", " rua:a@b.example" },
	{ "half an escape", "mailto:a%2@b.x,mailto:a@b.x%,mailto:%zz@b.x", "" },
	{ "lines", "mailto:a%0D%0Ab@b.example,mailto:a@b.example%0a", "" },
	{ "quotes", "mailto:%22a%22@b.example", "" },
	{ "brackets", "mailto:%3Ca@b.example%3E", "" },
	{ "not ASCII", "mailto:%C3%A9@b.example,mailto:\xc3\xa9@b.example",
		"" },
	{ "no address", "mailto:,mailto:a,mailto:@b.x,mailto:a@", "" },
	{ "no scheme", "a@b.example,:a@b.example,7mailto:a@b.example", "" },
	{ "blanks inside", "mailto: a@b.example", "" },
	{ "nothing", ",,", "" },
};

static struct dmarc_record
parse(const struct str *text)
{
	struct dmarc_record record;
	const char *err;

	ck_assert_int_eq(
		dmarc_record_parse(arena, str_slice(text), &record, &err), 0);
	return record;
}

START_TEST(keeps_addresses_for_reports)
{
	struct dmarc_record record;
	struct str text, shown;

	str_init(&text, TEXT_MAX);
	str_init(&shown, TEXT_MAX);
	str_printf(&text, "v=DMARC1; p=none; rua=%s", uri_rows[_i].tags);
	record = parse(&text);
	show_uris(&shown, "rua", record.rua, record.n_rua);
	ck_assert_msg(slice_eq_text(str_slice(&shown), uri_rows[_i].shown),
		"%s:%s", uri_rows[_i].name, str_text(&shown));
	str_free(&text);
	str_free(&shown);
}
END_TEST

START_TEST(keeps_no_more_addresses_than_its_bound)
{
	struct dmarc_record record;
	struct str text;

	str_init(&text, TEXT_MAX);
	str_append_text(&text, "v=DMARC1; p=none; ruf=mailto:x@b.example");
	for (int i = 0; i < 20; i++)
		str_printf(&text, ",mailto:a%d@b.example", i);
	record = parse(&text);
	ck_assert_uint_eq(record.n_ruf, DMARC_URIS_MAX);
	ck_assert(slice_eq_text(record.ruf[0].address, "x@b.example"));
	ck_assert(slice_eq_text(record.ruf[9].address, "a8@b.example"));
	ck_assert_uint_eq(record.n_rua, 0);
	str_free(&text);
}
END_TEST

/* An address of len octets. */
static void
make_address(struct str *out, size_t len)
{
	str_reset(out);
	str_append_text(out, "v=DMARC1; p=none; rua=mailto:");
	for (size_t i = 0; i < len - sizeof("@b.example") + 1; i++)
		str_append_char(out, 'a');
	str_append_text(out, "@b.example");
}

START_TEST(keeps_no_address_that_is_too_long)
{
	struct str text;

	str_init(&text, TEXT_MAX);
	make_address(&text, DMARC_ADDRESS_MAX);
	ck_assert_uint_eq(parse(&text).n_rua, 1);
	make_address(&text, DMARC_ADDRESS_MAX + 1);
	ck_assert_uint_eq(parse(&text).n_rua, 0);
	str_free(&text);
}
END_TEST

START_TEST(a_record_has_a_greatest_length)
{
	struct dmarc_record record;
	const char *err;
	struct str text;

	str_init(&text, DMARC_RECORD_MAX + 1);
	str_append_text(&text, "v=DMARC1; p=reject; psd=n; x=");
	while (text.len < DMARC_RECORD_MAX)
		str_append_char(&text, 'x');
	ck_assert_int_eq(parse(&text).p, DMARC_POLICY_REJECT);
	str_append_char(&text, 'x');
	ck_assert_int_lt(
		dmarc_record_parse(arena, str_slice(&text), &record, &err), 0);
	ck_assert_str_eq(err, "the record is too long");
	ck_assert_int_eq(record.p, DMARC_POLICY_NONE);
	str_free(&text);
}
END_TEST

/* A name above others stays that whatever its policy is. */
START_TEST(a_useless_record_says_what_it_is)
{
	struct dmarc_record record;
	const char *err;

	ck_assert_int_lt(dmarc_record_parse(arena,
				 SLICE("v=DMARC1; p=x; psd=y"), &record, &err),
		0);
	ck_assert_int_eq(record.psd, DMARC_PSD_YES);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dmarc_record");
	TCase *tcase = tcase_create("dmarc_record");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, knows_a_record, 0, COUNT_OF(texts));
	tcase_add_loop_test(tcase, understands_a_record, 0, COUNT_OF(rows));
	tcase_add_loop_test(tcase, keeps_addresses_for_reports, 0,
		COUNT_OF(uri_rows));
	tcase_add_test(tcase, keeps_no_more_addresses_than_its_bound);
	tcase_add_test(tcase, keeps_no_address_that_is_too_long);
	tcase_add_test(tcase, a_record_has_a_greatest_length);
	tcase_add_test(tcase, a_useless_record_says_what_it_is);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
