#include "common/mail/dmarc_report.h"

#include <assert.h>

#define END "</feedback>\n"

/*
 * Of one piece. Each of a row's texts may be as long as six bytes for each of
 * its own ("&quot;"), and there are at most 3 * 8 + 4 + 4 of them.
 */
#define PIECE_MAX ((size_t)128 << 10)

/* What stands for a byte that has no place in XML. */
#define REPLACEMENT "\xef\xbf\xbd"

/* --- texts -------------------------------------------------------------- */

/* XML 1.0, 2.2: U+FFFE and U+FFFF are no characters. */
static bool
is_noncharacter(struct slice text, size_t at)
{
	return slice_starts(slice_from(text, at), SLICE("\xef\xbf\xbe")) ||
	       slice_starts(slice_from(text, at), SLICE("\xef\xbf\xbf"));
}

static void
append_character(struct str *out, struct slice character)
{
	switch (character.ptr[0]) {
	case '&':
		str_append_text(out, "&amp;");
		return;
	case '<':
		str_append_text(out, "&lt;");
		return;
	case '>':
		str_append_text(out, "&gt;");
		return;
	case '"':
		str_append_text(out, "&quot;");
		return;
	case '\'':
		str_append_text(out, "&apos;");
		return;
	default:
		str_append_slice(out, character);
	}
}

static void
append_escaped(struct str *out, struct slice text)
{
	text = slice_part(text, 0, DMARC_REPORT_TEXT_MAX);
	for (size_t at = 0; at < text.len;) {
		const size_t len = slice_shown_len(text, at);

		if (len == 0 || is_noncharacter(text, at))
			str_append_text(out, REPLACEMENT);
		else
			append_character(out, slice_part(text, at, at + len));
		at += len == 0 ? 1 : len;
	}
}

/* --- elements ----------------------------------------------------------- */

static void
indent(struct str *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		str_append_text(out, "  ");
}

static void
open_element(struct str *out, unsigned depth, const char *name)
{
	indent(out, depth);
	str_printf(out, "<%s>\n", name);
}

static void
close_element(struct str *out, unsigned depth, const char *name)
{
	indent(out, depth);
	str_printf(out, "</%s>\n", name);
}

static void
add_text(struct str *out, unsigned depth, const char *name, struct slice text)
{
	indent(out, depth);
	str_printf(out, "<%s>", name);
	append_escaped(out, text);
	str_printf(out, "</%s>\n", name);
}

static void
add_optional(struct str *out, unsigned depth, const char *name,
	struct slice text)
{
	if (text.len > 0)
		add_text(out, depth, name, text);
}

static void
add_word(struct str *out, unsigned depth, const char *name, const char *word)
{
	add_text(out, depth, name, slice_of(word));
}

static void
add_number(struct str *out, unsigned depth, const char *name, int64_t number)
{
	indent(out, depth);
	str_printf(out, "<%s>", name);
	str_append_i64(out, number);
	str_printf(out, "</%s>\n", name);
}

/* Moves a piece to where it goes, if it fits. */
static bool
move(struct str *piece, struct str *out)
{
	const bool fits = !piece->is_cut &&
			  out->len + piece->len + sizeof(END) - 1 <= out->limit;

	if (fits)
		str_append_slice(out, str_slice(piece));
	str_free(piece);
	return fits;
}

/* --- the head ----------------------------------------------------------- */

static void
add_metadata(struct str *out, const struct dmarc_report_head *head)
{
	open_element(out, 1, "report_metadata");
	add_text(out, 2, "org_name", head->org_name);
	add_text(out, 2, "email", head->email);
	add_optional(out, 2, "extra_contact_info", head->extra_contact_info);
	add_text(out, 2, "report_id", head->report_id);
	open_element(out, 2, "date_range");
	add_number(out, 3, "begin", head->begin);
	add_number(out, 3, "end", head->end);
	close_element(out, 2, "date_range");
	close_element(out, 1, "report_metadata");
}

static void
add_fo(struct str *out, unsigned fo)
{
	static const struct {
		unsigned flag;
		char letter;
	} options[] = { { DMARC_FO_ALL, '0' }, { DMARC_FO_ANY, '1' },
		{ DMARC_FO_DKIM, 'd' }, { DMARC_FO_SPF, 's' } };
	struct str text;

	str_init(&text, 2 * sizeof(options) / sizeof(options[0]));
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if ((fo & options[i].flag) == 0)
			continue;
		str_append_text(&text, text.len > 0 ? ":" : "");
		str_append_char(&text, options[i].letter);
	}
	add_text(out, 2, "fo", str_slice(&text));
	str_free(&text);
}

static void
add_published(struct str *out, const struct dmarc_report_head *head)
{
	const struct dmarc_record *record = head->record;

	open_element(out, 1, "policy_published");
	add_text(out, 2, "domain", head->domain);
	add_word(out, 2, "adkim", record->is_dkim_strict ? "s" : "r");
	add_word(out, 2, "aspf", record->is_spf_strict ? "s" : "r");
	add_word(out, 2, "p", dmarc_policy_name(record->p));
	add_word(out, 2, "sp", dmarc_policy_name(record->sp));
	add_number(out, 2, "pct", record->pct);
	add_fo(out, record->fo);
	close_element(out, 1, "policy_published");
}

/*
 * Without the namespace that the schema names: of those who write reports few
 * do it, and of those who read them few expect it.
 */
bool
dmarc_report_begin(struct str *out, const struct dmarc_report_head *head)
{
	struct str piece;

	str_init(&piece, PIECE_MAX);
	str_append_text(&piece, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
				"<feedback>\n");
	add_word(&piece, 1, "version", "1.0");
	add_metadata(&piece, head);
	add_published(&piece, head);
	return move(&piece, out);
}

/* --- a row -------------------------------------------------------------- */

static const char *
override_name(enum dmarc_report_override override)
{
	switch (override) {
	case DMARC_REPORT_FORWARDED:
		return "forwarded";
	case DMARC_REPORT_SAMPLED_OUT:
		return "sampled_out";
	case DMARC_REPORT_TRUSTED_FORWARDER:
		return "trusted_forwarder";
	case DMARC_REPORT_MAILING_LIST:
		return "mailing_list";
	case DMARC_REPORT_LOCAL_POLICY:
		return "local_policy";
	case DMARC_REPORT_OTHER:
		return "other";
	}
	return "";
}

static const char *
dkim_name(enum dmarc_report_dkim result)
{
	switch (result) {
	case DMARC_REPORT_DKIM_NONE:
		return "none";
	case DMARC_REPORT_DKIM_PASS:
		return "pass";
	case DMARC_REPORT_DKIM_FAIL:
		return "fail";
	case DMARC_REPORT_DKIM_POLICY:
		return "policy";
	case DMARC_REPORT_DKIM_NEUTRAL:
		return "neutral";
	case DMARC_REPORT_DKIM_TEMPERROR:
		return "temperror";
	case DMARC_REPORT_DKIM_PERMERROR:
		return "permerror";
	}
	return "";
}

static void
add_evaluated(struct str *out, const struct dmarc_report_row *row)
{
	open_element(out, 3, "policy_evaluated");
	add_word(out, 4, "disposition", dmarc_policy_name(row->disposition));
	add_word(out, 4, "dkim", row->is_dkim_aligned ? "pass" : "fail");
	add_word(out, 4, "spf", row->is_spf_aligned ? "pass" : "fail");
	for (size_t i = 0; i < row->n_reasons && i < DMARC_REPORT_REASONS_MAX;
		i++) {
		open_element(out, 4, "reason");
		add_word(out, 5, "type", override_name(row->reasons[i].type));
		add_optional(out, 5, "comment", row->reasons[i].comment);
		close_element(out, 4, "reason");
	}
	close_element(out, 3, "policy_evaluated");
}

static void
add_seen(struct str *out, const struct dmarc_report_row *row)
{
	char source[IP_TEXT_MAX];

	open_element(out, 2, "row");
	add_word(out, 3, "source_ip", ip_format(&row->source, source));
	add_number(out, 3, "count", (int64_t)row->count);
	add_evaluated(out, row);
	close_element(out, 2, "row");
}

static void
add_identifiers(struct str *out, const struct dmarc_report_row *row)
{
	open_element(out, 2, "identifiers");
	add_optional(out, 3, "envelope_to", row->envelope_to);
	add_text(out, 3, "envelope_from", row->envelope_from);
	add_text(out, 3, "header_from", row->header_from);
	close_element(out, 2, "identifiers");
}

static void
add_signature(struct str *out, const struct dmarc_report_signature *signature)
{
	open_element(out, 3, "dkim");
	add_text(out, 4, "domain", signature->domain);
	add_optional(out, 4, "selector", signature->selector);
	add_word(out, 4, "result", dkim_name(signature->result));
	add_optional(out, 4, "human_result", signature->human_result);
	close_element(out, 3, "dkim");
}

static void
add_results(struct str *out, const struct dmarc_report_row *row)
{
	open_element(out, 2, "auth_results");
	for (size_t i = 0; i < row->n_signatures && i < DMARC_REPORT_DKIM_MAX;
		i++)
		add_signature(out, &row->signatures[i]);
	open_element(out, 3, "spf");
	add_text(out, 4, "domain", row->spf_domain);
	add_word(out, 4, "scope", row->is_spf_of_helo ? "helo" : "mfrom");
	add_word(out, 4, "result", spf_result_name(row->spf));
	close_element(out, 3, "spf");
	close_element(out, 2, "auth_results");
}

bool
dmarc_report_add(struct str *out, const struct dmarc_report_row *row)
{
	struct str piece;

	assert(row->source.family != IP_NONE && row->count <= INT64_MAX);
	str_init(&piece, PIECE_MAX);
	open_element(&piece, 1, "record");
	add_seen(&piece, row);
	add_identifiers(&piece, row);
	add_results(&piece, row);
	close_element(&piece, 1, "record");
	return move(&piece, out);
}

/* There is room for it: move() sees to that. */
void
dmarc_report_end(struct str *out)
{
	str_append_text(out, END);
}
