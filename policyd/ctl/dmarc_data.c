/*
 * "dmarc report": writes what policyd.dmarc_aggregate has of a domain and a
 * day as an aggregate report (RFC 7489, appendix C), into a file that is named
 * as that RFC wants it (7.2.1.1). It needs no daemon, but the database.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/mail/dmarc_report.h"
#include "common/mail/idn.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/gzip_file.h"
#include "policyd/ctl/local.h"
#include "policyd/facts/host.h"

#define DAY_S      86400
#define TIMEOUT_MS 60000
#define ERROR_MAX  512
/* Rows of one statement, see below. */
#define PAGE 1000
/* Text goes into the file when there is so much; no row takes as much more. */
#define PIECE   ((size_t)64 << 10)
#define XML_MAX ((size_t)4 << 20)

/* By ref on (day, policy_domain), as the next one. */
static const struct db_statement find_record = {
	.name = "dmarc_report_record",
	.sql = "SELECT record FROM dmarc_aggregate WHERE day = ?"
	       " AND policy_domain = ? GROUP BY record ORDER BY SUM(n) DESC,"
	       " record LIMIT 1",
	.access = DB_READS,
	.params = "us",
	.columns = "s",
};

/* A range on (day, policy_domain), behind which row_key stands, in order. */
static const struct db_statement read_rows = {
	.name = "dmarc_report_rows",
	.sql = "SELECT row_key, source_ip, header_from, envelope_from,"
	       " envelope_to, disposition, dkim_aligned, spf_aligned,"
	       " override_type, override_comment, spf_result, spf_domain,"
	       " spf_is_helo, dkim, n FROM dmarc_aggregate WHERE day = ?"
	       " AND policy_domain = ? AND row_key > ? ORDER BY row_key"
	       " LIMIT 1000",
	.access = DB_READS,
	.params = "uss",
	.columns = "ssssssuussssusu",
};

enum {
	ROW_KEY,
	ROW_SOURCE,
	ROW_HEADER_FROM,
	ROW_ENVELOPE_FROM,
	ROW_ENVELOPE_TO,
	ROW_DISPOSITION,
	ROW_DKIM_ALIGNED,
	ROW_SPF_ALIGNED,
	ROW_OVERRIDE,
	ROW_COMMENT,
	ROW_SPF,
	ROW_SPF_DOMAIN,
	ROW_SPF_IS_HELO,
	ROW_DKIM,
	ROW_N,
};

struct report {
	struct command *command;
	struct config *config;
	struct loop *loop;
	struct db *db;
	struct host_names *host_names;
	struct slice domain;
	int64_t begin;
	struct slice email;
	const char *path;
	/* Of the statement that ran last. */
	enum db_status status;
	char error[ERROR_MAX];
	bool has_record;
	struct slice record_text;
	size_t n_page;
	char last_key[64];
	/* What is written. */
	struct gzip_file *file;
	struct str xml;
	uint64_t n_messages, n_rows;
};

/* --- rows --------------------------------------------------------------- */

static enum dmarc_policy
read_policy(struct slice text)
{
	for (int i = DMARC_POLICY_NONE; i <= DMARC_POLICY_REJECT; i++)
		if (slice_eq_text(text,
			    dmarc_policy_name((enum dmarc_policy)i)))
			return (enum dmarc_policy)i;
	return DMARC_POLICY_NONE;
}

static enum spf_result
read_spf(struct slice text)
{
	for (int i = 0; i < SPF_RESULT_COUNT; i++)
		if (slice_eq_text(text, spf_result_name((enum spf_result)i)))
			return (enum spf_result)i;
	return SPF_NONE;
}

static enum dmarc_report_dkim
read_dkim(struct slice text)
{
	/* By enum dmarc_report_dkim. */
	static const char *const words[] = { "none", "pass", "fail", "policy",
		"neutral", "temperror", "permerror" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_eq_text(text, words[i]))
			return (enum dmarc_report_dkim)i;
	return DMARC_REPORT_DKIM_NONE;
}

static enum dmarc_report_override
read_override(struct slice text)
{
	if (slice_eq(text, SLICE("trusted_forwarder")))
		return DMARC_REPORT_TRUSTED_FORWARDER;
	if (slice_eq(text, SLICE("local_policy")))
		return DMARC_REPORT_LOCAL_POLICY;
	return DMARC_REPORT_OTHER;
}

/* Lines of "RESULT DOMAIN SELECTOR". */
static size_t
read_signatures(struct slice lines, struct dmarc_report_signature *out)
{
	struct slice line, result, domain, selector;
	size_t n = 0;

	while (n < DMARC_REPORT_DKIM_MAX && slice_split(&lines, '\n', &line)) {
		if (!slice_split(&line, ' ', &result) ||
			!slice_split(&line, ' ', &domain) || domain.len == 0)
			continue;
		selector = line;
		out[n++] = (struct dmarc_report_signature){ .domain = domain,
			.selector = selector,
			.result = read_dkim(result) };
	}
	return n;
}

static void
flush(struct report *report)
{
	gzip_file_add(report->file, str_slice(&report->xml));
	str_reset(&report->xml);
}

static void
add_row(struct report *report, const struct db_rows *rows, size_t i)
{
	struct dmarc_report_signature signatures[DMARC_REPORT_DKIM_MAX];
	const struct dmarc_report_reason reason = {
		.type = read_override(db_rows_text(rows, i, ROW_OVERRIDE)),
		.comment = db_rows_text(rows, i, ROW_COMMENT),
	};
	const struct slice spf_domain = db_rows_text(rows, i, ROW_SPF_DOMAIN);
	struct dmarc_report_row row = {
		.count = db_rows_u64(rows, i, ROW_N),
		.disposition =
			read_policy(db_rows_text(rows, i, ROW_DISPOSITION)),
		.is_dkim_aligned = db_rows_u64(rows, i, ROW_DKIM_ALIGNED) != 0,
		.is_spf_aligned = db_rows_u64(rows, i, ROW_SPF_ALIGNED) != 0,
		.reasons = &reason,
		.n_reasons = db_rows_text(rows, i, ROW_OVERRIDE).len > 0,
		.envelope_to = db_rows_text(rows, i, ROW_ENVELOPE_TO),
		.envelope_from = db_rows_text(rows, i, ROW_ENVELOPE_FROM),
		.header_from = db_rows_text(rows, i, ROW_HEADER_FROM),
		.signatures = signatures,
		.n_signatures = read_signatures(db_rows_text(rows, i, ROW_DKIM),
			signatures),
		.spf = read_spf(db_rows_text(rows, i, ROW_SPF)),
		.is_spf_of_helo = db_rows_u64(rows, i, ROW_SPF_IS_HELO) != 0,
	};

	row.spf_domain = spf_domain.len > 0 ? spf_domain : row.envelope_from;
	if (!ip_parse(db_rows_text(rows, i, ROW_SOURCE), &row.source))
		return;
	if (!dmarc_report_add(&report->xml, &row))
		return;
	report->n_rows++;
	report->n_messages += row.count;
	if (report->xml.len >= PIECE)
		flush(report);
}

/* --- statements --------------------------------------------------------- */

static void
take_status(struct report *report, const struct db_result *result)
{
	report->status = result->status;
	(void)snprintf(report->error, sizeof(report->error), "%s",
		result->error);
}

static void
on_record(void *arg, const struct db_result *result)
{
	struct report *report = arg;

	take_status(report, result);
	if (result->status != DB_OK || db_rows_count(result->rows) == 0)
		return;
	report->has_record = true;
	report->record_text = slice_copy(report->command->arena,
		db_rows_text(result->rows, 0, 0));
}

static void
on_rows(void *arg, const struct db_result *result)
{
	struct report *report = arg;
	struct slice key;

	take_status(report, result);
	report->n_page = 0;
	if (result->status != DB_OK)
		return;
	report->n_page = db_rows_count(result->rows);
	for (size_t i = 0; i < report->n_page; i++)
		add_row(report, result->rows, i);
	if (report->n_page == 0)
		return;
	key = db_rows_text(result->rows, report->n_page - 1, ROW_KEY);
	(void)snprintf(report->last_key, sizeof(report->last_key), "%.*s",
		SLICE_ARG(key));
}

static bool
run(struct report *report, const struct db_statement *statement,
	db_done_fn *done)
{
	const struct db_value values[] = {
		{ .number = (uint64_t)report->begin },
		{ .text = report->domain },
		{ .text = slice_of(report->last_key) },
	};

	db_run_and_wait(report->loop, report->db, statement, values, TIMEOUT_MS,
		done, report);
	if (report->status == DB_OK)
		return true;
	reply_error(report->command, COMMAND_EXIT_NO_DATABASE,
		"database policyd: %s", report->error);
	return false;
}

/* --- the file ----------------------------------------------------------- */

static struct slice
receiver(const struct report *report)
{
	const ptrdiff_t at = slice_find_last(report->email, '@');

	return slice_from(report->email, (size_t)(at + 1));
}

/* A host name may hold anything; a name of a file may not. */
static const char *
file_path(const struct report *report)
{
	const struct slice dir =
		command_argument_or(&report->command->request, "output", ".");
	char *name = arena_printf(report->command->arena,
		"%.*s!%.*s!%lld!%lld.xml.gz", SLICE_ARG(receiver(report)),
		SLICE_ARG(report->domain), (long long)report->begin,
		(long long)(report->begin + DAY_S - 1));

	for (char *c = name; *c != '\0'; c++)
		if (*c == '/')
			*c = '_';
	return arena_printf(report->command->arena, "%.*s/%s", SLICE_ARG(dir),
		name);
}

static void
write_head(struct report *report)
{
	const char *org = report->config->dmarc.report_org;
	struct dmarc_record record = { .pct = 100 };
	const char *err;
	struct dmarc_report_head head = {
		.org_name = org[0] != '\0' ? slice_of(org) : receiver(report),
		.email = report->email,
		.report_id = slice_of(arena_printf(report->command->arena,
			"%lld.%.*s", (long long)report->begin,
			SLICE_ARG(report->domain))),
		.begin = report->begin,
		.end = report->begin + DAY_S - 1,
		.domain = report->domain,
		.record = &record,
	};

	/* One that cannot be read asks for nothing. */
	if (dmarc_record_is(report->record_text))
		(void)dmarc_record_parse(report->command->arena,
			report->record_text, &record, &err);
	(void)dmarc_report_begin(&report->xml, &head);
}

static bool
write_report(struct report *report)
{
	write_head(report);
	do {
		if (!run(report, &read_rows, on_rows))
			return false;
	} while (report->n_page == PAGE);
	dmarc_report_end(&report->xml);
	flush(report);
	return true;
}

static void
tell(struct report *report)
{
	struct command *command = report->command;

	reply_fields(command, NULL, NULL);
	reply_field(command, "file", "File", REPLY_TEXT);
	reply_value(command, slice_of(report->path));
	reply_field(command, "messages", "Messages", REPLY_NUMBER);
	reply_unsigned(command, report->n_messages);
	reply_field(command, "rows", "Rows", REPLY_NUMBER);
	reply_unsigned(command, report->n_rows);
	reply_part_end(command);
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
make_file(struct report *report)
{
	int status;

	report->path = file_path(report);
	report->file = gzip_file_new(report->path);
	if (report->file == NULL) {
		reply_error(report->command, COMMAND_EXIT_USAGE, "%s: %s",
			report->path, strerror(errno));
		return;
	}
	if (!write_report(report)) {
		gzip_file_drop(report->file);
		return;
	}
	status = gzip_file_close(report->file);
	if (status == 0)
		tell(report);
	else
		reply_error(report->command, COMMAND_EXIT_USAGE, "%s: %s",
			report->path, strerror(errno));
}

/* --- begin and end ------------------------------------------------------ */

/* --day, or the last one that is over. */
static bool
read_day(struct report *report)
{
	const struct slice text =
		command_argument_or(&report->command->request, "day", "");
	struct tm day = { .tm_sec = 0 };
	const char *end;
	int month_day;

	report->begin = clock_wall() - DAY_S;
	report->begin -= report->begin % DAY_S;
	if (!command_argument_is_given(&report->command->request, "day"))
		return true;
	end = strptime(slice_copy(report->command->arena, text).ptr, "%Y-%m-%d",
		&day);
	month_day = day.tm_mday;
	/* One that there is not, as February 30th, becomes another. */
	if (end != NULL && *end == '\0') {
		report->begin = timegm(&day);
		if (day.tm_mday == month_day)
			return true;
	}
	reply_error(report->command, COMMAND_EXIT_USAGE,
		"--day: \"%.*s\" is not a day such as 2026-11-28",
		SLICE_ARG(text));
	return false;
}

static bool
read_domain(struct report *report)
{
	struct slice text =
		command_argument_or(&report->command->request, "domain", "");

	if (text.len > 0 &&
		idn_to_ascii(report->command->arena, text, &report->domain))
		return true;
	reply_error(report->command, COMMAND_EXIT_USAGE,
		"\"%.*s\" is not a domain such as example.com",
		SLICE_ARG(text));
	return false;
}

static void
find_email(struct report *report)
{
	const struct slice host = host_names_full(report->host_names);

	report->email = slice_of(report->config->dmarc.report_email);
	if (report->email.len == 0)
		report->email = slice_of(arena_printf(report->command->arena,
			"postmaster@%.*s",
			SLICE_ARG(host.len > 0 ? host : SLICE("localhost"))));
}

static void
connect_database(struct report *report)
{
	const struct config_db *from = &report->config->db[CONFIG_DB_POLICYD];
	struct db_config config = config_db_target(from);

	config.label = "policyd";
	config.connections = 1;
	config.connect_timeout_ms = TIMEOUT_MS;
	config.statement_timeout_ms = TIMEOUT_MS;
	config.queue_max = 1;
	config.remedy = config_db_remedy(CONFIG_DB_POLICYD);
	report->db = db_new(report->loop, &config);
}

static void
make_report(struct report *report)
{
	if (!run(report, &find_record, on_record))
		return;
	if (report->has_record)
		make_file(report);
	else
		reply_error(report->command, COMMAND_EXIT_NOT_FOUND,
			"nothing was seen of %.*s that day; \"policyctl dmarc "
			"list\" shows days and domains",
			SLICE_ARG(report->domain));
}

void
command_dmarc_report(struct command *command)
{
	struct report report = { .command = command };

	if (!read_domain(&report) || !read_day(&report))
		return;
	report.config = local_load_config(command, true);
	if (report.config == NULL)
		return;
	report.host_names = host_names_new();
	report.loop = loop_new();
	str_init(&report.xml, XML_MAX);
	find_email(&report);
	connect_database(&report);
	make_report(&report);
	db_free(report.db);
	str_free(&report.xml);
	loop_free(report.loop);
	host_names_free(report.host_names);
	config_unref(report.config);
}
