#include "policyd/facts/srs_exclude.h"

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/mail/address.h"

struct exclude_table {
	struct map *rows; /* as they are stored */
	struct arena *scratch;
};

static void *
make(const struct config *config)
{
	struct exclude_table *table = x_new(struct exclude_table);

	(void)config;
	table->rows = map_new();
	table->scratch = arena_new(ADDRESS_MAX * 8);
	return table;
}

static void
free_table(void *snapshot)
{
	struct exclude_table *table = snapshot;

	map_free(table->rows, NULL);
	arena_free(table->scratch);
	x_free(table);
}

enum { EXCLUDE_ID, EXCLUDE_DOMAIN };

static const char *
add(void *snapshot, const struct db_rows *rows, size_t i)
{
	struct exclude_table *table = snapshot;
	struct slice text = db_rows_text(rows, i, EXCLUDE_DOMAIN), stored;
	const char *err;

	/* "example.org" is stored for an account as "@example.org". */
	arena_reset(table->scratch);
	if (text.len > ADDRESS_MAX || slice_has_byte(text, '@') ||
		!account_normalize(table->scratch, text, &stored, &err))
		return "this is not a domain such as example.org or "
		       ".example.org";
	switch (account_kind(stored)) {
	case ACCOUNT_DOMAIN:
	case ACCOUNT_SUBDOMAIN:
	case ACCOUNT_TOP_DOMAIN:
		map_put(table->rows, account_plain(stored), table);
		return NULL;
	case ACCOUNT_INVALID:
	case ACCOUNT_CATCH_ALL:
	case ACCOUNT_CATCH_ALL_IP:
	case ACCOUNT_NETWORK:
	case ACCOUNT_WILDCARD_IP:
	case ACCOUNT_IP:
	case ACCOUNT_ANY_DOMAIN:
	case ACCOUNT_ADDRESS:
		break;
	}
	return "only domains are excluded from SRS";
}

static const struct db_statement fingerprint = {
	.name = "srs_exclude_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id,"
	       " domain))), 0) AS UNSIGNED) FROM srs_exclude_domains",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement chunk = {
	.name = "srs_exclude_chunk",
	.sql = "SELECT id, domain FROM srs_exclude_domains WHERE id > ?"
	       " ORDER BY id LIMIT 1000",
	.access = DB_READS,
	.params = "u",
	.columns = "us",
};

const struct table_kind table_srs_exclude = {
	.id = TABLE_SRS_EXCLUDE,
	.name = "iredapd.srs_exclude_domains",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &fingerprint,
	.chunk = &chunk,
	.key_column = EXCLUDE_ID,
	.make = make,
	.add = add,
	.free = free_table,
};

bool
srs_exclude_look_up(const struct tables *tables, struct slice domain,
	bool *is_excluded)
{
	const struct exclude_table *table =
		tables_get(tables, TABLE_SRS_EXCLUDE);

	if (table == NULL)
		return false;
	*is_excluded = map_get(table->rows, domain) != NULL;
	/* ".b.example", ".example" of "a.b.example". */
	for (size_t i = 0; i < domain.len && !*is_excluded; i++)
		*is_excluded =
			domain.ptr[i] == '.' &&
			map_get(table->rows, slice_from(domain, i)) != NULL;
	return true;
}
