/*
 * "migrate from sqlgrey": the tables of SQLgrey in MariaDB, and its
 * white-lists of clients.
 */

#include <string.h>

#include "common/base/mem.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/ctl/import.h"

#define WHITELISTS_DIR "/etc/sqlgrey"
#define PAGE_ROWS      10000u
#define NOBODY         "-undef-" /* a null sender, in SQLgrey's tables */

#define CONNECT   "SQLgrey connect"
#define FROM_AWL  "SQLgrey from_awl"
#define DOMAIN    "SQLgrey domain_awl"
#define OPT       "SQLgrey opt-in and opt-out"
#define WHITELIST "SQLgrey whitelists"

/* A table that is read page by page. */
struct page {
	struct import *import;
	const char *from;
	bool has_passed;
	uint64_t n_rows; /* of the last page */
};

enum {
	COLUMN_NAME,
	COLUMN_DOMAIN,
	COLUMN_CLIENT,
	COLUMN_RECIPIENT,
	COLUMN_FIRST,
	COLUMN_LAST
};

/* A time that the server has none for is 0, long expired. */
#define TIME(column) "IFNULL(UNIX_TIMESTAMP(" column "), 0)"
#define PAGE         " LIMIT ? OFFSET ?"

static const struct db_statement read_connect = {
	.name = "sqlgrey_connect",
	.sql = "SELECT sender_name, sender_domain, src, rcpt, " TIME(
		"first_seen") ", " TIME("first_seen") " FROM connect"
						      " ORDER BY src,"
						      " sender_domain,"
						      " sender_name, rcpt,"
						      " first_seen" PAGE,
	.access = DB_READS,
	.params = "uu",
	.columns = "ssssii",
};

static const struct db_statement read_from_awl = {
	.name = "sqlgrey_from_awl",
	.sql = "SELECT sender_name, sender_domain, src, '', " TIME(
		"first_seen") ", " TIME("last_seen") " FROM from_awl"
						     " ORDER BY src,"
						     " sender_domain,"
						     " sender_name" PAGE,
	.access = DB_READS,
	.params = "uu",
	.columns = "ssssii",
};

static const struct db_statement read_domain_awl = {
	.name = "sqlgrey_domain_awl",
	.sql = "SELECT '', sender_domain, src, '', " TIME(
		"first_seen") ", " TIME("last_seen") " FROM domain_awl"
						     " ORDER BY src,"
						     " sender_domain" PAGE,
	.access = DB_READS,
	.params = "uu",
	.columns = "ssssii",
};

static void
on_page(void *arg, const struct db_result *result)
{
	struct page *page = arg;

	page->n_rows = db_rows_count(result->rows);
	for (size_t i = 0; i < page->n_rows; i++) {
		const struct db_rows *rows = result->rows;
		const struct slice domain =
			db_rows_text(rows, i, COLUMN_DOMAIN);
		struct import_triplet triplet = {
			.client = db_rows_text(rows, i, COLUMN_CLIENT),
			.recipient = db_rows_text(rows, i, COLUMN_RECIPIENT),
			.first = db_rows_i64(rows, i, COLUMN_FIRST),
			.last = db_rows_i64(rows, i, COLUMN_LAST),
			.has_passed = page->has_passed,
		};

		if (!slice_eq_text(domain, NOBODY))
			triplet.sender = slice_of(arena_printf(
				page->import->arena, "%.*s@%.*s",
				SLICE_ARG(db_rows_text(rows, i, COLUMN_NAME)),
				SLICE_ARG(domain)));
		import_tracking(page->import, page->from, &triplet);
	}
}

static bool
read_table(struct import *import, const char *from,
	const struct db_statement *statement, bool has_passed)
{
	struct page page = { import, from, has_passed, 0 };
	struct db_value values[2] = { { .number = PAGE_ROWS },
		{ .number = 0 } };

	do {
		if (!import_read(import, statement, values, on_page, &page))
			return false;
		values[1].number += page.n_rows;
	} while (page.n_rows == PAGE_ROWS);
	return true;
}

/* --- opt-in and opt-out ------------------------------------------------- */

/* In order: of an address in both tables the first counts. */
static const struct opt_table {
	const char *method;
	bool is_active;
	struct db_statement statement;
} opt_tables[] = {
#define OPT_TABLE(method_, active_, table_, sql_)                         \
	{                                                                 \
		(method_), (active_),                                     \
		{                                                         \
			.name = "sqlgrey_" table_, .sql = sql_,           \
			.access = DB_READS, .params = "", .columns = "s", \
		}                                                         \
	}
	OPT_TABLE("optout", false, "optout_email",
		"SELECT email FROM optout_email"),
	OPT_TABLE("optout", true, "optin_email",
		"SELECT email FROM optin_email"),
	OPT_TABLE("optout", false, "optout_domain",
		"SELECT CONCAT('@', domain) FROM optout_domain"),
	OPT_TABLE("optin", true, "optin_email",
		"SELECT email FROM optin_email"),
	OPT_TABLE("optin", false, "optout_email",
		"SELECT email FROM optout_email"),
	OPT_TABLE("optin", true, "optin_domain",
		"SELECT CONCAT('@', domain) FROM optin_domain"),
#undef OPT_TABLE
};

struct opt_reading {
	struct import *import;
	bool is_active;
};

static void
on_opt(void *arg, const struct db_result *result)
{
	const struct opt_reading *reading = arg;

	for (size_t i = 0; i < db_rows_count(result->rows); i++)
		import_setting(reading->import, OPT,
			db_rows_text(result->rows, i, 0), reading->is_active);
}

static bool
read_opt_tables(struct import *import)
{
	struct slice method = command_argument_or(&import->command->request,
		"opt_method", "none");

	if (!slice_eq_text(method, "none") && !slice_eq_text(method, "optin") &&
		!slice_eq_text(method, "optout")) {
		reply_error(import->command, COMMAND_EXIT_USAGE,
			"--opt-method is none, optin or optout, as optmethod "
			"in sqlgrey.conf");
		import->is_ended = true;
		return false;
	}
	for (size_t i = 0; i < sizeof(opt_tables) / sizeof(opt_tables[0]);
		i++) {
		struct opt_reading reading = { import,
			opt_tables[i].is_active };

		if (slice_eq_text(method, opt_tables[i].method) &&
			!import_read(import, &opt_tables[i].statement, NULL,
				on_opt, &reading))
			return false;
	}
	if (slice_eq_text(method, "optin"))
		import_drop(import, OPT,
			"greylisting is to be off for all others: policyctl "
			"greylist disable",
			SLICE("*"));
	return true;
}

/* --- white-lists -------------------------------------------------------- */

/* "192.0.2" is a network, "192.0.2.1" and "2001:db8::/32" are as they are. */
static void
take_white_address(struct import *import, struct slice line)
{
	const char *network =
		arena_printf(import->arena, "%.*s.0/24", SLICE_ARG(line));
	struct network parsed;

	if (!network_parse(line, &parsed, NULL) &&
		network_parse(slice_of(network), &parsed, NULL))
		line = slice_of(network);
	import_whitelist(import, WHITELIST, line, SLICE("from SQLgrey"));
}

static void
take_white_name(struct import *import, struct slice line)
{
	import_drop(import, WHITELIST,
		"policyd has no white-list of host names for greylisting: "
		"give it addresses or networks",
		line);
}

static bool
read_whitelists(struct import *import)
{
	static const struct {
		const char *name;
		void (*take)(struct import *import, struct slice line);
	} files[] = {
		{ "clients_ip_whitelist", take_white_address },
		{ "clients_ip_whitelist.local", take_white_address },
		{ "clients_fqdn_whitelist", take_white_name },
		{ "clients_fqdn_whitelist.local", take_white_name },
	};
	const struct slice folder = command_argument_or(
		&import->command->request, "whitelists", WHITELISTS_DIR);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!import_lines(import,
			    arena_printf(import->command->arena, "%.*s/%s",
				    SLICE_ARG(folder), files[i].name),
			    files[i].take))
			return false;
	return true;
}

void
command_migrate_from_sqlgrey(struct command *command)
{
	struct import import;

	if (import_open(&import, command) &&
		import_open_source(&import, "sqlgrey", "sqlgrey") &&
		read_table(&import, FROM_AWL, &read_from_awl, true) &&
		read_table(&import, DOMAIN, &read_domain_awl, true) &&
		read_table(&import, CONNECT, &read_connect, false) &&
		read_opt_tables(&import) && read_whitelists(&import))
		import_end(&import);
	import_close(&import);
}
