/*
 * What became of a triplet: into memory at once, then to be written.
 */

#include "policyd/facts/triplet_store.h"

#include "policyd/effect.h"
#include "policyd/facts/column.h"
#include "policyd/request.h"

/*
 * How far a client's expiry may lie behind the rolling one before its rows
 * are written: an hour, and a tenth where clients expire sooner.
 */
#define RENEWAL_SLACK_S        3600
#define RENEWAL_SLACK_FRACTION 10

static uint32_t
seconds32(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
}

static int64_t
later(int64_t now, uint64_t ms)
{
	return seconds32(now + (int64_t)(ms / 1000));
}

static void
queue_triplet(struct triplets *triplets, const struct request *req,
	const struct triplet_key *key, struct slice client,
	const struct triplet_write *draft)
{
	struct triplet_write write = *draft;

	write.sender = key->sender;
	write.recipient = key->recipient;
	write.client = client;
	write.sender_domain =
		column_text(req->arena, req->sender.domain, COLUMN_ADDRESS_MAX);
	write.recipient_domain = column_text(req->arena, req->recipient.domain,
		COLUMN_ADDRESS_MAX);
	write.now = req->now;
	triplet_write_row(triplets, &write);
}

static struct triplet_write
client_write(struct slice client, int64_t now, int64_t until)
{
	return (struct triplet_write){ .client = client,
		.now = now,
		.expires = until,
		.key = triplet_client_hash(client) };
}

static void
remove_rows(struct triplets *triplets, struct slice client, int64_t now)
{
	struct triplet_write write = client_write(client, now, now);

	if (client.len > 0)
		triplet_write_removal(triplets, &write);
}

/*
 * New, or blocked: seen is what the rule saw, but two requests for one
 * triplet may have seen the same nothing. Memory decides as the statement
 * does: what is there and has not expired is counted, else it begins.
 */
static void
contact(struct facts *facts, const struct triplet *seen)
{
	const struct request *req = facts->req;
	struct triplets *triplets = facts->sources->triplets;
	struct triplet_key key = triplet_key(req);
	struct hash128 hash = triplet_row_hash(&key, seen->client);
	struct triplet_memory *row = cache_put(triplets->rows, hash, NULL);
	struct triplet_write write = { .key = hash, .blocked_count = 1 };

	if (row->checked_at == 0 || row->expires < req->now) {
		row->first_seen = seconds32(seen->first_seen);
		row->blocked_until = seconds32(seen->blocked_until);
		row->expires = seconds32(seen->expires);
		row->blocked_count = seconds32((int64_t)seen->blocked_count);
		row->has_passed = seen->has_passed;
	}
	if (row->blocked_count < UINT32_MAX)
		row->blocked_count++;
	row->checked_at = triplets_tick() + 1;
	write.first_seen = row->first_seen;
	write.blocked_until = row->blocked_until;
	write.expires = row->expires;
	queue_triplet(triplets, req, &key, seen->client, &write);
}

static void
apply_blocked(struct facts *facts, const void *data)
{
	contact(facts, data);
}

static void
apply_new(struct facts *facts, const void *data)
{
	const struct request *req = facts->req;
	struct triplet fresh = *(const struct triplet *)data;

	fresh.has_passed = false;
	fresh.first_seen = seconds32(req->now);
	fresh.blocked_until =
		later(req->now, req->config->greylisting.block_expire_ms);
	fresh.expires =
		later(req->now, req->config->greylisting.unauth_expire_ms);
	fresh.blocked_count = 0;
	contact(facts, &fresh);
}

static void
remember_passed(struct triplets *triplets, struct slice client, int64_t until)
{
	struct client_memory *memory =
		cache_put(triplets->clients, triplet_client_hash(client), NULL);

	if (memory->passed_until < until)
		memory->passed_until = seconds32(until);
	memory->checked_at = triplets_tick() + 1;
}

/*
 * The passed row stands for the whole group, also where iRedAPD's row of the
 * one address was what it came back to. Rows not passed are of no use any
 * more. Their removal may overtake the write: then the row is made again, as
 * it was.
 */
static void
apply_passed(struct facts *facts, const void *data)
{
	const struct triplet *seen = data;
	const struct request *req = facts->req;
	struct triplets *triplets = facts->sources->triplets;
	struct triplet_key key = triplet_key(req);
	int64_t until =
		later(req->now, req->config->greylisting.auth_expire_ms);
	struct triplet_write write = { .first_seen = seen->first_seen,
		.blocked_until = seen->blocked_until,
		.blocked_count = seen->blocked_count,
		.expires = until,
		.has_passed = true,
		.key = triplet_client_hash(key.group) };

	remember_passed(triplets, key.group, until);
	cache_remove(triplets->rows, triplet_row_hash(&key, seen->client));
	queue_triplet(triplets, req, &key, key.group, &write);
	remove_rows(triplets, key.group, req->now);
	remove_rows(triplets, key.exact, req->now);
}

static void
renew(struct triplets *triplets, struct slice client, int64_t now,
	int64_t until)
{
	const struct client_memory *memory =
		client.len == 0 ? NULL
				: cache_get(triplets->clients,
					  triplet_client_hash(client));
	struct triplet_write write = client_write(client, now, until);

	if (memory == NULL || memory->passed_until < now)
		return;
	remember_passed(triplets, client, until);
	triplet_write_renewal(triplets, &write);
}

/* Thirty rolling days need no write for each message: see RENEWAL_SLACK_S. */
static void
apply_client_seen(struct facts *facts, const void *data)
{
	const struct triplet *seen = data;
	const struct request *req = facts->req;
	struct triplets *triplets = facts->sources->triplets;
	uint64_t expire_ms = req->config->greylisting.auth_expire_ms;
	int64_t until = later(req->now, expire_ms);
	int64_t slack = (int64_t)(expire_ms / 1000 / RENEWAL_SLACK_FRACTION);
	struct triplet_key key;

	if (slack > RENEWAL_SLACK_S)
		slack = RENEWAL_SLACK_S;
	if (seen->client_passed_until >= until - slack)
		return;
	key = triplet_key(req);
	renew(triplets, key.group, req->now, until);
	renew(triplets, key.exact, req->now, until);
}

void
effect_triplet_new(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "remember the triplet", apply_new, seen);
}

void
effect_triplet_blocked(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "count the early return", apply_blocked, seen);
}

void
effect_triplet_passed(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "the client has passed", apply_passed, seen);
}

void
effect_client_seen(struct verdict *out, const struct request *req,
	const struct triplet *seen)
{
	(void)req;
	effect_add(out, "the client's time runs anew", apply_client_seen, seen);
}
