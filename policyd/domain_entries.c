#include "policyd/domain_entries.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/mail/spf_networks.h"
#include "policyd/facts/whitelist_domains.h"
#include "policyd/sources.h"

/* Rows of one domain that are looked at, in both tables. */
#define ROWS_MAX  20000u
#define ARENA_MAX ((size_t)8 << 20)
/* Rows of one statement. */
#define BATCH_MAX 500u
#define JSON_MAX  ((size_t)1 << 20)

struct domain_entries {
	struct sources *sources;
	struct arena *arena;
	struct domain_entries_wish wish;
	const char *comment;
	/* What differs: rows that go, then networks that come, sorted. */
	struct domain_entry *entries;
	size_t n_entries, n_lost;
	size_t n_kept;  /* rows of the domain that stay as they are */
	bool *is_there; /* for each network of the wish */
	size_t step;    /* index into steps */
	size_t at;      /* the entry with which the next batch begins */
	bool is_canceled;
	const struct domain_entries_ops *ops;
	void *arg;
};

static void next_batch(struct domain_entries *entries);

/* --- statements --------------------------------------------------------- */

#define SPF_TABLE "greylisting_whitelist_domain_spf"
#define OLD_TABLE "greylisting_whitelists"

/* EXPLAIN: both by the index on comment. */
static const struct db_statement read_own = {
	.name = "domain_entries_read",
	.sql = "SELECT sender, 0 FROM " SPF_TABLE
	       " WHERE comment = ? AND account = '@.' UNION ALL"
	       " SELECT sender, 1 FROM " OLD_TABLE
	       " WHERE comment = ? AND account = '@.' LIMIT ?",
	.access = DB_READS,
	.params = "ssu",
	.columns = "su",
};

enum { OWN_SENDER, OWN_IS_OLD };

/*
 * All below: of [sender, its new domain], and the comment of the domain.
 * EXPLAIN: k, then t by eq_ref on (account, sender).
 */
#define KEYS                                                        \
	"JSON_TABLE(?, '$[*]' COLUMNS (s VARCHAR(100) PATH '$[0]'," \
	" d VARCHAR(255) PATH '$[1]')) k"
#define NEW_COMMENT "CONCAT('" WHITELIST_DOMAIN_COMMENT "', k.d)"
#define ROW_OF_KEY  " ON t.account = '@.' AND t.sender = k.s"

static const struct db_statement find_others = {
	.name = "domain_entries_find",
	.sql = "SELECT t.sender FROM " KEYS " STRAIGHT_JOIN " SPF_TABLE
	       " t" ROW_OF_KEY,
	.access = DB_READS,
	.params = "s",
	.columns = "s",
};

static const struct db_statement add_rows = {
	.name = "domain_entries_add",
	.sql = "INSERT INTO " SPF_TABLE " (account, sender, comment)"
	       " SELECT '@.', k.s, " NEW_COMMENT " FROM " KEYS
	       " ON DUPLICATE KEY UPDATE comment = " SPF_TABLE ".comment",
	.access = DB_WRITES,
	.params = "s",
	.columns = "",
};

static const struct db_statement hand_over_rows = {
	.name = "domain_entries_hand_over",
	.sql = "UPDATE " KEYS " STRAIGHT_JOIN " SPF_TABLE " t" ROW_OF_KEY
	       " SET t.comment = " NEW_COMMENT " WHERE t.comment = ?",
	.access = DB_WRITES,
	.params = "ss",
	.columns = "",
};

static const struct db_statement remove_rows = {
	.name = "domain_entries_remove",
	.sql = "DELETE t FROM " KEYS " STRAIGHT_JOIN " SPF_TABLE " t" ROW_OF_KEY
	       " WHERE t.comment = ?",
	.access = DB_WRITES,
	.params = "ss",
	.columns = "",
};

static const struct db_statement remove_old_rows = {
	.name = "domain_entries_remove_old",
	.sql = "DELETE t FROM " KEYS " STRAIGHT_JOIN " OLD_TABLE " t" ROW_OF_KEY
	       " WHERE t.comment = ?",
	.access = DB_WRITES,
	.params = "ss",
	.columns = "",
};

/* What comes goes in before what goes: nobody is greylisted in between. */
static const struct {
	const struct db_statement *statement;
	enum entry_change change; /* the entries that it is about */
} steps[] = {
	{ &find_others, ENTRY_ADD },
	{ &add_rows, ENTRY_ADD },
	{ &hand_over_rows, ENTRY_HAND_OVER },
	{ &remove_rows, ENTRY_REMOVE },
	{ &remove_old_rows, ENTRY_REMOVE_OLD },
};

#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* --- the end ------------------------------------------------------------ */

static void
free_entries(struct domain_entries *entries)
{
	arena_free(entries->arena);
	x_free(entries);
}

static void
end(struct domain_entries *entries, const char *error)
{
	const struct domain_entries_result result = {
		.error = error,
		.entries = entries->entries,
		.n_entries = entries->n_entries,
	};

	entries->ops->done(entries->arg, &result);
	free_entries(entries);
}

/* In a callback: false when that was the end. */
static bool
is_answered(struct domain_entries *entries, const struct db_result *result)
{
	if (entries->is_canceled) {
		free_entries(entries);
		return false;
	}
	if (result->status == DB_OK)
		return true;
	end(entries, result->error);
	return false;
}

void
domain_entries_cancel(struct domain_entries *entries)
{
	if (entries != NULL)
		entries->is_canceled = true;
}

/* --- batches ------------------------------------------------------------ */

static void
append_key(const struct domain_entries *entries,
	const struct domain_entry *entry, struct str *json)
{
	str_append_char(json, json->len > 1 ? ',' : ' ');
	str_append_char(json, '[');
	str_append_json(json, slice_of(entry->text));
	str_append_char(json, ',');
	str_append_json(json,
		slice_of(entry->heir != NULL ? entry->heir
					     : entries->wish.domain));
	str_append_char(json, ']');
}

/* The entries from at on that this step is about; 0: there are none. */
static size_t
take_keys(struct domain_entries *entries, struct str *json)
{
	size_t n = 0;

	str_append_char(json, '[');
	while (entries->at < entries->n_entries && n < BATCH_MAX) {
		const struct domain_entry *entry =
			&entries->entries[entries->at++];

		if (entry->change != steps[entries->step].change)
			continue;
		append_key(entries, entry, json);
		n++;
	}
	str_append_char(json, ']');
	return n;
}

static void
next_step(struct domain_entries *entries)
{
	entries->step++;
	entries->at = 0;
	if (entries->step == N_STEPS ||
		(entries->wish.is_plan && entries->step > 0))
		end(entries, NULL);
	else
		next_batch(entries);
}

static int
compare_entries(const void *a, const void *b)
{
	const struct domain_entry *x = a, *y = b;

	return network_compare(&x->network, &y->network);
}

/* Somebody else's rows stay his. */
static void
note_others(struct domain_entries *entries, const struct db_rows *rows)
{
	struct domain_entry *additions = &entries->entries[entries->n_lost];
	const size_t n = entries->n_entries - entries->n_lost;

	for (size_t row = 0; row < db_rows_count(rows); row++) {
		struct domain_entry key, *found = NULL;

		if (network_parse(db_rows_text(rows, row, 0), &key.network,
			    NULL))
			found = bsearch(&key, additions, n, sizeof(key),
				compare_entries);
		if (found != NULL)
			found->change = ENTRY_STAYS;
	}
}

static void
on_batch(void *arg, const struct db_result *result)
{
	struct domain_entries *entries = arg;

	if (!is_answered(entries, result))
		return;
	if (steps[entries->step].statement == &find_others)
		note_others(entries, result->rows);
	next_batch(entries);
}

static void
next_batch(struct domain_entries *entries)
{
	struct str json;

	str_init(&json, JSON_MAX);
	if (take_keys(entries, &json) > 0) {
		const struct db_value values[] = {
			{ .text = str_slice(&json) },
			{ .text = slice_of(entries->comment) },
		};

		assert(!json.is_cut);
		db_run(entries->sources->db[CONFIG_DB_IREDAPD],
			steps[entries->step].statement, values, 0, on_batch,
			entries);
		str_free(&json);
		return;
	}
	str_free(&json);
	next_step(entries);
}

/* --- what differs ------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	return network_compare(a, b);
}

/* Whether it is among those that are wished for. */
static bool
is_wished(struct domain_entries *entries, const struct domain_entry *entry,
	size_t *at)
{
	const struct network *found;

	if (!entry->is_network || entries->wish.n_networks == 0)
		return false;
	found = bsearch(&entry->network, entries->wish.networks,
		entries->wish.n_networks, sizeof(*found), compare);
	if (found != NULL)
		*at = (size_t)(found - entries->wish.networks);
	return found != NULL;
}

/* A row that is there. */
static void
take_row(struct domain_entries *entries, struct slice sender, bool is_old)
{
	struct domain_entry *entry = &entries->entries[entries->n_entries];
	size_t at;

	entry->is_network = network_parse(sender, &entry->network, NULL);
	entry->change = is_old ? ENTRY_REMOVE_OLD : ENTRY_REMOVE;
	if (!is_old && is_wished(entries, entry, &at)) {
		entries->is_there[at] = true;
		entries->n_kept++;
	} else if (entries->wish.keeps_old) {
		entries->n_kept++;
	} else {
		entry->text = slice_copy(entries->arena, sender).ptr;
		entries->n_entries++;
	}
}

/*
 * A network that is not there. With old ones that stay, a domain that has
 * others each time must not grow for ever.
 */
static void
take_network(struct domain_entries *entries, size_t at)
{
	struct domain_entry *entry = &entries->entries[entries->n_entries];
	char text[NETWORK_TEXT_MAX];

	if (entries->is_there[at] || entries->n_kept >= SPF_NETWORKS_MAX)
		return;
	entries->n_kept++;
	entry->network = entries->wish.networks[at];
	entry->is_network = true;
	entry->change = ENTRY_ADD;
	entry->text = slice_copy(entries->arena,
		slice_of(network_format(&entry->network, text)))
			      .ptr;
	entries->n_entries++;
}

static int
compare_lost(const void *a, const void *b)
{
	const struct domain_entry *x = a, *y = b;

	if (x->change != y->change)
		return (int)x->change - (int)y->change;
	if (x->is_network != y->is_network)
		return x->is_network ? -1 : 1;
	return x->is_network ? compare_entries(x, y) : 0;
}

/* Rows of the other table behind those of this one. */
static void
find_heirs(struct domain_entries *entries)
{
	size_t n = 0;

	qsort(entries->entries, entries->n_entries, sizeof(*entries->entries),
		compare_lost);
	while (n < entries->n_entries &&
		entries->entries[n].change == ENTRY_REMOVE)
		n++;
	if (n > 0)
		entries->ops->find_heirs(entries->arg, entries->entries, n);
}

static void
on_own(void *arg, const struct db_result *result)
{
	struct domain_entries *entries = arg;
	size_t n_rows;

	if (!is_answered(entries, result))
		return;
	n_rows = db_rows_count(result->rows);
	entries->entries = arena_new_array(entries->arena,
		n_rows + entries->wish.n_networks + 1, struct domain_entry);
	for (size_t i = 0; i < n_rows; i++)
		take_row(entries, db_rows_text(result->rows, i, OWN_SENDER),
			db_rows_u64(result->rows, i, OWN_IS_OLD) != 0);
	entries->n_lost = entries->n_entries;
	find_heirs(entries);
	for (size_t i = 0; i < entries->wish.n_networks; i++)
		take_network(entries, i);
	next_batch(entries);
}

/* --- the beginning ------------------------------------------------------ */

static void
copy_wish(struct domain_entries *entries,
	const struct domain_entries_wish *wish)
{
	struct arena *arena = entries->arena;
	struct network *networks;

	assert(wish->n_networks <= SPF_NETWORKS_MAX);
	entries->wish = *wish;
	entries->wish.domain = slice_copy(arena, slice_of(wish->domain)).ptr;
	networks = arena_new_array(arena, wish->n_networks + 1, struct network);
	if (wish->n_networks > 0)
		memcpy(networks, wish->networks,
			wish->n_networks * sizeof(*networks));
	entries->wish.networks = networks;
	entries->comment = arena_printf(arena, WHITELIST_DOMAIN_COMMENT "%s",
		wish->domain);
	entries->is_there = arena_new_array(arena, wish->n_networks + 1, bool);
}

struct domain_entries *
domain_entries_start(struct sources *sources,
	const struct domain_entries_wish *wish,
	const struct domain_entries_ops *ops, void *arg)
{
	struct domain_entries *entries = x_new(struct domain_entries);

	entries->sources = sources;
	entries->arena = arena_new(ARENA_MAX);
	entries->ops = ops;
	entries->arg = arg;
	copy_wish(entries, wish);

	const struct db_value values[] = {
		{ .text = slice_of(entries->comment) },
		{ .text = slice_of(entries->comment) },
		{ .number = ROWS_MAX },
	};

	db_run(sources->db[CONFIG_DB_IREDAPD], &read_own, values, 0, on_own,
		entries);
	return entries;
}
