/*
 * "greylist show|pass|forget": what greylisting remembers of clients and
 * triplets, iredapd.greylisting_tracking.
 */

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/facts/triplet.h"
#include "policyd/sources.h"

/*
 * Whose rows. Each condition has three parameters; those of an address are
 * looked up by the indices of sender and rcpt_domain.
 */
enum subject { SUBJECT_CLIENT, SUBJECT_ADDRESS, SUBJECT_DOMAIN, SUBJECT_COUNT };

#define OF_CLIENT  "client_address IN (?, ?, ?)"
#define OF_ADDRESS "(sender = ? OR (rcpt_domain = ? AND recipient = ?))"
#define OF_DOMAIN  "(sender_domain = ? OR rcpt_domain IN (?, ?))"

struct tracked {
	enum subject subject;
	struct slice account; /* as stored in other tables */
	struct slice keys[3];
};

static void
read_address(struct tracked *tracked)
{
	const ptrdiff_t at = slice_find_last(tracked->account, '@');

	tracked->subject = SUBJECT_ADDRESS;
	tracked->keys[0] = tracked->account;
	tracked->keys[1] = slice_from(tracked->account, (size_t)at + 1);
	tracked->keys[2] = tracked->account;
}

static void
read_client(struct command *command, struct tracked *tracked)
{
	struct ip client;

	tracked->subject = SUBJECT_CLIENT;
	tracked->keys[0] = tracked->account;
	if (ip_parse(tracked->account, &client))
		tracked->keys[0] = triplet_client(command->arena,
			command->sources->config, &client);
	tracked->keys[1] = tracked->account;
	tracked->keys[2] = tracked->account;
}

/* NULL: the command was ended. */
static struct tracked *
read_tracked(struct command *command)
{
	struct tracked *tracked =
		arena_new_object(command->arena, struct tracked);
	enum account_kind kind;

	if (!command_account(command, "client", "", &tracked->account))
		return NULL;
	command->data = tracked;
	kind = account_kind(tracked->account);
	if (kind == ACCOUNT_ADDRESS) {
		read_address(tracked);
	} else if (kind == ACCOUNT_IP || kind == ACCOUNT_NETWORK) {
		read_client(command, tracked);
	} else if (kind == ACCOUNT_DOMAIN) {
		tracked->subject = SUBJECT_DOMAIN;
		for (size_t i = 0; i < 3; i++)
			tracked->keys[i] = slice_from(tracked->account, 1);
	} else {
		reply_error(command, COMMAND_EXIT_USAGE,
			"\"%.*s\" is not a client's address or network, an "
			"address or a domain",
			SLICE_ARG(command_text(command, "client")));
		return NULL;
	}
	return tracked;
}

static void
set_keys(const struct tracked *tracked, struct db_value values[3])
{
	for (size_t i = 0; i < 3; i++)
		values[i].text = tracked->keys[i];
}

static void
reply_nothing(struct command *command, const char *what)
{
	const struct tracked *tracked = command->data;

	reply_error(command, COMMAND_EXIT_NOT_FOUND, "%s %.*s", what,
		SLICE_ARG(account_plain(tracked->account)));
}

/* --- show --------------------------------------------------------------- */

enum {
	SHOWN_CLIENT,
	SHOWN_SENDER,
	SHOWN_RECIPIENT,
	SHOWN_PASSED,
	SHOWN_FIRST_SEEN,
	SHOWN_BLOCKED_UNTIL,
	SHOWN_EXPIRES,
	SHOWN_BLOCKED
};

static const char *
state_of(const struct db_rows *rows, size_t i, int64_t now)
{
	if (db_rows_i64(rows, i, SHOWN_EXPIRES) <= now)
		return "expired";
	if (db_rows_u64(rows, i, SHOWN_PASSED) == 1)
		return "passed";
	return db_rows_i64(rows, i, SHOWN_BLOCKED_UNTIL) > now ? "too early"
							       : "may pass";
}

static void
reply_tracking(struct command *command, const struct db_rows *rows)
{
	static const struct reply_column columns[] = {
		{ "state", "State", REPLY_TEXT },
		{ "client", "Client", REPLY_TEXT },
		{ "sender", "Sender", REPLY_TEXT },
		{ "recipient", "Recipient", REPLY_TEXT },
		{ "first_seen", "First seen", REPLY_TIME },
		{ "blocked_until", "May pass from", REPLY_TIME },
		{ "expires", "Expires", REPLY_TIME },
		{ "blocked_count", "Too early", REPLY_NUMBER },
	};
	const int64_t now = clock_wall();

	reply_table(command, NULL, NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		reply_row(command);
		reply_value(command, slice_of(state_of(rows, i, now)));
		for (size_t c = SHOWN_CLIENT; c <= SHOWN_RECIPIENT; c++)
			reply_value(command, db_rows_text(rows, i, c));
		for (size_t c = SHOWN_FIRST_SEEN; c <= SHOWN_BLOCKED; c++)
			reply_number(command, db_rows_i64(rows, i, c));
	}
	reply_part_end(command);
}

static void
on_show(struct command *command, const struct db_result *result)
{
	if (db_rows_count(result->rows) == 0) {
		reply_nothing(command, "greylisting remembers nothing of");
		return;
	}
	reply_tracking(command, result->rows);
	command_end_list(command, db_rows_count(result->rows));
}

#define SHOW(suffix, condition)                                                    \
	{                                                                          \
		.name = "greylist_show_" suffix,                                   \
		.sql = "SELECT client_address, sender, recipient, passed,"         \
		       " init_time, block_expired, record_expired,"                \
		       " blocked_count FROM greylisting_tracking WHERE " condition \
		       " ORDER BY init_time DESC LIMIT ?",                         \
		.access = DB_READS, .params = "sssu", .columns = "sssuiiii",       \
	}

void
command_greylist_show(struct command *command)
{
	static const struct db_statement statements[SUBJECT_COUNT] = {
		[SUBJECT_CLIENT] = SHOW("client", OF_CLIENT),
		[SUBJECT_ADDRESS] = SHOW("address", OF_ADDRESS),
		[SUBJECT_DOMAIN] = SHOW("domain", OF_DOMAIN),
	};
	const struct tracked *tracked = read_tracked(command);
	struct db_value values[4] = { { .is_null = false } };

	if (tracked == NULL || !command_limit(command, &values[3].number))
		return;
	set_keys(tracked, values);
	command_db(command, CONFIG_DB_IREDAPD, &statements[tracked->subject],
		values, on_show);
}

/* --- pass --------------------------------------------------------------- */

static void
after_pass(struct command *command)
{
	const struct tracked *tracked = command->data;

	if (tracked->subject == SUBJECT_CLIENT)
		reply_text(command, "%.*s passes greylisting now",
			SLICE_ARG(tracked->keys[0]));
	else
		reply_text(command,
			"what waited for %.*s passes greylisting now, and "
			"with it the clients it came from",
			SLICE_ARG(account_plain(tracked->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_passed(struct command *command, const struct db_result *result)
{
	const struct tracked *tracked = command->data;

	if (result->affected == 0)
		reply_nothing(command, "nothing waits from or to");
	else
		command_changed(command, tracked->account, after_pass);
}

static uint64_t
pass_until(const struct command *command)
{
	return (uint64_t)clock_wall() +
	       command->sources->config->greylisting.auth_expire_ms / 1000;
}

/*
 * A client needs no triplet to pass: a row without sender and recipient,
 * which no mail can have, says that it has passed before.
 */
static void
pass_client(struct command *command, const struct tracked *tracked)
{
	static const struct db_statement statement = {
		.name = "greylist_pass_client",
		.sql = "INSERT INTO greylisting_tracking (sender, recipient,"
		       " client_address, sender_domain, rcpt_domain, init_time,"
		       " block_expired, record_expired, blocked_count, passed)"
		       " VALUES ('', '', ?, '', '', ?, ?, ?, 0, 1)"
		       " ON DUPLICATE KEY UPDATE passed = 1,"
		       " init_time = VALUES(init_time),"
		       " record_expired = VALUES(record_expired)",
		.access = DB_WRITES,
		.params = "suuu",
		.columns = "",
	};
	const struct db_value values[] = {
		{ .text = tracked->keys[0] },
		{ .number = (uint64_t)clock_wall() },
		{ .number = (uint64_t)clock_wall() },
		{ .number = pass_until(command) },
	};

	command_db(command, CONFIG_DB_IREDAPD, &statement, values, on_passed);
}

#define PASS(suffix, condition)                                        \
	{                                                              \
		.name = "greylist_pass_" suffix,                       \
		.sql = "UPDATE greylisting_tracking SET passed = 1,"   \
		       " record_expired = ? WHERE " condition          \
		       " AND passed = 0 AND record_expired > ?",       \
		.access = DB_WRITES, .params = "usssu", .columns = "", \
	}

void
command_greylist_pass(struct command *command)
{
	static const struct db_statement statements[SUBJECT_COUNT] = {
		[SUBJECT_ADDRESS] = PASS("address", OF_ADDRESS),
		[SUBJECT_DOMAIN] = PASS("domain", OF_DOMAIN),
	};
	const struct tracked *tracked = read_tracked(command);
	struct db_value values[5] = { { .is_null = false } };

	if (tracked == NULL)
		return;
	if (tracked->subject == SUBJECT_CLIENT) {
		pass_client(command, tracked);
		return;
	}
	values[0].number = pass_until(command);
	set_keys(tracked, values + 1);
	values[4].number = (uint64_t)clock_wall();
	command_db(command, CONFIG_DB_IREDAPD, &statements[tracked->subject],
		values, on_passed);
}

/* --- forget ------------------------------------------------------------- */

static void
after_forget(struct command *command)
{
	const struct tracked *tracked = command->data;

	reply_text(command, "greylisting has forgotten %.*s",
		SLICE_ARG(account_plain(tracked->account)));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_forgotten(struct command *command, const struct db_result *result)
{
	const struct tracked *tracked = command->data;

	if (result->affected == 0)
		reply_nothing(command, "greylisting remembers nothing of");
	else
		command_changed(command, tracked->account, after_forget);
}

#define FORGET(suffix, condition)                                           \
	{                                                                   \
		.name = "greylist_forget_" suffix,                          \
		.sql = "DELETE FROM greylisting_tracking WHERE " condition, \
		.access = DB_WRITES, .params = "sss", .columns = "",        \
	}

void
command_greylist_forget(struct command *command)
{
	static const struct db_statement statements[SUBJECT_COUNT] = {
		[SUBJECT_CLIENT] = FORGET("client", OF_CLIENT),
		[SUBJECT_ADDRESS] = FORGET("address", OF_ADDRESS),
		[SUBJECT_DOMAIN] = FORGET("domain", OF_DOMAIN),
	};
	const struct tracked *tracked = read_tracked(command);
	struct db_value values[3] = { { .is_null = false } };

	if (tracked == NULL)
		return;
	set_keys(tracked, values);
	command_db(command, CONFIG_DB_IREDAPD, &statements[tracked->subject],
		values, on_forgotten);
}
