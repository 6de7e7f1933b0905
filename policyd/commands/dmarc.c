/* "dmarc list": of what there is data for reports. */

#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"

static void
on_list(struct command *command, const struct db_result *result)
{
	static const struct reply_column columns[] = {
		{ "day", "Day", REPLY_TEXT },
		{ "domain", "Domain", REPLY_TEXT },
		{ "messages", "Messages", REPLY_NUMBER },
		{ "failed", "Failed", REPLY_NUMBER },
		{ "rows", "Rows", REPLY_NUMBER },
	};

	command_list_rows(command, result->rows, columns,
		sizeof(columns) / sizeof(columns[0]));
}

/* Reads the table as a whole, by the index on (day, policy_domain). */
void
command_dmarc_list(struct command *command)
{
	static const struct db_statement statement = {
		.name = "dmarc_list",
		.sql = "SELECT DATE_FORMAT(FROM_UNIXTIME(day), '%Y-%m-%d'),"
		       " policy_domain, CAST(SUM(n) AS UNSIGNED),"
		       " CAST(SUM(IF(dkim_aligned OR spf_aligned, 0, n))"
		       " AS UNSIGNED), COUNT(*) FROM dmarc_aggregate"
		       " GROUP BY day, policy_domain"
		       " ORDER BY day DESC, policy_domain LIMIT ?",
		.access = DB_READS,
		.params = "u",
		.columns = "ssuuu",
	};
	struct db_value limit = { .is_null = false };

	if (command_limit(command, &limit.number))
		command_db(command, CONFIG_DB_POLICYD, &statement, &limit,
			on_list);
}
