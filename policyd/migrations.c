#include "policyd/schema.h"

#include <string.h>

#include "common/base/num.h"
#include "common/io/db.h"

/* SCHEMA_SERVER_MIN */
#define SERVER_MAJOR_MIN 10
#define SERVER_MINOR_MIN 6

const struct migration migrations[] = {
#define MIGRATION(database, number, name) { database, number, name },
#include "policyd/migrations.def"
#undef MIGRATION
};

const size_t n_migrations = sizeof(migrations) / sizeof(migrations[0]);

int
migration_find(struct slice database, unsigned number)
{
	for (size_t i = 0; i < n_migrations; i++)
		if (migrations[i].number == number &&
			slice_eq_text(database, migrations[i].database))
			return (int)i;
	return -1;
}

bool
schema_server_is_supported(struct slice version)
{
	const bool is_mariadb =
		memmem(version.ptr, version.len, "MariaDB", 7) != NULL;
	struct slice major, minor;
	uint64_t a, b;

	(void)slice_split(&version, '.', &major);
	return slice_split(&version, '.', &minor) && is_mariadb &&
	       num_parse_u64(major, UINT16_MAX, &a) &&
	       num_parse_u64(minor, UINT16_MAX, &b) &&
	       (a > SERVER_MAJOR_MIN ||
		       (a == SERVER_MAJOR_MIN && b >= SERVER_MINOR_MIN));
}

const struct db_statement schema_collations = {
	.name = "schema_collations",
	.sql = "WITH used AS (SELECT table_name t, collation_name c,"
	       " character_set_name s FROM information_schema.columns"
	       " WHERE table_schema = ? AND collation_name IS NOT NULL),"
	       " usual AS (SELECT c, s FROM used"
	       " WHERE s IN ('utf8mb4', 'utf8mb3', 'utf8') GROUP BY c, s"
	       " ORDER BY COUNT(*) DESC, c LIMIT 1)"
	       " SELECT used.t, MIN(used.c), usual.c, usual.s"
	       " FROM used JOIN usual ON used.c != usual.c"
	       " WHERE (usual.s = 'utf8mb4' OR used.s = usual.s) AND used.t IN"
	       " ('throttle', 'throttle_tracking', 'greylisting',"
	       " 'greylisting_tracking', 'greylisting_whitelists',"
	       " 'greylisting_whitelist_domain_spf', 'senderscore_cache')"
	       " GROUP BY used.t, usual.c, usual.s ORDER BY used.t",
	.access = DB_READS,
	.params = "s",
	.columns = "ssss",
};
