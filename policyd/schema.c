#include "policyd/schema.h"

#include <assert.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/sources.h"

/* How soon it looks again while something is missing. */
#define LOOK_AGAIN_MS 2000
/* While the database does not answer. */
#define RETRY_MS         1000
#define MISSING_MAX      1024
#define MIGRATIONS_MAX   256
#define ER_NO_SUCH_TABLE 1146u
#define ER_BAD_DB_ERROR  1049u

enum state {
	STATE_ASKING,   /* the database for its rows */
	STATE_WAITING,  /* for the time to ask again */
	STATE_COMPLETE, /* for nothing */
};

/* A statement under way; outlives the schema that is freed before. */
struct question {
	struct schema *schema;
};

struct schema {
	struct sources *sources;
	enum state state;
	struct question *question; /* STATE_ASKING */
	struct loop_timer *timer;
	struct str missing; /* "" until the database told */
};

static void ask(struct schema *schema);

static void
set_state(struct schema *schema, enum state state, uint64_t delay_ms)
{
	schema->state = state;
	if (state == STATE_WAITING)
		loop_timer_set(schema->timer, delay_ms);
}

static void
find_missing(const struct db_rows *rows, struct str *out)
{
	bool is_there[MIGRATIONS_MAX] = { false };

	assert(n_migrations <= MIGRATIONS_MAX);
	for (size_t row = 0; rows != NULL && row < db_rows_count(rows); row++) {
		const int i = migration_find(db_rows_text(rows, row, 0),
			(unsigned)db_rows_u64(rows, row, 1));

		if (i >= 0)
			is_there[i] = true;
	}
	for (size_t i = 0; i < n_migrations; i++)
		if (!is_there[i])
			str_printf(out, "%s%s/%03u_%s",
				out->len > 0 ? ", " : "",
				migrations[i].database, migrations[i].number,
				migrations[i].name);
}

static void
look(struct schema *schema, const struct db_rows *rows)
{
	struct str missing;

	str_init(&missing, MISSING_MAX);
	find_missing(rows, &missing);
	if (missing.len == 0) {
		if (schema->missing.len > 0)
			log_info("the tables are complete now");
		set_state(schema, STATE_COMPLETE, 0);
	} else {
		if (!slice_eq(str_slice(&missing), str_slice(&schema->missing)))
			log_error("tables are missing or old, run \"policyctl "
				  "db migrate\"; missing: %s",
				str_text(&missing));
		set_state(schema, STATE_WAITING, LOOK_AGAIN_MS);
	}
	str_free(&schema->missing);
	schema->missing = missing;
}

static void
on_answer(void *arg, const struct db_result *result)
{
	struct question *question = arg;
	struct schema *schema = question->schema;

	x_free(question);
	if (schema == NULL)
		return;
	schema->question = NULL;
	if (result->status == DB_OK)
		look(schema, result->rows);
	else if (result->status == DB_REFUSED &&
		 (result->error_number == ER_NO_SUCH_TABLE ||
			 result->error_number == ER_BAD_DB_ERROR))
		look(schema, NULL);
	else
		set_state(schema, STATE_WAITING, RETRY_MS);
}

static void
ask(struct schema *schema)
{
	static const struct db_statement statement = {
		.name = "schema_migrations",
		.sql = "SELECT database_name, number FROM schema_migration",
		.access = DB_READS,
		.params = "",
		.columns = "su",
	};

	schema->question = x_new(struct question);
	schema->question->schema = schema;
	set_state(schema, STATE_ASKING, 0);
	db_run(schema->sources->db[CONFIG_DB_POLICYD], &statement, NULL, 0,
		on_answer, schema->question);
}

static void
on_timer(void *arg)
{
	ask(arg);
}

struct schema *
schema_new(struct sources *sources)
{
	struct schema *schema = x_new(struct schema);

	schema->sources = sources;
	schema->timer = loop_timer_new(sources->loop, on_timer, schema);
	str_init(&schema->missing, MISSING_MAX);
	ask(schema);
	return schema;
}

void
schema_free(struct schema *schema)
{
	if (schema == NULL)
		return;
	if (schema->question != NULL)
		schema->question->schema = NULL;
	loop_timer_free(schema->timer);
	str_free(&schema->missing);
	x_free(schema);
}

bool
schema_is_complete(const struct schema *schema, const char **missing)
{
	*missing = str_text(&schema->missing);
	return schema->state == STATE_COMPLETE;
}
