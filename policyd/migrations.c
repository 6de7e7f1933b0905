#include "policyd/schema.h"

#include <string.h>

#include "common/base/num.h"

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
