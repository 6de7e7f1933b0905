#include "policyd/dkim_maker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/loop.h"

struct wish {
	enum crypto_key_type type;
	dkim_made_fn *done;
	void *arg;
};

struct dkim_maker {
	struct loop *loop;
	struct wish wishes[DKIM_MAKER_WISHES_MAX]; /* oldest first */
	size_t n_wishes;
	bool is_working;
	pthread_t thread; /* while it works */
	/* The thread's until it has ended. */
	enum crypto_key_type type;
	struct crypto_key *key;
};

static void begin(struct dkim_maker *maker);

/* On the loop: the thread is about to end, or has. */
static void
take(void *arg)
{
	struct dkim_maker *maker = arg;
	const struct wish wish = maker->wishes[0];
	struct crypto_key *key;

	(void)pthread_join(maker->thread, NULL);
	maker->is_working = false;
	key = maker->key;
	maker->key = NULL;
	maker->n_wishes--;
	memmove(maker->wishes, maker->wishes + 1,
		maker->n_wishes * sizeof(maker->wishes[0]));
	begin(maker);
	wish.done(wish.arg, key);
}

static void *
work(void *arg)
{
	struct dkim_maker *maker = arg;

	maker->key = crypto_key_make(maker->type);
	loop_post(maker->loop, take, maker);
	return NULL;
}

/* Signals are the loop's. */
static void
begin(struct dkim_maker *maker)
{
	sigset_t all, before;

	if (maker->is_working || maker->n_wishes == 0)
		return;
	maker->type = maker->wishes[0].type;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	maker->is_working =
		pthread_create(&maker->thread, NULL, work, maker) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* Out of threads is as out of memory: the supervisor starts anew. */
	assert(maker->is_working);
}

struct dkim_maker *
dkim_maker_new(struct loop *loop)
{
	struct dkim_maker *maker = x_new(struct dkim_maker);

	maker->loop = loop;
	return maker;
}

void
dkim_maker_free(struct dkim_maker *maker)
{
	if (maker == NULL)
		return;
	if (maker->is_working)
		(void)pthread_join(maker->thread, NULL);
	crypto_key_free(maker->key);
	x_free(maker);
}

bool
dkim_maker_ask(struct dkim_maker *maker, enum crypto_key_type type,
	dkim_made_fn *done, void *arg)
{
	if (maker->n_wishes == DKIM_MAKER_WISHES_MAX)
		return false;
	maker->wishes[maker->n_wishes++] =
		(struct wish){ .type = type, .done = done, .arg = arg };
	begin(maker);
	return true;
}
