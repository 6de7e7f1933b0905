#include "policyd/schema.h"

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
