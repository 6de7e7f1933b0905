#ifndef POLICYD_FACTS_DIRECTORY_H
#define POLICYD_FACTS_DIRECTORY_H

/*
 * What vmail knows of single addresses: the account that an address is, and
 * what somebody is to it (a member of that list, the owner of that alias).
 * Every number of questions is one statement, and no list is ever read as a
 * whole. Rows that are not active do not count, nor do those of a list that
 * is not.
 *
 * An address in an alias domain and the same one in the domain behind it are
 * one, on both sides and however the rows are spelt. Addresses are compared
 * without regard to case; who somebody is, otherwise byte by byte, although
 * the collation of the tables would take an accent or a blank lightly.
 *
 * In front is a bounded memory (limits.directory), also of what there is not.
 * It is believed for table_ttl, and while the database is away, longer.
 */

#include "policyd/facts.h"
#include "policyd/sources.h"

/* vmail.alias.accesspolicy, vmail.maillists.accesspolicy */
enum access_policy {
	ACCESS_PUBLIC, /* or a word that nobody knows */
	ACCESS_DOMAIN,
	ACCESS_SUBDOMAIN,
	ACCESS_MEMBERS,
	ACCESS_MODERATORS,
	ACCESS_MEMBERS_AND_MODERATORS,
};
const char *access_policy_name(enum access_policy policy);

struct account {
	bool is_alias, is_maillist, is_mailbox;
	enum access_policy alias_policy, maillist_policy; /* if it is one */
	int64_t password_changed_at; /* wall clock; of a mailbox */
};

struct roles {
	bool is_member;      /* of an alias account: forwardings.is_list */
	bool is_alias_owner; /* the address is one of his: is_alias */
	bool is_moderator;
	bool is_any_moderator; /* all of his domain are: "*@example.com" */
	bool is_owner;         /* maillist_owners */
	bool of_maillist;      /* the address is a mlmmj list */
};

extern const struct fact_kind fact_kind_recipient_account,
	fact_kind_login_account, fact_kind_sender_roles, fact_kind_login_roles,
	fact_kind_author_roles;
bool fact_recipient_account(struct facts *facts, const struct account **out);
bool fact_login_account(struct facts *facts, const struct account **out);
/* What the sender is to the recipient's address. */
bool fact_sender_roles(struct facts *facts, const struct roles **out);
/* What the login is to the sender's address. */
bool fact_login_roles(struct facts *facts, const struct roles **out);
/* What the login is to request_other_author(). */
bool fact_author_roles(struct facts *facts, const struct roles **out);

struct directory *directory_new(struct sources *sources);
/* Statements may still be under way; nobody waits for them any more. */
void directory_free(struct directory *directory);
size_t directory_count(const struct directory *directory);

#endif
