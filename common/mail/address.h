#ifndef COMMON_MAIL_ADDRESS_H
#define COMMON_MAIL_ADDRESS_H

/*
 * Envelope addresses and the account forms that policies are stored under.
 * iRedMail's forms, from the most specific:
 *
 *	user@example.com   @example.com   @.example.com   @.com   @.
 *
 * and for clients 192.0.2.1, 192.0.2.0/24, 192.0.2.*, @ip; for senders of any
 * domain user@*. People may write example.com for @example.com, .example.com
 * for @.example.com and * for @. .
 */

#include <stdbool.h>

#include "common/base/str.h"

struct arena;

/* Octets; RFC 5321, 4.5.3.1.3 allows 254, the tables hold 255. */
#define ADDRESS_MAX 255
/* The address, @., and one form for each label of a 253-octet name. */
#define ADDRESS_FORMS_MAX 130

struct address {
	struct slice full;   /* lower case, with extension */
	struct slice bare;   /* lower case, without extension */
	struct slice local;  /* of bare */
	struct slice domain; /* "" when there is none */
	/*
	 * Whether bare has policy forms of its own: a local part, an @ and a
	 * domain name with a dot. Otherwise only its domain stands for it, or
	 * (null sender, user@localhost, user@[192.0.2.1]) only "@.".
	 */
	bool is_plain;
};

/*
 * Reads an address as Postfix sends it (RFC 5321 Mailbox, or anything).
 * Everything points into the arena. The domain begins after the last @ and
 * loses a dot at its end. delimiters are the bytes that start an extension
 * (recipient_delimiter); an SRS0=, SRS1= or prvs= address is never cut, nor
 * is a quoted local part or one that begins with a delimiter. An extension
 * that no table could hold, as it is too long or has control bytes, is dropped
 * from full, too: the mail goes to whom bare names, and so do the policies.
 */
struct address address_parse(struct arena *arena, struct slice text,
	struct slice delimiters);

/*
 * The forms that stand for an address, most specific first. Writes at most
 * ADDRESS_FORMS_MAX to forms and returns how many. Never 0: "@." is last.
 */
size_t address_forms(struct arena *arena, const struct address *address,
	struct slice *forms);
/* The same for local@domain, e.g. with an alias domain's target. */
size_t address_forms_of(struct arena *arena, struct slice local,
	struct slice domain, struct slice *forms);

/* A name with a dot that may be a mail domain (spec: letters, digits, -, _,
 * UTF-8 above 127; the last label 2 or more and not all digits). */
bool domain_is_plain(struct slice name);

enum account_kind {
	ACCOUNT_INVALID,
	ACCOUNT_CATCH_ALL,    /* @. */
	ACCOUNT_CATCH_ALL_IP, /* @ip */
	ACCOUNT_TOP_DOMAIN,   /* @.com */
	ACCOUNT_SUBDOMAIN,    /* @.example.com: it and all below */
	ACCOUNT_DOMAIN,       /* @example.com */
	ACCOUNT_NETWORK,      /* 192.0.2.0/24, 2001:db8::/32 */
	ACCOUNT_WILDCARD_IP,  /* 192.0.2.* */
	ACCOUNT_IP,
	ACCOUNT_ANY_DOMAIN, /* user@* */
	ACCOUNT_ADDRESS,    /* user@example.com */
};

/* Which form a stored account has. */
enum account_kind account_kind(struct slice account);
const char *account_kind_name(enum account_kind kind);
/*
 * The number that iRedAPD's tools store (spec: 100, 90, 80, 70, 60, 50, 40,
 * 0, 0). Networks get 70, as its table says and its code failed to do.
 */
int account_priority(enum account_kind kind);
/*
 * Turns what a person typed (plain or iRedAPD's form, any case) into the
 * stored form, in the arena. False when it is neither; then *err says what
 * is wrong. On success *err is NULL, or a remark: the bits of a network
 * behind its prefix were cleared.
 */
bool account_normalize(struct arena *arena, struct slice typed,
	struct slice *stored, const char **err);
/* The plain form for people: "@example.com" -> "example.com", "@." -> "*". */
struct slice account_plain(struct slice stored);

#endif
