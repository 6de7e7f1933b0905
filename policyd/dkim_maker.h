#ifndef POLICYD_DKIM_MAKER_H
#define POLICYD_DKIM_MAKER_H

/*
 * Makes private keys on a helper thread, since an RSA key takes a tenth of a
 * second and more, at times many more. One is made at a time.
 */

#include "common/base/crypto_key.h"

struct dkim_maker;
struct loop;

/* Keys that may wait to be made. */
#define DKIM_MAKER_WISHES_MAX 16u

/* key is the caller's from then on. From the loop, never from within ask. */
typedef void dkim_made_fn(void *arg, struct crypto_key *key);

struct dkim_maker *dkim_maker_new(struct loop *loop);
/* Waits for the key that is being made; nobody is told of it any more. */
void dkim_maker_free(struct dkim_maker *maker);
/* False: too many wait. */
bool dkim_maker_ask(struct dkim_maker *maker, enum crypto_key_type type,
	dkim_made_fn *done, void *arg);

#endif
