/*
 * "migrate from cluebringer": greylisting and quotas of Cluebringer (policyd
 * 2) as iRedAdmin has made them, from its database in MariaDB.
 */

#include <string.h>

#include "common/base/mem.h"
#include "common/mail/address.h"
#include "policyd/commands/command.h"
#include "policyd/ctl/import.h"

#define GREYLISTING "Cluebringer greylisting"
#define GROUP       "Cluebringer no_greylisting_for_internal"
#define WHITELIST   "Cluebringer greylisting_whitelist"
#define QUOTAS      "Cluebringer quotas"

#define SENDER_IP "SenderIP:"

/* --- greylisting -------------------------------------------------------- */

static const struct db_statement read_greylisting = {
	.name = "cluebringer_greylisting",
	.sql = "SELECT 1 FROM greylisting"
	       " WHERE Name = 'Greylisting Inbound Emails'"
	       " AND UseGreylisting = 1 AND Disabled = 0",
	.access = DB_READS,
	.params = "",
	.columns = "u",
};

static void
on_greylisting(void *arg, const struct db_result *result)
{
	struct import *import = arg;

	if (db_rows_count(result->rows) > 0)
		import_setting(import, GREYLISTING, SLICE("@."), true);
	else
		import_drop(import, GREYLISTING,
			"it is off there: policyctl greylist disable switches "
			"it off here",
			SLICE("*"));
}

static const struct db_statement read_group = {
	.name = "cluebringer_group",
	.sql = "SELECT m.Member FROM policy_groups g"
	       " JOIN policy_group_members m ON m.PolicyGroupID = g.ID"
	       " WHERE g.Name = 'no_greylisting_for_internal'"
	       " AND g.Disabled = 0 AND m.Disabled = 0",
	.access = DB_READS,
	.params = "",
	.columns = "s",
};

/* The group is for whom greylisting is off. */
static void
on_group(void *arg, const struct db_result *result)
{
	struct import *import = arg;

	for (size_t i = 0; i < db_rows_count(result->rows); i++)
		import_setting(import, GROUP, db_rows_text(result->rows, i, 0),
			false);
}

static const struct db_statement read_whitelist = {
	.name = "cluebringer_whitelist",
	.sql = "SELECT Source, IFNULL(Comment, '') FROM greylisting_whitelist"
	       " WHERE Disabled = 0",
	.access = DB_READS,
	.params = "",
	.columns = "ss",
};

static void
on_whitelist(void *arg, const struct db_result *result)
{
	struct import *import = arg;

	for (size_t i = 0; i < db_rows_count(result->rows); i++) {
		const struct slice source = db_rows_text(result->rows, i, 0);

		if (slice_starts(source, SLICE(SENDER_IP)))
			import_whitelist(import, WHITELIST,
				slice_from(source, strlen(SENDER_IP)),
				db_rows_text(result->rows, i, 1));
		else
			import_drop(import, WHITELIST,
				"it is not " SENDER_IP
				": policyd white-lists addresses and networks",
				source);
	}
}

/* --- quotas ------------------------------------------------------------- */

enum {
	COLUMN_ID,
	COLUMN_NAME,
	COLUMN_PERIOD,
	COLUMN_TYPE,
	COLUMN_LIMIT,
};

static const struct db_statement read_quotas = {
	.name = "cluebringer_quotas",
	.sql = "SELECT q.ID, q.Name, IFNULL(q.Period, 0),"
	       " IFNULL(LOWER(l.Type), ''), IFNULL(l.CounterLimit, 0)"
	       " FROM quotas q LEFT JOIN quotas_limits l"
	       " ON l.QuotasID = q.ID AND l.Disabled = 0"
	       " WHERE q.Disabled = 0 ORDER BY q.ID, l.ID",
	.access = DB_READS,
	.params = "",
	.columns = "ususi",
};

/* One quota with its limits, which are rows. */
struct quota {
	struct slice name;
	uint64_t period;
	int64_t max_msgs, max_quota; /* -1: none */
};

/* "outbound_example.com" as "@example.com" and "outbound"; NULL for others. */
static const char *
read_name(struct arena *arena, struct slice name, struct slice *account)
{
	static const char *const kinds[] = { "inbound", "outbound" };

	for (size_t i = 0; i < 2; i++) {
		const char *prefix = arena_printf(arena, "%s_", kinds[i]);
		const char *global =
			arena_printf(arena, "default_%s", kinds[i]);

		*account = SLICE("@.");
		if (slice_eq_text(name, global))
			return kinds[i];
		if (!slice_starts(name, slice_of(prefix)))
			continue;
		*account = slice_from(name, strlen(prefix));
		if (slice_find(*account, '@') < 0)
			*account = slice_of(arena_printf(arena, "@%.*s",
				SLICE_ARG(*account)));
		return kinds[i];
	}
	return NULL;
}

static void
end_quota(struct import *import, const struct quota *quota)
{
	struct slice account;
	const char *kind = read_name(import->arena, quota->name, &account);

	if (kind == NULL)
		import_drop(import, QUOTAS,
			"its name is not inbound_ or outbound_ with an "
			"account: policyctl throttle set makes a limit",
			quota->name);
	else if (quota->max_msgs < 0 && quota->max_quota < 0)
		import_drop(import, QUOTAS, "it has no limit", quota->name);
	else if (quota->period == 0 || quota->period > UINT32_MAX)
		import_drop(import, QUOTAS, "its period makes no sense",
			quota->name);
	else
		import_throttle(import, QUOTAS, account, kind, quota->period,
			quota->max_msgs, quota->max_quota);
}

static void
on_quotas(void *arg, const struct db_result *result)
{
	const struct db_rows *rows = result->rows;
	struct import *import = arg;
	struct quota quota = { .period = 0 };

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		const struct slice type = db_rows_text(rows, i, COLUMN_TYPE);
		const int64_t limit = db_rows_i64(rows, i, COLUMN_LIMIT);
		const bool is_new =
			i == 0 || db_rows_u64(rows, i, COLUMN_ID) !=
					  db_rows_u64(rows, i - 1, COLUMN_ID);

		if (is_new && i > 0)
			end_quota(import, &quota);
		if (is_new)
			quota = (struct quota){
				.name = db_rows_text(rows, i, COLUMN_NAME),
				.period = db_rows_u64(rows, i, COLUMN_PERIOD),
				.max_msgs = -1,
				.max_quota = -1,
			};
		if (slice_eq_text(type, "messagecount"))
			quota.max_msgs = limit;
		else if (slice_eq_text(type, "messagecumulativesize"))
			quota.max_quota = limit;
	}
	if (db_rows_count(rows) > 0)
		end_quota(import, &quota);
}

void
command_migrate_from_cluebringer(struct command *command)
{
	struct import import;

	if (import_open(&import, command) &&
		import_open_source(&import, "cluebringer", "cluebringer") &&
		import_read(&import, &read_greylisting, NULL, on_greylisting,
			&import) &&
		import_read(&import, &read_group, NULL, on_group, &import) &&
		import_read(&import, &read_whitelist, NULL, on_whitelist,
			&import) &&
		import_read(&import, &read_quotas, NULL, on_quotas, &import))
		import_end(&import);
	import_close(&import);
}
