#include "common/mail/dmarc_report.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (int)(sizeof(array) / sizeof((array)[0]))
#define REPORT_MAX      ((size_t)256 << 10)

static struct str out;
static struct dmarc_record record;
static struct dmarc_report_head head;
static struct dmarc_report_row row;

static void
begin(void)
{
	str_init(&out, REPORT_MAX);
	record = (struct dmarc_record){ .fo = DMARC_FO_ALL, .pct = 100 };
	head = (struct dmarc_report_head){ .org_name = SLICE("Us"),
		.email = SLICE("a@b.example"),
		.report_id = SLICE("1"),
		.begin = 10,
		.end = 20,
		.domain = SLICE("example.com"),
		.record = &record };
	row = (struct dmarc_report_row){ .count = 2,
		.header_from = SLICE("example.com"),
		.spf_domain = SLICE("example.net"),
		.spf = SPF_PASS };
	ck_assert(ip_parse(SLICE("192.0.2.1"), &row.source));
}

static void
end(void)
{
	str_free(&out);
}

#define HEAD                                           \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
	"<feedback>\n"                                 \
	"  <version>1.0</version>\n"                   \
	"  <report_metadata>\n"                        \
	"    <org_name>Us</org_name>\n"                \
	"    <email>a@b.example</email>\n"             \
	"    <report_id>1</report_id>\n"               \
	"    <date_range>\n"                           \
	"      <begin>10</begin>\n"                    \
	"      <end>20</end>\n"                        \
	"    </date_range>\n"                          \
	"  </report_metadata>\n"                       \
	"  <policy_published>\n"                       \
	"    <domain>example.com</domain>\n"           \
	"    <adkim>r</adkim>\n"                       \
	"    <aspf>r</aspf>\n"                         \
	"    <p>none</p>\n"                            \
	"    <sp>none</sp>\n"                          \
	"    <pct>100</pct>\n"                         \
	"    <fo>0</fo>\n"                             \
	"  </policy_published>\n"
#define ROW                                              \
	"  <record>\n"                                   \
	"    <row>\n"                                    \
	"      <source_ip>192.0.2.1</source_ip>\n"       \
	"      <count>2</count>\n"                       \
	"      <policy_evaluated>\n"                     \
	"        <disposition>none</disposition>\n"      \
	"        <dkim>fail</dkim>\n"                    \
	"        <spf>fail</spf>\n"                      \
	"      </policy_evaluated>\n"                    \
	"    </row>\n"                                   \
	"    <identifiers>\n"                            \
	"      <envelope_from></envelope_from>\n"        \
	"      <header_from>example.com</header_from>\n" \
	"    </identifiers>\n"                           \
	"    <auth_results>\n"                           \
	"      <spf>\n"                                  \
	"        <domain>example.net</domain>\n"         \
	"        <scope>mfrom</scope>\n"                 \
	"        <result>pass</result>\n"                \
	"      </spf>\n"                                 \
	"    </auth_results>\n"                          \
	"  </record>\n"
#define END "</feedback>\n"

START_TEST(writes_a_report)
{
	ck_assert(dmarc_report_begin(&out, &head));
	ck_assert(dmarc_report_add(&out, &row));
	dmarc_report_end(&out);
	ck_assert_str_eq(str_text(&out), HEAD ROW END);
}
END_TEST

/* Somebody compresses what is there meanwhile. */
START_TEST(is_written_piece_by_piece)
{
	ck_assert(dmarc_report_begin(&out, &head));
	ck_assert_str_eq(str_text(&out), HEAD);
	str_reset(&out);
	for (int i = 0; i < 3; i++) {
		ck_assert(dmarc_report_add(&out, &row));
		ck_assert_str_eq(str_text(&out), ROW);
		str_reset(&out);
	}
	dmarc_report_end(&out);
	ck_assert_str_eq(str_text(&out), END);
}
END_TEST

/* A row is there as a whole or not at all, and the end always is. */
START_TEST(what_does_not_fit_is_left_out)
{
	const size_t len = sizeof(HEAD ROW END) - 1;

	str_init(&out, len);
	ck_assert(dmarc_report_begin(&out, &head));
	ck_assert(dmarc_report_add(&out, &row));
	ck_assert(!dmarc_report_add(&out, &row));
	dmarc_report_end(&out);
	ck_assert(!out.is_cut);
	ck_assert_str_eq(str_text(&out), HEAD ROW END);
	str_free(&out);

	str_init(&out, len - 1);
	ck_assert(dmarc_report_begin(&out, &head));
	ck_assert(!dmarc_report_add(&out, &row));
	dmarc_report_end(&out);
	ck_assert_str_eq(str_text(&out), HEAD END);
	str_free(&out);

	str_init(&out, sizeof(HEAD END) - 2);
	ck_assert(!dmarc_report_begin(&out, &head));
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

static const struct {
	const char *text, *written;
} texts[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "<&>\"'", "&lt;&amp;&gt;&quot;&apos;" },
	{ "]]>", "]]&gt;" },
	{ "&amp;", "&amp;amp;" },
	{ "\xc3\xa9\xf0\x9f\x93\xa7", "\xc3\xa9\xf0\x9f\x93\xa7" },
	{ "a\tb\nc\x1b[m", "a\xef\xbf\xbd"
			   "b\xef\xbf\xbd"
			   "c\xef\xbf\xbd[m" },
	{ "\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xef\xbf\xbe\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xc2\x85", "\xef\xbf\xbd\xef\xbf\xbd" },
};

START_TEST(any_text_can_be_written)
{
	struct str expected;

	str_init(&expected, REPORT_MAX);
	str_printf(&expected, "<org_name>%s</org_name>\n", texts[_i].written);
	head.org_name = slice_of(texts[_i].text);
	ck_assert(dmarc_report_begin(&out, &head));
	ck_assert_ptr_nonnull(strstr(str_text(&out), str_text(&expected)));
	str_free(&expected);
}
END_TEST

/* All at their bounds, and each byte the longest that there is. */
START_TEST(the_longest_row_fits)
{
	char quotes[2 * DMARC_REPORT_TEXT_MAX];
	const struct slice text = { quotes, sizeof(quotes) };
	struct dmarc_report_reason reasons[2 * DMARC_REPORT_REASONS_MAX];
	struct dmarc_report_signature signatures[2 * DMARC_REPORT_DKIM_MAX];
	const char *at;
	size_t n = 0;

	memset(quotes, '"', sizeof(quotes));
	for (size_t i = 0; i < 2 * DMARC_REPORT_REASONS_MAX; i++)
		reasons[i] = (struct dmarc_report_reason){ DMARC_REPORT_OTHER,
			text };
	for (size_t i = 0; i < 2 * DMARC_REPORT_DKIM_MAX; i++)
		signatures[i] = (struct dmarc_report_signature){ text, text,
			DMARC_REPORT_DKIM_PASS, text };
	row.reasons = reasons;
	row.n_reasons = 2 * DMARC_REPORT_REASONS_MAX;
	row.signatures = signatures;
	row.n_signatures = 2 * DMARC_REPORT_DKIM_MAX;
	row.envelope_to = row.envelope_from = row.header_from = row.spf_domain =
		text;
	ck_assert(dmarc_report_add(&out, &row));
	for (at = str_text(&out); (at = strstr(at, "&quot;")) != NULL; at++)
		n++;
	ck_assert_uint_eq(n,
		DMARC_REPORT_TEXT_MAX * (DMARC_REPORT_REASONS_MAX +
						3 * DMARC_REPORT_DKIM_MAX + 4));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dmarc_report");
	TCase *tcase = tcase_create("dmarc_report");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, writes_a_report);
	tcase_add_test(tcase, is_written_piece_by_piece);
	tcase_add_test(tcase, what_does_not_fit_is_left_out);
	tcase_add_loop_test(tcase, any_text_can_be_written, 0, COUNT_OF(texts));
	tcase_add_test(tcase, the_longest_row_fits);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
