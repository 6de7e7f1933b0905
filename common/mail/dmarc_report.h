#ifndef COMMON_MAIL_DMARC_REPORT_H
#define COMMON_MAIL_DMARC_REPORT_H

/*
 * An aggregate report as XML (RFC 7489, appendix C), written piece by piece:
 * its head, a row for each way in which mail was seen, its end. The caller may
 * take what is in the text at any time and go on with an empty one. Texts may
 * hold any byte: what XML does not know, or what should not be shown, becomes
 * U+FFFD.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/mail/dmarc_record.h"
#include "common/mail/ip.h"
#include "common/mail/spf_record.h"

/* Of each text; the rest of it is left out. */
#define DMARC_REPORT_TEXT_MAX 512u
/* Of a row: signatures and reasons beyond it are left out. */
#define DMARC_REPORT_DKIM_MAX    8u
#define DMARC_REPORT_REASONS_MAX 4u

struct dmarc_report_head {
	/* Who reports, and how he is reached; extra_contact_info may be "". */
	struct slice org_name, email, extra_contact_info;
	struct slice report_id;
	int64_t begin, end;  /* seconds since 1970 */
	struct slice domain; /* whose record it is */
	const struct dmarc_record *record;
};

/* RFC 8601, 2.7.1. */
enum dmarc_report_dkim {
	DMARC_REPORT_DKIM_NONE,
	DMARC_REPORT_DKIM_PASS,
	DMARC_REPORT_DKIM_FAIL,
	DMARC_REPORT_DKIM_POLICY,
	DMARC_REPORT_DKIM_NEUTRAL,
	DMARC_REPORT_DKIM_TEMPERROR,
	DMARC_REPORT_DKIM_PERMERROR,
};

/* Why something else was done than what the record asks for. */
enum dmarc_report_override {
	DMARC_REPORT_FORWARDED,
	DMARC_REPORT_SAMPLED_OUT,
	DMARC_REPORT_TRUSTED_FORWARDER,
	DMARC_REPORT_MAILING_LIST,
	DMARC_REPORT_LOCAL_POLICY,
	DMARC_REPORT_OTHER,
};

struct dmarc_report_reason {
	enum dmarc_report_override type;
	struct slice comment; /* "" for none */
};

struct dmarc_report_signature {
	struct slice domain, selector; /* d=, s= */
	enum dmarc_report_dkim result;
	struct slice human_result; /* "" for none */
};

struct dmarc_report_row {
	struct ip source;
	uint64_t count;
	enum dmarc_policy disposition;        /* what was done */
	bool is_dkim_aligned, is_spf_aligned; /* and passed */
	const struct dmarc_report_reason *reasons;
	size_t n_reasons;
	/* Domains; envelope_to may be "", envelope_from is of the null sender.
	 */
	struct slice envelope_to, envelope_from, header_from;
	const struct dmarc_report_signature *signatures;
	size_t n_signatures;
	struct slice spf_domain;
	bool is_spf_of_helo;
	enum spf_result spf;
};

/*
 * What does not fit below the limit of out, with the end behind it, is not
 * written at all: then false.
 */
bool dmarc_report_begin(struct str *out, const struct dmarc_report_head *head);
bool dmarc_report_add(struct str *out, const struct dmarc_report_row *row);
void dmarc_report_end(struct str *out);

#endif
