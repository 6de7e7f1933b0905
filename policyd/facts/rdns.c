#include "policyd/facts/rdns.h"

#include "common/base/map.h"
#include "common/base/mem.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* --- iredapd.wblist_rdns ----------------------------------------------- */

enum { COLUMN_ID, COLUMN_NAME, COLUMN_COLOUR };

struct rdns_table {
	struct map *white, *black; /* of present */
	struct arena *scratch;
};

static char present;

static void *
make(const struct config *config)
{
	struct rdns_table *table = x_new(struct rdns_table);

	(void)config;
	table->white = map_new();
	table->black = map_new();
	table->scratch = arena_new((size_t)2 * (RDNS_MAX + 1));
	return table;
}

static void
free_table(void *snapshot)
{
	struct rdns_table *table = snapshot;

	map_free(table->white, NULL);
	map_free(table->black, NULL);
	arena_free(table->scratch);
	x_free(table);
}

const char *
rdns_check(struct slice name)
{
	struct slice rest = name, label;

	if (slice_eq_text(name, "unknown"))
		return "a client without a name is never looked for";
	if (slice_starts(name, SLICE("*.")))
		return "for all names below one write .example.com, "
		       "without a star";
	if (slice_starts(name, SLICE(".")))
		rest = slice_from(name, 1);
	if (rest.len == 0 || name.len > RDNS_MAX)
		return "this is not the name of a host";
	while (slice_split(&rest, '.', &label)) {
		if (label.len == 0)
			return "this is not the name of a host";
		for (size_t i = 0; i < label.len; i++)
			if ((unsigned char)label.ptr[i] <= ' ' ||
				label.ptr[i] == '*' || label.ptr[i] == '@')
				return "this is not the name of a host";
	}
	return NULL;
}

static const char *
add(void *snapshot, const struct db_rows *rows, size_t row)
{
	struct rdns_table *table = snapshot;
	const struct slice text =
		slice_trim(db_rows_text(rows, row, COLUMN_NAME));
	const struct slice colour =
		slice_trim(db_rows_text(rows, row, COLUMN_COLOUR));
	struct slice name;
	const char *wrong;

	if (text.len > RDNS_MAX)
		return "this is not the name of a host";
	arena_reset(table->scratch);
	name = slice_lower(table->scratch, text);
	wrong = rdns_check(name);
	if (wrong != NULL)
		return wrong;
	if (slice_case_eq(colour, SLICE("W")))
		map_put(table->white, name, &present);
	else if (slice_case_eq(colour, SLICE("B")))
		map_put(table->black, name, &present);
	else
		return "its wb is neither W (white) nor B (black)";
	return NULL;
}

static const struct db_statement fingerprint = {
	.name = "rdns_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f, id,"
	       " rdns, wb))), 0) AS UNSIGNED) FROM wblist_rdns",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

static const struct db_statement chunk = {
	.name = "rdns_chunk",
	.sql = "SELECT id, rdns, wb FROM wblist_rdns WHERE id > ?"
	       " ORDER BY id LIMIT 1000",
	.access = DB_READS,
	.params = "u",
	.columns = "uss",
};

const struct table_kind table_rdns = {
	.id = TABLE_RDNS,
	.name = "iredapd.wblist_rdns",
	.db = CONFIG_DB_IREDAPD,
	.fingerprint = &fingerprint,
	.chunk = &chunk,
	.key_column = COLUMN_ID,
	.make = make,
	.add = add,
	.free = free_table,
};

/* --- the fact ---------------------------------------------------------- */

static void
note(const struct map *rows, struct slice name, struct slice *out)
{
	if (out->len == 0 && map_get(rows, name) != NULL)
		*out = name;
}

/*
 * a.b.c is looked for as a.b.c, .a.b.c, .b.c and .c: in the worst case, all
 * dots, that is RDNS_MAX short look-ups.
 */
static void
match(const struct rdns_table *table, struct arena *arena, struct slice name,
	struct rdns *out)
{
	const struct slice dotted =
		slice_of(arena_printf(arena, ".%.*s", SLICE_ARG(name)));

	note(table->white, name, &out->white);
	note(table->black, name, &out->black);
	for (size_t i = 0; i < dotted.len; i++) {
		if (dotted.ptr[i] != '.')
			continue;
		note(table->white, slice_from(dotted, i), &out->white);
		note(table->black, slice_from(dotted, i), &out->black);
	}
}

static void
load(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	struct tables *tables = fact->facts->sources->tables;
	struct slice name =
		slice_trim(req->attribute[ATTRIBUTE_reverse_client_name]);
	struct rdns *out;

	if (!tables_require(tables, TABLE_BIT(TABLE_RDNS), fact))
		return;
	out = arena_new_object(req->arena, struct rdns);
	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	/* No name that DNS knows; its end is what counts. */
	if (name.len > RDNS_MAX)
		name = slice_from(name, name.len - RDNS_MAX);
	if (name.len > 0)
		match(tables_get(tables, TABLE_RDNS), req->arena,
			slice_lower(req->arena, name), out);
	fact_known(fact, out);
}

static void
cancel(struct fact *fact)
{
	tables_forget(fact->facts->sources->tables, fact);
}

static void
describe(const void *value, struct str *json)
{
	const struct rdns *rdns = value;

	str_append_text(json, "{\"white\":");
	str_append_json(json, rdns->white);
	str_append_text(json, ",\"black\":");
	str_append_json(json, rdns->black);
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_rdns = {
	.id = FACT_RDNS,
	.name = "rdns",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_rdns(struct facts *facts, const struct rdns **out)
{
	return fact_ask(facts, &fact_kind_rdns, (const void **)out);
}
