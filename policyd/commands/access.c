/*
 * "access list|add|remove|test": the white- and blacklists of accounts, in
 * the tables of Amavisd as iRedMail's tools write them, with what those have
 * no room for in policyd.access.
 *
 * A note is written before its entry: whoever may not write the one leaves
 * nothing of the other that counts, and an entry with an end never counts
 * without it.
 */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/access_tables.h"
#include "policyd/facts/accounts.h"
#include "policyd/facts/tables.h"
#include "policyd/sources.h"

#define REASON_MAX 255
#define YEARS_MS   (UINT64_C(100) * 366 * 86400 * 1000)
/* The column is an INT UNSIGNED. */
#define TIME_MAX UINT32_MAX
/* Entries that "access test" lists. */
#define SHOWN_MAX 1000u

struct change {
	struct slice account, address;
	enum access_direction direction;
	struct slice wb; /* "W", "B", or "" for either */
	int64_t expires_at;
};

/*
 * MAILADDR_PRIORITIES of iRedAPD, in the order of what comes first; they are
 * not those of greylisting and throttling.
 */
static int
priority_of(enum account_kind kind)
{
	switch (kind) {
	case ACCOUNT_ADDRESS:
		return 10;
	case ACCOUNT_IP:
		return 9;
	case ACCOUNT_WILDCARD_IP:
		return 8;
	case ACCOUNT_ANY_DOMAIN:
	case ACCOUNT_NETWORK:
		return 7;
	case ACCOUNT_DOMAIN:
		return 5;
	case ACCOUNT_SUBDOMAIN:
		return 3;
	case ACCOUNT_TOP_DOMAIN:
		return 2;
	case ACCOUNT_CATCH_ALL_IP:
		return 1;
	case ACCOUNT_CATCH_ALL:
	case ACCOUNT_INVALID:
		return 0;
	}
	return 0;
}

static enum access_direction
direction_of(const struct command *command)
{
	return command_has(command, "outbound") ? ACCESS_OUTBOUND
						: ACCESS_INBOUND;
}

/* --- arguments ------------------------------------------------------------ */

static bool
read_wb(struct command *command, bool is_required, struct slice *wb)
{
	const bool is_white = command_has(command, "white");
	const bool is_black = command_has(command, "black");

	*wb = is_white ? SLICE("W") : is_black ? SLICE("B") : SLICE("");
	if (is_white && is_black) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--white and --black exclude each other");
		return false;
	}
	if (wb->len > 0 || !is_required)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE, "say --white or --black");
	return false;
}

static bool
check_kinds(struct command *command, const struct change *change)
{
	const enum account_kind kind = account_kind(change->address);

	if (!account_kind_is_address(account_kind(change->account))) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--account is an address, a domain or everyone "
			"(\"*\"), not %.*s",
			SLICE_ARG(change->account));
		return false;
	}
	if (change->address.len == 0)
		return true;
	if (kind == ACCOUNT_CATCH_ALL_IP) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"@ip never matches; \"*\" is everyone");
		return false;
	}
	if (change->direction == ACCESS_INBOUND ||
		account_kind_is_address(kind))
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"outbound, an entry is about recipients: an address, a domain "
		"or everyone, not %.*s",
		SLICE_ARG(change->address));
	return false;
}

/* False when the command was ended. */
static bool
read_change(struct command *command, bool has_address, bool needs_wb,
	struct change *change)
{
	*change = (struct change){ .direction = direction_of(command) };
	return (!has_address || command_account(command, "address", "",
					&change->address)) &&
	       command_account(command, "account", "@.", &change->account) &&
	       read_wb(command, needs_wb, &change->wb) &&
	       check_kinds(command, change);
}

static int64_t
days_from_epoch(int64_t year, uint64_t month, uint64_t day)
{
	/* Years begin in March, so that the odd day is at their end. */
	const int64_t y = month <= 2 ? year - 1 : year;
	const int64_t m = ((int64_t)month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 +
	       (int64_t)day - 719469;
}

static uint64_t
days_of_month(uint64_t year, uint64_t month)
{
	static const uint64_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	const bool is_leap =
		year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && is_leap ? 29 : days[month - 1];
}

/* 2027-01-31: the beginning of that day, UTC. */
static bool
parse_date(struct slice text, int64_t *out)
{
	struct slice rest = text, part;
	uint64_t year, month, day;

	if (text.len != 10 || !slice_split(&rest, '-', &part) ||
		!num_parse_u64(part, 2105, &year) || year < 1970 ||
		!slice_split(&rest, '-', &part) ||
		!num_parse_u64(part, 12, &month) || month == 0 ||
		!num_parse_u64(rest, days_of_month(year, month), &day) ||
		day == 0)
		return false;
	*out = days_from_epoch((int64_t)year, month, day) * 86400;
	return true;
}

static bool
read_expiry(struct command *command, int64_t *out)
{
	const struct slice text = slice_trim(command_text(command, "expires"));
	const int64_t now = clock_wall();
	uint64_t ms;

	*out = 0;
	if (!command_has(command, "expires"))
		return true;
	if (!parse_date(text, out)) {
		if (!num_parse_duration(text, 86400 * 1000, YEARS_MS, &ms) ||
			ms < 1000) {
			reply_error(command, COMMAND_EXIT_USAGE,
				"--expires is a time such as 12h or 30d, or a "
				"date such as 2027-01-31, not \"%.*s\"",
				SLICE_ARG(text));
			return false;
		}
		*out = now + (int64_t)(ms / 1000);
	}
	if (*out > now && *out <= (int64_t)TIME_MAX)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--expires %.*s is over already, or too far ahead",
		SLICE_ARG(text));
	return false;
}

static bool
read_reason(struct command *command)
{
	if (command_text(command, "reason").len <= REASON_MAX)
		return true;
	reply_error(command, COMMAND_EXIT_USAGE,
		"--reason has at most %d bytes", REASON_MAX);
	return false;
}

static struct change *
keep_change(struct command *command, const struct change *change)
{
	struct change *kept = arena_new_object(command->arena, struct change);

	*kept = *change;
	command->data = kept;
	return kept;
}

/* --- access add ----------------------------------------------------------- */

static void
after_add(struct command *command)
{
	const struct change *change = command->data;
	const bool is_white = slice_eq_text(change->wb, "W");

	reply_text(command, "%.*s is on the %s%s of %.*s now",
		SLICE_ARG(account_plain(change->address)),
		change->direction == ACCESS_OUTBOUND ? "outbound " : "",
		is_white ? "whitelist" : "blacklist",
		SLICE_ARG(account_plain(change->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_added(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->account, after_add);
}

#define ADD_ENTRY(table, account_id, address_id)                           \
	"INSERT INTO " table " (" account_id ", " address_id ", wb)"       \
	" SELECT u.id, m.id, ? FROM users u, mailaddr m WHERE u.email = ?" \
	" AND m.email = ? ON DUPLICATE KEY UPDATE wb = VALUES(wb)"

/* The other colour goes with it: one pair has one row. */
static void
add_entry(struct command *command, const struct db_result *result)
{
	static const struct db_statement statements[ACCESS_DIRECTIONS] = {
		[ACCESS_INBOUND] = {
			.name = "access_add",
			.sql = ADD_ENTRY("wblist", "rid", "sid"),
			.access = DB_WRITES,
			.params = "sss",
			.columns = "",
		},
		[ACCESS_OUTBOUND] = {
			.name = "access_add_outbound",
			.sql = ADD_ENTRY("outbound_wblist", "sid", "rid"),
			.access = DB_WRITES,
			.params = "sss",
			.columns = "",
		},
	};
	const struct change *change = command->data;
	const struct db_value values[] = {
		{ .text = change->wb },
		{ .text = change->account },
		{ .text = change->address },
	};

	(void)result;
	command_db(command, CONFIG_DB_AMAVISD, &statements[change->direction],
		values, on_added);
}

static void
add_note(struct command *command, const struct db_result *result)
{
	static const struct db_statement statement = {
		.name = "access_note",
		.sql = "INSERT INTO access (direction, account, address, wb,"
		       " expires_at, author, reason, created_at)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE"
		       " wb = VALUES(wb), expires_at = VALUES(expires_at),"
		       " author = VALUES(author), reason = VALUES(reason),"
		       " created_at = VALUES(created_at)",
		.access = DB_WRITES,
		.params = "ssssussu",
		.columns = "",
	};
	const struct change *change = command->data;
	const struct db_value values[] = {
		{ .text = slice_of(access_direction_name(change->direction)) },
		{ .text = change->account },
		{ .text = change->address },
		{ .text = change->wb },
		{ .number = (uint64_t)change->expires_at },
		{ .text = slice_of(command->who) },
		{ .text = command_text(command, "reason") },
		{ .number = (uint64_t)clock_wall() },
	};

	(void)result;
	command_db(command, CONFIG_DB_POLICYD, &statement, values, add_entry);
}

/* As iRedMail's tools do: what is there keeps its number. */
static void
add_address(struct command *command, const struct db_result *result)
{
	static const struct db_statement statement = {
		.name = "access_add_address",
		.sql = "INSERT INTO mailaddr (priority, email) VALUES (?, ?)"
		       " ON DUPLICATE KEY UPDATE id = id",
		.access = DB_WRITES,
		.params = "is",
		.columns = "",
	};
	const struct change *change = command->data;
	const struct db_value values[] = {
		{ .number = (uint64_t)priority_of(
			  account_kind(change->address)) },
		{ .text = change->address },
	};

	(void)result;
	command_db(command, CONFIG_DB_AMAVISD, &statement, values, add_note);
}

void
command_access_add(struct command *command)
{
	static const struct db_statement statement = {
		.name = "access_add_account",
		.sql = "INSERT INTO users (priority, policy_id, email)"
		       " VALUES (?, 0, ?) ON DUPLICATE KEY UPDATE id = id",
		.access = DB_WRITES,
		.params = "is",
		.columns = "",
	};
	struct change change;

	if (!read_change(command, true, true, &change) ||
		!read_expiry(command, &change.expires_at) ||
		!read_reason(command))
		return;
	keep_change(command, &change);
	const struct db_value values[] = {
		{ .number = (uint64_t)priority_of(
			  account_kind(change.account)) },
		{ .text = change.account },
	};

	command_db(command, CONFIG_DB_AMAVISD, &statement, values, add_address);
}

/* --- access remove ---------------------------------------------------------
 */

static void
after_remove(struct command *command)
{
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_note_removed(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	(void)result;
	command_changed(command, change->account, after_remove);
}

/* What is known about entries that are no more. */
static void
remove_notes(struct command *command)
{
	static const struct db_statement statement = {
		.name = "access_note_remove",
		.sql = "DELETE FROM access WHERE direction = ? AND account = ?"
		       " AND (? = '' OR address = ?) AND (? = '' OR wb = ?)",
		.access = DB_WRITES,
		.params = "ssssss",
		.columns = "",
	};
	const struct change *change = command->data;
	const struct db_value values[] = {
		{ .text = slice_of(access_direction_name(change->direction)) },
		{ .text = change->account },
		{ .text = change->address },
		{ .text = change->address },
		{ .text = change->wb },
		{ .text = change->wb },
	};

	command_db(command, CONFIG_DB_POLICYD, &statement, values,
		on_note_removed);
}

static void
on_removed(struct command *command, const struct db_result *result)
{
	const struct change *change = command->data;

	if (result->affected == 0) {
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"there is no such entry of %.*s; \"policyctl access "
			"list%s\" shows those there are",
			SLICE_ARG(account_plain(change->account)),
			change->direction == ACCESS_OUTBOUND ? " --outbound"
							     : "");
		return;
	}
	reply_text(command, "removed: %llu %s of %.*s",
		(unsigned long long)result->affected,
		result->affected == 1 ? "entry" : "entries",
		SLICE_ARG(account_plain(change->account)));
	remove_notes(command);
}

/* Only W and B: the rest are scores of Amavisd. */
#define REMOVE_ENTRY(table, account_id, address_id)                      \
	"DELETE w FROM " table " w JOIN users u ON u.id = w." account_id \
	" JOIN mailaddr m ON m.id = w." address_id                       \
	" WHERE u.email = ? AND (? = '' OR m.email = ?)"                 \
	" AND w.wb IN ('W', 'B') AND (? = '' OR w.wb = ?)"

void
command_access_remove(struct command *command)
{
	static const struct db_statement statements[ACCESS_DIRECTIONS] = {
		[ACCESS_INBOUND] = {
			.name = "access_remove",
			.sql = REMOVE_ENTRY("wblist", "rid", "sid"),
			.access = DB_WRITES,
			.params = "sssss",
			.columns = "",
		},
		[ACCESS_OUTBOUND] = {
			.name = "access_remove_outbound",
			.sql = REMOVE_ENTRY("outbound_wblist", "sid", "rid"),
			.access = DB_WRITES,
			.params = "sssss",
			.columns = "",
		},
	};
	const bool is_all = command_has(command, "all");
	const bool has_address = command_has(command, "address");
	struct change change;

	if (is_all == has_address) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"name an address, or say --all for every entry of the "
			"account");
		return;
	}
	if (!read_change(command, has_address, false, &change))
		return;
	keep_change(command, &change);
	const struct db_value values[] = {
		{ .text = change.account },
		{ .text = change.address },
		{ .text = change.address },
		{ .text = change.wb },
		{ .text = change.wb },
	};

	command_db(command, CONFIG_DB_AMAVISD, &statements[change.direction],
		values, on_removed);
}

/* --- access list -----------------------------------------------------------
 */

static const struct reply_column list_columns[] = {
	{ "list", "List", REPLY_TEXT },
	{ "address", "Address", REPLY_ACCOUNT },
	{ "account", "Account", REPLY_ACCOUNT },
	{ "in_force", "In force", REPLY_BOOL },
	{ "expires_at", "Expires", REPLY_TIME },
	{ "author", "By", REPLY_TEXT },
	{ "reason", "Reason", REPLY_TEXT },
};

static void
begin_list(struct command *command)
{
	reply_table(command, NULL, NULL, list_columns,
		sizeof(list_columns) / sizeof(list_columns[0]));
}

static void
reply_entry(struct command *command, struct slice wb, struct slice account,
	struct slice address, const struct access_note *note)
{
	const int64_t expires_at = note != NULL ? note->expires_at : 0;

	reply_row(command);
	reply_value(command,
		slice_eq_text(wb, "W") ? SLICE("white") : SLICE("black"));
	reply_value(command, address);
	reply_value(command, account);
	reply_bool(command, expires_at == 0 || expires_at > clock_wall());
	reply_number(command, expires_at);
	reply_value(command, note != NULL ? note->author : SLICE(""));
	reply_value(command, note != NULL ? note->reason : SLICE(""));
}

static const struct access_note *
note_of(const struct command *command, struct slice wb, struct slice account,
	struct slice address)
{
	const struct access_notes *notes =
		tables_get(command->sources->tables, TABLE_ACCESS);
	const struct access_note *note;

	if (notes == NULL)
		return NULL;
	note = access_notes_find(notes, direction_of(command), account,
		address);
	return note != NULL && note->is_white == slice_eq_text(wb, "W") ? note
									: NULL;
}

static void
on_list(struct command *command, const struct db_result *result)
{
	const size_t n = db_rows_count(result->rows);

	begin_list(command);
	for (size_t i = 0; i < n; i++) {
		const struct slice account = slice_lower(command->arena,
			db_rows_text(result->rows, i, 0));
		const struct slice address = slice_lower(command->arena,
			db_rows_text(result->rows, i, 1));
		const struct slice wb = db_rows_text(result->rows, i, 2);

		reply_entry(command, wb, account, address,
			note_of(command, wb, account, address));
	}
	reply_part_end(command);
	command_end_list(command, n);
}

static void
on_expired(struct command *command, const struct db_result *result)
{
	const struct db_rows *rows = result->rows;
	const size_t n = db_rows_count(rows);

	begin_list(command);
	for (size_t i = 0; i < n; i++) {
		const struct access_note note = {
			.expires_at = db_rows_i64(rows, i, 3),
			.author = db_rows_text(rows, i, 4),
			.reason = db_rows_text(rows, i, 5),
		};

		reply_entry(command, db_rows_text(rows, i, 2),
			db_rows_text(rows, i, 0), db_rows_text(rows, i, 1),
			&note);
	}
	reply_part_end(command);
	command_end_list(command, n);
}

/* Those that the clean-up has not removed yet. */
static void
list_expired(struct command *command, struct slice account, uint64_t limit)
{
	static const struct db_statement statement = {
		.name = "access_list_expired",
		.sql = "SELECT account, address, wb, expires_at, author, reason"
		       " FROM access WHERE direction = ? AND expires_at"
		       " BETWEEN 1 AND ? AND (? = '' OR account = ?)"
		       " ORDER BY expires_at LIMIT ?",
		.access = DB_READS,
		.params = "sussu",
		.columns = "sssiss",
	};
	const struct db_value values[] = {
		{ .text = slice_of(
			  access_direction_name(direction_of(command))) },
		{ .number = (uint64_t)clock_wall() },
		{ .text = account },
		{ .text = account },
		{ .number = limit },
	};

	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_expired);
}

#define LIST(table, account_id, address_id)                     \
	"SELECT u.email, m.email, w.wb FROM " table " w"        \
	" JOIN users u ON u.id = w." account_id                 \
	" JOIN mailaddr m ON m.id = w." address_id              \
	" WHERE w.wb IN ('W', 'B') AND (? = '' OR u.email = ?)" \
	" ORDER BY u.priority DESC, u.email, m.priority DESC, m.email LIMIT ?"

void
command_access_list(struct command *command)
{
	static const struct db_statement statements[ACCESS_DIRECTIONS] = {
		[ACCESS_INBOUND] = {
			.name = "access_list",
			.sql = LIST("wblist", "rid", "sid"),
			.access = DB_READS,
			.params = "ssu",
			.columns = "sss",
		},
		[ACCESS_OUTBOUND] = {
			.name = "access_list_outbound",
			.sql = LIST("outbound_wblist", "sid", "rid"),
			.access = DB_READS,
			.params = "ssu",
			.columns = "sss",
		},
	};
	struct db_value values[3] = { { .is_null = false } };

	if (!command_filter(command, &values[0].text) ||
		!command_limit(command, &values[2].number))
		return;
	values[1] = values[0];
	if (command_has(command, "expired"))
		list_expired(command, values[0].text, values[2].number);
	else
		command_db(command, CONFIG_DB_AMAVISD,
			&statements[direction_of(command)], values, on_list);
}

/* --- access test ------------------------------------------------------------
 */

struct test {
	struct command *command;
	enum access_direction direction;
	int64_t now;
	size_t n;
	const struct access_entry *first[ACCESS_DIRECTIONS];
};

static bool
show_entry(void *arg, const struct access_entry *entry)
{
	struct test *test = arg;
	struct command *command = test->command;
	const bool is_expired = access_entry_is_expired(entry, test->now);
	const bool decides =
		!is_expired && test->first[test->direction] == NULL;
	struct access_entry *copy;

	if (decides) {
		copy = arena_new_object(command->arena, struct access_entry);
		*copy = *entry;
		test->first[test->direction] = copy;
	}
	reply_row(command);
	reply_value(command, slice_of(access_direction_name(test->direction)));
	reply_value(command, entry->is_white ? SLICE("white") : SLICE("black"));
	reply_value(command, entry->address);
	reply_value(command, entry->account);
	reply_number(command, entry->account_priority);
	reply_number(command, entry->address_priority);
	reply_bool(command, !is_expired);
	reply_bool(command, decides);
	reply_value(command, entry->reason);
	return ++test->n < SHOWN_MAX;
}

static void
show_entries(struct test *test, const struct access_subject *subject)
{
	static const struct reply_column columns[] = {
		{ "direction", "Direction", REPLY_TEXT },
		{ "list", "List", REPLY_TEXT },
		{ "address", "Address", REPLY_ACCOUNT },
		{ "account", "Account", REPLY_ACCOUNT },
		{ "account_priority", "Priority", REPLY_NUMBER },
		{ "address_priority", "Of address", REPLY_NUMBER },
		{ "in_force", "In force", REPLY_BOOL },
		{ "decides", "Decides", REPLY_BOOL },
		{ "reason", "Reason", REPLY_TEXT },
	};
	struct command *command = test->command;

	reply_table(command, "entries", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = ACCESS_DIRECTIONS; i-- > 0;) {
		if (i == ACCESS_OUTBOUND && !subject->is_authenticated)
			continue;
		test->direction = (enum access_direction)i;
		access_walk(command->arena, command->sources->tables, subject,
			test->direction, show_entry, test);
	}
	reply_part_end(command);
}

static void
say_which(struct test *test)
{
	struct command *command = test->command;
	const struct access_entry *out = test->first[ACCESS_OUTBOUND];
	const struct access_entry *in = test->first[ACCESS_INBOUND];
	const struct access_entry *entry =
		out != NULL && !out->is_white ? out : in;

	if (entry == NULL) {
		reply_text(command, "no entry decides; the rules behind "
				    "amavisd_wblist are asked");
		return;
	}
	reply_text(command, "%s: %.*s is on the %s%s of %.*s",
		entry->is_white ? "let through" : "refused",
		SLICE_ARG(account_plain(entry->address)),
		entry == out ? "outbound " : "",
		entry->is_white ? "whitelist" : "blacklist",
		SLICE_ARG(account_plain(entry->account)));
	if (out != NULL && entry == in)
		reply_text(command, "the inbound lists count only for "
				    "recipients of this site's domains");
}

static bool
has_tables(struct command *command)
{
	const struct tables *tables = command->sources->tables;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if ((ACCESS_TABLES & TABLE_BIT(i)) == 0 ||
			tables_get(tables, (enum table_id)i) != NULL)
			continue;
		reply_error(command, COMMAND_EXIT_NO_DATABASE,
			"the lists were not read yet; \"policyctl status\" "
			"says why");
		return false;
	}
	return true;
}

/* "<>" is how people write the null sender. */
static struct slice
address_of(const struct command *command, const char *argument)
{
	const struct slice text = slice_trim(command_text(command, argument));

	if (slice_starts(text, SLICE("<")) && slice_ends(text, SLICE(">")))
		return slice_part(text, 1, text.len - 1);
	return text;
}

void
command_access_test(struct command *command)
{
	const struct config *config = command->sources->config;
	const struct slice delimiters =
		slice_of(config->mail.recipient_delimiters);
	const struct slice login = slice_trim(command_text(command, "login"));
	struct test test = { .command = command, .now = clock_wall() };
	struct address sender, recipient;
	struct ip client = { .family = IP_NONE };

	if (command_has(command, "client") &&
		!ip_parse(slice_trim(command_text(command, "client")),
			&client)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"--client is an IP address");
		return;
	}
	if (!has_tables(command))
		return;
	recipient = address_parse(command->arena,
		address_of(command, "recipient"), delimiters);
	sender = login.len > 0
			 ? address_parse(command->arena, login, SLICE(""))
			 : address_parse(command->arena,
				   address_of(command, "sender"), delimiters);
	const struct access_subject subject = {
		.sender = &sender,
		.recipient = &recipient,
		.client = &client,
		.is_authenticated = login.len > 0,
		.all_wildcard_ips = config->wblist.all_wildcard_ips,
	};

	show_entries(&test, &subject);
	say_which(&test);
	reply_end(command, COMMAND_EXIT_DONE);
}
