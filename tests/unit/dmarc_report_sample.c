/*
 * Writes an aggregate report with everything that one may hold, and texts that
 * need care, for tests/integration/test_dmarc_report.py.
 */

#include <stdio.h>
#include <stdlib.h>

#include "common/mail/dmarc_report.h"

#define REPORT_MAX ((size_t)1 << 20)
#define ODD        "a<b> & \"c\" 'd' ]]> \xc3\xa9 \x01\x1b\xff\xef\xbf\xbf\n"

static const struct dmarc_record record = {
	.p = DMARC_POLICY_REJECT,
	.sp = DMARC_POLICY_QUARANTINE,
	.has_sp = true,
	.is_spf_strict = true,
	.fo = DMARC_FO_ANY | DMARC_FO_DKIM,
	.pct = 100,
};

static const struct dmarc_report_head head = {
	.org_name = SLICE_INIT("Example & Sons"),
	.email = SLICE_INIT("dmarc@example.net"),
	.extra_contact_info = SLICE_INIT("https://example.net/?a=b&c=d"),
	.report_id = SLICE_INIT("1700000000.example.com"),
	.begin = 1700000000,
	.end = 1700086399,
	.domain = SLICE_INIT("example.com"),
	.record = &record,
};

static const struct dmarc_report_reason reasons[] = {
	{ DMARC_REPORT_TRUSTED_FORWARDER, SLICE_INIT(ODD) },
	{ DMARC_REPORT_MAILING_LIST, SLICE_INIT("") },
};

static const struct dmarc_report_signature signatures[] = {
	{ SLICE_INIT("example.com"), SLICE_INIT("s1"), DMARC_REPORT_DKIM_PASS,
		SLICE_INIT("") },
	{ SLICE_INIT("example.org"), SLICE_INIT("s2"), DMARC_REPORT_DKIM_FAIL,
		SLICE_INIT(ODD) },
};

static struct dmarc_report_row full = {
	.count = 3,
	.disposition = DMARC_POLICY_NONE,
	.is_dkim_aligned = true,
	.reasons = reasons,
	.n_reasons = 2,
	.envelope_to = SLICE_INIT("example.net"),
	.envelope_from = SLICE_INIT("bounce.example.com"),
	.header_from = SLICE_INIT("example.com"),
	.signatures = signatures,
	.n_signatures = 2,
	.spf_domain = SLICE_INIT("bounce.example.com"),
	.spf = SPF_SOFTFAIL,
};

static struct dmarc_report_row least = {
	.count = 1,
	.disposition = DMARC_POLICY_REJECT,
	.header_from = SLICE_INIT("a.example.com"),
	.spf_domain = SLICE_INIT("mail.example.net"),
	.is_spf_of_helo = true,
	.spf = SPF_NONE,
};

int
main(void)
{
	struct str out;
	bool is_written;

	str_init(&out, REPORT_MAX);
	is_written = ip_parse(SLICE("192.0.2.1"), &full.source) &&
		     ip_parse(SLICE("2001:db8::1"), &least.source) &&
		     dmarc_report_begin(&out, &head) &&
		     dmarc_report_add(&out, &full) &&
		     dmarc_report_add(&out, &least);
	dmarc_report_end(&out);
	is_written =
		fwrite(out.data, 1, out.len, stdout) == out.len && is_written;
	str_free(&out);
	return is_written ? EXIT_SUCCESS : EXIT_FAILURE;
}
