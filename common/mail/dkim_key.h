#ifndef COMMON_MAIL_DKIM_KEY_H
#define COMMON_MAIL_DKIM_KEY_H

/*
 * Public keys as the DNS has them, at SELECTOR._domainkey.DOMAIN (RFC 6376,
 * 3.6.1; Ed25519: RFC 8463; what is too weak: RFC 8301). A record of others
 * is taken apart and judged; one of ours is written for publication.
 *
 *	v=DKIM1; k=rsa; t=s; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIB...
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct crypto_key;

enum dkim_key_type {
	DKIM_KEY_RSA,
	DKIM_KEY_ED25519,
	DKIM_KEY_OTHER, /* of a kind that is not known: its bytes are not read
			 */
};

/* Bytes of a public key; RSA of 8192 bits has 1062, and takes long. */
#define DKIM_KEY_BYTES_MAX 1100
/* Bytes of a record that is written, and of its strings. */
#define DKIM_KEY_TEXT_MAX    1600u
#define DKIM_KEY_STRINGS_MAX (2 * DKIM_KEY_TEXT_MAX)

struct dkim_key {
	enum dkim_key_type type; /* k= */
	bool takes_sha256;       /* h= */
	bool is_for_mail;        /* s= */
	bool is_test;            /* t=y: the domain is trying it out */
	bool is_strict;          /* t=s: i= may not be below d= */
	bool is_revoked;         /* p= is empty */
	/*
	 * p=, as crypto_key_public() has it, or bare for RSA, and the size of
	 * that key; nothing and 0 when it is revoked or of another type.
	 */
	unsigned char bytes[DKIM_KEY_BYTES_MAX];
	size_t n_bytes;
	unsigned bits;
};

/*
 * Takes a TXT record apart, its strings joined. 0, or -1 and what is wrong
 * with it in *err. Tags that are not known are ignored.
 */
int dkim_key_parse(struct slice record, struct dkim_key *out, const char **err);

/*
 * What a key is good for: signatures of rsa-sha256 and ed25519-sha256 on
 * mail; those with SHA-1 are never valid (RFC 8301, 3.1), whatever the key.
 */
enum dkim_key_fitness {
	DKIM_KEY_FIT,
	DKIM_KEY_SHORT,     /* RSA of less than 2048 bits: valid, to be told */
	DKIM_KEY_TOO_SHORT, /* RSA of less than 1024 bits: never valid */
	DKIM_KEY_REVOKED,
	DKIM_KEY_UNKNOWN_TYPE,
	DKIM_KEY_NO_SHA256,
	DKIM_KEY_NOT_FOR_MAIL,
};
enum dkim_key_fitness dkim_key_fitness(const struct dkim_key *key);
/* What to tell about it, such as "the key has been revoked". */
const char *dkim_key_fitness_text(enum dkim_key_fitness fitness);
/* Whether signatures that were made with it may be valid. */
bool dkim_key_is_usable(enum dkim_key_fitness fitness);

/* "rsa", "ed25519", as k= and the beginning of a= have it; else "". */
const char *dkim_key_type_name(enum dkim_key_type type);

/* What is to be published of a private key: for mail, without flags. */
void dkim_key_of(const struct crypto_key *private, struct dkim_key *out);
/*
 * Appends the record of a key of a known type as one text, of
 * DKIM_KEY_TEXT_MAX bytes at most.
 */
void dkim_key_write(const struct dkim_key *key, struct str *out);
/*
 * Appends a record as zone files have it: in quoted strings of at most 255
 * bytes (RFC 1035, 3.3 and 5.1), a blank between them. At most
 * DKIM_KEY_STRINGS_MAX bytes for what dkim_key_write() wrote.
 */
void dkim_key_write_strings(struct slice record, struct str *out);

#endif
