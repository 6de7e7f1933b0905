#include "policyd/facts/exempt_clients.h"

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/mail/ip.h"

enum { COLUMN_CLIENT };

struct exempt_clients {
	struct map *clients; /* by ip_format(), of present */
};

static char present;

static void *
make(const struct config *config)
{
	struct exempt_clients *table = x_new(struct exempt_clients);

	(void)config;
	table->clients = map_new();
	return table;
}

static void
free_table(void *snapshot)
{
	struct exempt_clients *table = snapshot;

	map_free(table->clients, NULL);
	x_free(table);
}

static const char *
add(void *snapshot, const struct db_rows *rows, size_t row)
{
	struct exempt_clients *table = snapshot;
	char text[IP_TEXT_MAX];
	struct ip client;

	if (!ip_parse(slice_trim(db_rows_text(rows, row, COLUMN_CLIENT)),
		    &client))
		return "its client_address is no IP address";
	map_put(table->clients, slice_of(ip_format(&client, text)), &present);
	return NULL;
}

bool
exempt_clients_has(const struct exempt_clients *table, const struct ip *client)
{
	char text[IP_TEXT_MAX];

	return map_get(table->clients, slice_of(ip_format(client, text))) !=
	       NULL;
}

static const struct db_statement fingerprint = {
	.name = "exempt_clients_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(client_address)), 0)"
	       " AS UNSIGNED) FROM senderscore_cache"
	       " WHERE " EXEMPT_CLIENTS_WHERE,
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement chunk = {
	.name = "exempt_clients_chunk",
	.sql = "SELECT client_address FROM senderscore_cache"
	       " WHERE client_address > ? AND " EXEMPT_CLIENTS_WHERE
	       " ORDER BY client_address LIMIT 1000",
	.access = DB_READS,
	.params = "s",
	.columns = "s",
};

const struct table_kind table_exempt_clients = {
	.id = TABLE_EXEMPT_CLIENTS,
	.name = "iredapd.senderscore_cache",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &fingerprint,
	.chunk = &chunk,
	.key_column = COLUMN_CLIENT,
	.make = make,
	.add = add,
	.free = free_table,
};
