/*
 * Greylisting: mail from a client that was never seen to come back is
 * deferred once; a real server tries again, much of the rest does not.
 * The steps and texts are iRedAPD's, with the client that
 * has passed looked up before anything that needs the DNS.
 */

#include <stdio.h>
#include <time.h>

#include "policyd/facts/greylist_lists.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/spf.h"
#include "policyd/facts/triplet.h"
#include "policyd/rule.h"

#define MESSAGE_MAX 640
#define ENHANCED    "4.7.1" /* delivery not authorized, RFC 3463 */

/* Greylisting is for strangers: no login, an address, not a trusted one. */
static bool
is_stranger(const struct request *req)
{
	return !request_is_authenticated(req) && !req->client_is_trusted &&
	       req->client.family != IP_NONE;
}

static void
hint_until(struct verdict *out, int64_t when)
{
	const time_t t = (time_t)when;
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	rule_hint(out,
		"accepted when the same client network tries the same sender "
		"and recipient again at or after %s",
		text);
}

static enum rule_status
defer(const struct request *req, const struct setting *setting,
	int64_t blocked_until, struct verdict *out)
{
	const char *message = req->config->greylisting.message;
	char text[MESSAGE_MAX];

	if (req->config->greylisting.training)
		return RULE_PASS;
	hint_until(out, blocked_until);
	if (!setting->greylisting_tell_delay)
		return rule_defer(out, ENHANCED, message);
	/* The message is at most 400 bytes: config.c. */
	(void)snprintf(text, sizeof(text), "%s (try again in %lld seconds)",
		message, (long long)(blocked_until - req->now));
	return rule_defer(out, ENHANCED, text);
}

/* Step 9: the triplet, of a client that has not passed before. */
static enum rule_status
judge_triplet(const struct request *req, const struct setting *setting,
	const struct triplet *seen, struct verdict *out)
{
	const int64_t delay =
		(int64_t)(req->config->greylisting.block_expire_ms / 1000);

	if (!seen->is_known) {
		effect_triplet_new(out, req, seen);
		return defer(req, setting, req->now + delay, out);
	}
	if (!seen->has_passed && req->now < seen->blocked_until) {
		effect_triplet_blocked(out, req, seen);
		return defer(req, setting, seen->blocked_until, out);
	}
	effect_triplet_passed(out, req, seen);
	return RULE_PASS;
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct list_match *white;
	const struct greylist_setting *greylist;
	const struct setting *setting;
	const struct triplet *seen;
	const struct spf_fact *spf;

	if (!is_stranger(req))
		return RULE_PASS;
	if (!fact_greylist_whitelist(facts, &white))
		return RULE_UNREADY;
	if (white->is_found)
		return RULE_PASS;
	if (!fact_greylist_setting(facts, &greylist))
		return RULE_UNREADY;
	if (!greylist->is_found || !greylist->is_active)
		return RULE_PASS;
	if (!fact_setting(facts, &setting) || !fact_triplet(facts, &seen))
		return RULE_UNREADY;
	if (seen->client_has_passed) {
		effect_client_seen(out, req, seen);
		return RULE_PASS;
	}
	if (req->config->greylisting.bypass_spf) {
		if (!fact_spf(facts, &spf))
			return RULE_UNREADY;
		if (spf->result == SPF_PASS)
			return RULE_PASS;
	}
	return judge_triplet(req, setting, seen, out);
}

const struct rule rule_greylisting = {
	.name = "greylisting",
	.summary = "defer mail from strangers until they try again",
	.stages = STAGE_RCPT,
	.judge = judge,
};
