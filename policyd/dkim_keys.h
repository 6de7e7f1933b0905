#ifndef POLICYD_DKIM_KEYS_H
#define POLICYD_DKIM_KEYS_H

/*
 * Keys of DKIM in the table policyd.dkim_key. Nothing is read at the start
 * and nothing is kept: a question is one statement by key, and a hundred
 * thousand domains cost nothing.
 */

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct config;
struct db_rows;
struct dkim_keys;
struct dkim_keys_query;
struct sources;

/* As the column private_key is. */
#define DKIM_SEALED_MAX 8192u
/* Checks in a row that have not found a key, after which it does not sign. */
#define DKIM_ABSENT_MAX 2u
/* Keys of an answer. */
#define DKIM_KEYS_MAX 8u

/* Letters, digits, hyphens, and dots between them; lower case. */
bool dkim_selector_is_plain(struct slice selector);

/*
 * Appends a private key, sealed for its domain and selector, to an empty out.
 * False: there is no master key, or the key is too long.
 */
bool dkim_keys_seal(const struct config *config, struct slice domain,
	struct slice selector, struct slice pem, struct str *out);
/*
 * Opens it again: *len bytes, to be freed with x_free_secret(). NULL, and in
 * *err why not.
 */
char *dkim_keys_open(const struct config *config, struct slice domain,
	struct slice selector, struct slice sealed, size_t *len,
	const char **err);

struct dkim_keys *dkim_keys_new(struct sources *sources);
void dkim_keys_free(struct dkim_keys *keys); /* accepts NULL */

/*
 * The keys that sign for a domain in From: of the domain itself if it is ours,
 * else of the nearest one above it that is, down to what was registered; never
 * of one that is not ours. done is called once, from the loop, unless
 * cancelled; rows are domain, selector and sealed key, those of one domain,
 * valid until it returns. error is NULL when it is known; a failure is never
 * "no keys". NULL is returned when it is known at once: then *error says as
 * much, NULL for no keys, and done is not called.
 */
struct dkim_key_row {
	struct slice domain, selector, sealed;
};
typedef void dkim_keys_done_fn(void *arg, const struct dkim_key_row *rows,
	size_t n, const char *error);
struct dkim_keys_query *dkim_keys_find(struct dkim_keys *keys,
	struct slice domain, const char **error, dkim_keys_done_fn *done,
	void *arg);
void dkim_keys_cancel(struct dkim_keys_query *query);

#endif
