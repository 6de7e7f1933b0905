#include "policyd/facts/whitelist_domains.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/mail/address.h"

/* Rows that a new list has room for. */
#define SIZE_MIN 64

struct domain_list {
	struct whitelist_domains list;
	size_t size;
	struct arena *scratch;
};

static void *
make(const struct config *config)
{
	struct domain_list *domains = x_new(struct domain_list);

	(void)config;
	domains->scratch = arena_new(ADDRESS_MAX * 8);
	return domains;
}

static void
free_list(void *snapshot)
{
	struct domain_list *domains = snapshot;

	for (size_t i = 0; i < domains->list.n; i++)
		x_free(domains->list.names[i]);
	x_free(domains->list.names);
	arena_free(domains->scratch);
	x_free(domains);
}

static void
append(struct domain_list *domains, struct slice name)
{
	struct whitelist_domains *list = &domains->list;

	if (list->n == domains->size) {
		domains->size = list->n > 0 ? list->n * 2 : SIZE_MIN;
		list->names = x_realloc_array(list->names, domains->size,
			sizeof(*list->names));
	}
	list->names[list->n++] = slice_strdup(name);
	list->sum += hash_u64(name);
}

enum { DOMAIN_ID, DOMAIN_NAME };

/* The column is unique without regard to case. */
static const char *
add(void *snapshot, const struct db_rows *rows, size_t i)
{
	struct domain_list *domains = snapshot;
	const struct slice text = db_rows_text(rows, i, DOMAIN_NAME);
	struct slice stored;
	const char *err;

	/* "example.org" is stored for an account as "@example.org". */
	arena_reset(domains->scratch);
	if (text.len > ADDRESS_MAX || slice_has_byte(text, '@') ||
		!account_normalize(domains->scratch, text, &stored, &err) ||
		account_kind(stored) != ACCOUNT_DOMAIN)
		return "this is not a domain such as example.org";
	stored = account_plain(stored);
	if (stored.len > WHITELIST_DOMAIN_MAX)
		return "this name is too long for the comment of its entries";
	append(domains, stored);
	return NULL;
}

static const struct db_statement fingerprint = {
	.name = "whitelist_domains_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id,"
	       " domain))), 0) AS UNSIGNED) FROM greylisting_whitelist_domains",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement chunk = {
	.name = "whitelist_domains_chunk",
	.sql = "SELECT id, domain FROM greylisting_whitelist_domains"
	       " WHERE id > ? ORDER BY id LIMIT 1000",
	.access = DB_READS,
	.params = "u",
	.columns = "us",
};

const struct table_kind table_whitelist_domains = {
	.id = TABLE_WHITELIST_DOMAINS,
	.name = "iredapd.greylisting_whitelist_domains",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &fingerprint,
	.chunk = &chunk,
	.key_column = DOMAIN_ID,
	.make = make,
	.add = add,
	.free = free_list,
};

const struct whitelist_domains *
whitelist_domains_get(const struct tables *tables)
{
	return tables_get(tables, TABLE_WHITELIST_DOMAINS);
}
