/*
 * What the clean-up removes, one row for each table. Partitions of
 * policyd.decision are emptied by the journal: that costs nothing.
 *
 * EXPLAIN, for each: count and find are a range on the index of the time and
 * need nothing but the index (throttle_tracking: by primary key, with the
 * rule by its primary key; it has no index on times, and no more rows than
 * accounts; greylisting_whitelists: by its index on comment); remove is k, then
 * t by eq_ref on the primary key. Reading takes no locks; removing locks the
 * rows that go, and asks again whether they are still expired: somebody may
 * have come back meanwhile.
 */

#include "policyd/cleanup.h"

#include "common/io/db.h"
#include "policyd/facts/auto_whitelist.h"

#define DAY_S INT64_C(86400)

/* Tables with an index on the time, in the order of time. */
#define COUNT_BY(table, time) \
	"SELECT COUNT(*) FROM " table " WHERE " time " < ?"
#define FIND_BY(table, key, time)                                   \
	"SELECT " time ", 1, CAST(" key " AS CHAR) FROM " table " " \
	"WHERE " time " < ? AND " time " >= ? ORDER BY " time " LIMIT ?"
#define REMOVE(table, key, type, joins, condition)                           \
	"DELETE t FROM JSON_TABLE(?, '$[*]' COLUMNS (k " type " PATH '$')) " \
	"k STRAIGHT_JOIN " table " t ON t." key " = k.k " joins              \
	"WHERE " condition

/* --- greylisting_tracking ------------------------------------------------ */

/* As in iRedAPD: still valid in the second in which it expires. */
static int64_t
now_itself(const struct config *config, int64_t now)
{
	(void)config;
	return now;
}

static const struct db_statement count_triplets = {
	.name = "cleanup_count_triplets",
	.sql = COUNT_BY("greylisting_tracking", "record_expired"),
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

static const struct db_statement find_triplets = {
	.name = "cleanup_find_triplets",
	.sql = FIND_BY("greylisting_tracking", "id", "record_expired"),
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

static const struct db_statement remove_triplets = {
	.name = "cleanup_remove_triplets",
	.sql = REMOVE("greylisting_tracking", "id", "BIGINT UNSIGNED", "",
		"t.record_expired < ?"),
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- throttle_tracking --------------------------------------------------- */

/*
 * A window that is over for the period it was counted with, and for the one
 * of its rule now: a rule that counts for longer since must not lose what was
 * counted. A row of period 0 is none of a window.
 */
#define WITH_RULE "LEFT JOIN throttle r ON r.id = t.tid "
#define IS_OVER             \
	"t.period > 0 AND " \
	"t.init_time + GREATEST(t.period, COALESCE(r.period, 0)) < ?"

static const struct db_statement count_counters = {
	.name = "cleanup_count_counters",
	.sql = "SELECT COUNT(*) FROM throttle_tracking t " WITH_RULE
	       "WHERE " IS_OVER,
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

static const struct db_statement find_counters = {
	.name = "cleanup_find_counters",
	.sql = "SELECT t.id, " IS_OVER ", CAST(t.id AS CHAR) "
	       "FROM throttle_tracking t " WITH_RULE
	       "WHERE t.id > ? ORDER BY t.id LIMIT ?",
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

static const struct db_statement remove_counters = {
	.name = "cleanup_remove_counters",
	.sql = REMOVE("throttle_tracking", "id", "BIGINT UNSIGNED", WITH_RULE,
		IS_OVER),
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- senderscore_cache --------------------------------------------------- */

/* Rows dated far in the future were set by hand, and stay. */
static int64_t
score_days(const struct config *config, int64_t now)
{
	return now - (int64_t)config->cleanup.score_days * DAY_S;
}

static const struct db_statement count_scores = {
	.name = "cleanup_count_scores",
	.sql = COUNT_BY("senderscore_cache", "time"),
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

static const struct db_statement find_scores = {
	.name = "cleanup_find_scores",
	.sql = FIND_BY("senderscore_cache", "client_address", "time"),
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

static const struct db_statement remove_scores = {
	.name = "cleanup_remove_scores",
	.sql = REMOVE("senderscore_cache", "client_address", "VARCHAR(40)", "",
		"t.time < ?"),
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- smtp_sessions -------------------------------------------------------- */

static int64_t
session_days(const struct config *config, int64_t now)
{
	return now - (int64_t)config->sessions.keep_days * DAY_S;
}

static const struct db_statement count_sessions = {
	.name = "cleanup_count_sessions",
	.sql = COUNT_BY("smtp_sessions", "time_num"),
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

static const struct db_statement find_sessions = {
	.name = "cleanup_find_sessions",
	.sql = FIND_BY("smtp_sessions", "id", "time_num"),
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

static const struct db_statement remove_sessions = {
	.name = "cleanup_remove_sessions",
	.sql = REMOVE("smtp_sessions", "id", "BIGINT UNSIGNED", "",
		"t.time_num < ?"),
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- greylisting_whitelists ------------------------------------------------
 */

/* Of those that were added by themselves, and of which it is known when. */
#define IS_AUTOMATIC "comment = '" AUTO_WHITELIST_COMMENT "'"
#define IS_OLD       "created_at BETWEEN 1 AND ?"

static int64_t
white_age(const struct config *config, int64_t now)
{
	return now - (int64_t)(config->outbound.expire_ms / 1000);
}

static const struct db_statement count_whites = {
	.name = "cleanup_count_whites",
	.sql = "SELECT COUNT(*) FROM greylisting_whitelists "
	       "WHERE " IS_AUTOMATIC " AND " IS_OLD,
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

/* By the index on comment, behind which the primary key stands. */
static const struct db_statement find_whites = {
	.name = "cleanup_find_whites",
	.sql = "SELECT id, " IS_OLD ", CAST(id AS CHAR) "
	       "FROM greylisting_whitelists WHERE " IS_AUTOMATIC " "
	       "AND id > ? ORDER BY id LIMIT ?",
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

static const struct db_statement remove_whites = {
	.name = "cleanup_remove_whites",
	.sql = REMOVE("greylisting_whitelists", "id", "BIGINT UNSIGNED", "",
		IS_AUTOMATIC " AND " IS_OLD),
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- access ----------------------------------------------------------------
 */

/*
 * White- and blacklist entries with an end. The entry goes first, from the
 * database of Amavisd, and then what is known about it here: without that it
 * would count again. A key is all of it, as JSON. One that is made anew
 * between the two is lost with the old one; that takes a millisecond.
 *
 * EXPLAIN: count and find are a range on the index of the time; in first, k is
 * read, then u and m by their unique email and the lists by primary key.
 */
static const struct db_statement count_access = {
	.name = "cleanup_count_access",
	.sql = "SELECT COUNT(*) FROM access WHERE expires_at BETWEEN 1 AND ?",
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

static const struct db_statement find_access = {
	.name = "cleanup_find_access",
	.sql = "SELECT expires_at, 1, JSON_ARRAY(id, direction, account,"
	       " address, wb) FROM access WHERE expires_at BETWEEN 1 AND ?"
	       " AND expires_at >= ? ORDER BY expires_at LIMIT ?",
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

#define ACCESS_KEY(n) "JSON_VALUE(k.k, '$[" #n "]')"
#define ACCESS_KEYS \
	"JSON_TABLE(?, '$[*]' COLUMNS (k TEXT CHARACTER SET utf8mb4 PATH '$')) k"

static const struct db_statement first_access = {
	.name = "cleanup_first_access",
	.sql = "DELETE w, o FROM " ACCESS_KEYS
	       " STRAIGHT_JOIN users u ON u.email = " ACCESS_KEY(2) " STRAIGHT_JOIN mailaddr m ON m.email = " ACCESS_KEY(
		       3) " LEFT JOIN wblist w ON w.rid = u.id AND w.sid = m.id"
			  " AND w.wb = " ACCESS_KEY(4) " AND " ACCESS_KEY(
				  1) " = 'inbound'"
				     " LEFT JOIN outbound_wblist o ON o.sid = u.id AND o.rid = m.id"
				     " AND o.wb = " ACCESS_KEY(4) " AND " ACCESS_KEY(
					     1) " = 'outbound'",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

static const struct db_statement remove_access = {
	.name = "cleanup_remove_access",
	.sql = "DELETE t FROM " ACCESS_KEYS " STRAIGHT_JOIN access t"
	       " ON t.id = CAST(" ACCESS_KEY(
		       0) " AS UNSIGNED)"
			  " WHERE t.expires_at BETWEEN 1 AND ?",
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- dmarc_aggregate ------------------------------------------------------
 */

/* Whole days of UTC; the one that has just ended is still to be told. */
static int64_t
dmarc_days(const struct config *config, int64_t now)
{
	return now - ((int64_t)config->dmarc.keep_days + 1) * DAY_S;
}

static const struct db_statement count_dmarc = {
	.name = "cleanup_count_dmarc",
	.sql = COUNT_BY("dmarc_aggregate", "day"),
	.access = DB_READS,
	.params = "u",
	.columns = "u",
};

static const struct db_statement find_dmarc = {
	.name = "cleanup_find_dmarc",
	.sql = FIND_BY("dmarc_aggregate", "row_key", "day"),
	.access = DB_READS,
	.params = "uuu",
	.columns = "uus",
};

static const struct db_statement remove_dmarc = {
	.name = "cleanup_remove_dmarc",
	.sql = REMOVE("dmarc_aggregate", "row_key",
		"CHAR(32) CHARACTER SET ascii", "", "t.day < ?"),
	.access = DB_WRITES,
	.params = "su",
	.columns = "",
};

/* --- all of them ---------------------------------------------------------- */

const struct cleanup_job cleanup_jobs[] = {
	{ "iredapd.throttle_tracking", CONFIG_DB_IREDAPD, now_itself,
		&count_counters, &find_counters, &remove_counters, NULL, 0 },
	{ "iredapd.greylisting_tracking", CONFIG_DB_IREDAPD, now_itself,
		&count_triplets, &find_triplets, &remove_triplets, NULL, 0 },
	{ "iredapd.senderscore_cache", CONFIG_DB_IREDAPD, score_days,
		&count_scores, &find_scores, &remove_scores, NULL, 0 },
	{ "iredapd.greylisting_whitelists", CONFIG_DB_IREDAPD, white_age,
		&count_whites, &find_whites, &remove_whites, NULL, 0 },
	{ "iredapd.smtp_sessions", CONFIG_DB_IREDAPD, session_days,
		&count_sessions, &find_sessions, &remove_sessions, NULL, 0 },
	{ "policyd.access", CONFIG_DB_POLICYD, now_itself, &count_access,
		&find_access, &remove_access, &first_access,
		CONFIG_DB_AMAVISD },
	{ "policyd.dmarc_aggregate", CONFIG_DB_POLICYD, dmarc_days,
		&count_dmarc, &find_dmarc, &remove_dmarc, NULL, 0 },
};

const size_t n_cleanup_jobs = sizeof(cleanup_jobs) / sizeof(cleanup_jobs[0]);
