/*
 * Clients of bad reputation: lists in the DNS (RFC 5782) are asked for the
 * client's address, as Postfix' postscreen does, and the weights of those
 * that have it are added up. iRedAPD's senderscore is one such list:
 * score.senderscore.com=127.0.4.[0..30].
 */

#include "policyd/facts/reputation.h"

#include "policyd/rule.h"

/* A reply line holds 512 bytes, code and all. */
#define MESSAGE_MAX 450

/* A stranger: no login, an address, not a trusted one. */
static bool
is_stranger(const struct request *req)
{
	return !request_is_authenticated(req) && !req->client_is_trusted &&
	       req->client.family != IP_NONE;
}

static void
append_lists(struct str *out, const struct reputation *reputation)
{
	bool is_first = true;

	for (size_t i = 0; i < reputation->n_lists; i++) {
		const struct listing *listing = &reputation->lists[i];

		if (listing->status != LISTING_COUNTS || listing->weight <= 0)
			continue;
		if (!is_first)
			str_append_text(out, ", ");
		str_append_slice(out, listing->domain);
		is_first = false;
	}
}

static void
append_client(struct str *out, const struct request *req)
{
	char text[IP_TEXT_MAX];

	str_append_text(out, ip_format(&req->client, text));
}

/* The message with {client} and {lists} filled in. */
static void
write_message(struct str *out, const struct request *req,
	const struct reputation *reputation)
{
	struct slice rest = slice_of(req->config->reputation.message);

	while (rest.len > 0) {
		if (slice_starts(rest, SLICE("{client}"))) {
			append_client(out, req);
			rest = slice_from(rest, sizeof("{client}") - 1);
		} else if (slice_starts(rest, SLICE("{lists}"))) {
			append_lists(out, reputation);
			rest = slice_from(rest, sizeof("{lists}") - 1);
		} else {
			str_append_char(out, rest.ptr[0]);
			rest = slice_from(rest, 1);
		}
	}
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const uint64_t threshold = req->config->reputation.reject_threshold;
	const struct reputation *reputation;
	enum rule_status status;
	char client[IP_TEXT_MAX];
	struct str message;

	if (!is_stranger(req))
		return RULE_PASS;
	if (!fact_reputation(facts, &reputation))
		return RULE_UNREADY;
	if (reputation->is_exempt || reputation->score < (int64_t)threshold)
		return RULE_PASS;
	rule_hint(out,
		"accepted when the lists give the client less than %llu, not "
		"%lld, or after \"policyctl reputation allow %s\"",
		(unsigned long long)threshold, (long long)reputation->score,
		ip_format(&req->client, client));
	str_init(&message, MESSAGE_MAX);
	write_message(&message, req, reputation);
	status = rule_reject(out, str_text(&message));
	str_free(&message);
	return status;
}

const struct rule rule_reputation = {
	.name = "reputation",
	.summary = "refuse clients that lists in the DNS call bad",
	.stages = STAGE_RCPT,
	.judge = judge,
};
