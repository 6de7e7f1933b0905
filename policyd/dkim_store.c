#include "policyd/dkim_store.h"

#include "common/base/clock.h"

/* By primary key. */
const struct db_statement dkim_note_check = {
	.name = "dkim_note_check",
	.sql = "UPDATE dkim_key SET checked_at = ?, check_result = ?,"
	       " check_problem = LEFT(?, 255), n_absent = CASE ? WHEN 'absent'"
	       " THEN LEAST(n_absent + 1, 100) WHEN 'unknown' THEN n_absent"
	       " ELSE 0 END, published_at = IF(state = 'made' AND ? = 'shown',"
	       " ?, published_at), state = IF(state = 'made' AND ? = 'shown',"
	       " 'published', state) WHERE id = ? AND checked_at <= ?",
	.access = DB_WRITES,
	.params = "ussssusuu",
	.columns = "",
};

void
dkim_note_values(uint64_t id, const struct dkim_check_outcome *outcome,
	struct db_value values[DKIM_NOTE_VALUES])
{
	const struct db_value now = { .number = (uint64_t)clock_wall() };
	const struct db_value seen = { .text = slice_of(
					       dkim_seen_name(outcome->seen)) };
	const struct db_value count = {
		.text = dkim_seen_is_absent(outcome->seen)
				? SLICE("absent")
				: slice_of(dkim_seen_name(outcome->seen))
	};

	values[0] = now;
	values[1] = seen;
	values[2] = (struct db_value){ .text = slice_of(outcome->problem) };
	values[3] = count;
	values[4] = seen;
	values[5] = now;
	values[6] = seen;
	values[7] = (struct db_value){ .number = id };
	values[8] = now;
}

/* EXPLAIN: domain_state or active, the few keys of a domain. */
const struct db_statement dkim_activate = {
	.name = "dkim_activate",
	.sql = "UPDATE dkim_key SET active_at = IF(id = ?, ?, active_at),"
	       " retired_at = IF(id = ?, 0, ?), n_absent = IF(id = ?, 0,"
	       " n_absent), state = IF(id = ?, 'active', 'retiring'),"
	       " author = ? WHERE domain = ? AND algorithm = ?"
	       " AND (id = ? OR state = 'active') ORDER BY id = ?, id LIMIT ?",
	.access = DB_WRITES,
	.params = "uuuuuusssuuu",
	.columns = "",
};

void
dkim_activate_values(uint64_t id, struct slice domain, struct slice algorithm,
	struct db_value values[DKIM_ACTIVATE_VALUES])
{
	const struct db_value now = { .number = (uint64_t)clock_wall() };
	const struct db_value key = { .number = id };

	values[0] = key;
	values[1] = now;
	values[2] = key;
	values[3] = now;
	values[4] = key;
	values[5] = key;
	values[6] = (struct db_value){ .text = SLICE("") };
	values[7] = (struct db_value){ .text = domain };
	values[8] = (struct db_value){ .text = algorithm };
	values[9] = key;
	values[10] = key;
	values[11] = (struct db_value){ .number = 2 };
}
