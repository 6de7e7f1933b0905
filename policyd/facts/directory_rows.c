/*
 * The two statements that ask vmail for addresses, and what their rows say.
 *
 * EXPLAIN (MariaDB 10.11, 100,000 members in one list): k, then every table by
 * eq_ref on its primary or unique key; alias_domain by ref on target_domain;
 * the subquery by ref on forwardings.address.
 */

#include "policyd/facts/directory_store.h"

/* --- what an address is ------------------------------------------------- */

/*
 * An element: the forms of the address, as it came first. passwordlastchange
 * is what a clock on the wall says where the server is.
 */
static const struct db_statement account_statement = {
	.name = "directory_account",
	/* clang-format off */
	.sql = "SELECT k.n, a.address IS NOT NULL, a.accesspolicy,"
	       " m.address IS NOT NULL, m.accesspolicy,"
	       " b.username IS NOT NULL, TIMESTAMPDIFF(SECOND, '1970-01-01',"
	       " CONVERT_TZ(b.passwordlastchange, 'SYSTEM', '+00:00'))"
	       " FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY,"
	       " NESTED PATH '$[*]' COLUMNS (i FOR ORDINALITY,"
	       " a VARCHAR(255) PATH '$'))) k"
	       " LEFT JOIN alias a ON a.address = k.a AND a.active = 1"
	       " LEFT JOIN maillists m ON m.address = k.a AND m.active = 1"
	       " LEFT JOIN mailbox b ON b.username = k.a AND b.active = 1"
	       " ORDER BY k.n, k.i",
	/* clang-format on */
	.access = DB_READS,
	.params = "s",
	.columns = "uususui",
};

enum account_column {
	ACCOUNT_ELEMENT,
	ACCOUNT_IS_ALIAS,
	ACCOUNT_ALIAS_POLICY,
	ACCOUNT_IS_MAILLIST,
	ACCOUNT_MAILLIST_POLICY,
	ACCOUNT_IS_MAILBOX,
	ACCOUNT_PASSWORD_CHANGED,
};

static const struct {
	const char *name;
	enum access_policy policy;
} policies[] = {
	{ "public", ACCESS_PUBLIC },
	{ "domain", ACCESS_DOMAIN },
	{ "subdomain", ACCESS_SUBDOMAIN },
	{ "membersonly", ACCESS_MEMBERS },
	{ "moderatorsonly", ACCESS_MODERATORS },
	{ "membersandmoderatorsonly", ACCESS_MEMBERS_AND_MODERATORS },
	/* What older versions of iRedMail wrote. */
	{ "allowedonly", ACCESS_MODERATORS },
};

#define N_POLICIES (sizeof(policies) / sizeof(policies[0]))

const char *
access_policy_name(enum access_policy policy)
{
	for (size_t i = 0; i < N_POLICIES; i++)
		if (policies[i].policy == policy)
			return policies[i].name;
	return "?";
}

static enum access_policy
read_policy(const struct db_rows *rows, size_t row, enum account_column column)
{
	const struct slice word = slice_trim(db_rows_text(rows, row, column));

	for (size_t i = 0; i < N_POLICIES; i++)
		if (slice_case_eq(word, slice_of(policies[i].name)))
			return policies[i].policy;
	return ACCESS_PUBLIC;
}

/* What an earlier row said of the address as it came is not undone. */
static void
add_account(union directory_answer *answer, const struct db_rows *rows,
	size_t row)
{
	struct account *account = &answer->account;

	if (!account->is_alias && db_rows_u64(rows, row, ACCOUNT_IS_ALIAS)) {
		account->is_alias = true;
		account->alias_policy =
			read_policy(rows, row, ACCOUNT_ALIAS_POLICY);
	}
	if (!account->is_maillist &&
		db_rows_u64(rows, row, ACCOUNT_IS_MAILLIST)) {
		account->is_maillist = true;
		account->maillist_policy =
			read_policy(rows, row, ACCOUNT_MAILLIST_POLICY);
	}
	if (!account->is_mailbox &&
		db_rows_u64(rows, row, ACCOUNT_IS_MAILBOX)) {
		account->is_mailbox = true;
		/* 0, the year 1970, for a date that is none. */
		if (!db_rows_is_null(rows, row, ACCOUNT_PASSWORD_CHANGED))
			account->password_changed_at = db_rows_i64(rows, row,
				ACCOUNT_PASSWORD_CHANGED);
	}
}

/* --- what somebody is to an address ------------------------------------- */

/*
 * An element: the local part and the domain (l, d) of who asks, the domain
 * the one behind an alias domain; the delimiters of extensions (e); and the
 * forms of the address (a).
 */
#define KEYS                                                         \
	" FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY,"      \
	" l VARCHAR(255) PATH '$[0]', d VARCHAR(255) PATH '$[1]',"   \
	" e VARCHAR(8) PATH '$[2]', NESTED PATH '$[3][*]' COLUMNS (" \
	"a VARCHAR(255) PATH '$'))) k"

/* What the collation holds for equal may not be: compared again, exactly. */
#define IS(column, text) "BINARY LOWER(" column ") = BINARY LOWER(" text ")"

#define ROW_FOR(table, alias, column, who)                                     \
	" LEFT JOIN " table " " alias " ON " alias ".address = k.a AND " alias \
	"." column " = " who                                                   \
	" AND " IS(alias ".address", "k.a") " AND " IS(alias "." column, who)

/*
 * An alias may point to an extension of who asks, "user+folder@example.com".
 * It is compared part by part: in a pattern of LIKE, the "_" of "john_doe"
 * would stand for any character. An address that is a list has members, and
 * maybe 100,000: its rows are not looked through.
 */
#define HAS_EXTENDED(domain)                                                               \
	"IF(a.address IS NULL AND m.address IS NULL, EXISTS ("                             \
	"SELECT 1 FROM forwardings x WHERE x.address = k.a"                                \
	" AND x.is_alias = 1 AND x.active = 1 AND " IS("x.address",                        \
		"k.a") " AND LOCATE(SUBSTRING(x.forwarding, CHAR_LENGTH(k.l) + 1, 1),"     \
		       " k.e) > 0 AND " IS(                                                \
			       "LEFT(x.forwarding, CHAR_LENGTH(k.l))",                     \
			       "k.l") " AND " IS("SUBSTRING_INDEX(x.forwarding, '@', -1)", \
			       domain) "), 0)"

#define ROLES_IN(domain, join)                                                         \
	"SELECT k.n, COALESCE(f.is_list, 0) l,"                                        \
	" COALESCE(f.is_alias, 0) OR " HAS_EXTENDED(                                   \
		domain) " s,"                                                          \
			" p.id IS NOT NULL p, q.id IS NOT NULL q, o.id IS NOT NULL o," \
			" m.id IS NOT NULL m" KEYS join                                \
			" LEFT JOIN alias a ON a.address = k.a"                        \
			" LEFT JOIN maillists m ON m.address = k.a" ROW_FOR(           \
				"forwardings", "f", "forwarding",                      \
				"CONCAT(k.l, '@', " domain                             \
				")") " AND f.active = 1" ROW_FOR("moderators",         \
				"p", "moderator",                                      \
				"CONCAT(k.l, '@', " domain                             \
				")") ROW_FOR("moderators", "q", "moderator",           \
				"CONCAT('*@', " domain                                 \
				")") ROW_FOR("maillist_owners", "o", "owner",          \
				"CONCAT(k.l, '@', " domain                             \
				")") " WHERE COALESCE(a.active, 1) = 1 AND COALESCE(m.active, 1) = 1"

static const struct db_statement roles_statement = {
	.name = "directory_roles",
	.sql = "SELECT n, MAX(l), MAX(s), MAX(p), MAX(q), MAX(o), MAX(m)"
	       " FROM (" ROLES_IN("k.d",
		       "") " UNION ALL " ROLES_IN("t.alias_domain",
		       " JOIN alias_domain t ON t.target_domain = k.d"
		       " AND t.active = 1") ") u GROUP BY n ORDER BY n",
	.access = DB_READS,
	.params = "ss",
	.columns = "uuuuuuu",
};

enum roles_column {
	ROLES_ELEMENT,
	ROLES_MEMBER,
	ROLES_ALIAS_OWNER,
	ROLES_MODERATOR,
	ROLES_ANY_MODERATOR,
	ROLES_OWNER,
	ROLES_MAILLIST,
};

static void
add_roles(union directory_answer *answer, const struct db_rows *rows,
	size_t row)
{
	answer->roles = (struct roles){
		.is_member = db_rows_u64(rows, row, ROLES_MEMBER) != 0,
		.is_alias_owner =
			db_rows_u64(rows, row, ROLES_ALIAS_OWNER) != 0,
		.is_moderator = db_rows_u64(rows, row, ROLES_MODERATOR) != 0,
		.is_any_moderator =
			db_rows_u64(rows, row, ROLES_ANY_MODERATOR) != 0,
		.is_owner = db_rows_u64(rows, row, ROLES_OWNER) != 0,
		.of_maillist = db_rows_u64(rows, row, ROLES_MAILLIST) != 0,
	};
}

const struct directory_statement directory_statements[DIRECTORY_QUESTIONS] = {
	[DIRECTORY_ACCOUNT] = { &account_statement, add_account },
	[DIRECTORY_ROLES] = { &roles_statement, add_roles },
};
