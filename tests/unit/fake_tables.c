#include "tests/unit/fake_tables.h"

#include <check.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/access_lists.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/exempt_clients.h"
#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/rdns.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/srs_exclude.h"
#include "policyd/facts/whitelist_domains.h"
#include "policyd/sources.h"
#include "tests/unit/fake_rows.h"

#define NOW 1700000000

static struct {
	const struct table_kind *kind[TABLE_COUNT];
	void *snapshot[TABLE_COUNT];
	struct fact *waiting;
	struct str problems;
} fake;

static struct sources sources;

static const struct table_kind *const kinds[TABLE_COUNT] = {
	&table_domain,
	&table_alias_domain,
	&table_greylisting,
	&table_greylist_whitelist,
	&table_greylist_whitelist_spf,
	&table_whitelist_domains,
	&table_throttle,
	&table_rdns,
	&table_exempt_clients,
	&table_setting,
	&table_srs_exclude,
	&table_wblist,
	&table_outbound_wblist,
	&table_access,
};

struct tables *
fake_tables(void)
{
	return (struct tables *)&fake;
}

const char *
fake_problems(void)
{
	return str_text(&fake.problems);
}

struct fact *
fake_waiting(void)
{
	return fake.waiting;
}

/* In place of tables.c. */

const void *
tables_get(const struct tables *tables, enum table_id id)
{
	ck_assert_ptr_eq(tables, fake_tables());
	return fake.snapshot[id];
}

bool
tables_require(struct tables *tables, unsigned set, struct fact *fact)
{
	ck_assert_ptr_eq(tables, fake_tables());
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if ((set & TABLE_BIT(i)) == 0 || fake.snapshot[i] != NULL)
			continue;
		fake.waiting = fact;
		return false;
	}
	return true;
}

void
tables_forget(struct tables *tables, struct fact *fact)
{
	ck_assert_ptr_eq(tables, fake_tables());
	if (fake.waiting == fact)
		fake.waiting = NULL;
}

/* Nothing of what a test puts becomes old. */
void
tables_refresh(struct tables *tables, void (*done)(void *arg, bool is_fresh),
	void *arg)
{
	ck_assert_ptr_eq(tables, fake_tables());
	if (done != NULL)
		done(arg, true);
}

/* The world */

void
fake_world_begin(struct fake_world *world, const char *settings)
{
	struct config_errors errors = { NULL, 0 };

	memset(world, 0, sizeof(*world));
	memset(&fake, 0, sizeof(fake));
	str_init(&fake.problems, 1 << 16);
	world->config = config_parse(slice_of(settings), "test", &errors);
	ck_assert_msg(world->config != NULL, "%s",
		errors.n > 0 ? errors.items[0].text : "");
	sources.config = world->config;
	sources.tables = fake_tables();
}

void
fake_world_put(struct fake_world *world, const struct table_kind *kind,
	const char *text)
{
	struct db_rows *rows = fake_rows(kind->chunk->columns, text);
	void *snapshot = kind->make(world->config);

	for (size_t i = 0; i < db_rows_count(rows); i++) {
		const char *wrong = kind->add(snapshot, rows, i);

		if (wrong == NULL)
			continue;
		str_append_text(&fake.problems, wrong);
		str_append_char(&fake.problems, '\n');
	}
	if (kind->finish != NULL)
		kind->finish(snapshot);
	/* Nothing may be kept that points into the rows. */
	fake_rows_free(rows);
	if (fake.snapshot[kind->id] != NULL)
		kind->free(fake.snapshot[kind->id]);
	fake.kind[kind->id] = kind;
	fake.snapshot[kind->id] = snapshot;
}

void
fake_world_put_all(struct fake_world *world)
{
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (fake.snapshot[i] == NULL)
			fake_world_put(world, kinds[i], "");
}

void
fake_world_ask(struct fake_world *world, const char *attributes)
{
	const char *err = NULL;
	struct str text;

	arena_free(world->arena);
	world->arena = arena_new(REQUEST_ARENA_MAX);
	str_init(&text, 1 << 16);
	str_append_text(&text, "request=smtpd_access_policy\n");
	str_append_text(&text, attributes);
	ck_assert_msg(request_parse(&world->req, world->arena, world->config,
			      NOW, str_slice(&text), &err) == 0,
		"%s", err);
	str_free(&text);
	facts_init(&world->facts, &world->req, &sources);
}

void
fake_world_end(struct fake_world *world)
{
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (fake.snapshot[i] != NULL)
			fake.kind[i]->free(fake.snapshot[i]);
	str_free(&fake.problems);
	arena_free(world->arena);
	config_unref(world->config);
}
