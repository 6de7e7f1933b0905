#include "policyd/facts/domains.h"

#include <string.h>
#include <unistd.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "policyd/request.h"
#include "policyd/sources.h"

#define HOST_NAME_SIZE 256
/* The names of alias domains' targets; the rows are bounded by table_rows. */
#define SNAPSHOT_MAX (SIZE_MAX / 2)

static struct slice
read_name(struct arena *arena, const struct db_rows *rows, size_t row,
	size_t column)
{
	struct slice name = slice_trim(db_rows_text(rows, row, column));

	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	return slice_lower(arena, name);
}

static const char not_a_domain[] = "this is not the name of a mail domain";

/* --- vmail.domain ------------------------------------------------------ */

enum { DOMAIN_NAME, DOMAIN_ACTIVE, DOMAIN_BACKUPMX };

/* What is known of an active domain: one of two values. */
struct domain_row {
	bool is_backup_mx;
};

struct domain_table {
	struct map *active;
	char host_name[HOST_NAME_SIZE];
	struct arena *scratch;
};

static void *
domain_make(const struct config *config)
{
	struct domain_table *table = x_new(struct domain_table);

	(void)config;
	table->active = map_new();
	table->scratch = arena_new(ADDRESS_MAX * 4);
	if (gethostname(table->host_name, sizeof(table->host_name) - 1) < 0)
		table->host_name[0] = '\0';
	for (char *c = table->host_name; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return table;
}

static const char *
domain_add(void *snapshot, const struct db_rows *rows, size_t row)
{
	static struct domain_row plain = { .is_backup_mx = false };
	static struct domain_row backup_mx = { .is_backup_mx = true };
	struct domain_table *table = snapshot;
	struct slice name;

	if (db_rows_u64(rows, row, DOMAIN_ACTIVE) != 1)
		return NULL;
	arena_reset(table->scratch);
	if (db_rows_text(rows, row, DOMAIN_NAME).len > ADDRESS_MAX)
		return not_a_domain;
	name = read_name(table->scratch, rows, row, DOMAIN_NAME);
	if (!domain_is_plain(name))
		return not_a_domain;
	map_put(table->active, name,
		db_rows_u64(rows, row, DOMAIN_BACKUPMX) == 1 ? &backup_mx
							     : &plain);
	return NULL;
}

static void
domain_free(void *snapshot)
{
	struct domain_table *table = snapshot;

	map_free(table->active, NULL);
	arena_free(table->scratch);
	x_free(table);
}

static const struct db_statement domain_fingerprint = {
	.name = "domain_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f,"
	       " domain, active, backupmx))), 0) AS UNSIGNED) FROM domain",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement domain_chunk = {
	.name = "domain_chunk",
	.sql = "SELECT domain, active, backupmx FROM domain WHERE domain > ?"
	       " ORDER BY domain LIMIT 1000",
	.access = DB_READS,
	.params = "s",
	.columns = "sii",
};

const struct table_kind table_domain = {
	.id = TABLE_DOMAIN,
	.name = "vmail.domain",
	.db = CONFIG_DB_VMAIL,
	.fingerprint = &domain_fingerprint,
	.chunk = &domain_chunk,
	.key_column = DOMAIN_NAME,
	.make = domain_make,
	.add = domain_add,
	.free = domain_free,
};

/* --- vmail.alias_domain ------------------------------------------------ */

enum { ALIAS_NAME, ALIAS_TARGET, ALIAS_ACTIVE };

struct alias_table {
	struct map *targets; /* of active ones: struct slice in the arena */
	struct arena *arena;
};

static void *
alias_make(const struct config *config)
{
	struct alias_table *table = x_new(struct alias_table);

	(void)config;
	table->targets = map_new();
	table->arena = arena_new(SNAPSHOT_MAX);
	return table;
}

static const char *
alias_add(void *snapshot, const struct db_rows *rows, size_t row)
{
	struct alias_table *table = snapshot;
	struct slice name, *target;

	/* iRedAPD did not ask for this: a disabled alias still counted. */
	if (db_rows_u64(rows, row, ALIAS_ACTIVE) != 1)
		return NULL;
	if (db_rows_text(rows, row, ALIAS_NAME).len > ADDRESS_MAX ||
		db_rows_text(rows, row, ALIAS_TARGET).len > ADDRESS_MAX)
		return not_a_domain;
	name = read_name(table->arena, rows, row, ALIAS_NAME);
	target = arena_new_object(table->arena, struct slice);
	*target = read_name(table->arena, rows, row, ALIAS_TARGET);
	if (!domain_is_plain(name))
		return not_a_domain;
	if (!domain_is_plain(*target))
		return "its target is not the name of a mail domain";
	map_put(table->targets, name, target);
	return NULL;
}

static void
alias_free(void *snapshot)
{
	struct alias_table *table = snapshot;

	map_free(table->targets, NULL);
	arena_free(table->arena);
	x_free(table);
}

static const struct db_statement alias_fingerprint = {
	.name = "alias_domain_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f,"
	       " alias_domain, target_domain, active))), 0) AS UNSIGNED)"
	       " FROM alias_domain",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement alias_chunk = {
	.name = "alias_domain_chunk",
	.sql = "SELECT alias_domain, target_domain, active FROM alias_domain"
	       " WHERE alias_domain > ? ORDER BY alias_domain LIMIT 1000",
	.access = DB_READS,
	.params = "s",
	.columns = "ssi",
};

const struct table_kind table_alias_domain = {
	.id = TABLE_ALIAS_DOMAIN,
	.name = "vmail.alias_domain",
	.db = CONFIG_DB_VMAIL,
	.fingerprint = &alias_fingerprint,
	.chunk = &alias_chunk,
	.key_column = ALIAS_NAME,
	.make = alias_make,
	.add = alias_add,
	.free = alias_free,
};

/* --- the fact ---------------------------------------------------------- */

static void
look_up(const struct domain_table *domains, const struct alias_table *aliases,
	struct slice domain, struct domain_state *out)
{
	const struct domain_row *row = map_get(domains->active, domain);
	const struct slice *target = map_get(aliases->targets, domain);
	const struct domain_row *behind;

	out->is_backup_mx = row != NULL && row->is_backup_mx;
	out->is_local =
		row != NULL || slice_eq_text(domain, domains->host_name);
	behind = target != NULL ? map_get(domains->active, *target) : NULL;
	if (behind == NULL)
		return;
	out->is_local = true;
	out->is_backup_mx = out->is_backup_mx || behind->is_backup_mx;
	out->alias_target = *target;
}

bool
domain_look_up(const struct tables *tables, struct slice domain,
	struct domain_state *out)
{
	const struct domain_table *domains = tables_get(tables, TABLE_DOMAIN);
	const struct alias_table *aliases =
		tables_get(tables, TABLE_ALIAS_DOMAIN);

	*out = (struct domain_state){ .is_local = false };
	if (domains == NULL || aliases == NULL)
		return false;
	if (domain_is_plain(domain))
		look_up(domains, aliases, domain, out);
	return true;
}

/* Outlives the snapshot: the target is copied. */
static void
look_up_address(const struct tables *tables, struct arena *arena,
	const struct address *address, struct domain_state *out)
{
	domain_look_up(tables, address->domain, out);
	if (out->alias_target.len > 0)
		out->alias_target = slice_copy(arena, out->alias_target);
}

struct slice
domain_real(const struct tables *tables, struct slice domain)
{
	struct domain_state state;

	if (domain_look_up(tables, domain, &state) &&
		state.alias_target.len > 0)
		return state.alias_target;
	return domain;
}

static enum domain_relation
relate(const struct tables *tables, struct slice domain, struct slice to)
{
	const struct slice real = domain_real(tables, to);
	ptrdiff_t dot;

	if (domain.len == 0 || domain.len > ADDRESS_MAX || to.len == 0)
		return DOMAIN_OTHER;
	if (slice_eq(domain_real(tables, domain), real))
		return DOMAIN_SAME;
	while ((dot = slice_find(domain, '.')) >= 0) {
		domain = slice_from(domain, (size_t)dot + 1);
		if (domain.len > 0 &&
			slice_eq(domain_real(tables, domain), real))
			return DOMAIN_BELOW;
	}
	return DOMAIN_OTHER;
}

static const enum domain_relation *
relate_authors(const struct tables *tables, const struct request *req)
{
	enum domain_relation *out = arena_new_array(req->arena, req->n_authors,
		enum domain_relation);

	for (size_t i = 0; i < req->n_authors; i++)
		out[i] = relate(tables, req->authors[i].domain,
			req->login.domain);
	return out;
}

static void
load(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	struct tables *tables = fact->facts->sources->tables;
	struct domain_state *recipients;
	struct domains *out;

	if (!tables_require(tables,
		    TABLE_BIT(TABLE_DOMAIN) | TABLE_BIT(TABLE_ALIAS_DOMAIN),
		    fact))
		return;
	out = arena_new_object(req->arena, struct domains);
	look_up_address(tables, req->arena, &req->sender, &out->sender);
	look_up_address(tables, req->arena, &req->recipient, &out->recipient);
	look_up_address(tables, req->arena, &req->login, &out->login);
	out->sender_to_recipient =
		relate(tables, req->sender.domain, req->recipient.domain);
	out->sender_to_login =
		relate(tables, req->sender.domain, req->login.domain);
	recipients = arena_new_array(req->arena, req->n_recipients,
		struct domain_state);
	for (size_t i = 0; i < req->n_recipients; i++)
		look_up_address(tables, req->arena, &req->recipients[i],
			&recipients[i]);
	out->recipients = recipients;
	out->authors_to_login = relate_authors(tables, req);
	fact_known(fact, out);
}

static void
cancel(struct fact *fact)
{
	tables_forget(fact->facts->sources->tables, fact);
}

static void
describe_state(const char *name, const struct domain_state *state,
	struct str *json)
{
	str_printf(json, "\"%s\":{\"local\":%s,\"backup_mx\":%s", name,
		state->is_local ? "true" : "false",
		state->is_backup_mx ? "true" : "false");
	if (state->alias_target.len > 0) {
		str_append_text(json, ",\"alias_of\":");
		str_append_json(json, state->alias_target);
	}
	str_append_char(json, '}');
}

static void
describe(const void *value, struct str *json)
{
	const struct domains *domains = value;

	str_append_char(json, '{');
	describe_state("sender", &domains->sender, json);
	str_append_char(json, ',');
	describe_state("recipient", &domains->recipient, json);
	str_append_char(json, ',');
	describe_state("login", &domains->login, json);
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_domains = {
	.id = FACT_DOMAINS,
	.name = "domains",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_domains(struct facts *facts, const struct domains **out)
{
	return fact_ask(facts, &fact_kind_domains, (const void **)out);
}
