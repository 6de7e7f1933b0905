/*
 * A password that is too old may not send: its owner is told to change it in
 * webmail first. Off unless it is switched on.
 */

#include <time.h>

#include "policyd/facts/directory.h"
#include "policyd/rule.h"

#define DAY_SECONDS 86400

static bool
never_expires(const struct request *req)
{
	const struct config_list *list =
		&req->config->force_password_change.never_expire;

	for (size_t i = 0; i < list->n; i++) {
		const struct slice word = slice_of(list->items[i]);

		if (slice_case_eq(word, req->login.full) ||
			slice_case_eq(word, req->login.domain))
			return true;
	}
	return false;
}

static void
hint_since(struct verdict *out, int64_t changed_at)
{
	const time_t t = (time_t)changed_at;
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	rule_hint(out,
		"accepted once the password is changed; it was last changed "
		"on %s",
		text);
}

static enum rule_status
judge(const struct request *req, struct facts *facts, struct verdict *out)
{
	const struct account *account;
	int64_t max_age;

	if (!request_is_authenticated(req) || never_expires(req))
		return RULE_PASS;
	if (!fact_login_account(facts, &account))
		return RULE_UNREADY;
	max_age =
		(int64_t)req->config->force_password_change.days * DAY_SECONDS;
	if (!account->is_mailbox ||
		req->now - account->password_changed_at < max_age)
		return RULE_PASS;
	hint_since(out, account->password_changed_at);
	return rule_reject(out, req->config->force_password_change.message);
}

const struct rule rule_force_password_change = {
	.name = "force_password_change",
	.summary = "refuse mail of logins whose password is too old",
	.stages = STAGE_RCPT,
	.judge = judge,
};
