#ifndef POLICYD_FACTS_AUTO_WHITELIST_H
#define POLICYD_FACTS_AUTO_WHITELIST_H

/*
 * Rows of iredapd.greylisting_whitelists that are added by themselves, since
 * a user has written to that address. They are written in batches and wait,
 * bounded, while the database is away; then the tables are read again, so
 * that the answer is not greylisted. Their comment is iRedAPD's, and
 * created_at (our migration) says when, so that the clean-up can remove them
 * after whitelist_outbound_recipient.expire.
 */

#include <stddef.h>

#include "common/base/str.h"

struct auto_whitelist;
struct sources;
struct verdict;

#define AUTO_WHITELIST_COMMENT "AUTO-WHITELISTED"
/* VARCHAR(100) of the columns account and sender. */
#define AUTO_WHITELIST_TEXT_MAX 100

/*
 * Both are stored accounts of at most AUTO_WHITELIST_TEXT_MAX bytes. Without
 * an account sender is the name of a domain, which is put into
 * iredapd.greylisting_whitelist_domains.
 */
struct auto_white {
	struct slice account, sender;
};

/* What is there already stays as it is; entries: of the request's arena. */
struct auto_whites {
	const struct auto_white *entries;
	size_t n;
};
void effect_auto_whitelist(struct verdict *out,
	const struct auto_whites *whites);

struct auto_whitelist *auto_whitelist_new(struct sources *sources);
/* What still waits is lost, and counted. */
void auto_whitelist_free(struct auto_whitelist *whitelist);
size_t auto_whitelist_waiting(const struct auto_whitelist *whitelist);

#endif
