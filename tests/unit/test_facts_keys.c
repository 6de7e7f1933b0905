#include "milter/facts_keys.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/loop.h"
#include "milter/policy_client.h"
#include "tests/clock.h"
#include "tests/unit/dkim_keys.h"

#define ANSWER_MAX ((size_t)64 << 10)

/* --- a policy process, and a loop that does at once what it is given ---- */

struct policy_question {
	policy_client_done_fn *done;
	void *arg;
	struct policy_question *next;
};

static struct policy_question *asked; /* the last one first */
static char texts[1024];              /* of all questions */
static unsigned n_cancelled;
static uint64_t last_timeout_ms;

struct policy_question *
policy_client_ask(struct policy_client *client, struct slice text,
	uint64_t timeout_ms, policy_client_done_fn *done, void *arg)
{
	struct policy_question *question = x_new(struct policy_question);
	const size_t len = strlen(texts);

	(void)client;
	question->done = done;
	question->arg = arg;
	question->next = asked;
	asked = question;
	last_timeout_ms = timeout_ms;
	(void)snprintf(texts + len, sizeof(texts) - len, "%.*s",
		SLICE_ARG(text));
	return question;
}

static void
take_out(struct policy_question *question)
{
	struct policy_question **at = &asked;

	while (*at != question)
		at = &(*at)->next;
	*at = question->next;
}

void
policy_question_cancel(struct policy_question *question)
{
	if (question == NULL)
		return;
	n_cancelled++;
	take_out(question);
	x_free(question);
}

/* Answers the last question. */
static void
answer(bool is_answered, struct slice text)
{
	struct policy_question *question = asked;

	ck_assert_ptr_nonnull(question);
	take_out(question);
	question->done(question->arg, is_answered, text);
	x_free(question);
}

void
loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
	(void)loop;
	fn(arg);
}

/* One of these is armed at a time. */
struct loop_timer {
	loop_fn *fn;
	void *arg;
};
static struct loop_timer *armed;

struct loop_timer *
loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct loop_timer *timer = x_new(struct loop_timer);

	(void)loop;
	timer->fn = fn;
	timer->arg = arg;
	return timer;
}

void
loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
	ck_assert_uint_eq(delay_ms, 100);
	ck_assert_ptr_null(armed);
	armed = timer;
}

void
loop_timer_free(struct loop_timer *timer)
{
	if (armed == timer)
		armed = NULL;
	x_free(timer);
}

static void
fire(void)
{
	struct loop_timer *timer = armed;

	ck_assert_ptr_nonnull(timer);
	armed = NULL;
	timer->fn(timer->arg);
}

/* --- keys --------------------------------------------------------------- */

static struct milter_keys *keys;
static struct str both, rsa_only; /* answers */

static void
add_line(struct str *out, const char *domain, const char *selector,
	const char *pem)
{
	str_printf(out, "key=%s %s ", domain, selector);
	crypto_append_base64(out, pem, strlen(pem));
	str_append_char(out, '\n');
}

static void
set_up(void)
{
	asked = NULL;
	armed = NULL;
	texts[0] = '\0';
	n_cancelled = 0;
	test_clock_set(0);
	str_init(&both, ANSWER_MAX);
	str_init(&rsa_only, ANSWER_MAX);
	add_line(&both, "example.com", "a", RFC8463_RSA_KEY);
	add_line(&both, "example.com", "b", RFC8463_ED25519_KEY);
	add_line(&rsa_only, "example.org", "c", RFC8463_RSA_KEY);
	keys = milter_keys_new(NULL, NULL);
	milter_keys_configure(keys, 10000, 5000);
}

static void
tear_down(void)
{
	ck_assert_ptr_null(asked);
	ck_assert_ptr_null(armed);
	milter_keys_free(keys);
	str_free(&both);
	str_free(&rsa_only);
}

static struct facts_keys *
ask(const char *domain)
{
	return milter_keys_ask(keys, slice_of(domain));
}

static void
release(struct facts_keys *call)
{
	bridge_release(&call->call);
}

static bool
is_there(struct facts_keys *call)
{
	return bridge_wait(&call->call, 0);
}

static uint64_t
n_read(void)
{
	return metric_get(METRIC_DKIM_KEYS_READ);
}

static void
assert_both(struct facts_keys *call)
{
	const struct signing_keys *got;

	ck_assert(is_there(call));
	got = facts_keys_read(call);
	ck_assert(got->is_known);
	ck_assert_uint_eq(got->n, 2);
	ck_assert(slice_eq_text(got->keys[0].domain, "example.com"));
	ck_assert(slice_eq_text(got->keys[0].selector, "a"));
	ck_assert_int_eq(crypto_key_type(got->keys[0].key), CRYPTO_KEY_RSA);
	ck_assert(slice_eq_text(got->keys[1].selector, "b"));
	ck_assert_int_eq(crypto_key_type(got->keys[1].key), CRYPTO_KEY_ED25519);
}

/* --- tests -------------------------------------------------------------- */

START_TEST(asks_once_and_remembers)
{
	const uint64_t before = n_read();
	struct facts_keys *call = ask("example.com");

	ck_assert(!is_there(call));
	ck_assert_str_eq(texts, "request=dkim_keys\ndomain=example.com\n");
	ck_assert_uint_eq(last_timeout_ms, 5000);
	answer(true, str_slice(&both));
	assert_both(call);
	release(call);
	ck_assert_uint_eq(n_read(), before + 2);
	for (unsigned i = 0; i < 3; i++) {
		call = ask("example.com");
		assert_both(call);
		release(call);
	}
	ck_assert_ptr_null(asked);
	ck_assert_uint_eq(n_read(), before + 2);
}
END_TEST

START_TEST(an_answer_gets_old_and_a_key_does_not)
{
	const uint64_t before = n_read();
	struct facts_keys *call = ask("example.com");

	answer(true, str_slice(&both));
	assert_both(call);
	release(call);
	test_clock_set(9);
	call = ask("example.com");
	ck_assert(is_there(call));
	release(call);
	test_clock_set(10);
	call = ask("example.com");
	ck_assert(!is_there(call));
	answer(true, str_slice(&both));
	assert_both(call);
	release(call);
	/* The same key of another domain is the same key. */
	call = ask("example.org");
	answer(true, str_slice(&rsa_only));
	ck_assert_ptr_nonnull(facts_keys_read(call)->keys[0].key);
	release(call);
	ck_assert_uint_eq(n_read(), before + 2);
}
END_TEST

START_TEST(equal_questions_are_one)
{
	struct facts_keys *calls[3], *other;

	for (unsigned i = 0; i < 3; i++)
		calls[i] = ask("example.com");
	ck_assert_str_eq(texts, "request=dkim_keys\ndomain=example.com\n");
	other = ask("example.org");
	answer(true, str_slice(&rsa_only));
	ck_assert(is_there(other));
	ck_assert(!is_there(calls[0]));
	/* One that goes early does not take it from the others. */
	release(calls[1]);
	ck_assert_uint_eq(n_cancelled, 0);
	answer(true, str_slice(&both));
	/* Each reads for itself; the last one has what the first one gave. */
	assert_both(calls[0]);
	assert_both(calls[2]);
	release(calls[2]);
	assert_both(calls[0]);
	release(calls[0]);
	release(other);
}
END_TEST

START_TEST(a_question_that_nobody_waits_for_is_taken_back)
{
	struct facts_keys *a = ask("example.com"), *b = ask("example.com");

	release(b);
	ck_assert_uint_eq(n_cancelled, 0);
	release(a);
	ck_assert_uint_eq(n_cancelled, 1);
	ck_assert_ptr_null(asked);
	/* And may be asked again. */
	a = ask("example.com");
	answer(true, str_slice(&both));
	assert_both(a);
	release(a);
}
END_TEST

START_TEST(no_key_is_remembered_too)
{
	struct facts_keys *call = ask("example.net");

	answer(true, SLICE(""));
	ck_assert(facts_keys_read(call)->is_known);
	ck_assert_uint_eq(facts_keys_read(call)->n, 0);
	release(call);
	call = ask("example.net");
	ck_assert(is_there(call));
	ck_assert_uint_eq(facts_keys_read(call)->n, 0);
	release(call);
}
END_TEST

static const struct {
	const char *name;
	bool is_answered;
	const char *text;
} failures[] = {
	{ "no answer", false, "" },
	{ "an error", true, "error=the database is away\n" },
	{ "an error beside keys", true, "key=a b eA==\nerror=x\n" },
	{ "no text", true, "key=example.com a\n" },
	{ "no selector", true, "key=example.com\n" },
	{ "empty words", true, "key=example.com  eA==\n" },
	{ "more words", true, "key=example.com a eA== b\n" },
	{ "not base64", true, "key=example.com a e.A==\n" },
	{ "nothing in base64", true, "key=example.com a \n" },
};

START_TEST(a_failure_is_not_no_key_and_not_remembered)
{
	struct facts_keys *call = ask("example.com");

	test_clock_set(3);
	answer(failures[_i].is_answered, slice_of(failures[_i].text));
	ck_assert_msg(is_there(call), "%s", failures[_i].name);
	ck_assert_msg(!facts_keys_read(call)->is_known, "%s",
		failures[_i].name);
	ck_assert_uint_eq(facts_keys_read(call)->n, 0);
	release(call);
	call = ask("example.com");
	ck_assert_msg(!is_there(call), "%s", failures[_i].name);
	answer(true, str_slice(&both));
	assert_both(call);
	release(call);
}
END_TEST

/* One that has just begun has no tables yet. */
START_TEST(a_process_that_does_not_know_is_asked_again)
{
	struct facts_keys *call = ask("example.com"), *other;

	for (unsigned i = 0; i < 3; i++) {
		texts[0] = '\0';
		answer(true, SLICE("error=tables are not read yet\n"));
		ck_assert(!is_there(call));
		ck_assert_ptr_null(asked);
		fire();
		ck_assert_str_eq(texts,
			"request=dkim_keys\ndomain=example.com\n");
	}
	/* Meanwhile others come, and go. */
	answer(true, SLICE("error=tables are not read yet\n"));
	other = ask("example.com");
	release(other);
	fire();
	answer(true, str_slice(&both));
	assert_both(call);
	release(call);
	/* The last one that goes takes back what would be asked. */
	call = ask("example.org");
	answer(true, SLICE("error=tables are not read yet\n"));
	ck_assert_ptr_nonnull(armed);
	release(call);
	ck_assert_ptr_null(armed);
}
END_TEST

START_TEST(too_many_keys_are_a_failure)
{
	struct facts_keys *call = ask("example.com");
	struct str text;

	str_init(&text, ANSWER_MAX);
	for (unsigned i = 0; i <= SIGNING_KEYS_MAX; i++)
		add_line(&text, "example.com", "a", RFC8463_ED25519_KEY);
	test_clock_set(3);
	answer(true, str_slice(&text));
	ck_assert(!facts_keys_read(call)->is_known);
	release(call);
	str_free(&text);
}
END_TEST

START_TEST(a_key_that_cannot_be_read_is_told)
{
	struct facts_keys *call = ask("example.com");

	answer(true, SLICE("key=example.com a bm8ga2V5\nlater=what it is\n"));
	ck_assert(facts_keys_read(call)->is_known);
	ck_assert_uint_eq(facts_keys_read(call)->n, 1);
	ck_assert_ptr_null(facts_keys_read(call)->keys[0].key);
	release(call);
}
END_TEST

/* What is used stays, whatever is pushed out; memory stays bounded. */
START_TEST(domains_are_bounded)
{
	struct facts_keys *held = ask("example.com"), *call;
	char name[32];

	answer(true, str_slice(&both));
	for (unsigned i = 0; i <= KEYS_DOMAINS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%u.example", i);
		texts[0] = '\0';
		call = ask(name);
		answer(true, SLICE(""));
		release(call);
	}
	assert_both(held);
	release(held);
	call = ask("10000.example");
	ck_assert(is_there(call));
	release(call);
	call = ask("example.com");
	ck_assert(!is_there(call));
	release(call);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("facts_keys");
	TCase *tcase = tcase_create("facts_keys");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	metric_init();
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, asks_once_and_remembers);
	tcase_add_test(tcase, an_answer_gets_old_and_a_key_does_not);
	tcase_add_test(tcase, equal_questions_are_one);
	tcase_add_test(tcase, a_question_that_nobody_waits_for_is_taken_back);
	tcase_add_test(tcase, no_key_is_remembered_too);
	tcase_add_loop_test(tcase, a_failure_is_not_no_key_and_not_remembered,
		0, (int)(sizeof(failures) / sizeof(failures[0])));
	tcase_add_test(tcase, a_process_that_does_not_know_is_asked_again);
	tcase_add_test(tcase, too_many_keys_are_a_failure);
	tcase_add_test(tcase, a_key_that_cannot_be_read_is_told);
	tcase_add_test(tcase, domains_are_bounded);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
