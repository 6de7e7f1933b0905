#ifndef POLICYD_FACTS_SETTING_H
#define POLICYD_FACTS_SETTING_H

/*
 * Settings for single accounts and domains: policyd.setting(account, name,
 * value). The most specific account form that has a row for a name gives
 * its value; without one the configuration file's value is in force. The
 * names that may be set are the table in setting.c:
 *
 *	RULE.mode	off | observe | enforce
 *	RULE.on_error	accept | defer
 *	reject_sender_login_mismatch.check_forged_sender	no | yes
 *		of the sender's account; the others are the party's
 *	reject_sender_login_mismatch.may_send_as	own | domain | any
 *	reject_sender_login_mismatch.allow_list_members	no | yes
 *	throttle.count	user | domain	  what a rule for @domain counts
 *	throttle.over_limit	reject | defer
 *	greylisting.tell_delay	yes | no
 *	amavisd_wblist.whitelist_needs_spf	yes | no
 *	spf.fail, spf.softfail, spf.temperror, spf.permerror, spf.helo_fail
 *		reject | defer | header | nothing
 *	spf.sender_fail, and so on: the same for the sender's account, or
 *		recipient, which leaves it to the recipient's
 *	dmarc.reject, dmarc.quarantine, dmarc.temperror, dmarc.bad_from
 *		reject | defer | hold | header | report
 *	dmarc.force_reject	no | yes	of the account in From:
 */

#include "policyd/config.h"
#include "policyd/facts.h"
#include "policyd/facts/tables.h"

/* Which sender addresses a login may use. */
enum send_as { SEND_AS_OWN, SEND_AS_DOMAIN, SEND_AS_ANY };

enum throttle_count { THROTTLE_COUNT_USER, THROTTLE_COUNT_DOMAIN };

/* What is in force for one recipient. */
struct dmarc_setting {
	enum dmarc_action action[DMARC_CASE_COUNT];
};

/* What is in force for the party of a request (request_party()). */
struct setting {
	struct config_rule rule[RULE_ID_COUNT];
	bool check_forged_sender; /* if the sender is a stranger's */
	enum send_as may_send_as;
	bool allow_list_members;
	bool throttle_defer;
	bool greylisting_tell_delay;
	bool whitelist_needs_spf;
	enum spf_action spf_action[SPF_CASE_COUNT]; /* the sender's, or ours */
	enum spf_action spf_helo_fail;
	/* At MESSAGE: for each of req->recipients. */
	const struct dmarc_setting *dmarc;
	size_t n_dmarc;
	bool dmarc_force_reject; /* of the author; not that of the file */
};

extern const struct fact_kind fact_kind_setting;
bool fact_setting(struct facts *facts, const struct setting **out);

/* What a throttle rule stored under account counts: as for other settings,
 * a row for @. says it for every domain. */
enum throttle_count setting_throttle_count(const struct tables *tables,
	struct slice account);

/*
 * Checks name and value for "policyctl policy set". NULL, or what is wrong
 * and what is allowed (text in the arena; suggests the nearest name).
 */
const char *setting_check(struct arena *arena, struct slice name,
	struct slice value);
/* The i-th name that may be set, or NULL at the end. */
const char *setting_name(size_t i);
/*
 * The value in force for an address or a bare account form and where it
 * comes from: the account of the row, or "policyd.conf" ("default" for
 * those that the file does not know). For "policy show". False
 * when there is no such name or the table was never read.
 */
struct setting_view {
	struct slice value, source;
};
bool setting_view(const struct tables *tables, const struct config *config,
	struct arena *arena, struct slice account, const char *name,
	struct setting_view *out);

extern const struct table_kind table_setting;

#endif
