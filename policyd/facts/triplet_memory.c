/*
 * The memory in front of iredapd.greylisting_tracking: what its keys are, how
 * long it is believed, and which of memory and table is right.
 */

#include "policyd/facts/triplet_store.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/mail/ip.h"
#include "policyd/facts/column.h"
#include "policyd/request.h"

#define US_PER_TICK 100000
#define MS_PER_TICK 100u
/* Two addresses and two clients, each with a NUL byte. */
#define KEY_BYTES_MAX \
	(2 * (COLUMN_ADDRESS_MAX * 4 + 1) + 2 * (COLUMN_CLIENT_MAX + 1))

tick
triplets_tick(void)
{
	/* Never 0, which is the mark of an empty entry. */
	return (tick)(clock_monotonic_us() / US_PER_TICK) + 1;
}

struct triplet_key
triplet_key(const struct request *req)
{
	struct arena *arena = req->arena;
	char text[IP_TEXT_MAX];
	struct triplet_key key = {
		.sender = column_text(arena, req->sender.bare,
			COLUMN_ADDRESS_MAX),
		.recipient = column_text(arena, req->recipient.bare,
			COLUMN_ADDRESS_MAX),
		.group = triplet_client(arena, req->config, &req->client),
		.exact = slice_copy(arena,
			slice_of(ip_format(&req->client, text))),
	};

	if (slice_eq(key.group, key.exact))
		key.exact = (struct slice){ NULL, 0 };
	return key;
}

struct hash128
triplet_client_hash(struct slice client)
{
	return hash_u128(client);
}

/* Of the parts of a key, each closed by a NUL byte, which none contains. */
struct hash128
triplet_hash(const struct slice *parts, size_t n)
{
	char bytes[KEY_BYTES_MAX];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		assert(parts[i].len < sizeof(bytes) - len);
		if (parts[i].len > 0)
			memcpy(bytes + len, parts[i].ptr, parts[i].len);
		len += parts[i].len;
		bytes[len++] = '\0';
	}
	return hash_u128((struct slice){ bytes, len });
}

struct hash128
triplet_row_hash(const struct triplet_key *key, struct slice client)
{
	struct slice parts[] = { key->sender, key->recipient, client };

	return triplet_hash(parts, 3);
}

struct slice
triplet_hash_text(const struct hash128 *hash)
{
	return (struct slice){ (const char *)(const void *)hash,
		sizeof(*hash) };
}

static bool
is_fresh(const struct triplets *triplets, struct hash128 key, tick checked_at)
{
	uint64_t ttl_ms = triplets->sources->config->database.table_ttl_ms;
	/* Signed: what was changed here is stamped with the next tick. */
	int32_t age = (int32_t)(triplets_tick() - checked_at);

	if (checked_at == 0)
		return false;
	if (age < 0 || (uint32_t)age < ttl_ms / MS_PER_TICK)
		return true;
	return triplet_is_marked(triplets, key);
}

static bool
has_passed(const struct client_memory *client, int64_t now)
{
	return client->passed_until != 0 && client->passed_until >= now;
}

static struct client_memory
recall_client(const struct triplets *triplets, struct slice client)
{
	const struct client_memory *found =
		client.len == 0 ? NULL
				: cache_get(triplets->clients,
					  triplet_client_hash(client));

	return found != NULL ? *found : (struct client_memory){ 0 };
}

/* Everything memory holds of key, fresh or not; expired rows are none. */
struct triplet_view
triplet_recall(const struct triplets *triplets, const struct triplet_key *key,
	int64_t now)
{
	struct triplet_view view = { .group = recall_client(triplets,
					     key->group),
		.exact = recall_client(triplets, key->exact) };
	struct slice texts[] = { key->group, key->exact };

	for (int i = 0; i < 2 && !view.has_row; i++) {
		const struct triplet_memory *row =
			texts[i].len == 0
				? NULL
				: cache_get(triplets->rows,
					  triplet_row_hash(key, texts[i]));

		if (row == NULL || row->expires < now)
			continue;
		view.row = *row;
		view.has_row = true;
		view.is_exact_row = i == 1;
	}
	return view;
}

/* Whether memory alone may answer while the database is there. */
bool
triplet_view_is_fresh(const struct triplets *triplets,
	const struct triplet_key *key, const struct triplet_view *view,
	int64_t now)
{
	bool group_is_fresh = is_fresh(triplets,
		triplet_client_hash(key->group), view->group.checked_at);
	bool exact_is_fresh =
		key->exact.len == 0 ||
		is_fresh(triplets, triplet_client_hash(key->exact),
			view->exact.checked_at);

	if (group_is_fresh && has_passed(&view->group, now))
		return true;
	if (exact_is_fresh && has_passed(&view->exact, now))
		return true;
	return group_is_fresh && exact_is_fresh && view->has_row &&
	       is_fresh(triplets,
		       triplet_row_hash(key,
			       view->is_exact_row ? key->exact : key->group),
		       view->row.checked_at);
}

/* Whether it says enough to answer when nobody else can be asked. */
bool
triplet_view_is_enough(const struct triplet_view *view, int64_t now)
{
	return has_passed(&view->group, now) || has_passed(&view->exact, now) ||
	       view->has_row;
}

/* Takes read into memory unless memory is newer; it has the last word. */
static void
remember_client(struct triplets *triplets, struct slice client,
	struct client_memory *read)
{
	struct hash128 key = triplet_client_hash(client);
	struct client_memory *known;

	if (client.len == 0)
		return;
	known = cache_put(triplets->clients, key, NULL);
	if (known->checked_at > read->checked_at ||
		(known->checked_at != 0 && triplet_is_marked(triplets, key)))
		*read = *known;
	else
		*known = *read;
}

void
triplet_remember(struct triplets *triplets, const struct triplet_key *key,
	struct triplet_view *read, int64_t now)
{
	struct triplet_view known = triplet_recall(triplets, key, now);
	struct hash128 hash;

	remember_client(triplets, key->group, &read->group);
	remember_client(triplets, key->exact, &read->exact);
	if (known.has_row) {
		hash = triplet_row_hash(key,
			known.is_exact_row ? key->exact : key->group);
		if (known.row.checked_at > read->row.checked_at ||
			triplet_is_marked(triplets, hash)) {
			read->row = known.row;
			read->has_row = true;
			read->is_exact_row = known.is_exact_row;
			return;
		}
		cache_remove(triplets->rows, hash);
	}
	if (!read->has_row)
		return;
	hash = triplet_row_hash(key,
		read->is_exact_row ? key->exact : key->group);
	*(struct triplet_memory *)cache_put(triplets->rows, hash, NULL) =
		read->row;
}

void
triplet_memory_make(struct triplets *triplets)
{
	const struct config *config = triplets->sources->config;

	triplets->max_clients = config->limits.clients;
	triplets->max_rows = config->limits.triplets;
	triplets->clients =
		cache_new(sizeof(struct client_memory), triplets->max_clients);
	triplets->rows =
		cache_new(sizeof(struct triplet_memory), triplets->max_rows);
}

void
triplet_memory_free(struct triplets *triplets)
{
	cache_free(triplets->clients);
	cache_free(triplets->rows);
}

void
triplets_configure(struct triplets *triplets)
{
	const struct config *config = triplets->sources->config;

	if (triplets->max_clients == config->limits.clients &&
		triplets->max_rows == config->limits.triplets)
		return;
	triplet_memory_free(triplets);
	triplet_memory_make(triplets);
}
