/*
 * Keys asked for by many sessions at once: the loop on a thread of its own
 * with a policy process that answers a little later, and threads of libmilter
 * that sign, or go before they have an answer.
 */

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "milter/facts_keys.h"
#include "milter/policy_client.h"
#include "tests/unit/dkim_keys.h"

#define N_THREADS  4
#define N_MESSAGES 300
#define ANSWER_MAX ((size_t)64 << 10)

static struct loop *loop;
static struct milter_keys *keys;
static atomic_uint n_signed, n_none;

/* --- the policy process ------------------------------------------------- */

struct policy_question {
	struct loop_timer *timer;
	policy_client_done_fn *done;
	void *arg;
	bool has_keys;
};

static void
answer(void *arg)
{
	struct policy_question *question = arg;
	const char *const pems[] = { RFC8463_RSA_KEY, RFC8463_ED25519_KEY };
	struct str text;

	str_init(&text, ANSWER_MAX);
	for (size_t i = 0; i < 2 && question->has_keys; i++) {
		str_printf(&text, "key=example.com s%zu ", i);
		crypto_append_base64(&text, pems[i], strlen(pems[i]));
		str_append_char(&text, '\n');
	}
	question->done(question->arg, true, str_slice(&text));
	str_free(&text);
	loop_timer_free(question->timer);
	x_free(question);
}

struct policy_question *
policy_client_ask(struct policy_client *client, struct slice text,
	uint64_t timeout_ms, policy_client_done_fn *done, void *arg)
{
	struct policy_question *question = x_new(struct policy_question);

	(void)client;
	(void)timeout_ms;
	question->done = done;
	question->arg = arg;
	question->has_keys = !slice_ends(text, SLICE("domain=none.example\n"));
	question->timer = loop_timer_new(loop, answer, question);
	loop_timer_set(question->timer, 1);
	return question;
}

void
policy_question_cancel(struct policy_question *question)
{
	loop_timer_free(question->timer);
	x_free(question);
}

/* --- sessions ----------------------------------------------------------- */

static void
sign_with(const struct signing_keys *got)
{
	static const unsigned char hash[CRYPTO_SHA256_SIZE] = { 1 };
	unsigned char out[CRYPTO_SIGNATURE_MAX];

	if (got->n == 0)
		n_none++;
	for (size_t i = 0; i < got->n; i++)
		if (got->keys[i].key != NULL &&
			crypto_key_sign(got->keys[i].key, hash, out) > 0)
			n_signed++;
}

/* Every fifth message is aborted, and every third domain has no keys. */
static void *
serve(void *arg)
{
	static const struct slice domains[] = { SLICE_INIT("example.com"),
		SLICE_INIT("example.net"), SLICE_INIT("none.example") };

	(void)arg;
	for (unsigned i = 0; i < N_MESSAGES; i++) {
		struct facts_keys *call = milter_keys_ask(keys, domains[i % 3]);

		if (i % 5 != 0 &&
			bridge_wait(&call->call, bridge_deadline(60000)))
			sign_with(facts_keys_read(call));
		bridge_release(&call->call);
	}
	return NULL;
}

static void *
run(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

START_TEST(threads_share_keys)
{
	pthread_t on_loop, threads[N_THREADS];

	loop = loop_new();
	keys = milter_keys_new(loop, NULL);
	/* Short enough that answers get old meanwhile. */
	milter_keys_configure(keys, 5, 60000);
	ck_assert_int_eq(pthread_create(&on_loop, NULL, run, NULL), 0);
	for (size_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, serve, NULL),
			0);
	for (size_t i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	loop_post(loop, stop, NULL);
	pthread_join(on_loop, NULL);
	milter_keys_free(keys);
	loop_free(loop);
	/* Of 15 messages 12 are signed for or have no keys, 4 of them none. */
	ck_assert_uint_eq(n_none, N_THREADS * N_MESSAGES / 15 * 4);
	ck_assert_uint_eq(n_signed, N_THREADS * N_MESSAGES / 15 * 16);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("keys_threads");
	TCase *tcase = tcase_create("keys_threads");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_test(tcase, threads_share_keys);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
